"""Questions of the page Theories: what neighbouring theories say of a run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interdash.formulas.bootstrap import distribution, group, sample_weights
from interdash.formulas.correlation import jaccard, most_confusing, rank_correlation
from interdash.formulas.theories.layers import LABELS, PARTS, ratio_intervals, ratios
from interdash.queries.dynamics import PLACE
from interdash.queries.sample import SHARES
from interdash.store.database import Store

GROUPS = {"all": "true", "1–2": "size <= 2", "≥ 3": "size >= 3"}  # of orders: a condition in SQL
SCORES = ("accuracy", "loss", "information", "information_low", "information_high")


def predictions(store: Store, run: str) -> pd.DataFrame:
    """Returns σ² of the theory of noise at every recorded epoch, with its interval, its R² and that of two nulls.

    By the run's own tie-break (`tie_break` "own"), then by the opposite one, of fewer samples and epochs.
    """
    return store.ask("SELECT * EXCLUDE (run) FROM predictions WHERE run = ? ORDER BY tie_break DESC, epoch", [run])


def predicted_orders(store: Store, run: str, epochs: Sequence[int], *, types: Sequence[str] = ("all",)) -> pd.DataFrame:
    """Returns the measured and the predicted profile over orders at some epochs, and the σ² of the epoch.

    One row for each epoch, type and order (`size`); each profile is divided by its mean over orders, so it sums to n.
    """
    return store.ask(
        """
        SELECT epoch, type, size, measured, predicted, sigma2
        FROM predicted_orders JOIN (FROM predictions WHERE run = $run AND tie_break = 'own') USING (epoch)
        WHERE predicted_orders.run = $run AND list_contains($types, type) AND list_contains($epochs, epoch)
        ORDER BY epoch, type, size
        """,
        {"run": run, "types": list(types), "epochs": [int(epoch) for epoch in epochs]},
    )


def confusing(store: Store, run: str, epoch: int) -> pd.DataFrame:
    """Returns how much the interactions of each sample cancel at an epoch, and their share of high orders."""
    return store.ask(
        f"""
        SELECT sample, split, label_name, correct, loss, {SHARES}
        FROM (FROM samples WHERE run = $run)
        JOIN (FROM sample_epochs WHERE run = $run AND network = $network AND epoch = $epoch) USING (sample)
        ORDER BY sample
        """,
        {"run": run, "network": "target", "epoch": epoch},
        details=("sample_epochs",),
    )


def confusing_overlap(store: Store, run: str, other: str) -> pd.DataFrame:
    """Returns how alike the most confusing tenths of two runs are, at every epoch that both have.

    Columns: epoch, samples that both explain, jaccard, and its mean, low and high by chance; see `correlation.jaccard`.
    """
    shares = {
        name: store.ask(
            f"""
            SELECT epoch, split, row, {SHARES} FROM (FROM sample_epochs WHERE run = $run AND network = $network)
            JOIN (FROM samples WHERE run = $run) USING (sample)
            """,
            {"run": name, "network": "target"},
            details=("sample_epochs",),
        )
        for name in (run, other)
    }
    both = shares[run].merge(shares[other], on=["epoch", "split", "row"], suffixes=("", "_other"))
    rows = []
    for epoch, of_epoch in both.groupby("epoch"):
        sets = [
            most_confusing(
                of_epoch[f"net_share{end}"].to_numpy(float), of_epoch[f"high_order_share{end}"].to_numpy(float)
            )
            for end in ("", "_other")
        ]
        rows.append((epoch, len(of_epoch), *jaccard(*sets)))
    return pd.DataFrame(rows, columns=["epoch", "samples", "jaccard", "chance", "chance_low", "chance_high"])


def layers(store: Store, run: str, *, orders: Sequence[str] = ("all",), epoch: int | None = None) -> pd.DataFrame:
    """Returns one row an epoch, layer and group of orders (`GROUPS`); the last layer is the network.

    name, features, samples and scores of its probe on testing samples (`SCORES`); `RATIOS` of its interactions, each
    with its interval (`_low`, `_high`); and as `control_…` accuracy, completeness, redundancy and H above chance of the
    probe that was fitted to shuffled labels.
    """
    sums, values, strata = _sums(store, run, orders, epoch)
    if sums.empty:
        return pd.DataFrame(columns=["epoch", "layer", "orders", "name", "accuracy", "completeness", "above_chance"])
    table = sums.assign(**ratios(values.mean(1)))
    for name, (low, high) in ratio_intervals(values, group(strata, values.shape[1])).items():
        table[f"{name}_low"], table[f"{name}_high"] = low, high
    probes = store.ask("SELECT * EXCLUDE (run) FROM layers WHERE run = ?", [run])
    table = table.merge(probes, on=["epoch", "layer", "control"])
    control = table[table["control"]].set_index(["epoch", "layer", "orders"])
    own = table[~table["control"]].drop(columns="control")
    names = {name: f"control_{name}" for name in ("accuracy", "completeness", "redundancy", "above_chance")}
    own = own.join(control[[*names]].set_axis([*names.values()], axis=1), on=["epoch", "layer", "orders"])
    return own.sort_values(["epoch", "layer", "orders"], ignore_index=True)


def layer_orders(store: Store, run: str, epoch: int, *, types: Sequence[str] = ("all",)) -> pd.DataFrame:
    """Returns overlap, forgotten, new and overlap by chance of each layer and order at the measured epoch next to one.

    Means over samples, of the types together if `types` has "all", else of those in it; in units of the mean
    |v(x) − v(x_∅)| of each side. Columns: epoch, layer, name, accuracy, size, `PARTS`.
    """
    columns = ", ".join(f"sum({name}::DOUBLE) / count(DISTINCT sample) AS {name}" for name in PARTS)
    return store.ask(
        f"""
        SELECT epoch, layer, name, accuracy, size, {columns}
        FROM (FROM layer_orders WHERE run = $run AND NOT control)
        JOIN (FROM layers WHERE run = $run AND NOT control) USING (epoch, layer)
        WHERE ($both OR list_contains($types, type)) AND epoch = $epoch
        GROUP BY ALL ORDER BY layer, size
        """,
        {"run": run, "both": "all" in types, "types": list(types), "epoch": nearest(store, run, epoch)},
    )


def hidden_completeness(store: Store, run: str) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Returns measured epochs, completeness as a mean over hidden layers `[epochs]`, and that of resampled samples.

    `[epochs, resamples]`; NaN where the network has no interaction.
    """
    index, values, strata = _sums(store, run, ("all",), None)
    rows: Any = index[~index["control"] & (index["layer"] < index["layer"].max())]
    epochs = sorted(set(rows["epoch"].tolist()))
    if not epochs:
        return [], np.zeros(0), np.zeros((0, 0))
    sums = values[rows.index].reshape(len(epochs), -1, *values.shape[1:])  # [epochs, layers, samples, 6]

    def completeness(drawn: np.ndarray) -> np.ndarray:
        return ratios(np.einsum("elsv,rs->elrv", sums, sample_weights(drawn)))["completeness"].mean(1)

    resampled = distribution(completeness, group(strata, sums.shape[2]))
    return epochs, ratios(sums.mean(2))["completeness"].mean(1), resampled


def nearest(store: Store, run: str, epoch: int | None) -> int | None:
    """Returns the epoch with layers that lies nearest to one; None without any."""
    rows = store.fetch("SELECT DISTINCT epoch FROM layers WHERE run = ? ORDER BY epoch", [run])
    return min((measured for (measured,) in rows), key=lambda one: abs(one - (epoch or 0)), default=None)


def information(store: Store, run: str) -> pd.DataFrame:
    """Returns information and synergy of the answers by epoch and split, with interval and floor, and H beside it."""
    return store.ask(
        """
        SELECT i.* EXCLUDE (run), s.generalization_power, s.chance
        FROM (FROM information WHERE run = $run) i
        LEFT JOIN (FROM strengths WHERE run = $run AND network = 'target' AND split = 'all' AND label = -1
            AND type = 'all') s USING (epoch)
        ORDER BY split DESC, epoch
        """,
        {"run": run},
    )


def synergy_and_power(store: Store, run: str) -> pd.DataFrame:
    """Returns Spearman's ρ of synergy and H over epochs: split, points, rho, low, high. Both follow time."""
    rows: Any = information(store, run).dropna(subset="generalization_power")
    table = []
    for split, some in rows.groupby("split", sort=False):
        pair = some["synergy"].to_numpy(float), some["generalization_power"].to_numpy(float)
        table.append((split, len(some), *rank_correlation(*pair)))
    return pd.DataFrame(table, columns=["split", "points", "rho", "low", "high"])


def layer_samples(store: Store, run: str) -> int:
    """Returns of how many explained samples the interactions of the layers are."""
    return store.fetch("SELECT count(DISTINCT sample) FROM layer_orders WHERE run = ?", [run])[0][0]


def layer_information(store: Store, run: str) -> pd.DataFrame:
    """Returns V-information of each layer by epoch, with its interval, of the control, and the entropy of the labels.

    The last layer is the network. Columns: epoch, layer, name, accuracy, information, low, high, control, entropy.
    """
    return store.ask(
        """
        SELECT epoch, layer, l.name, l.accuracy, l.information, l.information_low AS low, l.information_high AS high,
            c.information AS control, l.information + l.loss AS entropy
        FROM (FROM layers WHERE run = $run AND NOT control) l
        LEFT JOIN (FROM layers WHERE run = $run AND control) c USING (epoch, layer)
        ORDER BY epoch, layer
        """,
        {"run": run},
    )


def _sums(
    store: Store, run: str, orders: Sequence[str], epoch: int | None
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Returns epochs, layers, control and orders, their sums `[rows, samples, 6]`, and the strata of the samples."""
    columns = ", ".join(f"sum({name}::DOUBLE) AS {name}" for name in (*PARTS, *LABELS))
    tables = []
    for name in orders:
        tables.append(
            store.ask(
                f"""
                SELECT epoch, layer, control, '{name}' AS orders, sample, stratum, {columns}
                FROM (FROM layer_orders WHERE run = $run AND $epoch IN (epoch, -1) AND {GROUPS[name]})
                JOIN (SELECT sample, {PLACE} AS stratum FROM samples WHERE run = $run) USING (sample)
                GROUP BY ALL ORDER BY epoch, layer, control, sample
                """,
                {"run": run, "epoch": -1 if epoch is None else epoch},
            )
        )
    rows: Any = pd.concat(tables, ignore_index=True)
    index = rows[["epoch", "layer", "control", "orders"]].drop_duplicates(ignore_index=True)
    samples = len(rows) // max(len(index), 1)
    values = rows[[*PARTS, *LABELS]].to_numpy(float).reshape(len(index), samples, len(PARTS) + len(LABELS))
    return index, values, rows["stratum"].iloc[:samples].to_numpy(float)
