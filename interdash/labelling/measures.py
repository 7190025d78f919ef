"""Measures of a network's interactions at an epoch: one entry of `MEASURES` each, means over samples with intervals.

Each is a number a sample, computed with the labels from what lies there anyway; mean and bootstrap are the same for
all. They stand in the table `measures` of the store. Who adds one raises `parts.LABELLING`, if runs that are labelled
already shall have it too. A measure of the network itself is an entry of `training.measures`.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from interdash.formulas.bootstrap import group, percentile, sample_weights
from interdash.training.measures import Measure

SCHEMA = pa.schema(
    {"source": pa.string(), "measure": pa.string()}
    | dict.fromkeys(("value", "low", "high"), pa.float64())
    | {"unit": pa.string()}
)


def salient_interactions(
    effects: np.ndarray, salient: np.ndarray, generalizes: np.ndarray | None, tau: np.ndarray
) -> np.ndarray:
    """Returns the number of salient interactions of each sample, AND and OR together: `[samples]`."""
    return salient.sum((1, 2)).astype(float)


def net_share(effects: np.ndarray, salient: np.ndarray, generalizes: np.ndarray | None, tau: np.ndarray) -> np.ndarray:
    """Returns ρ = |Σ I| / Σ |I| over the salient interactions of each sample: `[samples]`, a share; NaN without any.

    1: all have one sign; 0: they cancel. Source: arXiv 2605.17967, Eq. (10), known through third-party notes.

    >>> effects, salient = np.array([[[0.0, 3.0, -1.0, 0.1]]]), np.array([[[False, True, True, False]]])
    >>> net_share(effects, salient, None, np.array([0.5])).tolist()
    [0.5]
    """
    strong = effects * salient
    whole = np.abs(strong).sum((1, 2))
    return np.divide(np.abs(strong.sum((1, 2))), whole, out=np.full(len(strong), np.nan), where=whole > 0)


MEASURES = {
    "salient_interactions": Measure(
        salient_interactions, "interactions a sample", "Interactions that are at least as strong as τ."
    ),
    "net_share": Measure(
        net_share, "share", "ρ = |Σ I| / Σ |I| over salient interactions: 1 = all of one sign, 0 = they cancel."
    ),
}


def by_sample(
    effects: np.ndarray, salient: np.ndarray, generalizes: np.ndarray | None, tau: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns every measure of some samples by name, `[samples]`, NaN where a sample has none.

    Args:
        effects: interactions `[samples, 2 (AND, OR), 2**n]`, nats.
        salient: bool, of the same shape.
        generalizes: G, bool, of the same shape; None for a baseline network, which has no G.
        tau: `[samples]`, nats.
    """
    return {name: measure.function(effects, salient, generalizes, tau) for name, measure in MEASURES.items()}


def measure_table(batches: Sequence[dict[str, np.ndarray]], strata: np.ndarray | None = None) -> pa.Table:
    """Returns the rows of the table `measures` of `schema.sql` from what `by_sample` gives, some samples each.

    Samples without a value are left out of the mean. A measure that no sample has gets no row, one that a single sample
    has no interval. `strata` are those of the samples, see `bootstrap`.
    """
    rows = []
    for name, measure in MEASURES.items():
        values = np.concatenate([batch[name] for batch in batches])
        if not np.isnan(values).all():
            value, low, high = _mean(values, strata)
            row = {"source": "interactions", "measure": name, "value": value, "low": low, "high": high}
            rows.append(row | {"unit": measure.unit})
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _mean(values: np.ndarray, strata: np.ndarray | None) -> tuple[float, float | None, float | None]:
    """Returns the mean over samples and the ends of its bootstrap interval, NaN passed over."""
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)

    def mean(draws: np.ndarray) -> np.ndarray:
        weights = sample_weights(draws)
        share = weights @ known
        return np.divide(weights @ filled, share, out=np.full(len(share), np.nan), where=share > 0)

    low, high = percentile(mean, group(strata, len(values))).tolist() if known.sum() > 1 else (None, None)
    return float(values[known].mean()), low, high
