"""What the interactions of a layer share with those of the whole network: overlap, forgotten, new, by order.

Of a subset S that is salient in both, with the same sign, min(|I_l|, |I_L|) is shared: overlap. What a layer has beyond
is forgotten on the way, what the network has beyond is new. All are divided by the mean over samples of
|v(x) − v(x_∅)| of their layer, so that layers compare.

Source: layerwise (arXiv 2409.08712), Eq. (6) to (8) and footnote 8. Its Eq. (8), all = overlap + forgotten, is false as
printed: with I_l = (½, ½) and I_L = (1/101, 100/101), of which the first is not salient, the shared 1/101 is taken off
what is forgotten and not counted as overlap. Ours: nothing is shared unless S is salient in both; then it is exact.
The level by chance is ours.
"""

import numpy as np

from interdash.formulas.bootstrap import Group, mean_intervals
from interdash.formulas.chance import above_chance
from interdash.formulas.subsets import n_variables, orders

PARTS = ("overlap", "forgotten", "new", "overlap_by_chance")
LABELS = ("generalizable", "by_chance")  # of a layer's strength, overlap + forgotten
DRAWS = 8  # permutations of the variables for chance
RATIOS = ("completeness", "completeness_by_chance", "redundancy", "power", "chance", "above_chance")


def shared_parts(
    layer: np.ndarray, last: np.ndarray, salient_layer: np.ndarray, salient_last: np.ndarray
) -> np.ndarray:
    """Returns overlap, forgotten, new and overlap by chance of each order 1 … n: `[..., n, 4]`, in the unit of both.

    By chance: the layer's interactions lie on other subsets of the same order, by random permutations of the variables
    (the mean of `DRAWS`, seeded).

    >>> both = np.array([False, True, True, True])
    >>> shared_parts(np.array([0.0, 1.0, -2.0, 0.5]), np.array([0.0, 3.0, 1.0, 0.25]), both, both)[:, :3].tolist()
    [[1.0, 2.0, 3.0], [0.25, 0.25, 0.0]]

    Args:
        layer: interactions of the layer, `[..., 2**n]`.
        last: of the network.
        salient_layer: bool, of the same shape.
        salient_last: bool, of the same shape.
    """
    n = n_variables(layer.shape[-1])
    by_order = np.eye(n + 1)[orders(n)][:, 1:]  # [2^n, n]
    mine, whole = layer * salient_layer, last * salient_last

    def overlap(mine: np.ndarray) -> np.ndarray:
        return np.where(mine * whole > 0, np.minimum(np.abs(mine), np.abs(whole)), 0.0)

    shared, chance = overlap(mine), np.zeros(layer.shape)
    rng, subsets = np.random.default_rng(0), np.arange(2**n)
    for _ in range(DRAWS):
        places = rng.permutation(n)
        moved = sum((subsets >> int(i) & 1) << place for place, i in enumerate(places))
        chance += overlap(mine[..., moved]) / DRAWS
    parts = shared, np.abs(mine) - shared, np.abs(whole) - shared, chance
    return np.stack([part @ by_order for part in parts], axis=-1)


def ratios(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Returns `RATIOS` of sums `[..., 6]`, `PARTS` then `LABELS`: shares; NaN where there is nothing to share.

    completeness = overlap / (overlap + new): how much of what the network knows the layer has already; redundancy =
    forgotten / (overlap + forgotten): how much of what the layer knows is gone at the end; power: H of the layer.

    >>> {name: float(value) for name, value in ratios(np.array([3.0, 1.0, 1.0, 0.4, 2.0, 1.0])).items()}["redundancy"]
    0.25
    """
    overlap, forgotten, new, by_chance, generalizable, level = np.moveaxis(np.asarray(sums, float), -1, 0)
    whole = overlap + forgotten
    power, chance = _share(generalizable, whole), _share(level, whole)
    values = _share(overlap, overlap + new), _share(by_chance, overlap + new), _share(forgotten, whole), power, chance
    return dict(zip(RATIOS, (*values, above_chance(power, chance)), strict=True))


def ratio_intervals(sums: np.ndarray, group: Group) -> dict[str, np.ndarray]:
    """Returns the ends `[2, rows]` of 95 % bootstrap intervals over samples of `ratios`; sums `[rows, samples, 6]`."""
    return mean_intervals(ratios, sums, group)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
