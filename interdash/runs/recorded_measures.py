"""The lines of `metrics.jsonl`: losses, measures and coherence of a network at an epoch; the rows that a store loads.

No torch.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from interdash.runs.files import DamagedFileError, checksum_holds, with_checksum

COLUMNS = {"source": "str", "network": "str", "epoch": "int64", "measure": "str"}
COLUMNS |= dict.fromkeys(("value", "low", "high"), "float64") | {"unit": "str"}


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Appends a line with its checksum; the caller holds the lock."""
    with open(path, "a+b") as file:
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)  # a line torn by a kill would swallow this one
        file.write(json.dumps(with_checksum(line)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[dict[str, Any]]:
    """Returns the lines that count, the last one for each network and epoch, sorted by both.

    A line of coherence adds to the losses before it; losses that are recorded anew count without it.

    Raises:
        DamagedFileError: a line other than a torn last one is not readable.
    """
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    complete = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(complete, start=1):
        try:
            row = json.loads(line)
            if checksum_holds(row) is False:
                raise ValueError("its checksum does not hold")
            place = row["network"], row["epoch"]
            rows[place] = row if has_losses(row) else rows.get(place, {}) | row
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFileError(f"{path}, line {number} is damaged ({error}); delete that line") from error
    return [rows[key] for key in sorted(rows)]


def has_losses(line: Mapping[str, Any]) -> bool:
    """Returns whether a line has losses, known or not, and not only coherence."""
    return "train_loss" in line


def kept(measures: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Returns measures as a line keeps them: by name value, low, high (None where missing or not finite) and unit.

    >>> kept({"sharpness": 0.5, "margin": (2.0, 1.5, 2.5, "nats")})
    {'sharpness': [0.5, None, None, ''], 'margin': [2.0, 1.5, 2.5, 'nats']}

    Raises:
        ValueError: a measure is neither a number nor (value, low, high), perhaps with its unit.
    """
    return {name: _kept(name, value) for name, value in measures.items()}


def _kept(name: str, measure: Any) -> list[Any]:
    parts = tuple(measure) if isinstance(measure, tuple | list) else (measure, None, None)
    *numbers, unit = parts if len(parts) == 4 else (*parts, "")
    try:
        value, low, high = (None if number is None else float(number) for number in numbers)
        if not isinstance(unit, str):
            raise TypeError
    except (TypeError, ValueError):
        raise ValueError(
            f"measure {name!r} is {measure!r}; pass a number, or (value, low, high), or (value, low, high, unit)"
        ) from None
    return [number if number is not None and math.isfinite(number) else None for number in (value, low, high)] + [unit]


def of_losses(losses: Mapping[str, float | None], metrics: Iterable[str]) -> dict[str, Any]:
    """Returns losses and accuracies as a line keeps them: None where missing, or where `not_finite` has it in words.

    >>> of_losses({"train_loss": float("inf")}, ["train_loss", "test_loss"])
    {'train_loss': None, 'test_loss': None, 'not_finite': {'train_loss': 'Infinity'}}
    """
    values = {name: float(value) for name, value in losses.items() if value is not None}
    words = {name: _word(value) for name, value in values.items() if not math.isfinite(value)}
    line: dict[str, Any] = {name: None if name in words else values.get(name) for name in metrics}
    return line | ({"not_finite": words} if words else {})


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def not_finite(lines: Iterable[dict[str, Any]], network: str) -> dict[int, dict[str, str]]:
    """Returns the metrics of a network that are no finite numbers, in words, by epoch."""
    return {line["epoch"]: line["not_finite"] for line in lines if line["network"] == network and "not_finite" in line}


def first_epochs(words: Mapping[int, Mapping[str, str]]) -> dict[str, int]:
    """Returns the first epoch of each metric that is not finite, from `Run.not_finite`."""
    return {name: epoch for epoch in sorted(words, reverse=True) for name in words[epoch]}


def rows(lines: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Returns one row a measure of some lines: `COLUMNS`, NaN where missing; source "network", or "gradients"."""
    table = [
        (source, line["network"], line["epoch"], name, *measure)
        for line in lines
        for source, of_line in (("network", line), ("gradients", line.get("gradients", {})))
        for name, measure in of_line.get("measures", {}).items()
    ]
    return pd.DataFrame(table, columns=list(COLUMNS)).astype(COLUMNS)


def sample_rows(lines: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Returns one row an explained sample of each line with coherence: the columns of `sample_gradients`."""
    names = ("sample", "coherence", "norm", "noisy")
    table = [
        (line["network"], line["epoch"], *row)
        for line in lines
        if "gradients" in line
        for row in zip(*(line["gradients"]["samples"][name] for name in names), strict=True)
    ]
    kinds = {"network": "str", "epoch": "int64", "sample": "int64", "coherence": "float64", "norm": "float64"}
    return pd.DataFrame(table, columns=["network", "epoch", *names]).astype(kinds | {"noisy": "boolean"})
