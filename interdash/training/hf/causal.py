"""Specs of language models: how much each word of a prompt adds to the log-odds of its answer."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from interdash.config import TrainingConfig
from interdash.masking.outputs import log_odds
from interdash.training.hf.classifiers import FINE_TUNING, _network
from interdash.training.hf.tokens import PADDING, mask_token, padded, word_variables, words_of
from interdash.training.loop import train_to_convergence
from interdash.training.spec import Spec

EMBEDDED, LEARNED = -2, -3  # a masked token whose embedding is given, or was learned


@dataclass(frozen=True)
class LearnedEmbedding:
    """An embedding that was learned to stand for masked words, see `learned_mask_embedding`.

    Attributes:
        embedding: `[width]`.
        checkpoint: of what weights.
        before: what was made small, in nats, with a token's embedding.
        after: the same with the learned one.
    """

    embedding: Tensor
    checkpoint: str
    before: float
    after: float


class AnswerLogOdds(nn.Module):
    """A causal language model as a two-class network: it returns [0, v], v the summed log-odds of the answer's tokens.

    Its inputs are int64 `[batch, length]`: a prompt, padded on the left, then from `start` on an answer, padded on the
    right; below 0: `PADDING`, or less for a masked token that becomes the embedding.
    Source: arXiv 2605.17967 (v of a language model), known to us through notes of others.
    """

    def __init__(self, model: nn.Module, start: int, embedding: Tensor | None = None) -> None:
        super().__init__()
        self.model, self.start, self.embedding = model, start, embedding
        self._can_keep = "logits_to_keep" in inspect.signature(model.forward).parameters  # the last ones, for speed

    def forward(self, ids: Tensor) -> Tensor:
        """Returns [0, v] of each sample, `[batch, 2]`, in nats."""
        logits, answers, is_there = self._answers(ids)
        values = log_odds(logits.flatten(0, 1), answers.flatten()).view(answers.shape)
        v = (values * is_there.to(values.device)).sum(-1).to(ids.device)
        return torch.stack([torch.zeros_like(v), v], -1)

    def loss(self, ids: Tensor) -> Tensor:
        """Returns the mean cross-entropy of the answers' tokens, in nats, by which a language model is fine-tuned."""
        logits, answers, is_there = self._answers(ids)
        return functional.cross_entropy(logits[is_there], answers[is_there])

    def _answers(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns logits `[batch, answer, vocabulary]` of the answers' tokens, these, and which are there."""
        model: Any = self.model
        gap = int((ids[:, : self.start] != PADDING).any(0).int().argmax())  # columns that are padding in all prompts
        ids, start = ids[:, gap:], self.start - gap
        is_token, tokens = ids != PADDING, ids.clamp(min=0)
        read: dict[str, Any] = {"input_ids": tokens}
        if self.embedding is not None:
            embedded = model.get_input_embeddings()(tokens)
            read = {"inputs_embeds": torch.where((ids < PADDING)[..., None], self.embedding.to(embedded), embedded)}
        places = (is_token.long().cumsum(-1) - 1).clamp(min=0)
        kept = ids.shape[1] - start + 1
        read |= {"logits_to_keep": kept} if self._can_keep else {}
        output = model(**read, attention_mask=is_token.long(), position_ids=places)
        return getattr(output, "logits", output)[:, -kept:-1], tokens[:, start:], is_token[:, start:]


def causal_spec(
    model: nn.Module,
    tokenizer: Any,
    prompts: Sequence[str],
    answers: Sequence[str],
    test_prompts: Sequence[str],
    test_answers: Sequence[str],
    *,
    n_variables: int = 10,
    mask_id: int | None = None,
    mask_embedding: Tensor | LearnedEmbedding | None = None,
    stop_words: Sequence[str] = (),
    train: TrainingConfig | Callable[..., object] = FINE_TUNING,
    from_weights: bool = False,
    seed: int = 0,
) -> Spec:
    """Returns the spec of a causal language model, whose v is the sum of the log-odds of the answer's tokens.

    n words of each prompt are its variables, word pieces together; the answer is always there. What is written of
    classes is: 1, the answer is given, 0, it is not; a loss is log(1 + e^−v), not that of the next token.

    Args:
        model: such as `AutoModelForCausalLM.from_pretrained(…)`; it stays as it is.
        tokenizer: its fast tokenizer.
        prompts: those trained on.
        answers: their answers, as they are written after the prompt (with a space before, where the model needs one).
        test_prompts: the same of the testing split.
        test_answers: the same of the testing split.
        n_variables: words that are masked in each explained prompt; shorter ones are not explained.
        mask_id: the token that stands for a masked word, if not the tokenizer's mask or unknown token.
        mask_embedding: the embedding `[width]` that stands for a masked token instead, such as the mean of all, or one
            that `learned_mask_embedding` learned.
        stop_words: words that are never masked, in lower case.
        train: the recipe of baseline networks, Adam to convergence on the tokens of the answers, or a function.
        from_weights: see `interdash.hf.classifier_spec`.
        seed: decides which words are masked.

    Raises:
        ValueError: prompts and answers are not as many, an answer has no token, the tokenizer is a slow one, or
            nothing stands for a masked word.
    """
    otherwise = (
        "name a token's id as mask_id=…, or pass mask_embedding=…, such as model.get_input_embeddings().weight.mean(0)"
    )
    if isinstance(mask_embedding, LearnedEmbedding):
        mask, mask_embedding = LEARNED, mask_embedding.embedding
    else:
        mask = EMBEDDED if mask_embedding is not None else mask_token(tokenizer, mask_id, otherwise)
    for name, (of_prompts, of_answers) in {
        "prompts": (prompts, answers),
        "test_prompts": (test_prompts, test_answers),
    }.items():
        if len(of_prompts) != len(of_answers):
            raise ValueError(
                f"{name} has {len(of_prompts)} texts and their answers are {len(of_answers)}; pass one each"
            )
    words = words_of(tokenizer, [*prompts, *test_prompts])
    replies = tokenizer([*answers, *test_answers], add_special_tokens=False)["input_ids"]
    if [] in replies:
        raise ValueError(f"answer {replies.index([])} has no token; expected at least one: leave its prompt out")
    of_prompts = padded([row.ids for row in words], left=True)
    ids = torch.cat([of_prompts, padded(replies)], 1)
    start = of_prompts.shape[1]
    shifted = [
        row._replace(ids=[PADDING] * gap + row.ids, word_of_token=[-1] * gap + row.word_of_token)
        for row in words
        for gap in (start - len(row.ids),)
    ]
    display = [row.display() for row in shifted]
    count = len(prompts)
    given = torch.ones(len(ids), dtype=torch.int64)
    return Spec(
        network=partial(_answering, model, from_weights, start=start, embedding=mask_embedding),
        train_inputs=ids[:count],
        train_labels=given[:count],
        test_inputs=ids[count:],
        test_labels=given[count:],
        variables=word_variables(ids, shifted, n_variables=n_variables, mask_id=mask, stop_words=stop_words, seed=seed),
        class_names=("another answer", "the answer"),
        train=partial(train_to_convergence, config=train, loss=_loss) if isinstance(train, TrainingConfig) else train,
        train_display=display[:count],
        test_display=display[count:],
    )


def _answering(model: nn.Module, from_weights: bool, start: int, embedding: Tensor | None) -> nn.Module:
    return AnswerLogOdds(_network(model, from_weights, None), start, embedding)


def _loss(network: Any, ids: Tensor, labels: Tensor) -> Tensor:
    return network.loss(ids)
