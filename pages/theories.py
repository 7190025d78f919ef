"""Theories: what other theories of the same training say of it, each beside the epochs and phases of interactions."""

from functools import partial

import streamlit as st

from interdash.dashboard import choose, show
from interdash.dashboard import page as ui
from interdash.figures import catalogue
from interdash.figures.choice import Choice
from interdash.figures.theories.coherence import coherence_text
from interdash.queries import coherence as queries_coherence
from interdash.queries import dynamics

with ui.page("Theories") as page:
    choose.need_labels(page)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        log = choose.log()
    choice = Choice(epoch=choose.epoch(page), log=log)

    def show_view(view: str) -> None:
        """Draws a tab."""
        if view == "Coherence":
            st.markdown(coherence_text(page.ask(queries_coherence.coherence), page.ask(dynamics.phases)))
        show.view(page, "theories", view, choice)

    ui.sections({view: partial(show_view, view) for view in catalogue.views("theories")})
