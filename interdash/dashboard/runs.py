"""The widgets of the page Runs: the list, one run's card, forms that start jobs, and the jobs at work."""

from collections.abc import Collection, Hashable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import pandas as pd
import streamlit as st

from interdash.dashboard import choose, data, jobs, links, listing, show
from interdash.dashboard import page as ui
from interdash.figures.choice import MOST_COMPARED
from interdash.presets import PRESETS
from interdash.runs.files import is_writable, words
from interdash.runs.run import Run

MEASURED = "Coherence, layers and information, as far as they are missing; the log says first what they will take."
POLL = 1.5  # seconds between looks at a job
SHOWN_JOBS = 8
H_MEANS = "generalizable share (H): of the salient strength what transfers, mean over the baseline networks, 0 to 100 %"
BASELINE_COST = (
    "Each takes about as long to train as the run itself did; its interactions are then extracted at its last epoch "
    "alone. Labels use as many as the run asks for, three by default; `interdash robustness` compares all of them."
)
READ_ONLY = "{} can only be read from here: no tags, notes or jobs, nor can phase boundaries be moved. All else works."


def choose_matching(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows that fit the search and the filters, in the chosen order; of none, says how to see all."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search", key="q", placeholder="name, purpose, tag, note …", max_chars=100, **choose.IN_ADDRESS
        )
        datasets = choose.several("Data", sorted(rows["dataset"].dropna().unique()), key="data")
        states = choose.several(
            "State", sorted({listing.state_of(row) for row in rows.to_dict("records")}), key="state"
        )
        sort = choose.one(st.selectbox, "Sort by", list(listing.SORTS), key="sort", width=180)
    matching = listing.matching(rows, text=text or "", datasets=datasets, states=states, sort=sort)
    if matching.empty:
        with st.container(horizontal=True, vertical_alignment="center"):
            sought = ", ".join(filter(None, [text, *datasets, *states]))
            st.info(f"No run matches {links.shown(sought)}.", width="stretch")
            st.button("Clear search and filters", on_click=_clear, icon=":material/close:")
    return matching


def _clear() -> None:
    st.session_state.update(q="", data=[], state=[])


def ticked_runs(names: Collection[str]) -> list[str]:
    """Returns the runs of the link that are ticked, to be compared; those that are not there are passed over."""
    return [name for name in st.query_params.get_all("runs") if name in names]


def tick(names: Sequence[str]) -> None:
    """Writes the runs to be compared into the address."""
    if list(names) != st.query_params.get_all("runs"):
        st.query_params["runs"] = list(names)


def show_list(rows: pd.DataFrame, count: str) -> str | None:
    """Draws the list of runs, or of their settings; returns the run that is opened, None if there is none."""
    ticked, run = ticked_runs(data.run_names()), st.query_params.get("run")
    with st.container(horizontal=True, vertical_alignment="center"):
        listed = choose.one(
            st.segmented_control, "List", [*LISTS], key="list", label_visibility="collapsed",
        )  # fmt: skip
        if len(compared := ticked[:MOST_COMPARED]) > 1:
            more = f" (the first of {len(ticked)})" if len(ticked) > MOST_COMPARED else ""
            ui.link("compare", {"runs": compared}, label=f"Compare {', '.join(compared)}{more}")
        show, about = LISTS[listed]
        with st.container(key="about-list"):  # where the bar of the table's tools comes up, its words leave room
            st.caption(f"{count} {about}")
    if not rows.empty:
        show(rows)
    if run is not None and run not in rows["run"].tolist():
        st.warning("The run that the link asks for is not in this list.")
        return None
    return run


def show_table(rows: pd.DataFrame) -> None:
    """Draws one line a run: a click on any cell, or an arrow key, opens it; ticks are for the page Compare."""
    names, run = rows["run"].tolist(), st.query_params.get("run")
    # another list, another table: a row chosen that a shorter one lacks would be taken back, in a rerun of its own
    key = f"list-of-runs-{crc32(repr(names).encode()):x}"
    ticked = st.query_params.get_all("runs")

    def pick() -> None:  # when it is clicked, and not later: the list may then be another one
        selection = st.session_state[key]["selection"]
        picked = [names[row] for row in selection["rows"]]
        kept = [name for name in ticked if name in picked or name not in names]
        tick([*kept, *(name for name in picked if name not in ticked)])
        for row, _ in selection["cells"]:
            if names[row] == run:
                continue
            for parameter in ("epoch", "label"):  # which the other run may not have
                if parameter in st.query_params:
                    del st.query_params[parameter]
            st.query_params["run"] = names[row]

    opened = [names.index(run)] if run in names else []
    show.tick(key, opened, "run", [names.index(name) for name in ticked if name in names])
    st.dataframe(
        listing.table(rows), hide_index=True, column_config=_columns(), key=key, on_select=pick,
        selection_mode=["multi-row", "single-cell"], placeholder="–", height=min(38 + 35 * max(len(rows), 1), 460),
        alt=f"List of {len(rows)} runs with state, losses, H and phases.",
    )  # fmt: skip


def _columns() -> dict[str, Any]:
    """Returns how the columns of the list are drawn."""
    number, share = st.column_config.NumberColumn, st.column_config.NumberColumn(format="%.0f%%")
    columns: dict[str, Any] = {column: heading for column, heading in listing.TABLE.items()}
    columns |= {column: number(heading, format="%.3f") for column, heading in listing.TABLE.items() if "loss" in column}
    return columns | {
        "run": st.column_config.TextColumn("run", pinned=True, width=130),
        "shown_state": st.column_config.TextColumn(
            "state", width=75, help="how far it is; a click says what is missing"
        ),
        "date": st.column_config.TextColumn("date", width=90, help="when it was made"),
        "gap": number("gap", format="%.3f", help="testing loss − training loss, nats, at the last epoch"),
        "label_noise": share | {"label": "random labels", "help": "share of the training labels drawn at random"},
        "peak_generalization_power": share
        | {"label": "peak H", "help": "the largest generalizable share (H) of all epochs"},
        "chance": share | {"label": "by chance", "help": "H that other interactions would have there by chance"},
        "above_chance": share
        | {"label": "above chance", "help": "(H − by chance) / (1 − by chance), at the peak of H"},
        "peak_epoch": number("peak at epoch", help="the epoch at which H is largest"),
        "boundary_12": number("phase 2 from", help="up to here what is learned generalizes ever better"),
        "boundary_23": number(
            "phase 3 from", help="from here on what is learned generalizes less than half as well as at its best"
        ),
        "samples": number("samples", help="explained samples, of both splits together"),
        "power_curve": st.column_config.LineChartColumn("H by epoch", y_min=0, y_max=1, width=110, help=H_MEANS),
        "gap_curve": st.column_config.LineChartColumn(
            "gap by epoch", width=110, help="testing − training loss at each epoch, nats"
        ),
        "tags": st.column_config.ListColumn("tags"),
    }


def show_groups(rows: pd.DataFrame) -> None:
    """Draws one line for the runs that only their seed tells apart; a click ticks them, to be compared."""
    groups = listing.groups(rows)
    key = "list-of-settings"

    def pick() -> None:
        for row, _ in st.session_state[key]["selection"]["cells"]:
            tick(groups["runs"].iloc[row])

    st.dataframe(
        groups, hide_index=True, key=key, on_select=pick, selection_mode="single-cell",
        column_config={"setting": st.column_config.TextColumn(pinned=True, width="medium")},
        alt=f"List of {len(groups)} settings with means and standard deviations over their runs.",
    )  # fmt: skip


LISTS = {  # in its segmented control: what draws it, and words beside it
    "runs": (
        show_table,
        "A click opens a run; ticks choose what to compare. Losses in nats, last epoch.",
    ),
    "settings, over seeds": (
        show_groups,
        "Mean ± standard deviation over runs that differ in the seed alone. A click ticks them.",
    ),
}


def show_card(row: dict[Hashable, Any], ticked: Sequence[str] = ()) -> None:
    """Draws one run: what it is, what is missing, its settings, ways on, and a form for tags and notes."""
    st.subheader(links.plain(row["run"]), anchor=False)
    if isinstance(row["problem"], str):
        st.error(links.message(row["problem"]), icon=":material/error:")
        return
    left, right = st.columns([3, 2], gap="large")
    others = [name for name in ticked if name != row["run"]]
    with left:
        st.text(row["purpose"])
        st.text(f"State: {row['text']}")
        with st.container(horizontal=True):
            for stem in ("dynamics", "sample", "interactions", "removal", "theories"):
                ui.link(stem, {"run": row["run"]})
            ui.link("compare", {"runs": [row["run"], *others]})
            ui.link("figures", {"run": row["run"], "with": others})
            with st.popover("Settings", type="tertiary", icon=":material/tune:"):
                st.dataframe(listing.settings_table(row["config"]), hide_index=True, height=400)
        st.caption(links.plain(listing.settings_text(row["config"])))
        if not is_writable(Path(row["root"])):
            if Path(row["root"]) != data.roots()[0]:  # else it stands below the list
                st.caption(links.message(READ_ONLY.format(row["root"])))
            st.text("\n".join(filter(None, (", ".join(row["tags"]), row["notes"]))))
            return
        _work_forms(Path(row["root"]), row["run"], is_ready=row["state"] == "ready")
    with right, st.form(f"words-{row['run']}"):
        tags = st.text_input("Tags, divided by commas", ", ".join(row["tags"]), max_chars=200, key=f"tags-{row['run']}")
        notes = st.text_area("Notes", row["notes"], max_chars=5000, height=100, key=f"notes-{row['run']}")
        if st.form_submit_button("Save"):
            Run.open(row["root"], row["run"]).update(tags=listing.tags(tags), notes=notes)
            st.rerun()


def show_new_run(root: Path) -> None:
    """Draws what starts a built-in run from training to labels, where that can be written."""
    if not is_writable(root):
        st.caption(links.message(READ_ONLY.format(root)))
        return
    taken = {*data.run_names(), *(path.name for path in root.glob("*") if path.is_dir())}
    with st.expander("Start a built-in run", icon=":material/add:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            preset = st.selectbox(
                "Preset",
                list(PRESETS),
                format_func=lambda name: f"{name}: {PRESETS[name].config.purpose}",
                key="new-preset",
            )
            config = PRESETS[preset].config
            free = listing.free_name(config.name, taken)
            typed = st.text_input("Name", placeholder=free, max_chars=64, key="new-name").strip()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            unit, noise = config.training.unit, round(100 * config.data.label_noise)
            epochs = st.number_input(
                f"{unit.capitalize()}s", 1, 10_000, config.training.epochs, key=f"new-epochs-{preset}"
            )
            noise = st.number_input("Random labels (%)", 0, 100, noise, 5, key=f"new-noise-{preset}")
            seed = st.number_input("Seed", 0, 2**31 - 1, config.training.seed, key=f"new-seed-{preset}")
            start = st.button("Start", type="primary", disabled=typed in taken)
        if typed in taken:
            st.warning(
                f"There is a run {links.plain(typed)} already; {links.plain(listing.free_name(typed, taken))} is free."
            )
        times = ", ".join(f"{name} {entry.seconds} s" for name, entry in PRESETS.items())
        st.caption(
            f"Training takes about, on one core: {times}; each of three baselines as long once more. The extraction "
            "that follows says in the log what it will take; all of mnist takes about four minutes."
        )
        if start:
            name = typed or free
            settings = {"epochs": int(epochs), "label_noise": noise / 100, "seed": int(seed)}
            _run(lambda: jobs.start(root, f"built-in run {name}", name, listing.whole_run(preset, name, **settings)))


def show_jobs(roots: list[Path]) -> None:
    """Draws the latest jobs of all folders; looks again while one is at work."""
    every = _all_jobs(roots)
    if "job" in st.session_state:
        st.query_params["job"] = st.session_state["job"]
    name = st.query_params.get("job")
    if name is not None and name not in {job.id for job in every}:
        st.warning("The link asks for a job that is not there.")
    if not every:
        return
    st.subheader("Jobs", anchor=False)
    busy = any(job.is_running for job in every)
    st.fragment(_jobs, run_every=POLL if busy else None)(roots, was_busy=busy)


def _all_jobs(roots: list[Path]) -> list[jobs.Job]:
    return sorted((job for root in roots for job in jobs.jobs(root)), key=lambda job: job.id, reverse=True)


def _jobs(roots: list[Path], *, was_busy: bool) -> None:
    every = _all_jobs(roots)
    if was_busy and not any(job.is_running for job in every):
        st.rerun()  # the list of runs has news
    name, ready = st.query_params.get("job"), _ready_runs()
    for job in [job for job in every if job.id == name] + [job for job in every if job.id != name][:SHOWN_JOBS]:
        root = job.folder.parent.parent
        later = [other for other in every if other.id > job.id and other.folder.parent == job.folder.parent]
        goes_on = jobs.can_go_on(job, later, is_ready=(str(root), job.run) in ready)
        _job(root, job, goes_on=goes_on)


def _ready_runs() -> set[tuple[str, str]]:
    rows = data.overview().query("state == 'ready'")
    return set(zip(rows["root"], rows["run"], strict=True))


_WORDS = {
    "running": ":blue[running]",
    "done": ":green[done]",
    "failed": ":red[failed]",
    "cancelled": ":orange[cancelled]",
    "lost": ":red[ended without saying why]",
}


def _job(root: Path, job: jobs.Job, *, goes_on: bool) -> None:
    can_change = is_writable(root)
    now = jobs.progress(job)
    with st.container(border=True, key=f"job-{job.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{links.plain(job.title)}** · {_WORDS[job.state]} · started {_time(job.id)}", width="stretch"
            )
            if job.is_running and can_change:
                if st.button("Cancel", key=f"cancel-{job.id}", icon=":material/stop:"):
                    with st.spinner("Ending it …"):
                        jobs.cancel(root, job.id)
                    st.rerun()
            elif can_change and goes_on:
                text = "Try again" if job.state == "failed" else "Go on"
                with st.form(f"again-{job.id}", border=False, width="content"):
                    if st.form_submit_button(text, icon=":material/replay:", help="What it has finished is kept."):
                        _run(lambda: jobs.again(root, job.id))
            with st.popover("Log", type="tertiary", icon=":material/article:"):
                st.code(jobs.log(job) or "nothing yet", language=None, height=300)
        if job.is_running:
            st.progress(now.share, now.text(job))
        elif job.state != "cancelled":
            st.text(now.last)


def _work_forms(root: Path, run: str, *, is_ready: bool) -> None:
    nothing = "Nothing is missing." if is_ready else None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.form(f"extract-{run}", border=False, width="content"), st.container(horizontal=True):
            if st.form_submit_button(
                "Extract what is missing", icon=":material/play_arrow:", disabled=is_ready, help=nothing
            ):
                _start(root, f"extraction of {run}", run, listing.extraction(run))
            if st.form_submit_button("Estimate only", disabled=is_ready, help=nothing):
                _start(root, f"estimate for {run}", run, listing.extraction(run, estimate=True))
            if st.form_submit_button("Measure for Theories", help=MEASURED):
                _start(root, f"measurements of {run}", run, listing.measurements(run))
        with (
            st.form(f"baseline-{run}", border=False, width="content"),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            count = st.number_input("Baseline networks in all", 1, 20, 3, width=190, help=BASELINE_COST)
            if st.form_submit_button("Train baselines", icon=":material/play_arrow:"):
                _start(root, f"{count} baselines of {run}", run, listing.baselines(run, int(count)))


def _start(root: Path, title: str, run: str, commands: list[list[str]]) -> None:
    _run(lambda: jobs.start(root, title, run, commands))


def _run(begin: Any) -> None:
    """Starts a job and puts its id into the address, so that a reload finds it; trouble is said where it was asked."""
    try:
        job = begin()
    except ui.KNOWN_TROUBLE as error:
        st.error(links.message(words(error)))
        return
    st.session_state["job"] = job.id
    st.rerun()


def _time(name: str) -> str:
    return f"{name[0:4]}-{name[4:6]}-{name[6:8]} {name[9:11]}:{name[11:13]}"
