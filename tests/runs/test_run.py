"""A run's folder: safe names, complete files, verified tensors, versions."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from interdash.config import DataConfig, MaskingConfig, NetworkConfig, RunConfig
from interdash.masking.variables import Explained, Variables
from interdash.runs import samples
from interdash.runs.files import (
    DamagedFileError,
    check_epoch,
    check_name,
    check_network,
    remove_drafts,
    write_atomically,
)
from interdash.runs.recorded_measures import first_epochs
from interdash.runs.run import METRICS, Run, list_broken_runs, list_runs


def config(name: str = "digits", n_train: int = 10) -> RunConfig:
    data = DataConfig("digits", n_train, 10)
    return RunConfig(name, "a test", data, NetworkConfig("mlp"), MaskingConfig("image", n_variables=4))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path, config(), ["zero", "one"])


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"w": torch.randn(3, 4, generator=generator), "steps": torch.tensor(7)}


def explained(kind: str = "table") -> Explained:
    names = (("a", "b"), ("c", "d")) if kind == "text" else ("a", "b")
    assignment = torch.tensor([[0, 1, -1]] * 2 if kind == "text" else [0, 1, -1], dtype=torch.int16)
    variables = Variables(kind, names, assignment, torch.zeros(3), "input")  # pyright: ignore[reportArgumentType]
    return Explained(
        inputs=torch.arange(6.0).reshape(2, 3),
        labels=torch.tensor([0, 1]),
        split=("train", "test"),
        index=torch.tensor([4, 2]),
        variables=variables,
        display=[{"age": 40}, {"age": 1}],
    )


@pytest.mark.parametrize("name", ["a", "mnist-noise.10", "X" * 64, "0_1"])
def test_safe_names_are_kept(name: str, tmp_path: Path) -> None:
    assert check_name(name) == name
    assert Run.create(tmp_path, config(name), []).path.parent == tmp_path


UNSAFE = ("", ".", "..", "../x", "a/b", "a\\b", "/etc", "a b", 'a"b', "a'b", "🙂", "é", "a" * 300, "a\n", ".x", "a.")


@pytest.mark.parametrize("name", [*UNSAFE, "-x", "a\0"])
def test_unsafe_names_are_refused(name: str, tmp_path: Path) -> None:
    for attempt in (lambda: Run.create(tmp_path, config(name), []), lambda: Run.open(tmp_path, name)):
        with pytest.raises(ValueError, match="cannot name a run; use 1 to 64 of the characters"):
            attempt()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("network", ["", "targets", "baseline", "baseline--1", "baseline-01", "../target", "target\n"])
def test_unsafe_networks_are_refused(network: str, run: Run) -> None:
    with pytest.raises(ValueError, match="names no network of a run; use 'target', 'baseline-0'"):
        run.checkpoint_path(network, 0)


@pytest.mark.parametrize("epoch", [-1, 1.5, "1", None])
def test_epochs_are_whole_numbers(epoch: object) -> None:
    with pytest.raises(ValueError, match="must be a whole number from 0"):
        check_epoch(epoch)  # pyright: ignore[reportArgumentType]
    assert check_epoch(np.int64(3)) == 3  # pyright: ignore[reportArgumentType]
    assert check_network("baseline-12") == "baseline-12"


def test_create_open_and_update(run: Run, tmp_path: Path) -> None:
    opened = Run.open(tmp_path, "digits")
    assert opened == run and opened.name == "digits" and opened.config == config()
    assert opened.class_names == ["zero", "one"] and opened.manifest["format"] == 1
    run.update(notes="seven seeds 🙂", tags=["a"], extra=1)
    run.update(extra=None)
    assert opened.manifest["notes"] == "seven seeds 🙂" and opened.manifest["tags"] == ["a"]
    assert "extra" not in opened.manifest and opened.config == config()
    assert not opened.is_finished("target")
    run.finish("target")
    run.finish("baseline-0")
    assert opened.is_finished("target") and opened.is_finished("baseline-0") and not opened.is_finished("baseline-1")


def test_create_again_opens_the_same_run_only_and_a_missing_one_names_the_others(run: Run, tmp_path: Path) -> None:
    run.update(notes="kept")
    assert Run.create(tmp_path, config(), ["zero", "one"]).manifest["notes"] == "kept"
    with pytest.raises(FileExistsError, match=r"with another configuration; choose another name \(--name\) or delete"):
        Run.create(tmp_path, config(n_train=11), ["zero", "one"])
    written = run.manifest["config"]
    del written["training"]["unit"]  # by a version that knew epochs alone
    run.update(config=written)
    assert Run.create(tmp_path, config(), ["zero", "one"]) == run
    with pytest.raises(
        FileNotFoundError, match=r"no run 'mnist' in .*; choose one of digits, or another folder with --root DIR$"
    ):
        Run.open(tmp_path, "mnist")
    assert list_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2, "interdash": "9.1"}, r"format 2, written by interdash 9\.1.*update with `pip install --upgrade"),
        ({"format": 0, "interdash": "0.0.1"}, r"format 0, written by interdash 0\.0\.1.*again with `interdash train`"),
    ],
)
def test_other_formats_name_version_and_command(run: Run, tmp_path: Path, change: dict, message: str) -> None:
    path = run.path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        Run.open(tmp_path, "digits")


@pytest.mark.parametrize("content", [b"", b'{"format"', b"[]", b'{"config": 1}', b"\xff\xfe"])
def test_broken_runs_are_reported_and_not_fatal(run: Run, tmp_path: Path, content: bytes) -> None:
    Run.create(tmp_path, config("other"), [])
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (run.path / "run.json").write_bytes(content)
    assert [each.name for each in list_runs(tmp_path)] == ["other"]
    broken = dict(list_broken_runs(tmp_path))
    assert sorted(broken) == ["digits", "empty"] and "run.json is damaged" in broken["digits"]
    with pytest.raises(DamagedFileError, match="copy it again from where the run was made"):
        Run.open(tmp_path, "digits")


def test_metrics(run: Run) -> None:
    empty = run.metrics()
    assert list(empty.columns) == ["network", "epoch", *METRICS] and len(empty) == 0 and empty["epoch"].dtype == "int64"
    run.record_metrics("target", 1, train_loss=0.5, test_loss=float("nan"))
    run.record_metrics("target", 0, train_loss=2.0, test_loss=2.5, train_accuracy=0.1)
    run.record_metrics("baseline-0", 1, train_loss=float("inf"))
    run.record_metrics("target", 1, train_loss=0.25)  # the last line counts
    frame = run.metrics()
    assert frame[["network", "epoch"]].values.tolist() == [["baseline-0", 1], ["target", 0], ["target", 1]]
    assert frame["train_loss"].tolist()[1:] == [2.0, 0.25] and np.isnan(frame["train_loss"][0])
    assert frame["test_loss"].isna().tolist() == [True, False, True]
    for line in (run.path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert run.not_finite("baseline-0") == {1: {"train_loss": "Infinity"}} and first_epochs(run.not_finite()) == {}
    run.record_metrics("target", 3, train_loss=float("nan"))
    run.record_metrics("target", 2, test_loss=float("-inf"), train_loss=float("nan"))
    assert run.not_finite()[2] == {"train_loss": "NaN", "test_loss": "-Infinity"}
    assert first_epochs(run.not_finite()) == {"train_loss": 2, "test_loss": 2}
    with pytest.raises(ValueError, match=r"\['loss'\] are no metrics; use train_loss"):
        run.record_metrics("target", 1, loss=1.0)


def test_coherence_adds_to_the_losses_it_belongs_to(run: Run) -> None:
    run.record_metrics("target", 0, train_loss=1.0)
    run.record_gradients("target", 0, {"samples_of_split": 9, "measures": {"rho": 0.5}})
    run.record_gradients("target", 1, {"samples_of_split": 9, "measures": {"rho": 0.25}})
    assert run.metrics()[["epoch", "train_loss"]].values.tolist() == [[0, 1.0]]
    assert [line["gradients"]["measures"]["rho"][0] for line in run.gradients()] == [0.5, 0.25]
    run.record_metrics("target", 0, train_loss=0.75)  # of other weights, whose coherence is not known
    assert run.metrics()["train_loss"].tolist() == [0.75] and [line["epoch"] for line in run.gradients()] == [1]


def test_torn_last_line_of_metrics_is_ignored_and_overwritten(run: Run) -> None:
    run.record_metrics("target", 0, train_loss=1.0)
    path = run.path / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"network": "targ')
    assert run.metrics()["epoch"].tolist() == [0]
    run.record_metrics("target", 1, train_loss=0.5)
    assert run.metrics()["train_loss"].tolist() == [1.0, 0.5]
    path.write_bytes(b"garbage\n" + path.read_bytes())
    with pytest.raises(DamagedFileError, match=r"metrics.jsonl, line 1 is damaged .* delete that line"):
        run.metrics()


def test_checkpoints(run: Run) -> None:
    assert run.networks() == [] and run.checkpoint_epochs("target") == []
    for network, epoch in [("baseline-10", 5), ("baseline-2", 5), ("target", 10), ("target", 2)]:
        run.save_checkpoint(network, epoch, weights(epoch))
    assert run.networks() == ["target", "baseline-2", "baseline-10"] and run.checkpoint_epochs("target") == [2, 10]
    loaded = run.load_checkpoint("target", 10)
    assert loaded.keys() == weights().keys() and all(torch.equal(loaded[key], weights(10)[key]) for key in loaded)
    content = run.checkpoint_path("target", 10).read_bytes()
    assert run.checkpoint_hash("target", 10) == hashlib.sha256(content).hexdigest()
    with pytest.raises(FileNotFoundError, match=r"no checkpoint of target at epoch 3; it has \[2, 10\]"):
        run.load_checkpoint("target", 3)
    with pytest.raises(ValueError, match=r"entry 'x' .* at epoch 0 is int, no tensor; remove it"):
        run.save_checkpoint("target", 0, {"x": 1})  # pyright: ignore[reportArgumentType]
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 3))
    network[2].weight = network[0].weight
    network[0].bias = torch.nn.Parameter(torch.randn(6)[::2])
    run.save_checkpoint("target", 0, network.state_dict())
    copy = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 3))
    copy.load_state_dict(run.load_checkpoint("target", 0))
    x = torch.randn(2, 3)
    assert torch.equal(copy.eval()(x), network.eval()(x))


def test_saving_again_writes_only_what_changed_and_repairs(run: Run) -> None:
    run.save_checkpoint("target", 0, weights(0))
    path = run.checkpoint_path("target", 0)
    before = path.stat().st_ino
    run.save_checkpoint("target", 0, weights(0))
    assert path.stat().st_ino == before
    run.save_checkpoint("target", 0, weights(1))
    assert torch.equal(run.load_checkpoint("target", 0)["w"], weights(1)["w"])
    run.save_checkpoint("target", 3, weights())
    hash_file = run.checkpoint_path("target", 3).with_suffix(".sha256")
    for damage in (lambda: hash_file.write_text("zzz"), hash_file.unlink):
        damage()
        with pytest.raises(DamagedFileError, match=r"3\.sha256 is missing or damaged.*copy the run again"):
            run.load_checkpoint("target", 3)
    run.save_checkpoint("target", 3, weights())  # recording it again repairs it
    assert run.load_checkpoint("target", 3).keys() == weights().keys()
    run.save_checkpoint("target", 0, weights())
    path.write_bytes(b"not tensors")
    path.with_suffix(".sha256").write_text(f"{hashlib.sha256(b'not tensors').hexdigest()}  0.safetensors\n")
    with pytest.raises(DamagedFileError, match="is no safetensors file"):
        run.load_checkpoint("target", 0)


@pytest.mark.parametrize("where", ["checkpoint", "samples"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damaged_tensors_are_named(run: Run, where: str, damage: str) -> None:
    run.save_checkpoint("target", 3, weights())
    run.save_explained(explained())
    path = run.checkpoint_path("target", 3) if where == "checkpoint" else run.path / "samples.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes({"cut": bytes(content[:-5]), "flip": bytes(content), "empty": b""}[damage])
    with pytest.raises(DamagedFileError, match=rf"{path.name} is damaged: its SHA-256 is not .* copy it again"):
        run.load_checkpoint("target", 3) if where == "checkpoint" else run.explained()


@pytest.mark.parametrize("kind", ["table", "text"])
def test_explained(run: Run, kind: str) -> None:
    with pytest.raises(FileNotFoundError, match="no explained samples yet; they are drawn when its training ends"):
        run.explained()
    assert not run.has_explained()
    made = explained(kind)
    run.save_explained(made)
    assert run.has_explained()
    loaded = run.explained()
    assert torch.equal(loaded.inputs, made.inputs) and torch.equal(loaded.labels, made.labels)
    assert torch.equal(loaded.index, made.index) and loaded.split == made.split and loaded.display == made.display
    assert loaded.variables.names == made.variables.names and loaded.variables.at == made.variables.at
    assert torch.equal(loaded.variables.assignment, made.variables.assignment)
    assert loaded.variables.assignment.dtype == torch.int16
    assert run.n_explained() == 2
    assert samples.strata(run.path) is None and loaded.stratum == ()  # a run of an older version
    run.save_explained(replace(made, stratum=(3, 1)))
    assert run.explained().stratum == (3, 1) and samples.strata(run.path).tolist() == [3, 3]
    run.save_explained(made)
    before = run.explained_hash()
    run.save_explained(loaded)
    assert run.explained_hash() == before
    loaded.inputs[0, 0] = 9.0
    run.save_explained(loaded)
    assert run.explained_hash() != before
    (run.path / "samples.json").write_text("{}")
    with pytest.raises(DamagedFileError, match=r"samples\.json is damaged"):
        run.explained()


def test_write_atomically_leaves_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomically(path, b"old")
    write_atomically(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"

    def full(file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"the disk is full: could not write .*deep/file; free some space") as caught:
        write_atomically(path, full)
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(KeyError):
        write_atomically(path, lambda file: {}["x"])
    assert path.read_bytes() == b"new" and [file.name for file in path.parent.iterdir()] == ["file"]


def test_killed_writer_leaves_a_draft_that_can_be_removed(tmp_path: Path) -> None:
    script = f"""
        import os, signal
        from pathlib import Path
        from interdash.runs.files import write_atomically
        def half(file):
            file.write(b"half"); file.flush(); os.kill(os.getpid(), signal.SIGKILL)
        write_atomically(Path({str(tmp_path)!r}) / "part", half)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "part").exists() and len(list(tmp_path.iterdir())) == 1
    assert remove_drafts(tmp_path) == 0  # young: perhaps still being written
    assert remove_drafts(tmp_path, older_than=0) == 1 and list(tmp_path.iterdir()) == []


def test_reading_a_run_needs_no_torch(run: Run, tmp_path: Path) -> None:
    run.save_checkpoint("target", 0, weights())
    run.record_metrics("target", 0, train_loss=1.0)
    script = f"""
        import sys
        from interdash.runs.run import list_runs
        (run,) = list_runs({str(tmp_path)!r})
        run.config, run.metrics(), run.networks(), run.checkpoint_hash("target", 0), run.update(notes="read")
        assert "torch" not in sys.modules and "safetensors.torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
    assert run.manifest["notes"] == "read"


def test_writers_at_once_lose_nothing(run: Run) -> None:
    def write(writer: int) -> None:
        for epoch in range(4):
            run.record_metrics(f"baseline-{writer}", epoch, train_loss=epoch)
            run.update(**{f"field{writer}_{epoch}": epoch})
        run.finish(f"baseline-{writer}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(run.metrics()) == 16 and all(run.is_finished(f"baseline-{writer}") for writer in range(4))
    assert all(f"field{writer}_{epoch}" in run.manifest for writer in range(4) for epoch in range(4))
