"""Starts a lesson: a page, a script and the entries that name them. They fail until an author fills them in."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

from course import ROOT
from course import catalog as course

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

PAGE = """---
number: "{number}"
title: Chưa đặt tên
description: Chưa có mô tả.
results: [{workflow}]
---

## Học xong bạn làm được gì

- [[chưa viết: một điều kiểm được]]

## Trong 60 giây

[[{workflow}#chua-viet]]

## Thí nghiệm

[[chưa viết: mã theo đoạn, kết quả ngay dưới, ý nghĩa, và điều nó không cho thấy]]

## Cạm bẫy

[[chưa viết: triệu chứng, nguyên nhân, cách sửa]]

## Tài liệu tham khảo

[[chưa viết: chỉ những nguồn đã tra]]
"""

SCRIPT = '''"""Chưa viết: script này cho thấy điều gì.

    python {workflow}.py
"""

# %% Chưa viết
import sys

sys.exit("Chưa viết: dựng → lưu → tải → đối chứng. Mã thoát 0 chỉ khi đã chứng minh.")
'''


class Refused(Exception):
    """The lesson cannot be started; one Vietnamese line."""


def course_with(text: str, module: str, lesson: str) -> str:
    """course.yml with the lesson at the end of its module."""
    block = re.search(
        rf"^  - folder: {re.escape(module)}\n(?:(?!  - folder:).*\n)*", text, re.MULTILINE
    )
    if not block:
        folders = ", ".join(entry["folder"] for entry in yaml.safe_load(text)["modules"])
        raise Refused(
            f"không có mô-đun «{module}» trong scripts/data/course.yml; các mô-đun: {folders}"
        )
    entries = block[0].replace("    lessons: []\n", "    lessons:\n") + f"      - {lesson}\n"
    return text[: block.start()] + entries + text[block.end() :]


def navigation_with(text: str, title: str, page: str) -> str:
    """mkdocs.yml with the page at the end of its module in `nav`; the module is added when it is not there."""
    nav = re.search(r"^nav:\n(?:[ #].*\n)+", text, re.MULTILINE)
    if not nav:
        raise Refused("mkdocs.yml không có nav")
    block = re.search(rf"^  - {re.escape(title)}:\n(?:    .*\n)*", nav[0], re.MULTILINE)
    at = nav.start() + (block.end() if block else len(nav[0]))
    entry = f"      - {page}\n" if block else f"  - {title}:\n      - {page}\n"
    return text[:at] + entry + text[at:]


def start(module: str, lesson: str) -> list[Path]:
    """Write the lesson's files and entries; the paths written. Raises Refused, and then nothing is written."""
    for name in (module, lesson):
        if not NAME.fullmatch(name):
            raise Refused(
                f"«{name}» không hợp lệ: dùng chữ thường tiếng Anh, số, nối bằng dấu gạch ngang"
            )
    workflow = lesson.replace("-", "_")
    page = ROOT / "docs" / module / lesson / "index.md"
    script = ROOT / "examples" / module / lesson / f"{workflow}.py"
    for path in (page, page.parent.with_suffix(".md"), script.parent):
        if path.exists():
            raise Refused(f"{path.relative_to(ROOT).as_posix()} đã có")
    listed, site = ROOT / "scripts/data/course.yml", ROOT / "mkdocs.yml"
    course_text = course_with(listed.read_text(encoding="utf-8"), module, lesson)
    known = next(known for known in course.load(ROOT).modules if known.folder == module)
    site_text = navigation_with(
        site.read_text(encoding="utf-8"), known.title, f"{module}/{lesson}/index.md"
    )
    written = {
        page: PAGE.format(number=f"{known.number}.00", workflow=workflow),
        script: SCRIPT.format(workflow=workflow),
        listed: course_text,
        site: site_text,
    }
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return list(written)


def main() -> int:
    """Command line: MODULE LESSON."""
    try:
        paths = start(*sys.argv[1:3])
    except Refused as refusal:
        print(f"Lỗi: {refusal}", file=sys.stderr)
        return 2
    for path in paths:
        print(f"đã ghi {path.relative_to(ROOT).as_posix()}")
    print(
        "Bản dựng strict sẽ từ chối bài này cho đến khi bạn viết xong trang, chạy script và sửa số bài."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
