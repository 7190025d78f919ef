"""A run on disk: manifest, explained samples, losses, checkpoints, parts. The only module that knows the folder.

    data/runs/<name>/
      run.json                                  format, configuration, class names, networks' state, notes, checksum
      samples.safetensors, samples.json         the explained samples, their variables and baseline values
      metrics.jsonl                             a line per network and epoch: losses in nats, accuracies, checksum; and
                                                one of its coherence, if that was measured
      checkpoints/<network>/<epoch>.safetensors and .sha256     network: target, baseline-0, baseline-1, …
      parts/, labels/                           what extraction makes; see `extraction`

A run is a folder that anyone can copy: no absolute path, no code and no pickle inside. Every file but `metrics.jsonl`
appears in one step (draft, fsync, rename), so that a kill at any moment leaves nothing half-written under its final
name. torch is imported only by the functions that hand out tensors: the dashboard reads runs without it.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from filelock import FileLock

from interdash.config import RunConfig
from interdash.runs import recorded_measures, samples
from interdash.runs.files import (
    NETWORK,
    DamagedFileError,
    check_epoch,
    check_name,
    check_network,
    checksum_holds,
    read_tensors,
    tensor_bytes,
    with_checksum,
    write_atomically,
)

if TYPE_CHECKING:
    from torch import Tensor

    from interdash.masking.variables import Explained

FORMAT = 1  # of the run folder; raised when an older interdash could no longer read it
METRICS = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")  # nats, nats, shares


@dataclass(frozen=True)
class Run:
    """A run's folder. Made by `Run.create`, `Run.open` or `list_runs`."""

    path: Path

    @classmethod
    def create(cls, root: Path | str, config: RunConfig, class_names: Sequence[str]) -> Run:
        """Returns a new run in the folder `root`, or the one that is there already with the same configuration.

        Raises:
            ValueError: the name is not safe.
            FileExistsError: a run of this name exists with another configuration.
        """
        run = cls(Path(root) / check_name(config.name))
        run.path.mkdir(parents=True, exist_ok=True)
        manifest = {
            "format": FORMAT,
            "interdash": importlib.metadata.version("interdash"),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "config": config.to_json(),
            "class_names": [str(name) for name in class_names],
            "networks": {},
            "notes": "",
            "tags": [],
        }
        with run._lock():
            if not (run.path / "run.json").exists():
                run._write_manifest(manifest)
                return run
        if run.config != RunConfig.from_json(manifest["config"]):
            raise FileExistsError(
                f"run {config.name!r} is in {root} already, with another configuration; "
                f"choose another name (--name) or delete {run.path}"
            )
        return run

    @classmethod
    def open(cls, root: Path | str, name: str) -> Run:
        """Returns the run of that name in the folder `root`.

        Raises:
            ValueError: the name is not safe, or the run has a format that this version cannot read.
            FileNotFoundError: there is no such run.
            DamagedFileError: its manifest is not readable.
        """
        run = cls(Path(root) / check_name(name))
        if not (run.path / "run.json").exists():
            names = ", ".join(other.name for other in list_runs(root))
            there = f"choose one of {names}, or another folder with --root DIR" if names else no_runs(root)
            raise FileNotFoundError(f"no run {name!r} in {root}; {there}")
        _ = run.manifest
        return run

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self.path.name

    @property
    def manifest(self) -> dict[str, Any]:
        """What `run.json` holds, read anew.

        Raises:
            DamagedFileError: it is not readable.
            ValueError: it has another format; the message says which version or command helps.
        """
        path = self.path / "run.json"
        try:
            manifest = json.loads(path.read_bytes())
            number = int(manifest["format"])
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFileError(f"{path} is damaged ({error}); copy it again from where the run was made") from error
        made_by = manifest.get("interdash", "of unknown version")
        if number > FORMAT:
            raise ValueError(
                f"{path} has format {number}, written by interdash {made_by}; this version reads format {FORMAT}: "
                f"update with `pip install --upgrade interdash`"
            )
        if number < FORMAT:
            raise ValueError(
                f"{path} has format {number}, written by interdash {made_by}; this version reads format {FORMAT}: "
                "open it with that version, or make the run again with `interdash train` or `interdash import`"
            )
        if checksum_holds(manifest) is False:
            raise DamagedFileError(
                f"{path} is damaged (its checksum does not hold); copy it again from where the run was made, or delete "
                "the field checksum if you edited the file yourself"
            )
        return manifest

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        return RunConfig.from_json(self.manifest["config"])

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, in the order of the network's outputs."""
        return list(self.manifest["class_names"])

    @property
    def parts_dir(self) -> Path:
        """The folder of extracted vectors; it may not exist yet."""
        return self.path / "parts"

    @property
    def labels_dir(self) -> Path:
        """The folder of what is derived from the parts; it may not exist yet."""
        return self.path / "labels"

    @property
    def dropped(self) -> set[str]:
        """The epochs whose full vectors were dropped to save space, by the names of their packs."""
        return set(self.manifest.get("dropped_vectors", ()))

    def update(self, **fields: Any) -> None:
        """Sets fields of `run.json` (notes="…", tags=[…], …); other fields stay, `None` removes one."""
        with self._lock():
            manifest = self.manifest | fields
            self._write_manifest({key: value for key, value in manifest.items() if value is not None})

    def finish(self, network: str) -> None:
        """Notes in `run.json` that a network's training is over and all its checkpoints are written."""
        with self._lock():
            manifest = self.manifest
            manifest["networks"][check_network(network)] = "finished"
            self._write_manifest(manifest)

    def is_finished(self, network: str) -> bool:
        """Returns whether `finish` was called for that network."""
        return self.manifest["networks"].get(check_network(network)) == "finished"

    def _lock(self) -> FileLock:
        return FileLock(self.path / ".lock")

    def _write_manifest(self, manifest: dict[str, Any]) -> None:
        write_atomically(
            self.path / "run.json", json.dumps(with_checksum(manifest), indent=1, ensure_ascii=False).encode()
        )

    # Losses

    def record_metrics(
        self, network: str, epoch: int, *, measures: Mapping[str, Any] | None = None, **losses: float | None
    ) -> None:
        """Appends one network's losses (nats) and accuracies (shares) at one epoch; the last line for it counts.

        NaN and infinity, which JSON lacks, are null, see `not_finite`. `measures`: see `recorded_measures.kept`.

        Raises:
            ValueError: a key is not one of `METRICS`, or a measure is no number.
        """
        if unknown := set(losses) - set(METRICS):
            raise ValueError(f"{sorted(unknown)} are no metrics; use {', '.join(METRICS)}")
        line: dict[str, Any] = {"network": check_network(network), "epoch": check_epoch(epoch)}
        line |= recorded_measures.of_losses(losses, METRICS)
        if measures:
            line["measures"] = recorded_measures.kept(measures)
        with self._lock():
            recorded_measures.append(self.path / "metrics.jsonl", line)

    def record_gradients(self, network: str, epoch: int, gradients: Mapping[str, Any]) -> None:
        """Adds the coherence of a network's gradients at an epoch, see `training.gradients`, to its losses."""
        line: dict[str, Any] = {"network": check_network(network), "epoch": check_epoch(epoch)}
        line["gradients"] = {**gradients, "measures": recorded_measures.kept(gradients["measures"])}
        with self._lock():
            recorded_measures.append(self.path / "metrics.jsonl", line)

    def gradients(self) -> list[dict[str, Any]]:
        """Returns the lines of `metrics.jsonl` that have what `record_gradients` wrote."""
        return [line for line in self._lines() if "gradients" in line]

    def metrics(self) -> pd.DataFrame:
        """Returns the losses, one row per network and epoch: network, epoch, `METRICS`; NaN where missing."""
        columns = {"network": "str", "epoch": "int64", **dict.fromkeys(METRICS, "float64")}
        lines = [line for line in self._lines() if recorded_measures.has_losses(line)]
        return pd.DataFrame(lines, columns=list(columns)).astype(columns)

    def not_finite(self, network: str = "target") -> dict[int, dict[str, str]]:
        """Returns the metrics that are no finite numbers: epoch → metric → "NaN", "Infinity" or "-Infinity"."""
        return recorded_measures.not_finite(self._lines(), network)

    def measures(self) -> pd.DataFrame:
        """Returns the measures of networks: see `recorded_measures.rows` and `_lines`."""
        return recorded_measures.rows(self._lines())

    def _lines(self) -> list[dict[str, Any]]:
        """Returns the lines of `metrics.jsonl` that count, see `recorded_measures.read`."""
        return recorded_measures.read(self.path / "metrics.jsonl")

    # Checkpoints

    def checkpoint_path(self, network: str, epoch: int) -> Path:
        """Returns where the checkpoint of a network at an epoch lies."""
        return self.path / "checkpoints" / check_network(network) / f"{check_epoch(epoch)}.safetensors"

    def save_checkpoint(self, network: str, epoch: int, state_dict: Mapping[str, Tensor]) -> None:
        """Writes a network's weights at an epoch, with their SHA-256 beside them.

        Raises:
            ValueError: an entry of the state dict is no tensor.
        """
        import torch

        path = self.checkpoint_path(network, epoch)
        for name, value in state_dict.items():
            if not isinstance(value, torch.Tensor):
                raise ValueError(
                    f"entry {name!r} of the state dict of {network} at epoch {epoch} is {type(value).__name__}, "
                    "no tensor; remove it before recording"
                )
        content = tensor_bytes(state_dict)
        sha256 = hashlib.sha256(content).hexdigest()
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256 == self._recorded_hash(path):
            return
        path.unlink(missing_ok=True)  # never an old checkpoint beside a new hash
        write_atomically(path.with_suffix(".sha256"), f"{sha256}  {path.name}\n".encode())  # as sha256sum writes it
        write_atomically(path, content)

    def load_checkpoint(self, network: str, epoch: int) -> dict[str, Tensor]:
        """Returns a network's weights at an epoch, verified against their SHA-256, on the CPU.

        Raises:
            FileNotFoundError: this epoch has no checkpoint.
            DamagedFileError: the file is truncated or altered.
        """
        sha256 = self.checkpoint_hash(network, epoch)
        remedy = "delete it and train again, or copy it again from where the run was made"
        return read_tensors(self.checkpoint_path(network, epoch), sha256, remedy)

    def checkpoint_hash(self, network: str, epoch: int) -> str:
        """Returns the recorded SHA-256 of a checkpoint, as hex; `load_checkpoint` verifies it.

        Raises:
            FileNotFoundError: this epoch has no checkpoint.
            DamagedFileError: the recorded hash is missing or not readable.
        """
        path = self.checkpoint_path(network, epoch)
        if not path.exists():
            epochs = self.checkpoint_epochs(network)
            raise FileNotFoundError(
                f"run {self.name!r} has no checkpoint of {network} at epoch {epoch}; it has {epochs}"
            )
        if (sha256 := self._recorded_hash(path)) is None:
            raise DamagedFileError(
                f"{path.with_suffix('.sha256')} is missing or damaged, so that the checkpoint cannot be verified; "
                "copy the run again from where it was made, or train again"
            )
        return sha256

    @staticmethod
    def _recorded_hash(path: Path) -> str | None:
        try:
            text = path.with_suffix(".sha256").read_text(errors="replace")
        except FileNotFoundError:
            return None
        return text[:64] if re.fullmatch(rf"[0-9a-f]{{64}}  {re.escape(path.name)}\n", text) else None

    def checkpoint_epochs(self, network: str) -> list[int]:
        """Returns the epochs with a checkpoint of that network, ascending."""
        folder = self.path / "checkpoints" / check_network(network)
        return sorted(int(file.stem) for file in folder.glob("*.safetensors") if file.stem.isdecimal())

    def networks(self) -> list[str]:
        """Returns the networks with at least one checkpoint: "target", then the baselines by number."""
        names = [folder.name for folder in (self.path / "checkpoints").glob("*") if NETWORK.fullmatch(folder.name)]
        names = [network for network in names if self.checkpoint_epochs(network)]
        return sorted(names, key=lambda network: (network != "target", len(network), network))

    # Explained samples

    def save_explained(self, explained: Explained) -> None:
        """Writes the explained samples, their variables and baseline values."""
        samples.save(self.path, explained)

    def explained(self) -> Explained:
        """Returns the explained samples, verified against their SHA-256.

        Raises:
            FileNotFoundError: they were not written yet.
            DamagedFileError: a file is truncated or altered.
        """
        return samples.load(self.path)

    def has_explained(self) -> bool:
        """Returns whether the explained samples are written."""
        return (self.path / "samples.json").exists()

    def n_explained(self) -> int:
        """Returns how many samples are explained."""
        return len(samples.description(self.path)["split"])

    def explained_hash(self) -> str:
        """Returns one SHA-256 over samples, variables and baseline values, as hex: part of the key of every unit."""
        return hashlib.sha256(json.dumps(samples.description(self.path), sort_keys=True).encode()).hexdigest()


def list_runs(root: Path | str) -> list[Run]:
    """Returns the readable runs in the folder `root`, by name; none if there is no such folder."""
    return [run for run, _, error in read_all(root) if error is None]


def no_runs(root: Path | str) -> str:
    """Returns in words why a folder `root` shows no runs, and what to do."""
    root = Path(root).resolve()
    if (root / "run.json").exists():
        return f"{root} is a run itself; name the folder that it lies in: --root {root.parent}"
    for inner in (root / "data" / "runs", root / "runs"):
        if list_runs(inner):
            return f"the runs lie deeper, in {inner}; name that folder: --root {inner}"
    problem = f"there are no runs in {root}" if root.is_dir() else f"there is no folder {root}"
    return f"{problem}; name the folder of runs with --root DIR or INTERDASH_ROOT, or make a run with `interdash demo`"


def list_broken_runs(root: Path | str) -> list[tuple[str, str]]:
    """Returns name and error message of each folder in `root` that is no readable run."""
    return [(run.name, str(error)) for run, _, error in read_all(root) if error is not None]


def read_all(root: Path | str) -> list[tuple[Run, dict[str, Any], Exception | None]]:
    """Returns every run in the folder `root` with its manifest, each read once, or why it cannot be read."""
    runs: list[tuple[Run, dict[str, Any], Exception | None]] = []
    for path in sorted(Path(root).glob("*")):
        if path.name.startswith(".") or not path.is_dir():
            continue
        if not (path / "run.json").exists() and any(path.iterdir()) and not (path / "checkpoints").exists():
            continue  # a folder of something else
        run = Run(path)
        try:
            check_name(path.name)
            manifest = run.manifest
            RunConfig.from_json(manifest["config"])
            runs.append((run, manifest, None))
        except (ValueError, KeyError, TypeError, OSError) as error:
            runs.append((run, {}, error))
    return runs
