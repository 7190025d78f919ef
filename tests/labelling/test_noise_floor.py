import functools
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from interdash.commands import main
from interdash.config import GeneralizationConfig, SplitConfig
from interdash.formulas import generalization
from interdash.labelling import label
from interdash.labelling import noise_floor as robustness
from interdash.labelling.noise_floor import Choice, Labels, compare, comparisons, noise_floor, store_noise_floor
from interdash.queries import removal
from interdash.runs.plan import plan
from interdash.solver import published
from interdash.solver.joint import joint_split
from interdash.store.loading import refresh
from tests.conftest import store_of


def labels(strength, salient, general):
    return Labels(*(np.array(values)[:, None] for values in (strength, salient, general, general)))


def test_compare_by_hand():
    """Two samples, four interactions each."""
    strength = [[4.0, 2, 1, 1], [1.0, 1, 1, 1]]
    ours = labels(strength, [[1, 1, 1, 0], [1, 1, 0, 0]], [[1, 0, 1, 0], [1, 0, 0, 0]])
    other = labels(strength, [[1, 1, 0, 1], [1, 1, 0, 0]], [[1, 1, 0, 0], [1, 0, 0, 0]])
    ours, other = (side._replace(salient=side.salient > 0, general=side.general > 0) for side in (ours, other))
    found = compare(ours, other)
    assert found["overlap"] == 4 / 6 and found["flips"] == 1 / 4 and found["labels"] == 2
    assert found["power"] == 6 / 9 and found["other_power"] == 7 / 9
    assert (found["flips_low"], found["flips_high"]) == (0.0, 0.5)  # one sample drawn twice
    same = compare(ours, ours)
    assert same["flips"] == 0 and same["overlap"] == 1 and same["flips_high"] == 0
    nothing = labels([[1.0, 1], [1, 1]], [[False] * 2] * 2, [[False] * 2] * 2)
    found = compare(nothing, nothing)
    assert found["labels"] == 0 and all(np.isnan(found[name]) for name in robustness.RATIOS)
    one = compare(*[labels([[1.0]], [[True]], [[True]])] * 2)  # a single sample has no interval
    assert one["flips"] == 0 and np.isnan(one["flips_low"])
    salient = [[True, True], [False, False], [False, False]]
    ours, other = (labels(np.ones((3, 2)), salient, general) for general in (salient, [[1, 0], [0, 0], [0, 0]]))
    found = compare(ours, other._replace(general=other.general > 0))
    assert found["flips"] == found["flips_low"] == found["flips_high"] == 0.5


def test_intervals_of_flips_cover_the_truth():
    """Samples of unequal size, each label flips with probability 0.2."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        size = rng.integers(5, 40, 40)
        salient = (np.arange(40) < size[:, None])[:, None]
        general = rng.random(salient.shape) < 0.5
        flipped = general ^ (rng.random(salient.shape) < 0.2)
        ours, other = (Labels(np.ones(salient.shape), salient, g & salient, g & salient) for g in (general, flipped))
        found = compare(ours, other, resamples=300)
        hits += found["flips_low"] <= 0.2 <= found["flips_high"]
    assert abs(hits / 200 - 0.95) <= 0.05


ONE = GeneralizationConfig(baselines=1)


def texts(rules=ONE, split=None, count=5):
    found = comparisons(rules, split or SplitConfig(), [f"baseline-{i}" for i in range(count)])
    return {(name, own.text, other.text) for name, own, other in found}


def test_choices_compared_follow_the_run():
    assert texts() == {
        ("baseline", "baseline-0 alone", "baseline-1 alone"),
        ("votes", "as the run", "3 baselines, any"),
        ("votes", "as the run", "3 baselines, majority"),
        ("votes", "as the run", "5 baselines, any"),
        ("votes", "as the run", "5 baselines, majority"),
        ("kappa", "κ = 0.02", "κ = 0"),
        ("tie_break", "tie-break 0.01", "tie-break -0.01"),
        ("tau", "τ = 0.03 · mean |v(x) − v(x_∅)|", "τ = 0.05 · max |I|"),
        ("sign_test", "sign test", "no sign test"),
        ("joint", "each by itself", "all networks split jointly"),
    }
    one = {name for name, *_ in texts(count=1)}
    assert one == {"kappa", "tie_break", "tau", "sign_test", "joint"}
    rules = GeneralizationConfig(baselines=3, vote="majority", sign_test=False, tau_rule="max_interaction")
    found = texts(rules, SplitConfig(kappa=0.0))
    assert ("votes", "as the run", "1 baseline") in found and ("kappa", "κ = 0", "κ = 0.02") in found
    assert ("votes", "as the run", "3 baselines, majority") not in found
    assert ("sign_test", "no sign test", "sign test") in found


def test_noise_floor_of_a_run(labelled_run, small_store):
    told = []
    table, notes = noise_floor(labelled_run, samples_per_split=100, epochs=2, progress=lambda *at: told.append(at))
    frame = table.to_pandas()
    assert told[-1] == (len(frame), len(frame)) == (10, 10)
    assert sorted(set(frame["epoch"])) == [0, 3]
    assert set(frame["samples"][frame["comparison"] != "joint"]) == {60}
    stored = small_store.ask(
        "SELECT epoch, generalization_power AS power FROM strengths WHERE split = 'all' "
        "AND label = -1 AND type = 'all' AND network = 'target' AND epoch IN (0, 3) ORDER BY epoch"
    )
    jointly = frame["comparison"] == "joint"
    assert set(frame["samples"][jointly]) == {2 * robustness.JOINT_SAMPLES}
    for _, rows in frame[~jointly].groupby("comparison"):  # the reference is what the run's own labels say
        np.testing.assert_allclose(rows.sort_values("epoch")["power"], stored["power"])
    off = frame[frame["comparison"] == "sign_test"]
    assert (off["overlap"] == 1).all() and (off["other_power"] >= off["power"]).all()
    used = {unit.name for unit in plan(labelled_run).units if unit.epoch != 1}
    assert set(notes["units"]) == used


def test_noise_floor_of_other_splits_is_that_of_a_run_made_with_them(labelled_run):
    """The labels with κ = 0 are those of the split solved directly."""
    split = labelled_run.config.split
    games = robustness.Games(reader(labelled_run), np.arange(60), split)
    choice = Choice("", GeneralizationConfig(), replace(split, kappa=0.0), ("baseline-0",))
    found = games.labels(3, choice)
    assert not np.allclose(found.strength, np.abs(games.effects("target", 3, split)))
    tau = games.tau("target", 3, choice)
    columns = games.columns("target", 3)
    np.testing.assert_allclose(tau, 0.03 * np.abs(columns["v_full"] - columns["v_empty"]).mean())
    assert (found.salient == (generalization.salient(found.strength, tau))).all()


def test_joint_splits_are_of_the_target_at_its_epoch_with_the_baselines(labelled_run):
    split = labelled_run.config.split
    games = robustness.Games(reader(labelled_run), np.arange(0, 60, 6), split)
    choice = Choice("", GeneralizationConfig(), split, ("baseline-0",), "joint")
    found = {epoch: games.labels(epoch, choice) for epoch in (1, 3)}
    for epoch, labels in found.items():
        v = np.stack([games.columns(*pair)["v"][games.rows] for pair in (("target", epoch), ("baseline-0", -1))])
        solved = joint_split(v, split.kappa, tie_break=split.tie_break, tolerance=split.tolerance, zeta=split.zeta)
        np.testing.assert_array_equal(labels.strength[:, 0], np.abs(solved.i_and[0]))
        np.testing.assert_array_equal(labels.strength[:, 1], np.abs(solved.i_or[0]))
    alone = games.labels(3, replace(choice, solver="certified"))
    assert found[3].general.sum() / found[3].salient.sum() > alone.general.sum() / alone.salient.sum()


def reader(run):
    from interdash.runs.parts import read_part

    def read(network, epoch):
        units = [u for u in plan(run).units if u.network == network and epoch in (u.epoch, -1)]
        parts = [read_part(run, unit, robustness.COLUMNS) for unit in units]
        return {name: np.concatenate([part[name] for part in parts]) for name in robustness.COLUMNS}

    return read


def test_g_is_exact_on_planted_games():
    """Two networks whose games are known: each choice labels what was planted."""
    n = 4
    target, first, second = (np.zeros((1, 2**n)) for _ in range(3))
    for game, planted in (
        (target, {0b0011: 2.0, 0b1100: -1.5, 0b0110: 1.0}),
        (first, {0b0011: 1.0, 0b1100: 1.0}),
        (second, {0b1100: -0.5, 0b0110: 0.04}),
    ):
        for subset, value in planted.items():
            game[0, subset] = value
    zero = np.zeros((1, 2**n))
    games = {
        name: {"v": zero, "v_empty": zero[:, 0], "v_full": game.sum(1), "i_and": game, "i_or": zero}
        for name, game in (("target", target), ("baseline-0", first), ("baseline-1", second))
    }
    made = robustness.Games(lambda network, epoch: games[network], np.arange(1), SplitConfig())
    rules = GeneralizationConfig(vote="any")

    def g(rules, *baselines):
        found = made.labels(0, Choice("", rules, SplitConfig(), baselines)).general
        return {int(subset) for _, _, subset in np.argwhere(found)}

    assert g(rules, "baseline-0") == {0b0011}
    assert g(rules, "baseline-1") == {0b1100, 0b0110}  # τ = 0.03 · 0.46
    assert g(replace(rules, sign_test=False), "baseline-0") == {0b0011, 0b1100}
    assert g(rules, "baseline-0", "baseline-1") == {0b0011, 0b1100, 0b0110}
    assert g(replace(rules, vote="majority", baselines=2), "baseline-0", "baseline-1") == set()
    ratio = replace(rules, tau_rule="max_interaction", tau_factor=0.1)
    assert g(ratio, "baseline-1") == {0b1100}


def test_noise_floor_is_stored_loaded_and_discarded_when_outdated_or_damaged(ready_run):
    found = noise_floor(ready_run, samples_per_split=3, epochs=1)
    folder = store_noise_floor(ready_run, *found)
    assert store_noise_floor(ready_run, *found) == folder
    newer = store_noise_floor(ready_run, *noise_floor(ready_run, samples_per_split=4, epochs=1))
    assert not folder.exists()
    with store_of(ready_run) as store:
        assert removal.robustness(store, "tiny")["samples"].unique().tolist() == [8]
        assert label.label(plan(ready_run)) == [] and newer.exists()
        rules = replace(ready_run.config.generalization, tau_factor=0.1)
        ready_run.update(config=replace(ready_run.config, generalization=rules).to_json())
        assert label.label(plan(ready_run)) == [] and not newer.exists()
        refresh(store, ready_run)
        assert removal.robustness(store, "tiny").empty
    folder = store_noise_floor(ready_run, *noise_floor(ready_run, samples_per_split=3, epochs=1))
    path = folder / "robustness.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    assert label.label(plan(ready_run)) == [] and not folder.exists()


def test_noise_floor_needs_parts_and_sensible_numbers(fresh_run, labelled_run):
    with pytest.raises(ValueError, match="parts of tiny are missing; make them with `interdash extract tiny`"):
        noise_floor(fresh_run)
    with pytest.raises(ValueError, match="0 samples and 6 epochs; compare at least one of each"):
        noise_floor(labelled_run, samples_per_split=0)


def test_published_solver_is_compared_on_a_few_samples(labelled_run, monkeypatch):
    asked = []

    def split(v, kappa):
        asked.append(v.shape)
        return v * 0, v * 0, v * 0

    monkeypatch.setattr("interdash.solver.published.split", split)
    table, _ = noise_floor(labelled_run, samples_per_split=5, epochs=2, published_samples=1)
    rows = table.to_pandas().query("comparison == 'solver'")
    assert (rows["samples"] == 2).all() and (rows["labels"] == 0).all() and rows["flips"].isna().all()
    assert asked == [(3, 2, 16)]  # two epochs of the target and the baseline, in one go


@pytest.fixture
def few_steps(monkeypatch):
    """The published solver takes 20 steps."""
    monkeypatch.setattr(published, "split", functools.partial(published.split, steps=20))


def test_command_trains_the_baselines_that_are_missing(ready_run, few_steps):
    options = ["tiny", "--root", str(ready_run.path.parent), "--baselines", "2", "--samples", "3", "--epochs", "1"]
    found = CliRunner().invoke(main.commands, ["robustness", *options], catch_exceptions=False)
    assert found.exit_code == 0 and "the noise floor is on the page Removal, and beside H" in found.stderr
    with store_of(ready_run) as store:
        rows = removal.robustness(store, "tiny")
        assert {"baseline-1 alone", "the published SGD"} <= set(rows["alternative"]) and len(rows) == 7


def test_command_compares_what_is_there_without_the_code(ready_run, few_steps, monkeypatch):
    def fail(*_args, **_settings):
        raise ValueError("no spec was recorded")

    monkeypatch.setattr("interdash.pipeline.train_baselines", fail)
    options = ["tiny", "--root", str(ready_run.path.parent), "--samples", "3", "--epochs", "1"]
    found = CliRunner().invoke(main.commands, ["robustness", *options], catch_exceptions=False)
    assert found.exit_code == 0
    assert "Warning: only the baseline networks that are there are compared: no spec was recorded" in found.stderr


def test_compared_samples_are_of_strata_that_lie_evenly():
    splits, strata = ["train"] * 6 + ["test"] * 6, np.array([5, 4, 3, 2, 1, 0, 12, 13, 14, 15, 16, 17])
    rows = robustness._rows(splits, 3, SplitConfig(), strata)
    assert strata[rows].tolist() == [5, 3, 1, 13, 15, 17]
    assert robustness._rows(splits, 3, SplitConfig(), None).tolist() == [0, 1, 2, 6, 7, 8]
    assert len(robustness._rows(splits, 9, SplitConfig(), strata)) == 12
