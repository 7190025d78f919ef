"""The spec of a LightningModule and its LightningDataModule."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from interdash.config import MaskingConfig, TrainingConfig
from interdash.masking.variables import Variables
from interdash.training.loop import train_to_convergence
from interdash.training.spec import Spec


def lightning_spec(
    module: Callable[[], Any],
    data: Any,
    variables: MaskingConfig | Variables | Callable[[Tensor], Variables],
    *,
    network: Callable[[Any], nn.Module] = lambda module: module,
    testing: Literal["validate", "test"] = "validate",
    class_names: Sequence[str] = (),
    train: TrainingConfig | Callable[..., object] | None = None,
) -> Spec:
    """Returns the spec of a Lightning training, whose `.ckpt` files fit as they are.

    Args:
        module: the LightningModule's class, or a function that builds one, untrained.
        data: a LightningDataModule, whose datasets give pairs (input, label), the same each time.
        variables: what is masked, see `Spec`.
        network: the part of the module that returns the class logits, such as `lambda module: module.net`; the module
            itself by default.
        testing: which loader is that of the testing split.
        class_names: one for each logit; the numbers if left out.
        train: the recipe of baseline networks, to convergence, or a function, see `Spec`.

    Raises:
        ValueError: the data module has several loaders for a split.
    """
    data.prepare_data()
    data.setup("fit")
    loaders = [data.train_dataloader()]
    if testing == "test":
        data.setup("test")
    loaders.append(data.test_dataloader() if testing == "test" else data.val_dataloader())
    for split, loader in zip(("train", testing), loaders, strict=True):
        if not hasattr(loader, "dataset"):
            raise ValueError(
                f"{type(data).__name__} gives a {type(loader).__name__} for {split}; expected one DataLoader: write a "
                "Spec with the dataset that is meant"
            )
    return Spec(
        network=lambda: network(module()),
        train_inputs=loaders[0],
        train_labels=None,
        test_inputs=loaders[1],
        test_labels=None,
        variables=variables,
        class_names=class_names,
        train=partial(train_to_convergence, config=train) if isinstance(train, TrainingConfig) else train,
    )
