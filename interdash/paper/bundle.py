"""The figures of a run as files for a paper, with the rows behind them, LaTeX, and how they were made.

A bundle is a zip of one folder, RUN-MARK: `figures/`, `rows/` (CSV and Parquet), `tables/` (LaTeX and Markdown),
`figures.tex` and `provenance.json`, from which the same bundle is made again; rows that are not the same are named.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pandas as pd

from interdash.figures import catalogue
from interdash.figures.catalogue import Panels
from interdash.figures.chart import Drawing
from interdash.paper import captions, chromium, latex, layout, legends, marks, panels, tables, venues
from interdash.paper.provenance import provenance
from interdash.paper.settings import Settings, resolved
from interdash.queries import drilldown, sample
from interdash.queries.asking import Ask
from interdash.runs.run import Run
from interdash.store.database import Store


def chosen(store: Store, run: Run, settings: Settings) -> dict[str, Drawing | Panels]:
    """Returns the figures that the settings name, by the names of their files; "all" is every one the run has.

    Raises:
        ValueError: there is no such figure.
    """
    ask = Ask(run, store)
    settings = resolved(ask, settings)
    drawn = {name: drawing(ask, name, settings) for name in settings.figures}
    return {catalogue.file_name(name, drawing): drawing for name, drawing in drawn.items()}


def drawing(ask: Ask, name: str, settings: Settings) -> Drawing | Panels:
    """Returns a figure of a run; in a column, interactions of words go by numbers, which the caption explains.

    In small panels they do at any width, where a variable is the same in all of them.
    """
    drawn = catalogue.drawing(ask, name, settings.choice)
    if ask.kind.numbered or name == "sample_interactions":
        return drawn
    if isinstance(drawn, Drawing):
        return _by_numbers(ask, drawn, settings)
    return replace(drawn, parts=tuple(tuple(_by_numbers(ask, part, settings) for part in row) for row in drawn.parts))


def _by_numbers(ask: Ask, drawing: Drawing, settings: Settings) -> Drawing:
    is_shared = ask.kind.same_variables
    in_column = ["interactions", "waterfall", *["pair"] * is_shared] * (settings.size.width < venues.COLUMN)
    if drawing.chart.name not in [*in_column, *["many_samples"] * is_shared]:
        return drawing
    words = ask(sample.sample, sample=settings.choice.sample)["names"].iloc[0]
    key = f"Variables: {', '.join(f'{i} {word}' for i, word in enumerate(words))}."
    rows = {part: drilldown.numbered(frame) for part, frame in drawing.rows.items()}
    return replace(drawing, rows=rows, about=f"{drawing.about} {key}")


def printed(drawing: Drawing | Panels, venue: venues.Venue, tallest: float = venues.TALLEST) -> Any:
    """Returns a figure, or several as panels of one, as it is printed at a venue; `tallest` inches high at most.

    Raises:
        ValueError: it cannot be as low as the venue says, or has no y axis for its range.
    """
    figures = on_screen(drawing)
    if venue.y_range:
        marks.check_range([layout.still(figure) for row in figures for figure in row], venue.y_range)
    if isinstance(drawing, Panels):
        return layout.fitted(lambda stretch: panels.composed(figures, venue, stretch=stretch), venue, tallest)
    return layout.fitted(lambda stretch: layout.printed(figures[0][0], venue, stretch=stretch), venue, tallest)


def on_screen(drawing: Drawing | Panels) -> list[list[Any]]:
    """Returns the figures of a drawing as on the screen, row by row."""
    parts = drawing.parts if isinstance(drawing, Panels) else ((drawing,),)
    return [[part.figure() for part in row] for row in parts]


def choices(drawings: Iterable[Drawing | Panels]) -> tuple[bool, str]:
    """Returns whether any of some figures has a legend, and the title of their y axes if they can have one range."""
    figures = [layout.still(figure) for drawing in drawings for row in on_screen(drawing) for figure in row]
    return any(map(legends.entries, figures)), marks.y_title(figures)


def room(ask: Ask, drawing: Drawing | Panels, settings: Settings) -> float:
    """Returns how high a figure can be, in inches, so that its caption fits below it on a page.

    Of panels, the caption without setting and terms: with all of it they would have little room.
    """
    terms = None if isinstance(drawing, Panels) else ""
    of_caption = captions.inches(caption(ask, drawing, settings, terms), settings.size.width)
    return min(venues.TALLEST, max(venues.PAGE - of_caption, 2.0))


def figure_files(
    ask: Ask,
    drawn: Mapping[str, Drawing | Panels],
    settings: Settings,
    warn: Callable[[list[str]], None] = lambda words: None,
) -> Iterator[tuple[str, bytes]]:
    """Yields the figures' files: name and content; `warn` is told which ones no page has room for."""
    with ThreadPoolExecutor(1) as pool:  # while Chromium draws a figure, the next one is made
        before: tuple[str, Future[dict[str, bytes]]] | None = None
        for name, drawing in drawn.items():
            tallest = room(ask, drawing, settings)
            figure = printed(drawing, settings.size, tallest)
            if words := layout.too_tall(figure, tallest):
                warn([f"{name}: {words}"])
            title = f"{ask.run.name} {name}"
            files = pool.submit(chromium.drawn, figure, settings.formats, dpi=settings.dpi, title=title)
            yield from _files(before)
            before = name, files
        yield from _files(before)


def _files(drawn: tuple[str, Future[dict[str, bytes]]] | None) -> Iterator[tuple[str, bytes]]:
    if drawn is not None:
        yield from ((f"figures/{drawn[0]}.{form}", content) for form, content in drawn[1].result().items())


def bundle(
    store: Store,
    run: Run,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
    *,
    warn: Callable[[list[str]], None] = lambda words: None,
    others: Sequence[Run] = (),
) -> tuple[str, bytes, dict[str, Any]]:
    """Returns name and bytes of the zip, and what its `provenance.json` says.

    `others` are the runs compared with, as in the settings; `warn` as of `figure_files`.
    """
    ask = Ask(run, store)
    settings = resolved(ask, settings)
    folder = settings.folder(run)
    drawn = chosen(store, run, settings)
    files: dict[str, bytes] = {}
    for name, content in figure_files(ask, drawn, settings, warn):
        files[name] = content
        if progress is not None:
            progress(len(files), len(drawn) * len(settings.formats))
    rows: dict[str, str] = {}
    for name, drawing in drawn.items():
        for part, frame in drawing.rows.items():
            stem = f"rows/{name}-{part.replace(' ', '-')}"
            files[f"{stem}.csv"], files[f"{stem}.parquet"] = csv(frame), parquet(frame)
            without_name = frame.drop(columns="run", errors="ignore")  # a renamed run is the same run
            rows[f"{stem}.csv"] = hashlib.sha256(csv(without_name)).hexdigest()
    for name, (table, caption) in tables.captioned(ask, settings.choice.runs, settings.size.numbers).items():
        text = tables.markdown(table).encode()
        files[f"tables/{name}.md"] = text
        files[f"tables/{name}.tex"] = tables.booktabs(table, caption, f"{folder}-{name}", settings.venue).encode()
        rows[f"tables/{name}.md"] = hashlib.sha256(text).hexdigest()
    said = provenance([run, *others], settings, rows)
    if text := figures_tex(ask, drawn, settings):
        files["figures.tex"] = text.encode()
    files["provenance.json"] = json.dumps(said, indent=1, ensure_ascii=False).encode()
    return folder, zipped({f"{folder}/{name}": content for name, content in files.items()}), said


def figures_tex(ask: Ask, drawn: Mapping[str, Drawing | Panels], settings: Settings) -> str:
    """Returns the LaTeX of a bundle: each figure with caption and label; "" if LaTeX can take none of the formats."""
    form = next((form for form in ("pdf", "png", "svg") if form in settings.formats), None)
    if form is None:
        return ""
    folder = settings.folder(ask.run)
    text = [f"% Figures of run {ask.run.name}, made by interdash. Put the folder {folder} beside your paper, and"]
    text += [rf"% {latex.PREAMBLE} before \begin{{document}}; then \input{{{folder}/figures.tex}}, or copy from here."]
    text += [r"% SVG needs \usepackage{svg} and Inkscape; --format pdf needs neither."] * (form == "svg")
    first = ""
    for name, drawing in drawn.items():
        file, label = f"{folder}/figures/{name}.{form}", f"{folder}-{name}"
        text.append("\n" + environment(ask, drawing, settings, file, label, first, terms=captions.EVERY_TERM))
        first = first or label
    return "\n".join(text)


def environment(
    ask: Ask, drawing: Drawing | Panels, settings: Settings, file: str, name: str, first: str = "", terms: str = ""
) -> str:
    """Returns a figure as LaTeX has it: the file, its caption and a label made of a name.

    `first` is the name of the figure whose caption has the setting and the terms; "" = this one, with those `terms`.
    """
    words = caption(ask, drawing, settings, None if first else terms)
    wide, reference = venues.has_columns(settings.venue), _label(first) if first else ""
    return latex.figure(file, words, _label(name), reference, width=settings.size.width, wide=wide)


def _label(name: str) -> str:
    return re.sub("[_+]", "-", name)


def caption(ask: Ask, drawing: Drawing | Panels, settings: Settings, terms: str | None = "") -> str:
    """Returns the caption of a figure in print, its numbers as the venue's language writes them; `terms` as there."""
    size = settings.size
    text = captions.caption(
        ask, drawing, settings.choice, grey=size.colours == "grey", terms=terms, is_short=size.width < venues.COLUMN
    )
    return venues.spelled(text, settings.size.numbers)


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
