"""Records: read them, know whether they are whole and current, and find a value by its key.

A record is `examples/<module>/<lesson>/results/<workflow>.json` with a transcript (`.txt`) and sometimes a figure
(`.svg`) beside it. `docs` never hold a measured number: they name a key of a record.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course import ROOT
from course.text import Refusal, digest, read

SCHEMA = 1
# Where a key is looked for when it does not begin with the name of a section.
SECTIONS = ("exact", "approx", "timing", "provenance")
# Modules whose distribution has another name.
DISTRIBUTIONS = {"yaml": "pyyaml", "sklearn": "scikit-learn", "PIL": "pillow"}
IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+([\w., ]+)", re.MULTILINE)
REQUIREMENTS = ("requirements.txt", "requirements-examples.txt")
MODELS = "requirements-models.txt"  # installed with `--no-deps`
INSTALL = re.compile(r"pip install ([\w -]+)")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==([^\s;#]+)", re.MULTILINE)
# Files among the examples that are to be taken away, not read: no cells, no record; each has its own tests.
TOOLS = {"verify_checkpoint.py"}
NEEDS = re.compile(
    r"^Cần: .*$", re.MULTILINE
)  # the line of a script's docstring that names what it needs
PROVENANCE = {"cpu", "threads", "date", "python", "wall_seconds", "peak_rss_mib", "peak_disk_mib"}


RecordError = Refusal


def examples(root: Path = ROOT) -> list[Path]:
    """Every example script; tools are none."""
    return sorted(path for path in (root / "examples").glob("*/*/*.py") if path.name not in TOOLS)


@dataclass
class Record:
    """One record as it stands in the repository.

    `problems` is empty when the record is sealed and current; otherwise it says, in Vietnamese, why it may not be shown
    by a strict build.
    """

    script: Path
    data: dict[str, Any]
    transcript: str
    figure: str
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the workflow: the file name of its script without `.py`; a record of another size adds that size."""
        return ".".join(filter(None, (self.script.stem, self.size)))

    @property
    def size(self) -> str:
        """The `--size` that the record was made with; empty for the script's own."""
        return self.data["provenance"].get("size", "")


def requirements_pins(
    root: Path = ROOT, files: tuple[str, ...] = (*REQUIREMENTS, MODELS)
) -> dict[str, str]:
    """Distribution name (lower case, `-`) -> pinned version, from the requirements files."""
    pinned = [pin for file in files for pin in PIN.findall(read(root / file))]
    return {normalise(name): version.partition("+")[0] for name, version in pinned}


def normalise(distribution: str) -> str:
    """Distribution name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def tools_of(script: Path) -> list[Path]:
    """The tools that a script's «Cần:» line names: files of its folder that must lie beside it when it runs."""
    needs = " ".join(NEEDS.findall(read(script)))
    return [script.parent / name for name in sorted(TOOLS) if name in needs]


def tools_digest(script: Path) -> str | None:
    """SHA-256 of the tools that a script needs, None when it needs none."""
    tools = tools_of(script)
    return digest("\0".join(map(read, tools))) if tools else None


def pins_of(script: str, pins: dict[str, str]) -> dict[str, str]:
    """Pins of the distributions that a script needs: those it imports, in its child programs (string constants) too,
    and those of the `pip install` line in its docstring.
    """
    modules: set[str] = set()
    for names in IMPORT.findall(script):
        for name in re.split(r"\bimport\b", names)[0].split(","):
            modules.add(name.split()[0].split(".")[0] if name.split() else "")
    modules |= {name for line in INSTALL.findall(script) for name in line.split()}
    wanted = {normalise(DISTRIBUTIONS.get(module, module)) for module in modules if module}
    return {name: pins[name] for name in sorted(wanted & pins.keys())}


def seal_of(data: dict[str, Any], transcript: str, figure: str) -> str:
    """SHA-256 of the record's canonical JSON without its seal, and of the transcript and the figure."""
    unsealed = {key: value for key, value in data.items() if key != "seal"}
    canonical = json.dumps(unsealed, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256("\0".join((canonical, transcript, figure)).encode()).hexdigest()


def paths_of(script: Path, machine: str = "") -> tuple[Path, Path, Path]:
    """Paths of a script's record, transcript and figure.

    `machine`: made elsewhere (`X.<machine>.json`), or here at another size (`X.<size>.json`).
    """
    stem = script.stem + (f".{machine}" if machine else "")
    folder = script.parent / "results"
    return folder / f"{stem}.json", folder / f"{stem}.txt", folder / f"{stem}.svg"


def write(script: Path, data: dict[str, Any], transcript: str, figure: str) -> None:
    """Seal and write a record, its transcript and its figure (no figure: none is kept)."""
    record_path, transcript_path, figure_path = paths_of(script, data["provenance"].get("size", ""))
    record_path.parent.mkdir(exist_ok=True)
    data = {**data, "seal": seal_of(data, transcript, figure)}
    record_path.write_text(
        json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", newline="\n"
    )
    transcript_path.write_text(transcript, encoding="utf-8", newline="\n")
    if figure:
        figure_path.write_text(figure, encoding="utf-8", newline="\n")
    else:
        figure_path.unlink(missing_ok=True)


def load(script: Path, root: Path = ROOT, machine: str = "") -> Record:
    """Read the record of a script and judge it. One from another machine is never stale, one of another size may be.

    Raises RecordError when the script or the record is missing or is not a record at all.
    """
    if not script.exists():
        raise RecordError(f"không có script {script.relative_to(root).as_posix()}")
    record_path, transcript_path, figure_path = paths_of(script, machine)
    shown = record_path.relative_to(root).as_posix()
    if not record_path.exists():
        raise RecordError(f"chưa có bản ghi {shown}; {renewal(script, machine)}")
    try:
        data = json.loads(read(record_path))
        if data["schema"] != SCHEMA or data["command"] != f"python {script.name}":
            raise ValueError("không phải bản ghi của script này")
        known = data["provenance"]
        known_script, known_pins = known["script_sha256"], dict(known["pins"])
        if PROVENANCE - known.keys():
            raise ValueError(f"thiếu {', '.join(sorted(PROVENANCE - known.keys()))}")
        record = Record(script, data, read(transcript_path), read(figure_path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"bản ghi {shown} không đọc được ({error}); {renewal(script, machine)}"
        ) from error
    if data.get("seal") != seal_of(data, record.transcript, record.figure):
        record.problems.append(
            f"niêm phong của {shown} đã vỡ: bản ghi bị sửa tay; {renewal(script, machine)}"
        )
    if not machine or record.size:
        source = read(script)
        reasons = [] if known_script == digest(source) else ["script đã đổi"]
        reasons += (
            [] if known.get("tools_sha256") == tools_digest(script) else ["công cụ đi kèm đã đổi"]
        )
        pins = pins_of(source, requirements_pins(root))
        reasons += [
            f"{name} đã đổi phiên bản"
            for name in sorted(pins.keys() | known_pins)
            if pins.get(name) != known_pins.get(name)
        ]
        if reasons:
            record.problems.append(
                f"bản ghi {shown} đã cũ ({', '.join(reasons)}); {renewal(script, machine)}"
            )
    return record


def renewal(script: Path, size: str = "") -> str:
    """The command that renews a record, as an author is told it."""
    return f"chạy: python3 scripts/dev.py examples {script.stem}{f' --size {size}' if size else ''}"


def lookup(data: dict[str, Any], key: str) -> tuple[Any, str]:
    """Value and section of a dotted key. The section's name may be left out: `files.config.json` is `exact.files…`.

    Names in a record may hold dots themselves (file names), so every way to cut the key is tried.
    Raises RecordError when nothing, or more than one thing, answers to the key.
    """
    found: list[tuple[Any, str]] = []
    for section in SECTIONS:
        found += [(value, section) for value in walk(data.get(section, {}), key)]
    first = key.split(".")[0]
    found += [(value, first) for value in walk(data, key)] if first in data else []
    if not found:
        raise RecordError(f"bản ghi không có khoá «{key}»")
    if len(found) > 1:
        raise RecordError(
            f"khoá «{key}» ứng với {len(found)} chỗ trong bản ghi: hãy ghi đủ cả phần (exact., approx.…)"
        )
    value, section = found[0]
    if isinstance(value, dict) and "value" in value and value.keys() <= {"value", "rel", "abs"}:
        value = value["value"]
    if isinstance(value, dict):
        raise RecordError(f"khoá «{key}» là một nhóm, không phải một giá trị")
    return value, section


def walk(node: Any, key: str) -> list[Any]:
    """All values that a dotted key reaches in nested dictionaries."""
    if not isinstance(node, dict):
        return []
    found = [node[key]] if key in node else []
    for at, letter in enumerate(key):
        if letter == "." and key[:at] in node:
            found += walk(node[key[:at]], key[at + 1 :])
    return found
