"""How building grows with the course: builds it at several sizes, and rebuilds it after one edit under `mkdocs serve`.

Prints seconds, but judges only ratios of one run: a course ten times as long may take thirteen times as long to build,
and a rebuild may render only the page that was edited. Exit code 1 when either does not hold.
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

ROOT = Path(__file__).resolve().parents[2]
SIZES = (50, 200, 500)
LESSONS_PER_MODULE = 10
FORMULAS_PER_LESSON = 20
GROWTH = 1.3  # time(500) <= GROWTH * 10 * time(50)
REBUILD_LIMIT_SECONDS = 300
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "node_modules*", "site", ".cache", "__pycache__", ".*_cache", "docs"
)
BUILT = re.compile(r"Documentation built in ([\d.]+) seconds")
RENDERED = re.compile(r"dựng lại (\d+) trang")

LESSON = """---
number: "{number}"
title: "{title}"
description: "{description}"
results: []
---

{sections}
"""


def course_of(root: Path, lessons: int) -> Path:
    """Write a course of that many lessons below `root`, a copy of the project without its pages."""
    shutil.copytree(ROOT, root, ignore=LEFT_OUT)
    (root / "node_modules").symlink_to(ROOT / "node_modules", target_is_directory=True)
    shutil.copytree(ROOT / "docs/assets", root / "docs/assets")
    chance = random.Random(0)
    sentences = [
        term.definition for term in glossary.load(ROOT)[0] if not re.search(r"\d", term.definition)
    ]
    modules, nav = [], ["nav:", "  - Trang chủ: index.md", "  - Thuật ngữ: glossary.md"]
    for first in range(0, lessons, LESSONS_PER_MODULE):
        number = first // LESSONS_PER_MODULE + 1
        module = root / f"docs/module-{number}"
        module.mkdir()
        names = [
            f"lesson-{place}" for place in range(1, min(LESSONS_PER_MODULE, lessons - first) + 1)
        ]
        modules.append({"folder": module.name, "lessons": names})
        nav += [f"  - Mô-đun {number}:", f"      - {module.name}/index.md"]
        head = f'---\nnumber: "{number:02}"\ntitle: Mô-đun\ndescription: "{chance.choice(sentences)}"\n---\n\n'
        (module / "index.md").write_text(head + "[[course:lessons]]\n", encoding="utf-8")
        for place, name in enumerate(names, 1):
            text = lesson(chance, f"{number:02}.{place:02}", sentences)
            (module / f"{name}.md").write_text(text, encoding="utf-8")
            nav.append(f"      - {module.name}/{name}.md")
    portal = "---\ntitle: Khoá học\ndescription: Các bài.\n---\n\n[[course:written]]\n\n[[course:modules]]\n"
    (root / "docs/index.md").write_text(portal, encoding="utf-8")
    shutil.copy(ROOT / "docs/glossary.md", root / "docs")
    (root / "scripts/data/course.yml").write_text(
        yaml.safe_dump({"modules": modules}), encoding="utf-8"
    )
    words = root / "scripts/data/glossary.yml"  # its terms lead to lessons of the real course
    words.write_text(
        re.sub(r'first: "[\d.]+"', 'first: "01.01"', words.read_text("utf-8")), encoding="utf-8"
    )
    settings = re.sub(
        r"^nav:\n(?:[ #].*\n)+",
        "\n".join(nav) + "\n",
        (ROOT / "mkdocs.yml").read_text("utf-8"),
        flags=re.M,
    )
    (root / "mkdocs.yml").write_text(settings, encoding="utf-8")
    return root


def lesson(chance: random.Random, number: str, sentences: list[str]) -> str:
    """A lesson of six sections: prose of the glossary, code, formulas of which no two are equal."""
    sections, done = [], 0
    for part in ("Trong một phút", "Khái niệm", "Thí nghiệm", "Cạm bẫy", "Bài tập", "Đọc tiếp"):
        lines = [f"## {part}", " ".join(chance.sample(sentences, 12))]
        for _ in range(
            FORMULAS_PER_LESSON // 6 + (part == "Khái niệm") * (FORMULAS_PER_LESSON % 6)
        ):
            done += 1
            index = f"{chance.choice('abcdefgh')}_{{{number.replace('.', '')}{done}}}"
            lines.append(
                rf"$$\mathcal{{L}}({index}) = -\sum_{{t=1}}^{{T}} \log p_\theta(x_t \mid x_{{<t}}, {index})$$"
            )
        lines.append('```python\nstate = model.state_dict()\ntorch.save(state, "model.pt")\n```')
        lines.append(" ".join(chance.sample(sentences, 12)))
        sections.append("\n\n".join(lines))
    title, description = (
        sentence.rstrip(".").replace('"', "") for sentence in chance.sample(sentences, 2)
    )
    return LESSON.format(
        number=number, title=title, description=description, sections="\n\n".join(sections)
    )


def build_seconds(root: Path) -> float:
    """Seconds of a strict build from nothing: no page, no formula was kept from before."""
    shutil.rmtree(root / ".cache", ignore_errors=True)
    start = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        str(root / "site"),
    ]
    done = subprocess.run(
        command, cwd=root, env=environment(), capture_output=True, encoding="utf-8"
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - start


def rebuild(root: Path) -> tuple[float, int]:
    """Seconds of the rebuild after one edit under `serve`, and how many pages it rendered."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "mkdocs", "serve", "-a", address, "--livereload"]
    page = root / "docs/module-1/lesson-1.md"
    server = subprocess.Popen(
        command,
        cwd=root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    try:
        assert server.stdout
        seconds: list[float] = []
        rendered = 0
        deadline = time.monotonic() + REBUILD_LIMIT_SECONDS
        for line in server.stdout:
            if found := RENDERED.search(line):
                rendered = int(found[1])
            if found := BUILT.search(line):
                seconds.append(float(found[1]))
                if len(seconds) == 2:
                    return seconds[1], rendered
            if "Serving on" in line:
                page.write_text(page.read_text("utf-8") + "\n\nMột câu mới.\n", encoding="utf-8")
            if time.monotonic() > deadline:
                break
        raise SystemExit("serve dừng hoặc không dựng lại sau khi sửa một trang")
    finally:
        server.terminate()
        server.wait()


def environment() -> dict[str, str]:
    """Of the processes that build."""
    return {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONUTF8": "1"}


def main() -> int:
    """Build each size, print a table, judge the ratios."""
    parser = argparse.ArgumentParser(
        prog="dev.py bench build", description="Dựng khoá học ở nhiều cỡ."
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=SIZES, metavar="SỐ_BÀI", help="mặc định: 50 200 500"
    )
    sizes = sorted(parser.parse_args().sizes)
    seconds: dict[int, float] = {}
    right = True
    print(
        f"{'bài':>5} {'dựng (giây)':>12} {'so với cỡ đầu':>14} {'dựng lại sau một lần sửa':>25}",
        flush=True,
    )
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = course_of(Path(folder) / "course", size)
            seconds[size] = build_seconds(root)
            again, rendered = rebuild(root)
        growth = seconds[size] / seconds[sizes[0]]
        limit = GROWTH * size / sizes[0]
        right &= growth <= limit and rendered == 1
        print(
            f"{size:>5} {seconds[size]:>12.1f} {growth:>7.2f} ≤ {limit:<5.1f}{again:>9.1f} s, {rendered} trang",
            flush=True,
        )
    print(
        "ĐẠT" if right else "TRƯỢT: bản dựng lớn nhanh hơn khoá học, hoặc dựng lại trang không đổi"
    )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
