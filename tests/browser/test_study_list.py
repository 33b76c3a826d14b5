"""The study list in a real browser on the running product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE

from tests.browser.conftest import Watched, sign_in
from tests.stack import Stack

CT_SMALL = Path(__import__("pydicom").__file__).parent / "data" / "test_files" / "CT_small.dcm"


@pytest.fixture(scope="module", autouse=True)
def _demo(stack: Stack) -> None:
    stack.manage("demo")


@pytest.fixture
def modality(stack: Stack) -> Iterator[object]:
    """An association from a scanner."""
    ae = AE(ae_title="CT1")
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
    association = ae.associate("127.0.0.1", stack.dicom_port, ae_title="PACSWEB")
    assert association.is_established
    yield association
    association.release()


def _slice(study: str, number: int, name: str = "ARRIVING^ANN") -> Dataset:
    dataset = dcmread(CT_SMALL)
    dataset.PatientName, dataset.PatientID = name, f"ID-{study[-6:]}"
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = f"{study}.1"
    dataset.SOPInstanceUID = f"{study}.1.{number}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.InstanceNumber = number
    return dataset


def _rows(page: Page):
    return page.locator(".study-row")


def test_a_stranger_is_sent_to_sign_in_and_back(browser: Browser, stack: Stack) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(stack.url("/?q=doe"))
    assert "/login/" in page.url
    name, password = stack.auth
    page.fill("#id_username", name)
    page.fill("#id_password", "wrong")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    page.fill("#id_password", password)
    page.click("button[type=submit]")
    page.wait_for_url("**/?q=doe*")
    context.close()


def test_typing_a_name_anywhere_searches(page: Page) -> None:
    expect(_rows(page).first).to_be_visible()
    before = _rows(page).count()
    page.keyboard.type("doe peter")
    expect(page.locator(".patient-name").first).to_contain_text("Doe, Peter")
    expect(page.locator(".patient-name", has_text="Archibald")).to_have_count(0)
    assert 0 < _rows(page).count() < before


def test_no_match_names_the_filter_in_the_way(page: Page, stack: Stack) -> None:
    page.goto(stack.url("/?q=doe&description=nothing-like-this"))
    notice = page.get_by_role("status")
    expect(notice).to_contain_text("No study matches")
    expect(notice).to_contain_text("Without the filter on description")
    notice.get_by_role("button", name="Lift it").first.click()
    expect(_rows(page).first).to_be_visible()


def test_sorting_by_a_column_head(page: Page) -> None:
    page.get_by_role("button", name="Patient").click()
    expect(page.get_by_role("columnheader", name="Patient")).to_have_attribute(
        "aria-sort", "ascending"
    )
    page.wait_for_timeout(600)
    names = [text.lower() for text in page.locator(".patient-name").all_inner_texts()]
    named = [each for each in names if each != "no name"]
    assert len(named) > 3
    assert named == sorted(named)


def test_keys_move_and_open(page: Page) -> None:
    expect(_rows(page).first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    selected = page.locator(".study-row[aria-selected=true]")
    expect(selected).to_have_count(1)
    uid = selected.get_attribute("data-uid")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/viewer/{uid}")


def test_the_sheet_of_keys_opens_by_its_key(page: Page) -> None:
    expect(_rows(page).first).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keys of the study list")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_an_arriving_study_appears_and_grows_without_reload(page: Page, modality) -> None:
    expect(_rows(page).first).to_be_visible()
    study = "2.25.700000000000000000000000000000001"
    marker = page.evaluate("window.__same_page = Math.random()")
    assert modality.send_c_store(_slice(study, 1)).Status == 0x0000
    row = page.locator(f'.study-row[data-uid="{study}"]')
    expect(row).to_be_visible(timeout=8000)
    expect(row).to_contain_text("receiving")
    expect(row.locator('[data-column="images"]')).to_have_text("1 / 1")
    for number in (2, 3):
        assert modality.send_c_store(_slice(study, number)).Status == 0x0000
    expect(row.locator('[data-column="images"]')).to_have_text("1 / 3", timeout=8000)
    assert page.evaluate("window.__same_page") == marker


def test_an_arrival_does_not_move_rows_under_the_pointer(page: Page, modality) -> None:
    expect(_rows(page).first).to_be_visible()
    first = _rows(page).first
    uid = first.get_attribute("data-uid")
    first.hover()
    study = "2.25.700000000000000000000000000000002"
    assert modality.send_c_store(_slice(study, 1, "LATER^LEA")).Status == 0x0000
    expect(page.get_by_role("button", name="1 new")).to_be_visible(timeout=8000)
    assert _rows(page).first.get_attribute("data-uid") == uid
    page.get_by_role("button", name="1 new").click()
    expect(page.locator(f'.study-row[data-uid="{study}"]')).to_be_visible()


def test_SEC_04_a_hostile_name_is_shown_as_text(watched: Watched, modality) -> None:
    page = watched.page
    study = "2.25.700000000000000000000000000000003"
    dataset = _slice(study, 1, "<img src=x onerror=window.__hacked=1>^X")
    dataset.StudyDescription = "<script>window.__hacked=1</script>"
    assert modality.send_c_store(dataset).Status == 0x0000
    row = page.locator(f'.study-row[data-uid="{study}"]')
    expect(row).to_contain_text("onerror", timeout=8000)
    assert page.evaluate("window.__hacked") is None


def test_files_chosen_are_stored(page: Page, tmp_path: Path) -> None:
    study = "2.25.700000000000000000000000000000004"
    good, bad = tmp_path / "good.dcm", tmp_path / "bad.dcm"
    _slice(study, 1, "UPLOADED^UMA").save_as(good)
    bad.write_text("not DICOM at all")
    page.set_input_files('input[type="file"]', [good, bad])
    strip = page.locator(".upload-strip")
    expect(strip).to_contain_text("2 of 2 files sent, 1 stored", timeout=15_000)
    expect(strip).to_contain_text("1 refusals")
    expect(page.locator(f'.study-row[data-uid="{study}"]')).to_be_visible(timeout=8000)


def test_an_empty_archive_says_how_to_send_and_loads_the_demo(
    browser: Browser, own_stack: Stack
) -> None:
    own_stack.start()
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, own_stack)
    notice = page.get_by_role("status")
    expect(notice).to_contain_text("No studies yet")
    expect(notice).to_contain_text(str(own_stack.dicom_port))
    notice.get_by_role("button", name="Load demo studies").click()
    expect(_rows(page).first).to_be_visible(timeout=20_000)
    context.close()
