"""Checkpoints on disk: the files and folders that a pattern names, the numbers in their names, what they hold."""

import glob
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interdash.importing.inert_pickle import read_content

SUFFIXES = {".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".npz", ".tar", ".pkl", ".pickle"}
WHOLE = ("model.safetensors", "pytorch_model.bin")  # of a Hugging Face folder
BESIDE = re.compile(
    r"optim|scheduler|rng_state|random_states|training_args|scaler|sampler|adapter_config"
)  # no weights
SHARD = re.compile(r"-\d{4,5}-of-\d{4,5}\.")
MEASURE = re.compile(r"loss|acc|metric|score|auc|f1|lr|val|version|seed|fold|^v$|_v$")  # what a number may be besides
EPOCH = re.compile(r"(^|.*[\W_])(epochs?|ep|e)$")
DATE = re.compile(r"(?<!\d)(19|20)\d\d([-_.]?)(0\d|1[0-2])\2([0-2]\d|3[01])([-_T ]+\d\d([-_:.h]?\d\d){1,2})?(?!\d)")
STEP = re.compile(r"(^|.*[\W_])(global_?steps?|steps?|iters?|iterations?|it|batch|s)$")


@dataclass(frozen=True)
class Name:
    """The numbers in the part of a file's path that * stands for.

    Attributes:
        path: the file, or the folder that is one checkpoint.
        wild: what the stars stand for.
        epoch: a number called epoch; None if there is none.
        step: a number called step.
        numbers: those that are called nothing, in their order.
    """

    path: Path
    wild: str
    epoch: int | None
    step: int | None
    numbers: tuple[int, ...]


def find_names(pattern: str) -> list[Name]:
    """Returns the checkpoints that fit a pattern, sorted by path; files of optimizers and the like are passed over.

    Args:
        pattern: as in the shell; {epoch} and {step} are stars that stand for that number.

    Raises:
        ValueError: the pattern names a folder of checkpoints instead of the checkpoints.
        FileNotFoundError: none fits.
    """
    plain = re.sub(r"\{epoch\}|\{step\}", "*", pattern)
    pattern, plain = (pattern, plain) if glob.has_magic(plain) else (str(Path(pattern)), str(Path(plain)))
    matches = sorted(glob.glob(plain, recursive=True))
    if not matches:
        raise FileNotFoundError(
            f"no file fits {pattern!r} in {Path.cwd()}; put the pattern in quotes, as in 'ckpt_*.pt'"
        )
    expression = _expression(pattern)
    names: dict[Path, Name] = {}
    for match in matches:
        path = Path(match)
        if BESIDE.search(path.name) or (path.is_dir() and not is_checkpoint(path)):
            continue
        if SHARD.search(path.name):
            path = path.parent
        names.setdefault(path, _name(path, match, expression))
    if any(name.path.is_dir() or name.path.suffix in SUFFIXES for name in names.values()):
        names = {path: name for path, name in names.items() if path.is_dir() or path.suffix in SUFFIXES}
    if not names:
        raise ValueError(
            f"{matches[0]} is a folder without weights; it holds {_listing(Path(matches[0]))}: write a pattern of the "
            f"checkpoints in it, as in --checkpoints '{matches[0]}/*'"
        )
    return list(names.values())


def _expression(pattern: str) -> re.Pattern[str]:
    """Returns a pattern of the shell as a regular expression, with a group for each of its wild parts."""
    wild = {"**/": "((?:.*/)?)", "**": "(.*)", "*": "([^/]*)", "?": "([^/])"}
    wild |= {f"{{{called}}}": rf"(?P<{called}>\d+)" for called in ("epoch", "step")}
    parts = re.split(r"(\{epoch\}|\{step\}|\*\*/|\*\*|\*|\?|\[[^]]+\])", pattern)
    return re.compile(
        "".join(wild.get(part) or (f"({part})" if part[:1] == "[" else re.escape(part)) for part in parts)
    )


def _name(path: Path, text: str, expression: re.Pattern[str]) -> Name:
    match = expression.fullmatch(text)
    spans = [match.span(group) for group in range(1, expression.groups + 1)] if match else []
    spans = spans or [(len(text) - len(path.name), len(text))]
    wild = "/".join(text[start:end] for start, end in spans)
    if expression.groupindex:
        placed = match.groupdict() if match else {}
        epoch, step = (int(placed[called]) if called in placed else None for called in ("epoch", "step"))
        return Name(path, wild, epoch, step, ())
    epoch = step = None
    numbers = []
    for number in re.finditer(r"\d+(?:\.\d+)?", DATE.sub(lambda date: " " * len(date[0]), text)):
        if not any(number.start() < end and start < number.end() for start, end in spans):
            continue
        label = re.search(r"([A-Za-z_]*)[=_\-. ]*$", text[: number.start()].rpartition("/")[2])
        called = label[1].lower().strip("_") if label else ""
        if "." in number[0] or MEASURE.search(called):
            continue
        if EPOCH.search(called):
            epoch = int(number[0])
        elif STEP.search(called):
            step = int(number[0])
        else:
            numbers.append(int(number[0]))
    return Name(path, wild, epoch, step, tuple(numbers))


def is_checkpoint(folder: Path) -> bool:
    """Returns whether a folder is one checkpoint, and not a folder of several or of something else."""
    return bool(_weights_in(folder)) or (folder / ".metadata").exists() or bool(_deepspeed(folder))


def _weights_in(folder: Path) -> list[Path]:
    """Returns the files that together are the one network of a folder; none if that is unclear."""
    for name in WHOLE:
        if (folder / name).exists():
            return [folder / name]
    if indices := sorted(folder.glob("*.index.json")):
        return _shards(indices[0])
    files = [path for path in sorted(folder.glob("*")) if path.suffix in SUFFIXES and not BESIDE.search(path.name)]
    files = [path for path in files if path.is_file()]
    return files if len(files) == 1 or (files and all(SHARD.search(path.name) for path in files)) else []


def _shards(index: Path) -> list[Path]:
    """Returns the files that an index names; each must lie beside it."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{index} is damaged ({error}); expected the names of files under weight_map: copy the folder again"
        ) from error
    for name in names:
        if Path(name).name != name or not (index.parent / name).is_file():
            raise ValueError(f"{index} names {name}, which is not beside it; copy the whole folder of the checkpoint")
    return [index.parent / name for name in names]


def _deepspeed(folder: Path) -> list[Path]:
    """Returns DeepSpeed's files of a model's states, in the folder or in the one that it writes inside."""
    return sorted(folder.glob("*_model_states.pt")) or sorted(folder.glob("*/*_model_states.pt"))


def read_checkpoint(path: Path, *, trust: bool = False) -> Any:
    """Returns what a checkpoint holds: a file, or a folder of Hugging Face, accelerate, DeepSpeed or torch.distributed.

    Raises:
        ValueError: it is damaged, or of a kind that its own tool must convert first; the message has the command.
    """
    if path.is_file():
        return read_content(path, trust=trust)
    if states := _deepspeed(path):
        if len(states) > 1 or states[0].name.startswith("zero_pp_rank"):
            where = states[0].parent
            raise ValueError(
                f"{path} is a checkpoint of DeepSpeed in {len(states)} parts ({states[0].name}, …); expected all "
                f"weights in one file: write it with `python {where.parent}/zero_to_fp32.py {where.parent} {path}-fp32`"
            )
        return read_content(states[0], trust=trust)
    if (path / ".metadata").exists():
        return _read_distributed(path, trust=trust)
    files = _weights_in(path)
    if not files:
        raise ValueError(
            f"{path} holds {_listing(path)}; expected one file of weights: name it in the pattern, as in "
            f"--checkpoints '{path.parent}/*/model.pt'"
        )
    contents = [read_content(file, trust=trust) for file in files]
    return (
        contents[0] if len(contents) == 1 else {name: value for content in contents for name, value in content.items()}
    )


def _read_distributed(folder: Path, *, trust: bool) -> Any:
    """Returns a distributed checkpoint as torch's own loader reads it, which unpickles: only of a trusted folder."""
    if not trust:
        raise ValueError(
            f"{folder} is a distributed checkpoint (.metadata), and reading one runs code; expected one file: where "
            "you trust it, add --trust, or convert it with `python -m torch.distributed.checkpoint.format_utils "
            f"dcp_to_torch {folder} {folder}.pt`"
        )
    import tempfile

    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole.pt"
        try:
            dcp_to_torch_save(folder, whole)
        except (Exception, CheckpointException) as error:  # the loader may raise anything, its own is no Exception
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise ValueError(
                f"{folder} is no distributed checkpoint that torch can read ({reason}); copy the whole folder again"
            ) from error
        return read_content(whole, trust=True)


def _listing(path: Path) -> str:
    names: Sequence[str] = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else [path.name]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "nothing"
