"""Flows: how much strength a network learned and removed from one recorded epoch to the next, and how much generalizes.

For each sample, type and subset, with I₁ before and I₂ after: learned = max(|I₂| − |I₁|, 0) and removed =
max(|I₁| − |I₂|, 0); where the sign changed, all of I₁ was removed and all of I₂ learned.

What counts: an interaction is learned only if it is salient afterwards, and removed only if it was salient before, for
only then is it said to generalize or not: by G and chance of the later epoch for what is learned, of the earlier one
for what is removed. At the other epoch it counts with its true value, salient or not. So one that flickers around τ
adds the little by which it moves, not all of τ each time; one that stays as it is while τ rises past it was not
removed; one that grows below τ counts from the epoch at which it is salient, with its last step. Where only salient
values are known (vectors that were dropped), the others are taken as 0: `only_salient`, `from_rows`.

Sums are kept by sample, type and order, so that those of any split, class or type are sums of them. One pair of epochs
is needed at a time, of as many samples as fit into memory::

    for before, after in itertools.pairwise(labelled(epoch) for epoch in epochs):
        table = flows(before, after)  # [samples, types, n, 6]

and for `find_phases`, with the tables of all pairs stacked to `[pairs, samples, types, n, 6]`::

    learned, generalizable, by_chance = tables[..., :3].sum((2, 3)).T  # [samples, pairs] each

Source: ours, for the words "learned" and "removed" of three-phase (arXiv 2505.06993).
"""

from typing import NamedTuple

import numpy as np

from interdash.formulas.bootstrap import group, mean_intervals
from interdash.formulas.chance import above_chance
from interdash.formulas.subsets import n_variables, orders

QUANTITIES = (
    *("learned", "learned_generalizable", "learned_by_chance"),
    *("removed", "removed_generalizable", "removed_by_chance"),
)
ON_G = tuple(name for name in QUANTITIES if "_" in name)  # which depend on the baseline network


class Labelled(NamedTuple):
    """The interactions of some samples at one epoch, and their labels: each `[samples, types, 2**n]`."""

    effects: np.ndarray  # nats, signed
    salient: np.ndarray  # bool
    generalizes: np.ndarray  # bool, G
    chance: np.ndarray  # 0–1, see `chance`


def flows(before: Labelled, after: Labelled) -> np.ndarray:
    """Returns what was learned and removed between two epochs: `[samples, types, n, 6]`, nats, ≥ 0.

    Entry k − 1 of the third axis is order k; the last axis is `QUANTITIES`: learned, of that generalizable (Σ
    learned·G), of that by chance (Σ learned·c), and the same of what was removed.

    >>> labels = np.array([[[False, True, True, False]]])
    >>> before = Labelled(np.array([[[0.0, 3.0, 1.0, 0.1]]]), labels, labels, 0.5 * labels)
    >>> after = Labelled(np.array([[[0.0, 1.0, -2.0, 0.2]]]), labels, labels, 0.5 * labels)
    >>> flows(before, after)[0, 0].tolist()  # {0} lost 2, {1} changed its sign, {0, 1} is salient at neither epoch
    [[2.0, 2.0, 1.0, 3.0, 3.0, 1.5], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    first, second = np.abs(before.effects), np.abs(after.effects)
    same = before.effects * after.effects >= 0
    learned = np.where(same, np.maximum(second - first, 0), second) * after.salient
    removed = np.where(same, np.maximum(first - second, 0), first) * before.salient
    n = n_variables(first.shape[-1])
    by_order = np.eye(n + 1)[orders(n)][:, 1:]  # [2^n, n]
    sums = []
    for flow, labels in ((learned, after), (removed, before)):
        sums += [flow @ by_order, (flow * labels.generalizes) @ by_order, (flow * labels.chance) @ by_order]
    return np.stack(sums, axis=-1)


def only_salient(labelled: Labelled) -> Labelled:
    """Returns the same labels with effects 0 where they are not salient, as where only salient values are known."""
    return labelled._replace(effects=np.where(labelled.salient, labelled.effects, 0))


def from_rows(
    where: tuple[np.ndarray, np.ndarray, np.ndarray],
    effect: np.ndarray,
    generalizes: np.ndarray,
    chance: np.ndarray,
    shape: tuple[int, int, int],
) -> Labelled:
    """Returns the labelled interactions `[samples, types, 2**n]` of an epoch of which only the salient ones are known.

    Args:
        where: sample, type (0: AND, 1: OR) and subset of each salient interaction, each `[T]`.
        effect: `[T]`, nats.
        generalizes: `[T]`, G.
        chance: `[T]`, 0–1.
        shape: (samples, types, 2**n).
    """
    columns = (effect, True, generalizes, chance)
    dense = [np.zeros(shape, kind) for kind in (float, bool, bool, float)]
    for array, values in zip(dense, columns, strict=True):
        array[where] = values
    return Labelled(*dense)


def summary(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Returns shares and mean orders of flows `[..., 8]` (`QUANTITIES`, Σ order · learned, Σ order · removed): `[...]`.

    Strengths learned and removed keep their unit; shares are NaN where nothing is learned or removed.
    """
    learned, general, level, removed, removed_general, _, size, removed_size = np.moveaxis(sums, -1, 0)
    power, by_chance = (share(part, learned) for part in (general, level))
    return {
        "learned": learned,
        "removed": removed,
        "power": power,
        "chance": by_chance,
        "above_chance": above_chance(power, by_chance),
        "removed_power": share(removed_general, removed),
        "learned_order": share(size, learned),
        "removed_order": share(removed_size, removed),
    }


def summary_intervals(sums: np.ndarray, strata: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Returns low and high ends `[2, pairs]` of all that `summary` gives for the mean of sums.

    `sums` is `[pairs, samples, baselines, 8]`; samples (within `strata`, if any) and baseline
    networks are drawn, each by themselves.
    """
    return mean_intervals(summary, sums, group(strata, sums.shape[1]), sums.shape[2])


def mean_order(by_order: np.ndarray) -> np.ndarray:
    """Returns the mean order of strengths by order `[..., n]`, weighted by them: `[...]`; NaN where there is none.

    >>> mean_order(np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])).tolist()
    [2.0, nan]
    """
    total = by_order.sum(-1)
    weighted = by_order @ np.arange(1, by_order.shape[-1] + 1)
    return share(weighted, total)


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns part / whole, of the shape of both; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
