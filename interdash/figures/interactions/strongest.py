"""Charts of patterns, interactions that samples share: the strongest of them, and one over the epochs."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, log_axis, pinned
from interdash.figures.choice import SPLITS, Choice, lit_pattern, names_of, of_choice, pattern_name, table_of
from interdash.figures.dynamics import over_epochs, position
from interdash.figures.sheet import Sheet
from interdash.figures.theme import GENERALIZABLE, GREY, NATS, NON_GENERALIZABLE, escaped
from interdash.formulas.bootstrap import FEW
from interdash.queries import dynamics, interactions
from interdash.queries.asking import Ask

PARTS = (
    ("generalizable", "generalizable", {"color": GENERALIZABLE}),
    ("other", "non-generalizable", {"color": NON_GENERALIZABLE, "pattern": theme.HATCH}),
)
WHOLE = (("strength", "no G known", {"color": GREY}),)  # where there is no baseline network
NOT_FOLLOWED = "It is salient in none of these samples, or not followed over the epochs yet (interdash extract)."
MOST_ROWS = 24  # variables of the matrix
LIST = {  # columns of `interactions.joined` and their headings
    **{"samples": "samples", "strength": "strength (nats per sample)", "effect": "mean effect", "spread": "± s.d."},
    **{"power": "generalizable (%)", "chance": "by chance (%)", "learned": "learned", "gone": "gone"},
    **{"gone_count": "gone in", "flips": "flips", "life_line": "life line", "life_share": "of (%)"},
}


def strongest_patterns(patterns: pd.DataFrame, *, chosen: str | None = None) -> go.Figure:
    """Interactions over samples, the first as sorted: how strong[, how much of it generalizes], and of which variables.

    How to read: each column is one interaction, AND (dots) or OR (triangles) of the variables marked below it. Its bar
    is the strength over all samples chosen, in nats per sample[: plain blue is the part that transfers to the baseline
    networks, hatched vermillion the part that does not; the short line is the height that blue would have by chance].
    Under the bars stands in how many samples it is salient. Click a bar to choose that interaction.
    """
    if patterns.empty:
        return theme.nothing("No interaction fits.", "interaction", "strength (nats per sample)")
    members = [each[1:-1].split(", ") if each[:1] == "{" else [each] for each in patterns["names"]]
    rows = list(dict.fromkeys(sorted((name for each in members for name in each), key=_natural)))[:MOST_ROWS]
    heights = [150, 17 * len(rows)]
    spacing = 60 / (sum(heights) + 60)
    figure = Sheet(rows=2, cols=1, shared_xaxes=True, vertical_spacing=spacing, row_heights=heights)
    names, words = keys(patterns), names_of(patterns)
    places = list(range(len(patterns)))
    known = patterns["generalizable"].notna().to_numpy().any()
    for column, name, look in PARTS if known else WHOLE:
        figure.add_bar(
            x=places, y=patterns[column].to_numpy(), name=name, marker=look, customdata=names,
            hovertext=[_hover(row) for row in patterns.to_dict("records")],
            hovertemplate="%{hovertext}<extra></extra>",
        )  # fmt: skip
    if known:
        figure.add_scatter(
            x=places, y=patterns["by_chance"].to_numpy(), mode="markers", name="generalizable by chance",
            marker={"symbol": "line-ew-open", "size": 13, "line": {"width": 2.5}}, hoverinfo="skip",
        )  # fmt: skip
    for x, top in zip(places, patterns["strength"], strict=True):
        if words[x] == chosen:
            frame = {"line": {"width": 3, "color": theme.ORANGE}, "layer": "above"}
            figure.add_shape(type="rect", xref="x", yref="y", x0=x - 0.42, x1=x + 0.42, y0=0, y1=top, **frame)
    dots = [(x, rows.index(name)) for x, each in zip(places, members, strict=True) for name in each if name in rows]
    lines: list[tuple[float | None, float | None]] = []
    for x in places:
        inside = [y for place, y in dots if place == x]
        lines += [(x, min(inside)), (x, max(inside)), (None, None)] if len(inside) > 1 else []
    figure.add_scatter(
        row=2, x=[x for x, _ in lines], y=[y for _, y in lines], mode="lines", hoverinfo="skip", showlegend=False,
        line={"color": theme.GREY, "width": 2},
    )  # fmt: skip
    for kind in ("and", "or"):
        some = [(x, y) for x, y in dots if patterns["type"].iloc[x] == kind]
        figure.add_scatter(
            row=2, x=[x for x, _ in some], y=[y for _, y in some], mode="markers", name=theme.TYPE_NAMES[kind],
            marker={"symbol": theme.SYMBOLS[kind], "size": 10, "line": {"width": 2}},
            customdata=[names[x] for x, _ in some],
            hovertext=[escaped(rows[y]) for _, y in some], hovertemplate="%{hovertext}<extra></extra>",
        )  # fmt: skip
    counts = [f"{count:g}" for count in patterns["samples"]]
    width = [-0.6, max(len(patterns), 10) - 0.4]
    figure.update_xaxes(range=width, tickvals=places, ticktext=counts, showgrid=False, zeroline=False)
    figure.update_xaxes(row=1, showticklabels=True, title=f"samples with it, of {patterns['of_samples'].iloc[0]:g}")
    figure.update_xaxes(row=2, showticklabels=False, ticks="", title="interaction")
    figure.update_yaxes(row=1, title="nats per sample")
    figure.update_yaxes(
        row=2, title="variables", tickvals=list(range(len(rows))), ticktext=[escaped(_short(name)) for name in rows],
        range=[len(rows) - 0.4, -0.6], zeroline=False,
    )  # fmt: skip
    room = {"l": 64 + 6 * max(min(max(map(len, rows), default=0), 18) - 3, 0)}
    height, legend = sum(heights) + 150, {"traceorder": "normal"}
    return figure.figure(height=height, margin=room, barmode="stack", legend=legend, clickmode="event+select")


def pattern_life(
    life: pd.DataFrame, phases: pd.DataFrame | None = None, *, log: bool = True, pinned: int | None = None
) -> go.Figure:
    """One interaction over the epochs: in how many samples it is salient, its effect[, how much of it generalizes].

    How to read: above, the share of the samples in which it is salient. Under it, its mean signed effect over these;
    between the dotted lines lie the effects of eight in ten samples. [Below, the share of its strength that transfers
    to the baseline networks, and thin the level by chance.] Ribbons are 95 % bootstrap intervals over samples where ten
    or more have it[, grey bands the three phases]. Click a point to go to its epoch.
    """
    if life.empty:
        return theme.nothing(NOT_FOLLOWED, "epoch", "share")
    heights = [0.25, 0.42, 0.33][: 3 if life["power"].notna().to_numpy().any() else 2]  # without G two
    figure = Sheet(rows=len(heights), cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=heights)
    x = [position(epoch, log=log) for epoch in life["epoch"]]
    said = [f"{some:g} of {all_:g} samples" for some, all_ in zip(life["samples"], life["of_samples"], strict=True)]
    curves: tuple[tuple[int, str, str, Any, str], ...] = (
        (1, "frequency", "salient", None, theme.SHARE),
        (2, "effect", "mean effect", None, NATS),
        (3, "power", "generalizable", GENERALIZABLE, theme.SHARE),
    )
    for row, column, name, colour, form in curves[: len(heights)]:
        known = life.dropna(subset=[f"{column}_low"])
        places = [position(epoch, log=log) for epoch in known["epoch"]]
        low, high = (known[f"{column}_{end}"].tolist() for end in ("low", "high"))
        theme.band(figure, places, low, high, colour or theme.GREY, row, 1)
        figure.add_scatter(
            row=row, x=x, y=life[column].to_numpy(), mode="lines+markers", name=name, showlegend=row > 1,
            line={"color": colour, "width": 2}, marker={"size": 5}, customdata=life["epoch"].to_numpy(), hovertext=said,
            hovertemplate=f"epoch %{{customdata}}<br>{name} %{{y:{form}}}, %{{hovertext}}<extra></extra>",
            unselected={"marker": {"opacity": 1}},
        )  # fmt: skip
    for column, dash, row, name in (
        ("tenth", "dot", 2, "eight in ten samples"),
        ("ninetieth", "dot", 2, ""),
        ("chance", "dash", 3, "by chance"),
    )[: len(heights)]:
        figure.add_scatter(
            row=row, x=x, y=life[column].to_numpy(), mode="lines", name=name, showlegend=bool(name), hoverinfo="skip",
            line={"color": theme.GREY, "dash": dash, "width": 1.5},
        )  # fmt: skip
    epochs = life["epoch"].tolist()
    over_epochs(figure, phases, epochs, pinned, log=log)
    figure.update_yaxes(row=1, title="samples", tickformat=theme.SHARE, range=[0, 1.05])
    figure.update_yaxes(row=2, title="effect (nats)")
    if len(heights) == 3:
        figure.update_yaxes(row=3, title="share", tickformat=theme.SHARE, range=[0, 1.05])
    return figure.figure(height=440, margin={"t": 60}, legend={"y": 1.03}, clickmode="event+select")


def finding_text(patterns: pd.DataFrame, epoch: int, top: int) -> str:
    """Returns what stands out among the strongest interactions at an epoch, in one or two sentences."""
    rows = patterns.loc[patterns["samples"] > 0].head(top)
    if rows.empty:
        return "No interaction of these samples fits."
    first, samples = rows.iloc[0], rows["of_samples"].iloc[0]
    name = names_of(rows.head(1))[0]
    text = f"{name} comes first at epoch {epoch}: salient in {first['samples']:g} of {samples:g} samples"
    if pd.isna(first["power"]):
        return f"{text}, {first['strength']:.3f} nats per sample."
    if samples < FEW:
        return f"{text}. {samples:g} samples are too few to say what generalizes."
    if first["samples"] >= FEW:
        text += f", {first['power']:.0%} of its strength generalizes ({first['chance']:.0%} by chance)"
    enough = rows.loc[rows["samples"] >= FEW]
    if enough.empty:
        return f"{text}. None of the first {len(rows)} is in {FEW} samples: too few to say what generalizes."
    of = f"of the first {len(rows)}, "
    if len(enough) < len(rows):
        of += f"{len(enough)} are in {FEW} samples or more; of these, "
    return f"{text}; {of}{(enough['excess'] > 0).sum()} generalize more than by chance."


def list_of_patterns(patterns: pd.DataFrame) -> pd.DataFrame:
    """Returns rows of `interactions.joined` as a list for people: columns named in words, shares in per cent."""
    rows = patterns.assign(**{name: 100 * patterns[name] for name in ("power", "chance", "life_share")})
    columns = {"interaction": names_of(patterns), "order": patterns["size"]}
    unknown = {"power", "chance"} if rows["power"].isna().to_numpy().all() else set()  # no baseline network
    return pd.DataFrame(columns | {words: rows[name] for name, words in LIST.items() if name not in unknown})


def list_of_samples(rows: pd.DataFrame, address: Callable[[int], str]) -> pd.DataFrame:
    """Returns rows of `interactions.pattern_samples` as a list for people, `address` giving the link to each sample."""
    of_each = [
        f"{address(number)}&interaction={kind}-{subset}"
        for number, kind, subset in zip(rows["sample"], rows["type"], rows["subset"], strict=True)
    ]
    votes = zip(rows["votes"], rows["baselines"], strict=True)
    table = {"sample": of_each, "effect (nats)": rows["effect"].round(3), "rank": rows["rank"]}
    table["split"] = [SPLITS[split].partition(" ")[0] for split in rows["split"]]
    table["label"] = rows["label_name"]
    if rows["votes"].notna().to_numpy().any():
        table["transfers to"] = [f"{some:g} of {count:g}" for some, count in votes]
    if rows["random"].notna().to_numpy().any():
        names = zip(rows["random"].fillna(False), rows["true_label_name"], strict=True)
        table["true label"] = [f"{name}, random" if random else "" for random, name in names]
    return pd.DataFrame(table)


def keys(patterns: pd.DataFrame) -> list[str]:
    """Returns what names a pattern in the URL: "and-37-12", as in sample 12."""
    return [f"{row['type']}-{row['subset']}-{row['sample']}" for row in patterns.to_dict("records")]


def _hover(row: Any) -> str:
    name = escaped(names_of(pd.DataFrame([row]))[0])
    of_g = "" if pd.isna(row["power"]) else f"<br>generalizable {row['power']:.0%}, by chance {row['chance']:.0%}"
    return (
        f"{name}<br>salient in {row['samples']:g} of {row['of_samples']:g} samples"
        f"<br>{row['strength']:.3f} nats per sample<br>mean effect {row['effect']:+.3f} nats{of_g}"
    )


def _natural(name: str) -> tuple[bool, float, str]:
    return (not name.isdigit(), float(name) if name.isdigit() else 0.0, name)


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"


def _strongest(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    rows = table_of(ask, c)
    rows = rows.loc[rows["samples"] > 0].head(c.top).reset_index(drop=True)
    return {"interactions": rows}


def _life(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    type, subset, sample = lit_pattern(ask, c)
    of = {name: value for name, value in of_choice(c).items() if name != "type"}
    rows = ask(interactions.pattern_life, type=type, subset=subset, sample=sample, **of)
    return {"life": rows, "phases": ask(dynamics.phases)}


CHARTS = (
    Chart(
        strongest_patterns,
        _strongest,
        page="interactions",
        marks=lambda ask, c: {"chosen": pattern_name(ask, c)},
        says=("epoch", "split", "label", "types", "where", "sort"),
        click="pattern",
        says_rule=True,
    ),
    Chart(
        pattern_life,
        _life,
        page="interactions",
        options=log_axis,
        marks=pinned,
        says=("pattern", "split", "label"),
        click="epoch",
        panels=True,
    ),
)
