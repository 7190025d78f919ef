"""Checkpoint files that would run code: twenty ways, each inert, and the tensors beside them read all the same."""

import argparse
import collections
import contextlib
import functools
import io
import operator
import os
import pickle
import runpy
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from interdash.importing.inert_pickle import Inert, number, read_content, stubs
from interdash.importing.weights import find_weights


class Reduced:
    """An object whose pickle calls a function: function(*args), then what its state, items and entries say."""

    def __init__(self, function: Any, args: tuple, state: Any = None, items: Any = None, entries: Any = None) -> None:
        self.parts = (function, args, state, items, entries)

    def __reduce__(self) -> tuple:
        function, args, state, items, entries = self.parts
        return function, args, state, iter(items) if items else None, iter(entries) if entries else None


class Setting:  # __setstate__ that runs code; the stub has none
    def __setstate__(self, state: str) -> None:
        Path(state).touch()

    def __getstate__(self) -> str:
        return os.environ["PWNED"]


class Filling(dict):
    def __setitem__(self, key: str, value: str) -> None:
        Path(value).touch()

    def __reduce__(self) -> tuple:
        return Filling, (), None, None, iter({"key": os.environ["PWNED"]}.items())


class Growing(list):
    def append(self, value: str) -> None:
        Path(value).touch()

    def extend(self, values: Any) -> None:
        for value in values:
            self.append(value)

    def __reduce__(self) -> tuple:
        return Growing, (), None, iter([os.environ["PWNED"]]), None


class Creating:  # NEWOBJ: __new__ with arguments
    def __new__(cls, path: str = "") -> "Creating":
        if path:
            Path(path).touch()
        return super().__new__(cls)

    def __getnewargs__(self) -> tuple:
        return (os.environ["PWNED"],)


class CreatingWithNames(Creating):  # NEWOBJ_EX
    def __getnewargs_ex__(self) -> tuple:
        return (), {"path": os.environ["PWNED"]}


def touch() -> Reduced:
    return Reduced(os.system, (f"touch {os.environ['PWNED']}",))


def code() -> str:
    return f"__import__('pathlib').Path({os.environ['PWNED']!r}).touch()"


def script() -> str:
    path = Path(f"{os.environ['PWNED']}.py")
    path.write_text(code())
    return str(path)


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return nn.Linear(3, 2).state_dict()


def with_metadata(bad: Any) -> dict[str, Any]:
    state = collections.OrderedDict(weights())
    state._metadata = {"": {"version": bad}}  # pyright: ignore[reportAttributeAccessIssue]
    return state


def rebuilt_with(bad: Any, place: str) -> dict[str, Any]:
    tensor = weights()["weight"]
    hooks = collections.OrderedDict(hook=bad) if place == "hooks" else collections.OrderedDict()
    more = ({"conj": bad},) if place == "metadata" else ()
    storage = torch.storage.TypedStorage(wrap_storage=tensor.untyped_storage(), dtype=torch.float32, _internal=True)
    args = (storage, 0, (2, 3), (3, 1), False, hooks, *more)
    return weights() | {"weight": Reduced(torch._utils._rebuild_tensor_v2, args)}


CASES: dict[str, Callable[[], Any]] = {
    "reduce os.system": lambda: {"state_dict": weights(), "extra": touch()},
    "reduce eval": lambda: {"state_dict": weights(), "extra": Reduced(eval, (code(),))},
    "reduce exec": lambda: {"state_dict": weights(), "extra": Reduced(exec, (code(),))},
    "reduce subprocess": lambda: {
        "state_dict": weights(),
        "extra": Reduced(subprocess.check_call, (["touch", os.environ["PWNED"]],)),
    },
    "reduce a script": lambda: {"state_dict": weights(), "extra": Reduced(runpy.run_path, (script(),))},
    "partial": lambda: {
        "state_dict": weights(),
        "extra": Reduced(operator.call, (functools.partial(os.system, f"touch {os.environ['PWNED']}"),)),
    },
    "map that a list draws from": lambda: {
        "state_dict": weights(),
        "extra": Reduced(list, (Reduced(map, (os.system, [f"touch {os.environ['PWNED']}"])),)),
    },
    "build with __setstate__": lambda: {"state_dict": weights(), "extra": Setting()},
    "build after reduce": lambda: {"state_dict": weights(), "extra": Reduced(Setting, (), os.environ["PWNED"])},
    "entries of a dict": lambda: {"state_dict": weights(), "extra": Filling()},
    "items of a list": lambda: {"state_dict": weights(), "extra": Growing()},
    "new object": lambda: {"state_dict": weights(), "extra": Creating()},
    "new object with names": lambda: {"state_dict": weights(), "extra": CreatingWithNames()},
    "metadata of the state dict": lambda: with_metadata(touch()),
    "hooks of a tensor": lambda: rebuilt_with(touch(), "hooks"),
    "metadata of a tensor": lambda: rebuilt_with(touch(), "metadata"),
    "hyper-parameters": lambda: {
        "state_dict": weights(),
        "hyper_parameters": argparse.Namespace(lr=0.1, loss=touch()),
    },
    "optimizer": lambda: {
        "model": weights(),
        "optimizer": {"state": {0: {"step": touch()}}, "param_groups": [{"lr": Reduced(eval, (code(),))}]},
    },
    "factory of a defaultdict": lambda: {
        "state_dict": weights(),
        "extra": Reduced(collections.defaultdict, (Reduced(eval, (code(),)),)),
    },
    "key of a dict": lambda: {"state_dict": weights(), touch(): 1},
    "bytes within": lambda: {
        "state_dict": weights(),
        "extra": Reduced(torch.storage._load_from_bytes, (saved({"inner": touch()}),)),
    },
    "NumPy array of objects": lambda: {"state_dict": weights(), "best": np.array([touch()], dtype=object)},
    "the weights themselves": lambda: {"state_dict": touch()},
}


def saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("case", CASES)
def test_malicious_pickles_run_nothing(case: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwned = tmp_path / "pwned"
    monkeypatch.setenv("PWNED", str(pwned))
    path = tmp_path / "ckpt_1.pt"
    content = CASES[case]()
    if form == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    pwned.unlink(missing_ok=True)  # an object may run its code already as it is made

    content = read_content(path)
    if case == "the weights themselves":
        with pytest.raises(ValueError, match=r"ckpt_1\.pt holds no weights; expected a state dict"):
            find_weights(content, nn.Linear(3, 2), str(path))
    else:
        tensors = find_weights(content, nn.Linear(3, 2), str(path)).tensors
        assert all(torch.equal(tensors[name], value) for name, value in weights().items())
    assert not pwned.exists()

    with contextlib.suppress(RuntimeError):  # of torch, for tensors whose metadata are none
        torch.load(path, weights_only=False) if form != "pickle" else pickle.loads(path.read_bytes())
    assert pwned.exists()  # the file is as dangerous as meant


def test_stubs_keep_what_they_were_given(tmp_path: Path) -> None:
    content = {"args": argparse.Namespace(lr=0.1), "path": Path("/data"), "best": np.float64(0.93), "model": weights()}
    torch.save(content, tmp_path / "ckpt_1.pt")
    read = read_content(tmp_path / "ckpt_1.pt")
    assert isinstance(read["args"], Inert) and read["args"].state == {"lr": 0.1} and number(read["best"]) == 0.93
    assert {stub.name for stub in stubs(read)} >= {"argparse.Namespace", "pathlib.PosixPath"}
    assert [number(value) for value in (3, 2.5, torch.tensor(4), True, "5", "b")] == [3, 2.5, 4, None, 5, None]


@pytest.mark.parametrize("order", ["C", "F", "big-endian"])
def test_weights_as_numpy_arrays(order: str, tmp_path: Path) -> None:
    arrays = {name: value.numpy() for name, value in weights().items()}
    arrays["weight"] = (
        arrays["weight"].astype(">f4") if order == "big-endian" else np.array(arrays["weight"], order=order)
    )
    torch.save({"params": arrays}, tmp_path / "ckpt_1.pt")
    found = find_weights(read_content(tmp_path / "ckpt_1.pt"), nn.Linear(3, 2), "ckpt_1.pt")
    assert torch.equal(found.tensors["weight"], weights()["weight"]) and found.key == "params"


def test_scripts_and_whole_modules_need_trust(tmp_path: Path) -> None:
    path = tmp_path / "ckpt_1.pt"
    module = nn.Linear(3, 2)
    torch.save({"net": module}, path)
    with pytest.raises(
        ValueError, match=r"whole pickled module \(torch.nn.modules.linear.Linear\), .* add --trust, or save"
    ):
        find_weights(read_content(path), nn.Linear(3, 2), str(path))
    found = find_weights(read_content(path, trust=True), nn.Linear(3, 2), str(path))
    assert torch.equal(found.tensors["weight"], module.weight) and found.key == "net"
    with warnings.catch_warnings(action="ignore"):  # of its end in torch
        torch.jit.script(module).save(str(tmp_path / "script.pt"))
    with pytest.raises(ValueError, match=r"script.pt .*TorchScript.*--trust"):
        read_content(tmp_path / "script.pt")
