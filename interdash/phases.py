"""The boundaries between the three phases of a run, from generalizable and non-generalizable strength by epoch.

Source: the three phases are three-phase (arXiv 2505.06993), in words only; this rule for their boundaries is ours.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations, pairwise, product
from typing import NamedTuple

import numpy as np
from scipy import stats

MAX_KNOTS = 3
COARSE = 24  # candidate knots of the first search; longer runs are refined around the best ones
MIN_Z = 3.0  # a rise or fall counts as real from this many bootstrap standard errors: the extremes were searched for
MIN_SHARE = 0.01  # … and from this share: of H, or of the largest strength


@dataclass(frozen=True)
class Phases:
    """Where phases 1|2 and 2|3 meet: recorded epochs, or None where the evidence is missing.

    boundary_12: the epoch where H, the generalizable share of the strength, peaks.
    boundary_23: the first epoch from there on after which non-generalizable strength grows faster than generalizable.
    Intervals: bootstrap over samples, None with their boundary.
    """

    boundary_12: float | None
    boundary_23: float | None
    interval_12: tuple[float, float] | None
    interval_23: tuple[float, float] | None


def find_phases(
    epochs: np.ndarray,
    generalizable: np.ndarray,
    non_generalizable: np.ndarray,
    *,
    confidence: float = 0.95,
    resamples: int = 300,
    seed: int = 0,
) -> Phases:
    """Returns the phase boundaries of a run and their bootstrap intervals.

    `epochs` is `[E]`, ascending; the strengths are `[samples, E]` in nats. The curves (means over samples) are smoothed
    by continuous broken lines with 0–3 knots at recorded epochs, the same for both strengths (or for H and their sum);
    the number of knots and the time axis (recorded epochs, epochs or log epochs) have the lowest Bayesian information
    criterion. On them:

    * 1|2 is the peak of H = generalizable / (generalizable + non-generalizable).
    * 2|3 is where non-generalizable − generalizable, from there on, is smallest: after it, non-generalizable strength
      grows faster. If that is the peak of H itself, H rose all through the second phase; then 1|2 is where
      non-generalizable strength stops falling, and None if it never fell.
    * A boundary is reported if the curve clearly turns there: both sides by 3 bootstrap standard errors and 1 %; the
      lead of generalizable strength in phase 2 by 1.5, as samples differ in size.

    Source: ours, for the words of three-phase (arXiv 2505.06993).

    Raises:
        ValueError: shapes do not fit, epochs do not ascend, fewer than 2 samples, a strength is negative or not finite.
    """
    epochs, strengths = _checked(epochs, generalizable, non_generalizable)  # [E], [samples, 2, E]
    if len(epochs) < 5 or not strengths.any():
        return Phases(None, None, None, None)
    means = strengths.mean(0)
    smoothers = _choose(epochs, means)
    if max(smoother.k for smoother in smoothers) == 0:
        return Phases(None, None, None, None)
    times = smoothers[1].axis
    curves = _fit(smoothers, means[None])[0]
    places = _contrast_places(times, curves)

    def statistic(rows: np.ndarray, axis: int) -> np.ndarray:
        rows = np.moveaxis(np.atleast_2d(rows), axis, -1)
        fitted = _fit(smoothers, np.stack([strengths[r].mean(0) for r in rows]))
        turns = np.array([_turns(times, c) for c in fitted]).T
        return np.vstack([epochs[turns], _contrasts(fitted, places)])

    found = stats.bootstrap(
        (np.arange(len(strengths)),),
        statistic,
        n_resamples=resamples,
        batch=100,
        vectorized=True,
        axis=-1,
        method="percentile",
        confidence_level=confidence,
        rng=np.random.default_rng(seed),
    )
    limits = MIN_Z * np.array([1, 1, 0.5, 1, 1]) * np.asarray(found.standard_error)[3:]
    up, down, leads, outgrown, fell = _contrasts(curves[None], places)[:, 0] > np.maximum(limits, MIN_SHARE)
    ends = zip(epochs[list(_turns(times, curves))], *np.array(found.confidence_interval)[:, :3], strict=True)
    peak, outgrows, fallen = ((float(epoch), (float(low), float(high))) for epoch, low, high in ends)
    nothing = (None, None)
    if up and down and outgrown and not leads:  # H rose all through the second phase
        (first, interval_12), (second, interval_23) = fallen if fell else nothing, outgrows
    else:
        first, interval_12 = peak if up and down else nothing
        second, interval_23 = outgrows if up and down and leads and outgrown else nothing
    return Phases(first, second, interval_12, interval_23)


def _checked(epochs, generalizable, non_generalizable) -> tuple[np.ndarray, np.ndarray]:
    """Returns epochs `[E]` and strengths `[samples, 2, E]` as float64 arrays."""
    epochs = np.asarray(epochs, dtype=np.float64)
    pair = [np.asarray(values, dtype=np.float64) for values in (generalizable, non_generalizable)]
    if epochs.ndim != 1 or any(p.ndim != 2 or p.shape != (len(pair[0]), len(epochs)) for p in pair):
        raise ValueError(
            f"epochs have shape {epochs.shape} and the strengths {pair[0].shape} and {pair[1].shape}; "
            "expected [E] and [samples, E] twice"
        )
    if np.any(np.diff(epochs) <= 0) or np.any(epochs < 0):
        raise ValueError("epochs must ascend from 0 or later, each once; sort the strengths by epoch first")
    if len(pair[0]) < 2:
        raise ValueError(f"{len(pair[0])} samples are too few for a bootstrap; pass at least 2")
    strengths = np.stack(pair, axis=1)
    if not (np.isfinite(strengths).all() and (strengths >= 0).all()):
        raise ValueError("strengths contain negative values, NaN or infinity; pass sums of absolute interactions")
    return epochs, strengths


@cache
def _knots(candidates: tuple[int, ...], k: int) -> np.ndarray:
    """Returns all sets of k candidate knots that are at least two recorded epochs apart: `[sets, k]`."""
    sets = [c for c in combinations(candidates, k) if all(b - a > 1 for a, b in pairwise(c))]
    return np.array(sets, dtype=np.int64).reshape(len(sets), k)


class Smoother(NamedTuple):
    """What is fitted: broken lines with k knots among the candidates, on one time axis, of one pair of curves."""

    axis: tuple[float, ...]  # [E], 0 … 1
    candidates: tuple[int, ...]  # recorded epochs
    k: int
    of_share: bool  # of H and the total strength; else of the two strengths


@lru_cache(maxsize=48)
def _bases(smoother: Smoother) -> np.ndarray:
    """Returns an orthonormal basis of the broken lines of every set of knots: `[sets, E, k + 2]`."""
    x = np.array(smoother.axis)
    knots = _knots(smoother.candidates, smoother.k)
    lines = np.broadcast_to(np.stack([np.ones_like(x), x], -1), (len(knots), len(x), 2))
    hinges = np.maximum(x[:, None] - x[knots][:, None, :], 0)  # [sets, E, k]
    return np.linalg.qr(np.concatenate([lines, hinges], -1))[0]


def _pair(smoother: Smoother, means: np.ndarray) -> np.ndarray:
    """Returns the pair of curves that is fitted, `[B, 2, E]`, of mean strengths `[B, 2, E]`."""
    return np.stack([_share(means), means.sum(-2)], -2) if smoother.of_share else means


def _misfits(smoother: Smoother, means: np.ndarray) -> np.ndarray:
    """Returns E · Σ over both curves of log(mean squared residual): `[sets, B]` for mean strengths `[B, 2, E]`."""
    pair = _pair(smoother, means)
    b, _, e = pair.shape
    explained = ((_bases(smoother).transpose(0, 2, 1) @ pair.reshape(2 * b, e).T) ** 2).sum(1).reshape(-1, b, 2)
    residual = np.maximum(((pair**2).sum(-1) - explained) / e, 1e-9 * (pair**2).mean(-1)) + 1e-300
    return e * np.log(residual).sum(-1)


def _choose(epochs: np.ndarray, means: np.ndarray) -> tuple[Smoother, Smoother]:
    """Returns the smoothers for H and for the strengths with the lowest information criterion, of means `[2, E]`.

    H comes from the curves that fit better, (H, total) or (strengths): a peak stays sharp either way.
    """
    e = len(epochs)
    coarse = tuple(int(i) for i in np.unique(np.linspace(1, e - 2, min(e - 2, COARSE)).round()))
    step = int(np.ceil((e - 2) / COARSE))
    total = means.sum(0)
    jacobian = 2 * np.log(np.maximum(total, 1e-3 * total.max())).sum()  # of (strengths) → (share, total)
    found: dict[bool, tuple[float, Smoother]] = {}
    for line, of_share in product((np.arange(e), epochs, np.log1p(epochs)), (False, True)):
        axis = tuple((line - line[0]) / (line[-1] - line[0]))
        for k in range(min(MAX_KNOTS, (e - 1) // 2) + 1):
            smoother = Smoother(axis, coarse, k, of_share)
            misfits = _misfits(smoother, means[None])[:, 0]
            if len(coarse) < e - 2 and k:  # refine between the coarse candidates
                near = {int(i) + d for i in _knots(coarse, k)[misfits.argmin()] for d in range(-step, step + 1)}
                smoother = smoother._replace(candidates=tuple(sorted({*coarse, *(near & set(range(1, e - 1)))})))
                misfits = _misfits(smoother, means[None])[:, 0]
            # a knot: two changes of slope, and its place, which was searched for
            criterion = misfits.min() + of_share * jacobian + 4 * k * np.log(2 * e)
            if of_share not in found or criterion < found[of_share][0]:
                found[of_share] = criterion, smoother
    return min(found.values(), key=lambda pair: pair[0])[1], found[False][1]


def _fit(smoothers: tuple[Smoother, Smoother], means: np.ndarray) -> np.ndarray:
    """Returns smoothed (H, generalizable, non-generalizable) `[B, 3, E]` of mean strengths `[B, 2, E]`."""
    fitted = []
    for smoother in smoothers:
        bases = _bases(smoother)[_misfits(smoother, means).argmin(0)]  # [B, E, k + 2]
        fitted.append(np.maximum(_pair(smoother, means) @ bases @ bases.transpose(0, 2, 1), 0))
    share = np.minimum(fitted[0][:, 0], 1) if smoothers[0].of_share else _share(fitted[0])
    return np.concatenate([share[:, None], fitted[1]], 1)


def _share(curves: np.ndarray) -> np.ndarray:
    """Returns H, the generalizable share, of curves `[..., 2, E]`: `[..., E]`; 0 where both are 0."""
    total = curves.sum(-2)
    return curves[..., 0, :] / np.where(total > 0, total, 1)


def _turns(times: tuple[float, ...], curves: np.ndarray) -> tuple[int, int, int]:
    """Returns three positions: the peak of H, from where on it is outgrown, and where non-generalizable strength fell.

    The last one is before the peak: the sharpest end of a fall; 0 without any.
    """
    lead, other = curves[2] - curves[1], curves[2]
    peak = int(curves[0].argmax())
    slopes = np.diff(other) / np.diff(times)
    bends = (np.diff(slopes) * (slopes[:-1] < 0))[: max(peak - 1, 0)]
    return peak, peak + int(lead[peak:].argmin()), 1 + int(bends.argmax()) if bends.any() else 0


def _contrast_places(times: tuple[float, ...], curves: np.ndarray) -> list[tuple[int, int, int]]:
    """Returns what must be clear, as (line of `_contrasts`, higher position, lower position).

    In turn: H rises to its peak; H falls from it; generalizable strength leads in phase 2; it is outgrown in phase 3;
    non-generalizable strength falls in phase 1.
    """
    peak, outgrown, fallen = _turns(times, curves)
    share, lead = curves[0], curves[2] - curves[1]
    return [
        (0, peak, int(share[: peak + 1].argmin())),
        (0, peak, peak + int(share[peak:].argmin())),
        (2, peak, outgrown),
        (2, outgrown + int(lead[outgrown:].argmax()), outgrown),
        (1, int(curves[2, : fallen + 1].argmax()), fallen),
    ]


def _contrasts(curves: np.ndarray, places: list[tuple[int, int, int]]) -> np.ndarray:
    """Returns the size of each contrast, `[5, B]`: of H, or a share of the largest strength.

    Lines: 0: H; 1: non-generalizable strength; 2: non-generalizable − generalizable strength.
    """
    scale = curves[:, 1:].max((-2, -1))[:, None]
    scale = np.where(scale > 0, scale, 1)
    lines = [curves[:, 0], curves[:, 2] / scale, (curves[:, 2] - curves[:, 1]) / scale]
    return np.stack([lines[line][:, high] - lines[line][:, low] for line, high, low in places])
