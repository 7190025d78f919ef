"""Makes a large run from a small real one, for the benchmarks of the dashboard: 200 epochs × 1,000 samples by default.

    python -m benchmarks.big_run data/runs/mnist /tmp/big [--epochs 200] [--samples 1000]

It is resampled, not computed: its samples are drawn with replacement from those of the real run, separately by split,
and its tables at every real epoch are made by the package's own labelling of those samples. An epoch between two real
ones has sums and means that lie between theirs, and the interactions of the nearer one, each effect times 1 ± 5 %. The
parts of the first unit are written anew for every epoch, those of the other samples are links to the nearest real
epoch's. Flows (of the salient interactions alone), lives, predictions and coherence are then made as of any run, so
that every page shows all it can: some three minutes. Everything goes through the package's own writers, so that the
store loads it as any other run, and `state` finds it ready.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from interdash.labelling import label, predictions
from interdash.labelling.aggregate import label_tables
from interdash.labelling.boundaries import find_boundaries
from interdash.labelling.flows import flow_tables
from interdash.masking.variables import Explained
from interdash.queries.dynamics import epochs, sample_flows
from interdash.runs import parts
from interdash.runs.plan import Plan, plan
from interdash.runs.run import Run
from interdash.runs.state import state, summarise
from interdash.store.database import open_store
from interdash.store.loading import refresh
from interdash.training import gradients

NOISY = {"interactions": ("effect",), "sample_orders": ("positive", "negative")}  # rows differ from epoch to epoch
NOISE = 0.05
Columns = dict[str, np.ndarray]


def resampled_run(real: Run, root: Path, n_epochs: int, n_samples: int) -> Run:
    """Returns the large run in the folder `root`, made if it is not there; see the module.

    Args:
        real: a run that is ready, with one baseline.
        root: folder of runs.
        n_epochs: recorded epochs, from 0.
        n_samples: explained samples, half of them from each split.
    """
    rng = np.random.default_rng(0)
    run, draw = _recorded(real, root, n_epochs, n_samples, rng)
    if "summary" in run.manifest:
        return run
    rules, splits = run.config.generalization, list(run.explained().split)
    planned = plan(run)
    last = real.checkpoint_epochs("baseline-0")[-1]
    base = _columns(real, "baseline-0", last, draw)
    recorded = real.checkpoint_epochs("target")
    _write(run, planned, "baseline-0", last, base, label_tables([[base]], [base], rules, splits), last)

    def made() -> Iterator[tuple[int, Columns, dict[str, pa.Table]]]:
        for epoch in recorded:
            columns = _columns(real, "target", epoch, draw)
            yield epoch, columns, label_tables([[columns, base]], [columns, base], rules, splits)

    waiting, todo = made(), list(enumerate(np.linspace(0, recorded[-1], n_epochs)))
    early = late = next(waiting)
    for epoch, place in tqdm(todo, desc="resampling", unit="epoch"):
        while late[0] < place - 1e-9:
            early, late = late, next(waiting)
        share = 0.0 if early[0] == late[0] else (place - early[0]) / (late[0] - early[0])
        near = late if share > 0.5 else early
        tables = {name: _between(name, early[2][name], late[2][name], share, rng) for name in near[2]}
        _write(run, planned, "target", epoch, near[1], tables, near[0])
    with mock.patch.object(label, "flow_tables", partial(flow_tables, vectors=False)):  # those are links: no flow
        problems = label.label(planned)
    assert not problems, problems
    predictions.label_predictions(planned)
    store = open_store()
    refresh(store, run)
    word = state(run).word
    assert word == "ready", state(run).text
    summarise(run, epochs(store, run.name), find_boundaries(sample_flows(store, run.name)))
    store.close()
    label.label_lives(planned)
    gradients.measure_coherence(gradients.Work(run))
    return run


def drawn_run(real: Run, root: Path, name: str, n_epochs: int, draw: np.ndarray) -> Run:
    """Returns the run of that name with the drawn samples of a real one; a finished one stays as it is."""
    config, small = real.config, real.explained()
    config = replace(
        config,
        name=name,
        purpose=f"For benchmarks: {n_epochs} epochs and {len(draw)} samples, resampled from the run {real.name}.",
        training=replace(config.training, epochs=n_epochs - 1, checkpoints="all"),
        masking=replace(config.masking, samples_per_split=len(draw) // 2),
        generalization=replace(config.generalization, baselines=1),
    )
    run = Run.create(root, config, real.class_names)
    if not run.is_finished("target"):
        run.save_explained(
            Explained(
                inputs=small.inputs[draw],
                labels=small.labels[draw],
                split=tuple(small.split[i] for i in draw),
                index=small.index[draw],
                variables=small.variables.select(draw.tolist()),
                display=[small.display[i] for i in draw] if small.display else [],
            )
        )
    return run


def _recorded(real: Run, root: Path, n_epochs: int, n_samples: int, rng: np.random.Generator) -> tuple[Run, np.ndarray]:
    """Returns the run with samples, losses and checkpoints, and which of the real samples were drawn."""
    split = np.asarray(real.explained().split)
    draw = np.concatenate([rng.choice(np.flatnonzero(split == name), n_samples // 2) for name in ("train", "test")])
    run = drawn_run(real, root, f"{real.name}-{n_epochs}x{n_samples}", n_epochs, draw)
    if run.is_finished("target"):
        return run, draw
    losses = real.metrics().query("network == 'target'").set_index("epoch").drop(columns="network")
    recorded = real.checkpoint_epochs("target")
    last = real.checkpoint_epochs("baseline-0")[-1]
    run.save_checkpoint("baseline-0", last, real.load_checkpoint("baseline-0", last))
    run.finish("baseline-0")
    for epoch, place in enumerate(np.linspace(0, recorded[-1], n_epochs)):
        nearest = min(recorded, key=lambda old: abs(old - place))
        run.save_checkpoint("target", epoch, real.load_checkpoint("target", nearest))
        row = {name: float(np.interp(place, losses.index, losses[name])) for name in losses.columns}
        run.record_metrics("target", epoch, **row)
    run.finish("target")
    return run, draw


def _columns(real: Run, network: str, epoch: int, draw: np.ndarray) -> Columns:
    """Returns the columns of the drawn samples, numbered anew."""
    read = [parts.read_part(real, unit) for unit in plan(real).pairs[network, epoch]]
    columns = {name: np.concatenate([part[name] for part in read])[draw] for name in read[0]}
    return columns | {"sample": np.arange(len(draw), dtype=np.int32)}


def _between(name: str, early: pa.Table, late: pa.Table, share: float, rng: np.random.Generator) -> pa.Table:
    """Returns a table of the epoch that lies that share of the way from one to the other."""
    near = late if share > 0.5 else early
    for i, field in enumerate(near.schema):
        if not pa.types.is_floating(field.type):
            continue
        if name not in NOISY:
            values = (1 - share) * early[field.name].to_numpy() + share * late[field.name].to_numpy()
        elif field.name in NOISY[name]:
            values = rng.normal(1.0, NOISE, near.num_rows) * near[field.name].to_numpy()
        else:
            continue
        near = near.set_column(i, field, pa.array(values, mask=np.isnan(values)).cast(field.type))
    return near


def _write(run: Run, planned: Plan, network: str, epoch: int, columns: Columns, tables: dict, real_epoch: int) -> None:
    """Writes parts and labels of one network and epoch."""
    own, folder = planned.pairs[network, epoch], planned.folder(network, epoch)
    assert folder is not None
    for number, unit in enumerate(own):
        path = parts.part_path(run, unit)
        first = run.path / f".parts-of-{network}-{real_epoch}" / f"{unit.first}.parquet"
        if number == 0 or not first.exists():
            rows = {name: values[unit.first : unit.stop] for name, values in columns.items()}
            parts.write_part(run, unit, rows, seconds=0.0)
            first.parent.mkdir(exist_ok=True)
            first.unlink(missing_ok=True)
            os.link(path, first)
        elif not path.exists():
            os.link(first, path)
    n = len(own)
    units = {
        "first": pa.array([unit.first for unit in own], pa.int32()),
        "stop": pa.array([unit.stop for unit in own], pa.int32()),
        "name": [unit.name for unit in own],
        **{name: [0.0] * n for name in ("seconds", "worst_gap", "worst_residual")},
        "solved": [1.0] * n,
    }
    notes = {"network": network, "epoch": epoch}
    label.write_folder(folder, {**tables, "units": pa.table(units)}, notes)


def main() -> None:
    """Makes the run and says where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, help="folder of a run that is ready")
    parser.add_argument("root", type=Path, help="folder of runs that the large one is written into")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--samples", type=int, default=1000)
    options = parser.parse_args()
    real = Run.open(options.real.parent, options.real.name)
    print(resampled_run(real, options.root, options.epochs, options.samples).path)


if __name__ == "__main__":
    main()
