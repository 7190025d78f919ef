"""The legend of a printed figure: over or below its panels, in a corner of one, or none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from interdash.paper import lettering, marks
from interdash.paper.venues import COLUMN, CORNERS, FONTS, POINT, Venue

MOST = 0.9  # of a panel's width and height that a legend inside may take
_EDGE = 3.0  # pixels between it and the axes


@dataclass(frozen=True)
class Room:
    """The pixels that a legend takes."""

    above: float = 0.0  # the panels
    below: float = 0.0
    inside: tuple[float, float] | None = None  # width and height, in a panel


def entries(figure: Any) -> list[str]:
    """Returns the names in a figure's legend; none where it has no legend."""
    shown = figure.layout.showlegend if figure.layout.showlegend is not None else len(figure.data) > 1
    return [trace.name for trace in _named(figure) if shown and trace.showlegend is not False and trace.name]


def _named(figure: Any) -> list[Any]:
    """Returns the traces that Plotly would name."""
    return [trace for trace in figure.data if trace.type != "image" and (trace.y is None or len(trace.y))]


def legend(figure: Any, venue: Venue, panels: Sequence[tuple[float, float]] = ()) -> Room:
    """Makes a legend of entries of one width; returns its room.

    It is inside, where the venue says so, if one of the `panels`, of so many pixels in width and height, can hold it.
    """
    for trace in _named(figure):
        trace.legendgroup = None
    names = entries(figure)
    if not names or venue.legend == "off":
        figure.update_layout(showlegend=False)
        return Room()
    size = (venue.tick if venue.width < COLUMN else venue.label) * POINT
    entry = max(lettering.width(name, size) for name in names) * FONTS.get(venue.font, 1.12)
    line = line_height(size)
    looks: dict[str, Any] = {"entrywidth": entry, "entrywidthmode": "pixels", "itemwidth": 30, "font": {"size": size}}
    looks |= {"traceorder": "normal"}
    wide, high = entry + 45, line * len(names) + 6
    if venue.legend in CORNERS and any(wide <= MOST * w and high <= MOST * h for w, h in panels):
        looks |= {"orientation": "v", "xref": "paper", "yref": "paper"}
        figure.update_layout(showlegend=True, legend=looks)
        return Room(inside=(wide, high))
    below = venue.legend == "below"
    looks |= {"orientation": "h", "x": 0.0, "xref": "container", "xanchor": "left", "yref": "container"}
    looks |= {"y": 0.0 if below else 1.0, "yanchor": "bottom" if below else "top"}
    figure.update_layout(showlegend=True, legend=looks)
    rows = math.ceil(len(names) / max(1, int((venue.width * 96 + 4) // (entry + 45))))
    return Room(below=rows * line + 8) if below else Room(above=rows * line)  # Plotly puts titles clear of it


def line_height(size: float) -> float:
    """Returns the pixels from one entry to the next, of text of a size, as Plotly has it."""
    return max(16.0, 1.3 * size) + 3


def in_columns(own: dict[str, Any], names: int, wide: float, page: tuple[float, float]) -> list[dict[str, Any]]:
    """Returns legends side by side, for each column of so many names, in place of one that is `wide` pixels at most.

    Plotly gives a legend the width of the `page`; one that fits in a line is returned as it is. Sizes in pixels.
    """
    entry, line = own["entrywidth"] + 45, line_height(own["font"]["size"])
    count = max(1, int((wide + 4) // entry))
    if own["orientation"] == "v" or names <= count:
        return [own]
    up = math.ceil(names / count) * line + 5 if own["yanchor"] == "bottom" else 0.0
    looks = own | {"orientation": "v", "y": own["y"] + up / page[1], "yanchor": "top"}
    looks |= {"xref": "paper", "yref": "paper"}  # in the container, titles of axes would be put clear of it
    return [looks | {"x": own["x"] + i * entry / page[0]} for i in range(count)]


def set_inside(figure: Any, venue: Venue, size: tuple[float, float], plot: tuple[float, float]) -> None:
    """Puts a legend of a size into the corner of a panel where it covers least, of those that the venue allows.

    `plot`: width and height of all panels together; sizes in pixels.
    """
    places: dict[tuple[float, float, int, int], float] = {}
    for x_name, y_name in dict.fromkeys(
        (f"xaxis{(t.xaxis or 'x')[1:]}", f"yaxis{(t.yaxis or 'y')[1:]}") for t in figure.data
    ):
        domains = [figure.layout[name].domain for name in (x_name, y_name)]
        shares = [part / (whole * (end - start)) for part, whole, (start, end) in zip(size, plot, domains, strict=True)]
        if max(shares) > MOST:
            continue
        cells = marks.covered(figure, x_name, y_name)
        across, up = (math.ceil(share * marks.GRID) for share in shares)
        for right, top in CORNERS[venue.legend]:
            part = cells[-up:] if top else cells[:up]
            covers = (part[:, -across:] if right else part[:, :across]).sum()
            places[domains[0][right], domains[1][top], right, top] = covers
    x, y, right, top = min(places, key=places.__getitem__)
    figure.layout.legend.update(
        x=x + (-_EDGE if right else _EDGE) / plot[0], xanchor="right" if right else "left",
        y=y + (-_EDGE if top else _EDGE) / plot[1], yanchor="top" if top else "bottom",
        bgcolor=None if venue.transparent else "rgba(255,255,255,0.8)",
    )  # fmt: skip
