"""What one full scan shows of the elements of a series: their bytes, and what was made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from apps.dicom.element_shapes import CHARACTER_SET, PIXEL_REPRESENTATION_TAG, is_creator

MOST_BYTES: Final = 65536
"""So much of the beginning of a data set is learnt at most."""
BULK_GROUPS: Final = 0x7FE00000
_HEADER_BYTES: Final = 12


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


@dataclass(frozen=True, slots=True)
class Learnt:
    """A top-level element: its bytes, skipped ones before it included, and what they gave.

    `alone` says that nothing else decided how it was read, `lasting` also that nothing else is read
    differently because of it. Of Pixel Data and what stands beside it `raw` is the header. All is
    empty where the element was too long to be learnt.
    """

    tag: int
    raw: bytes
    member: str
    attribute: tuple[str, str] | None
    alone: bool

    @property
    def lasting(self) -> bool:
        return (
            self.alone
            and bool(self.raw)
            and CHARACTER_SET < self.tag < BULK_GROUPS
            and not decides_for_others(self.tag)
        )


def decides_for_others(tag: int) -> bool:
    """Whether elements behind this one may be read differently without it."""
    return tag in (CHARACTER_SET, PIXEL_REPRESENTATION_TAG) or is_creator(tag)


def learnt_from(
    lesson: Lesson,
    data: bytes,
    tags: list[int],
    members: list[str],
    attributes: Mapping[int, tuple[str, str]],
) -> list[Learnt] | None:
    """The elements of one scan; None where tags do not ascend.

    `data` begins at the lesson's start; `attributes` are keyword and text by tag.
    """
    if any(one >= next_one for one, next_one in pairwise(tags)):
        return None
    found: list[Learnt] = []
    begin = 0
    for tag, member, end, alone in zip(tags, members, lesson.ends, lesson.alone, strict=True):
        length = end - lesson.start - begin if tag < BULK_GROUPS else _HEADER_BYTES
        raw = data[begin : begin + length]
        if len(raw) == length:
            found.append(Learnt(tag, raw, member, attributes.get(tag), alone))
        else:
            found.append(Learnt(tag, b"", "", None, alone))  # its text may be of megabytes
        begin = end - lesson.start
    return found
