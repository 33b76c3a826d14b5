"""From the inbox to rows: what is stored, what is quarantined, and that it is told exactly."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import shutil
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from django.db import connection
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.uid import generate_uid as new_uid

from apps.access.principals import Principal, PrincipalKind, system_principal
from apps.archive.fragments import plain
from apps.archive.models import (
    FrameTable,
    Instance,
    Metadata,
    Patient,
    Series,
    Study,
    StudySearchToken,
)
from apps.dicom.part10 import HEAD_LENGTH, Provenance, read_file_meta
from apps.errors import (
    IdentityConflict,
    InvalidRequest,
    NotFound,
    NotPermitted,
    OutOfResources,
    Unavailable,
)
from apps.events.models import Event
from apps.ingest import inbox, spool
from apps.ingest.actions.complete_studies import complete_studies
from apps.ingest.actions.decide_quarantined import (
    discard_quarantined,
    keep_quarantined,
    retry_quarantined,
)
from apps.ingest.actions.drain_inbox import BATCH_FILES, drain_inbox
from apps.ingest.actions.index_batch import BatchResult
from apps.ingest.actions.replace_stored import replace_stored
from apps.ingest.actions.sweep_strays import sweep_strays
from apps.ingest.models import IngestPolicy, QuarantinedInstance
from apps.ingest.outcomes import Fate, outcome_of
from apps.ingest.spool import SpoolName
from apps.storage.stores import blob_store
from tests.builders import ct_slice, part10
from tests.domain.test_whole_corpus import counts_are_exact

pytestmark = pytest.mark.django_db(transaction=True)

FROM = Provenance("dimse", "CT1", "PACSWEB", "10.0.0.1")
ADMIN = system_principal("test")
Reason = QuarantinedInstance.Reason


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    pass


def send(ds: Dataset | bytes, provenance: Provenance = FROM, **options) -> str:
    raw = ds if isinstance(ds, bytes) else part10(ds, **options)
    return inbox.receive_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])


def index() -> BatchResult:
    result = drain_inbox(60)
    assert spool.waiting() == []
    counts_are_exact()
    return result


def the_case() -> QuarantinedInstance:
    return QuarantinedInstance.objects.get()


def events(kind: str) -> list[Event]:
    return list(Event.objects.filter(kind=kind).order_by("sequence"))


def test_a_slice_becomes_rows_a_blob_and_events():
    ds = ct_slice(PatientName="Müller^Jürgen", StationName="ROOM1", BodyPartExamined="HEAD")
    send(ds)
    assert index() == BatchResult(stored=1)

    instance = Instance.objects.get()
    study, series, patient = instance.study, instance.series, instance.study.patient_entity
    assert instance.sop_instance_uid == ds.SOPInstanceUID
    assert (instance.rows, instance.bits_allocated, instance.number_of_frames) == (16, 16, None)
    assert (instance.source_ae_title, instance.source_door) == ("CT1", "dimse")
    assert series.series_instance_uid == ds.SeriesInstanceUID
    assert (series.modality, series.series_number) == ("CT", 1)
    assert study.patient_name == "Müller^Jürgen"
    assert study.patient_name_alphabetic == patient.patient_name_alphabetic == "muller^jurgen"
    assert study.modalities_in_study == "CT"
    assert study.station_names == "ROOM1"
    assert study.body_parts_examined == "HEAD"
    assert study.size_bytes == instance.size_bytes == blob_store().size(instance.blob_key)
    assert study.received_at == study.last_received_at == instance.received_at
    assert study.source_address == "10.0.0.1"
    words = set(StudySearchToken.objects.filter(study=study).values_list("token", flat=True))
    assert {"muller", "jurgen", "t-1", "a-1", "head"} <= words

    document = json.loads(plain(bytes(Metadata.objects.get().fragment)))
    assert document["0020000D"]["Value"] == [ds.StudyInstanceUID]
    assert FrameTable.objects.filter(instance=instance).exists()

    (created,) = events("StudyCreated")
    (stored,) = events("InstancesStored")
    for event in (created, stored):
        assert event.study_instance_uid == ds.StudyInstanceUID
        assert (event.actor_kind, event.actor_name, event.actor_address) == (
            "ae",
            "CT1",
            "10.0.0.1",
        )
        assert event.patient_key == patient.pk
    assert stored.series_instance_uid == ds.SeriesInstanceUID
    assert stored.payload["sop_instance_uids"] == [ds.SOPInstanceUID]
    assert stored.payload["bytes"] == instance.size_bytes


def test_the_stored_data_set_is_byte_identical():
    raw = part10(ct_slice(), ImplicitVRLittleEndian)
    send(raw)
    index()
    instance = Instance.objects.get()
    blob = b"".join(blob_store().stream(instance.blob_key))
    assert blob[instance.dataset_offset :] == raw[read_file_meta(raw).dataset_offset :]
    assert instance.transfer_syntax_uid == ImplicitVRLittleEndian


def test_one_event_per_series_and_sender():
    study, one, two = new_uid(), new_uid(), new_uid()
    other = Provenance("stow", user="anna", source_address="10.0.0.2")
    for number in range(4):
        send(ct_slice(study=study, series=one, number=number))
    send(ct_slice(study=study, series=two))
    send(ct_slice(study=study, series=two), other)
    index()
    assert len(events("StudyCreated")) == 1
    stored = events("InstancesStored")
    assert sorted(event.payload["instances"] for event in stored) == [1, 1, 4]
    assert {event.actor_name for event in stored} == {"CT1", "anna"}


def test_counts_and_lists_grow_batch_by_batch():
    study, ct, mr = new_uid(), new_uid(), new_uid()
    for number in range(3):
        send(ct_slice(study=study, series=ct, number=number, StationName="B"))
        index()
    for number in range(2):
        send(ct_slice(study=study, series=mr, number=number, Modality="MR", StationName="A"))
    index()
    row = Study.objects.get()
    assert row.number_of_study_related_series == 2
    assert row.number_of_study_related_instances == 5
    assert row.modalities_in_study == "CT\\MR"
    assert row.station_names == "A\\B"
    assert Patient.objects.get().number_of_patient_related_instances == 5


def test_later_instances_fill_what_the_first_did_not_say_and_rewrite_nothing():
    study, series = new_uid(), new_uid()
    first = ct_slice(study=study, series=series, StudyDescription="", PatientName="", number=1)
    second = ct_slice(study=study, series=series, PatientName="Öz^A=山田", number=2)
    third = ct_slice(study=study, series=series, StudyDescription="Other", number=3)
    for ds in (first, second, third):
        send(ds)
        index()
    row = Study.objects.get()
    assert row.study_description == "Head"
    assert row.patient_name == "Öz^A=山田"
    assert (row.patient_name_alphabetic, row.patient_name_ideographic) == ("oz^a", "山田")
    assert row.patient_entity.patient_name == "Öz^A=山田"
    assert row.search_tokens.filter(token="oz").exists()


def test_more_than_one_batch_is_worked_off():
    study, series = new_uid(), new_uid()
    count = BATCH_FILES + 7
    for number in range(count):
        send(ct_slice(study=study, series=series, number=number, size=2))
    assert index() == BatchResult(stored=count)
    assert Study.objects.get().number_of_study_related_instances == count


def test_STO_06_the_same_bytes_again_are_success_without_a_copy():
    raw = part10(ct_slice())
    send(raw)
    index()
    names = [send(raw), send(raw)]
    assert index() == BatchResult(already_stored=2)
    assert Instance.objects.count() == 1
    assert QuarantinedInstance.objects.count() == 0
    assert len(list(blob_store().keys())) == 1
    assert len(events("InstancesStored")) == 1
    assert {outcome.fate for outcome in outcome_of(names, 0).values()} == {Fate.STORED}


def test_STO_06_the_same_bytes_twice_in_one_batch():
    raw = part10(ct_slice())
    send(raw)
    send(raw)
    assert index() == BatchResult(stored=1, already_stored=1)
    assert len(list(blob_store().keys())) == 1


@pytest.mark.parametrize("together", [True, False])
def test_STO_06_the_same_uid_with_other_bytes_is_quarantined_and_the_first_stays(together):
    uids = {"SOPInstanceUID": new_uid(), "study": new_uid(), "series": new_uid()}
    uid = uids.pop("SOPInstanceUID")
    first = part10(ct_slice(**uids, SOPInstanceUID=uid, seed=1))
    second = part10(ct_slice(**uids, SOPInstanceUID=uid, seed=2))
    send(first)
    if not together:
        index()
    name = send(second)
    index()
    case = the_case()
    assert case.reason == Reason.OTHER_BYTES
    assert "same SOP Instance UID" in case.explanation
    assert case.stored_instance == Instance.objects.get()
    blob = b"".join(blob_store().stream(case.blob_key))
    assert (
        blob[read_file_meta(blob).dataset_offset :]
        == second[read_file_meta(second).dataset_offset :]
    )
    assert case.blob_key.startswith("quarantine/")
    (event,) = events("InstanceQuarantined")
    assert event.payload["reason"] == "other-bytes"
    outcome = outcome_of([name], 0)[name]
    assert (outcome.fate, outcome.reason) == (Fate.QUARANTINED, "other-bytes")

    send(second)
    assert index() == BatchResult(quarantined=1)
    assert QuarantinedInstance.objects.count() == 1
    assert len(list(blob_store().keys("quarantine/"))) == 1
    assert len(events("InstanceQuarantined")) == 1


def test_UID_04_the_same_sop_instance_uid_in_another_series():
    uid = new_uid()
    send(ct_slice(SOPInstanceUID=uid))
    send(ct_slice(SOPInstanceUID=uid))
    index()
    assert the_case().reason == Reason.OTHER_SERIES
    assert Series.objects.count() == Study.objects.count() == 1


def test_UID_04_the_same_series_uid_in_another_study():
    series = new_uid()
    send(ct_slice(series=series))
    send(ct_slice(series=series))
    index()
    assert the_case().reason == Reason.OTHER_SERIES


@pytest.mark.parametrize("together", [True, False])
def test_UID_04_the_same_study_uid_under_two_patients(together):
    study = new_uid()
    send(ct_slice(study=study, PatientID="A"))
    if not together:
        index()
    send(ct_slice(study=study, PatientID="B"))
    index()
    assert the_case().reason == Reason.OTHER_PATIENT
    assert the_case().study_instance_uid == study
    assert Patient.objects.get().patient_id == "A"


def test_the_issuer_tells_patients_with_the_same_id_apart():
    study = new_uid()
    send(ct_slice(PatientID="1", IssuerOfPatientID="NORTH", study=study))
    send(ct_slice(PatientID="1", IssuerOfPatientID="SOUTH"))
    send(ct_slice(PatientID="1", study=study))
    index()
    assert Patient.objects.count() == 2
    send(ct_slice(PatientID="1", IssuerOfPatientID="SOUTH", study=study))
    index()
    assert the_case().reason == Reason.OTHER_PATIENT


def test_objects_without_patient_id_never_become_one_person():
    send(ct_slice(PatientID="", PatientName=""))
    send(ct_slice(PatientID="", PatientName=""))
    index()
    assert Patient.objects.count() == 2


def test_a_study_without_patient_id_moves_to_its_patient_when_that_is_told():
    study = new_uid()
    send(ct_slice(PatientID="X"))
    send(ct_slice(study=study, PatientID="", PatientName="Test^Patient"))
    index()
    assert Patient.objects.count() == 2
    send(ct_slice(study=study, PatientID="X"))
    index()
    patient = Patient.objects.get()
    assert patient.number_of_patient_related_studies == 2
    assert patient.number_of_patient_related_instances == 3
    assert Study.objects.get(study_instance_uid=study).patient_id == "X"


def test_a_name_that_contradicts_is_another_patient_where_an_id_is_missing():
    study = new_uid()
    send(ct_slice(study=study, PatientID="X", PatientName="One"))
    send(ct_slice(study=study, PatientID="", PatientName="Two"))
    index()
    assert the_case().reason == Reason.OTHER_PATIENT


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_missing_uid_is_quarantined(keyword: str):
    ds = ct_slice()
    raw = part10(ds)
    setattr(ds, keyword, "")
    meta = read_file_meta(raw)
    with inbox.receive(
        FROM,
        sop_class_uid=meta.sop_class_uid,
        sop_instance_uid=meta.sop_instance_uid,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    ) as arriving:
        body = part10_dataset(ds)
        arriving.write(body)
        arriving.commit()
    index()
    assert the_case().reason == Reason.MISSING_UID
    assert Instance.objects.count() == 0


def part10_dataset(ds: Dataset) -> bytes:
    """The data set alone, explicit little endian, whatever is missing in it."""
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, ds)
    return out.getvalue()


def test_UID_02_a_bad_uid_is_stored_verbatim_with_a_warning():
    bad = "1.2.03.abc"
    ds = ct_slice()
    raw = part10(ds).replace(
        str(ds.SOPInstanceUID).encode(), bad.ljust(len(ds.SOPInstanceUID), "x").encode()
    )
    send(raw)
    index()
    assert Instance.objects.get().sop_instance_uid.startswith(bad)
    assert events("InstancesStored")[0].payload["warnings"]


def test_what_cannot_be_read_is_quarantined_with_its_bytes():
    body = b"this is no DICOM " * 100
    name = send(body)
    index()
    case = the_case()
    assert case.reason == Reason.UNREADABLE
    assert b"".join(blob_store().stream(case.blob_key)) == body
    assert (case.source_ae_title, case.source_door) == ("CT1", "dimse")
    assert outcome_of([name], 0)[name].explanation == case.explanation
    assert list(spool.folder("provenance").iterdir()) == []


def test_a_file_that_makes_the_database_fail_is_isolated():
    """One row that no database takes must not keep the batch, and is itself kept with a reason."""
    study, series = new_uid(), new_uid()
    for number in range(5):
        send(ct_slice(study=study, series=series, number=number, size=2))
    poison = ct_slice(study=study, series=series, number=9, size=2)
    with connection.cursor() as cursor:
        cursor.execute(_POISON[connection.vendor].format(uid=poison.SOPInstanceUID))
    try:
        send(poison)
        for number in range(5):
            send(ct_slice(study=study, series=series, number=20 + number, size=2))
        assert index() == BatchResult(stored=10, quarantined=1)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(_CURE[connection.vendor])
    case = the_case()
    assert case.reason == Reason.FAILED
    assert case.sop_instance_uid == poison.SOPInstanceUID
    assert "Error" in case.explanation

    retry_quarantined(ADMIN, case.pk)
    assert index() == BatchResult(stored=1)
    assert the_case().state == QuarantinedInstance.State.RETRIED


_POISON = {
    "sqlite": (
        "CREATE TRIGGER poison BEFORE INSERT ON archive_instance "
        "WHEN NEW.sop_instance_uid = '{uid}' BEGIN SELECT RAISE(ABORT, 'poison'); END"
    ),
    "postgresql": (
        "ALTER TABLE archive_instance ADD CONSTRAINT poison CHECK (sop_instance_uid <> '{uid}')"
    ),
}
_CURE = {
    "sqlite": "DROP TRIGGER poison",
    "postgresql": "ALTER TABLE archive_instance DROP CONSTRAINT poison",
}


def test_values_no_column_takes_as_they_are():
    send(
        ct_slice(
            StudyDescription="x" * 5000,
            PatientName="Ä" * 3000,
            InstanceNumber=None,
            SeriesNumber="99999999999",
        )
    )
    assert index() == BatchResult(stored=1)
    assert 900 <= len(Study.objects.get().study_description.encode()) <= 1000
    assert len(Study.objects.get().patient_name.encode()) <= 1000


def test_a_blob_store_that_is_away_is_nobodys_fault(data_folders: Path):
    send(ct_slice())
    (data_folders / "blobs").write_text("in the way")
    with pytest.raises(Unavailable):
        drain_inbox(10)
    assert len(spool.waiting()) == 1
    assert Instance.objects.count() == QuarantinedInstance.objects.count() == 0
    (data_folders / "blobs").unlink()
    assert index() == BatchResult(stored=1)


def test_space_that_ran_out_is_nobodys_fault(settings, data_folders: Path):
    raw = part10(ct_slice(size=512))
    send(raw)
    far = Path("/dev/shm") / f"pacsweb-test-{os.getpid()}"
    if not far.parent.is_dir() or far.parent.stat().st_dev == data_folders.stat().st_dev:
        pytest.skip("needs /dev/shm on a device of its own")
    settings.PACSWEB = dataclasses.replace(settings.PACSWEB, storage_url=f"file://{far}")
    # The database and its log are larger than the limit already, and only read.
    Instance.objects.count()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OutOfResources):
            drain_inbox(10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    try:
        assert len(spool.waiting()) == 1
        assert index() == BatchResult(stored=1)
    finally:
        shutil.rmtree(far)


# --- quarantine decisions ----------------------------------------------------------------------


def conflict() -> tuple[Dataset, Dataset]:
    study, series, uid = new_uid(), new_uid(), new_uid()
    first = ct_slice(study=study, series=series, SOPInstanceUID=uid, seed=1, size=16)
    second = ct_slice(
        study=study, series=series, SOPInstanceUID=uid, seed=2, size=32, StationName="S2"
    )
    send(first)
    send(second)
    index()
    return first, second


def stored_bytes() -> bytes:
    row = Instance.objects.get()
    return b"".join(blob_store().stream(row.blob_key))[row.dataset_offset :]


def test_keep_and_discard_decide_and_keep_the_bytes():
    conflict()
    kept = keep_quarantined(ADMIN, the_case().pk)
    assert kept.state == the_case().state == QuarantinedInstance.State.KEPT
    discard_quarantined(ADMIN, kept.pk)
    case = the_case()
    assert case.state == QuarantinedInstance.State.DISCARDED
    assert case.decided_at is not None
    assert blob_store().size(case.blob_key) == case.size_bytes
    assert [len(events(f"QuarantinedInstance{what}")) for what in ("Kept", "Discarded")] == [1, 1]
    with pytest.raises(InvalidRequest, match="already"):
        keep_quarantined(ADMIN, case.pk)


def test_replace_puts_the_second_in_use_and_keeps_the_first():
    first, second = conflict()
    key = Instance.objects.get().blob_key
    replace_stored(ADMIN, the_case().pk)
    counts_are_exact()
    assert stored_bytes() == part10_dataset(second)
    instance = Instance.objects.get()
    assert instance.rows == 32
    assert instance.study.station_names == "S2"
    assert json.loads(plain(bytes(instance.metadata.fragment)))["00280010"]["Value"] == [32]
    used, displaced = QuarantinedInstance.objects.order_by("pk")
    assert used.state == QuarantinedInstance.State.REPLACED
    assert displaced.state == QuarantinedInstance.State.KEPT
    assert used.stored_instance == instance
    blob = b"".join(blob_store().stream(displaced.blob_key))
    assert blob.endswith(part10_dataset(first))
    assert key not in set(blob_store().keys())
    assert len(events("InstanceReplaced")) == 1

    # and back again
    replace_stored(ADMIN, displaced.pk)
    counts_are_exact()
    assert stored_bytes() == part10_dataset(first)
    assert QuarantinedInstance.objects.count() == 2
    rows = {each.blob_key for each in QuarantinedInstance.objects.all()}
    assert set(blob_store().keys()) == rows | {Instance.objects.get().blob_key}
    assert Instance.objects.get().study.station_names == ""


def test_replacing_a_studys_only_instance_leaves_nothing_of_what_it_said():
    study, series, uid = new_uid(), new_uid(), new_uid()
    places = {"study": study, "series": series, "SOPInstanceUID": uid}
    said = {"PatientName": "Wrong^Anna", "StudyDescription": "Knee", "SeriesDescription": "Left"}
    send(ct_slice(**places, seed=1, **said, StudyID="77", TimezoneOffsetFromUTC="+0100"))
    right = {"PatientName": "Right^Berta", "StudyDescription": "", "SeriesDescription": "Head"}
    send(ct_slice(**places, seed=2, **right))
    index()
    replace_stored(ADMIN, the_case().pk)
    row = Study.objects.get()
    assert (row.patient_name, row.study_description) == ("Right^Berta", "")
    assert (row.patient_name_alphabetic, row.timezone_offset_from_utc) == ("right^berta", "")
    assert row.patient_entity.patient_name == "Right^Berta"
    assert Series.objects.get().series_description == "Head"
    tokens = set(StudySearchToken.objects.values_list("token", flat=True))
    assert {"berta", "right"} <= tokens
    assert not tokens & {"anna", "wrong", "knee", "77"}
    counts_are_exact()


def test_replace_may_move_an_instance_to_another_series_and_study():
    uid = new_uid()
    send(ct_slice(SOPInstanceUID=uid))
    second = ct_slice(SOPInstanceUID=uid, PatientID="OTHER")
    send(second)
    index()
    assert the_case().reason == Reason.OTHER_SERIES
    replace_stored(ADMIN, the_case().pk)
    counts_are_exact()
    assert Study.objects.get().study_instance_uid == second.StudyInstanceUID
    assert Patient.objects.get().patient_id == "OTHER"


def test_replace_is_refused_when_the_series_is_another_studys():
    uid, series = new_uid(), new_uid()
    send(ct_slice(SOPInstanceUID=uid))
    send(ct_slice(series=series))
    send(ct_slice(SOPInstanceUID=uid, series=series))
    index()
    keys = set(blob_store().keys())
    with pytest.raises(IdentityConflict):
        replace_stored(ADMIN, the_case().pk)
    counts_are_exact()
    assert set(blob_store().keys()) == keys
    assert the_case().state == QuarantinedInstance.State.WAITING


def test_replace_needs_something_to_replace():
    send(b"no DICOM at all")
    index()
    with pytest.raises(InvalidRequest, match="retry"):
        replace_stored(ADMIN, the_case().pk)


def test_decisions_need_the_permission_and_a_case():
    conflict()
    stranger = Principal(PrincipalKind.USER, "eve", "console")
    for act in (keep_quarantined, discard_quarantined, retry_quarantined, replace_stored):
        with pytest.raises(NotPermitted):
            act(stranger, the_case().pk)
        with pytest.raises(NotFound):
            act(ADMIN, 999_999)
    assert the_case().state == QuarantinedInstance.State.WAITING


def test_a_retry_that_fails_again_waits_again():
    send(b"no DICOM at all")
    index()
    case = the_case()
    retry_quarantined(ADMIN, case.pk)
    assert len(spool.waiting()) == 1
    assert index() == BatchResult(quarantined=1)
    assert the_case().state == QuarantinedInstance.State.WAITING
    assert the_case().source_ae_title == "CT1"
    assert len(list(blob_store().keys())) == 1


# --- completion and sweeps ---------------------------------------------------------------------


def test_a_quiet_study_is_complete_and_receives_again_when_more_comes():
    study = new_uid()
    send(ct_slice(study=study))
    index()
    assert complete_studies() == 0
    IngestPolicy.objects.create(pk=1, study_quiet_seconds=0)
    assert complete_studies() == 1
    row = Study.objects.get()
    assert row.state == Study.State.COMPLETE
    assert row.completed_at is not None
    (event,) = events("StudyCompleted")
    assert event.payload["instances"] == 1
    assert complete_studies() == 0
    send(ct_slice(study=study))
    index()
    row.refresh_from_db()
    assert row.state == Study.State.RECEIVING
    assert row.completed_at is None
    assert complete_studies() == 1


def test_a_backlog_completes_nothing_too_early():
    study = new_uid()
    send(ct_slice(study=study))
    send(ct_slice(study=study))
    first, second = spool.waiting()
    IngestPolicy.objects.create(pk=1, study_quiet_seconds=0)
    claimed = spool.claim(second)
    assert claimed is not None
    drain_inbox(5)
    assert Study.objects.get().number_of_study_related_instances == 1
    # The second waits since the moment the first came: the study was never quiet.
    later = spool.folder("ready") / str(second)
    later.rename(spool.folder("ready") / str(SpoolName(first.received_ns, *_rest(second))))
    assert complete_studies() == 0
    claimed.release()
    index()
    assert complete_studies() == 1


def _rest(name: SpoolName) -> tuple[str, int, str]:
    return name.random, name.size, name.dataset_sha256


def test_blobs_without_a_row_go_back_to_the_inbox():
    ds = ct_slice()
    send(ds)
    index()
    Instance.objects.all().delete()
    Series.objects.all().delete()
    Study.objects.all().delete()
    Patient.objects.all().delete()
    assert sweep_strays() == 0  # too young to judge
    assert sweep_strays(timedelta(0)) == 1
    assert sweep_strays(timedelta(0)) == 0
    assert index() == BatchResult(stored=1)
    assert len(list(blob_store().keys())) == 1
    assert stored_bytes() == part10_dataset(ds)
    assert sweep_strays(timedelta(0)) == 0


def test_a_stray_copy_of_what_is_stored_is_cleared():
    raw = part10(ct_slice())
    send(raw)
    index()
    instance = Instance.objects.get()
    old = SpoolName.parse(instance.blob_key.rpartition("/")[2])
    hours_ago = SpoolName(old.received_ns - 7200 * 10**9, "deadbeef", old.size, old.dataset_sha256)
    blob_store().copy(instance.blob_key, hours_ago.blob_key("instances"))
    blob_store().put("instances/foreign", BytesIO(b"not ours"))
    assert sweep_strays() == 1
    assert index() == BatchResult(already_stored=1)
    assert set(blob_store().keys()) == {instance.blob_key, "instances/foreign"}


def test_outcomes_wait_and_then_say_so():
    name = send(ct_slice())
    assert outcome_of([name], 0.05)[name].fate == Fate.WAITING
    index()
    assert outcome_of([name], 0.05)[name].fate == Fate.STORED
    assert outcome_of([], 0.05) == {}


def test_the_write_path_on_an_object_store(settings, monkeypatch, s3_server):
    for name, value in s3_server.credentials.items():
        monkeypatch.setenv(name, value)
    settings.PACSWEB = dataclasses.replace(settings.PACSWEB, storage_url=s3_server.url)
    first, second = conflict()
    assert stored_bytes() == part10_dataset(first)
    replace_stored(ADMIN, the_case().pk)
    assert stored_bytes() == part10_dataset(second)
    assert len(list(blob_store().keys())) == 3
    retry_quarantined(ADMIN, QuarantinedInstance.objects.get(state="kept").pk)
    assert index() == BatchResult(quarantined=1)
    Instance.objects.all().delete()
    Series.objects.all().delete()
    Study.objects.all().delete()
    Patient.objects.all().delete()
    assert sweep_strays(timedelta(0)) == 1
    assert index() == BatchResult(stored=1)
    assert stored_bytes() == part10_dataset(second)
