"""The tables `flows` and `baseline_flows` of a run: what the target learned and removed between recorded epochs.

Labels say which interactions are salient and transfer to which baseline network, and those of the baselines how many
would by chance; the vectors, where they are kept, say how strong each was at the other epoch. Where they were dropped,
an interaction that is not salient counts as 0. No DuckDB.
"""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa

from interdash.formulas.chance import chance
from interdash.formulas.flows import ON_G, QUANTITIES, Labelled, flows, from_rows
from interdash.runs.files import DamagedFileError
from interdash.runs.parts import Unit, discard_part, is_there, read_part
from interdash.runs.plan import Plan
from interdash.runs.run import Run
from interdash.runs.tables import read_table

TYPES = ("and", "or")

Rows = dict[str, np.ndarray]  # the salient interactions of a network at an epoch


def labelled_pairs(planned: Plan) -> list[tuple[Path, Path]]:
    """Returns the folders of labels of each two consecutive recorded epochs of the target that are both there.

    None while the labels of a baseline network are not there.
    """
    if not all(folder.exists() for folder in _voters(planned).values()):
        return []
    folders = [planned.folder(*pair) for pair in planned.pairs if pair[0] == "target"]
    return [
        (before, after)
        for before, after in itertools.pairwise(folders)
        if before is not None and after is not None and before.exists() and after.exists()
    ]


def flow_tables(planned: Plan, pairs: list[tuple[Path, Path]], *, vectors: bool = True) -> dict[str, pa.Table]:
    """Returns rows for each pair of epochs, sample and type, and baseline, see `schema.sql`; strengths in nats.

    `flows` are means over the baseline networks, `ON_G` null without any; `baseline_flows` is empty where there is only
    one. Without `vectors` an interaction counts as 0 where it is not salient, as if they were dropped.

    Raises:
        DamagedFileError: a part is damaged; it is deleted.
    """
    voters, rows = {name: _salient(folder) for name, folder in _voters(planned).items()}, {}
    units = {planned.folder(*pair): (pair[1], some) for pair, some in planned.pairs.items() if pair[0] == "target"}
    tables, by_baseline, known = [], [], bool(voters)
    for pair in pairs:
        rows = {folder: rows.get(folder) or _salient(folder) for folder in pair}
        (before, earlier), (after, later) = (units[folder] for folder in pair)
        for of_units in zip(earlier, later, strict=True):
            both = zip(pair, of_units, strict=True)
            labels = [_labelled(planned, rows[f], unit, [*voters.values()] or [None], vectors) for f, unit in both]
            sums = np.stack([flows(*both) for both in zip(*labels, strict=True)])  # [baselines, samples, 2, n, 6]
            tables.append(_table(before, after, of_units[0].first, sums.mean(0), known=known))
            for name, each in zip(voters, sums if len(sums) > 1 else [], strict=False):
                table = _table(before, after, of_units[0].first, each)
                by_baseline.append(table.append_column("baseline", pa.repeat(name, table.num_rows)))
    kept = ("baseline", "epoch_from", "epoch_to", "sample", "type", *ON_G)
    empty = tables[0].slice(0, 0).append_column("baseline", pa.nulls(0, pa.string()))
    return {
        "flows": pa.concat_tables(tables),
        "baseline_flows": pa.concat_tables([empty, *by_baseline]).select(kept),
    }


def _voters(planned: Plan) -> dict[str, Path]:
    """Returns the folders of labels of the baseline networks that G is asked of, in their order."""
    pairs = ((name, epoch) for voter in planned.voters for name, epoch in planned.pairs if name == voter)
    return {name: folder for name, epoch in pairs if (folder := planned.folder(name, epoch))}


def _salient(folder: Path) -> Rows:
    columns = ("sample", "type", "subset", "effect", "transfers")
    table = read_table(folder / "interactions.parquet", columns)
    return {name: table[name].to_numpy() for name in columns}


def _rows_of(rows: Rows, unit: Unit) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """Returns where the salient interactions of a unit's samples lie, their effects, and to whom they transfer."""
    first, stop = np.searchsorted(rows["sample"], (unit.first, unit.stop))  # they are sorted by sample
    sample, kind, subset, effect, transfers = (values[first:stop] for values in rows.values())
    return (sample - unit.first, (kind == "or").astype(int), subset), effect, transfers


def _labelled(planned: Plan, rows: Rows, unit: Unit, voters: list[Rows | None], vectors: bool) -> list[Labelled]:
    """Returns the interactions of the samples of a unit, `[samples, 2, 2**n]`, labelled by each baseline network.

    None as a voter labels nothing: G and chance are 0.
    """
    shape = (unit.stop - unit.first, len(TYPES), 2**planned.config.masking.n_variables)
    where, effect, transfers = _rows_of(rows, unit)
    effects = np.zeros(shape)
    effects[where] = effect
    labelled = []
    for i, voter in enumerate(voters):
        if voter is None:
            labelled.append(from_rows(where, effect, 0 * effect, 0 * effect, shape))
            continue
        base = np.zeros(shape)
        places, base_effect, _ = _rows_of(voter, unit)
        base[places] = base_effect
        level = chance(effects, base, sign_test=planned.config.generalization.sign_test)[where]
        by_chance = level.astype(np.float32)  # as the table `interactions` keeps it
        labelled.append(from_rows(where, effect, transfers >> i & 1, by_chance, shape))
    effects = read_effects(planned.run, unit) if vectors else None
    return labelled if effects is None else [each._replace(effects=effects) for each in labelled]


def read_effects(run: Run, unit: Unit) -> np.ndarray | None:
    """Returns the vectors of a unit `[samples, 2 (AND, OR), 2**n]`, nats; None where they were dropped.

    Raises:
        DamagedFileError: the part is damaged; it is deleted.
    """
    if not is_there(run, unit):
        return None
    try:
        vectors = read_part(run, unit, ("i_and", "i_or"))
    except DamagedFileError:
        discard_part(run, unit)
        raise
    return np.stack([vectors["i_and"], vectors["i_or"]], axis=1)


def _table(before: int, after: int, first: int, by_order: np.ndarray, *, known: bool = True) -> pa.Table:
    """Returns the rows of flows by order `[samples, 2, n, 6]` of samples that are numbered from `first` on."""
    samples, types, n, _ = by_order.shape
    sums = dict(zip(QUANTITIES, np.moveaxis(by_order.sum(2), -1, 0), strict=True))
    size = np.arange(1, n + 1)
    sums |= {f"{name}_size": by_order[..., QUANTITIES.index(name)] @ size for name in ("learned", "removed")}
    columns = {
        "epoch_from": pa.repeat(pa.scalar(before, pa.int32()), samples * types),
        "epoch_to": pa.repeat(pa.scalar(after, pa.int32()), samples * types),
        "sample": pa.array(np.repeat(np.arange(first, first + samples), types), pa.int32()),
        "type": pa.array(TYPES * samples),
    }
    values = {name: pa.array(each.ravel().astype(np.float32)) for name, each in sums.items()}
    unknown = {} if known else dict.fromkeys(ON_G, pa.nulls(samples * types, pa.float32()))
    return pa.table(columns | values | unknown)
