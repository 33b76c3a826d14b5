"""The study list's filters as C-FIND keys for another archive (PS3.4 C.6.2.1, Study Root)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Final

from apps.archive.study_list import StudyListFilter, span_of
from apps.errors import InvalidRequest

MOST_QUERIES: Final = 8
_LONGEST_KEY: Final = 64
_MOST_WORDS: Final = 3
_WILD: Final = frozenset("*?")
# What no attribute of a study in another archive answers.
_OURS_ALONE: Final = ("body_part", "station", "state", "issuer", "uid")


@dataclass(frozen=True, slots=True)
class RemoteQueries:
    """One C-FIND after the other; a study that several of them find is one answer."""

    queries: tuple[Mapping[str, str], ...]


def remote_queries(filters: StudyListFilter) -> RemoteQueries:
    """What to ask for. A C-FIND knows no `or`: each alternative is a query of its own.

    Raises InvalidRequest where nothing is asked for, or what no other archive can be asked.
    """
    offending = tuple(name for name in _OURS_ALONE if getattr(filters, name))
    if offending:
        raise InvalidRequest(
            "Another archive cannot be asked for body part, station or state.", offending=offending
        )
    common = _common(filters)
    names = _names(filters.q)
    modalities = [{"ModalitiesInStudy": each} for each in filters.modality] or [{}]
    queries = tuple({**common, **name, **modality} for name in names for modality in modalities)
    if len(queries) > MOST_QUERIES:
        raise InvalidRequest(
            "That would be too many queries to another archive: choose fewer modalities.",
            offending=("modality",),
        )
    if not any(queries):
        raise InvalidRequest(
            "Say what to look for: a name, an identifier, an accession number or a date.",
            offending=("q",),
        )
    if any(len(value) > _LONGEST_KEY for query in queries for value in query.values()):
        raise InvalidRequest("A filter is longer than any value can be.")
    return RemoteQueries(queries)


def _common(filters: StudyListFilter) -> dict[str, str]:
    keys = {
        "StudyDate": _dates(filters),
        "StudyDescription": _pattern(filters.description, within=True),
        "AccessionNumber": _pattern(filters.accession),
        "ReferringPhysicianName": _name_pattern(filters.referring.split()),
        "PatientID": filters.patient_id,
    }
    return {keyword: value for keyword, value in keys.items() if value}


def _dates(filters: StudyListFilter) -> str:
    first, last = span_of(filters)
    return first if first == last else f"{first}-{last}"


def _pattern(text: str, *, within: bool = False) -> str:
    """The text, from its beginning; wild cards the person typed are left alone."""
    text = " ".join(_clean(text).split())
    if not text or _WILD & set(text):
        return text
    return f"*{text}*" if within else f"{text}*"


def _names(text: str) -> list[dict[str, str]]:
    """A name in any order of its words; what has a digit is an identifier or accession number."""
    words = _clean(text).replace("^", " ").replace(",", " ").split()
    if not words:
        return [{}]
    if any(letter.isdigit() for letter in text):
        pattern = _pattern(text)
        return [{"PatientID": pattern}, {"AccessionNumber": pattern}]
    if _WILD & set(text) or len(words) > _MOST_WORDS:
        return [{"PatientName": _name_pattern(words)}]
    return [{"PatientName": _name_pattern(list(order))} for order in permutations(words)]


def _name_pattern(words: list[str]) -> str:
    pattern = "*".join(words)
    return pattern if not pattern or _WILD & set("".join(words)) else f"{pattern}*"


def _clean(text: str) -> str:
    """Without what separates values or names groups: one value is asked for."""
    return "".join(
        " " if letter in "\\=" or not letter.isprintable() else letter for letter in text
    )
