"""What every page shares: its frame, the chosen run and settings in the URL, the store, and how a chart is shown.

    with ui.page("Dynamics") as page:
        epoch = ui.choose_epoch(page)
        ui.show(dynamics.order_map, page.ask(queries.order_map, split="train"), key="order-map")

Known trouble (no runs, an unknown run in the link, damaged files) is said in words, never as a stack trace.
Everything chosen lies in the URL under a short name, so that the address is a link to what is on the screen.
"""

import atexit
import gc
import html
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from streamlit.errors import StreamlitAPIException

from interdash import queries
from interdash.boundaries import BOUNDARIES, move_boundary
from interdash.figures.dynamics import FACTS
from interdash.files import DamagedFileError, is_writable, words
from interdash.runs import Run
from interdash.state import state
from interdash.ui_charts import CONFIG, alt_text, below, clicked, explanation, is_dark, show
from interdash.ui_charts import expect as expect_charts
from interdash.ui_data import Page, load, load_ahead, namesakes, open_run, roots, run_names
from interdash.ui_first import show_first_steps
from interdash.ui_style import style

__all__ = ["CONFIG", "Page", "alt_text", "below", "clicked", "explanation", "is_dark", "open_run", "roots"]  # for pages
__all__ += ["run_names", "show"]

PAGES = {  # file in pages/: title and icon, in the order of the sidebar
    "runs": ("Runs", ":material/list:"),
    "dynamics": ("Dynamics", ":material/timeline:"),
    "sample": ("Sample", ":material/image_search:"),
    "removal": ("Removal", ":material/content_cut:"),
    "compare": ("Compare", ":material/compare_arrows:"),
    "figures": ("Figures", ":material/insert_chart:"),
    "help": ("Help", ":material/help:"),
}
FOLDER = Path(__file__).resolve().parent.parent / "pages"
CARRIED = ("run", "epoch", "split", "label", "type")  # go along when another page is opened
DRAWN = ("axis", "unit", "sample", "interaction", "top", "order", "dose", "by")  # … and these to the page Figures
SPLITS = {"all": "both", "train": "training", "test": "testing"}
KNOWN_TROUBLE = (DamagedFileError, ValueError, OSError)


@contextmanager
def page(title: str) -> Iterator[Page]:
    """Yields the page about the run that is chosen in the sidebar; the first call of a page that needs one run."""
    with frame(title):
        run = _choose_run()
        with st.spinner(f"Loading {run.name} …", show_time=True):
            store, version = load(run)
        if problems := store.problems.get(run.name):
            more = f" ({len(problems)} such problems in all)" if len(problems) > 1 else ""
            st.warning(f"{problems[0]}{more}")
        yield Page(run, store, version)


@contextmanager
def frame(title: str) -> Iterator[None]:
    """Draws title and sidebar, and says known trouble of the body in words; for a page that needs no run."""
    st.set_page_config(page_title=f"{title} · interdash", layout="wide")  # an icon would come from a font's server
    st.html(style(is_dark()))
    if st.user.get("is_logged_in") is False:  # there only where a login is set up, see docs/serving.md
        st.title("interdash", anchor=False)
        st.button("Log in", on_click=st.login, type="primary")
        st.stop()
    with st.sidebar:
        st.markdown("**interdash**  \nwhat a network learned, epoch by epoch")
        for stem in pages():
            keys = CARRIED + DRAWN * (stem == "figures")
            link(stem, {key: st.query_params[key] for key in keys if key in st.query_params}, width="stretch")
        if st.user.get("is_logged_in"):
            st.button("Log out", on_click=st.logout, help=str(st.user.get("email", "")) or None)
    st.title(title, anchor=False)
    try:
        yield
    except KNOWN_TROUBLE as error:
        st.error(_words(error), icon=":material/error:")
        st.stop()
    finally:
        _freeze(title)


@st.cache_resource(show_spinner=False)
def _freeze(title: str) -> None:
    """Keeps Streamlit's collection after every rerun from walking through all modules, which takes 0.1 s."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def expect(name: str | None) -> None:
    """Has a run loaded in the background, the one that a page would open, so that its first chart comes sooner."""
    expect_charts()
    if not (names := run_names()):
        return
    chosen = name if name in names else _first(names)
    with suppress(*KNOWN_TROUBLE):  # the page that opens it says so
        load_ahead(Run.open(names[chosen].parent, chosen))


def pages() -> dict[str, str]:
    """Returns the pages that there are: file in pages/ without ".py", title."""
    return {stem: title for stem, (title, _) in PAGES.items() if (FOLDER / f"{stem}.py").exists()}


def link(stem: str, query: dict[str, str], *, width: Literal["stretch", "content"] = "content") -> None:
    """Draws a link to a page that keeps a query; nothing if the page is not there."""
    if stem not in pages():
        return
    title, icon = PAGES[stem]
    try:
        st.page_link(f"pages/{stem}.py", label=title, icon=icon, query_params=query, width=width)
    except StreamlitAPIException:  # the page runs alone: a first deep link on a fresh server, or a test
        st.html(f'<a href="/{stem}?{html.escape(urlencode(query))}" target="_self">{title}</a>')


# What is chosen: each widget's key is its name in the URL.


def choose(
    widget: Callable[..., Any],
    label: str,
    options: Sequence[Any],
    *,
    key: str,
    default: Any = None,
    format_func: Callable[[Any], str] = str,
    **settings: Any,
) -> Any:
    """Returns the chosen option; it lies in the URL as `?key=…`, and one that the link gets wrong is named.

    `widget` is `st.selectbox`, `st.segmented_control` or `st.select_slider`.
    """
    options = list(options)
    default = options[0] if default is None else default
    given = st.query_params.get(key)
    if given is not None and given not in {format_func(option) for option in options}:
        _refuse(label, given, default, format_func)
    if key in st.session_state and st.session_state[key] not in options:
        del st.session_state[key]  # chosen for another run
    name = {st.selectbox: "index", st.select_slider: "value"}.get(widget, "default")
    settings[name] = options.index(default) if name == "index" else default
    if widget is st.segmented_control:
        settings["required"] = True
    chosen = widget(label, options, key=key, bind="query-params", format_func=format_func, **settings)
    return default if chosen is None else chosen  # a link such as "?axis=" chooses nothing


def labelled_epochs(page: Page) -> list[int]:
    """Returns the epochs that have interactions."""
    rows = page.ask(queries.epochs)
    return [int(epoch) for epoch in rows.loc[rows["extracted"], "epoch"]]


def pin_clicked(chart: str, page: Page, *, key: str = "epoch") -> Callable[[], None]:
    """Returns the callback that pins the epoch that is clicked in a chart."""

    def pin() -> None:
        epochs = [int(epoch) for epoch in clicked(chart) if epoch in labelled_epochs(page)]
        if epochs:
            st.session_state[key] = epochs[0]

    return pin


def choose_epoch(page: Page, *, label: str = "Pinned epoch", key: str = "epoch") -> int:
    """Returns the pinned epoch, one of the labelled ones; the last unless chosen. Stops the page if there is none."""
    need_labels(page)
    labelled = labelled_epochs(page)
    if len(labelled) == 1:
        return labelled[0]
    return choose(st.select_slider, label, labelled, key=key, default=labelled[-1])


def need_labels(page: Page) -> None:
    """Stops the page, in words, if no epoch of the run has interactions yet."""
    if not labelled_epochs(page):
        st.info(
            f"No epoch of {page.run.name} has interactions yet: it is {state(page.run).text}. "
            "An extraction can be started on the page Runs, or in a terminal."
        )
        st.stop()


def choose_epochs(page: Page, *, most: int = 6) -> list[int]:
    """Returns up to `most` epochs to show side by side; chosen automatically unless changed."""
    labelled = labelled_epochs(page)
    key = "epochs"
    given = st.query_params.get_all(key)
    if wrong := [text for text in given if text not in map(str, labelled)]:
        _refuse("epochs", ", ".join(wrong), "the automatic choice", str)
    if any(epoch not in labelled for epoch in st.session_state.get(key, [])):
        del st.session_state[key]
    # another session may have loaded newer epochs since `labelled` was asked
    chosen = [epoch for epoch in page.ask(queries.chosen_epochs, count=most) if epoch in labelled]
    return sorted(st.multiselect("Epochs", labelled, chosen, key=key, bind="query-params", max_selections=most))


def choose_log() -> bool:
    """Returns whether the epoch axis is logarithmic."""
    about = "Log shows epoch + 1, so that epoch 0, the untrained network, has a place."
    return choose(st.segmented_control, "Epoch axis", ["log", "linear"], key="axis", help=about) == "log"


def choose_normalised() -> bool:
    """Returns whether strengths are divided by their mean over orders, so that early and late epochs compare."""
    about = "Normalised: divided by their mean over orders, so that weak early and strong late epochs compare."
    return choose(st.segmented_control, "Strengths", ["normalised", "nats"], key="unit", help=about) == "normalised"


def choose_split() -> str:
    """Returns "all", "train" or "test"."""
    about = "The explained samples: a fixed number of each split, not the whole of it."
    shown = SPLITS.__getitem__
    return choose(st.segmented_control, "Samples", list(SPLITS), key="split", format_func=shown, help=about)


def choose_label(page: Page) -> int:
    """Returns a class number, −1 = all classes."""
    rows = page.ask(queries.classes)
    names = {-1: "all classes"} | dict(zip(rows["label"].tolist(), rows["label_name"].tolist(), strict=True))
    return choose(st.selectbox, "Class", list(names), key="label", format_func=lambda label: names[label])


def choose_types() -> tuple[str, ...]:
    """Returns the types of interaction to show: ("all",) is AND and OR together, ("and", "or") both apart."""
    names = {"all": "together", "apart": "apart", "and": "AND", "or": "OR"}
    about = "An AND interaction fires if all of its variables are present, an OR interaction if any is."
    shown = names.__getitem__
    kind = choose(st.segmented_control, "AND and OR", list(names), key="type", format_func=shown, help=about)
    return ("and", "or") if kind == "apart" else (kind,)


def choose_section(names: Sequence[str]) -> tuple[str, Any]:
    """Returns name and container of the section that is open; only its charts are made, and drawn by the browser."""
    key = "view"
    given = st.query_params.get(key)
    if given is not None and given not in names:
        _refuse("view", given, names[0], str)
    tabs = dict(zip(names, st.tabs(names, key=key, bind="query-params"), strict=True))
    return next(((name, tab) for name, tab in tabs.items() if tab.open), (names[0], tabs[names[0]]))


def choose_phases(page: Page, phases: pd.DataFrame, words: str) -> None:
    """Says where the phases meet, and lets the user move a boundary."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(words)
        if phases.empty or not is_writable(page.run.path):
            return
        with st.popover("Move a boundary", type="tertiary", icon=":material/tune:"), st.form("phases", border=False):
            boundary = st.selectbox("Boundary", list(BOUNDARIES), format_func=lambda pair: f"phases {pair}")
            epoch = st.selectbox(
                "Epoch", ["as found", "none", *labelled_epochs(page)], format_func=str, key="boundary-epoch"
            )
            if st.form_submit_button("Set"):
                place = float(epoch) if isinstance(epoch, int) else None
                move_boundary(page.run, boundary, place, reset=epoch == "as found")
                st.rerun()


def facts(epochs: pd.DataFrame, epoch: int) -> None:
    """Draws the numbers of one epoch in a row: losses, H, strengths, τ, salient interactions, noise floor of G."""
    row = epochs.set_index("epoch").loc[epoch]
    with st.container(horizontal=True, key="facts"):
        for name, column, form, unit, meaning in FACTS:
            value = row.get(column)
            if value is not None and not pd.isna(value):
                st.metric(name, f"{value:{form}}{unit}", width="content", help=meaning)


def _choose_run() -> Run:
    names = run_names()
    if not names:
        show_first_steps()
        st.stop()
    asked = st.query_params.get("run", "")
    name = asked if asked in names else _first(names)
    with st.sidebar:
        if asked and asked not in names:
            _refuse("run", asked, name, str)
        st.session_state["chosen_run"] = name  # the address decides, so that every link names its run
        st.query_params["run"] = name
        st.selectbox("Run", list(names), key="chosen_run", on_change=_write_run)
        if len(found := namesakes(name)) > 1:
            others = ", ".join(map(str, found[1:]))
            st.warning(
                f"{len(found)} folders hold a run {name}. This is {found[0]}; to open {others} too, rename that folder."
            )
    return Run.open(names[name].parent, name)


def _first(names: dict[str, Path]) -> str:
    """Returns the run that a page opens unless the link names one: the newest with labels."""
    labelled = (name for name, path in names.items() if (path / "labels").is_dir())
    return next(labelled, next(iter(names)))


def _write_run() -> None:
    st.query_params["run"] = st.session_state["chosen_run"]


def _refuse(label: str, given: str, default: Any, format_func: Callable[[Any], str]) -> None:
    shown = given if len(given) <= 60 else f"{given[:60]}… ({len(given)} characters)"
    st.warning(
        f"The link asks for {label} `{shown.replace('`', '')}`, which is not there; this is {format_func(default)}."
    )


def _words(error: Exception) -> str:
    return words(error).replace("<", "&lt;")
