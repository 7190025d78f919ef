"""Measures of a network at an epoch: one entry of `MEASURES` each, computed after every epoch with a checkpoint.

They are written into `metrics.jsonl` beside the losses, with the user's own (`Recorder.record(…, measures={…})`), and
stand in the table `measures` of the store. A measure of interactions is an entry of `labelling.measures`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor, nn


class Measure(NamedTuple):
    """A number that is followed over the epochs."""

    function: Callable[..., Any]
    unit: str  # "" = none
    about: str  # one sentence


def weight_norm(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Returns the L2 norm of all trained weights together; no unit."""
    return float(sum(weight.detach().double().square().sum().item() for weight in network.parameters()) ** 0.5)


MEASURES = {"weight_norm": Measure(weight_norm, "", "L2 norm of all trained weights together.")}


def measures_of(network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, tuple[Any, ...]]:
    """Returns every measure of a network by name, as `Run.record_metrics` takes them: (value, low, high, unit).

    Args:
        network: put into evaluation mode; a measure leaves its weights as they are.
        inputs: the training inputs.
        labels: their classes, noise included.
    """
    rows = {}
    network.eval()
    for name, measure in MEASURES.items():
        value = measure.function(network, inputs, labels)
        rows[name] = (*(value if isinstance(value, tuple) else (value, None, None)), measure.unit)
    return rows
