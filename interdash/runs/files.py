"""Safe names, files that are either absent, old or complete, and tensors whose bytes are verified.

torch is imported inside the functions that need it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import operator
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from torch import Tensor

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NETWORK = re.compile(r"target|baseline-(0|[1-9][0-9]{0,3})")


class DamagedFileError(ValueError):
    """A file of a run is truncated, altered or unreadable; the message names it and says what to do."""


def check_name(name: str) -> str:
    """Returns the name of a run if it is safe as a folder, in a URL and in a shell.

    >>> check_name("mnist-noise.10")
    'mnist-noise.10'

    Raises:
        ValueError: the name is not 1 to 64 of A–Z, a–z, 0–9, '.', '_', '-', starting with a letter or digit and not
            ending with a dot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.endswith("."):
        text = repr(name) if len(repr(name)) <= 80 else f"{repr(name)[:60]}… ({len(name)} characters)"
        raise ValueError(
            f"{text} cannot name a run; use 1 to 64 of the characters A-Z, a-z, 0-9, '.', '_', '-', starting with a "
            "letter or digit and not ending with a dot"
        )
    return name


def check_network(network: str) -> str:
    """Returns the name of a run's network if it is "target" or "baseline-<i>".

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(network, str) or not NETWORK.fullmatch(network):
        raise ValueError(f"{network!r} names no network of a run; use 'target', 'baseline-0', 'baseline-1', …")
    return network


def baseline_number(network: str) -> int:
    """Returns the number of a baseline network.

    >>> baseline_number("baseline-12")
    12
    """
    return int(network.removeprefix("baseline-"))


def check_epoch(epoch: int) -> int:
    """Returns the epoch as an int if it is a whole number from 0 (the untrained network) on.

    Raises:
        ValueError: it is negative or no whole number.
    """
    try:
        number = operator.index(epoch)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"epoch is {epoch!r}; it must be a whole number from 0 (the untrained network) on")
    return number


def with_checksum(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a JSON object with a last field `checksum`: SHA-256 over all others, whatever their order and spacing.

    >>> checksum_holds(with_checksum({"notes": "a"})), checksum_holds(with_checksum({"notes": "a"}) | {"notes": "b"})
    (True, False)
    """
    fields = _fields(record)
    as_read = json.loads(json.dumps(fields))
    return fields | {"checksum": _checksum(as_read)}


def checksum_holds(record: Mapping[str, Any]) -> bool | None:
    """Returns whether a JSON object, as it was read, is as `with_checksum` made it; None if it has no checksum."""
    return None if "checksum" not in record else _checksum(_fields(record)) == record["checksum"]


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "checksum"}


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def words(error: Exception) -> str:
    """Returns an error in words for the user: with the file it is about, and what to do if it may not be written."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        text += "; ask for the right to write there, or copy the runs to a folder of yours and name it with --root DIR"
    return text


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Yields where a file or a folder is to be made, which then takes the place of `path` in one step.

    It appears under its name whole and on the disk, or not at all: draft in the same folder, fsync, rename, fsync of
    the folder. Folders above are made as needed. A folder cannot take the place of one that is not empty.

    Raises:
        OSError: the disk is full or not writable; the draft is gone and what was there before untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.draft")
    try:
        yield place
        for file in [place] if place.is_file() else place.rglob("*"):
            if file.is_file():
                with open(file, "rb+") as content:
                    os.fsync(content.fileno())
        os.replace(place, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                error.errno,
                f"the disk is full: could not write {path}; free some space and run the same command again, "
                "what was finished is safe",
            ) from error
        raise
    finally:
        with suppress(OSError):
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Writes a file so that it is either absent, old or complete, and on the disk when this returns; see `draft`.

    Args:
        path: the file.
        content: its bytes, or a function that writes them into the binary file it is given.

    Raises:
        OSError: the disk is full or not writable; the draft is gone and an older file of that name untouched.
    """
    with draft(path) as place, open(place, "wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)


def is_writable(folder: Path) -> bool:
    """Returns whether files can be made in a folder, or, while it is not there, in the nearest one above it."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return os.access(there, os.W_OK)


def remove_drafts(folder: Path, older_than: float = 3600.0) -> int:
    """Returns how many drafts that a killed process left below a folder were deleted.

    Args:
        folder: searched with everything below it.
        older_than: seconds since the last write; younger drafts may still be written to.
    """
    stale = stale_drafts(folder, older_than)
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def stale_drafts(folder: Path, older_than: float = 3600.0) -> list[Path]:
    """Returns drafts (files, or folders of files) below a folder that nothing was written to for so many seconds."""
    stale = []
    for path in folder.rglob(".*.draft"):
        if path.parent.suffix == ".draft":
            continue  # goes with its folder
        with suppress(FileNotFoundError):  # finished meanwhile
            times = [inner.stat().st_mtime for inner in (path, *path.rglob("*"))]
            if time.time() - max(times) >= older_than:
                stale.append(path)
    return stale


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened, and a rename needs no such step
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Returns tensors as the bytes of a safetensors file, the same bytes for the same tensors."""
    from safetensors.torch import save

    # clone: tied weights share memory, which safetensors refuses; each name gets its own copy
    return save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})


def read_tensors(path: Path, sha256: str, remedy: str) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file whose bytes have the given hash."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedFileError(f"{path} is damaged: its SHA-256 is not {sha256[:12]}…, as recorded; {remedy}")
    try:
        return load(content)
    except SafetensorError as error:
        raise DamagedFileError(f"{path} is no safetensors file ({error}); {remedy}") from error
