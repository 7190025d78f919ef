"""Rewrites the docs that come from code: `.venv/bin/python docs/generate.py`.

The section "Tables" of store.md from interdash/schema.sql, charts.md from the docstrings of the figure functions,
commands.md from the command line, the last table of published-code.md from the measured results. A test fails when
one of them is stale.
"""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import click

from interdash.commands import main
from interdash.dashboard import page as ui
from interdash.figures import catalogue
from interdash.figures.chart import Chart
from interdash.store.database import open_store
from interdash.store.export import column_units

FOLDER = Path(__file__).parent
FIRST = (
    *("runs", "metrics", "measures", "phases", "samples", "networks", "units"),
    *("strengths", "order_strengths", "sample_epochs"),
)
ORDER = (
    "demo",
    "serve",
    "train",
    "import",
    "baseline",
    "extract",
    "robustness",
    "measure",
    "info",
    "export",
)  # then the others
MARK = "\n### "
CHARTS = """\
# Every chart, and how to read it

The sentences are those under the charts. Every chart on a page comes with the rows behind it (CSV, Parquet) and a
camera that saves SVG; [files for a paper](figures.md) come from the page *Figures* or `interdash export`. Strengths,
effects, outputs and losses are in nats. The symbols are defined in [the method](method.md).
"""
TOGETHER = f"""{MARK}sample_interactions

The input of a sample with its variables outlined, beside its strongest interactions.

**How to read:** `input_image` (or `input_words`) and `interactions` on one sheet: the variables that an interaction
names are the patches, words or columns of these numbers in the input. `interdash export RUN --figure
sample_interactions --sample 3 --epoch 20` writes it.
"""
TABLE = "| what | value |\n|---|---|\n"
COMMANDS = """\
# Every command

`interdash COMMAND --help` says the same. Exit codes: 0 done; 1 an error, or something left undone, said on stderr; 2
wrong usage; 130 interrupted by Ctrl-C; 143 ended by SIGTERM. What was finished is safe, and the same command goes on.
"""


def tables() -> str:
    """Returns one section for each table, with type, unit and meaning of every column."""
    store = open_store()
    columns: Any = column_units(store)
    comments = dict(store.fetch("SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'store'"))
    store.close()
    text = ""
    for name in sorted(comments, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name)):
        text += f"{MARK}{name}\n\n{cell(comments[name])}\n\n| column | type | unit and meaning |\n|---|---|---|\n"
        for row in columns[columns["table_name"] == name].to_dict("records"):
            meaning = row["comment"] if isinstance(row["comment"], str) else ""
            text += f"| `{row['column_name']}` | {row['data_type'].lower()} | {cell(meaning)} |\n"
    return text


def charts() -> str:
    """Returns caption and "how to read" of every chart, page by page."""
    pages = {stem: f"Page {title}" for stem, title in ui.pages().items()} | {"": "In files only"}
    text = CHARTS
    for stem, title in pages.items():
        sections = [chart(each) for each in catalogue.CHARTS if each.page == stem]
        text += f"\n## {title}\n{''.join(sections)}" if sections else ""
    return text + TOGETHER


def chart(each: Chart) -> str:
    """Returns the section of one chart."""
    return f"{MARK}{each.name}\n\n{each.caption}\n\n**How to read:** {each.how_to_read}\n"


def commands() -> str:
    """Returns usage, meaning, arguments and options of every command."""
    every = main.commands.commands
    text = COMMANDS
    for name in sorted(every, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)):
        command = every[name]
        context = click.Context(command, info_name=f"interdash {name}")
        text += f"\n## {name}\n\n    {' '.join(command.get_usage(context).split()[1:])}\n\n"
        text += (
            "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(command.help or "").split("\n\n")) + "\n"
        )
        options = [option for option in command.params if isinstance(option, click.Option)]
        if options:
            text += "\n| option | default | what |\n|---|---|---|\n" + "".join(line(option) for option in options)
    return text


def line(option: click.Option) -> str:
    """Returns the row of one option."""
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    kind = option.type
    value = "" if option.is_flag else f" {option.metavar or '|'.join(getattr(kind, 'choices', ()))}".rstrip()
    fixed = option.default is None or option.multiple or option.is_flag or type(option.default).__name__ == "Sentinel"
    default = "required" if option.required else "" if fixed else f"`{option.default}`"
    what = f"{option.help or ''}{f' Environment: `{option.envvar}`.' if option.envvar else ''}".strip()
    return f"| {cell(names + value)} | {default} | {cell(what)} |\n"


def measured() -> str:
    """Returns the table of what the benchmark of the solver measured against the published procedure."""
    rows = json.loads((FOLDER.parent / "benchmarks/results/solver.json").read_text(encoding="utf-8"))["rows"]
    text, names = "", ("faster", "over the published")
    for row in rows:
        if any(name in row["what"] for name in names):
            value = f"{row['value']:,.0f}" if row["value"] > 10 else f"{row['value']:.2f}"
            text += f"| {cell(row['what'])} | {value} {row['unit']} |\n"
        elif re.match("n=10 .* default: objective above the optimum", row["what"]):
            text += f"| ours, {cell(row['what'])} | {row['value']:.2f} {row['unit']} |\n"
    return f"{TABLE}{text}"


def cell(text: str) -> str:
    """Returns text that can stand in a table of Markdown."""
    return text.replace("|", "\\|")


def made() -> dict[str, str]:
    """Returns the pages that come from code, as they should be: name of the file, text."""
    store = (FOLDER / "store.md").read_text(encoding="utf-8").split(MARK)[0] + tables()
    published = (FOLDER / "published-code.md").read_text(encoding="utf-8").split(TABLE)[0] + measured()
    return {"store.md": store, "charts.md": charts(), "commands.md": commands(), "published-code.md": published}


if __name__ == "__main__":
    for page, text in made().items():
        (FOLDER / page).write_text(text, encoding="utf-8")
