"""What a user's network returns, made into class logits `[batch, classes]`; and inputs that it may write into."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from interdash.masking.several import taking_several

LOGITS = ("logits", "logit", "out", "output", "scores", "preds", "prediction")  # keys of dicts, the first that is there


class UnclearOutputError(ValueError):
    """A network returns several tensors that may be the logits."""


def hook_logits(network: nn.Module, classes: int | None = None) -> nn.Module:
    """Returns the same network, which now gets copies of its inputs and returns logits alone.

    Objects with `.logits`, dicts and tuples are understood, and one logit `[batch]` or `[batch, 1]` z as two, [0, z].
    `classes`: how many there are, by which the logits are told from other tensors, see `class_outputs`.
    """
    network.register_forward_pre_hook(_copies, with_kwargs=True)
    network.register_forward_hook(_Logits(classes), with_kwargs=True)
    return taking_several(network)


class _Logits(NamedTuple):
    """The hook that makes logits of outputs."""

    classes: int | None

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any], output: Any) -> Any:
        return two_columns(class_outputs(output, _rows(inputs, options), self.classes))


def _rows(inputs: tuple[Any, ...], options: dict[str, Any]) -> int:
    return len(inputs[0] if inputs else next(iter(options.values())))


def _copies(module: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return tuple(map(_copy, inputs)), {name: _copy(value) for name, value in options.items()}


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value  # a forward that writes into its input harms nothing


def class_outputs(output: Any, rows: int, classes: int | None = None) -> Any:
    """Returns the tensor of a network's output by rows of inputs: `[batch, classes]`, `[batch, 1]` or `[batch]`.

    Of a tuple or dict the only such tensor, or the only one with as many columns as classes; others as they are.

    Raises:
        UnclearOutputError: several may be the logits.
    """
    tensors = _tensors(output, rows)
    fitting = _fitting(tensors, classes)
    if len(tensors) > 1 and len(fitting) != 1:
        raise UnclearOutputError(
            f"the spec's network returns {len(tensors)} tensors that may be the logits: {_shapes(tensors)}; expected "
            f"one{f' of {classes} columns, as the spec has classes' if classes else ''}: let network= build a module "
            f"that returns it alone, as in forward(self, x): return self.network(x)[{next(iter(tensors))!r}]"
        )
    return next(iter((fitting or tensors).values()), output)


def choice_of_output(network: nn.Module, inputs: Tensor, classes: int) -> str:
    """Returns in words which of several tensors that a network returns is taken for its logits; "" if it returns one.

    Args:
        network: called without the hook of `hook_logits`; it stays as it is.
        inputs: one sample or more, `[batch, *input_shape]`.
        classes: as many as the spec has.
    """
    raw = copy.deepcopy(network).eval()
    for key in [key for key, hook in raw._forward_hooks.items() if isinstance(hook, _Logits)]:
        del raw._forward_hooks[key]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        tensors = _tensors(raw(inputs.clone()), len(inputs))
    if len(tensors) < 2:
        return ""
    return f"output {next(iter(_fitting(tensors, classes)))!r} of {_shapes(tensors)} as logits, by {classes} classes"


def _tensors(output: Any, rows: int) -> dict[Any, Tensor]:
    """Returns the tensors of an output that may be the logits, by key or place; the output itself if it is a tensor."""
    if isinstance(output, Tensor):
        return {"": output.view(1) if output.ndim == 0 and rows == 1 else output}  # squeezed
    if (logits := getattr(output, "logits", None)) is not None:
        return _tensors(logits, rows)
    if isinstance(output, Mapping):
        if key := next((key for key in LOGITS if key in output), None):
            return _tensors(output[key], rows)
        if len(output) == 1:
            return _tensors(next(iter(output.values())), rows)
        named = output.items()
    else:
        named = enumerate(output) if isinstance(output, tuple | list) else ()
    return {name: value for name, value in named if _may_be_logits(value, rows)}


def _may_be_logits(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim in (1, 2) and len(value) == rows


def _fitting(tensors: Mapping[Any, Tensor], classes: int | None) -> dict[Any, Tensor]:
    """Returns the tensors with a column for each class, or one column for two."""
    widths = (1, 2) if classes == 2 else (classes,)
    return {name: value for name, value in tensors.items() if _columns(value) in widths}


def _columns(value: Tensor) -> int:
    return value.shape[1] if value.ndim > 1 else 1


def _shapes(tensors: Mapping[Any, Tensor]) -> str:
    shapes = [f"{name!r} [{', '.join(['batch', *map(str, value.shape[1:])])}]" for name, value in tensors.items()]
    return " and ".join(shapes)


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
        model.register_forward_hook(
            lambda module, inputs, options, output: _log(class_outputs(output, _rows(inputs, options))),
            with_kwargs=True,
        )
        return model

    return build


def _log(probabilities: Tensor) -> Tensor:
    if probabilities.ndim == 1 or probabilities.shape[1] == 1:
        column = probabilities.reshape(-1, 1)
        probabilities = torch.cat([1 - column, column], 1)
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()
