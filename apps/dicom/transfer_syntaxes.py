"""TABLE: Transfer Syntaxes (PS3.6 Annex A, table A-1), with codec, lossiness and media type.

Names follow PS3.6; media types are those of PS3.18 8.7.3.3 for single frames and 8.7.3.2 for video.
"""

# ruff: noqa: E501  a table reads best with one row a line

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """One row: how a data set of this Transfer Syntax is encoded (PS3.5 section 10, Annex A).

    `codec` names the family of the pixel encoding: native, deflated (the whole data set), rle,
    jpeg, jpeg-lossless, jpeg-ls, jpeg2000, htj2k, jpeg-xl, jpip, mpeg2, mpeg4, hevc,
    deflated-frame, uncompressed (encapsulated), smpte, mime, xml, unknown.
    """

    uid: str
    name: str
    codec: str
    lossy: bool
    encapsulated: bool
    implicit: bool
    big_endian: bool
    media_type: str
    retired: bool = False

    @property
    def deflated(self) -> bool:
        """Whether the data set itself is a raw deflate stream (PS3.5 A.5)."""
        return self.codec in _DEFLATED_DATA_SET or self.uid in _JPIP_DEFLATED

    @property
    def video(self) -> bool:
        """Whether all fragments together are one stream of all frames (PS3.5 8.2.5 and on)."""
        return self.codec in _VIDEO


_DEFLATED_DATA_SET: Final = frozenset({"deflated"})
_JPIP_DEFLATED: Final = frozenset({"1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
_VIDEO: Final = frozenset({"mpeg2", "mpeg4", "hevc"})

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"

_OCTETS: Final = "application/octet-stream"


def native(
    uid: str,
    name: str,
    *,
    codec: str = "native",
    implicit: bool = False,
    big_endian: bool = False,
    retired: bool = False,
) -> TransferSyntax:
    """A row whose Pixel Data is not encapsulated."""
    return TransferSyntax(uid, name, codec, False, False, implicit, big_endian, _OCTETS, retired)


def packed(
    uid: str,
    name: str,
    codec: str,
    media_type: str,
    *,
    lossy: bool = False,
    retired: bool = False,
) -> TransferSyntax:
    """A row whose Pixel Data is encapsulated (PS3.5 A.4), Explicit VR Little Endian around it."""
    return TransferSyntax(uid, name, codec, lossy, True, False, False, media_type, retired)


_R = "1.2.840.10008.1.2"

# fmt: off
TABLE: Final[tuple[TransferSyntax, ...]] = (
    native(_R,               "Implicit VR Little Endian", implicit=True),
    native(f"{_R}.1",        "Explicit VR Little Endian"),
    packed(f"{_R}.1.98",     "Encapsulated Uncompressed Explicit VR Little Endian", "uncompressed", _OCTETS),
    native(f"{_R}.1.99",     "Deflated Explicit VR Little Endian", codec="deflated"),
    native(f"{_R}.2",        "Explicit VR Big Endian", big_endian=True, retired=True),
    packed(f"{_R}.4.50",     "JPEG Baseline (Process 1)", "jpeg", "image/jpeg", lossy=True),
    packed(f"{_R}.4.51",     "JPEG Extended (Process 2 and 4)", "jpeg", "image/jpeg", lossy=True),
    packed(f"{_R}.4.52",     "JPEG Extended (Process 3 and 5)", "jpeg", "image/jpeg", lossy=True, retired=True),
    packed(f"{_R}.4.53",     "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)", "jpeg", "image/jpeg", lossy=True, retired=True),
    packed(f"{_R}.4.54",     "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)", "jpeg", "image/jpeg", lossy=True, retired=True),
    packed(f"{_R}.4.55",     "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)", "jpeg", "image/jpeg", lossy=True, retired=True),
    packed(f"{_R}.4.56",     "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)", "jpeg", "image/jpeg", lossy=True, retired=True),
    packed(f"{_R}.4.57",     "JPEG Lossless, Non-Hierarchical (Process 14)", "jpeg-lossless", "image/jpeg"),
    packed(f"{_R}.4.58",     "JPEG Lossless, Non-Hierarchical (Process 15)", "jpeg-lossless", "image/jpeg", retired=True),
    packed(f"{_R}.4.59",     "JPEG Extended, Hierarchical (Process 16 and 18)", "jpeg", "image/jpeg", lossy=True, retired=True),
    packed(f"{_R}.4.60",     "JPEG Extended, Hierarchical (Process 17 and 19)", "jpeg", "image/jpeg", lossy=True, retired=True),
    packed(f"{_R}.4.61",     "JPEG Spectral Selection, Hierarchical (Process 20 and 22)", "jpeg", "image/jpeg", lossy=True, retired=True),
    packed(f"{_R}.4.62",     "JPEG Spectral Selection, Hierarchical (Process 21 and 23)", "jpeg", "image/jpeg", lossy=True, retired=True),
    packed(f"{_R}.4.63",     "JPEG Full Progression, Hierarchical (Process 24 and 26)", "jpeg", "image/jpeg", lossy=True, retired=True),
    packed(f"{_R}.4.64",     "JPEG Full Progression, Hierarchical (Process 25 and 27)", "jpeg", "image/jpeg", lossy=True, retired=True),
    packed(f"{_R}.4.65",     "JPEG Lossless, Hierarchical (Process 28)", "jpeg-lossless", "image/jpeg", retired=True),
    packed(f"{_R}.4.66",     "JPEG Lossless, Hierarchical (Process 29)", "jpeg-lossless", "image/jpeg", retired=True),
    packed(f"{_R}.4.70",     "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])", "jpeg-lossless", "image/jpeg"),
    packed(f"{_R}.4.80",     "JPEG-LS Lossless Image Compression", "jpeg-ls", "image/jls"),
    packed(f"{_R}.4.81",     "JPEG-LS Lossy (Near-Lossless) Image Compression", "jpeg-ls", "image/jls", lossy=True),
    packed(f"{_R}.4.90",     "JPEG 2000 Image Compression (Lossless Only)", "jpeg2000", "image/jp2"),
    packed(f"{_R}.4.91",     "JPEG 2000 Image Compression", "jpeg2000", "image/jp2", lossy=True),
    packed(f"{_R}.4.92",     "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)", "jpeg2000", "image/jpx"),
    packed(f"{_R}.4.93",     "JPEG 2000 Part 2 Multi-component Image Compression", "jpeg2000", "image/jpx", lossy=True),
    native(f"{_R}.4.94",     "JPIP Referenced", codec="jpip"),
    native(f"{_R}.4.95",     "JPIP Referenced Deflate", codec="jpip"),
    packed(f"{_R}.4.100",    "MPEG2 Main Profile / Main Level", "mpeg2", "video/mpeg", lossy=True),
    packed(f"{_R}.4.100.1",  "Fragmentable MPEG2 Main Profile / Main Level", "mpeg2", "video/mpeg", lossy=True),
    packed(f"{_R}.4.101",    "MPEG2 Main Profile / High Level", "mpeg2", "video/mpeg", lossy=True),
    packed(f"{_R}.4.101.1",  "Fragmentable MPEG2 Main Profile / High Level", "mpeg2", "video/mpeg", lossy=True),
    packed(f"{_R}.4.102",    "MPEG-4 AVC/H.264 High Profile / Level 4.1", "mpeg4", "video/mp4", lossy=True),
    packed(f"{_R}.4.102.1",  "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", "mpeg4", "video/mp4", lossy=True),
    packed(f"{_R}.4.103",    "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", "mpeg4", "video/mp4", lossy=True),
    packed(f"{_R}.4.103.1",  "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", "mpeg4", "video/mp4", lossy=True),
    packed(f"{_R}.4.104",    "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", "mpeg4", "video/mp4", lossy=True),
    packed(f"{_R}.4.104.1",  "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", "mpeg4", "video/mp4", lossy=True),
    packed(f"{_R}.4.105",    "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", "mpeg4", "video/mp4", lossy=True),
    packed(f"{_R}.4.105.1",  "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", "mpeg4", "video/mp4", lossy=True),
    packed(f"{_R}.4.106",    "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "mpeg4", "video/mp4", lossy=True),
    packed(f"{_R}.4.106.1",  "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "mpeg4", "video/mp4", lossy=True),
    packed(f"{_R}.4.107",    "HEVC/H.265 Main Profile / Level 5.1", "hevc", "video/mp4", lossy=True),
    packed(f"{_R}.4.108",    "HEVC/H.265 Main 10 Profile / Level 5.1", "hevc", "video/mp4", lossy=True),
    packed(f"{_R}.4.110",    "JPEG XL Lossless", "jpeg-xl", "image/jxl"),
    packed(f"{_R}.4.111",    "JPEG XL JPEG Recompression", "jpeg-xl", "image/jxl", lossy=True),
    packed(f"{_R}.4.112",    "JPEG XL", "jpeg-xl", "image/jxl", lossy=True),
    packed(f"{_R}.4.201",    "High-Throughput JPEG 2000 Image Compression (Lossless Only)", "htj2k", "image/jphc"),
    packed(f"{_R}.4.202",    "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)", "htj2k", "image/jphc"),
    packed(f"{_R}.4.203",    "High-Throughput JPEG 2000 Image Compression", "htj2k", "image/jphc", lossy=True),
    native(f"{_R}.4.204",    "JPIP HTJ2K Referenced", codec="jpip"),
    native(f"{_R}.4.205",    "JPIP HTJ2K Referenced Deflate", codec="jpip"),
    packed(f"{_R}.5",        "RLE Lossless", "rle", "image/dicom-rle"),
    native(f"{_R}.6.1",      "RFC 2557 MIME encapsulation", codec="mime", retired=True),
    native(f"{_R}.6.2",      "XML Encoding", codec="xml", retired=True),
    native(f"{_R}.7.1",      "SMPTE ST 2110-20 Uncompressed Progressive Active Video", codec="smpte"),
    native(f"{_R}.7.2",      "SMPTE ST 2110-20 Uncompressed Interlaced Active Video", codec="smpte"),
    native(f"{_R}.7.3",      "SMPTE ST 2110-30 PCM Digital Audio", codec="smpte"),
    packed(f"{_R}.8.1",      "Deflated Image Frame Compression", "deflated-frame", _OCTETS),
    native("1.2.840.10008.1.20", "Papyrus 3 Implicit VR Little Endian", implicit=True, retired=True),
)
# fmt: on

BY_UID: Final[dict[str, TransferSyntax]] = {each.uid: each for each in TABLE}


def transfer_syntax(uid: str) -> TransferSyntax:
    """The row of the UID; an unknown one is taken as Explicit VR Little Endian, encapsulated.

    PS3.5 section 10 lets every compressed syntax be Explicit VR Little Endian around the frames,
    so this is what a private or future syntax most likely is.
    """
    row = BY_UID.get(uid)
    if row is None:
        row = TransferSyntax(
            uid, "Unknown Transfer Syntax", "unknown", False, True, False, False, _OCTETS
        )
    return row


DEFAULT_OF_MEDIA_TYPE: Final[dict[str, str]] = {
    "image/jpeg": f"{_R}.4.70",
    "image/jls": f"{_R}.4.80",
    "image/jp2": f"{_R}.4.90",
    "image/jpx": f"{_R}.4.92",
    "image/jphc": f"{_R}.4.201",
    "image/jxl": f"{_R}.4.110",
    "image/dicom-rle": f"{_R}.5",
}
"""What a media type means without a `transfer-syntax` parameter (PS3.18 table 8.7.3-5)."""

DEFAULT_OF_VIDEO_TYPE: Final[dict[str, str]] = {
    "video/mpeg": f"{_R}.4.100",
    "video/mp4": f"{_R}.4.102",
}
"""The same for videos (PS3.18 8.7.3.3)."""
