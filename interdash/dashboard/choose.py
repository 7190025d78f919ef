"""What is chosen on a page: each widget's key is its name in the URL, and what a link gets wrong is named."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from interdash.dashboard import links
from interdash.dashboard.data import Page
from interdash.figures.choice import SCALES
from interdash.formulas import subsets
from interdash.queries import dynamics, interactions, lives, sharing
from interdash.queries import sample as queries_sample
from interdash.runs.boundaries import BOUNDARIES, known_shares, move_boundary, set_share, share_of
from interdash.runs.files import is_writable
from interdash.runs.state import state

# What a widget shows reaches the browser in one message, which Streamlit drops where the page runs again before it is
# sent: two clicks on a busy server. Unless a widget has this, the browser then shows its default, and sends that back
# as a choice: another run, without a word. With it, Streamlit says the value again until the browser has the widget.
SURELY: dict[str, Any] = {"persist_state": "page"}
IN_ADDRESS: dict[str, Any] = SURELY | {"bind": "query-params"}  # … and its key is its name in the address

SPLITS = {"all": "both", "train": "training", "test": "testing"}
LABELS = {"clean": "clean", "random": "random"}


def one(
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
    text, named = st.query_params.get(key), {format_func(option): option for option in options}
    if text is not None and text not in named:
        refuse(label, text, default, format_func)
    begin(key, named.get(text) if text else None)
    if key in st.session_state and st.session_state[key] not in options:
        del st.session_state[key]  # chosen for another run
    name = {st.selectbox: "index", st.select_slider: "value"}.get(widget, "default")
    settings[name] = options.index(default) if name == "index" else default
    if widget is st.segmented_control:
        settings["required"] = True
    choice = widget(label, options, key=key, format_func=format_func, **settings, **IN_ADDRESS)
    return default if choice is None else choice  # a link such as "?axis=" chooses nothing


def epoch(page: Page, *, label: str = "Pinned epoch", key: str = "epoch") -> int:
    """Returns the pinned epoch, one of the labelled ones; the last unless chosen. Stops the page if there is none."""
    need_labels(page, samples=False)
    labelled = page.ask(dynamics.labelled_epochs)
    known = {str(epoch): epoch for epoch in labelled}
    text = st.query_params.get(key)
    if text is not None and text not in known:
        refuse(label, text, labelled[-1], str)
    epoch = known.get(text or "", labelled[-1])
    keep(key, epoch)
    if len(labelled) > 1:
        st.select_slider(page.worded(label), labelled, key=key, on_change=write, args=(key,), **SURELY)
        at = labelled.index(epoch)
        near(page, "epoch", epoch, labelled[max(at - 1, 0) : at + 2])
    return epoch


def keep(key: str, value: Any) -> None:
    """Gives a widget a value that the address decides, and writes it there even if it is the default.

    A widget that is bound to the address leaves its default out: where the default moves, as the last epoch does while
    a run goes on, the same link would later show something else. The widget takes `key` and `on_change=write`.
    """
    set_widget(key, value)
    text = [str(each) for each in value] or [""] if isinstance(value, list) else [str(value)]
    if st.query_params.get_all(key) != text:
        st.query_params[key] = text


def set_widget(key: str, value: Any) -> None:
    """Gives a widget the value that the address decides."""
    begin(key, value)
    if st.session_state.get(key) != value:  # else what is typed meanwhile would be undone
        st.session_state[key] = value


def begin(key: str, value: Any) -> None:
    """Gives a widget a value, unless None, where its page was just opened: under its key there may be one of the page
    before, which the browser does not show on this one.
    """
    visit = st.session_state.get("visit")
    if st.session_state.get(f"visit of {key}") != visit and value is not None:
        st.session_state[key] = value
    st.session_state[f"visit of {key}"] = visit


def write(key: str) -> None:
    """Writes what was just chosen in a widget into the address."""
    value = st.session_state[key]
    st.query_params[key] = ([str(each) for each in value] or [""]) if isinstance(value, list) else str(value)


def need_labels(page: Page, *, samples: bool = True) -> None:
    """Stops the page, in words, if no epoch of the run has interactions yet, or, with `samples`, none can be shown."""
    if not page.ask(dynamics.labelled_epochs):
        text = f"No epoch of {page.run.name} has interactions yet: it is {state(page.run).text}. "
        st.info(links.message(f"{text}An extraction can be started on the page Runs, or in a terminal."))
        st.stop()
    if samples and page.ask(queries_sample.classes).empty:
        text = f"The list of the explained samples of {page.run.name} is missing or damaged, and this page needs it; "
        st.info(links.message(f"{text}`interdash extract {page.run.name}` makes it again."))
        st.stop()


def epochs(page: Page, *, most: int = 6) -> list[int]:
    """Returns up to `most` epochs to show side by side; chosen automatically unless changed."""
    labelled = page.ask(dynamics.labelled_epochs)
    key = "epochs"
    texts = st.query_params.get_all(key)
    # another session may have loaded newer epochs since `labelled` was asked
    numbers = [epoch for epoch in page.ask(dynamics.chosen_epochs, count=most) if epoch in labelled] or labelled[:most]
    if wrong := [text for text in texts if text not in map(str, labelled)]:
        if wrong != [""]:  # all are taken out
            refuse("epochs", ", ".join(wrong), "the automatic choice", str)
    elif texts:
        numbers = sorted({int(text) for text in texts})[:most]
    keep(key, numbers)
    title = page.worded("Epochs")
    st.multiselect(title, labelled, key=key, max_selections=most, on_change=write, args=(key,), **SURELY)
    return numbers


def start(page: Page) -> int | None:
    """Returns the epoch since which lives are told; boundary 1|2, or the first, unless chosen; None without lives."""
    starts = page.ask(lives.life_epochs).query("is_start")["epoch"].tolist()
    if not starts:
        return None
    about = "What is there at it is preserved until it goes. 0: as published; else at first the start of phase 2."
    first = page.ask(lives.first_start)
    title, about = page.worded("Start epoch"), page.worded(about)
    return one(st.selectbox, title, starts, key="start", default=first, help=about, width=160)


def life_line(page: Page, epoch: int, sample: int) -> str:
    """Returns the life line of the interactions to list, "all" unless chosen, and says how many have each."""
    about = (
        "By its course over all recorded epochs. Withdrawn: gone for good by the end of phase 1. The others from there "
        "on: betraying takes both signs; fluctuating goes and comes back; reliable stays to the last epoch once it is "
        "there; forgotten is gone for good before. The names are published, these definitions are ours."
    )
    chosen = one(st.selectbox, "Life line", ["all", *lives.LIFE_LINES], key="life", help=page.worded(about), width=150)
    rows = page.ask(lives.sample_life_lines, epoch=epoch, sample=sample)
    counts = zip(rows["life_line"], rows["salient"], rows["ever"], strict=True)
    st.caption("Salient now (ever): " + " · ".join(f"{now} ({ever}) {name}" for name, now, ever in counts))
    return chosen


def partner(page: Page) -> str:
    """Returns the baseline network, or epoch of the target, that the target's interactions are compared with."""
    names = [column.name for column in page.ask(sharing.columns)]
    about = "Whose salient interactions the target's are compared with: a baseline network, or the target at an epoch."
    settings: dict[str, Any] = {"key": "partner", "help": page.worded(about), "format_func": page.worded}
    return one(st.selectbox, "Compared with", names, **settings) if names else ""


def several(label: str, options: Sequence[str], *, key: str, **settings: Any) -> list[str]:
    """Returns what is chosen of some names, none unless chosen; names in the link that are not there are named."""
    texts = st.query_params.get_all(key)
    if wrong := [name for name in texts if name not in options]:
        refuse(label, ", ".join(wrong), "the choice without it", str)
    if any(name not in options for name in st.session_state.get(key, [])):
        del st.session_state[key]
    return st.multiselect(label, options, key=key, format_func=str, **settings, **IN_ADDRESS)


def known_ones(key: str, known: Sequence[str], what: str, most: int | None = None) -> list[str]:
    """Returns which of some names the address has, in its order; what is not there, or too much, is named."""
    texts = st.query_params.get_all(key)
    names = list(dict.fromkeys(name for name in texts if name in known))
    if wrong := [name for name in texts if name not in known and name]:
        of = f" {links.shown(wrong[0])}{f' and {len(wrong) - 1} others' if wrong[1:] else ''}, not there"
        st.warning(f"The link asks for {what}{of}: left out.")
    if most is not None and len(names) > most:
        st.warning(f"The link asks for {len(names)} {what}; these are the first {most}.")
        names = names[:most]
    if names != texts and texts != [""]:
        st.query_params[key] = names
    return names


def near(page: Page, setting: str, now: Any, options: Iterable[Any]) -> None:
    """Says which values of a setting are one press away, so that what they show is read ahead; the likeliest first."""
    page.seen.near.append((setting, now, [each for each in options if each != now]))


def log(page: Page) -> bool:
    """Returns whether the epoch axis is logarithmic."""
    title = page.worded("Epoch axis")
    about = page.worded("Log shows epoch + 1, so that epoch 0, before training, has a place.")
    log = one(st.segmented_control, title, ["log", "linear"], key="axis", help=about) == "log"
    near(page, "log", log, [True, False])
    return log


def scale(page: Page) -> str:
    """Returns "normalised", each epoch by its own strength, "nats", or "log" for nats on a logarithmic axis."""
    about = "Normalised: each epoch by its own strength, so that weak early epochs compare. Log: nats on a log axis."
    scale = one(st.selectbox, "Strengths", SCALES, key="unit", help=about, width=130)
    near(page, "scale", scale, SCALES)
    return scale


def split(page: Page) -> str:
    """Returns "all", "train" or "test"; or "clean" or "random", where it is known which of the labels are."""
    about, words = "The explained samples: a fixed number of each split, not the whole of it.", SPLITS
    settings: dict[str, Any] = {"widget": st.segmented_control, "key": "split"}
    if count := page.ask(queries_sample.random_labels):
        words = SPLITS | LABELS
        about += f" Random: the {count} training samples with another label than the true one. Clean: those with that."
        settings |= {"widget": st.selectbox, "width": 130}  # five side by side would take a row of their own
    split = one(label="Samples", options=list(words), format_func=words.__getitem__, help=about, **settings)
    near(page, "split", split, words)
    return split


def label(page: Page) -> int:
    """Returns a class number, −1 = all classes."""
    rows = page.ask(queries_sample.classes)
    names = {-1: "all classes"} | dict(zip(rows["label"].tolist(), rows["label_name"].tolist(), strict=True))
    return one(st.selectbox, "Class", list(names), key="label", format_func=lambda label: names[label])


def interaction(page: Page, epoch: int | None, sample: int) -> str:
    """Returns the interaction that is highlighted: one of the strongest, or as the address or the user writes it.

    "" is the strongest, "none" none, else "and-37".
    """
    key, names = "interaction", {"": "the strongest", "none": "none"}
    variables = [name for each in page.ask(queries_sample.sample, sample=sample)["names"] for name in each]
    numbers = [*map(str, range(len(variables)))] if page.kind.numbered else variables
    if epoch is not None:
        rows = page.ask(queries_sample.interactions, epoch=epoch, sample=sample, limit=20)
        names |= {
            f"{kind}-{of}": _name(kind, of, numbers) for kind, of in zip(rows["type"], rows["subset"], strict=True)
        }
    try:
        text = st.query_params.get(key, "")
        kind, of = links.interaction(text, len(variables), variables) if text else ("", -1)
        lit = f"{kind}-{of}" if kind else "" if of else "none"
        if kind:
            names.setdefault(lit, _name(kind, of, numbers))
    except ValueError as error:
        st.warning(str(error))
        lit = ""
    set_widget(key, lit)
    st.selectbox(
        "Interaction highlighted", list(names), key=key, format_func=lambda name: names.get(name, str(name)), width=240,
        accept_new_options=True, on_change=write, args=(key,), help="Choose one, or type it: AND {0, 2}, or and-5.",
        **SURELY,
    )  # fmt: skip
    return lit


def beside(page: Page, count: int) -> str:
    """Returns sample and epoch to compare one with, as the address or the user writes it: "7-40"; "" unless chosen."""
    about = "Sample and epoch, such as 7-40; else the same sample at the epoch from which lives are told."
    begin("pin", st.query_params.get("pin"))
    text = st.text_input("Compared with", key="pin", placeholder="7-40", help=about, width=140, **IN_ADDRESS) or ""
    try:
        if text:
            links.pin(text, range(count), page.ask(dynamics.labelled_epochs))
    except ValueError as error:
        st.warning(str(error))
        return ""
    return text


def some_samples(count: int) -> list[int]:
    """Returns the samples to show together, by their numbers; none unless chosen, which is the first twelve."""
    numbers = several("Samples together", [*map(str, range(count))], key="samples", max_selections=12)
    return [*map(int, numbers)]


def _name(kind: str, subset: int, names: Sequence[str]) -> str:
    return f"{kind.upper()} {subsets.label(subset, names)}"


def where() -> tuple[str, ...]:
    """Returns the conditions on interactions that are typed, separated by commas; one that cannot be read is named."""
    about = (
        f"Conditions, separated by commas: {', '.join(interactions.COLUMNS)}; then >=, <= or =; then a value. "
        "`with` is a variable, `above` the generalizable share above chance."
    )
    begin("where", st.query_params.get("where"))
    example = "samples >= 5, share <= 20%"
    text = st.text_input("Only those with", key="where", help=about, placeholder=example, width=190, **IN_ADDRESS)
    conditions = []
    for each in filter(None, map(str.strip, (text or "").split(","))):
        try:
            interactions.condition(each)
            conditions.append(each)
        except ValueError as error:
            words = str(error).replace(repr(each), "", 1)
            st.warning(f"{links.shown(each)}: {links.message(words)}. It is left out.")
    return tuple(conditions)


def pattern(page: Page) -> str:
    """Returns the interaction over the samples that the link asks for; "" if none, or a wrong one, which is named."""
    try:
        n_variables, samples = page.config.masking.n_variables, page.run.n_explained()
        return links.pattern(st.query_params.get("pattern", ""), n_variables, samples)
    except ValueError as error:
        st.warning(str(error))
        return ""


def types(page: Page) -> tuple[str, ...]:
    """Returns the types of interaction to show: ("all",) is AND and OR together, ("and", "or") both apart."""
    names = {"all": "together", "apart": "apart", "and": "AND", "or": "OR"}
    about = "An AND interaction fires if all of its variables are present, an OR interaction if any is."
    word = names.__getitem__
    kind = one(st.selectbox, "AND and OR", list(names), key="type", format_func=word, help=about, width=130)
    of = {name: ("and", "or") if name == "apart" else (name,) for name in names}
    near(page, "types", of[kind], of.values())
    return of[kind]


def section(names: Sequence[str]) -> tuple[str, Any]:
    """Returns name and container of the section that is open; only its charts are made, and drawn by the browser."""
    key = "view"
    name_in_link = st.query_params.get(key)
    if name_in_link is not None and name_in_link not in names:
        refuse("view", name_in_link, names[0], str)
    tabs = dict(zip(names, st.tabs(names, key=key, bind="query-params"), strict=True))
    return next(((name, tab) for name, tab in tabs.items() if tab.open), (names[0], tabs[names[0]]))


def phases(page: Page, phases: pd.DataFrame, words: str) -> None:
    """Says where the phases meet, and lets the user move a boundary, or choose below which share the third begins."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("  \n".join(map(links.message, words.splitlines())))
        if phases.empty or not is_writable(page.run.path):
            return
        with st.container(horizontal=True, width="content"):
            with (
                st.popover("Move a boundary", type="tertiary", icon=":material/tune:"),
                st.form("phases", border=False),
            ):
                boundary = st.selectbox(
                    "Boundary", list(BOUNDARIES), format_func=lambda pair: f"start of phase {pair[-1]}"
                )
                epoch = st.selectbox(
                    page.worded("Epoch"),
                    ["as found", "none", *page.ask(dynamics.labelled_epochs)],
                    format_func=str,
                    key="boundary-epoch",
                )
                if st.form_submit_button("Set"):
                    place = float(epoch) if isinstance(epoch, int) else None
                    move_boundary(page.run, boundary, place, reset=epoch == "as found")
                    st.rerun()
            shares = known_shares(page.run.manifest)
            if not shares:
                return
            with (
                st.popover("Third phase from", type="tertiary", icon=":material/percent:"),
                st.form("share", border=False),
            ):
                share = st.selectbox(
                    "Begins where what is learned generalizes less than this share as well as at its best",
                    shares,
                    index=shares.index(share_of(page.run.manifest)),
                    format_func="{:g}".format,
                    key="phase-share",
                )
                if st.form_submit_button("Set"):
                    set_share(page.run, share)
                    st.rerun()


def refuse(label: str, text: str, default: Any, format_func: Callable[[Any], str]) -> None:
    """Says that a link asks for what is not there, and what is shown instead."""
    this = links.plain(format_func(default))
    st.warning(f"The link asks for {label} {links.shown(text)}, which is not there; this is {this}.")
