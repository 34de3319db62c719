"""All records of the project as one file, `records.json`: what a published version carries of what was measured.

Times and memory are left out: they belong to a machine, not to a version. Keys are `exact.…`, `approx.…` and, for a run
that a script broke on purpose, `breaks.WAY.exact.…`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from course.records.compare import flatten
from course.text import day

SCHEMA = 1
SHOWN = ("torch", "transformers")


def book(root: Path) -> dict[str, Any]:
    """The content of `records.json`."""
    examples = root / "examples"
    records = {}
    for path in sorted(examples.glob("*/*/results/*.json")):
        name = f"{path.parent.parent.relative_to(examples).as_posix()}/{path.stem}"
        with suppress(
            ValueError, KeyError, TypeError, AttributeError
        ):  # told to whoever uses the record
            data = json.loads(path.read_text(encoding="utf-8"))
            known = data["provenance"]
            records[name] = {
                "python": known["python"],
                "pins": dict(known["pins"]),
                "date": date.fromisoformat(known["date"]).isoformat(),
                "values": values_of(data),
            }
    return {"schema": SCHEMA, "verified": verified(records), "records": records}


def values_of(data: dict[str, Any]) -> dict[str, Any]:
    """Dotted key -> recorded value; an approximate one with its tolerance, as it stands in the record."""
    found = {"exit_code": data["exit_code"]}
    found |= flatten({"exact": data.get("exact", {}), "approx": data.get("approx", {})})
    for way, run in data.get("breaks", {}).items():
        found |= {f"breaks.{way}.{key}": value for key, value in values_of(run).items()}
    return found


def verified(records: dict[str, Any]) -> dict[str, Any]:
    """What the records were made with: versions of Python, torch, transformers; days of the first and the last run."""
    found: dict[str, Any] = {
        "python": sorted({record["python"] for record in records.values()}, key=numbers)
    }
    for name in SHOWN:
        pinned = {record["pins"][name] for record in records.values() if name in record["pins"]}
        found[name] = sorted(pinned, key=numbers)
    days = sorted(record["date"] for record in records.values())
    return found | {"first": days[0] if days else "", "last": days[-1] if days else ""}


def numbers(version: str) -> list[int]:
    """What versions are sorted by."""
    return [int(part) for part in version.split(".") if part.isdecimal()]


def verified_line(facts: dict[str, Any]) -> str:
    """One line for readers; empty when nothing was recorded."""
    names = {"python": "Python", "torch": "torch", "transformers": "transformers"}
    parts = [
        f"{shown} {', '.join(facts[name])}" for name, shown in names.items() if facts.get(name)
    ]
    if facts.get("last"):
        parts.append(days_line(facts["first"], facts["last"]))
    return ", ".join(parts)


def days_line(first: str, last: str) -> str:
    """The days of the runs."""
    return f"chạy ngày {day(last)}" if first == last else f"chạy từ {day(first)} đến {day(last)}"
