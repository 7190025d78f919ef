"""Inputs in print: words and columns outlined in lines, small images as rectangles, numbers of a language."""

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from interdash.figures import inputs
from interdash.paper import ink, layout, venues

COLUMN = venues.venue("icml-column")


def text_sample(words, names):
    assignment = tuple(names.index(word) if word in names else -1 for word in words)
    row = {"names": tuple(names), "display": json.dumps(words), "assignment": assignment, "image": None}
    return pd.DataFrame([row])


def words(figure):
    return [note for note in figure.layout.annotations if note.name in (inputs.WORD, inputs.LAST)]


def test_words_of_a_text_are_outlined_and_numbered():
    drawn = inputs.input_words(text_sample(["a", "good", "<film>"], ["good", "<film>"]), chosen=(1,))
    assert [note.text for note in words(drawn)] == ["a", "good<sub> 0</sub>", "&lt;film&gt;<sub> 1</sub>"]
    assert [note.bordercolor for note in words(drawn)] == [None, inputs.OUTLINE, inputs.OUTLINE]
    assert [note.bgcolor for note in words(drawn)] == [None, None, inputs.CHOSEN]


def test_columns_of_a_table_stand_in_lines_of_their_own():
    sample = pd.DataFrame([{"names": ("age",), "display": json.dumps({"age": "39", "sex": "F"}), "image": None}])
    drawn = inputs.input_words(sample)
    assert [note.text for note in words(drawn)] == ["age<sub> 0</sub>", "39", "sex", "F"]
    heights = [note.yshift for note in words(drawn)]
    assert heights[0] == heights[1] > heights[2] == heights[3]
    assert inputs.input_words(sample.iloc[:0]).layout.annotations[0].text == "This sample has no words."


@pytest.mark.parametrize("name", ["acl-column", "icml"])
def test_lines_of_words_end_inside_the_page(name):
    venue = venues.venue(name)
    drawn = layout.printed(inputs.input_words(text_sample(["wonderful"] * 60, ["wonderful"] * 1)), venue)
    assert drawn.layout.width == pytest.approx(venue.width * 96)
    assert max(note.xshift for note in words(drawn)) < venue.width * 96 - 70
    assert -min(note.yshift for note in words(drawn)) < drawn.layout.height - 20
    lines = len({note.yshift for note in words(drawn)})
    assert lines < 9 if name == "icml" else lines > 11


def test_raised_and_lowered_text_is_6_points():
    drawn = layout.printed(inputs.input_words(text_sample(["good"], ["good"])), COLUMN)
    assert words(drawn)[0].text == 'good<sub><span style="font-size:8px"> 0</span></sub>'


def test_small_images_are_rectangles_of_runs_of_equal_pixels():
    pixels = np.zeros((2, 3, 4), dtype=np.uint8)
    pixels[0, :2], pixels[1, 2] = (255, 0, 0, 255), (0, 0, 0, 51)
    figure = go.Figure(go.Image(z=pixels, colormodel="rgba256"))
    ink.vector_images(figure)
    assert not figure.data
    assert [(s.x0, s.x1, s.y0, s.fillcolor) for s in figure.layout.shapes] == [
        (-0.5, 1.5, -0.5, "#ff0000"),
        (1.5, 2.5, 0.5, "rgba(0,0,0,0.2)"),
    ]
    large = go.Figure(go.Image(z=np.zeros((65, 65, 4), dtype=np.uint8), colormodel="rgba256"))
    ink.vector_images(large)
    assert len(large.data) == 1 and not large.layout.shapes


def test_numbers_are_written_as_a_language_does():
    assert venues.spelled("τ = -0.25 of 12345 (r2d2, 1.2.3)", "comma") == "τ = −0,25 of 12\u2009345 (r2d2, 1.2.3)"
    assert venues.spelled("0.365 (0.306 to 0.427)", "comma-point") == "0,365 (0,306 to 0,427)"
    figure = go.Figure(go.Scatter(x=[1, 2], y=[1, 2], mode="markers+text", text=["-1.5", "2.5"]))
    figure.update_xaxes(tickvals=[1, 20000], ticktext=["1", "20000"])
    made = layout.printed(figure, venues.venue("icml-column", numbers="point-comma"))
    assert made.data[0].text == ("−1.5", "2.5") and made.layout.xaxis.ticktext == ("1", "20,000")
    assert made.layout.template.layout.separators == ".,"
