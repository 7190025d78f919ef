"""Chance: how often an interaction would generalize if the baseline network's interactions were any others.

Low orders coincide by chance more often: of 10 first-order interactions most are salient in any network, of 252 of the
fifth order few. So G and H mean something only beside their level by chance. It needs no pass: of the baseline network
only the number of salient interactions matters, on the same sample, by type, order and sign.

Arrays are those of labelling: `[..., subsets]`, last axis: index = bitmask (see `subsets`), one type (AND or OR) at a
time, so `[samples, types, 2**n]` for both. First-order OR is merged into AND, so it is salient nowhere, chance 0.

In labelling, beside G (same arguments, the baseline networks' interactions set to 0 where they are not salient)::

    salient_bases = [np.where(generalization.salient(i, tau), i, 0) for i, tau in zip(bases, taus, strict=True)]
    by_chance = chance.chance(effects, salient_bases, sign_test=rules.sign_test, vote=rules.vote)

and then with sums over any samples, types and orders, where Σ is over the salient interactions of the target::

    level = generalization_power((strength * by_chance).sum(), strength.sum())  # H by chance; by count: the mean of c
    kappa = above_chance(power, level)

Source: ours; the question by reviewers of the layerwise paper (arXiv 2409.08712) and its forerunner.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from interdash.formulas.subsets import n_variables, orders


def chance(
    i_target: np.ndarray,
    i_baselines: Sequence[np.ndarray],
    *,
    sign_test: bool = True,
    vote: Literal["any", "majority"] = "any",
) -> np.ndarray:
    """Returns c(S), the chance that a salient interaction of the target generalizes: `[..., 2**n]`, 0–1; 0 for ∅.

    One baseline network: c(S) = (its salient interactions of the same order and sign) / C(n, |S|), that is, the chance
    of being among them if they lay on any subsets of that order. Several: they are independent, and the chance is that
    one agrees, 1 − Π (1 − c_b), or that more than half do, the tail of a Poisson-binomial distribution.

    >>> baseline = np.array([0.0, 2.0, -3.0, 0.0])  # salient: {0} positive, {1} negative; {0, 1} is not
    >>> chance(np.array([0.0, 1.0, 1.0, 1.0]), [baseline]).tolist()
    [0.0, 0.5, 0.5, 0.0]
    >>> chance(np.array([0.0, 1.0, 1.0, 1.0]), [baseline], sign_test=False).tolist()
    [0.0, 1.0, 1.0, 0.0]

    Args:
        i_target: interactions of the target, of which only the sign counts; may have more leading axes (epochs).
        i_baselines: of each baseline network, 0 where they are not salient.
        sign_test: whether only interactions of the same sign generalize, as in G.
        vote: how many baseline networks must agree, as in G.

    Raises:
        ValueError: there is no baseline network, or the vote is unknown.
    """
    if not i_baselines:
        raise ValueError("there is no baseline network; pass the salient interactions of at least one")
    if vote not in ("any", "majority"):
        raise ValueError(f"the vote is {vote!r}; choose 'any' or 'majority'")
    size = orders(n_variables(i_target.shape[-1]))
    positive, negative = (_share(i_baselines, sign, vote) for sign in ((1, -1) if sign_test else (0, 0)))
    level = np.where(i_target > 0, positive[..., size], negative[..., size])  # by sign and order, to every subset
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


def _share(i_baselines: Sequence[np.ndarray], sign: int, vote: str) -> np.ndarray:
    """Returns the chance by order, `[..., n + 1]`, for target interactions of a sign; 0 stands for either sign."""
    agreeing = [np.array(1.0)]  # entry k: the chance that k of the baseline networks so far agree
    for i in i_baselines:
        n = n_variables(i.shape[-1])
        by_order = np.eye(n + 1)[orders(n)]  # [2^n, n + 1]
        share = ((i != 0) if sign == 0 else (i * sign > 0)) @ (by_order / by_order.sum(0))
        agreeing = [
            same * (1 - share) + fewer * share for same, fewer in zip([*agreeing, 0], [0, *agreeing], strict=True)
        ]
    least = 1 if vote == "any" else len(i_baselines) // 2 + 1
    return np.sum(agreeing[least:], axis=0)
