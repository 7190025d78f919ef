"""The built-in runs: each is the spec that `datasets.load` makes, trained and recorded here."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from interdash.config import RunConfig
from interdash.runs.run import Run
from interdash.training import datasets
from interdash.training.loop import recorded_epochs, seeded, train
from interdash.training.measures import measures_of
from interdash.training.own import draw_explained, is_user_run, new_network, record_losses


def create_run(root: Path | str, config: RunConfig) -> Run:
    """Returns the run of a built-in data set in the folder `root`, created if it is not there; see `Run.create`."""
    return Run.create(root, config, datasets.load(config).names_of_classes())


def train_run(
    run: Run, *, device: torch.device | str = "cpu", progress: Callable[[int, int], None] | None = None
) -> None:
    """Trains the target network of a built-in run and records it: checkpoints, losses, at last the explained samples.

    Losses of every epoch, or of the recorded steps: train_* on the training split with the labels trained on (noise
    included), test_* on the testing split with clean labels. Does nothing if the target is finished; one that was
    interrupted is trained again from epoch 0, and by its seed writes the same checkpoints. `progress` is called with
    epochs done and in all.

    Raises:
        ValueError: the run brings its own network and data.
    """
    if run.is_finished("target"):
        return
    if is_user_run(run):
        raise ValueError(
            f"run {run.name!r} brings its own network and data; train it yourself and record it with "
            "`interdash.Recorder`, or import its checkpoints with `interdash import`"
        )
    config, spec = run.config.training, datasets.load(run.config)
    keep = recorded_epochs(config)

    def on_epoch(epoch: int, model: nn.Module) -> None:
        if epoch in keep:
            run.save_checkpoint("target", epoch, model.state_dict())
        measures = measures_of(model, spec.train_inputs, spec.train_labels) if epoch in keep else None
        if epoch in keep or config.unit == "epoch":  # at each step losses of the splits would cost more than training
            record_losses(run, "target", epoch, model, spec, measures)
        if progress is not None:
            progress(epoch, config.epochs)

    with seeded(config.seed):
        network = new_network(spec, config.seed, device)
    train(network, spec.train_inputs, spec.train_labels, config, seed=config.seed, device=device, on_epoch=on_epoch)
    draw_explained(run, spec, network)
    run.finish("target")
