"""Sample: find one; then its input, its interactions at an epoch, what they add up to, and how faithful that is."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from interdash import drilldown, links, listing, queries_sample, subsets, ui, vectors
from interdash.figures import inputs
from interdash.figures import sample as charts

WATERFALL, STRENGTHS, FAITHFUL, LIFE = "Waterfall", "All strengths", "Faithfulness", "Life"  # sections
LIMITS = {
    "loss": (0, 1000),
    "share": (0, 100),
    "order": (0, 20),
    "gap": (0, 100),
}  # of the filters
LAST_PAGE = 10_000
STEPS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000)  # k of the k strongest
SORTS = {
    "sample": "number",
    "loss": "highest loss",
    "non_generalizable_share": "most non-generalizable",
    "highest_order": "highest order",
    "gap": "largest certified gap",
    "strength": "strongest",
}


def go(**parameters: object) -> None:
    """Changes the address: None takes a parameter out of it."""
    for key, value in parameters.items():
        if value is not None:
            st.query_params[key] = str(value)
        elif key in st.query_params:
            del st.query_params[key]


def asked(key: str, parse: Callable[..., Any], *known: Any) -> Any:
    """Returns what the link asks for under a key, None if nothing; what is not there is named and passed over."""
    given = st.query_params.get(key)
    if given is None:
        return None
    try:
        return parse(given, *known)
    except ValueError as error:
        st.warning(str(error))
        return None


def bound(key: str, low: float, high: float) -> dict[str, Any]:
    """Returns key and binding of a number's widget; a link's number that is not within limits is named, not bound."""
    if asked(key, links.amount, low, high, key) is None and key in st.query_params:
        return {"key": key}  # bound, the widget would raise at an infinite one
    return {"key": key, "bind": "query-params"}


def find_samples(page: ui.Page, epoch: int, asked_for: int | None) -> tuple[list[int], list[int]]:
    """Draws the filters; returns the numbers of all samples that fit, in their order, and those on this page of them.

    The page is the one that the address names, or else the one with the sample that is asked for.
    """
    of = {key: bound(key, *limits) for key, limits in LIMITS.items()}  # here: what is wrong is not said in a popover
    given = asked("page", links.amount, 1, LAST_PAGE, "page")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = ui.choose_split()
        right = ui.choose(st.segmented_control, "At this epoch", ["all", "wrong", "right"], key="answer")
        with st.container(width=150):
            label = ui.choose_label(page)
        with st.container(width=195):
            sort = ui.choose(st.selectbox, "Sorted by", list(SORTS), key="sort", format_func=SORTS.__getitem__)
        with st.popover("More filters", icon=":material/filter_list:"):
            loss = st.number_input("Loss at least (nats)", 0.0, 1000.0, 0.0, 0.1, **of["loss"])
            share = st.slider("Share of non-generalizable strength at least (%)", 0, 100, 0, 5, **of["share"])
            order = st.slider("Highest order at least", 0, 20, 0, **of["order"])
            gap = st.number_input("Certified gap at least (%)", 0.0, 100.0, 0.0, 0.1, **of["gap"])
            place = st.container()
    found = page.ask(
        queries_sample.sample_numbers,
        epoch=epoch,
        split=split,
        label=label,
        correct={"all": None, "wrong": False, "right": True}[right],
        min_loss=loss,
        min_share=share / 100,
        min_order=order,
        min_gap=gap / 100,
        sort=sort,
    )
    size = listing.SAMPLES_ON_A_PAGE
    number = int(given or (found.index(asked_for) // size + 1 if asked_for in found else 1))
    shown = found[(number - 1) * size : number * size]
    if st.session_state.get("page") != number:
        st.session_state["page"] = number
    place.number_input(
        "Page of the list", 1, LAST_PAGE, key="page", on_change=lambda: go(page=st.session_state["page"])
    )
    if not shown and number > 1:
        st.info(f"There is no page {number} of this list; go back to page 1 under More filters.")
    elif len(found) > size:
        st.caption(f"Page {number} of {-(-len(found) // size)}: {len(shown)} of {len(found)} samples.")
    return found, shown


def show_list(page: ui.Page, found: pd.DataFrame, number: int) -> None:
    """Draws the samples found as thumbnails, or as lines of text; a click chooses one."""
    if page.run.config.masking.kind == "image":
        ui.gallery(found, lambda clicked: go(sample=clicked), chosen=number)
        return
    at = found["sample"].tolist().index(number) if number in found["sample"].tolist() else None
    if at is not None:  # the ticked row is the sample shown, also after previous and next
        st.session_state["list"] = {"selection": {"rows": [at], "columns": [], "cells": []}}

    def choose() -> None:
        for row in st.session_state["list"]["selection"]["rows"]:
            go(sample=int(found["sample"].iloc[row]))

    st.dataframe(
        inputs.list_of_texts(found), hide_index=True, height=230, key="list", on_select=choose,
        selection_mode="single-row",
        column_config={
            "input": st.column_config.TextColumn(width="large"),
            "loss": st.column_config.NumberColumn(format="%.3f", help="nats, at this epoch"),
            "non-gen. (%)": st.column_config.NumberColumn(help="share of non-generalizable strength"),
            "order": st.column_config.NumberColumn(help="the highest order of a salient interaction"),
            "gap (%)": st.column_config.NumberColumn(format="%.2f", help="certified gap"),
        },
    )  # fmt: skip


def clicked_in(chart: str, key: str) -> Any:
    """Returns the callback that puts what is clicked in a chart into the address."""

    def choose() -> None:
        for value in ui.clicked(chart):
            go(**{key: value})

    return choose


def choose_next(numbers: list[int], number: int, epoch: int, chosen: Any, pinned: Any) -> int:
    """Draws the buttons: previous, next, pin, light; returns how many interactions to list.

    `numbers` are those of all samples that fit, so that the keys go on beyond the page of the list.
    """
    at = numbers.index(number) if number in numbers else -1  # one that the filters leave out is followed by the first
    before, after = numbers[max(at - 1, 0) : max(at, 0)], numbers[at + 1 : at + 2]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for text, key, target in (("Previous", "P", before), ("Next", "N", after)):
            there = {"sample": (target or [0])[0], "page": None}  # the list follows
            st.button(text, shortcut=key, disabled=not target, on_click=go, kwargs=there, key=text)
        if pinned is None:
            st.button("Pin", on_click=go, kwargs={"pin": f"{number}-{epoch}"}, icon=":material/keep:", key="pin-it")
        else:
            st.button("Unpin", on_click=go, kwargs={"pin": None}, icon=":material/keep_off:", key="unpin")
        light = "none" if chosen != ("", 0) else None
        st.button("Light nothing" if light else "Light the strongest", on_click=go, kwargs={"interaction": light})
        return ui.choose(st.segmented_control, "Interactions listed", [10, 20, 50], key="top", default=20)


def ask_all(page: ui.Page, number: int, epoch: int, chosen: tuple[str, int] | None, top: int) -> dict[str, Any]:
    """Returns all that is drawn of one sample at one epoch, by name."""
    life = page.ask(queries_sample.sample_life, sample=number)
    now: Any = life.loc[life["epoch"] == epoch].iloc[0]
    listed = page.ask(queries_sample.interactions, epoch=epoch, sample=number, limit=top)
    if chosen is None and len(listed):
        chosen = listed["type"].iloc[0], int(listed["subset"].iloc[0])
    kind, subset = chosen or ("", 0)
    return {
        "row": page.ask(queries_sample.sample, sample=number),
        "life": life,
        "now": now,
        "every": page.read(vectors.all_interactions, epoch=epoch, sample=number),
        "listed": listed,
        "rebuilt": page.read(drilldown.faithfulness, epoch=epoch, sample=number, counts=(*STEPS, int(now["salient"]))),
        "chosen": (kind, subset),
        "life of chosen": page.read(vectors.interaction_life, sample=number, type=kind, subset=subset)
        if subset
        else None,
    }


def show_sample(
    page: ui.Page, number: int, epoch: int, chosen: tuple[str, int] | None, top: int, side: str = ""
) -> dict[str, Callable[[], None]]:
    """Draws one sample at one epoch; returns what draws the sections below. `side` tells two on one page apart."""
    found = ask_all(page, number, epoch, chosen, top)
    row, life, now, every, listed = (found[name] for name in ("row", "life", "now", "every", "listed"))
    image = page.run.config.masking.kind == "image"
    if image:
        every, listed = drilldown.numbered(every), drilldown.numbered(listed)
    kind, subset = found["chosen"]
    name = f"{kind}-{subset}"
    pick = clicked_in(f"interactions{side}", "interaction")

    names = page.run.class_names
    predicted = names[int(now["predicted"])] if int(now["predicted"]) < len(names) else str(now["predicted"])
    split = {"train": "training", "test": "testing"}[row["split"].iloc[0]]
    st.subheader(f"Sample {number} at epoch {epoch}", anchor=False)
    st.markdown(
        f"{split} split, row {row['row'].iloc[0]} · label **{links.plain(row['label_name'].iloc[0])}**, predicted "
        f"**{links.plain(predicted)}** ({'right' if now['correct'] else 'wrong'}) · loss {now['loss']:.3f} nats · "
        + f"v(x_∅) {now['v_empty']:.3f} → v(x) {now['v_full']:.3f} nats".replace("-", "−")
    )
    rebuilt = found["rebuilt"]
    show_faithfulness(rebuilt, now, side)
    left, right = (st.container(), st.container()) if side else st.columns([2, 3])
    with left:
        if image:
            ui.show(inputs.input_image, inputs.drawable(row), key=f"input{side}", chosen=subsets.members(subset))
        else:
            st.html(inputs.input_html(row, subsets.members(subset)))
            st.caption("Outlined and numbered: the variables that are masked; all else is always visible.")
    with right:
        ui.show(charts.interactions, listed, key=f"interactions{side}", on_select=pick, chosen=name, note=page.note)
    if subset:
        names = [*map(str, range(len(row["names"].iloc[0])))] if image else list(row["names"].iloc[0])
        show_life(page, found["life of chosen"], f"{kind.upper()} {subsets.label(subset, names)}", epoch, side)
    ui.warn_of(found["every"].attrs["problems"])

    def waterfall() -> None:
        steps = drilldown.waterfall(every, now["v_empty"], now["v_full"], top=min(top, 12))
        key = f"waterfall{side}"
        ui.show(charts.waterfall, steps, key=key, on_select=clicked_in(key, "interaction"), chosen=name)

    def strengths() -> None:
        key = f"sorted{side}"
        ui.show(charts.sorted_strengths, every, key=key, on_select=clicked_in(key, "interaction"), chosen=name)

    def faithful() -> None:
        ui.show(charts.rebuilt, rebuilt, key=f"rebuilt{side}", salient=int(now["salient"]))

    def lived() -> None:
        key = f"life{side}"
        ui.show(charts.sample_life, life, key=key, on_select=ui.pin_clicked(key, page), pinned=int(now["epoch"]))

    return {WATERFALL: waterfall, STRENGTHS: strengths, FAITHFUL: faithful, LIFE: lived}


def show_faithfulness(rebuilt: pd.DataFrame, now: Any, side: str) -> None:
    """Draws how far the pictures below can be trusted."""
    explained = "Left: share of Σ|I|. Right: share of the variance of the 2ⁿ outputs that they rebuild by themselves."
    with st.container(horizontal=True, key=f"faithful{side}"):
        st.metric(
            "Universal matching, largest error", f"{now['residual']:.1e} nats",
            help="The largest |v(x_∅) + Σ triggered interactions − (v(x_T) − δ_T)| over all 2ⁿ masked versions.",
        )  # fmt: skip
        st.metric(
            "Certified gap", f"{now['gap']:.2%}",
            help="How far the sparse split can be from the optimum at most, by a lower bound on its objective.",
        )  # fmt: skip
        st.metric(
            "Largest noise |δ|", f"{now['noise']:.3f} nats",
            help="What the split may leave unexplained on a masked version: at most κ·|v(x) − v(x_∅)|.",
        )  # fmt: skip
        st.metric("Explained by the 10 strongest", drilldown.shares(rebuilt, 10), help=explained)
        words = f"{explained} Salient: |I| ≥ τ = {now['tau']:.3f} nats."
        st.metric(f"… by the {now['salient']} salient", drilldown.shares(rebuilt, now["salient"]), help=words)


def show_life(page: ui.Page, life: pd.DataFrame, name: str, epoch: int, side: str) -> None:
    """Draws one interaction over the epochs."""
    st.markdown(f"##### {links.plain(name)}")
    st.markdown(drilldown.story_text(drilldown.story(life)))
    key = f"interaction-life{side}"
    ui.show(charts.interaction_life, life, key=key, on_select=ui.pin_clicked(key, page), pinned=epoch)
    ui.warn_of(life.attrs["problems"])


def show_beside(draw: list[Callable[[], None]]) -> None:
    """Draws the same section of each sample shown."""
    for column, one in zip(st.columns(len(draw), gap="medium"), draw, strict=True):
        with column:
            one()


with ui.page("Sample") as page:
    if st.session_state.setdefault("sample_of", page.run.name) != page.run.name:  # another run is chosen in the sidebar
        st.session_state["sample_of"] = page.run.name
        go(sample=None, interaction=None, pin=None, page=None)
    ui.need_labels(page)
    epoch = ui.choose_epoch(page)
    every_number = range(int(page.ask(queries_sample.classes)[["train", "test"]].to_numpy().sum()))
    number = asked("sample", links.number, every_number, "sample")
    numbers, shown = find_samples(page, epoch, number)
    number = (shown or [0])[0] if number is None else number
    show_list(page, page.ask(queries_sample.samples, epoch=epoch, numbers=shown), number)
    n = len(page.ask(queries_sample.sample, sample=number)["names"].iloc[0])
    chosen = asked("interaction", links.interaction, n)
    pinned = asked("pin", links.pin, every_number, ui.labelled_epochs(page))
    top = choose_next(numbers, number, epoch, chosen, pinned)
    if pinned is None:
        below = [show_sample(page, number, epoch, chosen, top)]
    else:
        left, right = st.columns(2, gap="medium")
        with left:
            below = [show_sample(page, number, epoch, chosen, top, side="-left")]
        with right:
            below.append(show_sample(page, pinned[0], pinned[1], chosen, top, side="-right"))
    ui.sections({view: partial(show_beside, [draw[view] for draw in below]) for view in below[0]})
    following = numbers[numbers.index(number) + 1 :][:1] if number in numbers else []
    ui.read_ahead(lambda: [ask_all(page, sample, epoch, chosen, top) for sample in following])
