"""PresentationState: what a Softcopy Presentation State says of one frame (PS3.3 A.33, PS3.4 N.2).

A state applies as a whole. Its modality, VOI and presentation LUTs stand in the place of the
image's own, also where it has none; MONOCHROME1 no longer inverts, the state's shape does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from apps.dicom.pixel_description import PixelDescription
from apps.errors import UnsupportedPixels
from apps.rendering.frame_attributes import (
    BulkData,
    FrameAttributes,
    Item,
    integer,
    items,
    number,
    numbers,
    text,
)

RENDERED_STATES: Final = frozenset(
    f"1.2.840.10008.5.1.4.1.1.11.{number}" for number in (1, 2, 3, 4, 5)
)
"""Grayscale, Color, Pseudo-Color, Blending and XA/XRF Grayscale Softcopy Presentation States."""

PSEUDO_COLOR: Final = "1.2.840.10008.5.1.4.1.1.11.3"
_SOP_CLASS: Final = "00080016"
_REFERENCED_SERIES, _REFERENCED_IMAGES = "00081115", "00081140"
_REFERENCED_SOP, _REFERENCED_FRAMES = "00081155", "00081160"
_SERIES: Final = "0020000E"
_MODALITY: Final = ("00281052", "00281053", "00281054", "00283000")
_VOI: Final = ("00281050", "00281051", "00281055", "00281056", "00283010")
_SHAPES: Final = ("20500010", "20500020")
_SOFTCOPY_VOI: Final = "00283110"
_FRAME_VOI_LUT, _PIXEL_VALUE_TRANSFORMATION = "00289132", "00289145"
_DISPLAYED_AREA: Final = "0070005A"
_TOP_LEFT, _BOTTOM_RIGHT = "00700052", "00700053"
_SIZE_MODE, _MAGNIFICATION = "00700100", "00700103"
_SPACING, _ASPECT = "00700101", "00700102"
_ROTATION, _FLIP = "00700042", "00700041"
_PAIR: Final = 2


@dataclass(frozen=True, slots=True)
class ReferencedImage:
    """One image a state is meant for; no frames means all of them."""

    series_instance_uid: str
    sop_instance_uid: str
    frames: tuple[int, ...]


def referenced_images(state: Item) -> list[ReferencedImage]:
    """The images of the Presentation State Relationship Module (PS3.3 C.11.11), in order."""
    return [
        ReferencedImage(
            text(series, _SERIES),
            text(image, _REFERENCED_SOP),
            tuple(int(each) for each in numbers(image, _REFERENCED_FRAMES)),
        )
        for series in items(state, _REFERENCED_SERIES)
        for image in items(series, _REFERENCED_IMAGES)
    ]


@dataclass(frozen=True, slots=True)
class DisplayedArea:
    """The part of the image to be shown, in pixels counted from 1, and how large (PS3.3 C.10.4).

    It may reach beyond the image. `aspect` is height by width of a pixel, 0 where not said;
    `magnification` is 0 unless the size mode is MAGNIFY.
    """

    left: int
    top: int
    right: int
    bottom: int
    aspect: float
    magnification: float


@dataclass(frozen=True)
class PresentationState:
    """One state, seen from frame `frame_number` of the image `sop_instance_uid`."""

    dataset: Item
    sop_instance_uid: str
    frame_number: int
    bulk_data: BulkData | None = None

    def __post_init__(self) -> None:
        """Raises UnsupportedPixels for kinds of state that are not drawn here."""
        if text(self.dataset, _SOP_CLASS) not in RENDERED_STATES:
            raise UnsupportedPixels("This kind of Presentation State cannot be rendered here.")

    @property
    def pseudo_color(self) -> bool:
        """Whether grey values become colours by the state's palette."""
        return text(self.dataset, _SOP_CLASS) == PSEUDO_COLOR

    def applies(self, item: Item) -> bool:
        """Whether an item of the state is meant for this frame: without references it is."""
        references = items(item, _REFERENCED_IMAGES)
        if not references:
            return True
        for each in references:
            frames = numbers(each, _REFERENCED_FRAMES)
            if text(each, _REFERENCED_SOP) == self.sop_instance_uid:
                return not frames or self.frame_number in frames
        return False

    def chosen(self, sequence_tag: str) -> list[Item]:
        """The items of a sequence that are meant for this frame."""
        return [item for item in items(self.dataset, sequence_tag) if self.applies(item)]

    def attributes(self, image: Item, image_bulk_data: BulkData | None) -> FrameAttributes:
        """The image's attributes with the state's transformations instead of its own."""
        replaced = {*_MODALITY, *_VOI, *_SHAPES}
        merged = {tag: element for tag, element in image.items() if tag not in replaced}
        merged |= {tag: self.dataset[tag] for tag in _MODALITY if tag in self.dataset}
        merged |= {tag: self.dataset[tag] for tag in _SHAPES if tag in self.dataset}
        for voi in self.chosen(_SOFTCOPY_VOI)[:1]:
            merged |= {tag: voi[tag] for tag in _VOI if tag in voi}
        own = {each["BulkDataURI"] for each in _bulk_elements(self.dataset)}

        def fetched(uri: str) -> bytes:
            source = self.bulk_data if uri in own else image_bulk_data
            if source is None:
                raise UnsupportedPixels("A lookup table of this image is not at hand.")
            return source(uri)

        return _Presented(merged, self.frame_number, fetched)

    def palette(self) -> FrameAttributes:
        """The state's own attributes, for its palette, overlays and graphics."""
        return FrameAttributes(self.dataset, self.frame_number, self.bulk_data)

    @staticmethod
    def description(description: PixelDescription) -> PixelDescription:
        """The image as the state takes it: polarity is the state's business (PS3.4 N.2.1)."""
        if description.photometric_interpretation != "MONOCHROME1":
            return description
        return replace(description, photometric_interpretation="MONOCHROME2")

    def displayed_area(self, rows: int, columns: int) -> DisplayedArea:
        """What is shown; the whole image where the state names nothing for this frame."""
        area = next(iter(self.chosen(_DISPLAYED_AREA)), None)
        if area is None:
            return DisplayedArea(1, 1, columns, rows, 0.0, 0.0)
        first, last = numbers(area, _TOP_LEFT), numbers(area, _BOTTOM_RIGHT)
        if len(first) != _PAIR or len(last) != _PAIR:
            first, last = [1, 1], [columns, rows]
        # The corners are those after rotation and flip, named by the image's own pixels.
        left, right = sorted((int(first[0]), int(last[0])))
        top, bottom = sorted((int(first[1]), int(last[1])))
        pair = numbers(area, _SPACING)
        if len(pair) != _PAIR:
            pair = numbers(area, _ASPECT)
        usable = len(pair) == _PAIR and min(pair) > 0
        magnified = text(area, _SIZE_MODE) == "MAGNIFY"
        return DisplayedArea(
            left,
            top,
            right,
            bottom,
            pair[0] / pair[1] if usable else 0.0,
            (number(area, _MAGNIFICATION) or 0.0) if magnified else 0.0,
        )

    @property
    def rotation(self) -> int:
        """Clockwise quarter turns, before any flip (PS3.3 C.10.6)."""
        return (integer(self.dataset, _ROTATION) or 0) // 90 % 4

    @property
    def flipped(self) -> bool:
        """Whether left and right change places after the rotation."""
        return text(self.dataset, _FLIP) == "Y"


class _Presented(FrameAttributes):
    """Functional groups no longer say how values become grey: the state does."""

    def group(self, sequence_tag: str) -> Item:
        """The data set for the two transformations a state replaces, else as ever."""
        if sequence_tag in {_FRAME_VOI_LUT, _PIXEL_VALUE_TRANSFORMATION}:
            return self.dataset
        return super().group(sequence_tag)


def _bulk_elements(dataset: Item) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for element in dataset.values():
        if "BulkDataURI" in element:
            found.append(element)
        elif element.get("vr") == "SQ":
            for item in element.get("Value") or []:
                found += _bulk_elements(item or {})
    return found
