"""The boundaries of a run's three phases: found by our rule and kept in `run.json`, or moved by the user. No torch."""

import math
from typing import Any

from interdash.runs.run import Run

BOUNDARIES = {  # what the words of a boundary that is not found say
    "1|2": "no second phase found: our smoothing finds no clear peak of the generalization power H",
    "2|3": "no third phase found: non-generalizable strength does not clearly outgrow the generalizable afterwards",
}

NOT_APART = (
    "phases 1 and 2 are not told apart: between the peak of H and phase 3 generalizable strength does not clearly grow "
    "faster, and before them non-generalizable strength does not clearly fall by 1 % of the largest strength"
)


def boundaries(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the rows of the table `phases` from a run's manifest; none before its epochs are labelled."""
    moved = manifest.get("moved_boundaries", {})
    summary = manifest.get("summary") or {}
    stored, peak = summary.get("phases", []), summary.get("peak_epoch")
    third = any(row["boundary"] == "2|3" and row["found"] is not None for row in stored)
    rows = []
    for row in stored:
        name, found = row["boundary"], row["found"]
        by_user = name in moved
        if by_user:
            reason = "set by hand" + (
                f"; our rule says epoch {found:g}" if found is not None else "; not found by our rule"
            )
        elif found is None:
            reason = NOT_APART if name == "1|2" and third else BOUNDARIES[name]
            if name == "1|2" and peak is not None:
                reason += f"; measured H peaks at epoch {peak}"
        else:
            low, high = (f"{round(row[end], 1):g}" for end in ("low", "high"))
            reason = f"epoch {found:g}, 95% interval {low}–{high}"
        epoch = moved[name] if by_user else found
        rows.append({**row, "epoch": epoch, "moved_by_user": by_user, "reason": reason})
    return rows


def move_boundary(run: Run, boundary: str, epoch: float | None, *, reset: bool = False) -> None:
    """Stores a boundary that the user sets by hand (None: there is none), or goes back to ours with `reset`.

    Raises:
        ValueError: the boundary is unknown, or the epoch is negative or no number.
    """
    if boundary not in BOUNDARIES:
        raise ValueError(f"there is no boundary {boundary!r}; choose one of {', '.join(BOUNDARIES)}")
    if epoch is not None and not (math.isfinite(epoch) and epoch >= 0):
        raise ValueError(f"the boundary {boundary} cannot be at epoch {epoch}; give an epoch of 0 or later")
    moved = dict(run.manifest.get("moved_boundaries", {}))
    moved.pop(boundary, None)
    if not reset:
        moved[boundary] = epoch
    run.update(moved_boundaries=moved)
