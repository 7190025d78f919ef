"""Runs: what there is, how far it is, and what to do next."""

import streamlit as st

from interdash.dashboard import data, first_steps, links, listing, runs
from interdash.dashboard import page as ui

with ui.frame("Runs"):
    roots = data.roots()
    rows = data.overview()
    if rows.empty:
        first_steps.show_first_steps()
    else:
        if twice := sorted(rows.loc[rows["run"].duplicated(), "run"].unique()):
            text = (
                f"{', '.join(twice)}: there are several runs of this name, and every page shows the one in the folder "
            )
            st.warning(
                links.message(f"{text}named first ({roots[0]} before others). To see both, rename one's folder.")
            )
        listed = runs.choose_matching(rows)
        name = runs.show_list(listed, f"{len(listed)} of {len(rows)} runs.")
        if name is not None:
            runs.show_card(listing.opened(rows, name, data.run_names()), runs.ticked_runs(data.run_names()))
        ui.expect(name)
    runs.show_new_run(roots[0])
    runs.show_jobs(roots)
