"""One question, one function, one DataFrame."""
