"""Figures: charts of the run at a venue's width, seen at true size, as files for a paper."""

from dataclasses import replace
from typing import Any

import streamlit as st

from interdash.dashboard import choose, data, links, show
from interdash.dashboard import page as ui
from interdash.figures import catalogue
from interdash.figures.choice import ALIGNMENTS, DOSES, MOST_OTHERS, Choice
from interdash.paper import bundle, chromium, handout, venues
from interdash.queries import dynamics
from interdash.queries import sample as queries_sample

FIRST = ["dynamics", "order_strength_row"]  # unless chosen
FONTS = ["the venue's", *venues.FONTS]
NUMBERS = dict(zip(venues.NUMBERS, ("1 234.5", "1,234.5", "1 234,5", "1.234,5"), strict=True))
TYPES = {"file": "application/octet-stream", "zip": "application/zip", "html": "text/html"}


def choose_known(
    label: str, known: list[str], first: list[str], key: str, what: str, most: int | None = None
) -> list[str]:
    """Returns what is chosen of some names, in the order in which it was chosen."""
    given = st.query_params.get_all(key)
    found = list(dict.fromkeys(name for name in given if name in known))
    if wrong := [name for name in given if name not in known]:
        st.warning(f"The link asks for {len(wrong)} {what} that are not there; they are left out.")
    if most is not None and len(found) > most:
        st.warning(f"The link asks for {len(found)} {what}; these are the first {most}.")
        found = found[:most]
    if found != given:
        st.query_params[key] = found
    if any(name not in known for name in st.session_state.get(key, [])):
        del st.session_state[key]
    return st.multiselect(label, known, first, key=key, bind="query-params", format_func=str, max_selections=most)


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
        venue = choose.one(st.selectbox, "Venue", [*venues.VENUES, "custom"], key="venue")
        if venue == "custom":
            venue = st.text_input("Width, such as 120mm or 4.5in", "120mm", key="width", bind="query-params")
        size = venues.venue(venue)
        font = choose.one(st.selectbox, "Font", FONTS, key="font")
        label = st.number_input("Text (pt)", venues.SMALLEST, 14.0, size.label, 0.5, key=f"text-{venue}")
        tick = st.number_input("Numbers (pt)", venues.SMALLEST, 14.0, size.tick, 0.5, key=f"numbers-{venue}")
        numbers = choose.one(st.selectbox, "Written", list(NUMBERS), key="numbers", format_func=NUMBERS.__getitem__)
        colours = choose.one(st.segmented_control, "Print", list(venues.COLOURS), key="print")
    looks: dict[str, Any] = {"label": label, "tick": tick, "colours": colours, "numbers": numbers}
    return venue, looks | ({} if font == FONTS[0] else {"font": font})


def choose_choice(page: data.Page) -> tuple[data.Page, Choice]:
    """Returns what the figures are about, and the page beside the runs compared with."""
    n = page.run.config.masking.n_variables
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split, types, scale, log = choose.split(), choose.types(), choose.scale(), choose.log()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = choose.label(page)
        numbers = list(range(int(page.ask(queries_sample.classes)[["train", "test"]].to_numpy().sum())))
        sample = choose.one(st.selectbox, "Sample", numbers, key="sample")
        epoch = choose.epoch(page, label="Epoch of figures at one epoch")
        with st.popover("More choices", icon=":material/tune:"):
            epochs = choose.epochs(page)
            interaction = choose_interaction(n)
            top = choose.one(st.segmented_control, "Interactions listed", [10, 20, 50], key="top")
            min_order = choose.one(st.select_slider, "Lowest order removed", range(1, n + 1), key="order")
            dose = choose.one(st.select_slider, "Dose (% of the strength)", DOSES, key="dose", default=100)
            start = choose.start(page)
            life_line = choose.life_line(page, epoch, sample)
            partner = choose.partner(page)
    names = [name for name in data.run_names() if name != page.run.name]
    others = choose_known("Compared with", names, [], "with", "runs", MOST_OTHERS)
    page = page.beside([ui.opened(data.open_run(name)) for name in others])
    by, other_epoch = ALIGNMENTS[0], None
    if others:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            by = choose.one(st.segmented_control, "Aligned by", list(ALIGNMENTS), key="by")
            if len(others) == 1 and page.others[0].ask(dynamics.labelled_epochs):
                other_epoch = choose.epoch(page.others[0], label=f"Epoch of {others[0]}", key="epoch_b")
    return page, Choice(
        epoch=epoch, split=split, label=label, types=types, scale=scale, log=log, sample=sample, top=top,
        runs=tuple(others), epochs=tuple(epochs), other_epoch=other_epoch, interaction=interaction,
        min_order=min_order, dose=dose, by=by, start=start, life_line=life_line, partner=partner,
    )  # fmt: skip


def choose_interaction(n: int) -> str:
    """Returns the interaction that is lit; "" is the strongest."""
    text = st.text_input(
        "Interaction lit", key="interaction", bind="query-params", placeholder="and-37",
        help="As in the address of the page Sample; the strongest unless given, none with none.",
    )  # fmt: skip
    try:
        return text if text and links.interaction(text, n) else ""
    except ValueError as error:
        st.warning(str(error))
        return ""


def choose_formats() -> tuple[list[str], int]:
    """Returns the formats, of those that can be made here, and the dots per inch of PNG."""
    formats = list(chromium.FORMATS)
    try:
        chromium.chromium()
    except chromium.NoBrowserError as error:
        st.warning(f"{error} The camera in the corner of each figure saves it as SVG.")
        formats = ["html"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect("Formats", formats, formats[:1], key="formats")
        dpi = st.number_input("PNG (dpi)", 30, 2400, 300, 50, key="dpi", width=140) if "png" in chosen else 300
    return chosen, int(dpi)


def show_files(page: data.Page, settings: bundle.Settings, count: int) -> None:
    """Draws the buttons of what holds many figures: bundles, and the run as one HTML file."""
    everything = replace(settings, figures=("all",))
    others = [data.open_run(name) for name in settings.choice.runs]
    with st.container(horizontal=True, vertical_alignment="center"):
        for text, what in ((f"These {len(settings.figures)}", settings), (f"All {count}", everything)):
            st.download_button(
                f"{text} as a bundle", lambda what=what: bundle.bundle(page.store, page.run, what, others=others)[0],
                f"{page.run.name}-figures.zip", TYPES["zip"], key=f"bundle-{text.split()[0]}",
                disabled=not settings.formats or not what.figures,
                help="With rows (CSV, Parquet), LaTeX and provenance.json.",
            )  # fmt: skip
        st.download_button(
            "Run as one HTML file", lambda: handout.handout(page.store, page.run, settings.choice),
            f"{page.run.name}.html", TYPES["html"], key="handout",
            help="For a co-author: tables and interactive charts; opens without Python or network.",
        )  # fmt: skip


def show_figure(page: data.Page, name: str, settings: bundle.Settings) -> None:
    """Draws one figure at true size, and its files."""
    drawing = catalogue.drawing(page, name, settings.choice)
    name, figure = catalogue.file_name(name), bundle.printed(drawing, settings.size)
    st.subheader(name, anchor=False)
    config = show.CONFIG | {"responsive": False, "toImageButtonOptions": {"format": "svg", "filename": name}}
    key, alt = f"preview-{name}", show.alt_text(drawing.caption, drawing.rows)
    st.plotly_chart(figure, theme=None, width="content", key=key, config=config, alt=alt)
    words = f"{settings.size.width:.3g} in wide, at true size. {drawing.caption}"
    show.below(words, drawing.how_to_read, drawing.rows, key)
    with st.container(horizontal=True):
        for form in settings.formats:
            st.download_button(
                form.upper(), lambda form=form: chromium.render(figure, form, dpi=settings.dpi),
                f"{page.run.name}-{name}.{form}", TYPES["file"], key=f"{name}-{form}",
            )  # fmt: skip


with ui.page("Figures") as page:
    choose.need_labels(page)
    page, choice = choose_choice(page)
    venue, looks = choose_looks()
    known = catalogue.offered(page, choice)
    figures = choose_known("Figures", known, [name for name in FIRST if name in known], "figure", "figures")
    figures += choose_panels(known)
    formats, dpi = choose_formats()
    settings = bundle.Settings(tuple(figures), venue, tuple(formats), dpi, looks, choice)
    if words := chromium.missing_font(settings.size.font):
        st.warning(words.capitalize())
    show_files(page, settings, len(known))
    for name in figures:
        show_figure(page, name, settings)
