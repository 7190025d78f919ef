import numpy as np

from benchmarks import big_run
from interdash.queries import dynamics
from interdash.runs.parts import read_part
from interdash.runs.plan import plan
from interdash.runs.state import state
from tests.conftest import store_of


def test_resampled_run_is_ready_and_lies_between_its_epochs(labelled_run, tmp_path):
    run = big_run.resampled_run(labelled_run, tmp_path, 5, 80)
    assert state(run).text == "ready" and run.manifest["summary"]["samples"] == 80
    assert run.explained().split == ("train",) * 40 + ("test",) * 40
    with store_of(run) as store:
        assert store.problems[run.name] == []
        strength = dynamics.strength(store, run.name)
        assert strength["epoch"].tolist() == [0, 1, 2, 3, 4] and strength["samples"].tolist() == [80] * 5
        ends = strength["strength"].tolist()
        assert min(ends[0], ends[2]) <= ends[1] <= max(ends[0], ends[2])
        made = {name: len(store.ask(f"SELECT * FROM {name}")) for name in ("flows", "patterns", "predictions")}
        assert min(made.values()) > 0 and len(run.gradients()) == 5
        for unit in plan(run).units:
            np.testing.assert_array_equal(read_part(run, unit, ["sample"])["sample"], range(unit.first, unit.stop))
        assert big_run.resampled_run(labelled_run, tmp_path, 5, 80) == run  # there already: nothing is made
