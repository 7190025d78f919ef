"""Verification, retention and archives of runs."""
