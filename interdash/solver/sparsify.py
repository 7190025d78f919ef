"""The sparse AND-OR split: few interactions that reproduce a network's outputs, with a proof of how few.

For one sample with outputs u = v − v(x_∅) the split solves the convex problem

    minimise  Σ_{S≠∅} w_S (|I_and(S)| + |I_or(S)|)   subject to   A I_and + O I_or + δ = u,  |δ_T| ≤ ζ,  δ_∅ = δ_N = 0

with A and O the maps from AND and OR interactions to outputs, ζ = κ·|v(x) − v(x_∅)| and w_S = 1 + ε(|S| − 1).
Source: symbolic-dynamics (arXiv 2407.19198) for the objective, δ and κ; the weights are ours: the optimum is not unique
without them, and ε > 0 prefers the simplest of the optima.

It is solved by ADMM (Douglas–Rachford): an exact projection onto the equality (`projection`) alternates with the soft
threshold. The multiplier of that projection is a point of the dual problem; scaled until it is feasible it bounds the
optimum from below by weak duality, whatever the solver did. A sample is done when its certified gap is small enough.
"""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from interdash.formulas.interactions import (
    Array,
    and_interactions,
    check_outputs,
    merge_first_order,
    settle_pairs,
)
from interdash.formulas.subsets import n_variables, orders
from interdash.solver.fixed import FixedSteps, full_float32
from interdash.solver.projection import projector
from interdash.solver.steps import TINY, State, adjoint_of, advance, both, iterate, outputs_of, start

CERTIFIED_GAPS = {"default": 0.02, "tight": 0.001}  # a sample is done when its certified gap is at most this
SOLVED_GAP = 0.05  # a sample above it is marked unsolved
CHECK_AT = (*range(60, 130, 10), *(150, 180, 220, 260, 320, 400, 500, 640, 800, 1000, 1300, 1700, 2200, 3000, 4000))
FLOAT32_VARIABLES = 13  # above it the conditioning, φ^{2n}, asks for float64
CACHE_ENTRIES = 2**16  # entries of one [2^n, samples] array that advances at once on a CPU: all stay in a core's cache
CHUNK_ENTRIES = 2**17  # entries of one [2^n, batch] array of the samples that advance together: it stays in the cache
GROUP_ENTRIES = 2**24  # … and of the samples whose state is kept at once
COMPILED = "cpu"  # the device whose steps are compiled (`fused`); on others they are captured (`fixed`)
MEMORY_SHARE = 0.5  # of a GPU's free memory that a split may take
ENTRY_BYTES = {torch.float32: 250, torch.float64: 400}  # that an entry takes there, by the precision of the steps

Kind = TypeVar("Kind", np.ndarray, torch.Tensor)


@dataclass(frozen=True)
class Split(Generic[Kind]):
    """AND and OR interactions of a batch of samples, with their certificate. All in float64 and in nats.

    `objective`, `lower_bound` and `gap` speak of the problem that was solved, tie-break weights included: the objective
    is at most `gap` (relative) above the optimal value.
    """

    i_and: Kind  # [batch, 2^n], entry ∅ is 0
    i_or: Kind  # [batch, 2^n], entries of ∅ and of single variables are 0
    delta: Kind  # [batch, 2^n], v(x_T) − δ_T is what the interactions reproduce
    objective: Kind  # [batch]
    lower_bound: Kind  # [batch], never above the optimal value
    gap: Kind  # [batch], objective / lower_bound − 1
    solved: Kind  # [batch], bool: gap ≤ SOLVED_GAP

    def numpy(self) -> "Split[np.ndarray]":
        """Returns the same split as numpy arrays."""
        return Split(*(np.asarray(torch.as_tensor(value).cpu()) for value in vars(self).values()))


FIELDS = tuple(Split.__dataclass_fields__)


def sparse_split(
    v: Array,
    kappa: float = 0.02,
    *,
    tie_break: float = 0.01,
    tolerance: Literal["default", "tight"] = "default",
    zeta: Literal["sample", "mean"] = "sample",
    sparse: bool = True,
    max_steps: int = CHECK_AT[-1],
) -> "Split[Array]":
    """Returns the sparsest AND and OR interactions of outputs `v` `[batch, 2^n]`, each sample with its certificate.

    Args:
        v: outputs of the network in nats, row index = bitmask, v(x_∅) included; numpy, or torch on any device.
        kappa: bound of the noise term δ as a share of |v(x) − v(x_∅)|; 0 switches δ off.
        tie_break: ε in the weights w_S = 1 + ε(|S| − 1); 0 gives the plain L1 norm, below 0 prefers high orders.
        tolerance: the certified gap to reach: "default" 2 %, "tight" 0.1 %.
        zeta: scale of δ's bound: |v(x) − v(x_∅)| of the sample, or its mean over the batch.
        sparse: False gives the Harsanyi interactions: all AND, no OR, no δ, nothing to optimise.
        max_steps: iteration limit; samples above `SOLVED_GAP` by then come back with `solved` False.

    Raises:
        ValueError: v is no [batch, 2^n] array, is empty or not finite, or an option is out of its range.
    """
    if v.ndim != 2:
        raise ValueError(f"outputs have shape {tuple(v.shape)}; expected [batch, 2^n]")
    check_outputs(v)
    n = n_variables(v.shape[1])
    check_options(n, kappa, tie_break, tolerance, zeta)
    if max_steps < 1:
        raise ValueError(f"max_steps is {max_steps}; at least one step is needed")

    outputs = torch.as_tensor(v if isinstance(v, Tensor) else np.array(v, dtype=np.float64)).to(torch.float64)
    u = (outputs - outputs[:, :1]).T.contiguous()  # [2^n, batch]
    if not sparse or n < 2:
        split = _harsanyi(u)
    else:
        weights = weights_of(n, tie_break, u.device)
        scale = u[-1].abs() if zeta == "sample" else u[-1].abs().mean().expand(u.shape[1])
        group = samples_at_once(n, u.device, tolerance)
        with full_float32(u.device):
            parts = [
                _solve(u[:, i : i + group].contiguous(), kappa * scale[i : i + group], weights, tolerance, max_steps)
                for i in range(0, u.shape[1], group)
            ]
        split = Split(*(torch.cat([getattr(part, key) for part in parts]) for key in FIELDS))
    return split if isinstance(v, Tensor) else split.numpy()  # pyright: ignore[reportReturnType]


def samples_at_once(n: int, device: torch.device | str, tolerance: str = "default") -> int:
    """Returns how many samples a split takes together: on a GPU, as many as its memory allows."""
    device = torch.device(device)
    if device.type != "cuda":
        return max(1, GROUP_ENTRIES >> n)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # free too, but for torch alone
    return samples_in(torch.cuda.mem_get_info(device)[0] + kept, n, _precision(n, tolerance))


def samples_in(free: int, n: int, precision: torch.dtype) -> int:
    """Returns how many samples a split can take together with so many free bytes of a GPU, at least one.

    >>> samples_in(64 * 2**30, 10, torch.float32)
    134217
    """
    return max(1, int(MEMORY_SHARE * free) // (ENTRY_BYTES[precision] << n))


def _precision(n: int, tolerance: str) -> torch.dtype:
    """Returns that of the steps; what leaves them is made exact, and certified, in float64."""
    return torch.float32 if n <= FLOAT32_VARIABLES and tolerance == "default" else torch.float64


def check_options(n: int, kappa: float, tie_break: float, tolerance: str, zeta: str) -> None:
    """Raises a ValueError if an option of a split of n variables is out of its range, see `sparse_split`."""
    if not 0 <= kappa < 1:
        raise ValueError(f"kappa is {kappa}; it must be at least 0 and below 1 (the literature uses 0.02 and 0.04)")
    if not abs(tie_break) * max(n - 1, 1) < 1:
        raise ValueError(f"tie_break is {tie_break}; for {n} variables it must be between ±{1 / max(n - 1, 1):.3g}")
    if tolerance not in CERTIFIED_GAPS:
        raise ValueError(f"tolerance is {tolerance!r}; choose one of {', '.join(CERTIFIED_GAPS)}")
    if zeta not in ("sample", "mean"):
        raise ValueError(f"zeta is {zeta!r}; choose sample or mean")


def weights_of(n: int, tie_break: float, device: torch.device) -> Float64[Tensor, "subsets"]:
    """Returns w_S = 1 + ε(|S| − 1) of every subset."""
    return 1 + tie_break * (torch.tensor(orders(n), dtype=torch.float64, device=device) - 1)


def _harsanyi(u: Float64[Tensor, "subsets batch"]) -> Split[Tensor]:
    """Returns the pure AND interactions; there is one solution, so the objective is its own lower bound."""
    i_and = and_interactions(u.T.contiguous())
    objective = i_and.abs().sum(1)
    zero = torch.zeros_like(i_and)
    return Split(i_and, zero, zero.clone(), objective, objective, 0 * objective, torch.ones_like(objective).bool())


def _lower_bound(u: Tensor, zeta: Tensor, weights: Tensor, y: Tensor) -> Tensor:
    """Returns a lower bound `[batch]` of the optimal value from any y, by weak duality.

    For every y with |Aᵀy| ≤ w and |Oᵀy| ≤ w on S ≠ ∅: ⟨u, y⟩ − ζ Σ_{T≠∅,N} |y_T| ≤ optimum. y is scaled to fit.
    """
    y = y.clone()
    y[0] = 0  # u and δ are 0 there
    excess = (adjoint_of(y)[1:].abs() / weights[1:, None]).amax(0).view(2, -1).amax(0).clamp_min(1)
    return (((u * y).sum(0) - zeta * y[1:-1].abs().sum(0)) / excess).clamp_min(0)


def _objective(weights: Tensor, x: Tensor) -> Tensor:
    """Returns Σ_{S≠∅} w_S (|a_S| + |o_S|) of x = [a | o], `[batch]`."""
    return (weights[1:] @ x[1:].abs()).view(2, -1).sum(0)


def gap_of(objective: Tensor, lower_bound: Tensor) -> Tensor:
    """Returns objective / lower_bound − 1, and 0 where both vanish (a sample whose outputs are all alike)."""
    return torch.where(objective <= TINY, 0.0, objective / lower_bound - 1).clamp_min(0)


def exact(u: Tensor, zeta: Tensor, x: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the x = [a | o] and δ nearest to an iterate that meet every constraint, in float64."""
    solver = projector(n_variables(len(u)), torch.float64, u.device)
    x, bound = x.double(), zeta.expand(len(u) - 2, -1)
    slack = torch.zeros_like(u)
    slack[1:-1] = torch.clamp(delta[1:-1].double(), -bound, bound)
    for _ in range(2):  # the second pass takes the first one's rounding away
        x += adjoint_of(solver.solve(u - slack - outputs_of(x.clone()), torch.zeros_like(zeta)))
        x[0] = 0
    return x, slack


def _finish(u: Tensor, zeta: Tensor, weights: Tensor, x: Tensor, delta: Tensor, y: Tensor) -> Split[Tensor]:
    """Returns the split nearest to the iterate that meets every constraint, in float64.

    The ties known in closed form are settled here: a variable's OR is its AND, and a pair's AND plus OR are its two
    variables, unless the weights prefer the higher order.
    """
    x, slack = exact(u, zeta, x, delta)
    batch = u.shape[1]
    merged = merge_first_order(x[:, :batch].T.contiguous(), x[:, batch:].T.contiguous())
    if weights[3] >= 1:  # subset 3 is the pair {0, 1}
        merged = settle_pairs(*merged)
    objective = _objective(weights, torch.cat(merged).T)
    lower = _lower_bound(u, zeta, weights, y.double())
    gap = gap_of(objective, lower)
    return Split(*merged, slack.T.contiguous(), objective, lower, gap, gap <= SOLVED_GAP)


def _pick(s: State, samples: Tensor) -> State:
    """Returns the state of some samples (positions in the batch)."""
    both = torch.cat([samples, samples + len(s["index"])])  # x is [a | o]
    return {key: value[..., both if key == "x" else samples] for key, value in s.items()}


def _chunks(states: list[State], size: int) -> list[State]:
    """Returns the same samples in chunks of one size, the last one smaller."""
    joined = {key: torch.cat([s[key] for s in states], -1) for key in states[0] if key != "x"}
    pieces = {key: value.split(size, -1) for key, value in joined.items()}
    return [{key: pieces[key][i].contiguous() for key in pieces} for i in range(len(pieces["index"]))]


def _solve(u: Tensor, zeta: Tensor, weights: Tensor, tolerance: str, max_steps: int) -> Split[Tensor]:
    """Returns the split of a group of samples; u is `[2^n, batch]` in float64.

    Samples advance from check to check; those that are done leave. On a CPU they do so at once, in chunks which are
    packed together again. On a GPU all samples are one chunk, and leave once they are more than half of it.
    """
    n, target = n_variables(len(u)), CERTIFIED_GAPS[tolerance]
    dtype = _precision(n, tolerance)
    solver, w, noisy = projector(n, dtype, u.device), weights.to(dtype), bool((zeta > 0).any())
    of_steps = both(w)
    take, chunk, share = iterate, max(1, CACHE_ENTRIES >> n), 0.0
    if u.device.type != COMPILED:
        take, chunk, share = FixedSteps(of_steps, solver, max_steps), u.shape[1], 0.5
    checks = [*(step for step in CHECK_AT if step < max_steps), max_steps]
    finished: list[tuple[Tensor, Split[Tensor]]] = []
    chunks, step = _chunks([start(u, zeta, dtype)], chunk), 0
    for check in checks:
        pending = []
        for before in chunks:
            s = advance(before, range(step + 1, check + 1), of_steps, solver, noisy=noisy, take=take)
            estimate = gap_of(_objective(w, s["x"]), _lower_bound(s["u"], s["zeta"], w, s["y"]))
            done = (estimate <= target) | (check == max_steps)
            if int(done.sum()) <= share * len(done):  # the one number that a GPU hands back at a check
                pending.append(s)
                continue
            t = _pick(s, done.nonzero()[:, 0])
            at = t["index"]
            x = t["x"] * t["scale"].repeat(2)
            split = _finish(u[:, at], zeta[at], weights, x, t["delta"] * t["scale"], t["y"])
            settled = (split.gap <= target) | (check == max_steps)
            finished.append((at[settled], Split(*(value[settled] for value in vars(split).values()))))
            done[done.clone()] = settled
            if not done.all():
                pending.append(_pick(s, (~done).nonzero()[:, 0]))
        if not pending:
            break
        left = sum(len(s["index"]) for s in pending)
        chunks = pending if len(pending) == -(-left // chunk) else _chunks(pending, chunk)
        step = check
    order = torch.cat([at for at, _ in finished]).argsort()
    return Split(*(torch.cat([getattr(split, key) for _, split in finished])[order] for key in FIELDS))
