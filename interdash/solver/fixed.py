"""The solver's steps on a GPU: buffers that stay where they are, so that one step can be captured once and replayed.

A step counts itself, has fixed shapes and asks nothing back from the device. Its sums over subsets are products with
halves of the variables, as the projection's rotations are: few launches, each large.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor

from interdash.solver.projection import Projector, subset_sums_
from interdash.solver.steps import OVER_RELAXATION, State, limits, schedule, settled

NARROWEST = 2**16  # entries of an array below which a step is taken to last as long: no buffers are narrower
BUFFERS = ("moved", "u", "zeta", "threshold", "shift")


@contextlib.contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Switches TF32 off on CUDA: its 10 bits of mantissa are too few for sums over 2^n outputs."""
    switches: tuple[Any, ...] = ()
    if device.type == "cuda":
        switches = cast(Any, torch.backends.cudnn).conv, torch.backends.cuda.matmul
    before = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = "ieee"
        yield
    finally:
        for switch, precision in zip(switches, before, strict=True):
            switch.fp32_precision = precision


def replayed(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Returns what takes a step: on a GPU its CUDA graph, where it can be captured; else the step itself."""
    if device.type != "cuda":
        return step
    try:
        with torch.cuda.device(device):
            stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                step()  # libraries load and take their memory before the capture
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                step()
            torch.cuda.current_stream().wait_stream(stream)
    except (RuntimeError, AssertionError):  # the latter: torch has no CUDA
        return step
    return graph.replay


class FixedSteps:
    """Takes steps in place of `steps.iterate`, through one solve whose samples become fewer."""

    def __init__(self, weights: Tensor, solver: Projector, max_steps: int) -> None:
        self.schedule = torch.tensor(schedule(range(max_steps)), dtype=weights.dtype).to(weights.device)
        self.halves = []  # of the sums over [subsets, supersets]: those of the upper variables, those of the lower ones
        for half in (solver.high, solver.low):
            sums = subset_sums_(torch.eye(len(half), dtype=half.dtype)).to(half.device)
            self.halves.append(torch.stack([sums, sums.T]))
        self.step = torch.zeros(1, dtype=torch.int64, device=weights.device)
        self.weights, self.solver, self.width = weights, solver, 0
        self.take, self.buffers, self.multiplier = self._take, State(), weights

    def __call__(self, s: State, steps: range, weights: Tensor, shift: Tensor, solver: Projector) -> Tensor:
        """Takes steps, in place on `moved`; returns the multiplier of the last one's projection."""
        subsets, samples = s["u"].shape
        needed, s = max(samples, NARROWEST // subsets), {**s, "shift": shift}
        if not needed <= self.width <= 4 * needed:
            self.width, self.take, self.buffers = needed, self._take, {}  # what was there is freed first
            self.multiplier = s["u"].new_zeros(subsets, needed)
            self.buffers = {name: s[name].new_ones(*s[name].shape[:-1], needed) for name in BUFFERS}
            self.take = replayed(self._take, s["u"].device)
        for name, buffer in self.buffers.items():
            buffer[..., :samples].copy_(s[name])
        self.step.fill_(steps.start - 1)
        for _ in steps:
            self.take()
        s["moved"].copy_(self.buffers["moved"][..., :samples])
        return self.multiplier[..., :samples].clone()

    def _take(self) -> None:
        """Takes a step: projects 2z − moved onto the equality, x = 2z − moved + [Aᵀ, Oᵀ, shift] λ; adds 1.7 (x − z)."""
        s, moved, multiplier = self.buffers, self.buffers["moved"], self.multiplier
        head, inside = self.schedule.index_select(1, self.step)
        z = settled(moved, limits(s, head, inside, self.weights))
        point = moved.lerp(z, 2.0)
        moved.lerp_(z, OVER_RELAXATION)
        of_and, of_or = self._sums(point[:2])  # OR by complements: O o is the total less sums over supersets
        multiplier.copy_(self.solver.solve(s["u"] - point[2] - of_and + of_or - of_or[0], s["shift"]))
        below, above = self._sums(multiplier)
        moved[0].add_(above, alpha=OVER_RELAXATION)
        moved[1].add_(below[-1] - below, alpha=OVER_RELAXATION)
        moved[2].addcmul_(multiplier, s["shift"], value=OVER_RELAXATION)
        self.step += 1

    def _sums(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the sums of x[0] over subsets and of x[1] over supersets, `[2^n, samples]`; of one x both."""
        high, low = self.halves
        halfway = high @ x.view(*x.shape[:-2], len(high[0]), -1)
        first, second = (
            torch.bmm(low[i].expand(len(high[0]), -1, -1), halfway[i].view(len(high[0]), len(low[0]), -1)).view(
                -1, x.shape[-1]
            )
            for i in (0, 1)
        )
        return first, second
