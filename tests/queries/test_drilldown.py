"""One sample's sums, on games with known coefficients."""

import numpy as np
import pandas as pd
import pytest

from interdash.formulas.interactions import matched_outputs
from interdash.formulas.subsets import label
from interdash.queries import drilldown


def game():
    """Returns outputs and interactions of v = −1 + 3·(x0 AND x1) − 2·(x1 OR x2) + 0.5·x0, all of it known."""
    masks = np.arange(8)
    bit = [(masks >> i) & 1 for i in range(3)]
    v = -1 + 3.0 * (bit[0] & bit[1]) - 2.0 * (bit[1] | bit[2]) + 0.5 * bit[0]
    outputs = pd.DataFrame({"subset": masks, "v": v})
    rows = [("and", 3, 3.0, True, True), ("or", 6, -2.0, True, False), ("and", 1, 0.5, False, None)]
    interactions = pd.DataFrame(rows, columns=["type", "subset", "effect", "salient", "generalizes"])
    interactions["generalizes"] = interactions["generalizes"].astype("boolean")
    interactions["strength"] = interactions["effect"].abs()
    interactions["names"] = [label(subset, "abc") for subset in interactions["subset"]]
    return outputs, interactions


def test_waterfall():
    _, interactions = game()
    steps = drilldown.waterfall(interactions, -1.0, 0.5, top=1)
    assert steps["step"].tolist() == ["v(x_∅)", "AND {a, b}", "1 other salient", "1 below τ", "v(x)"]
    assert steps["end"].tolist() == [-1.0, 2.0, 0.0, 0.5, 0.5]
    assert steps["start"].tolist() == [0.0, -1.0, 2.0, 0.0, 0.0]
    assert steps["kind"].tolist() == ["empty", "interaction", "salient", "rest", "full"]
    assert steps["generalizes"].tolist()[1] is True
    steps = drilldown.waterfall(interactions, -1.0, 0.75)
    assert steps["step"].tolist()[-2:] == ["noise δ", "v(x)"]
    assert steps["effect"].iloc[-2] == pytest.approx(0.25)
    empty = drilldown.waterfall(interactions.head(0), 1.0, 1.0)
    assert empty["step"].tolist() == ["v(x_∅)", "v(x)"]


def test_triggered_agrees_with_matching():
    outputs, interactions = game()
    i_and, i_or = np.zeros(8), np.zeros(8)
    i_and[[3, 1]], i_or[6] = [3.0, 0.5], -2.0
    expected = matched_outputs(i_and, i_or, np.array(-1.0))
    triggered = drilldown._triggered(*drilldown._columns(outputs, interactions))
    np.testing.assert_allclose(triggered - 1, expected, atol=1e-12)
    np.testing.assert_allclose(expected, outputs["v"], atol=1e-12)


def test_rebuilt():
    outputs, interactions = game()
    rows = drilldown.rebuilt(outputs, interactions, [1, 2, 3, 99])
    assert rows["count"].tolist() == [1, 2, 3]
    assert rows["strength"].tolist() == pytest.approx([3 / 5.5, 5 / 5.5, 1.0])
    assert rows["explained"].iloc[-1] == pytest.approx(1.0)
    assert rows["largest_error"].tolist() == pytest.approx([2.0, 0.5, 0.0])
    left = 0.5 * 0.5 * 4  # the squared error without 0.5·x0
    spread = np.square(outputs["v"] - outputs["v"].mean()).sum()
    assert rows["explained"].iloc[1] == pytest.approx(1 - left / spread)
    assert drilldown.shares(rows, 1) == f"55% · {max(rows['explained'].iloc[0], 0):.0%}"
    assert drilldown.shares(rows, 50) == "100% · 100%"
    assert drilldown.shares(rows, 0) == "–"
    assert drilldown.rebuilt(outputs.head(0), interactions.head(0), [1]).empty
    flat = drilldown.rebuilt(outputs.assign(v=1.0), interactions.head(0), [1])
    assert np.isnan(flat["explained"].to_numpy()).all()


def life(effects, tau=1.0, generalizes=True):
    salient = [abs(effect) >= tau for effect in effects]
    rows = {"network": "target", "epoch": [0, 1, 2, 4, 8][: len(effects)], "effect": effects, "salient": salient}
    told = pd.DataFrame(rows).assign(generalizes=[generalizes if s else None for s in salient])
    return pd.concat([told, told.assign(network="baseline-0", epoch=99)], ignore_index=True)


def test_story():
    told = drilldown.story(life([0.0, 1.5, -3.0, 2.0, 0.5]))
    assert told == {
        "born": 1,
        "peak": 2,
        "gone": 8,
        "effect": -3.0,
        "generalizes": True,
        "epochs": 3,
        "recorded": 5,
    } | {"flips": 2}
    assert drilldown.story(life([0.0, 0.0, 0.0, 0.0, 2.0], generalizes=False))["gone"] is None
    assert drilldown.story(life([0.0, 0.1]))["born"] is None
    assert drilldown.story(life([0.0, 0.1]))["recorded"] == 2


def test_numbered():
    _, interactions = game()
    rows = interactions.assign(members=[(0, 1), (1, 2), (0,)])
    assert drilldown.numbered(rows)["names"].tolist() == ["{0, 1}", "{1, 2}", "{0}"]


def test_story_text():
    assert drilldown.story_text(drilldown.story(life([0.0, 1.5, -3.0, 2.0, 0.5]))) == (
        "Born at epoch 1, strongest at epoch 2 (−3.000 nats), gone at epoch 8; salient at 3 of 5 epochs. "
        "It changes its sign 2 times. At its peak it generalizes: the baseline has it too, or most of several do."
    )
    text = drilldown.story_text(drilldown.story(life([0.0, 0.0, 0.0, 0.0, 2.0], generalizes=False)))
    assert text == (
        "Born at epoch 8, strongest at epoch 8 (+2.000 nats), still there at the last epoch; salient at 1 of 5 epochs. "
        "At its peak it does not generalize: the baseline, or most of several, lacks it or has the other sign."
    )
    assert drilldown.story_text(drilldown.story(life([0.0, 0.1]))) == "Salient at none of 2 epochs."
