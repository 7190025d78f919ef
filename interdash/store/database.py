"""The tables that the dashboard asks: a DuckDB in memory, or a sealed file. No torch.

The Parquet labels of a run (see `labelling`) are the truth; a store is loaded from them (see `loading`). The
dashboard's process owns one in memory, compressed. It is lazy: the long tables stay in the files (see `long_tables`),
and a question names those that it reads. Every query has a cursor of its own: a connection shared by threads gives
wrong rows. A sealed file has all tables whole, for anyone's own SQL, and for the dashboard: where that file holds what
the labels hold, a lazy store copies the short tables from it and asks it for the long ones, which no longer depends on
the number of epochs.
"""

import os
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from interdash.runs.files import DamagedFileError
from interdash.store.long_tables import DETAILS, LONG, SAMPLE_EPOCHS, Rows, read_details, rows_of, split_name, together

SCHEMA = 6  # raised when schema.sql changes
FACTS = (
    *("networks", "units", "sample_epochs", "interactions", "sample_orders", "order_strengths", "strengths"),
    *("removals", "sample_removals", "order_similarities", "order_fits", "measures", "baseline_strengths"),
)
ADDED = ("measures", "baseline_strengths")  # which labels of an older version lack
# Label units of a whole run, one table each; others: of a network and epoch.
OF_A_RUN = (
    *("samples", "robustness", "flows", "baseline_flows", "lives", "life_sums", "life_epochs", "patterns"),
    *("predictions", "predicted_orders", "layers", "layer_orders", "information"),
)
TABLES = ("runs", "metrics", "phases", "baseline_phases", "sample_gradients", *OF_A_RUN, *FACTS)
READERS = min(4, os.cpu_count() or 1)  # threads that read the files of one sample: one for each epoch, 2 ms each
BATCH_ROWS = 100_000  # exported at a time
COMMENT = re.compile(r"^COMMENT ON (?:[^']|'[^']*')*?;\n", re.MULTILINE)  # in schema.sql
SEALED: dict[str, Any] = {"memory_limit": "512MB", "enable_external_access": False, "lock_configuration": True}


@dataclass(eq=False)
class Store:
    """A DuckDB with the tables of `schema.sql`. Made by `open_store` or `open_sealed`."""

    connection: duckdb.DuckDBPyConnection
    database: str  # the attached database that holds the tables
    lazy: bool = False  # whether the long tables stay in the files, for `ask` to read what a question needs
    problems: dict[str, list[str]] = field(default_factory=dict)  # by run: label units that could not be loaded
    lock: threading.Lock = field(default_factory=threading.Lock)  # one writer at a time
    seen: dict[str, tuple[int, ...]] = field(default_factory=dict)  # by run: what its folder looked like
    labels: dict[str, Path] = field(default_factory=dict)  # by run: where its labels lie
    sealed: dict[str, "Store"] = field(default_factory=dict)  # by run: the file that has its long tables

    def ask(
        self, sql: str, parameters: Sequence[Any] | dict[str, Any] = (), *, details: Sequence[str | Rows] = ()
    ) -> pd.DataFrame:
        """Returns the rows of one query, on a cursor of its own; values go into `parameters`, never into the SQL.

        Args:
            sql: the query.
            parameters: its values.
            details: the long tables that it reads, for a lazy store: of each the rows of the parameters named run,
                network, epoch and sample, as far as there are such; or `Rows`.

        Raises:
            DamagedFileError: the only file with such rows is damaged. One of several is passed over and named in
                `problems`.
            ValueError: the store is lazy, and the query reads a long table that `details` lacks.
        """
        with self.cursor() as cursor:
            if self.lazy and details:
                wanted = [rows if isinstance(rows, Rows) else rows_of(rows, parameters) for rows in details]
                for table in dict.fromkeys(rows.table for rows in wanted):
                    self._provide(cursor, table, [rows for rows in dict.fromkeys(wanted) if rows.table == table])
            return self._execute(cursor, sql, parameters).df()

    def fetch(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Returns the rows of one query as tuples; see `ask`."""
        with self.cursor() as cursor:
            return self._execute(cursor, sql, parameters).fetchall()

    def _execute(
        self, cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] | dict[str, Any]
    ) -> duckdb.DuckDBPyConnection:
        try:
            return cursor.execute(sql, parameters)
        except duckdb.CatalogException as error:
            for table in LONG if self.lazy else ():
                if f"name {table} " in str(error):
                    raise ValueError(
                        f"a lazy store has no table {table}: its rows are read for a question that asks for them; "
                        f"pass details=({table!r},) and the run among named parameters"
                    ) from error
            raise

    def _provide(self, cursor: duckdb.DuckDBPyConnection, table: str, wanted: Sequence[Rows]) -> None:
        """Gives a cursor, and no other, a long table with the rows wanted, under the table's name."""
        if table == SAMPLE_EPOCHS and not any(rows.run in self.sealed for rows in wanted):
            cursor.execute(f"CREATE TEMP VIEW {table} AS FROM {self.place(table)}")
            return
        nothing = cursor.sql(f"FROM {self.place(table)} LIMIT 0").to_arrow_table()
        loaded = {run: self._loaded(cursor, run) for run in {rows.run for rows in wanted}}
        read = [part for rows in wanted for part in self._read(rows, loaded[rows.run], nothing.schema)]
        cursor.register(table, together(read) if read else nothing)

    def _loaded(self, cursor: duckdb.DuckDBPyConnection, run: str) -> list[tuple[str, str]]:
        return cursor.execute("SELECT what, key FROM loaded WHERE run = ? ORDER BY what", [run]).fetchall()

    def _read(self, rows: Rows, loaded: list[tuple[str, str]], columns: pa.Schema) -> Iterator[pa.Table]:
        """Yields rows of a long table: from the sealed file of the run, or from one label unit after the other."""
        if rows.run in self.sealed or rows.table == SAMPLE_EPOCHS:
            yield self.sealed.get(rows.run, self).select(rows)
            return
        if rows.table in OF_A_RUN:
            keys = [key for what, key in loaded if what == rows.table]
        else:
            keys = [key for what, key in loaded if what not in OF_A_RUN and rows.within(*split_name(what))]

        def read(key: str) -> pa.Table | Exception:
            try:
                return read_details(self.labels[rows.run] / key, rows)
            except (DamagedFileError, FileNotFoundError) as error:
                return error

        ahead = rows.sample is not None and len(keys) > 1  # whole epochs are too large to hold several of them
        for part in _readers.map(read, keys) if ahead else map(read, keys):
            if isinstance(part, pa.Table):
                yield _completed(part, columns)
            elif len(keys) == 1:
                raise part
            elif str(part) not in self.problems[rows.run]:
                self.problems[rows.run].append(str(part))

    def select(self, rows: Rows) -> pa.Table:
        """Returns rows of a table that this store holds."""
        values = {name: value for name, value in vars(rows).items() if name != "table" and value is not None}
        with self.cursor() as cursor:
            where = " AND ".join(f"{name} = ?" for name in values)
            relation = cursor.sql(f"FROM {self.place(rows.table)} WHERE {where}", params=list(values.values()))
            return relation.to_arrow_table()

    def rows(self, cursor: duckdb.DuckDBPyConnection, table: str) -> Iterator[pa.Table]:
        """Yields all rows of a table, some at a time; the long ones of a lazy store from their files."""
        if self.lazy and table in DETAILS:
            columns = cursor.sql(f"FROM {self.place(table)} LIMIT 0").to_arrow_table().schema
            for (run,) in cursor.execute("SELECT run FROM runs ORDER BY run").fetchall():
                loaded = self._loaded(cursor, run)
                for part in [] if run in self.sealed else self._read(Rows(table, run), loaded, columns):
                    yield from (part.slice(first, BATCH_ROWS) for first in range(0, len(part), BATCH_ROWS))
        else:
            for batch in cursor.sql(f"FROM {self.place(table)}").to_arrow_reader(BATCH_ROWS):
                yield pa.Table.from_batches([batch])
        if table in LONG:
            for sealed in list(self.sealed.values()):
                with sealed.cursor() as its:
                    yield from sealed.rows(its, table)

    def place(self, table: str) -> str:
        """Returns the name of a table in SQL; the long ones of a lazy store lie aside, where no question meets them."""
        return f"aside.{table}" if self.lazy and table in LONG else table

    @property
    def facts(self) -> list[str]:
        """Those of `FACTS` whose rows this store holds."""
        return [table for table in FACTS if self.holds(table)]

    def holds(self, table: str) -> bool:
        """Returns whether this store holds the rows of a table, which else stay in the labels' files."""
        return not (self.lazy and table in DETAILS)

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yields a cursor of its own on the tables; a cursor does not inherit the connection's choice of database."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"USE {self.database}")
            yield cursor

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yields a cursor whose statements take effect together, or not at all."""
        with self.cursor() as cursor:
            cursor.begin()
            try:
                yield cursor
            except BaseException:
                cursor.rollback()
                raise
            cursor.commit()

    def _schema(self) -> str:
        sql = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
        return re.sub(rf"\b(TABLE|COLUMN) ({'|'.join(LONG)})\b", r"\1 aside.\2", sql) if self.lazy else sql

    def describe(self) -> None:
        """Gives tables and columns their comments, with units."""
        with self.transaction() as cursor:
            cursor.execute("".join(COMMENT.findall(self._schema())))

    def create(self) -> None:
        """Makes the tables, empty, without their comments: no question needs them, and they take 0.1 of 0.12 s."""
        with self.transaction() as cursor:
            cursor.execute("CREATE SCHEMA aside;" * self.lazy + COMMENT.sub("", self._schema()))
            row = [str(SCHEMA), version("interdash")]
            cursor.execute("INSERT INTO meta VALUES ('schema', ?), ('interdash', ?)", row)

    def close(self) -> None:
        """Closes the connection; a store in memory is gone."""
        for sealed in self.sealed.values():
            sealed.close()
        self.connection.close()


def open_store(*, lazy: bool = False) -> Store:
    """Returns an empty store in memory, its tables compressed; `lazy`: without the long tables, as in `details`."""
    connection = duckdb.connect(":memory:")
    connection.execute("ATTACH ':memory:' AS store (COMPRESS)")
    store = Store(connection, "store", lazy)
    store.create()
    connection.execute("SET enable_external_access = false")  # shuts files and the network out of SQL, for good
    connection.execute("SET lock_configuration = true")
    return store


def open_sealed(path: Path) -> Store:
    """Returns a store on a file that `loading.seal` wrote, read-only.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: it is no DuckDB file, or its schema is newer or older than this version's.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}; make it with `interdash load RUN`")
    connection = None
    try:
        connection = duckdb.connect(str(path), read_only=True, config=SEALED)
        row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        schema = int(row[0]) if row else None
    except (duckdb.Error, ValueError) as error:
        if connection is not None:
            connection.close()
        reason = str(error).splitlines()[0]
        raise DamagedFileError(f"{path} is damaged ({reason}); make it again with `interdash load RUN`") from error
    if schema != SCHEMA:
        connection.close()
        raise DamagedFileError(
            f"{path} has schema {schema}, this version of interdash reads schema {SCHEMA}; "
            "make it again with `interdash load RUN`"
        )
    name = connection.execute("SELECT current_database()").fetchall()[0][0]
    return Store(connection, f'"{name}"')


def _completed(rows: pa.Table, columns: pa.Schema) -> pa.Table:
    """Returns rows with null in the columns that labels of an older version lack."""
    for column in columns:
        if column.name not in rows.column_names:
            rows = rows.append_column(column.name, pa.nulls(rows.num_rows, column.type))
    return rows


_readers = ThreadPoolExecutor(READERS)
