"""Instances that belong to no patient (PS3.4 GG, PS3.18 12): stored, found, retrieved."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO

from apps.access.authentication import forget_remembered
from apps.access.models import User
from apps.archive.models import Instance, NonPatientInstance, Study
from apps.commitment.models import CommitmentPolicy
from apps.dicom.part10 import HEAD_LENGTH, Provenance, read_file_meta
from apps.dicom.sop_classes import TABLE
from apps.events.models import Event
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.actions.sweep_strays import sweep_strays
from apps.ingest.models import QuarantinedInstance
from apps.storage.stores import blob_store
from tests.builders import ct_slice, new_uid, part10

pytestmark = pytest.mark.django_db(transaction=True)
UID = {each.keyword: each.uid for each in TABLE}


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    forget_remembered()


@pytest.fixture
def client() -> Client:
    client = Client()
    user = User.objects.create_superuser("root", password="a long password")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def palette(label: str, **attributes: object) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = UID["ColorPaletteStorage"], new_uid()
    ds.ContentLabel, ds.ContentDescription = label, f"{label} for everybody"
    ds.ContentCreatorName = "Grün^Paul"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.RedPaletteColorLookupTableDescriptor = [256, 0, 8]
    ds.RedPaletteColorLookupTableData = bytes(range(256)) * 20
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def send(raw: bytes) -> None:
    inbox.receive_part10(Provenance("dimse", "CT1"), raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])


def test_the_scrub_reads_them_back_too(capsys: pytest.CaptureFixture[str]) -> None:
    CommitmentPolicy.objects.create(pk=1, scrub_rate=10_000)
    for label in ("GOOD", "BAD"):
        send(part10(palette(label)))
    send(part10(ct_slice()))
    drain_inbox(60)
    bad = NonPatientInstance.objects.get(label="BAD")
    path = blob_store().local_path(bad.blob_key)
    assert path is not None
    kept = path.read_bytes()
    path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    with pytest.raises(CommandError):
        call_command("scrub")
    printed = capsys.readouterr().out
    assert "3 checked" in printed
    assert f"altered: {bad.sop_instance_uid} of no patient (color-palettes)" in printed
    told = Event.objects.get(kind="InstancesDamaged")
    assert told.payload["sop_instance_uids"] == [bad.sop_instance_uid]
    path.write_bytes(kept)
    call_command("scrub")
    assert Event.objects.filter(kind="InstancesRestored").count() == 1
    assert set(NonPatientInstance.objects.values_list("verdict", flat=True)) == {"good"}


def dataset_of(raw: bytes) -> bytes:
    return raw[read_file_meta(raw[:HEAD_LENGTH]).dataset_offset :]


def got(client: Client, url: str, accept: str) -> bytes:
    answer = client.get(url, headers={"Accept": accept})
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_the_categories_are_those_of_the_standard() -> None:
    assert {each.resource for each in TABLE} - {""} == {
        "color-palettes",
        "defined-procedure-protocols",
        "hanging-protocols",
        "implant-templates",
        "inventories",
        "protocol-approvals",
    }


def test_a_palette_is_stored_found_and_comes_back_as_it_was(client: Client) -> None:
    hot, cold = palette("HOT"), palette("COLD")
    raw = part10(hot)
    for each in (raw, part10(cold), raw):
        send(each)
    result = drain_inbox(60)
    assert (result.stored, result.already_stored, result.quarantined) == (2, 1, 0)
    assert not Study.objects.exists()
    row = NonPatientInstance.objects.get(label="HOT")
    assert (row.resource, row.source_ae_title) == ("color-palettes", "CT1")
    assert row.description == "HOT for everybody"
    assert Event.objects.filter(kind="NonPatientInstanceStored").count() == 2
    assert sweep_strays() == 0  # its blob has a row

    found = client.get("/dicom-web/color-palettes?ContentLabel=H*").json()
    assert [each["00080018"]["Value"] for each in found] == [[hot.SOPInstanceUID]]
    assert found[0]["00700084"]["Value"] == [{"Alphabetic": "Grün^Paul"}]
    url = found[0]["00081190"]["Value"][0]
    assert url.endswith(f"/dicom-web/color-palettes/{hot.SOPInstanceUID}")
    stored = got(client, url, "application/dicom; transfer-syntax=*")
    assert dataset_of(stored) == dataset_of(raw)
    several = got(client, url, 'multipart/related; type="application/dicom"; transfer-syntax=*')
    assert dataset_of(raw) in several
    [metadata] = client.get(url, headers={"Accept": "application/dicom+json"}).json()
    bulk = metadata["00281201"]["BulkDataURI"]
    assert got(client, bulk, "application/octet-stream") == bytes(range(256)) * 20


def test_searches_page_and_refuse_what_makes_no_sense(client: Client) -> None:
    for number in range(3):
        send(part10(palette(f"P{number}")))
    drain_inbox(60)
    url = "/dicom-web/color-palettes"
    answer = client.get(f"{url}?limit=2&includefield=00281101")
    assert [each["00700080"]["Value"][0] for each in answer.json()] == ["P0", "P1"]
    assert "1 additional results" in answer["Warning"]
    assert answer.json()[0]["00281101"]["Value"] == [256, 0, 8]
    assert len(client.get(f"{url}?offset=2").json()) == 1
    everything = client.get(f"{url}?includefield=all&ContentLabel=P1").json()
    assert "BulkDataURI" in everything[0]["00281201"]
    assert client.get(f"{url}?ContentLabel=X*").status_code == 204
    assert client.get(f"{url}?00091234=x").status_code == 400
    assert client.get(f"{url}?limit=x").status_code == 400
    assert client.get("/dicom-web/hanging-protocols").status_code == 204
    assert client.get(f"{url}/1.2.3").status_code == 404
    assert Client().get(url).status_code == 401
    xml = client.get(url, headers={"Accept": 'multipart/related; type="application/dicom+xml"'})
    assert xml.content.count(b"<NativeDicomModel") == 3


def test_same_uid_other_bytes_is_set_aside_and_the_first_stays(client: Client) -> None:
    first = palette("FIRST")
    second = palette("SECOND", SOPInstanceUID=first.SOPInstanceUID)
    slice_ = ct_slice()
    slice_.SOPInstanceUID = first.SOPInstanceUID
    send(part10(first))
    drain_inbox(60)
    send(part10(second))
    send(part10(slice_))
    drain_inbox(60)
    assert NonPatientInstance.objects.get().label == "FIRST"
    assert not Instance.objects.exists()
    reasons = set(QuarantinedInstance.objects.values_list("reason", flat=True))
    assert reasons == {"other-bytes", "other-series"}
    case = QuarantinedInstance.objects.get(reason="other-bytes")
    answer = client.post(f"/api/quarantine/{case.pk}/replace/")
    assert answer.status_code == 400
    assert "belongs to no patient" in answer.json()["detail"]


def test_stow_says_where_a_palette_is(client: Client) -> None:
    send(part10(palette("KNOWN")))
    drain_inbox(60)
    uid = NonPatientInstance.objects.get().sop_instance_uid
    from apps.dicomweb.stow_rs.views import _places

    assert _places([uid, "1.2.3"]) == {uid: f"/color-palettes/{uid}"}


def test_those_of_the_corpus_come_back_byte_for_byte(client: Client, corpus: Path) -> None:
    """Files nobody here wrote."""
    wanted = {each.uid for each in TABLE if each.resource}
    seen = 0
    for path in sorted((corpus / "dicom").rglob("*")):
        if not path.is_file() or path.stat().st_size > 200_000:
            continue
        raw = path.read_bytes()
        if not any(uid.encode() in raw[:1024] for uid in wanted):
            continue
        send(raw)
        seen += 1
    result = drain_inbox(60)
    rows = NonPatientInstance.objects.all()
    assert seen >= result.stored == len(rows) > 3
    for row in rows:
        url = f"/dicom-web/{row.resource}/{row.sop_instance_uid}"
        back = got(client, url, "application/dicom; transfer-syntax=*")
        assert hashlib.sha256(dataset_of(back)).digest() == bytes(row.dataset_sha256)
        assert dcmread(DicomBytesIO(back)).SOPInstanceUID == row.sop_instance_uid
