"""Figures as files: a page of exactly the venue's width, fonts embedded, no bitmap, each caller its own figure."""

import asyncio
import base64
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import psutil
import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks.figures import page_problems, svg_problems
from interdash.commands.main import commands
from interdash.dashboard import page as ui
from interdash.figures import catalogue, inputs, theme
from interdash.figures.choice import Choice
from interdash.paper import bundle, ink, latex, layout, tables, venues
from interdash.paper import chromium as export
from interdash.presets import PRESETS
from interdash.queries import dynamics, sample
from interdash.queries.asking import Ask
from interdash.runs import parts
from interdash.runs import tables as tables_on_disk
from interdash.runs.run import Run
from tests.conftest import PATIENCE, store_of


@pytest.fixture(scope="module", autouse=True)
def no_browser_left():
    yield
    export.close()


@pytest.fixture
def chromium():
    try:
        export.chromium()
    except export.NoBrowserError as error:
        pytest.fail(str(error))


def poppler(tool, path, *arguments):
    """Returns what a tool of poppler-utils says about a PDF."""
    if shutil.which(tool) is None:
        pytest.fail(f"{tool} is missing; install it with `apt-get install --no-install-recommends poppler-utils`")
    return subprocess.run([tool, *arguments, str(path), *(["-"] if tool == "pdftotext" else [])], check=True,
                          capture_output=True, text=True).stdout  # fmt: skip


def simple(title):
    return go.Figure(layout={"width": 300, "height": 200, "title": {"text": title}})


@pytest.fixture(scope="module")
def figures(small_store, labelled_run):
    """Every figure of the tiny run."""
    ask, choice = Ask(labelled_run, small_store), Choice(sample=1)
    return {name: catalogue.drawing(ask, name, choice) for name in catalogue.names(ask, choice)}


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
        (lambda: venues.venue("icml", numbers="dot"), "cannot be written with 'dot'; choose one of point, point-comma"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()


@pytest.mark.parametrize("venue", ["neurips", "icml-column"])
def test_pdf_is_one_page_of_the_width_with_fonts_and_no_bitmap(figures, venue, tmp_path, chromium):
    for name, drawing in list(figures.items())[:: 1 if venue == "icml-column" else 5]:
        path = tmp_path / f"{name}.pdf"
        path.write_bytes(export.render(layout.printed(drawing.figure(), venues.venue(venue)), "pdf"))
        said = poppler("pdfinfo", path)
        assert re.search(r"Pages: +1\n", said), name
        width = float(re.search(r"Page size: +([\d.]+) x", said)[1])
        assert width == pytest.approx(venues.venue(venue).width * 72, abs=0.5), name
        fonts = poppler("pdffonts", path).splitlines()[2:]
        assert any("LiberationSerif" in font for font in fonts), name
        assert all("CID TrueType" in font and " yes yes " in font for font in fonts), name  # Type 3 is refused
        assert b"/Subtype /Image" not in path.read_bytes(), name
    assert "generalizable" in poppler("pdftotext", tmp_path / "flows.pdf")


def test_printed_leaves_the_figure_alone_and_drops_what_only_a_screen_has(figures):
    figure = figures["order_strength"].figure()
    before = json.loads(figure.to_json())
    made = layout.printed(figure, venues.venue("icml-column"))
    assert json.loads(figure.to_json()) == before
    assert made.layout.width == 312 and not made.layout.sliders and not made.layout.updatemenus and not made.frames
    assert all(trace.xaxis in (None, "x") for trace in made.data)  # without the index of the slider
    assert not any(trace.marker.pattern.shape for trace in made.data if trace.type == "bar")


def test_panels_are_set_in_fewer_columns_where_the_page_is_narrow(figures):
    figure = figures["removals"].figure()
    wide, narrow = (layout.printed(figure, venues.venue(name)) for name in ("neurips", "icml-column"))
    assert len({axis.domain for axis in wide.select_xaxes()}) == 3
    assert len({axis.domain for axis in narrow.select_xaxes()}) == 1
    assert len({axis.domain for axis in narrow.select_yaxes()}) == 3
    for made in (wide, narrow):
        assert [note.text for note in made.layout.annotations][-1].startswith("gap: testing")


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


def test_long_names_are_cut_beside_the_bars():
    figure = go.Figure(go.Bar(x=[1, 2], y=["0", "1"], orientation="h"))
    long = "AND {" + "a &lt; b, " * 12 + "}"
    figure.update_yaxes(type="category", tickvals=["0", "1"], ticktext=["short", long])
    made = layout.printed(figure, venues.venue("icml-column"))
    assert made.layout.yaxis.ticktext[0] == "short"
    assert made.layout.yaxis.ticktext[1].startswith("AND {a &lt; b, a") and made.layout.yaxis.ticktext[1].endswith("…")
    assert made.layout.margin.l < 170


def test_texts_of_points_do_not_touch():
    figure = go.Figure(go.Scatter(x=[0, 0.01, 1], y=[0, 0, 1], text=["a", "b", "c"], mode="markers+text"))
    assert layout.printed(figure, venues.venue("icml-column")).data[0].text == ("", "b", "c")


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


def test_24_at_once_get_each_its_own(chromium):
    def ask(number):
        return f">figure number {number}<" in export.render(simple(f"figure number {number}"), "svg").decode()

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(ask, range(24)))


def test_a_page_that_has_drawn_others_draws_as_a_new_one(chromium, figures, monkeypatch):
    some = [bundle.printed(drawing, venues.venue("icml-column")) for drawing in list(figures.values())[:4]]
    drawn = {}
    for renewed in (1, 5):  # after each figure; in the middle of these
        export.close()
        monkeypatch.setattr(export, "RENEWED", renewed)
        drawn[renewed] = [export.render(figure, "png", dpi=96) for figure in some * 2]
    assert drawn[1] == drawn[5] and drawn[1][:4] == drawn[1][4:] and len(set(drawn[1])) == 4


def test_a_killed_chromium_is_started_again_and_none_is_left(chromium):
    export.render(simple("before"), "svg")
    for child in psutil.Process().children(recursive=True):
        if "chrom" in child.name():
            child.kill()
    assert b">after<" in export.render(simple("after"), "svg")
    export.close()
    deadline = time.monotonic() + PATIENCE
    while (left := [c for c in psutil.Process().children(recursive=True) if "chrom" in c.name()]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.1)
    assert not left


def chromiums():
    return [child for child in psutil.Process().children(recursive=True) if "chrom" in child.name()]


def test_killed_while_it_draws_the_figure_is_drawn_all_the_same(chromium, monkeypatch):
    export.render(simple("before"), "svg")
    kept = export._browser._kaleido
    draw = kept.calc_fig

    async def killed(*arguments):
        for child in chromiums():
            child.kill()
        return await draw(*arguments)

    monkeypatch.setattr(kept, "calc_fig", killed)
    assert b">during<" in export.render(simple("during"), "svg")
    assert export._browser._kaleido is not kept


def test_after_two_failures_the_next_figure_is_drawn(chromium, monkeypatch):
    async def broken(path):
        raise OSError("no shared library")

    export.close()
    with monkeypatch.context() as patch:
        patch.setattr(export, "_started", broken)
        with pytest.raises(RuntimeError, match="failed twice to draw the figure: no shared library"):
            export.render(simple("none"), "svg")
    assert b">after two<" in export.render(simple("after two"), "svg")


def test_a_figure_that_takes_too_long_is_given_up(chromium, monkeypatch):
    export.render(simple("before"), "svg")

    async def slow(*arguments):
        await asyncio.sleep(30)

    with monkeypatch.context() as patch:
        patch.setattr(export._browser._kaleido, "calc_fig", slow)
        patch.setattr(export, "PATIENCE", 0.2)
        with pytest.raises(RuntimeError, match=r"was not drawn within 0.2 s; draw fewer at once"):
            export.render(simple("slow"), "svg")
    assert b">later<" in export.render(simple("later"), "svg")


def test_closing_waits_for_its_turn_and_for_good_is_for_good(chromium):
    browser = export._Browser()
    options = {"format": "svg", "width": 300, "height": 200, "scale": 1}
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(browser.ask, simple(f"number {i}").to_dict(), options) for i in range(4)]
        browser.close()
        assert all(f">number {i}<".encode() in one.result() for i, one in enumerate(asked))
    browser.close(for_good=True)
    with pytest.raises(RuntimeError, match="the program ends"):
        browser.ask(simple("late").to_dict(), options)


def test_the_browser_asks_nobody_for_anything(chromium):
    export.render(simple("offline"), "svg")
    commands_of = [child.cmdline() for child in chromiums()]
    main = [line for line in commands_of if "--remote-debugging-pipe" in line and "--headless" in line]
    assert main and all(set(export.OFFLINE) <= set(line) for line in main)


def test_a_figure_is_drawn_without_any_network(chromium):
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a network of its own")
    code = (
        "import plotly.graph_objects as go; from interdash.paper import chromium as export;"
        "print(len(export.render(go.Figure(layout={'width': 300, 'height': 200}), 'pdf')))"
    )
    said = subprocess.run(["unshare", "-rn", sys.executable, "-c", code], capture_output=True, text=True, timeout=240,
                          cwd=ui.FOLDER.parent)  # fmt: skip
    assert said.returncode == 0 and int(said.stdout) > 1000, said.stderr


def test_without_chromium_the_command_to_install_it_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    with pytest.raises(export.NoBrowserError, match="apt-get install --no-install-recommends chromium"):
        export.render(simple("none"))
    assert b"Plotly.newPlot" in export.render(simple("none"), "html")
    with pytest.raises(ValueError, match="cannot be written as 'gif'; choose one of pdf, svg, png, html"):
        export.render(simple("none"), "gif")


def test_html_asks_the_network_for_nothing():
    text = export.render(simple("alone"), "html").decode()
    assert not re.search(r"<(script|link)[^>]+(src|href)=", text)


def test_html_is_interactive_and_paper_is_not(figures):
    made = bundle.printed(figures["dynamics"], venues.venue("icml-column"))
    assert made.layout.hovermode is False
    assert '"hovermode":"closest"' in export.render(made, "html").decode()
    assert made.layout.hovermode is False


@pytest.mark.parametrize("name", venues.VENUES)
def test_every_venue_has_its_width_and_font(figures, name, tmp_path, chromium):
    path, venue = tmp_path / "waterfall.pdf", venues.venue(name)
    path.write_bytes(export.render(bundle.printed(figures["waterfall"], venue), "pdf"))
    assert page_problems(path, venue.width * 72) == []
    fonts = poppler("pdffonts", path).splitlines()[2:]
    assert any(venue.font.replace(" ", "") in font for font in fonts)  # of "∅" the font has no letter


@pytest.mark.parametrize("name", ["icml-column"])  # the narrowest; `benchmarks.figures` looks at all
def test_nothing_is_cut_small_or_over_another_on_any_page(figures, name, tmp_path, chromium):
    path, venue = tmp_path / "figure.pdf", venues.venue(name)
    for figure, drawing in figures.items():
        made = bundle.printed(drawing, venue)
        path.write_bytes(export.render(made, "pdf"))
        assert page_problems(path, venue.width * 72) + svg_problems(export.render(made, "svg")) == [], figure


@pytest.fixture(scope="module", params=["census", "movies"])
def worded_run(request, tmp_path_factory):
    """A run on tables, and one on texts, as small as they can be."""
    from interdash import pipeline
    from interdash.training import builtin, network_of_run

    preset = PRESETS[request.param].config
    config = replace(
        preset, training=replace(preset.training, epochs=1, checkpoints=(0, 1)),
        data=replace(preset.data, n_train=1000, n_test=1000),
        masking=replace(preset.masking, samples_per_split=3),
    )  # fmt: skip
    run = builtin.create_run(tmp_path_factory.mktemp("worded"), config)
    builtin.train_run(run)
    network_of_run.train_baseline(run, 0)
    pipeline.extract_and_label(run, workers=0)
    return run


def test_interactions_of_a_text_or_a_row_as_a_figure(worded_run, tmp_path, chromium):
    path = tmp_path / "sample.pdf"
    with store_of(worded_run) as store:
        drawn = catalogue.drawing(Ask(worded_run, store), "sample_interactions", Choice(sample=1, top=5))
        names = sample.sample(store, worded_run.name, 1)["names"].iloc[0]
    for name in ("neurips", "icml-column"):
        path.write_bytes(export.render(bundle.printed(drawn, venues.venue(name)), "pdf"))
        assert page_problems(path, venues.venue(name).width * 72) == []
        words = poppler("pdftotext", path)
        assert all(part in words for name in names for part in name.split()) and "effect on v" in " ".join(
            words.split()
        )
        assert b"/Subtype /Image" not in path.read_bytes()


def test_captions_for_latex(labelled_run, figures):
    text = bundle.latex(labelled_run, figures, bundle.Settings(venue="icml"))
    assert text.count(r"\begin{figure*}") == len(figures)
    assert r"\label{fig:tiny-order-strength}" in text and "width=6.75in" in text
    assert latex.escaped("a_b & 50 %") == r"a\_b \& 50 \%"


@pytest.mark.parametrize("forms", [("svg", "html"), ("html",), ("png", "svg"), ("pdf", "png")])
def test_latex_names_only_files_that_are_there(labelled_run, figures, forms):
    text = bundle.latex(labelled_run, figures, bundle.Settings(formats=forms))
    named = re.findall(r"\\include(\w+)\[.*?\]\{figures/(\w+)\.(\w+)\}", text)
    assert {form for _, _, form in named} <= set(forms)
    assert [name for _, name, _ in named] == ([] if forms == ("html",) else list(figures))
    assert {command for command, _, _ in named} <= {"svg" if forms[0] == "svg" else "graphics"}
    assert (text == "") == (forms == ("html",))


def test_csv_is_exact():
    frame = pd.DataFrame({"x": [0.1 + 0.2, 1e-300], "members": [[1, 2], [3]], "image": [b"png", b"png"]})
    read = pd.read_csv(io.BytesIO(bundle.csv(frame)))
    assert read["x"].tolist() == frame["x"].tolist()
    assert read["members"].tolist() == ["[1, 2]", "[3]"]
    assert "image" not in read and read["image_sha256"].tolist() == [hashlib.sha256(b"png").hexdigest()] * 2


@pytest.mark.parametrize("missing", [None, pd.NA])
def test_lists_are_json_whatever_comes_first(missing):
    frame = pd.DataFrame({"members": [missing, (1, 2)], "image": [missing, b"png"]})
    lines = bundle.csv(frame).decode().splitlines()
    assert lines[1] == "," and lines[2].startswith('"[1, 2]",')


def test_settings_are_checked_and_come_back_from_json():
    settings = bundle.Settings(("dynamics",), "120mm", ("pdf", "svg"), looks={"font": "DejaVu Sans"})
    assert bundle.Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    with pytest.raises(ValueError, match="cannot be written as 'eps'"):
        bundle.Settings(formats=("eps",))
    with pytest.raises(ValueError, match="a bitmap of 1 dpi cannot be made; choose 30 to 2400"):
        bundle.Settings(dpi=1)


def export_command(root, *arguments):
    return CliRunner().invoke(commands, ["export", "--root", str(root), *map(str, arguments)], catch_exceptions=False)


def test_command_writes_a_figure(labelled_run, tmp_path, chromium):
    said = export_command(
        labelled_run.path.parent, "tiny", "--figure", "order_strength", "--venue", "icml-column",
        *("--format", "pdf", "--format", "svg", "--format", "png", "--dpi", 192, "--out", tmp_path),
    )  # fmt: skip
    assert said.exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"order_strength.{f}" for f in ("pdf", "png", "svg")]
    assert 'width="312"' in (tmp_path / "order_strength.svg").read_text()
    assert int.from_bytes((tmp_path / "order_strength.png").read_bytes()[16:20], "big") == 624


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_bundle_is_made_again_from_its_provenance(ready_run, tmp_path, chromium):
    root = ready_run.path.parent
    made = export_command(root, "tiny", "--bundle", "--figure", "dynamics", "--figure", "input_image", "--format",
                          "pdf", "--format", "html", "--sample", 2, "--out", tmp_path / "a")  # fmt: skip
    assert made.exit_code == 0
    first = tmp_path / "a" / "tiny-figures.zip"
    before = contents(first)
    assert {
        *("figures/dynamics.pdf", "figures/dynamics.html", "figures.tex"),
        *("rows/input_image-input.parquet", "rows/input_image-input.csv", "tables/phases.tex"),
    } <= set(before)
    assert b"image_sha256" in before["rows/input_image-input.csv"]
    (tmp_path / "provenance.json").write_bytes(before["provenance.json"])
    again = export_command(root, "--from", tmp_path / "provenance.json", "--out", tmp_path / "b")
    assert again.exit_code == 0
    after = contents(tmp_path / "b" / "tiny-figures.zip")
    assert set(after) == set(before)
    for name, content in before.items():
        if not name.startswith("figures/"):  # a PDF has its date
            assert after[name] == content, name
    for name in [name for name in before if name.endswith(".parquet")]:
        frames = [pd.read_parquet(io.BytesIO(files[name])) for files in (before, after)]
        pd.testing.assert_frame_equal(*frames)
    Run(ready_run.path).record_metrics("target", 2, train_loss=1.0, test_loss=2.0, train_accuracy=0, test_accuracy=0)
    changed = export_command(root, "--from", first, "--out", tmp_path / "c")
    assert changed.exit_code == 1 and "rows/dynamics-epochs.csv is not what it was when" in changed.output


def test_a_changed_pixel_changes_the_rows():
    frame = pd.DataFrame({"image": [b"one pixel"]})
    assert bundle.csv(frame) != bundle.csv(frame.assign(image=[b"One pixel"]))


def test_provenance_says_what_everything_was_made_from(two_runs, two_store):
    tiny, twin = (Run(two_runs / name) for name in ("tiny", "twin"))
    settings = bundle.Settings(("dynamics", "curves"), formats=("html",), choice=Choice(runs=("twin",)))
    _, said = bundle.bundle(two_store, tiny, settings, others=[twin])
    assert said["settings"]["choice"]["epoch"] == 3 and said["settings"]["choice"]["other_epoch"] == 3
    assert said["settings"]["choice"]["epochs"] == (0, 1, 3)
    assert said["data_versions"] == {
        "format": tables_on_disk.FORMAT, "algorithm": parts.ALGORITHM, "labelling": parts.LABELLING
    }  # fmt: skip
    assert set(said["runs"]) == {"tiny", "twin"}
    for name, run in (("tiny", tiny), ("twin", twin)):
        made = said["runs"][name]
        assert made["config"] == run.manifest["config"] and made["explained_sha256"] == run.explained_hash()
        assert made["checkpoints_sha256"]["target"]["3"] == run.checkpoint_hash("target", 3)
    everything = bundle.resolved(two_store, tiny, bundle.Settings())
    assert list(everything.figures) == catalogue.offered(Ask(tiny, two_store), Choice())


def test_all_is_the_bundle_and_from_takes_no_other_choice(labelled_run, tmp_path):
    root = labelled_run.path.parent
    said = export_command(root, "tiny", "--figure", "all", "--format", "html", "--out", tmp_path)
    assert said.exit_code == 0 and [path.name for path in tmp_path.iterdir()] == ["tiny-figures.zip"]
    bundled = tmp_path / "tiny-figures.zip"
    for options in (["--grey"], ["--epoch", "1"], ["--figure", "dynamics", "--venue", "icml"], ["--html"]):
        said = export_command(root, "--from", bundled, *options, "--out", tmp_path / "again")
        assert said.exit_code == 2
        for option in options[::2]:
            assert "--from makes the same bundle again; leave out" in said.output and option in said.output


def test_provenance_of_something_else(labelled_run, tmp_path):
    (tmp_path / "other.json").write_text('{"format": 7}')
    with pytest.raises(ValueError, match=r"is no provenance of figures .format 7 is not 1.; take the provenance.json"):
        bundle.read_provenance(tmp_path / "other.json")
    said = export_command(labelled_run.path.parent)
    assert said.exit_code == 2 and "which run? give its name, or --from provenance.json" in said.output


def test_compared_runs(two_runs, two_store):
    ask, choice = Ask(Run(two_runs / "tiny"), two_store), Choice(runs=("twin",))
    found = catalogue.names(ask, choice)
    assert found[-3:] == ["curves", "difference", "difference_by_order"]
    for name in found[-3:]:
        made = bundle.printed(catalogue.drawing(ask, name, choice), venues.venue("cvpr-column"))
        assert made.data and made.layout.width == 312


@pytest.fixture
def opened(visit):
    """Returns a function that runs the page with query parameters."""
    return partial(visit, "figures")


def test_page_shows_figures_at_true_size(opened, labelled_run):
    page = opened(labelled_run.path.parent, run="tiny", venue="icml-column", figure=["waterfall", "pie"])
    assert "asks for 1 figures that are not there" in page.warning[0].value
    (chart,) = page.get("plotly_chart")
    assert json.loads(chart.proto.spec)["layout"]["width"] == 312
    page.selectbox(key="venue").set_value("custom").run()
    page.text_input(key="width").set_value("3 feet").run()
    assert "there is no venue '3 feet'" in page.error[0].value


def test_page_compares_runs_and_sets_panels(opened, two_runs):
    page = opened(
        two_runs, run="tiny", figure=["curves"], panels="dynamics/interactions", numbers="1 234,5",
        **{"with": ["twin", "gone"]},
    )  # fmt: skip
    assert "asks for 1 runs that are not there" in page.warning[0].value
    specs = [json.loads(chart.proto.spec)["layout"] for chart in page.get("plotly_chart")]
    assert len(specs) == 2 and all(spec["template"]["layout"]["separators"] == ",\u2009" for spec in specs)
    assert [heading.value for heading in page.subheader] == ["curves", "dynamics+interactions"]
    assert "difference" in page.multiselect(key="figure").options
    page.text_input(key="panels").set_value("dynamics,pie").run()
    assert "has no figure 'pie'" in page.error[0].value


def test_page_takes_the_dots_per_inch_and_what_its_link_carries(opened, labelled_run):
    page = opened(
        labelled_run.path.parent, run="tiny", figure=["order_strength_row", "input_image"], unit="nats",
        epochs=["0", "3"], interaction="or-6", sample="2",
    )  # fmt: skip
    assert not page.error and not page.warning
    row, picture = (json.loads(chart.proto.spec) for chart in page.get("plotly_chart"))
    titles = [note["text"] for note in row["layout"]["annotations"]]
    assert titles == ["epoch 0", "epoch 3"]
    lit = [note["text"] for note in picture["layout"]["annotations"] if note["bordercolor"] == inputs.CHOSEN]
    assert lit == ["<b>1</b>", "<b>2</b>"]
    assert [chart.proto.alt for chart in page.get("plotly_chart")][1].startswith("The input as the network sees it")
    assert any("at true size. The input as the network sees it" in caption.value for caption in page.caption)
    assert "dpi" not in [widget.key for widget in page.number_input]
    page.multiselect(key="formats").set_value(["png"]).run()
    page.number_input(key="dpi").set_value(600).run()
    assert not page.exception and page.number_input(key="dpi").max == 2400


def test_page_names_a_wrong_interaction_and_too_many_runs(opened, labelled_run, tmp_path):
    for name in ("tiny", *"abcdef"):
        shutil.copytree(labelled_run.path, tmp_path / name)
    page = opened(tmp_path, run="tiny", figure=["dynamics"], interaction="xor-1", **{"with": [*"abcdef"]})
    said = " ".join(box.value for box in page.warning)
    assert "asks for interaction `xor-1`" in said and "asks for 6 runs; these are the first 5" in said
    assert page.multiselect(key="with").value == [*"abcde"]


def test_a_font_that_is_no_truetype_is_named(monkeypatch, tmp_path):
    (tmp_path / "fc-list").write_text('#!/bin/sh\ncase "$1" in *fontformat*) ;; *) echo "/usr/x.otf: X" ;; esac\n')
    (tmp_path / "fc-list").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "font 'X' is not TrueType: PDF holds it as Type 3, which venues refuse" in export.missing_font("X")


@pytest.mark.parametrize("font, last", [("Liberation Sans", "Helvetica, sans-serif"), ("CMU Serif", "Times, serif")])
def test_readers_without_the_font_see_one_of_its_kind(font, last):
    family = layout.template(venues.venue("icml", font=font)).layout.font.family
    assert family.startswith(f'"{font}", ') and family.endswith(last)


def test_missing_font_is_named():
    if shutil.which("fc-list") is None:
        pytest.fail("fc-list is missing; install it with `apt-get install --no-install-recommends fontconfig`")
    assert "font 'No Such Font' is not installed" in export.missing_font("No Such Font")
    assert export.missing_font(venues.SERIF) == ""


def test_page_without_chromium(opened, monkeypatch, labelled_run):
    def missing():
        raise export.NoBrowserError("install it")

    monkeypatch.setattr(export, "chromium", missing)
    page = opened(labelled_run.path.parent, run="tiny")
    assert "install it" in page.warning[0].value and "as SVG" in page.warning[0].value
    assert page.multiselect(key="formats").options == ["html"]
    assert page.get("plotly_chart")


def test_docs_name_every_venue_and_option():
    text = (ui.FOLDER.parent / "docs" / "figures.md").read_text()
    for name, venue in venues.VENUES.items():
        assert f"| {name} | {venue.width:.4g} | {venue.font} | {venue.label:g}, {venue.tick:g} |" in text
    for option in commands.commands["export"].params:
        if option.name not in {"run", "root", "out", "dpi", "as_bundle", "source"}:
            assert option.opts[0] in text, option.opts


BETWEEN = r"−?\d+\.\d{3} \(−?\d+\.\d{3} to −?\d+\.\d{3}\)"


def test_tables(small_store):
    made = tables.tables(small_store, ["tiny"])
    assert list(made) == list(tables.CAPTIONS) == ["phases", "gaps", "power", "removal"]
    assert [*made["gaps"]] == ["run", "epoch", "training", "testing", "gap", "gap, explained samples"]
    assert [*made["power"]] == ["run", "epoch", "H", "peak of H", "at epoch"]
    for table, column in (("gaps", "gap, explained samples"), ("power", "H"), ("power", "peak of H")):
        assert re.fullmatch(BETWEEN, made[table][column].iloc[0]), column
    changes = made["removal"]["change"]
    assert all(re.fullmatch(r"[+−]\d\.\d{3}( \([+−]\d\.\d{3} to [+−]\d\.\d{3}\))?", cell) for cell in changes)
    assert made["removal"]["removed"].tolist() == [name for name in tables.REMOVED.values() for _ in range(3)]
    assert made["removal"]["loss"].tolist() == ["training", "testing", "gap"] * 3
    text = tables.booktabs(made["phases"], tables.CAPTIONS["phases"], "phases")
    assert r"\toprule" in text and r"phases 1$|$2 (epoch)" in text and r"95 \% bootstrap" in text
    assert all(line.count("&") == 2 for line in text.splitlines() if line.endswith(r"\\"))
    assert r"\begin{table*}" in tables.booktabs(made["gaps"], "", "gaps", wide=True)
    assert tables.tables(small_store, []) == {}


def test_tables_fit_into_a_column_of_text(small_store):
    for name, table in tables.tables(small_store, ["tiny"]).items():
        widths = [max(map(len, map(str, [column, *table[column]]))) for column in table]
        assert sum(widths) + 3 * len(widths) < 95, name  # what 5.5 inches of 9 pt hold


def test_peak_of_h_has_its_own_interval(small_store):
    strength = dynamics.strength(small_store, "tiny")
    peak = strength.loc[strength["generalization_power"].idxmax()]
    row = tables.tables(small_store, ["tiny"])["power"].iloc[0]
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


def test_handout_holds_all_it_needs(labelled_run, figures, tmp_path):
    said = export_command(labelled_run.path.parent, "tiny", "--html", "--out", tmp_path)
    assert said.exit_code == 0
    text = (tmp_path / "tiny.html").read_text()
    assert text.count("Plotly.newPlot") >= len(figures) and "How to read: " in text and "peak of H" in text
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)
