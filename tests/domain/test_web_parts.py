"""What a DICOMweb archive sends, part by part: what is kept, read over, and too much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.dicom.multipart import Part
from apps.dicom.part_uids import Uids
from apps.ingest import inbox
from apps.network.models import WebArchive
from apps.transfers import web_parts
from apps.transfers.web_parts import Receiver
from apps.transfers.web_queries import OddAnswer
from tests.builders import ct_slice, part10

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    """An inbox of the test's own."""


@pytest.fixture
def arrived() -> list[Uids]:
    return []


@pytest.fixture
def receiver(arrived: list[Uids]) -> Receiver:
    north = WebArchive(name="north", url="http://north.example.org/dw")
    return Receiver(north, lambda came: arrived.extend(uids for uids, _ in came))


def _endless(head: bytes) -> Iterator[bytes]:
    yield head
    while True:
        yield bytes(1 << 16)


def test_what_came_before_is_read_over_and_what_nobody_asked_for_has_an_end(
    receiver: Receiver, arrived: list[Uids]
) -> None:
    image = ct_slice()
    file, asked = part10(image), {"StudyInstanceUID": str(image.StudyInstanceUID)}
    for _ in range(150):
        receiver.take(Part({}, iter((file,))), asked, lambda _uids: False)
    receiver.take(Part({}, iter((file,))), asked, lambda _uids: True)
    receiver.settle()
    assert [each.sop_instance_uid for each in arrived] == [image.SOPInstanceUID]
    assert (receiver.unwanted, inbox.depth().files) == (0, 1)
    other = {"StudyInstanceUID": "1.2"}
    for _ in range(100):
        receiver.take(Part({}, iter((file,))), other, lambda _uids: True)
    with pytest.raises(OddAnswer, match="north keeps sending what it was not asked for"):
        receiver.take(Part({}, iter((file,))), other, lambda _uids: True)
    assert inbox.depth().files == 1


def test_an_instance_without_end_is_left(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_parts, "LONGEST_INSTANCE", 1 << 20)
    image = ct_slice()
    asked = {"SOPInstanceUID": str(image.SOPInstanceUID)}
    for wanted in (True, False):
        with pytest.raises(OddAnswer, match="an instance without end"):
            receiver.take(
                Part({}, _endless(part10(image))), asked, lambda _uids, wanted=wanted: wanted
            )
    receiver.settle()
    assert inbox.depth().files == 0


def test_uids_that_cannot_be_written_down_are_not_taken(receiver: Receiver) -> None:
    image = ct_slice()
    series = str(image.SeriesInstanceUID).encode()
    file = part10(image).replace(series, series[:8] + b"\0" + series[9:])
    asked = {"StudyInstanceUID": str(image.StudyInstanceUID)}
    receiver.take(Part({}, iter((file,))), asked, lambda _uids: True)
    receiver.settle()
    assert (receiver.unwanted, inbox.depth().files) == (1, 0)
