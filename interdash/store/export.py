"""All tables of a store as files, for anyone's own tools: Parquet and CSV, with the unit of every column. No torch."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa

from interdash.store.database import TABLES, Store


def column_units(store: Store) -> pd.DataFrame:
    """Returns one row for each column: table_name, column_name, data_type, comment (its unit and meaning)."""
    sql = (
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() "
        "WHERE database_name = current_database() AND NOT internal ORDER BY table_name, column_index"
    )
    if store.ask(sql)["comment"].isna().to_numpy().all():
        store.describe()
    return store.ask(sql)


def export_tables(store: Store, folder: Path) -> list[Path]:
    """Returns the files written: each table as Parquet and CSV, and `columns.csv` with the unit of every column.

    Rows go through in batches; of a lazy store the long tables go from file to file, one label unit after the other.
    """
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    units = column_units(store)
    written = []
    for name in TABLES:
        comments = units[units["table_name"] == name].set_index("column_name")["comment"]
        with store.cursor() as cursor:
            plain = cursor.sql(f"FROM {store.place(name)} LIMIT 0").to_arrow_table().schema
            schema = pa.schema([f.with_metadata({"unit": str(comments.get(f.name) or "")}) for f in plain])
            flat = pa.schema([(f.name, _flat(pa.nulls(0, f.type)).type) for f in plain])
            paths = [folder / f"{name}.{kind}" for kind in ("parquet", "csv")]
            options = {"compression": "zstd", "write_page_checksum": True}
            with pq.ParquetWriter(paths[0], schema, **options) as parquet, pa_csv.CSVWriter(paths[1], flat) as csv:
                for table in store.rows(cursor, name):
                    rows = table.select(schema.names).cast(schema)
                    parquet.write_table(rows)
                    csv.write_table(pa.table([_flat(column) for column in rows.columns], names=flat.names).cast(flat))
        written += paths
    units[units["table_name"].isin(TABLES)].to_csv(folder / "columns.csv", index=False)
    return [*written, folder / "columns.csv"]


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Returns a column that CSV can hold: lists as JSON, bytes as hex."""
    if pa.types.is_list(column.type):
        texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in column.to_pylist()]
        return pa.array(texts, pa.string())
    if pa.types.is_binary(column.type):
        return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())
    return column
