"""Which experiments are run today: a sample within a budget of time, another one every day."""

from __future__ import annotations

import hashlib
from pathlib import Path

from course.records.record import load
from course.records.renew import is_made_small

BUDGET_SECONDS = 120
SMALL_SECONDS = 10  # what a small run is taken to need; only whole runs are recorded


def cost(script: Path) -> float:
    """Seconds that a quick run of a script takes, by its record."""
    if is_made_small(script):
        return SMALL_SECONDS
    return load(script, script.parents[3]).data["provenance"]["wall_seconds"]


def order_of(script: Path, day: str) -> str:
    """Its place in the order of that day, which nobody chooses."""
    return hashlib.sha256(f"{day} {script.name}".encode()).hexdigest()


def sample(costs: dict[Path, float], day: str, budget: float = BUDGET_SECONDS) -> list[Path]:
    """Scripts in the order of the day, as many as fit; the longest first."""
    chosen = []
    left = budget
    for script in sorted(costs, key=lambda script: order_of(script, day)):
        if costs[script] <= left:
            chosen.append(script)
            left -= costs[script]
    return sorted(chosen, key=lambda script: -costs[script])
