"""Charts of one sample at one epoch: its interactions, what they add up to, and how faithful that is."""

import itertools
import math
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart, log_axis, pinned
from interdash.figures.choice import FIRST, Choice, lit_interaction, names_of
from interdash.figures.dynamics import over_epochs, position
from interdash.figures.inputs import CHOSEN
from interdash.figures.sheet import Sheet
from interdash.figures.theme import GENERALIZABLE, GREY, NATS, NON_GENERALIZABLE, escaped
from interdash.queries import drilldown, sample, vectors
from interdash.queries.asking import Ask

G_NAMES = {True: "generalizable", False: "non-generalizable", None: "no G known"}
_G_COLOURS = {True: GENERALIZABLE, False: NON_GENERALIZABLE, None: GREY}
STEPS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000)  # k of the k strongest
MOST_STEPS = 12  # of a waterfall, one by one
_ROW = 20  # pixels a bar
_LONGEST = 40  # characters of a name on an axis; the hover has all of it


def interactions(interactions: pd.DataFrame, *, chosen: str | None = None) -> go.Figure:
    """The strongest interactions of a sample at one epoch[, and the same ones in the baseline network].

    How to read: one bar an interaction, strongest on top. AND fires only if all of its variables are present, OR if any
    is; to the right it speaks for the label, to the left against it. [The diamond is the same interaction in the
    baseline network: an interaction generalizes (plain blue) if the baseline has it too, salient and with the same
    sign; else it is hatched vermillion. Of several baselines most must ("2/3" is two of three); the diamond is the
    first.] Under the mouse: its life line. [A triangle: far outside.] Click a bar to light its variables and see its
    life.
    """
    if interactions.empty:
        return theme.nothing("No interaction of this sample is salient here.", "effect on v (nats)", "interaction")
    keys = _keys(interactions)
    figure = Sheet()
    for known, name in G_NAMES.items():
        rows = interactions.loc[_is(interactions["generalizes"], known)]
        if rows.empty:
            continue
        figure.add_bar(
            **_bars(rows, known, chosen), y=_keys(rows), x=rows["effect"].to_numpy(), name=name, orientation="h",
            customdata=_keys(rows), hovertext=_hover(rows),
            hovertemplate=f"%{{hovertext}}<br>effect %{{x:{NATS}}} nats<extra></extra>",
        )  # fmt: skip
    reach = _reach(interactions)
    size = interactions["baseline_effect"].abs()
    base = "in the baseline" if max(interactions["baselines"].tolist()) < 2 else "in the first baseline"
    for name, rows in ((base, size <= reach), (f"{base}, outside", size > reach)):
        known = interactions.loc[rows]
        if len(known):
            figure.add_scatter(
                x=known["baseline_effect"].clip(-reach, reach).to_numpy(), y=_keys(known), mode="markers", name=name,
                customdata=_keys(known), cliponaxis=False,
                marker={"symbol": [_baseline_symbol(e, reach) for e in known["baseline_effect"]], "size": 9}
                | {"line": {"width": 2}},
                hovertext=[f"{base} {effect:+.3f} nats" for effect in known["baseline_effect"]],
                hovertemplate="%{hovertext}<extra></extra>",
            )  # fmt: skip
    figure.update_xaxes(title="effect on v (nats)", zeroline=True, range=[-1.05 * reach, 1.05 * reach])
    figure.update_yaxes(title="interaction", **_names_axis(keys, _labels(interactions)))
    return figure.figure(height=110 + _ROW * len(keys), clickmode="event+select", bargap=0.2)


def interaction_life(life: pd.DataFrame, *, pinned: int | None = None, log: bool = True) -> go.Figure:
    """One interaction of a sample at every recorded epoch, against the threshold τ[, and in the baseline network].

    How to read: inside the grey band (±τ of that epoch) the interaction is not salient, drawn as a small grey point.
    Outside it is salient[: filled blue where it generalizes, an open vermillion circle where it does not]. [The dashed
    line is its effect in the baseline network at the end of training: an interaction that transfers settles there.]
    """
    target = life.loc[life["network"] == "target"]
    if target.empty:
        return theme.nothing("This interaction is at no epoch.", "epoch", "effect on v (nats)")
    x = [position(epoch, log=log) for epoch in target["epoch"]]
    figure = Sheet()
    tau = target["tau"].to_numpy()
    figure.add_scatter(x=x, y=-tau, mode="lines", line={"width": 0}, hoverinfo="skip", showlegend=False)
    figure.add_scatter(
        x=x, y=tau, mode="lines", line={"width": 0}, fill="tonexty", fillcolor=theme.rgba(GREY, 0.3), name="±τ",
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=target["effect"].to_numpy(), mode="lines", line={"width": 1.5}, name="effect", hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
    below = ~target["salient"].astype(bool)
    groups = [(below, "not salient", {"symbol": "circle", "size": 5, "color": GREY})]
    for known, name in G_NAMES.items():
        symbol = "circle-open" if known is False else "circle"
        marker = {"symbol": symbol, "size": 10, "color": _G_COLOURS[known], "line": {"width": 2 * (known is False)}}
        groups.append((~below & _is(target["generalizes"], known), name, marker))
    for rows, name, marker in groups:
        if rows.any():
            figure.add_scatter(
                x=[position(epoch, log=log) for epoch in target.loc[rows, "epoch"]],
                y=target.loc[rows, "effect"].to_numpy(), mode="markers", name=name, marker=marker,
                customdata=target.loc[rows, "epoch"].to_numpy(),
                hovertemplate=f"epoch %{{customdata}}<br>{name}<br>effect %{{y:{NATS}}} nats<extra></extra>",
            )  # fmt: skip
    for i, (network, rows) in enumerate(life.loc[life["network"] != "target"].groupby("network")):
        effect, epoch = rows["effect"].iloc[-1], rows["epoch"].iloc[-1]
        figure.add_scatter(
            x=[x[0], x[-1]], y=[effect, effect], mode="lines", name=f"{network}, epoch {epoch}",
            line={"dash": theme.DASHES[1 + i % 5], "width": 1.5},
            hovertemplate=f"{network} %{{y:{NATS}}} nats<extra></extra>",
        )  # fmt: skip
    over_epochs(figure, None, target["epoch"].tolist(), pinned, log=log)
    figure.update_yaxes(title="effect on v (nats)")
    return figure.figure(height=300, clickmode="event+select")


def waterfall(waterfall: pd.DataFrame, *, chosen: str | None = None) -> go.Figure:
    """From v(x_∅), every variable masked, to v(x), the sample itself: how the interactions add up.

    How to read: from top to bottom, each bar starts where the one before it ended. All interactions fire on the sample
    itself, so that nothing is left over: the last step ends at v(x), the log-odds of the label (above 0: more likely
    than all other classes together). Grey bars hold what is not shown one by one.
    """
    if waterfall.empty:
        return theme.nothing("No interactions at this epoch.", "v (nats)", "interaction")
    keys = [str(i) for i in range(len(waterfall))]
    figure = Sheet()
    ends = waterfall["end"].tolist()
    figure.add_scatter(
        x=[value for end in ends[:-1] for value in (end, end, None)],
        y=[value for i in range(len(keys) - 1) for value in (keys[i], keys[i + 1], None)],
        mode="lines", line={"width": 1, "color": GREY}, hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    single = waterfall["kind"] == "interaction"
    total = waterfall["kind"].isin(["empty", "full"])
    for known, name in G_NAMES.items():
        rows = waterfall.loc[single & _is(waterfall["generalizes"], known)]
        if len(rows):
            _steps(figure, rows, name, _bars(rows, known, chosen), _keys(rows))
    others = waterfall.loc[~single & ~total]
    if len(others):
        _steps(figure, others, "taken together", {"marker": {"color": theme.rgba(GREY, 0.55)}})
    ends = waterfall.loc[total]
    figure.add_scatter(
        x=ends["end"].to_numpy(), y=[str(i) for i in ends.index], mode="markers+text", name="v(x<sub>∅</sub>) and v(x)",
        marker={"symbol": "line-ns-open", "size": 18, "line": {"width": 4}}, cliponaxis=False,
        text=[f"<b> {end:.3f} </b>" for end in ends["end"]], textposition=_inward(waterfall), hoverinfo="skip",
    )  # fmt: skip
    low, high = min(waterfall["end"]), max(waterfall["end"])
    margin = 0.06 * max(high - low, 1e-9)
    figure.update_xaxes(title="v (nats)", zeroline=True, range=[low - margin, high + margin])
    names = [_short(step).replace("x_∅", "x<sub>∅</sub>") for step in waterfall["step"]]
    figure.update_yaxes(title="interaction", **_names_axis(keys, names))
    return figure.figure(height=110 + _ROW * len(keys), clickmode="event+select", bargap=0.2)


def sorted_strengths(all_interactions: pd.DataFrame, *, chosen: str | None = None) -> go.Figure:
    """All interactions by strength, strongest first, and the threshold τ above which one is salient.

    How to read: an explanation is sparse if the curve falls steeply, so that few interactions stand above τ (dashed
    line) and the long tail below adds little. Circles are AND, triangles OR[; filled ones generalize, open ones do
    not]. The axis ends at a thousandth of τ. Click a point to choose that interaction.
    """
    if all_interactions.empty:
        return theme.nothing("No interactions at this epoch.", "rank", "strength |I| (nats)")
    figure = Sheet()
    rest, decades = all_interactions.loc[~all_interactions["salient"]], _decades(all_interactions)
    drawn = rest.loc[rest["strength"] >= 10 ** decades[0]]
    hidden = f", {len(rest) - len(drawn)} of them too weak to be drawn" if len(drawn) < len(rest) else ""
    figure.add_scatter(
        x=drawn["rank"].to_numpy(), y=drawn["strength"].to_numpy(), mode="lines", line={"color": GREY, "width": 3},
        name=f"{len(rest)} below τ{hidden}", hovertemplate=f"rank %{{x}}<br>%{{y:{NATS}}} nats<extra></extra>",
    )  # fmt: skip
    salient = all_interactions.loc[all_interactions["salient"]]
    for (known, name), kind in itertools.product(G_NAMES.items(), ("and", "or")):
        rows = salient.loc[_is(salient["generalizes"], known) & (salient["type"] == kind)]
        if len(rows):
            symbol = theme.SYMBOLS[kind] + ("" if known else "-open")
            figure.add_scatter(
                x=rows["rank"].to_numpy(), y=rows["strength"].to_numpy(), mode="markers",
                name=f"{len(rows)} {name}, {kind.upper()}", customdata=_keys(rows), hovertext=_hover(rows),
                marker={"color": _G_COLOURS[known], "symbol": symbol, "size": 8, "line": {"width": 2 * (not known)}},
                hovertemplate=f"rank %{{x}}: %{{hovertext}}<br>strength %{{y:{NATS}}} nats<extra></extra>",
            )  # fmt: skip
    marked = all_interactions.loc[[key == chosen for key in _keys(all_interactions)]]
    if len(marked):
        figure.add_scatter(
            x=marked["rank"].to_numpy(), y=marked["strength"].to_numpy(), mode="markers", name="chosen",
            hoverinfo="skip", marker={"symbol": "circle-open", "size": 16, "color": CHOSEN, "line": {"width": 3}},
        )  # fmt: skip
    tau = all_interactions["tau"].iloc[0]
    figure.add_hline(y=tau, line={"dash": "dash", "width": 1.5})
    text, at = f"τ = {tau:.3g} nats", {"x": 1, "y": math.log10(tau)}  # on a log axis, places are logarithms
    figure.add_annotation(xref="paper", xanchor="right", yanchor="bottom", text=text, **at)
    figure.update_xaxes(title="rank", type="log", dtick=1)
    figure.update_yaxes(type="log", dtick=1, exponentformat="power", title="strength |I| (nats)", range=decades)
    return figure.figure(height=380, clickmode="event+select")


def rebuilt(rebuilt: pd.DataFrame, *, salient: int | None = None) -> go.Figure:
    """What the k strongest interactions explain: share of all strength, and of the outputs on masked versions.

    How to read: with the k strongest interactions alone the network's output on every masked version of the sample is
    rebuilt; the solid line says which share of the variance of these 2ⁿ outputs that explains (0 or less: no better
    than their mean; a triangle: below −25%). The vertical line is the number of salient interactions: the higher the
    lines are there, the more faithful is an explanation by salient interactions alone.
    """
    if rebuilt.empty:
        return theme.nothing("No interactions at this epoch.", "k strongest interactions", "share explained")
    figure = Sheet()
    lines = (
        ("explained", "of the variance of the outputs", None, "solid"),
        ("strength", "of the strength Σ|I|", GREY, "dash"),
    )
    for column, name, colour, dash in lines:
        symbols = ["triangle-down" if below else "circle" for below in rebuilt[column] < -0.25]
        figure.add_scatter(
            x=rebuilt["count"].to_numpy(), y=rebuilt[column].clip(lower=-0.25).to_numpy(), name=name,
            mode="lines+markers", line={"color": colour, "dash": dash, "width": 2}, cliponaxis=False,
            marker={"size": 6, "symbol": symbols}, customdata=rebuilt[column].to_numpy(),
            hovertemplate=f"%{{x}} strongest: %{{customdata:.1%}} {name}<extra></extra>",
        )  # fmt: skip
    if salient:
        figure.add_vline(x=salient, line={"width": 1.5, "dash": "dot"})
        figure.add_annotation(  # on a log axis, annotations are placed by the logarithm
            x=math.log10(salient), xanchor="left", yref="paper", y=0.02, yanchor="bottom", text=f" {salient} salient"
        )  # fmt: skip
    figure.update_xaxes(title="k strongest interactions", type="log", dtick=1)
    figure.update_yaxes(title="share explained", range=[-0.3, 1.05], tickformat=theme.SHARE)
    return figure.figure(height=380)


def sample_life(sample_life: pd.DataFrame, *, pinned: int | None = None, log: bool = True) -> go.Figure:
    """One sample over the epochs: its loss, and the strength of its [generalizable and other ]interactions.

    How to read: strengths are Σ|I| over the salient interactions of the sample, on the left; the loss is its
    cross-entropy, on the right. The vertical line is the epoch shown on this page; click a point to go to its epoch.
    """
    if sample_life.empty:
        return theme.nothing("This sample has no labelled epoch.", "epoch", "strength (nats)")
    figure, sample_life = Sheet(), sample_life.assign(strength=sample_life["salient_strength"])
    x = [position(epoch, log=log) for epoch in sample_life["epoch"]]
    lines: tuple[tuple[str, str, dict[str, Any], str], ...] = (
        *((part, look[0], {"color": look[1], "dash": look[2]}, "y") for part, look in theme.parts(sample_life).items()),
        ("loss", "loss (right)", {"dash": "dot", "color": GREY}, "y2"),
    )
    for column, name, line, axis in lines:
        figure.add_scatter(
            x=x, y=sample_life[column].to_numpy(), name=name, mode="lines+markers", line={"width": 2} | line,
            yaxis=axis, marker={"size": 5}, customdata=sample_life["epoch"].to_numpy(),
            hovertemplate=f"epoch %{{customdata}}<br>{name} %{{y:{NATS}}} nats<extra></extra>",
        )  # fmt: skip
    over_epochs(figure, None, sample_life["epoch"].tolist(), pinned, log=log)
    figure.update_yaxes(title="strength (nats)", rangemode="tozero")
    right = {"overlaying": "y", "side": "right", "showgrid": False, "tickmode": "auto"}
    right |= {"title": {"text": "loss (nats)"}, "rangemode": "tozero"}
    return figure.figure(yaxis2=right, height=300, clickmode="event+select", margin={"r": 64})


def _inward(waterfall: pd.DataFrame) -> list[str]:
    """Returns where the values of v(x_∅) and v(x) are written: to the side with more room."""
    low, high = min(waterfall["end"]), max(waterfall["end"])
    ends = waterfall.loc[waterfall["kind"].isin(["empty", "full"]), "end"]
    return ["middle right" if end - low < high - end else "middle left" for end in ends]


def _steps(figure: Sheet, rows: pd.DataFrame, name: str, bars: dict[str, Any], keys: list[str] | None = None) -> None:
    """Adds bars that start and end where the waterfall says."""
    figure.add_bar(
        **bars, y=[str(i) for i in rows.index], x=rows["effect"].to_numpy(), base=rows["start"].to_numpy(), name=name,
        orientation="h", customdata=keys, hovertext=[_step_hover(step) for step in rows.itertuples()],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def _step_hover(step: Any) -> str:
    return f"{escaped(step.step)}<br>{step.effect:+.3f} → {step.end:.3f} nats"


def _reach(rows: pd.DataFrame) -> float:
    """Returns how far the axis of effects goes: to the baseline's as well, unless they would dwarf all others."""
    own = max(*rows["effect"].abs().tolist(), 1e-12)
    baseline = max(rows["baseline_effect"].abs().dropna().tolist(), default=0.0)
    return max(own, baseline) if baseline < 5 * own else 1.2 * own


def _baseline_symbol(effect: float, reach: float) -> str:
    return "diamond-open" if abs(effect) <= reach else "triangle-right" if effect > 0 else "triangle-left"


def _bars(rows: pd.DataFrame, known: bool | None, chosen: str | None) -> dict[str, Any]:
    """Returns colour and hatching of bars, the chosen one in an orange frame."""
    frame = [3 if key == chosen else 0 for key in _keys(rows)]
    marker: dict[str, Any] = {"color": _G_COLOURS[known], "line": {"color": CHOSEN, "width": frame}}
    if known is False:
        marker["pattern"] = theme.HATCH
    return {"marker": marker}


def _is(generalizes: Any, known: bool | None) -> pd.Series:
    """Returns which rows of a column have this G; null = unknown."""
    return generalizes.isna() if known is None else generalizes.fillna(not known).astype(bool) == known


def _keys(rows: pd.DataFrame) -> list[str]:
    """Returns what names an interaction in the URL: "and-37"."""
    return [f"{kind}-{subset}" for kind, subset in zip(rows["type"], rows["subset"], strict=True)]


def _labels(rows: pd.DataFrame) -> list[str]:
    votes = [f"\xa0·\xa0{of:g}/{count:g}" if count > 1 else "" for of, count in rows[["votes", "baselines"]].to_numpy()]
    return [_short(name) + said for name, said in zip(names_of(rows), votes, strict=True)]


def _hover(rows: pd.DataFrame) -> list[str]:
    lines = rows["life_line"] if "life_line" in rows else [None] * len(rows)
    said = [f", {line}" if isinstance(line, str) else "" for line in lines]
    return [escaped(name) + line for name, line in zip(names_of(rows), said, strict=True)]


def _short(text: str) -> str:
    return escaped(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2]}…}}")


def _names_axis(keys: list[str], labels: list[str]) -> dict[str, Any]:
    return {
        "type": "category", "categoryorder": "array", "categoryarray": keys[::-1], "tickvals": keys,
        "ticktext": labels, "showgrid": False, "range": [-0.6, len(keys) - 0.4],
    }  # fmt: skip


def _decades(rows: pd.DataFrame) -> list[float]:
    """Returns the range of a log axis, in powers of ten: from a thousandth of τ, or all, to the strongest."""
    low, high = float(rows["tau"].to_numpy()[0]), max(rows["strength"].tolist() + rows["tau"].tolist())
    return [math.log10(low) - 3, math.log10(high) + 0.2]


def _numbered(ask: Ask, rows: pd.DataFrame) -> pd.DataFrame:
    return drilldown.numbered(rows) if ask.kind.numbered else rows


def _strongest(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    rows = ask(sample.interactions, epoch=c.epoch, sample=c.sample, limit=c.top, life_line=c.life_line)
    return {"interactions": _numbered(ask, rows)}


def _all_interactions(ask: Ask, c: Choice) -> pd.DataFrame:
    return _numbered(ask, ask.read(vectors.all_interactions, epoch=c.epoch, sample=c.sample))


def _now(ask: Ask, c: Choice) -> Any:
    return ask(sample.sample_life, sample=c.sample).set_index("epoch").loc[c.epoch]


def _waterfall(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    every, now = _all_interactions(ask, c), _now(ask, c)
    return {"steps": drilldown.waterfall(every, now["v_empty"], now["v_full"], top=min(c.top, MOST_STEPS))}


def _life(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    return {"sample": ask(sample.sample_life, sample=c.sample)}


def _lit_life(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    kind, subset = lit_interaction(ask, c) or FIRST
    return {"interaction": ask.read(vectors.interaction_life, sample=c.sample, type=kind, subset=subset)}


def _rebuilt(ask: Ask, c: Choice) -> dict[str, pd.DataFrame]:
    counts = (*STEPS, int(_now(ask, c)["salient"]))
    return {"rebuilt": ask.read(drilldown.faithfulness, epoch=c.epoch, sample=c.sample, counts=counts)}


def _asked_for(ask: Ask, c: Choice) -> dict[str, Any]:
    """Returns the option that frames the interaction asked for: one that nobody asked for is not framed on paper."""
    return {"chosen": c.interaction} if c.lit else {}


def _lit(ask: Ask, c: Choice) -> dict[str, Any]:
    return {"chosen": "-".join(map(str, lit_interaction(ask, c) or ()))}


OF_SAMPLE = partial(Chart, page="sample", says=("sample", "epoch"))
TO_CLICK = partial(OF_SAMPLE, options=_asked_for, marks=_lit, click="interaction")
CHARTS = (
    TO_CLICK(interactions, _strongest, says_rule=True),
    TO_CLICK(waterfall, _waterfall, view="Waterfall"),
    TO_CLICK(sorted_strengths, lambda ask, c: {"interactions": _all_interactions(ask, c)}, view="All strengths"),
    OF_SAMPLE(rebuilt, _rebuilt, view="Faithfulness", options=lambda ask, c: {"salient": int(_now(ask, c)["salient"])}),
    OF_SAMPLE(sample_life, _life, view="Life", options=log_axis, marks=pinned, says=("sample",), click="epoch"),
    OF_SAMPLE(
        interaction_life, _lit_life, options=log_axis, marks=pinned, says=("interaction", "sample"), click="epoch"
    ),
)
