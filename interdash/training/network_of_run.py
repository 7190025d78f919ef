"""The spec of a run, built-in or the user's; from it the network of its checkpoints, and its baseline networks."""

import inspect
from collections.abc import Callable

import torch
from torch import nn

from interdash.runs.run import Run
from interdash.training import datasets
from interdash.training.loop import MAX_STRETCH, seeded
from interdash.training.own import (
    draw_explained,
    is_user_run,
    logits_builder,
    matching_weights,
    new_network,
    record_losses,
    run_spec,
)
from interdash.training.spec import Spec


def spec_of_run(run: Run, spec: str | None = None) -> Spec:
    """Returns the spec of a built-in run or, see `own.run_spec`, a user's: of the file recorded or named now."""
    return run_spec(run, spec) if is_user_run(run) else datasets.load(run.config)


def network_builder(run: Run, spec: str | None = None) -> Callable[[], nn.Module]:
    """Returns the function that builds a run's network, ready for `load_state_dict`; see `spec_of_run`."""
    own = spec_of_run(run, spec)
    if is_user_run(run):
        return logits_builder(own.network, len(own.names_of_classes()))
    return own.network  # hooks would cost ours the fast first layer


def draw_samples(run: Run, spec: str | None = None) -> None:
    """Draws the samples to explain of a run whose training goes on, in strata of the losses so far.

    A run that has samples keeps them.
    """
    if not run.has_explained() and run.checkpoint_epochs("target"):
        draw_explained(run, spec_of_run(run, spec), network_builder(run, spec)())


def train_baseline(
    run: Run,
    index: int,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    spec: str | None = None,
) -> None:
    """Trains a baseline network on the testing split, by the `train` function of the run's spec, and records it.

    The seed is the target's + 1 + index, for the weights and as the last argument of `train`. Losses mean the same as
    for the target: train_* on the target's training split, test_* on the testing split, which this network is trained
    on. Does nothing if the baseline is finished. `progress` is called with epochs done and the most there can be.

    Raises:
        ValueError: the index is negative, the spec has no training function, or see `spec_of_run`.
    """
    name = f"baseline-{index}"
    if run.is_finished(name):
        return
    own = spec_of_run(run, spec)
    if own.train is None:
        raise ValueError(
            f"the spec of run {run.name!r} has no train function for baselines; add train=… to it, record one with "
            f"Recorder.record_baseline(model, {index}), or import its checkpoint as {name}"
        )
    epochs = run.config.training.epochs
    epoch, seed = max(epochs, 1), run.config.training.seed + 1 + index
    copy = logits_builder(own.network, len(own.names_of_classes()))().to(
        device
    )  # gets the weights: what is checked is what is kept

    def on_epoch(number: int, model: nn.Module) -> float:
        nonlocal epoch
        epoch = number
        if progress is not None:
            progress(epoch, max(epoch, MAX_STRETCH * epochs))
        matching_weights(model.state_dict(), copy, f"the baseline at epoch {epoch}")
        return record_losses(run, name, epoch, copy, own)["test_loss"]

    by_epoch = {"on_epoch": on_epoch} if "on_epoch" in inspect.signature(own.train).parameters else {}
    with seeded(seed):
        network = new_network(own, seed, device)
        best = own.train(network, own.test_inputs.to(device), own.test_labels.long().to(device), seed, **by_epoch)
    if progress is not None:
        progress(epoch, epoch)
    weights = matching_weights(network.state_dict(), copy, "the trained baseline")
    if not by_epoch:
        record_losses(run, name, epoch, copy, own)
    elif isinstance(best, int):
        epoch = best
    run.save_checkpoint(name, epoch, weights)
    run.finish(name)
