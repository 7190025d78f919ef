"""Gradients of single samples: every way gives those by hand, and what has none is refused."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from interdash.masking.variables import table_variables
from interdash.presets import PRESETS
from interdash.training import datasets, sample_gradients
from interdash.training.loop import seeded
from interdash.training.spec import Spec


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


class Convolutions(nn.Module):
    """Convolutions of every kind, what they give changed in place, and one module that is not used."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))
        self.second = nn.Conv2d(4, 6, 3, groups=2, padding=1, bias=False)
        self.last = nn.Linear(6, 2)
        self.frozen = nn.Conv2d(1, 1, 1).requires_grad_(False)

    def forward(self, x):
        h = self.first(x.view(-1, 1, 1, x.shape[1]).repeat(1, 1, 5, 2)).relu_()
        return self.last(self.second(h).sigmoid_().mean((2, 3)))


class Words(nn.Module):
    """Convolutions over words, filled up around by what is there: the second way."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv1d(1, 2, 3, padding=1, padding_mode="circular")

    def forward(self, x):
        return self.layer(x[:, None]).mean(2)


class Twice(nn.Module):
    """Uses one dense layer twice."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.outer(self.inner(torch.tanh(self.inner(x))))


def perceptron():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 2))


@pytest.mark.parametrize("network", [perceptron, InPlace, Twice, Convolutions, Words, lambda: nn.Linear(4, 2)])
def test_every_way_gives_the_gradients_by_hand(network):
    with seeded(0):
        model = network().eval()
    spec = table_spec(network)
    few = spec.train_inputs[:9], spec.train_labels[:9]
    rows = sample_gradients.gradients_of(model, *few)(*few)
    expected = by_hand(model, *few)
    ones = torch.eye(9)
    found = torch.cat([sample_gradients.weighted(ones, each) for each in rows], dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    total = sum(sample_gradients.squares(each) for each in rows)
    torch.testing.assert_close(total, (expected.double() ** 2).sum(1), rtol=1e-5, atol=1e-8)
    direction = torch.randn(expected.shape[1])
    sizes = [each[0].shape[1] * each[1].shape[1] if isinstance(each, tuple) else each.shape[1] for each in rows]
    parts = direction.split(sizes)
    product = sum(sample_gradients.along(each, part) for each, part in zip(rows, parts, strict=True))
    torch.testing.assert_close(product, expected @ direction, rtol=1e-4, atol=1e-5)


def test_dense_layers_and_convolutions_are_read_in_one_pass(monkeypatch):
    """Without `torch.func`, whose first use imports a second's worth of modules."""
    monkeypatch.setattr(sample_gradients, "vmap", lambda *args, **kwargs: pytest.fail("asked torch.func"))
    monkeypatch.setattr(sample_gradients, "_at_once", lambda *args: None)
    few = torch.randn(5, 4), torch.tensor([0, 1, 0, 1, 1])
    rows = sample_gradients.gradients_of(Convolutions().eval(), *few)(*few)
    assert [type(each) for each in rows] == [torch.Tensor] * 3 + [tuple, torch.Tensor]  # of dense layers the factors


@pytest.mark.parametrize("architecture", ["mlp", "lenet", "vgg", "resnet8"])
def test_built_in_images_go_the_first_way(architecture, caplog):
    config = PRESETS["digits" if architecture == "mlp" else "fashion"].config
    config = replace(config, network=replace(config.network, architecture=architecture))
    with caplog.at_level("INFO", "interdash.training.sample_gradients"):
        spec = datasets.load(config)
        with seeded(0):
            network = spec.network().eval()
        few = spec.train_inputs[:3], spec.train_labels[:3]
        rows = sample_gradients.gradients_of(network, *few)(*few)
    assert not caplog.records
    found = torch.cat([sample_gradients.weighted(torch.eye(3), each) for each in rows], dim=1)
    torch.testing.assert_close(found, by_hand(network, *few), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("preset", ["movies", "census"])
def test_words_and_tables_have_a_way(preset):
    spec = datasets.load(PRESETS[preset].config)
    with seeded(0):
        network = spec.network().eval()
    few = spec.train_inputs[:3], spec.train_labels[:3]
    rows = sample_gradients.gradients_of(network, *few)(*few)
    found = torch.cat([sample_gradients.weighted(torch.eye(3), each) for each in rows], dim=1)
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
        sample_gradients.gradients_of(network().eval(), spec.train_inputs[:9], spec.train_labels[:9])


def test_a_network_without_trained_weights_is_refused():
    frozen = nn.Linear(4, 2).requires_grad_(False)
    with pytest.raises(ValueError, match="no weight that is trained, so that it has no gradients; set requires_grad"):
        sample_gradients.gradients_of(frozen, torch.zeros(4, 4), torch.zeros(4, dtype=torch.long))


@pytest.mark.parametrize("worst", [3.0, torch.nan, torch.inf])
@pytest.mark.parametrize("options", [{}, {"stride": 1, "padding": 1}, {"ceil_mode": True}, {"dilation": 2}])
def test_pooling_of_gradients_is_that_of_the_layer(worst, options):
    pool = nn.MaxPool2d(2, **options)
    with seeded(0):
        maps = torch.randn(3, 2, 9, 7).relu()  # with ties
    maps[1, 1, 4, 4] = worst
    maps.requires_grad_()
    found, expected = sample_gradients._highest(pool, maps), pool(maps)
    assert torch.equal(found.isnan(), expected.isnan()) and torch.equal(found.nan_to_num(), expected.nan_to_num())
    direction = torch.arange(expected.numel(), dtype=torch.float32).view_as(expected)
    ours, theirs = (torch.autograd.grad(out, maps, direction)[0] for out in (found, expected))
    torch.testing.assert_close(ours, theirs)


def test_pools_are_put_back():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 2)).eval()
    sample_gradients.summed(network, torch.randn(2, 1, 4, 4), torch.tensor([0, 1]))
    assert "forward" not in vars(network[1])


def test_weights_that_diverged_are_refused():
    network = nn.Linear(4, 2)
    network.weight.data.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"not finite .* has training diverged"):
        sample_gradients.gradients_of(network, torch.randn(4, 4), torch.zeros(4, dtype=torch.long))
