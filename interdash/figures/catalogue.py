"""Every chart, in order and by name; and what is drawn of a run: one of them, or several as panels of one figure."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pkgutil import iter_modules
from string import ascii_lowercase
from typing import Any

import pandas as pd

from interdash.figures import (
    compare,
    dynamics,
    flows,
    inputs,
    interactions,
    lives,
    measures,
    order_shape,
    orders,
    removal,
    robustness,
    sample,
    theories,
)
from interdash.figures.chart import Chart, Drawing
from interdash.figures.choice import Choice, resolved
from interdash.queries import drilldown
from interdash.queries.asking import Ask

PATTERNS = sorted(found.name for found in iter_modules(interactions.__path__))
THEORIES = sorted((found.name for found in iter_modules(theories.__path__)), key=lambda name: name != "prediction")
MODULES = (
    *(flows, dynamics, orders, measures, lives, removal, order_shape, robustness, inputs, sample),
    *(import_module(f"{interactions.__name__}.{name}") for name in PATTERNS),
    *(import_module(f"{theories.__name__}.{name}") for name in THEORIES),
    compare,
)
CHARTS: tuple[Chart, ...] = tuple(chart for module in MODULES for chart in module.CHARTS)
MOST_PANELS = 12
TOGETHER = "The input of a sample with its variables outlined, beside its strongest interactions."
TEMPLATES = {  # figures as they were published, by names for people
    "Six epochs over the dynamics": "order_strength_row/dynamics",
    "Six epochs and the gap": "order_strength_row/gap",
    "Flows and dynamics": "flows/dynamics",
    "Sparsity and matching": "sorted_over_samples,matching",
    "All± and Shared±": "shared_orders",
    "A sample and its interactions": "sample_interactions",
}


@dataclass(frozen=True)
class Panels:
    """Several drawings as panels (a), (b), (c) of one figure, row by row."""

    parts: tuple[tuple[Drawing, ...], ...]

    @property
    def rows(self) -> dict[str, pd.DataFrame]:
        """The rows behind each panel: "a epochs"."""
        return {f"{letter} {name}": rows for letter, part in self.each for name, rows in part.rows.items()}

    @property
    def caption(self) -> str:
        """The captions of the panels."""
        return " ".join(f"({letter}) {part.caption}" for letter, part in self.each)

    @property
    def in_file(self) -> tuple[str, ...]:
        """What was chosen for any panel, for the name of a file."""
        return tuple(dict.fromkeys(part for _, drawing in self.each for part in drawing.in_file))

    @property
    def how_to_read(self) -> str:
        """Those of the panels, in one paragraph each."""
        return "\n\n".join(f"({letter}) {part.how_to_read}" for letter, part in self.each)

    @property
    def each(self) -> list[tuple[str, Drawing]]:
        """The drawings with their letters, in order."""
        return list(zip(ascii_lowercase, (part for row in self.parts for part in row), strict=False))


def chart(name: str) -> Chart:
    """Returns the chart of that name.

    Raises:
        ValueError: there is none.
    """
    by_name = {chart.name: chart for chart in CHARTS}
    if name not in by_name:
        raise ValueError(f"there is no chart {name!r}; choose one of {', '.join(by_name)}")
    return by_name[name]


def on(page: str, view: str) -> list[Chart]:
    """Returns the charts in a tab of a page; view "" = those that the page itself places."""
    return [chart for chart in CHARTS if (chart.page, chart.view) == (page, view)]


def views(page: str) -> list[str]:
    """Returns the tabs of a page."""
    return list(dict.fromkeys(chart.view for chart in CHARTS if chart.page == page and chart.view))


def names(ask: Ask, choice: Choice) -> list[str]:
    """Returns which charts a run has for a choice, in their order."""
    return [chart.name for chart in CHARTS if chart.when(ask, choice)]


def offered(ask: Ask, choice: Choice) -> list[str]:
    """Returns the charts a run has, those of several panels that have a name included."""
    known = names(ask, choice)
    return [*known, "sample_interactions"] if "interactions" in known else known


def each(ask: Ask, name: str, choice: Choice) -> list[Drawing]:
    """Returns one chart of a run; the map of orders once for each type, as on its page.

    Raises:
        ValueError: there is no such chart, epoch or sample.
    """
    of_name = [chart for chart in CHARTS if chart.name == name and chart.when(ask, choice)]
    if not of_name:
        known = ", ".join(names(ask, choice))
        raise ValueError(f"run {ask.run.name} has no figure {name!r}; choose one of {known}, or all")
    choice = resolved(ask, choice)
    if "sample" in of_name[0].says and not 0 <= choice.sample < ask.run.n_explained():
        raise ValueError(f"there is no sample {choice.sample}; choose 0 to {ask.run.n_explained() - 1}")
    return [of_name[0].drawing(ask, one) for one in of_name[0].choices(choice)]


def drawing(ask: Ask, name: str, choice: Choice) -> Drawing | Panels:
    """Returns a chart of a run, or several as panels: "dynamics,order_map" beside, "dynamics/order_map" below.

    "sample_interactions" is the input of a sample, its variables outlined, beside its strongest interactions.

    Raises:
        ValueError: there is no such chart, epoch or sample, or there are more panels than letters.
    """
    if name == "sample_interactions":
        (picture,), (bars,) = (each(ask, part, choice) for part in (inputs.drawing_of(ask).__name__, "interactions"))
        rows = {part: drilldown.numbered(frame) for part, frame in bars.rows.items()}
        return Panels(((picture, replace(bars, rows=rows)),))
    rows = [[part.strip() for part in row.split(",")] for row in name.split("/")]
    if (count := sum(map(len, rows))) > MOST_PANELS:
        raise ValueError(f"{count} panels cannot be one figure; choose {MOST_PANELS} at most")
    parts: list[tuple[Drawing, ...]] = []
    for row in rows:
        drawings = [each(ask, part, choice) for part in row]
        parts += [(one,) for one in drawings[0]] if len(row) == 1 else [tuple(one for some in drawings for one in some)]
    return parts[0][0] if sum(map(len, parts)) == 1 else Panels(tuple(parts))


def fields(ask: Ask, specs: Sequence[str], choice: Choice) -> set[str]:
    """Returns which fields of a choice matter to some figures: those that their records read."""
    seen: set[str] = set()
    watched = _Watched(**asdict(resolved(ask, choice)))
    object.__setattr__(watched, "seen", seen)
    for name in {name.strip() for spec in specs for row in spec.split("/") for name in row.split(",")}:
        names = (inputs.drawing_of(ask).__name__, "interactions") if name == "sample_interactions" else (name,)
        for chart in (each for each in CHARTS if each.name in names and each.when(ask, choice)):
            chart.rows(ask, watched)
            chart.options(ask, watched)
            seen |= {"types"} if chart.by_type else set()
    return seen


class _Watched(Choice):
    """A choice that notes which of its fields are read."""

    def __getattribute__(self, name: str) -> Any:
        inside = object.__getattribute__(self, "__dict__")
        if name in inside and "seen" in inside and name != "seen":
            inside["seen"].add(name)
        return object.__getattribute__(self, name)


def file_name(name: str, drawing: Drawing | Panels) -> str:
    """Returns the name of a figure's file, without ending: "dynamics+waterfall-sample3-epoch64"."""
    return "-".join([re.sub(r"\s*[,/]\s*", "+", name.strip()), *drawing.in_file])
