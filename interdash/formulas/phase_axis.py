"""The axis of phases, on which runs of different speed compare. No torch."""

import numpy as np


def phase_position(
    epochs: np.ndarray, boundary_12: float | None, boundary_23: float | None, last_epoch: float
) -> np.ndarray:
    """Returns epochs on the axis of phases: 0 = untrained, 1 = boundary 1|2, 2 = boundary 2|3, 3 = last epoch.

    Linear in epochs within a phase. Where a boundary is missing, the two phases that it would part have no known end:
    their epochs are NaN, as a position would be made up. (Ours.)

    >>> phase_position(np.array([0, 5, 10, 25, 40, 100]), 10, 40, 100).tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]

    Args:
        epochs: any shape.
        boundary_12: epoch; None = not found.
        boundary_23: epoch; None = not found.
        last_epoch: where phase 3 ends on this axis.
    """
    epochs = np.asarray(epochs, dtype=np.float64)
    known = [] if boundary_12 is None else [(0.0, 0.0), (boundary_12, 1.0)]
    known += [] if boundary_23 is None else [(boundary_23, 2.0), (last_epoch, 3.0)]
    if not known:
        return np.full(epochs.shape, np.nan)
    # of boundaries at the same epoch (a phase without length) the later phase counts
    points = dict(known)
    x = np.array(sorted(points))
    return np.interp(epochs, x, [points[value] for value in x], left=np.nan, right=np.nan)
