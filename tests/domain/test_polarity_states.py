"""Presentation States for corrected images: their content, and that strangers draw them right."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from django.test import Client
from numpy.typing import NDArray
from PIL import Image

from apps.access.principals import system_principal
from apps.archive.models import Instance
from apps.dicom.part10 import HEAD_LENGTH, Provenance, file_meta
from apps.errors import NotFound
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.network.actions.set_polarity_rule import lift_polarity_rule, set_polarity_rule
from apps.network.models import PolarityRule
from apps.polarity.states import SYNTAXES, State, corrections_of, state_of
from apps.retrieve.locations import Location, locations_by_key
from tests.domain.test_photometric_guard import MARCH_1, arrive, path, root
from tests.programs import need

pytestmark = pytest.mark.django_db
__all__ = ["root"]


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    """Each test has folders of its own."""


@pytest.fixture
def rule(db: None) -> PolarityRule:
    made = PolarityRule(source_ae_title="CR1", first_day=MARCH_1.date(), reason="test")
    set_polarity_rule(system_principal("test"), made)
    return made


def located(instance: Instance) -> Location:
    return next(locations_by_key([instance.pk]))


def part10_of(state: State, syntax: str) -> bytes:
    head = file_meta(
        sop_class_uid=state.sop_class_uid,
        sop_instance_uid=state.sop_instance_uid,
        transfer_syntax_uid=syntax,
        provenance=None,
    )
    return head + state.dataset(syntax)


def rendered(client: Client, url: str) -> NDArray[np.uint8]:
    answer = client.get(url + "/rendered", headers={"Accept": "image/png"})
    assert answer.status_code == 200, answer.content
    return np.asarray(Image.open(io.BytesIO(b"".join(answer))).convert("L"))


def kept(state: State) -> Instance:
    """The state as another archive of ours keeps it."""
    raw = part10_of(state, SYNTAXES[0])
    provenance = Provenance("dimse", "PACSWEB", "PACSWEB", "10.0.0.1")
    inbox.receive_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(60)
    return Instance.objects.get(sop_instance_uid=state.sop_instance_uid)


LUT = {"LUTDescriptor": [4096, 0, 12], "LUTData": list(range(4095, -1, -1))}


def voi_lut() -> pydicom.Sequence:
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", LUT["LUTDescriptor"])
    item.add_new("LUTData", "OW", np.array(LUT["LUTData"], dtype="<u2").tobytes())
    return pydicom.Sequence([item])


@pytest.mark.parametrize(
    "attributes",
    [
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PhotometricInterpretation": "MONOCHROME2"},
        {"PhotometricInterpretation": "MONOCHROME2", "PresentationLUTShape": "INVERSE"},
        {"RescaleSlope": "0.5", "RescaleIntercept": "-100", "WindowCenter": "900"},
        {"WindowCenter": ["1000", "3000"], "WindowWidth": ["500", "900"]},
        {"WindowCenter": None, "WindowWidth": None},
        {"VOILUTFunction": "SIGMOID"},
        {"WindowCenter": None, "WindowWidth": None, "VOILUTSequence": voi_lut},
        {"PixelPaddingValue": 0},
    ],
)
def test_the_state_shows_what_the_rule_shows(
    root: Client, rule: PolarityRule, attributes: dict[str, Any]
) -> None:
    given = {name: value() if callable(value) else value for name, value in attributes.items()}
    instance = arrive(**given)
    corrected = rendered(root, path(instance))
    state = kept(state_of(located(instance)))
    assert np.array_equal(rendered(root, path(state)), corrected)
    lift_polarity_rule(system_principal("test"), rule)
    assert np.array_equal(rendered(root, path(state)), corrected)
    assert not np.array_equal(rendered(root, path(instance)), corrected)


def test_dcmtk_accepts_the_state_and_draws_the_image_right(
    root: Client, rule: PolarityRule, tmp_path: Path
) -> None:
    for program in ("dcmpschk", "dcmp2pgm"):
        need(program)
    instance = arrive(PhotometricInterpretation="MONOCHROME1", PixelSpacing=[0.2, 0.2])
    location = located(instance)
    (tmp_path / "state.dcm").write_bytes(part10_of(state_of(location), SYNTAXES[0]))
    image = root.get(path(instance), headers={"Accept": "application/dicom; transfer-syntax=*"})
    whole = b"".join(image)
    start = whole.index(b"DICM") - 128
    dataset = pydicom.dcmread(io.BytesIO(whole[start:]), force=True)
    dataset.save_as(tmp_path / "image.dcm")

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    said = run("dcmpschk", "-v", "state.dcm")
    assert "rror" not in said.replace("0 errors", ""), said
    run("dcmp2pgm", "-p", "state.dcm", "image.dcm", "out.pgm")
    drawn = np.asarray(Image.open(tmp_path / "out.pgm")).astype(int)
    corrected = rendered(root, path(instance)).astype(int)
    assert drawn.shape == corrected.shape
    assert np.abs(drawn - corrected).max() <= 2


def test_the_state_is_of_the_same_patient_and_always_the_same(rule: PolarityRule) -> None:
    attributes = {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": "Müller^Änne",
        "PatientID": "P-7",
        "IssuerOfPatientID": "CLINIC",
        "PatientBirthDate": "19610312",
        "AccessionNumber": "ACC7",
        "StudyID": "S7",
    }
    instance = arrive(**attributes)
    location = located(instance)
    first, second = state_of(location), state_of(location)
    datasets = []
    for syntax in SYNTAXES:
        assert first.dataset(syntax) == second.dataset(syntax)
        datasets.append(pydicom.dcmread(io.BytesIO(part10_of(first, syntax))))
    assert datasets[0] == datasets[1]
    (dataset, _) = datasets
    for keyword, value in attributes.items():
        assert str(dataset[keyword].value) == value, keyword
    assert dataset.StudyInstanceUID == location.study_instance_uid
    assert dataset.SeriesInstanceUID != location.series_instance_uid
    (series,) = dataset.ReferencedSeriesSequence
    (image,) = series.ReferencedImageSequence
    assert series.SeriesInstanceUID == location.series_instance_uid
    assert image.ReferencedSOPInstanceUID == location.sop_instance_uid
    assert dataset.Modality == "PR"
    assert dataset.PresentationLUTShape == "INVERSE"
    other = state_of(located(arrive()))
    assert other.sop_instance_uid != first.sop_instance_uid


def test_only_images_under_a_rule_have_a_state(rule: PolarityRule) -> None:
    mine, others = arrive(), arrive(sender="CR2")
    early = arrive(MARCH_1.replace(month=2))
    keys = [others.pk, mine.pk, early.pk]
    assert list(corrections_of(keys)) == [(mine.pk, state_of(located(mine)).sop_instance_uid)]
    for each in (others, early):
        with pytest.raises(NotFound):
            state_of(located(each))
    rule.enabled = False
    set_polarity_rule(system_principal("test"), rule)
    assert list(corrections_of(keys)) == []
