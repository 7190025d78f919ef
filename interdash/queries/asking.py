"""How a question is asked about a run: straight from the store here, from the cache by a page (`data.Page`)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from interdash.masking.kinds import Kind, kind_of
from interdash.runs.run import Run
from interdash.store.database import Store


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

    @property
    def kind(self) -> Kind:
        """The kind of input that the run explains."""
        return kind_of(self.run.config.masking.kind)
