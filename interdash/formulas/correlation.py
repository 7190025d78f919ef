"""What goes together: the non-generalizable share and the loss gap; the most confusing samples of two runs."""

from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from interdash.formulas.bootstrap import sample_weights

MIN_POINTS = 5
RESAMPLES = 2000


def rank_correlation(x: np.ndarray, y: np.ndarray, *, resamples: int = RESAMPLES) -> tuple[float, float, float]:
    """Returns Spearman's ρ of two arrays `[points]` and its 95 % bootstrap interval; seeded. NaN where there is none.

    The points are drawn as pairs; the interval takes them as independent, which the epochs of one run are not.
    Source: the BCa method, Efron, *Better bootstrap confidence intervals*, JASA 82 (1987).
    """
    count = len(x)
    if count < MIN_POINTS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan, np.nan, np.nan
    rho = float(_spearman(np.full(count, 1 / count), x, y))
    if abs(rho) > 1 - 1e-9:  # every resample is perfect too: the bootstrap says nothing
        return rho, np.nan, np.nan
    drawn = np.random.default_rng(0).integers(0, count, (resamples, count))
    draws = _spearman(sample_weights(drawn), x, y)
    draws = draws[~np.isnan(draws)]  # a resample of equal points has no correlation
    others = _spearman((1 - np.eye(count)) / (count - 1), x, y)
    below = others.mean() - others
    skew = (below**3).sum() / (6 * (below**2).sum() ** 1.5)
    below_rho = ((draws < rho - 1e-12).mean() + (draws < rho + 1e-12).mean()) / 2  # equal ones count half
    if not 0 < below_rho < 1:
        return rho, np.nan, np.nan
    law = NormalDist()  # `scipy.stats` takes a second to import
    bias = law.inv_cdf(below_rho)
    shifted = [bias + law.inv_cdf(share) for share in (0.025, 0.975)]
    low, high = np.quantile(draws, [law.cdf(bias + each / (1 - skew * each)) for each in shifted])
    return rho, float(low), float(high)


def _spearman(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns Spearman's ρ of points `[points]` that count by weights `[…, points]`, which add up to 1: `[…]`."""

    def ranks(values: np.ndarray) -> np.ndarray:  # as shares, equal values in the middle of theirs, less their mean
        equal, place = np.unique(values, return_inverse=True)
        of_each = weights @ np.eye(len(equal))[place]
        return (of_each.cumsum(-1) - of_each / 2)[..., place] - 0.5

    first, second = ranks(x), ranks(y)
    with np.errstate(invalid="ignore"):
        both = (weights * first**2).sum(-1) * (weights * second**2).sum(-1)
        return (weights * first * second).sum(-1) / np.sqrt(both)


def rank_correlations(points: pd.DataFrame) -> pd.DataFrame:
    """Returns one row a run, and "all runs" if there are several: run, points, rho, low, high.

    `points` has run, share and gap, as `removal.share_and_gap` gives them.
    """
    groups = [(str(run), rows) for run, rows in points.groupby("run", sort=False)]
    groups += [("all runs", points)] if len(groups) > 1 else []
    return pd.DataFrame(
        [
            (name, len(rows), *rank_correlation(rows["share"].to_numpy(float), rows["gap"].to_numpy(float)))
            for name, rows in groups
        ],
        columns=["run", "points", "rho", "low", "high"],
    )


def most_confusing(net_share: np.ndarray, high_order_share: np.ndarray) -> np.ndarray:
    """Returns which tenth of the samples confuses a network most, bool `[samples]`; a sample without shares is none.

    Those with the highest sum of two ranks: by how much their salient interactions cancel (1 − ρ), and by the share of
    high orders. Source: such samples are described in arXiv 2502.08625; its formula is not known, this one is ours.

    Args:
        net_share: ρ = |ΣI| / Σ|I| of each sample, `[samples]`.
        high_order_share: share of interactions of more than half of the variables in the salient strength.
    """
    from scipy import stats

    known = ~np.isnan(net_share + high_order_share)
    score = np.full(len(known), -np.inf)
    score[known] = stats.rankdata(-net_share[known]) + stats.rankdata(high_order_share[known])
    chosen = np.zeros(len(known), bool)
    chosen[np.argsort(-score, kind="stable")[: -(-int(known.sum()) // 10)]] = True
    return chosen & known


def jaccard(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float, float]:
    """Returns |A ∩ B| / |A ∪ B| of two sets, bool `[samples]`, its mean by chance, and the range of 95 % of chance.

    By chance: random sets of the same sizes, whose overlap is hypergeometric. NaN where both are empty.

    >>> jaccard(np.array([True, True, False, False]), np.array([True, False, True, False]))[:2]
    (0.3333333333333333, 0.38888888888888884)
    """
    from scipy import stats

    sizes = int(first.sum()), int(second.sum())
    if not sum(sizes):
        return np.nan, np.nan, np.nan, np.nan
    overlap = np.arange(min(sizes) + 1)
    law: Any = stats.hypergeom(len(first), *sizes)
    index = overlap / (sum(sizes) - overlap)
    low, high = (index[int(law.ppf(share))] for share in (0.025, 0.975))
    both = int((first & second).sum())
    return both / (sum(sizes) - both), float(law.pmf(overlap) @ index), float(low), float(high)
