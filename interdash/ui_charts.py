"""How a chart is shown, `ui.show`: with its caption, "how to read", rows, alt text and a picture to keep."""

import inspect
import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from interdash.figures import theme

CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
}


def show(
    figure: Callable[..., go.Figure],
    rows: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    key: str,
    on_select: Callable[[], None] | None = None,
    note: str = "",
    **options: Any,
) -> Any:
    """Draws one chart with caption, "how to read", its rows (CSV, Parquet), alt text and an SVG download.

    Args:
        figure: the figure function; its docstring's first line is the caption, and a paragraph "How to read:" follows.
        rows: what it draws, one frame or several by name, passed in this order.
        key: name of the chart on the page and of the downloaded files.
        on_select: callback of clicks; the points are in `st.session_state[key]["selection"]["points"]`.
        note: what the caption adds, such as `page.note`.
        options: passed on to the figure function.

    Returns:
        What `st.plotly_chart` returns.
    """
    frames = dict(rows) if isinstance(rows, Mapping) else {figure.__name__.replace("_", " "): rows}
    caption, how = explanation(figure)
    name = f"{figure.__module__}.{figure.__qualname__}"
    drawn = _drawn(name, tuple(frames.values()), options, is_dark(), on_select is not None, _figure=figure)
    config = CONFIG | {"toImageButtonOptions": {"format": "svg", "filename": key}}
    alt = alt_text(caption, frames)
    if on_select is None:
        event = st.plotly_chart(drawn, theme=None, key=key, config=config, alt=alt)
    else:
        event = st.plotly_chart(
            drawn, theme=None, key=key, config=config, alt=alt, on_select=on_select, selection_mode="points"
        )
    below(f"{caption} {note}".strip(), how, frames, key)
    return event


def alt_text(caption: str, frames: Mapping[str, pd.DataFrame]) -> str:
    """Returns what a chart says to who cannot see it: its caption, and how many rows it shows."""
    return f"{caption} {', '.join(f'{len(frame)} rows of {name}' for name, frame in frames.items())}."


def explanation(figure: Callable[..., go.Figure]) -> tuple[str, str]:
    """Returns caption and "how to read" of a figure function, from its docstring."""
    caption, _, rest = (inspect.getdoc(figure) or "").partition("\n")
    how = rest.partition("How to read:")[2].partition("\n\n")[0]
    return caption.strip(), " ".join(how.split())


def clicked(key: str) -> list[Any]:
    """Returns `customdata` of the points that were clicked in the chart of that key; in an `on_select` callback."""
    event = st.session_state.get(key) or {}
    return [point["customdata"] for point in event.get("selection", {}).get("points", []) if "customdata" in point]


def is_dark() -> bool:
    """Returns whether the browser shows the dark theme."""
    return st.context.theme.type == "dark"


def _bytes(frame: pd.DataFrame) -> bytes:
    return pickle.dumps(frame, protocol=5)  # twenty times as fast as Streamlit's own way


@st.cache_resource(max_entries=200, show_spinner=False, hash_funcs={pd.DataFrame: _bytes})
def _drawn(
    name: str,
    frames: tuple[pd.DataFrame, ...],
    options: dict[str, Any],
    dark: bool,
    selectable: bool,
    _figure: Callable[..., go.Figure],
) -> theme.Drawn:
    return theme.once(theme.themed(_figure(*frames, **options), dark), selectable)


@st.fragment
def below(caption: str, how: str, frames: dict[str, pd.DataFrame], key: str) -> None:
    """Draws what stands below a chart: its caption, "how to read", and the rows behind it."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"below-{key}"):
        st.caption(caption, width="stretch")
        if how:
            with st.popover("How to read", type="tertiary", icon=":material/help:"):
                st.markdown(how)
        table = st.popover("Rows", type="tertiary", icon=":material/table:", on_change="rerun", key=f"rows-{key}")
        if table.open:
            with table:
                for name, frame in frames.items():
                    _table(name, frame, f"{key}-{name.replace(' ', '-')}" if len(frames) > 1 else key)


def _table(name: str, frame: pd.DataFrame, file: str) -> None:
    st.markdown(f"{name}: {len(frame)} rows")
    st.dataframe(frame, hide_index=True, height=240, width=700)
    with st.container(horizontal=True):
        st.download_button(
            "CSV", lambda: frame.to_csv(index=False).encode(), f"{file}.csv", "text/csv", key=f"csv-{file}"
        )
        st.download_button(
            "Parquet", lambda: _parquet(frame), f"{file}.parquet", "application/octet-stream", key=f"parquet-{file}"
        )


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
