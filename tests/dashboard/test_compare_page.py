"""The page Compare, its questions and its figures."""

import json
from functools import partial

import pandas as pd
import pytest

from interdash.dashboard import help, links
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
    terms = {"loss gap", "generalizable share (H)", "by chance", "above chance", "phase 1, 2, 3"}
    assert terms <= help.glossary().keys()  # which the page shows at its columns
    assert set(listed["phase 2 from"]) == {"not found"} and "gap (nats)" in listed
    found = charts.ends_listed(rows.assign(boundary_12=12.0))
    assert set(found["phase 2 from"]) == {"epoch 12"}
    ends = compare.endings(two_store, ["twin", "tiny"])
    assert charts.finding_text(ends.assign(peak_power=0.5, peak_epoch=3, chance=[0.25, None], run=["a", "b"])) == (
        "The generalizable share (H) peaks in a at 50% (25% by chance), epoch 3; in b at 50%, epoch 3"
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
    assert drawn.layout.xaxis.ticktext == ("start", "phase 2", "phase 3", "end")
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
        links.plain(charts.finding_text(compare.endings(two_store, test.multiselect(key="runs").value))),
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
    test = page(runs=["../../etc", "twin", "tiny"])  # what is right in it is kept
    assert "The link asks for runs `../../etc`, not there: left out." in test.warning[0].value
    assert test.multiselect(key="runs").value == test.query_params["runs"] == ["twin", "tiny"]
    assert test.get("plotly_chart")
    test = page(number="99999999999999")
    assert "which is not there" in test.warning[0].value


def test_seeds_are_one_line(two_store, page):
    """Mean and standard deviation by hand; an epoch that one run lacks is left out; a run alone stays as it is."""
    rows = [("a", 1, 1.0), ("a", 2, 3.0), ("b", 1, 2.0), ("c", 1, 5.0)]
    curves = pd.DataFrame(rows, columns=["run", "epoch", "value"]).assign(curve="gap", low=0.0, high=9.0)
    pooled = compare.over_seeds(curves, [["a", "b"], ["c"]])
    assert pooled["run"].tolist() == ["a (mean of 2)", "c"] and pooled["epoch"].tolist() == [1, 1]
    assert pooled["value"].tolist() == [1.5, 5.0]
    assert pooled["high"].tolist() == pytest.approx([1.5 + 0.5**0.5, 9.0])
    assert pooled["low"].tolist() == pytest.approx([1.5 - 0.5**0.5, 0.0])
    assert compare.seed_groups(two_store, ["twin", "tiny"]) == [["twin", "tiny"]]
    test = page(runs=["twin", "tiny"], by="seeds")
    names = {trace.get("name") for trace in json.loads(test.get("plotly_chart")[0].proto.spec)["data"]}
    assert "twin (mean of 2)" in names and "tiny" not in names


def test_different_data_share_no_axis_of_nats(visit, two_runs, worded, two_store):
    rows = [
        ("a", "generalizable", 1.0),
        ("a", "non_generalizable", 3.0),
        ("a", "gap", 7.0),
        ("b", "generalizable", 0.0),
        ("a", "strength", 4.0),
        ("b", "strength", 0.0),
    ]
    curves = pd.DataFrame(rows, columns=["run", "curve", "value"]).assign(epoch=1, low=0.5, high=4.0)
    shares = compare.relative(curves)
    assert shares["value"].tolist()[:3] == [0.25, 0.75, 7.0] and shares["value"].isna().tolist()[3]
    assert shares["high"].tolist()[:3] == [1.0, 1.0, 4.0]
    assert compare.data_of(two_store, ["tiny"]) == {"tiny": "digits (4 variables of each image, 10 classes)"}
    test = visit("compare", two_runs, worded["census"].path.parent, runs=["tiny", "census"])
    assert any(
        "are on different data" in info.value and "12 variables of each table" in info.value for info in test.info
    )
    layout = json.loads(test.get("plotly_chart")[0].proto.spec)["layout"]
    titles = {axis["title"]["text"] for name, axis in layout.items() if name.startswith("yaxis")}
    assert "generalizable (of peak)" in titles and "generalizable (nats)" not in titles


def test_a_sample_is_chosen_by_its_picture(page):
    test = page(runs=["twin", "tiny"])
    assert not test.get("bidi_component")  # no picture is read before it is asked for
    test.session_state["pictures"] = True
    test.run()
    assert not test.exception and test.get("bidi_component")
