"""Questions about the removal experiment and the noise floor: one function, one question, one DataFrame. No torch.

Columns and their units are those of `schema.sql`; the numbers are made by `removal` and `robustness`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from interdash.formulas.bootstrap import group, mean_intervals
from interdash.formulas.flows import share
from interdash.queries.dynamics import PLACE
from interdash.store.database import Store

# splits in the order of the panels, and the loss over the whole split, which is not that of the explained samples
_ROWS = """
    SELECT r.* EXCLUDE (run, network),
        CASE split WHEN 'train' THEN m.train_loss WHEN 'test' THEN m.test_loss
            ELSE m.test_loss - m.train_loss END AS whole
    FROM (FROM removals WHERE run = $run AND network = 'target') r
    LEFT JOIN (FROM metrics WHERE run = $run AND network = 'target') m USING (epoch)
"""
_ORDER = "ORDER BY list_position(['train', 'test', 'gap'], split), removed"


def removals(store: Store, run: str, *, min_order: int = 1, dose: int = 100) -> pd.DataFrame:
    """Returns losses before and after removals at every epoch: one row an epoch, kind of removal and split.

    Args:
        store: the store.
        run: a run in it.
        min_order: only interactions of this order or above are removed.
        dose: percent of the strength of the non-generalizable ones, in tens.
    """
    return store.ask(
        f"SELECT * FROM ({_ROWS}) WHERE min_order = $min_order AND dose = $dose {_ORDER}, epoch",
        {"run": run, "min_order": min_order, "dose": dose},
    )


def removal_doses(store: Store, run: str, epoch: int, *, min_order: int = 1) -> pd.DataFrame:
    """Returns losses after removals of every dose at an epoch; see `removals`."""
    return store.ask(
        f"SELECT * FROM ({_ROWS}) WHERE epoch = $epoch AND min_order = $min_order {_ORDER}, dose",
        {"run": run, "epoch": epoch, "min_order": min_order},
    )


def removal_orders(store: Store, run: str, epoch: int, *, dose: int = 100) -> pd.DataFrame:
    """Returns losses after removals of only the orders ≥ `min_order`, for each of them, at an epoch; see `removals`."""
    return store.ask(
        f"SELECT * FROM ({_ROWS}) WHERE epoch = $epoch AND dose = $dose {_ORDER}, min_order",
        {"run": run, "epoch": epoch, "dose": dose},
    )


def sample_removals(store: Store, run: str, epoch: int, *, min_order: int = 1) -> pd.DataFrame:
    """Returns the samples whose loss changes most, first: loss before, after the full dose, after a random removal."""
    return store.ask(
        """
        SELECT s.* EXCLUDE (run, assignment, shape, names), e.predicted, e.correct, e.loss AS before, r.after,
            r.random_after, r.after - e.loss AS change, r.random_after - e.loss AS random_change, r.strength
        FROM (FROM sample_removals WHERE run = $run AND network = $network AND epoch = $epoch
            AND min_order = $min_order AND dose = 100) r
        JOIN (FROM sample_epochs WHERE run = $run AND network = $network AND epoch = $epoch) e USING (sample)
        JOIN (FROM samples WHERE run = $run) s USING (sample)
        ORDER BY abs(change) DESC, sample
        """,
        {"run": run, "network": "target", "epoch": epoch, "min_order": min_order},
        details=("sample_removals", "sample_epochs"),
    )


def share_and_gap(store: Store, run: str, runs: Sequence[str] = ()) -> pd.DataFrame:
    """Returns the non-generalizable share of the strength, 1 − H, and the gap of the whole splits, by run and epoch."""
    return store.ask(
        """
        SELECT s.run, s.epoch, non_generalizable / strength AS share, test_loss - train_loss AS gap
        FROM strengths s JOIN metrics m USING (run, network, epoch)
        WHERE list_contains($runs, s.run) AND network = 'target' AND split = 'all' AND label = -1 AND type = 'all'
            AND strength > 0 AND non_generalizable IS NOT NULL AND test_loss IS NOT NULL AND train_loss IS NOT NULL
        ORDER BY list_position($runs, s.run), s.epoch
        """,
        {"runs": list(dict.fromkeys([run, *runs]))},
    )


def robustness(store: Store, run: str) -> pd.DataFrame:
    """Returns the noise floor: for each comparison and epoch the share of labels G that flip, and H on both sides."""
    return store.ask(
        "SELECT * EXCLUDE (run) FROM robustness WHERE run = ? ORDER BY comparison, alternative, epoch", [run]
    )


def order_similarities(store: Store, run: str) -> pd.DataFrame:
    """Returns how alike training and testing samples are: index and reference by epoch and order (`size`)."""
    return store.ask(
        "SELECT * EXCLUDE (run, network) FROM order_similarities WHERE run = ? AND network = ? ORDER BY epoch, size",
        [run, "target"],
    )


def order_fits(store: Store, run: str) -> pd.DataFrame:
    """Returns the profiles fitted to generalizable and non-generalizable strengths: by epoch, part and shape."""
    return store.ask(
        "SELECT * EXCLUDE (run, network) FROM order_fits WHERE run = ? AND network = ? ORDER BY part, shape, epoch",
        [run, "target"],
    )


def removals_by_label(store: Store, run: str, *, min_order: int = 1) -> pd.DataFrame:
    """Returns samples with clean and random labels, and testing samples, at every epoch: one row an epoch and kind.

    kind (clean, random, testing), samples; strength (salient, nats a sample), power (the share of it that generalizes),
    before and after (mean loss, and without the non-generalizable interactions, nats), each with the ends of its 95 %
    bootstrap interval over samples. No rows where it is not known which labels are random.
    """
    rows = store.ask(
        f"""
        SELECT epoch, CASE WHEN split = 'test' THEN 'testing' WHEN true_label <> label THEN 'random' ELSE 'clean' END
            AS kind, sample, place, salient_strength AS strength, generalizable, loss AS before, after
        FROM (FROM sample_epochs WHERE run = $run AND network = $network)
        JOIN (FROM sample_removals WHERE run = $run AND network = $network AND min_order = $min_order AND dose = 100)
            USING (epoch, sample)
        JOIN (SELECT *, {PLACE} AS place FROM samples WHERE run = $run AND true_label IS NOT NULL) USING (sample)
        ORDER BY kind, epoch, sample
        """,
        {"run": run, "network": "target", "min_order": min_order},
        details=("sample_epochs", "sample_removals"),
    )
    tables = []
    for kind, some in rows.groupby("kind"):
        epochs = some["epoch"].drop_duplicates().to_numpy()
        sums = some[["strength", "generalizable", "before", "after"]].to_numpy(float).reshape(len(epochs), -1, 4)
        of_kind = {"epoch": epochs, "kind": kind, "samples": sums.shape[1], **_measures(sums.mean(1))}
        drawn = group(some["place"].head(sums.shape[1]), sums.shape[1])
        for name, ends in mean_intervals(_measures, sums, drawn).items():
            of_kind |= {f"{name}_low": ends[0], f"{name}_high": ends[1]}
        tables.append(pd.DataFrame(of_kind))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["epoch", "kind", "samples"])


def _measures(means: np.ndarray) -> dict[str, np.ndarray]:
    strength, general, before, after = np.moveaxis(means, -1, 0)
    return {"strength": strength, "power": share(general, strength), "before": before, "after": after}
