"""Random pickle streams, and Python's own unpicklers made harmless, to compare the checker with."""

from __future__ import annotations

import codecs
import io
import math
import os
import pickle
import pickletools
import random
import struct
import sys
import time
import warnings
import zipfile
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

# --- the real unpicklers, with every name replaced by something that does nothing


class Tame(type):
    """Classes that take everything, too."""

    def __setitem__(cls, key: object, value: object) -> None:
        pass


class Dummy(metaclass=Tame):
    """Takes everything, does nothing, as a class and as an object."""

    def __init__(self, *more: object, **named: object) -> None:
        pass

    def __new__(cls, *more: object, **named: object) -> Dummy:
        return object.__new__(cls)

    def __setstate__(*more: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def __call__(self, *more: object, **named: object) -> Dummy:
        return Dummy()

    def __reduce__(self):
        raise TypeError

    append = extend = add = update = __setstate__


HARMLESS = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "tuple": tuple,
    "dict": dict,
    "set": set,
    "frozenset": frozenset,
    "complex": complex,
}
REAL = {"collections OrderedDict": OrderedDict, "_codecs encode": codecs.encode}
for home in ("builtins", "__builtin__"):
    REAL |= {f"{home} {name}": value for name, value in HARMLESS.items()}


class Recorder:
    """Notes the names that are looked up; with `real`, some harmless names are what they are."""

    def begin(self, real: bool) -> None:
        self.seen: set[tuple[str, str]] = set()
        self.real = real

    def find_class(self, module: str, name: str) -> object:
        self.seen.add((module, name))
        return REAL.get(f"{module} {name}", Dummy) if self.real else Dummy

    def persistent_load(self, pid: object) -> object:
        return Dummy()


class InC(Recorder, pickle.Unpickler):
    """Python's unpickler in C, on a stream in memory: it reads no further than it must."""


class InCAhead(InC):
    """The same on a buffered file: it looks ahead, and cuts lines in other places."""


class InPython(Recorder, pickle._Unpickler):
    """Python's unpickler in Python."""


class Kind(Dummy):
    """What stands for a dtype: it knows its size."""

    def __init__(self, code: str, *more: object) -> None:
        import numpy

        found = numpy.dtype(code)
        self.size = found.itemsize
        self.objects = found.hasobject


class Wrapper(Dummy):
    """What stands for joblib's wrapper of an array."""

    def __setstate__(self, state: dict) -> None:
        self.state = state


class InJoblib(InPython):
    """joblib's unpickler: behind the state of a wrapper stand the bytes of its array."""

    dispatch = dict(pickle._Unpickler.dispatch)  # noqa: RUF012
    aligned = True

    def find_class(self, module: str, name: str) -> object:
        found = super().find_class(module, name)
        own = {"numpy dtype": Kind, "joblib.numpy_pickle NumpyArrayWrapper": Wrapper}
        return own.get(f"{module} {name}", found)

    def load_build(self) -> None:
        super().load_build()
        wrapper = self.stack[-1]
        if not isinstance(wrapper, Wrapper):
            return
        state = wrapper.state
        if state["dtype"].objects:
            inner = InC(self.stream)
            inner.begin(self.real)
            inner.seen = self.seen
            self.stack[-1] = inner.load()
            return
        if self.aligned and state.get("numpy_array_alignment_bytes") is not None:
            padding = self.stream.read(1)
            self.stream.read(padding[0])
        length = math.prod(state["shape"]) * state["dtype"].size
        if len(self.stream.read(length)) != length:
            raise EOFError
        self.stack[-1] = Dummy()

    dispatch[pickle.BUILD[0]] = load_build


class InOldJoblib(InJoblib):
    """joblib before 1.3, which knows of no alignment."""

    dispatch = dict(InJoblib.dispatch)  # noqa: RUF012
    aligned = False


ENCODINGS = [("ASCII", "strict"), ("utf-8", "strict"), ("latin1", "strict"), ("bytes", "strict")]
ENCODINGS.append(("ASCII", "ignore"))
WAYS = []  # (class, encoding, errors, real)
for kind in (InC, InCAhead, InPython):
    for encoding, errors in ENCODINGS:
        WAYS.append((kind, encoding, errors, False))
    WAYS.append((kind, "utf-8", "strict", True))
for kind in (InJoblib, InOldJoblib):
    WAYS.append((kind, "ASCII", "strict", False))


Seen = set[tuple[str, str]]


def unpickle(content: bytes, way: tuple, fix_imports: bool = True) -> tuple[Seen, int | None]:
    """The names that one real unpickler looks up, and where it ends (None: it fails)."""
    kind, encoding, errors, real = way
    stream = io.BytesIO(content)
    if kind is InCAhead:
        stream = io.BufferedReader(stream)
    unpickler = kind(stream, fix_imports=fix_imports, encoding=encoding, errors=errors)
    unpickler.begin(real)
    unpickler.stream = stream
    try:
        unpickler.load()
    except Exception:
        return unpickler.seen, None
    return unpickler.seen, stream.tell()


# --- pieces of random streams

BENIGN = [
    ("collections", "OrderedDict"),
    ("builtins", "set"),
    ("__builtin__", "set"),
    ("builtins", "str"),
    ("builtins", "dict"),
    ("_codecs", "encode"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch", "FloatStorage"),
    ("torch", "float32"),
]
OTHERS = [
    ("posix", "system"),
    ("os", "system"),
    ("builtins", "eval"),
    ("__builtin__", "eval"),
    ("subprocess", "Popen"),
    ("some.where", "Class"),
    ("argparse", "Namespace"),
    ("collections", "OrderedDict.__class__"),
    ("h\u00e9", "x"),
    ("torch", "load"),
    ("numpy", "load"),
    ("", "x"),
    (" os", "system"),
    ("os ", "system"),
    ("os\r", "system\r"),
    ("\\x6fs", "system"),
    ("os.path", ""),
]
ODD_TEXT = [
    "",
    "a",
    "x" * 300,
    "storage",
    "0",
    "cpu",
    "__setstate__",
    "\u00e9",
    "\u4e00",
    "a\\x62",
    "\\",
    "'",
    "\0",
    "a\0b",
    "\r",
    "\x85",
    "\u2028",
    "latin1",
]
NUMBERS = [
    b"0",
    b"1",
    b"2",
    b"-1",
    b"00",
    b"01",
    b"010",
    b"0x10",
    b"0o7",
    b"0b1",
    b" 1",
    b"1 ",
    b"\t1\x0b",
    b"1_0",
    b"_1",
    b"1__0",
    b"+1",
    b"+ 1",
    b"",
    b" ",
    b"1\r",
    b"\r1",
    b"1L",
    b"1LL",
    b"L",
    b"1l",
    b"1\0",
    b"1\x002",
    b"1\0zzz",
    b"\0",
    b"99999999999999999999999999",
    b"-99999999999999999999",
    b"9223372036854775807",
    b"9223372036854775808",
    b"4294967296",
    b"1.0",
    b"1e3",
    b"1e999",
    b"nan",
    b"-inf",
    b"Infinity",
    b"1.",
    b".5",
    b"1_0.0_1",
    b"0x1p3",
    b"\xd9\xa1",
    b"\xef\xbc\x91",
    b"\xa01",
    b"1\xa0",
    b"abc",
    b"True",
    b"01\n",
    b"9" * 4301,
]
SIZES = [0, 1, 2, 3, 5, 8, 16, 100, 255, 256, 65535, 1 << 31, (1 << 31) - 1, (1 << 32) - 1]
BIG_SIZES = [*SIZES, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


def sized(code: bytes, form: str, content: bytes, length: int | None = None) -> bytes:
    """An opcode whose content stands behind its length."""
    length = len(content) if length is None else length
    return code + struct.pack(form, length) + content


class Maker:
    """Makes pieces of streams, one opcode each, at random."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    # text and numbers

    def name(self, odd: float) -> tuple[str, str]:
        return self.chance.choice(OTHERS if self.chance.random() < odd else BENIGN)

    def text(self) -> str:
        return self.chance.choice(ODD_TEXT)

    def push(self, text: str) -> bytes:
        """A string, in any of the ways to write one."""
        raw = text.encode("utf-8", "surrogatepass")
        way = self.chance.randrange(9)
        if way == 0 and len(raw) < 256:
            return sized(b"\x8c", "<B", raw)
        if way == 1:
            return sized(b"\x8d", "<Q", raw)
        if way == 2 and len(raw) < 256:
            return sized(b"U", "<B", raw)
        if way == 3:
            return sized(b"T", "<i", raw)
        if way == 4:
            return self.quoted(raw)
        if way == 5:
            escaped = "".join(f"\\u{ord(letter):04x}" for letter in text)
            plain = text.encode("raw-unicode-escape").replace(b"\n", b"\\u000a")
            return b"V" + (escaped.encode() if self.chance.random() < 0.3 else plain) + b"\n"
        return sized(b"X", "<I", raw)

    def quoted(self, raw: bytes) -> bytes:
        """A STRING: usual quotes, escapes, and everything that is wrong with them."""
        chance = self.chance
        letters = []
        for byte in raw[:50]:
            ways = [bytes([byte]), b"\\x%02x" % byte, b"\\%03o" % byte, b"\\%o" % byte]
            letters.append(ways[0] if chance.random() < 0.8 else chance.choice(ways))
        inside = b"".join(letters).replace(b"\n", b"\\n")
        if chance.random() < 0.15:
            odd = [b"\xff", b"\xc3\xa9", b"\\", b"\\x", b"\\xz", b"\\q", b"\\\r", b"'", b'"', b"\0"]
            odd += [b"\\N{DIGIT ONE}", b"\\u0041", b"\\400", b"\\777", b"\r", b"\\8", b" "]
            place = chance.randint(0, len(inside))
            inside = inside[:place] + chance.choice(odd) + inside[place:]
        quotes = [(b"'", b"'"), (b'"', b'"')] * 30
        quotes += [
            (b"", b""),
            (b"'", b'"'),
            (b"'", b""),
            (b"", b"'"),
            (b"''", b"''"),
            (b" '", b"'"),
        ]
        quotes += [(b"'", b"' "), (b"'", b"'\r"), (b"x", b"x"), (b"u'", b"'"), (b"\\", b"\\")]
        before, after = chance.choice(quotes)
        return b"S" + before + inside + after + b"\n"

    def number(self) -> bytes:
        chance = self.chance
        way = chance.randrange(9)
        if way == 0:
            return b"K" + bytes([chance.randrange(256)])
        if way == 1:
            return b"M" + chance.randbytes(2)
        if way == 2:
            return b"J" + chance.choice(
                [b"\0\0\0\0", b"\xff" * 4, b"\xff\xff\xff\x7f", b"\1\0\0\0"]
            )
        if way == 3:
            return sized(b"\x8a", "<B", chance.randbytes(chance.choice([0, 1, 2, 9, 255])))
        if way == 4:
            return sized(b"\x8b", "<i", chance.randbytes(chance.choice([0, 1, 2, 9, 300])))
        if way == 5:
            return b"G" + chance.choice([chance.randbytes(8), b"\x7f\xf8" + bytes(6), bytes(8)])
        code = chance.choice([b"I", b"L", b"F"])
        return code + self.digits() + b"\n"

    def digits(self) -> bytes:
        return self.chance.choice(NUMBERS[:3] if self.chance.random() < 0.8 else NUMBERS)

    def atom(self) -> bytes:
        """One more thing on the stack."""
        way = self.chance.randrange(8)
        if way < 2:
            return self.number()
        if way < 4:
            return self.push(self.text())
        if way == 4:
            return self.bytes()
        return self.chance.choice([b"N", b"\x88", b"\x89", b")", b"]", b"}", b"\x8f"])

    def bytes(self) -> bytes:
        raw = self.text().encode()
        code, form = self.chance.choice(
            [(b"C", "<B"), (b"B", "<I"), (b"\x8e", "<Q"), (b"\x96", "<Q")]
        )
        return sized(code, form, raw if form != "<B" else raw[:255])

    # names

    def look_up(self, odd: float) -> bytes:
        """A name, in any of the ways to ask for one (several opcodes)."""
        module, name = self.name(odd)
        way = self.chance.randrange(10)
        if way < 4:
            return self.lines(b"c", module, name)
        if way == 4:
            return b"(" + self.lines(b"i", module, name)
        parts = [self.push(module), self.push(name)]
        if way == 5:  # through the memo, with or without padding in between
            key = self.key()
            stored = parts[0] + self.put(key) + b"0"
            return stored + self.get(key) + parts[1] + b"\x93"
        if way == 6:
            return parts[0] + b"\x94" + parts[1] + b"\x94" + b"\x93"
        if way == 7:
            return parts[1] + b"2" + b"0" + parts[0] + b"0" + parts[0] + parts[1] + b"\x93"
        return parts[0] + parts[1] + b"\x93"

    def lines(self, code: bytes, module: str, name: str) -> bytes:
        """GLOBAL or INST, now and then with odd ends of lines."""
        one = module.encode()
        two = name.encode()
        if self.chance.random() < 0.1:
            odd = [
                b"\r",
                b" ",
                b"\0",
                b"\xff",
                b"\xe9",
                b"\t",
                b"\x0c",
                b"\\u0041",
                b"\xef\xbb\xbf",
            ]
            one += self.chance.choice(odd)
        if self.chance.random() < 0.1:
            two = self.chance.choice(
                [two + b"\r", b" " + two, two + b"\0", b"\xff", b"", two + b".x"]
            )
        return code + one + b"\n" + two + b"\n"

    # memo

    def key(self) -> int:
        return self.chance.choice([0, 0, 1, 1, 2, 3, 5, 255])

    def put(self, key: int) -> bytes:
        way = self.chance.randrange(4)
        if way == 0:
            return b"p" + str(key).encode() + b"\n"
        if way == 1:
            return b"r" + struct.pack("<I", key)
        return b"q" + bytes([key])

    def get(self, key: int) -> bytes:
        way = self.chance.randrange(4)
        if way == 0:
            return b"g" + str(key).encode() + b"\n"
        if way == 1:
            return b"j" + struct.pack("<I", key)
        return b"h" + bytes([key])

    def odd_memo(self) -> bytes:
        code = self.chance.choice(b"pg")
        if self.chance.random() < 0.7:
            return bytes([code]) + self.digits() + b"\n"
        large = self.chance.choice([1 << 16, 1 << 20, (1 << 31) - 1, (1 << 32) - 1])
        return self.chance.choice([b"r", b"j"]) + struct.pack("<I", large)

    # frames, protocols, and what is seldom used

    def frame(self) -> bytes:
        return b"\x95" + struct.pack(
            "<Q", self.chance.choice([*BIG_SIZES, 4, 6, 7, 9, 10, 12, 20, 30])
        )

    def protocol(self) -> bytes:
        return b"\x80" + bytes([self.chance.choice([0, 1, 2, 3, 4, 5] * 5 + [6, 255])])

    def seldom(self) -> bytes:
        chance = self.chance
        made = [
            self.frame,
            self.protocol,
            self.odd_memo,
            lambda: b"\x82" + bytes([chance.randrange(3)]),
            lambda: b"\x83" + chance.choice([b"\0\0", b"\1\0", b"\xff\xff"]),
            lambda: b"\x84" + chance.choice([bytes(4), b"\1\0\0\0", b"\xff" * 4]),
            lambda: b"\x97",
            lambda: b"\x98",
            lambda: (
                b"P" + chance.choice([b"", b"x", b"\xff", b"storage", b"a\r", b"\xc3\xa9"]) + b"\n"
            ),
            lambda: b"Q",
            lambda: sized(b"\x8a", "<B", b"\1", chance.choice([0, 1, 2, 255])),
            lambda: sized(b"\x8b", "<I", b"\1", chance.choice(SIZES)),
            lambda: sized(b"T", "<I", b"abc", chance.choice(SIZES)),
            lambda: sized(b"X", "<I", b"abc", chance.choice(SIZES)),
            lambda: sized(b"B", "<I", b"abc", chance.choice(SIZES)),
            lambda: sized(b"\x8d", "<Q", b"abc", chance.choice(BIG_SIZES)),
            lambda: sized(b"\x8e", "<Q", b"abc", chance.choice(BIG_SIZES)),
            lambda: sized(b"\x96", "<Q", b"abc", chance.choice(BIG_SIZES)),
            lambda: sized(b"U", "<B", b"abc", chance.choice([0, 1, 3, 4, 255])),
            lambda: sized(b"\x8c", "<B", b"abc", chance.choice([0, 1, 3, 4, 255])),
            lambda: sized(
                b"X", "<I", chance.choice([b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf8"])
            ),
            lambda: (
                b"V" + chance.choice([b"\\u00", b"\\U00110000", b"\xff", b"\\ud800", b"\\"]) + b"\n"
            ),
            lambda: bytes([chance.randrange(256)]),
            lambda: b"",
        ]
        return chance.choice(made)()

    # programs

    def value(self, depth: int, odd: float) -> list[bytes]:
        """Pieces that leave one thing on the stack, mostly."""
        chance = self.chance
        if depth <= 0 or chance.random() < 0.4:
            return [self.atom()]
        ways = [self.row, self.table, self.several, self.called, self.built, self.kept, self.loose]
        return chance.choice(ways)(depth - 1, odd)

    def values(self, depth: int, odd: float, most: int = 3) -> list[bytes]:
        pieces = []
        for _ in range(self.chance.randint(0, most)):
            pieces += self.value(depth, odd)
        return pieces

    def row(self, depth: int, odd: float) -> list[bytes]:
        """A list or a set, filled in any of the ways."""
        way = self.chance.randrange(5)
        if way == 0:
            return [b"(", *self.values(depth, odd), b"l"]
        if way == 1:
            return [b"]", *self.value(depth, odd), b"a"]
        if way == 2:
            return [b"]", b"(", *self.values(depth, odd), b"e"]
        if way == 3:
            return [b"\x8f", b"(", *self.values(depth, odd), b"\x90"]
        return [b"(", *self.values(depth, odd), b"\x91"]

    def table(self, depth: int, odd: float) -> list[bytes]:
        pairs = []
        for _ in range(self.chance.randint(0, 2)):
            pairs += [self.push(self.text()), *self.value(depth, odd)]
        way = self.chance.randrange(4)
        if way == 0:
            return [b"(", *pairs, b"d"]
        if way == 1:
            return [b"}", self.push(self.text()), *self.value(depth, odd), b"s"]
        if way == 2:
            target = self.chance.choice([b"}", b"]", b")"])  # items may be set on a list as well
            return [target, b"(", *pairs, b"u"]
        return [b"](", *self.values(depth, odd), b"e", b"K\0", *self.value(depth, odd), b"s"]

    def several(self, depth: int, odd: float) -> list[bytes]:
        count = self.chance.randrange(4)
        if count == 0 or self.chance.random() < 0.3:
            return [b"(", *self.values(depth, odd), b"t"]
        pieces = []
        for _ in range(count):
            pieces += self.value(depth, odd)
        return [*pieces, b"?\x85\x86\x87"[count : count + 1]]

    def called(self, depth: int, odd: float) -> list[bytes]:
        chance = self.chance
        name = self.look_up(odd)
        way = chance.randrange(6)
        if way == 0:
            return [name, *self.several(depth, odd), b"\x81"]
        if way == 1:
            return [name, *self.several(depth, odd), *self.table(depth, odd), b"\x92"]
        if way == 2:
            return [b"(", name, *self.values(depth, odd), b"o"]
        if way == 3:
            module, attribute = self.name(odd)
            return [b"(", *self.values(depth, odd), self.lines(b"i", module, attribute)]
        if way == 4:
            return [name, b")", b"R"]
        return [name, *self.several(depth, odd), b"R"]

    def built(self, depth: int, odd: float) -> list[bytes]:
        """Something, and then a state for it, often one that does nothing."""
        state = self.chance.choice([[b"}"], [b"N"], [b"NN\x86"], [b")"], self.table(depth, odd)])
        return [*self.value(depth, odd), *state, b"b"]

    def kept(self, depth: int, odd: float) -> list[bytes]:
        """Something in the memo, taken out again."""
        key = self.key()
        store = b"\x94" if self.chance.random() < 0.3 else self.put(key)
        return [*self.value(depth, odd), store, b"0", self.get(key)]

    def loose(self, depth: int, odd: float) -> list[bytes]:
        """Any opcode without argument, or a name, or a thing of persistent_load."""
        chance = self.chance
        way = chance.randrange(6)
        if way == 5:
            return self.array()
        if way == 0:
            return [
                bytes(
                    [chance.choice(b"()0123abdelostuQR]}.\x81\x85\x86\x87\x8f\x90\x91\x92\x93\x94")]
                )
            ]
        if way == 1:
            return [*self.value(depth, odd), b"Q"]
        if way == 2:
            storage = [self.push("storage"), self.look_up(odd), self.push("0"), self.push("cpu")]
            return [b"(", *storage, self.number(), b"t", b"Q"]
        if way == 3:
            return [*self.value(depth, odd), b"2", b"0"]
        return [self.look_up(odd)]

    def array(self) -> list[bytes]:
        """An array as joblib writes it, now and then with lies about its length."""
        chance = self.chance
        size = chance.choice([0, 1, 2, 4, 8, 20, 40])
        inside = chance.choice([bytes(size), self.look_up(1.0) + b")R", b"N0" * (size // 2)])[:255]
        shape = chance.choice([size, len(inside), len(inside), len(inside), 1, 200])
        code = "O8" if chance.random() < 0.2 else "u1"
        kind = [b"cnumpy\ndtype\n", self.push(code), b"\x89\x88\x87", b"R"]
        pairs = [[self.push("shape"), b"K", bytes([shape]), b"\x85"], [self.push("dtype"), *kind]]
        padding = b""
        if chance.random() < 0.5:
            aligned = chance.choice([b"K\x10", b"K\x10", b"N"])
            pairs.append([self.push("numpy_array_alignment_bytes"), aligned])
            length = chance.choice([0, 1, 3, len(inside)])
            filler = chance.choice([b"\xff" * length, inside[:length]])
            padding = b"" if aligned == b"N" else bytes([length]) + filler
        if chance.random() < 0.2:
            pairs.append([self.push("shape"), b"K", bytes([chance.choice([0, 1, 5])]), b"\x85"])
        chance.shuffle(pairs)
        pieces = [b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n", b")", b"\x81", b"}", b"("]
        for pair in pairs:
            pieces += pair
        return [*pieces, b"u", b"b", padding, inside]

    def program(self) -> list[bytes]:
        """A stream: mostly sound, mostly with names that are allowed, until one at the end."""
        chance = self.chance
        odd = 0.3 if chance.random() < 0.15 else 0.0
        pieces = [] if chance.random() < 0.3 else [self.protocol()]
        for _ in range(chance.randint(0, 4)):
            pieces += self.value(chance.randint(0, 3), odd)
        if chance.random() < 0.4:
            place = chance.randint(0, len(pieces))
            pieces[place:place] = [self.seldom()]
        if chance.random() < 0.2:
            pieces = self.framed(pieces)
        return pieces + self.ending()

    def ending(self) -> list[bytes]:
        """Often a name that is not allowed, called or not; often a STOP."""
        chance = self.chance
        pieces = []
        if chance.random() < 0.75:
            pieces.append(self.look_up(1.0))
            if chance.random() < 0.3:
                pieces += [b")", chance.choice([b"R", b"\x81"])]
        if chance.random() < 0.85:
            pieces.append(b".")
        if not pieces or chance.random() < 0.05:
            return pieces
        if chance.random() < 0.05:
            pieces[-1] = pieces[-1][: chance.randint(0, len(pieces[-1]))]
        return pieces

    def framed(self, pieces: list[bytes]) -> list[bytes]:
        """A frame around some of them, of the right length or nearly."""
        chance = self.chance
        begin = chance.randint(0, len(pieces))
        end = chance.randint(begin, len(pieces))
        length = len(b"".join(pieces[begin:end])) + chance.choice([0, 0, 0, 0, -1, 1, 2, 5, 30])
        return [*pieces[:begin], b"\x95" + struct.pack("<Q", max(0, length)), *pieces[begin:]]


# --- pieces of real pickles


def split(content: bytes) -> list[bytes]:
    """A sound pickle, opcode by opcode."""
    places = [place for _, _, place in pickletools.genops(content)]
    return [content[begin:end] for begin, end in pairwise([*places, len(content)])]


def samples() -> list[list[bytes]]:
    """Real pickles of every protocol, in pieces."""
    import numpy
    import torch

    pickled = []
    more = OrderedDict(w=1, more={"a": (1, b"\xff", -1 << 70, 2.5, {3}, frozenset("b"))})
    for protocol in range(6):
        pickled.append(pickle.dumps(["posix", "system", "é", None, True, more], protocol))
        pickled.append(pickle.dumps([numpy.arange(3.0), numpy.float32(1)], protocol))
    kept = {"w": torch.ones(3), "n": torch.nn.Parameter(torch.zeros(2, 2)), "x": [1, (2, "x")]}
    for protocol in (2, 3, 4):
        buffer = io.BytesIO()
        torch.save(kept, buffer, pickle_protocol=protocol)
        with zipfile.ZipFile(buffer) as archive:
            names = archive.namelist()
            pickled += [archive.read(name) for name in names if name.endswith("data.pkl")]
    return [split(content) for content in pickled]


class Breeder(Maker):
    """Makes whole streams: programs, and real pickles spoilt."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.samples = samples()

    def stream(self) -> list[bytes]:
        way = self.chance.random()
        if way < 0.65:
            return self.program()
        if way < 0.95:
            return self.spoilt()
        codes = [
            bytes([code]) for code in b"()0123abdelostuQRN]}.\x81\x85\x86\x87\x8f\x90\x91\x93\x94"
        ]
        picked = self.chance.choices([*codes, b"I1\n", b"S'a'\n", b"K\0", b"q\0", b"h\0"], k=15)
        return [*picked, *self.ending()]

    def spoilt(self) -> list[bytes]:
        """A real pickle with pieces of others in it, opcodes lost, moved, or changed."""
        chance = self.chance
        pieces = list(chance.choice(self.samples))
        if chance.random() < 0.8:  # a frame of another length would hide the rest
            pieces = [piece for piece in pieces if piece[:1] != b"\x95"]
        for _ in range(chance.randint(1, 3)):
            place = chance.randint(0, len(pieces))
            other = chance.choice(self.samples)
            begin = chance.randrange(len(other))
            way = chance.randrange(6)
            if way == 0:
                pieces[place:place] = other[begin : begin + chance.randint(1, 8)]
            elif way == 1:
                del pieces[place : place + chance.randint(1, 3)]
            elif way == 2:
                pieces[place:place] = self.value(2, 0.0)
            elif way == 3:
                pieces[place:place] = [self.seldom()]
            elif pieces:
                pieces[place - 1] = self.flipped(pieces[place - 1])
        if pieces and chance.random() < 0.7:
            place = chance.randint(max(0, len(pieces) - 3), len(pieces))
            pieces[place:place] = self.ending()
        return pieces

    def flipped(self, piece: bytes) -> bytes:
        """One byte of an opcode changed."""
        changed = bytearray(piece or b"0")
        place = self.chance.randrange(min(len(changed), 12))
        values = [changed[place] ^ 1 << self.chance.randrange(8), self.chance.randrange(256)]
        changed[place] = self.chance.choice([*values, 10, 39])
        return bytes(changed)


# --- comparing


def judged(tool, content: bytes) -> tuple[str, object]:
    """The worst that the checker says of a pickle ("" when it is good), and what it found."""
    try:
        found = tool.read_pickle(content)
    except tool.Bad as error:
        return error.level, None
    report = tool.Report("x")
    tool.judge(found, "x", report)
    for level in (tool.DANGER, tool.BROKEN, tool.UNCLEAR):
        if level in report.levels:
            return level, found
    return "", found


def missed(tool, content: bytes, ways: list[tuple]) -> str:
    """What real unpicklers do and the checker does not tell; empty when there is nothing."""
    try:
        level, found = judged(tool, content)
    except Exception as error:
        return f"uncaught {type(error).__name__}"
    if level == tool.DANGER and found is None:
        return ""
    for way in ways:
        seen, end = unpickle(content, way)
        told = missed_here(tool, level, found, seen, end)
        if told:
            return f"{told}, {way[0].__name__} {way[1]} {way[2]}{' real' if way[3] else ''}"
    return ""


def missed_here(tool, level: str, found, seen: Seen, end: int | None) -> str:
    """The same, for what one of them has seen."""
    if level == tool.DANGER:
        return ""
    for module, name in seen:
        full = f"{module} {name}"
        if not module:  # an error, always
            continue
        if found is not None and full not in found.names:
            return f"a name that is not told, and the level is {level}"
        if full not in tool.KNOWN and not level:
            return "a name that is not allowed, and it is called good"
        if tool.is_dangerous(module, name):
            return f"a dangerous name, and the level is {level}"
    if found is None or "joblib.numpy_pickle NumpyArrayWrapper" in found.names:
        return ""  # only joblib knows where it ends
    if end is not None and end != found.end:
        return f"the end is elsewhere, and the level is {level}"
    return ""


def smaller(pieces: list[bytes], is_bad) -> bytes:
    """The same counterexample with as little as possible, by opcodes and then by bytes."""
    parts = pieces
    for _ in range(2):
        size = max(1, len(parts) // 2)
        while size:
            place = 0
            while place < len(parts):
                shorter = parts[:place] + parts[place + size :]
                if is_bad(b"".join(shorter)):
                    parts = shorter
                else:
                    place += size
            size //= 2
        parts = [bytes([byte]) for byte in b"".join(parts)]
    return b"".join(parts)


def bounded(memory: int = 100 << 20) -> None:
    """Only this much more memory for this process, and the least share of the processor."""
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    os.nice(19)
    sys.set_int_max_str_digits(0)
    warnings.simplefilter("ignore")


def search(tool, count: int, seed: int, most: int = 20) -> int:
    """Compare on so many streams; print every kind of counterexample, as small as it gets."""
    breeder = Breeder(random.Random(seed))
    bounded()
    begun = time.monotonic()
    levels: dict[str, int] = {}
    ended = looked = 0
    kinds: dict[str, int] = {}
    for number in range(count):
        pieces = breeder.stream()
        content = b"".join(pieces)
        told = missed(tool, content, WAYS)
        if told:
            kinds[told] = kinds.get(told, 0) + 1
            if kinds[told] == 1 or (kinds[told] < 4 and len(kinds) < most):
                least = smaller(pieces, lambda part, told=told: missed(tool, part, WAYS) == told)
                print(f"COUNTEREXAMPLE {told}: {least!r}", flush=True)
        if number % 50 == 0:  # how far the streams get
            seen, end = unpickle(content, WAYS[0])
            ended += end is not None
            looked += any(" ".join(name) not in tool.KNOWN for name in seen)
            level = judged(tool, content)[0] or "good"
            levels[level] = levels.get(level, 0) + 1
        if number % 20_000 == 19_999:
            rate = number / (time.monotonic() - begun)
            print(f"{number + 1} streams, {rate:.0f} a second, {kinds}", flush=True)
    print(
        f"{count} streams, seed {seed}; of one in 50: loaded {ended}, with strange names {looked}"
    )
    print(f"levels {levels}; counterexamples {kinds}", flush=True)
    return len(kinds)
