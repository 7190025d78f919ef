"""The life of interactions over recorded epochs: what is preserved, what emerged, what was removed, and life lines.

An interaction is one subset of one sample, one type (AND or OR) and one sign. It is present from the epoch at which it
is salient (|I| ≥ τ) until it falls below half of τ or changes its sign; so flicker around τ neither ends nor begins a
life. `presence` says this once, as int8; all the rest reads it::

    signs = presence(effects_of_epochs, taus)  # [E, samples, types, 2**n], taus [E, samples, 1]
    for name, mask in classes(signs, start, epoch).items():
        at = start if name == "removed" else epoch  # what was removed is measured as it was
        table = class_sums(effects[at], mask, general[at], by_chance[at])  # then `class_measures` of any samples

It needs one byte for each epoch, sample, type and subset: take as many samples at a time as fit.

Source: the three sets are Zhang et al., arXiv 2605.17967 (P_t = P_{t−1} ∩ Ω_t, E_t = Ω_t ∖ P_t, R_t = Ω_0 ∖ Ω_t),
known to us through notes of others; any start epoch and the hysteresis are ours. The names of the life lines are Ren et
al., "Monitoring Primitive Interactions During the Training of DNNs" (AAAI 2025), their definitions ours.
"""

from collections.abc import Iterable

import numpy as np

from interdash.formulas.chance import above_chance
from interdash.formulas.generalization import generalization_power, loss
from interdash.formulas.subsets import n_variables, orders

LEAVES = 0.5  # share of τ below which a present interaction is gone
GROUPS = ("never present", "reliable", "forgotten", "withdrawn", "betraying", "fluctuating")  # codes of `life_lines`
SUMS = ("number", "strength", "effect", "generalizable_number", "generalizable", "by_chance_number", "by_chance")


def presence(effects: Iterable[np.ndarray], tau: np.ndarray, leaves: float = LEAVES) -> np.ndarray:
    """Returns the sign of each interaction while it is present, 0 while it is not: int8 `[E, ..., 2**n]`.

    >>> flickers = np.array([[0.0, 0.9], [0.0, 1.1], [0.0, 0.9], [0.0, 0.4], [0.0, -2.0]])
    >>> presence(flickers, np.ones(5))[:, 1].tolist()
    [0, 1, 1, 0, -1]

    Args:
        effects: of each recorded epoch in turn, `[..., 2**n]`, nats.
        tau: thresholds, `[E, ...]`, nats; it broadcasts against the leading axes of the effects.
        leaves: share of τ below which a present interaction is gone; 1 switches the hysteresis off.

    Raises:
        ValueError: the share is not above 0 and at most 1.
    """
    if not 0 < leaves <= 1:
        raise ValueError(f"interactions leave below {leaves} of tau; the share must be above 0 and at most 1")
    signs = []
    now = np.int8(0)
    for i, threshold in zip(effects, tau, strict=True):
        strength, sign = np.abs(i), np.sign(i).astype(np.int8)
        present = (strength >= threshold[..., None]) | ((strength >= leaves * threshold[..., None]) & (sign == now))
        now = np.where(present, sign, np.int8(0))
        now[..., 0] = 0  # ∅ is no interaction
        signs.append(now)
    return np.stack(signs)


def classes(signs: np.ndarray, start: int, epoch: int) -> dict[str, np.ndarray]:
    """Returns the class of interactions at an epoch, each as bool `[..., 2**n]`.

    "preserved": present at every epoch since the start; "emerged": present at this epoch, but not preserved; "removed":
    present at the start and not now. Preserved and emerged are the present ones, and no interaction is in both. What
    was removed with one sign may have emerged with the other: measure it by its effects and labels at the start.

    >>> signs = np.array([[0, 1, 1, -1], [0, 1, 0, 1], [1, 1, 1, 1]])
    >>> {name: mask.astype(int).tolist() for name, mask in classes(signs, 0, 2).items()}
    {'preserved': [0, 1, 0, 0], 'emerged': [1, 0, 1, 1], 'removed': [0, 0, 0, 1]}

    Args:
        signs: of `presence`, `[E, ..., 2**n]`.
        start: index of the start epoch; 0 as published, or that of boundary 1|2.
        epoch: index of this epoch.

    Raises:
        ValueError: the epoch is before the start, or there is no such epoch.
    """
    if not 0 <= start <= epoch < len(signs):
        raise ValueError(f"epoch {epoch} from start {start} of {len(signs)}; choose 0 <= start <= epoch < {len(signs)}")
    first, now = signs[start], signs[epoch]
    preserved = (first != 0) & (signs[start : epoch + 1] == first).all(0)
    return {"preserved": preserved, "emerged": (now != 0) & ~preserved, "removed": (first != 0) & (now != first)}


def life_lines(signs: np.ndarray, boundary_12: int | None = None) -> np.ndarray:
    """Returns the life line of each interaction over all recorded epochs, int8 `[..., 2**n]`: an index into `GROUPS`.

    The first that fits, so that each interaction, whatever its sign, has one:

    * never present;
    * withdrawn: gone for good by the end of the first phase;
    * betraying: present with both signs;
    * fluctuating: gone and back, once or more;
    * reliable: present to the end since it came;
    * forgotten: gone for good, after the first phase.

    Args:
        signs: of `presence`, `[E, ..., 2**n]`.
        boundary_12: index of the epoch at which the first phase ends; None: there is none, and nothing is withdrawn.
    """
    present = signs != 0
    stretches = present[0] + (present[1:] & ~present[:-1]).sum(0)
    late = present.any(0) if boundary_12 is None else present[boundary_12:].any(0)
    rules = {
        "never present": ~present.any(0),
        "withdrawn": ~late,
        "betraying": (signs > 0).any(0) & (signs < 0).any(0),
        "fluctuating": stretches > 1,
        "reliable": present[-1],
    }
    codes = [np.int8(GROUPS.index(name)) for name in rules]
    return np.select(list(rules.values()), codes, np.int8(GROUPS.index("forgotten"))).astype(np.int8)


def class_sums(effects: np.ndarray, mask: np.ndarray, general: np.ndarray, by_chance: np.ndarray) -> np.ndarray:
    """Returns sums over the interactions of a class, by order: `[samples, types, n, 7]`; the last axis is `SUMS`.

    Args:
        effects: `[samples, types, 2**n]`, nats.
        mask: the class, bool, of the same shape.
        general: whether they generalize. Present interactions may lie below τ: test them with `LEAVES` · τ.
        by_chance: 0–1, see `chance`.
    """
    n = n_variables(effects.shape[-1])
    by_order = np.eye(n + 1)[orders(n)][:, 1:]
    strength = np.abs(effects)
    values = (1, strength, effects, general, general * strength, by_chance, by_chance * strength)
    return np.stack([(mask * each) @ by_order for each in values], axis=-1)


def class_measures(sums: np.ndarray, v_empty: np.ndarray) -> dict[str, float]:
    """Returns the measures of a class, means over samples; of an empty one the loss of v(x_∅), and NaN for all shares.

    "number"; "strength", nats; "order", mean weighted by strength; "count_power" (γ) and "power" (H), with their levels
    by chance and how far they lie above; "uncancelled" (ρ = Σ_x |Σ I| / Σ_x Σ |I|: 1 if all effects of a sample have
    one sign, 0 if they cancel); "loss", nats: the cross-entropy of a network that has this class alone, exactly
    log(1 + e^{−v}) with v = v(x_∅) + Σ I, for on the unmasked sample every interaction is present.
    Source: γ and ρ: arXiv 2605.17967, Eq. (7) and (10), known to us through notes of others; ρ over samples is ours.

    Args:
        sums: of `class_sums`, `[samples, types, n, 7]`.
        v_empty: v(x_∅) of the same samples, `[samples]`, nats, at the epoch of the effects.
    """
    by_sample = dict(zip(SUMS, np.moveaxis(sums.sum((1, 2)), -1, 0), strict=True))  # [samples] each
    mean = {name: values.mean() for name, values in by_sample.items()}
    by_order = sums[..., SUMS.index("strength")].sum((0, 1))
    weighted = by_order @ np.arange(1, len(by_order) + 1)
    measures = {"number": mean["number"], "strength": mean["strength"], "order": _share(weighted, by_order.sum())}
    for name, part, whole in (("count_power", "_number", "number"), ("power", "", "strength")):
        measures[name] = _share(mean[f"generalizable{part}"], mean[whole])
        measures[f"{name}_by_chance"] = _share(mean[f"by_chance{part}"], mean[whole])
        measures[f"{name}_above_chance"] = above_chance(measures[name], measures[f"{name}_by_chance"])
    measures["uncancelled"] = _share(np.abs(by_sample["effect"]).mean(), mean["strength"])
    measures["loss"] = loss(v_empty + by_sample["effect"]).mean()
    return {name: float(value) for name, value in measures.items()}


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return generalization_power(np.asarray(part), np.asarray(whole))
