"""The wheel as a user has it: built from a source distribution, installed elsewhere, used from an empty folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from pathlib import Path

import pytest

from interdash.dashboard import help
from interdash.runs.run import FORMAT
from tests.whole.conftest import serving

ROOT = Path(__file__).parents[2]
LEFT = {ROOT: {".git", ".venv", "build"}, ROOT / "data": {"runs", "cache"}, ROOT / "benchmarks": {"cache"}}
PAGES = """
import json
from streamlit.testing.v1 import AppTest
from interdash.home import HOME
for stem in ("dynamics", "help"):
    page = AppTest.from_file(HOME / "app.py", default_timeout=240).run().switch_page(f"pages/{stem}.py").run()
    trouble = [each.value for each in [*page.exception, *page.error, *page.warning]]
    print(json.dumps([page.title[0].value, trouble, len(page.get("plotly_chart")), len(page.get("image"))]))
"""

ALONE = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "INTERDASH_ROOT")}
pytestmark = pytest.mark.slow


def done(*command, cwd):
    """Returns what a command printed; it must end well, and knows nothing of this environment's settings."""
    process = subprocess.run([str(part) for part in command], cwd=cwd, env=ALONE, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def binaries(tmp_path_factory) -> Path:
    """The commands of an environment with the wheel; its dependencies are this environment's, nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    unused = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(
        ROOT, folder / "source", ignore=lambda path, names: unused(path, names) | LEFT.get(Path(path), set())
    )
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    done(sys.executable, "-W", "ignore", "-c", build, cwd=folder / "source")
    venv.create(folder / "env")
    python = folder / "env" / "bin" / "python"
    packages = Path(done(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # A path in a .pth file brings the packages there, and not the .pth files there: no editable install of interdash.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    (sdist,) = folder.glob("*.tar.gz")
    done(*pip, "--no-index", "--no-deps", "--no-build-isolation", sdist, cwd=folder)
    (shipped,) = packages.glob("interdash/shipped")
    assert done(python, "-c", "from interdash.home import HOME; print(HOME)", cwd=folder).strip() == str(shipped)
    return python.parent


def test_what_ships(binaries):
    """The files that the texts of Help, the app and the built-in runs need, each as in the repository, and no other."""
    (shipped,) = binaries.parent.glob("lib/*/site-packages/interdash/shipped")
    files = {path.relative_to(shipped).as_posix(): path for path in shipped.rglob("*") if path.is_file()}
    files = {name: path for name, path in files.items() if "__pycache__" not in name}
    assert all(path.read_bytes() == (ROOT / name).read_bytes() for name, path in files.items())
    texts = [f"docs/{name}.md" for name in help.TEXTS]
    images = [f"docs/{path}" for name in help.TEXTS for _, path in help.IMAGE.findall(help.text(name))]
    assert {name for name in files if name.startswith("docs/")} == {*texts, *images}
    pages = {f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py")}
    assert {name for name in files if name.endswith(".py")} == {"app.py", *pages}
    named = re.findall(r"^\| `([\w.]+)` \|", (ROOT / "data" / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for name in files if name.startswith("data/")} == {
        "data/README.md",
        *(f"data/{each}" for each in named),
    }
    assert {".streamlit/config.toml", "requirements.txt", "requirements-view.txt"} <= set(files)
    assert sum(path.stat().st_size for path in files.values()) < 8e6


def test_everything_works_from_an_empty_folder(binaries, tmp_path):
    interdash, runs = binaries / "interdash", tmp_path / "data" / "runs"
    done(interdash, "demo", "--preset", "digits", "--no-serve", cwd=tmp_path)
    assert json.loads((runs / "digits" / "run.json").read_text())["summary"]["word"] == "ready"
    with serving(runs, binaries / "python", ALONE) as address:
        assert b"<title>" in urllib.request.urlopen(address).read()
    lines = done(binaries / "python", "-W", "ignore", "-c", PAGES, cwd=tmp_path).splitlines()
    assert [json.loads(line) for line in lines[-2:]] == [["Dynamics", [], 2, 0], ["Help", [], 0, 9]]
    done(interdash, "export", "digits", "--figure", "dynamics", "--out", "figures", cwd=tmp_path)
    assert list((tmp_path / "figures").rglob("*dynamics*.pdf"))
    report = done(interdash, "doctor", cwd=tmp_path)
    assert f"1 of format {FORMAT} in data/runs" in report and "tested with" not in report
