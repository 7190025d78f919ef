"""What networks share: planted interactions, identical, disjoint, of other signs or random; and the small run."""

from contextlib import closing
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest

from interdash.figures import theme
from interdash.figures.choice import Choice
from interdash.figures.theories import sharing as figures
from interdash.queries import sharing
from interdash.queries.asking import Ask
from interdash.queries.sharing import Column
from interdash.runs.run import Run
from interdash.store.database import open_store

N, SAMPLES = 6, 40


@pytest.fixture
def planted():
    """A function that adds a run to a store, which it returns: (sample, subset, effect) of each network."""
    with closing(open_store()) as store:

        def store_with(run="toy", **networks):
            tables = []
            for name, rows in networks.items():
                network, epoch = ("target", int(name[1:])) if name[0] == "t" else (f"baseline-{name[1:]}", 9)
                table = pd.DataFrame(rows, columns=["sample", "subset", "effect"])
                tables.append(table.assign(run=run, network=network, epoch=epoch, type="and"))
            rows = pd.concat(tables, ignore_index=True)
            rows["size"] = [int(subset).bit_count() for subset in rows["subset"]]
            with store.transaction() as cursor:
                cursor.execute("INSERT INTO runs BY NAME SELECT ? AS run, ? AS n_variables", [run, N])
                cursor.execute(
                    "INSERT INTO samples BY NAME SELECT ? AS run, unnest(range(?)) AS sample", [run, SAMPLES]
                )
                cursor.register("rows", rows)
                cursor.execute("INSERT INTO networks BY NAME SELECT DISTINCT run, network, epoch FROM rows")
                cursor.execute("INSERT INTO interactions BY NAME FROM rows")
                cursor.unregister("rows")
            return store

        yield store_with


def drawn(rng, size, count):
    """Random interactions of one order, of either sign, in each sample."""
    subsets = [sum(1 << i for i in some) for some in combinations(range(N), size)]
    return [
        (sample, int(subset), float(rng.choice([-1, 1])) * 2)
        for sample in range(SAMPLES)
        for subset in rng.choice(subsets, count, replace=False)
    ]


def test_identical_networks_share_all_disjoint_ones_nothing_and_signs_count(planted):
    rows = [(sample, subset, 1.0 + sample) for sample in range(SAMPLES) for subset in (1, 6, 7)]
    other = [(sample, subset, 1.0) for sample in range(SAMPLES) for subset in (2, 8)]
    flipped = [(sample, subset, -effect) for sample, subset, effect in rows]
    store = planted(t1=rows, t2=other, b0=rows, b1=flipped)
    names = ["baseline-0", "baseline-1", "epoch 1", "epoch 2"]
    columns = sharing.columns(store, "toy")
    assert [column.name for column in columns] == names and columns[0] == Column("baseline-0", "toy", "baseline-0", 9)
    table = sharing.sharing_map(store, columns).pivot(index="first", columns="second", values="share")
    expected = [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    assert table.loc[names, names].to_numpy().tolist() == expected
    orders = sharing.shared_orders(store, "toy", 1, columns[0])
    assert (orders["share"] == 1).all() and (orders["shared_positive"] == orders["positive"]).all()
    assert orders["positive"].tolist() == [np.mean(np.arange(SAMPLES) + 1)] * 6 and (orders["negative"] == 0).all()
    assert orders["chance_share"].tolist() == pytest.approx([1 / comb(N, size) for size in (1, 2, 3)] * 2)
    assert (sharing.shared_orders(store, "toy", 2, columns[0])["shared"] == 0).all()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_random_sets_share_what_chance_says(planted, size):
    rng, shares = np.random.default_rng(size), []
    for run in map(str, range(20)):
        store = planted(run, t1=drawn(rng, size, 4), b0=drawn(rng, size, 3))
        row = sharing.shared_orders(store, run, 1, sharing.columns(store, run)[0]).iloc[0]
        shares.append(row["share"] - row["chance_share"])
        assert abs(row["chance_share"] - 3 / comb(N, size) / 2) < 0.15  # half of them have the other sign
    assert abs(np.mean(shares)) <= 2 * np.std(shares, ddof=1) / len(shares) ** 0.5


def test_intervals_by_epoch_cover_the_share_of_the_population(planted):
    """Each sample has 4 interactions, of which a number drawn with mean 2 is shared."""
    rng, hits = np.random.default_rng(0), 0
    for run in map(str, range(60)):
        kept = rng.integers(0, 5, SAMPLES)
        rows = [(sample, subset, 1.0) for sample in range(SAMPLES) for subset in (1, 2, 4, 8)]
        shared = [row for row in rows if row[1].bit_length() <= kept[row[0]]]
        store = planted(run, t1=rows, b0=[*shared, (0, 63, 1.0)])
        found = sharing.sharing_by_epoch(store, run, sharing.columns(store, run)[0])
        first = found[(found["side"] == "first") & (found["group"] == "every order")].iloc[0]
        assert first["share"] == kept.sum() / (4 * SAMPLES) and first["salient"] == 4
        hits += first["low"] <= 0.5 <= first["high"]
    assert hits / 60 >= 0.85


def test_beside_the_baseline_network_the_share_is_h_by_number(labelled_run, small_store):
    baseline = sharing.columns(small_store, "tiny")[0]
    found = sharing.sharing_by_epoch(small_store, "tiny", baseline)
    first = found[(found["side"] == "first") & (found["group"] == "every order")].set_index("epoch")["share"]
    known = small_store.ask(
        "SELECT epoch, count_power FROM strengths WHERE network = 'target' AND split = 'all' AND label = -1 "
        "AND type = 'all' ORDER BY epoch"
    )
    assert first.tolist() == pytest.approx(known["count_power"].tolist())
    orders = sharing.shared_orders(small_store, "tiny", 3, baseline)
    by_chance = small_store.ask(
        "SELECT size, chance, by_chance FROM order_strengths WHERE network = 'target' AND split = 'all' AND label = -1 "
        "AND type = 'all' AND epoch = 3 AND strength > 0 ORDER BY size"
    )
    first = orders[orders["side"] == "first"]
    sums = first["chance_positive"] - first["chance_negative"]
    assert sums.tolist() == pytest.approx(by_chance["by_chance"].tolist(), rel=1e-4)


def test_chance_is_of_the_run_s_own_number_of_variables(planted):
    store = planted(t1=[(0, 3, 1.0)], b0=[(0, 3, 1.0)])
    store.fetch("INSERT INTO runs BY NAME SELECT 'wider' AS run, 20 AS n_variables")
    found = sharing.shared_orders(store, "toy", 1, sharing.columns(store, "toy")[0])
    assert found["chance_share"].tolist() == pytest.approx([1 / comb(N, 2)] * 2)


def test_maps_of_epochs_and_of_runs(two_store):
    epochs = sharing.epoch_map(two_store, "tiny")
    assert (
        epochs["first"].unique().tolist() == [0, 1, 3]
        and (epochs["share"][epochs["first"] == epochs["second"]] == 1).all()
    )
    networks = sharing.network_map(two_store, "tiny", ["twin"])
    assert networks["first"].unique().tolist() == ["baseline-0", "target", "twin, target"]
    drawn = theme.themed(figures.epoch_map(epochs)).layout, theme.themed(figures.network_map(networks)).layout
    assert [[each.xaxis.automargin, each.yaxis.automargin] for each in drawn] == [[False] * 2, [True] * 2]
    same = networks.set_index(["first", "second"])["share"]
    assert same["target", "twin, target"] == 1 and same["target", "baseline-0"] == same["twin, target", "baseline-0"]


def test_interactions_are_read_once_for_all_questions_about_a_run(labelled_run, opened, monkeypatch):
    store, asked = opened(labelled_run, lazy=False), []
    ask, baseline = store.ask, sharing.columns(store, "tiny")[0]
    monkeypatch.setattr(store, "ask", lambda sql, *rest, **how: asked.append(sql) or ask(sql, *rest, **how))

    def answers():
        questions = (sharing.epoch_map, sharing.network_map, sharing.sharing_by_epoch, sharing.shared_orders)
        return [each(store, "tiny", *([3] * (i > 2) + [baseline] * (i > 1))) for i, each in enumerate(questions)]

    before = answers()
    assert len([sql for sql in asked if "picked" in sql]) == 1
    store.fetch("DELETE FROM interactions WHERE network = 'target' AND epoch = 3 AND sample > 2")
    store.fetch("UPDATE loaded SET key = 'newer' WHERE what = 'target-00003'")
    assert not any(rows.equals(older) for rows, older in zip(answers(), before, strict=True))
    assert len([sql for sql in asked if "picked" in sql]) == 2


def test_no_such_partner(two_runs, two_store):
    ask = Ask(Run(two_runs / "tiny"), two_store)
    assert figures.partner(ask, Choice()).name == "baseline-0"
    assert figures.partner(ask, Choice(partner="epoch 1")) == Column("epoch 1", "tiny", "target", 1)
    with pytest.raises(ValueError, match="'epoch 9' is no network or epoch of tiny; choose one of baseline-0, ep"):
        figures.partner(ask, Choice(partner="epoch 9"))


def test_lists_of_one_sample_are_shared_and_distinctive(planted):
    store = planted(t1=[(0, 1, 2.0), (0, 2, -3.0), (0, 4, 1.0)], b0=[(0, 1, 4.0), (0, 2, 3.0), (1, 4, 1.0)])
    with store.transaction() as cursor:
        cursor.execute("UPDATE samples SET names = ['a', 'b', 'c', 'd', 'e', 'f']")
    rows = sharing.sample_shared(store, "toy", 1, 0, sharing.columns(store, "toy")[0])
    found = {where: sorted(some["subset"]) for where, some in rows.groupby("where")}
    assert found == {"both": [1], "first": [2, 4], "second": [2]}  # {b} has another sign there
    both = rows[rows["where"] == "both"].iloc[0]
    assert (both["effect"], both["other_effect"]) == (2, 4)
