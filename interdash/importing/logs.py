"""Losses from the logs of trainings: which column is what, and whether its rows are numbered by epoch or by step.

NaN and infinity in a log are values, an empty cell is none.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from interdash.importing.log_formats import LEAVE_OUT, Row, read_rows, words_of
from interdash.runs.run import METRICS

TRAIN = {"train", "training", "trn", "tr", "fit"}
TEST = {"test", "testing", "val", "valid", "validation", "eval", "evaluation", "dev"}
LOSS = {"loss", "losses"}
ACCURACY = {"accuracy", "acc", "acc1", "top1"}
PLAIN = {
    "epoch",
    "avg",
    "average",
    "mean",
    "total",
    "cross",
    "entropy",
    "crossentropy",
    "ce",
    "nll",
    "nats",
    "metrics",
    "step",
}
EPOCH = {"epoch", "epochs"}
STEP = {"step", "steps", "iteration", "iterations", "iter", "iters"}
OF_TRAINING = {*TRAIN, "trainer", "global", "current", "optimizer", "number", "num", "total"}
METRIC = {"metric", "key", "name", "tag", "variable"}  # the column that says what the one of values holds
COUNTED = re.compile(
    r"[a-z]+[\s:#=_-]*(\d+)|(?:[a-z]+[\s:#=_-]*)?(\d+)\s*(?:/|of)\s*\d+", re.IGNORECASE
)  # Epoch 3, 3/10
EMPTY = {"", "null", "none", "na", "n/a", "<na>", "-", "--"}

Losses = dict[int, dict[str, float]]  # epoch → metric → value in nats, or a share


@dataclass(frozen=True)
class Log:
    """What a log says, by its own numbers.

    Attributes:
        path: of its file or folder.
        rows: a number, perhaps with a fraction, and metric → value, in the order of the log.
        counted: what the numbers are: the log's epochs, its steps, or its rows where it has neither.
        columns: the column of each metric.
    """

    path: Path
    rows: list[tuple[float, dict[str, float]]]
    counted: Literal["epoch", "step", "row"]
    columns: dict[str, str]


def read_log(path: Path | str, tags: Mapping[str, str] | None = None) -> Log:
    """Returns losses (nats) and accuracies (shares) from the log of a training.

    Args:
        path: a table (CSV, TSV, Markdown), JSON, JSON lines, `trainer_state.json`, or event files of TensorBoard or
            their folder; a text may be compressed by gzip, bzip2 or xz.
        tags: our metric, "epoch" or "step" → its column or scalar, such as {"train_loss": "loss/train"}; others are
            found by their names.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a column is missing or not the only one, or a value is no number.
        ImportError: event files are given and tensorboard is not installed.
    """
    path, tags = Path(path), tags or {}
    if unknown := tags.keys() - {*METRICS, "epoch", "step"}:
        raise ValueError(
            f"--tag {min(unknown)}={tags[min(unknown)]} names no metric; expected one of {', '.join(METRICS)}, epoch, "
            "step: correct it"
        )
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}; give a CSV or JSON file, or TensorBoard's folder")
    rows = _wide(read_rows(path))
    for row in rows:
        if "train_runtime" in row:  # the Trainer's summary: its loss is the mean over the whole training
            row.pop("train_loss", None)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = _metric_columns(path, rows, names, tags)
    metrics = [
        {
            metric: value
            for metric, column in columns.items()
            if (value := _value(row, column, path, metric)) is not None
        }
        for row in rows
    ]
    numbers, counted = _numbers(path, rows, metrics, *(_position(path, names, kind, tags) for kind in (EPOCH, STEP)))
    numbered = [
        (number, values)
        for number, values in zip(numbers, metrics, strict=True)
        if values and number is not None and math.isfinite(number)
    ]
    if not numbered:
        raise ValueError(
            f"{path} has no rows with losses; expected losses after whole epochs: name another file with --losses, or "
            "leave it out, and they are computed from the spec's data"
        )
    return Log(path, _as_shares(numbered), counted, columns)


def _wide(rows: list[Row]) -> list[Row]:
    """Returns the same, with a column for each metric and split where one column says of which a row is."""
    names = dict.fromkeys(name for row in rows for name in row)
    contents = {name: [value for row in rows if (value := row.get(name)) not in (None, "")] for name in names}
    lower = {str(name).strip().lower(): name for name in names}
    metric, value = next((lower[name] for name in METRIC if name in lower), ""), lower.get("value")
    if value and metric and all(isinstance(each, str) for each in contents[metric]):
        return [
            {name: row[name] for name in row if name not in (metric, value)} | {row[metric]: row[value]} for row in rows
        ]
    of_splits = [name for name, each in contents.items() if each and all(map(_is_split, each))]
    if not of_splits:
        return rows
    losses = {name for name in names if {*words_of(name)} & (LOSS | ACCURACY)}
    return [{f"{row[of_splits[0]]}/{name}" if name in losses else name: row[name] for name in row} for row in rows]


def _is_split(value: object) -> bool:
    words = {*words_of(value)} if isinstance(value, str) else set()
    return bool(words) and words <= TRAIN | TEST


def _value(row: Row, column: str | None, path: Path, metric: str = "") -> float | None:
    """Returns the number in a row's cell; None if it is empty."""
    cell = row.get(column or "")
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in EMPTY):
        return None
    text = str(cell).strip()
    share = text.endswith("%") and metric.endswith("accuracy")
    if metric in ("epoch", "step") and (count := COUNTED.fullmatch(text)):
        return float(count[1] or count[2])
    try:
        return float(text.rstrip("% ")) / 100 if share else float(text)
    except ValueError as error:
        raise ValueError(
            f"{path} holds a value that is no number: {text!r} in column {column!r}; expected "
            f"{'a loss in nats' if text.endswith('%') else 'numbers'}: correct it, name another column, as in --tag "
            f"{metric or 'epoch'}=NAME, or {LEAVE_OUT}"
        ) from error


def _as_shares(rows: list[tuple[float, dict[str, float]]]) -> list[tuple[float, dict[str, float]]]:
    """Returns the same with accuracies as shares, where the log has them in per cent."""
    for metric in ("train_accuracy", "test_accuracy"):
        if max((values[metric] for _, values in rows if metric in values), default=0) > 1.5:
            rows = [(at, values | {key: values[key] / 100 for key in values if key == metric}) for at, values in rows]
    return rows


# Which column is what


def _metric_columns(path: Path, rows: list[Row], names: Sequence[str], tags: Mapping[str, str]) -> dict[str, str]:
    """Returns the column of each metric that the log has.

    Raises:
        ValueError: a named column is not there, a loss has several, or neither loss has one.
    """
    columns: dict[str, str] = {}
    for metric in METRICS:
        if metric in tags:
            columns[metric] = _named(path, names, metric, tags[metric])
            continue
        ranked = sorted((rank, name) for name in names if (rank := _rank(metric, name, rows)) is not None)
        best = [name for rank, name in ranked if rank == ranked[0][0]]
        if len(best) > 1 and any(
            [row.get(best[0]) for row in rows] != [row.get(name) for row in rows] for name in best
        ):
            raise ValueError(
                f"{path} has several columns for {metric}: {', '.join(best)}; expected one: name it, as in "
                f"--tag {metric}={best[0]!r}"
            )
        if best:
            columns[metric] = best[0]
    lone = "test_loss" not in columns and "train_loss" not in tags and "train_loss" in columns
    if lone and not TRAIN & {*words_of(columns["train_loss"])}:
        del columns["train_loss"]  # of a lone "loss" nobody knows whose it is
    missing = [metric for metric in ("train_loss", "test_loss") if metric not in columns]
    if len(missing) == 2:
        raise ValueError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(map(str, names)) or 'none'}: name them, "
            f"as in --tag train_loss=NAME --tag test_loss=NAME, or {LEAVE_OUT}"
        )
    return columns


def _named(path: Path, names: Sequence[str], what: str, name: str) -> str:
    """Returns the column that the user names, whatever its capital letters."""
    exact = [each for each in names if each == name]
    alike = exact or [each for each in names if str(each).strip().lower() == name.strip().lower()]
    if not alike:
        raise ValueError(
            f"{path} has no column or scalar {name!r}; it has {', '.join(map(str, names)) or 'none'}: name one of "
            f"them, as in --tag {what}={names[0] if names else 'NAME'}"
        )
    return alike[0]


def _rank(metric: str, name: str, rows: list[Row]) -> tuple[int, ...] | None:
    """Returns how well a column's name says that it is a metric, lower is better; None if it does not."""
    split, what = metric.split("_")
    words = {*words_of(name)}
    kind = LOSS if what == "loss" else ACCURACY
    if not words & kind or words - kind - TRAIN - TEST - PLAIN or (words & TRAIN and words & TEST):
        return None
    mine, other = (TRAIN, TEST) if split == "train" else (TEST, TRAIN)
    if words & other or (split == "test" and not words & mine):
        return None
    filled = sum(row.get(name) not in (None, "") for row in rows)
    by_step = "step" in words
    return (by_step, not words & mine, -filled if split == "test" else 0, not words & {"test", "testing"})


def _position(path: Path, names: Sequence[str], kind: set[str], tags: Mapping[str, str]) -> str | None:
    """Returns the column of epochs, or of steps, if there is one."""
    if (called := "epoch" if "epoch" in kind else "step") in tags:
        return _named(path, names, called, tags[called])
    exact = [name for name in names if {*words_of(name)} <= kind and words_of(name)]
    near = [name for name in names if {*words_of(name)} & kind and {*words_of(name)} <= kind | OF_TRAINING]
    return next(iter([*exact, *near]), None)


def _numbers(
    path: Path, rows: list[Row], metrics: Sequence[Mapping[str, float]], epoch: str | None, step: str | None
) -> tuple[Sequence[float | None], Literal["epoch", "step", "row"]]:
    """Returns each row's epoch as the log counts, or its step, or its number where it has neither."""
    steps = [_value(row, step, path, "step") for row in rows]
    if epoch:
        own = [_value(row, epoch, path, "epoch") for row in rows]
        pairs = list(zip(steps, own, strict=True))
        of_step = {at: place for at, place in pairs if at is not None and place is not None}
        places = [of_step.get(at) if place is None and at is not None else place for at, place in pairs]
        without = [
            i
            for i, place in enumerate(places)
            if metrics[i] and not math.isfinite(math.nan if place is None else place)
        ]
        if not without:
            return places, "epoch"
        if any(steps[i] is None for i in without):
            raise ValueError(
                f"{path}, row {without[0] + 1} has losses but no epoch; expected a number in column {epoch!r}: fill it "
                f"in, name another column with --tag epoch=NAME or --tag step=NAME, or {LEAVE_OUT}"
            )
    return (steps, "step") if step else ([*map(float, range(len(rows)))], "row")


def diverged(losses: Losses) -> dict[str, int]:
    """Returns the first epoch at which each metric is NaN or infinite."""
    first: dict[str, int] = {}
    for epoch, row in sorted(losses.items(), reverse=True):
        first |= {metric: epoch for metric, value in row.items() if not math.isfinite(value)}
    return {metric: first[metric] for metric in METRICS if metric in first}
