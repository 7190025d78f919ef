"""What each chart of the pages is drawn from, by its name: figure function, rows, options.

The pages draw the same functions on the same questions, see `tests/test_drawings.py`. What only shows where the user
stands on a page (the line of the pinned epoch) is left out.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from interdash import correlation, drilldown, queries, queries_compare, queries_sample, subsets, vectors
from interdash import queries_removal as removals
from interdash.choices import Choice
from interdash.figures import compare, dynamics, inputs, order_shape, orders, paper, removal, robustness, sample
from interdash.figures.venues import Venue
from interdash.runs import Run
from interdash.store import Store
from interdash.two_phase import gap_start

STEPS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000)  # k of the k strongest
MOST_STEPS = 12  # of a waterfall, one by one


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn: function, rows by name, options; `about` says what was chosen, for the caption."""

    function: Callable[..., Any]
    rows: dict[str, pd.DataFrame]
    options: dict[str, Any]
    about: str = ""

    def figure(self) -> Any:
        """Returns the figure as on the screen."""
        return self.function(*self.rows.values(), **self.options)

    def printed(self, venue: Venue) -> Any:
        """Returns the figure as it is printed."""
        return paper.printed(self.figure(), venue)

    @property
    def caption(self) -> str:
        """The first line of the function's docstring, and what was chosen."""
        return f"{(inspect.getdoc(self.function) or '').partition(chr(10))[0].strip()} {self.about}".strip()

    @property
    def how_to_read(self) -> str:
        """That paragraph of the function's docstring."""
        how = (inspect.getdoc(self.function) or "").partition("How to read:")[2].partition("\n\n")[0]
        return " ".join(how.split())


def _dynamics(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    chosen = {"split": choice.split, "label": choice.label}
    epochs, floor = queries.epochs(store, run.name, **chosen), removals.robustness(store, run.name)
    whole = (choice.split, choice.label, choice.types) == ("all", -1, ("all",))  # what the floor is measured for
    rows = {
        "epochs": epochs,
        "strength": queries.strength(store, run.name, **chosen, types=choice.types),
        "phases": queries.phases(store, run.name),
        "noise floor": floor if whole else floor.head(0),
    }
    return Drawing(dynamics.dynamics, rows, {"log": choice.log, "gap_start": gap_start(epochs)})


def _orders(store: Store, run: Run, choice: Choice) -> dict[str, pd.DataFrame]:
    chosen: dict[str, Any] = {"split": choice.split, "label": choice.label, "types": choice.types}
    chosen["normalised"] = choice.normalised
    return {
        "orders": queries.order_strength(store, run.name, **chosen),
        "spindle": queries.expected_orders(store, run.name, **chosen),
    }


def _order_strength(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    options = {"pinned": epoch, "normalised": choice.normalised, "log": choice.log}
    chosen: dict[str, Any] = {"split": choice.split, "label": choice.label, "types": choice.types}
    rows = _orders(store, run, choice) | {"strength": queries.strength(store, run.name, **chosen)}
    return Drawing(orders.order_strength, rows, options)


def _order_strength_row(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    options = {"epochs": list(choice.epochs), "normalised": choice.normalised}
    return Drawing(orders.order_strength_row, _orders(store, run, choice), options)


def _order_map(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    kind = choice.types[0]
    rows = queries.order_map(store, run.name, split=choice.split, label=choice.label, type=kind)
    return Drawing(
        orders.order_map, {"map": rows, "phases": queries.phases(store, run.name)}, {"log": choice.log, "type": kind}
    )


def _removals(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = removals.removals(store, run.name, min_order=choice.min_order, dose=choice.dose)
    return Drawing(removal.removals, {"removals": rows}, {"log": choice.log})


def _removal_doses(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = removals.removal_doses(store, run.name, epoch, min_order=choice.min_order)
    return Drawing(removal.removal_doses, {"doses": rows}, {})


def _removal_orders(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = removals.removal_orders(store, run.name, epoch, dose=choice.dose)
    return Drawing(removal.removal_orders, {"orders": rows}, {})


def _sample_removals(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = removals.sample_removals(store, run.name, epoch, min_order=choice.min_order)
    return Drawing(removal.sample_removals, {"samples": rows.drop(columns="image")}, {})


def _share_and_gap(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = removals.share_and_gap(store, run.name, runs=choice.runs)
    return Drawing(
        removal.share_and_gap, {"share and gap": rows, "correlations": correlation.rank_correlations(rows)}, {}
    )


def _order_fits(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    return Drawing(order_shape.order_fits, {"fits": removals.order_fits(store, run.name)}, {"log": choice.log})


def _order_similarities(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = removals.order_similarities(store, run.name)
    return Drawing(order_shape.order_similarities, {"similarities": rows}, {"pinned": epoch})


def _robustness(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = removals.robustness(store, run.name)
    return Drawing(robustness.robustness, {"robustness": rows}, {"pinned": robustness.shown_epoch(rows, epoch)})


IF_THERE = {
    "order_fits": removals.order_fits,
    "order_similarities": removals.order_similarities,
    "robustness": removals.robustness,
}

OF_RUN: dict[str, Callable[[Store, Run, Choice, int], Drawing]] = {
    "dynamics": _dynamics,
    "order_strength": _order_strength,
    "order_strength_row": _order_strength_row,
    "order_map": _order_map,
    "removals": _removals,
    "removal_doses": _removal_doses,
    "removal_orders": _removal_orders,
    "sample_removals": _sample_removals,
    "share_and_gap": _share_and_gap,
    "order_fits": _order_fits,
    "order_similarities": _order_similarities,
    "robustness": _robustness,
}


def _curves(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    runs = [run.name, *choice.runs]
    rows = queries_compare.curves(store, runs, split=choice.split)
    if choice.by == "phase":
        rows = queries_compare.aligned(rows, queries_compare.phases_of(store, runs))
    return Drawing(compare.curves, {"curves": rows}, {"by": choice.by, "log": choice.log and choice.by == "epoch"})


def _difference(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = queries_compare.difference(store, **_sides(run, choice, epoch), sample=choice.sample)
    return Drawing(compare.difference, {"difference": _numbered(run, rows)}, _titles(run, choice))


def _difference_by_order(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = queries_compare.difference_by_order(store, **_sides(run, choice, epoch))
    return Drawing(compare.difference_by_order, {"difference by order": rows}, _titles(run, choice))


def _sides(run: Run, choice: Choice, epoch: int) -> dict[str, Any]:
    return {"run": run.name, "epoch": epoch, "other": choice.runs[0], "other_epoch": choice.other_epoch}


def _titles(run: Run, choice: Choice) -> dict[str, Any]:
    return {"first": f"A: {run.name}", "second": f"B: {choice.runs[0]}"}


OF_COMPARISON = {"curves": _curves, "difference": _difference, "difference_by_order": _difference_by_order}


def _is_image(run: Run) -> bool:
    return run.config.masking.kind == "image"


def _numbered(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    return drilldown.numbered(rows) if _is_image(run) else rows


def _listed(store: Store, run: Run, choice: Choice, epoch: int) -> pd.DataFrame:
    return _numbered(run, queries_sample.interactions(store, run.name, epoch, choice.sample, limit=choice.top))


def _every(store: Store, run: Run, choice: Choice, epoch: int) -> pd.DataFrame:
    return _numbered(run, vectors.all_interactions(store, run, epoch, choice.sample))


def _lit(store: Store, run: Run, choice: Choice, epoch: int) -> tuple[str, int] | None:
    """Returns type and subset of the interaction that is lit: the one asked for, else the strongest."""
    if choice.interaction:
        return choice.lit()
    listed = queries_sample.interactions(store, run.name, epoch, choice.sample, limit=1)
    return (str(listed["type"].iloc[0]), int(listed["subset"].iloc[0])) if len(listed) else None


def _framed(choice: Choice) -> dict[str, Any]:
    """Returns the option that frames the interaction asked for; one that nobody asked for is not framed on paper."""
    return {"chosen": choice.interaction} if choice.lit() else {}


def _now(store: Store, run: Run, choice: Choice, epoch: int) -> Any:
    return queries_sample.sample_life(store, run.name, choice.sample).set_index("epoch").loc[epoch]


def _input(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    lit = _lit(store, run, choice, epoch)
    rows = inputs.drawable(queries_sample.sample(store, run.name, choice.sample))
    figure = inputs.input_image if _is_image(run) else inputs.input_words
    return Drawing(figure, {"input": rows}, {"chosen": subsets.members(lit[1]) if lit else ()})


def _interactions(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    return Drawing(sample.interactions, {"interactions": _listed(store, run, choice, epoch)}, _framed(choice))


def _interaction_life(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    kind, subset = _lit(store, run, choice, epoch) or ("and", 1)
    rows = vectors.interaction_life(store, run, choice.sample, kind, subset)
    names = queries_sample.sample(store, run.name, choice.sample)["names"].iloc[0]
    text = subsets.label(subset, [*map(str, range(len(names)))] if _is_image(run) else list(names))
    return Drawing(sample.interaction_life, {"interaction": rows}, {"log": choice.log}, f"{kind.upper()} {text}")


def _waterfall(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    every, now = _every(store, run, choice, epoch), _now(store, run, choice, epoch)
    rows = drilldown.waterfall(every, now["v_empty"], now["v_full"], top=min(choice.top, MOST_STEPS))
    return Drawing(sample.waterfall, {"steps": rows}, _framed(choice))


def _sorted_strengths(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    return Drawing(sample.sorted_strengths, {"interactions": _every(store, run, choice, epoch)}, _framed(choice))


def _rebuilt(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    salient = int(_now(store, run, choice, epoch)["salient"])
    rows = drilldown.faithfulness(store, run, epoch, choice.sample, (*STEPS, salient))
    return Drawing(sample.rebuilt, {"rebuilt": rows}, {"salient": salient})


def _sample_life(store: Store, run: Run, choice: Choice, epoch: int) -> Drawing:
    rows = queries_sample.sample_life(store, run.name, choice.sample)
    return Drawing(sample.sample_life, {"sample": rows}, {"log": choice.log})


OF_SAMPLE = {
    "input_image": _input,
    "input_words": _input,
    "interactions": _interactions,
    "waterfall": _waterfall,
    "sorted_strengths": _sorted_strengths,
    "rebuilt": _rebuilt,
    "sample_life": _sample_life,
    "interaction_life": _interaction_life,
}
