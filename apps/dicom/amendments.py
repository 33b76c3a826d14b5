"""What was changed of an object while its bytes stayed as they came: layers over the data set.

A layer holds new values for top-level attributes, encoded in the object's own character set, and
what the Original Attributes Sequence has to say of the change (PS3.3 C.12.1.1.9). The previous
values are not kept: they stand in the object, or in the layer below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from apps.dicom.character_sets import encode
from apps.dicom.coercion import CHARACTER_SET, Coercion, is_lawful_text, tag_of, vr_of
from apps.dicom.data_sets import UNICODE, element
from apps.dicom.values import DELIMITER

ORIGINAL_ATTRIBUTES: Final = 0x04000561
MODIFIED_ATTRIBUTES: Final = 0x04000550
CHARACTER_SET_TAG: Final = 0x00080005
PATIENT_ID: Final = 0x00100020
ISSUER_OF_PATIENT_ID: Final = 0x00100021
_LONGEST_SYSTEM: Final = 64


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When, by which system and why values were changed, and who had provided the old ones.

    `moment` is a DT; `reason` is COERCE or CORRECT (0400,0565).
    """

    moment: str
    system: str
    source: str
    reason: str

    def texts(self) -> tuple[tuple[int, str, str], ...]:
        """Tag, VR and text of what an item says beside the modified attributes."""
        return (
            (0x04000562, "DT", self.moment),
            (0x04000563, "LO", self.system[:_LONGEST_SYSTEM]),
            (0x04000564, "LO", self.source[:_LONGEST_SYSTEM]),
            (0x04000565, "CS", self.reason),
        )


@dataclass(frozen=True, slots=True)
class Layer:
    """New values by tag: VR and bytes of even length.

    `withheld` are those whose previous value broke the rules of its VR: it is recorded as empty, as
    the standard asks.
    """

    elements: Mapping[int, tuple[str, bytes]]
    circumstances: Circumstances
    withheld: frozenset[int] = frozenset()

    @property
    def recorded(self) -> tuple[int, ...]:
        """Tags whose previous value is recorded; a Patient ID says more with its issuer."""
        beside = {ISSUER_OF_PATIENT_ID} if PATIENT_ID in self.elements else set()
        return tuple(sorted(self.elements.keys() | beside))


def layer_of(
    coercion: Coercion,
    text_of: Callable[[str], str],
    character_set: tuple[str, ...],
    circumstances: Circumstances,
) -> tuple[Layer | None, Coercion]:
    """The layer, None where nothing changes, and the coercion without what cannot be written.

    `character_set` are the values of (0008,0005) that the object has.
    """
    declared = coercion.changes.get(CHARACTER_SET)
    terms = tuple(declared.split(DELIMITER)) if declared else character_set
    elements: dict[int, tuple[str, bytes]] = {}
    problems = list(coercion.problems)
    changes = dict(coercion.changes)
    for keyword, text in coercion.changes.items():
        vr = vr_of(keyword)
        try:
            raw = encode(text, () if keyword == CHARACTER_SET else terms, vr)
        except (UnicodeEncodeError, LookupError):
            del changes[keyword]
            problems.append(
                f"The new {keyword} was left out: the character set of the object cannot write it."
            )
            continue
        elements[tag_of(keyword)] = (vr, raw + b" " * (len(raw) % 2))
    coercion = replace(coercion, changes=changes, problems=tuple(problems))
    if not elements:
        return None, coercion
    withheld = {
        tag_of(keyword) for keyword in changes
        if keyword != CHARACTER_SET and not is_lawful_text(keyword, text_of(keyword))
    }  # fmt: skip
    return Layer(elements, circumstances, frozenset(withheld)), coercion


def amended(document: Mapping[str, Any], coercion: Coercion, layer: Layer) -> dict[str, Any]:
    """The DICOM JSON with the new values, and an item more of the Original Attributes Sequence."""
    changed = dict(document)
    for keyword, text in coercion.changes.items():
        unicode = keyword == CHARACTER_SET  # JSON is always UTF-8 (PS3.18 F.2.2)
        changed[_hex(tag_of(keyword))] = element(vr_of(keyword), UNICODE[0] if unicode else text)
    earlier = document.get(_hex(ORIGINAL_ATTRIBUTES), {}).get("Value") or []
    item = _original(document, layer)
    changed[_hex(ORIGINAL_ATTRIBUTES)] = {"vr": "SQ", "Value": [*earlier, item]}
    return dict(sorted(changed.items()))


def _original(document: Mapping[str, Any], layer: Layer) -> dict[str, Any]:
    """An item of the Original Attributes Sequence, from the document as it was before."""
    before: dict[str, Any] = {}
    for tag in layer.recorded:
        known = document.get(_hex(tag))
        if known is not None and tag not in layer.withheld:
            before[_hex(tag)] = known
        elif tag in layer.elements and tag != CHARACTER_SET_TAG:
            before[_hex(tag)] = {"vr": layer.elements[tag][0]}
    texts = {_hex(tag): element(vr, text) for tag, vr, text in layer.circumstances.texts()}
    return {_hex(MODIFIED_ATTRIBUTES): {"vr": "SQ", "Value": [before]}, **texts}


def _hex(tag: int) -> str:
    return f"{tag:08X}"


def packed(layers: Iterable[Layer]) -> bytes:
    """The layers as one value of a column; raw bytes travel as Latin-1."""
    return orjson.dumps(
        [
            {
                "elements": {
                    str(tag): [vr, raw.decode("latin-1")]
                    for tag, (vr, raw) in layer.elements.items()
                },
                "withheld": sorted(layer.withheld),
                "moment": layer.circumstances.moment,
                "system": layer.circumstances.system,
                "source": layer.circumstances.source,
                "reason": layer.circumstances.reason,
            }
            for layer in layers
        ]
    )


def unpacked(raw: bytes) -> tuple[Layer, ...]:
    """The layers of `packed`."""
    return tuple(
        Layer(
            {
                int(tag): (vr, text.encode("latin-1"))
                for tag, (vr, text) in each["elements"].items()
            },
            Circumstances(each["moment"], each["system"], each["source"], each["reason"]),
            frozenset(each["withheld"]),
        )
        for each in orjson.loads(raw)
    )
