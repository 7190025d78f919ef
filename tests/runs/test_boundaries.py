import numpy as np
import pandas as pd
import pytest

from interdash.labelling.boundaries import find_boundaries
from interdash.runs.boundaries import BOUNDARIES, boundaries, move_boundary


def strengths(generalizable, non_generalizable, samples=20):
    rng = np.random.default_rng(0)
    epochs = np.arange(len(generalizable))
    size = rng.uniform(0.8, 1.2, (samples, len(epochs)))
    frames = [
        pd.DataFrame(
            {
                "epoch": epochs,
                "sample": sample,
                "generalizable": generalizable * size[sample],
                "non_generalizable": non_generalizable * size[sample],
            }
        )
        for sample in range(samples)
    ]
    return pd.concat(frames)


def test_planted_boundaries_are_found_and_told():
    epochs = np.arange(40.0)
    generalizable = np.interp(epochs, [0, 10, 25, 39], [0.2, 4, 8, 8])
    non_generalizable = np.interp(epochs, [0, 10, 25, 39], [3, 1, 3, 12])
    found = find_boundaries(strengths(generalizable, non_generalizable))
    assert [row["boundary"] for row in found] == list(BOUNDARIES)
    rows = boundaries({"summary": {"phases": found}})
    assert rows[0]["epoch"] == pytest.approx(10, abs=1) and rows[1]["epoch"] == pytest.approx(25, abs=1)
    assert rows[0]["low"] <= rows[0]["epoch"] <= rows[0]["high"]
    assert "95% interval" in rows[0]["reason"]


def test_without_phases_the_reason_says_so():
    flat = np.full(20, 2.0)
    rows = boundaries({"summary": {"phases": find_boundaries(strengths(flat, flat))}})
    assert [row["epoch"] for row in rows] == [None, None]
    assert rows[0]["reason"].startswith("no second phase found")
    assert rows[0]["reason"].endswith("our smoothing finds no clear peak of the generalization power H")
    assert rows[1]["reason"].startswith("no third phase found")
    told = boundaries({"summary": {"phases": find_boundaries(strengths(flat, flat)), "peak_epoch": 3}})
    assert told[0]["reason"].endswith("; measured H peaks at epoch 3") and told[1]["reason"] == rows[1]["reason"]


def test_a_third_phase_without_a_second_says_that_the_first_two_are_not_told_apart():
    stored = [{"boundary": "1|2", "found": None}, {"boundary": "2|3", "found": 9.0, "low": 8.0, "high": 11.0}]
    rows = boundaries({"summary": {"phases": stored}})
    assert rows[0]["reason"].startswith("phases 1 and 2 are not told apart: between the peak of H and phase 3")
    assert rows[0]["reason"].endswith("does not clearly fall by 1 % of the largest strength")
    assert rows[1]["reason"] == "epoch 9, 95% interval 8–11"


def test_a_moved_boundary_is_stored_marked_and_taken_back(ready_run):
    before = boundaries(ready_run.manifest)
    move_boundary(ready_run, "1|2", 2)
    row = boundaries(ready_run.manifest)[0]
    assert (row["epoch"], row["moved_by_user"]) == (2, True)
    assert row["reason"].startswith("set by hand") and row["found"] == before[0]["found"]
    move_boundary(ready_run, "1|2", None, reset=True)
    assert boundaries(ready_run.manifest) == before


@pytest.mark.parametrize(
    ("boundary", "epoch", "message"),
    [("3|4", 1, "no boundary '3|4'; choose one of 1|2, 2|3"), ("1|2", -1, "cannot be at epoch -1")],
)
def test_bad_boundaries_are_refused(ready_run, boundary, epoch, message):
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        move_boundary(ready_run, boundary, epoch)
