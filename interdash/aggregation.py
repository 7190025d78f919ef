"""Aggregation: from the vectors of one network at one epoch to rows, sums, means and intervals. Arrays in, tables out.

Effects of AND and OR lie side by side: `[samples, 2, 2**n]`. All is in nats; see `schema.sql` for every column.
"""

import warnings

import numpy as np
import pyarrow as pa
from scipy import stats

from interdash import generalization, order_shape, removal
from interdash.config import GeneralizationConfig
from interdash.parts import SCALARS
from interdash.subsets import n_variables, orders

TYPES = ("and", "or")
SUMS = (
    *("positive", "negative", "generalizable_positive", "generalizable_negative"),
    *("non_generalizable_positive", "non_generalizable_negative"),
)
RESAMPLES = 1000  # of the bootstrap
LEVEL = (0.025, 0.975)  # its interval

Effects = np.ndarray  # [samples, 2 (AND, OR), 2^n] in nats


def label_tables(
    target: dict[str, np.ndarray],
    others: list[dict[str, np.ndarray]],
    rules: GeneralizationConfig,
    splits: list[str],
    *,
    same_variables: bool = True,
) -> dict[str, pa.Table]:
    """Returns the tables of one network at one epoch.

    Args:
        target: columns of its parts, all samples.
        others: the same of the baselines that vote on G; none for a baseline itself.
        rules: thresholds and votes.
        splits: "train" or "test" for each sample.
        same_variables: whether variable i is the same place or column in every sample; words of texts are not.
    """
    effects, tau = _effects(target), _tau(target, rules)
    salient = generalization.salient(effects, tau[:, None])
    bases, taus = [_effects(other) for other in others], [_tau(other, rules)[:, None] for other in others]

    def generalizes(which: slice) -> np.ndarray:
        asked, thresholds = bases[which], taus[which]
        return generalization.generalizes(
            effects, asked, tau[:, None], thresholds, sign_test=rules.sign_test, vote=rules.vote
        )

    votes = [generalizes(slice(i, i + 1)) for i in range(len(bases))]
    general = generalizes(slice(None)) if bases else None
    sums, counts = _sums(effects, salient, general)
    groups = _groups(splits, target["label"])
    return {
        "networks": pa.table(
            {
                "tau": [float(tau.mean())],
                "samples": pa.array([len(tau)], pa.int32()),
                "baselines": pa.array([len(others)], pa.int32()),
                "flips": pa.array([_flips(votes, salient)], pa.float64()),
            }
        ),
        "sample_epochs": _sample_epochs(target, effects, tau, salient, general, sums),
        "interactions": _interactions(effects, salient, general, bases[0] if bases else None, votes),
        "sample_orders": _sample_orders(sums, counts, general is not None),
        "order_strengths": _order_strengths(sums, counts, groups, general is not None),
        "strengths": _strengths(sums, counts, groups, general is not None),
        **removal.removal_tables(target["v_full"], effects, salient, general, splits),
        **order_shape.shape_tables(effects, _by_part(sums) if bases else None, splits, same_variables=same_variables),
    }


def _effects(columns: dict[str, np.ndarray]) -> Effects:
    return np.stack([columns["i_and"], columns["i_or"]], axis=1)


def _tau(columns: dict[str, np.ndarray], rules: GeneralizationConfig) -> np.ndarray:
    """Returns τ of each sample, in nats."""
    i_and, i_or, v_empty, v_full = (columns[name] for name in ("i_and", "i_or", "v_empty", "v_full"))
    return generalization.tau(i_and, i_or, v_empty, v_full, rules.tau_rule, rules.tau_factor)


def _flips(votes: list[np.ndarray], salient: np.ndarray) -> float | None:
    """Returns the share of salient interactions on whose G the first two baselines disagree; None with fewer."""
    if len(votes) < 2 or not salient.any():
        return None
    return float((votes[0] != votes[1])[salient].mean())


def _sums(effects: Effects, salient: np.ndarray, general: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns sums `[samples, 2, n, 6]` (last axis: `SUMS`) and counts `[samples, 2, n, 2]` over each order from 1."""
    general = np.zeros_like(salient) if general is None else general
    parts = []
    for chosen in (salient, general, salient & ~general):
        positive, negative = generalization.signed_order_strengths(effects, chosen)
        parts += [positive, -negative]
    counts = [generalization.order_counts(chosen) for chosen in (salient, general)]
    return np.stack(parts, axis=-1)[..., 1:, :] + 0.0, np.stack(counts, axis=-1)[..., 1:, :]  # + 0: no −0


def _by_part(sums: np.ndarray) -> np.ndarray:
    """Returns strengths `[samples, n, 2]` of generalizable and non-generalizable interactions by order, nats."""
    total = sums.sum(1)
    return np.stack([total[..., i] - total[..., i + 1] for i in (2, 4)], axis=-1)


def _groups(splits: list[str], labels: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
    """Returns the samples of each (split, class) that has any; split "all" and class −1 stand for all of them."""
    split = np.asarray(splits)
    found = {}
    for name in ("all", "train", "test"):
        for label in (-1, *np.unique(labels).tolist()):
            rows = np.flatnonzero(((split == name) | (name == "all")) & ((labels == label) | (label == -1)))
            if len(rows):
                found[name, label] = rows
    return found


def _with_both(values: np.ndarray, axis: int = 1) -> np.ndarray:
    """Returns values with a third type after AND and OR: both together."""
    return np.concatenate([values, values.sum(axis, keepdims=True)], axis)


def _column(values: np.ndarray, kind: pa.DataType | None = None, known: bool = True) -> pa.Array:
    """Returns an Arrow column, NaN as null; all null if the values are not known."""
    values = np.ravel(values)
    if not known:
        return pa.nulls(len(values), kind or pa.from_numpy_dtype(values.dtype))
    column = pa.array(values, mask=np.isnan(values) if values.dtype.kind == "f" else None)
    return column if kind is None else column.cast(kind)


def _sample_epochs(
    columns: dict[str, np.ndarray],
    effects: Effects,
    tau: np.ndarray,
    salient: np.ndarray,
    general: np.ndarray | None,
    sums: np.ndarray,
) -> pa.Table:
    known, general = general is not None, np.zeros_like(salient) if general is None else general
    total = dict(zip(SUMS, np.moveaxis(sums.sum((1, 2)), -1, 0), strict=True))
    size = orders(n_variables(effects.shape[-1]))
    made = {name: _column(columns[name]) for name in SCALARS if name != "label"}
    made |= {
        "correct": _column(columns["predicted"] == columns["label"]),
        "loss": _column(generalization.loss(columns["v_full"])),
        "tau": _column(tau),
        "strength": _column(np.abs(effects).sum((1, 2))),
        "salient_strength": _column(total["positive"] - total["negative"]),
        "salient": _column(salient.sum((1, 2)), pa.int32()),
        "generalizable_count": _column(general.sum((1, 2)), pa.int32(), known),
        "highest_order": _column(np.where(salient, size, 0).max((1, 2)), pa.int32()),
        "noise": _column(np.abs(columns["delta"]).max(1)),
    }
    for name in ("generalizable", "non_generalizable"):
        made[name] = _column(total[f"{name}_positive"] - total[f"{name}_negative"], known=known)
        made[f"{name}_effect"] = _column(total[f"{name}_positive"] + total[f"{name}_negative"], known=known)
    return pa.table(made)


def _interactions(
    effects: Effects,
    salient: np.ndarray,
    general: np.ndarray | None,
    base: Effects | None,
    votes: list[np.ndarray],
) -> pa.Table:
    strength = np.where(salient, np.abs(effects), -1.0).reshape(len(effects), -1)
    order = np.argsort(-strength, axis=1, kind="stable")  # ties by type, then subset
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(1, order.shape[1] + 1)[None], axis=1)
    where = np.nonzero(salient)
    sample, kind, subset = where
    known = general is not None
    size = orders(n_variables(effects.shape[-1]))[subset]
    made = {
        "sample": _column(sample, pa.int32()),
        "type": pa.DictionaryArray.from_arrays(pa.array(kind, pa.int8()), list(TYPES)).cast(pa.string()),
        "subset": _column(subset, pa.int32()),
        "size": _column(size, pa.int8()),
        "rank": _column(rank.reshape(effects.shape)[where], pa.int32()),
        "effect": _column(effects[where].astype(np.float32)),
        "baseline_effect": _column((effects if base is None else base)[where].astype(np.float32), None, known),
        "votes": _column(np.sum(votes, axis=0)[where] if votes else subset, pa.int8(), known),
        "generalizes": _column(salient[where] if general is None else general[where], None, known),
    }
    return pa.table(made)


def _sample_orders(sums: np.ndarray, counts: np.ndarray, known: bool) -> pa.Table:
    where = np.nonzero(counts[..., 0])
    sample, kind, size = where
    made = {
        "sample": _column(sample, pa.int32()),
        "type": pa.array([TYPES[i] for i in kind], pa.string()),
        "size": _column(size + 1, pa.int8()),
    }
    for i, name in enumerate(SUMS):
        made[name] = _column(sums[..., i][where].astype(np.float32), None, known or i < 2)
    made["salient"] = _column(counts[..., 0][where].astype(np.int32))
    made["generalizable_count"] = _column(counts[..., 1][where].astype(np.int32), None, known)
    return pa.table(made)


def _order_strengths(
    sums: np.ndarray, counts: np.ndarray, groups: dict[tuple[str, int], np.ndarray], known: bool
) -> pa.Table:
    mean = np.stack([_with_both(sums[rows].mean(0), 0) for rows in groups.values()])  # [groups, 3, n, 6]
    count = np.stack([_with_both(counts[rows].mean(0), 0) for rows in groups.values()])  # [groups, 3, n, 2]
    made = _group_columns(groups, mean.shape[2])
    for i, name in enumerate(SUMS):
        made[name] = _column(mean[..., i], None, known or i < 2)
    strength, general, non_general = (mean[..., i] - mean[..., i + 1] for i in (0, 2, 4))
    made["strength"] = _column(strength)
    made["generalizable"] = _column(general, None, known)
    made["non_generalizable"] = _column(non_general, None, known)
    made["generalization_power"] = _column(generalization.generalization_power(general, strength), None, known)
    made["salient"] = _column(count[..., 0])
    made["generalizable_count"] = _column(count[..., 1], None, known)
    return pa.table(made)


def _strengths(
    sums: np.ndarray, counts: np.ndarray, groups: dict[tuple[str, int], np.ndarray], known: bool
) -> pa.Table:
    total = sums.sum(2)  # [samples, 2, 6]
    by_sample = _with_both(np.stack([total[..., i] - total[..., i + 1] for i in (0, 2, 4)], axis=-1))  # [S, 3, 3]
    count = np.stack([_with_both(counts[rows].sum(2).mean(0), 0) for rows in groups.values()])  # [groups, 3, 2]
    mean = np.stack([by_sample[rows].mean(0) for rows in groups.values()])  # [groups, 3 types, 3]
    bounds = np.stack([intervals(by_sample[rows]) for rows in groups.values()], axis=1)  # [2, groups, 3, 4]
    made = _group_columns(groups, None)
    made["samples"] = _column(np.repeat([len(rows) for rows in groups.values()], 3), pa.int32())
    values = np.concatenate([mean, generalization.generalization_power(mean[..., 1], mean[..., 0])[..., None]], axis=-1)
    for i, name in enumerate(("strength", "generalizable", "non_generalizable", "generalization_power")):
        made[name] = _column(values[..., i], None, known or i == 0)
        made[f"{name}_low"] = _column(bounds[0, ..., i], None, known or i == 0)
        made[f"{name}_high"] = _column(bounds[1, ..., i], None, known or i == 0)
    made["count_power"] = _column(generalization.generalization_power(count[..., 1], count[..., 0]), None, known)
    made["salient"] = _column(count[..., 0])
    made["generalizable_count"] = _column(count[..., 1], None, known)
    return pa.table(made)


def _group_columns(groups: dict[tuple[str, int], np.ndarray], n: int | None) -> dict[str, pa.Array]:
    types = (*TYPES, "all")
    rows = [(*group, kind, size) for group in groups for kind in types for size in range(1, (n or 1) + 1)]
    split, label, kind, size = zip(*rows, strict=True)
    made = {"split": pa.array(split), "label": pa.array(label, pa.int32()), "type": pa.array(kind)}
    return made if n is None else made | {"size": pa.array(size, pa.int8())}


def intervals(by_sample: np.ndarray) -> np.ndarray:
    """Returns low and high ends `[2, 3 types, 4]` for strength, its parts and H; seeded. One sample: its value.

    `by_sample` is `[samples, 3 types, 3]`: strength and its two parts. H is NaN where nothing is salient.
    """
    count = len(by_sample)

    def values(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        means = np.tensordot(removal.sample_weights(drawn, count), by_sample, 1)  # [resamples, 3, 3]
        power = generalization.generalization_power(means[..., 1], means[..., 0])[..., None]
        return np.moveaxis(np.concatenate([means, power], axis=-1), (-2, -1), (0, 1))

    if count == 1:  # nothing to draw from
        return np.stack(2 * [values(np.zeros(1))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # H is NaN where a resample has nothing salient
        drawn = stats.bootstrap(
            (np.arange(count),),
            values,
            n_resamples=RESAMPLES,
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(0),
        ).bootstrap_distribution  # [3, 4, resamples]
    empty = np.asarray(np.isnan(drawn).all(-1))  # no salient interaction in any resample
    ends = np.nanquantile(np.where(empty[..., None], 0.0, drawn), LEVEL, axis=-1)
    return np.where(empty, np.nan, ends)
