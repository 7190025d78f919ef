"""Questions about what networks share: salient interactions of the same sample, type, variables and sign. No torch.

A *column* is a network at an epoch of a run. Each two are compared: how many of the first one's salient interactions
the second one has too, s = shared / salient, and how many it would have by chance, if its interactions of each order
and sign lay on any subsets of that order (see `formulas.chance`). Source: arXiv 2401.16318, Definition 1; sign and
chance are ours.
"""

from collections.abc import Sequence
from functools import lru_cache
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

    places: dict[tuple[str, str, int], int]  # of the columns, by run, network and epoch
    starts: np.ndarray  # of the rows of each column, and their end, [columns + 1]
    rows: dict[str, np.ndarray]  # sample, size, effect (nats), up (positive), key and group, each [rows]
    has: np.ndarray  # bool, [keys, columns]: key = sample, type, sign and subset
    share: np.ndarray  # [groups, columns]: group = sample, type, sign and order; of its subsets, how many are salient

    def of(self, column: Column) -> dict[str, np.ndarray]:
        """Returns the interactions of a column."""
        start, end = self.starts[self.places[column[1:]] :][:2]
        return {name: values[start:end] for name, values in self.rows.items()}

    def beside(self, column: Column, other: Column) -> dict[str, np.ndarray]:
        """Returns the interactions of a column: shared with another or not (0, 1), and by chance (0–1)."""
        rows, place = self.of(column), self.places[other[1:]]
        shared, chance = self.has[rows["key"], place], self.share[rows["group"], place]
        return rows | {"shared": shared.astype(float), "chance": chance}


def _salient(store: Store, some: Sequence[Column]) -> _Salient:
    """Returns the interactions of columns, read once for all questions about one run.

    These ask for its networks and for its target at the epochs of `_epochs`; other columns are read anew.
    """
    run = some[0].run if some else ""
    usual = [*_networks(store, run, []), *_epochs(store, run)]
    if not {column[1:] for column in some} <= {column[1:] for column in usual}:
        return _read(store, tuple(some))
    keys = store.fetch("SELECT list(key ORDER BY what) FROM loaded WHERE run = ?", [run])[0][0]
    return _kept(store, tuple(usual), str(keys))


def _read(store: Store, some: tuple[Column, ...], version: str = "") -> _Salient:
    places = {name: place for place, name in enumerate(dict.fromkeys(column[1:] for column in some))}
    rows = store.ask(
        """
        WITH picked AS (SELECT unnest(range(len($runs))) AS place, unnest($runs) AS run, unnest($networks) AS network,
            unnest($epochs) AS epoch)
        SELECT place, sample, type = 'or' AS is_or, subset, size, effect::DOUBLE AS effect, effect > 0 AS up,
            factorial(size) * factorial(n_variables - size) / factorial(n_variables) AS odds
        FROM interactions JOIN picked USING (run, network, epoch) JOIN runs USING (run)
        ORDER BY place, sample, is_or, subset
        """,
        {f"{name}s": [of[i] for of in places] for i, name in enumerate(("run", "network", "epoch"))},
        details=[Rows("interactions", *of) for of in places],
    )
    columns: dict[str, np.ndarray] = {name: rows[name].to_numpy() for name in rows}
    place, size = columns.pop("place"), columns["size"].astype(np.int64)
    alike = (columns["sample"].astype(np.int64) * 2 + columns.pop("is_or")) * 2 + columns["up"]
    key = np.unique(alike * 2**32 + columns.pop("subset"), return_inverse=True)[1]
    group = alike * (size.max(initial=0) + 1) + size
    has = np.zeros((key.max(initial=-1) + 1, len(places)), bool)
    share = np.zeros((group.max(initial=-1) + 1, len(places)))
    has[key, place] = True
    np.add.at(share, (group, place), columns.pop("odds"))
    columns |= {"key": key.astype(np.int32), "group": group.astype(np.int32)}
    return _Salient(places, np.searchsorted(place, range(len(places) + 1)), columns, has, share)


_kept = lru_cache(maxsize=2)(_read)  # of the runs looked at last; their labels' names tell when they are others


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
    here, sides = Column("", run, "target", epoch), []
    salient = _salient(store, [here, other])
    for side, both in (("first", (here, other)), ("second", (other, here))):
        rows: Any = pd.DataFrame(salient.beside(*both)).assign(salient=1.0)
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
    epochs = _epochs(store, run)
    salient = _salient(store, [*epochs, other])
    (samples,) = store.fetch("SELECT count(*) FROM samples WHERE run = ?", [run])[0]
    keys, sums = [], []
    for side in ("first", "second"):
        tables = [salient.beside(*((epoch, other) if side == "first" else (other, epoch))) for epoch in epochs]
        for group, (low, high) in GROUPS.items():
            keys += [(epoch.epoch, side, group) for epoch in epochs]
            for rows in tables:
                inside = (rows["size"] >= low) & (rows["size"] <= high)
                sample, *weights = (rows[name][inside] for name in ("sample", "shared", "chance"))
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
    every = max(1, ceil(samples / max(len(runs), 1) / MOST_SAMPLES))
    salient, names, tables = _salient(store, some), [column.name for column in some], []
    places = np.array([salient.places[column[1:]] for column in some], int)
    for column in some:
        rows = salient.of(column)
        key, group = (rows[name][rows["sample"] % every == 0] for name in ("key", "group"))
        sums = {name: of[np.ix_(at, places)].sum(0) for name, of, at in
                (("shared", salient.has, key), ("chance", salient.share, group))}  # fmt: skip
        numbers = {"salient": len(key)} | sums
        tables.append(pd.DataFrame({"first": column.name, "second": names, **numbers}))
    table = _ratios(pd.concat(tables).query("salient > 0"))
    return table.sort_values(["first", "second"], ignore_index=True)


def epoch_map(store: Store, run: str) -> pd.DataFrame:
    """Returns `sharing_map` of the target's epochs, at most `MOST_EPOCHS` of them, named by number."""
    rows = sharing_map(store, _epochs(store, run))
    return rows.assign(first=rows["first"].astype(int), second=rows["second"].astype(int))


def _epochs(store: Store, run: str) -> list[Column]:
    epochs = _spread(labelled_epochs(store, run), MOST_EPOCHS)
    return [Column(f"{epoch:08}", run, "target", epoch) for epoch in epochs]


def network_map(store: Store, run: str, others: Sequence[str] = ()) -> pd.DataFrame:
    """Returns `sharing_map` of the last epochs of a run's networks, and of the targets of other runs."""
    return sharing_map(store, _networks(store, run, others))


def _networks(store: Store, run: str, others: Sequence[str]) -> list[Column]:
    rows = store.fetch(
        "SELECT run, network, max(epoch) FROM networks WHERE run = $run OR (list_contains($others, run) AND "
        "network = 'target') GROUP BY run, network ORDER BY run <> $run, run, network <> 'target', length(network), "
        "network LIMIT $most",
        {"run": run, "others": list(others), "most": MOST_NETWORKS},
    )
    return [Column(network if r == run else f"{r}, {network}", r, network, epoch) for r, network, epoch in rows]


def _spread(values: Sequence[int], most: int) -> list[int]:
    """Returns at most so many values, evenly spread, first and last among them."""
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [values[i] for i in places]
