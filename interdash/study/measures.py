"""What a run shows of the papers' claims: numbers with 95 % intervals, from its labels. Rules: see `claims`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from interdash.formulas.bootstrap import group, percentile, sample_weights
from interdash.formulas.chance import above_chance
from interdash.formulas.correlation import rank_correlation
from interdash.formulas.flows import QUANTITIES
from interdash.formulas.order_shape import PARTS, SHAPES, fit, profiles
from interdash.formulas.two_phase import gap_start
from interdash.queries import dynamics, removal
from interdash.store.database import Store
from interdash.study import agreement

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
    strata = _strata(store, run)
    by_sample = _by_sample(store, run, last)  # [samples, n, 3]
    parts = by_sample[..., :2]
    shares = removal.share_and_gap(store, run)
    rho, low, high = rank_correlation(shares["share"].to_numpy(float), shares["gap"].to_numpy(float))
    phases = {str(row["boundary"]): row for row in dynamics.phases(store, run).to_dict("records")}
    places = {name: row["found"] for name, row in phases.items() if not pd.isna(row["found"])}
    flips = store.fetch("SELECT flips FROM networks WHERE run = ? AND network = 'target' AND epoch = ?", [run, last])
    return {
        "run": run,
        "recorded": recorded,
        "peak": peak,
        "last": last,
        "phases": {name: _value(row["found"], row["low"], row["high"]) for name, row in phases.items()},
        "with": _with_each(store, run),
        "turns": agreement.turns(store, run),
        "lowest_test_loss": recorded[int(np.nanargmin(np.asarray(epochs["test_loss"], float)))],
        "gap_start": gap_start(losses),
        "gap": _list(np.asarray(epochs["gap"], float)),
        "power": [_row(strength, epoch, "generalization_power") for epoch in recorded],
        "chance": _list(strength["chance"].to_numpy(float)),
        "above_chance": [_row(strength, epoch, "above_chance") for epoch in recorded],
        "generalizable": _list(strength["generalizable"].to_numpy(float)),
        "non_generalizable": _list(strength["non_generalizable"].to_numpy(float)),
        "flows": _flow_curves(dynamics.flows(store, run)),
        "first": first_phase_flows(store, run, places.get("1|2")),
        "third": third_phase_flows(store, run, places.get("1|2"), places.get("2|3")),
        "removal": _removal(store, run, last),
        "above_low_minus_high": _bootstrap(by_sample, _above_low_minus_high, strata),
        "power_low": _bootstrap(parts[:, :LOW], _power, strata),
        "power_high": _bootstrap(parts[:, HIGH - 1 :], _power, strata),
        "chance_low": _number(_level(by_sample[:, :LOW].mean(0))),
        "chance_high": _number(_level(by_sample[:, HIGH - 1 :].mean(0))),
        "correlation": _value(rho, low, high),
        "shapes": {part: _shape(parts[..., i], strata) for i, part in enumerate(PARTS)},
        "similarity": _similarity(store, run, last),
        "flips": _number(flips[0][0]),
    }


def _strata(store: Store, run: str) -> np.ndarray:
    """Returns the places of the samples sorted by split and stratum, `[samples]`; NaN if drawn at random."""
    rows = store.fetch(f"SELECT {dynamics.PLACE} FROM samples WHERE run = ? ORDER BY sample", [run])
    return np.array([place for (place,) in rows], float)


def _with_each(store: Store, run: str) -> dict[str, list[float | None]]:
    """Returns where each boundary lies with each of several baseline networks alone."""
    rows = store.fetch("SELECT boundary, epoch FROM baseline_phases WHERE run = ? ORDER BY boundary, baseline", [run])
    return {name: [_number(epoch) for boundary, epoch in rows if boundary == name] for name in ("1|2", "2|3")}


def _flow_curves(flows: pd.DataFrame) -> dict[str, list[float | None]]:
    columns = ("above_chance", "above_chance_low", "above_chance_high", "power", "chance", "learned", "removed")
    columns += ("learned_order", "removed_order", "removed_power")
    return {"epoch": flows["epoch_to"].tolist()} | {name: _list(flows[name].to_numpy(float)) for name in columns}


def _sums(store: Store, run: str, spans: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns flows within spans of epochs `[samples, baselines, spans, 8]`, nats, and the strata of the samples."""
    pairs, strata, sums = dynamics.flow_sums(store, run, (*QUANTITIES, "learned_size", "removed_size"))
    within = [((pairs["epoch_from"] >= low) & (pairs["epoch_to"] <= high)).to_numpy() for low, high in spans]
    return np.stack([sums[rows].sum(0) for rows in within], axis=2), strata


def _of_flows(sums: np.ndarray, strata: np.ndarray | None, statistic: Callable[[np.ndarray], np.ndarray]) -> Value:
    """Returns a statistic of mean flows `[..., spans, 8]` and its interval; samples and baselines are drawn anew."""

    def values(samples: np.ndarray, baselines: np.ndarray) -> np.ndarray:
        of_each = np.tensordot(sample_weights(samples), sums, 1)  # [resamples, baselines, spans, 8]
        return statistic(np.einsum("rbsq,rb->rsq", of_each, sample_weights(baselines)))

    drawn = group(strata, sums.shape[0])
    return _value(statistic(sums.mean((0, 1))), *percentile(values, drawn, sums.shape[1]))


def _part(name: str, of: str) -> Callable[[np.ndarray], np.ndarray]:
    """Returns what gives the ratio of two flows within the first span, of `[..., spans, 8]`."""
    columns = (*QUANTITIES, "learned_size", "removed_size")
    return lambda means: _ratio(means[..., 0, columns.index(name)], means[..., 0, columns.index(of)])


def first_phase_flows(store: Store, run: str, end: float | None) -> dict[str, Any] | None:
    """Returns shares and mean orders of what is removed and learned up to boundary 1|2; None where it is not found.

    `difference`: the share of the learned that generalizes − that of the removed.
    """
    if end is None:
        return None
    sums, strata = _sums(store, run, [(0, end)])
    general, removed = _part("learned_generalizable", "learned"), _part("removed_generalizable", "removed")
    return {
        "removed": _of_flows(sums, strata, lambda means: 1 - removed(means)),
        "by_chance": _number(1 - _part("removed_by_chance", "removed")(sums.mean((0, 1)))),
        "difference": _of_flows(sums, strata, lambda means: general(means) - removed(means)),
        "learned_order": _number(_part("learned_size", "learned")(sums.mean((0, 1)))),
        "removed_order": _number(_part("removed_size", "removed")(sums.mean((0, 1)))),
    }


def third_phase_flows(store: Store, run: str, first: float | None, second: float | None) -> dict[str, Any] | None:
    """Returns how what is learned changes: after the second boundary, or 1|2 alone, against before it; None without.

    `power`: share of what is learned after 2|3 that generalizes (with its level by `chance`), if it is found.
    `growth`: mean order of what is learned after 1|2 − that before.
    """
    if first is None:
        return None
    sums, strata = _sums(store, run, [(0, first), (first, np.inf)])
    sizes = [QUANTITIES.index("learned"), len(QUANTITIES)]

    def growth(means: np.ndarray) -> np.ndarray:
        orders = _ratio(means[..., sizes[1]], means[..., sizes[0]])
        return orders[..., 1] - orders[..., 0]

    made = {"growth": _of_flows(sums, strata, growth), "power": _value(None, None, None), "chance": None}
    if second is not None:
        sums, strata = _sums(store, run, [(second, np.inf)])
        made["power"] = _of_flows(sums, strata, _part("learned_generalizable", "learned"))
        made["chance"] = _number(_part("learned_by_chance", "learned")(sums.mean((0, 1))))
    return made


def _value(value: Any, low: Any, high: Any) -> Value:
    return {"value": _number(value), "low": _number(low), "high": _number(high)}


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _list(values: np.ndarray) -> list[float | None]:
    return [_number(value) for value in values]


def _row(table: pd.DataFrame, epoch: int, name: str) -> Value:
    return _value(*(table.loc[epoch, f"{name}{end}"] for end in ("", "_low", "_high")))


def _by_sample(store: Store, run: str, epoch: int) -> np.ndarray:
    """Returns strengths `[samples, n, 3]` (generalizable, non-generalizable, by chance) by order at an epoch, nats."""
    n, count = store.fetch("SELECT len(any_value(names)), count(*) FROM samples WHERE run = ?", [run])[0]
    found = store.ask(
        """
        SELECT sample, size, sum(generalizable_positive - generalizable_negative) AS g,
            sum(non_generalizable_positive - non_generalizable_negative) AS b, sum(by_chance) AS c
        FROM sample_orders WHERE run = $run AND network = $network AND epoch = $epoch GROUP BY ALL
        """,
        {"run": run, "network": "target", "epoch": epoch},
        details=("sample_orders",),
    )
    made = np.zeros((count, n, 3))
    made[found["sample"], found["size"] - 1] = found[["g", "b", "c"]]
    return made


def _bootstrap(
    by_sample: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], strata: np.ndarray | None = None
) -> Value:
    """Returns a statistic of the mean over samples `[..., n, parts]`, and its percentile interval; seeded."""

    def values(drawn: np.ndarray) -> np.ndarray:
        return statistic(np.tensordot(sample_weights(drawn), by_sample, 1))

    return _value(statistic(by_sample.mean(0)), *percentile(values, group(strata, len(by_sample))))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _above_low_minus_high(means: np.ndarray) -> np.ndarray:
    """Returns how far H is above chance in the low orders − in the high ones, of `[..., n, 3]`, the last by chance."""
    low, high = (means[..., orders, :] for orders in (slice(LOW), slice(HIGH - 1, None)))
    return above_chance(_power(low[..., :2]), _level(low)) - above_chance(_power(high[..., :2]), _level(high))


def _power(means: np.ndarray) -> np.ndarray:
    """Returns H of strengths `[..., orders, 2]`."""
    return _ratio(means[..., 0].sum(-1), means.sum((-2, -1)))


def _level(means: np.ndarray) -> np.ndarray:
    """Returns H by chance, of strengths `[..., orders, 3]`."""
    return _ratio(means[..., 2].sum(-1), means[..., :2].sum((-2, -1)))


def searched_fall(values: np.ndarray) -> dict[str, Any]:
    """Returns how far the mean of strengths `[samples, E]` falls from the first to its lowest epoch, as a share.

    The lowest epoch is searched for, so it would seem to lie low by chance too: every resample chooses it anew, and
    measures the fall on the samples that it did not draw. value, low, high, lowest (a position), first (nats).
    """
    lowest = int(values.mean(0).argmin())

    def falls(drawn: np.ndarray) -> np.ndarray:
        weights = sample_weights(drawn)
        at = (weights @ values).argmin(-1)
        left = weights == 0
        left |= ~left.any(-1, keepdims=True)  # all were drawn: they are measured themselves
        means = (left @ values) / left.sum(-1, keepdims=True)
        chosen = np.take_along_axis(means, at[..., None], -1)[..., 0]
        return _ratio(means[..., 0] - chosen, means[..., 0])

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
    found: dict[str, Any] = {
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
        found[control] = nothing
        if at is not None:
            found[control] = _value(*(doses.loc[(control, "gap", at), f"excess{end}"] for end in ("", "_low", "_high")))
    samples = removal.sample_removals(store, run, epoch)
    splits = [samples[samples["split"] == split] for split in ("train", "test")]
    return found | {
        "before": _number(rows.loc[(own, "gap"), "before"]),
        "met": _number(met.get(100)),
        "dose": None if dose is None else int(dose),
        "through": _sum_of_means(*(split["change"] for split in splits), *(split["stratum"] for split in splits)),
    }


def _sum_of_means(train: Any, test: Any, *strata: Any) -> Value:
    """Returns mean change of the training loss + that of the testing loss: above 0, the former rises by more."""
    x, y = np.asarray(train, float), np.asarray(test, float)
    groups = [group(each, len(each)) for each in strata] or [len(x), len(y)]
    return _value(x.mean() + y.mean(), *percentile(lambda a, b: x[a].mean(-1) + y[b].mean(-1), *groups))


def _shape(strengths: np.ndarray, strata: np.ndarray | None = None) -> dict[str, Any]:
    """Returns distances of strengths `[samples, n]` from the best decay and spindle, and which is closer.

    For each shape `distance` and `alpha`; `peak`: the order where the spindle is largest; `closer`: distance from the
    spindle − distance from the decay, above 0 where the decay is closer.
    """

    def distances(means: np.ndarray) -> np.ndarray:
        return fit(means[..., 0], "spindle")[1] - fit(means[..., 0], "decay")[1]

    made: dict[str, Any] = {"n": strengths.shape[-1], "peak": None}
    for shape in SHAPES:
        alpha, distance = (_number(value) for value in fit(strengths.mean(0), shape))
        made[shape] = {"alpha": alpha, "distance": distance}
    if (alpha := made["spindle"]["alpha"]) is not None:
        made["peak"] = int(profiles("spindle", strengths.shape[-1], np.array(alpha)).argmax()) + 1
    return made | {"closer": _bootstrap(strengths[..., None], distances, strata)}


def _similarity(store: Store, run: str, epoch: int) -> dict[str, float | None]:
    """Returns the weighted Jaccard index of training and testing samples, a mean over the low and over the high orders.

    `reference` is the same of random groups of the same sizes; `least` the lower end of its 95 % range; `ratio` is
    index / reference. Orders without interactions are left out.
    """
    found = removal.order_similarities(store, run)
    rows = found.loc[found["epoch"] == epoch]
    made: dict[str, float | None] = {}
    for name, some in (("low", rows[rows["size"] <= LOW]), ("high", rows[rows["size"] >= HIGH])):
        index, reference = (_number(some[column].mean()) for column in ("similarity", "reference"))
        made |= {name: index, f"reference_{name}": reference, f"least_{name}": _number(some["reference_low"].mean())}
        made[f"ratio_{name}"] = index / reference if index is not None and reference else None
    return made


def chance_of_rank_correlation(points: int, draws: int = 200) -> float:
    """Returns how often the interval of ρ lies above 0 for two independent random walks: as many points as epochs."""
    rng = np.random.default_rng(0)
    walks = rng.normal(size=(draws, 2, points)).cumsum(-1)
    return float(np.mean([rank_correlation(x, y, resamples=300)[1] > 0 for x, y in walks]))
