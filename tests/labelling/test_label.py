import shutil
import tracemalloc
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from interdash.config import GeneralizationConfig
from interdash.formulas import bootstrap, order_shape
from interdash.formulas.bootstrap import percentile
from interdash.labelling import label as labelling
from interdash.labelling.aggregate import label_tables
from interdash.labelling.label import label, label_epoch, label_samples
from interdash.labelling.sample_table import sample_table
from interdash.masking.kinds import png
from interdash.runs import samples
from interdash.runs.parts import part_path, read_part
from interdash.runs.plan import plan
from interdash.runs.tables import read_table
from tests.conftest import store_of

RULES = GeneralizationConfig(tau_factor=0.1)


def columns(i_and, i_or, v_empty, v_full, labels=None):
    """Returns the columns of parts with round numbers: interactions `[samples, 4]` (n = 2)."""
    i_and, i_or = np.array(i_and, float), np.array(i_or, float)
    v_full, count = np.array(v_full, float), len(i_and)
    return {
        "sample": np.arange(count, dtype=np.int32),
        "label": np.array(labels or [0] * count, np.int32),
        "predicted": np.zeros(count, np.int32),
        "v_empty": np.array(v_empty, float),
        "v_full": v_full,
        "objective": np.full(count, 2.0),
        "lower_bound": np.full(count, 1.0),
        "gap": np.full(count, 1.0),
        "solved": np.ones(count, bool),
        "residual": np.zeros(count),
        "v": np.zeros((count, 4)),
        "i_and": i_and,
        "i_or": i_or,
        "delta": np.full((count, 4), -0.5),
    }


def made_columns(seed, *, count, n, present):
    """Returns columns with so many interactions in each sample, of random strength."""
    rng = np.random.default_rng(seed)
    i_and, i_or = np.zeros((2, count, 2**n))
    for values in (i_and, i_or):
        for row in values:
            row[rng.integers(1, 2**n, present)] = rng.normal(0, 2, present)
    made = columns(i_and, i_or, rng.normal(size=count), rng.normal(0, 10, count), rng.integers(0, 3, count).tolist())
    return made | {"delta": rng.normal(size=(count, 2**n))}


# τ = 0.1 · mean |v(x) − v(x_∅)| = 1; orders by index: 0, 1, 1, 2
TARGET = columns([[0, 4, -2, 0.5], [0, 0, 3, 0]], [[0, 0, 0, -6], [0, 0, 0, 2]], [0, 0], [10, -10], [0, 1])
BASE = columns([[0, 4, 2, 9], [0, 0, 1, 0]], [[0, 0, 0, -1], [0, 0, 0, 0.5]], [0, 0], [10, 10])
OTHER = columns([[0, 4, -2, 9], [0, 0, 0, 0]], [[0, 0, 0, 1], [0, 0, 0, 2]], [0, 0], [10, 10])
SPLITS = ["train", "test"]


def tables_of(target, others, rules=RULES, splits=SPLITS, *, size=1):
    """Returns the tables of arrays of all samples, handed over in batches of `size`."""
    whole = [target, *others]

    def batches():
        for first in range(0, len(target["sample"]), size):
            yield [{name: values[first : first + size] for name, values in part.items()} for part in whole]

    return label_tables(batches(), whole, rules, splits)


def rows(tables, name, **where):
    frame = tables[name].to_pandas()
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame


def test_interactions_of_samples_with_rank_and_g_and_their_sums():
    found = rows(tables_of(TARGET, [BASE]), "interactions")
    listed = found[["sample", "type", "subset", "size", "rank", "effect", "baseline_effect", "generalizes"]]
    assert listed.values.tolist() == [
        [0, "and", 1, 1, 2, 4.0, 4.0, True],
        [0, "and", 2, 1, 3, -2.0, 2.0, False],  # the sign differs
        [0, "or", 3, 2, 1, -6.0, -1.0, True],
        [1, "and", 2, 1, 1, 3.0, 1.0, True],
        [1, "or", 3, 2, 2, 2.0, 0.5, False],  # below τ in the baseline
    ]
    tables = tables_of(TARGET, [BASE])
    frame = rows(tables, "interactions")
    by_hand = frame[frame["effect"] > 0].groupby(["sample", "type", "size"])["effect"].sum()
    stored = rows(tables, "sample_orders").set_index(["sample", "type", "size"])["positive"]
    assert stored[stored > 0].to_dict() == by_hand.to_dict()
    found = rows(tables_of(TARGET, [BASE]), "sample_epochs").to_dict("list")
    assert found["strength"] == [12.5, 5.0]
    assert found["salient_strength"] == [12.0, 5.0]
    assert found["generalizable"] == [10.0, 3.0] and found["non_generalizable"] == [2.0, 2.0]
    assert found["generalizable_effect"] == [-2.0, 3.0] and found["non_generalizable_effect"] == [-2.0, 2.0]
    assert found["salient"] == [3, 2] and found["generalizable_count"] == [2, 1] and found["highest_order"] == [2, 2]
    assert found["correct"] == [True, False] and found["noise"] == [0.5, 0.5]
    np.testing.assert_allclose(found["loss"], [np.log1p(np.exp(-10)), 10 + np.log1p(np.exp(-10))])


@pytest.mark.parametrize("rule", ["mean_output", "max_interaction"])
def test_batches_make_the_same_tables_as_all_samples_at_once(rule):
    rules = GeneralizationConfig(tau_rule=rule, tau_factor=0.2, baselines=2)
    target, *others = (made_columns(i, count=11, n=5, present=20) for i in range(3))
    splits = ["train", "test", "test"] * 3 + ["train", "test"]
    whole = tables_of(target, others, rules, splits, size=11)
    assert whole["interactions"].num_rows > 100 and whole["networks"]["flips"][0].as_py() > 0
    for size in (1, 4):
        found = tables_of(target, others, rules, splits, size=size)
        for name, table in whole.items():
            pd.testing.assert_frame_equal(found[name].to_pandas(), table.to_pandas(), rtol=1e-9, atol=1e-12)
    assert found["interactions"].equals(whole["interactions"]) and found["networks"].equals(whole["networks"])


def test_memory_does_not_grow_with_the_number_of_units(ready_run, monkeypatch):
    """Of all units' vectors only those of one are there at a time, with the baseline's."""
    read, alive = [], []

    def watched(run, unit, columns):
        found = read_part(run, unit, columns)
        read.extend(weakref.ref(found[name]) for name in {"i_and", "i_or", "delta"} & found.keys())
        alive.append(sum(array() is not None for array in read))
        return found

    monkeypatch.setattr(labelling, "read_part", watched)
    shutil.rmtree(ready_run.labels_dir)
    assert label(plan(ready_run)) == [] and len(read) == 3 * 3 + 9 * 5  # units of the baseline, of the target with it
    assert max(alive) == 5  # delta, AND and OR of the target, AND and OR of the baseline


def test_peak_of_memory_with_four_times_the_samples(monkeypatch):
    """At n = 12, 10 samples a batch; what is left of a sample are its salient interactions and sums."""
    monkeypatch.setattr(order_shape, "PARTITIONS", 5)  # 200 take 26 MB here, however many samples there are
    peaks = []
    for count in (40, 160):
        tracemalloc.start()
        label_tables(
            ([made_columns(10 * i + j, count=10, n=12, present=10) for j in range(2)] for i in range(count // 10)),
            2 * [{"v_empty": np.zeros(count), "v_full": np.full(count, 10.0)}],
            RULES,
            ["train", "test"] * (count // 2),
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0], peaks  # all at once: 1.6


def test_votes_of_two_baselines():
    some = rows(tables_of(TARGET, [BASE, OTHER], replace(RULES, vote="any")), "interactions")
    assert some["votes"].tolist() == [2, 1, 1, 1, 1] and some["generalizes"].all()
    assert some["transfers"].tolist() == [0b11, 0b10, 0b01, 0b01, 0b10]
    tables = tables_of(TARGET, [BASE, OTHER])
    assert rows(tables, "interactions")["generalizes"].tolist() == [True, False, False, False, False]
    assert rows(tables, "networks")[["tau", "samples", "baselines", "flips"]].values.tolist() == [[1.0, 2, 2, 0.8]]


def three(seed, same=0.0):
    """A target and three baselines of 60 samples, with such a share of the target's interactions in the first."""
    target, *others = (made_columns(seed + i, count=60, n=5, present=20) for i in range(4))
    kept = np.random.default_rng(seed).random((60, 32)) < same
    for name in ("i_and", "i_or"):
        others[0][name] = np.where(kept, target[name], others[0][name])
    return target, others, ["train", "test"] * 30


def test_a_majority_of_three_is_the_label_and_the_share_of_three_the_weight():
    """Of two salient interactions one is in two of three baselines (4 nats), the other in one (2 nats)."""
    empty, tables = columns([[0] * 4], [[0] * 4], [0], [10]), []
    target = columns([[0, 4, 0, -2]], [[0] * 4], [0], [10])
    both, first = target, columns([[0, 4, 0, 0]], [[0] * 4], [0], [10])
    for vote, general in (("majority", [True, False]), ("any", [True, True])):
        tables = tables_of(target, [both, first, empty], replace(RULES, vote=vote), ["train"])
        assert rows(tables, "interactions")["generalizes"].tolist() == general
        found = rows(tables, "strengths", split="all", label=-1, type="all").to_dict("records")[0]
        assert found["generalizable"] == pytest.approx((2 * 4 + 1 * 2) / 3)
        assert found["generalization_power"] == pytest.approx(10 / 18) and found["count_power"] == pytest.approx(0.5)
        assert found["chance"] == pytest.approx((4 / 2 + 2 / 1 + 4 / 2) / 18)  # of orders 1 and 2 two and one
    each = rows(tables, "baseline_strengths", split="all", label=-1, type="all").set_index("baseline")
    assert each["generalization_power"].to_dict() == {
        **{"baseline-0": 1.0, "baseline-1": pytest.approx(4 / 6), "baseline-2": 0.0},
    }
    assert each["chance"].tolist() == pytest.approx([(4 / 2 + 2) / 6, (4 / 2) / 6, 0])


def test_three_identical_baselines_are_as_one():
    target, (base, *_), splits = three(1, same=0.5)
    one, same = (tables_of(target, [base] * count, splits=splits, size=60) for count in (1, 3))
    for name in one.keys() - {"networks", "interactions", "baseline_strengths"}:
        pd.testing.assert_frame_equal(same[name].to_pandas(), one[name].to_pandas(), rtol=1e-6, atol=1e-12)
    floats = [tables["strengths"].to_pandas().select_dtypes("float").fillna(0) for tables in (same, one)]
    assert np.allclose(*floats, rtol=1e-12, atol=1e-15)
    both = [t["interactions"].to_pandas() for t in (same, one)]
    assert (both[0]["votes"] == 3 * both[1]["votes"]).all() and (both[0]["generalizes"] == both[1]["generalizes"]).all()
    alone = one["baseline_strengths"].to_pandas()
    strengths = one["strengths"].to_pandas()
    for column in ("generalizable", "generalization_power", "by_chance", "chance", "above_chance"):
        pd.testing.assert_series_equal(alone[column], strengths[column])


def test_h_is_a_count_over_the_bits_of_interactions():
    target, others, splits = three(2, same=0.6)
    tables = tables_of(target, others, splits=splits, size=60)
    found = rows(tables, "interactions")
    weight = found["effect"].abs()
    bits = pd.DataFrame({f"baseline-{i}": found["transfers"] // 2**i % 2 for i in range(3)})
    assert (bits.sum(axis=1) == found["votes"]).all() and (found["generalizes"] == (found["votes"] >= 2)).all()
    each = rows(tables, "baseline_strengths", split="all", label=-1, type="all").set_index("baseline")
    for name, bit in bits.items():
        assert each.loc[name, "generalization_power"] == pytest.approx((weight * bit).sum() / weight.sum(), rel=1e-6)
    row = rows(tables, "strengths", split="all", label=-1, type="all").iloc[0]
    assert row["generalization_power"] == pytest.approx((weight * bits.mean(axis=1)).sum() / weight.sum(), rel=1e-6)
    assert row["chance"] == pytest.approx((weight * found["chance"]).sum() / weight.sum(), rel=1e-6)
    assert row["above_chance_low"] < row["above_chance"] < row["above_chance_high"]
    by_order = rows(tables, "sample_orders")
    sums = (weight * bits.mean(axis=1)).groupby([found["sample"], found["type"], found["size"]]).sum()
    assert (by_order["generalizable_positive"] - by_order["generalizable_negative"]).tolist() == pytest.approx(
        sums.sort_index().tolist(), rel=1e-5, abs=1e-6
    )


def test_the_vote_changes_labels_and_what_is_removed_and_no_mean():
    target, others, splits = three(3, same=0.6)
    any_of, most = (
        tables_of(target, others, replace(RULES, vote=vote), splits, size=60) for vote in ("any", "majority")
    )
    changed = {name for name, table in any_of.items() if not table.equals(most[name])}
    assert changed == {"interactions", "removals", "sample_removals"}
    left = [table["interactions"].drop_columns(["generalizes"]) for table in (any_of, most)]
    assert left[0].equals(left[1])


def test_intervals_of_baselines_that_disagree_are_wider():
    """Two of three baselines share nothing with the target: the mean is that of any three, its interval covers them."""
    target, (base, second, third), splits = three(4, same=0.9)
    alike, apart = (
        rows(tables_of(target, bases, splits=splits, size=60), "strengths", split="all", label=-1, type="all").iloc[0]
        for bases in ([base] * 3, [base, second, third])
    )
    for name in ("generalization_power", "above_chance"):
        widths = [row[f"{name}_high"] - row[f"{name}_low"] for row in (alike, apart)]
        assert widths[1] > 2 * widths[0]
    assert apart["above_chance_low"] < 0.1 and apart["above_chance_high"] > alike["above_chance"] - 0.1
    assert (alike["strength_low"], alike["strength_high"]) == (apart["strength_low"], apart["strength_high"])


def test_strengths_are_means_over_the_samples_of_a_group_with_intervals():
    tables = tables_of(TARGET, [BASE])
    both = rows(tables, "order_strengths", split="all", label=-1, type="all").to_dict("list")
    assert both["size"] == [1, 2]
    assert both["positive"] == [3.5, 1.0] and both["negative"] == [-1.0, -3.0]
    assert both["generalizable_positive"] == [3.5, 0.0] and both["non_generalizable_positive"] == [0.0, 1.0]
    assert both["strength"] == [4.5, 4.0] and both["generalizable"] == [3.5, 3.0]
    assert both["generalization_power"] == [3.5 / 4.5, 0.75] and both["salient"] == [1.5, 1.0]
    train = rows(tables, "order_strengths", split="train", label=-1, type="or").to_dict("list")
    assert train["strength"] == [0.0, 6.0] and np.isnan(train["generalization_power"][0])
    assert rows(tables, "order_strengths", split="test", label=0).empty
    assert set(tables["order_strengths"].to_pandas()["label"]) == {-1, 0, 1}
    found = rows(tables, "strengths", split="all", label=-1, type="all").to_dict("records")[0]
    assert (found["samples"], found["strength"], found["generalizable"], found["non_generalizable"]) == (2, 8.5, 6.5, 2)
    assert found["generalization_power"] == 6.5 / 8.5 and found["count_power"] == 0.6
    assert (found["strength_low"], found["strength_high"]) == (5.0, 12.0)  # both samples alike: the ends of a bootstrap
    one = rows(tables, "strengths", split="train", label=-1, type="and").to_dict("records")[0]
    assert one["generalizable_low"] == one["generalizable"] == one["generalizable_high"] == 4.0
    nothing = rows(tables, "strengths", split="test", label=1, type="and").to_dict("records")[0]
    assert nothing["generalization_power"] == 1.0


def test_chance_by_sample_order_and_split():
    """Of the baseline's first-order AND ones of sample 0 both are positive, of sample 1 one of two."""
    tables = tables_of(TARGET, [BASE])
    salient = rows(tables, "interactions").set_index(["sample", "type", "subset"])["chance"]
    assert salient.to_dict() == {
        **{(0, "and", 1): 1.0, (0, "and", 2): 0.0, (0, "or", 3): 1.0},
        **{(1, "and", 2): 0.5, (1, "or", 3): 0.0},
    }
    by_order = rows(tables, "sample_orders").set_index(["sample", "type", "size"])["by_chance"]
    assert by_order.to_dict() == {(0, "and", 1): 4.0, (0, "or", 2): 6.0, (1, "and", 1): 1.5, (1, "or", 2): 0.0}
    orders = rows(tables, "order_strengths", split="all", label=-1, type="all").to_dict("list")
    assert orders["by_chance"] == [2.75, 3.0] and orders["chance"] == [2.75 / 4.5, 0.75]
    assert orders["above_chance"] == [(3.5 - 2.75) / (4.5 - 2.75), 0.0]
    both = rows(tables, "strengths", split="all", label=-1, type="all").to_dict("records")[0]
    assert both["by_chance"] == 5.75 and both["chance"] == 5.75 / 8.5
    assert both["above_chance"] == pytest.approx((6.5 - 5.75) / (8.5 - 5.75))
    assert (both["chance_low"], both["chance_high"]) == pytest.approx((1.5 / 5, 10 / 12))  # either sample alone
    one = rows(tables, "strengths", split="test", label=-1, type="all").to_dict("records")[0]
    assert one["above_chance_low"] == one["above_chance"] == one["above_chance_high"] == pytest.approx(1.5 / 3.5)
    alone = rows(tables_of(BASE, []), "strengths")
    assert alone[["by_chance", "chance", "above_chance", "chance_low"]].isna().to_numpy().all()


def test_independent_networks_are_at_chance():
    """Sets drawn apart agree as often as chance says, at every order; with itself a network is above it by 1."""
    rng = np.random.default_rng(5)
    first, second = (made_columns(rng.integers(99), count=300, n=6, present=12) for _ in range(2))
    tables = tables_of(first, [second], splits=["train"] * 300, size=100)
    both = rows(tables, "strengths", split="all", label=-1, type="all").to_dict("records")[0]
    assert both["chance"] > 0.02 and both["above_chance"] == pytest.approx(0, abs=0.02)
    assert both["above_chance_low"] < 0 < both["above_chance_high"]
    same = rows(tables_of(first, [first], splits=["train"] * 300, size=100), "strengths", type="all")
    assert same["above_chance"].tolist() == pytest.approx([1.0] * len(same))


def test_a_baseline_has_no_g_and_nothing_salient_no_h():
    tables = tables_of(BASE, [])
    found = rows(tables, "strengths", split="all", label=-1, type="all").to_dict("records")[0]
    assert found["strength"] == (4 + 2 + 9 + 1 + 1) / 2 and np.isnan(found["generalizable"])
    assert rows(tables, "interactions")[["generalizes", "baseline_effect", "votes"]].isna().to_numpy().all()
    assert rows(tables, "sample_orders")["generalizable_positive"].isna().all()
    nothing = columns([[0, 0, 0, 0]], [[0, 0, 0, 0]], [0], [0])
    tables = tables_of(nothing, [nothing], splits=["train"])
    assert tables["interactions"].num_rows == 0 and tables["sample_orders"].num_rows == 0
    found = rows(tables, "strengths", split="all", label=-1, type="all").to_dict("records")[0]
    assert found["strength"] == 0.0 and np.isnan(found["generalization_power"])
    assert np.isnan(found["generalization_power_low"])


def test_label_makes_each_epoch_once(labelled_run):
    names = sorted(path.name.rpartition("-")[0] for path in labelled_run.labels_dir.iterdir())
    assert [name for name in names if name.startswith("target")] == ["target-00000", "target-00001", "target-00003"]
    before = {path: path.stat().st_ino for path in labelled_run.labels_dir.iterdir()}
    assert label(plan(labelled_run)) == []
    assert before == {path: path.stat().st_ino for path in labelled_run.labels_dir.iterdir()}


def test_label_by_other_rules_replaces_the_old_and_waits_for_all_parts(ready_run):
    config = ready_run.config
    rules = replace(config.generalization, tau_factor=0.1)
    ready_run.update(config=replace(config, generalization=rules).to_json())
    before = {path.name for path in ready_run.labels_dir.glob("target-*")}
    assert label(plan(ready_run)) == []
    after = {path.name for path in ready_run.labels_dir.glob("target-*")}
    assert len(before) == len(after) == 3 and before.isdisjoint(after)
    units = plan(ready_run).units
    shutil.rmtree(ready_run.labels_dir)
    part_path(ready_run, units[-1]).unlink()
    assert label_epoch(plan(ready_run), "target", 3) is None
    assert label_epoch(plan(ready_run), "target", 1) is not None
    part_path(ready_run, units[0]).unlink()  # of the baseline
    assert label_epoch(plan(ready_run), "target", 0) is None


def test_damaged_labels_are_made_again_and_a_damaged_part_is_named_and_deleted(ready_run):
    table = next(ready_run.labels_dir.glob("target-*")) / "strengths.parquet"
    good = read_table(table)
    table.write_bytes(table.read_bytes()[:-9])
    assert label(plan(ready_run)) == []
    assert read_table(table).equals(good)
    table.unlink()
    assert label(plan(ready_run)) == []
    assert read_table(table).equals(good)
    shutil.rmtree(ready_run.labels_dir)
    path = part_path(ready_run, plan(ready_run).units[-1])
    path.write_bytes(path.read_bytes()[:-9])
    problems = label(plan(ready_run))
    assert len(problems) == 1 and str(path) in problems[0] and not path.exists()
    assert len(list(ready_run.labels_dir.glob("target-*"))) == 2


def test_write_folder_leaves_nothing_behind_on_error(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(labelling, "write_table", fail)
    with pytest.raises(OSError, match="the disk is full"):
        labelling.write_folder(tmp_path / "target-0-x", {"a": None}, {})
    assert list(tmp_path.iterdir()) == []


def test_samples_keep_what_the_dashboard_draws(labelled_run):
    import torch

    from interdash.masking.variables import Explained, Variables

    explained = labelled_run.explained()
    folder = label_samples(labelled_run)
    found = read_table(folder / "samples.parquet").to_pandas()
    assert found["split"].tolist() == list(explained.split)
    assert found["label_name"].tolist() == [labelled_run.class_names[i] for i in explained.labels.tolist()]
    assert found["shape"].iloc[0].tolist() == [8, 8] and len(found["assignment"].iloc[0]) == 64
    assert found["image"].iloc[0].startswith(b"\x89PNG") and found["display"].isna().all()
    variables = Variables("text", (("good", "film"),), torch.tensor([[0, -1, 1]]).short(), torch.tensor(1))
    explained = Explained(
        torch.tensor([[5, 6, 7]]), torch.tensor([1]), ("test",), torch.tensor([9]), variables, [["good", "a", "film"]]
    )
    found = sample_table(explained, ["bad", "good"]).to_pylist()[0]
    assert found["names"] == ["good", "film"] and found["display"] == '["good", "a", "film"]' and found["image"] is None
    assert found["assignment"] == [0, -1, 1] and found["shape"] == [3] and found["row"] == 9


def test_png_is_readable():
    import io

    from PIL import Image

    grey = np.array([[[0.0, 0.5], [1.0, 0.25]]])
    assert np.asarray(Image.open(io.BytesIO(png(grey)))).tolist() == [[0, 128], [255, 64]]
    colour = np.zeros((3, 2, 4))
    colour[1] = 2.0  # outside 0..1: stretched to its own range
    image = Image.open(io.BytesIO(png(colour)))
    assert (image.mode, image.size, image.getpixel((3, 1))) == ("RGB", (4, 2), (0, 255, 0))


def test_intervals_of_a_run_resample_within_its_strata(labelled_run):
    """Those of strength at the last epoch, of all samples, a split and a class, from the strengths of samples."""
    strata = samples.strata(labelled_run.path)
    assert strata is not None and len(set(strata.tolist())) == 60
    with store_of(labelled_run) as store:
        table = store.ask("SELECT split, label, stratum FROM samples ORDER BY sample")
        assert sorted(table["stratum"]) == sorted([*range(30), *range(30)])
        last = "WHERE network = 'target' AND epoch = (SELECT max(epoch) FROM networks WHERE network = 'target')"
        details = ("sample_epochs",)
        strength = store.ask(f"SELECT salient_strength FROM sample_epochs {last} ORDER BY sample", details=details)
        stored = store.ask(f"SELECT * FROM strengths {last} AND type = 'all'").set_index(["split", "label"])
    values = strength["salient_strength"].to_numpy()
    label = int(table["label"][0])
    for split, of_class in (("all", -1), ("test", -1), ("train", label)):
        in_split = (table["split"] == split) | (split == "all")
        rows = np.flatnonzero(in_split & ((table["label"] == of_class) | (of_class == -1)))
        low, high = percentile(lambda drawn, x=values[rows]: x[drawn].mean(-1), bootstrap.group(strata, rows))
        assert stored.loc[(split, of_class), ["strength_low", "strength_high"]].tolist() == pytest.approx([low, high])
