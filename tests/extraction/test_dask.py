"""The engines beyond one process: Dask workers, killed workers and drivers, an S3 address, shards of a job array."""

import os
import re
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import fsspec
import psutil
import pytest
from click.testing import CliRunner
from filelock import FileLock

from interdash.commands.main import commands
from interdash.extraction import dask as engine_dask
from interdash.extraction import remote
from interdash.extraction.dask import WrongWorkerError, parse_needs
from interdash.extraction.engines import WorkerLostError
from interdash.extraction.extract import LOSSES, _compute, _Tracker, extract, parse_shard
from interdash.extraction.extract import Outcome as ExtractionOutcome
from interdash.extraction.work import Cluster, Work
from interdash.pipeline import extract_and_label
from interdash.runs.parts import finished, part_path
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.state import state
from tests.conftest import PATIENCE, store_of
from tests.whole.test_reliability import assert_same_rows, start_extract


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """The address of a cluster that this driver did not start: one worker, which offers nothing in particular."""
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set(temporary_directory=str(tmp_path_factory.mktemp("node"))),
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as cluster,
    ):
        yield cluster.scheduler_address


@contextmanager
def held(run, units):
    """Claims units as another extraction would, so that the job cannot end before the test lets it."""
    locks = [FileLock(run.parts_dir / "locks" / f"{unit.name}.lock", thread_local=False) for unit in units]
    for lock in locks:
        lock.acquire()

    def release():
        for lock in locks:
            lock.release()

    try:
        yield release
    finally:
        release()


def workers_of(process):
    """Returns the worker processes below a driver: Dask's, and what the fork server started."""
    found, told = [], {}
    for child in process.children(recursive=True):
        with suppress(psutil.Error):
            told[child.pid] = " ".join(child.cmdline())
            forked = "forkserver" in told[child.pid] and "forkserver" in told.get(child.ppid(), "")
            if ("spawn_main" in told[child.pid] or forked) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def parts_of(run):
    return {path.name: path.stat().st_ino for path in run.parts_dir.glob("*.parquet")}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_two_killed_workers_lose_and_repeat_nothing(fresh_run, labelled_run, engine):
    """kill -9 of a worker after the second and after the fifth unit; the last units wait until both are dead."""
    units, inodes, counts = plan(fresh_run).units, {}, [0]

    def progress(done, _):
        inodes.update(parts_of(fresh_run))
        counts.append(done)

    def kill_two(release):  # in a thread of its own: the one that reports also starts new workers
        killed, deadline = [], time.monotonic() + PATIENCE
        try:
            while len(killed) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
                if counts[-1] < (40, 100)[len(killed)]:
                    continue
                worker = next((each for each in workers_of(psutil.Process()) if each not in killed), None)
                if worker is not None:
                    with suppress(psutil.NoSuchProcess):  # the rest of a broken pool ends by itself
                        worker.kill()  # and no wait: it would take the engine's child away from it
                        killed.append(worker)
        finally:
            release()
        return killed

    with held(fresh_run, units[-3:]) as release, ThreadPoolExecutor() as pool:
        killing = pool.submit(kill_two, release)
        outcome = extract_and_label(fresh_run, engine=engine, workers=2, progress=progress)
        killed = killing.result()
    assert len(killed) == 2
    assert sorted(unit.name for unit in outcome.computed + outcome.found) == sorted(unit.name for unit in units)
    assert outcome.problems == [] and state(fresh_run).word == "ready"
    assert_same_rows(fresh_run, labelled_run)
    assert inodes.items() <= parts_of(fresh_run).items(), "a finished part was made again"
    with store_of(fresh_run) as store:
        rows = store.fetch("SELECT count(*), count(DISTINCT (network, epoch, sample)) FROM sample_epochs")
        assert rows + store.fetch("SELECT count(*), count(DISTINCT name) FROM units") == [(240, 240), (12, 12)]


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "count"), [("processes", 2), ("dask", 1)])
def test_a_killed_driver_takes_its_workers_along_and_a_rerun_computes_what_is_missing(
    fresh_run, labelled_run, engine, count
):
    units = plan(fresh_run).units
    with held(fresh_run, units[-3:]):
        driver = start_extract(fresh_run, "--engine", engine, "--workers", str(count))
        deadline = time.monotonic() + PATIENCE
        while len(parts_of(fresh_run)) < 4:
            assert driver.poll() is None and time.monotonic() < deadline, driver.communicate(timeout=1)
            time.sleep(0.005)
        workers = workers_of(psutil.Process(driver.pid))
        os.kill(driver.pid, signal.SIGKILL)
        driver.communicate(timeout=PATIENCE)
        for worker in workers:
            worker.wait(PATIENCE)
    before = parts_of(fresh_run)
    assert len(workers) == count and 4 <= len(before) <= len(units) - 3
    outcome = extract_and_label(fresh_run, engine="local")
    assert len(outcome.computed) == len(units) - len(before) and len(outcome.found) == len(before)
    assert before.items() <= parts_of(fresh_run).items()
    assert_same_rows(fresh_run, labelled_run)


def test_workers_of_an_existing_scheduler_make_the_same_rows(fresh_run, labelled_run, scheduler):
    """The worker has two threads: units still run one at a time, as the network and torch's threads are shared."""
    outcome = extract_and_label(fresh_run, engine="dask", cluster=Cluster(scheduler))
    assert len(outcome.computed) == 12
    assert_same_rows(fresh_run, labelled_run)


def test_a_cluster_without_workers_scheduler_or_what_a_unit_needs_ends_with_a_message(fresh_run, scheduler):
    from distributed import LocalCluster

    with pytest.raises(RuntimeError, match=r"a unit needs GPU=640, this machine offers CPU=.*; ask for less"):
        extract(Work(fresh_run, engine="dask", cluster=Cluster(needs={"GPU": 640.0})))
    with pytest.raises(RuntimeError, match=r"no worker offers what a unit needs \(TPU=1\); they offer: nothing\. St"):
        extract(Work(fresh_run, engine="dask", cluster=Cluster(scheduler, {"TPU": 1.0}, wait=0.5)))
    assert engine_dask._local_workers(8, {"CPU": 1.0})[0] <= (os.cpu_count() or 1)
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster,
        pytest.raises(RuntimeError, match=r"has had no worker for 0 s; start some: `dask worker tcp://"),
    ):
        extract(Work(fresh_run, engine="dask", cluster=Cluster(cluster.scheduler_address, wait=0.2)))
    with pytest.raises(RuntimeError, match=r"no scheduler answers at tcp://127.0.0.1:8639; start one with `dask sch"):
        extract(Work(fresh_run, engine="dask", cluster=Cluster("tcp://127.0.0.1:8639", wait=0.5)))


@pytest.mark.parametrize(
    ("visible", "device", "dealt"),
    [(None, "cuda", ["0", "1", "0"]), ("3,5", "cuda", ["3", "5", "3"]), ("3,5", "cuda:1", ["3,5"])],
)
def test_several_gpus_are_dealt_out_to_the_workers_of_this_machine(monkeypatch, visible, device, dealt):
    """No GPU is needed: what each worker may see is told before CUDA starts there. And no profiler looks at them."""
    import distributed
    from dask import config

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    undisturbed = engine_dask.UNDISTURBED

    def seen(dask_worker):
        settings = {key: config.get(key) for key in undisturbed}
        return dask_worker.name, os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("OMP_NUM_THREADS"), settings

    with engine_dask._client(distributed, len(dealt), Cluster(), device) as client:
        workers = sorted(client.run(seen).values(), key=lambda worker: worker[0])
    assert [worker[1] for worker in workers] == dealt
    assert all(worker[2:] == ("1", undisturbed) for worker in workers)
    assert config.get("distributed.worker.profile.enabled") is True  # of the driver: as before


def test_a_worker_with_other_code_or_another_folder_ends_with_a_message(fresh_run, scheduler, monkeypatch):
    from distributed import Client

    unit = replace(plan(fresh_run).units[0], key="0" * 16)
    told = {"work": Work(fresh_run), "code": engine_dask.code_hash()}
    with Client(scheduler, set_as_default=False) as client:
        future = client.submit(engine_dask._compute, unit, **told)
        with pytest.raises(WrongWorkerError, match=r"does not see the run in .* mount the folder of runs there"):
            engine_dask._state(future)
    with pytest.raises(WrongWorkerError, match="which does not appear here: it has a copy of the run"):
        engine_dask._received(fresh_run, plan(fresh_run).units[0], "computed", Cluster(wait=0.0))
    monkeypatch.setattr(engine_dask, "code_hash", lambda: "another")
    with pytest.raises(WrongWorkerError, match=r"on .* runs other code of interdash \(hash .*, here another\)"):
        extract(Work(fresh_run, engine="dask", cluster=Cluster(scheduler)))
    assert finished(fresh_run, plan(fresh_run).units) == set()


def test_a_device_is_looked_for_on_the_worker_and_not_on_the_driver(fresh_run, scheduler, monkeypatch):
    """A driver without a GPU hands its units to machines that have one; here none has one, and the worker says so."""
    monkeypatch.setattr(
        "interdash.extraction.extract.seconds_per_sample", lambda *_: pytest.fail("a probe on the driver")
    )
    where = ("--scheduler", scheduler, "--device", "cuda", "--root", fresh_run.path.parent)
    done = run_command("extract", "tiny", *where)
    assert isinstance(done.exception, WrongWorkerError)
    says = r"worker tcp://.* on .*: device 'cuda' was asked for, but torch .* finds no GPU"
    assert re.search(says, str(done.exception))
    done = run_command("extract", "tiny", "--estimate", *where)
    assert done.exit_code == 0 and done.output == "12 units, 240 samples, 3,840 forward passes, about 0 MB\n"
    assert "'tpu' is no device" in str(run_command("extract", "tiny", *where, "--device", "tpu").exception)


def test_what_cannot_be_is_refused(fresh_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"install it with pip install 'interdash\[cluster\]'"):
        extract(Work(fresh_run, engine="dask"))
    done = run_command("extract", "tiny", "--engine", "local", "--via", "s3://a", "--root", fresh_run.path.parent)
    assert done.exit_code != 0
    with pytest.raises(ValueError, match="a cluster goes with the engine 'dask', not with 'local'"):
        extract(Work(fresh_run, engine="local", cluster=Cluster()))
    with pytest.raises(ValueError, match="a network passed as a function is built in this process, not by the engine"):
        extract(Work(fresh_run, engine="dask", network=lambda: None))
    with pytest.raises(ValueError, match=r"'nowhere://x' is no address that fsspec knows .*; such as s3://bucket/runs"):
        remote.send_run(fresh_run, "nowhere://x")


def test_workers_lost_again_and_again_end_with_a_message(fresh_run):
    units, calls = plan(fresh_run).units, []

    def lost():
        raise WorkerLostError("killed")

    @contextmanager
    def deadly():
        yield lambda todo: (calls.append(len(todo)) or (unit, lost) for unit in todo)

    tracker = _Tracker(units, set(), ExtractionOutcome(), None, None)
    with pytest.raises(RuntimeError, match="a worker process was killed, perhaps for lack of memory, 4 times in a row"):
        _compute(deadly(), units, tracker)
    assert len(calls) == LOSSES * len(units)


@pytest.fixture(scope="module")
def s3():
    """A server that speaks S3, on this machine, with an empty bucket; its end point and keys are in the environment."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**keys, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").mkdir("lab")
        yield "s3://lab/runs"
    server.stop()


@pytest.mark.slow
def test_parts_travel_by_an_s3_address(fresh_run, labelled_run, s3, scheduler, tmp_path):
    """Two workers on a node of their own; then another machine with the run, but no parts, finds them there."""
    import dask

    copy = Run(shutil.copytree(fresh_run.path, tmp_path / "another" / "tiny"))
    with dask.config.set(temporary_directory=str(tmp_path / "node")):
        outcome = extract_and_label(fresh_run, engine="dask", workers=2, cluster=Cluster(via=s3))
    assert len(outcome.computed) == 12 and outcome.problems == []
    assert_same_rows(fresh_run, labelled_run)
    assert remote.parts_there(fresh_run, s3) == {unit.name for unit in plan(fresh_run).units}
    assert len(list(tmp_path.glob("node/**/tiny/checkpoints/*/*.safetensors"))) == 4  # each once for both workers
    assert not list(tmp_path.glob("node/**/*.parquet"))
    found = extract(Work(copy, engine="dask", cluster=Cluster(scheduler, via=s3)))  # whose worker has no keys
    assert found.computed == [] and len(found.found) == 12
    assert finished(copy, plan(copy).units) == set(plan(copy).units)


def test_a_damaged_part_or_checkpoint_at_an_address_is_made_again(fresh_run, scheduler, tmp_path):
    address = f"file://{tmp_path}/bucket"
    cluster = Cluster(scheduler, via=address)
    assert len(extract(Work(fresh_run, engine="dask", cluster=cluster)).computed) == 12
    unit, gone = plan(fresh_run).units[3:5]
    there = tmp_path / "bucket" / "tiny" / "parts"
    content = (there / f"{unit.name}.parquet").read_bytes()
    (there / f"{unit.name}.parquet").write_bytes(content[:-50])
    (there / f"{gone.name}.parquet").unlink()
    part_path(fresh_run, unit).unlink()
    part_path(fresh_run, gone).unlink()
    outcome = extract(Work(fresh_run, engine="dask", cluster=cluster))
    assert set(outcome.computed) == {unit, gone} and outcome.problems == []
    weights = fresh_run.load_checkpoint("target", 3)  # trained again: neither address nor node may keep the old weights
    fresh_run.save_checkpoint("target", 3, {key: value + 1e-3 for key, value in weights.items()})
    outcome = extract(Work(fresh_run, engine="dask", cluster=cluster))
    assert [unit.epoch for unit in outcome.computed] == [3, 3, 3]


def test_versions_in_the_docs_are_those_of_the_tests():
    home = Path(__file__).parents[2]
    (line,) = re.findall(
        "^RUN pip install --no-cache-dir (.*)", (home / "docs" / "cluster.md").read_text(), re.MULTILINE
    )
    assert set(line.split()) <= set((home / "requirements-dev.txt").read_text().split())


def run_command(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def test_shards_in_any_order_and_twice_make_the_run_once(fresh_run, labelled_run):
    root, made = fresh_run.path.parent, []
    for shard in ("3/3", "1/3", "1/3", "2/3", "2/3"):
        done = run_command("extract", "tiny", "--engine", "local", "--shard", shard, "--json", "--root", root)
        assert done.exit_code == 0, done.output
        made.append('"computed": 4, "found": 0' in done.stdout)
        assert '"problems": []' in done.stdout
    assert made == [True, True, False, True, False]
    assert state(fresh_run).word == "ready" and fresh_run.manifest["summary"]["word"] == "ready"
    assert_same_rows(fresh_run, labelled_run)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/3/4", "-1/3"])
def test_parse_shard_refuses(text):
    with pytest.raises(ValueError, match="is no shard; write i/N with i from 1 to N, such as 3/16"):
        parse_shard(text)


@pytest.mark.parametrize("text", ["GPU", "=1", "GPU=", "GPU=0", "GPU=-1", "MEMORY=4XB", "CPU=inf"])
def test_parse_needs_refuses(text):
    with pytest.raises(ValueError, match="is no need of a unit; write NAME=AMOUNT, such as GPU=1, CPU=2 or MEMORY=4GB"):
        parse_needs([text])
