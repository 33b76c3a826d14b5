"""Frames in another Transfer Syntax than stored: only where the stored one cannot go."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from apps.dicom import codestreams
from apps.dicom.frames import FrameTable
from apps.dicom.pixels import (
    BROWSER_TABLE,
    PixelDescription,
    browser_transfer_syntax,
    transcode_frame,
    uncompressed_as_read,
)
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from apps.errors import UnsupportedPixels
from apps.retrieve.locations import Location
from apps.retrieve.metadata import dicom_json_of
from apps.storage.stores import blob_store

_SUSPECTS: Final = frozenset[str]().union(*(row.transfer_syntax_uids for row in BROWSER_TABLE))

# TABLE: what a frame's own header has to say (family, lossless) to be what its syntax promises.
_PROMISED: Final[dict[str, tuple[str, bool | None]]] = {
    "1.2.840.10008.1.2.4.50": ("jpeg", False),
    "1.2.840.10008.1.2.4.51": ("jpeg", False),
    "1.2.840.10008.1.2.4.57": ("jpeg", True),
    "1.2.840.10008.1.2.4.70": ("jpeg", True),
    "1.2.840.10008.1.2.4.80": ("jpeg-ls", None),
    "1.2.840.10008.1.2.4.81": ("jpeg-ls", None),
}
_HEADER_BYTES: Final = 1 << 16


def outgoing_syntax(stored_uid: str) -> str:
    """What stored frames are called on the wire.

    Native frames are Explicit VR Little Endian whatever was around them: Implicit VR, deflated and
    Big Endian are never sent (PS3.18 8.7.3.4). Encapsulated ones keep their own syntax.
    """
    return stored_uid if transfer_syntax(stored_uid).encapsulated else EXPLICIT_VR_LITTLE_ENDIAN


def syntax_for_browser(location: Location) -> str:
    """`outgoing_syntax`, unless the viewer's decoders are known to get such frames wrong."""
    if _mislabelled(location):
        return EXPLICIT_VR_LITTLE_ENDIAN
    if location.transfer_syntax_uid in _SUSPECTS:
        needed = browser_transfer_syntax(description_of(location))
        if needed is not None:
            return needed[0]
    return outgoing_syntax(location.transfer_syntax_uid)


def differs_by_object(stored_uid: str) -> bool:
    """Whether `syntax_for_browser` depends on more than the stored Transfer Syntax."""
    return stored_uid in _PROMISED or stored_uid in _SUSPECTS


def _mislabelled(location: Location) -> bool:
    """True when the first frame is another kind of JPEG than the Transfer Syntax says.

    The viewer picks its decoder by the syntax, and paints a wrong picture without an error.
    """
    if location.transfer_syntax_uid not in _PROMISED or location.frames is None:
        return False
    ranges = location.frames.fragments(0) if location.frames.count else ()
    if not ranges:
        return False
    return _other_codestream(location.transfer_syntax_uid, location.blob_key, *ranges[0])


@lru_cache(maxsize=4096)
def _other_codestream(syntax_uid: str, blob_key: str, offset: int, length: int) -> bool:
    """Blobs never change, so one look at a frame's header is enough."""
    head = blob_store().read_at(blob_key, offset, min(length, _HEADER_BYTES))
    try:
        found = codestreams.inspect(head)
    except UnsupportedPixels:
        return False  # the decoder will say so, with its reason
    family, lossless = _PROMISED[syntax_uid]
    return found.family != family or lossless not in {None, found.lossless}


def description_of(location: Location) -> PixelDescription:
    """The Image Pixel Module, from metadata. Raises UnsupportedPixels for what is no image."""
    return PixelDescription.from_json(dicom_json_of(location.key), location.transfer_syntax_uid)


def as_it_is(location: Location, table: FrameTable, number: int, target_uid: str) -> bool:
    """True when the stored bytes of a frame already are what the target syntax says."""
    if table.bit_offset(number - 1):
        return False
    return stored_as(location.transfer_syntax_uid, target_uid)


def stored_as(stored_uid: str, target_uid: str) -> bool:
    """True when whole stored bytes of the one syntax are the other's: not of Big Endian words."""
    if transfer_syntax(stored_uid).big_endian:
        return False
    return outgoing_syntax(stored_uid) == target_uid


def transcoded_frame(
    location: Location, table: FrameTable, number: int, data: bytes, target_uid: str
) -> bytes:
    """Frame `number` (from 1) in the target syntax. Raises UnsupportedPixels."""
    description, bit_offset = description_of(location), table.bit_offset(number - 1)
    if target_uid == EXPLICIT_VR_LITTLE_ENDIAN:
        return uncompressed_as_read(data, description, bit_offset=bit_offset)
    return transcode_frame(data, description, target_uid, bit_offset=bit_offset)
