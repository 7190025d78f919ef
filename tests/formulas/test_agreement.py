"""Turns of curves with their intervals, their distances, and the same by chance."""

from itertools import product

import numpy as np
import pytest

from interdash.formulas.theories.agreement import (
    NONE,
    by_chance,
    expected_steps,
    first_below,
    scaled,
    shares,
    steps,
    turn,
)
from interdash.formulas.two_phase import last_small


@pytest.mark.parametrize("count", [1, 2, 7])
def test_chance_is_that_of_all_pairs_of_epochs(count):
    pairs = [abs(a - b) for a, b in product(range(count), repeat=2)]
    assert expected_steps(count) == pytest.approx(np.mean(pairs))
    for apart in range(count + 1):
        assert by_chance(count, apart) == pytest.approx(np.mean(np.array(pairs) <= apart))


def test_the_interval_of_a_turn_holds_95_percent_of_the_resamples():
    rng = np.random.default_rng(0)
    curve = np.array([0.0, 1.0, 3.0, 2.9, 1.0])
    places = (curve + rng.normal(0, 0.3, (1000, 5))).argmax(1)
    assert turn([0, 1, 2, 4, 8], int(curve.argmax()), shares(places, 5)) == (2, 2, 4)
    assert turn([0, 1, 2, 4, 8], 3, shares(np.full(9, 3), 5)) == (4, 4, 4)


def test_a_curve_that_is_never_below_a_level_has_no_turn():
    ends = np.array([[1.0, 0.5], [0.5, -0.1], [1.5, 1.0]])
    assert first_below([0, 1], ends) == NONE
    assert first_below([0, 1], ends, level=0.6) == (1, 0, 1)
    assert first_below([3, 5, 9], np.array([[-1.0, 0.2, -1]] * 3)) == (3, 3, 3)


def test_scales_and_steps():
    assert np.isnan(scaled(np.ones(3))).all()
    assert scaled(np.array([1.0, np.nan, 5.0])).tolist()[::2] == [0, 1]
    assert steps([0, 1, 2, 5, 10], 4.9, 0) == 3  # a boundary set by hand lies between recorded epochs
    assert last_small(np.array([[0.0, -1.0, 1.0, 2.0], [0.0, 0.1, 5.0, 0.2]])).tolist() == [1, 3]
