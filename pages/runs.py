"""Runs: what there is, how far it is, and what to do next."""

import streamlit as st

from interdash import links, listing, ui, ui_data, ui_first, ui_runs

with ui.frame("Runs"):
    roots = ui_data.roots()
    rows = ui_data.overview()
    if rows.empty:
        ui_first.show_first_steps()
    else:
        if twice := sorted(rows.loc[rows["run"].duplicated(), "run"].unique()):
            text = (
                f"{', '.join(twice)}: there are several runs of this name, and every page shows the one in the folder "
            )
            st.warning(
                links.message(f"{text}named first ({roots[0]} before others). To see both, rename one's folder.")
            )
        shown = ui_runs.choose_matching(rows)
        chosen = ui_runs.show_table(shown)
        st.caption(f"{len(shown)} of {len(rows)} runs. Losses in nats, at the last epoch. Click a row to open a run.")
        if chosen is not None:
            ui_runs.show_card(listing.opened(rows, chosen, ui_data.run_names()))
        ui.expect(chosen)
    ui_runs.show_new_run(roots[0])
    ui_runs.show_jobs(roots)
