"""A folder of saved checkpoints, made into a run: all is read and tried first, then written.

What is written is right or is not written: which epoch a checkpoint is of (`checkpoint_epochs`), the weights in it
(`weights`), its losses (`logs`, `log_epochs`) and the network itself (`dry_run`) are settled before, or refused.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from interdash.importing.checkpoint_epochs import Epochs, Progress, count_steps, epochs_of, progress_of
from interdash.importing.checkpoint_files import Name, find_names, read_checkpoint
from interdash.importing.inert_pickle import stubs
from interdash.importing.log_epochs import Aligned, aligned
from interdash.importing.logs import Log, Losses, diverged, read_log
from interdash.importing.untrained import Untrained, batches_seen, training_seen, untrained_networks
from interdash.importing.weights import Weights, find_weights
from interdash.runs.run import Run
from interdash.training.dry_run import dry_run
from interdash.training.logits import choice_of_output
from interdash.training.loop import evaluate
from interdash.training.measures import measures_of
from interdash.training.own import draw_explained, logits_builder, record_losses, run_spec
from interdash.training.recorder import create_user_run
from interdash.training.spec import Spec, load_spec, naming, spec_text

SAMPLES = 500  # of each split, by which logs and "untrained" checkpoints are checked
COMPARED = 6  # checkpoints that a log is held against
QUIET = frozenset({"_codecs.encode", "numpy.dtype", "numpy._core.multiarray.scalar"})  # parts of a NumPy scalar


@dataclass(frozen=True)
class _Source:
    """How checkpoint files are read."""

    trust: bool
    weights: str
    ignored: Sequence[str]
    spec: str  # its file and function, for messages


@dataclass(frozen=True)
class _File:
    """What was found in a checkpoint; its tensors are read again when they are written."""

    name: Name
    progress: Progress
    weights: Weights  # without tensors
    finite: bool
    objects: frozenset[str]  # of classes that are not loaded


def import_checkpoints(
    root: Path | str,
    name: str,
    pattern: str,
    spec: str | Spec | Callable[[], Spec],
    *,
    network: str = "target",
    losses: Path | str | None = None,
    tags: Mapping[str, str] | None = None,
    first_epoch: int | None = None,
    first_logged_epoch: int | None = None,
    steps_per_epoch: float | None = None,
    unit: Literal["epoch", "step"] = "epoch",
    weights: str = "",
    ignored: Sequence[str] = (),
    trust: bool = False,
    samples_per_split: int = 50,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Run:
    """Returns a run made of saved checkpoints; losses that are not given are computed from the spec's data.

    Args:
        root: the folder of runs.
        name: the run's name.
        pattern: of the files or folders, such as "out/ckpt_*.pt" or "out/checkpoint-*". The epoch is what the
            checkpoint says of itself, or the number that * stands for; 0 = untrained.
        spec: "my_run.py:spec", or as in `Recorder`.
        network: "target", or "baseline-0", … to add a baseline, trained on the testing split, to a run that is there.
        losses: the training's log, see `logs.read_log`.
        tags: the column or scalar of a metric, such as {"train_loss": "loss/train"}; others are found by their names.
        first_epoch: the epoch that the lowest number of the checkpoints stands for.
        first_logged_epoch: the epoch that the lowest number in the log stands for.
        steps_per_epoch: where checkpoints or log count optimizer steps, how many are an epoch.
        unit: "step" where checkpoints and log count steps and the run shall too.
        weights: the key of the weights where a file holds several, such as "state_dict_ema".
        ignored: starts of names in the files that are left out though they look like layers.
        trust: read whole pickled modules, which runs code from the files.
        samples_per_split: samples explained from each split.
        seed: of their choice.
        device: where losses are computed.
        progress: called with files done and files in all.
        say: called with three lines: what was dropped, stripped and chosen.

    Raises:
        FileNotFoundError: no file fits the pattern, or the losses or the spec are not there.
        FileExistsError: a run of this name is finished, or has another configuration.
        ValueError: a file is refused or does not fit, or an epoch is unclear; nothing is written then.
    """
    if unit == "step":
        if steps_per_epoch not in (None, 1):
            raise ValueError(f"{steps_per_epoch:g} steps are an epoch, and the run shall count steps; say one of both")
        steps_per_epoch = 1
    run = Run.open(root, name) if network != "target" else None
    data = _spec(spec, run)
    text = spec if isinstance(spec, str) else "" if isinstance(spec, Spec) else spec_text(spec)
    source = _Source(trust, weights, tuple(ignored), text)
    names = find_names(pattern)
    build = logits_builder(data.network, len(data.names_of_classes()))
    with naming(text):
        model = build().to(device)
        dry_run(data, samples_per_split, seed, model, device)
    files = _read_all(names, model, source)
    pairs = [(file.name, file.progress) for file in files.values()]
    log = read_log(losses, tags) if losses is not None else None
    stepped = log is None or log.counted != "step" or count_steps(pairs)  # else the steps are those of the log alone
    epochs = epochs_of(pairs, pattern, first_epoch=first_epoch, steps_per_epoch=steps_per_epoch if stepped else None)
    if run is not None:  # a baseline, whose epochs matter little
        epochs = replace(epochs, certain=True, doubt="")
    if epochs.doubt and log is None:
        raise ValueError(epochs.doubt)
    aligned_log, doubt = None, ""
    if log is not None or not epochs.certain:
        new = untrained_networks(lambda: build().to(device), lambda network: _losses(network, data))
        if log is not None:
            measured = _measure(data, epochs, source, device)
            options = {"first": first_logged_epoch, "steps_per_epoch": steps_per_epoch}
            aligned_log = aligned(log, epochs, measured, new, **options)
            epochs = epochs.moved(aligned_log.checkpoints)
        if not epochs.certain:
            first = min(epochs.names)
            doubt = _check_first(files[epochs.names[first].path], first, model, source, data, new)
    logged: Losses = aligned_log.losses if aligned_log else {}

    finite = {epoch: each for epoch, each in epochs.names.items() if files[each.path].finite}
    if not finite:
        raise ValueError(
            f"{names[0].path} and all others hold NaN or infinite weights; expected finite ones: name checkpoints from "
            "before the training diverged with --checkpoints"
        )
    last = finite[max(finite)]
    model.load_state_dict(_weights(last, model, source).tensors)
    there = (Path(root) / name).exists(), Path(root).exists()
    if run is None:
        run, data = create_user_run(
            root,
            name,
            spec,
            epochs=max(max(finite), 1),
            unit=unit,
            checkpoints=tuple(finite),
            samples_per_split=samples_per_split,
            seed=seed,
            purpose=f"imported from {len(finite)} saved checkpoints",
            network=model,
            device=device,
        )
    try:
        for done, (epoch, each) in enumerate(finite.items(), start=1):
            tensors = _weights(each, model, source).tensors
            model.load_state_dict(tensors)
            run.save_checkpoint(network, epoch, tensors)
            measures = measures_of(model, *data.split("train")[:2]) if network == "target" else None
            record_losses(run, network, epoch, model, data, measures, **logged.get(epoch, {}))
            if progress is not None:
                progress(done, len(finite))
        for epoch in sorted(logged.keys() - finite.keys()):
            run.record_metrics(network, epoch, measures=None, **logged[epoch])
        if network == "target":
            draw_explained(run, data, model)
    except Exception:
        _remove(run, network, there)
        raise
    run.finish(network)
    if first := diverged(logged):
        words = ", ".join(f"{metric} from epoch {epoch} on" for metric, epoch in first.items())
        run.update(notes=f"{run.manifest['notes']}\nDiverged by its log: {words} NaN or infinite.".strip())
    if say is not None:
        output = choice_of_output(model, data.train_inputs[:1].to(device), len(data.names_of_classes()))
        for line in _lines(epochs, files, log, aligned_log, first, [doubt, output]):
            say(line if unit == "epoch" else re.sub(r"\bepoch", "step", line))
    return run


def _spec(spec: str | Spec | Callable[[], Spec], run: Run | None) -> Spec:
    if isinstance(spec, Spec):
        return spec
    if not isinstance(spec, str):
        return spec()
    return load_spec(spec) if run is None else run_spec(run, spec)


def _weights(name: Name, model: nn.Module, source: _Source, content: Any = None) -> Weights:
    content = read_checkpoint(name.path, trust=source.trust) if content is None else content
    owner = f"the network of {source.spec}" if source.spec else "the spec's network"
    return find_weights(content, model, str(name.path), choice=source.weights, ignored=source.ignored, owner=owner)


def _read_all(names: Sequence[Name], model: nn.Module, source: _Source) -> dict[Path, _File]:
    """Returns what is in each checkpoint, by its path; all are read before anything is written."""
    files = {}
    for name in names:
        content = read_checkpoint(name.path, trust=source.trust)
        weights = _weights(name, model, source, content)
        files[name.path] = _File(
            name,
            replace(progress_of(content, name.path), batches=batches_seen(weights.tensors)),
            replace(weights, tensors={}),
            all(bool(value.isfinite().all()) for value in weights.tensors.values()),
            frozenset(stub.name for stub in stubs(content)),
        )
    return files


def _measure(data: Spec, epochs: Epochs, source: _Source, device: torch.device | str) -> dict[int, dict[str, float]]:
    """Returns losses on the spec's data, in nats, of some checkpoints by epoch."""
    step = max(1, len(epochs.names) // COMPARED)
    some = {epoch for i, epoch in enumerate(epochs.names) if i % step == 0} | {max(epochs.names)}
    model = logits_builder(data.network, len(data.names_of_classes()))().to(device)
    measured = {}
    for epoch in sorted(some):
        model.load_state_dict(_weights(epochs.names[epoch], model, source).tensors)
        measured[epoch] = _losses(model, data)
    return measured


def _losses(model: nn.Module, data: Spec) -> dict[str, float]:
    losses = {}
    for split in ("train", "test"):
        inputs, labels, _ = data.split(split)
        losses[f"{split}_loss"] = evaluate(model, inputs[:SAMPLES], labels[:SAMPLES].long())[0]
    return losses


def _check_first(file: _File, epoch: int, model: nn.Module, source: _Source, data: Spec, new: Untrained) -> str:
    """Returns in words whether the first checkpoint, of a later epoch than 0, may be untrained; "" if it is trained.

    Raises:
        ValueError: it is trained and would be epoch 0, or is surely untrained and would be a later one.
    """
    tensors = _weights(file.name, model, source).tensors
    model.load_state_dict(tensors)
    reason = training_seen(tensors, _losses(model, data)["train_loss"], file.progress.step, new)
    if epoch == 0 and reason:
        raise ValueError(
            f"{file.name.path} would be epoch 0, the untrained network, but is trained: {reason}; expected epoch 1 "
            "after the first epoch: add --first-epoch 1, or --first-epoch 0 if it is what the training started from"
        )
    if epoch == 0 or reason:
        return ""
    if new.fixed:
        raise ValueError(
            f"{file.name.path} would be epoch {epoch}, but is untrained: {next(iter(new.fixed))} is as in every new "
            "network; expected epoch 0 for the untrained network: add --first-epoch 0, or --first-epoch "
            f"{epoch} if it is right as it is"
        )
    return f"no trace of training in {file.name.path}: --first-epoch 0 if it is untrained"


def _remove(run: Run, network: str, there: tuple[bool, bool]) -> None:
    """Removes what a refused import has written: the run, or the network if the run was there before."""
    run_was_there, root_was_there = there
    shutil.rmtree(run.path / "checkpoints" / network if run_was_there else run.path, ignore_errors=True)
    if not root_was_there and not any(run.path.parent.iterdir()):
        run.path.parent.rmdir()


def _lines(
    epochs: Epochs,
    files: Mapping[Path, _File],
    log: Log | None,
    aligned_log: Aligned | None,
    first: Mapping[str, int],
    remarks: Sequence[str],
) -> list[str]:
    """Returns what was dropped, stripped and chosen, a line each."""
    of_all = [file.weights for file in files.values()]
    entries = _once(entry for weights in of_all for entry in weights.dropped)
    objects = sorted({name for file in files.values() for name in file.objects} - QUIET)
    infinite = [f"{each.path} (epoch {epoch})" for epoch, each in epochs.names.items() if not files[each.path].finite]
    dropped = [*epochs.dropped, *(f"{words}: NaN or infinite weights" for words in infinite)]
    dropped += [f"entries {_some(entries)}"] if entries else []
    dropped += [f"objects of {_some(objects)}, unread"] if objects else []
    prefixes = _once(prefix for weights in of_all for prefix in weights.stripped)
    stripped = [f"{prefix!r} from the names of weights" for prefix in prefixes]
    stripped += [f"nothing, but {prefix!r} added" for prefix in _once(weights.added for weights in of_all) if prefix]
    keys = " and ".join(repr(key) if key else "no key" for key in _once(weights.key for weights in of_all))
    others = _once(other for weights in of_all for other in weights.others)
    numbers = list(epochs.names)
    chosen = [f"epochs {', '.join(map(str, numbers[:8]))}{', …' if len(numbers) > 8 else ''} from {epochs.source}"]
    chosen[0] += f", {epochs.shift:+d}" if epochs.shift else ""
    chosen += [f"weights under {keys}{f' (not {_some(others)})' if others else ''}"]
    chosen += [remark for remark in remarks if remark]
    if log is None or aligned_log is None:
        chosen.append("losses computed from the spec's data")
    else:
        columns = ", ".join(f"{metric} = {column}" for metric, column in log.columns.items())
        missing = [metric for metric in ("train_loss", "test_loss") if metric not in log.columns]
        chosen.append(f"losses {columns}{f', {aligned_log.shift:+d} epoch' if aligned_log.shift else ''}")
        if aligned_log.error is not None:
            chosen.append(f"{aligned_log.error:.1%} from those computed of {COMPARED} checkpoints or fewer")
        chosen += [f"{' and '.join(missing)} computed"] if missing else []
        chosen += [f"diverged: {metric} is NaN or infinite at epoch {epoch}" for metric, epoch in first.items()]
    return [
        f"dropped: {'; '.join(dropped) or 'nothing'}",
        f"stripped: {'; '.join(stripped) or 'nothing'}",
        f"chosen: {'; '.join(chosen)}",
    ]


def _once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
