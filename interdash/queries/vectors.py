"""Drill-down questions that need every interaction, salient or not: read from the parts. No torch.

The store says which part holds a sample (`units`); only that sample's row group is read, its checksums verified. A
damaged part is passed over and named in the frame's `attrs["problems"]`.
"""

from functools import lru_cache

import numpy as np
import pandas as pd

from interdash.formulas.subsets import n_variables, orders
from interdash.queries.sample import named
from interdash.runs.files import DamagedFileError
from interdash.runs.parts import Unit, read_vectors
from interdash.runs.run import Run
from interdash.store.database import Store


def interaction_life(store: Store, run: Run, sample: int, type: str, subset: int) -> pd.DataFrame:
    """Returns one interaction of a sample at every labelled epoch of the target, below τ too, and in the baselines.

    Columns: network, epoch, effect (nats), tau (nats, of that network, epoch and sample), salient, generalizes. No row
    for a subset that does not exist; where the full vectors are gone, one only where the interaction is salient.
    """
    life, problems = _life(store, run, sample)
    exists = np.array([0 < subset < effects.shape[1] for effects in life["effects"]], dtype=bool)
    life = life[exists]
    rows = life.assign(effect=[effects[int(type == "or"), subset] for effects in life["effects"]])
    labels = store.ask(
        """
        SELECT network, epoch, e.tau, i.subset IS NOT NULL AS salient, i.generalizes, i.effect::DOUBLE AS salient_effect
        FROM (FROM sample_epochs WHERE run = $run AND sample = $sample) e
        LEFT JOIN (FROM interactions WHERE run = $run AND sample = $sample AND type = $type AND subset = $subset) i
            USING (network, epoch)
        ORDER BY network, epoch
        """,
        {"run": run.name, "sample": sample, "type": type, "subset": subset},
        details=("interactions", "sample_epochs"),
    )
    epochs = labels.merge(rows.drop(columns="effects"), on=["network", "epoch"], how="left")
    epochs["effect"] = epochs["effect"].astype(float).fillna(epochs["salient_effect"])
    epochs = epochs.dropna(subset="effect", ignore_index=True)
    epochs = epochs.loc[:, ["network", "epoch", "effect", "tau", "salient", "generalizes"]]
    epochs.attrs["problems"] = problems
    return epochs


def strongest(store: Store, run: Run, epoch: int, sample: int, *, network: str = "target") -> pd.DataFrame:
    """Returns all interactions of one sample at an epoch, strongest first, by their numbers alone.

    Columns: rank, type, subset, size, effect and strength (nats), and `explained`, the share of Σ|I| that this
    interaction and all stronger ones make up.
    """
    unit = _unit(store, run, epoch, sample, network)
    problems: list[str] = []
    effects = np.zeros((2, 1))
    try:
        effects = _effects(run, unit, sample) if unit else effects
    except (DamagedFileError, FileNotFoundError) as error:
        problems.append(str(error))
    n_subsets = effects.shape[1]
    strength = np.abs(effects[:, 1:]).ravel()
    order = np.argsort(-strength, kind="stable")
    kind, subset = order // max(n_subsets - 1, 1), order % max(n_subsets - 1, 1) + 1
    present = strength[order] > 0
    kind, subset = kind[present], subset[present]
    every = pd.DataFrame(
        {
            "rank": np.arange(1, len(subset) + 1),
            "type": np.array(["and", "or"], dtype=object)[kind],
            "subset": subset,
            "size": orders(n_variables(n_subsets))[subset],
            "effect": effects[kind, subset],
            "strength": np.abs(effects[kind, subset]),
        }
    )
    every["explained"] = every["strength"].cumsum() / max(every["strength"].sum(), 1e-300)
    every.attrs["problems"] = problems
    return every


def all_interactions(store: Store, run: Run, epoch: int, sample: int, *, network: str = "target") -> pd.DataFrame:
    """Returns all interactions of one sample at an epoch, strongest first, whether salient or not.

    Columns: those of `strongest`, and members, names, tau (nats), salient, generalizes.
    """
    every = strongest(store, run, epoch, sample, network=network)
    problems = every.attrs["problems"]
    of_sample = "run = $run AND network = $network AND epoch = $epoch AND sample = $sample"
    where = {"run": run.name, "network": network, "epoch": epoch, "sample": sample}
    labels = store.ask(
        f"SELECT type, subset, generalizes, true AS salient FROM interactions WHERE {of_sample}",
        where,
        details=("interactions",),
    )
    tau = store.ask(f"SELECT tau FROM sample_epochs WHERE {of_sample}", where, details=("sample_epochs",))["tau"]
    every = every.merge(labels, on=["type", "subset"], how="left").sort_values("rank", ignore_index=True)
    every["salient"] = every["salient"].notna()
    every["tau"] = tau.iloc[0] if len(tau) else np.nan
    every = named(store, run.name, sample, every)
    every.attrs["problems"] = problems
    return every


def outputs(store: Store, run: Run, epoch: int, sample: int, *, network: str = "target") -> pd.DataFrame:
    """Returns the network's output on every masked version of a sample: subset, size, v, delta (nats).

    Raises:
        DamagedFileError: the part is damaged.
    """
    unit = _unit(store, run, epoch, sample, network)
    if unit is None:
        return pd.DataFrame(columns=["subset", "size", "v", "delta"])
    read = read_vectors(run, unit, sample, ("v", "delta"))
    subset = np.arange(len(read["v"]))
    size = orders(n_variables(len(subset)))
    return pd.DataFrame({"subset": subset, "size": size, "v": read["v"], "delta": read["delta"]})


def _unit(store: Store, run: Run, epoch: int, sample: int, network: str) -> Unit | None:
    """Returns the unit that has a sample; None if the epoch is not labelled."""
    rows = store.fetch(
        "SELECT name, stop FROM units WHERE run = ? AND network = ? AND epoch = ? AND first <= ? AND stop > ?",
        [run.name, network, epoch, sample, sample],
    )
    return Unit.parse(*rows[0]) if rows else None


def _life(store: Store, run: Run, sample: int) -> tuple[pd.DataFrame, list[str]]:
    """Returns network, epoch and effects `[2, 2**n]` of one sample over all labelled epochs, and messages."""
    names = store.fetch(
        "SELECT name, stop FROM units WHERE run = ? AND first <= ? AND stop > ? ORDER BY network, epoch",
        [run.name, sample, sample],
    )
    units = [Unit.parse(*row) for row in names]
    rows, problems = [], []
    gone = run.dropped
    there = [unit for unit in units if unit.pack not in gone]
    for unit in there:
        try:
            rows.append((unit.network, unit.epoch, _effects(run, unit, sample)))
        except (DamagedFileError, FileNotFoundError) as error:
            problems.append(str(error))
    if without := len(units) - len(there):
        problems.insert(
            0,
            f"the full vectors of {without} of {len(units)} labelled epochs were dropped to save space: an interaction "
            f"is shown there only where it is salient; for new ones: `interdash gc {run.name} --want-vectors EPOCHS "
            f"--delete`, then `interdash extract {run.name}`",
        )
    return pd.DataFrame(rows, columns=["network", "epoch", "effects"]), problems


@lru_cache(maxsize=4096)  # 16 KiB each at n = 10: the epochs of the last samples looked at
def _effects(run: Run, unit: Unit, sample: int) -> np.ndarray:
    """Returns the interactions `[2, 2**n]` of one sample; a part never changes under its name."""
    read = read_vectors(run, unit, sample, ("i_and", "i_or"))
    return np.stack([read["i_and"], read["i_or"]])
