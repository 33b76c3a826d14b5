"""Instances that are compressed for an answer: step by step, as long as somebody waits."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pydicom
import pytest
from django.http import StreamingHttpResponse
from django.test import RequestFactory
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from apps.access.principals import system_principal
from apps.archive.models import Instance
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.dicomweb.negotiation import DICOM, MediaRange
from apps.dicomweb.wado_rs.instances import instance_response, instances_response
from apps.errors import UnsupportedPixels
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.retrieve import encapsulation
from apps.retrieve.locations import Location, locations_by_key
from tests.builders import ct_slice, part10

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_folders")]

FRAMES = 6
AS_JPEG_2000 = MediaRange(DICOM, (("transfer-syntax", JPEG2000Lossless),))


def _stored(frames: int) -> tuple[pydicom.Dataset, Location]:
    dataset = ct_slice(frames=frames, size=32)
    raw = part10(dataset)
    inbox.receive_part10(Provenance("dimse"), raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(60)
    row = Instance.objects.get(sop_instance_uid=dataset.SOPInstanceUID)
    return dataset, next(locations_by_key([row.pk]))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames were compressed, a one for each."""
    counted: list[int] = []
    before = encapsulation.transcode_frame

    def counting(*given: Any, **named: Any) -> bytes:
        counted.append(1)
        return before(*given, **named)

    monkeypatch.setattr(encapsulation, "transcode_frame", counting)
    return counted


def _answer(location: Location) -> StreamingHttpResponse:
    response = instance_response(location, AS_JPEG_2000)
    assert isinstance(response, StreamingHttpResponse)
    return response


def test_only_the_first_frame_is_made_before_the_answer_begins(made: list[int]):
    _, location = _stored(FRAMES)
    response = _answer(location)
    assert len(made) <= 2
    pieces = iter(response.streaming_content)
    # Nothing to send yet: the server sees whether anybody is still there.
    assert next(pieces) == b""
    begun = len(made)
    assert begun < FRAMES
    response.close()
    assert len(made) == begun


def test_what_is_made_step_by_step_is_whole(made: list[int]):
    dataset, location = _stored(FRAMES)
    content = b"".join(_answer(location).streaming_content)
    back = pydicom.dcmread(io.BytesIO(content))
    assert back.file_meta.TransferSyntaxUID == JPEG2000Lossless
    pixels = np.frombuffer(dataset.PixelData, "<i2").reshape(FRAMES, 32, 32)
    assert np.array_equal(back.pixel_array, pixels)
    assert len(made) == FRAMES


def test_of_several_the_one_that_cannot_be_made_to_its_end_goes_out_as_stored(
    monkeypatch: pytest.MonkeyPatch,
):
    """Nothing of it was sent yet, and those behind it are to come all the same."""
    stored = [_stored(FRAMES) for _ in range(3)]
    before = encapsulation.transcode_frame
    made: list[int] = []

    def failing(*given: Any, **named: Any) -> bytes:
        made.append(1)
        if len(made) == FRAMES + 4:  # the fourth frame of the second
            raise UnsupportedPixels("cannot be decoded")
        return before(*given, **named)

    monkeypatch.setattr(encapsulation, "transcode_frame", failing)
    accept = f'multipart/related; type="{DICOM}"; transfer-syntax={JPEG2000Lossless}'
    request = RequestFactory().get("/dicom-web/studies/1.2.3", headers={"Accept": accept})
    located = [location for _, location in stored]
    response = instances_response(request, system_principal("test"), located, ("1.2.3", None, None))
    content = b"".join(response.streaming_content)
    named = re.findall(rb"transfer-syntax=([0-9.]+)", content)
    assert named == [
        each.encode() for each in (JPEG2000Lossless, ExplicitVRLittleEndian, JPEG2000Lossless)
    ]
    assert content.count(b"DICM") == len(stored)
    assert content.endswith(b"--\r\n")


def test_a_single_frame_says_its_length_beforehand():
    _, location = _stored(1)
    response = _answer(location)
    content = b"".join(response.streaming_content)
    assert response["Content-Length"] == str(len(content))
