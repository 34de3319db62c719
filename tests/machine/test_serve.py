"""`mkdocs serve`: an edit shows, what did not change is not rendered anew, no warning gets lost."""

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
from tiny_course import Project, complete

UNSEEN_SECONDS = 5  # the server prints a line as soon as it sees a change
PATIENCE_SECONDS = 60  # for one build; a build that never ends must fail the test
LESSON = "/storage/text-files/"
PAGE = f"docs{LESSON}index.md"
SCRIPT = f"examples{LESSON}save_numbers.py"
RECORD = f"examples{LESSON}results/save_numbers.json"


class Server:
    """A course under `serve`."""

    def __init__(self, course: Project) -> None:
        """Start it and wait for the first build."""
        self.course = course
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mkdocs", "serve", "-a", self.address, "--livereload"],
            cwd=course.root,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self.lines: Queue[str] = Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.said_until("Serving on")

    def read(self) -> None:
        """Pass on what the server prints."""
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")  # the server has ended

    def said_until(self, text: str) -> str:
        """What is printed up to the line that holds `text`."""
        said = ""
        while text not in said:
            try:
                line = self.lines.get(timeout=PATIENCE_SECONDS)
            except Empty:
                line = ""
            assert line, said
            said += line
        return said

    def rebuild(self, path: str) -> tuple[int, str]:
        """After a change of this file: how many pages the rebuild rendered, and all it printed."""
        said = ""
        # A change made before the server's first look at its files goes unseen: touch it again.
        while "Detected file changes" not in said:
            try:
                said += self.lines.get(timeout=UNSEEN_SECONDS)
            except Empty:
                (self.course.root / path).touch()
        # "Documentation built in" is no sign: MkDocs prints the same time only once.
        said += self.said_until("Reloading browsers")
        return int(re.search(r"dựng lại (\d+) trang", said)[1]), said

    def edit(self, path: str, old: str, new: str) -> tuple[int, str]:
        """The same for an edit of this file."""
        self.course.edit(path, old, new)
        return self.rebuild(path)

    def page(self, path: str) -> str:
        """HTML of a page as the server gives it."""
        url = f"http://{self.address}{path}"
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return re.sub(r"livereload\(.*?\)", "", answer.read().decode())


@pytest.fixture
def server(tiny):
    running = Server(tiny)
    yield running
    running.process.terminate()
    running.process.wait()


def test_a_rebuild_renders_what_changed(server):
    before = server.page(LESSON)
    assert "<math" in before

    # A page.
    rendered, _ = server.edit("docs/storage/words.md", "Câu mẫu có", "Câu vừa sửa có")
    assert rendered == 1
    assert "Câu vừa sửa có" in server.page("/storage/words/")
    assert server.page(LESSON) == before

    # A warning comes again with every build until its page is mended.
    _, said = server.edit("docs/storage/words.md", "Câu vừa sửa có", "Câu 1 có")
    assert "chữ số gõ tay" in said
    rendered, said = server.edit("docs/index.md", "Trang đầu", "Trang mở đầu")
    assert "chữ số gõ tay" in said
    assert rendered == 2  # the edited page and the one that warns
    _, said = server.edit("docs/storage/words.md", "Câu 1 có", "Câu có")
    assert "chữ số gõ tay" not in said

    # A record: damaged by hand, then renewed.
    rendered, said = server.edit(RECORD, "3889", "3989")
    assert "niêm phong" in said
    assert rendered == 1
    complete(server.course.root / SCRIPT, server.course.root)
    rendered, said = server.rebuild(RECORD)
    assert "niêm phong" not in said
    assert rendered == 1
    assert "3.989</data>" in server.page(LESSON)

    # A script: its lesson and its notebook.
    _, said = server.edit(SCRIPT, "# đủ nhiều", "# khá nhiều")
    assert "script đã đổi" in said
    complete(server.course.root / SCRIPT, server.course.root)
    rendered, _ = server.rebuild(RECORD)
    assert rendered == 1
    assert "khá nhiều" in server.page(f"{LESSON}save_numbers/")

    # What all pages share: a term's definition stands on every page that uses it.
    rendered, _ = server.edit("scripts/data/glossary.yml", "Nhóm tám bit", "Tám bit liền nhau")
    assert rendered == len(list(server.course.root.glob("docs/**/*.md"))) + 2  # and the notebooks
    assert "Tám bit liền nhau" in server.page("/glossary/")
