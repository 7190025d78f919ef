"""A figure in the making: plain lists and dicts, made a Plotly figure at the end.

Plotly checks and copies every property at the moment it is set, which takes fifty times as long as all the rest: 0.2 s
for one chart of a page that is redrawn at every click. A `Sheet` knows the methods of a figure that charts need, by the
same names, and checks nothing; in the tests, Plotly checks every chart that is drawn.
"""

from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from typing import Any, Self

import plotly.graph_objects as go
from plotly.subplots import make_subplots

CHECKED = False  # True in the tests


class Sheet:
    """A grid of subplots, all of them alike unless `row` and `col` (from 1) name one."""

    def __init__(self, rows: int = 1, cols: int = 1, **grid: Any) -> None:
        """Makes an empty grid; `grid` as in `plotly.subplots.make_subplots`."""
        self.cols = cols
        self.data: list[dict[str, Any]] = []
        settings = {key: tuple(value) if isinstance(value, list) else value for key, value in grid.items()}
        self.layout: dict[str, Any] = deepcopy(_grid(rows, cols, tuple(settings.items())))

    def add_trace(self, trace: dict[str, Any], row: int = 1, col: int = 1) -> None:
        """Adds a trace; its axes are those of the subplot unless it names them itself."""
        axis = (row - 1) * self.cols + col
        self.data.append({"xaxis": _name("x", axis), "yaxis": _name("y", axis)} | trace)

    def add_scatter(self, row: int = 1, col: int = 1, **trace: Any) -> None:
        """Adds lines, markers or an area."""
        self.add_trace({"type": "scatter", **trace}, row, col)

    def add_bar(self, row: int = 1, col: int = 1, **trace: Any) -> None:
        """Adds bars."""
        self.add_trace({"type": "bar", **trace}, row, col)

    def add_heatmap(self, row: int = 1, col: int = 1, **trace: Any) -> None:
        """Adds a map of cells."""
        self.add_trace({"type": "heatmap", **trace}, row, col)

    def add_vline(self, x: float, **shape: Any) -> None:
        """Draws a line from bottom to top in every subplot that has a trace."""
        self._span("x", x, x, {"type": "line", **shape})

    def add_hline(self, y: float, **shape: Any) -> None:
        """Draws a line from left to right in every subplot that has a trace."""
        self._span("y", y, y, {"type": "line", **shape})

    def add_vrect(self, x0: float, x1: float, **shape: Any) -> None:
        """Shades what lies between two places in every subplot that has a trace."""
        self._span("x", x0, x1, {"type": "rect", **shape})

    def add_shape(self, **shape: Any) -> None:
        """Draws a shape."""
        self.layout.setdefault("shapes", []).append(shape)

    def add_annotation(self, **note: Any) -> None:
        """Writes a text into the figure."""
        self.layout.setdefault("annotations", []).append(note)

    def update_xaxes(self, row: int | None = None, col: int | None = None, **axis: Any) -> None:
        """Sets properties of the x axes; a `title` is its text."""
        self._update("x", row, col, axis)

    def update_yaxes(self, row: int | None = None, col: int | None = None, **axis: Any) -> None:
        """Sets properties of the y axes; a `title` is its text."""
        self._update("y", row, col, axis)

    def update_layout(self, **layout: Any) -> Self:
        """Sets properties of the layout."""
        self.layout |= layout
        return self

    def figure(self, **layout: Any) -> go.Figure:
        """Returns the Plotly figure, with some properties of the layout."""
        data = [_set(trace) for trace in self.data]
        return go.Figure({"data": data, "layout": _set(self.layout | layout)}, _validate=CHECKED)

    def _update(self, letter: str, row: int | None, col: int | None, axis: dict[str, Any]) -> None:
        if "title" in axis:
            axis["title"] = {"text": axis["title"]}
        for key in self._axes(letter):
            place = int(key[5:] or 1) - 1
            if row in (None, place // self.cols + 1) and col in (None, place % self.cols + 1):
                self.layout[key] |= axis

    def _axes(self, letter: str) -> Iterator[str]:
        return (key for key in self.layout if key.startswith(f"{letter}axis"))

    def _span(self, letter: str, low: float, high: float, shape: dict[str, Any]) -> None:
        other = "y" if letter == "x" else "x"
        for x, y in dict.fromkeys((trace["xaxis"], trace["yaxis"]) for trace in self.data):
            if f"yaxis{y[1:]}" not in self.layout:
                continue  # a second axis over a subplot
            along, across = (x, y) if letter == "x" else (y, x)
            ends = {f"{letter}0": low, f"{letter}1": high, f"{other}0": 0, f"{other}1": 1}
            self.add_shape(**{f"{letter}ref": along, f"{other}ref": f"{across} domain"}, **ends, **shape)


def copied(figure: Any, template: Any) -> Any:
    """Returns a copy of a figure with another template; Plotly does not check once more what the figure holds."""
    layout = _apart(figure.layout._props | {"template": template._props})
    copy: Any = go.Figure({"data": [trace._props for trace in figure.data], "layout": layout}, _validate=False)
    for part in (copy.layout, *copy.data):
        part._validate = True
    return copy


def _apart(properties: Any) -> Any:
    """Returns properties of which no two are one: the width of a line may be set for one of several shapes."""
    if isinstance(properties, dict):
        return {key: _apart(value) for key, value in properties.items()}
    return [*map(_apart, properties)] if isinstance(properties, list | tuple) else properties


def _set(properties: Any) -> Any:
    """Returns properties without those that are None: left to the template."""
    if isinstance(properties, dict):
        return {key: _set(value) for key, value in properties.items() if value is not None}
    return properties


def _name(letter: str, axis: int) -> str:
    return letter if axis == 1 else f"{letter}{axis}"


@lru_cache(maxsize=64)
def _grid(rows: int, cols: int, settings: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """Returns the layout of a grid: where each subplot lies, and its title."""
    grid: Any = {key: list(value) if isinstance(value, tuple) else value for key, value in settings}
    layout: dict[str, Any] = make_subplots(rows, cols, **grid).layout.to_plotly_json()
    layout.pop("template", None)
    return layout
