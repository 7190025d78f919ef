import numpy as np
import pytest

from interdash.formulas import subsets


def test_index_is_the_bitmask():
    table = subsets.masks(4)
    assert table.shape == (16, 4)
    assert np.array_equal(table @ (1 << np.arange(4)), np.arange(16))
    assert np.array_equal(subsets.orders(4), table.sum(1))
    assert subsets.masks(0).shape == (1, 0)
    assert subsets.orders(0).tolist() == [0]
    for subset in range(64):
        found = subsets.members(subset)
        assert sum(1 << i for i in found) == subset and list(found) == sorted(found)


@pytest.mark.parametrize("n_subsets", [0, 3, 1023])
def test_a_length_that_is_no_power_of_two_is_refused(n_subsets):
    with pytest.raises(ValueError, match=f"{n_subsets} outputs are not one for each subset"):
        subsets.n_variables(n_subsets)


@pytest.mark.parametrize("n", [-1, 21])
def test_too_many_variables_are_refused(n):
    with pytest.raises(ValueError, match=rf"n_variables is {n}; it must be between 0 and 20, .* take coarser"):
        subsets.check_n_variables(n)
