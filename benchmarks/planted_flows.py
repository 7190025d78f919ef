"""Phases from planted interaction tables: `python -m benchmarks.planted_flows [--quick]`, results/planted_flows.json.

Tables of interactions (samples × epochs × subsets) in which is known how much of what is learned in each interval
generalizes above chance, κ. They go the whole way: τ, G and chance from the interactions, flows, boundaries. Planted
are the interactions of a baseline network; those that the target learns in each interval (with probability κ from the
baseline's, else anywhere, where they generalize by chance), stronger and of higher order as time goes on; those that it
removes; noise in all effects; and interactions that flicker around τ. Drawn anew for each table: 30 to 100 samples, 12
to 40 recorded epochs, κ's height, start, end and course, how much samples differ, the noise.

The truth is what the rule's words say of the planted κ: 1|2 the end of the interval where it is highest, 2|3 the start
of the first later one where it is below half of that. Noise and flicker, which add strength that nobody planted, are
left out of the truth. "Within one recorded epoch" is asked of 2|3 only where the planted boundary itself moves by no
more than that when the share goes from one half to 0.4 or 0.6; the others are counted without a bar, as are wide bells
and level tops. The seed was not used while the rule or the tables were made. Ten minutes; quick: a tenth of them.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy

from benchmarks.solver import Row, row
from interdash.formulas import generalization
from interdash.formulas.chance import chance
from interdash.formulas.flows import Labelled, flows
from interdash.formulas.phases import Phases, find_phases
from interdash.formulas.subsets import orders

RESULTS = Path(__file__).parent / "results" / "planted_flows.json"
TABLES = 100  # of each course
SEED = 20_281_129
FOUND, NEAR, INSIDE = "found", "within one recorded epoch", "the truth inside its interval"
SAMPLES, RECORDED = (30, 100), (12, 40)
BARS = {("1|2", NEAR): 80.0, ("1|2", INSIDE): 90.0}  # %
CLEAR_BARS = {("2|3", NEAR): 95.0}  # %
QUIET = 90.0  # %, nothing found without phases
N = 7  # variables
SIZE = orders(N)
TAU = 1.0  # nats
SALIENT = (0.0, 0.6, 0.3, 0.12, 0.1, 0.1, 0.0, 0.0)  # share of the subsets of each order that the baseline has

Kappa = np.ndarray  # [E − 1]


def smooth(rng: np.random.Generator, j: np.ndarray) -> Kappa:
    """Returns a bell with two widths."""
    peak, before, after = rng.integers(3, len(j) // 2), rng.uniform(1, 3), rng.uniform(1.5, 4)
    return _between(rng, j < peak, np.exp(-(((j - peak) / np.where(j < peak, before, after)) ** 2) / 2))


def tent(rng: np.random.Generator, j: np.ndarray) -> Kappa:
    """Returns two straight lines that meet at the peak."""
    peak = rng.integers(3, len(j) // 2)
    return _between(rng, j < peak, np.interp(j, [peak - rng.uniform(2, 6), peak, peak + rng.uniform(3, 8)], [0, 1, 0]))


def step(rng: np.random.Generator, j: np.ndarray) -> Kappa:
    """Returns a jump up to the peak, a fall to a level top, and a jump down."""
    up, down = rng.integers(2, len(j) // 2), rng.integers(len(j) // 2 + 2, len(j) - 1)
    top = rng.uniform(0.65, 0.8)
    fall = top + (1 - top) * np.exp(-(j - up) / rng.uniform(1, 3))
    return _between(rng, j < up, np.where((j < up) | (j > down), 0, fall))


def early(rng: np.random.Generator, j: np.ndarray) -> Kappa:
    """Returns a peak in the second to fourth interval and a decay."""
    peak = rng.integers(1, 4)
    return _between(rng, j < peak, np.where(j < peak, j / peak, np.exp(-(j - peak) / rng.uniform(2, 4))))


def slow(rng: np.random.Generator, j: np.ndarray) -> Kappa:
    """Returns a wide bell: κ falls from interval to interval by less than its standard error."""
    peak = rng.uniform(0.15, 0.4) * len(j)
    return _between(rng, j < peak, np.exp(-(((j - peak) / (0.3 * len(j))) ** 2) / 2))


def plateau(rng: np.random.Generator, j: np.ndarray) -> Kappa:
    """Returns a jump up, a level top, and a jump down."""
    up, down = rng.uniform(0.1, 0.3) * len(j), rng.uniform(0.6, 0.8) * len(j)
    return _between(rng, j < up, 1.0 * ((j >= up) & (j <= down)))


def _between(rng: np.random.Generator, rising: np.ndarray, course: Kappa) -> Kappa:
    """Returns a course from 0 to 1, stretched: 0 to a start or an end that need not be 0, 1 to a height."""
    height, start, end = rng.uniform(0.3, 0.6), rng.uniform(0, 0.35), rng.uniform(0, 0.35)
    low = np.where(rising, start, end)
    return height * (low + (1 - low) * course / course.max())


def _high(rng: np.random.Generator) -> float:
    return rng.uniform(0.3, 0.6)


PHASES = {each.__name__: each for each in (smooth, tent, step, early)}
BEYOND = {each.__name__: each for each in (slow, plateau)}  # told, without bars: no rule could place these
NO_PHASES = {
    "constant": lambda rng, j: _high(rng) + 0 * j,
    "at chance": lambda rng, j: 0 * j,
    "rises throughout": lambda rng, j: _high(rng) * j / len(j),
    "falls throughout": lambda rng, j: _high(rng) * (1 - j / len(j)),
    "rises, then stays": lambda rng, j: _high(rng) * np.minimum(j / rng.integers(3, len(j) // 2), 1),
    "high, then falls": lambda rng, j: _high(rng) * (1 - 0.9 * (j > rng.integers(3, len(j) - 2))),
}


Course = Callable[[np.random.Generator, np.ndarray], Kappa]


class Table(NamedTuple):
    """What the rule is given, and the truth."""

    epochs: np.ndarray  # [E]
    flows: np.ndarray  # [3, samples, E − 1], nats: learned, generalizable, by chance
    kappa: Kappa


def planted(rng: np.random.Generator, course: Course, samples: tuple[int, int], recorded: tuple[int, int]) -> Table:
    """Returns one table, of as many samples and recorded epochs as drawn from two ranges."""
    count, e = (int(rng.integers(low, high + 1)) for low, high in (samples, recorded))
    epochs = np.arange(e) if rng.random() < 0.5 else np.r_[0, np.unique(np.geomspace(1, 400, 2 * e).astype(int))][:e]
    kappa = course(rng, np.arange(e - 1.0))
    shape = (count, 2, 2**N)
    baseline = rng.choice([-1.0, 1.0], shape) * (rng.random(shape) < np.array(SALIENT)[SIZE])
    baseline[:, 1, SIZE == 1] = 0  # first-order OR is merged into AND
    flicker = rng.choice([-1, 1], shape) * rng.normal(TAU, 0.1, shape) * ((rng.random(shape) < 0.02) & (SIZE > 1))
    noise, jitter = rng.uniform(0.02, 0.15), rng.uniform(0.01, 0.03)  # of every effect: nats, and a share of it
    of_sample = rng.gamma(1 / rng.uniform(0.1, 0.4) ** 2, size=count)
    own = np.clip(kappa * (of_sample / of_sample.mean())[:, None], 0, 1)  # [samples, E − 1]
    number = rng.uniform(4, 8) * rng.gamma(4, 0.25, (count, 1)) * np.geomspace(1, rng.uniform(0.5, 2), e - 1)
    strength = np.geomspace(1, rng.uniform(1, 3), e - 1)  # nats above τ, mean of what is learned
    removed = np.geomspace(rng.uniform(0.1, 0.5), 0.05, e - 1)  # share, of what does not generalize
    i = np.zeros(shape)
    for _ in range(8):  # what is there at the first epoch, learned as in the first interval
        _learn(rng, i, baseline, own[:, 0], number[:, 0], 2.0, strength[0])
    tables, before = [], _labelled(rng, i, baseline, flicker, noise, jitter)
    for j in range(e - 1):
        i *= rng.random(shape) > removed[j] * np.where(i * baseline > 0, 0.2, 1)
        _learn(rng, i, baseline, own[:, j], number[:, j], 1.2 + 2.5 * j / e, strength[j])
        after = _labelled(rng, i, baseline, flicker, noise, jitter)
        tables.append(flows(before, after)[..., :3].sum((1, 2)))  # [samples, 3]
        before = after
    return Table(epochs, np.stack(tables, -1).swapaxes(0, 1), kappa)


def _learn(
    rng: np.random.Generator,
    i: np.ndarray,
    baseline: np.ndarray,
    kappa: np.ndarray,
    number: np.ndarray,
    order: float,
    strength: float,
) -> None:
    """Adds interactions to i `[samples, 2, 2**N]`: about `number` a sample, with chance κ of the baseline's."""
    sample = np.repeat(np.arange(len(i)), rng.poisson(number))
    size = 1 + np.minimum(rng.poisson(order - 1, len(sample)), 4)
    kind = np.where(size == 1, 0, rng.integers(0, 2, len(sample)))
    taken = baseline[sample, kind] != 0  # [new, 2^N]
    of_size = size[:, None] == SIZE
    shared = (rng.random(len(sample)) < kappa[sample]) & (taken & of_size).any(1)
    places = of_size & (taken | ~shared[:, None])
    subset = (rng.random(places.shape) * places).argmax(1)
    sign = np.where(shared, baseline[sample, kind, subset], rng.choice([-1, 1], len(sample)))
    value, old = sign * (TAU + strength * rng.gamma(2, 0.5, len(sample))), i[sample, kind, subset]
    i[sample, kind, subset] = np.where(old * value < 0, value, old + value)


def _labelled(
    rng: np.random.Generator, i: np.ndarray, baseline: np.ndarray, flicker: np.ndarray, noise: float, jitter: float
) -> Labelled:
    """Returns interactions as they are measured, with noise and flicker, and their labels."""
    effects = i * (1 + jitter * rng.normal(size=i.shape)) + flicker + noise * TAU * rng.normal(size=i.shape)
    effects[:, 1, SIZE == 1] = effects[..., 0] = 0
    tau = np.full((len(i), 1), TAU)
    salient = generalization.salient(effects, tau)
    general = generalization.generalizes(effects, [baseline], tau, [tau])
    return Labelled(effects, salient, general, chance(effects, baseline))


def truth(table: Table, share: float = 0.5) -> list[int]:
    """Returns the planted boundaries as positions of recorded epochs; 2|3 is E − 1 if κ stays above the share."""
    peak = int(table.kappa.argmax())
    low = np.flatnonzero(table.kappa[peak:] < share * table.kappa[peak])
    return [peak + 1, peak + int(low[0]) if len(low) else len(table.kappa)]


def is_clear(table: Table) -> bool:
    """Returns whether the planted 2|3 hardly depends on the share: at 0.4 and 0.6 it is within one recorded epoch."""
    early, middle, late = (truth(table, share)[1] for share in (0.6, 0.5, 0.4))
    return middle - early <= 1 and late - middle <= 1 and middle < len(table.kappa)


def places(table: Table, phases: Phases) -> np.ndarray:
    """Returns bool `[2, 3]`: 1|2 and 2|3 found, near the truth, and the truth inside the interval."""
    counts = np.zeros((2, 3), bool)
    pairs = (phases.boundary_12, phases.interval_12), (phases.boundary_23, phases.interval_23)
    for row_of, true, (boundary, interval) in zip(counts, truth(table), pairs, strict=True):
        if boundary is not None and interval is not None:
            at = np.searchsorted(table.epochs, boundary)
            row_of[:] = True, abs(at - true) <= 1, interval[0] <= table.epochs[true] <= interval[1]
    return counts


def share_rows(name: str, counts: list[np.ndarray], bars: Mapping[tuple[str, str], float]) -> Iterator[Row]:
    """Yields the lines of some tables, in % of them."""
    share = 100 * np.mean(counts, axis=0) if counts else np.zeros((2, 3))
    for boundary, values in zip(("1|2", "2|3"), share, strict=True):
        for what, value in zip((FOUND, NEAR, INSIDE), values, strict=True):
            yield line(f"{name}, {len(counts)} tables, {boundary}: {what}", value, bars.get((boundary, what)))


def line(what: str, value: float, bar: float | None) -> Row:
    """Returns one line of the table, in %, and prints it."""
    if bar is not None:
        return row(what, value, bar, "%", at_least=True)
    print(f"      {what:<76} {value:>10.4g} %", flush=True)
    return {"what": what, "value": float(value), "unit": "%", "bar": None, "passed": True}


def counted(course: Course, tables: int, seed: int) -> tuple[list[np.ndarray], list[bool]]:
    """Returns `places` of tables of one course, and which of the tables are clear."""
    rng, counts, clear = np.random.default_rng(seed), [], []
    for _ in range(tables):
        table = planted(rng, course, SAMPLES, RECORDED)
        counts.append(places(table, find_phases(table.epochs, *table.flows)))
        clear.append(is_clear(table))
    return counts, clear


def quiet(course: Course, tables: int, seed: int) -> float:
    """Returns in % how often neither boundary is found."""
    rng, silent = np.random.default_rng(seed), 0
    for _ in range(tables):
        table = planted(rng, course, SAMPLES, RECORDED)
        silent += find_phases(table.epochs, *table.flows).boundary_12 is None  # then there is no second one either
    return 100 * silent / tables


def rows(tables: int, seed: int) -> Iterator[Row]:
    """Yields every line of the table."""
    everything = {name: counted(course, tables, seed) for name, course in PHASES.items()}
    every = [each for counts, _ in everything.values() for each in counts]
    clear = [each for counts, which in everything.values() for each, yes in zip(counts, which, strict=True) if yes]
    yield from share_rows("all with phases", every, BARS)
    yield from share_rows("those with a clear 2|3", clear, CLEAR_BARS)
    for name, (counts, _) in everything.items():
        yield from share_rows(name, counts, {})
    for name, course in BEYOND.items():
        yield from share_rows(name, counted(course, tables, seed)[0], {})
    silent = {name: quiet(course, tables, seed) for name, course in NO_PHASES.items()}
    yield line("all without phases: nothing found", float(np.mean(list(silent.values()))), QUIET)
    for name, share in silent.items():
        yield line(f"{name}: nothing found", share, None)


def main() -> int:
    """Returns 0 if every bar holds, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the tables, too few for the bars")
    quick = parser.parse_args().quick
    tables = TABLES // 10 if quick else TABLES
    lines = list(rows(tables, SEED))
    target = RESULTS.with_name("planted_flows-quick.json") if quick else RESULTS
    versions = {"numpy": np.__version__, "scipy": scipy.__version__}
    target.write_text(
        json.dumps({"tables": tables, "seed": SEED, "versions": versions, "rows": lines}, indent=1) + "\n"
    )
    failed = [line for line in lines if not line["passed"]]
    print(f"{len(lines) - len(failed)} of {len(lines)} lines pass; {target}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
