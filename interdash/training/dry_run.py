"""One dry run of a user's network, data and variables, before anything of a run is written.

Each check names what would give wrong figures later, or an error after hours: shapes, labels, outputs of other kinds.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from interdash.config import MaskingConfig
from interdash.masking.kinds import kind_of
from interdash.masking.outputs import masked_outputs
from interdash.masking.rows import batch_size
from interdash.masking.variables import Explained, Variables
from interdash.training.logits import UnclearOutputError, class_outputs
from interdash.training.spec import Spec, explained_samples

SAMPLES = 500  # of each split, looked at for outputs that are probabilities
VARIABLES = 6  # of which the dry run masks every subset
IGNORED = (-100, -1, 255)  # labels that losses are told to pass over
SAME = 1e-4  # relative difference of two passes that is no randomness
SQUASHING = (nn.Softmax, nn.Softmax2d, nn.Sigmoid, nn.Softmin)


def dry_run(
    spec: Spec, samples_per_split: int, seed: int, network: nn.Module, device: torch.device | str = "cpu"
) -> Explained:
    """Returns the samples to explain, after a dry run of the network on one of each split.

    Raises:
        ValueError: see `check_data` and `check_network`, or the spec's variables cannot be made.
    """
    check_data(spec)
    try:
        explained = explained_samples(spec, samples_per_split, seed)
    except (LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(
            f"the spec's variables fail with {type(error).__name__}: {_first_line(error)}; expected Variables for each "
            "input: call the function with train_inputs[:1] to see where"
        ) from error
    check_network(spec, explained, network, device)
    return explained


def check_data(spec: Spec) -> None:
    """Raises ValueError if a spec's labels or inputs cannot be what they are said to be."""
    config = spec.variables
    for split in ("train", "test"):
        inputs, labels, _ = spec.split(split)
        for ignored in IGNORED:
            if count := int((labels == ignored).sum()):
                classes = len(set(labels.unique().tolist()) - {ignored})
                if ignored < 0 or classes < ignored:
                    raise ValueError(
                        f"{split}_labels hold {ignored}, which losses ignore, for {count} of {len(labels)} samples; "
                        f"expected a class for each: leave these samples out, inputs[labels != {ignored}]"
                        f"{', or number the classes from 0 if it is one' if ignored == -1 else ''}"
                    )
        if isinstance(config, Variables):
            _check_assignment(config, split, inputs)
        if not isinstance(config, MaskingConfig):
            continue
        shape, kind = tuple(inputs.shape[1:]), kind_of(config.kind)
        rank = kind.rank
        if len(shape) < rank or (len(shape) > rank and not kind.channels):
            expected = "[samples, …, height, width]" if rank == 2 else "[samples, features]"
            raise ValueError(
                f"{split}_inputs have shape {_shape(inputs.shape)}; expected {expected} for MaskingConfig("
                f"{config.kind!r}): for time series, points and volumes pass MaskingConfig('series'), a function that "
                "returns point_variables(inputs), or Variables of your own as variables=, with an assignment of the "
                f"last axes of {_shape(shape)}"
            )
        if rank == 2 and len(shape) == 3 and shape[-1] <= 4 < min(shape[:2]):
            raise ValueError(
                f"{split}_inputs have shape {_shape(inputs.shape)}, channels last; expected [samples, channels, "
                f"height, width]: write {split}_inputs.permute(0, 3, 1, 2) in the spec, and let the network take that"
            )
        if rank == 2 and len(shape) > 3:
            raise ValueError(
                f"{split}_inputs have shape {_shape(inputs.shape)}; expected images [samples, channels, height, "
                "width]: for volumes and films pass Variables of your own, with an assignment of the last axes"
            )


def _check_assignment(variables: Variables, split: str, inputs: Tensor) -> None:
    elements = variables.assignment.shape[-kind_of(variables.kind).rank :]
    if inputs.shape[1:][-len(elements) :] != elements:
        raise ValueError(
            f"{split}_inputs have shape {_shape(inputs.shape)}, but the variables are assigned to {_shape(elements)} "
            "elements; expected an assignment of an input's last axes: build the variables for inputs of this shape"
        )


def check_network(spec: Spec, explained: Explained, network: nn.Module, device: torch.device | str = "cpu") -> None:
    """Raises ValueError if a network cannot explain one sample of each split, or gives what are no logits.

    Args:
        spec: has the data.
        explained: the samples to explain, of which the first of each split is masked.
        network: returns logits, see `logits.hook_logits`; its mode and device are restored.
        device: where to run.
    """
    modes = {module: module.training for module in network.modules()}
    origin = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    network.to(device).eval()
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            outputs = {split: _logits(network, spec, split, device) for split in ("train", "test")}
            _check_probabilities(network, list(outputs.values()), spec)
            _check_first_class(spec, outputs["train"].shape[1])
        for split in ("train", "test"):
            _check_labels(spec, split, outputs[split].shape[1])
            sample = explained.split.index(split)
            rows = slice(sample, sample + 1)
            few = _few_variables(explained.variables.select([sample]))
            try:
                masked_outputs(network, explained.inputs[rows], explained.labels[rows], few, device=device)
            except Exception as error:  # a user's forward may raise anything
                raise ValueError(
                    f"the spec's network fails on a masked sample of the {split}ing split: {type(error).__name__}: "
                    f"{_first_line(error)}; expected logits for every mask: let variables= mask with values "
                    "that the network can read"
                ) from error
    finally:
        network.to(origin)
        for module, mode in modes.items():
            module.training = mode


def _logits(network: nn.Module, spec: Spec, split: str, device: torch.device | str) -> Tensor:
    """Returns the logits of a split's first samples `[samples, classes]`, after one sample alone was tried."""
    inputs, _, _ = spec.split(split)
    first = inputs[:1].to(device)
    try:
        alone = network(first)
        size = min(100, batch_size(inputs))
        batches = (inputs[start : start + size] for start in range(0, min(SAMPLES, len(inputs)), size))
        logits = torch.cat([network(batch.to(device)) for batch in batches])
        again = network(inputs[:size].to(device))  # one sample alone may by chance be dropped in the same places
    except UnclearOutputError:
        raise
    except Exception as error:  # a user's forward may raise anything
        weights = {str(weight.dtype).removeprefix("torch.") for weight in network.parameters()}
        raise ValueError(
            f"the spec's network fails on {split}_inputs, {inputs.dtype} of shape {_shape(first.shape)} in a batch of "
            f"one: {type(error).__name__}: {_first_line(error)}; expected inputs as the network reads them (its "
            f"weights are {', '.join(sorted(weights)) or 'none'}): change {split}_inputs or the network in the spec"
        ) from error
    if not isinstance(logits, Tensor) or not logits.is_floating_point() or logits.ndim != 2 or len(alone) != 1:
        kind = f"{logits.dtype} of shape {_shape(logits.shape)}" if isinstance(logits, Tensor) else "no tensor"
        raise ValueError(
            f"the spec's network returns {kind} for {split}_inputs; expected class logits [batch, classes], or one "
            "logit [batch]: wrap it in a module that returns them alone"
        )
    difference = float((again - logits[:size]).abs().max())
    if difference > SAME * (1 + float(again.abs().max())):
        raise ValueError(
            f"the spec's network is random: two passes of the same {split}_inputs differ by {difference:.3g}; expected "
            "the same each time: write functional.dropout(…, training=self.training), and fix what else is drawn"
        )
    difference = float((alone - logits[:1]).abs().max())
    if difference > SAME * (1 + float(alone.abs().max())):
        raise ValueError(
            f"the spec's network looks at other samples of a batch: the first of {split}_inputs alone and beside "
            f"{size - 1} others differs by {difference:.3g}; expected logits of each sample by itself: take statistics "
            "over the batch out of forward, or keep them in training (track_running_stats=True)"
        )
    return logits


def _check_probabilities(network: nn.Module, outputs: Sequence[Tensor], spec: Spec) -> None:
    """Raises ValueError if a network ends in softmax or sigmoid; log-probabilities are as good as logits."""
    logits = torch.cat(list(outputs)).double()
    sample = spec.train_inputs[: min(50, batch_size(spec.train_inputs))].to(outputs[0].device)
    last = _last_layer(network, sample, len(spec.names_of_classes()))
    total = 100.0 if float(logits.sum(1).mean()) > 10 else 1.0  # where they are per cent
    sums_to_one = bool((logits >= 0).all() and ((logits.sum(1) - total).abs() < 1e-3 * total).all())
    one = logits.shape[1] == 2 and bool((logits[:, 0] == 0).all())  # one logit, as two columns
    within = bool(((logits >= 0) & (logits <= 1)).all())
    if sums_to_one or isinstance(last, SQUASHING) or (within and _is_squashed(network, sample)):
        name = "sigmoid" if one or isinstance(last, nn.Sigmoid) or not sums_to_one else "softmax"
        raise ValueError(
            f"the spec's network returns probabilities (between {float(logits.min()):.3g} and "
            f"{float(logits.max()):.3g}), as if it ended in {name}; expected logits or log-probabilities: leave the "
            f"{name} out, or write network=interdash.training.logits.log_probabilities(network) in the spec"
        )


def _last_layer(network: nn.Module, sample: Tensor, classes: int) -> nn.Module | None:
    """Returns the layer whose output is the network's, untouched; None if it is none's."""
    results: list[tuple[nn.Module, int]] = []
    final: list[int] = []
    hooks = [
        module.register_forward_hook(lambda module, _, output: results.append((module, id(output))))
        for module in network.modules()
        if not list(module.children())
    ]
    hooks.append(
        network.register_forward_hook(
            lambda module, inputs, output: final.append(id(class_outputs(output, len(sample), classes))),
            prepend=True,
        )
    )
    try:
        network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return next((module for module, result in reversed(results) if result in final), None)


def _is_squashed(network: nn.Module, inputs: Tensor) -> bool:
    """Returns whether outputs are between 0 and 1 whatever the weights are."""
    network = copy.deepcopy(network)
    for weight in network.parameters():
        weight.copy_(3 * torch.randn_like(weight))
    outputs = network(inputs)
    return bool(((outputs >= 0) & (outputs <= 1)).all())


def _check_labels(spec: Spec, split: str, classes: int) -> None:
    """Raises ValueError unless every label of a split is the number of one of the network's classes."""
    _, labels, _ = spec.split(split)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        advice = "subtract 1, labels - 1" if low == 1 and high == classes else "number the classes so in the spec"
        raise ValueError(
            f"{split}_labels go from {low} to {high}, and the spec's network gives {classes} classes; expected labels "
            f"from 0 to {classes - 1}: {advice}"
        )
    if spec.class_names and len(spec.class_names) != classes:
        raise ValueError(
            f"class_names has {len(spec.class_names)} names, and the spec's network gives {classes} classes; expected "
            "one name each: correct class_names in the spec"
        )


def _check_first_class(spec: Spec, classes: int) -> None:
    """Raises ValueError if labels seem to count from 1 up to a network's last output, so that its first has no "
    "sample."""
    low, high = (int(end(torch.cat([spec.train_labels, spec.test_labels]))) for end in (torch.min, torch.max))
    if low > 0 and high == classes - 1 and not spec.class_names:
        raise ValueError(
            f"train_labels and test_labels go from {low} to {high}, none is 0, and the spec's network gives {classes} "
            f"classes; expected labels from 0 to {classes - 1}: subtract 1, labels - 1, where they count from 1, or "
            "write class_names= in the spec if class 0 merely has no samples"
        )


def _few_variables(variables: Variables) -> Variables:
    """Returns the first of one sample's variables alone; the others stay visible."""
    n = min(variables.n_variables, VARIABLES)
    names = tuple(each[:n] for each in variables.names) if variables.named_per_sample else variables.names[:n]
    few = torch.where(variables.assignment < n, variables.assignment, -1)
    return replace(variables, names=names, assignment=few)


def _shape(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
