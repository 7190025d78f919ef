"""The engine for several machines: Dask distributed, the optional extra `interdash[cluster]`.

Units go to the workers as names and numbers; what comes back is one word a unit. Checkpoints and parts lie in the run's
folder, which the workers share, or are handed over at an fsspec address (see `remote`). A worker shows with every unit
that it has the driver's code and sees the driver's run, so that one that joins late or differs is found out.
"""

import hashlib
import logging
import os
import queue
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch

from interdash.extraction import remote
from interdash.extraction.engines import Submit, WorkerLostError
from interdash.extraction.unit import State, compute_unit
from interdash.extraction.work import Cluster, Work
from interdash.home import PACKAGE, SHIPPED
from interdash.runs.files import DamagedFileError
from interdash.runs.parts import Unit, is_there, part_path
from interdash.runs.plan import unit_key
from interdash.runs.run import Run
from interdash.training.devices import check_device

if TYPE_CHECKING:
    from distributed import Client, Future

INSTALL = "pip install 'interdash[cluster]'"
# As they come, Dask's workers hand memory back at once, and a profiler looks at the working thread a hundred times a
# second: a unit takes up to twice as long (docs/cluster.md).
UNDISTURBED = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "500ms"}


class WrongWorkerError(RuntimeError):
    """A worker has other code, sees another run, or lacks the device that the driver asks for."""


@contextmanager
def dask(work: Work, workers: int) -> Iterator[Submit]:
    """Yields the engine of Dask workers: `workers` processes of this machine, or those of an existing scheduler.

    Raises:
        ImportError: dask is not installed.
        RuntimeError: no scheduler answers, or no worker can do the units.
    """
    try:
        import distributed
    except ImportError as error:
        raise ImportError(f"the engine dask is an optional extra; install it with {INSTALL}") from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said here, in our words
    run, cluster = work.run, work.cluster or Cluster()
    work = replace(work, run=Run(run.path.resolve()), cluster=cluster)
    if cluster.via:
        remote.send_run(run, cluster.via)

    def submit(units: Sequence[Unit]) -> Iterator[tuple[Unit, Callable[[], State]]]:
        there = remote.parts_there(run, cluster.via) if cluster.via else set()
        for unit in (unit for unit in units if unit.name in there):
            yield unit, lambda unit=unit: _received(run, unit, "there", cluster)
        left = [unit for unit in units if unit.name not in there]
        arrived: queue.SimpleQueue[Future] = queue.SimpleQueue()
        needs = dict(cluster.needs) or None
        sent = client.map(_compute, left, pure=False, resources=needs, **shared) if left else []
        futures = dict(zip(sent, left, strict=True))
        for future in futures:
            future.add_done_callback(arrived.put)
        last_able, waiting = time.monotonic(), len(futures)
        while waiting:
            try:
                future = arrived.get(timeout=min(1.0, cluster.wait))
            except queue.Empty:
                last_able = _look_at_workers(client, cluster, last_able)
                continue
            last_able, waiting = time.monotonic(), waiting - 1
            unit = futures.pop(future)
            yield unit, lambda unit=unit, future=future: _received(run, unit, _state(future), cluster)

    shared: dict[str, Any] = {"work": work, "code": code_hash()}
    with _client(distributed, workers, cluster, work.device) as client:
        yield submit


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Returns a hash of the package's own Python files, pages apart, as 12 hex digits."""
    folder = PACKAGE
    files = sorted(file for file in folder.rglob("*.py") if SHIPPED not in file.parents)
    lines = [f"{file.relative_to(folder).as_posix()} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _compute(unit: Unit, *, work: Work, code: str) -> State:
    """Returns what became of a unit; runs on a worker."""
    from distributed import get_worker

    worker = get_worker()
    place = f"worker {worker.address} on {socket.gethostname()}"
    if code_hash() != code:
        raise WrongWorkerError(
            f"{place} runs other code of interdash (hash {code_hash()}, here {code}); install the same version there "
            "and start the worker again"
        )
    try:
        check_device(work.device)
    except ValueError as error:
        raise WrongWorkerError(f"{place}: {error}") from error
    run, via = work.run, work.cluster.via if work.cluster else None
    if via:
        run = remote.receive_run(run.name, unit, via, Path(worker.local_directory).parent / "interdash")
    try:
        same = unit_key(run, unit.network, unit.epoch) == unit.key
    except (OSError, DamagedFileError, ValueError):
        same = False
    if not same:
        raise WrongWorkerError(
            f"{place} does not see the run in {run.path} as it is here; mount the folder of runs there at the same "
            "path, or hand the run over at an address with --via s3://…"
        )
    state = compute_unit(replace(work, run=run), unit)
    if via and state != "claimed":
        remote.send_part(run, unit, via)
    return state


def _state(future: "Future") -> State:
    """Returns the state that a worker reported.

    Raises:
        WorkerLostError: workers died at this unit.
        WrongWorkerError: see `_compute`, or the worker cannot even read the task.
        RuntimeError: the scheduler is gone.
    """
    from distributed import CancelledError, KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise WorkerLostError(str(error)) from error
    except (ImportError, AttributeError) as error:
        if "interdash" not in str(error):
            raise
        raise WrongWorkerError(
            f"a worker lacks this version of interdash ({error}); install the same version there and start it again"
        ) from error
    except CancelledError as error:
        raise RuntimeError(
            "the scheduler dropped the units or is gone; finished units are safe: run the same command again"
        ) from error


def _received(run: Run, unit: Unit, state: State, cluster: Cluster) -> State:
    """Returns the state after the part of a finished unit is in the run's folder.

    Raises:
        WorkerLostError: the part at the address was damaged, and is deleted.
        WrongWorkerError: the part does not appear here.
    """
    if state == "claimed":
        return state
    if cluster.via:
        try:
            remote.receive_part(run, unit, cluster.via)
        except DamagedFileError as error:
            raise WorkerLostError(str(error)) from error
        return state
    path, deadline = part_path(run, unit), time.monotonic() + cluster.wait
    while not is_there(run, unit):  # a network file system may show it some seconds later
        if time.monotonic() > deadline:
            raise WrongWorkerError(
                f"a worker wrote {path}, which does not appear here: it has a copy of the run, not the same folder; "
                "mount the same folder there, or hand the run over at an address with --via s3://…"
            )
        time.sleep(0.1)
    return state


@contextmanager
def _client(distributed: Any, workers: int, cluster: Cluster, device: str = "cpu") -> "Iterator[Client]":
    if cluster.scheduler:
        try:
            client = distributed.Client(cluster.scheduler, timeout=min(10.0, cluster.wait), set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise RuntimeError(
                f"no scheduler answers at {cluster.scheduler}; start one with `dask scheduler`, which prints where"
            ) from error
        with client:
            yield client
        return

    from dask import config

    workers, offer = _local_workers(workers, cluster.needs)
    visible = _visible_gpus() if device == "cuda" else []  # "cuda:1" names one for all

    class OfThisMachine(distributed.WorkerPlugin):
        """Ctrl-C reaches the whole group of processes, the driver decides; several GPUs are dealt out to workers."""

        def setup(self, worker: Any) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if len(visible) > 1:  # before CUDA starts in the worker: with its first unit
                os.environ["CUDA_VISIBLE_DEVICES"] = visible[worker.name % len(visible)]

    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "resources": offer}
    with (
        config.set(UNDISTURBED),
        distributed.LocalCluster(**options, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        client.register_plugin(OfThisMachine())
        yield client


def _visible_gpus() -> list[str]:
    """Returns the GPUs that this process may use, as CUDA_VISIBLE_DEVICES writes them: numbers or names."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    every = [str(i) for i in range(torch.cuda.device_count())]
    return visible.split(",")[: len(every)] if visible else every


def _local_workers(workers: int, needs: Mapping[str, float]) -> tuple[int, dict[str, float]]:
    """Returns how many workers this machine can hold, at most `workers`, and what each then offers.

    Raises:
        RuntimeError: not even one that does the units.
    """
    whole = {
        "CPU": float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1),
        "GPU": float(torch.cuda.device_count()),
        "MEMORY": float(psutil.virtual_memory().total),
    }
    for count in range(workers, 0, -1):
        offer = {name: amount / count for name, amount in whole.items()}
        if _suffices(offer, needs):
            return count, offer
    raise RuntimeError(
        f"a unit needs {_amounts(needs)}, this machine offers {_amounts(whole)}; ask for less with --need, or name a "
        "cluster with --scheduler"
    )


def _look_at_workers(client: "Client", cluster: Cluster, last_able: float) -> float:
    """Returns when a worker that can do the units was last seen.

    Raises:
        RuntimeError: none was seen for `cluster.wait` seconds, or the scheduler is gone.
    """
    if client.status not in ("running", "connecting"):
        raise RuntimeError("the scheduler is gone; finished units are safe: run the same command again")
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if any(_suffices(worker["resources"], cluster.needs) for worker in workers):
        return time.monotonic()
    if time.monotonic() - last_able < cluster.wait:
        return last_able
    address = client.scheduler.address if client.scheduler else cluster.scheduler
    start = f"dask worker {address} --nthreads 1"
    if not workers:
        raise RuntimeError(f"the scheduler {address} has had no worker for {cluster.wait:.0f} s; start some: `{start}`")
    offers = sorted({_amounts(worker["resources"]) for worker in workers})
    wanted = " ".join(f"{name}={amount:g}" for name, amount in cluster.needs.items())
    raise RuntimeError(
        f"no worker offers what a unit needs ({_amounts(cluster.needs)}); they offer: {'; '.join(offers)}. Start "
        f'workers with `{start} --resources "{wanted}"`, or ask for less with --need'
    )


def _suffices(offer: Mapping[str, float], needs: Mapping[str, float]) -> bool:
    return all(offer.get(name, 0.0) >= amount for name, amount in needs.items())


def _amounts(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={amount:g}" for name, amount in sorted(resources.items())) or "nothing"


def parse_needs(texts: Sequence[str]) -> dict[str, float]:
    """Returns what a unit needs, from texts such as "GPU=1" or "MEMORY=4GB".

    >>> parse_needs(["GPU=1", "MEMORY=1.5GB"])
    {'GPU': 1.0, 'MEMORY': 1500000000.0}

    Raises:
        ValueError: a text is not NAME=AMOUNT with a positive amount.
    """
    needs = {}
    for text in texts:
        name, _, amount = text.partition("=")
        number = amount.upper().removesuffix("B")
        factor = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(number[-1:], 1.0)
        try:
            needs[name] = float(number if factor == 1.0 else number[:-1]) * factor
        except ValueError:
            needs[name] = 0.0
        if not name or not 0 < needs[name] < float("inf"):
            raise ValueError(f"{text!r} is no need of a unit; write NAME=AMOUNT, such as GPU=1, CPU=2 or MEMORY=4GB")
    return needs
