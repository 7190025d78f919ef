"""Help: the texts of docs/."""

import streamlit as st

from interdash.dashboard import choose, help
from interdash.dashboard import page as ui

with ui.frame("Help"):
    name = choose.one(st.segmented_control, "Text", help.TEXTS, key="text")
    with st.container(width=900):
        st.header(help.title(name), anchor=False)
        for alt, content in help.pieces(name):
            if alt:
                st.image(content, alt=alt)
            else:
                st.markdown(content)
