"""One unit of work: a checkpoint loaded, masked inference and the sparse split on its samples, the part written.

A unit is claimed by a file lock, computed, and written in one step: whatever is killed loses only the unit it was at.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from interdash.config import RunConfig
from interdash.extraction.work import Work
from interdash.formulas.interactions import matched_outputs
from interdash.masking.outputs import masked_outputs
from interdash.masking.variables import Explained
from interdash.runs.files import DamagedFileError
from interdash.runs.parts import Unit, digest, is_there, write_part
from interdash.runs.run import Run
from interdash.solver.sparsify import sparse_split
from interdash.training.loop import one_thread
from interdash.training.network_of_run import network_builder
from interdash.training.own import logits_builder

State = Literal["computed", "there", "claimed"]
PROBE_SECONDS = 10.0  # longest probe for an estimate
_probed: dict[tuple[Work, Unit], tuple[dict[str, Tensor], float]] = {}  # columns and seconds of the last probe
_turn = threading.Lock()  # the network and torch's number of threads are one for the process


def compute_unit(work: Work, unit: Unit) -> State:
    """Returns "computed" after writing a unit's part, "there" if it existed, "claimed" if another process is at it.

    Raises:
        DamagedFileError: checkpoint or samples are damaged.
    """
    with _claim(work.run, unit) as state:
        if state == "computed":
            start = time.perf_counter()
            columns, seconds = _probed.pop((work, unit), None) or (_computed(work, [unit]), 0.0)
            _write(work.run, unit, columns, seconds + time.perf_counter() - start)
        return state


def compute_units(work: Work, units: Sequence[Unit], writer: Executor) -> list[tuple[Unit, Callable[[], State]]]:
    """Returns units with their outcomes, as `compute_unit` gives or raises them, from one split of all their samples.

    The writer, of one thread, is handed their parts to write.
    """
    with ExitStack() as claims:
        start, states = time.perf_counter(), {unit: claims.enter_context(_claim(work.run, unit)) for unit in units}
        ours = [unit for unit in units if states[unit] == "computed"]
        try:
            columns = _computed(work, ours) if ours else {}
        except DamagedFileError:  # of one of them: each by itself
            return [(unit, lambda unit=unit: compute_unit(work, unit)) for unit in units]
        outcomes: dict[Unit, Any] = {unit: lambda state=state: state for unit, state in states.items()}
        sizes = [unit.stop - unit.first for unit in ours]
        a_sample = (time.perf_counter() - start) / max(1, sum(sizes))
        for unit, size, *part in zip(ours, sizes, *(values.split(sizes) for values in columns.values()), strict=True):
            named = dict(zip(columns, part, strict=True))
            outcomes[unit] = writer.submit(_write, work.run, unit, named, size * a_sample).result
        writer.submit(claims.pop_all().close)
    return list(outcomes.items())


@contextmanager
def _claim(run: Run, unit: Unit) -> Iterator[State]:
    """Yields "computed" if a unit is to be computed here, which is claimed in the meantime; else where it is."""
    if is_there(run, unit):
        yield "there"
        return
    lock = FileLock(run.parts_dir / "locks" / f"{unit.name}.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        yield "claimed"
        return
    try:
        yield "there" if is_there(run, unit) else "computed"
    finally:
        lock.release()


def _computed(work: Work, units: Sequence[Unit]) -> dict[str, Tensor]:
    """Returns columns of the parts of units, one after another; units of a checkpoint in a row are masked together.

    With one torch thread on the CPU, so that every bit is fixed.
    """
    run, device, passes = work.run, work.device, []
    with _turn, one_thread():
        config, explained, model = _materials(work, run.explained_hash(), digest(run.manifest["config"]))
        for (network, epoch), some in itertools.groupby(units, lambda unit: (unit.network, unit.epoch)):
            rows = [row for unit in some for row in range(unit.first, unit.stop)]
            model.load_state_dict(run.load_checkpoint(network, epoch))
            inputs, labels = explained.inputs[rows], explained.labels[rows]
            v = masked_outputs(model, inputs, labels, explained.variables.select(rows), device=device)
            with torch.inference_mode():
                model.to(device).eval()
                predicted = model(inputs.to(device)).argmax(1).cpu()
            passes.append({"sample": torch.tensor(rows), "label": labels, "predicted": predicted, "v": v})
        joined = {name: torch.cat([each[name] for each in passes]) for name in passes[0]}
        split = sparse_split(
            joined["v"].to(device),
            config.split.kappa,
            tie_break=config.split.tie_break,
            tolerance=config.split.tolerance,
            zeta=config.split.zeta,
        )
        return joined | {name: torch.as_tensor(getattr(split, name)).cpu() for name in _SPLIT_COLUMNS}


def _write(run: Run, unit: Unit, columns: dict[str, Tensor], seconds: float) -> State:
    """Returns "computed" after writing a unit's part."""
    v = columns["v"]
    matched = matched_outputs(columns["i_and"], columns["i_or"], v[:, 0])
    residual = (matched + columns["delta"] - v).abs().amax(1)
    whole = columns | {"v_empty": v[:, 0], "v_full": v[:, -1], "residual": residual}
    write_part(run, unit, {name: values.numpy() for name, values in whole.items()}, seconds=seconds)
    return "computed"


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
    """Returns the seconds that one sample of a unit takes on this machine, from a probe.

    A whole unit that it computed is kept for `compute_unit` in this process.
    """
    start, samples = time.perf_counter(), unit.stop - unit.first
    _computed(work, [replace(unit, stop=unit.first + 1)])
    if (time.perf_counter() - start) * samples > PROBE_SECONDS:
        samples = min(samples, 2)  # a whole unit, which is faster a sample, would take too long
    start, probe = time.perf_counter(), replace(unit, stop=unit.first + samples)
    columns, seconds = _computed(work, [probe]), time.perf_counter() - start
    _probed.clear()
    if probe == unit:
        _probed[work, unit] = columns, seconds
    return seconds / samples
