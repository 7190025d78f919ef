"""The import of saved checkpoints: names, formats, refusals, losses."""

import os
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from interdash.config import MaskingConfig
from interdash.importing import checkpoint_files, import_checkpoints, read_losses, read_weights
from interdash.network_of_run import network_builder
from interdash.runs import Run, list_runs
from interdash.spec import Spec

SPEC_FILE = """
    import torch
    from torch import nn
    import interdash

    def spec():
        x = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
        y = (x[:, 0] > 0).long()
        return interdash.Spec(nn.Linear, x[:12], y[:12], x[12:], y[12:], interdash.MaskingConfig("table"))
"""


def table_spec() -> Spec:
    x = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    return Spec(lambda: nn.Linear(3, 2), x[:12], y[:12], x[12:], y[12:], MaskingConfig("table"))


def network(seed: int) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def test_import_makes_a_run(tmp_path: Path) -> None:
    (tmp_path / "my_run.py").write_text(textwrap.dedent(SPEC_FILE).replace("nn.Linear,", "lambda: nn.Linear(3, 2),"))
    for epoch in (0, 2, 10):
        torch.save(network(epoch).state_dict(), tmp_path / f"ckpt_{epoch:03d}.pt")
    (tmp_path / "curve.csv").write_text("epoch, train_loss,test_loss\n0,0.9,1.0\n1,0.8,\n10,0.1,0.5\n")
    steps: list[tuple[int, int]] = []
    run = import_checkpoints(
        tmp_path / "runs",
        "mine",
        str(tmp_path / "ckpt_*.pt"),
        f"{tmp_path}/my_run.py:spec",
        losses=tmp_path / "curve.csv",
        progress=lambda done, total: steps.append((done, total)),
    )
    assert run.checkpoint_epochs("target") == [0, 2, 10] and run.is_finished("target") and steps[-1] == (3, 3)
    metrics = run.metrics().set_index("epoch")
    assert metrics["train_loss"].drop(2).to_dict() == {0: 0.9, 1: 0.8, 10: 0.1}
    spec = table_spec()
    expected = functional.cross_entropy(network(2)(spec.test_inputs), spec.test_labels)
    assert metrics["test_loss"][2] == pytest.approx(expected.item())  # not in the file: computed
    rebuilt = network_builder(run)()
    rebuilt.load_state_dict(run.load_checkpoint("target", 10))
    assert torch.equal(rebuilt(spec.test_inputs), network(10)(spec.test_inputs))
    assert run.config.training.checkpoints == (0, 2, 10) and run.manifest["spec"]["function"] == "spec"

    torch.save(network(7).state_dict(), tmp_path / "base_9.pt")
    again = import_checkpoints(
        tmp_path / "runs", "mine", str(tmp_path / "base_*.pt"), f"{tmp_path}/my_run.py:spec", network="baseline-0"
    )
    assert again.networks() == ["target", "baseline-0"] and again.is_finished("baseline-0")
    with pytest.raises(FileExistsError, match="is finished; choose another name"):
        import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), f"{tmp_path}/my_run.py:spec")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: {"state_dict": weights, "epoch": 3},
        lambda weights: {"model_state_dict": weights, "optimizer": {"lr": 0.1}},
        lambda weights: {"model": {f"module.{key}": value for key, value in weights.items()}},
        lambda weights: {f"_orig_mod.{key}": value for key, value in weights.items()},
        lambda weights: {"state_dict": {f"model._orig_mod.module.{key}": value for key, value in weights.items()}},
    ],
)
def test_wrappers_and_prefixes(wrap, tmp_path: Path) -> None:
    torch.save(wrap(network(1).state_dict()), tmp_path / "ckpt_1.pt")
    run = import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec())
    assert torch.equal(run.load_checkpoint("target", 1)["weight"], network(1).weight)


def test_safetensors_are_imported(tmp_path: Path) -> None:
    save_file(network(1).state_dict(), tmp_path / "epoch=4.safetensors")
    run = import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "*.safetensors"), table_spec)
    assert torch.equal(run.load_checkpoint("target", 4)["weight"], network(1).weight)


class Malicious:
    def __reduce__(self) -> tuple:
        return os.system, (f"touch {os.environ['INTERDASH_TEST_PWNED']}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_malicious_pickle_executes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool) -> None:
    pwned = tmp_path / "pwned"
    monkeypatch.setenv("INTERDASH_TEST_PWNED", str(pwned))
    content = {"state_dict": network(1).state_dict(), "extra": Malicious()}
    torch.save(network(0).state_dict(), tmp_path / "ckpt_0.pt")
    torch.save(content, tmp_path / "ckpt_1.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        ValueError, match=r"ckpt_1\.pt is refused: it holds Python objects \(posix\.system\), which could run"
    ):
        import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec())
    assert not pwned.exists() and list_runs(tmp_path / "runs") == []
    torch.load(tmp_path / "ckpt_1.pt", weights_only=False)  # the file is as dangerous as meant
    assert pwned.exists()


def test_pickled_module_is_refused(tmp_path: Path) -> None:
    torch.save(network(0), tmp_path / "ckpt_0.pt")
    with pytest.raises(ValueError, match=r"is refused: it holds Python objects \(torch\.nn\.modules\.linear\.Linear\)"):
        read_weights(tmp_path / "ckpt_0.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_damaged_files_are_named(suffix: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / f"ckpt_0{suffix}"
    torch.save(network(0).state_dict(), path) if suffix == ".pt" else save_file(network(0).state_dict(), path)
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "text": b"hello, world, hello"}[damage])
    with pytest.raises(ValueError, match=r"ckpt_0\.\w+ is damaged or no"):
        read_weights(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"epoch": 1, "loss": 0.5},
            r"holds no state dict but a dict with keys \['epoch', 'loss'\]; save model.state_dict",
        ),
        (torch.zeros(2), "holds no state dict but a Tensor"),
        ({}, r"holds no state dict but a dict with keys \[\]"),
    ],
)
def test_files_without_weights(content: object, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "ckpt_0.pt")
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / "ckpt_0.pt")


def test_weights_of_another_network_are_refused_before_a_run_is_made(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Linear(3, 2)).state_dict(), tmp_path / "ckpt_0.pt")
    with pytest.raises(
        ValueError, match=r"ckpt_0\.pt does not fit the spec's network: it lacks bias, weight and has 0\.bias"
    ):
        import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec())
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("names", "pattern", "expected"),
    [
        (["ckpt_10.pt", "ckpt_9.pt", "ckpt_x.txt"], "ckpt_*.pt", [9, 10]),
        (["run2_007.pt"], "run2_*.pt", [7]),
        (["epoch=3-step=120.ckpt", "epoch=4-step=160.ckpt"], "*.ckpt", [3, 4]),
    ],
)
def test_epochs_come_from_file_names(names: list[str], pattern: str, expected: list[int], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert list(checkpoint_files(f"{tmp_path}/{pattern}")) == expected


@pytest.mark.parametrize(
    ("names", "pattern", "error", "message"),
    [
        (["ckpt_1.pt"], "ckpt_1.pt", ValueError, r"needs one \* in the file name"),
        (["ckpt_1.pt"], "model_*.pt", FileNotFoundError, r"no file fits .*put the pattern in quotes"),
        (["ckpt_last.pt"], "ckpt_*.pt", ValueError, "cannot tell the epoch of .*'last' has 0 numbers"),
        (["a1_b2.pt"], "a*.pt", ValueError, r"'1_b2' has 2 numbers; let \* stand for one number"),
        (["ckpt_1.pt", "ckpt_01.pt"], "ckpt_*.pt", ValueError, "are both of epoch 1; narrow the pattern"),
    ],
)
def test_unclear_epochs(names: list[str], pattern: str, error: type, message: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(error, match=message):
        checkpoint_files(f"{tmp_path}/{pattern}")


def test_losses_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("epoch,train_loss,test_loss,test_accuracy,lr\n0,2,2.5,0.1,1\n1,1,,0.5,1\n")
    assert read_losses(path) == {
        0: {"train_loss": 2.0, "test_loss": 2.5, "test_accuracy": 0.1},
        1: {"train_loss": 1.0, "test_accuracy": 0.5},
    }
    path.write_text("epoch,loss\n0,2\n")
    with pytest.raises(ValueError, match="lacks the columns train_loss, test_loss; it has epoch, loss: name them"):
        read_losses(path)
    path.write_text("epoch,train_loss,test_loss\n0,two,2\n")
    with pytest.raises(ValueError, match=r"holds a value that is no number: .*two"):
        read_losses(path)
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        read_losses(tmp_path / "gone.csv")


def test_losses_from_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "epochs")) as writer:
        for epoch in range(3):
            writer.add_scalar("train_loss", 1.0 / (epoch + 1), epoch)
            writer.add_scalar("test_loss", 2.0, epoch)
    assert read_losses(tmp_path / "epochs") == {
        epoch: {"train_loss": pytest.approx(1.0 / (epoch + 1)), "test_loss": 2.0} for epoch in range(3)
    }
    (event_file,) = (tmp_path / "epochs").iterdir()
    assert read_losses(event_file).keys() == {0, 1, 2}

    with SummaryWriter(str(tmp_path / "steps")) as writer:  # as Lightning writes it
        for step in range(0, 60, 10):
            writer.add_scalar("epoch", step // 30, step)
            writer.add_scalar("loss/train", float(step), step)
            writer.add_scalar("loss/val", 5.0, step)
    tags = {"train_loss": "loss/train", "test_loss": "loss/val"}
    assert read_losses(tmp_path / "steps", tags) == {
        0: {"train_loss": 20.0, "test_loss": 5.0},
        1: {"train_loss": 50.0, "test_loss": 5.0},
    }
    with pytest.raises(ValueError, match="has no scalars train_loss, test_loss; it has epoch, loss/train, loss/val"):
        read_losses(tmp_path / "steps")

    module = "tensorboard.backend.event_processing.event_accumulator"
    monkeypatch.setitem(sys.modules, module, SimpleNamespace())
    with pytest.raises(
        ImportError, match=r"needs the package tensorboard: `pip install 'interdash\[tensorboard\]'`, or give a CSV"
    ):
        read_losses(tmp_path / "steps")


def test_baseline_needs_a_run(tmp_path: Path) -> None:
    torch.save(network(0).state_dict(), tmp_path / "ckpt_0.pt")
    with pytest.raises(FileNotFoundError, match="no run 'mine'"):
        import_checkpoints(tmp_path, "mine", str(tmp_path / "ckpt_*.pt"), table_spec(), network="baseline-0")
    assert isinstance(Run(tmp_path), Run)
