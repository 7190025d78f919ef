"""Where the pages' data come from: the runs of all roots, one store for all sessions, cached answers.

The store is filled from a run's labels when the run is first opened, and brought up to date when its files change. It
holds the short tables; the salient interactions stay in their files until a page asks for a sample's (see
`long_tables`). The page Runs has the run that will probably be opened next loaded in the background (`load_ahead`);
pages of one run have what the next press will ask for answered and drawn there (`show.read_ahead`).
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from interdash.config import setting
from interdash.queries.asking import Ask
from interdash.runs import state
from interdash.runs.run import Run
from interdash.store.database import Store, open_store
from interdash.store.loading import refresh

Versions = tuple[tuple[str, tuple[int, ...]], ...]  # folder and version of the data of each run


@dataclass
class Seen:
    """What a page has asked and drawn, and which choices are one press away: `show.read_ahead` does these before."""

    asked: list[tuple[Callable[..., Any], dict[str, Any]]] = field(default_factory=list)  # what asks again, settings
    drawn: list[tuple[Any, Any]] = field(default_factory=list)  # `Chart` and `Choice`
    made: list[tuple[Callable[[Any], Any], Any]] = field(default_factory=list)  # what else is made of a `Choice`
    near: list[tuple[str, Any, list[Any]]] = field(default_factory=list)  # name of a setting, its value, its next ones
    complete: Callable[[Any], Any] = lambda choice: choice  # fills in what follows from a `Choice` with another value


@dataclass(frozen=True)
class Page(Ask):
    """A page about one run: asks from the cache while the data of the run, and of others beside it, are the same."""

    version: tuple[int, ...]  # of the run's data: cached answers are dropped when it changes
    others: tuple["Page", ...] = ()  # about the runs compared with
    seen: Seen = field(default_factory=Seen, compare=False, repr=False)

    @property
    def versions(self) -> Versions:
        """The data that answers are from: those of the run and of the ones beside it."""
        return tuple((str(page.run.path), page.version) for page in (self, *self.others))

    @property
    def unit(self) -> str:
        """What the runs count: "epoch", "step", or, of several, "epoch or step"."""
        return " or ".join(sorted({page.config.training.unit for page in (self, *self.others)}))

    @property
    def note(self) -> str:
        """The choices of the split that its charts rest on, for `show`."""
        split = self.config.split
        ties = (
            "low orders preferred"
            if split.tie_break > 0
            else "high orders preferred"
            if split.tie_break < 0
            else "none"
        )
        return f"Split: κ = {split.kappa:g}, tie-break {split.tie_break:g} ({ties})."

    def __call__(self, question: Callable[..., Any], /, **settings: Any) -> Any:
        """Returns the answer of a query function about this run."""
        return self.about(question, self.run.name, **settings)

    def ask(self, question: Callable[..., Any], /, **settings: Any) -> Any:
        """Returns the answer of a query function about this run."""
        return self(question, **settings)

    def read(self, question: Callable[..., Any], /, **settings: Any) -> Any:
        """Returns the answer of a function that reads the run's own files too."""
        self.seen.asked.append((partial(self.read, question), settings))
        return self._cached(question, None, settings, lambda: question(self.store, self.run, **settings))

    def about(self, question: Callable[..., Any], what: Any, /, **settings: Any) -> Any:
        """Returns the answer of a query function about another run, or several, by name."""
        self.seen.asked.append((partial(self.about, question, what), settings))
        return self._cached(question, what, settings, lambda: question(self.store, what, **settings))

    def make(self, what: Callable[[Any], Any], choice: Any) -> Any:
        """Returns what a function makes of a `Choice`; read ahead of those that are one press away."""
        self.seen.made.append((what, choice))
        return what(choice)

    def beside(self, others: Sequence["Page"]) -> "Page":
        """Returns the page with other runs, so that it can ask about them too."""
        return replace(self, others=tuple(others))

    def _cached(self, question: Callable[..., Any], what: Any, settings: dict[str, Any], ask: Callable[[], Any]) -> Any:
        asked = f"{question.__module__}.{question.__qualname__}", self.versions, what, sorted(settings.items())
        return _answer(repr(asked), _ask=ask)  # all plain; Streamlit takes 0.1 ms to tell them apart, 50 times a page


def roots() -> list[Path]:
    """Returns the folders of runs: `INTERDASH_ROOT`, several of them divided as in PATH; default data/runs."""
    text = os.environ.get("INTERDASH_ROOT") or str(Path("data/runs").absolute())
    return [Path(part) for part in dict.fromkeys(text.split(os.pathsep)) if part]


def load(run: Run) -> tuple[Store, tuple[int, ...]]:
    """Returns the store with what the run has now, and the version of its data."""
    return _load(_shared(), run)


def load_ahead(run: Run) -> None:
    """Starts to load a run in the background, if it is not loaded, for the page that is opened next."""
    shared = _shared()
    if shared.versions.get(str(run.path)) != data_version(run):
        read_ahead([lambda: _load(shared, run)])


def read_ahead(steps: Iterable[Callable[[], Any]], *, pause: float = 0) -> None:
    """Reads into the caches, in the background, what is likely to be asked for next, unless that is under way.

    Stops between two steps as soon as a page starts anywhere: who waits comes first.

    Args:
        steps: what asks for it.
        pause: seconds before the first of them, in which a browser on this machine draws.
    """
    shared = _shared()
    before, under_way = shared.ahead, shared.ahead is not None and shared.ahead.is_alive()
    if not under_way or shared.ahead_of != shared.pages:
        shared.ahead_of = shared.pages
        arguments = (shared, before, shared.pages, steps, pause)
        shared.ahead = threading.Thread(target=_take, args=arguments, daemon=False)  # ends whole
        shared.ahead.start()


def start_page() -> None:
    """Says that a page starts, see `read_ahead`."""
    _shared().pages += 1


def _take(
    shared: "_Shared", before: threading.Thread | None, pages: int, steps: Iterable[Callable[[], Any]], pause: float
) -> None:
    if before is not None:
        before.join()
    end = time.monotonic() + pause
    while shared.pages == pages and time.monotonic() < end:
        time.sleep(0.02)
    for step in steps:
        if shared.pages != pages:
            return
        with suppress(Exception):  # the page that needs it meets the same trouble, and can say so
            step()


def _load(shared: "_Shared", run: Run) -> tuple[Store, tuple[int, ...]]:
    version = data_version(run)
    if shared.versions.get(str(run.path)) != version:  # a session on a run that is there waits for no other
        with shared.lock:
            if shared.versions.get(str(run.path)) != version:
                refresh(shared.store, run)
                # the store knows runs by name: a run of the same name in another folder is no longer what it holds
                others = {path: seen for path, seen in shared.versions.items() if Path(path).name != run.name}
                shared.versions = others | {str(run.path): version}
    return shared.store, version


def data_version(run: Run) -> tuple[int, ...]:
    """Returns numbers that change whenever the dashboard's data of a run change."""
    paths = (run.path / "run.json", run.path / "metrics.jsonl", run.labels_dir)
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


def run_names() -> dict[str, Path]:
    """Returns the runs of all roots: name and folder, newest first; a name that comes twice is the first root's."""
    folders: dict[str, Path] = {}
    for root in roots():
        for path in sorted(root.glob("*/run.json"), key=lambda path: -path.stat().st_mtime_ns):
            folders.setdefault(path.parent.name, path.parent)
    return folders


def namesakes(name: str) -> list[Path]:
    """Returns the folders of all runs of one name, the one that pages open first."""
    return [root / name for root in roots() if (root / name / "run.json").exists()]


def overview() -> pd.DataFrame:
    """Returns the rows of `state.overview` for all roots; at most five seconds old, younger if a manifest changed."""
    stamps = [(str(path), path.stat().st_mtime_ns) for root in roots() for path in sorted(root.glob("*/run.json"))]
    return _overview(tuple(map(str, roots())), hash(tuple(stamps)))


@st.cache_data(max_entries=4, ttl=5, show_spinner=False)  # a thousand runs take 0.4 s
def _overview(folders: tuple[str, ...], stamp: int) -> pd.DataFrame:
    return state.overview(folders)


def unfinished(run: Run) -> state.State | None:
    """Returns how far a run is, at most five seconds old; None if it is ready."""
    summary = run.manifest.get("summary")
    return None if summary and summary["word"] == "ready" else _unfinished(str(run.path), data_version(run))


@st.cache_data(max_entries=50, ttl=5, show_spinner=False)
def _unfinished(folder: str, version: tuple[int, ...]) -> state.State | None:
    now = state.state(Run(Path(folder)))
    return None if now.word == "ready" else now


def other_seeds(run: Run) -> list[str]:
    """Returns the other labelled runs that differ from one in the seed alone, by name."""
    own = setting(run.config.to_json())
    others = {name: path for name, path in run_names().items() if name != run.name and (path / "labels").is_dir()}
    return [name for name, path in others.items() if _setting(path, (path / "run.json").stat().st_mtime_ns) == own]


@lru_cache(maxsize=4096)
def _setting(path: Path, stamp: int) -> dict[str, Any] | None:
    with suppress(ValueError, OSError):  # what cannot be read is said on the page Runs
        return setting(Run(path).config.to_json())


def open_run(name: str) -> Run:
    """Returns a run of any root by its name."""
    folders = run_names()
    if name not in folders:
        raise ValueError(f"there is no run {name!r}; choose one of {', '.join(folders) or 'none'}")
    return Run.open(folders[name].parent, name)


@dataclass
class _Shared:
    store: Store
    versions: dict[str, tuple[int, ...]] = field(default_factory=dict)  # loaded, by run folder
    lock: threading.Lock = field(default_factory=threading.Lock)
    ahead: threading.Thread | None = None  # reads what will be asked for next
    ahead_of: int = 0  # value of `pages` for which it does
    pages: int = 0  # started by all sessions


@st.cache_resource(show_spinner=False)
def _shared() -> _Shared:
    return _Shared(open_store(lazy=True))


@st.cache_data(max_entries=1000, show_spinner=False)
def _answer(asked: str, _ask: Callable[[], Any]) -> Any:
    return _ask()
