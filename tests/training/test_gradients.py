"""Gradients of single samples: by every way, of known networks, within a budget; measured on demand and resumed."""

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
from interdash.masking.variables import Explained, table_variables
from interdash.presets import PRESETS
from interdash.queries import coherence as queries
from interdash.training import datasets, gradients
from interdash.training.loop import seeded
from interdash.training.recorder import Recorder
from interdash.training.spec import Spec
from tests.conftest import store_of


def table_spec(network, samples=60, features=4, noise=False):
    """A spec with a table of two classes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2 * samples, features, generator=generator)
    y = (x[:, 0] > 0).long()
    trained = torch.where(torch.arange(samples) % 6 == 0, 1 - y[:samples], y[:samples]) if noise else y[:samples]
    names = [f"x{i}" for i in range(features)]
    variables = table_variables(list(range(features)), names, x.mean(0))
    known = {"true_train_labels": y[:samples]} if noise else {}
    return Spec(network, x[:samples], trained, x[samples:], y[samples:], variables, **known)


def explained_of(spec, count=5):
    rows = torch.arange(count)
    inputs, labels = torch.cat([spec.train_inputs[rows]] * 2), torch.cat([spec.train_labels[rows]] * 2)
    split = ("train",) * count + ("test",) * count
    return Explained(inputs, labels, split, torch.cat([rows, rows]), spec.variables)


def by_hand(network, inputs, labels):
    """Gradients `[samples, P]`, one backward pass each."""
    rows = []
    for x, y in zip(inputs, labels, strict=True):
        loss = functional.cross_entropy(network(x[None]), y[None])
        found = torch.autograd.grad(loss, [w for w in network.parameters() if w.requires_grad])
        rows.append(torch.cat([g.flatten() for g in found]))
    return torch.stack(rows)


class InPlace(nn.Module):
    """Writes into what it computed, and asks a number of it, which torch.func does not allow."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        h = self.layer(x)
        h[:, 0] += float(h.detach().sum().item() > 1e9)
        return h


class Twice(nn.Module):
    """Uses one dense layer twice."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.outer(self.inner(torch.tanh(self.inner(x))))


def perceptron():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 2))


@pytest.mark.parametrize("network", [perceptron, InPlace, Twice, lambda: nn.Linear(4, 2)])
def test_every_way_gives_the_gradients_by_hand(network):
    with seeded(0):
        model = network().eval()
    spec = table_spec(network)
    few = spec.train_inputs[:9], spec.train_labels[:9]
    rows = gradients.gradients_of(model, *few)(*few)
    expected = by_hand(model, *few)
    ones = torch.eye(9)
    found = torch.cat([gradients.weighted(ones, each) for each in rows], dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    total = sum(gradients.squares(each) for each in rows)
    torch.testing.assert_close(total, (expected.double() ** 2).sum(1), rtol=1e-5, atol=1e-8)
    direction = torch.randn(expected.shape[1])
    sizes = [each[0].shape[1] * each[1].shape[1] if isinstance(each, tuple) else each.shape[1] for each in rows]
    parts = direction.split(sizes)
    product = sum(gradients.along(each, part) for each, part in zip(rows, parts, strict=True))
    torch.testing.assert_close(product, expected @ direction, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["mlp", "lenet", "vgg", "resnet8"])
def test_built_in_images_go_through_torch_func(architecture, caplog):
    config = PRESETS["digits" if architecture == "mlp" else "fashion"].config
    config = replace(config, network=replace(config.network, architecture=architecture))
    with caplog.at_level("INFO", "interdash.training.gradients"):
        spec = datasets.load(config)
        network = spec.network().eval()
        few = spec.train_inputs[:3], spec.train_labels[:3]
        rows = gradients.gradients_of(network, *few)(*few)
    assert not caplog.records
    found = torch.cat([gradients.weighted(torch.eye(3), each) for each in rows], dim=1)
    torch.testing.assert_close(found, by_hand(network, *few), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("preset", ["movies", "census"])
def test_words_and_tables_have_a_way(preset):
    spec = datasets.load(PRESETS[preset].config)
    network = spec.network().eval()
    few = spec.train_inputs[:3], spec.train_labels[:3]
    rows = gradients.gradients_of(network, *few)(*few)
    found = torch.cat([gradients.weighted(torch.eye(3), each) for each in rows], dim=1)
    torch.testing.assert_close(found, by_hand(network, *few), rtol=1e-3, atol=1e-5)


class Alone(nn.Module):
    """Normalises over the batch."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        h = self.layer(x)
        return h - h.mean(0)


@pytest.mark.parametrize("network", [Alone, lambda: nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2, momentum=None,
                                     track_running_stats=False))])  # fmt: skip
def test_statistics_of_a_batch_are_refused(network):
    spec = table_spec(network)
    with pytest.raises(ValueError, match="the gradient of a batch is not the sum of its samples' gradients; coherence"):
        gradients.gradients_of(network().eval(), spec.train_inputs[:9], spec.train_labels[:9])


def test_a_network_without_trained_weights_is_refused():
    frozen = nn.Linear(4, 2).requires_grad_(False)
    with pytest.raises(ValueError, match="no weight that is trained, so that it has no gradients; set requires_grad"):
        gradients.gradients_of(frozen, torch.zeros(4, 4), torch.zeros(4, dtype=torch.long))


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
    step = gradients.summed(network, spec.train_inputs, spec.train_labels)
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
        groups, chunk = gradients._sizes(weights, 1, 40, budget)
        assert groups == 6 and count > 0.9 * width**2 and (2 * groups + 2 * chunk) * 4 * count <= budget
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
    assert gradients._sizes(weights, 1, 40, 4 * 4 * count) == (3, 1)
    assert small["measures"]["rho"][0] == pytest.approx(found["measures"]["rho"][0], rel=1e-3, abs=1e-6)


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
