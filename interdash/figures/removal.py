"""Charts of the removal experiment: losses before and after, doses, orders, samples, and the share against the gap."""

import html
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, is_labelled, log_axis, pinned
from interdash.figures.choice import Choice
from interdash.figures.dynamics import epoch_axis, position
from interdash.figures.inputs import data_uri, summary_text, true_label_text
from interdash.figures.sheet import Sheet
from interdash.formulas import correlation
from interdash.queries import removal
from interdash.queries.asking import Ask

PANELS = {"train": "training loss", "test": "testing loss", "gap": "gap: testing − training"}
NATS = theme.NATS
MOST = 1_000  # samples drawn one by one: more make a browser slow
KINDS = {  # what was removed: name, colour, dash, marker
    "non_generalizable": ("without the non-generalizable", theme.NON_GENERALIZABLE, "dash", "square"),
    "random": ("control: random, same strength", theme.GREY, "dot", "x"),
    "generalizable": ("control: generalizable", theme.GENERALIZABLE, "solid", "circle"),
}

REMOVED = {"non_generalizable": "non-generalizable", "random": "random", "generalizable": "generalizable"}


def removals(removals: pd.DataFrame, *, log: bool = True, pinned: int | None = None) -> go.Figure:
    """Loss of the explained samples at every epoch, before and after removing interactions, and of the whole split.

    How to read: if the non-generalizable interactions make the gap, removing them shrinks it more than either control
    does, which removes as much strength from each sample. Ribbon around the dashed line: 95% bootstrap over samples;
    bands of the controls: the middle 95% of 20 draws, nearly their whole range. The thin line is the loss over the
    whole split, nothing removed; the black one is that of the explained samples alone. The change, paired by sample, is
    known better: hover over a marker.
    """
    if removals.empty:
        return theme.nothing("Nothing is removed yet.", "epoch", "loss (nats)")
    figure = _panels(removals, "epoch", log=log)
    for column, split in enumerate(PANELS, 1):
        rows = _of(removals, "non_generalizable", split).dropna(subset=["whole"])
        figure.add_scatter(
            x=[position(epoch, log=log) for epoch in rows["epoch"]], y=rows["whole"].to_numpy(),
            customdata=rows["epoch"].to_numpy(), name="whole split, nothing removed", legendgroup="whole",
            showlegend=column == 1, mode="lines", line={"width": 1.5, "dash": "dashdot", "color": theme.SKY},
            hovertemplate=f"epoch %{{customdata}}<br>whole split %{{y:{NATS}}} nats<extra></extra>", row=1, col=column,
        )  # fmt: skip
    if pinned is not None:
        figure.add_vline(x=position(pinned, log=log), line={"width": 1.5}, opacity=0.7)
    epoch_axis(figure, removals["epoch"].tolist(), log=log)
    return figure.figure(height=430, clickmode="event+select")


def gap_changes(gap_changes: pd.DataFrame) -> go.Figure:
    """How the gap changes when interactions are removed: the non-generalizable ones, and both controls.

    How to read: to the left of 0 the gap shrinks. If the non-generalizable interactions make the gap, their bar is the
    longest to the left, by more than its interval. Thin lines: 95% bootstrap over samples, before and after paired; of
    a control the mean of its draws.
    """
    titles = ("change of the gap (nats)", "removed")
    if gap_changes.empty:
        return theme.nothing("The gap needs explained samples of both splits.", *titles)
    figure = Sheet()
    for row in sorted(gap_changes.to_dict("records"), key=lambda row: list(KINDS).index(row["removed"])):
        colour, name = KINDS[row["removed"]][1], REMOVED[row["removed"]]
        hatch = theme.HATCH if row["removed"] == "non_generalizable" else None
        figure.add_bar(
            x=[row["change"]], y=[name], orientation="h", marker={"color": colour, "pattern": hatch}, showlegend=False,
            hovertemplate=f"{name}<br>{removal.change_text(row)} nats<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=[row["change_low"], row["change_high"]], y=[name, name], mode="lines+markers", hoverinfo="skip",
            marker={"symbol": "line-ns-open", "size": 10}, line={"width": 1.5}, showlegend=False,
        )  # fmt: skip
    figure.add_vline(x=0, line={"width": 1})
    figure.update_xaxes(title=titles[0])
    names = list(REMOVED.values())
    named = {"categoryarray": names[::-1], "categoryorder": "array", "tickvals": names, "ticktext": names}
    figure.update_yaxes(title=titles[1], type="category", **named)
    return figure.figure(height=200, bargap=0.35, margin={"t": 12})


def removal_doses(removal_doses: pd.DataFrame) -> go.Figure:
    """Loss at one epoch by dose, a share of the non-generalizable strength: the strongest go first.

    How to read: at 0% nothing is removed, at 100% every non-generalizable interaction of the chosen orders is gone
    from every sample. The controls lose the same strength at each dose; the generalizable ones level off where a
    sample has no more of them. Ribbon around the dashed line: 95% bootstrap over samples; bands of the controls: the
    middle 95% of 20 draws.
    """
    if removal_doses.empty:
        return theme.nothing("Nothing is removed yet.", "dose (%)", "loss (nats)")
    figure = _panels(removal_doses, "dose")
    figure.update_xaxes(title="dose (%)")
    return figure.figure(height=400)


def removal_orders(removal_orders: pd.DataFrame) -> go.Figure:
    """Loss at one epoch when only interactions of some order and above are removed.

    How to read: at 1 interactions of every order are removed, further right only the complex ones. Where the dashed
    line meets the solid one, the orders from there on no longer matter to the loss. Ribbon around the dashed line: 95%
    bootstrap over samples; bands of the controls: the middle 95% of 20 draws.
    """
    if removal_orders.empty:
        return theme.nothing("Nothing is removed yet.", "lowest order removed", "loss (nats)")
    figure = _panels(removal_orders, "min_order")
    every = 1 if max(removal_orders["min_order"].tolist()) <= 10 else 2
    figure.update_xaxes(title="lowest order removed", tick0=1, dtick=every)
    return figure.figure(height=400)


def _of(rows: pd.DataFrame, kind: str, split: str) -> Any:
    return rows[(rows["removed"] == kind) & (rows["split"] == split)]


def _panels(rows: pd.DataFrame, by: str, *, log: bool = False) -> Sheet:
    """Returns three panels (training, testing, gap) with before, after and both controls along a column."""
    figure = Sheet(rows=1, cols=3, subplot_titles=list(PANELS.values()), horizontal_spacing=0.06)
    words = {"min_order": "lowest order"}.get(by, by)
    for column, split in enumerate(PANELS, 1):
        for kind, (name, colour, dash, symbol) in KINDS.items():
            some = _of(rows, kind, split).dropna(subset=["after"])
            low, high = ("after_low", "after_high") if kind == "non_generalizable" else ("draws_low", "draws_high")
            x = [position(value, log=log) for value in some[by]]
            _ribbon(figure, column, x, some[low], some[high], colour)
            figure.add_scatter(
                x=x, y=some["after"].to_numpy(), customdata=some[by].to_numpy(),
                text=[f"{removal.change_text(row)} nats" for row in some.to_dict("records")],
                name=name, legendgroup=kind,
                showlegend=column == 1, mode="lines+markers", line={"color": colour, "dash": dash, "width": 2},
                marker={"symbol": symbol, "size": 6, "color": colour}, unselected={"marker": {"opacity": 1}},
                hovertemplate=f"{words} %{{customdata}}<br>{name} %{{y:{NATS}}} nats<br>change %{{text}}"
                "<extra></extra>",
                row=1, col=column,
            )  # fmt: skip
        some = _of(rows, "non_generalizable", split).dropna(subset=["before"])
        figure.add_scatter(
            x=[position(value, log=log) for value in some[by]], y=some["before"].to_numpy(),
            customdata=some[by].to_numpy(), name="nothing removed", legendgroup="before", showlegend=column == 1,
            mode="lines", line={"width": 2.5},
            hovertemplate=f"{words} %{{customdata}}<br>nothing removed %{{y:{NATS}}} nats<extra></extra>",
            row=1, col=column,
        )  # fmt: skip
        title, mode = ("gap (nats)", "normal") if split == "gap" else ("loss (nats)", "tozero")
        figure.update_yaxes(title=title, rangemode=mode, row=1, col=column)
    for title in figure.layout["annotations"]:
        title |= {"font": {"size": 14}, "yshift": 4}
    return figure.update_layout(legend={"y": 1.12}, margin={"t": 76})


def _ribbon(figure: Sheet, column: int, x: Sequence[float], low: pd.Series, high: pd.Series, colour: str) -> None:
    if low.isna().any() or not len(low):
        return
    theme.band(figure, x, low.tolist(), high.tolist(), colour, 1, column)


def sample_removals(sample_removals: pd.DataFrame) -> go.Figure:
    """Change of the loss of every explained sample.

    How to read: one marker a sample, its non-generalizable interactions removed; of more than 1,000 samples, those that
    change most. Above zero, the sample was held up by interactions that do not transfer: without them its loss rises.
    Below zero they did harm. Samples at the right were badly classified before.
    """
    titles = ("loss before (nats)", "change of the loss (nats)")
    if sample_removals.empty:
        return theme.nothing("Nothing is removed yet.", *titles)
    figure = Sheet()
    first = sample_removals.head(MOST)  # sorted: those that change most come first
    looks: tuple[tuple[str, dict[str, Any]], ...] = (
        ("train", {"symbol": "circle", "size": 9, "opacity": 0.75}),
        ("test", {"symbol": "square-open", "size": 9, "color": theme.TESTING, "line": {"width": 2}}),
    )
    for split, marker in looks:
        rows: Any = first[first["split"] == split]
        figure.add_scatter(
            x=rows["before"].to_numpy(), y=rows["change"].to_numpy(), customdata=rows["sample"].to_numpy(),
            text=[
                f"sample {row['sample']}, {html.escape(str(row['label_name']))}<br>loss {row['before']:.3f} → "
                f"{row['after']:.3f} nats<br>random, same strength: {row['random_after']:.3f} nats"
                for row in rows.to_dict("records")
            ],
            name={"train": "training sample", "test": "testing sample"}[split], mode="markers", marker=marker,
            unselected={"marker": {"opacity": marker.get("opacity", 1)}}, hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    if len(first) < len(sample_removals):
        words = f"the {MOST:,} of {len(sample_removals):,} samples that change most"
        figure.add_annotation(text=words, xref="paper", yref="paper", x=1, y=1, xanchor="right", yanchor="bottom")
    figure.add_hline(y=0, line={"width": 1})
    figure.update_xaxes(title=titles[0])
    figure.update_yaxes(title=titles[1])
    return figure.figure(height=400)


def list_of_changes(sample_removals: pd.DataFrame, address: Callable[[int], str], count: int = 12) -> pd.DataFrame:
    """Returns the first rows of `changes` as a list for people, with thumbnails and the address of each sample."""
    rows = sample_removals.head(count)
    image = bool(rows["image"].notna().all())
    return pd.DataFrame(
        {
            "input": [data_uri(png) for png in rows["image"]] if image else [*map(summary_text, rows["display"])],
            "look": [address(sample) for sample in rows["sample"]],
            "sample": rows["sample"],
            "split": [{"train": "training", "test": "testing"}[split] for split in rows["split"]],
            "label": [
                f"{row['label_name']}{f', {true}' if (true := true_label_text(row)) else ''}"
                for row in rows.to_dict("records")
            ],
            "loss before": rows["before"].round(3),
            "after": rows["after"].round(3),
            "change": rows["change"].round(3),
            "by random": rows["random_change"].round(3),
            "removed (nats)": rows["strength"].round(2),
        }
    )


def share_and_gap(share_and_gap: pd.DataFrame, correlations: pd.DataFrame) -> go.Figure:
    """Share of non-generalizable strength against the loss gap of the whole splits, one point an epoch.

    How to read: arrowheads are epochs, some numbered; each points away from the epoch before. ρ is Spearman's rank
    correlation with its 95% bootstrap interval (BCa) over the points. The interval takes the epochs as independent,
    which they are not, so it is too narrow.
    """
    titles = ("share of non-generalizable strength, 1 − H", "gap: testing − training loss (nats)")
    if share_and_gap.empty:
        return theme.nothing("No epoch has both interactions and losses yet.", *titles)
    of_run = {str(row["run"]): row for row in correlations.to_dict("records")}
    figure = Sheet()
    for i, (run, rows) in enumerate(share_and_gap.groupby("run", sort=False)):
        colour = theme.OTHERS[i % len(theme.OTHERS)]
        figure.add_scatter(
            x=rows["share"].to_numpy(), y=rows["gap"].to_numpy(), customdata=rows["epoch"].to_numpy(),
            text=rows["epoch"].astype(str).tolist() if i == 0 else None,
            textposition=_free_sides(share_and_gap, rows), name=f"{run}: {correlation_text(of_run[str(run)])}",
            mode="lines+markers+text" if i == 0 else "lines+markers",
            line={"color": theme.rgba(colour, 0.45), "width": 1, "dash": theme.DASHES[i % len(theme.DASHES)]},
            marker={"size": 9, "color": colour, "symbol": _arrows(len(rows)), "angleref": "previous"},
            hovertemplate=f"{run}, epoch %{{customdata}}<br>share %{{x:.1%}}<br>gap %{{y:{NATS}}} nats<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title=titles[0], tickformat=theme.SHARE)
    figure.update_yaxes(title=titles[1])
    return figure.figure(height=430, showlegend=True)


def _arrows(count: int) -> list[str]:
    return ["circle", *["arrow"] * (count - 1)]  # nothing is before the first


def _free_sides(every: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Returns on which side of its marker each label stands: the first of above, below, right and left that is free."""
    points = every[["share", "gap"]].to_numpy()
    spread = np.maximum(np.ptp(points, axis=0), 1e-12) * (0.6, 1.0)  # the chart is wider than high, a label too
    away = {"top center": (0, 1), "bottom center": (0, -1), "middle right": (1, 0), "middle left": (-1, 0)}
    sides = []
    for point in rows[["share", "gap"]].to_numpy():
        others = (points - point) / spread
        room = {side: np.hypot(*(others - 0.09 * np.array(at)).T).min(initial=1.0) for side, at in away.items()}
        sides.append(next((side for side in away if room[side] > 0.07), max(away, key=lambda side: room[side])))
    return sides


def correlation_text(row: Any) -> str:
    """Returns a rank correlation in words: "ρ = 0.81 (0.55 … 0.92), 17 epochs"."""
    if pd.isna(row["rho"]):
        return f"{row['points']} epochs, too few for a rank correlation"
    between = "" if pd.isna(row["low"]) else f" ({row['low']:.2f} … {row['high']:.2f})"
    return f"ρ = {row['rho']:.2f}{between}, {row['points']} epochs"


def meaning_text(correlations: pd.DataFrame) -> str:
    """Returns in words what the rank correlations of share and gap prove and what they do not."""
    if correlations.empty:
        return ""
    row: Any = correlations.to_dict("records")[-1]
    if pd.isna(row["rho"]):
        text = "There are too few epochs for a rank correlation."
    elif pd.isna(row["low"]):
        text = f"Share and gap rank the epochs the same way (ρ = {row['rho']:.2f})."
    elif row["low"] > 0:
        text = "Epochs with a larger non-generalizable share have a larger gap"
        text += f" (Spearman {correlation_text(row)})."
    elif row["high"] < 0:
        text = "Epochs with a larger non-generalizable share have a *smaller* gap"
        text += f" (Spearman {correlation_text(row)})."
    else:
        text = f"The share does not rank the epochs by their gap (Spearman {correlation_text(row)}: may be zero)."
    return (
        f"{text} This shows whether the two move together, not that one makes the other: both change as training goes "
        "on, and neighbouring epochs are alike, so the interval is too narrow. Only the removal above acts on the "
        "interactions themselves."
    )


def _is_computed(ask: Ask, c: Choice) -> bool:
    return is_labelled(ask, c) and not ask(removal.removals).empty


def gap_at(removals: pd.DataFrame, epoch: int) -> pd.DataFrame:
    """Returns the rows of the gap at an epoch; none where it is not known."""
    return removals.loc[(removals["epoch"] == epoch) & (removals["split"] == "gap")].dropna(subset=["change"])


def changes(ask: Ask, c: Choice) -> pd.DataFrame:
    """Returns the rows of `removal.sample_removals` for a choice, with thumbnails."""
    return ask(removal.sample_removals, epoch=c.epoch, min_order=c.min_order, split=c.split, label=c.label)


def share_and_correlations(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    """Returns what `share_and_gap` draws."""
    points = ask(removal.share_and_gap, runs=c.runs)
    return {"share and gap": points, "correlations": correlation.rank_correlations(points)}


OF_REMOVAL = partial(Chart, page="removal", when=_is_computed)
CHARTS = (
    OF_REMOVAL(
        gap_changes,
        lambda ask, c: {"gap": gap_at(ask(removal.removals, min_order=c.min_order, dose=c.dose), c.epoch or 0)},
        says=("epoch", "min_order", "dose"),
    ),
    OF_REMOVAL(
        removals,
        lambda ask, c: {"removals": ask(removal.removals, min_order=c.min_order, dose=c.dose)},
        options=log_axis,
        marks=pinned,
        says=("min_order", "dose"),
        click="epoch",
        says_rule=True,
    ),
    OF_REMOVAL(
        removal_doses,
        lambda ask, c: {"doses": ask(removal.removal_doses, epoch=c.epoch, min_order=c.min_order)},
        view="By dose",
        says=("epoch", "min_order"),
        says_rule=True,
    ),
    OF_REMOVAL(
        removal_orders,
        lambda ask, c: {"orders": ask(removal.removal_orders, epoch=c.epoch, dose=c.dose)},
        view="By order",
        says=("epoch", "dose"),
        says_rule=True,
    ),
    OF_REMOVAL(
        sample_removals,
        lambda ask, c: {"samples": changes(ask, c).drop(columns="image")},
        view="Samples",
        says=("epoch", "min_order", "split", "label"),
    ),
    OF_REMOVAL(share_and_gap, share_and_correlations, view="Share and gap"),
)
