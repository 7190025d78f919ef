"""A folder of runs on a disk that is shared with other machines: read-only here, and changed by others."""

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest
from filelock import FileLock
from streamlit.testing.v1 import AppTest

from interdash.dashboard import page as ui
from interdash.queries import dynamics
from interdash.runs.run import Run
from interdash.runs.state import is_extracting, state
from interdash.store.loading import refresh
from interdash.upkeep.archive import archive, restore
from interdash.upkeep.verify import verify
from tests.conftest import PATIENCE


@contextmanager
def read_only(folder, place):
    """Mounts a folder a second time, read-only: for root, too; fails where mounting is impossible."""
    place.mkdir()
    subprocess.run(["mount", "--bind", str(folder), str(place)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def view(ready_run, tmp_path):
    """The folder of a ready run, read-only."""
    ready_run.update(tags=["good"], notes="as seen elsewhere")
    with read_only(ready_run.path.parent, tmp_path / "view") as place:
        yield place


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
def test_every_page_of_a_read_only_folder(visit, view):
    for stem in ui.pages():
        page = visit(stem, view, run="tiny")
        assert not page.error, stem
        assert [button.label for button in page.button if button.label in ("Keep", "Start", "Set")] == [], stem
        if stem == "runs":
            said = " ".join(str(text.value) for kind in (page.caption, page.text) for text in kind)
            assert "can only be read from here: no tags, notes or jobs" in said
            assert "good" in said and "as seen elsewhere" in said


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
def test_an_extraction_elsewhere_is_seen_from_a_read_only_folder(ready_run, tmp_path):
    lock = FileLock(ready_run.parts_dir / "locks" / "extraction.lock")
    (ready_run.parts_dir / "locks").mkdir(exist_ok=True)
    with read_only(ready_run.path.parent, tmp_path / "view") as place:
        run = Run.open(place, "tiny")
        with lock:
            assert is_extracting(run)
        assert not is_extracting(run)
        assert state(run).word == "ready" and verify(run).ok


@pytest.mark.parametrize("session", [None, [0, 1, 5]])
def test_epochs_that_come_and_go_between_two_questions_of_a_page(monkeypatch, labelled_run, session):
    """Another session may load epochs after this page asked which there are; what was chosen before may be gone."""

    def chosen_epochs(store, run, count=6):
        return [0, 1, 5]  # 5 was labelled a moment after the page had asked

    monkeypatch.setattr(dynamics, "chosen_epochs", chosen_epochs)
    monkeypatch.setenv("INTERDASH_ROOT", str(labelled_run.path.parent))
    page = AppTest.from_file(ui.FOLDER / "dynamics.py", default_timeout=PATIENCE)
    page.query_params["run"] = "tiny"
    page.query_params["view"] = "Six epochs"
    if session:
        page.session_state["epochs"] = session
    page.run()
    assert not page.exception
    (asked,) = [widget for widget in page.multiselect if widget.label == "Epochs"]
    assert asked.value == [0, 1] and asked.options == ["0", "1", "3"]


def test_a_run_that_another_machine_replaces_is_picked_up(opened, ready_run, tmp_path):
    store = opened(ready_run, lazy=False)
    before = store.fetch("SELECT count(*) FROM interactions")
    other = Run(shutil.copytree(ready_run.path, tmp_path / "elsewhere" / "tiny"))
    other.record_metrics("target", 3, train_loss=0.125)
    shutil.rmtree(next(other.labels_dir.glob("target-00001-*")))
    restore(archive(other, tmp_path / "tiny.tar"), ready_run.path.parent, replace=True)
    refresh(store, ready_run)
    assert store.fetch("SELECT train_loss FROM metrics WHERE network = 'target' AND epoch = 3") == [(0.125,)]
    assert store.fetch("SELECT DISTINCT epoch FROM interactions WHERE network = 'target' ORDER BY 1") == [(0,), (3,)]
    assert store.fetch("SELECT count(*) FROM interactions") < before
