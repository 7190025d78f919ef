"""The plan of a run: what it fixes, and what it looks up on the disk each time."""

import shutil

import pytest

from interdash.runs.files import draft
from interdash.runs.parts import Unit, part_path
from interdash.runs.plan import plan
from interdash.store.database import OF_A_RUN


def test_labels_are_made_from_own_parts_and_those_of_the_baselines_asked(labelled_run):
    planned = plan(labelled_run)
    baseline, *target = planned.pairs
    assert planned.baselines == ["baseline-0"] == [baseline[0]] and [network for network, _ in target] == ["target"] * 3
    assert planned.inputs(*baseline) == [planned.pairs[baseline]]
    assert planned.inputs("target", 1) == [planned.pairs["target", 1], planned.pairs[baseline]]
    assert planned.inputs("target", 2) == [] and planned.folder("target", 2) is None
    assert planned.inputs("baseline-1", 1) == []
    folders = {planned.folder(*pair) for pair in planned.pairs}
    assert folders == {
        folder for folder in labelled_run.labels_dir.iterdir() if folder.name.partition("-")[0] not in OF_A_RUN
    }


def test_without_a_baseline_the_target_is_labelled_by_its_own_parts_alone(fresh_run):
    shutil.rmtree(fresh_run.path / "checkpoints" / "baseline-0")
    planned = plan(fresh_run)
    assert planned.baselines == [] and planned.inputs("target", 1) == [planned.pairs["target", 1]]
    assert planned.folder("target", 1) is not None and planned.folder("target", 2) is None


def test_a_plan_stays_but_what_is_missing_is_looked_up(ready_run):
    planned = plan(ready_run)
    assert planned.missing() == [] and planned.finished() == set(planned.units)
    part_path(ready_run, planned.units[4]).unlink()
    ready_run.checkpoint_path("target", 3).unlink()
    assert planned.missing() == [planned.units[4]]
    assert len(planned.units) == 12 and len(plan(ready_run).units) == 9


def test_shards_share_the_units_and_a_unit_is_its_name(trained_run):
    planned = plan(trained_run)
    shards = [planned.shard(number, 5).units for number in range(1, 6)]
    assert shards[1] == planned.units[1::5] and sorted(sum(shards, ()), key=planned.units.index) == list(planned.units)
    for unit in plan(trained_run).units:
        assert Unit.parse(unit.name, unit.stop) == unit


@pytest.mark.parametrize("folder", [True, False])
def test_a_draft_appears_whole_or_not_at_all(tmp_path, folder):
    path = tmp_path / "deep" / "thing"
    with pytest.raises(ZeroDivisionError), draft(path) as place:
        write(place, folder)
        raise ZeroDivisionError
    assert not any(path.parent.iterdir())
    with draft(path) as place:
        write(place, folder)
        assert not path.exists() and place.suffix == ".draft"
    assert [each.name for each in path.parent.iterdir()] == ["thing"]
    assert (path / "inner" / "file" if folder else path).read_bytes() == b"1234"


def write(place, folder):
    if folder:
        (place / "inner").mkdir(parents=True)
        place = place / "inner" / "file"
    place.write_bytes(b"1234")
