"""Measures extraction against epochs, samples, n, workers and engine. Writes benchmarks/results/scale.json.

    python -m benchmarks.scale --run data/runs/mnist [--only sweep|engines] [--scratch FOLDER]

Weights are those of a finished `mnist` run; samples and variables are drawn anew for each n. Nothing else should run.
It takes about three minutes for the sweep and seven for the engines.

The constants for an extrapolation:

- `sweep.n[*]`: for each n, `seconds_per_sample` (one network, epoch and sample on one core: median over units, of the
  unit's own clock), `bytes_per_sample` (of parts on disk), `label_seconds_per_epoch` and `label_bytes_per_epoch`
  (labelling one target epoch of `samples` samples). Work is networks and epochs × samples × seconds_per_sample.
- `sweep.epochs[*]`, `sweep.samples[*]`: wall `seconds` of whole extractions at n = 8 in one process; `sweep.per_unit`
  and `sweep.fixed` are slope and intercept of a straight line through all of them (seconds, 25 samples a unit), and
  `sweep.worst_residual` is how far the farthest point lies from it, as a share of the longest. `peak_mb` is the
  process's peak memory so far: flat means that memory does not grow with the number of units.
- `engines.rows[*]`: wall `seconds` of the same units by one worker process, by two, and by two Dask workers, start of
  the workers included: one entry a round, every second round in the opposite order, with the median round's
  `units_per_second`; `unit_seconds` is the median unit. `engines.speedup` (two workers over one process) and
  `engines.dask_overhead` (two Dask workers over two processes, − 1) are medians of the quotients of each round. W
  workers take work / (W × speedup / 2), as long as driver and disk keep up: `engines.driver_seconds_per_unit`, what the
  driver does with a finished unit (reads and checks its part), times units bounds that from below.
- `engines.start`: wall seconds of two tiny units by the same engines, which is what it takes to start and to
  end them; `engines.dask_overhead_without_start` leaves both starts out: what a long job pays.
- `engines.bars`: speedup of two processes, overhead of Dask, and length of a unit against what they should be.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from interdash.extraction import extract
from interdash.extraction.work import Work
from interdash.labelling import label
from interdash.runs.parts import part_path, read_seconds
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.training import builtin, datasets
from interdash.training.spec import explained_samples

RESULTS = Path(__file__).parent / "results" / "scale.json"
SIZES = {6: 50, 8: 50, 10: 50, 12: 50, 14: 24}  # n of the sweep, with samples: one at n = 14 takes a second
LINE_N = 8  # n of the sweeps over epochs and samples
ENGINES = (("processes", 1), ("processes", 2), ("dask", 2))  # with workers
BARS = {"speedup": ("at least", 1.7), "dask_overhead": ("at most", 0.1), "unit_seconds": ("at least", 1.0)}


def scaled_run(real: Run, root: Path, *, n: int, samples: int, epochs: int) -> Run:
    """Returns a run with the weights of a real one: n variables, so many samples, its first epochs, one baseline."""
    config = real.config
    masking = replace(config.masking, n_variables=n, samples_per_split=samples // 2)
    run = builtin.create_run(root, replace(config, name=f"n{n}-s{samples}-e{epochs}", masking=masking))
    if not run.has_explained():
        run.save_explained(explained_samples(datasets.load(run.config), masking.samples_per_split, masking.seed))
    chosen = [("baseline-0", real.checkpoint_epochs("baseline-0")[-1])]
    chosen += [("target", epoch) for epoch in real.checkpoint_epochs("target")[:epochs]]
    for network, epoch in chosen:
        run.save_checkpoint(network, epoch, real.load_checkpoint(network, epoch))
    return run


def timed(run: Run, **options: Any) -> float:
    """Returns the seconds of an extraction from nothing; the parts stay."""
    shutil.rmtree(run.parts_dir, ignore_errors=True)
    start = time.perf_counter()
    outcome = extract.extract(Work(run, **options))
    seconds = time.perf_counter() - start
    assert len(outcome.computed) == len(plan(run).units), outcome.problems
    return seconds


def unit_seconds(run: Run) -> list[float]:
    """Returns the seconds of each unit of a run, by the clock of the worker."""
    return [read_seconds(run, unit) for unit in plan(run).units]


def peak_mb() -> float:
    """Returns the largest memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def sweep(real: Run, root: Path) -> dict[str, Any]:
    """Returns time, bytes and memory in one process against epochs, samples and n."""
    lines: dict[str, list[dict[str, float]]] = {"epochs": [], "samples": []}
    timed(scaled_run(real, root, n=LINE_N, samples=50, epochs=1), engine="local")  # not counted: first imports
    for epochs in (1, 2, 4, 8):
        lines["epochs"].append(_point(scaled_run(real, root, n=LINE_N, samples=50, epochs=epochs), epochs=epochs))
    for samples in (50, 100, 200, 400):
        lines["samples"].append(_point(scaled_run(real, root, n=LINE_N, samples=samples, epochs=1), samples=samples))
    points = lines["epochs"] + lines["samples"]
    units, seconds = (np.array([point[key] for point in points]) for key in ("units", "seconds"))
    per_unit, fixed = np.polyfit(units, seconds, 1)
    worst = float(np.abs(fixed + per_unit * units - seconds).max() / seconds.max())
    return {
        **lines,
        "per_unit": float(per_unit),
        "fixed": float(fixed),
        "worst_residual": worst,
        "n": [_size(scaled_run(real, root, n=n, samples=samples, epochs=1), n) for n, samples in SIZES.items()],
    }


def _point(run: Run, **what: int) -> dict[str, float]:
    seconds = timed(run, engine="local")
    return {**what, "units": len(plan(run).units), "seconds": seconds, "peak_mb": peak_mb()}


def _size(run: Run, n: int) -> dict[str, float]:
    timed(run, engine="local")
    units = plan(run).units
    samples = sum(unit.stop - unit.first for unit in units)
    epoch = run.checkpoint_epochs("target")[0]
    label.label_samples(run)
    start = time.perf_counter()
    folder = label.label_epoch(plan(run), "target", epoch)
    assert folder is not None
    return {
        "n": n,
        "samples": run.n_explained(),
        "seconds_per_sample": statistics.median(
            seconds / (unit.stop - unit.first) for unit, seconds in zip(units, unit_seconds(run), strict=True)
        ),
        "bytes_per_sample": sum(part_path(run, unit).stat().st_size for unit in units) / samples,
        "label_seconds_per_epoch": time.perf_counter() - start,
        "label_bytes_per_epoch": sum(path.stat().st_size for path in folder.glob("*.parquet")),
    }


def engines(real: Run, root: Path, *, n: int, samples: int, epochs: int, rounds: int) -> dict[str, Any]:
    """Returns the time of the same units by engine and number of workers, and whether the bars hold."""
    run = scaled_run(real, root, n=n, samples=samples, epochs=epochs)
    wall: dict[tuple[str, int], list[float]] = {how: [] for how in ENGINES}
    took: dict[tuple[str, int], list[float]] = {how: [] for how in ENGINES}
    for number in range(rounds):
        for engine, workers in ENGINES if number % 2 == 0 else reversed(ENGINES):
            wall[engine, workers].append(timed(run, engine=engine, workers=workers))
            took[engine, workers] += unit_seconds(run)
            print(f"round {number + 1}: {engine}, {workers}: {wall[engine, workers][-1]:.1f} s", flush=True)
    start_s = starts(real, root, rounds)
    units = len(plan(run).units)
    start = time.perf_counter()
    extract.extract(Work(run, engine="local"))  # all parts are there: what the driver does with them alone
    result = {
        "n": n,
        "rows": [
            {
                "engine": engine,
                "workers": workers,
                "units": units,
                "seconds": wall[engine, workers],
                "units_per_second": units / statistics.median(wall[engine, workers]),
                "unit_seconds": statistics.median(took[engine, workers]),
            }
            for engine, workers in ENGINES
        ],
        "driver_seconds_per_unit": (time.perf_counter() - start) / units,
        **quotients(wall, start_s),
    }
    found = {"speedup": result["speedup"]["processes"], "dask_overhead": result["dask_overhead"]}
    return result | {"bars": judged(**found, unit_seconds=min(row["unit_seconds"] for row in result["rows"]))}


def starts(real: Run, root: Path, rounds: int) -> dict[tuple[str, int], float]:
    """Returns the median seconds that each engine takes for next to no work."""
    run = scaled_run(real, root, n=6, samples=2, epochs=1)
    return {
        (engine, workers): statistics.median(timed(run, engine=engine, workers=workers) for _ in range(rounds))
        for engine, workers in ENGINES
    }


def quotients(wall: dict[tuple[str, int], list[float]], start: dict[tuple[str, int], float]) -> dict[str, Any]:
    """Returns the speedup of two workers and the overhead of Dask: medians over rounds, each round by itself."""
    one, two, dask = (np.array(wall[how]) for how in ENGINES)
    begun = [start[how] for how in ENGINES]
    return {
        "speedup": {"processes": float(np.median(one / two)), "dask": float(np.median(one / dask))},
        "start": {f"{engine}, {workers}": seconds for (engine, workers), seconds in start.items()},
        "dask_overhead": float(np.median(dask / two) - 1),
        "dask_overhead_without_start": float(np.median((dask - begun[2]) / (two - begun[1])) - 1),
    }


def judged(**values: float) -> dict[str, dict[str, Any]]:
    """Returns each value beside its bar of `BARS`, and whether it holds."""
    found = {}
    for name, value in values.items():
        side, bar = BARS[name]
        holds = value >= bar if side == "at least" else value <= bar
        found[name] = {"value": value, side: bar, "verdict": "PASS" if holds else "FAIL"}
    return found


def main() -> None:
    """Measures and writes the results; what `--only` leaves out stays as it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a finished run of the preset mnist")
    parser.add_argument("--only", choices=["sweep", "engines"])
    parser.add_argument("--scratch", type=Path, help="by default a new temporary folder")
    parser.add_argument("--n", type=int, default=12, help="of the comparison of engines")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    real = Run.open(options.run.parent, options.run.name)
    results = json.loads(options.output.read_text()) if options.output.exists() else {}
    results["machine"] = {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()}
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        if options.only != "sweep":
            sizes = {"n": options.n, "samples": options.samples, "epochs": options.epochs}
            results["engines"] = engines(real, Path(folder), **sizes, rounds=options.rounds)
            options.output.write_text(json.dumps(results, indent=1) + "\n")
        if options.only != "engines":
            results["sweep"] = sweep(real, Path(folder))
            options.output.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
