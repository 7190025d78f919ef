"""Where checkpoints come from: built-in runs, the user's own, recorded or imported."""
