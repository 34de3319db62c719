"""train_tiny.py: what each part of the loop promises; the command line on good and bad text."""

from __future__ import annotations

import json
import math

import pytest
from pretraining_recipes import one_line, run_alone

SENTENCES = [f"Câu số {number} kể rằng trời hôm nay xanh, gió mát." for number in range(80)]


@pytest.fixture
def tiny():
    import train_tiny

    return train_tiny


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "van_ban.txt"
    path.write_text("\n\n".join(SENTENCES), encoding="utf-8")
    return path


def test_documents_are_read_once_each_and_in_nfc(tiny, tmp_path):
    decomposed = "Vie\u0323\u0302t"
    path = tmp_path / "a.txt"
    path.write_text(f"\ufeff{decomposed}\n\n Một \n\n\n\nMột\n\n", encoding="utf-8")
    assert tiny.read_documents(path) == ["Việt", "Một"]
    path = tmp_path / "a.jsonl"
    rows = [json.dumps({"text": "Hai\n\ndòng"}), "", json.dumps({"text": "Ba"})]
    path.write_text("\n".join(rows), encoding="utf-8")
    assert tiny.read_documents(path) == ["Hai\n\ndòng", "Ba"]


def test_the_split_keeps_every_document_on_one_side(tiny):
    train, test = tiny.split(SENTENCES)
    assert len(test) == 8
    assert sorted(train + test) == sorted(SENTENCES)


def test_tokens_give_the_text_back_and_end_each_document(tiny):
    tokenizer = tiny.make_tokenizer(SENTENCES, 300)
    strange = ["Xin chào 🌍, «ơ ư»", "日本"]
    tokens = tiny.pack(strange, tokenizer)
    assert tokens.tolist().count(tokenizer.eos_token_id) == 2
    assert tokenizer.decode(tokens) == f"{strange[0]}{tiny.END}{strange[1]}{tiny.END}"


def test_labels_are_the_text_shifted_by_one(tiny):
    import torch

    tokens = torch.arange(100)
    inputs, labels = tiny.random_batch(tokens, torch.Generator().manual_seed(0), 5, 8)
    assert inputs.shape == labels.shape == (5, 8)
    assert torch.equal(labels, inputs + 1)


def test_an_untrained_model_guesses_and_learns(tiny):
    import torch

    tokenizer = tiny.make_tokenizer(SENTENCES, 300)
    tokens = tiny.pack(SENTENCES, tokenizer)
    model = tiny.new_model(len(tokenizer))
    before = tiny.evaluate(model, tokens)
    assert before == pytest.approx(math.log(len(tokenizer)), abs=0.2)
    log = tiny.train(model, tokens, tokens, steps=10, every=5)
    assert [row["step"] for row in log] == [0, 5, 10]
    assert log[-1]["test"] < before - 1
    again = tiny.new_model(len(tokenizer))
    assert tiny.train(again, tokens, tokens, steps=10, every=5) == log
    other = tiny.new_model(len(tokenizer), seed=1)
    assert not torch.equal(other.lm_head.weight, tiny.new_model(len(tokenizer)).lm_head.weight)


def test_evaluation_is_the_mean_over_all_windows(tiny):
    import torch

    model = tiny.new_model(50)
    tokens = torch.randint(50, (64 * 70 + 1,), generator=torch.Generator().manual_seed(0))
    windows = tokens[:-1].view(70, 64)
    with torch.no_grad():
        whole = tiny.loss_of(model, windows, tokens[1:].view(70, 64)).item()
    assert tiny.evaluate(model, tokens) == pytest.approx(whole, abs=1e-5)


def test_from_text_to_a_saved_model_and_on_from_it(tmp_path, text):
    out = tmp_path / "base"
    done = run_alone(tmp_path, "train_tiny", text, "--out", out, "--steps", "3")
    assert done.returncode == 0, done.stderr
    assert "perplexity" in done.stdout
    first = json.loads((out / "losses.json").read_text(encoding="utf-8"))
    more = tmp_path / "more"
    done = run_alone(tmp_path, "train_tiny", text, "--start", out, "--out", more, "--steps", "2")
    assert done.returncode == 0, done.stderr
    second = json.loads((more / "losses.json").read_text(encoding="utf-8"))
    assert second[0]["test"] == pytest.approx(first[-1]["test"], abs=1e-5)
    assert not list(tmp_path.glob(".*"))


def test_a_test_set_of_the_readers_own_is_not_cut(tmp_path, text):
    own = tmp_path / "test.jsonl"
    row = json.dumps({"text": " ".join(SENTENCES)})
    own.write_text(row, encoding="utf-8")
    out = tmp_path / "out"
    done = run_alone(tmp_path, "train_tiny", text, "--test", own, "--out", out, "--steps", "1")
    assert done.returncode == 0, done.stderr
    assert (out / "losses.json").exists()


def test_it_goes_on_from_another_architecture_in_half_precision(tmp_path):
    import torch
    from small_models import llama, tokenizer

    start = tmp_path / "llama"
    llama().to(torch.bfloat16).save_pretrained(start)
    tokenizer().save_pretrained(start)
    text = tmp_path / "chu.txt"
    text.write_text("\n\n".join(f"cau so {number}" for number in range(60)), encoding="utf-8")
    out = tmp_path / "out"
    done = run_alone(tmp_path, "train_tiny", text, "--start", start, "--out", out, "--steps", "1")
    assert done.returncode == 0, done.stderr
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "float32"


def test_wrong_input_gets_one_line_and_nothing_is_overwritten(tmp_path, text):
    out = tmp_path / "out"
    missing = run_alone(tmp_path, "train_tiny", tmp_path / "khong.txt", "--out", out)
    assert "khong.txt" in one_line(missing)
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"\xe0\xe1" * 100)
    assert "UTF-8" in one_line(run_alone(tmp_path, "train_tiny", latin, "--out", out))
    rows = tmp_path / "a.jsonl"
    rows.write_text("[1]\n" * 20, encoding="utf-8")
    assert "jsonl" in one_line(run_alone(tmp_path, "train_tiny", rows, "--out", out))
    short = tmp_path / "short.txt"
    short.write_text("\n\n".join("abcdefghijk"), encoding="utf-8")
    assert "quá ngắn" in one_line(run_alone(tmp_path, "train_tiny", short, "--out", out))
    empty = tmp_path / "empty"
    empty.mkdir()
    refused = run_alone(tmp_path, "train_tiny", text, "--start", empty, "--out", out)
    assert "Không tải được" in one_line(refused)
    assert not out.exists()
    assert "đã có" in one_line(run_alone(tmp_path, "train_tiny", text, "--out", empty))
    assert list(empty.iterdir()) == []
    steps = run_alone(tmp_path, "train_tiny", text, "--out", out, "--steps", "0")
    assert "--steps" in one_line(steps)
