"""The commands, and each of their options once.

Needs only Python's standard library when it is imported: `dev.py` asks its parser before anything
is installed. What a command needs beyond that is imported in its function.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from course import ROOT
from course.text import Refusal
from course.versions.branch import GitError, git

BENCHES = ROOT / "tests/bench"
PATIENCE_SECONDS = 5  # for a child that the terminal told to stop

# argparse speaks English only; these are the texts it can show here.
ARGPARSE_TEXTS = {
    "usage: ": "cách dùng: ",
    "positional arguments": "tham số",
    "options": "tuỳ chọn",
    "show this help message and exit": "hiện hướng dẫn này rồi thoát",
    "argument %(argument_name)s: %(message)s": "%(argument_name)s: %(message)s",
    "expected one argument": "cần kèm một giá trị",
    "ignored explicit argument %r": "không nhận giá trị %r",
    "the following arguments are required: %s": "còn thiếu: %s",
    "one of the arguments %s is required": "còn thiếu một trong: %s",
    "not allowed with argument %s": "không đi cùng %s",
    "unrecognized arguments: %s": "không hiểu tham số: %s",
    "invalid choice: %(value)r (choose from %(choices)s)": (
        "không có %(value)r (chọn một trong: %(choices)s)"
    ),
}


def say(text: str) -> None:
    """Print one line at once, so that it stands above what a child process prints next."""
    print(text, flush=True)


def run(*command: str | Path, **more: str) -> int:
    """Run a command in the project's root, with `more` in its environment; its exit code.

    What it prints goes straight to the terminal. However this process ends, the child ends too.
    """
    words = [str(part) for part in command]
    child = subprocess.Popen(words, cwd=ROOT, env={**os.environ, **more})
    try:
        code = child.wait()
    except KeyboardInterrupt:
        # The terminal sent Ctrl-C to the child as well: it ends by itself.
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=PATIENCE_SECONDS)
        raise
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
    if code < 0:  # ended by a signal
        return 128 - code
    return code


def python(*words: str | Path, **more: str) -> int:
    """Run this Python; the exit code."""
    return run(sys.executable, *words, **more)


def exit_code(work: Callable[..., int], *arguments: object) -> int:
    """Do the work; what a person has to know of its failure is one line."""
    # An exception in place of sudden death, so that run() ends its child.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return work(*arguments)
    except Refusal as refusal:
        print(f"Lỗi: {refusal}", file=sys.stderr)
        return refusal.code
    except GitError as error:
        reason = " ".join(str(error).split()) or "không rõ vì sao"
        print(f"Lỗi: git báo: {reason}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Lỗi: không đọc, ghi hoặc chạy được tệp: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


# The commands


def setup(args: argparse.Namespace) -> int:
    from course.node import ensure_node_modules

    ensure_node_modules(tests=True)
    say("Xong. Xem trang: python scripts/dev.py serve")
    return 0


def serve(args: argparse.Namespace) -> int:
    refuse_taken_port(args.port)
    address = f"127.0.0.1:{args.port}"
    say(f"→ Dựng trang, rồi mở tại http://{address}/ (Ctrl-C để dừng)")
    # --livereload: with click >= 8.3, MkDocs 1.6.1 no longer reloads unless told to.
    return python("-m", "mkdocs", "serve", "-a", address, "--livereload")


def refuse_taken_port(number: int) -> None:
    with socket.socket() as probe:
        if os.name != "nt":  # as the server does; on Windows this would take a port that is in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            other = 8001
            if 1024 <= number < 65535:
                other = number + 1
            cure = f"Hãy chọn cổng khác, ví dụ: --port {other}"
            raise Refusal(f"cổng {number} đang bận hoặc bị cấm. {cure}", 2) from None


def build(args: argparse.Namespace) -> int:
    command = ["-m", "mkdocs", "build"]
    if args.strict:
        command.append("--strict")
    if args.site_dir:
        target = Path(args.site_dir).absolute()
        refuse_other_files(target)
        command += ["--site-dir", str(target)]
    return python(*command)


def refuse_other_files(target: Path) -> None:
    """Of a folder for the site: MkDocs would delete what it holds."""
    holds_files = any(target.glob("[!.]*"))
    is_site = (target / "404.html").is_file()
    if target.is_file() or (holds_files and not is_site):
        cure = "hãy chọn thư mục mới, trống, hoặc đang chứa trang đã dựng."
        raise Refusal(f"{target} đã có nội dung khác: {cure}", 2)


def examples(args: argparse.Namespace) -> int:
    from course.records.renew import examples_command

    return examples_command(
        ROOT,
        args.pattern,
        check=args.check,
        listing=args.listing,
        quick=args.quick,
        force=args.force,
        jobs=args.jobs,
        time_limit=args.time_limit,
    )


def test(args: argparse.Namespace) -> int:
    """Lint and test; stops at the first step that fails."""
    from course.node import ensure_node_modules
    from course.versions.checks import TESTED

    ensure_node_modules(tests=True)
    tree = committed_tree()
    check_style()
    # Threads that wait sleep instead of spinning: the spinning takes the cores of other tests.
    own = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    checked_step("pytest", "-n", "logical", *args.words, **own)
    # Other words, or pytest's own variable, may have left tests out; what changed during the run
    # was not tested.
    whole = args.words == ["--all"] and not os.environ.get("PYTEST_ADDOPTS")
    if whole and tree and tree == committed_tree():
        stamp = ROOT / TESTED
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(f"{tree}\n", encoding="utf-8", newline="\n")
    return 0


def lint(args: argparse.Namespace) -> int:
    if args.fix:
        checked_step("ruff", "format", ".")
        checked_step("ruff", "check", "--fix", ".")
    else:
        check_style()
    return 0


def check_style() -> None:
    checked_step("ruff", "check", ".")
    checked_step("ruff", "format", "--check", ".")


def checked_step(tool: str, *words: str, **more: str) -> None:
    """Run a tool; its exit code is the command's when it fails."""
    say(" ".join(["→", tool, *words]))
    code = python("-m", tool, *words, **more)
    if code != 0:
        raise Refusal(f"{tool} dừng với mã {code}.", code)


def committed_tree() -> str:
    """Hash of HEAD's tree; empty when the working tree differs from it, or there is no git."""
    try:
        if git(ROOT, "status", "--porcelain"):
            return ""
        return git(ROOT, "rev-parse", "HEAD^{tree}")
    except (GitError, Refusal):
        return ""


def new_lesson(args: argparse.Namespace) -> int:
    from course.new_lesson import start

    for path in start(ROOT, args.module, args.lesson):
        say(f"đã ghi {path.relative_to(ROOT).as_posix()}")
    say("Bản dựng nghiêm ngặt từ chối bài này đến khi viết xong trang, chạy script, sửa số bài.")
    return 0


def release(args: argparse.Namespace) -> int:
    from course.node import ensure_node_modules
    from course.versions.release import release_command

    ensure_node_modules()  # the clone in which a version is built takes them from here
    return release_command(ROOT, args.version, dev=args.dev, dry_run=args.dry_run, push=args.push)


def versions(args: argparse.Namespace) -> int:
    from course.versions.status import list_command, verify_command

    if args.what == "verify":
        return verify_command(ROOT)
    return list_command(ROOT)


def compare_versions(args: argparse.Namespace) -> int:
    from course.versions.compare import compare_command

    return compare_command(ROOT, args.old, args.new)


def bench(args: argparse.Namespace) -> int:
    paths = [ROOT / "scripts", ROOT / "tests", ROOT / "tests/course"]
    found = os.pathsep.join(str(path) for path in paths)
    return python(BENCHES / f"bench_{args.what}.py", PYTHONPATH=found)


# The command line


def port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"cổng phải là số từ 1 đến 65535, không phải {text!r}")
    return int(text)


def jobs(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"cần một số nguyên dương, không phải {text!r}")
    return int(text)


def seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"cần số giây, không phải {text!r}") from None


class Parser(argparse.ArgumentParser):
    """Refuses wrong words in one line, as commands refuse."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"Lỗi: {message} (xem: {self.prog} --help)\n")


class Commands:
    """Collects the commands of one parser."""

    def __init__(self) -> None:
        argparse._ = lambda text: ARGPARSE_TEXTS.get(text, text)
        self.parser = Parser(
            prog="dev.py",
            description=(
                "Một lối vào cho mọi việc của dự án. "
                "Lần đầu, mỗi lệnh tự cài những gì nó cần vào .venv."
            ),
            allow_abbrev=False,
        )
        self.rows = self.parser.add_subparsers(
            title="các lệnh", metavar="LỆNH", dest="command", prog="dev.py"
        )

    def add(
        self, name: str, action: Callable[..., int], group: str, about: str, more: str = ""
    ) -> argparse.ArgumentParser:
        """A command; `group` is what dev.py installs for it."""
        description = f"{about[0].upper()}{about[1:]}. {more}".strip()
        command = self.rows.add_parser(
            name, help=about, description=description, allow_abbrev=False
        )
        command.set_defaults(action=action, group=group, parser=command)
        return command


def add_site_commands(commands: Commands) -> None:
    more = "Các lệnh khác cũng tự làm việc này khi cần."
    command = commands.add("setup", setup, "all", "cài mọi thứ vào .venv và node_modules", more)
    about = "cài thêm requirements-checkers.txt, cho hai thí nghiệm về công cụ soi"
    command.add_argument(
        "--checkers", dest="group", action="store_const", const="checkers", help=about
    )

    about = "mở trang trên máy mình, tự tải lại khi tệp thay đổi"
    command = commands.add("serve", serve, "site", about)
    about = "cổng của máy chủ (mặc định: 8000)"
    command.add_argument("--port", type=port, default=8000, metavar="CỔNG", help=about)

    more = "Mặc định, mỗi cảnh báo là một lỗi."
    command = commands.add("build", build, "site", "dựng trang thành tệp tĩnh", more)
    about = "không dừng vì cảnh báo"
    command.add_argument("--no-strict", dest="strict", action="store_false", help=about)
    about = "nơi ghi trang (mặc định: theo mkdocs.yml)"
    command.add_argument("--site-dir", metavar="THƯ_MỤC", help=about)


def add_author_commands(commands: Commands) -> None:
    command = commands.add("examples", examples, "all", "chạy các ví dụ và làm mới bản ghi")
    about = "một phần của đường dẫn, ví dụ: hugging_face"
    command.add_argument("pattern", nargs="?", default="", metavar="MẪU", help=about)
    about = "chạy lại và so với bản ghi, không ghi gì"
    command.add_argument("--check", action="store_true", help=about)
    about = "chỉ liệt kê: bản ghi nào còn mới, cũ hay thiếu"
    command.add_argument("--list", dest="listing", action="store_true", help=about)
    about = "cùng --check: ví dụ chậm chỉ chạy cỡ nhỏ"
    command.add_argument("--quick", action="store_true", help=about)
    about = "chạy cả ví dụ có bản ghi còn mới"
    command.add_argument("--force", action="store_true", help=about)
    about = "số ví dụ chạy cùng lúc (mặc định: 1); ví dụ đo thời gian luôn chạy riêng"
    command.add_argument("-j", "--jobs", type=jobs, default=1, metavar="N", help=about)
    about = "giới hạn thời gian của mỗi lần chạy, tính bằng giây (mặc định: 600)"
    command.add_argument("--time-limit", type=seconds, default=600.0, metavar="S", help=about)

    more = "Mọi tham số được chuyển cho pytest; đường dẫn tính từ thư mục gốc của dự án."
    command = commands.add("test", test, "all", "chạy ruff rồi pytest", more)
    command.usage = "dev.py test [-h] [--all] [THAM_SỐ_PYTEST ...]"
    about = "tất cả, kể cả phần chậm, như một bản phát hành đòi hỏi"
    command.add_argument("--all", action="store_true", help=about)

    command = commands.add("lint", lint, "lint", "soát mã bằng ruff, kể cả cách trình bày")
    command.add_argument("--fix", action="store_true", help="sửa những gì ruff tự sửa được")

    command = commands.add("new-lesson", new_lesson, "site", "tạo các tệp cho một bài học mới")
    about = "tên thư mục của mô-đun, ví dụ: fine-tuning"
    command.add_argument("module", metavar="MÔ_ĐUN", help=about)
    about = "tên thư mục của bài, ví dụ: saving-and-loading"
    command.add_argument("lesson", metavar="BÀI", help=about)

    command = commands.add("bench", bench, "all", "đo xem dự án lớn lên thì sao")
    names = [path.stem.removeprefix("bench_") for path in sorted(BENCHES.glob("bench_*.py"))]
    about = "một trong: " + ", ".join(names)
    command.add_argument("what", choices=names, metavar="VIỆC", help=about)


def add_version_commands(commands: Commands) -> None:
    more = (
        "Dựng trong một bản sao tạm, rồi đổi nhánh gh-pages một lần; "
        "bản đã phát hành không bao giờ đổi."
    )
    command = commands.add("release", release, "site", "phát hành một phiên bản", more)
    which = command.add_mutually_exclusive_group(required=True)
    about = "tên phiên bản, X.Y hoặc X.Y.Z"
    which.add_argument("version", nargs="?", default="", metavar="X.Y", help=about)
    which.add_argument("--dev", action="store_true", help="dựng bản đang viết, ở thư mục dev")
    about = "làm tất cả trong bản sao tạm, không đổi gì"
    command.add_argument("--dry-run", action="store_true", help=about)
    about = "đẩy nhánh gh-pages lên origin"
    command.add_argument("--push", action="store_true", help=about)

    about = "xem hoặc soát các phiên bản đã phát hành"
    command = commands.add("versions", versions, "site", about)
    names = ["list", "verify"]
    about = "list: liệt kê (mặc định); verify: so với lúc phát hành"
    command.add_argument(
        "what", nargs="?", default="list", choices=names, metavar="VIỆC", help=about
    )

    about = "so số đo có bản ghi của hai phiên bản"
    more = "In ra Markdown, thành trang được. Thời gian không được so."
    command = commands.add("compare-versions", compare_versions, "site", about, more)
    command.add_argument("old", metavar="CŨ", help="phiên bản, ví dụ 1.0")
    about = "phiên bản khác (mặc định: các bản ghi hiện có)"
    command.add_argument("new", nargs="?", default=".", metavar="MỚI", help=about)


def parse(words: list[str]) -> argparse.Namespace:
    """Read a command line; help, and words that no command knows, end the process."""
    commands = Commands()
    add_site_commands(commands)
    add_author_commands(commands)
    add_version_commands(commands)
    args, unknown = commands.parser.parse_known_args(words)
    if args.command is None:
        commands.parser.print_help()
        sys.exit(2)
    if args.command == "test" and words[0] == "test":
        args.words = words[1:]  # also --all: pytest has an option of that name
    elif unknown:
        args.parser.error("không hiểu tham số: " + " ".join(unknown))
    return args


def main(words: list[str]) -> int:
    args = parse(words)
    return exit_code(args.action, args)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
