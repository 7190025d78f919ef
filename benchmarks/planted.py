"""Phases and intervals against planted truth: `python -m benchmarks.planted [--quick]`, results/planted.json.

Strengths are drawn for samples that differ in size and in their own slow course, with noise at every epoch, around
mean curves whose boundaries are known: broken lines, sums of sigmoids (where the truth is what the rule's words say of
the curves: H peaks, the lead is lost), and the mean curves of the runs in docs/study (where it is what the rule says of
those curves without noise). Bars: both boundaries within one recorded epoch in 95 of 100 draws, none reported in 95 of
100 where there is none, intervals that cover the truth in at least 90 %, nominal are 95 %. More is no failure: epochs
are few, so an interval of one or two often holds the truth always; the mean width beside each coverage says that none
is bought by wide intervals. The seed was not used while the rule was made. Half an hour; quick: 20 draws.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from benchmarks.solver import Row, row
from interdash.formulas import removal
from interdash.formulas.correlation import rank_correlation
from interdash.formulas.generalization import loss
from interdash.formulas.phases import Phases, find_phases
from interdash.labelling import aggregate

RESULTS = Path(__file__).parent / "results" / "planted.json"
STUDY = Path(__file__).parents[1] / "docs" / "study" / "study.json"
DRAWS = 200
SEED = 20_261_129
FOUND, QUIET = 95.0, 95.0  # %
NOMINAL, SLACK = 95.0, 5.0  # %
ENOUGH = 20  # reported boundaries, for a coverage to be told

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
SMOOTH = "sigmoids"


def rise(x: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Returns a sigmoid from 0 to 1."""
    return 1.0 / (1.0 + np.exp((centre - x) / width))


X = np.linspace(0, 1, 20)
MIDDLE = rise(X, 0.5, 0.12)
NO_PHASES = {
    "constant": (4 + 0 * X, 3 + 0 * X),
    "both grow alike": (1 + 5 * X, 0.5 + 2.5 * X),
    "only generalizable grows": (1 + 6 * X, 2 + 0 * X),
    "saturation": (1 + 6 * (1 - np.exp(-5 * X)), 0.5 + 2 * np.exp(-4 * X)),
    "overfits from the start": (3 + 0 * X, 1 + 4 * X),
    "sigmoids, H constant": (0.2 + 8 * MIDDLE, 0.1 + 4 * MIDDLE),
    "sigmoids, H rises throughout": (1 + 6 * MIDDLE, 2 + MIDDLE),
    "sigmoids, H falls throughout": (3 + MIDDLE, 0.5 + 8 * MIDDLE),
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
    if shape == SMOOTH:
        curves, places = smooth(rng, x / x[-1])
    else:
        places = int(rng.integers(4, 8)), int(rng.integers(12, 16))
        curves = [broken_line(x, places, changes, start) for changes, start in zip(SHAPES[shape], (1, 5), strict=True)]
    strengths = [sampled(rng, curve, samples, noise) for curve in curves]
    kept = np.ones(len(epochs), bool)
    if gaps:
        others = np.setdiff1d(np.arange(1, len(epochs) - 1), places)
        kept[rng.choice(others, 4, replace=False)] = False
    first, second = (int(kept[:place].sum()) for place in places)
    return epochs[kept], (first, second), strengths[0][:, kept], strengths[1][:, kept]


def smooth(rng: np.random.Generator, x: np.ndarray) -> tuple[list[np.ndarray], tuple[int, int]]:
    """Returns both curves `[E]`, sums of sigmoids of x from 0 to 1, and the positions where H peaks and is outgrown."""
    first, last = rng.uniform(0.18, 0.3), rng.uniform(0.78, 0.88)
    early, middle, late = rise(x, first, 0.05), rise(x, 0.52, 0.08), rise(x, last, 0.05)
    good, bad = 1 + 5 * early + 6 * middle, 5 - 4 * early + 3 * middle + 10 * late
    peak = int((good / (good + bad)).argmax())
    return [good, bad], (peak, peak + int((bad - good)[peak:].argmin()))


Told = list[tuple[float, tuple[float, float]] | None]  # for each boundary its epoch and interval


def told(phases: Phases) -> Told:
    """Returns both boundaries with their intervals."""
    pairs = ((phases.boundary_12, phases.interval_12), (phases.boundary_23, phases.interval_23))
    return [None if epoch is None or interval is None else (epoch, interval) for epoch, interval in pairs]


class Tally:
    """Counts how often each boundary is reported, near the truth, and covered, and how wide its intervals are."""

    def __init__(self) -> None:
        """Starts at nothing."""
        self.draws, self.both = 0, 0
        self.reported, self.covered, self.width = np.zeros(2), np.zeros(2), np.zeros(2)

    def add(self, epochs: np.ndarray, truth: Sequence[float | None], found: Told) -> None:
        """Counts one draw; the truth is in epochs, None: that boundary is not asked."""
        near = 0
        for i, (true, pair) in enumerate(zip(truth, found, strict=True)):
            if true is None or pair is None:
                continue
            at, low, high = np.searchsorted(epochs, [pair[0], *pair[1]])
            near += abs(at - np.searchsorted(epochs, true)) <= 1
            self.reported[i] += 1
            self.covered[i] += pair[1][0] <= true <= pair[1][1]
            self.width[i] += high - low
        self.draws += 1
        self.both += near == 2

    def summary(self) -> dict[str, Any]:
        """Returns in %: both found within one recorded epoch, each coverage; widths in recorded epochs; how many."""
        whole = np.maximum(self.reported, 1)
        made: dict[str, Any] = {"found": 100 * self.both / self.draws}
        for i, name in enumerate(("1|2", "2|3")):
            made[name] = float(100 * self.covered[i] / whole[i])
            made |= {f"{name} width": float(self.width[i] / whole[i]), f"{name} reported": int(self.reported[i])}
        return made


def boundaries(shape: str, grid: str, samples: int, noise: float, gaps: bool, draws: int) -> dict[str, Any]:
    """Returns how often planted boundaries are found and covered; see `Tally.summary`."""
    rng, tally = np.random.default_rng(SEED), Tally()
    for _ in range(draws):
        epochs, places, *strengths = planted(rng, shape, grid, samples, noise, gaps)
        tally.add(epochs, epochs[list(places)].tolist(), told(find_phases(epochs, *strengths)))
    return tally.summary()


def study_boundaries(runs: Sequence[dict[str, Any]], samples: int, noise: float, draws: int) -> dict[str, Any]:
    """Returns how often the boundaries of runs of the study are covered, drawn around their mean curves.

    The truth is what the rule reports of samples whose means are exactly those curves.
    """
    rng, tally = np.random.default_rng(SEED), Tally()
    for run in runs:
        epochs = np.array(run["recorded"], float)
        curves = [np.array(run[name]) for name in ("generalizable", "non_generalizable")]

        def drawn(curves: Sequence[np.ndarray] = curves) -> list[np.ndarray]:
            return [sampled(rng, curve, samples, noise) for curve in curves]

        exact = [strengths * curve / strengths.mean(0) for strengths, curve in zip(drawn(), curves, strict=True)]
        truth = [pair and pair[0] for pair in told(find_phases(epochs, *exact))]
        for _ in range(draws):
            tally.add(epochs, truth, told(find_phases(epochs, *drawn())))
    return tally.summary()


def quiet(name: str, samples: int, noise: float, draws: int) -> float:
    """Returns in %: how often no boundary is reported for curves without phases."""
    rng, nothing = np.random.default_rng(SEED), Phases(None, None, None, None)
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
    low, high = aggregate.intervals(by_sample[:, None])[:, 0, 3]
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
    for shape in (*SHAPES, SMOOTH):
        for grid in GRIDS:
            for words, (samples, noise) in NOISES.items():
                for gaps in (False, True):
                    where = f"{shape}, {grid} epochs{', gaps' if gaps else ''}, {words}"
                    found = boundaries(shape, grid, samples, noise, gaps, draws)
                    yield row(f"{where}: both found", found["found"], FOUND, "%", at_least=True)
                    yield from interval_rows(where, found)
    runs = json.loads(STUDY.read_text(encoding="utf-8"))["runs"]
    for case in dict.fromkeys(run["case"] for run in runs):
        some = [run for run in runs if run["case"] == case]
        samples = 200 if case.startswith("digits") else 100  # as many as are explained
        found = study_boundaries(some, samples, 0.3, -(-draws // len(some)))
        yield from interval_rows(f"mean curves of {case}, {samples} samples, noise 30 %", found)
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


def interval_rows(where: str, found: dict[str, Any]) -> Iterator[Row]:
    """Yields the lines of both boundaries' intervals, if they were reported often enough."""
    for name in ("1|2", "2|3"):
        if found[f"{name} reported"] >= ENOUGH:
            told_of = {"width": found[f"{name} width"], "reported": found[f"{name} reported"]}
            yield covers(f"{where}: interval of {name} covers", found[name]) | told_of


def covers(what: str, share: float) -> Row:
    """Returns one line of the table: a coverage in %, which may lie above the nominal one but not far below."""
    return row(what, share, NOMINAL - SLACK, "%", at_least=True)


def main() -> int:
    """Returns 0 if every bar holds, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 draws, some minutes; too few for the bars")
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
