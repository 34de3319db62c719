"""`mkdocs serve`: an edit shows, what did not change is not rendered again, and a warning never gets lost."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import urllib.request
from queue import Empty, Queue

import pytest

from conftest import environment

UNSEEN_SECONDS = 20  # the server prints a line as soon as it sees a change
PATIENCE_SECONDS = 240  # for one build; a build that never ends must fail the test


class Served:
    """A copy of the project under `serve`."""

    def __init__(self, project) -> None:
        """Start the server and wait for the first build."""
        self.project = project
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mkdocs", "serve", "-a", self.address, "--livereload"],
            cwd=project.root,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self.lines: Queue[str] = Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.until("Serving on")

    def read(self) -> None:
        """Pass on what the server prints."""
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")  # the server has ended

    def until(self, text: str) -> str:
        """What is printed up to the line that holds `text`."""
        seen = ""
        while text not in seen:
            line = self.lines.get(timeout=PATIENCE_SECONDS)
            assert line, seen
            seen += line
        return seen

    def edit(self, path: str, old: str, new: str) -> tuple[int, str]:
        """Edit a file; how many pages the rebuild rendered, and all that it printed."""
        self.project.edit(path, old, new)
        output = ""
        # An edit made before the server's first look at its files goes unseen: touch the file again.
        while "Detected file changes" not in output:
            try:
                output += self.lines.get(timeout=UNSEEN_SECONDS)
            except Empty:
                (self.project.root / path).touch()
        output += self.until("Documentation built in")
        return int(re.search(r"dựng lại (\d+) trang", output)[1]), output

    def page(self, path: str) -> str:
        """HTML of a page as the server gives it."""
        with urllib.request.urlopen(
            f"http://{self.address}{path}", timeout=PATIENCE_SECONDS
        ) as answer:
            return re.sub(r"livereload\(.*?\)", "", answer.read().decode())


@pytest.fixture
def served(project):
    server = Served(project)
    yield server
    server.process.terminate()
    server.process.wait()


def test_a_rebuild_renders_what_changed(served):
    lesson = "/fine-tuning/saving-and-loading/"
    before = served.page(lesson)
    assert "<math" in before
    rendered, _ = served.edit("docs/contributing.md", "\n## ", "\nMột câu vừa thêm.\n\n## ")
    assert rendered == 1
    assert "Một câu vừa thêm." in served.page("/contributing/")
    assert served.page(lesson) == before
    # A warning comes again with every build until its page is mended.
    _, output = served.edit("docs/contributing.md", "Một câu vừa thêm.", "Một câu có 123 chữ.")
    assert "chữ số gõ tay" in output
    rendered, output = served.edit("docs/verification.md", "\n## ", "\nMột câu khác.\n\n## ")
    assert "chữ số gõ tay" in output
    assert rendered == 2  # the edited page and the one that warns
    rendered, output = served.edit("docs/contributing.md", "Một câu có 123 chữ.", "Một câu đã sửa.")
    assert "chữ số gõ tay" not in output
    # What all pages share: a term's definition stands on every page that uses it.
    definition = "Quá trình chỉnh dần các tham số"
    rendered, _ = served.edit("scripts/data/glossary.yml", definition, "Việc chỉnh dần các tham số")
    assert rendered > 40
    assert "Việc chỉnh dần các tham số" in served.page("/glossary/")
