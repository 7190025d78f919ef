"""Help: the texts of docs/, a search through them, and a glossary."""

import streamlit as st

from interdash.dashboard import choose, help, links
from interdash.dashboard import page as ui

MOST_PLACES = 30


def show_places(query: str) -> None:
    """Lists the sections that have all words of a query, each with a link to its text."""
    places = help.search(query)
    count = f"{len(places)} sections have" if len(places) != 1 else "1 section has"
    more = f"; the first {MOST_PLACES} are listed" if len(places) > MOST_PLACES else ""
    st.caption(f"{count} all words of {links.shown(query)}{more}.")
    for name, heading, line in places[:MOST_PLACES]:
        where = links.plain(help.title(name))
        section = "" if heading == help.title(name) else f" · {links.plain(heading)}"
        excerpt = line if len(line) <= 240 else f"{line[:240]} …"
        st.markdown(f"[**{where}**{section}](help?text={name})  \n{links.plain(excerpt)}")


def choose_text() -> str:
    """Returns the text to show, the tour unless the link names another, and draws what chooses one by its title."""
    name = st.query_params.get("text", help.TEXTS[0])
    if name not in help.TEXTS:
        choose.refuse("text", name, help.TEXTS[0], help.title)
        name = help.TEXTS[0]
    choose.keep("text", name)
    st.selectbox(
        "Text", help.TEXTS, key="text", format_func=help.title, on_change=choose.write, args=("text",), **choose.SURELY
    )
    return name


with ui.frame("Help"), st.container(width=900):
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = choose_text()
        query = st.text_input(
            "Search all texts", key="search", placeholder="salient, own data, …", max_chars=100, **choose.IN_ADDRESS
        )
    if query and query.strip():
        show_places(query.strip())
        st.stop()
    st.header(help.title(name), anchor=False)
    for alt, content in help.pieces(name):
        if alt:
            st.image(content, alt=alt)
        else:
            st.markdown(content)
