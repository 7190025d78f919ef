import pytest
import torch

from interdash.solver import fused, steps
from interdash.solver.projection import projector
from tests.solver.test_sparsify import games


@pytest.mark.parametrize("n", [3, 6])
def test_steps_of_a_sample_have_the_same_bits_alone_and_among_others(n):
    u = torch.as_tensor(games(n)).T.contiguous()
    u = u - u[:1]
    solver, weights = projector(n, torch.float32, u.device), steps.both(torch.ones(2**n))
    states = [steps.start(part, 0.02 * part[-1].abs(), torch.float32) for part in (u, u[:, 2:3].contiguous())]
    multipliers = [steps.iterate(s, range(1, 30), weights, 1 / s["sigma"], solver) for s in states]
    assert torch.equal(states[0]["moved"][..., 2], states[1]["moved"][..., 0])
    assert torch.equal(multipliers[0][:, 2], multipliers[1][:, 0]) and multipliers[0].any()


def test_where_no_folder_can_be_written_steps_are_compiled_but_not_kept(monkeypatch):
    def without_folder(function, *, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'total': no locator available for file")
        return options["nogil"], function

    monkeypatch.setattr(fused, "njit", without_folder)
    assert fused.compiled(sum) == (True, sum)
