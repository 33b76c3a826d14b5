"""Another archive beside the study list, in a real browser: searched, fetched from, sent to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.builders import ct_slice, new_uid
from tests.protocol.odd_web_archive import SECRET, USER, OddWebArchive, serving
from tests.servers import free_port
from tests.stack import Stack

IMAGES = 6
HOSTILE = "<img src=x onerror=document.title='hit'>"


class Far:
    """An archive with two studies: it finds them, and sends one of them when asked."""

    def __init__(self, destination: int) -> None:
        self.port = free_port()
        self.study = new_uid()
        self._destination = destination
        self._series = new_uid()

    def start(self) -> Any:
        ae = AE(ae_title="FAR")
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
        ae.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
        ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        handlers = [
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_MOVE, self._move),
            (evt.EVT_C_STORE, lambda _event: 0x0000),
        ]
        return ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def _find(self, _event: Any) -> Iterator[tuple[int, Dataset]]:
        for uid, what in ((self.study, "Chest"), ("1.2.3.4.99", HOSTILE)):
            ds = Dataset()
            ds.QueryRetrieveLevel, ds.StudyInstanceUID = "STUDY", uid
            ds.PatientName, ds.PatientID, ds.StudyDescription = "FAR^AWAY", "F-1", what
            ds.StudyDate, ds.ModalitiesInStudy = "20240301", "CT"
            ds.NumberOfStudyRelatedInstances = IMAGES
            yield 0xFF00, ds

    def _move(self, event: Any) -> Iterator[Any]:
        if event.identifier.StudyInstanceUID != self.study:
            yield None, None  # A801
            return
        yield "127.0.0.1", self._destination
        yield IMAGES
        for number in range(1, IMAGES + 1):
            ds = ct_slice(study=self.study, series=self._series, number=number,
                          PatientName="FAR^AWAY", PatientID="F-1")  # fmt: skip
            ds.file_meta = FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            yield 0xFF00, ds


@pytest.fixture(scope="module")
def far(stack: Stack) -> Iterator[Far]:
    made = Far(stack.dicom_port)
    stack.manage("ae", "add", "FAR", "127.0.0.1", str(made.port))
    server = made.start()
    yield made
    server.shutdown()


def test_a_study_is_found_elsewhere_fetched_by_a_key_opened_and_sent_back(
    far: Far, page: Page, stack: Stack
) -> None:
    page.reload()
    expect(page.get_by_role("button", name="Studies", exact=True)).to_be_visible()
    page.keyboard.press("a")
    page.get_by_role("menuitem", name="FAR").click()
    expect(page.get_by_text("Say what to look for in FAR.")).to_be_visible()
    page.keyboard.type("far")
    row = page.locator(f'[data-uid="{far.study}"]')
    expect(row).to_contain_text("not here")
    expect(page.locator(".remote-row")).to_have_count(2)
    expect(page.locator(".remote-row").last).to_contain_text(HOSTILE)
    assert page.title() == "Studies in FAR · pacsweb"

    page.keyboard.press("Enter")
    expect(row).to_have_attribute("aria-selected", "true")
    page.keyboard.press("p")
    expect(row.locator(".state")).to_have_text("here")

    page.keyboard.press("ArrowDown")
    page.keyboard.press("p")
    expect(page.get_by_role("alert").last).to_contain_text(
        "FAR answered A801: it does not know where to send", timeout=30_000
    )
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url(stack.url(f"/viewer/{far.study}"))

    page.goto(stack.url("/?q=F-1"))
    page.locator(f'[data-uid="{far.study}"]').click()
    page.keyboard.press("s")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("FAR, AWAY")
    dialog.get_by_role("button", name="Send to FAR").press("Enter")
    expect(page.get_by_role("status").last).to_contain_text("To FAR: done")


def test_an_administrator_fetches_by_uid_and_sends_after_being_told_what(
    far: Far, page: Page, stack: Stack
) -> None:
    page.goto(stack.url("/admin/network/applicationentity/"))
    page.get_by_role("link", name="FAR", exact=True).click()
    page.get_by_role("link", name="Fetch studies from it").click()
    page.get_by_label("Study Instance UIDs").fill("../etc")
    page.get_by_role("button", name="Look what it has").click()
    expect(page.locator(".messagelist")).to_contain_text("../etc is no UID.")
    page.get_by_label("Study Instance UIDs").fill(f"{far.study}\n1.2.3.4.99 1.2.3.4.100")
    page.get_by_role("button", name="Look what it has").click()
    expect(page.get_by_role("cell", name="FAR, AWAY · F-1")).to_have_count(2)
    expect(page.locator("#content")).to_contain_text(HOSTILE)
    expect(page.locator("#content")).to_contain_text("It knows nothing of 1 other.")
    page.get_by_role("button", name="Fetch").click()
    expect(page.locator(".messagelist")).to_contain_text("2 studies are fetched from FAR.")

    stack.wait_until(lambda: bool(_here(stack, far.study)))
    page.goto(stack.url(f"/admin/archive/study/?q={far.study}"))
    page.locator("#result_list tbody th a").first.click()
    page.get_by_role("button", name="Send to another system").click()
    expect(page.locator("#content")).to_contain_text("FAR, AWAY · F-1")
    page.get_by_label("To", exact=True).select_option("FAR")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("are sent to FAR.")


def test_a_dicomweb_archive_is_searched_and_fetched_from_like_any_other(
    page: Page, stack: Stack
) -> None:
    study = OddWebArchive.new_study(PatientName="WEBVIEW^ONE")
    with serving() as port:
        made = {"name": "north-wing", "url": f"http://127.0.0.1:{port}/base"}
        signing = {"user": USER, "secret": SECRET}
        path = stack.url("/api/dicomweb-archives/")
        answer = requests.post(path, json=made | signing, auth=stack.auth, timeout=30)
        assert answer.status_code == 201, answer.text
        page.goto(stack.url("/"))
        expect(page.get_by_role("button", name="Studies", exact=True)).to_be_visible()
        page.keyboard.press("a")
        page.get_by_role("menuitem", name="north-wing DICOMweb").click()
        expect(page.get_by_text("Say what to look for in north-wing.")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("button", name="Studies", exact=True)).to_be_visible()
        page.go_forward()
        expect(page.get_by_text("Say what to look for in north-wing.")).to_be_visible()
        page.keyboard.type("webview")
        row = page.locator(f'[data-uid="{study}"]')
        expect(row).to_contain_text("not here")
        page.keyboard.press("Enter")
        expect(row).to_have_attribute("aria-selected", "true")
        page.keyboard.press("p")
        expect(row.locator(".state")).to_have_text("here")
        page.reload()
        expect(page.get_by_role("heading", name="Studies in north-wing")).to_be_visible()
        expect(row).to_contain_text("here")

        # The administration pages have it beside the application entities.
        other = OddWebArchive.new_study(PatientName="WEBADMIN^TWO")
        page.goto(stack.url("/admin/network/webarchive/"))
        page.get_by_role("link", name="north-wing", exact=True).click()
        page.get_by_role("link", name="Fetch studies from it").click()
        page.get_by_label("Study Instance UIDs").fill(f"{study}\n{other}\n1.2.3.4.99")
        page.get_by_role("button", name="Look what it has").click()
        expect(page.get_by_role("cell", name="WEBADMIN, TWO")).to_have_count(1)
        expect(page.locator("#content")).to_contain_text("It knows nothing of 1 other.")
        expect(page.get_by_label("How")).to_have_count(0)
        page.get_by_role("button", name="Fetch").click()
        expect(page.locator(".messagelist")).to_contain_text("2 studies are fetched from north-")
        stack.wait_until(lambda: bool(_here(stack, other)))
        page.goto(stack.url(f"/admin/archive/study/?q={other}"))
        page.locator("#result_list tbody th a").first.click()
        page.get_by_role("button", name="Send to another system").click()
        page.get_by_label("To", exact=True).select_option("north-wing")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator(".messagelist")).to_contain_text("are sent to north-wing.")
        stack.wait_until(
            lambda: any(each.StudyInstanceUID == other for each in OddWebArchive.stored)
        )


def _here(stack: Stack, study: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = stack.get(f"/api/studies/?uid={study}").json()["studies"]
    return rows
