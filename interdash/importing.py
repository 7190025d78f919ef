"""A folder of saved checkpoints, made into a run, with the losses from a CSV file, TensorBoard or the spec's data.

`.pt` files are read with `weights_only=True`, which runs no code, and refused where that does not work.
"""

import glob
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from torch import Tensor

from interdash.network_measures import measures_of
from interdash.rebuilding import logits_builder, matching_weights, record_losses, run_spec
from interdash.recorder import create_user_run
from interdash.runs import METRICS, Run
from interdash.spec import Spec, load_spec

WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which training scripts keep the weights
TAGS = {key: key for key in METRICS}  # TensorBoard: our metric → its tag

Losses = dict[int, dict[str, float]]  # epoch → metric → value


def import_checkpoints(
    root: Path | str,
    name: str,
    pattern: str,
    spec: str | Spec | Callable[[], Spec],
    *,
    network: str = "target",
    losses: Path | str | None = None,
    tags: Mapping[str, str] = TAGS,
    samples_per_split: int = 50,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Returns a run made of saved checkpoints; losses that are not given are computed from the spec's data.

    Args:
        root: the folder of runs.
        name: the run's name.
        pattern: of the files, such as "out/ckpt_*.pt"; the number that * stands for is the epoch, 0 = untrained.
        spec: "my_run.py:spec", or as in `Recorder`.
        network: "target", or "baseline-0", … to add a baseline, trained on the testing split, to a run that is there.
        losses: a CSV file with columns epoch, train_loss, test_loss, or a TensorBoard event file or folder of them.
        tags: for TensorBoard, the tag of each metric, such as {"train_loss": "loss/train"}.
        samples_per_split: samples explained from each split.
        seed: of their choice.
        device: where losses are computed.
        progress: called with files done and files in all.

    Raises:
        FileNotFoundError: no file fits the pattern, or the losses or the spec are not there.
        FileExistsError: a run of this name is finished, or has another configuration.
        ValueError: a file is refused or does not fit, or an epoch is unclear; nothing is imported then.
    """
    files = checkpoint_files(pattern)
    curve = read_losses(losses, tags) if losses is not None else {}
    if network == "target":
        # read all files before the run is made: a bad one among them leaves no half-imported run behind
        made = load_spec(spec) if isinstance(spec, str) else spec if isinstance(spec, Spec) else spec()
        probe = logits_builder(made.network)()
        for path in files.values():
            matching_weights(read_weights(path), probe, str(path))
        run, made = create_user_run(
            root,
            name,
            spec,
            epochs=max(max(files), 1),
            checkpoints=tuple(files),
            samples_per_split=samples_per_split,
            seed=seed,
            purpose=f"imported from {len(files)} saved checkpoints",
        )
    else:
        run = Run.open(root, name)
        made = spec if isinstance(spec, Spec) else run_spec(run, spec) if isinstance(spec, str) else spec()
    model = logits_builder(made.network)().to(device)
    for done, (epoch, path) in enumerate(files.items(), start=1):
        run.save_checkpoint(network, epoch, matching_weights(read_weights(path), model, str(path)))
        measures = measures_of(model, *made.split("train")[:2]) if network == "target" else None
        record_losses(run, network, epoch, model, made, measures, **curve.get(epoch, {}))
        if progress is not None:
            progress(done, len(files))
    for epoch in sorted(curve.keys() - files.keys()):
        run.record_metrics(network, epoch, measures=None, **curve[epoch])
    run.finish(network)
    return run


def checkpoint_files(pattern: str) -> dict[int, Path]:
    """Returns the files that fit a pattern by epoch, ascending: the number in what the first * stands for.

    Raises:
        ValueError: the pattern has no *, or an epoch is unclear or twice there.
        FileNotFoundError: no file fits.
    """
    name = Path(pattern).name
    if name.count("*") != 1:
        raise ValueError(f"pattern {pattern!r} needs one * in the file name, where the epoch is, as in 'ckpt_*.pt'")
    before, after = name.split("*")
    found: dict[int, Path] = {}
    for path in sorted(Path(match) for match in glob.glob(pattern)):
        wild = path.name[len(before) : len(path.name) - len(after)]
        numbers = re.findall(r"epoch[=_-]?(\d+)", wild) or re.findall(r"\d+", wild)
        if len(numbers) != 1:
            raise ValueError(
                f"cannot tell the epoch of {path}: {wild!r} has {len(numbers)} numbers; let * stand for one number, "
                "as in 'ckpt_*.pt' for ckpt_12.pt"
            )
        epoch = int(numbers[0])
        if epoch in found:
            raise ValueError(f"{found[epoch]} and {path} are both of epoch {epoch}; narrow the pattern {pattern!r}")
        found[epoch] = path
    if not found:
        raise FileNotFoundError(
            f"no file fits {pattern!r} in {Path.cwd()}; put the pattern in quotes, as in 'ckpt_*.pt'"
        )
    return dict(sorted(found.items()))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Returns the state dict in a checkpoint file, on the CPU. Runs no code from the file.

    Raises:
        ValueError: the file is damaged, holds more than tensors and plain values, or holds no state dict.
    """
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path} is damaged or no safetensors file: {error}; save it again") from error
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged file the unpickler may raise anything
        if isinstance(error, pickle.UnpicklingError) and (found := re.search(r"GLOBAL ([\w.]+)", str(error))):
            raise ValueError(
                f"{path} is refused: it holds Python objects ({found[1]}), which could run code when read. "
                "Where you trust it, save its weights alone with torch.save(model.state_dict(), …) or as safetensors"
            ) from error
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise ValueError(f"{path} is damaged or no checkpoint ({reason[0]}); save it again") from error
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        shown = f"a dict with keys {list(content)[:5]}" if isinstance(content, dict) else f"a {type(content).__name__}"
        raise ValueError(
            f"{path} holds no state dict but {shown}; save model.state_dict(), alone or as {' or '.join(WRAPPERS)}"
        )
    return content


def read_losses(path: Path | str, tags: Mapping[str, str] = TAGS) -> Losses:
    """Returns losses (nats) and accuracies by epoch from a CSV file, or from TensorBoard event files.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a column or tag is missing, or a value is no number.
        ImportError: event files are given and tensorboard is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}; give a CSV file or TensorBoard event files")
    return _from_csv(path) if path.suffix == ".csv" else _from_tensorboard(path, tags)


def _from_csv(path: Path) -> Losses:
    frame = pd.read_csv(path)
    frame.columns = frame.columns.str.strip()
    if missing := [column for column in ("epoch", "train_loss", "test_loss") if column not in frame]:
        raise ValueError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}: "
            "name them epoch, train_loss, test_loss"
        )
    try:
        frame = frame[["epoch", *(key for key in METRICS if key in frame)]].astype(float)
        epochs = [int(epoch) for epoch in frame.pop("epoch")]
    except ValueError as error:
        raise ValueError(f"{path} holds a value that is no number: {error}; correct it") from error
    return {epoch: frame.iloc[i].dropna().to_dict() for i, epoch in enumerate(epochs)}  # NaN: not given


def _from_tensorboard(path: Path, tags: Mapping[str, str]) -> Losses:
    """Returns the last value of each tag and epoch; a step is an epoch unless a scalar "epoch" says otherwise."""
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        raise ImportError(
            f"reading {path} needs the package tensorboard: `pip install 'interdash[tensorboard]'`, or give a CSV file"
        ) from error
    events = EventAccumulator(str(path), size_guidance={"scalars": 0})  # 0: all of them
    events.Reload()
    there = events.Tags()["scalars"]
    if missing := [tags[key] for key in ("train_loss", "test_loss") if key in tags and tags[key] not in there]:
        raise ValueError(
            f"{path} has no scalars {', '.join(missing)}; it has {', '.join(there) or 'none'}: "
            "name them, as in tags={'train_loss': 'loss/train', 'test_loss': 'loss/val'}"
        )
    epoch_of_step = {int(event.step): int(event.value) for event in events.Scalars("epoch")} if "epoch" in there else {}
    losses: Losses = {}
    for key, tag in tags.items():
        for event in events.Scalars(tag) if tag in there else []:
            losses.setdefault(epoch_of_step.get(int(event.step), int(event.step)), {})[key] = float(event.value)
    return losses
