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
    } | {"flips": 2, "baselines": 1, "lack": 1, "opposite": 0, "opposite_effect": None}
    assert drilldown.story(life([0.0, 0.0, 0.0, 0.0, 2.0], generalizes=False))["gone"] is None
    assert drilldown.story(life([0.0, 0.1]))["born"] is None
    assert drilldown.story(life([0.0, 0.1]))["recorded"] == 2


def test_numbered():
    _, interactions = game()
    rows = interactions.assign(members=[(0, 1), (1, 2), (0,)])
    assert drilldown.numbered(rows)["names"].tolist() == ["{0, 1}", "{1, 2}", "{0}"]


def test_story_text():
    def text(effects, **settings):
        return drilldown.story_text(drilldown.story(life(effects, **settings)))

    assert text([0.0, 1.5, -3.0, 2.0, -1.5]) == (
        "Born at epoch 1, strongest at epoch 2 (−3.000 nats), still there at the last epoch; salient at 4 of 5 epochs. "
        "It changes its sign 3 times. At its peak it generalizes: the baseline has it too."
    )
    assert text([0.0, -3.0, 2.0], generalizes=False).endswith(
        "does not generalize: the baseline has the other sign (+2.000 nats)."
    )
    assert text([0.0, 2.0, 0.5], generalizes=False) == (
        "Born at epoch 1, strongest at epoch 1 (+2.000 nats), gone at epoch 2; salient at 1 of 3 epochs. "
        "At its peak it does not generalize: the baseline lacks it."
    )
    rows = life([0.0, -3.0, 2.0], generalizes=False)
    three = [rows.query("network == 'target'").assign(network=f"baseline-{i}", epoch=99) for i in (1, 2)]
    three[1] = three[1].assign(salient=False)
    assert drilldown.story_text(drilldown.story(pd.concat([rows, *three]))).endswith(
        ": 1 of 3 baselines lacks it, 2 of 3 baselines have the other sign (mean +2.000 nats)."
    )
    assert text([0.0, 0.1]) == "Salient at none of 2 epochs."


def test_faithfulness_and_finding_in_words():
    rows = pd.DataFrame({"count": [1, 8], "explained": [0.1, 0.19]})
    now = {"residual": 1e-15, "salient": 8, "correct": True, "non_generalizable_share": 0.75}
    assert drilldown.faithfulness_text(rows, now) == (
        "Faithful: **exact**; sparse: **weak**, its 8 salient interactions give 19% of the variance."
    )
    assert "sparse: **fair**" in drilldown.faithfulness_text(rows.assign(explained=0.5), now)
    assert "off by up to 0.01 nats**; sparse: **unknown**." in drilldown.faithfulness_text(
        rows[:0], now | {"residual": 0.01}
    )
    assert drilldown.finding(now, "7", "7") == "label 7, answer 7; 75% of its salient strength does not generalize"
    now |= {"correct": False, "non_generalizable_share": np.nan}
    assert drilldown.finding(now, "7", "1") == "label 7, answer 1"
    assert drilldown.finding(now | {"salient": 0}, "7", "1") == "label 7, answer 1; no interaction is salient"


def test_paired():
    def every(*rows):
        table = pd.DataFrame(rows, columns=["type", "subset", "names", "effect", "salient"])
        return table.assign(generalizes=[True if salient else None for salient in table["salient"]])

    first = every(("and", 1, "{a}", 3.0, True), ("or", 3, "{a, b}", -2.0, True), ("and", 3, "{a, b}", 1.0, True))
    second = every(("and", 1, "{a}", 2.0, True), ("or", 3, "{a, b}", 2.5, True), ("and", 2, "{b}", 4.0, True),
                   ("and", 3, "{a, b}", 0.1, False))  # fmt: skip

    def courses(first, second, by="variables", forward=None):
        rows = drilldown.paired(first, second, top=9, by=by, forward=forward)
        return dict(zip(rows["type"] + rows["names"], rows["course"], strict=True))

    assert courses(first, second, forward=True) == {
        "and{b}": "born", "and{a}": "stays", "or{a, b}": "flipped", "and{a, b}": "gone",
    }  # fmt: skip
    assert courses(second, first, forward=False) == courses(first, second, forward=True)
    assert courses(first, second)["and{b}"] == "second only" and courses(first, second)["and{a}"] == "both"
    turned = second.assign(names=second["names"].replace("{a, b}", "{b, a}"))  # words, at other places
    assert courses(first, turned, by="words") == courses(first, second)
    assert "both" not in courses(first, second, by="order").values()  # nothing connects the variables of two samples
    rows = drilldown.paired(first, second, top=2, by="variables", forward=True)
    assert rows["second"].tolist() == [4.0, 2.0] and np.isnan(rows["first"][0]) and rows["subset"].tolist() == [2, 1]
