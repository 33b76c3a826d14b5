"""Query, Key and the matching types of PS3.4 C.2.2.2: what a question means, for every door."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from apps.dicom.attributes import (
    BY_TAG,
    STORED,
    TABLE,
    TIME_OF,
    UNIQUE_KEYS,
    Attribute,
    Entity,
    any_attribute,
)
from apps.dicom.criteria import (
    Between,
    Criterion,
    Moment,
    Names,
    Text,
    Uids,
    Universal,
    check_time,
    criterion_of,
    is_universal,
)
from apps.dicom.name_sounds import key_words
from apps.dicom.values import offset_minutes
from apps.errors import InvalidRequest


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

    @property
    def above(self) -> tuple[Entity, ...]:
        """The entities above this one, from the top."""
        return _ORDER[: _ORDER.index(self.entity)]


_ORDER = tuple(Entity)


@dataclass(frozen=True, slots=True)
class Key:
    """One matching key: a path of tags (more than one inside sequences) and its raw text value.

    `values` holds the UID list or the single value as text, already decoded from its character
    set; an empty tuple or one empty text is universal matching (PS3.4 C.2.2.2.3). `empty`: two
    quotation marks ask for what has no value; `every`: all of several values must be there.
    """

    path: tuple[int, ...]
    values: tuple[str, ...]
    private_creator: str = ""
    empty: bool = False
    every: bool = False

    @property
    def tag(self) -> int:
        """The last tag of the path."""
        return self.path[-1]

    @property
    def universal(self) -> bool:
        """True for zero-length keys and for `*` alone (PS3.4 C.2.2.2.4)."""
        return is_universal(self.values)


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
    to be read and those of the answers to be given, such as `+0100`, empty for none; what is
    stored without an offset is taken to be in the query's. `include` adds tags to the answers;
    `only_asked` leaves out of them what PS3.18 demands and nobody asked for, but unique keys.
    `relational` and `fuzzy_names` tell what the door negotiated: it calls `check_hierarchical`
    where not relational; `fuzzy_names` adds to what matches literally the names that sound alike
    (`apps.dicom.name_sounds`), for the attributes in `FUZZY_NAMES`.
    """

    level: Level
    keys: tuple[Key, ...] = ()
    include: frozenset[int] = field(default_factory=frozenset)
    include_all: bool = False
    combined_datetime: bool = False
    timezone_offset: str = ""
    fuzzy_names: bool = False
    relational: bool = True
    only_asked: bool = False
    ordering: tuple[Ordering, ...] = ()
    limit: int | None = None
    offset: int = 0


FUZZY_NAMES = frozenset({"PatientName", "ReferringPhysicianName", "NameOfPhysiciansReadingStudy"})
"""Names of studies, which can be found by their sound; others match literally."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A query, read and checked: what each part of the archive has to answer.

    `criteria` are for columns, in table order and without universal ones. `stored` keys are for the
    stored DICOM JSON (`apps.dicom.stored_keys`), also those that only return. `unsupported` keys
    are ignored in matching, which a door has to admit (C-FIND: FF01). `answered` are the columns
    an answer holds.
    """

    level: Level
    criteria: tuple[tuple[Attribute, Criterion], ...]
    stored: tuple[Key, ...]
    unsupported: tuple[Key, ...]
    answered: tuple[Attribute, ...]
    offset: str


# They describe the request or the answer and are never matched (PS3.4 C.4.1.1.3, PS3.18 8.3.4).
NEVER_MATCHED = frozenset({0x00080005, 0x00080052, 0x00080053, 0x00080054, 0x00080056, 0x00080201,
                            0x00081190, 0x00880130, 0x00880140})  # fmt: skip
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


def plan(query: Query) -> Plan:
    """Reads and checks all keys; raises InvalidRequest, `offending` naming the tags."""
    offset = query.timezone_offset
    if offset and offset_minutes(offset) is None:
        raise InvalidRequest("The timezone offset is not +ZZXX or -ZZXX.", offending=("00080201",))
    _check_once(query.keys)
    found: dict[Attribute, Criterion] = {}
    stored: list[Key] = []
    unsupported: list[Key] = []
    for key in query.keys:
        if key.tag in NEVER_MATCHED and len(key.path) == 1:
            continue
        attribute = BY_TAG.get(key.tag) if len(key.path) == 1 and not key.private_creator else None
        if attribute is not None:
            found[attribute] = _read(query, attribute, key)
        elif is_stored(query.level, key):
            stored.append(key)
        else:
            unsupported.append(key)
    given = {key.path[0] for key in query.keys}
    extra = (Key((tag,), ()) for tag in sorted(query.include - given - BY_TAG.keys()))
    stored += [key for key in extra if is_stored(query.level, key)]
    criteria: dict[Attribute, Criterion] = {
        name: each for name, each in found.items() if not isinstance(each, Universal)
    }
    if query.combined_datetime or offset:
        combined = query.combined_datetime
        criteria = merged_moments(criteria, _PAIRS, combined=combined, offset=offset)
    check_times(criteria)
    return Plan(
        query.level,
        tuple((each, criteria[each]) for each in TABLE if each in criteria),
        tuple(stored),
        tuple(unsupported),
        _answered(query, frozenset(found)),
        offset,
    )


def _read(query: Query, attribute: Attribute, key: Key) -> Criterion:
    criterion = criterion_of(attribute, key.values, empty=key.empty, every=key.every)
    fuzzy = query.fuzzy_names and query.level is not Level.PATIENT
    if fuzzy and isinstance(criterion, Names) and attribute.keyword in FUZZY_NAMES:
        return replace(criterion, words=key_words(" ".join(key.values)))
    return criterion


def check_times(criteria: dict[Attribute, Criterion]) -> None:
    """Only a combined range of dates and times may end at an earlier hour than it begins."""
    for attribute, criterion in criteria.items():
        if isinstance(criterion, Moment) and criterion.times is not None:
            if not criterion.combined:
                check_time(criterion.time, criterion.times)
        elif isinstance(criterion, Between) and attribute.vr == "TM":
            check_time(attribute, criterion)


def _check_once(keys: tuple[Key, ...]) -> None:
    seen: set[tuple[tuple[int, ...], str]] = set()
    for key in keys:
        if (key.path, key.private_creator) in seen:
            raise InvalidRequest("A key may be given only once.", offending=(f"{key.path[0]:08X}",))
        seen.add((key.path, key.private_creator))


def is_stored(level: Level, key: Key) -> bool:
    """True for a key that can be answered from stored DICOM JSON at this level."""
    if key.private_creator:
        # Above the instance there is no telling which of its instances would speak for it.
        return level is Level.INSTANCE and len(key.path) == 1
    attributes = [each for each in map(any_attribute, key.path) if each is not None]
    if len(attributes) < len(key.path) or attributes[-1].vr in _BYTES:
        return False
    if key.path[0] in NEVER_MATCHED or any(each.vr != "SQ" for each in attributes[:-1]):
        return False
    first = attributes[0]
    if level is Level.INSTANCE:
        return True
    owner = STORED.get(first.keyword)
    return owner is not None and (owner is level.entity or owner in level.above)


def merged_moments(
    criteria: dict[Attribute, Criterion],
    pairs: tuple[tuple[Attribute, Attribute], ...],
    *,
    combined: bool,
    offset: str,
) -> dict[Attribute, Criterion]:
    """Dates and times that belong together made one criterion, kept under the date."""
    merged = dict(criteria)
    for date, time in pairs:
        dates, times = merged.get(date), merged.get(time)
        if not isinstance(dates, Between | None) or not isinstance(times, Between | None):
            continue  # what has no value belongs to nothing
        if dates is None and times is None:
            continue
        together = combined and _one_interval(dates, times)
        if not together and not offset:
            continue
        merged.pop(time, None)
        merged[date] = Moment(time, dates, times, together, offset)
    return merged


_PAIRS = tuple(
    (date, time) for date in TABLE for time in TABLE if TIME_OF.get(date.keyword) == time.keyword
)


def _one_interval(dates: Between | None, times: Between | None) -> bool:
    """True where both specify the same form of range (PS3.4 C.2.2.2.5.4)."""
    if dates is None or times is None or times.single:
        return False
    return dates.form == times.form


def _answered(query: Query, keys: frozenset[Attribute]) -> tuple[Attribute, ...]:
    """Asked for, plus what PS3.18 requires of answers at this level and above."""
    entities = {query.level.entity, *query.level.above}
    unique = {UNIQUE_KEYS[entity] for entity in entities}

    def wanted(attribute: Attribute) -> bool:
        if attribute.entity not in entities:
            return False
        asked = attribute in keys or attribute.tag in query.include or query.include_all
        demanded = attribute.ps3_18 == "R" and not query.only_asked
        return asked or demanded or attribute.keyword in unique

    return tuple(attribute for attribute in TABLE if wanted(attribute))


def check_hierarchical(query: Query, root: Level = Level.STUDY) -> None:
    """Holds a query to the hierarchical model (PS3.4 C.4.1.2.1): call it unless relational.

    Each level above needs its unique key with a single value; keys of other levels may not narrow.
    In the Study Root patient attributes belong to the study. Raises InvalidRequest, `offending`
    naming the tags, as hexadecimal text.
    """
    own = _own_entities(query.level, root)
    above = [
        entity
        for entity in query.level.above
        if entity not in own and not (root is Level.STUDY and entity is Entity.PATIENT)
    ]
    needed = {UNIQUE_KEYS[entity] for entity in above}
    offending: list[str] = []
    for key in query.keys:
        attribute = BY_TAG.get(key.tag) if len(key.path) == 1 else None
        if attribute is None or attribute.entity in own:
            continue
        if attribute.keyword in needed:
            needed.discard(attribute.keyword)
            if not _is_single(criterion_of(attribute, key.values)):
                offending.append(attribute.tag_hex)
        elif not key.universal:
            offending.append(attribute.tag_hex)
    offending += [each.tag_hex for each in TABLE if each.keyword in needed]
    if offending:
        raise InvalidRequest(
            "Without relational queries each level above needs its unique key with one value, "
            "and no key of another level may narrow the search.",
            offending=tuple(offending),
        )


def _own_entities(level: Level, root: Level) -> set[Entity]:
    study_root = root is Level.STUDY and level is Level.STUDY
    return {Entity.PATIENT, Entity.STUDY} if study_root else {level.entity}


def _is_single(criterion: Criterion) -> bool:
    if isinstance(criterion, Uids):
        return len(criterion.uids) == 1
    if isinstance(criterion, Text):
        return len(criterion.patterns) == 1 and not set("*?") & set(criterion.patterns[0])
    return False
