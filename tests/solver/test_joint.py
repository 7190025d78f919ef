"""The joint split: that of one network where all are alike, else near the exact optimum; and its certificate."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

import interdash
from interdash.formulas import interactions, subsets
from interdash.solver import joint
from interdash.solver.joint import joint_split
from interdash.solver.sparsify import sparse_split
from tests.solver.test_sparsify import dense_maps, games


def several(n, networks=2, samples=4, apart=0.5):
    """Outputs of networks that have some of their game in common, `[networks, samples, 2^n]`."""
    common = games(n, samples)
    return np.stack([common + apart * games(n, samples, seed=i + 1) for i in range(networks)])


def lp_optimum(u, kappa, weights, spread):
    """The exact optimal value of one sample, u `[networks, 2^n]` in the common unit, by linear programming."""
    networks, size = u.shape
    a, o = dense_maps(subsets.n_variables(size))
    k = size - 1
    zeta = np.repeat(kappa * np.abs(u[:, -1:]), size, axis=1)
    zeta[:, [0, -1]] = 0
    # of each network a⁺ a⁻ o⁺ o⁻ δ; then the row maxima of AND and OR; then γ̄
    each, columns = 4 * k + size, networks * (4 * k + size) + 2 * k + size
    equal, less, limits = [], [], []
    bounds = []
    for i in range(networks):
        start = i * each
        row = np.zeros((size, columns))
        row[:, start : start + each] = np.hstack([a, -a, o, -o, np.eye(size)])
        equal.append(row)
        for part in (0, 1):  # |I_i(S)| = I⁺ + I⁻ ≤ the row maximum
            top = np.zeros((k, columns))
            for sign in (0, 1):
                at = start + (2 * part + sign) * k
                top[:, at : at + k] = np.eye(k)
            at = networks * each + part * k
            top[:, at : at + k] = -np.eye(k)
            less.append(top)
            limits.append(np.zeros(k))
        gamma = np.zeros((size, columns))
        gamma[:, start : start + 4 * k] = np.hstack([a, -a, -o, o]) / 2
        gamma[:, -size:] = -np.eye(size)
        less += [gamma, -gamma]
        limits += [np.full(size, spread)] * 2
        bounds += [(0, None)] * (4 * k) + list(zip(-zeta[i], zeta[i], strict=True))
    bounds += [(0, None)] * (2 * k) + [(None, None)] * size
    w = weights[1:]
    costs = np.concatenate([*[np.concatenate([np.tile(joint.ALPHA * w, 4), np.zeros(size)])] * networks,
                            np.tile((1 - joint.ALPHA) * w, 2), np.zeros(size)])  # fmt: skip
    result = linprog(costs, np.vstack(less), np.concatenate(limits), np.vstack(equal), u.ravel(), bounds)
    return result.fun


def in_common_unit(v):
    u = v - v[..., :1]
    return u / np.abs(u[..., -1]).mean(1)[:, None, None]


@pytest.mark.parametrize("n", [1, 2, 6])
@pytest.mark.parametrize("networks", [1, 2, 4])
@pytest.mark.parametrize("kappa", [0.0, 0.02])
def test_alike_networks_have_the_split_of_one(n, networks, kappa, monkeypatch):
    """To the last step of the solver with noise and its first step size."""
    monkeypatch.setattr(joint, "FIRST_SIGMA", 1.0)
    v = games(n, samples=4)
    alone, together = sparse_split(v, kappa), joint_split(np.stack([v] * networks), kappa)
    unit = np.abs(v[:, -1] - v[:, 0]).mean()
    factor = (1 + joint.ALPHA * (networks - 1)) / unit  # of Ω where all are equal
    assert together.solved.all() and together.gap.max() <= 0.02
    np.testing.assert_allclose(together.objective, factor * alone.objective, rtol=0.02 if kappa == 0 else 1e-5)
    for name in ("i_and", "i_or", "delta"):
        effects, scale = getattr(together, name), np.abs(alone.i_and).max()
        np.testing.assert_allclose(effects, np.stack([effects[0]] * networks), atol=1e-4 * scale)
        if kappa:
            np.testing.assert_allclose(effects[0], getattr(alone, name), atol=1e-4 * scale)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("kappa", [0.0, 0.02])
@pytest.mark.parametrize("spread", [0.02, 0.5])  # of γ̄: at the lower one it costs
def test_objective_and_lower_bound_enclose_the_exact_optimum(n, kappa, spread):
    v = several(n, networks=3, apart=2.0)
    weights = 1 + 0.01 * (subsets.orders(n) - 1)
    least, free = (
        np.array([lp_optimum(u, kappa, weights, b) for u in in_common_unit(v).swapaxes(0, 1)]) for b in (spread, 10.0)
    )
    split = joint_split(v, kappa, spread=spread, tolerance="tight")
    assert split.solved.all() and np.all(split.gap <= 0.001) and np.all(split.lower_bound <= least * (1 + 1e-9))
    assert np.all(split.objective >= free * (1 - 1e-9)) and np.all(split.objective <= least * 1.002)
    if spread == 0.02:  # the bound of γ is paid for, and the certificate knows it
        assert np.any(least > 1.02 * free) and np.any(split.lower_bound > 1.02 * free)


def test_every_network_is_matched_and_its_noise_within_bounds():
    v = several(5, networks=2) * np.array([1.0, 7.0])[:, None, None]  # one is far surer than the other
    split = joint_split(v, 0.02)
    matched = interactions.matched_outputs(split.i_and, split.i_or, v[..., 0])
    np.testing.assert_allclose(matched + split.delta, v, atol=1e-9)
    assert np.all(np.abs(split.delta) <= 0.02 * np.abs(v[..., -1:] - v[..., :1]) * (1 + 1e-12))
    np.testing.assert_allclose(split.lower_bound * (1 + split.gap), split.objective)
    again = joint_split(
        v[::-1] * np.array([3.0, 1.0])[:, None, None], 0.02
    )  # in a common unit: neither order nor scale
    np.testing.assert_allclose(again.i_and[1], split.i_and[0], atol=1e-3)


def test_joint_networks_share_more_than_each_by_itself():
    v = several(6, samples=8, apart=0.3)
    alone = [sparse_split(each) for each in v]
    pairs = {"alone": np.stack([s.i_and for s in alone]), "joint": joint_split(v).i_and}
    both = {
        name: (np.abs(pair) > 0.05).all(0).sum() / (np.abs(pair) > 0.05).any(0).sum() for name, pair in pairs.items()
    }
    assert both["joint"] > both["alone"]


def test_prox_is_the_least_of_what_it_minimises():
    rng = np.random.default_rng(0)
    x, limit = torch.tensor(rng.normal(size=(4, 2, 5, 30))), torch.full((4, 1, 1, 30), 0.7)
    least = joint._prox(x, limit, joint.ALPHA)

    def cost(z):
        size = z.abs()
        omega = (1 - joint.ALPHA) * size.amax(2) + joint.ALPHA * size.sum(2)
        return ((z - x) ** 2 / 2).sum(2) + 0.7 * omega

    for _ in range(100):
        assert (cost(least + 0.1 * torch.tensor(rng.normal(size=x.shape))) >= cost(least)).all()


def test_no_label_is_made_by_it():
    users = [path.name for path in Path(interdash.__file__).parent.rglob("*.py") if "solver.joint" in path.read_text()]
    assert users == ["noise_floor.py"]


@pytest.mark.parametrize(
    "v, options, message",
    [
        (np.zeros((2, 4)), {}, r"outputs have shape \(2, 4\); expected \[networks, batch, 2\^n\]"),
        (np.ones((2, 1, 4)), {"alpha": 0}, "alpha is 0 and spread 0.5; alpha must be above 0, at most 1, and spread 0"),
        (np.ones((2, 1, 4)), {"spread": -1}, "alpha is 0.1 and spread -1; alpha must be above 0"),
    ],
)
def test_what_cannot_be_split_is_refused(v, options, message):
    with pytest.raises(ValueError, match=message):
        joint_split(v, **options)
