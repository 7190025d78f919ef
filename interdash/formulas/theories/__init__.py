"""Formulas of neighbouring theories, and of where they agree."""
