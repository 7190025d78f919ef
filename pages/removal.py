"""Removal: what the losses would be without the non-generalizable interactions, and how far G can be trusted."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import streamlit as st

from interdash.dashboard import choose, data, links, show
from interdash.dashboard import page as ui
from interdash.figures import catalogue, order_shape, removal, robustness
from interdash.figures.choice import DOSES, MOST_OTHERS, Choice, whose
from interdash.figures.interactions import labels
from interdash.queries import baselines
from interdash.queries import removal as queries_removal


def show_samples(page: data.Page, epoch: int, choice: Choice) -> None:
    """Draws who changes most."""
    st.markdown(page.worded(f"Who changes most at epoch {epoch}, at full dose:"))
    with st.container(horizontal=True, vertical_alignment="bottom", key="who"):
        choice = replace(choice, split=choose.split(page), label=choose.label(page))
    left, right = st.columns([2, 3])
    with left:
        show.view(page, "removal", "Samples", choice)
    with right:
        address = partial(links.sample, page.run.name, epoch, base=st.get_option("server.baseUrlPath"))
        st.dataframe(
            removal.list_of_changes(removal.changes(page, choice), address),
            hide_index=True,
            height=400,
            row_height=44,
            column_config={
                "input": st.column_config.ImageColumn() if page.kind.picture else None,
                "look": st.column_config.LinkColumn(display_text="open"),
            },
        )


def show_share(page: data.Page, epoch: int, choice: Choice) -> None:
    """Draws the non-generalizable share against the loss gap, of other runs too if they are chosen."""
    names = [name for name in data.run_names() if name != page.run.name]
    about = "Their epochs are drawn too, and each run has a rank correlation of its own."
    others = choose.several("Other runs", names, key="with", help=about, max_selections=MOST_OTHERS)
    page = page.beside([ui.opened(data.open_run(name)) for name in others])
    choice = replace(choice, runs=tuple(others))
    st.markdown(removal.meaning_text(removal.share_and_correlations(page, choice)["correlations"]))
    show.view(page, "removal", "Share and gap", choice)


def show_shape(page: data.Page, epoch: int, choice: Choice) -> None:
    """Draws the fitted profiles over orders, and how alike training and testing samples are."""
    st.markdown(order_shape.shape_text(page.ask(queries_removal.order_fits), epoch))
    charts = catalogue.on("removal", "Shape over orders")
    for column, chart in zip(st.columns([3, 2, *[2] * len(charts[2:])]), charts, strict=True):
        with column:
            show.chart(page, chart.name, choice)


def show_floor(page: data.Page, epoch: int, choice: Choice) -> None:
    """Draws how far G can be trusted."""
    floor = page.ask(queries_removal.robustness)
    if floor.empty:
        st.info(
            "How many labels flip under another baseline network, κ, tie-break, rule of τ, a joint split or without "
            f"the sign test is not measured yet: `interdash robustness {page.run.name}` does it, in minutes for a "
            "built-in run. It trains the baseline networks that are missing; `--baselines 2` is enough for the floor."
        )
        return
    st.dataframe(robustness.list_of_floors(floor, robustness.shown_epoch(floor, epoch)), hide_index=True)
    show.view(page, "removal", "Noise floor", choice)


def show_labels(page: data.Page, epoch: int, choice: Choice) -> None:
    """Draws samples with clean and with random labels apart, or says that nobody knows which are random."""
    rows = page.ask(queries_removal.removals_by_label, min_order=choice.min_order)
    if words := labels.memorised_text(rows, epoch):
        st.markdown(words)
        show.view(page, "removal", "By label", choice)
        return
    text = "The run has no random labels among its explained samples, or it is not known which they are: "
    st.info(f"{text}a spec says so with `true_train_labels`, the built-in runs with noise do.")


WITH_WORDS: dict[str, Callable[[data.Page, int, Choice], None]] = {  # tabs that have more than their charts
    "Samples": show_samples,
    "By label": show_labels,
    "Share and gap": show_share,
    "Shape over orders": show_shape,
    "Noise floor": show_floor,
}

with ui.page("Removal") as page:
    choose.need_labels(page)
    n = page.config.masking.n_variables
    with st.container(horizontal=True, vertical_alignment="bottom", key="controls"):
        about = "Interactions of this order (number of variables) and above are removed; at 1, those of every order."
        orders = range(1, n + 1)
        min_order = choose.one(st.selectbox, "Lowest order removed", orders, key="order", help=about, width=190)
        about = "100: all non-generalizable interactions of a sample go; 50: the strongest, until half the strength is."
        title = "Dose (% of the strength)"
        dose = choose.one(st.selectbox, title, DOSES, key="dose", default=100, help=about, width=210)
        log = choose.log(page)
        with st.container(width="stretch"):
            epoch = choose.epoch(page)
    choice = Choice(epoch=epoch, min_order=min_order, dose=dose, log=log)
    after = page.ask(queries_removal.removals, min_order=min_order, dose=dose)
    if after.empty:
        name = page.run.name
        st.info(
            f"The removals of {name} are not computed yet; `interdash extract {name}` does it."
            if page.ask(baselines.count)
            else f"What to remove from {name} is not known: only a baseline network tells what does not generalize; "
            f"`interdash baseline {name}` trains one, then `interdash extract {name}`."
        )
        for chart in catalogue.CHARTS:
            if chart.page == "removal" and chart.when(page, choice):
                show.chart(page, chart.name, choice)
        st.stop()
    with st.container(key="finding", gap="small"):
        st.subheader(page.worded(queries_removal.finding_title(after, epoch)), anchor=False)
        st.markdown(page.worded(f"{queries_removal.finding_text(after, epoch)} {whose(page, Choice())}."))
        if len(removal.gap_at(after, epoch)):
            with st.popover("More numbers", type="tertiary"):
                st.markdown(page.worded(queries_removal.details_text(after, epoch)))
                st.caption(baselines.label_text(page.ask(baselines.count), page.config.generalization.vote))
    show.chart(page, "gap_changes", choice)
    show.chart(page, "removals", choice)
    tabs = {view: partial(show.view, page, "removal", view, choice) for view in catalogue.views("removal")}
    ui.sections(page, tabs | {view: partial(draw, page, epoch, choice) for view, draw in WITH_WORDS.items()})
