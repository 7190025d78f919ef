"""The noise floor: how many labels G flip when one choice of the method is made otherwise. Run on demand.

Each comparison labels the same samples of the same network twice, by the run's own choices and by one other: another
baseline network, more of them with either vote, κ on or off, the opposite tie-break of the split, the other rule of τ,
the sign test off, all networks split jointly, the published solver. Where the split changes, it changes for target and
baselines alike. Differences smaller than this floor say nothing about the network. Source: ours.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from interdash.config import GeneralizationConfig, SplitConfig
from interdash.formulas import generalization
from interdash.formulas.bootstrap import RESAMPLES, group, percentile, sample_weights
from interdash.labelling.label import write_folder
from interdash.runs import samples
from interdash.runs.parts import digest, read_part
from interdash.runs.plan import Plan, plan
from interdash.runs.run import Run
from interdash.solver import published
from interdash.solver.joint import joint_split
from interdash.solver.sparsify import sparse_split

SAMPLES_PER_SPLIT = 20
EPOCHS = 6
COLUMNS = ("v", "v_empty", "v_full", "i_and", "i_or")
JOINT_SAMPLES = 5  # of each split, at most: a joint split takes ten times as long
OTHER_KAPPA = 0.02  # compared with a run that has κ = 0
OTHER_TAU = {"mean_output": ("max_interaction", 0.05), "max_interaction": ("mean_output", 0.03)}
RATIOS = ("overlap", "flips", "power", "other_power")


@dataclass(frozen=True)
class Choice:
    """One way to label: rules, split, and the baseline networks asked."""

    text: str
    rules: GeneralizationConfig
    split: SplitConfig
    baselines: tuple[str, ...]
    solver: Literal["certified", "published", "joint"] = "certified"


class Labels(NamedTuple):
    """Labels of all interactions of some samples, `[samples, 2 (AND, OR), 2**n]`."""

    strength: np.ndarray  # nats, |I|
    salient: np.ndarray  # bool
    general: np.ndarray  # bool, G
    share: np.ndarray  # of the baseline networks, those to which it transfers: H is a mean over them


def comparisons(
    rules: GeneralizationConfig, split: SplitConfig, baselines: Sequence[str]
) -> Iterator[tuple[str, Choice, Choice]]:
    """Yields (comparison, reference, alternative) for every choice that the baselines at hand allow.

    Args:
        rules: the run's.
        split: the run's.
        baselines: names of the baseline networks that are extracted, in their order.
    """
    voters = tuple(baselines[: rules.baselines])
    own = Choice("as the run", rules, split, voters)

    def other(text: str, **changes: object) -> Choice:
        return replace(own, text=text, **changes)  # pyright: ignore[reportArgumentType]

    if len(baselines) > 1:
        first, second = (other(f"{name} alone", baselines=(name,)) for name in baselines[:2])
        yield "baseline", first, second
    for count in (1, 3, 5):
        for vote in ("any", "majority") if count > 1 else ("any",):
            if count > len(baselines) or (count == len(voters) and (vote == rules.vote or count == 1)):
                continue
            text = f"{count} baselines, {vote}" if count > 1 else "1 baseline"
            changed = replace(rules, vote=vote, baselines=count)
            yield "votes", own, other(text, rules=changed, baselines=tuple(baselines[:count]))
    kappa = OTHER_KAPPA if split.kappa == 0 else 0.0
    yield "kappa", replace(own, text=f"κ = {split.kappa:g}"), other(f"κ = {kappa:g}", split=replace(split, kappa=kappa))
    opposite = replace(split, tie_break=-split.tie_break)
    yield (
        "tie_break",
        replace(own, text=f"tie-break {split.tie_break:g}"),
        other(f"tie-break {-split.tie_break:g}", split=opposite),
    )
    rule, factor = OTHER_TAU[rules.tau_rule]
    changed = replace(rules, tau_rule=rule, tau_factor=factor)  # pyright: ignore[reportArgumentType]
    yield "tau", replace(own, text=_tau_text(rules)), other(_tau_text(changed), rules=changed)
    switched = replace(rules, sign_test=not rules.sign_test)
    words = {True: "sign test", False: "no sign test"}
    yield "sign_test", replace(own, text=words[rules.sign_test]), other(words[switched.sign_test], rules=switched)
    if voters:
        yield "joint", replace(own, text="each by itself"), other("all networks split jointly", solver="joint")


def _tau_text(rules: GeneralizationConfig) -> str:
    scale = {"mean_output": "mean |v(x) − v(x_∅)|", "max_interaction": "max |I|"}[rules.tau_rule]
    return f"τ = {rules.tau_factor:g} · {scale}"


SCHEMA = pa.schema(
    {"epoch": pa.int32(), "comparison": pa.string(), "reference": pa.string(), "alternative": pa.string()}
    | {"samples": pa.int32(), "labels": pa.float64()}
    | {f"{name}{end}": pa.float64() for name in RATIOS for end in ("", "_low", "_high")}
)


class Games:
    """The outputs of the networks on the samples compared, and their splits, each solved once."""

    def __init__(self, read: Callable[[str, int], dict[str, np.ndarray]], rows: np.ndarray, own: SplitConfig) -> None:
        """`read` gives the columns of all samples of a network at an epoch; `rows` are the samples compared."""
        self.read, self.rows, self.own = read, rows, own
        self._columns: dict[tuple[str, int], dict[str, np.ndarray]] = {}
        self._effects: dict[tuple[str, int, SplitConfig, str], np.ndarray] = {}

    def columns(self, network: str, epoch: int) -> dict[str, np.ndarray]:
        """Returns the columns of all samples."""
        if (network, epoch) not in self._columns:
            self._columns[network, epoch] = self.read(network, epoch)
        return self._columns[network, epoch]

    def effects(self, network: str, epoch: int, split: SplitConfig, solver: str = "certified") -> np.ndarray:
        """Returns AND and OR interactions `[samples, 2, 2**n]` of the samples compared, in nats."""
        key = (network, epoch, split, solver)
        if key not in self._effects:
            columns = self.columns(network, epoch)
            pair = [columns["i_and"][self.rows], columns["i_or"][self.rows]]
            if solver == "published":
                self.solve_published([(network, epoch)], split)
                return self._effects[key]
            if split != self.own:
                solved = sparse_split(
                    columns["v"][self.rows],
                    split.kappa,
                    tie_break=split.tie_break,
                    tolerance=split.tolerance,
                    zeta=split.zeta,
                )
                pair = [solved.i_and, solved.i_or]
            self._effects[key] = np.stack(pair, axis=1)
        return self._effects[key]

    def solve_published(self, wanted: Sequence[tuple[str, int]], split: SplitConfig) -> None:
        """Solves the games of several (network, epoch) by the published procedure in one go: its steps are the cost."""
        v = np.stack([self.columns(*pair)["v"][self.rows] for pair in wanted])
        pair = published.split(v, split.kappa)[:2]
        for i, (network, epoch) in enumerate(wanted):
            self._effects[network, epoch, split, "published"] = np.stack([splits[i] for splits in pair], axis=1)

    def solve_jointly(self, epoch: int, choice: Choice) -> None:
        """Splits the target at an epoch and the choice's baselines jointly; these then are those of this epoch."""
        pairs, split = [("target", epoch), *((name, -1) for name in choice.baselines)], choice.split
        v = np.stack([self.columns(*pair)["v"][self.rows] for pair in pairs])
        options = {"tie_break": split.tie_break, "tolerance": split.tolerance, "zeta": split.zeta}
        solved = joint_split(v, split.kappa, **options)
        for i, pair in enumerate(pairs):
            self._effects[*pair, split, "joint"] = np.stack([solved.i_and[i], solved.i_or[i]], axis=1)

    def tau(self, network: str, epoch: int, choice: Choice) -> np.ndarray:
        """Returns τ of the samples compared, `[samples, 1]`, nats; a mean over samples runs over all of the run."""
        columns, rules = self.columns(network, epoch), choice.rules
        effects = self.effects(network, epoch, choice.split, choice.solver)
        v_empty, v_full, rows = columns["v_empty"], columns["v_full"], self.rows
        if rules.tau_rule == "max_interaction":
            v_empty, v_full, rows = v_empty[rows], v_full[rows], np.arange(len(rows))
        i_and, i_or = effects[:, 0], effects[:, 1]
        return generalization.tau(i_and, i_or, v_empty, v_full, rules.tau_rule, rules.tau_factor)[rows, None]

    def labels(self, epoch: int, choice: Choice) -> Labels:
        """Returns the labels of the target at an epoch by one choice; `read` is asked for a baseline's epoch as −1."""
        if choice.solver == "joint":
            self.solve_jointly(epoch, choice)
        effects, tau = self.effects("target", epoch, choice.split, choice.solver), self.tau("target", epoch, choice)
        bases = [
            (self.effects(name, -1, choice.split, choice.solver), self.tau(name, -1, choice))
            for name in choice.baselines
        ]
        each = [
            generalization.transfers(effects, base, tau, own, sign_test=choice.rules.sign_test) for base, own in bases
        ]
        general = generalization.agreed(each, choice.rules.vote)
        return Labels(np.abs(effects), generalization.salient(effects, tau), general, np.mean(each, axis=0))


def compare(
    reference: Labels, other: Labels, strata: np.ndarray | None = None, *, resamples: int = RESAMPLES
) -> dict[str, float]:
    """Returns overlap, flips and H on both sides with 95 % bootstrap intervals over samples, and labels a sample.

    overlap: share of the interactions salient on either side that are salient on both; flips: share of those salient on
    both whose G differs. NaN where there are none. H is a mean over the baseline networks, whatever their vote.
    """
    both, either = reference.salient & other.salient, reference.salient | other.salient
    flips = both & (reference.general != other.general)
    pairs = [(both, either), (flips, both)]
    pairs += [(side.strength * side.share, side.strength * side.salient) for side in (reference, other)]
    sums = np.array([[part.sum((1, 2)) for part in pair] for pair in pairs], float)  # [ratios, 2, samples]

    def ratios(draws: np.ndarray) -> np.ndarray:
        top, bottom = np.moveaxis(sums @ np.moveaxis(sample_weights(draws), -1, 0), 1, 0)
        return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)

    count = sums.shape[-1]
    values = ratios(np.arange(count))
    low = high = np.full(len(RATIOS), np.nan)
    if count > 1:
        low, high = percentile(ratios, group(strata, count), resamples=resamples)
    row = {"labels": float(both.sum() / count)}
    for i, name in enumerate(RATIOS):
        row |= {name: float(values[i]), f"{name}_low": float(low[i]), f"{name}_high": float(high[i])}
    return row


def noise_floor(
    run: Run,
    *,
    samples_per_split: int = SAMPLES_PER_SPLIT,
    epochs: int = EPOCHS,
    published_samples: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pa.Table, dict[str, object]]:
    """Returns the table `robustness` of `schema.sql`, and the notes that say what it was made from.

    Args:
        run: a run whose parts are all there.
        samples_per_split: explained samples compared of each split, of strata that lie evenly, or the first.
        epochs: recorded epochs compared, evenly spread over those of the run, first and last among them.
        published_samples: explained samples of each split that the published solver is run on too, 5 s or more each for
            every network and epoch at n = 10, minutes at n = 12.
        progress: called with comparisons done and in all.

    Raises:
        ValueError: a part is missing, or a number is below 1.
        DamagedFileError: a part is damaged.
    """
    if samples_per_split < 1 or epochs < 1:
        raise ValueError(f"{samples_per_split} samples and {epochs} epochs; compare at least one of each")
    planned = plan(run)
    rules, split, baselines = planned.config.generalization, planned.config.split, planned.baselines
    if planned.missing() or not baselines:
        raise ValueError(f"parts of {run.name} are missing; make them with `interdash extract {run.name}`")
    recorded = [epoch for network, epoch in planned.pairs if network == "target"]
    compared = [recorded[i] for i in np.unique(np.linspace(0, len(recorded) - 1, epochs).round().astype(int))]
    games = stored_games(planned, samples_per_split)
    fewer = stored_games(planned, min(samples_per_split, JOINT_SAMPLES))
    todo = [(fewer if pair[0] == "joint" else games, *pair) for pair in comparisons(rules, split, baselines)]
    if published_samples:
        own = Choice("the certified solver", rules, split, tuple(baselines[: rules.baselines]))
        few = stored_games(planned, published_samples)
        voters = baselines[: rules.baselines]
        few.solve_published([*(("target", epoch) for epoch in compared), *((name, -1) for name in voters)], split)
        todo.append((few, "solver", own, replace(own, text="the published SGD", solver="published")))
    rows = []
    of_all = samples.strata(run.path)
    for some, name, reference, other in todo:
        strata = None if of_all is None else of_all[some.rows]
        for epoch in compared:
            ratios = compare(some.labels(epoch, reference), some.labels(epoch, other), strata)
            named = {"epoch": epoch, "comparison": name, "reference": reference.text, "alternative": other.text}
            rows.append({**named, "samples": len(some.rows), **ratios})
            if progress is not None:
                progress(len(rows), len(todo) * len(compared))
    table = pa.Table.from_pylist([{k: None if v != v else v for k, v in row.items()} for row in rows]).cast(SCHEMA)
    used = [unit.name for unit in planned.units if unit.network != "target" or unit.epoch in compared]
    return table, {"network": "", "epoch": -1, "units": sorted(used), "rules": asdict(rules)}


def store_noise_floor(run: Run, table: pa.Table, notes: dict[str, object]) -> Path:
    """Returns the folder of the table, which replaces an older one; the dashboard loads it with the run's labels."""
    folder = run.labels_dir / f"robustness-{digest(notes, table.to_pylist())}"
    if not folder.exists():
        write_folder(folder, {"robustness": table}, notes)
    for other in run.labels_dir.glob("robustness-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder


def stored_games(planned: Plan, samples_per_split: int) -> Games:
    """Returns the games of a run whose parts are all there, to compare the first explained samples of each split.

    A baseline network's only epoch is asked for as −1.
    """
    run, split = planned.run, planned.config.split

    def read(network: str, epoch: int) -> dict[str, np.ndarray]:
        units = [unit for unit in planned.units if unit.network == network and epoch in (unit.epoch, -1)]
        parts = [read_part(run, unit, COLUMNS) for unit in units]
        return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}

    rows = _rows(samples.description(run.path)["split"], samples_per_split, split, samples.strata(run.path))
    return Games(read, rows, split)


def _rows(splits: list[str], per_split: int, split: SplitConfig, strata: np.ndarray | None) -> np.ndarray:
    """Returns the samples compared, some of each split: of strata that lie evenly, else the first (in random order).

    All where the bound of δ is a mean over all.
    """
    if split.zeta == "mean":
        return np.arange(len(splits))
    some = []
    for name in ("train", "test"):
        rows = np.flatnonzero(np.asarray(splits) == name)
        count = min(per_split, len(rows))
        if strata is not None:
            rows = rows[np.argsort(strata[rows])][((2 * np.arange(count) + 1) * len(rows)) // (2 * max(count, 1))]
        some.append(rows[:count])
    return np.sort(np.concatenate(some))
