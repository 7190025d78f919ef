"""How a question is asked about a run: straight from the store here, from the cache by a page (`data.Page`)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from interdash.config import RunConfig
from interdash.masking.kinds import Kind, kind_of
from interdash.runs.run import Run
from interdash.store.database import Store


def in_unit(text: str, unit: str) -> str:
    """Returns a text about epochs in the words of a run that counts by another unit.

    >>> in_unit("Epoch 5 of 10 epochs", "step")
    'Step 5 of 10 steps'
    """
    return re.sub(r"([Ee])poch(?=s?\b|\d)", lambda match: unit.capitalize() if match[1] == "E" else unit, text)


@dataclass(frozen=True)
class Ask:
    """Asks questions about a run that is loaded into a store: `ask(queries.epochs, split="train")`."""

    run: Run
    store: Store

    def __call__(self, question: Callable[..., Any], /, **settings: Any) -> Any:
        """Returns the answer of a query function about this run."""
        return question(self.store, self.run.name, **settings)

    def read(self, question: Callable[..., Any], /, **settings: Any) -> Any:
        """Returns the answer of a function that reads the run's own files too."""
        return question(self.store, self.run, **settings)

    def about(self, question: Callable[..., Any], what: Any, /, **settings: Any) -> Any:
        """Returns the answer of a query function about another run, or several, by name."""
        return question(self.store, what, **settings)

    @cached_property
    def config(self) -> RunConfig:
        """The run's configuration, read once."""
        return self.run.config

    @property
    def unit(self) -> str:
        """What the run counts: "epoch" or "step"."""
        return self.config.training.unit

    def worded(self, text: str) -> str:
        """Returns a text about epochs in the run's unit."""
        return in_unit(text, self.unit)

    @property
    def kind(self) -> Kind:
        """The kind of input that the run explains."""
        return kind_of(self.config.masking.kind)
