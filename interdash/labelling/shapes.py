"""The tables `order_similarities` and `order_fits` of a network at one epoch, from what `order_shape` computes."""

import numpy as np
import pyarrow as pa

from interdash.formulas.bootstrap import group, percentile, sample_weights
from interdash.formulas.order_shape import PARTS, SHAPES, GroupMeans, fit, similarities

RESAMPLES = 300  # of the bootstrap: each tries all of `order_shape.ALPHAS`
SIMILARITIES = pa.schema(
    {"size": pa.int8()} | dict.fromkeys(("similarity", "reference", "reference_low", "reference_high"), pa.float64())
)
FITS = pa.schema(
    {"part": pa.string(), "shape": pa.string()}
    | {f"{name}{end}": pa.float64() for name in ("alpha", "distance") for end in ("", "_low", "_high")}
)


def shape_tables(
    groups: GroupMeans | None, parts: np.ndarray | None, strata: np.ndarray | None = None
) -> dict[str, pa.Table]:
    """Returns the tables `order_similarities` and `order_fits` of `schema.sql` for a network at one epoch.

    Args:
        groups: what all interactions were added to; None where splits cannot be compared.
        parts: strengths `[samples, n, 2]` of generalizable and non-generalizable salient interactions by order, nats;
            None for a baseline network, which has no G.
        strata: of the samples, see `bootstrap`.
    """
    similar = SIMILARITIES.empty_table()
    if groups is not None:
        alike = similarities(groups.means)
        columns = [np.arange(1, alike.shape[1] + 1), *alike]
        similar = pa.table([pa.array(x, from_pandas=True) for x in columns], names=SIMILARITIES.names)
    return {
        "order_similarities": similar.cast(SIMILARITIES),
        "order_fits": FITS.empty_table() if parts is None else _fits(parts, strata),
    }


def _fits(parts: np.ndarray, strata: np.ndarray | None) -> pa.Table:
    count = len(parts)
    flat = parts.reshape(count, -1)

    def fitted(draws: np.ndarray) -> np.ndarray:
        means = (sample_weights(draws) @ flat).reshape(*draws.shape[:-1], *parts.shape[1:])
        means = np.moveaxis(means, -1, 0)  # [parts, ..., n]
        return np.stack([values for shape in SHAPES for values in fit(means, shape)])  # [shapes · 2, parts, ...]

    value = low = high = fitted(np.arange(count))
    if count > 1:
        low, high = percentile(fitted, group(strata, count), resamples=RESAMPLES)
    rows = [
        (part, shape, *(x[2 * s + i, p] for i in range(2) for x in (value, low, high)))
        for p, part in enumerate(PARTS)
        for s, shape in enumerate(SHAPES)
    ]
    arrays = [pa.array(column, from_pandas=True) for column in zip(*rows, strict=True)]
    return pa.table(arrays, names=FITS.names).cast(FITS)
