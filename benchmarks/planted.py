"""Phases and intervals against planted truth: `python -m benchmarks.planted [--quick]`, results/planted.json.

Strengths are drawn for samples that differ in size and in their own slow course, with noise at every epoch, around
mean curves whose boundaries are known. Bars: both boundaries within one recorded epoch in 95 of 100 draws, none
reported in 95 of 100 where there is none, intervals that cover the truth at 95 ± 5 %. A few minutes; quick: 20 draws.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import scipy

from benchmarks.solver import Row, row
from interdash import aggregation, removal
from interdash.correlation import rank_correlation
from interdash.generalization import loss
from interdash.phases import Phases, find_phases

RESULTS = Path(__file__).parent / "results" / "planted.json"
DRAWS = 100
FOUND, QUIET = 95.0, 95.0  # %
NOMINAL, SLACK = 95.0, 5.0  # %

LOG_EPOCHS = np.array([0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 51, 64, 81, 102, 128.0])
GRIDS = {"log": (LOG_EPOCHS, np.log1p(LOG_EPOCHS)), "raw": (3.0 * np.arange(20), np.arange(20.0))}
SHAPES = {  # changes of generalizable and non-generalizable strength in the three phases, from 1 and 5
    "H peaks at 1|2": ((5, 5, 2), (-4, 3, 8)),
    "H rises to 2|3": ((2, 8, 0), (-4, 0, 8)),
    "a weak fall in phase 1": ((4, 5, 1), (-1.5, 2, 6)),
}
NOISES = {  # samples, noise of each sample at each epoch (standard deviation, share)
    "50 samples, noise 20 %": (50, 0.2),
    "100 samples, noise 40 %": (100, 0.4),
    "200 samples, noise 50 %": (200, 0.5),
}
X = np.linspace(0, 1, 20)
NO_PHASES = {
    "constant": (4 + 0 * X, 3 + 0 * X),
    "both grow alike": (1 + 5 * X, 0.5 + 2.5 * X),
    "only generalizable grows": (1 + 6 * X, 2 + 0 * X),
    "saturation": (1 + 6 * (1 - np.exp(-5 * X)), 0.5 + 2 * np.exp(-4 * X)),
    "overfits from the start": (3 + 0 * X, 1 + 4 * X),
}


def broken_line(x: np.ndarray, places: tuple[int, int], changes: tuple[float, ...], start: float) -> np.ndarray:
    """Returns a curve `[E]` that changes by the given amounts before, between and after two places."""
    ends = [x[0], *x[list(places)], x[-1]]
    return start + sum(
        change * np.clip((x - a) / (b - a), 0, 1) for a, b, change in zip(ends[:-1], ends[1:], changes, strict=True)
    )


def sampled(rng: np.random.Generator, curve: np.ndarray, samples: int, noise: float) -> np.ndarray:
    """Returns strengths `[samples, E]` whose expectation is the curve.

    Each sample has a size (30 %), a slow course of its own (a random walk, 5 % an epoch), and noise at every epoch.
    """
    shape = (samples, len(curve))
    size = rng.lognormal(-(0.3**2) / 2, 0.3, (samples, 1))
    course = np.exp(np.cumsum(rng.normal(-(0.05**2) / 2, 0.05, shape), 1))
    return curve * size * course * rng.gamma(1 / noise**2, noise**2, shape)


def planted(
    rng: np.random.Generator, shape: str, grid: str, samples: int, noise: float, gaps: bool
) -> tuple[np.ndarray, tuple[int, int], np.ndarray, np.ndarray]:
    """Returns epochs, positions of both boundaries, and both strengths; with gaps, four checkpoints are missing."""
    epochs, x = GRIDS[grid]
    places = int(rng.integers(4, 8)), int(rng.integers(12, 16))
    strengths = [
        sampled(rng, broken_line(x, places, changes, start), samples, noise)
        for changes, start in zip(SHAPES[shape], (1, 5), strict=True)
    ]
    kept = np.ones(len(epochs), bool)
    if gaps:
        others = np.setdiff1d(np.arange(1, len(epochs) - 1), places)
        kept[rng.choice(others, 4, replace=False)] = False
    first, second = (int(kept[:place].sum()) for place in places)
    return epochs[kept], (first, second), strengths[0][:, kept], strengths[1][:, kept]


def boundaries(shape: str, grid: str, samples: int, noise: float, gaps: bool, draws: int) -> dict[str, float]:
    """Returns in %: both found within one recorded epoch, and how often each interval covers its boundary."""
    rng, found, covered, told = np.random.default_rng(1), 0, np.zeros(2), np.zeros(2)
    for _ in range(draws):
        epochs, places, *strengths = planted(rng, shape, grid, samples, noise, gaps)
        phases = find_phases(epochs, *strengths)
        pairs = ((phases.boundary_12, phases.interval_12), (phases.boundary_23, phases.interval_23))
        near = 0
        for i, ((epoch, interval), place) in enumerate(zip(pairs, places, strict=True)):
            if epoch is None or interval is None:
                continue
            near += abs(int(np.searchsorted(epochs, epoch)) - place) <= 1
            told[i] += 1
            covered[i] += interval[0] <= epochs[place] <= interval[1]
        found += near == 2
    share = 100 * covered / np.maximum(told, 1)
    return {"found": 100 * found / draws, "1|2": float(share[0]), "2|3": float(share[1])}


def quiet(name: str, samples: int, noise: float, draws: int) -> float:
    """Returns in %: how often no boundary is reported for curves without phases."""
    rng, nothing = np.random.default_rng(2), Phases(None, None, None, None)
    silent = 0
    for _ in range(draws):
        strengths = [sampled(rng, curve, samples, noise) for curve in NO_PHASES[name]]
        silent += find_phases(np.arange(20), *strengths) == nothing
    return 100 * silent / draws


def coverage(draw: Callable[[np.random.Generator], tuple[float, float]], truth: float, draws: int) -> float:
    """Returns in %: how often an interval (low, high) covers the truth."""
    rng = np.random.default_rng(3)
    ends = np.array([draw(rng) for _ in range(draws)])
    return 100 * float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())


def removal_draw(rng: np.random.Generator, count: int) -> tuple[float, float]:
    """Returns the interval of the excess of a removal over its control, for the gap; see `removal_truth`."""
    values = [_excess(rng, count, mean) for mean in (2.0, 1.0)]
    low, high = removal.intervals(*(v[:, None] for v in values))[:, 2, 0]
    return float(low), float(high)


def _excess(rng: np.random.Generator, count: int, mean: float) -> np.ndarray:
    """Returns differences of losses of samples: outputs v, less what either removal takes."""
    v = rng.normal(mean, 2.0, count)
    return loss(v - rng.gamma(1.5, 0.8, count)) - loss(v - rng.normal(0.5, 0.8, count))


def removal_truth() -> float:
    """Returns what `removal_draw` estimates, from ten million samples."""
    rng = np.random.default_rng(4)
    train, test = (_excess(rng, 10_000_000, mean).mean() for mean in (2.0, 1.0))
    return float(test - train)


def power_draw(rng: np.random.Generator, count: int) -> tuple[float, float]:
    """Returns the interval of H of samples whose expected strengths are 3 (generalizable) and 2, skewed and related."""
    size = rng.lognormal(-(0.5**2) / 2, 0.5, count)
    parts = np.stack([3 * size * rng.gamma(2, 0.5, count), 2 * size * rng.gamma(1, 1, count)], -1)
    by_sample = np.concatenate([parts.sum(-1, keepdims=True), parts], -1)
    low, high = aggregation.intervals(by_sample[:, None])[:, 0, 3]
    return float(low), float(high)


def rank_draw(rng: np.random.Generator, points: int) -> tuple[float, float]:
    """Returns the interval of Spearman's ρ of independent points with correlation 0.6; see `rank_truth`."""
    x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], points).T
    return rank_correlation(x, y)[1:]


def rank_truth() -> float:
    """Returns Spearman's ρ of a normal pair with correlation 0.6. Source: Pearson 1907, (6/π) arcsin(r/2)."""
    return float(6 / np.pi * np.arcsin(0.3))


def rows(draws: int) -> Iterator[Row]:
    """Yields every line of the table."""
    for shape in SHAPES:
        for grid in GRIDS:
            for words, (samples, noise) in NOISES.items():
                for gaps in (False, True):
                    where = f"{shape}, {grid} epochs{', gaps' if gaps else ''}, {words}"
                    found = boundaries(shape, grid, samples, noise, gaps, draws)
                    yield row(f"{where}: both found", found["found"], FOUND, "%", at_least=True)
                    for name in ("1|2", "2|3"):
                        yield covers(f"{where}: interval of {name} covers", found[name])
    for name in NO_PHASES:
        for words, (samples, noise) in NOISES.items():
            yield row(f"{name}, {words}: nothing found", quiet(name, samples, noise, draws), QUIET, "%", at_least=True)
    many = 5 * draws
    truth = removal_truth()
    for count in (50, 100):
        share = coverage(lambda rng, count=count: removal_draw(rng, count), truth, many)
        yield covers(f"excess of a removal, gap, {count} + {count} samples: interval covers", share)
        share = coverage(lambda rng, count=count: power_draw(rng, count), 0.6, many)
        yield covers(f"H, {count} samples: interval covers", share)
    for points in (17, 50):
        share = coverage(lambda rng, points=points: rank_draw(rng, points), rank_truth(), many)
        yield covers(f"rank correlation, {points} independent points: interval covers", share)


def covers(what: str, share: float) -> Row:
    """Returns one line of the table: the distance of a coverage in % from the nominal one."""
    return {**row(f"{what} ({share:.1f} %)", abs(share - NOMINAL), SLACK, "pts"), "coverage": share}


def main() -> int:
    """Returns 0 if every bar holds, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 draws, half a minute; too few for the bars")
    draws = 20 if parser.parse_args().quick else DRAWS
    made = list(rows(draws))
    versions = {"numpy": np.__version__, "scipy": scipy.__version__}
    target = RESULTS if draws == DRAWS else RESULTS.with_name("planted-quick.json")
    target.write_text(json.dumps({"draws": draws, "versions": versions, "rows": made}, indent=1) + "\n")
    failed = [r for r in made if not r["passed"]]
    print(f"{len(made) - len(failed)} of {len(made)} bars hold; {target}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
