"""From files that are there already to the first chart: what a person types, in lines, and two commands."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from interdash.commands.main import main
from interdash.figures import catalogue
from interdash.figures.choice import Choice
from interdash.masking.kinds import MASKED
from interdash.paper import captions
from interdash.queries.asking import Ask
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.state import state
from tests.conftest import store_of
from tests.hf import test_hf as own

transformers = pytest.importorskip("transformers")
MINE = """import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from tests.hf.test_hf import image, texts as sentences
texts = sentences(40)
labels = [int("film" in text) for text in texts]
images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
classes = torch.arange(40) % 2
def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
class Data(LightningDataModule):
    def train_dataloader(self):
        return DataLoader(TensorDataset(images[:20], classes[:20]))
    def val_dataloader(self):
        return DataLoader(TensorDataset(images[20:], classes[20:]))
class Classifier(LightningModule):
    def __init__(self):
        super().__init__()
        self.net = net()
"""  # what a person has
RECIPES = {  # what a person types, and how many lines it may be
    "hf": (12, "out/checkpoint-*", """from transformers import AutoModelForSequenceClassification, AutoTokenizer
import interdash.hf
from mine import labels, texts
def spec():
    folder = "out/checkpoint-10"
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return interdash.hf.classifier_spec(
        model, tokenizer, texts[:20], labels[:20], texts[20:], labels[20:], n_variables=4)
"""),
    "vit": (12, "out/checkpoint-*", """from transformers import AutoModelForImageClassification
import interdash.hf
from mine import classes, images
def spec():
    model = AutoModelForImageClassification.from_pretrained("out/checkpoint-10")
    patches = interdash.MaskingConfig("image", n_variables=4, layout="whole")
    return interdash.hf.image_spec(model, images[:20], classes[:20], images[20:], classes[20:], variables=patches)
"""),
    "causal": (15, "out/checkpoint-*", """from transformers import AutoModelForCausalLM, AutoTokenizer
import interdash.hf
from mine import texts
answers = [" joy"] * 20
def spec():
    folder = "out/checkpoint-10"
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return interdash.hf.causal_spec(model, tokenizer, texts[:20], answers, texts[20:], answers, n_variables=4)
"""),
    "learned": (17, "out/checkpoint-*", """from transformers import AutoModelForCausalLM, AutoTokenizer
import interdash.hf
from mine import texts
answers = [" joy"] * 20
def spec():
    folder = "out/checkpoint-10"
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    mask = interdash.hf.learned_mask_embedding(
        "mask.json", model, tokenizer, texts[:20], answers, checkpoint=folder, n_variables=4, epochs=2)
    return interdash.hf.causal_spec(
        model, tokenizer, texts[:20], answers, texts[20:], answers, n_variables=4, mask_embedding=mask)
"""),
    "lightning": (12, "out/*.ckpt", """import interdash
from mine import Classifier, Data
def spec():
    patches = interdash.MaskingConfig("image", n_variables=4, layout="whole")
    return interdash.lightning_spec(Classifier, Data(), patches, network=lambda module: module.net)
"""),
    "plain": (15, "out/net_*.pt", """import interdash
from mine import classes, images, net
def spec():
    return interdash.Spec(
        network=net,
        train_inputs=images[:20],
        train_labels=classes[:20],
        test_inputs=images[20:],
        test_labels=classes[20:],
        variables=interdash.MaskingConfig("image", n_variables=4, layout="whole"),
    )
"""),
}  # fmt: skip


def trained(kind: str) -> Any:
    """Returns a model of a kind, and its tokenizer, if it has one."""
    if kind in ("lightning", "plain"):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), None
    if kind == "vit":
        return own.image().network(), None
    reader = own.tokenizer("bert" if kind == "hf" else "masked")
    return (own.bert(len(reader), 2) if kind == "hf" else own.gpt(len(reader))), reader


def save(kind: str, folder: Path) -> None:
    """Writes two checkpoints of a training as its library does."""
    folder.mkdir()
    model, reader = trained(kind)
    for epoch in (1, 2):
        for weight in model.parameters():
            weight.data += 0.02 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(epoch))
        if kind == "plain":
            torch.save(model.state_dict(), folder / f"net_{epoch}.pt")
        elif kind == "lightning":
            weights = {f"net.{name}": value for name, value in model.state_dict().items()}
            content = {
                "state_dict": weights,
                "epoch": epoch - 1,
                "global_step": 5 * epoch,
                "pytorch-lightning_version": "2.6.6",
            }
            torch.save(content, folder / f"epoch={epoch - 1}-step={5 * epoch}.ckpt")
        else:
            place = folder / f"checkpoint-{5 * epoch}"
            model.save_pretrained(place)
            if reader is not None:
                reader.save_pretrained(place)
            progress = {"epoch": float(epoch), "global_step": 5 * epoch, "log_history": []}
            (place / "trainer_state.json").write_text(json.dumps(progress))


@pytest.mark.parametrize("kind", RECIPES)
def test_a_few_lines_and_two_commands(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most, pattern, text = RECIPES[kind]
    assert len(text.splitlines()) <= most and "\n\n" not in text
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "recipe.py").write_text(text)
    save(kind, tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    files = ["--checkpoints", pattern, "--spec", "recipe.py:spec", "--samples", "4"]

    def typed(*command: str) -> None:
        monkeypatch.setattr("sys.argv", ["interdash", *command, "--root", "runs"])
        main()

    by_step = kind == "causal"
    typed("import", "mine", *files, *["--steps"] * by_step)
    typed("extract", "mine")
    run = Run.open(tmp_path / "runs", "mine")
    assert state(run).text.startswith("ready: without G")
    assert run.checkpoint_epochs("target") == ([5, 10] if by_step else [1, 2])
    with store_of(run) as store:
        names = catalogue.names(Ask(run, store), Choice())
        assert {"flows", "dynamics", "order_strength", "life_classes", "interactions"} <= set(names)
        drawing = catalogue.drawing(Ask(run, store), "order_strength", Choice())
        assert drawing.figure().data
        flows = catalogue.drawing(Ask(run, store), "flows", Choice()).figure()
        unit = "step" if by_step else "epoch"
        assert f"{unit} (log scale of {unit} + 1)" in [axis.title.text for axis in flows.select_xaxes()]
        masked = MASKED["learned" if kind == "learned" else "token" if kind in ("hf", "causal") else "mean"]
        assert f"masked to {masked}." in captions.caption(Ask(run, store), drawing, Choice())
    if pattern.startswith("out/checkpoint"):  # their specs have a recipe
        typed("baseline", "mine", "--count", "1")
        assert run.is_finished("baseline-0") and plan(run).missing() != []
