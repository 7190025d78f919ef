"""Interactions: which ones samples share, how much of each generalizes, and which variables take part."""

from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from interdash.dashboard import choose, data, links, show
from interdash.dashboard import page as ui
from interdash.figures import catalogue
from interdash.figures.choice import FIRST_PATTERN, Choice, lit_pattern, of_choice, pattern_name, table_of
from interdash.figures.interactions import strongest
from interdash.queries import baselines, interactions

MOST_ROWS = 1000  # of the table in the browser
TABLE = {
    "interaction": st.column_config.TextColumn(pinned=True, width="medium"),
    "samples": st.column_config.NumberColumn(help="in how many of the samples chosen it is salient at this epoch"),
    "strength (nats per sample)": st.column_config.NumberColumn(
        format="%.3f", help="Σ|I| over these samples, divided by all chosen"
    ),
    "mean effect": st.column_config.NumberColumn(format="%+.3f", help="nats, signed, over the samples that have it"),
    "± s.d.": st.column_config.NumberColumn(format="%.3f", help="nats, standard deviation of the effect over these"),
    "generalizable (%)": st.column_config.NumberColumn(format="%.0f", help="share of its strength that transfers"),
    "by chance (%)": st.column_config.NumberColumn(format="%.0f", help="what that share would be by chance"),
    "learned": st.column_config.NumberColumn(format="%g", help="epoch at which it came: the median over samples"),
    "gone": st.column_config.NumberColumn(format="%g", help="epoch at which it was gone for good: the median"),
    "gone in": st.column_config.NumberColumn(help="samples in which it was gone for good by the last epoch"),
    "flips": st.column_config.NumberColumn(format="%.2f", help="changes of sign over the epochs, mean over samples"),
    "life line": st.column_config.TextColumn(help="of most samples; reliable, forgotten, withdrawn, betraying, …"),
    "of (%)": st.column_config.NumberColumn(format="%.0f", help="in how many of the samples it has that life line"),
}


def show_table(rows: pd.DataFrame, chosen: str) -> None:
    """Draws one line for each interaction, the one with the chosen name ticked; a click anywhere in one chooses it."""
    shown = rows.head(MOST_ROWS)
    keys, table = strongest.keys(shown), strongest.list_of_patterns(shown)
    ticked = [row for row, name in enumerate(table["interaction"]) if name == chosen]  # however the list is sorted
    show.tick("patterns", ticked, table.columns[0])

    def choose_row() -> None:
        for row in show.picked("patterns", ticked):
            st.query_params["pattern"] = keys[row]

    st.dataframe(
        table, hide_index=True, height=320, key="patterns", on_select=choose_row,
        placeholder="–", selection_mode=["single-row", "single-cell"], column_config=TABLE,
    )  # fmt: skip
    more = f" The first {len(shown):,} are listed." if len(rows) > len(shown) else ""
    st.caption(f"{len(rows):,} interactions, salient in any of these samples at any epoch.{more}")


def about_chosen(page: data.Page, choice: Choice) -> tuple[str, pd.DataFrame]:
    """Returns what the chosen interaction is called, and the samples that have it."""
    kind, subset, sample = lit_pattern(page, choice)
    of = {name: value for name, value in of_choice(choice).items() if name != "type"}
    settings = {"epoch": choice.epoch, "type": kind, "subset": subset, "sample": sample} | of
    return pattern_name(page, choice), page.ask(interactions.pattern_samples, **settings)


def show_samples(page: data.Page, rows: pd.DataFrame, choice: Choice) -> None:
    """Lists the samples that have the chosen interaction, with links to them."""
    if rows.empty:
        st.caption(f"It is salient in none of these samples at epoch {choice.epoch}.")
        return
    address = partial(links.sample, page.run.name, choice.epoch or 0, base=st.get_option("server.baseUrlPath"))
    st.dataframe(
        strongest.list_of_samples(rows, address), hide_index=True, height=280,
        column_config={"sample": st.column_config.LinkColumn(display_text=r"sample=(\d+)")},
    )  # fmt: skip


def show_view(page: data.Page, view: str, choice: Choice) -> None:
    """Draws the charts of a tab that the run has."""
    for chart in catalogue.on("interactions", view):
        if chart.when(page, choice):
            show.chart(page, chart.name, choice)


with ui.page("Interactions") as page:
    choose.need_labels(page)
    with st.container(horizontal=True, vertical_alignment="bottom", key="controls"):
        settings: dict[str, Any] = {"split": choose.split(page), "types": choose.types(page)}
        with st.container(width=130):
            settings["label"] = choose.label(page)
        settings["sort"] = choose.one(st.selectbox, "Sorted by", list(interactions.SORTS), key="rank", width=140)
        settings["top"] = choose.one(st.selectbox, "Bars drawn", [10, 20, 50], key="top", default=20, width=90)
        settings["where"] = choose.where()
        with st.container(width=180):
            settings["epoch"] = choose.epoch(page)
        choose.near(page, "sort", settings["sort"], interactions.SORTS)
    asked = choose.pattern(page)

    def with_pattern(choice: Choice, rows: pd.DataFrame) -> Choice:
        return replace(choice, pattern=asked or next(iter(strongest.keys(rows.head(1))), FIRST_PATTERN))

    rows = table_of(page, Choice(**settings))
    choice = with_pattern(Choice(**settings), rows)
    page.seen.complete = lambda choice: with_pattern(choice, table_of(page, choice))
    with st.container(key="finding"):
        st.subheader(strongest.finding_text(rows, choice.epoch or 0, choice.top), anchor=False)
    if not page.ask(baselines.count):
        st.caption(links.message(f"{baselines.NONE} `interdash baseline {page.run.name}` trains one."))
    show.chart(page, "strongest_patterns", choice)
    name, samples = page.make(partial(about_chosen, page), choice)
    show_table(rows, name)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        with st.container(key="finding-pattern"):
            st.subheader(links.plain(name), anchor=False)
        show.chart(page, "pattern_life", choice)
        show_samples(page, samples, choice)
    with right:
        there = {chart.view for chart in catalogue.CHARTS if chart.page == "interactions" and chart.when(page, choice)}
        views = [view for view in catalogue.views("interactions") if view in there]
        ui.sections(page, {view: partial(show_view, page, view, choice) for view in views})
