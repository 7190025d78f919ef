"""Overlap, forgotten and new of a layer: exact sums, the paper's counterexample, chance, ratios."""

import numpy as np
import pytest

from interdash.formulas.subsets import orders
from interdash.formulas.theories.layers import ratio_intervals, ratios, shared_parts


def planted(seed, samples=40, n=5, share=0.3):
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=(samples, 2, 2**n))
    salient = rng.random(effects.shape) < share
    salient[..., 0] = False
    return effects, salient


def test_all_is_overlap_and_forgotten_or_new():
    (layer, salient), (last, of_last) = planted(0), planted(1)
    parts = shared_parts(layer, last, salient, of_last)
    for k in range(1, 6):
        for effects, chosen, other in ((layer, salient, 1), (last, of_last, 2)):
            whole = np.abs(effects * chosen)[..., orders(5) == k].sum(-1)
            np.testing.assert_allclose(parts[..., k - 1, 0] + parts[..., k - 1, other], whole, atol=1e-12)


def test_the_printed_sum_is_false_and_ours_is_exact():
    """I_l = (½, ½), I_L = (1/101, 100/101): in L only the second is salient; all_l = 1."""
    layer, last = np.array([0, 0.5, 0.5, 0]), np.array([0, 1 / 101, 100 / 101, 0])
    parts = shared_parts(layer, last, layer > 0, last > 0.05)[0]
    assert parts[0] == 0.5 and parts[0] + parts[1] == 1.0 and parts[0] + parts[2] == pytest.approx(100 / 101, abs=1e-15)


def test_equal_interactions_are_complete_and_opposite_ones_share_nothing():
    effects, salient = planted(2)
    same, opposite = (
        ratios(np.concatenate([shared_parts(sign * effects, effects, salient, salient).sum((0, 1, 2)), [1, 0]]))
        for sign in (1, -1)
    )
    assert same["completeness"] == 1 and same["redundancy"] == 0 and same["completeness_by_chance"] < 0.35
    assert opposite["completeness"] == 0 and opposite["redundancy"] == 1


def test_independent_interactions_overlap_by_chance():
    (layer, salient), (last, of_last) = planted(3, samples=400), planted(4, samples=400)
    overlap, _, _, by_chance = shared_parts(layer, last, salient, of_last).sum((1, 2)).T
    error = (overlap - by_chance).std() / 400**0.5
    assert abs(overlap.mean() - by_chance.mean()) < 3 * error and overlap.mean() > 20 * error


def test_ratios_where_there_is_nothing_and_their_intervals():
    values = ratios(np.array([[0.0, 0, 0, 0, 0, 0], [2.0, 0, 2, 1, 1, 0.5]]))
    assert np.isnan([values["completeness"][0], values["redundancy"][0], values["power"][0]]).all()
    assert values["completeness"][1] == 0.5 and values["power"][1] == 0.5 and values["chance"][1] == 0.25
    sums = np.random.default_rng(0).uniform(1, 2, (1, 30, 6))
    low, high = ratio_intervals(sums, 30)["completeness"][:, 0]
    assert low < ratios(sums.mean(1))["completeness"][0] < high
