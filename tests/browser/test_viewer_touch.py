"""The viewer on a tablet: one finger is the tool's, two zoom and pan, three scroll."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect
from pydicom.uid import generate_uid as new_uid

from tests.browser.conftest import sign_in
from tests.builders import ct_slice
from tests.protocol.dicomweb_archive import Archive
from tests.stack import Stack

Points = list[tuple[float, float]]
SETTLED = (
    "() => { const view = window.pacsweb?.views()[0];"
    " return view?.status === 'shown' && view.zoom !== undefined; }"
)


@pytest.fixture(scope="module")
def tablet(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A series of 30 slices on a tablet held upright."""
    study, series = new_uid(), new_uid()
    pixels = np.full((64, 64), 1100, "<i2").tobytes()
    slices = [
        ct_slice(study=study, series=series, number=number, size=64, PixelData=pixels)
        for number in range(1, 31)
    ]
    assert Archive(stack).store(*slices).status_code == 200
    context = browser.new_context(
        viewport={"width": 768, "height": 1024},
        locale="en-GB",
        has_touch=True,
        is_mobile=True,
        device_scale_factor=2,
    )
    page = context.new_page()
    sign_in(page, stack)
    page.goto(stack.url(f"/viewer/{study}"))
    page.wait_for_function(SETTLED)
    yield page
    context.close()


@pytest.fixture(scope="module")
def fingers(tablet: Page) -> CDPSession:
    return tablet.context.new_cdp_session(tablet)


def _touch(fingers: CDPSession, kind: str, points: Points) -> None:
    fingers.send(
        "Input.dispatchTouchEvent",
        {
            "type": kind,
            "touchPoints": [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)],
        },
    )


def _gesture(page: Page, fingers: CDPSession, start: Points, end: Points) -> dict[str, Any]:
    """Fingers go down one after the other, move together, and are lifted together."""
    for count in range(1, len(start) + 1):
        _touch(fingers, "touchStart", start[:count])
    for step in range(1, 7):
        share = step / 6
        now = [
            (x + (to_x - x) * share, y + (to_y - y) * share)
            for (x, y), (to_x, to_y) in zip(start, end, strict=True)
        ]
        _touch(fingers, "touchMove", now)
        page.wait_for_timeout(20)
    _touch(fingers, "touchEnd", [])
    page.wait_for_timeout(150)
    page.wait_for_function(SETTLED)
    return _state(page)


def _state(page: Page) -> dict[str, Any]:
    state: dict[str, Any] = page.evaluate("() => window.pacsweb.views()[0]")
    return state


def test_one_finger_is_the_tools(tablet: Page, fingers: CDPSession) -> None:
    before = _state(tablet)
    after = _gesture(tablet, fingers, [(400, 500)], [(480, 500)])
    assert after["window"]["width"] > before["window"]["width"]
    assert (after["zoom"], after["requested"]) == (before["zoom"], before["requested"])


def test_two_fingers_zoom_about_what_lies_between_them(tablet: Page, fingers: CDPSession) -> None:
    before = _state(tablet)
    after = _gesture(tablet, fingers, [(350, 500), (450, 500)], [(300, 500), (500, 500)])
    assert after["zoom"] == pytest.approx(2 * before["zoom"], rel=0.05)
    # The first finger was down alone for a moment; its tool has done nothing.
    assert after["window"] == before["window"]
    assert after["requested"] == before["requested"]


def _left_edge(page: Page) -> float:
    """Column of the image at the left edge of the canvas."""
    return float(page.evaluate("() => window.pacsweb.painted(0).origin[0]"))


def test_two_fingers_pan(tablet: Page, fingers: CDPSession) -> None:
    before, edge = _state(tablet), _left_edge(tablet)
    after = _gesture(tablet, fingers, [(350, 500), (450, 500)], [(450, 500), (550, 500)])
    assert after["zoom"] == pytest.approx(before["zoom"], rel=0.01)
    assert _left_edge(tablet) == pytest.approx(edge - 100 / after["zoom"], abs=0.2)


def test_three_fingers_scroll(tablet: Page, fingers: CDPSession) -> None:
    before = _state(tablet)
    start = [(350.0, 400.0), (400.0, 400.0), (450.0, 400.0)]
    after = _gesture(tablet, fingers, start, [(x, y + 72) for x, y in start])
    assert after["requested"] == before["requested"] + 6
    assert after["shown"]["index"] == after["requested"]
    assert after["zoom"] == before["zoom"]


def test_a_second_finger_gives_up_the_drawing_of_the_first(
    tablet: Page, fingers: CDPSession
) -> None:
    tablet.get_by_role("button", name="Length", exact=True).tap()
    _gesture(tablet, fingers, [(350, 500), (450, 500)], [(350, 520), (450, 520)])
    tablet.get_by_role("button", name="Measurements", exact=True).tap()
    expect(tablet.get_by_text("Nothing is measured yet.")).to_be_visible()


def test_targets_are_large_enough_for_fingers_and_nothing_is_cut_off(tablet: Page) -> None:
    assert tablet.evaluate("() => document.documentElement.scrollWidth") <= 768
    for button in tablet.locator(".top-bar .icon-button:not(.narrow)").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 36
    expect(tablet.locator(".identity strong")).to_have_text("Test, Patient")
