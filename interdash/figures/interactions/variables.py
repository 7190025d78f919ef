"""Charts of the variables that take part in interactions: bars, a map over the input, and a network of pairs."""

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, is_labelled
from interdash.figures.choice import Choice, of_choice
from interdash.figures.inputs import drawable
from interdash.figures.sheet import Sheet
from interdash.figures.theme import GENERALIZABLE, GREY, NATS, NON_GENERALIZABLE, escaped
from interdash.formulas.bootstrap import FEW
from interdash.queries import interactions, sample
from interdash.queries.asking import Ask

NOTHING = "No variable takes part in a salient interaction, or none means the same in two samples."
SIDES = (  # column, words, sign, look
    ("generalizable", "generalizable", 1, {"color": GENERALIZABLE}),
    ("other", "non-generalizable", -1, {"color": NON_GENERALIZABLE, "pattern": theme.HATCH}),
)
WHOLE = (("strength", "no G known", 1, {"color": GREY}),)  # where there is no baseline network
LINES = {  # by whether a pair's interactions generalize more than by chance: words, colour, dash
    True: ("more than by chance", GENERALIZABLE, "solid"),
    False: ("not more than by chance", NON_GENERALIZABLE, "dash"),
    None: ("no G known", GREY, "solid"),
}
MOST_PAIRS = 60


def variable_strengths(variables: pd.DataFrame) -> go.Figure:
    """Which variables take part in [generalizable ]interactions[, and which in the others||, and how much].

    How to read: each interaction's strength is divided equally among its variables, so that the bars add up to all of
    it. [To the right, plain blue, what transfers to the baseline networks; to the left, hatched vermillion, what does
    not; the short line is the length that blue would have by chance.] Whiskers are 95 % bootstrap intervals over
    samples.
    """
    if variables.empty:
        return theme.nothing(NOTHING, "strength (nats per sample)", "variable")
    figure = Sheet()
    names = [escaped(name) for name in variables["name"]]
    few = variables["of_samples"].iloc[0] < FEW
    sides = _sides(variables)
    for column, words, sign, look in sides:
        value, low, high = (variables[f"{column}{end}"].to_numpy() for end in ("", "_low", "_high"))
        plus, minus = (high - value, value - low) if sign > 0 else (value - low, high - value)
        figure.add_bar(
            x=sign * value, y=names, orientation="h", name=words, marker=look,
            error_x=None if few else {"array": plus, "arrayminus": minus, "thickness": 1.5, "width": 3},
            hovertext=[f"{one:.3f} nats per sample, {words}" for one in value],
            hovertemplate="%{y}: %{hovertext}<extra></extra>",
        )  # fmt: skip
    if sides is SIDES:
        figure.add_scatter(
            x=variables["by_chance"].to_numpy(), y=names, mode="markers", name="by chance", hoverinfo="skip",
            marker={"symbol": "line-ns-open", "size": 12, "line": {"width": 2.5}},
        )  # fmt: skip
    figure.update_xaxes(title="strength (nats per sample)", zeroline=True)
    figure.update_yaxes(
        title="variable", type="category", categoryorder="array", categoryarray=names[::-1], tickvals=names,
        ticktext=names,
    )  # fmt: skip
    return figure.figure(height=130 + 26 * len(names), barmode="relative", margin={"r": 24})


def variable_map(variables: pd.DataFrame, sample: pd.DataFrame) -> go.Figure:
    """The same over the input: where [generalizable ]interactions lie[, and where the others do].

    How to read: each patch is coloured by its share of the strength, in nats per sample[, on one scale for both sides];
    its number is the variable's. What is empty is never masked.
    """
    if variables.empty or sample.empty:
        return theme.nothing(NOTHING, "pixels", "pixels")
    row = sample.iloc[0]
    height, width = (int(length) for length in row["shape"])
    owners = np.asarray(row["assignment"]).reshape(height, width)
    x_of, y_of = (np.flatnonzero((owners >= 0).any(axis)).tolist() for axis in (0, 1))
    across, down = (list(range(of[0], of[-1] + 1)) for of in (x_of, y_of))  # what is never masked around is cut off
    sides = _sides(variables)
    top = max(max(variables[column].tolist()) for column, *_ in sides)
    figure = Sheet(1, len(sides), subplot_titles=[words for _, words, *_ in sides], horizontal_spacing=0.06)
    notes = figure.layout.get("annotations", [])
    for col, (column, words, _, _) in enumerate(sides, start=1):
        of = dict(zip(variables["name"], variables[column], strict=True))
        values = [[of.get(str(owner)) for owner in line] for line in owners[np.ix_(down, across)].tolist()]
        figure.add_heatmap(
            row=1, col=col, x=across, y=down, z=values, zmin=0, zmax=top, colorscale=theme.SEQUENTIAL,
            hoverongaps=False, showscale=col == len(sides),
            colorbar={"title": {"text": "nats<br>a sample"}, "thickness": 12},
            hovertemplate=f"{words} %{{z:{NATS}}} nats per sample<extra></extra>",
        )  # fmt: skip
        axes = {"xref": f"x{col if col > 1 else ''}", "yref": f"y{col if col > 1 else ''}", "showarrow": False}
        for name, x, y in zip(variables["name"], variables["x"], variables["y"], strict=True):
            look = {"bgcolor": theme.BLACK, "font": {"color": theme.WHITE, "size": 12}, "borderpad": 1}
            notes.append({"x": x, "y": y, "text": f"<b>{name}</b>", **axes, **look})
        square = {"scaleanchor": f"x{col if col > 1 else ''}", "constrain": "domain"}
        figure.update_yaxes(row=1, col=col, autorange="reversed", **square)
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False, "ticks": "", "showline": False}
    figure.update_xaxes(title=f"of {width} pixels", constrain="domain", **bare)
    figure.update_yaxes(**bare)
    figure.update_yaxes(title=f"of {height} pixels", col=1)
    return figure.figure(height=320, annotations=notes, margin={"l": 40, "r": 10, "t": 30, "b": 40})


def variable_network(variables: pd.DataFrame, pairs: pd.DataFrame) -> go.Figure:
    """Which variables interact with each other[, and whether these interactions generalize].

    How to read: each node is a variable, as large as its part in all strength; patches stand where they lie in the
    image, others on a circle. A line joins two that interact, as wide as the strength of the interactions that hold
    both, divided equally among the pairs of each[; solid blue generalizes more than by chance, dashed vermillion does
    not]. The strongest sixty pairs are drawn.
    """
    if variables.empty:
        return theme.nothing(NOTHING, "x", "y")
    figure = Sheet()
    of = dict(zip(variables["name"], _places(variables), strict=True))
    drawn = pairs.loc[pairs["first"].isin(of) & pairs["second"].isin(of)].head(MOST_PAIRS)
    widest = max(drawn["strength"].tolist(), default=1.0)
    seen: set[Any] = set()
    for pair in drawn.iloc[::-1].to_dict("records"):
        general = None if math.isnan(pair["excess"]) else pair["excess"] > 0
        name, colour, dash = LINES[general]
        (x0, y0), (x1, y1) = of[pair["first"]], of[pair["second"]]
        words = f"{escaped(pair['first'])} – {escaped(pair['second'])}: {pair['strength']:.3f} nats per sample"
        words += "" if general is None else f", generalizable {pair['power']:.0%}, by chance {pair['chance']:.0%}"
        figure.add_scatter(
            x=[x0, (x0 + x1) / 2, x1], y=[y0, (y0 + y1) / 2, y1], mode="lines", hovertext=3 * [words],
            hovertemplate="%{hovertext}<extra></extra>",
            line={"color": colour, "dash": dash, "width": 1 + 9 * pair["strength"] / widest},
            opacity=0.75, name=name, legendgroup=str(general), showlegend=general not in seen,
        )  # fmt: skip
        seen.add(general)
    largest = max(variables["strength"].tolist())
    place = "pixels" if variables["x"].notna().to_numpy().all() else "a circle"
    sides = ["middle center"] * len(of) if place == "pixels" else [_outwards(x, y) for x, y in of.values()]
    smallest = 18 if place == "pixels" else 10  # a number stands in it
    figure.add_scatter(
        x=[x for x, _ in of.values()], y=[y for _, y in of.values()], mode="markers", name="variables",
        marker={"size": [smallest + 20 * value / largest for value in variables["strength"]], "color": theme.GREY},
        hovertext=[f"{escaped(name)}: {value:.3f} nats per sample"
                   for name, value in zip(of, variables["strength"], strict=True)],
        hovertemplate="%{hovertext}<extra></extra>", cliponaxis=False, showlegend=False,
    )  # fmt: skip
    far = 1.0 if place == "pixels" else 1.18  # names stand outside of the circle, clear of the next node
    figure.add_scatter(
        x=[far * x for x, _ in of.values()], y=[far * y for _, y in of.values()], mode="text", hoverinfo="skip",
        text=[f"<b>{escaped(name)}</b>" for name in of], textposition=sides, showlegend=False, cliponaxis=False,
    )  # fmt: skip
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False, "ticks": "", "showline": False}
    figure.update_xaxes(title=place, **bare)
    if place == "a circle":  # room for names beside it
        end = 1.3 + 0.08 * max(map(len, of))
        figure.update_xaxes(range=[-end, end])
    figure.update_yaxes(title=place, scaleanchor="x", autorange="reversed" if place == "pixels" else None, **bare)
    return figure.figure(height=440, margin={"l": 30, "r": 30, "t": 50, "b": 30})


def _sides(variables: pd.DataFrame) -> tuple[tuple[str, str, int, dict[str, Any]], ...]:
    """Returns what is drawn of each variable: by G, or the whole where no G is known."""
    return SIDES if variables["generalizable"].notna().to_numpy().any() else WHOLE


def _places(variables: pd.DataFrame) -> list[tuple[float, float]]:
    """Returns where the nodes stand: in the picture, or on a circle from the top."""
    if variables["x"].notna().to_numpy().all():
        return list(zip(variables["x"], variables["y"], strict=True))
    turns = [2 * math.pi * i / len(variables) for i in range(len(variables))]
    return [(math.sin(turn), math.cos(turn)) for turn in turns]


def _outwards(x: float, y: float) -> str:
    """Returns on which side of a node of a circle its name stands clear of the others."""
    if abs(x) < 0.1:
        return "top center" if y > 0 else "bottom center"
    return f"middle {'right' if x > 0 else 'left'}"


def _variables(ask: Ask, c: Choice) -> pd.DataFrame:
    return ask(interactions.variables, epoch=c.epoch, **of_choice(c))


def _pairs(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    return {"variables": _variables(ask, c), "pairs": ask(interactions.variable_pairs, epoch=c.epoch, **of_choice(c))}


def _map(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    return {"variables": _variables(ask, c), "sample": drawable(ask(sample.sample, sample=0))}


def _has_variables(ask: Ask, c: Choice) -> bool:
    return ask.kind.pattern != "order" and is_labelled(ask, c)


SAYS = ("epoch", "split", "label", "types")
CHARTS = (
    Chart(
        variable_strengths, lambda ask, c: {"variables": _variables(ask, c)}, page="interactions", view="Variables",
        when=_has_variables, says=SAYS,
    ),
    Chart(
        variable_map, _map, page="interactions", view="Map",
        when=lambda ask, c: ask.kind.rank == 2 and ask.kind.same_variables and is_labelled(ask, c), says=SAYS,
    ),
    Chart(variable_network, _pairs, page="interactions", view="Network", when=_has_variables, says=SAYS),
)  # fmt: skip
