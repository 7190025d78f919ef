"""Sample: find one; then its input, its interactions at an epoch, what they add up to, and how faithful that is."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from interdash.dashboard import choose, data, links, listing, show
from interdash.dashboard import page as ui
from interdash.dashboard.gallery import gallery
from interdash.figures import catalogue, compare, inputs
from interdash.figures.choice import Choice, lit_interaction, lit_name
from interdash.formulas.subsets import members
from interdash.masking.kinds import MASKED
from interdash.queries import drilldown, dynamics, vectors
from interdash.queries import sample as queries_sample

LIMITS = {
    "loss": (0, 1000),
    "share": (0, 100),
    "order": (0, 20),
    "gap": (0, 100),
    "net": (0, 100),
    "high": (0, 100),
}  # of the filters
LAST_PAGE = 10_000
SORTS = {
    "sample": "number",
    "loss": "highest loss",
    "non_generalizable_share": "most non-generalizable",
    "highest_order": "highest order",
    "net_share": "most cancelling",
    "high_order_share": "most high orders",
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


def find_samples(page: data.Page, epoch: int, asked_for: int | None) -> tuple[list[int], list[int]]:
    """Draws the filters; returns the numbers of all samples that fit, in their order, and those on this page of them.

    The page is the one that the address names, or else the one with the sample that is asked for.
    """
    of = {key: bound(key, *limits) for key, limits in LIMITS.items()}  # here: what is wrong is not said in a popover
    given = asked("page", links.amount, 1, LAST_PAGE, "page")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = choose.split()
        noise = choose.noise(page)
        right = choose.one(st.segmented_control, page.worded("At this epoch"), ["all", "wrong", "right"], key="answer")
        with st.container(width=150):
            label = choose.label(page)
        with st.container(width=195):
            sort = choose.one(st.selectbox, "Sorted by", list(SORTS), key="sort", format_func=SORTS.__getitem__)
        with st.popover("More filters", icon=":material/filter_list:"):
            loss = st.number_input("Loss at least (nats)", 0.0, 1000.0, 0.0, 0.1, **of["loss"])
            share = st.slider("Share of non-generalizable strength at least (%)", 0, 100, 0, 5, **of["share"])
            order = st.slider("Highest order at least", 0, 20, 0, **of["order"])
            gap = st.number_input("Certified gap at least (%)", 0.0, 100.0, 0.0, 0.1, **of["gap"])
            about = "ρ = |ΣI| / Σ|I| over salient interactions: 0 = they cancel, 100 = all have one sign."
            net = st.slider("Net share ρ at most (%)", 0, 100, 100, 5, help=about, **of["net"])
            about = "Interactions of more than half of the variables."
            high = st.slider("Share of high orders at least (%)", 0, 100, 0, 5, help=about, **of["high"])
            place = st.container()
    found = page.ask(
        queries_sample.sample_numbers,
        epoch=epoch,
        split=split,
        label=label,
        noise=noise,
        correct={"all": None, "wrong": False, "right": True}[right],
        min_loss=loss,
        min_share=share / 100,
        min_order=order,
        min_gap=gap / 100,
        max_net=net / 100,
        min_high=high / 100,
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


def show_list(page: data.Page, found: pd.DataFrame, number: int) -> None:
    """Draws the samples found as thumbnails, or as lines of text; a click chooses one."""
    if page.kind.picture:
        gallery(found, lambda clicked: go(sample=clicked), chosen=number)
        return
    at = found["sample"].tolist().index(number) if number in found["sample"].tolist() else None
    if at is not None:  # the ticked row is the sample shown, also after previous and next
        st.session_state["list"] = {"selection": {"rows": [at], "columns": [], "cells": []}}

    def tick() -> None:
        for row in st.session_state["list"]["selection"]["rows"]:
            go(sample=int(found["sample"].iloc[row]))

    st.dataframe(
        inputs.list_of_texts(found), hide_index=True, height=230, key="list", on_select=tick,
        selection_mode="single-row",
        column_config={
            "input": st.column_config.TextColumn(width="large"),
            "loss": st.column_config.NumberColumn(format="%.3f", help=page.worded("nats, at this epoch")),
            "non-gen. (%)": st.column_config.NumberColumn(help="share of non-generalizable strength"),
            "order": st.column_config.NumberColumn(help="the highest order of a salient interaction"),
            "ρ (%)": st.column_config.NumberColumn(help="|ΣI| / Σ|I|: 0 = salient interactions cancel"),
            "high orders (%)": st.column_config.NumberColumn(help="share of more than half of the variables"),
            "gap (%)": st.column_config.NumberColumn(format="%.2f", help="certified gap"),
        },
    )  # fmt: skip


def choose_next(page: data.Page, numbers: list[int], number: int, epoch: int, lit: Any, pinned: Any) -> tuple[int, str]:
    """Draws the buttons: previous, next, pin, light; returns how many interactions to list, and of which life line.

    `numbers` are those of all samples that fit, so that the keys go on beyond the page of the list.
    """
    at = numbers.index(number) if number in numbers else -1  # one that the filters leave out is followed by the first
    before, after = numbers[max(at - 1, 0) : max(at, 0)], numbers[at + 1 : at + 2]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for text, key, target in (("Previous", "P", before), ("Next", "N", after)):
            there = {"sample": (target or [0])[0], "page": None}  # the list follows
            st.button(text, shortcut=key, disabled=not target, on_click=go, kwargs=there, key=text)
        if pinned is None:
            pin = {"pin": f"{number}-{epoch}"}
            st.button("Compare with another", on_click=go, kwargs=pin, icon=":material/keep:", key="pin-it")
        else:
            st.button("Stop comparing", on_click=go, kwargs={"pin": None}, icon=":material/keep_off:", key="unpin")
        light = "none" if lit != ("", 0) else None
        st.button("Highlight none" if light else "Highlight the strongest", on_click=go, kwargs={"interaction": light})
        top = choose.one(st.segmented_control, "Interactions listed", [10, 20, 50], key="top", default=20)
        return top, choose.life_line(page, epoch, number)


def ask_all(page: data.Page, choice: Choice) -> dict[str, Any]:
    """Returns what the page says of one sample at one epoch, by name; its charts then find their rows in the cache."""
    life = page.ask(queries_sample.sample_life, sample=choice.sample)
    lit = lit_interaction(page, choice)
    return {
        "row": page.ask(queries_sample.sample, sample=choice.sample),
        "now": life.loc[life["epoch"] == choice.epoch].iloc[0],
        "every": page.read(vectors.all_interactions, epoch=choice.epoch, sample=choice.sample),
        "rebuilt": catalogue.chart("rebuilt").rows(page, choice)["rebuilt"],
        "life of lit": catalogue.chart("interaction_life").rows(page, choice)["interaction"] if lit else None,
        "lit": lit,
    }


def show_sample(page: data.Page, choice: Choice, side: str = "") -> None:
    """Draws one sample at one epoch, but for the tabs below. `side` tells two on one page apart."""
    known = ask_all(page, choice)
    row, now, lit = (known[name] for name in ("row", "now", "lit"))
    names = page.run.class_names
    predicted = names[int(now["predicted"])] if int(now["predicted"]) < len(names) else str(now["predicted"])
    split = {"train": "training", "test": "testing"}[row["split"].iloc[0]]
    st.subheader(page.worded(f"Sample {choice.sample} at epoch {choice.epoch}"), anchor=False)
    true = inputs.true_label_text(row.iloc[0])
    st.markdown(
        f"{split} split, row {row['row'].iloc[0]} · label **{links.plain(row['label_name'].iloc[0])}**"
        f"{f' :orange-badge[{links.plain(true)}]' if true else ''}, predicted "
        f"**{links.plain(predicted)}** ({'right' if now['correct'] else 'wrong'}) · loss {now['loss']:.3f} nats · "
        + f"v(x_∅) {now['v_empty']:.3f} → v(x) {now['v_full']:.3f} nats".replace("-", "−")
    )
    show_faithfulness(known["rebuilt"], now, side)
    left, right = (st.container(), st.container()) if side else st.columns([2, 3])
    with left:
        figure = inputs.drawing_of(page)
        if figure is not inputs.input_words:
            show.chart(page, figure.__name__, choice, side=side)
        else:
            st.html(inputs.input_html(row, members(lit[1]) if lit else ()))
            masked = MASKED[page.run.config.masking.baseline]
            st.caption(f"Outlined and numbered: the variables, masked to {masked}; all else is always visible.")
    with right:
        show.chart(page, "interactions", choice, side=side)
    if lit:
        st.markdown(f"##### {links.plain(lit_name(page, choice))}")
        st.markdown(page.worded(drilldown.story_text(drilldown.story(known["life of lit"]))))
        show.chart(page, "interaction_life", choice, side=side)
        ui.warn_of(known["life of lit"].attrs["problems"])
    ui.warn_of(known["every"].attrs["problems"])


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


def show_view(page: data.Page, view: str, choices: list[Choice]) -> None:
    """Draws the same tab of each sample shown."""
    sides = ["-left", "-right"] if len(choices) > 1 else [""]
    for column, choice, side in zip(st.columns(len(choices), gap="medium"), choices, sides, strict=True):
        with column:
            show.view(page, "sample", view, choice, side=side)


def show_shared(page: data.Page, choices: list[Choice]) -> None:
    """Draws what each sample shown shares with another network or epoch, and lists it."""
    partner = choose.partner(page)
    choices = [replace(choice, partner=partner) for choice in choices]
    show_view(page, "Shared", choices)
    for choice in choices:
        rows = catalogue.chart("sample_shared").rows(page, choice)["shared"]
        titles = {"both": "Shared", "first": "Only the target", "second": f"Only {links.plain(partner)}"}
        places = [st.container(), *st.columns(2)]  # the columns of what is shared need the whole width
        for place, (where, title) in zip(places, titles.items(), strict=True):
            some: Any = rows[rows["where"] == where]
            with place:
                st.markdown(f"**{title}, sample {choice.sample}**: {len(some)} interactions")
                st.dataframe(compare.listed(some, where), hide_index=True, height=260)


with ui.page("Sample") as page:
    if st.session_state.setdefault("sample_of", page.run.name) != page.run.name:  # another run is chosen in the sidebar
        st.session_state["sample_of"] = page.run.name
        go(sample=None, interaction=None, pin=None, page=None)
    choose.need_labels(page)
    epoch = choose.epoch(page)
    every_number = range(int(page.ask(queries_sample.classes)[["train", "test"]].to_numpy().sum()))
    number = asked("sample", links.number, every_number, "sample")
    numbers, shown = find_samples(page, epoch, number)
    number = (shown or [0])[0] if number is None else number
    show_list(page, page.ask(queries_sample.samples, epoch=epoch, numbers=shown), number)
    n = len(page.ask(queries_sample.sample, sample=number)["names"].iloc[0])
    lit = asked("interaction", links.interaction, n)
    pinned = asked("pin", links.pin, every_number, page.ask(dynamics.labelled_epochs))
    top, life_line = choose_next(page, numbers, number, epoch, lit, pinned)
    words = "" if lit is None else f"{lit[0]}-{lit[1]}" if lit[1] else "none"
    choice = Choice(epoch=epoch, sample=number, interaction=words, top=top, life_line=life_line)
    choices = [choice]
    if pinned is None:
        show_sample(page, choice)
    else:
        choices.append(replace(choice, sample=pinned[0], epoch=pinned[1]))
        for column, one, side in zip(st.columns(2, gap="medium"), choices, ("-left", "-right"), strict=True):
            with column:
                show_sample(page, one, side)
    tabs = {view: partial(show_view, page, view, choices) for view in catalogue.views("sample")}
    ui.sections(tabs | {"Shared": partial(show_shared, page, choices)})
    following = numbers[numbers.index(number) + 1 :][:1] if number in numbers else []
    data.read_ahead(lambda: [ask_all(page, replace(choice, sample=sample)) for sample in following])
