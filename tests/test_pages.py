"""Every page, alone and through app.py, on a ready run, an empty folder, a partial and a damaged run."""

import json

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from interdash import manual, ui, ui_data

APP = ui.FOLDER.parent / "app.py"
PAGES = sorted(ui.pages())
HOSTILE = (
    {"run": "'; DROP TABLE runs; --", "epoch": "1 OR 1=1"},
    {"run": "<script>alert(1)</script>", "label": "<img src=x onerror=alert(1)>"},
    {"run": "../../etc/passwd", "job": "../../etc/passwd"},
    {"run": "tiny", "epoch": "9" * 400, "sample": "-1", "split": "neither", "type": "xor", "epochs": "77"},
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


@pytest.mark.parametrize("stem", PAGES)
def test_partial(monkeypatch, fresh_run, stem):
    page = opened(monkeypatch, fresh_run.path.parent, stem)
    assert not page.exception and not page.error


@pytest.mark.parametrize("stem", PAGES)
def test_recording(monkeypatch, fresh_run, stem):
    (fresh_run.path / "metrics.jsonl").unlink()
    fresh_run.update(networks={})
    page = opened(monkeypatch, fresh_run.path.parent, stem, run="tiny")
    assert not page.exception and not page.error


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
    assert "<script" not in shown and "onerror" not in shown
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


def test_runs_keeps_tags_and_notes(monkeypatch, ready_run):
    page = opened(monkeypatch, ready_run.path.parent, "runs", run="tiny")
    page.text_input(key="tags-tiny").set_value("paper, noise")
    page.text_area(key="notes-tiny").set_value("<b>mine</b>")
    next(button for button in page.button if button.label == "Keep").click().run()
    assert not page.exception
    assert ready_run.manifest["tags"] == ["paper", "noise"] and ready_run.manifest["notes"] == "<b>mine</b>"


def test_runs_starts_a_job(monkeypatch, labelled_run, tmp_path):
    asked = []
    monkeypatch.setattr("interdash.jobs.start", lambda *arguments: asked.append(arguments) or 1 / 0)
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
