"""Verification: whether everything a run's folder should hold is there and as it was written. No torch.

Every byte is read: SHA-256 of checkpoints and samples, checksums of `run.json`, `samples.json`, every line of
`metrics.jsonl` and every page of every part and label, and the columns of each table against `schema.sql`. What is
missing is told apart from what is damaged, what was left over from what was never made.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from interdash.runs import samples
from interdash.runs.files import DamagedFileError, checksum_holds
from interdash.runs.parts import VECTORS, Unit, is_there, pack_path, part_path, read_part
from interdash.runs.plan import Plan, plan
from interdash.runs.run import Run
from interdash.runs.tables import has_whole_bytes, read_table
from interdash.store.database import FACTS, OF_A_RUN, TABLES, open_sealed, open_store
from interdash.store.export import column_units
from interdash.store.loading import lacking
from interdash.upkeep.retention import orphaned_labels, orphaned_parts

Progress = Callable[[int, int], None]
OF_A_UNIT = ("run", "network", "epoch")  # columns of a table that its files do not repeat


@dataclass
class Report:
    """What a verification found; messages name the file and what to do."""

    run: str
    checked: int = 0  # files read
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)  # harmless; `interdash gc` deletes it
    unverified: list[str] = field(default_factory=list)  # by an older interdash, without checksums

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged and nothing is missing."""
        return not self.damaged and not self.missing

    def check(self, look: Callable[..., object], *arguments: object) -> bool:
        """Returns whether a look at a file found no damage; counts the file, and notes what was found."""
        self.checked += 1
        try:
            look(*arguments)
        except FileNotFoundError as error:
            self.missing.append(str(error))
        except (DamagedFileError, OSError) as error:
            self.damaged.append(str(error))
        else:
            return True
        return False


def verify(run: Run, progress: Progress | None = None) -> Report:
    """Returns what is damaged, missing or left over in a run's folder.

    Args:
        run: the run; nothing is written into it.
        progress: called with files read and files in all.
    """
    report = Report(run.name)
    if not report.check(_manifest, run):
        return report  # without a configuration nothing can be said about the rest
    report.check(_sealed_manifest, run)
    report.check(_metrics, run, report)
    for network in run.networks():
        for epoch in run.checkpoint_epochs(network):
            report.check(_checkpoint, run, network, epoch)
    _expected(run, report)
    for path in sorted(run.path.glob("*.duckdb")):
        report.check(_sealed, path)
    drawn = run.has_explained() or run.is_finished("target")  # else the training goes on
    if not drawn or not report.check(_samples, run):
        return report
    planned = plan(run)
    report.damaged += [problem for problem in planned.problems if problem not in report.damaged]
    _parts(planned, report, progress)
    _labels(planned, report)
    return report


def _manifest(run: Run) -> None:
    _ = run.manifest
    try:
        _ = run.config, run.class_names
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(f"the configuration in {run.path / 'run.json'} is damaged ({error})") from error


def _sealed_manifest(run: Run) -> None:
    if checksum_holds(run.manifest) is None:
        raise DamagedFileError(
            f"{run.path / 'run.json'} has no checksum: an older interdash wrote it, or it was edited; "
            f"`interdash extract {run.name}` writes one"
        )


def _metrics(run: Run, report: Report) -> None:
    path = run.path / "metrics.jsonl"
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}, the losses; copy the run again from where it was made")
    losses = run.metrics()
    *lines, last = path.read_bytes().split(b"\n")
    if last and run.is_finished("target"):
        raise DamagedFileError(f"{path}: the last line is torn; copy it again from where the run was made")
    bare = [number for number, line in enumerate(lines, start=1) if checksum_holds(json.loads(line)) is None]
    if bare and len(bare) == len(lines):
        report.unverified.append(f"{path}: written by an older interdash, which wrote no checksums")
    elif bare:
        raise DamagedFileError(f"{path}: the lines {_listed(bare)} have lost their checksum; copy it again")
    known = set(zip(losses["network"], losses["epoch"], strict=True))
    for network in run.networks():
        if lost := [epoch for epoch in run.checkpoint_epochs(network) if (network, epoch) not in known]:
            raise DamagedFileError(f"{path} lacks the losses of {network} at the recorded epochs {_listed(lost)}")


def _checkpoint(run: Run, network: str, epoch: int) -> None:
    path, sha256 = run.checkpoint_path(network, epoch), run.checkpoint_hash(network, epoch)
    if _sha256(path) != sha256:
        raise DamagedFileError(f"{path} is damaged: its SHA-256 is not {sha256[:12]}…, as recorded; copy it again")


def _expected(run: Run, report: Report) -> None:
    """Notes checkpoints of a network whose training is over that are recorded and not there."""
    for network, state in run.manifest["networks"].items():
        recorded = {int(path.stem) for path in (run.path / "checkpoints" / network).glob("*.sha256")}
        lost = sorted(recorded - set(run.checkpoint_epochs(network)))
        if state == "finished" and (lost or not recorded):
            which = (
                f"the checkpoints of {network} at epochs {_listed(lost)}" if lost else f"every checkpoint of {network}"
            )
            report.missing.append(f"{which} in {run.path}; copy the run again from where it was made")


def _samples(run: Run) -> None:
    words = samples.description(run.path)
    tensors = run.path / "samples.safetensors"
    if not tensors.exists() or _sha256(tensors) != words["sha256"]:
        raise DamagedFileError(f"{tensors} is damaged; copy it again from where the run was made")


def _sealed(path: Path) -> None:
    with closing(open_sealed(path)) as store, store.cursor() as cursor:
        try:
            for table in TABLES:
                for _ in store.rows(cursor, table):
                    pass  # every block's checksum is verified as it is read
        except Exception as error:  # DuckDB's own, which only the store knows
            reason = str(error).splitlines()[0]
            remedy = f"make it again with `interdash load {path.stem}`"
            raise DamagedFileError(f"{path} is damaged ({reason}); {remedy}") from error


def _parts(planned: Plan, report: Report, progress: Progress | None) -> None:
    run, done = planned.run, 0
    for (network, epoch), units in planned.pairs.items():
        pack = pack_path(run, units[0])
        if pack.exists():
            report.check(_bytes, pack, report)
        missing = 0
        for unit in units:
            if is_there(run, unit):
                report.check(_part, run, unit, report)
            else:
                missing += 1
            done += 1
            if progress is not None:
                progress(done, len(planned.units))
        if missing and units[0].pack not in run.dropped:
            report.missing.append(
                f"{missing} units of {network} at epoch {epoch}; `interdash extract {run.name}` computes them"
            )
    report.left_over += [str(path) for path in orphaned_parts(planned)]


def _part(run: Run, unit: Unit, report: Report) -> None:
    if (path := part_path(run, unit)).exists():  # else in the pack
        _bytes(path, report)
    columns, n_subsets = read_part(run, unit), 2**run.config.masking.n_variables
    if any(columns[name].shape != (unit.stop - unit.first, n_subsets) for name in VECTORS):
        raise DamagedFileError(
            f"{path} has vectors of another length than {n_subsets}; delete it and make it again with "
            f"`interdash extract {run.name}`"
        )


def _labels(planned: Plan, report: Report) -> None:
    columns, run, lost = _columns(), planned.run, []
    for network, epoch in planned.pairs:
        folder = planned.folder(network, epoch)
        if folder is None:
            continue  # no baseline yet
        if folder.exists():
            for table in (table for table in FACTS if table not in lacking(folder)):
                report.check(_table, folder / f"{table}.parquet", columns[table], report)
        else:
            lost.append(f"{network} at epoch {epoch}")
    for table in OF_A_RUN:
        folders = sorted(run.labels_dir.glob(f"{table}-*"))
        for folder in folders:
            report.check(_table, folder / f"{table}.parquet", columns[table], report)
        if not folders and table == "samples" and planned.units:
            lost.append("the explained samples")
    if lost:
        report.missing.append(f"labels of {_listed(lost)}; `interdash extract {run.name}` makes them")
    report.left_over += [str(path) for path in orphaned_labels(planned)]


@cache
def _columns() -> dict[str, set[str]]:
    """Returns the columns that the file of each table must have."""
    store = open_store()
    units = column_units(store)
    store.close()
    return {
        str(table): {
            name for name in rows["column_name"] if name not in OF_A_UNIT[: 1 if table in OF_A_RUN else len(OF_A_UNIT)]
        }
        for table, rows in units.groupby("table_name")
    }


def _table(path: Path, columns: set[str], report: Report) -> None:
    _bytes(path, report)
    table = read_table(path)
    if set(table.column_names) != columns:
        wrong = sorted(set(table.column_names) ^ columns)
        raise DamagedFileError(f"{path} has other columns than this version's ({_listed(wrong)}); make it again")


def _bytes(path: Path, report: Report) -> None:
    whole = has_whole_bytes(path)
    if whole is None:
        report.unverified.append(f"{path}: written by an older interdash, without a SHA-256; its rows are verified")
    elif not whole:
        raise DamagedFileError(f"{path} is damaged (its SHA-256 is not as recorded); delete it and make it again")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listed(values: Sequence[object]) -> str:
    """Returns the first values as text, and how many there are if they are more."""
    text = ", ".join(map(str, values[:5]))
    return text if len(values) <= 5 else f"{text}, … ({len(values)})"
