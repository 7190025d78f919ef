"""Aggregation: from the vectors of one network at one epoch to rows, sums, means and intervals. Arrays in, tables out.

Vectors come in batches of samples, each let go before the next is read: those of 10,000 samples are 26 GB at n = 16.
Effects of AND and OR lie side by side: `[samples, 2, 2**n]`. All is in nats; see `schema.sql` for every column.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from interdash.config import GeneralizationConfig
from interdash.formulas import bootstrap, chance, generalization, order_shape, removal
from interdash.labelling import removals, shapes
from interdash.labelling.measures import by_sample, measure_table
from interdash.labelling.rows import (
    SUMS,
    TYPES,
    Batch,
    Columns,
    column,
    interactions,
    sample_epochs,
    sample_orders,
)


def label_tables(
    batches: Iterable[Sequence[Columns]],
    scalars: Sequence[Columns],
    rules: GeneralizationConfig,
    splits: Sequence[str],
    *,
    same_variables: bool = True,
    names: Sequence[str] = (),
    strata: np.ndarray | None = None,
    true_labels: Sequence[int] | None = None,
) -> dict[str, pa.Table]:
    """Returns the tables of one network at one epoch. Strengths on G and chance are means over the baseline networks.

    Args:
        batches: columns of the parts of some samples, in order: of the network, then of each baseline that votes on G
            (none for a baseline itself).
        scalars: v_empty and v_full of the same networks, all samples: τ is a mean over them.
        rules: thresholds and votes.
        splits: "train" or "test" for each sample.
        same_variables: whether variable i is the same place or column in every sample; words of texts are not.
        names: of the baselines, in their order; by default baseline-0, baseline-1, …
        strata: of the samples, see `bootstrap`; None = drawn at random.
        true_labels: of the samples, class numbers; None = not known.
    """
    rows: dict[str, list[pa.Table]] = {}
    taus, labels, sums, counts, by_chance, each, removable, measures = [], [], [], [], [], [], [], []
    groups = order_shape.group_means(splits, same_variables=same_variables)
    known, disagreements, first = len(scalars) > 1, 0, 0
    for columns in batches:
        here = slice(first, first + len(columns[0]["label"]))
        batch = _labelled(columns, here, scalars, rules)
        by_order, count, level, of_each = _sums(batch)
        for name, table in {
            "sample_epochs": sample_epochs(columns[0], batch, by_order, count),
            "interactions": interactions(batch, first),
            "sample_orders": sample_orders(by_order, count, level, known, first),
        }.items():
            rows.setdefault(name, []).append(table)
        measures.append(by_sample(batch.effects, batch.salient, batch.general, batch.tau))
        if batch.general is not None:
            removable.append(removal.interactions(batch.effects, batch.salient, batch.general))
        if len(batch.transfers) > 1:
            disagreements += int((batch.transfers[0] != batch.transfers[1])[batch.salient].sum())
        if groups is not None:
            groups.add(first, batch.effects)
        for rows_of_all, of_batch in (
            *((taus, batch.tau), (labels, columns[0]["label"])),
            *((sums, by_order), (counts, count), (by_chance, level), (each, of_each)),
        ):
            rows_of_all.append(of_batch)
        first = here.stop
        del columns, batch  # before the next ones are read
    tau, sums, counts, by_chance, each = map(np.concatenate, (taus, sums, counts, by_chance, each))
    of_samples = _groups(splits, np.concatenate(labels), true_labels)
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
        "strengths": _strengths(sums, counts, each, of_samples, known, strata),
        "baseline_strengths": _baseline_strengths(sums, each, of_samples, [*names] or _numbered(len(scalars) - 1)),
        **removals.removal_tables(scalars[0]["v_full"], removable, splits, sums.shape[2], strata),
        **shapes.shape_tables(groups, _by_part(sums) if known else None, strata),
        "measures": measure_table(measures, strata),
    }


def _labelled(
    columns: Sequence[Columns], here: slice, scalars: Sequence[Columns], rules: GeneralizationConfig
) -> Batch:
    """Returns which interactions of some samples, numbered `here`, are salient, and which generalize."""
    effects, *bases = [np.stack([part["i_and"], part["i_or"]], axis=1) for part in columns]
    tau, *taus = [_tau(part, here, whole, rules)[:, None] for part, whole in zip(columns, scalars, strict=True)]
    pairs, sign_test = [*zip(bases, taus, strict=True)], rules.sign_test
    transfers = [generalization.transfers(effects, i, tau, own, sign_test=sign_test) for i, own in pairs]
    salient_bases = [np.where(generalization.salient(i, own), i, 0) for i, own in pairs]
    return Batch(
        effects=effects,
        base=bases[0] if bases else None,
        tau=tau[:, 0],
        salient=generalization.salient(effects, tau),
        general=generalization.agreed(transfers, rules.vote) if bases else None,
        transfers=transfers,
        chances=[chance.chance(effects, i, sign_test=sign_test) for i in salient_bases],
    )


def _tau(columns: Columns, here: slice, scalars: Columns, rules: GeneralizationConfig) -> np.ndarray:
    """Returns τ of some samples, in nats: from a mean over all samples, or from each sample's own interactions."""
    of_all = rules.tau_rule == "mean_output"
    v_empty, v_full = ((scalars if of_all else columns)[name] for name in ("v_empty", "v_full"))
    found = generalization.tau(columns["i_and"], columns["i_or"], v_empty, v_full, rules.tau_rule, rules.tau_factor)
    return found[here].copy() if of_all else found  # no view, which would keep those of all samples


def _sums(batch: Batch) -> tuple[np.ndarray, ...]:
    """Returns sums over each order from 1, `[samples, 2, n, 6]` (`SUMS`), counts `[…, 2]`, and Σ|I|·c `[…]`, nats.

    All on G are means over the baseline networks. Then, of each of them, the sums over all orders
    `[samples, 2, baselines, 3]`: of what transfers to it, of what does not, and Σ|I|·c.
    """

    def signed(chosen: np.ndarray) -> np.ndarray:
        positive, negative = generalization.signed_order_strengths(batch.effects, chosen)
        return np.stack([positive, -negative], axis=-1)[..., 1:, :] + 0.0  # no −0

    salient = batch.salient
    transfers, chances = batch.transfers or [np.zeros_like(salient)], batch.chances or [np.zeros_like(batch.effects)]
    parts = np.stack([np.concatenate([signed(g), signed(salient & ~g)], axis=-1) for g in transfers])
    levels = np.stack([generalization.order_strengths(batch.effects, salient * c)[..., 1:] for c in chances])
    counts = np.mean([generalization.order_counts(g)[..., 1:] for g in transfers], axis=0)
    total = parts.sum(-2)
    of_each = np.stack([total[..., 0] - total[..., 1], total[..., 2] - total[..., 3], levels.sum(-1)], axis=-1)
    return (
        np.concatenate([signed(salient), parts.mean(0)], axis=-1),
        np.stack([generalization.order_counts(salient)[..., 1:], counts], axis=-1),
        levels.mean(0),
        np.moveaxis(of_each, 0, 2),
    )


def _by_part(sums: np.ndarray) -> np.ndarray:
    """Returns strengths `[samples, n, 2]` of generalizable and non-generalizable interactions by order, nats."""
    total = sums.sum(1)
    return np.stack([total[..., i] - total[..., i + 1] for i in (2, 4)], axis=-1)


def _groups(
    splits: Sequence[str], labels: np.ndarray, true_labels: Sequence[int] | None
) -> dict[tuple[str, int], np.ndarray]:
    """Returns the samples of each (split, class) that has any; split "all" and class −1 stand for all of them.

    Of the training samples also those whose label is the true one, "clean", and another, "random", if there are any.
    """
    train = np.asarray(splits) == "train"
    masks = {"all": np.full(len(train), True), "train": train, "test": ~train}
    random = train & (labels != (labels if true_labels is None else true_labels))
    if random.any():
        masks |= {"clean": train & ~random, "random": random}
    classes = (-1, *np.unique(labels).tolist())
    every = {
        (name, label): np.flatnonzero(mask & ((labels == label) | (label == -1)))
        for name, mask in masks.items()
        for label in classes
    }
    return {group: rows for group, rows in every.items() if len(rows)}


def _with_both(values: np.ndarray, axis: int = 1) -> np.ndarray:
    """Returns values with a third type after AND and OR: both together."""
    return np.concatenate([values, values.sum(axis, keepdims=True)], axis)


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
        made[name] = column(mean[..., i], None, known or i < 2)
    strength, general, non_general = (mean[..., i] - mean[..., i + 1] for i in (0, 2, 4))
    made["strength"] = column(strength)
    made["generalizable"] = column(general, None, known)
    made["non_generalizable"] = column(non_general, None, known)
    made["generalization_power"] = column(generalization.generalization_power(general, strength), None, known)
    made["salient"] = column(count[..., 0])
    made["generalizable_count"] = column(count[..., 1], None, known)
    level = np.stack([_with_both(by_chance[rows].mean(0), 0) for rows in groups.values()])  # [groups, 3, n]
    made |= _chance_columns(np.stack([strength, general, level], axis=-1), known)
    return pa.table(made)


def _strengths(
    sums: np.ndarray,
    counts: np.ndarray,
    each: np.ndarray,
    groups: dict[tuple[str, int], np.ndarray],
    known: bool,
    strata: np.ndarray | None,
) -> pa.Table:
    drawn = [bootstrap.group(strata, rows) for rows in groups.values()]
    whole, parts = _with_both(_whole(sums)), np.moveaxis(_with_both(each), -1, 0)  # [S, 3], [3, S, 3, baselines]
    by_sample, level = (np.concatenate([whole[..., None], parts[0], parts[i]], axis=-1) for i in (1, 2))
    alike = np.full(each.shape[2], 1 / each.shape[2])  # the weights of the baselines
    count = np.stack([_with_both(counts[rows].sum(2).mean(0), 0) for rows in groups.values()])  # [groups, 3, 2]
    mean = np.stack([_averaged(by_sample[rows].mean(0), alike) for rows in groups.values()])  # [groups, 3 types, 3]
    ends = [intervals(by_sample[rows], group) for rows, group in zip(groups.values(), drawn, strict=True)]
    bounds = np.stack(ends, axis=1)  # [2, groups, 3, 4]
    made = _group_columns(groups, None)
    made["samples"] = column(np.repeat([len(rows) for rows in groups.values()], 3), pa.int32())
    values = np.concatenate([mean, generalization.generalization_power(mean[..., 1], mean[..., 0])[..., None]], axis=-1)
    for i, name in enumerate(("strength", "generalizable", "non_generalizable", "generalization_power")):
        made[name] = column(values[..., i], None, known or i == 0)
        made[f"{name}_low"] = column(bounds[0, ..., i], None, known or i == 0)
        made[f"{name}_high"] = column(bounds[1, ..., i], None, known or i == 0)
    made["count_power"] = column(generalization.generalization_power(count[..., 1], count[..., 0]), None, known)
    made["salient"] = column(count[..., 0])
    made["generalizable_count"] = column(count[..., 1], None, known)
    made |= _chance_columns(np.stack([_averaged(level[rows].mean(0), alike) for rows in groups.values()]), known)
    for name, ends in _chance_bounds([level[rows] for rows in groups.values()], drawn).items():
        made[f"{name}_low"], made[f"{name}_high"] = (column(end, None, known) for end in ends)
    return pa.table(made)


def _whole(sums: np.ndarray) -> np.ndarray:
    """Returns the strength of all salient interactions, `[samples, 2]`, from sums by order (`SUMS`), nats."""
    total = sums[..., :2].sum(2)
    return total[..., 0] - total[..., 1]


def _numbered(count: int) -> list[str]:
    return [f"baseline-{i}" for i in range(count)]


def _baseline_strengths(
    sums: np.ndarray, each: np.ndarray, groups: dict[tuple[str, int], np.ndarray], names: Sequence[str]
) -> pa.Table:
    """Returns what `_strengths` has on G, by each baseline network alone; one row for each group, type and baseline."""
    whole, parts = _with_both(_whole(sums)), _with_both(each)[:, :, : len(names)]  # [S, 3], [S, 3, baselines, 3]
    mean = np.stack([parts[rows].mean(0) for rows in groups.values()])  # [groups, 3, baselines, 3]
    strength = np.stack([whole[rows].mean(0) for rows in groups.values()])[..., None] + 0 * mean[..., 0]
    general, level = mean[..., 0], mean[..., 2]
    made = {
        name: pc.take(column, np.repeat(np.arange(len(column)), len(names)))
        for name, column in _group_columns(groups, None).items()
    }
    made["baseline"] = pa.array(len(groups) * 3 * [*names], pa.string())
    made["generalizable"] = column(general)
    made["generalization_power"] = column(generalization.generalization_power(general, strength))
    return pa.table(made | _chance_columns(np.stack([strength, general, level], axis=-1), known=True))


def _above(strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns H by chance and how far H is above it, `[...]`, shares; `[..., 3]`: strength, with G = 1, by chance."""
    whole, general, level = np.moveaxis(strengths, -1, 0)
    power, by_chance = (generalization.generalization_power(part, whole) for part in (general, level))
    return by_chance, chance.above_chance(power, by_chance)


def _chance_columns(strengths: np.ndarray, known: bool) -> dict[str, pa.Array]:
    level, above = _above(strengths)
    columns = {"by_chance": strengths[..., 2], "chance": level, "above_chance": above}
    return {name: column(values, None, known) for name, values in columns.items()}


def _chance_bounds(groups: Sequence[np.ndarray], drawn: Sequence[bootstrap.Group]) -> dict[str, np.ndarray]:
    """Returns low and high ends `[2, groups, 3 types]` of H by chance and above it.

    The resamples are those of `intervals`; of each group strength, what transfers to each baseline, and by chance.
    """

    def bounds(strengths: np.ndarray, group: bootstrap.Group) -> np.ndarray:  # [2 ends, 2 quantities, 3 types]
        def values(*drawn: np.ndarray) -> np.ndarray:
            return np.moveaxis(np.stack(_above(_resampled(strengths, *drawn))), 1, -1)

        if len(strengths) == 1:  # nothing to draw from
            return np.stack(2 * [np.stack(_above(_resampled(strengths, *_all_of(strengths))))])
        return bootstrap.ends(bootstrap.distribution(values, group, _baselines(strengths)))

    ends = np.stack([bounds(*each) for each in zip(groups, drawn, strict=True)], axis=2)  # [2, 2, groups, 3]
    return {"chance": ends[:, 0], "above_chance": ends[:, 1]}


def _group_columns(groups: dict[tuple[str, int], np.ndarray], n: int | None) -> dict[str, pa.Array]:
    types = (*TYPES, "all")
    rows = [(*group, kind, size) for group in groups for kind in types for size in range(1, (n or 1) + 1)]
    split, label, kind, size = zip(*rows, strict=True)
    made = {"split": pa.array(split), "label": pa.array(label, pa.int32()), "type": pa.array(kind)}
    return made if n is None else made | {"size": pa.array(size, pa.int8())}


def intervals(by_sample: np.ndarray, group: bootstrap.Group | None = None) -> np.ndarray:
    """Returns low and high ends `[2, 3 types, 4]` for strength, its parts and H; seeded. One sample: its value.

    Samples and baseline networks are drawn, each by themselves. `by_sample` is `[samples, 3 types, 1 + 2·baselines]`:
    strength, what of it transfers to each baseline, and what does not. H is NaN where nothing is salient. `group` says
    how samples are drawn, independently by default.
    """

    def values(*drawn: np.ndarray) -> np.ndarray:
        means = _resampled(by_sample, *drawn)  # [resamples, 3, 3]
        power = generalization.generalization_power(means[..., 1], means[..., 0])[..., None]
        return np.moveaxis(np.concatenate([means, power], axis=-1), (-2, -1), (0, 1))

    if len(by_sample) == 1:  # nothing to draw from
        return np.stack(2 * [values(*_all_of(by_sample))])
    draws = bootstrap.distribution(values, len(by_sample) if group is None else group, _baselines(by_sample))
    ends, known = np.full((2, *draws.shape[:-1]), np.nan), ~np.isnan(draws).all(-1)
    # as `bootstrap.ends`, but in numpy's arithmetic: the last bit of stored intervals comes from it
    ends[:, known] = np.nanquantile(draws[known], (0.025, 0.975), axis=-1)
    return ends


def _baselines(strengths: np.ndarray) -> int:
    """Returns the number of baselines in the last axis, 1 + 2 · baselines."""
    return strengths.shape[-1] // 2


def _all_of(strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns draws that take every sample and every baseline once."""
    return np.arange(len(strengths)), np.arange(_baselines(strengths))


def _resampled(strengths: np.ndarray, samples: np.ndarray, baselines: np.ndarray) -> np.ndarray:
    """Returns means `[resamples, types, 3]` of strengths `[samples, types, 1 + 2 · baselines]` over draws of both."""
    means = np.tensordot(bootstrap.sample_weights(samples), strengths, 1)
    return _averaged(means, bootstrap.sample_weights(baselines))


def _averaged(strengths: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns `[..., types, 3]` from `[..., types, 1 + 2 · baselines]`: both parts averaged over the baselines."""
    parts = strengths[..., 1:].reshape(*strengths.shape[:-1], 2, -1) * weights[..., None, None, :]
    return np.concatenate([strengths[..., :1], parts.sum(-1)], axis=-1)
