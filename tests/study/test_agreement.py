"""The study's table of turns: distances, chance and verdicts on planted runs."""

import pytest

from interdash.study import agreement

RECORDED = [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40]


def run(name, **turns):
    places = {key: {"value": value, "low": value, "high": value} for key, value in turns.items()}
    return {"run": name, "recorded": RECORDED, "turns": {key.replace("_", " "): place for key, place in places.items()}}


def test_verdicts_on_pairs():
    runs = [
        run(f"r{i}", **{"2|3": 20.0, "loss_lowest": 25.0 if i else 16.0, "gap_rises": 2.0, "1|2": None if i else 3.0})
        for i in range(4)
    ]
    rows = {(row["first"], row["second"]): row for row in agreement.pairs(runs)}
    near = rows["2|3", "loss lowest"]
    chance = (15 + 2 * 14) / 15**2
    assert (near["runs"], near["near"], near["steps"], near["verdict"]) == (4, 4, 1.0, "agree")
    assert near["near_by_chance"] == pytest.approx(4 * chance) and near["tail"] == pytest.approx(chance**4)
    assert near["expected"] == pytest.approx((15**2 - 1) / 45)
    assert rows["2|3", "gap rises"]["verdict"] == "not"
    assert rows["1|2", "gap rises"]["runs"] == 1 and rows["1|2", "gap rises"]["verdict"] == "no more than chance"
    assert rows["1|2", "complete"]["verdict"] == "no run to ask"
    assert agreement.verdict({"runs": 10, "near": 6, "tail": 0.01}) == "partly"
    assert "by chance: *2|3* and *loss lowest* (4 of 4 runs within 1 recorded epoch, 0.8 by" in agreement.summary(runs)
    assert "more often than by chance: none. Every turn" in agreement.summary(runs[:1])
    text = agreement.section(runs)
    assert "| 2\\|3 – loss lowest | 4 | 1.0 / 5.0 | 4 / 0.8 | 0.1% | **agree** |" in text
    assert "| r1 | not found | 20 (20 … 20) | 2 (2 … 2) | 25 (25 … 25) |" in text


def test_turns_of_a_run(small_store):
    turns = agreement.turns(small_store, "tiny")
    assert turns["1|2"] == {"value": None, "low": None, "high": None}
    assert turns["loss lowest"]["low"] <= turns["loss lowest"]["value"] <= turns["loss lowest"]["high"]
