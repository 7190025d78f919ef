"""The parts of a run on disk: which units of work there are, and how their Parquet files are stored. No torch.

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
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from interdash.config import GeneralizationConfig
from interdash.files import DamagedFileError, write_atomically
from interdash.packs import discard, open_part, pack_name
from interdash.runs import Run

FORMAT = 1  # of the Parquet files; raised when columns change
ALGORITHM = 1  # of masked inference and the sparse split; raised when their numbers change
LABELLING = 3  # of what `labelling` derives from the parts; raised when its numbers or columns change
SAMPLES_PER_UNIT = 25
ROWS_PER_GROUP = 16384  # of label tables by sample: a group is read in about a millisecond
_BLANK = 64 * "0"
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

    @property
    def name(self) -> str:
        """The file name of its part, without suffix."""
        return f"{self.network}-{self.epoch:05d}-{self.first:05d}-{self.key}"


def digest(*values: Any) -> str:
    """Returns a hash of JSON values as 16 hex digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def plan(run: Run) -> tuple[list[Unit], list[str]]:
    """Returns the units of all recorded checkpoints of a run, and messages about checkpoints that cannot be used.

    Baselines come first (labels need them), of each only the last checkpoint, the converged one; then the target's
    checkpoints by epoch.
    """
    config = run.config
    settings = _settings_key(run)
    n_samples = run.n_explained()
    size = n_samples if config.split.zeta == "mean" else SAMPLES_PER_UNIT  # a mean over samples needs them together
    units, problems = [], []
    for network in sorted(run.networks(), key=lambda name: name == "target"):
        epochs = run.checkpoint_epochs(network)
        for epoch in epochs if network == "target" else epochs[-1:]:
            try:
                key = digest(run.checkpoint_hash(network, epoch), settings)
            except DamagedFileError as error:
                problems.append(str(error))
                continue
            for first in range(0, n_samples, size):
                units.append(Unit(network, epoch, first, min(first + size, n_samples), key))
    return units, problems


def unit_key(run: Run, network: str, epoch: int) -> str:
    """Returns the key of the units of a checkpoint: equal on two machines only if they see the same run."""
    return digest(run.checkpoint_hash(network, epoch), _settings_key(run))


def _settings_key(run: Run) -> str:
    config = run.config
    return digest(run.explained_hash(), asdict(config.masking), asdict(config.split), FORMAT, ALGORITHM)


def part_path(run: Run, unit: Unit) -> Path:
    """Returns where the part of a unit lies."""
    return run.parts_dir / f"{unit.name}.parquet"


def finished(run: Run, units: Iterable[Unit]) -> set[Unit]:
    """Returns the units whose part is there (one look at the folder, nothing is read), or was there and is not wanted.

    A pack holds all parts of its epoch. Dropped vectors (see `retention`) are not computed again.
    """
    there = {path.stem for path in run.parts_dir.glob("*.parquet")}
    whole = {path.stem for path in run.parts_dir.glob("*.zip")} | dropped(run)
    return {unit for unit in units if unit.name in there or pack_name(unit.name) in whole}


def dropped(run: Run) -> set[str]:
    """Returns the names (as of a pack) of the epochs whose full vectors were dropped to save space."""
    return set(run.manifest.get("dropped_vectors", ()))


def is_there(run: Run, unit: Unit) -> bool:
    """Returns whether the part of a unit can be read: it has a file, or is in a pack."""
    path = part_path(run, unit)
    return path.exists() or path.with_name(f"{pack_name(unit.name)}.zip").exists()


def discard_part(run: Run, unit: Unit) -> None:
    """Deletes the part of a unit, to be computed again."""
    discard(part_path(run, unit))


def label_inputs(units: Iterable[Unit], network: str, epoch: int, rules: GeneralizationConfig) -> list[list[Unit]]:
    """Returns the units that labels of a network at an epoch are made from: its own, then those of each baseline asked.

    A baseline has no baselines. Empty if there is no such checkpoint, or no baseline yet for the target. With fewer
    baselines than the rules ask for, those that are there vote.
    """
    groups: dict[str, list[Unit]] = {}
    own = []
    for unit in units:
        if (unit.network, unit.epoch) == (network, epoch):
            own.append(unit)
        elif unit.network != "target":
            groups.setdefault(unit.network, []).append(unit)
    if network != "target":
        return [own] if own else []
    numbered = sorted(groups, key=lambda name: int(name.split("-")[1]))
    asked = [groups[name] for name in numbered][: rules.baselines]
    return [own, *asked] if own and asked else []


def label_folder(run: Run, inputs: list[list[Unit]], rules: GeneralizationConfig) -> Path:
    """Returns where the labels made from these parts by these rules lie: `<network>-<epoch>-<key>`."""
    key = digest([[unit.name for unit in group] for group in inputs], asdict(rules), LABELLING, FORMAT)
    return run.labels_dir / f"{inputs[0][0].network}-{inputs[0][0].epoch:05d}-{key}"


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


def write_table(path: Path, table: pa.Table, notes: dict[str, Any], *, group: int | None = None) -> None:
    """Writes an Arrow table as Parquet in one step: zstd, byte-stream-split, checksums, notes as metadata.

    Rows lie in groups of `group`; else, in a table with a column `sample`, in groups that know which samples they hold.
    """
    notes = {"format": FORMAT, "rows": table.num_rows, "group": group, **notes, "sha256": _BLANK}
    metadata = {"interdash": json.dumps(notes)}
    split = [field.name for field in table.schema if pa.types.is_fixed_size_list(field.type)]
    numbers = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    encodings = dict.fromkeys([f"{name}.list.element" for name in split] + numbers, "BYTE_STREAM_SPLIT")
    dictionary = [field.name for field in table.schema if field.name not in {*split, *numbers}]
    if group is not None:
        dictionary = []
    by_sample = group is None and "sample" in table.column_names
    made = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        made,
        compression="zstd",
        use_dictionary=dictionary,  # pyright: ignore[reportArgumentType]  (a list of columns is allowed)
        column_encoding=encodings or None,
        write_page_checksum=True,
        write_statistics=["sample"] if by_sample else False,  # pyright: ignore[reportArgumentType]  (allowed)
        row_group_size=ROWS_PER_GROUP if by_sample else group,
    )
    content = made.getvalue().to_pybytes()
    head, _, tail = content.rpartition(_BLANK.encode())  # the last one: rows come before the notes
    write_atomically(path, head + hashlib.sha256(content).hexdigest().encode() + tail)


def has_whole_bytes(path: Path) -> bool | None:
    """Returns whether every byte of a table is as `write_table` wrote it; None if an older version wrote no SHA-256.

    The hash is of the file with zeros in the place of the hash. Page checksums, which every reading verifies, leave
    out the footer.

    Raises:
        DamagedFileError: the file cannot be opened.
        FileNotFoundError: there is none.
    """
    sha256 = str(read_notes(path).get("sha256", "")).encode()
    content = open_part(path).read()
    if not sha256:
        return None
    head, _, tail = content.rpartition(sha256)
    return hashlib.sha256(head + _BLANK.encode() + tail).hexdigest().encode() == sha256


def read_notes(path: Path) -> dict[str, Any]:
    """Returns the notes written with a table: format, rows, unit, seconds, …

    Raises:
        DamagedFileError: the file is truncated or altered.
    """
    return _open(path)[1]


def read_table(
    path: Path,
    columns: Sequence[str] | None = None,
    row: int | None = None,
    *,
    where: tuple[str, int] | None = None,
) -> pa.Table:
    """Returns a table that `write_table` wrote, or one row of it, its page checksums verified.

    Args:
        path: the file.
        columns: these only; None = all.
        row: this row only, of a table written in row groups; None = all.
        where: column and value: only the row groups that can hold the value, where the file knows; None = all.

    Raises:
        DamagedFileError: the file is truncated or altered; the message names it.
    """
    file, notes = _open(path)
    try:
        names = None if columns is None else list(columns)
        if where is not None:
            groups = [i for i in range(file.num_row_groups) if _can_hold(file.metadata.row_group(i), *where)]
            table = file.read_row_groups(groups, columns=names, use_threads=False)
        elif row is None:
            table = file.read(columns=names, use_threads=False)
        else:
            table = file.read_row_group(row // notes["group"], columns=names, use_threads=False)
            table = table.slice(row % notes["group"], 1)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    expected = table.num_rows if where is not None else notes["rows"] if row is None else 1
    if table.num_rows != expected or (names is not None and table.column_names != names):
        raise _damaged(path, f"{table.num_rows} rows of {table.column_names}")
    return table


def read_part(run: Run, unit: Unit, columns: Sequence[str] = (*SCALARS, *VECTORS)) -> dict[str, np.ndarray]:
    """Returns columns of a unit's part as arrays: scalars `[samples]`, vectors `[samples, 2**n]`.

    Raises:
        DamagedFileError: the file is truncated or altered, or it is the part of another unit.
        FileNotFoundError: the unit was not computed yet.
    """
    path = part_path(run, unit)
    table = read_table(path, ["sample", *(name for name in columns if name != "sample")])
    if table["sample"].to_pylist() != list(range(unit.first, unit.stop)):
        raise _damaged(path, "it holds other samples")
    return {name: _array(table[name]) for name in columns}


def read_vectors(path: Path, row: int, columns: Sequence[str] = VECTORS) -> dict[str, np.ndarray]:
    """Returns the vectors `[2**n]` of one row of a part, without reading the others."""
    table = read_table(path, columns, row)
    return {name: _array(table[name])[0] for name in columns}


def _can_hold(group: pq.RowGroupMetaData, column: str, value: int) -> bool:
    for i in range(group.num_columns):
        if (found := group.column(i)).path_in_schema == column and found.is_stats_set:
            return not found.statistics.has_min_max or found.statistics.min <= value <= found.statistics.max
    return True


def _array(column: pa.ChunkedArray) -> np.ndarray:
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # no chunk at all
        values = pa.concat_arrays(values.chunks)
    if pa.types.is_fixed_size_list(values.type):
        return values.flatten().to_numpy(zero_copy_only=False).reshape(len(values), -1)
    return values.to_numpy(zero_copy_only=False)


def _open(path: Path) -> tuple[pq.ParquetFile, dict[str, Any]]:
    try:
        file = pq.ParquetFile(open_part(path), page_checksum_verification=True)
        notes = json.loads((file.metadata.metadata or {})[b"interdash"])
        found, _ = int(notes["format"]), int(notes["rows"])
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no {path}; {_remedy(path)}") from None
    except (pa.ArrowException, zipfile.BadZipFile, OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error
    if found != FORMAT:
        raise DamagedFileError(
            f"{path} has format {found}, this version of interdash reads format {FORMAT}; "
            f"make it again with {_command(path)}"
        )
    return file, notes


def _damaged(path: Path, why: object) -> DamagedFileError:
    reason = str(why).splitlines()[0][:200] if str(why) else type(why).__name__
    return DamagedFileError(f"{path} is damaged ({reason}); make it again with {_command(path)}")


def _command(path: Path) -> str:
    folder = next((folder for folder in path.parents if folder.name in ("parts", "labels")), None)
    return f"`interdash extract {folder.parent.name if folder else 'RUN'}`"


def _remedy(path: Path) -> str:
    """Returns what to do about a file that is not there; a part may have been dropped on purpose."""
    run = Run(path.parent.parent)
    if path.parent.name == "parts" and (run.path / "run.json").exists() and pack_name(path.stem) in dropped(run):
        network, epoch, _, _ = path.stem.rsplit("-", 3)
        return (
            f"the full vectors of {network} at epoch {int(epoch)} were dropped to save space; for new ones: "
            f"`interdash gc {run.name} --want-vectors {int(epoch)} --delete`, then `interdash extract {run.name}`"
        )
    return f"make it with {_command(path)}"
