"""When an interaction is salient, whether it generalizes, H, strengths by order, and the loss of an output.

Every function takes numpy arrays or torch tensors of any leading shape and returns the same kind: interactions
`[..., samples, subsets]` (last axis: index = bitmask, see `subsets`), thresholds and outputs `[..., samples]`, in nats.
The baseline networks have no epochs: their arrays broadcast against the target's. To treat AND and OR together,
concatenate them on the last axis (not for the sums by order).
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from interdash.formulas.subsets import n_variables, orders

Array: TypeAlias = Any  # numpy array or torch tensor: the functions use what both share and return the same kind


def tau(
    i_and: Array,
    i_or: Array,
    v_empty: Array,
    v_full: Array,
    rule: Literal["mean_output", "max_interaction"] = "mean_output",
    factor: float = 0.03,
) -> Array:
    """Returns the salience threshold τ of every sample: `[..., samples]`, nats.

    "mean_output": factor · mean over samples of |v(x) − v(x_∅)|, the same for all samples of a network and epoch;
    factor 0.03 is usual. "max_interaction": factor · max over S ≠ ∅ and both types of |I(S)|, per sample; 0.05 is
    usual.
    Source: mean_output: symbolic-dynamics (arXiv 2407.19198); max_interaction: primitives (arXiv 2401.16318).

    Raises:
        ValueError: the rule is unknown, the factor is not positive, or there is no sample.
    """
    if factor <= 0:
        raise ValueError(f"the factor of tau is {factor}; it must be above 0 (0.03 is usual)")
    if v_full.shape[-1] == 0:
        raise ValueError("tau needs at least one sample; the last axis of v_full is empty")
    change = abs(v_full - v_empty)
    if rule == "mean_output":
        return factor * change.mean(-1)[..., None] + 0 * change
    if rule == "max_interaction":
        largest = [abs(i[..., 1:]) for i in (i_and, i_or)]
        if isinstance(change, torch.Tensor):
            return factor * torch.cat(largest, -1).amax(-1)
        return factor * np.concatenate(largest, -1).max(-1)
    raise ValueError(f"the rule of tau is {rule!r}; choose 'mean_output' or 'max_interaction'")


def salient(i: Array, tau: Array) -> Array:
    """Returns bool `[..., samples, subsets]`: True where |I(S)| ≥ τ, I(S) ≠ 0 and S ≠ ∅; `tau` is `[..., samples]`.

    For interactions that are AND and OR side by side, the entry of ∅ must be 0 in both, as the split returns it.

    >>> salient(np.array([[9.0, 0.5, -2.0, 1.0]]), np.array([1.0])).tolist()
    [[False, False, True, True]]
    """
    found = (abs(i) >= tau[..., None]) & (i != 0)
    found[..., 0] = False
    return found


def transfers(i_target: Array, i_baseline: Array, tau_target: Array, tau_baseline: Array, *, sign_test: bool) -> Array:
    """Returns bool `[..., samples, subsets]`: True where a salient interaction of the target transfers to a baseline.

    It does if |I_base(S)| ≥ τ_base and, with the sign test, sign I_base(S) = sign I(S): same sample, same type.
    Source: the idea is three-phase (arXiv 2505.06993); the sign test is ours.
    """
    both = salient(i_target, tau_target) & salient(i_baseline, tau_baseline)
    return both & ((i_baseline > 0) == (i_target > 0)) if sign_test else both


def agreed(each: Sequence[Array], vote: Literal["any", "majority"] = "majority") -> Array:
    """Returns G from what `transfers` gives for each baseline network: of their shape, bool.

    One of them suffices ("any"), or more than half must agree ("majority"); with one both are the same. Source: ours.

    >>> each = [np.array([True, True]), np.array([True, False]), np.array([True, False])]
    >>> agreed(each).tolist(), agreed(each, "any").tolist()
    ([True, False], [True, True])

    Raises:
        ValueError: the vote is unknown.
    """
    if vote not in ("any", "majority"):
        raise ValueError(f"the vote is {vote!r}; choose 'any' or 'majority'")
    votes = sum(1 * one for one in each)
    return votes >= 1 if vote == "any" else 2 * votes > len(each)


def generalizes(
    i_target: Array,
    i_baselines: Sequence[Array],
    tau_target: Array,
    tau_baselines: Sequence[Array],
    *,
    sign_test: bool = True,
    vote: Literal["any", "majority"] = "majority",
) -> Array:
    """Returns G, bool `[..., samples, subsets]`: True where a salient interaction of the target generalizes.

    It does if it transfers to the baseline network (`transfers`), or to enough of several (`agreed`). Salient
    interactions that are not G are the non-generalizable ones: `salient(...) & ~generalizes(...)`.

    >>> target, base = np.array([[0.0, 2.0, -3.0, 0.1]]), np.array([[0.0, 1.0, 4.0, 5.0]])
    >>> one = np.array([1.0])
    >>> generalizes(target, [base], one, [one]).tolist()
    [[False, True, False, False]]

    Raises:
        ValueError: there is no baseline network, not one τ for each of them, or the vote is unknown.
    """
    if not i_baselines or len(i_baselines) != len(tau_baselines):
        raise ValueError(
            f"{len(i_baselines)} baseline networks and {len(tau_baselines)} thresholds; "
            "pass at least one network, and one tau for each"
        )
    baselines = zip(i_baselines, tau_baselines, strict=True)
    return agreed([transfers(i_target, i, tau_target, tau, sign_test=sign_test) for i, tau in baselines], vote)


def generalization_power(generalizable: Array, whole: Array) -> Array:
    """Returns H, the generalizable share of what is salient, 0–1, of the shape of both; NaN where nothing is salient.

    H = Σ_{salient} G·|I| / Σ_{salient} |I| of any samples and orders: pass both sums, or both counts for H by count.
    Source: ours.

    >>> generalization_power(np.array([3.0, 0.0]), np.array([4.0, 0.0])).tolist()
    [0.75, nan]
    """
    if isinstance(whole, torch.Tensor):
        return torch.where(whole > 0, generalizable / whole, torch.nan)
    return np.divide(generalizable, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def order_strengths(i: Array, chosen: Array) -> Array:
    """Returns Σ |I(S)| of the chosen interactions of every order: `[..., n + 1]`, nats; entry k is order k.

    `chosen` is bool and broadcasts against i: salient, salient & G, salient & ~G, …. One type (AND or OR) at a time.

    >>> order_strengths(np.array([0.0, 2.0, -3.0, 0.1]), np.array([False, True, True, True])).tolist()
    [0.0, 5.0, 0.1]
    """
    return _sum_by_order(abs(i) * chosen)


def signed_order_strengths(i: Array, chosen: Array) -> tuple[Array, Array]:
    """Returns (positive, negative), each `[..., n + 1]`: strengths of positive and of negative chosen interactions.

    Both are ≥ 0, in nats; a chart draws the negative ones below its axis.
    Source: primitives (arXiv 2401.16318), Figure 4.
    """
    return _sum_by_order(abs(i) * (chosen & (i > 0))), _sum_by_order(abs(i) * (chosen & (i < 0)))


def order_counts(chosen: Array) -> Array:
    """Returns the number of chosen interactions of every order: `[..., n + 1]`, float."""
    return _sum_by_order(1.0 * chosen)


def _sum_by_order(values: Array) -> Array:
    """Returns the sums of `[..., 2**n]` over the subsets of each order: `[..., n + 1]`."""
    n = n_variables(values.shape[-1])
    by_order = np.eye(n + 1)[orders(n)]  # [2^n, n + 1]
    if isinstance(values, torch.Tensor):
        return values @ torch.as_tensor(by_order, dtype=values.dtype, device=values.device)
    return values @ by_order


def loss(v: Array) -> Array:
    """Returns the cross-entropy of outputs v (log-odds of the true class): log(1 + e^{−v}), nats, stable for every v.

    Exact, because v = log(p / (1 − p)) gives −log p = log(1 + e^{−v}).

    >>> loss(np.array([0.0, 1000.0, -1000.0])).round(3).tolist()
    [0.693, 0.0, 1000.0]
    """
    if isinstance(v, torch.Tensor):
        return torch.logaddexp(torch.zeros_like(v), -v)
    return np.logaddexp(0.0, -v)
