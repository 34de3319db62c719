"""The sample of experiments: within its budget, the same for a day, all of them in a while."""

from __future__ import annotations

from pathlib import Path

from sample import sample

COSTS = {Path(f"{number}.py"): float(number) for number in range(1, 41)}


def test_a_sample_fits_its_budget_and_leaves_out_nobody_for_long():
    seen = set()
    for day in range(1, 29):
        chosen = sample(COSTS, f"2026-02-{day:02}", budget=120)
        assert chosen == sample(dict(reversed(COSTS.items())), f"2026-02-{day:02}", budget=120)
        spent = [COSTS[script] for script in chosen]
        assert 100 <= sum(spent) <= 120
        assert spent == sorted(spent, reverse=True)
        seen |= set(chosen)
    assert seen == COSTS.keys()
