"""The built-in networks: shapes, seeds, padding, and an output that depends on one sample alone."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch.nn import functional

from interdash.config import NetworkConfig
from interdash.presets import PRESETS
from interdash.training import datasets, networks
from interdash.training.loop import seeded
from interdash.training.networks import PAD
from interdash.training.spec import Spec

FITTING = {
    "mlp": "digits",
    "mlp-5x100": "census",
    "lenet": "mnist",
    "vgg": "fashion",
    "resnet8": "fashion",
    "word-convolution": "movies",
}


@cache
def data(name: str) -> Spec:
    config = PRESETS[name].config
    return datasets.load(replace(config, data=replace(config.data, n_train=64, n_test=8)))


def build(architecture: str, seed: int) -> torch.nn.Module:
    config = PRESETS[FITTING[architecture]].config
    config = replace(config, data=replace(config.data, n_train=64, n_test=8))
    spec = datasets.load(replace(config, network=NetworkConfig(architecture)))
    with seeded(seed):
        return spec.network()


@pytest.mark.parametrize("architecture", FITTING)
def test_build_gives_logits_that_depend_on_one_sample_alone(architecture):
    dataset = data(FITTING[architecture])
    network = build(architecture, 0)
    logits = network(dataset.train_inputs)
    assert logits.shape == (64, len(dataset.class_names))
    assert logits.isfinite().all()
    assert logits.std() > 0
    alone = torch.cat([network(x[None]) for x in dataset.train_inputs[:8]])
    assert torch.allclose(alone, logits[:8], atol=1e-5)
    assert torch.equal(network.eval()(dataset.train_inputs), logits)


@pytest.mark.parametrize("architecture", FITTING)
def test_network_depends_on_its_seed_alone(architecture):
    before = torch.random.get_rng_state()
    first, again, other = (build(architecture, seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("architecture", FITTING)
def test_build_gives_a_network_whose_every_weight_is_trained(architecture):
    dataset = data(FITTING[architecture])
    network = build(architecture, 0)
    functional.cross_entropy(network(dataset.train_inputs), dataset.train_labels).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_word_convolution_does_not_see_padding():
    dataset = data("movies")
    network = build("word-convolution", 0)
    assert isinstance(network, networks.WordConvolution)
    sentence = dataset.train_inputs[:1][:, : int((dataset.train_inputs[0] != PAD).sum())]
    longest = dataset.train_inputs[(dataset.train_inputs != PAD).sum(1).argmax()][None]
    padded = functional.pad(sentence, (0, longest.shape[1] - sentence.shape[1]), value=PAD)
    beside_longer = network(torch.cat([padded, longest]))[:1]
    assert torch.allclose(network(sentence), beside_longer, atol=1e-5)
    swapped = sentence.clone()
    swapped[0, [0, 1]] = sentence[0, [1, 0]]
    assert not torch.allclose(network(swapped), network(sentence), atol=1e-6)  # it does see the order of words


def test_build_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="no architecture 'resnet'; choose one of mlp, mlp-5x100, lenet"):
        networks.build("resnet", data("mnist"))
    with pytest.raises(ValueError, match=r"word-convolution does not fit inputs of torch\.float32; choose another"):
        networks.build("word-convolution", data("mnist"))
    with pytest.raises(ValueError, match=r"mlp does not fit inputs of torch\.int64"):
        networks.build("mlp", data("movies"))
    with pytest.raises(
        ValueError, match=r"lenet needs images .* at least 12 pixels; the inputs have shape \[1, 8, 8\]"
    ):
        networks.build("lenet", data("digits"))
    with pytest.raises(ValueError, match=r"vgg needs images .* the inputs have shape \[\d+\]"):
        networks.build("vgg", data("census"))
    assert set(FITTING) == set(networks.ARCHITECTURES)
