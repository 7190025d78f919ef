"""Measures of a network and of its interactions over the epochs."""

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart
from interdash.figures.dynamics import epoch_axis, position
from interdash.figures.sheet import Sheet
from interdash.queries import dynamics

NUMBER = ".4~g"
PANEL = 210  # pixels


def measures(measures: pd.DataFrame, *, log: bool = True) -> go.Figure:
    """Measures of the network and of its interactions at every epoch, one panel a unit.

    How to read: one line a measure, those of the same unit in one panel; a measure without a unit has a panel of its
    own. Ribbons are 95% intervals: from the bootstrap over samples, or recorded with a measure.

    Args:
        measures: rows of `dynamics.measures`.
        log: whether the axis of epochs is logarithmic.
    """
    if measures.empty:
        return theme.nothing("No measure is recorded yet.", "epoch", "value")
    units = measures["unit"].where(measures["unit"].fillna("") != "", measures["measure"])
    panels = units.drop_duplicates().tolist()
    figure = Sheet(rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.12 / len(panels))
    for row, unit in enumerate(panels, start=1):
        of_unit = measures.loc[units == unit]
        alone = of_unit["measure"].nunique() == 1  # then its name is at the axis
        for i, (name, rows) in enumerate(of_unit.groupby("measure", sort=False)):
            colour, dash = theme.OTHERS[i % len(theme.OTHERS)], theme.DASHES[i % len(theme.DASHES)]
            words = theme.escaped(str(name).replace("_", " "))
            known = rows.dropna(subset=["low", "high"])
            if len(known):
                x = [position(epoch, log=log) for epoch in known["epoch"]]
                theme.band(figure, x, known["low"].tolist(), known["high"].tolist(), colour, row, 1)
            figure.add_scatter(
                x=[position(epoch, log=log) for epoch in rows["epoch"]], y=rows["value"].to_numpy(), name=words,
                mode="lines+markers", line={"color": colour, "dash": dash, "width": 2}, marker={"size": 5},
                customdata=rows["epoch"].to_numpy(), row=row, showlegend=not alone,
                hovertemplate=f"epoch %{{customdata}}<br>{words} %{{y:{NUMBER}}}<extra></extra>",
            )  # fmt: skip
        name = str(of_unit["measure"].iloc[0])
        title = f"{name} ({unit})" if alone and name != unit else str(unit)
        figure.update_yaxes(title=theme.escaped(title.replace("_", " ")), row=row, col=1)
    epoch_axis(figure, measures["epoch"].tolist(), log=log)
    return figure.figure(height=PANEL * len(panels) + 90, margin={"t": 60}, clickmode="event+select")


CHARTS = (
    Chart(
        measures,
        lambda ask, c: {"measures": ask(dynamics.measures)},
        page="dynamics",
        view="Measures",
        options=lambda ask, c: {"log": c.log},
        when=lambda ask, c: not ask(dynamics.measures).empty,
    ),
)
