"""The checkpoint checker as a command: verdicts, exit codes, options, what it writes."""

from __future__ import annotations

import ast
import json
import pickle
import sys
from pathlib import Path

import pytest
import torch
from checker import TOOL, run, saved
from safetensors.torch import save_file

WEIGHTS = "model.safetensors"


@pytest.fixture
def good(tmp_path):
    """A folder with one sound file of weights."""
    folder = tmp_path / "good"
    folder.mkdir()
    save_file({"w": torch.ones(3, 3)}, folder / WEIGHTS)
    return folder


@pytest.fixture
def cut(tmp_path, good):
    """The same, cut."""
    folder = tmp_path / "cut"
    folder.mkdir()
    (folder / WEIGHTS).write_bytes((good / WEIGHTS).read_bytes()[:-5])
    return folder


class Settings:
    """A class of the reader's own, as configs of training are."""

    def __init__(self) -> None:
        self.rate = 0.1


def test_several_paths_end_with_the_worst_code(good, cut, tmp_path):
    (tmp_path / "letter.txt").write_text("x", encoding="utf-8")
    done = run(good, cut, tmp_path / "letter.txt")
    assert done.returncode == 1
    for path in (good, cut):
        assert f"== {path}" in done.stdout
    assert run(good, tmp_path / "letter.txt").returncode == 2
    assert run(good, good).returncode == 0


def test_code_beside_the_weights_stops_a_script(good):
    (good / "modeling_own.py").write_text("class Own: ...\n", encoding="utf-8")
    done = run(good)
    assert done.returncode == 3
    assert "modeling_own.py" in done.stdout
    assert done.stdout.strip().splitlines()[-1].startswith("CHƯA RÕ")


def test_a_class_may_be_allowed_by_name_and_a_command_may_not(tmp_path):
    path = tmp_path / "settings.pt"
    settings = Settings()
    path.write_bytes(saved({"w": torch.ones(3), "settings": settings}))
    name = f"{Settings.__module__}.Settings"
    assert run(path).returncode == 3
    assert name in run(path).stdout
    assert run(path, "--allow", name).returncode == 0
    assert run(path, "--allow", "another.Name").returncode == 3
    refused = run(path, "--allow", "os.system")
    assert refused.returncode == 2
    assert "os.system" in refused.stderr


def test_what_is_not_inspected_is_counted_and_listed(good):
    (good / "README.md").write_text("Một mô hình.", encoding="utf-8")
    (good / "model.onnx").write_bytes(b"\x08\x07onnx")
    done = run(good)
    assert done.returncode == 0
    assert "Không soi 2 tệp" in done.stdout
    listed = json.loads(run(good, "--json", "-").stdout)
    assert set(listed["reports"][0]["skipped"]) == {"README.md", "model.onnx"}


def test_patterns_that_are_ignored_are_listed_too(good):
    (good / "tool.py").write_text("import os", encoding="utf-8")
    (good / "extra").mkdir()
    (good / "extra/evil.pkl").write_bytes(pickle.dumps(print))
    assert run(good).returncode in (1, 3)
    done = run(good, "--ignore", "*.py", "--ignore", "extra/*")
    assert done.returncode == 0, done.stdout
    assert "tool.py" in done.stdout
    assert "extra/evil.pkl" in done.stdout


def test_quiet_says_the_verdict_alone(good, cut):
    assert run(good, "--quiet").stdout.count("\n") == 1
    assert run(cut, "--quiet").stdout == "HỎNG: đừng dùng.\n"


def test_json_has_levels_and_rules_that_stay(cut, tmp_path):
    done = run(cut, "--json", "-")
    result = json.loads(done.stdout)
    assert result["exit_code"] == done.returncode == 1
    [finding] = [found for found in result["reports"][0]["findings"] if found["level"] == "broken"]
    assert finding["rule"] == "safetensors-size"
    assert finding["where"] == WEIGHTS
    assert "bị cắt" in finding["text"]
    assert not (Path.cwd() / "-").exists()
    assert run(cut, "--json", tmp_path / "out.json", "--quiet").returncode == 1
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == result


def test_the_version_is_told():
    assert run("--version").stdout.startswith("verify_checkpoint ")


def test_a_python_that_is_too_old_is_told_in_one_line():
    """The file can be read by Python 3.8, up to the line that says what it needs."""
    text = TOOL.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    first = next(node for node in tree.body if isinstance(node, ast.If))
    check = compile(ast.Module([first], []), "check", "exec")

    class Old:
        version_info = (3, 8, 10)
        version = "3.8.10 (default)"
        exit = staticmethod(sys.exit)

    with pytest.raises(SystemExit) as stopped:
        exec(check, {"sys": Old})
    assert "3.8.10" in str(stopped.value)


def test_a_bug_of_the_tool_is_no_verdict_on_the_file(good, monkeypatch):
    from checker import tool

    def stumble(*_):
        raise KeyError("x")

    monkeypatch.setattr(tool, "check_safetensors", stumble)
    report = tool.verify(good)
    [bug] = [finding for finding in report.findings if finding.rule == "tool-error"]
    assert report.exit_code != 0
    assert "stumble" in bug.text
    assert "KeyError" in bug.text


def test_zeros_and_nothing_are_never_praised(tmp_path):
    for name in ("nothing.safetensors", "nothing.pt", "number.pt", "words.pkl"):
        path = tmp_path / name
        if name.endswith("safetensors"):
            save_file({}, path)
        elif name.endswith("pkl"):
            path.write_bytes(pickle.dumps({"a": 1}))
        else:
            path.write_bytes(saved({} if name == "nothing.pt" else 7))
        assert run(path).returncode in (1, 2), name
        assert "TỐT" not in run(path).stdout
    save_file({"a": torch.zeros(64, 64), "b": torch.ones(64)}, tmp_path / "zero.safetensors")
    assert "toàn số 0" in run(tmp_path / "zero.safetensors").stdout
    half = torch.ones(256, 64)
    half[128:] = 0
    save_file({"a": half}, tmp_path / "half.safetensors")
    assert "toàn số 0" in run(tmp_path / "half.safetensors").stdout


def test_a_link_named_by_the_reader_keeps_its_name(tmp_path):
    """In the Hub's cache a file is a link to a blob without a suffix."""
    blobs = tmp_path / "models--me--m/blobs"
    blobs.mkdir(parents=True)
    save_file({"w": torch.ones(3)}, blobs / "0a1b")
    snapshot = tmp_path / "models--me--m/snapshots/99"
    snapshot.mkdir(parents=True)
    (snapshot / WEIGHTS).symlink_to("../../blobs/0a1b")
    for path in (snapshot / WEIGHTS, snapshot):
        done = run(path)
        assert done.returncode == 0, done.stdout
        assert WEIGHTS in done.stdout
    (tmp_path / "elsewhere.bin").write_bytes(b"x")
    (snapshot / "stray.bin").symlink_to("../../../elsewhere.bin")
    assert run(snapshot).returncode == 3
