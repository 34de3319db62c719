"""Starts a lesson: a page, an experiment and a line in course.yml.

Page and experiment fail until an author fills them in.
"""

from __future__ import annotations

import re
from pathlib import Path

from course import catalog
from course.text import Refusal

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

PAGE = """---
number: "{number}"
title: Chưa đặt tên
description: Chưa có mô tả.
experiments: [{experiment}]
---

## Trong 60 giây

[[{experiment}#chua-viet]]

## Học xong bạn làm được gì

- [[chưa viết: một điều kiểm được]]

## Thí nghiệm

[[chưa viết: mã theo đoạn, kết quả ngay dưới, ý nghĩa, và điều nó không cho thấy]]

## Cạm bẫy

[[chưa viết: triệu chứng, nguyên nhân, cách sửa]]

## Bài tập

[[chưa viết: kèm lời giải đã chạy]]

## Tài liệu tham khảo

[[chưa viết: chỉ những nguồn đã tra]]
"""

EXPERIMENT = '''"""Chưa viết: thí nghiệm này trả lời câu hỏi nào.

    python {experiment}.py

Cần: pip install torch
"""

# %% Chuẩn bị
import os
import sys

QUICK = os.environ.get("QUICK") == "1"  # kiểm thử chạy cỡ nhỏ, vài giây
STEPS = 200  # chưa viết: vì sao là số này
if QUICK:
    STEPS = 10

# %% Chưa viết
measured = STEPS

# %% Đối chiếu
proved = False  # chưa viết: điều phải đúng, tính từ những gì vừa đo
print("ĐẠT" if proved else "TRƯỢT", " chưa viết: câu mà phép so này chứng minh")

# %% Kết quả
results = {{"exact": {{"proved": proved, "measured": measured}}}}
if not proved:
    sys.exit("TRƯỢT: chưa viết.")
'''


def course_with(text: str, module: str, lesson: str) -> str:
    """course.yml with the lesson at the end of its module; every comment stays."""
    start = text.index(f"  - folder: {module}\n")
    block = re.compile(r".*\n(?:    .*\n)*").match(text, start)
    entries = block[0].replace("    lessons: []\n", "    lessons:\n") + f"      - {lesson}\n"
    return text[:start] + entries + text[block.end() :]


def module_number(root: Path, folder: str) -> str:
    modules = catalog.load(root).modules
    for module in modules:
        if module.folder == folder:
            return module.number
    known = ", ".join(module.folder for module in modules)
    message = f"không có mô-đun «{folder}» trong scripts/data/course.yml; các mô-đun: {known}"
    raise Refusal(message, 2)


def start(root: Path, module: str, lesson: str) -> list[Path]:
    """Write the lesson's files and its entry; the paths written.

    Raises Refusal, and then nothing is written.
    """
    for name in (module, lesson):
        if not NAME.fullmatch(name):
            rule = "dùng chữ thường tiếng Anh, số, nối bằng dấu gạch ngang"
            raise Refusal(f"«{name}» không hợp lệ: {rule}", 2)
    experiment = lesson.replace("-", "_")
    page = root / "docs" / module / lesson / "index.md"
    script = root / "examples" / module / lesson / f"{experiment}.py"
    for path in (page, page.parent.with_suffix(".md"), script.parent):
        if path.exists():
            raise Refusal(f"{path.relative_to(root).as_posix()} đã có", 2)
    number = f"{module_number(root, module)}.00"
    course = root / "scripts/data/course.yml"
    written = {
        course: course_with(course.read_text(encoding="utf-8"), module, lesson),
        page: PAGE.format(number=number, experiment=experiment),
        script: EXPERIMENT.format(experiment=experiment),
    }
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return list(written)
