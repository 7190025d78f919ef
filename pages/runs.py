"""Runs: what there is, how far it is, and what to do next."""

import streamlit as st

from interdash import ui, ui_data, ui_first, ui_runs

with ui.frame("Runs"):
    roots = ui.roots()
    rows = ui_data.overview()
    if rows.empty:
        ui_first.show_first_steps()
    else:
        if twice := sorted(rows.loc[rows["run"].duplicated(), "run"].unique()):
            st.warning(
                f"{', '.join(twice)}: there are several runs of this name, and every page shows the one in the folder "
                f"named first ({roots[0]} before others). To see both, rename one's folder."
            )
        shown = ui_runs.choose_matching(rows)
        chosen = ui_runs.show_table(shown)
        st.caption(f"{len(shown)} of {len(rows)} runs. Losses in nats, at the last epoch. Click a row to open a run.")
        for row in shown.loc[shown["run"] == chosen].to_dict("records"):
            ui_runs.show_card(row)
    ui_runs.show_new_run(roots[0])
    for root in roots:
        ui_runs.show_jobs(root)
