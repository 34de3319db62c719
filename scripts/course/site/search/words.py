"""Text cut into words for the search.

The worker cuts in the same way (`words` and `bare` in search.js); a test compares the two.
"""

from __future__ import annotations

import re
import unicodedata

# Letters and digits, also below a root; accents that stand apart (NFD) belong to the letter before.
WORD = re.compile("√?[^\\W_]+(?:[\u0300-\u036f]+[^\\W_]*)*")
ACCENTS = re.compile("[\u0300-\u036f]")
# Two ways to write one word: the tone of oa, oe and uy is moved to the second letter (hoá).
OLD_TONE = re.compile(
    "(o)([\u0300\u0301\u0303\u0309\u0323])([ae])|(u)([\u0300\u0301\u0303\u0309\u0323])(y)"
)
# Words that a question holds and a page need not. They count little. Typed without accents, only
# those of the third line are surely stop words.
STOP_WORDS = (
    "là của và các những một có thế nào làm sao gì cho khi để thì mà ở được bị tôi bạn mình với "
    "trong này đó ấy hay hoặc rồi nên phải như vì tại bao nhiêu cách về cái con đâu mấy không "
    "la cua va cac nhung the nao lam sao gi cho khi duoc voi nhu vi hay cach "
    "a and for how i is of or that what why with"
)


def words(text: str) -> list[str]:
    """The words of a text as they are compared: small letters, NFC, one way of placing tones."""
    plain = unicodedata.normalize("NFC", text).lower()
    if not plain.isascii():
        parts = OLD_TONE.sub(r"\1\4\3\6\2\5", unicodedata.normalize("NFD", plain))
        plain = unicodedata.normalize("NFC", parts)
    return WORD.findall(plain)


def bare(word: str) -> str:
    """A word as it is typed without accents."""
    return ACCENTS.sub("", unicodedata.normalize("NFD", word)).replace("đ", "d")
