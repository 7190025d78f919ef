"""Questions about what networks share: salient interactions of the same sample, type, variables and sign. No torch.

A *column* is a network at an epoch of a run. Each two are compared: how many of the first one's salient interactions
the second one has too, s = shared / salient, and how many it would have by chance, if its interactions of each order
and sign lay on any subsets of that order (see `formulas.chance`). Source: arXiv 2401.16318, Definition 1; sign and
chance are ours.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from interdash.formulas.bootstrap import percentile, sample_weights
from interdash.formulas.chance import above_chance
from interdash.queries.dynamics import labelled_epochs
from interdash.queries.sample import named
from interdash.store.database import Store
from interdash.store.long_tables import Rows

MOST_EPOCHS = 17  # compared with one another
MOST_SAMPLES = 200  # of a map, evenly spread
MOST_NETWORKS = 12
GROUPS = {"every order": (1, 99), "orders 1 and 2": (1, 2), "order 3 and above": (3, 99)}
STRENGTHS = ("positive", "negative", "shared_positive", "shared_negative", "chance_positive", "chance_negative")


class Column(NamedTuple):
    """Whose interactions are compared."""

    name: str  # in words, short
    run: str
    network: str
    epoch: int


def columns(store: Store, run: str) -> list[Column]:
    """Returns what a run's target can be compared with: its baseline networks, then itself at each labelled epoch."""
    rows = store.fetch(
        "SELECT network, max(epoch) FROM networks WHERE run = ? AND network <> 'target' GROUP BY network "
        "ORDER BY length(network), network",
        [run],
    )
    others = [Column(network, run, network, epoch) for network, epoch in rows]
    return others + [Column(f"epoch {epoch}", run, "target", epoch) for epoch in labelled_epochs(store, run)]


class _Salient(NamedTuple):
    """The salient interactions of some columns, and which of them the others have too."""

    rows: pd.DataFrame  # place (of the column; sorted), sample, size, effect (nats), up (positive), key and group
    has: np.ndarray  # bool, [keys, columns]: key = sample, type, sign and subset
    share: np.ndarray  # [groups, columns]: group = sample, type, sign and order; of its subsets, how many are salient

    def of(self, place: int, other: int) -> pd.DataFrame:
        """Returns the interactions of one column: shared with the other or not (0, 1), and by chance (0–1)."""
        start, end = np.searchsorted(self.rows["place"], (place, place + 1))
        rows = self.rows.iloc[start:end]
        shared, chance = self.has[rows["key"], other], self.share[rows["group"], other]
        return rows.assign(shared=shared.astype(float), chance=chance)


def _salient(store: Store, some: Sequence[Column], *, every: int = 1) -> _Salient:
    """Returns the interactions of columns; of every `every`-th sample."""
    rows = store.ask(
        """
        WITH picked AS (SELECT unnest(range(len($runs))) AS place, unnest($runs) AS run, unnest($networks) AS network,
            unnest($epochs) AS epoch)
        SELECT place, sample, type, subset, size, effect::DOUBLE AS effect, effect > 0 AS up,
            factorial(size) * factorial(n_variables - size) / factorial(n_variables) AS odds
        FROM interactions JOIN picked USING (run, network, epoch) JOIN runs USING (run)
        WHERE sample % $every = 0 ORDER BY place, sample, type, subset
        """,
        {f"{name}s": [getattr(one, name) for one in some] for name in ("run", "network", "epoch")} | {"every": every},
        details=[Rows("interactions", column.run, column.network, column.epoch) for column in some],
    )
    alike = (rows["sample"].to_numpy(np.int64) * 2 + (rows["type"] == "or")) * 2 + rows["up"]
    key = np.unique(alike * 2**32 + rows["subset"], return_inverse=True)[1]
    group = np.unique(alike * 2**8 + rows["size"], return_inverse=True)[1]
    has = np.zeros((key.max(initial=-1) + 1, len(some)), bool)
    share = np.zeros((group.max(initial=-1) + 1, len(some)))
    has[key, rows["place"]] = True
    np.add.at(share, (group, rows["place"]), rows["odds"])
    return _Salient(rows.assign(key=key, group=group), has, share)


def _ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns rows with s, its level by chance and how far it is above."""
    counts = rows["salient"].to_numpy(float)
    share, chance = rows["shared"].to_numpy(float) / counts, rows["chance"].to_numpy(float) / counts
    return rows.assign(share=share, chance_share=chance, above_chance=above_chance(share, chance))


def shared_orders(store: Store, run: str, epoch: int, other: Column) -> pd.DataFrame:
    """Returns what the target at an epoch and another column share by order: one row a side and order.

    side (first, second), size, `STRENGTHS` (nats, means over samples), salient and shared (a sample), share s, its
    level chance_share, above_chance.
    """
    (samples,) = store.fetch("SELECT count(*) FROM samples WHERE run = ?", [run])[0]
    salient, sides = _salient(store, [Column("", run, "target", epoch), other]), []
    for side, place in (("first", 0), ("second", 1)):
        rows: Any = salient.of(place, 1 - place).assign(salient=1.0)
        for name, part in (("", 1.0), ("shared_", rows["shared"]), ("chance_", rows["chance"])):
            for sign, of_sign in (("positive", rows["up"]), ("negative", ~rows["up"])):
                rows[name + sign] = rows["effect"] * part * of_sign
        sums = rows.groupby("size", as_index=False)[[*STRENGTHS, "salient", "shared", "chance"]].sum()
        sides.append(sums.assign(side=side))
    rows = _ratios(pd.concat(sides, ignore_index=True))
    return rows.assign(**{name: rows[name] / max(samples, 1) for name in (*STRENGTHS, "salient", "shared", "chance")})


def sample_shared(store: Store, run: str, epoch: int, sample: int, other: Column) -> pd.DataFrame:
    """Returns the salient interactions of one sample in the target, another column, or both (`where`), strongest first.

    Columns as of `compare.difference`; of another sign is another interaction.
    """
    rows = store.ask(
        """
        SELECT type, subset, coalesce(a.size, b.size) AS size, a.effect AS effect, b.effect AS other_effect,
            a.generalizes AS generalizes, b.generalizes AS other_generalizes,
            CASE WHEN b.effect IS NULL THEN 'first' WHEN a.effect IS NULL THEN 'second' ELSE 'both' END AS "where"
        FROM (SELECT *, effect > 0 AS up FROM interactions
            WHERE run = $run AND network = 'target' AND epoch = $epoch AND sample = $sample) a
        FULL JOIN (SELECT *, effect > 0 AS up FROM interactions
            WHERE run = $run AND network = $network AND epoch = $other_epoch AND sample = $sample) b
            USING (type, subset, up)
        ORDER BY greatest(abs(coalesce(a.effect, 0)), abs(coalesce(b.effect, 0))) DESC, type, subset
        """,
        {"run": run, "epoch": epoch, "sample": sample, "network": other.network, "other_epoch": other.epoch},
        details=[
            Rows("interactions", run, network, at, sample)
            for network, at in dict.fromkeys((("target", epoch), (other.network, other.epoch)))
        ],
    )
    return named(store, run, sample, rows)


def sharing_by_epoch(store: Store, run: str, other: Column) -> pd.DataFrame:
    """Returns what the target at each epoch shares with another column, with intervals: one row an epoch, side, group.

    side: "first" = share of the target's interactions that the other has, "second" = of the other's that the target
    has; group: of `GROUPS`; salient (a sample), share s and its 95 % bootstrap interval over samples, chance_share.
    """
    epochs = _spread(labelled_epochs(store, run), MOST_EPOCHS)
    salient = _salient(store, [*(Column("", run, "target", epoch) for epoch in epochs), other])
    (samples,) = store.fetch("SELECT count(*) FROM samples WHERE run = ?", [run])[0]
    keys, sums, last = [], [], len(epochs)
    for side in ("first", "second"):
        both = [(place, last) if side == "first" else (last, place) for place in range(last)]
        tables = [salient.of(*places) for places in both]
        for group, (low, high) in GROUPS.items():
            keys += [(epoch, side, group) for epoch in epochs]
            for rows in tables:
                inside = rows["size"].between(low, high).to_numpy()
                sample, *weights = (rows[name].to_numpy()[inside] for name in ("sample", "shared", "chance"))
                sums.append([np.bincount(sample, each, samples) for each in (None, *weights)])
    return _shares(pd.DataFrame(keys, columns=["epoch", "side", "group"]), np.array(sums, float))


def _shares(keys: pd.DataFrame, sums: np.ndarray) -> pd.DataFrame:
    """Returns rows with salient (a sample), share and its interval, and chance_share, of sums `[rows, 3, samples]`.

    Rows without any salient interaction are left out.
    """
    known = sums[:, 0].any(1)
    sums = sums[known]

    def share(drawn: np.ndarray) -> np.ndarray:
        salient, shared = np.moveaxis(sums[:, :2] @ sample_weights(drawn).T, 1, 0)
        return np.divide(shared, salient, out=np.full(salient.shape, np.nan), where=salient > 0)

    salient, shared, chance = np.moveaxis(sums.sum(2), 1, 0)
    low, high = percentile(share, sums.shape[2]) if len(sums) else np.zeros((2, 0))
    values = {"salient": salient / sums.shape[2], "share": shared / salient, "low": low, "high": high}
    return keys[known].reset_index(drop=True).assign(**values, chance_share=chance / salient)


def sharing_map(store: Store, some: Sequence[Column]) -> pd.DataFrame:
    """Returns the share of each column's salient interactions that each other column has: one row a pair.

    first, second, salient, shared, chance (numbers), share s, chance_share, above_chance.
    """
    runs = list({column.run for column in some})
    (samples,) = store.fetch("SELECT count(*) FROM samples WHERE list_contains(?, run)", [runs])[0]
    rows, has, share = _salient(store, some, every=max(1, ceil(samples / max(len(runs), 1) / MOST_SAMPLES)))
    tables = []
    for place, column in enumerate(some):
        of = rows[rows["place"] == place]
        numbers = {"salient": len(of), "shared": has[of["key"]].sum(0), "chance": share[of["group"]].sum(0)}
        tables.append(pd.DataFrame({"first": column.name, "second": [each.name for each in some], **numbers}))
    table = _ratios(pd.concat(tables).query("salient > 0"))
    return table.sort_values(["first", "second"], ignore_index=True)


def epoch_map(store: Store, run: str) -> pd.DataFrame:
    """Returns `sharing_map` of the target's epochs, at most `MOST_EPOCHS` of them, named by number."""
    epochs = _spread(labelled_epochs(store, run), MOST_EPOCHS)
    rows = sharing_map(store, [Column(f"{epoch:08}", run, "target", epoch) for epoch in epochs])
    return rows.assign(first=rows["first"].astype(int), second=rows["second"].astype(int))


def network_map(store: Store, run: str, others: Sequence[str] = ()) -> pd.DataFrame:
    """Returns `sharing_map` of the last epochs of a run's networks, and of the targets of other runs."""
    rows = store.fetch(
        "SELECT run, network, max(epoch) FROM networks WHERE run = $run OR (list_contains($others, run) AND "
        "network = 'target') GROUP BY run, network ORDER BY run <> $run, run, network <> 'target', length(network), "
        "network LIMIT $most",
        {"run": run, "others": list(others), "most": MOST_NETWORKS},
    )
    some = [Column(network if r == run else f"{r}, {network}", r, network, epoch) for r, network, epoch in rows]
    return sharing_map(store, some)


def _spread(values: Sequence[int], most: int) -> list[int]:
    """Returns at most so many values, evenly spread, first and last among them."""
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [values[i] for i in places]
