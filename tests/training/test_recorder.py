"""Recording a user's own training: Spec, Recorder, and the network built again."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

import interdash
from interdash.commands.info import run_report
from interdash.config import MaskingConfig
from interdash.masking.outputs import masked_outputs
from interdash.masking.variables import Variables, text_variables
from interdash.runs import samples
from interdash.runs.run import Run
from interdash.training.loop import sample_losses
from interdash.training.network_of_run import draw_samples, network_builder, train_baseline
from interdash.training.own import run_spec
from interdash.training.recorder import Recorder
from interdash.training.spec import Spec, explained_samples, load_spec, spec_text
from tests.conftest import PATIENCE, SPEC_FILE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_run.py"
    path.write_text(SPEC_FILE)
    return path


def table_spec(**changes: object) -> Spec:
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
    spec = Spec(
        lambda: nn.Linear(4, 3), x[:12], torch.arange(12) % 3, x[12:], torch.arange(8) % 3, MaskingConfig("table")
    )
    return replace(spec, **changes)  # pyright: ignore[reportArgumentType]


def test_three_lines_record_a_training(spec_file: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    model = nn.Linear(3, 2)
    recorder = interdash.Recorder("mine", f"{spec_file}:spec", epochs=20, root=root, samples_per_split=5)
    before = [weight.clone() for weight in model.parameters()]
    model.train()
    for epoch in range(21):
        with torch.no_grad():
            model.weight += 0.1
        recorder.record(epoch, model, train_loss=1.0 / (epoch + 1), test_loss=torch.tensor(0.5))
    recorder.close()

    assert model.training and torch.allclose(model.weight, before[0] + 2.1)
    run = Run.open(root, "mine")
    epochs = run.checkpoint_epochs("target")
    assert len(epochs) >= 12 and epochs[:5] == [0, 1, 2, 3, 4] and epochs[-1] == 20 and len(epochs) < 21
    assert run.metrics()["epoch"].tolist() == list(range(21)) and run.metrics()["test_loss"].eq(0.5).all()
    assert run.is_finished("target") and run.class_names == ["no", "yes"]
    assert run.config.network.spec == "my_run.py:spec" and run.config.masking.n_variables == 3
    assert str(tmp_path) not in json.dumps(run.manifest["config"])

    explained = run.explained()
    assert explained.split == ("train",) * 5 + ("test",) * 5 and explained.variables.names == ("age", "size", "noise")
    assert explained.display[0] == dict(zip(("age", "size", "noise"), explained.inputs[0].tolist(), strict=True))
    data = load_spec(f"{spec_file}:spec")
    assert torch.equal(explained.inputs[5:], data.test_inputs[explained.index[5:]])
    assert torch.allclose(explained.variables.baseline, data.train_inputs.mean(0), atol=1e-6)

    network = network_builder(run)()  # from the recorded file
    network.load_state_dict(run.load_checkpoint("target", 20))
    assert torch.equal(network(data.test_inputs), model(data.test_inputs))
    assert masked_outputs(network, explained.inputs, explained.labels, explained.variables).shape == (10, 8)


def test_losses_left_out_are_computed_of_objects_with_logits_too_and_random_numbers_stay(tmp_path: Path) -> None:
    spec = table_spec()
    model = spec.network().train()
    with Recorder("mine", spec, epochs=1, root=tmp_path) as recorder:
        recorder.record(0, model, test_loss=7.0)
    row = recorder.run.metrics().iloc[0]
    assert row["train_loss"] == pytest.approx(
        functional.cross_entropy(model(spec.train_inputs), spec.train_labels).item()
    )
    assert row["test_loss"] == 7.0 and 0 <= row["train_accuracy"] <= 1 and model.training
    spec = table_spec(network=lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout()))
    model = spec.network()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with Recorder("random", spec, epochs=1, root=tmp_path) as recorder:
        recorder.record(0, model)
    assert torch.equal(torch.rand(3), expected)

    class Wrapped(nn.Linear):
        def forward(self, input: torch.Tensor) -> object:
            return type("Output", (), {"logits": super().forward(input)})

    with Recorder("objects", table_spec(network=lambda: Wrapped(4, 3)), epochs=1, root=tmp_path) as recorder:
        recorder.record(0, Wrapped(4, 3))
    assert recorder.run.metrics()["train_loss"].notna().all()
    with pytest.raises(ValueError, match=r"network function returned a int; return a torch\.nn\.Module"):
        Recorder("bad", table_spec(network=lambda: 3), epochs=1, root=tmp_path)
    with pytest.raises(TypeError, match=r"network is 'baseline-0'; give the module.*`record_baseline\(model, 0\)`"):
        Recorder("bad", table_spec(), epochs=1, root=tmp_path, network="baseline-0")


def test_training_that_ends_early_keeps_its_last_epoch(tmp_path: Path) -> None:
    spec = table_spec()
    with Recorder("mine", spec, epochs=100, checkpoints=(0, 50, 100), root=tmp_path) as recorder:
        for epoch in range(8):
            recorder.record(epoch, spec.network(), 1.0, 1.0)
    assert recorder.run.checkpoint_epochs("target") == [0, 7]
    with Recorder("all", spec, epochs=30, checkpoints="all", root=tmp_path) as recorder:
        for epoch in range(5):
            recorder.record(epoch, spec.network(), 1.0, 1.0)
    assert recorder.run.checkpoint_epochs("target") == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError), Recorder("again", spec, epochs=3, root=tmp_path) as recorder:
        recorder.record(0, spec.network(), 1.0, 1.0)
        _ = 1 / 0
    assert not Run.open(tmp_path, "again").is_finished("target")
    with Recorder("again", spec, epochs=3, root=tmp_path) as recorder:
        recorder.record(0, spec.network(), 1.0, 1.0)
    with pytest.raises(FileExistsError, match=r"run 'again' in .* is finished; choose another name or delete"):
        Recorder("again", spec, epochs=3, root=tmp_path)
    with pytest.raises(FileExistsError, match="with another configuration"):
        Recorder("again", spec, epochs=4, root=tmp_path)
    with pytest.raises(ValueError, match="epochs is 0; give the planned number"):
        Recorder("other", spec, epochs=0, root=tmp_path)


def test_steps_are_counted(tmp_path: Path) -> None:
    spec = table_spec()
    model = spec.network()
    with Recorder("mine", spec, epochs=1000, unit="step", root=tmp_path) as recorder:
        for step in range(1001):
            if step in recorder.chosen:
                recorder.record(step, model, 1.0, 1.0)
    run = recorder.run
    steps = run.checkpoint_epochs("target")
    assert steps == run.metrics()["epoch"].tolist() and {0, 1, 2, 4, 1000} <= set(steps) and 12 <= len(steps) < 30
    assert run.config.training.unit == run_report(run)["unit"] == "step"
    with pytest.raises(ValueError, match="unit is 'batch'; choose one of epoch, step"):
        Recorder("other", spec, epochs=3, unit="batch", root=tmp_path)


def test_wrapped_models_fit_and_other_models_are_refused(tmp_path: Path) -> None:
    spec = table_spec()
    recorder = Recorder("mine", spec, epochs=1, root=tmp_path)
    model = spec.network()
    recorder.record(0, nn.DataParallel(model))
    recorder.record(1, nn.ModuleDict({"model": nn.DataParallel(model)}))
    assert torch.equal(recorder.run.load_checkpoint("target", 1)["weight"], model.weight)
    wrapping = Recorder(
        "wrapping", replace(spec, network=lambda: nn.Sequential(spec.network())), epochs=1, root=tmp_path
    )
    wrapping.record(0, model)
    assert torch.equal(wrapping.run.load_checkpoint("target", 0)["0.weight"], model.weight)
    with pytest.raises(ValueError, match="at epoch 1 does not fit the spec's network: it lacks bias, weight and has 0"):
        recorder.record(1, nn.Sequential(nn.Linear(4, 3)))
    with pytest.raises(ValueError, match=r"does not fit the spec's network:(.|\n)*size mismatch for weight"):
        recorder.record(1, nn.Linear(5, 3))


def test_baselines(spec_file: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    with Recorder("mine", f"{spec_file}:spec", epochs=2, root=root) as recorder:
        recorder.record(0, nn.Linear(3, 2))
        recorder.record_baseline(nn.Linear(3, 2), 1)
    run = recorder.run
    train_baseline(run, 0)
    before = run.checkpoint_hash("baseline-0", 2)
    train_baseline(run, 0)
    assert run.networks() == ["target", "baseline-0", "baseline-1"] and run.checkpoint_hash("baseline-0", 2) == before
    metrics = run.metrics().set_index("network")
    assert metrics.loc["baseline-0", "test_accuracy"] > 0.9 and run.is_finished("baseline-1")

    spec = table_spec()
    other = Recorder("other", spec, epochs=1, root=root).run
    with pytest.raises(ValueError, match=r"recorded without a spec file.*pass network=…"):
        network_builder(other)
    spec_file.write_text(spec_file.read_text().replace("train=train,", ""))
    with pytest.raises(ValueError, match=r"no train function for baselines; add train=… .*record_baseline\(model, 3\)"):
        train_baseline(run, 3, spec=f"{spec_file}:spec")


def test_changed_missing_or_smuggled_spec_is_not_run(
    spec_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    root = tmp_path / "runs"
    run = Recorder("mine", f"{spec_file}:spec", epochs=1, root=root).run
    assert "the spec file runs" in capsys.readouterr().out
    code = spec_file.read_text()

    spec_file.write_text(code + "# other\n")
    with pytest.raises(
        ValueError, match=r"my_run\.py has changed since run 'mine' was recorded.*--spec my_run\.py:spec"
    ):
        run_spec(run)
    assert capsys.readouterr().out == ""
    assert run_spec(run, f"{spec_file}:spec").columns == ["age", "size", "noise"]  # named by the user: it runs
    assert "the spec file runs" in capsys.readouterr().out

    inside = run.path / "my_run.py"
    inside.write_text(code + "# inside\n")
    link = tmp_path / "link.py"
    link.symlink_to(inside)
    for path in (inside, link):
        run.update(spec=run.manifest["spec"] | {"path": str(path)})
        with pytest.raises(
            ValueError, match=r"lies in the folder of runs .* from where no code is run; move one of the two"
        ):
            run_spec(run)
    for path in ("../my_run.py", str(tmp_path / "gone.py")):
        run.update(spec=run.manifest["spec"] | {"path": path})
        with pytest.raises(FileNotFoundError, match="of run 'mine' is not on this machine; name it with --spec"):
            run_spec(run)
    run.update(spec={"path": 3})
    with pytest.raises(ValueError, match=r"the spec recorded in .*run\.json is damaged"):
        run_spec(run)
    with pytest.raises(ValueError, match="lies in the folder of runs"):
        Recorder("evil", f"{inside}:spec", epochs=1, root=root)
    assert capsys.readouterr().out.count("the spec file runs") == 1  # the last: the user named it


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{file}:wrong", "returned a int; it must return an interdash.Spec"),
        ("{file}:fails", r"my_run\.py:fails failed with KeyError: 'data\.csv'; run it to see where"),
        ("{file}:absent", "failed with AttributeError"),
        ("my_run:spec", r"names no spec; write it as my_run\.py:spec"),
        ("{file}:a b", "names no spec"),
    ],
)
def test_wrong_specs(spec_file: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_spec(text.format(file=spec_file))


def test_load_spec_finds_file_function_and_what_lies_beside(spec_file, capsys, monkeypatch):
    loaded = load_spec(f"{spec_file}:spec")
    assert loaded is load_spec(f"{spec_file}") and capsys.readouterr().out.count("runs") == 1  # run once
    with pytest.raises(FileNotFoundError, match="there is no spec file"):
        load_spec(f"{spec_file.parent}/gone.py:spec")
    assert spec_text(table_spec) == f"{Path(__file__).resolve()}:table_spec"
    assert spec_text(lambda: table_spec()) == "" and spec_text(eval("lambda: 1")) == ""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (spec_file.parent / "sibling_of_spec.py").write_text("from torch import nn\nmake = lambda: nn.Linear(3, 2)\n")
    code = spec_file.read_text().replace("lambda: nn.Linear(3, 2)", "later")
    spec_file.write_text(code + "\ndef later():\n    import sibling_of_spec\n    return sibling_of_spec.make()\n")
    assert isinstance(load_spec(str(spec_file)).network(), nn.Linear)
    monkeypatch.delitem(sys.modules, "sibling_of_spec")


@pytest.mark.parametrize("command", [["-m", "interdash"], ["-c", "from interdash.commands.main import main; main()"]])
def test_spec_in_a_package_imports_what_lies_beside_it(spec_file: Path, command: list[str], tmp_path: Path) -> None:
    """The same from `python -m interdash` and from the installed command, which has not the folder on its path."""
    project = tmp_path / "project"
    (project / "mine").mkdir(parents=True)
    (project / "mine/__init__.py").write_text("")
    (project / "mine/model.py").write_text("from torch import nn\nmake = lambda: nn.Linear(3, 2)\n")
    (project / "beside.py").write_text("import mine.model\n")
    code = spec_file.read_text().replace("lambda: nn.Linear(3, 2)", "make")
    (project / "mine/my_run.py").write_text("from .model import make\nimport beside\n" + code)
    torch.save(nn.Linear(3, 2).state_dict(), project / "net_1.pt")
    words = ["import", "mine", "--checkpoints", "net_*.pt", "--spec", "mine/my_run.py:spec", "--samples", "2"]
    done = subprocess.run(
        [sys.executable, "-P", *command, *words], cwd=project, capture_output=True, text=True, timeout=PATIENCE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (project / "mine/__init__.py").unlink()
    with pytest.raises(ValueError, match=r"no known parent package; put an empty __init__\.py beside it"):
        load_spec(f"{project}/mine/my_run.py:spec")


def test_spec_checks_its_data_and_draws_maskable_rows() -> None:
    with pytest.raises(TypeError, match=r"test_inputs is a list; pass a torch\.Tensor"):
        table_spec(test_inputs=[1])
    with pytest.raises(
        ValueError, match=r"train_labels is torch.int64 of shape \(3,\) for 12 inputs; pass one class number"
    ):
        table_spec(train_labels=torch.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="test_display has 1 entries for 8 inputs"):
        table_spec(test_display=["x"])
    assert table_spec().names_of_classes() == ["0", "1", "2"]
    with pytest.raises(ValueError, match="'text' cannot make the variables of your own data; pass a function from the"):
        explained_samples(table_spec(variables=MaskingConfig("text")))
    with pytest.raises(ValueError, match="baseline is 'token' for inputs of kind 'table'; use 'mean' or 'zero'"):
        explained_samples(table_spec(variables=MaskingConfig("table", baseline="token")))
    spec = table_spec(maskable=lambda inputs: range(2, len(inputs), 3))
    assert sorted(explained_samples(spec).index.tolist()) == sorted([2, 5, 8, 11, 2, 5])
    with pytest.raises(ValueError, match="none of 12 samples can be masked: there is none to draw from"):
        explained_samples(table_spec(maskable=lambda inputs: []))


@pytest.mark.parametrize("drawn", ["at the end", "by an extraction before"])
def test_samples_are_one_from_each_stratum_of_the_last_losses(spec_file: Path, tmp_path: Path, drawn: str) -> None:
    recorder = Recorder("mine", f"{spec_file}:spec", epochs=2, root=tmp_path / "runs", samples_per_split=5)
    recorder.record(0, nn.Linear(3, 2))
    assert not recorder.run.has_explained()
    if drawn == "by an extraction before":
        draw_samples(recorder.run)
    earlier = recorder.run.explained().index.tolist() if recorder.run.has_explained() else None
    recorder.record(1, nn.Linear(3, 2))
    recorder.close()
    run, spec = recorder.run, recorder.spec
    explained = run.explained()
    assert earlier in (None, explained.index.tolist())  # a run that has samples keeps them
    network, strata = network_builder(run)(), samples.strata(run.path)
    network.load_state_dict(run.load_checkpoint("target", 1 if earlier is None else 0))
    for i, split in enumerate(("train", "test")):
        inputs, labels, _ = spec.split(split)
        losses, _ = sample_losses(network, inputs, labels)
        rank = losses.argsort().argsort()[explained.index[5 * i : 5 * i + 5]]
        assert strata is not None and (rank // 4).tolist() == (strata[5 * i : 5 * i + 5] - 10 * i).tolist()
        assert sorted(rank // 4) == list(range(5))


def test_coherence_is_measured_of_every_checkpoint_as_the_recording_ends(tmp_path: Path) -> None:
    with Recorder("mine", table_spec(), epochs=2, root=tmp_path, samples_per_split=4, coherence=True) as recorder:
        for epoch in range(3):
            recorder.record(epoch, nn.Linear(4, 3))
    assert [line["epoch"] for line in recorder.run.gradients()] == [0, 1, 2]


def test_image_and_grouped_table_variables() -> None:
    images = torch.rand(6, 1, 24, 24)
    spec = table_spec(
        train_inputs=images, train_labels=torch.zeros(6).long(), variables=MaskingConfig("image", 5, patch=4),
        test_inputs=images, test_labels=torch.ones(6, dtype=torch.int32),
    )  # fmt: skip
    explained = explained_samples(spec, samples_per_split=4)
    assert explained.variables.n_variables == 5 and explained.inputs.shape == (8, 1, 24, 24)
    assert explained.labels.dtype == torch.int64 and explained.display == [None] * 8
    again = explained_samples(spec, samples_per_split=4)
    assert torch.equal(again.index, explained.index)
    assert not torch.equal(explained_samples(spec, samples_per_split=4, seed=1).index, explained.index)

    grouped = explained_samples(table_spec(columns=["size", "colour"], column_of_feature=[0, 1, 1, 1]))
    assert grouped.variables.assignment.tolist() == [0, 1, 1, 1]
    assert grouped.display[0] == {"size": grouped.inputs[0, 0].item(), "colour": grouped.inputs[0, 1:].tolist()}


def test_text_variables_pass_over_short_texts(tmp_path: Path) -> None:
    ids = torch.randint(2, 9, (20, 6), generator=torch.Generator().manual_seed(0))
    shown = [f"text {i}" for i in range(20)]
    ids[::2, 2:] = 0  # padding: every other text has two words

    def variables(tokens: torch.Tensor) -> Variables:
        words = [[f"w{token}" for token in row] for row in tokens.tolist()]
        return text_variables(tokens, words, n_variables=4, mask_id=1, special_ids=[0])

    spec = table_spec(
        network=lambda: nn.Sequential(nn.Embedding(9, 3), nn.Flatten(), nn.Linear(18, 3)),
        train_inputs=ids, train_labels=torch.arange(20) % 3, test_inputs=ids, test_labels=torch.arange(20) % 3,
        variables=variables, train_display=shown, test_display=shown,
    )  # fmt: skip
    with Recorder("texts", spec, epochs=1, root=tmp_path, samples_per_split=5) as recorder:
        recorder.record(0, spec.network())
    explained = recorder.run.explained()
    assert (explained.index % 2 == 1).all() and len(explained) == 10
    assert explained.display == [f"text {i}" for i in explained.index.tolist()]
    assert recorder.run.config.masking.baseline == "token" and recorder.run.config.masking.n_variables == 4
    with pytest.raises(ValueError, match="none of 10 samples can be masked: sample 0 has 2 words"):
        short = ids[::2]
        explained_samples(replace(spec, train_inputs=short, train_labels=torch.zeros(10).long(), train_display=()))


def test_built_in_networks_are_built_by_name(tmp_path: Path) -> None:
    from interdash.presets import PRESETS

    run = Run.create(tmp_path, PRESETS["digits"].config, [])
    network = network_builder(run)()
    run.save_checkpoint("target", 0, network.state_dict())
    network_builder(run)().load_state_dict(run.load_checkpoint("target", 0))
