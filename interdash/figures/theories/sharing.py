"""Charts of what networks share: by order, by epoch, and each two epochs or networks as a map."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, has_baselines, log_axis, pinned
from interdash.figures.choice import Choice
from interdash.figures.compare import are_alike, difference
from interdash.figures.dynamics import over_epochs, position
from interdash.figures.sheet import Sheet
from interdash.figures.theme import NATS, SHARE, escaped
from interdash.queries import drilldown, dynamics
from interdash.queries import sharing as queries
from interdash.queries.asking import Ask

ORDER = "order (variables in an interaction)"
NOTHING = "Two networks or epochs with interactions are needed."
SIDES = {"first": theme.OTHERS[0], "second": theme.OTHERS[1]}
GROUPS = {"every order": ("solid", 3), "orders 1 and 2": ("dash", 1.5), "order 3 and above": ("dot", 1.5)}


def shared_orders(shared_orders: pd.DataFrame, *, first: str = "first", second: str = "second") -> go.Figure:
    """Strength of each order that two networks or epochs share: the same interaction with the same sign.

    How to read: one panel a network (or epoch). The whole bar is all of its salient strength of that order, positive
    effects above the axis, negative ones below it; the dark part is shared with the other one: the same sample, type
    and variables, and the same sign. The tick on each bar is how much would be shared by chance, if the other one's
    interactions of each order and sign lay on any variables: low orders coincide by chance more often. Means over
    samples. Source: arXiv 2401.16318, Figure 4 (All±, Shared±); sign and chance are ours.
    """
    if shared_orders.empty:
        return theme.nothing(NOTHING, ORDER, "strength (nats)")
    titles = [escaped(first), escaped(second)]
    figure = Sheet(rows=1, cols=2, subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.05)
    for column, (side, colour) in enumerate(SIDES.items(), start=1):
        rows: Any = shared_orders[shared_orders["side"] == side]
        for sign in ("positive", "negative"):
            shared, every = np.asarray(rows[f"shared_{sign}"]), np.asarray(rows[sign])
            words = [f"{share:.0%} of its interactions, {chance:.0%} by chance" for share, chance in
                     zip(rows["share"], rows["chance_share"], strict=True)]  # fmt: skip
            for name, values, opacity in (("shared", shared, 1.0), ("its own", every - shared, 0.35)):
                figure.add_bar(
                    x=np.asarray(rows["size"]), y=values, name=name, showlegend=column == 1 and sign == "positive",
                    legendgroup=name, marker={"color": colour, "opacity": opacity,
                                              "pattern": None if opacity == 1 else theme.HATCH},
                    text=words, textposition="none", col=column,
                    hovertemplate=f"order %{{x}}<br>{name} %{{y:{NATS}}} nats<br>shared: %{{text}}<extra></extra>",
                )  # fmt: skip
            figure.add_scatter(
                x=np.asarray(rows["size"]), y=np.asarray(rows[f"chance_{sign}"]), name="shared by chance",
                mode="markers", showlegend=column == 1 and sign == "positive", col=column,
                marker={"symbol": "line-ew-open", "size": 16, "line": {"width": 2}},
                hovertemplate=f"order %{{x}}<br>by chance %{{y:{NATS}}} nats<extra></extra>",
            )  # fmt: skip
        figure.update_xaxes(title=ORDER, dtick=1, row=1, col=column)
    figure.update_yaxes(title="strength (nats)", row=1, col=1)
    return figure.figure(barmode="relative", height=420, margin={"t": 70}, legend={"y": 1.12})


def sharing_by_epoch(
    sharing_by_epoch: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    *,
    log: bool = True,
    pinned: int | None = None,
    second: str = "the other",
) -> go.Figure:
    """Share of the salient interactions that the target at each epoch has in common with another network or epoch.

    How to read: left, how many of the target's own interactions the other one has too, with the same sign; right, how
    many of the other's the target has by then. Thick: of every order, with its 95 % bootstrap interval over samples;
    thin: low and high orders apart. Grey dashed: the level by chance. [Bands are the three phases. Beside a baseline
    network the left side is H by number.] Source: arXiv 2401.16318 (s); sign and chance are ours.
    """
    if sharing_by_epoch.empty:
        return theme.nothing(NOTHING, "epoch", "shared (share)")
    figure = Sheet(rows=1, cols=2, horizontal_spacing=0.09)
    epochs = sharing_by_epoch["epoch"].drop_duplicates().tolist()
    for column, (side, colour) in enumerate(SIDES.items(), start=1):
        for group, (dash, width) in GROUPS.items():
            rows: Any = sharing_by_epoch[(sharing_by_epoch["side"] == side) & (sharing_by_epoch["group"] == group)]
            x = [position(epoch, log=log) for epoch in rows["epoch"]]
            look = {"x": x, "customdata": np.asarray(rows["epoch"]), "col": column, "showlegend": column == 1}
            if width > 2:
                theme.band(figure, x, rows["low"].tolist(), rows["high"].tolist(), colour, 1, column)
                figure.add_scatter(
                    y=np.asarray(rows["chance_share"]), name="by chance, every order", mode="lines",
                    line={"color": theme.GREY, "dash": "dash", "width": 1.5}, legendgroup="chance", **look,
                    hovertemplate=f"epoch %{{customdata}}<br>by chance %{{y:{SHARE}}}<extra></extra>",
                )  # fmt: skip
            figure.add_scatter(
                y=np.asarray(rows["share"]), name=group, mode="lines+markers", legendgroup=group,
                line={"color": colour, "dash": dash, "width": width}, marker={"size": 5, "color": colour}, **look,
                unselected={"marker": {"opacity": 1}}, text=[f"{value:.0%}" for value in rows["chance_share"]],
                hovertemplate=f"epoch %{{customdata}}, {group}<br>%{{y:{SHARE}}}, by chance %{{text}}<extra></extra>",
            )  # fmt: skip
    over_epochs(figure, phases, epochs, pinned, log=log)
    figure.update_yaxes(tickformat=SHARE, range=[0, 1.02])
    for column, title in enumerate(("of the target's own (share)", f"of {escaped(second)}'s (share)"), start=1):
        figure.update_yaxes(title=title, row=1, col=column)
    return figure.figure(height=420, margin={"t": 80}, legend={"y": 1.16}, clickmode="event+select")


def epoch_map(epoch_map: pd.DataFrame) -> go.Figure:
    """Map of epochs: the share of the salient interactions of one epoch that another has too, and by chance.

    How to read: a row is the epoch whose interactions are counted, a column the one that they are looked for in, with
    the same sign; bright means that most are there. Blocks along the diagonal are stretches in which the network keeps
    what it has, so that phases show. On the right the level by chance, on the same scale. At most 17 epochs and 200
    samples, evenly spread. Source: ours, with s of arXiv 2401.16318.
    """
    return _map(epoch_map, "epoch")


def network_map(network_map: pd.DataFrame) -> go.Figure:
    """Map of networks: the share of the salient interactions of one that another has too, and by chance.

    How to read: a row is the network whose interactions are counted, a column the one that they are looked for in, with
    the same sign, each at its last epoch. Two baseline networks share what their recipe finds on the same data; a
    target that overfits shares less with them than they do with one another. On the right the level by chance, on the
    same scale. Source: ours, with s of arXiv 2401.16318.
    """
    return _map(network_map, "network")


def _map(rows: Any, what: str) -> go.Figure:
    titles = f"shared with this {what}", f"interactions of this {what}"
    if len(set(rows["first"])) < 2:
        return theme.nothing(NOTHING, *titles)
    figure = Sheet(
        rows=1, cols=2, subplot_titles=["shared", "by chance"], shared_yaxes=True, horizontal_spacing=0.06
    )  # fmt: skip
    long = what == "network"  # labels, for which an axis must make room, at the price of being drawn twice
    for column, name in enumerate(("share", "chance_share"), start=1):
        table = rows.pivot(index="first", columns="second", values=name)
        if what == "network":
            order = list(dict.fromkeys(rows["first"]))
            table = table.loc[order, order]
        labels = [escaped(str(label)) for label in table.columns]
        figure.add_heatmap(
            x=labels, y=[escaped(str(label)) for label in table.index], z=table.to_numpy(), zmin=0, zmax=1, col=column,
            colorscale=theme.SEQUENTIAL, showscale=column == 2,
            colorbar={"tickformat": SHARE, "title": {"text": "share"}},
            hovertemplate=f"{what} %{{y}}, in {what} %{{x}}<br>{'shared' if column == 1 else 'by chance'} "
            f"%{{z:{SHARE}}}<extra></extra>",
        )  # fmt: skip
        figure.update_xaxes(title=titles[0], type="category", automargin=long, row=1, col=column)
    figure.update_yaxes(type="category", autorange="reversed", automargin=long)
    figure.update_yaxes(title=titles[1], row=1, col=1)
    return figure.figure(height=460, margin={"t": 60})


def runs_share(runs_share: pd.DataFrame, *, first: str = "first", second: str = "second") -> go.Figure:
    """Strength of each order that two runs share at their epochs: the same interaction with the same sign.

    How to read: run A is on the left, run B on the right. The whole bar is the salient strength of that order, positive
    effects above the axis, negative ones below it; the dark part is salient in the other run too, with the same sign;
    the tick is how much would be by chance. Means over samples.
    Source: arXiv 2401.16318, Figure 4; sign and chance are ours.
    """
    return shared_orders(runs_share, first=first, second=second)


def runs_map(runs_map: pd.DataFrame) -> go.Figure:
    """Map of the networks of two runs: the share of the interactions of one that another has too, and by chance.

    How to read: a row is the network whose interactions are counted, a column the one that they are looked for in, with
    the same sign: those of run A and the target of the other run, each at its last epoch. Source: ours, with s of
    arXiv 2401.16318.
    """
    return _map(runs_map, "network")


def sample_shared(sample_shared: pd.DataFrame, *, first: str = "first", second: str = "second") -> go.Figure:
    """Interactions of one sample that the target shares with another network or epoch, and those that one alone has.

    How to read: each point is one salient interaction, its effect in the target to the right, in the other upwards. On
    the axes lie those that one of the two has alone; what both have, with the same sign, lies in the quarters along the
    diagonal. The lists below name them. Source: arXiv 2401.16318 (shared and distinctive); the sign is ours.
    """
    return difference(sample_shared, first=first, second=second)


def partner(ask: Ask, choice: Choice) -> queries.Column | None:
    """Returns what the target is compared with: as chosen, else the first baseline network; None if there is nothing.

    Raises:
        ValueError: there is no such network or epoch.
    """
    columns = {column.name: column for column in ask(queries.columns)}
    if choice.partner and choice.partner not in columns:
        raise ValueError(
            f"{choice.partner!r} is no network or epoch of {ask.run.name}; choose one of {', '.join(columns)}"
        )
    return columns.get(choice.partner) or next(iter(columns.values()), None)


def _by_partner(question: Any, *, epoch: bool = False) -> Any:
    def rows(ask: Ask, c: Choice) -> pd.DataFrame:
        return ask(question, other=partner(ask, c), **({"epoch": c.epoch} if epoch else {}))

    return rows


def _names(ask: Ask, c: Choice) -> dict[str, Any]:
    other = partner(ask, c)
    return {"second": other.name if other else "the other"}


def _other_run(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    other = queries.Column(c.runs[0], c.runs[0], "target", c.other_epoch or 0)
    return {"shared orders": ask(queries.shared_orders, epoch=c.epoch, other=other)}


_orders = _by_partner(queries.shared_orders, epoch=True)
_epochs = _by_partner(queries.sharing_by_epoch)


def _shared(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    rows = ask(queries.sample_shared, epoch=c.epoch, sample=c.sample, other=partner(ask, c))
    return {"shared": drilldown.numbered(rows) if ask.kind.numbered else rows}


def _sides(ask: Ask, c: Choice) -> dict[str, Any]:
    return {"first": f"target, epoch {c.epoch}", **_names(ask, c)}


CHARTS = (
    Chart(sample_shared, _shared, page="sample", view="Shared", options=_sides, says=("sample", "epoch")),
    Chart(
        shared_orders,
        lambda ask, c: {"shared orders": _orders(ask, c)},
        page="theories",
        view="Sharing",
        options=_sides,
        says_rule=True,
    ),
    Chart(
        sharing_by_epoch,
        lambda ask, c: {"sharing by epoch": _epochs(ask, c), "phases": ask(dynamics.phases)},
        page="theories",
        view="Sharing",
        options=lambda ask, c: log_axis(ask, c) | _names(ask, c),
        marks=pinned,
        click="epoch",
    ),
    Chart(epoch_map, lambda ask, c: {"epochs": ask(queries.epoch_map)}, page="theories", view="Sharing"),
    Chart(
        network_map,
        lambda ask, c: {"networks": ask(queries.network_map)},
        page="theories",
        view="Sharing",
        when=has_baselines,
    ),
    Chart(
        runs_share,
        _other_run,
        page="compare",
        view="Sharing",
        options=lambda ask, c: {"first": f"A: {ask.run.name}", "second": f"B: {c.runs[0]}"},
        when=are_alike,
        says=("epochs",),
    ),
    Chart(
        runs_map,
        lambda ask, c: {"networks": ask(queries.network_map, others=c.runs)},
        page="compare",
        view="Sharing",
        when=are_alike,
    ),
)
