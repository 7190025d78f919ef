"""What the tests in a real Chromium share: a dashboard on a port, windows, and waiting for what a page does."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import axe_playwright_python
import pytest

from tests.conftest import PATIENCE

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]
HARMLESS = ("/_stcore/health", "/_stcore/host-config")  # 404 below a page's address, asked for again at the top


@contextlib.contextmanager
def serving(root, python=sys.executable, environment=None):
    """Yields the address of a dashboard on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(python), "-m", "interdash", "serve", "--root", str(root), "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health") as answer:
                if answer.status == 200:
                    break
            assert process.poll() is None, "the dashboard ended"
            time.sleep(0.1)
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(PATIENCE)


@pytest.fixture(scope="module")
def chromium():
    """What starts Chromium, and how."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail(
            "no Chromium; install it with `apt-get install -y --no-install-recommends chromium fonts-liberation`"
        )
    with sync_playwright() as playwright:
        yield playwright.chromium, {"executable_path": path, "args": ARGUMENTS}


@pytest.fixture(scope="module")
def browser(chromium):
    started = chromium[0].launch(**chromium[1])
    yield started
    started.close()


@pytest.fixture(scope="session")
def root(labelled_run, tmp_path_factory):
    """A folder with two ready runs on the same samples, one with damaged labels and parts, and a broken one."""
    root = tmp_path_factory.mktemp("root")
    for name in ("tiny", "twin", "spoilt"):
        shutil.copytree(labelled_run.path, root / name)
    for path in [
        *next((root / "spoilt" / "labels").glob("target-00000-*")).iterdir(),
        *(root / "spoilt").glob("parts/*.p*"),
    ]:
        path.write_bytes(path.read_bytes()[:100])
    (root / "broken").mkdir()
    (root / "broken" / "run.json").write_text("{")
    return root


@pytest.fixture(scope="session")
def address(root):
    with serving(root) as found:
        yield found


WINDOW = {"viewport": {"width": 1280, "height": 900}, "accept_downloads": True}


@pytest.fixture(scope="module")
def window(chromium, tmp_path_factory):
    """A browser that keeps the dashboard's code, read and compiled, from one test to the next, as a user's does."""
    context = chromium[0].launch_persistent_context(tmp_path_factory.mktemp("profile"), **chromium[1], **WINDOW)
    yield context
    context.close()


@pytest.fixture
def tab(window):
    """A new tab; see `watched`."""
    with watched(window) as page:
        yield page


@pytest.fixture
def fresh_tab(browser):
    """The tab of a fresh browser, which knows nothing of the dashboard; see `watched`."""
    with browser.new_context(**WINDOW) as context, watched(context) as page:
        yield page


@contextlib.contextmanager
def watched(context):
    """Yields a new tab; at its end nothing has left the machine and the console has no error."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    errors, away = [], []
    page.on("console", lambda said: said.type == "error" and errors.append((said.text, said.location["url"])))
    page.on("pageerror", lambda error: errors.append((str(error), "")))
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(("http://127.0.0.1", "data:", "blob:")) else away.append(asked.url),
    )
    yield page
    page.close()
    assert not away
    assert [error for error in errors if not error[1].endswith(HARMLESS)] == []


def opened(tab, url, title):
    tab.goto(url)
    tab.wait_for_selector(f"h1:has-text('{title}')")
    settled(tab)


def settled(tab):
    """Waits until the script has ended and the page says no error."""
    tab.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    assert tab.locator("[data-testid=stException]").count() == 0


def wait_for_address(tab, text, **options):
    tab.wait_for_function("text => location.href.includes(text)", arg=text, **options)


AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
GRAVE = ("serious", "critical")


def findings(tab, waits=(0, 1500, 6000), within="html"):
    """Returns what axe calls serious or critical, of a page at rest or a part of it: rule, element, reason.

    It looks again after each wait: text fades in, and colours change in a transition when a page learns it is dark.
    """
    settled(tab)
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(AXE)
    grave = []
    for wait in waits:
        tab.wait_for_timeout(wait)
        report = tab.locator(within).first.evaluate("part => axe.run(part, {resultTypes: ['violations']})")
        assert report["passes"], "axe looked at nothing"
        grave = [
            (rule["id"], node["html"][:200], node["failureSummary"])
            for rule in report["violations"]
            if rule["impact"] in GRAVE
            for node in rule["nodes"]
        ]
        if not grave:
            break
    return grave
