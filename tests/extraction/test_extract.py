import errno
import shutil
from dataclasses import replace

import numpy as np
import pytest
from filelock import FileLock

from interdash.extraction import engines
from interdash.extraction import extract as extraction
from interdash.extraction import unit as computation
from interdash.extraction.extract import estimate, extract
from interdash.extraction.unit import compute_unit
from interdash.extraction.work import Work
from interdash.formulas.interactions import matched_outputs
from interdash.masking.outputs import masked_outputs
from interdash.runs import parts, tables
from interdash.runs.files import DamagedFileError
from interdash.runs.parts import finished, part_path, read_part
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.tables import read_notes
from interdash.training.network_of_run import network_builder


def all_columns(run):
    return {unit.name: read_part(run, unit) for unit in plan(run).units}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, columns in first.items():
        for column, values in columns.items():
            np.testing.assert_array_equal(values, second[name][column], err_msg=f"{name} {column}")


def test_plan_has_fixed_batches_baselines_first(trained_run):
    units = plan(trained_run).units
    assert plan(trained_run).problems == ()
    assert [(unit.network, unit.epoch) for unit in units[:3]] == [("baseline-0", units[0].epoch)] * 3
    assert [unit.epoch for unit in units[3:]] == [0, 0, 0, 1, 1, 1, 3, 3, 3]
    assert [(unit.first, unit.stop) for unit in units[:3]] == [(0, 25), (25, 50), (50, 60)]


def test_plan_follows_settings_and_weights(fresh_run):
    before = {unit.name for unit in plan(fresh_run).units}
    config = fresh_run.config
    fresh_run.update(config=replace(config, split=replace(config.split, kappa=0.04)).to_json())
    assert before.isdisjoint(unit.name for unit in plan(fresh_run).units)
    fresh_run.update(config=config.to_json())
    assert before == {unit.name for unit in plan(fresh_run).units}
    weights = fresh_run.load_checkpoint("target", 3)
    fresh_run.save_checkpoint("target", 3, {key: value + 1e-3 for key, value in weights.items()})
    assert len(before & {unit.name for unit in plan(fresh_run).units}) == len(before) - 3
    fresh_run.update(config=replace(config, split=replace(config.split, zeta="mean")).to_json())
    assert {(unit.first, unit.stop) for unit in plan(fresh_run).units} == {(0, 60)}


def test_extract_writes_what_masked_inference_gives(labelled_run):
    unit = plan(labelled_run).units[-1]
    columns = read_part(labelled_run, unit)
    explained, model = labelled_run.explained(), network_builder(labelled_run)()
    model.load_state_dict(labelled_run.load_checkpoint("target", 3))
    rows = list(range(unit.first, unit.stop))
    v = masked_outputs(model, explained.inputs[rows], explained.labels[rows], explained.variables.select(rows))
    np.testing.assert_allclose(columns["v"], v.numpy(), atol=1e-5)
    np.testing.assert_array_equal(columns["v_full"], columns["v"][:, -1])
    np.testing.assert_array_equal(columns["predicted"], model(explained.inputs[rows]).argmax(1).numpy())
    matched = matched_outputs(columns["i_and"], columns["i_or"], columns["v_empty"])
    np.testing.assert_allclose(matched + columns["delta"], columns["v"], atol=1e-9)
    assert columns["residual"].max() < 1e-9
    assert read_notes(part_path(labelled_run, unit))["seconds"] > 0


def test_extract_ends_early_and_computes_only_what_is_missing(ready_run):
    before = {path.name: path.stat().st_ino for path in ready_run.parts_dir.glob("*.parquet")}
    outcome = extract(Work(ready_run, workers=0))
    assert outcome.computed == [] and len(outcome.found) == 12
    gone = plan(ready_run).units[4]
    part_path(ready_run, gone).unlink()
    assert extract(Work(ready_run, workers=0)).computed == [gone]
    after = {path.name: path.stat().st_ino for path in ready_run.parts_dir.glob("*.parquet")}
    assert {name for name in before if before[name] != after[name]} <= {f"{gone.name}.parquet"}


def test_claimed_units_are_left_alone_and_waited_for(fresh_run, monkeypatch):
    unit = plan(fresh_run).units[0]
    with FileLock(fresh_run.parts_dir / "locks" / f"{unit.name}.lock"):
        assert compute_unit(Work(fresh_run), unit) == "claimed"
    assert compute_unit(Work(fresh_run), unit) == "computed"
    assert compute_unit(Work(fresh_run), unit) == "there"
    units = plan(fresh_run).units
    lock = FileLock(fresh_run.parts_dir / "locks" / f"{units[1].name}.lock")
    lock.acquire()
    monkeypatch.setattr(extraction.time, "sleep", lambda _: lock.release())
    assert extract(Work(fresh_run, workers=0)).computed[-1] == units[1]


def test_a_gpu_computes_units_together_and_writes_the_same_parts(fresh_run, labelled_run, monkeypatch):
    """On the CPU, through the engine of a GPU: five units at once, of several checkpoints, one of them damaged."""
    monkeypatch.setattr(engines, "units_at_once", lambda work: 5)
    units = plan(fresh_run).units
    assert compute_unit(Work(fresh_run), units[0]) == "computed"
    path = fresh_run.checkpoint_path("target", 1)
    path.write_bytes(path.read_bytes()[:-1])
    with (
        FileLock(fresh_run.parts_dir / "locks" / f"{units[1].name}.lock"),
        engines.on_device(Work(fresh_run)) as submit,
    ):
        outcomes = list(submit(units))
    states = {unit: outcome() for unit, outcome in outcomes if unit.epoch != 1}
    assert [unit for unit, _ in outcomes] == list(units)
    assert [states[unit] for unit in units if unit.epoch != 1] == ["there", "claimed", *["computed"] * 7]
    with pytest.raises(DamagedFileError, match=str(path)):
        outcomes[6][1]()
    for unit, state in states.items():
        if state != "claimed":
            here, there = read_part(fresh_run, unit), read_part(labelled_run, unit)
            for name in ("sample", "label", "predicted", "v"):
                np.testing.assert_allclose(here[name], there[name], atol=1e-5, err_msg=name)
            np.testing.assert_allclose(here["objective"], there["objective"], rtol=1e-3)
            assert here["gap"].max() <= 0.02 and here["residual"].max() < 1e-9
    assert compute_unit(Work(fresh_run), units[1]) == "computed"  # what was claimed is free again
    assert read_notes(part_path(fresh_run, units[-1]))["seconds"] > 0


@pytest.mark.parametrize(
    ("samples", "zeta", "expected"), [(10**6, "sample", 40), (60, "sample", 2), (3, "sample", 1), (10**6, "mean", 1)]
)
def test_units_of_a_gpu_follow_from_its_memory(fresh_run, monkeypatch, samples, zeta, expected):
    config = fresh_run.config
    fresh_run.update(config=replace(config, split=replace(config.split, zeta=zeta)).to_json())
    monkeypatch.setattr(engines, "samples_at_once", lambda n, device, tolerance: samples)
    assert engines.units_at_once(Work(fresh_run, device="cuda")) == expected
    engine = extraction._engine(Work(fresh_run, device="cuda", engine="local"), plan(fresh_run).units)
    assert engine.func is engines.on_device.__wrapped__


def test_extract_names_a_damaged_checkpoint_and_does_the_rest(fresh_run):
    path = fresh_run.checkpoint_path("target", 1)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    outcome = extract(Work(fresh_run, workers=0))
    assert len(outcome.computed) == 9
    assert len(outcome.problems) == 1 and str(path) in outcome.problems[0]
    path.with_suffix(".sha256").write_text("nonsense")
    assert "1.sha256 is missing or damaged" in extract(Work(fresh_run, workers=0)).problems[0]


def test_a_truncated_part_is_rebuilt_and_one_of_another_format_refused(ready_run, labelled_run, monkeypatch):
    unit = plan(ready_run).units[5]
    path = part_path(ready_run, unit)
    path.write_bytes(path.read_bytes()[:-100])
    outcome = extract(Work(ready_run, workers=0))
    assert outcome.computed == [unit]
    assert str(path) in outcome.problems[0] and outcome.problems[0].endswith("it is computed again")
    assert_same(all_columns(ready_run), all_columns(labelled_run))
    unit = plan(ready_run).units[0]
    monkeypatch.setattr(tables, "FORMAT", 2)
    with pytest.raises(DamagedFileError, match="has format 1, this version of interdash reads format 2; make it again"):
        read_part(ready_run, unit)


def test_extract_takes_a_network_for_a_run_without_spec(fresh_run):
    outcome = extract(Work(fresh_run, network=network_builder(fresh_run)))
    assert len(outcome.computed) == 12


def test_extract_costs_what_was_estimated_on_any_workers_and_reports_progress(fresh_run, labelled_run):
    cost = estimate(Work(fresh_run, workers=2))
    assert (cost.units, cost.samples, cost.forward_passes, cost.bytes) == (12, 240, 240 * 16, 240 * 16 * 8 * 4)
    assert cost.seconds == pytest.approx(120 * cost.seconds_per_sample)
    assert "12 units, 240 samples, 3,840 forward passes" in str(cost)
    assert str(estimate(Work(labelled_run))) == "nothing, all units are there"
    seen, epochs = [], []
    outcome = extract(
        Work(fresh_run, workers=2), progress=lambda *now: seen.append(now), on_epoch=lambda *pair: epochs.append(pair)
    )
    assert len(outcome.computed) == 12 and not outcome.found and not outcome.problems
    assert seen[0] == (0, 240) and seen[-1] == (240, 240)
    assert sorted(epochs)[1:] == [("target", 0), ("target", 1), ("target", 3)]
    assert_same(all_columns(fresh_run), all_columns(labelled_run))


def test_the_unit_that_an_estimate_computed_is_not_computed_again(fresh_run, labelled_run, monkeypatch):
    work, unit, computed = Work(fresh_run), plan(fresh_run).units[-1], computation._computed
    estimate(work)
    monkeypatch.setattr(computation, "_computed", lambda work, units: pytest.fail("computed again"))
    assert compute_unit(work, unit) == "computed"
    monkeypatch.setattr(computation, "_computed", computed)
    assert float(read_notes(part_path(fresh_run, unit))["seconds"]) > 0
    assert_same({unit.name: read_part(fresh_run, unit)}, {unit.name: read_part(labelled_run, unit)})


def test_every_flipped_bit_of_a_part_is_found_or_harmless(labelled_run, tmp_path):
    unit = plan(labelled_run).units[0]
    run = Run(shutil.copytree(labelled_run.path, tmp_path / "tiny"))
    path, good = part_path(run, unit), read_part(run, unit)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    found = 0
    for position in rng.integers(0, len(content), 150):
        spoiled = bytearray(content)
        spoiled[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(spoiled)
        try:
            read = read_part(run, unit)
        except DamagedFileError as error:
            assert str(path) in str(error) and "interdash extract tiny" in str(error)
            found += 1
        else:
            for name, values in good.items():
                np.testing.assert_array_equal(read[name], values)
    assert found > 90  # the others change no value: bytes of metadata that nothing reads


def test_missing_parts_and_wrong_shapes_are_refused(fresh_run, monkeypatch):
    unit = plan(fresh_run).units[0]
    assert finished(fresh_run, [unit]) == set()
    with pytest.raises(FileNotFoundError, match="make it with `interdash extract tiny`"):
        read_part(fresh_run, unit)
    with pytest.raises(ValueError, match="must have 25 rows"):
        parts.write_part(fresh_run, unit, {"sample": np.arange(3)}, seconds=0.0)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "the disk is full: free some space")

    monkeypatch.setattr(computation, "write_part", full)
    with pytest.raises(OSError, match="the disk is full"):
        extract(Work(fresh_run, workers=0))
    assert list(fresh_run.parts_dir.glob("*.parquet")) == []
