"""Charts of several runs side by side."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, is_labelled
from interdash.figures.choice import Choice, names_of
from interdash.figures.dynamics import epoch_axis, position
from interdash.figures.sheet import Sheet
from interdash.figures.theme import GREY, escaped
from interdash.queries import compare, drilldown
from interdash.queries.asking import Ask

PANELS = {  # curve: title with unit, number format
    "train_loss": ("training loss (nats)", theme.NATS),
    "test_loss": ("testing loss (nats)", theme.NATS),
    "gap": ("gap (nats)", theme.NATS),
    "strength": ("strength (nats)", theme.NATS),
    "generalizable": ("generalizable (nats)", theme.NATS),
    "non_generalizable": ("non-generalizable (nats)", theme.NATS),
    "generalization_power": ("generalizable share (H)", theme.SHARE),
}
UNLIKE = {  # … of runs on different data, of which a nat is not the same
    "train_loss": ("training loss (nats, other data)", theme.NATS),
    "test_loss": ("testing loss (nats, other data)", theme.NATS),
    "gap": ("gap (nats, other data)", theme.NATS),
    "strength": ("strength (of peak)", theme.SHARE),
    "generalizable": ("generalizable (of peak)", theme.SHARE),
    "non_generalizable": ("non-generalizable (of peak)", theme.SHARE),
}
ON_G = {"generalizable", "non_generalizable", "generalization_power"}
WHERE = {  # of `difference`: symbol, colour
    "first": ("triangle-right", theme.OTHERS[0]),
    "both": ("circle-open", GREY),
    "second": ("triangle-up", theme.OTHERS[1]),
}

SOLVERS = {
    "certified": ("certified split", theme.GENERALIZABLE, "solid"),
    "published": ("published SGD", theme.NON_GENERALIZABLE, "dash"),
}
BOUNDARIES = {"1|2": ("circle", theme.WHITE, theme.GAP), "2|3": ("circle", theme.GAP, theme.INK)}
_YES_NO = {True: "yes", False: "no"}


def curves(curves: pd.DataFrame, *, by: str = "epoch", log: bool = True, unlike: bool = False) -> go.Figure:
    """Losses[, strengths and H|| and strengths] of several runs, overlaid.

    How to read: one colour and dash a run, the same in all panels; ribbons are 95% bootstrap intervals over samples[;
    thin below H: its chance level]. Aligned by phase, every run starts at the untrained network, and the beginnings of
    phases 2 and 3 and the last epoch lie over each other, so that fast and slow runs compare; phases that meet at a
    boundary which was not found have no place, and no curve. By seeds, runs that only the seed tells apart are one
    line, their mean, with ± one standard deviation over them. Of runs on different data a nat is not the same: their
    strengths are shares of the peak of their own run's total strength.

    Args:
        curves: rows of `compare.curves`; for `by="phase"` with the column `position`, see `aligned` there.
        by: "epoch", "phase" or "seeds".
        log: whether the axis of epochs is logarithmic.
        unlike: whether the runs are on different data; then the rows are those of `compare.relative`.
    """
    titles = {"epoch": "epoch", "seeds": "epoch", "phase": "phases"}
    if by == "phase" and "position" in curves:
        curves = curves.loc[curves["position"].notna()]
    if curves.empty:
        return theme.nothing("There is nothing to compare yet.", titles[by], "nats")
    panels = PANELS | (UNLIKE if unlike else {})
    without = {"strength"} if "generalizable" in set(curves["curve"]) else ON_G  # the total, where no run knows G
    panels = {curve: words for curve, words in panels.items() if curve not in without}
    columns = -(-len(panels) // 2)
    figure = Sheet(rows=2, cols=columns, shared_xaxes=True, vertical_spacing=0.09, horizontal_spacing=0.09)
    runs = curves["run"].drop_duplicates().tolist()
    for panel, (curve, (title, number)) in enumerate(panels.items()):
        place: dict[str, Any] = {"row": panel // columns + 1, "col": panel % columns + 1}
        for i, run in enumerate(runs):
            rows = curves.loc[(curves["run"] == run) & (curves["curve"] == curve)]
            if rows.empty:
                continue
            x = rows["position"].tolist() if by == "phase" else [position(epoch, log=log) for epoch in rows["epoch"]]
            colour, dash = theme.OTHERS[i], theme.DASHES[i]
            if not rows["low"].isna().to_numpy().any():
                figure.add_scatter(
                    x=[*x, *x[::-1]], y=[*rows["high"], *rows["low"][::-1]], fill="toself", line={"width": 0},
                    mode="lines", fillcolor=theme.rgba(colour, 0.14), hoverinfo="skip", showlegend=False,
                    legendgroup=run, **place,
                )  # fmt: skip
            figure.add_scatter(
                x=x, y=rows["value"].to_numpy(), mode="lines", name=escaped(run), legendgroup=run,
                line={"color": colour, "dash": dash, "width": 2}, showlegend=panel == 0,
                customdata=rows["epoch"].to_numpy(),
                hovertemplate=f"{escaped(run)}, epoch %{{customdata}}<br>%{{y:{number}}}<extra></extra>", **place,
            )  # fmt: skip
            chance = curves.loc[(curves["run"] == run) & (curves["curve"] == "chance")]
            if curve == "generalization_power" and len(chance):
                x = chance["position"].tolist() if by == "phase" else [position(e, log=log) for e in chance["epoch"]]
                figure.add_scatter(
                    x=x, y=chance["value"].to_numpy(), mode="lines", name=escaped(run), legendgroup=run,
                    line={"color": colour, "dash": dash, "width": 1}, showlegend=False,
                    hovertemplate=f"{escaped(run)}, H by chance<br>%{{y:{number}}}<extra></extra>", **place,
                )  # fmt: skip
        figure.update_yaxes(title=title, rangemode="tozero", **place)
        if number == theme.SHARE:
            figure.update_yaxes(
                tickformat=number, range=[0, 1.02] if curve == "generalization_power" else None, **place
            )
    if by == "phase":
        figure.update_xaxes(tickvals=[0, 1, 2, 3], ticktext=["start", "phase 2", "phase 3", "end"], range=[-0.05, 3.05])
    else:
        epoch_axis(figure, curves["epoch"].tolist(), log=log)
    figure.update_xaxes(title="")
    title = titles["phase"] if by == "phase" else "epoch, log scale" if log else "epoch"
    figure.update_xaxes(title=title, row=2)
    return figure.figure(height=560)


def difference(difference: pd.DataFrame, *, first: str = "first", second: str = "second") -> go.Figure:
    """Interactions of one sample in two runs: what only the first has, what only the second has, what both have.

    How to read: each point is one interaction, its effect in the first run to the right, in the second upwards. On the
    horizontal axis lie those that only the first run has, on the vertical axis those that only the second has; what
    both learned alike lies on the diagonal line. Only salient interactions are drawn.
    """
    titles = f"effect in {escaped(first)} (nats)", f"effect in {escaped(second)} (nats)"
    if difference.empty:
        return theme.nothing("Neither run has a salient interaction here.", *titles)
    figure = Sheet()
    reach = 1.08 * max(*difference["effect"].abs().fillna(0), *difference["other_effect"].abs().fillna(0), 1e-12)
    figure.add_scatter(
        x=[-reach, reach], y=[-reach, reach], mode="lines", line={"color": theme.rgba(GREY, 0.7), "width": 1},
        hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    names = {"first": f"only {escaped(first)}", "both": "both", "second": f"only {escaped(second)}"}
    for where, (symbol, colour) in WHERE.items():
        rows = difference.loc[difference["where"] == where]
        if rows.empty:
            continue
        labels = [escaped(name) for name in names_of(rows)]
        figure.add_scatter(
            x=rows["effect"].fillna(0).to_numpy(), y=rows["other_effect"].fillna(0).to_numpy(), mode="markers",
            name=f"{len(rows)} {names[where]}", hovertext=labels,
            marker={"symbol": symbol, "color": colour, "size": 9, "opacity": 0.85},
            hovertemplate=f"%{{hovertext}}<br>%{{x:{theme.NATS}}} and %{{y:{theme.NATS}}} nats<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title=titles[0], range=[-reach, reach])
    figure.update_yaxes(title=titles[1], range=[-reach, reach], scaleanchor="x", constrain="domain")
    figure.update_xaxes(constrain="domain")
    return figure.figure(height=480)


def difference_by_order(
    difference_by_order: pd.DataFrame, *, first: str = "first", second: str = "second"
) -> go.Figure:
    """Strength of each order that only one of two runs has, and that both have, as means over all samples.

    How to read: upwards the first run, downwards the second. Grey is the strength of interactions that are salient in
    both (of the same sample, type and variables), coloured what only that run has: two runs that learned the same
    would be grey all over.
    """
    title = "strength (nats): A up, B down"
    if difference_by_order.empty:
        return theme.nothing("Neither run has a salient interaction here.", "order", title)
    figure = Sheet()
    rows = difference_by_order
    bars = (
        ("both_first", 1, "in both", GREY, None, True),
        ("only_first", 1, f"only {escaped(first)}", theme.OTHERS[0], None, True),
        ("both_second", -1, "in both", GREY, None, False),
        ("only_second", -1, f"only {escaped(second)}", theme.OTHERS[1], theme.HATCH, True),
    )
    for column, sign, name, colour, pattern, legend in bars:
        figure.add_bar(
            x=rows["size"].to_numpy(), y=sign * rows[column].to_numpy(), name=name, showlegend=legend,
            marker={"color": colour, "pattern": pattern}, customdata=rows[column].to_numpy(),
            hovertemplate=f"order %{{x}}<br>{name} %{{customdata:{theme.NATS}}} nats<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title="order (variables in an interaction)", dtick=1)
    figure.update_yaxes(title=title)
    return figure.figure(barmode="relative", height=480)


def finding_text(endings: pd.DataFrame) -> str:
    """Returns where H peaks as a title: "The generalizable share (H) peaks in a at 60% (25% by chance), epoch 10"."""
    known = endings.dropna(subset=["peak_power"])
    chances = ["" if pd.isna(chance) else f" ({chance:.0%} by chance)" for chance in known["chance"]]
    columns = (known[name] for name in ("run", "peak_power", "peak_epoch"))
    peaks = [
        f"{run} at {peak:.0%}{chance}, epoch {epoch:.0f}"
        for run, peak, epoch, chance in zip(*columns, chances, strict=True)
    ]
    return f"The generalizable share (H) peaks in {'; in '.join(peaks)}" if peaks else "Losses by epoch"


def ends_listed(endings: pd.DataFrame) -> pd.DataFrame:
    """Returns rows of `compare.endings` as a table for people; a boundary that was not found is named so."""
    numbers = {"train_loss": "training loss (nats)", "test_loss": "testing loss (nats)", "gap": "gap (nats)"}
    numbers |= {"peak_power": "peak of H (share)"}
    boundaries = {"boundary_12": "phase 2 from", "boundary_23": "phase 3 from"}
    return pd.DataFrame(
        {"run": endings["run"], "last epoch": endings["last_epoch"]}
        | {name: endings[column].round(3) for column, name in numbers.items()}
        | {"at epoch": endings["peak_epoch"]}
        | {"by chance": endings["chance"].round(3), "above chance": endings["above_chance"].round(3)}
        | {
            name: ["not found" if pd.isna(epoch) else f"epoch {epoch:g}" for epoch in endings[column]]
            for column, name in boundaries.items()
        }
    )


def listed(difference: pd.DataFrame, side: str) -> pd.DataFrame:
    """Returns the interactions of one side as a list for people: only "first" or "second" has them, or "both"."""
    effect, generalizes = ("other_effect", "other_generalizes") if side == "second" else ("effect", "generalizes")
    listed = {
        "type": difference["type"].str.upper(),
        "variables": difference["names"],
        "order": difference["size"],
        "effect (nats)": difference[effect].round(3),
    }
    if side == "both":
        same = difference["effect"] * difference["other_effect"] > 0
        listed |= {
            "in the other (nats)": difference["other_effect"].round(3),
            "same sign": [_YES_NO[each] for each in same],
        }
    return pd.DataFrame(
        listed | {"generalizes": [_YES_NO.get(g, "unknown") for g in difference[generalizes].astype(object)]}
    )


def learned(curves: pd.DataFrame) -> go.Figure:
    """κ of what is learned by epoch, one column a setting, one line a seed; boundaries and lowest testing loss marked.

    `curves` has case, seed, epoch, learned (κ, share), boundary (or null) and lowest (bool).
    """
    cases = list(curves["case"].unique())
    figure = Sheet(rows=1, cols=len(cases), shared_yaxes=True, column_titles=cases, horizontal_spacing=0.015)
    for column, case in enumerate(cases, 1):
        for seed, rows in curves[curves["case"] == case].groupby("seed"):
            rows: Any = rows[rows["learned"].notna()]
            first = column == 1 and bool(seed == curves["seed"].min())
            x = [position(epoch, log=True) for epoch in rows["epoch"]]
            line = {"width": 1.5, "color": theme.INK}
            figure.add_scatter(
                x=x, y=rows["learned"].tolist(), mode="lines", line=line, name="κ of the learned", showlegend=first,
                row=1, col=column,
            )  # fmt: skip
            marks = {f"boundary {name}": (rows["boundary"] == name, *look) for name, look in BOUNDARIES.items()}
            marks["lowest testing loss"] = (rows["lowest"], "x-thin", theme.NON_GENERALIZABLE, theme.NON_GENERALIZABLE)
            for name, (where, symbol, fill, edge) in marks.items():
                figure.add_scatter(
                    x=[position(epoch, log=True) for epoch in rows.loc[where, "epoch"]]
                    or [None],  # else no legend entry
                    y=rows.loc[where, "learned"].tolist() or [None],
                    mode="markers",
                    marker={"symbol": symbol, "size": 9, "color": fill, "line": {"width": 1.5, "color": edge}},
                    name=name,
                    showlegend=first,
                    row=1,
                    col=column,
                )
    epoch_axis(figure, curves["epoch"].tolist(), log=True)
    figure.update_xaxes(title="epoch", tickfont={"size": 9})
    figure.update_yaxes(title="κ of what is learned (share)", row=1, col=1)
    return figure.figure(width=150 * len(cases) + 80, height=330, legend={"y": 1.24}, margin={"t": 90})


def strengths(curves: pd.DataFrame) -> go.Figure:
    """H with its level by chance, and the strengths, by epoch; one column a setting, one line a seed.

    `curves` has case, seed, epoch, power (H), chance, generalizable, non_generalizable (nats).
    """
    cases = list(curves["case"].unique())
    figure = Sheet(
        rows=2, cols=len(cases), shared_xaxes=True, column_titles=cases, horizontal_spacing=0.035, vertical_spacing=0.05
    )
    lines = {"power": (1, "H", theme.INK, "solid"), "chance": (1, "H by chance", theme.INK, "dot")}
    lines |= {part: (2, *look) for part, look in theme.PARTS.items()}
    for column, case in enumerate(cases, 1):
        for seed, rows in curves[curves["case"] == case].groupby("seed"):
            first = column == 1 and bool(seed == curves["seed"].min())
            x = [position(epoch, log=True) for epoch in rows["epoch"]]
            for part, (row, name, colour, dash) in lines.items():
                line = {"width": 1.5, "color": colour, "dash": dash}
                figure.add_scatter(
                    x=x, y=rows[part].tolist(), mode="lines", line=line, name=name, showlegend=first, row=row,
                    col=column,
                )  # fmt: skip
    epoch_axis(figure, curves["epoch"].tolist(), log=True)
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


def _curves(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    runs = [ask.run.name, *c.runs]
    rows = ask.about(compare.curves, runs, split=c.split)
    if is_unlike(ask, c):
        rows = compare.relative(rows)
    if c.by == "seeds":
        rows = compare.over_seeds(rows, ask.about(compare.seed_groups, runs))
    if c.by == "phase":
        rows = compare.aligned(rows, ask.about(compare.phases_of, runs))
    return {"curves": rows}


def is_unlike(ask: Ask, c: Choice) -> bool:
    """Returns whether the runs are on different data, so that their nats do not compare."""
    return len({*ask.about(compare.data_of, [ask.run.name, *c.runs]).values()}) > 1


def without_phases(ask: Ask, c: Choice) -> list[str]:
    """Returns the runs that cannot be aligned by phase, if that is chosen: no boundary was found."""
    return compare.without_phases(_curves(ask, c)["curves"]) if c.by == "phase" else []


def _difference(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    rows = ask(compare.difference, **_sides(c), sample=c.sample)
    return {"difference": drilldown.numbered(rows) if ask.kind.numbered else rows}


def _sides(c: Choice) -> dict[str, Any]:
    return {"epoch": c.epoch, "other": c.runs[0], "other_epoch": c.other_epoch}


def _titles(ask: Ask, c: Choice) -> dict[str, Any]:
    return {"first": f"A: {ask.run.name}", "second": f"B: {c.runs[0]}"}


def are_alike(ask: Ask, c: Choice) -> bool:
    """Returns whether one other run is chosen that explains the same samples."""
    return len(c.runs) == 1 and is_labelled(ask, c) and ask(compare.same_samples, other=c.runs[0])


CHARTS = (
    Chart(
        curves,
        _curves,
        page="compare",
        options=lambda ask, c: {"by": c.by, "log": c.log and c.by != "phase", "unlike": is_unlike(ask, c)},
        when=lambda ask, c: bool(c.runs) and is_labelled(ask, c),
        says=("split",),
    ),
    Chart(difference, _difference, page="compare", options=_titles, when=are_alike, says=("sample", "epochs")),
    Chart(
        difference_by_order,
        lambda ask, c: {"difference by order": ask(compare.difference_by_order, **_sides(c))},
        page="compare",
        options=_titles,
        when=are_alike,
        says=("epochs",),
    ),
)
