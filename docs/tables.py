"""Rewrites the section "Tables" of docs/store.md from interdash/schema.sql: `.venv/bin/python docs/tables.py`."""

from pathlib import Path

from interdash.store import column_units, open_store

PAGE = Path(__file__).with_name("store.md")
FIRST = ("runs", "metrics", "phases", "samples", "networks", "units", "strengths", "order_strengths", "sample_epochs")
MARK = "\n### "


def cell(text: str) -> str:
    """Returns text that can stand in a table of Markdown."""
    return text.replace("|", "\\|")


def tables() -> str:
    """Returns one section for each table, with type, unit and meaning of every column."""
    store = open_store()
    columns = column_units(store)
    comments = dict(store.fetch("SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'store'"))
    store.close()
    text = ""
    for name in sorted(comments, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name)):
        text += f"{MARK}{name}\n\n{cell(comments[name])}\n\n| column | type | unit and meaning |\n|---|---|---|\n"
        for row in columns[columns["table_name"] == name].to_dict("records"):
            meaning = row["comment"] if isinstance(row["comment"], str) else ""
            text += f"| `{row['column_name']}` | {row['data_type'].lower()} | {cell(meaning)} |\n"
    return text


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text(encoding="utf-8").split(MARK)[0] + tables(), encoding="utf-8")
