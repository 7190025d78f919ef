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
from typing import Literal

import torch
from filelock import FileLock, Timeout
from torch import nn

from interdash import engine_dask, engines
from interdash.computation import Setting, State, seconds_per_sample
from interdash.engine_dask import Cluster
from interdash.files import DamagedFileError, remove_drafts
from interdash.parts import VECTORS, Unit, discard_part, finished, plan, read_part
from interdash.runs import Run

Engine = Literal["local", "processes", "dask"]
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
        told = (
            f"{self.units} units, {self.samples:,} samples, {self.forward_passes:,} forward passes, about "
            f"{self.bytes / 1e6:,.0f} MB"
        )
        if self.seconds is None or self.seconds_per_sample is None:
            return told
        return f"{told} and {self.seconds:,.0f} s ({1000 * self.seconds_per_sample:.0f} ms a sample)"


def extract(
    run: Run,
    *,
    device: str = "cpu",
    workers: int | None = None,
    engine: Engine | None = None,
    cluster: Cluster | None = None,
    shard: tuple[int, int] | None = None,
    spec: str | None = None,
    network: Callable[[], nn.Module] | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[str, int], None] | None = None,
) -> Outcome:
    """Returns what was done to have all parts of a run; computes only what is missing.

    Args:
        run: the run, with checkpoints and explained samples.
        device: "cpu", "cuda", …; on anything but the CPU one worker does the units, one after the other.
        workers: processes with one torch thread each; 0 = this process; None = one for each core if that pays.
        engine: "local" = this process, "processes", "dask"; None = local or processes, by `workers`.
        cluster: with dask: the scheduler, what a unit needs, and the address for workers without a shared folder.
        shard: (i, N): only every N-th unit, from the i-th on, 1 ≤ i ≤ N.
        spec: "my_run.py:spec" of a user's run; None = the file recorded with the run.
        network: builds the network of a user's run that was recorded without a file; units run in this process.
        progress: called with samples done and samples in all, over every network and epoch (of the shard).
        on_epoch: called with network and epoch as soon as all its parts (of the shard) are there, baselines first.

    Raises:
        ValueError: the network of a user's run cannot be built, or engine and other arguments do not go together.
        OSError: the disk is full; finished units are safe.
        RuntimeError: workers were killed again and again, or no worker can do the units; finished units are safe.
        ImportError: dask is not installed.
    """
    units, problems = _planned(run, shard)
    outcome = Outcome(problems=problems)
    remove_drafts(run.parts_dir)
    outcome.problems += discard_damaged(run, units)
    setting = Setting(run, device, spec, network)
    with _announced(run):
        tracker = _Tracker(units, finished(run, units), outcome, progress, on_epoch)
        missing = [unit for unit in units if unit not in tracker.done]
        if missing:
            _work(_engine(setting, missing, engine, workers, cluster), missing, tracker)
    return outcome


def parse_shard(text: str) -> tuple[int, int]:
    """Returns i and N of a shard written as "i/N".

    >>> parse_shard("3/16")
    (3, 16)

    Raises:
        ValueError: it is not written so, or i is not from 1 to N.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"{text!r} is no shard; write i/N with i from 1 to N, such as 3/16")
    return int(found[1]), int(found[2])


def _planned(run: Run, shard: tuple[int, int] | None) -> tuple[list[Unit], list[str]]:
    units, problems = plan(run)
    return (units, problems) if shard is None else (units[shard[0] - 1 :: shard[1]], problems)


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


def estimate(
    run: Run,
    *,
    device: str = "cpu",
    workers: int | None = None,
    shard: tuple[int, int] | None = None,
    spec: str | None = None,
    probe: bool = True,
) -> Estimate:
    """Returns what the missing units will cost; the time from a short probe on the last checkpoint of the target.

    Without `probe` nothing is computed here, for units that go to other machines.
    """
    units, _ = _planned(run, shard)
    done = finished(run, units)
    missing = [unit for unit in units if unit not in done]
    n_samples = sum(unit.stop - unit.first for unit in missing)
    n_subsets = 2**run.config.masking.n_variables
    per_sample = 0.0 if probe or not missing else None
    if probe and missing:
        per_sample = seconds_per_sample(Setting(run, device, spec), missing[-1])
    workers = _cores(device) if workers is None else workers
    seconds = None if per_sample is None else n_samples * per_sample / max(1, min(workers, len(missing)))
    return Estimate(
        units=len(missing),
        samples=n_samples,
        forward_passes=n_samples * n_subsets,
        bytes=n_samples * n_subsets * 8 * len(VECTORS),
        seconds_per_sample=per_sample,
        seconds=seconds,
    )


def _cores(device: str) -> int:
    """Returns the number of cores this process may use; 1 where a device other than the CPU does the work."""
    if torch.device(device).type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _engine(
    setting: Setting, missing: Sequence[Unit], engine: Engine | None, workers: int | None, cluster: Cluster | None
) -> AbstractContextManager[engines.Submit]:
    """Returns the engine asked for, or the one that pays."""
    if setting.network is not None and engine in ("processes", "dask"):
        raise ValueError(
            f"a network passed as a function is built in this process, not by the engine {engine!r}; "
            "use the engine 'local', or write a spec file and name it with spec"
        )
    most = min(_cores(setting.device) if workers is None else workers, len(missing))
    if engine == "dask":
        return engine_dask.dask(setting, max(1, most), cluster or Cluster())
    if cluster is not None:
        raise ValueError(f"a cluster goes with the engine 'dask', not with {engine!r}")
    if engine == "processes":
        return engines.processes(setting, max(1, most))
    if engine == "local" or most == 0 or setting.network is not None or torch.device(setting.device).type != "cpu":
        return engines.in_process(setting)
    if workers is None:
        n_samples = sum(unit.stop - unit.first for unit in missing)
        if most == 1 or n_samples * seconds_per_sample(setting, missing[-1]) <= IN_PROCESS_SECONDS:
            return engines.in_process(setting)
    return engines.processes(setting, most)


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


def _work(engine: AbstractContextManager[engines.Submit], missing: Sequence[Unit], tracker: _Tracker) -> None:
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


def remove_locks(run: Run) -> None:
    """Deletes the claims of a run whose parts are all there."""
    units, _ = plan(run)
    if len(finished(run, units)) == len(units):
        shutil.rmtree(run.parts_dir / "locks", ignore_errors=True)
