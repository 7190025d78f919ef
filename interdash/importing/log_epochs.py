"""How a log's own numbers go with the epochs of the checkpoints: 0 is the untrained network, e follows e epochs.

Many tools call the first epoch 0. A log whose losses are those that the checkpoints have on the spec's data tells
which of its rows is of which checkpoint, and its first row whether it counts from 0: this settles the epochs of
checkpoints too. Others are shifted as the checkpoints' own numbers were, or refused where they seem to count otherwise.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from interdash.importing.checkpoint_epochs import Epochs, last_steps
from interdash.importing.logs import Log, Losses
from interdash.importing.untrained import Untrained

SAME = 0.01  # mean relative difference of losses that are of the same networks and data
CLEARLY = 10  # times less than that of another shift
TRAINED = 0.8  # of the untrained network's loss: below, a network is trained
SHIFTS = (-1, 0, 1)
LEAP = 10  # times as far as all before, and a row's epoch is something else
NEAR = 0.01  # epochs that still count as a whole one, where no row is of the whole one


@dataclass(frozen=True)
class Aligned:
    """A log's losses by epoch.

    Attributes:
        losses: metric → value by epoch.
        shift: what was added to the log's own numbers.
        checkpoints: what is to be added to the epochs of checkpoints whose names left it open.
        proven: whether the losses are those that the checkpoints have on the spec's data.
        error: the mean relative difference of the two; None of fewer than two epochs.
    """

    losses: Losses
    shift: int
    checkpoints: int
    proven: bool
    error: float | None


def aligned(
    log: Log,
    epochs: Epochs,
    measured: Mapping[int, Mapping[str, float]],
    new: Untrained,
    *,
    first: int | None = None,
    steps_per_epoch: float | None = None,
) -> Aligned:
    """Returns the log's losses by epoch, and how they go with the checkpoints.

    Args:
        log: see `logs.read_log`.
        epochs: of the checkpoints.
        measured: losses that some of these have on the spec's data, by epoch.
        new: untrained networks.
        first: the epoch of the log's lowest number, if the user says so.
        steps_per_epoch: where the log counts steps; 1 if its steps are epochs.

    Raises:
        ValueError: the log seems to count otherwise than the checkpoints, its steps are no epochs, or neither it nor
            the checkpoints tell which epochs these are of.
    """
    numbered = by_epoch(log, epochs.names, steps_per_epoch)
    errors = {shift: error for shift in SHIFTS if (error := _error(numbered, measured, shift)) is not None}
    best = min(errors, key=lambda shift: errors[shift], default=0)
    rest = min((error for shift, error in errors.items() if shift != best), default=math.inf)
    proven = best in errors and errors[best] < SAME and CLEARLY * errors[best] < rest
    lowest, moved = min(numbered), 0
    absolute = log.counted == "step" and steps_per_epoch not in (None, 1)
    start = 0 if absolute else epochs.shift
    if first is not None:
        shift = first - lowest
    elif proven and absolute:
        shift = best if epochs.certain else 0
    elif proven and log.counted == "epoch" and lowest in (0, 1):
        metric = "test_loss" if "test_loss" in numbered[lowest] else "train_loss"
        shift = best if epochs.certain else int(lowest == 0 and numbered[0].get(metric, math.inf) < new.lowest(metric))
    elif epochs.doubt:
        raise ValueError(epochs.doubt)
    elif proven:
        shift = best
    else:
        shift = _likely(log, numbered, epochs.names, start, new)
    if proven and not epochs.certain and first is None:
        moved = shift - best
    losses = {number + shift: row for number, row in numbered.items() if number + shift >= 0}
    return Aligned(losses, shift, moved, proven, errors.get(shift - moved))


def by_epoch(log: Log, checkpoints: Collection[int], steps_per_epoch: float | None) -> Losses:
    """Returns the losses by the log's own epochs or rows: of a row's columns the last that has a value.

    A row near a whole epoch stands for it where there is none of it.
    """
    rows = log.rows
    if log.counted == "step":
        known = {number for number, _ in rows}
        if steps_per_epoch is None and not _are_epochs(known, {*checkpoints}):
            raise ValueError(
                f"{log.path} counts steps ({', '.join(f'{at:g}' for at in sorted(known)[:3])}, …) and has no epochs; "
                "expected losses by epoch: add --steps-per-epoch N (1 if its steps are epochs)"
            )
        per_epoch = steps_per_epoch or 1
        ends = last_steps(known, per_epoch)
        rows = [((number + ends) / per_epoch, values) for number, values in rows]
    losses: Losses = {}
    for near in (0.0, NEAR):
        fresh: Losses = {}
        for place, values in rows:
            if abs(place - round(place)) <= near + 1e-9:
                fresh[round(place)] = fresh.get(round(place), {}) | values
        losses = {number: fresh.get(number, {}) | losses.get(number, {}) for number in sorted({*fresh, *losses})}
    if not losses:
        raise ValueError(
            f"{log.path} has no row of a whole epoch; expected losses after whole epochs: log them once an epoch, or "
            "leave --losses out, and they are computed from the spec's data"
        )
    reach = max(checkpoints, default=0)
    for number in losses:
        if number > LEAP * (reach + 1):
            raise ValueError(
                f"{log.path} has a row of epoch {number}, and neither a row nor a checkpoint between {reach} and that; "
                "expected epochs that follow each other: correct that row, name another column with --tag epoch=NAME "
                "or --tag step=NAME, or leave --losses out, and they are computed from the spec's data"
            )
        reach = max(reach, number)
    return losses


def _are_epochs(steps: set[float], checkpoints: set[int]) -> bool:
    """Returns whether a log's steps are the epochs of the checkpoints: all but one of them, and little after the last.

    Counted from 0 or from 1.
    """
    if not checkpoints or not steps or max(steps) > max(checkpoints) + 2:
        return False
    return any(len(checkpoints - {step + first for step in steps}) <= 1 for first in (0, 1))


def _likely(log: Log, losses: Losses, checkpoints: Collection[int], shift: int, new: Untrained) -> int:
    """Returns what to add to the log's numbers where its losses prove nothing; raises ValueError if that is in "
    "doubt."""
    last, lowest = max(checkpoints), min(losses)
    if log.counted == "row":
        if len(losses) not in (last, last + 1):
            raise ValueError(
                f"{log.path} has {len(losses)} rows and no epochs, and the last checkpoint is of epoch {last}; "
                "expected a row for each epoch: name its column with --tag epoch=NAME, or say which epoch the first "
                "row is of, --first-logged-epoch 1 (0 for the untrained network)"
            )
        return int(len(losses) == last)
    chance = {metric: sum(each[metric] for each in new.losses) / len(new.losses) for metric in new.losses[0]}
    starts = {other: _ratio(losses.get(-other, {}), chance) for other in (*SHIFTS, shift)}
    covered = {other: sum(epoch - other in losses for epoch in checkpoints) for other in starts}
    ends = {other: other >= shift and max(losses) + other == last for other in starts}
    if starts[shift] < TRAINED:
        other, reason = shift + 1, f"its loss at epoch 0 is {starts[shift]:.0%} of an untrained network's"
    else:
        fits = {each: (covered[each], ends[each]) for each in starts if starts[each] >= TRAINED}
        other = max(fits, key=lambda each: (fits[each], each == shift))
        if fits[other] == fits[shift]:
            return shift
        reason = f"{covered[shift]} checkpoints have losses in it, and {covered[other]} if it starts otherwise"
        if covered[other] == covered[shift]:
            reason = f"its last row is {max(losses)}, the last checkpoint is of epoch {last}"
    raise ValueError(
        f"{log.path} seems to count epochs otherwise than the checkpoints: {reason}; expected 0 for the untrained "
        f"network and 1 after the first epoch: add --first-logged-epoch {lowest + other} if its first row, {lowest}, "
        f"is of that epoch, --first-logged-epoch {lowest + shift} if it is right as it is"
    )


def _error(losses: Losses, measured: Mapping[int, Mapping[str, float]], shift: int) -> float | None:
    """Returns the mean relative difference of the log's losses and those measured; None of fewer than two epochs."""
    shared = [number for number in losses if number + shift in measured]
    ratios = [_ratio(losses[number], measured[number + shift]) for number in shared]
    known = [abs(math.log(ratio)) for ratio in ratios if 0 < ratio < math.inf]
    return sum(known) / len(known) if len(known) > 1 else None


def _ratio(logged: Mapping[str, float], measured: Mapping[str, float]) -> float:
    """Returns logged / measured, of the testing split if the log has its loss; infinity if there is none."""
    for metric in ("test_loss", "train_loss"):
        if math.isfinite(logged.get(metric, math.nan)) and math.isfinite(measured.get(metric, math.nan)):
            return max(logged[metric], 1e-6) / max(measured[metric], 1e-6)
    return math.inf
