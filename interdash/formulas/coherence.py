"""Gradient coherence: how far the gradients of single samples point the same way, and whether the testing samples gain.

m-coherence is ‖Σg‖² / Σ‖g‖² over m samples: how many of them a small step along the gradient of one helps, on average.
Source: Chatterjee and Zielinski, arXiv 2008.01217 (definition; known through third-party notes of the paper).

ρ leaves out the products of a gradient with itself, so that runs with other m compare: m-coherence = 1 + (m − 1) ρ.
Transfer is ḡ_te · ḡ / ‖ḡ‖²: nats of testing loss gained by a small gradient step for each nat of training loss, below 0
exactly where the step raises the testing loss. ‖ḡ‖² of the whole split of N samples is estimated from m of them without
bias: (1 − 1/N) U + Q/(mN) with U = (‖S‖² − Q) / (m (m − 1)), S = Σg, Q = Σ‖g‖². Source: ours. From a step on the clean
labels to the loss of the noisy ones, and back, it is the same without such a bias above the line: no sample is in both.

Few samples of large gradient rule ρ. The mean cosine of two samples' gradients weighs all alike. Source: stiffness of
Fort et al., arXiv 1901.09491 (known through third-party notes).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

KINDS = ("clean", "noisy", "test")  # of samples: training ones by their labels, testing ones
ROUNDING = 1e-9  # of a measure: less is no spread
# Of Student's t for 95 % intervals, 1 to 9 degrees of freedom: a table, since scipy takes 0.14 s to import.
T_QUANTILES = (12.706204736, 4.302652730, 3.182446305, 2.776445105, 2.570581836, 2.446911851, 2.364624252, 2.306004135,
               2.262157163)  # fmt: skip
PARTS = {"": [0, 1], "clean": [0], "noisy": [1]}  # of the training samples, as kinds


class Coherence(NamedTuple):
    """Both measures of some gradients; NaN where they have none."""

    m_coherence: float  # 0 to m: m = all equal, 1 = orthogonal
    rho: float  # mean product of two of them over their mean square; no unit, at most 1


def coherence(gradients: Any) -> Coherence:
    """Returns m-coherence (in samples) and ρ (no unit) of the gradients of m samples, `[m, P]`, numpy or torch.

    >>> coherence(np.eye(4))
    Coherence(m_coherence=1.0, rho=0.0)
    >>> coherence(np.ones((4, 3)))
    Coherence(m_coherence=4.0, rho=1.0)

    Raises:
        ValueError: they have another shape.
    """
    rows = np.asarray(gradients.detach().cpu() if hasattr(gradients, "detach") else gradients)
    if rows.ndim != 2 or not len(rows):
        raise ValueError(f"gradients have the shape {list(rows.shape)}; pass one row a sample, [m, P]")
    square, squares = _square(rows.sum(0, dtype=float)), sum(_square(row) for row in rows)
    ratio = float(_ratio(square, squares))
    return Coherence(ratio, float(rho(square, squares, len(rows))))


def _square(row: np.ndarray) -> float:
    row = row.astype(float)
    return float(row @ row)


def rho(square: Any, squares: Any, m: Any) -> np.ndarray:
    """Returns ρ = (‖S‖² − Q) / ((m − 1) Q) of ‖S‖² and Q; NaN where m is 1 or Q is 0. Source: ours."""
    return _ratio(np.subtract(square, squares), (np.asarray(m) - 1.0) * squares)


def _ratio(over: Any, under: Any) -> np.ndarray:
    over, under = np.broadcast_arrays(np.asarray(over, float), np.asarray(under, float))
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)


class Sums(NamedTuple):
    """What is kept of the gradients of m samples in random groups: of no single one, so that m × P is never held."""

    products: np.ndarray  # [layers, 3 KINDS, groups, 2, groups]: of each group's sum with each sum of training samples
    squares: np.ndarray  # [layers, 2, groups]: Σ‖g‖² of the training samples
    fourths: np.ndarray  # [2, groups]: Σ‖g‖⁴ of the whole network's gradients
    counts: np.ndarray  # [3, groups]: samples
    units: np.ndarray  # [groups, groups]: products of the groups' sums of g / ‖g‖, whole network, training samples
    known: np.ndarray  # [groups]: training samples with a gradient that is not 0
    split: int  # N, samples of the whole training split


def measures(sums: Sums, layers: Sequence[str]) -> dict[str, tuple[float, float | None, float | None, str]]:
    """Returns measures by name as (value, low, high, unit): of the whole network, the clean and noisy labels, by layer.

    Names are samples, m_coherence and those of `_values`, with "/clean", "/noisy" or "/layer 2: NAME" behind. Ends are
    of a 95 % interval for the whole training split: none if it is looked at whole, but for transfer, whose testing
    samples stand for others.

    Raises:
        ValueError: there are fewer than two training samples, or no testing sample.
    """
    if sums.counts[:2].sum() < 2 or not sums.counts[2].sum():
        raise ValueError(
            f"{int(sums.counts[:2].sum())} training and {int(sums.counts[2].sum())} testing samples have no coherence; "
            "take at least two and one"
        )
    groups = sums.counts.shape[1]
    every, left = np.ones((1, groups)), 1.0 - np.eye(groups)
    whole = _values(sums, layers, every, every)
    train, test = _values(sums, layers, left, np.ones_like(left)), _values(sums, layers, np.ones_like(left), left)
    outside = 1 - min(1.0, sums.counts[:2].sum() / sums.split)
    rows: dict[str, tuple[float, float | None, float | None, str]] = {}
    rows["samples"] = (float(sums.counts[:2].sum()), None, None, "samples")
    for name, (values, unit) in whole.items():
        value, low, high = float(values[0]), None, None
        if name in train:  # else, without a group, fewer than two samples have such a label
            variance = outside * _jackknife(train[name][0]) + _jackknife(test[name][0])
            reach = T_QUANTILES[min(groups, len(T_QUANTILES) + 1) - 2] * float(np.sqrt(variance))
            low, high = (value - reach, value + reach) if reach > ROUNDING * abs(value) else (None, None)
        rows[name] = (value, low, high, unit)
        if name.startswith("rho"):
            m = sums.counts[PARTS.get(name.partition("/")[2], [0, 1])].sum()
            low, high = (None if end is None else float(1 + (m - 1) * end) for end in (low, high))
            rows[f"m_coherence{name[3:]}"] = (float(1 + (m - 1) * value), low, high, "samples")
    return rows


def _values(
    sums: Sums, layers: Sequence[str], train: np.ndarray, test: np.ndarray
) -> Mapping[str, tuple[np.ndarray, str]]:
    """Returns each measure `[draws]` of the groups with weight 1 in `train` and `test`, both `[draws, groups]`.

    rho; squares, the mean of ‖g‖²; contributing, (Σ‖g‖²)² / Σ‖g‖⁴, how many samples of equal ‖g‖² would weigh as much;
    transfer; cosine.
    """
    products = np.einsum("lagbh,dg,dh->dlab", sums.products[:, :2], train, train)
    cross = np.einsum("lgbh,dg,dh->db", sums.products[:, 2], test, train)
    squares, fourths = np.einsum("lag,dg->dla", sums.squares, train), train @ sums.fourths.T
    counts, tests = train @ sums.counts[:2].T, test @ sums.counts[2]
    m = train @ sums.known
    rows: dict[str, tuple[np.ndarray, str]] = {}
    if (m >= 2).all():
        rows["cosine"] = (_ratio(np.einsum("gh,dg,dh->d", sums.units, train, train) - m, m * (m - 1)), "")
    both_kinds = products[:, :, 0, 1].sum(1)
    for part, kinds in PARTS.items():
        square, q = products[:, :, kinds][..., kinds].sum((2, 3)), squares[:, :, kinds].sum(2)
        m, suffix = counts[:, kinds].sum(1), f"/{part}" if part else ""
        if (part and not sums.counts[:2].sum(1).all()) or m.min() < 2:
            continue
        share = counts[:, kinds].sum(1) / counts.sum(1)
        split = share * sums.split
        both, all_q = square.sum(1), q.sum(1)
        mean = (1 - 1 / split) * (both - all_q) / (m * (m - 1)) + all_q / (m * split)
        rows[f"rho{suffix}"] = (rho(both, all_q, m), "")
        rows[f"squares{suffix}"] = (all_q / m, "nats²")
        rows[f"contributing{suffix}"] = (_ratio(all_q**2, fourths[:, kinds].sum(1)), "samples")
        rows[f"transfer{suffix}"] = (_ratio(cross[:, kinds].sum(1) / (tests * m), mean), "nats a nat")
        if part and counts[:, 1 - kinds[0]].all():
            others, name = counts[:, 1 - kinds[0]], "clean to noisy" if part == "clean" else "noisy to clean"
            rows[f"transfer/{name}"] = (_ratio(both_kinds / (m * others), mean), "nats a nat")
        if not part:
            each = rho(square, q, m[:, None])
            rows |= {f"rho/layer {i + 1}: {name}": (each[:, i], "") for i, name in enumerate(layers)}
    return rows


def _jackknife(values: np.ndarray) -> float:
    """Returns the variance of a measure from its values `[groups]` without each group; 0 where it is constant."""
    known = values[~np.isnan(values)]
    return (len(known) - 1) * float(known.var()) if len(known) > 1 else 0.0
