"""Tables of runs for a paper: phases, losses and H, removal, with 95 % intervals; as booktabs LaTeX and Markdown."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from interdash import queries, queries_compare
from interdash.figures.venues import spelled
from interdash.latex import escaped
from interdash.queries_removal import removals
from interdash.store import Store

REMOVED = {
    "non_generalizable": "non-generalizable",
    "random": "random, same strength",
    "generalizable": "generalizable, up to the same strength",
}
CAPTIONS = {
    "phases": "Epochs at which the phases meet, with 95 % bootstrap intervals over samples.",
    "endings": "Losses in nats and H, the generalizable share of the salient strength, at the last epoch, and the peak "
    "of H. In parentheses: 95 % bootstrap intervals over samples.",
    "removal": "Loss of the explained samples in nats at the last epoch, and its change by removing interactions. In "
    "parentheses: 95 % intervals.",
}


def tables(store: Store, runs: Sequence[str], numbers: str = "point") -> dict[str, pd.DataFrame]:
    """Returns the tables that the runs have, by name (those of `CAPTIONS`), all cells text; `numbers` as in `Venue`."""
    found = {
        "phases": pd.DataFrame([_phases(store, run) for run in runs]),
        "endings": pd.DataFrame([_ending(store, row) for row in _records(queries_compare.endings(store, list(runs)))]),
        "removal": pd.DataFrame([row for run in runs for row in _removal(store, run)]),
    }
    for frame in found.values():
        for column in frame.columns.difference(["run"]):
            frame[column] = [cell if pd.isna(cell) else spelled(cell, numbers) for cell in frame[column]]
    return {name: frame for name, frame in found.items() if len(frame)}


def booktabs(frame: pd.DataFrame, caption: str, label: str) -> str:
    r"""Returns a LaTeX table, for a document that says `\usepackage{booktabs}`."""
    columns = "l" * len(frame.columns)
    lines = [r"\begin{table}[t]", r"  \centering", rf"  \caption{{{escaped(caption)}}}", rf"  \label{{tab:{label}}}"]
    lines += [rf"  \begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"    \toprule"]
    lines += [_line(frame.columns), r"    \midrule", *map(_line, frame.itertuples(index=False, name=None))]
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]) + "\n"


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


def _line(cells: Any) -> str:
    return "    " + " & ".join(escaped(str(cell)) for cell in cells) + r" \\"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _phases(store: Store, run: str) -> dict[str, str]:
    found = {row["boundary"]: row for row in _records(queries.phases(store, run))}
    cells = {"run": run}
    for boundary in ("1|2", "2|3"):
        row = found.get(boundary)
        known = row is not None and not pd.isna(row["epoch"])
        cells[f"phases {boundary} (epoch)"] = _between(row, "epoch", ".0f", "low", "high") if known else "not found"
    return cells


def _ending(store: Store, row: dict[str, Any]) -> dict[str, str]:
    strength = _records(queries.strength(store, row["run"]))
    power = _between(strength[-1], "generalization_power", ".3f") if strength else "–"
    peak = "–" if pd.isna(row["peak_power"]) else f"{row['peak_power']:.3f} (epoch {row['peak_epoch']:.0f})"
    losses = {"train_loss": "training loss", "test_loss": "testing loss", "gap": "gap"}
    cells = {name: "–" if pd.isna(row[column]) else f"{row[column]:.3f}" for column, name in losses.items()}
    return {"run": row["run"], "epoch": f"{row['last_epoch']:.0f}", **cells, "H": power, "peak of H": peak}


def _removal(store: Store, run: str) -> list[dict[str, str]]:
    rows = removals(store, run)
    rows = rows.loc[rows["epoch"] == rows["epoch"].max()] if len(rows) else rows
    of = {(row["removed"], row["split"]): row for row in _records(rows)}
    found = []
    for kind, name in REMOVED.items():
        cells = {"run": run, "removed": name}
        for split, title in (("train", "training"), ("test", "testing"), ("gap", "gap")):
            row = of.get((kind, split))
            if row is not None and not pd.isna(row["before"]):
                cells |= {
                    f"{title}, before": f"{row['before']:.3f}",
                    f"{title}, change": _between(row, "change", "+.3f"),
                }
        if len(cells) > 2:
            found.append(cells)
    return found


def _between(row: Any, column: str, form: str, low: str = "", high: str = "") -> str:
    """Returns a number with its interval, as "0.365 (0.306 to 0.427)"."""
    low, high = low or f"{column}_low", high or f"{column}_high"
    number = f"{row[column]:{form}}"
    text = number if pd.isna(row[low]) else f"{number} ({row[low]:{form}} to {row[high]:{form}})"
    return text.replace("-", "−")
