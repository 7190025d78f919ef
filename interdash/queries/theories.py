"""Questions of the page Theories: what neighbouring theories say of a run."""

from collections.abc import Sequence

import pandas as pd

from interdash.formulas.correlation import jaccard, most_confusing
from interdash.queries.sample import SHARES
from interdash.store.database import Store


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
