"""Numbers in, numbers out: no run, no table, no page."""
