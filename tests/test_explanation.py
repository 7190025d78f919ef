import subprocess
import sys

import pytest
import torch
from torch import nn

import interdash
from interdash.explanation import explain
from interdash.masking.variables import image_variables, table_variables, text_variables


class Game(nn.Module):
    """Log-odds 1 + 3·(x0 AND x1) − 2·x2 for rows of 0 and 1, by construction."""

    def forward(self, x):
        v = 1 + 3 * x[:, 0] * x[:, 1] - 2 * x[:, 2]
        return torch.stack([torch.zeros_like(v), v], 1)


def test_explain_finds_the_interactions_of_a_known_game():
    result = explain(Game(), torch.ones(3), 1, ["age", "sex", "hours"], kappa=0.0, tolerance="tight")
    rows = result.interactions
    assert list(rows.columns) == ["type", "subset", "variables", "order", "effect", "strength", "salient"]
    found = rows[rows.salient]
    assert list(found.type) == ["AND", "AND"]
    assert list(found.subset) == [0b011, 0b100]
    assert list(found.variables) == ["{age, sex}", "{hours}"]
    assert list(found.order) == [2, 1]
    assert found.effect.tolist() == pytest.approx([3, -2], rel=0.02)
    assert rows.strength.is_monotonic_decreasing
    assert result.v_empty == pytest.approx(1) and result.v_full == pytest.approx(2)
    assert result.tau == pytest.approx(0.03)
    assert result.matching_error < 1e-9 and result.max_delta == 0
    assert result.solved and result.lower_bound <= result.objective and result.gap < 0.05


def test_exact_ands_without_sparsification_and_noise_within_its_bound():
    rows = explain(Game(), torch.ones(3), 1, ["age", "sex", "hours"], sparse=False).interactions
    assert rows.effect.tolist() == pytest.approx([3, -2], abs=1e-5) and set(rows.type) == {"AND"}
    result = explain(Game(), torch.ones(3), 1, ["age", "sex", "hours"])
    assert result.max_delta <= 0.02 * abs(result.v_full - result.v_empty)
    assert result.matching_error < 1e-9
    result = explain(Game(), torch.ones(3), 1, ["a", "b", "c"], baseline=torch.tensor([0.0, 0.0, 1.0]), kappa=0.0)
    assert result.v_empty == pytest.approx(-1)
    of_variables = table_variables([0, 1, 2], "abc", torch.tensor([0.0, 0.0, 1.0]))
    assert explain(Game(), torch.ones(3), 1, of_variables, kappa=0.0).v_empty == pytest.approx(-1)
    assert explain(Game(), torch.ones(3), 1, of_variables, 0.0, kappa=0.0).v_empty == pytest.approx(1)


def test_images_and_texts():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    result = explain(network, torch.randn(1, 6, 6), 2, 4)
    assert set(result.interactions.variables) >= {"{r0c0}"} and result.matching_error < 1e-9
    central = image_variables(6, 6, n_variables=3, patch=1)
    assert explain(network, torch.randn(1, 6, 6), 2, central).solved

    words = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2))
    variables = text_variables(torch.tensor([[3, 4, 5]]), [["a", "fine", "film"]], n_variables=2, mask_id=1, seed=3)
    result = explain(words, torch.tensor([3, 4, 5]), 0, variables)
    assert len(variables.names_of(0)) == 2 and result.matching_error < 1e-9


@pytest.mark.parametrize(
    "x, variables, message",
    [
        (torch.ones(3), 2, r"variables=2 cuts an image into regions, but x has shape \(3,\)"),
        (torch.ones(3), ["a", "b"], r"variables are 2 names, but x has shape \(3,\)"),
        (torch.ones(1, 30, 30), 21, "n_variables is 21; it must be between 0 and 20"),
        (
            torch.tensor([3, 4]),
            text_variables(torch.tensor([[3, 4], [5, 6]]), [["a", "b"], ["c", "d"]], n_variables=2, mask_id=1),
            r"variables are those of several samples; choose the one of x with variables.select\(\[sample\]\)",
        ),
    ],
)
def test_variables_that_do_not_fit(x, variables, message):
    with pytest.raises(ValueError, match=message):
        explain(Game(), x, 1, variables)


def test_explain_is_public_and_importing_the_package_loads_no_torch():
    assert interdash.explain is explain
    code = "import sys, interdash; assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
