"""The solver against its bars: `python -m benchmarks.solver [--quick]` prints a table and writes results/solver.json.

Exact linear programs give the truth (n = 8 and 10), the published procedure the time to beat. Full: about an hour, most
of it the opponents' work. Quick: n = 8 alone, few samples, 1,000 steps of the published procedure.
"""

import argparse
import json
import multiprocessing
import platform
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import linear_program
from benchmarks.games import CACHE, FAMILIES, games
from interdash.formulas.generalization import order_strengths
from interdash.formulas.interactions import matched_outputs
from interdash.solver import published
from interdash.solver.sparsify import Split, sparse_split

RESULTS = Path(__file__).parent / "results" / "solver.json"
KAPPAS = (0.0, 0.02, 0.04)
# Bars: objective above the optimum, (median, worst), in %.
ABOVE = {
    ("default", False): (0.5, 1.0),
    ("tight", False): (0.1, 0.1),
    ("default", True): (1.5, 4.0),
    ("tight", True): (0.5, 1.5),
}
GAP = {"default": 5.0, "tight": 2.0}  # certified, median at the largest n with an exact optimum, in %
SPEEDUP = {0.0: 2000, 0.02: 500}
SPEEDUP_12 = 3000
PROFILE_DISTANCE = 0.01
MATCHING = 1e-8
MEMORY = 2.0  # GiB

Row = dict[str, Any]


def row(what: str, value: float, bar: float, unit: str, at_least: bool = False) -> Row:
    """Returns one line of the table and prints it."""
    passed = bool(value >= bar if at_least else value <= bar)
    sign = "≥" if at_least else "≤"
    print(f"{'PASS' if passed else 'FAIL'}  {what:<76} {value:>10.4g} {unit:<4} bar {sign} {bar:g}", flush=True)
    return {"what": what, "value": float(value), "unit": unit, "bar": bar, "at_least": at_least, "passed": passed}


def optima(family: str, v: np.ndarray, kappa: float) -> np.ndarray:
    """Returns the exact optimal objectives of games v, plain L1, cached: `[samples]`, nats."""
    path = CACHE / f"optima_{family}_{v.shape[1].bit_length() - 1}_{kappa}.npz"
    known = dict(np.load(path)) if path.exists() else {"v": v[:0], "objective": np.zeros(0)}
    shared = min(len(v), len(known["v"]))
    if not np.array_equal(known["v"][:shared], v[:shared]):
        shared = 0
    if shared < len(v):
        objective = [linear_program.solve(game, kappa).objective for game in v[shared:]]
        known = {"v": v, "objective": np.append(known["objective"][:shared], objective)}
        np.savez(path, **known)
    return known["objective"][: len(v)]


def exactness(samples: dict[int, int]) -> list[Row]:
    """Returns the rows that compare with the exact optima; `samples` gives the number a family for each n."""
    rows: list[Row] = []
    for n, count in samples.items():
        v = {family: games(family, n, count) for family in FAMILIES}
        for kappa in KAPPAS:
            exact = {family: optima(family, v[family], kappa) for family in FAMILIES}
            for tolerance in ("default", "tight"):
                found = {f: sparse_split(v[f], kappa, tie_break=0.0, tolerance=tolerance) for f in FAMILIES}
                above = {f: 100 * (found[f].objective / exact[f] - 1) for f in FAMILIES}
                name = f"n={n} κ={kappa} {tolerance}:"
                median, worst = ABOVE[tolerance, kappa > 0]
                rows += compared(name, np.concatenate(list(above.values())), median, worst)
                untrained = np.concatenate([above[f] for f in FAMILIES if f.endswith("untrained")])
                rows += compared(f"{name} untrained only,", untrained, median, worst)
                bounds = np.concatenate([found[f].lower_bound / exact[f] - 1 for f in FAMILIES])
                rows.append(row(f"{name} lower bound over the optimum, worst", 100 * bounds.max(), 1e-6, "%"))
                gaps = 100 * np.concatenate([found[f].gap for f in FAMILIES])
                if n == max(samples):
                    rows.append(row(f"{name} certified gap, median", float(np.median(gaps)), GAP[tolerance], "%"))
                rows += [constraints(name, np.concatenate([v[f] for f in FAMILIES]), merged(found), kappa)]
    return rows


def compared(name: str, above: np.ndarray, median: float, worst: float) -> list[Row]:
    """Returns the rows for the median and the worst share above the optimum, both in %."""
    return [
        row(f"{name} objective above the optimum, median", float(np.median(above)), median, "%"),
        row(f"{name} objective above the optimum, worst of {len(above)}", float(above.max()), worst, "%"),
    ]


def merged(splits: dict[str, Split]) -> Split:
    """Returns several splits as one."""
    return Split(*(np.concatenate([getattr(s, key) for s in splits.values()]) for key in Split.__dataclass_fields__))


def constraints(name: str, v: np.ndarray, split: Split, kappa: float) -> Row:
    """Returns the row for universal matching, relative to max|v|; infinite if δ leaves its bound anywhere."""
    error = np.abs(matched_outputs(split.i_and, split.i_or, v[:, 0]) + split.delta - v).max(1) / np.abs(v).max(1)
    zeta = kappa * np.abs(v[:, -1] - v[:, 0])
    inside = bool((np.abs(split.delta) <= zeta[:, None]).all()) and not split.delta[:, [0, -1]].any()
    return row(f"{name} matching error over max|v|, δ inside", float(error.max()) if inside else np.inf, MATCHING, "")


def profiles(n: int, count: int) -> list[Row]:
    """Returns the rows for the distance of order profiles between default and tight, with the tie-break."""
    v = np.concatenate([games(family, n, count) for family in FAMILIES])
    rows: list[Row] = []
    for kappa in KAPPAS[:2]:
        shares = []
        for tolerance in ("default", "tight"):
            split = sparse_split(v, kappa, tolerance=tolerance)
            everything = np.ones(v.shape[1], dtype=bool)
            strengths = order_strengths(split.i_and, everything) + order_strengths(split.i_or, everything)
            shares.append(strengths / strengths.sum(1, keepdims=True))
        distance = float(np.median(0.5 * np.abs(shares[0] - shares[1]).sum(1)))
        what = f"n={n} κ={kappa} order profiles of default and tight, total variation, median"
        rows.append(row(what, distance, PROFILE_DISTANCE, ""))
    return rows


def speed(n: int, kappa: float, steps: int, opponents: int, bar: float) -> list[Row]:
    """Returns the rows for the time a sample against the published procedure in this process, by the same games."""
    v = np.concatenate([games(family, n, 16) for family in FAMILIES])
    chosen = np.linspace(0, len(v) - 1, opponents).astype(int)
    begin = time.process_time()
    theirs = np.array([published.objective(*published.split(v[i], kappa, steps=steps)[:2]) for i in chosen])
    published_seconds = (time.process_time() - begin) / opponents
    sparse_split(v[:2], kappa, tie_break=0.0)  # the projector of this n is made once
    begin = time.process_time()
    ours = sparse_split(v, kappa, tie_break=0.0).objective[chosen]
    seconds = (time.process_time() - begin) / len(v)
    name = f"n={n} κ={kappa}: {1e3 * seconds:.2f} ms against {published_seconds:.2f} s ({steps:,} steps),"
    return [
        row(f"{name} faster", published_seconds / seconds, bar, "×", at_least=True),
        row(f"n={n} κ={kappa}: objective over the published one, worst", float((ours / theirs).max()), 1.0, "×"),
    ]


def _peak(n: int, samples: int, queue: Any) -> None:
    """Puts the memory that one solve takes above the interpreter's into the queue, in GiB."""
    torch.set_num_threads(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sparse_split(np.random.default_rng(0).normal(size=(samples, 2**n)), 0.02, max_steps=100)
    queue.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)


def memory() -> list[Row]:
    """Returns the rows for the peak memory of a solve, each measured in a process of its own."""
    context, rows = multiprocessing.get_context("spawn"), []
    for n, samples in ((16, 1), (10, 1000)):
        queue = context.SimpleQueue()
        process = context.Process(target=_peak, args=(n, samples, queue))
        process.start()
        process.join()
        rows.append(row(f"n={n}, {samples} samples: memory above the interpreter's", queue.get(), MEMORY, "GiB"))
    return rows


def main() -> int:
    """Returns 0 if every bar holds, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="n = 8, few samples, under two minutes")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    if quick:
        rows = exactness({8: 2}) + profiles(8, 2) + speed(8, 0.0, 1000, 1, 100) + speed(8, 0.02, 1000, 1, 25)
    else:
        rows = exactness({8: 12, 10: 4}) + profiles(10, 8) + memory()
        for kappa, bar in SPEEDUP.items():
            rows += speed(10, kappa, 10_000, 3, bar) + speed(10, kappa, 20_000, 1, bar)
        rows += speed(12, 0.0, 10_000, 1, SPEEDUP_12)
    RESULTS.parent.mkdir(exist_ok=True)
    machine = {"processor": platform.processor(), "torch": torch.__version__, "threads": 1}
    target = RESULTS.with_name("solver-quick.json") if quick else RESULTS
    target.write_text(json.dumps({"quick": quick, "machine": machine, "rows": rows}, indent=1) + "\n")
    failed = [r for r in rows if not r["passed"]]
    print(f"{len(rows) - len(failed)} of {len(rows)} bars hold; {target}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
