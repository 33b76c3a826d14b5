"""Where the reader forgives, and what it says about it."""

from __future__ import annotations

import json
from struct import pack
from typing import Any

import pytest

from apps.dicom import element_shapes
from apps.dicom.character_sets import character_set, decode, encode
from apps.dicom.part10 import read_file_meta
from apps.dicom.reader import InstanceReader
from apps.dicom.scanning import InstanceScan
from apps.errors import UnreadableInstance
from tests.standards.datasets import IDENTITY, SC_IMAGE, element, encoded, explicit, part10
from tests.standards.sources import Held

UNDEFINED = 0xFFFFFFFF
END_OF_SEQUENCE = pack("<HHI", 0xFFFE, 0xE0DD, 0)
END_OF_ITEM = pack("<HHI", 0xFFFE, 0xE00D, 0)


def scan(dataset: bytes) -> InstanceScan:
    return InstanceReader(Held(part10(dataset))).scan()


def as_json(result: InstanceScan) -> dict[str, Any]:
    return json.loads(b"".join(result.json))


def test_a_source_shorter_than_it_says():
    class Shrunk(Held):
        """The file lost its end after its size was asked."""

        def __init__(self, content: bytes) -> None:
            super().__init__(content)
            self.size = len(content) + 100_000

    content = part10(explicit((0x7FE0, 0x0010, "OW", b"\0" * 64), identity=True))
    result = InstanceReader(Shrunk(content)).scan()
    assert result.attributes["SOPInstanceUID"] == "2.25.1"
    with pytest.raises(UnreadableInstance, match="cut off"):
        InstanceReader(Shrunk(part10(explicit(identity=True))[:-3])).scan()


def test_delimiters_outside_of_sequences_are_stepped_over():
    rows = encoded(*IDENTITY[:2]) + END_OF_ITEM + END_OF_SEQUENCE + encoded(*IDENTITY[2:])
    result = scan(rows)
    assert list(as_json(result)) == ["00080016", "00080018", "0020000D", "0020000E"]
    assert any("outside of any sequence" in each for each in result.warnings)


@pytest.mark.parametrize("undefined", [True, False])
def test_a_sequence_that_holds_no_items_is_left(undefined):
    body = element(0x0009, 0x0001, "LO", b"stray!")
    length = UNDEFINED if undefined else len(body)
    head = pack("<HH2sHI", 0x0008, 0x1032, b"SQ", 0, length)
    result = scan(encoded(*IDENTITY[:2]) + head + body + encoded(*IDENTITY[2:]))
    found = as_json(result)
    assert found["00081032"] == {"vr": "SQ"}
    assert ("00090001" in found) == undefined
    assert any("no item" in each for each in result.warnings)


def test_an_element_reaching_beyond_its_item_is_read_whole():
    inner = pack("<HH2sH", 0x0008, 0x0104, b"LO", 6) + b"Beyond"
    item = pack("<HHI", 0xFFFE, 0xE000, len(inner) - 4) + inner
    sequence = pack("<HH2sHI", 0x0008, 0x1032, b"SQ", 0, len(item)) + item
    result = scan(encoded(*IDENTITY[:2]) + sequence + encoded(*IDENTITY[2:]))
    found = as_json(result)
    assert found["00081032"]["Value"] == [{"00080104": {"vr": "LO", "Value": ["Beyond"]}}]
    assert found["0020000D"]["Value"] == ["2.25.2"]
    assert any("beyond the end of its item" in each for each in result.warnings)


def test_a_vr_of_the_future_is_laid_out_like_other_bytes():
    future = pack("<HH2sHI", 0x0018, 0x9999, b"OZ", 0, 2) + b"\1\2"
    found = as_json(scan(encoded(*IDENTITY[:2]) + future + encoded(*IDENTITY[2:])))
    assert found["00189999"] == {"vr": "UN", "InlineBinary": "AQI="}


def test_un_that_should_be_a_sequence_and_is_none_stays_bytes():
    found = as_json(scan(encoded((0x0008, 0x1032, "UN", b"no items"), *IDENTITY)))
    assert found["00081032"]["vr"] == "UN"


def test_what_the_dictionary_leaves_open_in_implicit_vr():
    rows = [*IDENTITY, (0x0028, 0x3006, "OW", b"\1\0\2\0"), (0x5400, 0x1010, "OW", b"\1\0")]
    content = part10(encoded(*rows, implicit=True), "1.2.840.10008.1.2")
    found = as_json(InstanceReader(Held(content)).scan())
    assert found["00283006"] == {"vr": "OW", "InlineBinary": "AQACAA=="}
    assert found["54001010"]["vr"] == "OW"


def test_several_uids_where_one_belongs_are_refused():
    with pytest.raises(UnreadableInstance, match="more than one Study Instance UID"):
        scan(encoded((0x0020, 0x000D, "UI", b"1.2\\1.3"), identity=True))


def test_a_missing_sop_class_comes_from_the_file_meta():
    result = scan(encoded(*IDENTITY[1:]))
    assert result.attributes["SOPClassUID"] == SC_IMAGE
    assert any("no SOP Class UID" in each for each in result.warnings)


def test_unlimited_characters_keep_leading_spaces():
    found = as_json(scan(explicit((0x0008, 0x0119, "UC", b" a\\\\ b "), identity=True)))
    assert found["00080119"]["Value"] == [" a", None, " b"]
    assert as_json(scan(explicit((0x0008, 0x0119, "UC", b"  "), identity=True)))["00080119"] == {
        "vr": "UC"
    }


def test_the_shapes_kept_in_memory_are_bounded(monkeypatch):
    monkeypatch.setattr(element_shapes, "_KEPT_SHAPES", 50)
    for shapes in element_shapes.SHAPES.values():
        shapes.known.clear()  # what other tests have read
    rows = [(0x0011, 0x1000 + number, "LO", b"x") for number in range(500)]
    found = as_json(scan(encoded((0x0011, 0x0010, "LO", b"MAKER"), *rows, *IDENTITY)))
    assert len(found) == 505
    assert all(len(shapes.known) <= 51 for shapes in element_shapes.SHAPES.values())


def test_the_json_of_one_instance_is_bounded(monkeypatch):
    monkeypatch.setattr("apps.dicom.scanning.JSON_BUDGET", 5000)
    rows = [(0x0011, 0x1000 + number, "LT", b"t" * 2000) for number in range(4)]
    rows.append((0x0011, 0x1010, "LO", b"short"))
    result = scan(encoded((0x0011, 0x0010, "LO", b"MAKER"), *rows, *IDENTITY))
    found = as_json(result)
    assert ["BulkDataURI" in found[f"0011100{number}"] for number in range(4)] == [
        False,
        False,
        True,
        True,
    ]
    assert found["00111010"]["Value"] == ["short"]


def test_file_meta_in_implicit_vr_is_read():
    value = b"1.2.840.10008.1.2.1\0"
    group = pack("<HHI", 2, 0x0010, len(value)) + value
    found = read_file_meta(b"\0" * 128 + b"DICM" + group + explicit(identity=True))
    assert found.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert found.dataset_offset == 132 + len(group)


@pytest.mark.parametrize("private", [b"{broken ", b"[1, 2]"])
def test_provenance_that_is_none_is_ignored(private):
    from apps.dicom.uids import PRIVATE_INFORMATION_CREATOR_UID

    creator = element(2, 0x0100, "UI", PRIVATE_INFORMATION_CREATOR_UID.encode())
    group = element(2, 0x0010, "UI", b"1.2.840.10008.1.2.1") + creator
    content = b"\0" * 128 + b"DICM" + group + element(2, 0x0102, "OB", private)
    assert read_file_meta(content + explicit(identity=True)).provenance is None


@pytest.mark.parametrize(
    ("term", "raw", "text"),
    [
        ("ISO-IR 100", b"\xe9", "é"),
        ("iso_ir 100", b"\xe9", "é"),
        ("ISO 2022-IR 100", b"\xe9", "é"),
        ("ISO_IR 149", b"\x1b$)C\xc8\xab", "홍"),
        ("SHIFT_JIS", "山".encode("shift_jis"), "山"),
        ("UTF-8", "é".encode(), "é"),
        ("ISO 2022 IR 192", "é".encode(), "é"),
    ],
)
def test_misspelt_character_sets_are_understood_and_flagged(term, raw, text):
    assert decode(raw, (term,), "LO") == text
    assert character_set((term,)).warnings


def test_a_source_may_leave_out_the_escape_sequence_where_only_one_set_is_possible():
    assert decode(b"\xc8\xab^\xb1\xe6", ("", "ISO 2022 IR 149"), "PN") == "홍^길"


def test_letters_of_the_lower_half_are_written_in_the_initial_set():
    assert encode("é1Л1", ("ISO 2022 IR 100", "ISO 2022 IR 144"), "LO") == b"\xe91\x1b-L\xbb1"
