"""The widgets of the page Runs: the list, one run's card, forms that start jobs, and the jobs at work."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from interdash.dashboard import choose, data, jobs, links, listing
from interdash.dashboard import page as ui
from interdash.presets import PRESETS
from interdash.runs.files import check_name, is_writable, words
from interdash.runs.run import Run

MEASURED = "Coherence, layers and information, as far as they are missing; the log says first what they will take."
POLL = 1.5  # seconds between looks at a job
SHOWN_JOBS = 8
H_MEANS = "share of the salient strength that transfers, mean over the baseline networks, from 0 to 100 %"
BASELINE_COST = (
    "Each takes about as long to train as the run itself did; its interactions are then extracted at its last epoch "
    "alone. Labels use as many as the run asks for, three by default; `interdash robustness` compares all of them."
)
READ_ONLY = "{} can only be read from here: no tags, notes or jobs, nor can phase boundaries be moved. All else works."


def choose_matching(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows that fit the search and the filters, in the chosen order."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search", key="q", bind="query-params", placeholder="name, purpose, tag, note …", max_chars=100
        )
        datasets = choose.several("Data", sorted(rows["dataset"].dropna().unique()), key="data")
        states = choose.several(
            "State", sorted({listing.state_of(row) for row in rows.to_dict("records")}), key="state"
        )
        sort = choose.one(st.selectbox, "Sort by", list(listing.SORTS), key="sort")
    return listing.matching(rows, text=text, datasets=datasets, states=states, sort=sort)


def show_table(rows: pd.DataFrame) -> str | None:
    """Draws the list; returns the name of the run that is chosen by a click or by the link, None if there is none."""
    names = rows["run"].tolist()
    run = st.query_params.get("run")
    key = "list-of-runs"

    def tick() -> None:  # when it is clicked, and not later: the list may then be another one
        picked = [names[row] for row in st.session_state[key]["selection"]["rows"]]
        if picked and picked[0] == run:
            return
        for parameter in ("run", "epoch", "label"):  # which the other run may not have
            if parameter in st.query_params:
                del st.query_params[parameter]
        if picked:
            st.query_params["run"] = picked[0]

    at = [names.index(run)] if run in names else []
    st.session_state[key] = {"selection": {"rows": at, "columns": [], "cells": []}}  # the run shown is the one ticked
    number, share = st.column_config.NumberColumn, st.column_config.NumberColumn(format="%.0f%%")
    columns: dict[str, Any] = {column: heading for column, heading in listing.TABLE.items()}
    columns |= {column: number(heading, format="%.3f") for column, heading in listing.TABLE.items() if "loss" in column}
    columns |= {"gap": number("gap", format="%.3f", help="testing loss − training loss, nats, at the last epoch")}
    columns |= {
        "label_noise": share | {"label": "label noise"},
        "peak_generalization_power": share | {"label": "peak H", "help": "the largest H of all epochs"},
        "chance": share | {"label": "by chance", "help": "H that other interactions would have there by chance"},
        "above_chance": share
        | {"label": "above chance", "help": "(H − by chance) / (1 − by chance), at the peak of H"},
        "shown_state": st.column_config.TextColumn("state", width=150, help="how far it is, and what is missing"),
        "boundary_12": number("phase 2 from", help="up to here what is learned generalizes ever better"),
        "boundary_23": number(
            "phase 3 from", help="from here on what is learned generalizes less than half as well as at its best"
        ),
        "samples": number("samples", help="explained samples, of both splits together"),
        "power_curve": st.column_config.LineChartColumn("H by epoch", y_min=0, y_max=1, width=110, help=H_MEANS),
        "loss_curve": st.column_config.LineChartColumn("testing loss by epoch", y_min=0, width=130),
        "tags": st.column_config.ListColumn("tags"),
    }
    st.dataframe(
        listing.table(rows), hide_index=True, column_config=columns, key=key, on_select=tick,
        selection_mode="single-row", placeholder="–", height=min(38 + 35 * max(len(rows), 1), 460),
        alt=f"List of {len(rows)} runs with state, losses, H and phases.",
    )  # fmt: skip
    if run is not None and run not in names:
        st.warning("The run that the link asks for is not in this list.")
        return None
    return run


def show_card(row: dict[Hashable, Any]) -> None:
    """Draws one run: what it is, what is missing, ways on, and a form for tags and notes."""
    st.subheader(links.plain(row["run"]), anchor=False)
    if isinstance(row["problem"], str):
        st.error(links.message(row["problem"]), icon=":material/error:")
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.text(row["purpose"])
        st.text(f"State: {row['text']}")
        with st.container(horizontal=True):
            for stem in ("dynamics", "sample", "removal"):
                ui.link(stem, {"run": row["run"]})
        if not is_writable(Path(row["root"])):
            if Path(row["root"]) != data.roots()[0]:  # else it stands below the list
                st.caption(links.message(READ_ONLY.format(row["root"])))
            st.text("\n".join(filter(None, (", ".join(row["tags"]), row["notes"]))))
            return
        _work_forms(Path(row["root"]), row["run"])
    with right, st.form(f"words-{row['run']}"):
        tags = st.text_input("Tags, divided by commas", ", ".join(row["tags"]), max_chars=200, key=f"tags-{row['run']}")
        notes = st.text_area("Notes", row["notes"], max_chars=5000, height=100, key=f"notes-{row['run']}")
        if st.form_submit_button("Keep"):
            Run.open(row["root"], row["run"]).update(tags=listing.tags(tags), notes=notes)
            st.rerun()


def show_new_run(root: Path) -> None:
    """Draws the form that starts a built-in run from training to labels, where that can be written."""
    if not is_writable(root):
        st.caption(links.message(READ_ONLY.format(root)))
        return
    with st.expander("Start a built-in run", icon=":material/add:"), st.form("new-run", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            preset = st.selectbox(
                "Preset",
                list(PRESETS),
                format_func=lambda name: f"{name}: {PRESETS[name].config.purpose}",
                key="new-preset",
            )
            name = st.text_input("Name", placeholder="the preset's", max_chars=64, key="new-name")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            epochs = st.number_input("Epochs (0 = the preset's)", 0, 10_000, 0)
            noise = st.number_input("Label noise (share; −1 = the preset's)", -1.0, 1.0, -1.0, step=0.05)
            seed = st.number_input("Seed", 0, 2**31 - 1, 0)
            start = st.form_submit_button("Start", type="primary")
        times = ", ".join(f"{name} {entry.seconds} s" for name, entry in PRESETS.items())
        st.caption(
            f"Training takes about, on one core: {times}; each of three baselines as long once more. The extraction "
            "that follows says in the log what it will take; all of mnist takes about four minutes."
        )
        if start:
            config = PRESETS[preset].config
            name = name.strip() or config.name
            commands = listing.whole_run(
                preset,
                check_name(name),
                epochs=int(epochs) or config.training.epochs,
                label_noise=noise if noise >= 0 else config.data.label_noise,
                seed=int(seed) or config.training.seed,
            )
            _start(root, f"built-in run {name}", name, commands)


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
    name = st.query_params.get("job")
    for job in [job for job in every if job.id == name] + [job for job in every if job.id != name][:SHOWN_JOBS]:
        _job(job.folder.parent.parent, job)


_WORDS = {
    "running": ":blue[running]",
    "done": ":green[done]",
    "failed": ":red[failed]",
    "cancelled": ":orange[cancelled]",
    "lost": ":red[ended without a word]",
}


def _job(root: Path, job: jobs.Job) -> None:
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
            elif can_change and job.state not in ("running", "done"):
                with st.form(f"again-{job.id}", border=False, width="content"):
                    if st.form_submit_button("Go on", icon=":material/replay:"):
                        _run(lambda: jobs.again(root, job.id))
            with st.popover("Log", type="tertiary", icon=":material/article:"):
                st.code(jobs.log(job) or "nothing yet", language=None, height=300)
        if job.is_running and now.what:
            st.progress(now.share, f"{now.what}: {now.share:.0%}, about {now.remaining} left")
        elif job.is_running:
            st.caption("starting …")
        elif job.state != "cancelled":
            st.text(now.last)


def _work_forms(root: Path, run: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.form(f"extract-{run}", border=False, width="content"), st.container(horizontal=True):
            if st.form_submit_button("Extract what is missing", icon=":material/play_arrow:"):
                _start(root, f"extraction of {run}", run, listing.extraction(run))
            if st.form_submit_button("Estimate only"):
                _start(root, f"estimate for {run}", run, listing.extraction(run, estimate=True))
            if st.form_submit_button("Measure for Theories", help=MEASURED):
                _start(root, f"measurements of {run}", run, listing.measurements(run))
        with (
            st.form(f"baseline-{run}", border=False, width="content"),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            count = st.number_input("Baselines in all", 1, 20, 3, width=130, help=BASELINE_COST)
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
