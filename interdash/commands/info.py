"""What `interdash info` prints: how far a run is, and its numbers at each recorded epoch. No torch."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from interdash.queries import agreement, baselines
from interdash.queries.asking import in_unit
from interdash.queries.coherence import coherence
from interdash.queries.dynamics import epochs, order_strength, phases
from interdash.queries.lives import first_start, life_classes, life_line_totals
from interdash.queries.theories import information, layers, predictions
from interdash.runs.recorded_measures import first_epochs
from interdash.runs.run import Run, no_runs
from interdash.runs.state import overview, state
from interdash.store.database import Store, open_store
from interdash.store.loading import refresh

STRENGTHS = ("strength", "generalizable", "non_generalizable")
OF_LIVES = ("number", "strength", "order", "power", "chance")
FIT = ("sigma2", "sigma2_low", "sigma2_high", "r2", "r2_last", "r2_spindle")
ON_G = ("generalization_power", "chance", "above_chance")
NUMBERS = ("train_loss", "test_loss", "generalization_power", "chance", "above_chance", "tau")


def run_report(run: Run) -> dict[str, Any]:
    """Returns the state of a run and, for each recorded epoch of the target, losses, H, τ and strengths by order.

    `strengths` holds, for orders 1 to n, the mean over samples in nats of all salient interactions (`strength`), of the
    generalizable and of the non-generalizable ones; `chance` is H by chance, `above_chance` how far H lies above it,
    means over the baseline networks; `baselines` has those of each of several. `prediction` has σ² of the theory of
    noise with its interval, its R² and that of both nulls; `coherence` the
    measures of the gradients by name. What is not there yet is None. `lives` says, at the last epoch, what is
    preserved, emerged and removed since the start epoch, and what has which life line, each as at its strongest epoch.
    `agreement` has where each theory puts its turn, and how far each two of them lie apart, with the level by chance;
    `layers` and `information` what is measured of them, by epoch.
    """
    store = open_store(lazy=True)
    try:
        refresh(store, run)
        epoch_rows = epochs(store, run.name).set_index("epoch")
        orders = order_strength(store, run.name)
        lives = _lives(store, run.name)
        gradients = coherence(store, run.name)
        fits = predictions(store, run.name)
        turns, distances = (ask(store, run.name) for ask in (agreement.turns, agreement.turn_distances))
        of_layers, answers = layers(store, run.name), information(store, run.name)
        count, each = baselines.count(store, run.name), baselines.strengths(store, run.name)
        found_with, boundaries = baselines.phases(store, run.name), phases(store, run.name)
        problems = store.problems[run.name]
    finally:
        store.close()
    now, rows = state(run), []
    fits = fits.loc[fits["tie_break"] == "own"].set_index("epoch")
    for epoch in run.checkpoint_epochs("target"):
        row = epoch_rows.loc[epoch] if epoch in epoch_rows.index else {}
        here = orders[orders["epoch"] == epoch]
        whole = gradients[(gradients["epoch"] == epoch) & (gradients["part"] == "")]
        rows.append(
            {
                "epoch": epoch,
                **{name: _number(row.get(name)) for name in NUMBERS},
                "strengths": {name: [*map(_number, here[name])] for name in STRENGTHS} if len(here) else None,
                "coherence": dict(zip(whole["measure"], whole["value"], strict=True)) or None,
                "prediction": {name: _number(fits.loc[epoch, name]) for name in FIT} if epoch in fits.index else None,
                "baselines": {
                    row["baseline"]: {name: _number(row[name]) for name in ON_G}
                    for row in each.to_dict("records")
                    if row["epoch"] == epoch and row["baseline"] != baselines.MEAN
                },
            }
        )
    return {
        "run": run.name,
        "unit": run.config.training.unit,
        "purpose": run.config.purpose,
        "state": now.word,
        "missing": list(now.missing),
        "problems": problems,
        "samples_extracted": now.done,
        "samples_in_all": now.total,
        "diverged": first_epochs(run.not_finite()),
        "baselines": count,
        "phases": [
            {name: row[name] for name in ("boundary", "reason")}
            | {name: _number(row[name]) for name in ("epoch", "low", "high")}
            | {"baselines": _of_each(found_with[found_with["boundary"] == row["boundary"]])}
            for row in boundaries.to_dict("records")
        ],
        "epochs": rows,
        "lives": lives,
        "agreement": {name: _records(table) for name, table in (("turns", turns), ("distances", distances))},
        "layers": _records(of_layers),
        "information": _records(answers),
    }


def _lives(store: Store, run: str) -> dict[str, Any] | None:
    if (start := first_start(store, run)) is None:
        return None
    rows, totals = life_classes(store, run, start=start), life_line_totals(store, run)

    def numbers(rows: pd.DataFrame, names: Sequence[str]) -> dict[str, dict[str, float | None]]:
        return {str(row["life"]): {name: _number(row[name]) for name in names} for row in rows.to_dict("records")}

    last = max(rows["epoch"].tolist())
    return {
        "start": start,
        "epoch": last,
        "sets": numbers(rows.loc[rows["epoch"] == last], (*OF_LIVES, "train_loss", "test_loss")),
        "life_lines": numbers(totals, OF_LIVES),
    }


def run_text(run: Run, *, as_json: bool = False) -> str:
    """Returns the report of a run, for people or as JSON."""
    report = run_report(run)
    if as_json:
        return json.dumps(report, ensure_ascii=False)
    unit, first = report["unit"], f"{report['run']}: {report['purpose']}"
    head = [
        f"state: {report['state']}",
        *report["missing"],
        *report["problems"],
        *([baselines.how_many_text(report["baselines"])] if report["baselines"] else []),
        *(f"phases {row['boundary']}: {row['reason']}" for row in report["phases"]),
    ]
    head += [f"diverged: {metric} at epoch {epoch}, not finite" for metric, epoch in report["diverged"].items()]
    not_finite = run.not_finite()
    lines = [
        f"{unit:>6}{'train loss':>12}{'test loss':>12}{'H':>8}{'by chance':>11}{'above':>8}{'tau':>9}"
        "   generalizable / all, nats, order 1 up"
    ]
    for row in report["epochs"]:
        words = not_finite.get(row["epoch"], {})
        texts = [words.get(name, "–") if row[name] is None else f"{row[name]:.3f}" for name in NUMBERS]
        columns = "".join(f"{text:>{width}}" for text, width in zip(texts, (12, 12, 8, 11, 8, 9), strict=True))
        strengths = row["strengths"] or {"generalizable": [], "strength": []}
        pairs = zip(strengths["generalizable"], strengths["strength"], strict=True)
        by_order = "  ".join(f"{'–' if g is None else f'{g:.2f}'}/{strength:.2f}" for g, strength in pairs)
        lines.append(f"{row['epoch']:>6}{columns}   {by_order}")
    return "\n".join([first, *(in_unit(line, unit) for line in head), *lines])


def list_text(root: Path, *, as_json: bool = False) -> str:
    """Returns the list of runs in a folder, for people or as JSON."""
    rows = overview([root]).drop(columns=["curves", "config"])
    if as_json:
        return rows.to_json(orient="records", force_ascii=False) or "[]"
    if rows.empty:
        return no_runs(root)
    return "\n".join(f"{row['run']:<24} {row['problem'] or row['text']}" for row in rows.to_dict("records"))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns rows as JSON has them: null where there is no number."""
    return json.loads(table.to_json(orient="records", force_ascii=False) or "[]")


def _of_each(rows: Any) -> dict[str, float | None]:
    """Returns the epoch of a boundary with each of several baseline networks, by name."""
    alone = rows[rows["baseline"] != baselines.MEAN]
    return {str(name): _number(epoch) for name, epoch in zip(alone["baseline"], alone["epoch"], strict=True)}


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
