"""Engines: what takes units and gives each one's outcome as it is done. Here: this process, a GPU, worker processes.

An engine is a context that yields one function, `submit(units)`, which yields (unit, outcome) as units are done, in any
order; `outcome()` returns the unit's state or raises what went wrong with it. The fourth engine is `dask`.
"""

import multiprocessing
import multiprocessing.context
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait

import torch

from interdash.extraction.unit import State, compute_unit, compute_units
from interdash.extraction.work import Work
from interdash.runs.parts import Unit
from interdash.runs.plan import SAMPLES_PER_UNIT
from interdash.solver.sparsify import samples_at_once

MOST_SAMPLES = 1000  # computed together by a GPU, lost together if it is killed
MOST_ENTRIES = 2**24  # … and of their 2^n outputs, of which the host's memory holds some arrays
Submit = Callable[[Sequence[Unit]], Iterator[tuple[Unit, Callable[[], State]]]]


class WorkerLostError(RuntimeError):
    """The worker at a unit ended before the unit was done: killed by hand, for lack of memory, or with its node."""


@contextmanager
def in_process(work: Work) -> Iterator[Submit]:
    """Yields the engine that computes one unit after the other in this process."""
    yield lambda units: ((unit, lambda unit=unit: compute_unit(work, unit)) for unit in units)


@contextmanager
def on_device(work: Work) -> Iterator[Submit]:
    """Yields the engine of a GPU: units are split together, and written while it computes the next ones."""

    def submit(units: Sequence[Unit]) -> Iterator[tuple[Unit, Callable[[], State]]]:
        size, being_written = units_at_once(work), []
        for first in range(0, len(units), size):
            computed = compute_units(work, units[first : first + size], writer)
            yield from being_written
            being_written = computed
        yield from being_written

    with ThreadPoolExecutor(1) as writer:
        yield submit


def units_at_once(work: Work) -> int:
    """Returns how many units a GPU computes together: what its memory allows, and no more than may be lost with it."""
    config = work.run.config
    if config.split.zeta == "mean":  # over the samples of one split, which are those of a unit
        return 1
    n = config.masking.n_variables
    samples = min(samples_at_once(n, work.device, config.split.tolerance), MOST_SAMPLES, MOST_ENTRIES >> n)
    return max(1, samples // SAMPLES_PER_UNIT)


@contextmanager
def processes(work: Work, workers: int) -> Iterator[Submit]:
    """Yields the engine of worker processes with one torch thread each; a call after a loss starts new ones."""
    context = _context()
    pools: list[ProcessPoolExecutor] = []

    def submit(units: Sequence[Unit]) -> Iterator[tuple[Unit, Callable[[], State]]]:
        if not pools:
            pools.append(ProcessPoolExecutor(workers, context, _start_worker))
        try:
            futures = {pools[0].submit(compute_unit, work, unit): unit for unit in units}
        except BrokenProcessPool:  # a worker was killed while the units were handed in
            yield from ((unit, _lost) for unit in units)
            futures = {}
        broken = not futures
        for future in as_completed(futures):
            lost = isinstance(future.exception(), BrokenProcessPool)
            broken |= lost
            yield futures[future], _lost if lost else future.result
        if broken and units:
            pools.pop().shutdown(wait=True)

    try:
        yield submit
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)  # the units at work are finished and kept


def _lost() -> State:
    raise WorkerLostError("a worker process was killed")


def _context() -> multiprocessing.context.BaseContext:
    """Returns how workers start: forked from a server that has imported torch once for all, where there is one.

    A fork of this process would copy torch's threads in an unknown state; the server has none.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    """Ends this worker, at whatever it is, when the process that started it has ended, killed or not."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
