from pathlib import Path

import numpy as np
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
    gaps = (metrics["test_loss"] - metrics["train_loss"]).tolist()
    assert listing.table(overview([root]))["gap_curve"][0] == pytest.approx(gaps)
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
    assert shown.loc["broken", "shown_state"] == "broken"
    assert (shown.loc["tiny", "seed"], shown.loc["tiny", "epochs"], len(shown.loc["tiny", "date"])) == (0, 3, 10)
    assert len(shown.loc["tiny", "power_curve"]) == 3 and shown.loc["new", "power_curve"] == []
    power = rows.set_index("run").loc["tiny", "peak_generalization_power"]
    assert shown.loc["tiny", "peak_generalization_power"] == pytest.approx(100 * power)
    assert "root" not in shown


def test_runs_that_differ_in_the_seed_alone_are_one_group(rows, labelled_run):
    """Mean and standard deviation as NumPy has them; what differs between groups on the same data names them."""
    config = labelled_run.config.to_json()
    (tiny,) = rows.query("run == 'tiny'").to_dict("records")

    def run(name, seed, gap, boundary, noise=0.1):
        changes = {"name": name, "training": {**config["training"], "seed": seed}}
        data = {**config["data"], "label_noise": noise}
        return tiny | {"run": name, "gap": gap, "boundary_12": boundary, "config": {**config, **changes, "data": data}}

    runs = [run("a", 0, 0.2, 4.0), run("b", 1, 0.6, None), run("c", 2, 0.7, 6.0), run("clean", 0, 0.1, None, noise=0.0)]
    groups = listing.groups(pd.DataFrame([*runs, *rows.query("run == 'broken'").to_dict("records")]))
    assert groups["runs"].tolist() == [["a", "b", "c"], ["clean"]]
    assert groups["setting"].tolist() == ["digits, mlp, label noise 0.1", "digits, mlp, label noise 0.0"]
    assert groups["gap (nats)"].tolist() == [f"0.500 ± {np.std([0.2, 0.6, 0.7], ddof=1):.3f}", "0.100"]
    assert groups["phase 2 from"].tolist() == [f"5.0 ± {np.sqrt(2):.1f} (2 of 3)", "–"]
    assert listing.groups(rows.iloc[:0]).empty


def test_settings_in_words(labelled_run):
    config = labelled_run.config.to_json()
    text = listing.settings_text(config)
    assert text.startswith("mlp on digits: 300 training and 300 testing samples, 10% random labels; sgd, learning rate")
    assert "3 epochs, seed 0; 4 variables of each image, masked to mean, 30 samples explained a split." in text
    table = listing.settings_table(config).set_index("setting")["value"]
    assert table["training.epochs"] == "3" and not {"name", "purpose"} & set(table.index)


def test_a_name_that_is_taken_gets_a_number():
    assert listing.free_name("a", []) == "a"
    assert listing.free_name("a", {"a", "a-2", "a-4"}) == "a-3"
