r"""A short formula as a reader would type it: `C \approx 6\,N\,D` is «C ≈ 6ND».

A formula that this module does not understand in full stays out of the search, so that no snippet
shows a wrong one.
"""

from __future__ import annotations

import re

# Characters. What is longer nobody types.
LONGEST = 40
GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta kappa lambda mu nu xi pi rho sigma "
    "tau phi varphi chi psi omega Gamma Delta Theta Lambda Pi Sigma Phi Psi Omega"
)
SHOWN = dict(zip(GREEK.split(), "αβγδεεζηθκλμνξπρστφφχψωΓΔΘΛΠΣΦΨΩ", strict=True))
SHOWN |= {
    "approx": "≈",
    "cdot": "·",
    "dots": "…",
    "equiv": "≡",
    "ge": "≥",
    "in": "∈",
    "infty": "∞",
    "le": "≤",
    "lVert": "‖",
    "lvert": "|",
    "mid": "|",
    "nabla": "∇",
    "ne": "≠",
    "partial": "∂",
    "rVert": "‖",
    "rvert": "|",
    "sim": "∼",
    "times": "×",
    "to": "→",
}
for function in ("cos", "exp", "ln", "log", "sin", "tanh"):
    SHOWN[function] = f"{function} "
for space in ("quad", "qquad"):
    SHOWN[space] = " "
for style in ("text", "operatorname", "mathbb", "mathbf", "mathcal", "mathrm", "underbrace"):
    SHOWN[style] = ""

ROOT_OF = re.compile(r"\\sqrt\{(\w+)\}")
FRACTION = re.compile(r"\\frac\{([\w^√]+)\}\{([\w^√]+)\}")
# On one line nobody sees where such an index or exponent ends: 2^{k-23}, but not 10^{-5}.
LONG_INDEX = re.compile(r"[_^]\{(?!-?\w+\}|\\text)")
COMMAND = re.compile(r"\\([A-Za-z]+)")
PART = re.compile(
    r"\\(?:text|operatorname)\{(?P<words>[^{}]*)\}"  # keeps its spaces
    r"|\\(?P<command>[A-Za-z]+)"
    r"|\\\W|[{}\s]"  # not seen: \, and \; are thin spaces, and other spaces mean nothing
)
RELATION = re.compile("[=≈≡≠≤≥<>∼→∈+×·]")


def formula_text(tex: str) -> str:
    """A formula on one line; nothing when it cannot be told so, or is too long."""
    tex = FRACTION.sub(r"\1/\2", ROOT_OF.sub(r"√\1", tex))
    if LONG_INDEX.search(tex):
        return ""
    for command in COMMAND.findall(tex):
        if command not in SHOWN:
            return ""
    text = " ".join(RELATION.sub(r" \g<0> ", PART.sub(seen, tex)).split())
    if len(text) > LONGEST:
        return ""
    return text


def seen(part: re.Match[str]) -> str:
    """What a reader sees of one part of TeX."""
    if part["words"]:
        return part["words"]
    return SHOWN.get(part["command"] or "", "")
