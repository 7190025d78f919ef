"""Which of the runs are shown, in which order, and what a job is asked to do. No torch."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from interdash.presets import PRESETS
from interdash.runs.files import check_name

SORTS = {  # what the list can be sorted by: column, ascending
    "newest": ("created", False),
    "name": ("run", True),
    "largest gap": ("gap", False),
    "lowest testing loss": ("test_loss", True),
    "highest H": ("peak_generalization_power", False),
    "label noise": ("label_noise", False),
}


SAMPLES_ON_A_PAGE = 60  # of the gallery on the page Sample
SEARCHED = ("run", "purpose", "dataset", "architecture", "tags", "notes", "text", "problem")


def matching(
    rows: pd.DataFrame,
    *,
    text: str = "",
    datasets: Sequence[str] = (),
    states: Sequence[str] = (),
    sort: str = "newest",
) -> pd.DataFrame:
    """Returns the rows of `state.overview` that contain every word of `text`, of some data sets and states, sorted.

    Words are looked for in name, purpose, data set, network, tags and notes.

    Raises:
        ValueError: the sort order is unknown.
    """
    if sort not in SORTS:
        raise ValueError(f"runs cannot be sorted by {sort!r}; choose one of {', '.join(SORTS)}")
    words = text.lower().split()
    fits = [
        all(word in " ".join(str(row[column]) for column in SEARCHED).lower() for word in words)
        and (not datasets or row["dataset"] in datasets)
        and (not states or state_of(row) in states)
        for row in rows.to_dict("records")
    ]
    column, ascending = SORTS[sort]
    return rows.loc[fits].sort_values(column, ascending=ascending, kind="stable", na_position="last")


def opened(rows: pd.DataFrame, name: str, folders: Mapping[str, Path]) -> dict[Hashable, Any]:
    """Returns the row of `state.overview` that every page means by a name: of several runs, the one in `folders`."""
    of_name = rows.loc[rows["run"] == name].to_dict("records")
    return next((row for row in of_name if name in folders and row["root"] == str(folders[name].parent)), of_name[0])


def state_of(row: Mapping[Hashable, Any]) -> str:
    """Returns the state of a row of `state.overview` in one word; "broken" if the folder is no readable run."""
    return row["state"] if isinstance(row["state"], str) else "broken"


def whole_run(preset: str, name: str, *, epochs: int, label_noise: float, seed: int) -> list[list[str]]:
    """Returns the commands that make a built-in run from training to labels.

    Raises:
        ValueError: the preset or a value is not possible.
    """
    check_name(name)
    if preset not in PRESETS:
        raise ValueError(f"there is no preset {preset!r}; choose one of {', '.join(PRESETS)}")
    if not (1 <= epochs <= 10_000 and 0 <= label_noise <= 1 and 0 <= seed < 2**31):
        raise ValueError(f"epochs {epochs}, label noise {label_noise} or seed {seed} is out of range")
    options = ["--epochs", str(epochs), "--label-noise", str(label_noise), "--seed", str(seed)]
    train = ["train", preset, "--name", name, *options]
    return [train, ["baseline", name], ["extract", name]]


def baselines(name: str, count: int) -> list[list[str]]:
    """Returns the commands that train a run's baselines and label it with them."""
    check_name(name)
    if not 1 <= count <= 20:
        raise ValueError(f"{count} baselines are out of range; choose 1 to 20")
    return [["baseline", name, "--count", str(count)], ["extract", name]]


def extraction(name: str, *, estimate: bool = False) -> list[list[str]]:
    """Returns the command that extracts what is missing, or only says what it would cost."""
    return [["extract", check_name(name), *(["--estimate"] if estimate else [])]]


def measurements(name: str) -> list[list[str]]:
    """Returns the command that measures what is missing on the page Theories."""
    return [["measure", check_name(name)]]


def tags(text: str) -> list[str]:
    """Returns the tags in a text with commas.

    >>> tags("paper, noise ,,paper")
    ['paper', 'noise']
    """
    return list(dict.fromkeys(tag for tag in (part.strip() for part in text.split(",")) if tag))


TABLE = {  # columns of the list of runs: heading
    "run": "run",
    "shown_state": "state",
    "power_curve": "H by epoch",
    "peak_generalization_power": "peak H",
    "peak_epoch": "at epoch",
    "chance": "by chance",
    "above_chance": "above chance",
    "loss_curve": "testing loss by epoch",
    "train_loss": "training loss",
    "test_loss": "testing loss",
    "gap": "gap",
    "boundary_12": "phase 2 from",
    "boundary_23": "phase 3 from",
    "dataset": "data",
    "architecture": "network",
    "label_noise": "label noise",
    "epochs": "epochs",
    "samples": "samples",
    "tags": "tags",
    "root": "folder",
}


SHARES = ("peak_generalization_power", "chance", "above_chance", "label_noise")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of `state.overview` as the list shows them: `TABLE`'s columns, shares in per cent."""
    records = rows.to_dict("records")
    curves = [row["curves"] if isinstance(row["curves"], dict) else {} for row in records]
    columns = rows.assign(
        shown_state=[row["text"] if isinstance(row["text"], str) else row["problem"] for row in records],
        power_curve=[_points(curve, "generalization_power") for curve in curves],
        **{name: rows[name].astype(float) * 100 for name in SHARES},
        loss_curve=[_points(curve, "test_loss") for curve in curves],
    )
    one_root = len({row["root"] for row in records}) <= 1
    return columns.loc[:, [column for column in TABLE if not (one_root and column == "root")]]


def _points(curve: dict, name: str) -> list[float]:
    return [value for value in curve.get(name, []) if value is not None]
