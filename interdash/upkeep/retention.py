"""Retention: what of a run's folder can go, and thousands of small parts made into few packs. No torch.

What can go by itself: drafts that a kill left behind, parts and labels that belong to no recorded checkpoint (an older
version's, or of a network that was trained again), and claims of finished units. What the user may choose to drop: the
full vectors of an epoch, by far the largest files. Labels, and so all charts but the drill-down, stay.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from interdash.runs.files import stale_drafts
from interdash.runs.packs import unpack_zips, write_pack
from interdash.runs.parts import pack_path, part_path
from interdash.runs.plan import Plan, plan
from interdash.runs.run import Run
from interdash.runs.state import check_not_extracting
from interdash.runs.tables import has_whole_bytes
from interdash.store.database import OF_A_RUN


@dataclass(frozen=True)
class Item:
    """A file or folder that can go."""

    kind: str  # draft, orphaned part, orphaned labels, lock or vectors
    path: Path
    bytes: int


def collect(run: Run, drop: set[int] | None = None) -> list[Item]:
    """Returns what can go from a run's folder; nothing is deleted.

    Args:
        run: the run.
        drop: epochs of the target whose full vectors are to go.

    Raises:
        RuntimeError: an extraction of the run is at work.
        ValueError: the target has no checkpoint at an epoch to drop, or it is not labelled yet.
    """
    check_not_extracting(run)
    items = [_item("draft", path) for path in stale_drafts(run.path)]
    if not run.has_explained() or not run.is_finished("target"):
        return items  # recording: checkpoints may still change
    planned = plan(run)
    if not planned.problems:  # else parts of a damaged checkpoint would look like orphans
        items += [_item("orphaned part", path) for path in orphaned_parts(planned)]
        items += [_item("orphaned labels", path) for path in orphaned_labels(planned)]
    unfinished = {unit.name for unit in planned.missing()}
    locks = sorted((run.parts_dir / "locks").glob("*-*.lock"))
    # the claim of a unit whose part is missing may be taken at this moment; that of a finished unit helps no one
    items += [_item("lock", path) for path in locks if path.stem not in unfinished]
    return items + _vectors(planned, drop or set())


def delete(run: Run, items: list[Item]) -> int:
    """Returns the bytes that deleting these items freed; dropped vectors are noted in `run.json`."""
    vectors = {item.path.stem for item in items if item.kind == "vectors"}
    if vectors:
        packs = {unit.pack for unit in plan(run).units if vectors & {unit.name, unit.pack}}
        run.update(dropped_vectors=sorted(run.dropped | packs))  # first: nothing is computed again by mistake
    for item in items:
        if item.path.is_dir():
            shutil.rmtree(item.path, ignore_errors=True)
        else:
            item.path.unlink(missing_ok=True)
    return sum(item.bytes for item in items)


def wanted(run: Run, epochs: set[int]) -> list[int]:
    """Returns which of some epochs have vectors that were dropped."""
    return sorted(_dropped_epochs(run, epochs).values())


def want(run: Run, epochs: set[int]) -> list[int]:
    """Returns the epochs whose vectors had been dropped and will be computed by the next extraction."""
    again = _dropped_epochs(run, epochs)
    run.update(dropped_vectors=sorted(run.dropped - set(again)) or None)
    return sorted(again.values())


def _dropped_epochs(run: Run, epochs: set[int]) -> dict[str, int]:
    """Returns the packs of dropped vectors of some epochs, each with its epoch."""
    return {unit.pack: unit.epoch for unit in plan(run).units if unit.epoch in epochs and unit.pack in run.dropped}


def orphaned_parts(planned: Plan) -> list[Path]:
    """Returns parts and packs in a run's folder that belong to none of its units."""
    names = {name for unit in planned.units for name in (unit.name, unit.pack)}
    return [path for path in sorted(planned.run.parts_dir.glob("*.parquet")) if path.stem not in names]


def orphaned_labels(planned: Plan) -> list[Path]:
    """Returns folders of labels that belong to no checkpoint, or that newer ones stand beside."""
    current = {f"{network}-{epoch:05d}": planned.folder(network, epoch) for network, epoch in planned.pairs}
    orphans = []
    for folder in sorted(planned.run.labels_dir.glob("[a-z]*-*")):
        what = folder.name.rpartition("-")[0]
        newest = current.get(what)
        if what not in OF_A_RUN and (what not in current or (newest not in (None, folder) and newest.exists())):
            orphans.append(folder)
    return orphans


def compact(run: Run) -> list[Path]:
    """Returns the packs written: one of the parts of each network and epoch that has more than one; see `packs`.

    Every part is read and verified first. After a kill the next call goes on.

    Raises:
        RuntimeError: an extraction of the run is at work.
        DamagedFileError: a part is damaged; its epoch stays as it is.
    """
    check_not_extracting(run)
    unpack_zips(run)
    packs = []
    for units in plan(run).pairs.values():
        pack, loose = pack_path(run, units[0]), [path for unit in units if (path := part_path(run, unit)).exists()]
        if len(units) > 1 and len(loose) == len(units):
            packs.append(write_pack(run, units))
        elif loose and pack.exists() and has_whole_bytes(pack):
            for part in loose:  # a kill came before they were deleted
                part.unlink(missing_ok=True)
    return packs


def _vectors(planned: Plan, epochs: set[int]) -> list[Item]:
    run, paths = planned.run, set()
    for epoch in sorted(epochs):
        units = planned.pairs.get(("target", epoch), [])
        if not units:
            there = ", ".join(str(epoch) for epoch in run.checkpoint_epochs("target"))
            raise ValueError(f"the target of {run.name!r} has no checkpoint at epoch {epoch}; it has {there}")
        folder = planned.folder("target", epoch)
        if folder is None or not folder.exists():
            raise ValueError(
                f"epoch {epoch} of {run.name!r} has no labels yet, which are made from its vectors; "
                f"run `interdash extract {run.name}` first"
            )
        paths |= {path for unit in units for path in (part_path(run, unit), pack_path(run, unit)) if path.exists()}
    return [_item("vectors", path) for path in sorted(paths)]


def _item(kind: str, path: Path) -> Item:
    files = [inner for inner in path.rglob("*") if inner.is_file()] if path.is_dir() else [path]
    return Item(kind, path, sum(file.stat().st_size for file in files))
