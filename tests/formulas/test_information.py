"""Information and synergy where they are known."""

import numpy as np
import pytest

from interdash.formulas.theories.information import information, synergy

LN2 = np.log(2)


def answers(bits, label):
    """Returns labels and what all variables, each alone, and all but each can say of a label, as their joint values."""
    n = bits.shape[1]
    powers = 2 ** np.arange(n)
    rest = np.stack([np.delete(bits, i, 1) @ powers[: n - 1] for i in range(n)])
    return label, bits @ powers, bits.T.copy(), rest


def drawn(n, samples=4000, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (samples, n))


def test_known_synergies():
    bits = drawn(3)
    for label, known in (
        (bits.sum(1) % 2, LN2),  # XOR: nothing but all of them
        (bits.prod(1), 0.076),  # AND
        (bits[:, 0], 0.0),  # a copy of one
    ):
        found = synergy(*answers(bits, label))
        assert found.synergy == pytest.approx(known, abs=0.02)
        assert found.low <= found.synergy <= found.high and found.high - found.low < 0.1
    twice = np.repeat(drawn(1), 2, 1)
    assert synergy(*answers(twice, twice[:, 0])).synergy == pytest.approx(-LN2, abs=0.01)


def test_independent_labels_are_within_the_floor():
    inside = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        label, rest = rng.integers(0, 10, 2000), rng.integers(0, 10, (9, 2000))
        found = synergy(label, rest[0], rest[1:5], rest[5:])
        inside += found.floor_low - 0.005 <= found.synergy <= found.floor_high + 0.005
        assert abs(found.synergy) < 0.02 and abs(found.joint) < 0.01
    assert inside == 10


def test_information_is_nearly_unbiased():
    """The plug-in value of independent labels of ten classes is 0.084 nats at N = 500."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(200):
        counts = np.zeros((10, 10))
        np.add.at(counts, (rng.integers(0, 10, 500), rng.integers(0, 10, 500)), 1)
        values.append(information(counts))
    assert abs(np.mean(values)) < 0.01
    assert information(np.full((2, 2), 10.0)) == pytest.approx(-1 / 80)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"labels and answers \[\(3,\), \(2,\), \(2, 3\), \(2, 3\)\] do not fit"):
        synergy(np.zeros(3, int), np.zeros(2, int), np.zeros((2, 3), int), np.zeros((2, 3), int))
