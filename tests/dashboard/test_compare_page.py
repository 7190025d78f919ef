"""The page Compare, its questions and its figures."""

from functools import partial

import pandas as pd
import pytest

from interdash.figures import compare as charts
from interdash.queries import compare, dynamics
from interdash.store.database import open_store


@pytest.fixture(scope="module")
def hand_made():
    """A store with round numbers: two runs, one sample each epoch; A has {0} and {0, 1}, B has {0} and {2}."""
    store = open_store()
    with store.transaction() as cursor:
        cursor.execute(
            "INSERT INTO samples BY NAME SELECT 'a' AS run, unnest([0, 1]) AS sample, ['x', 'y', 'z'] AS names"
        )
        rows = [("a", "and", 1, 1, 2.0), ("a", "and", 3, 2, -4.0), ("b", "and", 1, 1, 3.0), ("b", "or", 4, 1, 1.0)]
        for run, kind, subset, size, effect in rows:
            cursor.execute(
                "INSERT INTO interactions BY NAME SELECT ? AS run, 'target' AS network, 5 AS epoch, 0 AS sample, "
                "? AS type, ? AS subset, ? AS size, ? AS effect",
                [run, kind, subset, size, effect],
            )
    yield store
    store.close()


def test_difference_by_order(hand_made):
    rows = compare.difference_by_order(hand_made, "a", 5, "b", 5)
    assert rows["size"].tolist() == [1, 2]
    assert rows["only_first"].tolist() == [0.0, 2.0]  # means over two samples
    assert rows["both_first"].tolist() == [1.0, 0.0]
    assert rows["both_second"].tolist() == [1.5, 0.0]
    assert rows["only_second"].tolist() == [0.5, 0.0]
    assert rows[["first_count", "both_count", "second_count"]].to_numpy().tolist() == [[0, 0.5, 0.5], [0.5, 0, 0]]
    assert compare.difference_by_order(hand_made, "a", 4, "b", 4).empty


def test_curves(two_store):
    rows = compare.curves(two_store, ["twin", "tiny"])
    assert rows["run"].drop_duplicates().tolist() == ["twin", "tiny"]
    assert set(rows["curve"]) == {*charts.PANELS, "chance"}
    of_run = rows.loc[rows["run"] == "tiny"]
    epochs = dynamics.epochs(two_store, "tiny")
    for curve in ("gap", "generalizable", "generalization_power", "chance"):
        expected = epochs[curve].dropna().tolist()
        assert of_run.loc[of_run["curve"] == curve, "value"].tolist() == pytest.approx(expected)
    assert (of_run.loc[of_run["curve"] == "generalizable"].eval("low <= value <= high")).all()
    assert compare.curves(two_store, ["no such run"]).empty


def test_endings_in_rows_and_words_and_settings(two_store):
    rows = compare.endings(two_store, ["twin", "tiny"])
    epochs = dynamics.epochs(two_store, "tiny")
    assert rows["run"].tolist() == ["twin", "tiny"]
    assert rows["gap"].tolist() == pytest.approx([epochs["gap"].iloc[-1]] * 2)
    assert rows["peak_power"].tolist() == pytest.approx([epochs["generalization_power"].max()] * 2)
    listed = charts.ends_listed(rows)
    assert set(listed["boundary 1|2"]) == {"not found"}
    found = charts.ends_listed(rows.assign(boundary_12=12.0))
    assert set(found["boundary 1|2"]) == {"epoch 12"}
    ends = compare.endings(two_store, ["twin", "tiny"])
    assert charts.finding_text(ends.assign(peak_power=0.5, peak_epoch=3, run=["a", "b"])) == (
        "H peaks in a at epoch 3, at 50%; in b at epoch 3, at 50%"
    )
    assert charts.finding_text(ends.assign(peak_power=None)) == "Losses by epoch"
    assert compare.settings(two_store, ["tiny", "tiny"]).empty
    assert "name" not in compare.settings(two_store, ["tiny", "twin"])["setting"].tolist()


@pytest.fixture(scope="module")
def answers(two_store, hand_made):
    return {
        "curves": compare.curves(two_store, ["tiny", "twin"]),
        "difference": compare.difference(hand_made, "a", 5, "b", 5, 0),
        "difference_by_order": compare.difference_by_order(hand_made, "a", 5, "b", 5),
    }


def test_difference_says_who_has_what(answers):
    drawn = charts.difference(answers["difference"], first="A: <a>", second="B: b")
    assert {trace.name for trace in drawn.data if trace.name} == {"1 only A: &lt;a&gt;", "1 both", "1 only B: b"}
    only = answers["difference"].loc[answers["difference"]["where"] == "second"]
    listed = charts.listed(only, "second")
    assert listed.to_dict("records")[0] == {
        "type": "OR", "variables": "{z}", "order": 1, "effect (nats)": 1.0, "generalizes": "unknown",
    }  # fmt: skip


def test_curves_by_phase(answers):
    phases = pd.DataFrame({"run": ["tiny"] * 2, "boundary": ["1|2", "2|3"], "epoch": [1.0, 2.0]})
    rows = compare.aligned(answers["curves"], phases)
    drawn = charts.curves(rows, by="phase")
    assert {trace.name for trace in drawn.data if trace.name} == {"tiny"}
    assert drawn.layout.xaxis.ticktext == ("start", "1|2", "2|3", "end")
    nothing = charts.curves(rows.assign(position=float("nan")), by="phase")
    assert not nothing.data


@pytest.fixture
def page(visit, two_runs):
    """Returns a function that runs the page with query parameters."""
    return partial(visit, "compare", two_runs)


def test_page(page, two_store):
    test = page()
    assert not test.error
    assert not test.warning
    assert [heading.value for heading in test.subheader] == [
        charts.finding_text(compare.endings(two_store, test.multiselect(key="runs").value)),
        "What they end with",
        "Settings that differ",
        "Who learned what",
    ]
    assert {chart.name for chart in charts.CHARTS} <= {chart.key for chart in test.get("plotly_chart")}
    test = page(runs=["twin", "tiny"], a="twin", b="tiny", epoch_a="0", epoch_b="3", number="5", by="phase")
    assert not test.warning
    assert not test.exception
    assert sorted(info.value for info in test.info if "aligned" in info.value) == [
        f"{name} has no boundary between phases, so that it cannot be aligned." for name in ("tiny", "twin")
    ]
    assert any("sample 5" in text.value for text in test.markdown)
    assert any("(sample?run=twin&epoch=0&sample=5)" in text.value for text in test.markdown)


def test_the_address_keeps_the_runs(page):
    test = page()
    assert sorted(test.query_params["runs"]) == ["tiny", "twin"] and test.query_params["epoch_a"] == "3"
    test.multiselect(key="runs").set_value([]).run()
    assert test.query_params["runs"] == "" and test.info[0].value.startswith("Choose at least two runs")
    test.multiselect(key="runs").set_value(["twin", "tiny"]).run()
    assert test.query_params["runs"] == ["twin", "tiny"] and len(test.get("plotly_chart")) >= len(charts.CHARTS)


def test_one_run_is_not_enough_and_unknown_ones_are_named(page):
    test = page(runs=["tiny"])
    assert test.info[0].value.startswith("Choose at least two runs")
    assert not test.get("plotly_chart")
    test = page(runs=["tiny", "../../etc"])
    assert "The link asks for run `../../etc`, which is not there." in test.warning[0].value
    test = page(number="99999999999999")
    assert "which is not there" in test.warning[0].value
