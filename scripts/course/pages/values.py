"""Numbers as Vietnamese readers write them, and the conditions that a page puts on them.

Python and the records write 1234.5; a page writes 1.234,5.
"""

from __future__ import annotations

import math
import re
from typing import Any

from course.text import number

BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}
WORDS = {12: "nghìn tỷ", 9: "tỷ", 6: "triệu"}  # power of ten -> its name
# [.decimals][unit], for example "MiB", ".2MiB", ".1f", "%", ".2e"; "w" is for a number of any size, to be read (175 tỷ;
# ".4w": four digits); "pass" shows a verdict.
FORMAT = re.compile(r"(?:\.(\d))?(B|KiB|MiB|GiB|kB|MB|GB|%|f|e|s|w)?")
CONDITION = re.compile(r"(=|!=|<=|>=|<|>) (.+)")
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


from course.text import Refusal


class ValueProblem(Refusal):
    """A value cannot be shown as asked, or a condition fails; one Vietnamese line for the author."""


def readable(value: float, digits: int = 3) -> str:
    """A number of any size, to be read: 9,12·10⁻⁷; 5,22; 221.071; 14,8 nghìn tỷ. calculator.js writes the same."""
    if value and not 1e-3 <= abs(value) < 1e15:
        return show(value, f".{digits - 1}e")
    if 1e3 <= abs(value) < 1e6:
        return number(value, 0)
    power = next((power for power in WORDS if abs(value) >= 10**power), 0)
    text = number(float(f"{value / 10**power:.{digits}g}"))
    return f"{text} {WORDS[power]}" if power else text


def scaled(value: Any, form: str) -> Any:
    """The value in the unit of its format, as a condition beside that format means it; anything else as it is."""
    unit = (FORMAT.fullmatch(form) or [None] * 3)[2]
    if (
        (unit not in BYTES and unit != "%")
        or isinstance(value, bool)
        or not isinstance(value, int | float)
    ):
        return value
    return value * 100 if unit == "%" else value / BYTES[unit]


def show(value: Any, form: str = "") -> str:
    """A recorded value as text for a page. Raises ValueProblem when the format does not fit the value."""
    if form == "pass" and isinstance(value, bool):
        return "đạt" if value else "trượt"
    match = FORMAT.fullmatch(form)
    if not match:
        raise ValueProblem(f"không có định dạng «{form}»")
    if isinstance(value, bool):
        return "có" if value else "không"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(show(item) for item in value)
    if not isinstance(value, int | float):
        raise ValueProblem(f"không hiển thị được giá trị {value!r}")
    if not math.isfinite(value):
        raise ValueProblem(f"giá trị không phải một con số: {value}")
    decimals = int(match[1]) if match[1] else None
    unit = match[2] or "f"
    if unit == "f" or (unit == "e" and not value):
        return number(value, decimals)
    if unit == "e" and value:
        mantissa, exponent = f"{value:.{1 if decimals is None else decimals}e}".split("e")
        return f"{mantissa.replace('.', ',')}·10{str(int(exponent)).translate(SUPERSCRIPT)}"
    if unit == "w":
        return readable(value, decimals or 3)
    if unit == "%":
        return number(value * 100, 1 if decimals is None else decimals) + " %"
    if unit == "s":
        return number(value, 1 if decimals is None else decimals) + " giây"
    if unit == "B":
        return number(value, decimals) + " byte"
    return number(value / BYTES[unit], 1 if decimals is None else decimals) + f" {unit}"


def parse(text: str) -> Any:
    """The right side of a condition: a number in Vietnamese writing, `có`/`không`, or a text in quotes."""
    if text in ("có", "không"):
        return text == "có"
    if re.fullmatch(r'"[^"]*"', text):
        return text[1:-1]
    plain = text.replace("−", "-")
    if re.fullmatch(r"-?([1-9]\d{0,2}(\.\d{3})+|\d+)(,\d+)?(e-?\d+)?", plain):
        plain = plain.replace(".", "").replace(",", ".")
        return float(plain) if re.search(r"[.e]", plain) else int(plain)
    raise ValueProblem(f'không hiểu vế phải «{text}» (viết 1.234,5, có, không, hoặc "chữ")')


def check(value: Any, condition: str) -> None:
    """Raise ValueProblem unless the condition (`> 0,9`, `= có`) holds for the value."""
    match = CONDITION.fullmatch(condition)
    if not match:
        raise ValueProblem(f"không hiểu điều kiện «{condition}»")
    operator, right = match[1], parse(match[2])
    kinds = (bool, str)  # compared only with their like; the rest are numbers
    if any(isinstance(value, kind) != isinstance(right, kind) for kind in kinds) or isinstance(
        value, list | dict
    ):
        raise ValueProblem(f"không so sánh được {value!r} {condition}")
    if operator in ("=", "!="):
        holds = (value == right) == (operator == "=")
    elif isinstance(value, kinds):
        raise ValueProblem(f"không so sánh được {value!r} {condition}")
    else:
        holds = {
            "<": value < right,
            "<=": value <= right,
            ">": value > right,
            ">=": value >= right,
        }[operator]
    if not holds:
        raise ValueProblem(f"điều kiện không còn đúng: {show(value)} {condition}")
