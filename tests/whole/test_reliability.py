"""What must hold when machines misbehave: kills, full disks, two at once, readers beside a writer."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import psutil
import pytest

from interdash.extraction.extract import extract
from interdash.extraction.work import Work
from interdash.labelling import label
from interdash.pipeline import extract_and_label
from interdash.runs.parts import VECTORS, finished, read_part
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.tables import read_table
from interdash.store.database import open_store
from interdash.store.loading import refresh
from tests.conftest import PATIENCE, store_of

KILLS = 10


def rows_of(run):
    """Returns every number that extraction and labelling made, by unit and by label table."""
    parts = {unit.name: read_part(run, unit) for unit in plan(run).units}
    labels = {
        f"{path.parent.name}/{path.stem}": read_table(path).drop_columns(["seconds"] if path.stem == "units" else [])
        for path in run.labels_dir.rglob("*.parquet")
        if not path.stem.startswith(("layer", "information"))  # measured only where somebody asks for it
    }
    return parts, labels


def assert_same_rows(run, undisturbed):
    parts, labels = rows_of(run)
    good_parts, good_labels = rows_of(undisturbed)
    assert parts.keys() == good_parts.keys() and labels.keys() == good_labels.keys()
    for name, columns in parts.items():
        for column, values in columns.items():
            assert values.tobytes() == good_parts[name][column].tobytes(), (name, column)
    for name, table in labels.items():
        assert table.equals(good_labels[name]), name


def start_extract(run, *options):
    command = [sys.executable, "-m", "interdash", "extract", run.name, "--root", str(run.path.parent), *options]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


class Command:
    """`interdash extract` with two workers, as a process to be killed."""

    def __init__(self, run):
        self.process = start_extract(run, "--workers", "2")
        self.pid = self.process.pid

    def is_alive(self):
        return self.process.poll() is None

    def join(self):
        self.process.communicate(timeout=PATIENCE)


def start_in_process(run):
    """Returns the same with no workers, from a server that has imported torch: a start costs no seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["interdash.pipeline"])
    process = context.Process(target=extract_and_label, args=(run,), kwargs={"workers": 0})
    process.start()
    return process


@pytest.mark.slow
def test_kill_at_ten_random_moments_loses_and_repeats_nothing(fresh_run, labelled_run):
    """kill -9 of the parent alone: its workers must not outlive it; finished parts stay as they are."""
    rng, inodes, total = np.random.default_rng(0), {}, len(plan(fresh_run).units)
    for kill in range(KILLS):
        process = Command(fresh_run) if kill == 5 else start_in_process(fresh_run)
        # a run this small would be over within a second of work: kill after 0 to 2 more units, at a random moment
        done = len(list(fresh_run.parts_dir.glob("*.parquet")))
        goal, deadline = done + int(rng.integers(0, 3)), time.monotonic() + PATIENCE
        while process.is_alive() and time.monotonic() < deadline:
            if len(list(fresh_run.parts_dir.glob("*.parquet"))) >= min(goal, total):
                break
            time.sleep(0.002)
        time.sleep(float(rng.uniform(0, 0.05)))
        children = psutil.Process(process.pid).children(recursive=True) if process.is_alive() else []
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        for child in children:
            child.wait(timeout=PATIENCE)
        for path in fresh_run.parts_dir.glob("*.parquet"):
            assert inodes.setdefault(path.name, path.stat().st_ino) == path.stat().st_ino, f"{path} was made twice"
    missing = total - len(finished(fresh_run, plan(fresh_run).units))
    outcome = extract_and_label(fresh_run, workers=0)
    assert len(outcome.computed) == missing and outcome.problems == []
    for name, inode in inodes.items():
        assert (fresh_run.parts_dir / name).stat().st_ino == inode
    assert_same_rows(fresh_run, labelled_run)


@contextmanager
def small_disk(folder, kib):
    """Mounts a small tmpfs, or skips with the reason where mounting is impossible."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount command")
def test_full_disk_is_said_and_resumed_from(trained_run, labelled_run, tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk, 4096):
        run = Run(shutil.copytree(trained_run.path, disk / "runs" / "tiny"))
        ballast = disk / "ballast"
        free = shutil.disk_usage(disk).free
        ballast.write_bytes(bytes(free - 150_000))  # room for some units, not for all
        process = start_extract(run, "--workers", "0")
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1 and "Error: the disk is full: could not write" in err and "Traceback" not in err
        units = plan(run).units
        safe = finished(run, units)
        assert 0 < len(safe) < len(units)
        for unit in safe:
            read_part(run, unit)
        assert not list(run.path.rglob(".*.draft"))
        ballast.unlink()
        outcome = extract_and_label(run, workers=0)
        assert len(outcome.computed) == len(units) - len(safe)
        assert_same_rows(run, labelled_run)


def test_two_extractions_share_the_work(fresh_run, labelled_run):
    first = start_extract(fresh_run, "--workers", "0")
    second = start_extract(fresh_run, "--workers", "0")
    results = [process.communicate(timeout=PATIENCE)[1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], results
    assert_same_rows(fresh_run, labelled_run)
    with store_of(fresh_run) as store:
        counts = store.fetch("SELECT count(*), count(DISTINCT (network, epoch, sample)) FROM sample_epochs")
    assert counts == [(240, 240)]


def at_once(count, work):
    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(work) for _ in range(count)]:
            future.result()


def test_two_extractions_in_threads_compute_every_unit_once(fresh_run):
    outcomes = []
    at_once(2, lambda: outcomes.append(extract(Work(fresh_run, workers=0))))
    computed = [unit for outcome in outcomes for unit in outcome.computed]
    assert len(computed) == len(set(computed)) == 12
    assert all(len(outcome.computed) + len(outcome.found) == 12 for outcome in outcomes)


def test_dashboard_reads_a_thousand_times_while_an_extraction_writes(fresh_run):
    """The dashboard's store refreshes and reads in this process, the extraction is another one."""
    store = open_store()
    process = start_extract(fresh_run, "--workers", "0")
    reads, seen = 0, set()
    while reads < 1000 or process.poll() is None:
        if reads % 20 == 0:
            refresh(store, fresh_run)
            assert store.problems["tiny"] == []
        for epoch, samples in store.fetch("SELECT epoch, count(*) FROM sample_epochs GROUP BY network, epoch"):
            assert samples == 60
            seen.add(epoch)
        reads += 1
    _, err = process.communicate()
    assert process.returncode == 0, err
    refresh(store, fresh_run)
    filled = ("runs", "metrics", "samples", "units", "sample_epochs", "interactions", "strengths")
    rows = {table: store.fetch(f"SELECT count(*) FROM {table}")[0][0] for table in filled}
    assert min(rows.values()) > 0, rows
    store.close()


def test_labelling_twice_at_once_makes_the_same_rows(ready_run, labelled_run):
    shutil.rmtree(ready_run.labels_dir)
    at_once(3, lambda: label.label(plan(ready_run)))
    extract_and_label(ready_run, workers=0)  # and what needs the boundaries
    assert_same_rows(ready_run, labelled_run)
    assert not list(ready_run.labels_dir.glob(".*"))


def test_a_copied_run_is_ready_as_it_is(ready_run, tmp_path):
    copy = Run(shutil.copytree(ready_run.path, tmp_path / "elsewhere" / "renamed"))
    outcome = extract_and_label(copy, workers=0)
    assert outcome.computed == [] and len(outcome.found) == 12
    assert {name for name in read_part(copy, plan(copy).units[0]) if name in VECTORS} == set(VECTORS)
