"""The joint split: interactions of several networks on the same samples, as many of them alike as can be.

Alone, each network takes the sparsest of its splits, and two sparsest splits of like networks can differ. Jointly, for
one sample and m networks with outputs u_i, each in units of its mean |v(x) − v(x_∅)|,

    minimise  Σ_{S≠∅} w_S Ω(I_1(S), …, I_m(S)), AND and OR,   Ω(I) = (1 − α) max_i |I_i| + α Σ_i |I_i|
    subject to  A a_i + O o_i + δ_i = u_i,  |δ_i| ≤ ζ_i,  |γ_i − γ̄| ≤ b for some γ̄,  γ_i = (A a_i − O o_i) / 2.

A network pays little for an interaction that another one has as strongly. Source: primitives (arXiv 2401.16318), for
the row maximum, α = 0.1 and the shared γ̄ with b = 0.5; the common unit and w_S are ours. What a network has then
depends on its partners: this is a choice to compare with, and no run is labelled by it. First-order OR is merged into
AND at the end, which moves γ and only lowers the objective; the bound of γ holds before.

ADMM as in `sparsify`. Of the exact projection the mean over the networks is that of a single split; what differs from
the mean has AND and OR apart, since γ̄ takes up the mean of γ. Then the soft threshold with α w_S is followed by the
prox of the row maximum, which together is the prox of Ω. The dual points y of the outputs and z of γ, Σ_i z_i = 0,
bound the optimum: Σ_i ⟨u_i, y_i⟩ − ζ_i ‖y_i‖₁ − 2b ‖z_i‖₁, once each row of Aᵀ(y + z) and Oᵀ(y − z) fits into the dual
ball of w_S Ω.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from interdash.formulas.interactions import check_outputs, merge_first_order, settle_pairs
from interdash.formulas.subsets import n_variables
from interdash.solver.projection import Projector, projector, subset_sums_, touching_sums
from interdash.solver.sparsify import (
    CERTIFIED_GAPS,
    CHECK_AT,
    CHUNK_ENTRIES,
    FIELDS,
    FLOAT32_VARIABLES,
    SOLVED_GAP,
    Split,
    check_options,
    exact,
    gap_of,
    weights_of,
)
from interdash.solver.steps import (
    ADAPT_AT,
    HEAD_START,
    HEAD_STEPS,
    OVER_RELAXATION,
    TINY,
    State,
    adjoint_of,
    first_threshold,
    norm_of,
    outputs_of,
)

ALPHA = 0.1
SPREAD = 0.5  # b, of γ_i around γ̄
FIRST_SIGMA = 0.05  # from 1, as in `sparsify`, it takes twice as many steps
PARTS = ("both", "and", "or")


def joint_split(
    v: np.ndarray,
    kappa: float = 0.02,
    *,
    tie_break: float = 0.01,
    tolerance: Literal["default", "tight"] = "default",
    zeta: Literal["sample", "mean"] = "sample",
    alpha: float = ALPHA,
    spread: float = SPREAD,
) -> Split[np.ndarray]:
    """Returns the joint split of outputs `v` `[networks, batch, 2^n]` in nats, each sample with its certificate.

    Interactions and δ are `[networks, batch, 2^n]`, in nats; objective and bound `[batch]`, in the common unit of the
    module. The bound is of the b that the split needs, where that is larger than `spread`; above 1.02 of it, `solved`
    is False.

    Args:
        v: see `sparse_split`; one network gives what that gives.
        kappa: see `sparse_split`.
        tie_break: see `sparse_split`.
        tolerance: see `sparse_split`.
        zeta: see `sparse_split`.
        alpha: share of the plain L1 norm; 1 makes the networks independent but for γ̄.
        spread: b, of each γ_i around γ̄, as a share of the network's mean |v(x) − v(x_∅)|.

    Raises:
        ValueError: v is no [networks, batch, 2^n] array, is empty or not finite, or an option is out of its range.
    """
    if v.ndim != 3:
        raise ValueError(f"outputs have shape {v.shape}; expected [networks, batch, 2^n]")
    check_outputs(v)
    n = n_variables(v.shape[2])
    check_options(n, kappa, tie_break, tolerance, zeta)
    if not 0 < alpha <= 1 or not spread >= 0:
        raise ValueError(
            f"alpha is {alpha} and spread {spread}; alpha must be above 0, at most 1, and spread 0 or more"
        )
    u = torch.as_tensor(v - v[:, :, :1], dtype=torch.float64)
    unit = u[:, :, -1].abs().mean(1).clamp_min(TINY)
    u = (u / unit[:, None, None]).permute(2, 0, 1).contiguous()  # [2^n, networks, batch]
    full = u[-1].abs()
    bounds = kappa * (full if zeta == "sample" else full.mean(1, keepdim=True).expand_as(full))
    size = max(1, (CHUNK_ENTRIES >> n) // len(v))
    parts = [
        _solve(
            u[..., i : i + size], bounds[:, i : i + size], weights_of(n, tie_break, u.device), tolerance, alpha, spread
        )
        for i in range(0, u.shape[2], size)
    ]
    joined = {key: torch.cat([getattr(part, key) for part in parts], -1) for key in FIELDS}
    for key in ("i_and", "i_or", "delta"):
        joined[key] = joined[key].permute(1, 2, 0) * unit[:, None, None]
    return Split(**joined).numpy()


def _prox(x: Tensor, limit: Tensor, alpha: float) -> Tensor:
    """Returns the prox of `limit` Ω over the networks of x `[2^n, 2, networks, batch]`; limit is `[2^n, 1, 1, batch]`.

    First the soft threshold, then v − its projection onto the L1 ball: a clamp at θ with Σ(|v| − θ)₊ = (1 − α) limit.
    """
    left = (x.abs() - alpha * limit).clamp_min_(0)
    ball, networks = (1 - alpha) * limit, x.shape[2]
    top = (left.sum(2, keepdim=True) - ball) / networks
    for _ in range(networks - 1):  # each time those below θ drop out (Michelot 1986)
        above = left > top
        top = ((left * above).sum(2, keepdim=True) - ball) / above.sum(2, keepdim=True).clamp_min(1)
    return torch.minimum(left, top.clamp_min_(0)) * x.sign()


def _objective(weights: Tensor, x: Tensor, alpha: float) -> Tensor:
    """Returns Σ_{S≠∅} w_S Ω of x `[2^n, 2, networks, batch]`, AND and OR: `[batch]`."""
    size = x[1:].abs()
    rows = (1 - alpha) * size.amax(2) + alpha * size.sum(2)
    return (weights[1:, None, None] * rows).sum((0, 1))


def _lower_bound(
    u: Tensor, zeta: Tensor, spread: Tensor, weights: Tensor, y: Tensor, z: Tensor, alpha: float
) -> Tensor:
    """Returns a lower bound `[batch]` of the optimal value from any y and z `[2^n, networks, batch]` with Σ_i z_i = 0.

    `spread` is 2b. The dual norm of Ω is the largest Σ over the k largest / (1 − α + k α).
    """
    size, networks, batch = u.shape
    y, z = y.clone(), z.clone()
    y[0] = z[0] = 0  # u, δ and γ are 0 there
    rows = adjoint_of((y + z).view(size, -1), (y - z).view(size, -1)).view(size, 2, networks, batch)[1:].abs()
    largest = (rows / weights[1:, None, None, None]).sort(dim=2, descending=True).values.cumsum(2)
    ball = 1 - alpha + alpha * torch.arange(1, networks + 1, dtype=u.dtype)
    excess = (largest / ball[:, None]).amax((0, 1, 2)).clamp_min(1)
    costs = (zeta * y[1:-1].abs().sum(0)).sum(0) + spread * z.abs().sum((0, 1))
    return (((u * y).sum((0, 1)) - costs) / excess).clamp_min(0)


def _advance(s: State, steps: range, weights: Tensor, solvers: list[Projector], alpha: float) -> State:
    """Returns the state after some steps, with the last point (`x`, `delta`) and its dual points (`y`, `z`).

    x = [a, o] and noise = [δ, 2 (γ − γ̄)] are the point on the equalities, `[2^n, 2, networks, batch]`, `kept_` what
    their proxes leave, `dual_` the scaled multipliers; the step sizes `threshold` and `sigma` are those of `sparsify`.
    """
    s = dict(s)
    size, networks, batch = s["u"].shape
    for step in steps:
        # projection onto the equalities
        x, noise = s["kept_x"] - s["dual_x"], s["kept_noise"] - s["dual_noise"]
        c, t = s["u"] - noise[:, 0], noise[:, 1]
        c_mean, x_mean = c.mean(1), x.mean(2)
        shift = 1 / s["sigma"]
        shared = solvers[0].solve(c_mean - outputs_of(x_mean.reshape(size, -1).clone()), shift)
        c, t, apart = c - c_mean[:, None], t - t.mean(1, keepdim=True), x - x_mean[:, :, None]
        a, o = (apart[:, i].reshape(size, -1) for i in (0, 1))
        shifts = (shift / 2).repeat(networks)
        own = [
            solver.solve(half.reshape(size, -1) / 2 - outputs, shifts).view(size, networks, batch)
            for solver, half, outputs in zip(
                solvers[1:], (c + t, c - t), (subset_sums_(a.clone()), touching_sums(o)), strict=True
            )
        ]
        of_and, of_or = (shared[:, None] + each for each in own)
        x += adjoint_of(of_and.reshape(size, -1), of_or.reshape(size, -1)).view(size, 2, networks, batch)
        y, z = (of_and + of_or) / 2, (of_and - of_or) / 2
        noise += torch.stack([y, -z], 1) * shift
        if step == steps[-1]:
            s |= {"x": x, "delta": noise[:, 0], "y": y / s["threshold"], "z": z / s["threshold"]}
        # prox of Ω, with the tie-break from the side that it prefers; bounds are approached from inside
        before, before_noise = s["kept_x"], s["kept_noise"]
        moved = s["dual_x"] + OVER_RELAXATION * x + (1 - OVER_RELAXATION) * before
        head = 1 + HEAD_START * max(0.0, 1 - step / HEAD_STEPS)
        limit = (1 + head * (weights - 1)).clamp_min(0.1)[:, None] * s["threshold"]
        s["kept_x"] = _prox(moved, limit[:, None, None], alpha)
        s["kept_x"][0] = 0
        s["dual_x"] = moved - s["kept_x"]
        moved = s["dual_noise"] + OVER_RELAXATION * noise + (1 - OVER_RELAXATION) * before_noise
        inside = s["bounds"] * (1 - min(0.02, 2 / step))
        s["kept_noise"] = torch.clamp(moved, -inside, inside)
        s["kept_noise"][[0, -1], 0] = 0
        s["dual_noise"] = moved - s["kept_noise"]
        if step in ADAPT_AT:
            changes = [
                (_norm(point - s[f"kept_{name}"], batch) / _norm(s[f"kept_{name}"] - old, batch)).sqrt().clamp(0.2, 5)
                for name, point, old in (("x", x, before), ("noise", noise, before_noise))
            ]
            s["threshold"] = s["threshold"] / changes[0]
            s["sigma"] = s["sigma"] * changes[1] / changes[0]
            s["dual_x"] = s["dual_x"] / changes[0]
            s["dual_noise"] = s["dual_noise"] / changes[1]
    return s


def _norm(x: Tensor, batch: int) -> Tensor:
    return norm_of(x.reshape(len(x), -1), batch)


def _solve(u: Tensor, zeta: Tensor, weights: Tensor, tolerance: str, alpha: float, spread: float) -> Split[Tensor]:
    """Returns the joint split of some samples, in the common unit; u is `[2^n, networks, batch]`, zeta without 2^n."""
    size, networks, batch = u.shape
    n, target = n_variables(size), CERTIFIED_GAPS[tolerance]
    dtype = torch.float32 if n <= FLOAT32_VARIABLES and tolerance == "default" else torch.float64
    solvers, w = [projector(n, dtype, u.device, part) for part in PARTS], weights.to(dtype)
    scale = torch.exp2(torch.floor(torch.log2(u.abs().amax((0, 1)).clamp_min(TINY))))
    threshold = first_threshold((u / scale).reshape(size, -1)).view(networks, batch).mean(0)
    bounds = torch.stack([zeta, torch.full_like(zeta, 2 * spread)])
    rest: State = {
        "index": torch.arange(batch),
        "scale": scale,
        "u": (u / scale).to(dtype),
        "bounds": (bounds / scale).to(dtype),
        "threshold": (threshold / (alpha + (1 - alpha) / networks)).to(dtype),
        "sigma": torch.full((batch,), FIRST_SIGMA, dtype=dtype),
    }
    for name in ("kept_x", "dual_x", "kept_noise", "dual_noise"):
        rest[name] = torch.zeros((size, 2, networks, batch), dtype=dtype)
    parts, step = [], 0
    for check in CHECK_AT:
        rest, step = _advance(rest, range(step + 1, check + 1), w, solvers, alpha), check
        some = u[..., rest["index"]], zeta[:, rest["index"]]
        split = _finish(*some, rest, weights, alpha, 2 * spread)
        done = (split.solved & (split.gap <= target)) | (check == CHECK_AT[-1])
        parts.append((rest["index"][done], Split(*(value[..., done] for value in vars(split).values()))))
        rest = {key: value[..., ~done] for key, value in rest.items()}
        if done.all():
            break
    order = torch.cat([at for at, _ in parts]).argsort()
    return Split(*(torch.cat([getattr(split, key) for _, split in parts], -1)[..., order] for key in FIELDS))


def _finish(u: Tensor, zeta: Tensor, s: State, weights: Tensor, alpha: float, spread: float) -> Split[Tensor]:
    """Returns the split nearest to the iterate that meets every constraint but perhaps that of γ, in float64."""
    shape, scale = u.shape, s["scale"]
    flat = (s["x"] * scale).reshape(len(u), -1), (s["delta"] * scale).reshape(len(u), -1)
    x, slack = exact(u.reshape(len(u), -1), zeta.reshape(-1), *flat)
    a, o = x.chunk(2, 1)
    gamma = (subset_sums_(a.clone()) - touching_sums(o)).view(shape)
    needed = ((gamma.amax(1) - gamma.amin(1)) / 2).amax(0)
    merged = merge_first_order(a.T.contiguous(), o.T.contiguous())
    candidates = [merged, settle_pairs(*merged)] if weights[-1] >= 1 else [merged]
    both = [torch.stack([part.T.view(shape) for part in pair], 1) for pair in candidates]
    objectives = torch.stack([_objective(weights, each, alpha) for each in both])
    objective, best = objectives.min(0)
    effects = torch.where(best == len(both) - 1, both[-1], both[0])
    y, z = s["y"].double(), s["z"].double()
    bounds = [  # without z where γ is free: until it is 0 there, it costs
        _lower_bound(u, zeta, needed.clamp_min(spread), weights, y, each, alpha)
        for each in (z - z.mean(1, keepdim=True), torch.zeros_like(z))
    ]
    lower = torch.stack(bounds).amax(0)
    gap = gap_of(objective, lower)
    solved = (gap <= SOLVED_GAP) & (needed <= 1.02 * spread)
    return Split(effects[:, 0], effects[:, 1], slack.view(shape), objective, lower, gap, solved)
