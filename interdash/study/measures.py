"""What a run shows of the papers' claims: numbers with 95 % intervals, from its labels. Rules: see `claims`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from interdash import queries, queries_removal
from interdash.boundaries import find_boundaries, gap_start
from interdash.correlation import rank_correlation
from interdash.removal import LEVEL, RESAMPLES, sample_weights
from interdash.store import Store

LOW, HIGH = 2, 4  # orders: low are 1 and 2, high from 4 on

Value = dict[str, float | None]  # value, low, high


def measure(store: Store, run: str) -> dict[str, Any]:
    """Returns every number of a labelled run that the study speaks of; None where there is none."""
    losses = queries.epochs(store, run)
    epochs = losses[losses["extracted"]]
    strength = queries.strength(store, run).set_index("epoch")
    recorded: list[int] = strength.index.tolist()
    power = strength["generalization_power"].to_numpy(float)
    peak, last = recorded[int(np.nan_to_num(power).argmax())], recorded[-1]
    by_sample = _by_sample(store, run, sorted({0, peak, last} & set(recorded)))
    shares = queries_removal.share_and_gap(store, run)
    rho, low, high = rank_correlation(shares["share"].to_numpy(float), shares["gap"].to_numpy(float))
    found = {row["boundary"]: row for row in find_boundaries(queries.sample_strengths(store, run))}
    phases = {name: _value(row["found"], row["low"], row["high"]) for name, row in found.items()}
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
        "first_fall": _fall(queries.sample_strengths(store, run), peak),
        "removal": _removal(store, run, last),
        "low_minus_high": _bootstrap(by_sample[last], _low_minus_high),
        "power_low": _power(by_sample[last].mean(0)[:LOW]),
        "power_high": _power(by_sample[last].mean(0)[HIGH - 1 :]),
        "order_growth": _bootstrap(np.concatenate([by_sample[peak], by_sample[last]], -1), _order_growth),
        "correlation": _value(rho, low, high),
        "shapes": _shapes(store, run, last),
        "similarity": _similarity(store, run, last),
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
    found = store.ask(
        """
        SELECT epoch, sample, size, sum(generalizable_positive - generalizable_negative) AS g,
            sum(non_generalizable_positive - non_generalizable_negative) AS b
        FROM sample_orders WHERE run = ? AND network = 'target' AND list_contains(?, epoch) GROUP BY ALL
        """,
        [run, epochs],
    )
    made = {epoch: np.zeros((count, n, 2)) for epoch in epochs}
    for epoch in epochs:
        rows = found[found["epoch"] == epoch]
        made[epoch][rows["sample"], rows["size"] - 1] = rows[["g", "b"]]
    return made


def _bootstrap(by_sample: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Value:
    """Returns a statistic of the mean over samples `[..., n, parts]`, and its percentile interval; seeded."""
    count = len(by_sample)

    def values(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        return statistic(np.tensordot(sample_weights(drawn, count), by_sample, 1))

    value = statistic(by_sample.mean(0))
    if np.isnan(value):
        return _value(None, None, None)
    found = stats.bootstrap(
        (np.arange(count),),
        lambda drawn, axis=-1: np.nan_to_num(values(drawn)),
        n_resamples=RESAMPLES,
        vectorized=True,
        method="percentile",
        confidence_level=LEVEL,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return _value(value, found.low, found.high)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _low_minus_high(means: np.ndarray) -> np.ndarray:
    """Returns H of the low orders − H of the high ones, of strengths `[..., n, 2]`."""
    low, high = means[..., :LOW, :].sum(-2), means[..., HIGH - 1 :, :].sum(-2)
    return _ratio(low[..., 0], low.sum(-1)) - _ratio(high[..., 0], high.sum(-1))


def _power(means: np.ndarray) -> float | None:
    return _number(_ratio(means[:, 0].sum(), means.sum()))


def _order_growth(means: np.ndarray) -> np.ndarray:
    """Returns the mean order at the last epoch − that at the peak of H, of `[..., n, 4]`, two parts at each epoch."""
    k = np.arange(1, means.shape[-2] + 1)
    at = [means[..., parts].sum(-1) for parts in (slice(0, 2), slice(2, 4))]
    peak, last = (_ratio((strength * k).sum(-1), strength.sum(-1)) for strength in at)
    return last - peak


def _fall(samples: pd.DataFrame, peak: int) -> dict[str, Any]:
    """Returns how far non-generalizable strength falls from epoch 0 to its lowest epoch before H peaks, in nats.

    The interval is of the difference, paired by sample; the lowest epoch is that of the mean.
    """
    table = samples.pivot(index="sample", columns="epoch", values="non_generalizable")
    epochs, values = table.columns.tolist(), table.to_numpy(float)
    lowest = int(values[:, : epochs.index(peak) + 1].mean(0).argmin())
    fall = values[:, 0] - values[:, lowest]
    change = _bootstrap(fall[:, None, None], lambda mean: mean[..., 0, 0])
    return {**change, "first": _number(values[:, 0].mean()), "lowest": epochs[lowest]}


def _removal(store: Store, run: str, epoch: int) -> dict[str, Any]:
    """Returns gap before, changes of the gap and of both losses, and the excess over both controls, full dose."""
    rows = queries_removal.removals(store, run)
    rows = rows[rows["epoch"] == epoch].set_index(["removed", "split"]).sort_index()
    own = "non_generalizable"
    found: dict[str, Any] = {
        name: _value(*(rows.loc[(own, name), f"change{end}"] for end in ("", "_low", "_high")))
        for name in ("gap", "train", "test")
    }
    for control in ("random", "generalizable"):
        found[control] = _value(*(rows.loc[(control, "gap"), f"excess{end}"] for end in ("", "_low", "_high")))
    return found | {"before": _number(rows.loc[(own, "gap"), "before"])}


def _shapes(store: Store, run: str, epoch: int) -> dict[str, dict[str, float | None]]:
    """Returns the distance of each part's profile from a decay and from a spindle at an epoch, and at epoch 0."""
    fits = queries_removal.order_fits(store, run).to_dict("records")
    made: dict[str, dict[str, float | None]] = {}
    for row in fits:
        for name, at in (("last", epoch), ("first", fits[0]["epoch"])):
            if row["epoch"] == at:
                made.setdefault(f"{row['part']}, {name}", {})[str(row["shape"])] = _number(row["distance"])
    return made


def _similarity(store: Store, run: str, epoch: int) -> dict[str, float | None]:
    """Returns the weighted Jaccard index of training and testing samples at order 1 and, on average, at high orders."""
    found = queries_removal.order_similarities(store, run)
    rows = found.loc[found["epoch"] == epoch]
    return {
        "low": _number(rows.loc[rows["size"] <= LOW, "similarity"].mean()),
        "high": _number(rows.loc[rows["size"] >= HIGH, "similarity"].mean()),
        "reference_low": _number(rows.loc[rows["size"] <= LOW, "reference"].mean()),
        "reference_high": _number(rows.loc[rows["size"] >= HIGH, "reference"].mean()),
    }
