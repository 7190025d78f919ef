"""Every figure that a run has: its function, the rows behind it, the settings it was drawn with.

The pages draw the same functions on the same questions; here they have names, for export.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from string import ascii_lowercase
from typing import Any

import pandas as pd

from interdash import correlation, drilldown, queries, queries_compare, spindle, vectors
from interdash import queries_removal as removals
from interdash.figures import compare, dynamics, inputs, order_shape, orders, panels, paper, removal, sample
from interdash.figures.venues import Venue
from interdash.runs import Run
from interdash.store import Store

STEPS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000)  # k of the k strongest

MOST_PANELS = 12


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

    def to_json(self) -> dict[str, Any]:
        """Returns the choice as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Choice":
        """Returns the choice that `to_json` wrote."""
        known: dict[str, Any] = dict(values)
        known["types"], known["runs"] = tuple(values["types"]), tuple(values["runs"])
        return cls(**known)


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn: function, rows by name, options."""

    function: Callable[..., Any]
    rows: dict[str, pd.DataFrame]
    options: dict[str, Any]

    def figure(self) -> Any:
        """Returns the figure as on the screen."""
        return self.function(*self.rows.values(), **self.options)

    def printed(self, venue: Venue) -> Any:
        """Returns the figure as it is printed."""
        return paper.printed(self.figure(), venue)

    @property
    def caption(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0].strip()

    @property
    def how_to_read(self) -> str:
        """That paragraph of the function's docstring."""
        how = (inspect.getdoc(self.function) or "").partition("How to read:")[2].partition("\n\n")[0]
        return f"How to read: {' '.join(how.split())}"


@dataclass(frozen=True)
class Panels:
    """Several figures as panels (a), (b), (c) of one, row by row."""

    parts: tuple[tuple[Drawing, ...], ...]

    def printed(self, venue: Venue) -> Any:
        """Returns the figure as it is printed."""
        return panels.composed([[part.figure() for part in row] for row in self.parts], venue)

    @property
    def rows(self) -> dict[str, pd.DataFrame]:
        """The rows behind each panel: "a epochs"."""
        return {f"{letter} {name}": rows for letter, part in self._each for name, rows in part.rows.items()}

    @property
    def caption(self) -> str:
        """The captions of the panels."""
        return " ".join(f"({letter}) {part.caption}" for letter, part in self._each)

    @property
    def _each(self) -> list[tuple[str, Drawing]]:
        return list(zip(ascii_lowercase, (part for row in self.parts for part in row), strict=False))


def names(store: Store, run: Run, choice: Choice) -> list[str]:
    """Returns which figures there are for a choice, in the order of the pages."""
    found = ["dynamics"]
    if not _labelled(store, run):
        return found
    found += ["order_strength", "order_strength_row", "order_map"]
    if not removals.removals(store, run.name).empty:
        found += ["removals", "removal_doses", "removal_orders", "sample_removals", "share_and_gap"]
    found += [name for name, question in _OF_SHAPE.items() if not question(store, run.name).empty]
    found.append("input_image" if run.config.masking.kind == "image" else "input_words")
    found += ["interactions", "waterfall", "sorted_strengths", "rebuilt", "sample_life", "interaction_life"]
    if choice.runs:
        found.append("curves")
    if len(choice.runs) == 1 and queries.same_samples(store, run.name, choice.runs[0]):
        found += ["difference", "difference_by_order"]
    return found


def offered(store: Store, run: Run, choice: Choice) -> list[str]:
    """Returns the figures there are, those of several panels that have a name included."""
    found = names(store, run, choice)
    return [*found, "sample_interactions"] if "interactions" in found else found


def chosen(store: Store, run: Run, name: str, choice: Choice) -> Drawing | Panels:
    """Returns a figure of a run, or several as panels: "dynamics,order_map" beside, "dynamics/order_map" below.

    "sample_interactions" is the input of a sample, its variables outlined, beside its strongest interactions.

    Raises:
        ValueError: there is no such figure, epoch or sample, or there are more panels than letters.
    """
    if name == "sample_interactions":
        name = f"{'input_image' if run.config.masking.kind == 'image' else 'input_words'},interactions"
    rows = [[part.strip() for part in row.split(",")] for row in name.split("/")]
    if (count := sum(map(len, rows))) > MOST_PANELS:
        raise ValueError(f"{count} panels cannot be one figure; choose {MOST_PANELS} at most")
    made = tuple(tuple(drawing(store, run, part, choice) for part in row) for row in rows)
    return made[0][0] if count == 1 else Panels(made)


def file_name(name: str) -> str:
    """Returns the name of a figure's file, without ending.

    >>> file_name("order_strength_row/dynamics,order_map")
    'order_strength_row+dynamics+order_map'
    """
    return re.sub(r"\s*[,/]\s*", "+", name.strip())


def drawing(store: Store, run: Run, name: str, choice: Choice) -> Drawing:
    """Returns one figure of a run.

    Raises:
        ValueError: there is no such figure, epoch or sample.
    """
    known = names(store, run, choice)
    if name not in known:
        raise ValueError(f"run {run.name} has no figure {name!r}; choose one of {', '.join(known)}, or all")
    labelled = _labelled(store, run)
    epoch = choice.epoch if choice.epoch is not None else (labelled or [0])[-1]
    if choice.epoch is not None and epoch not in labelled:
        raise ValueError(f"epoch {epoch} has no interactions; choose one of {', '.join(map(str, labelled))}")
    if name in _OF_RUN:
        return _OF_RUN[name](store, run, choice, epoch)
    if name in _OF_COMPARISON:
        return _OF_COMPARISON[name](store, run, choice, epoch)
    if not 0 <= choice.sample < run.n_explained():
        raise ValueError(f"there is no sample {choice.sample}; choose 0 to {run.n_explained() - 1}")
    return _of_sample(store, run, name, choice, epoch)


def _labelled(store: Store, run: Run) -> list[int]:
    rows = queries.epochs(store, run.name)
    return [int(epoch) for epoch in rows.loc[rows["extracted"], "epoch"]]


def _dynamics(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    chosen = {"split": choice.split, "label": choice.label}
    rows = {
        "epochs": queries.epochs(store, run.name, **chosen),
        "strength": queries.strength(store, run.name, **chosen, types=choice.types),
        "phases": queries.phases(store, run.name),
    }
    return Drawing(dynamics.dynamics, rows, {"log": choice.log})


def _orders(store: Store, run: Run, choice: Choice) -> dict[str, pd.DataFrame]:
    chosen: dict[str, Any] = {"split": choice.split, "label": choice.label, "types": choice.types}
    chosen["normalised"] = choice.normalised
    return {
        "orders": queries.order_strength(store, run.name, **chosen),
        "spindle": spindle.expected_orders(store, run.name, **chosen),
    }


def _order_strength(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    options = {"pinned": epoch, "normalised": choice.normalised, "log": choice.log}
    chosen: dict[str, Any] = {"split": choice.split, "label": choice.label, "types": choice.types}
    rows = _orders(store, run, choice) | {"strength": queries.strength(store, run.name, **chosen)}
    return Drawing(orders.order_strength, rows, options)


def _order_strength_row(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    options = {"epochs": queries.chosen_epochs(store, run.name), "normalised": choice.normalised}
    return Drawing(orders.order_strength_row, _orders(store, run, choice), options)


def _order_map(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    kind = choice.types[0]
    rows = queries.order_map(store, run.name, split=choice.split, label=choice.label, type=kind)
    return Drawing(
        orders.order_map, {"map": rows, "phases": queries.phases(store, run.name)}, {"log": choice.log, "type": kind}
    )


def _share_and_gap(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = removals.share_and_gap(store, run.name, runs=choice.runs)
    return Drawing(
        removal.share_and_gap, {"share and gap": rows, "correlations": correlation.rank_correlations(rows)}, {}
    )


_OF_SHAPE = {"order_fits": removals.order_fits, "order_similarities": removals.order_similarities}

_OF_RUN: dict[str, Callable[[Store, Run, Choice, int], Drawing]] = {
    "dynamics": _dynamics,
    "order_strength": _order_strength,
    "order_strength_row": _order_strength_row,
    "order_map": _order_map,
    "removals": lambda store, run, choice, epoch: Drawing(
        removal.removals, {"removals": removals.removals(store, run.name)}, {"log": choice.log}
    ),
    "removal_doses": lambda store, run, choice, epoch: Drawing(
        removal.removal_doses, {"doses": removals.removal_doses(store, run.name, epoch)}, {}
    ),
    "removal_orders": lambda store, run, choice, epoch: Drawing(
        removal.removal_orders, {"orders": removals.removal_orders(store, run.name, epoch)}, {}
    ),
    "sample_removals": lambda store, run, choice, epoch: Drawing(
        removal.sample_removals, {"samples": removals.sample_removals(store, run.name, epoch)}, {}
    ),
    "share_and_gap": _share_and_gap,
    "order_fits": lambda store, run, choice, epoch: Drawing(
        order_shape.order_fits, {"fits": removals.order_fits(store, run.name)}, {"log": choice.log}
    ),
    "order_similarities": lambda store, run, choice, epoch: Drawing(
        order_shape.order_similarities,
        {"similarities": removals.order_similarities(store, run.name)},
        {"pinned": epoch},
    ),
}


def _curves(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = queries_compare.curves(store, [run.name, *choice.runs], split=choice.split)
    return Drawing(compare.curves, {"curves": rows}, {"log": choice.log})


def _last(store: Store, name: str) -> int:
    rows = queries.epochs(store, name)
    return int(rows.loc[rows["extracted"], "epoch"].max())


def _difference(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    other = choice.runs[0]
    rows = queries.difference(store, run.name, epoch, other, _last(store, other), choice.sample)
    return Drawing(compare.difference, {"difference": rows}, {"first": f"A: {run.name}", "second": f"B: {other}"})


def _difference_by_order(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    other = choice.runs[0]
    rows = queries_compare.difference_by_order(store, run.name, epoch, other, _last(store, other))
    options = {"first": f"A: {run.name}", "second": f"B: {other}"}
    return Drawing(compare.difference_by_order, {"difference by order": rows}, options)


_OF_COMPARISON = {"curves": _curves, "difference": _difference, "difference_by_order": _difference_by_order}


def _of_sample(store: Store, run: Run, name: str, choice: Choice, epoch: int) -> Drawing:
    number = choice.sample
    image = run.config.masking.kind == "image"
    if name == "sample_life":
        rows = queries.sample_life(store, run.name, number)
        return Drawing(sample.sample_life, {"sample": rows}, {"log": choice.log})
    listed = queries.interactions(store, run.name, epoch, number, limit=choice.top)
    if name in ("input_image", "input_words"):
        chosen = tuple(listed["members"].iloc[0]) if len(listed) else ()
        rows = inputs.drawable(queries.sample(store, run.name, number))
        return Drawing(getattr(inputs, name), {"input": rows}, {"chosen": chosen})
    if name == "interactions":
        return Drawing(sample.interactions, {"interactions": drilldown.numbered(listed) if image else listed}, {})
    if name == "interaction_life":
        kind, subset = (str(listed["type"].iloc[0]), int(listed["subset"].iloc[0])) if len(listed) else ("and", 1)
        rows = vectors.interaction_life(store, run, number, kind, subset)
        return Drawing(sample.interaction_life, {"interaction": rows}, {"log": choice.log})
    every = vectors.all_interactions(store, run, epoch, number)
    every = drilldown.numbered(every) if image else every
    if name == "sorted_strengths":
        return Drawing(sample.sorted_strengths, {"interactions": every}, {})
    now: Any = queries.sample_life(store, run.name, number).set_index("epoch").loc[epoch]
    if name == "waterfall":
        rows = drilldown.waterfall(every, now["v_empty"], now["v_full"], top=choice.top)
        return Drawing(sample.waterfall, {"steps": rows}, {})
    rows = drilldown.rebuilt(vectors.outputs(store, run, epoch, number), every, (*STEPS, now["salient"]))
    return Drawing(sample.rebuilt, {"rebuilt": rows}, {"salient": int(now["salient"])})
