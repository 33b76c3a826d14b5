"""The incident of the inverted radiographs, from the device to the screen and back."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import ComputedRadiographyImageStorage

from tests.browser.conftest import Watched, sign_in
from tests.builders import ct_slice, new_uid
from tests.radiographs import radiograph
from tests.stack import Stack


def _sent(stack: Stack, photometric: str) -> Dataset:
    """A skull whose air has low values, from an old device that says anything of it."""
    values = radiograph("skull", np.random.default_rng(1))
    dataset = ct_slice(study=new_uid(), PatientName="Incident^Replayed", PatientID="INC-1")
    dataset.SOPClassUID, dataset.Modality = ComputedRadiographyImageStorage, "CR"
    dataset.StationName, dataset.BodyPartExamined = "ROOM1", "SKULL"
    dataset.PhotometricInterpretation = photometric
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope = "0", "1"
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PixelData = values.astype("<u2").tobytes()
    entity = AE(ae_title="LEGACYCR")
    entity.add_requested_context(ComputedRadiographyImageStorage)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    association = entity.associate("127.0.0.1", stack.dicom_port, ae_title=stack.ae_title)
    assert association.is_established
    assert association.send_c_store(dataset).Status == 0
    association.release()
    return dataset


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Page:
    watched = Watched(browser.new_context(viewport={"width": 1366, "height": 768}).new_page())
    sign_in(watched.page, stack)
    return watched.page


def _shot(locator: Locator) -> NDArray[np.int64]:
    shot = locator.screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("L")).astype(np.int64)


def _air(page: Page, stack: Stack, dataset: Dataset) -> int:
    """Grey of the air as the viewer paints it, beside the skull."""
    page.goto(stack.url(f"/viewer/{dataset.StudyInstanceUID}"))
    page.wait_for_function(
        "() => { const view = window.pacsweb?.views()[0];"
        " return view && view.status === 'shown' && view.zoom !== undefined; }"
    )
    page.evaluate("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    picture = _shot(page.locator(".pane").first)
    height, width = picture.shape
    side = min(height, width)
    return int(picture[height // 2, width // 2 - int(side * 0.42)])


def test_the_incident_of_the_inverted_radiographs_on_the_screen(page: Page, stack: Stack) -> None:
    right = _sent(stack, "MONOCHROME2")
    wrong = [_sent(stack, "MONOCHROME1") for _ in range(2)]
    study = stack.url(f"/polarity/studies/{wrong[1].StudyInstanceUID}/")

    def flagged() -> bool:
        page.goto(study)
        return page.get_by_text("Look at the finding").count() > 0

    stack.wait_until(flagged)
    assert _air(page, stack, wrong[0]) > 200
    assert _air(page, stack, right) < 50

    # In the viewer the same page is reached by its name.
    page.keyboard.press("Control+k")
    page.keyboard.type("Compare both")
    with page.expect_popup() as opened:
        page.keyboard.press("Enter")
    expect(opened.value.get_by_text("appear with black and white exchanged")).to_have_count(0)
    expect(opened.value.get_by_text("as expected")).to_be_visible()
    opened.value.close()

    page.goto(stack.url("/"))
    page.evaluate("localStorage.setItem('pacsweb.list.panel', 'true')")
    page.reload()
    page.get_by_role("row", name=re.compile("attention Incident")).first.click()
    expect(page.get_by_role("link", name="Compare both polarities")).to_be_visible()

    page.goto(study)
    page.get_by_role("link", name="Look at the finding").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        re.compile(r"appear with black and white exchanged: 2 of 2")
    )
    pictures = page.locator("figure img")
    expect(pictures).to_have_count(4)
    for index, shade in enumerate((255, 0)):
        page.wait_for_function(
            "i => document.querySelectorAll('figure img')[i].naturalWidth > 0", arg=index
        )
        picture = _shot(pictures.nth(index))
        middle = picture[picture.shape[0] // 2]
        assert abs(int(middle[len(middle) // 10]) - shade) < 30

    page.get_by_role("button", name="Make a display rule").click()
    expect(page.get_by_text("Confirmed by")).to_be_visible()
    assert all(_air(page, stack, each) < 50 for each in wrong)
    assert _air(page, stack, right) < 50

    page.go_back()
    page.goto(study)
    page.get_by_role("link", name="Confirmed").click()
    page.get_by_role("button", name="Take this back").click()
    expect(page.get_by_role("button", name="Make a display rule")).to_be_visible()
    assert _air(page, stack, wrong[0]) > 200
