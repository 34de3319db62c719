"""Tiền huấn luyện một GPT tí hon trên văn bản của bạn: dữ liệu, batch, loss, một bước học.

    python train_tiny.py van_ban.txt --out my-tiny
    python train_tiny.py van_ban_moi.txt --start my-tiny --out my-tiny-2   # học tiếp từ bản đã lưu
    python train_tiny.py sach/train.jsonl --test sach/test.jsonl --out my-tiny

Văn bản: UTF-8, tài liệu cách nhau một dòng trống; hoặc tệp .jsonl, mỗi dòng một {"text": "…"}.
Cần: pip install torch transformers tokenizers
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import unicodedata
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

END = "<|endoftext|>"  # token đứng sau mỗi tài liệu, để mô hình biết chỗ hết
VOCABULARY = 2000  # cỡ từ vựng; mô hình thật dùng từ vài chục nghìn
CONTEXT = 64  # mô hình nhìn được bấy nhiêu token
BATCH = 16  # mỗi bước học bấy nhiêu cửa sổ
RATE = 1e-3  # tốc độ học; mô hình càng lớn càng phải nhỏ


def read_documents(path: Path) -> list[str]:
    """Các tài liệu của một tệp UTF-8, chuẩn hoá NFC, bỏ bản trùng hệt."""
    text = unicodedata.normalize("NFC", path.read_text(encoding="utf-8-sig"))
    if path.suffix == ".jsonl":
        parts = [json.loads(line)["text"] for line in text.split("\n") if line.strip()]
    else:
        parts = text.split("\n\n")
    documents = [part.strip() for part in parts]
    return [document for document in dict.fromkeys(documents) if document]


def split(documents: list[str]) -> tuple[list[str], list[str]]:
    """Phần huấn luyện và phần kiểm thử: cứ mười tài liệu thì để dành một."""
    test = documents[9::10]
    train = [document for place, document in enumerate(documents) if place % 10 != 9]
    return train, test


def make_tokenizer(documents: list[str], size: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """Tokenizer BPE trên byte, tối đa `size` token, học từ `documents`: chỉ phần huấn luyện."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),  # đủ 256 byte: chữ nào cũng viết được
        show_progress=False,
    )
    bpe.train_from_iterator(documents, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=END, eos_token=END)


def pack(documents: list[str], tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """Ghép mọi tài liệu thành một dãy token, sau mỗi tài liệu là token kết thúc: (số token,)."""
    tokens = []
    for document in documents:
        tokens += tokenizer(document, add_special_tokens=False)["input_ids"]
        tokens.append(tokenizer.eos_token_id)
    return torch.tensor(tokens)


def new_model(vocabulary: int, seed: int = 0) -> GPT2LMHeadModel:
    """GPT tí hon, trọng số ngẫu nhiên, không dropout để mỗi lần chạy ra như nhau."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=CONTEXT,
        n_embd=128,
        n_layer=3,
        n_head=4,
        resid_pdrop=0,
        embd_pdrop=0,
        attn_pdrop=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPT2LMHeadModel(config)


def random_batch(
    tokens: torch.Tensor, order: torch.Generator, batch: int = BATCH, context: int = CONTEXT
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cắt ngẫu nhiên `batch` cửa sổ: đầu vào và nhãn, cùng cỡ (batch, context)."""
    starts = torch.randint(len(tokens) - context, (batch,), generator=order)
    windows = torch.stack([tokens[start : start + context + 1] for start in starts])
    inputs = windows[:, :-1]
    labels = windows[:, 1:]  # nhãn là chính văn bản, dịch đi một chỗ
    return inputs, labels


def loss_of(model: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Entropy chéo trung bình: ở mỗi vị trí, đoán token kế tiếp."""
    device = next(model.parameters()).device
    logits = model(inputs.to(device)).logits  # (batch, context, từ vựng)
    return F.cross_entropy(logits.flatten(0, 1).float(), labels.to(device).flatten())


def train_step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: torch.Tensor,
    labels: torch.Tensor,
) -> float:
    """Học một batch, trả về loss của batch đó trước khi học."""
    loss = loss_of(model, inputs, labels)  # 1. đoán, so với token thật
    optimizer.zero_grad()  # 2. xoá gradient của bước trước
    loss.backward()  # 3. tính gradient của từng tham số
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # 4. cắt gradient quá dài
    optimizer.step()  # 5. dịch mọi tham số một đoạn nhỏ, ngược hướng gradient
    return loss.item()


@torch.no_grad()
def evaluate(model: torch.nn.Module, tokens: torch.Tensor, context: int = CONTEXT) -> float:
    """Loss trung bình trên cả dãy: cửa sổ không chồng nhau, từng ít một cho đỡ tốn RAM."""
    model.eval()
    count = (len(tokens) - 1) // context
    inputs = tokens[: count * context].view(count, context)
    labels = tokens[1 : count * context + 1].view(count, context)
    total = 0.0
    for start in range(0, count, 32):
        part = inputs[start : start + 32]
        total += loss_of(model, part, labels[start : start + 32]).item() * len(part)
    model.train()
    return total / count


def train(
    model: torch.nn.Module,
    tokens: torch.Tensor,
    test: torch.Tensor,
    steps: int,
    seed: int = 0,
    rate: float = RATE,
    every: int = 50,
    context: int = CONTEXT,
    show: bool = True,
) -> list[dict[str, float]]:
    """Học `steps` bước; trả về (và in) loss lúc chưa học, rồi cứ `every` bước một lần."""
    order = torch.Generator().manual_seed(seed)  # cùng hạt giống thì cùng thứ tự batch
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    log = [{"step": 0, "test": evaluate(model, test, context)}]
    if show:
        print(f"bước {0:>5}   kiểm thử {log[0]['test']:.2f}")
    for step in range(1, steps + 1):
        inputs, labels = random_batch(tokens, order, context=context)
        loss = train_step(model, optimizer, inputs, labels)
        if step % every == 0 or step == steps:
            row = {"step": step, "train": loss, "test": evaluate(model, test, context)}
            log.append(row)
            if show:
                print(f"bước {step:>5}   kiểm thử {row['test']:.2f}   huấn luyện {loss:.2f}")
    return log


@torch.no_grad()
def write(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, length: int = CONTEXT, seed: int = 0
) -> str:
    """Mô hình viết một đoạn `length` token, mỗi token bốc ngẫu nhiên theo xác suất nó đoán."""
    torch.manual_seed(seed)
    model.eval()
    start = torch.tensor([[tokenizer.eos_token_id]], device=next(model.parameters()).device)
    written = model.generate(
        start,
        attention_mask=torch.ones_like(start),
        do_sample=True,
        top_k=0,  # không cắt bớt: thấy đúng cái mô hình nghĩ
        max_length=length,
        pad_token_id=tokenizer.eos_token_id,
    )
    model.train()
    return tokenizer.decode(written[0], skip_special_tokens=True)


def save(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, log: list[dict], folder: Path
) -> None:
    """Lưu mô hình, tokenizer và các loss vào thư mục mới; hoặc đủ cả, hoặc không có gì."""
    temporary = folder.with_name(f".{folder.name}-{os.getpid()}")
    model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    text = json.dumps(log, indent=1)
    (temporary / "losses.json").write_text(text, encoding="utf-8", newline="\n")
    temporary.rename(folder)


def stop(message: str) -> None:
    """Một dòng báo lỗi, mã thoát 2."""
    print(message, file=sys.stderr)
    sys.exit(2)


def checked_documents(path: Path, least: int) -> list[str]:
    """Các tài liệu, hay một dòng nói vì sao không đọc được."""
    try:
        documents = read_documents(path)
    except OSError as error:
        stop(f"Không đọc được {path}: {error.strerror}.")
    except (ValueError, KeyError, TypeError, AttributeError):
        stop(f"{path} không phải văn bản UTF-8, hay không phải .jsonl có «text» ở mỗi dòng.")
    if len(documents) < least:
        stop(f"{path} có {len(documents)} tài liệu khác nhau; cần {least}, cách nhau dòng trống.")
    return documents


def load(folder: str) -> tuple[torch.nn.Module, PreTrainedTokenizerFast]:
    """Mô hình và tokenizer đã lưu, kiến trúc nào cũng được."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        stop(f"Không tải được {folder}: {str(error).splitlines()[0]}")
    if tokenizer.eos_token_id is None:
        stop(f"Tokenizer của {folder} không có token kết thúc (eos_token).")
    return model, tokenizer


def main() -> None:
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stderr.reconfigure(encoding="utf-8")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path, help="tệp văn bản UTF-8 hay .jsonl")
    parser.add_argument(
        "--test", type=Path, help="tệp kiểm thử; không có thì để dành một phần mười"
    )
    parser.add_argument("--out", type=Path, required=True, help="thư mục mới để lưu mô hình")
    parser.add_argument("--start", help="thư mục mô hình để học tiếp; không có thì từ ngẫu nhiên")
    parser.add_argument("--steps", type=int, default=200, help="số bước học (mặc định 200)")
    parser.add_argument("--rate", type=float, default=RATE, help=f"tốc độ học (mặc định {RATE})")
    parser.add_argument("--every", type=int, default=50, help="đo loss mỗi bấy nhiêu bước")
    parser.add_argument("--seed", type=int, default=0, help="hạt giống ngẫu nhiên (mặc định 0)")
    args = parser.parse_args()
    if args.out.exists():
        stop(f"{args.out} đã có: hãy chọn tên khác, script không ghi đè.")
    if not args.out.absolute().parent.is_dir():
        stop(f"Không có thư mục {args.out.absolute().parent}.")
    if min(args.steps, args.every) < 1 or not 0 < args.rate < 1:
        stop("--steps, --every phải từ 1 trở lên, --rate phải nằm giữa 0 và 1.")

    if args.test:
        train_documents = checked_documents(args.text, least=1)
        test_documents = checked_documents(args.test, least=1)
    else:
        train_documents, test_documents = split(checked_documents(args.text, least=10))
    if args.start:
        model, tokenizer = load(args.start)
    else:
        tokenizer = make_tokenizer(train_documents)
        model = new_model(len(tokenizer), args.seed)
    context = min(CONTEXT, getattr(model.config, "max_position_embeddings", CONTEXT))
    tokens = pack(train_documents, tokenizer)
    test = pack(test_documents, tokenizer)
    if min(len(tokens), len(test)) <= context:
        shortest = min(len(tokens), len(test))
        stop(f"Văn bản quá ngắn: phần ngắn nhất có {shortest} token, cần hơn {context}.")
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    model.train()

    print(f"{model.num_parameters():,} tham số; {len(tokens):,} token để học, {len(test):,} để thử")
    print(f"đoán bừa: loss ln {len(tokenizer)} = {math.log(len(tokenizer)):.2f}")
    print(f"viết thử, trước: {write(model, tokenizer, context)!r}")
    log = train(model, tokens, test, args.steps, args.seed, args.rate, args.every, context)
    print(f"perplexity trên phần kiểm thử: {math.exp(log[-1]['test']):.0f}")
    print(f"viết thử, sau: {write(model, tokenizer, context)!r}")
    save(model, tokenizer, log, args.out)
    print(f"đã lưu vào {args.out.as_posix()}")


if __name__ == "__main__":
    main()
