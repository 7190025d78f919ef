"""The tables `layers` and `layer_orders`: what probes on the target's layers say, and which interactions they share.

Measured on demand at some epochs, a row of layers from the same masked passes, which are no more than those of an
extraction of these samples. Each epoch is stored as soon as it is done.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.nn import functional

from interdash.extraction.probes import features_of, fit, layer_outputs, layers_of
from interdash.formulas import generalization
from interdash.formulas.bootstrap import percentile, sample_weights
from interdash.formulas.chance import chance
from interdash.formulas.theories.layers import LABELS, PARTS, shared_parts
from interdash.labelling.on_demand import measured, stored
from interdash.labelling.predictions import TYPES, first_samples
from interdash.masking.variables import Explained
from interdash.runs.parts import LABELLING, digest, is_there, read_part
from interdash.runs.plan import Plan, plan
from interdash.runs.run import Run
from interdash.solver.sparsify import sparse_split
from interdash.training.loop import one_thread
from interdash.training.network_of_run import network_builder, spec_of_run

EPOCHS = 8  # unless the user names them, evenly spread over the recorded ones
MOST_SAMPLES = 100  # explained, of each split
PROBE_SAMPLES = 1000  # of each split: training ones that a probe is fitted to, testing ones that it is judged by
CHUNK = 25  # explained samples in one masked pass, and of an estimate
TABLES = ("layers", "layer_orders")


@dataclass(frozen=True)
class Work:
    """Whose layers are measured, which, when and where."""

    run: Run  # extracted: its baseline networks' interactions are needed
    layers: tuple[str, ...] = ()  # names of modules; none = see `probes.layers_of`
    epochs: tuple[int, ...] = ()  # recorded ones; none = `EPOCHS` of them
    device: str = "cpu"
    spec: str | None = None  # "my_run.py:spec" of a user's run; None = as recorded

    @cached_property
    def planned(self) -> Plan:
        """The plan of the run."""
        return plan(self.run)

    @cached_property
    def explained(self) -> Explained:
        """The samples that are looked at."""
        every = self.run.explained()
        rows = first_samples(self.planned, MOST_SAMPLES)
        strata = tuple(every.stratum[i] for i in rows) if every.stratum else ()
        return Explained(
            every.inputs[rows], every.labels[rows], tuple(every.split[i] for i in rows), every.index[rows],
            every.variables.select(rows.tolist()), stratum=strata,
        )  # fmt: skip

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The layers by name.

        Raises:
            ValueError: see `probes.layers_of`.
        """
        return layers_of(self.network(), self.explained.inputs[:1], self.explained.variables, self.layers)

    def network(self, epoch: int | None = None) -> nn.Module:
        """Returns the target at an epoch, or untrained."""
        network = network_builder(self.run, self.spec)()
        if epoch is not None:
            network.load_state_dict(self.run.load_checkpoint("target", epoch))
        return network.eval()

    def wanted(self) -> list[int]:
        """Returns the epochs.

        Raises:
            ValueError: one is not recorded.
        """
        recorded = self.run.checkpoint_epochs("target")
        if missing := sorted({*self.epochs} - {*recorded}):
            known = ", ".join(map(str, recorded))
            raise ValueError(f"epoch {missing[0]} of {self.run.name} has no checkpoint; choose of {known}")
        if self.epochs:
            return sorted({*self.epochs})
        return [recorded[i] for i in np.unique(np.linspace(0, len(recorded) - 1, EPOCHS).round().astype(int))]

    def key(self, epoch: int) -> str:
        """Returns a hash of all that decides the numbers of an epoch."""
        units = [unit.name for unit in self.planned.units if unit.network != "target" or unit.epoch == epoch]
        return digest(units, self.names, asdict(self.planned.config.generalization), LABELLING)

    def left(self) -> list[int]:
        """Returns the epochs that are not measured yet."""
        known = stored(self.run, TABLES)[1]
        return [epoch for epoch in self.wanted() if known.get(str(epoch)) != self.key(epoch)]


@dataclass(frozen=True)
class Estimate:
    """What is left to measure and what it costs on this machine."""

    epochs: int
    layers: tuple[str, ...]
    forward_passes: int  # masked
    seconds: float

    def __str__(self) -> str:
        """One line for people."""
        if not self.epochs:
            return "nothing, the layers are measured at these epochs"
        of = f"{self.epochs} epochs, {len(self.layers)} layers ({', '.join(self.layers)})"
        return f"{of}, {self.forward_passes:,} masked forward passes, about {self.seconds:,.0f} s"


def estimate(work: Work) -> Estimate:
    """Returns what the missing epochs will cost, from the first, one between and the last with a few samples."""
    left, seconds = work.left(), []
    if left:
        _baselines(work)
        few = replace(work.explained, **_some(work.explained, slice(0, CHUNK)))
        _probes(work, left[0])  # the first time, libraries are loaded
        for epoch in dict.fromkeys((left[0], left[len(left) // 2], left[-1])):
            start = time.perf_counter()
            probes = _probes(work, epoch)[1]
            fitted = time.perf_counter()
            _effects(work, work.network(epoch), few, probes)
            each = (time.perf_counter() - fitted) / len(few)
            seconds.append(fitted - start + each * len(work.explained))
    passes = len(left) * len(work.explained) * 2**work.planned.config.masking.n_variables
    return Estimate(len(left), work.names, passes, len(left) * float(np.mean(seconds or [0.0])))


def measure_layers(work: Work, *, progress: Callable[[int, int], None] | None = None) -> int:
    """Returns how many epochs were measured: those that are left, each stored as soon as it is done.

    `progress` is called with epochs done and in all.

    Raises:
        ValueError: a layer or epoch is not there, or the run is not extracted.
    """
    return measured(work, TABLES, lambda epoch: measure_epoch(work, epoch), progress)


Heads = list[tuple[str, bool, Callable[[Tensor], Tensor]]]  # layer, whether a control, its class logits


def measure_epoch(work: Work, epoch: int, heads: Heads | None = None) -> dict[str, pa.Table]:
    """Returns the rows of both tables at an epoch.

    Args:
        work: the run and its layers.
        epoch: a recorded one.
        heads: what stands on the layers in place of probes.
    """
    network = work.network(epoch)
    scores, probes = _probes(work, epoch) if heads is None else ([], heads)
    effects, v = _effects(work, network, work.explained, probes)
    rules, bases = work.planned.config.generalization, _baselines(work)
    taus = [
        generalization.tau(some[:, 0], some[:, 1], out[:, 0], out[:, -1], rules.tau_rule, rules.tau_factor)[:, None]
        for some, out in zip(effects, v, strict=True)
    ]
    scales = np.abs(v[..., -1] - v[..., 0]).mean(1)  # nats
    salient = [generalization.salient(some, tau) for some, tau in zip(effects, taus, strict=True)]
    names, numbers = [*dict.fromkeys(name for name, _, _ in probes)], first_samples(work.planned, MOST_SAMPLES)
    of_heads = [("", False), *((name, control) for name, control, _ in probes)]
    rows = []
    for i, (name, control) in enumerate(of_heads):
        units = effects[i] / (scales[i] or 1), effects[0] / (scales[0] or 1)
        parts = shared_parts(*units, salient[i], salient[0])  # [samples, 2, n, 4]
        labels = _labels(effects[i], salient[i], taus[i], bases, sign_test=rules.sign_test) / (scales[i] or 1)
        sums = np.concatenate([parts, labels], -1)
        rows.append(_orders(epoch, _place(name, names), numbers, sums, control=control))
    columns: list[dict[str, Any]] = [
        {"epoch": epoch, "layer": _place(name, names), "name": name or "network", "control": control}
        | {"scale": float(scale)} | score
        for (name, control), scale, score in zip(of_heads, scales, scores or [{}] * len(of_heads), strict=True)
    ]  # fmt: skip
    table = pa.Table.from_pylist(columns, schema=SCHEMA)
    return {"layers": table, "layer_orders": pa.concat_tables(rows)}


SCHEMA = pa.schema(
    {"epoch": pa.int32(), "layer": pa.int16(), "name": pa.string(), "control": pa.bool_(), "features": pa.int32()}
    | {"samples": pa.int32()}
    | dict.fromkeys(("accuracy", "loss", "information", "information_low", "information_high", "scale"), pa.float64())
)


def _place(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name else len(names)


def _probes(work: Work, epoch: int) -> tuple[list[dict[str, Any]], Heads]:
    """Returns how good the network and each probe is on testing samples; the probes, each followed by its control."""
    spec, network = spec_of_run(work.run, work.spec), work.network(epoch).to(work.device)
    generator = torch.Generator().manual_seed(0)
    every = work.run.explained()
    shown = {int(i) for i, split in zip(every.index, every.split, strict=True) if split == "train"}
    rows = [i for i in torch.randperm(len(spec.train_inputs), generator=generator).tolist() if i not in shown]
    rows, tests = rows[:PROBE_SAMPLES], torch.randperm(len(spec.test_inputs), generator=generator)[:PROBE_SAMPLES]
    if not rows:
        raise ValueError(f"all training samples of {work.run.name} are explained; a probe needs others to be fitted to")
    labels, truth = spec.train_labels[rows].long(), spec.test_labels[tests].long()
    shuffled = labels[torch.randperm(len(rows), generator=generator)]
    with one_thread():
        train, test = (features_of(network, work.names, x) for x in (spec.train_inputs[rows], spec.test_inputs[tests]))
        classes = train[""].shape[1]
        scores, probes = [_score(test[""], truth, None, len(rows))], []
        for name in work.names:
            for control, probe in enumerate(fit(train[name], (labels, shuffled), classes)):
                probes.append((name, bool(control), probe))
                scores.append(_score(probe(test[name]), truth, train[name].shape[1], len(rows)))
    return scores, probes


def _score(logits: Tensor, labels: Tensor, features: int | None, samples: int) -> dict[str, Any]:
    """Returns accuracy and loss on testing samples, and V-information H(Y) − loss with its interval, nats."""
    losses = functional.cross_entropy(logits.double(), labels, reduction="none").numpy()
    shares = np.bincount(labels.numpy()) / len(labels)
    entropy = -float((shares[shares > 0] * np.log(shares[shares > 0])).sum())
    low, high = entropy - percentile(lambda drawn: sample_weights(drawn) @ losses, len(losses))[::-1]
    return {
        "features": features, "samples": None if features is None else samples,
        "accuracy": float((logits.argmax(1) == labels).double().mean()), "loss": float(losses.mean()),
        "information": entropy - float(losses.mean()), "information_low": low, "information_high": high,
    }  # fmt: skip


def _effects(work: Work, network: nn.Module, explained: Explained, probes: Heads) -> tuple[np.ndarray, np.ndarray]:
    """Returns interactions `[1 + probes, samples, 2, 2**n]` of network and probes, and their v `[…, samples, 2**n]`."""
    split, read = work.planned.config.split, [(name, probe) for name, _, probe in probes]
    options = {"tie_break": split.tie_break, "tolerance": split.tolerance, "zeta": split.zeta}
    with one_thread():
        chunks = _chunks(explained, CHUNK)
        v = torch.cat([layer_outputs(network, chunk, read, device=work.device) for chunk in chunks], 1)
        solved = [sparse_split(of_head, split.kappa, **options) for of_head in v]
    return np.stack([torch.stack([some.i_and, some.i_or], 1).numpy() for some in solved]), v.numpy()


def _chunks(explained: Explained, size: int) -> Iterator[Explained]:
    for first in range(0, len(explained), size):
        yield replace(explained, **_some(explained, slice(first, first + size)))


def _some(explained: Explained, rows: slice) -> dict[str, Any]:
    """Returns the fields of some samples."""
    fields = {name: getattr(explained, name)[rows] for name in ("inputs", "labels", "split", "index", "stratum")}
    return fields | {"variables": explained.variables.select(list(range(len(explained)))[rows])}


def _baselines(work: Work) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the interactions of each baseline network `[samples, 2, 2**n]`, and its τ `[samples, 1]`, nats.

    Raises:
        ValueError: they are not extracted.
    """
    planned, rules = work.planned, work.planned.config.generalization
    rows, bases = first_samples(planned, MOST_SAMPLES), []
    for name in planned.voters:
        units = [unit for unit in planned.units if unit.network == name]
        if not all(is_there(planned.run, unit) for unit in units):
            break
        parts = [read_part(planned.run, unit, ("v_empty", "v_full", "i_and", "i_or")) for unit in units]
        v_empty, v_full, i_and, i_or = (np.concatenate([part[name] for part in parts]) for name in parts[0])
        tau = generalization.tau(i_and, i_or, v_empty, v_full, rules.tau_rule, rules.tau_factor)
        bases.append((np.stack([i_and, i_or], 1)[rows], tau[rows, None]))
    if not bases or len(bases) < len(planned.voters):
        name = planned.run.name
        raise ValueError(f"the baseline networks of {name} have no vectors; make them with `interdash extract {name}`")
    return bases


def _labels(
    effects: np.ndarray,
    salient: np.ndarray,
    tau: np.ndarray,
    bases: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    sign_test: bool,
) -> np.ndarray:
    """Returns the strength of each order that transfers, and that would by chance, `[samples, 2, n, 2]`, nats."""
    general, by_chance = [], []
    for base, own in bases:
        general.append(generalization.transfers(effects, base, tau, own, sign_test=sign_test))
        by_chance.append(
            salient * chance(effects, np.where(generalization.salient(base, own), base, 0), sign_test=sign_test)
        )
    parts = [np.mean(each, axis=0) for each in (general, by_chance)]
    return np.stack([generalization.order_strengths(effects, part)[..., 1:] for part in parts], -1)


def _orders(epoch: int, layer: int, numbers: np.ndarray, sums: np.ndarray, *, control: bool) -> pa.Table:
    """Returns the rows of `layer_orders` from the numbers of samples `[samples]` and sums `[samples, 2, n, 6]`."""
    samples, kinds, n, _ = sums.shape
    count = samples * kinds * n
    columns = {
        "epoch": pa.array(np.full(count, epoch), pa.int32()),
        "layer": pa.array(np.full(count, layer), pa.int16()),
        "control": pa.array(np.full(count, control)),
        "sample": pa.array(np.repeat(numbers, kinds * n), pa.int32()),
        "type": np.tile(np.repeat(TYPES, n), samples).tolist(),
        "size": pa.array(np.tile(np.arange(1, n + 1), samples * kinds), pa.int8()),
    }
    names = (*PARTS, *LABELS)
    return pa.table(columns | {name: pa.array(sums[..., i].ravel(), pa.float32()) for i, name in enumerate(names)})
