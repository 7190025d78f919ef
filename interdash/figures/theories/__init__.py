"""Charts of what neighbouring theories say of a run, a module each; the catalogue takes those that are here."""
