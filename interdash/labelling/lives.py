"""The tables of the lives of a run's interactions: each one's life line, and sums of their classes by start epoch.

Lives are followed in the vectors (see `formulas.life_cycle`); what counts at an epoch are the salient rows of its
labels, so that classes add up to what every other chart shows. Where vectors were dropped, an interaction below τ
counts as gone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from interdash.formulas import life_cycle
from interdash.formulas.generalization import loss
from interdash.formulas.subsets import orders, pattern_number
from interdash.labelling.flows import TYPES, read_effects
from interdash.masking.kinds import kind_of
from interdash.runs.parts import Unit, is_there
from interdash.runs.plan import Plan
from interdash.runs.tables import read_table

TABLES = ("lives", "life_sums", "life_epochs", "patterns")
MOST = 2_000_000  # rows of `life_sums`, about: beyond, not every recorded epoch is a start
STORED = (*(name for name in life_cycle.MEANS if not name.startswith(("train", "test"))), "loss")
ON_G = ("generalizable_number", "generalizable", "by_chance_number", "by_chance")  # of them, null without a baseline
ALL = -1  # in the place of the start, of sums by life line; in the place of the epoch, each at its strongest one


class Epoch(NamedTuple):
    """The salient interactions of the target at one epoch, sorted by sample, and what its samples have."""

    sample: np.ndarray
    code: np.ndarray  # type and subset: type · 2^n + subset
    effect: np.ndarray  # nats
    transfers: np.ndarray  # to which share of the baseline networks; NaN without any
    chance: np.ndarray
    tau: np.ndarray  # [samples], nats
    v_empty: np.ndarray  # [samples], nats
    units: list[Unit]


def labelled(planned: Plan) -> dict[int, Path]:
    """Returns the folders of labels of the target, by epoch."""
    folders = {epoch: planned.folder(network, epoch) for network, epoch in planned.pairs if network == "target"}
    return {epoch: folder for epoch, folder in folders.items() if folder is not None and folder.exists()}


def starts(epochs: int, samples: int, boundary: int | None = None) -> list[int]:
    """Returns the indices of the start epochs that classes are summed for: all, or as many as `MOST` rows hold.

    >>> starts(5, 100), len(starts(200, 1000, 17)), 17 in starts(200, 1000, 17)
    ([0, 1, 2, 3, 4], 7, True)
    """
    most = max(2, MOST // (epochs * samples * len(life_cycle.CLASSES) // 2))
    evenly = np.linspace(0, epochs - 1, min(most, epochs)).round().astype(int).tolist()
    return sorted({*evenly, *([] if boundary is None else [boundary])})


def life_tables(planned: Plan, folders: dict[int, Path], boundary: float | None) -> dict[str, pa.Table]:
    """Returns the tables `TABLES` of `schema.sql`.

    Args:
        planned: the run's plan.
        folders: of labels, by epoch; two or more.
        boundary: epoch at which the first phase ends, None if none was found.

    Raises:
        DamagedFileError: a part is damaged; it is deleted.
    """
    n, recorded = planned.config.masking.n_variables, np.array(list(folders))
    epochs = [_read(folder, planned.pairs["target", epoch], n) for epoch, folder in folders.items()]
    late = int(np.searchsorted(recorded, np.inf if boundary is None else boundary))
    end = late if late < len(recorded) else None
    begins = starts(len(epochs), len(epochs[0].tau), end)
    units = [_unit(planned, epochs, i, begins, end) for i in range(len(epochs[0].units))]
    lives, sums = zip(*units, strict=True)
    kept = [all(is_there(planned.run, unit) for unit in epoch.units) for epoch in epochs]
    return {
        "lives": _with_epochs(pa.concat_tables(lives), recorded),
        "life_sums": _sum_table(np.concatenate(sums, axis=1), recorded, begins),
        "life_epochs": pa.table(
            {
                "epoch": pa.array(recorded, pa.int32()),
                "is_start": np.isin(np.arange(len(recorded)), begins),
                "ends_first_phase": np.arange(len(recorded)) == end,
                "vectors": kept,
            }
        ),
        "patterns": _pattern_table(planned, epochs, recorded),
    }


def _read(folder: Path, units: list[Unit], n: int) -> Epoch:
    table = read_table(folder / "interactions.parquet", ("sample", "type", "subset", "effect", "votes", "chance"))
    baselines = read_table(folder / "networks.parquet", ["baselines"])["baselines"][0].as_py()
    code = (table["type"].to_numpy() == TYPES[1]) * 2**n + table["subset"].to_numpy()
    effect, votes, chance = (table[name].to_numpy() for name in ("effect", "votes", "chance"))
    transfers = votes / baselines if baselines else np.full(len(votes), np.nan)
    of_samples = read_table(folder / "sample_epochs.parquet", ("tau", "v_empty"))
    tau, v_empty = (of_samples[name].to_numpy() for name in ("tau", "v_empty"))
    return Epoch(table["sample"].to_numpy(), code, effect, transfers, chance, tau, v_empty, units)


def _unit(
    planned: Plan, epochs: list[Epoch], number: int, begins: list[int], end: int | None
) -> tuple[pa.Table, np.ndarray]:
    """Returns the lives of the samples of a unit, epochs by their index, and sums `[rows, samples, STORED]`."""
    n, unit, known = planned.config.masking.n_variables, epochs[0].units[number], bool(planned.voters)
    first, stop = unit.first, unit.stop
    shape = (stop - first, 2, 2**n)
    here = [slice(*np.searchsorted(epoch.sample, (first, stop))) for epoch in epochs]
    places = [(e.sample[rows] - first << n + 1) + e.code[rows] for e, rows in zip(epochs, here, strict=True)]

    def effects() -> Iterator[np.ndarray]:
        for epoch, rows, place in zip(epochs, here, places, strict=True):
            vectors = read_effects(planned.run, epoch.units[number])
            if vectors is None:
                vectors = np.zeros(shape)
                vectors.flat[place] = epoch.effect[rows]
            yield vectors

    tau = np.stack([epoch.tau[first:stop, None] for epoch in epochs])
    signs = life_cycle.presence(effects(), tau).reshape(len(epochs), -1)
    ever = np.flatnonzero(signs.any(0))
    signs = signs[:, ever]
    salient = np.zeros((3, len(epochs), len(ever)))  # effect, G, chance
    for i, (epoch, rows, place) in enumerate(zip(epochs, here, places, strict=True)):
        values = (epoch.effect[rows], epoch.transfers[rows], epoch.chance[rows])
        salient[:, i, np.searchsorted(ever, place)] = values
    lines = life_cycle.life_lines(signs, end)
    sample, code = ever >> n + 1, ever & 2 ** (n + 1) - 1
    size = orders(n)[code & 2**n - 1]

    def sums(mask: np.ndarray, of: np.ndarray, v_empty: np.ndarray | None) -> np.ndarray:
        effects, general, chance = of
        total = life_cycle.class_sums(mask & (effects != 0), sample, size, effects, general, chance, stop - first)
        effect = total[:, life_cycle.SUMS.index("effect")]
        columns = dict(zip(life_cycle.SUMS, total.T, strict=True))
        if not known:
            columns |= dict.fromkeys(ON_G, effect * np.nan)
        columns |= {"net": np.abs(effect), "loss": effect * np.nan if v_empty is None else loss(v_empty + effect)}
        return np.stack([columns[name] for name in STORED], axis=-1)

    since = life_cycle.births(signs)
    v_empty = [epoch.v_empty[first:stop] for epoch in epochs]
    strongest = np.take_along_axis(salient, np.abs(salient[:1]).argmax(1, keepdims=True), 1)[:, 0]
    rows = [
        sums(mask, salient[:, at], v_empty[at])
        for start in begins
        for epoch in range(start, len(epochs))
        for name, mask in life_cycle.classes(signs, since, start, epoch).items()
        for at in [start if name == "removed" else epoch]
    ]
    for line in range(1, len(life_cycle.GROUPS)):
        rows += [sums(lines == line, salient[:, i], v_empty[i]) for i in range(len(epochs))]
        rows.append(sums(lines == line, strongest, None))
    present = signs != 0
    last = len(epochs) - present[::-1].argmax(0)  # index after that of the last epoch it is present at
    lives = {
        "sample": pa.array(first + sample, pa.int32()),
        "type": np.take(TYPES, code >> n),
        "subset": pa.array(code & 2**n - 1, pa.int32()),
        "size": pa.array(size, pa.int8()),
        "life_line": np.take(life_cycle.GROUPS, lines),
        "born": pa.array(present.argmax(0), pa.int32()),
        "gone": pa.array(last, pa.int32(), mask=last == len(epochs)),
        "stretches": pa.array(present[0] + (present[1:] & ~present[:-1]).sum(0), pa.int32()),
        "flips": pa.array(life_cycle.flips(signs), pa.int32()),
    }
    return pa.table(lives), np.stack(rows).astype(np.float32)


def _pattern_table(planned: Plan, epochs: list[Epoch], recorded: np.ndarray) -> pa.Table:
    """Returns the salient interactions of all epochs, those of the same pattern side by side, then by epoch, sample."""
    n, by = planned.config.masking.n_variables, kind_of(planned.config.masking.kind).pattern
    sample = np.concatenate([epoch.sample for epoch in epochs])
    code = np.concatenate([epoch.code for epoch in epochs])
    variables = planned.run.explained().variables
    which, back = np.unique(code if by == "variables" else (sample << n + 1) + code, return_inverse=True)
    numbers = [
        pattern_number(by, TYPES[one >> n & 1], one & 2**n - 1, variables.names_of(one >> n + 1))
        for one in which.tolist()
    ]
    numbers = np.array(numbers, np.int32)[back]
    order = np.argsort(numbers, kind="stable")
    columns = {
        "pattern": pa.array(numbers[order]),
        "epoch": pa.array(np.repeat(recorded, [len(epoch.sample) for epoch in epochs])[order], pa.int32()),
        "sample": pa.array(sample[order], pa.int32()),
        "type": pa.array(np.take(TYPES, code[order] >> n)),
        "subset": pa.array(code[order] & 2**n - 1, pa.int32()),
    }
    for name, field in (("effect", "effect"), ("share", "transfers"), ("chance", "chance")):
        values = np.concatenate([getattr(epoch, field) for epoch in epochs])[order].astype(np.float32)
        columns[name] = pa.array(values, mask=np.isnan(values))
    return pa.table(columns)


def _with_epochs(lives: pa.Table, recorded: np.ndarray) -> pa.Table:
    """Returns the lives with epochs in the place of their indices."""
    for name in ("born", "gone"):
        column = pa.array(recorded, pa.int32()).take(lives[name].combine_chunks())
        lives = lives.set_column(lives.column_names.index(name), name, column)
    return lives


def _sum_table(sums: np.ndarray, recorded: np.ndarray, begins: list[int]) -> pa.Table:
    """Returns the rows of sums `[rows, samples, STORED]`, in the order in which `_unit` has them."""
    names = [
        *((recorded[s], t, name) for s in begins for t in recorded[s:] for name in life_cycle.CLASSES),
        *((ALL, epoch, name) for name in life_cycle.GROUPS[1:] for epoch in (*recorded, ALL)),
    ]
    start, epoch, of_class = zip(*names, strict=True)
    samples = sums.shape[1]
    columns = {
        "start": pa.array(np.repeat(start, samples), pa.int32()),
        "epoch": pa.array(np.repeat(epoch, samples), pa.int32()),
        "life": np.repeat(of_class, samples),
        "sample": pa.array(np.tile(np.arange(samples), len(names)), pa.int32()),
    }
    values = np.moveaxis(sums, -1, 0).reshape(len(STORED), -1)
    return pa.table(columns | {name: pa.array(x, mask=np.isnan(x)) for name, x in zip(STORED, values, strict=True)})
