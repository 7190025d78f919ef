"""What one sample's interactions add up to: waterfall, outputs rebuilt from a few, story of one interaction. No torch.

Formulas on the frames of `vectors` and `queries`: the dashboard draws their results as they are. Units: nats.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interdash.formulas import subsets
from interdash.queries import vectors
from interdash.runs.files import DamagedFileError
from interdash.runs.run import Run
from interdash.store.database import Store


def waterfall(interactions: pd.DataFrame, v_empty: float, v_full: float, *, top: int = 12) -> pd.DataFrame:
    """Returns the steps from v(x_∅) to v(x): the `top` strongest salient ones one by one, then the others together.

    On the unmasked sample every AND and OR interaction is triggered: v(x) = v(x_∅) + Σ I_and(S) + Σ I_or(S) + δ_N. One
    row a step: `step` (text), `kind` (empty, interaction, salient, rest, noise or full), effect, start and end (nats),
    and of single interactions type, subset and generalizes. `noise` is δ_N plus rounding, left out below 1e-6 nats.

    Source: universal matching at T = N, emergence (arXiv 2305.01939); AND-OR form in primitives (arXiv 2401.16318).

    Args:
        interactions: all interactions of the sample, strongest first, as `vectors.all_interactions` gives them.
        v_empty: v(x_∅), nats.
        v_full: v(x), nats.
        top: interactions shown one by one.
    """
    single = interactions.loc[interactions["salient"].astype(bool)].head(top)
    others = interactions.drop(index=single.index)
    salient = others["salient"].astype(bool)
    groups = [("salient", "other salient", others[salient]), ("rest", "below τ", others[~salient])]
    rows = [
        {"step": f"{type.upper()} {names}", "kind": "interaction", "effect": effect, "type": type, "subset": subset}
        | {"generalizes": generalizes}
        for type, names, effect, subset, generalizes in zip(
            *(single[name] for name in ("type", "names", "effect", "subset", "generalizes")), strict=True
        )
    ]
    rows += [
        {"step": f"{len(group)} {words}", "kind": kind, "effect": group["effect"].sum()}
        for kind, words, group in groups
        if len(group)
    ]
    noise = v_full - v_empty - sum(interactions["effect"].tolist())
    if abs(noise) > 1e-6:
        rows.append({"step": "noise δ", "kind": "noise", "effect": noise})
    columns = ["step", "kind", "effect", "type", "subset", "generalizes"]
    steps = pd.DataFrame([{"step": "v(x_∅)", "kind": "empty", "effect": v_empty}, *rows], columns=columns)
    steps["end"] = steps["effect"].cumsum()
    steps["start"] = steps["end"] - steps["effect"]
    full = pd.DataFrame([{"step": "v(x)", "kind": "full", "effect": v_full, "start": 0.0, "end": v_full}])
    return pd.concat([steps.astype({"subset": "Int64", "generalizes": "boolean"}), full], ignore_index=True)


def rebuilt(outputs: pd.DataFrame, interactions: pd.DataFrame, counts: Sequence[int]) -> pd.DataFrame:
    """Returns how well the k strongest interactions rebuild the outputs on all masked versions, one row for each k.

    Columns: count (k), strength (share of Σ|I| that they make up), explained (share of the variance of v over the 2^n
    masked versions that the rebuilt outputs explain, 1 − Σ(v − v̂)² / Σ(v − mean v)², below 0 if worse than the mean),
    and largest_error (nats). v̂(x_T) = v(x_∅) + Σ I_and(S)·[S ⊆ T] + Σ I_or(S)·[S ∩ T ≠ ∅] over the k strongest.

    Args:
        outputs: as `vectors.outputs` gives them.
        interactions: all of the sample, strongest first, as `vectors.strongest` gives them.
        counts: values of k.
    """
    v = outputs["v"].to_numpy(dtype=np.float64)
    spread = np.square(v - v.mean()).sum() if len(v) else 0.0
    strength = interactions["strength"].to_numpy(dtype=np.float64)
    masks, *of_each = _columns(outputs, interactions)
    rows, done = [], 0
    total = np.full(len(v), v[0] if len(v) else 0.0)
    for count in sorted({min(count, len(interactions)) for count in counts}) if len(v) else []:
        total += _triggered(masks, *(values[done:count] for values in of_each))
        done = count
        rows.append(
            {
                "count": count,
                "strength": strength[:count].sum() / max(strength.sum(), 1e-300),
                "explained": 1 - np.square(total - v).sum() / spread if spread > 0 else np.nan,
                "largest_error": np.abs(total - v).max(),
            }
        )
    return pd.DataFrame(rows, columns=["count", "strength", "explained", "largest_error"])


def faithfulness(store: Store, run: Run, epoch: int, sample: int, counts: Sequence[int]) -> pd.DataFrame:
    """Returns `rebuilt` of one sample at an epoch; no row if its part is damaged, as `strongest` says."""
    every = vectors.strongest(store, run, epoch, sample)
    try:
        outputs = vectors.outputs(store, run, epoch, sample)
    except (DamagedFileError, FileNotFoundError):
        outputs = pd.DataFrame({"subset": [], "v": []})
    return rebuilt(outputs, every, counts)


def _columns(outputs: pd.DataFrame, interactions: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """Returns the masks, and of each interaction the subset, the effect, and whether it is an OR."""
    masks, subsets = (rows["subset"].to_numpy(dtype=np.int64) for rows in (outputs, interactions))
    return masks, subsets, interactions["effect"].to_numpy(dtype=np.float64), (interactions["type"] == "or").to_numpy()


def triggered(outputs: pd.DataFrame, interactions: pd.DataFrame) -> np.ndarray:
    """Returns the sum of some interactions on every masked version, float64 `(2**n,)`, nats, index = bitmask."""
    return _triggered(*_columns(outputs, interactions))


def _triggered(masks: np.ndarray, subsets: np.ndarray, effects: np.ndarray, is_or: np.ndarray) -> np.ndarray:
    """Returns the sum of some interactions on each mask, nats; of all, with v(x_∅), `interactions.matched_outputs`."""
    total = np.zeros(len(masks))
    for subset, effect, any_is_enough in zip(subsets.tolist(), effects.tolist(), is_or.tolist(), strict=True):
        present = masks & subset
        total += effect * (present != 0 if any_is_enough else present == subset)
    return total


def shares(rebuilt: pd.DataFrame, count: int) -> str:
    """Returns the shares of strength and of outputs that the `count` strongest explain, in words: "31 % · 62 %"."""
    rows = rebuilt.loc[rebuilt["count"] <= count]
    if rows.empty or not count:
        return "–"
    last = rows.iloc[-1]
    explained = "–" if np.isnan(last["explained"]) else f"{max(last['explained'], 0):.0%}"
    return f"{last['strength']:.0%} · {explained}"


SPARSE = ((0.9, "strong"), (0.5, "fair"), (-np.inf, "weak"))  # from which share of the variance on [ours]
EXACT = 1e-6  # nats: what rounding leaves


def faithfulness_text(rebuilt: pd.DataFrame, now: Any) -> str:
    """Returns in one line whether the interactions of a sample at an epoch give its outputs: all, and the salient ones.

    Args:
        rebuilt: as `rebuilt` gives it, with a row for the number of salient ones.
        now: a row of `sample.sample_life`.
    """
    exact = "exact" if now["residual"] <= EXACT else f"off by up to {now['residual']:.2g} nats"
    rows = rebuilt.loc[rebuilt["count"] == now["salient"], "explained"].dropna().tolist()
    word = next((word for share, word in SPARSE if rows and rows[0] >= share), "unknown")
    share = f", its {now['salient']} salient interactions give {max(rows[0], 0):.0%} of the variance" if rows else ""
    return f"Faithful: **{exact}**; sparse: **{word}**{share}."


def finding(now: Any, label: str, answer: str) -> str:
    """Returns in words what is to be seen of a sample at an epoch: a row of `sample.sample_life`."""
    seen = f"label {label}, answer {answer}"
    if not now["salient"]:
        return f"{seen}; no interaction is salient"
    share = now["non_generalizable_share"]
    return seen if pd.isna(share) else f"{seen}; {share:.0%} of its salient strength does not generalize"


def paired(first: pd.DataFrame, second: pd.DataFrame, *, top: int, by: str, forward: bool | None) -> pd.DataFrame:
    """Returns the interactions that are salient in either of two samples, or epochs of one, strongest first.

    One row an interaction: type, subset (of the first, else of the second), names; `first` and `second`, its effects,
    nats, null where it is not there; first_salient, second_salient, first_generalizes, second_generalizes; `course`.

    Args:
        first: all interactions of one, as `vectors.all_interactions` gives them.
        second: of the other.
        top: at most so many rows.
        by: what makes two the same, one of `subsets.WAYS`; "order": none is.
        forward: whether the second is a later epoch of the same sample: what comes is born, what goes is gone; None =
            another sample: what one alone has is "first only" or "second only".
    """
    columns = ["type", "subset", "names", "effect", "salient", "generalizes"]
    sides = []
    for i, rows in enumerate((first, second)):
        keys = [",".join(sorted(names.strip("{}").split(", "))) for names in rows["names"]] if by == "words" else None
        keys = rows["names"] if keys is None else keys
        keys = [f"{i} {key}" for key in keys] if by == "order" else keys
        sides.append(rows[columns].assign(key=keys).drop_duplicates(["type", "key"]))
    rows = sides[0].merge(sides[1], on=["type", "key"], how="outer", suffixes=("_first", "_second"))
    for side in ("first", "second"):
        rows[f"salient_{side}"] = rows[f"salient_{side}"].fillna(False).astype(bool)
        rows[f"generalizes_{side}"] = rows[f"generalizes_{side}"].astype("boolean")
    rows = rows.loc[rows["salient_first"] | rows["salient_second"]]
    rows = rows.assign(
        subset=rows["subset_first"].fillna(rows["subset_second"]).astype(int),
        names=rows["names_first"].fillna(rows["names_second"]),
        strength=rows[["effect_first", "effect_second"]].abs().max(axis=1),
    )
    rows = rows.sort_values(["strength", "type", "subset"], ascending=[False, True, True]).head(top)
    words = ("first only", "second only") if forward is None else ("gone", "born") if forward else ("born", "gone")
    flipped = np.sign(rows["effect_first"]) != np.sign(rows["effect_second"])
    course = np.select(
        [~rows["salient_second"], ~rows["salient_first"], flipped],
        [*words, "flipped"],
        "both" if forward is None else "stays",
    )
    names = {f"effect_{side}": side for side in ("first", "second")}
    names |= {f"{what}_{side}": f"{side}_{what}" for what in ("salient", "generalizes") for side in ("first", "second")}
    rows = rows.assign(course=course).rename(columns=names)
    return rows[["type", "subset", "names", *names.values(), "course"]].reset_index(drop=True)


def story(life: pd.DataFrame) -> dict[str, float | int | bool | None]:
    """Returns when an interaction of the target was born, strongest and gone, and whether it transfers at its peak.

    born: first epoch where it is salient. peak: epoch of its largest |effect| among those, effect there in `effect`.
    gone: first epoch after its last salient one, None if it is salient at the last epoch. generalizes: G at the peak.
    epochs: number of epochs where it is salient, of `recorded`. flips: sign changes between salient epochs. Of so many
    `baselines`, in `lack` it is not salient, in `opposite` it has the other sign than at its peak, and there on average
    `opposite_effect`.

    Args:
        life: as `vectors.interaction_life` gives it.
    """
    target = life.loc[life["network"] == "target"].sort_values("epoch", ignore_index=True)
    salient = target.loc[target["salient"].astype(bool)]
    facts: dict[str, float | int | bool | None] = dict.fromkeys(("born", "peak", "gone", "effect", "generalizes"))
    ends = life.loc[life["network"] != "target"].sort_values("epoch").groupby("network").tail(1)
    facts |= {"epochs": len(salient), "recorded": len(target), "flips": 0, "baselines": len(ends)}
    if salient.empty:
        return facts
    peak = salient.loc[salient["effect"].abs().idxmax()]
    there = ends.loc[ends["salient"].astype(bool), "effect"]
    opposite = there[there * peak["effect"] < 0]
    after = target["epoch"][salient.index[-1] + 1 :]
    return facts | {
        "born": int(salient["epoch"].iloc[0]),
        "peak": int(peak["epoch"]),
        "gone": int(after.iloc[0]) if len(after) else None,
        "effect": float(peak["effect"]),
        "generalizes": None if pd.isna(peak["generalizes"]) else bool(peak["generalizes"]),
        "flips": int((np.diff(np.sign(salient["effect"])) != 0).sum()),
        "lack": len(ends) - len(there),
        "opposite": len(opposite),
        "opposite_effect": float(opposite.mean()) if len(opposite) else None,
    }


def story_text(facts: dict[str, float | int | bool | None]) -> str:
    """Returns what `story` tells, in words."""
    if facts["born"] is None:
        return f"Salient at none of {facts['recorded']} epochs."
    effect = f"{facts['effect']:+.3f}".replace("-", "−")
    gone = "still there at the last epoch" if facts["gone"] is None else f"gone at epoch {facts['gone']}"
    times = "once" if facts["flips"] == 1 else f"{facts['flips']} times"
    flips = f"It changes its sign {times}. " if facts["flips"] else ""
    return (
        f"Born at epoch {facts['born']}, strongest at epoch {facts['peak']} ({effect} nats), {gone}; "
        f"salient at {facts['epochs']} of {facts['recorded']} epochs. {flips}{_transfer_text(facts)}"
    )


def _transfer_text(facts: dict[str, Any]) -> str:
    """Returns whether an interaction transfers at its peak, and if not what the baselines have in its place."""
    if facts["generalizes"] is None:
        return "Nothing is known about G."
    of, lack, opposite = (facts[name] for name in ("baselines", "lack", "opposite"))
    effect = f" ({'mean ' * (opposite > 1)}{facts['opposite_effect']:+.3f} nats)" if opposite else ""
    kinds = (lack, "lack it", "lacks it"), (opposite, f"have the other sign{effect}", f"has the other sign{effect}")
    kinds = (*kinds, (of - lack - opposite, "have it too", "has it too"))
    words = [f"{count} of {of} baselines {one if count == 1 else many}" for count, many, one in kinds if count]
    if of == 1:
        words = [f"the baseline {one}" for count, _, one in kinds if count]
    verb = "generalizes" if facts["generalizes"] else "does not generalize"
    return f"At its peak it {verb}: {', '.join(words)}.".replace("-", "−")


def numbered(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns rows with `names` as "{0, 3}", by the variables' numbers in `members`, as they are drawn on an image."""
    numbers = [*map(str, range(64))]
    if "step" not in rows:
        return rows.assign(names=[subsets.label(subset, numbers) for subset in rows["subset"]])
    steps = zip(rows["kind"], rows["type"], rows["subset"], rows["step"], strict=True)
    return rows.assign(
        step=[f"{type.upper()} {subsets.label(int(subset), numbers)}" if kind == "interaction" else step
              for kind, type, subset, step in steps]
    )  # fmt: skip
