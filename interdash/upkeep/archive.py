"""Archives: a run as one file, and back, bit for bit. No torch.

A tar file of the run's folder, `run.json` at its end, so that one that was cut lacks it. A run is brought back into a
draft folder and verified as any run is, and only then does the folder take its place.
"""

import json
import os
import secrets
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from interdash.runs.files import DamagedFileError, check_name, draft
from interdash.runs.run import Run
from interdash.runs.state import check_not_extracting
from interdash.upkeep.verify import verify

LAST = "run.json"
OLD_INDEX = "interdash-archive.json"  # ends an archive of an older interdash, whose names lack the run's folder
Progress = Callable[[int, int], None]


def archive(run: Run, path: Path, *, progress: Progress | None = None) -> Path:
    """Returns the file that now holds the whole run, written in one step; the run stays as it is.

    Args:
        run: the run; drafts and locks are left out.
        path: the file to write.
        progress: called with bytes done and bytes in all.

    Raises:
        FileExistsError: there is such a file.
        RuntimeError: an extraction of the run is at work, or a file changed meanwhile.
        DamagedFileError: a file of the run is damaged; missing units are no hindrance.
        OSError: the disk is full.
    """
    if path.exists():
        raise FileExistsError(f"{path} is there already; choose another name or delete it")
    check_not_extracting(run)
    if damaged := verify(run).damaged:
        raise DamagedFileError(f"{run.name} is not archived, {len(damaged)} files are damaged; the first: {damaged[0]}")
    files = _files(run)
    total, done = sum(file.stat().st_size for file in files), 0
    with draft(path) as place, tarfile.open(place, "w", dereference=True) as packed:
        for file in files:
            member = packed.gettarinfo(file, f"{run.name}/{file.relative_to(run.path).as_posix()}")
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = int(member.mtime)
            with open(file, "rb") as content:
                packed.addfile(member, content)
                if content.read(1):
                    raise RuntimeError(f"{file} grew while it was archived; try again")
            done += member.size
            if progress is not None:
                progress(done, total)
    return path


def restore(path: Path, root: Path, *, replace: bool = False, progress: Progress | None = None) -> Run:
    """Returns the run that an archive holds, brought back into the folder `root`.

    Args:
        path: a file that `archive` wrote.
        root: the folder of runs.
        replace: also over a run of that name, which goes once every file of the archive has been verified.
        progress: called with bytes done and bytes in all.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: it is no archive, or any file in it is damaged; nothing was replaced.
        FileExistsError: a run of that name is there, and it is not to be replaced.
        RuntimeError: an extraction of that run is at work.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}; make one with `interdash archive RUN {path}`")
    try:
        with tarfile.open(path, "r:") as packed:
            name, members = _contents(packed)
            run = Run(root / name)
            if run.path.exists() and not replace:
                raise FileExistsError(
                    f"there is a run {run.name!r} in {root} already; --replace puts the archive in its place"
                )
            check_not_extracting(run)
            with _in_place_of(run.path) as place:
                done, total = 0, sum(member.size for member in members)
                for member in members:
                    packed.extract(member, place, filter="data")
                    done += member.size
                    if progress is not None:
                        progress(done, total)
                if damaged := verify(Run(place)).damaged:
                    raise ValueError(damaged[0].replace(f"{place}{os.sep}", ""))
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}); nothing was replaced") from error
    return run


def _files(run: Run) -> list[Path]:
    """Returns the files of a run, `run.json` last; no drafts, no locks."""
    files = [
        path
        for path in run.path.rglob("*")
        if path.is_file()
        and path.suffix != ".lock"
        and not any(part.startswith(".") for part in path.relative_to(run.path).parts)
    ]
    return sorted(files, key=lambda path: (path.relative_to(run.path).as_posix() == LAST, path))


def _contents(packed: tarfile.TarFile) -> tuple[str, list[tarfile.TarInfo]]:
    """Returns the name of the run that an archive holds, and its files, named as inside the run's folder.

    Raises:
        ValueError: it holds anything but the files of one run, or not all of them.
    """
    members = packed.getmembers()
    last = members[-1].name if members else ""
    run, prefix = last.partition("/")[0], f"{last.partition('/')[0]}/"
    if last == OLD_INDEX and (index := packed.extractfile(members.pop())):
        run, prefix = json.loads(index.read())["run"], ""
    elif last != prefix + LAST:
        raise ValueError(f"it does not end with the {LAST} of a run")
    for member in members:
        if not member.isfile() or not member.name.startswith(prefix):
            raise ValueError(f"{member.name!r} is no file inside a run")
    return check_name(run), [member.replace(name=member.name.removeprefix(prefix), deep=False) for member in members]


@contextmanager
def _in_place_of(path: Path) -> Iterator[Path]:
    """Yields a draft folder, which takes the place of a folder in one step; one that was there is deleted after it."""
    old = path.with_name(f".{path.name}.{secrets.token_hex(6)}.old.draft")
    try:
        with draft(path) as place:
            yield place
            if path.exists():
                os.replace(path, old)
    except BaseException:
        if old.exists():
            os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
