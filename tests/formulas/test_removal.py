from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats

from interdash.formulas import generalization, removal
from interdash.formulas.bootstrap import percentile
from interdash.formulas.generalization import loss
from interdash.formulas.interactions import matched_outputs
from interdash.labelling import aggregate
from interdash.labelling.removals import removal_tables
from interdash.runs.parts import read_part
from interdash.runs.plan import plan
from interdash.solver.sparsify import sparse_split

# Two samples, n = 2, AND and OR; index = bitmask, orders 0, 1, 1, 2. Salient: all that are not 0.
EFFECTS = np.array([[[0, 4.0, -2, 1], [0, 0, 0, -6]], [[0, 0, 3.0, 0], [0, 0, 0, 2]]])
GENERAL = np.array([[[0, 1, 0, 0], [0, 0, 0, 1]], [[0, 0, 1, 0], [0, 0, 0, 0]]], bool)
V_FULL = np.array([10.0, -1.0])
SALIENT = EFFECTS != 0


def frame(tables, name="removals", **where):
    found = tables[name].to_pandas()
    for column, value in where.items():
        found = found[found[column] == value]
    return found


def losses(v_full, effects, salient, general, n):
    found = removal.interactions(effects, salient, general)
    return removal.losses(v_full, found, removal.random_keys(len(found.sample)), n=n)


def tables_of(salient, general, splits):
    """Returns the tables of the two samples, one after the other."""
    batches = [removal.interactions(EFFECTS[i : i + 1], salient[i : i + 1], general[i : i + 1]) for i in range(2)]
    return removal_tables(V_FULL, batches, splits, 2)


def test_intervals_within_strata_are_those_of_the_bootstrap_and_narrower():
    rng = np.random.default_rng(3)
    train, test = np.sort(rng.exponential(size=(30, 2)), 0), np.sort(rng.exponential(size=(40, 2)), 0)
    apart, within = removal.intervals(train, test), removal.intervals(train, test, (np.arange(30), np.arange(40)))
    assert (np.ptp(within, 0) < np.ptp(apart, 0) / 1.5).all()
    gap = percentile(
        lambda a, b: test[b, 0].mean(-1) - train[a, 0].mean(-1), np.arange(30), np.arange(40), resamples=1000
    )
    assert np.allclose(within[:, 2, 0], gap)


def test_every_dose_and_control_by_hand():
    found = losses(V_FULL, EFFECTS, SALIENT, GENERAL, n=2)
    # sample 0 loses −2, then 1: 3 nats in all; sample 1 loses 2
    outputs = np.array([[10, 10.3, 10.6, 11.8, 11.6, 11], [-1, -1.2, -1.4, -2.2, -2.6, -3]])
    np.testing.assert_allclose(found.mean[:, 0, 0][:, [0, 1, 2, 6, 8, 10]], generalization.loss(outputs))
    np.testing.assert_allclose(found.mean[:, 0, 1, -1], generalization.loss(np.array([9.0, -3.0])))  # order 2 only
    np.testing.assert_allclose(found.strength[:, 0, :, -1], [[3, 1], [2, 2]])
    np.testing.assert_allclose(found.strength[:, 1], found.strength[:, 0])  # random: always enough
    np.testing.assert_allclose(found.strength[:, 2, :, -1], [[3, 1], [2, 0]])  # sample 1: no generalizable of order 2
    np.testing.assert_allclose(found.mean[1, 2, 0, -1], generalization.loss(np.array(-1 - 2.0)))  # part of its 3
    assert len(np.unique(found.draws[:, 0, 1, 0, -1])) == 3  # −6, 4 or −2 goes first: the draws differ
    assert (found.draws[:, :, 0] == found.draws[:1, :, 0]).all()  # strongest first: nothing is drawn
    nothing = np.broadcast_to(generalization.loss(V_FULL)[:, None, None], found.mean.shape[:-1])
    np.testing.assert_allclose(found.mean[..., 0], nothing, rtol=1e-12)  # dose 0


def test_random_removals_are_fair_and_do_not_depend_on_the_batches():
    whole = removal.random_keys(7, draws=3)
    parts = [removal.random_keys(3, 0, 7, draws=3), removal.random_keys(4, 3, 7, draws=3)]
    assert (np.concatenate(parts, axis=1) == whole).all()
    assert (whole == np.random.default_rng(0).random((3, 7))).all()
    effects = np.zeros((1, 2, 16))
    effects[0, 0, 1:11] = 1.0
    general = np.zeros_like(effects, bool)
    general[0, 0, 1:6] = True
    found = removal.interactions(effects, effects != 0, general)
    marked = found._replace(effect=np.where(np.arange(10) == 3, -1.0, 1.0))
    keys = np.random.default_rng(0).random((4000, 10))
    gone = removal.remove(marked, keys, np.full((1, 1), 5.0)).effect[:, 0, 0]
    assert set(gone) == {3.0, 5.0} and abs((gone == 3).mean() - 0.5) < 0.03


def test_full_dose_is_the_plain_formula():
    rng = np.random.default_rng(0)
    effects = rng.normal(size=(30, 2, 32))
    effects[..., 0] = 0
    salient = np.abs(effects) > 0.5
    general = salient & (rng.random(effects.shape) < 0.4)
    v_full = rng.normal(size=30)
    found = losses(v_full, effects, salient, general, n=5)
    plain = v_full - (effects * (salient & ~general)).sum((1, 2))
    np.testing.assert_allclose(found.mean[:, 0, 0, -1], generalization.loss(plain), rtol=1e-12)


def test_tables_by_hand():
    tables = tables_of(SALIENT, GENERAL, ["train", "test"])
    rows = frame(tables, min_order=1, dose=100, removed="non_generalizable").set_index("split")
    train, test = (generalization.loss(np.array(values)) for values in ([10.0, 11.0], [-1.0, -3.0]))
    assert rows.loc["train", ["before", "after", "change"]].tolist() == pytest.approx([*train, train[1] - train[0]])
    assert rows.loc["test", ["before", "after", "change"]].tolist() == pytest.approx([*test, test[1] - test[0]])
    assert rows.loc["gap", "change"] == pytest.approx((test[1] - train[1]) - (test[0] - train[0]))
    assert rows["excess"].isna().all() and rows["draws_low"].isna().all()
    assert rows.loc["train", "strength"] == 3 and np.isnan(rows.loc["gap", "strength"])
    control = frame(tables, min_order=1, dose=100, removed="generalizable").set_index("split")
    np.testing.assert_allclose(control["excess"], rows["change"] - control["change"])
    assert len(frame(tables)) == 3 * 3 * 2 * 11
    per_sample = frame(tables, "sample_removals", min_order=1, dose=100)
    assert per_sample["after"].tolist() == pytest.approx([train[1], test[1]])
    assert per_sample["strength"].tolist() == [3, 2] and len(frame(tables, "sample_removals")) == 4
    tables = removal_tables(V_FULL, [], ["train", "test"], 2)
    assert tables["removals"].num_rows == tables["sample_removals"].num_rows == 0
    alone = tables_of(SALIENT, GENERAL, ["train", "train"])
    assert alone["removals"].schema.equals(tables["removals"].schema)
    assert frame(alone, split="train")["after_low"].notna().all()
    assert frame(alone, split="test")["after"].isna().all() and frame(alone, split="gap")["change"].isna().all()
    nothing = tables_of(SALIENT & False, GENERAL & False, ["train", "test"])
    np.testing.assert_allclose(frame(nothing)["change"], 0, atol=1e-12)


def test_intervals_are_those_of_scipy_and_cover_the_truth():
    """Changes of the loss are skewed: many near 0, some large."""
    rng, hits = np.random.default_rng(0), np.zeros(3)
    for _ in range(300):
        train, test = rng.gamma(1.0, 0.4, (50, 1)), rng.gamma(2.0, 0.1, (50, 1))
        low, high = removal.intervals(train, test, resamples=400)[..., 0]
        truth = np.array([0.4, 0.2, -0.2])
        hits += (low <= truth) & (truth <= high)
    assert (np.abs(hits / 300 - 0.95) <= 0.05).all(), hits / 300
    rng = np.random.default_rng(1)
    train, test = rng.normal(size=(40, 3)), rng.normal(size=(30, 3))
    ours = removal.intervals(train, test, resamples=5000)
    for row in range(3):
        expected = stats.bootstrap(
            (train[:, row],), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(2)
        ).confidence_interval
        np.testing.assert_allclose(ours[:, 0, row], expected, atol=0.03)


def coverage(draw: Callable[[np.random.Generator], tuple[float, float]], truth: float, draws: int) -> float:
    """Returns in %: how often an interval (low, high) covers the truth."""
    rng = np.random.default_rng(3)
    ends = np.array([draw(rng) for _ in range(draws)])
    return 100 * float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())


def removal_draw(rng: np.random.Generator, count: int) -> tuple[float, float]:
    """Returns the interval of the excess of a removal over its control, for the gap; see `removal_truth`."""
    values = [_excess(rng, count, mean) for mean in (2.0, 1.0)]
    low, high = removal.intervals(*(v[:, None] for v in values))[:, 2, 0]
    return float(low), float(high)


def _excess(rng: np.random.Generator, count: int, mean: float) -> np.ndarray:
    """Returns differences of losses of samples: outputs v, less what either removal takes."""
    v = rng.normal(mean, 2.0, count)
    return loss(v - rng.gamma(1.5, 0.8, count)) - loss(v - rng.normal(0.5, 0.8, count))


def removal_truth() -> float:
    """Returns what `removal_draw` estimates, from two million samples."""
    rng = np.random.default_rng(4)
    train, test = (_excess(rng, 2_000_000, mean).mean() for mean in (2.0, 1.0))
    return float(test - train)


def power_draw(rng: np.random.Generator, count: int) -> tuple[float, float]:
    """Returns the interval of H of samples whose expected strengths are 3 (generalizable) and 2, skewed and related."""
    size = rng.lognormal(-(0.5**2) / 2, 0.5, count)
    parts = np.stack([3 * size * rng.gamma(2, 0.5, count), 2 * size * rng.gamma(1, 1, count)], -1)
    by_sample = np.concatenate([parts.sum(-1, keepdims=True), parts], -1)
    low, high = aggregate.intervals(by_sample[:, None])[:, 0, 3]
    return float(low), float(high)


@pytest.mark.parametrize(("draw", "truth"), [(power_draw, 0.6), (removal_draw, None)])
def test_intervals_of_h_and_of_the_excess_cover_the_truth(draw, truth):
    truth = removal_truth() if truth is None else truth
    assert abs(coverage(lambda rng: draw(rng, 50), truth, 200) - 95) <= 5


@pytest.mark.parametrize("network", ["target"])
def test_with_nothing_removed_the_loss_is_the_cross_entropy(labelled_run, small_store, network):
    from interdash.training.network_of_run import network_builder

    explained, model = labelled_run.explained(), network_builder(labelled_run)()
    for epoch in labelled_run.checkpoint_epochs(network):
        model.load_state_dict(labelled_run.load_checkpoint(network, epoch))
        with torch.inference_mode():
            logits = model.eval()(explained.inputs).double()
        expected = torch.nn.functional.cross_entropy(logits, explained.labels, reduction="none").numpy()
        parts = [
            read_part(labelled_run, unit, ("v_full", "i_and", "i_or"))
            for unit in plan(labelled_run).units
            if (unit.network, unit.epoch) == (network, epoch)
        ]
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        effects = np.stack([columns["i_and"], columns["i_or"]], 1)
        found = losses(columns["v_full"], effects, effects != 0, effects > 0, n=4)
        np.testing.assert_allclose(
            found.mean[..., 0], np.broadcast_to(expected[:, None, None], found.mean.shape[:-1]), rtol=1e-6
        )
        means = [expected[np.array(explained.split) == split].mean() for split in ("train", "test")]
        stored = small_store.ask(
            "SELECT DISTINCT split, before FROM removals WHERE epoch = ? AND network = ? ORDER BY split DESC",
            [epoch, network],
        )
        np.testing.assert_allclose(stored["before"], [*means, means[1] - means[0]], rtol=1e-6, atol=1e-8)


def test_g_is_exact_on_a_planted_pair_of_games():
    """Two sparse games of known AND and OR interactions: after the split, G is 1 for exactly the shared ones."""
    n, one = 6, np.full(1, 0.1)
    i_and, i_or = np.zeros((2, 2**n)), np.zeros((2, 2**n))
    i_and[:, 0b000011] = 2.0, 1.5  # shared
    i_and[:, 0b111000] = -1.0, -0.5  # shared
    i_or[:, 0b001100] = 1.0, 0.8  # shared
    i_and[:, 0b010001] = 1.2, -1.2  # the sign differs
    i_or[0, 0b110100] = -0.7  # not in the baseline
    i_and[1, 0b000100] = 2.0  # not in the target
    v = matched_outputs(i_and, i_or, np.zeros(2))
    split = sparse_split(v, 0.0, tolerance="tight")
    np.testing.assert_allclose(split.i_and, i_and, atol=0.02)
    target, base = (np.stack([split.i_and[i], split.i_or[i]])[None] for i in range(2))
    g = generalization.generalizes(target, [base], one[:, None], [one[:, None]])[0]
    assert {("and", "or")[kind] + f" {subset:06b}" for kind, subset in np.argwhere(g)} == {
        "and 000011",
        "and 111000",
        "or 001100",
    }
    found = losses(v[:1, -1], target, generalization.salient(target, one[:, None]), g[None], n=n)
    without = v[0, -1] - 1.2 + 0.7
    np.testing.assert_allclose(found.mean[0, 0, 0, -1], np.log1p(np.exp(-without)), rtol=0.02)
