"""Runs on the axis of phases."""

import numpy as np
import pandas as pd

from interdash.formulas.phase_axis import phase_position
from interdash.queries.compare import aligned, without_phases


def test_phase_position():
    epochs = np.array([0, 5, 10, 25, 40, 70, 100])
    assert phase_position(epochs, 10, 40, 100).tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    assert np.isnan(phase_position(epochs, None, None, 100)).all()
    late = phase_position(epochs, None, 40, 100)
    assert np.isnan(late[:4]).all()
    assert late[4:].tolist() == [2, 2.5, 3]
    found = phase_position(epochs, 10, None, 100)
    assert found[:3].tolist() == [0, 0.5, 1]
    assert np.isnan(found[3:]).all()
    assert phase_position(np.array([0, 20, 40, 50]), 0, 40, 60).tolist() == [1.0, 1.5, 2.0, 2.5]
    assert phase_position(np.array([10]), 10, 10, 20).tolist() == [2.0]


def test_aligned():
    curves = pd.DataFrame({"run": ["a", "a", "b", "b"], "epoch": [0, 10, 0, 20], "value": 1.0})
    rows = [("a", "1|2", 10.0), ("a", "2|3", np.nan), ("b", "1|2", np.nan), ("b", "2|3", np.nan)]
    phases = pd.DataFrame(rows, columns=["run", "boundary", "epoch"])
    found = aligned(curves, phases)
    assert found["position"].tolist()[:2] == [0.0, 1.0]
    assert found["position"].isna().tolist() == [False, False, True, True]
    assert "position" not in curves
    assert without_phases(found) == ["b"]
