import numpy as np
import pytest

from interdash.formulas import life_cycle
from interdash.formulas.life_cycle import GROUPS, MEANS, SUMS, births, class_measures, class_sums, life_lines, presence

TAU = 1.0


def lives(*courses):
    """Signs `[E, 1, 1, 8]` of interactions that follow the courses, one subset each; the others are absent."""
    effects = np.zeros((len(courses[0]), 1, 1, 8))
    for subset, course in enumerate(courses, start=1):
        effects[:, 0, 0, subset] = course
    return presence(effects, np.full((len(effects), 1, 1), TAU))


def classes(signs, start, epoch):
    return life_cycle.classes(signs, births(signs), start, epoch)


def line(course, boundary_12=None):
    return GROUPS[life_lines(lives(course), boundary_12)[0, 0, 1]]


def random_signs(seed=0, epochs=12):
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=(4, 2, 16)) + np.cumsum(rng.normal(0, 0.4, (epochs, 4, 2, 16)), 0)
    return presence(effects, np.full((epochs, 4, 1), TAU))


def test_presence_enters_at_tau_and_leaves_below_half_of_it():
    course = [0.9, 1.0, 0.6, 0.5, 0.49, 0.9, -1.2, -0.6, 0.7, 1.3, -0.8]
    assert lives(course)[:, 0, 0, 1].tolist() == [0, 1, 1, 1, 0, 0, -1, -1, 0, 1, 0]
    assert not lives(course)[..., 0].any()
    strict = presence(np.array([[0.0, i] for i in course]), np.full(len(course), TAU), leaves=1.0)
    assert strict[:, 1].tolist() == [0, 1, 0, 0, 0, 0, -1, 0, 0, 1, 0]
    assert strict.dtype == np.int8
    effects = np.full((2, 2, 1, 2), 2.0)
    signs = presence(effects, np.array([[[1.0], [3.0]], [[5.0], [2.0]]]))
    assert signs[..., 0, 1].tolist() == [[1, 0], [0, 1]] and not signs[..., 0].any()


@pytest.mark.parametrize("start", [0, 3])
def test_a_static_run_has_nothing_emerged_and_nothing_removed(start):
    signs = np.repeat(random_signs()[:1], 12, axis=0)
    for epoch in range(start, 12):
        masks = classes(signs, start, epoch)
        assert not masks["emerged"].any() and not masks["removed"].any()
        np.testing.assert_array_equal(masks["preserved"], signs[0] != 0)


def test_planted_games_of_on_and_off():
    signs = lives(
        [2, 2, 2, 2],  # 1: always there
        [2, 0, 0, 0],  # 2: gone at once
        [2, 0, 2, 2],  # 3: gone and back
        [0, 2, 2, 0],  # 4: there in between
        [2, 2, -2, -2],  # 5: changes its sign
        [2, 0.7, 2, 0.7],  # 6: flickers
    )
    expected = [
        ({1, 2, 3, 5, 6}, set(), set()),
        ({1, 5, 6}, {4}, {2, 3}),
        ({1, 6}, {3, 4, 5}, {2, 5}),
        ({1, 6}, {3, 5}, {2, 5}),
    ]
    for epoch, sets in enumerate(expected):
        masks = classes(signs, 0, epoch)
        assert tuple(set(np.flatnonzero(mask[0, 0]).tolist()) for mask in masks.values()) == sets
    later = classes(signs, 1, 3)
    assert np.flatnonzero(later["preserved"][0, 0]).tolist() == [1, 6]
    assert np.flatnonzero(later["removed"][0, 0]).tolist() == [4, 5]


def test_classes_and_life_lines_partition():
    signs = random_signs()
    before = signs[2] != 0
    for epoch in range(2, 12):
        masks = classes(signs, 2, epoch)
        assert not (masks["preserved"] & ~before).any()
        before = masks["preserved"]
        np.testing.assert_array_equal(masks["preserved"] | masks["emerged"], signs[epoch] != 0)
        assert not (masks["preserved"] & (masks["emerged"] | masks["removed"])).any()
        # (subset, sign) of the start: each is preserved, removed, or was gone and is back
        back = (signs[2] != 0) & (signs[epoch] == signs[2]) & ~masks["preserved"]
        np.testing.assert_array_equal(masks["preserved"] | masks["removed"] | back, signs[2] != 0)
    assert before.any() and masks["removed"].any() and masks["emerged"].any()
    signs = random_signs()
    codes = life_lines(signs, 3)
    assert codes.dtype == np.int8 and codes.shape == signs.shape[1:]
    assert set(np.unique(codes)) == set(range(len(GROUPS)))  # every group occurs
    np.testing.assert_array_equal(codes == 0, ~(signs != 0).any(0))


@pytest.mark.parametrize(
    ("course", "boundary_12", "group"),
    [
        ([0, 0, 0, 0, 0], None, "never present"),
        ([0.9, 0, 0.9, 0, 0], 2, "never present"),
        ([0, 2, 2, 2, 2], 2, "reliable"),
        ([0, 0, 0, 0, -2], 2, "reliable"),
        ([2, 0.7, 2, 0.7, 0.7], 2, "reliable"),  # around tau
        ([2, 2, 2, 0, 0], 2, "forgotten"),
        ([2, 2, 0, 0, 0], 2, "withdrawn"),
        ([2, 0, 0, 0, 0], None, "forgotten"),  # without a first phase nothing is withdrawn
        ([2, -2, 0, 0, 0], 2, "withdrawn"),
        ([2, -2, -2, -2, -2], None, "betraying"),
        ([2, -2, -2, -2, -2], 2, "reliable"),  # what comes and goes before the end of the first phase does not count
        ([2, -2, 2, -2, -2], 2, "betraying"),
        ([0, 0, 2, 0, -2], 2, "betraying"),
        ([2, 0, 2, 2, 2], None, "fluctuating"),
        ([2, 0, 2, 2, 2], 2, "reliable"),
        ([2, 0, 2, 0, 2], 2, "fluctuating"),
        ([0, 2, 0, 2, 0], 2, "forgotten"),
    ],
)
def test_life_lines(course, boundary_12, group):
    assert line(course, boundary_12) == group


def test_measures_of_a_class_by_hand():
    effects, sample, size = np.array([3.0, -1, 9, -2, 2]), np.array([0, 0, 0, 1, 1]), np.array([1, 2, 3, 1, 2])
    general = np.array([1, 0, 1, 0, 1])
    sums = class_sums(np.abs(effects) < 9, sample, size, effects, general, 0.25 * np.ones(5), 3)  # sample 2 has none
    assert dict(zip(SUMS, sums.T.tolist(), strict=True)) == {
        **{"number": [2, 2, 0], "strength": [4, 4, 0], "size": [5, 6, 0], "effect": [2, 0, 0]},
        **{"generalizable_number": [1, 1, 0], "generalizable": [3, 2, 0]},
        **{"by_chance_number": [0.5, 0.5, 0], "by_chance": [1, 1, 0]},
    }
    by_name = dict(zip(SUMS, sums[:2].mean(0), strict=True)) | {"net": 1, "train": 0.5, "train_loss": 0.2}
    measures = class_measures(np.array([by_name.get(name, 0) for name in MEANS]))
    assert {name: value for name, value in measures.items() if not np.isnan(value)} == pytest.approx(
        {
            **{"number": 2, "generalizable_number": 1, "other_number": 1},
            **{"strength": 4, "generalizable": 2.5, "other": 1.5, "order": 5.5 / 4, "net_share": 1 / 4},
            **{"count_power": 0.5, "count_chance": 0.25, "power": 5 / 8, "chance": 0.25, "above_chance": 0.5},
            "train_loss": 0.4,  # of the training samples alone; there is no other
        }
    )


def test_an_empty_class_has_no_shares():
    measures = class_measures(np.array([float(name in ("train", "test", "train_loss")) for name in MEANS]))
    assert [measures.pop(name) for name in ("number", "strength", "train_loss", "test_loss", "gap")] == [0, 0, 1, 0, -1]
    zero = {name for name, value in measures.items() if value == 0}
    assert zero == {"generalizable_number", "generalizable", "other_number", "other"}
    assert all(np.isnan(value) for name, value in measures.items() if name not in zero)


def test_bad_input_is_refused():
    for leaves in (0, 1.5):
        with pytest.raises(ValueError, match=f"leave below {leaves} of tau; the share must be"):
            presence([np.ones(2)], np.ones(1), leaves)
    for start, epoch in ((3, 2), (-1, 2), (0, 12)):
        with pytest.raises(ValueError, match=f"epoch {epoch} from start {start} of 12; choose"):
            classes(random_signs(), start, epoch)
