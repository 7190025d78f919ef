"""A run of the user's own: where its spec lies, the weights and losses of its networks."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from interdash.masking.several import taking_several
from interdash.runs.run import Run
from interdash.training.logits import hook_logits
from interdash.training.loop import evaluate
from interdash.training.spec import Spec, explained_samples, file_hash, load_spec, split_text

PREFIXES = ("module.", "model.", "_orig_mod.")  # of data-parallel, wrapped and compiled networks


@dataclass(frozen=True)
class SpecRecord:
    """Where a run's spec was when the run was recorded; stored in run.json."""

    path: str
    function: str
    sha256: str


def record_spec(run: Run, text: str) -> None:
    """Notes in the run's manifest the file, function and SHA-256 of the spec that "my_run.py:spec" names.

    Raises:
        ValueError: the file lies among the runs, from where code is never executed.
    """
    path, function = split_text(text)
    _check_outside(run.path.parent, path)
    run.update(spec=asdict(SpecRecord(str(path), function, file_hash(path))))


def check_spec_place(root: Path | str, text: str) -> None:
    """Raises ValueError if the file that "my_run.py:spec" names lies among the runs, from where code is never run."""
    _check_outside(Path(root), split_text(text)[0])


def _check_outside(folder: Path, path: Path) -> None:
    folder = folder.resolve()
    if path.resolve().is_relative_to(folder):
        raise ValueError(
            f"spec file {path} lies in the folder of runs {folder}, from where no code is run; move one of the two"
        )


def is_user_run(run: Run) -> bool:
    """Returns whether the run brings its own network and data."""
    return run.config.is_of_user


def run_spec(run: Run, spec: str | None = None) -> Spec:
    """Returns the spec of a user's run, from the file named now or, by default, the one recorded with the run.

    Raises:
        ValueError: no spec was recorded, or its file changed or lies among the runs.
        FileNotFoundError: the file is gone.
    """
    if spec is not None:
        return load_spec(spec)
    recorded = run.manifest.get("spec")
    ask = "name it with --spec my_run.py:spec"
    if not recorded:
        raise ValueError(
            f"run {run.name!r} was recorded without a spec file, so that its network can only be built in the process "
            f"that has it: pass network=… to interdash.pipeline.extract_and_label, or write a spec file and {ask}"
        )
    try:
        record = SpecRecord(**recorded)
        path = Path(record.path)
    except TypeError as error:
        raise ValueError(f"the spec recorded in {run.path / 'run.json'} is damaged ({error}); {ask}") from error
    if not path.is_absolute() or not path.is_file():
        raise FileNotFoundError(f"spec file {path} of run {run.name!r} is not on this machine; {ask}")
    _check_outside(run.path.parent, path)
    if file_hash(path) != record.sha256:
        raise ValueError(
            f"spec file {path} has changed since run {run.name!r} was recorded; if it builds the same network, {ask}"
        )
    return load_spec(f"{path}:{record.function}")


def new_network(spec: Spec, seed: int, device: torch.device | str = "cpu") -> nn.Module:
    """Returns the network that a training by this seed begins with, on a device: a new one, or as `begin` makes it."""
    network = taking_several(spec.network().to(device))
    if spec.begin is not None:
        spec.begin(network, seed)
    return network


def logits_builder(network: Callable[[], nn.Module], classes: int | None = None) -> Callable[[], nn.Module]:
    """Returns a builder of the same network that leaves global seeds alone; outputs are logits, no objects.

    `classes`: see `logits.hook_logits`.
    """

    def build() -> nn.Module:
        try:
            with torch.random.fork_rng(devices=[]):
                model = network()
        except Exception as error:  # a user's function may raise anything
            raise ValueError(
                f"the spec's network function failed with {type(error).__name__}: {error}; call it to see where"
            ) from error
        if not isinstance(model, nn.Module):
            raise ValueError(f"the spec's network function returned a {type(model).__name__}; return a torch.nn.Module")
        if empty := [name for name, weight in model.named_parameters() if is_lazy(weight) or weight.is_meta]:
            raise ValueError(
                f"the spec's network has no values in {empty[0]}, a lazy layer or one on the meta device; expected "
                "weights with values: give each layer its sizes, and build the network on the CPU"
            )
        return hook_logits(model, classes)

    return build


def matching_weights(weights: Mapping[str, Tensor], network: nn.Module, source: str) -> dict[str, Tensor]:
    """Returns the weights by the names the network has, after removing `PREFIXES` they may carry in front.

    A prefix that all names of the network have, such as "model." where the spec wraps the model, is put before them.

    Args:
        weights: a state dict.
        network: gets these weights, as a check that they fit.
        source: where they come from, for the message.

    Raises:
        ValueError: names or shapes differ.
    """
    names, weights = set(network.state_dict()), dict(weights)
    while weights and set(weights) != names:
        prefix = next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in weights)), None)
        if prefix is None:
            break
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    first = min(names, default="")
    for prefix in (first[: match.end()] for match in re.finditer(r"\.", first)):
        if {prefix + name for name in weights} == names:
            weights = {prefix + name: value for name, value in weights.items()}
            break
    if set(weights) != names:
        missing, unknown = sorted(names - set(weights)), sorted(set(weights) - names)
        raise ValueError(
            f"{source} does not fit the spec's network: it lacks {_some(missing)} and has {_some(unknown)} besides; "
            "let the spec build the same network, or pass the part of the model that it builds"
        )
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{source} does not fit the spec's network: {error}") from error
    return weights


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "nothing"


def draw_explained(run: Run, spec: Spec, network: nn.Module) -> None:
    """Draws the samples to explain, in strata of the losses at the last checkpoint, for a run that has none yet.

    `network` gets the weights of that checkpoint.
    """
    config, (*_, last) = run.config, run.checkpoint_epochs("target")
    seed = config.data.seed if is_user_run(run) else config.masking.seed
    network.load_state_dict(run.load_checkpoint("target", last))
    with FileLock(run.path / ".samples.lock"):  # several shards of an extraction may start at once
        if not run.has_explained():
            run.save_explained(explained_samples(spec, config.masking.samples_per_split, seed, network))


def record_losses(
    run: Run,
    network: str,
    epoch: int,
    model: nn.Module,
    spec: Spec,
    measures: Mapping[str, Any] | None = None,
    **known: float | None,
) -> dict[str, float]:
    """Returns losses and accuracies of a model after writing them; unknown losses are computed from the spec's data."""
    losses = {key: float(value) for key, value in known.items() if value is not None}
    for split in ("train", "test"):
        if f"{split}_loss" not in losses:
            inputs, labels, _ = spec.split(split)
            loss, accuracy = evaluate(model, inputs, labels.long())
            losses = {f"{split}_loss": loss, f"{split}_accuracy": accuracy} | losses
    run.record_metrics(network, epoch, measures=measures, **losses)
    return losses
