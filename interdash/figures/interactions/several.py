"""Charts of several samples' interactions: two samples or epochs in one list, and many in small panels on one scale."""

import math
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart
from interdash.figures.choice import Choice, names_of, other_of
from interdash.figures.sheet import Sheet
from interdash.figures.theme import GENERALIZABLE, GREY, NATS, NON_GENERALIZABLE, escaped
from interdash.queries import drilldown, sample, vectors
from interdash.queries.asking import Ask

SIDES = {"first": 1.0, "second": 0.5}  # of two: opacity of their bars
LOOKS = {  # by G: name, marker
    True: ("generalizable", {"color": GENERALIZABLE}),
    False: ("non-generalizable", {"color": NON_GENERALIZABLE, "pattern": theme.HATCH}),
    None: ("no G known", {"color": GREY}),
}
COLUMNS, STRONGEST, LONGEST = 2, 6, 34  # of small panels: in a row, bars, characters of a name
FIRST = (0, 1, 2, 3)  # samples shown unless others are named: a column has room for them


def pair(pair: pd.DataFrame, *, first: str = "first", second: str = "second") -> go.Figure:
    """Interactions of two samples, or of two epochs of one: which one alone has, both have, or have with another sign.

    How to read: one row an interaction, two bars on one scale: strong above, pale below, as in the legend. [Plain blue
    generalizes, hatched vermillion does not; grey is not salient.||The paler grey is not salient.] After the name: of
    two epochs, born or gone by the later one, flipped (its sign changed), or stays; of two samples, whose it is.
    """
    if pair.empty:
        return theme.nothing("Neither has a salient interaction.", "effect on v (nats)", "interaction")
    names, figure = names_of(pair), Sheet()
    rows: list[dict[str, Any]] = pair.assign(name=names, key=[f"row {i}" for i in range(len(pair))]).to_dict("records")
    for side, who in {"second": second, "first": first}.items():  # bars are stacked upwards
        looks = {**LOOKS, "": ("not salient", {"color": theme.rgba(GREY, 0.6)})}
        for known, (words, marker) in looks.items():
            some = [row for row in rows if _look(row, side) == known and not math.isnan(row[side])]
            if some:
                figure.add_bar(
                    x=[row[side] for row in some], y=[row["key"] for row in some], orientation="h",
                    marker=marker, opacity=SIDES[side], offsetgroup=side, name=f"{who}: {words}",
                    hovertext=[f"{escaped(row['name'])}, {row['course']}" for row in some],
                    customdata=[f"{row['type']}-{row['subset']}" for row in some],
                    hovertemplate=f"%{{hovertext}}<br>{who} %{{x:{NATS}}} nats<extra></extra>",
                )  # fmt: skip
    keys = [row["key"] for row in rows]
    figure.update_xaxes(title="effect on v (nats)", zeroline=True)
    figure.update_yaxes(
        title="interaction", type="category", categoryorder="array", categoryarray=keys[::-1], tickvals=keys,
        ticktext=[f"{_short(one, 40)}\xa0·\xa0{_course(row, first, second)}"
                  for row, one in zip(rows, names, strict=True)],
        showgrid=False, range=[-0.6, len(keys) - 0.4],
    )  # fmt: skip
    look = {"margin": {"t": 64}, "legend": {"traceorder": "reversed", "y": 1.01}}
    return figure.figure(height=130 + 30 * len(keys), bargap=0.25, clickmode="event+select", **look)


def _course(row: dict[str, Any], first: str, second: str) -> str:
    """Returns the course of an interaction in words: that only one of two samples has it by that one's number."""
    who = {"first only": first, "second only": second}.get(row["course"], "")
    return f"only {who.partition(',')[0]}" if who else row["course"]


def _look(row: dict[str, Any], side: str) -> bool | str | None:
    return _known(row[f"{side}_generalizes"]) if row[f"{side}_salient"] else ""


def _known(generalizes: Any) -> bool | None:
    return None if pd.isna(generalizes) else bool(generalizes)


def many_samples(many: pd.DataFrame) -> go.Figure:
    """The strongest interactions of many samples, one panel a sample, all on one scale.

    How to read: to the right an interaction speaks for the label of its sample, to the left against it. [Plain blue
    generalizes, hatched vermillion does not.] Click a bar to see that sample.
    """
    titles = ("effect on v (nats)", "interaction")
    if many.empty:
        return theme.nothing("None of these samples has a salient interaction.", *titles)
    of_sample: list[tuple[Any, Any]] = list(many.groupby("sample", sort=False))
    heads = [escaped(f"sample {number}, label {rows['label_name'].iloc[0]}") for number, rows in of_sample]
    grid = -(-len(of_sample) // COLUMNS), min(COLUMNS, len(of_sample))
    figure = Sheet(*grid, subplot_titles=heads, horizontal_spacing=0.26, vertical_spacing=min(0.06, 0.3 / grid[0]))
    reach = 1.05 * max(map(abs, many["effect"].tolist()))
    shown = set()
    for i, (number, rows) in enumerate(of_sample):
        place = {"row": i // COLUMNS + 1, "col": i % COLUMNS + 1}
        records: list[dict[str, Any]] = rows.assign(name=names_of(rows)).to_dict("records")
        for known, (words, marker) in LOOKS.items():
            some = [row for row in records if _known(row["generalizes"]) is known]
            if some:
                figure.add_bar(
                    x=[row["effect"] for row in some], y=[str(row["rank"]) for row in some], orientation="h",
                    name=words, marker=marker, legendgroup=words, showlegend=words not in shown,
                    customdata=[int(number)] * len(some),
                    hovertext=[escaped(row["name"]) for row in some], **place,
                    hovertemplate=f"sample {number}, %{{hovertext}}<br>effect %{{x:{NATS}}} nats<extra></extra>",
                )  # fmt: skip
                shown.add(words)
        edge = {"showticklabels": place["row"] == grid[0] or i + COLUMNS >= len(of_sample)}
        figure.update_xaxes(**place, range=[-reach, reach], zeroline=True, **edge)
        ranks = [str(rank) for rank in range(1, STRONGEST + 1)]
        names = [_short(row["name"], LONGEST) for row in records]
        figure.update_yaxes(
            **place, type="category", categoryorder="array", categoryarray=ranks[::-1], tickvals=ranks[: len(names)],
            ticktext=names, showgrid=False, range=[-0.6, STRONGEST - 0.4], tickfont={"size": 11},
        )  # fmt: skip
        if edge["showticklabels"]:
            figure.update_xaxes(**place, title=titles[0])
        if place["col"] == 1:
            figure.update_yaxes(**place, title=titles[1])
    for head in figure.layout["annotations"]:
        head |= {"font": {"size": 13}}
    return figure.figure(
        height=110 + 140 * grid[0], bargap=0.25, clickmode="event+select", legend={"y": 1 + 0.2 / grid[0]},
        margin={"t": 76},
    )  # fmt: skip


def _short(text: str, length: int) -> str:
    return escaped(text if len(text) <= length else f"{text[: length - 2]}…}}")


def _pair(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    number, epoch = other_of(ask, c)
    first, second = (
        ask.read(vectors.all_interactions, epoch=at, sample=of) for at, of in ((c.epoch, c.sample), (epoch, number))
    )
    same = number == c.sample
    by = "variables" if same else ask.kind.pattern
    rows = drilldown.paired(first, second, top=c.top, by=by, forward=epoch > (c.epoch or 0) if same else None)
    return {"pair": drilldown.numbered(rows) if ask.kind.numbered else rows}


def _sides(ask: Ask, c: Choice) -> dict[str, str]:
    """Returns what tells the two apart: epochs, samples, or both."""
    number, epoch = other_of(ask, c)
    words = [(f"sample {of}" * (number != c.sample), f"epoch {at}" * (epoch != c.epoch))
             for of, at in ((c.sample, c.epoch), (number, epoch))]  # fmt: skip
    first, second = (", ".join(filter(None, each)) for each in words)
    return {"first": first or f"epoch {c.epoch}", "second": second or f"epoch {epoch}"}


def _many(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    rows = ask(sample.many_interactions, epoch=c.epoch, samples=c.samples or FIRST, limit=STRONGEST)
    return {"interactions": drilldown.numbered(rows) if ask.kind.numbered else rows}


OF_SAMPLES = partial(Chart, page="sample")
CHARTS = (
    OF_SAMPLES(pair, _pair, view="Pair", options=_sides, says=("sample", "epoch", "beside"), click="interaction"),
    OF_SAMPLES(many_samples, _many, view="Many samples", says=("samples", "epoch"), click="sample"),
)
