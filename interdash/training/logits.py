"""What a user's network returns, made into class logits `[batch, classes]`; and inputs that it may write into."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

LOGITS = ("logits", "logit", "out", "output", "scores", "preds", "prediction")  # keys of dicts, the first that is there


def hook_logits(network: nn.Module) -> nn.Module:
    """Returns the same network, which now gets copies of its inputs and returns logits alone.

    Objects with `.logits`, dicts and tuples are understood, and one logit `[batch]` or `[batch, 1]` z as two, [0, z].
    """
    network.register_forward_pre_hook(lambda module, inputs: tuple(map(_copy, inputs)))
    network.register_forward_hook(lambda module, inputs, output: two_columns(class_outputs(output, len(inputs[0]))))
    return network


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value  # a forward that writes into its input harms nothing


def class_outputs(output: Any, rows: int) -> Any:
    """Returns the tensor of a network's output by rows of inputs: `[batch, classes]`, `[batch, 1]` or `[batch]`.

    Of a tuple the first such tensor; anything else as it is.
    """
    if isinstance(output, Tensor):
        return output.view(1) if output.ndim == 0 and rows == 1 else output  # squeezed
    if (logits := getattr(output, "logits", None)) is not None:
        return class_outputs(logits, rows)
    if isinstance(output, Mapping):
        if key := next((key for key in LOGITS if key in output), None):
            return class_outputs(output[key], rows)
        values = list(output.values())
        return class_outputs(values[0], rows) if len(values) == 1 else output
    if isinstance(output, tuple | list):
        return next((value for value in output if _may_be_logits(value, rows)), output)
    return output


def _may_be_logits(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim in (1, 2) and len(value) == rows


def two_columns(outputs: Any) -> Any:
    """Returns [0, z] for the one logit z of a two-class network; other outputs as they are."""
    single = isinstance(outputs, Tensor) and outputs.is_floating_point() and outputs.ndim in (1, 2)
    if not single or (outputs.ndim == 2 and outputs.shape[1] != 1):
        return outputs
    column = outputs.reshape(-1, 1)
    return torch.cat([torch.zeros_like(column), column], 1)


def log_probabilities(network: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Returns a builder of the same network, which returns log-probabilities: for one that ends in softmax or sigmoid.

    In the spec: `network=interdash.training.logits.log_probabilities(network)`. Names of weights stay as they are.
    """

    def build() -> nn.Module:
        model = network()
        model.register_forward_hook(lambda module, inputs, output: _log(class_outputs(output, len(inputs[0]))))
        return model

    return build


def _log(probabilities: Tensor) -> Tensor:
    if probabilities.ndim == 1 or probabilities.shape[1] == 1:
        column = probabilities.reshape(-1, 1)
        probabilities = torch.cat([1 - column, column], 1)
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()
