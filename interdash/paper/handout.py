"""A run as one HTML file for a co-author: tables and charts, interactive, opened without Python or network."""

import html
import json

from interdash.figures import catalogue, theme
from interdash.figures.choice import Choice
from interdash.paper import captions, chromium, tables
from interdash.queries.asking import Ask
from interdash.runs.run import Run
from interdash.store.database import Store

_STYLE = f"""
body {{font-family: "Liberation Sans", Arial, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem}}
table {{border-collapse: collapse; margin: 1rem 0}}
td, th {{padding: 2px 12px 2px 0; text-align: left; border-bottom: 1px solid {theme.RULE}}}
figure {{margin: 2rem 0; overflow-x: auto}}
table {{display: block; overflow-x: auto}}
nav a {{margin-right: 1em; white-space: nowrap; display: inline-block}}
figcaption, p {{color: {theme.FAINT}}}
pre {{font-size: 12px}}
"""


def handout(store: Store, run: Run, choice: Choice | None = None) -> bytes:
    """Returns the HTML: every table and figure of the run, and its configuration."""
    choice = choice or Choice()
    title = html.escape(run.name)
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>',
        f"<script>{chromium.plotly_js()}</script></head><body><h1>Run {title}</h1>",
        f"<p>{html.escape(run.config.purpose)}</p><p>Made by interdash on {chromium.now().date().isoformat()}.</p>",
    ]
    ask = Ask(run, store)
    drawings = [each for name in catalogue.names(ask, choice) for each in catalogue.each(ask, name, choice)]
    names = dict.fromkeys(drawing.chart.name for drawing in drawings)
    links = (f'<a href="#{name}">{name.replace("_", " ").capitalize()}</a>' for name in names)
    parts.append(f"<nav>{''.join(links)}</nav>")
    for name, (table, caption) in tables.captioned(ask, choice.runs).items():
        parts.append(f"<h2>{tables.TITLES[name]}</h2><p>{html.escape(caption)}</p>")
        parts.append(table.to_html(index=False, border=0))
    for drawing in drawings:
        drawn = chromium.page(theme.themed(drawing.figure()), plotly_js=False).decode()
        words = html.escape(captions.words(drawing).replace("*", ""))
        parts.append(f'<figure id="{drawing.chart.name}">{drawn}<figcaption>{words}</figcaption></figure>')
    settings = html.escape(json.dumps(run.manifest["config"], indent=1, ensure_ascii=False))
    parts.append(f"<h2>Configuration</h2><pre>{settings}</pre></body></html>")
    return "\n".join(parts).encode()
