"""Sample: find one; then its input, its interactions at an epoch, what they add up to, and how faithful that is."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from interdash.dashboard import choose, data, links, listing, show
from interdash.dashboard import page as ui
from interdash.dashboard.gallery import ABOUT, SORTS, gallery, list_of_texts
from interdash.figures import catalogue, compare, inputs
from interdash.figures.choice import Choice, lit_interaction, lit_name
from interdash.formulas.subsets import members
from interdash.masking.kinds import MASKED
from interdash.queries import drilldown, dynamics, vectors
from interdash.queries import sample as queries_sample

PERCENT = (0, 100)
LIMITS = {"loss": (0, 1000), "share": PERCENT, "highest": (0, 20), "gap": PERCENT, "net": PERCENT, "high": PERCENT}
LAST_PAGE = 10_000
MANY = 12  # samples in small panels


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
    return {"key": key} | choose.IN_ADDRESS


def find_samples(page: data.Page, epoch: int, wanted: int | None) -> tuple[list[int], list[int], str]:
    """Draws sort and filters; returns all samples that fit, in their order, those on this page of them, and the sort.

    The page is the one that the address names, or else the one with the sample that is wanted.
    """
    of = {key: bound(key, *limits) for key, limits in LIMITS.items()}  # here: what is wrong is not said in a popover
    in_link = asked("page", links.amount, 1, LAST_PAGE, "page")
    words = {name: each.words for name, each in SORTS.items()}
    sort = choose.one(st.selectbox, "Sorted by", list(SORTS), key="sort", format_func=words.__getitem__, help=ABOUT)
    with st.popover("Filters", icon=":material/filter_list:", width="stretch"):
        split = choose.split(page)
        right = choose.one(st.segmented_control, page.worded("At this epoch"), ["all", "wrong", "right"], key="answer")
        label = choose.label(page)
        loss = st.number_input("Loss at least (nats)", 0.0, 1000.0, 0.0, 0.1, **of["loss"])
        share = st.slider("Share of non-generalizable strength at least (%)", 0, 100, 0, 5, **of["share"])
        order = st.slider("Highest order at least", 0, 20, 0, **of["highest"])
        gap = st.number_input("Certified gap at least (%)", 0.0, 100.0, 0.0, 0.1, **of["gap"])
        about = "ρ = |ΣI| / Σ|I| over salient interactions: 0 = they cancel, 100 = all have one sign."
        net = st.slider("Net share ρ at most (%)", 0, 100, 100, 5, help=about, **of["net"])
        about = "Interactions of more than half of the variables."
        high = st.slider("Share of high orders at least (%)", 0, 100, 0, 5, help=about, **of["high"])
    numbers = page.ask(
        queries_sample.sample_numbers,
        epoch=epoch,
        split=split,
        label=label,
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
    at = int(in_link or (numbers.index(wanted) // size + 1 if wanted in numbers else 1))
    shown, last = numbers[(at - 1) * size : at * size], -(-len(numbers) // size)
    if not shown and at > 1:
        st.info(f"There is no page {at} of this list.")
    with st.container(horizontal=True, vertical_alignment="center", key="pages"):
        every = sum(page.ask(queries_sample.counts).values())
        place = f"{(at - 1) * size + 1}–{(at - 1) * size + len(shown)} of " if shown and last > 1 else ""
        fit = "samples" if len(numbers) == every else "that fit" if place else f"of {every} samples fit"
        st.caption(f"{place}{len(numbers)} {fit}")
        for text, sign, to, there in (
            ("Previous", "‹", min(at - 1, last), at > 1),
            ("Next", "›", at + 1, at < last),
        ):
            if last > 1 or at > 1:
                st.button(sign, help=f"{text} page of the list", disabled=not there,
                          on_click=go, kwargs={"page": to}, key=f"{text}-page", type="tertiary")  # fmt: skip
    return numbers, shown, sort


def show_list(page: data.Page, rows: pd.DataFrame, number: int, sort: str) -> None:
    """Draws the samples as thumbnails, or as lines of text; a click chooses one."""
    if page.kind.picture:
        gallery(rows, lambda clicked: go(sample=clicked), chosen=number, sort=sort)
        return
    table = list_of_texts(rows, sort)
    shown = [row for row, sample in enumerate(rows["sample"]) if sample == number]  # also after previous and next
    show.tick("list-of-texts", shown, table.columns[0])

    def tick() -> None:
        for row in show.picked("list-of-texts", shown):
            go(sample=int(rows["sample"].iloc[row]))

    forms = {each.title: each.form.replace("%", "f") for each in SORTS.values() if each.form != "s"}
    st.dataframe(
        table, hide_index=True, height=560, key="list-of-texts", on_select=tick,
        selection_mode=["single-row", "single-cell"],
        column_config={title: st.column_config.NumberColumn(format=f"%{form}") for title, form in forms.items()}
        | {"input": st.column_config.TextColumn(width="medium")},
    )  # fmt: skip


def choose_next(page: data.Page, numbers: list[int], choice: Choice, pinned: Any) -> Choice:
    """Draws the buttons: previous, next, compare; returns the choice with what is listed and highlighted.

    `numbers` are those of all samples that fit, so that the keys go on beyond the page of the list.
    """
    number, epoch = choice.sample, choice.epoch or 0
    at = numbers.index(number) if number in numbers else -1  # one that the filters leave out is followed by the first
    before, after = numbers[max(at - 1, 0) : max(at, 0)], numbers[at + 1 : at + 2]
    for text, key, target in (("Previous", "P", before), ("Next", "N", after)):
        there = {"sample": (target or [0])[0], "page": None}  # the list follows
        st.button(text, shortcut=key, disabled=not target, on_click=go, kwargs=there, key=text)
    if pinned is None:
        about = page.worded("Keeps this sample at this epoch on the right; then choose another sample or epoch.")
        kept = {"pin": f"{number}-{epoch}"}
        st.button("Compare", on_click=go, kwargs=kept, icon=":material/compare:", key="pin-it", help=about)
    else:
        st.button("End comparison", on_click=go, kwargs={"pin": None}, icon=":material/close:", key="unpin")
    with st.popover("Interactions", icon=":material/tune:"):
        top = choose.one(st.segmented_control, "Listed", [10, 20, 50], key="top", default=20)
        life_line = choose.life_line(page, epoch, number)
        lit = choose.interaction(page, epoch, number)
    return replace(choice, top=top, life_line=life_line, interaction=lit)


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


def show_facts(page: data.Page, choice: Choice, side: str = "") -> None:
    """Says what is to be seen of a sample at an epoch, and how far to trust it. `side` tells two on one page apart."""
    known = ask_all(page, choice)
    row, now, names = known["row"].iloc[0], known["now"], page.run.class_names
    answer = names[int(now["predicted"])] if int(now["predicted"]) < len(names) else str(now["predicted"])
    with st.container(key=f"finding{side}", gap="small"):
        text = links.plain(drilldown.finding(now, row["label_name"], answer))
        st.subheader(page.worded(f"Sample {choice.sample} at epoch {choice.epoch}: {text}"), anchor=False)
        true = inputs.true_label_text(row)
        st.markdown(
            f"{ {'train': 'training', 'test': 'testing'}[row['split']] } split, row {row['row']}"
            f"{f' · :orange-badge[{links.plain(true)}]' if true else ''} · loss {now['loss']:.3f} nats · "
            + f"v(x_∅) {now['v_empty']:.3f} → v(x) {now['v_full']:.3f} nats".replace("-", "−")
        )
        show_faithfulness(known["rebuilt"], now, side)


def show_sample(page: data.Page, choice: Choice, side: str = "") -> None:
    """Draws the input of a sample, and, unless two are on the page, its interactions beside it."""
    known = ask_all(page, choice)
    left, right = (st.container(), None) if side else st.columns([2, 3] if page.kind.picture else [1, 2])
    with left:
        figure = inputs.drawing_of(page)
        if figure is not inputs.input_words:
            show.chart(page, figure.__name__, choice, side=side)
        else:
            st.html(inputs.input_html(known["row"], members(known["lit"][1]) if known["lit"] else ()))
            masked = MASKED[page.config.masking.baseline]
            st.caption(f"Outlined and numbered: the variables, masked to {masked}; all else is always visible.")
    if right:
        with right:
            show.chart(page, "interactions", choice)


def show_life(page: data.Page, choice: Choice, side: str = "") -> None:
    """Draws the life of the interaction that is highlighted, and says what is missing."""
    known = ask_all(page, choice)
    if known["lit"]:
        st.markdown(f"##### {links.plain(lit_name(page, choice))}")
        st.markdown(page.worded(drilldown.story_text(drilldown.story(known["life of lit"]))))
        show.chart(page, "interaction_life", choice, side=side)
        ui.warn_of(known["life of lit"].attrs["problems"])
    ui.warn_of(known["every"].attrs["problems"])


def show_faithfulness(rebuilt: pd.DataFrame, now: Any, side: str) -> None:
    """Says how far the pictures below can be trusted, in one line; the numbers lie behind it."""
    explained = "Left: share of Σ|I|. Right: share of the variance of the 2ⁿ outputs that they rebuild by themselves."
    with st.container(horizontal=True, vertical_alignment="center", key=f"faithful{side}"):
        st.markdown(drilldown.faithfulness_text(rebuilt, now), width="content")
        with st.popover("Details", type="tertiary"), st.container(horizontal=True):
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


def show_pair(page: data.Page, choices: list[Choice]) -> None:
    """Draws two samples, or one at two epochs, side by side, and their interactions in one list."""
    first, second = choices
    for column, one, side in zip(st.columns(2, gap="medium"), choices, ("-left", "-right"), strict=True):
        with column:
            show_facts(page, one, side)
            if first.sample != second.sample:
                show_sample(page, one, side)
    left, right = st.columns([2, 3]) if first.sample == second.sample else (None, st.container())
    if left:
        with left:
            show_sample(page, first, "-left")
    with right:
        show.chart(page, "pair", replace(first, beside=f"{second.sample}-{second.epoch}"), side="-both")
    show_life(page, first, "-left")
    if first.sample != second.sample:
        show_life(page, second, "-right")


def show_view(page: data.Page, view: str, choices: list[Choice]) -> None:
    """Draws the same tab of each sample shown; of what is about no sample, once an epoch."""
    if not any("sample" in chart.says for chart in catalogue.on("sample", view)):
        choices = list({choice.epoch: choice for choice in choices}.values())
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
    beside, main = st.columns([1, 3.4] if page.kind.picture else [1, 2.6], gap="medium")
    controls = main.container(horizontal=True, vertical_alignment="bottom", key="controls")
    with controls, st.container(width="stretch"):
        epoch = choose.epoch(page)
    every_number = range(sum(page.ask(queries_sample.counts).values()))
    number = asked("sample", links.number, every_number, "sample")
    pinned = asked("pin", links.pin, every_number, page.ask(dynamics.labelled_epochs))
    with beside:
        numbers, shown, sort = find_samples(page, epoch, number)
        number = (shown or [0])[0] if number is None else number
        show_list(page, page.ask(queries_sample.samples, epoch=epoch, numbers=shown), number, sort)
    with controls:
        choice = choose_next(page, numbers, Choice(epoch=epoch, sample=number), pinned)
    choices = [choice]
    with main:
        if pinned is None:
            show_facts(page, choice)
            show_sample(page, choice)
            show_life(page, choice)
        else:
            choices.append(replace(choice, sample=pinned[0], epoch=pinned[1]))
            show_pair(page, choices)
        choices = [replace(one, samples=tuple(shown[:MANY])) for one in choices]
        views = [view for view in catalogue.views("sample") if pinned is None or view != "Pair"]
        tabs = {view: partial(show_view, page, view, choices) for view in views}
        ui.sections(page, tabs | {"Shared": partial(show_shared, page, choices)})
    following = numbers[numbers.index(number) + 1 :][:1] if number in numbers else []
    page.seen.near.insert(0, ("sample", number, following))
