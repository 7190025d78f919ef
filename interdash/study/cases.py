"""The runs of the study: data set × network × label noise, with three seeds each, made by the ordinary pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from interdash.config import RunConfig
from interdash.labelling.layers import Work as LayersWork
from interdash.labelling.layers import measure_layers
from interdash.labelling.predictions import label_predictions
from interdash.pipeline import extract_and_label, train_baselines
from interdash.presets import PRESETS
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.state import state
from interdash.training.builtin import create_run, train_run
from interdash.training.gradients import Work as CoherenceWork
from interdash.training.gradients import measure_coherence

SEEDS = (0, 10, 20)  # of weights and batches; ten apart: a baseline has its target's seed + 1
NOISES = {
    "digits": (0.0, 0.05, 0.2),
    "mnist": (0.0, 0.2),
    "census": (0.0, 0.2),
    "movies": (0.0,),
    "fashion-vgg": (0.0,),
}
MASKING = {  # as many explained samples as the time allows, and 8 variables instead of 10 where passes are slow
    "digits": {"samples_per_split": 100},
    "mnist": {"samples_per_split": 50, "n_variables": 8},
    "census": {"samples_per_split": 30},
    "movies": {"samples_per_split": 50, "n_variables": 8},
    "fashion-vgg": {"samples_per_split": 30, "n_variables": 8},
}
FEWER = {"movies": (0, 10), "fashion-vgg": (0,)}  # seeds of what takes long


@dataclass(frozen=True)
class Case:
    """One setting of the study: a preset's data, network and recipe with a share of random training labels.

    The seeds are of weights and batches; data and random labels are the same for all of them.
    """

    preset: str
    label_noise: float

    @property
    def name(self) -> str:
        """Such as "mnist-20"."""
        return f"{self.preset}-{100 * self.label_noise:g}"

    def configuration(self, seed: int) -> RunConfig:
        """Returns the configuration of the run of a seed, named such as "mnist-20-s10"."""
        preset = PRESETS[self.preset].config
        return replace(
            preset,
            name=f"{self.name}-s{seed}",
            purpose=f"Study: {self.preset}, {self.label_noise:.0%} random training labels, seed {seed}.",
            data=replace(preset.data, label_noise=self.label_noise),
            training=replace(preset.training, seed=seed),
            masking=replace(preset.masking, **MASKING[self.preset]),
        )


CASES = tuple(Case(preset, noise) for preset, noises in NOISES.items() for noise in noises)


def configurations() -> dict[tuple[str, int], RunConfig]:
    """Returns the configuration of every run of the study by (setting, seed), the first seed of all first."""
    return {
        (case.name, seed): case.configuration(seed)
        for seed in SEEDS
        for case in CASES
        if seed in FEWER.get(case.preset, SEEDS)
    }


def make_runs(root: Path, configurations: Sequence[RunConfig], *, layers: bool = False) -> list[Run]:
    """Returns the runs, each trained, extracted, labelled and its coherence measured as far as it is not yet.

    With `layers` these are measured too.

    Raises:
        RuntimeError: a run is not ready afterwards.
    """
    runs = []
    for config in configurations:
        run = create_run(root, config)
        if state(run).word != "ready":
            train_run(run)
            train_baselines(run)
            extract_and_label(run, workers=0)
        if (now := state(run)).word != "ready":
            raise RuntimeError(f"{config.name} is {now.text}; run the study again")
        label_predictions(plan(run))
        measure_coherence(CoherenceWork(run))
        if layers:
            measure_layers(LayersWork(run))
        runs.append(run)
    return runs
