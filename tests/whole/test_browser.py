"""The dashboard in a real Chromium: pages, links, clicks, downloads, a job, trouble; nothing leaves the machine."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from urllib.parse import unquote

import pytest
from playwright.sync_api import TimeoutError

from interdash.dashboard import page as ui
from interdash.figures import catalogue
from interdash.figures.choice import Choice
from interdash.paper import handout
from interdash.queries.asking import Ask
from interdash.runs.run import Run
from tests.conftest import PATIENCE
from tests.whole.conftest import findings, opened, settled, wait_for_address

pytestmark = pytest.mark.browser
ORDERS = "document.querySelector('.st-key-order_strength .js-plotly-plot')"
LAST_BAR = """() => {
    const graph = document.querySelector('CHART .js-plotly-plot'), layout = graph._fullLayout;
    graph.scrollIntoView({block: 'center'});
    const bars = graph._fullData.filter(trace => trace.type === 'bar' && trace.customdata).pop();
    const box = graph.getBoundingClientRect(), i = bars.customdata.length - 1;
    const middle = (bars.base?.[i] ?? 0) + bars.x[i] / 2, row = layout.yaxis._categories.indexOf(bars.y[i]);
    return {x: box.x + layout.xaxis._offset + layout.xaxis.l2p(middle),
            y: box.y + layout.yaxis._offset + layout.yaxis.l2p(row), name: bars.customdata[i]};
}"""  # where the last of a chart's bars is on the screen, and the name it carries


CELL = """() => {
    const graph = document.querySelector('.st-key-order_map-all .js-plotly-plot'), layout = graph._fullLayout;
    graph.scrollIntoView({block: 'center'});
    const box = graph.getBoundingClientRect(), points = graph._fullData.at(-1), i = points.x.length - 1;
    return {x: box.x + layout.xaxis4._offset + layout.xaxis4.d2p(points.x[i]) + 9,
            y: box.y + layout.yaxis4._offset + layout.yaxis4.d2p(points.y[i]) + 5, name: points.customdata[i]};
}"""  # beside the middle of the last cell of the map of orders


@contextlib.contextmanager
def first_trace_changes(tab, chart):
    """Waits, at its end, until the first trace of a chart (JavaScript) has other values than before."""
    values = f"() => JSON.stringify(Array.from(({chart})._fullData[0].y))"
    before = tab.evaluate(values)
    yield
    tab.wait_for_function(f"before => ({values})() !== before", arg=before)


def click_in_chart(tab, place, expected):
    """Clicks a point of a chart until the address holds what is expected: the page may still move while it is drawn.

    `place` is JavaScript that returns x, y and, where `expected` needs it, a name.
    """
    for _ in range(6):
        at = tab.evaluate(place)
        tab.mouse.move(at["x"], at["y"])
        tab.wait_for_timeout(200)
        if tab.evaluate(place) != at:
            continue  # it moved meanwhile
        tab.mouse.click(at["x"], at["y"])
        with contextlib.suppress(TimeoutError):
            wait_for_address(tab, expected.format(**at), timeout=20_000)
            return at
    raise AssertionError(f"six clicks did not bring {expected} into {tab.url}")


@pytest.mark.parametrize("stem, charts", [("dynamics", 2), ("sample", 4), ("interactions", 3), ("figures", 2)])
def test_a_chart_is_drawn_once(tab, address, stem, charts):
    """Of the changes that the browser makes in one go inside a chart, one is large: the drawing."""
    tab.add_init_script(
        """window.drawn = {}
        new MutationObserver(changes => {
            const inside = changes.map(change => change.target.closest?.('[data-testid=stPlotlyChart]')?.parentElement)
            for (const chart of new Set(inside.filter(Boolean)))
                if (inside.filter(each => each === chart).length > 40) {
                    const name = chart.closest('[class*=st-key-]').className
                    drawn[name] = (drawn[name] ?? 0) + 1
                }
        }).observe(document, {subtree: true, childList: true})"""
    )
    tab.context.new_cdp_session(tab).send("Emulation.setCPUThrottlingRate", {"rate": 4})  # what moves late shows itself
    for _ in range(2):  # a page that learns late of its theme draws anew, with good reason
        opened(tab, f"{address}/{stem}?run=tiny", ui.PAGES[stem][0])
        tab.wait_for_function("charts => Object.keys(drawn).length >= charts", arg=charts)
        tab.wait_for_timeout(2000)  # for a second time
        drawn = tab.evaluate("drawn")
        if set(drawn.values()) == {1}:
            break
    assert set(drawn.values()) == {1} and len(drawn) == charts, drawn


def test_walk_from_the_first_page_which_reads_the_chart_library_ahead(tab, address):
    opened(tab, f"{address}/", "Runs")
    tab.wait_for_function("() => performance.getEntriesByType('resource').some(file => /PlotlyChart/.test(file.name))")
    for stem, title in ui.pages().items():
        tab.locator("[data-testid=stSidebar]").get_by_role("link", name=title).click()
        tab.wait_for_selector(f"h1:has-text('{title}')")
        wait_for_address(tab, f"/{stem}")
        settled(tab)


def test_deep_link(fresh_tab, address):
    tab = fresh_tab
    opened(tab, f"{address}/dynamics?run=twin&epoch=1&split=training&type=apart", "Dynamics")
    tab.wait_for_selector(".st-key-dynamics .js-plotly-plot .main-svg")
    assert "run=twin" in tab.url and "epoch=1" in tab.url
    names = tab.evaluate("document.querySelector('.st-key-dynamics .js-plotly-plot').data.map(trace => trace.name)")
    assert "H, OR" in names
    pinned = tab.evaluate("document.querySelector('.st-key-dynamics .js-plotly-plot').layout.shapes.at(-1).x0")
    assert pinned == 2  # the axis shows epoch + 1


def test_unknown_broken_and_damaged_runs_are_named(tab, address):
    opened(tab, f"{address}/dynamics?run=%3Cscript%3Ealert(1)%3C/script%3E&epoch=77", "Dynamics")
    body = tab.inner_text("body")
    assert "There is no run" in body and "The link asks for Pinned epoch" in body and findings(tab) == []
    for stem in ("runs", "dynamics"):
        opened(tab, f"{address}/{stem}?run=broken", ui.PAGES[stem][0])
        assert "run.json is damaged" in tab.inner_text("body")
    assert findings(tab) == []
    opened(tab, f"{address}/dynamics?run=spoilt", "Dynamics")
    assert "damaged" in tab.inner_text("[data-testid=stMain]")
    opened(tab, f"{address}/sample?run=spoilt", "Sample")
    tab.wait_for_selector("h3:has-text('Sample 0 at epoch 3')")
    assert "damaged" in tab.inner_text("[data-testid=stMain]")


IMAGE = "x%0A%0A![x](https://example.org/a.png)%0D%0D![x](https://example.org/b.png)"
FOLDER = "![x](u)%20%3Cimg%20src=c.png%3E"


@pytest.mark.parametrize("stem, run", [("runs", FOLDER), ("dynamics", IMAGE), ("sample", FOLDER), ("compare", IMAGE)])
def test_a_link_fetches_nothing(tab, address, root, stem, run):
    folder = root / unquote(FOLDER)
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text("{")
    others = "".join(f"&{name}={IMAGE}" for name in ("epoch", "sample", "runs", "data"))
    opened(tab, f"{address}/{stem}?run={run}{others}", ui.PAGES[stem][0])
    assert run == FOLDER or "The link asks for" in tab.inner_text("body")
    assert tab.locator("[data-testid=stMain] img[src*='example'], [data-testid=stMain] img[alt=x]").count() == 0
    shutil.rmtree(folder)  # the fixture asserts that no request has left


@pytest.mark.parametrize(
    "link, shown",
    [
        ("sample?run=twin&epoch=1&sample=7&interaction=or-3&view=Faithfulness", "Sample 7 at epoch 1"),
        (
            "compare?runs=twin&runs=tiny&a=tiny&b=twin&epoch_a=1&number=5&by=phase",
            "The generalizable share (H) peaks in twin",
        ),
        ("removal?run=twin&epoch=1&order=2&dose=50&view=Share+and+gap", "Epoch 1: "),
    ],
)
def test_deep_links_keep_what_they_say(tab, address, link, shown):
    stem, _, query = link.partition("?")
    opened(tab, f"{address}/{link}", ui.PAGES[stem][0])
    tab.wait_for_selector(f"h3:has-text('{shown}')")
    assert set(query.split("&")) <= set(tab.url.partition("?")[2].split("&"))
    assert "The link asks" not in tab.inner_text("body")


def test_a_row_of_the_list_opens_a_run_until_another_is_clicked(tab, address):
    opened(tab, f"{address}/runs?sort=name&label=all+classes", "Runs")  # broken, spoilt, tiny, twin
    rows = tab.locator("[class*=st-key-list-of-runs] .dvn-scroller").first
    rows.click(position={"x": 300, "y": 35 + 3 * 35 + 17})  # any cell of the row
    wait_for_address(tab, "run=twin")
    tab.wait_for_selector("h3:has-text('twin')")
    settled(tab)
    tab.keyboard.press("ArrowUp")
    wait_for_address(tab, "run=tiny")
    settled(tab)
    for row in (2, 3):  # ticks are for comparing
        rows.click(position={"x": 16, "y": 35 + row * 35 + 17})
        wait_for_address(tab, f"runs={('tiny', 'twin')[row - 2]}")
        settled(tab)
    tab.get_by_role("link", name="Compare tiny, twin").wait_for()
    tab.locator(".st-key-q input").fill("twin")
    tab.locator(".st-key-q input").press("Enter")
    tab.wait_for_selector("text=The run that the link asks for is not in this list.")
    rows.click(position={"x": 300, "y": 35 + 17})
    tab.wait_for_selector("h3:has-text('twin')")


def test_back_leaves_a_page_with_one_press(tab, address):
    """Each page is one entry of the history, its last address, with nothing of the page before."""
    opened(tab, f"{address}/dynamics?run=tiny&view=Six+epochs", "Dynamics")
    entries, addresses = tab.evaluate("history.length"), []
    for title in ("Sample", "Removal", "Compare"):
        addresses.append(tab.url)
        tab.locator("[data-testid=stSidebar]").get_by_role("link", name=title).click()
        tab.wait_for_selector(f"h1:has-text('{title}')")
        settled(tab)
        if title == "Removal":
            tab.get_by_role("tab", name="Samples").click()
            wait_for_address(tab, "view=Samples")
            settled(tab)
    assert tab.evaluate("history.length") == entries + 3
    assert "view" not in addresses[1] and "runs=" not in addresses[2] and "epoch=3" in addresses[2]
    for title, says in (("Removal", "view=Samples"), ("Sample", "epoch=3"), ("Dynamics", "epoch=3")):
        tab.go_back(wait_until="commit")
        tab.wait_for_selector(f"h1:has-text('{title}')")
        wait_for_address(tab, says)
        settled(tab)


def test_pages_turned_one_after_the_other_show_what_their_address_says(tab, address):
    """Also where no page ran twice, so that Streamlit still has the values of the page before under the same keys."""
    opened(tab, f"{address}/dynamics?run=twin&epoch=1&split=training&type=AND&axis=linear", "Dynamics")
    for title in ("Interactions", "Sample", "Dynamics", "Removal", "Theories", "Figures", "Dynamics"):
        tab.locator("[data-testid=stSidebar]").get_by_role("link", name=title).dblclick()  # which is one click
        tab.wait_for_selector(f"h1:has-text('{title}')")
        settled(tab)
        chosen = {"chosen_run": "twin", "split": "training", "type": "AND"}
        if title in ("Sample", "Removal", "Theories"):  # where they are in a tab, or not at all
            chosen = {"chosen_run": "twin"}
        for key, value in chosen.items():
            assert tab.locator(f".st-key-{key} input").input_value() == value, (title, key)
        if title != "Figures":  # whose figures, until others are picked, are of no one epoch
            epoch = tab.locator(".st-key-epoch input[type=range]").first
            assert epoch.get_attribute("aria-valuetext") == "1", title
        assert all(part in tab.url for part in ("run=twin", "epoch=1", "split=training", "type=AND")), (title, tab.url)


def test_dynamics_is_played_and_scrubbed_in_the_browser_saved_and_pinned(tab, address, tmp_path):
    opened(tab, f"{address}/dynamics?run=tiny&epoch=0&view=Orders at one epoch", "Dynamics")
    chart = tab.locator(".st-key-order_strength .js-plotly-plot")
    chart.scroll_into_view_if_needed()
    tab.wait_for_selector(".st-key-order_strength .slider-rail-touch-rect")
    settled(tab)
    chart.locator(".slider-rail-touch-rect").scroll_into_view_if_needed()
    with first_trace_changes(tab, ORDERS):
        chart.locator(".updatemenu-button").first.click()
    tab.wait_for_function(f"() => {ORDERS}._fullLayout.sliders[0].active === 2")  # played to the last of three epochs
    rail = chart.locator(".slider-rail-touch-rect").bounding_box()
    with first_trace_changes(tab, ORDERS):
        tab.mouse.click(rail["x"] + 2, rail["y"] + rail["height"] / 2)
    wait_for_address(tab, "epoch=0")  # one epoch for all of the page
    settled(tab)
    tab.get_by_role("tab", name="Order × epoch").click()
    tab.wait_for_selector(".st-key-order_map-all .js-plotly-plot .main-svg")
    click_in_chart(tab, CELL, "epoch={name}")
    settled(tab)
    tab.get_by_role("tab", name="Losses and strengths").click()
    tab.locator(".st-key-dynamics .js-plotly-plot").hover()
    with tab.expect_download() as waiting:
        tab.locator(".st-key-dynamics .modebar-btn[data-title*='Download']").first.click()
    waiting.value.save_as(tmp_path / "chart.svg")
    assert "<svg" in (tmp_path / "chart.svg").read_text()[:300] and waiting.value.suggested_filename == "dynamics.svg"
    place = """() => {
        const graph = document.querySelector('.st-key-dynamics .js-plotly-plot'), layout = graph._fullLayout;
        graph.scrollIntoView({block: 'end'});
        const box = graph.getBoundingClientRect(), columns = graph._fullData.at(-1);
        return {x: box.x + layout.xaxis._offset + layout.xaxis.d2p(columns.x[1]),
                y: box.y + layout.yaxis3._offset + 5};
    }"""  # far from any point, in the column of epoch 1
    click_in_chart(tab, place, "epoch=1")
    settled(tab)


def test_download(tab, address, tmp_path):
    import pandas as pd

    opened(tab, f"{address}/dynamics?run=tiny", "Dynamics")
    tab.get_by_role("tab", name="Six epochs").click()
    tab.wait_for_url("**view=Six*")
    rows = tab.locator(".st-key-below-order_strength_row").get_by_text("Rows")
    rows.wait_for()
    settled(tab)  # a page that is made anew under a press loses it
    rows.click()
    for kind, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        button = tab.locator(f".st-key-{kind}-order_strength_row-orders button")
        button.wait_for()
        settled(tab)
        for _ in range(3):  # a button that is drawn anew between press and release downloads nothing
            with contextlib.suppress(TimeoutError), tab.expect_download(timeout=20_000) as waiting:
                button.click()
                break
        waiting.value.save_as(tmp_path / kind)
        rows = read(tmp_path / kind)
        assert rows["epoch"].tolist()[0] == 0 and "generalizable_positive" in rows


def test_job_survives_a_reload(tab, address, root):
    opened(tab, f"{address}/runs", "Runs")
    tab.get_by_text("Start a built-in run").click()
    preset = tab.locator(".st-key-new-preset input")
    for _ in range(6):  # a list closes as the page moves under it
        with contextlib.suppress(TimeoutError):
            preset.click(timeout=10_000)
            preset.fill("digits:", timeout=10_000)
            tab.wait_for_function("() => document.querySelectorAll('[role=option]').length === 1", timeout=10_000)
            tab.locator("[role=option]").click(timeout=10_000)
            tab.locator(".st-key-new-epochs-digits input").wait_for(timeout=10_000)
            break
    tab.locator(".st-key-new-epochs-digits input").fill("10000")  # it goes on until it is cancelled
    tab.locator(".st-key-new-name input").fill("fromform")
    tab.get_by_role("button", name="Start", exact=True).click()
    wait_for_address(tab, "job=")
    tab.reload()
    tab.wait_for_selector("text=built-in run fromform")
    job = f".st-key-job-{tab.url.rpartition('job=')[2]}"
    tab.wait_for_selector(f"{job}:has-text('step 1 of 3, train: training')")
    tab.locator(job).get_by_role("button", name="Cancel").click()
    tab.wait_for_selector(f"{job}:has-text('· cancelled')")
    settled(tab)
    run = Run.open(root, "fromform")
    assert run.config.training.epochs == 10_000 and run.checkpoint_epochs("target")[:2] == [0, 1]
    shutil.rmtree(run.path)


def test_cancel_and_go_on(tab, address, root):
    shutil.rmtree(next((root / "twin" / "labels").glob("target-00001-*")))
    Run.open(root, "twin").update(summary=None)  # else it is ready, and there is nothing to extract
    opened(tab, f"{address}/runs?run=twin", "Runs")
    tab.get_by_role("button", name="Extract what is missing").click()
    wait_for_address(tab, "job=")
    folder = root / ".jobs" / tab.url.rpartition("job=")[2]
    group = json.loads((folder / "process.json").read_text())["pid"]
    os.killpg(group, signal.SIGSTOP)  # however late Cancel is pressed, there is something left to do
    tab.get_by_role("button", name="Cancel").click()
    deadline = time.monotonic() + PATIENCE
    while not (folder / "cancelled").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(group, signal.SIGCONT)
    tab.wait_for_selector("text=· cancelled")
    settled(tab)
    cancelled, button = tab.url, tab.locator(f".st-key-job-{folder.name}").get_by_role("button", name="Go on")
    button.click()
    tab.wait_for_function("before => location.href !== before && location.href.includes('job=')", arg=cancelled)
    job = tab.url.rpartition("job=")[2]
    tab.wait_for_selector(f".st-key-job-{job}:has-text('· done')")  # this one: earlier jobs on the page are done too
    button.wait_for(state="detached")  # it has been gone on with
    settled(tab)


def test_click_in_the_gallery(tab, address):
    opened(tab, f"{address}/sample?run=tiny", "Sample")
    images = tab.locator(".st-key-gallery button")
    images.nth(59).wait_for()
    assert images.nth(0).get_attribute("aria-pressed") == "true"
    images.nth(5).click()
    wait_for_address(tab, "sample=5")
    tab.wait_for_selector("h3:has-text('Sample 5 at epoch 3')")
    assert [i for i in range(60) if images.nth(i).get_attribute("aria-pressed") == "true"] == [5]
    images.nth(6).focus()  # also by keyboard
    images.nth(6).press("Enter")
    tab.wait_for_selector("h3:has-text('Sample 6 at epoch 3')")
    assert "wrong" in {images.nth(i).get_attribute("class") for i in range(60)}
    assert "label" in (images.nth(0).get_attribute("aria-label") or "")


def test_click_in_the_waterfall(tab, address):
    opened(tab, f"{address}/sample?run=tiny&sample=2", "Sample")
    tab.wait_for_selector(".st-key-waterfall .js-plotly-plot .main-svg")
    click_in_chart(tab, LAST_BAR.replace("CHART", ".st-key-waterfall"), "interaction={name}")
    settled(tab)


def test_click_lights_an_interaction_and_keys_go_on(tab, address):
    opened(tab, f"{address}/sample?run=tiny&epoch=3", "Sample")
    tab.wait_for_selector(".st-key-interactions .js-plotly-plot .main-svg")
    place = click_in_chart(tab, LAST_BAR.replace("CHART", ".st-key-interactions"), "interaction={name}")
    settled(tab)
    tab.keyboard.press("n")
    wait_for_address(tab, "sample=1")
    tab.wait_for_selector("h3:has-text('Sample 1 at epoch 3')")
    assert f"interaction={place['name']}" in tab.url


def test_figures_are_seen_and_saved_at_true_size(tab, address, tmp_path):
    opened(tab, f"{address}/figures?run=tiny&venue=icml-column&figure=waterfall", "Figures")
    chart = tab.locator("[class*=st-key-preview-waterfall] .js-plotly-plot .main-svg").first
    chart.wait_for()
    assert round(chart.bounding_box()["width"]) == 312  # 3.25 inches
    with tab.expect_download() as download:
        tab.get_by_role("button", name="PDF", exact=True).click()
    path = tmp_path / "waterfall.pdf"
    download.value.save_as(path)
    assert download.value.suggested_filename == "tiny-waterfall-sample0-epoch3.pdf"
    said = subprocess.run(["pdfinfo", str(path)], check=True, capture_output=True, text=True).stdout
    width = float(said.partition("Page size:")[2].split()[0])
    assert abs(width - 3.25 * 72) <= 0.5


def test_report_of_a_run_opens_without_network(browser, small_store, labelled_run, tmp_path):
    path = tmp_path / "tiny.html"
    path.write_bytes(handout.handout(small_store, labelled_run))
    context = browser.new_context(offline=True)
    context.set_default_timeout(PATIENCE * 1000)
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_function(
        "count => document.querySelectorAll('.js-plotly-plot .main-svg:first-child').length >= count",
        arg=len(catalogue.names(Ask(labelled_run, small_store), Choice())), timeout=PATIENCE,
    )  # fmt: skip
    chart = page.locator(".js-plotly-plot", has=page.locator(".slider-rail-touch-rect")).first
    rail = chart.locator(".slider-rail-touch-rect")
    rail.scroll_into_view_if_needed()
    box, charts = rail.bounding_box(), "[...document.querySelectorAll('.js-plotly-plot')]"
    with first_trace_changes(page, f"{charts}.find(chart => chart.querySelector('.slider-rail-touch-rect'))"):
        page.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)
    context.close()
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()] and not errors
