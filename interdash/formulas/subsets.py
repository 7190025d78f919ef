"""Subsets of the n input variables: bitmask, mask, order and label.

The one definition of subset order in interdash: **the index of a subset is its bitmask, and bit i stands for
variable i**. Index 0 is the empty set, index 2^n − 1 is the set of all variables.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from zlib import crc32

import numpy as np

MAX_VARIABLES = 20
INTERACTION = re.compile(r"(and|or)(?:-([0-9]{1,9})|\s*\{(.+)\})", re.ASCII | re.IGNORECASE)  # or-6, OR {1, 2}
# What interactions of several samples share, besides their type, that count as the same one: variables, where one means
# the same in every sample (columns of a table, fixed patches, segments of time); words, wherever they stand; of
# clusters of points, which nothing connects from sample to sample, only the order. Source: ours.
WAYS = ("variables", "words", "order")


def check_n_variables(n: int) -> int:
    """Returns n, the number of input variables, if it is between 0 and 20.

    Raises:
        ValueError: n is negative or above 20; all 2^n masks are passed, and their outputs would not fit into memory.
    """
    if not 0 <= n <= MAX_VARIABLES:
        raise ValueError(
            f"n_variables is {n}; it must be between 0 and {MAX_VARIABLES}, since all 2^n masks are passed: "
            "take coarser variables, such as larger patches, phrases or groups of columns"
        )
    return n


def n_variables(n_subsets: int) -> int:
    """Returns the number of variables n that have `n_subsets` = 2^n subsets.

    >>> n_variables(1024)
    10

    Raises:
        ValueError: n_subsets is no power of two, or n is above 20.
    """
    if n_subsets < 1 or n_subsets & (n_subsets - 1):
        raise ValueError(f"{n_subsets} outputs are not one for each subset: the last axis must have 2^n entries")
    return check_n_variables(n_subsets.bit_length() - 1)


@cache
def masks(n: int) -> np.ndarray:
    """Returns all masks: read-only bool `(2**n, n)`, row index = bitmask, True where the variable is kept.

    >>> masks(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    check_n_variables(n)
    table = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(bool)
    table.flags.writeable = False
    return table


@cache
def orders(n: int) -> np.ndarray:
    """Returns the order |S| of every subset: read-only int64 `(2**n,)`, index = bitmask.

    >>> orders(2).tolist()
    [0, 1, 1, 2]
    """
    table = np.bitwise_count(np.arange(2 ** check_n_variables(n))).astype(np.int64)
    table.flags.writeable = False
    return table


@lru_cache(maxsize=2**17)
def members(subset: int) -> tuple[int, ...]:
    """Returns the variables of a subset in ascending order.

    >>> members(0b1010)
    (1, 3)
    """
    return tuple(i for i in range(int(subset).bit_length()) if int(subset) >> i & 1)


def interaction(text: str, names: Sequence[str] = ()) -> tuple[str, int] | None:
    """Returns type and subset of an interaction as addresses write it, or as people do; None if the text is no such.

    People name its variables, or number them: AND {film, good}, OR {1, 2}.

    >>> interaction("or-6"), interaction("OR {1, 2}"), interaction("and{film, 0}", ["good", "film"])
    (('or', 6), ('or', 6), ('and', 3))
    """
    match = INTERACTION.fullmatch(text.strip())
    if match is None or match[2]:
        return (match[1].lower(), int(match[2])) if match else None
    subset = 0
    for word in map(str.strip, match[3].split(",")):
        place = list(names).index(word) if word in names else int(word) if re.fullmatch("[0-9]{1,2}", word) else -1
        if not 0 <= place < MAX_VARIABLES:
            return None
        subset |= 1 << place
    return match[1].lower(), subset


def pattern(text: str) -> tuple[str, int, int] | None:
    """Returns type, subset and sample of an interaction of a sample as addresses write it; None if it is no such name.

    >>> pattern("or-6-12")
    ('or', 6, 12)
    """
    name, _, sample = text.rpartition("-")
    found = interaction(name)
    return (*found, int(sample)) if found and re.fullmatch("[0-9]{1,9}", sample, re.ASCII) else None


def pattern_number(by: str, type: str, subset: int, names: Sequence[str]) -> int:
    """Returns the number of an interaction's pattern, the same for all that share it, below 2³¹.

    Of words it is a checksum, which two patterns can have in common: compare the words as well.

    >>> pattern_number("variables", "or", 6, "abc") == pattern_number("variables", "or", 6, "xyz")
    True
    >>> pattern_number("words", "and", 6, ("a", "good", "film")) == pattern_number("words", "and", 3, ("film", "good"))
    True
    >>> pattern_number("order", "and", 6, "abc") == pattern_number("order", "and", 3, "abc")
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
    return (type == "or") << MAX_VARIABLES | (subset if by == "variables" else subset.bit_count())


def label(subset: int, names: Sequence[str]) -> str:
    """Returns a subset as text, by the names of its variables.

    >>> label(0b101, ["age", "sex", "hours"])
    '{age, hours}'
    >>> label(0, ["age"])
    '∅'
    """
    return _label(subset, tuple(names))


@lru_cache(maxsize=2**17)  # a page has thousands of them, the same ones for every image
def _label(subset: int, names: tuple[str, ...]) -> str:
    return "{" + ", ".join(names[i] for i in members(subset)) + "}" if subset else "∅"
