"""The boundaries of a run's phases by our rule, from what its samples learn. No torch."""

from typing import Any

import numpy as np
import pandas as pd


def find_boundaries(flows: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns both boundaries with their bootstrap intervals: boundary, found, low, high (epochs; None if not found).

    And `why`: the reason why it was not found, or None. None at all without two samples and three epochs in a row.

    Args:
        flows: one row for each sample and two consecutive recorded epochs, as `dynamics.sample_flows` gives them.
    """
    from interdash.formulas.phases import find_phases  # scipy takes a second to import

    pairs = flows[["epoch_from", "epoch_to"]].drop_duplicates().to_numpy()
    samples = len(set(flows["sample"].tolist()))
    if len(pairs) < 2 or (pairs[1:, 0] != pairs[:-1, 1]).any() or samples < 2:
        return []
    table = flows.pivot(index="sample", columns="epoch_to")
    learned = (table[name].to_numpy(float) for name in ("learned", "learned_generalizable", "learned_by_chance"))
    phases = find_phases(np.append(pairs[0, 0], pairs[:, 1]), *learned)
    places = {"1|2": (phases.boundary_12, phases.interval_12), "2|3": (phases.boundary_23, phases.interval_23)}
    return [
        {
            **{"boundary": name, "found": epoch, "low": interval and interval[0], "high": interval and interval[1]},
            "why": phases.reason if epoch is None else None,
        }
        for name, (epoch, interval) in places.items()
    ]
