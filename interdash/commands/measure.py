"""The command `interdash measure`: what is measured on a run's networks on demand."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import click

from interdash.commands.options import device_option, json_option, open_run, progress_bar, root_option, spec_option


class Measurement(NamedTuple):
    """What is measured: its name, its tab on the page Theories, its estimate, and how it is done."""

    name: str
    tab: str
    estimate: Callable[[], Any]
    measure: Callable[..., int]


def _epochs(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise click.BadParameter(f"{text!r} names no epochs; write numbers with commas, such as 0,10,40")
    return tuple(int(part) for part in parts)


@click.command()
@click.argument("run")
@root_option
@click.option("--coherence", is_flag=True, help="Gradient coherence of the target at each epoch with a checkpoint.")
@click.option(
    "--layers",
    is_flag=False,
    flag_value="default",
    metavar="[NAMES]",
    help="Interactions of layers: all by default five activations, or modules by name, with commas.",
)
@click.option("--information", is_flag=True, help="Synergy of variables in the answers, experimental; every epoch.")
@click.option("--epochs", callback=_epochs, metavar="LIST", help="Of layers (eight by default) and of information.")
@click.option("--samples", default=1000, show_default=True, type=click.IntRange(2), help="Of coherence: m, each split.")
@click.option("--estimate", is_flag=True, help="Only say what it would cost.")
@spec_option
@device_option
@json_option
def measure(
    run: str,
    root: Path,
    coherence: bool,
    layers: str | None,
    information: bool,
    epochs: tuple[int, ...],
    samples: int,
    estimate: bool,
    spec: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Measure coherence, layers and information, or what is named; only what is missing. The page Theories shows it."""
    record = open_run(root, run)
    wanted = {"coherence": coherence, "layers": layers is not None, "information": information}
    costs, todo = {}, []
    for each in _measurements(record, samples, layers, epochs, device, spec):
        if wanted[each.name] or not any(wanted.values()):
            costs[each.name] = each.estimate()
            todo.append(each)
            click.echo(f"{each.name}: {costs[each.name]}", err=not estimate or as_json)
    if estimate:
        if as_json:
            click.echo(json.dumps({name: asdict(cost) for name, cost in costs.items()}))
        return
    for each in todo:
        if costs[each.name].epochs:
            with progress_bar(each.name, "epoch") as progress:
                each.measure(progress=progress)
        click.echo(f"measured; {each.name} is on the page Theories, tab {each.tab}, of {run}", err=True)
    if as_json:
        click.echo(json.dumps({name: cost.epochs for name, cost in costs.items()}))


def _measurements(
    run: Any, samples: int, layers: str | None, epochs: tuple[int, ...], device: str, spec: str | None
) -> list[Measurement]:
    from interdash.labelling import information as of_answers
    from interdash.labelling import layers as of_layers
    from interdash.training import gradients

    names = () if layers in (None, "default") else tuple(part.strip() for part in (layers or "").split(","))
    coherence = gradients.Work(run, samples, device, spec)
    each, answers = of_layers.Work(run, names, epochs, device, spec), of_answers.Work(run, epochs, device, spec)
    return [
        Measurement(
            "coherence", "Coherence", lambda: gradients.estimate(coherence),
            lambda **told: gradients.measure_coherence(coherence, **told),
        ),
        Measurement(
            "layers", "Layers", lambda: of_layers.estimate(each), lambda **told: of_layers.measure_layers(each, **told)
        ),
        Measurement(
            "information", "Information", lambda: of_answers.estimate(answers),
            lambda **told: of_answers.measure_information(answers, **told),
        ),
    ]  # fmt: skip
