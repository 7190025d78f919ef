import numpy as np
import pytest

from interdash.formulas.correlation import jaccard, most_confusing


def test_most_confusing_are_those_that_cancel_at_high_orders():
    net, high = np.linspace(1, 0, 21), np.linspace(0, 1, 21)
    net[-1] = np.nan  # nothing salient
    assert np.flatnonzero(most_confusing(net, high)).tolist() == [18, 19]  # a tenth of 20
    assert most_confusing(np.full(3, np.nan), np.ones(3)).tolist() == [False] * 3


def test_jaccard_and_its_chance():
    rng = np.random.default_rng(0)
    first = np.arange(100) < 10
    assert jaccard(first, first)[0] == 1 and jaccard(first, ~first)[0] == 0
    drawn = np.array([jaccard(first, rng.permutation(first)) for _ in range(1000)])
    mean, low, high = drawn[0, 1:]
    assert drawn[:, 0].mean() == pytest.approx(mean, abs=3 * drawn[:, 0].std() / 1000**0.5)
    assert low == 0 and ((low <= drawn[:, 0]) & (drawn[:, 0] <= high)).mean() >= 0.95
    assert np.isnan(jaccard(first & False, first & False)).all()
