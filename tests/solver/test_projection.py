import numpy as np
import pytest
import torch

from interdash.formulas.interactions import and_outputs, or_outputs
from interdash.solver.projection import projector, subset_sums_, superset_sums_, touching_sums


def columns(function, n):
    """The matrix of a linear map on [2^n, batch]."""
    return function(torch.eye(2**n, dtype=torch.float64))


@pytest.mark.parametrize("n", [1, 3, 4])
def test_maps_agree_with_the_transforms_and_adjoints_are_transposes(n):
    a, o = columns(subset_sums_, n), columns(touching_sums, n)
    x = np.random.default_rng(n).normal(size=2**n)
    x[0] = 0
    np.testing.assert_allclose(a.numpy() @ x, and_outputs(x), atol=1e-12)
    np.testing.assert_allclose(o.numpy() @ x, or_outputs(x), atol=1e-12)
    assert torch.equal(columns(superset_sums_, n), a.T)
    assert torch.equal(o, o.T)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 6])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_the_block_solution_is_the_dense_solution(n, shift):
    a, o = columns(subset_sums_, n), columns(touching_sums, n)
    o[:, 0] = 0  # OR has no interaction of the empty set
    dense = a @ a.T + o @ o.T + shift * torch.eye(2**n, dtype=torch.float64)
    r = torch.randn(2**n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    found = projector(n, torch.float64, torch.device("cpu")).solve(r, torch.full((3,), shift, dtype=torch.float64))
    torch.testing.assert_close(found, torch.linalg.solve(dense, r), rtol=1e-9, atol=1e-9)
