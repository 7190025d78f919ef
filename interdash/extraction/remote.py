"""A run at an fsspec address (s3://bucket/runs, …), for workers that share no folder with the driver.

    <address>/<run>/run.json, samples.*, checkpoints/…    sent by the driver, fetched once by each node
    <address>/<run>/parts/<unit>.parquet                  sent by the workers, fetched by the driver

What is fetched is verified like any file of a run. The address is a way, not a home: the run's folder gets every part.
Credentials and end points come from the environment, as fsspec documents; none is stored with a run.
"""

from pathlib import Path
from typing import Any

from filelock import FileLock

from interdash.runs.files import DamagedFileError, write_atomically
from interdash.runs.parts import Unit, digest, part_path, read_part
from interdash.runs.plan import plan, unit_key
from interdash.runs.run import Run

_SAMPLES = ("samples.safetensors", "samples.json")


def send_run(run: Run, address: str) -> None:
    """Copies what the units of a run are computed from to the address; checkpoints that are there already stay."""
    system, place = _open(address, run.name)
    for name in ("run.json", *_SAMPLES):
        _send(system, run.path / name, f"{place}/{name}")
    for network, epoch in plan(run).pairs:
        path = run.checkpoint_path(network, epoch)
        target = f"{place}/{path.relative_to(run.path).as_posix()}"
        recorded = path.with_suffix(".sha256")
        hash_there = f"{target.removesuffix('.safetensors')}.sha256"
        if not (system.exists(hash_there) and system.cat_file(hash_there) == recorded.read_bytes()):
            _send(system, path, target)
            _send(system, recorded, hash_there)  # last: its presence says that the weights are complete


def receive_run(name: str, unit: Unit, address: str, scratch: Path) -> Run:
    """Returns the copy of a run on this node, with what the unit is computed from; fetched if it is not there."""
    run = Run(scratch / digest(address) / name)
    run.path.mkdir(parents=True, exist_ok=True)
    with FileLock(run.path / ".fetch.lock"):  # one worker of the node fetches, the others wait for it
        if _key(run, unit) != unit.key:
            system, place = _open(address, name)
            path = run.checkpoint_path(unit.network, unit.epoch)
            for file in ("run.json", *_SAMPLES):
                write_atomically(run.path / file, system.cat_file(f"{place}/{file}"))
            for file in (path, path.with_suffix(".sha256")):
                write_atomically(file, system.cat_file(f"{place}/{file.relative_to(run.path).as_posix()}"))
    return run


def send_part(run: Run, unit: Unit, address: str) -> None:
    """Moves the part of a unit from this node's copy of the run to the address."""
    system, place = _open(address, run.name)
    path = part_path(run, unit)
    _send(system, path, f"{place}/parts/{path.name}")
    path.unlink()


def parts_there(run: Run, address: str) -> set[str]:
    """Returns the names of the units whose parts lie at the address."""
    system, place = _open(address, run.name)
    try:
        names = system.ls(f"{place}/parts", detail=False)
    except FileNotFoundError:
        return set()
    return {name.rpartition("/")[2].removesuffix(".parquet") for name in names if name.endswith(".parquet")}


def receive_part(run: Run, unit: Unit, address: str) -> None:
    """Writes the part of a unit at the address into the run's folder, verified.

    Raises:
        DamagedFileError: it was damaged; it is deleted in both places.
    """
    system, place = _open(address, run.name)
    path = part_path(run, unit)
    write_atomically(path, system.cat_file(f"{place}/parts/{path.name}"))
    try:
        read_part(run, unit)
    except DamagedFileError:
        path.unlink(missing_ok=True)
        system.rm_file(f"{place}/parts/{path.name}")
        raise


def _key(run: Run, unit: Unit) -> str | None:
    try:
        return unit_key(run, unit.network, unit.epoch)
    except (OSError, DamagedFileError, ValueError):
        return None


def _send(system: Any, path: Path, target: str) -> None:
    if "file" in system.protocol:  # object stores have no folders
        system.makedirs(target.rpartition("/")[0], exist_ok=True)
    system.pipe_file(target, path.read_bytes())


def _open(address: str, name: str) -> tuple[Any, str]:
    """Returns the file system of an address, and where a run lies on it.

    Raises:
        ImportError: its package is not installed.
        ValueError: fsspec does not know such an address.
    """
    import fsspec

    try:
        system, place = fsspec.url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        raise ImportError(f"{address}: {error}; for s3:// install it with pip install 'interdash[cluster]'") from error
    except ValueError as error:
        raise ValueError(f"{address!r} is no address that fsspec knows ({error}); such as s3://bucket/runs") from error
    return system, f"{place.rstrip('/')}/{name}"
