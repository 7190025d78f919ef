"""Measures the store: loading a run of the default size, every question of the pages at 200 epochs × 1,000 samples, and
readers beside a writer. Writes benchmarks/results/store.json.

    python -m benchmarks.store [--epochs 200] [--samples 1000] [--cache benchmarks/cache]

The large run is resampled from a real one (the `mnist` preset, made first if it is not in the cache): each of its
epochs takes the vectors of the nearest real epoch, samples drawn with replacement, every effect times 1 ± 5 %. Its
labels are made by the package itself, with 100 bootstrap draws instead of 1,000. Vectors are written for the first
unit of samples alone, which is what drill-down reads.
"""

import argparse
import itertools
import json
import os
import platform
import resource
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.big_run import drawn_run
from interdash import pipeline
from interdash.formulas import bootstrap
from interdash.labelling import aggregate
from interdash.labelling.label import label_samples, write_folder
from interdash.presets import PRESETS
from interdash.queries import compare, dynamics, vectors
from interdash.queries import sample as queries_sample
from interdash.runs import parts
from interdash.runs.plan import SAMPLES_PER_UNIT, plan
from interdash.runs.run import Run
from interdash.runs.state import overview
from interdash.store.database import TABLES, Store, open_store
from interdash.store.loading import refresh
from interdash.training import builtin, network_of_run

RESULTS = Path(__file__).parent / "results" / "store.json"
REPEATS = 40


def real_run(root: Path) -> Run:
    """Returns the `mnist` run, made if it is not there: minutes."""
    run = builtin.create_run(root, PRESETS["mnist"].config)
    builtin.train_run(run)
    network_of_run.train_baseline(run, 0)
    pipeline.extract_and_label(run)
    return run


def resampled_run(real: Run, root: Path, n_epochs: int, n_samples: int) -> Run:
    """Returns a large run resampled from a real one; see the module."""
    name = f"resampled-{n_epochs}x{n_samples}"
    if (root / name / "done").exists():
        return Run.open(root, name)
    rng = np.random.default_rng(0)
    draw = np.sort(rng.integers(0, real.n_explained(), n_samples))
    run = drawn_run(real, root, name, n_epochs, draw)
    pairs = plan(real).pairs
    losses = real.metrics().query("network == 'target'").set_index("epoch")
    recorded = real.checkpoint_epochs("target")
    last = real.checkpoint_epochs("baseline-0")[-1]
    run.save_checkpoint("baseline-0", last, real.load_checkpoint("baseline-0", last))
    nearest = [
        min(recorded, key=lambda old: abs(old - epoch * recorded[-1] / (n_epochs - 1))) for epoch in range(n_epochs)
    ]
    for epoch, old in enumerate(nearest):
        run.save_checkpoint("target", epoch, real.load_checkpoint("target", old))
        row = {key: float(losses.loc[old, key]) for key in losses.columns if key != "network"}
        run.record_metrics("target", epoch, **row)
    run.finish("target")
    run.finish("baseline-0")
    bootstrap.distribution = partial(bootstrap.distribution, resamples=100)
    label_samples(run)
    rules, planned = run.config.generalization, plan(run)
    splits = list(run.explained().split)
    read = {}
    for network, epoch, old in [
        ("baseline-0", last, last),
        *(("target", epoch, old) for epoch, old in enumerate(nearest)),
    ]:
        if (network, old) not in read:
            own = [parts.read_part(real, unit) for unit in pairs[network, old]]
            read[network, old] = {key: np.concatenate([part[key] for part in own])[draw] for key in own[0]}
        columns = dict(read[network, old])
        columns["sample"] = np.arange(n_samples, dtype=np.int32)
        for key in ("i_and", "i_or"):
            columns[key] = columns[key] * rng.normal(1.0, 0.05, columns[key].shape)
        units, folder = planned.pairs[network, epoch], planned.folder(network, epoch)
        assert folder is not None
        first = units[0]
        parts.write_part(run, first, {key: values[: first.stop] for key, values in columns.items()}, seconds=0.0)
        asked = [columns, read["baseline-0", last]] if network == "target" else [columns]
        tables = aggregate.label_tables([asked], asked, rules, splits)
        tables["units"] = _units(units)
        write_folder(folder, tables, {"network": network, "epoch": epoch})
    (run.path / "done").touch()
    return run


def _units(units: list[parts.Unit]) -> Any:
    import pyarrow as pa

    return pa.table(
        {
            "first": pa.array([unit.first for unit in units], pa.int32()),
            "stop": pa.array([unit.stop for unit in units], pa.int32()),
            "name": [unit.name for unit in units],
            **{key: [0.0] * len(units) for key in ("seconds", "solved", "worst_gap", "worst_residual")},
        }
    )


def questions(store: Store, run: Run, rng: np.random.Generator) -> dict[str, Callable[[], object]]:
    """Returns what the pages ask, each with its answer to be timed; epochs and samples are drawn anew each time."""
    name, n = run.name, run.n_explained()
    n_epochs = len(run.checkpoint_epochs("target"))

    def epoch() -> int:
        return int(rng.integers(n_epochs))

    def sample() -> int:
        return int(rng.integers(n))

    def extracted() -> int:  # the samples whose vectors were written
        return int(rng.integers(SAMPLES_PER_UNIT))

    unseen = itertools.cycle(range(1, SAMPLES_PER_UNIT))
    strongest = queries_sample.interactions(store, name, n_epochs - 1, 0)
    kind, subset = str(strongest["type"].iloc[0]), int(strongest["subset"].iloc[0])
    return {
        "epochs": lambda: dynamics.epochs(store, name),
        "chosen_epochs": lambda: dynamics.chosen_epochs(store, name),
        "strength": lambda: dynamics.strength(store, name, types=("and", "or", "all")),
        "strength of a class": lambda: dynamics.strength(store, name, label=3, split="test"),
        "order_strength": lambda: dynamics.order_strength(store, name, [epoch()], types=("and", "or")),
        "order_strength, six epochs": lambda: dynamics.order_strength(store, name, [epoch() for _ in range(6)]),
        "order_strength, all epochs": lambda: dynamics.order_strength(store, name, normalised=True),
        "order_map": lambda: dynamics.order_map(store, name, split="train"),
        "classes": lambda: queries_sample.classes(store, name),
        "sample_numbers": lambda: queries_sample.sample_numbers(store, name, epoch(), sort="loss", min_share=0.1),
        "samples": lambda: queries_sample.samples(store, name, epoch(), range(60)),
        "sample": lambda: queries_sample.sample(store, name, sample()),
        "sample_life": lambda: queries_sample.sample_life(store, name, sample()),
        "interactions": lambda: queries_sample.interactions(store, name, epoch(), sample()),
        "interaction_life, salient": lambda: queries_sample.interaction_life(store, name, sample(), kind, subset),
        "difference": lambda: compare.difference(store, name, epoch(), name, epoch(), sample()),
        "vectors.interaction_life, first look at a sample": lambda: vectors.interaction_life(
            store, run, next(unseen), kind, subset
        ),
        "vectors.interaction_life": lambda: vectors.interaction_life(store, run, 0, kind, subset),
        "vectors.all_interactions": lambda: vectors.all_interactions(store, run, epoch(), extracted()),
        "vectors.outputs": lambda: vectors.outputs(store, run, epoch(), extracted()),
    }


def latencies(ask: Callable[[], object], repeats: int = REPEATS) -> dict[str, float]:
    """Returns median and 95th percentile of the time of a question, warm, in milliseconds."""
    ask()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - start))
    return {"p50_ms": round(statistics.median(times), 2), "p95_ms": round(float(np.percentile(times, 95)), 2)}


def beside_a_writer(store: Store, run: Run, seconds: float = 10.0) -> dict[str, float]:
    """Returns the latency of the order distribution while a thread of this process loads label units over and over."""
    stop, loaded = threading.Event(), [0]
    folders = sorted(run.labels_dir.glob("target-*"))[:5]

    def write() -> None:
        while not stop.is_set():
            for folder in folders:
                with store.transaction() as cursor:  # forget the unit, as if it were new
                    cursor.execute("UPDATE loaded SET key = '' WHERE key = ?", [folder.name])
            os.utime(run.labels_dir)
            loaded[0] += refresh(store, run)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            rows = dynamics.order_strength(store, run.name, [7], types=("and", "or"))
            times.append(1000 * (time.perf_counter() - start))
            assert len(rows) == 2 * run.config.masking.n_variables
    finally:
        stop.set()
        writer.join()
    return {
        "reads": len(times),
        "units_loaded_meanwhile": loaded[0],
        "p50_ms": round(statistics.median(times), 2),
        "p95_ms": round(float(np.percentile(times, 95)), 2),
    }


def list_of_runs(run: Run, folder: Path, count: int = 1000) -> float:
    """Returns the seconds that listing many runs takes: copies of one run's small files."""
    for i in range(count):
        (folder / f"run-{i:04d}").mkdir(parents=True, exist_ok=True)
        for name in ("run.json", "samples.json", "metrics.jsonl"):
            shutil.copy(run.path / name, folder / f"run-{i:04d}" / name)
    start = time.perf_counter()
    assert len(overview([folder])) == count
    return round(time.perf_counter() - start, 2)


def main() -> None:
    """Runs the benchmark and writes its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--cache", type=Path, default=Path(__file__).parent / "cache" / "runs")
    options = parser.parse_args()
    real = real_run(options.cache)
    start = time.perf_counter()
    large = resampled_run(real, options.cache, options.epochs, options.samples)
    print(f"resampled in {time.perf_counter() - start:.0f} s", flush=True)
    result: dict[str, Any] = {"machine": f"{platform.machine()}, {platform.python_version()}"}

    store = open_store()
    start = time.perf_counter()
    refresh(store, real)
    result["default run"] = {"samples": real.n_explained(), "load_s": round(time.perf_counter() - start, 2)}
    start = time.perf_counter()
    refresh(store, large)
    result["large run"] = {
        "epochs": options.epochs,
        "samples": options.samples,
        "load_s": round(time.perf_counter() - start, 2),
        "rows": {
            table: store.fetch(f"SELECT count(*) FROM {table} WHERE run = ?", [large.name])[0][0] for table in TABLES
        },
        "memory_of_tables_mb": round(
            sum(size for (size,) in store.fetch("SELECT memory_usage_bytes FROM duckdb_memory()")) / 1e6
        ),
        "peak_of_process_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }
    print(json.dumps(result, indent=1), flush=True)
    result["questions"] = {}
    for name, ask in questions(store, large, np.random.default_rng(1)).items():
        repeats = SAMPLES_PER_UNIT - 2 if "first look" in name else REPEATS
        result["questions"][name] = latencies(ask, repeats)
        print(f"{name:<30} {result['questions'][name]}", flush=True)
    result["worst_p95_ms"] = max(found["p95_ms"] for found in result["questions"].values())
    with tempfile.TemporaryDirectory() as folder:
        result["list_1000_runs_s"] = list_of_runs(real, Path(folder))
    result["reader beside a writer"] = beside_a_writer(store, large)
    print(result["reader beside a writer"], "worst p95:", result["worst_p95_ms"], "ms")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
