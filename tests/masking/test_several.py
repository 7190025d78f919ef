"""Several inputs: one is masked, the others are given along as they are, from tensors to the dashboard's tables."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

import interdash
from interdash.config import TrainingConfig
from interdash.formulas.subsets import masks
from interdash.masking.outputs import log_odds, masked_outputs
from interdash.masking.rows import Rows
from interdash.masking.several import Several, several, taking_several
from interdash.pipeline import extract_and_label, train_baselines
from interdash.runs.state import state
from interdash.training.loop import train_to_convergence
from interdash.training.spec import Spec

N, SAMPLES = 4, 24


class Model(nn.Module):
    """Reads a row of numbers, a place of each sample and how much the row counts."""

    def __init__(self) -> None:
        super().__init__()
        self.places, self.layer = nn.Embedding(3, 5), nn.Linear(N, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, row: torch.Tensor, place: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.layer(row) * weight[:, None] + self.places(place)))


def inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(SAMPLES, N, generator=generator)
    return {"place": torch.arange(SAMPLES) % 3, "row": rows, "weight": torch.rand(SAMPLES, generator=generator)}


class Items(Dataset):
    """Items that are dicts, labels among them."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {name: tensor[row] for name, tensor in inputs().items()} | {"labels": torch.tensor(row % 2)}


def spec(kind: str = "dict") -> Spec:
    """Returns a spec whose inputs are a dict, a tuple (the masked one first) or a dataset of dicts."""
    tensors, labels = inputs(), torch.arange(SAMPLES) % 2
    both = {"dict": tensors, "tuple": tuple(tensors[name] for name in ("row", "place", "weight")), "dataset": Items()}
    labels = None if kind == "dataset" else labels
    train = partial(train_to_convergence, config=TrainingConfig("adam", 0.05, epochs=2, batch_size=8))
    given = {"train_inputs": both[kind], "test_inputs": both[kind], "train_labels": labels, "test_labels": labels}
    masked = None if kind == "tuple" else "row"
    return Spec(Model, **given, variables=interdash.MaskingConfig("table"), train=train, masked=masked)


@pytest.mark.parametrize("kind", ["dict", "tuple", "dataset"])
def test_outputs_equal_a_loop_in_which_the_others_stay(kind):
    own, tensors = spec(kind), inputs()
    variables = interdash.table_variables(range(N), [*"abcd"], torch.full((N,), 0.5))
    model, labels = Model().eval(), own.train_labels[:6]
    v = masked_outputs(taking_several(model), own.train_inputs[:6], labels, variables).numpy()
    for i in range(6):
        for subset, kept in enumerate(masks(N)):
            row = torch.where(torch.tensor(kept), tensors["row"][i], 0.5)[None]
            with torch.no_grad():
                logits = model(row=row, place=tensors["place"][i : i + 1], weight=tensors["weight"][i : i + 1])
            assert v[i, subset] == pytest.approx(log_odds(logits, labels[i : i + 1]).item(), abs=1e-5)


@pytest.mark.parametrize("kind", ["dict", "tuple", "dataset"])
def test_a_run_of_several_inputs_goes_the_whole_way(kind, tmp_path):
    own = spec(kind)
    with interdash.Recorder("several", own, epochs=1, root=tmp_path, samples_per_split=4, coherence=True) as recorder:
        for epoch in (0, 1):
            recorder.record(epoch, own.network())
    run = recorder.run
    explained = run.explained()
    assert isinstance(explained.inputs, Several) and set(explained.inputs.tensors) == set(own.train_inputs[:1].tensors)
    at = explained.index[explained.index < SAMPLES][:4]
    assert all(
        torch.equal(tensor[:4], own.train_inputs[at].tensors[name]) for name, tensor in explained.inputs.tensors.items()
    )
    recorder.record_baseline(own.network())
    assert extract_and_label(run, workers=0, network=own.network).problems == []
    assert state(run).word == "ready"


def test_baselines_are_trained_on_several_inputs(tmp_path):
    with interdash.Recorder(
        "several", f"{__file__}:spec", epochs=1, root=tmp_path / "runs", samples_per_split=4
    ) as recorder:
        recorder.record(0, spec().network())
    train_baselines(recorder.run, 1)
    assert recorder.run.is_finished("baseline-0")


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="of the train_inputs, 'b' is a list; expected a tensor for each argument"):
        several({"a": torch.zeros(2), "b": [1, 2]}, None, "train_inputs")
    with pytest.raises(ValueError, match="of the train_inputs, there is none; expected a tensor"):
        several({}, None, "train_inputs")
    with pytest.raises(
        ValueError, match=r"no input of the train_inputs is called 'c'; choose one of \['a'\] as masked=…"
    ):
        several({"a": torch.zeros(2)}, "c", "train_inputs")
    with pytest.raises(ValueError, match=r"not of as many samples \(0: 2, 1: 3\); pass one of each for every sample"):
        several((torch.zeros(2), torch.zeros(3)), None, "train_inputs")
    rows = Rows(Items(), "row")
    assert rows.shape == (SAMPLES, N) and rows.mean() == pytest.approx(inputs()["row"].mean(0).double(), abs=1e-6)
