import itertools

import numpy as np
import pytest

from interdash.formulas.flows import QUANTITIES, Labelled, flows, from_rows, mean_order, only_salient
from interdash.formulas.subsets import orders


def labelled(effects, tau=0.0, generalizes=True, chance=0.5):
    effects = np.asarray(effects, float)
    salient = (abs(effects) >= tau) & (effects != 0)
    return Labelled(effects, salient, salient & generalizes, chance * np.ones(effects.shape))


def of_one(before, after, tau_before=1.0, tau_after=1.0):
    """Learned and removed of a single interaction of order 1."""
    pair = [labelled([[[0, i]]], tau) for i, tau in ((before, tau_before), (after, tau_after))]
    return flows(*pair)[0, 0, 0, [0, 3]].tolist()


def random_epochs(count, samples=5, n=4, seed=0):
    rng = np.random.default_rng(seed)
    shape = (samples, 2, 2**n)
    for _ in range(count):
        effects = rng.normal(size=shape) * (rng.random(shape) < 0.8)
        effects[..., 0] = 0
        yield labelled(effects, 0.5, rng.random(shape) < 0.5, rng.random(shape))


def test_against_a_plain_loop():
    before, after = random_epochs(2)
    expected = np.zeros((5, 2, 4, 6))
    for at in np.ndindex(before.effects.shape):
        first, second = before.effects[at], after.effects[at]
        grown = abs(second) - (abs(first) if first * second > 0 else 0)
        shrunk = abs(first) - (abs(second) if first * second > 0 else 0)
        for start, flow, labels in ((0, grown, after), (3, shrunk, before)):
            if flow > 0 and labels.salient[at]:
                row = expected[at[0], at[1], orders(4)[at[2]] - 1]
                row[start : start + 3] += flow * np.array([1, labels.generalizes[at], labels.chance[at]])
    np.testing.assert_allclose(flows(before, after), expected)
    assert expected.shape[-1] == len(QUANTITIES)


def test_what_stays_is_neither_learned_nor_removed():
    (epoch,) = random_epochs(1)
    assert not flows(epoch, epoch).any()
    assert of_one(2.0, 2.0, tau_before=1.0, tau_after=3.0) == [0, 0]
    assert of_one(2.0, 2.5, tau_before=1.0, tau_after=3.0) == [0, 0]
    assert of_one(2.0, 1.5, tau_before=3.0, tau_after=1.0) == [0, 0]


def test_learned_less_removed_is_the_change_of_strength_where_all_is_salient():
    epochs = [labelled(epoch.effects) for epoch in random_epochs(6)]
    tables = np.stack([flows(*pair) for pair in itertools.pairwise(epochs)])
    change = abs(epochs[-1].effects).sum((1, 2)) - abs(epochs[0].effects).sum((1, 2))
    np.testing.assert_allclose((tables[..., 0] - tables[..., 3]).sum((0, 2, 3)), change)
    back = flows(epochs[1], epochs[0])  # what is learned one way is removed the other way
    np.testing.assert_allclose(back[..., :3].sum(), tables[0, ..., 3:].sum())


@pytest.mark.parametrize(
    ("before", "after", "learned", "removed"),
    [
        (0.0, 3.0, 3.0, 0.0),
        (2.0, 5.0, 3.0, 0.0),
        (-5.0, -2.0, 0.0, 3.0),
        (2.0, -3.0, 3.0, 2.0),  # all of both
        (0.99, 1.01, 0.02, 0.0),  # around tau
        (1.01, 0.99, 0.0, 0.02),
        (0.5, 0.9, 0.0, 0.0),  # salient at neither epoch
        (2.0, -0.4, 0.0, 2.0),  # what takes its place is not salient
        (0.4, -2.0, 2.0, 0.0),
    ],
)
def test_one_interaction(before, after, learned, removed):
    assert of_one(before, after) == pytest.approx([learned, removed])


def test_salient_values_flicker_around_tau_and_rows_of_the_store_give_their_flows():
    rng = np.random.default_rng(0)
    epochs = [labelled(rng.normal(1, 0.05, (20, 1, 2)), tau=1.0) for _ in range(10)]
    dense = sum(flows(*pair)[..., 0].sum() for pair in itertools.pairwise(epochs))
    salient = sum(flows(*map(only_salient, pair))[..., 0].sum() for pair in itertools.pairwise(epochs))
    assert salient > 5 * dense > 0
    before, after = random_epochs(2)
    rows = []
    for epoch in (before, after):
        where = np.nonzero(epoch.salient)
        labels = (epoch.effects[where], epoch.generalizes[where], epoch.chance[where])
        rows.append(from_rows(where, *labels, epoch.effects.shape))
    np.testing.assert_array_equal(flows(*rows), flows(only_salient(before), only_salient(after)))


def test_mean_order_of_what_is_learned():
    effects = np.zeros((1, 1, 8))
    effects[..., [1, 3, 7]] = 1.0, -1.0, 4.0  # orders 1, 2, 3
    table = flows(labelled(np.zeros((1, 1, 8))), labelled(effects))
    assert mean_order(table[..., 0]).tolist() == [[15 / 6]]
    assert np.isnan(mean_order(table[..., 3])).all()
