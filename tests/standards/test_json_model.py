"""DICOM JSON (PS3.18 Annex F), value by value: rules JSN-01 to JSN-03 and WAD-10."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from struct import pack

import pytest

from apps.dicom.reader import InstanceReader
from tests.standards.datasets import explicit, part10
from tests.standards.sources import Held


def member(group: int, number: int, vr: str, value: bytes) -> str:
    """The text of the one member that is not of the identity."""
    content = part10(explicit((group, number, vr, value), identity=True))
    text = b"".join(InstanceReader(Held(content)).scan().json).decode()
    begin = text.index(f'"{group:04X}{number:04X}"')
    return text[begin : text.index("}", begin) + 1].split(":", 1)[1]


@pytest.mark.parametrize(
    ("stored", "members"),
    [
        (b"1.50", "1.50"),
        (b"71.500", "71.500"),
        (b"-0.5\\1e3\\-2.5E-03", "-0.5,1e3,-2.5E-03"),
        (b" 1.0 \\ 2.0 ", "1.0,2.0"),
        (b"+7", "7"),
        (b".5", "0.5"),
        (b"-.5", "-0.5"),
        (b"1.", "1"),
        (b"007.10", "7.10"),
        (b"-00", "-0"),
        (b"1\\\\3", "1,null,3"),
        (b"1,5", '"1,5"'),
        (b"1A\\2", '"1A",2'),
        (b"E5", '"E5"'),
        (b"-", '"-"'),
        (b"NaN", '"NaN"'),
    ],
)
def test_JSN_02_decimal_strings_are_numbers_digit_for_digit(stored, members):
    assert member(0x0010, 0x1030, "DS", stored) == f'{{"vr":"DS","Value":[{members}]}}'


def test_JSN_02_a_decimal_string_round_trips_through_a_decimal_parser():
    content = part10(explicit((0x0010, 0x1030, "DS", b"1.50"), identity=True))
    text = b"".join(InstanceReader(Held(content)).scan().json)
    found = json.loads(text, parse_float=Decimal)["00101030"]["Value"]
    assert [str(each) for each in found] == ["1.50"]


@pytest.mark.parametrize("vr", ["CS", "DS", "LO", "PN", "SQ", "OB", "US", "UT", "AT", "UN"])
def test_JSN_02_empty_has_no_value(vr):
    value: bytes | list[bytes] = [] if vr == "SQ" else b""
    content = part10(explicit((0x0040, 0x0555, vr, value), identity=True))
    found = json.loads(b"".join(InstanceReader(Held(content)).scan().json))
    assert found["00400555"] == {"vr": "SQ" if vr == "UN" else vr}


@pytest.mark.parametrize("vr", ["CS", "LO", "DS", "PN", "UT"])
def test_JSN_02_nothing_but_padding_is_empty(vr):
    assert member(0x0010, 0x4001, vr, b"  ") == f'{{"vr":"{vr}"}}'


def test_JSN_02_an_empty_value_among_others_is_null():
    assert member(0x0008, 0x0008, "CS", b"A\\\\C") == '{"vr":"CS","Value":["A",null,"C"]}'


@pytest.mark.parametrize(
    ("vr", "code", "values"),
    [
        ("US", "H", (0, 65535)),
        ("SS", "h", (-32768, 32767)),
        ("UL", "I", (2**32 - 1,)),
        ("SL", "i", (-(2**31), 5)),
        ("UV", "Q", (2**64 - 1,)),
        ("SV", "q", (-(2**63),)),
        ("FD", "d", (0.1, -1e300)),
        ("FL", "f", (0.5, 1.25)),
    ],
)
def test_binary_numbers(vr, code, values):
    raw = pack(f"<{len(values)}{code}", *values)
    found = json.loads(member(0x0040, 0xA132, vr, raw))
    assert found == {"vr": vr, "Value": list(values)}


def test_numbers_of_a_wrong_length_keep_what_is_whole():
    content = part10(explicit((0x0028, 0x0010, "US", b"\1\0\2\0\3\0"), identity=True))
    assert json.loads(b"".join(InstanceReader(Held(content)).scan().json))["00280010"]["Value"]
    odd = part10(explicit((0x0018, 0x9073, "FD", b"\0" * 12), identity=True))
    result = InstanceReader(Held(odd)).scan()
    assert json.loads(b"".join(result.json))["00189073"]["Value"] == [0.0]
    assert any("multiple of 8" in each for each in result.warnings)


def test_tags_are_eight_hexadecimal_digits():
    raw = pack("<HHHH", 0x0018, 0x1063, 0x7FE0, 0x0010)
    assert member(0x0028, 0x0009, "AT", raw) == '{"vr":"AT","Value":["00181063","7FE00010"]}'


def test_JSN_03_infinities_and_nan_are_strings():
    raw = pack("<ddd", float("nan"), float("inf"), float("-inf"))
    found = json.loads(member(0x0018, 0x9073, "FD", raw))
    assert found["Value"] == ["NaN", "Infinity", "-Infinity"]


def test_text_is_escaped_and_leading_spaces_count_only_where_they_mean_something():
    assert json.loads(member(0x0020, 0x4000, "LT", b'  "a"\\b\r\n\x07 '))["Value"] == [
        '  "a"\\b\r\n\x07'
    ]
    assert json.loads(member(0x0008, 0x1030, "LO", b"  CT head "))["Value"] == ["CT head"]


@pytest.mark.parametrize(("length", "inline"), [(2, True), (1024, True), (1026, False)])
@pytest.mark.parametrize("vr", ["OB", "OW", "OF", "OD", "OL", "OV", "UN"])
def test_WAD_10_binary_values_are_inline_up_to_1024_bytes_and_bulk_beyond(vr, length, inline):
    value = bytes(range(256)) * 5
    found = json.loads(member(0x0041, 0x1010, vr, value[:length]))
    if inline:
        assert base64.b64decode(found["InlineBinary"]) == value[:length]
    else:
        assert found["BulkDataURI"].endswith("/bulkdata/00411010")


def test_JSN_01_group_lengths_and_group_0002_stay_out():
    dataset = explicit(
        (0x0008, 0x0000, "UL", pack("<I", 10)),
        (0x0002, 0x0010, "UI", b"1.2"),
        (0x0010, 0x0000, "UL", pack("<I", 10)),
        identity=True,
    )
    found = json.loads(b"".join(InstanceReader(Held(part10(dataset)[:])).scan().json))
    assert list(found) == ["00080016", "00080018", "0020000D", "0020000E"]


def test_private_elements_come_with_their_creators():
    dataset = explicit(
        (0x0029, 0x0010, "LO", b"SIEMENS CSA HEADER"),
        (0x0029, 0x1008, "CS", b"IMAGE NUM 4"),
        identity=True,
    )
    found = json.loads(b"".join(InstanceReader(Held(part10(dataset))).scan().json))
    assert found["00290010"]["Value"] == ["SIEMENS CSA HEADER"]
    assert found["00291008"]["Value"] == ["IMAGE NUM 4"]


def test_attributes_are_the_rows_of_the_table_at_the_top_level():
    nested = explicit((0x0008, 0x0060, "CS", b"XX"), (0x0010, 0x0020, "LO", b"inner"))
    dataset = explicit(
        (0x0008, 0x0005, "CS", b"\\ISO 2022 IR 87"),
        (0x0008, 0x0008, "CS", b"ORIGINAL\\ PRIMARY"),
        (0x0008, 0x0060, "CS", b"CT "),
        (0x0008, 0x0201, "SH", b"+0100"),
        (0x0008, 0x1032, "SQ", [nested]),
        (0x0010, 0x0020, "LO", b" 4711 "),
        (0x0010, 0x1030, "DS", b"71.50"),
        (0x0020, 0x1206, "IS", b"12"),
        (0x0028, 0x0002, "US", pack("<H", 1)),
        (0x0028, 0x0010, "US", pack("<H", 512)),
        identity=True,
    )
    found = InstanceReader(Held(part10(dataset))).scan().attributes
    assert found == {
        "SpecificCharacterSet": "\\ISO 2022 IR 87",
        "ImageType": "ORIGINAL\\PRIMARY",
        "Modality": "CT",
        "TimezoneOffsetFromUTC": "+0100",
        "PatientID": "4711",
        "PatientWeight": "71.50",
        "Rows": "512",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "SOPInstanceUID": "2.25.1",
        "StudyInstanceUID": "2.25.2",
        "SeriesInstanceUID": "2.25.3",
    }
