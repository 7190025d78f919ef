"""`python -m interdash.study`: makes the runs that are missing and writes docs/study.md and its tables. Resumable."""

import argparse
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy
import torch

from interdash.config import RunConfig
from interdash.figures import compare as figures
from interdash.figures import theme
from interdash.paper import chromium
from interdash.runs.files import write_atomically
from interdash.runs.parts import LABELLING, digest
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.state import state
from interdash.solver.published import LEARNING_RATE
from interdash.store.database import Store, open_store
from interdash.store.loading import refresh
from interdash.study.cases import configurations, make_runs
from interdash.study.first_phase import SOLVERS, first_phase, name_of
from interdash.study.flicker import flicker
from interdash.study.measures import chance_of_rank_correlation, measure
from interdash.study.report import report
from interdash.study.tables import tables

ROOT = Path("data/cache/study")
OUTPUT = Path("docs")
FIRST_PHASE = ("digits-20-s0",)  # n = 8; the published SGD takes minutes a run, hours for n = 12


def main() -> None:
    """Makes what is missing, and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of the study's runs")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where study.md, study-tables.md and study/ go")
    parser.add_argument("--finished", action="store_true", help="write from the runs that are ready; make no others")
    parser.add_argument("--layers", action="store_true", help="measure the layers of each run too; a minute or more")
    asked = parser.parse_args()
    every = configurations()
    ready = {key: config for key, config in every.items() if not asked.finished or is_ready(asked.root, config)}
    study(asked.root, asked.output, ready, FIRST_PHASE, planned=len(every), layers=asked.layers)


def is_ready(root: Path, config: RunConfig) -> bool:
    """Returns whether a run of the study is trained, extracted and labelled."""
    return (root / config.name / "run.json").exists() and state(Run.open(root, config.name)).word == "ready"


def study(
    root: Path,
    output: Path,
    configurations: dict[tuple[str, int], RunConfig],
    first: Sequence[str],
    *,
    planned: int | None = None,
    layers: bool = False,
) -> None:
    """Makes the runs that are missing, measures them, and writes texts, study.json and the figures into `output`.

    Args:
        root: the folder of the runs.
        output: where the texts go, and the figures into study/ there.
        configurations: the runs by (setting, seed), in the order in which they are made.
        first: names of the runs whose first epochs are split by the published SGD too.
        planned: how many runs the whole study has, if these are not all.
        layers: whether their layers are measured too.

    Raises:
        ValueError: there is no run.
    """
    if not configurations:
        raise ValueError(f"no run of the study in {root} is ready; leave out --finished to make them")
    made = dict(zip(configurations, make_runs(root, list(configurations.values()), layers=layers), strict=True))
    configurations, made = dict(sorted(configurations.items())), dict(sorted(made.items()))
    runs = list(made.values())
    store = open_store()
    measured = []
    for run, (case, seed) in zip(runs, configurations, strict=True):
        refresh(store, run)
        measured.append(
            {"case": case, "seed": seed, **measure(store, run.name), "flicker": _kept(run, "flicker", flicker)}
        )
    compared = [_kept(run, "first-phase", first_phase, name_of(run)) for run in runs if run.name in first]
    falls = {found["run"]: found["falls"] for found in compared}
    measured = [{**found, "solver_falls": falls.get(found["run"])} for found in measured]
    known = facts(store, dict(zip((case for case, _ in configurations), runs, strict=True)), runs)
    known["planned"] = planned or len(runs)
    known |= {"rate": LEARNING_RATE, "chance": chance_of_rank_correlation(len(measured[0]["recorded"]))}
    store.close()
    folder = output / "study"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(output / "study.md", report(measured, compared, known).encode())
    write_atomically(output / "study-tables.md", tables(measured, compared, known).encode())
    numbers = json.dumps({"facts": known, "runs": measured, "first_phase": compared}, indent=1, ensure_ascii=False)
    write_atomically(folder / "study.json", (numbers + "\n").encode())
    drawn = {"learned": figures.learned(_curves(measured)), "strengths": figures.strengths(_curves(measured))}
    if compared:
        drawn["first-phase"] = figures.first_phase(_solver_curves(compared))
    for name, figure in drawn.items():
        write_atomically(folder / f"{name}.svg", chromium.render(theme.themed(figure), "svg"))
    chromium.close()


def _kept(run: Run, what: str, measured: Callable[[Run], dict[str, Any]], name: str = "") -> dict[str, Any]:
    """Returns what is measured of a run's vectors, kept beside the run: it takes minutes."""
    name = name or digest(sorted(unit.name for unit in plan(run).units), asdict(run.config.generalization), LABELLING)
    path = run.path.parent / f"{what}-{run.name}-{name}.json"
    if not path.exists():
        write_atomically(path, json.dumps(measured(run)).encode())
    return json.loads(path.read_text(encoding="utf-8"))


def facts(store: Store, cases: dict[str, Run], runs: Sequence[Run]) -> dict[str, Any]:
    """Returns what the text says about how it was made; `cases` has one run of each setting."""
    seconds = store.fetch("SELECT sum(seconds) FROM units")[0][0]
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    versions |= {"scipy": scipy.__version__, "interdash": metadata.version("interdash")}
    configs = {case: run.config for case, run in cases.items()}
    some = runs[0].config
    return {
        "minutes": float(seconds) / 60,
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "split": f"κ = {some.split.kappa:g}, tie-break {some.split.tie_break:g}",
        "tau": f"{some.generalization.tau_factor:g} · mean |v(x) − v(x_∅)|",
        "networks": {case: config.network.architecture for case, config in configs.items()},
        "baselines": some.generalization.baselines,
        "noise": {case: f"{config.data.label_noise:.0%}" for case, config in configs.items()},
        "variables": {case: f"{config.masking.n_variables}" for case, config in configs.items()},
        "samples": {case: " + ".join(2 * [f"{c.masking.samples_per_split}"]) for case, c in configs.items()},
    }


def _curves(measured: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Returns a row for each run and recorded epoch; `learned`: κ of what was learned until then; `chance` of H."""
    rows = []
    for run in measured:
        places = {value["value"]: name for name, value in run["phases"].items() if value["value"] is not None}
        flows = run["flows"]
        learned = dict(zip(flows["epoch"], flows["above_chance"], strict=True))
        for i, epoch in enumerate(run["recorded"]):
            rows.append(
                {
                    **{"case": run["case"], "seed": run["seed"], "epoch": epoch, "learned": learned.get(epoch)},
                    **{"power": run["power"][i]["value"], "chance": run["chance"][i]},
                    **{part: run[part][i] for part in ("generalizable", "non_generalizable")},
                    **{"boundary": places.get(epoch), "lowest": epoch == run["lowest_test_loss"]},
                }
            )
    return pd.DataFrame(rows)


def _solver_curves(compared: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"run": found["run"], "solver": solver, "epoch": epoch, **found[solver][i]}
            for found in compared
            for solver in SOLVERS
            for i, epoch in enumerate(found["epochs"])
        ]
    )


if __name__ == "__main__":
    main()
