from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from interdash.formulas.interactions import matched_outputs
from interdash.solver import fixed, fused, sparsify, steps
from interdash.solver.projection import projector
from tests.solver.test_sparsify import games

# What waits for the device, or copies to it: values and indices that the host knows, masks that it counts.
WAITING = {"_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select", "index", "index_put_"}
WAITING |= {"lift_fresh", "_to_copy"}


class Silent(TorchDispatchMode):
    """Refuses every call that a CUDA graph could not hold."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().removeprefix("aten::").partition(".")[0]
        assert name not in WAITING, f"{name} waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Splits on the CPU as on a GPU, but for the capture."""
    monkeypatch.setattr(sparsify, "COMPILED", "none")
    monkeypatch.setattr(fused, "steps", None)
    monkeypatch.setattr(fixed, "NARROWEST", 2**8)


def started(n, dtype, device="cpu"):
    """A state, its weights and the projector, on a device."""
    u = torch.as_tensor(games(n)).T.contiguous().to(device)
    u = u - u[:1]
    weights = steps.both(sparsify.weights_of(n, 0.01, u.device).to(dtype))
    return steps.start(u, 0.02 * u[-1].abs(), dtype), weights, projector(n, dtype, u.device)


@pytest.mark.parametrize("n", [2, 3, 6, 7])
def test_steps_in_fixed_buffers_are_the_compiled_ones(n):
    s, weights, solver = started(n, torch.float64)
    other = {key: value.clone() for key, value in s.items()}
    take = fixed.FixedSteps(weights, solver, 100)
    for some in (range(1, 31), range(31, 90)):
        multiplier = steps.iterate(s, some, weights, 1 / s["sigma"], solver)
        torch.testing.assert_close(take(other, some, weights, 1 / s["sigma"], solver), multiplier, rtol=0, atol=1e-12)
        torch.testing.assert_close(other["moved"], s["moved"], rtol=0, atol=1e-12)
    assert multiplier.any() and take.width == fixed.NARROWEST >> n


@pytest.mark.parametrize(
    ("n", "tolerance", "kappa"),
    [(2, "default", 0.02), (5, "tight", 0.02), (7, "tight", 0.0), (8, "default", 0.02)],
)
def test_a_split_as_on_a_gpu_has_the_certificate_of_a_cpu(n, tolerance, kappa, request):
    v = games(n, samples=20)
    on_cpu = sparsify.sparse_split(v, kappa, tolerance=tolerance)
    request.getfixturevalue("as_on_a_gpu")
    on_gpu = sparsify.sparse_split(v, kappa, tolerance=tolerance)
    gap = sparsify.CERTIFIED_GAPS[tolerance]
    assert on_gpu.solved.all() and np.all(on_gpu.gap <= gap)
    assert np.all(on_gpu.lower_bound <= on_cpu.objective * (1 + 1e-12))  # each bounds the other's optimum
    assert np.all(on_cpu.lower_bound <= on_gpu.objective * (1 + 1e-12))
    np.testing.assert_allclose(on_gpu.objective, on_cpu.objective, rtol=gap)
    matched = matched_outputs(on_gpu.i_and, on_gpu.i_or, v[:, 0])
    np.testing.assert_allclose(matched + on_gpu.delta, v, atol=1e-10 * np.abs(v).max())
    assert np.all(np.abs(on_gpu.delta) <= kappa * np.abs(v[:, -1:] - v[:, :1]))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_nothing_waits_for_the_device_between_two_checks(device):
    s, weights, solver = started(5, torch.float32, device)
    take = fixed.FixedSteps(weights, solver, 100)
    with Silent():
        for some in (range(1, 31), range(31, 61)):
            s = steps.advance(s, some, weights, solver, noisy=True, take=take)
        assert s["x"].shape == (32, 12) and s["x"].device.type == device
        with pytest.raises((AssertionError, RuntimeError), match=r"waits for the device|meta tensors"):
            s["x"].sum().item()


def test_buffers_stay_where_they_are_and_are_captured_again_for_a_quarter(as_on_a_gpu, monkeypatch):
    captures = []

    def replayed(step, device):
        take = step.__self__
        places = {name: buffer.data_ptr() for name, buffer in take.buffers.items()}
        captures.append(take.width)

        def replay():
            assert places == {name: buffer.data_ptr() for name, buffer in take.buffers.items()}
            step()

        return replay

    monkeypatch.setattr(fixed, "NARROWEST", 16)
    monkeypatch.setattr(fixed, "replayed", replayed)
    assert sparsify.sparse_split(games(4, samples=80)).solved.all()
    assert captures[0] == 80 and all(4 * after < before for before, after in pairwise(captures))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can capture")
def test_what_cannot_be_captured_is_launched_as_it_is():
    def step():
        raise AssertionError("taken")

    assert fixed.replayed(step, torch.device("cuda:0")) is step is fixed.replayed(step, torch.device("cpu"))


def test_samples_follow_from_bytes():
    whole = sparsify.samples_in(80 * 2**30, 10, torch.float32)
    assert whole == 80 * 2**30 // 2 // (sparsify.ENTRY_BYTES[torch.float32] * 1024)
    assert sparsify.samples_in(160 * 2**30, 11, torch.float32) == whole
    assert sparsify.samples_in(2**20, 20, torch.float64) == 1
    assert sparsify.samples_at_once(10, "cpu") == sparsify.GROUP_ENTRIES // 1024


def test_samples_at_once_count_what_torch_keeps_free(monkeypatch):
    for name, size in (("mem_get_info", (2**30, 2**36)), ("memory_reserved", 2**31), ("memory_allocated", 2**30)):
        monkeypatch.setattr(torch.cuda, name, lambda device, size=size: size)
    assert sparsify.samples_at_once(10, "cuda") == sparsify.samples_in(2**31, 10, torch.float32)
    assert sparsify.samples_at_once(10, "cuda", "tight") == sparsify.samples_in(2**31, 10, torch.float64)


class Counted(TorchDispatchMode):
    """Counts the bytes of the tensors that live, and the most that ever did."""

    def __init__(self):
        super().__init__()
        self.living, self.peak = {}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        storages = [x.untyped_storage() for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        self.living |= {storage._cdata: (StorageWeakRef(storage), storage.nbytes()) for storage in storages}
        self.living = {key: value for key, value in self.living.items() if not value[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.living.values()))
        return result


@pytest.mark.parametrize(("tolerance", "precision"), [("default", torch.float32), ("tight", torch.float64)])
def test_a_split_takes_no_more_bytes_than_are_counted(as_on_a_gpu, tolerance, precision):
    n, samples = 8, 128
    v = torch.as_tensor(games(n, samples))
    sparsify.sparse_split(v[:2], tolerance=tolerance)  # the projectors stay
    with Counted() as counted:
        sparsify.sparse_split(v, tolerance=tolerance, max_steps=12)  # all leave at once
    assert 0.7 * sparsify.ENTRY_BYTES[precision] < counted.peak / (samples << n) <= sparsify.ENTRY_BYTES[precision]
