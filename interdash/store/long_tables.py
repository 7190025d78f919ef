"""The long tables, read from a run's labels when a question asks for some of their rows. No torch, no DuckDB.

A run of 200 epochs and 1,000 samples has 13 million salient interactions, and a page looks at one sample, or one epoch.
The dashboard's store (`open_store(lazy=True)`) therefore holds only the short tables, from which every curve and map is
drawn; the tables of `DETAILS` stay in their Parquet files. A query says which of them it reads, and its parameters say
which rows (`Store.ask(…, details=…)`): the row groups that can hold them are read and given to that one query under the
table's name; a query that does not say so meets no such table, and raises. How many salient rows lie on the disk thus
matters neither to the server's memory nor to the time until the first chart. Of a run with a sealed file (see
`database`), these rows, and those of `sample_epochs`, come from that file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from interdash.runs.tables import read_table

WHOLE = ("lives", "life_sums", "patterns")  # one file of the whole run each; the others: of a network and epoch
DETAILS = ("interactions", "sample_orders", "sample_removals", *WHOLE)
SAMPLE_EPOCHS = "sample_epochs"  # in the store, but for a run with a sealed file (see `database`): there only
LONG = (*DETAILS, SAMPLE_EPOCHS)  # what a question must ask for


@dataclass(frozen=True)
class Rows:
    """Which rows of a long table a question needs; None = all networks, epochs, samples, start epochs or patterns."""

    table: str
    run: str
    network: str | None = None
    epoch: int | None = None
    sample: int | None = None
    start: int | None = None  # of `life_sums`
    pattern: int | None = None  # of `patterns`

    def within(self, network: str, epoch: int) -> bool:
        """Returns whether the labels of a network and epoch can hold such rows."""
        return self.network in (None, network) and self.epoch in (None, epoch)


def rows_of(table: str, parameters: Sequence[Any] | dict[str, Any]) -> Rows:
    """Returns the rows of a long table that a question's parameters ask for: by run, network, epoch and sample.

    >>> rows_of("interactions", {"run": "mnist", "sample": 7, "limit": 20})
    Rows(table='interactions', run='mnist', network=None, epoch=None, sample=7, start=None, pattern=None)

    Raises:
        ValueError: the table is none of `LONG`, or there is no parameter named run.
    """
    if table not in LONG:
        raise ValueError(f"{table!r} is no long table; details are of {', '.join(LONG)}")
    if not isinstance(parameters, dict) or "run" not in parameters:
        raise ValueError(f"rows of {table} are those of a run; name the parameters ($run), run among them")
    names = ("run", "sample", "start", "pattern") if table in WHOLE else ("run", "network", "epoch", "sample")
    return Rows(table, **{name: parameters[name] for name in names if name in parameters})


def read_details(folder: Path, rows: Rows) -> pa.Table:
    """Returns the rows asked for from one folder of labels, with the columns run, network and epoch.

    Raises:
        DamagedFileError: the file is truncated or altered; the message names it.
        FileNotFoundError: it is gone, replaced by newer labels perhaps.
    """
    values = {name: getattr(rows, name) for name in ("start", "pattern", "sample")}
    column, value = next(((name, value) for name, value in values.items() if value is not None), ("sample", None))
    read = _read if value is None else _kept  # a whole epoch is too large to keep
    return read(folder, rows.table, rows.run, column, value)


def split_name(what: str) -> tuple[str, int]:
    """Returns network and epoch of a label unit.

    >>> split_name("baseline-0-00064")
    ('baseline-0', 64)
    """
    network, _, epoch = what.rpartition("-")
    return network, int(epoch)


def together(tables: Iterable[pa.Table]) -> pa.Table:
    """Returns tables of the same columns as one; a column may have no value at all in some of them."""
    return pa.concat_tables(tables, promote_options="permissive")


def _read(folder: Path, table: str, run: str, column: str, value: int | None) -> pa.Table:
    rows = read_table(folder / f"{table}.parquet", where=None if value is None else (column, value))
    if value is not None:
        rows = rows.filter(pa.array(rows[column].to_numpy() == value))
    first = [("run", run)]
    if table not in WHOLE:
        network, epoch = split_name(folder.name.rpartition("-")[0])
        first = [("epoch", pa.scalar(epoch, pa.int32())), ("network", network), *first]
    for name, same in first:
        rows = rows.add_column(0, name, pa.repeat(same, rows.num_rows))
    return rows


_kept = lru_cache(maxsize=2048)(_read)  # all epochs of the last samples looked at; no folder changes under its name
