"""Background compression: what is compressed is proved, can be undone, and is known again."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
from django.urls import reverse
from django.utils import timezone
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from apps.access.principals import Principal, system_principal
from apps.archive.models import CompressedInstance, Instance, Study
from apps.commitment.actions.scrub_blobs import scrub_blobs, start_scrub
from apps.compression.actions.change_compression import begin_again, change_compression
from apps.compression.actions.compress_blobs import compress_blobs
from apps.compression.actions.remove_originals import remove_originals
from apps.compression.actions.restore_originals import restore_originals_of
from apps.compression.encoding import HTJ2K_RPCL_LOSSLESS
from apps.compression.models import CompressionPolicy, CompressionRule, CompressionRun
from apps.compression.preview import preview_compression
from apps.dicom.part10 import HEAD_LENGTH, Provenance, read_file_meta
from apps.errors import NotFound, NotPermitted
from apps.events.models import Event
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.actions.purge_rejected import purge_rejected
from apps.ingest.actions.reject_instances import reject_instances
from apps.ingest.actions.replace_stored import replace_stored
from apps.ingest.actions.restore_rejected import restore_rejected
from apps.ingest.actions.sweep_strays import sweep_strays
from apps.ingest.models import QuarantinedInstance
from apps.retrieve import encapsulation
from apps.retrieve.conversion import converted
from apps.retrieve.instances import as_stored
from apps.retrieve.locations import Location, locations_by_key
from apps.storage.stores import blob_store
from tests.builders import ct_slice, part10
from tests.domain.test_receipts import signed_in

pytestmark = pytest.mark.django_db
ADMIN = system_principal("test")
State = CompressedInstance.State


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    CompressionPolicy.objects.create(pk=1, rate=100_000)


def send(*files: bytes, title: str = "CT1") -> None:
    for raw in files:
        inbox.receive_part10(
            Provenance("dimse", title, "PACSWEB", "10.0.0.1"),
            raw[:HEAD_LENGTH],
            [raw[HEAD_LENGTH:]],
        )
    drain_inbox(60)


def rule(**said: object) -> CompressionRule:
    values = {"name": "all", "older_than_days": 0, "smallest_kb": 0, **said}
    return CompressionRule.objects.create(**values)


def compressed(**said: object) -> CompressionRun:
    made = rule(**said)
    compress_blobs(120)
    return CompressionRun.objects.get(rule=made)


def location(uid: str) -> Location:
    pk = Instance.objects.get(sop_instance_uid=uid).pk
    return next(locations_by_key([pk]))


def given_out(uid: str) -> Dataset:
    """As WADO-RS and C-MOVE give it to who takes Explicit VR Little Endian alone."""
    return pydicom.dcmread(io.BytesIO(b"".join(converted(location(uid)).chunks)))


def smooth(**attributes: object) -> Dataset:
    """An image that becomes smaller."""
    ds = ct_slice(size=64, **attributes)
    x, y = np.meshgrid(np.arange(64), np.arange(64))
    frames = int(attributes.get("frames", 1) or 1)
    ds.PixelData = (
        np.stack([(x * y + n) % 3000 - 1024 for n in range(frames)]).astype("<i2").tobytes()
    )
    return ds


def test_an_instance_is_compressed_proved_and_given_out_as_it_was():
    ds = smooth(frames=3)
    raw = part10(ds)
    send(raw)
    before = location(ds.SOPInstanceUID)
    run = compressed()
    assert (run.compressed, run.left_alone, run.refused, run.problem) == (1, 0, 0, "")
    assert run.bytes_after < run.bytes_before

    after = location(ds.SOPInstanceUID)
    assert after.transfer_syntax_uid == HTJ2K_RPCL_LOSSLESS
    assert after.digest != before.digest  # and so every ETag
    stored = pydicom.dcmread(io.BytesIO(b"".join(as_stored(after).chunks)))
    assert stored.file_meta.TransferSyntaxUID == HTJ2K_RPCL_LOSSLESS
    assert stored.PixelData[8:12] == bytes(4)  # the Basic Offset Table, first frame at 0
    back = given_out(ds.SOPInstanceUID)
    assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert back.PixelData == ds.PixelData
    del back.PixelData, ds.PixelData
    assert back == ds

    proof = CompressedInstance.objects.get()
    pixels = hashlib.sha256(smooth(frames=3).PixelData).digest()
    assert bytes(proof.pixels_before) == bytes(proof.pixels_after) == pixels
    assert (proof.frames, proof.state) == (3, State.KEPT)
    assert "OpenJPH" in proof.codecs or "openjph" in proof.codecs
    assert blob_store().size(proof.original_blob_key) == proof.original_size_bytes
    (event,) = Event.objects.filter(kind="InstancesCompressed")
    (told,) = event.payload["proofs"]
    assert told["sha256_before"] == before.dataset_sha256.hex()
    assert told["pixels_before"] == told["pixels_after"] == pixels.hex()
    study = Study.objects.get()
    assert study.size_bytes == after.size_bytes

    start_scrub(ADMIN)
    scrub_blobs(20)
    assert Instance.objects.get().receipt.verdict == "good"
    compress_blobs(5)
    assert CompressedInstance.objects.count() == 1


def test_the_same_bytes_sent_again_are_known_and_other_bytes_are_not():
    ds = smooth()
    send(part10(ds))
    compressed()
    send(part10(ds))
    stored = b"".join(as_stored(location(ds.SOPInstanceUID)).chunks)
    send(stored)  # and the compressed ones, from somebody who fetched them
    assert (Instance.objects.count(), QuarantinedInstance.objects.count()) == (1, 0)
    assert not inbox.stored_otherwise(ds.SOPInstanceUID, received_sha256())
    ds.PatientName = "Other"
    send(part10(ds))
    assert QuarantinedInstance.objects.get().reason == QuarantinedInstance.Reason.OTHER_BYTES


def received_sha256() -> bytes:
    return bytes(CompressedInstance.objects.get().original_dataset_sha256)


def signed() -> Dataset:
    ds = smooth()
    ds.DigitalSignaturesSequence = Sequence([Dataset()])
    return ds


def with_bits_above() -> Dataset:
    """An overlay in the unused bits of the pixels."""
    ds = smooth(BitsStored=12, HighBit=11, PixelRepresentation=0)
    ds.PixelData = np.full((64, 64), 0x1ABC, "<u2").tobytes()
    return ds


def one_bit() -> Dataset:
    ds = smooth(BitsAllocated=1, BitsStored=1, HighBit=0, PixelRepresentation=0)
    ds.PixelData = bytes(64 * 8)
    ds["PixelData"].VR = "OB"
    return ds


def floats() -> Dataset:
    ds = smooth(BitsAllocated=32)
    del ds.PixelData
    ds.FloatPixelData = bytes(64 * 64 * 4)
    return ds


def wide() -> Dataset:
    ds = smooth(BitsAllocated=32, BitsStored=32, HighBit=31)
    ds.PixelData = bytes(64 * 64 * 4)
    return ds


def without_pixels() -> Dataset:
    ds = smooth()
    del ds.PixelData
    return ds


def noise() -> Dataset:
    ds = ct_slice(size=16, BitsStored=16)
    ds.PixelData = np.random.default_rng(1).bytes(512)
    return ds


@pytest.mark.parametrize(
    "make",
    [
        signed, with_bits_above, one_bit, floats, wide, without_pixels, noise,
        lambda: smooth(LossyImageCompression="01"),
    ],
    ids=["signed", "bits above", "one bit", "floats", "wide", "no pixels", "noise", "lossy"],
)  # fmt: skip
def test_what_must_not_be_touched_stays_as_it_came(make):
    ds = make()
    send(part10(ds))
    before = location(ds.SOPInstanceUID)
    run = compressed()
    assert run.compressed == 0
    assert (run.looked_at, run.left_alone) == (1, 1), run.problem
    assert location(ds.SOPInstanceUID) == before
    assert not CompressedInstance.objects.exists()
    assert set(blob_store().keys()) == {before.blob_key}


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_whatever_uncompressed_syntax_it_came_in(syntax):
    ds = smooth()
    expected = np.frombuffer(ds.PixelData, "<i2")
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = expected.astype(">i2").tobytes()
    send(part10(ds, syntax))
    assert compressed().compressed == 1
    assert np.array_equal(given_out(ds.SOPInstanceUID).pixel_array.ravel(), expected)


NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian}


def is_dicom(raw: bytes) -> bool:
    return raw[128:132] == b"DICM"


def test_pixel_equality_over_the_corpus(corpus: Path):
    """Uncompressed images of the corpus, the smallest first: the same by another's reader."""
    files: dict[str, bytes] = {}
    for path in sorted((corpus / "dicom").rglob("*.dcm"), key=lambda each: each.stat().st_size):
        if path.stat().st_size < 20_000 or len(files) == 50:
            continue
        raw = path.read_bytes()
        if is_dicom(raw) and read_file_meta(raw[:HEAD_LENGTH]).transfer_syntax_uid in NATIVE:
            files[path.name] = raw
    send(*files.values())
    run = compressed()
    assert run.refused == 0, run.problem
    assert run.compressed > 12
    for row in CompressedInstance.objects.all():
        original = pydicom.dcmread(io.BytesIO(b"".join(blob_store().stream(row.original_blob_key))))
        back = given_out(row.sop_instance_uid)
        assert np.array_equal(back.pixel_array, original.pixel_array), row.sop_instance_uid
        keep = {"PixelData", "PlanarConfiguration"}
        for element in original:
            if element.keyword not in keep and element.tag.element and element.VR != "UN":
                assert back.get(element.tag) == element, element.tag


def test_a_rule_means_what_it_says_and_its_preview_says_the_same():
    mr = smooth(Modality="MR")
    send(part10(mr), title="MR1")
    send(part10(smooth()), title="CT1")
    young = rule(name="young", older_than_days=1)
    big = rule(name="big", smallest_kb=1000)
    north = rule(name="mr", conditions="Modality=MR", sources="MR1, MR2")
    assert {each.reason for each in preview_compression(ADMIN, young)} == {
        "It was received too short a time ago."
    }
    assert {each.reason for each in preview_compression(ADMIN, big)} == {"It is too small."}
    fits = [each for each in preview_compression(ADMIN, north) if each.fits]
    assert [each.sop_instance_uid for each in fits] == [mr.SOPInstanceUID]
    for _ in range(6):
        compress_blobs(5)
    assert [each.sop_instance_uid for each in CompressedInstance.objects.all()] == [
        mr.SOPInstanceUID
    ]
    north.conditions = "Modality=CT"  # a rule that says something else begins anew
    north.sources = ""
    north.save()
    for _ in range(3):
        compress_blobs(5)
    assert CompressedInstance.objects.count() == 2


def test_a_walk_can_be_paused_resumed_cancelled_and_begun_again():
    send(part10(smooth()))
    made = rule()
    run = CompressionRun.objects.create(
        rule=made, asked="\n\n0\n0", started_at=timezone.now(), state="paused"
    )
    assert not compress_blobs(5)
    assert not CompressedInstance.objects.exists()
    assert change_compression(ADMIN, run, CompressionRun.State.RUNNING)
    assert not change_compression(ADMIN, run, CompressionRun.State.RUNNING)
    compress_blobs(5)
    run.refresh_from_db()
    assert (run.compressed, run.cursor) == (1, Instance.objects.get().pk)
    assert change_compression(ADMIN, run, CompressionRun.State.CANCELLED)
    send(part10(smooth()))
    compress_blobs(5)
    assert CompressedInstance.objects.count() == 1
    assert begin_again(ADMIN, run)
    compress_blobs(5)
    assert CompressedInstance.objects.count() == 2
    nobody = Principal(kind=ADMIN.kind, name="nobody", door="test")
    with pytest.raises(NotPermitted):
        change_compression(nobody, run, CompressionRun.State.PAUSED)
    with pytest.raises(NotPermitted):
        restore_originals_of(nobody, Study.objects.first().study_instance_uid)


def pass_time() -> None:
    CompressedInstance.objects.update(removal_due_at=timezone.now() - timedelta(minutes=1))


def test_undone_while_the_original_is_kept_and_not_compressed_again():
    ds = smooth()
    send(part10(ds))
    before = location(ds.SOPInstanceUID)
    run = compressed()
    assert restore_originals_of(ADMIN, ds.StudyInstanceUID) == 1
    assert location(ds.SOPInstanceUID) == before
    assert Study.objects.get().size_bytes == before.size_bytes
    assert given_out(ds.SOPInstanceUID).PixelData == ds.PixelData
    with pytest.raises(NotFound):
        restore_originals_of(ADMIN, ds.StudyInstanceUID)
    begin_again(ADMIN, run)
    compress_blobs(5)
    assert location(ds.SOPInstanceUID) == before
    pass_time()
    assert remove_originals(20) == 1  # the compressed blob, which is not in use any more
    assert set(blob_store().keys()) == {before.blob_key}


def test_the_original_goes_after_its_time_and_only_while_the_other_is_good():
    ds, other = smooth(), smooth(number=2)
    send(part10(ds), part10(other))
    compressed()
    assert remove_originals(20) == 0
    pass_time()
    damaged = CompressedInstance.objects.get(sop_instance_uid=other.SOPInstanceUID)
    blob_store().delete(damaged.blob_key)
    assert remove_originals(20) == 1
    good = CompressedInstance.objects.get(sop_instance_uid=ds.SOPInstanceUID)
    damaged.refresh_from_db()
    assert (good.state, damaged.state) == (State.REMOVED, State.KEPT)
    assert set(blob_store().keys()) == {good.blob_key, damaged.original_blob_key}
    assert Instance.objects.get(sop_instance_uid=other.SOPInstanceUID).receipt.verdict == "missing"
    assert given_out(ds.SOPInstanceUID).PixelData == ds.PixelData

    # The original, sent again, heals what is damaged, and is still known where all is well.
    send(part10(other), part10(ds))
    assert QuarantinedInstance.objects.count() == 0
    healed = location(other.SOPInstanceUID)
    assert healed.transfer_syntax_uid == ExplicitVRLittleEndian
    assert given_out(other.SOPInstanceUID).PixelData == other.PixelData
    assert location(ds.SOPInstanceUID).transfer_syntax_uid == HTJ2K_RPCL_LOSSLESS
    pass_time()
    remove_originals(20)
    assert set(blob_store().keys()) == {good.blob_key, healed.blob_key}


def test_a_damaged_compressed_image_is_healed_by_its_original():
    ds = smooth()
    send(part10(ds))
    compressed()
    blob_store().delete(Instance.objects.get().blob_key)
    start_scrub(ADMIN)
    scrub_blobs(20)
    assert Study.objects.get().alerts.count() == 1
    assert restore_originals_of(ADMIN, ds.StudyInstanceUID) == 1
    assert Study.objects.get().alerts.count() == 0
    assert given_out(ds.SOPInstanceUID).PixelData == ds.PixelData


def test_the_sweeper_leaves_originals_and_what_is_being_made():
    ds = smooth()
    send(part10(ds))
    compressed()
    keys = set(blob_store().keys())
    assert sweep_strays(timedelta(0)) == 0
    assert set(blob_store().keys()) == keys


def test_a_rejected_instance_is_set_aside_as_it_was_received():
    ds = smooth()
    send(part10(ds))
    before = location(ds.SOPInstanceUID)
    compressed()
    reject_instances(ADMIN, ds.StudyInstanceUID)
    aside = QuarantinedInstance.objects.get()
    assert (aside.blob_key, bytes(aside.sha256)) == (before.blob_key, before.dataset_sha256)
    assert sweep_strays(timedelta(0)) == 0
    restore_rejected(ADMIN, ds.StudyInstanceUID)
    assert given_out(ds.SOPInstanceUID).PixelData == ds.PixelData
    pass_time()
    remove_originals(20)
    assert set(blob_store().keys()) == {before.blob_key}

    reject_instances(ADMIN, ds.StudyInstanceUID)
    purge_rejected(ADMIN, ds.StudyInstanceUID)
    assert set(blob_store().keys()) == set()


def test_a_replaced_instance_is_kept_as_it_was_received():
    ds = smooth()
    send(part10(ds))
    compressed()
    original = received_sha256()
    ds.PatientComments = "other"
    send(part10(ds))
    replace_stored(ADMIN, QuarantinedInstance.objects.get().pk)
    displaced = QuarantinedInstance.objects.exclude(state="replaced").get()
    assert bytes(displaced.sha256) == original
    pass_time()
    remove_originals(20)
    in_use = {Instance.objects.get().blob_key, displaced.blob_key}
    assert in_use <= set(blob_store().keys())
    assert CompressedInstance.objects.get().blob_key not in set(blob_store().keys())


def test_a_damaged_original_is_not_taken_for_the_truth():
    ds = smooth()
    send(part10(ds))
    key = Instance.objects.get().blob_key
    path = blob_store().local_path(key)
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 1
    path.unlink()
    path.write_bytes(raw)
    run = compressed()
    assert (run.compressed, run.refused) == (0, 1)
    assert Instance.objects.get().receipt.verdict == "altered"


def test_what_rules_changed_stays_changed():
    from apps.coercion.models import CoercionRule

    CoercionRule.objects.create(name="north", operations="set InstitutionName = North")
    ds = smooth()
    send(part10(ds))
    compressed()
    back = given_out(ds.SOPInstanceUID)
    assert (back.InstitutionName, back.PixelData) == ("North", ds.PixelData)
    restore_originals_of(ADMIN, ds.StudyInstanceUID)
    assert given_out(ds.SOPInstanceUID).InstitutionName == "North"


def listed(client) -> str:
    return client.get(reverse("admin:compression_compressionrun_changelist")).content.decode()


def test_an_empty_list_of_runs_says_what_to_do():
    client = signed_in("administrator")
    assert "no rule says so" in listed(client)
    assert reverse("admin:compression_compressionrule_add") in listed(client)
    CompressionRule.objects.create(name="all", enabled=True)
    assert "begins within a minute" in listed(client)


def test_programs_follow_the_work_and_bring_the_received_bytes_back():
    ds = smooth()
    send(part10(ds))
    run = compressed()
    client = signed_in("administrator")
    assert "no rule says so" not in listed(client)
    (told,) = client.get("/api/compressions/").json()
    assert (told["rule"], told["percent"], told["compressed"]) == ("all", 100, 1)
    url = f"/api/compressions/{run.pk}/"
    body = {"content_type": "application/json"}
    assert client.patch(url, {"state": "paused"}, **body).json()["state"] == "paused"
    assert client.patch(url, {"state": "again"}, **body).json()["percent"] == 0
    assert client.patch(url, {"state": "running away"}, **body).status_code == 400
    assert client.patch("/api/compressions/999/", {"state": "paused"}, **body).status_code == 404
    for page in ("compression_compressionrun", "archive_compressedinstance"):
        assert client.get(reverse(f"admin:{page}_changelist")).status_code == 200
    row = CompressedInstance.objects.get()
    shown = client.get(reverse("admin:archive_compressedinstance_change", args=[row.pk]))
    assert bytes(row.pixels_after).hex() in shown.content.decode()
    originals = f"/api/studies/{ds.StudyInstanceUID}/originals/"
    assert signed_in("clinician").post(originals).status_code == 403
    assert client.post(originals).json() == {"restored": 1}
    assert client.post(originals).status_code == 404


def test_offsets_beyond_32_bits_stand_in_the_extended_offset_table(monkeypatch):
    ds = smooth(frames=3)
    send(part10(ds))
    monkeypatch.setattr(encapsulation, "LONGEST_OFFSET", 100)
    assert compressed().compressed == 1
    stored = pydicom.dcmread(io.BytesIO(b"".join(as_stored(location(ds.SOPInstanceUID)).chunks)))
    offsets = np.frombuffer(stored.ExtendedOffsetTable, "<u8")
    lengths = np.frombuffer(stored.ExtendedOffsetTableLengths, "<u8")
    assert offsets[1] == lengths[0] + 8
    assert stored.pixel_array.astype("<i2").tobytes() == ds.PixelData
    assert given_out(ds.SOPInstanceUID).PixelData == ds.PixelData
