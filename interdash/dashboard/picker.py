"""The picker of figures: a picture and a tick for each, templates, and panels (a), (b), (c) by click."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from string import ascii_lowercase
from typing import Any, NamedTuple

import streamlit as st

from interdash.dashboard import choose, data
from interdash.dashboard import page as ui
from interdash.dashboard.data import Page, Versions
from interdash.figures import catalogue, inputs, theme
from interdash.figures.chart import Drawing
from interdash.figures.choice import Choice
from interdash.paper import bundle, chromium, venues
from interdash.paper.settings import Settings

FIRST = ["dynamics", "order_strength_row"]  # unless picked
TOGETHER = {"each by itself": 0, "below each other": 1, "two a row": 2, "three a row": 3}  # panels a row, 0 = none
PICTURE = 42  # dots per inch of a picture, of a figure 3.5 inches wide
HIGH = 112  # pixels of a picture: all alike, so that nothing moves as they come
SHELF = 392  # … of all of them, two rows: what is picked stands below on the first screen or the second
ALL = "all"
SHELVES = {"sample_interactions": "sample", "input_words": "sample"}  # of those that are on no page; else Dynamics

AT_A_TIME = 10  # pictures that come together
MOST_PICTURES = 1000  # kept, some 10 KB each


def title(spec: str) -> str:
    """Returns a figure's name for people, or those of its panels: "Order strength row, Dynamics"."""
    names = [name.strip() for row in spec.split("/") for name in row.split(",")]
    return ", ".join(name.replace("_", " ").capitalize() for name in names)


def choose_figures(page: Page, known: list[str]) -> tuple[list[str], Callable[[], None]]:
    """Returns the figures picked, as `catalogue.drawing` takes them, and what draws their pictures."""
    picked = choose.known_ones("figure", known, "figures")
    text = st.query_params.get("panels", "")
    if "figure" not in st.query_params and not text:
        picked = [name for name in FIRST if name in known]
    fitting = {name: spec for name, spec in catalogue.TEMPLATES.items() if _fits(spec, known)}
    if fitting:
        with st.container(horizontal=True, vertical_alignment="center", key="templates"):
            st.markdown("As published:")
            for name, spec in fitting.items():
                st.button(name, key=f"template-{name}", on_click=_take, args=(spec,))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        together = choose.one(st.segmented_control, "Figures picked", list(TOGETHER), key="set")
        shelf_of = {name: _shelf(name) for name in known}
        shelves = [title for title, _ in ui.PAGES.values() if title in shelf_of.values()]
        shelf = choose.one(
            st.segmented_control, "Figures of the page", [*shelves, ALL], key="shelf",
            help="The picked ones are always among them.",
        )  # fmt: skip
    places = {}
    with st.container(horizontal=True, key="picker", height=SHELF):
        for name in known:
            if shelf not in (ALL, shelf_of[name]) and name not in picked:
                continue
            with st.container(width=168, border=True):
                places[name] = st.empty()
                places[name].html(f'<div style="height: {HIGH}px"></div>')
                letter = f"({ascii_lowercase[picked.index(name)]}) " if name in picked and TOGETHER[together] else ""
                choose.set_widget(f"tick-{name}", name in picked)
                st.checkbox(f"{letter}{title(name)}", key=f"tick-{name}", on_change=_tick, args=(name, picked),
                            help=_about(name), **choose.SURELY)  # fmt: skip
    text = st.text_input(
        "Panels in words", key="panels", placeholder="order_strength_row/dynamics,interactions", **choose.IN_ADDRESS,
        help=f"One more figure: a comma sets charts side by side, a slash below. There are {', '.join(known)}.",
    )  # fmt: skip
    columns = TOGETHER[together]
    if columns and len(picked) > 1:
        rows = [",".join(picked[i : i + columns]) for i in range(0, len(picked), columns)]
        picked = ["/".join(rows)]
    return [*picked, *([text] if text and text.strip() else [])], lambda: _draw(page, places)


def _shelf(name: str) -> str:
    """Returns the page that has a figure, or those like it."""
    page = SHELVES.get(name) or catalogue.chart(name).page or "dynamics"
    return ui.PAGES[page][0]


def _fits(spec: str, known: list[str]) -> bool:
    return all(name in known for row in spec.split("/") for name in row.split(","))


def _take(spec: str) -> None:
    """Puts a template into the address, in place of what was picked."""
    st.query_params["figure"] = ""
    st.session_state["panels"] = spec  # bound to the address


def _tick(name: str, picked: list[str]) -> None:
    """Adds a figure to those in the address, as the last one, or takes it out."""
    names = [*picked, name] if st.session_state[f"tick-{name}"] else [each for each in picked if each != name]
    st.query_params["figure"] = names or [""]


def _about(name: str) -> str:
    return catalogue.TOGETHER if name == "sample_interactions" else catalogue.chart(name).caption


def _draw(page: Page, places: dict[str, Any]) -> None:
    """Puts the pictures that there are into their places; the others are drawn meanwhile. None without Chromium."""
    try:
        chromium.chromium()
    except chromium.NoBrowserError:
        return
    _place(places, page.versions)
    if missing := [name for name in places if (name, page.versions) not in _pictures()]:
        _follow(page, missing, page.versions)


@st.fragment(run_every=1)
def _follow(page: Page, missing: list[str], runs: Versions) -> None:
    """Has pictures drawn in the background; the page shows them some at a time, for a fragment cannot reach places."""
    left = [name for name in missing if (name, runs) not in _pictures()]
    if len(missing) - len(left) >= AT_A_TIME or not left:
        st.rerun()
    data.read_ahead([partial(_add, page, name, runs) for name in left])


def _place(places: dict[str, Any], runs: Versions) -> None:
    look = f"width: 100%; height: {HIGH}px; object-fit: contain"
    for name, place in places.items():
        if picture := _pictures().get((name, runs)):
            place.html(f'<img alt="" style="{look}" src="{inputs.data_uri(picture)}">')  # the tick below has its name


def _add(page: Page, name: str, runs: Versions) -> None:
    """Adds a small PNG of a figure, as it is of the last epoch and the first sample; empty if it cannot be drawn."""
    picture = b""
    with suppress(Exception):  # the preview says it
        picture = _picture(page, name)
    if len(pictures := _pictures()) > MOST_PICTURES:
        pictures.clear()
    pictures[name, runs] = picture


def _picture(page: Page, name: str) -> bytes:
    choice = Choice(runs=tuple(other.run.name for other in page.others))
    figure = bundle.printed(catalogue.drawing(page, name, choice), venues.venue("nature-column", height=None))
    figure.update_layout(height=max(figure.layout.height, 200))
    return chromium.render(figure, "png", dpi=PICTURE)


@st.cache_resource(show_spinner=False)
def _pictures() -> dict[tuple[str, Versions], bytes]:
    """Returns the pictures drawn for any session."""
    return {}


def looks(page: Page, specs: list[str], choice: Choice) -> tuple[bool, str]:
    """Returns `bundle.choices` of some figures, which no venue changes: kept.

    Raises:
        ValueError: see `catalogue.drawing`.
    """
    return page.make(lambda choice: _looks(page.versions, specs, choice, page), choice)


@st.cache_data(max_entries=200, show_spinner=False)
def _looks(versions: Versions, specs: list[str], choice: Choice, _page: Page) -> tuple[bool, str]:
    return bundle.choices([catalogue.drawing(_page, spec, choice) for spec in specs])


class Printed(NamedTuple):
    """A figure as it is printed; not to be changed."""

    drawing: Drawing | catalogue.Panels
    tallest: float  # inches that a page has for it
    figure: Any
    once: theme.Drawn  # the same, as the browser draws it once


def printed(page: Page, spec: str, settings: Settings) -> Printed:
    """Returns a figure as it is printed, which is kept.

    Raises:
        ValueError: see `catalogue.drawing` and `bundle.printed`.
    """
    in_any_file = replace(settings, figures=(spec,), formats=("pdf",), dpi=300)
    return page.make(lambda choice: _printed(page.versions, replace(in_any_file, choice=choice), page), settings.choice)


@st.cache_resource(max_entries=50, show_spinner=False)
def _printed(versions: Versions, settings: Settings, _page: Page) -> Printed:
    drawing = bundle.drawing(_page, settings.figures[0], settings)
    tallest = bundle.room(_page, drawing, settings)
    figure = bundle.printed(drawing, settings.size, tallest)
    return Printed(drawing, tallest, figure, theme.once(figure, selectable=False))
