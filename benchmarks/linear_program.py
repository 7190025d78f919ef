"""The exact optimum of the sparse split, as a linear program (scipy HiGHS): ground truth for the solver.

min Σ_{S≠∅} w_S (|I_and(S)| + |I_or(S)|) over all interactions and noise δ with |δ_T| ≤ ζ that match the outputs
v(x_T) − v(x_∅) − δ_T for every T; δ_∅ = δ_N = 0, ζ = κ·|v(x) − v(x_∅)|, w_S = 1 + tie_break·(|S| − 1).
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
from scipy.optimize import linprog

from interdash.formulas.subsets import n_variables, orders


class Optimum(NamedTuple):
    """One exact optimum. Nats; entry 0 of the interactions is 0."""

    objective: float
    i_and: np.ndarray  # [2^n]
    i_or: np.ndarray  # [2^n]
    delta: np.ndarray  # [2^n]


def solve(v: np.ndarray, kappa: float = 0.0, *, tie_break: float = 0.0) -> Optimum:
    """Returns an exact optimum for one game v `[2**n]` (v(x_∅) included, in nats).

    Raises:
        RuntimeError: the LP solver stopped without an optimum.
    """
    n = n_variables(len(v))
    size, m = 2**n, 2**n - 1
    inside = sparse.csr_matrix(np.ones((1, 1)))  # inside[T, S] = 1 where S ⊆ T
    for _ in range(n):
        inside = sparse.kron(sparse.csr_matrix([[1.0, 0.0], [1.0, 1.0]]), inside, format="csr")
    to_and = inside[1:, 1:]
    missed = inside[::-1][1:, 1:]  # S ⊆ N∖T: the OR of S is not triggered
    one = sparse.csr_matrix(np.ones((m, 1)))
    # Columns: and⁺, and⁻, or⁺, or⁻ (S ≠ ∅), the sum of all OR interactions (keeps the matrix sparse), δ.
    match = sparse.hstack([to_and, -to_and, -missed, missed, one, sparse.eye(m)])
    ones = np.ones((1, m))
    total = sparse.hstack([sparse.csr_matrix((1, 2 * m)), ones, -ones, [[-1.0]], sparse.csr_matrix((1, m))])
    weights = 1 + tie_break * (orders(n)[1:] - 1)
    bound = np.full(m, kappa * abs(v[-1] - v[0]))
    bound[-1] = 0.0
    scale = np.abs(v - v[0]).max() or 1.0  # HiGHS has absolute tolerances
    found = linprog(
        np.concatenate([np.tile(weights, 4), np.zeros(1 + m)]),
        A_eq=sparse.vstack([match, total], format="csr"),
        b_eq=np.append((v[1:] - v[0]) / scale, 0.0),
        bounds=np.column_stack(
            [
                np.concatenate([np.zeros(4 * m), [-np.inf], -bound / scale]),
                np.append(np.full(4 * m + 1, np.inf), bound / scale),
            ]
        ),
        method="highs",
    )
    if found.status != 0:
        raise RuntimeError(f"no optimum of a game with n = {n}, kappa = {kappa}: {found.message}")
    x = found.x * scale
    i_and, i_or, delta = np.zeros((3, size))
    i_and[1:], i_or[1:], delta[1:] = x[:m] - x[m : 2 * m], x[2 * m : 3 * m] - x[3 * m : 4 * m], x[4 * m + 1 :]
    return Optimum(found.fun * scale, i_and, i_or, delta)
