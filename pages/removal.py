"""Removal: what the losses would be without the non-generalizable interactions, and how far G can be trusted."""

from functools import partial

import streamlit as st

from interdash import correlation, ui
from interdash import queries_removal as questions
from interdash.figures import order_shape as shapes
from interdash.figures import removal as charts
from interdash.figures import robustness as floors

DOSES = range(0, 101, 10)  # percent


def choose_runs(page: ui.Page) -> list[ui.Page]:
    """Returns the other runs whose epochs are drawn too, loaded."""
    others = [name for name in ui.run_names() if name != page.run.name]
    about = "Their epochs are drawn too, and each run has a rank correlation of its own."
    return [ui.opened(ui.open_run(name)) for name in ui.choose_several("Other runs", others, key="with", help=about)]


def show_doses(page: ui.Page, epoch: int, *, min_order: int, **_: object) -> None:
    """Draws the losses by dose."""
    rows = page.ask(questions.removal_doses, epoch=epoch, min_order=min_order)
    ui.show(charts.removal_doses, rows, key="doses", note=page.note)


def show_orders(page: ui.Page, epoch: int, *, dose: int, **_: object) -> None:
    """Draws the losses by lowest order removed."""
    rows = page.ask(questions.removal_orders, epoch=epoch, dose=dose)
    ui.show(charts.removal_orders, rows, key="by-order", note=page.note)


def show_samples(page: ui.Page, epoch: int, *, min_order: int, **_: object) -> None:
    """Draws who changes most."""
    st.markdown(f"Who changes most at epoch {epoch}, at full dose:")
    rows = page.ask(questions.sample_removals, epoch=epoch, min_order=min_order)
    left, right = st.columns([2, 3])
    with left:
        ui.show(charts.sample_removals, rows.drop(columns="image"), key="sample-removals")
    with right:
        st.dataframe(
            charts.list_of_changes(rows, page.run.name, epoch, base=st.get_option("server.baseUrlPath")),
            hide_index=True,
            height=400,
            row_height=44,
            column_config={
                "input": st.column_config.ImageColumn() if page.run.config.masking.kind == "image" else None,
                "look": st.column_config.LinkColumn(display_text="open"),
            },
        )


def show_share(page: ui.Page, *_: object, **__: object) -> None:
    """Draws the non-generalizable share against the loss gap."""
    others = choose_runs(page)
    runs = [other.run.name for other in others]
    points = ui.ask([page, *others], questions.share_and_gap, page.run.name, runs=runs)
    correlations = correlation.rank_correlations(points)
    st.markdown(charts.meaning_text(correlations))
    ui.show(charts.share_and_gap, {"share and gap": points, "correlations": correlations}, key="share")


def show_shape(page: ui.Page, epoch: int, *, log: bool, **_: object) -> None:
    """Draws the fitted profiles over orders, and how alike training and testing samples are."""
    fits = page.ask(questions.order_fits)
    st.markdown(shapes.shape_text(fits, epoch))
    left, right = st.columns([3, 2])
    with left:
        ui.show(shapes.order_fits, fits, key="order-fits", log=log, pinned=epoch)
    with right:
        ui.show(shapes.order_similarities, page.ask(questions.order_similarities), key="similarities", pinned=epoch)


def show_floor(page: ui.Page, epoch: int, **_: object) -> None:
    """Draws how far G can be trusted."""
    floor = page.ask(questions.robustness)
    if floor.empty:
        st.info(
            "How many labels flip under another baseline network, κ, tie-break, rule of τ or without the sign test is "
            f"not measured yet: `interdash robustness {page.run.name}` does it, in a few minutes for a built-in run. "
            "It trains the baseline networks that are missing; `--baselines 2` is enough for the floor itself."
        )
        return
    measured = floors.shown_epoch(floor, epoch)
    st.dataframe(floors.list_of_floors(floor, measured), hide_index=True)
    ui.show(floors.robustness, floor, key="robustness", note=page.note, pinned=measured)


SECTIONS = {
    "By dose": show_doses,
    "By order": show_orders,
    "Samples": show_samples,
    "Share and gap": show_share,
    "Shape over orders": show_shape,
    "Noise floor": show_floor,
}

with ui.page("Removal") as page:
    ui.need_labels(page)
    n = page.run.config.masking.n_variables
    with st.container(horizontal=True, vertical_alignment="bottom"):
        about = "Interactions of this order (number of variables) and above are removed; at 1, those of every order."
        min_order = ui.choose(st.select_slider, "Lowest order removed", range(1, n + 1), key="order", help=about)
        about = "100: all non-generalizable interactions of a sample go; 50: the strongest, until half the strength is."
        dose = ui.choose(st.select_slider, "Dose (% of the strength)", DOSES, key="dose", default=100, help=about)
        log = ui.choose_log()
    epoch = ui.choose_epoch(page)
    after = page.ask(questions.removals, min_order=min_order, dose=dose)
    if after.empty:
        st.info(f"The removals of {page.run.name} are not computed yet; `interdash extract {page.run.name}` does it.")
        st.stop()
    st.subheader(charts.finding_title(after, epoch), anchor=False)
    st.markdown(charts.finding_text(after, epoch))
    pin = ui.pin_clicked("removals", page)
    ui.show(charts.removals, after, key="removals", on_select=pin, note=page.note, log=log, pinned=epoch)

    settings = {"min_order": min_order, "dose": dose, "log": log}
    ui.sections({name: partial(draw, page, epoch, **settings) for name, draw in SECTIONS.items()})
