"""Archives: a run as one file, and back, bit for bit. No torch.

A tar file of the run's files, with `interdash-archive.json` at its end: name, size and SHA-256 of every file, and a
checksum over that list. A run is brought back into a draft folder, every file compared with the list, and only then
does the folder take its place.
"""

import hashlib
import io
import json
import os
import secrets
import shutil
import tarfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Any

from interdash.files import DamagedFileError, check_name, checksum_holds, with_checksum, write_atomically
from interdash.runs import Run
from interdash.state import check_not_extracting
from interdash.verification import verify

FORMAT = 1
INDEX = "interdash-archive.json"
CHUNK = 1 << 20  # bytes
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
    names = _names(run)
    total, done = sum((run.path / name).stat().st_size for name in names), 0

    def write(file: IO[bytes]) -> None:
        nonlocal done
        index: dict[str, list[int | str]] = {}
        with tarfile.open(fileobj=file, mode="w") as made:
            for name in names:
                member = made.gettarinfo(run.path / name, name)
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                with open(run.path / name, "rb") as content:
                    hashing = _Hashing(content)
                    made.addfile(member, hashing)
                    if content.read(1):
                        raise RuntimeError(f"{run.path / name} grew while it was archived; try again")
                index[name] = [member.size, hashing.sha256.hexdigest()]
                done += member.size
                if progress is not None:
                    progress(done, total)
            head = {"format": FORMAT, "interdash": version("interdash"), "run": run.name, "files": index}
            text = json.dumps(with_checksum(head), ensure_ascii=False).encode()
            member = tarfile.TarInfo(INDEX)
            member.size = len(text)
            made.addfile(member, io.BytesIO(text))

    write_atomically(path, write)
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
    draft = root / f".restore-{secrets.token_hex(6)}.draft"
    try:
        with tarfile.open(path, "r:") as packed:
            index = _index(packed)
            run = Run(root / check_name(index["run"]))
            if run.path.exists() and not replace:
                raise FileExistsError(
                    f"there is a run {run.name!r} in {root} already; --replace puts the archive in its place"
                )
            check_not_extracting(run)
            _unpack(packed, index["files"], draft, progress)
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise DamagedFileError(f"{path} is damaged ({error}); nothing was replaced") from error
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    _take_place(draft, run.path)
    return run


class _Hashing:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.sha256 = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self.file.read(size)
        self.sha256.update(content)
        return content


def _names(run: Run) -> list[str]:
    """Returns the files of a run, relative to its folder; no drafts, no locks."""
    found = [path.relative_to(run.path) for path in run.path.rglob("*") if path.is_file()]
    return sorted(
        path.as_posix()
        for path in found
        if path.suffix != ".lock" and not any(part.startswith(".") for part in path.parts)
    )


def _index(packed: tarfile.TarFile) -> dict[str, Any]:
    members = packed.getnames()
    if not members or members[-1] != INDEX:
        raise ValueError(f"it does not end with {INDEX}")
    file = packed.extractfile(INDEX)
    index = json.loads(file.read()) if file is not None else {}
    if not checksum_holds(index):
        raise ValueError(f"the checksum of {INDEX} does not hold")
    if index["format"] != FORMAT:
        raise ValueError(f"it has format {index['format']}, this version of interdash reads format {FORMAT}")
    if sorted(members[:-1]) != sorted(index["files"]):
        raise ValueError("it holds other files than its list")
    return index


def _unpack(packed: tarfile.TarFile, files: dict[str, list[Any]], draft: Path, progress: Progress | None) -> None:
    """Writes the files of an archive below a draft folder, each compared with the list."""
    done, total = 0, sum(size for size, _ in files.values())
    for member in packed:
        if member.name == INDEX:
            continue
        name = PurePosixPath(member.name)
        if not member.isfile() or name.is_absolute() or ".." in name.parts:
            raise ValueError(f"{member.name!r} is no file inside a run")
        target = draft / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = packed.extractfile(member)
        assert source is not None  # a regular file
        hashing = _Hashing(source)
        with open(target, "wb") as file:
            shutil.copyfileobj(hashing, file, CHUNK)
            file.flush()
            os.fsync(file.fileno())
        if [member.size, hashing.sha256.hexdigest()] != files[member.name]:
            raise ValueError(f"the SHA-256 of {member.name} is not as recorded")
        os.utime(target, (member.mtime, member.mtime))
        done += member.size
        if progress is not None:
            progress(done, total)


def _take_place(draft: Path, path: Path) -> None:
    """Puts a whole folder in the place of another, if there is one."""
    old = draft.with_name(f"{draft.stem}-old.draft")
    if path.exists():
        os.replace(path, old)
    try:
        os.replace(draft, path)
    except OSError:
        if old.exists():
            os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
