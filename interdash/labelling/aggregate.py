"""Aggregation: from the vectors of one network at one epoch to rows, sums, means and intervals. Arrays in, tables out.

Vectors come in batches of samples, each let go before the next is read: those of 10,000 samples are 26 GB at n = 16.
Effects of AND and OR lie side by side: `[samples, 2, 2**n]`. All is in nats; see `schema.sql` for every column.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from interdash.config import GeneralizationConfig
from interdash.formulas import bootstrap, chance, generalization, order_shape, removal
from interdash.formulas.subsets import n_variables, orders
from interdash.labelling import removals, shapes
from interdash.labelling.measures import by_sample, measure_table
from interdash.runs.parts import SCALARS

TYPES = ("and", "or")
SUMS = (
    *("positive", "negative", "generalizable_positive", "generalizable_negative"),
    *("non_generalizable_positive", "non_generalizable_negative"),
)

Effects = np.ndarray  # [samples, 2 (AND, OR), 2^n] in nats
Columns = dict[str, np.ndarray]  # of parts, by name


class Batch(NamedTuple):
    """The vectors of some samples, labelled."""

    effects: Effects
    base: Effects | None  # those of the first baseline network; None without one
    tau: np.ndarray  # [samples], nats
    salient: np.ndarray  # bool, shaped like effects
    general: np.ndarray | None  # G, of the same shape; None without a baseline network
    votes: list[np.ndarray]  # of each baseline network by itself, of the same shape
    chance: np.ndarray | None  # that it generalizes by chance, 0–1, of the same shape; None without a baseline network


def label_tables(
    batches: Iterable[Sequence[Columns]],
    scalars: Sequence[Columns],
    rules: GeneralizationConfig,
    splits: Sequence[str],
    *,
    same_variables: bool = True,
) -> dict[str, pa.Table]:
    """Returns the tables of one network at one epoch.

    Args:
        batches: columns of the parts of some samples, in order: of the network, then of each baseline that votes on G
            (none for a baseline itself).
        scalars: v_empty and v_full of the same networks, all samples: τ is a mean over them.
        rules: thresholds and votes.
        splits: "train" or "test" for each sample.
        same_variables: whether variable i is the same place or column in every sample; words of texts are not.
    """
    rows: dict[str, list[pa.Table]] = {}
    taus, labels, sums, counts, by_chance, removable, measures = [], [], [], [], [], [], []
    groups = order_shape.group_means(splits, same_variables=same_variables)
    known, disagreements, first = len(scalars) > 1, 0, 0
    for columns in batches:
        here = slice(first, first + len(columns[0]["label"]))
        batch = _labelled(columns, here, scalars, rules)
        by_order, count, level = _sums(batch)
        for name, table in {
            "sample_epochs": _sample_epochs(columns[0], batch, by_order),
            "interactions": _interactions(batch, first),
            "sample_orders": _sample_orders(by_order, count, level, known, first),
        }.items():
            rows.setdefault(name, []).append(table)
        measures.append(by_sample(batch.effects, batch.salient, batch.general, batch.tau))
        if batch.general is not None:
            removable.append(removal.interactions(batch.effects, batch.salient, batch.general))
        if len(batch.votes) > 1:
            disagreements += int((batch.votes[0] != batch.votes[1])[batch.salient].sum())
        if groups is not None:
            groups.add(first, batch.effects)
        for rows_of_all, of_batch in (
            *((taus, batch.tau), (labels, columns[0]["label"])),
            *((sums, by_order), (counts, count), (by_chance, level)),
        ):
            rows_of_all.append(of_batch)
        first = here.stop
        del columns, batch  # before the next ones are read
    tau, sums, counts, by_chance = (np.concatenate(values) for values in (taus, sums, counts, by_chance))
    of_samples = _groups(splits, np.concatenate(labels))
    salient = counts[..., 0].sum()
    flips = disagreements / salient if len(scalars) > 2 and salient else None
    return {
        "networks": pa.table(
            {
                "tau": [float(tau.mean())],
                "samples": pa.array([len(tau)], pa.int32()),
                "baselines": pa.array([len(scalars) - 1], pa.int32()),
                "flips": pa.array([flips], pa.float64()),
            }
        ),
        **{name: pa.concat_tables(tables).combine_chunks() for name, tables in rows.items()},
        "order_strengths": _order_strengths(sums, counts, by_chance, of_samples, known),
        "strengths": _strengths(sums, counts, by_chance, of_samples, known),
        **removals.removal_tables(scalars[0]["v_full"], removable, splits, sums.shape[2]),
        **shapes.shape_tables(groups, _by_part(sums) if known else None),
        "measures": measure_table(measures),
    }


def _labelled(
    columns: Sequence[Columns], here: slice, scalars: Sequence[Columns], rules: GeneralizationConfig
) -> Batch:
    """Returns which interactions of some samples, numbered `here`, are salient, and which generalize."""
    effects, *bases = [np.stack([part["i_and"], part["i_or"]], axis=1) for part in columns]
    tau, *taus = [_tau(part, here, whole, rules)[:, None] for part, whole in zip(columns, scalars, strict=True)]

    def generalizes(which: slice) -> np.ndarray:
        asked, thresholds = bases[which], taus[which]
        return generalization.generalizes(effects, asked, tau, thresholds, sign_test=rules.sign_test, vote=rules.vote)

    salient_bases = [np.where(generalization.salient(i, tau), i, 0) for i, tau in zip(bases, taus, strict=True)]
    return Batch(
        effects=effects,
        base=bases[0] if bases else None,
        tau=tau[:, 0],
        salient=generalization.salient(effects, tau),
        general=generalizes(slice(None)) if bases else None,
        votes=[generalizes(slice(i, i + 1)) for i in range(len(bases))],
        chance=chance.chance(effects, salient_bases, sign_test=rules.sign_test, vote=rules.vote) if bases else None,
    )


def _tau(columns: Columns, here: slice, scalars: Columns, rules: GeneralizationConfig) -> np.ndarray:
    """Returns τ of some samples, in nats: from a mean over all samples, or from each sample's own interactions."""
    of_all = rules.tau_rule == "mean_output"
    v_empty, v_full = ((scalars if of_all else columns)[name] for name in ("v_empty", "v_full"))
    found = generalization.tau(columns["i_and"], columns["i_or"], v_empty, v_full, rules.tau_rule, rules.tau_factor)
    return found[here].copy() if of_all else found  # no view, which would keep those of all samples


def _sums(batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns sums over each order from 1: `[samples, 2, n, 6]` (`SUMS`), counts `[…, 2]`, and Σ|I|·c `[…]`, nats."""
    salient = batch.salient
    general = np.zeros_like(salient) if batch.general is None else batch.general
    parts = []
    for chosen in (salient, general, salient & ~general):
        positive, negative = generalization.signed_order_strengths(batch.effects, chosen)
        parts += [positive, -negative]
    counts = [generalization.order_counts(chosen) for chosen in (salient, general)]
    level = generalization.order_strengths(batch.effects, salient * (0.0 if batch.chance is None else batch.chance))
    # + 0: no −0
    return np.stack(parts, axis=-1)[..., 1:, :] + 0.0, np.stack(counts, axis=-1)[..., 1:, :], level[..., 1:]


def _by_part(sums: np.ndarray) -> np.ndarray:
    """Returns strengths `[samples, n, 2]` of generalizable and non-generalizable interactions by order, nats."""
    total = sums.sum(1)
    return np.stack([total[..., i] - total[..., i + 1] for i in (2, 4)], axis=-1)


def _groups(splits: Sequence[str], labels: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
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


def _sample_epochs(columns: Columns, batch: Batch, sums: np.ndarray) -> pa.Table:
    effects, tau, salient = batch.effects, batch.tau, batch.salient
    known, general = batch.general is not None, np.zeros_like(salient) if batch.general is None else batch.general
    total = dict(zip(SUMS, np.moveaxis(sums.sum((1, 2)), -1, 0), strict=True))
    size = orders(n_variables(effects.shape[-1]))
    made = {name: _column(columns[name]) for name in SCALARS if name != "label"}
    made |= {
        "correct": _column(columns["predicted"] == columns["label"]),
        "loss": _column(generalization.loss(columns["v_full"])),
        "tau": _column(tau),
        "strength": _column(np.abs(effects).sum((1, 2))),
        "salient_strength": _column(total["positive"] - total["negative"]),
        "net_effect": _column(total["positive"] + total["negative"]),
        "high_order": _column((sums[..., 0] - sums[..., 1])[..., sums.shape[2] // 2 :].sum((1, 2))),
        "salient": _column(salient.sum((1, 2)), pa.int32()),
        "generalizable_count": _column(general.sum((1, 2)), pa.int32(), known),
        "highest_order": _column(np.where(salient, size, 0).max((1, 2)), pa.int32()),
        "noise": _column(np.abs(columns["delta"]).max(1)),
    }
    for name in ("generalizable", "non_generalizable"):
        made[name] = _column(total[f"{name}_positive"] - total[f"{name}_negative"], known=known)
        made[f"{name}_effect"] = _column(total[f"{name}_positive"] + total[f"{name}_negative"], known=known)
    return pa.table(made)


def _interactions(batch: Batch, first: int) -> pa.Table:
    """Returns the salient interactions of a batch, whose samples are numbered from `first` on."""
    effects, base, salient, general, votes = batch.effects, batch.base, batch.salient, batch.general, batch.votes
    strength = np.where(salient, np.abs(effects), -1.0).reshape(len(effects), -1)
    order = np.argsort(-strength, axis=1, kind="stable")  # ties by type, then subset
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(1, order.shape[1] + 1)[None], axis=1)
    where = np.nonzero(salient)
    sample, kind, subset = where
    known = general is not None
    size = orders(n_variables(effects.shape[-1]))[subset]
    made = {
        "sample": _column(first + sample, pa.int32()),
        "type": pa.DictionaryArray.from_arrays(pa.array(kind, pa.int8()), list(TYPES)).cast(pa.string()),
        "subset": _column(subset, pa.int32()),
        "size": _column(size, pa.int8()),
        "rank": _column(rank.reshape(effects.shape)[where], pa.int32()),
        "effect": _column(effects[where].astype(np.float32)),
        "baseline_effect": _column((effects if base is None else base)[where].astype(np.float32), None, known),
        "votes": _column(np.sum(votes, axis=0)[where] if votes else subset, pa.int8(), known),
        "generalizes": _column(salient[where] if general is None else general[where], None, known),
        "chance": _column((effects if batch.chance is None else batch.chance)[where].astype(np.float32), None, known),
    }
    return pa.table(made)


def _sample_orders(sums: np.ndarray, counts: np.ndarray, by_chance: np.ndarray, known: bool, first: int) -> pa.Table:
    where = np.nonzero(counts[..., 0])
    sample, kind, size = where
    made = {
        "sample": _column(first + sample, pa.int32()),
        "type": pa.array([TYPES[i] for i in kind], pa.string()),
        "size": _column(size + 1, pa.int8()),
    }
    for i, name in enumerate(SUMS):
        made[name] = _column(sums[..., i][where].astype(np.float32), None, known or i < 2)
    made["salient"] = _column(counts[..., 0][where].astype(np.int32))
    made["generalizable_count"] = _column(counts[..., 1][where].astype(np.int32), None, known)
    made["by_chance"] = _column(by_chance[where].astype(np.float32), None, known)
    return pa.table(made)


def _order_strengths(
    sums: np.ndarray,
    counts: np.ndarray,
    by_chance: np.ndarray,
    groups: dict[tuple[str, int], np.ndarray],
    known: bool,
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
    level = np.stack([_with_both(by_chance[rows].mean(0), 0) for rows in groups.values()])  # [groups, 3, n]
    made |= _chance_columns(np.stack([strength, general, level], axis=-1), known)
    return pa.table(made)


def _strengths(
    sums: np.ndarray,
    counts: np.ndarray,
    by_chance: np.ndarray,
    groups: dict[tuple[str, int], np.ndarray],
    known: bool,
) -> pa.Table:
    total = sums.sum(2)  # [samples, 2, 6]
    by_sample = _with_both(np.stack([total[..., i] - total[..., i + 1] for i in (0, 2, 4)], axis=-1))  # [S, 3, 3]
    count = np.stack([_with_both(counts[rows].sum(2).mean(0), 0) for rows in groups.values()])  # [groups, 3, 2]
    mean = np.stack([by_sample[rows].mean(0) for rows in groups.values()])  # [groups, 3 types, 3]
    bounds = np.stack([intervals(by_sample[rows]) for rows in groups.values()], axis=1)  # [2, groups, 3, 4]
    level = np.stack([*np.moveaxis(by_sample[..., :2], -1, 0), _with_both(by_chance.sum(2))], axis=-1)  # [S, 3, 3]
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
    made |= _chance_columns(np.stack([level[rows].mean(0) for rows in groups.values()]), known)
    for name, ends in _chance_bounds([level[rows] for rows in groups.values()]).items():
        made[f"{name}_low"], made[f"{name}_high"] = (_column(end, None, known) for end in ends)
    return pa.table(made)


def _above(strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns H by chance and how far H is above it, `[...]`, shares; `[..., 3]`: strength, with G = 1, by chance."""
    whole, general, level = np.moveaxis(strengths, -1, 0)
    power, by_chance = (generalization.generalization_power(part, whole) for part in (general, level))
    return by_chance, chance.above_chance(power, by_chance)


def _chance_columns(strengths: np.ndarray, known: bool) -> dict[str, pa.Array]:
    level, above = _above(strengths)
    columns = {"by_chance": strengths[..., 2], "chance": level, "above_chance": above}
    return {name: _column(values, None, known) for name, values in columns.items()}


def _chance_bounds(groups: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Returns low and high ends `[2, groups, 3 types]` of H by chance and above it, of `[samples, 3 types, 3]` each.

    The resamples are those of `intervals`.
    """

    def bounds(strengths: np.ndarray) -> np.ndarray:  # [2 ends, 2 quantities, 3 types]
        def values(drawn: np.ndarray) -> np.ndarray:
            means = np.tensordot(bootstrap.sample_weights(drawn), strengths, 1)
            return np.moveaxis(np.stack(_above(means)), 1, -1)

        if len(strengths) == 1:  # nothing to draw from
            return np.stack(2 * [np.stack(_above(strengths[0]))])
        return bootstrap.ends(bootstrap.distribution(values, len(strengths)))

    ends = np.stack([bounds(strengths) for strengths in groups], axis=2)  # [2, 2, groups, 3]
    return {"chance": ends[:, 0], "above_chance": ends[:, 1]}


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

    def values(drawn: np.ndarray) -> np.ndarray:
        means = np.tensordot(bootstrap.sample_weights(drawn), by_sample, 1)  # [resamples, 3, 3]
        power = generalization.generalization_power(means[..., 1], means[..., 0])[..., None]
        return np.moveaxis(np.concatenate([means, power], axis=-1), (-2, -1), (0, 1))

    if len(by_sample) == 1:  # nothing to draw from
        return np.stack(2 * [values(np.zeros(1))])
    draws = bootstrap.distribution(values, len(by_sample))
    ends, known = np.full((2, *draws.shape[:-1]), np.nan), ~np.isnan(draws).all(-1)
    # as `bootstrap.ends`, but in numpy's arithmetic: the last bit of stored intervals comes from it
    ends[:, known] = np.nanquantile(draws[known], (0.025, 0.975), axis=-1)
    return ends
