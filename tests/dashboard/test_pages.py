"""Every page, alone and through app.py, on a ready run, an empty folder, a partial and a damaged run."""

import json
import shutil
import threading
from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from interdash.dashboard import data, help
from interdash.dashboard import page as ui
from interdash.figures.chart import Drawing
from interdash.pipeline import extract_and_label
from interdash.presets import PRESETS
from interdash.store.database import Store
from tests.conftest import PATIENCE

PAGES = sorted(ui.pages())
NEED_LABELS = ("dynamics", "sample", "interactions", "removal", "theories", "figures")


def words(page):
    return " ".join(str(box.value) for kind in (page.info, page.warning, page.error) for box in kind)


@pytest.mark.parametrize("through_app", [False, True])
def test_ready(visit, labelled_run, through_app):
    for stem in PAGES:
        page = visit(stem, labelled_run.path.parent, through_app=through_app)
        assert not page.error, stem
        assert page.title[0].value == ui.PAGES[stem][0]
        page.run()
        assert not page.exception, stem


@pytest.mark.parametrize("through_app", [False, True])
def test_empty(visit, tmp_path, through_app):
    for stem in PAGES:
        page = visit(stem, tmp_path / "nothing", through_app=through_app)
        assert not page.error, stem
        assert stem == "help" or "interdash demo" in words(page), stem  # help needs no run


def nothing_extracted(run):
    return "No epoch of tiny has interactions yet: it is partial"


def some_epochs_labelled(run):
    shutil.rmtree(next(run.labels_dir.glob("target-00001-*")))
    run.update(summary=None)
    return "tiny is partial: labels of 1 epochs; `interdash extract tiny` makes them."


def recording(run):
    (run.path / "metrics.jsonl").unlink()
    run.update(networks={})
    return "No epoch of tiny has interactions yet: it is recording"


@pytest.mark.parametrize(
    "fixture, spoil", [("fresh_run", nothing_extracted), ("ready_run", some_epochs_labelled), ("fresh_run", recording)]
)
def test_partial(visit, request, fixture, spoil):
    run = request.getfixturevalue(fixture)
    says = spoil(run)
    for stem in PAGES:
        page = visit(stem, run.path.parent)
        assert not page.error, stem
        assert stem not in NEED_LABELS or says in words(page), stem


def test_damaged_list_of_samples(visit, ready_run):
    for path in next(ready_run.labels_dir.glob("samples-*")).iterdir():
        path.write_bytes(b"nothing of the sort")
    for stem in PAGES:
        page = visit(stem, ready_run.path.parent, run="tiny")
        assert not page.error, stem
        if stem in NEED_LABELS:
            assert "damaged" in words(page), stem
            assert ("`interdash extract tiny` makes it again" in words(page)) == (stem != "dynamics"), stem


def test_an_open_page_says_that_there_are_newer_data(visit, monkeypatch, ready_run):
    page = visit("dynamics", ready_run.path.parent)
    assert "newer data" not in words(page)
    stale = data.data_version(ready_run)
    monkeypatch.setattr(ui, "load", lambda run: (data.load(run)[0], stale))
    ready_run.update(notes="meanwhile")
    page.run()
    assert "tiny has newer data than this page shows" in words(page)


def test_what_nobody_foresaw_is_said_in_words(visit, monkeypatch, labelled_run, caplog):
    monkeypatch.setattr("interdash.queries.dynamics.epochs", lambda *_, **__: {}["nothing"])
    page = visit("dynamics", labelled_run.path.parent)
    assert "has failed in a way that nobody foresaw (KeyError)" in words(page)
    assert "nothing" in str(caplog.records[-1].exc_info)
    caplog.clear()


@pytest.mark.parametrize("split", ["clean", "random"])
def test_curves_of_clean_and_of_random_labels(visit, labelled_run, small_store, split):
    """Those of the training samples with such a label, against plain means; of a class too; few have no verdict."""
    from interdash.queries import baselines, dynamics, lives, sample

    every = small_store.ask("FROM samples WHERE split = 'train'")
    labels = every["label"][(every["label"] != every["true_label"]) == (split == "random")]
    for label in (-1, int(labels.iloc[0])):
        numbers = sample.sample_numbers(small_store, "tiny", 3, split=split, label=label)
        assert numbers == every["sample"][labels.index[labels.isin([label]) | (label == -1)]].tolist()
        of = "network = 'target' AND list_contains(?, sample)"
        means = small_store.ask(
            f"""SELECT epoch, avg(salient_strength) AS strength, sum(generalizable) / sum(salient_strength) AS power,
            avg(loss) AS loss FROM sample_epochs WHERE {of} GROUP BY epoch ORDER BY epoch""",
            [numbers],
        )
        learned = small_store.ask(
            """SELECT sum(learned) / len($some) AS learned FROM flows WHERE list_contains($some, sample)
            GROUP BY epoch_to ORDER BY epoch_to""",
            {"some": numbers},
        )
        epochs = dynamics.epochs(small_store, "tiny", split=split, label=label).dropna(subset=["strength"])
        by_order = dynamics.order_strength(small_store, "tiny", split=split, label=label).groupby("epoch")["strength"]
        for ours in (epochs["strength"], by_order.sum()):
            assert ours.tolist() == pytest.approx(means["strength"].tolist())
        alone = baselines.strengths(small_store, "tiny", split=split, label=label)
        for ours in (epochs["generalization_power"], alone["generalization_power"]):
            assert ours.tolist() == pytest.approx(means["power"].tolist())
        losses = lives.explained_losses(small_store, "tiny", split=split, label=label)
        assert losses["train_loss"].tolist() == pytest.approx(means["loss"].tolist()) and losses["gap"].isna().all()
        flows = dynamics.flows(small_store, "tiny", split=split, label=label)
        assert flows["learned"].tolist() == pytest.approx(learned["learned"].tolist())
        for rows in (epochs, flows, lives.life_classes(small_store, "tiny", split=split, label=label)):
            assert set(rows["samples"]) == {len(numbers)}
        rows = dynamics.strength(small_store, "tiny", split=split, label=label)
        assert rows["strength_low"].isna().all() == (len(numbers) < 10)
    page = visit("dynamics", labelled_run.path.parent, run="tiny", split=split)
    whose = f"n = {len(labels)} training samples with {split} labels"
    assert page.subheader[0].value.startswith(f"{whose}: too few") == (len(labels) < 10)
    assert any(whose in caption.value for caption in page.caption)


def test_damaged(visit, ready_run):
    for paths in (next(ready_run.labels_dir.glob("target-*")).iterdir(), [ready_run.path / "run.json"]):
        for path in paths:
            path.write_bytes(b"nothing of the sort")
        for stem in PAGES:
            visit(stem, ready_run.path.parent, run="tiny")


def test_dynamics_pins_and_filters(visit, labelled_run):
    page = visit("dynamics", labelled_run.path.parent, epoch="1", split="training", type="apart")
    flows, other, curves, *_ = page.get("plotly_chart")
    assert all(chart.proto.alt.startswith("What is learned and what is removed") for chart in (flows, other))
    assert curves.proto.alt.startswith("Losses of the whole splits; strength of")
    traces = json.loads(curves.proto.spec)["data"]
    assert [trace["name"] for trace in traces if trace.get("name", "").startswith("H")] == [
        *("H, AND", "H by chance, AND"),
        *("H, OR", "H by chance, OR"),
    ]
    page.select_slider(key="epoch").set_value(0).run()
    page.segmented_control(key="axis").set_value("linear").run()
    assert not page.exception
    page = visit("dynamics", labelled_run.path.parent, view="Orders at one epoch")
    frames = json.loads(page.get("plotly_chart")[-1].proto.spec)["frames"]
    assert [frame["name"] for frame in frames] == ["0", "1", "3"]


def test_dynamics_moves_a_boundary(visit, ready_run):
    page = visit("dynamics", ready_run.path.parent, run="tiny")
    page.selectbox(key="boundary-epoch").set_value(1)
    next(button for button in page.button if button.label == "Set").click().run()
    assert not page.exception
    assert ready_run.manifest["moved_boundaries"] == {"1|2": 1.0}
    said = " ".join(text.value for text in page.markdown)
    assert "set by hand" in said and "| 1 | 0–1 | " in said


def test_the_address_keeps_what_has_a_moving_default(visit, labelled_run):
    page = visit("dynamics", labelled_run.path.parent, view="Six epochs")
    assert (page.query_params["epoch"], page.query_params["epochs"]) == ("3", ["0", "1", "3"])
    page.multiselect(key="epochs").set_value([3, 1]).run()
    assert page.query_params["epochs"] == ["1", "3"]
    page.multiselect(key="epochs").set_value([]).run()
    assert page.multiselect(key="epochs").value == [0, 1, 3]  # the automatic ones again


def test_sections_of_dynamics(visit, labelled_run):
    for view in ("Losses and strengths", "Orders at one epoch", "Six epochs", "Order × epoch"):
        page = visit("dynamics", labelled_run.path.parent, view=view, type="apart")
        assert not page.error and not page.warning, view
        assert len(page.get("plotly_chart")) == 2 + (2 if view == "Order × epoch" else 1), view  # AND, OR; the tab


def test_lives_from_a_start_epoch(visit, labelled_run):
    page = visit("dynamics", labelled_run.path.parent, view="Life cycle")
    assert page.selectbox(key="start").value == 0  # no boundary in three epochs
    assert any(text.value.startswith("| epoch 3 | preserved since 0 |") for text in page.markdown)
    page.selectbox(key="start").set_value(1).run()
    assert any(text.value.startswith("| epoch 3 | preserved since 1 |") for text in page.markdown)
    areas = json.loads(page.get("plotly_chart")[1].proto.spec)["data"]
    assert {*map(tuple, (trace["customdata"] for trace in areas if "customdata" in trace))} <= {(1, 3), (3,)}
    page.select_slider(key="epoch").set_value(0).run()  # before the start: no table
    assert not page.error and not any("preserved since" in text.value for text in page.markdown)


def test_another_run_without_the_pinned_epoch(visit, labelled_run, ready_run):
    shutil.copytree(ready_run.path, ready_run.path.with_name("twin"))
    shutil.rmtree(next((ready_run.path.with_name("twin") / "labels").glob("target-00001-*")))
    page = visit("dynamics", ready_run.path.parent, run="tiny", epoch="1")
    page.selectbox(key="chosen_run").select("twin").run()
    assert not any("The link asks" in box.value for box in page.warning)
    assert page.query_params["epoch"] == "3"


def test_runs_keeps_tags_and_notes(visit, ready_run):
    page = visit("runs", ready_run.path.parent, run="tiny")
    page.text_input(key="tags-tiny").set_value("paper, noise")
    page.text_area(key="notes-tiny").set_value("<b>mine</b>")
    next(button for button in page.button if button.label == "Save").click().run()
    assert not page.exception
    assert ready_run.manifest["tags"] == ["paper", "noise"] and ready_run.manifest["notes"] == "<b>mine</b>"


def test_runs_starts_a_job(visit, monkeypatch, labelled_run, tmp_path):
    asked = []

    def start(*arguments):
        asked.append(arguments)
        raise OSError("no more processes")

    monkeypatch.setattr("interdash.dashboard.jobs.start", start)
    page = visit("runs", labelled_run.path.parent)
    assert not asked  # nothing starts by itself
    assert page.text_input(key="new-name").placeholder == "mnist"
    page.selectbox(key="new-preset").select("digits").run()
    training = PRESETS["digits"].config.training  # the preset's values, none that stands for another
    assert (page.number_input(key="new-epochs-digits").value, page.number_input(key="new-noise-digits").value) == (
        training.epochs, 10,
    )  # fmt: skip
    page.selectbox(key="new-preset").select("mnist").run()
    page.text_input(key="new-name").set_value("tiny").run()
    assert "There is a run tiny already; tiny\\-2 is free." in words(page)
    assert next(button for button in page.button if button.label == "Start").disabled
    page.text_input(key="new-name").set_value("../x").run()
    next(button for button in page.button if button.label == "Start").click().run()
    assert "cannot name a run" in words(page) and not asked
    page.text_input(key="new-name").set_value("mine")
    next(button for button in page.button if button.label == "Start").click().run()
    ((root, title, run, commands),) = asked
    assert (root, run) == (labelled_run.path.parent, "mine") and "mine" in title
    assert commands[0][:6] == ["train", "mnist", "--name", "mine", "--epochs", "64"]


def test_runs_offers_an_extraction_where_something_is_missing(visit, labelled_run, fresh_run):
    for run, missing in ((labelled_run, False), (fresh_run, True)):
        page = visit("runs", run.path.parent, run="tiny")
        (extract,) = [button for button in page.button if button.label == "Extract what is missing"]
        assert extract.disabled != missing


def test_runs_says_that_nothing_matches_and_clears(visit, labelled_run):
    page = visit("runs", labelled_run.path.parent, q="zzzz")
    assert "No run matches `zzzz`." in words(page) and not page.dataframe
    next(button for button in page.button if button.label == "Clear search and filters").click().run()
    assert page.dataframe and not page.text_input(key="q").value


def test_ticked_runs_go_to_compare_and_figures(visit, two_runs):
    page = visit("runs", two_runs, run="tiny", runs=["twin", "gone", "tiny"])
    links = [html.proto.body for html in page.get("html") if html.proto.body.startswith("<a")]
    assert any("compare?runs=tiny&amp;runs=twin" in link for link in links)  # on the card: this one first
    assert any("figures?run=tiny&amp;with=twin" in link for link in links)
    (ticked,) = [link for link in links if "Compare twin, tiny" in link]
    assert "compare?runs=twin&amp;runs=tiny" in ticked
    (group,) = visit("runs", two_runs, list="settings, over seeds").dataframe[0].value["runs"]
    assert sorted(group) == ["tiny", "twin"]


def test_runs_that_differ_in_the_seed_are_one_line_beside_a_run(visit, two_runs, labelled_run):
    page = visit("dynamics", two_runs, run="tiny", view="Over seeds", split="training")
    text = "Mean ± one standard deviation of 2 runs that differ in the seed alone: tiny, twin."
    assert text in [said.value.replace("\\", "") for said in page.markdown]
    chart = page.get("plotly_chart")[-1].proto
    assert chart.alt.startswith("Losses, strengths and H of several runs")
    assert {trace["name"] for trace in json.loads(chart.spec)["data"] if trace.get("name")} == {"tiny (mean of 2)"}
    assert any("n = 30 training samples" in caption.value for caption in page.caption)
    links = [html.proto.body for html in page.get("html")]
    assert any("compare?runs=tiny&amp;runs=twin" in link and "one by one" in link for link in links)
    alone = visit("dynamics", labelled_run.path.parent, run="tiny")
    assert "Over seeds" not in [tab.label for tab in alone.tabs]


def test_two_roots(visit, labelled_run, ready_run):
    page = visit("dynamics", labelled_run.path.parent, ready_run.path.parent)
    assert data.run_names() == {"tiny": labelled_run.path}
    assert data.open_run("tiny").path == labelled_run.path
    with pytest.raises(ValueError, match="there is no run 'other'; choose one of tiny"):
        data.open_run("other")
    (said,) = [box.value for box in page.warning]
    assert said.startswith("2 folders hold a run tiny. This is ") and "rename that folder" in said
    assert said.index(str(labelled_run.path)) < said.index(str(ready_run.path))
    ready_run.update(notes="the second one")
    for first, second, notes in ((labelled_run, ready_run, ""), (ready_run, labelled_run, "the second one")):
        page = visit("runs", first.path.parent, second.path.parent, run="tiny")
        assert [area.value for area in page.text_area] == [notes]


def test_a_job_of_any_folder_is_found(visit, labelled_run, ready_run):
    name = "20260101-000000-abcdef"
    folder = ready_run.path.parent / ".jobs" / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"title": "![x](u)", "run": "tiny", "commands": [["info"]]}))
    (folder / "log").write_text("3 units, 60 samples, about 1 MB and 2 s")
    (folder / "exit").write_text("0")
    page = visit("runs", labelled_run.path.parent, ready_run.path.parent, job=name)
    assert "a job that is not there" not in words(page)
    assert any(r"\!\[x\]\(u\)" in text.value for text in page.markdown)
    assert any("about 1 MB and 2 s" in text.value for text in page.text)  # an estimate is shown, not only logged
    page.query_params["job"] = "20260101-000000-000000"
    page.run()
    assert words(page).count("a job that is not there") == 1


def test_login_where_one_is_set_up(monkeypatch, labelled_run):
    monkeypatch.setenv("INTERDASH_ROOT", str(labelled_run.path.parent))
    page = AppTest.from_file(ui.FOLDER / "dynamics.py", default_timeout=PATIENCE)
    page.user = {"is_logged_in": False}
    page.run()
    assert [button.label for button in page.button] == ["Log in"] and not page.get("plotly_chart")
    page.user = {"is_logged_in": True, "email": "a@example.org"}
    page.run()
    assert "Log out" in [button.label for button in page.button] and page.get("plotly_chart")


def test_runs_loads_what_will_be_opened_next(visit, labelled_run):
    data._shared.clear()
    page = visit("runs", labelled_run.path.parent)
    shared = data._shared()
    shared.ahead.join()
    assert not page.exception and str(labelled_run.path) in shared.versions
    assert shared.store.fetch("SELECT DISTINCT run FROM strengths") == [("tiny",)]


def test_another_run_opens_at_its_own_last_epoch(visit, ready_run):
    """Unless another epoch than the last of the run before is pinned, and it has that."""
    twin = shutil.copytree(ready_run.path, ready_run.path.with_name("twin"))
    shutil.rmtree(next((twin / "labels").glob("target-00003-*")))
    for epoch, then in (("1", "3"), ("0", "0")):  # of twin 1 is the last
        page = visit("dynamics", ready_run.path.parent, run="twin", epoch=epoch)
        page.selectbox(key="chosen_run").select("tiny").run()
        assert page.query_params["epoch"] == then


def test_an_unknown_run_is_named_beside_the_charts_of_another(visit, labelled_run):
    page = visit("dynamics", labelled_run.path.parent, run="nope")
    assert "There is no run `nope`. This is tiny; another is chosen on the left." in [
        box.value for box in page.main.warning
    ]


def test_help_is_searched(visit, tmp_path):
    page = visit("help", tmp_path, search="salient THRESHOLD")
    assert not page.header and "sections have all words" in page.caption[0].value
    assert any("(help?text=glossary)" in text.value for text in page.markdown)
    assert visit("help", tmp_path, search="zzzz").caption[0].value.startswith("0 sections have")
    page = visit("help", tmp_path, text="nope")
    assert "The link asks for text `nope`" in words(page) and page.header[0].value == help.title("tour")
    places = help.search("ablauf")
    assert places == [] and help.search("") == []
    name, heading, line = help.search("salient threshold")[0]
    assert (name, heading) == ("glossary", "Glossary") and line.startswith("τ, salient: The threshold, in nats")
    assert ("charts", "life lines") in [place[:2] for place in help.search("life lines")]  # a chart's name, in words


def test_every_page_says_what_its_words_mean(visit, tmp_path):
    terms = help.glossary()
    assert {"nats", "δ", "κ", "τ, salient", "baseline network", "generalizable share (H)"} <= terms.keys()
    page = visit("help", tmp_path)
    (shown,) = [text.value for text in page.sidebar.markdown if "**nats**" in text.value]
    assert all(f"**{term}**: {meaning}" in shown for term, meaning in terms.items())


def test_help_shows_every_text(visit, tmp_path):
    for name in help.TEXTS:
        page = visit("help", tmp_path, text=name)
        assert page.header[0].value == help.title(name)
        shown = " ".join(text.value for text in page.markdown)
        assert all(content.strip() in shown for alt, content in help.pieces(name) if not alt)


def test_of_few_samples_there_is_no_verdict(visit, labelled_run, small_store):
    """The heading says how many they are; with enough, the finding does."""
    from interdash.queries import dynamics, sample

    root = labelled_run.path.parent
    (label,) = sample.classes(small_store, "tiny").query("0 < test < 10")["label"].head(1)
    few = visit("dynamics", root, run="tiny", split="testing", label=str(label))
    count = sample.counts(small_store, "tiny", split="test", label=label)["test"]
    assert few.subheader[0].value.startswith(f"n = {count} testing sample") and "too few" in few.subheader[0].value
    assert "no verdict, and no interval is drawn" in few.warning[0].value
    assert any(f"n = {count} testing sample" in caption.value for caption in few.caption)
    assert not any("as published" in text.value for text in few.markdown)
    rows = dynamics.strength(small_store, "tiny", split="test", label=label)
    assert rows["samples"].eq(count).all() and rows["generalizable_low"].isna().all()
    assert dynamics.flows(small_store, "tiny", split="test", label=label)["power_low"].isna().all()
    every = visit("dynamics", root, run="tiny")
    assert not every.warning and any(
        "n = 30 training samples and 30 testing samples" in text.value for text in every.markdown
    )
    assert dynamics.flows(small_store, "tiny")["learned_low"].notna().all()
    losses = small_store.ask(
        "SELECT split, avg(loss) AS loss FROM sample_epochs JOIN samples USING (run, sample) "
        "WHERE network = 'target' AND epoch = 3 GROUP BY split"
    ).set_index("split")["loss"]
    gap = losses["test"] - losses["train"]
    assert any(
        f"Loss gap at epoch 3: {gap:.3f} nats for the explained".replace(" -", " −") in caption.value
        for caption in every.caption
    )


def test_a_run_of_one_epoch(visit, ready_run):
    """One checkpoint: nothing is learned between epochs and no theory has a course; pages say what there is."""
    for epoch in (0, 1):
        ready_run.checkpoint_path("target", epoch).unlink()
    shutil.rmtree(ready_run.labels_dir)
    assert not extract_and_label(ready_run).problems
    for stem in PAGES:
        page = visit(stem, ready_run.path.parent)
        assert not page.exception and not page.error, stem


@pytest.mark.parametrize(
    ("stem", "presses"),
    [
        (
            "dynamics",
            {
                "epoch": 3, "split": "training", "type": "apart", "unit": "nats", "axis": "linear",
                "view": ["Order × epoch", "Six epochs", "Life cycle"],
            },
        ),
        ("interactions", {"rank": "flips", "epoch": 3, "split": "training", "type": "OR", "view": ["Network"]}),
    ],
)  # fmt: skip
def test_what_is_one_press_away_is_read_ahead(visit, labelled_run, monkeypatch, stem, presses):
    page = visit(stem, labelled_run.path.parent, epoch="1")
    data._shared().ahead.join()
    done, ask, figure = [], Store.ask, Drawing.figure

    def heard(do, what, *rest, **settings):
        if threading.current_thread() is not data._shared().ahead:
            done.append(what)
        return do(what, *rest, **settings)

    monkeypatch.setattr(
        Store, "ask", lambda store, sql, *rest, **settings: heard(partial(ask, store), sql, *rest, **settings)
    )
    monkeypatch.setattr(Drawing, "figure", lambda drawing: heard(figure, drawing))
    for key, values in presses.items():
        for value in values if isinstance(values, list) else [values]:
            if key in ("view", "axis"):
                page.query_params[key] = page.session_state[key] = value
                page.run()
            else:
                (page.select_slider if key == "epoch" else page.selectbox)(key=key).set_value(value).run()
            data._shared().ahead.join()
            assert not page.exception and done == [], (key, value)


def test_reading_ahead_gives_way_to_a_page(labelled_run, monkeypatch):
    taken = []
    data.read_ahead([lambda: taken.append(1), lambda: 1 / 0, lambda: taken.append(2), data.start_page, taken.clear])
    data._shared().ahead.join()
    assert taken == [1, 2]
    held = threading.Event()
    data.read_ahead([held.wait, lambda: taken.append(3)])
    data.read_ahead([lambda: taken.append(4)])  # under way
    data.start_page()
    data.read_ahead([lambda: taken.append(5)])  # once the step before has ended
    held.set()
    data._shared().ahead.join()
    assert taken == [1, 2, 5]
    data.read_ahead([lambda: taken.append(6)], pause=60)
    data.start_page()
    data._shared().ahead.join()
    assert taken == [1, 2, 5]
