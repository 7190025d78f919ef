"""The order distribution that an untrained network is expected to show: a spindle. No torch."""

from math import comb

import numpy as np
import pandas as pd

from interdash import queries
from interdash.store import Store


def spindle(n: int) -> np.ndarray:
    """Returns the share of each order 1 to n in the strength of interactions of independent random outputs.

    An AND interaction of order k is a signed sum of 2^k outputs, so its size grows as 2^(k/2), and there are C(n, k) of
    them: share(k) ∝ C(n, k) · 2^(k/2).

    Source: the spindle of untrained networks is two-phase (arXiv 2405.10262). The formula is ours, and of Harsanyi
    interactions: a sparse split of the same outputs has more of its strength at low orders.

    >>> spindle(2).round(3).tolist()
    [0.586, 0.414]
    """
    weights = np.array([comb(n, k) * 2 ** (k / 2) for k in range(1, n + 1)])
    return weights / weights.sum()


def expected_orders(
    store: Store, run: str, *, split: str = "all", label: int = -1, types: tuple[str, ...] = ("all",), normalised=False
) -> pd.DataFrame:
    """Returns the spindle at epoch 0: type, size, and half of its strength as `positive`, half as `negative`.

    It has the total strength that was measured at epoch 0 (in nats, or summing to n when normalised). Random outputs
    have both signs alike. No row if epoch 0 is not extracted.
    """
    measured = queries.order_strength(store, run, [0], split=split, label=label, types=types, normalised=normalised)
    rows = []
    for kind, found in measured.groupby("type", sort=False):
        share = spindle(len(found)) * found["strength"].sum()
        rows.append(
            pd.DataFrame(
                {"type": kind, "size": found["size"].to_numpy(), "positive": share / 2, "negative": -share / 2}
            )
        )
    return (
        pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=["type", "size", "positive", "negative"])
    )
