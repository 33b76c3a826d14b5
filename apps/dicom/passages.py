"""What the instances of a series have in common is understood once.

The headers of a series' instances are the same bytes but for a handful of elements. A passage is a
run of whole top-level elements: their bytes, and what a scan made of them. Where a later instance
has the same bytes the result is taken over; everything else is read element by element as ever.

A passage holds only what follows from its own bytes and the character set: no element whose VR was
settled by what stood before it, none that changes how others are read, none that gave a warning.
So a scan gives the same with and without this memory; it only costs less.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Final

from apps.dicom.character_sets import DEFAULT, CharacterSet
from apps.dicom.element_shapes import CHARACTER_SET, PIXEL_REPRESENTATION_TAG, is_creator

_SERIES_INSTANCE_UID: Final = b"\x20\x00\x0e\x00"
_LONGEST_UID: Final = 64
_BULK_GROUPS: Final = 0x7FE00000
_LESSONS: Final = 8
_SERIES: Final = 32
_WORTH_BYTES: Final = 32
MOST_BYTES: Final = 65536
"""So much of the beginning of a data set is learnt at most."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Elements as they stand in the file, and the JSON members and attributes they gave."""

    raw: bytes
    members: tuple[str, ...]
    tags: tuple[int, ...]
    attributes: Mapping[str, str]


@dataclass(slots=True)
class Lesson:
    """Where each top-level element of one scan ended, and whether its own bytes decided alone.

    `state` is whatever else can decide; it moves where it did.
    """

    start: int
    state: object
    ends: list[int] = field(default_factory=list)
    alone: list[bool] = field(default_factory=list)

    def ended(self, end: int, state: object) -> None:
        """An element gave a member."""
        self.ends.append(end)
        self.alone.append(state == self.state)
        self.state = state


class SeriesPassages:
    """What is known of one series. `starts` are its passages by the first bytes of each.

    A first lesson shows the elements, a second which of them stay as they are. Whenever a later
    instance has more of its own than expected, the next one is a lesson again, a few times at most.
    """

    def __init__(self) -> None:
        self.starts: dict[bytes, Passage] = {}
        self.character_set: CharacterSet = DEFAULT
        self._elements: dict[int, Passage] = {}
        self._varying: set[int] = set()
        self._expected = 0
        self._due = True
        self._left = _LESSONS

    @property
    def lesson_due(self) -> bool:
        """Whether the next instance is to be read in full, and learnt from."""
        return self._due and self._left > 0

    def read(self, own: int) -> None:
        """An instance was read with the help of `starts`; `own` members came from no passage."""
        if own > self._expected:
            self._due = True

    def learn(
        self,
        elements: Iterable[tuple[int, Passage | None]],
        character_set: CharacterSet,
        key_length: int,
    ) -> None:
        """The top-level elements of one instance by tag; None for one that must not be learnt."""
        self._left -= 1
        found = list(elements)
        if character_set != self.character_set:
            self.character_set = character_set
            self._elements.clear()
        known = self._elements
        self._varying.update(
            tag for tag, each in found if each and tag in known and known[tag].raw != each.raw
        )
        self._due = not known
        self._elements = {tag: each for tag, each in found if each}
        stable = known.keys() - self._varying
        lasting = [each if tag in stable else None for tag, each in found]
        self.starts = {each.raw[:key_length]: each for each in _joined(lasting)}
        self._expected = len(found) - sum(len(each.tags) for each in self.starts.values())

    def learn_nothing(self) -> None:
        """The instance was no example: something in it gave a warning."""
        self._left -= 1


def _joined(elements: Iterable[Passage | None]) -> Iterator[Passage]:
    """Runs of neighbours as one; what is cheaper to read again is left out."""
    for lasting, run in groupby(elements, key=lambda each: each is not None):
        members = [each for each in run if each is not None] if lasting else []
        raw = b"".join(each.raw for each in members)
        if len(members) > 1 or len(raw) > _WORTH_BYTES:
            yield Passage(
                raw,
                tuple(member for each in members for member in each.members),
                tuple(tag for each in members for tag in each.tags),
                {key: text for each in members for key, text in each.attributes.items()},
            )


def elements_of(
    lesson: Lesson,
    data: bytes,
    tags: list[int],
    members: list[str],
    attributes: Mapping[int, tuple[str, str]],
) -> list[tuple[int, Passage | None]] | None:
    """What `SeriesPassages.learn` takes; None where tags do not ascend.

    `data` begins at the lesson's start; `attributes` are keyword and text by tag.
    """
    if any(one >= next_one for one, next_one in pairwise(tags)):
        return None
    found: list[tuple[int, Passage | None]] = []
    begin = 0
    for tag, member, end, alone in zip(tags, members, lesson.ends, lesson.alone, strict=True):
        raw = data[begin : end - lesson.start]
        whole = len(raw) == end - lesson.start - begin
        begin = end - lesson.start
        passage = None
        if alone and whole and CHARACTER_SET < tag < _BULK_GROUPS and _leaves_the_rest(tag):
            kept = attributes.get(tag)
            passage = Passage(raw, (member,), (tag,), dict([kept]) if kept else {})
        found.append((tag, passage))
    return found


def _leaves_the_rest(tag: int) -> bool:
    """Whether elements behind this one are read the same without it."""
    return tag != PIXEL_REPRESENTATION_TAG and not is_creator(tag)


class PassageMemory:
    """The series read last, each by the bytes of its Series Instance UID: a hint, not a proof."""

    def __init__(self) -> None:
        self._series: OrderedDict[bytes, SeriesPassages | None] = OrderedDict()

    def series_in(self, head: bytes) -> SeriesPassages | None:
        """What is known of the series whose UID stands in these bytes.

        None where there is none, and at first sight: many a series has one instance only.
        """
        at = head.find(_SERIES_INSTANCE_UID)
        if not 0 <= at < len(head) - 8:
            return None
        # Explicit VR says `UI` and a length of 16 bits, implicit VR one of 32; 64 characters hold.
        length = head[at + 6 if head[at + 4 : at + 6] == b"UI" else at + 4]
        key = head[at : at + 8 + min(length, _LONGEST_UID)]
        seen = key in self._series
        series = self._series.get(key)
        if seen and series is None:
            series = SeriesPassages()
        self._series[key] = series
        self._series.move_to_end(key)
        if len(self._series) > _SERIES:
            self._series.popitem(last=False)
        return series
