"""What is shown of each baseline network: the chart, the votes of a sample's interactions, and the words."""

import numpy as np
import pandas as pd
import pytest

from interdash.figures import catalogue, robustness
from interdash.figures.choice import Choice, resolved
from interdash.queries import baselines
from interdash.queries import sample as of_samples
from interdash.queries.asking import Ask
from tests.conftest import store_of

NAMES = ["baseline-0", "baseline-1", "baseline-2"]


@pytest.fixture(scope="module")
def ask(run_of_three):
    with store_of(run_of_three) as store:
        yield Ask(run_of_three, store)


def test_each_baseline_stands_beside_the_mean(ask):
    assert ask(baselines.count) == 3
    for rows in (ask(baselines.strengths), ask(baselines.learned)):
        assert sorted(set(rows["baseline"])) == [*NAMES, baselines.MEAN]
        wide = rows.pivot(index="epoch" if "epoch" in rows else "epoch_to", columns="baseline")
        for name in ("power", "chance") if "power" in rows else ("generalization_power", "chance"):
            assert np.allclose(wide[name][NAMES].mean(axis=1), wide[name][baselines.MEAN])
    phases = ask(baselines.phases)
    assert sorted(set(zip(phases["baseline"], phases["boundary"], strict=True))) == [
        (name, pair) for name in [*NAMES, baselines.MEAN] for pair in ("1|2", "2|3")
    ]


def test_a_single_baseline_is_the_mean(small_store, labelled_run):
    ask = Ask(labelled_run, small_store)
    assert ask(baselines.count) == 1
    for question in (baselines.strengths, baselines.learned, baselines.phases):
        assert set(ask(question)["baseline"]) == {baselines.MEAN}
    nothing = baselines.learned(small_store, "unknown")
    assert nothing.empty and list(nothing) == list(ask(baselines.learned))
    assert baselines.count(small_store, "unknown") == 0


@pytest.mark.parametrize("log", [True, False])
def test_chart_of_baselines(ask, log):
    phases = pd.DataFrame(
        [["baseline-0", "1|2", 1.0, 0.0, 3.0], ["baseline-1", "1|2", None, None, None], ["mean", "2|3", 3.0, 1.0, 3.0]],
        columns=["baseline", "boundary", "epoch", "low", "high"],
    )
    drawn = robustness.baselines(ask(baselines.strengths), ask(baselines.learned), phases, log=log, pinned=1)
    lines = [trace for trace in drawn.data if trace.mode == "lines+markers"]
    assert [line.name for line in lines] == 2 * [*NAMES, "mean of 3"]
    assert [line.line.width for line in lines[:4]] == [1.5, 1.5, 1.5, 3]
    first, second = (trace for trace in drawn.data if trace.mode == "markers")
    assert (first.name, list(first.y), second.name, list(second.y)) == (
        *("phase 2 from", ["baseline-0"]),
        *("phase 3 from", ["mean of 3"]),
    )
    assert list(first.x) == [1 + log] and list(first.error_x.array) == [2] and list(first.error_x.arrayminus) == [1]
    assert first.hovertext == ("phase 2 from epoch 1 (0 to 3)",)
    alone = ask(baselines.strengths).query("baseline == 'mean'")
    without = robustness.baselines(alone, ask(baselines.learned).query("baseline == 'mean'"))  # any boundary
    assert "epoch" in without.layout.xaxis2.title.text and "xaxis3" not in without.layout
    names = {trace.name for trace in without.data}
    assert "the baseline" in names and not names & {*NAMES}


def test_votes_of_a_samples_interactions(ask, small_store, labelled_run):
    choice = resolved(ask, Choice(sample=3))
    rows = ask(of_samples.interactions, epoch=choice.epoch, sample=3, limit=5)
    assert (rows["baselines"] == 3).all() and ((2 * rows["votes"] > 3) == rows["generalizes"]).all()
    chart = catalogue.chart("interactions")
    drawn = chart.figure(*chart.rows(ask, choice).values())
    votes = [text.rpartition("·")[2].strip() for text in drawn.layout.yaxis.ticktext]
    assert votes[:5] == [f"{v}/3" for v in rows["votes"]]
    assert "in the first baseline" in {trace.name for trace in drawn.data}
    one = Ask(labelled_run, small_store)
    drawn = chart.figure(*chart.rows(one, choice).values())
    assert not any("·" in text for text in drawn.layout.yaxis.ticktext)
    assert "in the baseline" in {trace.name for trace in drawn.data}


def test_words():
    assert baselines.how_many_text(0).startswith("No baseline network, so that no G is known")
    assert baselines.how_many_text(1) == "One baseline network; another may move the boundaries."
    assert baselines.how_many_text(3).startswith("H, chance and flows are means over 3 baseline networks")
    assert baselines.label_text(1, "any") == ""
    assert baselines.label_text(3, "any").endswith("what transfers to any of 3 baseline networks.")
    assert baselines.label_text(3, "majority").endswith("what transfers to more than half of 3 baseline networks.")


def test_pages_say_it(run_of_three, labelled_run, visit):
    for run, dynamics, removal in (
        (run_of_three, "H, chance and flows are means over 3", "more than half of 3 baseline"),
        (labelled_run, "One baseline network; another may move", None),
    ):
        said = [text.value for text in visit("dynamics", run.path.parent).caption]
        assert any(text.startswith(dynamics) for text in said)
        said = [text.value for text in visit("removal", run.path.parent).caption]
        assert (
            any("Called generalizable here" in text and removal in text for text in said)
            if removal
            else not any("Called generalizable here" in text for text in said)
        )
