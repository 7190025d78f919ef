import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from interdash.config import GeneralizationConfig
from interdash.figures import flows as charts
from interdash.formulas.flows import ON_G, QUANTITIES, Labelled, flows, only_salient, summary
from interdash.labelling.label import label, label_flows
from interdash.queries import dynamics
from interdash.runs.parts import part_path, read_part
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.tables import read_table
from tests.conftest import store_of


def labels(run, epoch, bit=None):
    """The vectors of the target at an epoch, and the labels of its salient interactions: `[60, 2, 16]`.

    `bit`: those by one of several baselines, but for chance, which is their mean.
    """
    planned = plan(run)
    parts = [read_part(run, unit, ("i_and", "i_or")) for unit in planned.pairs["target", epoch]]
    effects = np.concatenate([np.stack([part["i_and"], part["i_or"]], 1) for part in parts])
    salient, general, chance = (np.zeros(effects.shape, kind) for kind in (bool, bool, float))
    table = read_table(planned.folder("target", epoch) / "interactions.parquet").to_pandas()
    for row in table.to_dict("records"):
        where = row["sample"], int(row["type"] == "or"), row["subset"]
        salient[where], chance[where] = True, row["chance"]
        general[where] = row["generalizes"] if bit is None else row["transfers"] >> bit & 1
    return Labelled(effects, salient, general, chance)


def rows(run, table="flows"):
    label_flows(plan(run))
    (folder,) = run.labels_dir.glob(f"{table}-*")
    return read_table(folder / f"{table}.parquet").to_pandas()


def of_pair(table, before, after):
    """The flows `[60, 2, 6]` between two epochs, in a table."""
    picked = table[(table["epoch_from"] == before) & (table["epoch_to"] == after)]
    assert picked["sample"].tolist() == np.repeat(np.arange(60), 2).tolist()
    assert picked["type"].tolist() == ["and", "or"] * 60
    return picked[[*QUANTITIES]].to_numpy().reshape(60, 2, 6)


def test_flows_are_those_of_the_vectors_between_consecutive_epochs(labelled_run):
    table = rows(labelled_run)
    assert set(zip(table["epoch_from"], table["epoch_to"], strict=True)) == {(0, 1), (1, 3)}
    for before, after in ((0, 1), (1, 3)):
        by_order = flows(labels(labelled_run, before), labels(labelled_run, after))
        assert of_pair(table, before, after) == pytest.approx(by_order.sum(2), rel=1e-5, abs=1e-6)
        size = table.loc[table["epoch_to"] == after, "removed_size"].to_numpy().reshape(60, 2)
        assert size == pytest.approx(by_order[..., 3] @ [1, 2, 3, 4], rel=1e-5, abs=1e-6)


def test_flows_of_three_baselines_are_their_mean(run_of_three):
    table, alone = rows(run_of_three), rows(run_of_three, "baseline_flows")
    names = ["baseline-0", "baseline-1", "baseline-2"]
    assert sorted(set(alone["baseline"])) == names and len(alone) == 3 * len(table)
    at = ["epoch_from", "epoch_to", "sample", "type"]
    mean = alone.groupby(at)[[*ON_G]].mean().reset_index()
    both = table[at].merge(mean, on=at)
    assert np.allclose(both[[*ON_G]], table[[*ON_G]], rtol=1e-5, atol=1e-6)
    for bit, name in enumerate(names):
        sums = flows(labels(run_of_three, 1, bit), labels(run_of_three, 3, bit)).sum(2)
        own = alone[(alone["baseline"] == name) & (alone["epoch_to"] == 3)]
        for column in ("learned_generalizable", "removed_generalizable"):
            expected = sums[..., QUANTITIES.index(column)].ravel()
            assert own[column].to_numpy() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    by_chance = flows(labels(run_of_three, 1), labels(run_of_three, 3)).sum(2)[..., 2]
    assert table.loc[table["epoch_to"] == 3, "learned_by_chance"].to_numpy() == pytest.approx(
        by_chance.ravel(), rel=1e-5, abs=1e-6
    )


def test_a_run_labelled_with_one_baseline_of_three_has_its_flows(run_of_three, tmp_path):
    """It gives the rows that it has among three; the query reads them as means."""
    run = Run(tmp_path / "tiny")
    shutil.copytree(run_of_three.path, run.path)
    run.update(config=replace(run.config, generalization=GeneralizationConfig(baselines=1)).to_json())
    assert label(plan(run)) == [] and rows(run, "baseline_flows").empty
    first = rows(run_of_three, "baseline_flows").query("baseline == 'baseline-0'")
    assert np.array_equal(rows(run)[[*ON_G]], first[[*ON_G]])
    with store_of(run_of_three) as three, store_of(run) as one:
        mean, alone = (dynamics.flows(store, "tiny") for store in (three, one))
        assert mean["learned"].tolist() == pytest.approx(alone["learned"].tolist())
        assert mean.eval("power_low <= power <= power_high and chance_low <= chance <= chance_high").all()
        sums = rows(run_of_three).groupby("epoch_to")[["learned_generalizable", "learned"]].sum()
        assert mean["power"].tolist() == pytest.approx((sums.iloc[:, 0] / sums["learned"]).tolist(), rel=1e-5)
        assert sorted(set(dynamics.sample_flows(one, "tiny")["baseline"])) == [""]
        assert sorted(set(dynamics.sample_flows(three, "tiny")["baseline"])) == [f"baseline-{i}" for i in range(3)]


def test_where_vectors_were_dropped_only_salient_values_count(ready_run):
    full = [labels(ready_run, epoch) for epoch in (0, 1, 3)]
    shutil.rmtree(label_flows(plan(ready_run)))
    for unit in plan(ready_run).pairs["target", 1]:
        part_path(ready_run, unit).unlink()
    table = rows(ready_run)
    middle = only_salient(full[1])
    assert of_pair(table, 0, 1) == pytest.approx(flows(full[0], middle).sum(2), rel=1e-5, abs=1e-6)
    assert of_pair(table, 1, 3) == pytest.approx(flows(middle, full[2]).sum(2), rel=1e-5, abs=1e-6)
    assert not np.allclose(of_pair(table, 0, 1), flows(full[0], full[1]).sum(2))


def test_flows_are_made_once_anew_and_only_between_neighbours(ready_run):
    first = label_flows(plan(ready_run))
    stamp = first.stat().st_ino
    assert label(plan(ready_run)) == [] and first.stat().st_ino == stamp
    (first / "flows.parquet").write_bytes(b"")
    assert label(plan(ready_run)) == [] and rows(ready_run).shape[0] == 2 * 60 * 2
    shutil.rmtree(plan(ready_run).folder("target", 3))
    assert set(rows(ready_run)["epoch_to"]) == {1} and not first.exists()
    shutil.rmtree(plan(ready_run).folder("target", 1))  # epochs 0 and 3 are no neighbours
    assert label_flows(plan(ready_run)) is None


def test_a_damaged_part_is_named_and_deleted(ready_run):
    shutil.rmtree(label_flows(plan(ready_run)))
    path = part_path(ready_run, plan(ready_run).pairs["target", 1][0])
    path.write_bytes(path.read_bytes()[:-9])
    problems = label(plan(ready_run))
    assert len(problems) == 1 and str(path) in problems[0] and not path.exists()


def test_query_adds_up_what_is_asked_for(small_store, labelled_run):
    table = rows(labelled_run)
    whole = dynamics.flows(small_store, "tiny")
    assert whole["epoch_to"].tolist() == [1, 3]
    assert whole["learned"].tolist() == pytest.approx((table.groupby("epoch_to")["learned"].sum() / 60).tolist(), 1e-5)
    kinds = [dynamics.flows(small_store, "tiny", type=kind)["removed"] for kind in ("and", "or")]
    assert (kinds[0] + kinds[1]).tolist() == pytest.approx(whole["removed"].tolist())
    splits = [dynamics.flows(small_store, "tiny", split=split)["learned"] for split in ("train", "test")]
    assert ((splits[0] + splits[1]) / 2).tolist() == pytest.approx(whole["learned"].tolist())
    assert (whole["power"] == whole["learned_generalizable"] / whole["learned"]).all()
    assert whole.eval("power_low <= power <= power_high and 1 <= learned_order_low <= learned_order_high <= 4").all()
    parts, wholes = (
        [name for name in whole if re.fullmatch(form, name)] for form in (r"\w+_\w+_share", r"[a-z]+_share")
    )
    assert whole[parts].sum(axis=1).tolist() == pytest.approx([1, 1])
    assert whole[wholes].sum(axis=1).tolist() == pytest.approx([1, 1])
    nothing = dynamics.flows(small_store, "unknown")
    assert nothing.empty and list(nothing) == list(whole)
    label_of_none = dynamics.flows(small_store, "tiny", label=99)
    assert label_of_none.empty


def test_summary_without_a_flow_has_no_share():
    values = summary(np.array([[4.0, 2, 1, 0, 0, 0, 6, 0]]))
    assert {name: value[0] for name, value in values.items() if not np.isnan(value[0])} == {
        **{"learned": 4.0, "removed": 0.0, "power": 0.5, "chance": 0.25},
        **{"above_chance": pytest.approx(1 / 3), "learned_order": 1.5},
    }


@pytest.mark.parametrize("log", [True, False])
def test_bars_lie_above_and_below_between_their_epochs(small_store, log):
    table = dynamics.flows(small_store, "tiny")
    phases = pd.DataFrame({"boundary": ["1|2", "2|3"], "epoch": [1.0, None], "reason": ["epoch 1", "none"]})
    made = charts.flows(table, phases, log=log)
    bars = [trace for trace in made.data if trace.type == "bar"]
    ends = np.array([0, 1, 3]) + log
    for bar in bars:
        low = np.array(bar.x) + np.array(bar.offset)
        high = low + np.array(bar.width)
        assert (ends[:-1] < low).all() and (high < ends[1:]).all()
        assert (np.sign(bar.y) == (1 if bar.name.startswith("learned") else -1)).all()
        assert bool(bar.marker.pattern.shape) == ("non-" in bar.name)
    assert np.abs([bar.y for bar in bars]).sum(0) == pytest.approx([1, 1])
    assert bars[0].hovertext[0].startswith("learned, generalizable ") and list(bars[0].customdata) == [1, 3]
    assert [note.text for note in made.layout.annotations] == ["phase 1", "phase 2–3"]
    in_nats = [trace.y for trace in charts.flows(table, scale="nats").data if trace.type == "bar"]
    assert np.sum(in_nats[:2], 0) == pytest.approx(table["learned"].to_numpy())
    assert charts.flows(table.head(0)).layout.annotations[0].text.startswith("Two recorded epochs")
