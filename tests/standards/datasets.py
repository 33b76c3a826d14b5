"""Raw data sets, written by hand so that no library's idea of DICOM stands between."""

from __future__ import annotations

from struct import pack

from apps.dicom.part10 import file_meta

LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
SC_IMAGE = "1.2.840.10008.5.1.4.1.1.7"
IDENTITY = [
    (0x0008, 0x0016, "UI", SC_IMAGE.encode()),
    (0x0008, 0x0018, "UI", b"2.25.1"),
    (0x0020, 0x000D, "UI", b"2.25.2"),
    (0x0020, 0x000E, "UI", b"2.25.3"),
]


def padded(value: bytes, vr: str) -> bytes:
    if len(value) % 2 == 0:
        return value
    return value + (b"\0" if vr in ("UI", "OB", "UN") else b" ")


def element(
    group: int,
    number: int,
    vr: str,
    value: bytes | list[bytes],
    *,
    order: str = "<",
    implicit: bool = False,
    undefined: bool = False,
) -> bytes:
    """One Data Element; a list of data sets makes a sequence."""
    if isinstance(value, list):
        value = b"".join(item(each, order=order, undefined=undefined) for each in value)
        if undefined:
            value += pack(order + "HHI", 0xFFFE, 0xE0DD, 0)
    else:
        value = padded(value, vr)
        undefined = False
    length = 0xFFFFFFFF if undefined else len(value)
    if implicit:
        return pack(order + "HHI", group, number, length) + value
    if vr in LONG:
        return pack(order + "HH2sHI", group, number, vr.encode(), 0, length) + value
    return pack(order + "HH2sH", group, number, vr.encode(), length) + value


def item(dataset: bytes, *, order: str = "<", undefined: bool = False) -> bytes:
    length = 0xFFFFFFFF if undefined else len(dataset)
    end = pack(order + "HHI", 0xFFFE, 0xE00D, 0) if undefined else b""
    return pack(order + "HHI", 0xFFFE, 0xE000, length) + dataset + end


def encoded(
    *elements: tuple[int, int, str, bytes | list[bytes]],
    identity: bool = False,
    order: str = "<",
    implicit: bool = False,
    undefined: bool = False,
) -> bytes:
    """A data set; with `identity` it gets SOP Class, SOP Instance, Study and Series UID."""
    wanted = {each[:2] for each in elements}
    rows = [*elements, *(each for each in IDENTITY if identity and each[:2] not in wanted)]
    return b"".join(
        element(*row, order=order, implicit=implicit, undefined=undefined)
        for row in sorted(rows, key=lambda row: row[:2])
    )


def explicit(*elements: tuple[int, int, str, bytes | list[bytes]], identity: bool = False) -> bytes:
    return encoded(*elements, identity=identity)


def fragment(value: bytes) -> bytes:
    return pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def encapsulated(*fragments: bytes, table: bytes = b"", closed: bool = True) -> bytes:
    """Pixel Data of undefined length: offset table, fragments, delimiter (PS3.5 A.4)."""
    head = pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    end = pack("<HHI", 0xFFFE, 0xE0DD, 0) if closed else b""
    return head + fragment(table) + b"".join(map(fragment, fragments)) + end


def part10(dataset: bytes, transfer_syntax_uid: str = "1.2.840.10008.1.2.1") -> bytes:
    meta = file_meta(
        sop_class_uid=SC_IMAGE,
        sop_instance_uid="2.25.1",
        transfer_syntax_uid=transfer_syntax_uid,
        provenance=None,
    )
    return meta + dataset
