"""Data sets of storage commitment, checked by pydicom, which read and wrote none of ours."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from apps.commitment.references import (
    AT_ONCE,
    chunks_without_repetition,
    pack_outcomes,
    pack_references,
    unpacked,
)
from apps.dicom.element_shapes import Encoding
from apps.dicom.storage_commitment import (
    FailureReason,
    Reference,
    action_information,
    event_information,
    references,
    transaction_uid,
)
from apps.errors import InvalidRequest

CT = "1.2.840.10008.5.1.4.1.1.2"
BOTH = pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "explicit"])


def encoding(implicit: bool) -> Encoding:
    return Encoding(implicit=implicit, big_endian=False)


def written(ds: Dataset, implicit: bool) -> bytes:
    from pydicom.filebase import DicomBytesIO

    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = implicit, True
    write_dataset(out, ds)
    return out.getvalue()


def reference(uid: str, sop_class: str = CT, **more) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


@BOTH
def test_a_request_is_read_whatever_else_it_holds(implicit: bool):
    """PS3.4 table J.3-1: an MPPS reference and items with a Retrieve AE Title are allowed."""
    ds = Dataset()
    ds.ReferencedPerformedProcedureStepSequence = [reference("9.9.9", "1.2.840.10008.3.1.2.3.3")]
    ds.TransactionUID = "1.2.3"
    ds.StorageMediaFileSetID = "X"
    inner = reference("1.2.5")
    inner.add_new(0x00401012, "SQ", [reference("8.8.8")])
    ds.ReferencedSOPSequence = [reference("1.2.4", RetrieveAETitle="CT1"), inner]
    raw = written(ds, implicit)
    assert transaction_uid(raw, encoding(implicit)) == "1.2.3"
    assert list(references(raw, encoding(implicit))) == [
        Reference(CT, "1.2.4"),
        Reference(CT, "1.2.5"),
    ]


@BOTH
def test_what_we_write_pydicom_reads(implicit: bool):
    raw = action_information(
        "1.2.3", [Reference(CT, "1.2.4"), Reference(CT, "1.2.55")], implicit=implicit
    )
    ds = read_dataset(io.BytesIO(raw), implicit, True)
    assert ds.TransactionUID == "1.2.3"
    assert [each.ReferencedSOPInstanceUID for each in ds.ReferencedSOPSequence] == [
        "1.2.4",
        "1.2.55",
    ]
    assert written(ds, implicit) == raw


@BOTH
def test_SC_03_every_instance_is_in_exactly_one_sequence(implicit: bool):
    outcomes = [
        Reference(CT, "1.1"),
        Reference(CT, "1.2", FailureReason.NO_SUCH_INSTANCE),
        Reference(CT, "1.3"),
    ]
    raw = event_information("1.2.3", "PACS", outcomes, implicit=implicit)
    ds = read_dataset(io.BytesIO(raw), implicit, True)
    assert [each.ReferencedSOPInstanceUID for each in ds.ReferencedSOPSequence] == ["1.1", "1.3"]
    (failed,) = ds.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2", 0x0112)
    assert written(ds, implicit) == raw
    assert list(references(raw, encoding(implicit))) == [outcomes[1], outcomes[0], outcomes[2]]


@BOTH
def test_SC_09_the_retrieve_AE_title_stands_outside_and_never_in_items(implicit: bool):
    raw = event_information("1.2.3", "PACS", [Reference(CT, "1.1")], implicit=implicit)
    ds = read_dataset(io.BytesIO(raw), implicit, True)
    assert ds.RetrieveAETitle == "PACS"
    assert "RetrieveAETitle" not in ds.ReferencedSOPSequence[0]
    assert "FailedSOPSequence" not in ds


def test_a_request_that_cannot_be_read_is_refused():
    lacking = Dataset()
    lacking.TransactionUID = "1.2.3"
    lacking.ReferencedSOPSequence = [Dataset()]
    with pytest.raises(InvalidRequest):
        list(references(written(lacking, True), encoding(True)))
    whole = action_information("1.2.3", [Reference(CT, "1.2.4")] * 3, implicit=True)
    with pytest.raises(InvalidRequest):
        list(references(whole[:-9], encoding(True)))
    assert transaction_uid(b"", encoding(True)) == ""


def test_rows_of_references_hold_each_once_and_remember_what_became_of_it():
    asked = [Reference(CT, f"1.2.{number % 1500}") for number in range(3000)]
    rows = list(chunks_without_repetition(asked))
    assert [len(row) for row in rows] == [AT_ONCE, 500]
    packed = pack_references(rows[0])
    assert len(packed) < 20_000
    outcomes = [0x0112 if number % 7 == 0 else 0 for number in range(AT_ONCE)]
    back = list(unpacked(packed, pack_outcomes(outcomes)))
    assert [each.failure for each in back] == outcomes
    assert [each.sop_instance_uid for each in back] == [each.sop_instance_uid for each in rows[0]]


def test_a_long_request_is_read_in_flat_memory():
    asked = (Reference(CT, f"1.2.826.0.1.3680043.8.498.{number:030d}") for number in range(20_000))
    raw = action_information("1.2.3", asked, implicit=True)
    assert len(raw) > 2_000_000
    tracemalloc.start()
    count = sum(1 for _ in references(raw, encoding(True)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 500_000
