"""File Meta Information, UIDs and the tables of PS3.6."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary

from apps.dicom import sop_classes, transfer_syntaxes, uids
from apps.dicom.part10 import Provenance, file_meta, read_file_meta
from apps.errors import UnreadableInstance

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
FIRST = b"\x08\0\x05\0CS\x0a\0ISO_IR 192"


def meta(provenance: Provenance | None = None, uid: str = "1.2.3") -> bytes:
    return file_meta(
        sop_class_uid=CT,
        sop_instance_uid=uid,
        transfer_syntax_uid=EXPLICIT,
        provenance=provenance,
    )


def test_STO_05_our_file_meta_is_valid_part_10():
    provenance = Provenance("dimse", "MODALITY", "PACSWEB", "192.0.2.1", "2026-01-02T03:04:05Z")
    ds = pydicom.dcmread(io.BytesIO(meta(provenance) + FIRST))
    found = ds.file_meta
    assert found.FileMetaInformationVersion == b"\0\1"
    assert found.FileMetaInformationGroupLength == len(meta(provenance)) - 144
    assert found.MediaStorageSOPClassUID == CT
    assert found.MediaStorageSOPInstanceUID == "1.2.3"
    assert found.TransferSyntaxUID == EXPLICIT
    assert found.ImplementationClassUID == uids.IMPLEMENTATION_CLASS_UID
    assert found.ImplementationVersionName == uids.IMPLEMENTATION_VERSION_NAME
    assert found.SourceApplicationEntityTitle == "MODALITY"
    assert found.ReceivingApplicationEntityTitle == "PACSWEB"
    assert found.PrivateInformationCreatorUID == uids.PRIVATE_INFORMATION_CREATOR_UID
    assert json.loads(found.PrivateInformation)["source_address"] == "192.0.2.1"
    assert ds.SpecificCharacterSet == "ISO_IR 192"


TEXT = st.text(max_size=30)


@given(st.builds(Provenance, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT))
def test_provenance_comes_back_whole(provenance):
    found = read_file_meta(meta(provenance) + FIRST)
    assert found.provenance == provenance
    assert found.dataset_offset == len(meta(provenance))
    assert (found.sop_class_uid, found.sop_instance_uid) == (CT, "1.2.3")
    assert found.has_preamble
    assert not found.warnings


def test_without_provenance_there_is_none():
    assert read_file_meta(meta() + FIRST).provenance is None


def test_UID_01_uids_are_padded_with_a_nul_to_even_length():
    assert b"UI\x06\x001.2.3\0" in meta()
    assert b"UI\x06\x001.2.34" in meta(uid="1.2.34")


def test_group_length_may_be_wrong_missing_or_the_group_cut():
    content = meta() + FIRST
    without = content[:132] + content[144:]
    assert read_file_meta(without).dataset_offset == len(meta()) - 12
    wrong = content[:140] + b"\xff\xff\0\0" + content[144:]
    assert read_file_meta(wrong).dataset_offset == len(meta())
    with pytest.raises(UnreadableInstance, match="cut off or far too long"):
        read_file_meta(content[:200])


def test_real_files_read_as_pydicom_reads_them(corpus):
    compared = 0
    for path in sorted((corpus / "dicom").rglob("*")):
        if not path.is_file():
            continue
        head = path.read_bytes()[:65536]
        if head[128:134] != b"DICM\x02\0":
            continue
        theirs = pydicom.filereader.read_file_meta_info(path)
        found = read_file_meta(head)
        assert found.sop_instance_uid == theirs.get("MediaStorageSOPInstanceUID", "").strip()
        assert found.sop_class_uid == theirs.get("MediaStorageSOPClassUID", "").strip()
        if "TransferSyntaxUID" in theirs and not found.warnings:
            assert found.transfer_syntax_uid == theirs.TransferSyntaxUID
        compared += 1
    assert compared > 600


# -- UIDs


def test_UID_03_new_uids_are_2_25_and_a_uuid():
    made = {uids.mint() for _ in range(200)}
    assert len(made) == 200
    for uid in made:
        assert uid.startswith("2.25.")
        assert uids.is_valid(uid)
        assert int(uid[5:]) < 2**128


def test_UID_03_derived_uids_are_stable_and_never_extend_another_root():
    first = uids.derived("reports", "1.2.3", "4")
    assert first == uids.derived("reports", "1.2.3", "4")
    assert first != uids.derived("reports", "1.2.3", "5")
    assert first != uids.derived("keys", "1.2.3", "4")
    assert first.startswith("2.25.")
    assert uids.is_valid(first)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2", "0.0", "1", "2.25." + "1" * 39])
def test_UID_01_valid(uid):
    assert uids.is_valid(uid)


@pytest.mark.parametrize(
    "uid", ["", "1.02", "1..2", ".1", "1.", "1.2a", "1.2 ", "1.2\n", "1." + "2" * 63, "1.٢"]
)
def test_UID_01_not_valid(uid):
    assert not uids.is_valid(uid)


def test_our_own_uids_are_valid():
    assert uids.is_valid(uids.IMPLEMENTATION_CLASS_UID)
    assert uids.is_valid(uids.PRIVATE_INFORMATION_CREATOR_UID)
    assert len(uids.IMPLEMENTATION_VERSION_NAME) <= 16


# -- tables


def test_every_transfer_syntax_of_ps3_6_has_its_row():
    listed = {
        uid: (name, bool(retired))
        for uid, (name, kind, _, retired, _) in UID_dictionary.items()
        if kind == "Transfer Syntax"
    }
    ours = {row.uid: (row.name, row.retired) for row in transfer_syntaxes.TABLE}
    assert listed.items() <= ours.items()
    assert len(transfer_syntaxes.BY_UID) == len(transfer_syntaxes.TABLE)


OTHER_WORLDS = {"smpte", "mime", "xml"}


def test_transfer_syntaxes_agree_with_pydicom():
    papyrus = "1.2.840.10008.1.20"  # by its own name implicit; pydicom does not know it so
    for row in transfer_syntaxes.TABLE:
        uid = pydicom.uid.UID(row.uid)
        if row.uid == papyrus or row.uid not in UID_dictionary or row.codec in OTHER_WORLDS:
            continue
        assert uid.is_implicit_VR == row.implicit, row
        assert (not uid.is_little_endian) == row.big_endian, row
        if row.codec != "jpip" and row.uid != transfer_syntaxes.IMPLICIT_VR_LITTLE_ENDIAN:
            assert uid.is_encapsulated == row.encapsulated, row
        assert uid.is_deflated == (row.codec == "deflated"), row


def test_unknown_transfer_syntax_is_encapsulated_explicit_little_endian():
    row = transfer_syntaxes.transfer_syntax("1.2.3.4")
    assert row.encapsulated
    assert not row.implicit
    assert not row.big_endian
    assert not row.deflated


def test_every_storage_sop_class_of_the_standard_has_its_row(corpus: Path):
    listed = json.loads((corpus / "standard" / "sops.json").read_text())
    for entry in listed:
        assert sop_classes.BY_UID[entry["id"]].name == UID_dictionary[entry["id"]][0]
    assert len(sop_classes.BY_UID) == len(sop_classes.TABLE)


@pytest.mark.parametrize(
    ("keyword", "kind"),
    [
        ("CTImageStorage", "image"),
        ("ComprehensiveSRStorage", "report"),
        ("KeyObjectSelectionDocumentStorage", "key-object"),
        ("GrayscaleSoftcopyPresentationStateStorage", "presentation"),
        ("EncapsulatedPDFStorage", "document"),
        ("TwelveLeadECGWaveformStorage", "waveform"),
        ("SegmentationStorage", "segmentation"),
        ("RTStructureSetStorage", "structure-set"),
        ("RTPlanStorage", "rt"),
        ("RTDoseStorage", "dose"),
    ],
)
def test_kinds(keyword, kind):
    rows = [row for row in sop_classes.TABLE if row.keyword == keyword]
    assert [row.kind for row in rows] == [kind]


def test_unknown_sop_classes_are_storage_of_unknown_kind():
    row = sop_classes.sop_class("1.2.3.4")
    assert (row.kind, row.storage) == ("unknown", True)
