"""The tables that the dashboard asks: the only module that opens DuckDB. No torch.

The Parquet labels of a run (see `labelling`) are the truth; a store is loaded from them. The dashboard's process owns
one in memory, compressed, which `refresh` brings up to date: new label units with their keys in one transaction, so
that a reader sees all of its rows or none. It is lazy: the long tables stay in the files, see `details`. Every query
has a cursor of its own: a connection shared by threads gives wrong rows. `seal` writes a run into a `.duckdb` file, all
tables whole, for anyone's own SQL, and for the dashboard: where that file holds what the labels hold, a lazy store
copies the short tables from it and asks it for the long ones, which no longer depends on the number of epochs.
"""

import json
import os
import secrets
import threading
import time
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

from interdash.boundaries import boundaries
from interdash.details import DETAILS, SAMPLE_EPOCHS, Rows, read_details, split_name, together
from interdash.files import DamagedFileError
from interdash.parts import read_notes, read_table
from interdash.runs import Run

SCHEMA = 3  # raised when schema.sql changes
SETTLED_NS = 2_000_000_000  # a folder that did not change for this long is looked at no more until it does
STORAGE_VERSION = "v1.0.0"  # of sealed files: DuckDB 1.4 and later read it
FACTS = (
    *("networks", "units", "sample_epochs", "interactions", "sample_orders", "order_strengths", "strengths"),
    *("removals", "sample_removals", "order_similarities", "order_fits"),
)
OF_A_RUN = ("samples", "robustness")  # label units of a whole run, one table each; others: of a network and epoch
TABLES = ("runs", "metrics", "phases", *OF_A_RUN, *FACTS)
READERS = min(4, os.cpu_count() or 1)  # threads that read the files of one sample: one for each epoch, 2 ms each
BATCH_ROWS = 100_000  # exported at a time
SEALED: dict[str, Any] = {"memory_limit": "512MB", "enable_external_access": False, "lock_configuration": True}
BATCH = 20  # label units in one transaction: a commit compresses what it writes, which costs as much for one


@dataclass
class Store:
    """A DuckDB with the tables of `schema.sql`. Made by `open_store` or `open_sealed`."""

    connection: duckdb.DuckDBPyConnection
    database: str  # the attached database that holds the tables
    lazy: bool = False  # whether the long tables stay in the files, for `ask` to read what a question needs
    problems: dict[str, list[str]] = field(default_factory=dict)  # by run: label units that could not be loaded
    _lock: threading.Lock = field(default_factory=threading.Lock)  # one writer at a time
    _seen: dict[str, tuple[int, ...]] = field(default_factory=dict)  # by run: what its folder looked like
    _labels: dict[str, Path] = field(default_factory=dict)  # by run: where its labels lie
    _sealed: dict[str, "Store"] = field(default_factory=dict)  # by run: the file that has its long tables

    def ask(
        self, sql: str, parameters: Sequence[Any] | dict[str, Any] = (), *, details: Sequence[Rows] = ()
    ) -> pd.DataFrame:
        """Returns the rows of one query, on a cursor of its own; values go into `parameters`, never into the SQL.

        Args:
            sql: the query.
            parameters: its values.
            details: which rows of the long tables it needs, for a lazy store.

        Raises:
            DamagedFileError: the only file with such rows is damaged. One of several is passed over and named in
                `problems`.
        """
        with self.cursor() as cursor:
            for table in dict.fromkeys(rows.table for rows in details) if self.lazy else ():
                wanted = [rows for rows in dict.fromkeys(details) if rows.table == table]
                if table == SAMPLE_EPOCHS and not any(rows.run in self._sealed for rows in wanted):
                    continue  # they are here
                if found := [read for rows in wanted for read in self._read(cursor, rows)]:
                    cursor.register(table, together(found))  # for this cursor alone, in place of the empty table
            return cursor.execute(sql, parameters).df()

    def _read(self, cursor: duckdb.DuckDBPyConnection, rows: Rows) -> Iterator[pa.Table]:
        """Yields rows of a long table: from the sealed file of the run, or from one label unit after the other."""
        if sealed := self._sealed.get(rows.run):
            yield sealed._select(rows)
            return
        loaded = cursor.execute("SELECT what, key FROM loaded WHERE run = ? ORDER BY what", [rows.run]).fetchall()
        keys = [key for what, key in loaded if what not in OF_A_RUN and rows.within(*split_name(what))]

        def read(key: str) -> pa.Table | Exception:
            try:
                return read_details(self._labels[rows.run] / key, rows)
            except (DamagedFileError, FileNotFoundError) as error:
                return error

        ahead = rows.sample is not None and len(keys) > 1  # whole epochs are too large to hold several of them
        for found in _readers.map(read, keys) if ahead else map(read, keys):
            if isinstance(found, pa.Table):
                yield found
            elif len(keys) == 1:
                raise found
            elif str(found) not in self.problems[rows.run]:
                self.problems[rows.run].append(str(found))

    def _select(self, rows: Rows) -> pa.Table:
        """Returns rows of a table that is whole."""
        chosen = {name: value for name, value in vars(rows).items() if name != "table" and value is not None}
        with self.cursor() as cursor:
            where = " AND ".join(f"{name} = ?" for name in chosen)
            found = cursor.sql(f"FROM {rows.table} WHERE {where}", params=list(chosen.values()))
            return found.to_arrow_table()

    def rows(self, cursor: duckdb.DuckDBPyConnection, table: str) -> Iterator[pa.Table]:
        """Yields all rows of a table, some at a time; the long ones of a lazy store from their files."""
        if self.lazy and table in DETAILS:
            for (run,) in cursor.execute("SELECT run FROM runs ORDER BY run").fetchall():
                if run not in self._sealed:
                    yield from self._read(cursor, Rows(table, run))
        else:
            for batch in cursor.sql(f"FROM {table}").to_arrow_reader(BATCH_ROWS):
                yield pa.Table.from_batches([batch])
        if table in (*DETAILS, SAMPLE_EPOCHS):
            for sealed in list(self._sealed.values()):
                with sealed.cursor() as its:
                    yield from sealed.rows(its, table)

    def fetch(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Returns the rows of one query as tuples; see `ask`."""
        with self.cursor() as cursor:
            return cursor.execute(sql, parameters).fetchall()

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

    def refresh(self, run: Run) -> int:
        """Returns how many label units were loaded: those of the run that are new or changed since the last time.

        A damaged unit is named in `problems[run.name]` and passed over; rows of units that are gone are deleted. Cheap
        where nothing happened: three time stamps are looked at.
        """
        now = time.time_ns()
        places = (run.labels_dir, run.path / "run.json", run.path / "metrics.jsonl")
        stamps = tuple(_changed_at(path) for path in places)
        with self._lock:
            if self._seen.get(run.name) == stamps:
                return 0
            count = _refresh(self, run)
            if now - max(stamps) > SETTLED_NS:  # else a change in the same tick of the clock would go unnoticed
                self._seen[run.name] = stamps
            return count

    def drop(self, name: str) -> None:
        """Deletes the rows of a run."""
        with self._lock, self.transaction() as cursor:
            for table in (*TABLES, "loaded"):
                cursor.execute(f"DELETE FROM {table} WHERE run = ?", [name])
            self.problems.pop(name, None)
            self._seen.pop(name, None)
            self._sealed.pop(name, None)

    def close(self) -> None:
        """Closes the connection; a store in memory is gone."""
        for sealed in self._sealed.values():
            sealed.close()
        self.connection.close()


def open_store(*, lazy: bool = False) -> Store:
    """Returns an empty store in memory, its tables compressed; `lazy`: without the long tables, as in `details`."""
    connection = duckdb.connect(":memory:")
    connection.execute("ATTACH ':memory:' AS store (COMPRESS)")
    store = Store(connection, "store", lazy)
    _create(store)
    connection.execute("SET enable_external_access = false")  # shuts files and the network out of SQL, for good
    connection.execute("SET lock_configuration = true")
    return store


def open_sealed(path: Path) -> Store:
    """Returns a store on a file that `seal` wrote, read-only.

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
        found = int(row[0]) if row else None
    except (duckdb.Error, ValueError) as error:
        if connection is not None:
            connection.close()
        reason = str(error).splitlines()[0]
        raise DamagedFileError(f"{path} is damaged ({reason}); make it again with `interdash load RUN`") from error
    if found != SCHEMA:
        connection.close()
        raise DamagedFileError(
            f"{path} has schema {found}, this version of interdash reads schema {SCHEMA}; "
            "make it again with `interdash load RUN`"
        )
    name = connection.execute("SELECT current_database()").fetchall()[0][0]
    return Store(connection, f'"{name}"')


def seal(run: Run, path: Path) -> Path:
    """Returns the `.duckdb` file with all tables of one run, written in one step over an older one.

    Raises:
        DamagedFileError: a label unit is damaged; the message names it.
        OSError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.draft")
    store = Store(duckdb.connect(":memory:"), "sealed")
    try:
        store.connection.execute(f"ATTACH '{_quoted(draft)}' AS sealed (STORAGE_VERSION '{STORAGE_VERSION}')")
        _create(store)
        store.refresh(run)
        if problems := store.problems.get(run.name):
            raise DamagedFileError(problems[0])
        store.connection.execute("DETACH sealed")  # writes the checkpoint
        store.close()
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
    except duckdb.Error as error:
        raise OSError(
            f"could not write {path}: {str(error).splitlines()[0]}; is the disk full or the folder read-only? "
            "--output names another place"
        ) from error
    finally:
        store.close()
        draft.unlink(missing_ok=True)
        draft.with_name(f"{draft.name}.wal").unlink(missing_ok=True)
    return path


def _create(store: Store) -> None:
    with store.transaction() as cursor:
        cursor.execute(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"))
        cursor.execute("INSERT INTO meta VALUES ('schema', ?), ('interdash', ?)", [str(SCHEMA), version("interdash")])


def _changed_at(path: Path) -> int:
    """Returns when a file or a folder's list of files last changed, in nanoseconds; 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _refresh(store: Store, run: Run) -> int:
    name = run.name
    store._labels[name] = run.labels_dir
    _load_run(store, run)
    with store.cursor() as cursor:
        loaded = dict(cursor.execute("SELECT what, key FROM loaded WHERE run = ?", [name]).fetchall())
    found = {folder.name.rpartition("-")[0]: folder for folder in sorted(run.labels_dir.glob("[a-z]*-*"))}
    keys = {what: folder.name for what, folder in found.items()}
    if store.lazy and loaded != keys and _load_sealed(store, run, keys):
        return len(keys)
    if loaded != keys and store._sealed.pop(name, None):  # the labels have changed since
        with store.transaction() as cursor:
            _forget(cursor, name)
        loaded = {}
    problems, count = [], 0
    for what in loaded.keys() - found.keys():
        with store.transaction() as cursor:
            _forget(cursor, name, what)
    new = [(what, folder) for what, folder in found.items() if loaded.get(what) != folder.name]
    for first in range(0, len(new), BATCH):
        read = []
        for what, folder in new[first : first + BATCH]:
            try:
                read.append((what, folder, *_read_folder(folder, store.lazy)))
            except FileNotFoundError as error:
                if folder.exists():  # else replaced by a newer one while we looked: the next refresh finds that
                    older = f"labels {folder} lack {Path(str(error).split(';')[0]).name}, made by an older interdash"
                    problems.append(f"{older}; make them again with `interdash extract {name}`")
            except DamagedFileError as error:
                problems.append(str(error))
        with store.transaction() as cursor:
            for what, _, _, _ in read:
                if what in loaded:
                    _forget(cursor, name, what)
            _insert(cursor, name, [(tables, notes) for _, _, tables, notes in read])
            for what, folder, _, _ in read:
                cursor.execute("INSERT INTO loaded VALUES (?, ?, ?)", [name, what, folder.name])
        count += len(read)
    store.problems[name] = problems
    return count


def _load_sealed(store: Store, run: Run, keys: dict[str, str]) -> bool:
    """Returns whether the run's sealed file holds just these labels; then its short tables are copied from it."""
    try:
        sealed = open_sealed(run.path / f"{run.name}.duckdb")
    except (FileNotFoundError, DamagedFileError):  # `verify` and `doctor` name a damaged one
        return False
    if dict(sealed.fetch("SELECT what, key FROM loaded WHERE run = ?", [run.name])) != keys:
        sealed.close()
        return False
    store._sealed[run.name] = sealed
    with store.transaction() as cursor:
        _forget(cursor, run.name)
        for table in {*OF_A_RUN, *FACTS, "loaded"} - {*DETAILS, SAMPLE_EPOCHS}:
            cursor.register("rows", sealed._select(Rows(table, run.name)))
            cursor.execute(f"INSERT INTO {table} BY NAME FROM rows")
            cursor.unregister("rows")
    store.problems[run.name] = []
    return True


def _insert(
    cursor: duckdb.DuckDBPyConnection, name: str, units: list[tuple[dict[str, pa.Table], dict[str, Any]]]
) -> None:
    """Inserts the tables of some label units, all units of one table together."""
    parts: dict[str, list[pa.Table]] = {}
    for tables, notes in units:
        for table, rows in tables.items():
            if table not in OF_A_RUN:
                epoch = pa.repeat(pa.scalar(notes["epoch"], pa.int32()), rows.num_rows)
                rows = rows.append_column("network", pa.repeat(notes["network"], rows.num_rows))
                rows = rows.append_column("epoch", epoch)
            parts.setdefault(table, []).append(rows)
    for table, rows in parts.items():
        cursor.register("rows", pa.concat_tables(rows, promote_options="default"))
        cursor.execute(f"INSERT INTO {table} BY NAME SELECT ? AS run, * FROM rows", [name])
        cursor.unregister("rows")


def _read_folder(folder: Path, lazy: bool) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    what = folder.name.rpartition("-")[0]
    tables = (what,) if what in OF_A_RUN else [table for table in FACTS if not (lazy and table in DETAILS)]
    read = {table: read_table(folder / f"{table}.parquet") for table in tables}
    return read, read_notes(folder / f"{tables[0]}.parquet")


def _forget(cursor: duckdb.DuckDBPyConnection, run: str, what: str | None = None) -> None:
    """Deletes the rows of one label unit: of a table of the whole run, or of "<network>-<epoch>"; None = of all."""
    for table in OF_A_RUN if what is None else {what}.intersection(OF_A_RUN):
        cursor.execute(f"DELETE FROM {table} WHERE run = ?", [run])
    for table in FACTS if what not in OF_A_RUN else ():
        network, epoch = (None, None) if what is None else split_name(what)
        where = "run = $1 AND ($2 IS NULL OR (network = $2 AND epoch = $3))"
        cursor.execute(f"DELETE FROM {table} WHERE {where}", [run, network, epoch])
    cursor.execute("DELETE FROM loaded WHERE run = $1 AND ($2 IS NULL OR what = $2)", [run, what])


def _load_run(store: Store, run: Run) -> None:
    """Replaces the rows of `runs`, `metrics` and `phases`, which are small and change while a run records."""
    config, manifest = run.config, run.manifest
    metrics = run.metrics()
    row = [
        *(run.name, config.purpose, config.data.dataset, config.network.architecture, config.masking.kind),
        *(config.masking.n_variables, config.data.n_train, config.data.n_test, config.data.label_noise),
        *(run.class_names, manifest.get("created", ""), json.dumps(config.to_json())),
    ]
    with store.transaction() as cursor:
        cursor.execute("DELETE FROM runs WHERE run = ?", [run.name])
        cursor.execute(f"INSERT INTO runs VALUES ({', '.join('?' * len(row))})", row)
        cursor.execute("DELETE FROM metrics WHERE run = ?", [run.name])
        cursor.register("rows", pa.Table.from_pandas(metrics, preserve_index=False))
        cursor.execute("INSERT INTO metrics BY NAME SELECT ? AS run, * FROM rows", [run.name])
        cursor.unregister("rows")
        cursor.execute("DELETE FROM phases WHERE run = ?", [run.name])
        for boundary in boundaries(manifest):
            cursor.execute("INSERT INTO phases BY NAME SELECT ? AS run, unnest(?)", [run.name, boundary])


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


_readers = ThreadPoolExecutor(READERS)
