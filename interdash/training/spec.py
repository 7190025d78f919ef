"""What a run is made from: the function that builds the network, the data and the variables. A user's is a Python file.

Code runs only from a file that the user names (`my_run.py:spec`), or from the file recorded with a run while it still
has the recorded SHA-256. Nothing is ever run from inside a folder of runs: a run copied from somebody else is data.
"""

import contextlib
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn

from interdash.config import MaskingConfig
from interdash.formulas.bootstrap import one_of_each_stratum
from interdash.masking import variables as makers
from interdash.masking.kinds import check_baseline, kind_of
from interdash.masking.rows import Rows, read_split, rows_of
from interdash.masking.several import Several, masked_input, together
from interdash.masking.variables import Explained, Variables
from interdash.training.loop import sample_losses

DEFAULT_FUNCTION = "spec"


@dataclass(frozen=True, eq=False)
class Spec:
    """What interdash must know of a run. A user's is made by the function that `my_run.py:spec` names.

    Attributes:
        network: builds the network, untrained; it maps inputs to class logits `[batch, classes]` (an output with a
            `.logits` attribute is fine too).
        train_inputs: `[samples, *input_shape]`, as the network reads them; or a `Dataset` or `DataLoader` of pairs
            (input, label), of which only the explained samples and a batch are in memory. Several inputs are a tuple or
            dict of tensors, the network's arguments.
        train_labels: the classes trained on, `[samples]`; None = those of the dataset.
        test_inputs: the same for the testing split.
        test_labels: the same for the testing split.
        variables: what is masked. A `MaskingConfig` for images `[..., height, width]` and tables `[features]`;
            `Variables` that fit every sample; or, for texts, a function from the explained inputs to `Variables` (a
            sample for which it raises ValueError, such as a short text, is passed over).
        class_names: one for each logit; the numbers if left out.
        train: `train(network, inputs, labels, seed)` trains a network in place to convergence. Only needed for
            `interdash baseline`, which calls it with the testing split. If it has a parameter `on_epoch`, it must call
            `on_epoch(epoch, network)` after each epoch, which records the losses and returns that on the testing split
            in nats, and return the epoch whose weights the network has at the end.
        columns: names of a table's columns.
        column_of_feature: the column of each input feature, if some (one-hot groups) share one.
        train_display: what the dashboard shows of each training sample: a list of words, or {column: value}.
        test_display: the same for the testing split.
        maskable: `maskable(inputs)` gives the rows of a split's inputs to draw from; all by default.
        begin: `begin(network, seed)` makes a new network, in place, what training begins with, such as pretrained.
        masked: of several inputs, place or name of the one whose variables are masked; the first if left out.
        true_train_labels: the labels without noise where some trained on are wrong and it is known which: the dashboard
            then marks and tells apart samples with a random label, as coherence does.

    Raises:
        ValueError: a split is empty, or inputs and labels do not belong together.
        TypeError: inputs or labels are no tensors.
    """

    network: Callable[[], nn.Module]
    train_inputs: Shaped[Tensor, "train ..."]  # of a dataset `rows.Rows`, which are indexed and split alike
    train_labels: Int[Tensor, " train"] | Any
    test_inputs: Shaped[Tensor, "test ..."]
    test_labels: Int[Tensor, " test"] | Any
    variables: MaskingConfig | Variables | Callable[[Tensor], Variables]
    class_names: Sequence[str] = ()
    train: Callable[..., object] | None = None
    columns: Sequence[str] = ()
    column_of_feature: Sequence[int] = ()
    train_display: Sequence[Any] = ()
    test_display: Sequence[Any] = ()
    maskable: Callable[[Tensor], Sequence[int] | Tensor] | None = None
    begin: Callable[[nn.Module, int], None] | None = None
    masked: int | str | None = None
    true_train_labels: Int[Tensor, " train"] | None = None

    def __post_init__(self) -> None:
        true = self.true_train_labels
        if true is not None and true.shape != self.train_labels.shape:
            raise ValueError(
                f"true_train_labels has the shape {tuple(true.shape)} beside {len(self.train_labels)} train_labels; "
                "pass one class number for each"
            )
        for split in ("train", "test"):
            names = f"{split}_inputs", f"{split}_labels"
            values = read_split(getattr(self, names[0]), getattr(self, names[1]), self.masked, names[0])
            for name, value in zip(names, values, strict=True):
                object.__setattr__(self, name, value)
            inputs, labels, display = (getattr(self, f"{split}_{what}") for what in ("inputs", "labels", "display"))
            for what, value in (("inputs", inputs), ("labels", labels)):
                if not isinstance(value, Tensor | Rows | Several):
                    raise TypeError(
                        f"{split}_{what} is a {type(value).__name__}; pass a torch.Tensor, such as torch.as_tensor(…)"
                    )
            if labels.ndim != 1 or labels.is_floating_point() or len(labels) != len(inputs) or len(inputs) == 0:
                raise ValueError(
                    f"{split}_labels is {labels.dtype} of shape {tuple(labels.shape)} for {len(inputs)} inputs; "
                    "pass one class number (an integer, as of labels.long()) for each input, and at least one"
                )
            if len(display) not in (0, len(inputs)):
                raise ValueError(f"{split}_display has {len(display)} entries for {len(inputs)} inputs; pass one each")

    def names_of_classes(self) -> list[str]:
        """Returns the names of the classes, their numbers if none are given."""
        if self.class_names:
            return [str(name) for name in self.class_names]
        return [str(i) for i in range(int(max(self.train_labels.max(), self.test_labels.max())) + 1)]

    def split(self, name: str) -> tuple[Tensor, Tensor, Sequence[Any]]:
        """Returns inputs, labels and what to display of the split "train" or "test"."""
        if name == "train":
            return self.train_inputs, self.train_labels, self.train_display
        return self.test_inputs, self.test_labels, self.test_display


def explained_samples(
    spec: Spec, samples_per_split: int = 50, seed: int = 0, network: nn.Module | None = None
) -> Explained:
    """Returns the samples to explain, drawn once from both splits, with their variables and baseline values.

    The first half comes from the training split, with the labels trained on; fewer where a split has no more. With the
    network as it ends, one from each of equal strata of the split, sorted by its loss, in random order; else at random.

    Raises:
        ValueError: the variables do not fit the data, or none of a split's samples can be masked.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = {split: _draw(spec, split, samples_per_split, generator, network) for split in ("train", "test")}
    rows = {split: of_split for split, (of_split, _) in drawn.items()}
    inputs = together([spec.split(split)[0][rows[split]] for split in rows])
    variables, true = _variables(spec, masked_input(inputs)), spec.true_train_labels
    if spec.train_display and spec.test_display:
        display = [spec.split(split)[2][row] for split in rows for row in rows[split]]
    else:
        display = kind_of(variables.kind).display(masked_input(inputs), variables)
    return Explained(
        inputs=inputs,
        labels=torch.cat([spec.split(split)[1][rows[split]] for split in rows]).long(),
        split=tuple(split for split in rows for _ in rows[split]),
        index=torch.tensor([row for split in rows for row in rows[split]]),
        variables=variables,
        display=display,
        stratum=tuple(each for _, strata in drawn.values() for each in strata),
        true_label=()
        if true is None
        else tuple(true[rows["train"]].tolist() + spec.test_labels[rows["test"]].tolist()),
    )


def _draw(
    spec: Spec, split: str, count: int, generator: torch.Generator, network: nn.Module | None
) -> tuple[list[int], list[int]]:
    """Returns at most `count` rows of a split, of those for which variables can be made, and their strata, if any."""
    inputs, labels, _ = spec.split(split)
    every = torch.as_tensor(torch.arange(len(inputs)) if spec.maskable is None else spec.maskable(inputs))
    rows, refusal = [], ValueError("there is none to draw from")
    for row in every[torch.randperm(len(every), generator=generator)].tolist():
        if len(rows) == count and network is None:
            break
        try:
            if callable(spec.variables):
                spec.variables(masked_input(inputs[row : row + 1]))
            rows.append(row)
        except ValueError as error:
            refusal = error
    if not rows:
        raise ValueError(f"none of {len(inputs)} samples can be masked: {refusal}") from refusal
    if network is None:
        return rows, []
    losses, _ = sample_losses(network, rows_of(inputs, rows), labels[rows].long())
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    drawn = one_of_each_stratum(losses.numpy(), count, rng)
    order = rng.permutation(len(drawn))
    return [rows[i] for i in drawn[order]], order.tolist()


def _variables(spec: Spec, inputs: Tensor) -> Variables:
    """Returns the variables of the explained inputs."""
    if not isinstance(spec.variables, MaskingConfig):
        return spec.variables(inputs) if callable(spec.variables) else spec.variables
    if (make := kind_of(spec.variables.kind).variables) is None:
        raise ValueError(
            f"a MaskingConfig of kind {spec.variables.kind!r} cannot make the variables of your own data; pass a "
            "function from the inputs to Variables, such as interdash.masking.variables.text_variables(…), instead"
        )
    check_baseline(spec.variables)
    return make(spec.variables, spec, makers)


def masking_config(spec: Spec, explained: Explained, samples_per_split: int, seed: int) -> MaskingConfig:
    """Returns the masking as it is recorded with the run; baseline "user" where the spec brings its own values."""
    config, variables = spec.variables, explained.variables
    if not isinstance(config, MaskingConfig):
        kind = kind_of(variables.kind)
        id_of_mask = int(variables.baseline.min()) if len(kind.baselines) > 1 else 0  # below −1: an embedding
        baseline: Any = "user" if kind.variables else kind.baselines[max(0, -1 - id_of_mask)]
        config = MaskingConfig(variables.kind, baseline=baseline, seed=seed)
    n = variables.n_variables
    return replace(config, n_variables=n, at=variables.at, samples_per_split=samples_per_split)


def spec_text(function: Callable[[], Spec]) -> str:
    """Returns "path/my_run.py:function" for a function of a Python file; "" for one of a notebook or inside another."""
    file = inspect.getsourcefile(function) if inspect.isfunction(function) else None
    named = getattr(function, "__qualname__", "").isidentifier()
    return f"{Path(file).resolve()}:{function.__name__}" if file and named and Path(file).is_file() else ""


def split_text(text: str) -> tuple[Path, str]:
    """Returns the file and the function that "my_run.py:spec" names; the function is `spec` if left out.

    Raises:
        ValueError: it names no Python file and function.
        FileNotFoundError: there is no such file.
    """
    file, colon, function = text.rpartition(":")
    if not colon or function.endswith(".py"):
        file, function = text, DEFAULT_FUNCTION
    if not file.endswith(".py") or not function.isidentifier():
        raise ValueError(f"{text!r} names no spec; write it as my_run.py:spec, a Python file and a function in it")
    path = Path(file).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no spec file {path}; pass its path as in --spec path/my_run.py:{function}")
    return path, function


@contextlib.contextmanager
def naming(text: str) -> Iterator[None]:
    """Puts the spec's file and function in front of the message of a ValueError, where there is a file."""
    try:
        yield
    except ValueError as error:
        if not text or str(error).startswith(text):
            raise
        raise ValueError(f"{text}: {error}") from error


def file_hash(path: Path) -> str:
    """Returns the SHA-256 of a file, as hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_spec(text: str) -> Spec:
    """Returns the spec that "my_run.py:spec" names. Runs that file and that function, with global seeds restored.

    Raises:
        ValueError: the text names no function of a Python file, the file fails, or it returns something else.
        FileNotFoundError: there is no such file.
    """
    path, function = split_text(text)
    return _loaded(path, function, file_hash(path))


@lru_cache(maxsize=2)
def _loaded(path: Path, function: str, sha256: str) -> Spec:
    root, packages = path.parent, []
    while (
        root / "__init__.py"
    ).is_file():  # a spec inside a package may import from it, as in `from .model import Net`
        packages.insert(0, root.name)
        root = root.parent
    name = ".".join([*packages, f"interdash_spec_{sha256[:12]}"])
    source = importlib.util.spec_from_file_location(name, path)
    assert source is not None and source.loader is not None
    module = importlib.util.module_from_spec(source)
    sys.modules[name] = module  # dataclasses and pickling look there
    folders = [str(path.parent), str(root), str(Path.cwd())]  # as if it were run as a script, or by `python -m`
    sys.path[:0] = folders
    try:
        with torch.random.fork_rng(devices=[]):
            if packages:
                importlib.import_module(".".join(packages))
            source.loader.exec_module(module)
            spec = getattr(module, function)()
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        advice = (
            "put an empty __init__.py beside it" if "no known parent package" in str(error) else "run it to see where"
        )
        raise ValueError(f"{path}:{function} failed with {type(error).__name__}: {error}; {advice}") from error
    finally:  # at the end it shadows nothing, and what the spec's functions import later is still found
        for folder in folders:
            sys.path.remove(folder)
        sys.path.extend(folder for folder in dict.fromkeys(folders) if folder not in sys.path)
    if not isinstance(spec, Spec):
        raise ValueError(f"{path}:{function} returned a {type(spec).__name__}; it must return an interdash.Spec")
    return spec
