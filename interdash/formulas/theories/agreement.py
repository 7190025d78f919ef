"""Where the theories of one run put their turns, and how far apart these lie beside chance. Source: ours.

A turn is a recorded epoch: where a curve is highest or lowest, begins to rise, or falls below a level. Its interval is
where 95 % of the resamples have it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Turn(NamedTuple):
    """A recorded epoch and the ends of its 95 % interval; all None where there is no such turn."""

    epoch: float | None
    low: float | None
    high: float | None


NONE = Turn(None, None, None)
NEAR = 1  # recorded epochs


def scaled(values: np.ndarray) -> np.ndarray:
    """Returns a curve `[epochs]` from 0, its lowest value, to 1, its highest; NaN where all are the same.

    >>> scaled(np.array([2.0, 4.0, 3.0])).tolist()
    [0.0, 1.0, 0.5]
    """
    low, high = np.nanmin(values), np.nanmax(values)
    return (values - low) / (high - low) if high > low else np.full(len(values), np.nan)


def shares(places: np.ndarray, epochs: int) -> np.ndarray:
    """Returns how often each of `epochs` places is that of a resample, `[epochs]`, from places `[resamples]`."""
    return np.bincount(places, minlength=epochs) / len(places)


def turn(epochs: Sequence[float], place: int, resampled: np.ndarray) -> Turn:
    """Returns the turn at a place of recorded epochs, its interval from what `shares` gives.

    >>> turn([0, 1, 2, 5], 2, np.array([0.0, 0.5, 0.49, 0.01]))
    Turn(epoch=2.0, low=1.0, high=2.0)
    """
    below = np.cumsum(resampled)
    low, high = (float(epochs[int(np.searchsorted(below, part - 1e-9))]) for part in (0.025, 0.975))
    return Turn(float(epochs[place]), low, high)


def first_below(epochs: Sequence[float], ends: np.ndarray, level: float = 0.0) -> Turn:
    """Returns the first recorded epoch at which a curve is below a level.

    Its interval goes from the first epoch at which the low end of the curve's interval is below it to the first at
    which the high end is, or the last epoch.

    >>> first_below([0, 1, 2, 5], np.array([[1.0, 0.2, -0.1, -1.0], [0.9, -0.1, -0.3, -2.0], [1.1, 0.5, 0.1, -0.5]]))
    Turn(epoch=2.0, low=1.0, high=5.0)

    Args:
        epochs: `[E]`.
        ends: value, low and high end, `[3, E]`, in the unit of the level.
        level: the level.
    """
    below = ends < level
    if not below[0].any():
        return NONE
    value, low, high = (float(epochs[int(row.argmax())]) if row.any() else float(epochs[-1]) for row in below)
    return Turn(value, min(low, value), max(high, value))


def steps(recorded: Sequence[float], first: float, second: float) -> int:
    """Returns how many recorded epochs two turns lie apart; one between recorded epochs counts as the nearest.

    >>> steps([0, 1, 2, 5, 10], 1, 10)
    3
    """
    places = [int(np.abs(np.asarray(recorded, float) - epoch).argmin()) for epoch in (first, second)]
    return abs(places[0] - places[1])


def expected_steps(count: int) -> float:
    """Returns how many recorded epochs two random ones of `count` lie apart, on average.

    >>> expected_steps(4)
    1.25
    """
    return (count**2 - 1) / (3 * count)


def by_chance(count: int, apart: int) -> float:
    """Returns how often two random recorded epochs of `count` lie at most so many apart, a share.

    >>> by_chance(4, 0), by_chance(4, 3)
    (0.25, 1.0)
    """
    return float(count + 2 * sum(count - step for step in range(1, min(apart, count - 1) + 1))) / count**2
