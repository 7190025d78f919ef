"""How figures look and what they say in words; what all of them have in common is in test_charts."""

import json
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io
import pytest

from interdash.figures import catalogue, dynamics, flows, orders, sheet, theme
from interdash.figures.choice import Choice
from interdash.paper import chromium
from interdash.queries import dynamics as queries
from interdash.queries.asking import Ask


@pytest.fixture
def ask(small_store, labelled_run):
    return Ask(labelled_run, small_store)


def test_themed_is_light_and_dark():
    light, dark = (theme.themed(go.Figure(), dark=dark).layout.template.layout for dark in (False, True))
    assert light.paper_bgcolor == "#FFFFFF" and dark.paper_bgcolor == "#0E1117"
    assert light.colorway != dark.colorway


def test_phases_are_bands_and_words():
    epochs = pd.DataFrame({"epoch": [0, 4, 8], "train_loss": 1.0, "test_loss": 1.0, "gap": 0.0})
    phases = pd.DataFrame(
        {"boundary": ["1|2", "2|3"], "epoch": [4.0, None], "reason": ["epoch 4", "no third phase found"]}
    )
    strength = pd.DataFrame(columns=["type", "epoch"])
    drawn = dynamics.dynamics(epochs, strength, phases, log=False)
    assert [(shape.x0, shape.x1) for shape in drawn.layout.shapes] == [(0, 4.0)] * 2 + [(4.0, 8)] * 2  # losses, gap
    assert [text.text for text in drawn.layout.annotations] == ["phase 1", "phase 2–3"]
    assert "Start of phase 3: no third phase found." in dynamics.phase_text(phases)
    assert "looked for" in dynamics.phase_text(phases.iloc[:0])


@pytest.mark.parametrize(
    "power, title",
    [
        ([0.1, 0.62, 0.28], "The generalizable share (H) peaks at epoch 4, at 62% (20% by chance), and ends at 28%"),
        ([0.1, 0.2, 0.3], "The generalizable share (H) is highest at the last epoch, 8: 30%"),
        ([None, None, None], "Salient interactions per sample: 94 at epoch 0, 9 at epoch 8"),
    ],
)
def test_finding(power, title):
    level = {"chance": [None, 0.2, None], "test_loss": [0.7, 0.4, 0.5], "salient": [94, 10, 9.0]}
    epochs = pd.DataFrame({"epoch": [0, 4, 8], "generalization_power": power, **level})
    assert dynamics.finding_text(epochs) == f"{title}; testing loss is lowest at epoch 4"


@pytest.mark.parametrize(
    "low, text",
    [([-0.1, 0.0, None], "Nothing here transfers beyond chance."), ([-0.1, 0.01], ""), ([None, None], "")],
)
def test_chance_in_words(low, text):
    assert dynamics.chance_text(pd.DataFrame({"above_chance_low": low}, dtype=float)) == text


@pytest.mark.parametrize("known", [True, False])
def test_chance_is_a_dashed_line_under_h(ask, known):
    rows = list(catalogue.chart("dynamics").rows(ask, Choice()).values())
    if not known:  # labels of an older version
        rows[1] = rows[1].assign(chance=None)
    lines = {trace.name: trace for trace in dynamics.dynamics(*rows, log=False).data}
    assert ("H by chance" in lines) == known
    if known:
        line = lines["H by chance"]
        assert line.line.dash == "dash" and line.yaxis == lines["H"].yaxis
        assert list(line.y) == rows[1]["chance"].dropna().tolist() and (line.y > 0).all()


def test_chance_is_a_tick_on_each_bar(ask):
    (drawing,) = catalogue.each(ask, "order_strength", Choice(scale="nats"))
    made = drawing.figure()
    (ticks,) = (trace for trace in made.data if trace.name == "generalizable by chance")
    rows = drawing.rows["orders"]
    last = rows.loc[rows["epoch"] == 3]
    above, below = np.nan_to_num(np.array(ticks.y, float)).reshape(2, -1)  # an order without strength has no tick
    assert above - below == pytest.approx(last["by_chance"].to_numpy())
    assert ticks.marker.symbol == "line-ew-open"


def test_scales_of_strength(ask):
    """Shares of the epoch's strength; a log axis has lines, unsigned, in place of bars that would be stacked."""
    rows = catalogue.each(ask, "dynamics", Choice(scale="normalised"))[0].rows["strength"]
    assert (rows["generalizable"] + rows["non_generalizable"]).tolist() == pytest.approx([1.0] * len(rows))
    assert (rows["non_generalizable_low"] <= rows["non_generalizable"]).all()
    in_nats = queries.strength(ask.store, "tiny")
    assert rows["generalizable"].tolist() == in_nats["generalization_power"].tolist()
    for name in ("dynamics", "flows", "order_strength", "order_strength_row"):
        (drawing,) = catalogue.each(ask, name, Choice(scale="log"))
        made = drawing.figure()
        assert "log" in {axis.type for axis in made.select_yaxes()}
        drawn = [trace for trace in made.data if trace.name and "generalizable" in trace.name]
        assert {trace.type for trace in drawn} == {"scatter"}
        assert not (np.nan_to_num(np.concatenate([np.array(trace.y, float) for trace in drawn])) < 0).any()
    orders = catalogue.each(ask, "order_strength", Choice(scale="log"))[0]
    last = orders.rows["orders"].loc[lambda frame: frame["epoch"] == 3]
    assert list(orders.figure().data[0].y) == last["generalizable"].tolist()
    with pytest.raises(ValueError, match="no scale 'nat' of strengths; choose one of normalised, nats, log"):
        Choice(scale="nat")


def test_the_map_of_orders_shows_h_and_its_chance_on_one_scale(ask):
    (drawing,) = catalogue.each(ask, "order_map", Choice())
    power, level = drawing.figure().data[2:]
    assert (power.zmin, power.zmax) == (level.zmin, level.zmax) == (0, 1)
    table = drawing.rows["map"].pivot(index="size", columns="epoch", values="chance").to_numpy()
    assert np.array_equal(np.array(level.z, float), table, equal_nan=True) and np.nanmax(table) > 0
    shares = drawing.rows["map"][["generalizable", "non_generalizable"]].to_numpy().sum()
    assert shares == pytest.approx(drawing.rows["map"]["epoch"].nunique())  # each epoch's are all of its strength


def test_the_map_of_orders_has_the_numbers_of_the_phases_and_pins_an_epoch_by_click(ask):
    rows = catalogue.each(ask, "order_map", Choice())[0].rows["map"]
    phases = pd.DataFrame({"boundary": ["1|2", "2|3"], "epoch": [1.0, None]})
    drawn = orders.order_map(rows, phases, log=False, pinned=3)
    numbers = [(note.text, note.x) for note in drawn.layout.annotations if note.yref.startswith("y")]
    assert numbers == [(text, x) for text, x in (("1", 0.5), ("2–3", 2.0)) for _ in range(4)]
    maps, points = drawn.data[:4], drawn.data[4:]
    assert all(trace.hoverinfo == "skip" for trace in maps) and all(trace.marker.opacity == 0 for trace in points)
    assert all(list(trace.customdata) == rows["epoch"].tolist() for trace in points)
    last = rows.iloc[-1]
    share = last["generalization_power"]
    said = "below 1 % of its epoch's strength" if last["share"] < 0.01 else f"{share:.0%}"
    assert points[2].hovertext[-1] == f"epoch {last['epoch']:g}, order {last['size']:g}<br>H {said}"
    assert {trace.type for trace in orders.order_map(rows, phases).data} == {"heatmap"}  # in files


def test_an_order_of_next_to_no_strength_is_an_empty_cell(ask):
    (drawing,) = catalogue.each(ask, "order_map", Choice())
    rows, phases = drawing.rows.values()
    weak = rows.assign(share=rows["share"].mask(rows["size"] == 2, 0.009))
    for of_map in drawing.chart.figure(weak, phases, **drawing.options).data:
        assert np.isnan(np.array(of_map.z, float)[1]).all() and not np.isnan(np.array(of_map.z, float)[0]).all()


def test_sorted_strengths_end_where_they_say_and_are_told_apart_by_shape(ask):
    drawing = catalogue.drawing(ask, "sorted_strengths", Choice(sample=1))
    made, rows = drawing.figure(), drawing.rows["interactions"]
    low = made.layout.yaxis.range[0]
    assert low == pytest.approx(np.log10(rows["tau"].iloc[0]) - 3)
    assert all(np.log10(trace.y).min(initial=low) >= low for trace in made.data)
    marked = [trace for trace in made.data if trace.mode == "markers"]
    assert sum(len(trace.x) for trace in marked) == rows["salient"].sum() > 0
    for trace in marked:
        assert trace.marker.symbol.endswith("-open") == ("non-generalizable" in trace.name)
        assert trace.marker.symbol.startswith("triangle") == trace.name.endswith("OR")


def test_the_first_epoch_with_a_loss_that_is_not_finite_is_marked():
    epochs = pd.DataFrame({"epoch": [0, 4, 8], "train_loss": [1.0, None, None], "test_loss": 1.0, "gap": 0.0})
    strength = pd.DataFrame(columns=["type", "epoch"])
    drawn = dynamics.dynamics(epochs, strength, log=False, diverged={"train_loss": 4, "test_loss": 8})
    assert [(shape.x0, shape.x1, shape.yref) for shape in drawn.layout.shapes] == [(4, 4, "y domain")]
    assert [note.text for note in drawn.layout.annotations] == ["diverged: training loss not finite"]
    words = dynamics.finding_text(epochs.assign(generalization_power=[0.1, 0.2, 0.3], chance=None), {"train_loss": 4})
    assert words.startswith(
        "The generalizable share (H) is highest at the last epoch, 8: 30%; testing loss is "
        "lowest at epoch 0; training loss"
    )
    assert words.endswith("training loss diverged at epoch 4")
    assert dynamics.dynamics(epochs, strength, diverged={}) == dynamics.dynamics(epochs, strength)


def test_expected_orders(small_store):
    expected = queries.expected_orders(small_store, "tiny", normalised=True)
    assert expected["size"].tolist() == [1, 2, 3, 4]
    assert expected["positive"].sum() - expected["negative"].sum() == pytest.approx(4)
    assert queries.expected_orders(small_store, "unknown").empty


def test_dynamics_marks_the_gap_and_the_noise_floor(ask):
    rows = list(catalogue.chart("dynamics").rows(ask, Choice(types=("and", "or"))).values())[:3]
    floor = pd.DataFrame({"epoch": [1, 1, 3], "power": [0.5, 0.5, 0.4], "other_power": [0.3, 0.6, 0.4]})
    drawn = dynamics.dynamics(*rows, floor, log=False)
    bars = next(trace for trace in drawn.data if "noise floor" in (trace.name or ""))
    assert list(bars.x) == [1, 1, None, 3, 3, None] and list(bars.y) == [0.3, 0.6, None, 0.4, 0.4, None]
    columns = theme.on_page(drawn, dark=False, selectable=True, panels=True).to_dict()["data"][-1]
    said = dict(zip(columns["customdata"], columns["hovertext"], strict=True))[1].split("<br>")
    assert [text for text in said if "another choice" in text] == [f"H by another choice {h}%" for h in (30, 60)]
    of_gap = dynamics.gap(rows[0], gap_start=1, log=False).layout
    line = of_gap.shapes[0]
    assert (line.x0, line.x1, line.yref) == (1, 1, "y domain")
    assert any("published two-phase" in note.text for note in of_gap.annotations)
    plain = dynamics.dynamics(*rows, log=False)
    assert not any("noise floor" in (trace.name or "") for trace in plain.data)


@pytest.mark.parametrize("log", [True, False])
def test_the_mouse_shows_an_epoch_through_all_panels(ask, log):
    """And a click anywhere in it chooses it: one invisible bar an epoch, side by side over the whole chart."""
    (drawing,) = catalogue.each(ask, "flows", Choice(log=log))
    drawn = theme.through_panels(theme.once(theme.themed(drawing.figure()), selectable=True)).to_dict()
    *lines, columns = drawn["data"]
    assert {trace["xaxis"] for trace in drawn["data"]} == {"x"} and [
        key for key in drawn["layout"] if key[:5] == "xaxis"
    ]
    assert columns["customdata"] == [0, 1, 2, 3] and columns["opacity"] == 0 and columns["yaxis"] == "y99"
    low = np.array(columns["x"]) + columns["offset"]
    assert low[1:] == pytest.approx((low + columns["width"])[:-1]) and (low < columns["x"]).all()
    assert all(trace["hoverinfo"] == "skip" for trace in lines)
    flow, power = drawing.rows["flows"].set_index("epoch_to").loc[3], drawing.rows["H"].set_index("epoch").loc[3]
    words = columns["hovertext"][3].split("<br>")
    assert words[0] == "<b>epoch 3</b>" and f"of the learned, generalizes {flow['power']:.0%}" in words
    assert f"learned, generalizable {flow['learned_generalizable_share']:.0%}" in words
    assert f"H, of all that is there {power['generalization_power']:.0%}" in words
    gap = drawing.rows["epochs"].set_index("epoch").loc[3, "gap"]
    assert any(word == f"loss gap {gap:.3f}".rstrip("0").rstrip(".") + " nats" for word in words)


def test_flows_over_many_epochs_show_whether_a_line_is_dashed(ask):
    """At most 40 markers a line; all of them where it has gaps, for between two there is no line."""
    (drawing,) = catalogue.each(ask, "flows", Choice())
    one = drawing.rows["flows"].iloc[[-1]].drop(columns=["epoch_from", "epoch_to"])
    many = pd.concat([one] * 100, ignore_index=True).assign(epoch_from=range(100), epoch_to=range(1, 101))
    many.loc[50, "removed_order"] = np.nan

    def most(rows):
        of_line = {trace.name: trace.marker.maxdisplayed for trace in flows.flows(rows).data if trace.type == "scatter"}
        return [of_line[f"mean order of the {name}"] for name in ("learned", "removed")]

    assert most(many) == [40, 0] and most(many.drop(index=50)) == [40, 40]


@pytest.mark.browser
@pytest.mark.parametrize("name", ["dynamics", "order_strength", "order_strength_row", "order_map"])
def test_drawn_once_looks_as_with_a_template(name, ask):
    (drawing, *_) = catalogue.each(ask, name, Choice(types=("and", "or")))
    drawn = theme.themed(drawing.figure(), dark=True).update_layout(width=700)
    for number, trace in enumerate(drawn.data):
        trace.uid = f"trace-{number}"
    before = drawn.to_json()
    once = theme.once(drawn, selectable=False).to_dict()
    text = plotly.io.to_json(once, validate=False, remove_uids=False)
    assert "template" not in once["layout"] and "bdata" not in text and drawn.to_json() == before
    as_sent = go.Figure(json.loads(text), _validate=False).update_layout(template=None)
    svgs = [chromium.render(made, "svg").decode() for made in (drawn, as_sent)]
    with_template, without = (svg.replace(re.findall('id="defs-(.*?)"', svg)[0], "") for svg in svgs)
    assert in_order(with_template) == in_order(without)


def in_order(svg):
    """The tags of an SVG with their attributes sorted: Plotly sets them in the order in which texts were measured."""
    return [sorted(re.findall(r'[\w:-]+="[^"]*"|[^\s"]+', tag)) for tag in re.split("(?=<)", svg)]


@pytest.mark.parametrize("dark", [False, True])
def test_theme_of_an_unchecked_figure(dark, monkeypatch):
    monkeypatch.setattr(sheet, "CHECKED", False)
    for drawn in (sheet.Sheet().figure(), theme.nothing("Nothing.", "x", "y")):
        layout = json.loads(theme.themed(drawn, dark=dark).to_json())["layout"]
        assert layout["template"]["layout"]["paper_bgcolor"] == ("#0E1117" if dark else "#FFFFFF")
