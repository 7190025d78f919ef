"""What a run shows of the papers' claims: numbers with 95 % intervals, from its labels. Rules: see `claims`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from interdash.formulas.bootstrap import percentile, sample_weights
from interdash.formulas.correlation import rank_correlation
from interdash.formulas.order_shape import PARTS, SHAPES, fit, profiles
from interdash.formulas.two_phase import gap_start
from interdash.labelling.boundaries import find_boundaries
from interdash.queries import dynamics, removal
from interdash.store.database import Store

LOW, HIGH = 2, 4  # orders: low are 1 and 2, high from 4 on
MET = 0.99  # a control has the same strength from this share on

Value = dict[str, float | None]  # value, low, high


def measure(store: Store, run: str) -> dict[str, Any]:
    """Returns every number of a labelled run that the study speaks of; None where there is none."""
    losses = dynamics.epochs(store, run)
    epochs = losses[losses["extracted"]]
    strength = dynamics.strength(store, run).set_index("epoch")
    recorded: list[int] = strength.index.tolist()
    power = strength["generalization_power"].to_numpy(float)
    peak, last = recorded[int(np.nan_to_num(power).argmax())], recorded[-1]
    by_sample = _by_sample(store, run, sorted({0, peak, last} & set(recorded)))
    shares = removal.share_and_gap(store, run)
    rho, low, high = rank_correlation(shares["share"].to_numpy(float), shares["gap"].to_numpy(float))
    boundaries = {row["boundary"]: row for row in find_boundaries(dynamics.sample_flows(store, run))}
    phases = {name: _value(row["found"], row["low"], row["high"]) for name, row in boundaries.items()}
    return {
        "run": run,
        "recorded": recorded,
        "peak": peak,
        "last": last,
        "phases": phases,
        "gap_start": gap_start(losses),
        "gap": _list(np.asarray(epochs["gap"], float)),
        "power": [_row(strength, epoch, "generalization_power") for epoch in recorded],
        "generalizable": _list(strength["generalizable"].to_numpy(float)),
        "non_generalizable": _list(strength["non_generalizable"].to_numpy(float)),
        "first_fall": _first_fall(dynamics.sample_strengths(store, run), peak),
        "removal": _removal(store, run, last),
        "low_minus_high": _bootstrap(by_sample[last], _low_minus_high),
        "power_low": _bootstrap(by_sample[last][:, :LOW], _power),
        "power_high": _bootstrap(by_sample[last][:, HIGH - 1 :], _power),
        "order_growth": _bootstrap(np.concatenate([by_sample[peak], by_sample[last]], -1), _order_growth),
        "correlation": _value(rho, low, high),
        "shapes": {part: _shape(by_sample[last][..., i]) for i, part in enumerate(PARTS)},
        "similarity": _similarity(store, run, last),
        "flips": _flips(store, run),
    }


def _value(value: Any, low: Any, high: Any) -> Value:
    return {"value": _number(value), "low": _number(low), "high": _number(high)}


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _list(values: np.ndarray) -> list[float | None]:
    return [_number(value) for value in values]


def _row(table: pd.DataFrame, epoch: int, name: str) -> Value:
    return _value(*(table.loc[epoch, f"{name}{end}"] for end in ("", "_low", "_high")))


def _by_sample(store: Store, run: str, epochs: list[int]) -> dict[int, np.ndarray]:
    """Returns strengths `[samples, n, 2]` (generalizable, non-generalizable) by order at some epochs, nats."""
    n, count = store.fetch("SELECT len(any_value(names)), count(*) FROM samples WHERE run = ?", [run])[0]
    strengths = store.ask(
        """
        SELECT epoch, sample, size, sum(generalizable_positive - generalizable_negative) AS g,
            sum(non_generalizable_positive - non_generalizable_negative) AS b
        FROM sample_orders WHERE run = $run AND network = $network AND list_contains($epochs, epoch) GROUP BY ALL
        """,
        {"run": run, "network": "target", "epochs": epochs},
        details=("sample_orders",),
    )
    arrays = {epoch: np.zeros((count, n, 2)) for epoch in epochs}
    for epoch in epochs:
        rows = strengths[strengths["epoch"] == epoch]
        arrays[epoch][rows["sample"], rows["size"] - 1] = rows[["g", "b"]]
    return arrays


def _bootstrap(by_sample: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Value:
    """Returns a statistic of the mean over samples `[..., n, parts]`, and its percentile interval; seeded."""

    def values(draws: np.ndarray) -> np.ndarray:
        return statistic(np.tensordot(sample_weights(draws), by_sample, 1))

    return _value(statistic(by_sample.mean(0)), *percentile(values, len(by_sample)))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _low_minus_high(means: np.ndarray) -> np.ndarray:
    """Returns H of the low orders − H of the high ones, of strengths `[..., n, 2]`."""
    low, high = means[..., :LOW, :].sum(-2), means[..., HIGH - 1 :, :].sum(-2)
    return _ratio(low[..., 0], low.sum(-1)) - _ratio(high[..., 0], high.sum(-1))


def _power(means: np.ndarray) -> np.ndarray:
    """Returns H of strengths `[..., orders, 2]`."""
    return _ratio(means[..., 0].sum(-1), means.sum((-2, -1)))


def _order_growth(means: np.ndarray) -> np.ndarray:
    """Returns the mean order at the last epoch − that at the peak of H, of `[..., n, 4]`, two parts at each epoch."""
    k = np.arange(1, means.shape[-2] + 1)
    at = [means[..., parts].sum(-1) for parts in (slice(0, 2), slice(2, 4))]
    peak, last = (_ratio((strength * k).sum(-1), strength.sum(-1)) for strength in at)
    return last - peak


def _first_fall(samples: pd.DataFrame, peak: int) -> dict[str, Any]:
    """Returns how far non-generalizable strength falls from epoch 0 to its lowest epoch before H peaks."""
    table = samples.pivot(index="sample", columns="epoch", values="non_generalizable")
    epochs = table.columns.tolist()
    fall = searched_fall(table.to_numpy(float)[:, : epochs.index(peak) + 1])
    return {**fall, "lowest": epochs[fall["lowest"]]}


def searched_fall(values: np.ndarray) -> dict[str, Any]:
    """Returns how far the mean of strengths `[samples, E]` falls from the first to its lowest epoch, as a share.

    The lowest epoch is searched for, so it would seem to lie low by chance too: every resample chooses it anew, and
    measures the fall on the samples that it did not draw. value, low, high, lowest (a position), first (nats).
    """
    lowest = int(values.mean(0).argmin())

    def falls(draws: np.ndarray) -> np.ndarray:
        weights = sample_weights(draws)
        at = (weights @ values).argmin(-1)
        left = weights == 0
        left |= ~left.any(-1, keepdims=True)  # all were drawn: they are measured themselves
        means = (left @ values) / left.sum(-1, keepdims=True)
        lowest = np.take_along_axis(means, at[..., None], -1)[..., 0]
        return _ratio(means[..., 0] - lowest, means[..., 0])

    first = values[:, 0].mean()
    value = _ratio(first - values[:, lowest].mean(), first)
    return {**_value(value, *percentile(falls, len(values))), "lowest": lowest, "first": _number(first)}


def _removal(store: Store, run: str, epoch: int) -> dict[str, Any]:
    """Returns gap before, changes of the gap and of both losses at full dose, and the excess over both controls.

    A sample may have fewer generalizable interactions than non-generalizable ones: `met` is the share of the strength
    that this control reaches at full dose, and its excess is taken at the largest `dose` where it reaches 99 %, if any.
    """
    doses = removal.removal_doses(store, run, epoch).set_index(["removed", "split", "dose"]).sort_index()
    rows = doses.xs(100, level="dose")
    own = "non_generalizable"
    values: dict[str, Any] = {
        name: _value(*(rows.loc[(own, name), f"change{end}"] for end in ("", "_low", "_high")))
        for name in ("gap", "train", "test")
    }
    met: dict[int, float] = {}
    for at in sorted({int(at) for at in doses.index.get_level_values("dose")}):
        reached, whole = (
            sum(float(doses.loc[(kind, split, at), "strength"]) for split in ("train", "test"))
            for kind in ("generalizable", own)
        )
        if whole > 0:
            met[at] = reached / whole
    dose = max((at for at, share in met.items() if share >= MET), default=None)
    nothing = _value(None, None, None)
    for control, at in (("random", 100), ("generalizable", dose)):
        values[control] = nothing
        if at is not None:
            values[control] = _value(
                *(doses.loc[(control, "gap", at), f"excess{end}"] for end in ("", "_low", "_high"))
            )
    samples = removal.sample_removals(store, run, epoch)
    changes = [samples.loc[samples["split"] == split, "change"].to_numpy(float) for split in ("train", "test")]
    return values | {
        "before": _number(rows.loc[(own, "gap"), "before"]),
        "met": _number(met.get(100)),
        "dose": None if dose is None else int(dose),
        "through": _sum_of_means(*changes),
    }


def _sum_of_means(train: np.ndarray, test: np.ndarray) -> Value:
    """Returns mean change of the training loss + that of the testing loss: above 0, the former rises by more."""
    ends = percentile(lambda a, b: train[a].mean(-1) + test[b].mean(-1), len(train), len(test))
    return _value(train.mean() + test.mean(), *ends)


def _shape(strengths: np.ndarray) -> dict[str, Any]:
    """Returns distances of strengths `[samples, n]` from the best decay and spindle, and which is closer.

    For each shape `distance` and `alpha`; `peak`: the order where the spindle is largest; `closer`: distance from the
    spindle − distance from the decay, above 0 where the decay is closer.
    """

    def distances(means: np.ndarray) -> np.ndarray:
        return fit(means[..., 0], "spindle")[1] - fit(means[..., 0], "decay")[1]

    facts: dict[str, Any] = {"n": strengths.shape[-1], "peak": None}
    for shape in SHAPES:
        alpha, distance = (_number(value) for value in fit(strengths.mean(0), shape))
        facts[shape] = {"alpha": alpha, "distance": distance}
    if (alpha := facts["spindle"]["alpha"]) is not None:
        facts["peak"] = int(profiles("spindle", strengths.shape[-1], np.array(alpha)).argmax()) + 1
    return facts | {"closer": _bootstrap(strengths[..., None], distances)}


def _similarity(store: Store, run: str, epoch: int) -> dict[str, float | None]:
    """Returns the weighted Jaccard index of training and testing samples, a mean over the low and over the high orders.

    `reference` is the same of random groups of the same sizes; `least` the lower end of its 95 % range; `ratio` is
    index / reference. Orders without interactions are left out.
    """
    orders = removal.order_similarities(store, run)
    rows = orders.loc[orders["epoch"] == epoch]
    means: dict[str, float | None] = {}
    for name, some in (("low", rows[rows["size"] <= LOW]), ("high", rows[rows["size"] >= HIGH])):
        index, reference = (_number(some[column].mean()) for column in ("similarity", "reference"))
        means |= {name: index, f"reference_{name}": reference, f"least_{name}": _number(some["reference_low"].mean())}
        means[f"ratio_{name}"] = index / reference if index is not None and reference else None
    return means


def _flips(store: Store, run: str) -> Value:
    """Returns the share of labels that flip with another baseline network at the last measured epoch."""
    rows = removal.robustness(store, run)
    rows = rows[rows["comparison"] == "baseline"]
    if rows.empty:
        return _value(None, None, None)
    return _row(rows.set_index("epoch"), max(rows["epoch"].tolist()), "flips")


def chance_of_rank_correlation(points: int, draws: int = 200) -> float:
    """Returns how often the interval of ρ lies above 0 for two independent random walks: as many points as epochs."""
    rng = np.random.default_rng(0)
    walks = rng.normal(size=(draws, 2, points)).cumsum(-1)
    return float(np.mean([rank_correlation(x, y, resamples=300)[1] > 0 for x, y in walks]))
