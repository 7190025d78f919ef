"""The Parquet format of every table of a run, parts and labels: how it is written, read and verified. No torch."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from interdash.runs.files import DamagedFileError, write_atomically

FORMAT = 1  # raised when columns change
ROWS_PER_GROUP = 16384  # of tables by sample: a group is read in about a millisecond
_BLANK = 64 * "0"


def write_table(path: Path, table: pa.Table, notes: dict[str, Any], *, group: int | None = None) -> None:
    """Writes an Arrow table as Parquet in one step: zstd, byte-stream-split, checksums, notes as metadata.

    Rows lie in groups of `group`; else, in a table with a column `sample`, in groups that know which samples they hold,
    and which values of `start` or `pattern`.
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
    known = [name for name in ("sample", "start", "pattern") if name in table.column_names]
    stream = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        stream,
        compression="zstd",
        use_dictionary=dictionary,  # pyright: ignore[reportArgumentType]  (a list of columns is allowed)
        column_encoding=encodings or None,
        write_page_checksum=True,
        write_statistics=known if by_sample else False,  # pyright: ignore[reportArgumentType]  (allowed)
        row_group_size=ROWS_PER_GROUP if by_sample else group,
    )
    content = stream.getvalue().to_pybytes()
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
    if not sha256:
        return None
    head, _, tail = path.read_bytes().rpartition(sha256)
    return hashlib.sha256(head + _BLANK.encode() + tail).hexdigest().encode() == sha256


def read_notes(path: Path) -> dict[str, Any]:
    """Returns the notes written with a table: format, rows, seconds, …

    Raises:
        DamagedFileError: the file is truncated or altered.
        FileNotFoundError: there is none.
    """
    return _open(path)[1]


def read_table(
    path: Path, columns: Sequence[str] | None = None, *, rows: range | None = None, where: tuple[str, int] | None = None
) -> pa.Table:
    """Returns a table that `write_table` wrote, or some rows of it, its page checksums verified.

    Args:
        path: the file.
        columns: these only; None = all.
        rows: these only, of a table written in groups of rows; None = all.
        where: column and value: only the row groups that can hold the value, where the file knows; None = all.

    Raises:
        DamagedFileError: the file is truncated or altered; the message names it.
        FileNotFoundError: there is none.
    """
    file, notes = _open(path)
    try:
        names = None if columns is None else list(columns)
        if where is not None:
            groups = [i for i in range(file.num_row_groups) if _can_hold(file.metadata.row_group(i), *where)]
            table = file.read_row_groups(groups, columns=names, use_threads=False)
        elif rows is None:
            table = file.read(columns=names, use_threads=False)
        else:
            size = notes["group"]
            groups = range(rows.start // size, (rows.stop - 1) // size + 1)
            table = file.read_row_groups(groups, columns=names, use_threads=False)
            table = table.slice(rows.start % size, len(rows))
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise damaged(path, error) from error
    expected = table.num_rows if where is not None else notes["rows"] if rows is None else len(rows)
    if table.num_rows != expected or (names is not None and table.column_names != names):
        raise damaged(path, f"{table.num_rows} rows of {table.column_names}")
    return table


def damaged(path: Path, why: object) -> DamagedFileError:
    """Returns the error of a damaged table, which names the command that makes it again."""
    reason = str(why).splitlines()[0][:200] if str(why) else type(why).__name__
    return DamagedFileError(f"{path} is damaged ({reason}); make it again with {_command(path)}")


def _can_hold(group: pq.RowGroupMetaData, column: str, value: int) -> bool:
    for i in range(group.num_columns):
        if (chunk := group.column(i)).path_in_schema == column and chunk.is_stats_set:
            return not chunk.statistics.has_min_max or chunk.statistics.min <= value <= chunk.statistics.max
    return True


def _open(path: Path) -> tuple[pq.ParquetFile, dict[str, Any]]:
    try:
        file = pq.ParquetFile(pa.memory_map(str(path)), page_checksum_verification=True)
        notes = json.loads((file.metadata.metadata or {})[b"interdash"])
        version, _ = int(notes["format"]), int(notes["rows"])
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no {path}; make it with {_command(path)}") from None
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise damaged(path, error) from error
    if version != FORMAT:
        raise DamagedFileError(
            f"{path} has format {version}, this version of interdash reads format {FORMAT}; "
            f"make it again with {_command(path)}"
        )
    return file, notes


def _command(path: Path) -> str:
    folder = next((folder for folder in path.parents if folder.name in ("parts", "labels")), None)
    return f"`interdash extract {folder.parent.name if folder else 'RUN'}`"
