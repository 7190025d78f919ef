"""Engines: what takes units and gives each one's outcome as it is done. Here: this process, and worker processes.

An engine is a context that yields one function, `submit(units)`, which yields (unit, outcome) as units are done, in any
order; `outcome()` returns the unit's state or raises what went wrong with it. The third engine is `engine_dask`.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import torch

from interdash.computation import Setting, State, compute_unit
from interdash.parts import Unit

Submit = Callable[[Sequence[Unit]], Iterator[tuple[Unit, Callable[[], State]]]]


class WorkerLostError(RuntimeError):
    """The worker at a unit ended before the unit was done: killed by hand, for lack of memory, or with its node."""


@contextmanager
def in_process(setting: Setting) -> Iterator[Submit]:
    """Yields the engine that computes one unit after the other in this process."""
    yield lambda units: ((unit, lambda unit=unit: compute_unit(setting, unit)) for unit in units)


@contextmanager
def processes(setting: Setting, workers: int) -> Iterator[Submit]:
    """Yields the engine of worker processes with one torch thread each; a call after a loss starts new ones."""
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads in an unknown state
    pools: list[ProcessPoolExecutor] = []

    def submit(units: Sequence[Unit]) -> Iterator[tuple[Unit, Callable[[], State]]]:
        if not pools:
            pools.append(ProcessPoolExecutor(workers, context, _start_worker, (os.getpid(),)))
        try:
            futures = {pools[0].submit(compute_unit, setting, unit): unit for unit in units}
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


def _start_worker(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: do not outlive a killed parent
        if os.getppid() != parent:
            os._exit(1)
    torch.set_num_threads(1)
