"""The bootstrap over samples: scipy's intervals, and what happens to resamples without a value."""

import numpy as np
import pytest
from scipy import stats

from interdash.formulas.bootstrap import (
    LEVEL,
    distribution,
    ends,
    one_of_each_stratum,
    percentile,
    sample_weights,
)


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


@pytest.mark.parametrize("count", range(1, 10))
def test_one_of_two_neighbours_is_drawn_and_counts_twice(count):
    strata = np.random.default_rng(1).permutation(count) + 5
    weights = count * sample_weights(distribution(lambda index: index, strata, resamples=100_000))
    assert np.allclose(weights.sum(1), count) and np.allclose(weights.mean(0), 1, atol=0.03)
    values = np.random.default_rng(3).normal(size=count)
    neighbours, pairs = values[np.argsort(strata)], max(count // 2 - count % 2, 0)
    variance = (np.diff(neighbours[: 2 * pairs].reshape(-1, 2)) ** 2).sum()
    if count > 1 and count % 2:
        variance += 3 * neighbours[-3:].var(ddof=1)  # n_h · s_h², as of each pair
    assert (weights @ values).var() == pytest.approx(variance, rel=0.02, abs=1e-12)


@pytest.mark.parametrize("count", [50, 101])
@pytest.mark.parametrize(("follows", "least", "most"), [(0.0, 0.7, 1.3), (0.7, 1.0, 2.5)])
def test_intervals_of_samples_in_strata_have_their_variance_and_coverage(count, follows, least, most):
    """Heavy-tailed losses: final ones sort the strata, those of another epoch follow them or not."""
    rng = np.random.default_rng(2)
    final, other = rng.lognormal(sigma=0.8, size=(2, 20 * count))
    losses = follows * np.sort(final) + (1 - follows) * other
    draws = losses[rng.integers(20, size=(400, count)) + 20 * np.arange(count)]
    truth = draws.mean(1).var()

    def means(group):
        return np.stack([distribution(lambda index, x=x: x[index].mean(-1), group, resamples=200) for x in draws])

    assert draws.mean() == pytest.approx(losses.mean(), abs=3 * np.sqrt(truth / len(draws)))
    in_strata = means(np.arange(count))
    assert least < in_strata.var(1).mean() / truth < most  # the neighbours' difference counts as noise
    assert means(count).var(1).mean() > (2.5 if follows else 0.7) * truth  # as if drawn at random
    low, high = ends(in_strata)
    assert ((low <= losses.mean()) & (losses.mean() <= high)).mean() > 0.85  # 0.9 of lognormal samples drawn at random


@pytest.mark.parametrize(("size", "count"), [(1000, 50), (70, 50), (51, 50), (50, 50), (9, 50)])
def test_one_of_each_stratum(size, count):
    """Each sample has the same chance to be drawn, also where strata share a sample; the mean has no bias."""
    rng = np.random.default_rng(4)
    losses = rng.lognormal(sigma=2, size=size)
    drawn = np.array([one_of_each_stratum(losses, count, rng) for _ in range(2000)])
    assert drawn.shape[1] == min(size, count) and all(len(set(row)) == len(row) for row in drawn[:50])
    assert (np.diff(losses[drawn], axis=1) >= 0).all()  # from the lowest to the highest
    often = np.bincount(drawn.ravel(), minlength=size) / len(drawn)
    assert np.allclose(often, drawn.shape[1] / size, atol=0.05)
    if size == 1000:
        means = losses[drawn].mean(1)
        assert abs(means.mean() - losses.mean()) < 2 * means.std() / np.sqrt(len(means))
        assert means.std() < losses.std() / np.sqrt(count) / 1.5


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
