"""Charts of information, experimental: synergy of variables in the answers beside H; what layers say of the class."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, log_axis, pinned
from interdash.figures.choice import Choice
from interdash.figures.dynamics import over_epochs, position
from interdash.figures.sheet import Sheet
from interdash.figures.theories.layers import named
from interdash.queries import dynamics
from interdash.queries import theories as queries
from interdash.queries.asking import Ask

NOT_MEASURED = "Not measured yet: `interdash measure RUN --information` does it."
SPLITS = {
    "train": ("training samples", theme.GENERALIZABLE, "solid"),
    "test": ("testing samples", theme.TESTING, "dash"),
}
AMOUNTS = {"joint": ("all variables", "solid"), "single": ("one variable", "dot"), "rest": ("all but one", "dashdot")}


def synergy(
    synergy: pd.DataFrame, phases: pd.DataFrame | None = None, *, log: bool = True, pinned: int | None = None
) -> go.Figure:
    """Synergy of the variables in the network's answers, experimental and after GIB, above the information[ and H].

    How to read: synergy is what the answer to all variables says of the class beyond what the answers to one variable
    and to all others say, mean over the variables: above 0 several are needed together, below 0 they say the same
    twice. Ribbons are 95 % intervals over samples, the grey band is the floor: the same with permuted labels. In the
    middle, the mutual information of class and answer from all variables, from one, and from all but one. Squares
    are of the testing split. [Lowest, H and its level by chance: both follow time, so that a likeness proves
    nothing.] GIB (arXiv 2509.26327) is known to us second hand; this formula, of discrete outputs with Miller and
    Madow's correction, is ours.
    """
    rows: Any = synergy
    titles = "synergy (nats)", "information (nats)", "generalizable share (H)"
    if rows.empty:
        return theme.nothing(NOT_MEASURED, "epoch", titles[0])
    power = rows.drop_duplicates("epoch").dropna(subset="generalization_power")
    heights = [0.42, 0.33, 0.25][: 3 if len(power) else 2]  # without G there is no H
    figure = Sheet(rows=len(heights), cols=1, shared_xaxes=True, vertical_spacing=0.04, row_heights=heights)
    for split, (name, colour, dash) in SPLITS.items():
        some = rows[rows["split"] == split]
        if some.empty:
            continue
        x = [position(epoch, log=log) for epoch in some["epoch"]]
        if split == "train":
            theme.band(figure, x, some["floor_low"].tolist(), some["floor_high"].tolist(), theme.GREY, 1, 1)
        theme.band(figure, x, some["synergy_low"].tolist(), some["synergy_high"].tolist(), colour, 1, 1)
        name = name.removesuffix(" samples")
        _line(figure, 1, some, "synergy", f"synergy, {name}", colour, dash, theme.NATS, log=log)
        for column, (words, style) in AMOUNTS.items():
            _line(figure, 2, some, column, f"{words}, {name}", colour, style, theme.NATS, log=log)
    if len(power):
        _line(figure, 3, power, "generalization_power", "H", None, "solid", theme.SHARE, log=log)
        _line(figure, 3, power, "chance", "H by chance", theme.GREY, "dash", theme.SHARE, log=log)
        figure.update_yaxes(tickformat=theme.SHARE, range=[0, 1.02], row=3, col=1)
    epochs = sorted(set(rows["epoch"].tolist()))
    over_epochs(figure, phases, epochs, pinned, log=log)
    for row, text in enumerate(titles[: len(heights)], start=1):
        figure.update_yaxes(title=text, row=row, col=1)
    return figure.figure(height=680, margin={"t": 96}, legend={"y": 1.04}, clickmode="event+select")


def layer_information(layer_information: pd.DataFrame) -> go.Figure:
    """Map of layers and epochs: what a probe on each layer says of the class, V-information in nats.

    How to read: a row is a layer, the last the network itself, a column a recorded epoch. V-information is the entropy
    of the labels of the testing samples less the probe's cross-entropy on them: what a linear reader gets out of the
    layer, a lower bound on what is there. Below 0 the probe, or the network, is confident and wrong. In brackets the
    probe that was fitted to shuffled labels. Source: a replacement of ours for the mutual information of GIB (arXiv
    2509.26327), which of a deterministic network is infinite or constant.
    """
    rows: Any = layer_information
    if rows.empty:
        return theme.nothing(NOT_MEASURED.replace("information`", "layers`"), "epoch", "layer")
    layers = rows.drop_duplicates("layer").sort_values("layer")
    table, control = (
        rows.pivot(index="layer", columns="epoch", values=name).reindex(layers["layer"])
        for name in ("information", "control")
    )
    texts = [
        [_cell(*pair) for pair in zip(*both, strict=True)]
        for both in zip(table.to_numpy(float), control.to_numpy(float), strict=True)
    ]
    figure = Sheet()
    figure.add_heatmap(
        x=[str(epoch) for epoch in table.columns], z=table.to_numpy(float), text=texts, texttemplate="%{text}",
        y=named(layers), zmin=0,
        zmax=float(rows["entropy"].max()), colorscale=theme.SEQUENTIAL, textfont={"size": 11}, xgap=1, ygap=1,
        colorbar={"title": {"text": "nats"}},
        hovertemplate=f"epoch %{{x}}, %{{y}}<br>V-information %{{z:{theme.NATS}}} nats<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="epoch", type="category")
    figure.update_yaxes(title="layer", type="category")
    return figure.figure(height=140 + 48 * len(layers), margin={"t": 24})


def information_text(synergy: pd.DataFrame, correlations: pd.DataFrame) -> str:
    """Returns in words where synergy is highest, and how it goes with H; "" before it is measured."""
    rows: Any = synergy[synergy["split"] == "test"]
    if rows.empty:
        return ""
    top = rows.loc[rows["synergy"].idxmax()]
    words = [
        f"Experimental. Of testing samples synergy is highest at epoch {top['epoch']}: {top['synergy']:.2f} nats "
        f"({top['synergy_low']:.2f} … {top['synergy_high']:.2f}; {top['floor']:z.2f} with permuted labels)."
    ]
    for row in correlations.to_dict("records"):
        if row["split"] == "test" and not pd.isna(row["rho"]):
            words.append(f"Spearman's ρ with H over {row['points']} epochs is {row['rho']:.2f}; both follow time.")
    return " ".join(words).replace("-", "−")


def _cell(value: float, control: float) -> str:
    text = f"{value:.2f}" if pd.isna(control) else f"{value:.2f}<br>({control:.1f})"
    return text.replace("-", "−")


def _line(
    figure: Sheet, row: int, rows: Any, column: str, name: str, colour: str | None, dash: str, form: str, *, log: bool
) -> None:
    marker = {"size": 5, "color": colour, "symbol": "square" if colour == theme.TESTING else "circle"}
    figure.add_scatter(
        x=[position(epoch, log=log) for epoch in rows["epoch"]], y=rows[column].to_numpy(), name=name, row=row,
        mode="lines+markers", line={"color": colour, "dash": dash, "width": 2}, marker=marker,
        customdata=rows["epoch"].to_numpy(), unselected={"marker": {"opacity": 1}},
        hovertemplate=f"epoch %{{customdata}}<br>{name} %{{y:{form}}}<extra></extra>",
    )  # fmt: skip


def _drawn(ask: Ask, choice: Choice) -> str:
    """Returns of how many samples of each split the answers are."""
    counts = ask(queries.information).groupby("split", sort=False)["samples"].max()
    text = " and ".join(f"{count} {SPLITS[split][0]}" for split, count in counts.items())
    return text and f"n = {text}"


def _probes(ask: Ask, choice: Choice) -> str:
    """Returns of how many samples the probes are."""
    rows = ask(queries.layers)
    return f"Probes: n = {rows['samples'].max():.0f} training samples" if len(rows) else ""


CHARTS = (
    Chart(
        synergy,
        lambda ask, c: {"synergy": ask(queries.information), "phases": ask(dynamics.phases)},
        page="theories",
        view="Information",
        options=log_axis,
        marks=pinned,
        when=lambda ask, c: not ask(queries.information).empty,
        click="epoch",
        n=_drawn,
    ),
    Chart(
        layer_information,
        lambda ask, c: {"layers": ask(queries.layer_information)},
        page="theories",
        n=_probes,
        view="Information",
        when=lambda ask, c: not ask(queries.layer_information).empty,
    ),
)
