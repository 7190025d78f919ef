"""The exact projection onto all AND and OR interactions (and bounded noise) that reproduce a game's outputs.

Layout here: `[2^n, batch]`, the subsets first (index = bitmask), so that every step runs over contiguous samples.

With A the map from AND interactions to outputs and O the one from OR interactions, a point (a, o, δ) reproduces the
outputs u where A a + O o + δ = u. Its projection needs (A Aᵀ + O Oᵀ + I/σ)⁻¹. A and O are built from Kronecker powers
that do not commute, but A Aᵀ + O Oᵀ commutes with every permutation of the variables. Two halves of the variables are
therefore rotated into a basis of total spin each (Schur–Weyl duality), where the matrix is block-diagonal with blocks
of at most (n/2 + 1)²; these are diagonalised once. A projection costs two 2^{n/2}×2^{n/2} products each way.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def _butterfly_(x: Tensor, source: int, into: int) -> Tensor:
    """Returns x after adding, for every variable, the half with bit `source` to the half with bit `into`, in place."""
    size, step = x.shape[0], 1  # len(x) of a tensor costs a microsecond
    while step < size:
        pairs = x.view(size // (2 * step), 2, -1)
        pairs[:, into] += pairs[:, source]
        step *= 2
    return x


def subset_sums_(x: Float[Tensor, "subsets batch"]) -> Float[Tensor, "subsets batch"]:
    """Returns x after x[S] ← Σ_{T⊆S} x[T], in place: the map A from AND interactions to outputs."""
    return _butterfly_(x, 0, 1)


def superset_sums_(x: Float[Tensor, "subsets batch"]) -> Float[Tensor, "subsets batch"]:
    """Returns x after x[S] ← Σ_{T⊇S} x[T], in place: the adjoint Aᵀ."""
    return _butterfly_(x, 1, 0)


def touching_sums(x: Float[Tensor, "subsets batch"]) -> Float[Tensor, "subsets batch"]:
    """Returns Σ_{T∩S≠∅} x[T] for every S: the map O from OR interactions to outputs, which is its own adjoint."""
    total = x.sum(0)
    return total - subset_sums_(x.clone()).flip(0)


def _spin_basis(m: int) -> dict[int, np.ndarray]:
    """Returns an orthonormal basis of R^{2^m} by total spin: twice the spin → `[2·spin + 1, copies, 2^m]`.

    Every permutation of the m bits acts on the copies only, alike in each row (Clebsch–Gordan, one bit at a time).
    """
    multiplets = [(0, np.ones((1, 1)))]
    for bits in range(m):
        grown = []
        for twice, rows in multiplets:
            spin, size = twice / 2, 2**bits
            lower = np.concatenate([rows, np.zeros((twice + 1, size))], 1)  # the new, highest bit is 0
            upper = np.concatenate([np.zeros((twice + 1, size)), rows], 1)
            for new, sign in ((twice + 1, 1), (twice - 1, -1)):
                if new < 0:
                    continue
                vectors = np.zeros((new + 1, 2 * size))
                for i in range(new + 1):
                    m_new = new / 2 - i
                    for shift, source, direction in ((-0.5, lower, sign), (0.5, upper, 1)):
                        row = round(spin - (m_new + shift))
                        if 0 <= row <= twice:
                            weight = spin + 0.5 + (m_new if (shift < 0) == (sign > 0) else -m_new)
                            vectors[i] += direction * np.sqrt(max(weight, 0.0) / (twice + 1)) * source[row]
                grown.append((new, vectors))
        multiplets = grown
    basis: dict[int, list[np.ndarray]] = {}
    for twice, rows in multiplets:
        basis.setdefault(twice, []).append(rows)
    return {twice: np.stack(copies, 1) for twice, copies in sorted(basis.items(), reverse=True)}


def _normal_matrix(y: Tensor, part: str) -> Tensor:
    """Returns (A Aᵀ + O Oᵀ) y, or one term of it, from the definition; OR has no interaction of the empty set."""
    touched = touching_sums(y)
    touched[0] = 0
    terms = {"and": subset_sums_(superset_sums_(y.clone())), "or": touching_sums(touched)}
    return terms["and"] + terms["or"] if part == "both" else terms[part]


@dataclass(frozen=True)
class Projector:
    """Solves (A Aᵀ + O Oᵀ + shift) λ = r for one number of variables, precision and device."""

    low: Tensor  # rotation of the lower half of the bits, [2^{n1}, 2^{n1}]
    high: Tensor  # rotation of the upper half
    order: Tensor  # rotated rows, sorted by block
    undo: Tensor
    blocks: tuple[tuple[int, int, int, Tensor], ...]  # start row, size, copies, eigenvectors [size, size]
    eigenvalues: Tensor  # [2^n, 1], in sorted order

    def solve(self, r: Float[Tensor, "subsets batch"], shift: Float[Tensor, "batch"]) -> Float[Tensor, "subsets batch"]:
        """Returns λ with (A Aᵀ + O Oᵀ + shift) λ = r, one shift a sample (0 where there is no noise term)."""
        batch = r.shape[1]
        n_low, n_high = self.low.shape[0], self.high.shape[0]
        x = (self.high @ r.view(n_high, -1)).view(n_high, n_low, batch).transpose(0, 1).reshape(n_low, -1)
        x = (self.low @ x).view(-1, batch).index_select(0, self.order)
        out = torch.empty_like(x)
        for start, size, copies, vectors in self.blocks:
            rows = slice(start, start + size * copies)
            torch.mm(vectors.T, x[rows].view(size, -1), out=out[rows].view(size, -1))
        out /= self.eigenvalues + shift
        for start, size, copies, vectors in self.blocks:
            rows = slice(start, start + size * copies)
            torch.mm(vectors, out[rows].view(size, -1), out=x[rows].view(size, -1))
        x = self.low.T @ x.index_select(0, self.undo).view(n_low, -1)
        x = x.view(n_low, n_high, batch).transpose(0, 1).reshape(n_high, -1)
        return (self.high.T @ x).view(-1, batch)


@cache
def projector(
    n: int, dtype: torch.dtype, device: torch.device, part: Literal["both", "and", "or"] = "both"
) -> Projector:
    """Returns the projector of n variables, or with A Aᵀ or O Oᵀ alone; built once for each precision and device."""
    n_low = n // 2
    low, high = _spin_basis(n_low), _spin_basis(n - n_low)
    offsets_low = np.cumsum([0] + [b.shape[0] * b.shape[1] for b in low.values()])
    offsets_high = np.cumsum([0] + [b.shape[0] * b.shape[1] for b in high.values()])
    rows, blocks, eigenvalues, start = [], [], [], 0
    for at_high, b_high in zip(offsets_high, high.values(), strict=False):
        for at_low, b_low in zip(offsets_low, low.values(), strict=False):
            (d_high, c_high), (d_low, c_low) = b_high.shape[:2], b_low.shape[:2]
            i_high = at_high + np.arange(d_high * c_high).reshape(d_high, 1, c_high, 1)
            i_low = at_low + np.arange(d_low * c_low).reshape(1, d_low, 1, c_low)
            rows.append((i_low * 2 ** (n - n_low) + i_high).reshape(-1))  # the rotated lower half leads
            size, copies = d_high * d_low, c_high * c_low
            # the block is the same for every copy: read it off the first one
            first = torch.tensor(np.einsum("ax,by->abxy", b_high[:, 0], b_low[:, 0]).reshape(size, -1))
            block = first @ _normal_matrix(first.T.contiguous(), part)
            values, vectors = torch.linalg.eigh((block + block.T) / 2)
            blocks.append((start, size, copies, vectors.to(device, dtype)))
            eigenvalues.append(values.repeat_interleave(copies))
            start += size * copies
    order = torch.tensor(np.concatenate(rows))
    return Projector(
        low=torch.tensor(np.concatenate([b.reshape(-1, 2**n_low) for b in low.values()])).to(device, dtype),
        high=torch.tensor(np.concatenate([b.reshape(-1, 2 ** (n - n_low)) for b in high.values()])).to(device, dtype),
        order=order.to(device),
        undo=torch.argsort(order).to(device),
        blocks=tuple(blocks),
        eigenvalues=torch.cat(eigenvalues)[:, None].to(device, dtype),
    )
