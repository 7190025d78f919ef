"""What the browser is told before anything else: to read the chart library. Imports nothing that takes time."""

from pathlib import Path

import streamlit as st


def expect_charts() -> None:
    """Has the browser read the chart library, which takes it a second, while the server does its own imports."""
    for path in (Path(st.__file__).parent / "static" / "static" / "js").glob("PlotlyChart.*.js"):
        st.html(
            "<script>{const main = document.querySelector('script[type=module][src*=\"static/js/\"]');"
            f"if (main) import(new URL('{path.name}', main.src)).catch(() => 0)}}</script>",
            unsafe_allow_javascript=True,
        )
