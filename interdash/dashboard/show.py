"""How a chart is shown: with its caption, "how to read", rows, alt text and a picture to keep."""

import io
import pickle
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from interdash.dashboard import data, slider
from interdash.dashboard.data import Page
from interdash.figures import catalogue, theme
from interdash.figures.chart import Chart, Drawing
from interdash.figures.choice import Choice, resolved
from interdash.queries import dynamics

PAUSE = 0.4  # seconds for the browser to draw a page before others are read ahead
CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
}


def chart(page: Page, name: str, choice: Choice, *, side: str = "") -> None:
    """Draws a chart of the catalogue with caption, "how to read", its rows (CSV, Parquet), alt text and a picture.

    Args:
        page: about the run; beside others if the chart compares runs.
        name: the chart's, and of the downloaded files.
        choice: what it is about.
        side: tells two of one chart on a page apart.
    """
    chart = catalogue.chart(name)
    page.seen.drawn.append((chart, choice))
    with st.container() if chart.by_type else nullcontext():  # one place for one or two: what follows is not drawn anew
        for one in chart.choices(choice):
            _chart(page, chart, one, f"{name}{f'-{one.types[0]}' if chart.by_type else ''}{side}")


def _chart(page: Page, chart: Chart, choice: Choice, key: str) -> None:
    drawing, once = _prepared(page, chart, choice, dark=is_dark())
    select: dict[str, Any] = {"on_select": _chooser(page, chart, key), "selection_mode": "points"}
    st.plotly_chart(
        once, theme=None, key=key, config=CONFIG | {"toImageButtonOptions": {"format": "svg", "filename": key}},
        alt=alt_text(drawing.caption, drawing.rows), **select if chart.click else {},
    )  # fmt: skip
    if chart.slider:
        slider.on_release(key, lambda epoch: st.query_params.update(epoch=str(epoch)))
    whose = chart.whose(page, choice)
    caption = f"{drawing.caption}{whose and f' {whose}.'}{f' {page.note}' if chart.says_rule else ''}"
    below(caption, drawing.how_to_read, drawing.rows, key)


def _prepared(page: Page, chart: Chart, choice: Choice, *, dark: bool) -> tuple[Drawing, theme.Drawn]:
    drawing, figure = chart.drawing_on_page(page, choice), chart.figure
    once = _drawn(
        f"{figure.__module__}.{figure.__qualname__}", tuple(drawing.rows.values()), drawing.options, drawing.unit,
        _drawing=drawing, dark=dark, selectable=bool(chart.click), panels=chart.panels,
    )  # fmt: skip
    return drawing, once


def _prepare(page: Page, chart: Chart, choice: Choice, *, dark: bool) -> None:
    for one in chart.choices(choice):
        _prepared(page, chart, one, dark=dark)


def read_ahead(page: Page) -> None:
    """Asks, draws and prints ahead all that the page shows, once more with each choice that is one press away.

    Then what its other tabs show.
    """

    def complete(make: Callable[[Choice], Any], choice: Choice) -> None:
        make(page.seen.complete(choice))

    seen, dark = page.seen, is_dark()
    asked, made, steps = [*seen.asked], [*seen.made], []
    made += [(partial(_prepare, page, chart, dark=dark), choice) for chart, choice in seen.drawn]
    for key, now, others in seen.near:
        for new in others:
            steps += [partial(ask, **settings | {key: new}) for ask, settings in asked if settings.get(key) == now]
            for make, choice in made:
                if getattr(choice, key) == now:
                    steps.append(partial(complete, make, replace(choice, **{key: new})))
    data.read_ahead(steps + _of_tabs(page), pause=PAUSE)


def read_tabs_ahead(page: Page) -> None:
    """Asks and draws in the background what the tabs of a page show that are not open."""
    data.read_ahead(_of_tabs(page), pause=PAUSE)


def _of_tabs(page: Page) -> list[Callable[[], Any]]:
    dark, in_tabs = is_dark(), [each for each in page.seen.drawn if each[0].view]
    if not in_tabs:
        return []
    opened, choice = in_tabs[-1]

    def prepare(chart: Chart) -> None:
        whole = resolved(page, choice)
        if chart.when(page, whole):
            _prepare(page, chart, whole, dark=dark)

    of_page = [chart for chart in catalogue.CHARTS if chart.page == opened.page]
    return [partial(prepare, chart) for chart in of_page if chart.view not in ("", opened.view)]


def view(page: Page, name: str, tab: str, choice: Choice, *, side: str = "") -> None:
    """Draws all charts in a tab of a page, by the page's name."""
    for each in catalogue.on(name, tab):
        chart(page, each.name, choice, side=side)


def _chooser(page: Page, chart: Chart, key: str) -> Callable[[], None]:
    """Returns the callback that puts what is clicked in a chart into the address."""

    def choose() -> None:
        points = clicked(key)
        if chart.click == "epoch":
            labelled = page.ask(dynamics.labelled_epochs)  # else the nearest of them
            points = [min(labelled, key=lambda epoch: abs(epoch - point)) for point in points[:1] if labelled]
        if points:
            st.query_params[chart.click] = str(points[0])

    return choose


def alt_text(caption: str, frames: Mapping[str, pd.DataFrame]) -> str:
    """Returns what a chart says to who cannot see it: its caption, and how many rows it shows."""
    return f"{caption} {', '.join(f'{len(frame)} rows of {name}' for name, frame in frames.items())}."


def clicked(key: str) -> list[Any]:
    """Returns `customdata` of the points that were clicked in the chart of that key; in an `on_select` callback."""
    event = st.session_state.get(key) or {}
    return [point["customdata"] for point in event.get("selection", {}).get("points", []) if "customdata" in point]


def is_dark() -> bool:
    """Returns whether the browser shows the dark theme."""
    return st.context.theme.type == "dark"


def _bytes(frame: pd.DataFrame) -> bytes:
    return pickle.dumps(frame, protocol=5)  # twenty times as fast as Streamlit's own way


@st.cache_resource(max_entries=200, show_spinner=False, hash_funcs={pd.DataFrame: _bytes})
def _drawn(
    name: str,
    frames: tuple[pd.DataFrame, ...],
    options: dict[str, Any],
    unit: str,
    _drawing: Drawing,
    *,
    dark: bool,
    selectable: bool,
    panels: bool,
) -> theme.Drawn:
    return theme.on_page(_drawing.figure(), dark=dark, selectable=selectable, panels=panels)


@st.fragment
def below(caption: str, how: str, frames: dict[str, pd.DataFrame], key: str) -> None:
    """Draws what stands below a chart: its caption, "how to read", and the rows behind it."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"below-{key}"):
        st.caption(caption, width="stretch")
        with st.container(horizontal=True, width="content"):  # in a narrow column the buttons go below together
            if how:
                with st.popover("How to read", type="tertiary", icon=":material/help:"):
                    st.markdown(how)
            table = st.popover("Rows", type="tertiary", icon=":material/table:", on_change="rerun", key=f"rows-{key}")
        if table.open:
            with table:
                for name, frame in frames.items():
                    _table(name, frame, f"{key}-{name.replace(' ', '-')}" if len(frames) > 1 else key)


def _table(name: str, frame: pd.DataFrame, file: str) -> None:
    st.markdown(f"{name}: {len(frame)} rows")
    st.dataframe(frame, hide_index=True, height=240, width=700)
    with st.container(horizontal=True):
        st.download_button(
            "CSV", lambda: frame.to_csv(index=False).encode(), f"{file}.csv", "text/csv", key=f"csv-{file}"
        )
        st.download_button(
            "Parquet", lambda: _parquet(frame), f"{file}.parquet", "application/octet-stream", key=f"parquet-{file}"
        )


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def tick(key: str, opened: list[int], column: str, ticked: list[int] | None = None) -> None:
    """Ticks rows of a table, the opened one unless given, and has the keyboard in the opened one.

    It stays where it was in that row, else it comes to a column: without a cell to start from, arrow keys do nothing.
    """
    before = st.session_state.get(key, {}).get("selection", {}).get("cells", [])
    cells = [cell for cell in before if cell[0] in opened] or [(row, column) for row in opened]
    st.session_state[key] = {"selection": {"rows": opened if ticked is None else ticked, "columns": [], "cells": cells}}


def picked(key: str, opened: list[int]) -> set[int]:
    """Returns the rows of a table that were clicked or ticked beside the opened one, whose tick stays meanwhile."""
    selection = st.session_state[key]["selection"]
    return {*selection["rows"], *(row for row, _ in selection["cells"])}.difference(opened)
