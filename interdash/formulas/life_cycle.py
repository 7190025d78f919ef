"""The life of interactions over recorded epochs: what is preserved, what emerged, what was removed, and life lines.

An interaction is one subset of one sample, one type (AND or OR) and one sign. It is present from the epoch at which it
is salient (|I| ≥ τ) until it falls below half of τ or changes its sign; so flicker around τ neither ends nor begins a
life. `presence` says this once, as int8; all the rest reads it::

    signs = presence(effects_of_epochs, taus)  # [E, samples, types, 2**n], taus [E, samples, 1]
    for name, mask in classes(signs, births(signs), start, epoch).items():
        at = start if name == "removed" else epoch  # what was removed is measured as it was
        sums = class_sums(mask & salient[at], …)  # of each sample; then `class_measures` of means over any samples

It needs one byte for each epoch, sample, type and subset: take as many samples at a time as fit; and of all subsets
only those that are ever present (`signs.any(0)`), some hundred of a sample.

Source: the three sets are Zhang et al., arXiv 2605.17967 (P_t = P_{t−1} ∩ Ω_t, E_t = Ω_t ∖ P_t, R_t = Ω_0 ∖ Ω_t),
known to us through notes of others; any start epoch and the hysteresis are ours. The names of the life lines are Ren et
al., "Monitoring Primitive Interactions During the Training of DNNs" (AAAI 2025), their definitions ours.
"""

from collections.abc import Iterable

import numpy as np

from interdash.formulas.chance import above_chance
from interdash.formulas.flows import share

LEAVES = 0.5  # share of τ below which a present interaction is gone
GROUPS = ("never present", "reliable", "forgotten", "withdrawn", "betraying", "fluctuating")  # codes of `life_lines`
CLASSES = ("preserved", "emerged", "removed")
SUMS = (  # over the interactions of a class
    *("number", "strength", "size", "effect"),
    *("generalizable_number", "generalizable", "by_chance_number", "by_chance"),
)
MEANS = (*(name for name in SUMS if name != "effect"), "net", "train", "test", "train_loss", "test_loss")


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


def births(signs: np.ndarray) -> np.ndarray:
    """Returns the index of the epoch since which each interaction is as it is, int32 `[E, ..., 2**n]`.

    >>> births(np.array([[1], [1], [0], [-1], [-1]]))[:, 0].tolist()
    [0, 0, 2, 3, 3]
    """
    began = np.zeros(signs.shape, np.int32)
    began[1:] = (signs[1:] != signs[:-1]) * np.arange(1, len(signs)).reshape(-1, *[1] * (signs.ndim - 1))
    return np.maximum.accumulate(began, axis=0)


def flips(signs: np.ndarray) -> np.ndarray:
    """Returns how often each interaction was present with the other sign than when it was present last, `[..., 2**n]`.

    >>> flips(np.array([[1, 0], [0, 1], [-1, 1], [1, 0]])).tolist()
    [2, 0]
    """
    count, last = np.zeros(signs.shape[1:], np.int32), signs[0]
    for now in signs[1:]:
        count += now * last < 0
        last = np.where(now != 0, now, last)
    return count


def classes(signs: np.ndarray, since: np.ndarray, start: int, epoch: int) -> dict[str, np.ndarray]:
    """Returns the class of interactions at an epoch, each as bool `[..., 2**n]`.

    "preserved": present at every epoch since the start; "emerged": present at this epoch, but not preserved; "removed":
    present at the start and not now. Preserved and emerged are the present ones, and no interaction is in both. What
    was removed with one sign may have emerged with the other: measure it by its effects and labels at the start.

    >>> signs = np.array([[0, 1, 1, -1], [0, 1, 0, 1], [1, 1, 1, 1]])
    >>> {name: mask.astype(int).tolist() for name, mask in classes(signs, births(signs), 0, 2).items()}
    {'preserved': [0, 1, 0, 0], 'emerged': [1, 0, 1, 1], 'removed': [0, 0, 0, 1]}

    Args:
        signs: of `presence`, `[E, ..., 2**n]`.
        since: of `births`.
        start: index of the start epoch; 0 as published, or that of boundary 1|2.
        epoch: index of this epoch.

    Raises:
        ValueError: the epoch is before the start, or there is no such epoch.
    """
    if not 0 <= start <= epoch < len(signs):
        raise ValueError(f"epoch {epoch} from start {start} of {len(signs)}; choose 0 <= start <= epoch < {len(signs)}")
    first, now = signs[start], signs[epoch]
    lasts = since[epoch] <= start
    return {
        "preserved": (now != 0) & lasts,
        "emerged": (now != 0) & ~lasts,
        "removed": (first != 0) & (now != first),
    }


def life_lines(signs: np.ndarray, boundary_12: int | None = None) -> np.ndarray:
    """Returns the life line of each interaction over all recorded epochs, int8 `[..., 2**n]`: an index into `GROUPS`.

    The first that fits, so that each interaction, whatever its sign, has one:

    * never present;
    * withdrawn: gone for good by the end of the first phase;

    and of the others, from the end of the first phase on, for what comes and goes in the noise before says little:

    * betraying: present with both signs;
    * fluctuating: gone and back, once or more;
    * reliable: present to the end since it came, or since the end of the first phase;
    * forgotten: gone for good.

    Args:
        signs: of `presence`, `[E, ..., 2**n]`.
        boundary_12: index of the epoch at which the first phase ends; None: there is none, nothing is withdrawn, and
            all epochs count.
    """
    late = signs[boundary_12 or 0 :]
    present = late != 0
    stretches = present[0] + (present[1:] & ~present[:-1]).sum(0)
    rules = {
        "never present": ~(signs != 0).any(0),
        "withdrawn": ~present.any(0),
        "betraying": (late > 0).any(0) & (late < 0).any(0),
        "fluctuating": stretches > 1,
        "reliable": present[-1],
    }
    codes = [np.int8(GROUPS.index(name)) for name in rules]
    return np.select(list(rules.values()), codes, np.int8(GROUPS.index("forgotten"))).astype(np.int8)


def class_sums(
    mask: np.ndarray,
    sample: np.ndarray,
    size: np.ndarray,
    effects: np.ndarray,
    generalizes: np.ndarray,
    chance: np.ndarray,
    samples: int,
) -> np.ndarray:
    """Returns sums over the interactions of a class, by sample: `[samples, 8]`; the last axis is `SUMS`.

    Args:
        mask: the class, bool `[K]`; of them only what is salient counts, so that classes add up to all that is salient.
        sample: number of the sample of each interaction, `[K]`.
        size: its order, `[K]`.
        effects: `[K]`, nats.
        generalizes: G, or the share of baseline networks it transfers to, `[K]`.
        chance: of it, 0–1, see `chance`, `[K]`.
        samples: how many samples there are.
    """
    strength = np.abs(effects)
    values = (1, strength, size * strength, effects, generalizes, generalizes * strength, chance, chance * strength)
    return np.stack([np.bincount(sample, mask * each, samples) for each in values], axis=-1)


def class_measures(means: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the measures of classes from means over samples `[..., 12]` (`MEANS`): `[...]` each, NaN without a class.

    "number" and "strength" (nats) a sample, with their generalizable parts and the others; "order", mean weighted by
    strength; "count_power" (γ) and "power" (H), with their levels by chance, and how far H lies above; "net_share" (ρ =
    Σ_x |Σ I| / Σ_x Σ |I|: 1 if all effects of a sample have one sign, 0 if they cancel); "train_loss", "test_loss" and
    their "gap", nats: the cross-entropy of a network that has this class alone, exactly log(1 + e^{−v}) with v =
    v(x_∅) + Σ I, for on the unmasked sample every interaction is present. Without any that is the loss of v(x_∅).
    Source: γ and ρ: arXiv 2605.17967, Eq. (7) and (10), known to us through notes of others; ρ over samples is ours.
    """
    mean = dict(zip(MEANS, np.moveaxis(means, -1, 0), strict=True))
    power, level = (share(mean[name], mean["strength"]) for name in ("generalizable", "by_chance"))
    train_loss, test_loss = (share(mean[f"{split}_loss"], mean[split]) for split in ("train", "test"))
    return {
        **{name: mean[name] for name in ("number", "generalizable_number", "strength", "generalizable")},
        "other_number": mean["number"] - mean["generalizable_number"],
        "other": mean["strength"] - mean["generalizable"],
        "order": share(mean["size"], mean["strength"]),
        "count_power": share(mean["generalizable_number"], mean["number"]),
        "count_chance": share(mean["by_chance_number"], mean["number"]),
        "power": power,
        "chance": level,
        "above_chance": above_chance(power, level),
        "net_share": share(mean["net"], mean["strength"]),
        "train_loss": train_loss,
        "test_loss": test_loss,
        "gap": test_loss - train_loss,
    }
