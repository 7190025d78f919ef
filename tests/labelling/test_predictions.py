"""The theory of noise for a run: from the labels of a run, by both tie-breaks."""

import numpy as np
import pandas as pd
import pytest

from interdash.figures.theories import prediction as charts
from interdash.labelling.predictions import label_predictions
from interdash.queries import dynamics, theories
from interdash.runs.plan import plan


def test_predictions_of_a_run(small_store):
    fits = theories.predictions(small_store, "tiny")
    assert fits["epoch"].tolist() == [0, 1, 3] * 2 and fits["tie_break"].tolist() == ["own"] * 3 + ["opposite"] * 3
    assert (fits["sigma2_low"] <= fits["sigma2"] * 1.13).all() and (fits["sigma2_high"] >= fits["sigma2"] / 1.13).all()
    peaks = fits["peaks"].to_numpy().reshape(2, 3)
    assert np.allclose(peaks.sum(1), 1) and (peaks[:, 2] == 0).all()
    last = fits.loc[fits["epoch"] == 3]
    assert (last["sigma2"] < 1e-4).all() and (last["r2"] > 0.99).all()  # the last epoch predicts itself
    assert last["r2_last"].tolist() == [1, 1] and (fits["r2_spindle"] < 1).all()


def test_profiles_sum_to_n_and_are_those_of_dynamics(small_store):
    kinds = ("all", "and", "or")
    profiles = theories.predicted_orders(small_store, "tiny", [0, 3], types=kinds)
    sums = profiles.groupby(["epoch", "type"])[["measured", "predicted"]].sum()
    np.testing.assert_allclose(sums, 4)
    measured = dynamics.order_strength(small_store, "tiny", [0, 3], types=kinds, normalised=True)
    np.testing.assert_allclose(profiles["measured"], measured["strength"], rtol=1e-5)
    assert theories.predicted_orders(small_store, "tiny", [3])["sigma2"].nunique() == 1


def test_predictions_are_made_once_and_not_before_all_is_labelled(ready_run):
    folders = label_predictions(plan(ready_run))
    stamps = [folder.stat().st_mtime_ns for folder in folders]
    assert label_predictions(plan(ready_run)) == folders
    assert [folder.stat().st_mtime_ns for folder in folders] == stamps
    folder = plan(ready_run).folder("target", 1)
    folder.rename(folder.with_name("elsewhere"))
    assert label_predictions(plan(ready_run)) == []


def test_without_outputs_the_opposite_tie_break_is_left_out(ready_run):
    for folder in label_predictions(plan(ready_run)):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    for part in ready_run.parts_dir.glob("target-00001-*"):
        part.unlink()
    made = {folder.name.rpartition("-")[0] for folder in label_predictions(plan(ready_run))}
    assert made == {"predictions", "predicted_orders"}


def test_predictions_in_words_and_pictures(small_store):
    fits = theories.predictions(small_store, "tiny")
    fits = fits.assign(sigma2=[0.1, 0.5, 1e-6, 0.3, 0.2, 1e-6], r2=0.9, r2_last=0.5)
    phases = pd.DataFrame({"boundary": ["1|2", "2|3"], "epoch": [0.0, None]})
    assert charts.finding_text(fits) == (
        "A theory of fading noise explains 90.0% of how strength is spread over simple and complex interactions, no "
        "theory 50%; with ties of the split broken the other way 90% and 50%"
    )
    hangs = fits.assign(r2_last=[0.5] * 3 + [0.8] * 3)
    assert charts.finding_text(hangs).endswith("the other way 90% and 80%: the gain rests on that choice")
    assert charts.details_text(fits, phases).endswith(
        "σ² is 0.5 at epoch 1, where it is largest; 0.1 at 0, the start of phase 2; by the opposite tie-break 0.3 at "
        "most, at epoch 0."
    )
    assert charts.details_text(fits.head(2), phases) == charts.finding_text(fits.head(0)) == ""
    names = [trace.name for trace in charts.predictions(fits).data if trace.name]
    assert names == [
        *(name for name, *_ in charts.TIE_BREAKS.values()),
        *(f"R², {n}" for n, *_ in charts.FITS.values()),
    ]
    profiles = theories.predicted_orders(small_store, "tiny", [0, 3])
    made = charts.predicted_orders(profiles)
    assert [trace.type for trace in made.data] == ["bar", "scatter"] * 2
    assert list(made.data[1].y) == pytest.approx(profiles["predicted"][:4].tolist())
