"""The questions that the dashboard asks: one function, one question, one DataFrame. No torch, no formulas.

Columns and their units are those of `schema.sql`. `split` is "train", "test" or "all"; `label` a class number or −1 for
all classes; `types` any of "and", "or", "all" (both together). Questions that need the full vectors, not only salient
interactions, are in `vectors`.
"""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from interdash import subsets
from interdash.details import SAMPLE_EPOCHS, Rows
from interdash.store import Store

SIX = 6  # epochs in a row of order distributions, as in the papers


def epochs(store: Store, run: str, *, split: str = "all", label: int = -1, network: str = "target") -> pd.DataFrame:
    """Returns losses, accuracies, gap, τ and H with its interval for every epoch: with labels or with losses only.

    `extracted` says which epochs have labels; the others have null τ and H.
    """
    return store.ask(
        """
        SELECT epoch, m.train_loss, m.test_loss, m.test_loss - m.train_loss AS gap, m.train_accuracy, m.test_accuracy,
            n.tau, n.samples, n.baselines, n.flips, n.epoch IS NOT NULL AS extracted,
            s.strength, s.generalizable, s.non_generalizable, s.generalization_power, s.generalization_power_low,
            s.generalization_power_high, s.count_power, s.salient
        FROM (FROM metrics WHERE run = $run AND network = $network) m
        FULL JOIN (FROM networks WHERE run = $run AND network = $network) n USING (epoch)
        LEFT JOIN (FROM strengths WHERE run = $run AND network = $network AND split = $split AND label = $label
            AND type = 'all') s USING (epoch)
        ORDER BY epoch
        """,
        {"run": run, "network": network, "split": split, "label": label},
    )


def chosen_epochs(store: Store, run: str, count: int = SIX) -> list[int]:
    """Returns up to `count` labelled epochs of the target: first, last, the peak of H, and others evenly in between."""
    rows = store.fetch(
        """
        SELECT epoch, coalesce(generalization_power, 0) FROM strengths
        WHERE run = ? AND network = 'target' AND split = 'all' AND label = -1 AND type = 'all' ORDER BY epoch
        """,
        [run],
    )
    if len(rows) <= count:
        return [epoch for epoch, _ in rows]
    picks = {0, len(rows) - 1, max(range(len(rows)), key=lambda i: rows[i][1])}
    while len(picks) < count:  # the middle of the widest gap, in recorded epochs, which lie evenly in log time
        low, high = max(itertools.pairwise(sorted(picks)), key=lambda pair: pair[1] - pair[0])
        picks.add((low + high) // 2)
    return [rows[i][0] for i in sorted(picks)]


def strength(
    store: Store,
    run: str,
    *,
    split: str = "all",
    label: int = -1,
    types: Sequence[str] = ("all",),
    network: str = "target",
) -> pd.DataFrame:
    """Returns total, generalizable and non-generalizable strength and H, each with its interval, by epoch and type."""
    return store.ask(
        """
        SELECT * EXCLUDE (run, network, split, label) FROM strengths
        WHERE run = $run AND network = $network AND split = $split AND label = $label AND list_contains($types, type)
        ORDER BY type, epoch
        """,
        {"run": run, "network": network, "split": split, "label": label, "types": list(types)},
    )


def order_strength(
    store: Store,
    run: str,
    epochs: Sequence[int] | None = None,
    *,
    split: str = "all",
    label: int = -1,
    types: Sequence[str] = ("all",),
    normalised: bool = False,
    network: str = "target",
) -> pd.DataFrame:
    """Returns the distribution over orders at some epochs (None = all): signed and total strengths, H, counts.

    One row for each epoch, type and order (`size`). `normalised` divides every strength by the mean over orders of the
    salient strength of its epoch and type, so that epochs compare (it then sums to n over the orders).
    """
    return store.ask(
        """
        WITH picked AS (
            SELECT * EXCLUDE (run, network, split, label), avg(strength) OVER (PARTITION BY epoch, type) AS mean
            FROM order_strengths
            WHERE run = $run AND network = $network AND split = $split AND label = $label
                AND list_contains($types, type) AND ($epochs IS NULL OR list_contains($epochs, epoch))),
        scaled AS (SELECT *, CASE WHEN $normalised THEN nullif(mean, 0) ELSE 1 END AS scale FROM picked)
        SELECT epoch, type, size, positive / scale AS positive, negative / scale AS negative,
            generalizable_positive / scale AS generalizable_positive,
            generalizable_negative / scale AS generalizable_negative,
            non_generalizable_positive / scale AS non_generalizable_positive,
            non_generalizable_negative / scale AS non_generalizable_negative,
            strength / scale AS strength, generalizable / scale AS generalizable,
            non_generalizable / scale AS non_generalizable, generalization_power, salient, generalizable_count
        FROM scaled ORDER BY epoch, type, size
        """,
        {
            "run": run,
            "network": network,
            "split": split,
            "label": label,
            "types": list(types),
            "epochs": None if epochs is None else [int(epoch) for epoch in epochs],
            "normalised": normalised,
        },
    )


def order_map(
    store: Store, run: str, *, split: str = "all", label: int = -1, type: str = "all", network: str = "target"
) -> pd.DataFrame:
    """Returns the order × epoch map: strength, its generalizable and non-generalizable parts, and H of every order."""
    return store.ask(
        """
        SELECT epoch, size, strength, generalizable, non_generalizable, generalization_power FROM order_strengths
        WHERE run = $run AND network = $network AND split = $split AND label = $label AND type = $type
        ORDER BY epoch, size
        """,
        {"run": run, "network": network, "split": split, "label": label, "type": type},
    )


def phases(store: Store, run: str) -> pd.DataFrame:
    """Returns the boundaries of the phases: boundary, epoch (null if none), low, high, found, moved_by_user, reason."""
    return store.ask("SELECT * EXCLUDE (run) FROM phases WHERE run = ? ORDER BY boundary", [run])


def sample_strengths(store: Store, run: str) -> pd.DataFrame:
    """Returns generalizable and non-generalizable strength of every sample at every labelled epoch of the target."""
    return store.ask(
        """
        SELECT epoch, sample, generalizable, non_generalizable FROM sample_epochs
        WHERE run = ? AND network = 'target' ORDER BY sample, epoch
        """,
        [run],
        details=[Rows(SAMPLE_EPOCHS, run, "target")],
    )


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


SAMPLE_SORTS = {  # what the list of samples can be sorted by: SQL of our own, chosen by name
    "sample": "sample",
    "loss": "loss DESC",
    "non_generalizable_share": "non_generalizable_share DESC",
    "highest_order": "highest_order DESC",
    "gap": "gap DESC",
    "strength": "salient_strength DESC",
}


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
    sort: str = "sample",
    network: str = "target",
) -> list[int]:
    """Returns the numbers of the samples that fit at an epoch, in the order asked for.

    Args:
        store: the store.
        run: a run in it.
        epoch: a labelled epoch.
        split: "train", "test" or "all".
        label: class number, −1 = all.
        correct: only those classified right (or wrong) at the epoch; None = both.
        min_loss: nats at the epoch.
        min_share: lowest share of non-generalizable strength among salient strength.
        min_order: lowest order that the largest salient interaction must have.
        min_gap: lowest certified gap.
        sort: one of `SAMPLE_SORTS`.
        network: "target" or a baseline.

    Raises:
        ValueError: the sort order is unknown.
    """
    if sort not in SAMPLE_SORTS:
        raise ValueError(f"samples cannot be sorted by {sort!r}; choose one of {', '.join(SAMPLE_SORTS)}")
    rows = store.ask(
        f"""
        SELECT sample, non_generalizable / nullif(salient_strength, 0) AS non_generalizable_share
        FROM (FROM samples WHERE run = $run)
        JOIN (FROM sample_epochs WHERE run = $run AND network = $network AND epoch = $epoch) USING (sample)
        WHERE ($split = 'all' OR split = $split) AND ($label = -1 OR label = $label)
            AND ($correct IS NULL OR correct = $correct) AND loss >= $min_loss AND highest_order >= $min_order
            AND gap >= $min_gap AND ($min_share <= 0 OR non_generalizable_share >= $min_share)
        ORDER BY {SAMPLE_SORTS[sort]} NULLS LAST, sample
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
        },
        details=[Rows(SAMPLE_EPOCHS, run, network, epoch)],
    )
    return rows["sample"].tolist()


def samples(store: Store, run: str, epoch: int, numbers: Sequence[int], *, network: str = "target") -> pd.DataFrame:
    """Returns some samples, in their order, with thumbnail, words or values and their numbers at an epoch."""
    return store.ask(
        """
        SELECT s.* EXCLUDE (run, assignment), e.* EXCLUDE (run, network, epoch, sample),
            non_generalizable / nullif(salient_strength, 0) AS non_generalizable_share
        FROM (FROM samples WHERE run = $run AND list_contains($numbers, sample)) s
        JOIN (FROM sample_epochs WHERE run = $run AND network = $network AND epoch = $epoch) e USING (sample)
        ORDER BY list_position($numbers, sample)
        """,
        {"run": run, "network": network, "epoch": epoch, "numbers": list(numbers)},
        details=[Rows(SAMPLE_EPOCHS, run, network, epoch)],
    )


def sample(store: Store, run: str, sample: int) -> pd.DataFrame:
    """Returns one sample with its input: image, words or values, names and places of variables; no row if unknown."""
    return store.ask("SELECT * FROM samples WHERE run = ? AND sample = ?", [run, sample])


def sample_life(store: Store, run: str, sample: int, *, network: str = "target") -> pd.DataFrame:
    """Returns one sample by epoch: v(x_∅), v(x), loss, strengths, highest order, certificate, largest |δ|, residual."""
    return store.ask(
        """
        SELECT * EXCLUDE (run, network, sample) FROM sample_epochs
        WHERE run = ? AND network = ? AND sample = ? ORDER BY epoch
        """,
        [run, network, sample],
        details=[Rows(SAMPLE_EPOCHS, run, network, sample=sample)],
    )


def interactions(
    store: Store, run: str, epoch: int, sample: int, *, limit: int | None = None, network: str = "target"
) -> pd.DataFrame:
    """Returns the salient interactions of one sample at an epoch, strongest first, with the names of their variables.

    Columns: rank, type, subset, size, members (variable numbers), names, effect, baseline_effect, votes, generalizes.
    """
    found = store.ask(
        """
        SELECT rank, type, subset, size, effect, baseline_effect, votes, generalizes FROM interactions
        WHERE run = ? AND network = ? AND epoch = ? AND sample = ? ORDER BY rank LIMIT ?
        """,
        [run, network, epoch, sample, 2**31 if limit is None else limit],
        details=[Rows("interactions", run, network, epoch, sample)],
    )
    return named(store, run, sample, found)


def interaction_life(
    store: Store, run: str, sample: int, type: str, subset: int, *, network: str = "target"
) -> pd.DataFrame:
    """Returns when one interaction of a sample is salient: epoch, effect, baseline_effect, generalizes, rank.

    Epochs where it is below τ have no row; `vectors.interaction_life` has its effect there too.
    """
    return store.ask(
        """
        SELECT epoch, effect, baseline_effect, generalizes, rank FROM interactions
        WHERE run = ? AND network = ? AND sample = ? AND type = ? AND subset = ? ORDER BY epoch
        """,
        [run, network, sample, type, subset],
        details=[Rows("interactions", run, network, sample=sample)],
    )


def named(store: Store, run: str, sample: int, rows: pd.DataFrame) -> pd.DataFrame:
    """Returns rows with a `subset` column plus `members`, the numbers of its variables, and `names`, as "{a, b}"."""
    found = store.fetch("SELECT names FROM samples WHERE run = ? AND sample = ?", [run, sample])
    names = found[0][0] if found else []
    of_subset = rows["subset"].tolist()
    return rows.assign(
        members=[subsets.members(subset) for subset in of_subset],
        names=[subsets.label(subset, names) if names else str(subset) for subset in of_subset],
    )


def configuration(store: Store, runs: Sequence[str]) -> pd.DataFrame:
    """Returns the settings in which some runs differ: one row a setting (`setting`), one column a run."""
    found = store.fetch("SELECT run, config FROM runs WHERE list_contains(?, run)", [list(runs)])
    columns = {run: _flat(json.loads(config)) for run, config in found}
    table = pd.DataFrame({run: columns[run] for run in runs if run in columns}, dtype=object)
    if table.empty:
        return table.rename_axis("setting").reset_index()
    differs = table.astype(str).nunique(axis=1) > 1
    return table[differs].rename_axis("setting").reset_index()


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def same_samples(store: Store, run: str, other: str) -> bool:
    """Returns whether two runs explain the same samples with the same variables, so that their interactions compare."""
    rows = store.ask(
        """
        WITH a AS (SELECT sample, split, row, label, names, display, image FROM samples WHERE run = $run),
            b AS (SELECT sample, split, row, label, names, display, image FROM samples WHERE run = $other)
        SELECT (SELECT count(*) FROM a) > 0 AND NOT EXISTS (FROM a EXCEPT FROM b)
            AND NOT EXISTS (FROM b EXCEPT FROM a) AS same
        """,
        {"run": run, "other": other},
    )
    return bool(rows["same"].iloc[0])


def difference(
    store: Store, run: str, epoch: int, other: str, other_epoch: int, sample: int, *, network: str = "target"
) -> pd.DataFrame:
    """Returns the salient interactions of one sample in one run, the other, or both (`where`), strongest first."""
    found = store.ask(
        """
        SELECT coalesce(a.type, b.type) AS type, coalesce(a.subset, b.subset) AS subset,
            coalesce(a.size, b.size) AS size, a.effect AS effect, b.effect AS other_effect,
            a.generalizes AS generalizes, b.generalizes AS other_generalizes,
            CASE WHEN b.effect IS NULL THEN 'first' WHEN a.effect IS NULL THEN 'second' ELSE 'both' END AS "where"
        FROM (FROM interactions WHERE run = $run AND network = $network AND epoch = $epoch AND sample = $sample) a
        FULL JOIN (FROM interactions
            WHERE run = $other AND network = $network AND epoch = $other_epoch AND sample = $sample) b
            USING (type, subset)
        ORDER BY greatest(abs(coalesce(a.effect, 0)), abs(coalesce(b.effect, 0))) DESC, type, subset
        """,
        {
            "run": run,
            "epoch": epoch,
            "other": other,
            "other_epoch": other_epoch,
            "sample": sample,
            "network": network,
        },
        details=[
            Rows("interactions", *which, sample) for which in ((run, network, epoch), (other, network, other_epoch))
        ],
    )
    return named(store, run, sample, found)
