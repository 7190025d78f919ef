"""The kinds of input: complete on both sides, and a new one is an entry here and one among the drawings."""

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
import torch
from torch import nn

from interdash.config import MaskingConfig
from interdash.figures.inputs import INPUTS
from interdash.masking.kinds import KINDS, Kind, check_baseline, kind_of
from interdash.masking.variables import Variables
from interdash.pipeline import extract_and_label
from interdash.queries import dynamics
from interdash.queries import sample as queries_sample
from interdash.training.recorder import Recorder
from interdash.training.spec import Spec
from tests.conftest import store_of


def test_every_kind_is_drawn():
    assert set(KINDS) == set(INPUTS)


def test_unknown_kinds_and_baselines_are_named():
    with pytest.raises(ValueError, match="no kind of input 'sound'; choose one of image, text, table, or add it"):
        kind_of("sound")
    with pytest.raises(ValueError, match="no kind of input 'sound'"):
        Variables("sound", ("a",), torch.zeros(1, dtype=torch.int16), torch.zeros(()))
    with pytest.raises(ValueError, match="baseline is 'user' for inputs of kind 'image'; use 'mean' or 'zero'"):
        check_baseline(MaskingConfig("image", baseline="user"))


def test_a_new_kind_is_two_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def thirds(config: MaskingConfig, spec: Spec) -> Variables:
        owners = torch.arange(spec.train_inputs.shape[-1]) * config.n_variables // spec.train_inputs.shape[-1]
        return Variables("signal", tuple("abc"), owners.to(torch.int16), torch.zeros(()))

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
