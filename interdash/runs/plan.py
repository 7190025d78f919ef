"""The plan of a run: its units of work, and which labels are made from which of them. No torch.

Made once from what is recorded, and passed on. What it says of checkpoints, samples and rules stays as it was then;
which parts are there changes while others work, so `finished` and `missing` look at the folder each time.
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from interdash.config import RunConfig
from interdash.runs.files import DamagedFileError, baseline_number
from interdash.runs.parts import ALGORITHM, LABELLING, Unit, digest, finished
from interdash.runs.run import Run
from interdash.runs.tables import FORMAT

SAMPLES_PER_UNIT = 25


@dataclass(frozen=True)
class Plan:
    """The units of a run. Made by `plan`."""

    run: Run
    config: RunConfig
    units: tuple[Unit, ...]  # baselines first, of each only the last epoch; then the target by epoch
    problems: tuple[str, ...]  # checkpoints that cannot be used

    @cached_property
    def pairs(self) -> dict[tuple[str, int], list[Unit]]:
        """The units of each (network, epoch), in the order of `units`."""
        groups: dict[tuple[str, int], list[Unit]] = {}
        for unit in self.units:
            groups.setdefault((unit.network, unit.epoch), []).append(unit)
        return groups

    @cached_property
    def baselines(self) -> list[str]:
        """The names of the baseline networks, by number."""
        return sorted({network for network, _ in self.pairs} - {"target"}, key=baseline_number)

    @property
    def voters(self) -> list[str]:
        """Those of them that G is asked of: as many as the rules say, or as there are."""
        return self.baselines[: self.config.generalization.baselines]

    @property
    def wanted(self) -> int:
        """How many baseline networks there must be: those of the rules; of a user's run, dear to train perhaps, one."""
        return 1 if self.config.is_of_user else self.config.generalization.baselines

    def shard(self, number: int, count: int) -> "Plan":
        """Returns the plan of every `count`-th unit, from the `number`-th on, 1 ≤ `number` ≤ `count`."""
        return replace(self, units=self.units[number - 1 :: count])

    def finished(self) -> set[Unit]:
        """Returns the units whose part is there at this moment, or was dropped on purpose."""
        return finished(self.run, self.units)

    def missing(self) -> list[Unit]:
        """Returns the other units, in their order."""
        done = self.finished()
        return [unit for unit in self.units if unit not in done]

    def inputs(self, network: str, epoch: int) -> list[list[Unit]]:
        """Returns the units that labels of a network at an epoch are made from: its own, then those of each baseline.

        A baseline has no baselines. Empty if there is no such checkpoint. With fewer baselines than the rules ask for,
        those that are there are asked; without any, labels know no G.
        """
        own = self.pairs.get((network, epoch), [])
        if network != "target":
            return [own] if own else []
        others = [group for voter in self.voters for (name, _), group in self.pairs.items() if name == voter]
        return [own, *others] if own else []

    def folder(self, network: str, epoch: int) -> Path | None:
        """Returns where the labels made from the `inputs` lie, `<network>-<epoch>-<key>`; None if there are no inputs.

        The key is a hash over the parts' keys and the rules of generalization.
        """
        inputs = self.inputs(network, epoch)
        if not inputs:
            return None
        names = [[unit.name for unit in group] for group in inputs]
        key = digest(names, asdict(self.config.generalization), LABELLING, FORMAT)
        return self.run.labels_dir / f"{network}-{epoch:05d}-{key}"


def plan(run: Run) -> Plan:
    """Returns the plan of all recorded checkpoints of a run.

    Baselines come first (labels need them), of each only the last checkpoint, the converged one; then the target's
    checkpoints by epoch.
    """
    config, settings = run.config, _settings_key(run)
    n_samples = run.n_explained()
    size = n_samples if config.split.zeta == "mean" else SAMPLES_PER_UNIT  # a mean over samples needs them together
    units, problems = [], []
    for network in sorted(run.networks(), key=lambda name: name == "target"):
        epochs = run.checkpoint_epochs(network)
        for epoch in epochs if network == "target" else epochs[-1:]:
            try:
                key = digest(run.checkpoint_hash(network, epoch), settings)
            except DamagedFileError as error:
                problems.append(str(error))
                continue
            for first in range(0, n_samples, size):
                units.append(Unit(network, epoch, first, min(first + size, n_samples), key))
    return Plan(run, config, tuple(units), tuple(problems))


def unit_key(run: Run, network: str, epoch: int) -> str:
    """Returns the key of the units of a checkpoint: equal on two machines only if they see the same run."""
    return digest(run.checkpoint_hash(network, epoch), _settings_key(run))


def _settings_key(run: Run) -> str:
    config = run.config
    return digest(run.explained_hash(), asdict(config.masking), asdict(config.split), FORMAT, ALGORITHM)
