"""The tables `removals` and `sample_removals` of a network at one epoch, from what `removal` computes."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from interdash.formulas.bootstrap import LEVEL, group
from interdash.formulas.generalization import loss
from interdash.formulas.removal import DOSES, KINDS, SPLITS, Interactions, intervals, losses, random_keys

COLUMNS = (
    *("before", "after", "after_low", "after_high", "change", "change_low", "change_high"),
    *("excess", "excess_low", "excess_high", "draws_low", "draws_high", "strength"),
)
REMOVALS = pa.schema(
    {"removed": pa.string(), "split": pa.string(), "min_order": pa.int8(), "dose": pa.int8()}
    | dict.fromkeys(COLUMNS, pa.float64())
)
SAMPLE_REMOVALS = pa.schema(
    {
        "sample": pa.int32(),
        "min_order": pa.int8(),
        "dose": pa.int8(),
        "after": pa.float64(),
        "random_after": pa.float64(),
        "strength": pa.float32(),
    }
)


def removal_tables(
    v_full: np.ndarray,
    batches: Sequence[Interactions],
    splits: Sequence[str],
    n: int,
    strata: np.ndarray | None = None,
) -> dict[str, pa.Table]:
    """Returns the tables `removals` and `sample_removals` of `schema.sql` for a network at one epoch.

    Args:
        v_full: v(x), `[samples]`, nats.
        batches: the salient interactions of all samples, some samples each, which are treated one after the other: the
            losses of every draw take 84 kB a sample at n = 16. None for a baseline network, whose tables are empty.
        splits: "train" or "test" for each sample.
        n: number of variables.
        strata: of the samples, see `bootstrap`.
    """
    if not batches:
        return {"removals": REMOVALS.empty_table(), "sample_removals": SAMPLE_REMOVALS.empty_table()}
    split, whole = np.asarray(splits), sum(len(batch.sample) for batch in batches)
    in_split = [split == name for name in SPLITS[:2]]
    sums = [np.zeros(()), np.zeros(())]  # over the samples of each split: [draws, kinds, orders, doses]
    means, strengths, first, done = [], [], 0, 0
    for batch in batches:
        here = slice(first, first + batch.samples)
        after = losses(v_full[here], batch, random_keys(len(batch.sample), done, whole), n=n)
        sums = [total + after.draws[:, rows[here]].sum(1) for total, rows in zip(sums, in_split, strict=True)]
        means.append(after.mean)
        strengths.append(after.strength)
        first, done = here.stop, done + len(batch.sample)
    drawn = [total / rows.sum() if rows.any() else np.nan + total for total, rows in zip(sums, in_split, strict=True)]
    mean, strength = np.concatenate(means), np.concatenate(strengths)
    return {
        "removals": _removals(loss(v_full), mean, strength, np.stack([*drawn, drawn[1] - drawn[0]]), split, strata),
        "sample_removals": _sample_removals(mean, strength),
    }


def _removals(
    before: np.ndarray,
    after: np.ndarray,
    gone: np.ndarray,
    draws: np.ndarray,
    split: np.ndarray,
    strata: np.ndarray | None,
) -> pa.Table:
    """Returns the rows from losses before and after, strengths removed, and means over the samples of each split."""
    shape = after.shape[1:]  # kinds, orders, doses
    change = after - before[:, None, None, None]
    excess = change[:, :1] - change  # of the non-generalizable ones over each control
    values = np.stack([after, change, excess], axis=1).reshape(len(before), -1)  # [samples, 3 · rows]
    in_train, in_test = split == "train", split == "test"
    mean = _with_gap(values, in_train, in_test)
    ends = intervals(values[in_train], values[in_test], [group(strata, rows) for rows in (in_train, in_test)])
    low, high = ends.reshape(2, len(SPLITS), 3, *shape)
    outside = 100 * (1 - LEVEL) / 2
    draws_low, draws_high = np.percentile(draws, [outside, 100 - outside], axis=1)
    draws_low[:, 0] = draws_high[:, 0] = np.nan  # nothing is drawn
    strength = _with_gap(gone, in_train, in_test)
    strength[2] = np.nan
    first = _with_gap(before, in_train, in_test)[:, None, None, None] + np.zeros(shape)
    mean = mean.reshape(len(SPLITS), 3, *shape)
    table = {"before": first, "draws_low": draws_low, "draws_high": draws_high, "strength": strength}
    for i, name in enumerate(("after", "change", "excess")):
        table |= {name: mean[:, i], f"{name}_low": low[:, i], f"{name}_high": high[:, i]}
    for name in ("excess", "excess_low", "excess_high"):
        table[name][:, 0] = np.nan
    which = np.indices(mean[:, 0].shape).reshape(4, -1)
    columns = {
        "removed": np.take(KINDS, which[1]),
        "split": np.take(SPLITS, which[0]),
        "min_order": which[2] + 1,
        "dose": DOSES[which[3]],
    }
    flat = {name: np.ravel(table[name]) for name in COLUMNS}
    arrays = [pa.array(values) for values in columns.values()]
    arrays += [pa.array(values, mask=np.isnan(values)) for values in flat.values()]
    return pa.table(arrays, names=[*columns, *flat]).cast(REMOVALS)


def _with_gap(values: np.ndarray, in_train: np.ndarray, in_test: np.ndarray) -> np.ndarray:
    """Returns means over the training samples, the testing samples, and test − train: one new first axis."""
    means = [values[rows].mean(0) if rows.any() else np.nan + values.sum(0) for rows in (in_train, in_test)]
    return np.stack([*means, means[1] - means[0]])


def _sample_removals(after: np.ndarray, strength: np.ndarray) -> pa.Table:
    """Returns the rows of the full dose: all doses of every sample would be more rows than there are interactions."""
    sample, size = np.indices((len(after), after.shape[2])).reshape(2, -1)  # [samples, orders]
    full = [after[:, 0, :, -1], after[:, 1, :, -1], strength[:, 0, :, -1]]
    columns = [sample, size + 1, np.full(len(sample), DOSES[-1]), *map(np.ravel, full)]
    return pa.table([pa.array(column) for column in columns], names=SAMPLE_REMOVALS.names).cast(SAMPLE_REMOVALS)
