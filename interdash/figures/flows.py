"""Chart of what a run learns and removes between recorded epochs."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, pinned
from interdash.figures.choice import Choice
from interdash.figures.dynamics import LOG, MARKERS, over_epochs, position
from interdash.figures.sheet import Sheet
from interdash.figures.theme import GENERALIZABLE, NATS, NON_GENERALIZABLE, TYPE_NAMES
from interdash.queries import dynamics
from interdash.queries.asking import Ask

BARS = (  # column, name, sign, colour
    ("learned_generalizable", "learned, generalizable", 1, GENERALIZABLE),
    ("learned_other", "learned, non-generalizable", 1, NON_GENERALIZABLE),
    ("removed_generalizable", "removed, generalizable", -1, theme.PALE[0]),
    ("removed_other", "removed, non-generalizable", -1, theme.PALE[1]),
)
WITHOUT_G = (
    ("learned", "learned, no G known", 1, theme.GREY),
    ("removed", "removed, no G known", -1, theme.rgba(theme.GREY, 0.5)),
)
ORDERS = (  # column, name, colour, dash, symbol
    ("learned_order", "order of the learned", None, "solid", "circle"),
    ("removed_order", "order of the removed", theme.GREY, "dash", "square"),
)


def flows(
    flows: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    epochs: pd.DataFrame | None = None,
    strength: pd.DataFrame | None = None,
    *,
    log: bool = True,
    scale: str = "normalised",
    pinned: int | None = None,
    type: str = "all",
) -> go.Figure:
    """What is learned and what is removed between recorded epochs[, and how much of it generalizes].

    How to read: bars span two recorded epochs, points stand at the later one. Above the axis: learned (interactions
    grow); below: removed (they decline). [Plain blue is generalizable, hatched vermillion is not.] As shares, the two
    sides of a bar add up to 100 %. Weak early epochs thus compare with strong late ones. On a log axis lines take the
    place of bars. Under it: [the generalizable share of the learned, with its 95 % bootstrap interval over samples, and
    H, that of all there is; dashed and dotted, both by chance; ]testing − training loss (whole splits); mean orders of
    learned and removed. [Grey bands: the three phases.]
    """
    if flows.empty:
        return theme.nothing("Two recorded epochs with interactions are needed.", "epoch", "learned and removed")
    known = flows["learned_generalizable"].notna().to_numpy().any()
    heights = [0.42, 0.25, 0.17, 0.16] if known else [0.6, 0.2, 0.2]
    last = len(heights)
    figure = Sheet(rows=last, cols=1, shared_xaxes=True, vertical_spacing=0.035, row_heights=heights)
    ends = [[position(epoch, log=log) for epoch in flows[name]] for name in ("epoch_from", "epoch_to")]
    spans = [_inner(low, high, log=log) for low, high in zip(*ends, strict=True)]
    end = ends[1]
    normalised = scale == "normalised"
    part = "_share" if normalised else ""
    form, unit = (theme.SHARE, "") if normalised else (NATS, " nats")
    for column, name, sign, colour in BARS if known else WITHOUT_G:
        if scale == "log":
            dash, symbol = ("dash", "square") if "other" in column else ("solid", "circle")
            _line(figure, 1, end, flows, column, name, colour, dash, symbol)
            continue
        figure.add_bar(
            x=end, offset=[low - x for (low, _), x in zip(spans, end, strict=True)],
            width=[high - low for low, high in spans],
            y=(sign * flows[column + part]).to_numpy(), name=name, customdata=flows["epoch_to"].to_numpy(),
            marker={"color": colour, "pattern": theme.HATCH if "other" in column else None},
            unselected={"marker": {"opacity": 1}}, hoverinfo="text",
            hovertext=[f"{name} {value:{form.replace('~', '')}}{unit}" for value in flows[column + part]],
        )  # fmt: skip
    if known:
        theme.band(figure, end, flows["power_low"].tolist(), flows["power_high"].tolist(), GENERALIZABLE, 2, 1)
        _line(figure, 2, end, flows, "power", "of the learned, generalizes", GENERALIZABLE, "solid", "circle")
        _line(figure, 2, end, flows, "chance", "by chance", theme.GREY, "dash", "circle")
        figure.update_yaxes(title="generalizes", tickformat=theme.SHARE, rangemode="tozero", row=2, col=1)
    if known and strength is not None:
        _of_epochs(figure, 2, strength, "generalization_power", "H, of all that is there", None, "solid", log=log)
        _of_epochs(figure, 2, strength, "chance", "H by chance", theme.GREY, "dot", log=log)
    if epochs is not None:
        _of_epochs(figure, last - 1, epochs, "gap", "loss gap", theme.GAP, "dot", log=log, named=False)
    for column, name, colour, dash, symbol in ORDERS:
        _line(figure, last, end, flows, column, f"mean {name}", colour, dash, symbol)
    recorded = sorted({*flows["epoch_from"].tolist(), *flows["epoch_to"].tolist()})
    over_epochs(figure, phases, recorded, pinned, log=log)
    suffix = "" if type == "all" else f", {TYPE_NAMES[type]}"
    of_bars = f"removed | learned{suffix}" + (" (share)" if normalised else " (nats)")
    form = {"tickformat": theme.SHARE} if normalised else LOG if scale == "log" else {}
    figure.update_yaxes(title=of_bars, **form, row=1, col=1)
    figure.update_yaxes(title="gap (nats)", row=last - 1, col=1)
    figure.update_yaxes(title="mean order", row=last, col=1)
    return figure.figure(height=562, barmode="relative", margin={"t": 60}, legend={"y": 1.03}, clickmode="event+select")


def _inner(low: float, high: float, *, log: bool) -> tuple[float, float]:
    """Returns where a bar between two epochs begins and ends: a little inside of them, as seen on the axis."""
    if not log:
        return low + 0.05 * (high - low), high - 0.05 * (high - low)
    return low * (high / low) ** 0.05, low * (high / low) ** 0.95


def _line(
    figure: Sheet, row: int, x: list[float], flows: pd.DataFrame, column: str, name: str, colour: str | None, dash: str,
    symbol: str,
) -> None:  # fmt: skip
    form = theme.SHARE if column in ("power", "chance") else NATS
    most = 0 if flows[column].isna().to_numpy().any() else MARKERS  # 0 = all: between two gaps a marker is all there is
    figure.add_scatter(
        x=x, y=flows[column].to_numpy(), name=name, mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 1 if column == "chance" else 2},
        marker={"color": colour, "symbol": symbol, "size": 4 if column == "chance" else 7, "maxdisplayed": most},
        customdata=flows["epoch_to"].to_numpy(), unselected={"marker": {"opacity": 1}},
        hovertemplate=f"{name} %{{y:{form}}}<extra></extra>", row=row,
    )  # fmt: skip


def _of_epochs(
    figure: Sheet, row: int, rows: pd.DataFrame, column: str, name: str, colour: str | None, dash: str, *, log: bool,
    named: bool = True,
) -> None:  # fmt: skip
    """Draws a line over epochs, not over what lies between them."""
    rows = rows.dropna(subset=[column])
    form = f"%{{y:{NATS}}} nats" if column == "gap" else f"%{{y:{theme.SHARE}}}"
    figure.add_scatter(
        x=[position(epoch, log=log) for epoch in rows["epoch"]], y=rows[column].to_numpy(), name=name,
        line={"color": colour, "dash": dash, "width": 1}, mode="lines+markers",
        marker={"size": 3, "color": colour, "maxdisplayed": MARKERS},
        unselected={"marker": {"opacity": 1}}, showlegend=named, customdata=rows["epoch"].to_numpy(),
        hovertemplate=f"{name} {form}<extra></extra>", row=row,
    )  # fmt: skip


def _rows(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    of = {"split": c.split, "label": c.label}
    strength: Any = ask(dynamics.strength, types=c.types[:1], **of)
    return {
        "flows": ask(dynamics.flows, type=c.types[0], **of),
        "phases": ask(dynamics.phases),
        "epochs": ask(dynamics.epochs, **of)[["epoch", "gap"]].dropna(),
        "H": strength[["epoch", "generalization_power", "chance"]],
    }


CHARTS = (
    Chart(
        flows,
        _rows,
        page="dynamics",
        options=lambda ask, c: {"log": c.log, "scale": c.scale, "type": c.types[0]},
        marks=pinned,
        when=lambda ask, c: not ask(dynamics.flows).empty,
        says=("split", "label", "types"),
        click="epoch",
        panels=True,
        says_rule=True,
        by_type=True,
    ),
)
