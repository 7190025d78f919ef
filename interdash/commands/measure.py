"""The command `interdash measure`: what is measured on a run's networks on demand."""

import json
from pathlib import Path

import click

from interdash.commands.options import device_option, json_option, open_run, progress_bar, root_option, spec_option


@click.command()
@click.argument("run")
@root_option
@click.option("--coherence", is_flag=True, help="Gradient coherence of the target at each epoch with a checkpoint.")
@click.option("--samples", default=1000, show_default=True, type=click.IntRange(2), help="Of each split, m.")
@click.option("--estimate", is_flag=True, help="Only say what it would cost.")
@spec_option
@device_option
@json_option
def measure(
    run: str, root: Path, coherence: bool, samples: int, estimate: bool, spec: str | None, device: str, as_json: bool
) -> None:
    """Measure gradient coherence; only epochs that are not measured yet. The page Theories shows it."""
    if not coherence:
        raise click.UsageError("nothing is named to be measured; add --coherence")
    from dataclasses import asdict

    from interdash.training import gradients

    work = gradients.Work(open_run(root, run), samples, device, spec)
    cost = gradients.estimate(work)
    if estimate:
        click.echo(json.dumps(asdict(cost)) if as_json else str(cost))
        return
    click.echo(f"to measure: {cost}", err=True)
    if cost.epochs:
        with progress_bar("coherence", "epoch") as progress:
            gradients.measure_coherence(work, progress=progress)
    if as_json:
        click.echo(json.dumps({"measured": cost.epochs}))
    click.echo(f"measured; coherence is on the page Theories, tab Coherence, of {run}", err=True)
