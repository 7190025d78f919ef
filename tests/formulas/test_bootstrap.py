"""The bootstrap over samples: scipy's intervals, and what happens to resamples without a value."""

import numpy as np
import pytest
from scipy import stats

from interdash.formulas.bootstrap import LEVEL, distribution, ends, percentile, sample_weights


def test_the_intervals_are_those_of_scipy_bit_for_bit():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=40), rng.normal(size=30)
    expected = stats.bootstrap(
        (first, second),
        lambda a, b, axis=-1: b.mean(axis) - a.mean(axis),
        n_resamples=500,
        confidence_level=LEVEL,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = percentile(lambda a, b: second[b].mean(-1) - first[a].mean(-1), 40, 30, resamples=500)
    assert found.tolist() == list(expected)


def test_weights_are_the_shares_of_the_draws():
    drawn = np.array([[0, 0, 2], [1, 1, 1]])
    assert sample_weights(drawn).tolist() == [[2 / 3, 0, 1 / 3], [0, 1, 0]]
    values, draws = np.array([[1.0], [2.0], [4.0]]), distribution(lambda index: index, 3, resamples=50)
    assert draws.shape == (50, 3) and np.allclose(sample_weights(draws) @ values, values[draws].mean(1))


def test_resamples_without_a_value_are_passed_over():
    draws = np.array([[1.0, np.nan, 2.0, 3.0, np.nan], [np.nan] * 5])
    low, high = ends(draws, level=0.5)
    assert (low[0], high[0]) == (1.5, 2.5) and np.isnan([low[1], high[1]]).all()


def test_a_share_of_seldom_strength_is_neither_pulled_to_zero_nor_lost():
    """One of four samples has any strength: every resample that drew it has the share ½, the others have none."""
    part, whole = np.array([1.0, 0, 0, 0]), np.array([2.0, 0, 0, 0])

    def share(drawn):
        weights = sample_weights(drawn)
        return np.divide(weights @ part, weights @ whole, out=np.full(len(drawn), np.nan), where=weights @ whole > 0)

    assert 0.2 < np.isnan(distribution(share, 4)).mean() < 0.45
    assert percentile(share, 4).tolist() == pytest.approx([0.5, 0.5])
