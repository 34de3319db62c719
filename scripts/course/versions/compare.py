"""Which recorded numbers changed between two releases, and with which libraries, as Markdown.

The records are read from git, at the commits that the releases were built from; `.` stands for the
working tree. Times and memory are not compared: they belong to a machine, not to a version.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.records import verified
from course.records.compare import DEFAULT_TOLERANCE, flatten, near
from course.text import Refusal
from course.versions.branch import (
    BRANCH,
    MANIFESTS,
    Published,
    commit_of,
    files_below,
    git,
    published,
    require_repository,
)

WORKING_TREE = "."
WIDTH = 80  # letters of a value in a table
BEFORE = 20  # of them, letters in front of the place where a long value changed
HEAD = """---
title: Số đo đổi gì giữa hai phiên bản
description: Những giá trị có bản ghi đã thêm, bỏ hay đổi giữa hai phiên bản, và phiên bản thư viện.
---
"""

Record = dict[str, Any]  # as it stands in JSON


@dataclass
class Change:
    """One value that is not the same in two records. `old` and `new` are cells of a table."""

    key: str
    what: str
    old: str
    new: str


def compare_command(root: Path, old: str, new: str = WORKING_TREE) -> int:
    """Print the comparison of two versions."""
    require_repository(root)
    branch = published(root)
    print(page(old, new, records_of(old, root, branch), records_of(new, root, branch)), end="")
    return 0


# The records of a version: `<module>/<lesson>/<name>` -> record


def records_of(version: str, root: Path, branch: Published) -> dict[str, Record]:
    """The records of a release, or of the working tree."""
    if version == WORKING_TREE:
        texts = {}
        for path in sorted((root / "examples").glob("*/*/results/*.json")):
            texts[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
        return parsed(texts)
    for entry in branch.listed():
        if version in entry["aliases"]:  # `latest`
            version = entry["version"]
    manifest = branch.data(f"{MANIFESTS}/{version}.json")
    if manifest is None:
        known = ", ".join(branch.releases()) or "chưa có bản nào"
        raise Refusal(f"nhánh {BRANCH} không có bản «{version}»; các bản đã phát hành: {known}.", 2)
    if not commit_of(root, manifest["commit"]):
        commit = manifest["commit"][:9]
        cure = "hãy lấy đủ lịch sử: git fetch --unshallow, hay git fetch origin"
        raise Refusal(f"kho này không có commit {commit} của bản {version}: {cure}.", 2)
    return records_at(root, manifest["commit"])


def records_at(root: Path, commit: str) -> dict[str, Record]:
    """The records as they stood at a commit."""
    texts = {}
    for path in files_below(root, commit):
        if path.startswith("examples/") and "/results/" in path and path.endswith(".json"):
            texts[path] = git(root, "cat-file", "blob", f"{commit}:{path}")
    return parsed(texts)


def parsed(texts: dict[str, str]) -> dict[str, Record]:
    """Records by name, from path -> text."""
    records = {}
    for path, text in texts.items():
        name = path.removeprefix("examples/").removesuffix(".json").replace("/results/", "/")
        try:
            records[name] = json.loads(text)
            records[name]["provenance"]["pins"]  # what every record has
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(f"bản ghi {path} không đọc được ({error}).") from None
    return records


def values_of(run: Record) -> dict[str, Any]:
    """Dotted key -> recorded value, of a record and of its runs that were broken on purpose.

    Every approximate value comes with its tolerance: its own, or that of the record.
    """
    values = {"exit_code": run["exit_code"], **flatten({"exact": run.get("exact", {})})}
    tolerance = run.get("tolerance", DEFAULT_TOLERANCE)
    for key, value in flatten({"approx": run.get("approx", {})}).items():
        if not is_approximate(value):
            value = {"value": value, **tolerance}
        values[key] = value
    for way, broken in run.get("breaks", {}).items():
        for key, value in values_of(broken).items():
            values[f"breaks.{way}.{key}"] = value
    return values


# What changed


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """What happened to each value of a record, by key."""
    changes = []
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            changes.append(Change(key, "bỏ", cell(text_of(old[key])), "–"))
        elif key not in old:
            changes.append(Change(key, "thêm", "–", cell(text_of(new[key]))))
        elif text_of(old[key]) != text_of(new[key]):
            changes.append(changed(key, old[key], new[key]))
    return changes


def changed(key: str, old: Any, new: Any) -> Change:
    """A value that both records have; an approximate one may have stayed within its tolerance."""
    what = "đổi"
    if is_approximate(old) and is_approximate(new):
        what = "đổi, trong sai số" if near(old, new) else "đổi, quá sai số"
    before = text_of(old)
    after = text_of(new)
    same = 0  # letters that both begin with
    while before[same : same + 1] == after[same : same + 1]:
        same += 1
    return Change(key, what, cell(before, same), cell(after, same))


def text_of(value: Any) -> str:
    """A recorded value as text; of an approximate one, the value without its tolerance."""
    if is_approximate(value):
        value = value["value"]
    return json.dumps(value, ensure_ascii=False)


def is_approximate(value: Any) -> bool:
    return isinstance(value, dict) and "value" in value


# As Markdown


def cell(text: str, place: int = 0) -> str:
    """A value in a table, as code; of a long one, what stands around `place`."""
    if len(text) <= WIDTH:
        return code(text)
    start = max(0, place - BEFORE)
    end = start + WIDTH
    shown = text[start:end]
    if start > 0:
        shown = f"…{shown}"
    if end < len(text):
        shown = f"{shown}…"
    return code(shown)


def code(text: str) -> str:
    """Text as code in a table's cell."""
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"


def page(old_name: str, new_name: str, old: dict[str, Record], new: dict[str, Record]) -> str:
    """Markdown of the whole comparison."""
    names = (shown_name(old_name), shown_name(new_name))
    counts = {"thêm": 0, "bỏ": 0, "đổi": 0}
    sections = []
    for name in sorted(old.keys() | new.keys()):
        before = values_of(old[name]) if name in old else {}
        after = values_of(new[name]) if name in new else {}
        changes = differences(before, after)
        for change in changes:
            counts[change.what.partition(",")[0]] += 1
        if changes:
            libraries = libraries_line(old.get(name), new.get(name))
            sections.append(section(name, libraries, names, changes))
    totals = ", ".join(f"{what} `{count}`" for what, count in counts.items() if count)
    lines = [
        HEAD,
        verified_line(names[0], old),
        verified_line(names[1], new),
        "",
        f"Giá trị: {totals or 'không có gì đổi'}.",
        *sections,
    ]
    return "\n".join(lines) + "\n"


def shown_name(version: str) -> str:
    if version == WORKING_TREE:
        return "bản đang viết"
    return version


def verified_line(name: str, records: dict[str, Record]) -> str:
    facts = verified.line(verified.facts_of(records.values()))
    return f"- Bản `{name}`: `{facts or 'không có bản ghi nào'}`"


def section(name: str, libraries: str, names: tuple[str, str], changes: list[Change]) -> str:
    """One script: its libraries where they changed, and the table of its values."""
    lines = [
        "",
        f"## `{name.rpartition('/')[2]}`",
        "",
        libraries,
        "",
        f"| Khoá | Thế nào | `{names[0]}` | `{names[1]}` |",
        "| --- | --- | --- | --- |",
    ]
    for change in changes:
        lines.append(f"| {code(change.key)} | {change.what} | {change.old} | {change.new} |")
    return "\n".join(lines)


def libraries_line(old: Record | None, new: Record | None) -> str:
    """Which libraries of a script changed; a script that only one version has is named as such."""
    if old is None:
        return "Script mới."
    if new is None:
        return "Script không còn."
    before = libraries_of(old)
    after = libraries_of(new)
    moved = []
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            moved.append(f"`{name} {before.get(name, '–')} → {after.get(name, '–')}`")
    if not moved:
        return "Thư viện không đổi."
    return f"Thư viện: {', '.join(moved)}."


def libraries_of(record: Record) -> dict[str, str]:
    """Library -> version, Python first of all."""
    provenance = record["provenance"]
    return {"python": provenance["python"], **provenance["pins"]}
