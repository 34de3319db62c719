"""The checkpoint checker, imported from where readers take it, and what its tests need."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import torch

from conftest import ROOT, environment

TOOL = ROOT / "examples/fine-tuning/saving-and-loading/verify_checkpoint.py"
sys.path.insert(0, str(TOOL.parent))  # the recipe of the manifest lies beside it
SPEC = importlib.util.spec_from_file_location("verify_checkpoint", TOOL)
tool = sys.modules["verify_checkpoint"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)


def look(path: Path, manifest: Path | None = None):
    """Verify; whatever is found, it may not be a bug of the tool itself."""
    report = tool.verify(path, manifest)
    bugs = [finding for finding in report.findings if finding.rule == "tool-error"]
    assert bugs == []
    return report


def said(report) -> str:
    """All that a report says."""
    return "\n".join(map(str, report.findings))


def run(*words: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess:
    """The tool as a person runs it, without site-packages."""
    command = [sys.executable, "-I", "-S", "-X", "utf8", TOOL, *words]
    return subprocess.run(
        command, cwd=cwd, env=environment(**env), capture_output=True, encoding="utf-8", timeout=120
    )


def saved(content: object, **options: object) -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def entries_of(content: bytes) -> dict[str, bytes]:
    """Entries of a ZIP."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_of(entries: dict[str, bytes], **options: object) -> bytes:
    """A ZIP of these entries, without torch's padding."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zipped(pickled: bytes, **more: bytes) -> bytes:
    """A torch ZIP with this pickle."""
    entries = {"a/data.pkl": pickled, "a/version": b"3\n"}
    for name, content in more.items():
        entries[f"a/{name}"] = content
    return zip_of(entries)
