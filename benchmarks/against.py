"""Masked inference, split and extraction here and in the tree of another commit: `python -m benchmarks.against FOLDER`.

One process a tree, in turn, one thread, processor time; the figure is the median quotient over rounds. Networks are
untrained on MNIST images, n = 10; games are those of trained networks (`benchmarks.games`), κ = 0.02, in batches of 50.
End to end is `interdash extract` as a command, its start included, on copies of a small run that the older tree trains.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

RESULTS = Path(__file__).parent / "results" / "against.json"
NETWORKS = ("lenet", "vgg", "resnet8", "transformer")
FAMILIES = ("digits-trained", "table-trained")
SIZES = (8, 10, 12)
SAMPLES = 50
ROUNDS = 5
RUNS = {"census": (50, (0, 2, 10, 60)), "fashion-vgg": (10, (0, 5, 20))}  # samples per split, checkpoints
RUN_ROUNDS = 3
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
BARS = {"lenet": 2.2, "vgg": 2.2, "resnet8": 1.15, "transformer": 1.0, "8": 2.0, "10": 2.0, "12": 2.0}
BARS |= dict.fromkeys(RUNS, 2.0)


class Transformer(nn.Module):
    """Two encoder layers of width 64 over an image's 16 patches."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
        self.words, self.head = nn.Linear(49, 64), nn.Linear(64, 10)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        patches = nn.functional.unfold(x, 7, stride=7).transpose(1, 2)
        return self.head(self.encoder(self.words(patches)).mean(1))


def outputs(name: str) -> Any:
    """Returns a call that gives v of a network by its name: `[4, 2^10]`."""
    from interdash.config import NetworkConfig
    from interdash.masking.outputs import masked_outputs
    from interdash.masking.variables import image_variables
    from interdash.presets import MNIST
    from interdash.training import datasets

    spec = datasets.load(MNIST if name == "transformer" else replace(MNIST, network=NetworkConfig(name)))
    torch.manual_seed(0)
    network = Transformer() if name == "transformer" else spec.network()
    variables = image_variables(28, 28, n_variables=10, baseline_image=spec.train_inputs.mean(0))
    return lambda: masked_outputs(network, spec.train_inputs[:4], spec.train_labels[:4], variables).numpy()


def gaps(path: str) -> Any:
    """Returns a call that gives objective and gap of the games in a file: `[2, samples]`."""
    from interdash.solver.sparsify import sparse_split

    v = np.load(path)

    def solve() -> np.ndarray:
        split = sparse_split(v, 0.02)
        return np.stack([split.objective, split.gap])

    return solve


def answer() -> None:
    """Does what each line of standard input names, prints the seconds it took; what it gives goes to a file."""
    torch.set_num_threads(1)
    calls: dict[str, Any] = {}
    for line in sys.stdin:
        what, path = line.split()
        if what not in calls:
            calls[what] = gaps(what) if what.endswith(".npy") else outputs(what)
        start = time.process_time()
        result = calls[what]()
        seconds = time.process_time() - start
        np.save(path, result)
        print(seconds, flush=True)


def quotient(what: str, workers: list[subprocess.Popen[str]], scratch: Path) -> tuple[float, np.ndarray, np.ndarray]:
    """Returns how many times as fast the second worker is, and what each of both gives."""
    times: list[list[float]] = [[], []]
    files = [scratch / "there.npy", scratch / "here.npy"]
    for _ in range(ROUNDS + 1):  # the first one is not counted
        for seconds, worker, file in zip(times, workers, files, strict=True):
            assert worker.stdin and worker.stdout
            print(what, file, file=worker.stdin, flush=True)
            seconds.append(float(worker.stdout.readline()))
    faster = statistics.median(there / here for there, here in zip(times[0][1:], times[1][1:], strict=True))
    return faster, np.load(files[0]), np.load(files[1])


def compare(folder: Path, networks: tuple[str, ...] = NETWORKS, games: dict[int, np.ndarray] | None = None) -> Any:
    """Returns the table: what, how many times as fast here as in the other tree, and how the results differ."""
    code = f"import runpy; runpy.run_path({str(Path(__file__).resolve())!r})['answer']()"
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        workers = [
            subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True, cwd=tree)
            for tree in (folder.resolve(), Path(__file__).resolve().parents[1])
        ]
        for network in networks:
            faster, there, here = quotient(network, workers, scratch)
            differs = float(np.abs(there - here).max() / np.abs(there).max())
            rows.append({"what": network, "faster": faster, "difference of v over its highest": differs})
            print(rows[-1], flush=True)
        for n, v in (games or {}).items():
            path = scratch / f"{n}.npy"
            np.save(path, v)
            faster, there, here = quotient(str(path), workers, scratch)
            gap = {name: [float(np.median(g)), float(g.max())] for name, g in (("there", there[1]), ("here", here[1]))}
            rows.append({"what": str(n), "faster": faster, "median and highest gap": gap})
            print(rows[-1], flush=True)
        for worker in workers:
            worker.communicate()
    return rows


def train(name: str, samples: str, checkpoints: str, root: str) -> None:
    """Trains a built-in run with its baseline network; runs in the older tree."""
    from interdash.pipeline import train_baselines
    from interdash.presets import PRESETS
    from interdash.training.builtin import create_run, train_run

    config, epochs = PRESETS[name].config, tuple(json.loads(checkpoints))
    training = replace(config.training, epochs=epochs[-1], checkpoints=epochs)
    masking = replace(config.masking, samples_per_split=int(samples))
    data = replace(config.data, n_train=200, n_test=200)  # so that training takes seconds
    run = create_run(root, replace(config, data=data, training=training, masking=masking))
    train_run(run)
    train_baselines(run)


def command_seconds(arguments: list[str], tree: Path) -> float:
    """Returns the processor time of a command of Python in a tree, with one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=tree, env=ONE_THREAD, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def end_to_end(folder: Path) -> list[dict[str, Any]]:
    """Returns rows of the table for the extract command: seconds in both trees, how many times as fast it is here."""
    rows = []
    code = f"import runpy, sys; runpy.run_path({str(Path(__file__).resolve())!r})['train'](*sys.argv[1:])"
    with tempfile.TemporaryDirectory() as scratch:
        for name, (samples, checkpoints) in RUNS.items():
            trained = Path(scratch, "trained")
            command_seconds(["-c", code, name, str(samples), json.dumps(checkpoints), str(trained)], folder)
            seconds: list[list[float]] = [[], []]
            for _ in range(RUN_ROUNDS):
                for spent, tree in zip(seconds, (folder, Path(__file__).resolve().parents[1]), strict=True):
                    root = shutil.copytree(trained, Path(scratch, "copy"))
                    command = ["-m", "interdash", "extract", name, "--root", str(root), "--workers", "0"]
                    spent.append(command_seconds(command, tree))
                    shutil.rmtree(root)
            there, here = map(statistics.median, seconds)
            faster = statistics.median(a / b for a, b in zip(*seconds, strict=True))
            rows.append({"what": name, "faster": faster, "seconds there": there, "seconds here": here})
            print(rows[-1], flush=True)
    return rows


def main() -> int:
    """Returns 0 if every bar holds, else 1; prints the table and keeps it as JSON."""
    from benchmarks.games import games

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the tree of the other commit")
    folder = parser.parse_args().folder
    commit = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    each = -(-SAMPLES // len(FAMILIES))
    of_size = {n: np.concatenate([games(family, n, each) for family in FAMILIES])[:SAMPLES] for n in SIZES}
    rows = compare(folder, games=of_size) + end_to_end(folder.resolve())
    for row in rows:
        row["bar"] = BARS[row["what"]]
    about = {"against": commit, "torch": torch.__version__, "conditions": os.environ.get("CONDITIONS", "")}
    RESULTS.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    return int(any(row["faster"] < row["bar"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
