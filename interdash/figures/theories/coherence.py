"""Charts of gradient coherence over the epochs, of what the testing samples gain, and of single samples."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, has_baselines, log_axis, pinned
from interdash.figures.choice import Choice
from interdash.figures.dynamics import over_epochs, position
from interdash.figures.sheet import Sheet
from interdash.queries import coherence as queries
from interdash.queries import dynamics
from interdash.queries.asking import Ask

NUMBER = ".3~g"
NOT_MEASURED = "Not measured yet: `interdash measure RUN --coherence` does it."
PARTS = {  # part: name, colour, dash, width
    "": ("all training samples", None, "solid", 3),
    "clean": ("clean labels", theme.GENERALIZABLE, "dash", 2),
    "noisy": ("noisy labels", theme.NON_GENERALIZABLE, "dot", 2),
}
BETWEEN = {
    "clean to noisy": ("steps on clean, loss of noisy labels", theme.SKY, "dash", 1.5),
    "noisy to clean": ("steps on noisy, loss of clean labels", theme.ORANGE, "dot", 1.5),
}
PANELS = {
    "m_coherence": "m-coherence (samples)",
    "cosine": "mean cosine",
    "squares": "mean ‖g‖² (nats²)",
    "contributing": "contributing samples",
}
KINDS = {  # kind of explained sample: colour, symbol
    "training, clean label": (theme.GENERALIZABLE, "circle"),
    "training, noisy label": (theme.NON_GENERALIZABLE, "x"),
    "training": (theme.GENERALIZABLE, "circle"),
    "testing": (theme.TESTING, "square-open"),
}
LOWEST = 0.1  # m-coherence on a log axis; below it an interval is cut off


def coherence(
    coherence: pd.DataFrame, phases: pd.DataFrame | None = None, *, log: bool = True, pinned: int | None = None
) -> go.Figure:
    """How many training samples a small step along the gradient of one of them helps: m-coherence by epoch.

    How to read: m-coherence is ‖Σg‖² / Σ‖g‖² over the gradients g of m training samples: m where all are equal, 1 where
    they have nothing in common (both dotted). Thin grey lines are single layers; dashed and dotted are the clean and
    the noisy labels alone, where the run has noise. Few samples of large gradient can rule it; the mean cosine of two
    samples' gradients, below, weighs all alike. Fitted samples have no gradient, so that coherence falls at the end
    without memorising: hence the mean of ‖g‖² and, lowest, how many samples of equal gradient would weigh as much.
    Ribbons are 95 % intervals for the whole training split; there is none where all of it is looked at. [Bands are the
    three phases.] Sources: arXiv 2008.01217 (its definition) and 1901.09491 (cosine), both through third-party notes;
    contributing samples are ours.
    """
    if coherence.empty:
        return theme.nothing(NOT_MEASURED, "epoch", PANELS["m_coherence"])
    panels = [measure for measure in PANELS if measure in set(coherence["measure"])]
    heights = [2, *[1] * (len(panels) - 1)]
    figure = Sheet(rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.035, row_heights=heights)
    layers = coherence[(coherence["measure"] == "m_coherence") & (coherence["layer"] > 0)]
    for name, rows in layers.groupby("part", sort=False):
        _line(figure, 1, rows, str(name), (str(name), theme.GREY, "solid", 1), log=log)
    for row, measure in enumerate(panels, start=1):
        for part, look in PARTS.items():
            rows = coherence[(coherence["measure"] == measure) & (coherence["part"] == part)]
            if len(rows):
                _line(figure, row, rows, part, look, log=log, named=row == 1)
        scale = {} if measure == "cosine" else {"type": "log", "dtick": 1}
        figure.update_yaxes(title=PANELS[measure], row=row, col=1, **scale)
    most = coherence.loc[coherence["measure"] == "samples", "value"].max()
    epochs = sorted({*coherence["epoch"].tolist()})
    for level, text in ((1, "1: nothing in common"), (most, f"m = {most:.0f}: all equal")):
        ends = [position(epochs[0], log=log), position(epochs[-1], log=log)]
        figure.add_scatter(
            x=ends, y=[level, level], mode="lines", line={"width": 1, "dash": "dot", "color": theme.GREY}, name=text,
            showlegend=False, hovertemplate=f"{text}<extra></extra>",
        )  # fmt: skip
    return _finished(figure, phases, epochs, pinned, len(panels), 720, log=log)


def transfer(
    coherence: pd.DataFrame,
    epochs: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    *,
    log: bool = True,
    pinned: int | None = None,
) -> go.Figure:
    """What the testing samples gain from a small gradient step, for each nat of training loss: the transfer ratio.

    How to read: the ratio is ḡ_te · ḡ / ‖ḡ‖², with ḡ the mean gradient of the training split and ḡ_te that of testing
    samples. At 1 the testing loss falls as fast as the training loss; below 0, and exactly there, a small step along
    the gradient raises the testing loss. Dashed and dotted are steps on clean and on noisy labels alone; thinner, what
    such a step does to the loss of the other labels. Ribbons are 95 % intervals. Below it the losses: with small
    gradient steps the gap would widen where the ratio is below 1; the steps of an optimiser are longer and go
    elsewhere, so that the two can part. Source: ours.
    """
    rows = coherence[coherence["measure"] == "transfer"]
    if rows.empty:
        return theme.nothing(NOT_MEASURED, "epoch", "transfer (nats a nat)")
    figure = Sheet(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.6, 0.4])
    for part, look in (PARTS | BETWEEN).items():
        some = rows[rows["part"] == part]
        if len(some):
            _line(figure, 1, some, part, look, log=log)
    for column, (name, colour, dash) in {
        "gap": ("gap: testing − training loss", theme.GAP, "dot"),
        "test_loss": ("testing loss", theme.TESTING, "dash"),
    }.items():
        some = epochs.dropna(subset=[column])
        figure.add_scatter(
            x=[position(epoch, log=log) for epoch in some["epoch"]], y=some[column].to_numpy(), name=name, mode="lines",
            line={"color": colour, "dash": dash, "width": 2}, customdata=some["epoch"].to_numpy(), row=2,
            hovertemplate=f"epoch %{{customdata}}<br>{name} %{{y:{NUMBER}}} nats<extra></extra>",
        )  # fmt: skip
    for level in (0, 1):
        figure.add_shape(
            type="line", xref="x domain", x0=0, x1=1, yref="y", y0=level, y1=level,
            line={"width": 1, "dash": "dot", "color": theme.GREY},
        )  # fmt: skip
    figure.update_yaxes(title="transfer (nats a nat)", row=1, col=1)
    figure.update_yaxes(title="loss (nats)", row=2, col=1)
    every = sorted({*rows["epoch"].tolist(), *epochs["epoch"].tolist()})
    return _finished(figure, phases, every, pinned, 2, 520, log=log)


def coherence_and_share(samples: pd.DataFrame, correlations: pd.DataFrame | None = None) -> go.Figure:
    """Each explained sample at one epoch: its gradient's coherence against its non-generalizable share.

    How to read: one point a sample. To the right, its gradient points where those of the training samples point (mean
    cosine with them, itself left out); to the left of 0 it points against them. Higher up, more of its salient strength
    does not transfer to the baseline network. Crosses are samples trained with a noisy label, where it is known. Above,
    the rank correlation (Spearman) within each split and its 95 % interval. Source: ours; it joins the two theories.
    """
    titles = "coherence (mean cosine)", "non-generalizable share"
    if samples.empty:
        return theme.nothing(NOT_MEASURED, *titles)
    figure = Sheet()
    for kind, (colour, symbol) in KINDS.items():
        rows: Any = samples[samples["kind"] == kind]
        if len(rows):
            figure.add_scatter(
                x=rows["coherence"].to_numpy(), y=rows["share"].to_numpy(), name=kind, mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 9, "opacity": 0.8},
                text=[f"sample {row['sample']}, {theme.escaped(str(row['label_name']))}, ‖g‖ {row['norm']:.3g} nats"
                      for row in rows.to_dict("records")],
                hovertemplate=f"%{{text}}<br>coherence %{{x:{NUMBER}}}<br>non-generalizable %{{y:.0%}}<extra></extra>",
            )  # fmt: skip
    if correlations is not None and len(correlations):
        words = [_correlation(row) for row in correlations.to_dict("records")]
        figure.add_annotation(
            text="<br>".join(words), showarrow=False, xref="paper", yref="paper", x=0, y=1, xanchor="left",
            yanchor="bottom", font={"size": 12},
        )  # fmt: skip
    figure.update_xaxes(title=titles[0])
    figure.update_yaxes(title=titles[1], tickformat=theme.SHARE, range=[-0.03, 1.03])
    return figure.figure(height=440, margin={"t": 70}, legend={"y": 1.1})


def _correlation(row: dict[Any, Any]) -> str:
    name = {"train": "training", "test": "testing"}[row["split"]]
    if pd.isna(row["rho"]):
        return f"{name}: no correlation, {row['points']} samples"
    interval = "" if pd.isna(row["low"]) else f" ({row['low']:.2f} … {row['high']:.2f})"
    return f"{name}: Spearman {row['rho']:.2f}{interval}"


def coherence_text(coherence: pd.DataFrame, phases: pd.DataFrame) -> str:
    """Returns where transfer is first clearly below 1 and below 0, and its value and ρ at the boundaries of phases."""
    rows: Any = coherence[(coherence["part"] == "") & coherence["measure"].isin(["transfer", "rho"])]
    transfer = rows[rows["measure"] == "transfer"].dropna(subset=["high"])
    words = []
    for level in (1, 0):
        under = transfer.loc[transfer["high"] < level, "epoch"]
        where = f"first at epoch {under.iloc[0]}" if len(under) else "at no recorded epoch"
        words.append(f"Transfer is below {level}, with its whole interval, {where}.")
    for boundary in phases.dropna(subset=["epoch"]).to_dict("records"):
        at = rows[rows["epoch"] == boundary["epoch"]].set_index("measure")["value"]
        if {"rho", "transfer"} <= {*at.index}:
            words.append(f"At {boundary['boundary']} ρ is {at['rho']:.2g} and transfer {at['transfer']:.2g}.")
    return " ".join(words) if len(coherence) else ""


def _line(
    figure: Sheet,
    row: int,
    rows: Any,
    part: str,
    look: tuple[str, str | None, str, float],
    *,
    log: bool,
    named: bool = True,
) -> None:
    name, colour, dash, width = look
    x = [position(epoch, log=log) for epoch in rows["epoch"]]
    ends = rows[["low", "high"]].notna().all(axis=1)
    if ends.any() and width > 1:
        low = rows.loc[ends, "low"].clip(lower=None if rows["measure"].iloc[0] in ("transfer", "cosine") else LOWEST)
        at = [each for each, known in zip(x, ends, strict=True) if known]
        theme.band(figure, at, low.tolist(), rows.loc[ends, "high"].tolist(), colour or theme.GREY, row, 1)
    figure.add_scatter(
        x=x, y=rows["value"].to_numpy(), name=theme.escaped(name), legendgroup=part, row=row,
        mode="lines+markers" if width > 1 else "lines", showlegend=named and width > 1,
        line={"color": colour, "dash": dash, "width": width}, marker={"size": 5, "color": colour},
        customdata=rows["epoch"].to_numpy(), unselected={"marker": {"opacity": 1}},
        hovertemplate=f"epoch %{{customdata}}<br>{theme.escaped(name)} %{{y:{NUMBER}}}<extra></extra>",
    )  # fmt: skip


def _finished(
    figure: Sheet,
    phases: pd.DataFrame | None,
    epochs: list[int],
    pinned: int | None,
    rows: int,
    height: int,
    *,
    log: bool,
) -> go.Figure:
    over_epochs(figure, phases, epochs, pinned, log=log)
    return figure.figure(height=height, margin={"t": 60}, legend={"y": 1.05}, clickmode="event+select")


def is_measured(ask: Ask, choice: Choice) -> bool:
    """Returns whether the run's coherence is."""
    return not ask(queries.coherence).empty


def _drawn(ask: Ask, c: Choice) -> str:
    """Returns of how many samples the gradients are."""
    rows = ask(queries.coherence)
    count = rows.loc[rows["measure"] == "samples", "value"].max()
    return f"n = {count:.0f} training samples and up to as many testing ones"


def _samples(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    names = {"samples": queries.sample_coherence, "correlations": queries.sample_correlation}
    return {name: ask(question, epoch=c.epoch) for name, question in names.items()}


BY_EPOCH: dict[str, Any] = {
    "page": "theories", "view": "Coherence", "options": log_axis, "marks": pinned, "when": is_measured,
    "click": "epoch", "n": _drawn,
}  # fmt: skip
CHARTS = (
    Chart(coherence, lambda ask, c: {"coherence": ask(queries.coherence), "phases": ask(dynamics.phases)}, **BY_EPOCH),
    Chart(
        transfer,
        lambda ask, c: {
            "coherence": ask(queries.coherence),
            "epochs": ask(dynamics.epochs),
            "phases": ask(dynamics.phases),
        },
        **BY_EPOCH,
    ),
    Chart(
        coherence_and_share, _samples, page="theories", view="Coherence", says=("epoch",), says_rule=True,
        when=lambda ask, c: is_measured(ask, c) and has_baselines(ask, c),
        n=lambda ask, c: f"n = {len(ask(queries.sample_coherence, epoch=c.epoch))} explained samples",
    ),
)  # fmt: skip
