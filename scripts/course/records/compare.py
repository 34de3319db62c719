"""Do two runs of one script say the same? Exact values must be equal, approximate ones near, times are not compared."""

from __future__ import annotations

import difflib
import re
from typing import Any

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\w)")
COMPARED = ("exact", "approx")


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> leaf; an approximate value (`value` with `rel` or `abs`) is one leaf."""
    if isinstance(node, dict) and not ("value" in node and node.keys() <= {"value", "rel", "abs"}):
        leaves: dict[str, Any] = {}
        for key, value in node.items():
            leaves |= flatten(value, f"{prefix}.{key}" if prefix else key)
        return leaves
    return {prefix: node}


def near(old: dict[str, float], new: dict[str, float]) -> bool:
    """Is the new approximate value within the old one's tolerance?"""
    tolerance = max(old.get("rel", 0) * abs(old["value"]), old.get("abs", 0))
    return abs(new["value"] - old["value"]) <= tolerance


def compare(old: dict[str, Any], new: dict[str, Any], keys_only: bool = False) -> list[str]:
    """What differs between two records, one line each; `keys_only`: only which keys there are and how runs ended."""
    differences = []
    if old["exit_code"] != new["exit_code"]:
        differences.append(f"exit_code: {old['exit_code']} → {new['exit_code']}")
    for section in COMPARED:
        before, after = flatten(old.get(section, {})), flatten(new.get(section, {}))
        for key in sorted(before.keys() | after.keys()):
            name = f"{section}.{key}"
            if key not in after:
                differences.append(f"{name}: mất ({before[key]!r})")
            elif key not in before:
                differences.append(f"{name}: mới ({after[key]!r})")
            elif keys_only:
                continue
            elif section == "approx" and not near(before[key], after[key]):
                differences.append(
                    f"{name}: {before[key]['value']} → {after[key]['value']}, quá sai số"
                )
            elif section == "exact" and before[key] != after[key]:
                differences.append(f"{name}: {before[key]!r} → {after[key]!r}")
    ways = old.get("breaks", {}).keys() | new.get("breaks", {}).keys()
    for way in sorted(ways):
        if way not in old.get("breaks", {}) or way not in new.get("breaks", {}):
            differences.append(f"breaks.{way}: chỉ có ở một bên")
        else:
            inner = compare(old["breaks"][way], new["breaks"][way], keys_only)
            differences += [f"breaks.{way}.{line}" for line in inner]
    return differences


def compare_transcripts(
    old: dict[str, Any], old_text: str, new: dict[str, Any], new_text: str
) -> list[str]:
    """Unified diff of two transcripts in which a printed number of `approx` or `timing` stands for its key."""
    old_values, new_values = measured(old), measured(new)
    shared = {
        key: (old_values[key], new_values[key]) for key in old_values.keys() & new_values.keys()
    }
    before, after = old_text.splitlines(), new_text.splitlines()
    aligned = []
    for index, line in enumerate(after):
        twin = before[index] if index < len(before) else ""
        aligned.append(twin if same_line(twin, line, shared) else line)
    return [
        line.rstrip("\n")
        for line in difflib.unified_diff(before, aligned, "bản ghi", "lần chạy này", n=1)
    ]


def measured(data: dict[str, Any]) -> dict[str, float]:
    """Key -> number for everything of a record that may differ between runs."""
    leaves = flatten({"approx": data.get("approx", {}), "timing": data.get("timing", {})})
    for way, run in data.get("breaks", {}).items():
        leaves |= {f"breaks.{way}.{key}": value for key, value in measured(run).items()}
    values = {
        key: leaf["value"] if isinstance(leaf, dict) else leaf for key, leaf in leaves.items()
    }
    return {key: value for key, value in values.items() if isinstance(value, int | float)}


def same_line(old: str, new: str, values: dict[str, tuple[float, float]]) -> bool:
    """Are two printed lines equal but for numbers that both runs recorded under one key?"""
    if old == new:
        return True
    if NUMBER.sub("#", old) != NUMBER.sub("#", new):
        return False
    pairs = zip(NUMBER.findall(old), NUMBER.findall(new), strict=True)
    return all(
        a == b or any(prints(a, x) and prints(b, y) for x, y in values.values()) for a, b in pairs
    )


def prints(text: str, value: float) -> bool:
    """Can `text` be how `value` was printed? It is, when it equals the value at the digits that it shows."""
    shown = float(text)
    mantissa, _, exponent = text.partition("e")
    decimals = len(mantissa.partition(".")[2])
    unit = 10.0 ** ((int(exponent) if exponent else 0) - decimals)
    return abs(shown - value) <= 0.5000001 * unit
