"""Charts of how far to trust the numbers: noise floor of G, each baseline, sparsity, outputs matched."""

import math
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, is_labelled, log_axis
from interdash.figures.chart import pinned as pinned_epoch
from interdash.figures.choice import Choice
from interdash.figures.dynamics import over_epochs, position
from interdash.figures.sheet import Sheet
from interdash.figures.theme import NATS
from interdash.queries import baselines as of_baselines
from interdash.queries import dynamics, published, removal
from interdash.queries.asking import Ask
from interdash.queries.baselines import MEAN

COLOURS = (theme.TESTING, theme.GAP, theme.SKY, theme.ORANGE)
MOST = 1024  # points of masked versions
PLACES = {"1|2": ("circle-open", "phase 2 from"), "2|3": ("circle", "phase 3 from")}


def robustness(robustness: pd.DataFrame, epochs: pd.DataFrame | None = None, *, pinned: int | None = None) -> go.Figure:
    """Noise floor: how many labels G flip when one choice is made otherwise, and H by that choice.

    How to read: one row a choice; left the share of labels that flip, among interactions salient both ways, right H.
    Large markers with 95% bootstrap intervals over samples: one measured epoch; small ones: the others. The ring is H
    by the run's own choices, the dashed line its chance level there. A difference in H below this says nothing about
    the network.
    """
    titles = ("labels G that flip (share)", "generalizable share (H)")
    if robustness.empty:
        return theme.nothing("The noise floor is not measured yet.", titles[0], "choice")
    epoch = shown_epoch(robustness, pinned)
    figure = Sheet(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04)
    traces: tuple[tuple[int, str, str, dict[str, Any]], ...] = (
        (1, "flips", "labels that flip", {"symbol": "square", "color": theme.NON_GENERALIZABLE}),
        (2, "power", "H by the run's choice", {"symbol": "circle-open", "line": {"width": 2}}),
        (2, "other_power", "H by the other choice", {"symbol": "circle", "color": theme.GENERALIZABLE}),
    )
    for column, name, words, marker in traces:
        for now in (False, True):
            if name == "power" and not now:
                continue
            rows: Any = robustness[(robustness["epoch"] == epoch) == now]
            rows = rows[rows[name].notna()]
            bars = {
                "array": (rows[f"{name}_high"] - rows[name]).fillna(0).to_numpy(),
                "arrayminus": (rows[name] - rows[f"{name}_low"]).fillna(0).to_numpy(),
                "thickness": 1.5,
            }
            figure.add_scatter(
                x=rows[name].to_numpy(), y=choice_names(rows), error_x=bars if now else None,
                customdata=rows["epoch"].to_numpy(),
                name=f"{words}, epoch {epoch}" if now else f"{words}, other epochs", mode="markers",
                marker={**marker, "size": 11 if now else 5, "opacity": 1 if now else 0.45},
                hovertemplate=f"%{{y}}<br>epoch %{{customdata}}<br>{words} %{{x:.1%}}<extra></extra>",
                row=1, col=column,
            )  # fmt: skip
    level = None if epochs is None else epochs.loc[epochs["epoch"] == epoch, "chance"].dropna()
    if level is not None and len(level):
        figure.add_shape(
            **{"type": "line", "xref": "x2", "yref": "y2 domain", "y0": 0, "y1": 1},
            **{"x0": level.iloc[0], "x1": level.iloc[0], "line": {"width": 1, "dash": "dash", "color": theme.GREY}},
        )
    figure.update_xaxes(title=titles[0], tickformat=theme.SHARE, rangemode="tozero", row=1, col=1)
    figure.update_xaxes(title=titles[1], tickformat=theme.SHARE, rangemode="tozero", row=1, col=2)
    choices = [*dict.fromkeys(choice_names(robustness))]  # the first on top
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=choices[::-1], tickvals=choices, ticktext=choices,
        range=[-0.6, len(choices) - 0.4],
    )  # fmt: skip
    figure.update_yaxes(title="choice", row=1, col=1)
    return figure.figure(height=170 + 46 * robustness["alternative"].nunique(), margin={"t": 70})


def shown_epoch(robustness: pd.DataFrame, pinned: int | None) -> int:
    """Returns the measured epoch nearest to the pinned one; the last without one."""
    epochs = sorted(set(robustness["epoch"].tolist()))
    return epochs[-1] if pinned is None else min(epochs, key=lambda epoch: abs(epoch - pinned))


def choice_names(rows: pd.DataFrame) -> list[str]:
    """Returns what each row of the noise floor compares, in words."""
    return [
        other if own == "as the run" else f"{other}<br>instead of {own}"
        for own, other in zip(rows["reference"], rows["alternative"], strict=True)
    ]


def list_of_floors(robustness: pd.DataFrame, epoch: int) -> pd.DataFrame:
    """Returns the noise floor at an epoch as a table for people."""
    rows: Any = robustness[robustness["epoch"] == epoch]
    return pd.DataFrame(
        {
            "choice": [name.replace("<br>", " ") for name in choice_names(rows)],
            "labels that flip": [_share(row, "flips") for row in rows.to_dict("records")],
            "salient both ways": [f"{share:.0%}" for share in rows["overlap"]],
            "H by the run": ["–" if pd.isna(share) else f"{share:.1%}" for share in rows["power"]],
            "H by the other": [_share(row, "other_power") for row in rows.to_dict("records")],
            "labels a sample": rows["labels"].round(1).tolist(),
        }
    )


def _share(row: Any, name: str) -> str:
    if pd.isna(row[name]):
        return "–"
    between = "" if pd.isna(row[f"{name}_low"]) else f" ({row[f'{name}_low']:.1%} … {row[f'{name}_high']:.1%})"
    return f"{row[name]:.1%}{between}"


def baselines(
    strengths: pd.DataFrame,
    learned: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    *,
    log: bool = True,
    pinned: int | None = None,
) -> go.Figure:
    """H above chance, what is learned, and the phases, with each baseline network and in the mean over them.

    How to read: thin lines are the baseline networks, each by itself; the thick line is their mean, which all other
    charts show, with its 95 % bootstrap interval over samples and baselines. Where the lines lie apart, G depends on
    the baseline. Below, where the second phase begins (ring) and the third (dot) with each of them, with
    intervals; a missing sign: the boundary is not found with that baseline.
    """
    if strengths.empty:
        return theme.nothing("No epoch is labelled yet.", "epoch", "H above chance")
    names = [name for name in dict.fromkeys(strengths["baseline"]) if name != MEAN]
    places = pd.DataFrame({"epoch": []}) if phases is None else phases.dropna(subset=["epoch"])
    heights = [0.42, 0.36] if places.empty else [0.42, 0.36, 0.22]
    figure = Sheet(rows=len(heights), cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=heights)
    looks = {
        name: {"color": COLOURS[i % len(COLOURS)], "dash": theme.DASHES[1 + i % (len(theme.DASHES) - 1)], "width": 1.5}
        for i, name in enumerate(names)
    } | {MEAN: {"color": None, "dash": "solid", "width": 3}}
    whole = strengths.loc[strengths["baseline"] == MEAN].dropna(subset=["above_chance_low", "above_chance_high"])
    x = [position(epoch, log=log) for epoch in whole["epoch"]]
    low, high = (whole[f"above_chance_{end}"].tolist() for end in ("low", "high"))
    theme.band(figure, x, low, high, theme.GREY, 1, 1)
    for row, (rows, at) in enumerate(((strengths, "epoch"), (learned, "epoch_to")), start=1):
        for name, of_one in rows.groupby("baseline", sort=False):
            words = _words(str(name), len(names))
            figure.add_scatter(
                x=[position(epoch, log=log) for epoch in of_one[at]], y=of_one["above_chance"].to_numpy(), name=words,
                legendgroup=str(name), showlegend=row == 1, mode="lines+markers", line=looks[name], marker={"size": 5},
                customdata=of_one[at].to_numpy(), row=row,
                hovertemplate=f"epoch %{{customdata}}<br>{words} %{{y:{theme.SHARE}}} above chance<extra></extra>",
            )  # fmt: skip
    shown = [*names, MEAN]
    for boundary, here in places.groupby("boundary") if len(places) else ():
        symbol, words = PLACES[str(boundary)]
        at, low, high = (
            [position(epoch, log=log) for epoch in here[name].fillna(here["epoch"])]
            for name in ("epoch", "low", "high")
        )
        ends = zip(here["epoch"], here["low"], here["high"], strict=True)
        colours = [looks.get(name, looks[MEAN])["color"] or theme.GREY for name in here["baseline"]]
        figure.add_scatter(
            x=at, y=[_words(name, len(names)) for name in here["baseline"]], mode="markers", name=words, row=3,
            marker={"symbol": symbol, "size": 10, "color": colours},
            error_x={
                "type": "data", "symmetric": False, "thickness": 1.5, "color": theme.GREY,
                "array": [b - a for a, b in zip(at, high, strict=True)],
                "arrayminus": [a - b for a, b in zip(at, low, strict=True)],
            },
            customdata=here["epoch"].to_numpy(),
            hovertext=[f"{words} epoch {epoch:g} ({low:g} to {high:g})" for epoch, low, high in ends],
            hovertemplate="%{y}: %{hovertext}<extra></extra>",
        )  # fmt: skip
    epochs = strengths["epoch"].tolist()
    over_epochs(figure, None, epochs, pinned, log=log)
    figure.update_yaxes(title="H above chance", tickformat=theme.SHARE, row=1, col=1)
    figure.update_yaxes(title="learned, above chance", tickformat=theme.SHARE, row=2, col=1)
    labels = [_words(name, len(names)) for name in shown]
    if places.empty:
        return figure.figure(height=440, margin={"t": 60}, legend={"y": 1.03}, clickmode="event+select")
    figure.update_yaxes(title="baseline", type="category", categoryorder="array", categoryarray=labels[::-1],
                        tickvals=labels, ticktext=labels, range=[-0.6, len(labels) - 0.4], row=3, col=1)  # fmt: skip
    return figure.figure(height=560 + 22 * len(shown), margin={"t": 60}, legend={"y": 1.03}, clickmode="event+select")


def _words(name: str, count: int) -> str:
    """Returns how a baseline is called in the chart."""
    return name if name != MEAN else f"mean of {count}" if count else "the baseline"


def sorted_over_samples(strengths: pd.DataFrame) -> go.Figure:
    """Strengths of all interactions of a sample, strongest first, averaged over the samples rank by rank.

    How to read: an explanation is sparse if the curve falls steeply, so that few interactions stand above τ (dashed
    line, its mean) and the long tail below adds little. The band holds the middle 95 % of the samples.
    """
    if strengths.empty:
        return theme.nothing("No interactions at this epoch.", "rank", "strength |I| (nats)")
    figure, row = Sheet(), strengths.to_dict("records")[0]
    tau = row["tau"]
    floor = tau / 1000
    inside: Any = strengths.loc[strengths["mean"] > floor]
    x, low = inside["rank"].tolist(), inside["low"].clip(lower=floor).tolist()
    theme.band(figure, x, low, inside["high"].tolist(), theme.GENERALIZABLE, 1, 1)
    figure.add_scatter(
        x=x, y=inside["mean"].to_numpy(), mode="lines", line={"color": theme.GENERALIZABLE, "width": 2}, name="mean",
        hovertemplate=f"rank %{{x}}: %{{y:{NATS}}} nats<extra></extra>", showlegend=False,
    )  # fmt: skip
    figure.add_hline(y=tau, line={"dash": "dash", "width": 1.5})
    text = f"τ = {tau:.3g} nats,<br>{row['salient']:.0f} salient per sample"
    at = {"xref": "paper", "x": 0.01, "xanchor": "left", "y": math.log10(tau), "yanchor": "top"}
    figure.add_annotation(text=text, align="left", **at)
    highest = max(inside["high"].tolist(), default=tau)
    figure.update_xaxes(title="rank", type="log", dtick=1)
    figure.update_yaxes(
        title="strength |I| (nats)", type="log", dtick=1, exponentformat="power",
        range=[math.log10(floor), math.log10(max(highest, tau)) + 0.3],
    )  # fmt: skip
    return figure.figure(height=340)


def matching(matching: pd.DataFrame) -> go.Figure:
    """Outputs on all masked versions of a sample, smallest first, and those rebuilt from salient interactions alone.

    How to read: the closer the points lie to the line, the more faithful are the salient interactions. The band is the
    line plus and minus the root mean square of the error over the 64 nearest masked versions.
    """
    titles = ("masked versions, by output", "output v (nats)")
    if matching.empty:
        return theme.nothing("No outputs are kept of this sample at this epoch.", *titles)
    figure = Sheet()
    shown: Any = matching.iloc[:: max(1, math.ceil(len(matching) / MOST))]
    x, low, high = shown["rank"].tolist(), shown["v"] - shown["error"], shown["v"] + shown["error"]
    theme.band(figure, x, low.tolist(), high.tolist(), theme.GREY, 1, 1)
    figure.add_scatter(
        x=x, y=shown["rebuilt"].to_numpy(), mode="markers", name="rebuilt from salient interactions",
        marker={"size": 3, "color": theme.GENERALIZABLE}, hovertemplate=f"%{{y:{NATS}}} nats<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=shown["v"].to_numpy(), mode="lines", line={"width": 2}, name="the network",
        hovertemplate=f"%{{y:{NATS}}} nats<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title=titles[0])
    figure.update_yaxes(title=titles[1])
    return figure.figure(height=340)


def _compared(ask: Ask, choice: Choice) -> str:
    """Returns of how many samples the choices are compared."""
    counts = ask(removal.robustness)["samples"]
    return f"n = {counts.max()} explained samples at most" if len(counts) else ""


CHARTS = (
    Chart(
        robustness,
        lambda ask, c: {"robustness": ask(removal.robustness), "epochs": ask(dynamics.epochs)},
        page="removal",
        view="Noise floor",
        options=lambda ask, c: {"pinned": shown_epoch(ask(removal.robustness), c.epoch)},
        when=lambda ask, c: is_labelled(ask, c) and not ask(removal.robustness).empty,
        n=_compared,
        says=("epoch",),
        says_rule=True,
    ),
    Chart(
        baselines,
        lambda ask, c: {
            "strengths": ask(of_baselines.strengths, split=c.split, label=c.label),
            "learned": ask(of_baselines.learned, split=c.split, label=c.label),
            "phases": ask(of_baselines.phases),
        },
        page="dynamics",
        view="Baselines",
        options=log_axis,
        marks=pinned_epoch,
        when=lambda ask, c: bool(ask(of_baselines.count)),
        says=("split", "label"),
        click="epoch",
    ),
    Chart(
        sorted_over_samples,
        lambda ask, c: {"strengths": ask.read(published.sorted_strengths, epoch=c.epoch, split=c.split, label=c.label)},
        says=("epoch", "split", "label"),
        says_rule=True,
    ),
    Chart(
        matching,
        lambda ask, c: {"matching": ask.read(published.matching, epoch=c.epoch, sample=c.sample)},
        says=("sample", "epoch"),
        says_rule=True,
    ),
)
