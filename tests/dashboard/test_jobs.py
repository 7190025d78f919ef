import json
import time
from dataclasses import replace

import pytest

from interdash.dashboard import jobs, listing
from interdash.runs.run import Run
from tests.conftest import PATIENCE


def wait(root, job, states=("done", "failed", "cancelled", "lost")):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        job = jobs.open_job(root, job.id)
        if job.state in states:
            return job
        time.sleep(0.05)
    raise AssertionError(f"still {job.state}: {jobs.log(job)}")


def test_a_job_runs_its_commands_in_turn_and_failure_stops_the_rest(tmp_path):
    job = jobs.start(tmp_path, "two looks", "a", [["info"], ["info", "--json"]])
    assert job.is_running and jobs.jobs(tmp_path) == [job]
    job = wait(tmp_path, job)
    assert job.state == "done"
    said = jobs.log(job)
    assert "$ interdash info --json" in said and "there are no runs in" in said and said.endswith("[]")
    job = wait(tmp_path, jobs.start(tmp_path, "nothing there", "a", [["extract", "a"], ["info"]]))
    assert job.state == "failed"
    assert "no run 'a'" in jobs.progress(job).last and "$ interdash info" not in jobs.log(job)


def test_one_job_a_run_and_none_without_a_command(tmp_path):
    first = jobs.start(tmp_path, "one", "a", [["info"]])
    with pytest.raises(ValueError, match=r"a job of run 'a' is at work \(one\); wait for it, or cancel it"):
        jobs.start(tmp_path, "two", "a", [["info"]])
    wait(tmp_path, first)
    with pytest.raises(ValueError, match="a job needs a command"):
        jobs.start(tmp_path, "x", "a", [])


@pytest.mark.parametrize("name", ["../x", "-rf", "a b", "a;b", ""])
def test_unsafe_names_start_nothing(tmp_path, name):
    for make in (listing.extraction, listing.measurements, lambda name: listing.baselines(name, 1)):
        with pytest.raises(ValueError, match="cannot name a run"):
            make(name)
    with pytest.raises(ValueError, match="cannot name a run"):
        jobs.start(tmp_path, "x", name, [["info"]])
    with pytest.raises(ValueError, match="there is no job"):
        jobs.open_job(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_cancel_and_go_on(fresh_run):
    root = fresh_run.path.parent
    job = jobs.start(root, "extraction of tiny", "tiny", listing.extraction("tiny"))
    cancelled = jobs.cancel(root, job.id)
    assert cancelled.state == "cancelled" and not cancelled.is_running
    assert jobs.cancel(root, job.id) == cancelled  # once is enough
    resumed = wait(root, jobs.again(root, job.id))
    assert resumed.state == "done" and resumed.commands == job.commands
    assert "tiny is ready" in jobs.log(resumed)
    assert jobs.progress(resumed).share == 1 and jobs.progress(resumed).what == "extracting"
    assert [found.id for found in jobs.jobs(root)] == sorted((resumed.id, job.id), reverse=True)
    assert Run(fresh_run.path).labels_dir.exists()


def test_a_killed_job_is_lost(tmp_path):
    folder = tmp_path / ".jobs" / "20260101-000000-abcdef"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"title": "old", "run": "a", "commands": [["info"]]}))
    (folder / "process.json").write_text(json.dumps({"pid": 1, "started": 0.0}))  # the id belongs to another one now
    (folder / "log").write_text("extracting:  37%|###7  | 37/100 [00:10<00:17, 3.6 sample/s]\r")
    (job,) = jobs.jobs(tmp_path)
    assert job.state == "lost"
    found = jobs.progress(job)
    assert (found.what, found.share, found.remaining) == ("extracting", 0.37, "00:17")
    assert found.text(job) == "starting …"
    with open(folder / "log", "a") as log:
        log.write("\n$ interdash info\n")
    assert jobs.progress(job).what == ""  # a bar of the command before does not count
    assert jobs.progress(job).text(job) == "step 1 of 1, info: starting …"
    with open(folder / "log", "a") as log:
        log.write("counting:  50%|#####     | 5/10 [00:10<?, ? run/s]\r")
    assert jobs.progress(job).text(job) == "step 1 of 1, info: counting 50%"
    with open(folder / "log", "a") as log:
        log.write("counting:  60%|######    | 6/10 [00:10<00:07, 1.8 run/s]\r")
    assert jobs.progress(job).text(job) == "step 1 of 1, info: counting 60%, about 00:07 left"


@pytest.mark.parametrize(
    "state, later, is_ready, commands, goes_on",
    [
        ("cancelled", "", False, listing.extraction("a"), True),
        ("failed", "other", False, listing.extraction("a"), True),
        ("lost", "same", False, listing.extraction("a"), False),  # it was started again
        ("cancelled", "", True, listing.extraction("a"), False),  # nothing is missing
        ("cancelled", "", True, listing.baselines("a", 5), True),  # more than the run asks for
        ("cancelled", "", True, listing.measurements("a"), True),
        ("done", "", False, listing.extraction("a"), False),
        ("running", "", False, listing.extraction("a"), False),
    ],
)
def test_going_on_is_offered_where_it_helps(tmp_path, state, later, is_ready, commands, goes_on):
    job = jobs.Job("1", "old", "a", tuple(map(tuple, commands)), tmp_path, state)
    others = {"": [], "same": [replace(job, id="2")], "other": [replace(job, id="2", commands=(("info",),))]}[later]
    assert jobs.can_go_on(job, others, is_ready=is_ready) == goes_on


def test_whole_run():
    commands = listing.whole_run("digits", "mine", epochs=3, label_noise=0.5, seed=1)
    assert [command[0] for command in commands] == ["train", "baseline", "extract"]
    with pytest.raises(ValueError, match="there is no preset 'nope'; choose one of mnist"):
        listing.whole_run("nope", "mine", epochs=3, label_noise=0.5, seed=1)
    with pytest.raises(ValueError, match=r"epochs 0, label noise 0\.5 or seed 1 is out of range"):
        listing.whole_run("digits", "mine", epochs=0, label_noise=0.5, seed=1)
    with pytest.raises(ValueError, match="0 baselines are out of range; choose 1 to 20"):
        listing.baselines("mine", 0)
