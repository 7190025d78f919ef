"""The dashboard: the list of pages. Start it with `interdash serve` or `streamlit run app.py`."""

# Here and not in the pages: a page interrupted in the middle of an import leaves half a module to later sessions.
import duckdb  # noqa: F401
import numpy  # noqa: F401
import pandas  # noqa: F401
import plotly.graph_objects  # noqa: F401
import streamlit as st

from interdash import ui

st.navigation(
    [
        st.Page(f"pages/{stem}.py", title=title, url_path=stem)
        for stem, (title, _) in ui.PAGES.items()
        if (ui.FOLDER / f"{stem}.py").exists()
    ],
    position="hidden",
).run()
