from dataclasses import replace

import pytest
import torch
from torch import nn

from interdash.masking.local import split_off_local
from interdash.masking.outputs import masked_outputs
from interdash.masking.variables import image_variables
from tests.masking.test_outputs import by_hand

N = 7


def padded():
    layers = nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
    return *layers, nn.AdaptiveMaxPool2d(2)


def strided():
    return nn.Conv2d(2, 3, (2, 3), stride=(2, 1), padding=2), nn.Tanh(), nn.MaxPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(2)


def dilated():
    return nn.Conv2d(2, 3, 2, dilation=2), nn.AvgPool2d(2, padding=1), nn.ReLU(), nn.AdaptiveMaxPool2d(2)


def game(layers):
    """Returns a network, whose first few layers are local, with inputs, labels and variables."""
    torch.manual_seed(0)
    network = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3)).eval()
    inputs, labels = torch.randn(3, 2, 14, 14), torch.tensor([0, 1, 2])
    network(inputs)
    for layer in network:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
    variables = image_variables(14, 14, n_variables=N, patch=2, baseline_image=torch.randn(2, 14, 14))
    return network, inputs, labels, variables


@pytest.mark.parametrize(("layers", "count"), [(padded, 3), (strided, 3), (dilated, 3)])
def test_layers_whose_places_see_few_variables_are_looked_up(layers, count):
    network, inputs, labels, variables = game(layers())
    local, rest = split_off_local(network, variables, 128)
    assert local and (len(local.layers), len(rest)) == (count, len(network) - count)
    with torch.no_grad():
        maps = local.layers(inputs)
        for i in range(N):  # a variable changes nothing where it is not seen
            changed = local.layers(torch.where(variables.assignment == i, inputs + 9, inputs)) != maps
            assert changed.any() and not (changed & ~local.seen[i]).any()
    for place in local.seen.flatten(1).t():
        colours = [colour for colour, seen in zip(local.colours, place, strict=True) if seen]
        assert len({*colours}) == len(colours)
    expected = by_hand(network, inputs, labels, variables)
    for budget in (100_000, 2**28):  # part of a sample in a batch, several samples
        v = masked_outputs(network, inputs, labels, variables, byte_budget=budget)
        assert (v - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_hooked_layer_sees_all_maps():
    network, inputs, labels, variables = game(padded())
    v, counts = masked_outputs(network, inputs, labels, variables), []
    for hooked in (2, 1, 0):
        counts.append([0])
        hook = network[hooked].register_forward_hook(lambda module, x, y: counts[-1].append(len(y)))
        assert torch.allclose(masked_outputs(network, inputs, labels, variables), v, atol=1e-5)
        hook.remove()
    assert all(sum(count) >= len(inputs) * 2**N for count in counts)


@pytest.mark.parametrize(
    ("layer", "change", "rows"),
    [
        (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), {}, 128),
        (nn.Conv2d(2, 3, 3, padding="same"), {}, 128),
        (nn.Conv2d(2, 3, 9), {}, 128),  # sees them all
        (nn.Conv2d(2, 3, 1), {}, 1),
        (nn.InstanceNorm2d(2), {}, 128),
        (nn.Conv2d(2, 3, 1), {"at": "first_activation"}, 128),
        (nn.Conv2d(2, 3, 1), {"assignment": torch.arange(N, dtype=torch.int16).repeat(3, 14, 2)}, 128),
    ],
)
def test_other_layers_variables_and_batches_go_the_plain_way(layer, change, rows):
    network, _, _, variables = game((layer, nn.ReLU()))
    assert split_off_local(network, replace(variables, **change), rows) == (None, network)
