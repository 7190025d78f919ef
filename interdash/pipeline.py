"""The main job, from a configuration to a run that the dashboard can show. A step that is done is skipped."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from interdash.extraction import extract
from interdash.extraction.work import Work
from interdash.labelling import label, predictions
from interdash.labelling.boundaries import find_boundaries
from interdash.queries.dynamics import epochs, sample_flows
from interdash.runs.files import DamagedFileError
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.state import state, summarise
from interdash.store.database import open_store
from interdash.store.loading import refresh
from interdash.training import network_of_run

Progress = Callable[[int, int], None]  # done, in all


def train_baselines(
    run: Run,
    count: int | None = None,
    *,
    device: str = "cpu",
    spec: str | None = None,
    bar: Callable[[str], AbstractContextManager[Progress]] | None = None,
) -> None:
    """Trains baseline networks 0 to `count` − 1, those that are not finished; by default as many as the rules ask for.

    `bar` makes the progress of each from a title such as "baseline 2 of 3".
    """
    count = count or run.config.generalization.baselines
    for index in range(count):
        if not run.is_finished(f"baseline-{index}"):
            with bar(f"baseline {index + 1} of {count}") if bar else nullcontext() as progress:
                network_of_run.train_baseline(run, index, device=device, spec=spec, progress=progress)


def extract_and_label(run: Run, *, progress: Progress | None = None, **options: Any) -> extract.Outcome:
    """Returns what extraction did, after labelling every epoch as soon as it is complete, for a dashboard to show.

    Of several shards each labels what is complete when it ends: the last one finds everything, and writes the summary.

    Args:
        run: the run.
        progress: called with samples done and samples in all.
        options: the other fields of `work.Work`: device, workers, engine, cluster, shard, spec, and `network`, which
            builds the network of a run that was recorded in a notebook.
    """
    work = Work(run, **options)
    network_of_run.draw_samples(run, work.spec)
    planned = plan(run)
    label.label_samples(run)

    def on_epoch(network: str, epoch: int) -> None:
        label.label_epoch(planned, network, epoch)

    outcome = extract.extract(work, planned, progress=progress, on_epoch=on_epoch)
    planned = plan(run)  # anew: another network may have been recorded meanwhile
    outcome.problems += [problem for problem in label.label(planned) if problem not in outcome.problems]
    if not outcome.problems:
        predictions.label_predictions(planned)
    extract.remove_locks(planned)
    is_ready = state(run).word == "ready"
    if work.shard is not None and not is_ready:
        return outcome
    store = open_store(lazy=True)
    refresh(store, run)
    phases = find_boundaries(sample_flows(store, run.name), run.config.phases.share) if is_ready else []
    summarise(run, epochs(store, run.name), phases)
    store.close()
    try:
        label.label_lives(planned)
    except DamagedFileError as error:
        outcome.problems.append(str(error))
    return outcome
