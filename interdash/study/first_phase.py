"""Does the published first phase survive an exact solver? The same games of the first epochs, split by both solvers."""

from typing import Any

import numpy as np

from interdash.robustness import Choice, Games, stored_games
from interdash.runs import Run
from interdash.study.measures import HIGH
from interdash.subsets import n_variables, orders

LAST_EPOCH = 10
SAMPLES_PER_SPLIT = 8
SOLVERS = ("certified", "published")


def first_phase(
    run: Run, *, samples_per_split: int = SAMPLES_PER_SPLIT, last_epoch: int = LAST_EPOCH
) -> dict[str, Any]:
    """Returns strengths under the certified split and the published SGD at the recorded epochs up to `last_epoch`.

    For each solver and epoch, means over samples: `objective` (Σ|I| over all interactions, what both minimise) and of
    the salient interactions `strength`, `non_generalizable` (nats), `power` (H) and `high` (share of orders ≥ 4).
    Baseline network and τ follow the solver. `ratio` is the median over samples of published / certified objective.
    """
    games = stored_games(run, samples_per_split)
    rules, split = run.config.generalization, run.config.split
    epochs = [epoch for epoch in run.checkpoint_epochs("target") if epoch <= last_epoch]
    found: dict[str, Any] = {"run": run.name, "samples": len(games.rows), "epochs": epochs}
    games.solve_published([*(("target", epoch) for epoch in epochs), ("baseline-0", -1)], split)
    objectives = {}
    for solver in SOLVERS:
        choice = Choice(solver, rules, split, ("baseline-0",), solver)
        rows = [_strengths(games, epoch, choice) for epoch in epochs]
        objectives[solver] = np.array([row.pop("objectives") for row in rows])  # [epochs, samples]
        found[solver] = rows
    ratios = objectives["published"] / np.maximum(objectives["certified"], 1e-300)
    return found | {"ratio": [float(np.median(ratio)) for ratio in ratios]}


def _strengths(games: Games, epoch: int, choice: Choice) -> dict[str, Any]:
    labels = games.labels(epoch, choice)
    high = orders(n_variables(labels.strength.shape[-1])) >= HIGH
    salient = labels.strength * labels.salient
    whole, other = salient.sum((1, 2)).mean(), (salient * ~labels.general).sum((1, 2)).mean()
    objectives = labels.strength.sum((1, 2))
    return {
        "objectives": objectives,
        "objective": float(objectives.mean()),
        "strength": float(whole),
        "non_generalizable": float(other),
        "power": float(1 - other / whole) if whole > 0 else None,
        "high": float((salient * high).sum((1, 2)).mean() / whole) if whole > 0 else None,
    }
