"""Every chart of the catalogue: with rows and without, on its page, in files and docs; and what a choice says."""

import json
import re
import runpy
from dataclasses import replace

import pandas as pd
import plotly.graph_objects as go
import plotly.io
import pytest
from click.testing import CliRunner

from interdash.commands.main import commands
from interdash.dashboard import page as ui
from interdash.figures import catalogue, theme
from interdash.figures import choice as choice_of_figures
from interdash.figures.chart import Chart
from interdash.figures.choice import Choice, resolved
from interdash.queries import dynamics, sample
from interdash.queries.asking import Ask
from interdash.runs.run import Run

CHARTS = pytest.mark.parametrize("chart", catalogue.CHARTS, ids=lambda chart: chart.name)


@pytest.fixture(scope="module")
def ask(two_runs, two_store):
    return Ask(Run(two_runs / "tiny"), two_store)


@pytest.fixture(scope="module")
def choice(ask):
    return resolved(ask, Choice(runs=("twin",), sample=1))


def frames(chart, ask, choice):
    """Returns what a chart draws of a run of images; of one on words, the same sample with words."""
    rows = chart.rows(ask, choice)
    if chart.name == "input_words":
        rows = {name: frame.assign(display=[json.dumps(list(frame["names"].iloc[0]))]) for name, frame in rows.items()}
    return rows


@CHARTS
def test_a_chart_is_drawn_and_its_rows_stay_as_they_were(chart, ask, choice):
    rows = frames(chart, ask, choice)
    assert all(len(frame) for frame in rows.values())
    before = [frame.copy(deep=True) for frame in rows.values()]
    for settings in (chart.options(ask, choice), chart.options(ask, choice) | chart.marks(ask, choice)):
        drawn = chart.figure(*rows.values(), **settings)
        assert isinstance(drawn, go.Figure) and (drawn.data or drawn.layout.annotations)
        drawn.to_json()
    for frame, old in zip(rows.values(), before, strict=True):
        pd.testing.assert_frame_equal(frame, old)
    left = min(axis.domain[0] if axis.domain else 0 for axis in drawn.select_xaxes())
    below = min(axis.domain[0] if axis.domain else 0 for axis in drawn.select_yaxes())
    for x in drawn.select_xaxes():
        y = drawn.layout[f"yaxis{(x.anchor or 'y')[1:]}"]
        assert y.title.text or (x.domain[0] if x.domain else 0) > left, "an axis on the left has a title"
        assert x.title.text or (y.domain[0] if y.domain else 0) > below, "an axis at the bottom has a title"


@CHARTS
def test_a_chart_without_rows_says_why(chart, ask, choice):
    drawn = chart.figure(*(frame.iloc[:0] for frame in frames(chart, ask, choice).values()))
    assert not drawn.data and len(drawn.layout.annotations[0].text) > 10
    assert drawn.layout.xaxis.title.text and drawn.layout.yaxis.title.text


@CHARTS
def test_a_chart_has_a_caption_and_how_to_read_it(chart):
    assert 20 < len(chart.caption) <= 120 and chart.caption.endswith(".")
    assert len(chart.how_to_read) > 60 and chart.how_to_read.endswith(".")


def test_names_are_unique():
    assert len({chart.name for chart in catalogue.CHARTS}) == len(catalogue.CHARTS)
    with pytest.raises(ValueError, match=r"there is no chart 'pie'; choose one of flows, .*dynamics, .*order_strength"):
        catalogue.chart("pie")


def opened(visit, root, stem, **query):
    """Returns a page of the run tiny that has nothing to complain of."""
    page = visit(stem, root, **({"run": "tiny", "runs": ["tiny", "twin"]} | query))
    assert not page.error and not page.warning
    return page


@pytest.mark.parametrize("stem", sorted({chart.page for chart in catalogue.CHARTS} - {""}))
def test_charts_are_on_their_page_and_files_are_drawn_from_the_same(visit, two_runs, ask, stem):
    for view in sorted({chart.view for chart in catalogue.CHARTS if chart.page == stem}):
        page = opened(visit, two_runs, stem, **{"view": view} if view else {})
        drawn = {chart.key: json.loads(chart.proto.spec)["data"] for chart in page.get("plotly_chart")}
        first = view or next(iter(catalogue.views(stem)), "")
        # as the page has it unless the user says otherwise
        top = 20 if stem in ("sample", "interactions") else 10
        choice = Choice(runs=("twin",) if stem == "compare" else (), top=top)
        choice = replace(choice, samples=tuple(range(12)) if view == "Many samples" else ())
        there = set(catalogue.names(ask, choice))  # not the drawings of other kinds of input
        on_page = {chart.name for tab in ("", first) for chart in catalogue.on(stem, tab)}
        assert {key.removesuffix("-all") for key in drawn} == on_page & there, view
        asked = resolved(ask, choice)
        for chart in (chart for chart in catalogue.on(stem, view) if chart.name in there):
            figure = chart.drawing_on_page(ask, asked).figure()
            figure = theme.on_page(figure, dark=False, selectable=bool(chart.click), panels=chart.panels)
            ours = json.loads(plotly.io.to_json(figure.to_dict(), validate=False))["data"]
            assert drawn[f"{chart.name}-all" if chart.by_type else chart.name] == ours, chart.name


def test_a_chart_of_ones_own_is_one_record(monkeypatch, visit, two_runs, ask, tmp_path):
    """It is on its page, in export and in the docs, although no other file knows of it."""

    def toy(epochs: pd.DataFrame) -> go.Figure:
        """Accuracy of the training split by epoch, a chart of a test.

        How to read: the higher the line, the more of the training samples are classified as their labels say.
        """
        layout = {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": "accuracy (share)"}}}
        return go.Figure(go.Scatter(x=epochs["epoch"], y=epochs["train_accuracy"], name="toy"), layout)

    record = Chart(
        toy, lambda ask, c: {"epochs": ask(dynamics.epochs, split=c.split)}, page="removal", view="Toy", says=("split",)
    )
    monkeypatch.setattr(catalogue, "CHARTS", (*catalogue.CHARTS, record))
    page = opened(visit, two_runs, "removal", view="Toy")
    assert [tab.label for tab in page.tabs][-1] == "Toy"
    assert [chart.key for chart in page.get("plotly_chart")] == ["gap_changes", "removals", "toy"]
    assert any(caption.value.startswith("Accuracy of the training split") for caption in page.caption)

    figures = opened(visit, two_runs, "figures", figure=["toy"], split="testing")
    assert any(caption.value.endswith("a chart of a test. Testing samples.") for caption in figures.caption)

    arguments = ("--root", str(two_runs), "--figure", "toy", "--format", "html", "--out", str(tmp_path))
    said = CliRunner().invoke(commands, ["export", "tiny", *arguments], catch_exceptions=False)
    assert said.exit_code == 0 and "Plotly.newPlot" in (tmp_path / "tiny-toy.html").read_text()

    docs = runpy.run_path(str(ui.FOLDER.parent / "docs" / "generate.py"))["charts"]()
    removal = docs.partition("## Page Removal")[2].partition("## Page")[0]
    assert "### toy\n\nAccuracy of the training split by epoch, a chart of a test.\n\n**How to read:** the" in removal


def test_choices_that_cannot_be_are_named(ask, monkeypatch):
    for choice, message in (
        (Choice(epochs=(0, 7)), "epoch 7 of tiny has no interactions; choose one of 0, 1, 3"),
        (Choice(runs=("twin",), other_epoch=2), "epoch 2 of twin has no interactions"),
        (Choice(min_order=9), "there is no order 9; choose 1 to 4"),
        (Choice(label=77), "there is no class 77; choose one of 0, 1"),
        (Choice(start=2), "lives are not followed from epoch 2 on; choose one of 0, 1, 3"),
        (Choice(interaction="and-99"), "there is no interaction and-99; its number is 1 to 15"),
        (Choice(interaction="AND {0, film}"), "by the numbers of its variables, 0 to 3, or their names in sample 0"),
        (Choice(beside="7-2"), "epoch 2 of tiny has no interactions"),
        (Choice(beside="99-3"), "there is no sample 99; choose 0 to 59"),
        (Choice(samples=(3, 60)), "there is no sample 60; choose 0 to 59"),
    ):
        with pytest.raises(ValueError, match=message):
            resolved(ask, choice)
    for wrong, message in (
        ({"runs": tuple("abcdef")}, "6 other runs cannot be told apart in one figure; compare with 5 at most"),
        ({"by": "time"}, "cannot be aligned by 'time'; choose one of epoch, phase, seeds"),
        ({"dose": 55}, "a dose of 55 % is not computed; choose 0, 10, … 100"),
        ({"life_line": "loyal"}, "there is no life line 'loyal'; choose one of all, reliable, forgotten"),
        ({"split": "loud"}, "there are no samples 'loud'; choose one of all, train, test, clean, random"),
        ({"where": ("much",)}, "'much' is no condition; write samples, strength"),
        ({"pattern": "and-3"}, "'and-3' names no interaction of a sample; write and-37-12 for and-37 in sample 12"),
        ({"beside": "7"}, "'7' names no sample at an epoch; write 7-40 for sample 7 at epoch 40"),
        ({"top": 0}, "0 interactions cannot be listed; choose 1 or more"),
        ({"interaction": "xor-3"}, "'xor-3' names no interaction; write AND {5, 8}, or-6 or none"),
    ):
        with pytest.raises(ValueError, match=message):
            Choice(**wrong)
    monkeypatch.setattr(sample, "random_labels", lambda store, run: 0)
    with pytest.raises(ValueError, match="no sample of tiny is known to have a random label; choose all, train"):
        resolved(ask, Choice(split="clean"))
    with pytest.raises(TypeError):
        Choice(1)  # neighbours exchanged would be another figure


def test_captions_say_what_was_chosen(ask):
    assert choice_of_figures.IN_FILES.keys() == choice_of_figures.WORDS.keys()

    def caption(name, **choice):
        return catalogue.drawing(ask, name, Choice(**choice)).caption

    assert caption("dynamics").endswith("and H, by epoch.")
    assert caption("dynamics", split="test", label=3, types=("or",)).endswith(
        ". Testing samples, class 3, OR interactions."
    )
    assert re.search(
        r" Sample 3 \((training|testing), label \d, answer \d\), epoch 3\.$", caption("waterfall", sample=3)
    )
    assert caption("interaction_life", sample=3, interaction="or-6").startswith(
        "One interaction of a sample"
    ) and " OR {1, 2}, sample 3 (" in caption("interaction_life", sample=3, interaction="or-6")
    assert caption("interaction_life", sample=3, interaction="OR {2, 1}") == caption(
        "interaction_life", sample=3, interaction="or-6"
    )
    assert caption("pair", beside="7-1").endswith("), epoch 3, compared with sample 7, epoch 1.")
    assert caption("many_samples", samples=(4, 2)).endswith(" Samples 4, 2, epoch 3.")
    assert caption("removals", min_order=2, dose=50).endswith(" Orders from 2 on, dose 50 %.")
    assert caption("strongest_patterns", sort="flips").endswith(" Epoch 3, sorted by flips.")
    assert caption("difference", runs=("twin",), other_epoch=1).endswith("), epoch 3 of A, 1 of B.")


def test_maps_are_two_panels_and_only_what_was_asked_for_is_framed_in_a_file(ask):
    drawing = catalogue.drawing(ask, "order_map", Choice(types=("and", "or")))
    assert [part.options["type"] for row in drawing.parts for part in row] == ["and", "or"]
    assert len(drawing.parts) == 2  # below each other

    def chosen(choice):
        return catalogue.drawing(ask, "waterfall", choice).options.get("chosen")

    assert chosen(Choice()) is None and chosen(Choice(interaction="none")) is None
    assert chosen(Choice(interaction="or-6")) == "or-6"
    strongest = sample.interactions(ask.store, "tiny", 3, 0, limit=1).iloc[0]
    on_page = catalogue.chart("waterfall").drawing_on_page(ask, resolved(ask, Choice())).options
    assert on_page == {"chosen": f"{strongest['type']}-{strongest['subset']}"}
