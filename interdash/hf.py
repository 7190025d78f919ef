"""Hugging Face models, a line each: `interdash.hf.classifier_spec`, `image_spec`, `causal_spec`; masked embeddings."""

from interdash.training.hf.causal import causal_spec as causal_spec
from interdash.training.hf.classifiers import classifier_spec as classifier_spec
from interdash.training.hf.classifiers import image_spec as image_spec
from interdash.training.hf.learned_mask import learned_mask_embedding as learned_mask_embedding
