"""The boundaries of a run's phases by our rule, from the strengths of its samples. No torch."""

from typing import Any

import pandas as pd


def find_boundaries(strengths: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns both boundaries with their bootstrap intervals: boundary, found, low, high (epochs; None if not found).

    `strengths` has one row a sample and epoch: epoch, sample, generalizable, non_generalizable (nats), as
    `dynamics.sample_strengths` gives them.
    """
    from interdash.formulas.phases import find_phases  # scipy.stats takes a second to import

    table = strengths.pivot(index="sample", columns="epoch", values=["generalizable", "non_generalizable"])
    if len(table) < 2:
        return []
    generalizable, non_generalizable = table["generalizable"], table["non_generalizable"]
    phases = find_phases(generalizable.columns.to_numpy(), generalizable.to_numpy(), non_generalizable.to_numpy())
    pairs = {"1|2": (phases.boundary_12, phases.interval_12), "2|3": (phases.boundary_23, phases.interval_23)}
    return [
        {"boundary": name, "found": epoch, "low": interval and interval[0], "high": interval and interval[1]}
        for name, (epoch, interval) in pairs.items()
    ]
