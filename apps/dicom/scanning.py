"""The one pass over an object that gives all we ever need to know about it.

It yields the indexed attributes, the finished DICOM JSON and the frame table in one walk over raw
elements (`apps.dicom.elements`); Pixel Data is never loaded. What is odd but clear becomes a
warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import lt
from typing import Final, Protocol

from apps.dicom import attributes as attributes_table
from apps.dicom import json_model, uids
from apps.dicom.character_sets import CharacterSet, character_set
from apps.dicom.deflated import InflatedSource
from apps.dicom.element_shapes import (
    CHARACTER_SET,
    ITEM,
    ITEM_END,
    PASSAGE,
    PIXELS,
    SEQUENCE,
    SEQUENCE_END,
    Encoding,
    Shape,
    named,
)
from apps.dicom.elements import BULK_LIMIT, ElementWalk
from apps.dicom.frames import (
    Fragments,
    FrameTable,
    RandomAccess,
    encapsulated_frames,
    native_frames,
)
from apps.dicom.json_model import ValueContext, Writer
from apps.dicom.lessons import MOST_BYTES, Lesson, learnt_from
from apps.dicom.level_attributes import LEVEL_TAGS
from apps.dicom.part10 import FileMeta
from apps.dicom.passages import Passage, SeriesPassages
from apps.dicom.pixel_layouts import PixelLayout
from apps.dicom.series_layouts import SeriesLayout
from apps.dicom.sop_classes import sop_class
from apps.dicom.transfer_syntaxes import TransferSyntax
from apps.errors import UnidentifiedInstance, UnreadableInstance

_EXTENDED_OFFSETS: Final = 0x7FE00001
_LARGEST_OFFSET_TABLE: Final = 64 * 1024 * 1024
JSON_BUDGET: Final = 64 * 1024 * 1024
_IDENTITY: Final = (
    ("SOPInstanceUID", "SOP Instance UID"),
    ("StudyInstanceUID", "Study Instance UID"),
    ("SeriesInstanceUID", "Series Instance UID"),
)


@dataclass(frozen=True, slots=True)
class InstanceScan:
    """What one scan found.

    `attributes` holds text by keyword for the indexed attributes of the top level, several values
    joined by backslashes, decoded and without padding. `json` are the pieces of the DICOM JSON
    object between which the service's base URL belongs. `of_levels` is a JSON object of the members
    that describe the study or the series (`level_attributes`), `""` without any. `frames` is None
    without Pixel Data.
    """

    meta: FileMeta
    transfer_syntax_uid: str
    dataset_offset: int
    attributes: dict[str, str]
    json: tuple[bytes, ...]
    of_levels: str
    frames: FrameTable | None
    warnings: tuple[str, ...]


class ScannedObject(Protocol):
    """What is scanned: `apps.dicom.reader.InstanceReader`."""

    meta: FileMeta
    syntax: TransferSyntax
    inflated: bool
    encoding: Encoding
    head: bytes

    @property
    def data(self) -> RandomAccess: ...
    def walk(self) -> ElementWalk: ...


@dataclass(slots=True)
class _Open:
    """A sequence the scan is in, with what it has to come back to."""

    shape: Shape
    members: list[str]
    tags: list[int]
    items: list[str]
    character_sets: list[CharacterSet]


class Scanning:
    """The state of one scan: members of the data set being written, and the sequences around it."""

    def __init__(
        self, reader: ScannedObject, fallback: tuple[str, ...], known: SeriesPassages | None
    ) -> None:
        self._reader = reader
        self._known = known
        self._lesson: Lesson | None = None
        self._from_passages = 0
        self._context = ValueContext(character_set(fallback) if fallback else None)
        self._open: list[_Open] = []
        self._members: list[str] = []
        self._tags: list[int] = []
        self._attributes: dict[str, str] = {}
        self._pixels: tuple[Shape, int, int, Fragments | None] | None = None
        self._extended_offsets: tuple[int, int] | None = None
        self._budget = JSON_BUDGET
        self._warnings: list[str] = list(reader.meta.warnings)

    def run(self) -> InstanceScan:
        """Walks, checks the identity and puts the results together."""
        known = self._known
        if known is None or known.layout is None or known.lesson_due:
            return self._by_walking()
        return self._by_layout(known.layout) or self._by_walking()

    def _by_layout(self, layout: SeriesLayout) -> InstanceScan | None:
        """None where the instance is not as those of its series; then it is as if not asked."""
        reader = self._reader
        if reader.encoding != layout.encoding:
            return None
        context = ValueContext(self._context.fallback)
        filled = layout.fill(reader.head, reader.meta.dataset_offset, reader.data, context)
        if filled is None:
            return None
        self._attributes, self._pixels = filled.attributes, filled.pixels
        frames = self._frames(layout.described)
        return self._scan(filled.json, layout.of_levels, frames, self._checked_attributes())

    def _by_walking(self) -> InstanceScan:
        walk = self._reader.walk()
        if self._known and self._known.lesson_due:
            self._lesson = Lesson(walk.position, (0, self._budget))
        self._offer_passages(walk)
        self._consume(walk)
        self._check_whole(walk)
        self._warnings += walk.warnings
        frames = self._frames()
        attributes = self._checked_attributes()
        self._warnings += self._context.warnings
        if self._known:
            self._remember(self._known, walk)
        json = _object(self._members, self._tags)
        return self._scan(json, self._of_levels(), frames, attributes)

    def _scan(
        self, json: str, of_levels: str, frames: FrameTable | None, attributes: dict[str, str]
    ) -> InstanceScan:
        return InstanceScan(
            meta=self._reader.meta,
            transfer_syntax_uid=self._reader.meta.transfer_syntax_uid,
            dataset_offset=self._reader.meta.dataset_offset,
            attributes=attributes,
            json=_pieces(json, attributes),
            of_levels=of_levels,
            frames=frames,
            warnings=tuple(dict.fromkeys(self._warnings)),
        )

    def data_set(self) -> tuple[str, str]:
        """Walks; nothing is asked of the identity, and long binary values have no address."""
        walk = self._reader.walk()
        self._consume(walk)
        self._check_whole(walk)
        json = _object(self._members, self._tags).replace(json_model.PIECE_BREAK, "")
        return json, self._attributes.get("SpecificCharacterSet", "")

    def _consume(self, walk: ElementWalk) -> None:
        context = self._context
        lesson = self._lesson
        context.big_endian = walk.encoding.big_endian
        for shape, offset, length, raw in walk:
            write = shape.write
            if write is None:
                write = self._unfurnished(shape, walk)
                if write is None:
                    continue
            if raw and (length <= BULK_LIMIT or self._affordable(length)):
                self._members.append(write(shape.prefix, raw, context))
            else:
                self._members.append(self._unread(shape, offset, length, walk))
            self._tags.append(shape.tag)
            if self._open:
                continue
            if shape.keyword:
                self._keep(shape, offset, length, raw)
                if shape.tag == CHARACTER_SET:
                    self._offer_passages(walk)
            if lesson is not None:
                lesson.ended(offset + length, (walk.guesses, self._budget))

    def _affordable(self, length: int) -> bool:
        """Whether a long text still fits into the JSON of one instance; if so, it is paid for."""
        if length > self._budget:
            return False
        self._budget -= length
        return True

    def _unfurnished(self, shape: Shape, walk: ElementWalk) -> Writer | None:
        """Structure, what DICOM JSON leaves out, or a shape that is met for the first time."""
        role = shape.role
        if role == SEQUENCE:
            if not shape.prefix:
                json_model.furnish_sequence(shape)
            self._open.append(_Open(shape, self._members, self._tags, [], []))
        elif role == ITEM:
            self._open[-1].character_sets.append(self._context.character_set)
            self._members, self._tags = [], []
            self._context.big_endian = walk.encoding.big_endian
        elif role == ITEM_END:
            here = self._open[-1]
            here.items.append(_object(self._members, self._tags))
            self._context.use(here.character_sets.pop())
        elif role == SEQUENCE_END:
            here = self._open.pop()
            self._members, self._tags = here.members, here.tags
            self._members.append(json_model.sequence(here.shape.prefix, here.items))
            self._tags.append(here.shape.tag)
            self._context.big_endian = walk.encoding.big_endian
            if self._lesson is not None and not self._open:
                self._lesson.ended(walk.position, (walk.guesses, self._budget))
        elif role == PASSAGE:
            self._take(walk.passage)
        elif not json_model.skipped(shape.tag):
            json_model.furnish(shape)
        return shape.write

    def _offer_passages(self, walk: ElementWalk) -> None:
        """What is known of the series, as long as text is encoded as it was there."""
        known = self._known
        if known is None or self._lesson is not None:
            return
        fits = known.character_set is self._context.character_set
        walk.passages = known.starts if fits else {}

    def _take(self, passage: Passage | None) -> None:
        assert passage is not None
        self._members += passage.members
        self._tags += passage.tags
        self._attributes.update(passage.attributes)
        self._from_passages += len(passage.tags)

    def _remember(self, known: SeriesPassages, walk: ElementWalk) -> None:
        """For the instances of the series that follow. What gave a warning is no example."""
        lesson = self._lesson
        if lesson is None:
            known.read(len(self._tags) - self._from_passages)
            return
        elements = None
        if not self._warnings:
            elements = learnt_from(
                lesson,
                self._reader.data.read_at(lesson.start, MOST_BYTES),
                self._tags,
                self._members,
                json_model.kept(self._attributes),
            )
        if elements is None:
            known.learn_nothing()
        else:
            pixel_shape = self._pixels[0] if self._pixels else None
            known.learn(elements, self._context.character_set, walk.encoding, pixel_shape)

    def _unread(self, shape: Shape, offset: int, length: int, walk: ElementWalk) -> str:
        """An empty value, or one that is fetched on its own: bulk data and all Pixel Data."""
        if shape.role == PIXELS and not self._open:
            self._pixels = (shape, offset, length, walk.fragments)
        if length == 0:
            return shape.prefix + "}"
        path = [f"{each.shape.tag:08X}/{len(each.items) + 1}/" for each in self._open]
        return json_model.bulk(shape.prefix, "".join(path) + f"{shape.tag:08X}")

    def _keep(self, shape: Shape, offset: int, length: int, raw: bytes | None) -> None:
        """An attribute of the index or of the frame table, from the top level."""
        if shape.tag == _EXTENDED_OFFSETS:
            self._extended_offsets = (offset, length)
        elif raw is not None:
            text = json_model.plain_text(raw, shape.vr, self._context)
            self._attributes[shape.keyword] = text.replace("\0", "")

    def _check_whole(self, walk: ElementWalk) -> None:
        """A cut inside or behind Pixel Data is a warning; one before it makes no instance."""
        tag = walk.truncated_in
        data = self._reader.data
        cut = isinstance(data, InflatedSource) and data.cut
        if tag is None and not cut:
            return
        where = named(tag) if tag is not None else "the deflated stream"
        if not walk.pixel_data_seen:
            raise UnreadableInstance(f"The object is cut off: it ends inside {where}.")
        self._warnings.append(f"The object is cut off inside {where}; what is there is kept.")

    def _checked_attributes(self) -> dict[str, str]:
        """The attributes, once the identity is known to be usable (PS3.3 C.12.1, C.7)."""
        attributes = dict(self._attributes)
        for keyword in _FOR_FRAMES:
            attributes.pop(keyword, None)
        if not attributes.get("SOPClassUID"):
            self._warnings.append("The data set has no SOP Class UID.")
            attributes["SOPClassUID"] = self._reader.meta.sop_class_uid
        # What belongs to no patient has no study to be filed under (PS3.4 GG.1).
        apart = sop_class(attributes["SOPClassUID"]).resource
        for keyword, name in _IDENTITY[:1] if apart else _IDENTITY:
            uid = attributes.get(keyword, "")
            if not uid:
                raise UnidentifiedInstance(f"The object has no {name}.")
            if "\\" in uid:
                raise UnidentifiedInstance(f"The object has more than one {name}.")
            if not uids.is_valid(uid):
                self._warnings.append(f"The {name} breaks the rules for UIDs; it is kept as it is.")
        return attributes

    def _frames(self, described: PixelLayout | None = None) -> FrameTable | None:
        if self._pixels is None:
            return None
        shape, offset, length, fragments = self._pixels
        layout = described or PixelLayout.of(self._attributes, shape.tag)
        reader = self._reader
        if fragments is None:
            there = max(min(length, reader.data.size - offset), 0)
            return native_frames(
                offset, there, layout, inflated=reader.inflated, warnings=self._warnings
            )
        extended = b""
        if self._extended_offsets and self._extended_offsets[1] <= _LARGEST_OFFSET_TABLE:
            extended = reader.data.read_at(*self._extended_offsets)
        return encapsulated_frames(
            fragments,
            reader.data,
            number_of_frames=layout.number_of_frames,
            syntax=reader.syntax,
            extended_offsets=extended,
            warnings=self._warnings,
        )

    def _of_levels(self) -> str:
        present = LEVEL_TAGS.intersection(self._tags)
        if not present:
            return ""
        members = (self._members[self._tags.index(tag)] for tag in sorted(present))
        return "{" + ",".join(members).replace(json_model.PIECE_BREAK, "") + "}"


_FOR_FRAMES: Final = json_model.KEYWORDS - (
    {row.keyword for row in attributes_table.TABLE}
    | {"SpecificCharacterSet", "TimezoneOffsetFromUTC"}
)
"""What is read for the frame table alone, and is no attribute of the index."""


def _object(members: list[str], tags: list[int]) -> str:
    """One data set as a JSON object, members ascending by tag (F.2.2)."""
    if not all(map(lt, tags, tags[1:])):
        members = json_model.in_order(members, tags)
    return "{" + ",".join(members) + "}"


def _pieces(json: str, attributes: dict[str, str]) -> tuple[bytes, ...]:
    """The JSON, cut where the base URL belongs; the rest of each URL is written here."""
    first, *others = json.split(json_model.PIECE_BREAK)
    if others:
        beginning = _bulk_data_path(attributes)
        others = [beginning + other for other in others]
    return tuple([piece.encode("utf-8", "backslashreplace") for piece in (first, *others)])


def _bulk_data_path(attributes: dict[str, str]) -> str:
    instance = uids.in_path(attributes.get("SOPInstanceUID", ""))
    resource = sop_class(attributes["SOPClassUID"]).resource
    if resource:
        return f"/{resource}/{instance}/bulkdata/"
    study = uids.in_path(attributes.get("StudyInstanceUID", ""))
    series = uids.in_path(attributes.get("SeriesInstanceUID", ""))
    return f"/studies/{study}/series/{series}/instances/{instance}/bulkdata/"
