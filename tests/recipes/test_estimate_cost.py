"""estimate_cost.py: numbers by hand, numbers as readers write them, wrong numbers."""

from __future__ import annotations

import pytest
from pretraining_recipes import one_line, run_alone


@pytest.fixture
def cost():
    import estimate_cost

    return estimate_cost


def test_numbers_worked_out_by_hand(cost):
    flops = cost.training_flops(1e9, 20e9)
    assert flops == 1.2e20
    hours = cost.gpu_hours(flops, tflops=300, utilisation=0.4)
    assert hours == pytest.approx(277.8, abs=0.05)
    assert cost.days(hours, gpus=8) == pytest.approx(1.447, abs=0.001)
    assert cost.energy_kwh(hours, watts=400) == pytest.approx(111.1, abs=0.05)
    assert cost.memory_bytes(1e9) == 16e9
    assert cost.parameters_for(cost.tokens_in(50, bytes_per_token=5)) == 500_000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("175e9", 175e9),
        ("1.5e9", 1.5e9),
        ("1,5e9", 1.5e9),
        ("175 tỷ", 175e9),
        ("0,3 nghìn tỷ", 0.3e12),
        ("175B", 175e9),
        ("15T", 15e12),
        ("1.234.567", 1_234_567),
        ("1.236B", 1.236e9),
        ("1.125e9", 1.125e9),
        ("1.500", 1500),
        ("1.234,5 tỷ", 1234.5e9),
        ("40%", 0.4),
        ("40 %", 0.4),
        ("0.4", 0.4),
    ],
)
def test_numbers_as_readers_write_them(cost, text, value):
    assert cost.number(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", "abc", "-1", "1,2,3", "12 con", "0", "nan", "1e400", "1e9,2e9"]
)
def test_what_is_no_positive_number_is_refused(cost, text):
    with pytest.raises(ValueError):
        cost.number(text)


def test_the_command_line_answers_the_readers_question(tmp_path):
    done = run_alone(
        tmp_path, "estimate_cost", *["--params", "1e9", "--tokens", "20e9", "--tflops", "300"]
    )
    assert done.returncode == 0
    assert "1.2e+20 FLOP" in done.stdout
    assert "278" in done.stdout
    assert "16 GB" in done.stdout
    comma = run_alone(tmp_path, "estimate_cost", "--params", "1e9", "--utilisation", "0,5")
    point = run_alone(tmp_path, "estimate_cost", "--params", "1e9", "--utilisation", "0.5")
    assert comma.stdout == point.stdout


def test_a_corpus_gives_tokens_and_a_size(tmp_path):
    done = run_alone(tmp_path, "estimate_cost", "--megabytes", "50")
    assert "10.6 triệu" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "--params"),
        (["--params", "1,5"], "quá ít"),
        (["--params", "1e9", "--utilisation", "40"], "--utilisation"),
        (["--params", "abc"], "«abc»"),
        (["--params", "1e9", "--gpus", "0"], "--gpus"),
        (["--tokens", "1e9", "--megabytes", "3"], "--megabytes"),
    ],
)
def test_wrong_input_gets_one_line(tmp_path, arguments, word):
    assert word in one_line(run_alone(tmp_path, "estimate_cost", *arguments))
