"""Which checkpoint is of which epoch: 0 is the untrained network, e the one after e whole epochs of training.

Tools count otherwise: Lightning calls the first epoch 0, the Hugging Face Trainer counts steps. What a checkpoint says
of itself counts for more than its name; where the two leave it open, it is refused.
"""

import itertools
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interdash.importing.checkpoint_files import WHOLE, Name
from interdash.importing.inert_pickle import number

EPOCH_KEYS = ("epoch", "epochs", "current_epoch", "last_epoch")
STEP_KEYS = ("global_step", "global_steps", "step", "steps", "iteration", "iter", "iter_num", "num_updates")
INNER = ("meta", "trainer", "train_state", "training_state", "extra_state")  # dicts that hold them
LARGEST = 1_000_000  # epochs: a larger number is a date or a step
WHOLE_WITHIN = 0.01  # epochs; the Trainer's last epoch may lack a batch


@dataclass(frozen=True)
class Progress:
    """How far the training was, as a checkpoint says itself.

    Attributes:
        done: epochs of training that are over, perhaps with a fraction; None if it does not say.
        epoch: the number that the tool gives to the epoch, from 0 or from 1.
        step: optimizer steps.
        batches: that its batch norms have seen, by which epochs are checked; 0 if it has none.
    """

    done: float | None = None
    epoch: float | None = None
    step: float | None = None
    batches: float = 0


@dataclass(frozen=True)
class Epochs:
    """The checkpoints by epoch, ascending.

    Attributes:
        names: the checkpoint of each epoch.
        dropped: in words, those that were left out, each with the reason.
        source: in words, where the epochs come from.
        shift: what was added to the tool's own numbers; its log needs the same.
        certain: whether the checkpoints themselves or the user say so, not the names alone.
        doubt: the refusal, unless a log proves the epochs: numbers that may as well be steps or count from 0.
    """

    names: dict[int, Name]
    dropped: tuple[str, ...]
    source: str
    shift: int
    certain: bool
    doubt: str = ""

    def moved(self, shift: int) -> "Epochs":
        """Returns the same with each epoch so much later, as a log has proved it."""
        if not shift:
            return self
        names = {epoch + shift: name for epoch, name in self.names.items()}
        return replace(self, names=names, shift=self.shift + shift, source=f"{self.source} and the log", certain=True)


def progress_of(content: Any, path: Path) -> Progress:
    """Returns how far the training was, from a checkpoint's content or the `trainer_state.json` beside it."""
    folder = path if path.is_dir() else path.parent
    if (folder / "trainer_state.json").exists() and (path.is_dir() or path.name in WHOLE):
        try:
            state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
            return Progress(float(state["epoch"]), None, float(state["global_step"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{folder / 'trainer_state.json'} is damaged ({error}); expected epoch and global_step: copy the "
                "folder again, or delete the file and add --steps-per-epoch N"
            ) from error
    if not isinstance(content, Mapping):
        return Progress()
    inner = [content, *(content[key] for key in INNER if isinstance(content.get(key), Mapping))]
    epoch = next((value for each in inner for key in EPOCH_KEYS if (value := number(each.get(key))) is not None), None)
    step = next((value for each in inner for key in STEP_KEYS if (value := number(each.get(key))) is not None), None)
    step = step if step is not None else _optimizer_step(content)
    if "pytorch-lightning_version" in content and epoch is not None:
        return Progress(_finished_by_lightning(content, epoch, step), epoch, step)
    return Progress(None, epoch, step)


def _optimizer_step(content: Mapping[str, Any]) -> float | None:
    """Returns the most steps that a weight has taken by the state of an optimizer such as Adam; None if none says."""
    states = [value for key, value in content.items() if str(key).startswith("optim")]
    states = [each for value in states for each in (value if isinstance(value, list | tuple) else [value])]
    weights = [each["state"] for each in states if isinstance(each, Mapping) and isinstance(each.get("state"), Mapping)]
    inner = [entry for weight in weights for entry in weight.values() if isinstance(entry, Mapping)]
    return max((step for entry in inner if (step := number(entry.get("step"))) is not None), default=None)


def _finished_by_lightning(content: Mapping[str, Any], epoch: float, step: float | None) -> float:
    """Returns the epochs that are over; .5 within one. Lightning's own `epoch` starts at 0 in the first."""
    try:
        loop = content["loops"]["fit_loop"]
        running = loop["epoch_progress"]["current"]
        batches = loop["epoch_loop.batch_progress"]
        if running["started"] == running["completed"] or batches["current"]["ready"] == 0:
            return running["completed"]
        return running["completed"] + (1 if batches["is_last_batch"] else 0.5)
    except (KeyError, TypeError):
        return epoch + 1 if step else epoch


def epochs_of(
    checkpoints: Sequence[tuple[Name, Progress]],
    pattern: str,
    *,
    first_epoch: int | None = None,
    steps_per_epoch: float | None = None,
) -> Epochs:
    """Returns which checkpoint is of which epoch.

    Args:
        checkpoints: the numbers in each one's name, and what it says of itself.
        pattern: that they fit, for messages.
        first_epoch: what the lowest number stands for; None = as the checkpoints say.
        steps_per_epoch: where the numbers are steps.

    Raises:
        ValueError: an epoch is unclear or there twice, the numbers are steps, or none is of a whole epoch.
    """
    checkpoints = _sorted_out(checkpoints)
    rates = {each.step / each.done for _, each in checkpoints if each.done and each.step}
    unsaid = [(name, each) for name, each in checkpoints if each.done is None]
    doubt = ""
    if steps_per_epoch is None and len(rates) == 1 and _of_trainer(unsaid):  # which says it of the last one alone
        steps_per_epoch = rates.pop()
    if steps_per_epoch is not None:
        finished, source, certain = _by_steps(checkpoints, steps_per_epoch), f"steps / {steps_per_epoch:g}", True
        raw = finished
    elif all(progress.done is not None for _, progress in checkpoints):
        raw = {name.path: progress.epoch for name, progress in checkpoints if progress.epoch is not None}
        finished = {name.path: progress.done for name, progress in checkpoints if progress.done is not None}
        source, certain = "the checkpoints' own epochs", True
    else:
        raw, finished, source, certain = _by_numbers(checkpoints, said=first_epoch is not None)
        doubt = "" if certain else _doubt(checkpoints, finished)
    if first_epoch is not None and not finished and len(checkpoints) == 1:
        finished = {checkpoints[0][0].path: 0.0}
    if first_epoch is not None and finished:
        lowest = min(finished.values())
        finished = {path: value - lowest + first_epoch for path, value in finished.items()}
        source, certain, doubt = f"{source}, from --first-epoch {first_epoch}", True, ""
    shifts = {round(finished[path] - value) for path, value in raw.items() if path in finished}
    names, dropped = _whole(checkpoints, finished, pattern)
    return Epochs(names, dropped, source, shifts.pop() if len(shifts) == 1 else 0, certain, doubt)


def _sorted_out(checkpoints: Sequence[tuple[Name, Progress]]) -> list[tuple[Name, Progress]]:
    """Returns the same; of the numbers in names those that are not the same in all, two of them as epoch and step."""
    numbered = [name for name, _ in checkpoints if name.numbers]
    counts = {len(name.numbers) for name in numbered}
    if counts <= {1} or len(counts) > 1:
        return list(checkpoints)
    columns = {tuple(name.numbers[column] for name in numbered): column for column in range(counts.pop())}
    columns = [column for values, column in columns.items() if len({*values}) > 1]
    if not columns:
        return list(checkpoints)
    values = [{name.path: float(name.numbers[column]) for name in numbered} for column in columns]
    pairs = itertools.permutations(values if len(values) == 2 else [], 2)
    pairs = [pair for pair in pairs if sum(pair[0].values()) < sum(pair[1].values())]
    pair = next((pair for pair in pairs if _shift_by_steps(*pair) is not None), None)

    def sorted_out(name: Name) -> Name:
        if pair is not None and name.path in pair[0]:
            return replace(name, epoch=int(pair[0][name.path]), step=int(pair[1][name.path]), numbers=())
        return replace(name, numbers=tuple(name.numbers[column] for column in columns)) if name.numbers else name

    return [(sorted_out(name), progress) for name, progress in checkpoints]


def _bare(checkpoints: Sequence[tuple[Name, Progress]]) -> dict[Path, float]:
    """Returns the one number in each name that is called neither epoch nor step."""
    return {name.path: float(name.numbers[0]) for name, _ in checkpoints if len(name.numbers) == 1}


def _by_steps(checkpoints: Sequence[tuple[Name, Progress]], steps_per_epoch: float) -> dict[Path, float]:
    """Returns epochs that are over, from steps: the checkpoint's own, or those in its name."""
    bare, steps = _bare(checkpoints), {}
    for name, progress in checkpoints:
        known = (progress.step, name.step, bare.get(name.path), name.epoch)
        steps[name.path] = next((step for step in known if step is not None), None)
    steps = {path: step for path, step in steps.items() if step is not None}
    ends = last_steps(steps.values(), steps_per_epoch)
    return {path: (step + ends) / steps_per_epoch for path, step in steps.items()}


def last_steps(steps: Collection[float], steps_per_epoch: float) -> bool:
    """Returns whether steps count from 0, so that the last of the first epoch is N - 1."""
    whole = any(step > 0 and step % steps_per_epoch == 0 for step in steps)
    return not whole and any((step + 1) % steps_per_epoch == 0 for step in steps)


def _by_numbers(
    checkpoints: Sequence[tuple[Name, Progress]], *, said: bool
) -> tuple[dict[Path, float], dict[Path, float], str, bool]:
    """Returns the tool's numbers, the epochs that are over, where both come from, and whether that is certain.

    `said`: whether the user says which epoch is the first, so that numbers are of epochs.
    """
    own = {name.path: progress.epoch for name, progress in checkpoints if progress.epoch is not None}
    known = {name.path: (progress.step, name.step, progress.batches or None) for name, progress in checkpoints}
    steps = {path: next((step for step in each if step is not None), None) for path, each in known.items()}
    steps = {path: float(step) for path, step in steps.items() if step is not None}
    named = {name.path: float(name.epoch) for name, _ in checkpoints if name.epoch is not None}
    bare = {path: value for path, value in _bare(checkpoints).items() if path not in named}
    are_steps = any(bare.values()) and all(value in (steps.get(path), 0) for path, value in bare.items())
    if are_steps and bare.keys() <= own.keys() and any(own[path] != steps[path] for path in bare):
        bare = {}
    elif are_steps or (not said and not own and _of_trainer(checkpoints)):
        path, value = max(bare.items(), key=lambda item: item[1])
        raise ValueError(
            f"{path} is of step {value:g}, not of an epoch; expected epochs: add --steps-per-epoch N (1 if these are "
            "epochs)"
        )
    told = [(name.path, step) for name, each in checkpoints for step in (name.step, each.step) if step is not None]
    if not named and not bare and not own and told:
        raise ValueError(
            f"{told[0][0]} is of step {told[0][1]:g}, not of an epoch; expected epochs: add --steps-per-epoch N"
        )
    raw = named | bare
    apart = {own[path] - value for path, value in raw.items() if path in own}
    if len(apart) > 1:
        path = next(path for path, value in raw.items() if path in own and own[path] != value)
        if len(set(own.values())) == len(own) and bare:
            raw, apart = {}, set()  # the numbers in the names are something else
        else:
            raise ValueError(
                f"{path} has {raw[path]:g} in its name and epoch {own[path]:g} inside; expected the same in all files: "
                f"say what the lowest stands for with --first-epoch {raw[path]:g}"
            )
    source = "numbers in the names" if raw else "the checkpoints' own epochs"
    raw = {path: value for path, value in own.items() if path not in raw} | raw
    apart &= {0, 1, -1}  # of files that are all further apart, the names count
    ahead = max([0.0, *apart])  # a file that says more than its name counts epochs that are over
    finished = {path: value + ahead for path, value in raw.items()}
    shift = _shift_by_steps(finished, steps)
    if shift is not None:
        source += ", checked by their steps"
        finished = {path: value + shift for path, value in finished.items()}
    return raw, finished, source, shift is not None or bool(apart - {0})


def _doubt(checkpoints: Sequence[tuple[Name, Progress]], finished: Mapping[Path, float]) -> str:
    """Returns a refusal of numbers that may count from 0 or be steps; "" if they start 0, 1 or 1, 2."""
    ascending = sorted({*finished.values()})
    positive = [value for value in ascending if value > 0]
    own = {name.path for name, progress in checkpoints if progress.epoch is not None}
    bare = (_bare(checkpoints).keys() & finished.keys()) - own
    if positive[:2] in ([], [1], [1, 2]) or ascending[:2] == [0, 1] or (ascending[0] == 0 and not bare):
        return ""
    path, first = min(finished, key=lambda path: finished[path]), ascending[0]
    more = f" (then {', '.join(f'{value:g}' for value in ascending[1:3])})" if ascending[1:] else ""
    steps = ", or --steps-per-epoch N if they are steps ({step} in the pattern where a log counts steps too)"
    return (
        f"{path} has the number {first:g}{more}, and nothing in the files says whether that counts from 0"
        f"{' or is a step' if bare else ''}; expected the epochs that are over: add --first-epoch {first:g} if it is "
        f"just that, --first-epoch {first + 1:g} if the first epoch is called 0{steps if bare else ''}"
    )


def count_steps(checkpoints: Sequence[tuple[Name, Progress]]) -> bool:
    """Returns whether checkpoints know their step, or are named by it."""
    known = any(progress.step is not None or name.step is not None for name, progress in checkpoints)
    return known or _of_trainer(checkpoints)


def _of_trainer(checkpoints: Sequence[tuple[Name, Progress]]) -> bool:
    """Returns whether these are folders of the Hugging Face Trainer, which are named by their step."""
    folders = [name.path if name.path.is_dir() else name.path.parent for name, _ in checkpoints if name.numbers]
    return bool(folders) and all((each / "config.json").exists() and "checkpoint-" in each.name for each in folders)


def _shift_by_steps(epochs: Mapping[Path, float], steps: Mapping[Path, float]) -> int | None:
    """Returns what to add so that steps are proportional to epochs: -1, 0 or 1; None if steps do not tell."""
    pairs = sorted((epochs[path], steps[path]) for path in epochs if path in steps)
    slopes = {
        (after[1] - before[1]) / (after[0] - before[0])
        for before, after in itertools.pairwise(pairs)
        if after[0] > before[0]
    }
    if len(slopes) != 1 or (slope := slopes.pop()) <= 0:
        return None
    shift = pairs[0][1] / slope - pairs[0][0]
    return int(shift) if shift in (-1, 0, 1) else None


def _whole(
    checkpoints: Sequence[tuple[Name, Progress]], finished: Mapping[Path, float], pattern: str
) -> tuple[dict[int, Name], tuple[str, ...]]:
    """Returns the checkpoints of whole epochs, ascending, and in words those left out."""
    names: dict[int, Name] = {}
    dropped = []
    numbered = sorted(checkpoints, key=lambda pair: (pair[0].epoch is None and not pair[0].numbers, pair[0].path))
    for name, _ in numbered:
        value = finished.get(name.path)
        without = name.epoch is None and name.step is None and not name.numbers
        if value is None:
            dropped.append(f"{name.path} (no epoch)")
            continue
        epoch = round(value)
        if abs(value - epoch) > WHOLE_WITHIN:
            dropped.append(f"{name.path} (within epoch {math.floor(value) + 1})")
        elif epoch in names and without:
            dropped.append(f"{name.path} (epoch {epoch}, as {names[epoch].path.name})")
        elif epoch in names:
            short = min(names[epoch], name, key=lambda each: len(each.path.name))
            raise ValueError(
                f"{names[epoch].path} and {name.path} are both of epoch {epoch}; expected one: narrow the pattern "
                f"{pattern!r}, as in --checkpoints '{_example(short)}'"
            )
        elif epoch < 0:
            raise ValueError(f"{name.path} is of epoch {epoch}; expected 0 or more: --first-epoch 0 or higher")
        elif epoch > LARGEST:
            raise ValueError(
                f"{name.path} is of epoch {epoch}; expected {LARGEST:,} at most: leave the file out of the pattern, "
                "write {epoch} where the epoch stands, or add --steps-per-epoch N if it is a step"
            )
        else:
            names[epoch] = name
    if not names and any(name.path in finished for name, _ in numbered):
        raise ValueError(
            f"no checkpoint is of a whole epoch: {', '.join(dropped[:3])}; expected some after whole epochs: save "
            "after each (save_strategy='epoch'), or say how many steps you call an epoch: --steps-per-epoch N"
        )
    if not names:
        name = numbered[0][0]
        several = f"may mean {' or '.join(map(str, name.numbers))}" if name.numbers else "has no number that may be one"
        rename = "add --first-epoch N, or " if len(numbered) == 1 else "rename the files and "
        raise ValueError(
            f"cannot tell the epoch of {name.path}: its name {several}; expected one: "
            f"{'' if name.numbers else rename}write {{epoch}} where it stands, as in --checkpoints "
            f"'{_example(name) if name.numbers else 'ckpt_{epoch}.pt'}'"
        )
    return dict(sorted(names.items())), tuple(dropped)


def _example(name: Name) -> str:
    """Returns a pattern for names like this one, in which {epoch} stands for its epoch or its first number."""
    text = name.path.as_posix()
    for called, value in (
        ("step", name.step),
        ("epoch", name.epoch if name.epoch is not None or not name.numbers else name.numbers[0]),
    ):
        if places := [match.span() for match in re.finditer(r"\d+", text) if int(match[0]) == value]:
            text = f"{text[: places[-1][0]]}{{{called}}}{text[places[-1][1] :]}"
    head, epoch, tail = text.partition("{epoch}")
    return head + epoch + re.sub(r"\d+", "*", tail)
