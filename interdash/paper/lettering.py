"""The words in a printed figure: as wide as there is room, as large as can be read, numbers as a language has them."""

import html
import math
import re
import textwrap
from typing import Any

import numpy as np

from interdash.figures import inputs
from interdash.paper.venues import POINT, SMALLEST, Venue, spelled

LINES = 3  # of a name beside a bar
LINE = 1.2  # of the size of ticks, from one name to the next


def spell(figure: Any, venue: Venue) -> None:
    """Writes the numbers in texts as the venue's language does; names and words of users stay as they are."""
    for note in figure.layout.annotations:
        words = note.name in (inputs.WORD, inputs.LAST)
        note.text = large_enough(note.text or "" if words else spelled(note.text or "", venue.numbers))
    for trace in figure.data:
        if trace.type == "scatter" and trace.mode and "text" in trace.mode and trace.text is not None:
            one = isinstance(trace.text, str)
            trace.text = spelled(trace.text, venue.numbers) if one else [spelled(t, venue.numbers) for t in trace.text]
        if trace.name:
            trace.name = large_enough(spelled(trace.name, venue.numbers))
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        if axis.ticktext and axis.type != "category":
            axis.ticktext = [spelled(text, venue.numbers) for text in axis.ticktext]
        elif axis.ticktext:
            axis.ticktext = [large_enough(text) for text in axis.ticktext]


def large_enough(text: str) -> str:
    """Returns a text whose raised and lowered parts are as large as print needs; Plotly makes them 70 % of the rest."""
    span = f'<span style="font-size:{SMALLEST * POINT:g}px">'
    return re.sub(r"<(su[bp])>(.*?)</su[bp]>", rf"<\1>{span}\2</span></\1>", text)


def apart(trace: Any, venue: Venue, *, log: bool = False) -> Any:
    """Returns the texts of points, without those that would touch another one's, latest kept first; `log`: x axis.

    Names of points that no line joins, each at a place of its own, are clear of each other already.
    """
    on_sides = trace.textposition is not None and not isinstance(trace.textposition, str)
    if (
        (on_sides and "lines" not in trace.mode)
        or isinstance(trace.text, str)
        or trace.text is None
        or len(trace.text) < 3
    ):
        return trace.text
    x, y = np.asarray(trace.x, dtype=float), np.asarray(trace.y, dtype=float)
    x = np.log(x) if log else x
    wide, high = venue.width * 72 - 50, 90.0  # points, roughly the panel
    x, y = x / (np.ptp(x) or 1.0) * wide, y / (np.ptp(y) or 1.0) * high
    kept: list[int] = []
    for i in reversed(range(len(trace.text))):
        if all(abs(x[i] - x[j]) > 3.2 * venue.tick or abs(y[i] - y[j]) > 2.6 * venue.tick for j in kept):
            kept.append(i)
    return [text if i in kept else "" for i, text in enumerate(trace.text)]


def shorten_phases(figure: Any, length: float, tick: float) -> None:
    """Leaves the number of a phase, or nothing, where its name would touch that of the next one."""
    notes = [note for note in figure.layout.annotations if note.text.startswith("phase ")]
    starts = [note.x for note in notes]
    ends = [x for trace in figure.data for x in trace.x if x is not None] if notes else [1.0]
    last = math.log10(max(ends)) if figure.layout.xaxis.type == "log" else max(ends)
    span = (last - min(starts, default=0.0)) or 1.0
    for note, start, stop in zip(notes, starts, [*starts[1:], math.inf], strict=False):
        room = (stop - start) / span * 0.9 * length
        words = (note.text, note.text.removeprefix("phase "), "")
        note.text = next(text for text in words if not text or width(text, tick) + 0.5 * tick < room)


def shorten(figure: Any, most: int) -> None:
    """Sets long names beside bars in lines, and cuts what `LINES` of them do not hold; the rows have all of it."""
    whole = {str(place): re.split("<br>|(?<=}),", words)[0] for trace in figure.data if trace.type == "bar"
             for place, words in zip(trace.y, trace.hovertext or (), strict=False)}  # fmt: skip
    for axis in figure.select_yaxes():
        if axis.type == "category" and axis.ticktext:
            names = zip(axis.tickvals, axis.ticktext, strict=True)
            uncut = [re.sub(".*…}?", lambda _, key=str(place): whole.get(key, ""), text) for place, text in names]
            axis.ticktext = [_in_lines(text, most) for text in uncut]


def _in_lines(text: str, most: int) -> str:
    """Returns a name in lines of at most so many letters."""
    lines = text.split("<br>")
    if len(lines) == 1 and len(plain(text)) > most:
        lines = [html.escape(line, quote=False) for line in textwrap.wrap(plain(text), most, break_on_hyphens=False)]
        lines = [*lines[: LINES - 1], *filter(None, [" ".join(lines[LINES - 1 :])])]
    return "<br>".join(cut(line, most) for line in lines)


def cut(text: str, most: int) -> str:
    return text if len(plain(text)) <= most else html.escape(f"{plain(text)[: most - 1]}…", quote=False)


def turned(axis: Any, length: float, tick: float) -> float:
    """Returns the pixels that the ticks of an x axis take below it; names that would touch are turned upright."""
    if axis.showticklabels is False:
        return 0.0
    names = [plain(text) for text in axis.ticktext or () if any(letter.isalpha() for letter in text)]
    longest = max((width(name, tick) for name in names), default=0.0)
    if not names or len(names) * (longest + 0.7 * tick) <= length:
        return 1.3 * tick
    axis.tickangle = -90
    return longest + 0.3 * tick


def room_of_names(axis: Any, tick: float) -> float:
    """Returns how high an axis must be for each of its names, in pixels; numbers may be left out."""
    texts = [] if axis.type == "category" else axis.ticktext or []
    return LINE * tick * len(texts) if any(text.strip() and not text.strip()[0].isdigit() for text in texts) else 0.0


def thin_ticks(figure: Any, axis: Any, length: float, tick: float) -> None:
    """Leaves out every second number of an x axis, or more, where they would touch; ticks stay."""
    axis.tickangle = axis.tickangle or 0
    if axis.ticktext is None and axis.dtick and axis.type != "log":  # whole numbers from 1 on
        numbers = (trace.x for trace in figure.data if figure.layout[f"xaxis{(trace.xaxis or 'x')[1:]}"] is axis)
        last = max((float(x) for of_trace in numbers for x in of_trace if x is not None), default=1.0)
        room = width(f"{last:.0f}", tick) + 0.5 * tick
        axis.update(tick0=1, dtick=max(axis.dtick, math.ceil(last * room / length)))
    if axis.ticktext is None or axis.type == "category" or axis.tickangle:
        return
    texts = list(axis.ticktext)
    longest = max((width(text, tick) for text in texts), default=0)
    step = max(1, math.ceil(len(texts) * (longest + 0.7 * tick) / length))
    axis.ticktext = [text if i % step == 0 else "" for i, text in enumerate(texts)]


def plain(text: str) -> str:
    """Returns a text without the little HTML that Plotly reads."""
    return html.unescape(re.sub(r"<[^>]*>", "", text))


def width(text: str, size: float) -> float:
    return 0.48 * size * len(plain(text))  # of Liberation Sans; Serif is narrower


def wrapped(text: str, length: float, size: float) -> str:
    """Returns a title in as many lines as its axis asks for, of much the same length.

    >>> wrapped("epoch (log scale of epoch + 1)", 140, 10)
    'epoch (log scale<br>of epoch + 1)'
    """
    most = max(8, int(length / (0.5 * size)))
    rows = _wrapped(text, most)
    while most > 8 and len(shorter := _wrapped(text, most - 1)) == len(rows):
        rows, most = shorter, most - 1
    return "<br>".join(rows)


def _wrapped(text: str, most: int) -> list[str]:
    whole = text.replace("<span ", "<span\0")  # no place to break a line
    return [
        row.replace("\0", " ")
        for line in whole.split("<br>")
        for row in textwrap.wrap(line, most, break_long_words=False, break_on_hyphens="<" not in line)
    ]


def lines(text: str, length: float, size: float) -> int:
    return wrapped(text, length, size).count("<br>") + 1
