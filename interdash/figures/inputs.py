"""A sample's input with its variables drawn on it: patches of an image, words of a text, columns of a table row."""

import base64
import html
import json
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, is_labelled
from interdash.figures.choice import Choice, lit_interaction
from interdash.figures.sheet import Sheet
from interdash.formulas import subsets
from interdash.masking.kinds import coordinates
from interdash.queries import sample as queries_sample
from interdash.queries.asking import Ask

CHOSEN = theme.ORANGE  # what a chosen interaction lights up: orange, of no other meaning
OUTLINE = theme.SKY
WORD, LAST = "word", "last word"  # names of the annotations of `input_words`; a line ends after the last
_LETTERS = (
    dict.fromkeys("ijl.,:;'|!ftIr()[]/ -", 0.33) | dict.fromkeys("mwMW@%", 0.92) | dict.fromkeys("scvxyzJk", 0.52)
)


def input_image(sample: pd.DataFrame, chosen: Collection[int] = ()) -> go.Figure:
    """The input as the network sees it; outlined and numbered: the patches that are masked together.

    How to read: each outlined patch is one variable; its number is its bit in a subset. What is not outlined is never
    masked. With an interaction chosen, its patches are framed in orange and all else is darkened.

    Args:
        sample: one row of `sample.sample`.
        chosen: variables of the chosen interaction.
    """
    if sample.empty or sample["image"].iloc[0] is None:
        return theme.nothing("This sample has no image.", "pixels", "pixels")
    row = sample.iloc[0]
    height, width = (int(length) for length in row["shape"])
    assignment = np.asarray(row["assignment"]).reshape(height, width)
    figure = Sheet()
    figure.add_trace({"type": "image", "source": data_uri(row["image"]), "hoverinfo": "skip"})
    if chosen:
        dark = np.zeros((height, width, 4), dtype=np.uint8)
        dark[~np.isin(assignment, list(chosen)), 3] = 150
        figure.add_trace({"type": "image", "z": dark, "colormodel": "rgba256", "hoverinfo": "skip"})
    for variable in sorted({*assignment.ravel().tolist()} - {-1}, key=lambda v: v in chosen):
        x, y = _outline(assignment == variable)
        lit = variable in chosen
        line = {"color": CHOSEN if lit else OUTLINE, "width": 4 if lit else 1.5}
        figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip")
    centres = [np.argwhere(assignment == variable).mean(0) for variable in range(len(row["names"]))]
    figure.add_scatter(
        x=[centre[1] for centre in centres], y=[centre[0] for centre in centres], mode="markers",
        marker={"size": 26, "color": "rgba(0,0,0,0)"},
        hovertext=[f"variable {i}: {html.escape(name)}" for i, name in enumerate(row["names"])], hoverinfo="text",
    )  # fmt: skip
    boxed = {"bgcolor": theme.BLACK, "borderpad": 2, "borderwidth": 1}  # read on light and on dark pixels alike
    numbers = _numbers([(x, y) for y, x in centres], **boxed)
    for variable, number in enumerate(numbers):
        lit = variable in chosen
        number |= {"bordercolor": CHOSEN if lit else OUTLINE}
        number |= {"font": {"color": CHOSEN if lit else theme.WHITE, "size": 13}}
    figure.update_layout(annotations=numbers)
    figure.update_xaxes(title=f"{width} pixels", range=[-0.7, width - 0.3], showticklabels=False, showgrid=False)
    figure.update_yaxes(
        title=f"{height} pixels", range=[height - 0.3, -0.7], showticklabels=False, showgrid=False, scaleanchor="x"
    )
    figure.update_xaxes(constrain="domain", zeroline=False, showline=False, ticks="")
    figure.update_yaxes(constrain="domain", zeroline=False, showline=False, ticks="")
    return figure.figure(showlegend=False, height=360, margin={"l": 30, "r": 10, "t": 10, "b": 30})


def input_series(sample: pd.DataFrame, chosen: Collection[int] = ()) -> go.Figure:
    """The time series as the network sees it; outlined and numbered: the segments that are masked together.

    How to read: each curve is a channel, each numbered segment of time one variable; its number is its bit in a subset.
    The segments of the strongest interaction are filled in orange.

    Args:
        sample: one row of `sample.sample`.
        chosen: variables of the chosen interaction.
    """
    if sample.empty or not sample["display"].iloc[0]:
        return theme.nothing("This sample has no values.", "step", "value")
    row = sample.iloc[0]
    values = np.atleast_2d(json.loads(row["display"]))
    figure, owners = Sheet(), np.asarray(row["assignment"])
    for channel, curve in enumerate(values):
        line = {"color": theme.INK, "width": 1.5, "dash": theme.DASHES[channel % len(theme.DASHES)]}
        figure.add_scatter(
            x=list(range(len(curve))), y=curve.tolist(), mode="lines", line=line, name=f"channel {channel}"
        )
    for variable in range(len(row["names"])):
        places = np.flatnonzero(owners == variable)
        lit = variable in chosen
        edge = {"line": {"color": CHOSEN if lit else OUTLINE, "width": 3 if lit else 1}, "layer": "below"}
        fill = {"fillcolor": CHOSEN, "opacity": 0.35} if lit else {}
        figure.add_vrect(float(places[0]) - 0.5, float(places[-1]) + 0.5, **edge, **fill)
    centres = [(float(np.flatnonzero(owners == variable).mean()), 1) for variable in range(len(row["names"]))]
    figure.update_layout(annotations=_numbers(centres, yref="paper", yanchor="bottom"))
    figure.update_xaxes(title="step")
    figure.update_yaxes(title="value")
    return figure.figure(showlegend=len(values) > 1, height=300, margin={"t": 56}, legend={"y": 1.1})


def input_points(sample: pd.DataFrame, chosen: Collection[int] = ()) -> go.Figure:
    """The cloud of points as the network sees it, from the front and from the side; numbered: clusters masked together.

    How to read: each numbered cluster is one variable; its number is its bit in a subset. Masked, all its points lie at
    its centre. Grey points are never masked. The clusters of the strongest interaction are orange.

    Args:
        sample: one row of `sample.sample`.
        chosen: variables of the chosen interaction.
    """
    if sample.empty or not sample["display"].iloc[0]:
        return theme.nothing("This sample has no points.", "x", "y")
    row = sample.iloc[0]
    cloud = coordinates(np.asarray(json.loads(row["display"])))
    owners = coordinates(np.asarray(row["assignment"]).reshape([int(length) for length in row["shape"]]))[:, 0]
    views = [(axis, 1) for axis in range(cloud.shape[1]) if axis != 1]
    figure = Sheet(1, len(views))
    groups = {"never masked": owners < 0, "variables": owners >= 0, "chosen": np.isin(owners, list(chosen))}
    groups["variables"] &= ~groups["chosen"]
    colours = {"never masked": theme.GREY, "variables": OUTLINE, "chosen": CHOSEN}
    numbers, variables = [], range(len(row["names"]))
    for col, (across, up) in enumerate(views, start=1):
        for name, inside in groups.items():
            figure.add_scatter(
                1, col, x=cloud[inside, across].tolist(), y=cloud[inside, up].tolist(), mode="markers", name=name,
                marker={"size": 4, "color": colours[name]}, showlegend=col == 1,
            )  # fmt: skip
        centres = [cloud[owners == variable][:, [across, up]].mean(0).tolist() for variable in variables]
        numbers += _numbers(centres, **{f"{axis}ref": f"{axis}{col if col > 1 else ''}" for axis in "xy"})
        figure.update_xaxes(title="xyz"[across] if across < 3 else f"axis {across}", col=col)
    figure.update_layout(annotations=numbers)
    figure.update_yaxes(title="y", col=1)
    return figure.figure(showlegend=True, height=360)


def _numbers(places: Sequence[Sequence[float]], **look: Any) -> list[dict[str, Any]]:
    """Returns the numbers of variables at their places (x, y), as notes of a figure."""
    return [
        {"x": x, "y": y, "text": f"<b>{variable}</b>", "showarrow": False} | look
        for variable, (x, y) in enumerate(places)
    ]


def drawable(samples: pd.DataFrame) -> pd.DataFrame:
    """Returns rows of `sample.samples` with cells that can be hashed, so that their figure is kept."""
    fixed = {}
    for name in ("names", "shape", "assignment", "image"):
        if name in samples:
            make = bytes if name == "image" else tuple
            fixed[name] = [None if cell is None or cell is pd.NA else make(cell) for cell in samples[name]]
    return samples.assign(**fixed)


def _outline(inside: np.ndarray) -> tuple[list[float | None], list[float | None]]:
    """Returns the edges of a region of pixels as line pieces with gaps; pixel centres lie at whole numbers."""
    padded = np.pad(inside, 1)
    x: list[float | None] = []
    y: list[float | None] = []
    for row, column in np.argwhere(
        padded[1:, 1:-1] != padded[:-1, 1:-1]
    ):  # horizontal edges, above pixel (row, column)
        x += [column - 0.5, column + 0.5, None]
        y += [row - 0.5, row - 0.5, None]
    for row, column in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1]):  # vertical edges, left of the pixel
        x += [column - 0.5, column - 0.5, None]
        y += [row - 0.5, row + 0.5, None]
    return x, y


def data_uri(png: bytes) -> str:
    """Returns a PNG as a data URI, for a figure or a table of thumbnails."""
    return "data:image/png;base64," + base64.b64encode(bytes(png)).decode()


def input_html(sample: pd.DataFrame, chosen: Collection[int] = ()) -> str:
    """Returns HTML of a text or a table row, its variables underlined and numbered, those of `chosen` lit.

    All words, columns and values are escaped.
    """
    if sample.empty:
        return "<p>There is no such sample.</p>"
    row = sample.iloc[0]
    names = list(row["names"])
    content = json.loads(row["display"]) if row["display"] else names
    if isinstance(content, dict):
        return _columns(content, names, chosen)
    words = " ".join(_chip(word, variable, chosen) for word, variable in _words_of(row, content))
    return f'<p style="line-height:2.4;font-size:1.05rem;overflow-wrap:anywhere">{words}</p>'


def _words_of(row: Any, words: list[Any]) -> list[tuple[str, int]]:
    """Returns the words of a text and the variable each of them is, −1 = none."""
    names = list(row["names"])
    owners = np.asarray(row["assignment"]).tolist()
    places = {owners.index(v): v for v in set(owners) if v >= 0}  # of a word in pieces the first
    if any(i >= len(words) or words[i] != names[v] for i, v in places.items()):  # a user's tokens are not always words
        if any(words.count(name) != 1 for name in names):
            words = names  # which of two equal words it is, nobody can tell
        places = {words.index(name): v for v, name in enumerate(names)}
    return [(str(word), places.get(i, -1)) for i, word in enumerate(words) if word != ""]


def input_words(sample: pd.DataFrame, chosen: Collection[int] = ()) -> go.Figure:
    """The text or table row as the network sees it; outlined and numbered: what is masked together.

    How to read: each outlined word or column is one variable; its number is its bit in a subset. What is not outlined
    is never masked. The variables of the strongest interaction are filled in orange.

    Args:
        sample: one row of `sample.sample`.
        chosen: variables of the chosen interaction.
    """
    if sample.empty or not sample["display"].iloc[0]:
        return theme.nothing("This sample has no words.", "words", "lines")
    row = sample.iloc[0]
    content: Any = json.loads(row["display"])
    columns = {name: i for i, name in enumerate(row["names"])}
    if isinstance(content, dict):
        pieces = [
            piece for name, value in content.items() for piece in ((name, columns.get(name, -1)), (f"{value}\n", -1))
        ]
    else:
        pieces = _words_of(row, content)
    notes = []
    for word, variable in pieces:
        text = html.escape(word, quote=False) + (f"<sub> {variable}</sub>" if variable >= 0 else "")
        note = {"text": text.strip("\n"), "name": LAST if word.endswith("\n") else WORD, "borderpad": 1}
        note |= {"xref": "paper", "yref": "paper", "x": 0, "y": 1, "xanchor": "left", "yanchor": "top"}
        note["showarrow"] = False
        if variable >= 0:
            note |= {"bordercolor": OUTLINE, "borderwidth": 1.5, "bgcolor": CHOSEN if variable in chosen else None}
        notes.append(note | ({"font": {"color": theme.BLACK}} if variable in chosen else {}))
    figure: Any = go.Figure(layout={"annotations": notes, "margin": {"l": 16, "r": 8, "t": 8, "b": 8}})
    height = flow(figure.layout.annotations, 640, 13)
    figure.update_xaxes(visible=False, title_text="words")
    figure.update_yaxes(visible=False, title_text="lines")
    return figure.update_layout(height=height + 16)


def flow(notes: Any, width: float, size: float, *, serif: bool = False) -> float:
    """Sets the words of `input_words` in lines of some width, text in `size` pixels; returns the height, all pixels."""
    x, line = 0.0, 0
    for note in notes:
        letters = html.unescape(re.sub(r"<[^>]*>", "", note.text))
        long = sum(_LETTERS.get(letter, 0.6) for letter in letters) * size * (0.9 if serif else 1.0) + 4
        if x and x + long > width:
            x, line = 0.0, line + 1
        note.xshift, note.yshift = x, -1.75 * size * line
        x += long + 0.35 * size
        if note.name == LAST:
            x, line = 0.0, line + 1
    return 1.75 * size * (line + (x > 0)) + 8


def _columns(values: dict[str, object], names: list[str], chosen: Collection[int]) -> str:
    variable = {name: i for i, name in enumerate(names)}
    rows = "".join(
        f'<tr><td style="padding:1px 10px 1px 0">{_chip(name, variable.get(name, -1), chosen)}</td>'
        f'<td style="padding:1px 0">{html.escape(str(value))}</td></tr>'
        for name, value in values.items()
    )
    return f'<table style="border-collapse:collapse;line-height:1.9">{rows}</table>'


def _chip(word: str, variable: int, chosen: Collection[int]) -> str:
    """Returns a word; as a variable with its number beside it and an outline, filled if it is chosen."""
    if variable < 0:
        return f'<span style="opacity:.65">{html.escape(word)}</span>'
    fill = f"background:{CHOSEN};color:#000" if variable in chosen else ""
    return (
        f'<span style="border:1.5px solid {OUTLINE};border-radius:4px;padding:1px 5px;white-space:nowrap;{fill}">'
        f'{html.escape(word)}<sub style="opacity:.75"> {variable}</sub></span>'
    )


def true_label_text(row: Any) -> str:
    """Returns "random label, truly 7" of a sample whose label is another than the true one; "" if not, or not known."""
    random = not pd.isna(row["true_label"]) and row["true_label"] != row["label"]
    return f"random label, truly {row['true_label_name']}" if random else ""


def summary_text(display: str | None, length: int = 90) -> str:
    """Returns a text or table row in one line, for a list of samples, from `display`; empty for an image."""
    if not display:
        return ""
    content = json.loads(display)
    pieces = (
        [f"{key}: {value}" for key, value in content.items()]
        if isinstance(content, dict)
        else [str(word) for word in content if word]
    )
    line = (" · " if isinstance(content, dict) else " ").join(pieces)
    return line if len(line) <= length else line[: length - 1] + "…"


def _rows(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    return {"input": drawable(ask(queries_sample.sample, sample=c.sample))}


def _lit(ask: Ask, c: Choice) -> dict[str, Any]:
    lit = lit_interaction(ask, c)
    return {"chosen": subsets.members(lit[1]) if lit else ()}


INPUTS = {  # of each kind, see `kinds.KINDS`
    **{"image": input_image, "text": input_words, "table": input_words},
    **{"series": input_series, "points": input_points},
}


def drawing_of(ask: Ask) -> Callable[..., go.Figure]:
    """Returns the figure that draws the inputs of a run."""
    return INPUTS[ask.config.masking.kind]


def _chart(figure: Callable[..., go.Figure]) -> Chart:
    return Chart(
        figure,
        _rows,
        page="" if figure is input_words else "sample",  # on the page Sample words are `input_html`
        options=_lit,
        when=lambda ask, c: drawing_of(ask) is figure and is_labelled(ask, c),
        says=("sample", "epoch"),
    )


CHARTS = tuple(map(_chart, dict.fromkeys(INPUTS.values())))
