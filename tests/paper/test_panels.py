"""Several charts as one figure: one legend, plot areas aligned, axes of one title and scale alike."""

import re

import pytest

from interdash.figures import catalogue
from interdash.figures.choice import Choice
from interdash.paper import bundle, chromium, venues
from interdash.paper.settings import Settings
from interdash.queries.asking import Ask

SPEC = "order_strength_row/dynamics,interactions"


def composed(store, run, spec, venue="neurips", **looks):
    drawing = catalogue.drawing(Ask(run, store), spec, Choice(sample=1))
    return bundle.printed(drawing, venues.venue(venue, **looks))


def plots(figure):
    """Returns left, right, bottom and top of each part's plot area, by number of the part."""
    found = {}
    for letter in "xy":
        for key, axis in figure.layout.to_plotly_json().items():
            if re.fullmatch(f"{letter}axis[0-9]+", key):
                low, high = found.setdefault((int(key[5:]) // 100, letter), (1.0, 0.0))
                found[int(key[5:]) // 100, letter] = min(low, axis["domain"][0]), max(high, axis["domain"][1])
    return found


def test_panels_have_letters_one_legend_and_aligned_plots(small_store, labelled_run):
    made = composed(small_store, labelled_run, SPEC)
    assert made.layout.width == 528
    letters = [note.text for note in made.layout.annotations if re.fullmatch(r"<b>\([a-z]\)</b>", note.text)]
    assert letters == ["<b>(a)</b>", "<b>(b)</b>", "<b>(c)</b>"]
    legends = {trace.legend for trace in made.data if trace.showlegend}
    assert legends == {"legend", "legend2", "legend3"}  # they differ, so each chart has its own, above it
    names = [(trace.legend, trace.name) for trace in made.data if trace.showlegend]
    assert len(names) == len(set(names)) and {("legend2", "testing loss"), ("legend3", "generalizable")} <= set(names)
    assert made.layout.legend.y > max(made.layout.legend2.y, made.layout.legend3.y)
    assert made.layout.legend2.x < made.layout.legend3.x
    place = plots(made)
    assert place[2, "y"] == pytest.approx(place[3, "y"])
    assert place[1, "y"][0] > place[2, "y"][1]  # above
    assert place[2, "x"][1] < place[3, "x"][0]  # beside
    assert all(0 <= low < high <= 1 for low, high in place.values())


def test_panels_below_each_other_share_edges_and_the_range_of_epochs(small_store, labelled_run):
    made = composed(small_store, labelled_run, "dynamics/interaction_life", "icml-column")
    place = plots(made)
    assert place[1, "x"] == pytest.approx(place[2, "x"])
    assert made.layout.xaxis201.matches == "x104"  # the last axis of the dynamics, to which its others are matched


def test_panels_too_narrow_for_two_stand_below_each_other(small_store, labelled_run):
    place = plots(composed(small_store, labelled_run, "rebuilt,sorted_strengths", "acl-column"))
    assert place[1, "y"][0] > place[2, "y"][1] and place[1, "x"] == pytest.approx(place[2, "x"])


def test_what_lies_on_an_axis_of_a_panel_stays_on_it(small_store, labelled_run):
    made = composed(small_store, labelled_run, "dynamics,input_image")
    numbers = [note for note in made.layout.annotations if note.xref == "x201"]
    assert [note.text for note in numbers] == [f"<b>{i}</b>" for i in range(4)]
    assert all(note.yref == "y201" for note in numbers)


def test_charts_of_the_same_names_share_one_legend(small_store, labelled_run):
    made = composed(small_store, labelled_run, "removal_doses/removal_orders")
    names = [trace.name for trace in made.data if trace.showlegend]
    assert len(names) == len(set(names)) > 2 and made.layout.legend.y == 1


@pytest.mark.parametrize("spec", ["interaction_life/interaction_life", "waterfall,interaction_life"])  # one, two
@pytest.mark.parametrize("place", ["above", "below", "inside", "off"])
def test_legends_of_panels_stand_where_the_venue_says(small_store, labelled_run, spec, place):
    usual, made = (composed(small_store, labelled_run, spec, "icml", legend=each) for each in ("above", place))
    names = [[trace.name for trace in each.data if trace.showlegend] for each in (usual, made)]
    assert names[0] == names[1] if place != "off" else not names[1]
    assert made.layout.height <= usual.layout.height + 12
    beside = "," in spec
    shown = [trace for trace in made.data if trace.showlegend]
    for trace in shown:
        legend = made.layout[trace.legend or "legend"]
        left = (int(trace.xaxis[1:]) // 100 - 1) / 2 if beside else 0
        in_line = sum(each.legend == trace.legend for each in shown) if legend.orientation == "h" else 1
        right = legend.x + (0 if place == "inside" else in_line * (legend.entrywidth + 45) / made.layout.width)
        assert left <= legend.x and (right <= left + 0.51 or not beside)  # over its own chart, all of it
        assert legend.y > 0.9 or place != "above"
        assert legend.y < 0.25 or place != "below"
        assert legend.yref == "paper" or place != "inside"


def test_panels_in_grey_show_lines_and_bars_in_the_legend(small_store, labelled_run):
    made = composed(small_store, labelled_run, SPEC, colours="grey")
    kinds = [trace.type for trace in made.data if trace.showlegend and trace.name == "generalizable"]
    assert sorted(kinds) == ["bar", "bar", "scatter"]


def test_panels_are_drawn_and_bundled_under_one_name(small_store, labelled_run):
    made = composed(small_store, labelled_run, SPEC)
    assert ">(c)<" in chromium.render(made, "svg").decode()
    settings = Settings((SPEC,), choice=Choice(sample=1))
    drawn = bundle.chosen(small_store, labelled_run, settings)
    (name,) = drawn
    assert name == "order_strength_row+dynamics+interactions-sample1-epoch3"
    assert {"a orders", "b epochs", "c interactions"} <= set(drawn[name].rows)
    text = bundle.figures_tex(Ask(labelled_run, small_store), drawn, settings)
    assert "(a) Distribution over orders" in text and "(c) The strongest" in text
    assert re.search(r"\\label\{fig:tiny-\w{6}-order-strength-row-dynamics-interactions-sample1-epoch3\}", text)


def test_charts_beside_each_other_share_the_range_of_what_they_both_show(small_store, labelled_run):
    made = composed(small_store, labelled_run, "removal_doses,removal_orders", "icml")
    pairs = [(axis.matches, key) for key, axis in made.layout.to_plotly_json().items() if key.startswith("yaxis")
             for axis in [made.layout[key]] if axis.matches]  # fmt: skip
    assert all(int(leader[1:]) // 100 == 1 and int(key[5:]) // 100 == 2 for leader, key in pairs)
    titles = {made.layout[f"yaxis{leader[1:]}"].title.text for leader, _ in pairs}
    assert titles and titles <= {"loss (nats)", "gap (nats)"}
    below = composed(small_store, labelled_run, "removal_doses/removal_orders", "icml")
    assert not any(axis.matches for axis in below.select_yaxes())


def test_wrong_panels_are_named(small_store, labelled_run):
    with pytest.raises(ValueError, match="has no figure 'pie'; choose one of flows, dynamics"):
        composed(small_store, labelled_run, "dynamics,pie")
    with pytest.raises(ValueError, match="13 panels cannot be one figure; choose 12 at most"):
        composed(small_store, labelled_run, ",".join(["dynamics"] * 13))
