"""Compare: two to six runs, their curves and settings; of two runs on the same samples, who learned what."""

import streamlit as st

from interdash import drilldown, links, queries_compare, queries_sample, ui, ui_first
from interdash.figures import compare as charts
from interdash.figures import inputs

MOST = 6


def choose_runs() -> list[str]:
    """Returns the runs to compare, in the order in which they were chosen; the first two unless chosen."""
    names = list(ui.run_names())
    given = st.query_params.get_all("runs")
    chosen = names[:2]
    try:
        if given:
            chosen = links.runs([] if given == [""] else given, names, MOST)  # "": all were taken out
    except ValueError as error:
        st.warning(str(error))
    ui.keep("runs", chosen)
    st.multiselect(
        "Runs", names, key="runs", max_selections=MOST, placeholder="two to six runs", on_change=ui.write,
        args=("runs",),
    )  # fmt: skip
    return chosen


def compare_curves(pages: list[ui.Page]) -> None:
    """Draws the curves and what the runs end with."""
    names = [page.run.name for page in pages]
    ends = ui.ask(pages, queries_compare.endings, names)
    st.subheader(links.plain(charts.finding_text(ends)), anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        about = "By phase: every run is stretched so that its boundaries 1|2 and 2|3 lie over those of the others."
        by = ui.choose(st.segmented_control, "Aligned by", ["epoch", "phase"], key="by", help=about)
        split = ui.choose_split()
        log = ui.choose_log() if by == "epoch" else False
    rows = ui.ask(pages, queries_compare.curves, names, split=split)
    if by == "phase":
        rows = queries_compare.aligned(rows, ui.ask(pages, queries_compare.phases_of, names))
    with st.container():  # always there: what moves down on a page is drawn anew
        for name in queries_compare.without_phases(rows) if by == "phase" else ():
            st.info(f"{links.plain(name)} has no boundary between phases, so that it cannot be aligned.")
    ui.show(charts.curves, rows, key="curves", by=by, log=log)
    st.subheader("What they end with", anchor=False)
    st.dataframe(charts.ends_listed(ends), hide_index=True)
    st.subheader("Settings that differ", anchor=False)
    settings = ui.ask(pages, queries_compare.settings, names)
    if settings.empty:
        st.info("None: the runs have the same settings.")
    else:
        st.dataframe(settings.astype(str), hide_index=True)


def compare_interactions(pages: list[ui.Page]) -> None:
    """Draws the interactions of one run that another does not have."""
    st.subheader("Who learned what", anchor=False)
    names = [page.run.name for page in pages]
    of_name = dict(zip(names, pages, strict=True))
    left, right = st.columns(2)
    with left:
        first = of_name[ui.choose(st.selectbox, "A", names, key="a")]
        epoch = ui.choose_epoch(first, label="Epoch of A", key="epoch_a")
    with right:
        second = of_name[ui.choose(st.selectbox, "B", names, key="b", default=names[1])]
        other_epoch = ui.choose_epoch(second, label="Epoch of B", key="epoch_b")
    both, a, b = [first, second], first.run.name, second.run.name
    if not ui.ask(both, queries_compare.same_samples, a, b):
        st.info(
            f"{links.plain(a)} and {links.plain(b)} do not explain the same samples with the same labels and "
            "variables, so that their interactions cannot be compared one by one."
        )
        return
    name_a, name_b = f"A: {a}", f"B: {b}"
    where = {"run": a, "epoch": epoch, "other": b, "other_epoch": other_epoch}
    numbers = list(range(first.run.n_explained()))
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width=400):
            number = ui.choose(st.select_slider, "Sample", numbers, key="number")
        row = first.ask(queries_sample.sample, sample=number)
        if row["image"].iloc[0] is not None:
            st.image(bytes(row["image"].iloc[0]), width=72, alt=f"Input of sample {number}.")
        st.markdown(
            f"{row['split'].iloc[0]} row {row['row'].iloc[0]}, label **{links.plain(row['label_name'].iloc[0])}**  \n"
            f"{links.plain(inputs.summary_text(row['display'].iloc[0], 400))}  \n"
            f"Look at it [in A]({links.sample(a, epoch, number)}) or [in B]({links.sample(b, other_epoch, number)})."
        )
    left, right = st.columns(2)
    with left:
        rows = ui.ask(both, queries_compare.difference_by_order, **where)
        ui.show(charts.difference_by_order, rows, key="by-order", first=name_a, second=name_b)
    rows = ui.ask(both, queries_compare.difference, **where, sample=number)
    if row["image"].iloc[0] is not None:
        rows = drilldown.numbered(rows)
    with right:
        ui.show(charts.difference, rows, key="difference", first=name_a, second=name_b)
    for column, side, title in ((left, "first", f"Only {name_a}"), (right, "second", f"Only {name_b}")):
        with column:
            only = rows.loc[rows["where"] == side]
            st.markdown(f"**{links.plain(title)}, sample {number}**: {len(only)} interactions, strongest first")
            st.dataframe(charts.listed(only, side), hide_index=True, height=300)


with ui.frame("Compare"):
    if not ui.run_names():
        ui_first.show_first_steps()
        st.stop()
    chosen = choose_runs()
    if len(chosen) < 2:
        st.info("Choose at least two runs; `interdash demo --preset digits` makes a small one within seconds.")
        st.stop()
    pages = [ui.opened(ui.open_run(name)) for name in chosen]
    compare_curves(pages)
    compare_interactions(pages)
