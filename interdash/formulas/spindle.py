"""The order distribution that an untrained network is expected to show: a spindle. No torch."""

from math import comb

import numpy as np


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
