"""What every page shares: its frame, the chosen run and settings in the URL, the store, and how a chart is shown.

    with ui.page("Dynamics") as page:
        epoch = ui.choose_epoch(page)
        ui.show(dynamics.order_map, page.ask(queries.order_map, split="train"), key="order-map")

Known trouble (no runs, an unknown run in the link, damaged files) is said in words, never as a stack trace.
Everything chosen lies in the URL under a short name, so that the address is a link to what is on the screen.
"""

import html
import inspect
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.errors import StreamlitAPIException

from interdash import queries
from interdash.boundaries import BOUNDARIES, move_boundary
from interdash.figures import theme
from interdash.files import DamagedFileError, words
from interdash.runs import Run
from interdash.state import state
from interdash.ui_data import Page, load, open_run, roots, run_names
from interdash.ui_first import show_first_steps
from interdash.ui_style import style

__all__ = ["Page", "open_run", "roots", "run_names"]  # from ui_data, for pages

PAGES = {  # file in pages/: title and icon, in the order of the sidebar
    "runs": ("Runs", ":material/list:"),
    "dynamics": ("Dynamics", ":material/timeline:"),
    "sample": ("Sample", ":material/image_search:"),
    "removal": ("Removal", ":material/content_cut:"),
    "compare": ("Compare", ":material/compare_arrows:"),
    "figures": ("Figures", ":material/insert_chart:"),
}
FOLDER = Path(__file__).resolve().parent.parent / "pages"
CARRIED = ("run", "epoch", "split", "label", "type")  # go along when another page is opened
SPLITS = {"all": "both", "train": "training", "test": "testing"}
KNOWN_TROUBLE = (DamagedFileError, ValueError, OSError)


@contextmanager
def page(title: str) -> Iterator[Page]:
    """Yields the page about the run that is chosen in the sidebar; the first call of a page that needs one run."""
    with frame(title):
        run = _choose_run()
        with st.spinner(f"Loading {run.name} …", show_time=True):
            store, version = load(run)
        if problems := store.problems.get(run.name):
            more = f" ({len(problems)} such problems in all)" if len(problems) > 1 else ""
            st.warning(f"{problems[0]}{more}")
        yield Page(run, store, version)


@contextmanager
def frame(title: str) -> Iterator[None]:
    """Draws title and sidebar, and says known trouble of the body in words; for a page that needs no run."""
    st.set_page_config(page_title=f"{title} · interdash", layout="wide")  # an icon would come from a font's server
    st.html(style(is_dark()))
    with st.sidebar:
        st.markdown("**interdash**  \nwhat a network learned, epoch by epoch")
        carried = {key: st.query_params[key] for key in CARRIED if key in st.query_params}
        for stem in pages():
            link(stem, carried, width="stretch")
    st.title(title, anchor=False)
    try:
        yield
    except KNOWN_TROUBLE as error:
        st.error(_words(error), icon=":material/error:")
        st.stop()


def pages() -> dict[str, str]:
    """Returns the pages that there are: file in pages/ without ".py", title."""
    return {stem: title for stem, (title, _) in PAGES.items() if (FOLDER / f"{stem}.py").exists()}


def link(stem: str, query: dict[str, str], *, width: Literal["stretch", "content"] = "content") -> None:
    """Draws a link to a page that keeps a query; nothing if the page is not there."""
    if stem not in pages():
        return
    title, icon = PAGES[stem]
    try:
        st.page_link(f"pages/{stem}.py", label=title, icon=icon, query_params=query, width=width)
    except StreamlitAPIException:  # the page runs alone: a first deep link on a fresh server, or a test
        st.html(f'<a href="/{stem}?{html.escape(urlencode(query))}" target="_self">{title}</a>')


# What is chosen: each widget's key is its name in the URL.


def choose(
    widget: Callable[..., Any],
    label: str,
    options: Sequence[Any],
    *,
    key: str,
    default: Any = None,
    format_func: Callable[[Any], str] = str,
    **settings: Any,
) -> Any:
    """Returns the chosen option; it lies in the URL as `?key=…`, and one that the link gets wrong is named.

    `widget` is `st.selectbox`, `st.segmented_control` or `st.select_slider`.
    """
    options = list(options)
    default = options[0] if default is None else default
    given = st.query_params.get(key)
    if given is not None and given not in {format_func(option) for option in options}:
        _refuse(label, given, default, format_func)
    if key in st.session_state and st.session_state[key] not in options:
        del st.session_state[key]  # chosen for another run
    name = {st.selectbox: "index", st.select_slider: "value"}.get(widget, "default")
    settings[name] = options.index(default) if name == "index" else default
    if widget is st.segmented_control:
        settings["required"] = True
    chosen = widget(label, options, key=key, bind="query-params", format_func=format_func, **settings)
    return default if chosen is None else chosen  # a link such as "?axis=" chooses nothing


def labelled_epochs(page: Page) -> list[int]:
    """Returns the epochs that have interactions."""
    rows = page.ask(queries.epochs)
    return [int(epoch) for epoch in rows.loc[rows["extracted"], "epoch"]]


def pin_clicked(chart: str, page: Page, *, key: str = "epoch") -> Callable[[], None]:
    """Returns the callback that pins the epoch that is clicked in a chart."""

    def pin() -> None:
        epochs = [int(epoch) for epoch in clicked(chart) if epoch in labelled_epochs(page)]
        if epochs:
            st.session_state[key] = epochs[0]

    return pin


def choose_epoch(page: Page, *, label: str = "Pinned epoch", key: str = "epoch") -> int:
    """Returns the pinned epoch, one of the labelled ones; the last unless chosen. Stops the page if there is none."""
    need_labels(page)
    labelled = labelled_epochs(page)
    if len(labelled) == 1:
        return labelled[0]
    return choose(st.select_slider, label, labelled, key=key, default=labelled[-1])


def need_labels(page: Page) -> None:
    """Stops the page, in words, if no epoch of the run has interactions yet."""
    if not labelled_epochs(page):
        st.info(
            f"No epoch of {page.run.name} has interactions yet: it is {state(page.run).text}. "
            "An extraction can be started on the page Runs, or in a terminal."
        )
        st.stop()


def choose_epochs(page: Page, *, most: int = 6) -> list[int]:
    """Returns up to `most` epochs to show side by side; chosen automatically unless changed."""
    labelled = labelled_epochs(page)
    key = "epochs"
    given = st.query_params.get_all(key)
    if wrong := [text for text in given if text not in map(str, labelled)]:
        _refuse("epochs", ", ".join(wrong), "the automatic choice", str)
    if any(epoch not in labelled for epoch in st.session_state.get(key, [])):
        del st.session_state[key]
    chosen = page.ask(queries.chosen_epochs, count=most)
    return sorted(st.multiselect("Epochs", labelled, chosen, key=key, bind="query-params", max_selections=most))


def choose_log() -> bool:
    """Returns whether the epoch axis is logarithmic."""
    return choose(st.segmented_control, "Epoch axis", ["log", "linear"], key="axis") == "log"


def choose_normalised() -> bool:
    """Returns whether strengths are divided by their mean over orders, so that early and late epochs compare."""
    return choose(st.segmented_control, "Strengths", ["normalised", "nats"], key="unit") == "normalised"


def choose_split() -> str:
    """Returns "all", "train" or "test"."""
    return choose(st.segmented_control, "Samples", list(SPLITS), key="split", format_func=SPLITS.__getitem__)


def choose_label(page: Page) -> int:
    """Returns a class number, −1 = all classes."""
    rows = page.ask(queries.classes)
    names = {-1: "all classes"} | dict(zip(rows["label"].tolist(), rows["label_name"].tolist(), strict=True))
    return choose(st.selectbox, "Class", list(names), key="label", format_func=lambda label: names[label])


def choose_types() -> tuple[str, ...]:
    """Returns the types of interaction to show: ("all",) is AND and OR together, ("and", "or") both apart."""
    names = {"all": "together", "apart": "apart", "and": "AND", "or": "OR"}
    kind = choose(st.segmented_control, "AND and OR", list(names), key="type", format_func=names.__getitem__)
    return ("and", "or") if kind == "apart" else (kind,)


def choose_phases(page: Page, phases: pd.DataFrame, words: str) -> None:
    """Says where the phases meet, and lets the user move a boundary."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(words)
        if phases.empty:
            return
        with st.popover("Move a boundary", type="tertiary", icon=":material/tune:"), st.form("phases", border=False):
            boundary = st.selectbox("Boundary", list(BOUNDARIES), format_func=lambda pair: f"phases {pair}")
            epoch = st.selectbox(
                "Epoch", ["as found", "none", *labelled_epochs(page)], format_func=str, key="boundary-epoch"
            )
            if st.form_submit_button("Set"):
                place = float(epoch) if isinstance(epoch, int) else None
                move_boundary(page.run, boundary, place, reset=epoch == "as found")
                st.rerun()


def facts(epochs: pd.DataFrame, epoch: int) -> None:
    """Draws the numbers of one epoch in a row: losses, H, strengths, τ, salient interactions, noise floor of G."""
    row = epochs.set_index("epoch").loc[epoch]
    with st.container(horizontal=True, key="facts"):
        for name, column, form, unit in FACTS:
            value = row.get(column)
            if value is not None and not pd.isna(value):
                st.metric(name, f"{value:{form}}{unit}", width="content", help=FACT_HELP.get(column))


FACTS = (
    ("Training loss", "train_loss", ".3f", " nats"),
    ("Testing loss", "test_loss", ".3f", " nats"),
    ("H", "generalization_power", ".0%", ""),
    ("Generalizable", "generalizable", ".3g", " nats"),
    ("Non-generalizable", "non_generalizable", ".3g", " nats"),
    ("Salient a sample", "salient", ".0f", ""),
    ("Threshold τ", "tau", ".2g", " nats"),
    ("G flips", "flips", ".0%", ""),
)
FACT_HELP = {
    "generalization_power": "Share of the salient strength that transfers to the baseline network.",
    "tau": "Interactions weaker than τ are not salient. τ is tiny in an untrained network, whose outputs hardly vary.",
    "flips": "Noise floor: share of salient interactions on which two baseline networks disagree.",
}


# How a chart is shown.

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
    drawn = _drawn(name, tuple(frames.values()), options, is_dark(), _figure=figure)
    config = CONFIG | {"toImageButtonOptions": {"format": "svg", "filename": key}}
    alt = f"{caption} {', '.join(f'{len(frame)} rows of {name}' for name, frame in frames.items())}."
    if on_select is None:
        event = st.plotly_chart(drawn, theme=None, key=key, config=config, alt=alt)
    else:
        event = st.plotly_chart(
            drawn, theme=None, key=key, config=config, alt=alt, on_select=on_select, selection_mode="points"
        )
    _below(f"{caption} {note}".strip(), how, frames, key)
    return event


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


@st.cache_resource(max_entries=200, show_spinner=False)  # a figure takes 0.1 s to build, its rows 1 ms to hash
def _drawn(
    name: str,
    frames: tuple[pd.DataFrame, ...],
    options: dict[str, Any],
    dark: bool,
    _figure: Callable[..., go.Figure],
) -> go.Figure:
    return theme.themed(_figure(*frames, **options), dark)


@st.fragment
def _below(caption: str, how: str, frames: dict[str, pd.DataFrame], key: str) -> None:
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


def _choose_run() -> Run:
    names = run_names()
    if not names:
        show_first_steps()
        st.stop()
    asked = st.query_params.get("run", "")
    labelled = (name for name, path in names.items() if (path / "labels").is_dir())
    name = asked if asked in names else next(labelled, next(iter(names)))
    with st.sidebar:
        if asked and asked not in names:
            _refuse("run", asked, name, str)
        st.session_state["chosen_run"] = name  # the address decides, so that every link names its run
        st.query_params["run"] = name
        st.selectbox("Run", list(names), key="chosen_run", on_change=_write_run)
    return Run.open(names[name].parent, name)


def _write_run() -> None:
    st.query_params["run"] = st.session_state["chosen_run"]


def _refuse(label: str, given: str, default: Any, format_func: Callable[[Any], str]) -> None:
    shown = given if len(given) <= 60 else f"{given[:60]}… ({len(given)} characters)"
    st.warning(
        f"The link asks for {label} `{shown.replace('`', '')}`, which is not there; this is {format_func(default)}."
    )


def _words(error: Exception) -> str:
    return words(error).replace("<", "&lt;")
