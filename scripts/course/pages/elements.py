"""Which elements are open at a place of a page's HTML, and what holds there."""

from __future__ import annotations

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"}
VOID |= {"track", "wbr"}


class OpenElements:
    """The elements open at the place that a reader of HTML has come to."""

    def __init__(self) -> None:
        self.elements: list[tuple[str, frozenset[str]]] = []  # tag, what holds inside

    @property
    def marks(self) -> frozenset[str]:
        """What holds at this place: the marks of every open element."""
        if not self.elements:
            return frozenset()
        return self.elements[-1][1]

    def open(self, tag: str, marks: set[str]) -> None:
        """An element begins; `marks` hold for it and for all that stands in it."""
        if tag not in VOID:
            self.elements.append((tag, self.marks | marks))

    def close(self, tag: str) -> None:
        """The element ends, and with it what was left open in it."""
        for place in reversed(range(len(self.elements))):
            if self.elements[place][0] == tag:
                del self.elements[place:]
                return
