import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest

from interdash.formulas.life_cycle import GROUPS, births, presence
from interdash.labelling import lives
from interdash.labelling.label import label_lives
from interdash.queries import lives as queries
from interdash.runs.boundaries import move_boundary
from interdash.runs.parts import part_path, read_part
from interdash.runs.plan import plan
from interdash.runs.tables import read_table
from interdash.store.database import open_sealed, open_store
from interdash.store.loading import refresh, seal
from tests.conftest import store_of

EPOCHS = (0, 1, 3)


def tables(run):
    return {
        path.name.rpartition("-")[0]: read_table(next(path.iterdir())).to_pandas() for path in label_lives(plan(run))
    }


def signs(run):
    """Presence of every interaction of the target, by the formula on whole vectors: `[3, 60, 2, 16]`."""
    planned, effects, tau = plan(run), [], []
    for epoch in EPOCHS:
        parts = [read_part(run, unit, ("i_and", "i_or")) for unit in planned.pairs["target", epoch]]
        effects.append(np.concatenate([np.stack([part["i_and"], part["i_or"]], 1) for part in parts]))
        tau.append(read_table(planned.folder("target", epoch) / "sample_epochs.parquet")["tau"].to_numpy())
    return presence(effects, np.stack(tau)[:, :, None])


def salient(run, epoch):
    folder = plan(run).folder("target", epoch)
    rows = read_table(folder / "interactions.parquet").to_pandas()
    v_empty = read_table(folder / "sample_epochs.parquet")["v_empty"].to_numpy()
    return rows.assign(code=(rows["type"] == "or").astype(int)), v_empty


@pytest.mark.parametrize("start, epoch", [(0, 0), (0, 1), (0, 3), (1, 3)])
def test_sums_are_those_of_a_plain_count(labelled_run, start, epoch):
    """Sets by loops over a table, not by the masks of the formula."""
    there, stored = signs(labelled_run), tables(labelled_run)["life_sums"]
    first, last = EPOCHS.index(start), EPOCHS.index(epoch)
    stored = stored[(stored["start"] == start) & (stored["epoch"] == epoch)]
    totals = dict.fromkeys(("preserved", "emerged", "removed"), 0)
    for life, at in (("preserved", epoch), ("emerged", epoch), ("removed", start)):
        rows, v_empty = salient(labelled_run, at)
        course = [
            there[first : last + 1, s, c, subset] for s, c, subset in rows[["sample", "code", "subset"]].to_numpy()
        ]
        stays = np.array([len(set(one.tolist())) == 1 for one in course])
        goes = np.array([one[0] != one[-1] for one in course])
        rows = rows[{"preserved": stays, "emerged": ~stays, "removed": goes}[life]]
        rows = rows.assign(strength=rows["effect"].abs(), net=rows["effect"])
        by = rows.assign(
            number=1, size=rows["size"] * rows["strength"], generalizable=rows["generalizes"] * rows["strength"],
            generalizable_number=rows["generalizes"].astype(int), by_chance=rows["chance"] * rows["strength"],
            by_chance_number=rows["chance"],
        ).groupby("sample")[[*lives.STORED[:-1]]].sum().reindex(range(60), fill_value=0)  # fmt: skip
        by["loss"] = np.log1p(np.exp(-(v_empty + by["net"])))
        by["net"] = by["net"].abs()
        ours = stored[stored["life"] == life].set_index("sample")[[*lives.STORED]]
        pd.testing.assert_frame_equal(ours, by[[*lives.STORED]], check_dtype=False, rtol=1e-4, atol=1e-6)
        totals[life] = by["number"].sum()
    assert totals["preserved"] + totals["emerged"] == len(salient(labelled_run, epoch)[0])
    assert start == epoch or min(totals.values()) > 0


def test_classes_and_life_lines_add_up_to_what_is_salient(labelled_run, small_store):
    sums, strength = tables(labelled_run)["life_sums"], small_store.ask(
        "SELECT epoch, salient, strength, generalizable FROM strengths WHERE network = 'target' AND split = 'all' "
        "AND label = -1 AND type = 'all' ORDER BY epoch"
    ).set_index("epoch")  # fmt: skip
    sums = sums[(sums["epoch"] >= 0) & (sums["life"] != "removed")]
    by = sums.groupby(["start", "epoch"])[["number", "strength", "generalizable"]].sum() / 60
    assert set(by.index.get_level_values("start")) == {-1, *EPOCHS}
    for (_, epoch), row in by.iterrows():
        assert row.tolist() == pytest.approx(strength.loc[epoch].tolist(), rel=1e-5)


def test_lives_say_when_an_interaction_came_and_went(labelled_run):
    signs_, table = signs(labelled_run), tables(labelled_run)["lives"]
    there = signs_ != 0
    assert len(table) == there.any(0).sum() and table["sample"].is_monotonic_increasing
    for row in table.iloc[::7].to_dict("records"):
        epochs = np.flatnonzero(there[:, row["sample"], int(row["type"] == "or"), row["subset"]])
        assert row["born"] == EPOCHS[epochs[0]] and row["size"] == row["subset"].bit_count()
        assert pd.isna(row["gone"]) if epochs[-1] == 2 else row["gone"] == EPOCHS[epochs[-1] + 1]
        assert row["stretches"] == 1 + (np.diff(epochs) > 1).sum()
        course = signs_[epochs, row["sample"], int(row["type"] == "or"), row["subset"]]
        assert row["flips"] == (course[1:] != course[:-1]).sum()
    assert table["flips"].sum() > 0
    assert set(table["life_line"]) <= set(GROUPS[1:])


def test_a_static_run_has_nothing_emerged_and_nothing_removed(labelled_run, monkeypatch):
    planned, read = plan(labelled_run), lives.read_effects
    same = {unit.first: unit for unit in planned.pairs["target", 0]}
    monkeypatch.setattr(lives, "read_effects", lambda run, unit: read(run, same[unit.first]))
    found = lives.life_tables(planned, dict.fromkeys(EPOCHS, planned.folder("target", 0)), None)
    sums = found["life_sums"].to_pandas()
    sums = sums[sums["start"] >= 0].groupby("life")["number"].sum()
    assert sums["preserved"] > 0 and sums["emerged"] == sums["removed"] == 0
    assert set(found["lives"].to_pandas()["life_line"]) == {"reliable"}


def test_where_vectors_were_dropped_what_is_below_tau_is_gone(ready_run):
    before = tables(ready_run)["lives"]
    for path in label_lives(plan(ready_run)):
        shutil.rmtree(path)
    for unit in plan(ready_run).pairs["target", 1]:
        part_path(ready_run, unit).unlink()
    found = tables(ready_run)
    assert found["life_epochs"]["vectors"].tolist() == [True, False, True]
    assert found["lives"]["stretches"].sum() > before["stretches"].sum()


def test_life_lines_follow_the_boundary(ready_run):
    first = label_lives(plan(ready_run))
    assert label_lives(plan(ready_run)) == first
    move_boundary(ready_run, "1|2", 1)
    second = label_lives(plan(ready_run))
    assert not {*first} & {*second} and not any(path.exists() for path in first)
    found = tables(ready_run)
    assert found["life_epochs"]["ends_first_phase"].tolist() == [False, True, False]
    rows = found["lives"]
    assert set(rows.loc[rows["gone"] <= 1, "life_line"]) == {"withdrawn"}
    assert not (rows.loc[~(rows["gone"] <= 1), "life_line"] == "withdrawn").any()
    shutil.rmtree(second[0])
    assert label_lives(plan(ready_run)) == second and second[0].exists()
    for epoch in EPOCHS[1:]:
        shutil.rmtree(plan(ready_run).folder("target", epoch))
    assert label_lives(plan(ready_run)) == []


def test_preserved_sets_only_shrink(labelled_run):
    there = signs(labelled_run)
    since = births(there)
    kept = [int(((there[i] != 0) & (since[i] == 0)).sum()) for i in range(3)]
    assert kept == sorted(kept, reverse=True) and kept[0] > kept[2] > 0


def test_very_many_epochs_have_fewer_starts():
    assert lives.starts(60, 200) == [*range(60)]
    few = lives.starts(200, 1000, 17)
    assert few[0] == 0 and few[-1] == 199 and 17 in few and len(few) < 10


def test_measures_are_means_over_samples_with_intervals(small_store, labelled_run):
    sums = tables(labelled_run)["life_sums"]
    rows = queries.life_classes(small_store, "tiny", start=0)
    assert rows["epoch"].tolist() == [0, 0, 0, 1, 1, 1, 3, 3, 3]
    assert rows["life"].tolist() == 3 * ["preserved", "emerged", "removed"]
    of = sums[(sums["start"] == 0) & (sums["epoch"] == 3) & (sums["life"] == "preserved")]
    row = rows[(rows["epoch"] == 3) & (rows["life"] == "preserved")].iloc[0]
    assert row["number"] == pytest.approx(of["number"].mean()) and row["strength"] == pytest.approx(
        of["strength"].mean()
    )
    assert row["power"] == pytest.approx(of["generalizable"].sum() / of["strength"].sum())
    assert row["net_share"] == pytest.approx(of["net"].sum() / of["strength"].sum())
    halves = [of["loss"].to_numpy()[part].mean() for part in (slice(30), slice(30, 60))]  # training samples come first
    assert [row["train_loss"], row["test_loss"], row["gap"]] == pytest.approx(
        [*halves, halves[1] - halves[0]], rel=1e-5
    )
    for name in ("number", "strength", "order", "power", "net_share", "train_loss"):
        known = rows.dropna(subset=[name])
        assert (known[f"{name}_low"] <= known[name]).all() and (known[name] <= known[f"{name}_high"]).all()
    shares = rows[[f"{part}_share" for part in ("generalizable", "other")]].sum(axis=1)
    now = shares[rows["life"] != "removed"].groupby(rows["epoch"]).sum()
    assert now.tolist() == pytest.approx([1, 1, 1]) and 0 < shares.iloc[-1] < 1 == pytest.approx(shares.iloc[0])
    train = queries.life_classes(small_store, "tiny", start=0, split="train")
    assert train["test_loss"].isna().all() and train["train_loss"].tolist() == pytest.approx(
        rows["train_loss"].tolist()
    )
    totals = queries.life_line_totals(small_store, "tiny")
    assert totals["number"].sum() == pytest.approx(len(tables(labelled_run)["lives"]) / 60)
    lines = queries.life_lines(small_store, "tiny")
    assert len(lines) == 3 * len(queries.LIFE_LINES) and lines["epoch"].min() == 0
    assert queries.life_classes(small_store, "unknown").empty and queries.first_start(small_store, "unknown") is None
    assert queries.life_classes(small_store, "tiny", label=99).empty


def test_few_epochs_at_a_time_give_what_all_together_give(small_store, monkeypatch):
    ask = [
        partial(queries.life_lines, small_store, "tiny"),
        partial(queries.life_classes, small_store, "tiny", start=0),
    ]
    whole = [question() for question in ask]
    monkeypatch.setattr(queries, "AT_A_TIME", 1)
    for rows, question in zip(whole, ask, strict=True):
        pd.testing.assert_frame_equal(rows, question())


def test_of_a_sample_and_of_one_life_line(small_store):
    rows = queries.sample_life_lines(small_store, "tiny", 3, 5)
    assert rows["life_line"].tolist() == [*queries.LIFE_LINES] and (rows["salient"] <= rows["ever"]).all()
    ever = small_store.fetch("SELECT count(*) FROM lives WHERE sample = 5")[0][0]
    now = small_store.fetch("SELECT count(*) FROM interactions WHERE network = 'target' AND epoch = 3 AND sample = 5")
    assert rows["ever"].sum() == ever and rows["salient"].sum() == now[0][0] > 0


def test_lazy_sealed_and_whole_stores_say_the_same(ready_run, small_store, tmp_path):
    def asked(store):
        lines = queries.sample_life_lines(store, "tiny", 3, 5)
        return [queries.life_classes(store, "tiny", start=1), queries.life_lines(store, "tiny"), lines]

    lazy, sealed = open_store(lazy=True), open_sealed(seal(ready_run, tmp_path / "tiny.duckdb"))
    refresh(lazy, ready_run)
    assert lazy.fetch("SELECT count(*) FROM aside.life_sums") == [(0,)]
    for some in (lazy, sealed):
        for ours, whole in zip(asked(some), asked(small_store), strict=True):
            pd.testing.assert_frame_equal(ours, whole)
        some.close()
    seal(ready_run, ready_run.path / "tiny.duckdb")  # found beside the labels, it is asked for the long tables
    with store_of(ready_run) as _:
        beside = open_store(lazy=True)
        refresh(beside, ready_run)
        assert "tiny" in beside.sealed
        for ours, whole in zip(asked(beside), asked(small_store), strict=True):
            pd.testing.assert_frame_equal(ours, whole)
        beside.close()


def test_words_of_lives(small_store):
    rows, epochs = queries.life_classes(small_store, "tiny", start=0), queries.life_epochs(small_store, "tiny")
    table = queries.life_table(rows, 3).splitlines()
    assert table[0] == "| epoch 3 | preserved since 0 | emerged since | removed, as at 0 |" and len(table) == 12
    assert " to " in table[2] and "by chance" in table[6] and queries.life_table(rows, 2) == ""
    none = pd.DataFrame({"boundary": ["1|2"], "epoch": [None]})
    assert (
        queries.notes_text(epochs.assign(ends_first_phase=False), none)
        == queries.notes_text(epochs.head(0), none)
        == ""
    )
    other = none.assign(epoch=1.0)
    text = queries.notes_text(epochs.assign(vectors=False, is_start=[True, False, True], ends_first_phase=False), other)
    assert text.startswith("At 3 epochs the full vectors are dropped") and "2 of 3 recorded epochs can be" in text
    assert text.endswith("another boundary 1|2 (none); `interdash extract` makes them anew.")
