"""The built-in data: small, real, committed in data/; nothing downloads at run time.

`load` makes the `Spec` of a built-in run: a training and a testing split drawn by a seed, with label noise on the
training labels alone. Everything that is fitted (scales, categories, vocabulary) is fitted on the training split.
Sources and licences: data/README.md.
"""

import csv
import gzip
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from interdash.config import DataConfig, RunConfig
from interdash.home import HOME
from interdash.masking.kinds import check_baseline
from interdash.masking.variables import Variables, text_variables
from interdash.training import networks
from interdash.training.loop import train_to_convergence
from interdash.training.networks import PAD
from interdash.training.spec import Spec

DATA = HOME / "data"

UNKNOWN = 1  # a token id, as `PAD`; every other id is a word
TEXT_LENGTH = 40  # words; longer sentences (2 %) are cut
MIN_WORD_COUNT = 2  # a word seen once in the training split becomes UNKNOWN, so that UNKNOWN is trained

# Articles, pronouns, auxiliaries, prepositions, conjunctions: never drawn as variables. Negations are content.
_STOP_WORDS = """
a about above after again against all also am among an and any are as at be because been before being below between
both but by can could did do does doing down during each either even few for from further had has have having he he'd
he'll he's her here here's hers herself him himself his how how's i i'd i'll i'm i've if in into is it it'd it'll it's
its itself just let's may me might more most much must my myself of off on once one only onto or other our ours
ourselves out over own same she she'd she'll she's should so some such than that that's the their theirs them
themselves then there there's these they they'd they'll they're they've this those through to too toward towards under
until up upon us very was we we'd we'll we're we've were what what's when when's where where's whether which while who
who's whom whose why why's will with would yet you you'd you'll you're you've your yours yourself yourselves
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

SUBPACKAGES = ("stats", "optimize", "signal")  # of SciPy: those with most sentences
CENSUS_CATEGORIES = ("workclass", "education", "marital-status", "occupation", "relationship", "ethnicity", "gender")
CENSUS_CLASSES = ("<=50K", ">50K")
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def data_file(name: str) -> Path:
    """Returns the path of a committed data file.

    Raises:
        FileNotFoundError: the installation lacks the file.
    """
    path = DATA / name
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}, which comes with interdash; install it again")
    return path


def with_label_noise(
    labels: Int64[Tensor, " samples"], share: float, n_classes: int, generator: torch.Generator
) -> Int64[Tensor, " samples"]:
    """Returns the labels with a share of them replaced by a uniformly drawn class (which may be the same one).

    Raises:
        ValueError: share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"label_noise is {share}; it is a share of the training labels, between 0 and 1")
    noisy = labels.clone()
    rows = torch.randperm(len(labels), generator=generator)[: round(share * len(labels))]
    noisy[rows] = torch.randint(0, n_classes, (len(rows),), generator=generator)
    return noisy


def tokens(sentence: str) -> list[str]:
    """Returns the words of a sentence in lower case, without punctuation.

    >>> tokens("It's well-made, isn't it?")
    ["it's", 'well', 'made', "isn't", 'it']
    """
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", sentence.lower())


def _check_sizes(config: DataConfig, n_train: int, n_test: int) -> None:
    """Raises ValueError if the data set has fewer samples than asked for, or none is asked for."""
    for split, count, there in (("n_train", config.n_train, n_train), ("n_test", config.n_test, n_test)):
        if not 1 <= count <= there:
            raise ValueError(f"{split} is {count}; {config.dataset} has between 1 and {there:,} samples for it")


def _permutation(count: int, seed: int) -> np.ndarray:
    """Returns the row indices 0..count−1 in an order drawn by the seed."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).numpy()


def _spec(
    config: RunConfig,
    kind: str,
    train_labels: np.ndarray,
    test_labels: np.ndarray,
    variables: Callable[[Tensor], Variables] | None = None,
    **data: Any,
) -> Spec:
    """Returns the spec of a built-in run, with label noise on its training labels.

    Raises:
        ValueError: the kind or the baseline of the masking does not fit the data.
    """
    if config.masking.kind != kind:
        raise ValueError(f"masking.kind is {config.masking.kind!r}, but the data are of kind {kind!r}; set it to that")
    check_baseline(config.masking)
    clean = torch.tensor(train_labels, dtype=torch.int64)
    generator = torch.Generator().manual_seed(config.data.seed + 1)  # another stream than the split's
    spec = Spec(
        network=lambda: networks.build(config.network.architecture, spec),
        true_train_labels=clean if config.data.label_noise else None,
        train_labels=with_label_noise(clean, config.data.label_noise, len(data["class_names"]), generator),
        test_labels=torch.tensor(test_labels, dtype=torch.int64),
        train=partial(train_to_convergence, config=config.training),
        variables=variables or config.masking,
        **data,
    )
    return spec


def _images(pixels: np.ndarray, white: float) -> Tensor:
    """Returns images float32 `[S, 1, H, W]` in 0..1 from pixels `[S, H, W]` in 0..white."""
    return torch.tensor(pixels, dtype=torch.float32).div(white).unsqueeze(1)


def _one_pool(config: RunConfig, pixels: np.ndarray, labels: np.ndarray, white: float) -> Spec:
    """Returns both splits, drawn without overlap from one pool of images."""
    data = config.data
    _check_sizes(data, len(pixels) - data.n_test, len(pixels) - data.n_train)
    order = _permutation(len(pixels), data.seed)
    train, test = order[: data.n_train], order[data.n_train : data.n_train + data.n_test]
    return _spec(
        config,
        "image",
        labels[train],
        labels[test],
        train_inputs=_images(pixels[train], white),
        test_inputs=_images(pixels[test], white),
        class_names=tuple("0123456789"),
    )


def load_digits(config: RunConfig) -> Spec:
    """Returns 8×8 digits, from scikit-learn (1,797 images in all)."""
    from sklearn import datasets as sklearn_datasets  # slow to import, and only this data set needs it

    pixels, labels = sklearn_datasets.load_digits(return_X_y=True)
    return _one_pool(config, np.asarray(pixels).reshape(-1, 8, 8), np.asarray(labels), white=16)


def load_mnist(config: RunConfig) -> Spec:
    """Returns 28×28 digits, from the MNIST-5k subset (5,000 images in all)."""
    with np.load(data_file("mnist.npz")) as arrays:
        return _one_pool(config, arrays["images"], arrays["labels"], white=255)


def load_fashion(config: RunConfig) -> Spec:
    """Returns 28×28 images of clothes; the splits come from the training (3,000) and testing part (2,000)."""
    data = config.data
    with np.load(data_file("fashion.npz")) as arrays:
        _check_sizes(data, len(arrays["train_labels"]), len(arrays["test_labels"]))
        train = _permutation(len(arrays["train_labels"]), data.seed)[: data.n_train]
        test = _permutation(len(arrays["test_labels"]), data.seed)[: data.n_test]
        return _spec(
            config,
            "image",
            arrays["train_labels"][train],
            arrays["test_labels"][test],
            train_inputs=_images(arrays["train_images"][train], 255),
            test_inputs=_images(arrays["test_images"][test], 255),
            class_names=FASHION_CLASSES,
        )


def load_census(config: RunConfig) -> Spec:
    """Returns rows of the 1994 census with 12 columns; the class is whether the income is above 50,000 dollars.

    A test row whose 12 values equal those of a training row is dropped before the testing split is cut. Numbers are
    standardised, and categories become one-hot groups, by the training split alone; a category that the training split
    does not have is a group of zeros.
    """
    with gzip.open(data_file("census.csv.gz"), "rt", encoding="utf-8", newline="") as file:
        header, *rows = [[cell.strip() for cell in row[1:]] for row in csv.reader(file)]  # the first cell is an index
    columns, data = header[:-1], config.data
    if config.masking.n_variables != len(columns):
        raise ValueError(
            f"masking.n_variables is {config.masking.n_variables}, but the table has {len(columns)} columns, "
            "and each is a variable; set it to that"
        )
    order = _permutation(len(rows), data.seed)
    train = [rows[i] for i in order[: data.n_train]]
    seen = {tuple(row[:-1]) for row in train}
    unseen = [row for i in order[data.n_train :] if tuple((row := rows[i])[:-1]) not in seen]
    _check_sizes(data, len(rows) - data.n_test, len(unseen))
    test = unseen[: data.n_test]

    train_parts, test_parts, column_of_feature = [], [], []
    for c, column in enumerate(columns):
        train_cells, test_cells = np.array([row[c] for row in train]), np.array([row[c] for row in test])
        if column in CENSUS_CATEGORIES:
            categories = np.unique(train_cells)
            train_part, test_part = train_cells[:, None] == categories, test_cells[:, None] == categories
        else:
            train_part, test_part = train_cells.astype(np.float64)[:, None], test_cells.astype(np.float64)[:, None]
            mean, scale = train_part.mean(), train_part.std() or 1.0  # a constant column stays zero
            train_part, test_part = (train_part - mean) / scale, (test_part - mean) / scale
        train_parts.append(train_part)
        test_parts.append(test_part)
        column_of_feature += [c] * train_part.shape[1]

    def display(split: list[list[str]]) -> tuple[dict[str, str], ...]:
        return tuple(dict(zip(columns, row, strict=False)) for row in split)

    return _spec(
        config,
        "table",
        np.array([CENSUS_CLASSES.index(row[-1]) for row in train]),
        np.array([CENSUS_CLASSES.index(row[-1]) for row in test]),
        train_inputs=torch.tensor(np.concatenate(train_parts, axis=1), dtype=torch.float32),
        test_inputs=torch.tensor(np.concatenate(test_parts, axis=1), dtype=torch.float32),
        class_names=CENSUS_CLASSES,
        train_display=display(train),
        test_display=display(test),
        columns=tuple(columns),
        column_of_feature=tuple(column_of_feature),
    )


def _encode(sentences: Sequence[list[str]], ids: dict[str, int]) -> Int64[Tensor, "samples length"]:
    """Returns the token ids of sentences, padded to `TEXT_LENGTH`; words without an id become `UNKNOWN`."""
    encoded = torch.full((len(sentences), TEXT_LENGTH), PAD, dtype=torch.int64)
    for row, words in zip(encoded, sentences, strict=True):
        row[: len(words)] = torch.tensor([ids.get(word, UNKNOWN) for word in words], dtype=torch.int64)
    return encoded


def vocabulary(sentences: Sequence[list[str]]) -> tuple[str, ...]:
    """Returns what token ids stand for: padding, unknown, and the words that occur `MIN_WORD_COUNT` times or more."""
    counts = Counter(word for words in sentences for word in words)
    return ("<pad>", "<unk>", *sorted(word for word, count in counts.items() if count >= MIN_WORD_COUNT))


def load_movies(config: RunConfig) -> Spec:
    """Returns sentences of movie reviews; the class is whether 20 raters found them positive on average.

    Words are lower case, without punctuation; the vocabulary is that of the training split. A masked word becomes
    `UNKNOWN`, which is what networks are trained on for every word that the training split has only once: a [MASK]
    token that never occurs in training would be an untrained, random embedding. A test sentence that equals a training
    sentence is dropped before the testing split is cut.
    """
    with gzip.open(data_file("movies.tsv.gz"), "rt", encoding="utf-8") as file:
        rows = [line.split("\t", 1) for line in file.read().splitlines()]
    data, n = config.data, config.masking.n_variables
    order = _permutation(len(rows), data.seed)
    sentences = [(float(rows[i][0]) > 0, tokens(rows[i][1])[:TEXT_LENGTH]) for i in order]
    train = sentences[: data.n_train]
    seen = {tuple(words) for _, words in train}
    unseen = [sentence for sentence in sentences[data.n_train :] if tuple(sentence[1]) not in seen]
    _check_sizes(data, len(rows) - data.n_test, len(unseen))
    test = unseen[: data.n_test]

    words_of = vocabulary([words for _, words in train])
    ids = {word: i for i, word in enumerate(words_of)}
    content = torch.tensor([i not in (PAD, UNKNOWN) and word not in STOP_WORDS for i, word in enumerate(words_of)])

    def variables(token_ids: Tensor) -> Variables:
        return text_variables(
            token_ids,
            [[words_of[i] for i in sentence] for sentence in token_ids.tolist()],
            n_variables=n,
            mask_id=UNKNOWN,
            special_ids=(PAD, UNKNOWN),
            stop_words=tuple(STOP_WORDS),
            seed=config.masking.seed,
        )

    return _spec(
        config,
        "text",
        np.array([label for label, _ in train]),
        np.array([label for label, _ in test]),
        train_inputs=_encode([words for _, words in train], ids),
        test_inputs=_encode([words for _, words in test], ids),
        class_names=("negative", "positive"),
        train_display=tuple(words for _, words in train),
        test_display=tuple(words for _, words in test),
        variables=variables,
        maskable=lambda token_ids: (content[token_ids].sum(1) >= n).nonzero().flatten(),
    )


def load_scipy(config: RunConfig) -> Spec:
    """Returns questions to a small language model: a sentence of SciPy's documentation, which of three subpackages?

    The answer is the subpackage's name, one word of the whole vocabulary. The model is pretrained on all sentences that
    are in no split, each network on its own; its split's questions and answers it sees in fine-tuning alone. Words of
    the sentence are the variables, those that the vocabulary has; a masked one becomes the unknown token.

    Raises:
        ImportError: transformers is not installed.
    """
    from interdash.training.hf.causal import causal_spec  # only this data set needs it
    from interdash.training.hf.pretraining import END, pretrain, small_language_model

    with gzip.open(data_file("scipy.tsv.gz"), "rt", encoding="utf-8") as file:
        rows = [(place, tokens(text)) for place, text in (line.split("\t", 1) for line in file.read().splitlines())]
    data, n = config.data, config.masking.n_variables
    rows = [rows[i] for i in _permutation(len(rows), data.seed)]
    model, tokenizer = small_language_model([words for _, words in rows])
    content = set(tokenizer.get_vocab()) - STOP_WORDS
    fits = [
        i for i, (place, words) in enumerate(rows) if place in SUBPACKAGES and len(content.intersection(words)) >= n
    ]
    _check_sizes(data, len(fits) - data.n_test, len(fits) - data.n_train)
    used = fits[: data.n_train + data.n_test]
    others = set(range(len(rows))) - set(used)
    texts = tokenizer([" ".join(rows[i][1]) for i in sorted(others)], add_special_tokens=False)["input_ids"]
    labels = torch.tensor([SUBPACKAGES.index(rows[i][0]) for i in used])
    generator = torch.Generator().manual_seed(data.seed + 1)
    labels[: data.n_train] = with_label_noise(labels[: data.n_train], data.label_noise, len(SUBPACKAGES), generator)
    prompts, answers = [f"{' '.join(rows[i][1])} {END}" for i in used], [SUBPACKAGES[label] for label in labels]
    recipe = replace(
        config.training, unit="epoch", epochs=-(-config.training.epochs * config.training.batch_size // data.n_test)
    )
    spec = causal_spec(
        model,
        tokenizer,
        prompts[: data.n_train],
        answers[: data.n_train],
        prompts[data.n_train :],
        answers[data.n_train :],
        n_variables=n,
        stop_words=tuple(STOP_WORDS),
        train=recipe,
        seed=config.masking.seed,
    )
    return replace(spec, begin=lambda network, seed: pretrain(network.model, texts, seed))


DATASETS: dict[str, Callable[[RunConfig], Spec]] = {
    "digits": load_digits,
    "mnist": load_mnist,
    "fashion": load_fashion,
    "census": load_census,
    "movies": load_movies,
    "scipy": load_scipy,
}


def load(config: RunConfig) -> Spec:
    """Returns the spec of a built-in run; the same configuration gives the same splits.

    Raises:
        ValueError: the data set is unknown or too small for the sizes asked, label_noise is no share, or the masking
            does not fit the data.
        FileNotFoundError: the data folder is missing.
    """
    if config.data.dataset not in DATASETS:
        raise ValueError(f"there is no built-in data set {config.data.dataset!r}; choose one of {', '.join(DATASETS)}")
    return DATASETS[config.data.dataset](config)
