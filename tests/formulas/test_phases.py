import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline

from benchmarks import planted
from interdash.formulas import phases
from interdash.formulas.phases import Phases, find_phases

DRAWS = 20  # `python -m benchmarks.planted` draws more, of more cases


@pytest.mark.parametrize(("grid", "gaps"), [("log", False), ("raw", True)])
@pytest.mark.parametrize("shape", planted.SHAPES)
def test_planted_boundaries_are_found_within_one_recorded_epoch(shape, grid, gaps):
    found = planted.boundaries(shape, grid, 50, 0.2, gaps, DRAWS)
    assert found["found"] >= 95
    assert found["1|2"] >= 90 and found["2|3"] >= 90  # the intervals cover them


def test_a_weak_fall_under_large_noise_is_found():
    found = planted.boundaries("a weak fall in phase 1", "log", 100, 0.4, True, 3 * DRAWS)
    assert found["found"] >= 95
    assert found["1|2"] >= 90 and found["2|3"] >= 90


@pytest.mark.parametrize(("grid", "gaps"), [("log", True), ("raw", False)])
def test_boundaries_of_smooth_curves_are_found_within_one_recorded_epoch(grid, gaps):
    found = planted.boundaries(planted.SMOOTH, grid, 50, 0.2, gaps, DRAWS)
    assert found["found"] >= 95
    assert found["1|2"] >= 90 and found["2|3"] >= 90


def test_splines_are_those_of_scipy():
    """Smooth curves are taken from splines, as smooth as restricted maximum likelihood says, and not from lines."""
    epochs, _, *strengths = planted.planted(np.random.default_rng(6), planted.SMOOTH, "raw", 100, 0.2, False)
    strengths = np.stack(strengths, 1)
    means, weights = strengths.mean(0), phases._weights(strengths)
    smoothers = phases._smoothers(epochs, means, weights)
    of_h, of_strengths, of_lines = (smoothers[int(i)] for (i,) in phases._choose(smoothers, means[None]))
    assert isinstance(of_h, phases.Splines) and isinstance(of_strengths, phases.Splines)
    assert isinstance(of_lines, phases.BrokenLines)
    x = of_strengths.axis * (len(epochs) - 1)
    for curve, weight, fitted in zip(means, weights[False], of_strengths.fit(means[None])[0], strict=True):
        np.testing.assert_allclose(fitted, restricted_maximum_likelihood(x, curve, weight), atol=1e-6 * curve.max())


def restricted_maximum_likelihood(x: np.ndarray, curve: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns the smoothed curve `[E]`: of all penalties tried, the one under which its bends are likeliest."""
    unit, best = np.eye(len(x)), (np.inf, curve)
    for penalty in phases.PENALTIES:
        smooth = make_smoothing_spline(x, unit, weight**2, lam=penalty)(x)
        left = unit - weight[:, None] * smooth / weight  # of the weighted curve
        if np.trace(smooth) < phases.MAX_FREEDOM * len(x):
            bends = np.linalg.eigvalsh((left + left.T) / 2)[2:]
            spread = (weight * curve) @ left @ (weight * curve)
            best = min(best, ((len(x) - 2) * np.log(spread) - np.log(bends).sum(), smooth @ curve), key=lambda b: b[0])
    return best[1]


def test_intervals_cover_the_boundaries_of_smooth_curves_and_have_a_width():
    curves = [x + 0.01 for x in planted.smooth(np.random.default_rng(1), np.linspace(0, 1, 20))[0]]
    run = {"recorded": [*range(20)], "generalizable": curves[0], "non_generalizable": curves[1]}
    found = planted.study_boundaries([run], 100, 0.4, DRAWS)
    assert found["1|2 reported"] == found["2|3 reported"] == DRAWS
    assert found["1|2"] >= 90 and found["2|3"] >= 90
    assert 0 < found["1|2 width"] < 6 and 0 < found["2|3 width"] < 6  # not all at one epoch: the smoother is drawn too


@pytest.mark.parametrize("name", planted.NO_PHASES)
def test_no_phase_is_reported_where_there_is_none(name):
    assert planted.quiet(name, 50, 0.2, DRAWS) >= 95


def test_planted_curves_have_their_boundaries_and_their_means():
    rng = np.random.default_rng(0)
    curve = planted.broken_line(np.arange(20.0), (5, 14), (2.0, -1.0, 3.0), 1.0)
    assert curve[[0, 5, 14, 19]].tolist() == [1.0, 3.0, 2.0, 5.0]
    drawn = planted.sampled(rng, curve, 40_000, 0.3)
    np.testing.assert_allclose(drawn.mean(0), curve, rtol=0.02)
    epochs, places, *strengths = planted.planted(rng, "H peaks at 1|2", "log", 10, 0.2, True)
    assert len(epochs) == 16 and strengths[0].shape == (10, 16) and 0 < places[0] < places[1] < 15


def test_first_boundary_alone():
    rng = np.random.default_rng(3)
    falls = [planted.broken_line(np.arange(20.0), (6, 12), slopes, 5) for slopes in ((4, 6, 6), (-4, 3, 3))]
    found = find_phases(np.arange(20), *(planted.sampled(rng, curve, 50, 0.2) for curve in falls))
    assert found.boundary_12 is not None and abs(found.boundary_12 - 6) <= 1
    assert found.boundary_23 is None and found.interval_23 is None


def test_runs_that_are_long_short_or_silent():
    rng = np.random.default_rng(4)
    x = np.arange(120.0)
    curves = [planted.broken_line(x, (31, 82), slopes, start) for slopes, start in (((5, 5, 2), 1), ((-4, 3, 8), 5))]
    found = find_phases(x, *(planted.sampled(rng, curve, 50, 0.1) for curve in curves), resamples=50)
    assert found.boundary_12 is not None and abs(found.boundary_12 - 31) <= 1
    assert found.boundary_23 is not None and abs(found.boundary_23 - 82) <= 1
    nothing = Phases(None, None, None, None)
    for epochs in range(5):
        assert find_phases(np.arange(epochs), *np.ones((2, 3, epochs))) == nothing
    assert find_phases(np.arange(9), *np.zeros((2, 3, 9))) == nothing


def test_scale_does_not_matter_and_results_repeat():
    epochs, _, *strengths = planted.planted(np.random.default_rng(5), "H peaks at 1|2", "log", 50, 0.2, False)
    found = find_phases(epochs, *strengths)
    assert found == find_phases(epochs, *strengths) == find_phases(epochs, *(1e-3 * s for s in strengths))


def test_bad_input_is_refused():
    ones = np.ones((3, 6))
    with pytest.raises(ValueError, match=r"epochs have shape \(5,\) and the strengths \(3, 6\) and \(3, 6\)"):
        find_phases(np.arange(5), ones, ones)
    with pytest.raises(ValueError, match="epochs must ascend"):
        find_phases(np.array([0, 2, 1, 3, 4, 5]), ones, ones)
    with pytest.raises(ValueError, match="1 samples are too few"):
        find_phases(np.arange(6), ones[:1], ones[:1])
    with pytest.raises(ValueError, match="negative values, NaN or infinity"):
        find_phases(np.arange(6), ones, -ones)
