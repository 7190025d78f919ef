"""Charts of a run over its epochs."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, pinned
from interdash.figures.choice import Choice
from interdash.figures.sheet import Sheet
from interdash.figures.theme import NATS
from interdash.formulas.two_phase import gap_start
from interdash.queries import dynamics as queries
from interdash.queries import lives, removal
from interdash.queries.asking import Ask

LOG = {"type": "log", "tickformat": "~g"}  # axis of strengths
MARKERS = 40  # drawn on a line, at most: more would hide whether it is dashed
LOSSES = {
    "train_loss": ("training loss", None, "solid"),
    "test_loss": ("testing loss", theme.TESTING, "dash"),
    "gap": ("gap", theme.GAP, "dot"),
}
FACTS = (  # numbers of one epoch: name, column of `dynamics.epochs`, format, unit, meaning
    ("Training loss", "train_loss", ".3f", " nats", "Mean cross-entropy over the whole training split."),
    ("Testing loss", "test_loss", ".3f", " nats", "Mean cross-entropy over the whole testing split."),
    ("Generalizable share (H)", "generalization_power", ".0%", "", "Of the salient strength, what transfers; mean."),
    ("By chance", "chance", ".0%", "", "H if the baseline network's interactions of each order were any others."),
    ("Generalizable", "generalizable", ".2f", " nats", "Strength that transfers, a sample: Σ|I| over salient, G = 1."),
    ("Non-generalizable", "non_generalizable", ".2f", " nats", "Strength that does not: Σ|I| over salient, G = 0."),
    ("Salient per sample", "salient", ".0f", "", "How many interactions are at least as strong as τ."),
    ("Threshold τ", "tau", ".2g", " nats", "Weaker interactions are not salient. τ is tiny in an untrained network."),
    ("G flips", "flips", ".0%", "", "Noise floor: salient interactions on which the first two baselines disagree."),
)


def dynamics(
    epochs: pd.DataFrame,
    strength: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    noise_floor: pd.DataFrame | None = None,
    *,
    log: bool = True,
    scale: str = "nats",
    pinned: int | None = None,
    diverged: Mapping[str, int] | None = None,
) -> go.Figure:
    """Losses of the whole splits; strength of [generalizable and non-generalizable ]interactions[, and H], by epoch.

    How to read: strength is the mean over samples of Σ|I| over salient interactions, in nats[ or, normalised, as a
    share of its epoch's]: the thin line is the total[, H its generalizable share]. Shaded ribbons are 95 % bootstrap
    intervals over samples. [The grey bands are the three phases.] The vertical line is the pinned epoch; a click pins
    another. Losses and their gap are of the whole splits, dash-dotted the gap of the explained samples; random training
    labels make the gap negative at first, clean testing ones are fitted better. [Dashed below H: its level by chance,
    if the baseline network's interactions of each order were any others. Grey bars at H: its range under other choices
    of the method, where the noise floor is measured.] A loss that is NaN or infinite ends its line; the first such
    epoch is marked as diverged.
    """
    if epochs.empty:
        return theme.nothing("No epoch is recorded yet.", "epoch", "nats")
    parts = theme.parts(strength)
    scale = "nats" if parts is theme.WHOLE and scale == "normalised" else scale  # of the total, every share is 1
    heights = [0.22, 0.14, 0.38, 0.26][: 3 + (parts is theme.PARTS)]  # without G there is no H
    figure = Sheet(rows=len(heights), cols=1, shared_xaxes=True, vertical_spacing=0.035, row_heights=heights)
    unit = (theme.SHARE, "") if scale == "normalised" else (NATS, " nats")
    for column, (name, colour, dash) in LOSSES.items():
        row, style = 2 if column == "gap" else 1, (colour, dash, "circle")  # the gap's panel is named by its axis
        _line(figure, row, epochs, column, name, *style, NATS, " nats", log=log, small=True, named=row == 1)
    if "explained_gap" in epochs:
        name, looks = "gap of the explained samples", (theme.SKY, "dashdot", "circle")
        _line(figure, 2, epochs, "explained_gap", name, *looks, NATS, " nats", log=log, small=True)
    for kind, rows in strength.groupby("type", sort=False):
        suffix = "" if kind == "all" else f", {theme.TYPE_NAMES[str(kind)]}"
        symbol = theme.SYMBOLS[str(kind)]
        total = "total strength" + suffix
        _line(figure, 3, rows, "strength", total, None, "solid", symbol, *unit, log=log, small=True)
        if parts is theme.WHOLE:
            _ribbon(figure, 3, rows, "strength", theme.GREY, scale, log=log)
            continue
        for column, (name, colour, dash) in parts.items():
            _ribbon(figure, 3, rows, column, colour, scale, log=log)
            _line(figure, 3, rows, column, name + suffix, colour, dash, symbol, *unit, log=log)
        column = "generalization_power"
        _ribbon(figure, 4, rows, column, theme.GREY, log=log)
        _line(
            figure, 4, rows, column, f"H{suffix}", None, "solid", symbol, theme.SHARE, "", log=log, named=bool(suffix)
        )
        chance = f"H by chance{suffix}"
        if rows["chance"].notna().to_numpy().any():  # labels of an older version have none
            _line(figure, 4, rows, "chance", chance, theme.GREY, "dash", symbol, theme.SHARE, "", log=log, small=True)
    if noise_floor is not None and not noise_floor.empty:
        _floor(figure, noise_floor, log=log)
    if diverged:
        first = min(diverged.values())
        names = " and ".join(LOSSES[column][0] for column, epoch in diverged.items() if epoch == first)
        _mark(figure, first, f"diverged: {names} not finite", theme.TESTING, log=log)
    over_epochs(figure, phases, epochs["epoch"].tolist(), pinned, log=log)
    figure.update_yaxes(title="loss (nats)", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="gap (nats)", zeroline=True, row=2, col=1)
    figure.update_yaxes(**strength_axis(scale), row=3, col=1)
    if len(heights) == 4:
        figure.update_yaxes(title="generalizable share (H)", range=[0, 1.02], tickformat=theme.SHARE, row=4, col=1)
    return figure.figure(height=720, margin={"t": 60}, legend={"y": 1.03}, clickmode="event+select")


def gap(
    epochs: pd.DataFrame, *, chosen: tuple[int, ...] = (), gap_start: int | None = None, log: bool = True
) -> go.Figure:
    """Gap between the testing and the training loss of the whole splits at every epoch.

    How to read: dashed lines and markers, numbered above, are the epochs of the row of distributions over orders;
    where the gap rises, the network overfits. Dotted: where it begins to, which is where the second of the
    two phases published before the three begins.
    """
    known = epochs.dropna(subset=["gap"])
    if known.empty:
        return theme.nothing("No epoch has both losses.", "epoch", "gap: testing − training loss (nats)")
    figure = Sheet()
    x = [position(epoch, log=log) for epoch in known["epoch"]]
    figure.add_scatter(
        x=x, y=known["gap"].to_numpy(), mode="lines", line={"color": theme.GAP, "width": 2}, name="gap",
        customdata=known["epoch"].to_numpy(), showlegend=False,
        hovertemplate=f"epoch %{{customdata}}<br>gap %{{y:{NATS}}} nats<extra></extra>",
    )  # fmt: skip
    marked: Any = known.loc[known["epoch"].isin(chosen)]
    about = {"x": [position(epoch, log=log) for epoch in marked["epoch"]], "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(y=marked["gap"].to_numpy(), mode="markers", marker={"size": 9, "color": theme.GAP}, **about)
    low, high = min(known["gap"]), max(known["gap"])
    room = 0.06 * max(high - low, 1e-9)
    words = marked["epoch"].astype(str).tolist()
    figure.add_scatter(y=[high + 2 * room] * len(marked), mode="text", text=words, cliponaxis=False, **about)
    dashed = {"type": "line", "line": {"width": 1, "dash": "dash", "color": theme.GREY}}
    for x in about["x"]:
        figure.add_shape(xref="x", yref="y", x0=x, x1=x, y0=low - room, y1=high + room, **dashed)
    if gap_start is not None:
        _mark(figure, gap_start, "gap rises (published two-phase)", theme.GAP, 0.7, log=log)
    epoch_axis(figure, known["epoch"].tolist(), log=log)
    figure.update_yaxes(title="gap: testing − training loss (nats)", range=[low - room, high + 3 * room])
    return figure.figure(height=320)


def _mark(figure: Sheet, epoch: int, text: str, colour: str, y: float = 0, *, log: bool) -> None:
    """Draws a dotted line in the first panel at an epoch, with words on its left, at a share of its height."""
    x = position(epoch, log=log)
    line = {"width": 2, "dash": "dot", "color": colour}
    figure.add_shape(type="line", xref="x", yref="y domain", x0=x, x1=x, y0=0, y1=1, line=line)
    figure.add_annotation(
        x=math.log10(epoch + 1) if log else epoch, y=y, xref="x", yref="y domain", xanchor="right", yanchor="bottom",
        text=text, showarrow=False, font={"size": 11, "color": colour},
    )  # fmt: skip


def strength_axis(scale: str) -> dict[str, Any]:
    """Returns title, type and number format of a y axis of strengths; `scale` as in `Choice`."""
    if scale == "normalised":
        return {"title": "strength (share of the epoch's)", "rangemode": "tozero", "tickformat": theme.SHARE}
    return {"title": "strength (nats)"} | (LOG if scale == "log" else {"rangemode": "tozero"})


def position(epoch: float, *, log: bool) -> float:
    """Returns where an epoch lies on the axis: a logarithmic axis has no zero, so it shows epoch + 1."""
    return epoch + 1 if log else epoch


def epoch_axis(
    figure: Sheet, epochs: Sequence[int], row: int | None = None, col: int | None = None, *, log: bool
) -> None:
    """Gives the x axes of the figure, or the one at `row`, `col`, the title and ticks of epochs, linear or log.

    Of panels that share an axis, the one with numbers has the title.
    """
    figure.update_xaxes(title=_epoch_title(log=log), row=row, col=col)
    for axis in (axis for key, axis in figure.layout.items() if key.startswith("xaxis")):
        if axis.get("showticklabels") is False:
            axis["title"] = {"text": ""}
    if not log:
        return
    last = max(epochs, default=1)
    ticks = [epoch for epoch in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384) if epoch <= last]
    ticks += [last] * (last > 1.5 * ticks[-1])
    places, texts = [epoch + 1 for epoch in ticks], [str(epoch) for epoch in ticks]
    figure.update_xaxes(type="log", tickvals=places, ticktext=texts, row=row, col=col)


def over_epochs(
    figure: Sheet, phases: pd.DataFrame | None, epochs: Sequence[int], pinned: int | None, *, log: bool
) -> None:
    """Gives a figure the phases, a line at the pinned epoch, and the axis of epochs."""
    bands(figure, phases, epochs, log=log)
    if pinned is not None:
        figure.add_vline(x=position(pinned, log=log), line={"width": 1.5, "dash": "solid"}, opacity=0.8)
    epoch_axis(figure, epochs, log=log)


def phase_lines(figure: Sheet, phases: pd.DataFrame | None, epochs: Sequence[int], height: float, *, log: bool) -> None:
    """Draws a dashed line at each boundary that was found, and in every panel, at a height, the phases' numbers."""
    for epoch in _boundaries(phases).values():
        figure.add_vline(x=position(epoch, log=log), line={"width": 1.5, "dash": "dash", "color": theme.GREY})
    for name, left, right, _ in _spans(phases, epochs):
        ends = [position(epoch, log=log) for epoch in (left, right)]
        x = sum(map(math.log10, ends) if log else ends) / 2
        for axis in {trace["xaxis"]: trace["yaxis"] for trace in figure.data}.items():
            place = dict(zip(("xref", "yref"), axis, strict=True))
            figure.add_annotation(x=x, y=height, **place, text=name, showarrow=False, font={"size": 11})


def bands(figure: Sheet, phases: pd.DataFrame | None, epochs: Sequence[int], *, log: bool) -> None:
    """Shades the phases that were found over all rows, behind everything; named in the first."""
    for name, left, right, shade in _spans(phases, epochs):
        figure.add_vrect(
            x0=position(left, log=log),
            x1=position(right, log=log),
            fillcolor=theme.PHASE_BANDS[shade],
            line={"width": 0},
            layer="below",
        )
        figure.add_annotation(
            x=math.log10(left + 1) if log else left,
            xanchor="left",
            xref="x",
            y=1,
            yref="paper",
            yanchor="bottom",
            text=f"phase {name}",
            showarrow=False,
            font={"size": 11},
        )


def _spans(phases: pd.DataFrame | None, epochs: Sequence[int]) -> Iterator[tuple[str, float, float, int]]:
    """Yields the phases that were found, within the epochs: name, first and last epoch, and their place from 0 on."""
    found, start = _boundaries(phases), 0
    edges = [min(epochs), found.get("1|2"), found.get("2|3"), max(epochs)]
    for stop in (1, 2, 3) if found else ():
        if (right := edges[stop]) is None:
            continue
        left = max(edges[start] or 0, edges[0])
        if right > left:  # else before the first epoch shown
            yield "–".join(str(number) for number in sorted({start + 1, stop})), left, right, start
        start = stop


def finding_text(epochs: pd.DataFrame, diverged: Mapping[str, int] | None = None) -> str:
    """Returns what H does over the epochs, such as "H peaks at epoch 10, at 60% (25% by chance), and ends at 28%".

    Then where the testing loss is lowest; and, where a loss is not finite, from which epoch on.
    """
    losses = {column: epoch for column, epoch in (diverged or {}).items() if column in LOSSES}
    return "; ".join(
        [
            _course(epochs),
            *_lowest(epochs),
            *(f"{LOSSES[column][0]} diverged at epoch {epoch}" for column, epoch in losses.items()),
        ]
    )


def _course(epochs: pd.DataFrame) -> str:
    rows = epochs.dropna(subset=["generalization_power"])
    if len(rows) < 2:
        known = epochs.dropna(subset=["salient"]).to_dict("records")
        ends = [f"{row['salient']:.3g} at epoch {row['epoch']}" for row in known[:: max(len(known) - 1, 1)]]
        return f"Salient interactions per sample: {', '.join(ends)}" if len(ends) > 1 else "Losses of every epoch"
    peak: Any = rows.loc[rows["generalization_power"].idxmax()]
    last: Any = rows.iloc[-1]
    high, end = f"{peak['generalization_power']:.0%}", f"{last['generalization_power']:.0%}"
    if not pd.isna(peak["chance"]):
        high = f"{high} ({peak['chance']:.0%} by chance)"
    if peak["epoch"] == last["epoch"]:
        return f"The generalizable share (H) is highest at the last epoch, {int(last['epoch'])}: {high}"
    return f"The generalizable share (H) peaks at epoch {int(peak['epoch'])}, at {high}, and ends at {end}"


def _lowest(epochs: pd.DataFrame) -> list[str]:
    losses = epochs.set_index("epoch")["test_loss"].dropna()
    return [f"testing loss is lowest at epoch {losses.idxmin()}"] if len(losses) > 1 else []


def chance_text(epochs: pd.DataFrame) -> str:
    """Returns that nothing transfers beyond chance, if the interval of H above chance reaches 0 at every epoch; ""."""
    low = epochs["above_chance_low"].dropna().tolist()
    return "Nothing here transfers beyond chance." if low and max(low) <= 0 else ""


def phase_text(phases: pd.DataFrame) -> str:
    """Returns in words where the phases meet, or why not."""
    if phases.empty:
        return "Phases are looked for when every epoch is extracted and a baseline network tells what generalizes."
    return "  \n".join(f"Start of phase {row['boundary'][-1]}: {row['reason']}." for row in phases.to_dict("records"))


def _boundaries(phases: pd.DataFrame | None) -> dict[str, float]:
    if phases is None:
        return {}
    return {str(row["boundary"]): float(row["epoch"]) for row in phases.dropna(subset=["epoch"]).to_dict("records")}


def _epoch_title(*, log: bool) -> str:
    return "epoch (log scale of epoch + 1)" if log else "epoch"


def _line(
    figure: Sheet, row: int, rows: pd.DataFrame, column: str, name: str, colour: str | None, dash: str, symbol: str,
    form: str, unit: str, *, log: bool, small: bool = False, named: bool = True,
) -> None:  # fmt: skip
    rows = rows.dropna(subset=[column])
    figure.add_scatter(
        x=[position(epoch, log=log) for epoch in rows["epoch"]],
        y=rows[column].to_numpy(),
        customdata=rows["epoch"].to_numpy(),
        name=name,
        showlegend=named,
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 1 if column in ("strength", "chance") else 2},
        marker={"symbol": symbol, "size": 4 if small else 7, "color": colour, "maxdisplayed": MARKERS},
        unselected={"marker": {"opacity": 1}},
        hovertemplate=f"{name} %{{y:{form}}}{unit}<extra></extra>",
        row=row,
        col=1,
    )


def _ribbon(
    figure: Sheet, row: int, rows: pd.DataFrame, column: str, colour: str, scale: str = "nats", *, log: bool
) -> None:
    rows = rows.dropna(subset=[f"{column}_low", f"{column}_high"])
    if scale == "log":  # which has no zero
        rows = rows.loc[rows[f"{column}_low"] > 0]
    if rows.empty:
        return
    x = [position(epoch, log=log) for epoch in rows["epoch"]]
    theme.band(figure, x, rows[f"{column}_low"].tolist(), rows[f"{column}_high"].tolist(), colour, row, 1)


def _floor(figure: Sheet, robustness: pd.DataFrame, *, log: bool) -> None:
    """Draws the range of H under other choices at each epoch where the noise floor is measured."""
    ranges = robustness.groupby("epoch")[["power", "other_power"]].agg(["min", "max"])
    epochs = [int(str(epoch)) for epoch in ranges.index]
    places = [position(epoch, log=log) for epoch in epochs]
    figure.add_scatter(
        x=[value for x in places for value in (x, x, None)], customdata=[v for e in epochs for v in (e, e, None)],
        y=[value for row in ranges.to_numpy() for value in (min(row), max(row), None)], mode="lines", row=4,
        name="H, other choices (noise floor)", line={"width": 7, "color": "rgba(138,143,152,0.55)"},
        hovertemplate="H by another choice %{y:.0%}<extra></extra>",
    )  # fmt: skip


def _rows(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    floor = ask(removal.robustness).query("comparison != 'joint'")  # that one makes the target like its baselines
    whole = (c.split, c.label, c.types) == ("all", -1, ("all",))  # what the floor is measured for
    own = ask(lives.explained_losses, split=c.split, label=c.label).rename(columns={"gap": "explained_gap"})
    return {
        "epochs": ask(queries.epochs, split=c.split, label=c.label).merge(
            own[["epoch", "explained_gap"]], on="epoch", how="left"
        ),
        "strength": ask(
            queries.strength, split=c.split, label=c.label, types=c.types, normalised=c.scale == "normalised"
        ),
        "phases": ask(queries.phases),
        "noise floor": floor if whole else floor.head(0),
    }


CHARTS = (
    Chart(
        dynamics,
        _rows,
        page="dynamics",
        view="Losses and strengths",
        options=lambda ask, c: {
            "log": c.log,
            "scale": c.scale,
            "diverged": ask.read(queries.diverged),
        },
        marks=pinned,
        when=lambda ask, c: True,
        says=("split", "label", "types"),
        click="epoch",
        panels=True,
        says_rule=True,
    ),
    Chart(
        gap,
        lambda ask, c: {"epochs": ask(queries.epochs).loc[:, ["epoch", "train_loss", "test_loss", "gap"]]},
        options=lambda ask, c: {
            "chosen": tuple(c.epochs),
            "gap_start": gap_start(ask(queries.epochs)),
            "log": c.log,
        },
    ),
)
