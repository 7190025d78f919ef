"""Questions about the removal experiment and the noise floor: one function, one question, one DataFrame. No torch.

Columns and their units are those of `schema.sql`; the numbers are made by `removal` and `robustness`.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interdash.formulas.bootstrap import group, mean_intervals
from interdash.formulas.flows import share
from interdash.queries.dynamics import PLACE
from interdash.queries.sample import FITS
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


def sample_removals(
    store: Store, run: str, epoch: int, *, min_order: int = 1, split: str = "all", label: int = -1
) -> pd.DataFrame:
    """Returns the samples whose loss changes most, first: loss before, after the full dose, after a random removal."""
    return store.ask(
        f"""
        SELECT s.* EXCLUDE (run, assignment, shape, names), e.predicted, e.correct, e.loss AS before, r.after,
            r.random_after, r.after - e.loss AS change, r.random_after - e.loss AS random_change, r.strength
        FROM (FROM sample_removals WHERE run = $run AND network = $network AND epoch = $epoch
            AND min_order = $min_order AND dose = 100) r
        JOIN (FROM sample_epochs WHERE run = $run AND network = $network AND epoch = $epoch) e USING (sample)
        JOIN (FROM samples WHERE run = $run AND {FITS}) s USING (sample)
        ORDER BY abs(change) DESC, sample
        """,
        {"run": run, "network": "target", "epoch": epoch, "min_order": min_order, "split": split, "label": label},
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


def finding_title(removals: pd.DataFrame, epoch: int) -> str:
    """Returns what the removal did to the gap at an epoch as a title."""
    gap = _by_kind(removals, epoch).get(("non_generalizable", "gap"))
    if gap is None or pd.isna(gap["change"]):
        return f"Epoch {epoch}: losses before and after the removal"
    return f"Epoch {epoch}: the removal {_verb(gap, 'shrinks', 'widens', 'does not clearly change')} the gap"


def _by_kind(removals: pd.DataFrame, epoch: int) -> dict[tuple[str, str], Any]:
    rows: Any = removals[removals["epoch"] == epoch]
    return {(str(row["removed"]), str(row["split"])): row for row in rows.to_dict("records")}


def finding_text(removals: pd.DataFrame, epoch: int) -> str:
    """Returns in a sentence what the removal did to the gap at an epoch, against both controls."""
    of = _by_kind(removals, epoch)
    if ("non_generalizable", "gap") not in of:
        return "Nothing is removed yet at this epoch."
    gap, random, general = (of[kind, "gap"] for kind in ("non_generalizable", "random", "generalizable"))
    if pd.isna(gap["change"]):
        return "The gap needs explained samples of both splits."
    as_much = [_verb(row, "more than", "less than", "no clear difference from", "excess") for row in (random, general)]
    met = _strength_met(of)
    less = f", which have only {met[0]:.0%} of that strength in training samples and {met[1]:.0%} in testing ones"
    same = " of the same strength" if min(met) > 0.999 else less
    return _minus(
        f"Without the non-generalizable interactions the gap of the explained samples is {gap['after']:.3f}, not "
        f"{gap['before']:.3f} nats, {change_text(gap)}: {as_much[0]} random ones of the same strength, {as_much[1]} "
        f"generalizable ones{same}."
    )


def details_text(removals: pd.DataFrame, epoch: int) -> str:
    """Returns the numbers behind `finding_text`, in words."""
    of = _by_kind(removals, epoch)
    train, test, gap = (of["non_generalizable", split] for split in ("train", "test", "gap"))
    moves = ("falls", "rises", "does not clearly change")
    words = f"The training loss {_verb(train, *moves)}, {change_text(train)}; the testing loss {_verb(test, *moves)}, "
    words += f"{change_text(test)} nats.{_whole(gap)}"
    if gap["change_high"] < 0:
        through = train["change"] > -test["change"]
        words += (
            f" The gap shrinks mostly because {'the training loss rises' if through else 'the testing loss falls'}."
        )
    controls = " and ".join(
        f"{change_text(of[kind, 'gap'], 'excess')} ({kind})" for kind in ("random", "generalizable")
    )
    words += f"  \nChange of the gap minus that by each control, negative = shrinks more: {controls}. "
    strength, met = [of["random", split]["strength"] for split in ("train", "test")], _strength_met(of)
    words += f"  \nRemoved: {strength[0]:.3g} nats a training sample, {strength[1]:.3g} a testing sample."
    if min(met) <= 0.999:
        words += (
            f" Generalizable ones have only {met[0]:.0%} and {met[1]:.0%} of that: lower doses compare equal strength."
        )
    return _minus(words)


def _strength_met(of: dict[tuple[str, str], Any]) -> list[float]:
    """Returns which share of the strength removed the generalizable control could take, in training and testing."""
    return [
        of["generalizable", each]["strength"] / max(of["random", each]["strength"], 1e-300)
        for each in ("train", "test")
    ]


def _minus(text: str) -> str:
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)  # as on the axes


def _whole(row: Any) -> str:
    return "" if pd.isna(row["whole"]) else f" Over the whole splits, nothing removed, the gap is {row['whole']:.3f}."


def change_text(row: Any, column: str = "change") -> str:
    """Returns a change with its interval, nats: "−0.466 (−0.969 … +0.069)"."""
    between = "" if pd.isna(row[f"{column}_low"]) else f" ({row[f'{column}_low']:+.3f} … {row[f'{column}_high']:+.3f})"
    return f"{row[column]:+.3f}{between}"


def _verb(row: Any, below: str, above: str, neither: str, column: str = "change") -> str:
    if row[f"{column}_high"] < 0:
        return below
    return above if row[f"{column}_low"] > 0 else neither
