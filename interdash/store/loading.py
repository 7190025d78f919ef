"""Loading: from a run's labels into a store, each label unit in one transaction; sealing: into a file. No torch.

`refresh` loads new label units with their keys, so that a reader sees all rows of a unit or none. `seal` writes a run
into a `.duckdb` file, all tables whole.
"""

import json
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from interdash.runs.boundaries import baseline_boundaries, boundaries
from interdash.runs.files import DamagedFileError, draft
from interdash.runs.recorded_measures import sample_rows
from interdash.runs.run import Run
from interdash.runs.tables import read_notes, read_table
from interdash.store.database import ADDED, FACTS, OF_A_RUN, TABLES, Store, open_sealed
from interdash.store.long_tables import LONG, Rows, split_name

SETTLED_NS = 2_000_000_000  # a folder that did not change for this long is looked at no more until it does
STORAGE_VERSION = "v1.0.0"  # of sealed files: DuckDB 1.4 and later read it
OF_LABELS = {"measures": " AND source = 'interactions'"}  # the others come with the losses
BATCH = 20  # label units in one transaction: a commit compresses what it writes, which costs as much for one


def refresh(store: Store, run: Run) -> int:
    """Returns how many label units were loaded: those of the run that are new or changed since the last time.

    A damaged unit is named in `problems[run.name]` and passed over; rows of units that are gone are deleted. Cheap
    where nothing happened: three time stamps are looked at.
    """
    now = time.time_ns()
    places = (run.labels_dir, run.path / "run.json", run.path / "metrics.jsonl")
    stamps = tuple(_changed_at(path) for path in places)
    with store.lock:
        if store.seen.get(run.name) == stamps:
            return 0
        count = _refresh(store, run)
        if now - max(stamps) > SETTLED_NS:  # else a change in the same tick of the clock would go unnoticed
            store.seen[run.name] = stamps
        return count


def drop(store: Store, name: str) -> None:
    """Deletes the rows of a run."""
    with store.lock, store.transaction() as cursor:
        for table in (*TABLES, "loaded"):
            cursor.execute(f"DELETE FROM {store.place(table)} WHERE run = ?", [name])
        store.problems.pop(name, None)
        store.seen.pop(name, None)
        store.sealed.pop(name, None)


def seal(run: Run, path: Path) -> Path:
    """Returns the `.duckdb` file with all tables of one run, written in one step over an older one.

    Raises:
        DamagedFileError: a label unit is damaged; the message names it.
        OSError: the disk is full.
    """
    store = Store(duckdb.connect(":memory:"), "sealed")
    try:
        with draft(path) as place:
            try:
                store.connection.execute(f"ATTACH '{_quoted(place)}' AS sealed (STORAGE_VERSION '{STORAGE_VERSION}')")
                store.create()
                store.describe()
                refresh(store, run)
                if problems := store.problems.get(run.name):
                    raise DamagedFileError(problems[0])
                store.connection.execute("DETACH sealed")  # writes the checkpoint
            finally:
                store.close()
                place.with_name(f"{place.name}.wal").unlink(missing_ok=True)
    except duckdb.Error as error:
        raise OSError(
            f"could not write {path}: {str(error).splitlines()[0]}; is the disk full or the folder read-only? "
            "--output names another place"
        ) from error
    return path


def _changed_at(path: Path) -> int:
    """Returns when a file or a folder's list of files last changed, in nanoseconds; 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _refresh(store: Store, run: Run) -> int:
    name = run.name
    store.labels[name] = run.labels_dir
    _load_run(store, run)
    with store.cursor() as cursor:
        loaded = dict(cursor.execute("SELECT what, key FROM loaded WHERE run = ?", [name]).fetchall())
    folders = {folder.name.rpartition("-")[0]: folder for folder in sorted(run.labels_dir.glob("[a-z]*-*"))}
    keys = {what: folder.name for what, folder in folders.items()}
    if store.lazy and loaded != keys and _load_sealed(store, run, keys):
        return len(keys)
    if loaded != keys and store.sealed.pop(name, None):  # the labels have changed since
        with store.transaction() as cursor:
            _forget(store, cursor, name)
        loaded = {}
    problems, count = [], 0
    for what in loaded.keys() - folders.keys():
        with store.transaction() as cursor:
            _forget(store, cursor, name, what)
    new = [(what, folder) for what, folder in folders.items() if loaded.get(what) != folder.name]
    for first in range(0, len(new), BATCH):
        read = []
        for what, folder in new[first : first + BATCH]:
            try:
                read.append((what, folder, *_read_folder(store, folder)))
            except FileNotFoundError as error:
                if folder.exists():  # else replaced by a newer one while we looked: the next refresh finds that
                    older = f"labels {folder} lack {Path(str(error).split(';')[0]).name}, made by an older interdash"
                    problems.append(f"{older}; make them again with `interdash extract {name}`")
            except DamagedFileError as error:
                problems.append(str(error))
        with store.transaction() as cursor:
            for what, _, _, _ in read:
                if what in loaded:
                    _forget(store, cursor, name, what)
            _insert(store, cursor, name, [(tables, notes) for _, _, tables, notes in read])
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
    store.sealed[run.name] = sealed
    with store.transaction() as cursor:
        _forget(store, cursor, run.name)
        for table in {*OF_A_RUN, *store.facts, "loaded"} - {*LONG}:
            cursor.register("rows", sealed.select(Rows(table, run.name)))
            cursor.execute(f"INSERT INTO {table} BY NAME FROM rows WHERE true{OF_LABELS.get(table, '')}")
            cursor.unregister("rows")
    store.problems[run.name] = []
    return True


def _insert(
    store: Store, cursor: duckdb.DuckDBPyConnection, name: str, units: list[tuple[dict[str, pa.Table], dict[str, Any]]]
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
        cursor.execute(f"INSERT INTO {store.place(table)} BY NAME SELECT ? AS run, * FROM rows", [name])
        cursor.unregister("rows")


def _read_folder(store: Store, folder: Path) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    what = folder.name.rpartition("-")[0]
    tables = [what] if what in OF_A_RUN else store.facts
    here = [table for table in tables if table not in lacking(folder) and store.holds(table)]
    read = {table: read_table(folder / f"{table}.parquet") for table in here}
    return read, read_notes(folder / f"{tables[0]}.parquet")


def lacking(folder: Path) -> set[str]:
    """Returns the tables that a folder of labels was written without, by an older version."""
    try:
        written = read_notes(folder / "networks.parquet").get("tables", FACTS)
    except (DamagedFileError, FileNotFoundError):
        return set()
    return {*ADDED}.difference(written)


def _forget(store: Store, cursor: duckdb.DuckDBPyConnection, run: str, what: str | None = None) -> None:
    """Deletes the rows of one label unit: of a table of the whole run, or of "<network>-<epoch>"; None = of all."""
    for table in OF_A_RUN if what is None else {what}.intersection(OF_A_RUN):
        cursor.execute(f"DELETE FROM {store.place(table)} WHERE run = ?", [run])
    for table in store.facts if what not in OF_A_RUN else ():
        network, epoch = (None, None) if what is None else split_name(what)
        where = f"run = $1 AND ($2 IS NULL OR (network = $2 AND epoch = $3)){OF_LABELS.get(table, '')}"
        cursor.execute(f"DELETE FROM {store.place(table)} WHERE {where}", [run, network, epoch])
    cursor.execute("DELETE FROM loaded WHERE run = $1 AND ($2 IS NULL OR what = $2)", [run, what])


def _load_run(store: Store, run: Run) -> None:
    """Replaces the rows of `runs`, `metrics`, `phases`, and measures of networks: few, and new while a run records."""
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
        cursor.execute("DELETE FROM measures WHERE run = ? AND source <> 'interactions'", [run.name])
        cursor.register("rows", pa.Table.from_pandas(run.measures(), preserve_index=False))
        cursor.execute("INSERT INTO measures BY NAME SELECT ? AS run, * FROM rows", [run.name])
        cursor.unregister("rows")
        cursor.execute("DELETE FROM sample_gradients WHERE run = ?", [run.name])
        cursor.register("rows", pa.Table.from_pandas(sample_rows(run.gradients()), preserve_index=False))
        cursor.execute("INSERT INTO sample_gradients BY NAME SELECT ? AS run, * FROM rows", [run.name])
        cursor.unregister("rows")
        for table, rows in (("phases", boundaries(manifest)), ("baseline_phases", baseline_boundaries(manifest))):
            cursor.execute(f"DELETE FROM {table} WHERE run = ?", [run.name])
            for row in rows:
                cursor.execute(f"INSERT INTO {table} BY NAME SELECT ? AS run, unnest(?)", [run.name, row])


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
