"""Recording of a user's own training: three lines in a plain PyTorch loop.

recorder = interdash.Recorder("my-run", "my_run.py:spec", epochs=30)
recorder.record(epoch, model)      # epoch 0 before training, then after each epoch
recorder.close()
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from interdash.config import (
    DataConfig,
    GeneralizationConfig,
    NetworkConfig,
    PhaseConfig,
    RunConfig,
    SplitConfig,
    TrainingConfig,
)
from interdash.runs.run import Run
from interdash.training.dry_run import dry_run
from interdash.training.gradients import coherence_of
from interdash.training.logits import choice_of_output
from interdash.training.loop import recorded_epochs
from interdash.training.measures import measures_of
from interdash.training.own import (
    check_spec_place,
    draw_explained,
    logits_builder,
    matching_weights,
    record_losses,
    record_spec,
)
from interdash.training.spec import Spec, load_spec, masking_config, naming, spec_text, split_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordOptions:
    """How a training is recorded: the further arguments of `create_user_run`, `Recorder` and the callbacks.

    Attributes:
        epochs: the planned number of epochs, or of steps.
        unit: what is counted: "epoch" or "step". The pages then speak of steps.
        checkpoints: "log" (dense early, at least 12 if there are as many epochs), "all", or the epochs.
        samples_per_split: samples explained from the training and from the testing split.
        seed: of their choice, and of baselines.
        purpose: one line for the list of runs.
        split: how outputs are divided into AND and OR interactions.
        generalization: when an interaction is salient and when it generalizes.
        phases: where the third phase begins.
        coherence: whether gradient coherence is measured at the end, of each checkpoint, see `training.gradients`.

    Raises:
        ValueError: epochs is below 1.
    """

    epochs: int
    checkpoints: Literal["log", "all"] | tuple[int, ...] = "log"
    samples_per_split: int = 50
    seed: int = 0
    purpose: str = "recorded from the user's own training"
    split: SplitConfig = field(default_factory=SplitConfig)
    generalization: GeneralizationConfig = field(default_factory=GeneralizationConfig)
    phases: PhaseConfig = field(default_factory=PhaseConfig)
    coherence: bool = False
    unit: Literal["epoch", "step"] = "epoch"

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs is {self.epochs}; give the planned number of epochs, at least 1")


def create_user_run(
    root: Path | str,
    name: str,
    spec: Spec | Callable[[], Spec] | str,
    *,
    network: nn.Module | None = None,
    device: torch.device | str = "cpu",
    **options: Any,
) -> tuple[Run, Spec]:
    """Returns a run for the user's own network, without explained samples yet, and its spec; see `Recorder`.

    Nothing is written before a dry run of the network, a new one by default, on one sample of each split.
    """
    if not isinstance(network, nn.Module | None):
        raise TypeError(
            f"network is {network!r}; give the module that is recorded, or leave it out: a run is of its target, and "
            "`record_baseline(model, 0)` adds a baseline"
        )
    record = RecordOptions(**options)
    text = spec if isinstance(spec, str) else "" if isinstance(spec, Spec) else spec_text(spec)
    made = load_spec(spec) if isinstance(spec, str) else spec if isinstance(spec, Spec) else spec()
    if not isinstance(made, Spec):
        raise ValueError(f"the spec function returned a {type(made).__name__}; it must return an interdash.Spec")
    with naming(text):
        model = logits_builder(made.network, len(made.names_of_classes()))() if network is None else network
        explained = dry_run(made, record.samples_per_split, record.seed, model, device)
    short = f"{split_text(text)[0].name}:{split_text(text)[1]}" if text else ""
    recipe = TrainingConfig("user", 0.0, 0.0, 0, record.epochs, record.checkpoints, record.seed, record.unit)
    config = RunConfig(
        name=name,
        purpose=record.purpose,
        data=DataConfig("user", len(made.train_inputs), len(made.test_inputs), seed=record.seed),
        network=NetworkConfig("user", spec=short),
        masking=masking_config(made, explained, record.samples_per_split, record.seed),
        training=recipe,
        split=record.split,
        generalization=record.generalization,
        phases=record.phases,
    )
    if text:
        check_spec_place(root, text)
    run = Run.create(root, config, made.names_of_classes())
    if run.is_finished("target"):
        raise FileExistsError(
            f"run {name!r} in {root} is finished; choose another name or delete {run.path} to record it again"
        )
    if text:
        record_spec(run, text)
    return run, made


class Recorder:
    """Records a training as a run: checkpoints at chosen epochs, losses at all, the samples to explain.

    Args:
        name: the run's name.
        spec: the network builder, the data and the variables, as one of
            "my_run.py:spec", or that function itself, from a file: extraction builds the network from that file;
            a `Spec`, or a function of a notebook: extraction works in this process, with `network=spec.network`.
        root: the folder of runs.
        options: those of `RecordOptions`: epochs, and perhaps checkpoints, samples_per_split, seed, purpose, …

    Raises:
        ValueError: the name is not safe, epochs is below 1, or the spec or its variables do not fit the data.
        FileExistsError: a run of this name is finished, or has another configuration.
    """

    run: Run  # the folder being written

    def __init__(
        self, name: str, spec: Spec | Callable[[], Spec] | str, *, root: Path | str = "data/runs", **options: Any
    ) -> None:
        self.run, self.spec = create_user_run(root, name, spec, **options)
        recipe = self.run.config.training
        self.epochs, self.chosen = recipe.epochs, set(recorded_epochs(recipe))
        # gets each epoch's weights: what is checked is what is kept
        classes = len(self.spec.names_of_classes())
        self._network = logits_builder(self.spec.network, classes)()
        if words := choice_of_output(self._network, self.spec.train_inputs[:1], classes):
            logger.warning("taken: %s", words)
        self._unsaved: tuple[int, dict[str, Tensor]] | None = None
        self._coherence = options.get("coherence", False)

    def record(
        self,
        epoch: int,
        model: nn.Module,
        train_loss: float | Tensor | None = None,
        test_loss: float | Tensor | None = None,
        *,
        measures: Mapping[str, Any] | None = None,
    ) -> None:
        """Records one epoch: losses always, weights if the epoch is chosen. The model and its mode stay as they are.

        Args:
            epoch: 0 before the first epoch (the untrained network), then after each.
            model: as the spec builds it, perhaps compiled or data-parallel; on any device.
            train_loss: mean cross-entropy over the training split in nats; computed from the spec's data if left out.
            test_loss: the same over the testing split.
            measures: numbers of your own by name, which the store's table `measures` keeps: each a number, or (value,
                low, high), or (value, low, high, unit).

        Raises:
            ValueError: the model is not the network that the spec builds, or a measure is no number.
        """
        weights = self._load(model, f"the model recorded at epoch {epoch}")
        known = {"train_loss": _number(train_loss), "test_loss": _number(test_loss)}
        own = measures_of(self._network, *self.spec.split("train")[:2]) if epoch in self.chosen else {}
        record_losses(self.run, "target", epoch, self._network, self.spec, {**own, **(measures or {})}, **known)
        if epoch in self.chosen:
            self.run.save_checkpoint("target", epoch, weights)
            self._unsaved = None
        else:  # kept until the next one: should training end here, this is its last epoch
            self._unsaved = epoch, weights

    def record_baseline(self, model: nn.Module, index: int = 0) -> None:
        """Records a baseline network: the same recipe, trained to convergence on the testing split alone.

        Raises:
            ValueError: the model is not the network that the spec builds, or the index is negative.
        """
        name = f"baseline-{index}"
        self.run.save_checkpoint(name, self.epochs, self._load(model, name))
        record_losses(self.run, name, self.epochs, self._network, self.spec)
        self.run.finish(name)

    def close(self) -> None:
        """Ends the recording: the last epoch gets its checkpoint, also where training ended early; samples are drawn.

        They are one from each stratum of the losses of the last epoch, unless an extraction has drawn some before.
        """
        if self._unsaved is not None:
            self.run.save_checkpoint("target", *self._unsaved)
            self._unsaved = None
        if self.run.checkpoint_epochs("target"):
            draw_explained(self.run, self.spec, self._network)
            if self._coherence:
                self._measure_coherence()
            self.run.finish("target")

    def _measure_coherence(self) -> None:
        """Measures gradient coherence at each checkpoint, after the explained samples are drawn: they get their own."""
        explained, device = self.run.explained(), next(self._network.parameters()).device
        for epoch in self.run.checkpoint_epochs("target"):
            self._network.load_state_dict(self.run.load_checkpoint("target", epoch))
            gradients = coherence_of(self._network, self.spec, explained, device=device)
            self.run.record_gradients("target", epoch, gradients)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:  # a training that failed stays unfinished and can be recorded again
            self.close()

    def _load(self, model: nn.Module, source: str) -> dict[str, Tensor]:
        """Returns a copy of the model's weights on the CPU, which the recorder's own network now has."""
        weights = {
            name: value.detach().cpu().clone() if isinstance(value, Tensor) else value  # save_checkpoint refuses others
            for name, value in model.state_dict().items()
        }
        device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
        return matching_weights(weights, self._network.to(device), source)


def _number(loss: float | Tensor | None) -> float | None:
    return None if loss is None else float(loss)
