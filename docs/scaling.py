# ruff: noqa: E501  the lines of the page are filled when they are written
"""Writes docs/scaling.md from benchmarks/results/scale.json: `.venv/bin/python docs/scaling.py`.

Every number of the page is measured (see benchmarks/scale.py), computed from measured ones, or an assumption that the
page names as one.
"""

import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

HOME = Path(__file__).resolve().parent.parent
PAGE = HOME / "docs" / "scaling.md"
RESULTS = HOME / "benchmarks" / "results"
RUNS, EPOCHS, SAMPLES, N, WORKERS = 1000, 15, 10_000, 16, 64  # what is asked; 15 = checkpoints of a built-in run
UNIT = 25  # samples, as in interdash/runs/plan.py
VECTORS = 5  # that labelling reads: I_and and I_or of target and baseline, delta; float64
GROUPS = 402  # of samples whose mean interactions are compared, AND and OR: splits and 200 random ones of each size
LABEL_SAMPLE = 0.11e6  # more bytes for each sample: what label_epoch took for 800 samples less for 200, n = 13, made
PRICE = 0.04  # of a core-hour, in a currency of your choice: an assumption
DISK = 500e6  # bytes a second that a shared disk takes in: an assumption


def power_of_two(points: list[dict[str, float]], key: str, n: int) -> tuple[float, float]:
    """Returns a measured quantity at n, and its factor for each variable more, from a line through its logarithm."""
    sizes = np.array([point["n"] for point in points])
    slope, first = np.polyfit(sizes, np.log([point[key] for point in points]), 1)
    return float(np.exp(first + slope * n)), float(np.exp(slope))


def computed(scale: dict[str, Any]) -> dict[str, float]:
    """Returns the extrapolation: seconds, bytes and core-hours of the whole task, and what bounds it."""
    points = [dict(point) for point in scale["sweep"]["n"]][-3:]  # the larger n: small ones are ruled by fixed costs
    for point in points:
        point["label_seconds"] = point["label_seconds_per_epoch"] / point["samples"]
        point["label_bytes"] = point["label_bytes_per_epoch"] / point["samples"]
    second, growth = power_of_two(points, "seconds_per_sample", N)
    size, _ = power_of_two(points, "bytes_per_sample", N)
    label, _ = power_of_two(points, "label_seconds", N)
    label_size, _ = power_of_two(points, "label_bytes", N)
    epochs = EPOCHS + 1  # a baseline
    count = RUNS * epochs * SAMPLES
    efficiency = scale["engines"]["speedup"]["dask"] / 2
    return {
        "largest": points[-1]["n"],
        "count": count,
        "second": second,
        "growth": growth,
        "core_hours": count * second / 3600,
        "efficiency": efficiency,
        "days": count * second / (WORKERS * efficiency) / 86400,
        "driver_days": count / UNIT * scale["engines"]["driver_seconds_per_unit"] / 86400,
        "label_days": count * label / 86400,
        "label_days_apart": count * label / WORKERS / 86400,
        "bytes": count * size,
        "label_bytes": count * label_size,
        "disk_days": count * size / DISK / 86400,
        "label_memory": 8 * 2**N * (UNIT * VECTORS + 2 * GROUPS) + SAMPLES * LABEL_SAMPLE,
        "forward_passes": count * 2**N,
        "cost": count * second / 3600 * PRICE,
    }


def bottleneck(found: dict[str, float]) -> str:
    """Returns in words what is reached first."""
    stages = {
        f"computing, on {WORKERS} workers": found["days"],
        "labelling, one epoch after the other in the process that extracts": found["label_days"],
        "checking finished units in the driver": found["driver_days"],
        "writing parts": found["disk_days"],
    }
    longest = max(stages, key=lambda name: stages[name])
    return f"**{longest}**: {stages[longest]:,.1f} days"


def rows_text() -> str:
    """Returns what was measured on a store of more than 100 million rows; empty if that was not done."""
    path = RESULTS / "many_rows.json"
    if not path.exists():
        return ""
    many = json.loads(path.read_text())
    found = ["", "## Many rows in the dashboard", ""]
    found += ["Resampled from a run of the pipeline (see `benchmarks/many_rows.py`), not computed.", ""]
    if "tables" in many:
        table, pages = many["tables"]["interactions"], many["pages"]
        bars = "; ".join(
            f"{name} {bar['value']:g} (bar {bar['bar']:g})" for name, bar in pages["bars"].items() if name != "errors"
        )
        least = pages.get("smallest_page_s")
        bars += (
            f"; the smallest Streamlit page beside it: {least['first page']:g} and {least['rerun']:g}" if least else ""
        )
        found.append(
            f"- `{many['run']}`: {many['salient_rows']:,} salient interactions in {many['bytes_of_labels'] / 1e9:.2f} GB "
            f"of labels, {table['bytes_a_row']:g} bytes for a salient row, "
            f"{many['bytes_of_labels'] / many['salient_rows']:.1f} with all other tables; the file of `interdash load` "
            f"takes {many['bytes_of_sealed_file'] / many['salient_rows']:.1f} more, and {many['seal_s']:g} s to write. "
            f"Opening takes {many['load_s']:g} s from that file, {many['load_from_labels_s']:g} s from the labels. From "
            f"the file, slowest medians in seconds: {bars}."
        )
    if readers := many.get("readers during a load"):
        found.append(
            f"- Readers during a load at full speed ({readers['salient_rows_loaded']:,} salient rows in "
            f"{readers['load_s']:g} s): {readers['readers']} threads, {readers['reads']:,} reads, "
            f"{len(readers['errors'])} errors, p50 {readers['p50_ms']:g} ms, p95 {readers['p95_ms']:g} ms (bar "
            f"{readers['bars']['p95_ms']['bar']:g})."
        )
    return "\n".join([*found, ""])


def gpu_split_text(gpu: dict[str, Any]) -> str:
    """Returns what the measurement says of the split."""
    if "split" not in gpu:
        return """The split was the first bottleneck, for its chunks were cut for a CPU's cache and the GPU waited for launches.
  Since then it takes as many samples at once as half of the free memory holds, and replays its steps as one CUDA graph; a unit's
  part is written while the next ones are computed. **That has been tested on a CPU only and not measured on a GPU**: run `python -m benchmarks.gpu
  data/runs/mnist` on one (less than eight minutes), then `docs/scaling.py`."""
    many = "; ".join(f"{each['gpu_ms']:.2f} at n = {each['n']} ({each['samples']:,})" for each in gpu["split"])
    return f"The split of many random games at once, ms a sample (games): {many}."


def gpu_text(needed: float) -> str:
    """Returns what was measured on a GPU beside what one needs to replace all workers, milliseconds a sample."""
    path = RESULTS / "gpu.json"
    if not path.exists():
        return ""
    gpu = json.loads(path.read_text())
    sizes = gpu["sizes"]
    last = sizes[-1]
    inference, split = (
        [1000 * size["seconds_per_sample"]["gpu"][step] for size in sizes] for step in ("inference", "split")
    )
    ratios = {step: [size["times_faster"][step] for size in sizes] for step in ("inference", "split", "extraction")}
    n = f"n = {', '.join(str(size['n']) for size in sizes)}"
    return (
        f"""## One GPU

Measured on one {gpu["gpu"]} against one core of its host, the same units by both (`benchmarks/gpu.py`, torch {gpu["torch"]}).

| n | inference, ms a sample | times one core | split, ms a sample | times one core | whole extraction, times one core |
|---|---|---|---|---|---|
"""
        + "\n".join(
            f"| {size['n']} | {a:.2f} | {ratios['inference'][i]:.0f} | {b:.1f} | {ratios['split'][i]:.1f} | {ratios['extraction'][i]:.1f} |"
            for i, (size, a, b) in enumerate(zip(sizes, inference, split, strict=True))
        )
        + f"""

- Same results: outputs differ by at most {max(size["largest difference of v, nats"] for size in sizes):.0e} nats, G is the same for every interaction
  salient on both, and {100 * min(size["salient on both, of salient on either"] for size in sizes):.1f} % or more of those salient on either are salient on both ({n}).
- {gpu_split_text(gpu)}
- To replace {WORKERS} workers one GPU has to take at most {needed:.1f} ms a sample at n = {N}, forward passes and split together; at n = {last["n"]} this
  one takes {inference[-1] + split[-1]:.0f} ms. A GPU pays for larger networks than this LeNet, whose forward passes rule the time.
"""
    )


def filled(page: str) -> str:
    """Returns a page whose paragraphs and points have lines of at most 120 characters."""
    blocks = []
    for block in page.split("\n\n"):
        if block.startswith(("|", "#")):
            blocks.append(block)
            continue
        points = block.replace("\n- ", "\n\0- ").split("\0")
        wrapped = [
            textwrap.fill(
                " ".join(point.split()),
                120,
                subsequent_indent="  " if point.startswith("- ") else "",
                break_long_words=False,
                break_on_hyphens=False,
            )
            for point in points
        ]
        blocks.append("\n".join(wrapped))
    return "\n\n".join(blocks).rstrip() + "\n"


def text(scale: dict[str, Any]) -> str:
    """Returns the page."""
    found, engines = computed(scale), scale["engines"]
    tera = {key: found[key] / 1e12 for key in ("bytes", "label_bytes")}
    lines = "\n".join(
        f"| {point['n']} | {1000 * point['seconds_per_sample']:.1f} | {point['bytes_per_sample'] / 1e3:.1f} | "
        f"{1000 * point['label_seconds_per_epoch'] / point['samples']:.1f} | "
        f"{point['label_bytes_per_epoch'] / point['samples'] / 1e3:.2f} |"
        for point in scale["sweep"]["n"]
    )
    return filled(f"""# Scaling: what a large study takes

Made by `docs/scaling.py` from `benchmarks/results/scale.json`. **Measured** stands in the first section; all below it is
extrapolated, but for the section on one GPU.

## Measured

On {scale["machine"]["cores"]} cores ({scale["machine"]["processor"]}), LeNet on MNIST, one network at one epoch, one core:

| n | ms a sample | kB of parts a sample | ms of labelling a sample | kB of labels a sample |
|---|---|---|---|---|
{lines}

- Time is a straight line in epochs and samples: {scale["sweep"]["per_unit"]:.3f} s a unit of {UNIT} samples, {scale["sweep"]["fixed"]:.2f} s once; the
  farthest point lies {100 * scale["sweep"]["worst_residual"]:.0f} % of the longest off it (n = 8).
- Two worker processes on two cores are {engines["speedup"]["processes"]:.2f} times as fast as one, two Dask workers {engines["speedup"]["dask"]:.2f} times; with two, Dask
  takes {100 * engines["dask_overhead"]:+.1f} % against processes on {engines["rows"][0]["units"]} units of {engines["rows"][0]["unit_seconds"]:.1f} s (n = {engines["n"]}), and
  {100 * engines["dask_overhead_without_start"]:+.1f} % without the start of the workers: {engines["start"]["dask, 2"]:.1f} s once with Dask, {engines["start"]["processes, 2"]:.1f} s with processes.
- The driver takes {1000 * engines["driver_seconds_per_unit"]:.1f} ms for a finished unit, which it reads and checks.
{rows_text()}
## Extrapolated: {RUNS:,} runs, {SAMPLES:,} samples, n = {N}, {WORKERS} workers

{EPOCHS} checkpoints and one baseline a run: {found["count"]:,.0f} networks × epochs × samples, {found["forward_passes"]:.2g} forward passes. From n = {scale["sweep"]["n"][-3]["n"]:g} to
{found["largest"]:g} each variable more takes {found["growth"]:.2f} times as long; by that line, n = {N} takes {found["second"]:.2f} s a sample. It lies {N - found["largest"]:g}
variables beyond the largest n measured: take the figures as an order of magnitude.

| what | how much |
|---|---|
| work | {found["core_hours"]:,.0f} core-hours |
| computing, {WORKERS} workers at {100 * found["efficiency"]:.0f} % each (measured for two) | {found["days"]:,.1f} days |
| labelling in one process | {found["label_days"]:,.1f} days; {found["label_days_apart"]:,.2f} with a process for each of {WORKERS} runs at a time |
| driver, reading finished units | {found["driver_days"]:,.2f} days |
| parts | {tera["bytes"]:,.1f} TB |
| labels, which the dashboard shows | {tera["label_bytes"]:,.2f} TB |
| writing parts at {DISK / 1e6:,.0f} MB/s (assumed) | {found["disk_days"]:,.1f} days |
| memory to label one epoch, about | {found["label_memory"] / 1e9:,.1f} GB |
| cost at {PRICE:g} a core-hour (assumed) | {found["cost"]:,.0f} |

In time the first bottleneck is {bottleneck(found)}. Before that, {tera["bytes"]:,.0f} TB of parts end such a study: drop vectors as soon as
an epoch has labels. `interdash gc RUN --drop-vectors EPOCHS --delete` leaves {tera["label_bytes"]:,.2f} TB, and every chart but the
list of all interactions of a sample.

Memory is no bottleneck. A worker holds one unit. Labelling holds the vectors of one unit at a time, the mean interactions of {GROUPS}
groups of samples, and for each sample {LABEL_SAMPLE / 1e6:g} MB of sums, rows and draws of the bootstrap (measured at n = 13).

{gpu_text(1000 * found["second"] / (WORKERS * found["efficiency"]))}
Measure your own with `interdash extract RUN --estimate --device cuda`.
""")


if __name__ == "__main__":
    PAGE.write_text(text(json.loads((RESULTS / "scale.json").read_text())), encoding="utf-8")
