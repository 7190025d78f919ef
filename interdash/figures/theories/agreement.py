"""Charts of where the theories of a run agree: all curves on one axis of epochs, and how far their turns lie apart."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, log_axis, pinned
from interdash.figures.dynamics import over_epochs, position
from interdash.figures.sheet import Sheet
from interdash.formulas.theories.agreement import NEAR
from interdash.queries import agreement as queries
from interdash.queries import dynamics

CURVES = {  # curve: title in two lines, name, unit, colour
    "learned": ("learned,<br>above chance", "what is learned, above chance", "", theme.GENERALIZABLE),
    "above_chance": ("H above<br>chance", "H above chance", "", theme.SKY),
    "test_loss": ("testing<br>loss", "testing loss", "nats", theme.TESTING),
    "gap": ("loss<br>gap", "gap: testing − training loss", "nats", theme.GAP),
    "sigma2": ("σ² of<br>noise", "σ² of the theory of noise", "", theme.NON_GENERALIZABLE),
    "transfer": ("transfer<br>ratio", "transfer of gradients", "nats a nat", theme.ORANGE),
    "rho": ("coherence<br>ρ", "coherence ρ of gradients", "", theme.GREY),
    "completeness": ("complete-<br>ness", "completeness of hidden layers", "", theme.GENERALIZABLE),
    "synergy": ("synergy", "synergy of testing samples", "nats", theme.TESTING),
}
ROW = 84  # pixels
SIDES = ("first", "second")


def agreement(
    curves: pd.DataFrame,
    turns: pd.DataFrame,
    phases: pd.DataFrame | None = None,
    *,
    log: bool = True,
    pinned: int | None = None,
) -> go.Figure:
    """What every theory follows in this run, on one axis of epochs, and where each puts its turns.

    How to read: each row is one curve from its lowest value (0) to its highest (1), so that only its shape counts. A
    large dot is where its theory puts a turn, the bar its 95 % interval: [where what is learned generalizes best above
    chance (1|2) and less than half as well (2|3), ]where the testing loss is lowest, the loss gap begins to rise, σ² of
    the theory of noise begins to fall, a small gradient step first raises the testing loss (transfer below 0), and
    hidden layers have most of the network's interactions (complete, of the epochs at which layers are measured). [Bands
    are the three phases.] Rows share data: [both boundaries come from the first, and ]the testing loss is in gap and
    transfer. Intervals of both losses are those of other splits as large. Scales, turns and intervals are ours.
    """
    names = [name for name in CURVES if name in set(curves["curve"])]
    if not names:
        return theme.nothing("No curve has two epochs yet.", "epoch", "curve (0 lowest, 1 highest)")
    figure = Sheet(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.12 / len(names))
    for row, name in enumerate(names, start=1):
        title, text, unit, colour = CURVES[name]
        some: Any = curves[curves["curve"] == name]
        figure.add_scatter(
            x=_at(some["epoch"], log=log), y=some["scaled"].to_numpy(), name=text, mode="lines+markers", row=row,
            line={"color": colour, "width": 2}, marker={"size": 4, "color": colour}, showlegend=False,
            customdata=some["epoch"].to_numpy(), text=[f"{value:.3g} {unit}".strip() for value in some["value"]],
            hovertemplate=f"epoch %{{customdata}}<br>{text} %{{text}}<extra></extra>",
        )  # fmt: skip
        height = dict(zip(some["epoch"], some["scaled"], strict=True))
        own: Any = turns[(turns["curve"] == name) & turns["epoch"].notna()]
        for turn in own.to_dict("records"):
            y = height[min(height, key=lambda epoch, at=turn["epoch"]: abs(epoch - at))]
            figure.add_scatter(
                x=_at([turn["low"], turn["high"]], log=log), y=[y, y], mode="lines", row=row, showlegend=False,
                line={"color": colour, "width": 7}, opacity=0.4, hoverinfo="skip", name=f"interval of {turn['turn']}",
            )  # fmt: skip
            figure.add_scatter(
                x=_at([turn["epoch"]], log=log), y=[y], mode="markers+text", row=row, showlegend=False,
                marker={"symbol": "circle", "size": 11, "color": colour}, name=turn["turn"],
                text=[turn["turn"]] if len(own) > 1 else None, customdata=[turn["epoch"]],
                textposition="bottom right" if turn["turn"] == "1|2" else "bottom left",  # under the curve, which falls
                hovertemplate=f"{turn['turn']}: epoch {_between(turn)}<br>{turn['meaning']}<extra></extra>",
            )  # fmt: skip
        figure.update_yaxes(title=title, range=[-0.12, 1.12], tickvals=[0, 1], row=row, col=1)
    epochs = sorted(set(curves["epoch"].astype(int)))
    over_epochs(figure, phases, epochs, pinned, log=log)
    return figure.figure(height=100 + ROW * len(names), margin={"l": 84, "t": 36}, clickmode="event+select")


def turn_distances(turn_distances: pd.DataFrame) -> go.Figure:
    """How many recorded epochs the turns of the theories lie apart, each two of them, beside chance.

    How to read: a row is a turn with its epoch and 95 % interval, a column the turn of that number. A cell has the
    distance of two turns in recorded epochs, with a star where their intervals meet, and in brackets how often two
    random recorded epochs lie as near: where that is small, theories agree. The bluer, the smaller. Two turns of one
    curve (1|2 and 2|3), or two that both know the testing loss, are no independent witnesses. Source: ours.
    """
    rows: Any = turn_distances
    if rows.empty:
        return theme.nothing("Fewer than two turns are found in this run.", "turn", "turn")
    names = list(dict.fromkeys(rows["first_turn"]))
    first = rows.drop_duplicates("first_turn").set_index("first_turn")
    labels = [f"{name}: {_between(first.loc[name], 'first_')}" for name in names]
    table = rows.assign(text=[_cell(row) for row in rows.to_dict("records")])
    shares, texts, apart = (
        table.pivot(index="first_turn", columns="second_turn", values=column).loc[names, names]
        for column in ("by_chance", "text", "steps")
    )
    figure = Sheet()
    places = list(range(1, len(names) + 1))
    figure.add_heatmap(
        x=places, y=places, z=shares.to_numpy(float), zmin=0, zmax=1, colorscale=[[0, theme.SKY], [1, theme.WHITE]],
        customdata=apart.to_numpy(float), showscale=False,
        hovertemplate="%{y}<br>from (%{x}): %{customdata} recorded epochs<br>as near by chance %{z:.0%}<extra></extra>",
    )  # fmt: skip
    cells = [
        (i, j, text) for i, row in enumerate(texts.fillna("").to_numpy(), 1) for j, text in enumerate(row, 1) if text
    ]
    figure.add_scatter(
        x=[j for _, j, _ in cells], y=[i for i, _, _ in cells], text=[text for *_, text in cells], mode="text",
        textposition=["middle center"] * len(cells), textfont={"color": theme.BLACK}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
    ends = [0.5, len(names) + 0.5]
    figure.update_xaxes(title="turn, by its number", tickvals=places, range=ends, showgrid=False, zeroline=False)
    figure.update_yaxes(
        title="turn: epoch (interval)", tickvals=places, autorange="reversed", showgrid=False, zeroline=False,
        ticktext=[f"({i}) {theme.escaped(label)}" for i, label in enumerate(labels, 1)],
    )  # fmt: skip
    return figure.figure(height=150 + 54 * len(names), margin={"l": 170, "t": 24})


def finding_text(distances: pd.DataFrame) -> str:
    """Returns in a sentence how many pairs of turns lie near each other, and how many would by chance; "" of none."""
    if distances.empty:
        return ""
    pairs = [distances[name].sum() / 2 for name in ("near", "near_by_chance")]  # each stands there both ways round
    return (
        f"Of {len(distances) // 2} pairs of turning points, {pairs[0]:.0f} lie within {NEAR} recorded epoch of each "
        f"other; by chance {pairs[1]:.1f} would"
    )


def details_text(turns: pd.DataFrame, distances: pd.DataFrame) -> str:
    """Returns in words what a turning point is, which lie nearest, and which are not found; "" before any."""
    if turns.empty:
        return ""
    meaning = dict(zip(turns["turn"], turns["meaning"], strict=True))
    rows = [row for row in distances.to_dict("records") if row["meet"] and row["first_turn"] < row["second_turn"]]
    said = [
        " and ".join(f"{meaning[row[f'{which}_turn']]} (epoch {row[f'{which}_epoch']:g})" for which in SIDES)
        for row in sorted(rows, key=lambda row: row["steps"])[:3]
    ]
    words = ["A turning point is the epoch at which one theory sees training change."]
    words += [f"Nearest, of those whose intervals meet: {'; '.join(said)}."] if said else []
    if missing := turns.loc[turns["epoch"].isna(), "meaning"].tolist():
        words.append(f"Not found: where {'; where '.join(missing)}.")
    if len(distances):
        words.append("In one run a few near pairs prove nothing, and some share data; Help, The study, has many runs.")
    return " ".join(words)


def _cell(row: dict[Any, Any]) -> str:
    return f"{row['steps']}{' *' if row['meet'] else ''}<br>({row['by_chance']:.0%})"


def _between(row: Any, prefix: str = "") -> str:
    epoch, low, high = (f"{row[prefix + name]:g}" for name in ("epoch", "low", "high"))
    return f"{epoch} ({low}–{high})"


def _at(epochs: Sequence[float], *, log: bool) -> list[float]:
    return [position(epoch, log=log) for epoch in epochs]


CHARTS = (
    Chart(
        agreement,
        lambda ask, c: {
            "curves": ask(queries.curves),
            "turns": ask(queries.turns),
            "phases": ask(dynamics.phases),
        },
        page="theories",
        view="Agreement",
        options=log_axis,
        marks=pinned,
        click="epoch",
        says_rule=True,
    ),
    Chart(
        turn_distances,
        lambda ask, c: {"distances": ask(queries.turn_distances)},
        page="theories",
        view="Agreement",
    ),
)
