"""Losses by epoch from the logs of trainings: tables, JSON, the Trainer's state, event files of TensorBoard.

Every format becomes rows of columns; then one set of rules finds the columns and the epochs. Rows of one epoch are
merged, the last value of each column counts. NaN and infinity in a log are values, an empty cell is none.
"""

import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from interdash.runs.run import METRICS

TRAIN = {"train", "training", "trn", "tr", "fit"}
TEST = {"test", "testing", "val", "valid", "validation", "eval", "evaluation", "dev"}
LOSS = {"loss", "losses"}
ACCURACY = {"accuracy", "acc", "acc1", "top1"}
PLAIN = {"epoch", "avg", "average", "mean", "total", "cross", "entropy", "crossentropy", "ce", "nll", "metrics", "step"}
EPOCH = {"epoch", "epochs"}
STEP = {"step", "steps", "iteration", "iterations", "iter", "iters"}
OF_TRAINING = {*TRAIN, "trainer", "global", "current", "optimizer", "number", "num", "total"}
EMPTY = {"", "null", "none", "na", "n/a", "<na>", "-"}
NEAR = 0.01  # epochs that still count as a whole one, where no row is of the whole one

Losses = dict[int, dict[str, float]]  # epoch → metric → value in nats, or a share
Row = dict[str, Any]


@dataclass(frozen=True)
class Log:
    """What a log says, by its own numbers.

    Attributes:
        losses: metric → value by the log's number: an epoch as the log counts, or a row.
        counted: whether the numbers are the log's epochs, or of rows because it has none.
        columns: the column of each metric.
    """

    losses: Losses
    counted: Literal["epoch", "row"]
    columns: dict[str, str]


def read_log(
    path: Path | str,
    tags: Mapping[str, str] | None = None,
    *,
    epochs: Iterable[int] = (),
    steps_per_epoch: float | None = None,
) -> Log:
    """Returns losses (nats) and accuracies (shares) from the log of a training.

    Args:
        path: a table (CSV, TSV), JSON, JSON lines, `trainer_state.json`, or event files of TensorBoard or their folder.
        tags: our metric → its column or scalar, such as {"train_loss": "loss/train"}; others are found by their names.
        epochs: of the checkpoints, by which steps are told from epochs.
        steps_per_epoch: where the log counts steps; 1 if its steps are epochs.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a column is missing or not the only one, a value is no number, or steps are no epochs.
        ImportError: event files are given and tensorboard is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}; give a CSV or JSON file, or TensorBoard's folder")
    rows = _events(path) if path.is_dir() or "tfevents" in path.name else _text(path)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = _metric_columns(path, rows, names, tags or {})
    epoch = _position(names, EPOCH)
    step = _position(names, STEP)
    places, counted = _places(path, rows, epoch, step, columns, list(epochs), steps_per_epoch)
    losses: Losses = {}
    for near in (0.0, NEAR):  # a row near a whole epoch stands for it where there is none of it
        fresh: Losses = {}
        for place, row in zip(places, rows, strict=True):
            if place is None or not abs(place - round(place)) <= near + 1e-9:
                continue
            for metric, column in columns.items():
                value = _value(row.get(column), path, column)
                if value is not None and metric not in losses.get(round(place), {}):
                    fresh.setdefault(round(place), {})[metric] = value
        losses = {number: fresh.get(number, {}) | losses.get(number, {}) for number in {*fresh, *losses}}
    if not losses:
        raise ValueError(
            f"{path} has no row of a whole epoch; expected losses after whole epochs: log them once an epoch, or leave "
            "--losses out, and they are computed from the spec's data"
        )
    return Log(_as_shares(dict(sorted(losses.items()))), counted, columns)


def _value(cell: Any, path: Path, column: str) -> float | None:
    """Returns the number in a cell; None if it is empty."""
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in EMPTY):
        return None
    text = str(cell).strip()
    if re.fullmatch(r"[-+]?\d*,\d+(e[-+]?\d+)?", text, re.IGNORECASE):
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(
            f"{path} holds a value that is no number: {text!r} in column {column!r}; expected numbers: correct it, or "
            "name another column with --tag"
        ) from error


def _as_shares(losses: Losses) -> Losses:
    """Returns the same with accuracies as shares, where the log has them in per cent."""
    for metric in ("train_accuracy", "test_accuracy"):
        values = [row[metric] for row in losses.values() if metric in row]
        if values and max(values) > 1.5:
            losses = {
                number: row | ({metric: row[metric] / 100} if metric in row else {}) for number, row in losses.items()
            }
    return losses


# Which column is what


def _words(name: str) -> list[str]:
    """Returns the words of a column's name, in lower case; of W&B's "run - column", the column's."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", str(name).rpartition(" - ")[2])
    return re.findall(r"[a-z]+1?", spaced.lower())


def _metric_columns(path: Path, rows: list[Row], names: Sequence[str], tags: Mapping[str, str]) -> dict[str, str]:
    """Returns the column of each metric that the log has.

    Raises:
        ValueError: a named column is not there, a loss has several, or neither loss has one.
    """
    columns: dict[str, str] = {}
    listing = ", ".join(map(str, names)) or "none"
    for metric in METRICS:
        if metric in tags:
            exact = [name for name in names if name == tags[metric]]
            alike = exact or [name for name in names if str(name).strip().lower() == tags[metric].strip().lower()]
            if not alike:
                raise ValueError(
                    f"{path} has no column or scalar {tags[metric]!r}; it has {listing}: name one of them, as in "
                    f"--tag {metric}={names[0] if names else 'NAME'}"
                )
            columns[metric] = alike[0]
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
    if lone and not TRAIN & {*_words(columns["train_loss"])}:
        del columns["train_loss"]  # of a lone "loss" nobody knows whose it is
    missing = [metric for metric in ("train_loss", "test_loss") if metric not in columns]
    if len(missing) == 2:
        raise ValueError(
            f"{path} lacks the columns {', '.join(missing)}; it has {listing}: name them, as in "
            "--tag train_loss=NAME --tag test_loss=NAME"
        )
    return columns


def _rank(metric: str, name: str, rows: list[Row]) -> tuple[int, ...] | None:
    """Returns how well a column's name says that it is a metric, lower is better; None if it does not."""
    split, what = metric.split("_")
    words = {*_words(name)}
    kind = LOSS if what == "loss" else ACCURACY
    if not words & kind or words - kind - TRAIN - TEST - PLAIN or (words & TRAIN and words & TEST):
        return None
    mine, other = (TRAIN, TEST) if split == "train" else (TEST, TRAIN)
    if words & other or (split == "test" and not words & mine):
        return None
    filled = sum(row.get(name) not in (None, "") for row in rows)
    by_step = "step" in words
    return (by_step, not words & mine, -filled if split == "test" else 0, not words & {"test", "testing"})


def _position(names: Sequence[str], kind: set[str]) -> str | None:
    """Returns the column of epochs, or of steps, if there is one."""
    exact = [name for name in names if {*_words(name)} <= kind and _words(name)]
    near = [name for name in names if {*_words(name)} & kind and {*_words(name)} <= kind | OF_TRAINING]
    return next(iter([*exact, *near]), None)


# Which row is of which epoch


def _places(
    path: Path,
    rows: list[Row],
    epoch: str | None,
    step: str | None,
    columns: Mapping[str, str],
    checkpoints: Sequence[int],
    steps_per_epoch: float | None,
) -> tuple[list[float | None], Literal["epoch", "row"]]:
    """Returns each row's epoch as the log counts, perhaps with a fraction, or its number where it has neither."""
    steps = [_value(row.get(step), path, step) if step else None for row in rows]
    if epoch and steps_per_epoch is None:
        cells = [_value(row.get(epoch), path, epoch) for row in rows]
        own = [place if place is not None and math.isfinite(place) else None for place in cells]
        of_step = {at: place for at, place in zip(steps, own, strict=True) if at is not None and place is not None}
        pairs = zip(steps, own, strict=True)
        places = [of_step.get(at) if place is None and at is not None else place for at, place in pairs]
        for number, (place, row) in enumerate(zip(places, rows, strict=True), start=1):
            if place is None and any(_value(row.get(column), path, column) is not None for column in columns.values()):
                raise ValueError(
                    f"{path}, row {number} has losses but no epoch; expected a number in column {epoch!r}: fill it in, "
                    "or add --steps-per-epoch N"
                )
        return places, "epoch"
    if not step:
        return list(map(float, range(len(rows)))), "row"
    steps = [at if at is not None and math.isfinite(at) else None for at in steps]
    known = [at for at in steps if at is not None]
    if steps_per_epoch is None:
        if not _are_epochs({*known}, {*checkpoints}):
            raise ValueError(
                f"{path} counts steps ({', '.join(f'{at:g}' for at in known[:3])}, …) and has no epochs; expected "
                "losses by epoch: add --steps-per-epoch N (1 if its steps are epochs)"
            )
        steps_per_epoch = 1
    whole = [at for at in known if at > 0 and at % steps_per_epoch == 0]
    from_zero = not whole and any(
        (at + 1) % steps_per_epoch == 0 for at in known
    )  # the last step of the first is N − 1
    return [None if at is None else (at + from_zero) / steps_per_epoch for at in steps], "epoch"


def _are_epochs(steps: set[float], checkpoints: set[int]) -> bool:
    """Returns whether a log's steps are the epochs of the checkpoints: all but one of them, and little after the last.

    Counted from 0 or from 1.
    """
    if not checkpoints or not steps or max(steps) > max(checkpoints) + 2:
        return False
    return any(len(checkpoints - {step + first for step in steps}) <= 1 for first in (0, 1))


# Formats


def _text(path: Path) -> list[Row]:
    content = path.read_bytes()
    encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-8-sig"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if not text.strip("\0 \r\n\t"):
        raise ValueError(f"{path} is empty; expected losses by epoch: name another file with --losses")
    try:
        return _json(path, text) if text.lstrip()[0] in "[{" else _table(path, text)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, RecursionError) as error:
        raise ValueError(f"{path} is no table that can be read ({error}); expected CSV: save it again") from error


def _table(path: Path, text: str) -> list[Row]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lower().startswith("sep=")]
    head = lines[0].lstrip("# ")
    separator = max("\t;,|", key=head.count)
    separator = separator if separator in head else r"\s+"
    frame = pd.read_csv(
        io.StringIO("\n".join([head, *lines[1:]])),
        sep=re.escape(separator) if separator == "|" else separator,
        dtype=str,
        keep_default_na=False,
        skipinitialspace=True,
        index_col=False,
        engine="python",
    )
    frame.columns = [str(name).strip() for name in frame.columns]
    if all(re.fullmatch(r"[-+.,\deE]+", name) for name in frame.columns):
        raise ValueError(
            f"{path} has no names of columns but {', '.join(frame.columns)}; expected a first line such as "
            "epoch,train_loss,test_loss: write it above the others"
        )
    return [dict(row) for row in frame.to_dict("records")]  # pyright: ignore[reportReturnType]


def _json(path: Path, text: str) -> list[Row]:
    try:
        return _records(path, json.loads(text))
    except json.JSONDecodeError:
        rows = []
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                rows += [json.loads(line)] if line.strip() else []
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number} is no JSON ({error}); delete or correct that line") from error
        return _records(path, rows)


def _records(path: Path, data: Any) -> list[Row]:
    """Returns the rows in JSON: a list of them, columns of values, or rows by epoch."""
    if isinstance(data, dict):
        for key in ("log_history", "history"):
            if isinstance(data.get(key), dict | list):
                return _records(path, data[key])
        lists = {key: value for key, value in data.items() if isinstance(value, list)}
        inner = {key: value for key, value in data.items() if isinstance(value, dict)}
        if lists and not inner:
            return [
                {key: values[i] for key, values in lists.items() if i < len(values)}
                for i in range(max(map(len, lists.values())))
            ]
        if inner and all(str(key).lstrip("-").isdecimal() for key in data):
            return [{"epoch": key} | _flat(value) for key, value in inner.items()]
        if inner and all(str(key).isdecimal() for value in inner.values() for key in value):  # as pandas writes it
            keys = list(dict.fromkeys(key for value in inner.values() for key in value))
            return [{name: value.get(key) for name, value in inner.items()} for key in keys]
        data = [data]
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return [_flat(row) for row in data]
    raise ValueError(
        f"{path} holds no rows but a {type(data).__name__}; expected a list of {{epoch, train_loss, test_loss}}: name "
        "another file with --losses"
    )


def _flat(row: Mapping[str, Any], path: str = "") -> Row:
    flat: Row = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{path}{key}/")
        elif not isinstance(value, list | bool):
            flat[f"{path}{key}"] = value
    return flat


def _events(path: Path) -> list[Row]:
    """Returns a row for each scalar in the event files of a file or of a folder and those in it, in order of time.

    Scalars of folders inside are called folder/tag, unless there is only one folder.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        raise ImportError(
            f"reading {path} needs the package tensorboard: `pip install 'interdash[tensorboard]'`, or give a CSV file"
        ) from error
    files = [path] if path.is_file() else sorted(path.rglob("*tfevents*"))
    if not files:
        raise ValueError(f"{path} holds no event files of TensorBoard; name a file or the folder that holds them")
    rows: list[tuple[float, Row]] = []
    accumulated = []
    for file in files:  # one by one: what a training wrote again after a restart comes later and counts
        events = EventAccumulator(str(file), size_guidance={"scalars": 0}, purge_orphaned_data=False)  # 0: all of them
        events.Reload()
        if events.Tags()["scalars"]:
            accumulated.append((file.parent, events))
    single = len({folder for folder, _ in accumulated}) == 1
    for folder, events in accumulated:
        inside = "" if single or folder == path else f"{folder.relative_to(path).as_posix()}/"
        for tag in events.Tags()["scalars"]:
            name = tag if _words(tag) == ["epoch"] else inside + tag
            rows += [(event.wall_time, {"step": event.step, name: float(event.value)}) for event in events.Scalars(tag)]
    rows.sort(key=lambda row: row[0])
    return [row for _, row in rows]


def diverged(losses: Losses) -> dict[str, int]:
    """Returns the first epoch at which each metric is NaN or infinite."""
    first: dict[str, int] = {}
    for epoch, row in sorted(losses.items(), reverse=True):
        first |= {metric: epoch for metric, value in row.items() if not math.isfinite(value)}
    return {metric: first[metric] for metric in METRICS if metric in first}
