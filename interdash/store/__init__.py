"""From labels to DuckDB; the only package that opens it."""
