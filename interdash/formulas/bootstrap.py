"""The bootstrap over samples: percentile intervals of any statistic, seeded, with one rule for what has no value.

Samples are drawn independently, or one from each of equal strata (of the split, sorted by the final loss). Of strata
with one sample each nothing can be drawn anew, so two neighbours count as one stratum (collapsed strata) of which one
sample is drawn and counts twice: n − 1 of n units, rescaled, where drawing both would halve the variance. Source: Rao &
Wu, *Resampling inference with complex survey data*, JASA 83 (1988), 231–241. Where what is averaged is itself sorted by
the strata, the difference of the neighbours counts as noise: intervals are then too wide rather than too narrow.

A resample that has no value (no strength to take a share of, nothing salient, no profile to fit) is passed over: it
says nothing about the share. An interval is NaN only where no resample has a value. Source: ours.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 1000
LEVEL = 0.95  # of the intervals
FEW = 10  # samples: of fewer, charts draw no interval and words give no verdict (ours)
Group = int | np.ndarray  # samples drawn independently: how many; one from each stratum: their strata, [samples]


def group(strata: ArrayLike | None, rows: np.ndarray | int) -> Group:
    """Returns the group that some samples are, by their strata; `rows`: their numbers, a mask, or how many all are.

    Without strata (None, or NaN where samples were drawn at random) they are independent.
    """
    known = None if strata is None else np.asarray(strata, float)
    if known is None or np.isnan(known).any():
        return rows if isinstance(rows, int) else int(rows.sum() if rows.dtype == bool else len(rows))
    return known if isinstance(rows, int) else known[rows]


def percentile(
    statistic: Callable[..., np.ndarray], *groups: Group, resamples: int = RESAMPLES, level: float = LEVEL
) -> np.ndarray:
    """Returns the low and high ends `[2, ...]` of a statistic `[..., resamples]`; its unit. See `distribution`.

    >>> losses = np.array([0.0, 1.0, 2.0, 3.0])
    >>> percentile(lambda drawn: losses[drawn].mean(-1), len(losses)).tolist()
    [0.5, 2.5]
    """
    return ends(distribution(statistic, *groups, resamples=resamples), level)


def distribution(statistic: Callable[..., np.ndarray], *groups: Group, resamples: int = RESAMPLES) -> np.ndarray:
    """Returns a statistic `[..., resamples]` of samples drawn with replacement, the same draws at every call.

    Args:
        statistic: called with one array of indices `[resamples, count]` for each group of samples.
        groups: which are drawn independently of each other, each the number of its samples, or an array `[count]` by
            which they are sorted so that neighbours are of neighbouring strata (any numbers; of a part of the samples,
            those of the part).
        resamples: how many.
    """
    rng = np.random.default_rng(0)
    return statistic(*(_draws(group, resamples, rng) for group in groups))


def _draws(group: Group, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Returns indices `[resamples, count]`: one of each two neighbours, twice; an odd one out is of a group of three.

    Of three, two are drawn, each for 3/2: one counts twice, one once (variance 5), or in a quarter of the resamples
    three times once (3): together the 3 · 3/2 of n − 1 units, rescaled.
    """
    if not isinstance(group, np.ndarray):
        return rng.integers(0, group, (resamples, group))
    count = len(group)
    place, odd = np.arange(count), count % 2
    first = np.minimum(place // 2 * 2, max(count - 2 - odd, 0))  # of the neighbours of each place
    drawn = first + rng.integers(0, np.where(place < count - 3 * odd, 2, min(count, 3)), (resamples, count))
    again = np.ones((resamples, count // 2), bool)
    again[:, count // 2 - odd :] = rng.random((resamples, min(odd, count // 2))) < 3 / 4
    drawn[:, 1::2] = np.where(again, drawn[:, : 2 * (count // 2) : 2], drawn[:, 1::2])
    return np.argsort(group, kind="stable")[drawn]


def one_of_each_stratum(losses: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns samples, one of each of `count` equal strata of them sorted by their losses `[samples]`: `[count]`.

    Entry i is of stratum i, the lowest losses first; NaN is the highest. All samples if there are no more. Each is
    drawn with the same chance: one on the border of two strata is in either for its part, and drawn once.
    Source: Deville's systematic sampling, in Tillé, *Sampling Algorithms*, Springer 2006, ch. 7.
    """
    order, size, places = np.argsort(losses, kind="stable"), len(losses), [-1]
    if size <= count:
        return order
    for i in range(count):
        first, before = divmod(i * size, count)  # before: what the last stratum has of the first sample, in count-ths
        on_border = before and places[-1] != first and rng.random() < (count - before) / (size - before)
        place = first if on_border else int(rng.uniform(first + (before > 0), (i + 1) * size / count))
        places.append(place)
    return order[places[1:]]


def ends(draws: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Returns the low and high ends `[2, ...]` of draws `[..., resamples]`, those without a value (NaN) passed over."""
    outside = (1 - level) / 2
    bounds, missing = np.full((2, *draws.shape[:-1]), np.nan), np.isnan(draws)
    some, whole = ~missing.all(-1) & missing.any(-1), ~missing.any(-1)
    bounds[:, some] = np.nanquantile(draws[some], (outside, 1 - outside), axis=-1)
    bounds[:, whole] = np.quantile(draws[whole], (outside, 1 - outside), axis=-1)  # the same, ten times as fast
    return bounds


def mean_intervals(
    quantities: Callable[[np.ndarray], dict[str, np.ndarray]], sums: np.ndarray, *groups: Group
) -> dict[str, np.ndarray]:
    """Returns low and high ends `[2, rows]` of what is computed from means over samples, by name; NaN passed over.

    Args:
        quantities: from means `[..., values]` to quantities `[...]`, each in its unit.
        sums: `[rows, samples, values]`, or with more groups `[rows, samples, baselines, values]`.
        groups: the samples, and what else is drawn by itself, see `distribution`.
    """

    def values(samples: np.ndarray, *others: np.ndarray) -> np.ndarray:
        means = np.tensordot(sample_weights(samples), sums, (1, 1))  # [resamples, rows, …, values]
        for drawn in others:
            means = np.einsum("rpb...,rb->rp...", means, sample_weights(drawn))
        return np.stack([some.T for some in quantities(means).values()])

    names = quantities(sums[(slice(None), *(0 for _ in groups))])
    draws = distribution(values, *groups)  # [quantities, rows, resamples]
    return dict(zip(names, np.moveaxis(ends(draws), 1, 0), strict=True))


def sample_weights(drawn: np.ndarray) -> np.ndarray:
    """Returns how often each of the samples was drawn, as shares `[..., samples]`, from indices `[..., samples]`."""
    count = drawn.shape[-1]
    flat = drawn.reshape(-1, count).astype(np.int64)
    shifted = flat + count * np.arange(len(flat))[:, None]
    return np.bincount(shifted.ravel(), minlength=count * len(flat)).reshape(drawn.shape) / count
