"""Checkpoints and logs as tools write them, made into a run."""
