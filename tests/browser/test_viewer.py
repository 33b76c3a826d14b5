"""The viewer in a real browser: what stands on the screen is what is in the files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid as new_uid

from tests.browser.conftest import Watched, sign_in
from tests.builders import ct_slice, part10
from tests.protocol.dicomweb_archive import Archive
from tests.protocol.test_rendered import state_for
from tests.stack import Stack

SIZE = 64
SLICES = 12


@pytest.fixture(scope="module")
def archive(stack: Stack) -> Archive:
    return Archive(stack)


def _quadrants(value: int) -> np.ndarray:
    """Bright at the image's left top, darker to the right bottom; no symmetry at all."""
    pixels = np.full((SIZE, SIZE), 1024, "<i2")
    pixels[:32, :32] = 1424 + value
    pixels[:32, 32:] = 1124 + value
    pixels[32:, :32] = 1224 + value
    return pixels


def _image(study: str, number: int, pixels: np.ndarray, **attributes: Any) -> Dataset:
    return ct_slice(
        study=study,
        number=number,
        size=SIZE,
        PixelData=pixels.tobytes(),
        **{"PatientName": "Lux^Prima", "PatientID": "L-7", **attributes},
    )


@pytest.fixture(scope="module")
def head(archive: Archive) -> list[Dataset]:
    """An axial series of 12 slices, each with its own values."""
    study, series = new_uid(), new_uid()
    slices = [
        _image(study, number, _quadrants(number), SeriesInstanceUID=series)
        for number in range(1, SLICES + 1)
    ]
    assert archive.store(*slices).status_code == 200
    return slices


def _views(page: Page) -> list[dict[str, Any]]:
    return page.evaluate("window.pacsweb.views()")


def _settled(page: Page, pane: int = 0) -> dict[str, Any]:
    """The viewport's state once it neither waits nor draws."""
    page.wait_for_function(
        "pane => { const view = window.pacsweb?.views()[pane];"
        " return view && view.status !== 'loading' && view.status !== 'empty'"
        " && (!view.shown || view.zoom !== undefined); }",
        arg=pane,
    )
    page.evaluate("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    return _views(page)[pane]


def _open(page: Page, stack: Stack, ds: Dataset) -> dict[str, Any]:
    page.goto(stack.url(f"/viewer/{ds.StudyInstanceUID}"))
    return _settled(page)


def _values(page: Page, pane: int = 0) -> np.ndarray:
    return np.array(page.evaluate("pane => window.pacsweb.pixels(pane).values", pane))


def _picture(page: Page, pane: int = 0) -> np.ndarray:
    """The viewport as painted, overlays switched off, as grey levels."""
    shot = page.locator(".pane").nth(pane).screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("L")).astype(int)


def _corners(picture: np.ndarray) -> dict[str, int]:
    """Grey near the middle of each quarter of the picture."""
    height, width = picture.shape
    side = min(height, width) // 4
    y, x = height // 2, width // 2
    return {
        "left top": picture[y - side, x - side],
        "right top": picture[y - side, x + side],
        "left bottom": picture[y + side, x - side],
        "right bottom": picture[y + side, x + side],
    }


def _press(page: Page, key: str) -> dict[str, Any]:
    page.keyboard.press(key)
    page.wait_for_timeout(120)
    return _settled(page)


def _drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """On the first viewport, in shares of its width and height."""
    box = page.locator(".pane").first.bounding_box()
    assert box is not None
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move((at[0][0] + at[1][0]) / 2, (at[0][1] + at[1][1]) / 2)
    page.mouse.move(*at[1], steps=4)
    page.mouse.up()


def test_a_stranger_sees_no_viewer(browser: Browser, stack: Stack, head: list[Dataset]) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(stack.url(f"/viewer/{head[0].StudyInstanceUID}"))
    assert "/login/" in page.url
    context.close()


def test_a_study_the_archive_lacks_is_said_plainly(page: Page, stack: Stack) -> None:
    page.goto(stack.url("/viewer/1.2.3.4.5.6.7"))
    expect(page.get_by_text("The archive does not have this study.")).to_be_visible()


def test_every_value_on_the_screen_is_the_files(
    page: Page, stack: Stack, head: list[Dataset]
) -> None:
    state = _open(page, stack, head[0])
    assert state["shown"]["index"] == SLICES // 2
    assert _picture(page).std() > 20
    _press(page, "Home")
    for index, ds in enumerate(head):
        state = _settled(page)
        assert state["shown"] == {
            "index": index,
            "sopInstanceUID": ds.SOPInstanceUID,
            "frameNumber": 1,
        }
        stored = np.frombuffer(ds.PixelData, "<i2").astype(int)
        assert np.array_equal(_values(page), stored + int(ds.RescaleIntercept))
        _press(page, "ArrowDown")


def test_the_patient_and_the_shown_image_are_named(
    page: Page, stack: Stack, head: list[Dataset]
) -> None:
    _open(page, stack, head[0])
    expect(page.get_by_test_id("patient")).to_have_text(
        re.compile(r"Lux, Prima\s*L-7\s*1 Jan 1970 \(54\)\s*O")
    )
    overlay = page.locator(".overlay")
    expect(overlay).to_contain_text("Lux, Prima")
    expect(overlay).to_contain_text("7/12")
    expect(overlay).to_contain_text("W 400 L 40  soft tissue")
    expect(overlay).to_contain_text("axial")
    page.mouse.move(700, 400)
    page.mouse.wheel(0, 100)
    expect(overlay).to_contain_text("8/12")
    page.keyboard.press("o")
    expect(overlay).to_be_hidden()


def test_the_first_image_does_not_wait_for_the_rest(
    page: Page, stack: Stack, head: list[Dataset]
) -> None:
    middle = head[SLICES // 2].SOPInstanceUID
    held: list[Route] = []

    def hold_others(route: Route) -> None:
        if middle in route.request.url:
            route.continue_()
        else:
            held.append(route)

    page.route("**/frames/*", hold_others)
    state = _open(page, stack, head[0])
    assert state["status"] == "shown"
    assert state["shown"]["sopInstanceUID"] == middle
    page.wait_for_timeout(500)
    wanted = [re.search(r"instances/([\d.]+)/", route.request.url).group(1) for route in held]  # type: ignore[union-attr]
    neighbours = {head[SLICES // 2 + step].SOPInstanceUID for step in (-2, -1, 1, 2)}
    assert set(wanted[:4]) == neighbours
    for route in held:
        route.continue_()
    page.unroute("**/frames/*")


def test_window_by_key_by_drag_and_back(page: Page, stack: Stack, head: list[Dataset]) -> None:
    state = _open(page, stack, head[0])
    assert state["window"] == {"center": 40, "width": 400}
    assert _press(page, "3")["window"] == {"center": 400, "width": 1800}
    before = _picture(page)
    _drag(page, (0.5, 0.5), (0.7, 0.5))
    assert _settled(page)["window"]["width"] > 1800
    assert not np.array_equal(before, _picture(page))
    assert _press(page, "0")["window"] == {"center": 40, "width": 400}


def test_letters_at_the_edges_follow_the_pixels(
    page: Page, stack: Stack, head: list[Dataset]
) -> None:
    """The bright quarter lies at the patient's right front, wherever it is turned to."""
    _open(page, stack, head[0])
    page.keyboard.press("3")
    for key, corner in [
        ("", "left top"),
        ("h", "right top"),
        ("v", "right bottom"),
        ("]", "left bottom"),
        ("0", "left top"),
        ("]", "right top"),
        ("h", "left top"),
    ]:
        state = _press(page, key) if key else _settled(page)
        page.keyboard.press("o")
        shades = _corners(_picture(page))
        page.keyboard.press("o")
        assert max(shades, key=lambda name: shades[name]) == corner, key
        horizontal, vertical = corner.split()
        assert {
            state["edges"][horizontal],
            state["edges"]["top" if vertical == "top" else "bottom"],
        } == {"R", "A"}
        if key == "0":
            page.keyboard.press("3")


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_PIX_01_polarity_is_turned_once_at_load_and_after_reset(
    page: Page, stack: Stack, archive: Archive, photometric: str
) -> None:
    ds = _image(
        new_uid(),
        1,
        _quadrants(0),
        PhotometricInterpretation=photometric,
        Modality="DX",
        WindowCenter=200,
        WindowWidth=500,
    )
    assert archive.store(ds).status_code == 200
    _open(page, stack, ds)
    page.keyboard.press("o")
    loaded = _corners(_picture(page))
    brightest_value_is_dark = photometric == "MONOCHROME1"
    assert bool(loaded["left top"] < loaded["right bottom"]) is brightest_value_is_dark
    _press(page, "i")
    inverted = _corners(_picture(page))
    assert bool(inverted["left top"] > inverted["right bottom"]) is brightest_value_is_dark
    _press(page, "i")
    assert _corners(_picture(page)) == loaded
    _press(page, "i")
    assert _press(page, "0")["inverted"] is False
    assert _corners(_picture(page)) == loaded


def test_a_stack_may_mix_both_polarities(page: Page, stack: Stack, archive: Archive) -> None:
    study, series = new_uid(), new_uid()
    pair = [
        _image(
            study, number, _quadrants(0), SeriesInstanceUID=series, PhotometricInterpretation=words
        )
        for number, words in [(1, "MONOCHROME1"), (2, "MONOCHROME2"), (3, "MONOCHROME1")]
    ]
    assert archive.store(*pair).status_code == 200
    _open(page, stack, pair[0])
    page.keyboard.press("o")
    seen = []
    for key in ("Home", "ArrowDown", "ArrowDown", "ArrowUp"):
        _press(page, key)
        shades = _corners(_picture(page))
        seen.append(bool(shades["left top"] < shades["right bottom"]))
    assert seen == [True, False, True, False]


def test_a_failed_image_is_covered_and_can_be_tried_again(
    browser: Browser, stack: Stack, head: list[Dataset]
) -> None:
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page = Watched(context.new_page()).page
    sign_in(page, stack)
    failing = head[SLICES // 2 + 1].SOPInstanceUID
    page.route(f"**/{failing}/frames/*", lambda route: route.fulfill(status=500, body=""))
    before = _open(page, stack, head[0])
    state = _press(page, "ArrowDown")
    assert state["status"] == "failed"
    cover = page.get_by_role("alert")
    expect(cover).to_contain_text("Image 8 of 12 cannot be shown")
    expect(cover).to_contain_text("500")
    expect(page.locator(".overlay")).to_be_hidden()
    assert _picture(page)[100:300, 100:300].max() == 0, "the previous picture shows through"
    assert _press(page, "ArrowUp")["shown"] == before["shown"]
    expect(cover).to_be_hidden()
    _press(page, "ArrowDown")
    page.unroute(f"**/{failing}/frames/*")
    cover.get_by_role("button", name="Try again").click()
    page.wait_for_function("() => window.pacsweb.views()[0].status === 'shown'")
    assert _settled(page)["shown"]["sopInstanceUID"] == failing
    context.close()


def _measure(page: Page) -> str:
    page.keyboard.press("l")
    page.wait_for_timeout(100)
    _drag(page, (0.4, 0.5), (0.6, 0.5))
    page.keyboard.press("Alt+m")
    entry = page.locator(".panel-list .measured").first
    expect(entry).to_contain_text("Length")
    # The engine computes at most ten times a second; the last one counts.
    page.wait_for_timeout(600)
    return entry.text_content() or ""


def test_a_length_is_in_millimetres_and_can_be_taken_back(
    page: Page, stack: Stack, head: list[Dataset]
) -> None:
    state = _open(page, stack, head[0])
    box = page.locator(".pane").first.bounding_box()
    assert box is not None
    expected = 0.2 * box["width"] * state["mmPerPixel"]
    found = re.search(r"Length ([\d.]+)\s*mm", _measure(page))
    assert found is not None
    assert float(found.group(1)) == pytest.approx(expected, rel=0.03)
    page.keyboard.press("Control+z")
    expect(page.get_by_text("Nothing is measured yet.")).to_be_visible()


@pytest.fixture
def measured(archive: Archive) -> Dataset:
    """A study of its own, so that nobody else measures on it."""
    ds = _image(new_uid(), 1, _quadrants(0))
    assert archive.store(ds).status_code == 200
    return ds


def _draw(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.keyboard.press("l")
    page.wait_for_timeout(100)
    _drag(page, start, end)


def _readings(page: Page) -> list[str]:
    if page.locator(".side-panel").count() == 0:
        page.keyboard.press("Alt+m")
    expect(page.locator(".panel-list .measured").first).to_contain_text("mm")
    return sorted(page.locator(".panel-list .measured").all_inner_texts())


def test_measurements_are_there_again_after_a_reload(
    page: Page, stack: Stack, measured: Dataset
) -> None:
    _open(page, stack, measured)
    _draw(page, (0.4, 0.5), (0.6, 0.5))
    saved = page.locator(".top-bar .draft")
    expect(saved).to_have_text("Draft saved")
    page.wait_for_timeout(600)
    expect(saved).to_have_text("Draft saved")
    before = _readings(page)
    page.reload()
    _settled(page)
    assert _readings(page) == before
    # It is drawn, too, and can be taken: the label stands beside the line.
    expect(page.locator(".image-canvas svg text").first).to_contain_text("mm")
    page.get_by_role("button", name="Delete Length").click()
    expect(page.get_by_text("Nothing is measured yet.")).to_be_visible()
    page.locator(".deleted-note").get_by_role("button", name="Undo").click()
    assert _readings(page) == before
    expect(saved).to_have_text("Draft saved")


def test_two_windows_lose_nothing_of_each_other(
    page: Page, browser: Browser, stack: Stack, measured: Dataset
) -> None:
    """Another computer of the same reader: the windows cannot talk to each other."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, locale="en-GB")
    other = context.new_page()
    sign_in(other, stack)
    for each in (page, other):
        _open(each, stack, measured)
    # Chromium logs every 409 as an error; the reader sees none.
    _draw(other, (0.4, 0.4), (0.6, 0.4))
    expect(other.locator(".top-bar .draft")).to_have_text("Draft saved")
    page.reload()
    _settled(page)
    assert len(_readings(page)) == 1
    _draw(page, (0.45, 0.7), (0.55, 0.7))
    expect(page.locator(".panel-list .measured")).to_have_count(2)
    expect(page.locator(".top-bar .draft")).to_have_text("Draft saved")
    _draw(other, (0.4, 0.3), (0.5, 0.3))
    other.keyboard.press("Alt+m")
    expect(other.locator(".panel-list .measured")).to_have_count(3)
    expect(other.locator(".top-bar .draft")).to_have_text("Draft saved")
    page.reload()
    _settled(page)
    page.keyboard.press("Alt+m")
    expect(page.locator(".panel-list .measured")).to_have_count(3)
    context.close()


def test_a_draft_that_cannot_be_saved_says_so_and_is_tried_again(
    browser: Browser, stack: Stack, measured: Dataset
) -> None:
    context = browser.new_context(viewport={"width": 1366, "height": 768}, locale="en-GB")
    page = context.new_page()
    sign_in(page, stack)
    _open(page, stack, measured)
    page.route(
        "**/measurements/",
        lambda route: route.abort() if route.request.method == "PUT" else route.continue_(),
    )
    _draw(page, (0.4, 0.5), (0.6, 0.5))
    failed = page.get_by_role("button", name="Draft not saved")
    expect(failed).to_be_visible(timeout=3000)
    page.unroute("**/measurements/")
    # Clicked in the page: meanwhile it may have tried again by itself, and the button be gone.
    page.evaluate("document.querySelector('.draft[data-state=failed]')?.click()")
    expect(page.locator(".top-bar .draft")).to_have_text("Draft saved")
    page.reload()
    _settled(page)
    assert len(_readings(page)) == 1
    context.close()


def test_PIX_09_no_spacing_no_millimetres(page: Page, stack: Stack, archive: Archive) -> None:
    ds = _image(new_uid(), 1, _quadrants(0), Modality="CR", WindowCenter=200, WindowWidth=500)
    del ds.PixelSpacing
    assert archive.store(ds).status_code == 200
    state = _open(page, stack, ds)
    assert state.get("mmPerPixel") is None
    expect(page.locator(".overlay")).to_contain_text("pixel spacing: none")
    words = _measure(page)
    assert "mm" not in words
    assert "px" in words
    expect(page.locator(".panel-list li").first).to_contain_text("pixel spacing: none")


def test_a_probe_reads_hounsfield_units(page: Page, stack: Stack, head: list[Dataset]) -> None:
    _open(page, stack, head[0])
    page.keyboard.press("Alt+m")
    page.wait_for_timeout(400)
    page.keyboard.press("d")
    probe = page.get_by_role("button", name="Probe", exact=True)
    expect(probe).to_have_attribute("aria-pressed", "true")
    box = page.locator(".pane").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2 - 100, box["y"] + box["height"] / 2 - 100)
    # Slice 7: 1424 + 7 stored, intercept -1024.
    # What an earlier reading of the study left in its draft may stand before it.
    read = page.locator(".panel-list .measured").filter(has_text="407\u2009HU")
    expect(read.first).to_be_visible()


def test_side_by_side_and_single_view(page: Page, stack: Stack, archive: Archive) -> None:
    study = new_uid()
    series = [
        _image(study, 1, _quadrants(number), SeriesNumber=number, SeriesDescription=f"S{number}")
        for number in (1, 2)
    ]
    assert archive.store(*series).status_code == 200
    _open(page, stack, series[0])
    page.get_by_role("button", name="Layout", exact=True).click()
    page.get_by_role("button", name="1 by 2").click()
    _settled(page, 1)
    assert [view["shown"]["sopInstanceUID"] for view in _views(page)] == [
        ds.SOPInstanceUID for ds in series
    ]
    page.locator(".series-card").nth(1).drag_to(page.locator(".pane").first)
    page.wait_for_function(
        "uid => window.pacsweb.views()[0].shown?.sopInstanceUID === uid",
        arg=series[1].SOPInstanceUID,
    )
    page.locator(".pane").nth(1).dblclick(position={"x": 200, "y": 400})
    expect(page.locator(".pane").first).to_be_hidden()
    page.wait_for_timeout(300)
    assert _picture(page, 1).std() > 10
    page.keyboard.press("Enter")
    expect(page.locator(".pane").first).to_be_visible()


def test_the_patients_other_study_by_key_blanks_everything_first(
    page: Page, stack: Stack, archive: Archive
) -> None:
    """`<` opens the study before this one; nothing of this one stands meanwhile."""
    patient = {"PatientID": f"P-{new_uid()[-12:]}", "PatientName": "Twice^Seen"}
    older = _image(new_uid(), 1, _quadrants(0), StudyDate="20200101", **patient)
    newer = _image(new_uid(), 1, _quadrants(50), StudyDate="20240101", **patient)
    assert archive.store(older, newer).status_code == 200
    _open(page, stack, newer)
    expect(page.locator(".study-menu")).to_be_visible()
    held: list[Route] = []
    other = f"**/dicom-web/studies?StudyInstanceUID={older.StudyInstanceUID}*"

    def hold(route: Route) -> None:
        held.append(route)

    page.route(other, hold)
    page.keyboard.press("<")
    page.wait_for_url(f"**/viewer/{older.StudyInstanceUID}")
    expect(page.locator(".identity")).to_have_text("")
    expect(page.locator(".overlay")).to_have_count(0)
    assert _picture(page).max() < 60, "the other study's picture still stands"
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    assert _settled(page)["shown"]["sopInstanceUID"] == older.SOPInstanceUID
    page.unroute(other)
    expect(page.locator(".study-menu")).to_be_visible()
    page.keyboard.press(">")
    page.wait_for_url(f"**/viewer/{newer.StudyInstanceUID}")


def test_keys_of_the_sheet_work_and_keys_of_nothing_are_absent(
    page: Page, stack: Stack, head: list[Dataset]
) -> None:
    _open(page, stack, head[0])
    for key, name in [("b", "Bidirectional"), ("t", "Text with arrow"), ("w", "Window")]:
        page.keyboard.press(key)
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_have_attribute("aria-pressed", "true")
    assert _press(page, "PageUp")["requested"] == 0
    assert _press(page, "End")["requested"] == SLICES - 1
    page.keyboard.press("c")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    page.keyboard.press("c")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog")
    # Key images, MPR and presentation states are not there yet.
    keys = set(sheet.locator("kbd").all_inner_texts())
    assert keys & {"k", "m", "g"} == set()
    assert {"w", "l", "b", "a", "e", "r", "d", "t", "i", "h", "v", "[", "]", "0", "<", ">"} <= keys
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("reference lines")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Reference lines")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_the_header_as_it_is_stored(page: Page, stack: Stack, archive: Archive) -> None:
    ds = _image(new_uid(), 1, _quadrants(0))
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    reference.ReferencedSOPInstanceUID = "1.2.3.4.5"
    ds.ReferencedImageSequence = Sequence([reference])
    block = ds.private_block(0x0029, "LUX LABS", create=True)
    block.add_new(0x10, "LO", "private words")
    assert archive.store(ds).status_code == 200
    _open(page, stack, ds)
    page.keyboard.press("Alt+h")
    search = page.get_by_label("Search the header")
    rows = page.locator(".header-place")
    search.fill("patientname")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("(0010,0010)")
    expect(rows.first).to_contain_text("Lux^Prima")
    expect(rows.first.locator("mark").first).to_have_text("PatientName")
    search.fill("1.2.3.4.5")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("ReferencedImageSequence")
    search.fill("private words")
    expect(rows.first).to_contain_text("LUX LABS")


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "99LUX", meaning
    return code


def _content(value_type: str, name: str, **attributes: Any) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", value_type
    item.ConceptNameCodeSequence = Sequence([_code("1", name)])
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


@pytest.fixture(scope="module")
def reported(archive: Archive) -> list[Dataset]:
    """A study of one image and the report about it."""
    image = _image(new_uid(), 1, _quadrants(0))
    sop = Dataset()
    sop.ReferencedSOPClassUID = image.SOPClassUID
    sop.ReferencedSOPInstanceUID = image.SOPInstanceUID
    measured = Dataset()
    measured.NumericValue = "12.5"
    measured.MeasurementUnitsCodeSequence = Sequence([_code("mm", "millimeter")])
    report = _image(image.StudyInstanceUID, 1, _quadrants(0), Modality="SR", SeriesNumber=9)
    for keyword in ("Rows", "Columns", "PixelData", "BitsAllocated", "PixelSpacing"):
        del report[keyword]
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    report.ContentDate, report.ContentTime = "20240103", "090000"
    report.CompletionFlag, report.VerificationFlag = "COMPLETE", "UNVERIFIED"
    report.ValueType, report.ContinuityOfContent = "CONTAINER", "SEPARATE"
    report.ConceptNameCodeSequence = Sequence([_code("2", "CT report")])
    report.ContentSequence = Sequence(
        [
            _content(
                "CONTAINER",
                "Findings",
                ContinuityOfContent="SEPARATE",
                ContentSequence=Sequence(
                    [
                        _content("TEXT", "Finding", TextValue="A bright quarter."),
                        _content("NUM", "Diameter", MeasuredValueSequence=Sequence([measured])),
                        _content("IMAGE", "Source", ReferencedSOPSequence=Sequence([sop])),
                    ]
                ),
            )
        ]
    )
    assert archive.store(image, report).status_code == 200
    return [image, report]


def test_a_structured_report_reads_as_a_page_and_opens_its_image(
    page: Page, stack: Stack, reported: list[Dataset]
) -> None:
    _open(page, stack, reported[0])
    page.keyboard.press(".")
    report = page.get_by_role("article", name="CT report")
    expect(report.get_by_role("heading", name="Findings")).to_be_visible()
    expect(report).to_contain_text("Lux, Prima · L-7 · 1 Jan 1970 (54) · O")
    expect(report).to_contain_text("Not verified")
    expect(report.get_by_role("row", name="Diameter 12.5 mm")).to_be_visible()
    expect(report.get_by_text("A bright quarter.")).to_be_visible()
    report.get_by_role("button", name="CT 1, image 1").click()
    page.wait_for_function("() => window.pacsweb.views().length === 2")
    assert _settled(page, 1)["shown"]["sopInstanceUID"] == reported[0].SOPInstanceUID
    expect(report).to_be_visible()


def test_every_key_on_the_sheet_and_everything_by_name(
    page: Page, stack: Stack, head: list[Dataset]
) -> None:
    _open(page, stack, head[0])
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys, mouse and touch")
    expect(sheet).to_contain_text("Flip left and right")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("bone")
    page.keyboard.press("Enter")
    assert _settled(page)["window"] == {"center": 400, "width": 1800}


def _rgb(study: str) -> Dataset:
    pixels = np.zeros((SIZE, SIZE, 3), "u1")
    pixels[:32, :32] = (200, 30, 10)
    pixels[32:, 32:] = (5, 60, 250)
    ds = _image(study, 1, _quadrants(0), Modality="OT", PixelRepresentation=0)
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelData = pixels.tobytes()
    return ds


def _palette(study: str) -> Dataset:
    pixels = np.zeros((SIZE, SIZE), "u1")
    pixels[:32, :32] = 1
    pixels[32:, 32:] = 2
    ds = _rgb(study)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "PALETTE COLOR"
    del ds.PlanarConfiguration
    ds.PixelData = pixels.tobytes()
    for color, entries in [("Red", (0, 200, 5)), ("Green", (0, 30, 60)), ("Blue", (0, 10, 250))]:
        table = np.zeros(4096, "<u2")
        table[:3] = np.array(entries) << 8
        # More than the archive keeps inline, so the viewer has to fetch it.
        setattr(ds, f"{color}PaletteColorLookupTableDescriptor", [4096, 0, 16])
        setattr(ds, f"{color}PaletteColorLookupTableData", table.tobytes())
    return ds


def _ybr_422(study: str) -> Dataset:
    """The same colours in pairs of pixels: Y1 Y2 Cb Cr."""
    stored = np.zeros((SIZE, SIZE // 2, 4), "u1")
    stored[..., 2:] = 128
    for rows, columns, (red, green, blue) in [
        (slice(32), slice(16), (200, 30, 10)),
        (slice(32, None), slice(16, None), (5, 60, 250)),
    ]:
        y = 0.299 * red + 0.587 * green + 0.114 * blue
        cb, cr = (blue - y) / 1.772 + 128, (red - y) / 1.402 + 128
        stored[rows, columns] = np.rint([y, y, cb, cr])
    ds = _rgb(study)
    ds.PhotometricInterpretation = "YBR_FULL_422"
    ds.PixelData = stored.tobytes()
    return ds


@pytest.mark.parametrize("make", [_rgb, _palette, _ybr_422])
def test_PIX_07_colours_are_the_files(
    page: Page, stack: Stack, archive: Archive, make: Callable[[str], Dataset]
) -> None:
    ds = make(new_uid())
    assert archive.store(ds).status_code == 200
    assert _open(page, stack, ds)["color"] is True
    values = _values(page).reshape(SIZE, SIZE, 3)
    rounding = 2 if make is _ybr_422 else 0
    for (row, column), color in [
        ((0, 0), [200, 30, 10]),
        ((-1, -1), [5, 60, 250]),
        ((0, -1), [0, 0, 0]),
    ]:
        assert np.abs(values[row, column] - color).max() <= rounding


def test_a_multi_frame_image_is_a_stack_that_plays(
    page: Page, stack: Stack, archive: Archive
) -> None:
    frames = np.stack([_quadrants(number) for number in range(5)])
    ds = _image(new_uid(), 1, _quadrants(0), NumberOfFrames=5, Modality="XA", FrameTime=20)
    ds.PixelData = frames.astype("<i2").tobytes()
    assert archive.store(ds).status_code == 200
    state = _open(page, stack, ds)
    assert (state["count"], state["rate"]) == (5, 50)
    _press(page, "End")
    assert _values(page).max() == 1424 + 4 - 1024
    page.keyboard.press("c")
    page.wait_for_function(
        "() => { window.seen ??= new Set(); const view = window.pacsweb.views()[0];"
        " if (view.playing && view.shown) window.seen.add(view.shown.index);"
        " return window.seen.size === 5; }"
    )
    page.keyboard.press("c")
    assert _settled(page)["playing"] is False


def test_a_presentation_state_shows_its_image_drawn_with_it(
    page: Page, stack: Stack, archive: Archive
) -> None:
    """Drawn by the server: inverted here, as the state says."""
    ds = _image(new_uid(), 1, _quadrants(0), SeriesNumber=1)
    window = Dataset()
    window.WindowCenter, window.WindowWidth = "1224", "500"
    state = state_for(
        ds,
        PresentationLUTShape="INVERSE",
        SeriesNumber=9,
        SoftcopyVOILUTSequence=Sequence([window]),
    )
    state.PatientName, state.PatientID = ds.PatientName, ds.PatientID
    assert archive.store(ds, state).status_code == 200
    _open(page, stack, ds)
    page.keyboard.press(".")
    drawn = page.locator(".presented img")
    expect(page.get_by_text("drawn with it. It is a picture: not for measuring.")).to_be_visible()
    page.wait_for_function("() => document.querySelector('.presented img')?.naturalWidth === 64")
    source = drawn.get_attribute("src")
    picture = stack.get(str(source), headers={"Accept": "image/png"}).content
    levels = np.asarray(Image.open(io.BytesIO(picture)).convert("L")).astype(int)
    assert levels[50, 50] - levels[8, 8] > 150, "inverted"


def test_an_ecg_is_drawn_on_millimetre_paper(page: Page, stack: Stack, archive: Archive) -> None:
    """Two leads of two seconds, 25 mm a second at first."""
    ds = _image(new_uid(), 1, _quadrants(0))
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        delattr(ds, keyword)
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.9.1.1", "ECG"
    group = Dataset()
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = 2, 1000
    group.SamplingFrequency, group.MultiplexGroupLabel = 500, "RHYTHM"
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.ChannelDefinitionSequence = Sequence([_lead("Lead I"), _lead("Lead II")])
    beats = (1000 * np.sin(np.arange(2000) / 40)).astype("<i2")
    group.add_new("WaveformData", "OW", beats.tobytes())
    ds.WaveformOriginality = "ORIGINAL"
    ds.WaveformSequence = Sequence([group])
    assert archive.store(ds).status_code == 200
    page.goto(stack.url(f"/viewer/{ds.StudyInstanceUID}"))
    paper = page.get_by_role("img", name="RHYTHM I, II")
    expect(paper).to_be_visible()
    box = paper.bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(44 + 2 * 25 * 96 / 25.4, abs=2)
    page.get_by_label("Speed").select_option("50")
    page.wait_for_function("() => document.querySelector('.waveform canvas').clientWidth > 400")


def _lead(name: str) -> Dataset:
    lead = Dataset()
    lead.ChannelSourceSequence = Sequence([_code(name, name)])
    lead.ChannelSensitivity, lead.WaveformBitsStored = 1, 16
    lead.ChannelSensitivityUnitsSequence = Sequence([_code("uV", "microvolt")])
    return lead


def test_a_video_goes_to_the_browsers_player_and_one_it_cannot_play_is_said(
    page: Page, stack: Stack, archive: Archive
) -> None:
    ds = _image(new_uid(), 1, _quadrants(0), NumberOfFrames=3)
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.77.1.1.1", "ES"
    ds.PixelData = encapsulate([b"\0\0\0\x18ftypmp42" + bytes(2000)], has_bot=False)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    assert archive.store(part10(ds, "1.2.840.10008.1.2.4.102")).status_code == 200
    with page.expect_response("**/rendered?accept=*") as asked:
        page.goto(stack.url(f"/viewer/{ds.StudyInstanceUID}"))
    assert asked.value.headers["content-type"] == "video/mp4"
    expect(page.get_by_text("This browser cannot play the video as it is stored.")).to_be_visible()
    page.get_by_role("button", name="Look into its header").click()
    expect(page.get_by_label("Search the header")).to_be_visible()


def test_two_headers_side_by_side(page: Page, stack: Stack, head: list[Dataset]) -> None:
    _open(page, stack, head[0])
    page.get_by_role("button", name="Layout", exact=True).click()
    page.get_by_role("button", name="1 by 2").click()
    page.locator(".series-card").first.drag_to(page.locator(".pane").nth(1))
    _settled(page, 1)
    page.keyboard.press("Alt+h")
    _press(page, "ArrowDown")
    page.get_by_role("button", name="Compare with the other viewport").click()
    rows = page.locator(".header-place")
    number = rows.filter(has_text="InstanceNumber")
    expect(number).to_contain_text("8")
    expect(number).to_contain_text("7")
    expect(rows.filter(has_text="PatientName")).to_have_count(0)
    expect(page.get_by_role("columnheader", name="Viewport 1")).to_be_visible()


def test_an_image_fits_its_viewport_again_unless_it_was_zoomed(
    page: Page, stack: Stack, head: list[Dataset]
) -> None:
    whole = _open(page, stack, head[0])["zoom"]
    page.keyboard.press("Alt+h")
    page.wait_for_timeout(300)
    narrow = _settled(page)["zoom"]
    assert narrow < whole
    page.keyboard.press("Alt+h")
    page.wait_for_timeout(300)
    assert _settled(page)["zoom"] == pytest.approx(whole, rel=0.01)
    zoomed = _press(page, "+")["zoom"]
    page.keyboard.press("Alt+h")
    page.wait_for_timeout(300)
    assert _settled(page)["zoom"] == pytest.approx(zoomed, rel=0.01)
