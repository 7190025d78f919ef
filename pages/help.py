"""Help: the texts of docs/."""

import streamlit as st

from interdash import manual, ui, ui_choose

with ui.frame("Help"):
    name = ui_choose.one(st.segmented_control, "Text", manual.TEXTS, key="text")
    with st.container(width=900):
        st.header(manual.title(name), anchor=False)
        for alt, content in manual.pieces(name):
            if alt:
                st.image(content, alt=alt)
            else:
                st.markdown(content)
