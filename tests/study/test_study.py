"""The study's code on tiny runs: what it measures, its verdicts, and that one command makes everything once."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from interdash.paper import chromium
from interdash.queries import dynamics
from interdash.runs.run import Run
from interdash.solver import published
from interdash.study import __main__ as command
from interdash.study import claims, first_phase
from interdash.study.cases import CASES, SEEDS, Case, configurations
from interdash.study.claims import CLAIMS, Claim, counts, verdict
from interdash.study.flicker import flicker
from interdash.study.measures import (
    _above_low_minus_high,
    _bootstrap,
    _shape,
    _sum_of_means,
    chance_of_rank_correlation,
    first_phase_flows,
    measure,
    searched_fall,
    third_phase_flows,
)
from interdash.study.tables import EXPECTED_RANGE
from interdash.study.words import between, table
from tests.conftest import store_of, tiny_config


def test_cases_are_presets_with_noise_and_seeds():
    assert len({case.name for case in CASES}) == len(CASES) >= 6
    config = Case("digits", 0.05).configuration(10)
    assert (config.name, config.data.label_noise, config.training.seed) == ("digits-5-s10", 0.05, 10)
    assert config.masking.samples_per_split == 100
    others = {seed + 1 + i for seed in SEEDS for i in range(config.generalization.baselines)}
    assert not others & set(SEEDS)  # no baseline starts from the weights of another target
    every = [*configurations().values()]
    assert len({each.name for each in every}) == len(every) and {
        each.training.seed for each in every[: len(CASES)]
    } == {0}


def test_orders_by_hand():
    strengths = np.zeros((6, 3))  # generalizable, non-generalizable, by chance, by order
    strengths[0], strengths[1], strengths[3] = (2, 1, 1.5), (1, 0, 0.5), (1, 3, 0)
    low, level = 3 / 4, 2 / 4
    assert _above_low_minus_high(strengths) == pytest.approx((low - level) / (1 - level) - 1 / 4)
    found = _bootstrap(np.stack([strengths] * 5), _above_low_minus_high)  # samples that are all alike
    assert found == {"value": 0.25, "low": 0.25, "high": 0.25}
    assert _bootstrap(np.zeros((5, 6, 3)), _above_low_minus_high)["value"] is None


def test_measures_are_those_of_the_store(small_store):
    found = measure(small_store, "tiny")
    assert found["recorded"] == [0, 1, 3] and found["last"] == 3
    row = small_store.ask(
        "SELECT change, change_low FROM removals WHERE epoch = 3 AND dose = 100 AND min_order = 1 AND split = 'gap' "
        "AND removed = 'non_generalizable'"
    )
    assert [found["removal"]["gap"]["value"], found["removal"]["gap"]["low"]] == row.iloc[0].tolist()
    assert found["power"][0]["low"] <= found["power"][0]["value"] <= found["power"][0]["high"]
    losses = small_store.ask("SELECT epoch, test_loss FROM metrics WHERE network = 'target' AND epoch IN (0, 1, 3)")
    assert found["lowest_test_loss"] == losses.sort_values("test_loss")["epoch"].iloc[0]
    sides = [found["removal"][name]["value"] for name in ("train", "test")]
    assert found["removal"]["through"]["value"] == pytest.approx(sum(sides), abs=1e-5)
    assert {claim.holds(found) for claim in CLAIMS} <= {True, False, None}
    json.dumps(found)


def test_flows_of_phases_add_up(small_store):
    """Up to the last epoch all of what is removed is of the first phase; after a middle one, what is learned then."""
    flows = dynamics.flows(small_store, "tiny")
    first = first_phase_flows(small_store, "tiny", 3)
    assert first is not None and first_phase_flows(small_store, "tiny", None) is None
    assert first["removed"]["value"] == pytest.approx(1 - flows["removed_generalizable"].sum() / flows["removed"].sum())
    assert first["removed_order"] == pytest.approx(flows["removed_size"].sum() / flows["removed"].sum())
    low, value, high = (first["removed"][name] for name in ("low", "value", "high"))
    assert low <= value <= high
    third = third_phase_flows(small_store, "tiny", 1, 1)
    last = flows.iloc[-1]
    assert third is not None and third["power"]["value"] == pytest.approx(last["power"])
    order = flows["learned_size"] / flows["learned"]
    assert third["growth"]["value"] == pytest.approx(order.iloc[1] - order.iloc[0])
    assert third_phase_flows(small_store, "tiny", None, None) is None
    assert third_phase_flows(small_store, "tiny", 1, None)["power"]["value"] is None


def test_flicker_adds_to_what_is_learned(labelled_run):
    found = flicker(labelled_run)
    assert found["salient"]["learned"] > found["true"]["learned"] > 0
    with store_of(labelled_run) as store:
        assert found["true"]["learned"] == pytest.approx(dynamics.flows(store, "tiny")["learned"].sum(), rel=1e-5)


def test_distances_from_the_lowest_testing_loss():
    run = {"recorded": [0, 1, 2, 4, 8], "lowest_test_loss": 2, "phases": {"2|3": {"value": 8.0}}}
    assert claims.distance(run, 8.0) == 2 and claims.distance(run, None) is None
    assert claims._at_lowest_loss(run) is False and claims._at_lowest_loss({**run, "lowest_test_loss": 4}) is True
    assert claims._at_lowest_loss({**run, "phases": {}}) is None


def test_claims_of_flows_are_asked_where_there_are_boundaries():
    run = {"first": {"removed": value(0.6, 0.8), "difference": value(-0.1, 0.2)}, "third": None}
    assert claims._first("removed", 0.5)(run) is True and claims._first("difference", 0)(run) is False
    assert claims._first("removed", 0.5)({"first": None}) is claims._grows(run) is claims._mostly_not(run) is None
    third = {"growth": value(0.1, 0.3), "power": value(0.2, 0.6)}
    assert claims._grows({"third": third}) is True and claims._mostly_not({"third": third}) is False
    assert claims._mostly_not({"third": third | {"power": value(0.2, 0.4)}}) is True


def test_a_fall_that_is_only_found_by_searching_is_not_clear():
    rng = np.random.default_rng(0)
    flat = rng.gamma(9, 1 / 9, (100, 8))  # the mean is 1 at every epoch; the lowest lies below it by chance
    found = searched_fall(flat)
    assert found["value"] > 0 and found["low"] <= claims.LEAST_FALL
    falling = searched_fall(flat * np.array([1, 0.9, 0.6, 0.8, 1, 2, 3, 4]))
    assert falling["lowest"] == 2 and falling["low"] > claims.LEAST_FALL
    assert falling["low"] < 0.4 < falling["high"]


def test_shapes_and_sums_by_hand():
    decay = _shape(np.tile(0.5 ** np.arange(1, 7), (5, 1)))
    assert decay["decay"]["distance"] < 0.01 < decay["closer"]["low"] and decay["decay"]["alpha"] < 1
    spindle = _shape(np.tile([6.0, 15, 20, 15, 6, 1], (5, 1)))
    assert spindle["peak"] == 3 and spindle["closer"]["high"] < -0.1
    both = _sum_of_means(pd.Series([3.0, 3, 3]), pd.Series([-1.0, -1]))
    assert both == {"value": 2.0, "low": 2.0, "high": 2.0}
    assert chance_of_rank_correlation(17, 40) > 0.05  # epochs are no independent points


def test_three_draws_range_over_less_than_half_an_interval():
    drawn = np.random.default_rng(0).normal(size=(100_000, 3))
    assert np.ptp(drawn, axis=1).mean() / 3.92 == pytest.approx(EXPECTED_RANGE, abs=0.005)


def value(low, high):
    return {"value": (low + high) / 2, "low": low, "high": high}


def test_the_gap_grows_in_the_third_phase_if_more_than_before():
    run = {"recorded": [0, 1, 2, 5], "gap": [0.0, -0.1, 0.1, 0.4], "phases": {"2|3": {"value": 2.0}}}
    assert claims._grows_in_third(run) is True
    assert claims._grows_in_third({**run, "gap": [0.0, -0.1, 0.2, 0.4]}) is False  # 0.3 before, 0.2 after
    assert claims._grows_in_third({**run, "gap": [0.0, 0.3, 0.3, 0.2]}) is False
    assert claims._grows_in_third({**run, "phases": {}}) is None


def test_controls_are_asked_only_where_the_gap_shrinks():
    removal = {"gap": value(-2, -1), "through": value(0.1, 1), "random": value(-1, -0.1), "generalizable": value(-1, 1)}
    run = {"removal": removal}
    assert claims._through_training(run) is True
    assert claims._where_it_shrinks("random")(run) is True and claims._where_it_shrinks("generalizable")(run) is False
    assert claims._through_training({"removal": removal | {"through": value(-0.1, 1)}}) is False
    assert claims._where_it_shrinks("generalizable")({"removal": removal | {"generalizable": {"high": None}}}) is None
    still = {"removal": removal | {"gap": value(-1, 0.1)}}
    assert claims._through_training(still) is None and claims._where_it_shrinks("random")(still) is None


def test_the_gap_starts_with_the_second_phase_if_inside_its_interval():
    run = {"gap_start": 4, "phases": {"1|2": {"value": 5.0, "low": 4.0, "high": 6.0}}}
    assert claims._starts_together(run) is True
    assert claims._starts_together({**run, "gap_start": 7}) is False
    assert claims._starts_together({**run, "gap_start": None}) is None
    assert claims._starts_together({**run, "phases": {}}) is None


def test_decays_and_spindles_must_be_clear_and_real():
    clear = {"n": 8, "peak": 3, "closer": value(0.1, 0.2), "decay": {"alpha": 0.5}, "spindle": {"alpha": 0.5}}
    assert claims._decays({"shapes": {"generalizable": clear}}) is True
    assert claims._decays({"shapes": {"generalizable": clear | {"decay": {"alpha": 1.2}}}}) is False
    assert claims._decays({"shapes": {"generalizable": clear | {"closer": value(-0.1, 0.2)}}}) is False
    spindle = clear | {"closer": value(-0.2, -0.1)}
    assert claims._is_spindle({"shapes": {"non_generalizable": spindle}}) is True
    assert claims._is_spindle({"shapes": {"non_generalizable": spindle | {"peak": 1}}}) is False
    assert claims._is_spindle({"shapes": {"non_generalizable": spindle | {"closer": {"low": None}}}}) is None


def test_less_alike_is_measured_against_chance():
    alike = {"ratio_low": 1.0, "ratio_high": 0.5, "high": 0.1, "least_high": 0.15}
    assert claims._less_alike({"similarity": alike}) is True
    assert claims._less_alike({"similarity": alike | {"ratio_high": 1.1}}) is False
    assert claims._less_alike({"similarity": alike | {"high": 0.2}}) is False
    assert claims._less_alike({"similarity": alike | {"ratio_low": None}}) is None


def test_the_first_phase_survives_where_both_solvers_show_it():
    falls = {"published": value(0.2, 0.5), "certified": value(0.1, 0.6)}
    assert claims._survives({"solver_falls": falls}) is True
    assert claims._survives({"solver_falls": falls | {"certified": value(0.0, 0.6)}}) is False
    assert claims._survives({"solver_falls": falls | {"published": value(0.0, 0.6)}}) is None
    assert claims._survives({}) is None


@pytest.mark.parametrize(
    ("answers", "said"),
    [([1, 1, 1, 1, 0], "confirmed"), ([1, 0, 0, 0, 0], "not"), ([1, 0, None], "partly"), ([None], "no run to ask")],
)
def test_verdicts(answers, said):
    claim = Claim("", "", "", lambda measures: measures["answer"])
    runs = [{"answer": None if answer is None else bool(answer)} for answer in answers]
    assert verdict(claim, runs) == said
    assert counts(claim, runs) == (sum(filter(None, answers)), sum(answer is not None for answer in answers))


def test_words_of_a_number():
    assert between({"value": 0.5, "low": 0.25, "high": 1.0}) == "+0.50 (0.25 … 1.00)"
    assert between({"value": None, "low": None, "high": None}) == "–"
    assert table(["a", "b"], [["1", "2"]]).splitlines() == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]


def test_one_command_makes_everything_once(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(published, "split", functools.partial(published.split, steps=20))
    monkeypatch.setattr(chromium, "render", lambda figure, form: f"{len(figure.data)} traces".encode())
    tiny = tiny_config()
    configurations = {
        ("tiny", seed): replace(tiny, name=f"tiny-s{seed}", training=replace(tiny.training, seed=seed))
        for seed in (0, 10)
    }
    command.study(tmp_path / "runs", tmp_path / "docs", configurations, ["tiny-s0"])
    text, tables = (
        (tmp_path / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("study", "study-tables")
    )
    assert "Settings: 1; runs: 2 of 2 planned." in text and "| tiny-s10 |" in tables and "30 + 30" in text
    assert all(claim.text in text for claim in CLAIMS)
    assert "**tiny-s0**, 16 samples. Under the certified split" in tables
    numbers = json.loads((tmp_path / "docs" / "study" / "study.json").read_text(encoding="utf-8"))
    assert [run["run"] for run in numbers["runs"]] == ["tiny-s0", "tiny-s10"]
    certified, rows = numbers["first_phase"][0]["certified"], numbers["first_phase"][0]["published"]
    assert len(certified) == len(rows) == 3
    assert all(
        ratio >= 0.95 for ratio in numbers["first_phase"][0]["ratio"]
    )  # certified: at most 2 % above the optimum
    assert (tmp_path / "docs" / "study" / "first-phase.svg").exists()
    assert command.is_ready(tmp_path / "runs", configurations["tiny", 0])
    run = Run.open(tmp_path / "runs", "tiny-s0")
    assert not command.is_ready(tmp_path / "runs", replace(tiny, name="another"))
    assert (tmp_path / "runs" / f"first-phase-tiny-s0-{first_phase.name_of(run)}.json").exists()
    assert "labels that flip" in tables and "**In words:** of 1 run" in tables
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.*") if path.is_file()}
    command.study(tmp_path / "runs", tmp_path / "docs", configurations, ["tiny-s0"])
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.*") if path.is_file()}
    assert text == (tmp_path / "docs" / "study.md").read_text(encoding="utf-8")


def test_without_a_finished_run_it_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"no run of the study in .* is ready; leave out --finished to make them"):
        command.study(tmp_path, tmp_path, {}, [])
