"""Theories: what neighbouring theories of learning say of the same run."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from interdash.dashboard import choose, data, show
from interdash.dashboard import page as ui
from interdash.figures import catalogue
from interdash.figures.choice import Choice
from interdash.figures.theories import agreement, coherence, information, layers, prediction
from interdash.queries import agreement as queries_agreement
from interdash.queries import coherence as queries_coherence
from interdash.queries import dynamics, theories


def say_prediction(page: data.Page) -> None:
    """Says how much the theory of noise explains and where σ² falls, or how to compute it."""
    rows = page.ask(theories.predictions)
    if rows.empty:
        st.info(f"Nothing is predicted for {page.run.name} yet; `interdash extract {page.run.name}` does it.")
        return
    say(page, prediction.finding_text(rows), prediction.details_text(rows, page.ask(dynamics.phases)))


def say_coherence(page: data.Page) -> None:
    """Says how far the gradients agree, or how to measure it."""
    rows = page.ask(queries_coherence.coherence)
    if rows.empty:
        st.info(f"It is not measured yet; `interdash measure {page.run.name} --coherence` does it.")
    else:
        st.markdown(page.worded(coherence.coherence_text(rows, page.ask(dynamics.phases))))


def say_layers(page: data.Page) -> None:
    """Says in which layer the network's interactions appear, or how to measure it."""
    text = layers.layers_text(page.ask(theories.layers))
    st.markdown(text or f"It is not measured yet; `interdash measure {page.run.name} --layers` does it.")


def say_information(page: data.Page) -> None:
    """Says where synergy is highest, or how to measure it."""
    rows, pairs = page.ask(theories.information), page.ask(theories.synergy_and_power)
    text = information.information_text(rows, pairs)
    st.markdown(text or f"It is not measured yet; `interdash measure {page.run.name} --information` does it.")


def say_agreement(page: data.Page) -> None:
    """Says how many turns of the theories lie near each other, which, and which are not found."""
    turns, distances = page.ask(queries_agreement.turns), page.ask(queries_agreement.turn_distances)
    say(page, agreement.finding_text(distances), agreement.details_text(turns, distances))


def say(page: data.Page, finding: str, details: str) -> None:
    """Draws a finding as a heading, and below it what is behind it."""
    with st.container(key="finding", gap="small"):
        if finding:
            st.subheader(page.worded(finding), anchor=False)
        st.markdown(page.worded(details).replace("<", r"\<"))


WORDS: dict[str, Callable[[data.Page], None]] = {  # above the charts of a tab
    "Prediction": say_prediction,
    "Coherence": say_coherence,
    "Layers": say_layers,
    "Information": say_information,
    "Agreement": say_agreement,
}


def show_view(page: data.Page, view: str, choice: Choice) -> None:
    """Draws a tab: its words, then the charts that the run has."""
    WORDS.get(view, lambda page: None)(page)
    for chart in catalogue.on("theories", view):
        if chart.when(page, choice):
            show.chart(page, chart.name, choice)


with ui.page("Theories") as page:
    choose.need_labels(page)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        types = choose.types(page)
        log = choose.log(page)
        epochs = tuple(choose.epochs(page))
        partner = choose.partner(page)
    choice = Choice(epoch=choose.epoch(page), types=types, log=log, epochs=epochs, partner=partner)
    ui.sections(page, {view: partial(show_view, page, view, choice) for view in catalogue.views("theories")})
