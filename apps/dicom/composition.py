"""A data set written from DICOM JSON and bulk values that came apart (PS3.18 10.5.2, Annex F).

Explicit VR Little Endian, in UTF-8. Bulk values at the top level pass through in chunks, whatever
their size; those inside sequences are held one at a time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from struct import pack
from typing import Any, Final, Protocol

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.valuerep import format_number_as_ds

from apps.dicom.json_values import DicomJson
from apps.errors import UnreadableInstance

LONGEST_NESTED: Final = 64 << 20
_PIXEL_DATA: Final = 0x7FE00010
_CHARACTER_SET: Final = "00080005"
_UTF_8: Final = {"vr": "CS", "Value": ["ISO_IR 192"]}
_TAG_DIGITS: Final = 8
_DEEPEST: Final = 64
_UNDEFINED: Final = 0xFFFFFFFF
_BULK_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UC", "UN", "UR", "UT"})


# What pydicom raises for JSON that may hold anything.
_UNWRITABLE: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)


class Bulk(Protocol):
    """A bulk value in one part or, for compressed frames, in several."""

    @property
    def lengths(self) -> Sequence[int]:
        """The length of each part in bytes."""
        ...

    def chunks(self, part: int) -> Iterator[bytes]:
        """The bytes of one part."""
        ...


FindBulk = Callable[[str], Bulk]
"""The value behind a BulkDataURI; raises UnreadableInstance where it did not come along."""


def composed(dataset: DicomJson, bulk: FindBulk, *, encapsulated: bool) -> Iterator[bytes]:
    """The data set in pieces. `encapsulated` Pixel Data gets a fragment for each part.

    Raises UnreadableInstance, in words, for JSON that is none or holds what cannot be written.
    """
    elements = {**_top_level(dataset), _CHARACTER_SET: _UTF_8}
    for tag in sorted(elements):
        element = elements[tag]
        if "BulkDataURI" in element:
            found = bulk(str(element["BulkDataURI"]))
            if encapsulated and int(tag, 16) == _PIXEL_DATA:
                yield from _fragments(found)
            else:
                yield from _value(int(tag, 16), _bulk_vr(tag, element), found)
        else:
            yield _written(tag, element, bulk)


def _top_level(dataset: DicomJson) -> DicomJson:
    """Elements by tag without File Meta and group lengths."""
    kept = {}
    for tag, element in dataset.items():
        if len(tag) != _TAG_DIGITS or not isinstance(element, dict):
            raise UnreadableInstance("The metadata holds something that is no attribute.")
        try:
            number = int(tag, 16)
        except ValueError:
            raise UnreadableInstance("The metadata holds something that is no tag.") from None
        if number >> 16 > 2 and number & 0xFFFF:  # noqa: PLR2004 the last group of File Meta
            kept[tag.upper()] = element
    return kept


def _bulk_vr(tag: str, element: DicomJson) -> str:
    vr = str(element.get("vr", "UN"))
    if vr not in _BULK_VRS:
        raise UnreadableInstance(f"{tag} cannot be given as bulk data.")
    return vr


def _value(tag: int, vr: str, bulk: Bulk) -> Iterator[bytes]:
    length = sum(bulk.lengths)
    padded = length + length % 2
    if padded >= _UNDEFINED:
        raise UnreadableInstance("A bulk value is longer than 4 GiB.")
    yield pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0, padded)
    for part in range(len(bulk.lengths)):
        yield from bulk.chunks(part)
    if length % 2:
        yield b" " if vr in {"UC", "UR", "UT"} else b"\0"


def _fragments(bulk: Bulk) -> Iterator[bytes]:
    """Pixel Data with an empty Basic Offset Table, a fragment a frame (PS3.5 A.4)."""
    yield pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, _UNDEFINED) + pack("<HHI", 0xFFFE, 0xE000, 0)
    for part, length in enumerate(bulk.lengths):
        if length >= _UNDEFINED - 1:
            raise UnreadableInstance("A frame is longer than 4 GiB.")
        yield pack("<HHI", 0xFFFE, 0xE000, length + length % 2)
        yield from bulk.chunks(part)
        yield b"\0" * (length % 2)
    yield pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _written(tag: str, element: DicomJson, bulk: FindBulk) -> bytes:
    """One element by pydicom, from JSON that may hold anything."""

    def nested(_tag: str, _vr: str, uri: str) -> bytes:
        found = bulk(uri)
        if sum(found.lengths) > LONGEST_NESTED:
            raise UnreadableInstance("A bulk value inside a sequence is too long.")
        return b"".join(b"".join(found.chunks(part)) for part in range(len(found.lengths)))

    try:
        dataset = Dataset.from_json({tag: _plain(element)}, nested)
    except UnreadableInstance:
        raise
    except _UNWRITABLE as error:
        raise UnreadableInstance(f"The metadata's {tag} cannot be read.") from error
    try:
        out = DicomBytesIO()
        out.is_little_endian, out.is_implicit_VR = True, False
        write_dataset(out, dataset, "utf_8")
        return bytes(out.getvalue())
    # An OSError is what pydicom makes of a number that its VR cannot hold; no file is read here.
    except (*_UNWRITABLE, OSError) as error:
        raise UnreadableInstance(f"The metadata's {tag} cannot be written.") from error


def _plain(element: DicomJson, depth: int = 0) -> DicomJson:
    """Numbers of DS in at most 16 characters, items without File Meta; else untouched."""
    values = element.get("Value")
    if "InlineBinary" in element:
        _check_base64(element["InlineBinary"])
    if depth > _DEEPEST:
        raise UnreadableInstance("The metadata's sequences are nested too deep.")
    if not isinstance(values, list):
        return element
    if element.get("vr") == "SQ":
        items = [
            {tag: _plain(each, depth + 1) for tag, each in _top_level(item or {}).items()}
            for item in values
        ]
        return {**element, "Value": items}
    if element.get("vr") == "DS":
        return {**element, "Value": [_decimal(value) for value in values]}
    return element


def _check_base64(text: Any) -> None:
    """What is no base64 would be read as something else, or as nothing."""
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except (AttributeError, ValueError):
        raise UnreadableInstance("The metadata holds an InlineBinary that is no base64.") from None


def _decimal(value: Any) -> Any:
    return format_number_as_ds(value) if isinstance(value, float) else value


def parse_json(text: bytes) -> list[DicomJson]:
    """The data sets of a DICOM JSON document, one or an array. Raises UnreadableInstance."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableInstance("The metadata is no JSON.") from None
    datasets = parsed if isinstance(parsed, list) else [parsed]
    if not all(isinstance(each, dict) for each in datasets):
        raise UnreadableInstance("The metadata is no DICOM JSON.")
    return datasets
