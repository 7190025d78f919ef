"""Dynamics: losses, strengths, H and orders of one run over its epochs."""

from dataclasses import replace
from functools import partial

import streamlit as st

from interdash.dashboard import choose, data, links, show
from interdash.dashboard import page as ui
from interdash.figures import catalogue, dynamics
from interdash.figures.choice import MOST_OTHERS, Choice, count_of, whose
from interdash.formulas.bootstrap import FEW
from interdash.queries import baselines, lives
from interdash.queries import dynamics as queries
from interdash.queries.phase_words import finding, gap_text, phase_table

with ui.page("Dynamics") as page:
    with st.container(horizontal=True, vertical_alignment="bottom", key="controls"):
        split = choose.split(page)
        types = choose.types(page)
        log = choose.log(page)
        scale = choose.scale(page)
        with st.container(width=130):
            label = choose.label(page)
        with st.container(width=220):
            epoch = choose.epoch(page) if page.ask(queries.labelled_epochs) else None
    epochs = page.ask(queries.epochs, split=split, label=label)
    choice = Choice(epoch=epoch, split=split, label=label, types=types, log=log, scale=scale)
    if nothing := dynamics.chance_text(epochs):
        st.warning(nothing)
    phases, flows = page.ask(queries.phases), page.ask(queries.flows, split=split, label=label)
    course, of = dynamics.finding_text(epochs, page.read(queries.diverged)), whose(page, choice)
    few = epoch is not None and count_of(page, choice) < FEW
    with st.container(key="finding", gap="small"):
        if few:
            st.subheader(f"{of}: too few to say what is learned", anchor=False)
            st.warning(f"Of fewer than {FEW} samples there is no verdict, and no interval is drawn.")
        else:
            words = finding(phases, flows)
            st.subheader(page.worded(words or course), anchor=False)
            st.markdown(page.worded(f"{f'{course}. ' if words else ''}{of}."))
    if not page.ask(queries.flows).empty:
        show.chart(page, "flows", choice)
        st.markdown("" if few else page.worded(phase_table(phases, epochs, flows)))
    if epoch is not None:
        choose.phases(page, phases, page.worded(dynamics.phase_text(phases)))
        if (split, label) != ("all", -1):
            st.caption("The phases are those of all explained samples.")
        st.caption(baselines.how_many_text(page.ask(baselines.count)))
        own = page.ask(lives.explained_losses, split=split, label=label)
        st.caption(page.worded(gap_text(epochs, own, epoch)))
        ui.facts(epochs, epoch)
    else:
        show.chart(page, "dynamics", choice)  # the losses; below, the same chart is a tab
    choose.need_labels(page, samples=False)

    def show_view(view: str) -> None:
        if view == "Life cycle":
            show_lives()
            return
        if view == "Baselines" and not page.ask(baselines.count):
            st.info(baselines.NONE)
            return
        settings = {"epochs": tuple(choose.epochs(page))} if view == "Six epochs" else {}
        show.view(page, "dynamics", view, replace(choice, **settings))

    def show_lives() -> None:
        start = choose.start(page)
        rows = page.ask(lives.life_classes, start=start, split=split, label=label)
        st.markdown(page.worded(lives.life_table(rows, epoch)) if epoch is not None else "")
        st.caption(page.worded(lives.notes_text(page.ask(lives.life_epochs), phases)))
        show.view(page, "dynamics", "Life cycle", replace(choice, start=start))

    def show_seeds(names: list[str]) -> None:
        every = [page.run.name, *names]
        with st.container(horizontal=True, vertical_alignment="center"):
            text = f"Mean ± one standard deviation of {len(every)} runs that differ in the seed alone: "
            st.markdown(links.plain(f"{text}{', '.join(every)}."), width="content")
            ui.link("compare", {"runs": every}, label="Compare them one by one")
        others = page.beside([ui.opened(data.open_run(name)) for name in names])
        show.chart(others, "curves", replace(choice, runs=tuple(names), by="seeds"))

    views = {view: partial(show_view, view) for view in catalogue.views("dynamics")}
    seeds = data.other_seeds(page.run)[:MOST_OTHERS]
    ui.sections(page, views | ({"Over seeds": partial(show_seeds, seeds)} if seeds else {}))
