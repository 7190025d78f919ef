"""Figures: charts of the run picked by their pictures, at a venue's size, with caption and LaTeX, as files."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import streamlit as st

from interdash.dashboard import choose, data, picker, show
from interdash.dashboard import page as ui
from interdash.figures import catalogue
from interdash.figures.choice import ALIGNMENTS, DOSES, MOST_OTHERS, Choice
from interdash.paper import bundle, chromium, handout, layout, venues
from interdash.paper.settings import Settings
from interdash.queries import dynamics
from interdash.queries import sample as queries_sample
from interdash.queries.interactions import SORTS

FONTS = ["the venue's", *venues.FONTS]
NUMBERS = dict(zip(venues.NUMBERS, ("1 234.5", "1,234.5", "1 234,5", "1.234,5"), strict=True))
TYPES = {"file": "application/octet-stream", "zip": "application/zip", "html": "text/html"}


def choose_others(page: data.Page) -> data.Page:
    """Returns the page beside the runs compared with."""
    names = [name for name in data.run_names() if name != page.run.name]
    if not names:
        return page
    others = choose.known_ones("with", names, "runs", MOST_OTHERS)
    with st.popover("Compare with other runs", icon=":material/compare_arrows:"):
        st.multiselect("Compared with", names, others, key="with", max_selections=MOST_OTHERS, **choose.IN_ADDRESS)
    return page.beside([ui.opened(data.open_run(name)) for name in others])


def choose_looks(page: data.Page, specs: list[str], choice: Choice) -> tuple[str, dict[str, Any]]:
    """Returns the venue, or a width, and what differs from its looks; legend and y axis where the figures have one."""
    has_legend, y_title = False, ""
    with suppress(ValueError):  # the preview says it
        has_legend, y_title = picker.looks(page, specs, choice)
    own: dict[str, Any] = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        venue = choose.one(st.selectbox, "Venue", [*venues.VENUES, "custom"], key="venue", width=160)
        if venue == "custom":
            venue = st.text_input("Width, such as 120mm or 4.5in", "120mm", key="width", **choose.IN_ADDRESS)
        size = venues.venue(venue)
        height = st.number_input("Height (in)", 0.8, 12.0, None, 0.25, key="height", placeholder="as needed", width=150)
        colours = choose.one(st.segmented_control, "Colours", list(venues.COLOURS), key="print")
        if has_legend:
            own["legend"] = choose.one(st.selectbox, "Legend", venues.LEGENDS, key="legend", width=140)
        if y_title:
            for field, label in (("y_low", "y from"), ("y_high", "y to")):
                own[field] = st.number_input(
                    label, value=None, format="%g", key=field, placeholder="as fits", width=150,
                    help=f"Of: {y_title}.", **choose.IN_ADDRESS,
                )  # fmt: skip
        with st.popover("Fonts and lines", icon=":material/format_size:"):
            font = choose.one(st.selectbox, "Font", FONTS, key="font")
            label = st.number_input("Text (pt)", venues.SMALLEST, 14.0, size.label, 0.5, key=f"text-{venue}")
            tick = st.number_input(
                "Numbers at axes (pt)", venues.SMALLEST, 14.0, size.tick, 0.5, key=f"numbers-{venue}"
            )
            shown = NUMBERS.__getitem__
            numbers = choose.one(st.selectbox, "Format of numbers", list(NUMBERS), key="numbers", format_func=shown)
            lines = st.number_input("Width of lines (times)", 0.25, 4.0, 1.0, 0.25, key="lines")
            transparent = st.toggle("Transparent", key="transparent", **choose.IN_ADDRESS)
    looks: dict[str, Any] = {"label": label, "tick": tick, "colours": colours, "numbers": numbers, "lines": lines}
    looks |= {"height": height, "transparent": transparent}
    own |= {} if font == FONTS[0] else {"font": font}
    return venue, looks | {name: value for name, value in own.items() if value not in (None, venues.LEGENDS[0])}


def choose_choice(page: data.Page, fields: set[str]) -> Choice:
    """Returns what the figures are about: only what matters to one of them, by the fields of `Choice`, is asked."""
    n = page.config.masking.n_variables
    chosen: dict[str, Any] = {"runs": tuple(other.run.name for other in page.others)}

    def ask(field: str, widget: Any) -> None:
        if field in fields:
            chosen[field] = widget()

    with st.container(horizontal=True, vertical_alignment="bottom", key="choices"):
        ask("split", lambda: choose.split(page))
        ask("label", lambda: choose.label(page))
        ask("types", lambda: choose.types(page))
        ask("sort", lambda: choose.one(st.selectbox, "Sorted by", list(SORTS), key="rank", width=140))
        ask("where", choose.where)
        ask("scale", lambda: choose.scale(page))
        ask("log", lambda: choose.log(page))
        count = sum(page.ask(queries_sample.counts).values())
        ask("sample", lambda: choose.one(st.selectbox, "Sample", list(range(count)), key="sample", width=120))
        ask("top", lambda: choose.one(st.segmented_control, "Interactions listed", [10, 20, 50], key="top"))
        ask("min_order", lambda: choose.one(st.selectbox, "Lowest order removed", range(1, n + 1), key="order"))
        ask("dose", lambda: choose.one(st.selectbox, "Dose (% of the strength)", DOSES, key="dose", default=100))
        if page.others:
            ask("by", lambda: choose.one(st.segmented_control, "Aligned by", list(ALIGNMENTS), key="by"))
    ask("epoch", lambda: choose.epoch(page, label="Epoch of figures at one epoch"))
    ask("interaction", lambda: choose.interaction(page, chosen.get("epoch"), chosen.get("sample", 0)))
    ask("beside", lambda: choose.beside(page, count))
    ask("samples", lambda: tuple(choose.some_samples(count)))
    ask("pattern", lambda: choose.pattern(page))
    ask("epochs", lambda: tuple(choose.epochs(page)))
    ask("start", lambda: choose.start(page))
    ask("life_line", lambda: choose.life_line(page, chosen["epoch"], chosen.get("sample", 0)))
    ask("partner", lambda: choose.partner(page))
    if len(page.others) == 1 and page.others[0].ask(dynamics.labelled_epochs):
        name = page.others[0].run.name
        ask("other_epoch", lambda: choose.epoch(page.others[0], label=f"Epoch of {name}", key="epoch_b"))
    return Choice(**chosen)


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


def show_files(page: data.Page, settings: Settings, count: int) -> None:
    """Draws the buttons of what holds many figures: bundles, and the run as one HTML file."""
    looks = {name: value for name, value in settings.looks.items() if not name.startswith("y_")}  # of these figures
    everything = replace(settings, figures=("all",), looks=looks)
    others = [data.open_run(name) for name in settings.choice.runs]
    with st.container(horizontal=True, vertical_alignment="center"):
        for text, what in ((f"These {len(settings.figures)}", settings), (f"All {count}", everything)):
            st.download_button(
                f"{text} as a bundle", lambda what=what: bundle.bundle(page.store, page.run, what, others=others)[1],
                f"{what.folder(page.run)}.zip", TYPES["zip"], key=f"bundle-{text.split()[0]}",
                disabled=not settings.formats or not what.figures,
                help="With rows, LaTeX and provenance.json." if settings.formats else "Choose a format first.",
            )  # fmt: skip
        st.download_button(
            "Run as one HTML file", lambda: handout.handout(page.store, page.run, settings.choice),
            f"{page.run.name}.html", TYPES["html"], key="handout",
            help="For a co-author: tables and interactive charts; opens without Python or network.",
        )  # fmt: skip


def show_figure(page: data.Page, spec: str, settings: Settings) -> None:
    """Draws one figure at true size, with caption and LaTeX to copy, and its files."""
    drawing, tallest, figure, once = picker.printed(page, spec, settings)
    name = catalogue.file_name(spec, drawing)
    st.subheader(picker.title(spec), anchor=False)
    config = show.CONFIG | {"responsive": False, "toImageButtonOptions": {"format": "svg", "filename": name}}
    key, alt = f"preview-{name}", show.alt_text(drawing.caption, drawing.rows)
    st.plotly_chart(once, theme=None, width="content", key=key, config=config, alt=alt)
    size = f"{figure.layout.width / 96:.3g} × {figure.layout.height / 96:.1f} in, at true size."
    if words := layout.too_tall(figure, tallest):
        st.warning(words)
    show.below(f"{size} {drawing.caption}", drawing.how_to_read, drawing.rows, key)
    stem = f"{page.run.name}-{name}"
    with st.container(horizontal=True):
        for form in settings.formats:
            st.download_button(
                form.upper(), lambda form=form: chromium.render(figure, form, dpi=settings.dpi, title=stem),
                f"{stem}.{form}", TYPES["file"], key=f"{name}-{form}",
            )  # fmt: skip
        with st.popover("Caption", icon=":material/content_copy:"):
            st.code(bundle.caption(page, drawing, settings), language=None, wrap_lines=True)
        form = next((form for form in ("pdf", "png", "svg") if form in settings.formats), "pdf")
        with st.popover("LaTeX", icon=":material/content_copy:"):
            st.code(bundle.environment(page, drawing, settings, f"{stem}.{form}", stem), "latex", wrap_lines=True)


with ui.page("Figures") as page:
    choose.need_labels(page)
    page = choose_others(page)
    choice = Choice(runs=tuple(other.run.name for other in page.others))
    known = catalogue.offered(page, choice)
    specs, draw_pictures = picker.choose_figures(page, known)
    choice = choose_choice(page, catalogue.fields(page, specs, choice))
    page.seen.near = [each for each in page.seen.near if each[0] in ("split", "epoch")]  # to print one takes 0.1 s
    venue, looks = choose_looks(page, specs, choice)
    formats, dpi = choose_formats()
    settings = Settings(tuple(specs), venue, tuple(formats), dpi, looks, choice)
    if words := chromium.missing_font(settings.size.font):
        st.warning(words.capitalize())
    show_files(page, settings, len(known))
    for spec in specs:
        show_figure(page, spec, settings)
    draw_pictures()
