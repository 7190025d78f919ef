"""Every page in light and dark: what axe finds, and what a keyboard reaches."""

from pathlib import Path

import axe_playwright_python
import pytest

from interdash.dashboard import page
from tests.whole.test_browser import address, chromium, opened, root, serving, settled, tab, wait_for_address, window  # noqa: F401

pytestmark = pytest.mark.browser
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
GRAVE = ("serious", "critical")
POPOVERS = {  # buttons of a page that open more, beside "How to read" and "Rows"
    "runs": ("Settings",),
    "dynamics": ("Move a boundary", "Third phase from", "Rows"),
    "sample": ("Filters", "Interactions", "Details"),
    "removal": ("More numbers",),
}


def findings(tab, waits=(0, 1500, 6000), within="html"):  # noqa: F811
    """Returns what axe calls serious or critical, of a page at rest or a part of it: rule, element, reason.

    It looks again after each wait: text fades in, and colours change in a transition when a page learns it is dark.
    """
    settled(tab)
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(AXE)
    grave = []
    for wait in waits:
        tab.wait_for_timeout(wait)
        report = tab.locator(within).first.evaluate("part => axe.run(part, {resultTypes: ['violations']})")
        assert report["passes"], "axe looked at nothing"
        grave = [
            (rule["id"], node["html"][:200], node["failureSummary"])
            for rule in report["violations"]
            if rule["impact"] in GRAVE
            for node in rule["nodes"]
        ]
        if not grave:
            break
    return grave


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("stem", sorted(page.pages()))
def test_page(tab, address, stem, scheme):  # noqa: F811
    """Whole, no wider than the window, and without a grave finding."""
    tab.emulate_media(color_scheme=scheme)
    opened(tab, f"{address}/{stem}?run=tiny&runs=tiny&runs=twin", page.PAGES[stem][0])
    if stem == "runs":
        tab.get_by_text("Start a built-in run").click()  # a form with a primary button
        tab.wait_for_selector(".st-key-new-preset")
    else:
        tab.wait_for_selector("iframe, img" if stem == "help" else ".js-plotly-plot .main-svg")
    assert "Could not" not in tab.inner_text("body")
    wide = "[...document.querySelectorAll('html, [data-testid=stMain]')].map(e => e.scrollWidth - e.clientWidth)"
    assert max(tab.evaluate(wide)) <= 0  # nothing to scroll sideways at 1280 pixels
    assert findings(tab) == []
    for name in ("How to read", *(POPOVERS.get(stem, ()) if scheme == "light" else ())):
        if (button := tab.locator("[data-testid=stMain]").get_by_role("button", name=name)).count():
            button.first.click()
            tab.wait_for_selector("[data-testid=stPopoverBody]")
            assert findings(tab, within="[data-testid=stPopoverBody]") == [], name
            tab.keyboard.press("Escape")
            tab.wait_for_selector("[data-testid=stPopoverBody]", state="detached")


@pytest.mark.parametrize("stem", ["dynamics", "removal", "sample", "interactions"])
def test_every_section_opens(tab, address, stem):  # noqa: F811
    """The sections below the main chart that are closed when the page opens, and what axe finds there."""
    opened(tab, f"{address}/{stem}?run=tiny", page.PAGES[stem][0])
    names = tab.locator("[data-testid=stMain] [role=tab]").all_inner_texts()
    assert len(names) > 1
    for name in names[1:]:
        tab.get_by_role("tab", name=name, exact=True).click()
        wait_for_address(tab, f"view={name.split()[0]}")
        settled(tab)
        panel = tab.locator("[role=tabpanel]:visible")
        panel.locator(".js-plotly-plot .main-svg, [data-testid=stAlert]").first.wait_for()
        assert findings(tab, within="[role=tabpanel]:visible") == [], name


def test_axe_of_two_samples_and_of_the_list_of_sorts(tab, address):  # noqa: F811
    opened(tab, f"{address}/sample?run=tiny&sample=3&pin=6-1", "Sample")
    tab.wait_for_selector(".st-key-pair-both .js-plotly-plot .main-svg")
    tab.locator(".st-key-sort input").click()
    tab.wait_for_selector("[role=listbox]")
    assert findings(tab) == []


def test_what_pages_list_is_chosen_by_keyboard(tab, address):  # noqa: F811
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


def test_axe_of_an_empty_root(tab, tmp_path):  # noqa: F811
    with serving(tmp_path) as empty:
        opened(tab, f"{empty}/runs", "Runs")
        tab.wait_for_selector("text=See it on real data")
        assert findings(tab) == []


@pytest.mark.parametrize("run", ["broken", "unknown"])
def test_axe_of_an_error(tab, address, run):  # noqa: F811
    opened(tab, f"{address}/dynamics?run={run}", "Dynamics")
    tab.wait_for_selector("[data-testid=stAlert]")
    assert findings(tab) == []


def test_axe_finds_what_is_wrong(tab, address):  # noqa: F811
    opened(tab, f"{address}/runs", "Runs")
    tab.evaluate("document.querySelector('h1').insertAdjacentHTML('afterend', '<p style=\"color:#ddd\">pale</p><img>')")
    tab.evaluate("document.querySelector('h1 + p').style.background = '#fff'")
    assert {"color-contrast", "image-alt"} <= {rule for rule, _, _ in findings(tab, waits=(0,))}


def test_keyboard_reaches_pages_and_controls(tab, address):  # noqa: F811
    """Tab alone comes to the sidebar's links and to a chart's buttons; each shows its focus; Enter opens a page."""
    opened(tab, f"{address}/dynamics?run=tiny", "Dynamics")
    reached, unseen = set(), set()
    for _ in range(80):
        tab.keyboard.press("Tab")
        for wait in (60, 600, 6000):  # the ring is drawn after a transition, later on a busy machine
            tab.wait_for_timeout(wait)
            name, ring = tab.evaluate(
                """() => {
                    const at = document.activeElement;
                    const name = (at.innerText || at.getAttribute('aria-label') || at.tagName).trim();
                    const style = getComputedStyle(at);
                    return [name, at === document.body || style.outlineStyle !== 'none' || style.boxShadow !== 'none'];
                }"""
            )
            if ring:
                break
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
