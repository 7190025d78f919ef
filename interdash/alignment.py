"""Runs on a common axis of phases, so that runs of different speed compare. No torch."""

import numpy as np
import pandas as pd


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


def aligned(curves: pd.DataFrame, phases: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of `curves` with `position`, their place on the axis of phases, see `phase_position`.

    Args:
        curves: columns run and epoch, and any others.
        phases: rows of `queries.phases` of all these runs, with a column run.
    """
    columns = (phases[name].tolist() for name in ("run", "boundary", "epoch"))
    boundary = {(run, name): epoch for run, name, epoch in zip(*columns, strict=True)}
    position = pd.Series(np.nan, index=curves.index, dtype=np.float64)
    for run, epochs in curves.groupby("run")["epoch"]:
        first, second = (boundary.get((str(run), name)) for name in ("1|2", "2|3"))
        first, second = (None if value is None or pd.isna(value) else float(value) for value in (first, second))
        position[epochs.index] = phase_position(epochs.to_numpy(), first, second, max(epochs.tolist()))
    return curves.assign(position=position)


def without_phases(curves: pd.DataFrame) -> list[str]:
    """Returns the runs of aligned curves that have no position at all: no boundary was found."""
    placed = curves.loc[curves["position"].notna(), "run"].unique().tolist()
    return [run for run in curves["run"].unique().tolist() if run not in placed]
