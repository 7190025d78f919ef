"""The Dockerfile, compose.yaml and the dashboard without torch, as far as a test can go without a Docker engine."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from benchmarks.docker_steps import sent, steps
from interdash.dashboard import page

ROOT = Path(__file__).parents[2]
STEPS = steps((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def all_of(instruction):
    return [rest for found, rest in STEPS if found == instruction]


def test_dockerfile_and_compose():
    files = sent()
    copied = [source for rest in all_of("COPY") for source in rest.split()[:-1] if source != "."]
    assert set(copied) <= set(files) and {"app.py", "README.md", "requirements.txt", "pages/runs.py"} <= set(files)
    assert not [name for name in files if name.startswith(("tests/", "benchmarks/", "data/runs/", ".venv/"))]
    assert steps("# a\nRUN one \\\n    && two\n\nUSER 0\n") == [("RUN", "one && two"), ("USER", "0")]
    assert all_of("USER")[-1] == "10001" and all_of("USER")[0] == "10001"
    assert all_of("ENTRYPOINT") == ['["tini", "--"]'] and "tini" in all_of("RUN")[0]
    assert [rest.split(" AS ")[1] for rest in all_of("FROM")] == ["view", "full"]
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["dashboard"]
    assert service["ports"] == ["127.0.0.1:${INTERDASH_PORT:-8501}:8501"]
    (volume,) = service["volumes"]
    assert volume["read_only"] is True and volume["target"] == "/runs" and service["read_only"] is True
    (check,) = all_of("HEALTHCHECK")
    assert ["CMD", *json.loads(check.partition("CMD ")[2])] == service["healthcheck"]["test"]


PAGES = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "sklearn", "jaxtyping"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from streamlit.testing.v1 import AppTest
from interdash.dashboard import picker
picker._draw = lambda page, places: None  # the pictures of all charts, which other pages draw
for script in sys.argv[1:]:
    page = AppTest.from_file(script, default_timeout=240)
    page.query_params["run"] = "tiny"
    page.run()
    print(page.title[0].value, [error.value for error in [*page.exception, *page.error]])
"""


def test_pages_need_no_torch(labelled_run, monkeypatch):
    monkeypatch.setenv("INTERDASH_ROOT", str(labelled_run.path.parent))
    pages = page.pages()
    command = [sys.executable, "-W", "ignore", "-c", PAGES, *(str(page.FOLDER / f"{stem}.py") for stem in pages)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-len(pages) :] == [f"{title} []" for title in pages.values()]
