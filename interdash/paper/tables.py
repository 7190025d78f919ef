"""Tables of runs for a paper: phases, losses, H, removal, with 95% intervals; as booktabs LaTeX and Markdown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interdash.figures.choice import Choice, whose
from interdash.formulas.bootstrap import Group, group, percentile
from interdash.paper import captions, venues
from interdash.paper.latex import escaped
from interdash.queries import agreement, compare, dynamics, sample
from interdash.queries.asking import Ask
from interdash.queries.removal import removals
from interdash.store.database import Store

REMOVED = {
    "non_generalizable": "non-generalizable",
    "random": "control, random",
    "generalizable": "control, generalizable",
}
SPLITS = {"train": "training", "test": "testing", "gap": "gap"}
RESAMPLES = 2000
TITLES = {  # in words
    "phases": "Where the phases meet",
    "losses": "Losses and gap",
    "generalizable-share": "Generalizable share (H)",
    "removal": "Without some interactions",
    "turns": "Turns of the theories",
}
CAPTIONS = {
    "phases": "Epochs at which the phases meet, with 95% bootstrap intervals over samples.",
    "losses": "Losses in nats at the last epoch, over the whole splits. The last column is the gap between the "
    "explained samples of the testing and of the training split, with its 95% bootstrap interval over samples.",
    "generalizable-share": "H, the generalizable share of the salient strength, at the last epoch with labels and at "
    "its peak. In parentheses: 95% bootstrap intervals over samples.",
    "removal": "Loss of the explained samples in nats at the last epoch with labels, and its change by removing "
    "interactions. The controls lose as much strength as the non-generalizable ones have, as far as that much is "
    "there. In parentheses: 95% intervals of the change, before and after paired by sample.",
    "turns": "Epochs at which theories of learning put their turns, with 95% intervals, and how many recorded epochs "
    "they lie from where the testing loss is lowest; in brackets how often two random recorded epochs lie as near.",
}
_SIZES = {"small": 9.0, "footnotesize": 8.0, "scriptsize": 7.0}  # of LaTeX where text has 10 points


def captioned(ask: Ask, others: Sequence[str] = (), numbers: str = "point") -> dict[str, tuple[pd.DataFrame, str]]:
    """Returns the tables of a run and others by name, each with its caption; no column names a run that is alone."""
    frames = tables(ask.store, [ask.run.name, *others], numbers)
    if not others:
        frames = {name: frame.drop(columns="run") for name, frame in frames.items()}
    frames = {name: frame.rename(columns=ask.worded) for name, frame in frames.items()}
    about = "" if others else f" {captions.setting(ask, whose(ask, Choice()))}"
    words = {name: f"{ask.worded(CAPTIONS[name])}{about}" for name in frames}
    return {name: (frame, venues.spelled(words[name], numbers)) for name, frame in frames.items()}


def tables(store: Store, runs: Sequence[str], numbers: str = "point") -> dict[str, pd.DataFrame]:
    """Returns the tables that the runs have, by name (those of `CAPTIONS`), all cells text; `numbers` as in `Venue`."""
    endings = _records(compare.endings(store, list(runs)))
    found = {
        "phases": pd.DataFrame([_phases(store, run) for run in runs]),
        "losses": pd.DataFrame([_losses(store, row) for row in endings]),
        "generalizable-share": pd.DataFrame([row for run in runs for row in _share(store, run)]),
        "removal": pd.DataFrame([row for run in runs for row in _removal(store, run)]),
        "turns": pd.DataFrame([row for run in runs for row in _turns(store, run)]),
    }
    for frame in found.values():
        for column in frame.columns.difference(["run"]):
            frame[column] = [venues.spelled(cell, numbers) for cell in frame[column]]
    return {name: frame for name, frame in found.items() if len(frame)}


def booktabs(frame: pd.DataFrame, caption: str, label: str, venue: str = "neurips") -> str:
    r"""Returns a LaTeX table, for a document that says `\usepackage{booktabs}`.

    It stands in one column of the venue where it fits, else over both, its letters as large as fit.
    """
    page = venues.venue(venue.removesuffix("-column")).width
    widths = [venues.venue(venues.column_of(venue)).width] if venues.column_of(venue) else []
    of_column = [max(len(str(cell)) for cell in (name, *frame[name])) for name in frame.columns]

    def fits(size: float, inches: float) -> bool:
        return size * (0.5 * sum(of_column) + 1.35 * (len(of_column) - 1)) < inches * 72

    wide = bool(widths) and not fits(_SIZES["footnotesize"], widths[0])
    inches = widths[0] if widths and not wide else page
    size = next((name for name, points in _SIZES.items() if fits(points, inches)), "scriptsize")
    texts = ["run", "removed", "loss", "turn"]
    columns = "".join("l" if name in texts else "r" for name in frame.columns)
    table = "table*" if wide else "table"
    lines = [rf"\begin{{{table}}}[t]", rf"  \centering\{size}", rf"  \caption{{{escaped(caption)}}}"]
    lines += [rf"  \label{{tab:{label}}}\smallskip", rf"  \begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"    \toprule"]
    lines += [_line(frame.columns), r"    \midrule", *map(_line, frame.itertuples(index=False, name=None))]
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", rf"\end{{{table}}}"]) + "\n"


def markdown(frame: pd.DataFrame) -> str:
    """Returns a Markdown table.

    >>> print(markdown(pd.DataFrame({"run": ["a|b"]})), end="")
    | run |
    |---|
    | a\\|b |
    """
    rows = [frame.columns, *frame.itertuples(index=False, name=None)]
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(frame.columns), *lines[1:]]) + "\n"


def gap_interval(training: np.ndarray, testing: np.ndarray, groups: Sequence[Group] = ()) -> tuple[float, float]:
    """Returns the 95% bootstrap interval of mean testing − mean training loss, arrays `[samples]` of nats; seeded.

    Samples are drawn anew within each split, by `groups` as of `bootstrap.distribution`; percentile method. NaN where a
    split has fewer than two samples.
    """
    if min(len(training), len(testing)) < 2:
        return np.nan, np.nan
    low, high = percentile(
        lambda train, test: testing[test].mean(-1) - training[train].mean(-1),
        *(groups or (len(training), len(testing))),
        resamples=RESAMPLES,
    )
    return float(low), float(high)


def _line(cells: Any) -> str:
    return "    " + " & ".join(escaped(str(cell)) for cell in cells) + r" \\"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _phases(store: Store, run: str) -> dict[str, str]:
    found = {row["boundary"]: row for row in _records(dynamics.phases(store, run))}
    cells = {"run": run}
    for boundary in ("1|2", "2|3"):
        row = found.get(boundary)
        known = row is not None and not pd.isna(row["epoch"])
        cells[f"phase {boundary[-1]} from (epoch)"] = (
            _between(row, "epoch", ".0f", "low", "high") if known else "not found"
        )
    return cells


def _losses(store: Store, row: dict[str, Any]) -> dict[str, str]:
    losses = {"train_loss": "training", "test_loss": "testing", "gap": "gap"}
    cells = {name: "–" if pd.isna(row[column]) else f"{row[column]:.3f}" for column, name in losses.items()}
    epoch = "–" if pd.isna(row["last_epoch"]) else f"{row['last_epoch']:.0f}"
    return {"run": row["run"], "epoch": epoch, **cells, "gap, explained samples": _explained_gap(store, row)}


def _explained_gap(store: Store, row: dict[str, Any]) -> str:
    """Returns the gap between the explained samples of both splits at the last epoch, if that has labels."""
    if pd.isna(row["last_epoch"]):
        return "–"
    run, epoch = row["run"], int(row["last_epoch"])
    samples = sample.samples(store, run, epoch, sample.sample_numbers(store, run, epoch))
    splits = [samples[samples["split"] == split] for split in ("train", "test")]
    training, testing = (np.asarray(rows["loss"], float) for rows in splits)
    if not len(training) or not len(testing):
        return "–"
    low, high = gap_interval(training, testing, [group(rows["stratum"], len(rows)) for rows in splits])
    return _between({"gap": testing.mean() - training.mean(), "gap_low": low, "gap_high": high}, "gap", ".3f")


def _share(store: Store, run: str) -> list[dict[str, str]]:
    strength = dynamics.strength(store, run).dropna(subset=["generalization_power"])
    if strength.empty:
        return []
    rows = _records(strength)
    peak = max(rows, key=lambda row: row["generalization_power"])
    now, then = (_between(row, "generalization_power", ".3f") for row in (rows[-1], peak))
    last = {"run": run, "epoch": f"{rows[-1]['epoch']}", "H": now}
    return [last | {"peak of H": then, "at epoch": f"{peak['epoch']}"}]


def _removal(store: Store, run: str) -> list[dict[str, str]]:
    rows = removals(store, run)
    rows = rows.loc[rows["epoch"] == rows["epoch"].max()] if len(rows) else rows
    of = {(row["removed"], row["split"]): row for row in _records(rows)}
    return [
        {"run": run, "removed": REMOVED[kind], "loss": SPLITS[split]}
        | {"before": f"{row['before']:.3f}".replace("-", "−"), "change": _between(row, "change", "+.3f")}
        for kind in REMOVED
        for split in SPLITS
        if (row := of.get((kind, split))) is not None and not pd.isna(row["before"])
    ]


def _turns(store: Store, run: str) -> list[dict[str, str]]:
    apart = {
        row["first_turn"]: f"{row['steps']} [{row['by_chance']:.0%}]"
        for row in _records(agreement.turn_distances(store, run))
        if row["second_turn"] == "loss lowest"
    }
    return [
        {"run": run, "turn": row["turn"]}
        | {"epoch": "not found" if pd.isna(row["epoch"]) else _between(row, "epoch", ".0f", "low", "high")}
        | {"from the lowest loss": apart.get(row["turn"], "–")}
        for row in _records(agreement.turns(store, run))
    ]


def _between(row: Any, column: str, form: str, low: str = "", high: str = "") -> str:
    """Returns a number with its interval, as "0.365 (0.306 to 0.427)"."""
    low, high = low or f"{column}_low", high or f"{column}_high"
    number = f"{row[column]:{form}}"
    text = number if pd.isna(row[low]) else f"{number} ({row[low]:{form}} to {row[high]:{form}})"
    return text.replace("-", "−")
