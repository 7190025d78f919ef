"""Several inputs of one network, of which one is masked and the others are given along as they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

Argument: TypeAlias = int | str  # its place in a tuple, or its name


@dataclass(frozen=True, eq=False)
class Several:
    """Tensors `[samples, …]` by argument: indexed, split and moved as the masked one alone is, whose shape it has."""

    tensors: dict[Argument, Tensor]
    of_masked: Argument

    @property
    def masked(self) -> Tensor:
        """The input whose variables are masked."""
        return self.tensors[self.of_masked]

    @property
    def shape(self) -> torch.Size:
        """That of the masked input."""
        return self.masked.shape

    @property
    def ndim(self) -> int:
        """That of the masked input."""
        return self.masked.ndim

    @property
    def dtype(self) -> torch.dtype:
        """That of the masked input."""
        return self.masked.dtype

    @property
    def device(self) -> torch.device:
        """That of the masked input."""
        return self.masked.device

    def __len__(self) -> int:
        return len(self.masked)

    def __getitem__(self, rows: Any) -> "Several":
        return self._each(lambda tensor: tensor[rows])

    def to(self, device: torch.device | str) -> "Several":
        """Returns the inputs on a device."""
        return self._each(lambda tensor: tensor.to(device))

    def clone(self) -> "Several":
        """Returns a copy."""
        return self._each(torch.clone)

    def split(self, size: int) -> Iterator["Several"]:
        """Yields the inputs, `size` at a time."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def is_floating_point(self) -> bool:
        """Returns whether the masked input is real numbers."""
        return self.masked.is_floating_point()

    def with_masked(self, batch: Tensor) -> "Several":
        """Returns inputs with masked versions of each sample, as many of each, one after another."""
        repeats = len(batch) // len(self)
        others = self._each(lambda tensor: tensor.repeat_interleave(repeats, 0).to(batch.device)).tensors
        return replace(self, tensors={**others, self.of_masked: batch})

    def arguments(self) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Returns the inputs as a network takes them: in their places, or by name."""
        places = tuple(tensor for name, tensor in self.tensors.items() if isinstance(name, int))
        return places, {name: tensor for name, tensor in self.tensors.items() if isinstance(name, str)}

    def _each(self, change: Any) -> "Several":
        return replace(self, tensors={name: change(tensor) for name, tensor in self.tensors.items()})


def several(inputs: Any, of_masked: Argument | None, what: str) -> Any:
    """Returns a tuple or dict of tensors as `Several`; anything else as it is.

    `of_masked` is the one that is masked, the first if left out; `what` is what messages call the inputs.

    Raises:
        ValueError: one is no tensor, none is called so, or they are not of as many samples.
    """
    if not isinstance(inputs, tuple | Mapping):
        return inputs
    tensors: dict[Any, Any] = dict(inputs) if isinstance(inputs, Mapping) else dict(enumerate(inputs))
    wrong = [
        f"{name!r} is a {type(tensor).__name__}" for name, tensor in tensors.items() if not torch.is_tensor(tensor)
    ]
    if wrong or not tensors:
        names = wrong[0] if wrong else "there is none"
        raise ValueError(f"of the {what}, {names}; expected a tensor for each argument of the network")
    masked: Argument = next(iter(tensors)) if of_masked is None else of_masked
    if masked not in tensors:
        raise ValueError(f"no input of the {what} is called {masked!r}; choose one of {[*tensors]} as masked=…")
    if len({len(tensor) for tensor in tensors.values()}) > 1:
        counts = ", ".join(f"{name!r}: {len(tensor)}" for name, tensor in tensors.items())
        raise ValueError(f"the {what} are not of as many samples ({counts}); pass one of each for every sample")
    return Several(tensors, masked)


def masked_input(inputs: Any) -> Any:
    """Returns the input that is masked: of several that one, else the only one."""
    return inputs.masked if isinstance(inputs, Several) else inputs


def together(parts: Sequence[Any], join: Any = torch.cat) -> Any:
    """Returns some inputs as one, one after another; `join` as `torch.cat` or `torch.stack`."""
    if not isinstance(parts[0], Several):
        return join(list(parts))
    return replace(parts[0], tensors={name: join([part.tensors[name] for part in parts]) for name in parts[0].tensors})


def taking_several(network: nn.Module) -> nn.Module:
    """Returns the same network, which now takes `Several` as its arguments."""

    def spread(module: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return inputs[0].arguments() if inputs and isinstance(inputs[0], Several) else (inputs, options)

    network.register_forward_pre_hook(spread, with_kwargs=True, prepend=True)
    return network
