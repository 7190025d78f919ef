"""Runs: what there is, how far it is, and what to do next."""

import streamlit as st

from interdash.dashboard import data, first_steps, links, listing, page, runs

with page.frame("Runs"):
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
        shown = runs.choose_matching(rows)
        chosen = runs.show_table(shown)
        st.caption(f"{len(shown)} of {len(rows)} runs. Losses in nats, at the last epoch. Click a row to open a run.")
        if chosen is not None:
            runs.show_card(listing.opened(rows, chosen, data.run_names()))
        page.expect(chosen)
    runs.show_new_run(roots[0])
    runs.show_jobs(roots)
