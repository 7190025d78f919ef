"""Coherence of known networks, within a budget; measured on demand and resumed."""

import json
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.nn import functional

from interdash.commands.main import commands
from interdash.config import RunConfig
from interdash.formulas.coherence import coherence
from interdash.masking.variables import Explained
from interdash.queries import coherence as queries
from interdash.training import gradients, sample_gradients
from interdash.training.loop import seeded
from interdash.training.recorder import Recorder
from tests.conftest import store_of
from tests.training.test_sample_gradients import by_hand, perceptron, table_spec


def explained_of(spec, count=5):
    rows = torch.arange(count)
    inputs, labels = torch.cat([spec.train_inputs[rows]] * 2), torch.cat([spec.train_labels[rows]] * 2)
    split = ("train",) * count + ("test",) * count
    return Explained(inputs, labels, split, torch.cat([rows, rows]), spec.variables)


def test_measures_are_those_of_all_gradients():
    spec = table_spec(perceptron, noise=True)
    with seeded(1):
        network = perceptron().eval()
    found = gradients.coherence_of(network, spec, explained_of(spec), samples=1000)
    train = by_hand(network, spec.train_inputs, spec.train_labels)
    test = by_hand(network, spec.test_inputs, spec.test_labels)
    noisy = spec.train_labels != spec.true_train_labels
    for name, some in (("", train), ("/clean", train[~noisy]), ("/noisy", train[noisy])):
        known, mean = coherence(some), some.double().mean(0)
        assert found["measures"][f"rho{name}"][0] == pytest.approx(known.rho, rel=1e-3, abs=1e-5)
        transfer = float(test.double().mean(0) @ mean / (mean @ mean))
        assert found["measures"][f"transfer{name}"][0] == pytest.approx(transfer, rel=1e-3)
    assert {name for name in found["measures"] if name.startswith("rho/layer")} == {
        f"rho/layer {i}: {name}" for i, name in enumerate(("0", "2", "3"), start=1)
    }
    unit = functional.normalize(train, dim=1)
    others = ~torch.eye(len(unit), dtype=torch.bool)
    assert found["measures"]["cosine"][0] == pytest.approx(float((unit @ unit.T)[others].mean()), rel=1e-3)
    of_first = found["samples"]
    for i in range(5):  # trained on: itself left out; as a testing sample: beside all
        others = torch.cat([unit[:i], unit[i + 1 :]])
        assert of_first["coherence"][i] == pytest.approx(float((others @ unit[i]).mean()), abs=1e-5)
        assert of_first["coherence"][5 + i] == pytest.approx(float((unit @ unit[i]).mean()), abs=1e-5)
        assert of_first["norm"][i] == pytest.approx(float(train[i].norm()), rel=1e-4)
    assert of_first["noisy"] == [i % 6 == 0 for i in range(5)] + [None] * 5


def test_transfer_is_what_a_small_step_gains():
    """Testing and training loss along the gradient, by finite differences, within 1 %."""
    spec = table_spec(perceptron)
    with seeded(2):
        network = perceptron().double().eval()
    spec = replace(spec, train_inputs=spec.train_inputs.double(), test_inputs=spec.test_inputs.double())
    ratio = gradients.coherence_of(network, spec, explained_of(spec))["measures"]["transfer"][0]

    def loss(split):
        inputs, labels, _ = spec.split(split)
        return float(functional.cross_entropy(network(inputs), labels).detach())

    before = {split: loss(split) for split in ("train", "test")}
    step = sample_gradients.summed(network, spec.train_inputs, spec.train_labels)
    with torch.no_grad():
        for weight, each in zip(network.parameters(), step, strict=True):
            weight -= 1e-5 * each / len(spec.train_inputs)
    gained = {split: before[split] - loss(split) for split in before}
    assert ratio == pytest.approx(gained["test"] / gained["train"], rel=0.01)


def test_ten_million_weights_stay_within_the_budget():
    """A network of dense layers and one with a convolution: no m × P numbers, and the same result in small pieces."""
    for width, device, budget in ((3160, "meta", gradients.BUDGET), (1000, "cpu", gradients.BUDGET // 10)):
        layers = [nn.Linear(*size, device=device) for size in ((4, width), (width, width), (width, 2))]
        network = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        weights = list(network.parameters())
        count = sum(weight.numel() for weight in weights)  # the second, of a tenth of both, is measured
        groups, chunk, kept = gradients._sizes(weights, 1, 40, budget)
        assert groups == 6 and count > 0.9 * width**2 and (2 * groups + 2 * chunk + kept) * 4 * count <= budget
    spec = table_spec(lambda: None, samples=40)
    held = []
    make = torch.zeros

    def counted(*args, **kwargs):
        tensor = make(*args, **kwargs)
        held.append(tensor.numel() * tensor.element_size())
        return tensor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradients.torch, "zeros", counted)
        found = gradients.coherence_of(network, spec, explained_of(spec), budget=budget)
    assert sum(held) < 12.5 * 4 * count
    small = gradients.coherence_of(network, spec, explained_of(spec), budget=4 * 4 * count)
    assert gradients._sizes(weights, 1, 40, 4 * 4 * count) == (3, 1, 0)
    assert small["measures"]["rho"][0] == pytest.approx(found["measures"]["rho"][0], rel=1e-3, abs=1e-6)


def test_explained_samples_are_the_same_whether_kept_or_computed_again(monkeypatch):
    """Those drawn too are taken from the drawn ones where there is room; a third is kept, or all, or none."""
    spec = table_spec(perceptron, samples=40)
    with seeded(2):
        network = perceptron().eval()
    computed = []
    way = sample_gradients.gradients_of(network, spec.train_inputs[:4], spec.train_labels[:4])
    monkeypatch.setattr(gradients, "gradients_of", lambda *_: lambda x, y: computed.append(len(x)) or way(x, y))
    explained, real = explained_of(spec), gradients._sizes
    count = explained.split.count("train")
    found = []
    for kept in (count, count // 3, 0):
        monkeypatch.setattr(gradients, "_sizes", lambda *a, kept=kept: (*real(*a)[:2], kept))
        computed.clear()
        found.append(gradients.coherence_of(network, spec, explained)["samples"])
        assert sum(computed) == 40 + len(explained) - kept
        assert found[-1]["sample"] == list(range(len(explained))) and found[-1]["noisy"] == found[0]["noisy"]
        for name in ("coherence", "norm"):
            assert found[-1][name] == pytest.approx(found[0][name], rel=1e-5, abs=1e-7)
    rows = torch.arange(count)
    drawn = replace(explained, inputs=explained.inputs[rows], labels=explained.labels[rows], index=rows)
    monkeypatch.setattr(gradients, "_sizes", real)
    computed.clear()
    alone = gradients.coherence_of(network, spec, replace(drawn, split=("train",) * count))["samples"]
    assert sum(computed) == 40 and 0 not in computed  # nothing is left to be computed
    assert alone["coherence"] == pytest.approx(found[0]["coherence"][:count], rel=1e-5, abs=1e-7)


def test_measured_on_demand_and_resumed(fresh_run, monkeypatch):
    root = str(fresh_run.path.parent)

    def said(*arguments):
        result = CliRunner().invoke(commands, ["measure", "tiny", "--root", root, *arguments], catch_exceptions=False)
        assert result.exit_code == 0
        return result

    before = fresh_run.metrics()
    cost = json.loads(said("--coherence", "--estimate", "--json").stdout)["coherence"]
    assert cost["epochs"] == 3 and cost["samples"] == 300 and cost["seconds"] > 0 and cost["bytes"] > 0
    real = gradients.coherence_of
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    work = gradients.Work(fresh_run)
    monkeypatch.setattr(gradients, "coherence_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gradients.measure_coherence(work)
    assert work.left() == [1, 3]
    monkeypatch.setattr(gradients, "coherence_of", real)
    assert json.loads(said("--coherence", "--json").stdout) == {"coherence": 2}
    assert json.loads(said("--coherence", "--json").stdout) == {"coherence": 0}
    assert "nothing, all epochs are measured" in said("--coherence").stderr
    assert fresh_run.metrics().equals(before) and replace(work, samples=50).left() == [0, 1, 3]
    with store_of(fresh_run) as store:
        rows = queries.coherence(store, "tiny")
        kinds = store.ask("SELECT DISTINCT noisy FROM sample_gradients ORDER BY noisy")["noisy"].tolist()
    of_measure = rows[rows["measure"] == "m_coherence"]
    assert set(of_measure["part"]) == {"", "clean", "noisy", "layer 1: 1", "layer 2: 3", "layer 3: 5"}
    assert sorted(set(of_measure["layer"])) == [0, 1, 2, 3] and set(rows["epoch"]) == {0, 1, 3}
    assert kinds[:2] == [False, True] and rows["unit"].isin(["", "samples", "nats²", "nats a nat"]).all()


def test_an_epoch_that_diverged_has_no_measures(fresh_run):
    weights = fresh_run.load_checkpoint("target", 3)
    fresh_run.save_checkpoint("target", 3, {name: torch.full_like(w, torch.nan) for name, w in weights.items()})
    assert gradients.measure_coherence(gradients.Work(fresh_run)) == 3
    lines = {line["epoch"]: line["gradients"] for line in fresh_run.gradients()}
    assert lines[1]["measures"]["rho"][0] > 0 and lines[3]["measures"]["rho"][:3] == [None] * 3
    assert set(lines[3]["samples"]["norm"]) == {None}


def test_while_training(tmp_path):
    spec = table_spec(lambda: nn.Linear(4, 2), noise=True)
    model = nn.Linear(4, 2).train()
    options = {"epochs": 2, "checkpoints": (0, 2), "root": tmp_path, "samples_per_split": 3}
    with Recorder("mine", spec, coherence=True, **options) as recorder, torch.no_grad():
        for epoch in range(3):
            recorder.record(epoch, model)
    assert model.training and [line["epoch"] for line in recorder.run.gradients()] == [0, 2]
    assert gradients.Work(recorder.run).left() == []
    with Recorder("other", spec, **options) as recorder:
        recorder.record(0, model)
    assert recorder.run.gradients() == [] and isinstance(recorder.run.config, RunConfig)


def test_true_labels_are_one_a_sample():
    with pytest.raises(ValueError, match=r"true_train_labels has the shape \(3,\) beside 60 train_labels; pass one"):
        replace(table_spec(lambda: None), true_train_labels=torch.zeros(3, dtype=torch.long))
