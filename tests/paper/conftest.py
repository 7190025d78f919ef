"""What the tests of printed figures share: Chromium, Poppler, every figure of the tiny run."""

import shutil
import subprocess

import pytest

from interdash.figures import catalogue
from interdash.figures.choice import Choice
from interdash.paper import chromium as export
from interdash.queries.asking import Ask


@pytest.fixture(scope="session", autouse=True)
def no_browser_left():
    yield
    export.close()


@pytest.fixture
def chromium():
    try:
        export.chromium()
    except export.NoBrowserError as error:
        pytest.fail(str(error))


def poppler(tool, path, *arguments):
    """Returns what a tool of poppler-utils says about a PDF."""
    if shutil.which(tool) is None:
        pytest.fail(f"{tool} is missing; install it with `apt-get install --no-install-recommends poppler-utils`")
    return subprocess.run([tool, *arguments, str(path), *(["-"] if tool == "pdftotext" else [])], check=True,
                          capture_output=True, text=True).stdout  # fmt: skip


@pytest.fixture(scope="session")
def figures(small_store, labelled_run):
    """Every figure of the tiny run."""
    ask, choice = Ask(labelled_run, small_store), Choice(sample=1)
    return {name: catalogue.drawing(ask, name, choice) for name in catalogue.names(ask, choice)}
