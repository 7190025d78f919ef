"""Tables that are measured on demand, epoch by epoch, each stored as soon as it is done."""

import shutil
from collections.abc import Callable, Sequence
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from interdash.labelling.label import write_folder
from interdash.runs.files import DamagedFileError
from interdash.runs.parts import digest
from interdash.runs.run import Run
from interdash.runs.tables import read_notes, read_table

Progress = Callable[[int, int], None]  # epochs done, and in all


class OnDemand(Protocol):
    """What is measured at some epochs of a run's target."""

    @property
    def run(self) -> Run:
        """The run."""
        ...

    def left(self) -> list[int]:
        """Returns the epochs that are not measured yet."""
        ...

    def key(self, epoch: int) -> str:
        """Returns a hash of all that decides the numbers of an epoch."""
        ...


def measured(
    work: OnDemand,
    names: Sequence[str],
    measure: Callable[[int], dict[str, pa.Table]],
    progress: Progress | None = None,
) -> int:
    """Returns how many epochs were measured: those that are left, the tables of each stored as soon as it is done."""
    left = work.left()
    for done, epoch in enumerate(left, start=1):
        store(work, names, epoch, measure(epoch))
        if progress is not None:
            progress(done, len(left))
    return len(left)


def stored(run: Run, names: Sequence[str]) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """Returns tables by name, and the keys of the epochs that they have; neither where one is damaged or gone."""
    try:
        paths = {name: next(run.labels_dir.glob(f"{name}-*")) / f"{name}.parquet" for name in names}
        tables = {name: read_table(path) for name, path in paths.items()}
        first, *others = (read_notes(path)["keys"] for path in paths.values())
        return (tables, first) if all(keys == first for keys in others) else ({}, {})
    except (DamagedFileError, FileNotFoundError, StopIteration):
        return {}, {}


def store(work: OnDemand, names: Sequence[str], epoch: int, tables: dict[str, pa.Table]) -> None:
    """Adds the rows of an epoch to what is stored; what was made from other networks or by other rules is dropped."""
    run, (before, keys) = work.run, stored(work.run, names)
    there = run.checkpoint_epochs("target")
    valid = {each: key for each, key in keys.items() if int(each) in there and work.key(int(each)) == key}
    valid.pop(str(epoch), None)
    epochs = pa.array([int(each) for each in valid], pa.int32())
    kept = {name: table.filter(pc.is_in(table["epoch"], epochs)) for name, table in before.items()}  # pyright: ignore
    rows = {name: pa.concat_tables([*filter(None, [kept.get(name)]), tables[name]]) for name in names}
    write(run, rows, valid | {str(epoch): work.key(epoch)})


def write(run: Run, tables: dict[str, pa.Table], keys: dict[str, str]) -> None:
    """Writes tables with the keys of their epochs in place of older ones."""
    for name, table in tables.items():
        folder = run.labels_dir / f"{name}-{digest(keys)}"
        if not folder.exists():
            write_folder(folder, {name: table.sort_by("epoch")}, {"network": "target", "epoch": -1, "keys": keys})
        for other in set(run.labels_dir.glob(f"{name}-*")) - {folder}:
            shutil.rmtree(other, ignore_errors=True)
