"""Training of the built-in runs: the target on the training split, the baselines on the testing split.

One torch thread a process (two are slower for networks this small) and a seed for weights and batches: on one
machine's CPU the same configuration gives the same checkpoints, bit for bit.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional

from interdash import datasets, networks
from interdash.config import MaskingConfig, RunConfig, TrainingConfig
from interdash.datasets import PAD, STOP_WORDS, UNKNOWN, Dataset
from interdash.rebuilding import is_user_run, train_user_baseline
from interdash.runs import Run
from interdash.variables import Explained, baseline_values, image_variables, table_variables, text_variables

MIN_RECORDED = 12  # epochs with a checkpoint, unless the training is shorter
EVALUATION_BATCH = 500  # samples

CONVERGED_LOSS = 0.01  # nats, mean over the split a baseline is trained on
MIN_IMPROVEMENT = 0.001  # nats, over PATIENCE epochs
PATIENCE = 10
MAX_STRETCH = 4  # a baseline trains for at most this many times the recipe's epochs

Progress = Callable[[int, int], None]  # epochs done, epochs in all (at most, for a baseline)


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
        chosen = ends | {epoch for i in steps if (epoch := round(2 ** (i / per_octave))) <= config.epochs}
        if len(chosen) >= min(MIN_RECORDED, config.epochs + 1):
            return sorted(chosen)
    raise AssertionError("unreachable: a thousand steps an octave hold every epoch of a short training")


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Runs torch in one thread inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _optimizer(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Returns the recipe's optimiser for a network's weights.

    Raises:
        ValueError: the optimiser is unknown.
    """
    if config.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), config.learning_rate, momentum=config.momentum)
    if config.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), config.learning_rate)
    raise ValueError(f"there is no optimizer {config.optimizer!r}; choose sgd or adam")


def train(
    network: nn.Module,
    inputs: Shaped[Tensor, "samples ..."],
    labels: Int64[Tensor, " samples"],
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[int, nn.Module], bool | None],
    epochs: int | None = None,
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
            evaluation mode. Training ends early if it returns True.
        epochs: how many at most; the recipe's by default.

    Raises:
        ValueError: the optimiser is unknown, or the loss is no longer finite.
    """
    generator = torch.Generator().manual_seed(seed)
    network.to(device)
    inputs, labels = inputs.to(device), labels.to(device)
    optimizer = _optimizer(network, config)
    last = config.epochs if epochs is None else epochs
    with _one_thread():
        for epoch in range(last + 1):
            if epoch > 0:
                network.train()
                for rows in torch.randperm(len(inputs), generator=generator).to(device).split(config.batch_size):
                    loss = functional.cross_entropy(network(inputs[rows]), labels[rows])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                if not all(weight.isfinite().all() for weight in network.parameters()):
                    raise ValueError(
                        f"training diverged in epoch {epoch}: weights are NaN or infinite; "
                        f"lower learning_rate (it is {config.learning_rate})"
                    )
            network.eval()
            if on_epoch(epoch, network):
                return


@torch.inference_mode()
def evaluate(
    network: nn.Module, inputs: Shaped[Tensor, "samples ..."], labels: Int64[Tensor, " samples"]
) -> tuple[float, float]:
    """Returns the mean cross-entropy in nats and the share of correct classes, in batches, where the network is."""
    device = next(network.parameters()).device
    network.eval()
    loss, correct = 0.0, 0
    for x, y in zip(inputs.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True):
        logits, y = network(x.to(device)), y.to(device)
        loss += functional.cross_entropy(logits.double(), y, reduction="sum").item()
        correct += int((logits.argmax(1) == y).sum())
    return loss / len(inputs), correct / len(inputs)


def _eligible(dataset: Dataset, split: str, n_variables: int) -> Tensor:
    """Returns the rows of a split that can be explained: all, or the sentences with enough words that can be masked."""
    inputs, display = getattr(dataset, f"{split}_inputs"), getattr(dataset, f"{split}_display")
    if dataset.kind != "text":
        return torch.arange(len(inputs))
    count = [
        sum(word not in STOP_WORDS and token not in (PAD, UNKNOWN) for word, token in zip(words, row, strict=False))
        for words, row in zip(display, inputs.tolist(), strict=True)
    ]
    return torch.tensor([row for row, words in enumerate(count) if words >= n_variables], dtype=torch.int64)


def explained_samples(dataset: Dataset, config: MaskingConfig) -> Explained:
    """Returns the samples that a run explains, drawn once from both splits, and their variables.

    The first half comes from the training split, with the labels trained on. Of texts only sentences are drawn that
    have n words in the vocabulary that are no stop words; masked words become the unknown token.

    Raises:
        ValueError: kind or baseline do not fit the data, n_variables is not the number of a table's columns, or a split
            has too few samples.
    """
    if config.kind != dataset.kind:
        raise ValueError(f"masking.kind is {config.kind!r}, but the data are of kind {dataset.kind!r}; set it to that")
    rules = ("token",) if config.kind == "text" else ("mean", "zero")
    if config.baseline not in rules:
        raise ValueError(
            f"masking.baseline is {config.baseline!r} for data of kind {config.kind!r}; "
            "use 'token' for texts, 'mean' or 'zero' for all others"
        )
    generator = torch.Generator().manual_seed(config.seed)
    rows = {}
    for split in ("train", "test"):
        eligible = _eligible(dataset, split, config.n_variables)
        if len(eligible) < config.samples_per_split:
            raise ValueError(
                f"samples_per_split is {config.samples_per_split}, but the {split} split has {len(eligible)} samples "
                "that can be explained; ask for fewer samples or variables"
            )
        rows[split] = eligible[torch.randperm(len(eligible), generator=generator)[: config.samples_per_split]]
    train, test = rows["train"], rows["test"]
    inputs = torch.cat([dataset.train_inputs[train], dataset.test_inputs[test]])
    display: list[Any] = [None] * len(inputs)
    if dataset.kind != "image":
        display = [dataset.train_display[i] for i in train] + [dataset.test_display[i] for i in test]

    if config.baseline not in ("mean", "zero"):
        variables = text_variables(
            inputs,
            display,
            n_variables=config.n_variables,
            mask_id=UNKNOWN,
            special_ids=(PAD, UNKNOWN),
            stop_words=tuple(STOP_WORDS),
            seed=config.seed,
        )
    else:
        baseline = baseline_values(config.baseline, dataset.train_inputs)
        if dataset.kind == "image":
            variables = image_variables(
                *dataset.train_inputs.shape[-2:],
                n_variables=config.n_variables,
                patch=config.patch,
                layout=config.layout,
                seed=config.seed,
                baseline_image=baseline,
                at=config.at,
            )
        elif config.n_variables != len(dataset.column_names):
            raise ValueError(
                f"masking.n_variables is {config.n_variables}, but the table has {len(dataset.column_names)} columns, "
                "and each is a variable; set it to that"
            )
        else:
            variables = table_variables(dataset.column_of_feature, dataset.column_names, baseline)
    return Explained(
        inputs=inputs,
        labels=torch.cat([dataset.train_labels[train], dataset.test_labels[test]]),
        split=("train",) * len(train) + ("test",) * len(test),
        index=torch.cat([train, test]),
        variables=variables,
        display=display,
    )


def create_run(root: Path | str, config: RunConfig) -> Run:
    """Returns the run of a built-in data set in the folder `root`, created if it is not there; see `Run.create`."""
    return Run.create(root, config, datasets.load(config.data).class_names)


def _record(run: Run, network: str, epoch: int, model: nn.Module, dataset: Dataset) -> float:
    """Returns the loss on the training split, after writing losses and accuracies of both splits into the run."""
    train_loss, train_accuracy = evaluate(model, dataset.train_inputs, dataset.train_labels)
    test_loss, test_accuracy = evaluate(model, dataset.test_inputs, dataset.test_labels)
    run.record_metrics(
        network,
        epoch,
        train_loss=train_loss,
        test_loss=test_loss,
        train_accuracy=train_accuracy,
        test_accuracy=test_accuracy,
    )
    return test_loss if network != "target" else train_loss


def train_run(run: Run, *, device: torch.device | str = "cpu", progress: Progress | None = None) -> None:
    """Trains the target network of a built-in run and records it: explained samples, checkpoints, losses.

    Losses of every epoch: train_* on the training split with the labels trained on (noise included), test_* on the
    testing split with clean labels. Does nothing if the target is finished; one that was interrupted is trained again
    from epoch 0, and by its seed writes the same checkpoints.

    Raises:
        ValueError: the run brings its own network and data.
    """
    if run.is_finished("target"):
        return
    if is_user_run(run):
        raise ValueError(
            f"run {run.name!r} brings its own network and data; train it yourself and record it with "
            "`interdash.Recorder`, or import its checkpoints with `interdash import`"
        )
    config, dataset = run.config, datasets.load(run.config.data)
    keep = recorded_epochs(config.training)
    if not run.has_explained():
        run.save_explained(explained_samples(dataset, config.masking))

    def on_epoch(epoch: int, model: nn.Module) -> None:
        if epoch in keep:
            run.save_checkpoint("target", epoch, model.state_dict())
        _record(run, "target", epoch, model, dataset)
        if progress is not None:
            progress(epoch, config.training.epochs)

    seed = config.training.seed
    network = networks.build(config.network.architecture, dataset, seed)
    train(
        network,
        dataset.train_inputs,
        dataset.train_labels,
        config.training,
        seed=seed,
        device=device,
        on_epoch=on_epoch,
    )
    run.finish("target")


def train_baseline(
    run: Run,
    index: int,
    *,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    spec: str | None = None,
) -> None:
    """Trains a baseline network by the same recipe on the testing split, to convergence.

    It trains for the recipe's epochs, and on until its mean loss on the testing split is at most `CONVERGED_LOSS`
    (0.01 nats) or improved by less than `MIN_IMPROVEMENT` in `PATIENCE` epochs, `MAX_STRETCH` times the recipe at most;
    the epoch with the lowest loss becomes its one checkpoint. The seed is the target's + 1 + index. Losses mean the
    same as for the target: train_* on the target's training split, test_* on the testing split, which this network is
    trained on. Does nothing if the baseline is finished. A user's run trains with its spec's `train` function instead,
    see `rebuilding.train_user_baseline`.

    Args:
        run: the run; its target need not be trained.
        index: 0, 1, …; the network is called baseline-<index>.
        device: where to train.
        progress: called with epochs done and the most there can be.
        spec: "my_run.py:spec" of a user's run; None = the file recorded with the run.

    Raises:
        ValueError: the index is negative, or the run brings its own network and data but no way to train a baseline.
    """
    name = f"baseline-{index}"
    if run.is_finished(name):
        return
    if is_user_run(run):
        train_user_baseline(run, index, spec=spec, device=device)
        return
    config, dataset = run.config, datasets.load(run.config.data)
    recipe = config.training
    seed = recipe.seed + 1 + index
    last = MAX_STRETCH * recipe.epochs
    lowest, lowest_epoch, weights = math.inf, 0, {}
    mark, marked_epoch = math.inf, 0  # the last loss that was an improvement worth waiting for

    def on_epoch(epoch: int, model: nn.Module) -> bool:
        nonlocal lowest, lowest_epoch, weights, mark, marked_epoch
        loss = _record(run, name, epoch, model, dataset)
        if loss < lowest:
            lowest, lowest_epoch = loss, epoch
            weights = {key: value.detach().clone() for key, value in model.state_dict().items()}
        if loss < mark - MIN_IMPROVEMENT:
            mark, marked_epoch = loss, epoch
        done = epoch >= recipe.epochs and (loss <= CONVERGED_LOSS or epoch - marked_epoch >= PATIENCE)
        if progress is not None:
            progress(epoch, epoch if done else last)
        return done

    train(
        networks.build(config.network.architecture, dataset, seed),
        dataset.test_inputs,
        dataset.test_labels,
        recipe,
        seed=seed,
        device=device,
        on_epoch=on_epoch,
        epochs=last,
    )
    run.save_checkpoint(name, lowest_epoch, weights)
    run.finish(name)
