"""Packs: the parts of one network at one epoch in one file, when there are too many small ones. No torch.

A pack is a ZIP archive without compression that holds the part files as they were, byte for byte:
`<network>-<epoch>-<key>.zip` for `<network>-<epoch>-<first sample>-<key>.parquet`. A part is read from its pack through
a memory map, as quickly as from a file of its own. Where both are there, the part by itself counts.
"""

import struct
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from interdash.files import write_atomically

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")  # of a ZIP member; its last two fields: lengths of name and extra


def pack_name(part: str) -> str:
    """Returns the name of the pack that may hold a part, both without suffix.

    >>> pack_name("target-00003-00025-0123456789abcdef")
    'target-00003-0123456789abcdef'
    """
    epoch, _, key = part.rsplit("-", 2)
    return f"{epoch}-{key}"


def pack_path(part: Path) -> Path:
    """Returns where the pack that may hold a part lies."""
    return part.with_name(f"{pack_name(part.stem)}.zip")


def open_part(part: Path) -> pa.NativeFile | pa.BufferReader:
    """Returns a part as a memory-mapped file: its own, or its place in the pack.

    Raises:
        FileNotFoundError: it is in neither.
        zipfile.BadZipFile: the pack is damaged.
    """
    with suppress(FileNotFoundError):
        return pa.memory_map(str(part))
    if part.parent.name == "parts":
        with suppress(FileNotFoundError):
            return _open_packed(part)
    return pa.memory_map(str(part))  # unpacked between the two looks, or not there


def _open_packed(part: Path) -> pa.BufferReader:
    path = pack_path(part)
    with open(path, "rb") as file, zipfile.ZipFile(file) as pack:
        try:
            member = pack.getinfo(part.name)
        except KeyError:
            raise FileNotFoundError(f"{path} does not hold {part.name}") from None
        file.seek(member.header_offset)
        header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    content = pa.memory_map(str(path))
    content.seek(member.header_offset + _LOCAL_HEADER.size + header[-2] + header[-1])
    return pa.BufferReader(content.read_buffer(member.file_size))


def pack(parts: Sequence[Path]) -> Path:
    """Returns the pack written of the parts of one network and epoch; the parts themselves are deleted at the end."""
    path = pack_path(parts[0])

    def write(file) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as made:
            for part in parts:
                made.writestr(zipfile.ZipInfo(part.name), part.read_bytes())

    write_atomically(path, write)
    for part in parts:
        part.unlink(missing_ok=True)
    return path


def is_whole(path: Path, names: set[str]) -> bool:
    """Returns whether a pack holds parts of these names, their checksums verified."""
    try:
        with zipfile.ZipFile(path) as packed:
            return set(packed.namelist()) == names and packed.testzip() is None
    except (FileNotFoundError, zipfile.BadZipFile):
        return False


def discard(part: Path) -> None:
    """Deletes a part; where it is in a pack, the other parts get files of their own again, those that are whole."""
    part.unlink(missing_ok=True)
    path = pack_path(part)
    with suppress(FileNotFoundError, zipfile.BadZipFile), zipfile.ZipFile(path) as packed:
        for name in packed.namelist():
            if name != part.name and Path(name).name == name and not part.with_name(name).exists():
                with suppress(zipfile.BadZipFile):  # its checksum does not hold: it is damaged too
                    write_atomically(part.with_name(name), packed.read(name))
    path.unlink(missing_ok=True)
