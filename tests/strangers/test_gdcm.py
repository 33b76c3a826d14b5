"""GDCM stores to us, queries us and retrieves from us."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from pydicom.dataset import Dataset

from tests.builders import ct_slice, new_uid, part10
from tests.servers import free_port
from tests.stack import Stack

pytestmark = pytest.mark.stranger
CLIENT = Path(__file__).with_name("gdcm_client.py")
SLICES = 3


def gdcm(stack: Stack, action: str, *arguments: str) -> Any:
    command = [sys.executable, str(CLIENT), action, str(stack.dicom_port), stack.ae_title]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def study(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """Stored by GDCM; the names of the files tell of their place."""
    uid, series = new_uid(), new_uid()
    made = [
        ct_slice(study=uid, series=series, number=n + 1, PatientID="GDCM-1", PatientName="Geo^Dora")
        for n in range(SLICES)
    ]
    folder = tmp_path_factory.mktemp("gdcm")
    for number, each in enumerate(made):
        (folder / f"{number}.dcm").write_bytes(part10(each))
    sent = gdcm(stack, "store", *sorted(map(str, folder.iterdir())))
    assert sent == [True] * SLICES
    return made


def test_GDCM_is_echoed(stack: Stack) -> None:
    assert gdcm(stack, "echo") is True


def test_GDCM_stores_and_finds(stack: Stack, study: list[Dataset]) -> None:
    stack.wait_until(lambda: gdcm(stack, "find", "GDCM-1") == ["Geo^Dora"])
    assert gdcm(stack, "find", "NOBODY-1") == []


def test_GDCM_moves_to_itself(stack: Stack, study: list[Dataset], tmp_path: Path) -> None:
    stack.wait_until(lambda: gdcm(stack, "find", "GDCM-1") == ["Geo^Dora"])
    port = free_port()
    # It accepts Explicit VR Little Endian and then reads it as Implicit: a rule helps.
    peer = {"title": "GDCM", "host": "127.0.0.1", "port": port}
    peer["forbidden_transfer_syntaxes"] = "Explicit VR Little Endian"
    url = stack.url("/api/application-entities/")
    assert requests.post(url, json=peer, auth=stack.auth, timeout=30).status_code == 201
    assert gdcm(stack, "move", study[0].StudyInstanceUID, str(port), str(tmp_path)) is True
    came = [pydicom.dcmread(path) for path in tmp_path.iterdir()]
    pixels = {each.SOPInstanceUID: each.PixelData for each in came}
    assert pixels == {each.SOPInstanceUID: each.PixelData for each in study}
