import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from interdash.formulas import interactions, subsets
from interdash.solver import sparsify
from interdash.solver.sparsify import sparse_split


def games(n, samples=6, seed=0):
    """Outputs of small random ReLU networks on masked inputs: neither sparse nor dense in interactions."""
    rng = np.random.default_rng(seed)
    masks = subsets.masks(n).astype(float)
    first, second = rng.normal(size=(samples, n, 12)), rng.normal(size=(samples, 12))
    return np.einsum("smh,sh->sm", np.maximum(masks @ first + 0.3, 0), second) + rng.normal(size=(samples, 1))


def dense_maps(n):
    a = interactions.and_outputs(np.eye(2**n)).T[:, 1:]
    return a, 1 - a[::-1]  # S∩T ≠ ∅ unless S ⊆ N∖T


def lp_optimum(v, kappa, weights):
    """The exact optimal value, by linear programming."""
    u, n = v - v[0], subsets.n_variables(len(v))
    a, o = dense_maps(n)
    zeta = np.full(2**n, kappa * abs(u[-1]))
    zeta[[0, -1]] = 0
    zeros = np.zeros(2**n)
    result = linprog(
        np.concatenate([np.tile(weights[1:], 4), zeros]),
        A_eq=np.hstack([a, -a, o, -o, np.eye(2**n)]),
        b_eq=u,
        bounds=[(0, None)] * (4 * (2**n - 1)) + list(zip(-zeta, zeta, strict=True)),
    )
    return result.fun


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("kappa", [0.0, 0.02, 0.04])
@pytest.mark.parametrize("tie_break", [0.0, 0.01, -0.01])
def test_objective_and_lower_bound_enclose_the_exact_optimum(n, kappa, tie_break):
    v = games(n)
    weights = 1 + tie_break * (subsets.orders(n) - 1)
    exact = np.array([lp_optimum(row, kappa, weights) for row in v])
    for tolerance, worst in (("default", 0.04), ("tight", 0.002)):
        split = sparse_split(v, kappa, tie_break=tie_break, tolerance=tolerance)
        assert np.all(split.lower_bound <= exact * (1 + 1e-9))
        assert np.all(split.objective >= exact * (1 - 1e-9))
        assert np.all(split.objective <= exact * (1 + worst))
        assert np.all(split.gap <= sparsify.CERTIFIED_GAPS[tolerance]) and split.solved.all()
        np.testing.assert_allclose(split.gap, split.objective / split.lower_bound - 1, atol=1e-12)


@pytest.mark.parametrize("kappa", [0.0, 0.02])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 10])
def test_universal_matching_with_delta_strictly_inside_its_bound(n, kappa):
    v = games(n, samples=3)
    split = sparse_split(v, kappa)
    matched = interactions.matched_outputs(split.i_and, split.i_or, v[:, 0])
    np.testing.assert_allclose(matched + split.delta, v, atol=1e-10 * np.abs(v).max())
    assert np.all(np.abs(split.delta) <= kappa * np.abs(v[:, -1:] - v[:, :1]))
    assert np.all(split.delta[:, [0, -1]] == 0)
    assert np.all(split.i_and[:, 0] == 0) and np.all(split.i_or[:, 0] == 0)
    assert np.all(split.i_or[:, subsets.orders(n) == 1] == 0)
    total = (split.i_and + split.i_or).sum(1)
    np.testing.assert_allclose(total, v[:, -1] - v[:, 0], atol=1e-9)


def test_sparse_games_come_back_and_an_unsolved_sample_is_marked_and_matches():
    n = 6
    i_and, i_or = np.zeros((2, 1, 2**n))
    i_and[0, [0b000111, 0b110000, 0b000001]] = [2.0, -1.5, 0.7]
    i_or[0, [0b001110, 0b110001]] = [1.2, -0.8]
    v = interactions.matched_outputs(i_and, i_or, np.array([0.4]))
    split = sparse_split(v, kappa=0, tolerance="tight")
    np.testing.assert_allclose(split.i_and, i_and, atol=2e-2)
    np.testing.assert_allclose(split.i_or, i_or, atol=2e-2)
    v = games(8)
    split = sparse_split(v, max_steps=3)
    assert not split.solved.any() and np.all(split.gap > sparsify.SOLVED_GAP)
    matched = interactions.matched_outputs(split.i_and, split.i_or, v[:, 0])
    np.testing.assert_allclose(matched + split.delta, v, atol=1e-9)


def test_scale_permutation_and_duality_do_not_matter():
    v = games(6)
    full = sparse_split(v)
    tiny = sparse_split(v / 1024)
    for key in ("i_and", "i_or", "delta", "objective", "lower_bound"):
        assert np.array_equal(getattr(full, key), 1024 * getattr(tiny, key)), key
    third = sparse_split(v * 3e-4)
    np.testing.assert_allclose(third.objective, 3e-4 * full.objective, rtol=0.03)
    n = 6
    v = games(n)
    permutation = np.random.default_rng(1).permutation(n)
    index = subsets.masks(n)[:, permutation] @ (1 << np.arange(n))
    expected = sparse_split(v, 0, tie_break=0, tolerance="tight").objective
    for other in (v[:, index], v[:, -1:] - v[:, ::-1]):  # v*(S) = v(N) − v(N∖S)
        found = sparse_split(other, 0, tie_break=0, tolerance="tight").objective
        np.testing.assert_allclose(found, expected, rtol=1.1e-3)


def test_two_solves_agree_with_the_tie_break():
    v = games(8, samples=8)
    orders = subsets.orders(8)
    profiles = []
    for tolerance in ("default", "tight"):
        split = sparse_split(v, tolerance=tolerance)
        strength = np.abs(split.i_and) + np.abs(split.i_or)
        by_order = np.stack([strength[:, orders == k].sum(1) for k in range(1, 9)], 1)
        profiles.append(by_order / by_order.sum(1, keepdims=True))
    distance = np.abs(profiles[0] - profiles[1]).sum(1) / 2
    assert np.median(distance) <= 0.01


def test_the_same_input_gives_the_same_bits_and_torch_gives_torch():
    v = games(7)
    first, second = sparse_split(v), sparse_split(v)
    assert all(np.array_equal(getattr(first, key), getattr(second, key)) for key in vars(first))
    v = games(5)
    split = sparse_split(torch.as_tensor(v))
    assert isinstance(split.i_and, torch.Tensor) and split.i_and.dtype == torch.float64
    np.testing.assert_array_equal(split.numpy().i_and, sparse_split(v).i_and)


def test_zeta_from_the_mean_gives_noise_to_a_sample_without_an_effect_of_its_own():
    v = games(4, samples=2)
    v[0, -1] = v[0, 0]
    assert np.all(sparse_split(v, zeta="sample").delta[0] == 0)
    split = sparse_split(v, zeta="mean")
    assert np.abs(split.delta[0]).max() > 0
    assert np.abs(split.delta).max() <= 0.02 * np.abs(v[:, -1] - v[:, 0]).mean()


def test_outputs_all_alike_have_no_interactions():
    split = sparse_split(np.full((2, 16), 3.0))
    assert np.all(split.i_and == 0) and np.all(split.i_or == 0)
    assert np.all(split.gap == 0) and split.solved.all()
    v = games(5)
    split = sparse_split(v, sparse=False)
    expected = interactions.and_interactions(v - v[:, :1])
    np.testing.assert_array_equal(split.i_and, expected)
    assert np.all(split.i_or == 0) and np.all(split.delta == 0) and np.all(split.gap == 0)


@pytest.mark.parametrize(
    ("v", "options", "message"),
    [
        (np.zeros(8), {}, r"shape \(8,\); expected \[batch, 2\^n\]"),
        (np.zeros((0, 8)), {}, "batch is empty"),
        (np.zeros((1, 7)), {}, "7 outputs are not one for each subset"),
        (np.full((1, 8), np.nan), {}, "outputs of sample 0 contain NaN or infinity"),
        (np.zeros((1, 8)), {"kappa": -0.1}, "kappa is -0.1; it must be at least 0 and below 1"),
        (np.zeros((1, 8)), {"tie_break": 0.5}, "tie_break is 0.5; for 3 variables it must be between ±0.5"),
        (np.zeros((1, 8)), {"tolerance": "loose"}, "tolerance is 'loose'; choose one of default, tight"),
        (np.zeros((1, 8)), {"zeta": "max"}, "zeta is 'max'; choose sample or mean"),
        (np.zeros((1, 8)), {"max_steps": 0}, "max_steps is 0; at least one step"),
    ],
)
def test_bad_input_is_refused(v, options, message):
    with pytest.raises(ValueError, match=message):
        sparse_split(v, **options)
