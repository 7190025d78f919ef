"""A small version of `benchmarks.planted_flows`: from interactions with planted flows to boundaries."""

import numpy as np
import pytest

from benchmarks import planted_flows
from benchmarks.planted_flows import NO_PHASES, Table, planted, truth
from interdash.formulas.phases import find_phases

SAMPLES, RECORDED = (60, 80), (14, 24)


def test_the_curve_is_the_planted_one():
    """Noise and flicker add a little that was not planted, so that the curve is slightly flatter."""
    table = planted(np.random.default_rng(0), planted_flows.tent, (300, 300), (16, 16))
    phases = find_phases(table.epochs, *table.flows)
    assert abs(phases.above_chance - table.kappa).mean() < 0.05
    assert np.corrcoef(phases.above_chance, table.kappa)[0, 1] > 0.95
    table = Table(np.array([0, 1, 2, 4, 8, 16]), np.zeros((3, 1, 5)), np.array([0.1, 0.4, 0.3, 0.19, 0.1]))
    assert truth(table) == [2, 3] and truth(table, 0.2) == [2, 5]
    assert planted_flows.is_clear(table)
    phases = find_phases(np.arange(3), *np.zeros((3, 4, 2)))
    assert not planted_flows.places(table, phases).any()


@pytest.mark.parametrize("course", [planted_flows.smooth, planted_flows.tent, planted_flows.step])
def test_planted_phases(course):
    rng, counts = np.random.default_rng(11), []
    for _ in range(6):
        table = planted(rng, course, SAMPLES, RECORDED)
        counts.append(planted_flows.places(table, find_phases(table.epochs, *table.flows)))
    (found_12, _, inside_12), (found_23, near_23, _) = np.sum(counts, axis=0)
    assert min(found_12, inside_12, found_23, near_23) >= 5


@pytest.mark.parametrize("name", sorted(NO_PHASES))
def test_tables_without_phases(name):
    rng = np.random.default_rng(12)
    tables = [planted(rng, NO_PHASES[name], SAMPLES, RECORDED) for _ in range(4)]
    silent = [find_phases(table.epochs, *table.flows).boundary_12 is None for table in tables]
    assert sum(silent) >= 3
