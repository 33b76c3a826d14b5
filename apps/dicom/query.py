"""Query, Key and the matching types of PS3.4 C.2.2.2: what a question means, for every door."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from apps.dicom.attributes import Entity


class Level(Enum):
    """Query/Retrieve Level (0008,0052)."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    INSTANCE = "IMAGE"

    @property
    def entity(self) -> Entity:
        """The entity whose rows answer at this level."""
        return Entity(self.value)


@dataclass(frozen=True, slots=True)
class Key:
    """One matching key: a path of tags (more than one inside sequences) and its raw text value.

    `values` holds the UID list or the single value as text, already decoded from its character
    set; an empty tuple or one empty text is universal matching (PS3.4 C.2.2.2.3).
    """

    path: tuple[int, ...]
    values: tuple[str, ...]
    private_creator: str = ""

    @property
    def tag(self) -> int:
        """The last tag of the path."""
        return self.path[-1]

    @property
    def universal(self) -> bool:
        """True for zero-length keys and for `*` alone (PS3.4 C.2.2.2.4)."""
        return all(value in {"", "*"} for value in self.values)


@dataclass(frozen=True, slots=True)
class Ordering:
    """One sort key; `keyword` is a row of the attribute table or a listed extra."""

    keyword: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A question to the archive, independent of the door it came by.

    `combined_datetime`: date and time keys form one interval (always in QIDO-RS, negotiated in
    C-FIND; PS3.4 C.2.2.2.5.4). `timezone_offset`: offset in which dates and times of the query are
    to be read, such as `+0100`, empty for none. `after` resumes behind a cursor from a former page.
    """

    level: Level
    keys: tuple[Key, ...] = ()
    include: frozenset[int] = field(default_factory=frozenset)
    include_all: bool = False
    combined_datetime: bool = False
    timezone_offset: str = ""
    fuzzy_names: bool = False
    relational: bool = True
    ordering: tuple[Ordering, ...] = ()
    limit: int | None = None
    offset: int = 0
