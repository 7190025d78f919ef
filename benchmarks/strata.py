"""What strata are worth: `python -m benchmarks.strata`, results/strata.json. Three minutes.

Of the demo's training and testing split, whose losses are all known, 50 + 50 samples are drawn at random, and one from
each of 50 strata of the final loss: how far the gap of the samples lies from that of the splits, also at earlier
epochs. Then 300 + 300 are explained, by one baseline network, and 50 + 50 drawn of these: how wide the interval is of
the change of the gap by removing the non-generalizable interactions, and how often it holds that of all 300 + 300. The
final loss says less of this change: least on the training split, where nearly all final losses are 0.
"""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.solver import Row, row
from interdash.formulas.bootstrap import one_of_each_stratum, percentile
from interdash.pipeline import extract_and_label, train_baselines
from interdash.presets import MNIST
from interdash.queries import removal
from interdash.store.database import open_store
from interdash.store.loading import refresh
from interdash.training import datasets
from interdash.training.builtin import create_run, train_run
from interdash.training.loop import sample_losses

RESULTS = Path(__file__).parent / "results" / "strata.json"
SPLITS = ("train", "test")
EPOCHS = (20, 40, MNIST.training.epochs)
SAMPLES, POOL, DRAWS = 50, 300, 1000  # of each split: drawn, explained; draws
LARGEST = 1 / 3  # of the standard deviation of random draws
NARROWER = 1.25
Values = dict[str, np.ndarray]  # by split, of every sample


def main() -> int:
    """Returns 0 if every bar holds, else 1."""
    with TemporaryDirectory() as root:
        losses, final, changes = explained(Path(root))
    rows = [*gaps(losses), *intervals(final, changes)]
    RESULTS.write_text(json.dumps({"samples": SAMPLES, "draws": DRAWS, "rows": rows}, indent=1) + "\n")
    return int(not all(each["passed"] for each in rows))


def explained(root: Path) -> tuple[dict[int, Values], Values, Values]:
    """Returns the losses of every sample of the demo by epoch; of the explained the last, and its change by removal."""
    spec = datasets.load(MNIST)
    config = replace(
        MNIST,
        masking=replace(MNIST.masking, samples_per_split=POOL),
        training=replace(MNIST.training, checkpoints=EPOCHS),
        generalization=replace(MNIST.generalization, baselines=1),
    )
    run = create_run(root, config)
    train_run(run)
    losses, network = {}, spec.network()
    for epoch in EPOCHS:
        network.load_state_dict(run.load_checkpoint("target", epoch))
        losses[epoch] = {split: sample_losses(network, *spec.split(split)[:2])[0].numpy() for split in SPLITS}
    for epoch in run.checkpoint_epochs("target")[:-1]:  # the last alone is extracted
        run.checkpoint_path("target", epoch).unlink()
    train_baselines(run)
    extract_and_label(run)
    store = open_store()
    refresh(store, run)
    table = removal.sample_removals(store, run.name, EPOCHS[-1])
    store.close()
    of_splits = {split: table[table["split"] == split] for split in SPLITS}
    final, changes = (
        {split: rows[name].to_numpy(float) for split, rows in of_splits.items()} for name in ("before", "change")
    )
    return losses, final, changes


def drawn(losses: Values, rng: np.random.Generator, *, strata: bool) -> Values:
    """Returns the rows of the samples of one draw, by split; those in strata from the lowest final loss on."""
    if strata:
        return {split: one_of_each_stratum(of_split, SAMPLES, rng) for split, of_split in losses.items()}
    return {split: rng.choice(len(of_split), SAMPLES, replace=False) for split, of_split in losses.items()}


def gap(values: Values, rows: Values | None = None) -> float:
    """Returns mean testing − mean training value, of some samples or of all."""
    means = [values[split][slice(None) if rows is None else rows[split]].mean() for split in SPLITS]
    return float(means[1] - means[0])


def gaps(losses: dict[int, Values]) -> list[Row]:
    """Returns how far the gap of explained samples is spread, in strata against at random, and its bias."""
    rows, last = [], losses[EPOCHS[-1]]
    rng = np.random.default_rng(0)
    draws = {kind: [drawn(last, rng, strata=kind == "strata") for _ in range(DRAWS)] for kind in ("random", "strata")}
    for epoch in reversed(EPOCHS):
        found = {kind: np.array([gap(losses[epoch], each) for each in draws[kind]]) for kind in draws}
        ratio = found["strata"].std() / found["random"].std()
        bias = abs(found["strata"].mean() - gap(losses[epoch])) / (found["strata"].std() / np.sqrt(DRAWS))
        words = f"{found['strata'].std():.3f} against {found['random'].std():.3f} nats"
        rows.append(row(f"epoch {epoch}: s.d. of the gap, {words}", ratio, LARGEST if epoch == EPOCHS[-1] else 1, "×"))
        rows.append(row(f"epoch {epoch}: bias of the mean gap", bias, 2, "s.e."))
    return rows


def intervals(losses: Values, changes: Values) -> list[Row]:
    """Returns how much narrower the interval of the removal's change is in strata, and how often each holds it."""
    rng, widths, holds = np.random.default_rng(1), {}, {}
    for kind in ("random", "strata"):
        group = np.arange(SAMPLES) if kind == "strata" else SAMPLES
        ends = []
        for _ in range(DRAWS // 5):
            rows = drawn(losses, rng, strata=kind == "strata")
            train, test = (changes[split][rows[split]] for split in SPLITS)
            ends.append(percentile(lambda a, b, x=train, y=test: y[b].mean(-1) - x[a].mean(-1), group, group))
        low, high = np.array(ends).T
        widths[kind], holds[kind] = np.median(high - low), 100 * np.mean((low <= gap(changes)) & (gap(changes) <= high))
    words = f"{widths['strata']:.3f} against {widths['random']:.3f} nats"
    return [
        row(
            f"removal's change of the gap, interval: {words}", widths["random"] / widths["strata"], NARROWER, "×", True
        ),
        *(row(f"removal's change inside its interval, {kind}", holds[kind], 85, "%", True) for kind in holds),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
