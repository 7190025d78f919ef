"""The study: built-in runs, what they show of the papers' claims, and docs/study.md. `make study` rebuilds it."""
