"""The same extraction on the CPU and on a GPU: differences and times. Writes benchmarks/results/gpu.json.

    python -m benchmarks.gpu data/runs/mnist

Asks whether `--device cuda` gives the same results (float32 on both, TF32 off), and what it saves: for each n the
masked inference, the split, and a whole extraction of the same units by one CPU thread and by the GPU, as ratios; then
the split of many random games at every n from 8 to 14, all together on the GPU. Less than eight minutes, most of them
the core's.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.scale import scaled_run, timed
from interdash.labelling import label
from interdash.masking.outputs import masked_outputs
from interdash.runs.parts import read_part
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.tables import read_table
from interdash.solver.sparsify import sparse_split
from interdash.training import builtin
from interdash.training.loop import one_thread
from interdash.training.network_of_run import network_builder

RESULTS = Path(__file__).parent / "results" / "gpu.json"
SIZES = {8: 200, 10: 200, 12: 100, 14: 50}  # n and samples
BARS = {
    "largest difference of v, nats": 1e-3,
    "worst certified gap on the GPU": 0.02,
    "time of the split, GPU over one core": 1.0,
}
MANY = {8: 1000, 9: 1000, 10: 1000, 11: 1000, 12: 500, 13: 250, 14: 100}  # n and random games
MANY_BAR = 0.5  # ms a sample, at n = 10
EXTRACTION_BAR = 1 / 20  # time at n = 10, GPU over one core


def seconds(work: Callable[[], Any], device: str, repeats: int) -> float:
    """Returns the median time of some work, the first time not counted."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:] or times)


def steps(run: Run, device: str, repeats: int) -> dict[str, float]:
    """Returns the seconds a sample of masked inference and split at the last epoch."""
    explained, split = run.explained(), run.config.split
    model = network_builder(run, None)()
    model.load_state_dict(run.load_checkpoint("target", run.checkpoint_epochs("target")[-1]))
    rows = list(range(run.n_explained() if device != "cpu" else min(25, run.n_explained())))
    given = explained.inputs[rows], explained.labels[rows], explained.variables.select(rows)
    with one_thread():
        v = masked_outputs(model, *given, device=device)
        settings = {"tie_break": split.tie_break, "tolerance": split.tolerance, "zeta": split.zeta}
        inference = seconds(lambda: masked_outputs(model, *given, device=device), device, repeats)
        solved = seconds(lambda: sparse_split(v.to(device), split.kappa, **settings), device, repeats)
    return {"inference": inference / len(rows), "split": solved / len(rows)}


def split_of_many(device: str, n: int, samples: int) -> dict[str, float]:
    """Returns the milliseconds a sample of the split of random games, by one core and on a device."""
    v = torch.as_tensor(np.random.default_rng(0).normal(size=(samples, 2**n)))
    few, many = v[: max(1, 2**16 >> n)], v.to(device)  # a core takes no longer for one of many
    with one_thread():
        cpu = seconds(lambda: sparse_split(few, 0.02), "cpu", 1)
        gpu = seconds(lambda: sparse_split(many, 0.02), device, 1)
    return {"n": n, "samples": samples, "cpu_ms": 1e3 * cpu / len(few), "gpu_ms": 1e3 * gpu / samples}


def compared(on_cpu: Run, on_gpu: Run) -> dict[str, float]:
    """Returns how far the parts and labels of two runs differ."""
    far: dict[str, list[float]] = {"v": [], "objective": [], "gap": [], "residual": [], "profile": []}
    for unit, other in zip(plan(on_cpu).units, plan(on_gpu).units, strict=True):
        a, b = read_part(on_cpu, unit), read_part(on_gpu, other)
        far["v"].append(float(np.abs(a["v"] - b["v"]).max()))
        far["objective"].append(float(np.abs(a["objective"] / b["objective"] - 1).max()))
        far["gap"].append(float(b["gap"].max()))
        far["residual"].append(float(b["residual"].max()))
    salient = {}
    for run in (on_cpu, on_gpu):
        label.label_samples(run)
        folder = label.label_epoch(plan(run), "target", run.checkpoint_epochs("target")[-1])
        assert folder is not None
        keys = ("sample", "type", "subset", "generalizes")
        table = read_table(folder / "interactions.parquet").to_pydict()
        salient[run] = {key[:3]: key[3] for key in zip(*(table[name] for name in keys), strict=True)}
    both = salient[on_cpu].keys() & salient[on_gpu].keys()
    either = salient[on_cpu].keys() | salient[on_gpu].keys()
    return {
        "largest difference of v, nats": max(far["v"]),
        "largest relative difference of the objective": max(far["objective"]),
        "worst certified gap on the GPU": max(far["gap"]),
        "largest error of universal matching on the GPU, nats": max(far["residual"]),
        "salient on both, of salient on either": len(both) / len(either),
        "same G, of salient on both": statistics.mean(salient[on_cpu][k] == salient[on_gpu][k] for k in both),
    }


def one_size(real: Run, root: Path, n: int, samples: int, device: str, repeats: int) -> dict[str, Any]:
    """Returns the comparison at one n."""
    cpu, gpu = (scaled_run(real, root / name, n=n, samples=samples, epochs=1) for name in ("cpu", "gpu"))
    times = {"cpu": timed(cpu, engine="local")}
    timed(gpu, engine="local", device=device)  # not counted: the GPU's libraries load
    times["gpu"] = timed(gpu, engine="local", device=device)
    step = {"cpu": steps(cpu, "cpu", 1 if n > 10 else repeats), "gpu": steps(gpu, device, repeats)}
    return {
        "n": n,
        "samples": samples,
        "extraction_s": times,
        "seconds_per_sample": step,
        "times_faster": {"extraction": times["cpu"] / times["gpu"]}
        | {name: step["cpu"][name] / step["gpu"][name] for name in ("inference", "split")},
        "time of the split, GPU over one core": step["gpu"]["split"] / step["cpu"]["split"],
        **compared(cpu, gpu),
    }


def trained(real: Run, root: Path, device: str) -> dict[str, Any]:
    """Returns what training two epochs on both takes, and the losses."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(("cpu", device)):
        training = replace(real.config.training, epochs=2, checkpoints="log")
        config = replace(real.config, name=f"trained-{name.replace(':', '-')}", training=training)
        run = builtin.create_run(root, config)
        start = time.perf_counter()
        builtin.train_run(run, device=name)
        found[name] = {"seconds": time.perf_counter() - start, "metrics": run.metrics().tail(1).to_dict("records")}
    return found


def judged(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns each bar's value, and whether it holds."""
    sizes, split = results["sizes"], results["split"]
    bars = {name: (max(size[name] for size in sizes), bar) for name, bar in BARS.items()}
    over = "time of the split, GPU over one core"
    bars[over] = (max(bars[over][0], *(many["gpu_ms"] / many["cpu_ms"] for many in split)), BARS[over])
    for many in split:
        if many["n"] == 10:
            bars[f"split of {many['samples']:,} samples at n = 10, ms a sample"] = (many["gpu_ms"], MANY_BAR)
    for size in sizes:
        if size["n"] == 10:
            value = size["extraction_s"]["gpu"] / size["extraction_s"]["cpu"]
            bars["time of an extraction at n = 10, GPU over one core"] = (value, EXTRACTION_BAR)
    return {
        name: {"value": value, "bar": bar, "verdict": "PASS" if value <= bar else "FAIL"}
        for name, (value, bar) in bars.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if every bar holds, else 1; prints the results and keeps them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a trained run of the preset mnist")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--samples", type=int, help="of each n; by default fewer for a larger one")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    real = Run.open(options.run.parent, options.run.name)
    gpu = torch.cuda.get_device_name() if options.device != "cpu" else "none: the CPU against itself"
    results: dict[str, Any] = {
        "gpu": gpu,
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "sizes": [],
        "split": [],
    }
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for n in options.sizes:
            samples = options.samples or SIZES[n]
            found = one_size(real, Path(folder) / str(n), n, samples, options.device, options.repeats)
            results["sizes"].append(found)
            print(json.dumps(found, indent=1), flush=True)
        for n in range(min(options.sizes), max(options.sizes) + 1):
            results["split"].append(split_of_many(options.device, n, options.samples or MANY[n]))
        results["training"] = trained(real, Path(folder), options.device)
    results |= {"bars": judged(results), "seconds": time.perf_counter() - start}
    options.output.write_text(json.dumps(results, indent=1, default=str) + "\n")
    print(json.dumps({key: results[key] for key in ("split", "training", "bars")}, indent=1, default=str))
    return int(any(bar["verdict"] == "FAIL" for bar in results["bars"].values()))


if __name__ == "__main__":
    raise SystemExit(main())
