"""Takes the screenshots of README and docs from the demo run: `make screenshots`, or

.venv/bin/python docs/screenshots.py --root data/runs --run mnist
"""

import argparse
import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from interdash.paper.chromium import chromium

FOLDER = Path(__file__).with_name("images")
WIDTH = 1280
LARGEST = 300_000  # bytes of a picture
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
PICTURES = {  # file: page and what it shows, height in pixels, colour scheme
    "dynamics": ("dynamics", 1000, "light"),
    "dynamics-dark": ("dynamics", 1000, "dark"),
    "orders": ("dynamics#Orders at one epoch", 900, "light"),
    "runs": ("runs", 760, "light"),
    "sample": ("sample?answer=wrong", 900, "light"),
    "interactions": ("sample?sort=strongest#Sample", 1000, "light"),
    "removal": ("removal", 900, "light"),
    "compare": ("compare", 900, "light"),
    "figures": ("figures", 900, "light"),
    "help": ("help", 800, "light"),
}


@contextlib.contextmanager
def serving(root: Path) -> Iterator[str]:
    """Yields the address of a dashboard on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "interdash", "serve", "--root", str(root), "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health"):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def picture(browser: Browser, address: str, place: str, height: int, scheme: str) -> bytes:
    """Returns a page as PNG, scrolled to the heading or section that stands behind "#" in `place`."""
    place, _, heading = place.partition("#")
    context = browser.new_context(
        viewport={"width": WIDTH, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    tab.goto(f"{address}/{place}")
    tab.wait_for_selector("h1")
    settle(tab)
    if heading:
        found = tab.locator(f"h3:has-text('{heading}'), [role=tab]:has-text('{heading}')").first
        if found.get_attribute("role") == "tab":
            found.click()
            settle(tab)
        found.evaluate("h => h.scrollIntoView({block: 'start'})")
        settle(tab)
    content = tab.screenshot()
    context.close()
    return content


def settle(tab: Page) -> None:
    """Waits until the script has ended and every chart is drawn, and on Figures the pictures that are seen first."""
    tab.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    tab.wait_for_function(
        "() => !document.querySelector('[data-testid=stSkeleton]')"
        " && [...document.querySelectorAll('[data-testid=stPlotlyChart]')].every(c => c.querySelector('.main-svg'))"
        " && (document.querySelectorAll('.st-key-picker img').length > 9 || !document.querySelector('.st-key-picker'))"
    )
    tab.wait_for_timeout(1500)  # fonts and the last layout


def small(png: bytes) -> bytes:
    """Returns the same picture in fewer bytes, every colour as it is."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    made = io.BytesIO()
    image.save(made, "PNG", optimize=True)
    if made.tell() > LARGEST:
        raise ValueError(f"the picture has {made.tell()} bytes, above {LARGEST}; make its page section smaller")
    return made.getvalue()


def main() -> None:
    """Takes the pictures that are asked for, by default all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/runs"))
    parser.add_argument("--run", default="mnist")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PICTURES)}")
    chosen = parser.parse_args()
    if not (chosen.root / chosen.run / "labels").is_dir():
        parser.error(f"no finished run {chosen.run!r} in {chosen.root}; make it with `interdash demo`")
    FOLDER.mkdir(exist_ok=True)
    with serving(chosen.root.resolve()) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        for name in chosen.names or PICTURES:
            place, height, scheme = PICTURES[name]
            page, _, rest = place.partition("#")
            page += f"{'&' if '?' in page else '?'}run={chosen.run}"
            content = small(picture(browser, address, f"{page}#{rest}", height, scheme))
            (FOLDER / f"{name}.png").write_bytes(content)
            print(f"{FOLDER / name}.png: {len(content) / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
