import itertools

import numpy as np
import pandas as pd
import pytest

from interdash.labelling.boundaries import find_boundaries
from interdash.runs.boundaries import (
    BOUNDARIES,
    baseline_boundaries,
    boundaries,
    known_shares,
    move_boundary,
    set_share,
    share_of,
)

EPOCHS = [0, 1, 2, 4, 8, 16, 32]


def flows(shares, samples=40, epochs=EPOCHS):
    """What samples learn between epochs, such a share of it generalizable, a tenth by chance."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {
                **{
                    "epoch_from": low,
                    "epoch_to": high,
                    "sample": sample,
                    "stratum": None,
                    "baseline": "",
                    "learned": size,
                },
                **{"learned_generalizable": size * share, "learned_by_chance": 0.1 * size},
            }
            for (low, high), share in zip(itertools.pairwise(epochs), shares, strict=True)
            for sample, size in enumerate(rng.uniform(0.8, 1.2, samples))
        ]
    )


def test_planted_boundaries_are_found_and_told():
    found = find_boundaries(flows([0.2, 0.4, 0.7, 0.6, 0.3, 0.2]))
    assert [row["boundary"] for row in found] == list(BOUNDARIES)
    rows = boundaries({"summary": {"phases": found}})
    assert [(row["epoch"], row["low"], row["high"], row["reason"]) for row in rows] == [
        (4.0, 4.0, 4.0, "epoch 4, 95% interval 4–4"),
        (8.0, 8.0, 8.0, "epoch 8, 95% interval 8–8; below 0.4, 0.5, 0.6 of its best from: 8, 8, 8"),
    ]
    assert all("why" not in row for row in rows)


def test_a_boundary_moves_with_a_baseline_and_its_interval_covers_all():
    """Two of three baselines say 2|3 at 8, the third at 16, or none."""
    early, late, never = [0.2, 0.4, 0.7, 0.6, 0.2, 0.1], [0.2, 0.4, 0.7, 0.6, 0.6, 0.1], [0.2, 0.4, 0.7, 0.7, 0.7, 0.7]

    def of(*shares):
        named = [flows(each).assign(baseline=f"baseline-{i}") for i, each in enumerate(shares)]
        return find_boundaries(pd.concat(named).sort_values(["epoch_to", "sample", "baseline"]))

    found = of(early, early, late)
    assert found[1]["found"] == 8 and (found[1]["low"], found[1]["high"]) == (8, 16)
    assert [row["found"] for row in found[1]["baselines"]] == [8, 8, 16]
    detail = {"baselines": 0, "shares": 0}
    assert of(early, early, early)[1] | detail == found[1] | {"low": 8, "high": 8} | detail
    alone = find_boundaries(flows(early))
    assert [row | detail for row in of(early, early, early)] == [row | detail for row in alone]
    manifest = {"summary": {"phases": of(early, never, early)}}
    row = boundaries(manifest)[1]  # a third of the resamples has no boundary: too little evidence for the mean
    assert row["epoch"] is None and row["reason"].startswith("no third phase found: what is learned does not clearly")
    assert "; found with 2 of 3 baselines (8, 8); below 0.4, 0.5, 0.6 of its best from: not found" in row["reason"]
    assert "baselines" not in row
    each = [row for row in baseline_boundaries(manifest) if row["boundary"] == "2|3"]
    assert [row["epoch"] for row in each] == [8, None, 8] and "does not clearly cease" in each[1]["reason"]
    assert baseline_boundaries({"summary": {"phases": alone}}) == baseline_boundaries({}) == []
    none = boundaries({"summary": {"phases": of([0.4] * 6, [0.4] * 6)}})
    assert none[0]["reason"].endswith("; found with 0 of 2 baselines")


def test_what_is_not_found_has_its_reason():
    rows = boundaries({"summary": {"phases": find_boundaries(flows([0.4] * 6))}})
    assert [row["epoch"] for row in rows] == [None, None]
    assert rows[0]["reason"].startswith("no second phase found: what is learned does not clearly begin to generalize")
    half = boundaries({"summary": {"phases": find_boundaries(flows([0.2, 0.4, 0.7, 0.65, 0.6, 0.6]))}})
    assert half[0]["epoch"] == 4
    assert half[1]["reason"].startswith("no third phase found: what is learned never generalizes less than 0.5 times")
    older = boundaries({"summary": {"phases": [{"boundary": "2|3", "found": None, "low": None, "high": None}]}})
    assert older[0]["reason"] == "no third phase found: by an older rule; `interdash extract` looks again"


def test_the_share_of_the_third_phase_is_chosen(ready_run):
    found = find_boundaries(flows([0.2, 0.4, 0.7, 0.6, 0.35, 0.2]))
    assert {share: row["found"] for share, row in found[1]["shares"].items()} == {"0.4": 16, "0.5": 8, "0.6": 8}
    assert find_boundaries(flows([0.2, 0.4, 0.7, 0.6, 0.35, 0.2]), 0.4)[1] | {"shares": 0} == (
        found[1]["shares"]["0.4"] | {"shares": 0}
    )
    ready_run.update(summary={**ready_run.manifest["summary"], "phases": found})
    assert share_of(ready_run.manifest) == 0.5 and known_shares(ready_run.manifest) == [0.4, 0.5, 0.6]
    set_share(ready_run, 0.4)
    assert [row["epoch"] for row in boundaries(ready_run.manifest)] == [4, 16]
    move_boundary(ready_run, "2|3", 9)  # what the user moved stays, whatever the share is
    set_share(ready_run, 0.6)
    rows = boundaries(ready_run.manifest)
    assert (rows[1]["epoch"], rows[1]["found"]) == (9, 8)
    with pytest.raises(ValueError, match=r"not known at a share of 0.3; choose one of \[0.4, 0.5, 0.6\]"):
        set_share(ready_run, 0.3)


def test_nothing_is_looked_for_with_a_gap_a_single_sample_or_two_epochs():
    shares = [0.2, 0.4, 0.7, 0.6, 0.3, 0.2]
    assert find_boundaries(flows(shares, samples=1)) == find_boundaries(flows([0.5], epochs=[0, 1])) == []
    table = flows(shares)
    assert find_boundaries(table[table["epoch_to"] != 4]) == find_boundaries(table.head(0)) == []


def test_a_moved_boundary_is_stored_marked_and_taken_back(ready_run):
    before = boundaries(ready_run.manifest)
    move_boundary(ready_run, "1|2", 2)
    row = boundaries(ready_run.manifest)[0]
    assert (row["epoch"], row["moved_by_user"]) == (2, True)
    assert row["reason"].startswith("set by hand") and row["found"] == before[0]["found"]
    move_boundary(ready_run, "1|2", None, reset=True)
    assert boundaries(ready_run.manifest) == before


@pytest.mark.parametrize(
    ("boundary", "epoch", "message"),
    [("3|4", 1, "no boundary '3|4'; choose one of 1|2, 2|3"), ("1|2", -1, "cannot be at epoch -1")],
)
def test_bad_boundaries_are_refused(ready_run, boundary, epoch, message):
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        move_boundary(ready_run, boundary, epoch)
