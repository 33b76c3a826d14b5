"""Values of indexed private attributes: read from DICOM JSON, and the attributes there are."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from django.db.models import QuerySet

from apps.access.prepared import Prepared
from apps.archive.columns import column_text
from apps.archive.models import PrivateAttribute
from apps.dicom.character_sets import character_set
from apps.dicom.json_model import ValueContext, plain_text
from apps.dicom.stored_keys import text_of
from apps.dicom.values import DELIMITER, INTEGER_VRS, UNDIVIDED_VRS, normalise

Document = Mapping[str, Any]
_BLOCKS: Final = range(0x10, 0x100)


def values_in(document: Document, attribute: PrivateAttribute) -> frozenset[str]:
    """What an instance has of the attribute, each value once, as it is indexed."""
    found: set[str] = set()
    for block in _blocks_of(document, attribute):
        element = document.get(f"{attribute.group.upper()}{block:02X}{attribute.element.upper()}")
        text = _text(element, attribute.vr, document) if element else ""
        undivided = attribute.vr in UNDIVIDED_VRS
        found.update([text] if undivided else text.split(DELIMITER))
    return frozenset(column_text(_canonical(attribute.vr, value)) for value in found if value)


def _blocks_of(document: Document, attribute: PrivateAttribute) -> Iterator[int]:
    """The blocks that the creator has reserved here; a device may reserve two (PS3.5 7.8.1)."""
    group = attribute.group.upper()
    for block in _BLOCKS:
        element = document.get(f"{group}00{block:02X}")
        if element is not None and text_of(element, "LO") == attribute.creator.strip():
            yield block


def _text(element: Mapping[str, Any], vr: str, document: Document) -> str:
    """Of Implicit VR it is bytes of VR UN: the administrator says what they are."""
    if "Value" in element:
        return text_of(dict(element), vr)
    try:
        raw = base64.b64decode(element.get("InlineBinary", ""))
    except (binascii.Error, ValueError):
        return ""
    context = ValueContext()
    terms = document.get("00080005", {}).get("Value") or ()
    context.use(character_set(tuple(str(each) for each in terms)))
    return normalise(vr, plain_text(raw, vr, context))


def _canonical(vr: str, value: str) -> str:
    """Whole numbers by meaning: 007 is 7."""
    if vr not in INTEGER_VRS:
        return value
    try:
        return str(int(value))
    except ValueError:
        return value


def asked_of(attribute: PrivateAttribute) -> str:
    """What has to be collected anew when it changes."""
    group, element = attribute.group.upper(), attribute.element.upper()
    return DELIMITER.join((attribute.creator.strip(), group, element, attribute.vr))


def collected_attributes() -> list[PrivateAttribute]:
    """Those whose values new instances are asked for. One small query where there are none."""
    return list(_collected()) if _any_collected().rows() else []


def _collected() -> QuerySet[PrivateAttribute]:
    return PrivateAttribute.objects.exclude(state=PrivateAttribute.State.CANCELLED)


@cache
def _any_collected() -> Prepared:
    return Prepared(_collected().values_list("pk")[:1], ())


def searchable_attributes() -> list[PrivateAttribute]:
    """Those whose values are all collected, as they are now. One query."""
    done = PrivateAttribute.objects.filter(state=PrivateAttribute.State.DONE).order_by("pk")
    return [each for each in done if each.asked == asked_of(each)]


def place_of(attribute: PrivateAttribute) -> tuple[int, int]:
    """Group and last byte, by which a tag in any block names it."""
    return int(attribute.group, 16), int(attribute.element, 16)


def names_it(tag: int, attributes: Iterable[PrivateAttribute]) -> list[PrivateAttribute]:
    """The attributes that a tag may mean; more than one where several creators use the same."""
    place = tag >> 16, tag & 0xFF
    return [each for each in attributes if place_of(each) == place]


def is_indexed_private(tag: int) -> bool:
    """Whether a private tag without its creator may be a key: it names an indexed attribute."""
    return bool(names_it(tag, searchable_attributes()))


def progress_of(attribute: PrivateAttribute, newest: int) -> int:
    """How much is collected, in percent of the instances up to the one stored last."""
    if attribute.state == PrivateAttribute.State.DONE or not newest:
        return 100
    return min(99, 100 * attribute.cursor // newest)
