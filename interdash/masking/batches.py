"""Batches of masked inputs, made fast: they must cost little beside the forward pass that takes them."""

import ctypes
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn

from interdash.formulas.subsets import masks
from interdash.masking.variables import Variables

KEPT = {-3: 32 * 2**20, -1: 256 * 2**20}  # of malloc.h: M_MMAP_THRESHOLD, at most 32 MiB, and M_TRIM_THRESHOLD
LOW_VARIABLES = 5  # 2^5 masks of one input stay in a core's cache


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Makes this process keep up to 256 MiB that it freed (glibc): else every batch waits for new pages of the system.

    Feature maps that are fetched anew take a third of the time, and more where `MALLOC_TRIM_THRESHOLD_` is low.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        for option, size in KEPT.items():
            mallopt(option, size)


def input_batches(
    inputs: Tensor, variables: Variables, assignment: Tensor, rows: int, position: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor | None, slice]]:
    """Yields masked inputs from `position` on: (batch, mask of its feature maps, its samples).

    Position counts samples · 2^n masks. A batch holds `rows` (a power of two) masks of one sample, or all masks of
    several, and is overwritten by the next one. Its masks are pairs of a subset of the first few variables ("low") and
    one of the others ("high"): the low masks stay in the cache, so that a batch costs little more than to write it.
    """
    n, shape, rank = variables.n_variables, inputs.shape[1:], variables.rank
    n_batch = min(n, rows.bit_length() - 1)  # all subsets of the first n_batch variables are in one batch
    n_low, n_samples = min(n_batch, LOW_VARIABLES), min(len(inputs), max(1, rows >> n))
    n_high = 2 ** (n_batch - n_low)
    at_input = variables.at == "input"
    element = (shape[:-rank].numel(), shape[-rank:].numel())  # channels, P
    buffer = torch.empty((n_samples, n_high, 2**n_low, *element), dtype=inputs.dtype, device=device)
    dtype = inputs.dtype if at_input else torch.float32  # of the masks
    each = at_input and variables.baseline_of_each
    values = torch.zeros((1, 1, 1), device=device)  # [samples or 1, channels, P]
    if at_input:
        values = variables.baseline if each else variables.baseline.expand(shape)
        values = values.to(device, dtype).reshape(-1, *element)
    low_masks, high_masks = torch.ones(2, 2**n_batch, n + 1)  # column n: the background
    every = torch.tensor(masks(n_batch)).float()
    low_masks[:, :n_low], high_masks[:, n_low:n_batch] = every[:, :n_low], every[:, n_low:]
    low_masks, high_masks = low_masks[: 2**n_low].to(device), high_masks[:: 2**n_low].to(device)
    assignment = assignment.to(device)
    owners = low = low_baseline = high = high_baseline = baseline = torch.empty(0)
    for start in range(position, len(inputs) << n, n_samples << n_batch):
        sample, first_subset = divmod(start, 2**n)
        group = slice(sample, sample + n_samples)
        x = inputs[group].to(device).reshape(-1, 1, *element)
        batch = buffer[: len(x)]
        new_owners = start == position or variables.per_sample
        if new_owners:
            owners = _one_hot(assignment[group] if variables.per_sample else assignment[None], n, rank)
            low = torch.tensordot(low_masks, owners, 1).to(dtype).transpose(0, 1)[:, None, :, None]
            baseline = values[group] if each else values
            low_baseline = (1 - low) * baseline[:, None, None]  # as low: [samples or 1, 1, low, channels or 1, P]
        if new_owners or n_batch < n:
            for i in range(n_batch, n):
                high_masks[:, i] = first_subset >> i & 1
            high = torch.tensordot(high_masks, owners, 1).to(dtype).transpose(0, 1)[:, :, None]
            high_baseline = (1 - high) * baseline[:, None]  # as high: [samples or 1, high, channels or 1, P]
        keep = None
        if at_input:
            # Products with 0 and 1 are exact, and torch.where is 40 times slower here.
            x = torch.addcmul(high_baseline, high, x)  # [samples, high, channels, P]
            torch.addcmul(low_baseline, low, x[:, :, None], out=batch)
        else:
            batch.copy_(x[:, :, None].expand_as(batch))
            keep = (low * high[:, :, None]).expand(len(x), -1, -1, -1, -1).reshape(-1, 1, *assignment.shape[-rank:])
        yield batch.view(-1, *shape), keep, group


def split_off_linear(network: nn.Module, inputs: Tensor, variables: Variables) -> tuple[nn.Linear | None, nn.Module]:
    """Returns the linear layer that a plain perceptron starts with and the rest of it, or (None, network)."""
    device = next((p.device for p in network.parameters()), inputs.device)
    double = device.type != "mps"  # has no float64
    one_baseline = variables.at == "input" and not variables.baseline_of_each
    if type(network) is nn.Sequential and double and one_baseline and inputs.is_floating_point():
        start = 1 if inputs.ndim > 2 else 0
        layers = list(network)
        head, rest = layers[: start + 1], layers[start + 1 :]
        hooked = any(map(is_hooked, (network, *head)))
        if rest and not hooked and (start == 0 or _flattens_all(head[0])) and type(head[-1]) is nn.Linear:
            return cast(nn.Linear, head[-1]), nn.Sequential(*rest)
    return None, network


def is_hooked(module: nn.Module) -> bool:
    """Returns whether something else is called with what goes into a module or comes out of it."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _flattens_all(module: nn.Module) -> bool:
    """Returns whether a module flattens all axes but the batch, and does nothing else."""
    return type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)


def first_layer_batches(
    layer: nn.Linear, inputs: Tensor, variables: Variables, rows: int, position: int
) -> Iterator[tuple[Tensor, None, slice]]:
    """Yields what `layer` gives for the masked inputs of `input_batches`, without making them.

    The layer is linear in the mask: W x_T + c = (W b + c) + Σ_{i∈T} W_i (x − b)_i, so a mask costs n rows of W, not P.
    """
    n, shape, rank, device = variables.n_variables, inputs.shape[1:], variables.rank, layer.weight.device
    n_batch, n_samples = min(n, rows.bit_length() - 1), max(1, rows >> n)
    weight = layer.weight.double().t()
    baseline = variables.baseline.to(device, inputs.dtype).expand(shape).double()
    empty = baseline.flatten() @ weight + (0 if layer.bias is None else layer.bias.double())
    assignment = variables.assignment.to(device)
    visible = torch.ones(2**n_batch, n + 1, device=device)  # column n: the background
    visible[:, :n_batch] = torch.tensor(masks(n_batch)).float().to(device)
    for start in range(position, len(inputs) << n, n_samples << n_batch):
        sample, first_subset = divmod(start, 2**n)
        group = slice(sample, sample + n_samples)
        owners = _one_hot(assignment[group] if variables.per_sample else assignment[None], n, rank)
        owners = owners.to(torch.float64).transpose(0, 1)[:, :, None]  # [samples or 1, n + 1, 1, P]
        change = (inputs[group].to(device).double() - baseline).reshape(-1, 1, shape[:-rank].numel(), owners.shape[-1])
        parts = (owners * change).flatten(2) @ weight  # [samples, n + 1, hidden]
        parts[:, n] += empty
        for i in range(n_batch, n):
            visible[:, i] = first_subset >> i & 1
        yield (visible.to(layer.weight.dtype) @ parts.to(layer.weight.dtype)).flatten(0, 1), None, group


def _one_hot(assignment: Tensor, n: int, rank: int) -> Tensor:
    """Returns float32 `[n + 1, samples, P]`: 1 where an element belongs to variable i, row n is the background."""
    owner = torch.where(assignment < 0, n, assignment).flatten(-rank)
    return (owner == torch.arange(n + 1, device=owner.device)[:, None, None]).float()
