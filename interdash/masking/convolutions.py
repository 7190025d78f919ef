"""What makes a convolutional network faster on a CPU without a change to its function: channels last, pooling.

Rules and no measurement, so that a rerun gives the same bits; a layer that they don't fit is left as it is.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from interdash.masking.several import Several


@contextlib.contextmanager
def faster(network: nn.Module, x: Tensor | Several) -> Iterator[bool]:
    """Yields whether 2-D convolutions now run with channels last; on a CPU, where pooling is by slices too.

    `x` is one input. A network that cannot run so, because a `view` of a feature map fails, keeps its layout.
    Everything is put back after.
    """
    modules = [module for module in network.modules() if not list(module.children())]
    weights = [m.weight for m in modules if isinstance(m, nn.Conv2d) and m.weight.device.type == "cpu"]
    pools = [module for module in modules if weights and type(module) is nn.MaxPool2d and _in_tiles(module)]
    before = [weight.data for weight in weights]
    try:
        for weight in weights:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        with computed_by(pools, lambda pool, maps: highest(maps, cast(int, pool.kernel_size))):
            last = bool(weights)
            if last:
                try:
                    with torch.inference_mode():
                        network(x.to(weights[0].device))
                except RuntimeError:
                    last = False
                    for weight, data in zip(weights, before, strict=True):
                        weight.data = data
            yield last
    finally:
        for weight, data in zip(weights, before, strict=True):
            weight.data = data


@contextlib.contextmanager
def computed_by(pools: Sequence[nn.MaxPool2d], function: Callable[[nn.MaxPool2d, Tensor], Tensor]) -> Iterator[None]:
    """Has layers compute what a function gives of the layer and its maps; their own way is put back after."""
    try:
        for pool in pools:
            vars(pool)["forward"] = partial(function, pool)
        yield
    finally:
        for pool in pools:
            vars(pool).pop("forward", None)


def _in_tiles(pool: nn.MaxPool2d) -> bool:
    """Returns whether a layer takes the highest of square tiles that neither overlap nor reach beyond the map."""
    plain = isinstance(pool.kernel_size, int) and pool.stride == pool.kernel_size and "forward" not in vars(pool)
    return plain and pool.padding == 0 and pool.dilation == 1 and not pool.return_indices and not pool.ceil_mode


def highest(maps: Tensor, size: int) -> Tensor:
    """Returns the highest entry of every size × size tile of maps `[…, height, width]`; a rest at the edge is left out.

    The same bits as `max_pool2d`, which is up to 15 times slower on a CPU.
    """
    for axis in (-2, -1):
        tiles = maps.shape[axis] // size
        rows = [maps.narrow(axis, 0, tiles * size).unflatten(axis, (tiles, size)).select(axis, i) for i in range(size)]
        maps = rows[0]
        for row in rows[1:]:
            maps = torch.maximum(maps, row)
    return maps
