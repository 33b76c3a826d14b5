"""TABLE: the Transfer Syntax of a compressed frame, by what its own header says.

Senders of frames often name none, and what PS3.18 table 8.7.3-5 then has them mean, JPEG Lossless
for `image/jpeg`, is rarely what they send.
"""

from __future__ import annotations

from typing import Final

from apps.dicom.codestreams import Codestream, inspect
from apps.dicom.transfer_syntaxes import DEFAULT_OF_MEDIA_TYPE
from apps.errors import UnreadableInstance, UnsupportedPixels

_R: Final = "1.2.840.10008.1.2"
# By frame marker (T.81 table B.1). Progressive ones are of a retired syntax, and of no other.
_OF_PROCESS: Final = {0xC0: f"{_R}.4.50", 0xC1: f"{_R}.4.51", 0xC2: f"{_R}.4.55"}
_JPEG_LOSSLESS: Final = 0xC3
_FIRST_ORDER: Final = 1
# By family and whether nothing was lost.
_OF_FAMILY: Final = {
    ("jpeg2000", True): f"{_R}.4.90",
    ("jpeg2000", False): f"{_R}.4.91",
    ("htj2k", True): f"{_R}.4.201",
    ("htj2k", False): f"{_R}.4.203",
}
# Of part 2 of the standard are those that come under its own type.
_OF_PART_2: Final = {f"{_R}.4.90": f"{_R}.4.92", f"{_R}.4.91": f"{_R}.4.93"}
_WITHOUT_CODESTREAM: Final = frozenset({"image/dicom-rle", "image/jxl"})


def syntax_of_frame(frame: bytes, media_type: str) -> str:
    """The UID for a frame of that type, by its first bytes; raises UnreadableInstance."""
    if media_type in _WITHOUT_CODESTREAM:
        return DEFAULT_OF_MEDIA_TYPE[media_type]
    try:
        found = _syntax_of(inspect(frame))
    except UnsupportedPixels as failure:
        raise UnreadableInstance(failure.message) from failure
    if not found:
        raise UnreadableInstance("The frame is of a JPEG process that no Transfer Syntax has.")
    return _OF_PART_2.get(found, found) if media_type == "image/jpx" else found


def _syntax_of(header: Codestream) -> str:
    if header.family == "jpeg":
        if header.process == _JPEG_LOSSLESS:
            return f"{_R}.4.70" if header.selection == _FIRST_ORDER else f"{_R}.4.57"
        return _OF_PROCESS.get(header.process, "")
    if header.family == "jpeg-ls":
        return f"{_R}.4.81" if header.selection else f"{_R}.4.80"
    if header.family == "jpeg-xl":
        return DEFAULT_OF_MEDIA_TYPE["image/jxl"]
    return _OF_FAMILY[header.family, header.lossless]
