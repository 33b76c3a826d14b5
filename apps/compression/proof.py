"""Whether a compressed blob says the same as the one received: header, and every frame.

OpenJPH writes HTJ2K; OpenJPEG, another program, reads it back. What is compared is what a client
gets: uncompressed bytes, unused bits included, so that nothing hidden in them is lost either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import imagecodecs
import numpy as np

from apps.archive.pixel_passages import document_of, recoded_fragment, without_pixel_coding
from apps.dicom.native_pixels import within_stored_bits
from apps.dicom.pixels import PixelDescription, transcode_frame
from apps.dicom.reader import InstanceReader
from apps.dicom.scanning import InstanceScan
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from apps.errors import UnreadableInstance, UnsupportedPixels
from apps.retrieve.frames import stored_frame
from apps.retrieve.locations import Location
from apps.storage.stores import blob_store


class NotTheSame(Exception):
    """The compressed blob is not what was received; the message says in what, without content."""


@dataclass(frozen=True, slots=True)
class Proof:
    """SHA-256 of all frames of either blob, which are equal; and what the index says of the new."""

    frames: int
    pixels_before: bytes
    pixels_after: bytes
    dataset_offset: int
    frame_table: bytes
    fragment: bytes


def codecs() -> str:
    """Which programs wrote and read the frames."""
    return (
        f"{imagecodecs.htj2k_version()} wrote, {imagecodecs.jpeg2k_version()} read, "
        f"imagecodecs {imagecodecs.__version__}"
    )


def proved(
    before: Location, after: Location, fragment: bytes, spend: Callable[[int], None]
) -> Proof:
    """Compares the two blobs, as they lie in the store, frame by frame.

    `fragment` is the metadata of the instance; `spend` hears of the bytes that were compared.
    Raises NotTheSame, UnsupportedPixels, UnreadableInstance.
    """
    old, new = _scan(before), _scan(after)
    try:
        documents = document_of(old.json), document_of(new.json)
        recoded = recoded_fragment(fragment, new.json)
    except ValueError as error:
        raise UnreadableInstance("Its texts are no Unicode.") from error
    if without_pixel_coding(documents[0]) != without_pixel_coding(documents[1]):
        raise NotTheSame("The attributes differ.")
    if old.frames is None or new.frames is None:
        raise NotTheSame("The frames are not found.")
    packed = new.frames.to_bytes()
    described = PixelDescription.from_json(documents[0], before.transfer_syntax_uid)
    compressed = PixelDescription.from_json(documents[1], after.transfer_syntax_uid)
    if described.photometric_interpretation != compressed.photometric_interpretation:
        raise NotTheSame("The Photometric Interpretation differs.")
    pairs = zip_longest(
        _frames(before, described),
        _frames(after._replace(packed_frames=packed), compressed),
        fillvalue=b"",
    )
    count, one, other = _compared(pairs, described, spend)
    return Proof(count, one, other, new.dataset_offset, packed, recoded)


def _compared(
    pairs: Iterable[tuple[bytes, bytes]],
    description: PixelDescription,
    spend: Callable[[int], None],
) -> tuple[int, bytes, bytes]:
    """How many frames there are, and the SHA-256 of all of either side."""
    before, after = hashlib.sha256(), hashlib.sha256()
    count = 0
    for one, other in pairs:
        count += 1
        before.update(one)
        after.update(other)
        if one != other:
            _explain(one, description)
            raise NotTheSame(f"Frame {count} differs.")
        spend(len(one))
    return count, before.digest(), after.digest()


def _explain(frame: bytes, description: PixelDescription) -> None:
    """Raises UnsupportedPixels where it is the frame that holds more than pixels."""
    cells = np.frombuffer(frame, dtype=description.dtype)
    if not np.array_equal(within_stored_bits(cells, description), cells):
        raise UnsupportedPixels("Unused bits of its pixels hold something that would be lost.")


def _scan(location: Location) -> InstanceScan:
    with closing(blob_store().open(location.blob_key)) as source:
        return InstanceReader(source).scan()


_NATIVE: Final = EXPLICIT_VR_LITTLE_ENDIAN


def _frames(location: Location, description: PixelDescription) -> Iterator[bytes]:
    """Each frame uncompressed in Little Endian, colour by pixel."""
    table = location.frames
    if table is None or table.count != description.number_of_frames:
        raise UnsupportedPixels("There are not as many frames as the header says.")
    for number in range(1, table.count + 1):
        frame = transcode_frame(stored_frame(location, table, number), description, _NATIVE)
        yield _by_pixel(frame[: description.native_length], description)


def _by_pixel(frame: bytes, description: PixelDescription) -> bytes:
    encapsulated = transfer_syntax(description.transfer_syntax_uid).encapsulated
    if encapsulated or description.samples_per_pixel == 1 or not description.planar_configuration:
        return frame
    cells = np.frombuffer(frame, dtype=f"u{description.bits_allocated // 8}")
    return cells.reshape(description.samples_per_pixel, -1).T.tobytes()
