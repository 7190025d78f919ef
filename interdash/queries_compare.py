"""Questions about several runs at once. Columns and their units are those of `schema.sql`; see `queries`."""

from collections.abc import Sequence

import pandas as pd

from interdash import queries
from interdash.details import Rows
from interdash.store import Store


def curves(store: Store, runs: Sequence[str], *, split: str = "all", label: int = -1) -> pd.DataFrame:
    """Returns the curves of some runs, one row for each run, epoch and curve: value, low, high.

    Curves: train_loss, test_loss, gap (nats; of the whole splits, whatever `split` and `label` are), generalizable and
    non_generalizable (nats), generalization_power (share), the last three with their 95 % bootstrap intervals.
    """
    return store.ask(
        """
        WITH losses AS (
            SELECT run, epoch, train_loss, test_loss, test_loss - train_loss AS gap FROM metrics
            WHERE network = 'target' AND list_contains($runs, run)),
        strong AS (
            FROM strengths WHERE network = 'target' AND list_contains($runs, run) AND split = $split AND label = $label
                AND type = 'all')
        SELECT run, epoch, curve, value, low, high FROM (
            SELECT run, epoch, 'train_loss' AS curve, train_loss AS value, NULL::DOUBLE AS low, NULL::DOUBLE AS high
                FROM losses
            UNION ALL SELECT run, epoch, 'test_loss', test_loss, NULL, NULL FROM losses
            UNION ALL SELECT run, epoch, 'gap', gap, NULL, NULL FROM losses
            UNION ALL SELECT run, epoch, 'generalizable', generalizable, generalizable_low, generalizable_high
                FROM strong
            UNION ALL SELECT run, epoch, 'non_generalizable', non_generalizable, non_generalizable_low,
                non_generalizable_high FROM strong
            UNION ALL SELECT run, epoch, 'generalization_power', generalization_power, generalization_power_low,
                generalization_power_high FROM strong)
        WHERE value IS NOT NULL ORDER BY curve, list_position($runs, run), epoch
        """,
        {"runs": list(runs), "split": split, "label": label},
    )


def phases_of(store: Store, runs: Sequence[str]) -> pd.DataFrame:
    """Returns the boundaries of the phases of some runs: as `queries.phases`, with the run."""
    return store.ask(
        "SELECT * FROM phases WHERE list_contains($runs, run) ORDER BY list_position($runs, run), boundary",
        {"runs": list(runs)},
    )


def endings(store: Store, runs: Sequence[str]) -> pd.DataFrame:
    """Returns one row a run: last epoch and losses there, the largest H and its epoch, the boundaries of the phases."""
    return store.ask(
        """
        SELECT r.run, r.dataset, r.architecture, r.label_noise, m.epoch AS last_epoch, m.train_loss, m.test_loss,
            m.test_loss - m.train_loss AS gap, s.peak_power, s.peak_epoch, p.boundary_12, p.boundary_23
        FROM (FROM runs WHERE list_contains($runs, run)) r
        LEFT JOIN (SELECT run, max(epoch) AS epoch, arg_max(train_loss, epoch) AS train_loss,
                arg_max(test_loss, epoch) AS test_loss FROM metrics WHERE network = 'target' GROUP BY run) m USING (run)
        LEFT JOIN (SELECT run, max(generalization_power) AS peak_power,
                arg_max(epoch, generalization_power) AS peak_epoch FROM strengths
            WHERE network = 'target' AND split = 'all' AND label = -1 AND type = 'all' GROUP BY run) s USING (run)
        LEFT JOIN (SELECT run, max(epoch) FILTER (boundary = '1|2') AS boundary_12,
                max(epoch) FILTER (boundary = '2|3') AS boundary_23 FROM phases GROUP BY run) p USING (run)
        ORDER BY list_position($runs, r.run)
        """,
        {"runs": list(runs)},
    )


def settings(store: Store, runs: Sequence[str]) -> pd.DataFrame:
    """Returns the settings in which some runs differ, but for name and purpose, which always do."""
    rows = queries.configuration(store, runs)
    return rows.loc[~rows["setting"].isin(["name", "purpose"])]


def difference_by_order(
    store: Store, run: str, epoch: int, other: str, other_epoch: int, *, network: str = "target"
) -> pd.DataFrame:
    """Returns the strength by order of the interactions of one run only, of both, and of the other only.

    Columns: size, only_first, both_first, both_second, only_second, in nats, means over all explained samples;
    and first_count, both_count, second_count, salient interactions a sample. `both_first` is the strength in the first
    run of what is salient in both.
    """
    return store.ask(
        """
        WITH n AS (SELECT greatest(count(*), 1) AS samples FROM samples WHERE run = $run)
        SELECT size, sum(abs(a)) FILTER (b IS NULL) / any_value(samples) AS only_first,
            sum(abs(a)) FILTER (b IS NOT NULL) / any_value(samples) AS both_first,
            sum(abs(b)) FILTER (a IS NOT NULL) / any_value(samples) AS both_second,
            sum(abs(b)) FILTER (a IS NULL) / any_value(samples) AS only_second,
            count(*) FILTER (b IS NULL) / any_value(samples) AS first_count,
            count(*) FILTER (a IS NOT NULL AND b IS NOT NULL) / any_value(samples) AS both_count,
            count(*) FILTER (a IS NULL) / any_value(samples) AS second_count
        FROM (SELECT sample, type, subset, size, effect::DOUBLE AS a FROM interactions
            WHERE run = $run AND network = $network AND epoch = $epoch)
        FULL JOIN (SELECT sample, type, subset, size, effect::DOUBLE AS b FROM interactions
            WHERE run = $other AND network = $network AND epoch = $other_epoch) USING (sample, type, subset, size), n
        GROUP BY size ORDER BY size
        """,
        {"run": run, "epoch": epoch, "other": other, "other_epoch": other_epoch, "network": network},
        details=[Rows("interactions", run, network, epoch), Rows("interactions", other, network, other_epoch)],
    ).fillna(0.0)
