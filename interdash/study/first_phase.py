"""Does the published first phase survive an exact solver? The same games of the first epochs, split by both solvers."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from interdash.formulas.subsets import n_variables, orders
from interdash.labelling.noise_floor import Choice, Games, stored_games
from interdash.runs.parts import digest
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.solver import published
from interdash.study.measures import HIGH, searched_fall

LAST_EPOCH = 10
SAMPLES_PER_SPLIT = 8
SOLVERS = ("certified", "published")


def first_phase(
    run: Run, *, samples_per_split: int = SAMPLES_PER_SPLIT, last_epoch: int = LAST_EPOCH
) -> dict[str, Any]:
    """Returns strengths under the certified split and the published SGD at the recorded epochs up to `last_epoch`.

    For each solver and epoch, means over samples: `objective` (Σ|I| over all interactions, what both minimise) and of
    the salient interactions `strength`, `non_generalizable` (nats), `power` (H) and `high` (share of orders ≥ 4).
    Baseline network and τ follow the solver. `falls` has for each solver how far non-generalizable strength falls, see
    `measures.searched_fall`. `ratio` is the median over samples of published / certified objective.
    """
    games = stored_games(plan(run), samples_per_split)
    rules, split = run.config.generalization, run.config.split
    epochs = [epoch for epoch in run.checkpoint_epochs("target") if epoch <= last_epoch]
    comparison: dict[str, Any] = {"run": run.name, "samples": len(games.rows), "epochs": epochs}
    games.solve_published([*(("target", epoch) for epoch in epochs), ("baseline-0", -1)], split)
    objectives, falls = {}, {}
    for solver in SOLVERS:
        choice = Choice(solver, rules, split, ("baseline-0",), solver)
        rows = [_strengths(games, epoch, choice) for epoch in epochs]
        objectives[solver] = np.array([row.pop("objectives") for row in rows])  # [epochs, samples]
        fall = searched_fall(np.stack([row.pop("others") for row in rows], 1))
        falls[solver] = {**fall, "lowest": epochs[fall["lowest"]]}
        comparison[solver] = rows
    ratios = objectives["published"] / np.maximum(objectives["certified"], 1e-300)
    return comparison | {"falls": falls, "ratio": [float(np.median(ratio)) for ratio in ratios]}


def name_of(run: Run) -> str:
    """Returns a digest of all that the comparison depends on: the run's units and rules, and the code of it."""
    code = [Path(file).read_text(encoding="utf-8") for file in (published.__file__, __file__)]
    units = sorted(unit.name for unit in plan(run).units if unit.network in ("target", "baseline-0"))
    return digest(units, asdict(run.config.generalization), asdict(run.config.split), code)


def _strengths(games: Games, epoch: int, choice: Choice) -> dict[str, Any]:
    labels = games.labels(epoch, choice)
    high = orders(n_variables(labels.strength.shape[-1])) >= HIGH
    salient = labels.strength * labels.salient
    others = (salient * ~labels.general).sum((1, 2))
    whole, other = salient.sum((1, 2)).mean(), others.mean()
    objectives = labels.strength.sum((1, 2))
    return {
        "objectives": objectives,
        "others": others,
        "objective": float(objectives.mean()),
        "strength": float(whole),
        "non_generalizable": float(other),
        "power": float(1 - other / whole) if whole > 0 else None,
        "high": float((salient * high).sum((1, 2)).mean() / whole) if whole > 0 else None,
    }
