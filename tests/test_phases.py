import numpy as np
import pytest

from interdash import generalization
from interdash.phases import find_phases

E = 20


def line(x, places, slopes, start):
    """A broken line through the recorded epochs: `slopes` are the changes of each of the three phases."""
    ends = [x[0], *x[list(places)], x[-1]]
    return start + sum(
        change * np.clip((x - a) / (b - a), 0, 1) for a, b, change in zip(ends, ends[1:], slopes, strict=False)
    )


def samples(rng, curve, n=50, noise=0.2):
    """Strengths of n samples: each its own size, and noise at every epoch."""
    return curve * rng.lognormal(0, 0.3, (n, 1)) * rng.gamma(1 / noise**2, noise**2, (n, len(curve)))


def planted(rng, shares):
    epochs = np.unique(np.logspace(0, 2.3, 60).astype(int) - 1)[:E].astype(float)
    first, second = int(rng.integers(4, 8)), int(rng.integers(12, 16))
    x = np.log1p(epochs) if shares == "log" else np.arange(E)
    generalizable, other = {
        "log": ((4, 5, 1), (-3, 2, 6)),
        "peak": ((5, 5, 2), (-4, 3, 8)),
        "rising": ((2, 8, 0), (-4, 0, 8)),  # H rises through phase 2 as well
    }[shares]
    strengths = [line(x, (first, second), slopes, start) for slopes, start in ((generalizable, 1), (other, 5))]
    return epochs, first, second, [samples(rng, curve) for curve in strengths]


@pytest.mark.parametrize("shares", ["log", "peak", "rising"])
def test_planted_boundaries_are_found_within_one_recorded_epoch(shares):
    rng, found = np.random.default_rng(1), 0
    for _ in range(100):
        epochs, first, second, strengths = planted(rng, shares)
        phases = find_phases(epochs, *strengths, resamples=100)
        if phases.boundary_12 is not None and phases.boundary_23 is not None:
            places = np.searchsorted(epochs, [phases.boundary_12, phases.boundary_23])
            found += bool((abs(places - [first, second]) <= 1).all())
            assert phases.interval_12 is not None and phases.interval_12[0] <= phases.interval_12[1]
            assert phases.interval_23 is not None and phases.interval_23[0] <= phases.interval_23[1]
    assert found >= 95


X = np.linspace(0, 1, E)
NO_PHASES = {
    "constant": (4 + 0 * X, 3 + 0 * X),
    "both grow alike": (1 + 5 * X, 0.5 + 2.5 * X),
    "only generalizable": (1 + 6 * X, 2 + 0 * X),
    "saturation": (1 + 6 * (1 - np.exp(-5 * X)), 0.5 + 2 * np.exp(-4 * X)),
    "overfits from the start": (3 + 0 * X, 1 + 4 * X),
}


@pytest.mark.parametrize("name", NO_PHASES)
def test_no_phase_is_reported_where_there_is_none(name):
    rng, quiet = np.random.default_rng(2), 0
    for _ in range(100):
        strengths = [samples(rng, curve) for curve in NO_PHASES[name]]
        phases = find_phases(np.arange(E), *strengths, resamples=100)
        quiet += phases == generalization.Phases(None, None, None, None)
    assert quiet >= 95


def test_first_boundary_alone():
    rng = np.random.default_rng(3)
    falls = [line(np.arange(E), (6, 12), slopes, 5) for slopes in ((4, 6, 6), (-4, 3, 3))]
    phases = find_phases(np.arange(E), *(samples(rng, curve) for curve in falls))
    assert phases.boundary_12 is not None and abs(phases.boundary_12 - 6) <= 1
    assert phases.boundary_23 is None and phases.interval_23 is None


def test_runs_that_are_long_short_or_silent():
    rng = np.random.default_rng(4)
    x = np.arange(120)
    curves = [line(x, (31, 82), slopes, start) for slopes, start in (((5, 5, 2), 1), ((-4, 3, 8), 5))]
    phases = find_phases(x, *(samples(rng, curve, noise=0.1) for curve in curves), resamples=50)
    assert phases.boundary_12 is not None and abs(phases.boundary_12 - 31) <= 1
    assert phases.boundary_23 is not None and abs(phases.boundary_23 - 82) <= 1
    nothing = generalization.Phases(None, None, None, None)
    for epochs in range(5):
        assert find_phases(np.arange(epochs), *np.ones((2, 3, epochs))) == nothing
    assert find_phases(np.arange(9), *np.zeros((2, 3, 9))) == nothing


def test_scale_does_not_matter_and_results_repeat():
    epochs, _, _, strengths = planted(np.random.default_rng(5), "peak")
    found = find_phases(epochs, *strengths)
    assert found == find_phases(epochs, *strengths) == find_phases(epochs, *(1e-3 * s for s in strengths))
    assert generalization.find_phases is find_phases


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
