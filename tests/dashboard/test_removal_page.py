from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interdash.dashboard import links
from interdash.figures import order_shape, removal
from interdash.figures import robustness as floors
from interdash.formulas import correlation
from interdash.queries import removal as queries_removal
from interdash.store.database import open_store


def floor():
    """Rows of the noise floor: two choices at two epochs."""
    ends = {f"{name}{end}": 0.25 for name in ("overlap", "flips", "power", "other_power") for end in ("_low", "_high")}
    return pd.DataFrame(
        [
            {"epoch": epoch, "comparison": "kappa", "reference": own, "alternative": other, "samples": 4, **ends}
            | {"labels": 2.0, "overlap": 0.5, "flips": flips, "power": 0.75, "other_power": 0.5}
            for epoch, flips in ((0, np.nan), (8, 0.125))
            for own, other in (("κ = 0.02", "κ = 0"), ("as the run", "3 baselines, any"))
        ]
    )


@pytest.fixture(scope="module")
def answers(small_store):
    """What the figures of the page draw, from the tiny run."""
    return {
        "removals": queries_removal.removals(small_store, "tiny"),
        "sample_removals": queries_removal.sample_removals(small_store, "tiny", 3),
    }


def test_epochs_can_be_clicked_and_of_many_samples_those_that_change_most_are_drawn(answers, monkeypatch):
    rows = answers["sample_removals"]
    monkeypatch.setattr(removal, "MOST", 10)
    drawn = removal.sample_removals(rows)
    assert sorted(n for trace in drawn.data for n in trace.customdata) == sorted(rows["sample"][:10])
    assert drawn.layout.annotations[0].text == f"the 10 of {len(rows)} samples that change most"
    monkeypatch.setattr(removal, "MOST", len(rows))
    assert not removal.sample_removals(rows).layout.annotations
    for trace in removal.removals(answers["removals"]).data:
        if trace.mode == "lines+markers":
            assert list(trace.customdata) == [0, 1, 3]


@pytest.fixture
def page(visit, labelled_run):
    """Returns a function that runs the page with query parameters."""
    return partial(visit, "removal", labelled_run.path.parent)


@pytest.fixture(scope="module")
def hand_made():
    """A store with round numbers: run "a", two epochs, two samples; run "b" with the same gap turned round."""
    store = open_store()
    with store.transaction() as cursor:
        for epoch in (0, 4):
            cursor.execute("INSERT INTO metrics VALUES ('a', 'target', ?, ?, 2.0, 0.5, 0.25)", [epoch, 2 - epoch / 8])
            cursor.execute("INSERT INTO metrics VALUES ('b', 'target', ?, 2.0, ?, 0.5, 0.25)", [epoch, 2 - epoch / 8])
            for run in ("a", "b"):
                cursor.execute(
                    "INSERT INTO strengths BY NAME SELECT ? AS run, 'target' AS network, ? AS epoch, 'all' AS split, "
                    "-1 AS label, 'all' AS type, 8.0 AS strength, 2.0 + ? AS non_generalizable",
                    [run, epoch, epoch],
                )
            for order, dose, kind in ((1, 100, "random"), (2, 100, "random"), (1, 50, "non_generalizable")):
                for split, after in (("gap", 0.5), ("train", 1.0), ("test", 1.5)):
                    cursor.execute(
                        "INSERT INTO removals BY NAME SELECT 'a' AS run, 'target' AS network, ? AS epoch, "
                        "? AS removed, ? AS split, ? AS min_order, ? AS dose, ? AS after",
                        [epoch, kind, split, order, dose, after],
                    )
        for sample, loss, after in ((0, 1.0, 1.5), (1, 2.0, 0.0)):
            cursor.execute(
                "INSERT INTO samples BY NAME SELECT 'a' AS run, ? AS sample, 'train' AS split, 'x' AS label_name",
                [sample],
            )
            cursor.execute(
                "INSERT INTO sample_epochs BY NAME SELECT 'a' AS run, 'target' AS network, 4 AS epoch, ? AS sample, "
                "? AS loss",
                [sample, loss],
            )
            cursor.execute(
                "INSERT INTO sample_removals VALUES ('a', 'target', 4, ?, 1, 100, ?, ?, 3.0)", [sample, after, loss]
            )
    yield store
    store.close()


def test_removals(hand_made):
    found = queries_removal.removals(hand_made, "a")
    assert found["split"].tolist() == ["train", "train", "test", "test", "gap", "gap"]
    assert found["whole"].tolist() == [2.0, 1.5, 2.0, 2.0, 0.0, 0.5]
    assert queries_removal.removals(hand_made, "a", dose=50)["removed"].unique().tolist() == ["non_generalizable"]
    assert queries_removal.removals(hand_made, "b").empty


def test_removal_doses_and_orders(hand_made):
    doses = queries_removal.removal_doses(hand_made, "a", 4)
    assert sorted(set(zip(doses["removed"], doses["dose"], strict=True))) == [
        ("non_generalizable", 50),
        ("random", 100),
    ]
    orders = queries_removal.removal_orders(hand_made, "a", 4)
    assert orders["min_order"].tolist() == [1, 2] * 3


def test_sample_removals_are_sorted_by_change(hand_made):
    found = queries_removal.sample_removals(hand_made, "a", 4)
    assert found["sample"].tolist() == [1, 0] and found["change"].tolist() == [-2.0, 0.5]
    assert found["random_change"].tolist() == [0.0, 0.0]
    assert queries_removal.sample_removals(hand_made, "a", 0).empty


def test_share_and_gap_of_several_runs(hand_made):
    found = queries_removal.share_and_gap(hand_made, "b", ["a", "b"])
    assert found["run"].tolist() == ["b", "b", "a", "a"]
    assert found["share"].tolist() == [0.25, 0.75] * 2 and found["gap"].tolist() == [0.0, -0.5, 0.0, 0.5]


def test_rank_correlations_are_those_of_scipy_by_run_and_together():
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    y = x + rng.normal(size=30)
    rho, low, high = correlation.rank_correlation(x, y)
    assert rho == pytest.approx(stats.spearmanr(x, y).statistic) and low < rho < high

    def spearman(x, y, axis):
        return stats.pearsonr(stats.rankdata(x, axis=axis), stats.rankdata(y, axis=axis), axis=axis).statistic

    about = {"paired": True, "vectorized": True, "n_resamples": 2000, "rng": np.random.default_rng(0)}
    ends = stats.bootstrap((x, y), spearman, **about).confidence_interval
    assert [low, high] == pytest.approx([*ends])
    assert correlation.rank_correlation(x, np.exp(x))[0] == pytest.approx(1.0)
    for a, b in ((x[:4], y[:4]), (x, np.ones(30))):  # too few; no variation
        assert np.isnan(correlation.rank_correlation(a, b)).all()
    points = pd.DataFrame({"run": ["b"] * 5 + ["a"] * 3, "share": np.arange(8.0), "gap": [1.0, 2, 3, 5, 4, 0, 0, 0]})
    found = correlation.rank_correlations(points)
    assert found["run"].tolist() == ["b", "a", "all runs"] and found["points"].tolist() == [5, 3, 8]
    assert found["rho"][0] == pytest.approx(0.9) and np.isnan(found["rho"][1])
    assert len(correlation.rank_correlations(points[:5])) == 1
    assert correlation.rank_correlations(points[:0]).empty


@pytest.mark.parametrize("strength", [0.0, 0.7])
def test_rank_correlation_interval_covers_the_truth(strength):
    rng, hits = np.random.default_rng(1), 0
    truth = 6 / np.pi * np.arcsin(strength / 2)  # of a bivariate normal distribution
    for _ in range(200):
        x, y = rng.multivariate_normal([0, 0], [[1, strength], [strength, 1]], 20).T
        _, low, high = correlation.rank_correlation(x, y, resamples=300)
        hits += low <= truth <= high
    assert abs(hits / 200 - 0.95) <= 0.05


def rows_of_an_epoch(change, excess=(-0.2, -0.3, -0.1), strength=4.0):
    """Rows of `removals` at epoch 8: changes (mean, low, high) of training and testing loss and gap."""
    rows = []
    for split, (mean, low, high) in zip(("train", "test", "gap"), change, strict=True):
        base = {"epoch": 8, "split": split, "before": 1.0, "whole": 0.9, "strength": 4.0}
        changed = {"after": 1 + mean, "change": mean, "change_low": low, "change_high": high}
        rows.append({**base, **changed, "removed": "non_generalizable"})
        rows.append({**base, **changed, **dict(zip(("excess", "excess_low", "excess_high"), excess, strict=True))})
        rows[-1]["removed"] = "random"
        rows.append({**rows[-1], "removed": "generalizable", "strength": strength})
    return pd.DataFrame(rows)


def test_finding_in_words():
    rows = rows_of_an_epoch([(0.5, 0.4, 0.6), (0.1, -0.1, 0.3), (-0.4, -0.6, -0.2)])
    assert queries_removal.finding_title(rows, 8) == "Epoch 8: the removal shrinks the gap"
    assert queries_removal.finding_text(rows, 8) == (
        "Without the non-generalizable interactions the gap of the explained samples is 0.600, not 1.000 nats, "
        "−0.400 (−0.600 … −0.200): more than random ones of the same strength, more than generalizable ones "
        "of the same strength."
    )
    said = queries_removal.details_text(rows, 8)
    assert "Over the whole splits, nothing removed, the gap is 0.900." in said
    assert "The training loss rises, +0.500" in said and "testing loss does not clearly change, +0.100" in said
    assert "mostly because the training loss rises" in said and "lower doses" not in said
    assert "−0.200 (−0.300 … −0.100) (random)" in said
    fewer = rows_of_an_epoch([(0.0, -0.1, 0.1), (-0.4, -0.5, -0.3), (-0.4, -0.6, -0.2)], (0.1, -0.1, 0.3), 1.0)
    assert "mostly because the testing loss falls" in queries_removal.details_text(fewer, 8)
    assert (
        "no clear difference from generalizable ones, which have only 25% of that strength in training"
        in queries_removal.finding_text(fewer, 8)
    )
    assert "only 25% and 25% of that: lower doses compare" in queries_removal.details_text(fewer, 8)
    neither = rows_of_an_epoch([(0.0, -0.1, 0.1)] * 3)
    assert "the removal does not clearly change the gap" in queries_removal.finding_title(neither, 8)
    assert "mostly because" not in queries_removal.details_text(neither, 8)
    assert queries_removal.finding_title(fewer, 9) == "Epoch 9: losses before and after the removal"
    assert "Nothing is removed yet" in queries_removal.finding_text(fewer, 9)
    assert "both splits" in queries_removal.finding_text(rows_of_an_epoch([(np.nan,) * 3] * 3), 8)
    drawn = removal.gap_changes(removal.gap_at(rows, 8))
    bars = [(*bar.y, *bar.x) for bar in drawn.data if bar.type == "bar"]
    assert bars == [("non-generalizable", -0.4), ("random", -0.4), ("generalizable", -0.4)]
    assert [tuple(line.x) for line in drawn.data if line.type == "scatter"] == [(-0.6, -0.2)] * 3


@pytest.mark.parametrize(
    ("rho", "low", "high", "words"),
    [
        (0.8, 0.5, 0.9, "larger non-generalizable share have a larger gap (Spearman ρ = 0.80 (0.50 … 0.90), 9 epochs)"),
        (-0.8, -0.9, -0.5, "have a *smaller* gap"),
        (0.1, -0.4, 0.5, "does not rank the epochs by their gap"),
        (1.0, np.nan, np.nan, "rank the epochs the same way (ρ = 1.00)"),
        (np.nan, np.nan, np.nan, "too few epochs"),
    ],
)
def test_meaning_in_words(rho, low, high, words):
    said = removal.meaning_text(pd.DataFrame([{"run": "a", "points": 9, "rho": rho, "low": low, "high": high}]))
    assert words in said and "not that one makes the other" in said
    assert removal.meaning_text(pd.DataFrame()) == ""


def test_list_of_changes_links_to_the_samples(answers):
    rows = answers["sample_removals"]
    changes = removal.list_of_changes(rows, partial(links.sample, "tiny", 3, base=""), 5)
    assert len(changes) == 5 and changes["input"].str.startswith("data:image/png").all()
    assert changes["look"][0] == f"/sample?run=tiny&epoch=3&sample={changes['sample'][0]}"
    words = rows.assign(image=pd.NA, display='["good", "film"]')
    assert removal.list_of_changes(words, str)["input"].unique().tolist() == ["good film"]


def test_noise_floor_and_shape_in_words():
    found = floors.list_of_floors(floor(), 8)
    assert found["choice"].tolist() == ["κ = 0 instead of κ = 0.02", "3 baselines, any"]
    assert found["labels that flip"][0] == "12.5% (25.0% … 25.0%)"
    assert floors.list_of_floors(floor(), 0)["labels that flip"][0] == "–"
    assert [floors.shown_epoch(floor(), pinned) for pinned in (None, 3, 64)] == [8, 0, 8]
    ends = {"distance_low": 0.0, "distance_high": 0.02, "epoch": 8}
    rows = [
        {"part": "generalizable", "shape": "decay", "distance": 0.01, **ends},
        {"part": "generalizable", "shape": "spindle", "distance": 0.2, **ends, "distance_low": 0.1},
        {"part": "non_generalizable", "shape": "decay", "distance": 0.011, **ends},
        {"part": "non_generalizable", "shape": "spindle", "distance": 0.01, **ends},
    ]
    words = order_shape.shape_text(pd.DataFrame(rows), 8)
    assert "generalizable interactions are clearly closer to a decay (1.0% off) than to a spindle (20.0% off)." in words
    assert "non-generalizable interactions are closer, not clearly, to a spindle" in words
    assert "no generalizable interactions to fit" in order_shape.shape_text(pd.DataFrame(rows)[2:], 8)


def test_page_follows_its_link_and_refuses_hostile_ones_in_words(page):
    test = page(order="3", dose="50", epoch="1")
    assert not test.warning
    boxes = (test.selectbox(key="order"), test.selectbox(key="dose"), test.select_slider(key="epoch"))
    assert [box.value for box in boxes] == [3, 50, 1]
    assert test.subheader[0].value.startswith("Epoch 1: the removal ")
    assert any("the gap of the explained samples is" in text.value for text in test.markdown)
    assert "`interdash robustness tiny` does it" in page(view="Noise floor").info[0].value
    test = page(order="99", dose="'; DROP TABLE removals", epoch="-1", view="Share and gap", **{"with": "../../etc"})
    assert len(test.warning) >= 4
    assert test.selectbox(key="order").value == 1


def test_page_before_anything_is_extracted_and_with_the_noise_floor(trained_run, visit, ready_run):
    from interdash.labelling import noise_floor

    test = visit("removal", trained_run.path.parent)
    assert "No epoch of tiny has interactions yet" in test.info[0].value
    found = noise_floor.noise_floor(ready_run, samples_per_split=5, epochs=2)
    noise_floor.store_noise_floor(ready_run, *found)
    test = visit("removal", ready_run.path.parent, view="Noise floor")
    assert not test.info
    assert "κ = 0 instead of κ = 0.02" in test.dataframe[-1].value["choice"].tolist()
