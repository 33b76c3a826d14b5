"""DCMTK queries and retrieves from us, and DCMTK's archive answers us."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.builders import ct_slice, new_uid, part10
from tests.programs import need
from tests.protocol.dicomweb_archive import Archive
from tests.servers import free_port, listening
from tests.stack import Stack

pytestmark = pytest.mark.stranger
SLICES = 4


def run(*command: str) -> str:
    need(command[0])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def archive(stack: Stack) -> Archive:
    return Archive(stack)


@pytest.fixture(scope="module")
def study(archive: Archive) -> list[Dataset]:
    uid, series = new_uid(), new_uid()
    made = [
        ct_slice(study=uid, series=series, number=n + 1, PatientID="STR-1", PatientName="Ström^Åsa")
        for n in range(SLICES)
    ]
    assert archive.store(*made).status_code == 200
    return made


def received(folder: Path) -> set[str]:
    return {pydicom.dcmread(path).SOPInstanceUID for path in folder.iterdir()}


@pytest.mark.parametrize("model", ["-P", "-S"])
def test_findscu(stack: Stack, study: list[Dataset], model: str) -> None:
    keys = ["QueryRetrieveLevel=STUDY", "PatientID=STR-1", "StudyInstanceUID", "PatientName"]
    arguments = [part for key in keys for part in ("-k", key)]
    output = run(
        "findscu", "-v", model, "-aec", stack.ae_title, *arguments, "127.0.0.1",
        str(stack.dicom_port),
    )  # fmt: skip
    assert study[0].StudyInstanceUID in output
    assert "Ström^Åsa" in output
    assert "Received Final Find Response (Success)" in output


def test_termscu_ends_nothing_and_echoscu_is_answered(stack: Stack) -> None:
    """DCMTK's private Shutdown SOP Class is no storage, and not accepted as such."""
    place = ["-aec", stack.ae_title, "127.0.0.1", str(stack.dicom_port)]
    command = [need("termscu"), "-v", *place]
    receivers = stack.pid("dimse")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "No Acceptable Presentation Contexts" in done.stdout + done.stderr
    assert stack.pid("dimse") == receivers
    assert "Received Echo Response (Success)" in run("echoscu", "-v", *place)


def test_getscu(stack: Stack, study: list[Dataset], tmp_path: Path) -> None:
    output = run(
        "getscu", "-v", "-S", "-aec", stack.ae_title, "-od", str(tmp_path),
        "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study[0].StudyInstanceUID}",
        "127.0.0.1", str(stack.dicom_port),
    )  # fmt: skip
    assert "Number of Completed Suboperations : 4" in output
    assert received(tmp_path) == {each.SOPInstanceUID for each in study}


def test_movescu_to_storescp(stack: Stack, study: list[Dataset], tmp_path: Path) -> None:
    port = free_port()
    stack.manage("ae", "add", "STRANGER", "127.0.0.1", str(port))
    with listening(port, "storescp", "-aet", "STRANGER", "-od", str(tmp_path), str(port)):
        output = run(
            "movescu", "-v", "-S", "-aec", stack.ae_title, "-aem", "STRANGER",
            "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study[0].StudyInstanceUID}",
            "127.0.0.1", str(stack.dicom_port),
        )  # fmt: skip
    assert "Received Final Move Response (Success)" in output
    assert received(tmp_path) == {each.SOPInstanceUID for each in study}


@pytest.fixture
def dcmqrscp(stack: Stack, study: list[Dataset], tmp_path: Path) -> Iterator[int]:
    """DCMTK's archive with the study in it; it knows us as a destination."""
    port = free_port()
    storage = tmp_path / "storage"
    storage.mkdir()
    configuration = tmp_path / "dcmqrscp.cfg"
    configuration.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nus = ({stack.ae_title}, 127.0.0.1, {stack.dicom_port})\n"
        f"HostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nQRSCP {storage} RW (100, 1024mb) ANY\nAETable END\n"
    )
    with listening(port, "dcmqrscp", "-c", str(configuration)):
        files = []
        for number, each in enumerate(study):
            files.append(tmp_path / f"{number}.dcm")
            files[-1].write_bytes(part10(each))
        run("storescu", "-aec", "QRSCP", "127.0.0.1", str(port), *map(str, files))
        yield port


def test_dcmqrscp_is_asked_fetched_from_and_sent_to(
    stack: Stack, study: list[Dataset], dcmqrscp: int
) -> None:
    uid = study[0].StudyInstanceUID
    stack.manage("ae", "add", "QRSCP", "127.0.0.1", str(dcmqrscp))
    assert uid in stack.manage("dicom", "find", "QRSCP", "PatientID=STR-1").stdout
    for verb, done in (("move", "fetched"), ("get", "fetched"), ("send", "sent")):
        told = stack.manage("dicom", verb, "QRSCP", uid).stdout
        assert f"{SLICES} {done}, 0 with a warning, 0 failed" in told, (verb, told)
