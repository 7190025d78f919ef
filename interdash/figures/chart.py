"""What a chart is: one record of its figure, its rows, its page and its words, which page, files and docs all read.

    CHARTS = (
        Chart(
            removal_doses,
            lambda ask, c: {"doses": ask(removal.removal_doses, epoch=c.epoch, min_order=c.min_order)},
            page="removal",
            view="By dose",
            says=("epoch", "min_order"),
        ),
    )

stands at the end of the figure's module, and is all that a chart needs: a `view` that no other chart has is a new tab.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from interdash.figures.choice import Choice, in_file_name, in_words, whose
from interdash.queries import baselines, dynamics
from interdash.queries.asking import Ask, in_unit

Settings = Callable[[Ask, Choice], dict[str, Any]]
_ON_G = re.compile(r"\[(.*?)(?:\|\|(.*?))?\]", re.DOTALL)


def is_labelled(ask: Ask, choice: Choice) -> bool:
    """Returns whether any epoch of the run has interactions."""
    return bool(ask(dynamics.labelled_epochs))


def has_baselines(ask: Ask, choice: Choice) -> bool:
    """Returns whether any epoch has interactions of which it is known whether they generalize."""
    return is_labelled(ask, choice) and ask(baselines.count) > 0


def knows_g(ask: Ask, choice: Choice) -> bool:
    """Returns whether charts of the run can speak of G: it, or one compared with, has a baseline, or will have."""
    return not is_labelled(ask, choice) or any(ask.about(baselines.count, run) for run in (ask.run.name, *choice.runs))


def log_axis(ask: Ask, choice: Choice) -> dict[str, Any]:
    """Returns the option that says whether the axis of epochs is logarithmic."""
    return {"log": choice.log}


def pinned(ask: Ask, choice: Choice) -> dict[str, Any]:
    """Returns the option that marks the pinned epoch."""
    return {"pinned": choice.epoch}


@dataclass(frozen=True)
class Chart:
    """A chart of a run: what it draws, from what, where it stands and what it says."""

    figure: Callable[..., go.Figure]  # of the rows, in their order; the docstring is caption and "How to read:"
    rows: Callable[[Ask, Choice], dict[str, pd.DataFrame]]  # by their names for people
    page: str = ""  # file in pages/, without ".py"; "" = in files only
    view: str = ""  # its tab; "" = where the page puts it
    options: Settings = lambda ask, choice: {}  # of the figure function
    marks: Settings = lambda ask, choice: {}  # … and those that show where the user stands on the page, not in files
    when: Callable[[Ask, Choice], bool] = is_labelled  # whether the run has it
    says: tuple[str, ...] = ()  # what its caption in files says of the choice: names in `choice.WORDS`
    click: Literal["", "epoch", "interaction", "pattern", "sample"] = ""  # what a click on a point chooses
    slider: bool = False  # whether it has a slider over the epochs, which pins the one where it is let go
    panels: bool = False  # whether it is a column of panels over one axis, all of which the mouse shows at once
    says_rule: bool = False  # whether its caption on the page says by which rule the outputs were split
    by_type: bool = False  # whether AND and OR apart are two charts
    n: Callable[[Ask, Choice], str] | None = None  # whose samples it is of, where not of all explained ones

    @property
    def name(self) -> str:
        """That of the figure function."""
        return self.figure.__name__

    def words(self, *, with_g: bool = True) -> tuple[str, str]:
        """Returns caption and "how to read": the first line of the figure's docstring, and that paragraph of it.

        What stands there in [brackets] is true of runs with a baseline network, what follows || in them of others.
        """
        text = inspect.getdoc(self.figure) or ""
        parts = text.partition("\n")[0], text.partition("How to read:")[2].partition("\n\n")[0]
        caption, how = (_ON_G.sub(lambda of: of[1 if with_g else 2] or "", part) for part in parts)
        return caption, " ".join(how.split())

    @property
    def caption(self) -> str:
        """What it shows, of a run with a baseline network."""
        return self.words()[0]

    @property
    def how_to_read(self) -> str:
        """How its parts are read, of a run with a baseline network."""
        return self.words()[1]

    def whose(self, ask: Ask, choice: Choice) -> str:
        """Returns of how many samples of which split, class and label it is; "" if of single ones."""
        if self.n is not None or {"sample", "samples"}.intersection(self.says):
            return self.n(ask, choice) if self.n else ""
        return whose(ask, choice if "split" in self.says else replace(choice, split="all", label=-1))

    def choices(self, choice: Choice) -> list[Choice]:
        """Returns the choice, or one for each type of interaction if each has a chart of its own."""
        return [replace(choice, types=(kind,)) for kind in choice.types] if self.by_type else [choice]

    def drawing(self, ask: Ask, choice: Choice) -> "Drawing":
        """Returns the chart of a run, for a file."""
        about = (in_words(ask, choice, self.says), tuple(map(ask.worded, in_file_name(ask, choice, self.says))))
        words = {"unit": ask.unit, "with_g": knows_g(ask, choice)}
        return Drawing(self, self.rows(ask, choice), self.options(ask, choice), *about, **words)

    def drawing_on_page(self, ask: Ask, choice: Choice) -> "Drawing":
        """Returns the chart of a run, for its page: with the marks, and without what the page says anyway."""
        options = self.options(ask, choice) | self.marks(ask, choice)
        return Drawing(self, self.rows(ask, choice), options, unit=ask.unit, with_g=knows_g(ask, choice))


@dataclass(frozen=True)
class Drawing:
    """A chart with what it is drawn from: rows by name, options, and what was chosen, for the caption."""

    chart: Chart
    rows: dict[str, pd.DataFrame]
    options: dict[str, Any]
    about: str = ""
    in_file: tuple[str, ...] = ()  # the same, for the name of a file
    unit: str = "epoch"  # what the run counts: the one seam by which charts of steps speak of steps
    with_g: bool = True  # whether it is known what generalizes; else its words are about the whole

    def figure(self) -> go.Figure:
        """Returns the figure as on the screen."""
        figure: Any = self.chart.figure(*self.rows.values(), **self.options)
        if self.unit != "epoch":
            for part in (*figure.data, figure.layout, *figure.frames):
                _reword(part._props, self.unit)
        return figure

    @property
    def caption(self) -> str:
        """The chart's caption, and what was chosen."""
        return in_unit(f"{self.chart.words(with_g=self.with_g)[0]} {self.about}".strip(), self.unit)

    @property
    def how_to_read(self) -> str:
        """That of the chart."""
        return in_unit(self.chart.words(with_g=self.with_g)[1], self.unit)


def _reword(properties: dict[str, Any], unit: str) -> None:
    """Puts all that people read in properties of Plotly in another unit than epochs, in place."""

    def worded(value: Any) -> Any:
        if isinstance(value, str):
            return in_unit(value, unit)
        if isinstance(value, dict):
            _reword(value, unit)
        return [worded(each) for each in value] if isinstance(value, list | tuple) else value

    for name in properties.keys() - {"customdata", "source"}:
        properties[name] = worded(properties[name])
