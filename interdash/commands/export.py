"""The command `interdash export`: figures of a run as files for a paper."""

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from interdash.commands.options import progress_bar, root_option, warn


@click.command()
@click.argument("run", required=False)
@root_option
@click.option("--figure", "figures", multiple=True, metavar="NAME", help="Several times; all = every one, as --bundle.")
@click.option("--panels", multiple=True, metavar="A,B/C", help="Figures as panels of one: , beside, / below.")
@click.option("--venue", default="neurips", show_default=True, help="Such as icml-column, or a width: 120mm, 4.5in.")
@click.option("--format", "formats", multiple=True, metavar="pdf|svg|png|html", help="Several times. Default: pdf.")
@click.option("--dpi", default=300, show_default=True, help="Of PNG.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="A folder. By default RUN-figures.")
@click.option("--bundle", "as_bundle", is_flag=True, help="One zip, with rows, LaTeX and provenance.")
@click.option("--html", "as_page", is_flag=True, help="One HTML file of the run for a co-author, charts interactive.")
@click.option("--from", "source", type=click.Path(exists=True, path_type=Path), help="A provenance.json or bundle.")
@click.option("--epoch", type=int, help="Of figures at one epoch. Default: the last.")
@click.option("--epochs", type=int, multiple=True, help="Of the row of epochs; several times. Default: by H.")
@click.option("--sample", default=0, show_default=True, help="Of figures of one sample.")
@click.option("--interaction", default="", metavar="'AND {5, 8}'|and-37", help="Lit. Default: the strongest.")
@click.option("--beside", default="", metavar="7-40", help="Of a pair: sample and epoch. Default: where lives start.")
@click.option("--samples", type=int, multiple=True, help="Of small panels of many; several times. Default: four.")
@click.option("--top", default=10, show_default=True, help="Interactions listed, strongest first.")
@click.option(
    "--split",
    type=click.Choice(["all", "train", "test", "clean", "random"]),
    default="all",
    show_default=True,
    help="Of the explained samples; clean, random: training samples by their label, if known.",
)
@click.option("--label", default=-1, help="A class number. Default: all classes.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["all", "apart", "and", "or"]),
    default="all",
    show_default=True,
    help="AND and OR interactions together, apart, or one of them.",
)
@click.option(
    "--scale",
    type=click.Choice(["normalised", "nats", "log"]),
    default="normalised",
    show_default=True,
    help="Of strengths: each epoch by its own, or in nats on a linear or log axis.",
)
@click.option("--where", multiple=True, metavar="'samples >= 10'", help="Of interactions over samples; several times.")
@click.option("--sort", default="strength", show_default=True, help="Of interactions over the samples.")
@click.option("--pattern", default="", metavar="and-37-12", help="Of these the one followed. Default: the first.")
@click.option("--linear", is_flag=True, help="A linear axis of epochs.")
@click.option("--min-order", default=1, show_default=True, help="Of removals: the lowest order removed.")
@click.option("--dose", default=100, show_default=True, help="Of removals: percent of the strength, in tens.")
@click.option("--start", type=int, help="Epoch since which lives are told. Default: boundary 1|2, or the first.")
@click.option("--life-line", default="all", metavar="reliable|…", help="Of the interactions listed. Default: all.")
@click.option("--with", "others", multiple=True, metavar="RUN", help="Compared with; several times, at most 5.")
@click.option("--other-epoch", type=int, help="Of the one run compared with. Default: its last.")
@click.option(
    "--by",
    type=click.Choice(["epoch", "phase", "seeds"]),
    default="epoch",
    show_default=True,
    help="What runs are aligned by; seeds: by epoch, runs that only the seed tells apart as their mean.",
)
@click.option("--partner", default="", metavar="baseline-0", help="Of sharing: a baseline network, or 'epoch 5'.")
@click.option("--font", help="A TrueType font. Default: the venue's.")
@click.option("--label-size", type=float, help="Points, of titles. Default: the venue's.")
@click.option("--tick-size", type=float, help="Points, of numbers. Default: the venue's.")
@click.option("--height", type=float, help="Inches. Default: as high as it needs, 7.5 at most.")
@click.option("--lines", type=float, help="Times the usual width of lines, size of markers.")
@click.option("--transparent", is_flag=True, help="No white behind the figure.")
@click.option("--legend", metavar="above|below|inside|top-left|…|off", help="Inside: in a corner. Default: above.")
@click.option("--y-low", type=float, help="Where the y axis begins, of figures with one kind. Default: as fits.")
@click.option("--y-high", type=float, help="… and where it ends.")
@click.option("--grey", is_flag=True, help="For print without colour.")
@click.option("--numbers", metavar="point|point-comma|comma|comma-point", help="1 234.5, 1,234.5, 1 234,5 or 1.234,5.")
@click.pass_context
def export(
    context: click.Context,
    run: str | None,
    root: Path,
    out: Path | None,
    source: Path | None,
    as_bundle: bool,
    as_page: bool,
    **options: Any,
) -> None:
    """Write figures of a run at a venue's width: PDF, SVG, PNG, HTML; or all of them as a bundle."""
    from interdash.paper import bundle, chromium, handout, provenance
    from interdash.queries.asking import Ask
    from interdash.runs.run import Run
    from interdash.runs.state import state
    from interdash.store.database import open_store
    from interdash.store.loading import refresh

    if source is not None:
        if given := _given(context):
            raise click.UsageError(f"--from makes the same bundle again; leave out {', '.join(given)}")
        before, settings = provenance.read(source)
        run = run or str(before["run"])
    elif run is None:
        raise click.UsageError("which run? give its name, or --from provenance.json")
    else:
        settings, before = _settings(**options), {}
        as_bundle = as_bundle or "all" in options["figures"]
    if words := chromium.missing_font(settings.size.font):
        warn([words])
    store = open_store(lazy=True)
    found = Run.open(root, run)
    others = [Run.open(root, other) for other in settings.choice.runs]
    if not as_page and {*settings.formats} != {"html"}:
        chromium.start()
    for each in (found, *others):
        refresh(store, each)
        warn(store.problems[each.name])
        if (now := state(each)).word != "ready":
            warn([f"{each.name} is {now.text}"])
    out = out or Path(f"{found.name}-figures")
    out.mkdir(parents=True, exist_ok=True)
    try:
        if as_page:
            path = out / f"{found.name}.html"
            path.write_bytes(handout.handout(store, found, settings.choice))
            click.echo(path)
            return
        if not as_bundle and source is None:
            ask = Ask(found, store)
            for name, content in bundle.figure_files(ask, bundle.chosen(store, found, settings), settings, warn):
                path = out / f"{found.name}-{Path(name).name}"
                path.write_bytes(content)
                click.echo(path)
            return
        with progress_bar("drawing", "file") as progress:
            name, content, said = bundle.bundle(store, found, settings, progress, warn=warn, others=others)
    finally:
        chromium.close()
        store.close()
    path = out / f"{name}.zip"
    path.write_bytes(content)
    click.echo(path)
    if source is not None and (changes := provenance.changes(before, said)):
        warn([f"{source}: {change}" for change in changes])
        sys.exit(1)


def _given(context: click.Context) -> list[str]:
    """Returns the options on the command line that say what is drawn, or how."""
    free = {"run", "root", "out", "source", "as_bundle"}
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in free
        and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    ]


def _settings(
    *,
    figures: tuple[str, ...],
    panels: tuple[str, ...],
    formats: tuple[str, ...],
    venue: str,
    dpi: int,
    kind: str,
    linear: bool,
    others: tuple[str, ...],
    font: str | None,
    label_size: float | None,
    tick_size: float | None,
    grey: bool,
    numbers: str | None,
    height: float | None,
    lines: float | None,
    transparent: bool,
    legend: str | None,
    y_low: float | None,
    y_high: float | None,
    **choice: Any,
) -> Any:
    from interdash.figures.choice import Choice
    from interdash.paper.settings import Settings

    looks: dict[str, Any] = {"font": font, "label": label_size, "tick": tick_size, "colours": "grey" if grey else None}
    looks |= {"numbers": numbers, "height": height, "lines": lines, "transparent": transparent or None}
    looks |= {"legend": legend, "y_low": y_low, "y_high": y_high}
    return Settings(
        figures=(*figures, *panels) or ("all",),
        venue=venue,
        formats=formats or ("pdf",),
        dpi=dpi,
        looks={key: value for key, value in looks.items() if value is not None},
        choice=Choice(
            types=("and", "or") if kind == "apart" else (kind,),
            log=not linear,
            runs=others,
            **choice,
        ),
    )
