"""Tables of runs for a paper."""

import re

import numpy as np

from interdash.paper import tables
from interdash.queries import dynamics
from interdash.queries.asking import Ask

BETWEEN = r"−?\d+\.\d{3} \(−?\d+\.\d{3} to −?\d+\.\d{3}\)"


def test_tables(small_store, labelled_run):
    made = tables.tables(small_store, ["tiny"])
    assert list(made) == list(tables.CAPTIONS) == ["phases", "losses", "generalizable-share", "removal", "turns"]
    assert [*made["losses"]] == ["run", "epoch", "training", "testing", "gap", "gap, explained samples"]
    of_share = made["generalizable-share"]
    assert [*of_share] == ["run", "epoch", "H", "peak of H", "at epoch"]
    for cells in (made["losses"]["gap, explained samples"], of_share["H"], of_share["peak of H"]):
        assert re.fullmatch(BETWEEN, cells.iloc[0]), cells.name
    changes = made["removal"]["change"]
    assert all(re.fullmatch(r"[+−]\d\.\d{3}( \([+−]\d\.\d{3} to [+−]\d\.\d{3}\))?", cell) for cell in changes)
    assert made["removal"]["removed"].tolist() == [name for name in tables.REMOVED.values() for _ in range(3)]
    assert made["removal"]["loss"].tolist() == ["training", "testing", "gap"] * 3
    epochs = made["turns"].set_index("turn")["epoch"]
    assert re.fullmatch(r"\d+ \(\d+ to \d+\)", epochs["loss lowest"]) and epochs["1|2"] == "not found"
    table, caption = tables.captioned(Ask(labelled_run, small_store))["phases"]
    text = tables.booktabs(table, caption, "phases", "icml")
    assert r"\toprule" in text and "phase 2 from (epoch)" in text and r"95\% bootstrap" in text
    assert "n = 30 training samples and 30 testing samples" in text and r"\begin{table}" in text  # it fits a column
    assert all(line.count("&") == 1 for line in text.splitlines() if line.endswith(r"\\"))  # no column for one run
    assert r"\begin{table*}" in tables.booktabs(made["removal"].assign(more="x" * 40), "", "gaps", "icml-column")
    assert tables.tables(small_store, []) == {}


def test_tables_fit_into_a_column_of_text(small_store):
    for name, table in tables.tables(small_store, ["tiny"]).items():
        widths = [max(map(len, map(str, [column, *table[column]]))) for column in table]
        assert sum(widths) + 3 * len(widths) < 95, name  # what 5.5 inches of 9 pt hold


def test_peak_of_h_has_its_own_interval(small_store):
    strength = dynamics.strength(small_store, "tiny")
    peak = strength.loc[strength["generalization_power"].idxmax()]
    row = tables.tables(small_store, ["tiny"])["generalizable-share"].iloc[0]
    low, high = peak["generalization_power_low"], peak["generalization_power_high"]
    assert row["peak of H"] == f"{peak['generalization_power']:.3f} ({low:.3f} to {high:.3f})"
    assert row["at epoch"] == str(peak["epoch"])


def test_interval_of_a_gap_covers_the_truth():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        low, high = tables.gap_interval(rng.exponential(1, 40), rng.exponential(2, 40))
        hits += low <= 1 <= high
    assert hits >= 88  # of 95 expected
    assert all(np.isnan(tables.gap_interval(np.ones(1), np.ones(5))))
