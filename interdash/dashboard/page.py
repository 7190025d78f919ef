"""What every page shares: its frame, the run that it is about, and its tabs.

    with ui.page("Dynamics") as page:
        epoch = choose.epoch(page)
        show.chart(page, "order_map", Choice(epoch=epoch, split="train"))

Known trouble (no runs, an unknown run in the link, damaged files) is said in words, never as a stack trace.
Everything chosen lies in the URL under a short name, so that the address is a link to what is on the screen.
"""

import atexit
import gc
import html
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from streamlit.errors import StreamlitAPIException

from interdash.dashboard import choose, data, help, links
from interdash.dashboard.data import Page
from interdash.dashboard.first_steps import show_first_steps
from interdash.dashboard.preload import prepare_browser
from interdash.dashboard.show import read_ahead, read_tabs_ahead
from interdash.dashboard.style import STYLE
from interdash.figures.dynamics import FACTS
from interdash.home import HOME
from interdash.queries import dynamics
from interdash.runs.files import DamagedFileError, words
from interdash.runs.run import Run
from interdash.store.database import Store

PAGES = {  # file in pages/: title and icon, in the order of the sidebar
    "runs": ("Runs", ":material/list:"),
    "dynamics": ("Dynamics", ":material/timeline:"),
    "sample": ("Sample", ":material/image_search:"),
    "interactions": ("Interactions", ":material/join_inner:"),
    "removal": ("Removal", ":material/content_cut:"),
    "theories": ("Theories", ":material/hub:"),
    "compare": ("Compare", ":material/compare_arrows:"),
    "figures": ("Figures", ":material/insert_chart:"),
    "help": ("Help", ":material/help:"),
}
FOLDER = HOME / "pages"
CARRIED = ("run", "epoch", "split", "label", "type")  # go along when another page is opened
COMPARED = ("runs", "compare")  # pages that know which runs are chosen together
OF_A_TAB = ("view", "epochs", "start")
# … and these to the page Figures
DRAWN = (
    *("axis", "unit", "sample", "interaction", "top", "order", "dose", "by", "start", "life", "partner"),
    *("where", "rank", "pattern", "pin"),
)
KNOWN_TROUBLE = (DamagedFileError, ValueError, OSError)
LOOK_AGAIN = 20  # seconds between looks for newer data while a page stays open
LOG = logging.getLogger(__name__)


@contextmanager
def page(title: str) -> Iterator[Page]:
    """Yields the page about the run that is chosen in the sidebar; the first call of a page that needs one run."""
    with frame(title):
        about = opened(_choose_run())
        if before := st.session_state.pop("run_before", ""):
            _leave_behind(about, before)
        yield about
        read_ahead(about)


def opened(run: Run) -> Page:
    """Returns the page about a run, loaded; what is damaged, missing or newer than the page is said."""
    store, version = load(run)
    about = Page(run, store, version)
    warn_of(store.problems.get(run.name, []))
    if about.ask(dynamics.labelled_epochs):  # else `need_labels` says it
        try:
            now = data.unfinished(run)
        except KNOWN_TROUBLE as error:
            st.warning(_words(error))
        else:
            if now is not None:
                st.info(links.message(f"{run.name} is {now.text}. The page shows what there is."))
    _say_news(run, version)
    return about


def warn_of(problems: Sequence[str]) -> None:
    """Says what is damaged or missing: the first, and how many there are."""
    if problems:
        more = f" ({len(problems)} such problems in all)" if len(problems) > 1 else ""
        st.warning(links.message(f"{problems[0]}{more}"))


def load(run: Run) -> tuple[Store, tuple[int, ...]]:
    """Returns the store with what the run has now, and the version of its data; says so while it loads."""
    with st.spinner(f"Loading {links.plain(run.name)} …", show_time=True):
        return data.load(run)


@st.fragment(run_every=LOOK_AGAIN)
def _say_news(run: Run, version: tuple[int, ...]) -> None:
    """Says on a page that stays open that its run has newer data."""
    with suppress(OSError):
        if data.data_version(run) != version:
            st.info(f"{links.plain(run.name)} has newer data than this page shows.", icon=":material/update:")
            if st.button("Show them", key=f"news-{run.name}"):
                st.rerun()


def _leave_behind(page: Page, before: str) -> None:
    """Takes epochs of the run looked at before out of the address: its last one, and those that this run lacks."""
    known = set(map(str, page.ask(dynamics.labelled_epochs)))
    last = [str(epoch) for epoch in page.about(dynamics.labelled_epochs, before)[-1:]]
    for key in ("epoch", "epochs"):
        epochs = st.query_params.get_all(key)
        if epochs and (not known.issuperset(epochs) or epochs == last):
            del st.query_params[key]


@contextmanager
def frame(title: str) -> Iterator[None]:
    """Draws title and sidebar, and says known trouble of the body in words; for a page that needs no run."""
    data.start_page()
    _open(title)
    if "through_app" not in st.session_state:  # a first deep link on a fresh server runs the page alone
        prepare_browser()
    st.set_page_config(page_title=f"{title} · interdash", layout="wide")  # an icon would come from a font's server
    st.html(STYLE)
    if st.user.get("is_logged_in") is False:  # there only where a login is set up, see docs/serving.md
        st.title("interdash", anchor=False)
        st.button("Log in", on_click=st.login, type="primary")
        st.stop()
    with st.sidebar:
        st.markdown("**interdash**  \nwhat a network learned, epoch by epoch")
        for stem in pages():
            link(stem, _asked(_carried(stem)), width="stretch")
        if words := help.glossary():
            with st.popover("What the words mean", type="tertiary", icon=":material/dictionary:"):
                st.markdown("  \n".join(f"**{word}**: {meaning}" for word, meaning in words.items()), width=560)
        if st.user.get("is_logged_in"):
            st.button("Log out", on_click=st.logout, help=str(st.user.get("email", "")) or None)
    st.title(title, anchor=False)
    try:
        with _trouble_in_words(title):
            yield
        _remember()
    finally:
        _freeze(title)


@contextmanager
def _trouble_in_words(title: str) -> Iterator[None]:
    try:
        yield
    except KNOWN_TROUBLE as error:
        st.error(_words(error), icon=":material/error:")
        st.stop()
    except Exception as error:
        LOG.exception("the page %s has failed", title)
        st.error(
            f"This page has failed in a way that nobody foresaw ({type(error).__name__}); the others may still work. "
            "The terminal of `interdash serve` has the details: please report them.",
            icon=":material/error:",
        )
        st.stop()


def sections(page: Page, draw: Mapping[str, Callable[[], None]]) -> None:
    """Draws the last part of a page, tabs of which one is open; a click on another draws that tab alone.

    Whatever else is chosen in a tab, and so changes the address, draws the whole page.
    """
    _sections(page, draw, _address(), [])


@st.fragment
def _sections(
    page: Page, draw: Mapping[str, Callable[[], None]], address: dict[str, list[str]], opened: list[str]
) -> None:
    data.start_page()
    if _address() != address:
        st.rerun()
    view, section = choose.section(list(draw))
    with section, _trouble_in_words(view):
        draw[view]()
    if opened:  # else the page reads ahead at its end
        read_tabs_ahead(page)
    opened.append(view)
    _remember()


def _open(title: str) -> None:
    """Counts the pages opened, and puts back into the address what the sidebar's link carries.

    Streamlit takes out of it what a widget of the page before has in the address.
    """
    before = st.session_state.get("address", {})
    if title != st.session_state.get("page"):
        st.session_state["page"], st.session_state["visit"] = title, st.session_state.get("visit", 0) + 1
        stem = next(stem for stem, (name, _) in PAGES.items() if name == title)
        if before.get("run") == st.query_params.get_all("run"):
            for key in _carried(stem):
                if key in before and key not in (*st.query_params, "epoch"):
                    st.query_params[key] = before[key]
    _remember()


def _remember() -> None:
    """Keeps the address for the page that is opened next."""
    st.session_state["address"] = _asked(st.query_params)


def _carried(stem: str) -> tuple[str, ...]:
    """Returns the names of the choices that go along to a page."""
    return CARRIED + DRAWN * (stem == "figures") + ("runs",) * (stem in COMPARED)


def _asked(keys: Iterable[str]) -> dict[str, list[str]]:
    """Returns those of some choices that the address has."""
    return {key: st.query_params.get_all(key) for key in keys if key in st.query_params}


def _address() -> dict[str, list[str]]:
    """Returns the choices in the address that count beyond the tab."""
    return _asked(key for key in st.query_params if key not in OF_A_TAB)


@st.cache_resource(show_spinner=False)
def _freeze(title: str) -> None:
    """Keeps Streamlit's collection after every rerun from walking through all modules, which takes 0.1 s."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def expect(name: str | None) -> None:
    """Loads, in the background, the run that a page would open next."""
    if not (names := data.run_names()):
        return
    likely = name if name in names else _first(names)
    with suppress(*KNOWN_TROUBLE):  # the page that opens it says so
        data.load_ahead(Run.open(names[likely].parent, likely))


def pages() -> dict[str, str]:
    """Returns the pages that there are: file in pages/ without ".py", title."""
    return {stem: title for stem, (title, _) in PAGES.items() if (FOLDER / f"{stem}.py").exists()}


def link(
    stem: str, query: Mapping[str, Any], *, label: str = "", width: Literal["stretch", "content"] = "content"
) -> None:
    """Draws a link to a page that keeps a query, by its title unless labelled; nothing if the page is not there."""
    if stem not in pages():
        return
    title, icon = PAGES[stem]
    try:
        st.page_link(
            f"pages/{stem}.py", label=links.plain(label) if label else title, icon=icon, query_params=query, width=width
        )
    except StreamlitAPIException:  # the page runs alone: a first deep link on a fresh server, or a test
        base = str(st.get_option("server.baseUrlPath")).strip("/")  # behind a proxy
        address = f"{base and f'/{base}'}/{stem}?{urlencode(query, doseq=True)}"
        st.html(f'<a href="{html.escape(address)}" target="_self">{html.escape(label or title)}</a>')


def facts(epochs: pd.DataFrame, epoch: int) -> None:
    """Draws the numbers of one epoch in a row: losses, H, strengths, τ, salient interactions, noise floor of G."""
    row = epochs.set_index("epoch").loc[epoch]
    with st.container(horizontal=True, key="facts"):
        for name, column, form, unit, meaning in FACTS:
            value = row.get(column)
            if value is not None and not pd.isna(value):
                st.metric(name, f"{value:{form}}{unit}", width="content", help=meaning)


def _choose_run() -> Run:
    names = data.run_names()
    if not names:
        show_first_steps()
        st.stop()
    in_link = st.query_params.get("run", "")
    name = in_link if in_link in names else _first(names)
    if in_link and in_link not in names:
        st.warning(
            f"There is no run {links.shown(in_link)}. This is {links.plain(name)}; another is chosen on the left."
        )
    with st.sidebar:
        choose.set_widget("chosen_run", name)  # the address decides, so that every link names its run
        st.query_params["run"] = name
        st.selectbox("Run", list(names), key="chosen_run", on_change=_write_run, **choose.SURELY)
        if len(folders := data.namesakes(name)) > 1:
            others = ", ".join(map(str, folders[1:]))
            text = f"{len(folders)} folders hold a run {name}. This is {folders[0]}; "
            st.warning(links.message(f"{text}to open {others} too, rename that folder."))
    return Run.open(names[name].parent, name)


def _first(names: dict[str, Path]) -> str:
    """Returns the run that a page opens unless the link names one: the newest with labels."""
    labelled = (name for name, path in names.items() if (path / "labels").is_dir())
    return next(labelled, next(iter(names)))


def _write_run() -> None:
    st.session_state["run_before"] = st.query_params.get("run", "")
    st.query_params["run"] = st.session_state["chosen_run"]


def _words(error: Exception) -> str:
    return links.message(words(error))
