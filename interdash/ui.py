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
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.errors import StreamlitAPIException

from interdash import queries
from interdash.figures import theme
from interdash.files import DamagedFileError
from interdash.runs import Run
from interdash.store import Store, open_store

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


@dataclass(frozen=True)
class Page:
    """A page about one run."""

    run: Run
    store: Store
    version: tuple[int, ...]  # of the run's data: cached answers are dropped when it changes

    def ask(self, question: Callable[..., Any], /, **settings: Any) -> Any:
        """Returns the answer of a query function about this run, from the cache while the data are the same."""
        name = f"{question.__module__}.{question.__qualname__}"
        return _answer(name, str(self.run.path), self.version, settings, _question=question, _store=self.store)


def roots() -> list[Path]:
    """Returns the folders of runs: `INTERDASH_ROOT`, several of them divided as in PATH; default data/runs."""
    text = os.environ.get("INTERDASH_ROOT") or str(FOLDER.parent / "data" / "runs")
    return [Path(part) for part in dict.fromkeys(text.split(os.pathsep)) if part]


@contextmanager
def page(title: str) -> Iterator[Page]:
    """Yields the page about the run that is chosen in the sidebar; the first call of a page that needs one run."""
    with frame(title):
        run = _choose_run()
        with st.spinner(f"Loading {run.name} …", show_time=True):
            store, version = load(run)
        for problem in store.problems.get(run.name, []):
            st.warning(problem)
        yield Page(run, store, version)


@contextmanager
def frame(title: str) -> Iterator[None]:
    """Draws title and sidebar, and says known trouble of the body in words; for a page that needs no run."""
    st.set_page_config(page_title=f"{title} · interdash", layout="wide")  # an icon would come from a font's server
    st.html(_STYLE)
    with st.sidebar:
        st.markdown("**interdash**  \nwhat a network learned, epoch by epoch")
        _links()
    st.title(title, anchor=False)
    try:
        yield
    except KNOWN_TROUBLE as error:
        st.error(_words(error), icon=":material/error:")


def _links() -> None:
    carried = {key: st.query_params[key] for key in CARRIED if key in st.query_params}
    for stem, (name, symbol) in PAGES.items():
        if not (FOLDER / f"{stem}.py").exists():
            continue
        try:
            st.page_link(f"pages/{stem}.py", label=name, icon=symbol, query_params=carried, width="stretch")
        except StreamlitAPIException:  # the page runs alone: a first deep link on a fresh server, or a test
            st.html(f'<a href="/{stem}?{html.escape(urlencode(carried))}" target="_self">{name}</a>')


def load(run: Run) -> tuple[Store, tuple[int, ...]]:
    """Returns the store with what the run has now, and the version of its data."""
    shared = _shared()
    version = data_version(run)
    with shared.lock:
        if shared.versions.get(str(run.path)) != version:
            shared.store.refresh(run)
            shared.versions[str(run.path)] = version
    return shared.store, version


def data_version(run: Run) -> tuple[int, ...]:
    """Returns numbers that change whenever the dashboard's data of a run change."""
    paths = (run.path / "run.json", run.path / "metrics.jsonl", run.labels_dir)
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


def run_names() -> dict[str, Path]:
    """Returns the runs of all roots: name and folder, newest first; a name that comes twice is the first root's."""
    found: dict[str, Path] = {}
    for root in roots():
        for path in sorted(root.glob("*/run.json"), key=lambda path: -path.stat().st_mtime_ns):
            found.setdefault(path.parent.name, path.parent)
    return found


def open_run(name: str) -> Run:
    """Returns a run of any root by its name."""
    found = run_names()
    if name not in found:
        raise ValueError(f"there is no run {name!r}; choose one of {', '.join(found) or 'none'}")
    return Run.open(found[name].parent, name)


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
    if given is not None and given not in {text for o in options for text in (format_func(o), str(o))}:
        _refuse(key, label, given, default, format_func)
    if key in st.session_state and st.session_state[key] not in options:
        del st.session_state[key]  # chosen for another run
    if widget is st.selectbox:
        settings["index"] = options.index(default)
    else:
        settings["value" if widget is st.select_slider else "default"] = default
    if widget is st.segmented_control:
        settings["required"] = True
    return widget(label, options, key=key, bind="query-params", format_func=format_func, **settings)


def choose_epoch(page: Page, *, label: str = "Epoch", key: str = "epoch") -> int:
    """Returns the pinned epoch, one of the labelled ones; the last unless chosen. Stops the page if there is none."""
    rows = page.ask(queries.epochs)
    labelled = [int(epoch) for epoch in rows.loc[rows["extracted"], "epoch"]]
    if not labelled:
        st.info(
            f"No epoch of {page.run.name} has interactions yet; `interdash extract {page.run.name}` makes them. "
            "Losses are on the page Dynamics as soon as they are recorded."
        )
        st.stop()
    if len(labelled) == 1:
        return labelled[0]
    return choose(st.select_slider, label, labelled, key=key, default=labelled[-1])


def choose_split() -> str:
    """Returns "all", "train" or "test"."""
    return choose(st.segmented_control, "Samples", list(SPLITS), key="split", format_func=SPLITS.__getitem__)


def choose_label(page: Page) -> int:
    """Returns a class number, −1 = all classes."""
    rows = page.ask(queries.classes)
    names = {-1: "all classes"} | dict(zip(rows["label"].tolist(), rows["label_name"].tolist(), strict=True))
    return choose(st.selectbox, "Class", list(names), key="label", format_func=lambda label: names[label])


def choose_type() -> str:
    """Returns "all" (AND and OR together), "and", "or", or "apart" (both, side by side)."""
    names = {"all": "together", "apart": "apart", "and": "AND", "or": "OR"}
    return choose(st.segmented_control, "AND / OR", list(names), key="type", format_func=names.__getitem__)


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
    **options: Any,
) -> Any:
    """Draws one chart with caption, "how to read", its rows (CSV, Parquet), alt text and an SVG download.

    Args:
        figure: the figure function; its docstring's first line is the caption, and a paragraph "How to read:" follows.
        rows: what it draws, one frame or several by name, passed in this order.
        key: name of the chart on the page and of the downloaded files.
        on_select: callback of clicks; the points are in `st.session_state[key]["selection"]["points"]`.
        options: passed on to the figure function.

    Returns:
        What `st.plotly_chart` returns.
    """
    frames = dict(rows) if isinstance(rows, Mapping) else {figure.__name__.replace("_", " "): rows}
    caption, how = explanation(figure)
    drawn = theme.themed(figure(*frames.values(), **options), is_dark())
    config = CONFIG | {"toImageButtonOptions": {"format": "svg", "filename": key}}
    alt = f"{caption} {', '.join(f'{len(frame)} rows of {name}' for name, frame in frames.items())}."
    if on_select is None:
        event = st.plotly_chart(drawn, theme=None, key=key, config=config, alt=alt)
    else:
        event = st.plotly_chart(
            drawn, theme=None, key=key, config=config, alt=alt, on_select=on_select, selection_mode="points"
        )
    _below(caption, how, frames, key)
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


@dataclass
class _Shared:
    store: Store
    versions: dict[str, tuple[int, ...]] = field(default_factory=dict)  # loaded, by run folder
    lock: threading.Lock = field(default_factory=threading.Lock)


@st.cache_resource(show_spinner=False)
def _shared() -> _Shared:
    return _Shared(open_store())


@st.cache_data(max_entries=400, show_spinner=False)
def _answer(
    name: str,
    path: str,
    version: tuple[int, ...],
    settings: dict[str, Any],
    _question: Callable[..., Any],
    _store: Store,
) -> Any:
    return _question(_store, Path(path).name, **settings)


def _choose_run() -> Run:
    names = run_names()
    if not names:
        folders = ", ".join(str(root) for root in roots())
        st.info(f"No runs in {folders} yet. Make one with `interdash demo`, or start one on the page Runs.")
        st.stop()
    with st.sidebar:
        name = choose(st.selectbox, "Run", list(names), key="run")
    return Run.open(names[name].parent, name)


def _refuse(key: str, label: str, given: str, default: Any, format_func: Callable[[Any], str]) -> None:
    shown = given if len(given) <= 60 else f"{given[:60]}… ({len(given)} characters)"
    st.warning(
        f"The link asks for {label.lower()} `{shown.replace('`', '')}`, which is not there; "
        f"this is {format_func(default)}."
    )


def _words(error: Exception) -> str:
    text = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.strerror else str(error)
    return text.replace("<", "&lt;")


_STYLE = """<style>
.block-container {padding-top: 2.2rem; padding-bottom: 2rem; max-width: 1760px;}
[data-testid="stSidebar"] {min-width: 210px; max-width: 250px;}
</style>"""
