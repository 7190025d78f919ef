"""Captions fit for print: nothing of the screen, every interval said, network, data, samples and rules in them."""

import re
from dataclasses import replace

import pytest

from interdash.figures import catalogue
from interdash.figures.choice import Choice, resolved
from interdash.paper import captions, latex
from interdash.queries.asking import Ask
from interdash.runs.run import Run

SCREEN = r"click|pinned|cursor|hover|slider|button|this (sample|epoch|page)|chosen interaction|sample shown|\*"


@pytest.fixture(scope="module")
def ask(two_runs, two_store):
    return Ask(Run(two_runs / "tiny"), two_store)


def caption(ask, name, **choice):
    choice = resolved(ask, Choice(**choice))
    return captions.caption(ask, catalogue.drawing(ask, name, choice), choice)


@pytest.mark.parametrize("chart", catalogue.CHARTS, ids=lambda chart: chart.name)
def test_a_caption_is_of_paper_and_says_its_intervals(chart, ask):
    choice = resolved(ask, Choice(runs=("twin",), sample=1))
    drawing = chart.drawing(ask, choice)
    text = captions.caption(ask, drawing, choice)
    assert not re.search(SCREEN, text, re.IGNORECASE)
    assert text.startswith(chart.caption) and "trained on 300 samples of 8 × 8 digits" in text
    whose = chart.whose(ask, choice)
    assert "masked to their mean" in text and whose in text
    assert ("n = " in whose) != bool({"sample", "samples"}.intersection(chart.says))
    assert ("n = 30 training samples and 30" in whose) == ("n = " in whose and chart.n is None)
    columns = {column for frame in drawing.rows.values() for column in frame.columns}
    if any(column.endswith("low") for column in columns) and chart.name not in ("order_map", *WITHOUT_INTERVALS):
        assert re.search(r"95 ?%", text), "what the bands are"
    if "generalizable" in text:
        assert "τ = 0.03 times" in text and "in the baseline network too, trained on the testing split alone" in text
    assert "?" not in latex.escaped(text)


# drawn without them, although their rows have them
WITHOUT_INTERVALS = (
    "order_strength",
    "order_strength_row",
    "variable_map",
    "variable_network",
    "layer_information",
    "layer_maps",
)


def test_a_caption_says_which_samples(ask):
    assert "n = 30 testing samples, by" in caption(ask, "dynamics", split="test")
    classes = caption(ask, "dynamics", label=3)
    assert re.search(r"n = \d+ training samples and \d+ testing samples of class 3, by", classes)
    assert re.search(
        r"Sample 1 \((training|testing), label \d, answer \d\), epoch 3\.", caption(ask, "waterfall", sample=1)
    )


def test_panels_are_captioned_one_by_one_and_the_setting_once(ask):
    text = caption(ask, "dynamics/waterfall")
    assert text.startswith("(a) Losses of the whole splits; strength") and "(b) From v(x_∅)" in text
    assert text.count("Network and data") == 1 and text.count("Salient: strength") == 1


def test_colours_of_a_caption_are_those_of_the_print(ask):
    choice = resolved(ask, Choice())
    drawing = catalogue.drawing(ask, "interactions", choice)
    assert "hatched" not in captions.caption(ask, drawing, choice) and "framed vermillion" in captions.caption(
        ask, drawing, choice
    )
    grey = captions.caption(ask, drawing, choice, grey=True)
    assert "framed light" in grey and not re.search(r"blue|vermillion|orange|green", grey)


def test_a_run_of_ones_own_is_captioned_by_its_purpose(ask, monkeypatch):
    config = ask.run.config
    own = replace(config, data=replace(config.data, dataset="user"), purpose="Our net on our data.",
                  generalization=replace(config.generalization, baselines=3, tau_rule="max_interaction"))  # fmt: skip
    monkeypatch.setattr(Run, "config", property(lambda run: own))
    text = caption(ask, "dynamics")
    assert "Network and data: Our net on our data; explained" in text
    assert "in a baseline network too" in text and "means over 3 of them" in text
    assert "times the strongest interaction of the sample" in text


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("v(x_∅) of Σ|I|", r"$v(x_\emptyset)$ of $\Sigma|I|$"),
        ("95 % and 5%", r"95\% and 5\%"),
        ("a_b & {c}", r"a\_b \& \{c\}"),
        ("naïve Ωmega 中", "naïve ?mega ?"),
        ("2ⁿ", "2$^n$"),
        ("|ΣI| / Σ|I|", r"$|\Sigma I|$ / $\Sigma|I|$"),
        ("ḡ_te · ḡ", r"$\bar g_{\mathrm{te}}$ $\cdot$ \=g"),
    ],
)
def test_words_in_latex(text, source):
    assert latex.escaped(text) == source


def test_a_caption_in_a_column_says_what_is_drawn_and_not_how_to_judge_it(ask):
    choice = resolved(ask, Choice())
    drawing = catalogue.drawing(ask, "removals", choice)
    whole, short = (captions.caption(ask, drawing, choice, is_short=is_short) for is_short in (False, True))
    judgement = "If the non-generalizable interactions make the gap"
    assert judgement in whole and judgement not in short and "95% bootstrap" in short and "n = 30" in short
    assert "Σ² is" not in captions.caption(ask, catalogue.drawing(ask, "predictions", choice), choice)
