"""DCMTK takes images that a polarity rule corrects, and draws them right."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import ComputedRadiographyImageStorage

from tests.builders import ct_slice, part10
from tests.programs import need
from tests.protocol.test_move import Sink
from tests.radiographs import radiograph
from tests.servers import free_port, listening
from tests.stack import Stack
from tests.strangers.test_query_retrieve import run

STATE = "1.2.840.10008.5.1.4.1.1.11.1"
RULE = """
from datetime import date
from apps.access.principals import system_principal
from apps.network.actions.set_polarity_rule import set_polarity_rule
from apps.network.models import ApplicationEntity, PolarityRule
rule = PolarityRule(source_ae_title="OLDCR", first_day=date(2020, 1, 1), reason="test")
set_polarity_rule(system_principal("test"), rule)
for title, port in PORTS.items():
    ApplicationEntity.objects.create(
        title=title, host="127.0.0.1", port=port, send_corrections=title != "WANTSNONE"
    )
"""
PORTS = {title: free_port() for title in ("READER", "SIMPLE", "WANTSNONE")}


@pytest.fixture(scope="module")
def image(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Says MONOCHROME1 of what is MONOCHROME2; a rule corrects its source."""
    for program in ("storescu", "storescp", "getscu", "movescu", "dcmp2pgm"):
        need(program)
    stack.manage("shell", "-c", f"PORTS = {PORTS!r}\n{RULE}")
    values = radiograph("hand", np.random.default_rng(8))
    dataset = ct_slice(PatientID="POL-1")
    dataset.SOPClassUID, dataset.Modality = ComputedRadiographyImageStorage, "CR"
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope = "0", "1"
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PixelData = values.astype("<u2").tobytes()
    file = tmp_path_factory.mktemp("oldcr") / "image.dcm"
    file.write_bytes(part10(dataset))
    run("storescu", "-aet", "OLDCR", "-aec", stack.ae_title, "127.0.0.1",
        str(stack.dicom_port), str(file))  # fmt: skip
    path = f"/dicom-web/instances?SOPInstanceUID={dataset.SOPInstanceUID}"
    stack.wait_until(lambda: stack.get(path).status_code == 200)
    return dataset


def came(folder: Path) -> dict[str, list[Path]]:
    """Files by SOP Class UID."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        found.setdefault(str(pydicom.dcmread(file).SOPClassUID), []).append(file)
    return found


def keys(image: Dataset) -> list[str]:
    return ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={image.StudyInstanceUID}"]


def corrected(stack: Stack, image: Dataset) -> NDArray[np.uint8]:
    path = (
        f"/dicom-web/studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}"
        f"/instances/{image.SOPInstanceUID}/rendered"
    )
    answer = stack.get(path, headers={"Accept": "image/png"})
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"))


def drawn(folder: Path, files: dict[str, list[Path]]) -> NDArray[np.uint8]:
    """The image as DCMTK shows it by the state that came along."""
    (state,), (picture,) = files[STATE], files[ComputedRadiographyImageStorage]
    run("dcmp2pgm", "-p", str(state), str(picture), str(folder / "drawn.pgm"))
    return np.asarray(Image.open(folder / "drawn.pgm"))


def test_getscu_gets_the_state_that_shows_the_image_right(
    stack: Stack, image: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "got"
    folder.mkdir()
    run("getscu", "-S", "-aec", stack.ae_title, "-od", str(folder), *keys(image),
        "127.0.0.1", str(stack.dicom_port))  # fmt: skip
    pixels = drawn(tmp_path, came(folder)).astype(int)
    right = corrected(stack, image).astype(int)
    assert right[2, 2] < 30
    assert np.abs(pixels - right).max() <= 2


def test_movescu_sends_the_same_state_each_time(
    stack: Stack, image: Dataset, tmp_path: Path
) -> None:
    port = PORTS["READER"]
    with listening(port, "storescp", "-aet", "READER", "-od", str(tmp_path), str(port)):
        uids = []
        for _ in range(2):
            output = run(
                "movescu", "-d", "-S", "-aec", stack.ae_title, "-aem", "READER", *keys(image),
                "127.0.0.1", str(stack.dicom_port),
            )  # fmt: skip
            assert "Completed Suboperations       : 2" in output, output
            assert "DIMSE Status                  : 0x0000" in output, output[-900:]
            files = came(tmp_path)
            assert len(files[ComputedRadiographyImageStorage]) == 1
            uids += [pydicom.dcmread(file).SOPInstanceUID for file in files[STATE]]
    assert len(uids) == 2
    assert len(set(uids)) == 1
    right = corrected(stack, image).astype(int)
    assert np.abs(drawn(tmp_path, came(tmp_path)).astype(int) - right).max() <= 2


@pytest.mark.parametrize(("title", "warnings"), [("SIMPLE", 1), ("WANTSNONE", 0)])
def test_a_peer_without_presentation_states_is_a_warning_unless_it_wants_none(
    stack: Stack, image: Dataset, title: str, warnings: int
) -> None:
    sink = Sink(title, PORTS[title])
    entity = AE(ae_title=title)
    entity.add_supported_context(ComputedRadiographyImageStorage)
    server = entity.start_server(
        ("127.0.0.1", sink.port), block=False, evt_handlers=sink.handlers()
    )
    command = [
        "movescu", "-d", "-S", "-aec", stack.ae_title, "-aem", title, *keys(image),
        "127.0.0.1", str(stack.dicom_port),
    ]  # fmt: skip
    try:
        # DCMTK's exit code says that there was a warning.
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    finally:
        server.shutdown()
    output = done.stdout + done.stderr
    assert [str(each.AffectedSOPInstanceUID) for each in sink.came] == [image.SOPInstanceUID]
    assert f"Warning Suboperations         : {warnings}" in output, output[-900:]
