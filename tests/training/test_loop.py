"""The training loop: seeds, recorded epochs, divergence, convergence."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
import torch

from interdash.config import TrainingConfig
from interdash.presets import DIGITS
from interdash.training import datasets, loop
from interdash.training.spec import Spec

SHORT = replace(DIGITS, data=replace(DIGITS.data, n_train=100, n_test=80), training=replace(DIGITS.training, epochs=3))


@cache
def short_data() -> Spec:
    return datasets.load(SHORT)


def untrained() -> torch.nn.Module:
    with loop.seeded(0):
        return short_data().network()


@pytest.mark.parametrize("epochs", [1, 2, 11, 12, 16, 17, 20, 40, 60, 64, 200, 1000])
def test_recorded_epochs_are_dense_early_with_both_ends(epochs):
    chosen = loop.recorded_epochs(TrainingConfig(epochs=epochs))
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 0
    assert chosen[-1] == epochs
    assert len(chosen) >= min(12, epochs + 1)
    assert len(chosen) <= 32
    steps = [b - a for a, b in pairwise(chosen)][:-1]  # the last step ends where training ends
    assert all(b >= a - 1 for a, b in pairwise(steps))  # rounding may shorten a step by one


def test_epochs_can_be_chosen_and_a_training_that_cannot_be_is_named():
    assert loop.recorded_epochs(TrainingConfig(epochs=5, checkpoints="all")) == [0, 1, 2, 3, 4, 5]
    assert loop.recorded_epochs(TrainingConfig(epochs=50, checkpoints=(20, 10))) == [0, 10, 20, 50]
    assert loop.recorded_epochs(TrainingConfig(epochs=0)) == [0]
    with pytest.raises(ValueError, match=r"checkpoints at epochs \[-1, 51\] are outside the training's 0 to 50"):
        loop.recorded_epochs(TrainingConfig(epochs=50, checkpoints=(-1, 7, 51)))
    with pytest.raises(ValueError, match="by the optimizer 'user' is not ours; choose sgd or adam"):
        weights_by_epoch(0, replace(SHORT.training, optimizer="user"))
    with pytest.raises(ValueError, match=r"diverged in epoch \d: .* lower learning_rate \(it is 1e\+30\)"):
        weights_by_epoch(0, replace(SHORT.training, learning_rate=1e30))


def weights_by_epoch(seed: int, config: TrainingConfig = SHORT.training) -> dict[int, torch.Tensor]:
    """Returns the last layer's weights at every epoch of a short training."""
    data, found = short_data(), {}
    network = untrained()

    def on_epoch(epoch: int, model: torch.nn.Module) -> None:
        assert not model.training
        found[epoch] = list(model.parameters())[-1].detach().clone()

    loop.train(network, data.train_inputs, data.train_labels, config, seed=seed, on_epoch=on_epoch)
    return found


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_train_is_decided_by_its_seed(optimizer):
    config = replace(SHORT.training, optimizer=optimizer)
    first, again, other = weights_by_epoch(0, config), weights_by_epoch(0, config), weights_by_epoch(1, config)
    assert list(first) == [0, 1, 2, 3]
    assert all(torch.equal(first[epoch], again[epoch]) for epoch in first)
    assert torch.equal(first[0], other[0])  # the untrained network
    assert not torch.equal(first[1], other[1])


def test_train_stops_when_told_and_restores_the_number_of_threads():
    data, seen = short_data(), []
    network = untrained()

    def on_epoch(epoch: int, _: torch.nn.Module) -> bool:
        seen.append(epoch)
        return epoch == 5

    config = replace(SHORT.training, epochs=100)
    loop.train(network, data.train_inputs, data.train_labels, config, seed=0, on_epoch=on_epoch)
    assert seen == [0, 1, 2, 3, 4, 5]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        weights_by_epoch(0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_evaluate_is_the_mean_over_all_samples():
    data = datasets.load(replace(DIGITS, data=replace(DIGITS.data, n_train=1100, n_test=10)))  # more than two batches
    network = untrained()
    loss, accuracy = loop.evaluate(network, data.train_inputs, data.train_labels)
    logits = network(data.train_inputs)
    log_p = logits.double().log_softmax(1)
    assert loss == pytest.approx(-log_p[torch.arange(1100), data.train_labels].mean().item(), abs=1e-6)
    assert accuracy == pytest.approx((logits.argmax(1) == data.train_labels).double().mean().item())
    data, network = short_data(), untrained()
    before = loop.evaluate(network, data.test_inputs, data.test_labels)[0]
    epoch = loop.train_to_convergence(network, data.test_inputs, data.test_labels, 0, config=SHORT.training)
    assert 0 < epoch <= loop.MAX_STRETCH * SHORT.training.epochs
    assert loop.evaluate(network, data.test_inputs, data.test_labels)[0] < before - 0.3


@pytest.mark.parametrize(
    ("losses", "stops_at", "kept"),
    [
        ([2.3, 1, 0.5, 0.3, 0.2, 0.009, 0.001], 5, 5),  # converged after the recipe's 3 epochs
        ([2.3, 0.02, 0.01, 0.005, 0.001], 3, 3),  # converged earlier: the recipe is finished first
        ([2.3, *(1.0 - 0.00005 * i for i in range(20))], 11, 11),  # too small improvements for 10 epochs
        ([2.3, 1.0, 0.5, 0.6] + [0.7] * 20, 12, 2),  # the lowest loss is kept
    ],
)
def test_train_to_convergence_stops_when_converged(monkeypatch, losses, stops_at, kept):
    monkeypatch.setattr(loop, "MAX_STRETCH", 6)
    data, network, weights = short_data(), untrained(), []

    def on_epoch(epoch: int, model: torch.nn.Module) -> float:
        weights.append(list(model.parameters())[-1].detach().clone())
        return losses[epoch]

    epoch = loop.train_to_convergence(network, data.test_inputs, data.test_labels, 0, on_epoch, config=SHORT.training)
    assert (len(weights) - 1, epoch) == (stops_at, kept)
    assert torch.equal(list(network.parameters())[-1], weights[kept])


@pytest.mark.parametrize("samples", [3, 150, 1000])
def test_seconds_of_many_samples_come_from_two_smaller_numbers(samples, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(loop.time, "perf_counter", lambda: clock[0])

    def measure(count):
        clock[0] += (5 if not clock[0] else 0) + 0.1 + 0.01 * count  # s; the first time all is loaded

    assert loop.seconds_by_samples(measure, samples) == pytest.approx(0.1 + 0.01 * samples if samples > 20 else 0.13)
