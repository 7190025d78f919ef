"""The theory of noise: by the dense formula, in its limits, and with a planted σ² found again."""

import numpy as np
import pytest

from interdash.formulas import prediction
from interdash.formulas.bootstrap import ends
from interdash.formulas.prediction import Prediction, predicted, predicted_profile, shrinkage, spindle
from interdash.formulas.subsets import orders


def dense(n, sigma2):
    """The matrix that makes ŵ of w*, as printed."""
    contained = [[float(s & t == s) for s in range(2**n)] for t in range(2**n)]
    gram = np.array(contained).T @ np.array(contained)
    return np.linalg.solve(gram + 2**n * sigma2 * np.diag(2.0 ** orders(n)), gram)


def planted(seed, samples=30, n=6):
    """Sparse interactions of a converged network, `[samples, 2, 2**n]`."""
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=(samples, 2, 2**n)) * (rng.random((samples, 2, 2**n)) < 0.2)
    effects[..., 0] = 0
    return effects


@pytest.mark.parametrize("n", [1, 5, 6])
@pytest.mark.parametrize("sigma2", [0.0, 1e-3, 0.4, 50.0])
def test_kronecker_powers_are_the_dense_formula(n, sigma2):
    w_star = np.random.default_rng(0).normal(size=(3, 2**n))
    matrix = dense(n, sigma2)
    np.testing.assert_allclose(predicted(w_star, sigma2), w_star @ matrix.T, atol=1e-12)
    lengths = np.linalg.norm(matrix, axis=1)
    np.testing.assert_allclose(shrinkage(n, sigma2)[orders(n)], lengths, atol=1e-12)  # the same for all of an order


@pytest.mark.parametrize("n", [4, 8, 10, 16])
def test_shrinkage_in_the_limits(n):
    np.testing.assert_allclose(shrinkage(n, 0.0), 1)
    ratios = shrinkage(n, 1e9)[:-1] / shrinkage(n, 1e9)[1:]
    np.testing.assert_allclose(ratios, 10**0.5, rtol=1e-6)
    assert (np.diff(shrinkage(n, 0.1)) < 0).all()


def test_profiles_of_equal_interactions():
    """Order shares for w* = 1 at n = 10, as measured by a plain solve."""
    peaks = {1e-4: (5, 0.29), 1e-2: (4, 0.33), 1.0: (3, 0.30), 100.0: (2, 0.30)}
    for sigma2, (order, share) in peaks.items():
        profile = predicted_profile(np.ones((1, 1024)), sigma2)
        assert profile.sum() == pytest.approx(10)
        assert profile.argmax() + 1 == order and profile.max() / 10 == pytest.approx(share, abs=0.01)


def test_weak_predicted_interactions_are_left_out():
    w_star = np.array([[0.0, 10.0, 0.2, 0.0]])
    np.testing.assert_allclose(predicted_profile(w_star, 0.0), [2, 0])
    np.testing.assert_allclose(prediction.predicted_strengths(w_star, 0.0), [[10, 0]])  # 0.2 < 0.03 · 10.2


@pytest.mark.parametrize("sigma2", [3e-5, 0.0123, 0.7, 40.0])
def test_planted_sigma2_is_found_again(sigma2):
    theory = Prediction(planted(0))
    measured = theory.at(sigma2)
    assert theory.fit(measured) == pytest.approx(sigma2, rel=1e-5)
    assert theory.fit(7 * measured) == pytest.approx(sigma2, rel=1e-5)  # the profile counts, not the strength
    low, high = ends(theory.resampled(np.stack([measured, 0 * measured]), len(measured)))
    assert low[0] <= sigma2 * 1.13 and high[0] >= sigma2 / 1.13 and high[0] / low[0] < 3
    assert np.isnan([low[1], high[1], theory.fit(0 * measured)]).all()


def test_intervals_of_noisy_profiles_cover_the_planted_sigma2():
    inside = 0
    for seed in range(20):
        theory = Prediction(planted(seed))
        noise = np.random.default_rng(seed).lognormal(0, 0.5, (30, 6))
        low, high = ends(theory.resampled((theory.at(0.05) * noise)[None], 30))
        inside += low[0] <= 0.05 <= high[0]
    assert inside >= 16


def test_normalised_and_r_squared():
    profile = prediction.normalised(np.array([[1.0, 3.0], [0.0, 0.0]]))
    assert profile[0].tolist() == [0.5, 1.5] and np.isnan(profile[1]).all()
    assert prediction.r_squared(profile[0], np.array([0.5, 1.5])) == 1
    assert prediction.r_squared(profile[0], np.array([1.0, 1.0])) == 0
    assert np.isnan(prediction.r_squared(np.ones(2), np.ones(2)))
    with pytest.raises(ValueError, match="sigma2 is -1; a variance is 0 or above"):
        predicted(np.ones(2), -1)


def test_spindle():
    assert spindle(10).argmax() == 5 and spindle(10).sum() == pytest.approx(1)
