"""The command `interdash demo`: the whole job on a built-in run, step by step."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from interdash.commands import options
from interdash.commands.extract import run_extraction
from interdash.dashboard import server
from interdash.presets import PRESETS
from interdash.runs.files import words


@click.command()
@options.root_option
@click.option("--preset", default="mnist", show_default=True, help=f"A built-in run: {', '.join(PRESETS)}.")
@click.option("--serve/--no-serve", default=True, help="Open the dashboard, already while extraction goes on.")
@options.port_option
@options.workers_option
@options.device_option
def demo(root: Path, preset: str, serve: bool, port: int, workers: int | None, device: str) -> None:
    """The whole job on a built-in run: train, baselines, extract, load, dashboard. A step that is done is skipped."""
    from interdash.extraction.work import Work

    config = options.find_preset(preset)
    click.echo(
        f"interdash demo: run {preset!r} in {root}; mnist takes about four minutes, digits less than one", err=True
    )
    if serve:
        server.check_port(port)  # now, and not after minutes of training
    with _step("1 of 4, training the network"):
        run = options.train_network(root, config, device)
    with _step(f"2 of 4, training {config.generalization.baselines} baseline networks on the testing split"):
        options.train_baselines(run, None, device, None)
    dashboard = options.start_server([root], port) if serve else None
    try:
        with _step("3 of 4, extracting interactions; each epoch is shown as soon as it is done"):
            run_extraction(Work(run, device, workers))
        with _step("4 of 4, measuring gradient coherence"):
            options.measure_coherence(run, device)
        if dashboard is not None:
            click.echo(f"ready; the dashboard is at {server.address(port)}, Ctrl-C ends it", err=True)
            sys.exit(dashboard.wait())
    finally:
        if dashboard is not None:
            dashboard.terminate()


@contextmanager
def _step(title: str) -> Iterator[None]:
    """Says a step of the demo before it begins, and what to do if it fails."""
    click.echo(f"step {title}", err=True)
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        raise click.ClickException(
            f"{words(error)}\nstep {title.partition(',')[0]} failed; `interdash doctor` says what this machine lacks. "
            "The same command goes on from there."
        ) from error
