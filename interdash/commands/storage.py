"""The commands about files: `interdash verify`, `gc`, `compact`, `archive` and `restore`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from interdash.commands.options import json_option, open_run, progress_bar, root_option, warn

EPOCHS = "EPOCHS"  # such as 1,2,5-9
MOST = 20  # messages of one kind shown


class Epochs(click.ParamType):
    """Epochs as text: "1,2,5-9"."""

    name = EPOCHS

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> set[int]:
        """Returns the epochs that the text names."""
        if isinstance(value, set):
            return value
        epochs: set[int] = set()
        for span in str(value).split(","):
            first, _, last = span.strip().partition("-")
            if not first.isdecimal() or not (last or first).isdecimal():
                self.fail(f"{value!r} names no epochs; write them such as 1,2,5-9", param, ctx)
            epochs |= set(range(int(first), int(last or first) + 1))
        return epochs


@click.command()
@click.argument("run", required=False)
@root_option
@json_option
def verify(run: str | None, root: Path, as_json: bool) -> None:
    """Read every byte of a run and say what is damaged or missing; without RUN: of every run.

    Exit code 0: everything is there and as it was written.
    """
    from interdash.runs.run import list_broken_runs, list_runs
    from interdash.upkeep.verify import Report
    from interdash.upkeep.verify import verify as look

    reports = []
    for found in [open_run(root, run)] if run else list_runs(root):
        with progress_bar(f"verifying {found.name}", "part") as progress:
            reports.append(look(found, progress))
    if run is None:
        reports += [Report(name, damaged=[problem]) for name, problem in list_broken_runs(root)]
    if as_json:
        click.echo(json.dumps([{**asdict(report), "ok": report.ok} for report in reports]))
    else:
        for report in reports:
            verdict = "whole" if report.ok else f"{len(report.damaged)} damaged, {len(report.missing)} missing"
            click.echo(f"{report.run}: {verdict}; {report.checked} files checked")
            for word in ("damaged", "missing", "left_over", "unverified"):
                messages = getattr(report, word)
                for message in messages[:MOST]:
                    click.echo(f"  {word.replace('_', ' ')}: {message}")
                if len(messages) > MOST:
                    click.echo(f"  {word.replace('_', ' ')}: … {len(messages)} in all; --json has every one")
    if not reports:
        warn([f"there is no run in {root}"])
    sys.exit(not all(report.ok for report in reports))


@click.command()
@click.argument("run", required=False)
@root_option
@click.option("--delete", is_flag=True, help="Delete; without it, only say what would go.")
@click.option("--drop-vectors", type=Epochs(), help="Also the full vectors of these epochs, such as 1,2,5-9.")
@click.option("--want-vectors", type=Epochs(), help="Take that back: with --delete the next extraction computes them.")
@json_option
def gc(
    run: str | None,
    root: Path,
    delete: bool,
    drop_vectors: set[int] | None,
    want_vectors: set[int] | None,
    as_json: bool,
) -> None:
    """Say what files of a run can go, and with --delete delete them; without RUN: of every run.

    Drafts of killed processes, parts and labels of no recorded checkpoint, claims of finished units; with
    --drop-vectors also vectors: charts stay, but the drill-down to all interactions of a sample has none at these
    epochs. A run whose extraction is at work is left alone.
    """
    from interdash.runs.files import stale_drafts
    from interdash.runs.run import list_runs
    from interdash.upkeep import retention

    if run is None and (drop_vectors or want_vectors):
        raise click.UsageError("name the RUN whose vectors are meant")
    rows, freed = [], 0
    for found in [open_run(root, run)] if run else list_runs(root):
        if want_vectors:
            wanted = retention.want(found, want_vectors) if delete else retention.wanted(found, want_vectors)
            again = ", ".join(map(str, wanted)) or "none"
            word = "computed again by" if delete else "with --delete would be computed again by"
            click.echo(f"{word} `interdash extract {found.name}`: epochs {again}", err=True)
        try:
            items = retention.collect(found, drop_vectors)
        except RuntimeError as error:
            warn([str(error)])
            continue
        freed += retention.delete(found, items) if delete else sum(item.bytes for item in items)
        rows += [{"run": found.name, "kind": item.kind, "path": str(item.path), "bytes": item.bytes} for item in items]
    if run is None and delete:
        import shutil

        for draft in stale_drafts(root):  # of an archive that was being brought back
            shutil.rmtree(draft, ignore_errors=True)
    if as_json:
        click.echo(json.dumps({"deleted": delete, "bytes": freed, "items": rows}))
        return
    for row in rows:
        click.echo(f"{row['kind']}: {row['path']} ({row['bytes']:,} bytes)")
    verb = "freed" if delete else "to be freed with --delete"
    click.echo(f"{len(rows)} files or folders, {freed / 1e6:,.1f} MB {verb}", err=True)


@click.command()
@click.argument("run")
@root_option
def compact(run: str, root: Path) -> None:
    """Put the parts of each epoch into one file: for runs of thousands of small ones."""
    from interdash.upkeep import retention

    packs = retention.compact(open_run(root, run))
    click.echo(f"{len(packs)} packs made", err=True)


@click.command()
@click.argument("run")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@root_option
def archive(run: str, file: Path, root: Path) -> None:
    """Write a whole run into one FILE, every file verified first; the run stays as it is."""
    from interdash.upkeep import archive as archives

    with progress_bar("archiving", "byte") as progress:
        click.echo(archives.archive(open_run(root, run), file, progress=progress))


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@root_option
@click.option("--replace", is_flag=True, help="Over a run of the same name.")
def restore(file: Path, root: Path, replace: bool) -> None:
    """Bring a run back from an archive FILE, bit for bit; nothing is replaced before every file is verified."""
    from interdash.upkeep import archive as archives

    with progress_bar("restoring", "byte") as progress:
        click.echo(archives.restore(file, root, replace=replace, progress=progress).path)
