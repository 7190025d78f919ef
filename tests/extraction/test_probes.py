"""Probes on layers: the one optimum, which layers, the same masked passes, exact where the answer is known."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from interdash.extraction import probes
from interdash.extraction.probes import Probe, features_of, fit, flat, layer_outputs, layers_of
from interdash.formulas.interactions import and_interactions
from interdash.masking.outputs import masked_outputs
from interdash.masking.variables import Explained, image_variables, table_variables
from interdash.solver.sparsify import sparse_split


def points(count=60, width=4, seed=0, classes=2):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, width, generator=generator)
    return x, (x @ torch.randn(width, classes, generator=generator)).argmax(1)


def explained(count=3, width=4):
    x, y = points(count, width, seed=1)
    variables = table_variables(list(range(width)), [f"x{i}" for i in range(width)], torch.zeros(width))
    return Explained(x, y, ("train",) * count, torch.arange(count), variables)


def network(width=4, hidden=8, classes=2):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, classes)).eval()


@pytest.mark.parametrize("width", [4, 200])  # fewer and more features than samples
def test_a_probe_is_the_one_optimum(width):
    x, y = points(60, width, classes=3)
    x = x * torch.linspace(1, 3, width) + 7
    probe = fit(x, [y], 3, l2=0.05)[0]
    standard = (x.double() - x.double().mean(0)) / x.double().std(0, correction=0)
    weight = (probe.weight * x.double().std(0, correction=0)[:, None]).requires_grad_()
    bias = (probe.bias + x.double().mean(0) @ probe.weight).requires_grad_()
    logits = standard @ weight + bias
    torch.testing.assert_close(logits, probe(x.double()), atol=1e-9, rtol=1e-9)
    (functional.cross_entropy(logits, y) + 0.025 * (weight**2).sum()).backward()
    assert max(weight.grad.abs().max(), bias.grad.abs().max()) < 1e-4


def test_features_that_never_or_rarely_change(monkeypatch):
    x, y = points()
    x = torch.cat([x, torch.full((60, 1), 3.0), torch.zeros(60, 1)], 1)
    x[0, 5] = 1e-4
    probe = fit(x, [y], 2)[0]
    assert (probe.weight[4] == 0).all() and torch.isfinite(probe.weight).all()
    far = probe(torch.tensor([[0, 0, 0, 0, 3, 1e-2]])) - probe(torch.tensor([[0, 0, 0, 0, 3, 0.0]]))
    assert far.abs().max() < 1  # 100 times as far as in any sample
    with pytest.raises(ValueError, match=r"the L2 of a probe is 0; it must be above 0"):
        fit(x, [y], 2, l2=0)
    with pytest.raises(ValueError, match=r"the features of a layer have NaN or infinity; check the network's weights"):
        fit(x * torch.nan, [y], 2)
    monkeypatch.setattr(probes, "TOLERANCE", -1)
    with pytest.raises(ValueError, match=r"a probe on 5 axes of features did not converge: "):
        fit(x, [y], 2)


def test_the_networks_own_head_gives_its_outputs_by_the_same_passes():
    model, few = network(), explained()
    rows = []
    model.register_forward_hook(lambda module, args, out: rows.append(len(out)))
    v = layer_outputs(model, few, [("2", model[3]), ("2", model[3])])
    assert v.shape == (3, 3, 16) and torch.equal(v[0], v[1]) and torch.equal(v[0], v[2])
    assert sum(rows) == 3 * 16 + 1  # one to look at the network
    torch.testing.assert_close(
        v[0], masked_outputs(network(), few.inputs, few.labels, few.variables), atol=1e-5, rtol=0
    )
    assert not model[2]._forward_hooks


def test_two_classes_of_additive_features_have_no_interactions():
    model, (x, y), few = network(), points(), explained()
    v = layer_outputs(model, few, [("0", fit(x, [y], 2)[0])])[1]
    size, split = torch.tensor([bin(s).count("1") for s in range(16)]), sparse_split(v, 0.0)
    assert and_interactions(v)[:, size > 1].abs().max() < 1e-5 and split.i_and[:, size == 1].abs().max() > 0.5
    assert max(split.i_and[:, size > 1].abs().max(), split.i_or[:, size > 1].abs().max()) < 1e-3  # no more than the gap


def test_features_masked_at_the_first_activation():
    """The mask lies before what is read, even of that activation itself; layers before it are not to be had."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2)).eval()
    baseline = torch.zeros(1, 4, 4)
    variables = image_variables(4, 4, n_variables=4, layout="whole", baseline_image=baseline, at="first_activation")
    x = torch.rand(1, 1, 4, 4)
    few = Explained(x, torch.tensor([1]), ("train",), torch.tensor([0]), variables)
    v = layer_outputs(model, few, [("1", Probe(torch.ones(32, 2) * torch.tensor([0.0, 1.0]), torch.zeros(2)))])[1]
    assert v[0, 0] == 0 and v[0, -1] == pytest.approx(float(model[:2](x).detach().sum()), rel=1e-5)
    assert layers_of(model, x, variables) == ("1",)
    with pytest.raises(ValueError, match=r"layer '0' runs 1 times, or before the masking; choose of 1, 2, 3"):
        layers_of(model, x, variables, ["0"])


def test_which_layers(monkeypatch):
    few = explained()
    relu = nn.ReLU()
    again = nn.Sequential(nn.Linear(4, 4), relu, nn.Linear(4, 4), relu, nn.Linear(4, 2)).eval()
    assert layers_of(network(), few.inputs[:1], few.variables) == ("2",)
    assert layers_of(again, few.inputs[:1], few.variables) == ("0", "2")
    assert layers_of(again, few.inputs[:1], few.variables, ["4", "0"]) == ("0", "4")
    monkeypatch.setattr(probes, "MOST_LAYERS", 1)
    assert layers_of(again, few.inputs[:1], few.variables) == ("0",)
    with pytest.raises(ValueError, match=r"layer '1' runs 2 times, or before the masking; choose of 0, 2, 4"):
        layers_of(again, few.inputs[:1], few.variables, ["1"])
    with pytest.raises(ValueError, match=r"layer 'pool' is not there; choose of 0, 2, 4"):
        layers_of(again, few.inputs[:1], few.variables, ["pool"])
    with pytest.raises(ValueError, match=r"no layer before its last one that runs once; name one with --layers"):
        layers_of(nn.Sequential(nn.Linear(4, 2)).eval(), few.inputs[:1], few.variables)


def test_large_maps_are_averaged_over_places(monkeypatch):
    monkeypatch.setattr(probes, "MOST_FEATURES", 8)
    maps, sequence = torch.arange(32.0).view(1, 2, 4, 4), torch.arange(24.0).view(1, 12, 2)
    assert flat(maps).tolist() == functional.avg_pool2d(maps, 2).flatten(1).tolist()
    assert flat(sequence).tolist() == sequence.view(1, 4, 3, 2).mean(2).transpose(1, 2).flatten(1).tolist()
    assert flat(maps[:, :1, :2, :2]).tolist() == [[0, 1, 4, 5]]
    features = features_of(network(), ["2"], points(5)[0])
    assert features[""].shape == (5, 2) and features["2"].shape == (5, 8) and np.all(features["2"].numpy() >= 0)
