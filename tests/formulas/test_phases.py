import itertools
import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from interdash.formulas.phases import find_phases, unimodal

EPOCHS = np.array([0, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 32.0])
KAPPA = np.array([0.1, 0.2, 0.3, 0.5, 0.4, 0.4, 0.35, 0.3, 0.2, 0.1, 0.1, 0.05])  # best from 3 to 4, below half from 13


def drawn(kappa, samples=60, noise=0.2, seed=0):
    """Learned, generalizable and by-chance strength `[samples, E − 1]`, of which κ is the expectation."""
    rng = np.random.default_rng(seed)
    learned = rng.gamma(4, 1, (samples, len(kappa)))
    chance = rng.uniform(0.1, 0.3, learned.shape)
    power = np.clip(chance + (1 - chance) * kappa + noise * rng.normal(size=learned.shape), 0, 1)
    return learned, power * learned, chance * learned


def test_boundaries_intervals_and_curve():
    phases = find_phases(EPOCHS, *drawn(KAPPA))
    assert (phases.boundary_12, phases.boundary_23, phases.reason) == (4, 13, None)
    assert phases.interval_12[0] <= 4 <= phases.interval_12[1] <= 8
    assert 10 <= phases.interval_23[0] <= 13 <= phases.interval_23[1] <= 16
    np.testing.assert_allclose(phases.above_chance, KAPPA, atol=0.1)
    np.testing.assert_allclose(phases.fit, KAPPA, atol=0.1)
    assert ((phases.error > 0.01) & (phases.error < 0.06)).all()
    assert (np.diff(phases.fit[:4]) >= 0).all() and (np.diff(phases.fit[3:]) <= 0).all()
    boundaries = [find_phases(EPOCHS, *drawn(KAPPA), share=share) for share in (0.25, 0.5, 0.65)]
    assert [phases.boundary_12 for phases in boundaries] == [4, 4, 4]
    assert [phases.boundary_23 for phases in boundaries] == [16, 13, 10]
    learned = np.ones((5, len(KAPPA)))
    phases = find_phases(EPOCHS, learned, 0.2 + 0.8 * KAPPA * learned, 0.2 * learned)
    np.testing.assert_allclose(phases.above_chance, KAPPA)
    assert (phases.boundary_12, phases.interval_12, phases.boundary_23, phases.interval_23) == (4, (4, 4), 13, (13, 13))


@pytest.mark.parametrize(
    ("kappa", "reason"),
    [
        (np.zeros(12), "nowhere clearly generalizes beyond chance (at most"),
        (np.full(12, 0.3), "does not clearly"),
        (np.linspace(0.5, 0, 12), "does not clearly begin to generalize better (at most"),
        (np.linspace(0, 0.5, 12), "does not clearly cease to generalize (at most"),
    ],
)
def test_without_evidence_the_reason_is_said(kappa, reason):
    phases = find_phases(EPOCHS, *drawn(kappa))
    assert phases.boundary_12 is phases.boundary_23 is phases.interval_12 is phases.interval_23 is None
    assert phases.reason.startswith("what is learned") and reason in phases.reason
    assert len(phases.fit) == 12


def test_a_curve_that_hardly_falls_has_no_second_boundary_or_an_open_one():
    phases = find_phases(EPOCHS, *drawn(np.maximum(KAPPA, [0] * 4 + [0.32] * 8)))
    assert phases.boundary_12 == 4 and phases.boundary_23 is phases.interval_23 is None
    assert "never generalizes less than 0.5 times as well as at its best (at most 0." in phases.reason
    phases = find_phases(EPOCHS, *drawn(np.maximum(KAPPA, [0] * 4 + [0.24] * 8), noise=0.3))
    assert phases.boundary_23 is not None and phases.interval_23[1] == 32


def test_strata_and_baselines_by_weights():
    """Equal strata make the curve certain where samples differ by stratum alone; baselines are further rows."""
    learned = np.ones((40, 12))
    stratum = np.arange(40)[:, None] // 20
    flows = learned, (0.1 + 0.8 * KAPPA) * (0.5 + 0.5 * stratum), 0 * learned
    rng = np.random.default_rng(0)
    within = np.concatenate([rng.multinomial(20, np.full(20, 1 / 20), 100) for _ in range(2)], axis=1)
    assert find_phases(EPOCHS, *flows).error.max() > 0.01
    assert find_phases(EPOCHS, *flows, weights=within).error.max() == pytest.approx(0, abs=1e-12)
    twice = [np.concatenate([flow, flow]) for flow in drawn(KAPPA)]
    whole = rng.multinomial(60, np.full(60, 1 / 60), 300)
    of_both = np.concatenate([whole, whole], axis=1)  # a sample is drawn with all its baselines
    one, two = find_phases(EPOCHS, *drawn(KAPPA), weights=whole), find_phases(EPOCHS, *twice, weights=of_both)
    np.testing.assert_allclose(two.error, one.error)
    assert two.interval_12 == one.interval_12 and two.interval_23 == one.interval_23


def test_without_flow_or_epochs_nothing_is_said():
    learned, generalizable, by_chance = drawn(KAPPA)
    for flow in (learned, generalizable, by_chance):
        flow[:, 6] = 0
    phases = find_phases(EPOCHS, learned, generalizable, by_chance)
    assert (phases.boundary_12, phases.boundary_23) == (4, 13) and phases.above_chance[6] == 0
    phases = find_phases(EPOCHS, *np.zeros((3, 5, 12)))
    assert phases.boundary_12 is None and "nowhere" in phases.reason
    assert find_phases(EPOCHS[:2], *drawn(KAPPA[:1])).boundary_12 is None


@pytest.mark.parametrize("length", [1, 2, 7, 12])
def test_unimodal_is_the_best_of_all_splits(length):
    rng = np.random.default_rng(length)
    for _ in range(20):
        values, weights = rng.normal(size=length), rng.uniform(0.1, 2, length)
        best = np.inf
        for split in range(1, length + 1):
            fit = isotonic_regression(values[:split], weights=weights[:split]).x
            if split < length:
                down = isotonic_regression(values[split:], weights=weights[split:], increasing=False).x
                fit = np.concatenate([fit, down])
            best = min(best, (weights * (values - fit) ** 2).sum())
        fit = unimodal(values, weights)
        peak = fit.argmax()
        assert (np.diff(fit[: peak + 1]) >= -1e-12).all() and (np.diff(fit[peak:]) <= 1e-12).all()
        assert (weights * (values - fit) ** 2).sum() == pytest.approx(best)


def test_the_dashboard_can_import_it_without_torch():
    code = "import sys, interdash.formulas.phases; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_bad_input_is_refused():
    flows = drawn(KAPPA)
    for epochs, arrays in (
        (EPOCHS[1:], flows),
        (EPOCHS, (flows[0], flows[1], flows[2][1:])),
        ([0], np.zeros((3, 2, 0))),
    ):
        with pytest.raises(ValueError, match="do not fit; pass"):
            find_phases(np.asarray(epochs), *arrays)
    with pytest.raises(ValueError, match="epochs must ascend; they are"):
        find_phases(EPOCHS[::-1], *flows)
    for flow, value in itertools.product(range(3), (-1.0, np.nan)):
        arrays = [each.copy() for each in flows]
        arrays[flow][3, 4] = value
        with pytest.raises(ValueError, match="negative, not finite or above what is learned"):
            find_phases(EPOCHS, *arrays)
    with pytest.raises(ValueError, match="negative, not finite or above what is learned"):
        find_phases(EPOCHS, flows[0], 2 * flows[0], flows[2])
    with pytest.raises(ValueError, match="the share is 50; it must be between 0 and 1"):
        find_phases(EPOCHS, *flows, share=50)
