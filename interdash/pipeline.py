"""The main job, from a configuration to a run that the dashboard can show. A step that is done is skipped."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from interdash import extraction, labelling, network_of_run
from interdash.engine_dask import Cluster
from interdash.find_boundaries import find_boundaries
from interdash.loading import refresh
from interdash.queries import epochs, sample_strengths
from interdash.runs import Run
from interdash.state import state, summarise
from interdash.store import open_store

if TYPE_CHECKING:
    from torch import nn

Progress = Callable[[int, int], None]  # done, in all


def train_baselines(run: Run, count: int, *, device: str = "cpu", spec: str | None = None, progress: Progress) -> None:
    """Trains baseline networks 0 to `count` − 1, those that are not finished."""
    for index in range(count):
        network_of_run.train_baseline(run, index, device=device, spec=spec, progress=progress)


def extract_and_label(
    run: Run,
    *,
    device: str = "cpu",
    workers: int | None = None,
    engine: extraction.Engine | None = None,
    cluster: Cluster | None = None,
    shard: tuple[int, int] | None = None,
    spec: str | None = None,
    network: Callable[[], "nn.Module"] | None = None,
    progress: Progress | None = None,
) -> extraction.Outcome:
    """Returns what extraction did, after labelling every epoch as soon as it is complete, for a dashboard to show.

    Of several shards each labels what is complete when it ends: the last one finds everything, and writes the summary.
    `network` builds the network of a run that was recorded in a notebook; see `extraction.extract`.
    """
    labelling.label_samples(run)

    def on_epoch(network: str, epoch: int) -> None:
        labelling.label_epoch(run, network, epoch)

    outcome = extraction.extract(
        run,
        device=device,
        workers=workers,
        engine=engine,
        cluster=cluster,
        shard=shard,
        spec=spec,
        network=network,
        progress=progress,
        on_epoch=on_epoch,
    )
    outcome.problems += [problem for problem in labelling.label(run) if problem not in outcome.problems]
    extraction.remove_locks(run)
    is_ready = state(run).word == "ready"
    if shard is not None and not is_ready:
        return outcome
    store = open_store(lazy=True)
    refresh(store, run)
    found = find_boundaries(sample_strengths(store, run.name)) if is_ready else []
    summarise(run, epochs(store, run.name), found)
    store.close()
    return outcome
