"""How soon the first image of a CT series is on the screen, here and in OHIF.

    python benchmarks/first_image.py [OHIF_DIST] [--slices 500] [--rounds 5]

OHIF_DIST is the `dist` folder of OHIF's built site (`npm pack @ohif/app@3.13.2`, unpacked outside
this repository); without it only this product is measured. Both viewers get the same series from
the same product by the same kind of server, in the same Chromium, in turns, each time with an
empty cache. The clock starts with the navigation and stops when the viewport's canvas shows
something brighter than black.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydicom.uid import generate_uid

from tests.browser.conftest import ARGUMENTS
from tests.builders import ct_slice, part10
from tests.protocol.dicomweb_archive import Archive
from tests.servers import free_port
from tests.stack import Stack

ROOT = Path(__file__).resolve().parents[1]
BATCH = 25
GIVEN_UP_MS = 60_000
WATCH = """
(() => {
  const small = new OffscreenCanvas(16, 16);
  const context = small.getContext('2d', { willReadFrequently: true });
  const look = () => {
    for (const canvas of document.querySelectorAll('canvas')) {
      if (canvas.width < 200 || canvas.height < 200) continue;
      context.drawImage(canvas, 0, 0, 16, 16);
      const { data } = context.getImageData(0, 0, 16, 16);
      if (data.some((each, at) => at % 4 < 3 && each > 60)) {
        window.firstImage = performance.now();
        return;
      }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""


def store_series(archive: Archive, slices: int) -> str:
    """A 512 x 512 CT of that many slices, a bright disc with noise in each; its study's UID."""
    study, series = generate_uid(), generate_uid()
    rows, columns = np.mgrid[0:512, 0:512]
    disc = ((rows - 256) ** 2 + (columns - 256) ** 2 < 200**2) * 1100
    noise = np.random.default_rng(7)
    made = []
    for number in range(1, slices + 1):
        pixels = (disc + noise.integers(0, 60, disc.shape)).astype("<i2")
        ds = ct_slice(
            study=study, series=series, number=number, size=512, PixelData=pixels.tobytes()
        )
        made.append(part10(ds))
        if len(made) == BATCH or number == slices:
            answer = archive.store(*made)
            assert answer.status_code == requests.codes.ok, answer.text
            made = []
    return study


@contextmanager
def ohif(stack: Stack, dist: Path | None) -> Iterator[str]:
    """The other viewer on a port of its own, its address; "" without it."""
    if dist is None:
        yield ""
        return
    port = free_port()
    environment = {**stack.environment(), "OHIF_DIST": str(dist), "OHIF_PORT": str(port)}
    environment["DJANGO_SETTINGS_MODULE"] = "pacsweb.settings"
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("ohif_site.py"))],
        env=environment,
        cwd=ROOT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                if requests.get(address, timeout=2).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def session_cookies(stack: Stack) -> list[dict[str, str]]:
    """A signed-in session, as the browser keeps it."""
    session = requests.Session()
    page = session.get(stack.url("/login/"), timeout=10)
    name, password = stack.auth
    form = {
        "username": name,
        "password": password,
        "csrfmiddlewaretoken": page.cookies["pacsweb_csrf"],
    }
    session.post(stack.url("/login/"), form, timeout=10).raise_for_status()
    return [
        {"name": each.name, "value": each.value or "", "domain": "127.0.0.1", "path": "/"}
        for each in session.cookies
    ]


def first_image(browser: Browser, url: str, cookies: list[dict[str, str]]) -> float:
    """Milliseconds from the navigation to something bright in a viewport, cache empty."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    context.add_cookies(cookies)  # type: ignore[arg-type]
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(url, wait_until="commit")
    page.wait_for_function("() => window.firstImage !== undefined", timeout=GIVEN_UP_MS)
    found = float(page.evaluate("() => window.firstImage"))
    context.close()
    return found


def measure(stack: Stack, dist: Path | None, study: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds by viewer, one measurement of each in every round."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))))
    with ohif(stack, dist) as other, sync_playwright() as playwright:
        cookies = session_cookies(stack)
        urls = {"pacsweb": stack.url(f"/viewer/{study}")}
        if other:
            urls["OHIF"] = f"{other}/viewer?StudyInstanceUIDs={study}"
        times: dict[str, list[float]] = {name: [] for name in urls}
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for each in urls.values():
            first_image(browser, each, cookies)
        for number in range(rounds):
            order = list(urls) if number % 2 == 0 else list(reversed(urls))
            for name in order:
                times[name].append(first_image(browser, urls[name], cookies))
        browser.close()
    return times


def main() -> None:
    """Measures and prints medians, ranges and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dist", type=Path, nargs="?")
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    stack = Stack().start()
    try:
        study = store_series(Archive(stack), given.slices)
        times = measure(stack, given.dist, study, given.rounds)
    finally:
        stack.stop()
    print(f"{given.slices} slices, {given.rounds} rounds, {os.cpu_count()} cores")
    for name, found in times.items():
        print(
            f"{name:8} {statistics.median(found):7.0f} ms  ({min(found):.0f} to {max(found):.0f})"
        )
    if "OHIF" not in times:
        print("OHIF is not measured: give the folder of its built site.")
        return
    ratio = statistics.median(times["OHIF"]) / statistics.median(times["pacsweb"])
    print(f"OHIF takes {ratio:.2f} times as long")


if __name__ == "__main__":
    main()
