"""A run in a notebook: `run = interdash.open_run("mnist")`, its figures, its rows, and all of it on a page."""

import html
import os
import warnings
import weakref
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interdash.figures import catalogue, theme
from interdash.figures.choice import Choice, resolved
from interdash.paper import bundle, handout
from interdash.paper.settings import Settings
from interdash.queries.asking import Ask
from interdash.runs.run import Run
from interdash.store.database import open_store
from interdash.store.loading import refresh


class OpenRun:
    """A recorded run, to ask for figures, the rows behind them, and captions.

    A figure's name is that of a chart, see `names`, or of several as panels, such as "dynamics/flows". What it
    is about is said by the fields of `Choice`: epoch=20, sample=3, split="test", types=("and",), …
    """

    def __init__(self, run: Run) -> None:
        """Loads the run's labels."""
        self.ask = Ask(run, open_store(lazy=True))
        weakref.finalize(self, self.ask.store.close)
        refresh(self.ask.store, run)
        for problem in self.ask.store.problems[run.name]:
            warnings.warn(problem, stacklevel=3)

    @property
    def names(self) -> list[str]:
        """The figures that the run has."""
        return catalogue.offered(self.ask, Choice())

    def figure(self, name: str, *, venue: str = "", looks: dict[str, Any] | None = None, **choice: Any) -> go.Figure:
        """Returns a figure as on the screen, or as it is printed at a venue such as "icml-column" or "120mm".

        Args:
            name: the figure's.
            venue: of print; "" = the screen.
            looks: fields of `venues.Venue` that differ from the venue's, such as {"height": 2.5}.
            **choice: fields of `Choice`.

        Raises:
            ValueError: there is no such figure, venue, epoch or sample.
        """
        settings = self._settings(venue, choice, looks)
        drawing = bundle.drawing(self.ask, name, settings)
        if venue or isinstance(drawing, catalogue.Panels):
            return bundle.printed(drawing, settings.size)
        return theme.themed(drawing.figure())

    def rows(self, name: str, **choice: Any) -> dict[str, pd.DataFrame]:
        """Returns the rows behind a figure, by their names; `choice` as in `figure`."""
        return catalogue.drawing(self.ask, name, Choice(**choice)).rows

    def caption(self, name: str, *, venue: str = "", **choice: Any) -> str:
        """Returns the caption of a figure as it is printed at a venue; `venue` and `choice` as in `figure`."""
        settings = self._settings(venue, choice)
        return bundle.caption(self.ask, bundle.drawing(self.ask, name, settings), settings)

    def _settings(self, venue: str, choice: dict[str, Any], looks: dict[str, Any] | None = None) -> Settings:
        return Settings(venue=venue or "neurips", looks=looks or {}, choice=resolved(self.ask, Choice(**choice)))

    def _repr_html_(self) -> str:
        return show(self)._repr_html_()


class Page:
    """A page of HTML that a notebook shows in a frame."""

    def __init__(self, content: bytes) -> None:
        """Takes the page."""
        self.content = content

    def _repr_html_(self) -> str:
        text = html.escape(self.content.decode())
        return f'<iframe srcdoc="{text}" style="width:100%;height:720px;border:0"></iframe>'


def open_run(name: str, root: str | Path | None = None) -> OpenRun:
    """Returns a recorded run, to ask for its figures and rows.

    Args:
        name: the run's.
        root: the folder of runs; None = INTERDASH_ROOT, or else data/runs.

    Raises:
        FileNotFoundError: there is no such run; the message names those that are there.
    """
    return OpenRun(Run.open(root or os.environ.get("INTERDASH_ROOT") or "data/runs", name))


def show(run: OpenRun) -> Page:
    """Returns the run as a page for a notebook: its tables, and every figure with its words, interactive."""
    return Page(handout.handout(run.ask.store, run.ask.run))
