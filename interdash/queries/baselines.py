"""Questions about each baseline network alone, beside the mean over them, and what is said of them. No torch.

`MEAN` as the name of a baseline stands for the mean over all of them; with a single one it is that one.
"""

import numpy as np
import pandas as pd

from interdash.formulas.chance import above_chance
from interdash.formulas.flows import QUANTITIES, share
from interdash.queries.dynamics import flow_sums
from interdash.store.database import Store

MEAN = "mean"
ONE = "One baseline network; another may move the boundaries."
NONE = "No baseline network, so that no G is known: orders, flows and lives are shown whole, and there is no H."


def count(store: Store, run: str) -> int:
    """Returns how many baseline networks G was asked of; 0 before any epoch is labelled."""
    return store.fetch("SELECT coalesce(max(baselines), 0) FROM networks WHERE run = ? AND network = 'target'", [run])[
        0
    ][0]


def strengths(store: Store, run: str, *, split: str = "all", label: int = -1) -> pd.DataFrame:
    """Returns H, its level by chance and how far it lies above, for each baseline and labelled epoch of the target.

    The mean has the ends of its intervals too: `above_chance_low`, `above_chance_high`.
    """
    return store.ask(
        """
        WITH mean AS (
            SELECT epoch, $mean AS baseline, generalization_power, chance, above_chance, above_chance_low,
                above_chance_high
            FROM strengths
            WHERE run = $run AND network = 'target' AND split = $split AND label = $label AND type = 'all'),
        each AS (
            SELECT epoch, baseline, generalization_power, chance, above_chance FROM baseline_strengths
            WHERE run = $run AND network = 'target' AND split = $split AND label = $label AND type = 'all')
        FROM mean UNION ALL BY NAME (FROM each WHERE (SELECT count(DISTINCT baseline) FROM each) > 1)
        ORDER BY baseline, epoch
        """,
        {"run": run, "split": split, "label": label, "mean": MEAN},
    )


def learned(store: Store, run: str, *, split: str = "all", label: int = -1) -> pd.DataFrame:
    """Returns how much of what is learned between recorded epochs generalizes, with each baseline and in the mean.

    Columns: epoch_from, epoch_to, baseline, power, chance, above_chance; shares.
    """
    pairs, _, sums = flow_sums(store, run, QUANTITIES[:3], split=split, label=label)
    names = [
        name
        for (name,) in store.fetch("SELECT DISTINCT baseline FROM baseline_flows WHERE run = ? ORDER BY ALL", [run])
    ]
    of_each = sums.mean(1) if len(pairs) else sums[:, 0]  # [pairs, baselines, 3]
    known, rows = dict(zip(names, np.moveaxis(of_each, 1, 0), strict=True)) if len(names) > 1 else {}, []
    known[MEAN] = of_each.mean(1)
    for name, values in known.items():
        power, chance = (share(values[:, i], values[:, 0]) for i in (1, 2))
        columns = {"power": power, "chance": chance, "above_chance": above_chance(power, chance)}
        rows.append(pairs.assign(baseline=name, **columns))
    return pd.concat(rows, ignore_index=True)


def phases(store: Store, run: str) -> pd.DataFrame:
    """Returns where the phases meet with each baseline, and in the mean: baseline, boundary, epoch, low, high."""
    return store.ask(
        """
        SELECT $mean AS baseline, boundary, found AS epoch, low, high FROM phases WHERE run = $run
        UNION ALL BY NAME
        SELECT baseline, boundary, epoch, low, high FROM baseline_phases WHERE run = $run ORDER BY baseline, boundary
        """,
        {"run": run, "mean": MEAN},
    )


def how_many_text(count: int) -> str:
    """Returns in words what figures are about when so many baseline networks are asked, 0 or more."""
    if count < 2:
        return ONE if count else NONE
    return f"H, chance and flows are means over {count} baseline networks; the tab Baselines has each."


def label_text(count: int, vote: str) -> str:
    """Returns in words which interactions are called generalizable; "" with a single baseline network."""
    enough = "more than half" if vote == "majority" else "any"
    return f"Called generalizable here: what transfers to {enough} of {count} baseline networks." if count > 1 else ""
