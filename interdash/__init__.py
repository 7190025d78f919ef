"""interdash: what a network learned at each epoch, as AND-OR interactions, and which part of it generalizes.

The public names are imported when first used, so that `import interdash` loads neither torch nor anything else heavy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interdash.config import MaskingConfig as MaskingConfig
    from interdash.explanation import explain as explain
    from interdash.training.recorder import Recorder as Recorder
    from interdash.training.spec import Spec as Spec

_PUBLIC = {  # name: its module
    "MaskingConfig": "config",
    "Recorder": "training.recorder",
    "Spec": "training.spec",
    "explain": "explanation",
}


def __getattr__(name: str) -> Any:
    """Returns a public name from its module."""
    if name not in _PUBLIC:
        raise AttributeError(
            f"module 'interdash' has no attribute {name!r}; public names: {', '.join(sorted(_PUBLIC))}"
        )
    return getattr(importlib.import_module(f"interdash.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    """Returns the public names."""
    return sorted(_PUBLIC)
