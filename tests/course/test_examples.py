"""Every script keeps its record's word: a sample of each day in forks, all of them with `--all`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from course.records.cells import cells_of
from course.records.record import experiments, load
from course.records.renew import check_record, has_checkers
from course.text import read
from forks import check_quickly
from sample import cost, sample

SCRIPTS = experiments(ROOT)
DAY = os.environ["COURSE_SAMPLE_DATE"]
TIME_LIMIT_SECONDS = 900
HEADING = re.compile(r'print\("(?:\\n)?== (.+) =="\)')
COST = re.compile(
    r"Tốn \(cỡ mặc định\): không quá (\d+) giây, ([\d,]+) GiB bộ nhớ, ([\d,]+) GiB đĩa"
)
# A script with one of these says that it skips elsewhere, or reads what only Linux has.
LINUX = ('sys.platform != "linux"', "/proc/self")
FORK = 'get_context("fork")'  # not on Windows
# A script with this reads as another user where it can; elsewhere it proves the same otherwise.
AS_ROOT = "os.geteuid()"


def runs_here(script: Path) -> bool:
    """Can this machine give what the record says?"""
    source = read(script)
    if sys.platform != "linux" and any(sign in source for sign in LINUX):
        return False
    if FORK in source and not hasattr(os, "fork"):
        return False
    if not has_checkers(script, ROOT):  # the header of the test run says so
        return False
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return AS_ROOT not in source or is_root


HERE = [script for script in SCRIPTS if runs_here(script)]
TODAY = sample({script: cost(script) for script in HERE}, DAY)


def name_of(script: Path) -> str:
    return script.stem


@pytest.mark.xdist_group("forks")
@pytest.mark.parametrize("script", TODAY, ids=name_of)
def test_a_sample_of_today_gives_what_its_records_say(script):
    assert check_quickly(script) == []


@pytest.mark.all_only
@pytest.mark.parametrize("script", HERE, ids=name_of)
def test_every_record_is_given_again_at_full_size(script):
    check_record(script, ROOT, TIME_LIMIT_SECONDS, step=lambda: None, quick=False)


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_the_docstring_promises_no_less_than_was_measured(script):
    promised = COST.search(read(script))
    assert promised, "the docstring says what a run costs"
    seconds, memory, disk = (float(number.replace(",", ".")) for number in promised.groups())
    measured = load(script, ROOT).data["provenance"]
    assert measured["wall_seconds"] <= seconds
    assert measured["peak_rss_mib"] <= memory * 1024
    assert measured["peak_disk_mib"] <= disk * 1024


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_cells_and_printed_headings_agree(script):
    source = read(script)
    assert HEADING.search(source)
    for cell in cells_of(source):
        assert HEADING.findall(cell.code) in ([], [cell.title])
