"""Data sets that are no instances (identifiers, MPPS, UPS): bytes to DICOM JSON Model and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from apps.dicom.character_sets import encode
from apps.dicom.part10 import file_meta
from apps.dicom.reader import InstanceReader
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.dicom.values import DELIMITER, split_values
from apps.errors import InvalidRequest, UnreadableInstance

Document = dict[str, Any]

UNICODE: Final = ("ISO_IR 192",)
CHARACTER_SET: Final = "00080005"
_NUMBERS: Final = frozenset({"US", "UL", "UV", "SS", "SL", "SV", "FL", "FD"})
_TEXT: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")


class _Held:
    """Bytes in memory as the reader wants them."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def read_at(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set with its text decoded, and the Specific Character Set it came in.

    The document leaves the latter out: text in the model is Unicode (PS3.18 F.2.2).
    """

    document: Document
    character_set: tuple[str, ...]


def read_data_set(raw: bytes, transfer_syntax_uid: str) -> DataSet:
    """Reads any data set without File Meta; raises InvalidRequest."""
    head = file_meta(
        sop_class_uid="", sop_instance_uid="", transfer_syntax_uid=transfer_syntax_uid,
        provenance=None,
    )  # fmt: skip
    try:
        json, terms = InstanceReader(_Held(head + raw)).data_set_json()
        document: Document = orjson.loads(json)
    except (UnreadableInstance, orjson.JSONDecodeError) as error:
        raise InvalidRequest("The data set cannot be read.") from error
    document.pop(CHARACTER_SET, None)
    return DataSet(document, tuple(terms.split(DELIMITER)) if terms else ())


def write_data_set(
    document: Mapping[str, Any], transfer_syntax_uid: str, wanted: tuple[str, ...] = UNICODE
) -> bytes:
    """Bytes of the data set; text in the character set `wanted` if that has every letter.

    Else in Unicode. Specific Character Set is written where any value needs it.
    """
    data_set = as_dataset(document, wanted)
    syntax = transfer_syntax(transfer_syntax_uid)
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = not syntax.big_endian, syntax.implicit
    write_dataset(out, data_set)
    return bytes(out.getvalue())


def as_dataset(document: Mapping[str, Any], wanted: tuple[str, ...] = UNICODE) -> Dataset:
    """The same for libraries that write it themselves."""
    data_set = Dataset.from_json(dict(document))
    terms = character_set_for(document, wanted)
    if terms:
        data_set.SpecificCharacterSet = list(terms)
    return data_set


def character_set_for(document: Mapping[str, Any], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Values for Specific Character Set: none for ASCII, `wanted` if it suffices, else Unicode."""
    texts = [(vr, text) for vr, text in _texts(document) if not text.isascii()]
    if not texts:
        return ()
    try:
        for vr, text in texts:
            encode(text, wanted, vr)
    except (UnicodeEncodeError, LookupError):
        return UNICODE
    return wanted


def _texts(document: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for each in document.values():
        vr = each.get("vr", "")
        for value in each.get("Value", ()):
            if vr == "SQ":
                yield from _texts(value or {})
            elif vr == "PN" and value:
                yield vr, "=".join(value.get(group, "") for group in _GROUPS)
            elif vr in _TEXT and value:
                yield vr, str(value)


def element(vr: str, text: str) -> dict[str, Any]:
    """An element of the model from normalised text, several values joined by backslashes."""
    if not text:
        return {"vr": vr}
    return {"vr": vr, "Value": [_value(vr, value) for value in split_values(vr, text)]}


def _value(vr: str, value: str) -> Any:
    if not value:
        return None
    if vr == "PN":
        groups = zip(_GROUPS, value.split("="), strict=False)
        return {group: text for group, text in groups if text}
    if vr in _NUMBERS:
        return float(value) if vr in {"FL", "FD"} else int(value)
    return value


def text_at(document: Mapping[str, Any], tag: str) -> str:
    """The values of an element as text, joined by backslashes; `""` where there are none."""
    values = document.get(tag, {}).get("Value", ())
    return DELIMITER.join(_text(value) for value in values)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "=".join(value.get(group, "") for group in _GROUPS).rstrip("=")
    return "" if value is None else str(value)


def items_at(document: Mapping[str, Any], tag: str) -> list[Document]:
    """The items of a sequence, none for an absent or empty one."""
    return [item or {} for item in document.get(tag, {}).get("Value", ())]
