"""The dashboard: the list of pages. Start it with `interdash serve` or `streamlit run app.py`."""

import streamlit as st

from interdash.dashboard.preload import prepare_browser

prepare_browser()  # first of all: the browser reads it while the imports below go on
st.session_state["through_app"] = True

# Here and not in the pages: a page interrupted in the middle of an import leaves half a module to later sessions.
import duckdb  # noqa: E402, F401
import numpy  # noqa: E402, F401
import pandas  # noqa: E402, F401
import plotly.graph_objects  # noqa: E402, F401

from interdash.dashboard import page as ui  # noqa: E402

pages = [st.Page(ui.FOLDER / f"{stem}.py", title=title, url_path=stem) for stem, title in ui.pages().items()]
home = st.Page(ui.FOLDER / "runs.py", title="Runs", url_path="home", default=True)  # "/" shows what "/runs" shows
st.navigation([*pages, home], position="hidden").run()
