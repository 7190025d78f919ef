"""Specs of fine-tuned classifiers: of texts (BERT and its like) and of images (ViT)."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from interdash.config import MaskingConfig, TrainingConfig
from interdash.training.hf.tokens import PADDING, Words, mask_token, padded, word_variables, words_of
from interdash.training.loop import train_to_convergence
from interdash.training.spec import Spec

FINE_TUNING = TrainingConfig("adam", learning_rate=5e-5, batch_size=16, epochs=3)


def classifier_spec(
    model: nn.Module,
    tokenizer: Any,
    texts: Sequence[Any],
    labels: Sequence[int] | Tensor,
    test_texts: Sequence[Any],
    test_labels: Sequence[int] | Tensor,
    *,
    n_variables: int = 10,
    mask_id: int | None = None,
    stop_words: Sequence[str] = (),
    max_length: int | None = None,
    class_names: Sequence[str] = (),
    train: TrainingConfig | Callable[..., object] = FINE_TUNING,
    from_weights: bool = False,
    seed: int = 0,
) -> Spec:
    """Returns the spec of a sequence classifier; n words of each text are its variables, word pieces together.

    Attention mask and token types are made inside; special tokens are never masked; a masked word is the mask token (or
    the unknown one), as many times as it has pieces. Checkpoints of the model fit as they are.

    Args:
        model: the classifier, such as `AutoModelForSequenceClassification.from_pretrained(…)`; it stays as it is.
        tokenizer: its fast tokenizer.
        texts: those trained on, strings or pairs of strings.
        labels: their classes, from 0.
        test_texts: the same of the testing split.
        test_labels: the same of the testing split.
        n_variables: words that are masked in each explained text; shorter texts are not explained.
        mask_id: the token that stands for a masked word, if not the tokenizer's mask or unknown token.
        stop_words: words that are never masked, in lower case.
        max_length: tokens of a text, the rest is cut off; as many as the tokenizer says if left out.
        class_names: those of the model's configuration if left out.
        train: the recipe of baseline networks, Adam to convergence, or a function, see `Spec`.
        from_weights: whether a training begins with the weights of `model`, as they were before your fine-tuning, and
            not with new ones. So begin the baselines then; of a model that is fine-tuned already they would know the
            training split.
        seed: decides which words are masked.

    Raises:
        ValueError: the tokenizer is a slow one, has no mask token, or makes token types that none can make from ids.
    """
    mask = mask_token(tokenizer, mask_id, "name its id as mask_id=…")
    cut: dict[str, Any] = {"truncation": True, "max_length": max_length} if max_length else {"truncation": True}
    splits = [words_of(tokenizer, of_split, **cut) for of_split in (texts, test_texts)]
    words = [row for split in splits for row in split]
    ids = padded([row.ids for row in words])
    separator = _separator(tokenizer, [*texts, *test_texts], words, cut)
    return Spec(
        network=partial(_network, model, from_weights, partial(_with_mask, separator)),
        train_inputs=ids[: len(texts)],
        train_labels=torch.as_tensor(labels),
        test_inputs=ids[len(texts) :],
        test_labels=torch.as_tensor(test_labels),
        variables=word_variables(ids, words, n_variables=n_variables, mask_id=mask, stop_words=stop_words, seed=seed),
        class_names=class_names or _class_names(model),
        train=_training(train),
        train_display=[row.display() for row in splits[0]],
        test_display=[row.display() for row in splits[1]],
    )


def image_spec(
    model: nn.Module,
    images: Any,
    labels: Sequence[int] | Tensor,
    test_images: Any,
    test_labels: Sequence[int] | Tensor,
    *,
    processor: Any = None,
    variables: MaskingConfig | None = None,
    class_names: Sequence[str] = (),
    train: TrainingConfig | Callable[..., object] = FINE_TUNING,
    from_weights: bool = False,
) -> Spec:
    """Returns the spec of an image classifier, such as a ViT.

    Args:
        model: such as `AutoModelForImageClassification.from_pretrained(…)`; it stays as it is.
        images: those trained on, `[samples, channels, height, width]` as the model reads them; or what the processor
            reads.
        labels: their classes, from 0.
        test_images: the same of the testing split.
        test_labels: the same of the testing split.
        processor: an image processor of transformers, which makes the model's inputs.
        variables: patches that are masked; if left out ten regions that the whole image is cut into.
        class_names: those of the model's configuration if left out.
        train: the recipe of baseline networks, or a function, see `Spec`.
        from_weights: see `classifier_spec`.
    """
    pixels = [
        torch.as_tensor(of_split) if processor is None else processor(of_split, return_tensors="pt")["pixel_values"]
        for of_split in (images, test_images)
    ]
    return Spec(
        network=partial(_network, model, from_weights, None),
        train_inputs=pixels[0],
        train_labels=torch.as_tensor(labels),
        test_inputs=pixels[1],
        test_labels=torch.as_tensor(test_labels),
        variables=variables or MaskingConfig("image", n_variables=10, layout="whole"),
        class_names=class_names or _class_names(model),
        train=_training(train),
    )


def _network(model: nn.Module, from_weights: bool, before: Callable[..., Any] | None) -> nn.Module:
    """Returns a model of the same class, with new weights or those given, that returns logits alone."""
    network: Any = copy.deepcopy(model) if from_weights else type(model)(copy.deepcopy(model.config))
    if before is not None:
        network.register_forward_pre_hook(before, with_kwargs=True)
    network.register_forward_hook(lambda module, inputs, output: getattr(output, "logits", output))
    return network


def _with_mask(
    separator: int | None, module: Any, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns a model's arguments with attention mask and token types, from ids in which padding is below 0."""
    ids, *rest = inputs
    is_token = ids > PADDING
    fill = module.config.pad_token_id
    options = {"attention_mask": is_token.long()} | options
    if separator is not None:
        options = {"token_type_ids": _types(ids, separator)} | options
    return (ids.where(is_token, fill if fill is not None else 0), *rest), options


def _types(ids: Tensor, separator: int) -> Tensor:
    """Returns 1 for the tokens of the second text: those after the first separator, padding apart."""
    ends = ids == separator
    return ((ends.cumsum(-1) - ends.long()).clamp(max=1)) * (ids > PADDING)


def _separator(tokenizer: Any, texts: Sequence[Any], words: Sequence[Words], cut: dict[str, Any]) -> int | None:
    """Returns the token that ends the first of two texts, if the tokenizer makes token types that are not all 0.

    Raises:
        ValueError: they cannot be made from the ids.
    """
    if "token_type_ids" not in tokenizer.model_input_names:
        return None
    columns = [list(texts)] if isinstance(texts[0], str) else [list(column) for column in zip(*texts, strict=True)]
    types = tokenizer(*columns, **cut)["token_type_ids"]
    if not any(map(any, types)):
        return None
    separator = tokenizer.sep_token_id
    for row, expected in zip(words, types, strict=True):
        if separator is None or _types(torch.tensor(row.ids), separator).tolist() != expected:
            raise ValueError(
                f"{type(tokenizer).__name__} makes token types {expected}, which do not change at the first separator "
                f"({tokenizer.sep_token!r}); expected those of BERT: write a Spec with a network that makes them"
            )
    return separator


def _class_names(model: Any) -> list[str]:
    names = getattr(model.config, "id2label", None) or {}
    return [str(names[i]) for i in sorted(names)]


def _training(recipe: TrainingConfig | Callable[..., object]) -> Callable[..., object]:
    return partial(train_to_convergence, config=recipe) if isinstance(recipe, TrainingConfig) else recipe
