from pathlib import Path

import pandas as pd
import pytest

from interdash.dashboard import listing
from interdash.runs.run import Run
from interdash.runs.state import overview


@pytest.fixture
def rows(ready_run):
    root = ready_run.path.parent
    ready_run.update(tags=["paper"], notes="Compare with the other one")
    partial = Run.create(
        root, ready_run.config.__class__.from_json({**ready_run.config.to_json(), "name": "new"}), "ab"
    )
    assert partial.name == "new"
    (root / "broken").mkdir()
    (root / "broken" / "run.json").write_text("{")
    return overview([root])


def test_a_run_without_summary_shows_its_losses(fresh_run):
    root, metrics = fresh_run.path.parent, fresh_run.metrics().query("network == 'target'")
    (row,) = overview([root]).to_dict("records")
    assert row["state"] == "partial" and row["peak_generalization_power"] is None
    assert row["gap"] == pytest.approx(metrics["test_loss"].iloc[-1] - metrics["train_loss"].iloc[-1])
    assert listing.table(overview([root]))["loss_curve"][0] == metrics["test_loss"].tolist()
    (fresh_run.path / "metrics.jsonl").write_text("damaged\n")
    (row,) = overview([root]).to_dict("records")
    assert row["problem"] is None and row["gap"] is None


def test_a_list_of_runs_reads_each_once(rows, ready_run, monkeypatch):
    read = []
    manifest = Run.manifest.fget
    monkeypatch.setattr(Run, "manifest", property(lambda run: read.append(run.name) or manifest(run)))
    overview([ready_run.path.parent])
    assert read.count("tiny") == 1 and read.count("broken") == 1


def test_rows_are_opened_matched_and_shown(rows):
    two = pd.concat([rows.assign(root="/elsewhere"), rows], ignore_index=True)
    folder = Path(rows["root"].iloc[0])
    assert listing.opened(two, "tiny", {"tiny": folder / "tiny"})["root"] == str(folder)
    assert listing.opened(two, "tiny", {"tiny": Path("/elsewhere/tiny")})["root"] == "/elsewhere"
    assert listing.opened(two, "broken", {})["root"] == "/elsewhere"
    assert sorted(rows["run"]) == ["broken", "new", "tiny"]
    assert listing.matching(rows, text="PAPER other")["run"].tolist() == ["tiny"]
    assert listing.matching(rows, text="damaged")["run"].tolist() == ["broken"]
    assert listing.matching(rows, states=["broken"])["run"].tolist() == ["broken"]
    assert listing.matching(rows, states=["recording"], datasets=["digits"])["run"].tolist() == ["new"]
    assert listing.matching(rows, sort="name")["run"].tolist() == ["broken", "new", "tiny"]
    assert listing.matching(rows, sort="highest H")["run"].tolist()[0] == "tiny"
    assert listing.matching(rows.iloc[:0]).empty
    with pytest.raises(ValueError, match="runs cannot be sorted by 'size'; choose one of newest"):
        listing.matching(rows, sort="size")
    shown = listing.table(rows).set_index("run")
    assert shown.loc["tiny", "shown_state"] == "ready"
    assert "damaged" in shown.loc["broken", "shown_state"]
    assert len(shown.loc["tiny", "power_curve"]) == 3 and shown.loc["new", "power_curve"] == []
    power = rows.set_index("run").loc["tiny", "peak_generalization_power"]
    assert shown.loc["tiny", "peak_generalization_power"] == pytest.approx(100 * power)
    assert "root" not in shown
