"""Odd input: what the field sends is read, what cannot be understood is refused with a sentence."""

from __future__ import annotations

import json
import time
import tracemalloc
import zlib
from struct import pack
from typing import Any

import pytest

from apps.dicom.deflated import InflatedSource
from apps.dicom.reader import InstanceReader
from apps.dicom.scanning import InstanceScan
from apps.errors import UnreadableInstance
from tests.standards.datasets import (
    IDENTITY,
    element,
    encapsulated,
    encoded,
    explicit,
    fragment,
    part10,
)
from tests.standards.sources import Held, held

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"
IMAGE = [
    (0x0028, 0x0002, "US", pack("<H", 1)),
    (0x0028, 0x0010, "US", pack("<H", 4)),
    (0x0028, 0x0011, "US", pack("<H", 4)),
    (0x0028, 0x0100, "US", pack("<H", 8)),
]


def scan(content: bytes) -> InstanceScan:
    return InstanceReader(Held(content)).scan()


def as_json(result: InstanceScan) -> dict[str, Any]:
    return json.loads(b"".join(result.json))


def whole(dataset: bytes, syntax: str = EXPLICIT) -> dict[str, Any]:
    return as_json(scan(part10(dataset, syntax)))


# -- Transfer Syntaxes


def test_pixel_data_that_says_it_is_a_sequence_is_hopped_over():
    """It used to end the scan with an error that nobody expects."""
    pixels = element(0x7FE0, 0x0010, "OB", bytes(16)).replace(b"OB", b"SQ", 1)
    result = scan(part10(encoded(*IDENTITY, *IMAGE) + pixels, EXPLICIT))
    assert as_json(result)["7FE00010"]["vr"] == "UN"
    assert result.frames is not None
    assert result.frames.count == 1


def same_in_every_encoding() -> list[tuple[int, int, str, Any]]:
    nested = encoded((0x0008, 0x0104, "LO", b"Nested"))
    return [
        *IDENTITY,
        (0x0008, 0x0060, "CS", b"CT"),
        (0x0008, 0x1032, "SQ", [nested, b""]),
        (0x0010, 0x1030, "DS", b"71.50"),
    ]


def test_STO_10_every_encoding_gives_the_same_json():
    rows = same_in_every_encoding()
    plain = whole(encoded(*rows))
    assert plain["00081032"]["Value"] == [{"00080104": {"vr": "LO", "Value": ["Nested"]}}, {}]
    assert whole(encoded(*rows, undefined=True)) == plain

    nested = encoded((0x0008, 0x0104, "LO", b"Nested"), implicit=True)
    rows[5] = (0x0008, 0x1032, "SQ", [nested, b""])
    assert whole(encoded(*rows, implicit=True), IMPLICIT) == plain
    assert whole(encoded(*rows, implicit=True, undefined=True), IMPLICIT) == plain

    nested = encoded((0x0008, 0x0104, "LO", b"Nested"), order=">")
    rows[5] = (0x0008, 0x1032, "SQ", [nested, b""])
    assert whole(encoded(*rows, order=">"), BIG) == plain
    assert whole(encoded(*rows, order=">", undefined=True), BIG) == plain


def test_STO_10_big_endian_numbers_and_words_are_turned():
    values = [
        (0x0028, 0x0010, "US", pack(">H", 512)),
        (0x0028, 0x0106, "SS", pack(">hh", -2, 300)),
        (0x0018, 0x605A, "FL", pack(">f", 0.5)),
        (0x0028, 0x0009, "AT", pack(">HH", 0x0018, 0x1063)),
        (0x0028, 0x3006, "OW", pack(">HHH", 1, 2, 0x0304)),
        (0x0066, 0x0040, "OL", pack(">I", 7)),
        (0x7FE0, 0x0009, "OD", b""),
        (0x0042, 0x0011, "OB", b"\1\2"),
    ]
    found = whole(encoded(*values, identity=True, order=">"), BIG)
    assert found["00280010"]["Value"] == [512]
    assert found["00280106"]["Value"] == [-2, 300]
    assert found["0018605A"]["Value"] == [0.5]
    assert found["00280009"]["Value"] == ["00181063"]
    assert found["00283006"]["InlineBinary"] == "AQACAAQD"  # little endian: F.2.7
    assert found["00660040"]["InlineBinary"] == "BwAAAA=="
    assert found["00420011"]["InlineBinary"] == "AQI="


def deflated(dataset: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(dataset) + compressor.flush()


def test_STO_09_deflated_is_raw_deflate_and_frames_lie_in_the_inflated_data_set():
    pixels = bytes(range(16))
    dataset = encoded(*IMAGE, (0x7FE0, 0x0010, "OB", pixels), identity=True)
    reader = InstanceReader(Held(part10(deflated(dataset), DEFLATED)))
    result = reader.scan()
    assert result.frames is not None
    assert result.frames.inflated
    ((offset, length),) = result.frames.fragments(0)
    assert dataset[offset : offset + length] == pixels
    assert reader.data.read_at(offset, length) == pixels
    assert as_json(result) == whole(dataset)


def test_a_deflate_bomb_is_refused_before_it_fills_memory():
    bomb = deflated(explicit(identity=True) + b"\0" * 20_000_000)
    source = Held(bomb)
    tracemalloc.start()
    with pytest.raises(UnreadableInstance, match="inflates to more than"):
        InflatedSource(source, 0, maximum=5_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16_000_000


def test_a_large_deflated_data_set_can_be_read_anywhere_without_being_held(monkeypatch):
    monkeypatch.setattr("apps.dicom.deflated._HELD", 1_000_000)
    content = b"".join(pack("<I", number) for number in range(1_000_000))
    source = InflatedSource(Held(deflated(content)), 0)
    assert source.size == len(content)
    for offset in (3_999_990, 0, 1_234_567, 1_234_000, 3_000_000):
        assert source.read_at(offset, 40) == content[offset : offset + 40]
    assert source.read_at(1_000_000, 2_500_000) == content[1_000_000:3_500_000]


def test_a_broken_deflate_stream_is_refused():
    with pytest.raises(UnreadableInstance, match="no deflate stream"):
        scan(part10(b"\xff" * 100, DEFLATED))
    cut = deflated(explicit((0x0010, 0x4000, "LT", bytes(range(48, 122)) * 20), identity=True))
    with pytest.raises(UnreadableInstance, match="cut off"):
        scan(part10(cut[:60], DEFLATED))


# -- beginnings


def test_STO_10_no_preamble_no_file_meta():
    dataset = explicit((0x0008, 0x0060, "CS", b"CT"), identity=True)
    for content, offset in (
        (dataset, 0),
        (b"\0" + dataset, 1),
        (part10(dataset)[128:], None),
        (part10(dataset)[132:], None),
    ):
        result = scan(content)
        assert result.attributes["Modality"] == "CT"
        assert result.transfer_syntax_uid == EXPLICIT
        assert offset is None or result.dataset_offset == offset
        assert result.warnings
    bare = encoded(*IDENTITY, implicit=True)
    assert scan(bare).transfer_syntax_uid == IMPLICIT
    assert scan(encoded(*IDENTITY, order=">")).transfer_syntax_uid == BIG


def test_the_letters_dicm_inside_a_value_are_no_preamble():
    value = b"A" * 120 + b"DICM" + b"A" * 20
    dataset = explicit((0x0008, 0x0000, "UT", value[:0]), identity=True)
    filler = element(0x0008, 0x0005, "UT", b"I" * (128 - 12) + b"DICM")
    content = filler + dataset
    assert content[128:132] == b"DICM"
    assert scan(content).attributes["SOPInstanceUID"] == "2.25.1"


def test_a_wrong_transfer_syntax_in_the_file_meta_is_overruled_by_what_is_there():
    result = scan(part10(encoded(*IDENTITY, implicit=True), EXPLICIT))
    assert result.transfer_syntax_uid == IMPLICIT
    assert any("Explicit VR Little Endian" in each for each in result.warnings)
    result = scan(part10(encoded(*IDENTITY), IMPLICIT))
    assert result.transfer_syntax_uid == EXPLICIT


def test_encapsulated_frames_in_an_implicit_data_set(corpus):
    found = InstanceReader(held(corpus / "dicom/sc-color/SC_rgb_jpeg.dcm")).scan()
    assert as_json(found)["7FE00010"]["vr"] == "OB"
    assert found.frames is not None
    assert found.transfer_syntax_uid == JPEG


@pytest.mark.parametrize("content", [b"", b"DICM", b"x" * 5000, b"<html>" * 50, b"\0" * 400])
def test_what_is_no_dicom_is_refused(content):
    with pytest.raises(UnreadableInstance, match="not a DICOM object"):
        scan(content)


# -- identity


@pytest.mark.parametrize("missing", [(0x0008, 0x0018), (0x0020, 0x000D), (0x0020, 0x000E)])
@pytest.mark.parametrize("empty", [True, False])
def test_an_object_without_identity_is_refused(missing, empty):
    rows = [row for row in IDENTITY if row[:2] != missing]
    if empty:
        rows.append((*missing, "UI", b""))
    with pytest.raises(UnreadableInstance, match="The object has no"):
        scan(part10(encoded(*rows)))


def test_UID_02_bad_uids_are_kept_verbatim_with_a_warning():
    rows = [row for row in IDENTITY if row[1] != 0x0018]
    for uid in (b"1.02.3", b"abc/../d", b"1." * 40 + b"1", b"1.2.3 "):
        result = scan(part10(encoded(*rows, (0x0008, 0x0018, "UI", uid))))
        kept = uid.decode().strip()
        assert result.attributes["SOPInstanceUID"] == kept
        assert as_json(result)["00080018"]["Value"] == [kept]
        assert bool(result.warnings) == (uid != b"1.2.3 ")


def test_a_bad_uid_cannot_leave_its_segment_of_the_bulk_data_uri():
    rows = [row for row in IDENTITY if row[1] != 0x0018]
    result = scan(
        part10(
            encoded(*rows, (0x0008, 0x0018, "UI", b'a/../"b'), (0x0042, 0x0011, "OB", b"x" * 2000))
        )
    )
    assert result.json[1].startswith(
        b"/studies/2.25.2/series/2.25.3/instances/a%2F..%2F%22b/bulkdata/00420011"
    )


# -- elements


def test_STO_10_odd_lengths_wrong_vrs_and_padding_at_the_end():
    dataset = (
        explicit(*IDENTITY)
        + pack("<HH2sH", 0x0020, 0x4000, b"LT", 3)
        + b"odd"
        + pack("<HH2sH", 0x0028, 0x0103, b"US", 2)
        + b"\1\0"
        + pack("<HH2sH", 0x0028, 0x0120, b"  ", 2)
        + b"\xff\xff"
        + element(0xFFFC, 0xFFFC, "OB", b"\0" * 64)
    )
    found = whole(dataset)
    assert found["00204000"]["Value"] == ["odd"]
    assert found["00280120"] == {"vr": "SS", "Value": [-1]}
    assert found["FFFCFFFC"]["vr"] == "OB"
    result = scan(part10(dataset + b"\0" * 512))
    assert as_json(result) == found
    assert any("behind the last element" in each for each in result.warnings)


def test_real_file_whose_vr_is_two_spaces(corpus):
    found = as_json(InstanceReader(held(corpus / "dicom/odd/GH179A.dcm")).scan())
    assert found["00280120"] == {"vr": "SS", "Value": [0]}
    assert found["00281050"] == {"vr": "DS", "Value": [-2]}


def test_an_implicit_sequence_inside_an_explicit_file():
    nested = encoded((0x0008, 0x0104, "LO", b"Implicit"), implicit=True)
    found = whole(explicit(*IDENTITY, (0x0008, 0x1032, "SQ", [nested])))
    assert found["00081032"]["Value"] == [{"00080104": {"vr": "LO", "Value": ["Implicit"]}}]


def test_STO_10_sequences_of_vr_un_are_implicit_inside():
    nested = encoded((0x0008, 0x0104, "LO", b"Inside"), implicit=True)
    expected = [{"00080104": {"vr": "LO", "Value": ["Inside"]}}]
    undefined = (
        pack("<HH2sHI", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF)
        + fragment(nested)
        + pack("<HHI", 0xFFFE, 0xE0DD, 0)
    )
    found = whole(
        encoded((0x0008, 0x1032, "UN", fragment(nested)), *IDENTITY[:2])
        + element(0x0009, 0x0010, "LO", b"SOMEBODY")
        + undefined
        + encoded(*IDENTITY[2:])
    )
    assert found["00081032"] == {"vr": "SQ", "Value": expected}
    assert found["00091001"] == {"vr": "SQ", "Value": expected}


def test_un_with_a_known_tag_gets_its_vr_back_and_private_ones_by_their_creator():
    found = whole(
        encoded(
            *IDENTITY,
            (0x0010, 0x1030, "UN", b"71.50 "),
            (0x0019, 0x0010, "UN", b"GEMS_ACQU_01"),
            (0x0019, 0x1002, "UN", pack("<i", 912)),
            (0x0019, 0x10FF, "UN", b"\1\2"),
        )
    )
    assert found["00101030"] == {"vr": "DS", "Value": [71.5]}
    assert found["00190010"] == {"vr": "LO", "Value": ["GEMS_ACQU_01"]}
    assert found["00191002"] == {"vr": "SL", "Value": [912]}
    assert found["001910FF"]["vr"] == "UN"


def test_us_or_ss_follows_pixel_representation_in_implicit_vr():
    for signed, vr, value in ((0, "US", 65534), (1, "SS", -2)):
        rows = [
            *IDENTITY,
            (0x0028, 0x0103, "US", pack("<H", signed)),
            (0x0028, 0x0106, "US", b"\xfe\xff"),
        ]
        found = whole(encoded(*rows, implicit=True), IMPLICIT)
        assert found["00280106"] == {"vr": vr, "Value": [value]}


def test_unordered_and_doubled_elements_come_out_ascending_and_once():
    dataset = (
        element(0x0010, 0x0020, "LO", b"first")
        + encoded(*IDENTITY)
        + element(0x0010, 0x0020, "LO", b"second")
    )
    found = whole(dataset)
    assert list(found) == sorted(found)
    assert found["00100020"]["Value"] == ["second"]


def test_missing_and_surplus_delimiters():
    item_open = pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    item_end, end = pack("<HHI", 0xFFFE, 0xE00D, 0), pack("<HHI", 0xFFFE, 0xE0DD, 0)
    head = pack("<HH2sHI", 0x0008, 0x1032, b"SQ", 0, 0xFFFFFFFF)
    value = element(0x0008, 0x0104, "LO", b"In")
    expected = [{"00080104": {"vr": "LO", "Value": ["In"]}}]
    for body in (
        item_open + value + end,  # the item is not closed
        item_open + value + item_end + item_end + end,  # closed twice
        fragment(value) + item_end + end,  # closed though its length is stated
    ):
        found = whole(encoded(*IDENTITY[:2]) + head + body + encoded(*IDENTITY[2:]))
        assert found["00081032"]["Value"] == expected
        assert found["0020000D"]["Value"] == ["2.25.2"]
    two = item_open + value + item_open + value + item_end + end
    found = whole(encoded(*IDENTITY[:2]) + head + two + encoded(*IDENTITY[2:]))
    assert found["00081032"]["Value"] == expected * 2


# -- ends


def test_an_object_cut_inside_pixel_data_is_kept_with_a_warning():
    pixels = (0x7FE0, 0x0010, "OW", b"\1" * 16)
    content = part10(encoded(*IMAGE, pixels, identity=True))
    result = scan(content[:-5])
    assert any("cut off" in each for each in result.warnings)
    assert result.frames is not None
    ((offset, length),) = result.frames.fragments(0)
    assert (offset, length) == (len(content) - 16, 11)
    dataset = encoded(*IMAGE, identity=True) + encapsulated(b"\xff\xd8abcd", closed=False)
    result = scan(part10(dataset, JPEG)[:-2])
    assert result.frames is not None
    assert result.frames.fragments(0)[0][1] == 4


def test_an_object_cut_before_its_pixel_data_is_refused():
    content = part10(encoded(*IDENTITY, (0x300A, 0x0002, "SH", b"Plan name")))
    for cut in (1, 5, 9):
        with pytest.raises(UnreadableInstance, match=r"cut off.*\(300A,0002\) RT Plan Label"):
            scan(content[:-cut])


def test_elements_behind_pixel_data_are_read():
    tail = encoded((0xFFFA, 0xFFFA, "SQ", [encoded((0x0400, 0x0005, "US", b"\1\0"))]))
    for pixels in (
        element(0x7FE0, 0x0010, "OW", b"\1" * 200_000),
        encapsulated(b"x" * 100_000, b"y" * 100_000),
    ):
        found = whole(encoded(*IMAGE, identity=True) + pixels + tail)
        assert found["FFFAFFFA"]["Value"] == [{"04000005": {"vr": "US", "Value": [1]}}]
        assert "BulkDataURI" in found["7FE00010"]


def test_pixel_data_of_an_icon_is_bulk_data_of_its_item():
    icon = encoded(*IMAGE, (0x7FE0, 0x0010, "OW", b"\2" * 16))
    packed = encoded(*IMAGE) + encapsulated(b"\xff\xd8icon\xff\xd9")
    dataset = encoded(*IMAGE, (0x0088, 0x0200, "SQ", [icon, packed]), identity=True)
    reader = InstanceReader(Held(part10(dataset)))
    result = reader.scan()
    assert result.frames is None
    assert [piece.split(b'"')[0].split(b"/bulkdata/")[1] for piece in result.json[1:]] == [
        b"00880200/1/7FE00010",
        b"00880200/2/7FE00010",
    ]
    offset, length, vr = reader.locate(("00880200", "1", "7FE00010"))
    assert (reader.data.read_at(offset, length), vr) == (b"\2" * 16, "OW")


# -- bounds


def test_nesting_has_a_limit():
    def nested(depth: int) -> bytes:
        value = b""
        for _ in range(depth):
            value = element(0x0008, 0x1032, "SQ", [value])
        return value

    assert whole(nested(60) + encoded(*IDENTITY))["00081032"]
    with pytest.raises(UnreadableInstance, match="nested deeper than 64"):
        scan(part10(nested(70) + encoded(*IDENTITY)))
    deep = pack("<HH2sHIHHI", 8, 0x1032, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    with pytest.raises(UnreadableInstance, match="nested deeper than 64"):
        scan(part10(encoded(*IDENTITY) + deep * 20_000))


@pytest.mark.parametrize("vr", ["OB", "UT", "SQ", "UN"])
def test_lengths_of_4_gb_are_bounded_errors(vr):
    head = pack("<HH2sHI", 0x0042, 0x0011, vr.encode(), 0, 0xFFFFFFFE)
    with pytest.raises(UnreadableInstance, match="cut off"):
        scan(part10(encoded(*IDENTITY) + head + b"x" * 100))


def test_many_empty_items_and_elements_take_linear_time():
    def seconds(count: int) -> float:
        sequence = pack("<HH2sHI", 0x0008, 0x1032, b"SQ", 0, 0xFFFFFFFF)
        body = pack("<HHI", 0xFFFE, 0xE000, 0) * count + pack("<HHI", 0xFFFE, 0xE0DD, 0)
        content = part10(encoded(*IDENTITY[:2]) + sequence + body + encoded(*IDENTITY[2:]))
        begun = time.process_time()
        scan(content)
        return time.process_time() - begun

    small, large = min(seconds(10_000) for _ in range(3)), seconds(80_000)
    assert large < 8 * 3 * small


def test_a_long_private_value_and_a_huge_object_stay_out_of_memory():
    class Sparse:
        """1 GiB of Pixel Data that does not exist."""

        def __init__(self) -> None:
            head = encoded(
                *IMAGE,
                (0x0028, 0x0008, "IS", b"67108864"),
                (0x0029, 0x0010, "LO", b"X"),
                (0x0029, 0x1010, "OB", b"p" * 3_000_000),
                identity=True,
            )
            self._head = part10(head) + pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 1 << 30)
            self._tail = element(0xFFFC, 0xFFFC, "OB", b"\0" * 100)
            self.size = len(self._head) + (1 << 30) + len(self._tail)

        def read_at(self, offset: int, length: int) -> bytes:
            assert length < 1_000_000
            at_tail = offset - len(self._head) - (1 << 30)
            if at_tail >= 0:
                return self._tail[at_tail : at_tail + length]
            return self._head[offset : offset + length].ljust(length, b"\0")

    source = Sparse()
    tracemalloc.start()
    result = InstanceReader(source).scan()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    assert result.frames is not None
    assert result.frames.count == 67108864
    assert len(result.frames.to_bytes()) < 64
    assert "FFFCFFFC" in as_json(result)


def test_text_beyond_the_inline_limit_becomes_bulk_data():
    result = scan(part10(encoded(*IDENTITY, (0x0040, 0xA160, "UT", b"t" * 5_000_000))))
    assert b'"0040A160":{"vr":"UT","BulkDataURI":"' in result.json[0]
    assert b"ttt" not in b"".join(result.json)


def test_warnings_hold_no_values_of_the_patient():
    result = scan(
        part10(
            encoded(
                (0x0008, 0x0005, "CS", b"ISO_IR 192"),
                (0x0010, 0x0010, "PN", b"Secret^N\xe4me"),
                (0x0010, 0x1030, "DS", b"Secret"),
                identity=True,
            )
        )
    )
    assert len(result.warnings) == 2
    assert not any("ecret" in each for each in result.warnings)
