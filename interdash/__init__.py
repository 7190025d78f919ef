"""interdash: what a network learned at each epoch, as AND-OR interactions, and which part of it generalizes.

The public names are imported when first used, so that `import interdash` loads neither torch nor anything else heavy.
"""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interdash.config import MaskingConfig as MaskingConfig
    from interdash.explanation import explain as explain
    from interdash.formulas.interactions import and_interactions as and_interactions
    from interdash.formulas.interactions import or_interactions as or_interactions
    from interdash.formulas.phases import find_phases as find_phases
    from interdash.importing.checkpoints import import_checkpoints as import_checkpoints
    from interdash.masking.variables import Variables as Variables
    from interdash.masking.variables import image_variables as image_variables
    from interdash.masking.variables import point_variables as point_variables
    from interdash.masking.variables import series_variables as series_variables
    from interdash.masking.variables import table_variables as table_variables
    from interdash.masking.variables import text_variables as text_variables
    from interdash.paper.notebook import open_run as open_run
    from interdash.paper.notebook import show as show
    from interdash.pipeline import extract_and_label as extract_and_label
    from interdash.solver.sparsify import sparse_split as sparse_split
    from interdash.store.database import open_store as open_store
    from interdash.training.callbacks import lightning_callback as lightning_callback
    from interdash.training.callbacks import trainer_callback as trainer_callback
    from interdash.training.lightning_spec import lightning_spec as lightning_spec
    from interdash.training.recorder import Recorder as Recorder
    from interdash.training.spec import Spec as Spec

_PUBLIC = {  # name: its module
    "MaskingConfig": "config",
    "Recorder": "training.recorder",
    "Spec": "training.spec",
    "Variables": "masking.variables",
    "and_interactions": "formulas.interactions",
    "explain": "explanation",
    "extract_and_label": "pipeline",
    "find_phases": "formulas.phases",
    "image_variables": "masking.variables",
    "import_checkpoints": "importing.checkpoints",
    "lightning_callback": "training.callbacks",
    "lightning_spec": "training.lightning_spec",
    "open_run": "paper.notebook",
    "open_store": "store.database",
    "or_interactions": "formulas.interactions",
    "point_variables": "masking.variables",
    "series_variables": "masking.variables",
    "show": "paper.notebook",
    "sparse_split": "solver.sparsify",
    "table_variables": "masking.variables",
    "text_variables": "masking.variables",
    "trainer_callback": "training.callbacks",
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


class _Moved:
    """Is asked last for a module: says where one called so lies now."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        parent, _, module = name.rpartition(".")
        for place in Path(__file__).parent.glob(f"*/{module}.py") if parent == __name__ else ():
            public = [key for key, home in _PUBLIC.items() if home == f"{place.parent.name}.{module}"]
            raise ModuleNotFoundError(
                f"there is no module {name}; import interdash.{place.parent.name}.{module}"
                + (f", or its public names: from interdash import {', '.join(public)}" if public else ""),
                name=name,
            )


sys.meta_path.append(_Moved)  # pyright: ignore[reportArgumentType]
