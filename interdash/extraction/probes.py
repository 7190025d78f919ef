"""Linear probes: what the features of a layer say of the class, and its masked outputs, from the passes of the network.

The output of a layer is that of a softmax regression on its features, v = z_y − logsumexp of the others. Source:
layerwise (arXiv 2409.08712). Ours: the regression is convex and solved to a tolerance, on standardised features with a
fixed L2, of samples that are not explained; and a control is fitted to shuffled labels.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.nn import functional

from interdash.masking.outputs import ACTIVATIONS, masked_outputs
from interdash.masking.variables import Explained, Variables

L2 = 0.01  # of standardised features, beside the mean cross-entropy
RARE = 0.1  # of the features' deviation (root mean square): one that varies less is divided by so much
TOLERANCE = 1e-6  # of every entry of the gradient, along axes of about equal curvature
MOST_FEATURES = 4096  # of a layer; larger ones are averaged over neighbouring places
MOST_LAYERS = 5  # unless the user names them
BATCH = 256


@dataclass(frozen=True)
class Probe:
    """A softmax regression on the features of a layer."""

    weight: Tensor  # [features, classes]
    bias: Tensor  # [classes]

    def __call__(self, features: Tensor) -> Tensor:
        """Returns the class logits of features, `[batch, classes]`."""
        return features @ self.weight.to(features) + self.bias.to(features)


def fit(features: Tensor, targets: Sequence[Tensor], classes: int, *, l2: float = L2) -> list[Probe]:
    """Returns the probe of each target: of least mean cross-entropy + l2/2 · ‖W‖², W on standardised features.

    There is one such probe only. They are found along the principal axes of the features, stretched so that the loss
    curves alike along each: few steps suffice.

    Args:
        features: `[samples, features]`; one that is constant has no weight.
        targets: class numbers `[samples]` each.
        classes: how many there are.
        l2: above 0.

    Raises:
        ValueError: it is not, features are not finite, or it did not converge.
    """
    if not l2 > 0:
        raise ValueError(f"the L2 of a probe is {l2}; it must be above 0, or the best probe may be infinite")
    x = features.detach().cpu().double()
    if not x.isfinite().all():
        raise ValueError("the features of a layer have NaN or infinity; check the network's weights at this epoch")
    mean, deviation = x.mean(0), x.std(0, correction=0)
    least = RARE * deviation.square().mean().sqrt()  # of one that hardly changes here, other samples are far outside
    scale = torch.where(deviation > 1e-9 * least, 1 / deviation.maximum(least), 0.0)
    x = (x - mean) * scale
    wide = x.shape[1] > len(x)  # then the best W lies in the span of the samples
    values, axes = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
    kept = values > 1e-10 * values[-1]
    values, axes = values[kept], axes[:, kept]
    axes = x.T @ axes / values.sqrt() if wide else axes
    stretch = (values / (classes * len(x)) + l2).sqrt()
    x = x @ (axes / stretch)
    probes = []
    for labels in targets:
        bias, weight = _solved(x, functional.one_hot(labels.cpu(), classes).double(), l2 / stretch[:, None] ** 2)
        weight = scale[:, None] * (axes @ (weight / stretch[:, None]))
        probes.append(Probe(weight, bias - mean @ weight))
    return probes


def _solved(x: Tensor, truth: Tensor, penalty: Tensor) -> tuple[Tensor, Tensor]:
    """Returns bias `[classes]` and weight `[axes, classes]` of least mean cross-entropy + ½ Σ penalty · weight²."""
    from scipy import optimize  # takes half a second to import

    classes = truth.shape[1]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        entries = torch.from_numpy(flat)
        bias, weight = entries[:classes], entries[classes:].view(-1, classes)
        logs = functional.log_softmax(x @ weight + bias, 1)
        error, shrunk = (logs.exp() - truth) / len(x), penalty * weight
        value = float((weight * shrunk).sum() / 2 - (logs * truth).sum() / len(x))
        return value, torch.cat([error.sum(0), (x.T @ error + shrunk).flatten()]).numpy()

    start, settings = np.zeros(classes * (1 + x.shape[1])), {"gtol": TOLERANCE, "ftol": 0, "maxiter": 5000}
    best: Any = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=settings | {"maxfun": 10000})
    if not np.abs(best.jac).max() <= 10 * TOLERANCE:
        raise ValueError(f"a probe on {x.shape[1]} axes of features did not converge: {best.message}")
    return torch.from_numpy(best.x[:classes]), torch.from_numpy(best.x[classes:]).view(-1, classes)


def layers_of(network: nn.Module, x: Any, variables: Variables, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns the names of the layers that are read, in the order in which they run.

    By default activations, or, of a network that has none as modules, what has no parts of its own, but for the last;
    at most `MOST_LAYERS`, evenly spread. Only what runs once, at or after the masking.

    Args:
        network: in evaluation mode.
        x: one sample `[1, *input_shape]`.
        variables: say where it is masked.
        names: as the user wants them.

    Raises:
        ValueError: a layer is not there, runs more than once, gives no tensor, or is not masked.
    """
    runs: list[tuple[str, nn.Module, bool]] = []
    every = dict(network.named_modules())
    hooks = [
        module.register_forward_hook(
            lambda module, args, out, name=name: runs.append((name, module, _is_features(out, len(x))))
        )
        for name, module in every.items()
    ]
    try:
        with torch.inference_mode():
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    order = [name for name, _, _ in runs]
    masked = next((i for i, (_, module, _) in enumerate(runs) if isinstance(module, ACTIVATIONS)), 0)
    masked = masked if variables.at == "first_activation" else 0
    once = {
        name: module
        for i, (name, module, fits) in enumerate(runs)
        if fits and name and order.count(name) == 1 and i >= masked
    }
    for name in names:
        if name not in every or name not in once:
            why = "is not there" if name not in every else f"runs {order.count(name)} times, or before the masking"
            raise ValueError(f"layer {name!r} {why}; choose of {', '.join(once)}")
    if names:
        return tuple(name for name in once if name in names)
    leaves = [name for name, module in once.items() if not list(module.children())]
    known = [name for name in leaves if isinstance(once[name], ACTIVATIONS)] or leaves[:-1]
    if not known:
        raise ValueError("the network has no layer before its last one that runs once; name one with --layers")
    few = np.unique(np.linspace(0, len(known) - 1, min(MOST_LAYERS, len(known))).round().astype(int))
    return tuple(known[i] for i in few)


def _is_features(out: Any, rows: int) -> bool:
    return isinstance(out, Tensor) and out.is_floating_point() and out.ndim > 1 and len(out) == rows


def flat(out: Tensor) -> Tensor:
    """Returns the output of a layer as features `[batch, features]`, about `MOST_FEATURES` at most (or one a channel).

    Larger maps `[batch, channels, height, width]` are averaged over k × k neighbouring cells, sequences `[batch,
    places, channels]` over k neighbouring places.
    """
    excess = out[0].numel() / MOST_FEATURES
    if excess > 1 and out.ndim == 4:
        out = functional.avg_pool2d(out, min(math.ceil(excess**0.5), *out.shape[2:]), ceil_mode=True)
    elif excess > 1 and out.ndim == 3:
        out = functional.avg_pool1d(out.transpose(1, 2), min(math.ceil(excess), out.shape[1]), ceil_mode=True)
    return out.flatten(1).float()


def _hand_on(module: nn.Module, args: Any, out: Any, take: Callable[[Tensor], None]) -> None:
    take(flat(out))


@contextmanager
def reading(network: nn.Module, read: Mapping[str, Callable[[Tensor], None]]) -> Iterator[None]:
    """Calls a function with the features of each layer, by name, whenever the network runs inside the block."""
    modules = dict(network.named_modules())
    hooks = [modules[name].register_forward_hook(partial(_hand_on, take=take)) for name, take in read.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def features_of(network: nn.Module, layers: Sequence[str], inputs: Tensor) -> dict[str, Tensor]:
    """Returns the features of each layer, and the network's logits as "", of inputs as they are, on the CPU."""
    rows: dict[str, list[Tensor]] = {name: [] for name in ("", *layers)}
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    take = {name: (lambda features, name=name: rows[name].append(features.cpu())) for name in layers}
    with reading(network, take), torch.inference_mode():
        for few in inputs.split(BATCH):
            rows[""].append(network(few.to(device)).float().cpu())
    return {name: torch.cat(parts) for name, parts in rows.items()}


def layer_outputs(
    network: nn.Module,
    explained: Explained,
    probes: Sequence[tuple[str, Callable[[Tensor], Tensor]]],
    *,
    device: torch.device | str = "cpu",
) -> Float64[Tensor, "heads samples subsets"]:
    """Returns v(x_T) of the network, then of each probe on a layer, from the same masked passes: nats.

    Args:
        network: returns class logits; its first module that is a probe's layer may run once only.
        explained: samples.
        probes: the name of a layer, and what makes class logits `[batch, classes]` of its features.
        device: where to run.
    """
    logits: dict[int, Tensor] = {}

    def take(features: Tensor, here: list[tuple[int, Callable[[Tensor], Tensor]]]) -> None:
        logits.update((place, probe(features)) for place, probe in here)

    by_layer: dict[str, list[tuple[int, Callable[[Tensor], Tensor]]]] = {}
    for place, (name, probe) in enumerate(probes):
        by_layer.setdefault(name, []).append((place, probe))
    takes = {name: (lambda features, here=here: take(features, here)) for name, here in by_layer.items()}
    with reading(network, takes):
        return masked_outputs(
            network, explained.inputs, explained.labels, explained.variables, device=device,
            heads=lambda: [logits[place] for place in range(len(probes))],
        )  # fmt: skip
