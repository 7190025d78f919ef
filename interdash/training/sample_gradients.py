"""Gradients of single samples: by layer, from `torch.func`, or one sample at a time; see `gradients_of`."""

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from torch.nn.grad import conv1d_weight, conv2d_weight, conv3d_weight

from interdash.masking.convolutions import computed_by

logger = logging.getLogger(__name__)

SAME = 1e-3  # relative difference of two ways to a gradient that is rounding
CONVOLUTIONS = {nn.Conv1d: conv1d_weight, nn.Conv2d: conv2d_weight, nn.Conv3d: conv3d_weight}  # to a weight's gradient

# The gradients of some samples for each trained weight: [samples, elements]; or, of a dense layer whose weight is
# [out, in], their factors [samples, out] and [samples, in], whose outer product is never made.
Rows = list[Tensor | tuple[Tensor, Tensor]]
Gradients = Callable[[Tensor, Tensor], Rows]


def gradients_of(network: nn.Module, inputs: Tensor, labels: Tensor) -> Gradients:
    """Returns the function that gives the gradients of single samples: by layer, from `torch.func`, or one at a time.

    Args:
        network: in evaluation mode; returns class logits.
        inputs: a few samples, to try it on.
        labels: their classes.

    Raises:
        ValueError: no weight is trained, a gradient is not finite, or it depends on the other samples of its batch.
    """
    if not any(weight.requires_grad for weight in network.parameters()):
        raise ValueError("the network has no weight that is trained, so that it has no gradients; set requires_grad")
    few = inputs[:4], labels[:4]
    together, error = summed(network, *few), None
    if not all(bool(whole.isfinite().all()) for whole in together):
        raise ValueError(
            "the gradients of the first samples are not finite (NaN or infinity), so that no way to single samples' "
            "gradients can be checked; look at the weights: has training diverged?"
        )
    pick = torch.ones((2, len(few[0])), device=inputs.device)  # all samples, and the first of them alone
    pick[1, 1:] = 0
    dense, convolutions = _read_once(network, few[0])
    ways = [_at_once(network, dense), _at_once(network, {}), _one_by_one(network)]
    if all(name.rpartition(".")[0] in {**dense, **convolutions} for name in _trained(network)):
        ways.insert(0, _by_layer(network, {**dense, **convolutions}))
    for way in ways:
        try:
            found = [weighted(pick, rows) for rows in way(*few)]
            expected = zip(together, summed(network, few[0][:1], few[1][:1]), strict=True)
        except Exception as problem:  # a user's forward may raise anything
            logger.info("this way to the gradients of single samples fails: %s", problem)
            error = problem
            continue
        if all(
            _same(whole.flatten(), both[0]) and _same(alone.flatten(), both[1])
            for (whole, alone), both in zip(expected, found, strict=True)
        ):
            return way
    if error is not None:
        logger.warning("no gradients of single samples: %s", error)
    raise ValueError(
        "the gradient of a batch is not the sum of its samples' gradients; coherence needs a network without dropout "
        "and batch statistics in evaluation mode: let batch normalisation use its running averages"
    )


def _trained(network: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach() for name, weight in network.named_parameters() if weight.requires_grad}


def _read_once(network: nn.Module, inputs: Tensor) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns by name the dense layers that read one vector a sample, once, and the convolutions that are used once."""
    axes: dict[str, list[int]] = {}
    modules = {name: m for name, m in network.named_modules() if type(m) is nn.Linear or type(m) in CONVOLUTIONS}
    handles = [
        module.register_forward_hook(lambda m, args, out, name=name: axes.setdefault(name, []).append(args[0].ndim))
        for name, module in modules.items()
    ]
    try:
        network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    dense = {name: m for name, m in modules.items() if axes.get(name) == [2] and type(m) is nn.Linear}
    convolutions = {
        name: m
        for name, m in modules.items()
        if axes.get(name) == [m.weight.ndim] and m not in dense.values() and m.padding_mode == "zeros"
    }
    return dense, convolutions


def _by_layer(network: nn.Module, layers: dict[str, Any]) -> Gradients:
    """Returns gradients from one pass of all samples; `layers` by name, dense or convolutions, have all weights."""

    weights = list(_trained(network))

    def gradients(x: Tensor, y: Tensor) -> Rows:
        read: dict[str, Tensor] = {}
        out: dict[str, GradientEdge] = {}  # of outputs as they are here: the next layer may change them in place

        def keep(module: nn.Module, args: tuple[Tensor], output: Tensor, name: str) -> None:
            read[name], out[name] = args[0].detach(), get_gradient_edge(output)

        handles = [module.register_forward_hook(partial(keep, name=name)) for name, module in layers.items()]
        try:
            loss = _loss(network, x, y)
        finally:
            for handle in handles:
                handle.remove()
        at_output = dict(zip(out, torch.autograd.grad(loss, list(out.values())), strict=True))
        rows: Rows = []
        for name in weights:
            place, _, kind = name.rpartition(".")
            g, module = at_output[place].float(), layers[place]
            if kind == "bias":
                rows.append(g.flatten(2).sum(2) if g.ndim > 2 else g)
            elif type(module) is nn.Linear:
                rows.append((g, read[place].float()))
            else:
                rows.append(_of_convolution(module, read[place].float(), g))
        return rows

    return gradients


def _of_convolution(module: Any, read: Tensor, at_output: Tensor) -> Tensor:
    """Returns the gradient of a convolution's weight for each sample, `[samples, elements]`: each is a group of one."""
    samples, size = len(read), list(module.weight.shape)
    rows = CONVOLUTIONS[type(module)](
        read.flatten(0, 1)[None],
        [samples * size[0], *size[1:]],
        at_output.flatten(0, 1)[None],
        module.stride,
        module.padding,
        module.dilation,
        samples * module.groups,
    )
    return rows.reshape(samples, -1)


def _at_once(network: nn.Module, dense: dict[str, Any]) -> Gradients:
    """Returns gradients by `torch.func`; of dense layers from what they read and the gradient at their output."""
    weights = _trained(network)
    apart = {f"{name}.weight": name for name in dense}
    rest = {name: value.detach() for name, value in network.state_dict(keep_vars=True).items()}
    offsets = {name: torch.zeros_like(module.weight[:, 0])[None] for name, module in dense.items()}

    def loss(parameters: dict[str, Tensor], offsets: dict[str, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Any]:
        read: dict[str, Tensor] = {}

        def shift(module: nn.Module, args: tuple[Tensor], out: Tensor, name: str) -> Tensor:
            read[name] = args[0][0]
            return out + offsets[name]

        handles = [module.register_forward_hook(partial(shift, name=name)) for name, module in dense.items()]
        try:
            logits = functional_call(network, {**rest, **parameters}, (x[None],))
        finally:
            for handle in handles:
                handle.remove()
        return functional.cross_entropy(logits, y[None]), read

    others = {name: weight for name, weight in weights.items() if name not in apart}
    vectorised = vmap(grad(loss, argnums=(0, 1), has_aux=True), in_dims=(None, None, 0, 0))

    def gradients(x: Tensor, y: Tensor) -> Rows:
        (of_others, at_output), read = vectorised(others, offsets, x, y)
        return [
            (at_output[apart[name]][:, 0].float(), read[apart[name]].float())
            if name in apart
            else of_others[name].flatten(1).float()
            for name in weights
        ]

    return gradients


def _one_by_one(network: nn.Module) -> Gradients:
    """Returns gradients one sample at a time, for a network that `torch.func` does not take."""

    def gradients(x: Tensor, y: Tensor) -> Rows:
        rows = [summed(network, a, b) for a, b in zip(x.split(1), y.split(1), strict=True)]
        return [torch.stack(each).flatten(1).float() for each in zip(*rows, strict=True)]

    return gradients


def picked(each: Rows, some: Sequence[int]) -> Rows:
    """Returns the gradients of some of the samples."""
    return [(rows[0][some], rows[1][some]) if isinstance(rows, tuple) else rows[some] for rows in each]


def squares(rows: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Returns the square of each sample's gradient of a weight, `[samples]`, float64; nats²."""
    factors = rows if isinstance(rows, tuple) else (rows,)
    return math.prod(torch.linalg.vector_norm(factor, dim=1).double() ** 2 for factor in factors)  # pyright: ignore


def weighted(weights: Tensor, rows: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Returns sums of the samples' gradients of a weight, `[sums, elements]`, with `weights` `[sums, samples]`."""
    if not isinstance(rows, tuple):
        return weights @ rows
    out, read = rows
    return ((weights[:, None] * out.T).flatten(0, 1) @ read).view(len(weights), -1)


def along(rows: Tensor | tuple[Tensor, Tensor], direction: Tensor) -> Tensor:
    """Returns the product of each sample's gradient of a weight with a direction `[elements]`: `[samples]`."""
    if not isinstance(rows, tuple):
        return rows @ direction
    out, read = rows
    return ((out @ direction.view(out.shape[1], read.shape[1])) * read).sum(1)


def summed(network: nn.Module, inputs: Tensor, labels: Tensor) -> list[Tensor]:
    """Returns the gradient of the summed loss of some samples, one tensor for each trained weight; nats."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    loss = _loss(network, inputs, labels)
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g.detach() for w, g in zip(weights, found, strict=True)]


def _loss(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Returns the summed loss; pooling, else a third of the time on a CPU, goes through oneDNN."""
    pools = [
        m for m in network.modules() if type(m) is nn.MaxPool2d and not m.return_indices and "forward" not in vars(m)
    ]
    with computed_by(pools, _highest):
        return functional.cross_entropy(network(inputs), labels, reduction="sum")


def _highest(pool: nn.MaxPool2d, maps: Tensor) -> Tensor:
    """Returns what the layer returns, same bits: on a CPU up to four times faster, but for NaN, which that loses."""
    size = pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode
    quick = torch.backends.mkldnn.is_available() and maps.device.type == "cpu" and maps.dtype == torch.float32
    if quick and maps.ndim == 4 and pool.dilation == 1 and math.isfinite(maps.detach().sum().item()):
        as_one = maps.flatten(0, 1)[None]  # of many channels: quicker by a third than the few that a sample may have
        return torch.mkldnn_max_pool2d(as_one.to_mkldnn(), *size).to_dense()[0].unflatten(0, maps.shape[:2])
    return functional.max_pool2d(maps, *size)


def _same(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).norm() <= SAME * (a.norm() + b.norm()) + 1e-6)


def layers_of(network: nn.Module) -> list[str]:
    """Returns the layer of each trained weight: the name of the module that holds it, "network" for the outermost."""
    return [name.rpartition(".")[0] or "network" for name, w in network.named_parameters() if w.requires_grad]
