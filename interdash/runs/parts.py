"""The parts of a run on disk: units of work, and how their vectors are stored, each by itself or packed. No torch.

A unit is one network at one epoch on a fixed batch of explained samples. Its name is `<network>-<epoch>-<batch>-<key>`,
where the key is a hash over everything that decides its numbers; the file name is therefore the whole manifest. A part
holds one row a sample, in small row groups, so that one sample is read without the others:

    sample          int32     number of the explained sample
    label           int32     the class in v
    predicted       int32     the class with the highest logit on the unmasked sample
    v_empty, v_full float64   v(x_∅) and v(x), nats
    objective       float64   Σ |I_and| + |I_or| that the split reached, nats
    lower_bound     float64   no split is below it, nats
    gap             float64   objective / lower_bound − 1, a share
    solved          bool      the solver's own verdict
    residual        float64   largest error of universal matching over all subsets, nats
    v, i_and, i_or, delta     float64[2^n], index = bitmask, nats

A pack, `<network>-<epoch>-<key>.parquet`, holds the rows of all parts of its epoch: row i is sample i. Where both are
there, the part by itself counts. A row group of it is a whole part: with smaller ones, as parts have them, its footer
would take longer to read than a row.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from interdash.runs.files import DamagedFileError
from interdash.runs.run import Run
from interdash.runs.tables import damaged, read_notes, read_table, write_table

ALGORITHM = 1  # of masked inference and the sparse split; raised when their numbers change
LABELLING = 5  # of what `labelling` derives from the parts; raised when its numbers or columns change
GROUP = 2  # rows of a part in one row group: 1 makes the footer long, more make one row slow to read
VECTORS = ("v", "i_and", "i_or", "delta")
SCALARS = {
    "sample": np.int32,
    "label": np.int32,
    "predicted": np.int32,
    "v_empty": np.float64,
    "v_full": np.float64,
    "objective": np.float64,
    "lower_bound": np.float64,
    "gap": np.float64,
    "solved": np.bool_,
    "residual": np.float64,
}


@dataclass(frozen=True)
class Unit:
    """One network at one epoch on the explained samples `first` to `stop` − 1."""

    network: str
    epoch: int
    first: int
    stop: int
    key: str  # hash of all that decides the numbers

    @classmethod
    def parse(cls, name: str, stop: int) -> "Unit":
        """Returns the unit of a name, which ends before the sample `stop`.

        >>> Unit.parse("baseline-0-00064-00025-0123456789abcdef", 50)
        Unit(network='baseline-0', epoch=64, first=25, stop=50, key='0123456789abcdef')
        """
        network, epoch, first, key = name.rsplit("-", 3)
        return cls(network, int(epoch), int(first), stop, key)

    @property
    def name(self) -> str:
        """The file name of its part, without suffix."""
        return f"{self.network}-{self.epoch:05d}-{self.first:05d}-{self.key}"

    @property
    def pack(self) -> str:
        """The file name of the pack that may hold its part, without suffix."""
        return f"{self.network}-{self.epoch:05d}-{self.key}"


def digest(*values: Any) -> str:
    """Returns a hash of JSON values as 16 hex digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def part_path(run: Run, unit: Unit) -> Path:
    """Returns where the part of a unit lies by itself."""
    return run.parts_dir / f"{unit.name}.parquet"


def pack_path(run: Run, unit: Unit) -> Path:
    """Returns where the pack that may hold the part of a unit lies."""
    return run.parts_dir / f"{unit.pack}.parquet"


def finished(run: Run, units: Iterable[Unit]) -> set[Unit]:
    """Returns the units whose part is there (one look at the folder, nothing is read), or was dropped on purpose.

    A pack holds all parts of its epoch. Dropped vectors (see `retention`) are not computed again.
    """
    names = {path.stem for path in run.parts_dir.glob("*.parquet")} | run.dropped
    return {unit for unit in units if unit.name in names or unit.pack in names}


def is_there(run: Run, unit: Unit) -> bool:
    """Returns whether the part of a unit can be read: it has a file, or is in a pack."""
    return part_path(run, unit).exists() or pack_path(run, unit).exists()


def write_part(run: Run, unit: Unit, columns: dict[str, np.ndarray], *, seconds: float) -> None:
    """Writes the part of a unit in one step; `seconds` it took go into the file's metadata, not into its rows.

    Raises:
        ValueError: a column is missing or has the wrong shape.
        OSError: the disk is full.
    """
    rows = unit.stop - unit.first
    for name in (*SCALARS, *VECTORS):
        if name not in columns or len(columns[name]) != rows:
            raise ValueError(f"column {name!r} of unit {unit.name} must have {rows} rows")
    arrays = {name: pa.array(np.asarray(columns[name], kind)) for name, kind in SCALARS.items()}
    for name in VECTORS:
        values = np.ascontiguousarray(columns[name], np.float64)
        arrays[name] = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    write_table(part_path(run, unit), pa.table(arrays), {"unit": asdict(unit), "seconds": seconds}, group=GROUP)


def read_rows(run: Run, unit: Unit, columns: Sequence[str] | None, samples: range) -> pa.Table:
    """Returns the rows of some samples of a unit, from its own file or its pack.

    Args:
        run: the run.
        unit: the unit.
        columns: these only, `sample` among them; None = all.
        samples: numbers of samples of the unit.

    Raises:
        DamagedFileError: the file is truncated or altered, or it is the part of another unit.
        FileNotFoundError: the unit was not computed yet, or its vectors were dropped.
    """
    own, pack = part_path(run, unit), pack_path(run, unit)
    for path, first in ((own, unit.first), (pack, 0), (own, unit.first)):  # it may be unpacked between the looks
        with suppress(FileNotFoundError):
            table = read_table(path, columns, rows=range(samples.start - first, samples.stop - first))
            if table["sample"].to_pylist() != list(samples):
                raise damaged(path, "it holds other samples")
            return table
    if unit.pack in run.dropped:
        raise FileNotFoundError(
            f"the full vectors of {unit.network} at epoch {unit.epoch} were dropped to save space; for new ones: "
            f"`interdash gc {run.name} --want-vectors {unit.epoch} --delete`, then `interdash extract {run.name}`"
        )
    raise FileNotFoundError(f"there is no {own}; make it with `interdash extract {run.name}`")


def read_part(run: Run, unit: Unit, columns: Sequence[str] = (*SCALARS, *VECTORS)) -> dict[str, np.ndarray]:
    """Returns columns of a unit's part as arrays: scalars `[samples]`, vectors `[samples, 2**n]`.

    Raises:
        DamagedFileError: the file is truncated or altered, or it is the part of another unit.
        FileNotFoundError: the unit was not computed yet.
    """
    names = ["sample", *(name for name in columns if name != "sample")]
    table = read_rows(run, unit, names, range(unit.first, unit.stop))
    return {name: _array(table[name]) for name in columns}


def read_vectors(run: Run, unit: Unit, sample: int, columns: Sequence[str] = VECTORS) -> dict[str, np.ndarray]:
    """Returns the vectors `[2**n]` of one sample of a unit, without reading the others."""
    table = read_rows(run, unit, ["sample", *columns], range(sample, sample + 1))
    return {name: _array(table[name])[0] for name in columns}


def read_seconds(run: Run, unit: Unit) -> float:
    """Returns the seconds that a unit took, as noted with its part."""
    with suppress(FileNotFoundError):
        return float(read_notes(part_path(run, unit))["seconds"])
    return float(read_notes(pack_path(run, unit))["seconds"][unit.name])


def discard_part(run: Run, unit: Unit) -> None:
    """Deletes the part of a unit, to be computed again; others in its pack that are whole get files of their own."""
    part_path(run, unit).unlink(missing_ok=True)
    path = pack_path(run, unit)
    with suppress(FileNotFoundError, DamagedFileError):
        for name, stop in read_notes(path)["stops"].items():
            other = Unit.parse(name, stop)
            if other != unit and not part_path(run, other).exists():
                with suppress(DamagedFileError):  # to be computed again too
                    write_part(run, other, read_part(run, other), seconds=read_seconds(run, other))
    path.unlink(missing_ok=True)


def _array(column: pa.ChunkedArray) -> np.ndarray:
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # no chunk at all
        values = pa.concat_arrays(values.chunks)
    if pa.types.is_fixed_size_list(values.type):
        return values.flatten().to_numpy(zero_copy_only=False).reshape(len(values), -1)
    return values.to_numpy(zero_copy_only=False)
