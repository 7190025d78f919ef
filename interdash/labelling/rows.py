"""Rows by sample of a network at one epoch: the tables `sample_epochs`, `interactions` and `sample_orders`.

All is in nats; see `schema.sql` for every column.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from interdash.formulas import generalization
from interdash.formulas.subsets import n_variables, orders
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
    transfers: list[np.ndarray]  # to each baseline network, bool, of the same shape
    chances: list[np.ndarray]  # that it does by chance, 0–1, of the same shape


def column(values: np.ndarray, kind: pa.DataType | None = None, known: bool = True) -> pa.Array:
    """Returns an Arrow column, NaN as null; all null if the values are not known."""
    values = np.ravel(values)
    if not known:
        return pa.nulls(len(values), kind or pa.from_numpy_dtype(values.dtype))
    array = pa.array(values, mask=np.isnan(values) if values.dtype.kind == "f" else None)
    return array if kind is None else array.cast(kind)


def sample_epochs(columns: Columns, batch: Batch, sums: np.ndarray, counts: np.ndarray) -> pa.Table:
    effects, tau, salient = batch.effects, batch.tau, batch.salient
    known = batch.general is not None
    total = dict(zip(SUMS, np.moveaxis(sums.sum((1, 2)), -1, 0), strict=True))
    size = orders(n_variables(effects.shape[-1]))
    made = {name: column(columns[name]) for name in SCALARS if name != "label"}
    made |= {
        "correct": column(columns["predicted"] == columns["label"]),
        "loss": column(generalization.loss(columns["v_full"])),
        "tau": column(tau),
        "strength": column(np.abs(effects).sum((1, 2))),
        "salient_strength": column(total["positive"] - total["negative"]),
        "net_effect": column(total["positive"] + total["negative"]),
        "high_order": column((sums[..., 0] - sums[..., 1])[..., sums.shape[2] // 2 :].sum((1, 2))),
        "salient": column(salient.sum((1, 2)), pa.int32()),
        "generalizable_count": column(counts[..., 1].sum((1, 2)), None, known),
        "highest_order": column(np.where(salient, size, 0).max((1, 2)), pa.int32()),
        "noise": column(np.abs(columns["delta"]).max(1)),
    }
    for name in ("generalizable", "non_generalizable"):
        made[name] = column(total[f"{name}_positive"] - total[f"{name}_negative"], known=known)
        made[f"{name}_effect"] = column(total[f"{name}_positive"] + total[f"{name}_negative"], known=known)
    return pa.table(made)


def interactions(batch: Batch, first: int) -> pa.Table:
    """Returns the salient interactions of a batch, whose samples are numbered from `first` on."""
    effects, base, salient, general = batch.effects, batch.base, batch.salient, batch.general
    strength = np.where(salient, np.abs(effects), -1.0).reshape(len(effects), -1)
    order = np.argsort(-strength, axis=1, kind="stable")  # ties by type, then subset
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(1, order.shape[1] + 1)[None], axis=1)
    where = np.nonzero(salient)
    sample, kind, subset = where
    known = general is not None
    size = orders(n_variables(effects.shape[-1]))[subset]
    transfers = [here[where].astype(np.int32) for here in batch.transfers or [salient]]
    chances = [here[where] for here in batch.chances or [effects]]
    made = {
        "sample": column(first + sample, pa.int32()),
        "type": pa.DictionaryArray.from_arrays(pa.array(kind, pa.int8()), list(TYPES)).cast(pa.string()),
        "subset": column(subset, pa.int32()),
        "size": column(size, pa.int8()),
        "rank": column(rank.reshape(effects.shape)[where], pa.int32()),
        "effect": column(effects[where].astype(np.float32)),
        "baseline_effect": column((effects if base is None else base)[where].astype(np.float32), None, known),
        "transfers": column(np.sum([here << i for i, here in enumerate(transfers)], axis=0), pa.int32(), known),
        "votes": column(np.sum(transfers, axis=0), pa.int8(), known),
        "generalizes": column(salient[where] if general is None else general[where], None, known),
        "chance": column(np.mean(chances, axis=0).astype(np.float32), None, known),
    }
    return pa.table(made)


def sample_orders(sums: np.ndarray, counts: np.ndarray, by_chance: np.ndarray, known: bool, first: int) -> pa.Table:
    where = np.nonzero(counts[..., 0])
    sample, kind, size = where
    made = {
        "sample": column(first + sample, pa.int32()),
        "type": pa.array([TYPES[i] for i in kind], pa.string()),
        "size": column(size + 1, pa.int8()),
    }
    for i, name in enumerate(SUMS):
        made[name] = column(sums[..., i][where].astype(np.float32), None, known or i < 2)
    made["salient"] = column(counts[..., 0][where].astype(np.int32))
    made["generalizable_count"] = column(counts[..., 1][where].astype(np.float32), None, known)
    made["by_chance"] = column(by_chance[where].astype(np.float32), None, known)
    return pa.table(made)
