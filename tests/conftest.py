"""Runs that several tests read: a tiny one, trained, extracted and labelled once a session, and a copy to spoil."""

import os
import shutil
import sys
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import plotly.graph_objects as go
import pytest
import torch
from filelock import FileLock

from interdash.config import GeneralizationConfig
from interdash.figures import sheet
from interdash.presets import PRESETS
from interdash.runs.run import Run

SPEC_FILE = """import torch
from torch import nn
from torch.nn import functional
import interdash

print("the spec file runs")

def train(network, inputs, labels, seed):
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(30):
        optimizer.zero_grad()
        functional.cross_entropy(network(inputs), labels).backward()
        optimizer.step()

def spec():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 3, generator=generator)
    y = (x[:, 0] > 0).long()
    return interdash.Spec(
        network=lambda: nn.Linear(3, 2),
        train_inputs=x[:20], train_labels=y[:20], test_inputs=x[20:], test_labels=y[20:],
        variables=interdash.MaskingConfig("table"), class_names=["no", "yes"],
        columns=["age", "size", "noise"], train=train,
    )

def wrong():
    return 3

def fails():
    raise KeyError("data.csv")
"""  # a user's: three columns, of which the first decides the class
VISITED: dict[str, str] = {}  # the folders whose runs the pages' store holds
PATIENCE = 240  # seconds: how long a test waits for what comes soon on a quiet machine; costs nothing when it comes
sheet.CHECKED = True
torch.set_num_threads(1)  # more are slower on such small problems, the more so beside other processes


def pytest_collection_modifyitems(items):
    """Puts the longest tests first: none is left for one worker alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def fresh_process():
    """Starts each test as in a process of its own: no answers kept, and `__main__` put back afterwards.

    A page under AppTest takes the place of `__main__`, and worker processes would start by running it.
    """
    before = sys.modules["__main__"]
    if streamlit := sys.modules.get("streamlit"):
        streamlit.cache_data.clear()
    if picker := sys.modules.get("interdash.dashboard.picker"):
        picker._printed.clear()
    yield
    sys.modules["__main__"] = before


@pytest.fixture(autouse=True, scope="session")
def components_are_found_once():
    """Looks for installed Streamlit components once, not for every page under AppTest, most of whose time it took."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(autouse=True)
def nothing_unforeseen(caplog):
    """Fails a test in which a page met an error that it said in words, for want of better ones."""
    yield
    said = [each.getMessage() for each in caplog.get_records("call") if each.name == "interdash.dashboard.page"]
    assert not said


@pytest.fixture
def visit(monkeypatch):
    """Returns a function that runs a page on folders of runs at an address and returns it, never with a stack trace.

    The page Figures comes without the pictures of all charts, most of its time, unless `pictures` asks for them. The
    store is kept from one visit to the next while the folders are the same: to load it is most of a visit.
    """
    from streamlit.testing.v1 import AppTest

    from interdash.dashboard import data, picker
    from interdash.dashboard import page as ui

    def visited(stem, /, *roots, through_app=False, pictures=False, **query):
        if not pictures:
            monkeypatch.setattr(picker, "_draw", lambda page, places: None)
        monkeypatch.setenv("INTERDASH_ROOT", folders := os.pathsep.join(map(str, roots)))
        if VISITED.setdefault("folders", folders) != folders:
            rest()
            data._shared.clear()
            VISITED["folders"] = folders
        script = ui.FOLDER.parent / "app.py" if through_app else ui.FOLDER / f"{stem}.py"
        page = AppTest.from_file(script, default_timeout=PATIENCE)
        page.query_params.update(query)
        page.run()
        page = page.switch_page(f"pages/{stem}.py").run() if through_app else page
        assert not page.exception, (stem, query)
        return page

    def rest():
        """Ends what a page reads ahead."""
        data.start_page()
        if (ahead := data._shared().ahead) is not None:
            ahead.join()

    yield visited
    rest()


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are neither set for print nor drawn: their files hold two words."""
    from interdash.paper import bundle, chromium

    blank = go.Figure(layout={"width": 528, "height": 300})
    monkeypatch.setattr(bundle, "printed", lambda *drawing: blank)
    monkeypatch.setattr(chromium, "drawn", lambda figure, forms, **how: dict.fromkeys(forms, b"%PDF undrawn"))


def tiny_config(name="tiny"):
    """Returns the digits preset made smaller: n = 4, three epochs, 30 + 30 explained samples, one baseline network."""
    digits = PRESETS["digits"].config
    training = replace(digits.training, epochs=3, checkpoints=(0, 1, 3))
    masking = replace(digits.masking, n_variables=4, samples_per_split=30)
    return replace(
        digits, name=name, training=training, masking=masking, generalization=GeneralizationConfig(baselines=1)
    )


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Returns a function that fills a folder of runs once for all workers of a session; each gets a copy of its own."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "runs-of-all-workers"
    shared.mkdir(exist_ok=True)

    def folder(name, fill) -> Path:
        with FileLock(shared / f"{name}.lock"):
            if not (shared / name).exists():
                shutil.rmtree(shared / f".{name}", ignore_errors=True)
                (shared / f".{name}").mkdir()
                fill(shared / f".{name}")
                (shared / f".{name}").rename(shared / name)
        return shutil.copytree(shared / name, tmp_path_factory.mktemp(name), dirs_exist_ok=True)

    return folder


@pytest.fixture(scope="session")
def trained_run(once) -> Run:
    """A run with target and baseline checkpoints, nothing extracted. Not to be written to."""
    from interdash.training import builtin, network_of_run

    def fill(root):
        run = builtin.create_run(root, tiny_config())
        builtin.train_run(run)
        network_of_run.train_baseline(run, 0)

    return Run(once("trained", fill) / "tiny")


@pytest.fixture(scope="session")
def labelled_run(trained_run, once) -> Run:
    """A run that is ready. Not to be written to."""
    from interdash import pipeline
    from interdash.labelling import information, layers
    from interdash.training import gradients

    def fill(root):
        run = Run(shutil.copytree(trained_run.path, root / "tiny"))
        pipeline.extract_and_label(run, workers=0)
        gradients.measure_coherence(gradients.Work(run))
        layers.measure_layers(layers.Work(run))
        information.measure_information(information.Work(run))

    return Run(once("labelled", fill) / "tiny")


@pytest.fixture(scope="session")
def run_of_three(trained_run, once) -> Run:
    """A run that is ready, with three baseline networks. Not to be written to."""
    from interdash import pipeline

    def fill(root):
        run = Run(shutil.copytree(trained_run.path, root / "tiny"))
        run.update(config=replace(run.config, generalization=GeneralizationConfig()).to_json())
        pipeline.train_baselines(run)
        pipeline.extract_and_label(run, workers=0)

    return Run(once("three", fill) / "tiny")


@pytest.fixture
def fresh_run(trained_run, tmp_path: Path) -> Run:
    """A copy of the trained run, to extract or to spoil."""
    return Run(shutil.copytree(trained_run.path, tmp_path / "runs" / "tiny"))


@pytest.fixture
def ready_run(labelled_run, tmp_path: Path) -> Run:
    """A copy of the labelled run, to spoil."""
    return Run(shutil.copytree(labelled_run.path, tmp_path / "runs" / "tiny"))


@contextmanager
def store_of(*runs: Run, lazy: bool = False):
    """Yields a store in memory with some runs."""
    from interdash.store.database import open_store
    from interdash.store.loading import refresh

    with closing(open_store(lazy=lazy)) as store:
        for run in runs:
            refresh(store, run)
        yield store


@pytest.fixture
def opened():
    """Returns a function that opens a store in memory with some runs; it is closed after the test."""
    with ExitStack() as stack:
        yield lambda *runs, lazy=True: stack.enter_context(store_of(*runs, lazy=lazy))


@pytest.fixture(scope="session")
def small_store(labelled_run):
    """A store with the labelled run."""
    with store_of(labelled_run) as store:
        yield store


@pytest.fixture(scope="session")
def two_runs(labelled_run, once) -> Path:
    """A folder with two runs on the same samples, tiny (with its noise floor) and twin. Not to be written to."""
    from interdash.labelling import noise_floor

    def fill(root):
        for name in ("twin", "tiny"):
            shutil.copytree(labelled_run.path, root / name)
        tiny = Run(root / "tiny")
        noise_floor.store_noise_floor(tiny, *noise_floor.noise_floor(tiny, samples_per_split=5))

    return once("two", fill)


@pytest.fixture(scope="session")
def two_store(two_runs):
    """A store with the two runs."""
    with store_of(Run(two_runs / "tiny"), Run(two_runs / "twin")) as store:
        yield store


@pytest.fixture(scope="session")
def worded(once) -> dict[str, Run]:
    """A run on tables, census, and one on texts, movies, as small as they can be. Not to be written to."""
    from interdash import pipeline
    from interdash.training import builtin, network_of_run

    def fill(root):
        preset = PRESETS[root.name.removeprefix(".")].config
        config = replace(
            preset, training=replace(preset.training, epochs=1, checkpoints=(0, 1)),
            data=replace(preset.data, n_train=1000, n_test=1000), masking=replace(preset.masking, samples_per_split=3),
        )  # fmt: skip
        run = builtin.create_run(root, config)
        builtin.train_run(run)
        network_of_run.train_baseline(run, 0)
        pipeline.extract_and_label(run, workers=0)

    return {name: Run(once(name, fill) / name) for name in ("census", "movies")}
