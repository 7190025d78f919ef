"""A small causal language model, its tokenizer of whole words, and its training on plain text."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from interdash.training.hf.tokens import padded
from interdash.training.loop import one_thread

VOCABULARY = 2_000  # words; rarer ones are the unknown token, so that it is trained
END = ":"  # of a prompt
WIDTH, HEADS, EPOCHS, RATE, BATCH = 48, 4, 3, 3e-3, 64


def small_language_model(texts: Sequence[Sequence[str]]) -> tuple[nn.Module, Any]:
    """Returns an untrained GPT-2 of one layer and width 48, and a tokenizer of the commonest words of some texts.

    Raises:
        ImportError: transformers is not installed.
    """
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
    except ImportError as error:
        raise ImportError("a language model needs transformers: `pip install 'interdash[hf]'`") from error
    counts = Counter(word for words in texts for word in words)
    words = ["<pad>", "<unk>", END, *(word for word, _ in counts.most_common(VOCABULARY - 3))]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", pad_token="<pad>")
    sizes: dict[str, Any] = {"vocab_size": len(words), "n_embd": WIDTH, "n_layer": 1, "n_head": HEADS}
    sizes |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}  # one function, in training and after
    config = GPT2Config(**sizes, n_positions=64, bos_token_id=None, eos_token_id=None)
    return GPT2LMHeadModel(config), tokenizer


def pretrain(model: Any, rows: Sequence[Sequence[int]], seed: int) -> None:
    """Trains a causal language model in place to predict each next token of some texts, by Adam, for 3 epochs.

    Args:
        model: returns logits `[batch, length, vocabulary]`; on any device.
        rows: the texts' token ids.
        seed: of the order.
    """
    generator = torch.Generator().manual_seed(seed)
    device, optimizer = next(model.parameters()).device, torch.optim.Adam(model.parameters(), RATE)
    model.train()
    with one_thread():
        for _ in range(EPOCHS):
            for some in torch.randperm(len(rows), generator=generator).split(16 * BATCH):
                alike = sorted(some.tolist(), key=lambda row: len(rows[row]))  # in length, to pad little
                for start in range(0, len(alike), BATCH):
                    ids = padded([rows[row] for row in alike[start : start + BATCH]]).to(device)
                    is_token = ids >= 0
                    logits = model(ids.clamp(min=0), attention_mask=is_token.long())[:, :-1][is_token[:, 1:]]
                    optimizer.zero_grad()
                    functional.cross_entropy(logits, ids[:, 1:][is_token[:, 1:]]).backward()
                    optimizer.step()
