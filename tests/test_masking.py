import math

import pytest
import torch
from torch import nn

from interdash import subsets
from interdash.masking import (
    Variables,
    baseline_values,
    image_variables,
    log_odds,
    masked_outputs,
    table_variables,
    text_variables,
)


def convolutional(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 4 * 4, classes),
    )


def dense(features: int, classes: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(features, 8), nn.ReLU(), nn.Linear(8, classes))


class Sentence(nn.Module):
    def __init__(self, vocabulary: int = 30):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(vocabulary, 6), nn.Linear(6, 2)

    def forward(self, tokens):
        return self.head(torch.tanh(self.embedding(tokens)).mean(1))


class Returns(nn.Module):
    """A network that returns whatever the test wants."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


def table(n: int) -> Variables:
    return table_variables(range(n), [f"c{i}" for i in range(n)], torch.zeros(n))


def by_hand(network: nn.Module, inputs, labels, variables: Variables) -> torch.Tensor:
    """v by the definition: one mask at a time."""
    network.eval()
    rows = []
    with torch.no_grad():
        for s, x in enumerate(inputs):
            owner = variables.assignment[s] if variables.per_sample else variables.assignment
            for subset in range(2**variables.n_variables):
                visible = torch.tensor([[bool(subset >> i & 1) if i >= 0 else True for i in owner.flatten().tolist()]])
                x_t = torch.where(visible.reshape(owner.shape), x, variables.baseline)
                rows.append(log_odds(network(x_t[None]), labels[s : s + 1]))
    return torch.cat(rows).view(len(inputs), -1)


def test_log_odds():
    logits = torch.tensor([[1.0, 2.0, -3.0], [0.0, 200.0, 0.0]])
    labels = torch.tensor([0, 1])
    v = log_odds(logits, labels)
    p = torch.softmax(logits[0].double(), 0)[0]
    assert v.dtype == torch.float64
    assert v[0].item() == pytest.approx(math.log(p / (1 - p)))
    assert v[1].item() == pytest.approx(200 - math.log(2))  # p rounds to 1; the log-odds do not
    loss = nn.functional.cross_entropy(logits.double(), labels, reduction="none")
    assert torch.allclose(torch.log1p(torch.exp(-v)), loss)


def game(kind: str):
    torch.manual_seed(1)
    if kind == "text":
        tokens = torch.randint(3, 30, (3, 9))
        tokens[:, 0], tokens[1, 7:] = 1, 0  # start, padding
        words = [[f"w{t}" for t in row] for row in tokens.tolist()]
        return (
            Sentence(),
            tokens,
            torch.tensor([0, 1, 1]),
            text_variables(tokens, words, n_variables=5, mask_id=2, special_ids=[0, 1]),
        )
    if kind == "table":
        variables = table_variables([0, 1, 1, -1, 2, 3, 4], ["a", "b", "c", "d", "e"], torch.randn(7))
        return dense(7), torch.randn(3, 7), torch.tensor([0, 1, 0]), variables
    variables = image_variables(8, 8, n_variables=5, layout="whole", baseline_image=torch.randn(2, 8, 8))
    return convolutional(), torch.randn(3, 2, 8, 8), torch.tensor([2, 0, 1]), variables


@pytest.mark.parametrize("kind", ["image", "text", "table"])
@pytest.mark.parametrize("byte_budget", [1, 40_000, 2**28])  # one mask at a time, part of a sample, several samples
def test_masked_outputs(kind, byte_budget):
    network, inputs, labels, variables = game(kind)
    v = masked_outputs(network, inputs, labels, variables, byte_budget=byte_budget)
    assert v.shape == (3, 32) and v.dtype == torch.float64
    assert torch.allclose(v, by_hand(network, inputs, labels, variables), atol=1e-5)


def test_unmasked_and_fully_masked():
    network, inputs, labels, variables = game("table")
    v = masked_outputs(network, inputs, labels, variables)
    masked = inputs.clone()
    columns = variables.assignment >= 0
    masked[:, columns] = variables.baseline[columns]
    assert torch.allclose(v[:, -1], log_odds(network(inputs), labels), atol=1e-6)
    assert torch.allclose(v[:, 0], log_odds(network(masked), labels), atol=1e-6)


def test_no_variables():
    network, inputs, labels, _ = game("table")
    v = masked_outputs(network, inputs, labels, table_variables([-1] * 7, [], torch.zeros(7)))
    assert torch.allclose(v[:, 0], log_odds(network(inputs), labels), atol=1e-6)


def test_training_flags_and_random_state_are_restored():
    network, inputs, labels, variables = game("image")
    network.train()
    network[2].eval()
    first = masked_outputs(network, inputs, labels, variables)
    assert torch.equal(first, masked_outputs(network, inputs, labels, variables))  # dropout was off
    assert network.training and network[0].training and not network[2].training
    assert all(not hooks for m in network.modules() for hooks in (m._forward_hooks, m._forward_pre_hooks))
    assert all(p.requires_grad and not p.is_inference() for p in network.parameters())
