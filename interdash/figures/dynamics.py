"""Charts of a run over its epochs."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interdash.figures import theme
from interdash.figures.theme import GENERALIZABLE, NATS, NON_GENERALIZABLE

PARTS = {  # column: name, colour, dash
    "generalizable": ("generalizable", GENERALIZABLE, "solid"),
    "non_generalizable": ("non-generalizable", NON_GENERALIZABLE, "dash"),
}
LOSSES = {
    "train_loss": ("training loss", None, "solid"),
    "test_loss": ("testing loss", theme.TESTING, "dash"),
    "gap": ("gap", theme.GAP, "dot"),
}


def dynamics(
    epochs: pd.DataFrame,
    strength: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    *,
    log: bool = True,
    pinned: int | None = None,
) -> go.Figure:
    """Losses, strength of the generalizable and non-generalizable interactions, and H at every recorded epoch.

    How to read: strength is the mean over samples of Σ|I| over salient interactions, in nats; H is its generalizable
    share. Shaded ribbons are 95 % bootstrap intervals over samples. Coloured bands are the three phases, the vertical
    line is the pinned epoch; click a point to pin another.
    """
    if epochs.empty:
        return theme.nothing("No epoch is recorded yet.", "epoch", "nats")
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.035, row_heights=[0.3, 0.42, 0.28])
    for column, (name, colour, dash) in LOSSES.items():
        _line(figure, 1, epochs, column, name, colour, dash, "circle", log, NATS, " nats", small=True)
    for kind, rows in strength.groupby("type", sort=False):
        suffix = "" if kind == "all" else f", {theme.TYPE_NAMES[str(kind)]}"
        symbol = theme.SYMBOLS[str(kind)]
        for column, (name, colour, dash) in PARTS.items():
            _ribbon(figure, 2, rows, column, colour, log)
            _line(figure, 2, rows, column, name + suffix, colour, dash, symbol, log, NATS, " nats")
        column = "generalization_power"
        _ribbon(figure, 3, rows, column, "#8A8F98", log)
        _line(figure, 3, rows, column, f"H{suffix}", None, "solid", symbol, log, theme.SHARE, "")
    _bands(figure, phases, epochs["epoch"].tolist(), log)
    if pinned is not None:
        figure.add_vline(x=position(pinned, log), line={"width": 1.5, "dash": "solid"}, opacity=0.8)
    epoch_axis(figure, epochs["epoch"].tolist(), log)
    figure.update_xaxes(title_text="")
    figure.update_xaxes(title_text=_epoch_title(log), row=3, col=1)
    figure.update_yaxes(title_text="loss (nats)", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="strength (nats)", rangemode="tozero", row=2, col=1)
    figure.update_yaxes(title_text="H (share)", range=[0, 1.02], tickformat=theme.SHARE, row=3, col=1)
    return figure.update_layout(height=620, clickmode="event+select")


def order_strength(order_strength: pd.DataFrame, *, pinned: int | None = None, normalised: bool = False) -> go.Figure:
    """Strength of each order at the pinned epoch: positive effects above the axis, negative ones below.

    How to read: one bar an order, the number of variables in an interaction; plain blue is generalizable, hatched
    vermillion is not. The slider and the play button go through the epochs in the browser.
    """
    unit = "share of the mean order" if normalised else "nats"
    if order_strength.empty:
        return theme.nothing("No interactions are extracted yet.", "order", f"strength ({unit})")
    epochs = order_strength["epoch"].unique().tolist()
    pinned = pinned if pinned in epochs else epochs[-1]
    of_epoch = {epoch: rows for epoch, rows in order_strength.groupby("epoch")}
    figure = go.Figure(_bars(of_epoch[pinned]))
    figure.frames = [go.Frame(name=str(epoch), data=_bars(of_epoch[epoch])) for epoch in epochs]
    figure.update_xaxes(title_text="order (variables in an interaction)", dtick=1)
    figure.update_yaxes(title_text=f"strength ({unit})")
    return figure.update_layout(barmode="relative", height=420)


def _bars(rows: pd.DataFrame) -> list[Any]:
    bars = []
    for part, (name, colour, _) in PARTS.items():
        for sign in ("positive", "negative"):
            bars.append(
                go.Bar(
                    x=rows["size"].to_numpy(),
                    y=rows[f"{part}_{sign}"].to_numpy(),
                    name=name,
                    legendgroup=part,
                    showlegend=sign == "positive",
                    marker={"color": colour, "pattern": theme.HATCH if part == "non_generalizable" else None},
                    hovertemplate=f"order %{{x}}<br>{name}, {sign} %{{y:{NATS}}}<extra></extra>",
                )
            )
    return bars


def position(epoch: float, log: bool) -> float:
    """Returns where an epoch lies on the axis: a logarithmic axis has no zero, so it shows epoch + 1."""
    return epoch + 1 if log else epoch


def epoch_axis(figure: go.Figure, epochs: Sequence[int], log: bool) -> None:
    """Gives every x axis of the figure the ticks of an epoch axis, linear or log."""
    if not log:
        figure.update_xaxes(title_text=_epoch_title(log), rangemode="tozero")
        return
    last = max(epochs, default=1)
    ticks = [epoch for epoch in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384) if epoch <= last]
    figure.update_xaxes(
        type="log",
        title_text=_epoch_title(log),
        tickvals=[epoch + 1 for epoch in ticks],
        ticktext=list(map(str, ticks)),
    )


def _epoch_title(log: bool) -> str:
    return "epoch (log scale of epoch + 1)" if log else "epoch"


def _line(
    figure: go.Figure,
    row: int,
    rows: pd.DataFrame,
    column: str,
    name: str,
    colour: str | None,
    dash: str,
    symbol: str,
    log: bool,
    form: str,
    unit: str,
    small: bool = False,
) -> None:
    rows = rows.dropna(subset=[column])
    figure.add_scatter(
        x=[position(epoch, log) for epoch in rows["epoch"]],
        y=rows[column].to_numpy(),
        customdata=rows["epoch"].to_numpy(),
        name=name,
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 2},
        marker={"symbol": symbol, "size": 4 if small else 7, "color": colour},
        hovertemplate=f"epoch %{{customdata}}<br>{name} %{{y:{form}}}{unit}<extra></extra>",
        row=row,
        col=1,
    )


def _ribbon(figure: go.Figure, row: int, rows: pd.DataFrame, column: str, colour: str, log: bool) -> None:
    rows = rows.dropna(subset=[f"{column}_low", f"{column}_high"])
    if rows.empty:
        return
    x = [position(epoch, log) for epoch in rows["epoch"]]
    figure.add_scatter(
        x=[*x, *reversed(x)],
        y=[*rows[f"{column}_high"], *reversed(rows[f"{column}_low"].tolist())],
        fill="toself",
        fillcolor=theme.rgba(colour, 0.18),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        row=row,
        col=1,
    )


def _bands(figure: go.Figure, phases: pd.DataFrame | None, epochs: Sequence[int], log: bool) -> None:
    """Shades the phases that were found over all rows, behind everything; named in the first."""
    if phases is None:
        return
    found = {str(row["boundary"]): float(row["epoch"]) for row in phases.dropna(subset=["epoch"]).to_dict("records")}
    if not found:
        return
    edges = [min(epochs), found.get("1|2"), found.get("2|3"), max(epochs)]
    start = 0
    for stop in (1, 2, 3):
        if (right := edges[stop]) is None:
            continue
        left = edges[start]
        names = "–".join(str(number) for number in sorted({start + 1, stop}))
        figure.add_vrect(
            x0=position(left, log),
            x1=position(right, log),
            fillcolor=theme.PHASE_BANDS[start],
            line_width=0,
            layer="below",
        )
        figure.add_annotation(
            x=math.log10(left + 1) if log else left,
            xanchor="left",
            xref="x",
            y=1,
            yref="paper",
            yanchor="top",
            text=f"phase {names}",
            showarrow=False,
            font={"size": 11},
        )
        start = stop


FIGURES = (dynamics, order_strength)  # what the tests draw: the positional parameters are names of queries
