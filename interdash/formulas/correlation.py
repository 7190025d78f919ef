"""Rank correlation of the non-generalizable share with the loss gap. No torch: the dashboard asks for chosen runs."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

MIN_POINTS = 5
RESAMPLES = 2000


def rank_correlation(x: np.ndarray, y: np.ndarray, *, resamples: int = RESAMPLES) -> tuple[float, float, float]:
    """Returns Spearman's ρ of two arrays `[points]` and its 95 % bootstrap interval; seeded. NaN where there is none.

    The points are drawn as pairs (BCa method). The interval takes them as independent; the epochs of one run are not.
    """
    from scipy import stats  # takes a second to import

    nothing = (np.nan, np.nan, np.nan)
    if len(x) < MIN_POINTS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return nothing

    def spearman(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        found: Any = stats.pearsonr(stats.rankdata(x, axis=axis), stats.rankdata(y, axis=axis), axis=axis)
        return found.statistic

    ranked: Any = stats.spearmanr(x, y)
    rho = float(ranked.statistic)
    if abs(rho) > 1 - 1e-9:  # every resample is perfect too: the bootstrap says nothing
        return rho, np.nan, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a resample of equal points has no correlation
        found = stats.bootstrap(
            (x, y),
            spearman,
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            method="BCa",
            rng=np.random.default_rng(0),
        ).confidence_interval
    return rho, float(found.low), float(found.high)


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
