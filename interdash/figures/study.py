"""Figures of docs/study.md."""

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.dynamics import PARTS, epoch_axis, position
from interdash.figures.sheet import Sheet

SOLVERS = {
    "certified": ("certified split", theme.GENERALIZABLE, "solid"),
    "published": ("published SGD", theme.NON_GENERALIZABLE, "dash"),
}
BOUNDARIES = {"1|2": ("circle", theme.WHITE, theme.GAP), "2|3": ("diamond", theme.GAP, theme.INK)}


def strengths(curves: pd.DataFrame) -> go.Figure:
    """H and the strengths by epoch, one column a setting, one line a seed; marked: boundaries 1|2 and 2|3.

    `curves` has case, seed, epoch, power (H), generalizable, non_generalizable (nats), boundary (or null).
    """
    cases = list(curves["case"].unique())
    figure = Sheet(
        rows=2, cols=len(cases), shared_xaxes=True, column_titles=cases, horizontal_spacing=0.035, vertical_spacing=0.05
    )
    for column, case in enumerate(cases, 1):
        for seed, rows in curves[curves["case"] == case].groupby("seed"):
            first = column == 1 and bool(seed == curves["seed"].min())
            x = [position(epoch, True) for epoch in rows["epoch"]]
            line = {"width": 1.5, "color": theme.INK}
            figure.add_scatter(
                x=x, y=rows["power"].tolist(), mode="lines", line=line, name="H", showlegend=first, row=1, col=column
            )
            for boundary, (symbol, fill, edge) in BOUNDARIES.items():
                marked = rows[rows["boundary"] == boundary]
                figure.add_scatter(
                    x=[position(epoch, True) for epoch in marked["epoch"]] or [None],  # else the legend has no entry
                    y=marked["power"].tolist() or [None],
                    mode="markers",
                    marker={"symbol": symbol, "size": 9, "color": fill, "line": {"width": 1.5, "color": edge}},
                    name=f"boundary {boundary}",
                    showlegend=first,
                    row=1,
                    col=column,
                )
            for part, (name, colour, dash) in PARTS.items():
                line = {"width": 1.5, "color": colour, "dash": dash}
                figure.add_scatter(
                    x=x, y=rows[part].tolist(), mode="lines", line=line, name=name, showlegend=first, row=2, col=column
                )
    epoch_axis(figure, curves["epoch"].tolist(), True)
    figure.update_xaxes(title="", tickfont={"size": 9})
    figure.update_xaxes(title="epoch", row=2)
    figure.update_yaxes(range=[0, 1], row=1)
    figure.update_yaxes(title="H (share)", row=1, col=1)
    figure.update_yaxes(title="strength (nats)", row=2, col=1)
    return figure.figure(width=190 * len(cases) + 80, height=460, legend={"y": 1.16}, margin={"t": 90})


def first_phase(curves: pd.DataFrame) -> go.Figure:
    """Non-generalizable strength of the first epochs under both solvers, one column a run.

    `curves` has run, solver, epoch, non_generalizable (nats).
    """
    runs = list(curves["run"].unique())
    figure = Sheet(rows=1, cols=len(runs), column_titles=runs, horizontal_spacing=0.06)
    for column, run in enumerate(runs, 1):
        for solver, (name, colour, dash) in SOLVERS.items():
            rows = curves[(curves["run"] == run) & (curves["solver"] == solver)]
            figure.add_scatter(
                x=rows["epoch"].tolist(),
                y=rows["non_generalizable"].tolist(),
                mode="lines+markers",
                name=name,
                line={"color": colour, "dash": dash},
                showlegend=column == 1,
                row=1,
                col=column,
            )
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(type="log", exponentformat="power", dtick=1)
    figure.update_yaxes(title="non-generalizable strength (nats)", row=1, col=1)
    return figure.figure(width=240 * len(runs) + 80, height=340, legend={"y": 1.22}, margin={"t": 90})
