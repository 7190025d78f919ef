"""Patterns: interactions of several samples that count as the same one, and the number that stands for each.

Where a variable means the same in every sample (columns of a table, fixed patches, segments of time), they are of one
type and the same variables. Words are of one type and the same words, wherever they stand. Clusters of points, which
nothing connects from sample to sample, are only of one type and order. Source: ours.
"""

from collections.abc import Sequence
from zlib import crc32

from interdash.formulas.subsets import members

WAYS = ("variables", "words", "order")  # what the interactions of a pattern share, besides their type
SHIFT = 20  # bits of a subset, at most


def pattern(by: str, type: str, subset: int, names: Sequence[str]) -> int:
    """Returns the number of an interaction's pattern, the same for all that share it, below 2³¹.

    Of words it is a checksum, which two patterns can have in common: compare the words as well.

    >>> pattern("variables", "or", 6, "abc") == pattern("variables", "or", 6, "xyz")
    True
    >>> pattern("words", "and", 6, ("a", "good", "film")) == pattern("words", "and", 3, ("film", "good", "a"))
    True
    >>> pattern("order", "and", 6, "abc") == pattern("order", "and", 3, "abc")
    True

    Args:
        by: one of `WAYS`.
        type: "and" or "or".
        subset: bitmask.
        names: of the variables of its sample.

    Raises:
        ValueError: there is no such way.
    """
    if by == "words":
        return crc32("\0".join([type, *sorted(names[i] for i in members(subset))]).encode()) & 2**31 - 1
    if by not in WAYS:
        raise ValueError(f"interactions cannot share {by!r}; choose one of {', '.join(WAYS)}")
    return (type == "or") << SHIFT | (subset if by == "variables" else subset.bit_count())
