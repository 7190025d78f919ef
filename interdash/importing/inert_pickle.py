"""Checkpoint files read without running anything in them: tensors and plain values, and an inert stub for all else.

A pickle is a small program: it may name any function and have it called. Here a name outside `CALLS` becomes an
`Inert` stub, and to call, make or fill a stub only notes down with what.
"""

import io
import math
import pickle
import types
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._utils import _rebuild_tensor_v2, _rebuild_tensor_v3


class Inert:
    """What stands for an object whose class is not loaded.

    Attributes:
        name: the class or function, such as "argparse.Namespace".
        args: what it was to be called with; None for the class itself.
        state: what its attributes were to be.
        mapping: its entries, if it is a kind of dict.
    """

    def __init__(self, name: str, args: tuple[Any, ...] | None = None) -> None:
        self.name = name
        self.args = args
        self.state: Any = None
        self.mapping: dict[Any, Any] = {}

    def __setitem__(self, key: Any, value: Any) -> None:
        self.mapping[key] = value

    def append(self, value: Any) -> None:
        self.mapping[len(self.mapping)] = value

    def extend(self, values: list[Any]) -> None:
        for value in values:
            self.append(value)

    add = append


def _tensor(storage: Any, offset: int, size: Any, stride: Any, _: Any = None, __: Any = None, meta: Any = None) -> Any:
    plain = meta if isinstance(meta, dict) and all(isinstance(value, bool) for value in meta.values()) else None
    return _rebuild_tensor_v2(storage, offset, size, stride, False, {}, plain)


def _typed_tensor(
    storage: Any, offset: int, size: Any, stride: Any, _: Any, __: Any, dtype: Any, ___: Any = None
) -> Any:
    return _rebuild_tensor_v3(storage, offset, size, stride, False, {}, dtype)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _subclass(function: Any, _: Any, args: Any, __: Any = None) -> Any:
    return function(*args) if _is_safe(function) else Inert("torch.Tensor", tuple(args))


def _storage(content: Any) -> Any:
    return _load(io.BytesIO(_bytes(content)))


def _mapping(*args: Any) -> dict[Any, Any]:
    return dict(args[0]) if args and isinstance(args[0], dict | list) else {}


def _items(*args: Any) -> Any:
    return list(args[0]) if args and isinstance(args[0], list | tuple | set) else []


CALLS = {  # the only functions that are ever called
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch.storage._load_from_bytes": _storage,
    "torch.Size": _items,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda *_: {},
    "builtins.dict": _mapping,
    **{f"{module}.{name}": _items for module in ("builtins", "__builtin__") for name in ("set", "list", "tuple")},
}


FOREIGN = {  # how files of other kinds begin, and what goes on
    b"version https://git-lfs": "a pointer of Git LFS; expected the file itself: fetch it with `git lfs pull`",
    b"\x89HDF": "of HDF5, as Keras writes it; expected weights of PyTorch: save model.state_dict() with torch.save",
    b"\x1f\x8b": "compressed; expected the file itself: unpack it with `gunzip`",
    b"<": "a page of the web; expected the file itself: download it again",
}


def _is_safe(function: Any) -> bool:
    return isinstance(function, types.FunctionType) and any(function is call for call in CALLS.values())


class InertUnpickler(pickle._Unpickler):
    """The standard library's unpickler in Python, with each instruction that could run code made harmless."""

    stack: list[Any]

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        dtype = getattr(torch, name, None) if module == "torch" and name.isidentifier() else None
        return CALLS.get(full) or (dtype if isinstance(dtype, torch.dtype) else Inert(full))

    def load_reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = _called(self.stack[-1], args)

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        self.load_reduce()

    def load_build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Inert):
            self.stack[-1].state = state

    def _instantiate(self, klass: Any, args: Any) -> None:
        self.stack.append(_called(klass, tuple(args)))

    dispatch: Any = {  # noqa: RUF012
        **pickle._Unpickler.dispatch,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_reduce,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.BUILD[0]: load_build,
    }


def _called(function: Any, args: Any) -> Any:
    if _is_safe(function):
        return function(*args)
    name = function.name if isinstance(function, Inert) else type(function).__name__
    return Inert(name, args if isinstance(args, tuple) else (args,))


def _load(file: Any) -> Any:
    """Returns what a file of `torch.save` or of `pickle.dump` holds, with stubs for objects."""
    reader: Any = types.ModuleType("inert")
    reader.Unpickler = InertUnpickler
    reader.load = lambda file, **options: InertUnpickler(file, **options).load()
    start = file.read(2)
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.load(file, map_location="cpu", weights_only=False, pickle_module=reader)
        except Exception:
            if start[:1] != b"\x80":  # no bare pickle either
                raise
            file.seek(0)
            return InertUnpickler(file).load()


def read_content(path: Path, *, trust: bool = False) -> Any:
    """Returns what a file of safetensors, `torch.save` or `pickle.dump` holds: tensors on the CPU, stubs for objects.

    Args:
        path: the file.
        trust: unpickle it in the ordinary way, which runs what it asks for; for whole pickled modules.

    Raises:
        ValueError: the file is damaged, is no checkpoint, or holds a program of TorchScript.
    """
    with open(path, "rb") as file:
        start = file.read(40)
    if reason := next((words for mark, words in FOREIGN.items() if start.startswith(mark)), ""):
        raise ValueError(f"{path} is {reason}")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is damaged or no safetensors file: {error}; save it again") from error
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(
                f"{path} is damaged, or holds what are no arrays of numbers ({error}); expected weights alone: save "
                "np.savez(path, **{name: value.numpy() for name, value in model.state_dict().items()})"
            ) from error
    script = _is_script(path)
    if script and not trust:
        raise ValueError(
            f"{path} is a TorchScript program; expected a state dict: where you trust the file, add --trust, or save "
            "torch.jit.load(…).state_dict() with torch.save"
        )
    try:
        with open(path, "rb") as file:
            if script:
                return torch.jit.load(file, map_location="cpu").state_dict()
            return torch.load(file, map_location="cpu", weights_only=False) if trust else _load(file)
    except Exception as error:  # of a damaged file the unpickler may raise anything
        raise ValueError(
            f"{path} is damaged or no checkpoint of PyTorch (it begins with {start[:12]!r}; {type(error).__name__}); "
            "expected a file of torch.save, safetensors or npz: save model.state_dict() with torch.save, or copy it "
            "again"
        ) from error


def _is_script(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def number(value: Any) -> float | None:
    """Returns a finite number in a checkpoint, also as a text, a tensor or a NumPy scalar; None for anything else."""
    if isinstance(value, str):
        return float(value) if value.strip().isdecimal() else None
    tensor = value if isinstance(value, Tensor) else as_tensor(value)
    if tensor is not None:
        value = tensor.item() if tensor.numel() == 1 else None
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) else None


def as_tensor(value: Any) -> Tensor | None:
    """Returns the tensor that a stub of a NumPy array or scalar holds; None if it is none."""
    if not isinstance(value, Inert) or not value.name.startswith("numpy") or not value.args:
        return None
    try:
        match value.name.rpartition(".")[2]:
            case "scalar":
                dtype, content = value.args
                shape, order = (), "C"
            case "_reconstruct":
                shape, dtype, fortran, content = value.state[1:5]
                order = "F" if fortran else "C"
            case "_frombuffer":
                content, dtype, shape, order = value.args
            case _:
                return None
        array = np.frombuffer(_bytes(content), _dtype(dtype)).reshape(shape, order=order)
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    except (TypeError, ValueError, IndexError, AttributeError):
        return None


def _dtype(value: Inert) -> np.dtype:
    dtype = np.dtype(str((value.args or ("O",))[0]))
    if dtype.kind not in "biuf":
        raise TypeError(f"an array of {dtype} holds no numbers")
    order = value.state[1] if value.state else "="
    return dtype.newbyteorder(order if order in "<>=" else "=")


def _bytes(value: Any) -> bytes:
    if isinstance(value, Inert) and value.name == "_codecs.encode" and value.args:
        return str(value.args[0]).encode("latin1")
    if not isinstance(value, bytes | bytearray):
        raise TypeError(f"an array's content is a {type(value).__name__}")
    return bytes(value)


def stubs(content: Any) -> Iterator[Inert]:
    """Yields every stub in what a checkpoint file holds."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, str | bytes | int | float | Tensor):
            continue
        seen.add(id(value))
        if isinstance(value, Inert):
            yield value
            waiting += [value.args, value.state, value.mapping]
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += value
