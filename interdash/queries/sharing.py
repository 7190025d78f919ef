"""Questions about what networks share: salient interactions of the same sample, type, variables and sign. No torch.

A *column* is a network at an epoch of a run. Each two are compared: how many of the first one's salient interactions
the second one has too, s = shared / salient, and how many it would have by chance, if its interactions of each order
and sign lay on any subsets of that order (see `formulas.chance`). Source: arXiv 2401.16318, Definition 1; sign and
chance are ours.
"""

from collections.abc import Sequence
from math import ceil, comb
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


def exact_sum(values: str, condition: str = "true") -> str:
    """Returns SQL of a sum, to 2⁻⁴⁰, that is the same in whatever order DuckDB's threads add up."""
    return f"sum(({values} * {2**40})::HUGEINT) FILTER ({condition}) / {2.0**40}"


def _overlaps(
    store: Store, first: Sequence[Column], second: Sequence[Column], by: Sequence[str] = (), *, every: int = 1
) -> pd.DataFrame:
    """Returns what each of some columns shares with each of others: first, second, `by`, salient, shared, chance, sums.

    salient, shared and chance are numbers of interactions of the first, chance that of those shared by chance; sums are
    `STRENGTHS`, in nats: of the first's effects all, shared, and by chance. `by`: of sample, type, size. Only every
    `every`-th sample is looked at.
    """
    both = list(dict.fromkeys([*first, *second]))
    n = max(size for (size,) in store.fetch("SELECT n_variables FROM runs"))
    groups = "".join(f", a.{name}" for name in by)
    return store.ask(
        f"""
        WITH picked AS (SELECT unnest($names) AS name, unnest($runs) AS run, unnest($networks) AS network,
                unnest($epochs) AS epoch),
            i AS (SELECT name, sample, type, subset, size, effect::DOUBLE AS effect, effect > 0 AS up
                FROM interactions JOIN picked USING (run, network, epoch) WHERE sample % $every = 0),
            counts AS (SELECT name, sample, type, size, up, count(*) / any_value($choose[size]) AS share
                FROM i GROUP BY ALL),
            a AS (SELECT i.*, p.second FROM i, (SELECT unnest($second) AS second) p WHERE list_contains($first, name))
        SELECT a.name AS first, a.second{groups}, count(*) AS salient, count(b.subset) AS shared,
            coalesce({exact_sum("c.share")}, 0) AS chance,
            {exact_sum("a.effect", "a.up")} AS positive, {exact_sum("a.effect", "NOT a.up")} AS negative,
            {exact_sum("a.effect", "a.up AND b.subset IS NOT NULL")} AS shared_positive,
            {exact_sum("a.effect", "NOT a.up AND b.subset IS NOT NULL")} AS shared_negative,
            {exact_sum("a.effect * c.share", "a.up")} AS chance_positive,
            {exact_sum("a.effect * c.share", "NOT a.up")} AS chance_negative
        FROM a
        LEFT JOIN i b ON b.name = a.second AND b.sample = a.sample AND b.type = a.type AND b.subset = a.subset
            AND b.up = a.up
        LEFT JOIN counts c ON c.name = a.second AND c.sample = a.sample AND c.type = a.type AND c.size = a.size
            AND c.up = a.up
        GROUP BY ALL ORDER BY ALL
        """,
        {
            **{f"{name}s": [getattr(column, name) for column in both] for name in ("name", "run", "network", "epoch")},
            "first": [column.name for column in first],
            "second": [column.name for column in second],
            "every": every,
            "choose": [comb(n, size) for size in range(1, n + 1)],
        },
        details=[Rows("interactions", column.run, column.network, column.epoch) for column in both],
    ).fillna(dict.fromkeys(STRENGTHS, 0.0))


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
    this = Column("", run, "target", epoch)
    (samples,) = store.fetch("SELECT count(*) FROM samples WHERE run = ?", [run])[0]
    sides = [
        _overlaps(store, [a], [b], ["size"]).assign(side=side)
        for side, a, b in (("first", this, other), ("second", other, this))
    ]
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
    targets = [Column(f"t{epoch}", run, "target", epoch) for epoch in epochs]
    (samples,) = store.fetch("SELECT count(*) FROM samples WHERE run = ?", [run])[0]
    places = {target.name: i for i, target in enumerate(targets)}
    keys, sums = [], []
    for side, first, second in (("first", targets, [other]), ("second", [other], targets)):
        table = _overlaps(store, first, second, ["sample", "size"])
        place = np.array([places[name] for name in table[side]], int)
        for group, (low, high) in GROUPS.items():
            of_group = table["size"].between(low, high).to_numpy()
            counts = np.zeros((len(targets), 3, samples))
            for i, name in enumerate(("salient", "shared", "chance")):
                where: Any = place[of_group], i, table["sample"].to_numpy(int)[of_group]
                np.add.at(counts, where, table[name].to_numpy(float)[of_group])
            keys += [(epoch, side, group) for epoch in epochs]
            sums.append(counts)
    return _shares(pd.DataFrame(keys, columns=["epoch", "side", "group"]), np.concatenate(sums))


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
    return _ratios(_overlaps(store, some, some, every=max(1, ceil(samples / max(len(runs), 1) / MOST_SAMPLES))))


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
