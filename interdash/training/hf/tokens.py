"""Texts as token ids, and which word each token is a piece of."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from interdash.masking.variables import Variables, text_variables

PADDING = -1  # no token's id, so that padding is never mistaken for a token


class Words(NamedTuple):
    """The words of one text, by its tokens."""

    ids: list[int]
    words: list[str]
    word_of_token: list[int]  # its number in `words`; −1 = a special token

    def display(self) -> list[str]:
        """Returns a word for each token: at its first piece, "" at others and at special tokens."""
        first = {word: place for place, word in reversed([*enumerate(self.word_of_token)]) if word >= 0}
        return [self.words[w] if first.get(w) == place else "" for place, w in enumerate(self.word_of_token)]


def mask_token(tokenizer: Any, mask_id: int | None, otherwise: str) -> int:
    """Returns the token that stands for a masked word: the one named, else the tokenizer's mask or unknown token.

    Raises:
        ValueError: there is none; `otherwise` says what to do.
    """
    ids = (mask_id, getattr(tokenizer, "mask_token_id", None), getattr(tokenizer, "unk_token_id", None))
    if (mask := next((i for i in ids if i is not None), None)) is None:
        raise ValueError(
            f"{type(tokenizer).__name__} has neither a mask nor an unknown token; expected something to stand for "
            f"masked words: {otherwise}"
        )
    return mask


def words_of(tokenizer: Any, texts: Sequence[Any], **options: Any) -> list[Words]:
    """Returns tokens and words of each text, or of each pair of texts. Word pieces of a word belong together.

    Args:
        tokenizer: a fast tokenizer of transformers, which knows the words.
        texts: strings, or pairs of strings.
        options: handed to the tokenizer.

    Raises:
        ValueError: the tokenizer is a slow one, or there is no text.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            f"{type(tokenizer).__name__} does not say which word a token belongs to; expected a fast tokenizer: load "
            "it with AutoTokenizer.from_pretrained(…, use_fast=True), or write a Spec with text_variables(…)"
        )
    if not len(texts):
        raise ValueError("there are no texts; pass at least one for each split")
    pairs = not isinstance(texts[0], str)
    columns = [list(column) for column in zip(*texts, strict=True)] if pairs else [list(texts)]
    encoded = tokenizer(*columns, return_offsets_mapping=True, **options)
    return [_words(encoded, i, [column[i] for column in columns]) for i in range(len(texts))]


def _words(encoded: Any, row: int, texts: list[str]) -> Words:
    numbers: dict[tuple[int, int], int] = {}
    words, word_of_token = [], []
    parts = zip(encoded["offset_mapping"][row], encoded.word_ids(row), encoded.sequence_ids(row), strict=True)
    for (start, stop), word, sequence in parts:
        if word is None or sequence is None:
            word_of_token.append(-1)
            continue
        number = numbers.setdefault((sequence, word), len(words))
        if number == len(words):
            words.append("")
        words[number] += texts[sequence][start:stop]
        word_of_token.append(number)
    return Words(list(encoded["input_ids"][row]), [word.strip() for word in words], word_of_token)


def padded(rows: Sequence[Sequence[int]], *, left: bool = False) -> Tensor:
    """Returns rows of ids as int64 `[samples, length]`, filled up with `PADDING` on the right, or on the left."""
    length = max(map(len, rows))
    fill = [[PADDING] * (length - len(row)) for row in rows]
    return torch.tensor([[*f, *row] if left else [*row, *f] for row, f in zip(rows, fill, strict=True)])


def word_variables(
    ids: Tensor, words: Sequence[Words], *, n_variables: int, mask_id: int, stop_words: Sequence[str], seed: int
) -> Callable[[Tensor], Variables]:
    """Returns the function of a `Spec` that finds the words of some rows of `ids`, `[samples, length]`, again."""
    rows = {row.numpy().tobytes(): i for i, row in enumerate(ids)}

    def variables(inputs: Tensor) -> Variables:
        of_inputs = [words[rows[row.numpy().tobytes()]] for row in inputs.cpu()]
        places = torch.full(inputs.shape, -1)
        for place, tokens in zip(places, of_inputs, strict=True):
            place[: len(tokens.ids)] = torch.tensor(tokens.word_of_token)
        of_tokens = text_variables(
            inputs,
            [tokens.words for tokens in of_inputs],
            n_variables=n_variables,
            mask_id=abs(mask_id),
            special_ids=(mask_id,),  # a word that is the unknown token already cannot be masked by it
            stop_words=stop_words,
            word_of_token=places,
            seed=seed,
        )
        return replace(of_tokens, baseline=torch.tensor(mask_id))

    return variables
