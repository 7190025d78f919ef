"""Specs of Hugging Face models. The model stays of its own class, so that its checkpoints fit as they are."""
