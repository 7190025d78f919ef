"""A run in a notebook, and every snippet of Python in the text on figures."""

import re
import warnings

import plotly.graph_objects as go
import pytest

import interdash
from interdash.dashboard import page as ui
from interdash.figures import catalogue

TEXT = (ui.FOLDER.parent / "docs" / "figures.md").read_text()


@pytest.fixture(scope="module")
def run(labelled_run):
    return interdash.open_run("tiny", labelled_run.path.parent)


def test_the_snippets_of_the_text_run(labelled_run, chromium):
    snippets = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    space = {}
    for snippet in snippets:
        exec(snippet.replace('"data/runs"', repr(str(labelled_run.path.parent))).replace('"mnist"', '"tiny"')
             .replace("epoch=20", "epoch=1"), space)  # fmt: skip
    assert len(snippets) == 2 and space["content"].startswith(b"%PDF")


def test_figures_rows_and_captions_of_a_run(run):
    assert {"flows", "dynamics", "sample_interactions"} <= set(run.names)
    screen, paper = run.figure("dynamics"), run.figure("dynamics", venue="icml-column", looks={"height": 4.5})
    assert isinstance(screen, go.Figure) and screen.layout.width is None
    assert (paper.layout.width, paper.layout.height) == (312, pytest.approx(432, abs=2))
    assert run.rows("dynamics")["epochs"]["epoch"].tolist() == [0, 1, 2, 3]
    assert run.rows("dynamics", split="test")["strength"].equals(run.rows("dynamics")["strength"]) is False
    assert run.caption("waterfall", sample=2, epoch=1).count("Sample 2 (") == 1
    assert len(run.caption("removals", venue="icml-column")) < len(run.caption("removals"))
    with pytest.raises(ValueError, match="has no figure 'pie'"):
        run.figure("pie")
    with pytest.raises(FileNotFoundError, match="tiny"):
        interdash.open_run("gone", run.ask.run.path.parent)


def test_the_run_is_shown_on_a_page(run, monkeypatch):
    monkeypatch.setattr(catalogue, "CHARTS", catalogue.CHARTS[::5])
    page = interdash.show(run)
    framed = page._repr_html_()
    assert framed.startswith("<iframe srcdoc=") and "&lt;h1&gt;Run tiny" in framed and b"Plotly.newPlot" in page.content
    assert "click" not in re.sub(rb"<script.*?</script>", b"", page.content, flags=re.DOTALL).decode().lower()


def test_the_folder_of_runs_is_that_of_the_command(labelled_run, monkeypatch):
    monkeypatch.setenv("INTERDASH_ROOT", str(labelled_run.path.parent))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert interdash.open_run("tiny").ask.run.path == labelled_run.path
