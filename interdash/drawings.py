"""Every figure that a run has, by name, for export: one chart of a page, or several as panels of one figure."""

import re
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Any

import pandas as pd

from interdash import queries, queries_compare, queries_sample
from interdash import queries_removal as removals
from interdash.chart_rows import IF_THERE, OF_COMPARISON, OF_RUN, OF_SAMPLE, Drawing
from interdash.choices import Choice
from interdash.figures import panels
from interdash.figures.venues import Venue
from interdash.runs import Run
from interdash.store import Store

__all__ = ["Choice", "Drawing", "Panels", "chosen", "drawing", "each", "file_name", "names", "offered", "resolved"]

MOST_PANELS = 12


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
    def how_to_read(self) -> str:
        """Those of the panels, in one paragraph each."""
        return "\n\n".join(f"({letter}) {part.how_to_read}" for letter, part in self._each)

    @property
    def _each(self) -> list[tuple[str, Drawing]]:
        return list(zip(ascii_lowercase, (part for row in self.parts for part in row), strict=False))


def names(store: Store, run: Run, choice: Choice) -> list[str]:
    """Returns which figures there are for a choice, in the order of the pages."""
    found = ["dynamics"]
    if not _labelled(store, run.name):
        return found
    found += ["order_strength", "order_strength_row", "order_map"]
    if not removals.removals(store, run.name).empty:
        found += ["removals", "removal_doses", "removal_orders", "sample_removals", "share_and_gap"]
    found += [name for name, question in IF_THERE.items() if not question(store, run.name).empty]
    found.append("input_image" if run.config.masking.kind == "image" else "input_words")
    found += ["interactions", "waterfall", "sorted_strengths", "rebuilt", "sample_life", "interaction_life"]
    if choice.runs:
        found.append("curves")
    if len(choice.runs) == 1 and queries_compare.same_samples(store, run.name, choice.runs[0]):
        found += ["difference", "difference_by_order"]
    return found


def offered(store: Store, run: Run, choice: Choice) -> list[str]:
    """Returns the figures there are, those of several panels that have a name included."""
    found = names(store, run, choice)
    return [*found, "sample_interactions"] if "interactions" in found else found


def resolved(store: Store, run: Run, choice: Choice) -> Choice:
    """Returns the choice with what is left to the run filled in: epochs and, of two runs, the other's epoch.

    Raises:
        ValueError: an epoch, order, class or interaction is not there.
    """
    labelled = _labelled(store, run.name)
    for epoch in (*([] if choice.epoch is None else [choice.epoch]), *choice.epochs):
        _check_epoch(run.name, epoch, labelled)
    n = run.config.masking.n_variables
    if not 1 <= choice.min_order <= n:
        raise ValueError(f"there is no order {choice.min_order}; choose 1 to {n}")
    lit = choice.lit()
    if lit and not 0 < lit[1] < 2**n:
        raise ValueError(f"there is no interaction {choice.interaction}; its number is 1 to {2**n - 1}")
    classes = queries_sample.classes(store, run.name)["label"].tolist()
    if choice.label != -1 and choice.label not in classes:
        raise ValueError(f"there is no class {choice.label}; choose one of {', '.join(map(str, classes))}, or −1 = all")
    choice = replace(
        choice,
        epoch=choice.epoch if choice.epoch is not None or not labelled else labelled[-1],
        epochs=tuple(sorted(choice.epochs)) or tuple(queries.chosen_epochs(store, run.name)),
    )
    if len(choice.runs) != 1:
        return choice
    labelled = _labelled(store, choice.runs[0])
    if choice.other_epoch is not None:
        _check_epoch(choice.runs[0], choice.other_epoch, labelled)
    last = labelled[-1] if labelled else None
    return replace(choice, other_epoch=last if choice.other_epoch is None else choice.other_epoch)


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
    made: list[tuple[Drawing, ...]] = []
    for row in rows:
        drawn = [each(store, run, part, choice) for part in row]
        made += [(part,) for part in drawn[0]] if len(row) == 1 else [tuple(part for some in drawn for part in some)]
    return made[0][0] if sum(map(len, made)) == 1 else Panels(tuple(made))


def each(store: Store, run: Run, name: str, choice: Choice) -> list[Drawing]:
    """Returns one figure of a run; the map of orders once for each type, as on its page.

    Raises:
        ValueError: there is no such figure, epoch or sample.
    """
    kinds = choice.types if name == "order_map" else ()
    return [drawing(store, run, name, replace(choice, types=(kind,))) for kind in kinds] or [
        drawing(store, run, name, choice)
    ]


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
    choice = resolved(store, run, choice)
    if name in OF_SAMPLE and not 0 <= choice.sample < run.n_explained():
        raise ValueError(f"there is no sample {choice.sample}; choose 0 to {run.n_explained() - 1}")
    made = (OF_RUN | OF_COMPARISON | OF_SAMPLE)[name](store, run, choice, choice.epoch or 0)
    return replace(made, about=_about(store, run, name, choice, made.about))


def _labelled(store: Store, run: str) -> list[int]:
    rows = queries.epochs(store, run)
    return [int(epoch) for epoch in rows.loc[rows["extracted"], "epoch"]]


def _check_epoch(run: str, epoch: int, labelled: list[int]) -> None:
    if epoch not in labelled:
        raise ValueError(
            f"epoch {epoch} of {run} has no interactions; choose one of {', '.join(map(str, labelled)) or 'none'}"
        )


_ABOUT = {  # figure: which choices it shows, for its caption
    "dynamics": "split label types",
    "order_strength": "epoch split label types",
    "order_strength_row": "split label types",
    "order_map": "split label types",
    "removals": "min_order dose",
    "removal_doses": "epoch min_order",
    "removal_orders": "epoch dose",
    "sample_removals": "epoch min_order",
    "order_similarities": "epoch",
    "robustness": "epoch",
    "sample_life": "sample",
    "interaction_life": "interaction sample",
    "curves": "split",
    "difference": "sample epochs",
    "difference_by_order": "epochs",
}  # all others: sample and epoch


def _about(store: Store, run: Run, name: str, choice: Choice, interaction: str) -> str:
    """Returns what was chosen as a sentence, without what is there in any case: "Sample 3, epoch 50." """
    kinds = {"and": "AND interactions", "or": "OR interactions"}
    said = {
        "sample": f"sample {choice.sample}",
        "interaction": interaction,
        "epoch": f"epoch {choice.epoch}",
        "epochs": f"epoch {choice.epoch} of A, {choice.other_epoch} of B",
        "split": {"train": "training samples", "test": "testing samples"}.get(choice.split, ""),
        "label": "" if choice.label == -1 else f"class {_class_name(store, run, choice.label)}",
        "types": kinds.get(choice.types[0], "") if len(choice.types) == 1 else "",
        "min_order": "" if choice.min_order == 1 else f"orders from {choice.min_order} on",
        "dose": "" if choice.dose == 100 else f"dose {choice.dose} %",
    }
    everyone = "" if name in ("share_and_gap", "order_fits") else "sample epoch"
    text = ", ".join(said[part] for part in _ABOUT.get(name, everyone).split() if said[part])
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _class_name(store: Store, run: Run, label: int) -> str:
    rows = queries_sample.classes(store, run.name)
    return dict(zip(rows["label"].tolist(), rows["label_name"].tolist(), strict=True))[label]
