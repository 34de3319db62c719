"""Records: read them, know whether they are whole and current, and find a value by its key.

A record is `examples/<module>/<lesson>/results/<script>.json` with a transcript (`.txt`) and
sometimes a figure (`.svg`) beside it. `docs` never hold a measured number: they name a key of a
record.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course.text import Refusal, digest, read

SCHEMA = 1
# Where a key is looked for when it does not begin with the name of a section.
SECTIONS = ("exact", "approx", "timing", "provenance")
PROVENANCE = {"cpu", "threads", "date", "python", "wall_seconds", "peak_rss_mib", "peak_disk_mib"}
APPROXIMATE = {"value", "rel", "abs"}  # the keys of an approximate value with its own tolerance

REQUIREMENTS = ("requirements.txt", "requirements-examples.txt")
MODELS = "requirements-models.txt"  # installed with `--no-deps`
CHECKERS = "requirements-checkers.txt"  # installed only where somebody asks for it
# Modules whose distribution has another name.
DISTRIBUTIONS = {"yaml": "pyyaml", "sklearn": "scikit-learn", "PIL": "pillow"}

CELL_LINE = re.compile(r"^# %%", re.MULTILINE)
IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+([\w., ]+)", re.MULTILINE)
# The line of a script's docstring that names what it needs.
NEEDS = re.compile(r"^Cần: .*$", re.MULTILINE)
# A string of a script that names a file beside it, or the course's own texts and models; where
# braces put the name together, the folder above counts.
FILE_NAMED = re.compile(r"""["']([\w-]+\.py)["']""")
DATA_NAMED = re.compile(r"""["']data/([^"'\n{]*)""")
INSTALL = re.compile(r"pip install ([\w -]+)")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==([^\s;#]+)", re.MULTILINE)


@dataclass
class Record:
    """One record as it stands in the repository.

    `problems` is empty when the record is sealed and current; otherwise it says, in Vietnamese, why
    a strict build may not show it.
    """

    script: Path
    data: dict[str, Any]
    transcript: str
    figure: str
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the script without `.py`."""
        return self.script.stem


# --- the scripts


def has_cells(script: Path) -> bool:
    """Is this an experiment, read and run from top to bottom, or a recipe to be taken home?"""
    return bool(CELL_LINE.search(read(script)))


def scripts_of(root: Path) -> list[Path]:
    return sorted((root / "examples").glob("*/*/*.py"))


def experiments(root: Path) -> list[Path]:
    """The scripts in `# %%` cells; each has a record."""
    return [script for script in scripts_of(root) if has_cells(script)]


def recipes(root: Path) -> list[Path]:
    """The others: no cells, no record, tests of their own."""
    return [script for script in scripts_of(root) if not has_cells(script)]


def modules_of(script: str) -> set[str]:
    """Names of the modules that a script imports, in its child programs (strings) too."""
    modules = set()
    for names in IMPORT.findall(script):
        for name in re.split(r"\bimport\b", names)[0].split(","):
            words = name.split()
            if words:
                modules.add(words[0].split(".")[0])
    return modules


def siblings_of(script: Path) -> list[Path]:
    """The recipes beside a script that it uses, so they must lie beside it when it runs.

    It imports them, or names their file in its «Cần:» line or in a string of its own.
    """
    source = read(script)
    modules = modules_of(source)
    needs = " ".join(NEEDS.findall(source))
    strings = FILE_NAMED.findall(source)
    found = []
    for path in sorted(script.parent.glob("*.py")):
        named = path.stem in modules or path.name in needs or path.name in strings
        if named and path != script and not has_cells(path):
            found.append(path)
    return found


def siblings_digest(script: Path) -> str | None:
    """SHA-256 of the recipes that a script uses, None when it uses none."""
    texts = [read(path) for path in siblings_of(script)]
    if not texts:
        return None
    return digest("\0".join(texts))


def data_named(script: str) -> list[str]:
    """What a script names of the course's own data: paths below examples/data/."""
    return sorted(set(DATA_NAMED.findall(script)))


def data_of(script: Path, root: Path) -> list[Path]:
    """The files and folders of examples/data/ that a script names and that exist."""
    data = root / "examples/data"
    return [data / name for name in data_named(read(script)) if (data / name).exists()]


def data_digest(script: Path, root: Path) -> str | None:
    """SHA-256 of the names and bytes of all data that a script names, None when there are none."""
    files = set()
    for path in data_of(script, root):
        if path.is_file():
            files.add(path)
        else:
            files.update(below for below in path.rglob("*") if below.is_file())
    if not files:
        return None
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(file.relative_to(root).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


# --- the pins


def requirements_pins(
    root: Path, files: tuple[str, ...] = (*REQUIREMENTS, MODELS, CHECKERS)
) -> dict[str, str]:
    """Distribution name (lower case, `-`) -> pinned version, from the requirements files."""
    pins = {}
    for file in files:
        for name, version in PIN.findall(read(root / file)):
            pins[normalise(name)] = version.partition("+")[0]
    return pins


def normalise(distribution: str) -> str:
    """Distribution name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def pins_of(script: str, pins: dict[str, str]) -> dict[str, str]:
    """Pins of the distributions that a script needs.

    Those it imports, in its child programs (string constants) too, and those of the `pip install`
    line in its docstring.
    """
    modules = modules_of(script)
    for line in INSTALL.findall(script):
        modules.update(line.split())
    needed = {normalise(DISTRIBUTIONS.get(module, module)) for module in modules}
    return {name: pins[name] for name in sorted(needed & pins.keys())}


# --- reading and writing


def seal_of(data: dict[str, Any], transcript: str, figure: str) -> str:
    """SHA-256 of the record's canonical JSON without its seal, the transcript and the figure."""
    unsealed = {key: value for key, value in data.items() if key != "seal"}
    canonical = json.dumps(unsealed, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256("\0".join((canonical, transcript, figure)).encode()).hexdigest()


def paths_of(script: Path, machine: str = "") -> tuple[Path, Path, Path]:
    """Paths of a script's record, transcript and figure.

    `machine`: made elsewhere (`X.<machine>.json`).
    """
    stem = f"{script.stem}.{machine}" if machine else script.stem
    folder = script.parent / "results"
    return folder / f"{stem}.json", folder / f"{stem}.txt", folder / f"{stem}.svg"


def write(script: Path, data: dict[str, Any], transcript: str, figure: str) -> None:
    """Seal and write a record, its transcript and its figure (no figure: none is kept)."""
    record_path, transcript_path, figure_path = paths_of(script)
    record_path.parent.mkdir(exist_ok=True)
    sealed = {**data, "seal": seal_of(data, transcript, figure)}
    text = json.dumps(sealed, ensure_ascii=False, indent=2)
    record_path.write_text(text + "\n", encoding="utf-8", newline="\n")
    transcript_path.write_text(transcript, encoding="utf-8", newline="\n")
    if figure:
        figure_path.write_text(figure, encoding="utf-8", newline="\n")
    else:
        figure_path.unlink(missing_ok=True)


def load(script: Path, root: Path, machine: str = "") -> Record:
    """Read the record of a script and judge it.

    A record from another machine is never stale. Raises Refusal when the script or the record is
    missing or is not a record at all.
    """
    if not script.exists():
        raise Refusal(f"không có script {script.relative_to(root).as_posix()}")
    record_path = paths_of(script, machine)[0]
    shown = record_path.relative_to(root).as_posix()
    cure = renewal(script)
    if not record_path.exists():
        raise Refusal(f"chưa có bản ghi {shown}; {cure}")
    try:
        record = unjudged(script, machine)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(f"bản ghi {shown} không đọc được ({error}); {cure}") from error
    if record.data.get("seal") != seal_of(record.data, record.transcript, record.figure):
        record.problems.append(f"niêm phong của {shown} đã vỡ: bản ghi bị sửa tay; {cure}")
    if not machine:
        reasons = changes_since(record, root)
        if reasons:
            record.problems.append(f"bản ghi {shown} đã cũ ({', '.join(reasons)}); {cure}")
    return record


def unjudged(script: Path, machine: str) -> Record:
    """Read a record. Raises what json and dictionaries raise when it is none."""
    record_path, transcript_path, figure_path = paths_of(script, machine)
    data = json.loads(read(record_path))
    if data["schema"] != SCHEMA or data["command"] != f"python {script.name}":
        raise ValueError("không phải bản ghi của script này")
    provenance = data["provenance"]
    missing = {*PROVENANCE, "script_sha256", "pins"} - provenance.keys()
    if missing:
        raise ValueError(f"thiếu {', '.join(sorted(missing))}")
    provenance["pins"].items()  # a table, as whoever reads the record expects
    return Record(script, data, read(transcript_path), read(figure_path))


def changes_since(record: Record, root: Path) -> list[str]:
    """What has changed in the repository since the record was made, a few words each."""
    source = read(record.script)
    provenance = record.data["provenance"]
    reasons = []
    if provenance["script_sha256"] != digest(source):
        reasons.append("script đã đổi")
    if provenance.get("tools_sha256") != siblings_digest(record.script):
        reasons.append("công cụ đi kèm đã đổi")
    # A script that names no data of the course may have written the hash of its own.
    if data_named(source) and provenance.get("data_sha256") != data_digest(record.script, root):
        reasons.append("dữ liệu đi kèm đã đổi")
    pins = pins_of(source, requirements_pins(root))
    for name in sorted(pins.keys() | provenance["pins"].keys()):
        if pins.get(name) != provenance["pins"].get(name):
            reasons.append(f"{name} đã đổi phiên bản")
    return reasons


def load_all(root: Path) -> dict[str, Record | Refusal]:
    """Every record of the course by `<module>/<lesson>/<name>`, each read once.

    `name` is the script's, or `X.<machine>`. A script without a record is a Refusal.
    """
    found: dict[str, Record | Refusal] = {}
    for script in experiments(root):
        folder = script.parent.relative_to(root / "examples").as_posix()
        others = sorted(script.parent.glob(f"results/{script.stem}.*.json"))
        for name in (script.stem, *(path.stem for path in others)):
            try:
                found[f"{folder}/{name}"] = load(script, root, name.partition(".")[2])
            except Refusal as refusal:
                found[f"{folder}/{name}"] = refusal
    return found


def renewal(script: Path) -> str:
    """The command that renews a record, as an author is told it."""
    return f"chạy: python3 scripts/dev.py examples {script.stem}"


# --- values by their key


def lookup(data: dict[str, Any], key: str) -> tuple[Any, str]:
    """Value and section of a dotted key.

    The section's name may be left out: `files.config.json` is `exact.files…`. Names in a record may
    hold dots themselves (file names), so every way to cut the key is tried. Raises Refusal when
    nothing, or more than one thing, answers to the key.
    """
    found: list[tuple[Any, str]] = []
    for section in SECTIONS:
        for value in values_at(data.get(section, {}), key):
            found.append((value, section))
    first = key.split(".")[0]
    if first in data:
        for value in values_at(data, key):
            found.append((value, first))
    if not found:
        raise Refusal(f"bản ghi không có khoá «{key}»")
    if len(found) > 1:
        raise Refusal(
            f"khoá «{key}» ứng với {len(found)} chỗ trong bản ghi: "
            "hãy ghi đủ cả phần (exact., approx.…)"
        )
    value, section = found[0]
    if is_approximate(value):
        value = value["value"]
    if isinstance(value, dict):
        raise Refusal(f"khoá «{key}» là một nhóm, không phải một giá trị")
    return value, section


def is_approximate(node: Any) -> bool:
    """Is this one approximate value with its own tolerance, and not a group of values?"""
    return isinstance(node, dict) and "value" in node and node.keys() <= APPROXIMATE


def values_at(node: Any, key: str) -> list[Any]:
    """All values that a dotted key reaches in nested dictionaries."""
    if not isinstance(node, dict):
        return []
    found = []
    if key in node:
        found.append(node[key])
    for place, letter in enumerate(key):
        if letter == "." and key[:place] in node:
            found += values_at(node[key[:place]], key[place + 1 :])
    return found
