"""A run without any baseline network: whole strengths, flows and lives as with one, no G, and it is said."""

import json
import re
import shutil

import pytest

from interdash.commands.info import run_report, run_text
from interdash.figures import catalogue
from interdash.figures.choice import Choice
from interdash.labelling import label, predictions
from interdash.labelling.boundaries import find_boundaries
from interdash.paper import bundle, captions, chromium
from interdash.paper.settings import Settings
from interdash.queries import dynamics, lives, removal, sample
from interdash.queries.asking import Ask
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.state import state
from tests.conftest import store_of

ON_G = re.compile(r"generaliz|transfers? to|baseline|\bH\b|vermillion")


@pytest.fixture(scope="module")
def alone(labelled_run, tmp_path_factory):
    """The labelled run as a user's, with its parts, without its baseline. Not to be written to."""
    run = Run(shutil.copytree(labelled_run.path, tmp_path_factory.mktemp("alone") / "tiny"))
    config = run.config.to_json()
    config["network"]["architecture"] = config["data"]["dataset"] = "user"
    run.update(config=config, summary=None)
    shutil.rmtree(run.path / "checkpoints" / "baseline-0")
    shutil.rmtree(run.labels_dir)
    assert label.label(plan(run)) == []
    label.label_lives(plan(run))
    predictions.label_predictions(plan(run))
    return run


@pytest.fixture(scope="module")
def both(alone, small_store, labelled_run):
    """What a question answers about the run without and with its baseline."""
    with store_of(alone) as store:
        yield lambda ask, **of: (ask(store, alone.name, **of), ask(small_store, labelled_run.name, **of))


def test_it_is_ready_and_says_what_is_missing(alone):
    now = state(alone)
    assert now.word == "ready"
    assert now.text == "ready: without G, for there is no baseline network; `interdash baseline tiny` trains one"


@pytest.mark.parametrize(
    ("ask", "whole", "on_g"),
    [
        (dynamics.epochs, ["strength", "salient", "tau"], ["generalizable", "generalization_power", "chance"]),
        (dynamics.order_strength, ["positive", "negative", "strength"], ["generalizable_positive", "by_chance"]),
        (dynamics.flows, ["learned", "removed", "learned_order"], ["power", "learned_other", "removed_generalizable"]),
        (
            lives.life_classes,
            ["number", "strength", "order", "test_loss"],
            ["power", "other", "chance"],
        ),
        (lives.life_lines, ["number", "strength", "net_share"], ["power", "count_power", "above_chance"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_needs_no_baseline_is_the_same_and_what_does_is_unknown(both, ask, whole, on_g):
    own, with_one = both(ask)
    for name in whole:
        assert own[name].to_numpy(float) == pytest.approx(with_one[name].to_numpy(float), nan_ok=True), name
    assert own[on_g].isna().all(axis=None) and with_one[on_g].notna().any(axis=None)


def test_nothing_is_called_generalizable(both):
    own, _ = both(sample.interactions, epoch=3, sample=0)
    assert len(own) and own["generalizes"].isna().all()
    assert both(removal.removals)[0].empty
    assert find_boundaries(both(dynamics.sample_flows)[0]) == []


def test_every_chart_draws_and_says_nothing_of_what_is_unknown(alone):
    with store_of(alone) as store:
        ask = Ask(alone, store)
        names = catalogue.names(ask, Choice())
        assert {"flows", "dynamics", "order_strength", "order_map", "life_classes", "life_lines"} <= set(names)
        assert not {"removals", "removal_doses", "baselines", "network_map", "coherence_and_share"} & set(names)
        for name in names:
            for drawing in catalogue.each(ask, name, Choice()):
                figure = json.loads(drawing.figure().to_json())
                legend = [str(trace.get("name")) for trace in figure["data"] if trace.get("showlegend") is not False]
                of_axes = re.findall(r'"text": "([^"]*)"', json.dumps(figure["layout"]))
                words = [*legend, *of_axes, drawing.caption, drawing.how_to_read]
                assert not [each for each in words if ON_G.search(each)], name
                in_print = captions.caption(ask, drawing, Choice())
                assert not ON_G.search(in_print.replace(captions.WITHOUT_G, "")), name


@pytest.mark.parametrize(
    ("stem", "says"),
    [
        ("dynamics", "No baseline network, so that no G is known"),
        ("removal", "What to remove from tiny is not known: .*`interdash baseline tiny` trains one"),
        ("sample", "Nothing is known about G"),
        ("theories", ""),
        ("interactions", "there is no H. `interdash baseline tiny` trains one"),
        ("figures", ""),
    ],
)
def test_pages_are_useful_and_say_what_is_missing(alone, visit, stem, says):

    page = visit(stem, alone.path.parent, run="tiny")
    said = " ".join(each.value for each in (*page.markdown, *page.caption, *page.info))
    assert re.search(says, said)
    assert page.get("plotly_chart")


def test_info_says_it(alone):
    report = run_report(alone)
    assert report["baselines"] == 0 and report["epochs"][-1]["strengths"]["generalizable"] == [None] * 4
    json.dumps(report, allow_nan=False)
    text = run_text(alone)
    assert "without G, for there is no baseline network" in text and "nan" not in text


def test_it_is_exported_and_compared(alone, two_runs, visit, tmp_path, monkeypatch):
    monkeypatch.setattr(chromium, "drawn", lambda figure, forms, **how: dict.fromkeys(forms, b"drawn"))
    with store_of(alone) as store:
        figures = ("flows", "dynamics", "order_strength")
        _, _, said = bundle.bundle(store, alone, Settings(figures, formats=("html",)))
        assert list(figures) == [*said["settings"]["figures"]]
        ask = Ask(alone, store)
        words = bundle.caption(ask, catalogue.drawing(ask, "flows", Choice()), Settings())
        assert "No baseline network was trained: nothing is drawn in parts" in words
    for source in (alone.path, two_runs / "twin"):
        shutil.copytree(source, tmp_path / source.name)
    page = visit("compare", tmp_path, runs=["tiny", "twin"])
    assert not page.exception and page.get("plotly_chart")
