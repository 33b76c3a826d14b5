"""Stored Presentation States and the stored frames they show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.access.principals import Principal
from apps.errors import InvalidRequest, NotFound, UnsupportedPixels
from apps.rendering.blended import (
    SUPERIMPOSED,
    UNDERLYING,
    Plane,
    blended,
    is_blending,
    layer_of,
    nearest,
    opacity_of,
    plane_of,
    resampled,
)
from apps.rendering.color import through_palette
from apps.rendering.frame_attributes import FrameAttributes, Item, text
from apps.rendering.options import RenderOptions
from apps.rendering.presentation import PresentationState, referenced_images
from apps.rendering.presented import FrameBytes, LaidOver, displayed, render_presented
from apps.rendering.render import RenderedImage
from apps.retrieve.bulkdata import bulk_bytes
from apps.retrieve.frames import frame_table_of, stored_frame
from apps.retrieve.locations import Location, location_of
from apps.retrieve.metadata import dicom_json_by_key, dicom_json_of, shown_json_of

_STUDY: Final = "0020000D"
_GREY_AXES: Final = 2
_AT_ONCE: Final = 200
_MOST_FRAMES: Final = 5000


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """A frame as a state shows it, with the one that is laid over it where there is one."""

    state: Location
    location: Location
    number: int
    over: tuple[Location, int] | None = None

    @property
    def seed(self) -> tuple[str, ...]:
        """Differs whenever the picture may."""
        laid = (self.over[0].digest, str(self.over[1])) if self.over else ()
        return (self.state.digest, self.location.digest, str(self.number), *laid)


class StateFrames:
    """The frames that a stored state is for, as far as the principal may see them."""

    def __init__(self, principal: Principal, state: Location) -> None:
        self._principal = principal
        self._state = state
        self._dataset: Item = dicom_json_of(state.key)

    def __iter__(self) -> Iterator[ShownFrame]:
        """Each that is stored here, in the state's order; of a blending state the underlying."""
        for location, number in self._frames_of(self._underlying):
            yield self.shown(location, number)

    @property
    def _underlying(self) -> Item:
        """What the state says of the frames that it shows, or lays another over."""
        if is_blending(self._dataset):
            return layer_of(self._dataset, UNDERLYING)
        return self._dataset

    def named(self, location: Location, number: int) -> ShownFrame:
        """As `shown`, of a frame that the caller names; InvalidRequest where it is for others."""
        for each in referenced_images(self._underlying):
            same = each.sop_instance_uid == location.sop_instance_uid
            if same and (not each.frames or number in each.frames):
                return self.shown(location, number)
        raise InvalidRequest(
            "This presentation state is for other images.", offending=("presentationUID",)
        )

    def shown(self, location: Location, number: int) -> ShownFrame:
        """What the state shows of frame `number`, from 1.

        Raises NotFound where the image to be laid over is not here, and UnsupportedPixels where it
        does not lie in the same planes of the patient.
        """
        if not is_blending(self._dataset):
            return ShownFrame(self._state, location, number)
        underlying = _plane(dicom_json_of(location.key), number)
        if underlying is None:
            raise UnsupportedPixels(
                "The underlying image does not say where it lies in the patient."
            )
        candidates = self._superimposed
        index = nearest(underlying, [plane for _, plane in candidates])
        over = None if index is None else candidates[index][0]
        return ShownFrame(self._state, location, number, over)

    @cached_property
    def _superimposed(self) -> list[tuple[tuple[Location, int], Plane | None]]:
        """The frames that may be laid over and where they lie, read once."""
        frames = iter(self._frames_of(layer_of(self._dataset, SUPERIMPOSED)))
        found: list[tuple[tuple[Location, int], Plane | None]] = []
        while some := list(islice(frames, _AT_ONCE)):
            datasets = dicom_json_by_key({location.key for location, _ in some})
            found += [(each, _plane(datasets.get(each[0].key, {}), each[1])) for each in some]
            if len(found) > _MOST_FRAMES:
                raise UnsupportedPixels(f"More than {_MOST_FRAMES} frames are to be superimposed.")
        if not found:
            raise NotFound("The image to be superimposed is not stored here.")
        return found

    def _frames_of(self, dataset: Item) -> Iterator[tuple[Location, int]]:
        study = text(dataset, _STUDY) or self._state.study_instance_uid
        for each in referenced_images(dataset):
            uids = (study, each.series_instance_uid, each.sop_instance_uid)
            try:
                location = location_of(self._principal, *uids)
                count = frame_table_of(location).count
            except NotFound:
                continue
            for number in each.frames or range(1, count + 1):
                if 1 <= number <= count:
                    yield location, number


def _plane(dataset: Item, number: int) -> Plane | None:
    return plane_of(FrameAttributes(dataset, number))


def rendered_by_state(shown: ShownFrame, options: RenderOptions) -> RenderedImage:
    """The frame as the state shows it. Raises as `stored.rendered_frame`."""
    dataset: Item = dicom_json_of(shown.state.key)
    laid_over = None
    if is_blending(dataset):
        opacity = opacity_of(dataset)
        laid_over = _over(shown, layer_of(dataset, SUPERIMPOSED), opacity)
        dataset = layer_of(dataset, UNDERLYING)
    state = _state(shown, dataset, shown.location, shown.number)
    return render_presented(_frame_bytes(shown.location, shown.number), options, state, laid_over)


def _over(shown: ShownFrame, layer: Item, opacity: float) -> LaidOver:
    """Lays the superimposed frame over the underlying one, as grey where there is none."""

    def laid_over(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if grey.ndim != _GREY_AXES:
            raise UnsupportedPixels("Only grey images are blended.")
        if shown.over is None:
            return grey
        location, number = shown.over
        frame = _frame_bytes(location, number)
        state = _state(shown, layer, location, number)
        pixels = displayed(frame, state)
        plane = _plane(frame.dicom_json, number)
        onto = _plane(dicom_json_of(shown.location.key), shown.number)
        if pixels.ndim != _GREY_AXES or plane is None or onto is None:
            raise UnsupportedPixels("Only grey images that lie in the patient are blended.")
        values, inside = resampled(pixels, plane, onto, *grey.shape)
        return blended(grey, through_palette(values, state.palette()), inside, opacity)

    return laid_over


def _state(shown: ShownFrame, dataset: Item, location: Location, number: int) -> PresentationState:
    return PresentationState(
        dataset, location.sop_instance_uid, number, lambda uri: bulk_bytes(shown.state, uri)
    )


def _frame_bytes(location: Location, number: int) -> FrameBytes:
    table = frame_table_of(location)
    return FrameBytes(
        stored_frame(location, table, number),
        shown_json_of(location.key),
        location.transfer_syntax_uid,
        table.bit_offset(number - 1),
        lambda uri: bulk_bytes(location, uri),
    )
