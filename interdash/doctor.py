"""A look at the machine: what interdash needs, what it finds, and what to do about what is missing."""

import os
import platform
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

LOW_DISK = 1.0  # GB; a run of the default size takes about 0.1
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Check:
    """One thing looked at. `ok` is None where it is optional and missing."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


def checks(root: Path) -> list[Check]:
    """Returns what was looked at: Python, packages, torch and its devices, the folder of runs, disk, browser."""
    return [_python(), *_packages(), *_torch(), _writable(root), _disk(root), _browser(), *_runs(root)]


def _python() -> Check:
    found = f"{platform.python_version()} in {sys.prefix}"
    return Check("Python", sys.version_info >= (3, 11), found, "interdash needs Python 3.11 or later")


def _packages() -> list[Check]:
    found = []
    for line in requires("interdash") or []:
        if "extra ==" in line:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        try:
            found.append(Check(name, True, version(name)))
        except PackageNotFoundError:
            found.append(Check(name, False, "missing", f"pip install '{line}'"))
    return found


def _torch() -> list[Check]:
    try:
        import torch
    except ImportError as error:
        return [Check("torch", False, f"cannot be imported: {error}", "pip install torch")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpu = Check("CPU", True, f"{cores} cores: extraction uses one worker a core")
    if not torch.cuda.is_available():
        return [cpu, Check("CUDA", None, "no GPU that this torch can use", "optional: `--device cuda` needs one")]
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return [cpu, Check("CUDA", True, names)]


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())


def _writable(root: Path) -> Check:
    folder = _existing(root)
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Check("folder of runs", True, f"{root} can be written")
    except OSError as error:
        return Check("folder of runs", False, f"{folder}: {error.strerror}", "choose another with --root DIR")


def _disk(root: Path) -> Check:
    free = shutil.disk_usage(_existing(root)).free / 1e9
    return Check("free disk", free >= LOW_DISK, f"{free:.1f} GB", f"free some space: at least {LOW_DISK:.0f} GB")


def _browser() -> Check:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    remedy = "optional: only figure files as PDF or PNG need it: `apt-get install chromium`"
    return Check("Chromium", True, found) if found else Check("Chromium", None, "not found", remedy)


def _runs(root: Path) -> list[Check]:
    from interdash.runs import list_broken_runs, list_runs

    broken = [Check(f"run {name}", False, problem, "see the message") for name, problem in list_broken_runs(root)]
    return [Check("runs", True, f"{len(list_runs(root))} readable in {root}"), *broken]
