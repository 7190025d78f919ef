"""The tables `predictions` and `predicted_orders`: how the theory of noise fits the orders of every recorded epoch.

No masked pass: w* are the salient interactions of the last recorded epoch, what is measured are the sums over orders,
and the labels have both. By the opposite tie-break, the split of some samples at some epochs is solved anew from their
outputs, where these are kept.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from interdash.config import GeneralizationConfig
from interdash.formulas.bootstrap import Group, ends
from interdash.formulas.generalization import salient
from interdash.formulas.prediction import Prediction, normalised, r_squared, spindle
from interdash.formulas.subsets import orders
from interdash.formulas.theories.agreement import shares
from interdash.labelling.label import write_folder
from interdash.labelling.noise_floor import EPOCHS, Choice, stored_games
from interdash.runs import samples
from interdash.runs.files import DamagedFileError
from interdash.runs.parts import LABELLING, digest, is_there
from interdash.runs.plan import Plan
from interdash.runs.tables import read_table
from interdash.training.loop import one_thread

MOST_SAMPLES = 100  # of each split, the first ones (they are in random order)
MOST_VARIABLES = 12  # by the opposite tie-break: above, a split takes a second and more
SOLVED_ANEW = 10  # of each split, by the opposite tie-break
TYPES = ("and", "or")


def label_predictions(planned: Plan) -> list[Path]:
    """Returns the folders of both tables, made if missing; none of one epoch, or before all of the target are labelled.

    Raises:
        DamagedFileError: labels are damaged.
    """
    run = planned.run
    folders = {epoch: planned.folder(network, epoch) for network, epoch in planned.pairs if network == "target"}
    there = {epoch: folder for epoch, folder in folders.items() if folder is not None and folder.exists()}
    if len(there) < max(len(folders), 2):  # the last epoch is what predicts
        return []
    key = digest([folder.name for folder in there.values()], LABELLING, "peaks")
    made = {name: run.labels_dir / f"{name}-{key}" for name in ("predictions", "predicted_orders")}
    if not all(folder.exists() for folder in made.values()):
        rows, shape = first_samples(planned, MOST_SAMPLES), (2, 2**planned.config.masking.n_variables)
        measured = np.stack([_measured(folder, rows, shape) for folder in there.values()])
        prediction = Prediction(_salient(list(there.values())[-1], rows, shape))
        fits, sigma2 = _fits(prediction, measured.sum(2), list(there), "own", _group(planned, rows))
        tables = {
            "predictions": pa.concat_tables([fits, *_by_opposite_tie_break(planned, list(there))]),
            "predicted_orders": _profiles(prediction, measured, list(there), sigma2),
        }
        for name, folder in made.items():
            write_folder(folder, {name: tables[name]}, {"network": "target", "epoch": -1})
    for name, folder in made.items():
        for other in run.labels_dir.glob(f"{name}-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
    return list(made.values())


def first_samples(planned: Plan, per_split: int) -> np.ndarray:
    """Returns the numbers of the first samples of each split."""
    splits = np.asarray(samples.description(planned.run.path)["split"])
    return np.sort(np.concatenate([np.flatnonzero(splits == name)[:per_split] for name in ("train", "test")]))


def _group(planned: Plan, rows: np.ndarray) -> Group:
    strata = samples.strata(planned.run.path)
    return len(rows) if strata is None else strata[rows]


def _measured(folder: Path, rows: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Returns the salient strength of some samples by type and order, `[samples, 2, n]`, nats."""
    table = read_table(folder / "sample_orders.parquet", ("sample", "type", "size", "positive", "negative"))
    sample, kind, size, positive, negative = (table[name].to_numpy() for name in table.column_names)
    strengths = np.zeros((int(max(rows.max(initial=0), sample.max(initial=0))) + 1, 2, shape[1].bit_length() - 1))
    strengths[sample, (kind == "or").astype(int), size - 1] = positive.astype(float) - negative
    return strengths[rows]


def _salient(folder: Path, rows: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Returns the salient interactions of some samples, `[samples, 2, 2**n]`, nats, 0 where there is none."""
    table = read_table(folder / "interactions.parquet", ("sample", "type", "subset", "effect"))
    sample, kind, subset, effect = (table[name].to_numpy() for name in table.column_names)
    effects, known = np.zeros((len(rows), *shape)), np.isin(sample, rows)
    place = np.searchsorted(rows, sample[known])
    effects[place, (kind[known] == "or").astype(int), subset[known]] = effect[known]
    return effects


def _by_opposite_tie_break(planned: Plan, epochs: list[int]) -> list[pa.Table]:
    """Returns the fits of some samples at some epochs with their split solved anew, one table, or none."""
    split, n = planned.config.split, planned.config.masking.n_variables
    chosen = [epochs[i] for i in np.unique(np.linspace(0, len(epochs) - 1, EPOCHS).round().astype(int))]
    units = [unit for epoch in chosen for unit in planned.pairs["target", epoch]]
    if split.tie_break == 0 or n > MOST_VARIABLES or not all(is_there(planned.run, unit) for unit in units):
        return []
    games = stored_games(planned, SOLVED_ANEW)
    rules: GeneralizationConfig = planned.config.generalization
    choice = Choice("", rules, replace(split, tie_break=-split.tie_break), ())
    effects = []
    try:
        with one_thread():
            for epoch in chosen:
                found = games.effects("target", epoch, choice.split)
                effects.append(found * salient(found, games.tau("target", epoch, choice)))
    except DamagedFileError:  # `verify` names it, and the next extraction makes it again
        return []
    of_order = np.eye(n + 1)[orders(n)][:, 1:]
    strengths = np.stack([np.abs(found).sum(1) @ of_order for found in effects])
    fits, _ = _fits(Prediction(effects[-1]), strengths, chosen, "opposite", _group(planned, games.rows))
    return [fits]


def _fits(
    prediction: Prediction, strengths: np.ndarray, epochs: list[int], tie_break: str, group: Group
) -> tuple[pa.Table, list[float]]:
    """Returns one row for each epoch, and σ²; `strengths` are `[epochs, samples, n]`, nats."""
    sigma2 = [prediction.fit(of_epoch) for of_epoch in strengths]
    draws = prediction.resampled(strengths, group)  # [epochs, resamples]
    low, high = ends(draws)
    peaks = shares(np.nan_to_num(draws[:-1]).argmax(0), len(epochs))  # the last epoch predicts itself
    target = normalised(strengths.mean(1))  # [epochs, n]
    expected = {
        "r2": np.stack([normalised(prediction.at(value).mean(0)) for value in sigma2]),
        "r2_last": target[-1:],
        "r2_spindle": normalised(spindle(target.shape[1]))[None],
    }
    columns = {"epoch": pa.array(epochs, pa.int32()), "tie_break": [tie_break] * len(epochs)}
    columns["samples"] = pa.array([strengths.shape[1]] * len(epochs), pa.int32())
    values = {"sigma2": np.array(sigma2), "sigma2_low": low, "sigma2_high": high, "peaks": peaks}
    values |= {name: r_squared(target, profile) for name, profile in expected.items()}
    return pa.table(columns | {name: pa.array(of, from_pandas=True) for name, of in values.items()}), sigma2


def _profiles(prediction: Prediction, measured: np.ndarray, epochs: list[int], sigma2: list[float]) -> pa.Table:
    """Returns measured and predicted profiles; `measured` is `[epochs, samples, 2, n]`, nats."""
    both = [measured.mean(1), np.stack([prediction.by_type(value).mean(0) for value in sigma2])]  # [epochs, 2, n]
    profiles = [normalised(np.concatenate([of, of.sum(1, keepdims=True)], axis=1)) for of in both]
    kinds, n = (*TYPES, "all"), measured.shape[-1]
    columns = {
        "epoch": pa.array(np.repeat(epochs, len(kinds) * n), pa.int32()),
        "type": np.tile(np.repeat(kinds, n), len(epochs)).tolist(),
        "size": pa.array(np.tile(np.arange(1, n + 1), len(kinds) * len(epochs)), pa.int8()),
    }
    names = ("measured", "predicted")
    return pa.table(
        columns | {name: pa.array(of.ravel(), from_pandas=True) for name, of in zip(names, profiles, strict=True)}
    )
