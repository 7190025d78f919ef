"""From a figure to a file for a paper."""
