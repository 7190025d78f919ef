"""How every chart looks: colours with fixed meanings, number formats, one template in light and dark.

Colours are those of Okabe and Ito, told apart by the colour-blind too; no meaning rests on colour alone: lines
differ in dash, bars in hatching. What has no colour of its own is drawn in ink: black on light, nearly white on dark.
"""

import html
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.basedatatypes import BaseFigure
from plotly.colors import get_colorscale

from interdash.figures.sheet import Sheet

GENERALIZABLE = "#0072B2"  # solid line, plain bar
NON_GENERALIZABLE = "#D55E00"  # dashed line, hatched bar
PALE = ("#80B9D9", "#EAAF80")  # the same, of what is removed
TESTING = "#009E73"  # dashed; training is ink, solid
GAP = "#CC79A7"  # dotted
GREY = "#8A8F98"  # below τ, in both runs, a control, or nothing is known
SKY, ORANGE = "#56B4E9", "#E69F00"  # outlines; what is lit
BLACK, WHITE = "#000000", "#FFFFFF"  # print; words and numbers on a colour
INK, FAINT, RULE = "#1A1C21", "#4A4E57", "#E3E5E9"  # on light: text, what stands below a chart, grids
CAPTIONS = {False: "#55585F", True: "#C3C6CC"}  # on a light page, a dark one
OTHERS = (GENERALIZABLE, NON_GENERALIZABLE, TESTING, GAP, SKY, ORANGE)  # runs compared, in this order
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # … with these
SYMBOLS = {"and": "circle", "or": "triangle-up", "all": "circle"}  # markers by type of interaction; diamond: baseline
TYPE_NAMES = {"and": "AND", "or": "OR", "all": "AND + OR"}
SEQUENTIAL = get_colorscale("Cividis")
DIVERGING = [[0, "#D55E00"], [0.5, "#F2F2F2"], [1, "#0072B2"]]  # negative, zero, positive
PHASE_BANDS = ("rgba(138,143,152,0.06)", "rgba(138,143,152,0.13)", "rgba(138,143,152,0.2)")  # phases 1, 2, 3
HATCH = {"shape": "/", "solidity": 0.35, "fgopacity": 1.0}

PARTS = {  # of a strength, by column: name, colour, dash
    "generalizable": ("generalizable", GENERALIZABLE, "solid"),
    "non_generalizable": ("non-generalizable", NON_GENERALIZABLE, "dash"),
}
WHOLE = {"strength": ("no G known", GREY, "solid")}  # … where there is no baseline network

NATS = ".3~f"
SHARE = ".0%"
FONT = '"Source Sans", "Source Sans Pro", "Liberation Sans", Arial, sans-serif'

INKS = {False: (INK, WHITE, RULE, GREY), True: ("#ECEDF0", "#0E1117", "#2A2E37", GREY)}  # text, paper, grid, lines


def template(*, dark: bool = False, automargin: bool = True) -> go.layout.Template:
    """Returns the template of every chart, for a light or a dark page; `automargin`: axes make room for labels."""
    ink, paper, grid, line = INKS[dark]
    axis = {
        "gridcolor": grid,
        "linecolor": line,
        "zerolinecolor": line,
        "zerolinewidth": 1,
        "tickcolor": line,
        "ticks": "outside",
        "ticklen": 4,
        "showline": True,
        "automargin": automargin,
        "title": {"standoff": 8},
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": ink},
            "colorway": [ink],
            "paper_bgcolor": paper,
            "plot_bgcolor": paper,
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 64, "r": 16, "t": 36, "b": 48},
            "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "bgcolor": "rgba(0,0,0,0)"},
            "hoverlabel": {"font": {"family": FONT, "size": 13, "color": ink}, "bgcolor": paper, "bordercolor": line},
            "hovermode": "closest",
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": line, "activecolor": ink},
            "bargap": 0.25,
            "colorscale": {"sequential": SEQUENTIAL, "diverging": DIVERGING},
            "separators": ".\u202f",
            "annotationdefaults": {"font": {"family": FONT, "color": ink}, "showarrow": False},
            "shapedefaults": {"line": {"color": line}},
        }
    )


def themed(figure: go.Figure, *, dark: bool = False) -> go.Figure:
    """Returns the same figure, in the colours of a light or a dark page.

    Only axes whose labels are words make room for them: a chart that looks for room is drawn twice, at twice the time.
    """
    figure.update_yaxes(automargin=True, selector={"type": "category", "automargin": None})
    layout: Any = figure.layout
    layout.template = _TEMPLATES[dark]  # `update_layout` would set its properties one by one
    return figure


class Drawn(BaseFigure):
    """A figure to be sent to the browser as it is: Plotly checks and copies nothing of it, however often it is sent."""

    def __init__(self, properties: dict[str, Any]) -> None:
        """Takes what `to_dict` returns."""
        self._properties = properties

    def to_dict(self) -> dict[str, Any]:
        """Returns data, layout and frames; not a copy."""
        return self._properties


def on_page(figure: go.Figure, *, dark: bool, selectable: bool, panels: bool) -> Drawn:
    """Returns a figure as a page sends it to the browser: `once`, and `through_panels` if `panels`."""
    drawn = once(themed(figure, dark=dark), selectable=selectable)
    return through_panels(drawn) if panels else drawn


def once(figure: go.Figure, *, selectable: bool) -> Drawn:
    """Returns a themed figure in a form that the browser draws once.

    Streamlit's page hands every figure to Plotly twice, the second time a copy, with clicks as it wants them. Plotly
    draws the copy anew, at the same cost, unless it can see that nothing changed. It cannot see that of a template, of
    packed arrays and of `meta`; so there are none: the template's properties are set where they apply, arrays are
    lists, and `datarevision` says that the data are the same.
    """
    of_figure: Any = figure.layout
    layout: dict[str, Any] = dict(of_figure._props)  # `to_plotly_json` would copy everything, frames above all
    layout.pop("meta", None)  # which is for us
    defaults = dict(layout.pop("template")["layout"])
    each = {name: defaults.pop(f"{name}defaults") for name in ("annotation", "shape")}
    axes = {name: defaults.pop(f"{name}axis") for name in ("x", "y")}
    layout = _over(defaults, layout)
    layout |= {key: _over(axes[key[0]], value) for key, value in layout.items() if key[1:5] == "axis"}
    layout |= {f"{name}s": [_over(of, one) for one in layout.get(f"{name}s", ())] for name, of in each.items()}
    traces: Any = figure.data
    data = [trace._props for trace in traces]
    for bars in (trace for trace in data if trace["type"] == "bar"):  # have no grid along them, as in a template
        along = bars.get("yaxis", "y") if bars.get("orientation") == "h" else bars.get("xaxis", "x")
        layout[f"{along[0]}axis{along[1:]}"].setdefault("showgrid", False)
    layout |= {"datarevision": 1} | ({"dragmode": "pan", "clickmode": "event+select"} if selectable else {})
    frames = [frame._props for frame in figure.frames]
    return Drawn(_listed({"data": data, "layout": layout}) | {"frames": frames})


def through_panels(drawn: Drawn) -> Drawn:
    """Returns a column of panels in which the mouse shows, and a click chooses, the whole of an epoch.

    All panels get one x axis, over which an invisible bar stands for each epoch (`customdata` of the traces): Plotly's
    own way shows panels together, but a click chooses the nearest point of one panel or nothing.
    """
    properties = drawn.to_dict()
    layout, data = properties["layout"], properties["data"]
    last = max((key for key in layout if key.startswith("xaxis")), key=lambda key: int(key[5:] or 1))
    for each in (*layout["shapes"], *layout["annotations"]):
        if each["xref"].startswith("x"):
            each["xref"] = "x"
    words: dict[int, list[str]] = {}
    places: dict[int, float] = {}
    for trace in data:
        trace["xaxis"] = "x"
        for i, epoch in enumerate(trace.get("customdata", ())):
            if epoch is not None and trace["y"][i] is not None and not math.isnan(trace["y"][i]):
                places[epoch] = trace["x"][i]
                words.setdefault(epoch, []).append(_hover(trace, i))
        trace |= {"hoverinfo": "skip", "hovertemplate": None, "hovertext": None}
    if not places:  # words in place of a chart
        return drawn
    spike = {"showspikes": True, "spikemode": "across", "spikethickness": 1, "spikedash": "dot", "spikecolor": GREY}
    axes = {key: value | {"anchor": "x"} for key, value in layout.items() if key.startswith("yaxis")}
    axes["xaxis"] = {key: value for key, value in layout[last].items() if key != "matches"} | spike
    log = axes["xaxis"].get("type") == "log"
    bars = _columns(places, words, log=log)
    ends = [bars["x"][i] + bars["offset"][i] + i * -bars["width"][i] for i in (0, -1)]
    axes["xaxis"] |= {"showgrid": False, "range": np.log10(ends).tolist() if log else ends}  # it would lie on the lines
    axes["yaxis99"] = {"domain": [0, 1], "range": [0, 1], "anchor": "x", "visible": False, "fixedrange": True}
    rest = {key: value for key, value in layout.items() if key[1:5] != "axis"}
    paper = "rgba(0,0,0,0)"  # the page's, also where panels lie one over another
    return Drawn(properties | {"data": [*data, bars]} | {"layout": rest | axes | {"plot_bgcolor": paper}})


def _columns(places: dict[int, float], words: dict[int, list[str]], *, log: bool) -> dict[str, Any]:
    """Returns the invisible bars: each as wide as half-way to its neighbours."""
    epochs = sorted(places)
    x = np.array([places[epoch] for epoch in epochs], float)
    seen = np.log(x) if log else x
    middles = (seen[1:] + seen[:-1]) / 2
    margin = 0.02 * max(np.ptp(seen), 1)
    edges = np.concatenate([seen[:1] - margin, middles, seen[-1:] + margin])
    low, high = (np.exp(ends) if log else ends for ends in (edges[:-1], edges[1:]))
    return {
        "type": "bar", "xaxis": "x", "yaxis": "y99", "x": x.tolist(), "y": [1] * len(x), "showlegend": False,
        "offset": (low - x).tolist(), "width": (high - low).tolist(), "opacity": 0, "customdata": epochs,
        "hovertext": ["<br>".join([f"<b>epoch {epoch}</b>", *words[epoch]]) for epoch in epochs], "hoverinfo": "text",
    }  # fmt: skip


def _hover(trace: dict[str, Any], i: int) -> str:
    """Returns what a point says when the mouse is on it."""
    if "hovertext" in trace:
        return str(trace["hovertext"][i])
    values = {"y": trace["y"][i], "customdata": trace["customdata"][i]}

    def spelled(field: re.Match[str]) -> str:
        value, form = values[field[1]], field[2] or ""
        text = f"{value:{form.replace('~', '')}}"
        return text.rstrip("0").rstrip(".") if "~" in form and "." in text else text

    return re.sub(r"%\{(\w+):?([^}]*)\}", spelled, trace["hovertemplate"].removesuffix("<extra></extra>"))


def _over(defaults: Any, own: Any) -> Any:
    """Returns properties with defaults for those that are not set, at every depth."""
    if isinstance(defaults, dict) and isinstance(own, dict):
        return defaults | {key: _over(defaults.get(key), value) for key, value in own.items()}
    return own


def _listed(properties: Any) -> Any:
    """Returns properties with lists in place of arrays, at every depth."""
    if isinstance(properties, dict):
        return {key: _listed(value) for key, value in properties.items()}
    if isinstance(properties, list | tuple):
        return [_listed(value) for value in properties]
    return properties.tolist() if hasattr(properties, "tolist") else properties


def parts(rows: Any) -> dict[str, tuple[str, str, str]]:
    """Returns the columns of strength to draw, with name, colour and dash: by G, or the whole where no G is known."""
    return PARTS if rows.empty or rows["generalizable"].notna().to_numpy().any() else WHOLE


def nothing(message: str, x: str, y: str) -> go.Figure:
    """Returns a figure that says why there is nothing to draw, with the titles its axes would have."""
    figure = Sheet()
    figure.add_annotation(text=message, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5, font={"size": 15})
    figure.update_xaxes(title=x, showticklabels=False, ticks="", showgrid=False, zeroline=False)
    figure.update_yaxes(title=y, showticklabels=False, ticks="", showgrid=False, zeroline=False)
    return themed(figure.figure(height=220))


def escaped(text: str) -> str:
    """Returns a user's words as Plotly shows them: it reads a little HTML in every text.

    >>> escaped("<b> & c")
    '&lt;b&gt; &amp; c'
    """
    return html.escape(text, quote=False)


def rgba(colour: str, opacity: float) -> str:
    """Returns a "#RRGGBB" colour with an opacity.

    >>> rgba("#0072B2", 0.5)
    'rgba(0,114,178,0.5)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def band(figure: Sheet, x: Sequence[Any], low: list[float], high: list[float], colour: str, row: int, col: int) -> None:
    """Draws the area between two curves: an interval behind its line; nothing where none is known."""
    if all(value != value for value in (*low, *high)):
        return
    figure.add_scatter(
        x=[*x, *reversed(x)], y=[*high, *reversed(low)], fill="toself", fillcolor=rgba(colour, 0.18),
        line={"width": 0}, mode="lines", hoverinfo="skip", showlegend=False, row=row, col=col,
    )  # fmt: skip


_TEMPLATES = {dark: template(dark=dark, automargin=False) for dark in (False, True)}
