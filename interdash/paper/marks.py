"""Where the lines, points and bars of a figure lie: whether a chosen range of y shows them, what a legend would cover.

Places are as an axis counts them: the logarithm on a log axis, on one of categories their number.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

GRID = 48  # cells of a panel, along and across
_BETWEEN = np.linspace(0, 1, GRID, endpoint=False)


def y_title(figures: Iterable[Any]) -> str:
    """Returns the title that all y axes of some figures have, if they count something; else "": they have no range."""
    titles = set()
    for figure in figures:
        axes = {trace.yaxis for trace in figure.data}
        if any(trace.type not in ("scatter", "bar") or trace.orientation == "h" for trace in figure.data):
            return ""  # maps, images, names beside bars
        for axis in (figure.layout[f"yaxis{(name or 'y')[1:]}"] for name in axes):
            if axis.overlaying or axis.scaleanchor or axis.type == "category" or axis.tickvals is not None:
                return ""
            titles |= {axis.title.text} - {None, ""}
    return titles.pop() if len(titles) == 1 else ""


def check_range(figures: list[Any], ends: tuple[float | None, float | None]) -> None:
    """Checks that the figures have a y axis for a range, and that it shows something of them.

    Raises:
        ValueError: they have not, or it does not.
    """
    low, high = ends
    text = " ".join(f"{word} {end:g}" for word, end in (("from", low), ("to", high)) if end is not None)
    if not y_title(figures):
        raise ValueError(
            f"y {text} is for figures with y axes of one kind, of numbers; here there are others: leave it out, or "
            "choose a figure such as gap or order_strength_row"
        )
    places = []
    for figure in figures:
        for _, name, _, y in marks(figure, with_words=False):
            is_log = figure.layout[name].type == "log"
            if is_log and (wrong := [end for end in ends if end is not None and end <= 0]):
                raise ValueError(f"y cannot begin or end at {wrong[0]:g} on a log axis; choose a number above 0")
            places.append(10**y if is_log else y)
    drawn = np.concatenate(places)
    drawn = drawn[np.isfinite(drawn)]
    least, most = drawn.min(initial=np.inf), drawn.max(initial=-np.inf)
    if len(drawn) and ((low is not None and most <= low) or (high is not None and least >= high)):
        raise ValueError(f"y {text} leaves out all that is drawn, {least:.3g} to {most:.3g}; choose numbers around it")


def set_range(figure: Any, ends: tuple[float | None, float | None]) -> None:
    """Gives every y axis a range in its unit; an end that is None stays as it is."""
    for axis in figure.select_yaxes():
        units = [math.log10(end) if end is not None and axis.type == "log" else end for end in ends]
        own = axis.range or (None, None)
        axis.update(range=[own[i] if end is None else end for i, end in enumerate(units)], autorange=None)
    if (high := ends[1]) is not None:
        for trace in figure.select_traces({"mode": "text"}):  # numbers over the curves stay in sight
            trace.update(y=np.minimum(trace.y, high), textposition="bottom center")


def covered(figure: Any, x_axis: str, y_axis: str) -> np.ndarray:
    """Returns which cells of a panel have something drawn in them: `[y, x]`, from the lower left on."""
    cells = np.zeros((GRID, GRID), bool)
    ends = [_ends(figure, axis) for axis in (x_axis, y_axis)]
    for *axes, x, y in marks(figure):
        if axes != [x_axis, y_axis]:
            continue
        x, y = ((of - low) / ((high - low) or 1.0) for of, (low, high) in zip((x, y), ends, strict=True))
        with np.errstate(invalid="ignore"):
            x, y = (np.append(of[:-1, None] + np.diff(of)[:, None] * _BETWEEN, of) for of in (x, y))
        seen = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        column, row = (np.minimum((of[seen] * GRID).astype(int), GRID - 1) for of in (x, y))
        cells[row, column] = True
    return cells


def _ends(figure: Any, name: str) -> tuple[float, float]:
    """Returns where an axis begins and ends, about as Plotly has it where nothing says so."""
    axis, i = figure.layout[name], "xy".index(name[0])
    alike = axis.matches or name.replace("axis", "")
    names = [key for key in figure.layout if key.startswith(name[:5])]
    names = [key for key in names if (figure.layout[key].matches or key.replace("axis", "")) == alike]
    known = np.concatenate([mark[2 + i] for mark in marks(figure) if mark[i] in names] or [np.zeros(0)])
    known = known[np.isfinite(known)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    room = 0.05 * (high - low)
    low = 0.0 if axis.rangemode == "tozero" and axis.type != "log" and low > 0 else low - room
    first, last = (low, high + room) if axis.autorange != "reversed" else (high + room, low)
    own = axis.range or (None, None)
    return first if own[0] is None else own[0], last if own[1] is None else own[1]


def marks(figure: Any, *, with_words: bool = True) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Yields of each trace its axes, by their names in the layout, and its outline: x, y `[points]`, NaN at gaps."""
    stacks: dict[Any, float] = {}
    for trace in figure.data:
        names = [f"{letter}axis{(trace[f'{letter}axis'] or letter)[1:]}" for letter in "xy"]
        axes = [figure.layout[name] for name in names]
        if trace.type not in ("scatter", "bar") or trace.x is None or trace.y is None:
            continue
        if not with_words and trace.type == "scatter" and trace.mode == "text":
            continue
        x, y = (_numbers(trace[letter], axis) for letter, axis in zip("xy", axes, strict=True))
        if trace.type == "bar":
            stacked = figure.layout.barmode in ("relative", "stack")
            if trace.orientation == "h":
                y, x = _bars(trace, names[::-1], y, x, stacks if stacked else {})
            else:
                x, y = _bars(trace, names, x, y, stacks if stacked else {})
        with np.errstate(invalid="ignore", divide="ignore"):
            x, y = (np.log10(of) if axis.type == "log" else of for of, axis in zip((x, y), axes, strict=True))
        yield names[0], names[1], x, y


def _numbers(values: Any, axis: Any) -> np.ndarray:
    known = list(axis.categoryarray) if axis.categoryarray is not None else list(dict.fromkeys(values))
    named = axis.type == "category" or any(isinstance(value, str) for value in values)
    return np.array([np.nan if v is None else known.index(v) if named else v for v in values], float)


def _bars(trace: Any, names: list[str], place: np.ndarray, length: np.ndarray, stacks: dict[Any, float]) -> Any:
    """Returns the outlines of bars and a line through their middles: along the axis of their places, and across."""
    base = np.zeros(len(place)) if trace.base is None else np.broadcast_to(np.asarray(trace.base, float), place.shape)
    if trace.base is None:
        base = base.copy()
        for i, (at, value) in enumerate(zip(place, length, strict=True)):
            if np.isfinite(value):
                key = (*names, float(at), value > 0)
                base[i] = stacks.get(key, 0.0)
                stacks[key] = base[i] + value
    gaps = np.diff(np.unique(place))
    width = np.asarray(0.8 * (gaps.min() if len(gaps) else 1.0) if trace.width is None else trace.width, float)
    left = place + (-width / 2 if trace.offset is None else np.asarray(trace.offset, float))
    right, top, gap = left + width, base + length, np.full(len(place), np.nan)
    middle = (left + right) / 2
    along = np.stack([left, left, right, right, left, gap, middle, middle, gap], 1)
    across = np.stack([base, top, top, base, base, gap, base, top, gap], 1)
    return along.ravel(), across.ravel()
