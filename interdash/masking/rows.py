"""The inputs of a `torch.utils.data.Dataset`, read when they are needed: of a large one only a batch is in memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from interdash.masking.several import masked_input, several

LABELS = ("labels", "label")  # of an item that is a dict
BATCH = 500  # samples at once, or fewer, so that they take at most BATCH_BYTES
BATCH_BYTES = 2**26


class Rows:
    """Inputs that are rows of a dataset: indexed, split and asked for their shape as a tensor `[samples, …]` is.

    Raises:
        ValueError: an item is no pair (input, label), or not the same when it is read again.
    """

    def __init__(self, dataset: Any, of_masked: Any = None) -> None:
        self.dataset, self.of_masked = dataset, of_masked
        read = self[:1]
        first, again = masked_input(read)[0], masked_input(self[:1])[0]
        if not torch.equal(first, again):
            raise ValueError(
                "item 0 of the dataset is another one each time it is read; expected the same inputs each time: leave "
                "out random transforms (crops, flips, noise), as for validation"
            )
        self.dtype = first.dtype
        self.shape = torch.Size((len(dataset), *first.shape))
        self.ndim, self.device = len(self.shape), first.device

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> Any:
        """Returns the input of a row, or those of several, `[rows, …]`: tensors, or `Several` of them."""
        if isinstance(rows, int):
            return self[[rows]][0]
        numbers = range(len(self))[rows] if isinstance(rows, slice) else torch.as_tensor(rows).tolist()
        items = [_item(self.dataset, row)[0] for row in numbers]
        if isinstance(items[0], Tensor):
            return torch.stack(items)
        names = items[0].keys() if isinstance(items[0], Mapping) else range(len(items[0]))
        stacked = {name: torch.stack([torch.as_tensor(item[name]) for item in items]) for name in names}
        return several(stacked, self.of_masked, "dataset's items")

    def split(self, size: int) -> Iterator[Any]:
        """Yields the inputs, `size` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def mean(self) -> Tensor:
        """Returns the mean input, in double precision."""
        parts = (masked_input(part).double().sum(0) for part in self.split(batch_size(self)))
        return cast(Tensor, sum(parts)) / len(self)

    def is_floating_point(self) -> bool:
        """Returns whether the inputs are real numbers."""
        return self.dtype.is_floating_point


def read_split(inputs: Any, labels: Any, of_masked: Any = None, what: str = "inputs") -> tuple[Any, Any]:
    """Returns inputs and labels of a split as a `Spec` keeps them: of a dataset its rows, of a dict `Several`.

    Labels that are left out are the dataset's `targets`, or are read once from all its items.
    """
    dataset = inputs.dataset if isinstance(inputs, DataLoader) else inputs
    if not isinstance(dataset, Dataset):
        return several(inputs, of_masked, what), labels
    rows = Rows(dataset, of_masked)
    if labels is None:
        targets = getattr(dataset, "targets", None)
        labels = [int(_item(dataset, i)[1]) for i in range(len(rows))] if targets is None else targets
    return rows, torch.as_tensor(labels)


def batch_size(inputs: Any) -> int:
    """Returns how many of some inputs are read at once, to know their losses or their mean."""
    return max(1, min(BATCH, BATCH_BYTES // (inputs.shape[1:].numel() * inputs.dtype.itemsize or 1)))


def rows_of(inputs: Any, rows: Sequence[int]) -> Any:
    """Returns some rows of a split's inputs, those of a dataset unread."""
    return Rows(Subset(inputs.dataset, rows), inputs.of_masked) if isinstance(inputs, Rows) else inputs[rows]


def _item(dataset: Any, row: int) -> tuple[Any, Any]:
    """Returns input and label of an item; of a dict its label is called so, and the rest are inputs."""
    item = dataset[row]
    if isinstance(item, Mapping) and (name := next((name for name in LABELS if name in item), None)):
        item = {key: value for key, value in item.items() if key != name}, item[name]
    if not isinstance(item, tuple | list) or len(item) != 2 or not isinstance(item[0], Tensor | tuple | list | Mapping):
        raise ValueError(
            f"item {row} of the dataset is a {type(item).__name__}; expected a pair (input, label), the input a "
            "tensor, or a tuple or dict of them: wrap the dataset in one whose items are such pairs"
        )
    return item[0], item[1]
