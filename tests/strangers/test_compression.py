"""Compressed images go to a program that knows no HTJ2K, and are what they were."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
import requests
from pydicom.dataset import Dataset

from tests.builders import ct_slice, new_uid
from tests.programs import need
from tests.protocol.dicomweb_archive import Archive, path_of
from tests.servers import free_port
from tests.stack import Stack

pytestmark = pytest.mark.stranger
SLICES = 3


@pytest.fixture(scope="module")
def archive(stack: Stack) -> Archive:
    return Archive(stack)


def until(found: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope="module")
def study(archive: Archive) -> Iterator[list[Dataset]]:
    """Stored, and then compressed by the product's own clock."""
    uid, series = new_uid(), new_uid()
    made = [
        ct_slice(study=uid, series=series, number=n, size=64, PatientID="STR-HTJ2K")
        for n in range(1, SLICES + 1)
    ]
    assert archive.store(*made).status_code == 200
    stack = archive.stack
    rule = {"name": "strangers", "conditions": "PatientID=STR-HTJ2K"}
    answer = requests.post(
        stack.url("/api/rules/compression/"),
        json={**rule, "older_than_days": 0, "smallest_kb": 0},
        auth=stack.auth,
        timeout=60,
    )
    assert answer.status_code == 201, answer.text

    def done() -> bool:
        runs = stack.get("/api/compressions/").json()
        return any(run["rule"] == "strangers" and run["compressed"] == SLICES for run in runs)

    until(done)
    yield made
    url = stack.url(f"/api/rules/compression/{answer.json()['id']}/")
    assert requests.delete(url, auth=stack.auth, timeout=60).status_code == 204


def test_storescp_gets_the_same_pixels(stack: Stack, study: list[Dataset], tmp_path: Path) -> None:
    need("storescp")
    need("movescu")
    port = free_port()
    stack.manage("ae", "add", "NOHTJ2K", "127.0.0.1", str(port))
    scp = subprocess.Popen(["storescp", "-aet", "NOHTJ2K", "-od", str(tmp_path), str(port)])
    try:
        command = [
            "movescu", "-S", "-aec", stack.ae_title, "-aem", "NOHTJ2K",
            "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study[0].StudyInstanceUID}",
            "127.0.0.1", str(stack.dicom_port),
        ]  # fmt: skip

        def moved() -> bool:  # storescp may not listen yet
            subprocess.run(command, check=False, timeout=60, capture_output=True)
            return len(list(tmp_path.iterdir())) == SLICES

        until(moved)
    finally:
        scp.terminate()
        scp.wait()
    received = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, tmp_path.iterdir())}
    for sent in study:
        got = received[sent.SOPInstanceUID]
        assert not got.file_meta.TransferSyntaxUID.is_compressed
        assert got.PixelData == sent.PixelData
        assert got.PatientName == sent.PatientName


def test_web_clients_get_htj2k_if_they_like_it_and_plain_pixels_if_not(
    archive: Archive, study: list[Dataset]
) -> None:
    ds = study[0]
    frames = f"{path_of(ds)}/frames/1"
    as_stored = archive.get(frames, 'multipart/related; type="*/*"; transfer-syntax=*')
    assert as_stored.status_code == 200
    assert b"image/jphc" in as_stored.content[:300]
    assert b"\xff\x4f\xff\x51" in as_stored.content  # the beginning of a JPEG 2000 codestream
    plain = archive.get(frames, "application/octet-stream")
    assert plain.status_code == 200
    assert np.array_equal(np.frombuffer(plain.content, "<i2"), np.frombuffer(ds.PixelData, "<i2"))
