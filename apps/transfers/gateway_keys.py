"""A `Query` as the C-FINDs that answer it, level by level (PS3.4 C.4.1.2.1, C.6.2, Study Root)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from apps.dicom.attributes import BY_TAG, UNIQUE_KEYS, Attribute, Entity, any_attribute
from apps.dicom.criteria import Criterion, Moment
from apps.dicom.query import NEVER_MATCHED, Key, Level, Query, plan
from apps.errors import InvalidRequest

LEVELS: Final = (Level.STUDY, Level.SERIES, Level.INSTANCE)
# The length of an element of VR UI, LO and their like has 16 bits (PS3.5 7.1.2).
_LONGEST_KEY: Final = 0xFFFE
# What no C-FIND returns as text.
_NO_TEXT: Final = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN"})


@dataclass(slots=True)
class LevelKeys:
    """What is asked at one level: matching keys, what is to be returned, and how answers match.

    `matched` and `returned` are by tag. `criteria` check what comes: a peer may ignore a key
    (PS3.4 C.4.1.1.3.2).
    """

    unique: int
    matched: dict[int, str] = field(default_factory=dict)
    returned: set[int] = field(default_factory=set)
    criteria: tuple[tuple[Attribute, Criterion], ...] = ()

    @property
    def identifier(self) -> Mapping[int, str]:
        """As a C-FIND asks it."""
        return {**dict.fromkeys(self.returned, ""), self.unique: "", **self.matched}

    @property
    def only_unique(self) -> str:
        """The one UID this level is narrowed to where nothing else narrows it, else `""`."""
        uid = self.matched.get(self.unique, "")
        single = uid and not set("\\*?") & set(uid)
        return uid if single and self.matched.keys() == {self.unique} else ""


def keys_by_level(query: Query) -> dict[Level, LevelKeys]:
    """From the study down to the query's level.

    Raises InvalidRequest, naming the tags, for what another archive cannot be asked or what could
    not be checked in its answers.
    """
    if query.timezone_offset:
        raise InvalidRequest(
            "Another archive cannot be asked in a time zone.", offending=("00080201",)
        )
    asked = plan(query)
    levels = LEVELS[: LEVELS.index(query.level) + 1]
    found = {level: LevelKeys(BY_TAG_OF[level]) for level in levels}
    combined = {
        criterion.time.tag
        for _, criterion in asked.criteria
        if isinstance(criterion, Moment) and criterion.combined
    }
    for attribute in asked.answered:
        found[_level(attribute)].returned.add(attribute.tag)
    for key in query.keys:
        _take(found, key, combined)
    for tag in query.include - BY_TAG.keys():
        _return(found, tag)
    for level in levels:
        found[level].criteria = tuple(each for each in asked.criteria if _level(each[0]) is level)
    return found


BY_TAG_OF: Final = {
    level: next(tag for tag, each in BY_TAG.items() if each.keyword == UNIQUE_KEYS[level.entity])
    for level in LEVELS
}


def is_below(answer: Mapping[int, str], above: Mapping[int, str]) -> bool:
    """False for an answer that names another study or series than was asked for.

    A peer may ignore even these keys, and nothing of another patient may pass for this one's.
    """
    return all(answer.get(tag, "").strip(" \0") in {"", uid} for tag, uid in above.items())


def _level(attribute: Attribute) -> Level:
    """In the Study Root patients are attributes of studies."""
    entity = Entity.STUDY if attribute.entity is Entity.PATIENT else attribute.entity
    return Level(entity.value)


def _take(found: dict[Level, LevelKeys], key: Key, combined: set[int]) -> None:
    if key.tag in NEVER_MATCHED and len(key.path) == 1:
        return
    attribute = BY_TAG.get(key.tag) if len(key.path) == 1 and not key.private_creator else None
    if attribute is None:
        if not key.universal:
            name = ".".join(f"{tag:08X}" for tag in key.path)
            raise InvalidRequest(f"Another archive cannot be asked by {name}.", offending=(name,))
        if len(key.path) == 1 and not key.private_creator:
            _return(found, key.tag)
        return
    level = found[_level(attribute)]
    text = _text(attribute, key)
    if text and attribute.tag not in combined:
        level.matched[attribute.tag] = text
    else:
        level.returned.add(attribute.tag)


def _text(attribute: Attribute, key: Key) -> str:
    """`""` for what the answers alone are checked by: only UIDs match as a list (C.2.2.2.2)."""
    if key.universal or (len(key.values) > 1 and attribute.vr != "UI"):
        return ""
    text = "\\".join(key.values)
    if len(text) > _LONGEST_KEY:
        raise InvalidRequest("That list is too long.", offending=(attribute.keyword,))
    return text


def _return(found: dict[Level, LevelKeys], tag: int) -> None:
    """What has no column here may have a value there; what cannot come as text is left out."""
    attribute = any_attribute(tag)
    if attribute is None or attribute.vr in _NO_TEXT or tag in NEVER_MATCHED:
        return
    level = found.get(_level(attribute))
    if level is not None:
        level.returned.add(tag)
