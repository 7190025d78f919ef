"""The configuration of a run: one frozen dataclass, stored as JSON with the run. No torch, no files."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

MOST_BASELINES = 31  # that vote: each is a bit of `interactions.transfers`


@cache
def _choices(record: type) -> dict[str, list[str]]:
    """Returns the words that a field can be, of each field that is limited to some."""
    hints = [(name, part) for name, hint in get_type_hints(record).items() for part in (hint, *get_args(hint))]
    return {name: [*get_args(part)] for name, part in hints if get_origin(part) is Literal}


class _Checked:
    """A part of the configuration; a word that is none of its field's choices is refused as it is made or read."""

    def __post_init__(self) -> None:
        for name, choices in _choices(type(self)).items():
            value = getattr(self, name)
            if isinstance(value, str) and value not in choices:
                raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}")


@dataclass(frozen=True)
class DataConfig:
    """What the networks are trained on."""

    dataset: str  # a name of datasets.DATASETS, or "user" for a run that brings its own data
    n_train: int
    n_test: int
    label_noise: float = 0.0  # share of training labels replaced by a uniformly drawn class
    seed: int = 0


@dataclass(frozen=True)
class NetworkConfig:
    """How the network is built."""

    architecture: str  # a name of networks.ARCHITECTURES, or "user"
    spec: str = ""  # user runs: "my_run.py:spec", the function that builds network and data


@dataclass(frozen=True)
class TrainingConfig(_Checked):
    """The recipe, the same for the target and the baseline networks."""

    optimizer: Literal["sgd", "adam", "user"] = "sgd"  # user: a run that interdash did not train
    learning_rate: float = 0.01
    momentum: float = 0.9  # sgd only
    batch_size: int = 32
    epochs: int = 64  # or steps: how many of what is counted
    checkpoints: Literal["log", "all"] | tuple[int, ...] = "log"  # recorded epochs; epoch 0 is the untrained network
    seed: int = 0
    unit: Literal["epoch", "step"] = "epoch"  # what is counted; a step is one batch


@dataclass(frozen=True)
class MaskingConfig(_Checked):
    """Which input variables are masked, and to what."""

    kind: str  # a name of kinds.KINDS
    n_variables: int = 10
    layout: Literal["central", "whole"] = "central"  # images: n patches of the central grid, or the whole image cut up
    patch: int = 4  # images: side of a patch in pixels
    baseline: Literal["mean", "zero", "token", "embedding", "learned", "user"] = "mean"  # mean: over training samples
    at: Literal["input", "first_activation"] = "input"
    samples_per_split: int = 50
    seed: int = 0


@dataclass(frozen=True)
class SplitConfig(_Checked):
    """How outputs are divided into AND and OR interactions; see `sparsify.sparse_split`."""

    kappa: float = 0.02
    zeta: Literal["sample", "mean"] = "sample"
    tie_break: float = 0.01
    tolerance: Literal["default", "tight"] = "default"


@dataclass(frozen=True)
class GeneralizationConfig(_Checked):
    """When an interaction is salient and when it generalizes; see `generalization`."""

    tau_rule: Literal["mean_output", "max_interaction"] = "mean_output"
    tau_factor: float = 0.03  # 0.05 is usual with max_interaction
    sign_test: bool = True
    baselines: int = 3  # baseline networks asked, at most; all figures are means over them
    vote: Literal["any", "majority"] = "majority"  # which interactions are called generalizable; no figure's mean

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.baselines <= MOST_BASELINES:
            raise ValueError(f"baselines is {self.baselines}; choose 1 to {MOST_BASELINES}")


@dataclass(frozen=True)
class PhaseConfig:
    """Where the third phase begins; see `phases.find_phases`. A run's own share is chosen on the page Dynamics too."""

    share: float = 0.5  # what is learned generalizes less than this share as well as at its best

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"the share is {self.share}; it must be between 0 and 1 (0.5 is usual)")


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns a configuration as JSON, or a part of it, in one level: {"training.seed": 0, …}."""
    settings: dict[str, Any] = {}
    for key, value in values.items():
        settings |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return settings


def setting(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what runs share that only the seed of their training, name and purpose tell apart, in one level."""
    return {key: value for key, value in flat(values).items() if key not in ("name", "purpose", "training.seed")}


def of_one_setting(configs: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Returns the places of configurations in groups of the same `setting`, in the order of their first."""
    groups: list[tuple[dict[str, Any], list[int]]] = []
    for place, values in enumerate(map(setting, configs)):
        group = next((places for known, places in groups if known == values), None)
        if group is None:
            groups.append((values, group := []))
        group.append(place)
    return [places for _, places in groups]


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides the numbers of a run."""

    name: str
    purpose: str  # one line
    data: DataConfig
    network: NetworkConfig
    masking: MaskingConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    generalization: GeneralizationConfig = field(default_factory=GeneralizationConfig)
    phases: PhaseConfig = field(default_factory=PhaseConfig)

    @property
    def is_of_user(self) -> bool:
        """Whether the run brings its own network or data."""
        return "user" in (self.network.architecture, self.data.dataset)

    def to_json(self) -> dict[str, Any]:
        """Returns the configuration as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RunConfig":
        """Returns the configuration that `to_json` wrote.

        Raises:
            ValueError: a field is unknown, missing or none of its choices; the message names it.
        """
        parts: dict[str, Any] = {
            name: part for name, part in get_type_hints(cls).items() if dataclasses.is_dataclass(part)
        }
        try:
            fields = {key: parts[key](**value) if key in parts else value for key, value in values.items()}
            if isinstance(epochs := fields["training"].checkpoints, list):
                fields["training"] = dataclasses.replace(fields["training"], checkpoints=tuple(epochs))
            return cls(**fields)
        except (TypeError, KeyError) as error:
            raise ValueError(
                f"the run's configuration does not fit this version of interdash: {error}; "
                "open the run with the version that recorded it"
            ) from error
