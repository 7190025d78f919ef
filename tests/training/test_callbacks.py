"""The callbacks, in trainings by the real Lightning and the real Hugging Face Trainer."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from interdash.config import MaskingConfig
from interdash.masking.outputs import masked_outputs
from interdash.masking.variables import text_variables
from interdash.runs.run import Run
from interdash.training.callbacks import lightning_callback, trainer_callback
from interdash.training.own import logits_builder
from interdash.training.recorder import Recorder
from interdash.training.spec import Spec


def table_spec() -> Spec:
    x = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    return Spec(lambda: nn.Linear(3, 2), x[:12], y[:12], x[12:], y[12:], MaskingConfig("table"))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*num_workers:UserWarning", "ignore:.*log_every_n_steps")
def test_lightning_callback(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    lightning = pytest.importorskip("lightning.pytorch")
    spec = table_spec()

    class Module(lightning.LightningModule):  # pyright: ignore[reportGeneralTypeIssues]
        def __init__(self) -> None:
            super().__init__()
            self.model = spec.network()

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            loss = functional.cross_entropy(self.model(batch[0]), batch[1])
            self.log("loss/train", loss, on_step=False, on_epoch=True)
            return loss

        def validation_step(self, batch: Any, _: int) -> None:
            self.log("loss/test", functional.cross_entropy(self.model(batch[0]), batch[1]))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    def fit(module: Any, every: int = 1, **options: Any) -> Run:
        callback = lightning_callback(spec=table_spec, root=tmp_path, samples_per_split=4, **options)
        trainer = lightning.Trainer(
            max_epochs=3,
            check_val_every_n_epoch=every,
            accelerator="cpu",
            callbacks=[callback],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        train = DataLoader(TensorDataset(spec.train_inputs, spec.train_labels), batch_size=6)
        test = DataLoader(TensorDataset(spec.test_inputs, spec.test_labels), batch_size=6)
        trainer.fit(module, train, test)
        return Run.open(tmp_path, options["name"])

    module = Module()
    untrained = module.model.weight.detach().clone()
    run = fit(module, name="logged", train_loss="loss/train", test_loss="loss/test")
    assert run.checkpoint_epochs("target") == [0, 1, 2, 3] and run.is_finished("target")
    assert torch.equal(run.load_checkpoint("target", 0)["weight"], untrained)  # without the prefix "model."
    assert torch.equal(run.load_checkpoint("target", 3)["weight"], module.model.weight)
    metrics = run.metrics()
    assert (
        metrics["epoch"].tolist() == [0, 1, 2, 3] and metrics["train_accuracy"].isna().tolist() == [False] + [True] * 3
    )
    expected = functional.cross_entropy(module.model(spec.test_inputs), spec.test_labels)
    assert metrics["test_loss"].tolist()[-1] == pytest.approx(expected.item())
    assert run.manifest["spec"]["function"] == "table_spec"

    run = fit(Module(), name="computed", network=lambda module: module.model)
    assert run.metrics()["train_accuracy"].notna().all()
    module = Module()
    run = fit(module, every=2, name="rare", test_loss="loss/test")  # not the loss of epoch 2 for epoch 3
    expected = functional.cross_entropy(module.model(spec.test_inputs), spec.test_labels)
    assert run.metrics()["test_loss"].tolist()[-1] == pytest.approx(expected.item())

    run = fit(Module(), name="missing", test_loss="val")  # ends no training
    assert run.is_finished("target") and run.metrics()["test_loss"].notna().all()
    assert "no metric 'val' was logged yet, so that it is computed" in caplog.text

    module = Module()
    run = fit(module, name="steps", unit="step", checkpoints=(0, 1, 4))  # 2 steps an epoch
    assert run.checkpoint_epochs("target") == [0, 1, 4, 6] and run.config.training.unit == "step"
    assert run.metrics()["epoch"].tolist() == [0, 1, 4, 6] and run.config.training.epochs == 6
    assert torch.equal(run.load_checkpoint("target", 6)["weight"], module.model.weight)
    run = fit(Module(), name="ended", unit="step", epochs=100, checkpoints=(0, 5, 100))
    assert run.checkpoint_epochs("target") == [0, 5, 6] and run.is_finished("target")

    record = Recorder.record

    def fail_once(self: Recorder, epoch: int, *rest: Any) -> None:
        if epoch == 2:
            raise OSError("the disk is full")
        record(self, epoch, *rest)

    monkeypatch.setattr(Recorder, "record", fail_once)
    run = fit(Module(), name="full")
    assert run.checkpoint_epochs("target") == [0, 1, 3] and run.is_finished("target")
    assert "could not record epoch 2 of the training, which goes on: the disk is full" in caplog.text


def test_trainer_callback(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=8,
        num_labels=2,
    )
    ids = torch.randint(5, 20, (16, 6), generator=torch.Generator().manual_seed(0))
    labels = (ids[:, 0] > 12).long()

    def spec() -> Spec:
        return Spec(
            network=lambda: transformers.BertForSequenceClassification(config),
            train_inputs=ids[:8],
            train_labels=labels[:8],
            test_inputs=ids[8:],
            test_labels=labels[8:],
            variables=lambda rows: text_variables(
                rows, [[f"w{token}" for token in row] for row in rows.tolist()], n_variables=3, mask_id=1
            ),
        )

    def train(name: str, *, unit: str = "epoch", **arguments: Any) -> tuple[Run, Any]:
        model = spec().network()
        trainer = transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(
                output_dir=str(tmp_path / "out"),
                per_device_train_batch_size=4,
                use_cpu=True,
                report_to=[],
                save_strategy="no",
                disable_tqdm=True,
                logging_strategy="no",
                **arguments,
            ),
            train_dataset=[{"input_ids": row, "labels": label} for row, label in zip(ids[:8], labels[:8], strict=True)],
            callbacks=[trainer_callback(name, spec, root=tmp_path, samples_per_split=3, unit=unit)],
        )
        trainer.train()
        return Run.open(tmp_path, name), model

    run, model = train("whole", num_train_epochs=3)
    assert run.checkpoint_epochs("target") == [0, 1, 2, 3] and run.is_finished("target")
    assert run.metrics()["epoch"].tolist() == [0, 1, 2, 3] and run.metrics()["test_loss"].notna().all()
    network = logits_builder(spec().network)()
    network.load_state_dict(run.load_checkpoint("target", 3))
    explained = run.explained()
    assert torch.equal(network.eval()(ids), model.eval()(ids).logits)
    assert masked_outputs(network, explained.inputs, explained.labels, explained.variables).shape == (6, 8)

    run, _ = train("partial", max_steps=3)  # ends in the middle of the second epoch
    assert run.checkpoint_epochs("target") == [0, 1, 2] and run.config.training.unit == "epoch"

    run, model = train("steps", unit="step", num_train_epochs=2)  # 2 steps an epoch
    assert run.checkpoint_epochs("target") == [0, 1, 2, 3, 4] and run.config.training.unit == "step"
    assert run.metrics()["epoch"].tolist() == [0, 1, 2, 3, 4] and run.is_finished("target")
    weights = run.load_checkpoint("target", 4)
    assert all(torch.equal(weights[name], weight) for name, weight in model.state_dict().items())
    assert not torch.equal(weights["classifier.weight"], run.load_checkpoint("target", 3)["classifier.weight"])


@pytest.mark.parametrize(
    ("module", "make", "message"),
    [
        ("lightning.pytorch", lightning_callback, r"needs lightning: `pip install 'interdash\[lightning\]'`"),
        ("transformers", trainer_callback, r"needs transformers: `pip install 'interdash\[hf\]'`"),
    ],
)
def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, module: str, make: Any, message: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=message):
        make("run", table_spec)
