"""Charts of confusing samples: interactions that cancel, and high orders; and whether two runs share them."""

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, is_labelled
from interdash.figures.dynamics import epoch_axis, position
from interdash.figures.sheet import Sheet
from interdash.queries import theories

SPLITS = {"train": ("training", theme.GENERALIZABLE, "circle"), "test": ("testing", theme.TESTING, "square")}


def confusing_samples(confusing: pd.DataFrame, *, chosen: int | None = None) -> go.Figure:
    """How much the salient interactions of each sample cancel, and how much of their strength is of high order.

    How to read: one point a sample. To the left its interactions cancel (ρ = |ΣI| / Σ|I| near 0), upwards more of their
    strength is of high order, of more than half of the variables: the upper left are the confusing samples. An open
    symbol is a sample that the network gets wrong at that epoch. Click a point to see it: the ring is the sample shown.
    """
    titles = ("net share ρ = |ΣI| / Σ|I|", "strength of high order (share)")
    rows = confusing.dropna(subset=["net_share", "high_order_share"])
    if rows.empty:
        return theme.nothing("No sample has a salient interaction.", *titles)
    figure = Sheet()
    for split, (name, colour, symbol) in SPLITS.items():
        for correct, suffix in ((True, ""), (False, "-open")):
            some = rows.loc[(rows["split"] == split) & (rows["correct"] == correct)]
            if some.empty:
                continue
            figure.add_scatter(
                x=some["net_share"].to_numpy(), y=some["high_order_share"].to_numpy(), mode="markers",
                name=f"{name}, {'right' if correct else 'wrong'}", customdata=some["sample"].to_numpy(),
                marker={"color": colour, "symbol": symbol + suffix, "size": 9, "line": {"width": 2}},
                text=[theme.escaped(text) for text in some["label_name"]], unselected={"marker": {"opacity": 1}},
                hovertemplate="sample %{customdata}, %{text}<br>ρ %{x:.0%}, high orders %{y:.0%}<extra></extra>",
            )  # fmt: skip
    at = rows.loc[rows["sample"] == chosen]
    if len(at):
        figure.add_scatter(
            x=at["net_share"].to_numpy(), y=at["high_order_share"].to_numpy(), mode="markers", name="shown",
            hoverinfo="skip", marker={"symbol": "circle-open", "size": 17, "line": {"width": 3}, "color": theme.ORANGE},
        )  # fmt: skip
    figure.update_xaxes(title=titles[0], tickformat=theme.SHARE, range=[-0.02, 1.02])
    figure.update_yaxes(title=titles[1], tickformat=theme.SHARE, rangemode="tozero")
    return figure.figure(height=420, clickmode="event+select")


def confusing_overlap(confusing_overlap: pd.DataFrame, *, log: bool = True) -> go.Figure:
    """How many of the most confusing samples two runs share: Jaccard index of the most confusing tenth of each.

    How to read: 1 would be the same samples, 0 none in common. Dashed is what two random tenths would have, grey the
    range of 95 % of them. Most confusing: the highest sum of the ranks by cancellation and by the share of high orders.
    That is our formula; samples count that both runs explain.
    """
    titles = ("epoch", "Jaccard index (share)")
    rows = confusing_overlap.dropna(subset="jaccard")
    if rows.empty:
        return theme.nothing("The two runs have no epoch and samples in common.", *titles)
    figure = Sheet()
    epochs = rows["epoch"].tolist()
    x = [position(epoch, log=log) for epoch in epochs]
    theme.band(figure, x, rows["chance_low"].tolist(), rows["chance_high"].tolist(), theme.GREY, 1, 1)
    for column, name, colour, dash in (
        ("jaccard", "most confusing tenths", theme.NON_GENERALIZABLE, "solid"),
        ("chance", "by chance", theme.GREY, "dash"),
    ):
        figure.add_scatter(
            x=x, y=rows[column].to_numpy(), name=name, mode="lines+markers", line={"color": colour, "dash": dash},
            marker={"size": 6}, customdata=rows[["epoch", "samples"]].to_numpy(),
            hovertemplate=f"epoch %{{customdata[0]}}, %{{customdata[1]}} samples<br>{name} %{{y:.2f}}<extra></extra>",
        )  # fmt: skip
    epoch_axis(figure, epochs, log=log)
    figure.update_yaxes(title=titles[1], range=[-0.02, 1.02])
    return figure.figure(height=380)


CHARTS = (
    Chart(
        confusing_samples,
        lambda ask, c: {"samples": ask(theories.confusing, epoch=c.epoch)},
        page="sample",
        view="Confusing samples",
        marks=lambda ask, c: {"chosen": c.sample},
        says=("epoch",),
        click="sample",
    ),
    Chart(
        confusing_overlap,
        lambda ask, c: {"overlap": ask(theories.confusing_overlap, other=c.runs[0])},
        page="compare",
        view="Confusing samples",
        options=lambda ask, c: {"log": c.log},
        when=lambda ask, c: len(c.runs) == 1 and is_labelled(ask, c),
    ),
)
