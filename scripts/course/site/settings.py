"""MkDocs' settings that follow from the course, and from where the site will stand."""

from __future__ import annotations

import html
import os
from importlib import metadata
from urllib.parse import urljoin

from mkdocs.config.defaults import MkDocsConfig

from course.pages.course import Course
from course.text import DEV, slugify


def complete(config: MkDocsConfig, course: Course) -> None:
    """Fill in what mkdocs.yml leaves open."""
    config.nav = course.catalog.navigation()
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify
    set_notebook_cache(config, course)
    set_addresses(config)
    set_footer(config, course)


def set_notebook_cache(config: MkDocsConfig, course: Course) -> None:
    """Converted notebooks are kept as long as the converters stay the same."""
    versions = "-".join(metadata.version(name) for name in ("mkdocs-jupyter", "nbconvert"))
    settings = config.plugins["mkdocs-jupyter"].config
    settings["cache_dir"] = str(course.cache / f"notebook-pages-{versions}")


def set_addresses(config: MkDocsConfig) -> None:
    """The site's address and the version's own; no version selector outside mike's deployments."""
    version = os.environ.get("MIKE_DOCS_VERSION", "")
    config.extra["deployed"] = version
    # mike's plugin ends it with the canonical version's name, without a slash.
    config.site_url = f"{(config.site_url or '').rstrip('/')}/"
    config.extra["own_url"] = config.site_url
    if version:  # for what lies only in this version
        config.extra["own_url"] = urljoin(config.site_url, f"../{version}/")
    else:
        config.extra.pop("version", None)
    if not config.repo_url:
        config.edit_uri = ""


def set_footer(config: MkDocsConfig, course: Course) -> None:
    """Which version this is, and what its records were made with."""
    version = config.extra["deployed"]
    facts = []
    if version == DEV:
        facts.append("Bản đang viết")
    elif version:
        facts.append(f"Bản {html.escape(version)}")
    if course.verified_line():
        facts.append(f"kiểm chứng với {course.verified_line()}")
    lines = []
    if config.copyright:
        lines.append(config.copyright)
    if facts:
        lines.append(" · ".join(facts))
    config.copyright = "<br>".join(lines)
