"""Hugging Face models, a line each: `interdash.hf.classifier_spec`, `image_spec` and `causal_spec`."""

from interdash.training.hf.causal import causal_spec as causal_spec
from interdash.training.hf.classifiers import classifier_spec as classifier_spec
from interdash.training.hf.classifiers import image_spec as image_spec
