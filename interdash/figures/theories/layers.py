"""Charts of the layers: what each has of the network's interactions, by order, layer and epoch; and how good it is."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart
from interdash.figures.choice import Choice
from interdash.figures.sheet import Sheet
from interdash.queries import theories as queries
from interdash.queries.asking import Ask

NOT_MEASURED = "Not measured yet: `interdash measure RUN --layers` does it."
PARTS = {  # column: name, colour, hatch
    "overlap": ("overlap: in the layer and in the network", theme.GREY, ""),
    "new": ("new: in the network only", theme.GENERALIZABLE, ""),
    "forgotten": ("forgotten: in the layer only (downwards)", theme.ORANGE, "/"),
}
GROUPS = {  # group of orders: name, colour, dash, symbol
    "all": ("all orders", None, "solid", "circle"),
    "1–2": ("orders 1–2", theme.GENERALIZABLE, "dash", "square"),
    "≥ 3": ("orders ≥ 3", theme.NON_GENERALIZABLE, "dot", "x"),
}
CURVES = {
    "completeness": "completeness",
    "redundancy": "redundancy",
    "above_chance": "H above chance",
    "accuracy": "accuracy",
}
MAPS = {  # column: title, what stands in brackets
    "completeness": ("completeness", "control_completeness"),
    "redundancy": ("redundancy", "control_redundancy"),
    "above_chance": ("H above chance", "control_above_chance"),
    "accuracy": ("accuracy of the probe", "control_accuracy"),
}


def layer_orders(layer_orders: pd.DataFrame) -> go.Figure:
    """What each layer has of the network's interactions, by order: overlap, new and forgotten.

    How to read: a probe on the features of a layer gives an output of its own, and that has interactions. Grey is what
    they share with the network's: the same interaction with the same sign, the smaller of the two strengths. Blue is
    what the network has beyond, downwards what the layer has beyond: it is forgotten on the way. The tick is the
    overlap by chance, with the layer's interactions on other subsets of the same order. Strengths are in units of the
    mean |v(x) − v(x_∅)| of their layer. Below a name, the accuracy of the probe on testing samples: where it is low,
    the layer says little. Source: arXiv 2409.08712, Figure 3; chance is ours, and nothing is shared that is not salient
    in both, else Eq. (8) there is false.
    """
    rows: Any = layer_orders
    titles = "order", "strength (of the mean output)"
    if rows.empty:
        return theme.nothing(NOT_MEASURED, *titles)
    layers = rows.drop_duplicates("layer").to_dict("records")
    figure = Sheet(
        rows=1, cols=len(layers), shared_yaxes=True, horizontal_spacing=0.012,
        column_titles=[f"{theme.escaped(_module(row['name']))}<br>accuracy {row['accuracy']:.0%}" for row in layers],
    )  # fmt: skip
    for column, layer in enumerate(layers, start=1):
        some = rows[rows["layer"] == layer["layer"]]
        for part, (name, colour, hatch) in PARTS.items():
            sign = -1 if part == "forgotten" else 1
            figure.add_bar(
                x=some["size"].to_numpy(), y=sign * some[part].to_numpy(), name=name, col=column, legendgroup=part,
                showlegend=column == 1, marker={"color": colour, "pattern": {**theme.HATCH, "shape": hatch}},
                customdata=some[part].to_numpy(),
                hovertemplate=f"order %{{x}}<br>{part} %{{customdata:{theme.NATS}}}<extra></extra>",
            )  # fmt: skip
        figure.add_scatter(
            x=some["size"].to_numpy(), y=some["overlap_by_chance"].to_numpy(), name="overlap by chance", col=column,
            mode="markers", marker={"symbol": "line-ew-open", "size": 12, "line": {"width": 2}}, legendgroup="chance",
            showlegend=column == 1, hovertemplate=f"by chance %{{y:{theme.NATS}}}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title=titles[0], dtick=2, tick0=1)
    figure.update_yaxes(title=titles[1], row=1, col=1)
    return figure.figure(height=440, barmode="relative", margin={"t": 100}, legend={"y": 1.16}, bargap=0.15)


def layer_curves(layer_curves: pd.DataFrame) -> go.Figure:
    """Completeness, redundancy[, H above chance] and accuracy of the probes from layer to layer at one epoch.

    How to read: completeness is the share of the network's strength that the layer has already, redundancy the share of
    the layer's that is forgotten later; bars are 95 % intervals over samples. Thin grey: completeness if the layer's
    interactions lay on any other subsets of their order, and everywhere the control, a probe fitted to shuffled labels:
    what is no better than these is nothing (of redundancy: no lower). Lowest, how many testing samples the probe and
    its control get right. A probe is a convex softmax regression with a fixed L2 on standardised features of samples
    that are not explained. Source: arXiv 2409.08712, Figure 3; chance, control, intervals and H of a layer are ours.
    """
    rows: Any = layer_curves
    if rows.empty:
        return theme.nothing(NOT_MEASURED, "layer", "share")
    panels = {column: title for column, title in CURVES.items() if rows[column].notna().any()}  # without G no H
    figure = Sheet(rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.04)
    every = rows[rows["orders"] == "all"]
    for row, (column, title) in enumerate(panels.items(), start=1):
        for name, (text, colour, dash, symbol) in GROUPS.items():
            some = rows[rows["orders"] == name]
            if some.empty or (column == "accuracy" and name != "all"):
                continue
            ends = {"color": colour or theme.GREY, "width": 3, "thickness": 1.2}
            if column != "accuracy":
                ends |= {"symmetric": False, "array": (some[f"{column}_high"] - some[column]).to_numpy()}
                ends |= {"arrayminus": (some[column] - some[f"{column}_low"]).to_numpy()}
            figure.add_scatter(
                x=named(some), y=some[column].to_numpy(), name=text, legendgroup=name, showlegend=row == 1, row=row,
                mode="lines+markers", line={"color": colour, "dash": dash}, error_y=ends if len(ends) > 3 else None,
                marker={"color": colour, "symbol": symbol, "size": 7},
                hovertemplate=f"%{{x}}<br>{title}, {text} %{{y:{theme.SHARE}}}<extra></extra>",
            )  # fmt: skip
        others = {f"control_{column}": ("control: shuffled labels", "dashdot")}
        others |= {"completeness_by_chance": ("by chance", "longdash")} if column == "completeness" else {}
        for other, (text, dash) in others.items():
            figure.add_scatter(
                x=named(every), y=every[other].to_numpy(), name=text, legendgroup=text, showlegend=row == 1, row=row,
                mode="lines", line={"color": theme.GREY, "dash": dash, "width": 1.5},
                hovertemplate=f"%{{x}}<br>{text} %{{y:{theme.SHARE}}}<extra></extra>",
            )  # fmt: skip
        figure.update_yaxes(title=title, tickformat=theme.SHARE, row=row, col=1)
        if column != "above_chance":
            figure.update_yaxes(range=[-0.04, 1.04], row=row, col=1)
    figure.update_xaxes(type="category")
    figure.update_xaxes(title="layer", row=len(panels), col=1)
    return figure.figure(height=640, margin={"t": 60}, legend={"y": 1.02})


def layer_maps(layer_maps: pd.DataFrame) -> go.Figure:
    """Maps of layers and epochs: completeness, redundancy[, H above chance], and how good the probes are.

    How to read: a row is a layer, the last the network itself, a column a recorded epoch; bright is much. Completeness:
    the share of the network's interactions, at that epoch, that the layer has already. Redundancy: the share of the
    layer's that is forgotten on the way. [H above chance: how far what the layer knows transfers to the baseline
    networks, beyond chance.] In brackets the same of a probe that was fitted to shuffled labels: a number no better
    than it says nothing. Last, the accuracy of the probes. Source: the maps are ours; completeness and
    redundancy are those of arXiv 2409.08712.
    """
    rows: Any = layer_maps
    if rows.empty:
        return theme.nothing(NOT_MEASURED, "epoch", "layer")
    maps = {column: words for column, words in MAPS.items() if rows[column].notna().any()}  # without G no H
    figure = Sheet(
        rows=2, cols=2, subplot_titles=[title for title, _ in maps.values()], shared_xaxes=True, shared_yaxes=True,
        vertical_spacing=0.12, horizontal_spacing=0.03,
    )  # fmt: skip
    layers = rows.drop_duplicates("layer").sort_values("layer")
    for i, (column, (title, other)) in enumerate(maps.items()):
        values, controls = (
            rows.pivot(index="layer", columns="epoch", values=name).reindex(layers["layer"]) for name in (column, other)
        )
        texts = [
            [_cell(value, control) for value, control in zip(*pair, strict=True)]
            for pair in zip(values.to_numpy(float), controls.to_numpy(float), strict=True)
        ]
        figure.add_heatmap(
            x=[str(epoch) for epoch in values.columns], y=named(layers), z=values.to_numpy(float), zmin=0, zmax=1,
            row=1 + i // 2, col=1 + i % 2, colorscale=theme.SEQUENTIAL, showscale=i == 1, text=texts,
            texttemplate="%{text}", textfont={"size": 11}, xgap=1, ygap=1,
            colorbar={"tickformat": theme.SHARE, "title": {"text": "share"}},
            hovertemplate=f"epoch %{{x}}, %{{y}}<br>{title} %{{z:{theme.SHARE}}}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category")
    for place in (1, 2):
        figure.update_xaxes(title="epoch", row=2, col=place)
        figure.update_yaxes(title="layer", row=place, col=1)
    return figure.figure(height=140 + 2 * 44 * (len(layers) + 1), margin={"t": 40})


def layers_text(layers: pd.DataFrame) -> str:
    """Returns in words where completeness first reaches one half, and where redundancy peaks, at the last epoch; ""."""
    rows: Any = layers[layers["epoch"] == layers["epoch"].max()] if len(layers) else layers
    rows = rows.iloc[:-1]  # the last one is the network
    if rows.empty:
        return ""
    half, peak = rows[rows["completeness"] >= 0.5], rows.loc[rows["redundancy"].fillna(0).idxmax()]
    where = "In no layer is half of what the network knows"
    if len(half):
        first = half.iloc[0]
        names = ("completeness", "completeness_by_chance", "control_completeness")
        share, chance, control = (f"{first[name]:.0%}" for name in names)
        where = (
            f"Half of what the network knows is first there in {_module(first['name'])} ({share}; {chance} by chance, "
        )
        where += f"{control} with shuffled labels)"
    return (
        f"At epoch {rows['epoch'].iloc[0]}: {where}. Redundancy is highest in {_module(peak['name'])} "
        f"({peak['redundancy']:.0%}; the probe there gets {peak['accuracy']:.0%} of the testing samples right)."
    )


def named(rows: Any) -> list[str]:
    """Returns what layers are called, from the column name of a table."""
    return [theme.escaped(_module(name)) for name in rows["name"]]


def _module(name: str) -> str:
    """Returns what a layer is called: modules of a sequence have a number alone."""
    return f"module {name}" if name.isdecimal() else name


def _cell(value: float, control: float) -> str:
    text = "" if pd.isna(value) else f"{value:.0%}"
    return text if pd.isna(control) else f"{text}<br>({control:.0%})"


def is_measured(ask: Ask, choice: Choice) -> bool:
    """Returns whether the run's layers are."""
    return ask(queries.nearest, epoch=0) is not None


def _explained(ask: Ask, choice: Choice) -> str:
    """Returns of how many samples the interactions of the layers are."""
    return f"n = {ask(queries.layer_samples)} explained samples"


def _at_epoch(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    at = ask(queries.nearest, epoch=c.epoch)
    return {"layers": ask(queries.layers, orders=tuple(queries.GROUPS), epoch=at)}


CHARTS = (
    Chart(
        layer_maps,
        lambda ask, c: {"layers": ask(queries.layers)},
        page="theories",
        view="Layers",
        when=is_measured,
        n=_explained,
        says_rule=True,
    ),
    Chart(
        layer_curves,
        _at_epoch,
        page="theories",
        view="Layers",
        when=is_measured,
        n=_explained,
        says=("epoch",),
        says_rule=True,
    ),
    Chart(
        layer_orders,
        lambda ask, c: {"orders": ask(queries.layer_orders, epoch=c.epoch, types=c.types)},
        page="theories",
        view="Layers",
        when=is_measured,
        n=_explained,
        says=("epoch", "types"),
        says_rule=True,
    ),
)
