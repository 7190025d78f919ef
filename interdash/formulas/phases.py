"""The boundaries between the three phases of a run, from generalizable and non-generalizable strength by epoch.

Source: the three phases are three-phase (arXiv 2505.06993), in words only; this rule for their boundaries is ours.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise, product

import numpy as np
from scipy import interpolate, stats

MAX_KNOTS = 3
MIN_CURVED = 10  # recorded epochs, for a smoothing spline to be told from broken lines
MAX_FREEDOM = 0.6  # degrees of freedom of a smoothing spline, a share of the recorded epochs
PENALTIES = np.logspace(-3, 8, 45)  # smoothness of splines, for recorded epochs one apart and weights about 1
COARSE = 24  # candidate knots of the first search; longer runs are refined around the best ones
MIN_Z = 3.0  # a rise or fall counts as real from this many bootstrap standard errors: the extremes were searched for
MIN_SHARE = 0.01  # … and from this share: of H, or of the largest strength
MIN_APART = 2 / 3  # of the resamples, for the peak of H to lie clearly before the second boundary


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
    by continuous broken lines with 0–3 knots at recorded epochs, the same for both strengths (or for H and their sum),
    by least squares weighted with 1 / standard error; the number of knots and the time axis (recorded epochs, epochs or
    log epochs) have the lowest Bayesian information criterion. Where cubic smoothing splines, as smooth as restricted
    maximum likelihood says, predict better, by generalized cross-validation and by more than a quarter of what a knot
    costs, the curves bend everywhere, and the splines are taken. On them:

    * 1|2 is the peak of H = generalizable / (generalizable + non-generalizable).
    * 2|3 is where non-generalizable − generalizable, from there on, is smallest: after it, non-generalizable strength
      grows faster. H rose all through phase 2 if generalizable strength does not clearly lead until then, or if the
      peak is not clearly before it (more than one recorded epoch, in two of three resamples) and non-generalizable
      strength fell. Then 1|2 is where that stops falling (a corner of its broken line), None if it never fell.
    * A boundary is reported if the curve clearly turns there: both sides by 3 bootstrap standard errors and 1 %; the
      lead of generalizable strength in phase 2 by 1.5, as samples differ in size.
    * Every resample of the bootstrap chooses knots, axis, spline and smoothness anew, so the intervals contain that
      choice; whether a boundary is reported asks the smoother of the full sample.

    Source: ours, for the words of three-phase (arXiv 2505.06993).

    Raises:
        ValueError: shapes do not fit, epochs do not ascend, fewer than 2 samples, a strength is negative or not finite.
    """
    epochs, strengths = _checked(epochs, generalizable, non_generalizable)  # [E], [samples, 2, E]
    if len(epochs) < 5 or not strengths.any():
        return Phases(None, None, None, None)
    means = strengths.mean(0)
    smoothers = _smoothers(epochs, means, _weights(strengths))
    chosen = [smoothers[int(i)] for (i,) in _choose(smoothers, means[None])]
    if all(smoother.is_straight for smoother in chosen):
        return Phases(None, None, None, None)
    times = chosen[-1].axis
    curves = _fit(chosen, means[None])[0]
    places = _contrast_places(times, curves)

    def statistic(rows: np.ndarray, axis: int) -> np.ndarray:
        rows = np.moveaxis(np.atleast_2d(rows), axis, -1)
        drawn = np.stack([strengths[r].mean(0) for r in rows])
        turns = np.empty((3, len(drawn)), int)
        choices, which = np.unique(_choose(smoothers, drawn), axis=1, return_inverse=True)
        for i, choice in enumerate(choices.T):
            again, mine = [smoothers[j] for j in choice], np.flatnonzero(which == i)
            turns[:, mine] = np.array([_turns(again[-1].axis, c) for c in _fit(again, drawn[mine])]).T
        apart = turns[1] - turns[0] > 1
        return np.vstack([epochs[turns], apart, _contrasts(_fit(chosen, drawn), places)])

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
    limits = MIN_Z * np.array([1, 1, 0.5, 1, 1]) * np.asarray(found.standard_error)[4:]
    clear = _contrasts(curves[None], places)[:, 0] > np.maximum(limits, MIN_SHARE)
    up, down, leads, outgrown, fell = clear.tolist()
    apart = found.bootstrap_distribution[3].mean() > MIN_APART
    ends = zip(epochs[list(_turns(times, curves))], *np.array(found.confidence_interval)[:, :3], strict=True)
    peak, outgrows, fallen = ((float(epoch), (float(low), float(high))) for epoch, low, high in ends)
    nothing = (None, None)
    if up and down and outgrown and (not leads or (fell and not apart)):  # H rose all through the second phase
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


class Smoother(ABC):
    """What smooths a pair of curves, each point weighted: both strengths, or H and the total strength."""

    is_straight = False

    def __init__(self, axis: np.ndarray, *, of_share: bool, weights: np.ndarray) -> None:
        """`axis` is `[E]`, 0 … 1; `weights` are `[2, E]`."""
        self.axis, self.of_share, self.weights = axis, of_share, weights

    def pair(self, means: np.ndarray) -> np.ndarray:
        """Returns the weighted pair of curves `[2, E, B]` of mean strengths `[B, 2, E]`."""
        pair = np.stack([_share(means), means.sum(-2)], -2) if self.of_share else means
        return np.moveaxis(pair * self.weights, 0, -1)

    def misfit(self, pair: np.ndarray, unexplained: np.ndarray) -> np.ndarray:
        """Returns E · log(mean squared residual) for sums of squared residuals `[2, …, B]` of a pair `[2, E, B]`."""
        e = len(self.axis)
        return e * np.log(np.maximum(unexplained / e, 1e-9 * (pair**2).mean(1)[:, None] + 1e-300))

    def jacobian(self, means: np.ndarray) -> np.ndarray:
        """Returns what a criterion of (H, total) must gain to compare with one of the strengths: `[B]`."""
        total = means.sum(1)
        logs = np.log(np.maximum(total, 1e-3 * total.max(-1, keepdims=True)))
        return 2 * logs.sum(-1) * self.of_share

    @abstractmethod
    def criteria(self, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns two criteria of mean strengths `[B, 2, E]`, each `[B]` and summed over the pair; the lowest is best.

        First the Bayesian information criterion, by which broken lines are chosen; then E · log(generalized
        cross-validation error), by which they compare with splines.
        """

    @abstractmethod
    def fit(self, means: np.ndarray) -> np.ndarray:
        """Returns the pair of curves, smoothed, `[B, 2, E]`, of mean strengths `[B, 2, E]`."""


class BrokenLines(Smoother):
    """Broken lines with k shared knots on one time axis, fitted by weighted least squares.

    Each curve and every hinge at a candidate knot are split into a straight line and the rest; a set of knots explains
    of that rest what its hinges span.
    """

    def __init__(
        self, axis: np.ndarray, candidates: tuple[int, ...], k: int, *, of_share: bool, weights: np.ndarray
    ) -> None:
        """`axis` is `[E]`, 0 … 1; candidates are positions of knots; `weights` are `[2, E]`."""
        super().__init__(axis, of_share=of_share, weights=weights)
        self.k, self.is_straight = k, k == 0
        self.knots = _knots(candidates, k)  # [sets, k]
        lines = np.stack([np.ones_like(axis), axis], -1)
        self.lines = np.linalg.qr(lines * weights[..., None])[0]  # [2, E, 2]
        hinges = self._rest(np.maximum(axis[:, None] - axis, 0) * weights[..., None])  # [2, E, one a position]
        size = np.linalg.norm(hinges, axis=1, keepdims=True)
        self.hinges = hinges / np.where(size > 1e-9, size, 1)
        products = self.hinges.transpose(0, 2, 1) @ self.hinges
        of_sets = products[:, self.knots[:, :, None], self.knots[:, None, :]]  # [2, sets, k, k]
        self.roots = np.linalg.inv(np.linalg.cholesky(of_sets))  # their hinges, made orthonormal

    def _rest(self, values: np.ndarray) -> np.ndarray:
        """Returns what straight lines leave of weighted curves `[2, E, …]`."""
        return values - self.lines @ (self.lines.transpose(0, 2, 1) @ values)

    def misfits(self, means: np.ndarray) -> np.ndarray:
        """Returns E · log(mean squared residual), summed over the pair: `[sets, B]` for mean strengths `[B, 2, E]`."""
        pair = self.pair(means)
        rest = self._rest(pair)
        shadows = (self.hinges.transpose(0, 2, 1) @ rest)[:, self.knots]  # [2, sets, k, B]
        unexplained = (rest**2).sum(1)[:, None] - ((self.roots @ shadows) ** 2).sum(2)  # [2, sets, B]
        return self.misfit(pair, unexplained).sum(0)

    def criteria(self, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the same as `Smoother.criteria`. A knot costs two changes of slope, and its place, searched for."""
        e = len(self.axis)
        misfit = self.misfits(means).min(0) + self.jacobian(means)
        return misfit + self.k * _cost(e), misfit - 4 * e * np.log1p(-min(2 + 2 * self.k, e - 1) / e)

    def fit(self, means: np.ndarray) -> np.ndarray:
        """Returns the same as `Smoother.fit`."""
        best = self.misfits(means).argmin(0)
        pair = self.pair(means)
        rest = self._rest(pair)
        hinges = self.hinges[:, :, self.knots[best]].transpose(0, 2, 1, 3) @ self.roots[:, best].transpose(0, 1, 3, 2)
        explained = hinges @ (hinges.transpose(0, 1, 3, 2) @ np.moveaxis(rest, -1, 1)[..., None])  # [2, B, E, 1]
        fitted = np.moveaxis(pair - rest, -1, 1) + explained[..., 0]
        return np.maximum(np.moveaxis(fitted, 0, 1) / self.weights, 0)


class Splines(Smoother):
    """Cubic smoothing splines on one time axis, each curve as smooth as restricted maximum likelihood says.

    Source: Wahba 1985 (there "generalized maximum likelihood"). In the basis that makes splines diagonal, a part that
    penalty 1 shrinks to s of itself, penalty λ shrinks to s / (s + λ(1 − s)).
    """

    def __init__(self, axis: np.ndarray, *, of_share: bool, weights: np.ndarray) -> None:
        """`axis` is `[E]`, 0 … 1; `weights` are `[2, E]`."""
        super().__init__(axis, of_share=of_share, weights=weights)
        x, unit = axis * (len(axis) - 1), np.eye(len(axis))
        hats = [interpolate.make_smoothing_spline(x, unit, w**2, lam=1.0)(x) for w in weights]
        alike = [w[:, None] * hat / w for w, hat in zip(weights, hats, strict=True)]  # symmetric
        shares, self.basis = np.linalg.eigh([(a + a.T) / 2 for a in alike])  # [2, E], [2, E, E]
        shares = np.clip(shares, 1e-12, 1 - 1e-15)[:, None]
        self.shrinks = shares / (shares + PENALTIES[:, None] * (1 - shares))  # [2, penalties, E]
        freedom = self.shrinks.sum(-1) / len(axis)  # [2, penalties]
        bent = -np.log1p(-self.shrinks[..., :-2]).sum(-1)  # the last two parts are the straight line
        self.volumes = np.where(freedom < MAX_FREEDOM, bent, np.inf)
        self.costs = -2 * len(axis) * np.log1p(-np.minimum(freedom, MAX_FREEDOM))

    def _smoothed(self, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the criterion of each curve, `[2, B]`, and the curves, smoothed, `[2, E, B]`, both weighted."""
        pair = self.pair(means)
        parts = self.basis.transpose(0, 2, 1) @ pair
        left = (1 - self.shrinks) @ parts**2  # [2, penalties, B]
        likelihood = (len(self.axis) - 2) * np.log(np.maximum(left, 1e-300)) + self.volumes[..., None]
        best = likelihood.argmin(1)  # -2 log likelihood is smallest
        costs = np.take_along_axis(self.costs, best, 1)
        shrinks = np.take_along_axis(self.shrinks, best[..., None], 1).transpose(0, 2, 1)  # [2, E, B]
        unexplained = (((1 - shrinks) * parts) ** 2).sum(1, keepdims=True)
        return self.misfit(pair, unexplained)[:, 0] + costs, self.basis @ (shrinks * parts)

    def criteria(self, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the same as `Smoother.criteria`; splines are not chosen by information."""
        return np.full(len(means), np.inf), self._smoothed(means)[0].sum(0) + self.jacobian(means)

    def fit(self, means: np.ndarray) -> np.ndarray:
        """Returns the same as `Smoother.fit`."""
        return np.maximum(np.moveaxis(self._smoothed(means)[1], -1, 0) / self.weights, 0)


def _cost(e: int) -> float:
    """Returns what a knot of two curves of e points costs."""
    return 4 * np.log(2 * e)


def _weights(strengths: np.ndarray) -> dict[bool, np.ndarray]:
    """Returns 1 / standard error of the curves that a smoother fits, `[2, E]`, by `Smoother.of_share`.

    That of H is by its influence function. To each standard error `MIN_SHARE` of the largest strength is added in
    squares (to that of H, `MIN_SHARE`). The geometric mean over epochs is 1, so that information criteria compare.
    """
    means = strengths.mean(0)
    total = strengths.sum(1)
    share = _share(means)
    influence = (strengths[:, 0] - share * total) / np.where(means.sum(0) > 0, means.sum(0), 1)

    def errors(values: np.ndarray, scale: float) -> np.ndarray:
        return np.hypot(values.std(0, ddof=1) / np.sqrt(len(values)), MIN_SHARE * scale)

    found = {
        False: 1 / errors(strengths, means.max()),
        True: 1 / np.stack([errors(influence, 1.0), errors(total, means.sum(0).max())]),
    }
    return {which: w / np.exp(np.log(w).mean(-1, keepdims=True)) for which, w in found.items()}


def _smoothers(epochs: np.ndarray, means: np.ndarray, weights: dict[bool, np.ndarray]) -> list[Smoother]:
    """Returns every smoother that may be chosen, for mean strengths `[2, E]`."""
    e = len(epochs)
    coarse = tuple(int(i) for i in np.unique(np.linspace(1, e - 2, min(e - 2, COARSE)).round()))
    reach = int(np.ceil((e - 2) / COARSE))  # how far apart coarse candidates are
    # refined at 1, 2, 4, … epochs from the best: exact near it, and few in all
    offsets = {sign * min(2**i, reach) for sign in (-1, 1) for i in range(reach.bit_length() + 1)}
    lines = [(line - line[0]) / (line[-1] - line[0]) for line in (np.arange(e), epochs, np.log1p(epochs))]
    made: list[Smoother] = []
    if e >= MIN_CURVED:
        made = [Splines(axis, of_share=which, weights=w) for axis, (which, w) in product(lines, weights.items())]
    for axis, of_share in product(lines, (False, True)):
        for k in range(min(MAX_KNOTS, (e - 1) // 2) + 1):
            smoother = BrokenLines(axis, coarse, k, of_share=of_share, weights=weights[of_share])
            if len(coarse) < e - 2 and k:  # refine between the coarse candidates
                best = smoother.misfits(means[None])[:, 0].argmin()
                near = {int(i) + d for i in smoother.knots[best] for d in offsets}
                finer = tuple(sorted({*coarse, *(near & set(range(1, e - 1)))}))
                smoother = BrokenLines(axis, finer, k, of_share=of_share, weights=weights[of_share])
            made.append(smoother)
    return made


def _choose(smoothers: Sequence[Smoother], means: np.ndarray) -> np.ndarray:
    """Returns which smoothers of H, of the strengths, and of the strengths by broken lines are chosen: `[3, B]`.

    H comes from the curves that fit better, (H, total) or (strengths): a peak stays sharp either way. `means` are
    `[B, 2, E]`.
    """
    of_share = np.array([smoother.of_share for smoother in smoothers])
    curved = np.array([isinstance(smoother, Splines) for smoother in smoothers])
    information, validation = np.stack([smoother.criteria(means) for smoother in smoothers], 1)
    found = []
    for allowed in (np.ones_like(of_share), ~of_share):
        lines = np.where((allowed & ~curved)[:, None], information, np.inf).argmin(0)
        splines = np.where((allowed & curved)[:, None], validation, np.inf)
        margin = np.take_along_axis(validation, lines[None], 0)[0] - splines.min(0)
        found += [np.where(margin > _cost(means.shape[-1]) / 4, splines.argmin(0), lines), lines]
    return np.stack([found[0], *found[2:]])


def _fit(smoothers: Sequence[Smoother], means: np.ndarray) -> np.ndarray:
    """Returns what smoothers, as chosen, make of mean strengths `[B, 2, E]`: `[B, 4, E]`.

    In turn: H, generalizable, non-generalizable, and non-generalizable by broken lines.
    """
    of_h, of_strengths, of_lines = (smoother.fit(means) for smoother in smoothers)
    share = np.minimum(of_h[:, 0], 1) if smoothers[0].of_share else _share(of_h)
    return np.concatenate([share[:, None], of_strengths, of_lines[:, 1:]], 1)


def _share(curves: np.ndarray) -> np.ndarray:
    """Returns H, the generalizable share, of curves `[..., 2, E]`: `[..., E]`; 0 where both are 0."""
    total = curves.sum(-2)
    return curves[..., 0, :] / np.where(total > 0, total, 1)


def _turns(times: np.ndarray, curves: np.ndarray) -> tuple[int, int, int]:
    """Returns three positions: the peak of H, from where on it is outgrown, and where non-generalizable strength fell.

    The last one is before the peak: the sharpest end of a fall of its broken line; 0 without any. `times` are its axis.
    """
    lead, other = curves[2] - curves[1], curves[3]
    peak = int(curves[0].argmax())
    slopes = np.diff(other) / np.diff(times)
    bends = (np.diff(slopes) * (slopes[:-1] < 0))[: max(peak - 1, 0)]
    return peak, peak + int(lead[peak:].argmin()), 1 + int(bends.argmax()) if bends.any() else 0


def _contrast_places(times: np.ndarray, curves: np.ndarray) -> list[tuple[int, int, int]]:
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
    scale = curves[:, 1:3].max((-2, -1))[:, None]
    scale = np.where(scale > 0, scale, 1)
    lines = [curves[:, 0], curves[:, 2] / scale, (curves[:, 2] - curves[:, 1]) / scale]
    return np.stack([lines[line][:, high] - lines[line][:, low] for line, high, low in places])
