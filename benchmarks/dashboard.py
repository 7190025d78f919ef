"""Measures the dashboard as its users see it, in a real browser. Writes benchmarks/results/dashboard.json.

    python -m benchmarks.dashboard default data/runs/mnist data/runs/digits   the demo; a second run for Compare
    python -m benchmarks.dashboard big BIG data/runs/mnist                    BIG is made by benchmarks.big_run
    python -m benchmarks.dashboard sessions data/runs/mnist data/runs/digits  ten sessions at once
    python -m benchmarks.dashboard charts data/runs/mnist                     each chart alone, in every tab

`default` and `big` start the server anew for every repetition, load the first page, click through the others, and use
their widgets, each with values that no cache holds yet. A page counts as there when the script has ended, every chart
is drawn, and nothing that is seen has changed for 0.3 s (which are not counted): a table keeps a copy of its cells for
screen readers in its canvas, and renews it 0.2 s after it is drawn. The next action comes two seconds later, as a
reader looks first, in which the page reads ahead what is one press away. Browser and server share the machine; so
every round measures `benchmarks/smallest_page.py` too, a page of one chart and one slider, and the results hold each
time as a multiple of its rerun (or of its first page). `sessions` has ten sessions click through all pages and widgets,
with pauses like a reader's: one in the browser, nine without drawing (see `benchmarks.sessions`), for ten browsers
would share the machine with the server. `charts` says when each chart was drawn after the click that shows it: on a
page (beside the bar of a next page) and in a tab of it (beside that of a rerun).
"""

import argparse
import asyncio
import json
import os
import platform
import random
import re
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Browser, Error, Page, async_playwright

from benchmarks.server import HOME, Server, serving
from benchmarks.sessions import Client
from interdash.figures import catalogue

RESULTS = HOME / "benchmarks" / "results" / "dashboard.json"
PAGES = {
    "dynamics": "Dynamics",
    "sample": "Sample",
    "interactions": "Interactions",
    "removal": "Removal",
    "theories": "Theories",
    "compare": "Compare",
    "figures": "Figures",
    "help": "Help",
}
BARS = {"first page": 5.0, "next page": 1.2, "rerun": 0.5}  # seconds, medians; twice these for the big run
REFERENCES = {"first page": "first page", "next page": "rerun", "rerun": "rerun"}  # of the smallest page
SMALLEST = {"first page": 2.3, "rerun": 0.107}  # seconds, on the machine of these bars; a slower one has higher bars
LOOK = 2  # seconds between two actions
BAR_OF_BIG_GIB, BAR_OF_SESSIONS = 1.5, 2.0
CHROMIUM = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
WATCH = """
    window.watch = {last: 0, start: 0, ran: false, each: false, charts: {}};
    const unseen = ({target, type}) =>
        target.parentElement?.closest('canvas') || (type === 'childList' && target.nodeName === 'CANVAS');
    new MutationObserver(changes => {  // thousands as a chart is drawn: what is done for each delays the page
        const app = document.querySelector('[data-testid=stApp]');
        if (!changes.every(unseen)) watch.last = performance.now();
        for (const {target} of watch.each ? changes : []) {
            const key = target.closest?.('.stPlotlyChart')?.closest('[class*=st-key-]')?.className;
            if (key) watch.charts[key.match(/st-key-(\\S+)/)[1]] = watch.last;
        }
        if (app && app.dataset.testScriptState === 'running') watch.ran = true;
    }).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
    for (const kind of ['pointerdown', 'keydown'])  // the last: a list is opened before its option
        document.addEventListener(kind, () => { watch.start = performance.now(); watch.ran = false; }, true);
"""
QUIET = """([title, patience]) => {
    const app = document.querySelector('[data-testid=stApp]'), now = performance.now();
    const heading = document.querySelector('[data-testid=stMain] h1');
    return app && app.dataset.testScriptState === 'notRunning' && now - watch.last > 300
        && (watch.ran || now - watch.start > patience) && heading && heading.innerText.startsWith(title)
        && !document.querySelector('[data-stale=true], [data-testid=stSpinner], [data-testid=stSkeleton]')
        && [...document.querySelectorAll('.stPlotlyChart')].every(chart => chart.querySelector('.main-svg'));
}"""
CHARTS = """() => Object.fromEntries(Object.entries(watch.charts)
    .filter(([key]) => document.querySelector(`.st-key-${key} .stPlotlyChart`))
    .map(([key, time]) => [key, (time - watch.start) / 1000]))"""
TROUBLE = """() => [...document.querySelectorAll(
    '[data-testid=stException], [data-testid=stAlertContentError], [data-testid=stAlertContentWarning]'
)].map(found => found.innerText.slice(0, 300))"""
Act = Callable[[Page], Awaitable[Any]]
Round = Callable[[Browser, Server, str, dict[str, list[float]]], Awaitable["Window"]]


def press(key: str, where: str) -> Act:
    """Returns the action that presses a key on a slider."""
    return lambda page: page.locator(f".st-key-{where} input[type=range]").first.press(key)


def click(text: str, where: str) -> Act:
    """Returns the action that clicks a button of a control."""
    return lambda page: page.locator(f".st-key-{where} button", has_text=re.compile(f"^{text}$")).first.click()


def select(text: str, where: str) -> Act:
    """Returns the action that picks an option of a list."""

    async def act(page: Page) -> None:
        box = page.locator(f".st-key-{where} [role=combobox], .st-key-{where} input").first
        await box.scroll_into_view_if_needed()
        await asyncio.sleep(0.2)  # a list closes as the page is scrolled under it
        await box.click()
        await page.get_by_role("option", name=text, exact=True).click()

    return act


def choose(text: str, where: str) -> Act:
    """Returns the action that picks one of a control's options, be they buttons or a list."""

    async def act(page: Page) -> None:
        is_list = await page.locator(f".st-key-{where} [role=combobox], .st-key-{where} input").count()
        await (select if is_list else click)(text, where)(page)

    return act


def section(name: str) -> Act:
    """Returns the action that opens a section of a page."""
    return lambda page: page.get_by_role("tab", name=name, exact=True).click()


async def search(page: Page) -> None:
    """Searches the list of runs."""
    box = page.locator(".st-key-q input")
    await box.fill("" if await box.input_value() else "mnist")
    await box.press("Enter")


# Samples, types and axis stay chosen from page to page: each page chooses another one than the page before.
WIDGETS: dict[str, dict[str, Act]] = {
    "runs": {"search": search, "search again": search},
    "dynamics": {
        "training samples": choose("training", "split"),
        "earlier epoch": press("ArrowLeft", "epoch"),
        "AND and OR apart": select("apart", "type"),
        "linear axis": click("linear", "axis"),
        "section six epochs": section("Six epochs"),
        "section order × epoch": section("Order × epoch"),
    },
    "sample": {
        "next sample": lambda page: page.locator(".st-key-Next button").click(),
        "earlier epoch": press("ArrowLeft", "epoch"),
        "sorted by loss": select("highest loss", "sort"),
        "sorted by confusion": select("most confusing", "sort"),
        "section faithfulness": section("Faithfulness"),
        "section shared": section("Shared"),
    },
    "interactions": {
        "testing samples": choose("testing", "split"),
        "earlier epoch": press("ArrowLeft", "epoch"),
        "most samples first": select("samples", "rank"),
        "section network": section("Network"),
    },
    "theories": {
        "AND and OR together": select("together", "type"),
        "logarithmic axis": click("log", "axis"),
        "section coherence": section("Coherence"),
        "section sharing": section("Sharing"),
    },
    "removal": {
        "higher orders": select("3", "order"),
        "smaller dose": select("50", "dose"),
        "earlier epoch": press("ArrowLeft", "epoch"),
        "section samples": section("Samples"),
    },
    "compare": {
        "by phase": click("phase", "by"),
        "training samples": choose("training", "split"),
        "earlier epoch of A": press("ArrowLeft", "epoch_a"),
    },
    "figures": {"testing samples": choose("testing", "split"), "another venue": select("iclr", "venue")},
    "help": {},
}


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Yields a Chromium that reaches nothing but this machine."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    async with async_playwright() as play:
        found = await play.chromium.launch(executable_path=path, args=list(CHROMIUM))
        try:
            yield found
        finally:
            await found.close()


@dataclass
class Window:
    """One session in the browser."""

    page: Page
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    @classmethod
    async def open(cls, chromium: Browser) -> "Window":
        """Returns a window with a session of its own."""
        context = await chromium.new_context(viewport={"width": 1280, "height": 900})
        window = cls(await context.new_page())
        window.page.set_default_timeout(8000)
        await window.page.add_init_script(WATCH)
        window.page.on("pageerror", lambda error: window.errors.append(f"page error: {error}"))
        window.page.on("console", window._listen)
        window.page.on("request", window._follow)
        return window

    def _listen(self, message: Any) -> None:
        if message.type == "error" and "404" not in message.text:  # of deep pages: Streamlit looks beside itself first
            self.errors.append(f"console: {message.text[:300]}")

    def _follow(self, request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1", "data:", "blob:")):
            self.outside.append(request.url)

    async def there(self, title: str, *, patience: int = 2500, timeout: float = 90) -> float:
        """Returns the seconds from the start of the action until the page was complete."""
        await self.page.wait_for_function(QUIET, arg=[title, patience], timeout=1000 * timeout, polling=50)
        self.errors += await self.page.evaluate(TROUBLE)
        return await self.page.evaluate("() => (watch.last - watch.start) / 1000")

    async def goto(self, address: str, title: str) -> float:
        """Returns the seconds that a page takes from an empty window."""
        await self.page.goto(address, wait_until="commit")
        return await self.there(title, patience=100_000)

    async def act(self, action: Act, title: str) -> float:
        """Returns the seconds that an action takes, after a look at the page, until it is complete again."""
        await asyncio.sleep(LOOK)
        await self.page.evaluate("() => { watch.start = performance.now(); watch.ran = false; watch.charts = {}; }")
        await action(self.page)
        return await self.there(title)

    async def turn_to(self, title: str) -> float:
        """Returns the seconds that another page takes, from a click in the sidebar."""
        link = self.page.locator("[data-testid=stSidebar] a", has_text=title).first
        return await self.act(lambda page: link.click(), title)


async def one_round(chromium: Browser, server: Server, run: str, found: dict[str, list[float]]) -> Window:
    """Adds the seconds of one round through all pages and widgets of a server that was just started."""
    window = await Window.open(chromium)
    found.setdefault("first page", []).append(await window.goto(f"{server.address}/?run={run}", "Runs"))
    stems = [stem for stem in PAGES if (HOME / "pages" / f"{stem}.py").exists()]
    for stem in stems:
        found.setdefault(f"next page: {stem}", []).append(await window.turn_to(PAGES[stem]))
    for stem in stems:
        found.setdefault(f"next page again: {stem}", []).append(await window.turn_to(PAGES[stem]))
        await widgets(window, stem, PAGES[stem], found)
    found.setdefault("next page: runs", []).append(await window.turn_to("Runs"))
    await widgets(window, "runs", "Runs", found)
    return window


async def widgets(window: Window, stem: str, title: str, found: dict[str, list[float]]) -> None:
    """Adds the seconds of every widget of a page."""
    for name, action in WIDGETS[stem].items():
        try:
            seconds = await window.act(action, title)
        except Error as error:
            window.errors.append(f"{stem}, {name}: {str(error).splitlines()[0]}")
            continue
        found.setdefault(f"rerun: {stem}, {name}", []).append(seconds)


async def one_round_of_charts(chromium: Browser, server: Server, run: str, found: dict[str, list[float]]) -> Window:
    """Adds the seconds until each chart of each page and tab of a server that was just started was drawn."""
    window = await Window.open(chromium)
    await window.page.add_init_script("watch.each = true")
    tabs = window.page.get_by_role("tab")

    async def add(kind: str, where: str) -> None:
        for chart, seconds in (await window.page.evaluate(CHARTS)).items():
            found.setdefault(f"{kind}: {where}, {chart}", []).append(seconds)

    found.setdefault("first page", []).append(await window.goto(f"{server.address}/?run={run}", "Runs"))
    for stem, title in ((stem, title) for stem, title in PAGES.items() if catalogue.views(stem)):
        await window.turn_to(title)
        await add("next page", stem)
        for name in (await tabs.all_inner_texts())[1:]:
            await window.act(section(name), title)
            await add("rerun", f"{stem}, {name}")
    return window


async def reference(chromium: Browser, server: Server, found: dict[str, list[float]]) -> None:
    """Adds the seconds of the smallest page, from nothing and of its slider."""
    window = await Window.open(chromium)
    found.setdefault("first page", []).append(await window.goto(server.address, "Reference"))
    for _ in range(5):
        found.setdefault("rerun", []).append(await window.act(press("ArrowLeft", "k"), "Reference"))
    await window.page.context.close()


async def measure(
    runs: list[Path], port: int, repeats: int, scale: float, one_round: Round = one_round
) -> dict[str, Any]:
    """Returns medians over repetitions, each on a fresh server, beside the bars."""
    found: dict[str, list[float]] = {}
    least: dict[str, list[float]] = {}
    sizes, peaks, errors, outside, loads, waits, starts = [], [], [], [], [], [], []
    roots = list(dict.fromkeys(run.parent for run in runs))
    async with browser() as chromium:
        for repeat in range(repeats):
            with serving(roots, port) as server:
                window = await one_round(chromium, server, runs[0].name, found)
                await window.page.context.close()
                sizes.append(server.gib("VmRSS"))
                peaks.append(server.gib("VmHWM"))
            with serving(roots, port) as server:  # a deep link on a fresh server
                window_2 = await Window.open(chromium)
                address = f"{server.address}/dynamics?run={runs[0].name}"
                found.setdefault("first page: deep link to Dynamics", []).append(
                    await window_2.goto(address, "Dynamics")
                )
                await window_2.page.context.close()
            with serving(roots, port, "benchmarks/smallest_page.py") as server:
                await reference(chromium, server, least)
            errors += window.errors + window_2.errors
            outside += window.outside + window_2.outside
            starts.append(server.started)
            loads.append(os.getloadavg()[0])
            waits.append(waiting())
            print(f"round {repeat + 1} of {repeats}: {time.strftime('%H:%M:%S')}", flush=True)
    medians = {name: round(statistics.median(times), 2) for name, times in found.items()}
    reference_s = {name: round(statistics.median(times), 3) for name, times in least.items()}
    bars = {}
    for name, bar in BARS.items():
        least_s = reference_s[REFERENCES[name]]
        slower = max(1.0, least_s / SMALLEST[REFERENCES[name]])
        values = {key: value for key, value in medians.items() if key.partition(":")[0] == name}
        bars[name] = verdict(max(values.values()), round(bar * scale * slower, 2)) | {
            "median_over_all_s": round(statistics.median(value for key in values for value in found[key]), 2),
            "worst": max(values, key=lambda key: values[key]),
            "times_the_smallest_page": round(max(values.values()) / least_s, 1),
        }
    if scale > 1:
        bars["server, GiB"] = verdict(max(peaks), BAR_OF_BIG_GIB)
    bars["errors"] = verdict(len(errors) + len(outside), 0)
    return {
        "runs": [run.name for run in runs],
        "repeats": repeats,
        "load_of_the_machine": [round(load, 1) for load in loads],
        "conditions": os.environ.get("CONDITIONS", ""),
        "waiting_for_a_core": [round(share, 2) for share in waits],
        "server_start_s": round(statistics.median(starts), 2),
        "server_gib": max(sizes),
        "server_peak_gib": max(peaks),
        "bars": bars,
        "smallest_page_s": reference_s,
        "medians_s": medians,
        "all_s": {name: [round(value, 2) for value in values] for name, values in found.items()},
        "errors": sorted(set(errors)),
        "requests_outside": sorted(set(outside)),
    }


def waiting(seconds: float = 0.3) -> float:
    """Returns how much longer than alone a busy process takes on this machine now, as a factor: 1 = a core was free."""
    start, end = time.perf_counter(), time.process_time() + seconds
    while time.process_time() < end:
        pass
    return (time.perf_counter() - start) / seconds


def verdict(value: float, bar: float) -> dict[str, Any]:
    """Returns a value beside its bar: the value of the slowest kind."""
    return {"value": value, "bar": bar, "verdict": "PASS" if value <= bar else "FAIL"}


CLIENT_ACTIONS: dict[str, list[tuple[str, str | int]]] = {  # of sessions without a browser: key, option
    "dynamics": [("split", "training"), ("epoch", -2), ("axis", "linear")],
    "sample": [("epoch", -2), ("split", "testing"), ("top", "50")],
    "interactions": [("epoch", -2), ("split", "training"), ("rank", "flips")],
    "theories": [("axis", "linear")],
    "removal": [("order", 1), ("dose", -2), ("epoch", -2)],
    "compare": [("by", "phase"), ("split", "training"), ("epoch_a", -2)],
    "figures": [("split", "training"), ("venue", "iclr")],
    "help": [],
}


async def sessions(runs: list[Path], port: int, count: int, rounds: int) -> dict[str, Any]:
    """Returns errors and times of some sessions at once: one in the browser, the others without."""
    seen: dict[str, list[float]] = {}  # in the browser, drawing included
    served: dict[str, list[float]] = {}
    errors, random_ = [], random.Random(0)
    stems = [stem for stem in PAGES if (HOME / "pages" / f"{stem}.py").exists()]

    async def think() -> None:
        await asyncio.sleep(random_.uniform(0.5, 3))

    async def watch(chromium: Browser, server: Server) -> None:
        window = await Window.open(chromium)
        try:
            seen["first page"] = [await window.goto(f"{server.address}/?run={runs[0].name}", "Runs")]
            for stem in stems * rounds:
                await think()
                seen.setdefault("next page", []).append(await window.turn_to(PAGES[stem]))
                for action in WIDGETS[stem].values():
                    await think()
                    seen.setdefault("rerun", []).append(await window.act(action, PAGES[stem]))
        except Error as error:
            errors.append(f"window: {str(error).splitlines()[0]}")
        errors.extend(f"window: {message}" for message in window.errors)

    async def click_through(server: Server, number: int) -> None:
        await asyncio.sleep(0.3 * number)
        client = await Client.open(server.address, f"run={runs[number % len(runs)].name}")
        served.setdefault("first page", []).append(await client.turn_to("runs"))
        for step in range(rounds * len(stems)):
            stem = stems[(number + step) % len(stems)]
            await think()
            served.setdefault("next page", []).append(await client.turn_to(stem))
            if not client.charts and stem != "help":
                errors.append(f"session {number}: {stem} has no chart")
            for key, option in CLIENT_ACTIONS[stem]:
                await think()
                served.setdefault("rerun", []).append(await client.choose(key, option))
        errors.extend(f"session {number}: {message}" for message in client.errors)
        await client.link.close()

    roots = list(dict.fromkeys(run.parent for run in runs))
    with serving(roots, port) as server:
        async with browser() as chromium:
            others = (click_through(server, number) for number in range(1, count))
            await asyncio.gather(watch(chromium, server), *others)
        peak = server.gib("VmHWM")
    p95 = {
        where: {name: round(float(np.percentile(times, 95)), 2) for name, times in found.items()}
        for where, found in (("in the browser", seen), ("without", served))
    }
    return {
        "runs": [run.name for run in runs],
        "sessions": f"{count} at once: one in Chromium, the others without a browser (benchmarks/sessions.py)",
        "load_of_the_machine": round(os.getloadavg()[0], 1),
        "conditions": os.environ.get("CONDITIONS", ""),
        "server_peak_gib": peak,
        "counts": {name: [len(seen[name]), len(served[name])] for name in seen},
        "p50_s": {name: [round(statistics.median(found[name]), 2) for found in (seen, served)] for name in seen},
        "p95_s": p95,
        "bars": {
            "p95 of a rerun, in the browser": verdict(p95["in the browser"]["rerun"], BAR_OF_SESSIONS),
            "p95 of a rerun, without": verdict(p95["without"]["rerun"], BAR_OF_SESSIONS),
            "errors": verdict(len(errors), 0),
        },
        "errors": sorted(set(errors)),
    }


def main() -> None:
    """Runs one part of the benchmark and adds it to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("default", "big", "sessions", "charts"))
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs, the one to look at first")
    parser.add_argument("--port", type=int, default=8603)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=1, help="of each session through all pages")
    options = parser.parse_args()
    if options.part == "sessions":
        result = asyncio.run(sessions(options.runs, options.port, options.sessions, options.rounds))
    else:
        scale = 2 if options.part == "big" else 1
        each = one_round_of_charts if options.part == "charts" else one_round
        result = asyncio.run(measure(options.runs, options.port, options.repeats, scale, each))
    machine = {"machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"}
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(before | machine | {options.part: result}, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "all_s"}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
