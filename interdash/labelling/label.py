"""Labelling: from the parts to the rows that DuckDB loads. What is salient, what generalizes, and all sums and means.

τ needs every sample of a network and epoch, G needs the baselines: so labels are made when their parts are all there, a
folder of Parquet tables for each network and epoch (`<network>-<epoch>-<key>/`), which appears in one step. The key is
a hash over the parts' keys and the rules of generalization; labels by other rules are replaced.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from interdash.labelling import lives
from interdash.labelling.aggregate import label_tables
from interdash.labelling.flows import flow_tables, labelled_pairs
from interdash.labelling.sample_table import sample_table
from interdash.masking.kinds import kind_of
from interdash.runs import samples
from interdash.runs.boundaries import boundaries
from interdash.runs.files import DamagedFileError, draft
from interdash.runs.parts import (
    LABELLING,
    SCALARS,
    Unit,
    digest,
    discard_part,
    finished,
    is_there,
    read_part,
    read_seconds,
)
from interdash.runs.plan import Plan
from interdash.runs.run import Run
from interdash.runs.tables import read_notes, read_table, write_table

FLOWS = ("flows", "baseline_flows")
OUTPUTS = ("v_empty", "v_full")  # of every sample, for τ


def label(planned: Plan, *, progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Returns messages about damaged parts; labels every network and epoch whose parts are all there.

    What is labelled already is left alone. A damaged part is deleted, so that the next extraction makes it again.

    Args:
        planned: the run's plan.
        progress: called with networks and epochs done and in all.
    """
    problems, pairs = list(planned.problems), planned.pairs
    for done, (network, epoch) in enumerate(pairs):
        if progress is not None:
            progress(done, len(pairs))
        try:
            label_epoch(planned, network, epoch)
        except DamagedFileError as error:
            problems.append(str(error))
    if progress is not None:
        progress(len(pairs), len(pairs))
    label_samples(planned.run)
    try:
        label_flows(planned)
    except DamagedFileError as error:
        problems.append(str(error))
    _discard_outdated(planned)
    return problems


def label_samples(run: Run) -> Path:
    """Returns the folder with the table of the explained samples, made if it is missing."""
    key = digest(run.explained_hash(), run.class_names, LABELLING)
    folder = run.labels_dir / f"samples-{key}"
    _discard_damaged(folder)
    if not folder.exists():
        table = sample_table(run.explained(), run.class_names)
        write_folder(folder, {"samples": table}, {"network": "", "epoch": -1})
    return folder


def label_flows(planned: Plan) -> Path | None:
    """Returns the folder with the tables of flows between recorded epochs, made if it is missing; None without any.

    Raises:
        DamagedFileError: a part is damaged; it is deleted.
    """
    pairs = labelled_pairs(planned)
    if not pairs:
        return None
    names = [[before.name, after.name] for before, after in pairs]
    return _of_run(planned.run, FLOWS, names, lambda: flow_tables(planned, pairs))[0]


def label_lives(planned: Plan) -> list[Path]:
    """Returns the folders with the tables of the lives of interactions, made if missing; none before two epochs.

    They know the boundary 1|2 of the run as it is now, found or moved: call it when the boundaries are found.

    Raises:
        DamagedFileError: a part is damaged; it is deleted.
    """
    folders = lives.labelled(planned)
    if len(folders) < 2:
        return []
    places = {row["boundary"]: row["epoch"] for row in boundaries(planned.run.manifest)}
    end, names = places.get("1|2"), [folder.name for folder in folders.values()]
    tables = lives.life_tables
    return _of_run(planned.run, lives.TABLES, [names, end], lambda: tables(planned, folders, end))


def _of_run(run: Run, names: Sequence[str], key: object, tables: Callable[[], dict[str, pa.Table]]) -> list[Path]:
    """Returns the folders of tables of a whole run, one each; all made if one is missing, older ones deleted."""
    folders = [run.labels_dir / f"{name}-{digest(key, LABELLING)}" for name in names]
    for folder in folders:
        _discard_damaged(folder)
    if not all(folder.exists() for folder in folders):
        rows = tables()
        for name, folder in zip(names, folders, strict=True):
            write_folder(folder, {name: rows[name]}, {"network": "target", "epoch": -1})
    for name in names:
        for other in set(run.labels_dir.glob(f"{name}-*")) - set(folders):
            shutil.rmtree(other, ignore_errors=True)
    return folders


def label_epoch(planned: Plan, network: str, epoch: int) -> Path | None:
    """Returns the folder with the labels of a network at an epoch, made if it is missing; None if parts are missing.

    Args:
        planned: the run's plan.
        network: "target", or a baseline, whose rows have no G.
        epoch: one with a checkpoint.

    Raises:
        DamagedFileError: a part is damaged; it is deleted.
    """
    run, inputs, folder = planned.run, planned.inputs(network, epoch), planned.folder(network, epoch)
    parts = {unit for group in inputs for unit in group}
    if folder is None or finished(run, parts) != parts:
        return None
    _discard_damaged(folder)
    if not folder.exists():
        if not all(is_there(run, unit) for unit in parts):  # vectors that were dropped make no new labels
            return None
        about, kind = samples.description(run.path), kind_of(planned.config.masking.kind)
        scalars = [_together([_read(run, unit, OUTPUTS) for unit in group]) for group in inputs]
        tables = label_tables(
            _batches(run, inputs),
            scalars,
            planned.config.generalization,
            about["split"],
            same_variables=kind.same_variables,
            names=[group[0].network for group in inputs[1:]],
            strata=samples.strata(run.path),
            true_labels=about.get("true_label"),
        )
        tables["units"] = _unit_table(run, inputs[0], tables["sample_epochs"])
        write_folder(folder, tables, {"network": network, "epoch": epoch})
    for other in run.labels_dir.glob(f"{network}-{epoch:05d}-*"):
        if other != folder:  # made from other parts or by other rules
            shutil.rmtree(other, ignore_errors=True)
    return folder


def write_folder(folder: Path, tables: dict[str, pa.Table], notes: dict[str, object]) -> None:
    """Writes tables as a folder that appears in one step."""
    try:
        with draft(folder) as place:
            for name, table in tables.items():
                write_table(place / f"{name}.parquet", table, {**notes, "tables": list(tables)})
    except OSError:
        if not folder.exists():  # else another labelling was faster, with the same rows
            raise


def _discard_damaged(folder: Path) -> None:
    """Deletes a folder of labels if one of its tables is damaged or gone, to be made again."""
    try:
        for path in folder.glob("*.parquet"):
            read_table(path)
            if any(not (folder / f"{table}.parquet").exists() for table in read_notes(path)["tables"]):
                shutil.rmtree(folder)
                return
    except DamagedFileError:
        shutil.rmtree(folder)


def _discard_outdated(planned: Plan) -> None:
    """Deletes a noise floor (see `robustness`) that is damaged, or made from parts or by rules that are no more."""
    for folder in planned.run.labels_dir.glob("robustness-*"):
        try:
            notes = read_notes(folder / "robustness.parquet")
        except (DamagedFileError, FileNotFoundError):
            notes = {"units": None}
        current = notes["units"] is not None and set(notes["units"]) <= {unit.name for unit in planned.units}
        if not current or notes["rules"] != asdict(planned.config.generalization):
            shutil.rmtree(folder, ignore_errors=True)


def _batches(run: Run, groups: list[list[Unit]]) -> Iterator[list[dict[str, np.ndarray]]]:
    """Yields the columns of one unit after the other: of the network itself, then of each baseline."""
    for own, *others in zip(*groups, strict=True):
        target = _read(run, own, (*SCALARS, "i_and", "i_or", "delta"))
        yield [target, *(_read(run, other, (*OUTPUTS, "i_and", "i_or")) for other in others)]
        del target  # before the next one is read


def _read(run: Run, unit: Unit, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns columns of a part, no others: they are large; a damaged part is deleted."""
    try:
        return read_part(run, unit, columns)
    except DamagedFileError:
        discard_part(run, unit)
        raise


def _together(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _unit_table(run: Run, units: list[Unit], sample_epochs: pa.Table) -> pa.Table:
    gap, residual, solved = (sample_epochs[name].to_numpy() for name in ("gap", "residual", "solved"))
    span = [slice(unit.first, unit.stop) for unit in units]
    return pa.table(
        {
            "first": pa.array([unit.first for unit in units], pa.int32()),
            "stop": pa.array([unit.stop for unit in units], pa.int32()),
            "name": [unit.name for unit in units],
            "seconds": [read_seconds(run, unit) for unit in units],
            "solved": [float(solved[rows].mean()) for rows in span],
            "worst_gap": [float(gap[rows].max()) for rows in span],
            "worst_residual": [float(residual[rows].max()) for rows in span],
        }
    )
