"""Interactions over the samples, against a plain count in pandas; by words where variables differ by sample."""

import itertools

import numpy as np
import pandas as pd
import pytest

from interdash.formulas.subsets import members, pattern_number
from interdash.queries import interactions as queries
from interdash.queries import removal, sample
from interdash.runs.plan import plan
from interdash.runs.tables import read_table
from tests.conftest import store_of

OF = [{}, {"split": "train"}, {"split": "test", "type": "or"}, {"label": 1}, {"split": "random"}, {"split": "clean"}]


@pytest.fixture(scope="module")
def tables(labelled_run):
    """The label files as they are: interactions of the target by epoch, samples, lives."""
    folder = plan(labelled_run).folder
    by_epoch = {epoch: read_table(folder("target", epoch) / "interactions.parquet").to_pandas() for epoch in (0, 1, 3)}
    others = {
        name: read_table(next(labelled_run.labels_dir.glob(f"{name}-*/{name}.parquet"))).to_pandas()
        for name in ("samples", "lives")
    }
    return {"interactions": by_epoch} | others


def chosen(tables, split="all", label=-1, type="all"):
    """Numbers of the samples that fit, and which rows of a table are of them and of the type."""
    numbers = set()
    for row in tables["samples"].to_dict("records"):
        of = "random" if row["true_label"] != row["label"] else "clean"
        if split in ("all", row["split"], of * (row["split"] == "train")) and label in (-1, row["label"]):
            numbers.add(row["sample"])
    return numbers, lambda rows: rows["sample"].isin(numbers) & ((rows["type"] == type) | (type == "all"))


@pytest.mark.parametrize("of", OF, ids=str)
@pytest.mark.parametrize("lazy", [False, True])
def test_patterns_are_a_plain_count(labelled_run, tables, of, lazy):
    numbers, fits = chosen(tables, **of)
    rows = tables["interactions"][3]
    rows = rows[fits(rows)]
    with store_of(labelled_run, lazy=lazy) as store:
        ours = queries.patterns(store, "tiny", 3, **of)
        lives = queries.pattern_lives(store, "tiny", **of)
    assert len(ours) == len(rows.groupby(["type", "subset"])) and len(numbers) > 1
    for row in ours.to_dict("records"):
        same = rows[(rows["type"] == row["type"]) & (rows["subset"] == row["key"])]
        effect = same["effect"].astype(float)
        strength = effect.abs()
        assert row["samples"] == len(same) == same["sample"].nunique() and row["of_samples"] == len(numbers)
        assert row["names"] == "{" + ", ".join(map(str, members(row["key"]))) + "}"
        assert row["effect"] == pytest.approx(effect.mean()) and row["mean_strength"] == pytest.approx(strength.mean())
        assert (len(same) == 1 and np.isnan(row["spread"])) or row["spread"] == pytest.approx(effect.std())
        assert row["strength"] == pytest.approx(strength.sum() / len(numbers))
        general = strength[same["generalizes"].astype(bool)].sum() / len(numbers)  # of one baseline network
        assert row["generalizable"] == pytest.approx(general) and row["power"] == pytest.approx(
            general / row["strength"]
        )
        assert row["chance"] == pytest.approx((strength * same["chance"]).sum() / strength.sum())
        assert row["excess"] == pytest.approx(row["power"] - row["chance"])
        assert row["sample"] == same["sample"].iloc[strength.to_numpy().argmax()]
    ever = tables["lives"]
    ever = ever[fits(ever)]
    assert len(lives) == len(ever.groupby(["type", "subset"]))
    for row in lives.iloc[::3].to_dict("records"):
        same = ever[(ever["type"] == row["type"]) & (ever["subset"] == row["key"])]
        assert row["ever"] == len(same) and row["learned"] == same["born"].median()
        assert row["gone_count"] == same["gone"].notna().sum() and row["flips"] == pytest.approx(same["flips"].mean())
        counts = same["life_line"].value_counts()
        assert counts[row["life_line"]] == counts.max() and row["life_share"] == counts.max() / len(same)


def test_one_pattern_over_the_epochs_is_that_of_each_epoch(labelled_run, small_store):
    first = queries.patterns(small_store, "tiny", 3, split="train").iloc[0]
    name = {"type": first["type"], "subset": int(first["subset"]), "sample": int(first["sample"])}
    with store_of(labelled_run, lazy=True) as lazy:
        life = queries.pattern_life(lazy, "tiny", **name, split="train")
    pd.testing.assert_frame_equal(life, queries.pattern_life(small_store, "tiny", **name, split="train"))
    assert life["epoch"].tolist() == [0, 1, 3]
    for row in life.to_dict("records"):
        every = queries.patterns(small_store, "tiny", row["epoch"], split="train")
        (own,) = every[(every["type"] == name["type"]) & (every["key"] == name["subset"])].to_dict("records")
        for column in ("samples", "of_samples", "effect", "power", "chance"):
            assert row[column] == pytest.approx(own[column], rel=1e-5)
        assert row["frequency"] == own["samples"] / own["of_samples"]
        for column in ("frequency", "effect", "power"):
            assert row[f"{column}_low"] - 1e-9 <= row[column] <= row[f"{column}_high"] + 1e-9
        assert row["tenth"] <= row["ninetieth"]
    some = queries.pattern_samples(small_store, "tiny", 3, **name, split="train")
    assert len(some) == first["samples"] and some["effect"].mean() == pytest.approx(first["effect"], rel=1e-5)
    assert some["effect"].abs().is_monotonic_decreasing
    nothing = queries.pattern_life(small_store, "tiny", "and", 0, 0)
    assert nothing.empty and "power_low" in nothing


def test_variables_and_pairs_share_all_strength(small_store, tables):
    numbers, _ = chosen(tables)
    rows = tables["interactions"][3]
    variables = queries.variables(small_store, "tiny", 3)
    assert variables["strength"].sum() == pytest.approx(rows["effect"].abs().sum() / len(numbers), rel=1e-5)
    by_hand = dict.fromkeys(map(str, range(4)), 0.0)
    pairs_by_hand = {(str(i), str(j)): 0.0 for i, j in itertools.combinations(range(4), 2)}
    for row in rows.to_dict("records"):
        inside = members(row["subset"])
        for i in inside:
            by_hand[str(i)] += abs(row["effect"]) * row["generalizes"] / len(inside) / len(numbers)
        for i, j in itertools.combinations(inside, 2):
            pairs_by_hand[str(i), str(j)] += abs(row["effect"]) / (len(inside) * (len(inside) - 1) / 2) / len(numbers)
    general = dict(zip(variables["name"], variables["generalizable"], strict=True))
    assert general == pytest.approx(by_hand, rel=1e-4)
    assert (variables["generalizable_low"] <= variables["generalizable"]).all()
    assert (variables["other_high"] >= variables["other"]).all()
    assert variables["x"].notna().all() and variables["y"].between(0, 7).all()
    pairs = queries.variable_pairs(small_store, "tiny", 3).set_index(["first", "second"])["strength"].to_dict()
    assert pairs == pytest.approx({pair: value for pair, value in pairs_by_hand.items() if value}, rel=1e-4)


def test_words_are_put_together_wherever_they_stand(labelled_run, tables):
    """The same run, its variables called by words that stand at another place in every other sample."""
    names = [["not", "good", "film", f"w{sample}"][:: 1 if sample % 2 else -1] for sample in range(60)]
    rows = tables["interactions"][3]
    found = [
        tuple(sorted(names[s][i] for i in members(b))) for s, b in zip(rows["sample"], rows["subset"], strict=True)
    ]
    with store_of(labelled_run) as store:
        with store.transaction() as cursor:
            cursor.execute("UPDATE runs SET kind = 'text'")
            for sample, words in enumerate(names):
                cursor.execute("UPDATE samples SET names = ? WHERE sample = ?", [words, sample])
            every = cursor.sql("SELECT DISTINCT type, sample, subset FROM patterns").fetchall()
            for kind, sample, subset in every:
                number = pattern_number("words", kind, subset, names[sample])
                cursor.execute(
                    "UPDATE patterns SET pattern = ? WHERE type = ? AND sample = ? AND subset = ?",
                    [number, kind, sample, subset],
                )
        ours = queries.patterns(store, "tiny", 3)
        together = rows.assign(words=found).groupby(["type", "words"])["sample"].nunique()
        keys = [(row["type"], tuple(row["key"].split("\x1f"))) for row in ours.to_dict("records")]
        assert dict(zip(keys, ours["samples"], strict=True)) == together.to_dict()
        first = ours.loc[ours["samples"].idxmax()]
        assert first["samples"] > 30 and first["names"] in ("{good}", "{film}", "{not}")
        life = queries.pattern_life(store, "tiny", first["type"], int(first["subset"]), int(first["sample"]))
        assert life["samples"].iloc[-1] == first["samples"]
        words = queries.variables(store, "tiny", 3)
        assert {"not", "good", "film"} <= set(words["name"]) and len(words) == queries.MOST_VARIABLES
        assert words["x"].isna().all()
        pairs = queries.variable_pairs(store, "tiny", 3)
        assert (pairs["first"] < pairs["second"]).all()
        with store.transaction() as cursor:
            cursor.execute("UPDATE runs SET kind = 'points'")
        by_order = queries.patterns(store, "tiny", 3)
        assert set(by_order["names"]) <= {f"of order {k}" for k in range(1, 5)}
        assert by_order["interactions"].sum() == len(rows) and queries.variables(store, "tiny", 3).empty
        assert queries.variable_pairs(store, "tiny", 3).empty


def test_conditions_and_orders(small_store):
    every = queries.joined(queries.patterns(small_store, "tiny", 3), queries.pattern_lives(small_store, "tiny"))
    assert every["strength"].is_monotonic_decreasing and (every["samples"] == 0).any()  # what is gone comes last
    some = queries.selected(every, ["samples >= 5", "above <= 90%", "with = 1"], "flips")
    assert 0 < len(some) < len(every) and some["flips"].is_monotonic_decreasing
    assert some["samples"].ge(5).all() and some["excess"].le(0.9).all() and some["names"].str.contains("1").all()
    forgotten = queries.selected(every, ["life=forgotten"])
    assert set(forgotten["life_line"]) <= {"forgotten"}
    assert (queries.selected(every, ["order = 2"])["size"] == 2).all()
    before = queries.joined(
        queries.patterns(small_store, "tiny", 3), queries.pattern_lives(small_store, "tiny").head(0)
    )
    assert before["life_line"].isna().all() and (before["samples"] > 0).all()
    for wrong, message in (
        ("sample > 3", "'sample > 3' is no condition; write samples, strength, effect"),
        ("samples >= many", "'many' in 'samples >= many' is no number, such as 10 or 20%"),
        ("life >= 3", "life is a word; write life = 3, not life >= 3"),
    ):
        with pytest.raises(ValueError, match=message):
            queries.condition(wrong)
    with pytest.raises(ValueError, match="cannot be sorted by 'beauty'; choose one of strength, samples"):
        queries.selected(every, sort="beauty")
    with pytest.raises(ValueError, match="interactions cannot share 'luck'; choose one of variables, words, order"):
        pattern_number("luck", "and", 1, "a")


def test_removals_by_label_are_means_over_samples(labelled_run, small_store, tables):
    rows = removal.removals_by_label(small_store, "tiny")
    with store_of(labelled_run, lazy=True) as lazy:
        pd.testing.assert_frame_equal(rows, removal.removals_by_label(lazy, "tiny"))
    samples = small_store.ask("FROM sample_epochs WHERE network = 'target'")
    after = small_store.ask("FROM sample_removals WHERE min_order = 1 AND network = 'target'")
    every = samples.merge(after, on=["epoch", "sample"]).merge(tables["samples"], on="sample")
    random = every["true_label"] != every["label"]
    masks = {"testing": every["split"] == "test", "random": random, "clean": (every["split"] == "train") & ~random}
    assert set(rows["kind"]) == set(masks) and len(rows) == 9
    for row in rows.to_dict("records"):
        some = every[masks[row["kind"]] & (every["epoch"] == row["epoch"])]
        assert row["samples"] == len(some) > 0
        assert row["before"] == pytest.approx(some["loss"].mean()) and row["after"] == pytest.approx(
            some["after"].mean()
        )
        assert row["strength"] == pytest.approx(some["salient_strength"].mean())
        assert row["power"] == pytest.approx(some["generalizable"].sum() / some["salient_strength"].sum())
        for name in ("before", "after", "strength", "power"):
            assert row[f"{name}_low"] - 1e-9 <= row[name] <= row[f"{name}_high"] + 1e-9
    numbers = sample.sample_numbers(small_store, "tiny", 3, split="random")
    assert numbers == sorted(chosen(tables, split="random")[0]) and sample.random_labels(small_store, "tiny") == len(
        numbers
    )
