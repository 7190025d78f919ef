"""A run on disk: its files, samples, parts and how far it is."""
