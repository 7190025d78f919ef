"""The layers that a network starts with, where a place sees few variables: computed for few masks, then looked up.

A place of a feature map sees the variables in its field alone. Variables get colours such that those which a place
sees together differ; all that any place ever shows is then in the maps of the few masks that hold whole colours.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from interdash.formulas.subsets import masks
from interdash.masking.batches import input_batches, is_hooked
from interdash.masking.variables import Variables

POOLS = nn.MaxPool2d, nn.AvgPool2d
AT_ONE_PLACE = (  # in eval mode, in which networks run here
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid),
    *(nn.BatchNorm2d, nn.Dropout, nn.Dropout2d, nn.Identity),
)


@dataclass(frozen=True, eq=False)
class Local:
    """The layers that a network starts with, and what the places of their feature map see."""

    layers: nn.Sequential
    seen: Bool[Tensor, "n height width"]
    colours: tuple[int, ...]  # of each variable


def split_off_local(network: nn.Module, variables: Variables, rows: int) -> tuple[Local | None, nn.Module]:
    """Returns the layers of a plain sequence up to where a place sees many variables, and the rest; or (None, network).

    Few are colours whose masks are at most a quarter of all 2^n, and at most the `rows` of a batch.
    """
    n, local = variables.n_variables, None
    of_images = variables.rank == 2 and variables.at == "input" and not variables.per_sample
    if type(network) is not nn.Sequential or is_hooked(network) or not of_images:
        return None, network
    layers = _pooled_first(list(network))
    if not layers or type(layers[0]) is not nn.Conv2d:
        return None, network
    seen = variables.assignment == torch.arange(n)[:, None, None]
    for i, layer in enumerate(layers[:-1], 1):
        if is_hooked(layer) or not _is_local(layer):
            break
        if type(layer) not in AT_ONE_PLACE:
            seen = _fields(layer, seen)
        colours = _colours(seen)
        if 2 ** len({*colours}) > min(rows, 2**n // 4):
            break
        local, network = Local(nn.Sequential(*layers[:i]), seen, colours), nn.Sequential(*layers[i:])
    return local, network


def local_batches(
    local: Local, inputs: Tensor, variables: Variables, rows: int, position: int
) -> Iterator[tuple[Tensor, None, slice]]:
    """Yields what the layers give for the masked inputs of `batches.input_batches`; maps have channels last."""
    n, shape, places = variables.n_variables, local.seen.shape[1:], local.seen[0].numel()
    n_batch, n_samples, n_colours = min(n, rows.bit_length() - 1), max(1, rows >> n), len({*local.colours})
    colours = torch.tensor([*local.colours, -1], dtype=torch.int16)  # the last one is the background's
    coarse = replace(
        variables, names=tuple(map(str, range(n_colours))), assignment=colours[variables.assignment.long()]
    )
    # A table has a row for each mask of colours and place; a place takes the row that its visible variables add up to.
    step = local.seen.flatten(1) * (2 ** colours[:n, None].long() * places)  # [n, places]
    first = torch.arange(places) + (torch.tensor(masks(n_batch)).double() @ step[:n_batch].double()).long()
    table, owners = torch.empty(0), torch.empty(0)
    for start in range(position, len(inputs) << n, n_samples << n_batch):
        sample, first_subset = divmod(start, 2**n)
        group = slice(sample, sample + n_samples)
        if start == position or first_subset == 0:
            batches = input_batches(inputs[group], coarse, coarse.assignment, rows, 0, inputs.device)
            table = torch.cat([local.layers(batch).movedim(1, -1).flatten(0, 2) for batch, _, _ in batches])
            owners = torch.arange(len(inputs[group]))[:, None, None] * (places << n_colours)
        high = torch.tensor([first_subset >> i & 1 for i in range(n_batch, n)], dtype=torch.int64)
        maps = table[(owners + first + high @ step[n_batch:]).flatten()]
        yield maps.unflatten(0, (-1, *shape)).movedim(-1, 1), None, group


def _is_local(layer: Any) -> bool:
    """Returns whether a place of a layer's output is known to see a rectangle of the input's places only."""
    if type(layer) is nn.Conv2d:
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if type(layer) in POOLS:
        return not layer.ceil_mode and not getattr(layer, "return_indices", False)
    return type(layer) in AT_ONE_PLACE and getattr(layer, "track_running_stats", True)


def _fields(layer: Any, seen: Tensor) -> Tensor:
    """Returns what places of a convolution's or a pooling's output see, from those of its input: as `Local.seen`."""
    size = layer.kernel_size if isinstance(layer.kernel_size, tuple) else (layer.kernel_size,) * 2
    field, options = torch.ones(1, 1, *size), (layer.stride, layer.padding, getattr(layer, "dilation", 1))
    return nn.functional.conv2d(seen[:, None].float(), field, None, *options)[:, 0] > 0


def _colours(seen: Tensor) -> tuple[int, ...]:
    """Returns each variable's colour, the first that none has which a place sees together with it."""
    of_place = seen.flatten(1).float()
    together = (of_place @ of_place.t()).tolist()
    colours: list[int] = []
    for row in together:
        taken = {colour for colour, shared in zip(colours, row, strict=False) if shared}
        colours.append(next(colour for colour in range(len(row)) if colour not in taken))
    return tuple(colours)


def _pooled_first(layers: list[nn.Module]) -> list[nn.Module]:
    """Returns the layers with pooling to the highest before the ReLU that it follows: the same from less work."""
    order = list(layers)
    for i, (relu, pool) in enumerate(pairwise(layers)):
        if type(relu) is nn.ReLU and type(pool) is nn.MaxPool2d and not pool.return_indices:
            order[i : i + 2] = (relu, pool) if is_hooked(relu) or is_hooked(pool) else (pool, relu)
    return order
