"""Where theories agree on a run."""

import numpy as np
import pandas as pd

from interdash.figures.theories import agreement as charts
from interdash.queries import agreement, dynamics


def test_turns_are_those_of_the_curves(small_store):
    curves, turns = agreement.curves(small_store, "tiny"), agreement.turns(small_store, "tiny").set_index("turn")
    assert {*curves["curve"]} == {*charts.CURVES}
    assert curves.groupby("curve")["scaled"].agg(["min", "max"]).to_numpy().tolist() == [[0, 1]] * len(charts.CURVES)
    losses = dynamics.epochs(small_store, "tiny").set_index("epoch")["test_loss"]
    assert [*turns.index] == [*agreement.TURNS] and turns.loc["loss lowest", "epoch"] == losses.idxmin()
    known = turns.dropna(subset="epoch")
    assert len(known) > 2 and (known["low"] <= known["epoch"]).all() and (known["epoch"] <= known["high"]).all()
    assert turns.loc[["1|2", "2|3"], "epoch"].isna().all()  # three epochs show no phases


def test_distances_of_turns(small_store):
    distances = agreement.turn_distances(small_store, "tiny")
    table = distances.pivot(index="first_turn", columns="second_turn", values="steps")
    np.testing.assert_array_equal(table, table.T)
    rows = distances.set_index(["first_turn", "second_turn"])
    pair = rows.loc[("σ² falls", "loss lowest")]
    places = {0: 0, 1: 1, 3: 2}  # of recorded epochs
    assert pair["steps"] == abs(places[pair["first_epoch"]] - places[pair["second_epoch"]])
    assert pair["by_chance"] == {0: 3, 1: 7, 2: 9}[pair["steps"]] / 9
    assert pair["near"] == (pair["steps"] <= 1) and pair["near_by_chance"] == 7 / 9


def test_agreement_in_words():
    meaning = {"1|2": "this is highest", "2|3": "this has fallen", "gap rises": "that rises"}
    turns = pd.DataFrame({"turn": [*meaning], "meaning": [*meaning.values()], "epoch": [4.0, None, 5.0]})
    row = {"first_turn": "1|2", "first_epoch": 4.0, "second_turn": "gap rises", "second_epoch": 5.0}
    row |= {"steps": 1, "near": True, "near_by_chance": 0.2, "meet": True}
    other = row | {"first_turn": "gap rises", "first_epoch": 5.0, "second_turn": "1|2", "second_epoch": 4.0}
    distances = pd.DataFrame([row, other])
    assert charts.finding_text(distances) == (
        "Of 1 pairs of turning points, 1 lie within 1 recorded epoch of each other; by chance 0.2 would"
    )
    assert charts.details_text(turns, distances) == (
        "A turning point is the epoch at which one theory sees training change. Nearest, of those whose intervals "
        "meet: this is highest (epoch 4) and that rises (epoch 5). Not found: where this has fallen. In one run a few "
        "near pairs prove nothing, and some share data; Help, The study, has many runs."
    )
    assert charts.details_text(turns.head(0), distances.head(0)) == charts.finding_text(distances.head(0)) == ""


def test_a_run_without_interactions_has_no_turns(opened, trained_run):
    store = opened(trained_run)
    assert agreement.turns(store, "tiny").empty and agreement.turn_distances(store, "tiny").empty
    assert {*agreement.curves(store, "tiny")["curve"]} == {"gap", "test_loss"}
