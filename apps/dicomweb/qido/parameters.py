"""Query parameters of QIDO-RS (PS3.18 8.3.4) to a `Query`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote_plus

from pydicom.datadict import keyword_dict

from apps.dicom.attributes import BY_TAG, Entity, any_attribute
from apps.dicom.query import FUZZY_NAMES, Key, Level, Query
from apps.dicom.values import may_be_uid
from apps.dicom.whole_numbers import whole_number
from apps.errors import InvalidRequest

LARGEST_PAGE: Final = 10_000
"""More results than this are had page by page; the answer's Warning tells how many remain."""

_HEX = re.compile(r"^[0-9A-Fa-f]{8}$")
_TIMEZONE_OFFSET: Final = 0x00080201
_FIRST_BLOCK, _LAST = 0x10, 0xFF
_STUDY_UID: Final = 0x0020000D
_SERIES_UID: Final = 0x0020000E
# Parameters that say how to answer and are no keys; `accept` is read by negotiation.
_SETTINGS: Final = frozenset(
    {
        "accept",
        "charset",
        "emptyvaluematching",
        "explain",
        "fuzzymatching",
        "includefield",
        "limit",
        "multiplevaluematching",
        "offset",
    }
)


@dataclass(frozen=True, slots=True)
class Search:
    """A query and what the answer has to say about it; `said` are its keys as they were sent."""

    query: Query
    limit: int
    warnings: tuple[str, ...]
    asked_tags: frozenset[int]
    said: Mapping[str, str]
    explain: bool = False


def search_from(
    query_string: str,
    level: Level,
    always: frozenset[int] = frozenset(),
    study: str | None = None,
    series: str | None = None,
    *,
    is_indexed: Callable[[int], bool] = lambda _tag: False,
) -> Search:
    """Reads the URL's query and path. Raises InvalidRequest, naming the parameters at fault.

    `always` are the tags that answers of this level hold whatever is asked; `is_indexed` tells of a
    private tag whether it is known without its creator.
    """
    pairs = split_parameters(query_string)
    settings = _Settings(pairs)
    given, offset = _keys(pairs, level, is_indexed)
    keys = settings.agreed(given)
    asked = frozenset(path[0] for path in (*settings.include, *(key.path for key in keys)))
    keys += _keys_of_path(keys, study, series)
    limit = min(settings.limit if settings.limit is not None else LARGEST_PAGE, LARGEST_PAGE)
    query = Query(
        level=level,
        keys=tuple(keys),
        include=frozenset(path[0] for path in settings.include) | always,
        include_all=settings.include_all,
        combined_datetime=True,
        timezone_offset=offset,
        fuzzy_names=settings.fuzzy,
        limit=limit,
        offset=settings.offset,
    )
    everything = frozenset(BY_TAG) if settings.include_all else frozenset()
    said = {name: value for name, value in pairs if name.lower() not in _SETTINGS}
    warnings = _literal_names(keys) if settings.fuzzy else ()
    return Search(query, limit, warnings, asked | everything, said, settings.explain)


def _keys_of_path(given: Sequence[Key], study: str | None, series: str | None) -> list[Key]:
    named = [(_STUDY_UID, study), (_SERIES_UID, series)]
    keys = []
    for tag, uid in ((tag, uid) for tag, uid in named if uid is not None):
        key = Key((tag,), (uid,))
        if not may_be_uid(uid) or key.universal:
            raise InvalidRequest("The path holds something that is no UID.")
        _refuse_second(given, tag)
        keys.append(key)
    return keys


@dataclass(frozen=True, slots=True)
class Loose:
    """A search without levels: any attribute is a key, for objects that belong to no study."""

    keys: tuple[Key, ...]
    include: tuple[Key, ...]
    everything: bool
    limit: int | None
    offset: int
    said: Mapping[str, str]
    fuzzy: bool = False
    zone: str = ""


def loose_search(query_string: str) -> Loose:
    """Reads the URL's query for a service without levels. Raises InvalidRequest."""
    pairs = split_parameters(query_string)
    settings = _Settings(pairs)
    said = {name: value for name, value in pairs if name.lower() not in _SETTINGS}
    keys = settings.agreed(key_of(name, value) for name, value in said.items())
    return Loose(
        keys=tuple(key for key in keys if key.path != (_TIMEZONE_OFFSET,)),
        include=tuple(Key(path, ()) for path in settings.include),
        everything=settings.include_all,
        limit=settings.limit,
        offset=settings.offset,
        said=said,
        fuzzy=settings.fuzzy,
        zone=_timezone(keys),
    )


def _keys(
    pairs: Iterable[tuple[str, str]], level: Level, is_indexed: Callable[[int], bool]
) -> tuple[list[Key], str]:
    """The matching keys, and the offset in which their dates and times are meant."""
    given = [key_of(name, value) for name, value in pairs if name.lower() not in _SETTINGS]
    keys = _with_creators(given, is_indexed)
    _refuse_lower_levels(keys, level)
    return [key for key in keys if key.path != (_TIMEZONE_OFFSET,)], _timezone(keys)


def split_parameters(query_string: str) -> list[tuple[str, str]]:
    """Names and values in order, percent-decoded as UTF-8; `+` is a space (PS3.18 8.3.4.1)."""
    pairs: list[tuple[str, str]] = []
    for piece in query_string.split("&"):
        name, _, value = piece.partition("=")
        if not name:
            continue
        if "%00" in piece or "\0" in piece:
            raise InvalidRequest("No value holds a NUL.", offending=(name[:64],))
        try:
            pairs.append(
                (unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict"))
            )
        except UnicodeDecodeError:
            raise InvalidRequest(
                "Query parameters must be UTF-8, percent-encoded.", offending=(name[:64],)
            ) from None
    return pairs


class _Settings:
    """The parameters that are no keys."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.limit: int | None = None
        self.offset = 0
        self.include: list[tuple[int, ...]] = []
        self.include_all = False
        self.fuzzy = self.empty = self.every = False
        self.explain = False
        for name, value in pairs:
            self._take(name.lower(), value)

    def _take(self, name: str, value: str) -> None:
        if name == "limit":
            self.limit = whole_number(value.strip(), name)
        elif name == "offset":
            self.offset = whole_number(value.strip(), name)
        elif name == "includefield":
            for field in filter(None, (each.strip() for each in value.split(","))):
                self._include(field)
        elif name == "explain":
            self.explain = value in {"1", "true"}
        elif name == "fuzzymatching":
            self.fuzzy = _is_true(name, value)
        elif name == "emptyvaluematching":
            self.empty = _is_true(name, value)
        elif name == "multiplevaluematching":
            self.every = _is_true(name, value)

    def agreed(self, keys: Iterable[Key]) -> list[Key]:
        """The keys, with what two quotation marks and several values are to mean in them."""
        return [replace(key, empty=self.empty, every=self.every) for key in keys]

    def _include(self, field: str) -> None:
        """`all` among other fields makes them superfluous, and is taken so (QID-06)."""
        if field.lower() == "all":
            self.include_all = True
            return
        self.include.append(path_of(field))


def _is_true(name: str, value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        raise InvalidRequest(f"{name} must be true or false.", offending=(name,))
    return value.lower() == "true"


def _literal_names(keys: Iterable[Key]) -> tuple[str, ...]:
    """The admission for names that cannot be found by sound (PS3.18 8.3.4.2)."""
    named = [BY_TAG[key.path[0]] for key in keys if len(key.path) == 1 and key.path[0] in BY_TAG]
    literal = [
        each.keyword for each in named if each.vr == "PN" and each.keyword not in FUZZY_NAMES
    ]
    if not literal:
        return ()
    sentence = f"The fuzzymatching parameter is not supported for {', '.join(literal)}."
    return (f"{sentence} Only literal matching has been performed.",)


def path_of(attribute_id: str) -> tuple[int, ...]:
    """`PatientName`, `00100010` or a dotted path of either as tags (PS3.18 8.3.4.1)."""
    path: list[int] = []
    for name in attribute_id.split("."):
        if name and name in keyword_dict:
            path.append(keyword_dict[name])
        elif _HEX.match(name):
            path.append(int(name, 16))
        else:
            raise InvalidRequest(
                f"{attribute_id[:64]} is no attribute: give a keyword or eight hexadecimal digits.",
                offending=(attribute_id[:64],),
            )
    return tuple(path)


def key_of(name: str, value: str) -> Key:
    """One parameter as a matching key (PS3.18 8.3.4.1). Raises InvalidRequest."""
    path = path_of(name)
    attribute = any_attribute(path[-1])
    vr = attribute.vr if attribute else ""
    if vr == "UI":
        values = tuple(filter(None, (each.strip() for each in re.split(r"[,\\]", value))))
        if not all(may_be_uid(each) for each in values if each != "*" and values != ('""',)):
            raise InvalidRequest(f"{name} is no list of UIDs.", offending=(name,))
        return Key(path, values)
    if attribute is not None and attribute.keyword == "ModalitiesInStudy":
        return Key(path, tuple(filter(None, re.split(r"[,\\]", value))))
    if vr == "DT" or path == (_TIMEZONE_OFFSET,):
        # A `+` that was not percent-encoded has become a space.
        value = re.sub(r" (?=\d{4})", "+", value)
    return Key(path, (value,) if value else ())


def _with_creators(keys: Iterable[Key], is_indexed: Callable[[int], bool]) -> list[Key]:
    """Private keys with the creator that another key names for their block (QID-08)."""
    given = list(keys)
    creators: dict[int, str] = {}
    for key in given:
        if len(key.path) == 1 and key.tag >> 16 & 1 and _FIRST_BLOCK <= key.tag & 0xFFFF <= _LAST:
            creators[key.tag] = "\\".join(key.values)
    used = set()
    kept = []
    for key in given:
        if key.tag in creators and len(key.path) == 1:
            continue
        creator = ""
        if len(key.path) == 1 and key.tag >> 16 & 1:
            block = key.tag & 0xFFFF0000 | key.tag >> 8 & 0xFF
            creator = creators.get(block, "")
            used.add(block)
            if not creator and not is_indexed(key.tag):
                raise InvalidRequest(
                    f"A private key needs its Private Creator ({block:08X}) as another key.",
                    offending=(f"{key.tag:08X}",),
                )
        kept.append(replace(key, private_creator=creator))
    alone = tuple(f"{tag:08X}" for tag in creators if tag not in used)
    if alone:
        raise InvalidRequest("A Private Creator alone is no key.", offending=alone)
    return kept


def _timezone(keys: Iterable[Key]) -> str:
    """The offset in which the query's dates and times are meant (QID-10)."""
    return next(
        (key.values[0] for key in keys if key.path == (_TIMEZONE_OFFSET,) and key.values), ""
    )


_ORDER = (Entity.PATIENT, Entity.STUDY, Entity.SERIES, Entity.INSTANCE)


def _refuse_lower_levels(keys: Iterable[Key], level: Level) -> None:
    """A key of a level below the one searched has no meaning there (QID-15)."""
    lower = _ORDER[_ORDER.index(level.entity) + 1 :]
    offending = [
        BY_TAG[key.path[0]].keyword
        for key in keys
        if key.path[0] in BY_TAG and BY_TAG[key.path[0]].entity in lower
    ]
    if offending:
        raise InvalidRequest(
            f"{', '.join(offending)} cannot be a key at this level.", offending=tuple(offending)
        )


def _refuse_second(keys: Iterable[Key], tag: int) -> None:
    if any(key.path == (tag,) for key in keys):
        keyword = BY_TAG[tag].keyword
        raise InvalidRequest(f"{keyword} is in the path already.", offending=(keyword,))
