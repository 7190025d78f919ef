import shutil
import threading

import duckdb
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from interdash.labelling import label
from interdash.queries import compare, dynamics, removal, sample, vectors
from interdash.runs.files import DamagedFileError
from interdash.runs.parts import part_path
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.state import state
from interdash.runs.tables import read_notes, read_table, write_table
from interdash.store import database as store
from interdash.store import loading, long_tables
from interdash.store.database import TABLES, open_sealed
from interdash.store.export import column_units, export_tables
from interdash.store.loading import drop, refresh, seal
from interdash.store.long_tables import LONG, Rows, rows_of

UNITS = 16  # of labels: samples, two of flows, predictions and layers each, four of lives, information, four networks
ONLY_OF_SOME = ("baseline_phases", "robustness", "baseline_flows")  # of several baselines, or made on demand


@pytest.fixture
def empty(opened):
    return opened(lazy=False)


def counts(some):
    return {table: some.fetch(f"SELECT count(*) FROM {some.place(table)}")[0][0] for table in TABLES}


def test_refresh_loads_every_table_once(empty, labelled_run):
    assert refresh(empty, labelled_run) == UNITS
    first = counts(empty)
    assert first["samples"] == 60 and first["sample_epochs"] == 240 and first["networks"] == 4 and first["units"] == 12
    assert [table for table, count in first.items() if count == 0] == [*ONLY_OF_SOME]
    assert refresh(empty, labelled_run) == 0 and counts(empty) == first
    assert empty.problems == {"tiny": []}


def test_refresh_is_incremental_and_follows_changes(empty, ready_run, labelled_run):
    parked = ready_run.path / "parked"
    folder = next(ready_run.labels_dir.glob("target-00003-*"))
    folder.rename(parked)
    assert refresh(empty, ready_run) == UNITS - 1
    parked.rename(folder)
    assert refresh(empty, ready_run) == 1
    complete = counts(empty)
    changed = folder.with_name("target-00003-0000000000000000")  # other rules: another key for the same epoch
    folder.rename(changed)
    assert refresh(empty, ready_run) == 1 and counts(empty) == complete
    shutil.rmtree(changed)
    assert refresh(empty, ready_run) == 0
    assert empty.fetch("SELECT DISTINCT epoch FROM interactions WHERE network = 'target' ORDER BY 1") == [(0,), (1,)]


def test_refresh_names_damaged_labels_and_serves_the_rest(empty, ready_run):
    path = next(ready_run.labels_dir.glob("target-00001-*")) / "interactions.parquet"
    content = bytearray(path.read_bytes())
    content[40] ^= 4
    path.write_bytes(content)
    assert refresh(empty, ready_run) == UNITS - 1
    assert len(empty.problems["tiny"]) == 1
    assert str(path) in empty.problems["tiny"][0] and "`interdash extract tiny`" in empty.problems["tiny"][0]
    assert empty.fetch("SELECT count(DISTINCT epoch) FROM networks WHERE network = 'target'") == [(2,)]
    label.label(plan(ready_run))
    assert refresh(empty, ready_run) == 1 and empty.problems["tiny"] == []


def test_refresh_of_another_format_names_the_command(empty, ready_run, monkeypatch):
    monkeypatch.setattr("interdash.runs.tables.FORMAT", 2)
    assert refresh(empty, ready_run) == 0
    assert "reads format 2; make it again with `interdash extract tiny`" in empty.problems["tiny"][0]


def test_refresh_of_a_run_without_labels(empty, trained_run):
    assert refresh(empty, trained_run) == 0
    found = counts(empty)
    assert found["runs"] == 1 and found["metrics"] > 4 and found["sample_epochs"] == 0


def test_facts_are_sorted_numbers_have_units_and_units_their_parts(small_store, labelled_run):
    rows = small_store.fetch("SELECT network, epoch, sample, type, subset FROM interactions WHERE network = 'target'")
    assert rows == sorted(rows)
    units = column_units(small_store)
    numbers = units[units["data_type"].isin(["DOUBLE", "FLOAT"])]
    assert numbers["comment"].notna().all()
    assert numbers["comment"].str.contains("nats|share|seconds|salient|epoch|σ²|no unit|sums to n").all()
    names = {name for (name,) in small_store.fetch("SELECT name FROM units")}
    assert names == {unit.name for unit in plan(labelled_run).units}
    assert all(part_path(labelled_run, unit).exists() for unit in plan(labelled_run).units)


def test_drop_removes_one_run(empty, ready_run, labelled_run, tmp_path):
    other = Run(shutil.copytree(ready_run.path, tmp_path / "runs" / "other"))
    refresh(empty, ready_run)
    refresh(empty, other)
    drop(empty, "tiny")
    assert empty.fetch("SELECT DISTINCT run FROM interactions") == [("other",)]
    assert refresh(empty, ready_run) == UNITS


def test_store_refuses_files_and_network(empty, tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for sql in (f"FROM '{tmp_path}/secret.csv'", f"ATTACH '{tmp_path}/x.duckdb'", f"COPY runs TO '{tmp_path}/out.csv'"):
        with pytest.raises(duckdb.Error):
            empty.ask(sql)
    with pytest.raises(duckdb.Error):
        empty.ask("SET enable_external_access = true")
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_hostile_parameters_find_nothing(small_store):
    hostile = ["'; DROP TABLE runs; --", "<script>", "../../etc/passwd", "x" * 100_000, "🐟"]
    for value in hostile:
        assert small_store.ask("SELECT * FROM runs WHERE run = ?", [value]).empty
    assert len(small_store.ask("SELECT * FROM runs")) == 1


def test_seal_writes_a_file_of_its_own(opened, labelled_run, tmp_path):
    path = seal(labelled_run, tmp_path / "odd 'name'.duckdb")
    assert list(tmp_path.iterdir()) == [path]
    sealed, live = open_sealed(path), opened(labelled_run, lazy=False)
    for table in TABLES:
        pd.testing.assert_frame_equal(sealed.ask(f"FROM {table} ORDER BY ALL"), live.ask(f"FROM {table} ORDER BY ALL"))
    with pytest.raises(duckdb.Error, match="read-only"):
        sealed.ask("DELETE FROM runs")
    sealed.close()
    content = path.read_bytes()
    assert (
        seal(labelled_run, path) == path and path.read_bytes()[:4096] != b"" and len(path.read_bytes()) == len(content)
    )


def test_seal_refuses_damaged_labels_and_keeps_the_old_file(ready_run, tmp_path):
    path = seal(ready_run, tmp_path / "run.duckdb")
    before = path.read_bytes()
    table = next(ready_run.labels_dir.glob("target-*")) / "strengths.parquet"
    table.write_bytes(b"no parquet")
    with pytest.raises(DamagedFileError, match=r"strengths\.parquet is damaged"):
        seal(ready_run, path)
    assert path.read_bytes() == before and {p.name for p in tmp_path.iterdir()} == {"run.duckdb", "runs"}


def test_open_sealed_names_the_command_for_other_schemas(labelled_run, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="make it with `interdash load RUN`"):
        open_sealed(tmp_path / "none.duckdb")
    for schema, other in (("newer", store.SCHEMA + 1), ("older", store.SCHEMA - 1)):
        path = tmp_path / f"{schema}.duckdb"
        with monkeypatch.context() as patch:
            patch.setattr(store, "SCHEMA", other)
            seal(labelled_run, path)
        message = rf"has schema {other}, .* reads schema {store.SCHEMA}; make it again with `interdash load RUN`"
        with pytest.raises(DamagedFileError, match=message):
            open_sealed(path)
    (tmp_path / "broken.duckdb").write_bytes(b"DUCK" * 9000)
    with pytest.raises(DamagedFileError, match=r"broken.duckdb is damaged .*; make it again with `interdash load RUN`"):
        open_sealed(tmp_path / "broken.duckdb")


def test_export_tables_as_parquet_and_csv_with_units(small_store, tmp_path):
    written = export_tables(small_store, tmp_path)
    assert len(written) == 2 * len(TABLES) + 1
    for table in TABLES:
        parquet, csv = pq.read_table(tmp_path / f"{table}.parquet"), pd.read_csv(tmp_path / f"{table}.csv")
        assert parquet.num_rows == len(csv) == len(small_store.ask(f"FROM {table}"))
        assert parquet.column_names == list(csv.columns)
    field = pq.read_schema(tmp_path / "strengths.parquet").field("strength")
    assert field.metadata[b"unit"].startswith(b"nats")
    units = pd.read_csv(tmp_path / "columns.csv")
    assert set(units["table_name"]) == set(TABLES)


def test_export_of_a_lazy_store_goes_from_file_to_file(opened, labelled_run, small_store, tmp_path, monkeypatch):
    """The same rows as from a full store, in pieces: no table is ever whole."""
    monkeypatch.setattr("interdash.store.database.BATCH_ROWS", 100)
    most = []
    monkeypatch.setattr(pq.ParquetWriter, "write_table", watched(pq.ParquetWriter.write_table, most))
    lazy = opened(labelled_run)
    for some, name in ((small_store, "full"), (lazy, "lazy")):
        export_tables(some, tmp_path / name)
    longest = len(small_store.ask("FROM interactions"))
    assert max(most) < longest / 2 and longest == sum(read_table(path).num_rows for path in interactions(labelled_run))
    for path in sorted((tmp_path / "full").iterdir()):
        if path.suffix == ".parquet":
            assert pq.read_schema(path).equals(pq.read_schema(tmp_path / "lazy" / path.name), check_metadata=True)
        else:
            full, other = (folder.joinpath(path.name).read_text() for folder in (path.parent, tmp_path / "lazy"))
            assert sorted(full.splitlines()) == sorted(other.splitlines())
    damaged = tmp_path / "tiny"
    shutil.copytree(labelled_run.path, damaged)
    spoilt = interactions(Run(damaged))[0]
    spoilt.write_bytes(spoilt.read_bytes()[:-9])
    lazy = opened(Run(damaged))
    export_tables(lazy, tmp_path / "damaged")
    assert len(lazy.problems["tiny"]) == 1 and str(spoilt) in lazy.problems["tiny"][0]
    assert 0 < pq.read_metadata(tmp_path / "damaged" / "interactions.parquet").num_rows < longest


def interactions(run):
    return sorted(run.labels_dir.rglob("interactions.parquet"))


def watched(write, most):
    def noted(self, table, *arguments):
        most.append(table.num_rows)
        return write(self, table, *arguments)

    return noted


def test_readers_see_whole_units_while_a_writer_writes(opened, labelled_run, tmp_path):
    errors, reads, parked, run = [], [0], tmp_path / "labels", Run(tmp_path / "tiny")
    shutil.copytree(labelled_run.path, run.path)
    some = opened(run, lazy=False)
    rows = some.fetch("SELECT count(*) FROM sample_epochs WHERE network = 'target'")[0][0] // 3
    stop = threading.Event()

    def read():
        while reads[0] < 300 and not stop.is_set():
            try:
                found = some.fetch("SELECT epoch, count(*) FROM sample_epochs WHERE network = 'target' GROUP BY epoch")
                assert all(count == rows for _, count in found)
                some.ask("FROM strengths WHERE epoch = 3")
            except Exception as error:
                errors.append(error)
                stop.set()
            reads[0] += 1

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    folder = next(run.labels_dir.glob("target-00003-*"))
    while any(thread.is_alive() for thread in threads):
        folder.rename(parked)
        refresh(some, run)
        parked.rename(folder)
        refresh(some, run)
    assert errors == [] and reads[0] >= 300


def test_refresh_of_an_unchanged_run_is_cheap_and_misses_nothing(empty, ready_run, monkeypatch):
    monkeypatch.setattr(loading, "SETTLED_NS", -1)
    assert refresh(empty, ready_run) == UNITS
    with monkeypatch.context() as patch:
        patch.setattr(loading, "_refresh", None)  # would fail if it were called
        assert refresh(empty, ready_run) == 0
    ready_run.record_metrics("target", 4, train_loss=0.5, test_loss=1.5)
    refresh(empty, ready_run)
    assert empty.fetch("SELECT test_loss FROM metrics WHERE network = 'target' AND epoch = 4") == [(1.5,)]


def test_refresh_of_labels_by_an_older_version_names_the_command(empty, ready_run):
    folder = next(ready_run.labels_dir.glob("target-00003-*"))
    (folder / "strengths.parquet").unlink()
    assert refresh(empty, ready_run) == UNITS - 1
    assert "lack strengths.parquet, made by an older interdash; make them again with" in empty.problems["tiny"][0]


@pytest.fixture
def sealed_run(ready_run):
    seal(ready_run, ready_run.path / "tiny.duckdb")
    return ready_run


@pytest.mark.parametrize("served_from", ["labels", "sealed file"])
def test_a_lazy_store_answers_as_a_full_one_without_holding_the_long_tables(
    opened, served_from, small_store, labelled_run, request, tmp_path
):
    is_sealed = served_from == "sealed file"
    lazy = opened(request.getfixturevalue("sealed_run") if is_sealed else labelled_run)
    empty = {table for table, count in counts(lazy).items() if count == 0}
    assert empty == {*long_tables.DETAILS, *ONLY_OF_SOME} | ({"sample_epochs"} if is_sealed else set())
    strongest = sample.interactions(small_store, "tiny", 3, 7).iloc[0]
    kind, subset = strongest["type"], int(strongest["subset"])
    ((last,),) = small_store.fetch("SELECT epoch FROM networks WHERE network = 'baseline-0'")
    for ask in (
        lambda some: sample.interactions(some, "tiny", 3, 7),
        lambda some: sample.interactions(some, "tiny", 3, 7, limit=2),
        lambda some: sample.interactions(some, "tiny", last, 7, network="baseline-0"),
        lambda some: sample.interaction_life(some, "tiny", 7, kind, subset),
        lambda some: compare.difference(some, "tiny", 1, "tiny", 3, 7),
        lambda some: compare.difference(some, "tiny", 3, "tiny", 3, 7),  # the same rows on both sides, once
        lambda some: compare.difference_by_order(some, "tiny", 1, "tiny", 3),
        lambda some: removal.sample_removals(some, "tiny", 3),
        lambda some: dynamics.sample_strengths(some, "tiny"),
        lambda some: dynamics.sample_flows(some, "tiny"),
        lambda some: sample.samples(some, "tiny", 3, sample.sample_numbers(some, "tiny", 3, sort="loss")[:9]),
        lambda some: sample.sample_life(some, "tiny", 7),
        lambda some: vectors.all_interactions(some, labelled_run, 3, 7),
        lambda some: vectors.interaction_life(some, labelled_run, 7, kind, subset),
    ):
        expected = ask(small_store)
        assert len(expected)
        pd.testing.assert_frame_equal(ask(lazy), expected)
    assert sample.interactions(lazy, "tiny", 99, 7).empty
    for some, name in ((small_store, "full"), (lazy, "lazy")):
        export_tables(some, tmp_path / name)
    for table in TABLES:
        whole, found = (pd.read_parquet(tmp_path / name / f"{table}.parquet") for name in ("full", "lazy"))
        names = ("network", "start", "epoch", "life", "sample", "type", "subset", "size", "min_order")
        keys = [key for key in names if key in whole]
        both = (rows.sort_values(keys, ignore_index=True) if keys else rows for rows in (whole, found))
        pd.testing.assert_frame_equal(*both)


@pytest.mark.parametrize("table", LONG)
def test_a_question_that_forgets_its_long_table_raises(opened, table, labelled_run, small_store):
    lazy = opened(labelled_run)
    sql, values = (
        f"SELECT * FROM {table} WHERE run = $run AND sample = $sample ORDER BY ALL",
        {"run": "tiny", "sample": 7},
    )
    message = rf"a lazy store has no table {table}: .*; pass details=\('{table}',\) and the run among named parameters"
    for forgets in (lambda: lazy.ask(sql, values), lambda: lazy.fetch(sql, values)):
        with pytest.raises(ValueError, match=message):
            forgets()
    with pytest.raises(ValueError, match=message):  # not by asking for another one
        lazy.ask(sql, values, details=(next(other for other in LONG if other != table),))
    pd.testing.assert_frame_equal(lazy.ask(sql, values, details=(table,)), small_store.ask(sql, values))
    with pytest.raises(ValueError, match=message):  # what one question got is no other's
        lazy.ask(sql, values)
    with pytest.raises(duckdb.CatalogException, match="nowhere"):
        lazy.ask("FROM nowhere")


def test_details_are_the_rows_of_the_parameters():
    everywhere = {"run": "a", "network": "target", "epoch": 3, "sample": 7, "limit": 9}
    assert rows_of("interactions", everywhere) == Rows("interactions", "a", "target", 3, 7)
    assert rows_of("sample_epochs", {"run": "a"}) == Rows("sample_epochs", "a")
    for parameters in (["a"], {"epoch": 3}):
        with pytest.raises(ValueError, match=r"name the parameters \(\$run\), run among them"):
            rows_of("interactions", parameters)
    with pytest.raises(ValueError, match="'strengths' is no long table; details are of interactions, sample_orders"):
        rows_of("strengths", {"run": "a"})


def test_a_sealed_file_is_used_while_it_holds_what_the_labels_hold(opened, sealed_run, small_store, monkeypatch):
    some = opened()
    with monkeypatch.context() as patch:
        patch.setattr(loading, "_read_folder", None)  # would fail if it were called
        assert refresh(some, sealed_run) == UNITS and refresh(some, sealed_run) == 0
    sealed_run.record_metrics("target", 4, train_loss=0.5, test_loss=1.5)  # newer than the file, which has other tables
    refresh(some, sealed_run)
    assert dynamics.epochs(some, "tiny")["test_loss"].iloc[-1] == 1.5
    life, sealed = sample.sample_life(small_store, "tiny", 7), some.sealed["tiny"]
    folder = next(sealed_run.labels_dir.glob("target-00003-*"))
    folder.rename(folder.with_name("target-00003-0000000000000000"))  # labels by other rules
    assert refresh(some, sealed_run) == UNITS and some.sealed == {}
    pd.testing.assert_frame_equal(sample.sample_life(some, "tiny", 7), life)
    assert counts(some)["sample_epochs"] == counts(small_store)["sample_epochs"] and sealed.fetch("SELECT 1") == [(1,)]
    seal(sealed_run, sealed_run.path / "tiny.duckdb")
    shutil.rmtree(next(sealed_run.labels_dir.glob("target-00001-*")))
    assert refresh(some, sealed_run) == 0 and some.sealed == {}
    assert sample.sample_life(some, "tiny", 7)["epoch"].tolist() == [0, 3]


@pytest.mark.parametrize("content", [b"no database", None])
def test_a_damaged_sealed_file_is_passed_over(opened, ready_run, small_store, content):
    (ready_run.path / "tiny.duckdb").write_bytes(content or b"DUCK" * 9000)
    some = opened()
    assert refresh(some, ready_run) == UNITS
    expected = sample.sample_life(small_store, "tiny", 7)
    pd.testing.assert_frame_equal(sample.sample_life(some, "tiny", 7), expected)


def test_a_sealed_run_compares_with_one_that_is_not(opened, sealed_run, small_store, tmp_path):
    other = Run(shutil.copytree(sealed_run.path, tmp_path / "other" / "second"))
    (other.path / "tiny.duckdb").unlink()
    some = opened(sealed_run, other)
    expected = compare.difference(small_store, "tiny", 1, "tiny", 3, 7)
    for first, second in (("tiny", "second"), ("second", "tiny")):
        pd.testing.assert_frame_equal(compare.difference(some, first, 1, second, 3, 7), expected)
    drop(some, "tiny")
    assert sample.sample_life(some, "tiny", 7).empty and len(sample.sample_life(some, "second", 7)) == 3


def test_a_lazy_store_reads_only_the_row_groups_of_a_sample(labelled_run, tmp_path, monkeypatch):
    table = read_table(next(labelled_run.labels_dir.glob("target-00003-*")) / "interactions.parquet")
    monkeypatch.setattr("interdash.runs.tables.ROWS_PER_GROUP", 50)
    write_table(tmp_path / "interactions.parquet", table, {})
    found = read_table(tmp_path / "interactions.parquet", where=("sample", 7))
    assert 0 < found.num_rows <= 100 < table.num_rows
    wanted = table.filter(pc.equal(table["sample"], 7))
    assert found.filter(pc.equal(found["sample"], 7)).equals(wanted)


def test_a_lazy_store_names_a_damaged_file_and_serves_the_rest(opened, ready_run):
    some = opened(ready_run)
    whole = sample.interaction_life(some, "tiny", 7, "and", 1)
    path = next(ready_run.labels_dir.glob("target-00003-*")) / "interactions.parquet"
    path.write_bytes(b"no parquet")
    long_tables._kept.cache_clear()
    with pytest.raises(DamagedFileError, match=r"interactions\.parquet is damaged .* `interdash extract tiny`"):
        sample.interactions(some, "tiny", 3, 7)
    pd.testing.assert_frame_equal(sample.interaction_life(some, "tiny", 7, "and", 1), whole[whole["epoch"] < 3])
    assert [str(path) in problem for problem in some.problems["tiny"]] == [True]


@pytest.mark.parametrize("lazy", [True, False])
def test_labels_without_chance_open_and_are_made_anew_by_extract(opened, ready_run, tmp_path, lazy):
    """Those of the version before: their columns are null, all others as they were."""
    for path in ready_run.labels_dir.glob("*/*.parquet"):
        rows, notes = read_table(path), read_notes(path)
        kept = [name for name in rows.column_names if "chance" not in name]
        write_table(path, rows.select(kept), notes)
    for folder in list(ready_run.labels_dir.iterdir()):  # the key of the version before
        folder.rename(folder.with_name(f"{folder.name.rpartition('-')[0]}-0123456789abcdef"))
    assert "`interdash extract tiny` makes them" in state(ready_run).text
    store = opened(ready_run, lazy=lazy)
    assert store.problems["tiny"] == []
    epochs = dynamics.epochs(store, "tiny").dropna(subset="generalization_power")
    assert len(epochs) == 3 and epochs[["chance", "above_chance_low"]].isna().to_numpy().all()
    assert len(sample.interactions(store, "tiny", 3, 7))
    export_tables(store, tmp_path / "data")
    assert pd.read_parquet(tmp_path / "data" / "interactions.parquet")["chance"].isna().all()
    assert label.label(plan(ready_run)) == []
    store = opened(ready_run, lazy=lazy)
    assert dynamics.epochs(store, "tiny")["chance"].notna().sum() == 3
