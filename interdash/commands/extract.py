"""The command `interdash extract`: here, in worker processes, on a cluster, or one shard of it."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from interdash.commands.options import (
    json_option,
    open_run,
    progress_bar,
    root_option,
    spec_option,
    warn,
    workers_option,
)
from interdash.training.devices import check_device, check_device_name

if TYPE_CHECKING:
    from interdash.extraction.work import Work


@click.command()
@click.argument("run")
@root_option
@click.option("--estimate", is_flag=True, help="Only say what it would cost.")
@click.option(
    "--engine", type=click.Choice(["local", "processes", "dask"]), help="Default: this process, or more if that pays."
)
@workers_option
@click.option("--shard", metavar="I/N", help="Only every N-th unit, from the I-th on: for job arrays.")
@click.option("--scheduler", metavar="ADDRESS", help="An existing Dask cluster, such as tcp://node7:8786.")
@click.option("--need", "needs", multiple=True, metavar="NAME=AMOUNT", help="Of a unit on Dask: GPU=1, MEMORY=4GB, …")
@click.option("--via", metavar="ADDRESS", help="For Dask workers without the folder of runs: such as s3://bucket/runs.")
@click.option(
    "--wait", default=60.0, show_default=True, type=click.FloatRange(0), help="Seconds without a Dask worker that can."
)
@spec_option
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    callback=lambda context, parameter, name: check_device_name(name),
    help="cpu, cuda, cuda:1, …; with --scheduler, of its workers.",
)
@json_option
def extract(
    run: str,
    root: Path,
    estimate: bool,
    engine: str | None,
    workers: int | None,
    shard: str | None,
    scheduler: str | None,
    needs: tuple[str, ...],
    via: str | None,
    wait: float,
    spec: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Turn checkpoints into interactions; computes only what is missing."""
    from interdash.extraction import extract as extraction
    from interdash.extraction.work import Cluster, Work
    from interdash.runs.plan import plan
    from interdash.training import network_of_run

    if scheduler is None:
        check_device(device)
    part = None if shard is None else extraction.parse_shard(shard)
    cluster = None
    if scheduler or needs or via:
        from interdash.extraction.dask import parse_needs

        cluster = Cluster(scheduler, parse_needs(needs), via, wait)
    if cluster is not None and engine not in (None, "dask"):
        raise click.UsageError(f"--scheduler, --need and --via go with --engine dask, not with {engine}")
    if cluster is not None or engine == "dask":
        engine, cluster = "dask", cluster or Cluster(wait=wait)
    work = Work(
        open_run(root, run),
        device=device,
        workers=workers,
        engine=cast(Any, engine),
        cluster=cluster,
        shard=part,
        spec=spec,
    )
    network_of_run.draw_samples(work.run, spec)
    if estimate:
        cost = extraction.estimate(work, probe=scheduler is None)
        click.echo(json.dumps(asdict(cost)) if as_json else str(cost))
        planned = plan(work.run)
        if (untrained := planned.wanted - len(planned.baselines)) > 0:
            warn([f"not counted: {untrained} baseline networks that are not trained yet, and one epoch of each"])
        return
    outcome = run_extraction(work)
    if as_json:
        counts = {"computed": len(outcome.computed), "found": len(outcome.found), "problems": outcome.problems}
        click.echo(json.dumps(counts))


def run_extraction(work: "Work") -> Any:
    """Returns what an extraction did, with its cost, progress and problems on stderr; exits with 1 if work is left."""
    from interdash import pipeline
    from interdash.extraction import extract as extraction
    from interdash.runs.state import is_extracting, state

    run = work.run
    here = work.cluster is None or work.cluster.scheduler is None  # elsewhere: unknown how fast, and how many will come
    cost = extraction.estimate(work, probe=here)
    click.echo(f"to extract: {cost}", err=True)
    if is_extracting(run):
        click.echo("another extraction of this run is at work; the two share its units", err=True)
    with progress_bar("extracting", "sample") as progress:
        outcome = pipeline.extract_and_label(**vars(work), progress=progress)
    warn(outcome.problems)
    now = state(run)
    click.echo(f"{run.name} is {now.text}", err=True)
    if now.word != "ready" and (work.shard is None or outcome.problems):
        sys.exit(1)
    return outcome
