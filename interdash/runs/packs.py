"""Packs: the parts of one network at one epoch in one file, when there are too many small ones. No torch.

A pack is a Parquet file as a part is one, see `parts`. A run that an older interdash compacted has ZIP archives of part
files in the place of packs; they are unpacked before anything is computed.
"""

import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from interdash.runs.files import write_atomically
from interdash.runs.parts import Unit, pack_path, part_path, read_rows, read_seconds
from interdash.runs.plan import SAMPLES_PER_UNIT
from interdash.runs.run import Run
from interdash.runs.tables import write_table


def write_pack(run: Run, units: Sequence[Unit]) -> Path:
    """Returns the pack of all parts of one network and epoch, each verified; the parts themselves are deleted then.

    Raises:
        DamagedFileError: a part is damaged; nothing was written.
    """
    path = pack_path(run, units[0])
    table = pa.concat_tables(read_rows(run, unit, None, range(unit.first, unit.stop)) for unit in units)
    notes = {
        "stops": {unit.name: unit.stop for unit in units},
        "seconds": {unit.name: read_seconds(run, unit) for unit in units},
    }
    write_table(path, table, notes, group=SAMPLES_PER_UNIT)  # a part is one row group
    for unit in units:
        part_path(run, unit).unlink(missing_ok=True)
    return path


def unpack_zips(run: Run) -> list[str]:
    """Returns messages about damaged members of the ZIP packs of an older interdash, whose parts become files again."""
    problems = []
    for path in run.parts_dir.glob("*.zip"):
        with suppress(FileNotFoundError):  # another process was faster
            try:
                with zipfile.ZipFile(path) as archive:
                    problems += _unpack(archive, path)
            except zipfile.BadZipFile as error:
                problems.append(f"{path} is damaged ({error}); its units are computed again")
        path.unlink(missing_ok=True)
    return problems


def _unpack(archive: zipfile.ZipFile, path: Path) -> list[str]:
    problems = []
    for name in archive.namelist():
        part = path.with_name(Path(name).name)
        try:
            if part.suffix == ".parquet" and not part.exists():
                write_atomically(part, archive.read(name))
        except zipfile.BadZipFile as error:
            problems.append(f"{name} in {path} is damaged ({error}); it is computed again")
    return problems
