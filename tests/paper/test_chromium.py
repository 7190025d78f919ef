"""One Chromium draws figures for all who ask: each its own, started again when it dies, asking nobody for anything."""

import asyncio
import io
import os
import re
import select
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import plotly.graph_objects as go
import psutil
import pytest
from PIL import Image

from interdash.dashboard import page as ui
from interdash.paper import bundle, venues
from interdash.paper import chromium as export
from tests.conftest import PATIENCE


def simple(title):
    return go.Figure(layout={"width": 300, "height": 200, "title": {"text": title}})


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


def test_what_chromium_leaves_half_said_at_its_end_is_no_traceback(chromium, monkeypatch, caplog):
    export.render(simple("last"), "svg")
    channel = export._browser._kaleido._channel
    os.write(channel._write_from_browser, b'{"half": ')  # so that its answer to the farewell is no message either
    while select.select([channel._read_from_browser], [], [], 0)[0]:
        time.sleep(0.01)
    monkeypatch.setattr(export, "FAREWELL", 0.5)
    export.close()
    assert channel.shutdown_lock.locked() and not chromiums() and not caplog.records


def test_a_chromium_that_does_not_end_is_killed(chromium, monkeypatch):
    export.render(simple("last"), "svg")
    kept = export._browser._kaleido

    async def stuck():
        monkeypatch.undo()
        raise TimeoutError

    monkeypatch.setattr(kept, "close", stuck)
    export.close()
    kept.subprocess.wait(PATIENCE)


def chromiums():
    return [child for child in psutil.Process().children(recursive=True) if "chrom" in child.name()]


def test_killed_while_it_draws_the_figure_is_drawn_all_the_same(chromium, monkeypatch):
    export.render(simple("before"), "svg")
    kept = export._browser._kaleido
    draw = kept.draw

    async def killed(*arguments):
        for child in chromiums():
            child.kill()
        return await draw(*arguments)

    monkeypatch.setattr(kept, "draw", killed)
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
        patch.setattr(export._browser._kaleido, "draw", slow)
        patch.setattr(export, "PATIENCE", 0.2)
        with pytest.raises(RuntimeError, match=r"was not drawn within 0.2 s; draw fewer at once"):
            export.render(simple("slow"), "svg")
    assert b">later<" in export.render(simple("later"), "svg")


def test_closing_waits_for_its_turn_and_for_good_is_for_good(chromium):
    browser = export._Browser()
    options = (300, 200, 1), ["svg"]
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(browser.ask, simple(f"number {i}").to_dict(), *options) for i in range(4)]
        browser.close()
        assert all(f">number {i}<".encode() in one.result()["svg"] for i, one in enumerate(asked))
    browser.close(for_good=True)
    with pytest.raises(RuntimeError, match="the program ends"):
        browser.ask(simple("late").to_dict(), *options)


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
    export.start()  # nothing to wait for: what is missing is said when a figure is asked for
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


def test_a_font_that_is_no_truetype_is_named(monkeypatch, tmp_path):
    (tmp_path / "fc-list").write_text('#!/bin/sh\ncase "$1" in *fontformat*) ;; *) echo "/usr/x.otf: X" ;; esac\n')
    (tmp_path / "fc-list").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "font 'X' is not TrueType: PDF holds it as Type 3, which venues refuse" in export.missing_font("X")


def test_missing_font_is_named():
    if shutil.which("fc-list") is None:
        pytest.fail("fc-list is missing; install it with `apt-get install --no-install-recommends fontconfig`")
    assert "font 'No Such Font' is not installed" in export.missing_font("No Such Font")
    assert export.missing_font(venues.SERIF) == ""


def test_the_same_figure_is_the_same_file_in_any_chromium_with_or_without_other_formats(chromium, figures, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    figure = bundle.printed(figures["dynamics"], venues.venue("icml-column"))
    alone = {form: export.render(figure, form, title="tiny (of ∅) dynamics") for form in export.FORMATS}
    export.close()
    first, second = (export.drawn(figure, ["png", "html", "pdf", "svg"], title="tiny (of ∅) dynamics") for _ in "12")
    assert first == second == alone
    assert b"/Title (tiny ?of ?? dynamics)" in first["pdf"] and first["pdf"].count(b"(D:20260101000000+00'00')") == 2
    assert first["pdf"].count(b"/Type /Page\n") == 1
    with pytest.raises(RuntimeError, match="failed twice to draw the figure: Error: Height and width should be pixel"):
        export._browser.ask(figure.to_dict(), (0, 0, 1), ["png"])


def test_a_date_that_is_none_is_named(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    with pytest.raises(ValueError, match="SOURCE_DATE_EPOCH is 'today', which is no number of seconds; set it as in"):
        export.now()


def test_a_pdf_fills_its_page_to_the_edge(chromium, tmp_path):
    """What is drawn is as large as it says: Chromium would shrink it into margins of its own."""
    red = {"paper_bgcolor": "#ff0000", "plot_bgcolor": "#ff0000", "xaxis": {"visible": False}}
    figure = go.Figure(layout={"width": 96, "height": 48, "yaxis": {"visible": False}} | red)
    (tmp_path / "red.pdf").write_bytes(export.render(figure, "pdf"))
    subprocess.run(["pdftoppm", "-r", "96", "-png", "-singlefile", "red.pdf", "red"], cwd=tmp_path, check=True)
    picture = Image.open(tmp_path / "red.png").convert("RGB")
    assert picture.size == (96, 48) and {picture.getpixel(at) for at in ((1, 1), (94, 46))} == {(255, 0, 0)}


@pytest.mark.parametrize("form", ["svg", "png"])
def test_nothing_stands_behind_a_transparent_figure(form, chromium, figures):
    plain, clear = (
        export.render(bundle.printed(figures["waterfall"], venues.venue("icml-column", transparent=on)), form, dpi=96)
        for on in (False, True)
    )
    if form == "svg":
        assert b"rgb(255, 255, 255); fill-opacity: 1" in plain and b"rgb(255, 255, 255); fill-opacity: 1" not in clear
    else:
        corners = [Image.open(io.BytesIO(content)).convert("RGBA").getpixel((0, 0))[3] for content in (plain, clear)]
        assert corners == [255, 0]
