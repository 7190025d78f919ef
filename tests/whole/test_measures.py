"""Measures: registries of the network and of interactions, the user's own, one long table, one query, one figure."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from interdash.figures.measures import measures as drawn
from interdash.labelling import label
from interdash.labelling import measures as interaction_measures
from interdash.labelling.measures import by_sample, measure_table
from interdash.masking.variables import table_variables
from interdash.queries import dynamics
from interdash.runs.plan import plan
from interdash.runs.tables import read_table
from interdash.store.database import open_sealed
from interdash.store.loading import lacking, refresh, seal
from interdash.training import measures as network_measures
from interdash.training.measures import Measure, measures_of
from interdash.training.recorder import Recorder
from interdash.training.spec import Spec
from interdash.upkeep import verify
from tests.conftest import store_of

EFFECTS = np.array([[[0.0, 3.0, -1.0, 0.1], [0.0, 0, 2, 0]], [[0.0, 0.1, 0, 0], [0, 0, 0, 0.2]]])
SALIENT = np.abs(EFFECTS) >= 1


def test_measures_of_interactions_by_hand():
    values = by_sample(EFFECTS, SALIENT, None, np.array([1.0, 1.0]))
    assert values["salient_interactions"].tolist() == [3, 0]
    assert values["net_share"][0] == 4 / 6 and np.isnan(values["net_share"][1])
    rows = measure_table([values, values]).to_pandas().set_index("measure")
    assert rows.loc["salient_interactions", "value"] == 1.5 and rows.loc["net_share", "value"] == 4 / 6
    assert rows.loc["salient_interactions", "low"] == 0 and rows.loc["salient_interactions", "high"] == 3
    assert rows.loc["net_share", ["low", "high"]].tolist() == pytest.approx([4 / 6] * 2)
    assert set(rows["source"]) == {"interactions"} and rows["unit"].tolist() == ["interactions a sample", "share"]
    alone = measure_table([{name: value[:1] for name, value in values.items()}]).to_pandas()
    assert alone["value"].tolist() == [3, 4 / 6] and alone[["low", "high"]].isna().all(axis=None)
    nothing = measure_table([{name: np.array([np.nan]) for name in values}])
    assert nothing.num_rows == 0 and nothing.schema.equals(interaction_measures.SCHEMA)
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        values = np.where(rng.random(40) < 0.2, np.nan, rng.gamma(2.0, 0.5, 40))
        row = measure_table([{"salient_interactions": values, "net_share": values}]).to_pylist()[0]
        hits += row["low"] <= 1.0 <= row["high"]
    assert abs(hits / 200 - 0.95) <= 0.05


def test_measures_of_a_network(monkeypatch):
    network = nn.Linear(2, 1)
    nn.init.constant_(network.weight, 2.0)
    nn.init.constant_(network.bias, 1.0)
    toy = {"toy": Measure(lambda network, inputs, labels: (inputs.sum().item(), 0.0, 9.0), "inputs", "")}
    monkeypatch.setattr(network_measures, "MEASURES", network_measures.MEASURES | toy)
    rows = measures_of(network, torch.ones(3, 2), torch.zeros(3))
    assert rows == {"weight_norm": (3.0, None, None, ""), "toy": (6.0, 0.0, 9.0, "inputs")} and not network.training


def test_a_built_in_run_has_them_from_training_to_the_query(labelled_run, small_store):
    """The network's at epochs with a checkpoint, those of its interactions at labelled ones."""
    rows = dynamics.measures(small_store, "tiny")
    epochs = rows.groupby("measure")["epoch"].agg(list).to_dict()
    assert epochs == {name: [0, 1, 3] for name in ("net_share", "salient_interactions", "weight_norm")}
    weights = labelled_run.load_checkpoint("target", 3)
    expected = sum(weight.double().square().sum() for weight in weights.values()).sqrt().item()
    norm = dynamics.measures(small_store, "tiny", ["weight_norm"])
    assert norm["value"].iloc[-1] == pytest.approx(expected, rel=1e-6) and norm["low"].isna().all()
    mean = small_store.fetch(
        "SELECT salient FROM strengths WHERE network = 'target' AND split = 'all' AND label = -1 AND type = 'all' "
        "ORDER BY epoch"
    )
    counted = rows[rows["measure"] == "salient_interactions"]
    assert counted["value"].tolist() == pytest.approx([value for (value,) in mean])
    assert (counted["low"] < counted["value"]).all() and (counted["value"] < counted["high"]).all()
    assert set(dynamics.measures(small_store, "tiny", network="baseline-0")["source"]) == {"interactions"}


def test_a_toy_measure_of_interactions_needs_one_entry_and_a_lost_file_is_told(ready_run, monkeypatch):
    toy = {"strongest": Measure(lambda effects, salient, g, tau: np.abs(effects).max((1, 2)), "nats", "")}
    monkeypatch.setattr(interaction_measures, "MEASURES", interaction_measures.MEASURES | toy)
    shutil.rmtree(next(ready_run.labels_dir.glob("target-00003-*")))
    label.label_epoch(plan(ready_run), "target", 3)
    with store_of(ready_run, lazy=True) as store:
        row = dynamics.measures(store, "tiny", ["strongest"]).iloc[0]
    assert (row["epoch"], row["unit"], row["source"]) == (3, "nats", "interactions") and row["low"] < row["value"]
    (next(ready_run.labels_dir.glob("target-00003-*")) / "measures.parquet").unlink()
    with store_of(ready_run) as store:
        assert "lack measures.parquet" in store.problems["tiny"][0]
        assert dynamics.labelled_epochs(store, "tiny") == [0, 1]


def recorded(root, measures, name="mine"):
    inputs, labels = torch.arange(40.0).reshape(20, 2), torch.arange(20) % 2
    variables = table_variables([0, 1], ["a", "b"], inputs.mean(0))
    spec = Spec(lambda: nn.Linear(2, 2), inputs, labels, inputs, labels, variables)
    with Recorder(name, spec, epochs=2, checkpoints=(0, 2), root=root, samples_per_split=5) as recorder:
        for epoch in range(3):
            recorder.record(epoch, spec.network(), 1.0, 1.0, measures=measures(epoch))
    return recorder.run


def test_the_users_own_come_through_to_the_table(tmp_path):
    run = recorded(
        tmp_path, lambda epoch: {"sharpness": torch.tensor(epoch / 2), "margin": (epoch, epoch - 1, epoch + 1, "nats")}
    )
    assert run.metrics()["train_loss"].tolist() == [1.0] * 3
    with store_of(run, lazy=True) as store:
        rows = dynamics.measures(store, "mine")
        for value in (float("nan"), None):  # the last line for an epoch counts
            run.record_metrics("target", 2, measures={"sharpness": value}, train_loss=2.0)
            refresh(store, run)
            assert dynamics.measures(store, "mine", ["sharpness"])["epoch"].tolist() == [0, 1]
    by_name = {name: each.reset_index(drop=True) for name, each in rows.groupby("measure")}
    assert by_name["sharpness"][["epoch", "value"]].values.tolist() == [[0, 0], [1, 0.5], [2, 1]]
    assert by_name["margin"].loc[2, ["value", "low", "high", "unit"]].tolist() == [2, 1, 3, "nats"]
    assert by_name["weight_norm"]["epoch"].tolist() == [0, 2] and set(rows["source"]) == {"network"}


@pytest.mark.parametrize("value", ["high", (1.0, 2.0), (1.0, 0.5, 2.0, 3.0), (1, 2, 3, "nats", 4), [[1], 2, 3]])
def test_a_measure_that_is_no_number_is_refused(tmp_path, value):
    with pytest.raises(ValueError, match=r"measure 'mine' is .*; pass a number, or \(value, low, high\), or \(value, "):
        recorded(tmp_path, lambda epoch: {"mine": value})


def test_labels_of_the_version_before_open_and_have_no_measures(ready_run, small_store):
    for folder in ready_run.labels_dir.glob("*-0*"):
        if (folder / "measures.parquet").exists():
            tables = {path.stem: read_table(path) for path in folder.glob("*.parquet") if path.stem != "measures"}
            network, epoch = folder.name.rsplit("-", 2)[:2]
            shutil.rmtree(folder)
            label.write_folder(folder, tables, {"network": network, "epoch": int(epoch)})
            assert lacking(folder) == {"measures"}
    lines = [json.loads(line) for line in (ready_run.path / "metrics.jsonl").read_text().splitlines()]
    old = [{key: value for key, value in line.items() if key not in ("measures", "checksum")} for line in lines]
    (ready_run.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    with store_of(ready_run) as store:
        assert store.problems["tiny"] == [] and dynamics.measures(store, "tiny").empty
        pd.testing.assert_frame_equal(dynamics.strength(store, "tiny"), dynamics.strength(small_store, "tiny"))
    assert not verify.verify(ready_run).damaged


def test_a_sealed_file_has_each_measure_once(opened, ready_run, small_store):
    path = seal(ready_run, ready_run.path / "tiny.duckdb")
    lazy, sealed = opened(ready_run), open_sealed(path)
    assert "tiny" in lazy.sealed
    expected = dynamics.measures(small_store, "tiny")
    for store in (lazy, sealed):
        pd.testing.assert_frame_equal(dynamics.measures(store, "tiny"), expected)
    folder = next(ready_run.labels_dir.glob("target-00003-*"))
    folder.rename(folder.with_name("target-00003-0000000000000000"))
    units = list(ready_run.labels_dir.glob("[a-z]*-*"))
    assert refresh(lazy, ready_run) == len(units) > 0 and lazy.sealed == {}
    pd.testing.assert_frame_equal(dynamics.measures(lazy, "tiny"), expected)
    sealed.close()


def test_figure(small_store):
    rows = dynamics.measures(small_store, "tiny")
    before = rows.copy()
    figure = drawn(rows)
    pd.testing.assert_frame_equal(rows, before)
    titles = [axis.title.text for axis in figure.select_yaxes()]
    assert titles == ["weight norm", "net share (share)", "salient interactions (interactions a sample)"]
    assert [trace.name for trace in figure.data if trace.name] == ["weight norm", "net share", "salient interactions"]
    ribbons = [trace.yaxis for trace in figure.data if trace.fill == "toself"]
    assert ribbons == ["y2", "y3"]  # none without an interval
    assert [axis.title.text or "" for axis in figure.select_xaxes()] == ["", "", "epoch (log scale of epoch + 1)"]
    assert figure.data[0].x == (1, 2, 4) and drawn(rows, log=False).data[0].x == (0, 1, 3)
    ends = {"low": np.nan, "high": np.nan, "source": "network"}
    rows = [
        {"epoch": epoch, "measure": name, "value": 1.0, "unit": unit, **ends}
        for name, unit in (("a<b>", "nats"), ("c", "nats"), ("d", None), ("e", ""))
        for epoch in (0, 1)
    ]
    figure = drawn(pd.DataFrame(rows))
    assert [axis.title.text for axis in figure.select_yaxes()] == ["nats", "d", "e"]
    assert figure.data[0].name == "a&lt;b&gt;" and figure.data[0].line.dash != figure.data[1].line.dash
    nothing = drawn(pd.DataFrame(rows).iloc[:0])
    assert not nothing.data and nothing.layout.annotations[0].text.startswith("No measure is recorded")
