"""`python -m interdash.study`: makes the runs that are missing, measures them, and writes docs/study.md. Resumable."""

import argparse
import json
import platform
from collections.abc import Iterable, Sequence
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
from interdash.labelling.noise_floor import noise_floor, store_noise_floor
from interdash.paper import chromium
from interdash.pipeline import extract_and_label, train_baselines
from interdash.queries import removal
from interdash.runs.files import write_atomically
from interdash.runs.run import Run
from interdash.runs.state import state
from interdash.solver.published import LEARNING_RATE
from interdash.store.database import Store, open_store
from interdash.store.loading import refresh
from interdash.study.cases import CASES, SEEDS, make_runs
from interdash.study.first_phase import SOLVERS, first_phase, name_of
from interdash.study.measures import chance_of_rank_correlation, measure
from interdash.study.report import report

ROOT = Path("data/cache/study")
OUTPUT = Path("docs")
FLOOR_EPOCHS = 2  # of the noise floor: the first and the last
FIRST_PHASE = (
    "digits-0-s0",
    "digits-20-s0",
    "mnist-0-s0",
    "mnist-20-s0",
)  # n = 8; the published SGD takes minutes for n = 12


def main() -> None:
    """Makes what is missing, and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of the study's runs")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where study.md and study/ go")
    parser.add_argument("--finished", action="store_true", help="write from the runs that are ready; make no others")
    options = parser.parse_args()
    configurations = {(case.name, seed): case.configuration(seed) for seed in SEEDS for case in CASES}
    planned = len(configurations)
    if options.finished:
        configurations = {key: config for key, config in configurations.items() if is_ready(options.root, config)}
    study(options.root, options.output, configurations, FIRST_PHASE, planned=planned, floors=not options.finished)


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
    floors: bool = True,
) -> None:
    """Makes the runs that are missing, measures them, and writes study.md, study.json and the figures into `output`.

    Args:
        root: the folder of the runs.
        output: where the text goes, and the figures into study/ there.
        configurations: the runs by (setting, seed).
        first: names of the runs whose first epochs are split by the published SGD too.
        planned: how many runs the whole study has, if these are not all.
        floors: whether the noise floor is measured too, on one run of each setting.

    Raises:
        ValueError: there is no run.
    """
    if not configurations:
        raise ValueError(f"no run of the study in {root} is ready; leave out --finished to make them")
    configurations = dict(sorted(configurations.items()))
    runs = make_runs(root, list(configurations.values()))
    store = open_store()
    measured = []
    if floors:
        one_each = dict(zip((case for case, _ in reversed(configurations)), reversed(runs), strict=True))
        measure_floors(store, one_each.values())
    for run, (case, seed) in zip(runs, configurations, strict=True):
        refresh(store, run)
        measured.append({"case": case, "seed": seed, **measure(store, run.name)})
    compared = [_first_phase(run) for run in runs if run.name in first]
    falls = {run_measures["run"]: run_measures["falls"] for run_measures in compared}
    measured = [{**run_measures, "solver_falls": falls.get(run_measures["run"])} for run_measures in measured]
    known = facts(store, dict(zip((case for case, _ in configurations), runs, strict=True)), runs)
    known["planned"] = planned or len(runs)
    known |= {"rate": LEARNING_RATE, "chance": chance_of_rank_correlation(len(measured[0]["recorded"]))}
    store.close()
    folder = output / "study"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(output / "study.md", report(measured, compared, known).encode())
    numbers = json.dumps({"facts": known, "runs": measured, "first_phase": compared}, indent=1, ensure_ascii=False)
    write_atomically(folder / "study.json", (numbers + "\n").encode())
    charts = {"strengths": figures.strengths(_curves(measured))}
    if compared:
        charts["first-phase"] = figures.first_phase(_solver_curves(compared))
    for name, figure in charts.items():
        write_atomically(folder / f"{name}.svg", chromium.render(theme.themed(figure), "svg"))
    chromium.close()


def measure_floors(store: Store, runs: Iterable[Run]) -> None:
    """Measures the noise floor of runs where it is not yet, with a second baseline network."""
    for run in runs:
        refresh(store, run)
        if removal.robustness(store, run.name).empty:
            train_baselines(run, 2)
            extract_and_label(run, workers=0)
            store_noise_floor(run, *noise_floor(run, epochs=FLOOR_EPOCHS))


def _first_phase(run: Run) -> dict[str, Any]:
    """Returns the comparison of both solvers, kept beside the run: the published one takes minutes."""
    path = run.path.parent / f"first-phase-{run.name}-{name_of(run)}.json"
    if not path.exists():
        write_atomically(path, json.dumps(first_phase(run)).encode())
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
        "noise": {case: f"{config.data.label_noise:.0%}" for case, config in configs.items()},
        "variables": {case: f"{config.masking.n_variables}" for case, config in configs.items()},
        "samples": {case: " + ".join(2 * [f"{c.masking.samples_per_split}"]) for case, c in configs.items()},
    }


def _curves(measured: Sequence[dict[str, Any]]) -> pd.DataFrame:
    rows = []
    for run in measured:
        places = {value["value"]: name for name, value in run["phases"].items() if value["value"] is not None}
        for i, epoch in enumerate(run["recorded"]):
            rows.append(
                {
                    "case": run["case"],
                    "seed": run["seed"],
                    "epoch": epoch,
                    "power": run["power"][i]["value"],
                    "generalizable": run["generalizable"][i],
                    "non_generalizable": run["non_generalizable"][i],
                    "boundary": places.get(epoch),
                }
            )
    return pd.DataFrame(rows)


def _solver_curves(compared: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"run": comparison["run"], "solver": solver, "epoch": epoch, **comparison[solver][i]}
            for comparison in compared
            for solver in SOLVERS
            for i, epoch in enumerate(comparison["epochs"])
        ]
    )


if __name__ == "__main__":
    main()
