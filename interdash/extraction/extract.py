"""Extraction: from checkpoints to parts. What is missing is handed to an engine, what is done is counted and told.

Units (see `parts`) are fixed, so that no number depends on how many workers there are, which engine drives them or
which unit came first. Two extractions of one run share the work.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field

import torch
from filelock import FileLock, Timeout

from interdash.extraction import engines
from interdash.extraction.unit import State, seconds_per_sample
from interdash.extraction.work import Work
from interdash.runs.files import DamagedFileError, remove_drafts
from interdash.runs.packs import unpack_zips
from interdash.runs.parts import VECTORS, Unit, discard_part, finished, read_part
from interdash.runs.plan import Plan, plan
from interdash.runs.run import Run

POLL_SECONDS = 0.2  # between looks at units that another extraction is computing
IN_PROCESS_SECONDS = 10.0  # below this, starting workers (an import of torch each) costs more than it saves
LOSSES = 4  # rounds in a row in which workers were lost and no unit was finished, before giving up


@dataclass
class Outcome:
    """What an extraction did."""

    computed: list[Unit] = field(default_factory=list)
    found: list[Unit] = field(default_factory=list)  # finished before, or meanwhile by another extraction
    problems: list[str] = field(default_factory=list)  # damaged files: what was rebuilt, what could not be


@dataclass(frozen=True)
class Estimate:
    """What is left to extract and what it costs; times are for this machine, None if nothing was measured."""

    units: int
    samples: int  # missing samples, summed over networks and epochs
    forward_passes: int
    bytes: int  # of the parts to be written, uncompressed; zstd takes off about a tenth
    seconds_per_sample: float | None  # of one worker
    seconds: float | None

    def __str__(self) -> str:
        """One line for people."""
        if self.units == 0:
            return "nothing, all units are there"
        text = (
            f"{self.units} units, {self.samples:,} samples, {self.forward_passes:,} forward passes, about "
            f"{self.bytes / 1e6:,.0f} MB"
        )
        if self.seconds is None or self.seconds_per_sample is None:
            return text
        return f"{text} and {self.seconds:,.0f} s ({1000 * self.seconds_per_sample:.0f} ms a sample)"


def extract(
    work: Work,
    planned: Plan | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[str, int], None] | None = None,
) -> Outcome:
    """Returns what was done to have all parts of a run; computes only what is missing.

    Args:
        work: the run, with checkpoints and explained samples, and what computes its units.
        planned: the run's plan, if it is at hand.
        progress: called with samples done and samples in all, over every network and epoch (of the shard).
        on_epoch: called with network and epoch as soon as all its parts (of the shard) are there, baselines first.

    Raises:
        ValueError: the network of a user's run cannot be built, or engine and other arguments do not go together.
        OSError: the disk is full; finished units are safe.
        RuntimeError: workers were killed again and again, or no worker can do the units; finished units are safe.
        ImportError: dask is not installed.
    """
    run = work.run
    planned = _shard(planned or plan(run), work)
    outcome = Outcome(problems=[*planned.problems, *unpack_zips(run)])
    remove_drafts(run.parts_dir)
    outcome.problems += discard_damaged(run, planned.units)
    with _announced(run):
        tracker = _Tracker(planned.units, planned.finished(), outcome, progress, on_epoch)
        missing = [unit for unit in planned.units if unit not in tracker.done]
        if missing:
            _compute(_engine(work, missing), missing, tracker)
    return outcome


def parse_shard(text: str) -> tuple[int, int]:
    """Returns i and N of a shard written as "i/N".

    >>> parse_shard("3/16")
    (3, 16)

    Raises:
        ValueError: it is not written so, or i is not from 1 to N.
    """
    numbers = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not numbers or not 1 <= int(numbers[1]) <= int(numbers[2]):
        raise ValueError(f"{text!r} is no shard; write i/N with i from 1 to N, such as 3/16")
    return int(numbers[1]), int(numbers[2])


def _shard(planned: Plan, work: Work) -> Plan:
    return planned if work.shard is None else planned.shard(*work.shard)


def discard_damaged(run: Run, units: Sequence[Unit]) -> list[str]:
    """Returns messages about the damaged parts among the units' parts, which are deleted to be computed again."""

    def check(unit: Unit) -> str | None:
        try:
            read_part(run, unit)
        except FileNotFoundError:
            return None
        except DamagedFileError as error:
            discard_part(run, unit)
            return f"{error.args[0].split(';')[0]}; it is computed again"
        return None

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return [
            message for message in pool.map(check, sorted(finished(run, units), key=lambda unit: unit.name)) if message
        ]


def estimate(work: Work, *, probe: bool = True) -> Estimate:
    """Returns what the missing units will cost; the time from a short probe on the last checkpoint of the target.

    Without `probe` nothing is computed here, for units that go to other machines. The ZIP packs of an older interdash
    are unpacked first, so that their parts count.
    """
    unpack_zips(work.run)
    missing = _shard(plan(work.run), work).missing()
    n_samples = sum(unit.stop - unit.first for unit in missing)
    n_subsets = 2**work.run.config.masking.n_variables
    per_sample = 0.0 if probe or not missing else None
    if probe and missing:
        per_sample = seconds_per_sample(work, missing[-1])
    seconds = None if per_sample is None else n_samples * per_sample / max(1, _workers(work, missing))
    return Estimate(
        units=len(missing),
        samples=n_samples,
        forward_passes=n_samples * n_subsets,
        bytes=n_samples * n_subsets * 8 * len(VECTORS),
        seconds_per_sample=per_sample,
        seconds=seconds,
    )


def _workers(work: Work, missing: Sequence[Unit]) -> int:
    """Returns how many workers have something to do: as asked for, else one a core, 1 where a device does the work."""
    if work.workers is not None:
        count = work.workers
    elif torch.device(work.device).type != "cpu":
        count = 1
    else:
        count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, len(missing))


def _engine(work: Work, missing: Sequence[Unit]) -> AbstractContextManager[engines.Submit]:
    """Returns the engine asked for, or the faster one."""
    if work.network is not None and work.engine in ("processes", "dask"):
        raise ValueError(
            f"a network passed as a function is built in this process, not by the engine {work.engine!r}; "
            "use the engine 'local', or write a spec file and name it with spec"
        )
    most = _workers(work, missing)
    if work.engine == "dask":
        from interdash.extraction import dask  # with psutil and more, which the others do not need

        return dask.dask(work, max(1, most))
    if work.cluster is not None:
        raise ValueError(f"a cluster goes with the engine 'dask', not with {work.engine!r}")
    if work.engine == "processes":
        return engines.processes(work, max(1, most))
    if torch.device(work.device).type != "cpu":
        return engines.on_device(work)
    if work.engine == "local" or most == 0 or work.network is not None:
        return engines.in_process(work)
    if work.workers is None:
        n_samples = sum(unit.stop - unit.first for unit in missing)
        if most == 1 or n_samples * seconds_per_sample(work, missing[-1]) <= IN_PROCESS_SECONDS:
            return engines.in_process(work)
    return engines.processes(work, most)


@contextmanager
def _announced(run: Run) -> Iterator[None]:
    """Holds the lock that tells others of an extraction, if no other extraction holds it."""
    lock = FileLock(run.parts_dir / "locks" / "extraction.lock", timeout=0.5)
    with suppress(Timeout):  # another extraction is at work: its units are shared
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _Tracker:
    """Counts finished units, tells of progress and of (network, epoch) pairs that have become complete."""

    def __init__(
        self,
        units: Sequence[Unit],
        done: set[Unit],
        outcome: Outcome,
        progress: Callable[[int, int], None] | None,
        on_epoch: Callable[[str, int], None] | None,
    ) -> None:
        self.done, self.outcome = set(done), outcome
        self.progress, self.on_epoch = progress, on_epoch
        self.n_samples = sum(unit.stop - unit.first for unit in units)
        self.n_done = sum(unit.stop - unit.first for unit in done)
        self.left: dict[tuple[str, int], int] = {}
        for unit in units:
            self.left.setdefault((unit.network, unit.epoch), 0)
            self.left[unit.network, unit.epoch] += unit not in done
        outcome.found += [unit for unit in units if unit in done]
        for (network, epoch), left in self.left.items():
            if left == 0 and on_epoch is not None:
                on_epoch(network, epoch)
        self._report()

    def finish(self, unit: Unit, state: State) -> None:
        """Counts a unit that this extraction ("computed") or another one ("there") finished."""
        self.done.add(unit)
        self.n_done += unit.stop - unit.first
        (self.outcome.computed if state == "computed" else self.outcome.found).append(unit)
        self._report()
        self.left[unit.network, unit.epoch] -= 1
        if self.left[unit.network, unit.epoch] == 0 and self.on_epoch is not None:
            self.on_epoch(unit.network, unit.epoch)

    def _report(self) -> None:
        if self.progress is not None:
            self.progress(self.n_done, self.n_samples)


def _compute(engine: AbstractContextManager[engines.Submit], missing: Sequence[Unit], tracker: _Tracker) -> None:
    """Computes missing units until every one is there, made by this extraction or by another.

    Raises:
        RuntimeError: workers were lost `LOSSES` times in a row without a finished unit between.
    """
    todo, losses = list(missing), 0
    with engine as submit:
        while todo:
            again, lost, done = [], False, len(tracker.done)
            for unit, outcome in submit(todo):
                try:
                    state = outcome()
                except engines.WorkerLostError:
                    state, lost = "claimed", True
                except DamagedFileError as error:
                    if (message := str(error)) not in tracker.outcome.problems:
                        tracker.outcome.problems.append(message)
                    continue
                if state == "claimed":
                    again.append(unit)
                else:
                    tracker.finish(unit, state)
            losses = losses + 1 if lost and len(tracker.done) == done else 0
            if losses == LOSSES:
                raise RuntimeError(
                    f"a worker process was killed, perhaps for lack of memory, {LOSSES} times in a row; finished units "
                    "are safe: run the same command again, with fewer --workers if memory is short"
                )
            todo = again
            if todo:
                time.sleep(POLL_SECONDS)


def remove_locks(planned: Plan) -> None:
    """Deletes the claims of a run whose parts are all there."""
    if not planned.missing():
        shutil.rmtree(planned.run.parts_dir / "locks", ignore_errors=True)
