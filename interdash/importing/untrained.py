"""Networks as the spec builds them, untrained: what a checkpoint and a log are held against.

Whatever all new networks have in common (zeros of biases, ones of norms, pretrained layers) is gone after a training,
and so is the range that the others are drawn from: both tell a trained network also where its loss is that of chance.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

NETWORKS = 16  # fewer if that takes long
SECONDS = 20  # that is, longer than this
SPREAD = 3  # standard deviations below their loss, and a network is trained
SAME = 2**-8  # relative difference of weights that were kept as bfloat16
BEYOND = 6  # standard deviations of the number of weights that lie outside the range of new ones by chance


@dataclass(frozen=True)
class Untrained:
    """What new networks have in common.

    Attributes:
        losses: of each, by metric, in nats.
        fixed: the weights that are the same in all of them, by name; frozen ones left out.
        ranges: the lowest and highest value of each of the others.
        networks: how many there were.
        batches: that their batch norms have seen.
    """

    losses: list[dict[str, float]]
    fixed: dict[str, Tensor]
    ranges: dict[str, tuple[float, float]]
    networks: int
    batches: float

    def lowest(self, metric: str) -> float:
        """Returns the loss in nats below which a network is trained."""
        values = [losses[metric] for losses in self.losses]
        return statistics.mean(values) - SPREAD * statistics.stdev(values) - 1e-3


def untrained_networks(build: Callable[[], nn.Module], losses: Callable[[nn.Module], dict[str, float]]) -> Untrained:
    """Returns what new networks have in common, built with one seed after the other.

    Args:
        build: the spec's network, on its device.
        losses: of a network on the spec's data, in nats.
    """
    measured, fixed, ranges, batches = [], {}, {}, 0.0
    start = time.monotonic()
    for seed in range(NETWORKS):
        if seed > 2 and time.monotonic() - start > SECONDS:
            break
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build()
        state = {name: value.detach().cpu() for name, value in network.state_dict().items() if value.numel()}
        batches = max(batches, batches_seen(state))
        trained = {name for name, value in network.named_parameters() if value.requires_grad}
        if not measured:
            fixed = {name: state[name].clone() for name in state if name in trained or name.endswith("running_mean")}
        fixed = {name: value for name, value in fixed.items() if torch.equal(value, state[name])}
        for name in trained & state.keys():
            low, high = ranges.get(name, (math.inf, -math.inf))
            ranges[name] = min(low, float(state[name].min())), max(high, float(state[name].max()))
        measured.append(losses(network))
    drawn = {name: ranges[name] for name in ranges.keys() - fixed.keys()}
    return Untrained(measured, fixed, drawn, len(measured), batches)


def batches_seen(tensors: Mapping[str, Tensor]) -> float:
    """Returns how many batches the batch norms of a network have seen in training; 0 if there is none."""
    counters = [float(value) for name, value in tensors.items() if name.endswith("num_batches_tracked")]
    return max(counters, default=0)


def training_seen(tensors: Mapping[str, Tensor], train_loss: float, step: float | None, new: Untrained) -> str:
    """Returns in words by what a network is seen to be trained; "" if by nothing.

    Args:
        tensors: its weights, by the names that new ones have.
        train_loss: on the spec's data, in nats.
        step: of its training, if that is known.
        new: what new networks have in common.
    """
    moved = [
        name
        for name, value in new.fixed.items()
        if not torch.allclose(tensors[name].float(), value.float(), rtol=SAME, atol=1e-6)
    ]
    outside = 0
    for name, (low, high) in new.ranges.items():
        margin = SAME * max(abs(low), abs(high))
        outside += int(((tensors[name] < low - margin) | (tensors[name] > high + margin)).sum())
    by_chance = (
        2 * len(new.ranges) / max(new.networks, 1)
    )  # one in each tensor and at either end, if there were one more
    mean = statistics.mean(losses["train_loss"] for losses in new.losses)
    batches = batches_seen(tensors)
    reasons = {
        f"its loss is {train_loss:.3g}, that of untrained ones {mean:.3g}": train_loss < new.lowest("train_loss"),
        f"its batch norms have seen {batches:g} batches": batches > new.batches,
        f"it is of step {step or 0:g}": bool(step),
        f"{', '.join(moved[:2])} {'are' if moved[1:] else 'is'} not as in every new network": bool(moved),
        f"{outside} of its weights are larger than in any new network": outside
        > by_chance + BEYOND * math.sqrt(by_chance) + BEYOND,
    }
    return next((words for words, holds in reasons.items() if holds), "")
