"""Files of logs as rows of columns: tables, JSON, JSON lines, the Trainer's state, event files of TensorBoard."""

import ast
import bz2
import csv
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]
LEAVE_OUT = "leave --losses out, and they are computed from the spec's data"
CONVERTED = {  # what pandas can make of files of other kinds
    ".parquet": "pandas.read_parquet('{}')",
    ".feather": "pandas.read_feather('{}')",
    ".xlsx": "pandas.read_excel('{}')",
    ".npz": "pandas.DataFrame(dict(__import__('numpy').load('{}')))",
    ".pt": "pandas.DataFrame(__import__('torch').load('{}'))",
    ".yaml": "pandas.DataFrame(__import__('yaml').safe_load(open('{}')))",
    ".toml": "pandas.DataFrame(*__import__('tomllib').load(open('{}', 'rb')).values())",
}

NUMBER = r"[-+]?(\d[\d.,'’]*|\.\d+)(e[-+]?\d+)?\s*%?"
PAIR = re.compile(
    r"([A-Za-z][\w./-]*(?: [A-Za-z][\w./-]*)?)\s*[=:]\s*"
    r"([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+|nan|inf)(?:\s*%)?)(?![\w/]|\.\d)",
    re.IGNORECASE,
)
AT_EPOCH = re.compile(r"\bepoch\b\W{0,3}(\d+)", re.IGNORECASE)
DATE = r"\d{1,4}([.-])\d{1,2}\1\d{1,4}"


def words_of(name: str) -> list[str]:
    """Returns the words of a column's name, in lower case; of W&B's "run - column", the column's."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", str(name).rpartition(" - ")[2])
    return re.findall(r"[a-z]+1?", spaced.lower())


def read_rows(path: Path) -> list[Row]:
    """Returns a log's rows, in its order, from a text or from the event files of TensorBoard."""
    return _events(path) if path.is_dir() or "tfevents" in path.name else _text(path)


def _way_out(path: Path) -> str:
    """Returns what goes on where a log cannot be read: a command that writes it as CSV, or no log."""
    code = CONVERTED.get(path.suffix.lower().replace(".yml", ".yaml"), "").format(path)
    csv = path.with_suffix(".csv")
    command = f"""python -c "import pandas; {code}.to_csv('{csv}', index=False)" and --losses {csv}"""
    return f"export it as CSV{f', with {command}' if code else ''}, or {LEAVE_OUT}"


def _text(path: Path) -> list[Row]:
    content = path.read_bytes()
    try:
        for start, module in {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ": lzma}.items():
            content = module.decompress(content) if content.startswith(start) else content
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}); expected a compressed text: copy it again") from error
    marks = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    likely = "utf-16-le" if content[1:2] == b"\0" else "utf-8-sig"
    encoding = next((name for mark, name in marks.items() if content.startswith(mark)), likely)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if not text.strip("\0 \r\n\t"):
        raise ValueError(f"{path} is empty; expected losses by epoch: name another file with --losses")
    if re.search(r"[\0-\x08\x0e-\x1f]", text):
        raise ValueError(
            f"{path} is no text but begins with {content[:8]!r}; expected a table or JSON: unpack it, {_way_out(path)}"
        )
    try:
        return _json(path, text) if text.lstrip()[0] in "[{" else _table(path, text)
    except (csv.Error, RecursionError) as error:
        raise ValueError(f"{path} is no table that can be read ({error}); expected CSV: {_way_out(path)}") from error


def _table(path: Path, text: str) -> list[Row]:
    """Returns the rows of a table: its head is the last line above the first one of numbers, comments left out."""
    if "\\begin{tabular" in text:
        text = re.sub(r"\\\\|\\[a-zA-Z]+(\[[^]]*\]|\{[^}]*\})*", "", text).replace("&", "\t").replace("\\", "")
    lines = [re.sub(r"^\s*\|(.*)\|\s*$", r"\1", line) for line in text.splitlines()]
    lines = [line for line in lines if not re.fullmatch(r"[-=+:|\s]*", line)]
    if rows := _pairs(lines):
        return rows
    plain = [line for line in lines if not line.lstrip().startswith(("#", "//"))]
    first = next((line for line in plain if _is_data(line)), None)
    above = lines[: lines.index(first)] if first else []
    heads = [line for line in above if line in plain] or [line.lstrip("#/ ") for line in above]
    if first is None or not heads:
        raise ValueError(
            f"{path} has "
            f"{f'no names of columns but {first!r}' if first else f'no rows of numbers but {lines[:2][-1]!r}'}; "
            "expected a table with a first line such as epoch,train_loss,test_loss and numbers below it: "
            f"{_way_out(path)}"
        )
    head, rows = heads[-1], [line for line in plain[plain.index(first) :] if line != heads[-1]]
    separator = max("\t;,|", key=head.count)
    if separator == "|":  # words around a table of Markdown
        rows = [line for line in rows if "|" in line]
    spaces = separator not in head
    if spaces:
        splits = [[re.split(gap, line.strip()) for line in [head, *rows]] for gap in (r"\s+", r"\s{2,}")]
        names, *table = next((cells for cells in splits if len({*map(len, cells)}) == 1), splits[0])
    else:
        names, *table = csv.reader([head, *rows], delimiter=separator, skipinitialspace=True)
    names = [f"{name.strip()}{f'.{i}' if name in names[:i] else ''}" for i, name in enumerate(names)]
    if odd := next((row for row in table if any(row[len(names) :]) or (spaces and len(row) < len(names))), None):
        raise ValueError(
            f"{path} has a row of {len(odd)} cells, {', '.join(odd[:5])}, below {len(names)} names of columns; "
            "expected as many: write decimal points, quote cells with commas in them, let no cell be empty where "
            f"spaces separate, or {LEAVE_OUT}"
        )
    return _with_points(path, [dict(zip(names, cells, strict=False)) for cells in table], comma=separator == ";")


def _pairs(lines: list[str]) -> list[Row]:
    """Returns rows of lines such as "Epoch 3: train_loss=0.2, val_loss: 0.4"; none if no more than half are such.

    A line without an epoch is of the last one that was named.
    """
    rows: list[Row] = []
    epoch: Row = {}
    count = 0
    for line in lines:
        row: Row = {match[1]: match[2] for match in PAIR.finditer(line)}
        if place := AT_EPOCH.search(line):
            epoch = {"epoch": place[1]}
        count += bool(row or place)
        rows += [row | epoch] if row else []
    return rows if 2 * count > len(lines) else []


def _is_data(line: str) -> bool:
    """Returns whether most cells of a line are numbers."""
    for separator in (r"\t", ";", r"\|", ",", r"\s+"):
        cells = [cell.strip(" \"'") for cell in re.split(separator, line) if cell.strip(" \"'")]
        numbers = [
            cell for cell in cells if re.fullmatch(rf"{NUMBER}|[-+]?(nan|inf|none|null|na)|-", cell, re.IGNORECASE)
        ]
        if 2 * len(numbers) > len(cells):
            return True
    return False


def _with_points(path: Path, rows: list[Row], *, comma: bool) -> list[Row]:
    """Returns the same with numbers written as in Python: decimal points, no marks of thousands.

    `comma`: whether 1,002 is 1.002 where nothing else tells.
    """
    every = {cell.strip() for row in rows for cell in row.values() if isinstance(cell, str)}
    cells = {cell for cell in every if re.fullmatch(NUMBER, cell) and not re.fullmatch(DATE, cell)}
    grouped = {
        mark: re.compile(rf"[-+]?[1-9]\d{{0,2}}([{mark}]\d{{3}})+([{other}]\d*)?") for mark, other in (",.", ".,")
    }
    commas, points = (sorted(cell for cell in cells if mark in cell) for mark in ",.")
    both = [cell for cell in commas if "." in cell]
    if both:
        decimal = max(",.", key=both[0].rfind)
    elif any(not grouped[","].fullmatch(cell) for cell in commas):
        decimal = ","
    elif commas and all(grouped["."].fullmatch(cell) for cell in points):  # perhaps none
        decimal = "," if comma else ""
    else:
        decimal = "."
    other = {",": ".", ".": ",", "": ",."}[decimal]
    if odd := [
        cell for cell in sorted(cells) if {*other} & {*cell} and not (decimal and grouped[other].fullmatch(cell))
    ]:
        beside = (
            f"beside {next(cell for cell in sorted(cells) if decimal in cell)!r}"
            if decimal
            else "which may be 1 or 1000"
        )
        raise ValueError(
            f"{path} has the number {odd[0]!r} {beside}; expected one way of writing numbers: write them with a "
            "decimal point and without marks of thousands"
        )

    def plain(cell: Any) -> Any:
        if not isinstance(cell, str) or cell.strip() not in cells:
            return cell
        return re.sub(r"(?<=\d)['’](?=\d)", "", cell).replace(other, "").replace(decimal, ".")

    return [{name: plain(cell) for name, cell in row.items()} for row in rows]


def _json(path: Path, text: str) -> list[Row]:
    try:
        return _records(path, json.loads(text))
    except json.JSONDecodeError:
        rows = []
        for number, line in enumerate(filter(str.strip, text.splitlines()), start=1):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                try:
                    rows.append(ast.literal_eval(line))  # a dict as Python prints it
                except (ValueError, SyntaxError):
                    raise ValueError(
                        f"{path}, line {number} is no JSON ({error}); expected JSON lines, or a table with a head: "
                        f"delete or correct that line, or {_way_out(path)}"
                    ) from error
        return _records(path, rows)


def _records(path: Path, data: Any) -> list[Row]:
    """Returns the rows in JSON: a list of them, columns of values, or rows by epoch."""
    if isinstance(data, dict):
        inner = {str(key): value for key, value in data.items() if isinstance(value, dict)}
        tables = {
            key: part for key, part in data.items() if isinstance(part, list) and part and isinstance(part[0], dict)
        }
        if len(tables) == len(data) > 1:  # one of each split
            return _records(path, [{"split": key, **row} for key, part in tables.items() for row in part])
        for part in (data.get("log_history"), data.get("history"), *(tables.values() if len(tables) == 1 else ())):
            if isinstance(part, dict | list):
                return _records(path, part)
        if inner and all(re.fullmatch(r"(epoch)?[-_ ]*\d+", key.lower()) for key in data):
            return [{"epoch": re.sub(r"\D", "", key)} | _flat(value) for key, value in inner.items()]
        if inner and all(str(key).isdecimal() for value in inner.values() for key in value):  # as pandas writes it
            keys = list(dict.fromkeys(key for value in inner.values() for key in value))
            return [{name: value.get(key) for name, value in inner.items()} for key in keys]
        lists = {key: value for key, value in _flat(data).items() if isinstance(value, list)}
        if lists:
            return [
                {key: values[i] for key, values in lists.items() if i < len(values)}
                for i in range(max(map(len, lists.values())))
            ]
        data = [data]
    if isinstance(data, list) and data and all(isinstance(row, list) for row in data) and _are_names(data[0]):
        data = [dict(zip(data[0], row, strict=False)) for row in data[1:]]
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        flat = [_flat(row) for row in data]
        return [{key: value for key, value in row.items() if not isinstance(value, list)} for row in flat]
    raise ValueError(
        f"{path} holds no rows but a {type(data).__name__}; expected a list of {{epoch, train_loss, test_loss}}: name "
        f"another file with --losses, or {LEAVE_OUT}"
    )


def _are_names(row: list[Any]) -> bool:
    return all(isinstance(name, str) for name in row)


def _flat(row: Mapping[str, Any], path: str = "") -> Row:
    flat: Row = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{path}{key}/")
        elif not isinstance(value, bool):
            flat[f"{path}{key}"] = value
    return flat


def _events(path: Path) -> list[Row]:
    """Returns a row for each scalar in the event files of a file or of a folder and those in it, in order of time.

    Scalars of folders inside are called folder/tag, unless there is only one folder.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        raise ImportError(
            f"reading {path} needs the package tensorboard: `pip install 'interdash[tensorboard]'`, or give a CSV file"
        ) from error
    files = [path] if path.is_file() else sorted(path.rglob("*tfevents*"))
    if not files:
        raise ValueError(f"{path} holds no event files of TensorBoard; name a file or the folder that holds them")
    rows: list[tuple[float, Row]] = []
    accumulated = []
    for file in files:  # one by one: what a training wrote again after a restart comes later and counts
        events = EventAccumulator(str(file), size_guidance={"scalars": 0}, purge_orphaned_data=False)  # 0: all of them
        events.Reload()
        if events.Tags()["scalars"]:
            accumulated.append((file.parent, events))
    single = len({folder for folder, _ in accumulated}) == 1
    for folder, events in accumulated:
        inside = "" if single or folder == path else f"{folder.relative_to(path).as_posix()}/"
        for tag in events.Tags()["scalars"]:
            name = tag if words_of(tag) == ["epoch"] else inside + tag
            rows += [(event.wall_time, {"step": event.step, name: float(event.value)}) for event in events.Scalars(tag)]
    rows.sort(key=lambda row: row[0])
    return [row for _, row in rows]
