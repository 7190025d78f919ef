"""Compare: two to six runs, their curves and settings; of two runs on the same samples, who learned what."""

from functools import partial

import streamlit as st

from interdash.dashboard import choose, data, first_steps, help, links, show
from interdash.dashboard import page as ui
from interdash.dashboard.gallery import gallery
from interdash.figures import catalogue, compare, inputs
from interdash.figures.choice import ALIGNMENTS, MOST_COMPARED, Choice
from interdash.queries import compare as queries_compare
from interdash.queries import sample

TERMS = {  # of the glossary, by the columns that they explain
    "gap (nats)": "loss gap",
    "peak of H (share)": "generalizable share (H)",
    "by chance": "by chance",
    "above chance": "above chance",
    "phase 2 from": "phase 1, 2, 3",
    "phase 3 from": "phase 1, 2, 3",
}


def choose_runs() -> list[str]:
    """Returns the runs to compare, in the order in which they were chosen; the first two unless chosen."""
    names = list(data.run_names())
    runs = choose.known_ones("runs", names, "runs", MOST_COMPARED) if "runs" in st.query_params else names[:2]
    choose.keep("runs", runs)
    st.multiselect(
        "Runs", names, key="runs", max_selections=MOST_COMPARED, placeholder="two to six runs", on_change=choose.write,
        args=("runs",), **choose.SURELY,
    )  # fmt: skip
    return runs


def compare_curves(pages: list[data.Page]) -> None:
    """Draws the curves and what the runs end with."""
    page, names = pages[0].beside(pages[1:]), [page.run.name for page in pages]
    ends = page.about(queries_compare.endings, names)
    with st.container(key="finding"):
        st.subheader(links.plain(page.worded(compare.finding_text(ends))), anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        about = (
            "Phase: every run is stretched so that its phases 2 and 3 begin where those of the others do. Seeds: "
            "by epoch; runs that differ in the seed alone are one line, their mean ± one standard deviation."
        )
        by = choose.one(st.segmented_control, "Aligned by", list(ALIGNMENTS), key="by", help=about)
        split = choose.split(page)
        log = choose.log(page) if by != "phase" else False
    choice = Choice(runs=tuple(names[1:]), split=split, by=by, log=log)
    with st.container():  # always there: what moves down on a page is drawn anew
        for name in compare.without_phases(page, choice):
            st.info(f"{links.plain(name)} has no boundary between phases, so that it cannot be aligned.")
        if by == "seeds" and max(map(len, page.about(queries_compare.seed_groups, names))) < 2:
            st.info("No two of these runs differ in the seed alone, so that each is drawn by itself.")
        if compare.is_unlike(page, choice):
            each = "; ".join(f"{run}: {words}" for run, words in page.about(queries_compare.data_of, names).items())
            st.info(
                f"These runs are on different data ({links.plain(each)}), of which a nat is not the same. Strengths "
                "are drawn as shares of the peak of their own run's total; losses depend on the number of classes."
            )
    show.chart(page, "curves", choice)
    st.subheader("What they end with", anchor=False)
    terms = help.glossary()
    columns = {name: st.column_config.Column(help=terms.get(term)) for name, term in TERMS.items()}
    st.dataframe(compare.ends_listed(ends).rename(columns=page.worded), hide_index=True, column_config=columns)
    st.subheader("Settings that differ", anchor=False)
    settings = page.about(queries_compare.settings, names)
    if settings.empty:
        st.info("None: the runs have the same settings.")
    else:
        st.dataframe(settings.astype(str), hide_index=True)


def choose_sides(pages: list[data.Page]) -> tuple[data.Page, int, data.Page, int]:
    """Returns the page about run A and its epoch, and those of run B."""
    of_name = {page.run.name: page for page in pages}
    left, right = st.columns(2)
    with left:
        first = of_name[choose.one(st.selectbox, "A", list(of_name), key="a")]
        epoch = choose.epoch(first, label="Epoch of A", key="epoch_a")
    with right:
        second = of_name[choose.one(st.selectbox, "B", list(of_name), key="b", default=pages[1].run.name)]
        other_epoch = choose.epoch(second, label="Epoch of B", key="epoch_b")
    return first, epoch, second, other_epoch


def choose_picture(page: data.Page, epoch: int, numbers: list[int], number: int) -> None:
    """Draws the samples of run A to choose one from, in a popover."""
    popover = st.popover("Choose by its picture", icon=":material/grid_view:", on_change="rerun", key="pictures")
    if popover.open:
        with popover:
            rows = page.ask(sample.samples, epoch=epoch, numbers=numbers)
            gallery(rows, lambda picked: st.session_state.update(number=picked), chosen=number)


def compare_interactions(pages: list[data.Page]) -> None:
    """Draws the interactions of one run that another does not have."""
    st.subheader("Who learned what", anchor=False)
    first, epoch, second, other_epoch = choose_sides(pages)
    page, a, b = first.beside([second]), first.run.name, second.run.name
    if not page.ask(queries_compare.same_samples, other=b):
        st.info(
            f"{links.plain(a)} and {links.plain(b)} do not explain the same samples with the same labels and "
            "variables, so that their interactions cannot be compared one by one."
        )
        return
    numbers = list(range(page.run.n_explained()))
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width=400):
            number = choose.one(st.select_slider, "Sample", numbers, key="number")
            if page.kind.picture:
                choose_picture(page, epoch, numbers, number)
        row = page.ask(sample.sample, sample=number)
        if page.kind.picture:
            st.image(bytes(row["image"].iloc[0]), width=72, alt=f"Input of sample {number}.")
        here, there = links.sample(a, epoch, number), links.sample(b, other_epoch, number)
        st.markdown(
            f"{row['split'].iloc[0]} row {row['row'].iloc[0]}, label **{links.plain(row['label_name'].iloc[0])}**  \n"
            f"{links.plain(inputs.summary_text(row['display'].iloc[0], 400))}  \n"
            f"Look at it [in A]({here}) or [in B]({there})."
        )
    choice = Choice(epoch=epoch, runs=(b,), other_epoch=other_epoch, sample=number)
    rows = catalogue.chart("difference").rows(page, choice)["difference"]
    sides = ("difference_by_order", "first", f"Only A: {a}"), ("difference", "second", f"Only B: {b}")
    columns = st.columns(2)
    for column, (chart, _, _) in zip(columns, sides, strict=True):
        with column:
            show.chart(page, chart, choice)
    for column, (_, side, title) in zip(columns, sides, strict=True):
        with column:
            only = rows.loc[rows["where"] == side]
            st.markdown(f"**{links.plain(title)}, sample {number}**: {len(only)} interactions, strongest first")
            st.dataframe(compare.listed(only, side), hide_index=True, height=300)
    both = rows.loc[rows["where"] == "both"]
    st.markdown(f"**Both, sample {number}**: {len(both)} interactions, strongest first")
    st.dataframe(compare.listed(both, "both"), hide_index=True, height=220)
    views = catalogue.views("compare")
    if views:
        ui.sections(page, {view: partial(show.view, page, "compare", view, choice) for view in views})


with ui.frame("Compare"):
    if not data.run_names():
        first_steps.show_first_steps()
        st.stop()
    chosen = choose_runs()
    if len(chosen) < 2:
        st.info("Choose at least two runs; `interdash demo --preset digits` makes a small one within seconds.")
        st.stop()
    pages = [ui.opened(data.open_run(name)) for name in chosen]
    compare_curves(pages)
    compare_interactions(pages)
