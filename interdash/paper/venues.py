"""The sizes that venues print figures at, and the fonts beside which they stand."""

import math
import re
from dataclasses import dataclass, replace
from typing import Any

POINT = 96 / 72  # pixels of a browser in a point: it counts 96 to the inch
SERIF = "Liberation Serif"  # as wide as Times, and TrueType: OpenType fonts would become Type 3, which venues refuse
SANS = "Liberation Sans"  # as wide as Helvetica and Arial
FONTS = {  # TrueType, if installed: width of a text beside one in `SANS`
    **{SERIF: 0.88, SANS: 1.0, "CMU Serif": 0.95, "DejaVu Serif": 1.12, "DejaVu Sans": 1.12, "Open Sans": 1.05},
}
SMALLEST = 6.0  # points, of any text
PAGE = 8.9  # inches that a figure and its caption have, on a page of 9
TALLEST = 7.5  # … and of a figure whose caption is not known
COLUMN = 4.5  # inches; what is narrower is a column
COLOURS = ("colour", "grey")
CORNERS = {  # of a panel, where a legend may stand inside of it: (right, top), those before preferred
    "inside": ((1, 1), (0, 1), (1, 0), (0, 0)),
    "top-right": ((1, 1),),
    "top-left": ((0, 1),),
    "bottom-right": ((1, 0),),
    "bottom-left": ((0, 0),),
}
LEGENDS = ("above", "below", *CORNERS, "off")
NUMBERS = {  # decimal mark, mark of thousands: 1 234.5 and so on
    "point": ".\u2009",
    "point-comma": ".,",
    "comma": ",\u2009",
    "comma-point": ",.",
}


@dataclass(frozen=True)
class Venue:
    """How wide a figure is and how its text looks."""

    width: float  # inches
    font: str = SERIF
    label: float = 8.0  # points: titles of axes and panels, legend
    tick: float = 7.0  # points: numbers on the axes
    colours: str = "colour"
    numbers: str = "point"  # one of NUMBERS
    height: float | None = None  # inches; None = as high as it needs, TALLEST at most
    lines: float = 1.0  # times the usual width of lines, size of markers
    transparent: bool = False  # no white behind the figure
    legend: str = "above"  # one of LEGENDS; above too where no panel can hold one inside
    y_low: float | None = None  # where the y axes begin, in their unit; None = as fits
    y_high: float | None = None  # … and end

    def __post_init__(self) -> None:
        """Checks what people may give themselves.

        Raises:
            ValueError: a size or range cannot be printed, the font has odd characters, or a word is unknown.
        """
        if not 1.5 <= self.width <= 20:
            raise ValueError(f"a figure {self.width:g} inches wide cannot be drawn; choose 1.5 to 20 inches")
        if self.height is not None and not 0.8 <= self.height <= 12:
            raise ValueError(f"a figure {self.height:g} inches high cannot be drawn; choose 0.8 to 12 inches")
        if not 0.25 <= self.lines <= 4:
            raise ValueError(f"lines cannot be {self.lines:g} times as wide as usual; choose 0.25 to 4")
        for name, size in (("label", self.label), ("tick", self.tick)):
            if not SMALLEST <= size <= 24:
                raise ValueError(f"{name} text of {size:g} pt cannot be read in print; choose {SMALLEST:g} to 24 pt")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,60}", self.font):
            raise ValueError(f"{self.font!r} is no name of a font; use one such as {SERIF!r}, see `fc-list : family`")
        if self.colours not in COLOURS:
            raise ValueError(f"colours cannot be {self.colours!r}; choose one of {', '.join(COLOURS)}")
        if self.legend not in LEGENDS:
            raise ValueError(f"a legend cannot stand {self.legend!r}; choose one of {', '.join(LEGENDS)}")
        for end in (self.y_low, self.y_high):
            if end is not None and not (isinstance(end, int | float) and math.isfinite(end)):
                raise ValueError(f"y cannot begin or end at {end!r}; give a number, or none for what fits")
        if self.y_low is not None and self.y_high is not None and self.y_low >= self.y_high:
            raise ValueError(
                f"y cannot go from {self.y_low:g} to {self.y_high:g}; the first number has to be the lower"
            )
        if self.numbers not in NUMBERS:
            raise ValueError(f"numbers cannot be written with {self.numbers!r}; choose one of {', '.join(NUMBERS)}")

    @property
    def y_range(self) -> tuple[float | None, float | None] | None:
        """Where the y axes begin and end; None = as fits."""
        return None if self.y_low is None and self.y_high is None else (self.y_low, self.y_high)


VENUES = {  # text width of a page, or of a column
    "neurips": Venue(5.5),
    "iclr": Venue(5.5),
    "icml": Venue(6.75),
    "icml-column": Venue(3.25),
    "cvpr": Venue(6.875),
    "cvpr-column": Venue(3.25),
    "aaai": Venue(6.975),
    "aaai-column": Venue(3.3),
    "jmlr": Venue(6.0),
    "tmlr": Venue(6.5),
    "ieee": Venue(7.16),
    "ieee-column": Venue(3.5),
    "acl": Venue(6.3),
    "acl-column": Venue(3.03),
    "nature": Venue(183 / 25.4, SANS, 7.0, 6.0),
    "nature-column": Venue(89 / 25.4, SANS, 7.0, 6.0),
}


def venue(name: str, **changes: Any) -> Venue:
    """Returns a venue by name, or of a width such as "120mm" or "4.5in"; `changes` replaces some of its fields.

    >>> venue("icml-column").width, venue("127mm").width, venue("neurips", label=9).label
    (3.25, 5.0, 9)

    Raises:
        ValueError: there is no such venue or width.
    """
    if name in VENUES:
        return replace(VENUES[name], **changes)
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(mm|in)", name)
    if found is None:
        raise ValueError(
            f"there is no venue {name!r}; choose one of {', '.join(VENUES)}, or a width such as 120mm or 4.5in"
        )
    inches = float(found[1]) / (25.4 if found[2] == "mm" else 1)
    return replace(Venue(inches), **changes)


def has_columns(name: str) -> bool:
    """Returns whether a venue is the whole width of a page of two columns."""
    return f"{name}-column" in VENUES


def column_of(name: str) -> str:
    """Returns the venue that is a column of a page of two, of the page or of the column itself; "" if it has one."""
    column = f"{name.removesuffix('-column')}-column"
    return column if column in VENUES else ""


def spelled(text: str, numbers: str) -> str:
    """Returns a text with the numbers in it as a language writes them; those from 10,000 on in groups of three.

    >>> spelled("τ = -0.25 of 12345", "comma-point")
    'τ = −0,25 of 12.345'
    """
    decimal, thousands = NUMBERS[numbers]

    def written(found: re.Match[str]) -> str:
        whole, part = found[1], found[2]
        if len(whole) > 4:
            whole = f"{int(whole):,}".replace(",", thousands)
        return whole + (decimal + part if part else "")

    text = re.sub(r"(?<![\w.])-(?=\d)", "−", text)
    return re.sub(r"(?<![\w.])(\d+)(?:\.(\d+))?(?![\w.]*\w)", written, text)
