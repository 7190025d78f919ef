"""Synergy of variables in what a network answers: information on the class that only several of them have together.

Of the answers Ŷ_T, the classes that a network predicts from samples with only the variables T kept:

    synergy = mean over i of  I(Y; Ŷ_N) − I(Y; Ŷ_{i}) − I(Y; Ŷ_{N∖i})

in nats; below 0 where variables say the same twice. After GIB (arXiv 2509.26327), which averages the interaction
information of each feature with the rest; we know it second hand, so this formula is ours: of outputs, discrete,
without its weights. Mutual information is the plug-in value less Miller and Madow's bias (K − R − C + 1) / 2N, with K,
R and C cells, rows and columns that occur; its level without any relation is measured by permuted labels.
"""

from typing import NamedTuple

import numpy as np

RESAMPLES = 300
PERMUTATIONS = 20


class Synergy(NamedTuple):
    """Information of some answers on the class, all in nats; ends of 95 % intervals over samples."""

    joint: float  # I(Y; Ŷ_N)
    single: float  # mean over i of I(Y; Ŷ_{i})
    rest: float  # mean over i of I(Y; Ŷ_{N∖i})
    synergy: float
    low: float
    high: float
    floor: float  # of synergy, labels permuted: mean, lowest and highest
    floor_low: float
    floor_high: float


def information(counts: np.ndarray) -> np.ndarray:
    """Returns the mutual information of rows and columns of counts `[..., R, C]`, by Miller and Madow: `[...]`, nats.

    >>> information(np.array([[50, 0], [0, 50]])).round(3).item()  # ln 2 and half a sample's bias
    0.698
    """
    counts = np.asarray(counts, float)
    total = counts.sum((-2, -1))
    rows, columns = counts.sum(-1), counts.sum(-2)

    def entropy(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        terms = np.where(values > 0, values * np.log(np.where(values > 0, values, 1)), 0)
        return np.log(total) - terms.sum(axes) / total

    plain = entropy(rows, (-1,)) + entropy(columns, (-1,)) - entropy(counts, (-2, -1))
    cells = (counts > 0).sum((-2, -1)) - (rows > 0).sum(-1) - (columns > 0).sum(-1) + 1
    return plain - cells / (2 * total)


def synergy(labels: np.ndarray, joint: np.ndarray, single: np.ndarray, rest: np.ndarray) -> Synergy:
    """Returns the synergy of n variables, with the spread of bootstrap resamples around it and its permutation floor.

    Resampling repeats samples, which raises information, so that the interval is the spread alone; seeded.

    Args:
        labels: classes `[samples]`, whole numbers from 0.
        joint: what is answered from all variables, `[samples]`.
        single: … from variable i alone, `[n, samples]`.
        rest: … from all but variable i, `[n, samples]`.

    Raises:
        ValueError: shapes do not fit, or there is no sample.
    """
    if not len(labels) or single.shape != rest.shape or not joint.shape == labels.shape == single.shape[1:]:
        shapes = [each.shape for each in (labels, joint, single, rest)]
        raise ValueError(f"labels and answers {shapes} do not fit; pass [samples] twice and [n, samples] twice")
    n, answers = len(single), np.concatenate([joint[None], single, rest])  # [1 + 2n, samples]
    classes, kinds = int(labels.max()) + 1, int(answers.max()) + 1
    rng = np.random.default_rng(0)

    def values(labels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Returns I(Y; Ŷ) of each answer, `[1 + 2n]`."""
        cells = labels * kinds + answers + (classes * kinds * np.arange(len(answers)))[:, None]
        every = None if weights is None else np.tile(weights, len(answers))
        counts = np.bincount(cells.ravel(), every, len(answers) * classes * kinds)
        return information(counts.reshape(len(answers), classes, kinds))

    def of(found: np.ndarray) -> float:
        return float(found[0] - found[1:].sum() / n)

    found = values(labels)
    count = len(labels)
    draws = [of(values(labels, np.bincount(rng.integers(0, count, count), minlength=count))) for _ in range(RESAMPLES)]
    spread = np.quantile(draws, [0.025, 0.975]) - np.mean(draws)
    floor = [of(values(rng.permutation(labels))) for _ in range(PERMUTATIONS)]
    value = of(found)
    means = float(found[0]), float(found[1 : 1 + n].mean()), float(found[1 + n :].mean())
    ends = value + float(spread[0]), value + float(spread[1])
    return Synergy(*means, value, *ends, float(np.mean(floor)), min(floor), max(floor))
