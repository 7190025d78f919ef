"""Charts made ready for print: a page of exactly the venue's width, nothing cut, nothing told by colour alone."""

import base64
import io
import itertools
import json
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image
from plotly.subplots import make_subplots

from benchmarks.figures import page_problems, svg_problems
from interdash.figures import catalogue, inputs, theme
from interdash.figures.choice import Choice, resolved
from interdash.figures.interactions.variables import variable_network
from interdash.figures.theories.agreement import turn_distances
from interdash.paper import bundle, ink, layout, venues
from interdash.paper import chromium as export
from interdash.paper.settings import Settings
from interdash.queries import sample
from interdash.queries.asking import Ask
from tests.conftest import store_of
from tests.paper.conftest import poppler


def test_unknown_choices_are_named(small_store, labelled_run):
    with pytest.raises(ValueError, match="has no figure 'pie'; choose one of flows, dynamics"):
        catalogue.drawing(Ask(labelled_run, small_store), "pie", Choice())
    with pytest.raises(ValueError, match="epoch 77 of tiny has no interactions; choose one of 0, 1, 3"):
        catalogue.drawing(Ask(labelled_run, small_store), "order_strength", Choice(epoch=77))
    with pytest.raises(ValueError, match="there is no sample 99; choose 0 to 59"):
        catalogue.drawing(Ask(labelled_run, small_store), "waterfall", Choice(sample=99))


def test_venues():
    assert venues.venue("icml-column").width == 3.25 and venues.venue("neurips").width == 5.5
    assert venues.venue("101.6mm").width == pytest.approx(4)
    assert venues.venue("nature", colours="grey").font == "Liberation Sans"
    for wrong, message in (
        (lambda: venues.venue("nips"), "there is no venue 'nips'; choose one of neurips"),
        (lambda: venues.venue("999mm"), "39.3.* inches wide cannot be drawn; choose 1.5 to 20"),
        (lambda: venues.venue("icml", label=3.0), "label text of 3 pt cannot be read in print"),
        (lambda: venues.venue("icml", font="<b>"), "'<b>' is no name of a font"),
        (lambda: venues.venue("icml", colours="pink"), "colours cannot be 'pink'; choose one of colour, grey"),
        (lambda: venues.venue("icml", height=40), "40 inches high cannot be drawn; choose 0.8 to 12"),
        (lambda: venues.venue("icml", lines=9), "lines cannot be 9 times as wide as usual; choose 0.25 to 4"),
        (
            lambda: venues.venue("icml", legend="left"),
            "a legend cannot stand 'left'; choose one of above, below, inside",
        ),
        (lambda: venues.venue("icml", y_low=2, y_high=1.5), "y cannot go from 2 to 1.5; the first .* to be the lower"),
        (lambda: venues.venue("icml", y_high=float("nan")), "y cannot begin or end at nan; give a number, or none"),
        (lambda: venues.venue("icml", y_low="one"), "y cannot begin or end at 'one'; give a number, or none"),
        (lambda: venues.venue("icml", numbers="dot"), "cannot be written with 'dot'; choose one of point, point-comma"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()


@pytest.mark.parametrize("name, step", [("icml-column", 1), ("neurips", 5)])  # the narrowest: all of them
def test_pdf_is_one_page_with_fonts_and_no_bitmap_and_nothing_is_cut_small_or_over_another(
    figures, name, step, tmp_path, chromium
):
    """`benchmarks.figures` looks at all venues."""
    venue, paths = venues.venue(name), {figure: tmp_path / f"{figure}.pdf" for figure in figures}
    for figure, drawing in list(figures.items())[::step]:
        files, path = export.drawn(bundle.printed(drawing, venue), ("pdf", "svg")), paths[figure]
        path.write_bytes(files["pdf"])
        said = poppler("pdfinfo", path)
        assert re.search(r"Pages: +1\n", said), figure
        assert float(re.search(r"Page size: +([\d.]+) x", said)[1]) == pytest.approx(venue.width * 72, abs=0.5), figure
        fonts = poppler("pdffonts", path).splitlines()[2:]
        assert any("LiberationSerif" in font for font in fonts), figure
        assert all("CID TrueType" in font and " yes yes " in font for font in fonts), figure  # Type 3 is refused
        assert b"/Subtype /Image" not in files["pdf"], figure
        assert page_problems(path, venue.width * 72) + svg_problems(files["svg"]) == [], figure
    assert "generalizable" in poppler("pdftotext", paths["flows"])


def test_printed_leaves_the_figure_alone_and_drops_what_only_a_screen_has(figures):
    figure = figures["order_strength"].figure()
    before = json.loads(figure.to_json())
    made = layout.printed(figure, venues.venue("icml-column"))
    assert json.loads(figure.to_json()) == before
    assert made.layout.width == 312 and not made.layout.sliders and not made.layout.updatemenus and not made.frames
    assert all(trace.xaxis in (None, "x") for trace in made.data)  # without the index of the slider
    assert not any(trace.marker.pattern.shape for trace in made.data if trace.type == "bar")
    assert made.layout.yaxis.range is None  # the axis follows what is drawn, not all epochs
    assert "generalizable" in (names := {trace.name for trace in made.data})
    assert not any("spindle" in name for name in names)  # nothing random is expected after training


def test_panels_are_set_in_fewer_columns_where_the_page_is_narrow(figures):
    figure = figures["removals"].figure()
    wide, narrow = (layout.printed(figure, venues.venue(name)) for name in ("neurips", "icml-column"))
    assert len({axis.domain for axis in wide.select_xaxes()}) == 3
    assert len({axis.domain for axis in narrow.select_xaxes()}) == 1
    assert len({axis.domain for axis in narrow.select_yaxes()}) == 3
    for made in (wide, narrow):
        assert [note.text for note in made.layout.annotations][-1].startswith("gap: testing")


@pytest.mark.parametrize("count, columns, rows", [(5, 3, 2), (6, 3, 2), (4, 2, 2), (2, 2, 1)])
def test_panels_of_one_row_that_share_an_axis_stand_in_rows_as_even_as_can_be(count, columns, rows):
    figure = make_subplots(1, count, shared_yaxes=True)
    for column in range(1, count + 1):
        figure.add_bar(x=[1, 2], y=[1, 2], row=1, col=column)
    made = layout.printed(figure, venues.venue("icml-column"))
    assert len({axis.domain for axis in made.select_xaxes()}) == columns
    assert len({axis.domain for axis in made.select_yaxes()}) == rows


def test_map_is_rectangles_of_its_values():
    figure = go.Figure(go.Heatmap(x=[0, 1, 2], y=[1], z=[[0.0, 1.0]], zmin=0, zmax=1, colorscale=theme.SEQUENTIAL))
    made = layout.printed(figure, venues.venue("neurips"))
    assert [shape.fillcolor for shape in made.layout.shapes] == ["rgb(0, 34, 78)", "rgb(254, 232, 56)"]
    assert [trace.type for trace in made.data] == ["scatter"]


def test_grey_has_no_colour(figures):
    for name in ("dynamics", "order_map"):
        made = layout.printed(figures[name].figure(), venues.venue("neurips", colours="grey"))
        text = json.dumps([made.to_plotly_json()["data"], made.to_plotly_json()["layout"].get("shapes")], default=str)
        colours = re.findall(r"#([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})", text)
        assert colours and all(red == green == blue for red, green, blue in colours)
        assert not re.search(r"rgb\(", text)


def test_long_names_beside_bars_are_set_in_lines():
    words = "AND {" + "a &lt; b, " * 5 + "c}"
    bars = go.Bar(x=[1, 2, 3], y=["0", "1", "2"], hovertext=["short", words, f"{words} " * 4], orientation="h")
    figure = go.Figure(bars)
    figure.update_yaxes(type="category", tickvals=["0", "1", "2"], ticktext=["short", words[:20] + "…}", words + "…"])
    made = layout.printed(figure, venues.venue("icml-column"))
    short, long, longest = made.layout.yaxis.ticktext
    assert short == "short" and long.replace("<br>", " ") == words and long.count("<br>") == 1  # whole, from the hover
    assert longest.count("<br>") == 2 and longest.endswith("…")
    assert made.layout.xaxis.domain[0] * 312 < 170


def test_texts_of_points_do_not_touch():
    figure = go.Figure(go.Scatter(x=[0, 0.01, 1], y=[0, 0, 1], text=["a", "b", "c"], mode="markers+text"))
    assert layout.printed(figure, venues.venue("icml-column")).data[0].text == ("", "b", "c")


def test_every_cell_of_a_map_keeps_its_number(tmp_path, chromium):
    names = ["1|2", "2|3", "gap rises", "loss lowest", "σ² falls", "transfer < 0", "complete"]
    looks = {"by_chance": 0.41, "steps": 10, "meet": True, "first_epoch": 20, "first_low": 20, "first_high": 25}
    pairs = [{"first_turn": one, "second_turn": other} | looks for one, other in itertools.permutations(names, 2)]
    made = layout.printed(turn_distances(pd.DataFrame(pairs)), venues.venue("icml-column"))
    (texts,) = (trace.text for trace in made.data if trace.mode == "text")
    assert [*texts] == ["10 *<br>(41%)"] * len(pairs)
    (tmp_path / "turns.pdf").write_bytes(export.render(made, "pdf"))
    assert page_problems(tmp_path / "turns.pdf", 234) == []


SEEN = {  # Machado, Oliveira and Fernandes 2009, severity 1; linear RGB
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def lab(colour, seen):
    """Returns CIE L*a*b* (D65) of a colour as somebody sees it."""
    rgb = np.array([*bytes.fromhex(colour[1:])]) / 255
    linear = np.clip(seen @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ linear / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


TOGETHER = (  # colours of one panel
    (theme.GENERALIZABLE, theme.NON_GENERALIZABLE, "#000000"),
    (theme.GENERALIZABLE, ink.mixed(theme.NON_GENERALIZABLE), "#FFFFFF"),
    ("#000000", theme.TESTING, theme.GAP),
    (theme.GENERALIZABLE, theme.NON_GENERALIZABLE, "#8A8F98", "#56B4E9", "#000000"),  # of the removals
    theme.OTHERS,
)


@pytest.mark.parametrize("sight", SEEN)
def test_colours_of_one_panel_are_apart_however_seen(sight):
    seen = np.array(SEEN[sight])
    for colours in TOGETHER:
        for one, other in itertools.combinations(colours, 2):
            assert np.linalg.norm(lab(one, seen) - lab(other, seen)) > 15, (one, other)


@pytest.mark.parametrize("colours", TOGETHER)
def test_colours_of_one_panel_are_apart_in_grey(colours):
    figure = go.Figure([go.Bar(y=[1], marker={"color": colour}) for colour in colours])
    greys = [bar.marker.color for bar in ink.grey(figure).data]
    for one, other in itertools.combinations(greys, 2):
        assert abs(lab(one, np.eye(3))[0] - lab(other, np.eye(3))[0]) > 11, (one, other)


def test_what_is_chosen_can_be_read_in_grey():
    light = lab(ink.GREYS[inputs.CHOSEN], np.eye(3))[0]
    assert light > 80  # a chosen word is black on it, a chosen number is drawn in it on black


def test_large_images_are_grey_in_grey():
    content = io.BytesIO()
    Image.new("RGB", (70, 70), (250, 20, 20)).save(content, "PNG")
    figure = go.Figure(go.Image(source=inputs.data_uri(content.getvalue())))
    made = layout.printed(figure, venues.venue("neurips", colours="grey"))
    pixel = Image.open(io.BytesIO(base64.b64decode(made.data[0].source.partition(",")[2]))).convert("RGB")
    assert pixel.getpixel((0, 0)) == (89, 89, 89)
    layout.printed(figure, venues.venue("neurips"))
    assert figure.data[0].source == inputs.data_uri(content.getvalue())


def test_bars_are_apart_in_grey():
    grey = [ink.GREYS[colour] for colour in (theme.GENERALIZABLE, theme.NON_GENERALIZABLE)]
    lightness = [lab(colour, np.eye(3))[0] for colour in (grey[0], ink.mixed(grey[1]), grey[1])]
    assert lightness[1] - lightness[0] > 40 and lightness[2] - lightness[0] > 30


def test_runs_compared_are_apart_in_grey_and_by_dash():
    lightness = sorted(lab(ink.GREYS[colour], np.eye(3))[0] for colour in theme.OTHERS)
    assert min(np.diff(lightness)) > 8
    assert len(set(theme.DASHES)) == len(theme.OTHERS)


@pytest.mark.parametrize("venue", ["nature-column", "icml-column"])
def test_a_circle_of_variables_has_all_their_names_side_by_side(venue, tmp_path, chromium):
    names = [f"{word}{i}" for i, word in enumerate(5 * ["touching", "isn't", "comedian", "tv"])]
    nodes = pd.DataFrame({"name": names, "strength": np.linspace(1, 0.1, 20), "x": np.nan, "y": np.nan})
    pairs = pd.DataFrame({"first": [], "second": [], "strength": [], "excess": []})
    figure = layout.printed(variable_network(nodes, pairs), venues.venue(venue))
    assert [*figure.data[-1].text] == [f"<b>{name}</b>" for name in names]
    (tmp_path / "circle.pdf").write_bytes(export.render(figure, "pdf"))
    assert page_problems(tmp_path / "circle.pdf", venues.venue(venue).width * 72) == []


def test_rows_have_room_for_each_name_and_numbers_may_be_left_out():
    for names, high in ((["age", "gender", "capital-gain"] * 10, True), ([*map(str, range(30))], False)):
        figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 29]), layout={"width": 600, "height": 120})
        figure.update_yaxes(tickvals=list(range(30)), ticktext=names)
        made = layout.printed(figure, venues.venue("icml-column"))
        assert ("" in made.layout.yaxis.ticktext) is not high


@pytest.mark.parametrize("name", venues.VENUES)
def test_every_venue_has_its_width_and_font(figures, name, tmp_path, chromium):
    path, venue = tmp_path / "waterfall.pdf", venues.venue(name)
    path.write_bytes(export.render(bundle.printed(figures["waterfall"], venue), "pdf"))
    assert page_problems(path, venue.width * 72) == []
    fonts = poppler("pdffonts", path).splitlines()[2:]
    assert any(venue.font.replace(" ", "") in font for font in fonts)  # of "∅" the font has no letter


@pytest.mark.parametrize("kind", ["census", "movies"])
def test_interactions_of_a_text_or_a_row_as_a_figure(worded, kind, tmp_path, chromium):
    path = tmp_path / "sample.pdf"
    run = worded[kind]
    with store_of(run) as store:
        drawn = catalogue.drawing(Ask(run, store), "sample_interactions", Choice(sample=1, top=5))
        names = sample.sample(store, run.name, 1)["names"].iloc[0]
        column = Settings(venue="icml-column", choice=resolved(Ask(run, store), Choice(sample=1)))
        for chart in ("interactions", "waterfall"):
            alone = bundle.drawing(Ask(run, store), chart, column)
            texts = bundle.printed(alone, column.size).layout.yaxis.ticktext
            assert any(re.search(r"(AND|OR) \{\d", text) for text in texts) and not any("…" in text for text in texts)
            assert f"Variables: 0 {names[0]}, 1 {names[1]}" in bundle.caption(Ask(run, store), alone, column)
            wide = bundle.drawing(Ask(run, store), chart, Settings(choice=column.choice))
            assert f"{{{names[0]}" in str(bundle.printed(wide, venues.venue("neurips")).layout.yaxis.ticktext)
        many = bundle.drawing(Ask(run, store), "many_samples", Settings(choice=column.choice))
        texts = str(bundle.printed(many, venues.venue("neurips")).layout.yaxis.ticktext)
        assert ("Variables: 0 " in many.caption) == bool(re.search(r"\{\d", texts)) == (kind == "census")
    for name in ("neurips", "icml-column"):
        path.write_bytes(export.render(bundle.printed(drawn, venues.venue(name)), "pdf"))
        assert page_problems(path, venues.venue(name).width * 72) == []
        words = poppler("pdftotext", path)
        assert all(part in words for name in names for part in name.split()) and "effect on v" in " ".join(
            words.split()
        )
        assert (
            re.search(r"(AND|OR) \{\d", words) and "…" not in words
        )  # by numbers, which stand beside the words in (a)
        assert b"/Subtype /Image" not in path.read_bytes()


@pytest.mark.parametrize("font, last", [("Liberation Sans", "Helvetica, sans-serif"), ("CMU Serif", "Times, serif")])
def test_readers_without_the_font_see_one_of_its_kind(font, last):
    family = layout.template(venues.venue("icml", font=font)).layout.font.family
    assert family.startswith(f'"{font}", ') and family.endswith(last)


def test_a_figure_is_as_high_as_the_venue_says_and_no_higher_than_a_page(figures, small_store, labelled_run):
    for height in (4.2, 6.0):
        made = bundle.printed(figures["dynamics"], venues.venue("icml-column", height=height))
        assert made.layout.height / 96 == pytest.approx(height, abs=0.02)
    spec = "gap/order_strength_row/order_map"
    drawing = catalogue.drawing(Ask(labelled_run, small_store), spec, Choice())
    made = bundle.printed(drawing, venues.venue("icml-column"))
    assert 5 < made.layout.height / 96 <= venues.TALLEST + 0.02 and not layout.too_tall(made)
    with pytest.raises(ValueError, match=r"the figure cannot be 0.8 in high; it needs \d\.\d in or more"):
        bundle.printed(figures["dynamics"], venues.venue("icml-column", height=0.8))


def test_lines_are_as_wide_as_asked(figures):
    thin, thick = (bundle.printed(figures["dynamics"], venues.venue("icml", lines=lines)) for lines in (1.0, 2.0))
    assert thick.data[0].line.width == pytest.approx(2 * thin.data[0].line.width)
    assert thick.data[0].marker.size == pytest.approx(2 * thin.data[0].marker.size)


@pytest.mark.parametrize("venue", ["icml-column", "neurips"])
def test_each_colour_bar_stands_at_its_panels(figures, venue):
    made = layout.printed(figures["order_map"].figure(), venues.venue(venue))
    nats, share = (trace.marker.colorbar for trace in made.data if trace.marker.showscale)
    first, last = made.layout.yaxis.domain, made.layout.yaxis3.domain
    if venue == "neurips":
        edges = [axis.domain[1] for axis in made.select_xaxes()]
        assert all(min(abs(bar.x - edge) for edge in edges) < 1e-6 for bar in (nats, share))
    else:
        assert nats.y + nats.len / 2 == pytest.approx(first[1]) and nats.y - nats.len / 2 > last[1]
        assert share.len == pytest.approx(last[1] - last[0])


def test_titles_of_panels_stand_once_and_axes_of_a_scatter_have_theirs(figures):
    for venue in ("icml-column", "neurips"):
        made = layout.printed(figures["order_map"].figure(), venues.venue(venue))
        titles = [note.text.replace("<br>", " ") for note in made.layout.annotations if "AND + OR" in note.text]
        assert sorted(titles) == sorted({*titles}) and len(titles) == 4
        assert not any(axis.showgrid or axis.zeroline for axis in (*made.select_xaxes(), *made.select_yaxes()))
    made = layout.printed(figures["sample_shared"].figure(), venues.venue("icml-column"))
    assert "effect in target" in made.layout.xaxis.title.text and "effect in" in made.layout.yaxis.title.text
    assert layout.printed(figures["input_image"].figure(), venues.venue("icml-column")).layout.xaxis.title.text == ""


@pytest.mark.parametrize(
    "name, venue", [("waterfall", "icml-column"), ("interaction_life", "icml"), ("flows", "icml-column")]
)
def test_a_legend_stands_where_the_venue_says(figures, name, venue):
    made = {each: bundle.printed(figures[name], venues.venue(venue, legend=each)) for each in venues.LEGENDS}
    usual, below, off = (made[each].layout for each in ("above", "below", "off"))
    assert usual.legend.y == 1 and below.legend.y == 0 and below.margin.t < usual.margin.t
    assert below.margin.b > off.margin.b == usual.margin.b and off.showlegend is False and off.height <= usual.height
    for each in venues.CORNERS:
        layout = made[each].layout
        if name == "flows":  # no panel has room for it
            assert layout.legend == usual.legend and layout.height == usual.height
            continue
        assert layout.height == off.height and layout.legend.yref == "paper" and layout.margin == off.margin
        assert each == "inside" or f"{layout.legend.yanchor}-{layout.legend.xanchor}" == each
        assert all(0 < place < 1 for place in (layout.legend.x, layout.legend.y))


RISING = list(range(1, 10))


@pytest.mark.parametrize(
    "corner, trace, looks",
    [
        ("top-left", go.Scatter(x=RISING, y=RISING), {}),
        ("top-right", go.Scatter(x=RISING, y=RISING[::-1]), {}),
        ("top-left", go.Scatter(x=RISING, y=[10**y for y in RISING]), {"yaxis_type": "log"}),
        ("bottom-right", go.Scatter(x=RISING, y=[9, *[8.9] * 8]), {"yaxis_range": [0, 9]}),
        ("top-left", go.Bar(x=RISING, y=RISING), {}),
        ("top-left", go.Bar(x=[1] * 9, y=list("abcdefghi"), base=RISING, orientation="h"), {}),
        ("top-right", go.Bar(x=[1, 2], y=[9, 1]), {"barmode": "relative"}),
    ],
)
def test_a_legend_inside_stands_where_it_covers_least(corner, trace, looks):
    figure = go.Figure([trace, trace], looks)
    figure.update_traces(name="line", showlegend=True)
    legend = layout.printed(figure, venues.venue("icml-column", legend="inside")).layout.legend
    assert f"{legend.yanchor}-{legend.xanchor}" == corner


def test_a_range_of_y_is_that_of_every_panel(figures):
    made = bundle.printed(figures["order_strength_row"], venues.venue("icml", y_low=-3, y_high=9))
    assert {axis.range for axis in made.select_yaxes()} == {(-3, 9)}
    usual, low = (bundle.printed(figures["gap"], venues.venue("icml", y_low=end)).layout for end in (None, -7))
    assert low.yaxis.range == (-7, usual.yaxis.range[1])  # the end that is not said stays
    assert bundle.printed(figures["gap"], venues.venue("icml", y_high=0.05)).data[-1].y.max() == 0.05  # in sight
    log = bundle.printed(figures["sorted_strengths"], venues.venue("icml", y_low=1e-3, y_high=100))
    assert log.layout.yaxis.range == pytest.approx((-3, 2))  # in the unit of the axis


@pytest.mark.parametrize(
    "name, ends, message",
    [
        (
            "gap",
            {"y_low": 70, "y_high": 80},
            r"y from 70 to 80 leaves out all that is drawn, \S+ to \S+; choose numbers",
        ),
        ("gap", {"y_high": -70}, "y to -70 leaves out all that is drawn"),
        ("sorted_strengths", {"y_low": 0}, "y cannot begin or end at 0 on a log axis; choose a number above 0"),
        (
            "flows",
            {"y_low": 0},
            "y from 0 is for figures with y axes of one kind, of numbers; .* leave it out, or choose",
        ),
        ("waterfall", {"y_low": 0}, "y from 0 is for figures with y axes of one kind"),  # names
        ("order_map", {"y_low": 0}, "y from 0 is for figures with y axes of one kind"),  # a map
    ],
)
def test_a_range_of_y_that_cannot_be_is_named(figures, name, ends, message):
    with pytest.raises(ValueError, match=message):
        bundle.printed(figures[name], venues.venue("icml", **ends))


def test_h_comes_before_its_chance_and_the_flows_are_not_low_in_a_column(figures, small_store, labelled_run):
    ask, settings = Ask(labelled_run, small_store), Settings(venue="icml-column")
    made = bundle.printed(figures["flows"], settings.size, bundle.room(ask, figures["flows"], settings))
    names = [trace.name for trace in made.data]
    assert names.index("H, of all that is there") == names.index("H by chance") - 1
    assert made.layout.meta["plots"] / 96 >= 2.2


def test_a_legend_has_the_width_of_the_page(figures):
    made = layout.printed(figures["flows"].figure(), venues.venue("icml-column"))
    assert made.layout.margin.l == made.layout.margin.r == 0 and made.layout.xaxis.domain[0] > 0.1
    entry = made.layout.legend.entrywidth + 45
    assert 2 * entry <= 3.25 * 96 + 5 and made.layout.legend.font.size == pytest.approx(7 * 96 / 72)


def test_empty_cells_of_a_map_are_struck_through():
    figure = go.Figure(go.Heatmap(x=[0, 1, 2], y=[1], z=[[0.0, None]], zmin=0, zmax=1, colorscale=theme.SEQUENTIAL))
    shapes = layout.printed(figure, venues.venue("neurips", colours="grey")).layout.shapes
    assert [shape.type for shape in shapes] == ["rect", "line"]
    figure.data[0].hoverongaps = False  # where nothing is, nothing is struck through
    assert [shape.type for shape in layout.printed(figure, venues.venue("neurips")).layout.shapes] == ["rect"]


def test_names_and_numbers_of_an_axis_do_not_touch():
    names = [f"baseline-{i}" for i in range(6)]
    figure = go.Figure(go.Heatmap(x=names, y=[1], z=[[0.5] * 6], zmin=0, zmax=1, colorscale=theme.SEQUENTIAL))
    narrow, wide = (layout.printed(figure, venues.venue(name)) for name in ("acl-column", "icml"))
    assert (narrow.layout.xaxis.tickangle, wide.layout.xaxis.tickangle) == (-90, 0)
    assert narrow.layout.margin.b > wide.layout.margin.b
    figure.update_xaxes(showticklabels=False)
    assert layout.printed(figure, venues.venue("icml")).layout.margin.b < wide.layout.margin.b
    bars = go.Figure(go.Bar(x=[*range(1, 41)], y=[1] * 40), {"xaxis": {"dtick": 1}})
    assert layout.printed(bars, venues.venue("icml-column")).layout.xaxis.dtick > 1
