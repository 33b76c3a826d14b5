"""Headers of compressed frames: what a JPEG, JPEG-LS or JPEG 2000 codestream says of itself.

ITU-T T.81 Annex B (JPEG), T.87 Annex C (JPEG-LS), T.800 Annex A and I (JPEG 2000, JP2),
T.814 Annex A (HTJ2K). Only headers are read; nothing is decoded here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from apps.errors import UnsupportedPixels

Family = Literal["jpeg", "jpeg-ls", "jpeg2000", "htj2k", "jpeg-xl"]

_SOI: Final = b"\xff\xd8"
_EOI_MARKER: Final = b"\xff\xd9"
_MARKER: Final = 0xFF
_SOC: Final = b"\xff\x4f\xff\x51"
_JP2: Final = b"\x00\x00\x00\x0cjP  "
_JXL: Final = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")
_SOF: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOF_JPEG_LS: Final = 0xF7
_SOF_LOSSLESS: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_APP0, _APP14, _SOS, _EOI = 0xE0, 0xEE, 0xDA, 0xD9
_CAP, _SIZ, _COD, _SOT = 0xFF50, 0xFF51, 0xFF52, 0xFF90
_SOT_LENGTH: Final = 12
_ADOBE_LENGTH: Final = 12
_REVERSIBLE_5_3: Final = 1
_COLORS: Final = 3
_TEM, _RST0, _RST7 = 0x01, 0xD0, 0xD7
_LONGEST_BOX_WALK: Final = 64


@dataclass(frozen=True, slots=True)
class Codestream:
    """The header of one compressed frame.

    `start` is where the codestream begins (behind JP2 boxes). `color_transform` is what the
    stream itself says about its colours: "YBR", "RGB" or "" where it says nothing. `complete` is
    false where the bytes end before the stream does: decoders would then invent the rest, and
    CharLS would search for it for seconds. `levels` is how often a wavelet codestream can be
    decoded at half the size. `process` is the second byte of a JPEG's frame marker (SOF), and
    `selection` the first parameter of its first scan: the predictor of a lossless JPEG, the
    difference that a JPEG-LS allows (T.81 B.2.3, T.87 C.2.3).
    """

    family: Family
    rows: int = 0
    columns: int = 0
    samples: int = 0
    precision: int = 0
    signed: bool = False
    lossless: bool = False
    color_transform: str = ""
    start: int = 0
    complete: bool = True
    levels: int = 0
    process: int = 0
    selection: int = 0


def inspect(data: bytes) -> Codestream:
    """Reads the header; raises UnsupportedPixels where the bytes are none of the known streams."""
    try:
        if data.startswith(_JXL):
            return Codestream("jpeg-xl")
        if data.startswith(_SOI):
            return _jpeg(data)
        if data.startswith((_SOC, _JP2)):
            return _jpeg2000(data)
        at = data.find(_SOI + b"\xff", 0, 64)
        if at > 0:
            return inspect(data[at:])
    except (struct.error, IndexError) as error:
        raise UnsupportedPixels("The compressed frame ends inside its header.") from error
    raise UnsupportedPixels("The compressed frame does not begin like any known codestream.")


def _segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Marker code, offset and payload of each JPEG segment up to and with the first scan's."""
    at, code = 2, _SOI[1]
    while at < len(data) and code != _SOS:
        if data[at] != _MARKER or data[at + 1] in (_MARKER, 0x00):
            at += 1
            continue
        code = data[at + 1]
        if code == _TEM or _RST0 <= code <= _RST7:
            at += 2
            continue
        if code == _EOI:
            return
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield code, at, data[at + 4 : at + 2 + length]
        at += 2 + length


def _jpeg(data: bytes) -> Codestream:
    header, ids = None, b""
    adobe: int | None = None
    jfif = False
    for code, at, payload in _segments(data):
        if code == _APP0 and payload.startswith(b"JFIF"):
            jfif = True
        elif code == _APP14 and payload.startswith(b"Adobe") and len(payload) >= _ADOBE_LENGTH:
            adobe = payload[11]
        elif code in _SOF or code == _SOF_JPEG_LS:
            header, ids = _frame_header(code, payload), payload[6 : 6 + 3 * payload[5] : 3]
        elif code == _SOS and header:
            complete = data.rfind(_EOI_MARKER) > at
            selection = payload[1 + 2 * payload[0]]
            header = replace(header, complete=complete, selection=selection)
    if header is None:
        raise UnsupportedPixels("The JPEG frame has no frame header.")
    return replace(header, color_transform=_jpeg_colors(ids, adobe, jfif=jfif))


def _frame_header(code: int, payload: bytes) -> Codestream:
    """SOF: precision, lines, samples per line, components (T.81 B.2.2); incomplete until a scan."""
    precision, rows, columns, samples = struct.unpack_from(">BHHB", payload)
    return Codestream(
        family="jpeg-ls" if code == _SOF_JPEG_LS else "jpeg",
        rows=rows,
        columns=columns,
        samples=samples,
        precision=precision,
        lossless=code in _SOF_LOSSLESS,
        complete=False,
        process=code,
    )


def _jpeg_colors(component_ids: bytes, adobe: int | None, *, jfif: bool) -> str:
    """What libjpeg and with it every browser takes the three components for.

    Identifiers 1, 2, 3 without any marker mean YCbCr (JFIF's numbering); identifiers that say
    nothing leave the question to Photometric Interpretation.
    """
    if len(component_ids) != _COLORS:
        return ""
    if component_ids in (b"RGB", b"rgb"):
        return "RGB"
    if adobe is not None:
        return "RGB" if adobe == 0 else "YBR"
    return "YBR" if jfif or component_ids == b"\x01\x02\x03" else ""


def _jpeg2000(data: bytes) -> Codestream:
    start = 0 if data.startswith(_SOC) else _codestream_box(data)
    columns = rows = samples = depth = 0
    family: Family = "jpeg2000"
    lossless, levels = False, 0
    at = start + 2
    while (marker := _word(data, at)) != _SOT:
        if marker == _SIZ:
            _, width, height, left, top = struct.unpack_from(">HIIII", data, at + 4)
            samples = _word(data, at + 38)
            depth = data[at + 40]
            columns, rows = width - left, height - top
        elif marker == _CAP:
            family = "htj2k"
        elif marker == _COD:
            levels, lossless = data[at + 9], data[at + 13] == _REVERSIBLE_5_3
        at += 2 + max(2, _word(data, at + 2))
    return Codestream(
        family=family,
        rows=rows,
        columns=columns,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        lossless=lossless,
        start=start,
        complete=_tiles_end(data, at) <= len(data),
        levels=levels,
    )


def _word(data: bytes, at: int) -> int:
    (word,) = struct.unpack_from(">H", data, at)
    return int(word)


def _tiles_end(data: bytes, at: int) -> int:
    """Where the last tile-part ends by the lengths that the tile-parts state (T.800 A.4.2)."""
    while data[at : at + 2] == b"\xff\x90" and at + _SOT_LENGTH <= len(data):
        (length,) = struct.unpack_from(">I", data, at + 6)
        if length == 0:
            return at + _SOT_LENGTH
        at += max(_SOT_LENGTH, length)
    return at


def _codestream_box(data: bytes) -> int:
    """Offset of the contiguous codestream inside a JP2 file (T.800 I.5.4)."""
    at = 0
    for _ in range(_LONGEST_BOX_WALK):
        length, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, at + 8)
            header = 16
        if kind == b"jp2c":
            return at + header
        if length < header:
            break
        at += length
    raise UnsupportedPixels("The JP2 frame holds no codestream.")
