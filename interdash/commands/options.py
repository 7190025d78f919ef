"""What several commands share: options, and steps with their progress on stderr."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from interdash.dashboard import server
from interdash.training.devices import check_device

if TYPE_CHECKING:
    from interdash.runs.run import Run

root_option = click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data/runs"),
    envvar="INTERDASH_ROOT",
    show_default=True,
    help="The folder of runs.",
)
device_option = click.option(
    "--device",
    default="cpu",
    show_default=True,
    callback=lambda context, parameter, name: check_device(name),
    help="cpu, cuda, cuda:1, …",
)
port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=server.PORT,
    show_default=True,
    help="Of the dashboard, on 127.0.0.1.",
)
workers_option = click.option(
    "--workers", type=click.IntRange(0), help="Processes; 0 = this one. Default: one a core, if that pays."
)
spec_option = click.option("--spec", metavar="FILE:FUNCTION", help="A user's run: builds its network and data.")
json_option = click.option("--json", "as_json", is_flag=True, help="JSON for a script, on stdout.")


def find_preset(name: str) -> Any:
    """Returns the configuration of a built-in run."""
    from interdash.presets import PRESETS

    if name not in PRESETS:
        raise click.BadParameter(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name].config


def open_run(root: Path, name: str) -> "Run":
    """Returns a run of the folder of runs."""
    from interdash.runs.run import Run

    return Run.open(root, name)


def train_network(root: Path, config: Any, device: str) -> "Run":
    """Returns the run of a configuration after its training, or what was left of it."""
    from interdash.training import builtin

    run = builtin.create_run(root, config)
    with progress_bar("training", config.training.unit) as progress:
        builtin.train_run(run, device=device, progress=progress)
    return run


def train_baselines(run: "Run", count: int | None, device: str, spec: str | None) -> None:
    """Trains the baseline networks of a run that are missing of so many, or of those that its labels ask for."""
    from interdash import pipeline

    pipeline.train_baselines(run, count, device=device, spec=spec, bar=lambda title: progress_bar(title, "epoch"))


def measure_coherence(run: "Run", device: str) -> None:
    """Measures the gradient coherence of a run at the epochs where it is missing."""
    from interdash.training import gradients

    with progress_bar("coherence", "epoch") as progress:
        gradients.measure_coherence(gradients.Work(run, device=device), progress=progress)


def warn(problems: list[str]) -> None:
    """Says each problem on stderr."""
    for problem in problems:
        click.echo(f"Warning: {problem}", err=True)


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function (done, in all) that draws a bar with rate and time left on stderr, from the first second on."""
    from tqdm import tqdm

    with tqdm(desc=what, unit=f" {unit}", file=sys.stderr, mininterval=0.2, smoothing=0.1) as bar:

        def update(done: int, total: int) -> None:
            if bar.total is None:
                bar.reset(total)
                bar.initial = bar.n = done  # what was there before does not count for the rate
            bar.total = total
            bar.update(done - bar.n)

        yield update


def start_server(roots: Sequence[Path], port: int) -> Any:
    """Returns the dashboard's process; its address is printed."""
    started = server.start(roots, port)
    click.echo(f"dashboard: {server.address(port)}", err=True)
    return started
