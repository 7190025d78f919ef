"""What a figure is about: epoch, samples, types, runs compared; the same choices as on the pages."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from interdash.figures import theme

MOST_OTHERS = len(theme.OTHERS) - 1  # runs beside the first that colours and dashes tell apart
ALIGNMENTS = ("epoch", "phase")


@dataclass(frozen=True)
class Choice:
    """What a figure is about; the same choices as on the pages."""

    epoch: int | None = None  # None = the last one with interactions
    split: str = "all"
    label: int = -1  # class number, −1 = all
    types: tuple[str, ...] = ("all",)
    normalised: bool = True
    log: bool = True
    sample: int = 0
    top: int = 10  # interactions listed
    runs: tuple[str, ...] = ()  # compared with, loaded into the same store
    epochs: tuple[int, ...] = ()  # of the row of epochs; none = chosen by the course of H
    other_epoch: int | None = None  # of the run compared with; None = its last one with interactions
    interaction: str = ""  # lit, such as "and-37"; "" = the strongest, "none" = none
    min_order: int = 1  # only interactions of this order or above are removed
    dose: int = 100  # percent of the strength removed, in tens
    by: str = "epoch"  # what runs compared are aligned by

    def __post_init__(self) -> None:
        """Checks what needs no run.

        Raises:
            ValueError: one of the choices cannot be.
        """
        if len(self.runs) > MOST_OTHERS:
            raise ValueError(
                f"{len(self.runs)} other runs cannot be told apart in one figure; compare with {MOST_OTHERS} at most"
            )
        if self.by not in ALIGNMENTS:
            raise ValueError(f"runs cannot be aligned by {self.by!r}; choose one of {', '.join(ALIGNMENTS)}")
        if self.dose not in range(10, 101, 10):
            raise ValueError(f"a dose of {self.dose} % is not computed; choose 10, 20, … 100")
        if self.top < 1:
            raise ValueError(f"{self.top} interactions cannot be listed; choose 1 or more")
        if not re.fullmatch("|none|(and|or)-[0-9]{1,9}", self.interaction, re.ASCII):
            raise ValueError(f"{self.interaction!r} names no interaction; write and-37, or-6 or none")

    def lit(self) -> tuple[str, int] | None:
        """Returns type and subset of the interaction that is asked for; None if it is the strongest, or none."""
        kind, _, subset = self.interaction.partition("-")
        return (kind, int(subset)) if subset else None

    def to_json(self) -> dict[str, Any]:
        """Returns the choice as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Choice":
        """Returns the choice that `to_json` wrote."""
        lists = {name: tuple(values[name]) for name in ("types", "runs", "epochs") if name in values}
        return cls(**{**values, **lists})
