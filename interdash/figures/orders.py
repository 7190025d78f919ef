"""Charts of the distribution over orders, at one epoch, at six, and as a map over all."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log10
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart
from interdash.figures.chart import pinned as of_epoch
from interdash.figures.choice import Choice
from interdash.figures.dynamics import LOG, MARKERS, epoch_axis, phase_lines, position, strength_axis
from interdash.figures.sheet import Sheet
from interdash.figures.theme import NATS, TYPE_NAMES
from interdash.queries import dynamics
from interdash.queries.asking import Ask

ORDER = "order (variables in an interaction)"
LEAST = 0.01  # share of its epoch's strength below which an order is empty in the map
LITTLE, MOST_CELLS = "below 1 % of its epoch's strength", 5_000  # of maps in which a click chooses: more are slow


def order_strength(
    order_strength: pd.DataFrame,
    expected_orders: pd.DataFrame | None = None,
    strength: pd.DataFrame | None = None,
    *,
    pinned: int | None = None,
    scale: str = "nats",
    log: bool = True,
) -> go.Figure:
    """Strength of each order at one epoch, positive effects above the axis and negative ones below.

    How to read: one bar an order, which is the number of variables in an interaction[; plain blue transfers to the
    baseline network (generalizable), hatched vermillion does not]. Slider and play button go through all epochs; where
    they stop is the pinned one. The line on the right shows where in training the bars are. [A tick on each bar is how
    much of it would be plain blue by chance.] At epoch 0 the dotted line is the spindle that random outputs would show,
    scaled to the same total. On a log axis, which has no place for signs, lines take the place of bars.
    """
    if order_strength.empty:
        return theme.nothing("No interactions are extracted for this choice.", ORDER, _unit(scale))
    kinds = list(dict.fromkeys(order_strength["type"]))
    epochs = [int(epoch) for epoch in dict.fromkeys(order_strength["epoch"])]
    pinned = pinned if pinned in epochs else epochs[-1]
    widths = [0.64 / len(kinds)] * len(kinds) + [0.36]
    titles = [*(TYPE_NAMES[kind] for kind in kinds), "strength by epoch"]
    figure = Sheet(rows=1, cols=len(widths), column_widths=widths, subplot_titles=titles, horizontal_spacing=0.07)
    parts, groups = theme.parts(order_strength), _groups(order_strength)
    of_curves = "nats" if parts is theme.WHOLE and scale == "normalised" else scale  # of the total, every share is 1
    curves = _curves(strength, parts, kinds, of_curves, log=log)
    values = np.ones(1) if strength is None or strength.empty else strength[[*parts]].to_numpy(float)
    lowest = values[values > 0].min(initial=1.0) if scale == "log" else 0.0
    ends = [float(lowest), float(np.nanmax(values))]
    for column, kind in enumerate(kinds, start=1):
        figure.update_xaxes(title=ORDER, dtick=1, row=1, col=column)
        figure.update_yaxes(title=_unit(scale), **_span(order_strength, expected_orders, scale), row=1, col=column)
        for trace in _traces(groups, parts, expected_orders, kind, pinned, scale, first=column == 1):
            figure.add_trace(trace, row=1, col=column)
    moving = len(figure.data)
    figure.add_trace(_cursor(pinned, ends, log=log), row=1, col=len(widths))
    for curve in curves:
        figure.add_trace(curve, row=1, col=len(widths))
    epoch_axis(figure, epochs, log=log, row=1, col=len(widths))
    figure.update_yaxes(**strength_axis(of_curves), row=1, col=len(widths))
    # unchecked, and only what moves: plotly checks a trace in half a millisecond, and 200 epochs have 2,000 of them
    made = figure.figure(
        barmode="relative", height=470, margin={"t": 64, "b": 120}, legend={"y": 1.09}, **_controls(epochs, pinned)
    )
    made._frame_objs = tuple(
        go.Frame(
            name=str(epoch),
            data=[
                *(trace for kind in kinds for trace in _moving(groups, parts, expected_orders, kind, epoch, scale)),
                {"type": "scatter", "x": [position(epoch, log=log)] * 2, "y": ends},
            ],
            traces=list(range(moving + 1)),
            _validate=False,
        )
        for epoch in epochs
    )
    return made


def order_strength_row(
    order_strength: pd.DataFrame,
    expected_orders: pd.DataFrame | None = None,
    *,
    epochs: Sequence[int] = (),
    scale: str = "normalised",
) -> go.Figure:
    """Distribution over orders at chosen epochs side by side, on one scale.

    How to read: left to right is training time. Early, strength lies in middle orders without meaning (the dotted
    spindle of random outputs); then in low orders[ that generalize]; late, if the network overfits, in higher ones[
    that do not]. [A tick on each bar is how much of it would be generalizable by chance.]
    """
    rows = order_strength.loc[order_strength["epoch"].isin(list(epochs))] if len(epochs) else order_strength
    if rows.empty:
        return theme.nothing("No interactions are extracted for this choice.", "order", _unit(scale))
    kinds = list(dict.fromkeys(rows["type"]))
    shown = [int(epoch) for epoch in dict.fromkeys(rows["epoch"])]
    grid = {"shared_yaxes": True, "shared_xaxes": True, "horizontal_spacing": 0.012, "vertical_spacing": 0.08}
    titles = {"row_titles": [TYPE_NAMES[kind] for kind in kinds] if len(kinds) > 1 else None}
    titles |= {"column_titles": [f"epoch {epoch}" for epoch in shown]}
    figure = Sheet(rows=len(kinds), cols=len(shown), **grid, **titles)
    parts, groups = theme.parts(rows), _groups(rows)
    for row, kind in enumerate(kinds, start=1):
        for column, epoch in enumerate(shown, start=1):
            expected = None if epoch else expected_orders
            for trace in _traces(groups, parts, expected, kind, epoch, scale, first=row == column == 1):
                figure.add_trace(trace, row=row, col=column)
        figure.update_yaxes(title=_unit(scale), row=row, col=1)
    figure.update_xaxes(title="order", showticklabels=True, dtick=2, tick0=1)
    figure.update_yaxes(**_span(rows, expected_orders if 0 in shown else None, scale))
    return figure.figure(
        barmode="relative", height=130 + 190 * len(kinds), margin={"t": 64}, legend={"y": 1.1}, bargap=0.15
    )


def order_map(
    order_map: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    *,
    log: bool = True,
    type: str = "all",
    scale: str = "nats",
    pinned: int | None = None,
) -> go.Figure:
    """Map of order × epoch: [generalizable strength, non-generalizable strength, H, and H by chance||strength].

    How to read: bright means strong[; the first two maps share one colour scale], of nats, or, normalised, of shares of
    the epoch's strength. [In the third, bright means that most of the strength of that order generalizes; where the
    fourth, its chance level, is as bright, nothing of that order transfers beyond chance.] An empty cell has less than
    1 % of the strength of its epoch. [Dashed lines part the phases, whose numbers stand above.] The solid line is the
    pinned epoch; a click pins another.
    """
    if order_map.empty:
        return theme.nothing("No interactions are extracted for this choice.", "epoch", "order")
    number, parts = (theme.SHARE, "") if scale == "normalised" else (NATS, " nats"), theme.parts(order_map)
    columns = {part: (name, *number) for part, (name, _, _) in parts.items()}  # name, format, unit
    if not (alone := parts is theme.WHOLE):
        columns |= {"generalization_power": ("H", theme.SHARE, ""), "chance": ("H by chance", theme.SHARE, "")}
    titles = [f"{name}, {TYPE_NAMES[type]}" for name, _, _ in columns.values()]
    grid = {"shared_xaxes": True, "shared_yaxes": True, "horizontal_spacing": 0.03, "vertical_spacing": 0.1}
    figure = Sheet(rows=1 if alone else 2, cols=1 if alone else 2, subplot_titles=titles, **grid)
    epochs = [int(epoch) for epoch in dict.fromkeys(order_map["epoch"])]
    edges = _edges(epochs, log=log)
    highest = order_map[[*parts]].max().max()
    order_map = order_map.assign(**{name: order_map[name].mask(order_map["share"] < LEAST) for name in columns})
    for i, (value, (name, form, unit)) in enumerate(columns.items()):
        table = order_map.pivot(index="size", columns="epoch", values=value)
        row, share = 1 + i // 2, i >= 2
        figure.add_heatmap(
            x=edges, y=table.index.to_numpy(), z=table.to_numpy(), customdata=[epochs] * len(table), zmin=0,
            zmax=1 if share else highest, colorscale=theme.SEQUENTIAL, showscale=alone or i % 2 == 1,
            colorbar={
                "title": {"text": "H" if share else number[1].strip() or "share", "side": "top"},
                "orientation": "v", "x": 1.0, "xpad": 8, "thickness": 10, "len": 1 if alone else 0.5,
                "y": 0.5 if alone else 0.22 if share else 0.78, "tickformat": form if form == theme.SHARE else None,
            },
            hovertemplate=f"epoch %{{customdata}}, order %{{y}}<br>{name} %{{z:{form}}}{unit}<extra></extra>",
            row=row, col=1 + i % 2,
        )  # fmt: skip
    epoch_axis(figure, epochs, log=log)
    if not alone:
        figure.update_xaxes(title="", row=1)
    highest = max(order_map["size"].tolist())
    room = 0.08 * highest  # for the numbers of the phases
    phase_lines(figure, phases, epochs, highest + 0.5 + room / 2, log=log)
    if pinned is not None:
        figure.add_vline(x=position(pinned, log=log), line={"width": 1.5, "color": theme.ORANGE})
        _clickable(figure, order_map, columns, log=log)
    figure.update_xaxes(range=_range(edges, log=log), showgrid=False)
    ticks = list(range(1, highest + 1, 1 + (highest > 10)))
    figure.update_yaxes(tickvals=ticks, range=[0.5, highest + 0.5 + room], showgrid=False, title="")
    figure.update_yaxes(title="order", col=1)
    return figure.figure(height=520, margin={"t": 40, "r": 80}, clickmode="event+select", hoverdistance=-1)


def _clickable(figure: Sheet, rows: pd.DataFrame, columns: Mapping[str, tuple[str, str, str]], *, log: bool) -> None:
    """Lays an unseen point over each cell, which says what is there: a click in a heatmap itself chooses nothing."""
    if len(rows) * len(columns) > MOST_CELLS:
        return
    for map_ in figure.data:
        map_ |= {"hoverinfo": "skip", "hovertemplate": None}
    x, unseen = [position(epoch, log=log) for epoch in rows["epoch"]], {"marker": {"opacity": 0}}
    for i, (value, (name, form, unit)) in enumerate(columns.items()):
        said = (LITTLE if pd.isna(each) else f"{each:{form.replace('~', '')}}{unit}" for each in rows[value])
        places = zip(rows["epoch"], rows["size"], said, strict=True)
        figure.add_scatter(
            x=x, y=rows["size"].to_numpy(), mode="markers", selected=unseen, unselected=unseen, **unseen,
            customdata=rows["epoch"].to_numpy(), hoverinfo="text", showlegend=False, row=1 + i // 2, col=1 + i % 2,
            hovertext=[f"epoch {epoch}, order {order}<br>{name} {text}" for epoch, order, text in places],
        )  # fmt: skip


def _unit(scale: str) -> str:
    return "strength (times the mean order's)" if scale == "normalised" else "strength (nats)"


Groups = dict[tuple[str, int], dict[str, list[Any]]]  # columns by type and epoch


def _groups(rows: pd.DataFrame) -> Groups:
    rows = rows.assign(strength_positive=rows["positive"], strength_negative=rows["negative"])
    parts = theme.parts(rows)
    columns = [
        *("size", "chance_positive", "chance_negative", "by_chance"),
        *(f"{part}{sign}" for part in parts for sign in ("", "_positive", "_negative")),
    ]
    groups: Groups = {}
    for kind, epoch, *values in zip(*(rows[name].tolist() for name in ("type", "epoch", *columns)), strict=True):
        here = groups.setdefault((kind, epoch), {name: [] for name in columns})
        for name, value in zip(columns, values, strict=True):
            here[name].append(value)
    return groups


def _signs(scale: str) -> tuple[str, ...]:
    """Returns how the columns that are drawn end: a log axis has no place for signs."""
    return ("",) if scale == "log" else ("_positive", "_negative")


def _moving(
    groups: Groups, parts: Mapping[str, Any], expected: pd.DataFrame | None, kind: str, epoch: int, scale: str
) -> list[dict[str, Any]]:
    """What changes from epoch to epoch, trace by trace: parts by sign, ticks, and the spindle, if there is one."""
    here = groups.get((kind, epoch), {})
    size, shape = here.get("size", []), "scatter" if scale == "log" else "bar"
    marks = [
        {"type": shape, "x": size, "y": here.get(f"{part}{sign}", []), "meta": epoch}
        for part in parts
        for sign in _signs(scale)
    ]
    levels = ("by_chance",) if scale == "log" else ("chance_positive", "chance_negative")
    ticks = [level for name in levels for level in here.get(name, [])]
    marks.append({"type": "scatter", "x": [*size] * len(levels), "y": ticks, "meta": epoch})
    if expected is None or expected.empty:
        return marks
    spindle = expected[expected["type"] == kind] if epoch == 0 else expected.head(0)
    half, sizes = spindle["positive"].tolist(), spindle["size"].tolist()
    if scale == "log":
        return [*marks, {"type": "scatter", "x": sizes, "y": [2 * value for value in half]}]
    return [*marks, {"type": "scatter", "x": [*sizes, None, *sizes], "y": [*half, None, *spindle["negative"]]}]


def _traces(
    groups: Groups, parts: Mapping[str, Any], expected: pd.DataFrame | None, kind: str, epoch: int, scale: str, *,
    first: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """The traces of one epoch, the same ones at every epoch, as animation needs."""
    looks: list[dict[str, Any]] = [
        {
            "name": name,
            "legendgroup": part,
            "showlegend": first and sign != "_negative",
            "hovertemplate": f"epoch %{{meta}}, order %{{x}}<br>{name}{sign.replace('_', ', ')} %{{y:{NATS}}}"
            "<extra></extra>",
        }
        | (
            {"mode": "lines+markers", "line": {"color": colour, "dash": dash}}
            if scale == "log"
            else {"marker": {"color": colour, "pattern": theme.HATCH if part == "non_generalizable" else None}}
        )
        for part, (name, colour, dash) in parts.items()
        for sign in _signs(scale)
    ]
    looks.append({
        "mode": "markers", "marker": {"symbol": "line-ew-open", "size": 9, "line": {"width": 1.5}},
        "name": "generalizable by chance", "showlegend": first and parts is theme.PARTS,
        "hovertemplate": f"epoch %{{meta}}, order %{{x}}<br>by chance %{{y:{NATS}}}<extra></extra>",
    })  # fmt: skip
    looks.append({
        "mode": "lines", "line": {"dash": "dot", "width": 2}, "name": "spindle of random outputs (epoch 0)",
        "showlegend": first, "hovertemplate": f"spindle, order %{{x}}<br>%{{y:{NATS}}}<extra></extra>",
    })  # fmt: skip
    moving = _moving(groups, parts, expected, kind, epoch, scale)
    return [trace | look for trace, look in zip(moving, looks, strict=False)]


def _curves(
    strength: pd.DataFrame | None, parts: Mapping[str, Any], kinds: list[str], scale: str, *, log: bool
) -> list[dict[str, Any]]:
    if strength is None:
        return []
    curves, (form, unit) = [], (theme.SHARE, "") if scale == "normalised" else (NATS, " nats")
    for kind in kinds:
        rows = strength.loc[strength["type"] == kind]
        for part, (name, colour, dash) in parts.items():
            marker = {"symbol": theme.SYMBOLS[kind], "size": 5, "color": colour, "maxdisplayed": MARKERS}
            curves.append({
                "type": "scatter", "x": [position(epoch, log=log) for epoch in rows["epoch"]],
                "y": rows[part].to_numpy(), "customdata": rows["epoch"].to_numpy(), "mode": "lines+markers",
                "marker": marker, "line": {"color": colour, "dash": dash}, "showlegend": False,
                "hovertemplate": f"epoch %{{customdata}}<br>{name} %{{y:{form}}}{unit}<extra></extra>",
            })  # fmt: skip
    return curves


def _cursor(epoch: int, ends: list[float], *, log: bool) -> dict[str, Any]:
    x = position(epoch, log=log)
    look = {"mode": "lines", "line": {"width": 1.5}, "showlegend": False, "hoverinfo": "skip"}
    return {"type": "scatter", "x": [x, x], "y": ends, **look}


def _span(rows: pd.DataFrame, expected: pd.DataFrame | None, scale: str) -> dict[str, Any]:
    """Returns one range for the strengths of all epochs, so that they compare."""
    if scale == "log":
        values = rows[[*theme.parts(rows)]].to_numpy(float)
        values = np.log10(values[values > 0])
        return LOG | {"range": [values.min(initial=0) - 0.1, values.max(initial=-9) + 0.1]}
    high, low = rows["positive"].to_numpy().max(), rows["negative"].to_numpy().min()
    if expected is not None and not expected.empty:
        high, low = max(high, expected["positive"].to_numpy().max()), min(low, expected["negative"].to_numpy().min())
    margin = 0.05 * (high - low) or 1.0
    return {"range": [float(low - margin), float(high + margin)]}


def _controls(epochs: list[int], pinned: int) -> dict[str, Any]:
    """Returns slider and play button: they run in the browser, nothing comes from the server."""
    jump = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    play = {"fromcurrent": True, "frame": {"duration": 350, "redraw": False}, "transition": {"duration": 0}}
    steps = [{"label": str(e), "method": "animate", "args": [[str(e)], jump]} for e in epochs]
    kinds = (("▶ play", None, play), ("❚❚", [None], jump))
    buttons = [{"label": label, "method": "animate", "args": [to, how]} for label, to, how in kinds]
    slider = {
        "active": epochs.index(pinned), "steps": steps, "x": 0.12, "len": 0.88, "y": -0.2, "pad": {"t": 8, "b": 0},
        "currentvalue": {"prefix": "epoch ", "font": {"size": 14}},
    }  # fmt: skip
    menu = {"type": "buttons", "direction": "left", "showactive": False, "x": 0, "xanchor": "left", "y": -0.32}
    return {"sliders": [slider], "updatemenus": [menu | {"yanchor": "top", "buttons": buttons}]}


def _edges(epochs: list[int], *, log: bool) -> list[float]:
    """Returns where the cells of the epochs begin and end on the axis."""
    points = [position(epoch, log=log) for epoch in epochs]
    if len(points) == 1:
        return [points[0] * 0.8 if log else points[0] - 0.5, points[0] * 1.25 if log else points[0] + 0.5]
    inner = [(a * b) ** 0.5 if log else (a + b) / 2 for a, b in pairwise(points)]
    first = points[0] ** 2 / inner[0] if log else 2 * points[0] - inner[0]
    last = points[-1] ** 2 / inner[-1] if log else 2 * points[-1] - inner[-1]
    return [first, *inner, last]


def _range(edges: list[float], *, log: bool) -> list[float]:
    return [log10(edge) if log else edge for edge in (edges[0], edges[-1])]


def _scaled(c: Choice) -> dict[str, Any]:
    return {"split": c.split, "label": c.label, "types": c.types, "normalised": c.scale == "normalised"}


def _rows(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    rows = {"orders": dynamics.order_strength, "spindle": dynamics.expected_orders}
    return {name: ask(question, **_scaled(c)) for name, question in rows.items()}


CHARTS = (
    Chart(
        order_strength,
        lambda ask, c: _rows(ask, c) | {"strength": ask(dynamics.strength, **_scaled(c))},
        page="dynamics",
        view="Orders at one epoch",
        options=lambda ask, c: {"pinned": c.epoch, "scale": c.scale, "log": c.log},
        says=("epoch", "split", "label", "types"),
        slider=True,
        says_rule=True,
    ),
    Chart(
        order_strength_row,
        _rows,
        page="dynamics",
        view="Six epochs",
        options=lambda ask, c: {"epochs": list(c.epochs), "scale": c.scale},
        says=("split", "label", "types"),
        says_rule=True,
    ),
    Chart(
        order_map,
        lambda ask, c: {
            "map": ask(
                dynamics.order_map, split=c.split, label=c.label, type=c.types[0], normalised=c.scale == "normalised"
            ),
            "phases": ask(dynamics.phases),
        },
        page="dynamics",
        view="Order × epoch",
        options=lambda ask, c: {"log": c.log, "type": c.types[0], "scale": c.scale},
        marks=of_epoch,
        says=("split", "label", "types"),
        click="epoch",
        says_rule=True,
        by_type=True,
    ),
)
