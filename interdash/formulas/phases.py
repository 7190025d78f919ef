"""The three phases of a run, from what it learns between recorded epochs.

In two sentences: the first phase ends where what the network learns generalizes best above chance, and the second where
what it learns generalizes less than half as well as at its best. A boundary is reported only if that share clearly
rises to its peak and clearly falls from it.
Source: three-phase (arXiv 2505.06993) has the three phases, in words; this rule for their boundaries is ours.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

MIN_Z = 3.0  # bootstrap standard errors by which a rise, a fall or a peak counts as real
FLOOR = 0.01  # added in squares to the standard error of every interval, so that none rules the fit


@dataclass(frozen=True, eq=False)
class Phases:
    """Where phases 1|2 and 2|3 meet (recorded epochs), the curve that says so, and why a boundary is None."""

    boundary_12: float | None
    boundary_23: float | None
    interval_12: tuple[float, float] | None  # bootstrap over samples; None with its boundary
    interval_23: tuple[float, float] | None  # its high end is the last epoch where resamples find no boundary
    reason: str | None  # why both boundaries are None, or the second one
    above_chance: np.ndarray  # [E − 1], κ of what is learned in each interval; 0 where nothing is
    error: np.ndarray  # [E − 1], its bootstrap standard error
    fit: np.ndarray  # [E − 1], the best curve that rises to one peak and falls from it


def find_phases(
    epochs: np.ndarray,
    learned: np.ndarray,
    generalizable: np.ndarray,
    by_chance: np.ndarray,
    *,
    share: float = 0.5,
    weights: np.ndarray | None = None,
    confidence: float = 0.95,
    resamples: int = 300,
    seed: int = 0,
) -> Phases:
    """Returns the phase boundaries of a run, their bootstrap intervals, or the reason why there is none.

    κ of an interval between recorded epochs is how far the share of the learned strength that generalizes lies above
    chance: (Σ generalizable − Σ by chance) / (Σ learned − Σ by chance). To κ, weighted by 1 / (bootstrap variance +
    0.01²), the best curve that rises to one peak and then falls is fitted. 1|2 is the end of the interval where it is
    highest; 2|3 the start of the first later one where it is below `share` of that, as a third of the resamples say.
    Neither is reported unless the peak is above 0, and above both ends of the curve, by 3 bootstrap standard errors.

    Args:
        epochs: `[E]`, recorded ones, ascending.
        learned: strength learned in each interval, `[samples, E − 1]`, nats; see `flows`.
        generalizable: the generalizable part of it, of the same shape.
        by_chance: the part that would be generalizable by chance, of the same shape.
        share: of the highest κ, below which the third phase begins.
        weights: of the samples in each resample, `[resamples, samples]`; default: samples drawn with replacement. For
            strata, draw within each. Several baseline networks: (baseline, sample) pairs are the rows; draw both.
        confidence: of the intervals.
        resamples: of the bootstrap, with its seed, if there are no `weights`.

    Raises:
        ValueError: shapes do not fit, epochs do not ascend, or a value is out of its range.
    """
    epochs, flows = _checked(epochs, learned, generalizable, by_chance, share)
    count = flows.shape[1]
    if weights is None:
        weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    kappa, drawn = _above_chance(flows.mean(1)), _above_chance(weights @ flows)
    error = drawn.std(0)
    precision = np.where(flows[0].any(0), 1 / (error**2 + FLOOR**2), 1e-9)  # an interval without flow says nothing
    fits = np.stack([unimodal(values, precision) for values in (kappa, *drawn)])  # the first: of all samples
    peaks = fits.argmax(1)
    low = (fits < share * fits.max(1)[:, None]) & (np.arange(len(kappa)) > peaks[:, None])
    turns = np.where(low.any(1), low.argmax(1), len(kappa))  # the first later interval that is below the share
    turns[0] = np.percentile(turns[1:], 100 / 3, method="inverted_cdf")  # noise lowers the peak: half of them are late
    curves = kappa, error, fits[0]
    top = fits[:, peaks[0]]
    best = f"at most {top[0]:.2f} above chance, from epoch {epochs[peaks[0]]:g} to {epochs[peaks[0] + 1]:g}"
    for contrast, words in (
        (top, "nowhere clearly generalizes beyond chance"),
        (top - fits[:, 0], "does not clearly begin to generalize better"),
        (top - fits[:, -1], "does not clearly cease to generalize"),
    ):
        if not contrast[0] > MIN_Z * contrast[1:].std():
            return Phases(None, None, None, None, f"what is learned {words} ({best})", *curves)

    def boundary(places: np.ndarray) -> tuple[float, tuple[float, float]]:
        percent = 50 * (1 - confidence), 50 * (1 + confidence)
        low, high = np.percentile(epochs[places[1:]], percent, method="inverted_cdf").tolist()
        return float(epochs[places[0]]), (low, high)

    first, interval_12 = boundary(peaks + 1)
    if turns[0] == len(kappa):
        reason = f"what is learned never generalizes less than {share:g} times as well as at its best ({best})"
        return Phases(first, None, interval_12, None, reason, *curves)
    second, interval_23 = boundary(turns)
    return Phases(first, second, interval_12, interval_23, None, *curves)


def _checked(
    epochs: np.ndarray, learned: np.ndarray, generalizable: np.ndarray, by_chance: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the epochs as floats and the flows as one array `[3, samples, E − 1]`, after checks."""
    epochs, shapes = np.asarray(epochs, float), [np.shape(flow) for flow in (learned, generalizable, by_chance)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2 or epochs.shape != (shapes[0][1] + 1,) or len(epochs) < 2:
        raise ValueError(f"epochs {epochs.shape} and flows {shapes} do not fit; pass [E] and three [samples, E - 1]")
    if not (np.diff(epochs) > 0).all():
        raise ValueError(f"epochs must ascend; they are {epochs.tolist()}")
    flows = np.asarray([learned, generalizable, by_chance], float)
    if not (np.isfinite(flows) & (flows >= 0) & (flows <= flows[0] * (1 + 1e-6))).all():
        raise ValueError("a flow is negative, not finite or above what is learned; pass strengths and parts of them")
    if not 0 < share < 1:
        raise ValueError(f"the share is {share}; it must be between 0 and 1 (0.5 is usual)")
    return epochs, flows


def _above_chance(sums: np.ndarray) -> np.ndarray:
    """Returns κ of sums `[3, ..., E − 1]`: `[..., E − 1]`; 0 where nothing is learned or all of it is by chance."""
    room = sums[0] - sums[2]
    return np.divide(sums[1] - sums[2], room, out=np.zeros_like(room), where=room > 1e-12 * sums[0].max())


def unimodal(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the best curve that rises to one peak and then falls, by weighted least squares: `[m]`.

    >>> unimodal(np.array([1.0, 0.0, 4.0, 2.0, 3.0]), np.ones(5)).tolist()
    [0.5, 0.5, 4.0, 2.5, 2.5]
    """
    rising, falling = _misfits(values, weights), _misfits(values[::-1], weights[::-1])[::-1]
    split = 1 + int(np.argmin(rising + np.append(falling[1:], 0)))
    up = isotonic_regression(values[:split], weights=weights[:split]).x
    if split < len(values):
        return np.append(up, isotonic_regression(values[split:], weights=weights[split:], increasing=False).x)
    return up


def _misfits(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the squared error of the best rising fit to the first 1, 2, … values: `[m]`, by pooling violators."""
    means, masses, error, errors = [], [], 0.0, []
    for mean, mass in zip(values.tolist(), weights.tolist(), strict=True):
        while means and means[-1] >= mean:
            other, more = means.pop(), masses.pop()
            error += mass * more / (mass + more) * (mean - other) ** 2
            mean, mass = (mass * mean + more * other) / (mass + more), mass + more
        means.append(mean)
        masses.append(mass)
        errors.append(error)
    return np.array(errors)
