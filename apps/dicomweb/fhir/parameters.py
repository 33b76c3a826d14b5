"""Search parameters of ImagingStudy to a Query (FHIR R4 3.1.1)."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Final

from apps.dicom import uids
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.query import Key, Level, Ordering, Query
from apps.dicom.whole_numbers import whole_number
from apps.dicomweb.fhir.imaging_study import ASKED, DCM, DICOM_UID, URN_OID
from apps.errors import InvalidRequest

MOST: Final = 500
_USUAL: Final = 50
_DATE: Final = re.compile(
    r"(eq|ge|le|gt|lt|sa|eb)?(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(T\d\d(?::\d\d){0,2}(?:\.\d+)?(?:Z|[-+ ]\d\d:\d\d)?)?)?)?"
)
# What changes the form of an answer only: it may be left undone, and no link to a page names it.
_LEFT_UNDONE: Final = frozenset(
    {"_contained", "_containedType", "_elements", "_include", "_pretty", "_revinclude", "_total"}
)
SETTINGS: Final = frozenset({"_count", "_format", "_offset", "_sort", "_summary"})
_SORTS: Final = {"started": ("StudyDate", "StudyTime"), "_id": ("StudyInstanceUID",)}
_STATES: Final = frozenset({"registered", "available", "cancelled", "entered-in-error", "unknown"})

Meant = Mapping[str, str]
"""What one value of a search parameter means: texts by keyword."""


def without_those_left_undone(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The parameters that count."""
    return [pair for pair in pairs if pair[0] not in _LEFT_UNDONE]


def query_from(pairs: Iterable[tuple[str, str]]) -> Query | None:
    """The query; None where nothing can match.

    Raises InvalidRequest for parameters and values that are not known.
    """
    settings: dict[str, str] = {}
    keys: dict[str, list[tuple[str, ...]]] = {}
    dates: list[str] = []
    possible = True
    for name, value in pairs:
        if name in SETTINGS:
            settings[name] = value
        elif name == "started":
            dates.append(_date_range(value))
        elif name in _KEYS:
            possible &= _add(keys, [_KEYS[name](each) for each in value.split(",")])
        else:
            raise InvalidRequest(f"{name[:64]} is no search parameter here.", offending=(name,))
    if any(len(values) > 1 for values in keys.values()):
        raise InvalidRequest("A search parameter may be given only once.")
    if dates:
        keys["StudyDate"] = [(_intersection(dates),)]
    query = _with_settings(settings, keys)
    return query if possible and keys.get("StudyDate") != [("",)] else None


def _with_settings(settings: Mapping[str, str], keys: Mapping[str, list[tuple[str, ...]]]) -> Query:
    count = min(whole_number(settings.get("_count", str(_USUAL)), "_count"), MOST)
    return Query(
        Level.STUDY,
        tuple(Key((BY_KEYWORD[keyword].tag,), given[0]) for keyword, given in keys.items()),
        include=ASKED,
        limit=count + 1,
        offset=whole_number(settings.get("_offset", "0"), "_offset"),
        ordering=_ordering(settings["_sort"]) if settings.get("_sort") else (),
    )


def _add(keys: dict[str, list[tuple[str, ...]]], alternatives: Iterable[Meant | None]) -> bool:
    """Any of several, with commas between them (FHIR R4 3.1.1.5.7); False where none can match."""
    found = [each for each in alternatives if each is not None]
    if not found:
        return False
    of_one_kind = len({tuple(each) for each in found}) == 1
    if not of_one_kind or len({each.get(_ISSUER) for each in found}) > 1:
        raise InvalidRequest("Values with a comma between them must be of one kind and system.")
    for keyword in found[0]:
        values = tuple(dict.fromkeys(each[keyword] for each in found))
        keys.setdefault(keyword, []).append(values)
    return True


def _ordering(value: str) -> tuple[Ordering, ...]:
    found: list[Ordering] = []
    for each in value.split(","):
        name = each.removeprefix("-")
        if name not in _SORTS:
            raise InvalidRequest(
                f"Studies can be sorted by {' and '.join(_SORTS)}.", offending=("_sort",)
            )
        found += [Ordering(keyword, each.startswith("-")) for keyword in _SORTS[name]]
    return tuple(dict.fromkeys(found))  # databases have limits to how many they take


def _uid(value: str) -> str:
    """`urn:dicom:uid|urn:oid:1.2.3`, `urn:oid:1.2.3` or the bare UID."""
    return value.rpartition("|")[2].removeprefix(URN_OID)


def _literal(text: str) -> str:
    """Wild cards of DICOM mean nothing in FHIR."""
    if not text or any(letter in text for letter in "*?\\"):
        raise InvalidRequest("A search value is empty or holds *, ? or a backslash.")
    return text


_ISSUER: Final = "IssuerOfPatientID"
_ROOTS: Final = frozenset({"0.", "1.", "2."})  # how every UID begins (ISO/IEC 8824)
Read = Callable[[str], Meant | None]


def _uid_of(keyword: str) -> Read:
    return lambda value: {keyword: _literal(_uid(value))}


def _code_of(keyword: str, *systems: str) -> Read:
    """The code behind `system|`, which is one of these or left out."""

    def read(value: str) -> Meant | None:
        system, _, code = value.rpartition("|")
        return {keyword: _literal(code)} if system in {"", *systems} else None

    return read


def _patient(value: str) -> Meant:
    """`system|value`: the system is the Issuer of Patient ID, for IDs are unique only there."""
    system, _, text = value.rpartition("|")
    meant = {"PatientID": _literal(text)}
    return {**meant, _ISSUER: _literal(system)} if system else meant


def _identifier(value: str) -> Meant | None:
    """The Study Instance UID or the accession number (R4 ImagingStudy.identifier)."""
    system, _, text = value.rpartition("|")
    bare_uid = not system and text[:2] in _ROOTS and uids.is_valid(text)
    if system == DICOM_UID or text.startswith(URN_OID) or bare_uid:
        return {"StudyInstanceUID": _literal(_uid(value))}
    return None if system else {"AccessionNumber": _literal(text)}


def _status(value: str) -> Meant | None:
    if value not in _STATES:
        raise InvalidRequest("There is no such status.", offending=("status",))
    return {"StudyID": "*"} if value == "available" else None


_KEYS: Final[dict[str, Read]] = {
    "_id": _uid_of("StudyInstanceUID"),
    "identifier": _identifier,
    "accession": _code_of("AccessionNumber"),
    "dicom-class": _uid_of("SOPClassesInStudy"),
    "modality": _code_of("ModalitiesInStudy", DCM),
    "patient.identifier": _patient,
    "patient:identifier": _patient,
    "subject.identifier": _patient,
    "subject:identifier": _patient,
    "series": _uid_of("SeriesInstanceUID"),
    "instance": _uid_of("SOPInstanceUID"),
    "bodysite": _code_of("BodyPartExamined"),
    "status": _status,
}


SEARCH_PARAMETERS: Final[dict[str, str]] = {
    **dict.fromkeys(_KEYS, "token"),
    "started": "date",
}
"""Search parameters by name, with their FHIR types."""


def _date_range(value: str) -> str:
    """`ge2024-01-01` as `20240101-`; a month or a year is all its days.

    Of a moment the whole day counts: studies without a time zone have no other.
    """
    match = _DATE.fullmatch(value)
    if match is None:
        raise InvalidRequest("started must be a date such as ge2024-01-31.", offending=("started",))
    comparison, year, month, day, moment = match.groups()
    try:
        first = date(int(year), int(month or 1), int(day or 1))
        last_month = int(month or 12)
        days = int(day) if day else monthrange(int(year), last_month)[1]
        last = date(int(year), last_month, days)
    except ValueError:
        raise InvalidRequest("started is no day of the calendar.", offending=("started",)) from None
    beyond = 0 if moment else 1
    bounds = {
        "ge": (_text(first), ""),
        "gt": (_text(last, beyond), ""),
        "le": ("", _text(last)),
        "lt": ("", _text(first, -beyond)),
    }
    same = {"sa": "gt", "eb": "lt"}.get(comparison or "", comparison or "eq")
    low, high = bounds.get(same, (_text(first), _text(last)))
    return f"{low}-{high}"


def _text(day: date, beyond: int = 0) -> str:
    """The day so many days later; the calendar's first and last stand for what is behind them."""
    counted = min(max(day.toordinal() + beyond, 1), date.max.toordinal())
    return date.fromordinal(counted).isoformat().replace("-", "")


def _intersection(ranges: list[str]) -> str:
    """Empty where no day is in all of them."""
    pairs = [each.split("-") for each in ranges]
    low = max(low for low, _ in pairs)
    highs = [high for _, high in pairs if high]
    if highs and min(highs) < low:
        return ""
    return f"{low}-{min(highs) if highs else ''}"
