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


def test_a_filter_kept_as_a_tab_is_there_after_reload_with_its_count(page: Page) -> None:
    expect(_rows(page).first).to_be_visible()
    page.get_by_role("textbox", name="Filter by description").fill("nothing-like-this")
    page.get_by_role("button", name="Save as a tab").click()
    page.get_by_label("Name of the tab").fill("Mine")
    page.get_by_role("button", name="Save", exact=True).click()
    tab = page.get_by_role("button", name="Mine 0")
    expect(tab).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="All", exact=True).click()
    page.reload()
    tab.click()
    expect(page.get_by_role("status").filter(has_text="No study matches")).to_be_visible()
    page.get_by_role("button", name="Change the tab Mine").click()
    page.get_by_role("menuitem", name="Remove this tab").click()
    expect(tab).to_have_count(0)
    page.keyboard.press("Escape")


def test_columns_keep_the_order_the_user_gave_them(page: Page, stack: Stack) -> None:
    heads = page.get_by_role("columnheader")
    expect(heads.nth(0)).to_contain_text("State")
    page.get_by_role("button", name="Columns", exact=True).click()
    with page.expect_response("**/api/preferences/study-list/"):
        page.get_by_role("button", name="Move State to the right").click()
    expect(heads.nth(0)).to_contain_text("Patient")
    page.evaluate("localStorage.clear()")  # another browser of the same user
    page.goto(stack.url("/"))
    expect(heads.nth(0)).to_contain_text("Patient")
    page.get_by_role("button", name="Columns", exact=True).click()
    with page.expect_response("**/api/preferences/study-list/"):
        page.get_by_role("button", name="As at first").click()
    expect(heads.nth(0)).to_contain_text("State")


def test_a_session_that_ends_covers_the_list_and_a_dead_server_is_said(
    browser: Browser, stack: Stack
) -> None:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, stack)
    expect(_rows(page).first).to_be_visible()
    page.route("**/api/**", lambda route: route.abort())
    expect(page.get_by_text("The server does not answer")).to_be_visible(timeout=8000)
    expect(_rows(page).first).to_be_visible()  # what is known stays
    page.unroute("**/api/**")
    expect(page.get_by_text("The server does not answer")).to_have_count(0)
    context.clear_cookies()
    cover = page.get_by_role("alertdialog")
    expect(cover).to_contain_text("Your session has ended")
    expect(_rows(page).first).to_be_hidden()
    cover.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/login/?next=*")
    context.close()


def test_sorting_by_a_column_head(page: Page) -> None:
    page.get_by_role("button", name="Patient", exact=True).click()
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
    expect(row.locator('[data-column="images"]')).to_have_text("1 / 3")
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
    expect(row).to_contain_text("onerror")
    assert page.evaluate("window.__hacked") is None


def test_files_chosen_are_stored(page: Page, tmp_path: Path) -> None:
    study = "2.25.700000000000000000000000000000004"
    good, bad = tmp_path / "good.dcm", tmp_path / "bad.dcm"
    _slice(study, 1, "UPLOADED^UMA").save_as(good)
    bad.write_text("not DICOM at all")
    page.set_input_files('input[type="file"]', [good, bad])
    strip = page.locator(".upload-strip")
    expect(strip).to_contain_text("2 of 2 files sent, 1 stored")
    expect(strip).to_contain_text("1 refusals")
    expect(page.locator(f'.study-row[data-uid="{study}"]')).to_be_visible(timeout=8000)


def test_a_study_is_marked_read_by_its_key(page: Page) -> None:
    complete = page.locator(".study-row:has([data-state=complete])")
    expect(complete.first).to_be_visible(timeout=60_000)
    page.keyboard.press("n")
    selected = page.locator(".study-row[aria-selected=true]")
    expect(selected).to_contain_text("complete")
    uid = selected.get_attribute("data-uid")
    row = page.locator(f'.study-row[data-uid="{uid}"]')
    page.keyboard.press("m")
    expect(row).to_contain_text("read")
    page.keyboard.press("n")
    expect(page.locator(".study-row[aria-selected=true]")).not_to_have_attribute(
        "data-uid", uid or ""
    )
    row.click()
    page.keyboard.press("m")
    expect(row).to_contain_text("complete")


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
