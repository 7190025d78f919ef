"""How figures are written: which, at which venue's size, in which formats, about what."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from interdash.figures import catalogue, choice
from interdash.figures.choice import Choice
from interdash.paper import chromium, venues
from interdash.queries.asking import Ask
from interdash.runs.run import Run


@dataclass(frozen=True)
class Settings:
    """How figures are written: which, at which venue's size, in which formats, about what."""

    figures: tuple[str, ...] = ("all",)
    venue: str = "neurips"
    formats: tuple[str, ...] = ("pdf",)
    dpi: int = 300
    looks: dict[str, Any] = field(default_factory=dict)  # fields of `Venue` that differ from the venue's
    choice: Choice = field(default_factory=Choice)

    def __post_init__(self) -> None:
        """Checks the formats and the venue.

        Raises:
            ValueError: one is unknown.
        """
        if wrong := [form for form in self.formats if form not in chromium.FORMATS]:
            raise ValueError(f"a figure cannot be written as {wrong[0]!r}; choose one of {', '.join(chromium.FORMATS)}")
        if not 30 <= self.dpi <= 2400:
            raise ValueError(f"a bitmap of {self.dpi} dpi cannot be made; choose 30 to 2400")
        _ = self.size

    @property
    def size(self) -> venues.Venue:
        """The venue with what differs."""
        return venues.venue(self.venue, **self.looks)

    def folder(self, run: Run) -> str:
        """Returns the name of a bundle: the run's, and a mark of the settings, so that no two bundles share a file."""
        text = json.dumps([run.manifest["created"], self.to_json()], sort_keys=True)
        return f"{run.name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Settings":
        """Returns the settings that `to_json` wrote."""
        known: dict[str, Any] = dict(values)
        for name in ("figures", "formats"):
            known[name] = tuple(values[name])
        known["choice"] = Choice.from_json(values["choice"])
        return cls(**known)


def resolved(ask: Ask, settings: Settings) -> Settings:
    """Returns the settings with what is left to the run filled in: the names of all figures, the epochs.

    Raises:
        ValueError: a choice is not there.
    """
    names = []
    for name in settings.figures:
        names += catalogue.offered(ask, settings.choice) if name == "all" else [name]
    return replace(settings, figures=tuple(dict.fromkeys(names)), choice=choice.resolved(ask, settings.choice))
