"""Numbers as Vietnamese readers write them, and the conditions that a page puts on them.

Python and the records write 1234.5; a page writes 1.234,5. What cannot be shown or does not hold
is refused.
"""

from __future__ import annotations

import math
import operator
import re
from typing import Any

from course.text import Refusal, number

BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}
WORDS = {12: "nghìn tỷ", 9: "tỷ", 6: "triệu"}  # power of ten -> its name
# [.decimals][unit], for example "MiB", ".2MiB", ".1f", "%", ".2e"; "w" is for a number of any size,
# to be read (175 tỷ; ".4w": four digits). "pass" shows a verdict.
FORMAT = re.compile(r"(?:\.(\d))?(B|KiB|MiB|GiB|kB|MB|GB|%|f|e|s|w)?")
YES_OR_NO = {True: "có", False: "không"}
VERDICT = {True: "đạt", False: "trượt"}
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

CONDITION = re.compile(r"(=|!=|<=|>=|<|>) (.+)")
COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# 1.234,5 and 12e-6: points stand between thousands, a comma before decimals.
VIETNAMESE_NUMBER = re.compile(r"-?([1-9]\d{0,2}(\.\d{3})+|\d+)(,\d+)?(e-?\d+)?")


def is_number(value: Any) -> bool:
    """To Python True is a number; to a reader it is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def show(value: Any, form: str = "") -> str:
    """A recorded value as text for a page."""
    if form == "pass" and isinstance(value, bool):
        return VERDICT[value]
    match = FORMAT.fullmatch(form)
    if not match:
        raise Refusal(f"không có định dạng «{form}»")
    if isinstance(value, bool):
        return YES_OR_NO[value]
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(show(item) for item in value)
    if not is_number(value):
        raise Refusal(f"không hiển thị được giá trị {value!r}")
    if not math.isfinite(value):
        raise Refusal(f"giá trị không phải một con số: {value}")
    decimals = int(match[1]) if match[1] else None
    return show_number(value, match[2] or "f", decimals)


def show_number(value: float, unit: str, decimals: int | None) -> str:
    """A number in a unit of FORMAT. Where a page asks for no decimals, most units have one."""
    if unit == "f" or (unit == "e" and value == 0):  # zero has no power of ten
        return number(value, decimals)
    if unit == "B":
        return number(value, decimals) + " byte"
    if unit == "w":
        return readable(value, decimals or 3)
    if decimals is None:
        decimals = 1
    if unit == "e":
        return scientific(value, decimals)
    if unit == "%":
        return number(value * 100, decimals) + " %"
    if unit == "s":
        return number(value, decimals) + " giây"
    return number(value / BYTES[unit], decimals) + f" {unit}"


def scientific(value: float, decimals: int) -> str:
    """9,12·10⁻⁷."""
    mantissa, exponent = f"{value:.{decimals}e}".split("e")
    power = str(int(exponent)).translate(SUPERSCRIPT)  # int: "-07" becomes -7
    return f"{mantissa.replace('.', ',')}·10{power}"


def readable(value: float, digits: int = 3) -> str:
    """A number of any size, to be read: 9,12·10⁻⁷; 5,22; 221.071; 14,8 nghìn tỷ.

    calculator.js writes the same.
    """
    size = abs(value)
    if size != 0 and (size < 1e-3 or size >= 1e15):
        return scientific(value, digits - 1)
    if 1e3 <= size < 1e6:
        return number(value, 0)
    for power, word in WORDS.items():
        if size >= 10**power:
            return f"{rounded(value / 10**power, digits)} {word}"
    return rounded(value, digits)


def rounded(value: float, digits: int) -> str:
    """A number with that many significant digits."""
    return number(float(f"{value:.{digits}g}"))


def scaled(value: Any, form: str) -> Any:
    """The value in the unit of its format: a condition beside that format means it so."""
    match = FORMAT.fullmatch(form)
    unit = match[2] if match else None
    if not is_number(value):
        return value
    if unit == "%":
        return value * 100
    if unit in BYTES:
        return value / BYTES[unit]
    return value


def check(value: Any, condition: str) -> None:
    """Refuse unless the condition (`> 0,9`, `= có`) holds for the value."""
    match = CONDITION.fullmatch(condition)
    if not match:
        raise Refusal(f"không hiểu điều kiện «{condition}»")
    sign = match[1]
    right = right_side(match[2])
    if kind_of(value) != kind_of(right):
        raise Refusal(f"không so sánh được {value!r} {condition}")
    if kind_of(value) != "number" and sign not in ("=", "!="):
        raise Refusal(f"không so sánh được {value!r} {condition}")
    if not COMPARE[sign](value, right):
        raise Refusal(f"điều kiện không còn đúng: {show(value)} {condition}")


def kind_of(value: Any) -> str:
    """What a value can be compared as; empty when it cannot."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "text"
    if is_number(value):
        return "number"
    return ""


def right_side(text: str) -> bool | str | int | float:
    """Of a condition: a number in Vietnamese writing, `có` or `không`, or a text in quotes."""
    if text in ("có", "không"):
        return text == "có"
    if re.fullmatch(r'"[^"]*"', text):
        return text[1:-1]
    plain = text.replace("−", "-")
    if not VIETNAMESE_NUMBER.fullmatch(plain):
        raise Refusal(f'không hiểu vế phải «{text}» (viết 1.234,5, có, không, hoặc "chữ")')
    plain = plain.replace(".", "").replace(",", ".")
    if re.search(r"[.e]", plain):
        return float(plain)
    return int(plain)
