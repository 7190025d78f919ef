"""Which of the runs are shown, in which order and groups, and what a job is asked to do. No torch."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from interdash.config import flat, of_one_setting, setting
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


def free_name(name: str, taken: Collection[str]) -> str:
    """Returns a name that no run has: this one, or with the first number that makes it so.

    >>> free_name("digits", ["digits", "digits-2"])
    'digits-3'
    """
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(each for each in numbered if each not in taken)


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
    "date": "date",
    "dataset": "data",
    "architecture": "network",
    "epochs": "epochs",
    "seed": "seed",
    "label_noise": "random labels",
    "power_curve": "H by epoch",
    "peak_generalization_power": "peak H",
    "chance": "by chance",
    "gap_curve": "gap by epoch",
    "train_loss": "training loss",
    "test_loss": "testing loss",
    "gap": "gap",
    "boundary_12": "phase 2 from",
    "boundary_23": "phase 3 from",
    "above_chance": "above chance",
    "peak_epoch": "at epoch",
    "samples": "samples",
    "tags": "tags",
    "root": "folder",
}


SHARES = ("peak_generalization_power", "chance", "above_chance", "label_noise")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of `state.overview` as the list shows them: `TABLE`'s columns, shares in per cent."""
    records = rows.to_dict("records")
    curves = [row["curves"] if isinstance(row["curves"], dict) else {} for row in records]
    losses = [(curve.get("train_loss", []), curve.get("test_loss", [])) for curve in curves]
    columns = rows.assign(
        shown_state=[state_of(row) for row in records],
        date=[str(row["created"] or "")[:10] if isinstance(row["created"], str) else "" for row in records],
        power_curve=[
            [value for value in curve.get("generalization_power", []) if value is not None] for curve in curves
        ],
        gap_curve=[
            [test - train for train, test in zip(*both, strict=True) if train is not None and test is not None]
            for both in losses
        ],
        **{name: rows[name].astype(float) * 100 for name in SHARES},
    )
    one_root = len({row["root"] for row in records}) <= 1
    return columns.loc[:, [column for column in TABLE if not (one_root and column == "root")]]


def settings_table(config: Mapping[str, Any]) -> pd.DataFrame:
    """Returns a run's configuration as the card shows it, but for its name and purpose: setting, value."""
    rows = {key: value for key, value in flat(config).items() if key not in ("name", "purpose")}
    return pd.DataFrame({"setting": [*rows], "value": [str(value) for value in rows.values()]})


def settings_text(config: Mapping[str, Any]) -> str:
    """Returns the settings of a run that one looks for first, in a sentence."""
    data, training, masking = config["data"], config["training"], config["masking"]
    labels = f"{data['label_noise']:.0%} random labels" if data["label_noise"] else "clean labels"
    return (
        f"{config['network']['architecture']} on {data['dataset']}: {data['n_train']:,} training and "
        f"{data['n_test']:,} testing samples, {labels}; {training['optimizer']}, learning rate "
        f"{training['learning_rate']:g}, batches of {training['batch_size']}, {training['epochs']} "
        f"{training.get('unit', 'epoch')}s, seed {training['seed']}; {masking['n_variables']} variables of each "
        f"{masking['kind']}, masked to {masking['baseline']}, {masking['samples_per_split']} samples explained a split."
    )


STATISTICS = {  # of `groups`: heading, format
    "test_loss": ("testing loss (nats)", ".3f"),
    "gap": ("gap (nats)", ".3f"),
    "peak_generalization_power": ("peak H", ".1%"),
    "chance": ("by chance", ".1%"),
    "boundary_12": ("phase 2 from", ".1f"),
    "boundary_23": ("phase 3 from", ".1f"),
}


def groups(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns one row for the runs that only the seed of their training tells apart: mean ± standard deviation.

    Columns: setting (in words: data, network, and what differs from other groups on the same), runs (their names), and
    those of `STATISTICS` as text; where not all runs have a value, with how many do.
    """
    known = [row for row in rows.to_dict("records") if isinstance(row["config"], dict)]
    of = [[known[place] for place in places] for places in of_one_setting([row["config"] for row in known])]
    kinds = [(runs[0]["dataset"], runs[0]["architecture"]) for runs in of]
    settings = [setting(runs[0]["config"]) for runs in of]
    table = []
    for runs, kind, values in zip(of, kinds, settings, strict=True):
        others = [other for of_kind, other in zip(kinds, settings, strict=True) if of_kind == kind]
        differing = [
            f"{name.rpartition('.')[2].replace('_', ' ')} {value}"
            for name, value in sorted(values.items())
            if any(other.get(name) != value for other in others)
        ]
        cells = {
            heading: mean_and_spread([row[column] for row in runs], form)
            for column, (heading, form) in STATISTICS.items()
        }
        table.append({"setting": ", ".join([*kind, *differing]), "runs": [row["run"] for row in runs], **cells})
    return pd.DataFrame(table, columns=["setting", "runs", *(heading for heading, _ in STATISTICS.values())])


def mean_and_spread(values: Sequence[float | None], form: str) -> str:
    """Returns mean ± standard deviation in words; of one value that value.

    >>> mean_and_spread([1.0, 3.0, None], ".1f")
    '2.0 ± 1.4 (2 of 3)'
    """
    known = pd.Series(values, dtype=float).dropna()
    if known.empty:
        return "–"
    spread = f" ± {known.std():{form}}" if len(known) > 1 else ""
    return f"{known.mean():{form}}{spread}{f' ({len(known)} of {len(values)})' if len(known) < len(values) else ''}"
