"""Questions about several runs at once. Columns and their units are those of `schema.sql`; see `queries`."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interdash.config import RunConfig, flat, of_one_setting
from interdash.formulas.phase_axis import phase_position
from interdash.queries.sample import named
from interdash.store.database import Store
from interdash.store.long_tables import Rows


def curves(store: Store, runs: Sequence[str], *, split: str = "all", label: int = -1) -> pd.DataFrame:
    """Returns the curves of some runs, one row for each run, epoch and curve: value, low, high.

    Curves: train_loss, test_loss, gap (nats; of the whole splits, whatever `split` and `label` are), strength
    (nats) and, where G is known, generalizable and non_generalizable (nats), generalization_power (share), these four
    with their 95 % bootstrap intervals, and chance (share), what H would be by chance.
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
            UNION ALL SELECT run, epoch, 'strength', strength, strength_low, strength_high FROM strong
            UNION ALL SELECT run, epoch, 'generalizable', generalizable, generalizable_low, generalizable_high
                FROM strong
            UNION ALL SELECT run, epoch, 'non_generalizable', non_generalizable, non_generalizable_low,
                non_generalizable_high FROM strong
            UNION ALL SELECT run, epoch, 'generalization_power', generalization_power, generalization_power_low,
                generalization_power_high FROM strong
            UNION ALL SELECT run, epoch, 'chance', chance, NULL, NULL FROM strong)
        WHERE value IS NOT NULL ORDER BY curve, list_position($runs, run), epoch
        """,
        {"runs": list(runs), "split": split, "label": label},
    )


def phases_of(store: Store, runs: Sequence[str]) -> pd.DataFrame:
    """Returns the boundaries of the phases of some runs: as `dynamics.phases`, with the run."""
    return store.ask(
        "SELECT * FROM phases WHERE list_contains($runs, run) ORDER BY list_position($runs, run), boundary",
        {"runs": list(runs)},
    )


def endings(store: Store, runs: Sequence[str]) -> pd.DataFrame:
    """Returns one row a run: last epoch and its losses, the largest H, its epoch and chance level, the boundaries."""
    return store.ask(
        """
        SELECT r.run, r.dataset, r.architecture, r.label_noise, m.epoch AS last_epoch, m.train_loss, m.test_loss,
            m.test_loss - m.train_loss AS gap, s.peak_power, s.peak_epoch, p.boundary_12, p.boundary_23, s.chance,
            s.above_chance
        FROM (FROM runs WHERE list_contains($runs, run)) r
        LEFT JOIN (SELECT run, max(epoch) AS epoch, arg_max(train_loss, epoch) AS train_loss,
                arg_max(test_loss, epoch) AS test_loss FROM metrics WHERE network = 'target' GROUP BY run) m USING (run)
        LEFT JOIN (SELECT run, max(generalization_power) AS peak_power,
                arg_max(epoch, generalization_power) AS peak_epoch, arg_max(chance, generalization_power) AS chance,
                arg_max(above_chance, generalization_power) AS above_chance FROM strengths
            WHERE network = 'target' AND split = 'all' AND label = -1 AND type = 'all' GROUP BY run) s USING (run)
        LEFT JOIN (SELECT run, max(epoch) FILTER (boundary = '1|2') AS boundary_12,
                max(epoch) FILTER (boundary = '2|3') AS boundary_23 FROM phases GROUP BY run) p USING (run)
        ORDER BY list_position($runs, r.run)
        """,
        {"runs": list(runs)},
    )


def configuration(store: Store, runs: Sequence[str]) -> pd.DataFrame:
    """Returns the settings in which some runs differ: one row a setting (`setting`), one column a run."""
    configs = store.fetch("SELECT run, config FROM runs WHERE list_contains(?, run)", [list(runs)])
    columns = {run: flat(json.loads(config)) for run, config in configs}
    table = pd.DataFrame({run: columns[run] for run in runs if run in columns}, dtype=object)
    if table.empty:
        return table.rename_axis("setting").reset_index()
    differs = table.astype(str).nunique(axis=1) > 1
    return table[differs].rename_axis("setting").reset_index()


def settings(store: Store, runs: Sequence[str]) -> pd.DataFrame:
    """Returns the settings in which some runs differ, but for name and purpose, which always do."""
    rows = configuration(store, runs)
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
    rows = store.ask(
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
        {"run": run, "epoch": epoch, "other": other, "other_epoch": other_epoch, "sample": sample, "network": network},
        details=[
            Rows("interactions", *which, sample) for which in ((run, network, epoch), (other, network, other_epoch))
        ],
    )
    return named(store, run, sample, rows)


def aligned(curves: pd.DataFrame, phases: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of `curves` with `position`, their place on the axis of phases, see `phase_position`.

    Args:
        curves: columns run and epoch, and any others.
        phases: rows of `dynamics.phases` of all these runs, with a column run.
    """
    columns = (phases[name].tolist() for name in ("run", "boundary", "epoch"))
    boundary = {(run, name): epoch for run, name, epoch in zip(*columns, strict=True)}
    position = pd.Series(np.nan, index=curves.index, dtype=np.float64)
    for run, epochs in curves.groupby("run")["epoch"]:
        first, second = (boundary.get((str(run), name)) for name in ("1|2", "2|3"))
        first, second = (None if value is None or pd.isna(value) else float(value) for value in (first, second))
        position[epochs.index] = phase_position(epochs.to_numpy(), first, second, max(epochs.tolist()))
    return curves.assign(position=position)


def seed_groups(store: Store, runs: Sequence[str]) -> list[list[str]]:
    """Returns the runs in groups, each of those that only the seed of their training tells apart, in their order."""
    configs = dict(store.fetch("SELECT run, config FROM runs WHERE list_contains(?, run)", [list(runs)]))
    every = [RunConfig.from_json(json.loads(configs[run])).to_json() for run in runs]  # with what older runs don't name
    return [[runs[place] for place in places] for places in of_one_setting(every)]


def over_seeds(curves: pd.DataFrame, groups: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Returns the rows of `curves` with each group of runs as one: mean, low and high = mean ∓ standard deviation.

    Epochs that not all runs of a group have are left out. A run that is alone in its group stays as it is.
    """
    tables = []
    for runs in groups:
        rows: Any = curves[curves["run"].isin(runs)]
        if len(runs) > 1:
            rows = rows.groupby(["curve", "epoch"], as_index=False)["value"].agg(["mean", "std", "count"])
            rows = rows[rows["count"] == len(runs)]
            rows = rows.assign(
                run=f"{runs[0]} (mean of {len(runs)})", value=rows["mean"], low=rows["mean"] - rows["std"],
                high=rows["mean"] + rows["std"],
            )[[*curves.columns]]  # fmt: skip
        tables.append(rows)
    return pd.concat(tables, ignore_index=True)


def data_of(store: Store, runs: Sequence[str]) -> dict[str, str]:
    """Returns what each run explains, in words; nats of strength are the same only where these are."""
    rows = store.fetch(
        "SELECT run, dataset, kind, n_variables, len(class_names) FROM runs WHERE list_contains(?, run)", [list(runs)]
    )
    words = {run: f"{data} ({n} variables of each {kind}, {classes} classes)" for run, data, kind, n, classes in rows}
    return {run: words[run] for run in runs if run in words}


def relative(curves: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of `curves` with strengths as shares of the largest total strength of their run."""
    strengths = curves["curve"].isin(["strength", "generalizable", "non_generalizable"])
    peaks: Any = curves[curves["curve"] == "strength"].groupby("run")["value"].max()
    scale = curves["run"].map(peaks).where(strengths, 1.0).replace(0.0, np.nan)
    return curves.assign(**{name: curves[name] / scale for name in ("value", "low", "high")})


def without_phases(curves: pd.DataFrame) -> list[str]:
    """Returns the runs of aligned curves that have no position at all: no boundary was found."""
    placed = curves.loc[curves["position"].notna(), "run"].unique().tolist()
    return [run for run in curves["run"].unique().tolist() if run not in placed]
