"""A look at the machine: what interdash needs, what it finds, and the command that mends what is missing."""

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from interdash.dashboard import server
from interdash.home import HOME

LOW_DISK = 1.0  # GB; a run of the default size takes about 0.1
PINS = HOME / "requirements.txt"
PIP = f"{sys.executable} -m pip install"
VIEW_ONLY = ("torch", "jaxtyping", "scikit-learn", "numba")  # the dashboard shows runs without them
EXTRAS = {  # of pyproject.toml, and what each is for
    "lightning": "callback for Lightning",
    "hf": "callback for the Hugging Face Trainer",
    "cluster": "extraction with Dask, and object stores",
    "tensorboard": "import of losses from TensorBoard events",
}


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    `ok` is None where it is not as tested, or optional and missing; `remedy` says what to do.
    """

    name: str
    ok: bool | None = field(kw_only=True)
    found: str
    remedy: str = ""


def checks(root: Path, port: int = server.PORT) -> Iterator[Check]:
    """Yields what is looked at: Python, packages, extras, devices, figure files, folder of runs, disk, port, runs."""
    yield _python()
    yield from _packages()
    yield from _extras()
    yield from _devices()
    yield _figure_files()
    yield _writable(root)
    yield _disk(root)
    yield _port(port)
    yield from _runs(root)


def _python() -> Check:
    text = f"{platform.python_version()} in {sys.prefix}"
    return Check("Python", text, "install Python 3.11 or later; `make demo PYTHON=…`", ok=sys.version_info >= (3, 11))


def _packages() -> Iterator[Check]:
    tested = dict(re.findall(r"^([\w.-]+)==(\S+)", _pins(PINS), re.MULTILINE))
    for line in requires("interdash") or []:
        need = Requirement(line)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        pin = tested.get(need.name)
        remedy = f"`{PIP} '{f'{need.name}=={pin}' if pin else line}'`"
        try:
            text = version(need.name)
        except PackageNotFoundError:
            if need.name in VIEW_ONLY:
                yield Check(need.name, "missing: the dashboard shows runs, none can be made", remedy, ok=None)
            else:
                yield Check(need.name, "missing", remedy, ok=False)
            continue
        as_tested = pin is None or text.partition("+")[0] == pin
        fits = need.specifier.contains(text, prereleases=True)
        if not fits:
            yield Check(need.name, f"{text}, needed is {need.specifier}", remedy, ok=False)
        else:
            yield Check(need.name, text if as_tested else f"{text}, tested with {pin}", remedy, ok=as_tested or None)


def _extras() -> Iterator[Check]:
    declared = [Requirement(line) for line in requires("interdash") or []]
    for extra, purpose in EXTRAS.items():
        texts, lacking = [], []
        for need in declared:
            if need.marker is None or not need.marker.evaluate({"extra": extra}):
                continue
            try:
                there = version(need.name)
            except PackageNotFoundError:
                lacking.append(f"{need.name} is missing")
                continue
            texts.append(f"{need.name} {there}")
            if not need.specifier.contains(there, prereleases=True):
                lacking.append(f"{need.name} is {there}, needed is {need.specifier}")
        if not texts and not lacking:
            lacking.append("not declared by the installed package, which is older")
        remedy = f"optional: `{PIP} 'interdash[{extra}]'`"
        yield Check(f"extra {extra}", f"{purpose}: {', '.join(lacking or texts)}", remedy, ok=None if lacking else True)


def _pins(path: Path) -> str:
    """Returns the text of a file of pins, with those of the files that it includes."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return "\n".join([text, *(_pins(path.parent / name) for name in re.findall(r"^-r (\S+)", text, re.MULTILINE))])


def _devices() -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check("CPU", f"{cores} cores: extraction uses one worker a core", ok=True)
    try:
        import torch
    except ModuleNotFoundError:
        return  # said among the packages
    except (ImportError, OSError) as error:
        yield Check("torch", f"cannot be imported: {error}", f"`{PIP} --force-reinstall torch`", ok=False)
        return
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        yield Check("CUDA", names, ok=True)
    else:
        built = f"torch {torch.__version__}"
        yield Check(
            "CUDA", f"no GPU that {built} can use", "optional: `--device cpu`, the default, needs none", ok=None
        )


def _figure_files() -> Check:
    """Draws a small PDF, as `interdash export` would, and looks whether the venues' font is in it."""
    try:
        from interdash.figures import theme
        from interdash.paper import chromium, layout, venues
    except ImportError as error:
        return Check("figure files", f"{error}", "mend the packages above", ok=False)
    try:
        path = chromium.chromium()
    except chromium.NoBrowserError:
        missing = "no Chromium: PDF, SVG and PNG cannot be drawn"
        return Check("figure files", missing, f"optional: {chromium.REMEDY}", ok=None)
    try:
        pdf = chromium.render(layout.printed(theme.nothing("interdash", "epoch", "H"), venues.venue("neurips")))
    except (RuntimeError, OSError) as error:
        return Check("figure files", f"{path}: {error}", chromium.REMEDY, ok=False)
    finally:
        chromium.close()
    if venues.SERIF.replace(" ", "").encode() not in pdf:
        return Check("figure files", f"{path} drew a PDF without {venues.SERIF}", chromium.REMEDY, ok=False)
    return Check("figure files", f"{path} drew a PDF with {venues.SERIF}", ok=True)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())


def _writable(root: Path) -> Check:
    folder = _existing(root)
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Check("folder of runs", f"{root} can be written", ok=True)
    except OSError as error:
        remedy = "fine for looking; to make runs, choose another with --root DIR or INTERDASH_ROOT"
        return Check("folder of runs", f"{folder} cannot be written: {error.strerror}", remedy, ok=None)


def _disk(root: Path) -> Check:
    free = shutil.disk_usage(_existing(root)).free / 1e9
    remedy = f"`interdash gc --delete --root {root}` deletes what runs no longer need; {LOW_DISK:.0f} GB should be free"
    return Check("free disk", f"{free:.1f} GB", remedy, ok=free >= LOW_DISK)


def _port(port: int) -> Check:
    if server.is_free(port):
        return Check("port", f"{port} is free", ok=True)
    remedy = f"`interdash serve --port {server.next_free(port)}`"
    return Check("port", f"{port} is taken by {server.occupant(port)}", remedy, ok=None)


def _runs(root: Path) -> Iterator[Check]:
    try:
        from interdash.runs import run as runs
        from interdash.runs.files import DamagedFileError
        from interdash.store import database
    except ImportError:
        return  # said among the packages
    folders = runs.list_runs(root)
    if not folders:
        problem, _, remedy = runs.no_runs(root).partition("; ")
        yield Check("runs", problem, remedy, ok=None)
    else:
        yield Check("runs", f"{len(folders)} of format {runs.FORMAT} in {root}", ok=True)
    for name, problem in runs.list_broken_runs(root):
        what, _, remedy = problem.rpartition("; ")
        yield Check(f"run {name}", what or problem, remedy if what else f"move {root / name} elsewhere", ok=False)
    for path in sorted(file for run in folders for file in run.path.glob("*.duckdb")):
        try:
            database.open_sealed(path).close()
        except DamagedFileError as error:
            what = str(error).rpartition("; ")[0]
            yield Check(f"file {path.name}", what, f"`interdash load {path.parent.name} --root {root}`", ok=False)
