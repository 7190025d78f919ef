"""Questions about a run's epochs: one function, one question, one DataFrame. No torch.

Columns and their units are those of `schema.sql`. `split` is "train", "test", "all", "clean" or "random" (see
`sample.FITS`); `label` a class number or −1 for all classes; `types` any of "and", "or", "all" (both together).
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interdash.formulas.bootstrap import FEW
from interdash.formulas.flows import ON_G, QUANTITIES, share, summary, summary_intervals
from interdash.formulas.prediction import spindle
from interdash.queries.sample import FITS
from interdash.runs.recorded_measures import first_epochs
from interdash.runs.run import Run
from interdash.store.database import Store

SIX = 6  # epochs in a row of order distributions, as in the papers


# of a sample among those sorted by split and stratum; null if samples were drawn at random
PLACE = "CASE WHEN stratum IS NOT NULL THEN row_number() OVER (ORDER BY split, stratum) END"


def epochs(store: Store, run: str, *, split: str = "all", label: int = -1, network: str = "target") -> pd.DataFrame:
    """Returns losses, accuracies, gap, τ, H and its chance level, with intervals, for every epoch, labelled or not.

    `extracted` says which epochs have labels; the others have null τ and H. Losses are of the whole splits; `samples`
    says of how many explained samples the rest is, of fewer than `FEW` without intervals.
    """
    rows = store.ask(
        """
        SELECT epoch, m.train_loss, m.test_loss, m.test_loss - m.train_loss AS gap, m.train_accuracy, m.test_accuracy,
            n.tau, s.samples, n.baselines, n.flips, n.epoch IS NOT NULL AS extracted,
            s.strength, s.generalizable, s.non_generalizable, s.generalization_power, s.generalization_power_low,
            s.generalization_power_high, s.count_power, s.salient, s.chance, s.chance_low, s.chance_high,
            s.above_chance, s.above_chance_low, s.above_chance_high
        FROM (FROM metrics WHERE run = $run AND network = $network) m
        FULL JOIN (FROM networks WHERE run = $run AND network = $network) n USING (epoch)
        LEFT JOIN (FROM strengths WHERE run = $run AND network = $network AND split = $split AND label = $label
            AND type = 'all') s USING (epoch)
        ORDER BY epoch
        """,
        {"run": run, "network": network, "split": split, "label": label},
    )
    return with_enough(rows)


def with_enough(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns rows without the ends of intervals (`_low`, `_high`) where `samples` are fewer than `FEW`."""
    few = rows["samples"].to_numpy(float, na_value=0) < FEW
    ends = {name: rows[name].mask(few) for name in rows.columns if name.endswith(("_low", "_high"))}
    return rows.assign(**ends) if few.any() else rows


def diverged(store: Store, run: Run) -> dict[str, int]:
    """Returns the first epoch at which a loss of the target is NaN or infinite, by its column; for `Ask.read`."""
    return {metric: epoch for metric, epoch in first_epochs(run.not_finite()).items() if metric.endswith("_loss")}


def labelled_epochs(store: Store, run: str, *, network: str = "target") -> list[int]:
    """Returns the epochs of a network that have interactions."""
    return [
        epoch
        for (epoch,) in store.fetch(
            "SELECT epoch FROM networks WHERE run = ? AND network = ? ORDER BY epoch", [run, network]
        )
    ]


def chosen_epochs(store: Store, run: str, count: int = SIX) -> list[int]:
    """Returns up to `count` labelled epochs of the target: first, last, peak of H, boundaries, others in between."""
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
    found = {epoch for (epoch,) in store.fetch("SELECT epoch FROM phases WHERE run = ?", [run])}
    picks |= set([i for i, (epoch, _) in enumerate(rows) if epoch in found and i not in picks][: count - len(picks)])
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
    normalised: bool = False,
    network: str = "target",
) -> pd.DataFrame:
    """Returns total, generalizable and non-generalizable strength and H, each with its interval, by epoch and type.

    `normalised`: the strengths as shares of the total of their epoch and type, so that epochs compare; without G, nats.
    """
    rows = store.ask(
        """
        SELECT * EXCLUDE (run, network, split, label) FROM strengths
        WHERE run = $run AND network = $network AND split = $split AND label = $label AND list_contains($types, type)
        ORDER BY type, epoch
        """,
        {"run": run, "network": network, "split": split, "label": label, "types": list(types)},
    )
    rows = with_enough(rows)
    if normalised and rows["generalizable"].notna().to_numpy().any():
        rows["strength"] = rows["strength"] / rows["strength"].replace(0, None)
        for end, other in (("", ""), ("_low", "_high"), ("_high", "_low")):  # the interval of the share, not of nats
            rows[f"generalizable{end}"] = rows[f"generalization_power{end}"]
            rows[f"non_generalizable{end}"] = 1 - rows[f"generalization_power{other}"]
        rows = rows.drop(columns=["strength_low", "strength_high"])
    return rows


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
    salient strength of its epoch and type, so that epochs compare (it then sums to n over the orders). `by_chance` is
    drawn as `chance_positive` and `chance_negative`: divided as the strength is.
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
            non_generalizable / scale AS non_generalizable, generalization_power, salient, generalizable_count,
            by_chance / scale AS by_chance, chance, above_chance,
            chance * positive / scale AS chance_positive, chance * negative / scale AS chance_negative
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


def expected_orders(
    store: Store,
    run: str,
    *,
    split: str = "all",
    label: int = -1,
    types: Sequence[str] = ("all",),
    normalised: bool = False,
) -> pd.DataFrame:
    """Returns the spindle at epoch 0: type, size, and half of its strength as `positive`, half as `negative`.

    It has the total strength that was measured at epoch 0 (in nats, or summing to n when normalised). Random outputs
    have both signs alike. No row if epoch 0 is not extracted.
    """
    measured = order_strength(store, run, [0], split=split, label=label, types=types, normalised=normalised)
    halves = [spindle(len(rows)) * rows["strength"].sum() / 2 for _, rows in measured.groupby("type", sort=False)]
    half = np.concatenate(halves) if halves else np.zeros(0)
    return measured[["type", "size"]].assign(positive=half, negative=-half)


def order_map(
    store: Store,
    run: str,
    *,
    split: str = "all",
    label: int = -1,
    type: str = "all",
    normalised: bool = False,
    network: str = "target",
) -> pd.DataFrame:
    """Returns the order × epoch map: strength of every order, its parts, H, and its share of the epoch's strength.

    `normalised`: strength and parts as shares of the total of their epoch, so that epochs compare.
    """
    return store.ask(
        """
        WITH of_epoch AS (
            SELECT *, nullif(sum(strength) OVER (PARTITION BY epoch), 0) AS total FROM order_strengths
            WHERE run = $run AND network = $network AND split = $split AND label = $label AND type = $type),
        scaled AS (SELECT *, CASE WHEN $normalised THEN total ELSE 1 END AS scale FROM of_epoch)
        SELECT epoch, size, strength / scale AS strength, generalizable / scale AS generalizable,
            non_generalizable / scale AS non_generalizable, generalization_power, chance, above_chance,
            strength / total AS share
        FROM scaled ORDER BY epoch, size
        """,
        {"run": run, "network": network, "split": split, "label": label, "type": type, "normalised": normalised},
    )


def measures(store: Store, run: str, names: Sequence[str] | None = None, *, network: str = "target") -> pd.DataFrame:
    """Returns measures of a network and of its interactions by epoch (None = all): value, low, high, unit, source.

    Those of gradients are `coherence.coherence`'s.
    """
    return store.ask(
        """
        SELECT epoch, measure, value, low, high, unit, source FROM measures
        WHERE run = $run AND network = $network AND ($names IS NULL OR list_contains($names, measure))
            AND source <> 'gradients' AND value IS NOT NULL
        ORDER BY source DESC, measure, epoch
        """,
        {"run": run, "network": network, "names": None if names is None else list(names)},
    )


def flows(store: Store, run: str, *, split: str = "all", label: int = -1, type: str = "all") -> pd.DataFrame:
    """Returns what the target learned and removed between recorded epochs, one row for each two of them.

    Means over samples, in nats, of the strengths in the table `flows`, and of what does not generalize (`_other`); the
    same, and the whole, as `_share` of what is learned and removed together; those on G are null without any baseline.
    Then, with the ends of their 95 % bootstrap interval over samples and baselines as `_low` and `_high`: learned and
    removed; `power`, the share of the learned that generalizes, its level by `chance`, and how far it is
    `above_chance`; `removed_power`, the share of the removed that did; `learned_order` and `removed_order`, the mean
    orders of both.
    """
    columns = (*QUANTITIES, "learned_size", "removed_size")
    pairs, strata, sums = flow_sums(store, run, columns, split=split, label=label, type=type)
    means = sums.mean((1, 2)) if len(pairs) else sums[:, 0, 0]
    values = {**dict(zip(columns, means.T, strict=True)), **summary(means)}
    ends = summary_intervals(sums, strata) if len(pairs) else dict.fromkeys(summary(means), np.zeros((2, 0)))
    values |= {f"{name}_{end}": of_name[i] for name, of_name in ends.items() for i, end in enumerate(("low", "high"))}
    for name in ("learned", "removed"):
        values[f"{name}_other"] = values[name] - values[f"{name}_generalizable"]
    whole = values["learned"] + values["removed"]
    for name in (f"{flow}{part}" for flow in ("learned", "removed") for part in ("", "_generalizable", "_other")):
        values[f"{name}_share"] = share(values[name], whole)
    return with_enough(pairs.assign(samples=sums.shape[1] if len(pairs) else 0, **values))


def phases(store: Store, run: str) -> pd.DataFrame:
    """Returns the boundaries of the phases: boundary, epoch (null if none), low, high, found, moved_by_user, reason."""
    return store.ask("SELECT * EXCLUDE (run) FROM phases WHERE run = ? ORDER BY boundary", [run])


def sample_flows(store: Store, run: str) -> pd.DataFrame:
    """Returns what each sample learned between two recorded epochs: in all, generalizable, and by chance, in nats.

    One row for each baseline network, by its name. `stratum` sorts samples by split and stratum; null without strata.
    """
    return _flow_rows(store, run, QUANTITIES[:3])


def flow_sums(
    store: Store, run: str, columns: Sequence[str], *, split: str = "all", label: int = -1, type: str = "all"
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Returns pairs of epochs, strata of samples (NaN: none), and flows `[pairs, samples, baselines, columns]`, nats.

    At least one of each but the pairs.
    """
    rows = _flow_rows(store, run, columns, split=split, label=label, type=type)
    pairs: Any = rows[["epoch_from", "epoch_to"]].drop_duplicates(ignore_index=True)
    baselines = max(len(set(rows["baseline"])), 1)
    sums = rows[[*columns]].to_numpy(float)
    shape = (len(pairs), len(rows) // max(len(pairs) * baselines, 1) or 1, baselines, len(columns))
    strata = rows["stratum"].iloc[: shape[1] * baselines : baselines].to_numpy()
    return pairs, strata, sums.reshape(shape)


def _flow_rows(
    store: Store, run: str, columns: Sequence[str], *, split: str = "all", label: int = -1, type: str = "all"
) -> pd.DataFrame:
    """Returns columns of flows for each pair of epochs, sample and baseline; "" stands for a single baseline."""
    sums = (f"sum({f'coalesce(b.{name}, f.{name})' if name in ON_G else name}::DOUBLE) AS {name}" for name in columns)
    return store.ask(
        f"""
        SELECT epoch_from, epoch_to, sample, stratum, coalesce(baseline, '') AS baseline, {", ".join(sums)}
        FROM (FROM flows WHERE run = $run AND $type IN ('all', type)) f
        LEFT JOIN (FROM baseline_flows WHERE run = $run) b USING (epoch_from, epoch_to, sample, type)
        JOIN (SELECT sample, {PLACE} AS stratum FROM samples
            WHERE run = $run AND {FITS}) USING (sample)
        GROUP BY ALL ORDER BY epoch_to, sample, baseline
        """,
        {"run": run, "split": split, "label": label, "type": type},
    )


def sample_strengths(store: Store, run: str) -> pd.DataFrame:
    """Returns generalizable and non-generalizable strength of every sample at every labelled epoch of the target."""
    return store.ask(
        """
        SELECT epoch, sample, generalizable, non_generalizable FROM sample_epochs
        WHERE run = $run AND network = $network ORDER BY sample, epoch
        """,
        {"run": run, "network": "target"},
        details=("sample_epochs",),
    )
