"""The dashboard: the list of pages. Start it with `interdash serve` or `streamlit run app.py`."""

# Here and not in the pages: a page interrupted in the middle of an import leaves half a module to later sessions.
import duckdb  # noqa: F401
import numpy  # noqa: F401
import pandas  # noqa: F401
import plotly.graph_objects  # noqa: F401
import streamlit as st

from interdash import ui

pages = [st.Page(ui.FOLDER / f"{stem}.py", title=title, url_path=stem) for stem, title in ui.pages().items()]
home = st.Page(ui.FOLDER / "runs.py", title="Runs", url_path="home", default=True)  # "/" shows what "/runs" shows
st.navigation([*pages, home], position="hidden").run()
