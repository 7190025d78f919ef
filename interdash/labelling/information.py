"""The table `information`: what the answers of the target say of the class when only some variables are kept.

Experimental, after GIB; see `formulas.theories.information`. Measured on demand at recorded epochs, each stored as soon
as it is done: 2n + 1 passes of each sample.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property

import pyarrow as pa
import torch

from interdash.formulas.theories.information import Synergy, synergy
from interdash.labelling.on_demand import measured, stored
from interdash.masking.outputs import masked_logits
from interdash.masking.variables import Explained
from interdash.runs.parts import LABELLING, digest
from interdash.runs.plan import unit_key
from interdash.runs.run import Run
from interdash.training.loop import one_thread, seconds_by_samples
from interdash.training.network_of_run import network_builder, spec_of_run
from interdash.training.spec import explained_samples

SAMPLES = 2000  # of each split, where there are so many
TABLES = ("information",)
SCHEMA = pa.schema(
    {"epoch": pa.int32(), "split": pa.string(), "samples": pa.int32()}
    | dict.fromkeys(("joint", "single", "rest", "synergy", "synergy_low", "synergy_high"), pa.float64())
    | dict.fromkeys(("floor", "floor_low", "floor_high"), pa.float64())
)


@dataclass(frozen=True)
class Work:
    """Whose answers are looked at, when and where."""

    run: Run
    epochs: tuple[int, ...] = ()  # recorded ones; none = all
    device: str = "cpu"
    spec: str | None = None  # "my_run.py:spec" of a user's run; None = as recorded
    samples: int = SAMPLES

    @cached_property
    def drawn(self) -> Explained:
        """The samples of both splits, with their variables: as those that are explained."""
        spec = spec_of_run(self.run, self.spec)
        return explained_samples(spec, self.samples, self.run.config.masking.seed)

    def key(self, epoch: int) -> str:
        """Returns a hash of all that decides the numbers of an epoch."""
        return digest(unit_key(self.run, "target", epoch), self.samples, LABELLING)

    def left(self) -> list[int]:
        """Returns the epochs that are not measured yet.

        Raises:
            ValueError: one that is wanted is not recorded.
        """
        recorded, known = self.run.checkpoint_epochs("target"), stored(self.run, TABLES)[1]
        if missing := sorted({*self.epochs} - {*recorded}):
            raise ValueError(f"epoch {missing[0]} of {self.run.name} has no checkpoint; choose of {recorded}")
        return [each for each in sorted(self.epochs) or recorded if known.get(str(each)) != self.key(each)]


@dataclass(frozen=True)
class Estimate:
    """What is left to measure and what it costs on this machine."""

    epochs: int
    samples: int  # of both splits
    forward_passes: int
    seconds: float

    def __str__(self) -> str:
        """One line for people."""
        if not self.epochs:
            return "nothing, all epochs are measured"
        of = f"{self.epochs} epochs, {self.samples:,} samples"
        return f"{of}, {self.forward_passes:,} forward passes, about {self.seconds:,.0f} s"


def estimate(work: Work) -> Estimate:
    """Returns what the missing epochs will cost, from probes of the last of them."""
    left, count, seconds = work.left(), 0, 0.0
    if left:
        count = len(work.drawn)
        some = cache(lambda samples: replace(work, samples=samples))
        seconds = seconds_by_samples(lambda samples: measure_epoch(some(samples), left[-1]), count // 2)
    passes = len(left) * count * (2 * work.run.config.masking.n_variables + 1)
    return Estimate(len(left), count, passes, len(left) * seconds)


def measure_epoch(work: Work, epoch: int) -> pa.Table:
    """Returns the rows of the table at an epoch, one a split."""
    network = network_builder(work.run, work.spec)()
    network.load_state_dict(work.run.load_checkpoint("target", epoch))
    drawn, n = work.drawn, work.run.config.masking.n_variables
    every = 2**n - 1
    subsets = [every, *(1 << i for i in range(n)), *(every ^ 1 << i for i in range(n))]
    with one_thread():
        logits = masked_logits(network, drawn.inputs, drawn.variables, subsets, device=work.device)
    answers, rows = logits.argmax(2).numpy(), []
    for split in ("train", "test"):
        of = torch.tensor([name == split for name in drawn.split]).numpy()
        labels, here = drawn.labels.numpy()[of], answers[:, of]
        found: Synergy = synergy(labels, here[0], here[1 : 1 + n], here[1 + n :])
        rows.append(dict(zip(SCHEMA.names, (epoch, split, int(of.sum()), *found), strict=True)))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def measure_information(work: Work, *, progress: Callable[[int, int], None] | None = None) -> int:
    """Returns how many epochs were measured: those that are left, each stored as soon as it is done.

    `progress` is called with epochs done and in all.

    Raises:
        ValueError: an epoch is not there, or see `spec_of_run`.
    """
    return measured(work, TABLES, lambda epoch: {"information": measure_epoch(work, epoch)}, progress)
