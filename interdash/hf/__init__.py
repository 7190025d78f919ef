"""Specs of Hugging Face models: `interdash.hf.classifier_spec`, `image_spec` and `causal_spec`, a line each.

The model stays of its own class, so that its checkpoints fit as they are; padding is told apart by ids below 0.
"""

from interdash.hf.causal import causal_spec as causal_spec
from interdash.hf.classifiers import classifier_spec as classifier_spec
from interdash.hf.classifiers import image_spec as image_spec
