"""The sparse split into AND and OR interactions, with its certificate."""
