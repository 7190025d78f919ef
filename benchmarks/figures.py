"""Looks at every figure of a run at every venue as a printed page, and measures how long figures take.

    python -m benchmarks.figures data/runs/mnist [OTHER RUNS] [--pages FOLDER] [--venue NAME]

Each PDF is one page of the venue's width, its fonts embedded TrueType, its text selectable and inside the page, no two
words over each other; bitmaps are named. From the SVG: no text below 6 pt, the legend above all plots. The first run
is drawn at all venues, and at `FEW` in the cases of `CASES`, compared with itself among them; the other runs (one on
texts, one on tables) at `FEW`. `--pages` keeps PDFs. Writes benchmarks/results/figures.json.
"""

import argparse
import itertools
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from interdash.figures import catalogue
from interdash.figures.choice import Choice
from interdash.paper import bundle, chromium, venues
from interdash.paper.settings import Settings
from interdash.queries.asking import Ask
from interdash.runs.run import Run
from interdash.store.database import Store, open_store
from interdash.store.loading import refresh

RESULTS = Path(__file__).parent / "results" / "figures.json"
PANELS = "order_strength_row/dynamics,interactions"
SVG = "{http://www.w3.org/2000/svg}"
OVERLAP = 0.15  # of the smaller word
FEW = ("icml-column", "nature-column", "neurips")
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # what differs in the choice, and in the looks
    "apart": ({"types": ("and", "or"), "sample": 3}, {}),
    "grey": ({}, {"colours": "grey"}),
    "nats": ({"scale": "nats", "log": False, "split": "test", "min_order": 2, "dose": 50}, {"numbers": "comma"}),
}


def said(*command: str) -> str:
    """Returns what a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def page_problems(path: Path, width: float) -> list[str]:
    """Returns what is wrong with a PDF of some width in points."""
    found = []
    info = said("pdfinfo", str(path))
    sizes = re.search(r"Page size: +([\d.]+) x ([\d.]+)", info)
    if sizes is None or not re.search(r"Pages: +1\n", info) or abs(float(sizes[1]) - width) > 0.5:
        found.append(f"not one page of {width:g} pt: {sizes[0] if sizes else info}")
    fonts = said("pdffonts", str(path)).splitlines()[2:]
    found += [f"font: {line}" for line in fonts if "TrueType" not in line or " yes yes " not in line]
    text = said("pdftotext", "-bbox", str(path), "-")
    words = [
        (float(x0), float(y0), float(x1), float(y1), word)
        for x0, y0, x1, y1, word in re.findall(
            r'<word xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</word>', text
        )
    ]
    if not words:
        found.append("no text can be selected")
    high = float(sizes[2]) if sizes else 0.0
    found += [f"cut: {w[4]}" for w in words if min(w[:2]) < -0.5 or w[2] > width + 0.5 or w[3] > high + 0.5]
    inner = [_inner(word) for word in words]
    found += [f"over each other: {a[4]}, {b[4]}" for a, b in itertools.combinations(inner, 2) if _overlap(a, b)]
    return found


def _inner(word: Any) -> Any:
    """Returns the box of a word without the room above and below its letters."""
    x0, y0, x1, y1, text = word
    upright = y1 - y0 > x1 - x0 and len(text) > 1
    dx, dy = (0.2 * (x1 - x0), 0.0) if upright else (0.0, 0.2 * (y1 - y0))
    return x0 + dx, y0 + dy, x1 - dx, y1 - dy, text


def _overlap(a: Any, b: Any) -> bool:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    area = min((each[2] - each[0]) * (each[3] - each[1]) for each in (a, b))
    return wide > 0 and high > 0 and wide * high > OVERLAP * area


def svg_problems(content: bytes) -> list[str]:
    """Returns texts below 6 pt, and whether the legend reaches into a plot."""
    root = ElementTree.fromstring(content)
    found: list[str] = []
    _small(root, 12.0, found)
    legend = next((group for group in root.iter(f"{SVG}g") if "legend" in (group.get("class") or "").split()), None)
    if legend is not None:
        box = legend.find(f"{SVG}rect")
        bottom = _moved(legend)[1] + (float(box.get("height", 0)) if box is not None else 0)
        plots = [_moved(group)[1] for group in root.iter(f"{SVG}g") if group.get("class") == "plot"]
        if plots and bottom > min(plots) + 1:
            found.append(f"the legend ends {bottom - min(plots):.0f} px inside a plot")
    return found


def _small(element: Any, size: float, found: list[str]) -> None:
    given = re.search(r"font-size: ?([\d.]+)(px|%)", element.get("style") or "")
    if given:
        size = float(given[1]) if given[2] == "px" else size * float(given[1]) / 100
    if element.tag in (f"{SVG}text", f"{SVG}tspan") and (element.text or "").strip("\u200b \n"):
        points = size / venues.POINT
        if points < venues.SMALLEST - 0.01:
            found.append(f"{points:.1f} pt: {element.text}")
    for child in element:
        _small(child, size, found)


def _moved(element: Any) -> tuple[float, float]:
    x, y = re.findall(r"-?[\d.]+", element.get("transform") or "translate(0,0)")[:2]
    return float(x), float(y)


def look(store: Store, run: Run, twin: Run, others: list[Run], chosen: list[str], folder: Path) -> dict[str, Any]:
    """Returns what is wrong with each figure at each venue and in each case, and which hold bitmaps."""
    found: dict[str, Any] = {"pages": 0, "venues": len(chosen), "problems": {}, "with bitmaps": set()}
    few = [venue for venue in FEW if venue in chosen] or chosen[:1]
    compared: dict[str, Any] = {"compared": ({"runs": (twin.name,)}, {})}
    for venue in chosen:
        _look(store, run, Settings(("all", PANELS), venue), f"{run.name}-{venue}", folder, found)
    for case, (choice, looks) in (CASES | compared).items():
        for venue in few:
            settings = Settings(("all", PANELS), venue, looks=looks, choice=Choice(**choice))
            _look(store, run, settings, f"{run.name}-{case}-{venue}", folder, found)
    for other in others:
        for venue in few:
            _look(store, other, Settings(venue=venue), f"{other.name}-{venue}", folder, found)
    return found | {"cases": [*CASES, *compared], "runs": [run.name, *(other.name for other in others)],
                    "with bitmaps": sorted(found["with bitmaps"])}  # fmt: skip


def _look(store: Store, run: Run, settings: Settings, stem: str, folder: Path, found: dict[str, Any]) -> None:
    """Adds what is wrong with each figure of a run in some settings."""
    settings = replace(settings, formats=("pdf", "svg"))
    for name, content in bundle.figure_files(Ask(run, store), bundle.chosen(store, run, settings), settings):
        path = folder / f"{stem}-{Path(name).name}"
        path.write_bytes(content)
        if path.suffix == ".pdf":
            found["pages"] += 1
            problems = page_problems(path, settings.size.width * 72)
            if b"/Subtype /Image" in content:
                found["with bitmaps"].add(Path(name).stem)
        else:
            problems = svg_problems(content)
        if problems:
            found["problems"][path.name] = problems
            print(path.name, problems, flush=True)


def times(store: Store, run: Run) -> dict[str, Any]:
    """Returns seconds of twelve figures in three formats after the first, and of one more."""
    settings = Settings(venue="icml", formats=("pdf", "svg", "png"))
    ask = Ask(run, store)
    names = catalogue.names(ask, settings.choice)[:12]
    start = time.perf_counter()
    chromium.render(bundle.printed(catalogue.drawing(ask, names[0], settings.choice), settings.size))
    first = time.perf_counter() - start
    start = time.perf_counter()
    drawn = {name: catalogue.drawing(ask, name, settings.choice) for name in names}
    files = [len(content) for _, content in bundle.figure_files(ask, drawn, settings)]
    twelve = time.perf_counter() - start
    more = []
    for name in names:
        start = time.perf_counter()
        chromium.render(bundle.printed(catalogue.drawing(ask, name, settings.choice), settings.size))
        more.append(time.perf_counter() - start)
    return {
        "figures": len(names),
        "files": len(files),
        "first_s": round(first, 2),
        "twelve_in_three_formats_s": round(twelve, 2),
        "one_more_s": {"median": round(statistics.median(more), 3), "worst": round(max(more), 3)},
    }


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("others", type=Path, nargs="*", help="runs on texts and tables")
    parser.add_argument("--pages", type=Path, help="where the pages are kept")
    parser.add_argument("--venue", action="append", choices=list(venues.VENUES), help="default: all")
    parser.add_argument("--only", action="append", choices=("times", "look"))
    options = parser.parse_args()
    store, run = open_store(), Run.open(options.run.parent, options.run.name)
    others = [Run.open(path.parent, path.name) for path in options.others]
    result: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    result |= {"machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.python_version()}", "run": run.name}
    wanted = options.only or ["times", "look"]
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as copies:
        twin = Run(Path(copies) / f"{run.name}-twin")
        shutil.copytree(run.path, twin.path)
        for each in (run, twin, *others):
            refresh(store, each)
        pages = options.pages or Path(scratch)
        pages.mkdir(parents=True, exist_ok=True)
        if "times" in wanted:
            result["times"] = times(store, run)
        if "look" in wanted:
            result["look"] = look(store, run, twin, others, options.venue or list(venues.VENUES), pages)
    chromium.close()
    print(json.dumps(result, indent=1))
    RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
