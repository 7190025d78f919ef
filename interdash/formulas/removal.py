"""What removing interactions does to the losses: the non-generalizable ones, and the controls.

On the unmasked sample every interaction is present, so the output without some of them is v'(x) = v(x) − Σ I(S), and
the loss without them log(1 + e^{−v'}), exactly. Three kinds of removal, all of salient interactions of order ≥ k:

* "non_generalizable": those with G = 0, the strongest first, until a dose (a share of their strength) is gone;
* "random": salient ones in random order, whatever their G, until the same strength is gone from the same sample;
* "generalizable": those with G = 1 in random order, to the same strength, or all of them if they have less.

The last interaction of a removal goes in part, so that the strength is met exactly.
Source: ours, the post-hoc reading of three-phase (arXiv 2505.06993); doses and both controls are ours too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from interdash.formulas.bootstrap import RESAMPLES, Group, percentile, sample_weights
from interdash.formulas.generalization import loss
from interdash.formulas.subsets import n_variables, orders

KINDS = ("non_generalizable", "random", "generalizable")
SPLITS = ("train", "test", "gap")
DOSES = np.arange(0, 101, 10)  # percent
DRAWS = 20  # of each random order


class Interactions(NamedTuple):
    """The salient interactions of some samples, one after the other, sample by sample."""

    sample: np.ndarray  # [T]
    effect: np.ndarray  # [T], nats, signed, not 0
    order: np.ndarray  # [T]
    general: np.ndarray  # [T], bool, G
    samples: int


class Removed(NamedTuple):
    """What a removal takes from every sample: sums over the removed interactions, for every draw and dose."""

    effect: np.ndarray  # [draws, samples, doses], nats, signed: v' = v − effect
    strength: np.ndarray  # [samples, doses], nats, Σ |I|, the same in every draw


class Losses(NamedTuple):
    """Losses after removals: `[samples, kinds, orders, doses]`; order k − 1 stands for "of order ≥ k"."""

    mean: np.ndarray  # nats, mean over the draws
    draws: np.ndarray  # [draws, samples, kinds, orders, doses], nats
    strength: np.ndarray  # nats removed


def interactions(effects: np.ndarray, salient: np.ndarray, general: np.ndarray) -> Interactions:
    """Returns the salient interactions of effects `[samples, types, 2**n]` as a list; all three have that shape."""
    sample, _, subset = where = np.nonzero(salient)
    size = orders(n_variables(effects.shape[-1]))
    return Interactions(sample, effects[where], size[subset], general[where], len(effects))


def remove(found: Interactions, keys: np.ndarray, targets: np.ndarray) -> Removed:
    """Returns what is gone when interactions are removed in the order of their keys until a strength is reached.

    Args:
        found: what may be removed.
        keys: `[draws, T]`; within each sample the smallest key goes first.
        targets: strength to remove, `[samples, doses]`, nats; where a sample has less, all of it goes.

    >>> three = Interactions(np.array([0, 0, 0]), np.array([3.0, -2.0, 1.0]), np.ones(3), np.ones(3, bool), 1)
    >>> remove(three, np.array([[0.0, 1.0, 2.0]]), np.array([[0.0, 3.0, 4.0, 9.0]])).effect.tolist()
    [[[0.0, 3.0, 2.0, 2.0]]]
    """
    strength = np.abs(found.effect)
    ends = np.searchsorted(
        found.sample, np.arange(found.samples + 1)
    )  # sample i has the interactions ends[i] … ends[i + 1]
    first, last = ends[:-1, None], ends[1:, None]
    gone = []
    for key in keys:
        order = np.lexsort((key, found.sample))
        strengths, effects = (np.concatenate([[0.0], x[order].cumsum()]) for x in (strength, found.effect))
        at = np.minimum(strengths[first] + targets, strengths[last])
        gone.append(np.interp(at, strengths, effects) - effects[first])  # one interpolation serves every sample
    whole = np.bincount(found.sample, strength, found.samples)
    return Removed(np.stack(gone), np.minimum(targets, whole[:, None]))


def random_keys(count: int, first: int = 0, whole: int | None = None, *, draws: int = DRAWS) -> np.ndarray:
    """Returns the random numbers of `count` interactions from the `first` of `whole` on: `[draws, count]`; seeded.

    They do not depend on how the interactions are cut into batches.
    """
    keys = np.empty((draws, count))
    for i, row in enumerate(keys):
        bits = np.random.PCG64(0)
        bits.advance(i * (count if whole is None else whole) + first)
        np.random.Generator(bits).random(out=row)
    return keys


def losses(v_full: np.ndarray, found: Interactions, keys: np.ndarray, *, doses: np.ndarray = DOSES, n: int) -> Losses:
    """Returns the losses of samples with outputs v_full `[samples]` after every removal.

    Args:
        v_full: v(x), nats.
        found: the salient interactions.
        keys: random numbers of each, which are the random orders of the controls; see `random_keys`.
        doses: percent of the strength of the non-generalizable interactions (of order ≥ k).
        n: number of variables.
    """
    shape = (len(keys), len(v_full), len(KINDS), n, len(doses))
    effect, strength = np.zeros(shape), np.zeros(shape[1:])
    for k in range(1, n + 1):
        high = found.order >= k
        bad, good = high & ~found.general, high & found.general
        targets = np.bincount(found.sample[bad], np.abs(found.effect[bad]), found.samples)[:, None] * doses / 100
        strongest_first = -np.abs(found.effect)[None]
        for kind, (chosen, key) in enumerate(((bad, strongest_first), (high, keys), (good, keys))):
            pool = Interactions(
                found.sample[chosen], found.effect[chosen], found.order[chosen], found.general[chosen], found.samples
            )
            removed = remove(pool, key[:, chosen], targets)
            effect[:, :, kind, k - 1], strength[:, kind, k - 1] = removed
    after = loss(v_full[:, None, None, None] - effect)
    return Losses(after.mean(0), after, strength)


def intervals(
    train: np.ndarray, test: np.ndarray, groups: Sequence[Group] = (), *, resamples: int = RESAMPLES
) -> np.ndarray:
    """Returns bootstrap intervals of means over samples, `[2 (low, high), 3 (train, test, gap), rows]`; seeded.

    Training and testing samples are drawn independently, the same draws for every row. NaN where a split has fewer than
    two samples. 95 %, percentile method.

    Args:
        train: values of the training samples `[samples, rows]`.
        test: the same of the testing samples; the gap is their mean minus that of the training samples.
        groups: how the samples of each split are drawn anew, see `bootstrap.distribution`; independently by default.
        resamples: of the bootstrap.
    """
    rows = train.shape[1]
    ends = np.full((2, len(SPLITS), rows), np.nan)
    splits = {0: train, 1: test}
    enough = {i: values for i, values in splits.items() if len(values) > 1}
    if not enough:
        return ends

    def means(*drawn: np.ndarray) -> np.ndarray:
        each = [
            np.moveaxis(sample_weights(index) @ values, -1, 0)
            for index, values in zip(drawn, enough.values(), strict=True)
        ]
        return np.stack([*each, each[1] - each[0]] if len(each) == 2 else each)  # [splits, rows, resamples]

    places = [*enough, *([2] if len(enough) == 2 else [])]
    drawn = [groups[i] if groups else len(values) for i, values in enough.items()]
    ends[:, places] = percentile(means, *drawn, resamples=resamples)
    return ends
