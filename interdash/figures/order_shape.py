"""Charts of the shape of interactions over orders: fitted profiles, and how alike training and testing samples are."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, is_labelled, log_axis, pinned
from interdash.figures.dynamics import epoch_axis, position
from interdash.figures.sheet import Sheet
from interdash.queries import removal

PARTS = {"generalizable": "generalizable", "non_generalizable": "non-generalizable"}
SHAPES = {"decay": ("decay α<sup>k</sup>", theme.GENERALIZABLE, "solid", "circle")} | {
    "spindle": ("spindle C(n, k) α<sup>k</sup>", theme.NON_GENERALIZABLE, "dash", "square")
}


def order_fits(order_fits: pd.DataFrame, *, log: bool = True, pinned: int | None = None) -> go.Figure:
    """How far the distribution over orders is from a decay and from a spindle, at every epoch.

    How to read: the lower of two lines is the shape that fits better; 0 is a perfect fit. Published: generalizable
    interactions decay over orders, non-generalizable ones form a spindle. Ribbons: 95% bootstrap over samples.
    """
    if order_fits.empty:
        return theme.nothing("No interactions are labelled yet.", "epoch", "distance (share)")
    figure = Sheet(rows=1, cols=2, subplot_titles=list(PARTS.values()), shared_yaxes=True)
    for column, part in enumerate(PARTS, 1):
        for shape, (name, colour, dash, symbol) in SHAPES.items():
            rows: Any = order_fits[(order_fits["part"] == part) & (order_fits["shape"] == shape)]
            rows = rows[rows["distance_low"].notna()]
            x = [position(epoch, log=log) for epoch in rows["epoch"]]
            theme.band(figure, x, rows["distance_low"].tolist(), rows["distance_high"].tolist(), colour, 1, column)
            figure.add_scatter(
                x=x, y=rows["distance"].to_numpy(),
                customdata=rows[["epoch", "alpha", "alpha_low", "alpha_high"]].to_numpy(), name=name,
                legendgroup=shape, showlegend=column == 1, mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2},
                marker={"symbol": symbol, "size": 6, "color": colour},
                hovertemplate=f"epoch %{{customdata[0]}}<br>{name}: distance %{{y:.1%}}<br>α = %{{customdata[1]:.2f}} "
                "(%{customdata[2]:.2f} … %{customdata[3]:.2f})<extra></extra>",
                row=1, col=column,
            )  # fmt: skip
    if pinned is not None:
        figure.add_vline(x=position(pinned, log=log), line={"width": 1.5}, opacity=0.7)
    epoch_axis(figure, order_fits["epoch"].tolist(), log=log)
    figure.update_yaxes(tickformat=theme.SHARE, rangemode="tozero")
    figure.update_yaxes(title="distance from the profile (share)", row=1, col=1)
    return figure.figure(height=380, legend={"y": 1.12}, margin={"t": 70})


def order_similarities(order_similarities: pd.DataFrame, *, pinned: int | None = None) -> go.Figure:
    """How alike training and testing samples are.

    How to read: their mean interactions are compared order by order, at one epoch; 1 is the same, 0 nothing in
    common. Few samples never reach 1: the grey bars, 95% of random groups of the same sizes, show what samples of one
    distribution give. A marker below its bar is a difference of the splits; a long bar, an order of few interactions.
    """
    titles = ("order (variables in an interaction)", "weighted Jaccard index (share)")
    if order_similarities.empty:
        return theme.nothing(
            "Training and testing samples have no common variables, or none are labelled yet.", *titles
        )
    epochs = order_similarities["epoch"].tolist()
    epoch = pinned if pinned in epochs else epochs[-1]
    rows: Any = order_similarities[order_similarities["epoch"] == epoch]
    x = rows["size"].tolist()
    figure = Sheet()
    figure.add_bar(
        x=x, y=(rows["reference_high"] - rows["reference_low"]).to_numpy(), base=rows["reference_low"].to_numpy(),
        width=0.5, marker={"color": theme.rgba(theme.GREY, 0.35)}, name="random groups, 95%", hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=rows["similarity"].to_numpy(), name=f"training and testing, epoch {epoch}", mode="lines+markers",
        line={"width": 2}, marker={"size": 8}, hovertemplate="order %{x}<br>index %{y:.2f}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title=titles[0], dtick=1)
    figure.update_yaxes(title=titles[1], range=[0, 1.02])
    return figure.figure(height=380)


def shape_text(order_fits: pd.DataFrame, epoch: int) -> str:
    """Returns in words which profile fits which part at an epoch."""
    rows: Any = order_fits[order_fits["epoch"] == epoch]
    known = rows[rows["distance"].notna()].sort_values("distance").to_dict("records")
    sentences = []
    for part, name in PARTS.items():
        pair = [row for row in known if row["part"] == part]
        if len(pair) < 2:
            sentences.append(f"There are no {name} interactions to fit.")
            continue
        best, other = pair
        clear = best["distance_high"] < other["distance_low"]
        words = "clearly closer" if clear else "closer, not clearly,"
        sentences.append(
            f"The {name} interactions are {words} to a {best['shape']} ({best['distance']:.1%} off) than to a "
            f"{other['shape']} ({other['distance']:.1%} off)."
        )
    return f"Epoch {epoch}: {' '.join(sentences)}"


CHARTS = (
    Chart(
        order_fits,
        lambda ask, c: {"fits": ask(removal.order_fits)},
        page="removal",
        view="Shape over orders",
        options=log_axis,
        marks=pinned,
        when=lambda ask, c: is_labelled(ask, c) and not ask(removal.order_fits).empty,
    ),
    Chart(
        order_similarities,
        lambda ask, c: {"similarities": ask(removal.order_similarities)},
        page="removal",
        view="Shape over orders",
        options=pinned,
        when=lambda ask, c: is_labelled(ask, c) and not ask(removal.order_similarities).empty,
        says=("epoch",),
    ),
)
