"""The entry and the commands: what they understand, what they install, what they refuse."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from course import cli
from course.node import ensure_node_modules
from course.text import Refusal
from course.versions.branch import GitError

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ["setup", "serve", "build", "examples", "test", "lint", "new-lesson", "bench"]
COMMANDS += ["release", "versions", "compare-versions"]


def dev(*words: str, root: Path = ROOT, cwd: Path | None = None, **more: str):
    """Run dev.py of a project as a fresh Python has it: no package, no variable of its own."""
    command = [sys.executable, "-I", "-S", str(root / "scripts/dev.py"), *words]
    return subprocess.run(
        command, cwd=cwd or root, env={**os.environ, **more}, capture_output=True, encoding="utf-8"
    )


def only_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


# What it understands


def test_help_needs_the_standard_library_alone(tmp_path):
    done = dev("--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
        assert f"\n    {command}" in done.stdout
    assert dev().returncode == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_in_vietnamese(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.parse([command, "--help"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"cách dùng: dev.py {command} [-h]")
    for word in ("usage", "options", "positional", "show this"):
        assert word not in printed


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "build --stricct",
        "build extra",
        "serve --port 65536",
        "serve --port",
        "examples --jobs 0",
        "examples --time-limit long",
        "lint path",
        "new-lesson pretraining",
        "release",
        "release 1.0 --dev",
        "versions serve",
        "compare-versions",
        "bench nonsense",
        "--quick test",
    ],
)
def test_wrong_words_are_refused_in_one_line(line, capsys):
    with pytest.raises(SystemExit) as end:
        cli.parse(line.split())
    assert end.value.code == 2
    assert only_line(capsys.readouterr().err).startswith("Lỗi: ")


def test_wrong_words_are_refused_before_anything_is_installed(tmp_path):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    done = dev("build", "--stricct", root=tmp_path)
    assert done.returncode == 2
    assert "--stricct" in only_line(done.stderr)
    assert list(tmp_path.iterdir()) == [tmp_path / "scripts"]


def test_pytest_gets_every_word_as_it_was_typed():
    words = ["tests/machine", "-k", "a or b", "--all", "-x"]
    args = cli.parse(["test", *words])
    assert args.words == words
    assert args.all


# What it says when it fails


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Refusal("không được", 2), 2, "Lỗi: không được"),
        (GitError("fatal: first\nsecond"), 1, "Lỗi: git báo: fatal: first second"),
        (OSError("đĩa đầy"), 1, "Lỗi: không đọc, ghi hoặc chạy được tệp: đĩa đầy"),
    ],
)
def test_a_failure_is_one_line_and_a_code(error, code, said, capsys):
    def work() -> int:
        raise error

    assert cli.exit_code(work) == code
    assert only_line(capsys.readouterr().err) == said


def test_ctrl_c_says_nothing(capsys):
    def work() -> int:
        raise KeyboardInterrupt

    assert cli.exit_code(work) == 130
    assert capsys.readouterr() == ("", "")


def test_a_taken_port_is_one_line(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert cli.main(["serve", "--port", str(number)]) == 2
    assert "--port" in only_line(capsys.readouterr().err)


def test_a_folder_with_other_files_is_no_place_for_the_site(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("x", encoding="utf-8")
    assert cli.main(["build", "--site-dir", str(tmp_path)]) == 2
    assert str(tmp_path) in only_line(capsys.readouterr().err)
    assert (tmp_path / "thesis.txt").exists()


# What it installs: a project whose .venv holds a Python that only writes down what it is asked

FAKE_PYTHON = """#!/bin/sh
case "$*" in
  "-I -c"*) exit 0 ;;
esac
echo "$@" >> "$LOG"
case "$*" in
  *pip*) exit "$PIP_CODE" ;;
esac
"""
REQUIREMENTS = {
    "requirements.txt": "mkdocs==1\n",
    "requirements-examples.txt": "-r requirements.txt\ntorch==2\nruff==3\n",
    "requirements-models.txt": "model==4\n",
    "requirements-checkers.txt": "scanner==5\n",
}


class FreshProject:
    """The commands of a project and its requirements."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        shutil.copytree(ROOT / "scripts", root / "scripts")
        for name, text in REQUIREMENTS.items():
            (root / name).write_text(text, encoding="utf-8")
        python = root / ".venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(FAKE_PYTHON, encoding="utf-8")
        python.chmod(0o755)

    def asked(self, *words: str, pip_code: int = 0) -> list[str]:
        """What the Python of .venv was asked to do: the last word of each pip, or the command."""
        self.log.write_text("", encoding="utf-8")
        done = dev(*words, root=self.root, LOG=str(self.log), PIP_CODE=str(pip_code))
        assert done.returncode == pip_code, done.stderr
        asked = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            if "pip install" in line:
                asked.append(line.split("/")[-1].split()[-1])
            else:
                asked.append(line.removeprefix("-P -m course.cli "))
        return asked


@pytest.fixture
def fresh(tmp_path: Path) -> FreshProject:
    return FreshProject(tmp_path / "project")


posix = pytest.mark.skipif(os.name == "nt", reason="the stand-in for Python is a shell script")


@posix
def test_a_command_installs_what_it_needs_once(fresh):
    assert fresh.asked("build", "--no-strict") == ["requirements.txt", "build --no-strict"]
    assert fresh.asked("versions") == ["versions"]
    assert fresh.asked("lint") == ["ruff==3", "lint"]
    everything = ["requirements-examples.txt", "requirements-models.txt"]
    assert fresh.asked("examples") == [*everything, "examples"]
    assert fresh.asked("test", "-k", "x") == ["test -k x"]
    assert fresh.asked("setup") == ["setup"]
    checkers = ["requirements-checkers.txt", "setup --checkers"]
    assert fresh.asked("setup", "--checkers") == checkers


@posix
def test_a_changed_file_is_installed_again(fresh):
    fresh.asked("examples")
    (fresh.root / "requirements-models.txt").write_text("model==5\n", encoding="utf-8")
    assert fresh.asked("build") == ["build"]
    assert fresh.asked("examples") == ["requirements-models.txt", "examples"]
    models = fresh.log.with_name("requirements-models.txt")
    models.write_text("model==4\n", encoding="utf-8")
    assert fresh.asked("examples") == ["requirements-models.txt", "examples"]


@posix
def test_a_broken_off_installation_is_done_again(fresh):
    fresh.asked("build")
    (fresh.root / "requirements.txt").write_text("mkdocs==2\n", encoding="utf-8")
    assert fresh.asked("build", pip_code=1) == ["requirements.txt"]
    (fresh.root / "requirements.txt").write_text("mkdocs==1\n", encoding="utf-8")
    assert fresh.asked("build") == ["requirements.txt", "build"]


# What leaves the stamp that a release asks for


class TestedProject:
    """A committed project whose ruff and pytest are modules that succeed at once."""

    __test__ = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stamp = root / ".cache/tested-tree"
        shutil.copytree(ROOT / "scripts", root / "scripts")
        (root / "ruff.py").write_text("", encoding="utf-8")
        (root / "pytest.py").write_text(
            "import os, pathlib, sys\n"
            "if 'NEW_FILE' in os.environ: pathlib.Path('new').write_text('x')\n"
            "sys.exit(int(os.environ.get('CODE', 0)))\n",
            encoding="utf-8",
        )
        (root / ".gitignore").write_text(".cache/\n__pycache__/\n", encoding="utf-8")
        self.git("init", "--quiet")
        self.git("add", ".")
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        self.git(*who, "commit", "--quiet", "-m", "All")

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.root, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def stamped(self, *words: str, **more: str) -> bool:
        """Does `dev.py test` leave the stamp?"""
        self.stamp.unlink(missing_ok=True)
        found = os.pathsep.join([str(self.root), str(self.root / "scripts")])
        environment = {**os.environ, "PYTHONPATH": found, **more}
        command = [sys.executable, "-P", "-m", "course.cli", "test", *words]
        subprocess.run(command, env=environment, capture_output=True)
        return self.stamp.exists()


def test_only_a_whole_run_on_a_clean_tree_leaves_the_stamp(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    project = TestedProject(tmp_path / "project")
    assert project.stamped("--all")
    tree = project.git("rev-parse", "HEAD^{tree}")
    assert project.stamp.read_text(encoding="utf-8") == f"{tree}\n"
    assert not project.stamped()
    assert not project.stamped("--all", "-x")
    assert not project.stamped("--all", CODE="1")
    assert not project.stamped("--all", PYTEST_ADDOPTS="-x")
    assert not project.stamped("--all", NEW_FILE="1")
    assert not project.stamped("--all")  # the new file is not committed


# node_modules


def empty_package(root: Path, name: str) -> Path:
    """A package that needs nothing, so that npm needs no network."""
    (root / "package.json").write_text(f'{{"name": "{name}"}}', encoding="utf-8")
    lock = f'{{"name": "{name}", "lockfileVersion": 3, "packages": {{"": {{"name": "{name}"}}}}}}'
    (root / "package-lock.json").write_text(lock, encoding="utf-8")
    return root


def test_npm_runs_once_for_two_processes(tmp_path, capfd):
    root = empty_package(tmp_path, "first")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ensure_node_modules, [root, root]))
    ensure_node_modules(root)
    assert capfd.readouterr().out.count("npm") == 1
    ensure_node_modules(root, tests=True)
    ensure_node_modules(root)  # it has more than a build needs
    assert capfd.readouterr().out.count("npm") == 1
    empty_package(root, "second")
    ensure_node_modules(root)
    assert capfd.readouterr().out.count("npm") == 1


def test_npm_that_fails_is_refused_and_leaves_no_stamp(tmp_path):
    root = empty_package(tmp_path, "first")
    (root / "package.json").write_text('{"name": "other", "dependencies": {"x": "1"}}')
    with pytest.raises(Refusal, match="npm cài không xong"):
        ensure_node_modules(root)
    assert not (root / "node_modules/.stamp").exists()
