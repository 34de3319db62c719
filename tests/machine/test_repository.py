"""The repository around the site: pins, reasons, writing."""

from __future__ import annotations

import json
import re
import subprocess
import unicodedata
from pathlib import Path

from course.text import read

ROOT = Path(__file__).resolve().parents[2]
SITE = "requirements.txt"
EXAMPLES = "requirements-examples.txt"
MODELS = "requirements-models.txt"
CHECKERS = "requirements-checkers.txt"
PIN = re.compile(r"([a-zA-Z0-9._-]+)==[^ ;]+(; .+)?")
OTHERS = "# What the lines above need"  # from here on: what only other packages ask for
# In parts, so that this file does not name them.
REGISTRIES = ["pypi" + ".org", "python" + "hosted", "registry.npm" + "js", "download.py" + "torch"]


def lines_of(name: str) -> list[str]:
    """What a requirements file asks for, without comments."""
    lines = read(ROOT / name).splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def names_of(lines: list[str]) -> list[str]:
    names = []
    for line in lines:
        pin = PIN.fullmatch(line)
        assert pin, f"not pinned: {line}"
        names.append(pin[1].lower().replace("_", "-"))
    return names


def test_every_package_is_pinned_once():
    first, *examples = lines_of(EXAMPLES)
    assert first == f"-r {SITE}"
    names = names_of([*lines_of(SITE), *examples, *lines_of(MODELS), *lines_of(CHECKERS)])
    assert len(names) == len(set(names))
    package = json.loads(read(ROOT / "package.json"))
    for version in (package["dependencies"] | package["devDependencies"]).values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_the_site_needs_neither_torch_nor_tests():
    names = names_of(lines_of(SITE))
    assert "mkdocs-material" in names
    for heavy in ("torch", "transformers", "matplotlib", "pytest", "playwright", "ruff"):
        assert heavy not in names


def test_the_readme_gives_a_reason_for_every_direct_dependency():
    readme = read(ROOT / "README.md")
    package = json.loads(read(ROOT / "package.json"))
    direct = [*package["dependencies"], *package["devDependencies"]]
    for file in (SITE, EXAMPLES, MODELS, CHECKERS):
        assert f"`{file}`" in readme
        asked, _, _ = read(ROOT / file).partition(OTHERS)
        for line in asked.splitlines():
            if PIN.fullmatch(line):
                direct.append(PIN.fullmatch(line)[1])
    rows = [line.split("|")[1] for line in readme.splitlines() if line.startswith("| ")]
    for name in direct:
        assert any(f"`{name}`" in row for row in rows), name


def files() -> list[Path]:
    """The files that git knows, or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    paths = [ROOT / name for name in listed.decode().split("\0")]
    return [path for path in paths if path.is_file()]


def test_texts_are_nfc_and_name_no_registry():
    wrong = []
    for path in files():
        data = path.read_bytes()
        if b"\0" in data:  # weights, a picture
            continue
        text = data.decode("utf-8")
        if unicodedata.normalize("NFC", text) != text:
            wrong.append(f"{path} is not NFC")
        for registry in REGISTRIES:
            if registry in text:
                wrong.append(f"{path} names {registry}")
    assert wrong == []
