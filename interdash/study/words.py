"""Words, tables and pictures of the study's texts."""

from collections.abc import Sequence
from typing import Any

Measures = dict[str, Any]

READ = {
    "learned": (
        "**How to read:** one column a setting, one line a seed: κ, how far the share of what is learned that "
        "generalizes lies above chance, by the end of its interval. Rings are the boundaries 1|2, dots 2|3; the "
        "cross is the recorded epoch of the lowest testing loss, which the rule does not know."
    ),
    "strengths": (
        "**How to read:** one column a setting, one line a seed. Above, H, solid, and its level by chance, dotted. "
        "Below, solid is the generalizable strength, dashed the non-generalizable one."
    ),
    "first-phase": (
        "**How to read:** one column a run; solid is the certified split, dashed the published SGD, on the same "
        "outputs. A line that falls is a first phase in which noise is removed; where only the dashed one starts "
        "high, that noise is the solver's."
    ),
}


def picture(name: str, what: str) -> str:
    """Returns a picture of docs/study/ with how to read it."""
    return f"\n![{what}](study/{name}.svg)\n\n{READ[name]}\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (columns, ["---"] * len(columns), *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells) + "\n"


def number(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """Returns a number, or a dash for none."""
    return "–" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def between(value: dict[str, Any], digits: int = 2, *, sign: bool = True) -> str:
    """Returns "value (low … high)"."""
    if value["value"] is None:
        return "–"
    text = number(value["value"], digits, sign=sign)
    return text if value["low"] is None else f"{text} ({value['low']:.{digits}f} … {value['high']:.{digits}f})"
