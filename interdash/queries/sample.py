"""Questions about single samples and their salient interactions: one function, one question, one DataFrame. No torch.

Columns and their units are those of `schema.sql`. Questions that need the full vectors are in `vectors`.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from interdash.formulas import subsets
from interdash.store.database import Store

# Of samples, SQL: the class, and the split: "train", "test", "all", or of the training samples those whose label is
# known to be the true one, "clean", or another, "random".
FITS = """$label IN (-1, label) AND ($split IN ('all', split)
    OR split = 'train' AND $split = CASE true_label <> label WHEN true THEN 'random' WHEN false THEN 'clean' END)"""
OF_SPLIT = {"all": ("train", "test"), "clean": ("train",), "random": ("train",)}  # else its own


def classes(store: Store, run: str) -> pd.DataFrame:
    """Returns the classes among the explained samples: label, label_name, samples in training, samples in testing."""
    return store.ask(
        """
        SELECT label, any_value(label_name) AS label_name, count(*) FILTER (split = 'train') AS train,
            count(*) FILTER (split = 'test') AS test
        FROM samples WHERE run = ? GROUP BY label ORDER BY label
        """,
        [run],
    )


def counts(store: Store, run: str, *, split: str = "all", label: int = -1) -> dict[str, int]:
    """Returns how many of the explained samples fit, by split: "train" and "test", those that are chosen."""
    rows = store.ask(
        f"SELECT split, count(*) AS n FROM samples WHERE run = $run AND {FITS} GROUP BY split",
        {"run": run, "split": split, "label": label},
    )
    of = dict(zip(rows["split"], rows["n"].tolist(), strict=True))
    return {name: of.get(name, 0) for name in OF_SPLIT.get(split, (split,))}


def random_labels(store: Store, run: str) -> int:
    """Returns how many of the explained samples are known to have a random label, another than the true one."""
    return store.fetch("SELECT count(*) FROM samples WHERE run = ? AND true_label <> label", [run])[0][0]


SAMPLE_SORTS = {  # what the list of samples can be sorted by, a column, and how: SQL of our own, chosen by name
    "sample": "sample",
    "label": "label",
    "loss": "loss DESC",
    "change": "abs(change) DESC",
    "non_generalizable": "non_generalizable DESC",
    "non_generalizable_share": "non_generalizable_share DESC",
    "salient_strength": "salient_strength DESC",
    "salient": "salient DESC",
    "confusion": "confusion DESC",
    "net_share": "net_share",
    "high_order_share": "high_order_share DESC",
    "highest_order": "highest_order DESC",
    "gap": "gap DESC",
    "noise": "noise DESC",
    "stratum": "stratum DESC",
}


SHARES = """non_generalizable / nullif(salient_strength, 0) AS non_generalizable_share,
    abs(net_effect) / nullif(salient_strength, 0) AS net_share,
    high_order / nullif(salient_strength, 0) AS high_order_share"""  # of samples at an epoch
# Samples at an epoch, with `change` of the loss without the non-generalizable interactions, nats, and `confusion`: the
# mean of the ranks, 0 to 1, by how much the salient interactions cancel and by the share of high orders [ours].
_AT_EPOCH = f"""(
    SELECT *, after - loss AS change, (
        percent_rank() OVER (PARTITION BY net_share IS NULL ORDER BY net_share DESC)
        + percent_rank() OVER (PARTITION BY net_share IS NULL ORDER BY high_order_share)
    ) / 2 + 0 * net_share AS confusion
    FROM (
        SELECT s.* EXCLUDE (run), e.* EXCLUDE (run, network, epoch, sample), {SHARES}
        FROM (FROM samples WHERE run = $run) s
        JOIN (FROM sample_epochs WHERE run = $run AND network = $network AND epoch = $epoch) e USING (sample)
    ) LEFT JOIN (
        SELECT sample, after FROM sample_removals
        WHERE run = $run AND network = $network AND epoch = $epoch AND min_order = 1 AND dose = 100
    ) USING (sample)
)"""
_DETAILS = ("sample_epochs", "sample_removals")


def sample_numbers(
    store: Store,
    run: str,
    epoch: int,
    *,
    split: str = "all",
    label: int = -1,
    correct: bool | None = None,
    min_loss: float = 0.0,
    min_share: float = 0.0,
    min_order: int = 0,
    min_gap: float = 0.0,
    max_net: float = 1.0,
    min_high: float = 0.0,
    sort: str = "sample",
    network: str = "target",
) -> list[int]:
    """Returns the numbers of the samples that fit at an epoch, in the order asked for.

    Args:
        store: the store.
        run: a run in it.
        epoch: a labelled epoch.
        split: as in `FITS`.
        label: class number, −1 = all.
        correct: only those classified right (or wrong) at the epoch; None = both.
        min_loss: nats at the epoch.
        min_share: lowest share of non-generalizable strength among salient strength.
        min_order: lowest order that the largest salient interaction must have.
        min_gap: lowest certified gap.
        max_net: highest ρ = |ΣI| / Σ|I| over salient interactions: 0 = they cancel.
        min_high: lowest share of interactions of more than half of the variables in the salient strength.
        sort: one of `SAMPLE_SORTS`.
        network: "target" or a baseline.

    Raises:
        ValueError: the sort order is unknown.
    """
    if sort not in SAMPLE_SORTS:
        raise ValueError(f"samples cannot be sorted by {sort!r}; choose one of {', '.join(SAMPLE_SORTS)}")
    rows = store.ask(
        f"""
        SELECT sample FROM {_AT_EPOCH}
        WHERE {FITS}
            AND ($correct IS NULL OR correct = $correct) AND loss >= $min_loss AND highest_order >= $min_order
            AND gap >= $min_gap AND ($max_net >= 1 OR net_share <= $max_net)
            AND ($min_high <= 0 OR high_order_share >= $min_high)
            AND ($min_share <= 0 OR non_generalizable_share >= $min_share)
        ORDER BY {SAMPLE_SORTS[sort]} NULLS LAST, non_generalizable DESC, sample
        """,
        {
            "run": run,
            "network": network,
            "epoch": epoch,
            "split": split,
            "label": label,
            "correct": correct,
            "min_loss": min_loss,
            "min_share": min_share,
            "min_order": min_order,
            "min_gap": min_gap,
            "max_net": max_net,
            "min_high": min_high,
        },
        details=_DETAILS,
    )
    return rows["sample"].tolist()


def samples(store: Store, run: str, epoch: int, numbers: Sequence[int], *, network: str = "target") -> pd.DataFrame:
    """Returns some samples, in their order, with thumbnail, words or values and their numbers at an epoch.

    Also `change`, of the loss without the non-generalizable interactions, nats, and `confusion`, a mean rank, 0 to 1.
    """
    return store.ask(
        f"""
        SELECT * EXCLUDE (assignment, after) FROM {_AT_EPOCH}
        WHERE list_contains($numbers, sample) ORDER BY list_position($numbers, sample)
        """,
        {"run": run, "network": network, "epoch": epoch, "numbers": list(numbers)},
        details=_DETAILS,
    )


def sample(store: Store, run: str, sample: int) -> pd.DataFrame:
    """Returns one sample with its input: image, words or values, names and places of variables; no row if unknown."""
    return store.ask("SELECT * FROM samples WHERE run = ? AND sample = ?", [run, sample])


def sample_life(store: Store, run: str, sample: int, *, network: str = "target") -> pd.DataFrame:
    """Returns one sample by epoch: v(x_∅), v(x), loss, strengths, highest order, certificate, largest |δ|, residual."""
    return store.ask(
        f"""
        SELECT * EXCLUDE (run, network, sample), {SHARES} FROM sample_epochs
        WHERE run = $run AND network = $network AND sample = $sample ORDER BY epoch
        """,
        {"run": run, "network": network, "sample": sample},
        details=("sample_epochs",),
    )


def interactions(
    store: Store,
    run: str,
    epoch: int,
    sample: int,
    *,
    limit: int | None = None,
    life_line: str = "all",
    network: str = "target",
) -> pd.DataFrame:
    """Returns the salient interactions of one sample at an epoch, strongest first, with the names of their variables.

    Columns: rank, type, subset, size, members (variable numbers), names, effect, baseline_effect (of the first), votes
    (baselines that it transfers to), baselines (in all), generalizes, and life_line, null before lives are followed.
    With a `life_line` only those that have it.
    """
    rows = store.ask(
        """
        SELECT rank, type, subset, i.size, effect, baseline_effect, votes, baselines, generalizes, life_line
        FROM (FROM interactions WHERE run = $run AND network = $network AND epoch = $epoch AND sample = $sample) i
        LEFT JOIN (FROM lives WHERE run = $run AND sample = $sample AND $network = 'target') USING (type, subset)
        LEFT JOIN (SELECT baselines FROM networks WHERE run = $run AND network = $network AND epoch = $epoch) ON true
        WHERE $life_line IN ('all', life_line) ORDER BY rank LIMIT $limit
        """,
        {
            **{"run": run, "network": network, "epoch": epoch, "sample": sample, "life_line": life_line},
            "limit": 2**31 if limit is None else limit,
        },
        details=("interactions", "lives"),
    )
    return named(store, run, sample, rows)


def many_interactions(
    store: Store, run: str, epoch: int, samples: Sequence[int], *, limit: int, network: str = "target"
) -> pd.DataFrame:
    """Returns the `limit` strongest salient interactions of each of some samples: as `interactions`, and label_name."""
    rows = store.ask(
        """
        SELECT sample, label_name, rank, type, subset, effect, generalizes
        FROM (FROM interactions WHERE run = $run AND network = $network AND epoch = $epoch
            AND list_contains($samples, sample) AND rank <= $limit)
        JOIN (SELECT sample, label_name FROM samples WHERE run = $run) USING (sample)
        ORDER BY list_position($samples, sample), rank
        """,
        {"run": run, "network": network, "epoch": epoch, "samples": [*map(int, samples)], "limit": limit},
        details=("interactions",),
    )
    groups: Any = rows.groupby("sample", sort=False)
    tables = [named(store, run, int(number), some) for number, some in groups]
    return pd.concat(tables, ignore_index=True) if tables else named(store, run, 0, rows)


def interaction_life(
    store: Store, run: str, sample: int, type: str, subset: int, *, network: str = "target"
) -> pd.DataFrame:
    """Returns when one interaction of a sample is salient: epoch, effect, baseline_effect, generalizes, rank.

    Epochs where it is below τ have no row; `vectors.interaction_life` has its effect there too.
    """
    return store.ask(
        """
        SELECT epoch, effect, baseline_effect, generalizes, rank FROM interactions
        WHERE run = $run AND network = $network AND sample = $sample AND type = $type AND subset = $subset
        ORDER BY epoch
        """,
        {"run": run, "network": network, "sample": sample, "type": type, "subset": subset},
        details=("interactions",),
    )


def named(store: Store, run: str, sample: int, rows: pd.DataFrame) -> pd.DataFrame:
    """Returns rows with a `subset` column plus `members`, the numbers of its variables, and `names`, as "{a, b}"."""
    of_sample = store.fetch("SELECT names FROM samples WHERE run = ? AND sample = ?", [run, sample])
    names = of_sample[0][0] if of_sample else []
    of_subset = rows["subset"].tolist()
    return rows.assign(
        members=[subsets.members(subset) for subset in of_subset],
        names=[subsets.label(subset, names) if names else str(subset) for subset in of_subset],
    )
