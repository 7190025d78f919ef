"""The boundaries of a run's three phases: found by our rule and kept in `run.json`, or moved by the user. No torch."""

import math
from collections.abc import Sequence
from typing import Any

from interdash.runs.run import Run

BOUNDARIES = {"1|2": "second", "2|3": "third"}  # the phase that begins there
OLDER = "by an older rule; `interdash extract` looks again"


def boundaries(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the rows of the table `phases` from a run's manifest; none before its epochs are labelled."""
    moved = manifest.get("moved_boundaries", {})
    summary, share = manifest.get("summary") or {}, f"{share_of(manifest):g}"
    rows = []
    for stored in summary.get("phases", []):
        if share in stored.get("shares", {}):  # chosen on the page; each baseline alone is known for the run's own only
            stored = {**stored, "baselines": (), **stored["shares"][share]}
        row = {name: value for name, value in stored.items() if name not in ("why", "baselines", "shares")}
        name, found = row["boundary"], row["found"]
        by_user = name in moved
        if by_user:
            reason = "set by hand" + (
                f"; our rule says epoch {found:g}" if found is not None else "; not found by our rule"
            )
        elif found is None:
            reason = f"no {BOUNDARIES[name]} phase found: {stored.get('why') or OLDER}"
        else:
            low, high = (f"{round(row[end], 1):g}" for end in ("low", "high"))
            reason = f"epoch {found:g}, 95% interval {low}–{high}"
        epoch = moved[name] if by_user else found
        reason += _with_each(stored.get("baselines", ())) + _at_shares(stored.get("shares", {}))
        rows.append({**row, "epoch": epoch, "moved_by_user": by_user, "reason": reason})
    return rows


def baseline_boundaries(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the rows of the table `baseline_phases`: the boundaries with each of several baseline networks alone."""
    stored = [row for phase in (manifest.get("summary") or {}).get("phases", []) for row in phase.get("baselines", ())]
    names = {"baseline": "baseline", "boundary": "boundary", "epoch": "found", "low": "low", "high": "high"}
    return [{name: row[key] for name, key in names.items()} | {"reason": row["why"]} for row in stored]


def _with_each(baselines: Sequence[dict[str, Any]]) -> str:
    """Returns in words with how many of several baseline networks a boundary is found, and where; "" with one."""
    epochs = [f"{row['found']:g}" for row in baselines if row["found"] is not None]
    if not baselines:
        return ""
    return f"; found with {len(epochs)} of {len(baselines)} baselines" + (f" ({', '.join(epochs)})" if epochs else "")


def _at_shares(shares: dict[str, dict[str, Any]]) -> str:
    """Returns in words where the third phase begins at each share; "" of the boundary 1|2."""
    epochs = ["not found" if row["found"] is None else f"{row['found']:g}" for row in shares.values()]
    return f"; below {', '.join(shares)} of its best from: {', '.join(epochs)}" if epochs else ""


def share_of(manifest: dict[str, Any]) -> float:
    """Returns below which share of its best what is learned begins the third phase: as chosen, or as configured."""
    return manifest.get("phase_share") or manifest.get("config", {}).get("phases", {}).get("share", 0.5)


def known_shares(manifest: dict[str, Any]) -> list[float]:
    """Returns the shares at which the boundary 2|3 is known, ascending; none before the run is labelled."""
    phases = (manifest.get("summary") or {}).get("phases", [])
    return sorted(float(share) for row in phases for share in row.get("shares", {}))


def set_share(run: Run, share: float) -> None:
    """Stores below which share of its best what is learned begins the third phase.

    Raises:
        ValueError: the boundary at this share is not known.
    """
    if share not in (known := known_shares(run.manifest)):
        raise ValueError(f"the boundary 2|3 is not known at a share of {share}; choose one of {known}")
    run.update(phase_share=share)


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
