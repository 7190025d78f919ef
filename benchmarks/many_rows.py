"""A run of at least 100 million salient interactions in the dashboard. Writes benchmarks/results/many_rows.json.

    python -m benchmarks.many_rows make data/runs/mnist /tmp/many [--epochs 480] [--samples 10000]
    python -m benchmarks.many_rows measure /tmp/many/RUN data/runs/mnist   from its sealed file, made if it is missing
    python -m benchmarks.many_rows readers /tmp/many/RUN

`readers`: three threads ask what the page Dynamics asks, over and over, while a store with all tables (as that of
`interdash load`) takes in the first epochs of the run at full speed, ten million salient rows or more.

It is resampled, not computed: samples are drawn with replacement from those of the real run, and the tables of every
epoch are those of the nearest real epoch, with the rows of the drawn samples, each effect times 1 ± 5 %. Means and
intervals over samples are the real run's. There are no vectors (they are marked as dropped): the drill-down to *all*
interactions of a sample is not measured here. Loading and pages go the way of every other run.
"""

import argparse
import asyncio
import json
import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.big_run import drawn_run
from benchmarks.dashboard import measure, verdict
from interdash.labelling.boundaries import find_boundaries
from interdash.labelling.label import label_samples, write_folder
from interdash.queries import dynamics
from interdash.queries.dynamics import epochs, sample_flows
from interdash.runs.parts import Unit
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.state import summarise
from interdash.runs.tables import read_table
from interdash.store.database import FACTS, open_store
from interdash.store.loading import refresh, seal

RESULTS = Path(__file__).parent / "results" / "many_rows.json"
BY_SAMPLE = ("sample_epochs", "interactions", "sample_orders", "sample_removals")
NOISE = 0.05
READERS = 3
BAR_MS = 500  # p95 of a reader


def recorded(real: Run, root: Path, n_epochs: int, n_samples: int) -> tuple[Run, np.ndarray, list[int]]:
    """Returns the run with samples, losses and checkpoints, the real samples drawn, and for each epoch the real one."""
    rng = np.random.default_rng(0)
    draw = np.sort(rng.integers(0, real.n_explained(), n_samples))
    run = drawn_run(real, root, f"{real.name}-{n_epochs}x{n_samples}", n_epochs, draw)
    losses = real.metrics().query("network == 'target'").set_index("epoch").drop(columns="network")
    old = real.checkpoint_epochs("target")
    places = np.linspace(0, old[-1], n_epochs)
    nearest = [min(old, key=lambda epoch: abs(epoch - place)) for place in places]
    for epoch, place in enumerate(places):
        run.save_checkpoint("target", epoch, real.load_checkpoint("target", nearest[epoch]))
        row = {name: float(np.interp(place, losses.index, losses[name])) for name in losses.columns}
        run.record_metrics("target", epoch, **row)
    run.finish("target")
    last = real.checkpoint_epochs("baseline-0")[-1]
    run.save_checkpoint("baseline-0", last, real.load_checkpoint("baseline-0", last))
    run.finish("baseline-0")
    return run, draw, nearest


def make(real: Run, root: Path, n_epochs: int, n_samples: int) -> Run:
    """Returns the large run; see the module."""
    run, draw, nearest = recorded(real, root, n_epochs, n_samples)
    rng, planned, planned_real = np.random.default_rng(0), plan(run), plan(real)
    last = real.checkpoint_epochs("baseline-0")[-1]
    for network, epoch, old in [("baseline-0", last, last), *(("target", *pair) for pair in enumerate(nearest))]:
        source, folder = planned_real.folder(network, old), planned.folder(network, epoch)
        assert source is not None and folder is not None
        tables = {name: _drawn(name, read_table(source / f"{name}.parquet"), draw, rng) for name in FACTS}
        tables["units"] = _units(planned.pairs[network, epoch])
        write_folder(folder, tables, {"network": network, "epoch": epoch})
    run.update(dropped_vectors=sorted({unit.pack for unit in planned.units}))
    label_samples(run)
    store = open_store(lazy=True)
    refresh(store, run)
    summarise(run, epochs(store, run.name), find_boundaries(sample_flows(store, run.name)))
    store.close()
    return run


def _drawn(name: str, table: pa.Table, draw: np.ndarray, rng: np.random.Generator) -> pa.Table:
    """Returns the rows of the drawn samples, numbered anew."""
    if name not in BY_SAMPLE or not table.num_rows:
        return table
    old = table["sample"].to_numpy()
    order = np.argsort(old, kind="stable")
    first, last = np.searchsorted(old[order], draw), np.searchsorted(old[order], draw, side="right")
    count = last - first
    ends = np.cumsum(count)
    rows = order[np.repeat(first - ends + count, count) + np.arange(ends[-1])]
    made = table.take(pa.array(rows))
    new = np.repeat(np.arange(len(draw), dtype=np.int32), count)
    made = made.set_column(made.column_names.index("sample"), "sample", pa.array(new))
    for column in ("effect", "baseline_effect", "after", "positive", "negative"):
        if column in made.column_names:
            field = made.schema.field(column)
            noisy = made[column].to_numpy() * rng.normal(1.0, NOISE, made.num_rows)
            values = pa.array(noisy, mask=np.isnan(noisy)).cast(field.type)
            made = made.set_column(made.column_names.index(column), field, values)
    return made


def _units(units: list[Unit]) -> pa.Table:
    return pa.table(
        {
            "first": pa.array([unit.first for unit in units], pa.int32()),
            "stop": pa.array([unit.stop for unit in units], pa.int32()),
            "name": [unit.name for unit in units],
            **{key: [0.0] * len(units) for key in ("seconds", "solved", "worst_gap", "worst_residual")},
        }
    )


def sizes(run: Run) -> dict[str, Any]:
    """Returns rows, bytes and bytes a row of each table, and the time and memory that loading takes.

    Loading is measured from the labels and from the sealed file, which is made where there is none.
    """
    tables: dict[str, dict[str, float]] = {}
    for path in run.labels_dir.rglob("*.parquet"):
        found = tables.setdefault(path.stem, {"rows": 0, "bytes": 0})
        found["rows"] += pq.read_metadata(path).num_rows
        found["bytes"] += path.stat().st_size
    for found in tables.values():
        found["bytes_a_row"] = round(found["bytes"] / max(found["rows"], 1), 2)
    sealed, start = run.path / f"{run.name}.duckdb", time.perf_counter()
    if sealed.exists():
        seal_s = None
    else:
        seal(run, sealed)
        seal_s = round(time.perf_counter() - start, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = {"sealed": loading(run)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    aside = sealed.rename(sealed.with_suffix(".aside"))
    seconds["labels"] = loading(run)
    aside.rename(sealed)
    return {
        "run": run.name,
        "salient_rows": tables["interactions"]["rows"],
        "bytes_of_labels": sum(found["bytes"] for found in tables.values()),
        "tables": dict(sorted(tables.items())),
        "load_from_labels_s": seconds["labels"],
        "load_s": seconds["sealed"],
        "load_peak_mb": round(peak / 1e3),
        "before_load_mb": round(before / 1e3),
        "bytes_of_sealed_file": sealed.stat().st_size,
        **({"seal_s": seal_s} if seal_s else {}),
    }


def loading(run: Run) -> float:
    """Returns the seconds that a lazy store takes to load a run."""
    store, start = open_store(lazy=True), time.perf_counter()
    refresh(store, run)
    seconds = time.perf_counter() - start
    store.close()
    return round(seconds, 2)


def readers(run: Run, folder: Path, rows: int = 10_000_000) -> dict[str, Any]:
    """Returns what readers saw while a store in memory was loaded with so many salient rows; see the module."""
    part = Run(folder / run.name)
    part.labels_dir.mkdir(parents=True)
    for name in ("run.json", "metrics.jsonl"):
        (part.path / name).write_bytes((run.path / name).read_bytes())
    linked = 0
    for labels in sorted(run.labels_dir.glob("*-*")):
        if linked < rows:
            (part.labels_dir / labels.name).symlink_to(labels.resolve())
            path = labels / "interactions.parquet"
            linked += pq.read_metadata(path).num_rows if path.exists() else 0
    store, stop = open_store(), threading.Event()
    times: list[float] = []
    errors: list[str] = []

    def read() -> None:
        while not stop.is_set():
            start = time.perf_counter()
            try:
                found = dynamics.order_strength(store, run.name, [7], types=("and", "or"))
                assert len(found) in (0, 2 * run.config.masking.n_variables), len(found)
                dynamics.epochs(store, run.name)
            except Exception as error:
                errors.append(repr(error))
            times.append(1000 * (time.perf_counter() - start))

    threads = [threading.Thread(target=read) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    start = time.perf_counter()
    refresh(store, part)
    seconds = time.perf_counter() - start
    stop.set()
    for thread in threads:
        thread.join()
    loaded = store.fetch("SELECT count(*) FROM interactions")[0][0]
    store.close()
    p95 = round(float(np.percentile(times, 95)), 1)
    return {
        "bars": {"errors": verdict(len(errors), 0), "p95_ms": verdict(p95, BAR_MS), "rows": at_least(loaded, rows)},
        "salient_rows_loaded": loaded,
        "load_s": round(seconds, 2),
        "readers": READERS,
        "reads": len(times),
        "errors": errors,
        "p50_ms": round(float(np.percentile(times, 50)), 1),
        "p95_ms": p95,
        "most_ms": round(max(times), 1),
    }


def at_least(value: float, bar: float) -> dict[str, Any]:
    """Returns a value beside its bar, which it has to reach."""
    return {"value": value, "bar": bar, "verdict": "PASS" if value >= bar else "FAIL"}


def main() -> None:
    """Makes the run, or measures it and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("make", "measure", "readers"))
    parser.add_argument("run", type=Path, help="make: the real run; else the large one")
    parser.add_argument(
        "root", type=Path, nargs="?", help="make: the folder for the large run; measure: a run to compare with"
    )
    parser.add_argument("--epochs", type=int, default=480)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=8642)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    run = Run.open(options.run.parent, options.run.name)
    if options.part == "make":
        print(make(run, options.root, options.epochs, options.samples).path)
        return
    if options.part == "readers":
        with tempfile.TemporaryDirectory() as folder:
            result: dict[str, Any] = {"readers during a load": readers(run, Path(folder))}
    else:
        result = sizes(run)
        print(json.dumps(result, indent=1), flush=True)
        runs = [run.path, *([options.root] if options.root else [])]
        pages = asyncio.run(measure(runs, options.port, options.repeats, 2))
        pages["errors"] = [text for text in pages["errors"] if "dropped to save space" not in text]  # as is said above
        pages["bars"]["errors"] = verdict(len(pages["errors"]) + len(pages["requests_outside"]), 0)
        result["pages"] = {key: value for key, value in pages.items() if key != "all_s"}
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(before | result, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
