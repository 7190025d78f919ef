"""Screen and paper: an exported figure is drawn from the very rows and options that its page gives `ui.show`."""

import inspect
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from interdash import drawings, robustness, ui
from interdash.choices import Choice
from interdash.loading import refresh
from interdash.runs import Run
from interdash.store import open_store
from tests.conftest import PATIENCE

MARKS = {"pinned", "chosen"}  # where the user stands on the page: a line or frame that paper need not have
CASES = [  # page, its address, the choice that asks for the same on paper
    ("dynamics", {}, Choice()),
    ("dynamics", {"split": "testing", "type": "apart", "axis": "linear"}, Choice(split="test", types=("and", "or"),
                                                                                log=False)),
    ("dynamics", {"label": "3"}, Choice(label=3)),
    ("dynamics", {"epoch": "1", "unit": "nats"}, Choice(epoch=1, normalised=False)),
    ("dynamics", {"view": "Six epochs", "epochs": ["0", "3"]}, Choice(epochs=(0, 3))),
    ("dynamics", {"view": "Order × epoch", "type": "apart"}, Choice(types=("and", "or"))),
    ("removal", {}, Choice()),
    ("removal", {"order": "2", "dose": "50", "epoch": "1"}, Choice(epoch=1, min_order=2, dose=50)),
    ("removal", {"view": "By order", "dose": "50"}, Choice(dose=50)),
    ("removal", {"view": "Samples", "order": "2"}, Choice(min_order=2)),
    ("removal", {"view": "Share and gap", "with": "twin"}, Choice(runs=("twin",))),
    ("removal", {"view": "Shape over orders"}, Choice()),
    ("removal", {"view": "Noise floor", "epoch": "1"}, Choice(epoch=1)),
    ("sample", {"sample": "2"}, Choice(sample=2, top=20)),
    ("sample", {"sample": "1", "epoch": "1", "top": "10", "interaction": "or-3"}, Choice(1, sample=1, top=10,
                                                                                         interaction="or-3")),
    ("sample", {"sample": "1", "interaction": "and-6"}, Choice(sample=1, top=20, interaction="and-6")),
    ("sample", {"view": "All strengths"}, Choice(top=20)),
    ("sample", {"view": "Faithfulness"}, Choice(top=20)),
    ("sample", {"view": "Life"}, Choice(top=20)),
    ("compare", {"runs": ["tiny", "twin"], "epoch_b": "1", "number": "2"}, Choice(runs=("twin",), other_epoch=1,
                                                                                   sample=2)),
    ("compare", {"runs": ["tiny", "twin"], "by": "phase", "split": "training"}, Choice(runs=("twin",), by="phase",
                                                                                      split="train")),
]  # fmt: skip


@pytest.fixture(scope="module")
def root(labelled_run, tmp_path_factory):
    """A folder with two runs on the same samples, the noise floor of the first measured."""
    root = tmp_path_factory.mktemp("root")
    for name in ("twin", "tiny"):
        shutil.copytree(labelled_run.path, root / name)
    robustness.store_noise_floor(Run(root / "tiny"), *robustness.noise_floor(Run(root / "tiny"), samples_per_split=5))
    return root


@pytest.fixture(scope="module")
def store(root):
    store = open_store()
    for name in ("tiny", "twin"):
        refresh(store, Run(root / name))
    yield store
    store.close()


def shown(monkeypatch, root, stem, query):
    """Returns what a page gives `ui.show`: figure function, frames, options."""
    found = []

    def show(figure, rows, *, key, on_select=None, note="", **options):
        found.append((figure, list(rows.values()) if isinstance(rows, dict) else [rows], options))

    monkeypatch.setattr(ui, "show", show)
    monkeypatch.setenv("INTERDASH_ROOT", str(root))
    page = AppTest.from_file(ui.FOLDER / f"{stem}.py", default_timeout=PATIENCE)
    for key, value in ({"run": "tiny"} | query).items():
        page.query_params[key] = value
    page.run()
    assert not page.exception and not page.error and not page.warning
    return found


def defaults(figure):
    """Returns the options that a figure function draws with unless told otherwise."""
    every = inspect.signature(figure).parameters.items()
    return {name: parameter.default for name, parameter in every if parameter.kind is parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("stem, query, choice", CASES)
def test_paper_is_drawn_from_what_the_page_shows(monkeypatch, root, store, stem, query, choice):
    run = Run(root / "tiny")
    charts = shown(monkeypatch, root, stem, query)
    assert charts
    for figure, frames, options in charts:
        of = replace(choice, types=(options["type"],)) if figure.__name__ == "order_map" else choice
        made = drawings.drawing(store, run, figure.__name__, of)
        assert made.function is figure
        for ours, theirs in zip(made.rows.values(), frames, strict=True):
            pd.testing.assert_frame_equal(ours, theirs)
        here, there = defaults(figure) | made.options, defaults(figure) | options
        for name in MARKS - made.options.keys():
            here.pop(name, None), there.pop(name, None)
        assert here == there, figure.__name__


def test_every_figure_is_on_a_page(monkeypatch, root, store):
    on_pages = {figure.__name__ for stem, query, _ in CASES for figure, _, _ in shown(monkeypatch, root, stem, query)}
    found = set(drawings.names(store, Run(root / "tiny"), Choice(runs=("twin",))))
    assert on_pages == found


def test_choices_that_cannot_be_are_named(store, root):
    run = Run(root / "tiny")
    for choice, message in (
        (Choice(epochs=(0, 7)), "epoch 7 of tiny has no interactions; choose one of 0, 1, 3"),
        (Choice(runs=("twin",), other_epoch=2), "epoch 2 of twin has no interactions"),
        (Choice(min_order=9), "there is no order 9; choose 1 to 4"),
        (Choice(label=77), "there is no class 77; choose one of 0, 1"),
        (Choice(interaction="and-99"), "there is no interaction and-99; its number is 1 to 15"),
    ):
        with pytest.raises(ValueError, match=message):
            drawings.resolved(store, run, choice)
    for wrong, message in (
        ({"runs": tuple("abcdef")}, "6 other runs cannot be told apart in one figure; compare with 5 at most"),
        ({"by": "time"}, "cannot be aligned by 'time'; choose one of epoch, phase"),
        ({"dose": 55}, "a dose of 55 % is not computed; choose 10, 20, … 100"),
        ({"top": 0}, "0 interactions cannot be listed; choose 1 or more"),
        ({"interaction": "xor-3"}, "'xor-3' names no interaction; write and-37, or-6 or none"),
    ):
        with pytest.raises(ValueError, match=message):
            Choice(**wrong)


def test_captions_say_what_was_chosen(store, root):
    def caption(name, **choice):
        return drawings.drawing(store, Run(root / "tiny"), name, Choice(**choice)).caption

    assert caption("dynamics").endswith("at every recorded epoch.")
    assert caption("dynamics", split="test", label=3, types=("or",)).endswith(
        ". Testing samples, class 3, OR interactions."
    )
    assert caption("waterfall", sample=3).endswith(" Sample 3, epoch 3.")
    assert caption("interaction_life", sample=3, interaction="or-6").endswith(" OR {1, 2}, sample 3.")
    assert caption("removals", min_order=2, dose=50).endswith(" Orders from 2 on, dose 50 %.")
    assert caption("difference", runs=("twin",), other_epoch=1).endswith(" Sample 0, epoch 3 of A, 1 of B.")


def test_map_of_and_and_or_is_two_panels(store, root):
    made = drawings.chosen(store, Run(root / "tiny"), "order_map", Choice(types=("and", "or")))
    assert [part.options["type"] for row in made.parts for part in row] == ["and", "or"]
    assert len(made.parts) == 2  # below each other
