"""The table `flows` of a run: what the target learned and removed between recorded epochs. No DuckDB.

Labels say which interactions are salient, generalize, and by chance; the vectors, where they are kept, say how strong
each was at the other epoch. Where they were dropped, an interaction that is not salient counts as 0.
"""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa

from interdash.formulas.flows import QUANTITIES, Labelled, flows, from_rows
from interdash.runs.files import DamagedFileError
from interdash.runs.parts import Unit, discard_part, is_there, read_part
from interdash.runs.plan import Plan
from interdash.runs.run import Run
from interdash.runs.tables import read_table

TYPES = ("and", "or")


def labelled_pairs(planned: Plan) -> list[tuple[Path, Path]]:
    """Returns the folders of labels of each two consecutive recorded epochs of the target that are both there."""
    folders = [planned.folder(*pair) for pair in planned.pairs if pair[0] == "target"]
    return [
        (before, after)
        for before, after in itertools.pairwise(folders)
        if before is not None and after is not None and before.exists() and after.exists()
    ]


def flow_table(planned: Plan, pairs: list[tuple[Path, Path]]) -> pa.Table:
    """Returns one row for each pair of epochs, sample and type, see `schema.sql`; strengths in nats.

    Raises:
        DamagedFileError: a part is damaged; it is deleted.
    """
    shape = (len(TYPES), 2**planned.config.masking.n_variables)
    units = {planned.folder(*pair): (pair[1], some) for pair, some in planned.pairs.items() if pair[0] == "target"}
    tables, rows = [], {}
    for pair in pairs:
        rows = {folder: rows.get(folder) or _salient(folder) for folder in pair}
        (before, earlier), (after, later) = (units[folder] for folder in pair)
        for of_units in zip(earlier, later, strict=True):
            labels = [_labelled(planned.run, rows[f], u, shape) for f, u in zip(pair, of_units, strict=True)]
            tables.append(_table(before, after, of_units[0].first, flows(*labels)))
    return pa.concat_tables(tables)


def _salient(folder: Path) -> dict[str, np.ndarray]:
    columns = ("sample", "type", "subset", "effect", "generalizes", "chance")
    table = read_table(folder / "interactions.parquet", columns)
    return {name: table[name].to_numpy() for name in columns}


def _labelled(run: Run, rows: dict[str, np.ndarray], unit: Unit, shape: tuple[int, int]) -> Labelled:
    """Returns the interactions of the samples of a unit, `[samples, 2, 2**n]`, from all salient rows of its epoch."""
    first, stop = np.searchsorted(rows["sample"], (unit.first, unit.stop))  # they are sorted by sample
    sample, kind, subset, effect, generalizes, chance = (values[first:stop] for values in rows.values())
    where = (sample - unit.first, (kind == "or").astype(int), subset)
    labelled = from_rows(where, effect, generalizes, chance, (unit.stop - unit.first, *shape))
    effects = read_effects(run, unit)
    return labelled if effects is None else labelled._replace(effects=effects)


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


def _table(before: int, after: int, first: int, by_order: np.ndarray) -> pa.Table:
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
    return pa.table(columns | {name: pa.array(values.ravel().astype(np.float32)) for name, values in sums.items()})
