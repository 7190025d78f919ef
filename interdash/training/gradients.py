"""Gradient coherence of a network at an epoch, from the gradients of single samples; see `formulas.coherence`.

Only sums over groups of samples are kept: memory does not grow with the number of samples, see `BUDGET`.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interdash.formulas.coherence import Sums, measures
from interdash.masking.batches import keep_freed_memory
from interdash.masking.variables import Explained
from interdash.runs.run import Run
from interdash.training.loop import one_thread, seconds_by_samples
from interdash.training.network_of_run import network_builder, spec_of_run
from interdash.training.sample_gradients import (
    Gradients,
    Rows,
    along,
    gradients_of,
    layers_of,
    picked,
    squares,
    summed,
    weighted,
)
from interdash.training.spec import Spec

SAMPLES = 1000  # of each split
EXPLAINED = 200  # explained samples, at most, that get a coherence of their own
GROUPS = (3, 10)  # at least and at most, for the intervals
BUDGET = 2**30  # bytes of gradients and sums; more where the fewest groups need it, 32 or 44 bytes a weight
CHUNK = 100  # samples at a time, at most
SEED = 0  # of the samples


def _sizes(weights: Sequence[Tensor], kinds: int, samples: int, budget: int) -> tuple[int, int, int]:
    """Returns the number of groups, of samples at a time and of those kept, within a budget of bytes; see `BUDGET`."""
    room = budget // max(1, sum(4 * weight.numel() for weight in weights))  # sums or gradients of the whole network
    groups = min(max(GROUPS[0], min(GROUPS[1], room // 2 // (kinds + 1))), max(2, samples))
    room -= (kinds + 1) * groups
    chunk = min(CHUNK, max(1, room // 2))
    return groups, chunk, min(EXPLAINED, max(0, room - 2 * chunk))


@torch.enable_grad()  # a trainer's hooks may run without
@one_thread()
def coherence_of(
    network: nn.Module,
    spec: Spec,
    explained: Explained,
    *,
    samples: int = SAMPLES,
    device: torch.device | str = "cpu",
    budget: int = BUDGET,
    gradients: Gradients | None = None,
) -> dict[str, Any]:
    """Returns the coherence of a network as `Run.record_gradients` takes it: measures, and explained samples.

    Of each explained sample: coherence, the mean cosine of its gradient with those of the m training samples, itself
    left out (no unit); norm ‖g‖ (nats); noisy, whether its label is (None where it is not known).

    Args:
        network: returns class logits; is put into evaluation mode and moved to the device.
        spec: has the data.
        explained: the explained samples, of which at most `EXPLAINED` are looked at.
        samples: drawn from each split, the same ones for each network; all if there are fewer.
        device: where to compute.
        budget: bytes, see `BUDGET`.
        gradients: of this network, from `gradients_of`, which looks for a way each time if it is left out.

    Raises:
        ValueError: see `gradients_of`, or there are too few samples.
    """
    keep_freed_memory()
    network.to(device).eval()
    generator = torch.Generator().manual_seed(SEED)
    rows = {s: torch.randperm(len(spec.split(s)[0]), generator=generator)[:samples] for s in ("train", "test")}
    noisy = torch.zeros(len(spec.train_labels), dtype=torch.bool)
    if (true := spec.true_train_labels) is not None:
        noisy = spec.train_labels != true
    inputs, labels = spec.train_inputs, spec.train_labels.long()
    if gradients is None:
        gradients = gradients_of(network, inputs[rows["train"][:4]].to(device), labels[rows["train"][:4]].to(device))
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    names = layers_of(network)
    layers = list(dict.fromkeys(names))
    of_layer = [layers.index(name) for name in names]
    kinds = [0, 1] if noisy.any() else [0]
    groups, chunk, room = _sizes(weights, len(kinds), min(map(len, rows.values())), budget)
    chosen = torch.linspace(0, len(explained) - 1, min(EXPLAINED, len(explained))).round().long().tolist()
    trained = {int(explained.index[i]): i for i in chosen if explained.split[i] == "train"}
    of_explained: list[tuple[list[int], Rows, Tensor]] = []  # of those that are drawn too, as far as there is room
    kept = [torch.zeros(((len(kinds) + 1) * groups, w.numel()), device=device) for w in weights]  # last: of g/‖g‖
    of_squares, fourths = np.zeros((len(layers), 2, groups)), np.zeros((2, groups))
    counts, known = np.zeros((3, groups)), np.zeros(groups)

    def in_chunks(x: Any, y: Tensor, some: Tensor) -> Iterator[tuple[list[int], Rows, Tensor]]:
        """Yields rows, their gradients and the squares of these, `[layers, rows]`."""
        for few in some.split(chunk) if len(some) else ():
            each = gradients(x[few].to(device), y[few].to(device))
            square = torch.zeros((len(layers), len(few)), dtype=torch.float64, device=device)
            for layer, of_weight in zip(of_layer, each, strict=True):
                square[layer] += squares(of_weight)
            yield few.tolist(), each, square

    for group, members in enumerate(rows["train"].tensor_split(groups)):
        for few, each, square in in_chunks(inputs, labels, members):
            if here := [place for place, row in enumerate(few) if row in trained][:room]:
                room -= len(here)
                of_explained.append(([trained[few[place]] for place in here], picked(each, here), square[:, here]))
            bad = noisy[few].to(device)
            norm = square.sum(0).sqrt()
            unit = torch.where(norm > 0, 1 / norm, 0.0)
            masks = [(~bad).double(), bad.double()]
            pick = torch.stack([*(masks[kind] for kind in kinds), unit]).float()
            places = [*(kind * groups + group for kind in kinds), group - groups]
            known[group] += int((norm > 0).sum())
            for total, of_weight in zip(kept, each, strict=True):
                for place, row in zip(places, weighted(pick, of_weight), strict=True):
                    total[place] += row
            for kind in kinds:
                of_squares[:, kind, group] += (square @ masks[kind]).cpu().numpy()
                fourths[kind, group] += float(norm**4 @ masks[kind])
                counts[kind, group] += int(masks[kind].sum())
    products, units = np.zeros((len(layers), 3, groups, 2, groups)), np.zeros((groups, groups))
    for layer, total in zip(of_layer, kept, strict=True):
        units += (total[-groups:] @ total[-groups:].T).double().cpu().numpy()
        gram = (total[:-groups] @ total[:-groups].T).double().cpu().numpy()
        for a in kinds:
            for b in kinds:
                products[layer, a, :, b] += gram[a * groups : (a + 1) * groups, b * groups : (b + 1) * groups]
    for group, members in enumerate(rows["test"].tensor_split(groups)):
        counts[2, group] = len(members)
        for few in members.split(CHUNK):
            x, y = spec.test_inputs[few].to(device), spec.test_labels[few].long().to(device)
            for layer, total, g in zip(of_layer, kept, summed(network, x, y), strict=True):
                product = (total[:-groups] @ g.flatten().float()).double().cpu().numpy()
                products[layer, 2, group, : len(kinds)] += product.reshape(len(kinds), groups)
    directions = [total[-groups:].sum(0) for total in kept]
    drawn, m = set(rows["train"].tolist()), len(rows["train"])
    left = sorted({*chosen}.difference(*(some for some, *_ in of_explained)))
    others = in_chunks(explained.inputs, explained.labels.long(), torch.tensor(left, dtype=torch.long))
    found: dict[int, dict[str, Any]] = {}
    for some, each, square in itertools.chain(of_explained, others):
        norms = square.sum(0).sqrt().tolist()
        with_all = sum(along(of_weight, to).double() for of_weight, to in zip(each, directions, strict=True))
        for i, norm, product in zip(some, norms, torch.as_tensor(with_all).tolist(), strict=True):
            row, of_training = int(explained.index[i]), explained.split[i] == "train"
            itself = of_training and row in drawn
            found[i] = {
                "coherence": (product / norm - itself) / (m - itself) if norm > 0 else None,
                "norm": norm if math.isfinite(norm) else None,
                "noisy": bool(noisy[row]) if of_training and true is not None else None,
            }
    columns = {name: [found[i][name] for i in chosen] for name in ("coherence", "norm", "noisy")}
    sums = Sums(products, of_squares, fourths, counts, units, known, len(spec.train_inputs))
    return {"samples_of_split": samples, "measures": measures(sums, layers), "samples": {"sample": chosen, **columns}}


@dataclass(frozen=True)
class Work:
    """Whose coherence is measured, and where: of the target, at every epoch with a checkpoint."""

    run: Run  # with explained samples
    samples: int = SAMPLES  # see `coherence_of`
    device: str = "cpu"
    spec: str | None = None  # "my_run.py:spec" of a user's run; None = as recorded

    def left(self) -> list[int]:
        """Returns the epochs that are not measured yet with so many samples."""
        lines = [line for line in self.run.gradients() if line["network"] == "target"]
        there = {line["epoch"] for line in lines if line["gradients"]["samples_of_split"] == self.samples}
        return [epoch for epoch in self.run.checkpoint_epochs("target") if epoch not in there]

    def measurer(self) -> Callable[[int, int], dict[str, Any]]:
        """Returns what gives the coherence of an epoch, from so many samples of each split, see `coherence_of`."""
        spec, explained = spec_of_run(self.run, self.spec), self.run.explained()
        network = network_builder(self.run, self.spec)().to(self.device).eval()
        few = spec.train_inputs[:4].to(self.device), spec.train_labels[:4].long().to(self.device)
        ways: list[Gradients] = []

        def measured(epoch: int, samples: int) -> dict[str, Any]:
            network.load_state_dict(self.run.load_checkpoint("target", epoch))
            if not ways:
                ways.append(gradients_of(network, *few))
            device = self.device
            return coherence_of(network, spec, explained, samples=samples, device=device, gradients=ways[0])

        return measured


@dataclass(frozen=True)
class Estimate:
    """What is left to measure and what it costs on this machine."""

    epochs: int
    samples: int  # of each split and epoch
    bytes: int  # of memory for gradients and sums, at most
    seconds: float

    def __str__(self) -> str:
        """One line for people."""
        if not self.epochs:
            return "nothing, all epochs are measured"
        of = f"{self.epochs} epochs, {self.samples:,} samples of each split"
        return f"{of}, at most {self.bytes / 1e6:,.0f} MB beside the network, about {self.seconds:,.0f} s"


def estimate(work: Work) -> Estimate:
    """Returns what the missing epochs will cost, from probes of the last of them."""
    left = work.left()
    spec = spec_of_run(work.run, work.spec)
    samples = min(work.samples, max(len(spec.train_inputs), len(spec.test_inputs)))
    seconds = seconds_by_samples(partial(work.measurer(), left[-1]), samples) if left else 0.0
    weights = [weight for weight in network_builder(work.run, work.spec)().parameters() if weight.requires_grad]
    kinds = 1 if spec.true_train_labels is None else 2
    groups, chunk, room = _sizes(weights, kinds, samples, BUDGET)
    most = ((kinds + 1) * groups + 2 * chunk + room) * sum(4 * weight.numel() for weight in weights)
    return Estimate(len(left), samples, most, len(left) * seconds)


def measure_coherence(work: Work, *, progress: Callable[[int, int], None] | None = None) -> int:
    """Returns how many epochs were measured: those that are left, each recorded as soon as it is done.

    `progress` is called with epochs done and in all.

    Raises:
        ValueError: see `coherence_of` and `spec_of_run`.
    """
    left = work.left()
    measured = work.measurer()
    for done, epoch in enumerate(left, start=1):
        work.run.record_gradients("target", epoch, measured(epoch, work.samples))
        if progress is not None:
            progress(done, len(left))
    return len(left)
