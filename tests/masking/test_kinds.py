"""The kinds of input: complete on both sides, and a new one is an entry here and one among the drawings."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from torch import nn

from interdash.config import MaskingConfig
from interdash.figures.inputs import INPUTS, drawable
from interdash.formulas.subsets import masks
from interdash.masking.kinds import KINDS, Kind, check_baseline, kind_of
from interdash.masking.outputs import log_odds, masked_outputs
from interdash.masking.variables import Variables, point_variables, series_variables
from interdash.pipeline import extract_and_label
from interdash.queries import dynamics
from interdash.queries import sample as queries_sample
from interdash.training.recorder import Recorder
from interdash.training.spec import Spec
from tests.conftest import store_of


def test_every_kind_is_drawn_and_unknown_ones_and_baselines_are_named():
    assert set(KINDS) == set(INPUTS)
    with pytest.raises(
        ValueError, match="no kind of input 'sound'; choose one of image, text, table, series, points, or add it"
    ):
        kind_of("sound")
    with pytest.raises(ValueError, match="no kind of input 'sound'"):
        Variables("sound", ("a",), torch.zeros(1, dtype=torch.int16), torch.zeros(()))
    with pytest.raises(ValueError, match="baseline is 'user' for inputs of kind 'image'; use 'mean' or 'zero'"):
        check_baseline(MaskingConfig("image", baseline="user"))
    assert set(KINDS) == set(INPUTS)


def test_a_new_kind_is_two_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def thirds(config: MaskingConfig, spec: Spec, make: Any) -> Variables:
        owners = torch.arange(spec.train_inputs.shape[-1]) * config.n_variables // spec.train_inputs.shape[-1]
        return make.Variables("signal", tuple("abc"), owners.to(torch.int16), torch.zeros(()))

    def input_signal(sample, chosen=()):
        return go.Figure(go.Scatter(y=sample["assignment"].iloc[0], name=sample["display"].iloc[0]))

    signal = Kind(rank=1, baselines=("zero",), variables=thirds, display=lambda inputs, variables: inputs.tolist())
    monkeypatch.setitem(KINDS, "signal", signal)
    monkeypatch.setitem(INPUTS, "signal", input_signal)

    waves = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(12) % 2
    masking = MaskingConfig("signal", n_variables=3, baseline="zero")
    spec = Spec(lambda: nn.Linear(6, 2), waves[:6], labels[:6], waves[6:], labels[6:], masking)
    with Recorder("waves", spec, epochs=1, root=tmp_path) as recorder:
        recorder.record(0, spec.network())
        recorder.record(1, spec.network())
        recorder.record_baseline(spec.network())
    assert extract_and_label(recorder.run, workers=0, network=spec.network).problems == []
    with store_of(recorder.run) as store:
        sample = queries_sample.sample(store, "waves", 0)
        trace: Any = INPUTS["signal"](sample).data[0]
        assert list(trace.y) == [0, 0, 1, 1, 2, 2] and sample["names"].iloc[0].tolist() == ["a", "b", "c"]
        assert not dynamics.strength(store, "waves").empty


def clouds(samples: int = 8) -> torch.Tensor:
    return torch.randn(samples, 40, 3, generator=torch.Generator().manual_seed(0))


class Farthest(nn.Module):
    """A network of points, whatever their order."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis, self.layer, self.head = axis, nn.Linear(3, 16), nn.Linear(16, 2)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(points.movedim(self.axis, -1)).relu().amax(1))


@pytest.mark.parametrize("axis", [-1, -2])
def test_masked_clusters_lie_at_their_centre(axis: int):
    """v of every mask equals a loop that moves the points itself, for axes last and first."""
    points = clouds()
    inputs = points if axis == -1 else points.transpose(1, 2).contiguous()
    variables = point_variables(inputs, n_variables=4, clusters=6)
    network, labels = Farthest(axis).double().eval(), torch.arange(8) % 2
    v = masked_outputs(network, inputs.double(), labels, replace(variables, baseline=variables.baseline.double()))
    owners = variables.assignment if axis == -1 else variables.assignment.transpose(1, 2)
    assert int((owners == -1).any(-1).sum()) > 0  # two clusters are never masked
    for sample, cloud in enumerate(points.double()):
        for subset, kept in enumerate(masks(4)):
            moved = cloud.clone()
            for variable in np.flatnonzero(~kept):
                inside = owners[sample, :, 0] == variable
                moved[inside] = cloud[inside].mean(0)
            logits = network((moved if axis == -1 else moved.T)[None])
            assert v[sample, subset].item() == pytest.approx(
                log_odds(logits, labels[sample : sample + 1]).item(), abs=1e-5
            )


def test_segments_of_a_series():
    variables = series_variables(10, n_variables=4)
    assert variables.assignment.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    assert variables.names == ("0–2", "3–4", "5–7", "8–9")
    with pytest.raises(ValueError, match="a series of 3 steps cannot be cut into 4 segments; use fewer variables"):
        series_variables(3, n_variables=4)
    with pytest.raises(ValueError, match="cloud 0 has 2 different points, to make 30 clusters of; n_variables is 4"):
        point_variables(torch.tensor([[[0.0, 1, 2], [1, 2, 3]] * 3]), n_variables=4)
    with pytest.raises(ValueError, match="baseline of each sample has shape"):
        Variables("points", ("a",), torch.zeros(5, 3, dtype=torch.int16), torch.zeros(2, 5, 3), baseline_of_each=True)


SPECS: dict[str, Callable[[], Spec]] = {
    "series": lambda: Spec(
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 18, 2)),
        torch.randn(8, 2, 20), torch.arange(8) % 2, torch.randn(8, 2, 20), torch.arange(8) % 2,
        MaskingConfig("series", n_variables=4),
    ),
    "points": lambda: Spec(
        Farthest, clouds(), torch.arange(8) % 2, clouds(16)[8:], torch.arange(8) % 2,
        lambda inputs: point_variables(inputs, n_variables=4, clusters=6),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPECS)
def test_series_and_points_go_all_the_way(kind: str, tmp_path: Path, visit: Any):
    spec = SPECS[kind]()
    with Recorder(kind, spec, epochs=1, root=tmp_path, samples_per_split=3) as recorder:
        recorder.record(0, spec.network())
        recorder.record(1, spec.network())
        recorder.record_baseline(spec.network())
    assert extract_and_label(recorder.run, workers=0, network=spec.network).problems == []
    assert recorder.run.explained().variables.baseline_of_each == (kind == "points")
    with store_of(recorder.run) as store:
        sample = queries_sample.sample(store, kind, 0)
    figure: Any = INPUTS[kind](drawable(sample), [2])
    assert [note.text for note in figure.layout.annotations[:4]] == [f"<b>{i}</b>" for i in range(4)]
    assert sample["image"].iloc[0][:4] == b"\x89PNG"  # its thumbnail
    visit("sample", tmp_path, run=kind)
