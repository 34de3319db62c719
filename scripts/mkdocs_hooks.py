"""The path that mkdocs.yml names: hands MkDocs the events of `course.site.hooks`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from course.site.hooks import *  # noqa: F403
