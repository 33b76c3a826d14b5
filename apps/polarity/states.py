"""Presentation States that go along with images a polarity rule turns round.

They are made when they are sent and not stored: they follow from the image and the rule, and a
rule that is lifted leaves none behind.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apps.archive.models import Instance
from apps.coercion.rules import Rule
from apps.dicom.data_sets import write_data_set
from apps.dicom.pixels import PixelDescription, decode
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from apps.errors import NotFound
from apps.rendering.correcting_state import STATE_CLASS, correcting_state, state_uid
from apps.rendering.frame_attributes import FrameAttributes
from apps.rendering.grey import default_window, grey_pipeline
from apps.rendering.options import RenderOptions, Window
from apps.retrieve.bulkdata import bulk_bytes
from apps.retrieve.coercion import character_set_of, followed
from apps.retrieve.frames import frame_table_of, stored_frame
from apps.retrieve.locations import Location
from apps.retrieve.metadata import dicom_json_by_key, dicom_json_of
from apps.retrieve.polarity import Rule as DisplayRule
from apps.retrieve.polarity import polarity_rules, rule_of, turned

SYNTAXES: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""What a state can be sent in, the first choice first."""

_CHUNK: Final = 500
_SOP_INSTANCE: Final = "00080018"


@dataclass(frozen=True, slots=True)
class State:
    """One state: its UID, and its data set as DICOM JSON with the character set of the image."""

    sop_instance_uid: str
    document: Mapping[str, Any]
    character_set: tuple[str, ...]

    @property
    def sop_class_uid(self) -> str:
        """Grayscale Softcopy Presentation State Storage."""
        return STATE_CLASS

    def dataset(self, transfer_syntax_uid: str) -> bytes:
        """The data set without File Meta Information, in one of SYNTAXES."""
        if self.character_set:
            return write_data_set(self.document, transfer_syntax_uid, self.character_set)
        return write_data_set(self.document, transfer_syntax_uid)


def corrections_of(keys: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Those of the instances, by primary key and in order, that a rule turns round.

    Each with the SOP Instance UID of its state. Two queries for 500 of them.
    """
    rules = polarity_rules()
    if not rules:
        return
    for start in range(0, len(keys), _CHUNK):
        wanted = keys[start : start + _CHUNK]
        fields = ("pk", "source_ae_title", "received_at")
        rows = Instance.objects.filter(pk__in=wanted).values_list(*fields)
        came = {pk: (source, at) for pk, source, at in rows}
        meant = [key for key in wanted if key in came and any(r.fits(*came[key]) for r in rules)]
        images = dicom_json_by_key(meant)
        for key in meant:
            image = images.get(key, {})
            rule = rule_of(rules, image, *came[key])
            if rule is not None:
                yield key, state_uid(image, turned(image, rule), rule.since)


def state_of(location: Location, rules: Sequence[Rule] = ()) -> State:
    """The state for an image. Raises NotFound where no polarity rule turns it round (any more).

    `rules` are what is coerced of the image for the destination: the state says the same.
    """
    rule = _rule(location)
    if rule is None:
        raise NotFound("No polarity rule turns this image round any more.")
    image = dicom_json_of(location.key)
    document = correcting_state(
        image, turned(image, rule), rule.since, lambda: _default_window(location, image)
    )
    return State(
        document[_SOP_INSTANCE]["Value"][0],
        followed(_inlined(document, location), location, rules),
        character_set_of(location),
    )


def _rule(location: Location) -> DisplayRule | None:
    """The rule that turns the image round now."""
    fields = ("source_ae_title", "received_at")
    came = Instance.objects.filter(pk=location.key).values_list(*fields).first()
    return rule_of(polarity_rules(), dicom_json_of(location.key), *came) if came else None


def _default_window(location: Location, image: Mapping[str, Any]) -> Window:
    """The window that the first frame is shown by where the image brings none."""
    table = frame_table_of(location)
    description = PixelDescription.from_json(image, location.transfer_syntax_uid)
    frame = decode(stored_frame(location, table, 1), description, bit_offset=table.bit_offset(0))
    attributes = FrameAttributes(image, 1, lambda uri: bulk_bytes(location, uri))
    pipeline = grey_pipeline(attributes, description, RenderOptions())
    return default_window(frame.pixels, pipeline)


def _inlined(item: Mapping[str, Any], location: Location) -> dict[str, Any]:
    """Lookup tables of the image that stand behind a BulkDataURI, as bytes."""
    return {tag: _inline(element, location) for tag, element in item.items()}


def _inline(element: Mapping[str, Any], location: Location) -> dict[str, Any]:
    if "BulkDataURI" in element:
        value = base64.b64encode(bulk_bytes(location, element["BulkDataURI"])).decode()
        return {"vr": element["vr"], "InlineBinary": value}
    if element.get("vr") == "SQ":
        items = [_inlined(each or {}, location) for each in element.get("Value") or []]
        return {"vr": "SQ", "Value": items}
    return dict(element)
