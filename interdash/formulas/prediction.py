"""What a theory of noise predicts of the distribution over orders: one number σ² for each state of a network.

Interactions w* of the converged network are what training goes to. Before, noise of variance 2^|S| σ² on the function
that each interaction is holds them back, the more the higher their order, and the network has

    ŵ = (JᵀJ + 2ⁿ σ² diag(2^|S|))⁻¹ JᵀJ w*,   J[T, S] = 1(S ⊆ T).

σ² falls while the network learns, and the strength moves from low to high orders. Source: symbolic-dynamics (arXiv
2407.19198), which explains the second phase by it; the first, in which noise is removed, it does not cover.

JᵀJ and diag(2^|S|) are Kronecker powers of 2×2 matrices, so that one eigendecomposition of 2×2 numbers serves every n
and σ². The interactions w* are taken with w*_∅ as given. An OR interaction is an AND interaction of the complement
(1(S ∩ T ≠ ∅) = 1 − 1(S ⊆ N∖T)), so that the same holds for OR by itself. How σ² is chosen is not published: the least
squared error of the normalised profile is ours, and so are the intervals and the nulls that a fit stands beside.
"""

from functools import cache, reduce
from math import comb
from typing import Any

import numpy as np

from interdash.formulas.bootstrap import Group, distribution, sample_weights
from interdash.formulas.subsets import n_variables, orders

SALIENT = 0.03  # of |Σŵ − ŵ_∅|: weaker predicted interactions are left out, as published
SIGMA2 = np.logspace(-6, 3, 181)  # what is tried for σ²
_VALUES, _VECTORS = np.linalg.eigh([[2.0, 0.5**0.5], [0.5**0.5, 0.5]])  # JᵀJ of one variable, scaled by diag(1, √2)


def spindle(n: int) -> np.ndarray:
    """Returns the share of each order 1 to n in the strength of interactions of independent random outputs.

    An AND interaction of order k is a signed sum of 2^k outputs, so its size grows as 2^(k/2), and there are C(n, k) of
    them: share(k) ∝ C(n, k) · 2^(k/2).

    Source: the spindle of untrained networks is two-phase (arXiv 2405.10262). The formula is ours, and of Harsanyi
    interactions: a sparse split of the same outputs has more of its strength at low orders.

    >>> spindle(2).round(3).tolist()
    [0.586, 0.414]
    """
    weights = np.array([comb(n, k) * 2 ** (k / 2) for k in range(1, n + 1)])
    return weights / weights.sum()


def predicted(w_star: np.ndarray, sigma2: float) -> np.ndarray:
    """Returns ŵ `[..., 2**n]`, what noise of variance σ² leaves of interactions w* `[..., 2**n]`, in their unit.

    Source: symbolic-dynamics (arXiv 2407.19198); see the module.

    >>> np.allclose(predicted(np.array([0.0, 1.0, 0.0, 4.0]), 0.0), [0.0, 1.0, 0.0, 4.0])
    True

    Raises:
        ValueError: σ² is negative.
    """
    if not sigma2 >= 0:
        raise ValueError(f"sigma2 is {sigma2}; a variance is 0 or above")
    n = n_variables(w_star.shape[-1])
    scale = 2.0 ** (orders(n) / 2)
    return _back(_forth(w_star * scale), n, sigma2) / scale


def shrinkage(n: int, sigma2: float) -> np.ndarray:
    """Returns ‖m̂_S‖ of every order of S, 0 to n, `[n + 1]`: the length of a row of the matrix that makes ŵ of w*.

    It is the same for all S of an order. 1 without noise; with much of it, each order has √10 = 3.16 times what the
    next has; the limits are ours. Source: symbolic-dynamics (arXiv 2407.19198), Proposition 1, known from numbers.

    >>> shrinkage(3, 0.0).round(9).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    rows = np.zeros((n + 1, 2**n))
    rows[np.arange(n + 1), 2 ** np.arange(n + 1) - 1] = 1.0  # one S of each order
    scale = 2.0 ** (orders(n) / 2)
    return np.linalg.norm(_back(_forth(rows), n, sigma2) * scale, axis=1) / 2.0 ** (np.arange(n + 1) / 2)


def predicted_strengths(w_star: np.ndarray, sigma2: float) -> np.ndarray:
    """Returns Σ|ŵ_S| over the salient S of each order 1 … n, `[..., n]`, of interactions w* `[..., 2**n]`, in nats.

    Salient: |ŵ_S| ≥ 0.03 · |Σŵ − ŵ_∅|, as published; where none is, all count.
    """
    return _by_order(predicted(w_star, sigma2))


def _by_order(effects: np.ndarray) -> np.ndarray:
    strength = np.abs(effects)
    salient = strength >= SALIENT * np.abs(effects[..., 1:].sum(-1, keepdims=True))
    salient |= ~salient[..., 1:].any(-1, keepdims=True)
    strength *= salient
    return strength @ _of_order(n_variables(effects.shape[-1])).astype(strength.dtype)


def predicted_profile(w_star: np.ndarray, sigma2: float) -> np.ndarray:
    """Returns the predicted mean strength of each order 1 … n divided by their mean, `[n]`: it sums to n.

    Args:
        w_star: interactions of the converged network, `[samples, 2**n]`, the salient ones, else 0; nats.
        sigma2: variance of the noise.
    """
    return normalised(predicted_strengths(w_star, sigma2).mean(0))


def normalised(strengths: np.ndarray) -> np.ndarray:
    """Returns strengths `[..., n]` divided by their mean over orders, so that they sum to n; NaN without any.

    Source: symbolic-dynamics (arXiv 2407.19198).
    """
    mean = strengths.mean(-1, keepdims=True)
    return np.divide(strengths, mean, out=np.full(strengths.shape, np.nan), where=mean > 0)


def r_squared(measured: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Returns the share of the variance over orders of profiles `[..., n]` that others explain; 1 = the same."""
    rest = ((measured - expected) ** 2).sum(-1)
    whole = ((measured - measured.mean(-1, keepdims=True)) ** 2).sum(-1)
    return 1 - np.divide(rest, whole, out=np.full(rest.shape, np.nan), where=whole > 0)


class Prediction:
    """The profiles that the theory predicts for one converged network, at every σ² that is tried."""

    def __init__(self, w_star: np.ndarray) -> None:
        """Computes them from the interactions `[samples, types, 2**n]`, the salient ones, else 0; nats."""
        self.n = n_variables(w_star.shape[-1])
        self.scale = 2.0 ** (orders(self.n) / 2)
        self.turned = _forth(w_star * self.scale)
        rough = self.turned.astype(np.float32)  # half the time; 1e-6 of a profile
        strengths = [self._by_type(rough, sigma2).sum(1) for sigma2 in SIGMA2]
        self.strengths = np.stack(strengths).astype(float)  # [σ², samples, n]

    def at(self, sigma2: float) -> np.ndarray:
        """Returns the predicted strength of each sample and order, all types together, `[samples, n]`, nats."""
        return self.by_type(sigma2).sum(1)

    def by_type(self, sigma2: float) -> np.ndarray:
        """Returns the same of each type, `[samples, types, n]`."""
        return self._by_type(self.turned, sigma2)

    def _by_type(self, turned: np.ndarray, sigma2: float) -> np.ndarray:
        left = _back(turned, self.n, sigma2)
        left /= self.scale
        return _by_order(left)

    def fit(self, strengths: np.ndarray) -> float:
        """Returns the σ² whose profile has the least squared error, for measured strengths `[samples, n]` in nats.

        Between 1e-6 and 1e3; NaN without any strength.
        """
        from scipy import optimize  # takes half a second to import

        target = normalised(strengths.mean(0))
        if np.isnan(target).any():
            return np.nan

        def error(log_sigma2: float) -> float:
            return float(((normalised(self.at(np.exp(log_sigma2)).mean(0)) - target) ** 2).sum())

        errors = ((normalised(self.strengths.mean(1)) - target) ** 2).sum(-1)
        best = int(errors.argmin())
        ends = np.log(SIGMA2[[max(best - 1, 0), min(best + 1, len(SIGMA2) - 1)]])
        nearby: Any = optimize.minimize_scalar(error, bounds=ends, method="bounded", options={"xatol": 1e-5})
        return float(np.exp(nearby.x) if nearby.fun < errors[best] else SIGMA2[best])

    def resampled(self, strengths: np.ndarray, group: Group) -> np.ndarray:
        """Returns σ² of bootstrap resamples of the samples, `[epochs, resamples]`; NaN where one has no strength.

        Both w* and what is measured are of the samples drawn. To the nearest σ² that is tried.

        Args:
            strengths: measured, `[epochs, samples, n]`, nats.
            group: of the samples, as in `bootstrap.distribution`.
        """

        def closest(drawn: np.ndarray) -> np.ndarray:
            weights = sample_weights(drawn)  # [resamples, samples]
            expected = np.stack([normalised(weights @ of_one) for of_one in self.strengths])  # [σ², resamples, n]
            squares, best = (expected**2).sum(-1), []
            for target in (normalised(weights @ of_epoch) for of_epoch in strengths):
                error = squares - 2 * np.einsum("srn,rn->sr", expected, target)  # but for the target's own square
                known = ~np.isnan(error).any(0)
                best.append(np.where(known, SIGMA2[np.nan_to_num(error).argmin(0)], np.nan))
            return np.stack(best)

        return distribution(closest, group)


@cache
def _of_order(n: int) -> np.ndarray:
    return np.eye(n + 1)[orders(n)][:, 1:]  # [2^n, n]


@cache
def _powers(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the eigenvectors of the upper and the lower half of n variables, and all eigenvalues `[2**n]`."""
    halves = [reduce(np.kron, [_VECTORS] * count, np.eye(1)) for count in (n - n // 2, n // 2)]
    return halves[0], halves[1], reduce(np.kron, [_VALUES] * n, np.ones(1))


def _forth(w: np.ndarray) -> np.ndarray:
    """Returns vectors `[..., 2**n]` in the eigenvectors' coordinates, `[..., 2**(n − n//2), 2**(n//2)]`."""
    upper, lower, _ = _powers(n_variables(w.shape[-1]))
    return upper.T @ w.reshape(*w.shape[:-1], len(upper), len(lower)) @ lower


def _back(turned: np.ndarray, n: int, sigma2: float) -> np.ndarray:
    """Returns what is left of vectors in the eigenvectors' coordinates, `[..., 2**n]`."""
    upper, lower, values = _powers(n)
    kept = (values / (values + 2.0**n * sigma2)).reshape(len(upper), len(lower))
    upper, kept, lower = (of.astype(turned.dtype) for of in (upper, kept, lower))
    return (upper @ (turned * kept) @ lower.T).reshape(*turned.shape[:-2], 2**n)
