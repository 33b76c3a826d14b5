"""Reading DICOM JSON (PS3.18 F) back: values by tag, and dates, times and names for people.

Everything is tolerant: what is not there is an empty text or an empty tuple.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

DicomJson = dict[str, Any]

_DATE_LENGTH: Final = 8


def values(node: DicomJson, tag: str) -> list[Any]:
    """The Value array of an attribute, `tag` eight upper-case hexadecimal digits."""
    element = node.get(tag)
    found = element.get("Value") if isinstance(element, dict) else None
    return found if isinstance(found, list) else []


def items(node: DicomJson, tag: str) -> list[DicomJson]:
    """The items of a sequence."""
    return [each for each in values(node, tag) if isinstance(each, dict)]


def texts(node: DicomJson, tag: str) -> list[str]:
    """All values as text."""
    return [_readable(each) for each in values(node, tag) if each is not None]


def text_of(node: DicomJson, tag: str) -> str:
    """The first value as text; of a name the first group there is."""
    return next(iter(texts(node, tag)), "")


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return next((str(group) for group in value.values() if group), "")
    return str(value)


def numbers(node: DicomJson, tag: str) -> tuple[float, ...]:
    """All values as finite numbers, or none of them."""
    try:
        found = tuple(float(value) for value in values(node, tag))
    except (TypeError, ValueError):
        return ()
    return found if all(map(isfinite, found)) else ()


def whole_numbers(node: DicomJson, tag: str) -> tuple[int, ...]:
    """Those values that are whole numbers."""
    return tuple(int(each) for each in numbers(node, tag) if each == each // 1)


def readable_name(text: str) -> str:
    """`Doe^John^^Dr.` as `Dr. John Doe`; a group without carets stays as it is."""
    family, given, middle, prefix, suffix = ([*text.split("^"), "", "", "", "", ""])[:5]
    name = " ".join(part for part in (prefix, given, middle, family) if part)
    return f"{name}, {suffix}" if suffix else name


def readable_date(text: str) -> str:
    """`20240131` as `2024-01-31`; what is no date stays as it is."""
    if len(text) >= _DATE_LENGTH and text[:_DATE_LENGTH].isdigit():
        return f"{text[:4]}-{text[4:6]}-{text[6:8]}"
    return text


def readable_time(text: str) -> str:
    """`093015.5` as `09:30:15`."""
    parts = [text[at : at + 2] for at in range(0, min(len(text), 6), 2)]
    return ":".join(parts) if text[:2].isdigit() else text


def readable_date_time(text: str) -> str:
    """`20240131093015+0100` as `2024-01-31 09:30:15`."""
    return f"{readable_date(text[:8])} {readable_time(text[8:14])}".strip()
