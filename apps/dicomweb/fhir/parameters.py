"""Search parameters of ImagingStudy to a Query (FHIR R4 3.1.1)."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Final

from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.query import Key, Level, Query
from apps.dicom.whole_numbers import whole_number
from apps.dicomweb.fhir.imaging_study import ASKED
from apps.errors import InvalidRequest

MOST: Final = 500
_USUAL: Final = 50
_DATE: Final = re.compile(r"^(eq|ge|le|gt|lt|sa|eb)?(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?:T.*)?$")
_SETTINGS: Final = frozenset({"_count", "_format", "_offset", "_total", "_summary"})


def query_from(pairs: Iterable[tuple[str, str]]) -> Query:
    """The query. Raises InvalidRequest for parameters and values that are not known."""
    count, offset = _USUAL, 0
    keys: dict[str, list[tuple[str, ...]]] = {}
    dates: list[str] = []
    for name, value in pairs:
        if name == "_count":
            count = min(whole_number(value, name), MOST)
        elif name == "_offset":
            offset = whole_number(value, name)
        elif name == "started":
            dates.append(_date_range(value))
        elif name in _KEYS:
            keyword, read = _KEYS[name]
            # Any of several, with commas between them (FHIR R4 3.1.1.5.7).
            alternatives = tuple(read(each) for each in value.split(","))
            keys.setdefault(keyword, []).append(alternatives)
        elif name not in _SETTINGS:
            raise InvalidRequest(f"{name[:64]} is no search parameter here.", offending=(name,))
    if dates:
        keys["StudyDate"] = [(_intersection(dates),)]
    if any(len(values) > 1 for values in keys.values()):
        raise InvalidRequest("A search parameter may be given only once.")
    return Query(
        Level.STUDY,
        tuple(Key((BY_KEYWORD[keyword].tag,), given[0]) for keyword, given in keys.items()),
        include=ASKED,
        limit=count + 1,
        offset=offset,
    )


def _uid(value: str) -> str:
    """`urn:dicom:uid|urn:oid:1.2.3`, `urn:oid:1.2.3` or the bare UID."""
    return value.rpartition("|")[2].removeprefix("urn:oid:")


def _literal(value: str) -> str:
    """The code or value behind `system|`; wild cards of DICOM mean nothing in FHIR."""
    text = value.rpartition("|")[2]
    if not text or any(letter in text for letter in "*?\\"):
        raise InvalidRequest("A search value is empty or holds *, ? or a backslash.")
    return text


def _status(value: str) -> str:
    if value != "available":
        raise InvalidRequest("Every study here is available.", offending=("status",))
    return "*"


_KEYS: Final[dict[str, tuple[str, Callable[[str], str]]]] = {
    "_id": ("StudyInstanceUID", _uid),
    "identifier": ("StudyInstanceUID", _uid),
    "accession": ("AccessionNumber", _literal),
    "dicom-class": ("SOPClassesInStudy", _uid),
    "modality": ("ModalitiesInStudy", _literal),
    "patient.identifier": ("PatientID", _literal),
    "subject:identifier": ("PatientID", _literal),
    "series": ("SeriesInstanceUID", _uid),
    "instance": ("SOPInstanceUID", _uid),
    "bodysite": ("BodyPartExamined", _literal),
    "status": ("StudyID", _status),
}


SEARCH_PARAMETERS: Final[dict[str, str]] = {
    **dict.fromkeys(_KEYS, "token"),
    "started": "date",
}
"""Search parameters by name, with their FHIR types."""


def _date_range(value: str) -> str:
    """`ge2024-01-01` as `20240101-`; a month or a year is all its days."""
    match = _DATE.match(value)
    if match is None:
        raise InvalidRequest("started must be a date such as ge2024-01-31.", offending=("started",))
    comparison, year, month, day = match.groups()
    try:
        first = date(int(year), int(month or 1), int(day or 1))
        last_month = int(month or 12)
        days = int(day) if day else monthrange(int(year), last_month)[1]
        last = date(int(year), last_month, days)
    except ValueError:
        raise InvalidRequest("started is no day of the calendar.", offending=("started",)) from None
    bounds = {
        "ge": (first, None),
        "gt": (last + timedelta(1), None),
        "le": (None, last),
        "lt": (None, first - timedelta(1)),
    }
    same = {"sa": "gt", "eb": "lt"}.get(comparison or "", comparison or "eq")
    low, high = bounds.get(same, (first, last))
    return f"{_text(low)}-{_text(high)}"


def _text(day: date | None) -> str:
    return f"{day:%Y%m%d}" if day else ""


def _intersection(ranges: list[str]) -> str:
    pairs = [each.split("-") for each in ranges]
    low = max(low for low, _ in pairs)
    highs = [high for _, high in pairs if high]
    return f"{low}-{min(highs) if highs else ''}"
