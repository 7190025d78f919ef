"""The built-in runs: what one holds after its training, and the samples that it explains."""

from dataclasses import replace

import pytest
import torch

from interdash.config import NetworkConfig, RunConfig
from interdash.masking.variables import Explained
from interdash.presets import CENSUS, DIGITS, MOVIES
from interdash.runs.run import Run
from interdash.training import builtin, datasets, loop
from interdash.training.network_of_run import train_baseline
from interdash.training.spec import Spec, explained_samples

SHORT = replace(
    DIGITS,
    data=replace(DIGITS.data, n_train=100, n_test=80),
    training=replace(DIGITS.training, epochs=3),
    masking=replace(DIGITS.masking, samples_per_split=5),
)


def explained(config: RunConfig, spec: Spec) -> Explained:
    return explained_samples(spec, config.masking.samples_per_split, config.masking.seed)


def test_train_run_records_checkpoints_losses_and_samples(tmp_path):
    run, seen = builtin.create_run(tmp_path, SHORT), []
    builtin.train_run(run, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert run.is_finished("target")
    assert run.class_names == [str(digit) for digit in range(10)]
    assert run.checkpoint_epochs("target") == [0, 1, 2, 3]
    data, losses = datasets.load(SHORT), run.metrics().set_index("epoch")
    assert list(losses.index) == [0, 1, 2, 3]
    network = data.network()
    for epoch in (0, 3):
        network.load_state_dict(run.load_checkpoint("target", epoch))
        loss, accuracy = loop.evaluate(network, data.train_inputs, data.train_labels)  # the noisy labels
        assert losses.train_loss[epoch] == pytest.approx(loss)
        assert losses.train_accuracy[epoch] == pytest.approx(accuracy)
        assert losses.test_loss[epoch] == pytest.approx(loop.evaluate(network, data.test_inputs, data.test_labels)[0])
    with loop.seeded(SHORT.training.seed):
        untrained = data.network().state_dict()
    assert all(torch.equal(value, untrained[key]) for key, value in run.load_checkpoint("target", 0).items())
    assert len(run.explained()) == 10 and sorted(run.explained().stratum) == sorted([*range(5), *range(5)])
    config = replace(SHORT, data=replace(SHORT.data, dataset="user"), network=NetworkConfig("user"))
    run = Run.create(tmp_path / "user", config, ["a", "b"])
    with pytest.raises(ValueError, match=r"brings its own network and data; .* `interdash.Recorder`.* import"):
        builtin.train_run(run)
    with pytest.raises(ValueError, match=r"was recorded without a spec file"):
        train_baseline(run, 0)


def test_train_run_does_nothing_twice_and_completes_an_interrupted_run(tmp_path):
    whole = builtin.create_run(tmp_path / "whole", SHORT)
    builtin.train_run(whole)
    builtin.train_run(whole, progress=lambda *_: pytest.fail("the target is finished"))

    class Interrupted(Exception):
        pass

    def interrupt(done: int, _: int) -> None:
        if done == 2:
            raise Interrupted

    run = builtin.create_run(tmp_path, SHORT)
    with pytest.raises(Interrupted):
        builtin.train_run(run, progress=interrupt)
    assert not run.is_finished("target")
    builtin.train_run(Run.open(tmp_path, run.name))
    assert run.metrics().equals(whole.metrics())
    for epoch in whole.checkpoint_epochs("target"):
        assert run.checkpoint_hash("target", epoch) == whole.checkpoint_hash("target", epoch)


def test_train_baseline_converges_on_the_testing_split(tmp_path):
    run, seen = builtin.create_run(tmp_path, SHORT), []
    train_baseline(run, 0, progress=lambda done, total: seen.append((done, total)))
    train_baseline(run, 1)
    assert run.networks() == ["baseline-0", "baseline-1"]
    last = loop.MAX_STRETCH * SHORT.training.epochs  # a short recipe ends there
    assert seen[-1] == (last, last)
    for name in run.networks():
        (epoch,) = run.checkpoint_epochs(name)
        losses = run.metrics().query("network == @name").set_index("epoch")
        assert losses.test_loss[epoch] == losses.test_loss.min() < losses.test_loss[0] - 0.3
        assert losses.train_loss[epoch] > losses.test_loss[epoch]
    first, second = (run.checkpoint_hash(name, run.checkpoint_epochs(name)[0]) for name in run.networks())
    assert first != second
    train_baseline(run, 0, progress=lambda *_: pytest.fail("the baseline is finished"))


def test_explained_samples_come_from_both_splits_with_the_labels_trained_on():
    config = replace(SHORT, data=replace(SHORT.data, label_noise=1.0))
    data = datasets.load(config)
    drawn = explained(config, data)
    assert drawn.split == ("train",) * 5 + ("test",) * 5
    for sample, (split, index) in enumerate(zip(drawn.split, drawn.index.tolist(), strict=True)):
        inputs, labels = (
            (data.train_inputs, data.train_labels) if split == "train" else (data.test_inputs, data.test_labels)
        )
        assert torch.equal(drawn.inputs[sample], inputs[index])
        assert drawn.labels[sample] == labels[index]
    assert drawn.variables.n_variables == 8
    assert torch.allclose(drawn.variables.baseline, data.train_inputs.mean(0), atol=1e-6)
    again = explained(config, data)
    assert torch.equal(again.inputs, drawn.inputs)
    other = replace(config, masking=replace(config.masking, seed=1))
    assert not torch.equal(explained(other, data).inputs, drawn.inputs)
    drawn = explained_samples(datasets.load(SHORT), 90, 0)
    assert drawn.split == ("train",) * 90 + ("test",) * 80


def test_explained_samples_of_tables_and_texts_have_columns_and_known_words_as_variables():
    config = replace(CENSUS, data=replace(CENSUS.data, n_train=200, n_test=200))
    data = datasets.load(config)
    drawn = explained(config, data)
    assert drawn.variables.names == data.columns
    assert drawn.variables.assignment.tolist() == list(data.column_of_feature)
    assert drawn.display[60] == data.test_display[int(drawn.index[60])]
    data = datasets.load(MOVIES)
    drawn = explained(MOVIES, data)
    assert len(drawn) == 100
    assert drawn.variables.baseline == datasets.UNKNOWN
    vocabulary = datasets.vocabulary(data.train_display)
    known = set(vocabulary) - datasets.STOP_WORDS
    for sample in range(100):
        words = drawn.variables.names_of(sample)
        assert len(words) == 10
        assert set(words) <= known
        masked = drawn.inputs[sample][drawn.variables.assignment[sample] >= 0].tolist()
        assert [vocabulary[i] for i in masked] == list(words)
