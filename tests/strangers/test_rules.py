"""Rules per AE as DCMTK sees them: coercion both ways, duplicates, Transfer Syntaxes, text."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from tests.builders import ct_slice, part10
from tests.programs import need
from tests.protocol.dicomweb_archive import Archive
from tests.servers import free_port, listening
from tests.stack import Stack

pytestmark = pytest.mark.stranger
SENDER = "RULESCT"


def api(stack: Stack, method: str, path: str, **options: Any) -> Any:
    answer = requests.request(
        method, stack.url(f"/api/{path}"), auth=stack.auth, timeout=30, **options
    )
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def until(true: Callable[[], Any], seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def sender(stack: Stack) -> Iterator[str]:
    """Path of the sender's row; its rules are taken back at the end."""
    body = {"title": SENDER, "forbidden_transfer_syntaxes": "JPEG Baseline (Process 1)"}
    made = api(stack, "POST", "application-entities/", json=body)
    path = f"application-entities/{made['id']}/"
    yield path
    api(stack, "DELETE", path)


def kept(folder: Path, dataset: Dataset, name: str = "one.dcm") -> Path:
    path = folder / name
    path.write_bytes(part10(dataset))
    return path


def storescu(stack: Stack, path: Path, *options: str) -> str:
    command = [need("storescu"), "-v", "-aet", SENDER, "-aec", stack.ae_title, *options]
    command += ["127.0.0.1", str(stack.dicom_port), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def indexed(stack: Stack, dataset: Dataset) -> dict[str, Any]:
    """The study as QIDO-RS answers it, once it does."""
    url = stack.url(f"/dicom-web/studies?StudyInstanceUID={dataset.StudyInstanceUID}")
    answer = until(lambda: _content(requests.get(url, auth=stack.auth, timeout=30)))
    (row,) = answer
    return dict(row)


def _content(answer: requests.Response) -> Any:
    assert answer.ok, answer.text
    return answer.json() if answer.content else []


def fetched(stack: Stack, dataset: Dataset, folder: Path) -> Dataset:
    folder.mkdir()
    command = [need("getscu"), "-S", "-aec", stack.ae_title, "-od", str(folder)]
    command += ["-k", "QueryRetrieveLevel=STUDY"]
    command += ["-k", f"StudyInstanceUID={dataset.StudyInstanceUID}"]
    command += ["127.0.0.1", str(stack.dicom_port)]
    subprocess.run(command, check=True, timeout=60)
    (path,) = folder.iterdir()
    return pydicom.dcmread(path)


def test_STW_05_coercion_on_receipt_and_on_sending(
    stack: Stack, sender: str, tmp_path: Path
) -> None:
    """0000 is answered: the bytes are kept as they came. What is given out says what changed."""
    rules = [
        {"name": "in", "ae_titles": SENDER, "operations": "replace PatientID = T-(.+) -> N\\1"},
        {
            "name": "out",
            "direction": "send",
            "ae_titles": "RULESINK",
            "operations": "set InstitutionName = Elsewhere",
        },
    ]
    made = [api(stack, "POST", "rules/coercion/", json=each)["id"] for each in rules]
    dataset = ct_slice(PatientID="T-77")
    path = kept(tmp_path, dataset)
    assert "Received Store Response (Success)" in storescu(stack, path)
    assert indexed(stack, dataset)["00100020"]["Value"] == ["N77"]
    assert "Received Store Response (Success)" in storescu(stack, path)
    found = fetched(stack, dataset, tmp_path / "got")
    assert found.PatientID == "N77"
    assert found.PixelData == dataset.PixelData
    (item,) = found.OriginalAttributesSequence
    assert item.ModifiedAttributesSequence[0].PatientID == "T-77"
    assert item.SourceOfPreviousValues == SENDER
    sent = moved(stack, dataset, tmp_path / "moved")
    assert (sent.PatientID, sent.InstitutionName) == ("N77", "Elsewhere")
    assert len(sent.OriginalAttributesSequence) == 2
    # It is stored in the syntax that the rules for this peer forbid.
    assert sent.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    for each in made:
        api(stack, "DELETE", f"rules/coercion/{each}/")


def moved(stack: Stack, dataset: Dataset, folder: Path) -> Dataset:
    """The instance as DCMTK's storescp gets it from us."""
    folder.mkdir()
    port = free_port()
    peer = {"title": "RULESINK", "host": "127.0.0.1", "port": port}
    peer["forbidden_transfer_syntaxes"] = "Explicit VR Little Endian"
    row = api(stack, "POST", "application-entities/", json=peer)
    with listening(port, "storescp", "-aet", "RULESINK", "-od", str(folder), str(port)):
        asked = {"peer": "RULESINK", "studies": [dataset.StudyInstanceUID]}
        transfer = api(stack, "POST", "transfers/", json=asked)["id"]
        row_of = f"transfers/{transfer}/"
        ended = until(lambda: _ended(api(stack, "GET", row_of)))
        assert ended["state"] == "succeeded", ended
        (path,) = folder.iterdir()
    api(stack, "DELETE", f"application-entities/{row['id']}/")
    return pydicom.dcmread(path)


def _ended(row: dict[str, Any]) -> dict[str, Any] | None:
    return None if row["state"] in {"waiting", "running"} else row


def test_STO_06_duplicates_are_refused_dropped_or_exchanged_by_rule(
    stack: Stack, sender: str, tmp_path: Path
) -> None:
    dataset = ct_slice()
    first = kept(tmp_path, dataset)
    assert "(Success)" in storescu(stack, first)
    indexed(stack, dataset)
    dataset.StudyDescription = "Other"
    second = kept(tmp_path, dataset, "two.dcm")
    api(stack, "PATCH", sender, json={"duplicates": "refuse"})
    assert "0111" in storescu(stack, second, "-d")
    assert "(Success)" in storescu(stack, first)
    api(stack, "PATCH", sender, json={"duplicates": "replace"})
    assert "(Success)" in storescu(stack, second)
    until(lambda: fetched_description(stack, dataset) == "Other")


def fetched_description(stack: Stack, dataset: Dataset) -> str:
    path = f"studies/{dataset.StudyInstanceUID}/metadata"
    answer = requests.get(stack.url(f"/dicom-web/{path}"), auth=stack.auth, timeout=30)
    (instance,) = answer.json() if answer.ok else ({},)
    return str(instance.get("00081030", {}).get("Value", [""])[0])


def test_transfer_syntaxes_and_texts_are_taken_as_laid_down(
    stack: Stack, sender: str, tmp_path: Path
) -> None:
    dataset = ct_slice(PatientName="")
    del dataset.SpecificCharacterSet
    dataset.add_new(0x00100010, "PN", "Иванов^Иван".encode("iso8859_5"))
    path = kept(tmp_path, dataset)
    rules = {
        "default_character_set": "ISO_IR 144",
        "forbidden_transfer_syntaxes": "Explicit VR Little Endian",
    }
    api(stack, "PATCH", sender, json=rules)
    explicit = "LittleEndianExplicit"
    until(lambda: explicit not in (accepted(stack, path) or {explicit}))
    assert indexed(stack, dataset)["00100010"]["Value"] == [{"Alphabetic": "Иванов^Иван"}]
    preferred = {
        "forbidden_transfer_syntaxes": "",
        "preferred_transfer_syntaxes": "Implicit VR Little Endian",
    }
    api(stack, "PATCH", sender, json=preferred)
    both = {"LittleEndianExplicit", "LittleEndianImplicit"}
    until(lambda: accepted(stack, path) == both)


def accepted(stack: Stack, path: Path) -> set[str] | None:
    """Transfer Syntaxes we accept of Explicit Little, and of Big Endian before Implicit.

    None while a receiver that has not looked at the peers yet answers by the rules of before.
    """
    told = storescu(stack, path, "-d", "--propose-little")
    if "0x0000: Success" not in told:
        return None
    return set(re.findall(r"Accepted Transfer Syntax: =(\w+)", told))


def test_STW_05_STOW_RS_tells_what_was_coerced(stack: Stack) -> None:
    """Warning Reason B000 and the original attributes (PS3.18 10.5.3): it waits for the index."""
    body = {
        "name": "web",
        "conditions": "PatientID=STOW-RULE",
        "operations": "set PatientID = COERCED",
    }
    made = api(stack, "POST", "rules/coercion/", json=body)["id"]
    answer = Archive(stack).store(ct_slice(PatientID="STOW-RULE"))
    api(stack, "DELETE", f"rules/coercion/{made}/")
    (item,) = answer.json()["00081199"]["Value"]
    assert (answer.status_code, item["00081196"]["Value"]) == (202, [0xB000])
    (before,) = item["04000561"]["Value"][0]["04000550"]["Value"]
    assert before["00100020"]["Value"] == ["STOW-RULE"]
