"""The papers' claims, each with the rule by which a run speaks for it or against it, and the verdict over all runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from interdash.formulas.theories.agreement import NEAR

Measures = dict[str, Any]
LEAST_FALL = 0.01  # of the strength at epoch 0: what is removed under both solvers
MOST, FEW = 0.8, 0.2  # shares of the runs: confirmed from the first on, not confirmed up to the second


@dataclass(frozen=True)
class Claim:
    """What a paper says, and how a run is asked."""

    text: str
    source: str
    rule: str  # in words: when it holds in a run
    holds: Callable[[Measures], bool | None]  # None: the run cannot be asked


def above(value: dict[str, Any]) -> bool | None:
    """Returns whether a value is clearly above 0 by its interval; None if there is none."""
    return None if value["low"] is None else value["low"] > 0


def below(value: dict[str, Any]) -> bool | None:
    """Returns whether a value is clearly below 0 by its interval; None if there is none."""
    return None if value["high"] is None else value["high"] < 0


def _found(measures: Measures, boundary: str) -> bool:
    return measures["phases"].get(boundary, {}).get("value") is not None


def _grows_in_third(measures: Measures) -> bool | None:
    boundary = measures["phases"].get("2|3", {}).get("value")
    if boundary is None:
        return None
    gap, at = measures["gap"], measures["recorded"].index(int(boundary))
    return gap[-1] - gap[at] > max(gap[at] - min(gap[: at + 1]), 0)


def _removed(fall: dict[str, Any]) -> bool | None:
    """Returns whether non-generalizable strength clearly falls: by more than `LEAST_FALL` of what it was."""
    return None if fall["low"] is None else fall["low"] > LEAST_FALL


def _first(name: str, least: float) -> Callable[[Measures], bool | None]:
    """Returns whether a share of the flows of the first phase lies clearly above a value; None without boundary."""

    def holds(measures: Measures) -> bool | None:
        first = measures["first"]
        return None if first is None or first[name]["low"] is None else first[name]["low"] > least

    return holds


def _grows(measures: Measures) -> bool | None:
    return None if measures["third"] is None else above(measures["third"]["growth"])


def _mostly_not(measures: Measures) -> bool | None:
    power: Any = (measures["third"] or {"power": {"high": None}})["power"]
    return None if power["high"] is None else power["high"] < 0.5


def distance(measures: Measures, boundary: float | None) -> int | None:
    """Returns how many recorded epochs a boundary lies from that of the lowest testing loss; None without boundary."""
    recorded = measures["recorded"]
    if boundary is None:
        return None
    return abs(recorded.index(int(boundary)) - recorded.index(measures["lowest_test_loss"]))


def _at_lowest_loss(measures: Measures) -> bool | None:
    apart = distance(measures, measures["phases"].get("2|3", {}).get("value"))
    return None if apart is None else apart <= NEAR


def _where_it_shrinks(name: str) -> Callable[[Measures], bool | None]:
    def holds(measures: Measures) -> bool | None:
        removal = measures["removal"]
        return below(removal[name]) if below(removal["gap"]) else None

    return holds


def _through_training(measures: Measures) -> bool | None:
    removal = measures["removal"]
    return above(removal["through"]) if below(removal["gap"]) else None


def _starts_together(measures: Measures) -> bool | None:
    start, interval = measures["gap_start"], measures["phases"].get("1|2", {})
    if start is None or interval.get("value") is None:
        return None
    return interval["low"] <= start <= interval["high"]


def _decays(measures: Measures) -> bool | None:
    shape = measures["shapes"]["generalizable"]
    if shape["closer"]["low"] is None:
        return None
    return bool(above(shape["closer"])) and shape["decay"]["alpha"] < 1


def _is_spindle(measures: Measures) -> bool | None:
    shape = measures["shapes"]["non_generalizable"]
    if shape["closer"]["low"] is None:
        return None
    return bool(below(shape["closer"])) and 1 < shape["peak"] < shape["n"]


def _less_alike(measures: Measures) -> bool | None:
    alike = measures["similarity"]
    if alike["ratio_low"] is None or alike["ratio_high"] is None:
        return None
    return alike["ratio_high"] < alike["ratio_low"] and alike["high"] < alike["least_high"]


def _survives(measures: Measures) -> bool | None:
    falls = measures.get("solver_falls")
    if falls is None or not _removed(falls["published"]):
        return None
    return _removed(falls["certified"])


CLAIMS = (
    Claim(
        "Training has three phases.",
        "three-phase",
        "both boundaries are found",
        lambda m: _found(m, "1|2") and _found(m, "2|3"),
    ),
    Claim(
        "In the first phase noisy, non-generalizable interactions are removed.",
        "three-phase, two-phase",
        "of what is removed up to boundary 1|2 more than half is non-generalizable, by the interval",
        _first("removed", 0.5),
    ),
    Claim(
        "… while what is learned meanwhile generalizes more than what is removed.",
        "three-phase",
        "up to boundary 1|2 the share of the learned that generalizes is above that of the removed, interval of the "
        "difference above 0",
        _first("difference", 0),
    ),
    Claim(
        "… and that first phase is there under an exact solver too.",
        "ours (question)",
        "of the runs split by both solvers, where strength is removed under the published SGD, it is under the "
        "certified split",
        _survives,
    ),
    Claim(
        "Later, increasingly complex interactions are learned.",
        "three-phase, symbolic-dynamics",
        "the mean order of what is learned after boundary 1|2 is above that of what is learned before, interval of the "
        "difference above 0",
        _grows,
    ),
    Claim(
        "In the third phase mostly non-generalizable interactions are learned.",
        "three-phase",
        "of what is learned after boundary 2|3 less than half generalizes, by the interval",
        _mostly_not,
    ),
    Claim(
        "In the third phase the loss gap grows.",
        "three-phase",
        "boundary 2|3 is found, and the gap of the whole splits grows more after it than before",
        _grows_in_third,
    ),
    Claim(
        "The third phase begins where the testing loss is lowest.",
        "ours (question)",
        "boundary 2|3 lies within one recorded epoch of the lowest testing loss, which the rule does not know",
        _at_lowest_loss,
    ),
    Claim(
        "Complex interactions generalize less than simple ones.",
        "three-phase, interactive-concepts, symbolic-dynamics",
        "at the last epoch H of orders 1–2 is further above chance than H of orders ≥ 4, interval of the difference "
        "above 0",
        lambda m: above(m["above_low_minus_high"]),
    ),
    Claim(
        "Non-generalizable interactions make the loss gap: without them it shrinks.",
        "three-phase",
        "removing all of them at the last epoch changes the gap of the explained samples, interval below 0",
        lambda m: below(m["removal"]["gap"]),
    ),
    Claim(
        "… mostly because the training loss rises.",
        "three-phase",
        "where the gap shrinks, the training loss rises by more than the testing loss falls, interval of the "
        "difference above 0",
        _through_training,
    ),
    Claim(
        "… and more than removing random interactions of the same strength does.",
        "ours (control)",
        "where the gap shrinks, the excess over the control, interval below 0",
        _where_it_shrinks("random"),
    ),
    Claim(
        "… and more than removing generalizable interactions of the same strength does.",
        "ours (control)",
        "where the gap shrinks, the excess over the control at the largest dose where as much can be removed, interval "
        "below 0",
        _where_it_shrinks("generalizable"),
    ),
    Claim(
        "The share of non-generalizable strength follows the loss gap.",
        "three-phase",
        "Spearman's ρ over the recorded epochs, interval above 0 (how often chance does that: see the tables)",
        lambda m: above(m["correlation"]),
    ),
    Claim(
        "The loss gap begins to rise where the second phase begins.",
        "two-phase, symbolic-dynamics",
        "where both are found, the start of the gap lies in the interval of boundary 1|2",
        _starts_together,
    ),
    Claim(
        "Generalizable strength decays over orders.",
        "revisiting",
        "at the last epoch its profile is closer to a decay than to a spindle, interval of the difference above 0, and "
        "the decay decays: α < 1",
        _decays,
    ),
    Claim(
        "Non-generalizable strength has the shape of a spindle.",
        "revisiting",
        "at the last epoch its profile is closer to a spindle than to a decay, interval of the difference below 0, and "
        "the spindle peaks at an order between the first and the last",
        _is_spindle,
    ),
    Claim(
        "Training and testing samples are less alike in complex interactions.",
        "interactive-concepts",
        "at the last epoch the weighted Jaccard index, divided by that of random groups of the same sizes, is lower "
        "for orders ≥ 4 than for orders 1–2, and for orders ≥ 4 the index lies below the 95 % range of random groups",
        _less_alike,
    ),
)


def counts(claim: Claim, runs: Sequence[Measures]) -> tuple[int, int]:
    """Returns in how many runs the claim holds, and how many could be asked."""
    answers = [answer for answer in map(claim.holds, runs) if answer is not None]
    return sum(map(bool, answers)), len(answers)


def verdict(claim: Claim, runs: Sequence[Measures]) -> str:
    """Returns "confirmed", "partly", "not", or "no run to ask"."""
    holds, runs_asked = counts(claim, runs)
    if not runs_asked:
        return "no run to ask"
    share = holds / runs_asked
    return "confirmed" if share >= MOST else "not" if share <= FEW else "partly"
