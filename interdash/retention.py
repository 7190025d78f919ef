"""Retention: what of a run's folder can go, and thousands of small parts made into few packs. No torch.

What can go by itself: drafts that a kill left behind, parts and labels that belong to no recorded checkpoint (an older
version's, or of a network that was trained again), and claims of finished units. What the user may choose to drop: the
full vectors of an epoch, by far the largest files. Labels, and so all charts but the drill-down, stay.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from interdash.files import stale_drafts
from interdash.packs import is_whole, pack, pack_name, pack_path
from interdash.parts import (
    Unit,
    discard_part,
    dropped,
    finished,
    is_there,
    label_folder,
    label_inputs,
    part_path,
    plan,
    read_part,
)
from interdash.runs import Run
from interdash.state import check_not_extracting
from interdash.store import OF_A_RUN


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
        drop: epochs of the target whose full vectors are not wanted any more.

    Raises:
        RuntimeError: an extraction of the run is at work.
        ValueError: the target has no checkpoint at an epoch to drop, or it is not labelled yet.
    """
    check_not_extracting(run)
    items = [_item("draft", path) for path in stale_drafts(run.path)]
    if not run.has_explained() or not run.is_finished("target"):
        return items  # recording: checkpoints may still change
    units, problems = plan(run)
    if not problems:  # else parts of a damaged checkpoint would look like orphans
        items += [_item("orphaned part", path) for path in orphaned_parts(run, units)]
        items += [_item("orphaned labels", path) for path in orphaned_labels(run, units)]
    unfinished = {unit.name for unit in set(units) - finished(run, units)}
    locks = sorted((run.parts_dir / "locks").glob("*-*.lock"))
    # the claim of a unit whose part is missing may be taken at this moment; that of a finished unit helps no one
    items += [_item("lock", path) for path in locks if path.stem not in unfinished]
    return items + _vectors(run, units, drop or set())


def delete(run: Run, items: list[Item]) -> int:
    """Returns the bytes that deleting these items freed; dropped vectors are noted in `run.json`."""
    planned = {part_path(run, unit): unit for unit in plan(run)[0]} if run.has_explained() else {}
    vectors = [item.path for item in items if item.kind == "vectors"]
    unwanted = {path.stem if path.suffix == ".zip" else pack_name(path.stem) for path in vectors}
    if unwanted:
        run.update(dropped_vectors=sorted(dropped(run) | unwanted))  # first: nothing is computed again by mistake
    for item in items:
        if item.path.is_dir():
            shutil.rmtree(item.path, ignore_errors=True)
        elif item.path in planned:
            discard_part(run, planned[item.path])
        else:
            item.path.unlink(missing_ok=True)
    return sum(item.bytes for item in items)


def wanted(run: Run, epochs: set[int]) -> list[int]:
    """Returns which of some epochs have vectors that were dropped."""
    gone = dropped(run)
    return sorted({unit.epoch for unit in plan(run)[0] if unit.epoch in epochs and pack_name(unit.name) in gone})


def want(run: Run, epochs: set[int]) -> list[int]:
    """Returns the epochs whose vectors had been dropped and will be computed by the next extraction."""
    again, gone = wanted(run, epochs), dropped(run)
    names = {pack_name(unit.name) for unit in plan(run)[0] if unit.epoch in again}
    run.update(dropped_vectors=sorted(gone - names) or None)
    return again


def orphaned_parts(run: Run, units: list[Unit]) -> list[Path]:
    """Returns parts and packs in a run's folder that belong to none of its units."""
    planned = {unit.name for unit in units}
    packed = {pack_name(name) for name in planned}
    loose = [path for path in sorted(run.parts_dir.glob("*.parquet")) if path.stem not in planned]
    return loose + [path for path in sorted(run.parts_dir.glob("*.zip")) if path.stem not in packed]


def orphaned_labels(run: Run, units: list[Unit]) -> list[Path]:
    """Returns folders of labels that belong to no checkpoint, or that newer ones stand beside."""
    rules = run.config.generalization
    current = {}
    for network, epoch in dict.fromkeys((unit.network, unit.epoch) for unit in units):
        inputs = label_inputs(units, network, epoch, rules)
        current[f"{network}-{epoch:05d}"] = label_folder(run, inputs, rules) if inputs else None
    found = []
    for folder in sorted(run.labels_dir.glob("[a-z]*-*")):
        what = folder.name.rpartition("-")[0]
        newest = current.get(what)
        if what not in OF_A_RUN and (what not in current or (newest not in (None, folder) and newest.exists())):
            found.append(folder)
    return found


def compact(run: Run) -> list[Path]:
    """Returns the packs made: one of the parts of each network and epoch that has more than one; see `packs`.

    Every part is read and verified first. After a kill the next call goes on.

    Raises:
        RuntimeError: an extraction of the run is at work.
        DamagedFileError: a part is damaged; its epoch stays as it is.
    """
    check_not_extracting(run)
    units, _ = plan(run)
    groups: dict[Path, list[Unit]] = {}
    for unit in units:
        groups.setdefault(pack_path(part_path(run, unit)), []).append(unit)
    made = []
    for path, group in groups.items():
        loose = [part_path(run, unit) for unit in group if part_path(run, unit).exists()]
        if len(group) > 1 and len(loose) == len(group):
            for unit in group:
                read_part(run, unit)
            made.append(pack(loose))
        elif loose and is_whole(path, {f"{unit.name}.parquet" for unit in group}):
            for part in loose:  # a kill came before they were deleted
                part.unlink(missing_ok=True)
    return made


def _vectors(run: Run, units: list[Unit], epochs: set[int]) -> list[Item]:
    target = [unit for unit in units if unit.network == "target"]
    rules, found = run.config.generalization, []
    for epoch in sorted(epochs):
        own = [unit for unit in target if unit.epoch == epoch]
        if not own:
            there = ", ".join(str(epoch) for epoch in run.checkpoint_epochs("target"))
            raise ValueError(f"the target of {run.name!r} has no checkpoint at epoch {epoch}; it has {there}")
        inputs = label_inputs(units, "target", epoch, rules)
        if not inputs or not label_folder(run, inputs, rules).exists():
            raise ValueError(
                f"epoch {epoch} of {run.name!r} has no labels yet, which are made from its vectors; "
                f"run `interdash extract {run.name}` first"
            )
        paths = [part_path(run, unit) for unit in own if is_there(run, unit)]
        found += [path for path in {*paths, *(pack_path(path) for path in paths)} if path.exists()]
    return [_item("vectors", path) for path in sorted(found)]


def _item(kind: str, path: Path) -> Item:
    files = [inner for inner in path.rglob("*") if inner.is_file()] if path.is_dir() else [path]
    return Item(kind, path, sum(file.stat().st_size for file in files))
