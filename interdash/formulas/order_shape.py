"""The shape of interactions over orders: how alike training and testing samples are, and which profile fits.

Similarity: the weighted Jaccard index of the mean interactions of the training and of the testing samples, order by
order. Few samples of one distribution give less than 1 too: the reference is the same index between groups of the same
sizes, drawn from all samples together.

Profiles: the share of each order in the strength, fitted by a decay ∝ α^k and by a spindle ∝ C(n, k) · α^k.
"""

from collections.abc import Sequence
from math import comb

import numpy as np

from interdash.formulas.bootstrap import LEVEL
from interdash.formulas.subsets import n_variables, orders

PARTITIONS = 200  # random ones, for the reference
BLOCK = 20  # of them treated together: at n = 16 the interactions of one take a megabyte
ALPHAS = np.exp(np.linspace(np.log(0.01), np.log(20), 400))  # what is tried for α
SHAPES = ("decay", "spindle")
PARTS = ("generalizable", "non_generalizable")


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the weighted Jaccard index of two vectors of mean interactions, by order: `[..., n]`, 0–1.

    Σ min / Σ max over the positive and the negative parts of both vectors, AND and OR together; a part is the value
    where it has that sign, else 0. Entry k − 1 is order k; NaN where an order has no interaction.
    Source: interactive-concepts (arXiv 2302.13091), similarity of training and testing samples.

    >>> similarity(np.array([[0.0, 2.0, -1.0, 4.0]]), np.array([[0.0, 1.0, 1.0, 4.0]])).tolist()
    [0.25, 1.0]

    Args:
        first: `[..., types, 2**n]`, means over samples, nats.
        second: the same of the other samples.
    """
    n = n_variables(first.shape[-1])
    of_order = np.eye(n + 1)[orders(n)][:, 1:]  # [2^n, n]
    small = np.minimum(np.abs(first), np.abs(second)) * (first * second > 0)
    large = np.maximum(np.maximum(first, second), 0) + np.maximum(np.maximum(-first, -second), 0)
    top, bottom = (values.sum(-2) @ of_order for values in (small, large))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


class GroupMeans:
    """Mean interactions of training and testing samples, and of random groups of the same sizes; seeded.

    They are summed up batch by batch, so that the interactions of all samples need not be held at once.
    """

    def __init__(self, in_train: np.ndarray) -> None:
        """Starts without samples; `in_train` is bool `[samples]`, and both splits must have some."""
        drawn = np.random.default_rng(0).permuted(np.tile(in_train, (PARTITIONS, 1)), axis=1)
        train = np.concatenate([in_train[None], drawn])
        self.groups = (train, ~train)  # [1 + partitions, samples]: the splits come first
        self.means = np.zeros((2, len(train), 0, 0))  # [groups, 1 + partitions, types, 2^n] once there is a sample

    def add(self, first: int, effects: np.ndarray) -> None:
        """Adds the samples from `first` on: their interactions `[samples, types, 2**n]`, nats, the same variables."""
        if not self.means.size:
            self.means = np.zeros((*self.means.shape[:2], *effects.shape[1:]))
        flat, rows = effects.reshape(len(effects), -1), slice(first, first + len(effects))
        for means, group in zip(self.means, self.groups, strict=True):
            for i in range(0, len(group), BLOCK):
                block = group[i : i + BLOCK]
                weights = block[:, rows] / block.sum(1, keepdims=True)
                means[i : i + BLOCK] += (weights @ flat).reshape(-1, *effects.shape[1:])


def similarities(means: np.ndarray) -> np.ndarray:
    """Returns the index between splits, and mean and 95 % range of the reference: `[4, n]`.

    `means` is that of `GroupMeans` after all samples were added.
    """
    found = np.concatenate([similarity(*means[:, i : i + BLOCK]) for i in range(0, means.shape[1], BLOCK)])
    outside = (1 - LEVEL) / 2
    return np.stack([found[0], found[1:].mean(0), *np.quantile(found[1:], [outside, 1 - outside], axis=0)])


def profiles(shape: str, n: int, alpha: np.ndarray) -> np.ndarray:
    """Returns the share of each order 1 … n in a decay ∝ α^k or a spindle ∝ C(n, k) · α^k: `[..., n]`, sums to 1.

    Source: revisiting (arXiv 2502.10162): generalizable interactions decay, non-generalizable ones form a spindle.

    >>> profiles("spindle", 3, np.array(1.0)).round(3).tolist()
    [0.429, 0.429, 0.143]

    Raises:
        ValueError: the shape is unknown.
    """
    if shape not in SHAPES:
        raise ValueError(f"there is no profile {shape!r}; choose one of {', '.join(SHAPES)}")
    k = np.arange(1, n + 1)
    ways = np.array([comb(n, int(size)) for size in k]) if shape == "spindle" else np.ones(n)
    log = np.log(ways) + k * np.log(alpha)[..., None]
    weights = np.exp(log - log.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def fit(strengths: np.ndarray, shape: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns α and the distance of the best profile of a shape for strengths `[..., n]` of orders 1 … n.

    α has the least squared error of the shares, of `ALPHAS`; the distance is ½ Σ |share − profile|: 0 = the same shape,
    1 = no order in common. NaN where there is no strength.
    """
    whole = strengths.sum(-1, keepdims=True)
    share = np.divide(strengths, whole, out=np.full(strengths.shape, np.nan), where=whole > 0)
    tried = profiles(shape, strengths.shape[-1], ALPHAS)  # [alphas, n]
    error = (tried**2).sum(-1) - 2 * share @ tried.T  # Σ share² is the same for all
    best = np.nan_to_num(error).argmin(-1)
    known = whole[..., 0] > 0
    return np.where(known, ALPHAS[best], np.nan), np.abs(share - tried[best]).sum(-1) / 2


def group_means(splits: Sequence[str], *, same_variables: bool) -> GroupMeans | None:
    """Returns where the interactions of all samples are to be added; None where splits cannot be compared.

    Args:
        splits: "train" or "test" for each sample.
        same_variables: whether variable i is the same place or column in every sample; words of texts are not.
    """
    in_train = np.asarray(splits) == "train"
    return GroupMeans(in_train) if same_variables and 0 < in_train.sum() < len(in_train) else None
