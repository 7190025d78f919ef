"""The study's code on tiny runs: what it measures, its verdicts, and that one command makes everything once."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interdash import published
from interdash.figures import export
from interdash.study import __main__ as command
from interdash.study.cases import CASES, SEEDS, Case
from interdash.study.claims import CLAIMS, Claim, counts, verdict
from interdash.study.measures import _bootstrap, _low_minus_high, _order_growth, measure
from interdash.study.report import between, table
from tests.conftest import tiny_config


def test_cases_are_presets_with_noise_and_seeds():
    assert len({case.name for case in CASES}) == len(CASES) >= 6
    config = Case("digits", 0.05).configuration(10)
    assert (config.name, config.data.label_noise, config.training.seed) == ("digits-5-s10", 0.05, 10)
    assert config.masking.samples_per_split == 100
    assert not {seed + 1 for seed in SEEDS} & set(SEEDS)  # no baseline starts from the weights of another target


def test_orders_by_hand():
    strengths = np.zeros((6, 2))  # generalizable, non-generalizable, by order
    strengths[0], strengths[1], strengths[3] = (2, 1), (1, 0), (1, 3)
    assert _low_minus_high(strengths) == 3 / 4 - 1 / 4
    growth = _order_growth(np.concatenate([strengths, strengths[::-1]], -1))  # the mean order k becomes 7 − k
    mean = (3 * 1 + 1 * 2 + 4 * 4) / 8
    assert growth == pytest.approx(7 - 2 * mean)
    found = _bootstrap(np.stack([strengths] * 5), _low_minus_high)  # samples that are all alike
    assert found == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert _bootstrap(np.zeros((5, 6, 2)), _low_minus_high)["value"] is None


def test_measures_are_those_of_the_store(small_store):
    found = measure(small_store, "tiny")
    assert found["recorded"] == [0, 1, 3] and found["last"] == 3
    row = small_store.ask(
        "SELECT change, change_low FROM removals WHERE epoch = 3 AND dose = 100 AND min_order = 1 AND split = 'gap' "
        "AND removed = 'non_generalizable'"
    )
    assert [found["removal"]["gap"]["value"], found["removal"]["gap"]["low"]] == row.iloc[0].tolist()
    assert found["power"][0]["low"] <= found["power"][0]["value"] <= found["power"][0]["high"]
    assert found["first_fall"]["value"] == pytest.approx(
        found["non_generalizable"][0] - found["non_generalizable"][[0, 1, 3].index(found["first_fall"]["lowest"])],
        rel=1e-5,
    )
    assert {claim.holds(found) for claim in CLAIMS} <= {True, False, None}
    json.dumps(found)


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
    monkeypatch.setattr(export, "render", lambda figure, form: f"{len(figure.data)} traces".encode())
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
    assert not command.is_ready(tmp_path / "runs", replace(tiny, name="another"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.*") if path.is_file()}
    command.study(tmp_path / "runs", tmp_path / "docs", configurations, ["tiny-s0"])
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.*") if path.is_file()}
    assert text == (tmp_path / "docs" / "study.md").read_text(encoding="utf-8")


def test_without_a_finished_run_it_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"no run of the study in .* is ready; leave out --finished to make them"):
        command.study(tmp_path, tmp_path, {}, [])
