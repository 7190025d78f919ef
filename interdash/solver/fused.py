"""The solver's steps on a CPU, compiled: one pass over samples that stay in a core's cache.

The same steps as `steps.iterate` takes on a GPU. No sum is reordered and no product contracted, so that the bits of
a sample depend neither on the samples beside it nor on the processor. An array `[2^n, samples]` is walked in runs: the
entries of neighbouring subsets lie side by side.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit

from interdash.solver.projection import Projector


@cache
def tables(solver: Projector) -> tuple[np.ndarray, ...]:
    """Returns what `steps` needs of a projector."""
    low, high = (np.where(abs(basis) > 1e-12, basis, 0) for basis in (solver.low.numpy(), solver.high.numpy()))
    blocks = np.array([block[:3] for block in solver.blocks])
    back = [block[3].numpy() for block in solver.blocks]
    vectors = [np.concatenate([matrix.ravel() for matrix in matrices]) for matrices in ([m.T for m in back], back)]
    index = solver.order.numpy(), solver.undo.numpy()
    rotations = (np.ascontiguousarray(matrix) for matrix in (high, low, high.T, low.T))
    return (*rotations, *index, blocks, *vectors, solver.eigenvalues[:, 0].numpy())


def compiled(function: Any) -> Any:
    """Returns the function, compiled when first called; kept on disk where a folder for it can be written."""
    try:
        return njit(function, nogil=True, error_model="numpy", cache=True)
    except RuntimeError:  # neither the package's folder nor the user's is writable
        return njit(function, nogil=True, error_model="numpy")


@compiled
def sums(x: np.ndarray, run: int, low: int) -> None:
    """Overwrites x `[2^n · run]` with its sums over subsets (low = 0) or supersets (low = 3), two variables a pass."""
    size, step = x.size, run
    while 4 * step <= size:
        for base in range(0, size, 4 * step):
            a, d = base + low * step, base + (3 - low) * step
            empty, full = x[a : a + step], x[d : d + step]
            first, second = x[base + step : base + 2 * step], x[base + 2 * step : base + 3 * step]
            for j in range(step):
                e, f, s = empty[j], first[j], second[j]
                full[j] += f + s + e
                first[j] = f + e
                second[j] = s + e
        step *= 4
    if 2 * step <= size:
        a, d = (0, step) if low == 0 else (step, 0)
        empty, full = x[a : a + step], x[d : d + step]
        for j in range(step):
            full[j] += empty[j]


@compiled
def product(matrix: np.ndarray, x: np.ndarray, out: np.ndarray, run: int) -> None:
    """Writes matrix @ x to out, rows of `run` entries; passes over the zeros of the matrix, four others at a time."""
    rows, columns = matrix.shape
    filled = np.empty(columns, np.int64)
    for i in range(rows):
        count = 0
        for k in range(columns):
            if matrix[i, k] != 0:
                filled[count] = k
                count += 1
        y = out[i * run : (i + 1) * run]
        y[:] = 0
        for first in range(0, count - 3, 4):
            k0, k1, k2, k3 = filled[first], filled[first + 1], filled[first + 2], filled[first + 3]
            c0, c1, c2, c3 = matrix[i, k0], matrix[i, k1], matrix[i, k2], matrix[i, k3]
            x0, x1 = x[k0 * run : (k0 + 1) * run], x[k1 * run : (k1 + 1) * run]
            x2, x3 = x[k2 * run : (k2 + 1) * run], x[k3 * run : (k3 + 1) * run]
            for j in range(run):
                y[j] += (c0 * x0[j] + c1 * x1[j]) + (c2 * x2[j] + c3 * x3[j])
        for last in range(count - count % 4, count):
            k0 = filled[last]
            c0, x0 = matrix[i, k0], x[k0 * run : (k0 + 1) * run]
            for j in range(run):
                y[j] += c0 * x0[j]


@compiled
def turned(x: np.ndarray, out: np.ndarray, first: int, second: int) -> None:
    """Writes row (i, j) of x `[first · second, samples]` to row (j, i) of out."""
    for i in range(first):
        for j in range(second):
            for b in range(x.shape[1]):
                out[j * first + i, b] = x[i * second + j, b]


@compiled
def rearranged(x: np.ndarray, out: np.ndarray, order: np.ndarray) -> None:
    """Writes row order[i] of x `[rows, samples]` to row i of out."""
    for i in range(order.size):
        k = order[i]
        for b in range(x.shape[1]):
            out[i, b] = x[k, b]


@compiled
def blockwise(x: np.ndarray, out: np.ndarray, blocks: np.ndarray, matrices: np.ndarray) -> None:
    """Writes every block's matrix times its rows of x to out, both `[rows, samples]`."""
    samples, at = x.shape[1], 0
    flat, flat_out = x.reshape(-1), out.reshape(-1)
    for i in range(blocks.shape[0]):
        start, size, copies = blocks[i, 0] * samples, blocks[i, 1], blocks[i, 2]
        stop, square = start + size * copies * samples, size * size
        matrix = matrices[at : at + square].reshape(size, size)
        product(matrix, flat[start:stop], flat_out[start:stop], copies * samples)
        at += square


@compiled
def solve(r: np.ndarray, other: np.ndarray, shift: np.ndarray, tables: Any) -> None:
    """Overwrites r `[2^n, samples]` as `Projector.solve` returns it; `other` is room of its size."""
    high, low, high_back, low_back, order, undo, blocks, into, back, eigenvalues = tables
    n_high, n_low, samples = high.shape[0], low.shape[0], r.shape[1]
    x, y = r.reshape(-1), other.reshape(-1)
    product(high, x, y, n_low * samples)
    turned(other, r, n_high, n_low)
    product(low, x, y, n_high * samples)
    rearranged(other, r, order)
    blockwise(r, other, blocks, into)
    for i in range(eigenvalues.size):
        for b in range(samples):
            other[i, b] /= eigenvalues[i] + shift[b]
    blockwise(other, r, blocks, back)
    rearranged(r, other, undo)
    product(low_back, y, x, n_high * samples)
    turned(r, other, n_low, n_high)
    product(high_back, y, x, n_low * samples)


@compiled
def steps(
    moved: np.ndarray,
    u: np.ndarray,
    zeta: np.ndarray,
    threshold: np.ndarray,
    shift: np.ndarray,
    weights: np.ndarray,
    head: np.ndarray,
    inside: np.ndarray,
    room: np.ndarray,
    count: int,
    tables: Any,
) -> None:
    """Takes `count` steps as `steps.iterate` does; room[2] keeps the multiplier.

    `head` and `inside`, see `steps._schedule`, are those before the first steps; the last ones go on.
    """
    subsets, samples = u.shape
    relaxation, two, one = moved.dtype.type(1.7), moved.dtype.type(2), moved.dtype.type(1)
    least, infinite, zero = moved.dtype.type(0.1), moved.dtype.type(np.inf), moved.dtype.type(0)
    s, w = moved.reshape(-1), room.reshape(-1)
    size = subsets * samples
    a, o, r, of_or, of_delta = room[0], room[1], room[2], moved[1], moved[2]
    for step in range(count):
        now = min(step, len(head) - 1)
        for k in range(2):
            for i in range(subsets):
                weight = weights[k, i, 0]
                heavy = max(one + head[now] * (weight - one), least) if weight > 0 else infinite
                for b in range(samples):
                    value, most = moved[k, i, b], heavy * threshold[b]
                    clipped = most if value > most else (-most if value < -most else value)
                    room[k, i, b] = value - two * clipped
                    moved[k, i, b] = value - relaxation * clipped
        for i in range(subsets):
            share = inside[now] if 0 < i < subsets - 1 else zero
            for b in range(samples):
                value, most = of_delta[i, b], share * zeta[b]
                clipped = value - (most if value > most else (-most if value < -most else value))
                r[i, b] = value - two * clipped
                of_delta[i, b] = value - relaxation * clipped
        sums(w[:size], samples, 0)
        sums(w[size : 2 * size], samples, 3)
        for i in range(subsets):
            for b in range(samples):
                r[i, b] = u[i, b] - r[i, b] - a[i, b] + o[i, b] - o[0, b]
        solve(r, a, shift, tables)
        for j in range(size):
            w[j] = w[2 * size + j]
            w[size + j] = w[2 * size + j]
        sums(w[:size], samples, 3)
        sums(w[size : 2 * size], samples, 0)
        for j in range(size):
            s[j] += relaxation * w[j]
        for i in range(subsets):
            for b in range(samples):
                of_or[i, b] += relaxation * (o[subsets - 1, b] - o[i, b])
            for b in range(samples):  # a loop of its own: it would not be vectorised with the other
                of_delta[i, b] += relaxation * r[i, b] * shift[b]
