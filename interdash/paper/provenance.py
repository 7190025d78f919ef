"""How figures were made: runs, settings, versions, the hash of each table of rows; so that they are made again."""

import importlib.metadata
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interdash.paper.settings import Settings
from interdash.runs import parts, tables
from interdash.runs.files import DamagedFileError
from interdash.runs.run import Run

FORMAT = 2  # of provenance.json


def provenance(runs: Sequence[Run], settings: Settings, rows: Mapping[str, str]) -> dict[str, Any]:
    """Returns how figures were made: runs, the first one's, settings, versions, and the hash of each table of rows."""
    return {
        "format": FORMAT,
        "run": runs[0].name,
        "runs": {run.name: _made_from(run) for run in runs},
        "settings": settings.to_json(),
        "versions": {name: importlib.metadata.version(name) for name in ("interdash", "plotly", "kaleido")},
        "data_versions": {"format": tables.FORMAT, "algorithm": parts.ALGORITHM, "labelling": parts.LABELLING},
        "rows_sha256": dict(rows),
    }


def _made_from(run: Run) -> dict[str, Any]:
    """Returns a run's configuration, and the SHA-256 of its explained samples and of each checkpoint that is there."""
    hashes: dict[str, dict[str, str]] = {}
    for network in run.networks():
        hashes[network] = {}
        for epoch in run.checkpoint_epochs(network):
            try:
                hashes[network][str(epoch)] = run.checkpoint_hash(network, epoch)
            except DamagedFileError as error:
                hashes[network][str(epoch)] = str(error)
    return {
        "created": run.manifest["created"],
        "config": run.manifest["config"],
        "explained_sha256": run.explained_hash() if run.has_explained() else None,
        "checkpoints_sha256": hashes,
    }


def read(path: Path) -> tuple[dict[str, Any], Settings]:
    """Returns what a `provenance.json`, or the one of a bundle, says, and the settings in it.

    Raises:
        ValueError: it is none, or of another format.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next((n for n in archive.namelist() if n.endswith("/provenance.json")), "provenance.json")
                text = archive.read(name)
        else:
            text = path.read_bytes()
        said = json.loads(text)
        if said["format"] != FORMAT:
            raise ValueError(f"format {said['format']} is not {FORMAT}")
        return said | {"run": str(said["run"]), "rows_sha256": dict(said["rows_sha256"])}, Settings.from_json(
            said["settings"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no provenance of figures ({error}); take the provenance.json of a bundle"
        ) from error


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Returns what is not as it was: the run, if its samples are others; else tables of rows that differ in a bit."""
    old, new = (each["runs"][each["run"]]["explained_sha256"] for each in (before, now))
    if old != new:
        return [f"run {now['run']} explains other samples than {before['run']} did: it is another run"]
    was, is_now = (each["rows_sha256"] for each in (before, now))
    changed = sorted(name for name in {*was, *is_now} if was.get(name) != is_now.get(name))
    return [f"{name} is not what it was when the bundle was made" for name in changed]
