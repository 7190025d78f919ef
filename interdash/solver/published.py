"""The published procedure for the sparse split, written from the papers' description: only to compare with.

Gradient descent with momentum on γ and δ from zero, each sample by itself, with an absolute learning rate that decays
to a tenth and dense 2^n × 2^n matrices; δ is clamped to its bound after every step.
Source: symbolic-dynamics (arXiv 2407.19198) and primitives (arXiv 2401.16318), appendices on the sparse extraction.
"""

import numpy as np
import torch

from interdash.formulas.interactions import and_interactions, merge_first_order, or_interactions
from interdash.formulas.subsets import n_variables, orders

LEARNING_RATE = 1e-6  # absolute; the best of 1e-6, 1e-5, 1e-4, 1e-3 on most games here


def split(
    v: np.ndarray, kappa: float = 0.0, *, steps: int = 10_000, learning_rate: float = LEARNING_RATE, dtype=torch.float32
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (i_and, i_or, delta) in nats of games v, all `[..., 2**n]`, after `steps` steps; games do not interact.

    The last interactions are computed in float64, so that they match v − δ. First-order OR is merged into AND.
    """
    n = n_variables(v.shape[-1])
    unit = np.eye(2**n)
    to_and = torch.as_tensor(and_interactions(unit), dtype=dtype)  # [T, S]: I_and = v_and @ to_and
    to_or = torch.as_tensor(or_interactions(unit), dtype=dtype)
    outputs = torch.as_tensor(v - v[..., :1], dtype=dtype)
    zeta = torch.as_tensor(kappa * np.abs(v[..., -1:] - v[..., :1]), dtype=dtype)
    gamma = torch.zeros(v.shape, dtype=dtype, requires_grad=True)
    delta = torch.zeros(v.shape, dtype=dtype, requires_grad=True)
    optimizer = torch.optim.SGD([gamma, delta], lr=learning_rate, momentum=0.9)
    for rate in learning_rate * np.logspace(0, -1, steps):
        optimizer.param_groups[0]["lr"] = rate
        half = 0.5 * (outputs - delta)
        loss = ((half + gamma) @ to_and)[..., 1:].abs().sum() + ((half - gamma) @ to_or)[..., 1:].abs().sum()
        optimizer.zero_grad()
        loss.backward()
        if kappa == 0:
            delta.grad = None
        optimizer.step()
        with torch.no_grad():
            delta.clamp_(-zeta, zeta)
            delta[..., 0] = delta[..., -1] = 0.0  # the interactions still sum to v(x) − v(x_∅)
    with torch.no_grad():
        noise = delta.double().numpy()
        half, learned = 0.5 * (v - v[..., :1] - noise), gamma.double().numpy()
    learned[..., 0] = 0.0
    i_and, i_or = merge_first_order(and_interactions(half + learned), or_interactions(half - learned))
    return i_and, i_or, noise


def objective(i_and: np.ndarray, i_or: np.ndarray, tie_break: float = 0.0) -> np.ndarray:
    """Returns Σ_{S≠∅} w_S (|I_and(S)| + |I_or(S)|), `[...]` in nats, with w_S = 1 + tie_break·(|S| − 1)."""
    weights = 1 + tie_break * (orders(n_variables(i_and.shape[-1])) - 1)
    weights[0] = 0.0
    return (weights * (np.abs(i_and) + np.abs(i_or))).sum(-1)
