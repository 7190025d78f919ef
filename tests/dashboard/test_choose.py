"""What is chosen on a page reaches the browser, whatever happens on the way."""

import shutil

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetStates

ADDRESSES = {  # nothing in them is what the page shows unless asked
    "runs": {"q": "t", "sort": "name", "state": ["ready"]},
    "dynamics": {"run": "twin", "epoch": "1", "split": "training", "type": "apart", "axis": "linear", "unit": "nats"},
    "sample": {"run": "twin", "epoch": "1", "sort": "highest loss", "highest": "1", "interaction": "none", "top": "10"},
    "interactions": {"run": "twin", "epoch": "1", "rank": "flips", "top": "10", "where": "samples >= 2"},
    "removal": {"run": "twin", "epoch": "1", "axis": "linear", "dose": "50", "order": "2"},
    "theories": {"run": "twin", "epoch": "1", "epochs": ["0", "1"], "axis": "linear"},
    "compare": {"runs": ["twin", "tiny"], "split": "training", "axis": "linear", "number": "2", "epoch_a": "1"},
    "figures": {"run": "twin", "figure": "agreement", "panels": "dynamics", "print": "grey", "shelf": "all"},
    "help": {"text": "method", "search": "epoch"},
}
KEYS = {"run": "chosen_run", "figure": "tick-agreement"}  # of the widgets, where it is not the name in the address


def told(page):
    """Returns the keys of the widgets whose values a run of a page sends to the browser."""
    found, left = set(), [page.main, page.sidebar]
    while left:
        element = left.pop()
        left += getattr(element, "children", {}).values()
        if getattr(element.proto, "set_value", False):
            found.add(element.key)
    return found


@pytest.mark.parametrize("stem", ADDRESSES)
def test_a_browser_that_missed_a_run_is_told_again(visit, ready_run, stem):
    """Streamlit drops what is not sent yet where a page runs again; the browser would then send defaults as choices."""
    shutil.copytree(ready_run.path, ready_run.path.with_name("twin"))
    page = visit(stem, ready_run.path.parent, **ADDRESSES[stem])
    asked = {KEYS.get(name, name) for name in ADDRESSES[stem]}
    assert asked <= told(page)
    for _ in range(2):
        page._run(WidgetStates())  # a browser that has none of the widgets
        assert asked <= told(page)
