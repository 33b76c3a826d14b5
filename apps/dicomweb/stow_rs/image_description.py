"""Image Pixel attributes that metadata leaves open and a compressed frame tells (PS3.18 10.5.2)."""

from __future__ import annotations

from typing import Any, Final

from django.utils import timezone

from apps.dicom.codestreams import Codestream, inspect
from apps.dicom.json_values import DicomJson
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.errors import UnsupportedPixels

_SAMPLES, _PHOTOMETRIC, _PLANAR = "00280002", "00280004", "00280006"
_ORIGINAL_ATTRIBUTES: Final = "04000561"
_COLORS: Final = 3
_BYTE: Final = 8
_JPEG_2000: Final = frozenset({"jpeg2000", "htj2k"})


def completed(dataset: DicomJson, frame: bytes, transfer_syntax_uid: str) -> tuple[DicomJson, str]:
    """The metadata with what the frame's header adds, and a sentence where a guess was needed.

    What the metadata says itself is never changed.
    """
    if not frame or not transfer_syntax(transfer_syntax_uid).encapsulated:
        return dataset, ""
    try:
        header = inspect(frame)
    except UnsupportedPixels:
        return dataset, ""
    if not header.rows:
        return dataset, ""
    told = _told(header)
    missing = {tag: element for tag, element in told.items() if not _has_value(dataset, tag)}
    if not missing:
        return dataset, ""
    warning = ""
    if _PHOTOMETRIC in missing:
        assumed = missing[_PHOTOMETRIC]["Value"][0]
        warning = f"Photometric Interpretation was missing and is assumed to be {assumed}."
    return _with_record(dataset, missing), warning


def _with_record(dataset: DicomJson, missing: dict[str, dict[str, Any]]) -> DicomJson:
    """What was filled in is recorded as a coercion of empty values (PS3.18 10.5.3, STW-05)."""
    now = timezone.now()
    record = {
        "04000550": {
            "vr": "SQ",
            "Value": [{tag: {"vr": element["vr"]} for tag, element in missing.items()}],
        },
        "04000562": {"vr": "DT", "Value": [f"{now:%Y%m%d%H%M%S.%f}+0000"]},
        "04000563": {"vr": "LO", "Value": ["pacsweb"]},
        "04000564": {"vr": "LO"},
        "04000565": {"vr": "CS", "Value": ["CORRECT"]},
    }
    earlier = dataset.get(_ORIGINAL_ATTRIBUTES, {}).get("Value") or []
    original = {_ORIGINAL_ATTRIBUTES: {"vr": "SQ", "Value": [*earlier, record]}}
    return {**dataset, **missing, **original}


def _has_value(dataset: DicomJson, tag: str) -> bool:
    element = dataset.get(tag)
    return isinstance(element, dict) and bool(element.get("Value"))


def _told(header: Codestream) -> dict[str, dict[str, Any]]:
    allocated = _BYTE if header.precision <= _BYTE else 2 * _BYTE
    numbers = {
        _SAMPLES: header.samples,
        "00280010": header.rows,
        "00280011": header.columns,
        "00280100": allocated,
        "00280101": header.precision,
        "00280102": header.precision - 1,
        "00280103": int(header.signed),
    }
    if header.samples == _COLORS:
        numbers[_PLANAR] = 0
    told: dict[str, dict[str, Any]] = {
        tag: {"vr": "US", "Value": [number]} for tag, number in numbers.items()
    }
    told[_PHOTOMETRIC] = {"vr": "CS", "Value": [_photometric(header)]}
    return told


def _photometric(header: Codestream) -> str:
    if header.samples != _COLORS:
        return "MONOCHROME2"
    if header.family in _JPEG_2000:
        return "YBR_RCT" if header.lossless else "YBR_ICT"
    if header.family == "jpeg" and not header.lossless and header.color_transform != "RGB":
        return "YBR_FULL_422"
    return "RGB"
