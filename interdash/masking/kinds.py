"""The kinds of input: `KINDS["image"]`. All that sets one apart stands here, its drawing in `figures.inputs.INPUTS`.

A new kind is one entry here and one there. The dashboard asks about kinds: what needs torch is handed over.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from interdash.config import MaskingConfig

if TYPE_CHECKING:
    from torch import Tensor


MASKED = {  # what a masked variable becomes, by `MaskingConfig.baseline`
    "mean": "their mean over the training samples",
    "zero": "zero",
    "token": "the mask token",
    "embedding": "a given embedding, no token's",
    "learned": "an embedding that was learned for it, so that words interact little",
    "user": "the values that come with the data",
}


def _names(inputs: Tensor, variables: Any) -> list[Any]:
    return [list(variables.names_of(i)) for i in range(len(inputs))]


def _values(inputs: Tensor, variables: Any) -> list[Any]:
    """Returns {variable: its value, or the list of its features' values} of each sample."""
    display = []
    for i, row in enumerate(inputs):
        of_feature = variables.assignment[i] if variables.per_sample else variables.assignment
        values = [row[of_feature == variable].tolist() for variable in range(variables.n_variables)]
        names = variables.names_of(i)
        display.append({name: v[0] if len(v) == 1 else v for name, v in zip(names, values, strict=True)})
    return display


@dataclass(frozen=True)
class Kind:
    """What sets a kind of input apart.

    Attributes:
        rank: the axes of an input that variables divide up, its last ones: 2 = height and width.
        channels: whether other axes may stand before these; each is masked alike.
        same_variables: whether a variable means the same in every sample, so that samples can be averaged by variable.
        numbered: whether a variable is called by its number in the drawing; else by its name, a word.
        baselines: what `MaskingConfig.baseline` can be; "user" = the values come with the user's own `Variables`.
        variables: `variables(config, spec, make)` gives the `Variables` that a `MaskingConfig` describes; `make` is the
            module `masking.variables`. None = no configuration can, a spec brings `Variables` or a function.
        display: `display(inputs, variables)`: what the dashboard shows of each sample if the spec does not say.
        picture: makes the PNG of an input; None = it is shown by what it displays.
    """

    rank: int
    channels: bool = True
    same_variables: bool = True
    numbered: bool = False
    baselines: tuple[str, ...] = ("user",)
    variables: Callable[[MaskingConfig, Any, Any], Any] | None = None
    display: Callable[[Tensor, Any], list[Any]] = _names
    picture: Callable[[np.ndarray], bytes] | None = None

    @property
    def pattern(self) -> str:
        """What interactions of several samples share that count as the same one: see `formulas.subsets.WAYS`."""
        return "variables" if self.same_variables else "order" if self.numbered else "words"


def kind_of(name: str) -> Kind:
    """Returns the kind of that name; raises ValueError if there is none."""
    if name not in KINDS:
        raise ValueError(f"there is no kind of input {name!r}; choose one of {', '.join(KINDS)}, or add it to KINDS")
    return KINDS[name]


def check_baseline(config: MaskingConfig) -> None:
    """Raises ValueError if inputs of this kind cannot be masked to that baseline."""
    if config.baseline not in (rules := kind_of(config.kind).baselines):
        raise ValueError(
            f"masking.baseline is {config.baseline!r} for inputs of kind {config.kind!r}; "
            f"use {' or '.join(map(repr, rules))}"
        )


def png(pixels: np.ndarray) -> bytes:
    """Returns an image `[channels, height, width]` as a PNG, grey (from any but 3 channels: their mean) or RGB.

    Values from 0 to 1 are shown as they are; an image with others (standardised, say) is stretched to its own range.
    """
    from PIL import Image

    pixels = np.asarray(pixels, np.float64)
    if pixels.shape[0] != 3:
        pixels = pixels.mean(0, keepdims=True)
    inside = pixels.min() >= 0 and pixels.max() <= 1
    low, high = (0.0, 1.0) if inside else (pixels.min(), pixels.max())
    data = np.round((pixels - low) / max(high - low, 1e-12) * 255).astype(np.uint8).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(data.squeeze(2) if data.shape[2] == 1 else data).save(file, format="PNG")
    return file.getvalue()


def coordinates(cloud: np.ndarray) -> np.ndarray:
    """Returns a cloud of points, `[points, axes]` or `[axes, points]`, as `[points, axes]`: there are more points."""
    cloud = np.asarray(cloud, np.float64)
    return cloud if cloud.shape[0] >= cloud.shape[1] else cloud.T


def _curve_png(series: np.ndarray) -> bytes:
    """Returns a series, `[length]` or `[channels, length]`, as a small picture of its curves."""
    rows = np.atleast_2d(series)
    places = np.linspace(0, 1, rows.shape[1])
    return _drawing([np.stack([places, row], 1) for row in rows], joined=True)


def _cloud_png(cloud: np.ndarray) -> bytes:
    """Returns a cloud of points as a small picture, seen along its last axis."""
    return _drawing([coordinates(cloud)[:, :2]], joined=False)


def _drawing(curves: list[np.ndarray], *, joined: bool, side: int = 84, edge: int = 4) -> bytes:
    """Returns black curves or dots `[points, 2]` on white, stretched to the same square, as a PNG."""
    from PIL import Image, ImageDraw

    every = np.concatenate(curves)
    low, span = every.min(0), np.maximum(np.ptp(every, axis=0), 1e-12)
    picture = Image.new("L", (side, side), 255)
    draw = ImageDraw.Draw(picture)
    for curve in curves:
        x, y = ((curve - low) / span * (side - 2 * edge) + edge).T
        places = list(zip(x.tolist(), (side - y).tolist(), strict=True))
        draw.line(places) if joined else draw.point(places)
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def _numbers(inputs: Tensor, variables: Any) -> list[Any]:
    return [np.round(row, 4).tolist() for row in inputs.double().numpy()]


def _segments(config: MaskingConfig, spec: Any, make: Any) -> Any:
    baseline = make.baseline_values(config.baseline, spec.train_inputs)
    return make.series_variables(spec.train_inputs.shape[-1], n_variables=config.n_variables, baseline=baseline)


def _patches(config: MaskingConfig, spec: Any, make: Any) -> Any:
    return make.image_variables(
        *spec.train_inputs.shape[-2:],
        n_variables=config.n_variables,
        patch=config.patch,
        layout=config.layout,
        seed=config.seed,
        baseline_image=make.baseline_values(config.baseline, spec.train_inputs),
        at=config.at,
    )


def _columns(config: MaskingConfig, spec: Any, make: Any) -> Any:
    column_of_feature = list(spec.column_of_feature) or list(range(spec.train_inputs.shape[1]))
    columns = list(spec.columns) or [f"x{i}" for i in range(max(column_of_feature) + 1)]
    return make.table_variables(column_of_feature, columns, make.baseline_values(config.baseline, spec.train_inputs))


KINDS = {
    "image": Kind(
        rank=2,
        numbered=True,
        baselines=("mean", "zero"),
        variables=_patches,
        display=lambda inputs, variables: [None] * len(inputs),
        picture=png,
    ),
    "text": Kind(rank=1, same_variables=False, baselines=("token", "embedding", "learned")),
    "table": Kind(rank=1, channels=False, baselines=("mean", "zero"), variables=_columns, display=_values),
    "series": Kind(
        rank=1,
        numbered=True,
        baselines=("mean", "zero"),
        variables=_segments,
        display=_numbers,
        picture=_curve_png,
    ),
    "points": Kind(rank=2, same_variables=False, numbered=True, display=_numbers, picture=_cloud_png),
}
