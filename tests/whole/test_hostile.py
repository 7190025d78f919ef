"""Links that somebody made to do harm: every page says what is wrong, shows no stack trace and changes nothing."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from interdash.dashboard import choose, runs
from interdash.dashboard import page as ui

HOSTILE = {
    "SQL": "tiny'; DROP TABLE samples; --",
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "a path": "../../../../etc/passwd",
    "a null byte": "tiny\x00/etc",
    "a huge number": "9" * 400,
    "a negative number": "-1",
    "no number": "nan",
    "infinity": "1e999",
    "per cents": "%" * 200,
    "a long text": "A" * 8_000,
    "emoji": "🙈🙉🙊",
    "an image": "x\n\n![x](https://example.org/a.png)\r\r![x](https://example.org/b.png)",
    "nothing": "",
}
SOURCES = [Path(module.__file__ or "") for module in (ui, choose, runs)]
PAGES = sorted(ui.FOLDER.glob("*.py"))


def parameters(page):
    """Returns every name that a page or its frame may read from a link."""
    text = "".join(path.read_text() for path in [page, *SOURCES])
    found = re.findall(
        r'(?:key=|key = |key: str = |get\(|get_all\(|keep\(|asked\(|st\.query_params\[)"([a-z_]+)"', text
    )
    filters = ("loss", "share", "highest", "gap", "page")  # LIMITS of pages/sample.py
    return sorted({"run", "epoch", "epochs", "view", "figure", "split", "label", "type", *filters, *found})


def contents(folder):
    """Returns what a folder holds: every file with its time stamp and hash."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [(path, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]


def messages(test):
    """Returns what a page says in boxes; nothing in it, or in the page's texts, may act as markup."""
    boxes = [box.value for kind in (test.warning, test.error, test.info) for box in kind]
    texts = [re.sub(r"`[^`]*`|\\.", "", str(text)) for text in (*boxes, *(each.value for each in test.markdown))]
    assert [text for text in texts for markup in ("<script", "onerror", "![x](") if markup in text] == []
    assert not any("<script>alert" in html.proto.body for html in test.get("html"))
    assert not any("\n" in box for box in boxes)
    return boxes


@pytest.fixture
def root(ready_run):
    """The folder of a ready run."""
    return ready_run.path.parent


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_hostile_run(visit, page, root):
    before = contents(root)
    for what, value in HOSTILE.items():
        if not value:
            continue
        test = visit(page.stem, root, **dict.fromkeys(("run", "runs", "with", "a", "b", "job"), value))
        assert messages(test) or page.stem == "help", what  # which reads none of them
    assert contents(root) == before


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_hostile_settings(visit, page, root):
    before = contents(root)
    names = [name for name in parameters(page) if name not in ("run", "runs", "job")]
    for what, value in HOSTILE.items():
        test = visit(page.stem, root, run="tiny", **dict.fromkeys(names, value))
        assert messages(test) or not value, what
    assert contents(root) == before


def test_settings_of_the_server_keep_it_on_this_machine():
    settings = tomllib.loads((ui.FOLDER.parent / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["client"]["showErrorDetails"] == "none"  # no stack trace, whatever happens
    assert settings["client"]["showErrorLinks"] is False  # no links to search engines below an error
