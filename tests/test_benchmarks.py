import itertools

import numpy as np
import pytest
import torch

from benchmarks import linear_program, solver
from interdash import published
from interdash.interactions import and_interactions, matched_outputs, or_interactions
from interdash.sparsify import Split


def brute_force(v, kappa):
    """The optimum of n = 2 by search over a fine grid of γ, refined, δ by the corner rule: δ on T = {0}, {1} only."""
    u, zeta = v - v[0], kappa * abs(v[-1] - v[0])
    best, centre, width = np.inf, np.zeros(5), np.append(np.full(3, 2 * np.abs(u).max()), [zeta, zeta])
    for _ in range(60):
        steps = np.array(list(itertools.product((-1.0, -0.5, 0.0, 0.5, 1.0), repeat=5)))
        points = centre + width * steps
        points[:, 3:] = np.clip(points[:, 3:], -zeta, zeta)
        gamma = np.zeros((len(points), 4))
        gamma[:, 1:] = points[:, :3]
        delta = np.zeros_like(gamma)
        delta[:, 1:3] = points[:, 3:]
        half = (u - delta) / 2
        found = published.objective(and_interactions(half + gamma), or_interactions(half - gamma))
        if found.min() < best - 1e-12:
            best, centre = found.min(), points[found.argmin()]
        else:
            width = width * 0.7
    return best


@pytest.mark.parametrize("kappa", [0.0, 0.1])
def test_linear_program_against_a_search(kappa):
    rng = np.random.default_rng(0)
    for v in rng.normal(size=(3, 4)):
        assert linear_program.solve(v, kappa).objective == pytest.approx(brute_force(v, kappa), abs=1e-3)


@pytest.mark.parametrize(("kappa", "tie_break"), [(0.0, 0.0), (0.1, 0.0), (0.1, 0.01)])
def test_linear_program_beats_every_random_division(kappa, tie_break):
    rng = np.random.default_rng(1)
    v = rng.normal(size=8)
    found = linear_program.solve(v, kappa, tie_break=tie_break)
    np.testing.assert_allclose(matched_outputs(found.i_and, found.i_or, v[0]) + found.delta, v, atol=1e-9)
    assert np.abs(found.delta).max() <= kappa * abs(v[-1] - v[0]) + 1e-12
    assert found.objective == pytest.approx(published.objective(found.i_and, found.i_or, tie_break))
    gamma = rng.normal(size=(20_000, 8)) * np.abs(v - v[0]).max()
    gamma[:, 0] = 0
    half = (v - v[0] - found.delta) / 2
    others = published.objective(and_interactions(half + gamma), or_interactions(half - gamma), tie_break)
    assert found.objective <= others.min() + 1e-9


@pytest.mark.parametrize("tie_break", [0.0, 0.01])
def test_linear_program_finds_a_sparse_game(tie_break):
    i_and, i_or = np.zeros((2, 16))
    i_and[[3, 8]], i_or[7] = (2.0, -1.0), 3.0
    v = matched_outputs(i_and, i_or, np.array(0.5))
    found = linear_program.solve(v, tie_break=tie_break)
    assert found.objective <= published.objective(i_and, i_or, tie_break) + 1e-9
    assert linear_program.solve(np.full(8, 2.0)).objective == pytest.approx(0)


def test_published_procedure_treats_each_game_by_itself():
    v = np.random.default_rng(3).normal(size=(2, 3, 16))
    together = published.split(v, 0.02, steps=50, learning_rate=1e-3, dtype=torch.float64)
    for place in np.ndindex(2, 3):
        alone = published.split(v[place], 0.02, steps=50, learning_rate=1e-3, dtype=torch.float64)
        for part, own in zip(together, alone, strict=True):
            np.testing.assert_allclose(part[place], own, atol=1e-9)


@pytest.mark.parametrize("kappa", [0.0, 0.05])
def test_published_procedure_lowers_the_objective_and_matches(kappa):
    v = 10 * np.random.default_rng(2).normal(size=32)
    start = published.objective(*published.split(v, kappa, steps=0)[:2])
    i_and, i_or, delta = published.split(v, kappa, steps=300, learning_rate=1e-4)
    optimum = linear_program.solve(v, kappa).objective
    assert optimum - 1e-9 <= published.objective(i_and, i_or) < start
    np.testing.assert_allclose(matched_outputs(i_and, i_or, v[0]) + delta, v, atol=1e-9)
    assert np.abs(delta).max() <= kappa * abs(v[-1] - v[0]) * (1 + 1e-6)


def test_rows_pass_and_fail_by_their_bar(capsys):
    assert solver.row("share", 1.0, 1.0, "%")["passed"]
    assert not solver.row("share", 1.1, 1.0, "%")["passed"]
    assert solver.row("speed", 3.0, 2.0, "×", at_least=True)["passed"]
    assert "FAIL  share" in capsys.readouterr().out
    zero = np.zeros((1, 4))
    split = Split(zero, zero, np.array([[0.0, 1, 0, 0]]), *np.zeros((4, 1)))
    assert not solver.constraints("δ", np.array([[0.0, 1, 0, 0]]), split, 0.0)["passed"]  # δ out of its bound
