"""Chart of samples with clean and with random labels: what is memorised."""

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, is_labelled, log_axis, pinned
from interdash.figures.choice import Choice
from interdash.figures.dynamics import over_epochs, position
from interdash.figures.sheet import Sheet
from interdash.formulas.bootstrap import FEW
from interdash.queries import removal, sample
from interdash.queries.asking import Ask

KINDS = {  # of samples: name, colour, dash, marker
    "clean": ("training, clean label", None, "solid", "circle"),
    "random": ("training, random label", theme.GAP, "dot", "x"),
    "testing": ("testing", theme.TESTING, "dash", "square"),
}
PANELS = {
    "strength": "strength (nats)",
    "power": "generalizable",
    "before": "loss (nats)",
    "after": "loss without (nats)",
}


def removals_by_label(labels: pd.DataFrame, *, log: bool = True, pinned: int | None = None) -> go.Figure:
    """Training samples with clean and with random labels, and testing samples: interactions and losses by epoch.

    How to read: a random label is another than the true one, so nothing that holds elsewhere leads to it: what the
    network learns to give it back is memorised. From above: strength of the salient interactions of a sample; the share
    of it that generalizes; the loss; and the loss without the non-generalizable interactions. Ribbons are 95 %
    bootstrap intervals over samples, left out below ten samples.
    """
    if labels.empty:
        return theme.nothing("It is not known which labels are random.", "epoch", "loss (nats)")
    figure = Sheet(rows=len(PANELS), cols=1, shared_xaxes=True, vertical_spacing=0.04)
    for row, (column, title) in enumerate(PANELS.items(), start=1):
        for kind, (name, colour, dash, symbol) in KINDS.items():
            rows = labels.loc[labels["kind"] == kind].dropna(subset=[column])
            if rows.empty:
                continue
            count = rows["samples"].iloc[0]
            x = [position(epoch, log=log) for epoch in rows["epoch"]]
            if count >= FEW:
                low, high = (rows[f"{column}_{end}"].tolist() for end in ("low", "high"))
                theme.band(figure, x, low, high, colour or theme.GREY, row, 1)
            form = theme.SHARE if column == "power" else theme.NATS
            figure.add_scatter(
                row=row, x=x, y=rows[column].to_numpy(), name=f"{name} ({count:g} samples)", legendgroup=kind,
                mode="lines+markers", showlegend=row == 1, line={"color": colour, "dash": dash, "width": 2},
                marker={"size": 6, "symbol": symbol}, customdata=rows["epoch"].to_numpy(),
                hovertemplate=f"epoch %{{customdata}}<br>{name}: {title} %{{y:{form}}}<extra></extra>",
                unselected={"marker": {"opacity": 1}},
            )  # fmt: skip
        figure.update_yaxes(row=row, title=title, rangemode="tozero")
    epochs = sorted(set(labels["epoch"].tolist()))
    over_epochs(figure, None, epochs, pinned, log=log)
    figure.update_yaxes(row=2, tickformat=theme.SHARE, range=[0, 1.05])
    return figure.figure(height=640, margin={"t": 60}, legend={"y": 1.03}, clickmode="event+select")


def memorised_text(labels: pd.DataFrame, epoch: int) -> str:
    """Returns in words how samples with random labels differ from those with clean ones at an epoch."""
    of = {str(row["kind"]): row for row in labels.loc[labels["epoch"] == epoch].to_dict("records")}
    if "random" not in of:
        return ""
    clean, random = of["clean"], of["random"]
    text = f"{random['samples']:g} of the explained training samples have a random label. At epoch {epoch} "
    if random["samples"] < FEW:
        text += "(too few for a verdict) "
    return (
        f"{text}{random['power']:.0%} of the strength of their interactions generalizes, of the {clean['samples']:g} "
        f"with clean labels {clean['power']:.0%}. Without their non-generalizable interactions their loss is "
        f"{random['after']:.3f} instead of {random['before']:.3f} nats; that of the clean ones {clean['after']:.3f} "
        f"instead of {clean['before']:.3f}."
    )


def _is_known(ask: Ask, c: Choice) -> bool:
    return is_labelled(ask, c) and ask(sample.random_labels) > 0 and not ask(removal.removals).empty


CHARTS = (
    Chart(
        removals_by_label,
        lambda ask, c: {"labels": ask(removal.removals_by_label, min_order=c.min_order)},
        page="removal",
        view="By label",
        options=log_axis,
        marks=pinned,
        when=_is_known,
        says=("min_order",),
        click="epoch",
        panels=True,
    ),
)
