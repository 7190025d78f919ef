"""The page Figures."""

import json
import re
import shutil
from functools import partial

import pytest

from interdash.dashboard import data, picker
from interdash.figures import inputs
from interdash.paper import bundle
from interdash.paper import chromium as export


@pytest.fixture
def opened(visit):
    """Returns a function that runs the page with query parameters."""
    return partial(visit, "figures")


def test_page_shows_figures_at_true_size(opened, labelled_run, monkeypatch):
    monkeypatch.setattr(picker, "_picture", lambda page, name: b"a picture" if name != "gap" else 1 / 0)
    figure = ["waterfall", "pie"]
    page = opened(labelled_run.path.parent, pictures=True, run="tiny", venue="icml-column", figure=figure, shelf="all")
    assert not [html for html in page.get("html") if "<img" in html.proto.body]  # they come while nobody waits
    assert "asks for figures `pie`, not there: left out." in page.warning[0].value
    data._shared().ahead.join()
    page.run()
    drawn = [html for html in page.get("html") if "<img" in html.proto.body]
    assert len(drawn) == sum(tick.key.startswith("tick-") for tick in page.checkbox) - 1 > 30  # all that can be drawn
    (chart,) = page.get("plotly_chart")
    assert json.loads(chart.proto.spec)["layout"]["width"] == 312
    page.selectbox(key="venue").set_value("custom").run()
    page.text_input(key="width").set_value("3 feet").run()
    assert "there is no venue '3 feet'" in page.error[0].value


def test_a_figure_is_printed_once_for_a_look_at_it(opened, labelled_run, monkeypatch):
    printed, calls = bundle.printed, []
    monkeypatch.setattr(bundle, "printed", lambda *args: calls.append(args) or printed(*args))
    page = opened(labelled_run.path.parent, run="tiny", figure=["dynamics", "gap"])
    assert len(calls) == 2
    page.multiselect(key="formats").set_value(["png", "html"]).run()
    assert len(calls) == 2 and [heading.value for heading in page.subheader] == ["Dynamics", "Gap"]
    page.selectbox(key="venue").set_value("nature").run()
    assert len(calls) == 4 and not page.exception


def test_page_compares_runs_and_sets_panels(opened, two_runs):
    page = opened(
        two_runs, run="tiny", figure=["curves"], panels="dynamics/interactions", numbers="1 234,5",
        shelf="Compare", **{"with": ["twin", "gone"]},
    )  # fmt: skip
    assert "asks for runs `gone`, not there: left out." in page.warning[0].value
    specs = [json.loads(chart.proto.spec)["layout"] for chart in page.get("plotly_chart")]
    assert len(specs) == 2 and all(spec["separators"] == ",\u2009" for spec in specs)
    assert [heading.value for heading in page.subheader] == ["Curves", "Dynamics, Interactions"]
    assert {"tick-curves", "tick-difference"} <= {tick.key for tick in page.checkbox}
    page.text_input(key="panels").set_value("dynamics,pie").run()
    assert "has no figure 'pie'" in page.error[0].value


def test_page_takes_the_dots_per_inch_and_what_its_link_carries(opened, labelled_run):
    page = opened(
        labelled_run.path.parent, run="tiny", figure=["order_strength_row", "input_image"], unit="nats",
        epochs=["0", "3"], interaction="OR {2, 1}", sample="2",
    )  # fmt: skip
    assert not page.error and not page.warning
    row, picture = (json.loads(chart.proto.spec) for chart in page.get("plotly_chart"))
    titles = [note["text"] for note in row["layout"]["annotations"]]
    assert titles == ["order", "epoch 0", "epoch 3"]
    lit = [note["text"] for note in picture["layout"]["annotations"] if note["bordercolor"] == inputs.CHOSEN]
    assert lit == ["<b>1</b>", "<b>2</b>"]
    assert "by" not in {widget.key for widget in page.button_group}  # nothing is compared
    assert [chart.proto.alt for chart in page.get("plotly_chart")][1].startswith("The input as the network sees it")
    assert any("at true size. The input as the network sees it" in caption.value for caption in page.caption)
    assert "dpi" not in [widget.key for widget in page.number_input]
    page.multiselect(key="formats").set_value(["png"]).run()
    page.number_input(key="dpi").set_value(600).run()
    assert not page.exception and page.number_input(key="dpi").max == 2400


def test_page_names_a_wrong_interaction_and_too_many_runs(opened, labelled_run, tmp_path):
    for name in ("tiny", *"abcdef"):
        shutil.copytree(labelled_run.path, tmp_path / name)
    page = opened(tmp_path, run="tiny", figure=["interactions"], interaction="xor-1", **{"with": [*"abcdef"]})
    said = " ".join(box.value for box in page.warning)
    assert "asks for interaction `xor-1`" in said and "asks for 6 runs; these are the first 5" in said
    assert page.multiselect(key="with").value == [*"abcde"]


def test_picker_shows_the_figures_of_a_page_and_those_picked(opened, labelled_run):
    page = opened(labelled_run.path.parent, run="tiny", figure=["flows", "waterfall"])

    def offered():
        return [tick.key.removeprefix("tick-") for tick in page.checkbox if tick.key.startswith("tick-")]

    assert {"flows", "dynamics", "gap", "waterfall"} < {*offered()} and not {"pair", "removals"} & {*offered()}
    page.segmented_control(key="shelf").set_value("Sample").run()
    assert {"flows", "waterfall", "pair", "sample_interactions"} < {*offered()} and "gap" not in offered()
    page.checkbox(key="tick-flows").uncheck().run()
    assert "flows" not in offered() and [heading.value for heading in page.subheader] == ["Waterfall"]
    page.segmented_control(key="shelf").set_value("all").run()
    assert len(offered()) > 30 and not page.exception


def test_page_without_chromium(opened, monkeypatch, labelled_run):
    def missing():
        raise export.NoBrowserError("install it")

    monkeypatch.setattr(export, "chromium", missing)
    page = opened(labelled_run.path.parent, run="tiny")
    assert "install it" in page.warning[0].value and "as SVG" in page.warning[0].value
    assert page.multiselect(key="formats").options == ["html"]
    assert page.get("plotly_chart")


def test_figures_are_picked_and_set_as_panels_by_click(opened, labelled_run):
    page = opened(labelled_run.path.parent, run="tiny", venue="icml", shelf="Sample")
    assert [heading.value for heading in page.subheader] == ["Dynamics", "Order strength row"]
    page.checkbox(key="tick-waterfall").check().run()
    page.checkbox(key="tick-order_strength_row").uncheck().run()
    assert [heading.value for heading in page.subheader] == ["Dynamics", "Waterfall"]
    page.segmented_control(key="set").set_value("two a row").run()
    assert [heading.value for heading in page.subheader] == ["Dynamics, Waterfall"]
    labels = {tick.key: tick.label for tick in page.checkbox}
    assert labels["tick-dynamics"] == "(a) Dynamics" and labels["tick-waterfall"] == "(b) Waterfall"
    caption, source = (code.value for code in page.code)
    assert caption.startswith("(a) Losses") and "Network and data: " in caption and "n = 30 training samples" in caption
    assert r"\begin{figure*}[t]" in source and "{tiny-dynamics+waterfall-sample0-epoch3.pdf}" in source
    page.button(key="template-Six epochs and the gap").click().run()
    assert [heading.value for heading in page.subheader] == ["Order strength row, Gap"] and not page.exception


def test_only_what_matters_to_the_figures_is_asked(opened, labelled_run):
    def keys(*figures):
        page = opened(labelled_run.path.parent, run="tiny", figure=list(figures))
        kinds = ("selectbox", "segmented_control", "text_input", "select_slider", "multiselect")
        return {widget.key for kind in kinds for widget in getattr(page, kind)} & KEYS

    KEYS = {"split", "label", "sample", "epoch", "epochs", "interaction", "order", "dose", "top", "unit", "axis"}
    assert keys("measures") == {"axis"}
    assert keys("order_strength_row") == {"split", "label", "epochs", "unit"}
    assert keys("waterfall") >= {"sample", "epoch", "top"} and not keys("waterfall") & {"dose", "order", "split"}
    assert keys("removals") >= {"order", "dose", "axis"}


def test_the_legend_and_the_range_of_y_are_asked_where_figures_have_them(opened, labelled_run):
    page = opened(labelled_run.path.parent, run="tiny", figure=["flows", "gap"], legend="left")
    assert "asks for legend `left`" in page.warning[0].value.lower()
    assert not {"y_low", "y_high"} & {field.key for field in page.number_input}  # several kinds
    page = opened(labelled_run.path.parent, run="tiny", figure=["gap"], y_high="3")
    assert "legend" not in {box.key for box in page.selectbox}
    page.number_input(key="y_low").set_value(-2).run()
    (chart,) = page.get("plotly_chart")
    assert json.loads(chart.proto.spec)["layout"]["yaxis"]["range"] == [-2, 3]
    page.number_input(key="y_low").set_value(4).run()
    assert "y cannot go from 4 to 3" in page.error[0].value
    page = opened(labelled_run.path.parent, run="tiny", figure=["waterfall"], legend="off")
    (chart,) = page.get("plotly_chart")
    assert json.loads(chart.proto.spec)["layout"]["showlegend"] is False


def test_the_height_of_a_figure_is_stated_and_limited(opened, labelled_run):
    page = opened(labelled_run.path.parent, run="tiny", venue="icml-column", figure=["dynamics"])
    assert any(re.search(r"3\.25 × \d\.\d in, at true size", caption.value) for caption in page.caption)
    page.number_input(key="height").set_value(4.2).run()
    assert any("3.25 × 4.2 in, at true size" in caption.value for caption in page.caption)
    page.number_input(key="height").set_value(0.8).run()
    assert "the figure cannot be 0.8 in high" in page.error[0].value
