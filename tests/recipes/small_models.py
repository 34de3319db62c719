"""Small models of several kinds, for tests of recipes: each is made in milliseconds.

Import torch and transformers inside tests or here, never in conftest.py: most tests need neither.
"""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

VOCABULARY = 60
WORDS = ["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz", *"ăâđêôơư0123456789.,!?-"]


def gpt2(**changes: object) -> PreTrainedModel:
    """Decoder; input and output embeddings are one tensor."""
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2}
    sizes |= {"bos_token_id": 2, "eos_token_id": 2}
    return GPT2LMHeadModel(GPT2Config(**{**sizes, **changes})).eval()


def llama(**changes: object) -> PreTrainedModel:
    """Decoder without tied weights, with buffers that no file holds."""
    torch.manual_seed(0)
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "tie_word_embeddings": False,
    }
    return LlamaForCausalLM(LlamaConfig(**{**sizes, **changes})).eval()


def t5() -> PreTrainedModel:
    """Encoder and decoder; the embeddings are tied in four places."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=0,
    )
    return T5ForConditionalGeneration(config).eval()


def classifier() -> PreTrainedModel:
    """Encoder with a head of three classes."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        num_labels=3,
    )
    return BertForSequenceClassification(config).eval()


class OwnModel(nn.Module):
    """A reader's own class: tied head, a buffer that is saved, one that is not."""

    def __init__(self, vocabulary: int = VOCABULARY, width: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.layer = nn.Linear(width, width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("mask", torch.tril(torch.ones(8, 8)), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """ids (batch, length) -> logits (batch, length, vocabulary)."""
        hidden = torch.relu(self.layer(self.embedding(ids))) * self.scale
        length = ids.shape[1]
        mixed = self.mask[:length, :length] @ hidden
        return self.head(mixed)


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a letter."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    letters = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=letters, pad_token="<pad>", unk_token="<unk>", eos_token="</s>"
    )
