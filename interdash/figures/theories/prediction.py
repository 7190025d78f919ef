"""Charts of the theory of noise: the distribution over orders that it predicts, its σ² and how well it fits."""

import re
from functools import partial
from itertools import product
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import theme
from interdash.figures.chart import Chart
from interdash.figures.choice import Choice
from interdash.figures.dynamics import over_epochs, position
from interdash.figures.sheet import Sheet
from interdash.formulas.prediction import SIGMA2
from interdash.queries import dynamics, theories
from interdash.queries.asking import Ask

UNIT = "strength (times the mean order's)"
NUMBER = ".2~g"
FITS = {  # column: name, colour, dash, symbol
    "r2": ("predicted profile", theme.GENERALIZABLE, "solid", "circle"),
    "r2_last": ("profile of the last epoch", theme.ORANGE, "dash", "square"),
    "r2_spindle": ("spindle of random outputs", theme.GREY, "dot", "x"),
}
TIE_BREAKS = {  # name, colour, dash, symbol
    "own": ("σ², the run's tie-break", theme.GENERALIZABLE, "solid", "circle"),
    "opposite": ("σ², the opposite tie-break", theme.GAP, "dash", "square"),
}


def predicted_orders(predicted_orders: pd.DataFrame) -> go.Figure:
    """Measured distribution over orders at chosen epochs, and the one that the theory of noise predicts from the last.

    How to read: bars are measured, the line is predicted: what noise of variance σ² leaves of the interactions of the
    last recorded epoch, high orders less than low ones. Each is divided by its mean over orders. One σ² an epoch is
    fitted, which is easy for a smooth profile: see how well others do that need no theory. The theory is of the second
    phase, in which σ² falls; of the first, in which noise is removed, it says nothing. AND and OR are fitted together.
    """
    if predicted_orders.empty:
        return theme.nothing("Nothing is predicted for these epochs.", "order", UNIT)
    kinds = list(dict.fromkeys(predicted_orders["type"]))
    epochs = list(dict.fromkeys(zip(predicted_orders["epoch"], predicted_orders["sigma2"], strict=True)))
    figure = Sheet(
        rows=len(kinds), cols=len(epochs), shared_yaxes=True, shared_xaxes=True, horizontal_spacing=0.012,
        vertical_spacing=0.08, column_titles=[f"epoch {epoch}<br>{_number(sigma2)}" for epoch, sigma2 in epochs],
        row_titles=[theme.TYPE_NAMES[kind] for kind in kinds] if len(kinds) > 1 else None,
    )  # fmt: skip
    for (row, kind), (column, (epoch, _)) in product(enumerate(kinds, 1), enumerate(epochs, 1)):
        rows = predicted_orders.loc[(predicted_orders["epoch"] == epoch) & (predicted_orders["type"] == kind)]
        about: dict[str, Any] = {"x": rows["size"].to_numpy(), "row": row, "col": column}
        about |= {"showlegend": row == column == 1, "customdata": rows["epoch"].to_numpy()}
        hover = f"epoch %{{customdata}}, order %{{x}}<br>%{{y:{theme.NATS}}}"
        figure.add_bar(
            y=rows["measured"].to_numpy(), name="measured", marker={"color": theme.SKY},
            hovertemplate=f"{hover}<extra>measured</extra>", **about,
        )  # fmt: skip
        figure.add_scatter(
            y=rows["predicted"].to_numpy(), name="predicted", mode="lines+markers", line={"width": 2},
            marker={"size": 5}, hovertemplate=f"{hover}<extra>predicted</extra>", **about,
        )  # fmt: skip
    figure.update_xaxes(showticklabels=True, dtick=2, tick0=1)
    figure.update_xaxes(title="order", row=len(kinds))
    figure.update_yaxes(title=UNIT, rangemode="tozero", col=1)
    return figure.figure(height=150 + 190 * len(kinds), margin={"t": 84}, legend={"y": 1.2}, bargap=0.15)


def predictions(predictions: pd.DataFrame, phases: pd.DataFrame | None = None, *, log: bool = True) -> go.Figure:
    """Noise σ² that the theory needs at every epoch, and how well the profile fits that it predicts.

    How to read: σ² is the variance of the noise on the interactions of the last epoch with which the predicted
    distribution over orders is nearest to the measured one; its ribbon is a 95 % bootstrap interval over samples. The
    theory says that it falls in phase 2. The squares are σ² by the opposite tie-break of the split, of fewer samples:
    as far as the two lines differ, σ² is of that choice and not of the network. Below, the share of the variance over
    orders that the predicted profile explains (R²); it should lie above what the profile of the last epoch explains
    without any noise, and above the spindle of random outputs (not drawn where it is worse than −0.5), or the theory
    adds nothing. The criterion of the fit, intervals and nulls are ours.
    """
    if predictions.empty:
        return theme.nothing("Nothing is predicted yet.", "epoch", "σ²")
    figure = Sheet(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.55, 0.45])
    for tie_break, (name, colour, dash, symbol) in TIE_BREAKS.items():
        rows = predictions.loc[(predictions["tie_break"] == tie_break) & predictions["sigma2"].notna()]
        x = [position(epoch, log=log) for epoch in rows["epoch"]]
        theme.band(figure, x, rows["sigma2_low"].tolist(), rows["sigma2_high"].tolist(), colour, 1, 1)
        _line(figure, 1, x, rows, "sigma2", name, colour, dash, symbol, NUMBER)
    own = predictions.loc[predictions["tie_break"] == "own"]
    x = [position(epoch, log=log) for epoch in own["epoch"]]
    for column, (name, colour, dash, symbol) in FITS.items():
        _line(figure, 2, x, own, column, f"R², {name}", colour, dash, symbol, ".2f")
    epochs = own["epoch"].tolist()
    over_epochs(figure, phases, epochs, None, log=log)
    figure.update_yaxes(title="σ² (log)", type="log", exponentformat="power", row=1, col=1)
    figure.update_yaxes(title="R² (share)", range=[-0.55, 1.05], row=2, col=1)
    return figure.figure(height=520, margin={"t": 76}, legend={"y": 1.06})


def finding_text(predictions: pd.DataFrame) -> str:
    """Returns in a sentence how much the theory explains from the peak of σ² on, how much no theory; "" if unknown.

    And whether that hangs on the tie-break of the split: under the opposite one, it gains less than half as much.
    """
    shares = [_explained(rows) for rows in map(partial(_fitted, predictions), TIE_BREAKS) if len(rows) > 2]
    if not shares:
        return ""
    (with_it, without), *other = shares
    text = (
        f"A theory of fading noise explains {with_it:.1%} of how strength is spread over simple and complex "
        f"interactions, no theory {without:.0%}"
    )
    for a, b in other:
        rests = ": the gain rests on that choice" if 2 * (a - b) < with_it - without else ""
        text = f"{text}; with ties of the split broken the other way {a:.0%} and {b:.0%}{rests}"
    return text


def details_text(predictions: pd.DataFrame, phases: pd.DataFrame) -> str:
    """Returns in words what the theory says, how σ² goes, and what the opposite tie-break gives; "" if unknown."""
    own = _fitted(predictions, "own")
    if len(own) < 3:
        return ""
    sigma2 = own["sigma2"].iloc[:-1]
    places = [f"{sigma2.max():.2g} at epoch {sigma2.idxmax()}, where it is largest"]
    for row in phases.dropna(subset=["epoch"]).to_dict("records"):
        epoch = min(sigma2.index, key=lambda epoch, at=row["epoch"]: abs(epoch - at))
        places.append(f"{sigma2[epoch]:.2g} at {epoch}, the start of phase {row['boundary'][-1]}")
    text = (
        "The theory takes the interactions of the last epoch and adds noise, which wipes out complex ones before "
        "simple ones; σ² is how much, fitted at each epoch. No theory: the spread of the last epoch as it is. Shares "
        "are of the variance over orders, medians from the largest σ² on. In phase 2 the noise should fade: σ² is "
    )
    other = _fitted(predictions, "opposite")
    if len(other) > 2:
        peak = other["sigma2"].iloc[:-1].idxmax()
        places.append(f"by the opposite tie-break {other.loc[peak, 'sigma2']:.2g} at most, at epoch {peak}")
    return f"{text}{'; '.join(places)}."


def _fitted(predictions: pd.DataFrame, tie_break: str) -> Any:
    return predictions.loc[predictions["tie_break"] == tie_break].dropna(subset="sigma2").set_index("epoch")


def _explained(rows: pd.DataFrame) -> list[float]:
    """Returns the median R² of the predicted and of the last epoch's profile, from the peak of σ² on, without the last.

    The last epoch predicts itself.
    """
    start: Any = rows["sigma2"].iloc[:-1].idxmax()
    return [float(rows.loc[start:, name].iloc[:-1].median()) for name in ("r2", "r2_last")]


def _number(sigma2: float) -> str:
    """Returns σ² in words: of the least that is tried, only that it is no more is known."""
    number = f"σ²\u00a0≤\u00a0{sigma2:.1g}" if sigma2 < 2 * SIGMA2[0] else f"σ²\u00a0=\u00a0{sigma2:.2g}"
    return re.sub(r"e([-+]\d+)", lambda power: f"\u00a0×\u00a010<sup>{int(power[1])}</sup>".replace("-", "−"), number)


def _line(
    figure: Sheet, row: int, x: list[float], rows: pd.DataFrame, column: str, name: str, colour: str, dash: str,
    symbol: str, form: str,
) -> None:  # fmt: skip
    figure.add_scatter(
        x=x, y=rows[column].to_numpy(), name=name, mode="lines+markers", line={"color": colour, "dash": dash},
        marker={"color": colour, "symbol": symbol, "size": 6}, customdata=rows["epoch"].to_numpy(), row=row,
        hovertemplate=f"epoch %{{customdata}}<br>{name} %{{y:{form}}}<extra></extra>",
    )  # fmt: skip


def is_predicted(ask: Ask, choice: Choice) -> bool:
    """Returns whether the labels of the run have predictions."""
    return not ask(theories.predictions).empty


CHARTS = (
    Chart(
        predicted_orders,
        lambda ask, c: {"orders": ask(theories.predicted_orders, epochs=c.epochs, types=c.types)},
        page="theories",
        view="Prediction",
        when=is_predicted,
        says=("types",),
        says_rule=True,
    ),
    Chart(
        predictions,
        lambda ask, c: {"predictions": ask(theories.predictions), "phases": ask(dynamics.phases)},
        page="theories",
        view="Prediction",
        options=lambda ask, c: {"log": c.log},
        when=is_predicted,
        says_rule=True,
    ),
)
