"""Where the second of the two phases of a training begins: the loss gap rises. No torch."""

import numpy as np
import pandas as pd

RISEN = 0.05  # share of the way from the smallest to the largest gap: below it, the gap has not begun to rise
SMALL_GAP = 0.01  # nats: a gap that never exceeds it does not rise


def gap_start(epochs: pd.DataFrame) -> int | None:
    """Returns the epoch from which on the loss gap rises: the start of the second of the *two* phases of two-phase.

    It is the last epoch at which the gap has gone at most `RISEN` of the way from its smallest to its largest value;
    None if the gap never is above `SMALL_GAP`. With random training labels the smallest gap is negative: a network that
    has not learned them by heart fits the clean testing labels better. `epochs` has epoch, train_loss and test_loss of
    the whole splits, in nats.
    Source: two-phase (arXiv 2405.10262), in words; this rule is ours.
    """
    known = epochs.dropna(subset=["train_loss", "test_loss"]).sort_values("epoch")
    gap = known["test_loss"].to_numpy() - known["train_loss"].to_numpy()
    if not len(gap) or gap.max() <= SMALL_GAP:
        return None
    return int(known["epoch"].to_numpy()[last_small(gap)])


def last_small(gap: np.ndarray) -> np.ndarray:
    """Returns the last place at which a gap `[..., E]`, nats, is small, as `gap_start` says: `[...]`."""
    low, high = gap.min(-1, keepdims=True), gap.max(-1, keepdims=True)
    small = gap <= low + RISEN * (high - low)
    return gap.shape[-1] - 1 - small[..., ::-1].argmax(-1)
