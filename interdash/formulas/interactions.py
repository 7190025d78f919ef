"""AND and OR interactions of a game, and the way back to its outputs.

Every function takes numpy arrays or torch tensors of shape `[..., 2**n]` (last axis: the subsets, index = bitmask, see
`subsets`), on any device, and returns the same kind. Cost: n·2^n additions. Outputs and interactions are in nats.
"""

from typing import Any, TypeVar

import numpy as np
import torch

from interdash.formulas.subsets import n_variables, orders

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def check_outputs(v: Array) -> Array:
    """Returns v if it has 2^n entries on its last axis and all of them are finite.

    Raises:
        ValueError: the last axis is no power of two, the batch is empty, or an entry is NaN or infinite.
    """
    if v.ndim == 0 or v.shape[-1] == 0:
        raise ValueError(f"outputs have shape {tuple(v.shape)}; expected [batch, 2^n]")
    n_variables(v.shape[-1])
    rows = v.reshape(-1, v.shape[-1])
    if len(rows) == 0:
        raise ValueError(f"the batch is empty: outputs have shape {tuple(v.shape)}; pass at least one sample")
    finite = torch.isfinite(rows).all(1).cpu().numpy() if isinstance(rows, torch.Tensor) else np.isfinite(rows).all(1)
    if not finite.all():
        raise ValueError(
            f"outputs of sample {int(np.argmin(finite))} contain NaN or infinity; check the network's logits"
        )
    return v


def _flip(v: Array) -> Any:
    """Returns v with every subset replaced by its complement: index S → N∖S."""
    return torch.flip(v, [-1]) if isinstance(v, torch.Tensor) else v[..., ::-1]


def _copy(v: Array) -> Any:
    """Returns a fresh floating-point copy of v in C order, which the transforms may overwrite."""
    if isinstance(v, torch.Tensor):
        return v.clone(memory_format=torch.contiguous_format) if v.is_floating_point() else v.double()
    return np.array(v, dtype=v.dtype if np.issubdtype(v.dtype, np.floating) else np.float64, order="C")


def _butterfly(x: Array, sign: int) -> Array:
    """Returns x after `x[S ∪ i] += sign · x[S]` for every variable i, in place."""
    step = 1
    while step < x.shape[-1]:
        pairs: Any = x.reshape(-1, 2, step)  # [rows · 2^(n−1)/step, without i | with i, step]: a view, x is contiguous
        pairs[:, 1] += sign * pairs[:, 0]
        step *= 2
    return x


def and_interactions(v_and: Array) -> Array:
    """Returns the AND interactions `[..., 2**n]` of the outputs v_and.

    I_and(S) = Σ_{T⊆S} (−1)^{|S|−|T|} v_and(x_T), the Möbius transform (Harsanyi dividends). Entry ∅ is v_and(x_∅).
    Source: symbolic-dynamics (arXiv 2407.19198), definition of AND interactions.

    >>> and_interactions(np.array([0.0, 0.0, 0.0, 3.0])).tolist()  # 3·(x0 AND x1)
    [0.0, 0.0, 0.0, 3.0]
    """
    return _butterfly(_copy(v_and), -1)


def and_outputs(i_and: Array) -> Array:
    """Returns the outputs `[..., 2**n]` that AND interactions make: Σ_{S⊆T} I_and(S).

    The inverse of `and_interactions`.

    >>> and_outputs(np.array([0.0, 1.0, 2.0, 3.0])).tolist()
    [0.0, 1.0, 2.0, 6.0]
    """
    return _butterfly(_copy(i_and), 1)


def or_interactions(v_or: Array) -> Array:
    """Returns the OR interactions `[..., 2**n]` of the outputs v_or.

    I_or(S) = −Σ_{T⊆S} (−1)^{|S|−|T|} v_or(x_{N∖T}) for S ≠ ∅.
    Entry ∅ is v_or(x_∅), so that the transform is invertible.
    Source: symbolic-dynamics (arXiv 2407.19198), definition of OR interactions.

    >>> or_interactions(np.array([0.0, 3.0, 3.0, 3.0])).tolist()  # 3·(x0 OR x1)
    [0.0, 0.0, 0.0, 3.0]
    """
    i_or = _butterfly(_copy(_flip(v_or)), -1)
    i_or *= -1.0
    i_or += 0.0  # no −0.0
    i_or[..., 0] = v_or[..., 0]
    return i_or


def or_outputs(i_or: Array) -> Array:
    """Returns the outputs `[..., 2**n]` that OR interactions make: I_or(∅) + Σ_{S∩T≠∅} I_or(S).

    The inverse of `or_interactions`.

    >>> or_outputs(np.array([0.0, 1.0, 2.0, 3.0])).tolist()
    [0.0, 4.0, 5.0, 6.0]
    """
    inside = _copy(i_or)
    inside[..., 0] = 0.0
    total = inside.sum(-1)[..., None] + i_or[..., :1]
    return total - _flip(_butterfly(inside, 1))  # S∩T ≠ ∅ unless S ⊆ N∖T


def merge_first_order(i_and: Array, i_or: Array) -> tuple[Array, Array]:
    """Returns (i_and, i_or) with every first-order OR added to the AND of the same variable.

    For |S| = 1 both are the same function of the input, so no output changes.
    """
    single = orders(n_variables(i_and.shape[-1])) == 1
    new_and, new_or = _copy(i_and), _copy(i_or)
    new_and[..., single] += new_or[..., single]
    new_or[..., single] = 0.0
    return new_and, new_or


def settle_pairs(i_and: Array, i_or: Array) -> tuple[Array, Array]:
    """Returns (i_and, i_or) without a pair of variables whose AND and OR have the same sign.

    AND_ij + OR_ij = x_i + x_j: the common part of both is the same function as two first-order interactions of the same
    strength. It is moved there, which changes no output and never raises the L1 norm. (Ours.)
    """
    n = n_variables(i_and.shape[-1])
    pairs = np.flatnonzero(orders(n) == 2)
    incidence: Any = ((pairs[:, None] >> np.arange(n)) & 1).astype(np.float64)  # [pairs, n]
    new_and, new_or = _copy(i_and), _copy(i_or)
    a, o = new_and[..., pairs], new_or[..., pairs]
    smaller = (abs(a + o) - abs(a - o)).clip(min=0) / 2  # min(|a|, |o|) where the signs agree, else 0
    common = smaller * ((a > 0) * 2.0 - 1.0)
    if isinstance(common, torch.Tensor):
        incidence = torch.as_tensor(incidence, dtype=common.dtype, device=common.device)
    new_and[..., pairs] -= common
    new_or[..., pairs] -= common
    new_and[..., 1 << np.arange(n)] += common @ incidence
    return new_and, new_or


def matched_outputs(i_and: Array, i_or: Array, v_empty: Array) -> Array:
    """Returns v(x_∅) + Σ_{∅≠S⊆T} I_and(S) + Σ_{S∩T≠∅} I_or(S) for every T: `[..., 2**n]`; `v_empty` is `[...]`.

    The right-hand side of universal matching: it equals v(x_T) − δ_T. Entry ∅ of both interactions is ignored.
    Source: emergence (arXiv 2305.01939), theorem on universal matching; AND-OR form in primitives (arXiv 2401.16318).
    """
    i_and, i_or = _copy(i_and), _copy(i_or)
    i_and[..., 0] = 0.0
    i_or[..., 0] = 0.0
    return v_empty[..., None] + and_outputs(i_and) + or_outputs(i_or)


def shapley_values(i_and: Array, i_or: Array) -> Array:
    """Returns the Shapley value of every variable, `[..., n]`: Σ_{S∋i} (I_and + I_or)(S) / |S|.

    It does not depend on how v was divided into AND and OR.
    """
    n = n_variables(i_and.shape[-1])
    sizes = np.maximum(orders(n), 1).astype(np.float64)
    membership = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) / sizes[:, None]  # [2^n, n]
    total = i_and + i_or
    if isinstance(total, torch.Tensor):
        return total @ torch.as_tensor(membership, dtype=total.dtype, device=total.device)
    return total @ membership
