import numpy as np
import pytest

from interdash.formulas import order_shape
from interdash.formulas.order_shape import GroupMeans, fit, group_means, profiles, similarities, similarity
from interdash.labelling.shapes import shape_tables


def means_of(effects, in_train):
    groups = GroupMeans(in_train)
    groups.add(0, effects)
    return groups.means


def test_similarity_by_hand():
    """n = 2, AND and OR; orders by index: 0, 1, 1, 2."""
    first = np.array([[0.0, 2, -1, 0], [0.0, 0, 0, 3]])
    second = np.array([[0.0, 1, 1, 0], [0.0, 0, 0, -3]])
    np.testing.assert_allclose(similarity(first, second), [1 / 4, 0])
    np.testing.assert_allclose(similarity(first, first), [1, 1])
    assert np.isnan(similarity(first * [1, 1, 1, 0], second * [1, 1, 1, 0])[1])
    np.testing.assert_allclose(similarity(5 * first, 5 * second), similarity(first, second))
    alpha, distance = fit(np.zeros((2, 4)), "decay")
    assert np.isnan(alpha).all() and np.isnan(distance).all()
    with pytest.raises(ValueError, match="there is no profile 'bell'; choose one of decay, spindle"):
        profiles("bell", 3, np.array(1.0))


def test_similarities_beside_their_reference():
    rng, inside = np.random.default_rng(0), 0
    in_train = np.arange(40) < 20
    for _ in range(100):
        found = similarities(means_of(rng.normal(0.3, 1, (40, 2, 8)), in_train))
        inside += (found[2] <= found[0]) & (found[0] <= found[3])
    assert (inside >= 90).all() and (inside <= 100).all()
    rng, in_train = np.random.default_rng(0), np.arange(40) < 20
    effects = rng.normal(1, 0.5, (40, 2, 8))
    effects[20:, :, 7] /= 2  # testing samples: the highest order is weaker
    found = similarities(means_of(effects, in_train))
    assert found[0, 2] < found[2, 2] and (found[0, :2] >= found[2, :2]).all()


@pytest.mark.parametrize("shape", order_shape.SHAPES)
@pytest.mark.parametrize("alpha", [0.1, 0.7, 2.0])
def test_fit_finds_the_profile_that_was_planted(shape, alpha):
    planted = 3.0 * profiles(shape, 10, np.array(alpha))
    found, distance = fit(planted, shape)
    assert found == pytest.approx(alpha, rel=0.02) and distance < 0.01
    other = {"decay": "spindle", "spindle": "decay"}[shape]
    assert fit(planted, other)[1] > 2 * distance


def test_tables():
    rng = np.random.default_rng(0)
    decay, spindle = (profiles(shape, 6, np.array(0.4)) for shape in ("decay", "spindle"))
    parts = rng.gamma(4, 0.25, (50, 6, 2)) * np.stack([decay, spindle], -1)
    groups = group_means(["train", "test"] * 25, same_variables=True)
    for first in (0, 20):  # in batches
        groups.add(first, rng.normal(size=(20 + first // 2, 2, 64)))
    tables = shape_tables(groups, parts)
    found = tables["order_fits"].to_pandas().set_index(["part", "shape"])
    for part, shape, other in (("generalizable", "decay", "spindle"), ("non_generalizable", "spindle", "decay")):
        right, wrong = found.loc[part, shape], found.loc[part, other]
        assert right["distance_high"] < wrong["distance_low"]
        assert right["alpha_low"] < 0.4 < right["alpha_high"] and right["alpha_low"] <= right["alpha"]
    similar = tables["order_similarities"].to_pandas()
    assert similar["size"].tolist() == [1, 2, 3, 4, 5, 6] and (similar["reference_low"] <= similar["reference"]).all()


def test_tables_of_little():
    parts, splits = np.zeros((4, 2, 2)), ["train", "train", "test", "test"]
    words = shape_tables(group_means(splits, same_variables=False), parts)
    assert words["order_similarities"].num_rows == 0 and words["order_fits"].num_rows == 4
    assert words["order_fits"].to_pandas()[["alpha", "distance_low"]].isna().all(axis=None)
    assert shape_tables(None, None)["order_fits"].num_rows == 0
    alone = shape_tables(group_means(["train"] * 4, same_variables=True), parts)
    assert alone["order_similarities"].num_rows == 0
    assert alone["order_similarities"].schema.equals(words["order_similarities"].schema)
    parts = np.zeros((6, 4, 2))
    parts[0, :, 0] = profiles("decay", 4, np.array(0.5))
    found = shape_tables(None, parts)["order_fits"].to_pandas().set_index(["part", "shape"])
    row = found.loc["generalizable", "decay"]
    assert row[["alpha_low", "alpha", "alpha_high"]].tolist() == pytest.approx([0.5] * 3, rel=0.02)
    assert np.isnan(found.loc["non_generalizable", "decay"]["alpha_low"])
