"""Extraction: from checkpoints to parts. Masked inference and the sparse split, one unit of work at a time.

Units (see `parts`) are fixed, so that no number depends on how many workers there are or which unit came first. A unit
is claimed by a file lock, computed, and written in one step: whatever is killed loses only the units it was at, and two
extractions of one run share the work.
"""

import ctypes
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from interdash.config import RunConfig
from interdash.files import DamagedFileError, remove_drafts
from interdash.interactions import matched_outputs
from interdash.masking import masked_outputs
from interdash.parts import VECTORS, Unit, digest, discard_part, finished, is_there, plan, read_part, write_part
from interdash.rebuilding import logits_builder, network_builder
from interdash.runs import Run
from interdash.sparsify import sparse_split
from interdash.variables import Explained

State = Literal["computed", "there", "claimed"]
POLL_SECONDS = 0.2  # between looks at units that another extraction is computing
PROBE_SECONDS = 10.0  # longest probe for an estimate
IN_PROCESS_SECONDS = 10.0  # below this, starting workers (an import of torch each) costs more than it saves


@dataclass
class Outcome:
    """What an extraction did."""

    computed: list[Unit] = field(default_factory=list)
    found: list[Unit] = field(default_factory=list)  # finished before, or meanwhile by another extraction
    problems: list[str] = field(default_factory=list)  # damaged files: what was rebuilt, what could not be


@dataclass(frozen=True)
class Estimate:
    """What is left to extract and what it costs; times are for this machine."""

    units: int
    samples: int  # missing samples, summed over networks and epochs
    forward_passes: int
    bytes: int  # of the parts to be written, uncompressed; zstd takes off about a tenth
    seconds_per_sample: float  # of one worker
    seconds: float

    def __str__(self) -> str:
        """One line for people."""
        if self.units == 0:
            return "nothing, all units are there"
        return (
            f"{self.units} units, {self.samples:,} samples, {self.forward_passes:,} forward passes, about "
            f"{self.bytes / 1e6:,.0f} MB and {self.seconds:,.0f} s ({1000 * self.seconds_per_sample:.0f} ms a sample)"
        )


@dataclass(frozen=True)
class Setting:
    """Where and by what a unit is computed."""

    run: Run
    device: str = "cpu"
    spec: str | None = None  # "my_run.py:spec" of a user's run; None = as recorded
    network: Callable[[], nn.Module] | None = None  # builds the network of a user's run that has no spec file


def extract(
    run: Run,
    *,
    device: str = "cpu",
    workers: int | None = None,
    spec: str | None = None,
    network: Callable[[], nn.Module] | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[str, int], None] | None = None,
) -> Outcome:
    """Returns what was done to have all parts of a run; computes only what is missing.

    Args:
        run: the run, with checkpoints and explained samples.
        device: "cpu", "cuda", …; on anything but the CPU the units run in this process, one after the other.
        workers: processes with one torch thread each; 0 = this process; None = one for each core if that pays.
        spec: "my_run.py:spec" of a user's run; None = the file recorded with the run.
        network: builds the network of a user's run that was recorded without a file; units run in this process.
        progress: called with samples done and samples in all, over every network and epoch.
        on_epoch: called with network and epoch as soon as all parts of it are there, baselines first.

    Raises:
        ValueError: the network of a user's run cannot be built.
        OSError: the disk is full; finished units are safe.
        RuntimeError: a worker was killed, by hand or for lack of memory; finished units are safe.
    """
    units, problems = plan(run)
    outcome = Outcome(problems=problems)
    remove_drafts(run.parts_dir)
    outcome.problems += discard_damaged(run, units)
    setting = Setting(run, device, spec, network)
    with _announced(run):
        tracker = _Tracker(units, finished(run, units), outcome, progress, on_epoch)
        missing = [unit for unit in units if unit not in tracker.done]
        if missing:
            _work(setting, missing, _n_workers(setting, missing, workers), tracker)
    return outcome


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


def estimate(run: Run, *, device: str = "cpu", workers: int | None = None, spec: str | None = None) -> Estimate:
    """Returns what the missing units will cost, from a short probe on the last checkpoint of the target."""
    units, _ = plan(run)
    done = finished(run, units)
    missing = [unit for unit in units if unit not in done]
    n_samples = sum(unit.stop - unit.first for unit in missing)
    n_subsets = 2**run.config.masking.n_variables
    per_sample = _seconds_per_sample(Setting(run, device, spec), missing[-1]) if missing else 0.0
    workers = _cores(device) if workers is None else workers
    seconds = n_samples * per_sample / max(1, min(workers, len(missing)))
    return Estimate(
        units=len(missing),
        samples=n_samples,
        forward_passes=n_samples * n_subsets,
        bytes=n_samples * n_subsets * 8 * len(VECTORS),
        seconds_per_sample=per_sample,
        seconds=seconds,
    )


def compute_unit(setting: Setting, unit: Unit) -> State:
    """Returns "computed" after writing a unit's part, "there" if it existed, "claimed" if another process is at it.

    Raises:
        DamagedFileError: checkpoint or samples are damaged.
    """
    if is_there(setting.run, unit):
        return "there"
    try:
        with FileLock(setting.run.parts_dir / "locks" / f"{unit.name}.lock", timeout=0):
            if is_there(setting.run, unit):
                return "there"
            start = time.perf_counter()
            columns = _columns(setting, unit.network, unit.epoch, range(unit.first, unit.stop))
            arrays = {name: values.numpy() for name, values in columns.items()}
            write_part(setting.run, unit, arrays, seconds=time.perf_counter() - start)
            return "computed"
    except Timeout:
        return "claimed"


def _columns(setting: Setting, network: str, epoch: int, samples: range) -> dict[str, Tensor]:
    """Returns the columns of a part for some samples; with one torch thread on the CPU, so that every bit is fixed."""
    run, device = setting.run, setting.device
    config, explained, model = _materials(setting, run.explained_hash(), digest(run.manifest["config"]))
    model.load_state_dict(run.load_checkpoint(network, epoch))
    rows = list(samples)
    inputs, labels = explained.inputs[rows], explained.labels[rows]
    with _one_thread():
        v = masked_outputs(model, inputs, labels, explained.variables.select(rows), device=device)
        split = sparse_split(
            v.to(device),
            config.split.kappa,
            tie_break=config.split.tie_break,
            tolerance=config.split.tolerance,
            zeta=config.split.zeta,
        )
        with torch.inference_mode():
            model.to(device).eval()
            predicted = model(inputs.to(device)).argmax(1).cpu()
        found = {name: torch.as_tensor(getattr(split, name)).cpu() for name in _SPLIT_COLUMNS}
    matched = matched_outputs(found["i_and"], found["i_or"], v[:, 0])
    return {
        "sample": torch.tensor(rows),
        "label": labels,
        "predicted": predicted,
        "v_empty": v[:, 0],
        "v_full": v[:, -1],
        "residual": (matched + found["delta"] - v).abs().amax(1),
        "v": v,
        **found,
    }


_SPLIT_COLUMNS = ("i_and", "i_or", "delta", "objective", "lower_bound", "gap", "solved")


@lru_cache(maxsize=1)
def _materials(setting: Setting, explained_hash: str, config_hash: str) -> tuple[RunConfig, Explained, nn.Module]:
    """Returns configuration, explained samples and an empty network of the run, kept while a worker goes on with it."""
    run = setting.run
    build = network_builder(run, setting.spec) if setting.network is None else logits_builder(setting.network)
    return run.config, run.explained(), build()


@lru_cache(maxsize=4)
def _seconds_per_sample(setting: Setting, unit: Unit) -> float:
    samples = range(unit.first, unit.stop)
    start = time.perf_counter()
    _columns(setting, unit.network, unit.epoch, samples[:1])
    if (time.perf_counter() - start) * len(samples) > PROBE_SECONDS:
        samples = samples[:2]  # a whole unit, which is faster a sample, would take too long
    start = time.perf_counter()
    _columns(setting, unit.network, unit.epoch, samples)
    return (time.perf_counter() - start) / len(samples)


def _cores(device: str) -> int:
    """Returns the number of cores this process may use; 1 where a device other than the CPU does the work."""
    if torch.device(device).type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _n_workers(setting: Setting, missing: Sequence[Unit], workers: int | None) -> int:
    if torch.device(setting.device).type != "cpu" or setting.network is not None:
        return 0
    if workers is not None:
        return min(workers, len(missing))
    if _cores(setting.device) == 1 or len(missing) == 1:
        return 0
    n_samples = sum(unit.stop - unit.first for unit in missing)
    pays = n_samples * _seconds_per_sample(setting, missing[-1]) > IN_PROCESS_SECONDS
    return min(_cores(setting.device), len(missing)) if pays else 0


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # two are slower for n ≤ 12, and sums would depend on their number
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


def _work(setting: Setting, missing: Sequence[Unit], workers: int, tracker: _Tracker) -> None:
    """Computes missing units until every one is there, made by this extraction or by another."""
    todo = list(missing)
    with _runner(workers) as submit:
        while todo:
            claimed = []
            for unit, outcome in submit(setting, todo):
                try:
                    state = outcome()
                except DamagedFileError as error:
                    if (message := str(error)) not in tracker.outcome.problems:
                        tracker.outcome.problems.append(message)
                    continue
                if state == "claimed":
                    claimed.append(unit)
                else:
                    tracker.finish(unit, state)
            todo = claimed
            if todo:
                time.sleep(POLL_SECONDS)


_Submit = Callable[[Setting, Sequence[Unit]], Iterator[tuple[Unit, Callable[[], State]]]]


@contextmanager
def _runner(workers: int) -> Iterator[_Submit]:
    """Yields a function that computes units, here (no workers) or in processes, and gives each result when done."""
    if workers == 0:
        yield lambda setting, units: ((unit, lambda unit=unit: compute_unit(setting, unit)) for unit in units)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads in an unknown state
    pool = ProcessPoolExecutor(workers, context, _start_worker, (os.getpid(),))

    def submit(setting: Setting, units: Sequence[Unit]) -> Iterator[tuple[Unit, Callable[[], State]]]:
        futures = {pool.submit(compute_unit, setting, unit): unit for unit in units}
        for future in as_completed(futures):
            yield futures[future], future.result

    try:
        yield submit
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a worker process was killed, perhaps for lack of memory; finished units are safe: run the same command "
            "again, with fewer --workers if memory is short"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # the units at work are finished and kept


def _start_worker(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: do not outlive a killed parent
        if os.getppid() != parent:
            os._exit(1)
    torch.set_num_threads(1)


def remove_locks(run: Run) -> None:
    """Deletes the claims of a run whose parts are all there."""
    units, _ = plan(run)
    if len(finished(run, units)) == len(units):
        shutil.rmtree(run.parts_dir / "locks", ignore_errors=True)
