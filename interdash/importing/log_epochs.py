"""How a log's own numbers go with the epochs of the checkpoints: 0 is the untrained network, e follows e epochs.

Many tools call the first epoch 0. A log is shifted as the checkpoints' own numbers were. Where its "epoch 0" is then of
a trained network, or another shift gives losses to more checkpoints, it is refused.
"""

import math
from collections.abc import Collection, Mapping
from pathlib import Path

from interdash.importing.logs import Log, Losses

SAME = 0.01  # mean relative difference of losses that are of the same networks and data
CLEARLY = 10  # times less than that of another shift
TRAINED = 0.8  # of the untrained network's loss: below, a network is trained
SHIFTS = (-1, 0, 1)


def aligned(
    log: Log,
    path: Path,
    measured: Mapping[int, Mapping[str, float]],
    checkpoints: Collection[int],
    *,
    shift: int,
    first: int | None,
) -> tuple[Losses, int]:
    """Returns the log's losses by epoch, and what was added to its own numbers.

    Args:
        log: see `logs.read_log`.
        path: its file, for messages.
        measured: losses by epoch that checkpoints have on the spec's data, and an untrained network as epoch 0.
        checkpoints: their epochs.
        shift: what was added to the checkpoints' own numbers.
        first: the epoch of the log's lowest number, if the user says so.

    Raises:
        ValueError: the log seems to count otherwise than the checkpoints, or has no epochs.
    """
    lowest = min(log.losses)
    if first is not None:
        shift = first - lowest
    elif log.counted == "row":
        rows, last = len(log.losses), max(checkpoints)
        if rows not in (last, last + 1):
            raise ValueError(
                f"{path} has {rows} rows and no epochs, and the last checkpoint is of epoch {last}; expected a row for "
                f"each epoch: say which the first is of, --first-logged-epoch 1 (0 for the untrained network)"
            )
        shift = int(rows == last)
    else:
        shift = _checked(log, path, measured, checkpoints, shift)
    losses = {number + shift: row for number, row in log.losses.items() if number + shift >= 0}
    return losses, shift


def _checked(
    log: Log, path: Path, measured: Mapping[int, Mapping[str, float]], checkpoints: Collection[int], shift: int
) -> int:
    """Returns the shift, or the one by which the losses are those measured; raises ValueError if it is in doubt."""
    errors = {other: error for other in SHIFTS if (error := _error(log, measured, other)) is not None}
    best = min(errors, key=lambda other: errors[other], default=shift)
    if best != shift and errors[best] < SAME and CLEARLY * errors[best] < errors.get(shift, math.inf):
        return best
    starts = {other: _ratio(log.losses.get(-other, {}), measured.get(0, {})) for other in (*SHIFTS, shift)}
    covered = {other: sum(epoch - other in log.losses for epoch in checkpoints) for other in starts}
    if starts[shift] < TRAINED:
        other, reason = shift + 1, f"its loss at epoch 0 is {starts[shift]:.0%} of an untrained network's"
    else:
        likely = [each for each in SHIFTS if starts[each] >= TRAINED and covered[each] > covered[shift]]
        if not likely:
            return shift
        other = likely[0]
        reason = f"{covered[shift]} checkpoints have losses in it, and {covered[other]} if it starts otherwise"
    lowest = min(log.losses)
    raise ValueError(
        f"{path} seems to count epochs otherwise than the checkpoints: {reason}; expected 0 for the untrained network "
        f"and 1 after the first epoch: add --first-logged-epoch {lowest + other} if its first row, {lowest}, is of "
        f"that epoch, --first-logged-epoch {lowest + shift} if it is right as it is"
    )


def _error(log: Log, measured: Mapping[int, Mapping[str, float]], shift: int) -> float | None:
    """Returns the mean relative difference of the log's losses and those measured; None of fewer than two epochs."""
    shared = [number for number in log.losses if number + shift in measured]
    ratios = [_ratio(log.losses[number], measured[number + shift]) for number in shared]
    known = [abs(math.log(ratio)) for ratio in ratios if math.isfinite(ratio)]
    return sum(known) / len(known) if len(known) > 1 else None


def _ratio(logged: Mapping[str, float], measured: Mapping[str, float]) -> float:
    """Returns logged / measured, of the testing split if the log has its loss; infinity if there is none."""
    for metric in ("test_loss", "train_loss"):
        if math.isfinite(logged.get(metric, math.nan)) and math.isfinite(measured.get(metric, math.nan)):
            return max(logged[metric], 1e-6) / max(measured[metric], 1e-6)
    return math.inf
