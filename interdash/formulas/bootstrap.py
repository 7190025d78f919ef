"""The bootstrap over samples: percentile intervals of any statistic, seeded, with one rule for what has no value.

A resample that has no value (no strength to take a share of, nothing salient, no profile to fit) is passed over: it
says nothing about the share. An interval is NaN only where no resample has a value. Source: ours.
"""

from collections.abc import Callable

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95  # of the intervals


def percentile(
    statistic: Callable[..., np.ndarray], *counts: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> np.ndarray:
    """Returns the low and high ends `[2, ...]` of a statistic `[..., resamples]`; its unit. See `distribution`.

    >>> losses = np.array([0.0, 1.0, 2.0, 3.0])
    >>> percentile(lambda drawn: losses[drawn].mean(-1), len(losses)).tolist()
    [0.5, 2.5]
    """
    return ends(distribution(statistic, *counts, resamples=resamples), level)


def distribution(statistic: Callable[..., np.ndarray], *counts: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Returns a statistic `[..., resamples]` of samples drawn with replacement, the same draws at every call.

    Args:
        statistic: called with one array of indices `[resamples, count]` for each group of samples.
        counts: the number of samples in each group, which are drawn independently.
        resamples: how many.
    """
    rng = np.random.default_rng(0)
    return statistic(*(rng.integers(0, count, (resamples, count)) for count in counts))


def ends(draws: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Returns the low and high ends `[2, ...]` of draws `[..., resamples]`, those without a value (NaN) passed over."""
    from scipy import stats  # takes a second to import

    outside = (1 - level) / 2
    quantiles = stats.quantile(draws, np.array([outside, 1 - outside]), axis=-1, nan_policy="omit")
    return np.moveaxis(np.asarray(quantiles), -1, 0)


def sample_weights(drawn: np.ndarray) -> np.ndarray:
    """Returns how often each of the samples was drawn, as shares `[..., samples]`, from indices `[..., samples]`."""
    count = drawn.shape[-1]
    flat = drawn.reshape(-1, count).astype(np.int64)
    shifted = flat + count * np.arange(len(flat))[:, None]
    return np.bincount(shifted.ravel(), minlength=count * len(flat)).reshape(drawn.shape) / count
