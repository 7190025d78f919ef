"""What the browser is told before anything else: chart library, history and theme. Imports nothing that takes time."""

from pathlib import Path

import streamlit as st

# Streamlit adds an entry to the history for each change of the address, of which Back then undoes none (its issues
# 11305 and 13853), the first of the next page while the page before is still there. With this a page has one entry, its
# last address, and Back leaves it. A double click on a link is one click: the second would have the page begin again
# before the browser has anything of it, and Streamlit then takes what the link asks for out of the address.
HISTORY = """<script>{
    const push = history.pushState, replace = history.replaceState;
    let left;
    if (!window.interdashHistory) {
        addEventListener('click', event => {
            const link = event.target.closest?.('a');
            if (link && event.detail > 1) {
                event.preventDefault();
                event.stopImmediatePropagation();
            } else left = link && location.href;
        }, true);
        history.pushState = (state, title, url) => {
            const same = new URL(url, location).pathname === location.pathname;
            if (!same && left) replace.call(history, {}, '', left);
            if (!same) left = null;
            (same ? replace : push).call(history, state, title, url);
        };
    }
    window.interdashHistory = true;
}</script>"""
# Streamlit's page follows the browser's theme at once; what the server draws does when it runs again, by the key "r".
THEME = """<script>{
    const again = () => ['keydown', 'keypress', 'keyup'].forEach(kind => document.dispatchEvent(
        new KeyboardEvent(kind, {key: 'r', code: 'KeyR', keyCode: 82, which: 82, bubbles: true})));
    if (!window.interdashTheme)
        matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTimeout(again, 500));
    window.interdashTheme = true;
}</script>"""


def prepare_browser() -> None:
    """Gives each page one entry in the browser's history, and has the chart library read during our imports: 1 s."""
    st.html(HISTORY, unsafe_allow_javascript=True)
    st.html(THEME, unsafe_allow_javascript=True)
    for path in (Path(st.__file__).parent / "static" / "static" / "js").glob("PlotlyChart.*.js"):
        st.html(
            "<script>{const main = document.querySelector('script[type=module][src*=\"static/js/\"]');"
            f"if (main) import(new URL('{path.name}', main.src)).catch(() => 0)}}</script>",
            unsafe_allow_javascript=True,
        )
