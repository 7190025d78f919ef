"""Masked inference against a bare loop of forward passes, and its peak memory: `python -m benchmarks.inference`.

The bare loop runs the same untrained network over as many inputs, all in one fixed batch that is already in memory, at
whichever batch size is fastest. Both run in turn, one thread; the rate is the median of the paired ratios.
Masked inference can be faster than its bare loop: a first linear layer is computed from the input's parts, the first
convolutions for few masks, and pooling is by slices. The arithmetic limit is the floating-point operations of the
network over the rate of a large product of float32 matrices, measured between the two: only what is computed for fewer
inputs can be faster. See also `against`.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.against import NETWORKS, Transformer
from interdash.config import NetworkConfig
from interdash.masking.outputs import masked_outputs
from interdash.masking.variables import Variables, image_variables
from interdash.presets import MNIST
from interdash.solver.sparsify import sparse_split
from interdash.training import datasets
from interdash.training.loop import seeded

RESULTS = Path(__file__).parent / "results" / "inference.json"
BATCHES = (64, 128, 256, 512, 1024, 2048, 4096)
ROUNDS = 7
LARGE = 1024  # rows of the large matrix
SAMPLES = 4
RATE_BAR = 0.85
MEMORY_BAR = 2.0  # GiB above the interpreter's
MEMORY_CASES = {"n = 16, 1 sample": (16, 1), "n = 10, 1,000 samples": (10, 1000)}


def game(architecture: str, n: int, samples: int) -> tuple[nn.Module, Tensor, Tensor, Variables]:
    """Returns an untrained network, MNIST images with labels, and n patches with the mean image as baseline."""
    network_of = Transformer if architecture == "transformer" else None
    spec = datasets.load(replace(MNIST, network=NetworkConfig("lenet" if network_of else architecture)))
    variables = image_variables(28, 28, n_variables=n, baseline_image=spec.train_inputs.mean(0))
    with seeded(0):
        network = (network_of or spec.network)()
    return network, spec.train_inputs[:samples], spec.train_labels[:samples], variables


def seconds(run: Callable[[], object]) -> float:
    """Returns the processor time of one call, in seconds."""
    start = time.process_time()
    run()
    return time.process_time() - start


def bare_loop(network: nn.Module, batch: Tensor, rows: int) -> None:
    """Runs `rows` inputs through the network, one batch again and again."""
    with torch.inference_mode():
        for _ in range(rows // len(batch)):
            network(batch)


def flops(network: nn.Module, x: Tensor) -> int:
    """Returns the floating-point operations of matrix products and convolutions for one input."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network.train()(x)  # in eval mode an encoder runs as one operation, which is not counted
    network.eval()
    return counter.get_total_flops()


def product(a: Tensor, times: int) -> None:
    """Multiplies a large matrix by itself, so many times."""
    for _ in range(times):
        torch.mm(a, a)


def rate(architecture: str) -> dict[str, float | int | str]:
    """Returns the rate of masked inference for n = 10 as a share of the bare forward rate."""
    network, inputs, labels, variables = game(architecture, 10, SAMPLES)
    network.eval()
    rows = SAMPLES * 2**10
    images = datasets.load(MNIST).train_inputs.repeat(5, 1, 1, 1)
    batches = {size: images[:size].clone() for size in BATCHES}
    search = {
        size: [seconds(lambda s=size: bare_loop(network, batches[s], rows)) for _ in range(3)] for size in BATCHES
    }
    best = min(BATCHES, key=lambda size: statistics.median(search[size]))
    bare, masked, products, large = [], [], [], torch.rand(LARGE, LARGE)
    operations = flops(network, images[:1])
    for _ in range(ROUNDS):
        products.append(seconds(lambda: product(large, 4)) / (4 * 2 * LARGE**3))
        bare.append(seconds(lambda: bare_loop(network, batches[best], rows)))
        masked.append(seconds(lambda: masked_outputs(network, inputs, labels, variables)))
    return {
        "network": architecture,
        "best_batch": best,
        "bare_us": 1e6 * statistics.median(bare) / rows,
        "masked_us": 1e6 * statistics.median(masked) / rows,
        "ratio": statistics.median(b / m for b, m in zip(bare, masked, strict=True)),
        "flops": operations,
        "limit_us": 1e6 * statistics.median(products) * operations,
        "over_limit": statistics.median(m / (p * operations * rows) for m, p in zip(masked, products, strict=True)),
    }


def peak_gib() -> float:
    """Returns the peak memory of this process so far, in GiB (Linux; getrusage would count the parent's too)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def memory(case: str) -> dict[str, float | str]:
    """Returns a case's peaks in GiB, measured in a process of its own."""
    n, samples = MEMORY_CASES[case]
    code = f"import benchmarks.inference as b; b.measure_memory({n}, {samples})"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return {"case": case, **json.loads(out)}


def measure_memory(n: int, samples: int) -> None:
    """Prints as JSON, in GiB: peak before, after masked inference, and after the split."""
    torch.set_num_threads(1)
    network, inputs, labels, variables = game("lenet", n, samples)
    before = peak_gib()
    v = masked_outputs(network, inputs, labels, variables)
    after_inference = peak_gib()
    sparse_split(v)
    print(json.dumps({"imported": before, "inference": after_inference, "with_split": peak_gib()}))


def main() -> None:
    """Prints the tables and keeps them as JSON."""
    torch.set_num_threads(1)
    code = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    interpreter = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout) / 2**20
    rates = [rate(architecture) for architecture in (*NETWORKS, "mlp")]
    print(f"masked inference, MNIST, n = 10, {SAMPLES} samples; microseconds an input; bar: ratio ≥ {RATE_BAR}")
    for row in rates:
        print(
            "  {network:11} bare {bare_us:6.2f} (batch {best_batch})  masked {masked_us:6.2f}  ratio {ratio:.2f}  "
            "arithmetic limit {limit_us:6.2f}, over it {over_limit:.2f}".format(**row)
        )
    peaks = [memory(case) for case in MEMORY_CASES]
    print(f"peak memory, LeNet, GiB above the interpreter's {interpreter:.2f}; bar: < {MEMORY_BAR}")
    for row in peaks:
        above = {key: value - interpreter for key, value in row.items() if isinstance(value, float)}
        print(
            f"  {row['case']:22} with torch and data {above['imported']:.2f}  "
            f"masked inference {above['inference']:.2f}  and split {above['with_split']:.2f}"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({"rates": rates, "memory_gib": peaks, "interpreter_gib": interpreter}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
