"""What a reader has at hand when pasting a block: a model in training, a tokenizer, data, and the
folder of a saved model. The test of pasted blocks runs this first, in an empty folder.
"""

from __future__ import annotations

import torch
from small_models import VOCABULARY, gpt2
from small_models import tokenizer as small_tokenizer

model = gpt2()
tokenizer = small_tokenizer()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
numbers = torch.Generator().manual_seed(0)
data = [torch.randint(VOCABULARY, (16,), generator=numbers) for _ in range(64)]

model.save_pretrained("my-model")
tokenizer.save_pretrained("my-model")
