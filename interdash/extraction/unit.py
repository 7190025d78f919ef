"""One unit of work: a checkpoint loaded, masked inference and the sparse split on its samples, the part written.

A unit is claimed by a file lock, computed, and written in one step: whatever is killed loses only the unit it was at.
"""

import threading
import time
from functools import lru_cache
from typing import Literal

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from interdash.config import RunConfig
from interdash.extraction.work import Work
from interdash.formulas.interactions import matched_outputs
from interdash.masking.outputs import masked_outputs
from interdash.masking.variables import Explained
from interdash.runs.parts import Unit, digest, is_there, write_part
from interdash.solver.sparsify import sparse_split
from interdash.training.loop import one_thread
from interdash.training.network_of_run import network_builder
from interdash.training.own import logits_builder

State = Literal["computed", "there", "claimed"]
PROBE_SECONDS = 10.0  # longest probe for an estimate
_turn = threading.Lock()  # the network and torch's number of threads are one for the process


def compute_unit(work: Work, unit: Unit) -> State:
    """Returns "computed" after writing a unit's part, "there" if it existed, "claimed" if another process is at it.

    Raises:
        DamagedFileError: checkpoint or samples are damaged.
    """
    if is_there(work.run, unit):
        return "there"
    try:
        with FileLock(work.run.parts_dir / "locks" / f"{unit.name}.lock", timeout=0):
            if is_there(work.run, unit):
                return "there"
            start = time.perf_counter()
            columns = _columns(work, unit.network, unit.epoch, range(unit.first, unit.stop))
            arrays = {name: values.numpy() for name, values in columns.items()}
            write_part(work.run, unit, arrays, seconds=time.perf_counter() - start)
            return "computed"
    except Timeout:
        return "claimed"


def _columns(work: Work, network: str, epoch: int, samples: range) -> dict[str, Tensor]:
    """Returns the columns of a part for some samples; with one torch thread on the CPU, so that every bit is fixed."""
    run, device, rows = work.run, work.device, list(samples)
    with _turn, one_thread():
        config, explained, model = _materials(work, run.explained_hash(), digest(run.manifest["config"]))
        model.load_state_dict(run.load_checkpoint(network, epoch))
        inputs, labels = explained.inputs[rows], explained.labels[rows]
        v = masked_outputs(model, inputs, labels, explained.variables.select(rows), device=device)
        split = sparse_split(
            v.to(device),
            config.split.kappa,
            tie_break=config.split.tie_break,
            tolerance=config.split.tolerance,
            zeta=config.split.zeta,
        )
        with torch.inference_mode():
            model.to(device).eval()
            predicted = model(inputs.to(device)).argmax(1).cpu()
        pieces = {name: torch.as_tensor(getattr(split, name)).cpu() for name in _SPLIT_COLUMNS}
    matched = matched_outputs(pieces["i_and"], pieces["i_or"], v[:, 0])
    return {
        "sample": torch.tensor(rows),
        "label": labels,
        "predicted": predicted,
        "v_empty": v[:, 0],
        "v_full": v[:, -1],
        "residual": (matched + pieces["delta"] - v).abs().amax(1),
        "v": v,
        **pieces,
    }


_SPLIT_COLUMNS = ("i_and", "i_or", "delta", "objective", "lower_bound", "gap", "solved")


@lru_cache(maxsize=1)
def _materials(work: Work, explained_hash: str, config_hash: str) -> tuple[RunConfig, Explained, nn.Module]:
    """Returns configuration, explained samples and an empty network of the run, kept while a worker goes on with it."""
    run = work.run
    build = (
        network_builder(run, work.spec) if work.network is None else logits_builder(work.network, len(run.class_names))
    )
    return run.config, run.explained(), build()


@lru_cache(maxsize=4)
def seconds_per_sample(work: Work, unit: Unit) -> float:
    """Returns the seconds that one sample of a unit takes on this machine, from a probe."""
    samples = range(unit.first, unit.stop)
    start = time.perf_counter()
    _columns(work, unit.network, unit.epoch, samples[:1])
    if (time.perf_counter() - start) * len(samples) > PROBE_SECONDS:
        samples = samples[:2]  # a whole unit, which is faster a sample, would take too long
    start = time.perf_counter()
    _columns(work, unit.network, unit.epoch, samples)
    return (time.perf_counter() - start) / len(samples)
