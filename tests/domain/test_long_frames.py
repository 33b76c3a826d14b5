"""A frame that is longer than may be held, such as a video of minutes, is read while it is sent."""

from __future__ import annotations

import os
from http import HTTPStatus
from pathlib import Path

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from apps.access.models import User
from apps.archive.models import Instance
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.storage.stores import blob_store
from tests.builders import ct_slice, part10

pytestmark = pytest.mark.django_db

MP4 = "1.2.840.10008.1.2.4.102"
ALONE = "application/octet-stream; transfer-syntax=*"
PARTS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
LENGTH = 66 << 20


@pytest.mark.parametrize("below", ["/frames/1", "/pixeldata"])
@pytest.mark.parametrize("multipart", [False, True])
def test_a_video_is_never_whole_in_memory(data_folders: Path, below: str, multipart: bool) -> None:
    ds = ct_slice(size=16, NumberOfFrames=1)
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
    stream = bytes(range(256)) * (LENGTH // 256)
    ds.PixelData = encapsulate([stream], fragments_per_frame=3, has_bot=False)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    path = _stored(ds, part10(ds, MP4)) + below
    client = _client()
    accept = (
        'multipart/related; type="application/octet-stream"; transfer-syntax=*'
        if multipart
        else ALONE
    )

    answer = client.get(path, headers={"Accept": accept})
    assert isinstance(answer, StreamingHttpResponse)
    found, position, longest = 0, 0, 0
    for chunk in answer:
        if not multipart:
            assert chunk == stream[position : position + len(chunk)]
            position += len(chunk)
        found += len(chunk)
        longest = max(longest, len(chunk))

    assert (position == LENGTH) or multipart
    assert LENGTH <= found < LENGTH + 1000
    assert longest <= 4 << 20


def test_a_frame_whose_end_is_lost_on_disk_is_not_answered_as_a_whole_one(
    data_folders: Path,
) -> None:
    ds = ct_slice(size=2200)  # longer than is held, shorter than is streamed
    path = _stored(ds, part10(ds)) + "/frames/1"
    client = _client()
    whole = client.get(path, headers={"Accept": ALONE})
    assert (whole.status_code, len(whole.content)) == (200, len(ds.PixelData))
    blob = blob_store().local_path(Instance.objects.get().blob_key)
    assert blob is not None
    os.truncate(blob, blob.stat().st_size - 1000)
    assert client.get(path, headers={"Accept": ALONE}).status_code >= HTTPStatus.BAD_REQUEST


def _stored(ds: Dataset, raw: bytes) -> str:
    """The path of the instance."""
    source = Provenance("import", source_address="127.0.0.1")
    inbox.receive_part10(source, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(100)
    return (
        f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
        f"/instances/{ds.SOPInstanceUID}"
    )


def _client() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(
        User.objects.create_user("adam", is_superuser=True),
        "django.contrib.auth.backends.ModelBackend",
    )
    return client
