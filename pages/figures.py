"""Figures: charts of the run at a venue's width, seen at true size, as files for a paper."""

from typing import Any

import streamlit as st

from interdash import bundle, drawings, handout, queries, ui
from interdash.figures import export, venues

FIRST = ["dynamics", "order_strength_row"]  # unless chosen
FONTS = ["the venue's", *venues.FONTS]
NUMBERS = dict(zip(venues.NUMBERS, ("1 234.5", "1,234.5", "1 234,5", "1.234,5"), strict=True))
TYPES = {"file": "application/octet-stream", "zip": "application/zip", "html": "text/html"}


def choose_known(label: str, known: list[str], first: list[str], key: str, what: str) -> list[str]:
    """Returns what is chosen of some names, in the order in which it was chosen."""
    given = st.query_params.get_all(key)
    if wrong := [name for name in given if name not in known]:
        st.warning(f"The link asks for {len(wrong)} {what} that are not there; they are left out.")
        st.query_params[key] = [name for name in given if name in known]
    if any(name not in known for name in st.session_state.get(key, [])):
        del st.session_state[key]
    return st.multiselect(label, known, first, key=key, bind="query-params", format_func=str)


def choose_panels(known: list[str]) -> list[str]:
    """Returns the figure of several panels, if one is asked for."""
    text = st.text_input(
        "Panels (a), (b), (c) of one figure", key="panels", bind="query-params",
        placeholder="order_strength_row/dynamics,interactions",
        help=f"Names of figures: a comma sets them side by side, a slash below. There are {', '.join(known)}.",
    )  # fmt: skip
    return [text] if text and text.strip() else []


def choose_looks() -> tuple[str, dict[str, Any]]:
    """Returns the venue, or a width, and what differs from its looks."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        venue = ui.choose(st.selectbox, "Venue", [*venues.VENUES, "custom"], key="venue")
        if venue == "custom":
            venue = st.text_input("Width, such as 120mm or 4.5in", "120mm", key="width", bind="query-params")
        size = venues.venue(venue)
        font = ui.choose(st.selectbox, "Font", FONTS, key="font")
        label = st.number_input("Text (pt)", venues.SMALLEST, 14.0, size.label, 0.5, key=f"text-{venue}")
        tick = st.number_input("Numbers (pt)", venues.SMALLEST, 14.0, size.tick, 0.5, key=f"numbers-{venue}")
        numbers = ui.choose(st.selectbox, "Written", list(NUMBERS), key="numbers", format_func=NUMBERS.__getitem__)
        colours = ui.choose(st.segmented_control, "Print", list(venues.COLOURS), key="print")
    looks: dict[str, Any] = {"label": label, "tick": tick, "colours": colours, "numbers": numbers}
    return venue, looks | ({} if font == FONTS[0] else {"font": font})


def choose_choice(page: ui.Page) -> drawings.Choice:
    """Returns what the figures are about."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split, types, normalised, log = (
            ui.choose_split(),
            ui.choose_types(),
            ui.choose_normalised(),
            ui.choose_log(),
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = ui.choose_label(page)
        numbers = list(range(int(page.ask(queries.classes)[["train", "test"]].to_numpy().sum())))
        sample = ui.choose(st.selectbox, "Sample", numbers, key="sample")
        epoch = ui.choose_epoch(page, label="Epoch of figures at one epoch")
    others = choose_known(
        "Compared with", [name for name in ui.run_names() if name != page.run.name], [], "with", "runs"
    )
    for name in others:
        ui.load(ui.open_run(name))
    return drawings.Choice(epoch, split, label, types, normalised, log, sample, runs=tuple(others))


def choose_formats() -> list[str]:
    """Returns the formats that can be made here."""
    formats = list(export.FORMATS)
    try:
        export.chromium()
    except export.NoBrowserError as error:
        st.warning(f"{error} The camera in the corner of each figure saves it as SVG.")
        formats = ["html"]
    return st.multiselect("Formats", formats, formats[:1], key="formats")


def show_files(page: ui.Page, settings: bundle.Settings, count: int) -> None:
    """Draws the buttons of what holds many figures: bundles, and the run as one HTML file."""
    everything = bundle.Settings(
        ("all",), settings.venue, settings.formats, looks=settings.looks, choice=settings.choice
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        for text, what in ((f"These {len(settings.figures)}", settings), (f"All {count}", everything)):
            st.download_button(
                f"{text} as a bundle", lambda what=what: bundle.bundle(page.store, page.run, what)[0],
                f"{page.run.name}-figures.zip", TYPES["zip"], key=f"bundle-{text.split()[0]}",
                disabled=not settings.formats or not what.figures,
                help="With rows (CSV, Parquet), LaTeX, pgfplots and provenance.json.",
            )  # fmt: skip
        st.download_button(
            "Run as one HTML file", lambda: handout.handout(page.store, page.run, settings.choice),
            f"{page.run.name}.html", TYPES["html"], key="handout",
            help="For a co-author: tables and interactive charts; opens without Python or network.",
        )  # fmt: skip


def show_figure(page: ui.Page, name: str, settings: bundle.Settings) -> None:
    """Draws one figure at true size, and its files."""
    drawing = drawings.chosen(page.store, page.run, name, settings.choice)
    name, figure = drawings.file_name(name), drawing.printed(settings.size)
    st.subheader(name, anchor=False)
    config = ui.CONFIG | {"responsive": False, "toImageButtonOptions": {"format": "svg", "filename": name}}
    st.plotly_chart(figure, theme=None, width="content", key=f"preview-{name}", config=config)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{settings.size.width:.3g} in wide, at true size. {drawing.caption}")
        for form in settings.formats:
            st.download_button(
                form.upper(), lambda form=form: export.render(figure, form, dpi=settings.dpi),
                f"{page.run.name}-{name}.{form}", TYPES["file"], key=f"{name}-{form}",
            )  # fmt: skip


with ui.page("Figures") as page:
    ui.need_labels(page)
    choice = choose_choice(page)
    venue, looks = choose_looks()
    known = drawings.offered(page.store, page.run, choice)
    figures = choose_known("Figures", known, [name for name in FIRST if name in known], "figure", "figures")
    figures += choose_panels(known)
    formats = choose_formats()
    settings = bundle.Settings(tuple(figures), venue, tuple(formats), looks=looks, choice=choice)
    if words := export.missing_font(settings.size.font):
        st.warning(words.capitalize())
    show_files(page, settings, len(known))
    for name in figures:
        show_figure(page, name, settings)
