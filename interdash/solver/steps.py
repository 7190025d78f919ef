"""The steps of the sparse split: ADMM in one array, compiled on a CPU (`fused`), captured on a GPU (`fixed`)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from interdash.formulas.interactions import and_interactions, or_interactions
from interdash.solver.projection import Projector, subset_sums_, superset_sums_, touching_sums

OVER_RELAXATION = 1.7
FIRST_THRESHOLD = 0.015  # of the scale of the mean Harsanyi interaction
ADAPT_AT = frozenset({10, 20, 30, 40, 60, 80, 100, 140, 200, 280, 400, 560, 800, 1120, 1600, 2240, 3200})
HEAD_START, HEAD_STEPS = 40, 70  # the tie-break starts 41 times as strong and falls to its value by step 70
LIMITS_CHANGE = 101  # up to this step, see `_limits`
TINY = 1e-30
State = dict[str, Tensor]  # of some samples, which are the last axis; see `start`
Take = Callable[[State, range, Tensor, Tensor, Projector], Tensor]  # see `iterate`


def outputs_of(x: Float[Tensor, "subsets two_batch"]) -> Float[Tensor, "subsets batch"]:
    """Returns A a + O o for x = [a | o]; overwrites x."""
    batch = x.shape[1] // 2
    total = x[:, batch:].sum(0)
    sums = subset_sums_(x)
    return sums[:, :batch].add_(total).sub_(sums[:, batch:].flip(0))


def adjoint_of(
    y: Float[Tensor, "subsets batch"], other: Float[Tensor, "subsets batch"] | None = None
) -> Float[Tensor, "subsets two_batch"]:
    """Returns [Aᵀy | Oᵀy], or [Aᵀy | Oᵀ other]; OR has no interaction of the empty set."""
    touching = touching_sums(y if other is None else other)
    touching[0] = 0
    return torch.cat([superset_sums_(y.clone()), touching], 1)


def norm_of(x: Tensor, batch: int) -> Tensor:
    """Returns the Euclidean norm a sample, `[batch]`, of x `[2^n, k·batch]`."""
    return x.square().sum(0).view(-1, batch).sum(0).sqrt_() + TINY


def first_threshold(u: Tensor) -> Tensor:
    """Returns the scale `[batch]` that the soft threshold starts with, of outputs `[2^n, batch]`."""
    half = (u / 2).T.contiguous()
    l1 = and_interactions(half).abs().sum(1) + or_interactions(half).abs().sum(1)
    return (FIRST_THRESHOLD / 2 * l1 / len(u) ** 0.5).clamp_min(TINY)


def both(weights: Tensor) -> Tensor:
    """Returns the weights of [AND, OR] interactions, `[2, 2^n, 1]`, 0 for the empty set; OR is kept by complements."""
    weights = torch.cat([torch.zeros_like(weights[:1]), weights[1:]])
    return torch.stack([weights, weights.flip(0)])[..., None]


def _side_by_side(x: Float[Tensor, "parts subsets batch"]) -> Float[Tensor, "subsets two_batch"]:
    """Returns [a | o] of x = [a, o by complements, …]."""
    return torch.cat([x[0], x[1].flip(0)], 1)


def start(u: Tensor, zeta: Tensor, dtype: torch.dtype) -> State:
    """Returns the state of the solver before its first step; u is `[2^n, batch]` in float64.

    `moved` = [a, o, δ], OR by complements (its superset sums are then A's subset sums, mirrored), is what the steps
    carry on. Clipped to its limit, `threshold` times the weights, it is the scaled multiplier of "x = z"; what lies
    beyond is z, x after the soft threshold. For δ, z is what lies within the bound. `sigma` is the weight of δ
    against x in the projection. Both step sizes follow the residuals of each sample, so that neither the scale of u
    nor its batch matters.
    """
    size, batch = u.shape
    # a power of two: the same steps, bit for bit, for 2·v
    scale = torch.exp2(torch.floor(torch.log2(u.abs().amax(0).clamp_min(TINY))))
    return {
        "index": torch.arange(batch, device=u.device),
        "scale": scale,
        "u": (u / scale).to(dtype),
        "zeta": (zeta / scale).to(dtype),
        "threshold": first_threshold(u / scale).to(dtype),
        "sigma": torch.ones(batch, dtype=dtype, device=u.device),
        "moved": torch.zeros(3, size, batch, dtype=dtype, device=u.device),
    }


def schedule(steps: range) -> tuple[list[float], list[float]]:
    """Returns how strong the tie-break is and the share of δ's bound after each step.

    The tie-break comes from the side that it prefers, δ to its bound from inside, as fast as the iterate settles.
    """
    head = [1 + HEAD_START * max(0.0, 1 - step / HEAD_STEPS) for step in steps]
    return head, [1 - min(0.02, 2 / max(step, 1)) for step in steps]


def limits(
    s: State, head: float | Tensor, inside: float | Tensor, weights: Tensor
) -> Float[Tensor, "parts subsets batch"]:
    """Returns where `moved` is clipped, with the `schedule` of a step."""
    heavy = (1 + head * (weights - 1)).clamp_min_(0.1)
    heavy.masked_fill_(weights <= 0, torch.inf)  # the empty set has no interaction
    clips = torch.empty_like(s["moved"])
    torch.mul(heavy, s["threshold"], out=clips[:2])
    clips[2] = s["zeta"] * inside
    clips[2, 0].zero_()
    clips[2, -1].zero_()
    return clips


def _limits(s: State, step: int, weights: Tensor) -> Tensor:
    """Returns where `moved` is clipped after a step."""
    (head,), (inside,) = schedule(range(step, step + 1))
    return limits(s, head, inside, weights)


def settled(moved: Tensor, limits: Tensor) -> Tensor:
    """Returns z = [a, o, δ] of `moved`: a and o after the soft threshold, δ within its bound."""
    clipped = torch.clamp(moved, -limits, limits)
    torch.sub(moved[:2], clipped[:2], out=clipped[:2])
    return clipped


def iterate(s: State, steps: range, weights: Tensor, shift: Tensor, solver: Projector) -> Tensor:
    """Takes steps on a CPU, in place on `moved`; returns the multiplier of the last one's projection."""
    from interdash.solver import fused  # numba is slow to import

    before = range(steps.start - 1, steps.stop - 1)
    varying = before[: max(1, LIMITS_CHANGE - before.start)]  # later limits are those of its last step
    head, inside = (weights.new_tensor(values) for values in schedule(varying))
    room = torch.empty_like(s["moved"])
    arrays = (s["moved"], s["u"], s["zeta"], s["threshold"], shift, weights, head, inside, room)
    fused.steps(*(array.numpy() for array in arrays), len(steps), fused.tables(solver))
    return room[2]


def _change(residual: Tensor, movement: Tensor) -> Tensor:
    """Returns by what a step size changes: the root of what is left to meet over what the last step moved, a sample."""
    left, moved = (norm_of(x.reshape(-1, x.shape[-1]), x.shape[-1]) for x in (residual, movement))
    return (left / moved).sqrt().clamp(0.2, 5)


def advance(s: State, steps: range, weights: Tensor, solver: Projector, *, noisy: bool, take: Take = iterate) -> State:
    """Returns the state after some steps, with the last point (`x`, `delta`) and its dual point (`y`)."""
    s = {**s, "moved": s["moved"].clone()}
    shift = 1 / s["sigma"] if noisy else torch.zeros_like(s["sigma"])
    first = steps.start
    for step in sorted(ADAPT_AT.intersection(steps) | {steps[-1]}):
        take(s, range(first, step), weights, shift, solver)
        before = s["moved"].clone()
        z_before = settled(before, _limits(s, step - 1, weights))
        multiplier = take(s, range(step, step + 1), weights, shift, solver)
        point = z_before + (s["moved"] - before) / OVER_RELAXATION
        if step == steps[-1]:
            s |= {"x": _side_by_side(point), "delta": point[2], "y": multiplier / s["threshold"]}
        if step in ADAPT_AT:
            z = settled(s["moved"], _limits(s, step, weights))
            dual = s["moved"] - z
            change = _change(point[:2] - z[:2], z[:2] - z_before[:2])
            s["threshold"] = s["threshold"] / change
            dual[:2] /= change
            if noisy:
                change_delta = _change(point[2] - z[2], z[2] - z_before[2])
                s["sigma"] = s["sigma"] * change_delta / change
                dual[2] /= change_delta
                shift = 1 / s["sigma"]
            s["moved"] = z + dual
        first = step + 1
    return s
