"""The command `interdash robustness`: the noise floor of the labels G."""

from pathlib import Path

import click

from interdash.commands.extract import run_extraction
from interdash.commands.options import (
    device_option,
    open_run,
    progress_bar,
    root_option,
    spec_option,
    train_baselines,
    warn,
)

PUBLISHED_N = 10  # variables up to which the published SGD takes seconds


@click.command()
@click.argument("run")
@root_option
@click.option("--baselines", default=5, show_default=True, type=click.IntRange(1), help="Trained if missing.")
@click.option("--samples", default=20, show_default=True, type=click.IntRange(1), help="Compared, of each split.")
@click.option("--epochs", default=6, show_default=True, type=click.IntRange(1), help="Compared, evenly spread.")
@click.option(
    "--published",
    default=None,
    type=click.IntRange(0),
    help="Samples of each split for the published SGD; slow. By default 2, or 0 where n is above 10.",
)
@spec_option
@device_option
def robustness(
    run: str,
    root: Path,
    baselines: int,
    samples: int,
    epochs: int,
    published: int | None,
    spec: str | None,
    device: str,
) -> None:
    """Measure the noise floor: labels G that flip under another baseline, κ, tie-break, τ rule, sign test or split."""
    from interdash.extraction.work import Work
    from interdash.labelling.noise_floor import noise_floor, store_noise_floor

    record = open_run(root, run)
    n = record.config.masking.n_variables
    if published is None:
        published = 2 if n <= PUBLISHED_N else 0
    if not published:
        warn(["published SGD: not measured; it takes minutes a network and epoch at n = 12; use --published 2"])
    try:
        train_baselines(record, baselines, device, spec)
    except (ValueError, FileNotFoundError) as error:  # a user's run whose code is not at hand
        warn([f"only the baseline networks that are there are compared: {error}"])
    run_extraction(Work(record, device, spec=spec))
    with progress_bar("comparing", "comparison") as progress:
        measured = noise_floor(
            record, samples_per_split=samples, epochs=epochs, published_samples=published, progress=progress
        )
    store_noise_floor(record, *measured)
    click.echo("measured; the noise floor is on the page Removal, and beside H on the page Dynamics", err=True)
