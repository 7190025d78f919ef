"""Numbers in, numbers out: each formula once, with its source. No run, no table, no page."""
