"""Questions of where theories agree on a run: their curves by epoch, their turns, and how far apart these lie."""

from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from interdash.formulas.bootstrap import distribution, sample_weights
from interdash.formulas.flows import QUANTITIES, summary
from interdash.formulas.theories.agreement import (
    NEAR,
    NONE,
    Turn,
    by_chance,
    first_below,
    scaled,
    shares,
    steps,
    turn,
)
from interdash.formulas.two_phase import SMALL_GAP, last_small
from interdash.queries import dynamics, theories
from interdash.queries.coherence import coherence
from interdash.queries.theories import hidden_completeness, information
from interdash.store.database import Store

TURNS = {  # name: curve, and what happens there
    "1|2": ("learned", "what is learned generalizes best above chance"),
    "2|3": ("learned", "what is learned generalizes less than half as well as at its best"),
    "gap rises": ("gap", "the loss gap begins to rise"),
    "loss lowest": ("test_loss", "the testing loss is lowest"),
    "σ² falls": ("sigma2", "σ² of the theory of noise is highest, and falls from there"),
    "transfer < 0": ("transfer", "a small gradient step first raises the testing loss"),
    "complete": ("completeness", "hidden layers have most of the network's interactions"),
}


def curves(store: Store, run: str) -> pd.DataFrame:
    """Returns the curves of all theories by recorded epoch: curve, epoch, value, scaled (0 lowest, 1 highest).

    learned: how far the share of what was learned until then that generalizes lies above chance; above_chance: H above
    chance; gap and test_loss of the whole splits, nats; sigma2; transfer and rho of the gradients; completeness, mean
    over hidden layers; synergy of testing samples, nats. Only what is there.
    """
    pairs, _, sums = dynamics.flow_sums(store, run, (*QUANTITIES, "learned_size", "removed_size"))
    losses, gradients = dynamics.epochs(store, run), _gradients(store, run)
    found = {"learned": (pairs["epoch_to"], summary(sums.mean((1, 2)))["above_chance"])} if len(pairs) else {}
    found |= {name: (losses["epoch"], losses[name]) for name in ("above_chance", "gap", "test_loss")}
    fits = _fits(store, run)
    found["sigma2"] = (fits["epoch"], fits["sigma2"])
    for name in ("transfer", "rho"):
        rows = gradients[gradients["measure"] == name]
        found[name] = (rows["epoch"], rows["value"])
    complete, values = hidden_completeness(store, run)[:2]
    found["completeness"] = (complete, values)
    answers: Any = information(store, run)
    answers = answers[answers["split"] == "test"]
    found["synergy"] = (answers["epoch"], answers["synergy"])
    tables = []
    for name, (epochs, values) in found.items():
        known = pd.DataFrame({"curve": name, "epoch": epochs, "value": np.asarray(values, float)}).dropna()
        if len(known) > 1:
            tables.append(known.assign(scaled=scaled(known["value"].to_numpy())))
    return pd.concat(tables, ignore_index=True) if tables else _nothing("curve", "epoch", "value", "scaled")


def turns(store: Store, run: str) -> pd.DataFrame:
    """Returns where each theory puts its turns: turn, curve, meaning, epoch (null if none), low, high.

    Only of theories that are known; see `TURNS`. Intervals of the losses are those of other splits as large: from the
    explained samples, drawn anew, with their variance by n/N of the n explained of a split of N.
    """
    places = {str(row["boundary"]): _of_phase(row) for row in dynamics.phases(store, run).to_dict("records")}
    places |= _of_losses(store, run)
    fits = _fits(store, run)
    if len(fits) > 1:
        sigma2 = np.nan_to_num(fits["sigma2"].to_numpy(float)[:-1])
        peaks = fits["peaks"].to_numpy(float)
        if not np.isnan(peaks).any():
            places["σ² falls"] = turn(fits["epoch"].tolist(), int(sigma2.argmax()), peaks)
    rows: Any = _gradients(store, run)
    rows = rows[rows["measure"] == "transfer"].dropna(subset="value")
    if len(rows):
        ends = rows[["value", "low", "high"]].to_numpy(float).T
        ends = np.where(np.isnan(ends), ends[:1], ends)
        places["transfer < 0"] = first_below(rows["epoch"].tolist(), ends)
    measured, values, resampled = hidden_completeness(store, run)
    if len(measured) > 1:
        peaks = shares(np.nan_to_num(resampled).argmax(0), len(measured))
        places["complete"] = turn(measured, int(np.nan_to_num(values).argmax()), peaks)
    table = [(name, *TURNS[name], *places[name]) for name in TURNS if name in places]
    columns = ["turn", "curve", "meaning", "epoch", "low", "high"]
    return pd.DataFrame(table, columns=columns).astype(dict.fromkeys(columns[3:], "float64"))


def turn_distances(store: Store, run: str) -> pd.DataFrame:
    """Returns how far each two turns that were found lie apart: first and second with epoch, low and high; steps.

    steps: recorded epochs; by_chance: how often two random ones lie as near; near: whether these lie within `NEAR`, and
    near_by_chance: how often random ones do; meet: whether the intervals do.
    """
    recorded = dynamics.labelled_epochs(store, run)
    found: Any = turns(store, run).dropna(subset="epoch").to_dict("records")
    names = ("turn", "epoch", "low", "high")
    rows = []
    for first, second in permutations(found, 2):
        apart = steps(recorded, first["epoch"], second["epoch"])
        row = {f"{which}_{name}": of[name] for which, of in (("first", first), ("second", second)) for name in names}
        row |= {"steps": apart, "by_chance": by_chance(len(recorded), apart), "near": apart <= NEAR}
        row |= {"near_by_chance": by_chance(len(recorded), NEAR)}
        rows.append(row | {"meet": first["low"] <= second["high"] and second["low"] <= first["high"]})
    columns = [f"{which}_{name}" for which in ("first", "second") for name in names]
    return pd.DataFrame(rows, columns=[*columns, "steps", "by_chance", "near", "near_by_chance", "meet"])


def _of_phase(row: dict[Any, Any]) -> Turn:
    if pd.isna(row["epoch"]):
        return NONE
    low, high = (row["epoch"] if row["moved_by_user"] or pd.isna(row[end]) else row[end] for end in ("low", "high"))
    return Turn(float(row["epoch"]), float(low), float(high))


def _of_losses(store: Store, run: str) -> dict[str, Turn]:
    rows: Any = store.ask(
        """
        SELECT epoch, sample, split, loss, m.train_loss, m.test_loss, if(split = 'train', n_train, n_test) AS count
        FROM (FROM sample_epochs WHERE run = $run AND network = $network)
        JOIN (FROM samples WHERE run = $run) USING (sample)
        JOIN (FROM metrics WHERE run = $run AND network = $network) m USING (epoch)
        JOIN (FROM runs WHERE run = $run) ON true
        WHERE m.train_loss IS NOT NULL AND m.test_loss IS NOT NULL ORDER BY epoch, sample
        """,
        {"run": run, "network": "target"},
        details=("sample_epochs",),
    )
    splits = [rows[rows["split"] == name] for name in ("train", "test")]
    if rows["epoch"].nunique() < 2 or any(split["sample"].nunique() < 2 for split in splits):
        return {}
    whole = rows.drop_duplicates("epoch").set_index("epoch")
    epochs, deviations = whole.index.tolist(), []
    for split in splits:
        losses = split.pivot(index="sample", columns="epoch", values="loss").to_numpy(float)  # [samples, E]
        drawn = distribution(lambda drawn, losses=losses: (sample_weights(drawn) @ losses).T, len(losses))
        scale = (len(losses) / max(int(split["count"].iloc[0]), len(losses))) ** 0.5
        deviations.append(scale * (drawn.T - losses.mean(0)))  # [resamples, E]
    train, test = (np.vstack([0 * off[:1], off]) for off in deviations)  # the first: as measured
    test = test + whole["test_loss"].to_numpy(float)
    gap = test - whole["train_loss"].to_numpy(float) - train
    lowest, rises = test.argmin(1), last_small(gap)

    def place(at: np.ndarray) -> Turn:
        return turn(epochs, int(at[0]), shares(at[1:], len(epochs)))

    return {"loss lowest": place(lowest), "gap rises": NONE if gap[0].max() <= SMALL_GAP else place(rises)}


def _fits(store: Store, run: str) -> Any:
    rows = theories.predictions(store, run)
    return rows[rows["tie_break"] == "own"]


def _gradients(store: Store, run: str) -> Any:
    rows = coherence(store, run)
    return rows[rows["part"] == ""]


def _nothing(*columns: str) -> pd.DataFrame:
    return pd.DataFrame(columns=[*columns])
