"""A chart of the screen made ready for print: a venue's width, its text sizes, nothing that only works on a screen.

What is drawn stays the same, less title, slider and buttons. Panels are set anew in as many columns as fit; hatched
bars become pale with a frame, maps become rectangles: Chromium writes both as bitmaps.
"""

import html
import math
import re
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from interdash.figures import inputs, theme
from interdash.paper import ink
from interdash.paper.venues import NUMBERS, POINT, SMALLEST, Venue, spelled

NARROWEST = 1.5  # inches of a panel with numbers on its y axis
NARROWEST_SHARED = 0.82  # … without
FALLBACKS = {False: "Arial, Helvetica, sans-serif", True: '"Times New Roman", Times, serif'}
_SCREEN = 13  # pixels of text in the charts of the screen


@dataclass
class _Panel:
    """One pair of axes and what stands on its top."""

    x: str  # key in the layout: "xaxis2"
    y: str
    left: float  # where it was, shares of the plot area
    right: float
    bottom: float
    top: float
    column_title: str = ""
    row_title: str = ""


def printed(figure: go.Figure, venue: Venue, *, legend: bool = True) -> go.Figure:
    """Returns the figure as it is printed: `venue.width` inches wide, 96 pixels an inch, as high as it needs.

    `legend=False` leaves no room for the legend: it is drawn for several charts together, see `panels.composed`.
    """
    drawn: Any = go.Figure(figure)
    if drawn.layout.sliders:
        _drop_index(drawn)
    drawn.frames = []
    drawn.layout.sliders, drawn.layout.updatemenus = (), ()
    drawn.update_layout(title=None, template=template(venue), hovermode=False)
    _scale(drawn, venue)
    ink.vector_maps(drawn, venue.tick * POINT)
    ink.vector_images(drawn)
    ink.pale_bars(drawn)
    _spell(drawn, venue)
    ink.large_powers(drawn, max(venue.tick, SMALLEST / 0.86) * POINT)
    _set_panels(drawn, venue, with_legend=legend)
    return ink.grey(drawn) if venue.colours == "grey" else drawn


def template(venue: Venue) -> go.layout.Template:
    """Returns the template of the screen with the fonts and sizes of a venue."""
    font = f'"{venue.font}", {FALLBACKS["Serif" in venue.font]}'  # for readers of SVG and HTML without the font
    axis = {
        "tickfont": {"size": venue.tick * POINT},
        "title": {"font": {"size": venue.label * POINT}, "standoff": 4},
        "ticklen": 3,
    }
    return theme.template().update(
        layout={
            "font": {"family": font, "size": venue.label * POINT, "color": theme.BLACK},
            "colorway": [theme.BLACK],
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"font": {"size": venue.label * POINT}},
            "annotationdefaults": {"font": {"family": font, "size": venue.label * POINT, "color": theme.BLACK}},
            "separators": NUMBERS[venue.numbers],
        }
    )


def _drop_index(figure: Any) -> None:
    """Drops the last column of a chart with a slider: it only shows where in training the slider stands."""
    last = max(figure.data, key=lambda trace: int((trace.xaxis or "x")[1:] or 1))
    number = (last.xaxis or "x")[1:]
    x = figure.layout[f"xaxis{number}"]
    middle = sum(x.domain) / 2
    figure.data = [trace for trace in figure.data if (trace.xaxis or "x")[1:] != number]
    figure.layout.annotations = [note for note in figure.layout.annotations if abs(note.x - middle) > 1e-6]
    figure.layout.shapes = [shape for shape in figure.layout.shapes if shape.xref != f"x{number}"]
    figure.layout[f"xaxis{number}"] = figure.layout[f"yaxis{number}"] = None


def _scale(figure: Any, venue: Venue) -> None:
    """Scales lines and markers as the text is scaled; no text that a chart sets itself is below that of the ticks."""
    factor = venue.label * POINT / _SCREEN * (0.8 if venue.width < 4 else 0.9)
    for trace in figure.data:
        if trace.type == "scatter":
            trace.line.width = factor * (2 if trace.line.width is None else trace.line.width)
            size = trace.marker.size
            trace.marker.size = factor * (6 if size is None else size)
            if trace.marker.line.width:
                trace.marker.line.width = factor * trace.marker.line.width
            if trace.error_x.array is not None:
                trace.error_x.update(thickness=factor * (trace.error_x.thickness or 2), width=factor * 4)
        if trace.type == "scatter" and trace.mode and "text" in trace.mode:
            trace.textfont.size = venue.tick * POINT
            trace.cliponaxis = False
            trace.text = _apart(trace, venue)
    for shape in figure.layout.shapes:
        if shape.line.width:
            shape.line.width *= factor
    for note in figure.layout.annotations:
        if note.borderwidth:
            note.borderwidth *= factor
        if note.text.startswith("gap rises"):  # the whole of it would lie over the curves
            note.update(text="gap rises", xanchor="left")
        small = (note.font.size or _SCREEN) < _SCREEN
        note.font.size = (venue.tick if small else venue.label) * POINT


def _spell(figure: Any, venue: Venue) -> None:
    """Writes the numbers in texts as the venue's language does; names and words of users stay as they are."""
    for note in figure.layout.annotations:
        words = note.name in (inputs.WORD, inputs.LAST)
        note.text = _large_enough(note.text or "" if words else spelled(note.text or "", venue.numbers))
    for trace in figure.data:
        if trace.type == "scatter" and trace.mode and "text" in trace.mode and trace.text is not None:
            one = isinstance(trace.text, str)
            trace.text = spelled(trace.text, venue.numbers) if one else [spelled(t, venue.numbers) for t in trace.text]
        if trace.name:
            trace.name = _large_enough(trace.name)
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        if axis.ticktext and axis.type != "category":
            axis.ticktext = [spelled(text, venue.numbers) for text in axis.ticktext]
        elif axis.ticktext:
            axis.ticktext = [_large_enough(text) for text in axis.ticktext]


def _large_enough(text: str) -> str:
    """Returns a text whose raised and lowered parts are as large as print needs; Plotly makes them 70 % of the rest."""
    span = f'<span style="font-size:{SMALLEST * POINT:g}px">'
    return re.sub(r"<(su[bp])>(.*?)</su[bp]>", rf"<\1>{span}\2</span></\1>", text)


def _apart(trace: Any, venue: Venue) -> Any:
    """Returns the texts of points, without those that would touch another one's, latest kept first."""
    if isinstance(trace.text, str) or trace.text is None or len(trace.text) < 3:
        return trace.text
    x, y = np.asarray(trace.x, dtype=float), np.asarray(trace.y, dtype=float)
    wide, high = venue.width * 72 - 50, 90.0  # points, roughly the panel
    x, y = x / (np.ptp(x) or 1.0) * wide, y / (np.ptp(y) or 1.0) * high
    kept: list[int] = []
    for i in reversed(range(len(trace.text))):
        if all(abs(x[i] - x[j]) > 2 * venue.tick or abs(y[i] - y[j]) > 1.3 * venue.tick for j in kept):
            kept.append(i)
    return [text if i in kept else "" for i, text in enumerate(trace.text)]


def _panels(figure: Any) -> list[_Panel]:
    """Returns the panels row by row, each with the titles that stand beside it; those titles are taken out."""
    found: dict[tuple[str, str], _Panel] = {}
    for trace in figure.data:
        x, y = f"xaxis{(trace.xaxis or 'x')[1:]}", f"yaxis{(trace.yaxis or 'y')[1:]}"
        if figure.layout[y].overlaying:
            continue
        x_domain, y_domain = figure.layout[x].domain or (0, 1), figure.layout[y].domain or (0, 1)
        found.setdefault((x, y), _Panel(x, y, x_domain[0], x_domain[1], y_domain[0], y_domain[1]))
    panels = sorted(found.values(), key=lambda panel: (-panel.bottom, panel.left))
    kept = []
    for note in figure.layout.annotations:
        of = [panel for panel in panels if note.xref == note.yref == "paper" and _title(note, panel, panels)]
        for panel in of:
            name = "row_title" if note.textangle == 90 else "column_title"
            setattr(panel, name, note.text)
        if not of:
            kept.append(note)
    figure.layout.annotations = kept
    return panels


def _title(note: Any, panel: _Panel, panels: list[_Panel]) -> bool:
    if note.textangle == 90:
        return abs(note.y - (panel.bottom + panel.top) / 2) < 1e-6
    above = {other.top for other in panels if other.top >= note.y - 1e-6}
    top = min(other.top for other in panels if other.top == max(above)) if above else note.y
    in_column = abs(note.x - (panel.left + panel.right) / 2) < 1e-6
    return in_column and note.yanchor == "bottom" and (panel.top <= note.y + 1e-6) and abs(note.y - top) < 1e-6


def _set_panels(figure: Any, venue: Venue, *, with_legend: bool) -> None:
    """Gives every panel its place, title and ticks, and the figure its height, margins and legend."""
    panels = _panels(figure)
    layout = figure.layout
    width = venue.width * 96
    label, tick = venue.label * POINT, venue.tick * POINT
    if any(note.name in (inputs.WORD, inputs.LAST) for note in layout.annotations):
        height = inputs.flow(layout.annotations, width - 24, label, serif="Serif" in venue.font)
        layout.update(width=width, height=math.ceil(height + 16), showlegend=False)
        layout.margin = {"l": 16, "r": 8, "t": 8, "b": 8, "pad": 0, "autoexpand": False}
        return
    if not panels:
        layout.update(width=width, height=1.5 * 96, showlegend=False, margin={"l": 20, "r": 10, "t": 10, "b": 20})
        return
    old_columns = len({round(panel.left, 6) for panel in panels})
    shared = old_columns > 1 and all(
        layout[panel.y].showticklabels is False for panel in panels if panel.left > panels[0].left
    )
    bars = [trace.marker.colorbar for trace in figure.data if trace.type == "scatter" and trace.marker.showscale]
    _shorten(figure, int(0.4 * width / (0.47 * tick)))
    left = _y_room(figure, [panel.y for panel in panels], label, tick)
    right = 8.0 + ink.BAR * len(bars) + (left if any(axis.overlaying for axis in figure.select_yaxes()) else 0)
    columns = _columns(venue.width - (left + right) / 96, old_columns, shared=shared)
    moved = columns != old_columns
    sideways = not moved and any(panel.row_title for panel in panels)
    titles = [_panel_title(panel, moved=moved) for panel in panels]
    rows = math.ceil(len(panels) / columns)
    across = 7.0 if shared else left + 4
    right += 1.4 * label if sideways else 0
    plot_width = width - left - right
    for i, bar in enumerate(bars):
        bar.x = 1 + i * ink.BAR / plot_width
    panel_width = (plot_width - across * (columns - 1)) / columns
    titles = [_wrapped(title, 1.1 * panel_width, label) for title in titles]
    title_room = max((1.7 + 1.3 * title.count("<br>")) * label if title else 0.0 for title in titles)
    each_x = moved or any(layout[panel.x].showticklabels is not False for panel in panels[:-old_columns])
    title_lines = max((_lines(layout[panel.x].title.text or "", panel_width, label) for panel in panels), default=1)
    below = 3 + 1.4 * tick + 6 + 1.4 * label * title_lines + 6
    numbers = 3 + 1.4 * tick + 6  # under each panel; the title of the axis only under the last
    down = (numbers if moved else below if each_x else 6.0) + (title_room if moved else 0.0) + 4
    heights = _heights(figure, panels, rows, panel_width, tick, moved=moved)
    legend_rows = legend(figure, venue, plot_width)
    if not with_legend:
        legend_rows = 0
    above = any(note.yref == "paper" and note.y == 1 for note in layout.annotations)
    top = 4 + legend_rows * 1.8 * label + title_room + (1.5 * tick if above else 0) + 4
    _shorten_phases(figure, panel_width, tick)
    plot_height = sum(heights) + down * (rows - 1)
    layout.update(width=round(width, 3), height=math.ceil(top + plot_height + below + 2))
    layout.margin = {"l": left, "r": right, "t": top, "b": below + 2, "pad": 0, "autoexpand": True}
    notes, first_title = list(layout.annotations), layout[panels[0].y].title.text
    for i, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        row, column = divmod(i, columns)
        x0 = column * (panel_width + across) / plot_width
        y1 = 1 - (sum(heights[:row]) + row * down) / plot_height
        x1, y0 = x0 + panel_width / plot_width, y1 - heights[row] / plot_height
        x_axis, y_axis = layout[panel.x], layout[panel.y]
        x_axis.domain, y_axis.domain = (max(x0, 0), min(x1, 1)), (max(y0, 0), min(y1, 1))
        last = i + columns >= len(panels)
        if moved:
            y_axis.showticklabels = column == 0 or not shared
            x_axis.showticklabels = True
            y_axis.title.text = y_axis.title.text or (first_title if column == 0 else "")
        x_axis.title.text = _wrapped(x_axis.title.text or "", panel_width, label) if last or not moved else ""
        y_axis.title.text = _wrapped(y_axis.title.text or "", heights[row], label)
        _thin_ticks(x_axis, panel_width, tick)
        if title and (moved or row == 0 or panel.column_title):
            notes.append(
                go.layout.Annotation(
                    text=title, xref="paper", yref="paper", x=(x0 + x1) / 2, y=y1, xanchor="center", yanchor="bottom",
                    yshift=2, showarrow=False, font={"size": label},
                )
            )  # fmt: skip
        if panel.row_title and not moved and column == columns - 1:
            notes.append(
                go.layout.Annotation(
                    text=panel.row_title, xref="paper", yref="paper", x=1, y=(y0 + y1) / 2, xanchor="left",
                    yanchor="middle", textangle=90, showarrow=False, font={"size": label},
                )
            )  # fmt: skip
    layout.annotations = notes


def _panel_title(panel: _Panel, *, moved: bool) -> str:
    if not moved:
        return panel.column_title
    return ", ".join(filter(None, (panel.row_title, panel.column_title)))


def _shorten_phases(figure: Any, width: float, tick: float) -> None:
    """Leaves the number of a phase, or nothing, where its name would touch that of the next one."""
    notes = [note for note in figure.layout.annotations if note.text.startswith("phase ")]
    starts = [note.x for note in notes]
    ends = [x for trace in figure.data for x in trace.x if x is not None] if notes else [1.0]
    last = math.log10(max(ends)) if figure.layout.xaxis.type == "log" else max(ends)
    span = (last - min(starts, default=0.0)) or 1.0
    for note, start, stop in zip(notes, starts, [*starts[1:], math.inf], strict=False):
        room = (stop - start) / span * 0.9 * width
        words = (note.text, note.text.removeprefix("phase "), "")
        note.text = next(text for text in words if not text or _width(text, tick) + 0.5 * tick < room)


def _columns(inches: float, old: int, *, shared: bool) -> int:
    """Returns how many panels stand side by side: as many as were, or fewer, so that all rows are full."""
    narrowest = NARROWEST_SHARED if shared else NARROWEST
    fits = [n for n in range(old, 0, -1) if old % n == 0 and inches / n >= narrowest]
    return fits[0] if fits else 1


def _heights(figure: Any, panels: list[_Panel], rows: int, width: float, tick: float, *, moved: bool) -> list[float]:
    """Returns the height of each row of panels in pixels."""
    layout = figure.layout
    y_axis = layout[panels[0].y]
    if y_axis.type == "category":
        lines = max(text.count("<br>") + 1 for text in y_axis.ticktext)
        return [(0.2 + 1.25 * lines) * tick * len(y_axis.tickvals)] * rows
    if y_axis.scaleanchor:
        return [min(width, 330.0)] * rows
    one = min(max(0.66 * width, 96.0), 190.0)
    if moved or len(panels) == 1:
        return [min(one, 130.0) if rows > 2 else one] * rows
    shares = list(dict.fromkeys((panel.bottom, panel.top) for panel in panels))
    spans = [top - bottom for bottom, top in shares]
    whole = (96.0 if len(shares) > 1 else one) * len(shares)
    return [max(80.0, whole * span / sum(spans)) for span in spans]


def _y_room(figure: Any, axes: list[str], label: float, tick: float) -> float:
    """Returns the pixels that numbers and title of a y axis take."""
    names = [text for axis in axes for text in figure.layout[axis].ticktext or ()]
    lines = [_plain(line) for text in names for line in text.split("<br>")]
    numbers = max((len(line) * 0.47 for line in lines), default=2.2) * tick
    return 6 + numbers + 1.6 * label + 4


def _shorten(figure: Any, most: int) -> None:
    """Cuts long names beside the bars, line by line; the rows behind the figure have all of them."""
    for axis in figure.select_yaxes():
        if axis.type == "category" and axis.ticktext:
            axis.ticktext = ["<br>".join(_cut(line, most) for line in text.split("<br>")) for text in axis.ticktext]


def _cut(text: str, most: int) -> str:
    return text if len(_plain(text)) <= most else html.escape(f"{_plain(text)[: most - 1]}…", quote=False)


def legend(figure: Any, venue: Venue, width: float) -> int:
    """Makes a legend for over the panels, of entries of one width; returns how many lines it takes."""
    names = []
    for trace in figure.data:
        if trace.type == "image" or (trace.y is not None and not len(trace.y)):  # Plotly names neither
            continue
        trace.legendgroup = None
        if trace.showlegend is not False and trace.name:
            names.append(trace.name)
    shown = figure.layout.showlegend if figure.layout.showlegend is not None else len(figure.data) > 1
    if not names or not shown:
        figure.update_layout(showlegend=False)
        return 0
    figure.update_layout(showlegend=True)
    size = venue.label * POINT
    entry = max(_width(name, size) for name in names) * (0.92 if "Serif" in venue.font else 1.0)
    per_row = max(1, int(width // (entry + 45)))  # Plotly allots it the width of the panels
    rows = math.ceil(len(names) / per_row)
    figure.update_layout(
        legend={
            "orientation": "h", "x": 0.0, "xref": "container", "xanchor": "left", "y": 1.0, "yref": "container",
            "yanchor": "top", "entrywidth": entry, "entrywidthmode": "pixels", "itemwidth": 30,
            "font": {"size": size},
        }
    )  # fmt: skip
    return rows


def _thin_ticks(axis: Any, width: float, tick: float) -> None:
    """Leaves out every second number, or more, where they would touch; ticks stay."""
    axis.tickangle = 0
    if axis.ticktext is None or axis.type == "category":
        return
    texts = list(axis.ticktext)
    longest = max((_width(text, tick) for text in texts), default=0)
    step = max(1, math.ceil(len(texts) * (longest + 0.7 * tick) / width))
    axis.ticktext = [text if i % step == 0 else "" for i, text in enumerate(texts)]


def _plain(text: str) -> str:
    """Returns a text without the little HTML that Plotly reads."""
    return html.unescape(re.sub(r"<[^>]*>", "", text))


def _width(text: str, size: float) -> float:
    return 0.48 * size * len(_plain(text))  # of Liberation Sans; Serif is narrower


def _wrapped(text: str, length: float, size: float) -> str:
    """Returns a title in as many lines as its axis asks for, of much the same length.

    >>> _wrapped("epoch (log scale of epoch + 1)", 140, 10)
    'epoch (log scale<br>of epoch + 1)'
    """
    most = max(8, int(length / (0.5 * size)))
    lines = textwrap.wrap(text, most, break_long_words=False)
    while most > 8 and len(shorter := textwrap.wrap(text, most - 1, break_long_words=False)) == len(lines):
        lines, most = shorter, most - 1
    return "<br>".join(lines)


def _lines(text: str, length: float, size: float) -> int:
    return _wrapped(text, length, size).count("<br>") + 1
