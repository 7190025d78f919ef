"""Runs: what there is, how far it is, and what to do next."""

import streamlit as st

from interdash import state, ui

with ui.frame("Runs"):
    st.dataframe(state.overview(ui.roots()).drop(columns=["curves"]), hide_index=True)
