"""Every page, alone and through app.py, on a ready run, an empty folder, a partial and a damaged run."""

import json
import re
import shutil

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from interdash import manual, ui, ui_data

APP = ui.FOLDER.parent / "app.py"
PAGES = sorted(ui.pages())
NEED_LABELS = ("dynamics", "sample", "removal", "figures")
HOSTILE = (
    {"run": "'; DROP TABLE runs; --", "epoch": "1 OR 1=1"},
    {"run": "<script>alert(1)</script>", "label": "<img src=x onerror=alert(1)>"},
    {"run": "../../etc/passwd", "job": "../../etc/passwd"},
    {"run": "tiny", "epoch": "9" * 400, "sample": "-1", "split": "neither", "type": "xor", "epochs": "77"},
    {"run": "x\n\n![x](https://example.org/a.png)", "epochs": "\r\r![x](https://example.org/a.png)"},
    {"run": "tiny", "epoch": "", "sample": "1e999", "sort": "); --", "q": "%" * 200},
)


@pytest.fixture(autouse=True)
def fresh_caches():
    yield
    if ui_data._shared.__wrapped__ is not None:
        st.cache_data.clear()
        if (ahead := ui_data._shared().ahead) is not None:
            ahead.join()
        ui_data._shared().store.close()
        st.cache_resource.clear()


def opened(monkeypatch, root, stem, *, through_app=False, **query):
    """Returns a page that ran."""
    monkeypatch.setenv("INTERDASH_ROOT", str(root))
    page = AppTest.from_file(APP if through_app else ui.FOLDER / f"{stem}.py", default_timeout=60)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    if through_app:
        page.switch_page(f"pages/{stem}.py").run()
    return page


def words(page):
    return " ".join(str(box.value) for kind in (page.info, page.warning, page.error) for box in kind)


@pytest.mark.parametrize("through_app", [False, True])
@pytest.mark.parametrize("stem", PAGES)
def test_ready(monkeypatch, labelled_run, stem, through_app):
    page = opened(monkeypatch, labelled_run.path.parent, stem, through_app=through_app)
    assert not page.exception and not page.error
    assert page.title[0].value == ui.PAGES[stem][0]
    page.run()
    assert not page.exception


@pytest.mark.parametrize("through_app", [False, True])
@pytest.mark.parametrize("stem", PAGES)
def test_empty(monkeypatch, tmp_path, stem, through_app):
    page = opened(monkeypatch, tmp_path / "nothing", stem, through_app=through_app)
    assert not page.exception and not page.error
    if stem != "help":  # which needs no run
        assert "interdash demo" in words(page)


@pytest.mark.parametrize("through_app", [False, True])
@pytest.mark.parametrize("stem", PAGES)
def test_nothing_extracted(monkeypatch, fresh_run, stem, through_app):
    page = opened(monkeypatch, fresh_run.path.parent, stem, through_app=through_app)
    assert not page.exception and not page.error
    if stem in NEED_LABELS:
        assert "No epoch of tiny has interactions yet: it is partial" in words(page)


@pytest.mark.parametrize("through_app", [False, True])
@pytest.mark.parametrize("stem", PAGES)
def test_some_epochs_labelled(monkeypatch, ready_run, stem, through_app):
    shutil.rmtree(next(ready_run.labels_dir.glob("target-00001-*")))
    ready_run.update(summary=None)
    page = opened(monkeypatch, ready_run.path.parent, stem, through_app=through_app)
    assert not page.exception and not page.error
    if stem in NEED_LABELS:
        assert "tiny is partial: labels of 1 epochs; `interdash extract tiny` makes them." in words(page)


@pytest.mark.parametrize("through_app", [False, True])
@pytest.mark.parametrize("stem", PAGES)
def test_recording(monkeypatch, fresh_run, stem, through_app):
    (fresh_run.path / "metrics.jsonl").unlink()
    fresh_run.update(networks={})
    page = opened(monkeypatch, fresh_run.path.parent, stem, through_app=through_app, run="tiny")
    assert not page.exception and not page.error
    if stem in NEED_LABELS:
        assert "No epoch of tiny has interactions yet: it is recording" in words(page)


@pytest.mark.parametrize("stem", PAGES)
def test_damaged_list_of_samples(monkeypatch, ready_run, stem):
    for path in next(ready_run.labels_dir.glob("samples-*")).iterdir():
        path.write_bytes(b"nothing of the sort")
    page = opened(monkeypatch, ready_run.path.parent, stem, run="tiny")
    assert not page.exception and not page.error
    if stem in NEED_LABELS:
        assert "damaged" in words(page)
        assert ("`interdash extract tiny` makes it again" in words(page)) == (stem != "dynamics")


def test_an_open_page_says_that_there_are_newer_data(monkeypatch, ready_run):
    page = opened(monkeypatch, ready_run.path.parent, "dynamics")
    assert "newer data" not in words(page)
    stale = ui_data.data_version(ready_run)
    monkeypatch.setattr(ui, "load", lambda run: (ui_data.load(run)[0], stale))
    ready_run.update(notes="meanwhile")
    page.run()
    assert "tiny has newer data than this page shows" in words(page)


def test_what_nobody_foresaw_is_said_in_words(monkeypatch, labelled_run, caplog):
    monkeypatch.setattr("interdash.queries.epochs", lambda *_, **__: {}["nothing"])
    page = opened(monkeypatch, labelled_run.path.parent, "dynamics")
    assert not page.exception
    assert "has failed in a way that nobody foresaw (KeyError)" in words(page)
    assert "nothing" in str(caplog.records[-1].exc_info)
    caplog.clear()


@pytest.mark.parametrize("stem", PAGES)
def test_damaged(monkeypatch, ready_run, stem):
    folder = next(ready_run.labels_dir.glob("target-*"))
    for path in folder.iterdir():
        path.write_bytes(b"nothing of the sort")
    page = opened(monkeypatch, ready_run.path.parent, stem, run="tiny")
    assert not page.exception
    (ready_run.path / "run.json").write_text("{")
    page = opened(monkeypatch, ready_run.path.parent, stem, run="tiny")
    assert not page.exception


@pytest.mark.parametrize("query", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("stem", PAGES)
def test_hostile_links(monkeypatch, labelled_run, stem, query):
    before = {path: path.read_bytes() for path in labelled_run.path.rglob("*") if path.is_file()}
    page = opened(monkeypatch, labelled_run.path.parent, stem, **query)
    assert not page.exception
    if query["run"] != "tiny" and stem not in ("compare", "help"):  # which has runs of its own, and none
        assert "there" in words(page) or "not in this list" in words(page)
    shown = json.dumps([str(element.value) for element in page.markdown])
    assert "<script" not in shown and "onerror" not in shown and "![x](" not in shown
    assert "![x](" not in re.sub("`[^`]*`", "", words(page)) and "\n" not in words(page)
    assert before == {path: path.read_bytes() for path in labelled_run.path.rglob("*") if path.is_file()}


def test_dynamics_pins_and_filters(monkeypatch, labelled_run):
    page = opened(monkeypatch, labelled_run.path.parent, "dynamics", epoch="1", split="training", type="apart")
    assert page.get("plotly_chart")[0].proto.alt.startswith("Losses, strength of")
    traces = json.loads(page.get("plotly_chart")[0].proto.spec)["data"]
    assert [trace["name"] for trace in traces if trace.get("name", "").startswith("H")] == ["H, AND", "H, OR"]
    page.select_slider(key="epoch").set_value(0).run()
    page.segmented_control(key="axis").set_value("linear").run()
    assert not page.exception
    frames = json.loads(page.get("plotly_chart")[1].proto.spec)["frames"]
    assert [frame["name"] for frame in frames] == ["0", "1", "3"]


def test_dynamics_moves_a_boundary(monkeypatch, ready_run):
    page = opened(monkeypatch, ready_run.path.parent, "dynamics", run="tiny")
    page.selectbox(key="boundary-epoch").set_value(1)
    next(button for button in page.button if button.label == "Set").click().run()
    assert not page.exception
    assert ready_run.manifest["moved_boundaries"] == {"1|2": 1.0}
    said = " ".join(text.value for text in page.markdown)
    assert "set by hand" in said and "**Phase 1, epochs 0–1:** generalizable strength" in said


def test_the_address_keeps_what_has_a_moving_default(monkeypatch, labelled_run):
    page = opened(monkeypatch, labelled_run.path.parent, "dynamics", view="Six epochs")
    assert (page.query_params["epoch"], page.query_params["epochs"]) == ("3", ["0", "1", "3"])
    page.multiselect(key="epochs").set_value([3, 1]).run()
    assert page.query_params["epochs"] == ["1", "3"]
    page.multiselect(key="epochs").set_value([]).run()
    assert page.multiselect(key="epochs").value == [0, 1, 3]  # the automatic ones again


@pytest.mark.parametrize("view", ["Orders at one epoch", "Six epochs", "Order × epoch"])
def test_sections_of_dynamics(monkeypatch, labelled_run, view):
    page = opened(monkeypatch, labelled_run.path.parent, "dynamics", view=view, type="apart")
    assert not page.exception and not page.error and not page.warning
    assert len(page.get("plotly_chart")) == (3 if view == "Order × epoch" else 2)


def test_another_run_without_the_pinned_epoch(monkeypatch, labelled_run, ready_run):
    shutil.copytree(ready_run.path, ready_run.path.with_name("twin"))
    shutil.rmtree(next((ready_run.path.with_name("twin") / "labels").glob("target-00001-*")))
    page = opened(monkeypatch, ready_run.path.parent, "dynamics", run="tiny", epoch="1")
    page.selectbox(key="chosen_run").select("twin").run()
    assert not any("The link asks" in box.value for box in page.warning)
    assert page.query_params["epoch"] == "3"


def test_runs_keeps_tags_and_notes(monkeypatch, ready_run):
    page = opened(monkeypatch, ready_run.path.parent, "runs", run="tiny")
    page.text_input(key="tags-tiny").set_value("paper, noise")
    page.text_area(key="notes-tiny").set_value("<b>mine</b>")
    next(button for button in page.button if button.label == "Keep").click().run()
    assert not page.exception
    assert ready_run.manifest["tags"] == ["paper", "noise"] and ready_run.manifest["notes"] == "<b>mine</b>"


def test_runs_starts_a_job(monkeypatch, labelled_run, tmp_path):
    asked = []

    def start(*arguments):
        asked.append(arguments)
        raise OSError("no more processes")

    monkeypatch.setattr("interdash.jobs.start", start)
    page = opened(monkeypatch, labelled_run.path.parent, "runs")
    assert not asked  # nothing starts by itself
    page.text_input(key="new-name").set_value("../x")
    next(button for button in page.button if button.label == "Start").click().run()
    assert "cannot name a run" in words(page) and not asked
    page.text_input(key="new-name").set_value("mine")
    next(button for button in page.button if button.label == "Start").click().run()
    ((root, title, run, commands),) = asked
    assert (root, run) == (labelled_run.path.parent, "mine") and "mine" in title
    assert commands[0][:4] == ["train", "mnist", "--name", "mine"]


def test_two_roots(monkeypatch, labelled_run, ready_run):
    monkeypatch.setenv("INTERDASH_ROOT", f"{labelled_run.path.parent}:{ready_run.path.parent}")
    assert ui.run_names() == {"tiny": labelled_run.path}
    assert ui.open_run("tiny").path == labelled_run.path
    with pytest.raises(ValueError, match="there is no run 'other'; choose one of tiny"):
        ui.open_run("other")
    page = AppTest.from_file(ui.FOLDER / "dynamics.py", default_timeout=60).run()
    (said,) = [box.value for box in page.warning]
    assert said.startswith("2 folders hold a run tiny. This is ") and "rename that folder" in said
    assert said.index(str(labelled_run.path)) < said.index(str(ready_run.path))


def test_one_card_of_two_runs_of_one_name(monkeypatch, labelled_run, ready_run):
    ready_run.update(notes="the second one")
    for first, second, notes in ((labelled_run, ready_run, ""), (ready_run, labelled_run, "the second one")):
        monkeypatch.setenv("INTERDASH_ROOT", f"{first.path.parent}:{second.path.parent}")
        page = AppTest.from_file(ui.FOLDER / "runs.py", default_timeout=60)
        page.query_params["run"] = "tiny"
        page.run()
        assert not page.exception and [area.value for area in page.text_area] == [notes]


def test_a_job_of_any_folder_is_found(monkeypatch, labelled_run, ready_run):
    name = "20260101-000000-abcdef"
    folder = ready_run.path.parent / ".jobs" / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"title": "![x](u)", "run": "tiny", "commands": [["info"]]}))
    (folder / "log").write_text("3 units, 60 samples, about 1 MB and 2 s")
    (folder / "exit").write_text("0")
    monkeypatch.setenv("INTERDASH_ROOT", f"{labelled_run.path.parent}:{ready_run.path.parent}")
    page = AppTest.from_file(ui.FOLDER / "runs.py", default_timeout=60)
    page.query_params["job"] = name
    page.run()
    assert "a job that is not there" not in words(page)
    assert any(r"\!\[x\]\(u\)" in text.value for text in page.markdown)
    assert any("about 1 MB and 2 s" in text.value for text in page.text)  # an estimate is shown, not only logged
    page.query_params["job"] = "20260101-000000-000000"
    page.run()
    assert words(page).count("a job that is not there") == 1


def test_login_where_one_is_set_up(monkeypatch, labelled_run):
    monkeypatch.setenv("INTERDASH_ROOT", str(labelled_run.path.parent))
    page = AppTest.from_file(ui.FOLDER / "dynamics.py", default_timeout=60)
    page.user = {"is_logged_in": False}
    page.run()
    assert [button.label for button in page.button] == ["Log in"] and not page.get("plotly_chart")
    page.user = {"is_logged_in": True, "email": "a@example.org"}
    page.run()
    assert "Log out" in [button.label for button in page.button] and page.get("plotly_chart")


def test_runs_loads_what_will_be_opened_next(monkeypatch, labelled_run):
    page = opened(monkeypatch, labelled_run.path.parent, "runs")
    shared = ui_data._shared()
    shared.ahead.join()
    assert not page.exception and str(labelled_run.path) in shared.versions
    assert shared.store.fetch("SELECT DISTINCT run FROM strengths") == [("tiny",)]


def test_help_shows_every_text(monkeypatch, tmp_path):
    for name in manual.TEXTS:
        page = opened(monkeypatch, tmp_path, "help", text=name)
        assert not page.exception and page.header[0].value == manual.title(name)
        shown = " ".join(text.value for text in page.markdown)
        assert all(content.strip() in shown for alt, content in manual.pieces(name) if not alt)
