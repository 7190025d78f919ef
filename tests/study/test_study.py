"""The study's code on tiny runs: what it measures, its verdicts, and that one command makes everything once."""

import functools
import json
from dataclasses import replace

import numpy as np
import pytest

from interdash.paper import chromium
from interdash.runs.run import Run
from interdash.solver import published
from interdash.study import __main__ as command
from interdash.study import claims, first_phase
from interdash.study.cases import CASES, SEEDS, Case
from interdash.study.claims import CLAIMS, Claim, counts, verdict
from interdash.study.measures import (
    _bootstrap,
    _low_minus_high,
    _order_growth,
    _shape,
    _sum_of_means,
    chance_of_rank_correlation,
    measure,
    searched_fall,
)
from interdash.study.report import EXPECTED_RANGE, between, table
from tests.conftest import tiny_config


def test_cases_orders_and_falls_by_hand():
    strengths = np.zeros((6, 2))  # generalizable, non-generalizable, by order
    strengths[0], strengths[1], strengths[3] = (2, 1), (1, 0), (1, 3)
    assert _low_minus_high(strengths) == 3 / 4 - 1 / 4
    growth = _order_growth(np.concatenate([strengths, strengths[::-1]], -1))  # the mean order k becomes 7 − k
    mean = (3 * 1 + 1 * 2 + 4 * 4) / 8
    assert growth == pytest.approx(7 - 2 * mean)
    found = _bootstrap(np.stack([strengths] * 5), _low_minus_high)  # samples that are all alike
    assert found == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert _bootstrap(np.zeros((5, 6, 2)), _low_minus_high)["value"] is None
    rng = np.random.default_rng(0)
    flat = rng.gamma(9, 1 / 9, (100, 8))  # the mean is 1 at every epoch; the lowest lies below it by chance
    found = searched_fall(flat)
    assert found["value"] > 0 and found["low"] <= claims.LEAST_FALL
    falling = searched_fall(flat * np.array([1, 0.9, 0.6, 0.8, 1, 2, 3, 4]))
    assert falling["lowest"] == 2 and falling["low"] > claims.LEAST_FALL
    assert falling["low"] < 0.4 < falling["high"]
    assert len({case.name for case in CASES}) == len(CASES) >= 6
    config = Case("digits", 0.05).configuration(10)
    assert (config.name, config.data.label_noise, config.training.seed) == ("digits-5-s10", 0.05, 10)
    assert config.masking.samples_per_split == 100
    assert not {seed + 1 for seed in SEEDS} & set(SEEDS)  # no baseline starts from the weights of another target


def test_measures_are_those_of_the_store(small_store):
    found = measure(small_store, "tiny")
    assert found["recorded"] == [0, 1, 3] and found["last"] == 3
    row = small_store.ask(
        "SELECT change, change_low FROM removals WHERE epoch = 3 AND dose = 100 AND min_order = 1 AND split = 'gap' "
        "AND removed = 'non_generalizable'"
    )
    assert [found["removal"]["gap"]["value"], found["removal"]["gap"]["low"]] == row.iloc[0].tolist()
    assert found["power"][0]["low"] <= found["power"][0]["value"] <= found["power"][0]["high"]
    lowest = found["non_generalizable"][[0, 1, 3].index(found["first_fall"]["lowest"])]
    assert found["first_fall"]["value"] == pytest.approx(1 - lowest / found["non_generalizable"][0], rel=1e-4)
    sides = [found["removal"][name]["value"] for name in ("train", "test")]
    assert found["removal"]["through"]["value"] == pytest.approx(sum(sides), abs=1e-5)
    assert {claim.holds(found) for claim in CLAIMS} <= {True, False, None}
    json.dumps(found)


def test_shapes_sums_and_words_by_hand():
    decay = _shape(np.tile(0.5 ** np.arange(1, 7), (5, 1)))
    assert decay["decay"]["distance"] < 0.01 < decay["closer"]["low"] and decay["decay"]["alpha"] < 1
    spindle = _shape(np.tile([6.0, 15, 20, 15, 6, 1], (5, 1)))
    assert spindle["peak"] == 3 and spindle["closer"]["high"] < -0.1
    both = _sum_of_means(np.array([3.0, 3, 3]), np.array([-1.0, -1]))
    assert both == {"value": 2.0, "low": 2.0, "high": 2.0}
    assert chance_of_rank_correlation(17, 40) > 0.05  # epochs are no independent points
    drawn = np.random.default_rng(0).normal(size=(100_000, 3))
    assert np.ptp(drawn, axis=1).mean() / 3.92 == pytest.approx(EXPECTED_RANGE, abs=0.005)
    assert between({"value": 0.5, "low": 0.25, "high": 1.0}) == "+0.50 (0.25 … 1.00)"
    assert between({"value": None, "low": None, "high": None}) == "–"
    assert table(["a", "b"], [["1", "2"]]).splitlines() == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]


def value(low, high):
    return {"value": (low + high) / 2, "low": low, "high": high}


def test_what_claims_take_for_clear():
    run = {"recorded": [0, 1, 2, 5], "gap": [0.0, -0.1, 0.1, 0.4], "phases": {"2|3": {"value": 2.0}}}
    assert claims._grows_in_third(run) is True
    assert claims._grows_in_third({**run, "gap": [0.0, -0.1, 0.2, 0.4]}) is False  # 0.3 before, 0.2 after
    assert claims._grows_in_third({**run, "gap": [0.0, 0.3, 0.3, 0.2]}) is False
    assert claims._grows_in_third({**run, "phases": {}}) is None
    run = {"gap_start": 4, "phases": {"1|2": {"value": 5.0, "low": 4.0, "high": 6.0}}}
    assert claims._starts_together(run) is True
    assert claims._starts_together({**run, "gap_start": 7}) is False
    assert claims._starts_together({**run, "gap_start": None}) is None
    assert claims._starts_together({**run, "phases": {}}) is None
    removal = {"gap": value(-2, -1), "through": value(0.1, 1), "random": value(-1, -0.1), "generalizable": value(-1, 1)}
    run = {"removal": removal}
    assert claims._through_training(run) is True
    assert claims._where_it_shrinks("random")(run) is True and claims._where_it_shrinks("generalizable")(run) is False
    assert claims._through_training({"removal": removal | {"through": value(-0.1, 1)}}) is False
    assert claims._where_it_shrinks("generalizable")({"removal": removal | {"generalizable": {"high": None}}}) is None
    still = {"removal": removal | {"gap": value(-1, 0.1)}}
    assert claims._through_training(still) is None and claims._where_it_shrinks("random")(still) is None
    clear = {"n": 8, "peak": 3, "closer": value(0.1, 0.2), "decay": {"alpha": 0.5}, "spindle": {"alpha": 0.5}}
    assert claims._decays({"shapes": {"generalizable": clear}}) is True
    assert claims._decays({"shapes": {"generalizable": clear | {"decay": {"alpha": 1.2}}}}) is False
    assert claims._decays({"shapes": {"generalizable": clear | {"closer": value(-0.1, 0.2)}}}) is False
    spindle = clear | {"closer": value(-0.2, -0.1)}
    assert claims._is_spindle({"shapes": {"non_generalizable": spindle}}) is True
    assert claims._is_spindle({"shapes": {"non_generalizable": spindle | {"peak": 1}}}) is False
    assert claims._is_spindle({"shapes": {"non_generalizable": spindle | {"closer": {"low": None}}}}) is None
    alike = {"ratio_low": 1.0, "ratio_high": 0.5, "high": 0.1, "least_high": 0.15}
    assert claims._less_alike({"similarity": alike}) is True
    assert claims._less_alike({"similarity": alike | {"ratio_high": 1.1}}) is False
    assert claims._less_alike({"similarity": alike | {"high": 0.2}}) is False
    assert claims._less_alike({"similarity": alike | {"ratio_low": None}}) is None
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


def test_one_command_makes_everything_once(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "split", functools.partial(published.split, steps=20))
    monkeypatch.setattr(chromium, "render", lambda figure, form: f"{len(figure.data)} traces".encode())
    tiny = tiny_config()
    configurations = {
        ("tiny", seed): replace(tiny, name=f"tiny-s{seed}", training=replace(tiny.training, seed=seed))
        for seed in (0, 10)
    }
    command.study(tmp_path / "runs", tmp_path / "docs", configurations, ["tiny-s0"])
    text = (tmp_path / "docs" / "study.md").read_text(encoding="utf-8")
    assert "Settings: 1; runs: 2 of 2 planned." in text and "| tiny-s10 |" in text and "30 + 30" in text
    assert all(claim.text in text for claim in CLAIMS)
    assert "**tiny-s0**, 16 samples. Under the certified split" in text
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
    assert "labels that flip" in text and "**In words:** of 1 run" in text
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.*") if path.is_file()}
    command.study(tmp_path / "runs", tmp_path / "docs", configurations, ["tiny-s0"])
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.*") if path.is_file()}
    assert text == (tmp_path / "docs" / "study.md").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"no run of the study in .* is ready; leave out --finished to make them"):
        command.study(tmp_path, tmp_path, {}, [])
