"""TABLE: the Query/Retrieve information models (PS3.4 C.3, C.6) and their SOP Classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from apps.dicom.query import Level


@dataclass(frozen=True, slots=True)
class QueryModel:
    """One row: a root, its levels and its SOP Classes."""

    name: str
    root: Level
    levels: tuple[Level, ...]
    find: str
    move: str
    get: str


_ALL: Final = tuple(Level)
_R: Final = "1.2.840.10008.5.1.4.1.2"

TABLE: Final = (
    QueryModel("Patient Root", Level.PATIENT, _ALL, f"{_R}.1.1", f"{_R}.1.2", f"{_R}.1.3"),
    QueryModel("Study Root", Level.STUDY, _ALL[1:], f"{_R}.2.1", f"{_R}.2.2", f"{_R}.2.3"),
    QueryModel(
        "Patient/Study Only (retired)",
        Level.PATIENT,
        (Level.PATIENT, Level.STUDY),
        f"{_R}.3.1",
        f"{_R}.3.2",
        f"{_R}.3.3",
    ),
)

BY_SOP_CLASS: Final[dict[str, QueryModel]] = {
    uid: row for row in TABLE for uid in (row.find, row.move, row.get)
}


# TABLE: bytes of the extended negotiation of C-FIND (PS3.4 C.5.1.1.1), and whether we can.
_FIND_OPTIONS: Final = (
    ("relational queries", True),
    ("combined date-time matching", True),
    ("fuzzy semantic matching of person names", True),
    ("timezone query adjustment", True),
    ("enhanced multi-frame image conversion", False),
    ("empty value matching", True),
    ("multiple value matching", True),
)
_FUZZY: Final = 2


def find_options(model: QueryModel) -> tuple[tuple[str, bool], ...]:
    """Names that sound alike are found in studies and below, so the Patient Root has no such."""
    if model.root is Level.STUDY:
        return _FIND_OPTIONS
    return tuple((name, can and place != _FUZZY) for place, (name, can) in enumerate(_FIND_OPTIONS))


# Of C-MOVE and C-GET (C.5.2.1.1, C.5.3.1.1).
RETRIEVE_OPTIONS: Final = (
    ("relational retrieval", True),
    ("enhanced multi-frame image conversion", False),
)


def extension(options: tuple[tuple[str, bool], ...]) -> Callable[[bytes], bytes]:
    """The answer to Service-class-application-information: what is asked and what we can."""
    able = [can for _, can in options]

    def answer(asked: bytes) -> bytes:
        return bytes(int(wanted == 1 and can) for wanted, can in zip(asked, able, strict=False))

    return answer


def option(answer: bytes, place: int) -> bool:
    """Whether the option at `place` (from 0) was negotiated."""
    return answer[place : place + 1] == b"\1"
