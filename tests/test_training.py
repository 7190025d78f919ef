"""Training: seeds, recorded epochs, what a run holds afterwards, and that the tests' run overfits."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
import torch

from interdash import datasets, networks, training
from interdash.config import DataConfig, MaskingConfig, NetworkConfig, TrainingConfig
from interdash.presets import CENSUS, DIGITS, MOVIES
from interdash.runs import Run

SHORT = replace(
    DIGITS,
    data=replace(DIGITS.data, n_train=100, n_test=80),
    training=replace(DIGITS.training, epochs=3),
    masking=replace(DIGITS.masking, samples_per_split=5),
)


@cache
def short_data() -> datasets.Dataset:
    return datasets.load(SHORT.data)


@pytest.mark.parametrize("epochs", [1, 2, 11, 12, 16, 17, 20, 40, 60, 64, 200, 1000])
def test_recorded_epochs_are_dense_early_with_both_ends(epochs):
    chosen = training.recorded_epochs(TrainingConfig(epochs=epochs))
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 0
    assert chosen[-1] == epochs
    assert len(chosen) >= min(12, epochs + 1)
    assert len(chosen) <= 32
    steps = [b - a for a, b in pairwise(chosen)][:-1]  # the last step ends where training ends
    assert all(b >= a - 1 for a, b in pairwise(steps))  # rounding may shorten a step by one


def test_recorded_epochs_can_be_all_or_chosen():
    assert training.recorded_epochs(TrainingConfig(epochs=5, checkpoints="all")) == [0, 1, 2, 3, 4, 5]
    assert training.recorded_epochs(TrainingConfig(epochs=50, checkpoints=(20, 10))) == [0, 10, 20, 50]
    assert training.recorded_epochs(TrainingConfig(epochs=0)) == [0]
    with pytest.raises(ValueError, match=r"checkpoints at epochs \[-1, 51\] are outside the training's 0 to 50"):
        training.recorded_epochs(TrainingConfig(epochs=50, checkpoints=(-1, 7, 51)))


def weights_by_epoch(seed: int, config: TrainingConfig = SHORT.training) -> dict[int, torch.Tensor]:
    """Returns the last layer's weights at every epoch of a short training."""
    data, found = short_data(), {}
    network = networks.build("mlp", data, seed=0)

    def on_epoch(epoch: int, model: torch.nn.Module) -> None:
        assert not model.training
        found[epoch] = list(model.parameters())[-1].detach().clone()

    training.train(network, data.train_inputs, data.train_labels, config, seed=seed, on_epoch=on_epoch)
    return found


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_train_is_decided_by_its_seed(optimizer):
    config = replace(SHORT.training, optimizer=optimizer)
    first, again, other = weights_by_epoch(0, config), weights_by_epoch(0, config), weights_by_epoch(1, config)
    assert list(first) == [0, 1, 2, 3]
    assert all(torch.equal(first[epoch], again[epoch]) for epoch in first)
    assert torch.equal(first[0], other[0])  # the untrained network
    assert not torch.equal(first[1], other[1])


def test_train_restores_the_number_of_threads():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        weights_by_epoch(0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_train_stops_when_told():
    data, seen = short_data(), []
    network = networks.build("mlp", data, seed=0)

    def on_epoch(epoch: int, _: torch.nn.Module) -> bool:
        seen.append(epoch)
        return epoch == 5

    training.train(network, data.train_inputs, data.train_labels, SHORT.training, seed=0, on_epoch=on_epoch, epochs=100)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_train_refuses_an_unknown_optimizer_and_names_divergence():
    with pytest.raises(ValueError, match="no optimizer 'rmsprop'; choose sgd or adam"):
        weights_by_epoch(0, replace(SHORT.training, optimizer="rmsprop"))
    with pytest.raises(ValueError, match=r"diverged in epoch \d: .* lower learning_rate \(it is 1e\+30\)"):
        weights_by_epoch(0, replace(SHORT.training, learning_rate=1e30))


def test_evaluate_is_the_mean_over_all_samples():
    data = datasets.load(DataConfig("digits", n_train=1100, n_test=10))  # more than two batches
    network = networks.build("mlp", data, seed=0)
    loss, accuracy = training.evaluate(network, data.train_inputs, data.train_labels)
    logits = network(data.train_inputs)
    log_p = logits.double().log_softmax(1)
    assert loss == pytest.approx(-log_p[torch.arange(1100), data.train_labels].mean().item(), abs=1e-6)
    assert accuracy == pytest.approx((logits.argmax(1) == data.train_labels).double().mean().item())


def test_train_run_records_checkpoints_losses_and_samples(tmp_path):
    run, seen = training.create_run(tmp_path, SHORT), []
    training.train_run(run, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert run.is_finished("target")
    assert run.class_names == [str(digit) for digit in range(10)]
    assert run.checkpoint_epochs("target") == [0, 1, 2, 3]
    data, losses = short_data(), run.metrics().set_index("epoch")
    assert list(losses.index) == [0, 1, 2, 3]
    network = networks.build("mlp", data, seed=5)
    for epoch in (0, 3):
        network.load_state_dict(run.load_checkpoint("target", epoch))
        loss, accuracy = training.evaluate(network, data.train_inputs, data.train_labels)  # the noisy labels
        assert losses.train_loss[epoch] == pytest.approx(loss)
        assert losses.train_accuracy[epoch] == pytest.approx(accuracy)
        assert losses.test_loss[epoch] == pytest.approx(
            training.evaluate(network, data.test_inputs, data.test_labels)[0]
        )
    untrained = networks.build("mlp", data, seed=SHORT.training.seed).state_dict()
    assert all(torch.equal(value, untrained[key]) for key, value in run.load_checkpoint("target", 0).items())
    assert len(run.explained()) == 10


def test_train_run_does_nothing_twice_and_completes_an_interrupted_run(tmp_path):
    whole = training.create_run(tmp_path / "whole", SHORT)
    training.train_run(whole)
    training.train_run(whole, progress=lambda *_: pytest.fail("the target is finished"))

    class Interrupted(Exception):
        pass

    def interrupt(done: int, _: int) -> None:
        if done == 2:
            raise Interrupted

    run = training.create_run(tmp_path, SHORT)
    with pytest.raises(Interrupted):
        training.train_run(run, progress=interrupt)
    assert not run.is_finished("target")
    training.train_run(Run.open(tmp_path, run.name))
    assert run.metrics().equals(whole.metrics())
    for epoch in whole.checkpoint_epochs("target"):
        assert run.checkpoint_hash("target", epoch) == whole.checkpoint_hash("target", epoch)


def test_train_baseline_converges_on_the_testing_split(tmp_path):
    run, seen = training.create_run(tmp_path, SHORT), []
    training.train_baseline(run, 0, progress=lambda done, total: seen.append((done, total)))
    training.train_baseline(run, 1)
    assert run.networks() == ["baseline-0", "baseline-1"]
    last = training.MAX_STRETCH * SHORT.training.epochs  # a short recipe ends there
    assert seen[-1] == (last, last)
    for name in run.networks():
        (epoch,) = run.checkpoint_epochs(name)
        losses = run.metrics().query("network == @name").set_index("epoch")
        assert losses.test_loss[epoch] == losses.test_loss.min() < losses.test_loss[0] - 0.3
        assert losses.train_loss[epoch] > losses.test_loss[epoch]
    first, second = (run.checkpoint_hash(name, run.checkpoint_epochs(name)[0]) for name in run.networks())
    assert first != second
    training.train_baseline(run, 0, progress=lambda *_: pytest.fail("the baseline is finished"))


@pytest.mark.parametrize(
    ("losses", "stops_at", "kept"),
    [
        ([2.3, 1, 0.5, 0.3, 0.2, 0.009, 0.001], 5, 5),  # converged after the recipe's 3 epochs
        ([2.3, 0.02, 0.01, 0.005, 0.001], 3, 3),  # converged earlier: the recipe is finished first
        ([2.3, *(1.0 - 0.00005 * i for i in range(20))], 11, 11),  # too small improvements for 10 epochs
        ([2.3, 1.0, 0.5, 0.6] + [0.7] * 20, 12, 2),  # the lowest loss is kept
    ],
)
def test_train_baseline_stops_when_converged(tmp_path, monkeypatch, losses, stops_at, kept):
    by_call = iter(losses)
    monkeypatch.setattr(training, "_record", lambda *_: next(by_call))
    monkeypatch.setattr(training, "MAX_STRETCH", 6)
    run, seen = training.create_run(tmp_path, SHORT), []
    training.train_baseline(run, 0, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (stops_at, stops_at)
    assert run.checkpoint_epochs("baseline-0") == [kept]


def test_a_user_run_is_not_trained_without_its_spec(tmp_path):
    config = replace(SHORT, data=replace(SHORT.data, dataset="user"), network=NetworkConfig("user"))
    run = Run.create(tmp_path, config, ["a", "b"])
    with pytest.raises(ValueError, match=r"brings its own network and data; .* `interdash.Recorder`.* import"):
        training.train_run(run)
    with pytest.raises(ValueError, match=r"was recorded without a spec file"):
        training.train_baseline(run, 0)


def test_train_baseline_of_a_user_run_uses_its_spec(tmp_path):
    (tmp_path / "my_run.py").write_text(
        """
import torch
from interdash.config import MaskingConfig
from interdash.spec import Spec

def train(network, inputs, labels, seed):
    optimizer = torch.optim.SGD(network.parameters(), 0.5)
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(inputs), labels).backward()
        optimizer.step()

def spec():
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    return Spec(lambda: torch.nn.Linear(3, 2), x[:30], y[:30], x[30:], y[30:], MaskingConfig("table", 3), train=train)
"""
    )
    config = replace(SHORT, data=replace(SHORT.data, dataset="user"), network=NetworkConfig("user"))
    run = Run.create(tmp_path / "runs", config, ["a", "b"])
    training.train_baseline(run, 0, spec=f"{tmp_path}/my_run.py:spec")
    assert run.is_finished("baseline-0")
    assert run.metrics().test_accuracy.item() > 0.8


def test_explained_samples_come_from_both_splits_with_the_labels_trained_on():
    data = datasets.load(replace(SHORT.data, label_noise=1.0))
    explained = training.explained_samples(data, SHORT.masking)
    assert explained.split == ("train",) * 5 + ("test",) * 5
    for sample, (split, index) in enumerate(zip(explained.split, explained.index.tolist(), strict=True)):
        inputs, labels = (
            (data.train_inputs, data.train_labels) if split == "train" else (data.test_inputs, data.test_labels)
        )
        assert torch.equal(explained.inputs[sample], inputs[index])
        assert explained.labels[sample] == labels[index]
    assert explained.variables.n_variables == 8
    assert torch.allclose(explained.variables.baseline, data.train_inputs.mean(0), atol=1e-6)
    again = training.explained_samples(data, SHORT.masking)
    assert torch.equal(again.inputs, explained.inputs)
    assert not torch.equal(training.explained_samples(data, replace(SHORT.masking, seed=1)).inputs, explained.inputs)


def test_explained_samples_of_a_table_have_its_columns_as_variables():
    data = datasets.load(replace(CENSUS.data, n_train=200, n_test=200))
    explained = training.explained_samples(data, CENSUS.masking)
    assert explained.variables.names == data.column_names
    assert explained.variables.assignment.tolist() == list(data.column_of_feature)
    assert explained.display[60] == data.test_display[explained.index[60]]
    with pytest.raises(ValueError, match="n_variables is 10, but the table has 12 columns"):
        training.explained_samples(data, replace(CENSUS.masking, n_variables=10))


def test_explained_samples_of_a_text_have_known_words_as_variables():
    data = datasets.load(MOVIES.data)
    explained = training.explained_samples(data, MOVIES.masking)
    assert len(explained) == 100
    assert explained.variables.baseline == datasets.UNKNOWN
    known = set(data.vocabulary) - datasets.STOP_WORDS
    for sample in range(100):
        words = explained.variables.names_of(sample)
        assert len(words) == 10
        assert set(words) <= known
        masked = explained.inputs[sample][explained.variables.assignment[sample] >= 0].tolist()
        assert [data.vocabulary[i] for i in masked] == list(words)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "table"}, "masking.kind is 'table', but the data are of kind 'image'"),
        ({"baseline": "token"}, "masking.baseline is 'token' for data of kind 'image'; use 'token' for texts"),
        ({"samples_per_split": 101}, "samples_per_split is 101, but the train split has 100 samples"),
        ({"samples_per_split": 90}, "samples_per_split is 90, but the test split has 80 samples"),
    ],
)
def test_explained_samples_refuses_what_does_not_fit(change, message):
    masking: MaskingConfig = replace(SHORT.masking, **change)
    with pytest.raises(ValueError, match=message):
        training.explained_samples(short_data(), masking)
