"""A chart of the screen made ready for print: a venue's width, its text sizes, nothing that only works on a screen.

What is drawn stays the same, less title, slider and buttons. Panels are set anew in as many columns as fit; hatched
bars become pale with a frame, maps become rectangles: Chromium writes both as bitmaps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import plotly.graph_objects as go

from interdash.figures import inputs, sheet, theme
from interdash.paper import ink, legends, lettering, marks
from interdash.paper.venues import NUMBERS, POINT, SMALLEST, TALLEST, VENUES, Venue

NARROWEST = 1.5  # inches of a panel with numbers on its y axis
NARROWEST_SHARED = 0.82  # … without
LOWEST = 0.4  # of the height that a plot has by itself
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
    is_first: bool = True  # under that title of a column


def fitted(drawn: Callable[[float], Any], venue: Venue, tallest: float = TALLEST) -> Any:
    """Returns the figure of the height that the venue says, or of what it needs by itself, `tallest` inches at most.

    Args:
        drawn: draws the figure, its plots stretched in height by a factor; says in `layout.meta` how high those are.
        venue: the venue.
        tallest: inches.

    Raises:
        ValueError: it cannot be made as low.
    """
    figure, stretch = drawn(1.0), 1.0
    goal = (venue.height or min(tallest, figure.layout.height / 96)) * 96
    for _ in range(4):
        wrong, plots = figure.layout.height - goal, figure.layout.meta["plots"]
        if abs(wrong) < 1:
            break
        wanted = stretch * (1 - wrong / plots) if plots else 0.0
        if wanted < LOWEST and venue.height:
            least = (figure.layout.height - plots * (1 - LOWEST / stretch)) / 96
            raise ValueError(f"the figure cannot be {venue.height:g} in high; it needs {least:.1f} in or more")
        stretch = max(wanted, LOWEST)
        figure = drawn(stretch)
    return figure


def too_tall(figure: Any, tallest: float = TALLEST) -> str:
    """Returns what to say about a figure that no page has room for; "" if one has."""
    width, height = figure.layout.width / 96, figure.layout.height / 96
    if height <= tallest + 0.02:
        return ""
    return (
        f"{width:.3g} × {height:.1f} in is more than a page holds with its caption ({tallest:.1f} in): choose fewer "
        "panels, a wider venue, or panels side by side"
    )


def printed(figure: go.Figure, venue: Venue, *, stretch: float = 1.0) -> go.Figure:
    """Returns the figure as it is printed: `venue.width` inches wide, 96 pixels an inch, as high as it needs.

    Plots whose height is free are `stretch` times as high as by themselves; `layout.meta` says how high they are.
    """
    drawn = in_margins(figure, venue, with_legend=True, stretch=stretch)
    _without_sides(drawn)
    return ink.grey(drawn) if venue.colours == "grey" else drawn


def in_margins(figure: go.Figure, venue: Venue, *, with_legend: bool, stretch: float) -> Any:
    """Returns the figure as `printed` does, with what stands beside its plots in the margins, and in colour.

    `with_legend=False` leaves no room for the legend: it is drawn for several charts together, see `panels.composed`.
    """
    drawn = still(figure, venue)
    drawn.update_layout(title=None, hovermode=False)
    if venue.y_range:
        marks.set_range(drawn, venue.y_range)
    _scale(drawn, venue)
    ink.vector_maps(drawn, venue.tick * POINT)
    ink.vector_images(drawn)
    ink.pale_bars(drawn)
    lettering.spell(drawn, venue)
    ink.large_powers(drawn, max(venue.tick, SMALLEST / 0.86) * POINT)
    _set_panels(drawn, venue, with_legend=with_legend, stretch=stretch)
    return drawn


def still(figure: go.Figure, venue: Venue = VENUES["neurips"]) -> Any:
    """Returns the figure without slider, buttons and the line of the pinned epoch, in a venue's fonts."""
    drawn = sheet.copied(figure, template(venue))
    if drawn.layout.sliders:
        _drop_index(drawn)
        drawn.update_yaxes(range=None)  # that of all epochs
    drawn.layout.sliders, drawn.layout.updatemenus = (), ()
    return drawn


def _without_sides(figure: Any) -> None:
    """Moves what stands in the margins at the sides into the plot area: Plotly makes a legend no wider than that."""
    layout = figure.layout
    left, width = layout.margin.l, layout.width
    inside = width - left - layout.margin.r
    for axis in figure.select_xaxes():
        axis.domain = [(left + share * inside) / width for share in axis.domain or (0, 1)]
    for trace in figure.select_traces({"type": "scatter"}):
        if trace.marker.showscale:
            trace.marker.colorbar.x = (left + trace.marker.colorbar.x * inside) / width
    for item in (*layout.annotations, *layout.shapes):
        if item.xref == "paper":
            keys = ("x",) if isinstance(item, go.layout.Annotation) else ("x0", "x1")
            item.update({key: (left + item[key] * inside) / width for key in keys})
    if layout.legend.xref == "paper":
        layout.legend.x = (left + layout.legend.x * inside) / width
    layout.margin.update(l=0, r=0)


@lru_cache(64)
def template(venue: Venue) -> go.layout.Template:
    """Returns the template of the screen with the fonts and sizes of a venue."""
    font = f'"{venue.font}", {FALLBACKS["Serif" in venue.font]}'  # for readers of SVG and HTML without the font
    axis = {
        "tickfont": {"size": venue.tick * POINT},
        "title": {"font": {"size": venue.label * POINT}, "standoff": 4},
        "ticklen": 3,
    }
    background = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"} if venue.transparent else {}
    return theme.template(automargin=False).update(
        layout=background
        | {
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
    """Drops the last column of a chart with a slider, where the slider stands, and what has no values at its epoch."""
    last = max(figure.data, key=lambda trace: int((trace.xaxis or "x")[1:] or 1))
    number = (last.xaxis or "x")[1:]
    middle = sum(figure.layout[f"xaxis{number}"].domain) / 2
    beside = [trace for trace in figure.data if (trace.xaxis or "x")[1:] != number]
    figure.data = [trace for trace in beside if any(y is not None for y in trace.y)]  # else it has a legend entry
    figure.layout.annotations = [note for note in figure.layout.annotations if abs(note.x - middle) > 1e-6]
    figure.layout.shapes = [shape for shape in figure.layout.shapes if shape.xref != f"x{number}"]
    figure.layout[f"xaxis{number}"] = figure.layout[f"yaxis{number}"] = None


def _scale(figure: Any, venue: Venue) -> None:
    """Scales lines and markers as the text is scaled; no text that a chart sets itself is below that of the ticks."""
    factor = venue.label * POINT / _SCREEN * (0.8 if venue.width < 4 else 0.9) * venue.lines
    for trace in figure.data:
        if trace.type == "scatter":
            trace.line.width = factor * (2 if trace.line.width is None else trace.line.width)
            size = 6 if trace.marker.size is None else trace.marker.size
            trace.marker.size = [factor * each for each in size] if isinstance(size, tuple) else factor * size
            if trace.marker.line.width:
                trace.marker.line.width = factor * trace.marker.line.width
            if trace.error_x.array is not None:
                trace.error_x.update(thickness=factor * (trace.error_x.thickness or 2), width=factor * 4)
        if trace.type == "scatter" and trace.mode and "text" in trace.mode:
            trace.textfont.size = venue.tick * POINT
            trace.cliponaxis = False
            log = figure.layout[f"xaxis{(trace.xaxis or 'x')[1:]}"].type == "log"
            trace.text = lettering.apart(trace, venue, log=log)
    figure.update_yaxes(tickfont_size=venue.tick * POINT)
    for shape in figure.layout.shapes:
        if shape.line.width:
            shape.line.width *= factor
    for note in figure.layout.annotations:
        if note.borderwidth:
            note.borderwidth *= factor
        if note.text.startswith("gap rises"):  # the whole of it would lie over the curves
            note.update(text="gap rises", xanchor="left", font_color=theme.BLACK)
        note.font.size = (venue.tick if (note.font.size or _SCREEN) < _SCREEN else venue.label) * POINT


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
    titles = [note for note in figure.layout.annotations if note.xref == note.yref == "paper" and note.x is not None]
    used: list[Any] = []
    for panel in panels:
        beside = [note for note in titles if note.textangle == 90 and _same(note.y, (panel.bottom + panel.top) / 2)]
        middle = (panel.left + panel.right) / 2
        above = [note for note in titles if note.yanchor == "bottom" and _same(note.x, middle)]
        above = sorted((note for note in above if note.y > panel.top - 1e-6), key=lambda note: note.y)[:1]
        for note in beside:
            panel.row_title = note.text
        for note in above:
            panel.column_title, panel.is_first = note.text, _same(note.y, panel.top)
        used += [*beside, *above]
    figure.layout.annotations = [note for note in figure.layout.annotations if not any(note is each for each in used)]
    return panels


def _same(one: float, other: float) -> bool:
    return abs(one - other) < 1e-6


def _set_panels(figure: Any, venue: Venue, *, with_legend: bool, stretch: float) -> None:
    """Gives every panel its place, title and ticks, and the figure its height, margins and legend."""
    panels = _panels(figure)
    layout = figure.layout
    width = venue.width * 96
    label, tick = venue.label * POINT, venue.tick * POINT
    if any(note.name in (inputs.WORD, inputs.LAST) for note in layout.annotations):
        height = inputs.flow(layout.annotations, width - 24, label, serif="Serif" in venue.font)
        layout.update(width=width, height=math.ceil(height + 4), showlegend=False, meta={"plots": 0})
        layout.margin = {"l": 16, "r": 8, "t": 8, "b": 8, "pad": 0, "autoexpand": False}
        return
    if not panels:
        margin = {"l": 20, "r": 10, "t": 10, "b": 20}
        layout.update(width=width, height=1.5 * 96, showlegend=False, meta={"plots": 0}, margin=margin)
        return
    before = len({round(panel.left, 6) for panel in panels})
    shared = before > 1 and all(
        layout[panel.y].showticklabels is False for panel in panels if panel.left > panels[0].left
    )
    bars = _colour_bars(figure, panels)
    lettering.shorten(figure, int(0.44 * width / (0.47 * tick)))
    for axis in figure.select_yaxes(lambda axis: axis.scaleanchor and axis.showticklabels is False):
        axis.title.text = layout[f"xaxis{(axis.anchor or 'x')[1:]}"].title.text = ""  # an image: no words beside it
    lengths: list[float] = []
    while True:  # twice: how high the panels are depends on the room beside them, and the lines of titles on that
        left = _y_room(figure, panels, lengths or [120.0] * len(panels), label, tick)
        right = 8.0 + (left if any(axis.overlaying for axis in figure.select_yaxes()) else 0)
        columns = _columns(venue.width - (left + right + ink.BAR * len(bars)) / 96, before, len(panels), shared=shared)
        beside = [ink.BAR if any(i % columns == column for i in bars) else 0 for column in range(columns)]
        moved, rows = columns != before, math.ceil(len(panels) / columns)
        sideways = not moved and any(panel.row_title for panel in panels)
        across = 7.0 if shared else left + 4
        right += beside[-1] + (1.4 * label if sideways else 0)
        plot_width = width - left - right
        panel_width = (plot_width - across * (columns - 1) - sum(beside[:-1])) / columns
        heights = _heights(figure, panels, rows, panel_width, tick, moved=moved)
        if is_free := layout[panels[0].y].type != "category":
            heights = [stretch * height for height in heights]
        for i, panel in enumerate(panels):
            heights[i // columns] = max(heights[i // columns], lettering.room_of_names(layout[panel.y], tick))
        if lengths:
            break
        lengths = [heights[i // columns] for i in range(len(panels))]
    names = [(panel.row_title if moved else "", panel.column_title) if len(panels) > 1 else () for panel in panels]
    titles = [lettering.wrapped(", ".join(filter(None, words)), 1.1 * panel_width, label) for words in names]
    title_room = max((1.7 + 1.3 * title.count("<br>")) * label if title else 0.0 for title in titles)
    each_x = moved or any(layout[panel.x].showticklabels is not False for panel in panels[:-before])
    x_titles = {layout[panel.x].title.text or "" for panel in panels} - {""}
    one_title = x_titles.pop() if columns > 1 and len(x_titles) == 1 and not each_x else ""
    room = plot_width if one_title else panel_width
    title_lines = max((lettering.lines(text, room, label) for text in (*x_titles, one_title) if text), default=0)
    under_each = [lettering.turned(layout[panel.x], panel_width, tick) for panel in panels]
    under_axis, below = max(under_each), 10 + max(under_each[-columns:]) + 1.3 * label * title_lines
    each_title = moved or any(panel.is_first and panel.column_title for panel in panels[columns:])
    down = 9 + under_axis if moved else 16 + under_axis + 1.3 * label * title_lines if each_x else 6.0
    down += (title_room if each_title else 0.0) + 4
    notes = [note.text for note in layout.annotations if note.yref == "paper" and note.y == 1]
    above = max((1.4 * tick * (1 + text.count("<br>")) for text in notes), default=0.0)
    of_legend = legends.legend(figure, venue, [(panel_width, height) for height in heights])
    of_legend = of_legend if with_legend else legends.Room()
    top, below = 4 + of_legend.above + title_room + above + 4, below + of_legend.below
    lettering.shorten_phases(figure, panel_width, tick)
    plot_height = sum(heights) + down * (rows - 1)
    layout.update(width=round(width, 3), height=math.ceil(top + plot_height + below))
    layout.meta = {"plots": sum(heights) if is_free else 0}
    layout.margin = {"l": left, "r": right, "t": top, "b": below, "pad": 0, "autoexpand": False}
    notes, first_title = list(layout.annotations), layout[panels[0].y].title.text
    if one_title:
        text = lettering.wrapped(one_title, plot_width, label)
        notes.append(_note(text, 0.5, 0, "center", "top", yshift=-(7 + under_axis), font={"size": label}))
    under = 1.0
    for i, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        row, column = divmod(i, columns)
        x0 = (column * (panel_width + across) + sum(beside[:column])) / plot_width
        y1 = 1 - (sum(heights[:row]) + row * down) / plot_height
        x1, y0 = x0 + panel_width / plot_width, y1 - heights[row] / plot_height
        x_axis, y_axis = layout[panel.x], layout[panel.y]
        x_axis.domain, y_axis.domain = (max(x0, 0), min(x1, 1)), (max(y0, 0), min(y1, 1))
        if i in bars:
            top_of_bar = under if columns == 1 else y1
            bars[i].update(x=x1, xanchor="left", y=(top_of_bar + y0) / 2, len=top_of_bar - y0, ypad=0)
            under = y0 - down / plot_height
        last = i + columns >= len(panels)
        if moved:
            y_axis.showticklabels = column == 0 or not shared
            x_axis.showticklabels = True
            y_axis.title.text = y_axis.title.text or (first_title if column == 0 else "")
        has_title = not one_title and (last or not moved)
        x_axis.title.text = lettering.wrapped(x_axis.title.text or "", panel_width, label) if has_title else ""
        y_axis.title.text = lettering.wrapped(y_axis.title.text or "", heights[row], label)
        lettering.thin_ticks(figure, x_axis, panel_width, tick)
        if y_axis.tickvals is None and y_axis.dtick is None:
            y_axis.nticks = max(3, min(6, int(heights[row] / (1.9 * tick))))
        if y_axis.ticktext and y_axis.type != "category":
            step = math.ceil(lettering.LINE * tick * len(y_axis.ticktext) / heights[row])
            y_axis.ticktext = [text if i % step == 0 else "" for i, text in enumerate(y_axis.ticktext)]
        if title and (moved or panel.is_first):
            notes.append(_note(title, (x0 + x1) / 2, y1, "center", "bottom", yshift=2, font={"size": label}))
        if panel.row_title and not moved and column == columns - 1:
            middle = (y0 + y1) / 2
            notes.append(_note(panel.row_title, 1, middle, "left", "middle", textangle=90, font={"size": label}))
    layout.annotations = notes
    if of_legend.inside:
        legends.set_inside(figure, venue, of_legend.inside, (plot_width, plot_height))


def _note(text: str, x: float, y: float, xanchor: str, yanchor: str, **looks: Any) -> go.layout.Annotation:
    """Returns words at a place in shares of the plot area."""
    place: dict[str, Any] = {"x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": xanchor, "yanchor": yanchor}
    return go.layout.Annotation(text=text, showarrow=False, **place, **looks)


def _colour_bars(figure: Any, panels: list[_Panel]) -> dict[int, Any]:
    """Returns the colour bars by the number of the panel that each belongs to; the last one of its scale has it."""
    number = {panel.x: i for i, panel in enumerate(panels)}
    traces = [trace for trace in figure.data if trace.type == "scatter" and trace.marker.showscale]
    return {number[f"xaxis{(trace.xaxis or 'x')[1:]}"]: trace.marker.colorbar for trace in traces}


def _columns(inches: float, old: int, count: int, *, shared: bool) -> int:
    """Returns how many of `count` panels stand side by side: as were, or fewer; rows are full, of one row even."""
    most = max(1, min(old, int(inches / (NARROWEST_SHARED if shared else NARROWEST))))
    full = next(n for n in range(most, 0, -1) if old % n == 0)
    return math.ceil(old / math.ceil(old / most)) if shared and count == old else full


def _heights(figure: Any, panels: list[_Panel], rows: int, width: float, tick: float, *, moved: bool) -> list[float]:
    """Returns the height of each row of panels in pixels."""
    layout = figure.layout
    y_axis = layout[panels[0].y]
    if y_axis.type == "category":
        lines = max(text.count("<br>") + 1 for text in y_axis.ticktext)
        return [(0.2 + 1.25 * lines) * tick * len(y_axis.tickvals)] * rows
    if y_axis.scaleanchor:
        return [min(width, 210.0 if y_axis.showticklabels is False else 330.0)] * rows  # an image is the lower
    one = min(max(0.66 * width, 96.0), 190.0)
    if any(trace.mode == "text" for trace in figure.select_traces({"type": "scatter"})):  # cells with two lines each
        one = max(one, 2.7 * tick * len(y_axis.tickvals or ()))
    if moved or len(panels) == 1:
        return [min(one, 130.0) if rows > 2 else one] * rows
    shares = list(dict.fromkeys((panel.bottom, panel.top) for panel in panels))
    spans = [top - bottom for bottom, top in shares]
    whole = (96.0 if len(shares) > 1 else one) * len(shares)
    least = 80.0 if len(shares) < 4 else 62.0
    return [max(least, whole * span / sum(spans)) for span in spans]


def _y_room(figure: Any, panels: list[_Panel], lengths: list[float], label: float, tick: float) -> float:
    """Returns the pixels that numbers and title of a y axis take, beside panels of these heights in pixels."""
    layouts = [figure.layout[panel.y] for panel in panels]
    lines = [lettering.plain(line) for axis in layouts for text in axis.ticktext or () for line in text.split("<br>")]
    least = max(6 if each.exponentformat == "power" else 4 if "%" in (each.tickformat or "") else 3 for each in layouts)
    numbers = max((len(line) * 0.47 for line in lines), default=least * 0.5) * tick
    each = zip(layouts, lengths, strict=True)
    titles = max(lettering.lines(axis.title.text or "", length, label) for axis, length in each)
    return 7 + numbers + 1.3 * label * titles + 7
