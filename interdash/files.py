"""Safe names, files that are either absent, old or complete, and tensors whose bytes are verified.

torch is imported inside the functions that need it.
"""

from __future__ import annotations

import errno
import hashlib
import operator
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

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
        shown = repr(name) if len(repr(name)) <= 80 else f"{repr(name)[:60]}… ({len(name)} characters)"
        raise ValueError(
            f"{shown} cannot name a run; use 1 to 64 of the characters A-Z, a-z, 0-9, '.', '_', '-', starting with a "
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


def words(error: Exception) -> str:
    """Returns an error in words for the user: with the file it is about, and what to do if it may not be written."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        text += "; ask for the right to write there, or copy the runs to a folder of yours and name it with --root DIR"
    return text


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Writes a file so that it is either absent, old or complete, and on the disk when this returns.

    Draft in the same folder, fsync, rename, fsync of the folder. Folders are made as needed.

    Args:
        path: the file.
        content: its bytes, or a function that writes them into the binary file it is given.

    Raises:
        OSError: the disk is full or not writable; the draft is gone and an older file of that name untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.draft")
    try:
        with open(draft, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                error.errno,
                f"the disk is full: could not write {path}; free some space and run the same command again, "
                "what was finished is safe",
            ) from error
        raise
    _sync_folder(path.parent)


def remove_drafts(folder: Path, older_than: float = 3600.0) -> int:
    """Returns how many drafts that a killed process left below a folder were deleted.

    Args:
        folder: searched with everything below it.
        older_than: seconds since the last write; younger drafts may still be written to.
    """
    stale = [draft for draft in folder.rglob(".*.draft") if time.time() - draft.stat().st_mtime >= older_than]
    for draft in stale:
        draft.unlink(missing_ok=True)
    return len(stale)


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
