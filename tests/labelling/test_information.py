"""What the answers of a run say of the class: the same answers as masked inference, measured on demand."""

import json

import pytest
import torch
from click.testing import CliRunner

from interdash.commands.main import commands
from interdash.figures.theories import information as charts
from interdash.labelling import information
from interdash.masking.outputs import masked_logits, masked_outputs
from interdash.queries import theories as queries


def test_answers_are_those_of_masked_inference(labelled_run):
    few, network = labelled_run.explained(), information.network_builder(labelled_run)()
    network.load_state_dict(labelled_run.load_checkpoint("target", 3))
    logits = masked_logits(network, few.inputs, few.variables, [0, 5, 15], rows=7)
    v = masked_outputs(network, few.inputs, few.labels, few.variables)[:, [0, 5, 15]]
    own = torch.gather(logits, 2, few.labels.expand(3, -1)[..., None])[..., 0]
    others = logits.scatter(2, few.labels.expand(3, -1)[..., None], -torch.inf).logsumexp(2)
    torch.testing.assert_close((own - others).T.double(), v, atol=1e-4, rtol=0)


def test_information_of_a_run(small_store):
    rows = queries.information(small_store, "tiny")
    assert rows["epoch"].tolist() == [0, 1, 3] * 2 and set(rows["samples"]) == {300}
    assert (rows["synergy_low"] < rows["synergy_high"]).all() and (rows["floor"].abs() < 0.2).all()
    assert (rows["synergy"] - (rows["joint"] - rows["single"] - rows["rest"])).abs().max() < 1e-12
    trained = rows[rows["epoch"] == 3]
    assert (trained["joint"] > 0.4).all() and (rows["generalization_power"] > 0).all()
    layers = queries.layer_information(small_store, "tiny")
    assert (layers["low"] <= layers["information"]).all() and (layers["information"] <= layers["entropy"]).all()
    hidden = layers[layers["name"] != "network"]
    assert (hidden["information"] > hidden["control"]).all()
    text = charts.information_text(rows, queries.synergy_and_power(small_store, "tiny"))
    assert text.startswith("Experimental. Of testing samples synergy is highest at epoch ")
    assert charts.information_text(rows.head(0), rows.head(0)) == ""


def test_measured_on_demand(ready_run):
    def said(*arguments, code=0):
        command = ["measure", "tiny", "--root", str(ready_run.path.parent), *arguments]
        result = CliRunner().invoke(commands, command, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    every = said().stderr  # all is measured: nothing is named, nothing is missing
    for name in ("coherence: nothing, all epochs", "layers: nothing, the layers", "information: nothing, all epochs"):
        assert name in every
    for folder in ready_run.labels_dir.glob("information-*"):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    cost = json.loads(said("--information", "--estimate", "--json").stdout)["information"]
    assert cost["epochs"] == 3 and cost["samples"] == 600 and cost["forward_passes"] == 3 * 600 * 9
    assert json.loads(said("--information", "--epochs", "1", "--json").stdout) == {"information": 1}
    assert information.Work(ready_run).left() == [0, 3]
    with pytest.raises(ValueError, match=r"epoch 2 of tiny has no checkpoint; choose of \[0, 1, 3\]"):
        information.Work(ready_run, (2,)).left()
