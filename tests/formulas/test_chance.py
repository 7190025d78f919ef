import itertools

import numpy as np
import pytest

from interdash.formulas import generalization
from interdash.formulas.chance import above_chance, chance
from interdash.formulas.subsets import orders

N, SAMPLES = 6, 4000
size = orders(N)


def random_sets(rng, counts=(0, 3, 5, 5, 3, 1, 0)):
    """Salient interactions `[samples, 2, 2**n]`: of every order so many, on random subsets, of random sign."""
    i = np.zeros((SAMPLES, 2, 2**N))
    for k, count in enumerate(counts):
        places = np.flatnonzero(size == k)
        subsets = places[rng.random((SAMPLES, 2, len(places))).argsort(-1)[..., :count]]
        strength = rng.gamma(2, 1, subsets.shape)
        np.put_along_axis(i, subsets, strength * rng.choice([-1, 1], subsets.shape), -1)
    return i


def kappa(target, baseline, order=None, sign_test=True):
    """H above chance over all samples, of one order or of all of them."""
    zero = np.zeros((SAMPLES, 1))
    general = generalization.generalizes(target, [baseline], zero, [zero], sign_test=sign_test)
    level = chance(target, baseline, sign_test=sign_test)
    strength = abs(target) * (order is None or size == order)
    power, by_chance = ((strength * label).sum() / strength.sum() for label in (general, level))
    return float(above_chance(power, by_chance))


@pytest.mark.parametrize("sign_test", [True, False])
def test_independent_random_sets_lie_at_chance_and_identical_networks_at_one(sign_test):
    rng = np.random.default_rng(1)
    target, other = (random_sets(rng) for _ in range(2))
    assert kappa(target, other, sign_test=sign_test) == pytest.approx(0, abs=0.01)
    assert kappa(target, target, sign_test=sign_test) == pytest.approx(1)


def test_planted_sets_by_order():
    """Order 1 is shared, of order 2 a half, order 3 is independent, order 4 elsewhere: 1, ½, 0, and below chance."""
    rng = np.random.default_rng(2)
    target, baseline = random_sets(rng), random_sets(rng)
    baseline[..., size == 1] = target[..., size == 1]
    shared = (size == 2) & (rng.random((SAMPLES, 1, 1)) < 0.5)  # in half of the samples
    baseline = np.where(shared, target, baseline)
    baseline[..., size == 4] = (target[..., size == 4] == 0) * rng.choice([-1, 1], (SAMPLES, 2, 15))
    assert kappa(target, baseline, order=1) == pytest.approx(1)
    assert kappa(target, baseline, order=2) == pytest.approx(0.5, abs=0.05)
    assert kappa(target, baseline, order=3) == pytest.approx(0, abs=0.02)
    assert kappa(target, baseline, order=4) < -0.3
    target = np.random.default_rng(5).normal(size=(3, 4, 2, 16))
    baseline = target[0] * (abs(target[0]) > 0.5)
    np.testing.assert_array_equal(chance(target, baseline), np.stack([chance(i, baseline) for i in target]))


@pytest.mark.parametrize("sign_test", [True, False])
def test_chance_is_the_mean_of_g_over_all_places_of_the_baseline(sign_test):
    """Every order of the baseline's interactions is put at every place in turn, which is the definition."""
    rng = np.random.default_rng(3)
    target, baseline = rng.normal(size=(2, 1, 8))
    baseline[:, [1, 2, 5]] = 0
    zero = np.zeros(1)
    places = []
    for first, second in itertools.product(itertools.permutations([1, 2, 4]), itertools.permutations([3, 5, 6])):
        moved = baseline.copy()
        moved[:, [1, 2, 4]], moved[:, [3, 5, 6]] = baseline[:, first], baseline[:, second]
        places.append(generalization.generalizes(target, [moved], zero, [zero], sign_test=sign_test))
    expected = np.mean(places, axis=0)
    np.testing.assert_allclose(chance(target, baseline, sign_test=sign_test)[:, 1:], expected[:, 1:])


def test_nothing_lies_above_a_chance_of_one():
    assert np.isnan(above_chance(np.array([1.0, np.nan, 0.5]), np.array([1.0, 0.5, np.nan]))).all()
