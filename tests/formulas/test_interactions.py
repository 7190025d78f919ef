import numpy as np
import pytest
import torch

from interdash.formulas import interactions, subsets

KINDS = [np.asarray, torch.as_tensor]


def brute_force(i_and, i_or, v_empty):
    """The game's outputs, straight from the definition of AND and OR."""
    v = np.full(len(i_and), v_empty)
    for kept in range(len(i_and)):
        for s in range(1, len(i_and)):
            v[kept] += i_and[s] * (s & kept == s) + i_or[s] * (s & kept != 0)
    return v


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_known_coefficients_come_back(n, kind):
    rng = np.random.default_rng(n)
    i_and, i_or = rng.normal(size=(2, 2**n))
    i_and[0] = i_or[0] = 0.0
    zero = np.zeros(2**n)
    found = interactions.and_interactions(kind(brute_force(i_and, zero, 0.0)))
    np.testing.assert_allclose(np.asarray(found), i_and, atol=1e-12)
    found = interactions.or_interactions(kind(brute_force(zero, i_or, 0.0)))
    np.testing.assert_allclose(np.asarray(found), i_or, atol=1e-12)
    matched = interactions.matched_outputs(kind(i_and), kind(i_or), kind(np.array(0.7)))
    np.testing.assert_allclose(np.asarray(matched), brute_force(i_and, i_or, 0.7), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 1, 3, 10, 16])
def test_inverses_on_random_games(n, kind):
    v = kind(np.random.default_rng(n).normal(size=(2, 2**n)))
    for forward, back in (
        (interactions.and_interactions, interactions.and_outputs),
        (interactions.or_interactions, interactions.or_outputs),
    ):
        np.testing.assert_allclose(np.asarray(back(forward(v))), np.asarray(v), atol=1e-9)


def test_universal_matching_for_any_division_and_after_first_order_or_is_merged():
    rng = np.random.default_rng(0)
    v, gamma = rng.normal(size=(2, 3, 2**8))
    gamma[:, 0] = -v[:, 0] / 2  # v_and(∅) = 0 leaves v(∅) as the bias
    i_and = interactions.and_interactions(v / 2 + gamma)
    i_or = interactions.or_interactions(v / 2 - gamma)
    i_or[:, 0] = 0
    np.testing.assert_allclose(interactions.matched_outputs(i_and, i_or, v[:, 0]), v, atol=1e-9)
    rng = np.random.default_rng(3)
    i_and, i_or = rng.normal(size=(2, 2, 32))
    merged = interactions.merge_first_order(i_and, i_or)
    assert np.all(merged[1][:, subsets.orders(5) == 1] == 0)
    zero = np.zeros(2)
    np.testing.assert_allclose(
        interactions.matched_outputs(*merged, zero), interactions.matched_outputs(i_and, i_or, zero), atol=1e-12
    )


def test_transforms_are_linear_follow_permutations_and_leave_their_input_alone():
    a, b = np.random.default_rng(1).normal(size=(2, 4, 64))
    before = a.copy()
    for transform in (interactions.and_interactions, interactions.or_interactions):
        np.testing.assert_allclose(transform(2 * a - 3 * b), 2 * transform(a) - 3 * transform(b), atol=1e-12)
    assert np.array_equal(a, before)
    n, permutation = 5, np.array([3, 0, 4, 1, 2])
    index = subsets.masks(n)[:, permutation] @ (1 << np.arange(n))
    v = np.random.default_rng(2).normal(size=2**n)
    for transform in (interactions.and_interactions, interactions.or_interactions):
        np.testing.assert_allclose(transform(v[index]), transform(v)[index], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_are_settled_without_changing_an_output_and_never_at_a_higher_cost(kind):
    rng = np.random.default_rng(5)
    i_and, i_or = rng.normal(size=(2, 20, 32))
    i_and[:, 0] = i_or[:, 0] = 0
    a, o = (np.asarray(x) for x in interactions.settle_pairs(kind(i_and), kind(i_or)))
    assert not np.any(a[:, subsets.orders(5) == 2] * o[:, subsets.orders(5) == 2] > 1e-12)
    zero = np.zeros(20)
    np.testing.assert_allclose(
        interactions.matched_outputs(a, o, zero), interactions.matched_outputs(i_and, i_or, zero), atol=1e-12
    )
    before, after = (np.abs(x).sum(1) + np.abs(y).sum(1) for x, y in ((i_and, i_or), (a, o)))
    assert np.all(after <= before + 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_shapley_values_do_not_depend_on_the_division(kind):
    rng = np.random.default_rng(4)
    v, gamma = rng.normal(size=(2, 3, 32))
    v[:, 0] = gamma[:, 0] = 0
    found = [
        np.asarray(
            interactions.shapley_values(
                interactions.and_interactions(kind(v / 2 + g)), interactions.or_interactions(kind(v / 2 - g))
            )
        )
        for g in (0 * gamma, gamma)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)
    np.testing.assert_allclose(found[0].sum(1), v[:, -1], atol=1e-12)  # efficiency


@pytest.mark.parametrize("kind", KINDS)
def test_bad_outputs_are_refused(kind):
    v = np.zeros((3, 8))
    v[2, 5] = np.nan
    with pytest.raises(ValueError, match="outputs of sample 2 contain NaN or infinity"):
        interactions.check_outputs(kind(v))
    v[2, 5] = np.inf
    with pytest.raises(ValueError, match="outputs of sample 2 contain NaN or infinity"):
        interactions.check_outputs(kind(v))
    with pytest.raises(ValueError, match="batch is empty"):
        interactions.check_outputs(kind(np.zeros((0, 8))))
    with pytest.raises(ValueError, match="6 outputs are not one for each subset"):
        interactions.check_outputs(kind(np.zeros((1, 6))))
    with pytest.raises(ValueError, match="expected"):
        interactions.check_outputs(kind(np.zeros(())))
