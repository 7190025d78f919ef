"""Chart and table of the noise floor: how far the labels G depend on choices of the method."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, is_labelled
from interdash.figures.sheet import Sheet
from interdash.queries import dynamics, removal


def robustness(robustness: pd.DataFrame, epochs: pd.DataFrame | None = None, *, pinned: int | None = None) -> go.Figure:
    """Noise floor: how many labels G flip when one choice is made otherwise, and H by that choice.

    How to read: one row a choice; left the share of labels that flip, among interactions salient both ways, right H.
    Large markers with 95% bootstrap intervals over samples: the measured epoch nearest to the pinned one; small ones:
    the others. The ring is H by the run's own choices, the dashed line its chance level there. A difference in H below
    this says nothing about the network.
    """
    titles = ("labels G that flip (share)", "H (share)")
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


CHARTS = (
    Chart(
        robustness,
        lambda ask, c: {"robustness": ask(removal.robustness), "epochs": ask(dynamics.epochs)},
        page="removal",
        view="Noise floor",
        options=lambda ask, c: {"pinned": shown_epoch(ask(removal.robustness), c.epoch)},
        when=lambda ask, c: is_labelled(ask, c) and not ask(removal.robustness).empty,
        says=("epoch",),
        says_rule=True,
    ),
)
