"""One sample explained in one call: its interactions, sorted, with the certificate of the split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from interdash.formulas import generalization, subsets
from interdash.formulas.interactions import matched_outputs
from interdash.masking.outputs import masked_outputs
from interdash.masking.variables import Variables, image_variables, table_variables
from interdash.solver.sparsify import sparse_split


@dataclass(frozen=True, eq=False)
class Explanation:
    """The interactions of one sample; outputs, effects and thresholds in nats."""

    interactions: pd.DataFrame  # type, subset (bitmask), variables, order, effect, strength, salient; strongest first
    v_empty: float  # v(x_∅), everything masked
    v_full: float  # v(x), nothing masked
    tau: float  # salient: strength ≥ τ
    objective: float  # weighted L1 norm of the interactions
    lower_bound: float  # on the objective of any split
    gap: float  # objective / lower_bound − 1
    solved: bool  # the gap is small enough
    matching_error: float  # max over all masks of |v(x_T) − δ_T − the sum of the interactions that x_T triggers|
    max_delta: float  # max over all masks of |δ_T|, the part of v that no interaction carries


def explain(
    network: nn.Module,
    x: Tensor,
    label: int,
    variables: Variables | int | Sequence[str],
    baseline: Tensor | float | None = None,
    *,
    kappa: float = 0.02,
    tie_break: float = 0.01,
    tolerance: Literal["default", "tight"] = "default",
    sparse: bool = True,
    tau_rule: Literal["mean_output", "max_interaction"] = "mean_output",
    tau_factor: float = 0.03,
    device: torch.device | str | None = None,
) -> Explanation:
    """Returns the AND and OR interactions of one sample, strongest first, with the certificate of their split.

    Args:
        network: returns class logits `[batch, classes]`.
        x: one input, without the batch axis.
        label: the class whose log-odds are explained.
        variables: `Variables`; or a number n, to cut the image x into n regions; or names, one an entry of a row x.
        baseline: the values of masked elements, of a text the mask token's id; None = that of `variables`, else zeros.
        kappa: bound of the noise δ in units of |v(x) − v(x_∅)|; see `sparsify.sparse_split`, also for the next two.
        tie_break: preference for low orders among equally sparse splits.
        tolerance: "default" or "tight".
        sparse: False gives the pure Harsanyi (AND) interactions.
        tau_rule: when an interaction is salient; see `generalization.tau`. Its mean over samples is that of x alone.
        tau_factor: factor of the rule.
        device: where the network runs; None = where its parameters are.

    Raises:
        ValueError: variables and x do not fit together, or as `outputs.masked_outputs` raises.
    """
    described = _variables(variables, x)
    if baseline is not None:
        described = replace(described, baseline=torch.as_tensor(baseline))
    v = masked_outputs(network, x[None], torch.tensor([label]), described, device=device)
    split = sparse_split(v, kappa, tie_break=tie_break, tolerance=tolerance, sparse=sparse)
    tau = generalization.tau(split.i_and, split.i_or, v[:, 0], v[:, -1], tau_rule, tau_factor)
    matched = matched_outputs(split.i_and, split.i_or, v[:, 0]) + split.delta
    return Explanation(
        interactions=_table(split.i_and[0].numpy(), split.i_or[0].numpy(), float(tau[0]), described.names_of(0)),
        v_empty=float(v[0, 0]),
        v_full=float(v[0, -1]),
        tau=float(tau[0]),
        objective=float(split.objective[0]),
        lower_bound=float(split.lower_bound[0]),
        gap=float(split.gap[0]),
        solved=bool(split.solved[0]),
        matching_error=float((matched - v).abs().max()),
        max_delta=float(split.delta.abs().max()),
    )


def _variables(variables: Variables | int | Sequence[str], x: Tensor) -> Variables:
    """Returns the variables of x: as given, n regions of an image, or the named columns of a row."""
    if isinstance(variables, Variables):
        if (variables.per_sample and len(variables.assignment) != 1) or (
            variables.named_per_sample and len(variables.names) != 1
        ):
            raise ValueError(
                "variables are those of several samples; choose the one of x with variables.select([sample])"
            )
        return variables
    if isinstance(variables, int):
        if x.ndim not in (2, 3):
            raise ValueError(
                f"variables={variables} cuts an image into regions, but x has shape {tuple(x.shape)}; "
                "pass an image [channels, height, width], names for the entries of a row, or Variables"
            )
        return image_variables(x.shape[-2], x.shape[-1], n_variables=variables, layout="whole")
    if isinstance(variables, str) or x.shape != (len(variables),):
        raise ValueError(
            f"variables are {len(variables)} names, but x has shape {tuple(x.shape)}; pass a name an entry"
        )
    return table_variables(range(len(variables)), variables, torch.zeros(len(variables)))


def _table(i_and: np.ndarray, i_or: np.ndarray, tau: float, names: Sequence[str]) -> pd.DataFrame:
    """Returns one row for each interaction that is not zero, strongest first."""
    parts = [(kind, i[1:].nonzero()[0] + 1, i) for kind, i in (("AND", i_and), ("OR", i_or))]
    index = np.concatenate([rows for _, rows, _ in parts])
    effect = np.concatenate([i[rows] for _, rows, i in parts])
    table = pd.DataFrame(
        {
            "type": np.repeat([kind for kind, _, _ in parts], [len(rows) for _, rows, _ in parts]),
            "subset": index,
            "variables": [subsets.label(s, names) for s in index],
            "order": subsets.orders(len(names))[index],
            "effect": effect,
            "strength": abs(effect),
            "salient": abs(effect) >= tau,
        }
    )
    return table.sort_values("strength", ascending=False, kind="stable", ignore_index=True)
