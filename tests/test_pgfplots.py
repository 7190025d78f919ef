"""pgfplots source: every number of the printed figure, in groups that close, in words that LaTeX reads."""

import re

import pandas as pd
import plotly.graph_objects as go
import pytest

from interdash import drawings
from interdash.drawings import Choice
from interdash.figures import orders, pgfplots, robustness, venues

NEURIPS = venues.venue("neurips")


def of(store, run, name, **looks):
    figure = drawings.chosen(store, run, name, Choice(sample=1)).printed(venues.venue("neurips", **looks))
    return pgfplots.source(figure)


def coordinates(source):
    return re.findall(r"\(([^(),:]+),([^(),:]+)\)", source)


def test_every_figure_of_lines_and_bars_has_a_source(small_store, labelled_run):
    found = {
        name: of(small_store, labelled_run, name) for name in drawings.offered(small_store, labelled_run, Choice())
    }
    assert {name for name, source in found.items() if source is None} == {
        "order_map",
        "input_image",
        "sample_interactions",
    }
    for name, source in found.items():
        if source is None:
            continue
        bare = re.sub(r"\\[{}\\]", "", source)
        assert bare.count("{") == bare.count("}"), name
        assert bare.count("[") == bare.count("]"), name
        assert source.count(r"\begin{axis}") == source.count(r"\end{axis}") > 0, name
        statements = re.findall(r"^ +\\(?:addplot|draw|path|node).*$", source, re.MULTILINE)
        assert statements and all(line.endswith(";") for line in statements), name
        defined = set(re.findall(r"\\definecolor\{(\w+)\}", source))
        assert set(re.findall(r"\bink\d+\b", source)) == defined, name
        assert not re.search(r"\bnan\b|\binf\b|None|<|&lt;", re.sub(r"\$<\$", "", source)), name


def test_source_has_the_numbers_of_the_figure(small_store, labelled_run):
    drawing = drawings.drawing(small_store, labelled_run, "dynamics", Choice())
    found = coordinates(of(small_store, labelled_run, "dynamics"))
    for row in drawing.rows["epochs"].to_dict("records"):
        assert (f"{row['epoch'] + 1:.10g}", f"{row['train_loss']:.10g}") in found
    assert "xmode=log" in of(small_store, labelled_run, "dynamics")


def test_bars_stand_on_each_other():
    rows = pd.DataFrame({"type": "all", "epoch": 4, "size": [1, 2], "strength": 0.0})
    rows["generalizable_positive"], rows["non_generalizable_positive"] = [3.0, 1.0], [2.0, 0.0]
    rows["generalizable_negative"], rows["non_generalizable_negative"] = [-1.0, 0.0], [-0.5, 0.0]
    drawn = drawings.Drawing(orders.order_strength_row, {"orders": rows}, {"epochs": (4,)}).printed(NEURIPS)
    found = pgfplots.source(drawn)
    assert "(axis cs:0.6,3) -- (axis cs:0.6,5) -- (axis cs:1.4,5) -- (axis cs:1.4,3) -- cycle" in found
    assert "(axis cs:0.6,-1) -- (axis cs:0.6,-1.5)" in found


def test_categories_keep_their_names(small_store, labelled_run):
    source = of(small_store, labelled_run, "interactions")
    rows = drawings.drawing(small_store, labelled_run, "interactions", Choice(sample=1)).rows["interactions"]
    first = rows.iloc[0]
    assert rf"{first['type'].upper()} \{{{first['names'][1:-1]}\}}" in source
    assert f",{len(rows) - 1}" in source  # the strongest lies on top


def test_texts_and_colours():
    assert (
        pgfplots.text('a_1 <sub><span style="font-size:8px">∅</span></sub> &lt;')
        == r"a\_1 \textsubscript{$\emptyset$} $<$"
    )
    figure = go.Figure(go.Image(z=[[[0, 0, 0]]]))
    assert pgfplots.source(figure) is None
    assert pgfplots.source(go.Figure()) is None
    assert pgfplots.document("x").startswith(r"\documentclass")


def test_numbers_have_the_mark_of_the_language(small_store, labelled_run):
    assert "use comma" in of(small_store, labelled_run, "dynamics", numbers="comma")
    assert "use comma" not in of(small_store, labelled_run, "dynamics")


@pytest.mark.parametrize("colours", venues.COLOURS)
def test_grey_source_has_no_colour(small_store, labelled_run, colours):
    codes = re.findall(r"\{HTML\}\{(..)(..)(..)\}", of(small_store, labelled_run, "dynamics", colours=colours))
    assert all(red == green == blue for red, green, blue in codes) == (colours == "grey")


def test_intervals_of_the_noise_floor_are_drawn():
    rows = pd.DataFrame({"comparison": "kappa", "reference": "as the run", "alternative": ["κ", "τ"], "epoch": 3})
    for name, value in (("flips", 0.25), ("power", 0.5), ("other_power", 0.5)):
        rows[name], rows[f"{name}_low"], rows[f"{name}_high"] = value, value - 0.125, value + 0.125
    drawn = drawings.Drawing(robustness.robustness, {"robustness": rows}, {}).printed(NEURIPS)
    found = pgfplots.source(drawn)
    assert "mark=|, forget plot] coordinates {(0.125,1) (0.375,1)};" in found  # the first choice lies on top
    assert found.count("(0.375,1) (0.625,1)") == 2
