"""What stands in an address: numbers, interactions, pinned samples. Hostile text becomes a message, nothing else."""

import itertools
import re
from collections.abc import Collection, Sequence
from urllib.parse import urlencode

from interdash.formulas import subsets


def number(text: str, known: Collection[int], what: str) -> int:
    """Returns the number that a link asks for, one of those known.

    >>> number("7", range(10), "sample")
    7

    Raises:
        ValueError: it is no number, or not among them.
    """
    if not re.fullmatch("[0-9]{1,9}", text, re.ASCII) or int(text) not in known:
        raise ValueError(f"The link asks for {what} {shown(text)}, which is not there.")
    return int(text)


def amount(text: str, low: float, high: float, what: str) -> float:
    """Returns the number that a link gives, within limits.

    >>> amount("0.5", 0, 1, "share")
    0.5

    Raises:
        ValueError: it is no number, or outside the limits.
    """
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text, re.ASCII) or not low <= float(text) <= high:
        raise ValueError(f"The link asks for {what} {shown(text)}; it is a number from {low:g} to {high:g}.")
    return float(text)


def interaction(text: str, n_variables: int, names: Sequence[str] = ()) -> tuple[str, int]:
    """Returns type and subset of an interaction such as "and-37", or as it is typed; ("", 0) of "none".

    >>> interaction("or-6", 3), interaction("AND {0, film}", 3, ["a", "good", "film"])
    (('or', 6), ('and', 5))

    Raises:
        ValueError: it names no interaction of n variables.
    """
    if text == "none":
        return "", 0
    pair = subsets.interaction(text, names)
    if pair is None:
        raise ValueError(f"The link asks for interaction {shown(text)}; one is written as and-37 or AND {{0, 2}}.")
    if not 0 < pair[1] < 2**n_variables:
        raise ValueError(f"The link asks for interaction {shown(text)}; there are 1 to {2**n_variables - 1}.")
    return pair


def pattern(text: str, n_variables: int, samples: int) -> str:
    """Returns the address of an interaction of a sample, such as "and-37-12", as it is; "" of "".

    Raises:
        ValueError: it names no interaction of n variables, or no sample.
    """
    if not text:
        return ""
    name, _, sample = text.rpartition("-")
    interaction(name or "none", n_variables)
    if subsets.pattern(text) is None or int(sample) >= samples:
        raise ValueError(f"The link asks for {shown(text)}; an interaction of a sample is written as and-37-12.")
    return text


def pin(text: str, samples: Collection[int], epochs: Collection[int]) -> tuple[int, int]:
    """Returns the pinned sample and epoch of "7-40".

    Raises:
        ValueError: it has another form, or one of them is not there.
    """
    sample, _, epoch = text.partition("-")
    return number(sample, samples, "the pinned sample"), number(epoch, epochs, "the pinned epoch")


def sample(run: str, epoch: int, number: int, *, base: str | None = None) -> str:
    """Returns the address of one sample at an epoch, relative to any page of the dashboard.

    >>> sample("a&b", 8, 3)
    'sample?run=a%26b&epoch=8&sample=3'

    `base` is the path below which the dashboard is served, behind a proxy: with it, the address holds anywhere.

    >>> sample("a", 8, 3, base="/behind/proxy/")
    '/behind/proxy/sample?run=a&epoch=8&sample=3'
    """
    address = f"sample?{urlencode({'run': run, 'epoch': epoch, 'sample': number})}"
    return address if base is None else "/".join(["", *filter(None, [base.strip("/")]), address])


def shown(text: str) -> str:
    """Returns a link's text for a message: short, in one line, and in a form that cannot be read as markup."""
    text = " ".join(text.replace("`", "").split())
    return f"`{text if len(text) <= 60 else f'{text[:60]}… ({len(text)} characters)'}`"


def plain(text: str) -> str:
    """Returns a user's words for Markdown, which shows them as they are.

    >>> print(plain("a_b <i> [x](y)"))
    a\\_b \\<i\\> \\[x\\]\\(y\\)
    """
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])", r"\\\1", " ".join(text.split()))


def message(text: str) -> str:
    """Returns a message of ours for Markdown: `commands` stay commands, and no word that a user gave acts as markup.

    >>> print(message("![x](https://a) in <b>; run `interdash demo`"))
    !\\[x\\](https\\://a) in \\<b\\>; run `interdash demo`
    """
    pieces = re.split(r"(?<!`)(`[^`]+`)(?!`)", " ".join(text.split()))
    escaped = [re.sub(r"([\\`*\[\]<>~$&|]|:(?=\S)|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", piece) for piece in pieces[::2]]
    return "".join(itertools.chain.from_iterable(itertools.zip_longest(escaped, pieces[1::2], fillvalue="")))
