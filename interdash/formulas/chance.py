"""Chance: how often an interaction would generalize if the baseline network's interactions were any others.

Low orders coincide by chance more often: of 10 first-order interactions most are salient in any network, of 252 of the
fifth order few. So G and H mean something only beside their level by chance. It needs no pass: of the baseline network
only the number of salient interactions matters, on the same sample, by type, order and sign.

Arrays are those of labelling: `[..., subsets]`, last axis: index = bitmask (see `subsets`), one type (AND or OR) at a
time, so `[samples, types, 2**n]` for both. First-order OR is merged into AND, so it is salient nowhere, chance 0.

In labelling, with the baseline network's interactions set to 0 where they are not salient::

    by_chance = chance(effects, np.where(salient(base, tau), base, 0), sign_test=rules.sign_test)

and then with sums over any samples, types and orders, where Σ is over the salient interactions of the target::

    level = generalization_power((strength * by_chance).sum(), strength.sum())  # H by chance; by count: the mean of c
    kappa = above_chance(power, level)

Several baseline networks have each their own; all figures are means over them, so is the level.

Source: ours; the question by reviewers of the layerwise paper (arXiv 2409.08712) and its forerunner.
"""

import numpy as np

from interdash.formulas.subsets import n_variables, orders


def chance(i_target: np.ndarray, i_baseline: np.ndarray, *, sign_test: bool = True) -> np.ndarray:
    """Returns c(S), the chance that a salient interaction of the target transfers: `[..., 2**n]`, 0–1; 0 for ∅.

    c(S) = (salient interactions of the baseline network of the same order and sign) / C(n, |S|), that is, the chance of
    being among them if they lay on any subsets of that order.

    >>> baseline = np.array([0.0, 2.0, -3.0, 0.0])  # salient: {0} positive, {1} negative; {0, 1} is not
    >>> chance(np.array([0.0, 1.0, 1.0, 1.0]), baseline).tolist()
    [0.0, 0.5, 0.5, 0.0]
    >>> chance(np.array([0.0, 1.0, 1.0, 1.0]), baseline, sign_test=False).tolist()
    [0.0, 1.0, 1.0, 0.0]

    Args:
        i_target: interactions of the target, of which only the sign counts; may have more leading axes (epochs).
        i_baseline: of the baseline network, 0 where they are not salient.
        sign_test: whether only interactions of the same sign transfer.
    """
    size = orders(n_variables(i_target.shape[-1]))
    by_order = np.eye(size.max() + 1)[size]  # [2^n, n + 1]
    share = by_order / by_order.sum(0)
    same = [i_baseline * sign > 0 if sign_test else i_baseline != 0 for sign in (1, -1)]
    positive, negative = ((here @ share)[..., size] for here in same)  # by order, to every subset
    level = np.where(i_target > 0, positive, negative)
    level[..., 0] = 0
    return level


def above_chance(power: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Returns how far H lies above chance, (H − level) / (1 − level): 1 if all generalizes, 0 at chance, < 0 below it.

    NaN where the level is 1 (nothing could lie above it) or where either is NaN.

    >>> above_chance(np.array([0.6, 1.0, 0.25]), np.array([0.2, 0.3, 0.25])).round(3).tolist()
    [0.5, 1.0, 0.0]
    """
    power, level = np.broadcast_arrays(power, level)
    return np.divide(power - level, 1 - level, out=np.full(level.shape, np.nan), where=level < 1)
