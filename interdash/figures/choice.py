"""What a figure is about: epoch, samples, types, runs compared; the same choices on the pages and in files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from interdash.figures import theme
from interdash.formulas import subsets
from interdash.queries import dynamics, interactions, lives
from interdash.queries import sample as queries_sample
from interdash.queries.asking import Ask
from interdash.queries.lives import LIFE_LINES

MOST_OTHERS = len(theme.OTHERS) - 1  # runs beside the first that colours and dashes tell apart
MOST_COMPARED = 1 + MOST_OTHERS
ALIGNMENTS = ("epoch", "phase", "seeds")
SCALES = ("normalised", "nats", "log")  # of strengths
DOSES = range(0, 101, 10)  # percent
FIRST = ("and", 1)  # the interaction whose life is drawn where none is lit
FIRST_PATTERN = "and-1-0"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a figure is about; the same choices as on the pages."""

    epoch: int | None = None  # None = the last one with interactions
    split: str = "all"  # or train, test; of the training samples those with a clean or a random label, where known
    label: int = -1  # class number, −1 = all
    types: tuple[str, ...] = ("all",)
    scale: str = "normalised"  # of strengths
    log: bool = True
    sample: int = 0
    top: int = 10  # interactions listed
    runs: tuple[str, ...] = ()  # compared with, loaded into the same store
    epochs: tuple[int, ...] = ()  # of the row of epochs; none = chosen by the course of H
    other_epoch: int | None = None  # of the run compared with; None = its last one with interactions
    interaction: str = ""  # lit, such as "and-37" or "AND {0, 2, 5}"; "" = the strongest, "none" = none
    min_order: int = 1  # only interactions of this order or above are removed
    dose: int = 100  # percent of the strength removed, in tens
    by: str = "epoch"  # what runs compared are aligned by; "seeds": by epoch, those of one setting as their mean
    start: int | None = None  # epoch since which lives are told; None = boundary 1|2, or the first epoch
    life_line: str = "all"  # of the interactions listed
    where: tuple[str, ...] = ()  # conditions on interactions over the samples: "samples >= 10"
    sort: str = "strength"  # of interactions over the samples
    pattern: str = ""  # of these, the one whose life is drawn: "and-37-12", as in sample 12; "" = the first
    beside: str = ""  # sample and epoch that one is compared with, "7-40"; "" = the same at the start of lives
    samples: tuple[int, ...] = ()  # shown together; none = the first
    partner: str = ""  # whose interactions the target's are compared with: "baseline-0", "epoch 5"; "" = the first

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
        if self.scale not in SCALES:
            raise ValueError(f"there is no scale {self.scale!r} of strengths; choose one of {', '.join(SCALES)}")
        if self.dose not in DOSES:
            raise ValueError(f"a dose of {self.dose} % is not computed; choose 0, 10, … 100")
        if self.life_line not in ("all", *LIFE_LINES):
            known = ", ".join(("all", *LIFE_LINES))
            raise ValueError(f"there is no life line {self.life_line!r}; choose one of {known}")
        if self.split not in (known := ("all", *SPLITS, *LABELS)):
            raise ValueError(f"there are no samples {self.split!r}; choose one of {', '.join(known)}")
        for condition in self.where:
            interactions.condition(condition)
        if self.pattern and subsets.pattern(self.pattern) is None:
            raise ValueError(
                f"{self.pattern!r} names no interaction of a sample; write and-37-12 for and-37 in sample 12"
            )
        if self.beside and not re.fullmatch("[0-9]{1,9}-[0-9]{1,9}", self.beside, re.ASCII):
            raise ValueError(f"{self.beside!r} names no sample at an epoch; write 7-40 for sample 7 at epoch 40")
        if self.top < 1:
            raise ValueError(f"{self.top} interactions cannot be listed; choose 1 or more")
        if self.interaction not in ("", "none") and not subsets.INTERACTION.fullmatch(self.interaction):
            raise ValueError(f"{self.interaction!r} names no interaction; write AND {{5, 8}}, or-6 or none")

    @property
    def lit(self) -> tuple[str, int] | None:
        """Type and subset of the interaction that is asked for; None if it is the strongest, or none."""
        return subsets.interaction(self.interaction)

    def to_json(self) -> dict[str, Any]:
        """Returns the choice as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Choice":
        """Returns the choice that `to_json` wrote."""
        lists = {
            name: tuple(values[name]) for name in ("types", "runs", "epochs", "where", "samples") if name in values
        }
        return cls(**{**values, **lists})


def resolved(ask: Ask, choice: Choice) -> Choice:
    """Returns the choice with what is left to the run filled in: epochs and, of two runs, the other's epoch.

    Raises:
        ValueError: an epoch, order, class or interaction is not there.
    """
    epochs = ask(dynamics.labelled_epochs)
    number, _, at = choice.beside.partition("-")
    for epoch in (*([] if choice.epoch is None else [choice.epoch]), *choice.epochs, *([int(at)] if at else [])):
        _check_epoch(ask.run.name, epoch, epochs)
    n = ask.config.masking.n_variables
    if not 1 <= choice.min_order <= n:
        raise ValueError(f"there is no order {choice.min_order}; choose 1 to {n}")
    for one in (*([int(number)] if number else []), *choice.samples):
        if one >= ask.run.n_explained():
            raise ValueError(f"there is no sample {one}; choose 0 to {ask.run.n_explained() - 1}")
    if choice.interaction not in ("", "none"):
        rows = ask(queries_sample.sample, sample=choice.sample)["names"].tolist()
        lit = subsets.interaction(choice.interaction, *(list(names) for names in rows))
        if lit is None or not 0 < lit[1] < 2**n:
            raise ValueError(
                f"there is no interaction {choice.interaction}; its number is 1 to {2**n - 1}, or it is written as "
                f"AND {{0, 1}}, by the numbers of its variables, 0 to {n - 1}, or their names in sample {choice.sample}"
            )
        choice = replace(choice, interaction=f"{lit[0]}-{lit[1]}")
    classes = ask(queries_sample.classes)["label"].tolist()
    if choice.label != -1 and choice.label not in classes:
        raise ValueError(f"there is no class {choice.label}; choose one of {', '.join(map(str, classes))}, or −1 = all")
    if choice.split in LABELS and not ask(queries_sample.random_labels):
        raise ValueError(f"no sample of {ask.run.name} is known to have a random label; choose all, train or test")
    starts = ask(lives.life_epochs).query("is_start")["epoch"].tolist()
    if choice.start is not None and choice.start not in starts:
        known = ", ".join(map(str, starts)) or "none"
        raise ValueError(f"lives are not followed from epoch {choice.start} on; choose one of {known}")
    choice = replace(
        choice,
        start=ask(lives.first_start) if choice.start is None else choice.start,
        epoch=choice.epoch if choice.epoch is not None or not epochs else epochs[-1],
        epochs=tuple(sorted(choice.epochs)) or tuple(ask(dynamics.chosen_epochs)),
    )
    if len(choice.runs) != 1:
        return choice
    epochs = ask.about(dynamics.labelled_epochs, choice.runs[0])
    if choice.other_epoch is not None:
        _check_epoch(choice.runs[0], choice.other_epoch, epochs)
    last = epochs[-1] if epochs else None
    return replace(choice, other_epoch=last if choice.other_epoch is None else choice.other_epoch)


def lit_interaction(ask: Ask, choice: Choice) -> tuple[str, int] | None:
    """Returns type and subset of the interaction that is lit: the one asked for, else the strongest; None = none."""
    if choice.interaction:
        return choice.lit
    of = {"epoch": choice.epoch, "sample": choice.sample, "limit": choice.top, "life_line": choice.life_line}
    strongest = ask(queries_sample.interactions, **of)
    return (str(strongest["type"].iloc[0]), int(strongest["subset"].iloc[0])) if len(strongest) else None


def other_of(ask: Ask, choice: Choice) -> tuple[int, int]:
    """Returns sample and epoch that a sample is compared with; the same one at the start of lives unless chosen."""
    number, _, epoch = choice.beside.partition("-")
    if epoch:
        return int(number), int(epoch)
    start = ask(lives.first_start)
    return choice.sample, ask(dynamics.labelled_epochs)[0] if start is None else start


def of_choice(choice: Choice) -> dict[str, Any]:
    """Returns which samples, and which type, a question about interactions over the samples is asked of."""
    kind = choice.types[0] if len(choice.types) == 1 else "all"
    return {"split": choice.split, "label": choice.label, "type": kind}


def table_of(ask: Ask, choice: Choice) -> Any:
    """Returns the interactions over the samples that fit a choice, one row for each type and variables, as sorted."""
    of = of_choice(choice)
    every = interactions.joined(
        ask(interactions.patterns, epoch=choice.epoch, **of), ask(interactions.pattern_lives, **of)
    )
    return interactions.selected(every, choice.where, choice.sort)


def lit_pattern(ask: Ask, choice: Choice) -> tuple[str, int, int]:
    """Returns type, subset and sample of the pattern whose life is drawn: the one asked for, else the first."""
    if (asked := subsets.pattern(choice.pattern)) is not None:
        return asked
    rows = table_of(ask, choice).head(1).to_dict("records")
    return (rows[0]["type"], int(rows[0]["subset"]), int(rows[0]["sample"])) if rows else (*FIRST, 0)


def names_of(rows: Any) -> list[str]:
    """Returns what interactions are called, such as "AND {5, 8}", from the columns type and names of a table."""
    return [f"{kind.upper()} {names}" for kind, names in zip(rows["type"], rows["names"], strict=True)]


def lit_name(ask: Ask, choice: Choice) -> str:
    """Returns the interaction that is lit in words, by numbers on an image: "AND {film, good}"; `FIRST` if none is."""
    kind, subset = lit_interaction(ask, choice) or FIRST
    names = list(ask(queries_sample.sample, sample=choice.sample)["names"].iloc[0])
    return f"{kind.upper()} {subsets.label(subset, [*map(str, range(len(names)))] if ask.kind.numbered else names)}"


def pattern_name(ask: Ask, choice: Choice) -> str:
    """Returns the pattern whose life is drawn in words, by numbers on an image: "AND {film, good}", "OR of order 2"."""
    kind, subset, sample = lit_pattern(ask, choice)
    if ask.kind.pattern == "order":
        return f"{kind.upper()} of order {subset.bit_count()}"
    names = list(ask(queries_sample.sample, sample=sample)["names"].iloc[0])
    names = [*map(str, range(len(names)))] if ask.kind.numbered else names
    order = sorted if ask.kind.pattern == "words" else list
    return f"{kind.upper()} {{{', '.join(order(names[i] for i in subsets.members(subset)))}}}"


SPLITS = {"train": "training samples", "test": "testing samples"}
LABELS = {"clean": "training samples with clean labels", "random": "training samples with random labels"}
TYPES = {"and": "AND interactions", "or": "OR interactions"}
WORDS = {  # name in `Chart.says`: what a caption says of the choice; "" = what is there in any case
    "sample": lambda ask, c: f"sample {c.sample}{_about_sample(ask, c)}",
    "interaction": lit_name,
    "epoch": lambda ask, c: f"epoch {c.epoch}",
    "epochs": lambda ask, c: f"epoch {c.epoch} of A, {c.other_epoch} of B",
    "split": lambda ask, c: (SPLITS | LABELS).get(c.split, ""),
    "label": lambda ask, c: "" if c.label == -1 else f"class {_class_name(ask, c.label)}",
    "types": lambda ask, c: TYPES.get(c.types[0], "") if len(c.types) == 1 else "",
    "where": lambda ask, c: ", ".join(c.where),
    "sort": lambda ask, c: f"sorted by {c.sort}",
    "pattern": pattern_name,
    "beside": lambda ask, c: "compared with {}epoch {}".format(
        f"sample {other_of(ask, c)[0]}, " * (other_of(ask, c)[0] != c.sample), other_of(ask, c)[1]
    ),
    "samples": lambda ask, c: f"samples {', '.join(map(str, c.samples))}" if c.samples else "",
    "start": lambda ask, c: f"from epoch {c.start} on",
    "life_line": lambda ask, c: "" if c.life_line == "all" else f"{c.life_line} interactions",
    "min_order": lambda ask, c: "" if c.min_order == 1 else f"orders from {c.min_order} on",
    "dose": lambda ask, c: "" if c.dose == 100 else f"dose {c.dose} %",
}


IN_FILES = {  # … what the name of a file says of it
    "sample": lambda ask, c: f"sample{c.sample}",
    "interaction": lambda ask, c: "-".join(map(str, lit_interaction(ask, c) or FIRST)),
    "epoch": lambda ask, c: f"epoch{c.epoch}",
    "epochs": lambda ask, c: f"epoch{c.epoch}-epoch{c.other_epoch}",
    "split": lambda ask, c: {"train": "training", "test": "testing", "all": ""}.get(c.split, c.split),
    "label": lambda ask, c: "" if c.label == -1 else f"class{c.label}",
    "types": lambda ask, c: c.types[0] if len(c.types) == 1 and c.types[0] in TYPES else "",
    "where": lambda ask, c: "".join(letter for letter in "-".join(c.where) if letter.isalnum() or letter in "-."),
    "pattern": lambda ask, c: "-".join(map(str, lit_pattern(ask, c))),
    "sort": lambda ask, c: "" if c.sort == "strength" else f"by-{c.sort.replace(' ', '-')}",
    "beside": lambda ask, c: "-".join(map(str, ("with", *other_of(ask, c)))),
    "samples": lambda ask, c: "-".join(map(str, ("samples", *c.samples))) if c.samples else "",
    "start": lambda ask, c: f"from{c.start}",
    "life_line": lambda ask, c: "" if c.life_line == "all" else c.life_line.replace(" ", "-"),
    "min_order": lambda ask, c: "" if c.min_order == 1 else f"order{c.min_order}",
    "dose": lambda ask, c: "" if c.dose == 100 else f"dose{c.dose}",
}


def count_of(ask: Ask, choice: Choice) -> int:
    """Returns how many explained samples a choice is of."""
    return sum(ask(queries_sample.counts, split=choice.split, label=choice.label).values())


def whose(ask: Ask, choice: Choice) -> str:
    """Returns how many samples of which split, class and label: "n = 50 training samples and 50 testing samples".

    Of runs compared that differ in it, each.
    """
    runs = {run: ask.about(queries_sample.counts, run, split=choice.split) for run in (ask.run.name, *choice.runs)}
    if len({tuple(counts.values()) for counts in runs.values()}) > 1:
        return "; ".join(f"{run}: n = {' + '.join(map(str, counts.values()))}" for run, counts in runs.items())
    counts = ask(queries_sample.counts, split=choice.split, label=choice.label)
    text = " and ".join(f"{n} {SPLITS[split] if n != 1 else SPLITS[split][:-1]}" for split, n in counts.items())
    name = "" if choice.label == -1 else f" of class {_class_name(ask, choice.label)}"
    return f"n = {text}{name}{f' with {choice.split} labels' if choice.split in LABELS else ''}"


def in_file_name(ask: Ask, choice: Choice, names: Sequence[str]) -> tuple[str, ...]:
    """Returns some of a choice, by their names in `IN_FILES`, as parts of a file's name: ("sample3", "epoch50")."""
    return tuple(filter(None, (IN_FILES[name](ask, choice) for name in names)))


def in_words(ask: Ask, choice: Choice, names: Sequence[str]) -> str:
    """Returns some of a choice, by their names in `WORDS`, as a sentence: "Sample 3, epoch 50."; "" if all is usual."""
    text = ", ".join(filter(None, (WORDS[name](ask, choice) for name in names)))
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _about_sample(ask: Ask, choice: Choice) -> str:
    """Returns split, label and the network's answer of a sample at an epoch: " (training, label 7, answer 1)"."""
    rows = ask(queries_sample.samples, epoch=choice.epoch, numbers=[choice.sample])
    if rows.empty:
        return ""
    row, names = rows.iloc[0], ask.run.class_names
    split = SPLITS[row["split"]].partition(" ")[0]
    return f" ({split}, label {row['label_name']}, answer {names[row['predicted']]})"


def _check_epoch(run: str, epoch: int, epochs: Sequence[int]) -> None:
    if epoch not in epochs:
        raise ValueError(
            f"epoch {epoch} of {run} has no interactions; choose one of {', '.join(map(str, epochs)) or 'none'}"
        )


def _class_name(ask: Ask, label: int) -> str:
    rows = ask(queries_sample.classes)
    return dict(zip(rows["label"].tolist(), rows["label_name"].tolist(), strict=True))[label]
