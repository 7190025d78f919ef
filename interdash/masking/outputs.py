"""Masked inference: a network's log-odds v(x_T) on every masked version of a sample.

x_T keeps the variables in T and sets all others to their baseline value; the row index of a subset is its bitmask (see
`subsets`). What the variables of an image, a text or a table are is said in `variables`.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from interdash.masking.batches import first_layer_batches, input_batches, keep_freed_memory, split_off_linear
from interdash.masking.convolutions import faster
from interdash.masking.local import local_batches, split_off_local
from interdash.masking.several import Several, masked_input
from interdash.masking.variables import Variables, check_every_variable_owns
from interdash.solver.fixed import full_float32

MIB = 2**20
CPU_WORKING_SET = 8 * MIB  # activations of one batch; beyond a core's cache the forward pass slows down (measured)
MAX_BATCH = 8192  # masked inputs in one batch; larger ones gain nothing
ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardswish, nn.Hardtanh, nn.Softplus, nn.Tanh, nn.Sigmoid),
)


def log_odds(logits: Tensor, labels: Int64[Tensor, " batch"]) -> Float64[Tensor, " batch"]:
    """Returns the log-odds log(p / (1 − p)) of each row's label, in nats.

    z_y − logsumexp(z_others), from logits `[batch, classes]`: exact where p rounds to 1.
    Cross-entropy is log(1 + e^−v), exactly.
    Source: symbolic-dynamics (arXiv 2407.19198), definition of v(x_T).

    >>> log_odds(torch.tensor([[0.0, 100.0]]), torch.tensor([1])).tolist()
    [100.0]
    """
    if logits.device.type == "mps":  # has no float64
        logits = logits.cpu()
    # [classes, batch]: sums over classes are then sums of rows, which is faster
    z = logits.t().to(torch.float64, memory_format=torch.contiguous_format)
    row = labels.to(z.device, torch.int64)[None]
    true = z.gather(0, row)[0]
    others = z.scatter(0, row, -math.inf)
    highest = others.amax(0)
    return true - highest - (others - highest).exp_().sum(0).log_()


def masked_outputs(
    network: nn.Module,
    inputs: Tensor | Several,
    labels: Tensor,
    variables: Variables,
    *,
    device: torch.device | str | None = None,
    byte_budget: int | None = None,
    heads: Callable[[], Sequence[Tensor]] | None = None,
) -> Float64[Tensor, "samples subsets"] | Float64[Tensor, "heads samples subsets"]:
    """Returns v(x_T), the log-odds of each sample's label, for all 2^n masks: `[samples, 2**n]` on the CPU, in nats.

    Args:
        network: returns class logits `[batch, classes]`; runs in eval mode, its training flags and device are restored.
        inputs: `[samples, *input_shape]`; of `Several`, whose network is one of `taking_several`, one is masked.
        labels: class numbers `[samples]`.
        variables: which elements of an input are masked together, and their baseline.
        device: where to run; None = where the network's parameters are.
        byte_budget: bytes that one batch of inputs and activations may take; None = a quarter of a GPU's free memory,
            256 MiB elsewhere. A batch that runs out of memory is halved.
        heads: returns other class logits that hooks have read off the batch that ran last, such as those of layers,
            always as many; then v is `[1 + heads, samples, 2**n]`, the network's own first, from the same passes.

    Raises:
        ValueError: the batch is empty, a label is out of range, shapes disagree, or logits are malformed or not finite.
        TypeError: the network is no module, or returns no tensor.
        MemoryError: one masked input does not fit into memory.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"the network is a {type(network).__name__}; pass a torch.nn.Module that returns class logits")
    others = heads or tuple
    _check_inputs(masked_input(inputs), labels, variables)
    keep_freed_memory()
    with _ready(network, device) as device, faster(network, inputs[:1]) as channels_last, torch.inference_mode():
        inputs, at = inputs.to(device), "cpu" if device.type == "mps" else device  # where `log_odds` are
        classes, row_bytes, activation = _probe(network, inputs[:1])
        _check_labels(labels, classes)
        masked, labels, size = masked_input(inputs), labels.to(at), len(inputs) * 2**variables.n_variables
        with torch.inference_mode(False):  # else nobody could change it in place
            v = torch.empty((1 + len(others()), size), dtype=torch.float64, device=at)
        rows, position = _batch_rows(row_bytes, byte_budget, device), 0
        first_layer = local = None
        if masked is inputs and channels_last:
            local, network = split_off_local(network, variables, rows)
        elif masked is inputs:
            first_layer, network = split_off_linear(network, masked, variables)
        with _feature_hook(network, variables, activation) as (assignment, feature_keep):
            while position < v.shape[1]:
                try:
                    if local:
                        batches = local_batches(local, masked, variables, rows, position)
                    elif first_layer is None:
                        batches = input_batches(masked, variables, assignment, rows, position, device)
                    else:
                        batches = first_layer_batches(first_layer, masked, variables, rows, position)
                    for batch, keep, group in batches:
                        feature_keep["keep"] = keep
                        whole = inputs[group].with_masked(batch) if isinstance(inputs, Several) else batch
                        every = [_check_logits(network(whole), len(batch)), *others()]
                        row_labels = labels[group, None].expand(-1, len(batch) // len(labels[group])).flatten()
                        for of_head, logits in zip(v, every, strict=True):
                            of_head[position : position + len(batch)] = log_odds(logits, row_labels)
                        position += len(batch)
                except RuntimeError as error:  # torch.OutOfMemoryError is one
                    if not _is_out_of_memory(error):
                        raise
                    message = str(error).splitlines()[0]
                else:
                    break
                # Out of the except block the traceback no longer holds the failed batch.
                batches = batch = whole = keep = logits = every = feature_keep["keep"] = None
                rows = _halved(rows, device, message)
    v = v.view(len(v), len(inputs), -1).cpu()
    finite = v.isfinite().all(2).all(0)
    if not finite.all():
        raise ValueError(
            f"the logits of sample {int(finite.int().argmin())} contain NaN or infinity; "
            "check the network's weights, the input and its baseline"
        )
    return v if heads else v[0]


def masked_logits(
    network: nn.Module,
    inputs: Tensor | Several,
    variables: Variables,
    subsets: Sequence[int],
    *,
    device: torch.device | str | None = None,
    rows: int = 256,
) -> Float32[Tensor, "subsets samples classes"]:
    """Returns the class logits of the inputs with only the variables in some subsets (bitmasks) kept, on the CPU.

    Args:
        network: returns class logits `[batch, classes]`; runs in eval mode.
        inputs: `[samples, *input_shape]`.
        variables: those of these inputs.
        subsets: bit i = variable i.
        device: where to run; None = where the network's parameters are.
        rows: inputs in one batch.
    """
    lead = inputs.ndim - 1 - variables.rank  # axes of channels
    each = variables.at == "input" and variables.baseline_of_each
    parts: list[list[Tensor]] = [[] for _ in subsets]
    with _ready(network, device) as device, torch.inference_mode():
        _, _, activation = _probe(network, inputs[:1].to(device))
        with _feature_hook(network, variables, activation) as (assignment, slot):
            for first in range(0, len(inputs), rows):
                some = slice(first, first + rows)
                x = masked_input(inputs[some]).to(device)
                owners = (assignment[some] if variables.per_sample else assignment[None]).to(device)
                baseline = (variables.baseline[some] if each else variables.baseline).to(device)
                for part, subset in zip(parts, subsets, strict=True):
                    keep = (torch.tensor(subset) >> owners.clamp(0) & 1).bool() | (owners < 0)
                    keep = keep.view(len(keep), *([1] * lead), *keep.shape[1:])
                    if variables.at == "input":
                        slot["keep"], batch = None, torch.where(keep, x, baseline)
                    else:
                        slot["keep"], batch = keep.float().expand(len(x), *keep.shape[1:]), x
                    whole = inputs[some].with_masked(batch) if isinstance(inputs, Several) else batch
                    part.append(_check_logits(network(whole), len(x)).float().cpu())
    return torch.stack([torch.cat(part) for part in parts])


def _probe(network: nn.Module, x: Tensor | Several) -> tuple[int, int, tuple[nn.Module, torch.Size] | None]:
    """Returns classes, bytes a row takes and the first activation module that ran with its output's shape."""
    row_bytes = x.shape.numel() * x.dtype.itemsize
    first: list[tuple[nn.Module, torch.Size]] = []

    def count(module: nn.Module, _: Any, output: Any) -> None:
        nonlocal row_bytes
        if isinstance(output, Tensor):
            row_bytes += output.numel() * output.element_size()
            if isinstance(module, ACTIVATIONS):
                first.append((module, output.shape))

    hooks = [module.register_forward_hook(count) for module in network.modules() if not list(module.children())]
    try:
        logits = _check_logits(network(x), 1)
    finally:
        for hook in hooks:
            hook.remove()
    return logits.shape[1], row_bytes, first[0] if first else None


@contextlib.contextmanager
def _feature_hook(
    network: nn.Module, variables: Variables, activation: tuple[nn.Module, torch.Size] | None
) -> Iterator[tuple[Tensor, dict[str, Tensor | None]]]:
    """Yields the assignment to mask by, and the slot for the mask that the network's first feature map is to take.

    At the input the slot goes unused. On feature maps the assignment is the image's at the centre of each cell.

    Raises:
        ValueError: the network has no activation module, or its first one gives no `[batch, channels, height, width]`.
    """
    slot: dict[str, Tensor | None] = {"keep": None}
    if variables.at == "input":
        yield variables.assignment, slot
        return
    if activation is None:
        raise ValueError(
            "at='first_activation' needs an activation module (nn.ReLU, nn.GELU, ...), and the network has none: "
            "use modules instead of functions for activations, or at='input'"
        )
    module, shape = activation
    if len(shape) != 4:
        raise ValueError(
            f"the first activation gives {tuple(shape)}, not a feature map [batch, channels, height, width]; "
            "use at='input'"
        )
    assignment = variables.assignment
    for axis, cells in ((-2, shape[2]), (-1, shape[3])):
        size = assignment.shape[axis]
        centres = ((torch.arange(cells) * 2 + 1) * size).div(2 * cells, rounding_mode="floor")
        assignment = assignment.index_select(axis, centres)
    check_every_variable_owns(
        assignment.flatten(-2), variables.n_variables, f"cell of the {shape[2]}×{shape[3]} feature map"
    )
    pending = False

    def start(*_: Any) -> None:
        nonlocal pending
        pending = True

    def mask(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        nonlocal pending
        if not pending or slot["keep"] is None:  # a module used several times masks only the first time
            return output
        pending = False
        return output * slot["keep"].to(output.dtype)

    hooks = [network.register_forward_pre_hook(start), module.register_forward_hook(mask, prepend=True)]
    try:
        yield assignment, slot
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def _ready(network: nn.Module, device: torch.device | str | None) -> Iterator[torch.device]:
    """Yields the device to run on, the network there in eval mode at full float32; puts everything back after."""
    origin = next((p.device for p in network.parameters()), torch.device("cpu"))
    device = origin if device is None else torch.device(device)
    training = [(module, module.training) for module in network.modules()]
    try:
        network.to(device).eval()
        with full_float32(device):
            yield device
    finally:
        network.to(origin)
        for module, flag in training:
            module.training = flag


def _batch_rows(row_bytes: int, byte_budget: int | None, device: torch.device) -> int:
    """Returns the number of masked inputs in one batch, a power of two."""
    if byte_budget is None:
        byte_budget = torch.cuda.mem_get_info(device)[0] // 4 if device.type == "cuda" else 256 * MIB
    rows = min(byte_budget // (2 * row_bytes), MAX_BATCH)  # twice: functions called in `forward` are not counted
    if device.type == "cpu":
        rows = min(rows, max(128, CPU_WORKING_SET // row_bytes))
    return 1 << (max(1, rows).bit_length() - 1)


def _halved(rows: int, device: torch.device, message: str) -> int:
    """Returns half the rows of a batch that ran out of memory, or raises MemoryError if it had one only."""
    if rows == 1:
        raise MemoryError(f"one masked input does not fit into memory on {device}: {message}")
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return rows // 2


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Returns whether torch ran out of memory: its own error on CUDA, a plain RuntimeError of the CPU allocator."""
    text = str(error).lower()
    cpu_texts = "not enough memory", "can't allocate memory", "out of memory"
    return isinstance(error, torch.OutOfMemoryError) or any(words in text for words in cpu_texts)


def _check_inputs(inputs: Tensor, labels: Tensor, variables: Variables) -> None:
    """Raises ValueError unless inputs, labels, assignment and baseline fit together."""
    if len(inputs) == 0:
        raise ValueError("the batch is empty: pass at least one sample")
    if labels.shape != inputs.shape[:1]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} for {len(inputs)} samples; pass one class number each"
        )
    if labels.is_floating_point():
        raise ValueError(f"labels are {labels.dtype}; pass class numbers as integers")
    shape, assignment = inputs.shape[1:], variables.assignment
    elements = assignment.shape[1:] if variables.per_sample else assignment.shape
    if shape[-len(elements) :] != elements:
        raise ValueError(
            f"one input has shape {tuple(shape)}, but the variables are assigned to {tuple(elements)} elements: "
            "build them for inputs of this shape"
        )
    named = len(variables.names) if variables.named_per_sample else len(inputs)
    of_samples = len(assignment) if variables.per_sample else named
    if not named == of_samples == len(inputs):
        raise ValueError(
            f"variables are those of {of_samples} samples, inputs are {len(inputs)}; select the same samples"
        )
    if variables.at == "first_activation":
        return
    if variables.baseline.is_floating_point() and not inputs.is_floating_point():
        raise ValueError(
            f"the baseline is {variables.baseline.dtype}, inputs are {inputs.dtype}: make them the same kind"
        )
    try:
        variables.baseline.expand((len(inputs), *shape) if variables.baseline_of_each else shape)
    except RuntimeError as error:
        raise ValueError(
            f"the baseline has shape {tuple(variables.baseline.shape)}, which does not fit an input of {tuple(shape)}"
        ) from error


def _check_labels(labels: Tensor, classes: int) -> None:
    """Raises ValueError unless every label is the number of a class."""
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        sample = int(wrong.int().argmax())
        raise ValueError(
            f"the label of sample {sample} is {int(labels[sample])}; "
            f"the network gives {classes} classes, so labels go from 0 to {classes - 1}"
        )


def _check_logits(logits: Any, rows: int) -> Tensor:
    """Returns what the network returned if it is `[rows, classes]` with at least two classes."""
    if not isinstance(logits, Tensor):
        raise TypeError(
            f"the network returned a {type(logits).__name__}; wrap it in a module that returns the class logits only"
        )
    if logits.ndim == 1 or (logits.ndim == 2 and logits.shape[1] == 1):
        raise ValueError(
            f"the network returned one column, shape {tuple(logits.shape)}; log-odds need a logit for each class: "
            "for a two-class network with one output z return [0, z]"
        )
    if logits.ndim != 2:
        raise ValueError(f"the network returned shape {tuple(logits.shape)}; expected class logits [batch, classes]")
    if len(logits) != rows:
        raise ValueError(f"the network returned {len(logits)} rows for {rows} inputs; expected one row for each input")
    return logits
