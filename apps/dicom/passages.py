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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from apps.dicom.character_sets import DEFAULT, CharacterSet
from apps.dicom.element_shapes import SHAPES, Encoding, Shape
from apps.dicom.lessons import Learnt
from apps.dicom.series_layouts import SeriesLayout, layout_of

_SERIES_INSTANCE_UID: Final = b"\x20\x00\x0e\x00"
_LONGEST_UID: Final = 64
_LESSONS: Final = 8
_SERIES: Final = 32
_WORTH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Passage:
    """Elements as they stand in the file, and the JSON members and attributes they gave."""

    raw: bytes
    members: tuple[str, ...]
    tags: tuple[int, ...]
    attributes: Mapping[str, str]


class SeriesPassages:
    """What is known of one series. `starts` are its passages by the first bytes of each.

    `layout` is how instances look that have exactly the elements of the last lesson.

    A first lesson shows the elements, a second which of them stay as they are. Whenever a later
    instance has more of its own than expected, the next one is a lesson again, a few times at most.
    """

    def __init__(self) -> None:
        self.starts: dict[bytes, Passage] = {}
        self.layout: SeriesLayout | None = None
        self.character_set: CharacterSet = DEFAULT
        self._elements: dict[int, Learnt] = {}
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
        found: Sequence[Learnt],
        character_set: CharacterSet,
        encoding: Encoding,
        pixel_shape: Shape | None,
    ) -> None:
        """The top-level elements of one instance."""
        self._left -= 1
        if character_set != self.character_set:
            self.character_set = character_set
            self._elements.clear()
        known = self._elements
        self._varying.update(
            each.tag for each in found if each.tag in known and known[each.tag].raw != each.raw
        )
        self._due = not known
        self._elements = {each.tag: each for each in found}
        stable = known.keys() - self._varying
        key_length = SHAPES[encoding].key_length
        lasting = [each if each.lasting and each.tag in stable else None for each in found]
        self.starts = {each.raw[:key_length]: each for each in _joined(lasting)}
        self._expected = len(found) - sum(len(each.tags) for each in self.starts.values())
        self.layout = None
        if known:
            self.layout = layout_of(found, stable, character_set, encoding, pixel_shape)

    def learn_nothing(self) -> None:
        """The instance was no example: something in it gave a warning."""
        self._left -= 1


def _joined(elements: Iterable[Learnt | None]) -> Iterator[Passage]:
    """Runs of neighbours as one; what is cheaper to read again is left out."""
    for lasting, run in groupby(elements, key=lambda each: each is not None):
        members = [each for each in run if each is not None] if lasting else []
        raw = b"".join(each.raw for each in members)
        if len(members) > 1 or len(raw) > _WORTH_BYTES:
            yield Passage(
                raw,
                tuple(each.member for each in members),
                tuple(each.tag for each in members),
                dict(each.attribute for each in members if each.attribute),
            )


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
