"""What an extraction is asked to do: one record for command, pipeline, engines and workers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from interdash.runs.run import Run

if TYPE_CHECKING:
    from torch import nn

Engine = Literal["local", "processes", "dask"]


@dataclass(frozen=True)
class Cluster:
    """Which Dask workers do the units."""

    scheduler: str | None = None  # such as "tcp://node7:8786"; None = workers of this machine
    # what a unit needs: CPU, GPU, MEMORY in bytes, or your own names
    needs: Mapping[str, float] = field(default_factory=dict, hash=False)
    via: str | None = None  # fsspec address for workers that do not share the folder of runs; None = they share it
    wait: float = 60.0  # seconds without a worker that can do the units, before giving up


@dataclass(frozen=True)
class Work:
    """Which units of a run are computed, where and by what."""

    run: Run
    device: str = "cpu"  # "cuda", …: one worker does the units, one after the other
    workers: int | None = None  # processes with one torch thread each; 0 = this process; None = as many as pay
    engine: Engine | None = None  # "local" = this process; None = local or processes, by `workers`
    cluster: Cluster | None = None  # with dask
    shard: tuple[int, int] | None = None  # (i, N): only every N-th unit, from the i-th on, 1 ≤ i ≤ N
    spec: str | None = None  # "my_run.py:spec" of a user's run; None = as recorded
    # builds the network of a user's run that has no spec file; units run in this process
    network: "Callable[[], nn.Module] | None" = None
