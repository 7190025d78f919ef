"""The import of saved checkpoints: names, formats, refusals, losses."""

import json
import os
import re
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from interdash.commands.info import run_report, run_text
from interdash.config import MaskingConfig
from interdash.importing.checkpoint_epochs import Progress, epochs_of
from interdash.importing.checkpoint_files import find_names, read_checkpoint
from interdash.importing.checkpoints import import_checkpoints
from interdash.importing.inert_pickle import read_content
from interdash.runs.run import Run
from interdash.training.network_of_run import network_builder
from interdash.training.spec import Spec

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
        torch.save(network(epoch).state_dict(), tmp_path / f"epoch_{epoch:03d}.pt")
    (tmp_path / "curve.csv").write_text("epoch, train_loss,test_loss\n0,0.9,1.0\n1,0.8,\n10,0.1,0.5\n")
    steps: list[tuple[int, int]] = []
    run = import_checkpoints(
        tmp_path / "runs",
        "mine",
        str(tmp_path / "epoch_*.pt"),
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
        import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "epoch_*.pt"), f"{tmp_path}/my_run.py:spec")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: {"state_dict": weights, "epoch": 3},
        lambda weights: {"state_dict": weights, "epoch": float("nan"), "global_step": float("inf")},
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
    run = import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "*.safetensors"), table_spec, first_epoch=4)
    assert torch.equal(run.load_checkpoint("target", 4)["weight"], network(1).weight)


def test_arrays_of_numpy_are_imported_and_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {f"params/{name}": value.numpy() for name, value in network(1).state_dict().items()}
    np.savez(tmp_path / "ckpt_1.npz", epoch=1, **arrays)
    run = import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "*.npz"), table_spec)
    assert torch.equal(run.load_checkpoint("target", 1)["weight"], network(1).weight)
    monkeypatch.setenv("INTERDASH_TEST_PWNED", str(tmp_path / "pwned"))
    np.savez(tmp_path / "ckpt_1.npz", extra=np.array([Malicious()], dtype=object), **arrays)
    with pytest.raises(ValueError, match=r"ckpt_1.npz is damaged, or holds .*Object arrays .*save np.savez\(path"):
        import_checkpoints(tmp_path / "runs", "bad", str(tmp_path / "*.npz"), table_spec)
    assert not (tmp_path / "pwned").exists() and not (tmp_path / "runs" / "bad").exists()


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS; .*`git lfs pull`"),
        (b"\x89HDF\r\n", "is of HDF5, as Keras writes it; .* save model.state_dict"),
        (b"\x1f\x8b\x08", "is compressed; .*`gunzip`"),
        (b"<!DOCTYPE html>", "is a page of the web; .* download it again"),
        (b"\x08\x07onnx", r"is damaged or no checkpoint of PyTorch \(it begins with b'.*onnx.*'; \w+\); .* torch.save"),
    ],
)
def test_files_of_other_kinds_are_named(start: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "ckpt_1.pt").write_bytes(start + bytes(50))
    with pytest.raises(ValueError, match=rf"ckpt_1\.pt {message}"):
        import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "*.pt"), table_spec)
    assert not (tmp_path / "runs").exists()


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
    lines: list[str] = []
    run = import_checkpoints(
        tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec(), first_epoch=0, say=lines.append
    )
    assert torch.equal(run.load_checkpoint("target", 1)["weight"], network(1).weight)
    assert not pwned.exists() and "dropped: objects of posix.system, unread" in lines
    torch.load(tmp_path / "ckpt_1.pt", weights_only=False)  # the file is as dangerous as meant
    assert pwned.exists()


def test_whole_modules_only_with_trust(tmp_path: Path) -> None:
    torch.save(network(0), tmp_path / "ckpt_1.pt")
    pattern = str(tmp_path / "ckpt_*.pt")
    with pytest.raises(ValueError, match=r"1.pt holds a whole pickled module \(.*Linear\), .*add --trust, or save"):
        import_checkpoints(tmp_path / "runs", "mine", pattern, table_spec())
    assert not (tmp_path / "runs").exists()
    run = import_checkpoints(tmp_path / "runs", "mine", pattern, table_spec(), trust=True)
    assert torch.equal(run.load_checkpoint("target", 1)["weight"], network(0).weight)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_damaged_files_are_named(suffix: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / f"ckpt_0{suffix}"
    torch.save(network(0).state_dict(), path) if suffix == ".pt" else save_file(network(0).state_dict(), path)
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "text": b"hello, world, hello"}[damage])
    with pytest.raises(ValueError, match=r"ckpt_0\.\w+ is damaged or no"):
        read_content(path)


@pytest.mark.parametrize("content", [{"epoch": 1, "loss": 0.5}, [], {}, 3, "text"])
def test_files_without_weights(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "ckpt_0.pt")
    with pytest.raises(ValueError, match=r"ckpt_0.pt holds no weights; expected a state dict: save model.state_dict"):
        import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec())


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"0.weight": torch.zeros(2, 3), "0.gain": torch.zeros(2)}, "lacks bias and has 0.gain besides; let the spec"),
        ({"weight": torch.zeros(2, 3)}, "lacks bias; let the spec build"),
        (
            {"weight": torch.zeros(2, 3, dtype=torch.int8), "bias": torch.zeros(2)},
            "weight is of torch.int8, weight of the network of torch.float32; .* before they were quantized",
        ),
        (
            {"weight": torch.zeros(2, 4), "bias": torch.zeros(2)},
            r"weight is \[2, 4\], weight of the .* is \[2, 3\]",
        ),
        ({"lora_A": torch.zeros(2, 4)}, r"holds an adapter alone \(lora_A\), .*merge_and_unload"),
        (
            network(0).state_dict() | {"norm.weight": torch.zeros(2), "norm.bias": torch.zeros(2)},
            "it has norm.weight, norm.bias besides, which looks like a layer .* --ignore norm",
        ),
        (
            {"a": network(0).state_dict(), "b_ema": network(1).state_dict()},
            "several weights that fit the spec's network, under a and b_ema; name one: --weights a",
        ),
    ],
)
def test_weights_of_another_network_are_refused_before_a_run_is_made(state: dict, message: str, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "ckpt_0.pt")
    with pytest.raises(ValueError, match=rf"ckpt_0\.pt .*{message}"):
        import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec())
    assert not (tmp_path / "runs").exists()


def test_a_file_of_all_epochs_is_refused_with_the_command_that_splits_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"all": {f"epoch_{epoch}": network(epoch).state_dict() for epoch in (1, 2)}}, "history.pt")
    with pytest.raises(
        ValueError, match=r"under all.epoch_1 and all.epoch_2; name one: .* a file for each: "
    ) as refusal:
        import_checkpoints(tmp_path / "runs", "mine", "history.pt", table_spec())
    exec(str(refusal.value).partition('python -c "')[2].partition('"')[0])
    run = import_checkpoints(tmp_path / "runs", "mine", "ckpt_*.pt", table_spec())
    assert torch.equal(run.load_checkpoint("target", 2)["weight"], network(2).weight)


def test_layers_left_out_and_averages_chosen_on_request(tmp_path: Path) -> None:
    extra = {"norm.weight": torch.zeros(2), "norm.bias": torch.zeros(2), "loss.weight": torch.zeros(2)}
    content = {"model": network(1).state_dict() | extra, "ema": network(2).state_dict()}
    torch.save(content, tmp_path / "ckpt_1.pt")
    lines: list[str] = []

    def run(name: str, weights: str) -> Run:
        pattern = str(tmp_path / "ckpt_*.pt")
        options = {"weights": weights, "ignored": ["norm"], "say": lines.append}
        return import_checkpoints(tmp_path / "runs", name, pattern, table_spec(), **options)

    assert torch.equal(run("raw", "model").load_checkpoint("target", 1)["weight"], network(1).weight)
    assert lines[0] == "dropped: entries norm.weight, norm.bias, loss.weight" and "under 'model' (not ema)" in lines[2]
    assert torch.equal(run("averaged", "ema").load_checkpoint("target", 1)["weight"], network(2).weight)
    with pytest.raises(ValueError, match=r"no weights under 'teacher'; weights that fit .* under model, ema: name one"):
        run("none", "teacher")


def test_prefixes_are_added_and_small_tensors_may_be_missing(tmp_path: Path) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(x)

    state = Wrapped().model.state_dict()
    del state["1.num_batches_tracked"]
    torch.save({"net": state}, tmp_path / "ckpt_1.pt")
    lines: list[str] = []
    spec = replace(table_spec(), network=Wrapped)
    with pytest.raises(
        ValueError, match=r"ckpt_1.pt would be epoch 1, but is untrained: model.1.weight is as .*--first-epoch 0"
    ):
        import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), spec)
    run = import_checkpoints(
        tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), spec, first_epoch=1, say=lines.append
    )
    assert torch.equal(run.load_checkpoint("target", 1)["model.0.weight"], state["0.weight"])
    assert lines[1] == "stripped: nothing, but 'model.' added"


def epochs(pattern: str, progress: Progress | None = None, **options: float) -> dict[str, int]:
    """The epoch of each file name, without a look into the files."""
    pairs = [(name, progress or Progress()) for name in find_names(pattern)]
    return {name.path.name: epoch for epoch, name in epochs_of(pairs, pattern, **options).names.items()}  # pyright: ignore


@pytest.mark.parametrize(
    ("names", "pattern", "expected"),
    [
        (["ckpt_10.pt", "ckpt_9.pt", "ckpt_x.txt"], "ckpt_*.pt", [9, 10]),
        (["run2_007.pt"], "run2_*.pt", [7]),
        (["epoch=3-step=120.ckpt", "epoch=4-step=160.ckpt"], "*.ckpt", [3, 4]),
        (["epoch=3-val_loss=0.21.ckpt", "epoch=12-val_loss=0.2.ckpt", "last.ckpt"], "*.ckpt", [3, 12]),
        (["resnet18_1.pth", "resnet18_2.pth", "best.pth"], "*.pth", [1, 2]),
        (["model-ep01-acc93.pt", "model-ep02-acc95.pt"], "model*", [1, 2]),
        (["a/epoch_1/model.pt", "a/epoch_2/model.pt"], "a/epoch_*/model.pt", [1, 2]),
        (["net-1-10.pt", "net-2-20.pt"], "*.pt", [1, 2]),  # epoch and step
        (["net-10-0.pt", "net-20-1.pt"], "*.pt", [1, 2]),
        (["epoch=0-step=10.ckpt", "epoch=1-step=20.ckpt"], "*.ckpt", [1, 2]),
        (["net_1_71.pt", "net_2_80.pt", "net_best_80.pt"], "net_{epoch}_*.pt", [1, 2]),
        (["e=1-step=9.ckpt", "e=1-step=9-v1.ckpt"], "e={epoch}-step={step}.ckpt", [1]),
        (["1/net_1.pt", "2/net_2.pt"], "*/*.pt", [1, 2]),
        (["2026-01-05_12-30-00_epoch3.pt", "20260106-1830_epoch4.pt"], "*.pt", [3, 4]),
    ],
)
def test_epochs_come_from_file_names(names: list[str], pattern: str, expected: list[int], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    pairs = [(name, Progress()) for name in find_names(f"{tmp_path}/{pattern}")]
    assert list(epochs_of(pairs, pattern).names) == expected


@pytest.mark.parametrize(
    ("names", "pattern", "error", "message"),
    [
        (
            ["out/a.txt"],
            "out",
            ValueError,
            r"out is a folder without weights; it holds a.txt: write .*/out/\*'",
        ),
        (["ckpt_1.pt"], "model_*.pt", FileNotFoundError, r"no file fits .*put the pattern in quotes"),
        (["ckpt_last.pt"], "ckpt_*.pt", ValueError, r"name has no number that may be one; .* 'ckpt_\{epoch\}.pt'"),
        (["a1_b2.pt"], "a*.pt", ValueError, r"its name may mean 1 or 2; .*--checkpoints '.*/a\{epoch\}_b\*.pt'"),
        (["n_1_71.pt", "n_2_80.pt"], "*.pt", ValueError, r"its name may mean 1 or 71; .*'.*/n_\{epoch\}_\*.pt'"),
        (
            ["e1.pt", "e1-v1.pt"],
            "*.pt",
            ValueError,
            r"are both of epoch 1; .* narrow .*--checkpoints '.*e\{epoch\}.pt'",
        ),
        (["2026-01-01.pt", "2026-01-02.pt"], "*.pt", ValueError, r"no number that may be one; .* rename the files and"),
        (["final.pt"], "*.pt", ValueError, r"cannot tell the epoch of .*final.pt: .* add --first-epoch N, or write"),
        (["m_1.pt", "m_2.pt", "m_5000000.pt"], "*.pt", ValueError, r"epoch 5000000; .* leave the file out of the pat"),
        (["step_5.pt", "step_9.pt"], "step_*.pt", ValueError, "is of step 5, not of an epoch; .* --steps-per-epoch N"),
    ],
)
def test_unclear_epochs(names: list[str], pattern: str, error: type, message: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(error, match=message):
        epochs(f"{tmp_path}/{pattern}")


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (["m_500.pt", "m_1000.pt"], True),
        (["m_4.pt", "m_8.pt"], True),
        (["m_0.pt", "m_10.pt", "m_20.pt"], True),
        (["m_12.pt"], True),
        (["epoch_4.pt", "epoch_9.pt"], True),
        (["epoch_1.pt", "epoch_3.pt"], True),
        (["epoch_0.pt", "epoch_10.pt"], False),  # whether that is untrained is looked at
        (["m_0.pt", "m_1.pt", "m_5.pt"], False),
        (["m_1.pt", "m_2.pt", "m_8.pt"], False),
        (["m_1.pt"], False),
    ],
)
def test_numbers_that_may_be_steps_or_count_from_0(names: list[str], refused: bool, tmp_path: Path) -> None:
    pairs = [(name, Progress()) for name in find_names(files_of(tmp_path, *names))]
    doubt = epochs_of(pairs, "*").doubt
    assert bool(doubt) == refused and not epochs_of(pairs, "*", first_epoch=7).doubt
    if refused:
        first = re.findall(r"\d+", names[0])[0]
        bare = "or is a step; .*, or --steps-per-epoch N if they are steps" if names[0].startswith("m") else "; "
        assert re.search(rf"{names[0]} has the number {first}.* counts from 0.*{bare}", doubt)
        assert re.search(rf"add --first-epoch {first} if .*--first-epoch {int(first) + 1} if the first", doubt)


def files_of(tmp_path: Path, *names: str) -> str:
    for name in names:
        (tmp_path / name).touch()
    return f"{tmp_path}/*"


def test_epochs_by_steps_and_by_what_the_user_says(tmp_path: Path) -> None:
    pattern = files_of(tmp_path, "m_500.pt", "m_750.pt", "m_1000.pt")
    assert epochs(pattern, steps_per_epoch=500) == {"m_500.pt": 1, "m_1000.pt": 2}  # 750 is within an epoch
    assert epochs(pattern, steps_per_epoch=1) == {"m_500.pt": 500, "m_750.pt": 750, "m_1000.pt": 1000}
    with pytest.raises(ValueError, match=r"no checkpoint is of a whole epoch: .*within epoch 1.*--steps-per-epoch N"):
        epochs(pattern, steps_per_epoch=3000)
    for path in tmp_path.iterdir():
        path.unlink()
    pattern = files_of(tmp_path, "m_9.pt", "m_19.pt")  # the last step of each, counted from 0
    assert epochs(pattern, steps_per_epoch=10) == {"m_9.pt": 1, "m_19.pt": 2}
    for path in tmp_path.iterdir():
        path.unlink()
    assert epochs(files_of(tmp_path, "final.pt"), first_epoch=9) == {"final.pt": 9}
    with pytest.raises(ValueError, match=r"final.pt is of step 30, not of an epoch; expected epochs: add --steps-per"):
        epochs(f"{tmp_path}/*", Progress(step=30))
    (tmp_path / "final.pt").unlink()
    pattern = files_of(tmp_path, "m_0.pt", "m_1.pt")
    assert epochs(pattern, first_epoch=1) == {"m_0.pt": 1, "m_1.pt": 2}
    for path in tmp_path.iterdir():
        path.unlink()
    for step in (10, 20):  # of the Trainer, whose state is kept in the last one alone
        (tmp_path / f"checkpoint-{step}").mkdir()
        files_of(tmp_path / f"checkpoint-{step}", "config.json", "model.safetensors")
    names = find_names(f"{tmp_path}/*")
    state = dict(zip(names, (Progress(), Progress(done=2.0, step=20.0)), strict=True))
    assert list(epochs_of([*state.items()], "*").names) == [1, 2]


@pytest.mark.parametrize(
    ("inside", "shift"),
    [
        ([(0, 10), (1, 20)], 1),  # 10 steps an epoch, so that "0" is after the first
        ([(0, 0), (1, 10)], 0),
        ([(1, None), (2, None)], 1),  # the file counts epochs that are over, its name from 0
        ([(0, None), (1, None)], 0),
        ([(None, None, 10), (None, None, 20)], 1),  # batches that batch norms have seen
    ],
)
def test_epochs_come_from_the_files(inside: list, shift: int, tmp_path: Path) -> None:
    names = find_names(files_of(tmp_path, "m_0.pt", "m_1.pt"))
    pairs = [(name, Progress(None, *values)) for name, values in zip(names, inside, strict=True)]
    found = epochs_of(pairs, "m_*.pt")
    assert list(found.names) == [shift, 1 + shift] and found.shift == shift
    assert found.certain == (inside not in ([(0, None), (1, None)],))


def test_a_negative_epoch_is_refused(tmp_path: Path) -> None:
    torch.save(network(1).state_dict(), tmp_path / "ckpt_3.pt")
    with pytest.raises(ValueError, match=r"ckpt_3.pt is of epoch -2; expected 0 or more: --first-epoch 0 or higher"):
        import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec(), first_epoch=-2)
    assert not (tmp_path / "runs").exists()


def test_names_and_files_that_disagree_are_refused(tmp_path: Path) -> None:
    names = find_names(files_of(tmp_path, "epoch_2.pt", "epoch_5.pt"))
    pairs = [(name, Progress(None, epoch)) for name, epoch in zip(names, (7.0, 5.0), strict=True)]
    with pytest.raises(ValueError, match=r"epoch_2.pt has 2 in its name and epoch 7 inside; .* --first-epoch 2"):
        epochs_of(pairs, "*.pt")


def trained_network(epochs: int) -> dict[str, torch.Tensor]:
    spec, model = table_spec(), network(0)
    optimizer = torch.optim.Adam(model.parameters(), 0.5)
    for _ in range(20 * epochs):
        optimizer.zero_grad()
        functional.cross_entropy(model(spec.train_inputs), spec.train_labels).backward()
        optimizer.step()
    return model.state_dict()


def test_a_trained_network_is_never_taken_for_the_untrained_one(tmp_path: Path) -> None:
    for epoch in range(3):
        torch.save(trained_network(1 + epoch), tmp_path / f"ckpt_{epoch}.pt")
    pattern = str(tmp_path / "ckpt_*.pt")
    with pytest.raises(
        ValueError,
        match=r"ckpt_0.pt would be epoch 0, .* but is trained: its loss is .*add --first-epoch 1, or --",
    ):
        import_checkpoints(tmp_path / "runs", "mine", pattern, table_spec())
    assert not (tmp_path / "runs").exists()
    run = import_checkpoints(tmp_path / "runs", "mine", pattern, table_spec(), first_epoch=1)
    assert run.checkpoint_epochs("target") == [1, 2, 3]
    assert import_checkpoints(tmp_path / "runs", "as-is", pattern, table_spec(), first_epoch=0).checkpoint_epochs(
        "target"
    ) == [0, 1, 2]


def test_the_optimizers_steps_tell_the_first_epoch(tmp_path: Path) -> None:
    for number in range(3):
        optimizer = {"state": {0: {"step": torch.tensor(20.0 * (number + 1))}}, "param_groups": []}
        torch.save({"model": network(number).state_dict(), "optimizer": optimizer}, tmp_path / f"ckpt_{number}.pt")
    pattern = str(tmp_path / "ckpt_*.pt")
    run = import_checkpoints(tmp_path / "runs", "mine", pattern, table_spec())
    assert run.checkpoint_epochs("target") == [1, 2, 3]
    with pytest.raises(ValueError, match=r"ckpt_0.pt would be epoch 0, .*: it is of step 20; .*--first-epoch 1"):
        import_checkpoints(tmp_path / "runs", "one", str(tmp_path / "ckpt_[0].pt"), table_spec())


def test_logs_that_count_otherwise(tmp_path: Path) -> None:
    truth = {}
    spec = table_spec()
    for epoch in range(5):
        state = trained_network(epoch) if epoch else network(0).state_dict()
        torch.save(state, tmp_path / f"ckpt_{epoch}.pt")
        model = network(0)
        model.load_state_dict(state)
        truth[epoch] = functional.cross_entropy(model(spec.test_inputs), spec.test_labels).item()
    pattern, log = str(tmp_path / "ckpt_*.pt"), tmp_path / "log.csv"

    def imported(name: str, losses: dict[int, float], **options: int) -> dict[int, float]:
        log.write_text("epoch,test_loss\n" + "".join(f"{epoch},{loss!r}\n" for epoch, loss in losses.items()))
        run = import_checkpoints(tmp_path / "runs", name, pattern, spec, losses=log, first_epoch=0, **options)
        return run.metrics().set_index("epoch")["test_loss"].to_dict()

    assert imported("right", truth) == pytest.approx(truth, abs=1e-6)
    assert imported("from-0", {epoch - 1: truth[epoch] for epoch in range(1, 5)}) == pytest.approx(truth, abs=1e-6)
    other = {epoch: loss * (1 + 0.1 * epoch) for epoch, loss in truth.items()}  # of other data: no sure match
    late = {epoch - 1: other[epoch] for epoch in range(1, 5)}
    with pytest.raises(
        ValueError, match=r"log.csv seems to count .* at epoch 0 is \d+% of an untrained .* --first-logged-epoch 1 if"
    ):
        imported("late", late)
    assert imported("late", late, first_logged_epoch=1) == pytest.approx(other, abs=1e-6)
    with pytest.raises(ValueError, match=r"4 checkpoints have losses in it, and 5 if .*-epoch 0 if its first"):
        imported("early", {epoch + 1: loss for epoch, loss in other.items()})
    log.write_text("test_loss\n1\n2\n")
    with pytest.raises(ValueError, match=r"has 2 rows and no epochs, .* epoch 4; .* --first-logged-epoch 1 \(0 for"):
        import_checkpoints(tmp_path / "runs", "rows", pattern, spec, losses=log, first_epoch=0)


@pytest.mark.parametrize("counted", ["epoch", "step"])
@pytest.mark.parametrize(("called", "logged"), [(0, 0), (-1, -1), (-1, 0), (0, -1)])
def test_a_log_proves_the_epochs_of_bare_numbers(called: int, logged: int, counted: str, tmp_path: Path) -> None:
    if counted == "step" and logged:
        return
    spec, log = table_spec(), tmp_path / "log.csv"
    truth = {}
    for epoch in range(1, 10):
        model = network(0)
        model.load_state_dict(trained_network(epoch))
        truth[epoch] = functional.cross_entropy(model(spec.test_inputs), spec.test_labels).item()
        if epoch in (4, 6, 9):
            torch.save(model.state_dict(), tmp_path / f"ckpt_{epoch + called}.pt")
    per = 10 if counted == "step" else 1
    log.write_text(f"{counted},test_loss\n" + "".join(f"{per * (e + logged)},{loss!r}\n" for e, loss in truth.items()))
    lines: list[str] = []
    options = {"steps_per_epoch": per} if counted == "step" else {}
    pattern = str(tmp_path / "ckpt_*.pt")
    run = import_checkpoints(tmp_path / "runs", "mine", pattern, spec, losses=log, say=lines.append, **options)  # pyright: ignore
    assert run.checkpoint_epochs("target") == [4, 6, 9] and "0.0% from those computed" in lines[2]
    assert run.metrics().set_index("epoch")["test_loss"].to_dict() == pytest.approx(truth, abs=1e-6)
    log.write_text("epoch,test_loss\n" + "".join(f"{e},{loss * (1 + e / 9)}\n" for e, loss in truth.items()))
    with pytest.raises(ValueError, match=r"ckpt_\d.pt has the number .*--first-epoch"):
        import_checkpoints(tmp_path / "runs", "other", pattern, spec, losses=log)


def test_a_log_of_epochs_beside_checkpoints_of_steps(tmp_path: Path) -> None:
    for step in (10, 20):
        torch.save(network(step).state_dict(), tmp_path / f"ckpt_{step}.pt")
    (tmp_path / "log.csv").write_text("epoch,test_loss\n0,3\n1,2\n2,1\n")
    options = {"losses": tmp_path / "log.csv", "steps_per_epoch": 10}
    run = import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec(), **options)
    assert run.checkpoint_epochs("target") == [1, 2] and run.metrics()["test_loss"].tolist() == [3, 2, 1]


def test_a_log_that_ends_one_epoch_early_counts_from_0(tmp_path: Path) -> None:
    for epoch in range(3):
        torch.save(network(epoch).state_dict(), tmp_path / f"ckpt_{epoch}.pt")
    (tmp_path / "log.csv").write_text("epoch,test_loss\n0,3\n1,2\n")
    with pytest.raises(
        ValueError, match=r"its last row is 1, the last checkpoint is of epoch 2; .*-epoch 1 if its first"
    ):
        import_checkpoints(
            tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec(), losses=tmp_path / "log.csv"
        )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state["0.bias"].add_(1), r"0.bias is not as in every new network"),
        (lambda state: state["0.weight"].mul_(1.1), r"\d+ of its weights are larger than in any new network"),
        (lambda state: state["1.num_batches_tracked"].add_(3), "its batch norms have seen 3 batches"),
    ],
)
def test_training_is_seen_where_the_loss_is_that_of_chance(change, reason: str, tmp_path: Path) -> None:
    def build() -> nn.Module:
        model = nn.Sequential(nn.Linear(3, 100), nn.BatchNorm1d(100), nn.Linear(100, 2))
        nn.init.zeros_(model[0].bias)  # pyright: ignore[reportArgumentType]
        return model

    torch.manual_seed(99)
    spec, pattern = replace(table_spec(), network=build), str(tmp_path / "ckpt_*.pt")
    for epoch in (0, 1):
        torch.save(build().state_dict(), tmp_path / f"ckpt_{epoch}.pt")
    assert import_checkpoints(tmp_path / "runs", "new", pattern, spec).checkpoint_epochs("target") == [0, 1]
    state = build().state_dict()
    change(state)
    torch.save(state, tmp_path / "ckpt_0.pt")
    with pytest.raises(
        ValueError, match=rf"ckpt_0.pt would be epoch 0, .* but is trained: .*{reason}.*--first-epoch 1"
    ):
        import_checkpoints(tmp_path / "runs", "mine", pattern, spec)


def test_a_first_checkpoint_without_a_trace_of_training_is_said(tmp_path: Path) -> None:
    torch.save(network(5).state_dict(), tmp_path / "ckpt_1.pt")
    lines: list[str] = []
    import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec(), say=lines.append)
    assert "no trace of training in" in lines[2] and "--first-epoch 0 if it is untrained" in lines[2]


def test_nan_in_a_log_stays_and_is_noted(tmp_path: Path) -> None:
    for epoch in (1, 2):
        torch.save(network(epoch).state_dict(), tmp_path / f"ckpt_{epoch}.pt")
    (tmp_path / "log.csv").write_text("epoch,train_loss,test_loss\n1,0.8,0.9\n2,nan,inf\n")
    lines: list[str] = []
    run = import_checkpoints(
        tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec(),
        losses=tmp_path / "log.csv", say=lines.append,
    )  # fmt: skip
    metrics = run.metrics().set_index("epoch")
    assert metrics["train_loss"].isna().tolist() == [False, True] == metrics["test_loss"].isna().tolist()
    assert "Diverged by its log: train_loss from epoch 2 on, test_loss from epoch 2 on" in run.manifest["notes"]
    assert "diverged: train_loss is NaN or infinite at epoch 2" in lines[2]
    assert run.not_finite() == {2: {"train_loss": "NaN", "test_loss": "Infinity"}}
    text = run_text(run)
    assert "diverged: train_loss at epoch 2, not finite" in text and re.search(r" 2 +NaN +Infinity ", text)
    assert run_report(run)["diverged"] == {"train_loss": 2, "test_loss": 2}


def test_the_tensor_taken_for_the_logits_is_said_and_the_specs_file_named(tmp_path: Path) -> None:
    class Features(nn.Linear):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
            return x, super().forward(x)

    torch.save(network(1).state_dict(), tmp_path / "ckpt_1.pt")
    lines: list[str] = []
    spec = replace(table_spec(), network=lambda: Features(3, 2))
    run = import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), spec, say=lines.append)
    plain = import_checkpoints(tmp_path / "runs", "plain", str(tmp_path / "ckpt_*.pt"), table_spec())
    assert "output 1 of 0 [batch, 3] and 1 [batch, 2] as logits, by 2 classes" in lines[2]
    assert run.metrics().equals(plain.metrics())
    path = tmp_path / "my_run.py"
    path.write_text(textwrap.dedent(SPEC_FILE).replace("nn.Linear,", "lambda: nn.Linear(4, 2),"))
    with pytest.raises(ValueError, match=rf"^{path}:spec: the spec's network fails on train_inputs"):
        import_checkpoints(tmp_path / "runs", "bad", str(tmp_path / "ckpt_*.pt"), f"{path}:spec")
    path.write_text(textwrap.dedent(SPEC_FILE).replace("nn.Linear,", "lambda: nn.Linear(3, 3),"))
    with pytest.raises(ValueError, match=rf"ckpt_1.pt does not fit the network of {path}:spec: weight is"):
        import_checkpoints(tmp_path / "runs", "bad", str(tmp_path / "ckpt_*.pt"), f"{path}:spec")


def test_infinite_weights_are_left_out(tmp_path: Path) -> None:
    bad = {name: value * float("nan") for name, value in network(0).state_dict().items()}
    torch.save(network(1).state_dict(), tmp_path / "ckpt_1.pt")
    torch.save(bad, tmp_path / "ckpt_2.pt")
    lines: list[str] = []
    run = import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec(), say=lines.append)
    assert run.checkpoint_epochs("target") == [1] and "ckpt_2.pt (epoch 2): NaN or infinite weights" in lines[0]
    with pytest.raises(ValueError, match="and all others hold NaN or infinite weights; expected finite ones"):
        import_checkpoints(tmp_path / "runs", "bad", str(tmp_path / "ckpt_[2].pt"), table_spec(), first_epoch=2)


def test_an_import_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(network(1).state_dict(), tmp_path / "ckpt_1.pt")
    monkeypatch.setattr(Run, "save_checkpoint", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        import_checkpoints(tmp_path / "runs", "mine", str(tmp_path / "ckpt_*.pt"), table_spec())
    assert not (tmp_path / "runs").exists()


def test_folders_shards_and_other_tools(tmp_path: Path) -> None:
    state = network(1).state_dict()
    sharded, single, deep, parts = (tmp_path / name for name in ("s/checkpoint-10", "t/checkpoint-10", "d/1", "z/1"))
    for folder in (sharded, single, deep, parts / "step1"):
        folder.mkdir(parents=True)
    for number, key in enumerate(state, start=1):
        save_file({key: state[key]}, sharded / f"model-0000{number}-of-00002.safetensors")
    shards = {key: f"model-0000{number}-of-00002.safetensors" for number, key in enumerate(state, start=1)}
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (sharded / "trainer_state.json").write_text('{"epoch": 2.0, "global_step": 10}')
    torch.save(state, single / "pytorch_model.bin")
    torch.save({"state": 1}, single / "optimizer.pt")
    (single / "config.json").touch()
    torch.save({"module": state, "global_steps": 7}, deep / "mp_rank_00_model_states.pt")

    def imported(name: str, pattern: str, **options: float) -> Run:
        return import_checkpoints(tmp_path / "runs", name, str(tmp_path / pattern), table_spec(), **options)  # pyright: ignore

    for name, pattern, epoch in (
        ("sharded", "s/checkpoint-*", 2),
        ("files", "s/checkpoint-*/model-*.safetensors", 2),
        ("deep", "d/*", 1),
    ):
        run = imported(name, pattern)
        assert torch.equal(run.load_checkpoint("target", epoch)["weight"], state["weight"])
    with pytest.raises(ValueError, match=r"checkpoint-10 is of step 10, not of an epoch; .*add --steps-per-epoch N"):
        imported("single", "t/checkpoint-*")
    assert imported("single", "t/checkpoint-*", steps_per_epoch=5).checkpoint_epochs("target") == [2]
    lines: list[str] = []
    assert imported("steps", "t/checkpoint-*", unit="step", say=lines.append).checkpoint_epochs("target") == [10]
    assert "chosen: steps 10 from steps / 1;" in lines[2]
    with pytest.raises(ValueError, match="5 steps are an epoch, and the run shall count steps; say one of both"):
        imported("both", "t/checkpoint-*", unit="step", steps_per_epoch=5)
    (sharded / shards["bias"]).unlink()
    with pytest.raises(ValueError, match=r"index.json names model-.* not beside it; copy the whole folder"):
        imported("gone", "s/checkpoint-*")
    for rank in range(2):
        torch.save({}, parts / "step1" / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
    with pytest.raises(ValueError, match=r"of DeepSpeed in 2 parts .*write it with `python .*zero_to_fp32.py"):
        read_checkpoint(parts)
    (single / "trainer_state.json").write_text('{"epoch": ')
    with pytest.raises(
        ValueError, match=r"trainer_state.json is damaged .*, or delete the file and add --steps-per-ep"
    ):
        imported("state", "t/checkpoint-*")
    (sharded / "trainer_state.json").write_text("{")
    (sharded / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(ValueError, match=r"index.json is damaged .*expected the names of files under weight_map"):
        imported("damaged", "s/checkpoint-*")


def test_distributed_checkpoints_need_trust(tmp_path: Path) -> None:
    from torch.distributed.checkpoint.format_utils import torch_save_to_dcp

    torch.save({"model": network(1).state_dict()}, tmp_path / "whole.pt")
    torch_save_to_dcp(tmp_path / "whole.pt", tmp_path / "epoch_1")
    pattern = str(tmp_path / "epoch_*")
    with pytest.raises(ValueError, match=r"distributed checkpoint \(.metadata\), .*--trust, or .*dcp_to_torch"):
        import_checkpoints(tmp_path / "runs", "mine", pattern, table_spec())
    run = import_checkpoints(tmp_path / "runs", "mine", pattern, table_spec(), trust=True)
    assert torch.equal(run.load_checkpoint("target", 1)["weight"], network(1).weight)
    (tmp_path / "epoch_1" / ".metadata").write_bytes(b"nothing of the sort")
    with pytest.raises(
        ValueError, match=r"epoch_1 is no distributed checkpoint that torch can read .*copy the whole f"
    ):
        import_checkpoints(tmp_path / "runs", "bad", pattern, table_spec(), trust=True)
    assert not (tmp_path / "runs" / "bad").exists()


def test_baseline_needs_a_run(tmp_path: Path) -> None:
    torch.save(network(0).state_dict(), tmp_path / "ckpt_0.pt")
    with pytest.raises(FileNotFoundError, match="no run 'mine'"):
        import_checkpoints(tmp_path, "mine", str(tmp_path / "ckpt_*.pt"), table_spec(), network="baseline-0")
    assert isinstance(Run(tmp_path), Run)
