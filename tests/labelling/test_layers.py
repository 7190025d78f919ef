"""Layers of a run: exact with the network's own head, near chance with shuffled labels; measured on demand, resumed."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from torch import nn

from interdash.commands.main import commands
from interdash.figures.theories import layers as charts
from interdash.labelling import layers, on_demand
from interdash.queries import dynamics
from interdash.queries import theories as queries
from interdash.store.loading import refresh
from tests.conftest import store_of


def shown(run, layer_tables):
    """Returns what the page would show of some tables."""
    on_demand.write(run, layer_tables, {"3": "of a test"})
    with store_of(run) as store:
        return queries.layers(store, "tiny")


def test_the_networks_own_head_is_complete_and_not_redundant(ready_run):
    work = layers.Work(ready_run, epochs=(3,))
    model = work.network(3)
    name = work.names[-1]
    head = nn.Sequential(*list(model)[[*dict(model.named_children())].index(name) + 1 :])
    rows = shown(ready_run, layers.measure_epoch(work, 3, [(name, False, head)])).set_index("layer")
    assert rows.loc[0, "completeness"] == rows.loc[0, "completeness_low"] == 1
    assert rows.loc[0, "redundancy"] == rows.loc[0, "redundancy_high"] == 0
    assert rows.loc[0, "scale"] == rows.loc[1, "scale"] and rows.loc[0, "name"] == name


def test_h_of_the_network_is_that_of_dynamics(small_store):
    """And layers of shuffled labels share with it what chance does."""
    rows = queries.layers(small_store, "tiny")
    whole = rows[rows["name"] == "network"].set_index("epoch")
    power = dynamics.epochs(small_store, "tiny").set_index("epoch").loc[whole.index]
    np.testing.assert_allclose(whole["power"], power["generalization_power"], rtol=1e-5)
    np.testing.assert_allclose(whole["chance"], power["chance"], rtol=1e-5)
    assert (whole["completeness"] == 1).all() and (whole["redundancy"] == 0).all()
    hidden = rows[rows["name"] != "network"]
    last = hidden[hidden["epoch"] == 3]
    assert (last["completeness"] > last["control_completeness"]).all() and (last["accuracy"] > 0.5).all()
    assert (hidden["control_accuracy"] < 0.4).all() and (hidden["samples"] == 270).all()
    control = small_store.ask(
        "SELECT layer, sum(overlap) / sum(overlap + new) AS share, sum(overlap_by_chance) / sum(overlap + new) AS "
        "by_chance FROM layer_orders WHERE control AND epoch = 3 GROUP BY layer"
    )
    assert (control["share"] - control["by_chance"]).abs().max() < 0.12
    orders = queries.layer_orders(small_store, "tiny", 7)
    assert set(orders["epoch"]) == {3} and set(orders["size"]) == {1, 2, 3, 4}
    assert queries.layer_orders(small_store, "tiny", 3, types=("and",))["overlap"].sum() < orders["overlap"].sum()


def test_measured_on_demand_and_resumed(ready_run, monkeypatch):
    def said(*arguments, code=0):
        command = ["measure", "tiny", "--root", str(ready_run.path.parent), *arguments]
        result = CliRunner().invoke(commands, command, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    some = ("--layers", "2", "--epochs", "3,0")
    cost = json.loads(said(*some, "--estimate", "--json").stdout)["layers"]
    assert (
        cost["epochs"] == 2
        and cost["layers"] == ["2"]
        and cost["forward_passes"] == 2 * 60 * 16
        and cost["seconds"] > 0
    )
    real, calls = layers.measure_epoch, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    work = layers.Work(ready_run, ("2",), (0, 3))
    monkeypatch.setattr(layers, "measure_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        layers.measure_layers(work)
    assert work.left() == [3]
    monkeypatch.setattr(layers, "measure_epoch", real)
    assert json.loads(said(*some, "--json").stdout) == {"layers": 1}
    assert "layers: nothing, the layers are measured at these epochs" in said(*some).stderr
    with store_of(ready_run) as store:
        assert queries.layers(store, "tiny")["epoch"].tolist() == [0, 0, 3, 3]
        (ready_run.path / "checkpoints" / "target" / "0.safetensors").unlink()
        layers.measure_layers(layers.Work(ready_run, ("2",), (1,)))
        refresh(store, ready_run)
        assert set(queries.layers(store, "tiny")["epoch"]) == {1, 3}  # epoch 0 is no more
    assert "'x' names no epochs; write numbers with commas" in said("--epochs", "x", code=2).output
    with pytest.raises(ValueError, match="epoch 7 of tiny has no checkpoint; choose of 1, 3"):
        said("--layers", "2", "--epochs", "7")
    with pytest.raises(ValueError, match="layer '9' is not there; choose of 0, 1, 2"):
        said("--layers", "9")


def test_without_vectors_of_the_baselines(fresh_run):
    with pytest.raises(
        ValueError, match=r"baseline networks of tiny have no vectors; make them with `interdash extract"
    ):
        layers.estimate(layers.Work(fresh_run))


def test_layers_in_words(small_store):
    rows = queries.layers(small_store, "tiny")
    text = charts.layers_text(rows)
    assert text.startswith("At epoch 3: ") and "Redundancy is highest in module " in text
    assert charts.layers_text(rows.head(0)) == ""
    assert "In no layer is half" in charts.layers_text(rows.assign(completeness=0.1))
