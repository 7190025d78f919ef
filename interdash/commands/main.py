"""The command line. A command calls a function of the package and prints; heavy imports wait until it runs.

Exit codes: 0 done, 1 error or something left undone (said on stderr), 2 wrong usage, 130 interrupted by Ctrl-C, 143
ended by SIGTERM, as cleanly.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from interdash.commands import demo, export, extract, measure, robustness, storage
from interdash.commands.options import (
    device_option,
    find_preset,
    json_option,
    open_run,
    port_option,
    progress_bar,
    root_option,
    spec_option,
    start_server,
    train_baselines,
    train_network,
    warn,
)
from interdash.runs.files import words


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="interdash")
def commands() -> None:
    """What a network learned at each epoch, and which part of it generalizes.

    Start with `interdash demo`.
    """


def main() -> None:
    """Runs the command line; errors are one line on stderr."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: its products are small, threads wait
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that workers and the dashboard's process end too
    try:
        commands(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\ninterrupted; what was finished is safe, and the same command goes on from there", err=True)
        sys.exit(130)
    except ModuleNotFoundError as error:
        click.echo(f"Error: this needs {error.name}, which is not installed; `interdash doctor` says how", err=True)
        sys.exit(1)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        click.echo(f"Error: {words(error)}", err=True)
        sys.exit(1)


@click.command()
@click.argument("name", metavar="PRESET|RUN")
@root_option
@click.option("--name", "run_name", help="Name of the new run; by default the preset's.")
@click.option("--epochs", type=click.IntRange(1), help="Instead of the preset's.")
@click.option("--label-noise", type=click.FloatRange(0, 1), help="Share of training labels drawn at random.")
@click.option("--seed", type=int, help="Of weights and batches.")
@click.option("--all-checkpoints", is_flag=True, help="Record every epoch instead of about 15, dense early.")
@device_option
def train(name: str, root: Path, run_name: str | None, device: str, **changes: Any) -> None:
    """Train a built-in run, or go on with one that was interrupted; `interdash demo --help` lists the presets."""
    from interdash.runs.run import Run

    if (root / name / "run.json").exists() and run_name is None and not any(changes.values()):
        run = train_network(root, Run.open(root, name).config, device)
    else:
        run = train_network(root, _changed(find_preset(name), run_name, **changes), device)
    click.echo(f"trained; next: interdash baseline {run.name}", err=True)


@click.command("import")
@click.argument("run")
@root_option
@click.option("--checkpoints", required=True, metavar="PATTERN", help="Files or folders, such as 'out/ckpt_*.pt'.")
@click.option("--spec", required=True, metavar="FILE:FUNCTION", help="Builds the network and the data.")
@click.option("--network", default="target", show_default=True, help="target, or baseline-0, baseline-1, …")
@click.option("--losses", type=click.Path(exists=True, path_type=Path), help="CSV, JSON or TensorBoard's folder.")
@click.option("--tag", "tags", multiple=True, metavar="METRIC=TAG", help="A column, such as train_loss=loss/train.")
@click.option("--first-epoch", type=click.IntRange(0), help="What the checkpoints' lowest number stands for.")
@click.option("--first-logged-epoch", type=click.IntRange(0), help="What the losses' lowest number stands for.")
@click.option("--steps-per-epoch", type=click.FloatRange(0, min_open=True), help="Where the numbers are steps.")
@click.option("--steps", "unit", flag_value="step", default="epoch", help="They are steps, and the run counts them.")
@click.option("--weights", default="", metavar="KEY", help="Of several in a file, such as state_dict_ema.")
@click.option("--ignore", "ignored", multiple=True, metavar="NAME", help="Layers in the files to leave out.")
@click.option("--trust", is_flag=True, help="Read whole pickled modules, which runs code from the files.")
@click.option(
    "--samples",
    "samples_per_split",
    default=50,
    show_default=True,
    type=click.IntRange(1),
    help="Explained, of each split.",
)
@device_option
def import_(run: str, root: Path, checkpoints: str, spec: str, tags: tuple[str, ...], **options: Any) -> None:
    """Make a run of saved checkpoints of your own network.

    Everything is read and tried first; what is refused leaves nothing behind. 0 is the untrained network.
    """
    from interdash.importing.checkpoints import import_checkpoints

    if wrong := [tag for tag in tags if "=" not in tag]:
        raise click.BadParameter(f"{wrong[0]!r} is not METRIC=TAG, such as train_loss=loss/train", param_hint="--tag")
    lines: list[str] = []
    with progress_bar("importing", "checkpoint") as progress:
        imported = import_checkpoints(
            root,
            run,
            checkpoints,
            spec,
            tags=dict(tag.split("=", 1) for tag in tags),
            progress=progress,
            say=lines.append,
            **options,
        )
    for line in lines:
        click.echo(line, err=True)
    click.echo(f"imported; next: interdash baseline {imported.name} --spec {spec}", err=True)


@click.command()
@click.argument("run")
@root_option
@click.option("--count", type=click.IntRange(1), help="How many in all, by seed; by default those that its labels ask.")
@spec_option
@device_option
def baseline(run: str, root: Path, count: int | None, spec: str | None, device: str) -> None:
    """Train baseline networks on the testing split, to convergence: three, unless the run asks for another number."""
    train_baselines(open_run(root, run), count, device, spec)
    click.echo(f"baselines are there; next: interdash extract {run}", err=True)


@click.command()
@click.argument("run")
@root_option
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="By default RUN.duckdb in the run.")
def load(run: str, root: Path, output: Path | None) -> None:
    """Write a .duckdb file with every table of a run.

    It is for SQL of your own (DuckDB 1.4 or later), and in its default place for the dashboard, which opens a run of
    hundreds of epochs from it in a second.
    """
    from interdash.store.loading import seal

    found = open_run(root, run)
    click.echo(seal(found, output or found.path / f"{found.name}.duckdb"))


@click.command()
@click.argument("run", required=False)
@root_option
@json_option
def info(run: str | None, root: Path, as_json: bool) -> None:
    """Say how far a run is, and its losses, H, τ and strengths by order at each recorded epoch; without RUN: list."""
    from interdash.commands import info as report

    if run is None:
        click.echo(report.list_text(root, as_json=as_json))
    else:
        click.echo(report.run_text(open_run(root, run), as_json=as_json))


@click.command()
@root_option
@port_option
@json_option
def doctor(root: Path, port: int, as_json: bool) -> None:
    """Look whether this machine has what interdash needs; each line that is not ok has what mends it."""
    from dataclasses import asdict

    from interdash.commands.doctor import checks

    marks = {True: "ok  ", None: "-   ", False: "FAIL"}
    found = []
    for check in checks(root, port):
        found.append(check)
        if not as_json:
            remedy = f"; {check.remedy}" if not check.ok and check.remedy else ""
            click.echo(f"{marks[check.ok]} {check.name}: {check.found}{remedy}")
    if as_json:
        click.echo(json.dumps([asdict(check) for check in found]))
    sys.exit(any(check.ok is False for check in found))


@click.command("export-data")
@click.argument("run")
@root_option
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="By default RUN-data, here.")
def export_data(run: str, root: Path, output: Path | None) -> None:
    """Write every table of a run as Parquet and CSV, and columns.csv with the unit of each column."""
    from interdash.store.database import open_store
    from interdash.store.export import export_tables
    from interdash.store.loading import refresh

    found = open_run(root, run)
    store = open_store(lazy=True)
    refresh(store, found)
    for path in export_tables(store, output or Path(f"{found.name}-data")):
        click.echo(path)
    warn(store.problems[found.name])
    sys.exit(bool(store.problems[found.name]))


@click.command()
@click.option(
    "--root",
    "roots",
    type=click.Path(file_okay=False, path_type=Path),
    multiple=True,
    default=[Path("data/runs")],
    envvar="INTERDASH_ROOT",
    show_default=True,
    help="A folder of runs; give it again for several.",
)
@port_option
def serve(roots: tuple[Path, ...], port: int) -> None:
    """Open the dashboard on this machine (127.0.0.1 only)."""
    from interdash.runs.run import list_runs, no_runs

    for root in roots:
        if not list_runs(root):
            click.echo(f"Warning: {no_runs(root)}", err=True)
    dashboard = start_server(roots, port)
    try:
        sys.exit(dashboard.wait())
    finally:
        dashboard.terminate()


def _changed(
    config: Any,
    name: str | None,
    *,
    epochs: int | None,
    label_noise: float | None,
    seed: int | None,
    all_checkpoints: bool,
) -> Any:
    """Returns a preset's configuration with the options given on the command line."""
    from dataclasses import replace

    training: dict[str, Any] = {"epochs": epochs, "seed": seed, "checkpoints": "all" if all_checkpoints else None}
    training = {key: value for key, value in training.items() if value is not None}
    data = {} if label_noise is None else {"label_noise": label_noise}
    return replace(
        config,
        name=name or config.name,
        training=replace(config.training, **training),
        data=replace(config.data, **data),
    )


for command in (
    *(train, import_, baseline, extract.extract, robustness.robustness, measure.measure, demo.demo),
    *(load, info, doctor, export_data, serve, export.export),
    *(storage.verify, storage.gc, storage.compact, storage.archive, storage.restore),
):
    commands.add_command(command)
