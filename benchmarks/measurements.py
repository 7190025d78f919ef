"""What `interdash measure` costs beside the extraction of its run: `python -m benchmarks.measurements RUN [--all]`.

On a copy of a run that is ready: its vectors and labels are made again, then coherence is measured (m = 1,000), with
`--all` information and layers too; all in this process, on one thread. Every second is one of CPU, so that other work
beside it counts for little; for the estimates too, which else go by the clock. Writes results/measurements.json.
"""

import argparse
import json
import shutil
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import torch

from benchmarks.solver import Row, row
from interdash.labelling import information, layers
from interdash.pipeline import extract_and_label
from interdash.runs.run import Run
from interdash.training import gradients

RESULTS = Path(__file__).parent / "results" / "measurements.json"
ROUNDS = 5  # of coherence, whose few seconds vary by a tenth; the median counts
COHERENCE, INFORMATION, ESTIMATE = 5.0, 50.0, 30.0  # %: of an extraction; of what was said


def measured(run: Run, *, every: bool) -> list[Row]:
    """Returns the costs of a run that has nothing but its checkpoints, and how far off the estimates are."""
    start = time.process_time()
    extract_and_label(run, workers=0)
    extraction = time.process_time() - start
    print(f"extraction: {extraction:.1f} s of CPU", flush=True)
    kinds: dict[str, Any] = {"coherence": (gradients, gradients.Work(run), gradients.measure_coherence, COHERENCE)}
    if every:
        kinds["information"] = information, information.Work(run), information.measure_information, INFORMATION
        kinds["layers"] = layers, layers.Work(run), layers.measure_layers, None
    rows = []
    for name, (module, work, measure, bar) in kinds.items():
        _without_coherence(run)
        with mock.patch.object(time, "perf_counter", time.process_time):
            said = module.estimate(work).seconds
        rounds = []
        for _ in range(ROUNDS if name == "coherence" else 1):
            _without_coherence(run)
            start = time.process_time()
            measure(work)
            rounds.append(time.process_time() - start)
        taken = statistics.median(rounds)
        print(f"{name}: {said:.1f} s said, {taken:.1f} s taken", flush=True)
        if bar is not None:
            rows.append(row(f"{run.name}: {name} over extraction", 100 * taken / extraction, bar, "%"))
        rows.append(row(f"{run.name}: {name}, estimate off by", 100 * abs(said / taken - 1), ESTIMATE, "%"))
    return rows


def _without_coherence(run: Run) -> None:
    path = run.path / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"gradients"' not in line), encoding="utf-8")


def main() -> int:
    """Returns 0 if every bar holds, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run that is ready")
    parser.add_argument("--all", action="store_true", help="information and layers too; minutes more")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as root:
        shutil.copytree(options.run, Path(root) / options.run.name, ignore=shutil.ignore_patterns("parts", "labels"))
        rows = measured(Run.open(root, options.run.name), every=options.all)
    RESULTS.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    return int(not all(each["passed"] for each in rows))


if __name__ == "__main__":
    raise SystemExit(main())
