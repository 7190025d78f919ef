import itertools
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from interdash.formulas import generalization, subsets
from interdash.queries import compare, dynamics, theories, vectors
from interdash.queries import sample as queries_sample
from interdash.runs.parts import part_path, read_part
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.store.database import open_store

STRENGTH = "run, network, epoch, split, label, type, samples, strength, generalizable, non_generalizable"


@pytest.fixture(scope="module")
def hand_made():
    """A store with round numbers: run "a", epochs 0, 1, 2, 4, 8, …, 64; two samples; n = 2."""
    store = open_store()
    with store.transaction() as cursor:
        for i, epoch in enumerate((0, 1, 2, 4, 8, 16, 32, 64)):
            cursor.execute(
                "INSERT INTO metrics VALUES ('a', 'target', ?, ?, ?, 0.5, 0.25)", [epoch, 2 - i / 8, 2 + i / 8]
            )
            if epoch == 64:
                continue  # recorded, not extracted yet
            cursor.execute("INSERT INTO networks VALUES ('a', 'target', ?, 0.5, 2, 1, NULL)", [epoch])
            power = 0.75 if epoch == 4 else 0.5
            for split, kind in itertools.product(("all", "train"), ("and", "or", "all")):
                total = 8.0 if kind == "all" else 4.0
                cursor.execute(
                    f"INSERT INTO strengths ({STRENGTH}, generalization_power) VALUES "
                    "('a', 'target', ?, ?, -1, ?, 2, ?, ?, ?, ?)",
                    [epoch, split, kind, total, total * power, total * (1 - power), power],
                )
                for size, share in ((1, 0.75), (2, 0.25)):
                    cursor.execute(
                        "INSERT INTO order_strengths BY NAME SELECT 'a' AS run, 'target' AS network, ? AS epoch, "
                        "? AS split, -1 AS label, ? AS type, ? AS size, ? AS strength, ? AS generalizable, "
                        "? AS positive",
                        [epoch, split, kind, size, share * total, share * total / 2, share * total],
                    )
        for sample, split, label in ((0, "train", 3), (1, "test", 5)):
            cursor.execute(
                "INSERT INTO samples BY NAME SELECT 'a' AS run, ? AS sample, ? AS split, ? AS label, ? AS label_name, "
                "['left', 'right'] AS names",
                [sample, split, label, f"class {label}"],
            )
            cursor.execute(
                "INSERT INTO sample_epochs BY NAME SELECT 'a' AS run, 'target' AS network, 4 AS epoch, ? AS sample, "
                "? AS correct, ? AS loss, 4.0 AS salient_strength, ? AS non_generalizable, ? AS highest_order, "
                "0.01 AS gap, ? AS net_effect, ? AS high_order",
                [sample, sample == 0, 0.5 + sample, 1.0 + 2 * sample, 1 + sample, 1 - 4 * sample, 2 * sample],
            )
        cursor.execute(
            "INSERT INTO interactions VALUES ('a', 'target', 4, 0, 'and', 3, 2, 1, -2.0, -1.0, 1, 1, true, 0.5), "
            "('a', 'target', 4, 0, 'or', 1, 1, 2, 1.0, 0.0, 0, 0, false, 0.5), "
            "('a', 'target', 8, 0, 'and', 3, 2, 1, -4, -1, 1, 1, true, 0.5), "
            "('b', 'target', 4, 0, 'and', 3, 2, 1, -3.0, -1.0, 1, 1, true, 0.5), "
            "('b', 'target', 4, 0, 'and', 1, 1, 2, 0.5, 0, 0, 0, false, 0.5)"
        )
        for run, seed in (("a", 0), ("b", 7)):
            config = json.dumps({"name": run, "data": {"dataset": "digits"}, "training": {"seed": seed, "epochs": 64}})
            cursor.execute("INSERT INTO runs BY NAME SELECT ? AS run, ? AS config", [run, config])
        cursor.execute("INSERT INTO samples BY NAME SELECT 'b' AS run, * EXCLUDE (run) FROM samples WHERE run = 'a'")
    yield store
    store.close()


def test_epochs(hand_made):
    found = dynamics.epochs(hand_made, "a")
    assert found["epoch"].tolist() == [0, 1, 2, 4, 8, 16, 32, 64]
    assert found["gap"].tolist() == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]
    assert found["generalization_power"].tolist()[:4] == [0.5, 0.5, 0.5, 0.75]
    assert found["extracted"].tolist() == [True] * 7 + [False] and np.isnan(found["tau"].iloc[-1])
    assert dynamics.epochs(hand_made, "unknown").empty
    assert dynamics.epochs(hand_made, "a", split="test")["generalization_power"].isna().all()


def test_chosen_epochs(hand_made):
    assert dynamics.chosen_epochs(hand_made, "a") == [0, 1, 2, 4, 8, 32]
    assert dynamics.chosen_epochs(hand_made, "a", 3) == [0, 4, 32]
    assert dynamics.chosen_epochs(hand_made, "a", 99) == [0, 1, 2, 4, 8, 16, 32]
    assert dynamics.chosen_epochs(hand_made, "unknown") == []
    with hand_made.transaction() as cursor:
        cursor.execute("INSERT INTO phases BY NAME SELECT 'a' AS run, '1|2' AS boundary, 16 AS epoch")
    assert dynamics.chosen_epochs(hand_made, "a", 4) == [0, 4, 16, 32]
    with hand_made.transaction() as cursor:
        cursor.execute("DELETE FROM phases")


def test_strength(hand_made):
    both = dynamics.strength(hand_made, "a", types=("and", "or"))
    assert both["type"].unique().tolist() == ["and", "or"] and (both["strength"] == 4).all() and len(both) == 14
    assert dynamics.strength(hand_made, "a")["generalizable"].tolist() == [4, 4, 4, 6, 4, 4, 4]


def test_order_strength(hand_made):
    found = dynamics.order_strength(hand_made, "a", [4, 8])
    assert found[["epoch", "size", "strength"]].values.tolist() == [[4, 1, 6], [4, 2, 2], [8, 1, 6], [8, 2, 2]]
    same = dynamics.order_strength(hand_made, "a", [4], normalised=True)
    assert same["strength"].tolist() == [1.5, 0.5] and same["positive"].tolist() == [1.5, 0.5]
    assert len(dynamics.order_strength(hand_made, "a", types=("and", "or"))) == 28


def test_order_map(hand_made):
    found = dynamics.order_map(hand_made, "a")
    assert found.pivot(index="size", columns="epoch", values="strength").values.tolist() == [[6] * 7, [2] * 7]
    shares = dynamics.order_map(hand_made, "a", normalised=True)
    assert shares["strength"].tolist() == shares["share"].tolist() == [0.75, 0.25] * 7
    assert shares["generalizable"].tolist() == [0.375, 0.125] * 7


def test_classes(hand_made):
    assert queries_sample.classes(hand_made, "a").values.tolist() == [[3, "class 3", 1, 0], [5, "class 5", 0, 1]]


@pytest.mark.parametrize(
    "where, expected",
    [
        ({}, [0, 1]),
        ({"split": "test"}, [1]),
        ({"label": 3}, [0]),
        ({"correct": False}, [1]),
        ({"min_loss": 1.0}, [1]),
        ({"min_share": 0.5}, [1]),
        ({"min_order": 2}, [1]),
        ({"min_gap": 0.5}, []),
        ({"max_net": 0.5}, [0]),
        ({"min_high": 0.5}, [1]),
        ({"sort": "loss"}, [1, 0]),
        ({"sort": "net_share"}, [0, 1]),
        ({"sort": "high_order_share"}, [1, 0]),
        ({"sort": "non_generalizable_share"}, [1, 0]),
    ],
)
def test_samples(hand_made, where, expected):
    assert queries_sample.sample_numbers(hand_made, "a", 4, **where) == expected
    found = queries_sample.samples(hand_made, "a", 4, expected)
    assert found["sample"].tolist() == expected


def test_confusing_samples(hand_made, two_store):
    found = theories.confusing(hand_made, "a", 4)
    assert found[["net_share", "high_order_share"]].values.tolist() == [[0.25, 0], [0.75, 0.5]]
    overlap = theories.confusing_overlap(two_store, "tiny", "twin")
    assert overlap["epoch"].tolist() == [0, 1, 3] and overlap["jaccard"].tolist() == [1, 1, 1]
    assert (overlap["samples"] == len(theories.confusing(two_store, "tiny", 3))).all()
    assert ((overlap["chance"] < 1) & (overlap["chance_low"] <= overlap["chance_high"])).all()


def test_samples_by_number_and_of_no_known_order(hand_made):
    found = queries_sample.samples(hand_made, "a", 4, [1, 0, 77])
    assert found["sample"].tolist() == [1, 0] and 0.75 in found["non_generalizable_share"].tolist()
    with pytest.raises(ValueError, match="cannot be sorted by '1; DROP TABLE runs'; choose one of sample, label, loss"):
        queries_sample.sample_numbers(hand_made, "a", 4, sort="1; DROP TABLE runs")


def test_sample_and_its_life(hand_made):
    assert queries_sample.sample(hand_made, "a", 1)["names"].iloc[0].tolist() == ["left", "right"]
    assert queries_sample.sample(hand_made, "a", 99).empty
    assert queries_sample.sample_life(hand_made, "a", 1)["loss"].tolist() == [1.5]


def test_interactions(hand_made):
    found = queries_sample.interactions(hand_made, "a", 4, 0)
    assert found["names"].tolist() == ["{left, right}", "{left}"] and found["members"].tolist() == [(0, 1), (0,)]
    assert found["effect"].tolist() == [-2, 1] and found["generalizes"].tolist() == [True, False]
    assert len(queries_sample.interactions(hand_made, "a", 4, 0, limit=1)) == 1
    assert queries_sample.interactions(hand_made, "a", 4, 99).empty


def test_interaction_life(hand_made):
    found = queries_sample.interaction_life(hand_made, "a", 0, "and", 3)
    assert found[["epoch", "effect"]].values.tolist() == [[4, -2], [8, -4]]


def test_configuration_and_same_samples(hand_made, small_store):
    assert compare.configuration(hand_made, ["a", "b"]).values.tolist() == [["name", "a", "b"], ["training.seed", 0, 7]]
    assert compare.configuration(hand_made, ["unknown"]).empty
    assert compare.same_samples(hand_made, "a", "b") is True
    assert compare.same_samples(hand_made, "a", "unknown") is False


def test_difference(hand_made):
    found = compare.difference(hand_made, "a", 4, "b", 4, 0)
    assert found[["type", "subset", "where"]].values.tolist() == [
        ["and", 3, "both"],
        ["or", 1, "first"],
        ["and", 1, "second"],
    ]
    assert found["names"].tolist() == ["{left, right}", "{left}", "{left}"]


# On a real run, against the formulas


@pytest.fixture(scope="module")
def target(labelled_run):
    """Columns of all parts of the target at epoch 3."""
    units = [unit for unit in plan(labelled_run).units if (unit.network, unit.epoch) == ("target", 3)]
    read = [read_part(labelled_run, unit) for unit in units]
    return {name: np.concatenate([part[name] for part in read]) for name in read[0]}


def test_order_strength_equals_the_formula(small_store, target):
    tau = generalization.tau(target["i_and"], target["i_or"], target["v_empty"], target["v_full"])
    for kind in ("and", "or"):
        i = target[f"i_{kind}"]
        expected = generalization.order_strengths(i, generalization.salient(i, tau)).mean(0)[1:]
        found = dynamics.order_strength(small_store, "tiny", [3], types=(kind,))
        np.testing.assert_allclose(found["strength"], expected, rtol=1e-12)


def test_interactions_add_up_to_the_order_strengths(small_store):
    rows = [queries_sample.interactions(small_store, "tiny", 3, sample) for sample in range(60)]
    total = pd.concat(rows)["effect"].abs().sum() / 60
    assert dynamics.strength(small_store, "tiny")["strength"].iloc[-1] == pytest.approx(total, rel=1e-5)


def test_vectors_interaction_life(small_store, labelled_run, target):
    found = vectors.interaction_life(small_store, labelled_run, 30, "or", 5)
    assert found["network"].tolist()[0] == "baseline-0" and found["epoch"].tolist()[1:] == [0, 1, 3]
    assert found["effect"].iloc[-1] == target["i_or"][30, 5]
    assert found["salient"].iloc[-1] == (abs(found["effect"].iloc[-1]) >= found["tau"].iloc[-1])
    assert found.attrs["problems"] == []
    assert vectors.interaction_life(small_store, labelled_run, 30, "or", 16).empty
    assert vectors.interaction_life(small_store, labelled_run, 99, "and", 1).empty


def test_vectors_all_interactions(small_store, labelled_run, target):
    found = vectors.all_interactions(small_store, labelled_run, 3, 7)
    assert found["strength"].is_monotonic_decreasing and found["explained"].iloc[-1] == pytest.approx(1)
    assert found["effect"].sum() == pytest.approx(target["v_full"][7] - target["v_empty"][7])
    assert (found["salient"] == (found["strength"] >= found["tau"])).all()
    listed = queries_sample.interactions(small_store, "tiny", 3, 7)
    assert found[found["salient"]]["names"].tolist() == listed["names"].tolist()
    assert vectors.all_interactions(small_store, labelled_run, 99, 7).empty


def test_vectors_outputs(small_store, labelled_run, target):
    found = vectors.outputs(small_store, labelled_run, 3, 59)
    np.testing.assert_array_equal(found["v"], target["v"][59])
    assert found["size"].tolist() == subsets.orders(4).tolist()
    assert vectors.outputs(small_store, labelled_run, 99, 0).empty


def test_vectors_pass_over_a_damaged_part(small_store, labelled_run, tmp_path):
    run = Run(shutil.copytree(labelled_run.path, tmp_path / "tiny"))
    path = part_path(run, plan(run).units[3])  # target, epoch 0, samples 0 to 24
    path.write_bytes(path.read_bytes()[:-9])
    for kind, subset in itertools.product(("and", "or"), range(1, 16)):
        whole = vectors.interaction_life(small_store, labelled_run, 3, kind, subset)
        found = vectors.interaction_life(small_store, run, 3, kind, subset)
        lacks = (whole["network"] == "target") & (whole["epoch"] == 0) & ~whole["salient"]  # else it is in the labels
        pd.testing.assert_frame_equal(found, whole[~lacks].reset_index(drop=True), rtol=1e-6)
    assert len(found.attrs["problems"]) == 1 and str(path) in found.attrs["problems"][0]
    assert vectors.all_interactions(small_store, run, 0, 3).attrs["problems"] == found.attrs["problems"]
