"""The page Interactions: its finding, its list, and what a link can ask for."""

import json
import re
from functools import partial

import pytest

from interdash.figures.choice import Choice, pattern_name, resolved, table_of
from interdash.formulas.bootstrap import FEW
from interdash.queries import sample
from interdash.queries.asking import Ask


@pytest.fixture
def page(visit, labelled_run):
    """Returns a function that runs the page with query parameters."""
    return partial(visit, "interactions", labelled_run.path.parent, run="tiny")


@pytest.fixture
def ask(labelled_run, small_store):
    return Ask(labelled_run, small_store)


def test_page(page, ask):
    test = page()
    assert not test.error and not test.warning
    rows = table_of(ask, resolved(ask, Choice()))
    first = rows.iloc[0]
    finding, name = (heading.value for heading in test.subheader)
    assert finding.startswith(f"{first['type'].upper()} {first['names']} comes first at epoch 3: salient in ")
    assert f"{first['power']:.0%} of its strength generalizes ({first['chance']:.0%} by chance)" in finding
    assert name.replace("\\", "") == pattern_name(ask, resolved(ask, Choice()))
    table = test.dataframe[0].value
    assert table["samples"].tolist() == rows["samples"].tolist()
    assert [tab.label for tab in test.tabs] == ["Variables", "Map", "Network"]
    links = test.dataframe[1].value["sample"]
    assert links.str.contains(
        rf"sample\?run=tiny&epoch=3&sample=\d+&interaction={first['type']}-{first['subset']}$"
    ).all()


def test_choices(page, ask):
    test = page(where="samples >= 10, order = 2", rank="flips", pattern="or-3-0", epoch="1")
    assert not test.warning
    rows = test.dataframe[0].value
    assert set(rows["order"]) == {2} and rows["samples"].min() >= 10 and rows["flips"].is_monotonic_decreasing
    assert test.subheader[1].value == "OR \\{0, 1\\}"
    selection = test.session_state["patterns"]["selection"]
    (ticked,) = selection["rows"]  # the one that is drawn
    assert [tuple(cell) for cell in selection["cells"]] == [(ticked, "interaction")]  # where arrow keys start from
    assert rows["interaction"].iloc[ticked] == "OR {0, 1}" and ticked > 0
    (frame,) = json.loads(test.get("plotly_chart")[0].proto.spec)["layout"]["shapes"]
    assert frame["x0"] < ticked < frame["x1"]
    count = sample.random_labels(ask.store, "tiny")
    random = page(split="random")
    assert 0 < count < FEW
    assert f"of {count} samples. {count} samples are too few to say what generalizes." in random.subheader[0].value
    assert set(random.dataframe[1].value["true label"].str.contains("random")) == {True}
    assert page(where="samples >= 1000").subheader[0].value == "No interaction of these samples fits."


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("where", "beauty >= 3", "beauty .*is no condition; write samples"),
        ("pattern", "and-3", "an interaction of a sample is written as and-37-12|one is written as and-37"),
        ("pattern", "and-3-99", "The link asks for `and-3-99`; an interaction of a sample is written as and-37-12"),
        ("pattern", "xor-3-1", "one is written as and-37"),
        ("rank", "beauty", "Sorted by `beauty`, which is not there; this is strength"),
    ],
)
def test_hostile_link(page, key, value, message):
    test = page(**{key: value})
    assert re.search(message, test.warning[0].value) and not test.error


def test_labels_that_are_not_known_to_be_random(visit, two_runs, monkeypatch):
    monkeypatch.setattr(sample, "random_labels", lambda store, run: 0)
    test = visit("interactions", two_runs, run="tiny", split="random")
    assert "Samples `random`, which is not there; this is both" in test.warning[0].value
    assert test.segmented_control("split").options == ["both", "training", "testing"]
