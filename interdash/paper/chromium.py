"""Figures as files: one Chromium is kept for all who ask, on a thread of its own."""

import asyncio
import atexit
import base64
import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import plotly.graph_objects as go
import plotly.io
import plotly.offline

FORMATS = ("pdf", "svg", "png", "html")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
REMEDY = "install it with `apt-get install --no-install-recommends chromium fonts-liberation`"
OFFLINE = ("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND")  # it asks nobody for anything
SECONDS = 60.0  # until a figure is given up
PATIENCE = 600.0  # … that waits for others to be drawn
FAREWELL = 10.0  # … until Chromium has ended by itself
RENEWED = 20  # figures that one page draws
PRINTED = {"printBackground": True, "preferCSSPageSize": True, "pageRanges": "1"}
TAG = re.compile(r'<([\w:]+)((?: [\w:-]+="[^"]*")+)(/?)>')
ATTRIBUTE = re.compile(r'[\w:-]+="[^"]*"')
DRAW = """async (figure, width, height, scale, forms) => {
    const url = await Plotly.toImage(figure, {format: "svg", width, height, scale: 1})
    const drawn = {svg: decodeURIComponent(url.slice(url.indexOf(",") + 1))}
    if (forms.includes("pdf") || forms.includes("png")) {
        const image = document.getElementById("kaleido-image")
        document.getElementById("head-style").innerHTML = `@page { size: ${width}px ${height}px }`
        image.src = url
        await image.decode()
        if (forms.includes("png")) {
            const canvas = document.createElement("canvas")
            Object.assign(canvas, {width: scale * width, height: scale * height})
            canvas.getContext("2d").drawImage(image, 0, 0, scale * width, scale * height)
            drawn.png = canvas.toDataURL("image/png").split(",")[1]
        }
    }
    return drawn
}"""


class NoBrowserError(RuntimeError):
    """PDF, SVG and PNG need Chromium, and there is none."""


def render(figure: go.Figure, form: str = "pdf", *, dpi: int = 300, title: str = "figure") -> bytes:
    """Returns a figure as the bytes of a file, of the size that its layout says; safe to call from many threads.

    The same figure gives the same bytes; in a PDF, the dates are the current one unless SOURCE_DATE_EPOCH is set.

    Args:
        figure: with width and height in pixels, 96 to the inch; see `layout.printed`.
        form: "pdf", "svg", "png", or "html", which holds all it needs and opens without network.
        dpi: dots per inch, of a PNG.
        title: what a PDF says that it shows.

    Raises:
        ValueError: there is no such format.
        NoBrowserError: there is no Chromium; HTML needs none.
        RuntimeError: Chromium failed twice.
    """
    return drawn(figure, (form,), dpi=dpi, title=title)[form]


def drawn(figure: go.Figure, forms: Sequence[str], *, dpi: int = 300, title: str = "figure") -> dict[str, bytes]:
    """Returns a figure as the bytes of a file in each of some formats, which show one drawing; see `render`."""
    if wrong := [form for form in forms if form not in FORMATS]:
        raise ValueError(f"a figure cannot be written as {wrong[0]!r}; choose one of {', '.join(FORMATS)}")
    files: dict[str, bytes] = {}
    if "html" in forms:
        files["html"] = page(go.Figure(figure).update_layout(hovermode="closest"))  # which paper has no use for
    if of_browser := [form for form in forms if form != "html"]:
        layout: Any = figure.layout
        parts = figure.to_dict()
        parts["data"] = [trace | {"uid": f"{i}"} for i, trace in enumerate(parts["data"])]  # else a random one
        files |= _browser.ask(parts, (layout.width or 528, layout.height or 340, dpi / 96), of_browser)
    if "svg" in files:
        files["svg"] = _in_inches(files["svg"].decode())
    if "pdf" in files:
        files["pdf"] = _dated(files["pdf"], title)
    return files


def now() -> datetime:
    """Returns the time that files say they were made at: the current one, or SOURCE_DATE_EPOCH, in UTC.

    Raises:
        ValueError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if not seconds:
        return datetime.now(UTC)
    if not re.fullmatch(r"\d{1,11}", seconds):
        raise ValueError(f"SOURCE_DATE_EPOCH is {seconds!r}, which is no number of seconds; set it as in 1767225600")
    return datetime.fromtimestamp(int(seconds), UTC)


def _in_inches(svg: str) -> bytes:
    """Returns an SVG that says its size in inches; attributes are sorted, and names of parts follow from what it shows.

    A page draws its first figure with another order of attributes, and Plotly's names are new at each drawing.
    """
    svg = TAG.sub(lambda tag: f"<{tag[1]} {' '.join(sorted(ATTRIBUTE.findall(tag[2])))}{tag[3]}>", svg)
    if random := re.search(r'id="defs-(\w+)"', svg):
        svg = svg.replace(random[1], hashlib.sha256(svg.replace(random[1], "").encode()).hexdigest()[:6])
    head, end, rest = svg.partition(">")
    head = re.sub(r'\b(width|height)="([\d.]+)"', lambda size: f'{size[1]}="{float(size[2]) / 96:.6g}in"', head)
    return (head + end + rest).encode()


def _dated(pdf: bytes, title: str) -> bytes:
    """Returns a PDF that names its figure and its date in place of Chromium's words, not a byte longer or shorter."""
    about = re.search(rb"<</Title \(.*?/ModDate \(.*?\)>>", pdf, re.DOTALL)
    if about is None:  # another Chromium, other words
        return pdf
    date = f"(D:{now():%Y%m%d%H%M%S}+00'00')"
    words = re.sub(r"[^ -'*-\[\]-~]", "?", title)  # neither brackets nor backslashes
    ends = f"/Creator (interdash)\n/CreationDate {date}\n/ModDate {date}"
    room = len(about[0]) - len(f"<</Title ()\n{ends}>>")
    text = f"<</Title ({words[:room]})\n{ends}"
    return pdf[: about.start()] + text.ljust(len(about[0]) - 2).encode() + b">>" + pdf[about.end() :]


def page(figure: go.Figure, *, plotly_js: bool = True) -> bytes:
    """Returns a figure as HTML, with the plotly.js that draws it unless the page around it has it."""
    made = plotly.io.to_html(
        figure,
        full_html=plotly_js,
        include_plotlyjs=plotly_js,
        include_mathjax=False,
        auto_play=False,
        div_id=f"figure-{hashlib.sha256(str(plotly.io.to_json(figure, validate=False)).encode()).hexdigest()[:10]}",
        config={"displaylogo": False, "toImageButtonOptions": {"format": "svg"}},
    )
    return made.encode()


def plotly_js() -> str:
    """Returns the plotly.js that draws figures which `page` made without it."""
    return plotly.offline.get_plotlyjs()


def chromium() -> str:
    """Returns where Chromium is: `BROWSER_PATH`, or the first of the usual names on the path.

    Raises:
        NoBrowserError: it is nowhere.
    """
    given = os.environ.get("BROWSER_PATH")
    found = given if given and os.access(given, os.X_OK) else next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise NoBrowserError(f"PDF, SVG and PNG need Chromium, which is not there; {REMEDY}. HTML needs none.")
    return found


def missing_font(font: str) -> str:
    """Returns what to say if a font cannot be used: not installed, or no TrueType; "" if it can, or if unknown."""
    if shutil.which("fc-list") is None:
        return ""

    def installed(pattern: str) -> bool:
        return bool(subprocess.run(["fc-list", pattern], capture_output=True, text=True, check=False).stdout.strip())

    if not installed(f":family={font}"):
        return f"the font {font!r} is not installed, another one is drawn; see `fc-list : family`"
    if not installed(f":family={font}:fontformat=TrueType"):
        return f"the font {font!r} is not TrueType: PDF holds it as Type 3, which venues refuse; take another"
    return ""


def start() -> None:
    """Starts the kept Chromium and does not wait for it: it is ready when the first figure is, some seconds later.

    What fails here is said when a figure is drawn.
    """
    with contextlib.suppress(NoBrowserError):
        _browser.start(chromium())


def close() -> None:
    """Ends the kept Chromium, once it has drawn what it is drawing; the next figure starts another."""
    _browser.close()


class _Browser:
    """One Kaleido on an asyncio loop in a thread of its own; figures are drawn one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._kaleido: Any = None
        self._turn = asyncio.Lock()
        self._closed = False  # for good: the process ends

    def ask(self, figure: dict[str, Any], size: tuple[float, float, float], forms: Sequence[str]) -> dict[str, bytes]:
        """Returns a figure in some formats; its size is width and height in pixels, and pixels of a PNG for each."""
        asked = self._send(self._draw(figure, size, forms, chromium()))
        try:
            return asked.result(PATIENCE)
        except TimeoutError as error:
            asked.cancel()
            raise RuntimeError(f"the figure was not drawn within {PATIENCE:g} s; draw fewer at once") from error

    def start(self, path: str) -> None:
        """Starts Chromium, and does not wait for it."""
        self._send(self._start(path))

    def _send(self, task: Coroutine[Any, Any, Any]) -> Future[Any]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="chromium", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(task, self._loop)

    async def _start(self, path: str) -> None:
        async with self._turn:
            if not self._closed:
                self._kaleido = self._kaleido or await _started(path)

    async def _draw(self, figure: Any, size: Any, forms: Sequence[str], path: str) -> dict[str, bytes]:
        async with self._turn:
            for last in (False, True):
                if self._closed:
                    raise RuntimeError("no figure is drawn any more: the program ends")
                try:
                    self._kaleido = self._kaleido or await _started(path)
                    return await asyncio.wait_for(self._kaleido.draw(figure, size, forms), SECONDS)
                except (Exception, asyncio.CancelledError) as error:  # whatever broke: Chromium was killed, or hangs
                    if (task := asyncio.current_task()) and task.cancelling():
                        raise  # nobody waits for the figure any more
                    await self._end()
                    if last:
                        raise RuntimeError(
                            f"Chromium ({path}) failed twice to draw the figure: {error or type(error).__name__}"
                        ) from error
        raise AssertionError

    async def _end(self) -> None:
        browser, self._kaleido = self._kaleido, None
        if browser is not None:
            try:
                await asyncio.wait_for(browser.close(), FAREWELL)
            except Exception:  # it is dead already, or does not end
                browser.subprocess.kill()

    async def _end_in_turn(self) -> None:
        async with self._turn:
            await self._end()

    def close(self, *, for_good: bool = False) -> None:
        self._closed = self._closed or for_good
        with self._lock:
            if self._loop is None:
                return
        waits = asyncio.run_coroutine_threadsafe(self._end_in_turn(), self._loop)
        try:
            waits.result(15 if for_good else PATIENCE)
        except TimeoutError:  # the figure that is drawn now is given up
            waits.cancel()
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(15)


async def _started(path: str) -> Any:
    import kaleido
    from choreographer.browsers.chromium import Chromium

    # what goes wrong reaches `_draw` as an error; the driver writes tracebacks of messages cut off by the end
    logging.getLogger("choreographer").setLevel(logging.CRITICAL)

    class Kept(kaleido.Kaleido):
        """Draws a figure once for all formats, and loads its page anew after every `RENEWED` figures."""

        drawn = 0

        async def draw(
            self, figure: dict[str, Any], size: tuple[float, float, float], forms: Sequence[str]
        ) -> dict[str, bytes]:
            page = await self.tabs_ready.get()
            try:
                if self.drawn and self.drawn % RENEWED == 0:  # after each, as Kaleido does, takes as long as a figure
                    await page.reload()
                self.drawn += 1
                shown = str(plotly.io.to_json(figure, validate=False, remove_uids=False))
                call = f"({DRAW})({', '.join([shown, *map(json.dumps, (*size, forms))])})"
                made = await _sent(page.tab, "Runtime.evaluate", expression=call, awaitPromise=True, returnByValue=True)
                texts: dict[str, str] = made["result"]["value"]
                files = {"svg": texts["svg"].encode()}
                if "png" in texts:
                    files["png"] = base64.b64decode(texts["png"])
                if "pdf" in forms:
                    printed = await _sent(page.tab, "Page.printToPDF", **PRINTED)
                    files["pdf"] = base64.b64decode(printed["data"])
                return {form: files[form] for form in forms}
            finally:
                self.tabs_ready.put_nowait(page)

    class Offline(Chromium):
        def get_cli(self) -> list[str]:
            return [*super().get_cli(), *OFFLINE]

    page = kaleido.PageGenerator(mathjax=False)  # else it would be fetched from the network
    # else a PDF is shrunk into margins
    page.header += "<style>@page { margin: 0 } body { margin: 0 } img { display: block }</style>"
    browser = Kept(n=1, timeout=SECONDS, page_generator=page, path=path, browser_cls=Offline)
    await asyncio.wait_for(browser.open(), SECONDS)
    return browser


async def _sent(tab: Any, command: str, **parameters: Any) -> dict[str, Any]:
    """Returns what Chromium's page answers to a command; raises RuntimeError if it cannot do it."""
    answer = await tab.send_command(command, params=parameters)
    result = answer.get("result", {})
    if problem := answer.get("error") or result.get("exceptionDetails"):
        raise RuntimeError(str(problem.get("exception", problem).get("description", problem)))
    return result


_browser = _Browser()
atexit.register(_browser.close, for_good=True)
