"""The figures of a run as files for a paper, with the rows behind them, LaTeX, and how they were made.

A bundle is a zip: `figures/`, `rows/` (CSV and Parquet), `tables/` (LaTeX and Markdown), `figures.tex` and
`provenance.json`, from which the same bundle is made again; rows that are not the same are named.
"""

import hashlib
import importlib.metadata
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from interdash.figures import catalogue, choice
from interdash.figures.catalogue import Panels
from interdash.figures.chart import Drawing
from interdash.figures.choice import Choice
from interdash.paper import chromium, layout, panels, tables, venues
from interdash.paper.latex import escaped
from interdash.queries.asking import Ask
from interdash.runs import parts
from interdash.runs import tables as tables_on_disk
from interdash.runs.files import DamagedFileError
from interdash.runs.run import Run
from interdash.store.database import Store

FORMAT = 1  # of provenance.json


@dataclass(frozen=True)
class Settings:
    """How figures are written: which, at which venue's size, in which formats, about what."""

    figures: tuple[str, ...] = ("all",)
    venue: str = "neurips"
    formats: tuple[str, ...] = ("pdf",)
    dpi: int = 300
    looks: dict[str, str | float] = field(default_factory=dict)  # fields of `Venue` that differ from the venue's
    choice: Choice = field(default_factory=Choice)

    def __post_init__(self) -> None:
        """Checks the formats and the venue.

        Raises:
            ValueError: one is unknown.
        """
        if wrong := [form for form in self.formats if form not in chromium.FORMATS]:
            raise ValueError(f"a figure cannot be written as {wrong[0]!r}; choose one of {', '.join(chromium.FORMATS)}")
        if not 30 <= self.dpi <= 2400:
            raise ValueError(f"a bitmap of {self.dpi} dpi cannot be made; choose 30 to 2400")
        _ = self.size

    @property
    def size(self) -> venues.Venue:
        """The venue with what differs."""
        return venues.venue(self.venue, **self.looks)

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Settings":
        """Returns the settings that `to_json` wrote."""
        known: dict[str, Any] = dict(values)
        for name in ("figures", "formats"):
            known[name] = tuple(values[name])
        known["choice"] = Choice.from_json(values["choice"])
        return cls(**known)


def resolved(store: Store, run: Run, settings: Settings) -> Settings:
    """Returns the settings with what is left to the run filled in: the names of all figures, the epochs.

    Raises:
        ValueError: a choice is not there.
    """
    ask, names = Ask(run, store), []
    for name in settings.figures:
        names += catalogue.offered(ask, settings.choice) if name == "all" else [name]
    return replace(settings, figures=tuple(dict.fromkeys(names)), choice=choice.resolved(ask, settings.choice))


def chosen(store: Store, run: Run, settings: Settings) -> dict[str, Drawing | Panels]:
    """Returns the figures that the settings name, by the names of their files; "all" is every one the run has.

    Raises:
        ValueError: there is no such figure.
    """
    settings, ask = resolved(store, run, settings), Ask(run, store)
    return {catalogue.file_name(name): catalogue.drawing(ask, name, settings.choice) for name in settings.figures}


def printed(drawing: Drawing | Panels, venue: venues.Venue) -> Any:
    """Returns a figure, or several as panels of one, as it is printed at a venue."""
    if isinstance(drawing, Panels):
        return panels.composed([[part.figure() for part in row] for row in drawing.parts], venue)
    return layout.printed(drawing.figure(), venue)


def figure_files(drawn: Mapping[str, Drawing | Panels], settings: Settings) -> Iterator[tuple[str, bytes]]:
    """Yields the figures' files: name and content."""
    with ThreadPoolExecutor(1) as pool:  # while Chromium draws a figure, the next one is made
        before: dict[str, Future[bytes]] = {}
        for name, drawing in drawn.items():
            figure = printed(drawing, settings.size)
            files = {
                f"figures/{name}.{form}": pool.submit(chromium.render, figure, form, dpi=settings.dpi)
                for form in settings.formats
            }
            yield from ((path, file.result()) for path, file in before.items())
            before = files
        yield from ((path, file.result()) for path, file in before.items())


def bundle(
    store: Store,
    run: Run,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
    *,
    others: Sequence[Run] = (),
) -> tuple[bytes, dict[str, Any]]:
    """Returns the zip and what its `provenance.json` says; `others` are the runs compared with, as in the settings."""
    settings = resolved(store, run, settings)
    drawn = chosen(store, run, settings)
    files: dict[str, bytes] = {}
    for name, content in figure_files(drawn, settings):
        files[name] = content
        if progress is not None:
            progress(len(files), len(drawn) * len(settings.formats))
    rows: dict[str, str] = {}
    for name, drawing in drawn.items():
        for part, frame in drawing.rows.items():
            stem = f"rows/{name}-{part.replace(' ', '-')}"
            files[f"{stem}.csv"], files[f"{stem}.parquet"] = csv(frame), parquet(frame)
            rows[f"{stem}.csv"] = hashlib.sha256(files[f"{stem}.csv"]).hexdigest()
    for name, table in tables.tables(store, [run.name, *settings.choice.runs], settings.size.numbers).items():
        text = tables.markdown(table).encode()
        files[f"tables/{name}.md"] = text
        wide = venues.has_columns(settings.venue.removesuffix("-column"))
        source = tables.booktabs(table, tables.CAPTIONS[name], f"{run.name}-{name}", wide=wide)
        files[f"tables/{name}.tex"] = source.encode()
        rows[f"tables/{name}.md"] = hashlib.sha256(text).hexdigest()
    said = provenance([run, *others], settings, rows)
    if text := latex(run, drawn, settings):
        files["figures.tex"] = text.encode()
    files["provenance.json"] = json.dumps(said, indent=1, ensure_ascii=False).encode()
    return zipped(files), said


def provenance(runs: Sequence[Run], settings: Settings, rows: Mapping[str, str]) -> dict[str, Any]:
    """Returns how figures were made: runs, the first one's, settings, versions, and the hash of each table of rows."""
    return {
        "format": FORMAT,
        "run": runs[0].name,
        "runs": {run.name: _made_from(run) for run in runs},
        "settings": settings.to_json(),
        "versions": {name: importlib.metadata.version(name) for name in ("interdash", "plotly", "kaleido")},
        "data_versions": {"format": tables_on_disk.FORMAT, "algorithm": parts.ALGORITHM, "labelling": parts.LABELLING},
        "rows_sha256": dict(rows),
    }


def _made_from(run: Run) -> dict[str, Any]:
    """Returns a run's configuration, and the SHA-256 of its explained samples and of each checkpoint that is there."""
    hashes: dict[str, dict[str, str]] = {}
    for network in run.networks():
        hashes[network] = {}
        for epoch in run.checkpoint_epochs(network):
            try:
                hashes[network][str(epoch)] = run.checkpoint_hash(network, epoch)
            except DamagedFileError as error:
                hashes[network][str(epoch)] = str(error)
    return {
        "created": run.manifest["created"],
        "config": run.manifest["config"],
        "explained_sha256": run.explained_hash() if run.has_explained() else None,
        "checkpoints_sha256": hashes,
    }


def read_provenance(path: Path) -> tuple[str, Settings, dict[str, str]]:
    """Returns run, settings and hashes of rows of a `provenance.json`, or of the bundle that holds it.

    Raises:
        ValueError: it is none, or of another format.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                text = archive.read("provenance.json")
        else:
            text = path.read_bytes()
        said = json.loads(text)
        if said["format"] != FORMAT:
            raise ValueError(f"format {said['format']} is not {FORMAT}")
        return str(said["run"]), Settings.from_json(said["settings"]), dict(said["rows_sha256"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no provenance of figures ({error}); take the provenance.json of a bundle"
        ) from error


def changed_rows(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Returns the tables of rows that are not the same bit for bit, or are on one side only."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def csv(frame: pd.DataFrame) -> bytes:
    """Returns rows as CSV, numbers exact; lists are JSON; an image is its SHA-256 (Parquet has the image)."""
    columns = {}
    for name in frame.columns:
        cells = [None if _is_missing(cell) else cell for cell in frame[name]]
        first = next((cell for cell in cells if cell is not None), None)
        if isinstance(first, bytes | bytearray):
            columns[f"{name}_sha256"] = [None if c is None else hashlib.sha256(c).hexdigest() for c in cells]
        elif hasattr(first, "__len__") and not isinstance(first, str):
            columns[name] = [None if cell is None else json.dumps([*map(_plain, cell)]) for cell in cells]
        else:
            columns[name] = frame[name]
    return pd.DataFrame(columns, index=frame.index).to_csv(index=False, lineterminator="\n").encode()


def _is_missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def parquet(frame: pd.DataFrame) -> bytes:
    """Returns rows as Parquet."""
    buffer = io.BytesIO()
    plain = frame.copy()
    plain.attrs = {}  # problems that were met; not part of the rows
    plain.to_parquet(buffer, index=False)
    return buffer.getvalue()


def latex(run: Run, drawn: Mapping[str, Drawing | Panels], settings: Settings) -> str:
    """Returns a LaTeX snippet: each figure with caption and label; "" if there is no format that LaTeX can take."""
    form = next((form for form in ("pdf", "png", "svg") if form in settings.formats), None)
    if form is None:
        return ""
    environment = "figure*" if venues.has_columns(settings.venue) else "figure"
    command = "includesvg" if form == "svg" else "includegraphics"
    text = [f"% Figures of run {run.name}, made by interdash; put the folder figures beside your paper."]
    text += [r"% SVG needs \usepackage{svg} and Inkscape; --format pdf needs neither."] * (form == "svg")
    for name, drawing in drawn.items():
        text += [
            "",
            rf"\begin{{{environment}}}[t]",
            r"  \centering",
            rf"  \{command}[width={settings.size.width:.4g}in]{{figures/{name}.{form}}}",
            rf"  \caption{{{escaped(drawing.caption)} Run {escaped(run.name)}.}}",
            rf"  \label{{fig:{run.name}-{re.sub('[_+]', '-', name)}}}",
            rf"\end{{{environment}}}",
        ]
    return "\n".join(text) + "\n"


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Returns a zip; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
