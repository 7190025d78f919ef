"""Charts of the lives of interactions: what is preserved, emerged and removed since a start epoch, and life lines."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, pinned
from interdash.figures.choice import Choice
from interdash.figures.dynamics import over_epochs, position
from interdash.figures.sheet import Sheet
from interdash.figures.theme import GENERALIZABLE, NATS, NON_GENERALIZABLE
from interdash.queries import dynamics, lives
from interdash.queries.asking import Ask

LIVES = {  # of lines: colour, dash, symbol
    "preserved": (None, "solid", "circle"),
    "emerged": (theme.GAP, "dash", "cross"),
    "removed": (theme.GREY, "dot", "square-open"),
}
LIFE_LINES = {
    "reliable": (theme.TESTING, "solid", "circle"),
    "fluctuating": (theme.SKY, "dash", "cross"),
    "betraying": (theme.ORANGE, "dashdot", "triangle-up"),
    "forgotten": (theme.GAP, "longdash", "square"),
    "withdrawn": (theme.GREY, "dot", "x"),
}
AREAS = (  # life, column, words, sign, colour, opacity
    ("preserved", "generalizable", "preserved, generalizable", 1, GENERALIZABLE, 0.9),
    ("preserved", "other", "preserved, non-generalizable", 1, NON_GENERALIZABLE, 0.9),
    ("emerged", "generalizable", "emerged, generalizable", 1, GENERALIZABLE, 0.45),
    ("emerged", "other", "emerged, non-generalizable", 1, NON_GENERALIZABLE, 0.45),
    ("removed", "generalizable", "removed, generalizable", -1, GENERALIZABLE, 0.2),
    ("removed", "other", "removed, non-generalizable", -1, NON_GENERALIZABLE, 0.2),
)
WITHOUT_G = (
    ("preserved", "", "preserved, no G known", 1, theme.GREY, 0.9),
    ("emerged", "", "emerged, no G known", 1, theme.GREY, 0.45),
    ("removed", "", "removed, no G known", -1, theme.GREY, 0.2),
)
LOSSES = {"train_loss": "training loss (nats)", "test_loss": "testing loss (nats)", "gap": "gap (nats)"}
NOTHING = "Lives are followed when every epoch is extracted; two epochs with interactions are needed."


def life_classes(
    life_classes: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    *,
    log: bool = True,
    scale: str = "normalised",
    pinned: int | None = None,
) -> go.Figure:
    """What is preserved since the start epoch, what has emerged and what was removed[, and how much of it generalizes].

    How to read: the left end is the start epoch. Above the axis are the interactions of each epoch: preserved (strong
    colours) are those that were there at the start and at every epoch since, emerged (pale) the others. Below it is
    removed: what was there at the start and is gone, as it was at the start. [Blue transfers to the baseline network,
    vermillion does not.] As shares: above of all that is there at the epoch, below of all that was there at the start.
    Under it: [H, the generalizable share of the strength of each, with its 95 % bootstrap interval over samples and,
    thin, its level by chance; then ]the mean order. An interaction is there from the epoch at which it is salient until
    it falls below half of τ or changes its sign, so that flicker around τ ends nothing; those below τ are not counted.
    """
    if life_classes.empty:
        return theme.nothing(NOTHING, "epoch", "strength (nats)")
    known = life_classes["power"].notna().to_numpy().any()
    heights = [0.32, 0.24, 0.24, 0.2] if known else [0.45, 0.3, 0.25]
    figure, last = (
        Sheet(rows=len(heights), cols=1, shared_xaxes=True, vertical_spacing=0.03, row_heights=heights),
        len(heights),
    )
    normalised = scale == "normalised"  # areas stand on each other, so no log axis
    share = "_share" if normalised else ""
    for row, whole, part, unit in ((1, "strength", "", " nats"), (2, "number", "_number", " a sample")):
        form, words = (theme.SHARE, "") if normalised else (NATS, unit)
        for life, column, name, sign, colour, opacity in AREAS if known else WITHOUT_G:
            rows = life_classes.loc[life_classes["life"] == life]
            values = rows[(column + part if column else whole) + share]
            figure.add_scatter(
                x=[position(epoch, log=log) for epoch in rows["epoch"]], y=(sign * values).to_numpy(), mode="lines",
                stackgroup=f"{row}{'now' if sign > 0 else 'gone'}", fillcolor=theme.rgba(colour, opacity),
                line={"width": 1, "color": colour, "dash": "dot" if column == "other" else None}, name=name,
                legendgroup=name, showlegend=row == 1, customdata=rows["epoch"].to_numpy(), row=row,
                hovertext=[f"{value:{form.replace('~', '')}}{words}" for value in values],
                hovertemplate=f"epoch %{{customdata}}<br>{name} %{{hovertext}}<extra></extra>",
            )  # fmt: skip
    for life, look in LIVES.items():
        rows = life_classes.loc[life_classes["life"] == life]
        if known:
            _curve(figure, 3, rows, "power", life, look, log=log)
            _curve(figure, 3, rows, "chance", f"{life}, by chance", look, log=log, named=False)
        _curve(figure, last, rows, "order", life, look, log=log, named=not known)
    _finish(figure, life_classes, phases, pinned, log=log)
    unit = "share" if normalised else "nats"
    figure.update_yaxes(title=f"strength ({unit})", row=1, col=1)
    figure.update_yaxes(title="number (share)" if normalised else "number a sample", row=2, col=1)
    if known:
        figure.update_yaxes(title="generalizable share (H)", range=[0, 1.02], tickformat=theme.SHARE, row=3, col=1)
    figure.update_yaxes(title="mean order", row=last, col=1)
    for row in (1, 2) if normalised else ():
        figure.update_yaxes(tickformat=theme.SHARE, range=[-1.02, 1.02], row=row, col=1)
    return figure.figure(height=860, margin={"t": 90}, legend={"y": 1.03}, clickmode="event+select")


def life_losses(
    life_classes: pd.DataFrame,
    losses: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    *,
    log: bool = True,
    pinned: int | None = None,
) -> go.Figure:
    """Training loss, testing loss and their gap with the preserved, the emerged or the removed interactions alone.

    How to read: on a whole sample every interaction fires, so the output of a network that had only some of them is
    v(x_∅) plus their sum, and its loss is exact. Thin, the loss of the network itself on the explained samples, the sum
    of all. Removed ones are taken as they were at the start epoch. Ribbons are 95 % bootstrap intervals over samples. A
    set that lowers the testing loss as much as the training loss is what the network can rely on; one that opens the
    gap is what it learned by heart.
    """
    if life_classes.empty:
        return theme.nothing(NOTHING, "epoch", "loss (nats)")
    known = {column: words for column, words in LOSSES.items() if life_classes[column].notna().to_numpy().any()}
    figure = Sheet(rows=len(known), cols=1, shared_xaxes=True, vertical_spacing=0.12 / len(known))
    for row, (column, words) in enumerate(known.items(), start=1):
        for life, look in LIVES.items():
            rows = life_classes.loc[life_classes["life"] == life]
            _curve(figure, row, rows, column, f"{life} alone", look, log=log, named=row == 1)
        rows = losses.loc[losses["epoch"] >= life_classes["epoch"].min()]
        _curve(figure, row, rows, column, "the network", (None, "solid", "circle"), log=log, named=row == 1, thin=True)
        figure.update_yaxes(title=words, row=row, col=1)
    _finish(figure, life_classes, phases, pinned, log=log)
    return figure.figure(height=90 + 210 * len(known), margin={"t": 60}, legend={"y": 1.03}, clickmode="event+select")


def life_lines(
    life_lines: pd.DataFrame,
    totals: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    *,
    log: bool = True,
    pinned: int | None = None,
) -> go.Figure:
    """Number[, H] and strength of the interactions of each life line, from reliable to withdrawn, at every epoch.

    How to read: each interaction has one life line, by its course over all recorded epochs. *Withdrawn*: gone for good
    by the end of phase 1. The others are judged from there on (from the first epoch if no boundary 1|2 was found):
    *betraying* takes both signs, *fluctuating* goes and comes back, *reliable* stays to the last epoch once it is
    there, *forgotten* is gone for good before. The names are published, these definitions are ours. The two areas
    together are what is salient at an epoch[; under them H of each life line with its 95 % bootstrap interval over
    samples]. At the last epochs less has had the time to be forgotten.
    """
    if life_lines.empty:
        return theme.nothing(NOTHING, "epoch", "strength (nats)")
    known = life_lines["power"].notna().to_numpy().any()
    heights = [0.36, 0.3, 0.34] if known else [0.55, 0.45]
    figure = Sheet(rows=len(heights), cols=1, shared_xaxes=True, vertical_spacing=0.035, row_heights=heights)
    number = dict(zip(totals["life"], totals["number"], strict=True))
    for life, look in LIFE_LINES.items():
        rows = life_lines.loc[life_lines["life"] == life]
        name = f"{life} ({number[life]:.3g} a sample)" if life in number else life
        for row, column, form, unit in ((1, "strength", NATS, " nats"), (2, "number", NATS, " a sample")):
            figure.add_scatter(
                x=[position(epoch, log=log) for epoch in rows["epoch"]], y=rows[column].to_numpy(), mode="lines",
                stackgroup=str(row), fillcolor=theme.rgba(look[0], 0.5), name=name, legendgroup=life,
                line={"width": 1.5, "color": look[0], "dash": look[1]}, showlegend=row == 1, row=row,
                customdata=rows["epoch"].to_numpy(),
                hovertemplate=f"epoch %{{customdata}}<br>{life} %{{y:{form}}}{unit}<extra></extra>",
            )  # fmt: skip
        if known:
            _curve(figure, 3, rows, "power", life, look, log=log, named=False)
    _finish(figure, life_lines, phases, pinned, log=log)
    figure.update_yaxes(title="strength (nats)", row=1, col=1)
    figure.update_yaxes(title="number a sample", row=2, col=1)
    if known:
        figure.update_yaxes(title="generalizable share (H)", range=[0, 1.02], tickformat=theme.SHARE, row=3, col=1)
    return figure.figure(height=680, margin={"t": 60}, legend={"y": 1.03}, clickmode="event+select")


def _curve(
    figure: Sheet,
    row: int,
    rows: pd.DataFrame,
    column: str,
    name: str,
    look: tuple[Any, str, str],
    *,
    log: bool,
    named: bool = True,
    thin: bool = False,
) -> None:
    """Draws a curve with its interval; a level by chance is thin, without one."""
    rows, (colour, dash, symbol) = rows.dropna(subset=[column]), look
    x = [position(epoch, log=log) for epoch in rows["epoch"]]
    thin = thin or column == "chance"
    if not thin:
        low, high = (rows[f"{column}_{end}"].tolist() for end in ("low", "high"))
        theme.band(figure, x, low, high, colour or theme.GREY, row, 1)
    share = column in ("power", "chance")
    figure.add_scatter(
        x=x, y=rows[column].to_numpy(), name=name, mode="lines" if thin else "lines+markers", showlegend=named,
        legendgroup=name, line={"color": colour, "dash": dash, "width": 1 if thin else 2},
        marker=None if thin else {"color": colour, "symbol": symbol, "size": 6},
        customdata=rows["epoch"].to_numpy(), unselected={"marker": {"opacity": 1}}, row=row,
        hovertemplate=f"epoch %{{customdata}}<br>{name} %{{y:{theme.SHARE if share else NATS}}}<extra></extra>",
    )  # fmt: skip


def _finish(figure: Sheet, rows: pd.DataFrame, phases: pd.DataFrame | None, pinned: int | None, *, log: bool) -> None:
    """Gives a figure phases, pinned epoch and the axis of epochs."""
    epochs = sorted(set(rows["epoch"].tolist()))
    over_epochs(figure, phases, epochs, pinned if pinned is not None and pinned >= epochs[0] else None, log=log)


def _classes(ask: Ask, c: Choice) -> pd.DataFrame:
    return ask(lives.life_classes, start=c.start, split=c.split, label=c.label)


def _losses(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    own = ask(lives.explained_losses, split=c.split, label=c.label)
    return {"life classes": _classes(ask, c), "losses": own, "phases": ask(dynamics.phases)}


def _life_lines(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    of = {"split": c.split, "label": c.label}
    rows = {"life lines": ask(lives.life_lines, **of), "strongest": ask(lives.life_line_totals, **of)}
    return {**rows, "phases": ask(dynamics.phases)}


def _is_followed(ask: Ask, choice: Choice) -> bool:
    return not ask(lives.life_epochs).empty


def _of_tab(figure: Any, rows: Any, *says: str, **options: Any) -> Chart:
    return Chart(
        figure, rows, page="dynamics", view="Life cycle", marks=pinned, when=_is_followed,
        says=(*says, "split", "label"), click="epoch", **options,
    )  # fmt: skip


CHARTS = (
    _of_tab(
        life_classes,
        lambda ask, c: {"life classes": _classes(ask, c), "phases": ask(dynamics.phases)},
        "start",
        options=lambda ask, c: {"log": c.log, "scale": c.scale},
    ),
    _of_tab(life_losses, _losses, "start", options=lambda ask, c: {"log": c.log}),
    _of_tab(life_lines, _life_lines, options=lambda ask, c: {"log": c.log}),
)
