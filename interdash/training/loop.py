"""The training loop of the built-in runs, for a number of epochs or to convergence.

One torch thread a process (two are slower for networks this small) and a seed for weights and batches: on one
machine's CPU the same configuration gives the same checkpoints, bit for bit.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float64, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional

from interdash.config import TrainingConfig
from interdash.masking.rows import batch_size

MIN_RECORDED = 12  # epochs with a checkpoint, unless the training is shorter

CONVERGED_LOSS = 0.01  # nats, mean over the split trained on
MIN_IMPROVEMENT = 0.001  # nats, over PATIENCE epochs
PATIENCE = 10
MAX_STRETCH = 4  # training to convergence takes at most this many times the recipe's epochs


def recorded_epochs(config: TrainingConfig) -> list[int]:
    """Returns the epochs with a checkpoint, ascending, with 0 (the untrained network) and the last one.

    "log": dense early, steps of 2^(1/3), or finer until there are at least 12 (or every epoch, if there are fewer).

    >>> recorded_epochs(TrainingConfig(epochs=64))
    [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 51, 64]

    Raises:
        ValueError: a chosen epoch is negative or after the last one.
    """
    ends = {0, config.epochs}
    if config.checkpoints == "all":
        return list(range(config.epochs + 1))
    if config.checkpoints != "log":
        if wrong := [epoch for epoch in config.checkpoints if not 0 <= epoch <= config.epochs]:
            raise ValueError(f"checkpoints at epochs {wrong} are outside the training's 0 to {config.epochs}")
        return sorted(ends | set(config.checkpoints))
    for per_octave in range(3, 1000):
        steps = range(math.ceil(per_octave * math.log2(max(config.epochs, 1))) + 1)
        recorded = ends | {epoch for i in steps if (epoch := round(2 ** (i / per_octave))) <= config.epochs}
        if len(recorded) >= min(MIN_RECORDED, config.epochs + 1):
            return sorted(recorded)
    raise AssertionError("unreachable: a thousand steps an octave hold every epoch of a short training")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Runs torch in one thread inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Makes torch's random numbers, inside the block alone, those of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _optimizer(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Returns the recipe's optimiser for a network's weights.

    Raises:
        ValueError: the recipe is the user's own.
    """
    if config.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), config.learning_rate, momentum=config.momentum)
    if config.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), config.learning_rate)
    raise ValueError(f"training by the optimizer {config.optimizer!r} is not ours; choose sgd or adam")


def _cross_entropy(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(network(inputs), labels)


def train(
    network: nn.Module,
    inputs: Shaped[Tensor, "samples ..."],
    labels: Int64[Tensor, " samples"],
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[int, nn.Module], bool | None],
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor] = _cross_entropy,
) -> None:
    """Trains a network in place by minibatches in an order drawn by the seed.

    Args:
        network: returns class logits `[batch, classes]`; stays on `device`.
        inputs: the training inputs.
        labels: their classes.
        config: the recipe.
        seed: of the order of the samples.
        device: where to train.
        on_epoch: called with (epoch, network) before the first epoch, as epoch 0, and after each; the network is in
            evaluation mode. Training stops if it returns True.
        loss: of the network on a batch of inputs and labels; what is made smaller.

    Raises:
        ValueError: the optimiser is none of ours, or the weights are no longer finite.
    """
    generator = torch.Generator().manual_seed(seed)
    network.to(device)
    inputs, labels = inputs.to(device), labels.to(device)
    optimizer = _optimizer(network, config)
    batches = _batches(len(inputs), config, generator)
    with one_thread():
        for epoch in range(config.epochs + 1):
            if epoch > 0:
                network.train()
                for rows in next(batches):
                    rows = rows.to(device)
                    optimizer.zero_grad()
                    loss(network, inputs[rows], labels[rows]).backward()
                    optimizer.step()
                if not all(weight.isfinite().all() for weight in network.parameters()):
                    raise ValueError(
                        f"training diverged in {config.unit} {epoch}: weights are NaN or infinite; "
                        f"lower learning_rate (it is {config.learning_rate})"
                    )
            network.eval()
            if on_epoch(epoch, network):
                return


def _batches(samples: int, config: TrainingConfig, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
    """Yields the rows of each batch of an epoch, or of one step, again and again."""
    while True:
        batches = torch.randperm(samples, generator=generator).split(config.batch_size)
        yield from [batches] if config.unit == "epoch" else [[rows] for rows in batches]


@torch.inference_mode()
def sample_losses(
    network: nn.Module, inputs: Shaped[Tensor, "samples ..."], labels: Int64[Tensor, " samples"]
) -> tuple[Float64[Tensor, " samples"], Bool[Tensor, " samples"]]:
    """Returns the cross-entropy of each sample in nats and whether its class is right, in batches, on the CPU."""
    device = next(network.parameters()).device
    network.eval()
    losses, correct, size = [], [], batch_size(inputs)
    for x, y in zip(inputs.split(size), labels.split(size), strict=True):
        logits, y = network(x.to(device)), y.to(device)
        losses.append(functional.cross_entropy(logits.double(), y, reduction="none").cpu())
        correct.append((logits.argmax(1) == y).cpu())
    return torch.cat(losses), torch.cat(correct)


def evaluate(
    network: nn.Module, inputs: Shaped[Tensor, "samples ..."], labels: Int64[Tensor, " samples"]
) -> tuple[float, float]:
    """Returns the mean cross-entropy in nats and the share of correct classes, in batches, where the network is."""
    losses, correct = sample_losses(network, inputs, labels)
    return float(losses.mean()), float(correct.double().mean())


def train_to_convergence(
    network: nn.Module,
    inputs: Shaped[Tensor, "samples ..."],
    labels: Int64[Tensor, " samples"],
    seed: int,
    on_epoch: Callable[[int, nn.Module], float] | None = None,
    *,
    config: TrainingConfig,
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor] = _cross_entropy,
) -> int:
    """Returns the epoch of lowest loss, whose weights the network has afterwards; trains where the network is.

    It trains for the recipe's epochs, and on until its mean loss is at most `CONVERGED_LOSS` (0.01 nats) or improved by
    less than `MIN_IMPROVEMENT` in `PATIENCE` epochs, `MAX_STRETCH` times the recipe at most.

    Arguments as for `train`, but `on_epoch(epoch, network)` returns the mean loss in nats; `evaluate` by default.
    """
    lowest, lowest_epoch, weights = math.inf, 0, network.state_dict()
    mark, marked_epoch = math.inf, 0  # the last loss that was an improvement worth waiting for

    def after_epoch(epoch: int, model: nn.Module) -> bool:
        nonlocal lowest, lowest_epoch, weights, mark, marked_epoch
        value = evaluate(model, inputs, labels)[0] if on_epoch is None else on_epoch(epoch, model)
        if value < lowest:
            lowest, lowest_epoch = value, epoch
            weights = {key: weight.detach().clone() for key, weight in model.state_dict().items()}
        if value < mark - MIN_IMPROVEMENT:
            mark, marked_epoch = value, epoch
        return epoch >= config.epochs and (value <= CONVERGED_LOSS or epoch - marked_epoch >= PATIENCE)

    device, longer = next(network.parameters()).device, replace(config, epochs=MAX_STRETCH * config.epochs)
    train(network, inputs, labels, longer, seed=seed, device=device, on_epoch=after_epoch, loss=loss)
    network.load_state_dict(weights)
    return lowest_epoch


def seconds_by_samples(measure: Callable[[int], object], samples: int) -> float:
    """Returns how many seconds measuring so many samples takes, by the line through two smaller numbers of them."""
    sizes = min(20, samples), min(200, samples)
    for size in sizes:  # the first time, libraries and data are loaded
        measure(size)
    clock = [time.perf_counter()]
    for size in sizes:
        measure(size)
        clock.append(time.perf_counter())
    few, more = clock[1] - clock[0], clock[2] - clock[1]
    return more + (samples - sizes[1]) * max(0.0, more - few) / max(1, sizes[1] - sizes[0])
