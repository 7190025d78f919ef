"""Every page in light and dark: what axe finds, and what a keyboard reaches."""

from contextlib import suppress

import pytest
from playwright.sync_api import TimeoutError

from interdash.dashboard import page
from interdash.figures import theme
from tests.whole.conftest import WINDOW, findings, opened, serving, settled, wait_for_address

pytestmark = pytest.mark.browser
POPOVERS = {  # buttons of a page that open more, beside "How to read" and "Rows"
    "runs": ("Settings",),
    "dynamics": ("Move a boundary", "Third phase from", "Rows"),
    "sample": ("Filters", "Interactions", "Details"),
    "removal": ("More numbers",),
}
FIRST = {  # the chart that a page opens with
    "dynamics": "flows-all",
    "interactions": "strongest_patterns",
    "sample": "interactions",
    "removal": "gap_changes",
}


@pytest.mark.parametrize("stem", sorted(page.pages()))
def test_page(tab, address, stem):
    """Whole, no wider than the window, and without a grave finding: light, in its pop-overs and sections, and dark.

    On a larger screen, the finding, the picture that shows it and its caption are seen at once.
    """
    if chart := FIRST.get(stem):
        tab.set_viewport_size({"width": 1440, "height": 900})
    opened(tab, f"{address}/{stem}?run=tiny&runs=tiny&runs=twin", page.PAGES[stem][0])
    if stem == "runs":
        tab.get_by_text("Start a built-in run").click()  # a form with a primary button
        tab.wait_for_selector(".st-key-new-preset")
    else:
        tab.wait_for_selector("iframe, img" if stem == "help" else ".js-plotly-plot .main-svg")
    for place in (".st-key-finding h3", f".st-key-{chart} .js-plotly-plot", f".st-key-below-{chart}") if chart else ():
        box = tab.locator(place).first.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 900, place
    tab.set_viewport_size(WINDOW["viewport"])
    if stem == "figures":
        tab.locator(".st-key-picker img").nth(2).wait_for()  # the first of its pictures
    assert "Could not" not in tab.inner_text("body")
    parts = "[...document.querySelectorAll('html, [data-testid=stMain]')]"
    tab.wait_for_function(f"() => {parts}.every(e => e.scrollWidth <= e.clientWidth)")  # nothing to scroll sideways
    assert findings(tab) == []
    show(tab, "dark")
    assert findings(tab) == []
    pop_overs(tab, "How to read")
    show(tab, "light")
    pop_overs(tab, "How to read", *POPOVERS.get(stem, ()))
    if chart:
        sections(tab)


def show(tab, scheme):
    """Makes the browser's theme light or dark; the page and its charts follow, but not figures as they are printed."""
    tab.emulate_media(color_scheme=scheme)
    tab.wait_for_function(
        """([paper, page]) => [...document.querySelectorAll('.js-plotly-plot:not([class*=preview] *)')].every(
            chart => chart.layout.paper_bgcolor === paper) &&
            getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor === page""",
        arg=[theme.INKS[scheme == "dark"][1], {"dark": "rgb(14, 17, 23)", "light": "rgb(255, 255, 255)"}[scheme]],
    )
    settled(tab)


def pop_overs(tab, *names):
    """Opens what these buttons of a page open, and looks at it."""
    for name in names:
        if (button := tab.locator("[data-testid=stMain]").get_by_role("button", name=name)).count():
            button.first.click()
            tab.wait_for_selector("[data-testid=stPopoverBody]")
            assert findings(tab, within="[data-testid=stPopoverBody]") == [], name
            tab.keyboard.press("Escape")
            tab.wait_for_selector("[data-testid=stPopoverBody]", state="detached")


def sections(tab):
    """Opens the sections below the main chart that are closed when the page opens, and looks at each."""
    names = tab.locator("[data-testid=stMain] [role=tab]").all_inner_texts()
    assert len(names) > 1
    for name in names[1:]:
        tab.get_by_role("tab", name=name, exact=True).click()
        wait_for_address(tab, f"view={name.split()[0]}")
        settled(tab)
        panel = tab.locator("[role=tabpanel]:visible")
        panel.locator(".js-plotly-plot .main-svg, [data-testid=stAlert]").first.wait_for()
        assert findings(tab, within="[role=tabpanel]:visible") == [], name


def test_axe_of_two_samples_and_of_the_list_of_sorts(tab, address):
    opened(tab, f"{address}/sample?run=tiny&sample=3&pin=6-1", "Sample")
    tab.wait_for_selector(".st-key-pair-both .js-plotly-plot .main-svg")
    tab.locator(".st-key-sort input").click()
    tab.wait_for_selector("[role=listbox]")
    assert findings(tab) == []


def test_what_pages_list_is_chosen_by_keyboard(tab, address):
    opened(tab, f"{address}/sample?run=tiny&epoch=3", "Sample")
    tab.locator(".st-key-sort input").focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        tab.keyboard.press(key)
    wait_for_address(tab, "sort=")
    tab.get_by_role("button", name="Interactions").focus()
    tab.keyboard.press("Enter")
    tab.locator(".st-key-interaction input").focus()
    tab.keyboard.type("AND {0, 2}")
    tab.keyboard.press("Enter")
    wait_for_address(tab, "interaction=AND")
    tab.wait_for_selector("h5:has-text('AND {0, 2}')")
    opened(tab, f"{address}/interactions?run=tiny&epoch=3", "Interactions")
    tab.locator(".st-key-where input").focus()
    tab.keyboard.type("samples >= 3")
    tab.keyboard.press("Enter")
    wait_for_address(tab, "where=samples")
    settled(tab)
    tab.locator(".st-key-patterns canvas").first.focus()
    tab.keyboard.press("ArrowDown")
    wait_for_address(tab, "pattern=")
    opened(tab, f"{address}/removal?run=tiny&epoch=3&view=Samples", "Removal")
    tab.get_by_role("tab", name="Samples").focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    wait_for_address(tab, "view=Share")
    opened(tab, f"{address}/runs", "Runs")
    tab.get_by_role("radio", name="settings, over seeds").focus()
    tab.keyboard.press("Enter")
    wait_for_address(tab, "list=settings")


def test_axe_of_an_empty_root(tab, tmp_path):
    with serving(tmp_path) as empty:
        opened(tab, f"{empty}/runs", "Runs")
        tab.wait_for_selector("text=See it on real data")
        assert findings(tab) == []


def test_axe_finds_what_is_wrong(tab, address):
    opened(tab, f"{address}/runs", "Runs")
    tab.evaluate("document.querySelector('h1').insertAdjacentHTML('afterend', '<p style=\"color:#ddd\">pale</p><img>')")
    tab.evaluate("document.querySelector('h1 + p').style.background = '#fff'")
    assert {"color-contrast", "image-alt"} <= {rule for rule, _, _ in findings(tab, waits=(0,))}


FOCUS = """() => {
    const at = document.activeElement;
    const name = (at.innerText || at.getAttribute('aria-label') || at.tagName).trim();
    const style = getComputedStyle(at);
    return [name, at === document.body || style.outlineStyle !== 'none' || style.boxShadow !== 'none'];
}"""  # the name of what has the focus, and whether it shows it


def test_keyboard_reaches_pages_and_controls(tab, address):
    """Tab alone comes to the sidebar's links and to a chart's buttons; each shows its focus; Enter opens a page."""
    opened(tab, f"{address}/dynamics?run=tiny", "Dynamics")
    reached, unseen = set(), set()
    for _ in range(80):
        tab.keyboard.press("Tab")
        with suppress(TimeoutError):  # the ring is drawn after a transition, later on a busy machine
            tab.wait_for_function(f"() => ({FOCUS})()[1]", timeout=6000)
        name, ring = tab.evaluate(FOCUS)
        reached.update(name.split("\n"))  # an icon is a word of its own
        if not ring:
            unseen.add(name)
    assert {"Removal", "Compare"} <= reached and any("How to read" in name for name in reached)
    assert not unseen
    link = tab.locator("[data-testid=stSidebar]").get_by_role("link", name="Compare")
    link.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_selector("h1:has-text('Compare')")
    settled(tab)
