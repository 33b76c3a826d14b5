"""A Grayscale Softcopy Presentation State that shows one image as a polarity rule shows it.

For systems that know nothing of the rule (PS3.3 A.33.1). It repeats the image's own modality LUT
and VOI and states the polarity anew: to a state, the image's Photometric Interpretation says
nothing (PS3.4 N.2). The same image and rule always give the same state with the same UID.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from apps.dicom.uids import derived
from apps.rendering.frame_attributes import integer, numbers, text
from apps.rendering.options import Window

Document = dict[str, Any]

STATE_CLASS: Final = "1.2.840.10008.5.1.4.1.1.11.1"
_SOP_CLASS, _SOP_INSTANCE = "00080016", "00080018"
_STUDY, _SERIES = "0020000D", "0020000E"
_PHOTOMETRIC, _SHAPE = "00280004", "20500020"
_ROWS, _COLUMNS = "00280010", "00280011"
_PIXEL_SPACING, _IMAGER_SPACING, _PIXEL_ASPECT = "00280030", "00181164", "00280034"
_SOFTCOPY_VOI: Final = "00283110"
_PAIR: Final = 2

# TABLE: patient and study as the image names them: tag and VR, written empty where type 2.
_COPIED: Final = (
    ("00080020", "DA", True),  # Study Date
    ("00080030", "TM", True),  # Study Time
    ("00080050", "SH", True),  # Accession Number
    ("00080051", "SQ", False),  # Issuer of Accession Number Sequence
    ("00080090", "PN", True),  # Referring Physician's Name
    ("00081030", "LO", False),  # Study Description
    ("00100010", "PN", True),  # Patient's Name
    ("00100020", "LO", True),  # Patient ID
    ("00100021", "LO", False),  # Issuer of Patient ID
    ("00100024", "SQ", False),  # Issuer of Patient ID Qualifiers Sequence
    ("00100030", "DA", True),  # Patient's Birth Date
    ("00100040", "CS", True),  # Patient's Sex
    ("00101010", "AS", False),  # Patient's Age
    (_STUDY, "UI", True),
    ("00200010", "SH", True),  # Study ID
    ("00080080", "LO", False),  # Institution Name
)
_MODALITY_LUT: Final = ("00281052", "00281053", "00281054", "00283000")
_VOI: Final = ("00281050", "00281051", "00281055", "00281056", "00283010")


def correcting_state(
    image: Mapping[str, Any],
    shown: Mapping[str, Any],
    moment: datetime,
    default_window: Callable[[], Window],
) -> Document:
    """The state in DICOM JSON. `image` is as stored, `shown` as the rule of `moment` shows it.

    `default_window` is asked for where the image brings neither window nor VOI LUT.
    """
    document = _without_uid(image, shown, moment)
    if not numbers(image, "00281050") and "00283010" not in image:
        document[_SOFTCOPY_VOI] = _sequence(_window(default_window()))
    document[_SOP_INSTANCE] = _element("UI", state_uid(image, shown, moment))
    return dict(sorted(document.items()))


def state_uid(image: Mapping[str, Any], shown: Mapping[str, Any], moment: datetime) -> str:
    """The SOP Instance UID of that state: another one as soon as anything in it is another."""
    document = _without_uid(image, shown, moment)
    named = orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()
    return derived("polarity state", named)


def _without_uid(image: Mapping[str, Any], shown: Mapping[str, Any], moment: datetime) -> Document:
    document = {
        tag: dict(image.get(tag) or {"vr": vr})
        for tag, vr, always in _COPIED
        if always or tag in image
    }
    document |= _identification(image, moment) | _area(image) | _modality_lut(image)
    white = text(shown, _PHOTOMETRIC) == "MONOCHROME1"
    document[_SHAPE] = _element("CS", "INVERSE" if white else "IDENTITY")
    document[_SOFTCOPY_VOI] = _sequence({tag: dict(image[tag]) for tag in _VOI if tag in image})
    return document


def _identification(image: Mapping[str, Any], moment: datetime) -> Document:
    """Series, equipment, Presentation State Identification and Relationship Modules."""
    day, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    series = text(image, _SERIES)
    reference = {
        "00081150": _element("UI", text(image, _SOP_CLASS)),
        "00081155": _element("UI", text(image, _SOP_INSTANCE)),
    }
    return {
        _SOP_CLASS: _element("UI", STATE_CLASS),
        "00080060": _element("CS", "PR"),
        "00080070": _element("LO", "pacsweb"),
        "0008103E": _element("LO", "Corrected polarity"),
        "00081115": _sequence(
            {_SERIES: _element("UI", series), "00081140": _sequence(reference)},
        ),
        _SERIES: _element("UI", derived("polarity states", series, f"{moment:%Y%m%d%H%M%S%f}")),
        "00200011": {"vr": "IS"},
        "00200013": _element("IS", max(integer(image, "00200013") or 1, 1)),
        "00700080": _element("CS", "POLARITY"),
        "00700081": _element("LO", "Black and white exchanged by rule"),
        "00700082": _element("DA", day),
        "00700083": _element("TM", time),
        "00700084": {"vr": "PN"},
    }


def _modality_lut(image: Mapping[str, Any]) -> Document:
    """The image's own; a state has to say the type of what slope and intercept give (C.11.1)."""
    found = {tag: dict(image[tag]) for tag in _MODALITY_LUT if tag in image}
    if found and "00283000" not in found:
        rescale = {"00281052": _element("DS", 0), "00281053": _element("DS", 1)} | found
        return {"00281054": _element("LO", "US")} | rescale
    return found


def _area(image: Mapping[str, Any]) -> Document:
    """The whole image, scaled to fit (PS3.3 C.10.4)."""
    rows, columns = integer(image, _ROWS) or 1, integer(image, _COLUMNS) or 1
    item: Document = {
        "00700052": {"vr": "SL", "Value": [1, 1]},
        "00700053": {"vr": "SL", "Value": [columns, rows]},
        "00700100": _element("CS", "SCALE TO FIT"),
    }
    spacing = numbers(image, _PIXEL_SPACING) or numbers(image, _IMAGER_SPACING)
    aspect = [int(each) for each in numbers(image, _PIXEL_ASPECT)]
    if len(spacing) == _PAIR and min(spacing) > 0:
        item["00700101"] = {"vr": "DS", "Value": spacing}
    else:
        square = len(aspect) != _PAIR or min(aspect) < 1
        item["00700102"] = {"vr": "IS", "Value": [1, 1] if square else aspect}
    return {"0070005A": _sequence(item)}


def _window(window: Window) -> Document:
    return {
        "00281050": _element("DS", window.center),
        "00281051": _element("DS", window.width),
        "00281056": _element("CS", window.function.value),
    }


def _element(vr: str, value: object) -> Document:
    return {"vr": vr, "Value": [value]}


def _sequence(*items: Document) -> Document:
    return {"vr": "SQ", "Value": list(items)}
