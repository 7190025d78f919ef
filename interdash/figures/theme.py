"""How every chart looks: colours with fixed meanings, number formats, one template in light and dark.

Colours are those of Okabe and Ito, told apart by the colour-blind too; no meaning rests on colour alone: lines
differ in dash, bars in hatching. What has no colour of its own is drawn in ink: black on light, nearly white on dark.
"""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.colors import get_colorscale

from interdash.figures.sheet import Sheet

GENERALIZABLE = "#0072B2"  # solid line, plain bar
NON_GENERALIZABLE = "#D55E00"  # dashed line, hatched bar
TESTING = "#009E73"  # dashed; training is ink, solid
GAP = "#CC79A7"  # dotted
OTHERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")  # runs compared, in this order
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # … with these
SYMBOLS = {"and": "circle", "or": "diamond-open", "all": "circle"}  # markers by type of interaction
TYPE_NAMES = {"and": "AND", "or": "OR", "all": "AND + OR"}
SEQUENTIAL = get_colorscale("Cividis")
DIVERGING = [[0, "#D55E00"], [0.5, "#F2F2F2"], [1, "#0072B2"]]  # negative, zero, positive
PHASE_BANDS = ("rgba(86,180,233,0.13)", "rgba(240,228,66,0.15)", "rgba(213,94,0,0.12)")  # phases 1, 2, 3
HATCH = {"shape": "/", "solidity": 0.35, "fgopacity": 1.0}

NATS = ".3~f"
SHARE = ".0%"
FONT = '"Source Sans", "Source Sans Pro", "Liberation Sans", Arial, sans-serif'

_INKS = {False: ("#1A1C21", "#FFFFFF", "#E3E5E9", "#8A8F98"), True: ("#ECEDF0", "#0E1117", "#2A2E37", "#8A8F98")}


def template(dark: bool = False, *, automargin: bool = True) -> go.layout.Template:
    """Returns the template of every chart, for a light or a dark page; `automargin`: axes make room for labels."""
    ink, paper, grid, line = _INKS[dark]
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
            "hoverlabel": {"font": {"family": FONT, "size": 13}, "bgcolor": paper, "bordercolor": line},
            "hovermode": "closest",
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": line, "activecolor": ink},
            "bargap": 0.25,
            "colorscale": {"sequential": SEQUENTIAL, "diverging": DIVERGING},
            "separators": ".\u202f",
            "annotationdefaults": {"font": {"family": FONT, "color": ink}, "showarrow": False},
            "shapedefaults": {"line": {"color": line}},
        }
    )


def themed(figure: go.Figure, dark: bool = False) -> go.Figure:
    """Returns the same figure, in the colours of a light or a dark page.

    Only axes whose labels are words make room for them: a chart that looks for room is drawn twice, at twice the time.
    """
    figure.update_yaxes(automargin=True, selector={"type": "category"})
    return figure.update_layout(template=_TEMPLATES[dark])


def nothing(message: str, x: str, y: str) -> go.Figure:
    """Returns a figure that says why there is nothing to draw, with the titles its axes would have."""
    figure = Sheet()
    figure.add_annotation(text=message, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5, font={"size": 15})
    figure.update_xaxes(title=x, showticklabels=False, ticks="", showgrid=False, zeroline=False)
    figure.update_yaxes(title=y, showticklabels=False, ticks="", showgrid=False, zeroline=False)
    return themed(figure.figure(height=220))


def rgba(colour: str, opacity: float) -> str:
    """Returns a "#RRGGBB" colour with an opacity.

    >>> rgba("#0072B2", 0.5)
    'rgba(0,114,178,0.5)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def band(figure: Sheet, x: Sequence[Any], low: list[float], high: list[float], colour: str, row: int, col: int) -> None:
    """Draws the area between two curves: an interval behind its line."""
    figure.add_scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        fill="toself",
        fillcolor=rgba(colour, 0.18),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        row=row,
        col=col,
    )


_TEMPLATES = {dark: template(dark, automargin=False) for dark in (False, True)}
