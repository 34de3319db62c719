"""`save_and_check.py`: what it saves comes back, and what is damaged or exchanged is told."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A folder of small GPT-2 with a tokenizer, and its fingerprint: copied by each test."""
    import small_models
    from save_and_check import save

    folder = tmp_path_factory.mktemp("saved") / "my-model"
    save(small_models.gpt2(), small_models.tokenizer(), folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy that may be damaged."""
    shutil.copy(saved.with_name("my-model.fingerprint.json"), tmp_path)
    return Path(shutil.copytree(saved, tmp_path / "my-model"))


def edit(file: Path, **values: object) -> None:
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, **values}), encoding="utf-8")


def flip_last_bit(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[-4] ^= 1
    file.write_bytes(raw)


def other_model():
    import small_models
    import torch

    model = small_models.gpt2()
    with torch.no_grad():
        model.transformer.h[0].mlp.c_fc.weight.add_(1)
    return model


def half(model, kind: str):
    import torch

    return model.to(getattr(torch, kind))


def encoder():
    import small_models
    from transformers import BertModel

    return BertModel(small_models.classifier().config)


def bart_classifier():
    import small_models
    from transformers import BartConfig, BartForSequenceClassification

    sides = {}
    for side in ("encoder", "decoder"):
        sides |= {f"{side}_layers": 1, f"{side}_ffn_dim": 16, f"{side}_attention_heads": 2}
    return BartForSequenceClassification(
        BartConfig(vocab_size=small_models.VOCABULARY, d_model=16, **sides)
    )


KINDS = [
    *("gpt2", "llama", "t5", "classifier", "encoder", "bart_classifier"),
    *("gpt2 in bfloat16", "llama in bfloat16", "llama in float64"),
    "t5 in float16",  # a part of it is always loaded as float32
]


def model_of(kind: str):
    """A model by its name, `in` a shorter or longer number format."""
    import small_models

    name, _, dtype = kind.partition(" in ")
    own = {"encoder": encoder, "bart_classifier": bart_classifier}
    build = own.get(name) or getattr(small_models, name)
    return half(build(), dtype) if dtype else build()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"max_shard_size": 3000}], ids=["one file", "sharded"])
def test_models_of_many_kinds_come_back(kind, options, tmp_path, capsys):
    import small_models
    from save_and_check import check, save

    proof = save(model_of(kind), small_models.tokenizer(), tmp_path / "m", **options)
    assert proof == tmp_path / "m.fingerprint.json"
    assert len(json.loads(proof.read_text(encoding="utf-8"))["outputs"]) > 2
    assert check(tmp_path / "m") == []
    assert ("index.json" in str(list((tmp_path / "m").iterdir()))) == bool(options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "m.fingerprint.json"]


def test_no_tokenizer_and_an_empty_folder_that_exists(tmp_path):
    import small_models
    from save_and_check import check, save

    (tmp_path / "m").mkdir()
    save(small_models.llama(), None, str(tmp_path / "m"))
    assert check(str(tmp_path / "m")) == []


def test_a_model_of_images_is_compared_without_outputs_and_says_so(tmp_path, capsys):
    from save_and_check import check, save
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 16, "intermediate_size": 16, "image_size": 16, "patch_size": 8}
    config = ViTConfig(**sizes, num_hidden_layers=1, num_attention_heads=2)
    save(ViTForImageClassification(config), None, tmp_path / "m")
    assert "pixel_values" in capsys.readouterr().err
    assert check(tmp_path / "m") == []
    assert "pixel_values" in capsys.readouterr().err
    flip_last_bit(tmp_path / "m/model.safetensors")
    assert "tensor khác" in check(tmp_path / "m")[0]


def test_saving_changes_neither_the_model_nor_the_random_numbers(tmp_path):
    import small_models
    import torch
    from save_and_check import check, save

    model = small_models.gpt2().train()
    model.transformer.h[0].eval()  # a part of it is kept out of training
    model.transformer.wpe.requires_grad_(False)
    before = [module.training for module in model.modules()]
    bits = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    states = torch.get_rng_state(), random.getstate()
    save(model, small_models.tokenizer(), tmp_path / "m")
    assert check(tmp_path / "m") == []
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert [module.training for module in model.modules()] == before
    assert not model.transformer.wpe.weight.requires_grad
    assert all(torch.equal(tensor, bits[name]) for name, tensor in model.state_dict().items())
    model(torch.arange(4)[None]).logits.sum().backward()  # nothing was made in inference mode


def test_wrapped_models_are_saved_without_their_wrapper(tmp_path):
    import small_models
    import torch
    from save_and_check import check, save

    save(torch.compile(small_models.gpt2()), None, tmp_path / "compiled")
    save(torch.nn.DataParallel(small_models.gpt2()), None, tmp_path / "parallel")
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        distributed = torch.nn.parallel.DistributedDataParallel(small_models.gpt2())
        save(distributed, None, tmp_path / "distributed")
    finally:
        torch.distributed.destroy_process_group()
    for name in ("compiled", "parallel", "distributed"):
        assert check(tmp_path / name) == []


def test_numbers_that_are_none_come_back_too(tmp_path):
    import small_models
    import torch
    from save_and_check import check, save

    model = small_models.gpt2()
    with torch.no_grad():
        model.transformer.ln_f.bias[3] = float("nan")
        model.transformer.wpe.weight[0] = float("inf")
    save(model, None, tmp_path / "m")
    assert check(tmp_path / "m") == []


def test_nothing_is_overwritten(saved, tmp_path):
    import small_models
    from save_and_check import save

    for model_folder in (saved, saved / "config.json"):
        with pytest.raises(FileExistsError, match="thư mục mới"):
            save(small_models.gpt2(), None, model_folder)
    proof = tmp_path / "m.fingerprint.json"
    proof.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="dấu vân tay"):
        save(small_models.gpt2(), None, tmp_path / "m")
    assert proof.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "m").exists()


def test_a_save_that_fails_leaves_nothing(tmp_path, monkeypatch):
    import small_models
    from save_and_check import save

    tokenizer = small_models.tokenizer()
    monkeypatch.setattr(tokenizer, "save_pretrained", lambda folder: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(small_models.gpt2(), tokenizer, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_what_save_pretrained_would_not_save_whole_is_refused(tmp_path):
    import small_models
    from save_and_check import save

    with pytest.raises(TypeError, match="state_dict"):
        save(small_models.OwnModel(), None, tmp_path / "m")
    adapted = small_models.gpt2()
    adapted._hf_peft_config_loaded = True
    with pytest.raises(TypeError, match="adapter"):
        save(adapted, None, tmp_path / "m")


def rename_a_tensor(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b"ln_f.bias", b"ln_f.bi_s"))


def lay_old_weights_over_shards(folder: Path) -> None:
    import small_models

    other = folder.with_name("other")
    small_models.gpt2().save_pretrained(folder, max_shard_size=3000)
    other_model().save_pretrained(other)
    shutil.copy(other / "model.safetensors", folder)


def exchange_ids(folder: Path) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    words = content["model"]["vocab"]
    words["6"], words["7"] = words["7"], words["6"]
    file.write_text(json.dumps(content), encoding="utf-8")


def lose_the_tie(folder: Path) -> None:
    import small_models
    import torch

    model = small_models.gpt2(tie_word_embeddings=False)
    with torch.no_grad():
        for name, tensor in small_models.gpt2().state_dict().items():
            model.state_dict()[name].copy_(tensor)
    model.save_pretrained(folder)


DAMAGES = {
    "bit": (lambda f: flip_last_bit(f / "model.safetensors"), "tensor khác"),
    "missing tensor": (rename_a_tensor, "missing_keys: transformer.ln_f.bias"),
    "other weights": (lambda f: other_model().save_pretrained(f), "tensor khác"),
    "stale file over shards": (lay_old_weights_over_shards, "hai lần lưu"),
    "heads": (lambda f: edit(f / "config.json", n_head=1), "n_head 2 → 1"),
    "generation": (
        lambda f: edit(f / "generation_config.json", repetition_penalty=1.3),
        "generation_config.repetition_penalty",
    ),
    "dropout": (lambda f: edit(f / "config.json", resid_pdrop=0.5), "resid_pdrop 0.1 → 0.5"),
    "dtype": (lambda f: edit(f / "config.json", dtype="float64"), "kiểu số"),
    "shape": (lambda f: edit(f / "config.json", vocab_size=70), "không tải được"),
    "tie": (lose_the_tie, "dùng chung"),
    "tie in config": (lambda f: edit(f / "config.json", tie_word_embeddings=False), "dùng chung"),
    "class": (lambda f: edit(f / "config.json", architectures=["GPT2Model"]), "lớp"),
    "class of nothing": (lambda f: edit(f / "config.json", architectures=["Trainer"]), "lớp"),
    "no class": (lambda f: edit(f / "config.json", architectures=None), "không tải được"),
    "tokenizer": (exchange_ids, "tokenizer khác lúc lưu: từ vựng"),
    "end of text": (
        lambda f: edit(f / "tokenizer_config.json", eos_token="a"),
        "tokenizer khác lúc lưu: eos",
    ),
    "cut": (lambda f: cut(f / "model.safetensors"), "không tải được"),
    "no config": (lambda f: (f / "config.json").unlink(), "không tải được"),
    "config cut": (lambda f: cut(f / "config.json"), "không tải được"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "không tải được"),
    "padding side": (
        lambda f: edit(f / "tokenizer_config.json", padding_side="left"),
        "tokenizer khác lúc lưu: phía đệm",
    ),
    "longest text": (
        lambda f: edit(f / "tokenizer_config.json", model_max_length=3),
        "tokenizer khác lúc lưu: độ dài",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), ""),
}


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told(damage, folder):
    from save_and_check import check

    harm, words = DAMAGES[damage]
    harm(folder)
    assert words in "\n".join(check(folder))
    assert check(folder)


def test_outputs_tell_what_no_file_shows(folder):
    """Same bits, same config, other code: only the outputs differ."""
    from save_and_check import check
    from transformers import GPT2LMHeadModel

    class Louder(GPT2LMHeadModel):
        def forward(self, *inputs, **options):
            output = super().forward(*inputs, **options)
            output.logits = output.logits * 1.01
            return output

    Louder.__name__ = "GPT2LMHeadModel"
    assert check(folder, own_class=GPT2LMHeadModel) == []
    (line,) = check(folder, own_class=Louder)
    assert line.startswith("đầu ra lệch")


def test_a_class_of_your_own_is_named_by_you(tmp_path):
    import small_models
    from save_and_check import CannotCheck, check, save
    from transformers import GPT2LMHeadModel

    class Mine(GPT2LMHeadModel):
        pass

    save(Mine(small_models.gpt2().config), None, tmp_path / "m")
    with pytest.raises(CannotCheck, match="own_class=Mine"):
        check(tmp_path / "m")
    assert check(tmp_path / "m", own_class=Mine) == []


def test_another_place_for_the_fingerprint_and_another_version(folder, tmp_path):
    from save_and_check import check

    away = tmp_path / "away.json"
    (tmp_path / "my-model.fingerprint.json").rename(away)
    edit(away, versions={"torch": "1.0", "transformers": "4.0"})
    assert check(folder, away) == []
    edit(folder / "config.json", n_head=1)
    assert "n_head" in "\n".join(check(folder, away))


@pytest.mark.parametrize("error", [MemoryError("full"), ImportError("sentencepiece")])
def test_what_this_machine_lacks_is_no_damage(error, folder, monkeypatch):
    import save_and_check
    from transformers import AutoTokenizer

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", fail)
    with pytest.raises(save_and_check.CannotCheck):
        save_and_check.check(folder)


def test_command_line(folder, command):
    done = command("save_and_check", folder)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "ĐÚNG: cái tải lại chính là cái đã lưu.\n",
        "",
    )
    flip_last_bit(folder / "model.safetensors")
    done = command("save_and_check", folder)
    assert done.returncode == 1
    assert "tensor khác lúc lưu: lm_head.weight, transformer.wte.weight" in done.stdout
    assert done.stderr == ""


def one_line(done, words: str) -> bool:
    lines = done.stderr.splitlines()
    return done.returncode == 2 and done.stdout == "" and len(lines) == 1 and words in lines[0]


def test_what_cannot_be_checked_ends_with_2_and_one_line(folder, tmp_path, command):
    proof = tmp_path / "my-model.fingerprint.json"
    saved_proof = proof.read_text(encoding="utf-8")
    assert one_line(command("save_and_check", tmp_path / "none"), "không có thư mục")
    assert one_line(command("save_and_check", folder / "config.json"), "không có thư mục")
    assert one_line(command("save_and_check", Path("/")), "thư mục gốc")
    for content in ("", "[1]", "{}", '{"tensors": {"a": 1}}', "[" * 10_000):
        proof.write_text(content, encoding="utf-8")
        assert one_line(command("save_and_check", folder), "không phải dấu vân tay")
    whole = json.loads(saved_proof)
    for part, content in {"tokenizer": [1], "outputs": ["a"], "shared": [1], "config": 3}.items():
        proof.write_text(json.dumps({**whole, part: content}), encoding="utf-8")
        assert one_line(command("save_and_check", folder), "save ghi")
    proof.write_bytes(b"\xff\x00")
    assert one_line(command("save_and_check", folder), "không phải dấu vân tay")
    proof.unlink()
    assert one_line(command("save_and_check", folder), "--fingerprint")
    assert command("save_and_check").returncode == 2


def test_a_missing_library_ends_with_2_and_one_line(folder, tmp_path):
    import save_and_check

    shutil.copy(save_and_check.__file__, tmp_path)
    missing = "raise ModuleNotFoundError('No module named torch', name='torch')"
    (tmp_path / "torch.py").write_text(missing, encoding="utf-8")
    command = [sys.executable, "-X", "utf8", "save_and_check.py", str(folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert one_line(done, "pip install torch")
