"""The boundaries of a run's phases by our rule, from what its samples learn. No torch."""

from typing import Any

import numpy as np
import pandas as pd

from interdash.formulas.bootstrap import distribution, group, sample_weights

RESAMPLES = 300  # of samples and baselines together
SHARES = (0.4, 0.5, 0.6)  # whose boundaries 2|3 are told
ON_PHASES = ("learned", "learned_generalizable", "learned_by_chance")


def find_boundaries(flows: pd.DataFrame, share: float = 0.5) -> list[dict[str, Any]]:
    """Returns both boundaries with their bootstrap intervals: boundary, found, low, high (epochs; None if not found).

    And `why`: the reason why it was not found, or None. None at all without two samples and three epochs in a row, or
    without a baseline network, which says what generalizes.
    With several baseline networks these are of the mean over them, samples and baselines drawn anew, the same for all
    epochs; `baselines` then has the same of each by itself, with its name as `baseline`. Of 2|3 `shares` has the same
    at other shares, by their numbers as text.

    Args:
        flows: one row for each sample, baseline network and two consecutive recorded epochs, as `dynamics.sample_flows`
            gives them.
        share: of the highest κ, below which the third phase begins.
    """
    pairs = flows[["epoch_from", "epoch_to"]].drop_duplicates().to_numpy()
    strata, names = flows.groupby("sample")["stratum"].first(), sorted(set(flows["baseline"].tolist()))
    without_g = bool(np.isnan(flows["learned_generalizable"].to_numpy(float)).any())
    if len(pairs) < 2 or (pairs[1:, 0] != pairs[:-1, 1]).any() or len(strata) < 2 or without_g:
        return []
    epochs, table = np.append(pairs[0, 0], pairs[:, 1]), flows.pivot(index=["baseline", "sample"], columns="epoch_to")
    learned = np.stack([table[name].to_numpy(float) for name in ON_PHASES])  # [3, baselines · samples, E − 1]
    drawn = group(strata, len(strata))

    def weights(samples: np.ndarray, baselines: np.ndarray) -> np.ndarray:
        both = sample_weights(baselines)[:, :, None] * sample_weights(samples)[:, None]
        return both.reshape(len(both), -1)  # [resamples, baselines · samples]

    def found(flows: np.ndarray, baselines: int, share: float) -> list[dict[str, Any]]:
        return _boundaries(
            epochs, flows, share=share, weights=distribution(weights, drawn, baselines, resamples=RESAMPLES)
        )

    rows = found(learned, len(names), share)
    if len(names) > 1:
        of_each = np.split(learned, len(names), axis=1)
        alone = [(name, row) for name, own in zip(names, of_each, strict=True) for row in found(own, 1, share)]
        for row in rows:
            row["baselines"] = [{"baseline": name} | own for name, own in alone if own["boundary"] == row["boundary"]]
    others = {each: found(learned, len(names), each)[1] for each in SHARES if each != share}
    rows[1]["shares"] = {f"{each:g}": row for each, row in sorted((others | {share: {**rows[1]}}).items())}
    return rows


def _boundaries(epochs: np.ndarray, learned: np.ndarray, **settings: Any) -> list[dict[str, Any]]:
    from interdash.formulas.phases import find_phases  # scipy takes a second to import

    phases = find_phases(epochs, *learned, **settings)
    places = {"1|2": (phases.boundary_12, phases.interval_12), "2|3": (phases.boundary_23, phases.interval_23)}
    return [
        {
            **{"boundary": name, "found": epoch, "low": interval and interval[0], "high": interval and interval[1]},
            "why": phases.reason if epoch is None else None,
        }
        for name, (epoch, interval) in places.items()
    ]
