"""Real games for the benchmarks: outputs of trained, untrained and label-noise networks on real samples, cached.

A family is `<data>-<state>`: digits (MLP, whole image in n regions), mnist (LeNet, 4×4 patches) or table (census, MLP,
n of its 12 columns); trained to convergence, untrained, or trained with 20 % of the training labels redrawn.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from interdash.config import RunConfig
from interdash.masking.outputs import masked_outputs
from interdash.presets import PRESETS
from interdash.training import datasets
from interdash.training.loop import seeded, train
from interdash.training.spec import explained_samples

CACHE = Path(__file__).parent / "cache"
PRESET_OF = {"digits": "digits", "mnist": "mnist", "table": "census"}
LABEL_NOISE = {"trained": 0.0, "untrained": 0.0, "noise": 0.2}
FAMILIES = tuple(f"{data}-{state}" for data in PRESET_OF for state in LABEL_NOISE)
SAMPLES = 64  # games a family, half from the training split and half from the testing split, in turn
COLUMNS = 12  # of the census table


def games(family: str, n: int, samples: int = SAMPLES) -> np.ndarray:
    """Returns the outputs v of the first `samples` games of a family, cached: float64 `[samples, 2**n]`, nats."""
    path = CACHE / f"games_{family}_n{n}.npy"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.npy")
        np.save(draft, make_games(family, n))
        draft.rename(path)
    return np.load(path)[:samples]


def make_games(family: str, n: int) -> np.ndarray:
    """Returns the outputs of all games of a family, computed afresh: float64 `[SAMPLES, 2**n]`, nats."""
    data, state = family.split("-")
    config: RunConfig = PRESETS[PRESET_OF[data]].config
    variables = COLUMNS if data == "table" else n
    masking = replace(config.masking, n_variables=variables)
    spec = datasets.load(replace(config, masking=masking, data=replace(config.data, label_noise=LABEL_NOISE[state])))
    with seeded(0):
        network = spec.network()
    if state != "untrained":
        train(
            network,
            spec.train_inputs,
            spec.train_labels,
            config.training,
            seed=0,
            on_epoch=lambda epoch, network: None,
        )
    explained = explained_samples(spec, SAMPLES // 2, masking.seed)
    chosen = explained.variables
    first_n = torch.where(chosen.assignment < n, chosen.assignment, -1)  # the other columns stay visible
    chosen = replace(chosen, names=chosen.names[:n], assignment=first_n)
    in_turn = torch.arange(SAMPLES).reshape(2, -1).T.flatten()
    return masked_outputs(network, explained.inputs[in_turn], explained.labels[in_turn], chosen).numpy()
