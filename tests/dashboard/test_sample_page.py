"""The page Sample, its figures and its list."""

import json
import re
import shutil
from functools import partial

import pandas as pd
import pytest

from interdash.dashboard import gallery
from interdash.figures import inputs
from interdash.figures import sample as charts
from interdash.queries import drilldown
from interdash.queries import sample as queries_sample


@pytest.fixture(scope="module")
def answers(small_store):
    """What the figures of the page draw, from the tiny run."""
    return {
        "input_image": inputs.drawable(queries_sample.sample(small_store, "tiny", 0)),
        "interactions": drilldown.numbered(queries_sample.interactions(small_store, "tiny", 3, 0, limit=20)),
    }


def test_a_chosen_interaction_is_framed(answers):
    rows = answers["interactions"]
    name = f"{rows['type'].iloc[0]}-{rows['subset'].iloc[0]}"
    drawn = charts.interactions(rows, chosen=name)
    framed = [
        key
        for bars in drawn.data
        if bars.type == "bar"
        for key, width in zip(bars.customdata, bars.marker.line.width, strict=True)
        if width
    ]
    assert framed == [name]
    lit = inputs.input_image(answers["input_image"], chosen=rows["members"].iloc[0])
    assert len(lit.data) == len(inputs.input_image(answers["input_image"]).data) + 1  # the dark sheet over all else
    assert sum(trace.type == "scatter" and trace.line.color == inputs.CHOSEN for trace in lit.data) == len(
        rows["members"].iloc[0]
    )


def test_outline_of_a_pixel_and_a_baseline_effect_far_outside():
    x, y = inputs._outline(pd.DataFrame([[False, True]]).to_numpy())
    edges = {frozenset(zip(x[i : i + 2], y[i : i + 2], strict=True)) for i in range(0, len(x), 3)}
    corners = [(0.5, -0.5), (1.5, -0.5), (1.5, 0.5), (0.5, 0.5)]
    assert edges == {frozenset((corners[i], corners[(i + 1) % 4])) for i in range(4)}
    row = {"type": "and", "subset": 1, "names": "{a}", "effect": 0.001, "baseline_effect": 5.0, "generalizes": False}
    row |= {"life_line": None, "baselines": 1, "votes": 0, "transfers": 0}
    drawn = charts.interactions(pd.DataFrame([row]))
    baseline = drawn.data[-1]
    assert baseline.marker.symbol == ("triangle-right",)
    assert baseline.x[0] == pytest.approx(0.0012)
    assert baseline.hovertext == ("in the baseline +5.000 nats",)


def row(names, display, assignment):
    return pd.DataFrame([{"names": names, "display": json.dumps(display), "assignment": assignment}])


def test_words_and_columns_are_outlined_numbered_and_escaped():
    sample = row(["<b>good</b>", "film"], ["a", "<b>good</b>", "film", "a"], [-1, 0, 1, -1])
    html = inputs.input_html(sample, [1])
    assert "&lt;b&gt;good&lt;/b&gt;" in html
    assert "<b>" not in html
    assert html.count(inputs.OUTLINE) == 2
    assert html.count(inputs.CHOSEN) == 1
    assert html.index("good") < html.index("film")
    once = inputs.input_html(row(["film"], ["un", "good", "film"], [-1, -1, -1, 0]))
    assert once.count(inputs.OUTLINE) == 1
    assert "good" in once
    twice = inputs.input_html(row(["film"], ["film", "film"], [-1, -1, -1, 0]))
    assert twice.count("film") == 1
    pieces = inputs.input_html(row(["unseen"], ["", "unseen", "", "film", ""], [-1, 0, 0, -1, -1]), [0])
    assert (pieces.count("unseen"), pieces.count(inputs.OUTLINE), pieces.count("<span")) == (1, 1, 2)
    html = inputs.input_html(row(["age", "sex"], {"age": 47, "sex": "<i>", "id": 3}, [0, 1]), [0])
    assert html.count(inputs.OUTLINE) == 2
    assert html.count(inputs.CHOSEN) == 1
    assert "&lt;i&gt;" in html
    assert inputs.summary_text('{"age": 47, "sex": "f"}') == "age: 47 · sex: f"
    assert inputs.summary_text('["a", "b"]') == "a b"
    assert inputs.summary_text(None) == ""
    assert len(inputs.summary_text(json.dumps(["word"] * 100))) == 90


def test_list_of_texts(small_store):
    samples = queries_sample.samples(small_store, "tiny", 3, range(60)).assign(display='["good", "film"]', gap=0.02)
    rows = gallery.list_of_texts(samples, "gap")
    assert list(rows)[:3] == ["number", "certified gap (%)", "input"]  # by what it is sorted stands first
    assert rows["input"].unique().tolist() == ["good film"] and rows["certified gap (%)"].unique().tolist() == [2.0]


@pytest.mark.parametrize("sort", gallery.SORTS)
def test_the_list_is_sorted_by_what_stands_under_each_sample(small_store, sort):
    assert gallery.SORTS.keys() == queries_sample.SAMPLE_SORTS.keys()
    numbers = queries_sample.sample_numbers(small_store, "tiny", 3, sort=sort)
    rows = queries_sample.samples(small_store, "tiny", 3, numbers)
    texts = gallery.values(rows, sort)
    assert len(set(numbers)) == 60 == len(texts)
    size = rows[sort].abs() if sort == "change" else rows[sort]
    known = size.dropna()
    assert known.is_monotonic_increasing if sort in ("sample", "label", "net_share") else known.is_monotonic_decreasing
    assert size.isna().tolist() == [text == "–" for text in texts] == sorted(size.isna())  # what is unknown comes last
    ties = rows.assign(size=size).groupby("size", sort=False)["non_generalizable"]
    assert all(strengths.is_monotonic_decreasing for _, strengths in ties)


@pytest.fixture
def page(visit, labelled_run):
    """Returns a function that runs the page with query parameters."""
    return partial(visit, "sample", labelled_run.path.parent)


def every_shown(test):
    """Returns the samples and epochs on a page, by their headings."""
    return [heading.value.partition(":")[0] for heading in test.subheader]


def shown(test):
    return every_shown(test)[0]


def test_page(page):
    test = page(run="tiny")
    assert not test.error
    assert not test.warning
    assert shown(test) == "Sample 0 at epoch 3"
    assert [metric.label for metric in test.metric][:2] == ["Universal matching, largest error", "Certified gap"]
    assert float(test.metric[0].value.removesuffix(" nats")) < 1e-9
    test = page(run="tiny", epoch="1", sample="7", interaction="or-3")
    assert not test.warning
    assert shown(test) == "Sample 7 at epoch 1"
    assert any(text.value == "##### OR \\{0, 1\\}" for text in test.markdown)
    typed = page(run="tiny", epoch="1", sample="7", interaction="or {1, 0}")  # as people write it
    assert typed.selectbox(key="interaction").value == "or-3" and not typed.warning
    assert any(text.value == "##### OR \\{0, 1\\}" for text in typed.markdown)
    typed.selectbox(key="interaction").set_value("none").run()
    assert not any(text.value.startswith("#####") for text in typed.markdown)


def test_one_life_line(page, small_store):
    test = page(run="tiny", sample="7")
    rows = queries_sample.interactions(small_store, "tiny", 3, 7)
    counts = rows["life_line"].value_counts()
    said = next(text.value for text in test.caption if text.value.startswith("Salient now (ever): "))
    for name, count in counts.items():
        assert f"{count} (" in said.partition(name)[0].rpartition("·")[2]
        test.selectbox(key="life").set_value(name).run()
        drawn = json.loads(test.get("plotly_chart")[1].proto.spec)
        texts = [text for bars in drawn["data"] if bars["type"] == "bar" for text in bars["hovertext"]]
        assert len(texts) == len(drawn["layout"]["yaxis"]["ticktext"]) == min(count, 20)
        assert all(text.endswith(f", {name}") for text in texts)
    assert len(counts) > 1


def test_next_and_previous(page):
    test = page(run="tiny", sample="1")
    test.button(key="Next").click().run()
    assert test.query_params["sample"] == "2"
    test.button(key="Previous").click().run().button(key="Previous").click().run()
    assert shown(test) == "Sample 0 at epoch 3"
    assert test.button(key="Previous").disabled
    test = page(run="tiny", sample="1")
    test.button(key="pin-it").click().run()
    assert test.query_params["pin"] == "1-3"
    assert every_shown(test) == ["Sample 1 at epoch 3"] * 2
    both = page(run="tiny", sample="1", pin="4-0")
    assert every_shown(both) == ["Sample 1 at epoch 3", "Sample 4 at epoch 0"]
    charts = [chart.key for chart in both.get("plotly_chart")]
    assert charts[:3] == ["input_image-left", "input_image-right", "pair-both"]  # one list, in place of two
    same = page(run="tiny", sample="4", pin="4-0")
    assert [chart.key for chart in same.get("plotly_chart")][:3] == [
        "input_image-left",
        "pair-both",
        "interaction_life-left",
    ]
    both.button(key="unpin").click().run()
    assert "pin" not in both.query_params


def test_next_goes_on_beyond_a_page_of_the_list(page, monkeypatch):
    monkeypatch.setattr("interdash.dashboard.listing.SAMPLES_ON_A_PAGE", 20)
    test = page(run="tiny", sample="39")
    assert any("21–40 of 60 samples" in text.value for text in test.caption)  # the page of the sample
    test.button(key="Next").click().run()
    assert shown(test) == "Sample 40 at epoch 3"
    assert any("41–60 of 60 samples" in text.value for text in test.caption)
    test.button(key="Previous-page").click().run().button(key="Previous-page").click().run()
    assert test.button(key="Previous-page").disabled and not test.button(key="Next-page").disabled
    assert test.query_params["page"] == "1" and shown(test) == "Sample 40 at epoch 3"
    assert any("1–20 of 60 samples" in text.value for text in test.caption)
    test.button(key="Previous").click().run()
    assert shown(test) == "Sample 39 at epoch 3" and "page" not in test.query_params
    left_out = page(run="tiny", sample="39", split="training")
    left_out.button(key="Next").click().run()
    assert shown(left_out) == "Sample 0 at epoch 3"


def test_many_missing_parts_are_one_warning_each(visit, labelled_run, tmp_path):
    shutil.copytree(labelled_run.path, tmp_path / "tiny")
    for part in (tmp_path / "tiny" / "parts").glob("*.parquet"):
        part.unlink()
    test = visit("sample", tmp_path, run="tiny", interaction="or-3")
    said = [warning.value for warning in test.warning]
    assert not test.exception and sum("there is no" in text for text in said) == 2  # of this epoch, of all
    assert any("such problems in all)" in text for text in said)


def test_another_run_starts_anew(page, labelled_run, tmp_path, monkeypatch):
    for name in ("tiny", "twin"):
        shutil.copytree(labelled_run.path, tmp_path / name)
    test = page(run="tiny", sample="7", interaction="or-3", pin="4-0")
    monkeypatch.setenv("INTERDASH_ROOT", str(tmp_path))
    test.run()
    test.selectbox(key="chosen_run").select("twin").run()
    assert every_shown(test) == ["Sample 0 at epoch 3"]
    assert not {"sample", "interaction", "pin"} & test.query_params.keys()


def test_filters(page, small_store):
    test = page(run="tiny", split="testing", answer="wrong", sort="highest loss")
    assert not test.warning
    numbers = queries_sample.sample_numbers(small_store, "tiny", 3, split="test", correct=False, sort="loss")
    assert shown(test) == f"Sample {numbers[0]} at epoch 3"
    assert "There is no page 9 of this list" in page(run="tiny", page="9").info[0].value
    nothing = page(run="tiny", loss="999")
    assert any("No image fits" in text.value for text in nothing.caption)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("sample", "60", "sample `60`, which is not there"),
        ("sample", "1; DROP TABLE samples", "sample `1; DROP TABLE samples`, which is not there"),
        ("sample", "9" * 500, r"\(500 characters\)"),
        ("interaction", "<script>alert(1)</script>", "one is written as and-37"),
        ("interaction", "and-99999999", "there are 1 to 15"),
        ("pin", "../../etc/passwd", "the pinned sample"),
        ("pin", "1-77", "the pinned epoch `77`"),
        ("loss", "much", "loss `much`; it is a number from 0 to 1000"),
    ],
)
def test_hostile_link(page, key, value, message):
    test = page(run="tiny", **{key: value})
    assert re.search(message, test.warning[0].value)
    assert shown(test) == "Sample 0 at epoch 3"


def test_damaged_part(ready_run, visit):
    for part in ready_run.parts_dir.glob("*.parquet"):
        part.write_bytes(part.read_bytes()[:200])
    test = visit("sample", ready_run.path.parent)
    assert any("damaged" in text.value for text in test.warning)
    assert shown(test) == "Sample 0 at epoch 3"
