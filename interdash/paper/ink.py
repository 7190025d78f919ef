"""What a chart is drawn with, as print wants it: maps of rectangles, pale bars for hatched ones, greys for colours.

Chromium writes hatching and maps into a PDF as bitmaps, which blur.
"""

import base64
import io
import json
import math
import re
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.colors import sample_colorscale
from plotly.utils import PlotlyJSONEncoder

from interdash.figures import theme

MOST_PIXELS = 64 * 64  # of an image that is drawn as rectangles
BAR = 44  # pixels of a colour bar with its numbers
GREYS = {  # for print without colour, apart in lightness: told apart by dash, marker and frame as well
    theme.GENERALIZABLE: "#292929",
    theme.NON_GENERALIZABLE: "#707070",
    theme.TESTING: "#4B4B4B",
    theme.GAP: "#979797",
    theme.GREY: "#939393",
    theme.SKY: "#B7B7B7",
    theme.ORANGE: "#D9D9D9",  # a chosen word is black on it, a chosen number stands in it on black
}


def vector_maps(figure: Any, size: float) -> None:
    """Replaces maps by rectangles, and their colour bars, text in `size` pixels, by those of points nobody sees."""
    maps = [trace for trace in figure.data if trace.type == "heatmap"]
    for trace in maps:
        _by_number(figure, trace)
    cells = []
    for trace in maps:
        z = np.asarray(trace.z, dtype=float)
        x, y = _edges(list(trace.x), z.shape[1]), _edges(list(trace.y), z.shape[0])
        shares = np.nan_to_num(np.clip((z - trace.zmin) / ((trace.zmax - trace.zmin) or 1.0), 0, 1))
        tones = sample_colorscale([tone for _, tone in trace.colorscale], shares.ravel().tolist())
        for row, values in enumerate(z):
            for column, value in enumerate(values):
                place = {"x0": x[column], "x1": x[column + 1], "y0": y[row], "y1": y[row + 1]}
                place |= {"xref": trace.xaxis or "x", "yref": trace.yaxis or "y", "layer": "below"}
                if not math.isfinite(value) and trace.hoverongaps is False:
                    continue  # no cell at all
                if not math.isfinite(value):  # struck through: in grey, the brightest cells are nearly white too
                    middle = (y[row] + y[row + 1]) / 2
                    line = {"width": 0.4, "color": theme.GREY}
                    cells.append(place | {"type": "line", "y0": middle, "y1": middle, "line": line})
                    continue
                colour = tones[row * z.shape[1] + column]
                line = {"width": 0.4, "color": colour}  # else viewers show white seams
                cells.append(place | {"type": "rect", "fillcolor": colour, "line": line})
        bar = trace.colorbar.to_plotly_json() | {
            "thickness": 7,
            "xpad": 4,
            "len": 1.0,
            "nticks": 4,
            "tickfont": {"size": size},
        }
        bar["title"] = {"text": trace.colorbar.title.text, "side": "top", "font": {"size": size}}
        figure.add_scatter(
            x=[x[0], x[0]],
            y=[y[0], y[0]],
            xaxis=trace.xaxis,
            yaxis=trace.yaxis,
            mode="markers",
            showlegend=False,
            hoverinfo="skip",
            marker={
                "color": [trace.zmin, trace.zmax],
                "cmin": trace.zmin,
                "cmax": trace.zmax,
                "colorscale": trace.colorscale,
                "showscale": trace.showscale is not False,
                "colorbar": bar,
                "opacity": 0,
            },
        )
        x_axis, y_axis = (
            figure.layout[f"{axis[0]}axis{axis[1:]}"] for axis in (trace.xaxis or "x", trace.yaxis or "y")
        )
        for axis in (x_axis, y_axis):
            axis.update(showgrid=False, zeroline=False)  # they would lie over the cells
        y_axis.range, y_axis.autorange = (y[::-1] if y_axis.autorange == "reversed" else y)[:: len(y) - 1], None
    if maps:  # at once: plotly checks all shapes anew at each change
        figure.data = [trace for trace in figure.data if trace.type != "heatmap"]
        figure.layout.shapes = [*cells, *figure.layout.shapes]


def _by_number(figure: Any, trace: Any) -> None:
    """Gives a map of named rows or columns numbers in their place, and the names to the ticks."""
    for letter in "xy":
        names = list(trace[letter])
        if isinstance(names[0], str):
            axis = figure.layout[f"{letter}axis{(trace[f'{letter}axis'] or letter)[1:]}"]
            numbers = list(range(len(names)))
            axis.update(type="linear", tickvals=numbers, ticktext=names, range=[-0.5, len(names) - 0.5])
            trace[letter] = numbers


def vector_images(figure: Any) -> None:
    """Replaces small images by rectangles, one for each run of equal pixels in a row; large ones stay bitmaps."""
    cells, kept = [], []
    for trace in figure.data:
        pixels = _pixels(trace) if trace.type == "image" else None
        if pixels is None:
            kept.append(trace)
            continue
        for row, line in enumerate(pixels):
            starts = [0, *(np.flatnonzero((line[1:] != line[:-1]).any(1)) + 1).tolist(), len(line)]
            for start, stop in pairwise(starts):
                red, green, blue, alpha = line[start].tolist()
                if alpha:
                    colour = f"rgba({red},{green},{blue},{alpha / 255:.3g})" if alpha < 255 else _code(red, green, blue)
                    cells.append(
                        {
                            "type": "rect", "xref": trace.xaxis or "x", "yref": trace.yaxis or "y", "layer": "below",
                            "x0": start - 0.5, "x1": stop - 0.5, "y0": row - 0.5, "y1": row + 0.5,
                            "fillcolor": colour, "line": {"width": 0.3 if alpha == 255 else 0, "color": colour},
                        }
                    )  # fmt: skip
    if cells:
        figure.data = kept
        figure.layout.shapes = [*cells, *figure.layout.shapes]


def _pixels(trace: Any) -> Any:
    """Returns the pixels `[height, width, 4]` of an image in the file's own bytes or in `z`; None if it is large."""
    if trace.source:
        data = base64.b64decode(trace.source.partition(",")[2])
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    else:
        pixels = np.asarray(trace.z)
    return pixels if pixels.shape[0] * pixels.shape[1] <= MOST_PIXELS and pixels.shape[2] == 4 else None


def _code(red: int, green: int, blue: int) -> str:
    return f"#{red:02x}{green:02x}{blue:02x}"


def _edges(places: list[float], cells: int) -> list[float]:
    """Returns where cells begin and end: the places given if they are edges, else half-way between the middles."""
    if len(places) == cells + 1:
        return places
    return [places[0] - 0.5, *(place + 0.5 for place in places)]


def pale_bars(figure: Any) -> None:
    """Draws hatched bars pale, in a frame of their colour."""
    for trace in figure.data:
        if trace.type == "bar" and trace.marker.pattern.shape:
            colour = trace.marker.color
            trace.marker.pattern = None
            trace.marker.color = mixed(colour)
            trace.marker.line = {"width": 0.8, "color": colour}


def large_powers(figure: Any, size: float) -> None:
    """Gives axes of powers of ten numbers in `size` pixels: their exponents, at 87 % of it, must be read too."""
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        if axis.exponentformat == "power":
            axis.tickfont.size = size


def mixed(colour: str, share: float = 0.3) -> str:
    """Returns a colour mixed with white.

    >>> mixed("#000000", 0.0)
    '#ffffff'
    """
    return "#" + "".join(f"{round(255 + share * (int(colour[i : i + 2], 16) - 255)):02x}" for i in (1, 3, 5))


def plain(figure: Any) -> dict[str, Any]:
    """Returns data and layout as lists and dicts, numbers as numbers: `Figure.to_dict` writes them as base64."""
    return {"data": [trace.to_plotly_json() for trace in figure.data], "layout": figure.layout.to_plotly_json()}


def grey(figure: Any) -> go.Figure:
    """Returns the figure without colours."""
    text = json.dumps(plain(figure), cls=PlotlyJSONEncoder)
    for colour, grey in GREYS.items():
        for old, new in ((colour, grey), (mixed(colour), mixed(grey)), (_channels(colour), _channels(grey))):
            text = text.replace(old, new).replace(old.lower(), new)
    text = re.sub(r"#([0-9A-Fa-f]{6})\b", lambda found: _grey_of(*bytes.fromhex(found[1])), text)
    text = re.sub(r"rgb\((\d+), (\d+), (\d+)\)", lambda found: _grey_of(*map(int, found.groups())), text)
    text = re.sub(
        r"rgba\((\d+), ?(\d+), ?(\d+), ?([\d.]+)\)",
        lambda found: theme.rgba(_grey_of(*map(int, found.groups()[:3])), float(found[4])),
        text,
    )
    made: Any = go.Figure(json.loads(text))
    for picture in (*made.select_traces({"type": "image"}), *made.layout.images):
        if picture.source:
            picture.source = _without_colour(picture.source)
    return made


def _without_colour(source: str) -> str:
    """Returns an image in a data URI as the PNG of its greys."""
    image = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGBA")
    content = io.BytesIO()
    Image.merge("LA", (image.convert("L"), image.getchannel("A"))).save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def _channels(colour: str) -> str:
    """Returns how a colour begins where it has an opacity: "rgba(0,114,178,"."""
    return theme.rgba(colour, 1).removesuffix("1)")


def _grey_of(red: int, green: int, blue: int) -> str:
    """Returns the grey that is as light as a colour.

    >>> _grey_of(255, 0, 0)
    '#4c4c4c'
    """
    return "#" + 3 * f"{round(0.299 * red + 0.587 * green + 0.114 * blue):02x}"
