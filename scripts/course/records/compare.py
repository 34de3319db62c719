"""Do two runs of one script say the same?

Exact values must be equal, approximate ones near, times are not compared.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from course.records.record import is_approximate

# A number in a line of output; not a part of a name or of a version.
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\w)")
COMPARED = ("exact", "approx")
# How far an approximate value may be off, unless its record or the value itself says otherwise.
DEFAULT_TOLERANCE = {"rel": 1e-2}


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> leaf; an approximate value with its own tolerance is one leaf."""
    if not isinstance(node, dict) or is_approximate(node):
        return {prefix: node}
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        leaves |= flatten(value, f"{prefix}.{key}" if prefix else key)
    return leaves


def plain(leaf: Any) -> Any:
    """The number of an approximate value, with or without a tolerance of its own."""
    if isinstance(leaf, dict):
        return leaf["value"]
    return leaf


def near(old: Any, new: Any, tolerance: dict[str, float] = DEFAULT_TOLERANCE) -> bool:
    """Is the new approximate value within the old one's tolerance?

    `tolerance` is for a plain number; `{"value", "rel" or "abs"}` brings its own.
    """
    if isinstance(old, dict):
        tolerance = old
    allowed = max(tolerance.get("rel", 0) * abs(plain(old)), tolerance.get("abs", 0))
    return abs(plain(new) - plain(old)) <= allowed


def compare(old: dict[str, Any], new: dict[str, Any], keys_only: bool = False) -> list[str]:
    """What differs between two records, one line each.

    `keys_only`: compare only which keys there are and how the runs ended.
    """
    differences = []
    if old["exit_code"] != new["exit_code"]:
        differences.append(f"exit_code: {old['exit_code']} → {new['exit_code']}")
    tolerance = old.get("tolerance", DEFAULT_TOLERANCE)
    if tolerance != new.get("tolerance", DEFAULT_TOLERANCE):
        differences.append(f"tolerance: {tolerance} → {new.get('tolerance', DEFAULT_TOLERANCE)}")
    for section in COMPARED:
        before = flatten(old.get(section, {}))
        after = flatten(new.get(section, {}))
        for key in sorted(before.keys() | after.keys()):
            name = f"{section}.{key}"
            if key not in after:
                differences.append(f"{name}: mất ({before[key]!r})")
            elif key not in before:
                differences.append(f"{name}: mới ({after[key]!r})")
            elif not keys_only:
                differences += change(section, name, before[key], after[key], tolerance)
    return differences


def change(section: str, name: str, old: Any, new: Any, tolerance: dict[str, float]) -> list[str]:
    """The line for a value that both records hold; none when they agree."""
    if section == "exact" and old != new:
        return [f"{name}: {old!r} → {new!r}"]
    if section == "approx" and not near(old, new, tolerance):
        return [f"{name}: {plain(old)} → {plain(new)}, quá sai số"]
    return []


def compare_transcripts(
    old: dict[str, Any], old_text: str, new: dict[str, Any], new_text: str
) -> list[str]:
    """Unified diff of two transcripts; numbers that both runs measured under one key may differ."""
    old_values = measured(old)
    new_values = measured(new)
    pairs = []
    for key in old_values.keys() & new_values.keys():
        pairs.append((old_values[key], new_values[key]))
    before = old_text.splitlines()
    aligned = []
    for index, line in enumerate(new_text.splitlines()):
        if index < len(before) and same_line(before[index], line, pairs):
            line = before[index]
        aligned.append(line)
    diff = difflib.unified_diff(before, aligned, "bản ghi", "lần chạy này", n=1)
    return [line.rstrip("\n") for line in diff]


def measured(data: dict[str, Any]) -> dict[str, float]:
    """Key -> number for everything of a record that may differ between runs."""
    leaves = flatten({"approx": data.get("approx", {}), "timing": data.get("timing", {})})
    values = {}
    for key, leaf in leaves.items():
        if isinstance(plain(leaf), int | float):
            values[key] = plain(leaf)
    return values


def same_line(old: str, new: str, pairs: list[tuple[float, float]]) -> bool:
    """Are two printed lines equal but for numbers that both runs recorded under one key?"""
    if old == new:
        return True
    if NUMBER.sub("#", old) != NUMBER.sub("#", new):
        return False
    for before, after in zip(NUMBER.findall(old), NUMBER.findall(new), strict=True):
        if before != after and not recorded(before, after, pairs):
            return False
    return True


def recorded(before: str, after: str, pairs: list[tuple[float, float]]) -> bool:
    """Did the two runs record these two printed numbers under one key?"""
    return any(prints(before, old) and prints(after, new) for old, new in pairs)


def prints(text: str, value: float) -> bool:
    """Can `text` be how `value` was printed?

    It can, when it equals the value at the digits that it shows.
    """
    mantissa, _, exponent = text.partition("e")
    decimals = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - decimals)
    return abs(float(text) - value) <= 0.5000001 * unit
