"""What our pages change of Streamlit's looks: room, contrast where its own is below 4.5 to 1 (WCAG AA), and a focus
that shows wherever the keyboard is. A chart is whole pixels wide, else the browser draws it twice; but the previews of
Figures are of their true size."""

from collections.abc import Mapping

from interdash.figures import theme


def _either(colours: Mapping[bool, str]) -> str:
    """Returns a colour of CSS: one for a light page, one for a dark page, which follows the page at once."""
    return f"light-dark({colours[False]}, {colours[True]})"


CAPTION = _either(theme.CAPTIONS)
ON_PRIMARY = _either({dark: inks[1] for dark, inks in theme.INKS.items()})
FOCUS = _either({False: theme.GENERALIZABLE, True: theme.SKY})
STYLE = f"""<style>
:root {{color-scheme: light dark;}}
.block-container {{padding: 1.2rem 2.5rem 2rem; max-width: 1760px;}}
h1 {{font-size: 1.7rem !important; padding: 0.3rem 0 !important;}}
[data-testid="stSidebar"] {{min-width: 200px; max-width: 230px; transition: none;}}
[data-testid="stElementContainer"]:not([class*="st-key-preview-"]):has([data-testid="stPlotlyChart"]) {{
    width: round(down, 100%, 1px) !important;}}
.stElementContainer:has(> .stHtml > script:only-child) {{position: absolute;}}
[class*="st-key-slider-"] {{position: absolute;}}
[class*="st-key-below-"] > :first-child {{flex: 1 1 12rem !important; min-width: 12rem;}}
.st-key-controls [data-testid="stButtonGroup"] button {{padding-inline: 0.5rem;}}
.st-key-pages {{flex-wrap: nowrap; gap: 0;}}
.st-key-about-list {{padding-right: 9rem;}}
.st-key-facts [data-testid="stMetricValue"] {{font-size: 1.25rem;}}
[class*="st-key-faithful"] [data-testid="stMetricValue"] {{font-size: 1.25rem;}}
.st-key-facts {{gap: 0.9rem;}}
[class*="st-key-finding"] h3 {{font-size: 1.25rem; padding: 0;}}
[class*="st-key-below-"] [data-testid="stPopover"] button p {{color: {CAPTION};}}
:focus-visible {{outline: 2px solid {FOCUS} !important; outline-offset: 1px;}}
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] * {{color: {CAPTION}; opacity: 1 !important;}}
[data-testid="stMultiSelect"] span[title], [data-testid="stMultiSelect"] span[title] ~ *,
[data-testid^="stBaseButton-primary"]:enabled :is(p, span) {{color: {ON_PRIMARY};}}
</style>"""
