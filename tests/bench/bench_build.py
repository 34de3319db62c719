"""How building grows with the course: several sizes built, and rebuilt after one edit under serve.

Prints seconds, but judges only ratios of one run: a course ten times as long may take thirteen
times as long to build, and a rebuild may render only the page that was edited. Exit code 1 when
either does not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from course.pages import glossary
from tiny_course import Project, make_tiny

ROOT = Path(__file__).resolve().parents[2]
SIZES = (50, 200, 500)
LESSONS_PER_MODULE = 10
FORMULAS_PER_SECTION = 3
PARTS = ("Trong một phút", "Khái niệm", "Thí nghiệm", "Cạm bẫy", "Bài tập", "Đọc tiếp")
GROWTH = 1.3  # time(500) <= GROWTH * 10 * time(50)
PATIENCE_SECONDS = 300
BUILT = re.compile(r"Documentation built in ([\d.]+) seconds")
RENDERED = re.compile(r"dựng lại (\d+) trang")
ENVIRONMENT = {
    **os.environ,
    "NO_MKDOCS_2_WARNING": "1",
    "PYTHONUTF8": "1",
    "PYTHONPATH": str(ROOT / "scripts"),
}


class Author:
    """Writes lessons of the glossary's sentences; of all their formulas no two are equal."""

    def __init__(self) -> None:
        self.chance = random.Random(0)
        self.formulas = 0
        self.sentences = []
        for term in glossary.load(ROOT)[0]:
            if not re.search(r"\d", term.definition):
                self.sentences.append(term.definition)

    def phrase(self) -> str:
        return self.chance.choice(self.sentences).rstrip(".").replace('"', "")

    def head(self, number: str, more: str = "") -> str:
        """Front matter of a page."""
        title = self.phrase()
        described = self.phrase()
        facts = f'number: "{number}"\ntitle: "{title}"\ndescription: "{described}"\n'
        return f"---\n{facts}{more}---\n\n"

    def formula(self) -> str:
        self.formulas += 1
        loss = rf"\mathcal{{L}}(\theta_{{{self.formulas}}})"
        return rf"$${loss} = -\sum_{{t=1}}^{{T}} \log p_\theta(x_t \mid x_{{<t}})$$"

    def section(self, part: str) -> str:
        """Prose, formulas and code."""
        lines = [f"## {part}", " ".join(self.chance.sample(self.sentences, 12))]
        for _ in range(FORMULAS_PER_SECTION):
            lines.append(self.formula())
        lines.append('```python\nstate = model.state_dict()\ntorch.save(state, "model.pt")\n```')
        lines.append(" ".join(self.chance.sample(self.sentences, 12)))
        return "\n\n".join(lines)

    def lesson(self, number: str) -> str:
        sections = [self.section(part) for part in PARTS]
        return self.head(number, "experiments: []\n") + "\n\n".join(sections) + "\n"


def course_of(root: Path, lessons: int) -> Project:
    """A course of that many lessons, with the settings and the glossary of the real one."""
    course = make_tiny(root)
    for folder in ("docs/storage", "examples/storage"):
        shutil.rmtree(root / folder)
    author = Author()
    modules = []
    for first in range(0, lessons, LESSONS_PER_MODULE):
        number = f"{first // LESSONS_PER_MODULE + 1:02}"
        folder = f"module-{number}"
        names = []
        for place in range(1, min(LESSONS_PER_MODULE, lessons - first) + 1):
            names.append(f"lesson-{place}")
            page = f"docs/{folder}/{names[-1]}.md"
            course.write(page, author.lesson(f"{number}.{place:02}"))
        course.write(f"docs/{folder}/index.md", f"{author.head(number)}[[course:lessons]]\n")
        modules.append({"folder": folder, "lessons": names})
    reference = {"title": "Tra cứu", "pages": ["glossary.md", "whats-new.md"]}
    data = {"modules": modules, "reference": reference}
    course.write("scripts/data/course.yml", yaml.safe_dump(data, allow_unicode=True))
    course.edit("docs/index.md", "[Lưu số](storage/text-files/index.md)", "bài đầu")
    course.edit("scripts/data/changelog.yml", "[Lưu số](storage/text-files/index.md)", "Mọi bài")
    words = (ROOT / "scripts/data/glossary.yml").read_text(encoding="utf-8")
    # Its terms lead to lessons of the real course.
    course.write("scripts/data/glossary.yml", re.sub(r'first: "[\d.]+"', 'first: "01.01"', words))
    return course


def build_seconds(course: Project) -> float:
    """Seconds of a strict build from nothing, in a process of its own."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=course.root, env=ENVIRONMENT, capture_output=True, encoding="utf-8"
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - start


def rebuild(course: Project) -> tuple[float, int]:
    """Seconds of the rebuild after one edit under `serve`, and how many pages it rendered."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    server = subprocess.Popen(
        [sys.executable, "-m", "mkdocs", "serve", "-a", address, "--livereload"],
        cwd=course.root,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    try:
        return rebuilt(server, course.root / "docs/module-01/lesson-1.md")
    finally:
        server.terminate()
        server.wait()


def rebuilt(server: subprocess.Popen[str], page: Path) -> tuple[float, int]:
    """The same of a server that is starting: edit a page once it serves."""
    rendered = 0
    edited = False
    deadline = time.monotonic() + PATIENCE_SECONDS
    for line in server.stdout:
        if "Serving on" in line:
            page.write_text(f"{page.read_text('utf-8')}\n\nMột câu mới.\n", encoding="utf-8")
            edited = True
        if RENDERED.search(line):
            rendered = int(RENDERED.search(line)[1])
        if BUILT.search(line) and edited:
            return float(BUILT.search(line)[1]), rendered
        if time.monotonic() > deadline:
            break
    raise SystemExit("serve dừng hoặc không dựng lại sau khi sửa một trang")


def main() -> int:
    """Build each size, print a table, judge the ratios."""
    parser = argparse.ArgumentParser(prog="dev.py bench build", description="Dựng ở nhiều cỡ.")
    more = "mặc định: 50 200 500"
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="SỐ_BÀI", help=more)
    sizes = sorted(parser.parse_args().sizes)
    first = 0.0
    right = True
    print("  bài  dựng (giây)  so với cỡ đầu  dựng lại sau một lần sửa", flush=True)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            course = course_of(Path(folder) / "course", size)
            seconds = build_seconds(course)
            again, rendered = rebuild(course)
        first = first or seconds
        growth = seconds / first
        limit = GROWTH * size / sizes[0]
        right = right and growth <= limit and rendered == 1
        ratio = f"{growth:.2f} ≤ {limit:.1f}"
        print(
            f"{size:>5} {seconds:>12.1f} {ratio:>14}  {again:.1f} s, {rendered} trang", flush=True
        )
    if right:
        print("ĐẠT")
        return 0
    print("TRƯỢT: bản dựng lớn nhanh hơn khoá học, hoặc dựng lại trang không đổi")
    return 1


if __name__ == "__main__":
    sys.exit(main())
