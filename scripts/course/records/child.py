"""Runs an experiment as `python SCRIPT` would, and keeps the variable `results` that it leaves.

python child.py SCRIPT RECORD [ARGUMENTS]

RECORD gets `{"results": …}`, or `{"problem": …}` with a few Vietnamese words; it is not written
when the script fails. The standard library alone: what is imported here would count as the
script's.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any


def run_script(script: str, arguments: list[str]) -> dict[str, Any]:
    """Run a script in this process; its variables when it has come to its end."""
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).resolve().parent)
    return runpy.run_path(script, run_name="__main__")


def keep_results(variables: dict[str, Any], record: str) -> None:
    """Write the variable `results`, or why it cannot be written; nothing when there is none."""
    if "results" not in variables:
        return
    try:
        kept = json.dumps({"results": variables["results"]}, allow_nan=False)
    except (TypeError, ValueError) as error:
        kept = json.dumps({"problem": f"biến `results` không ghi được thành JSON ({error})"})
    Path(record).write_text(kept, encoding="utf-8")


if __name__ == "__main__":
    script, record, *arguments = sys.argv[1:]
    keep_results(run_script(script, arguments), record)
