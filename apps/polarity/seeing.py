"""One stored image as it is shown: stored values, how they become grey, and what it states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.dicom.pixels import PixelDescription, decode
from apps.errors import UnsupportedPixels
from apps.polarity.air import shrunk
from apps.polarity.statement import Statement
from apps.rendering.frame_attributes import FrameAttributes
from apps.rendering.grey import GreyPipeline, grey_pipeline
from apps.rendering.lookup_tables import LookupTable
from apps.rendering.options import RenderOptions, VoiFunction, Window
from apps.rendering.reduced import decode_reduced, halvings_for
from apps.retrieve.bulkdata import bulk_bytes
from apps.retrieve.frames import frame_table_of, stored_frame
from apps.retrieve.locations import Location
from apps.retrieve.metadata import dicom_json_of, shown_json_of

_SIDE: Final = 512
_SIGNATURE_SIDE: Final = 8
_GREY_AXES: Final = 2
_LEVELS: Final = 255


@dataclass(frozen=True, slots=True)
class Seen:
    """`values` are stored values of one frame without padding, (rows, columns).

    `low` and `high` are the grey levels, 0 black to 1 white, that the lower and the upper end of
    them are shown with; `white` says whether the attributes make the smallest value white.
    `ruled` says that a polarity rule is in force. `signature` has 64 grey values of 0 to 255.
    """

    values: NDArray[Any]
    low: float
    high: float
    white: bool
    ruled: bool
    statement: Statement
    signature: list[int]


def see(location: Location) -> Seen:
    """The middle frame, as it is shown now. Raises PacsError, BlobMissing."""
    stored, shown = dicom_json_of(location.key), shown_json_of(location.key)
    table = frame_table_of(location)
    number = (table.count + 1) // 2
    description = PixelDescription.from_json(shown, location.transfer_syntax_uid)
    values = _decoded(location, number, description)
    attributes = FrameAttributes(shown, number, lambda uri: bulk_bytes(location, uri))
    pipeline = grey_pipeline(attributes, description, RenderOptions())
    values = without_padding(values, pipeline)
    low, high = shown_ends(values, pipeline)
    return Seen(
        values,
        low,
        high,
        pipeline.inverted,
        shown is not stored,
        Statement.of(stored),
        _signature(values, pipeline),
    )


def _decoded(location: Location, number: int, description: PixelDescription) -> NDArray[Any]:
    table = frame_table_of(location)
    data = stored_frame(location, table, number)
    halvings = halvings_for(description.rows, description.columns, _SIDE, _SIDE)
    frame = decode_reduced(data, description, halvings)
    if frame is None:
        frame = decode(data, description, bit_offset=table.bit_offset(number - 1))
    if frame.pixels.ndim != _GREY_AXES:
        raise UnsupportedPixels("The image is in colour.")
    return frame.pixels


def without_padding(values: NDArray[Any], pipeline: GreyPipeline) -> NDArray[Any]:
    """The box around what is image; padding inside it takes the middle value of the image."""
    if pipeline.padding is None:
        return values
    least, most = pipeline.padding
    padded = (values >= least) & (values <= most)
    if not padded.any() or padded.all():
        return values
    rows, columns = np.nonzero(~padded.all(axis=1))[0], np.nonzero(~padded.all(axis=0))[0]
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    filled = np.where(padded, np.median(values[~padded]), values)
    return np.asarray(filled[box])


def _levels(values: NDArray[Any], pipeline: GreyPipeline) -> NDArray[np.float64]:
    """Grey levels without any window: it shows less of the image, never the other way round."""
    table = pipeline.voi if isinstance(pipeline.voi, LookupTable) else None
    plain = replace(pipeline, voi=table, padding=None)
    modality = pipeline.modality_values(values.astype(np.float64))
    low, high = float(modality.min()), float(modality.max())
    whole = Window((low + high) / 2, max(high - low, 1.0), VoiFunction.LINEAR_EXACT)
    return plain.levels(values, whole)


def shown_ends(values: NDArray[Any], pipeline: GreyPipeline) -> tuple[float, float]:
    """The levels at which the lower and the upper end of the values are shown."""
    ends = np.percentile(values, (1, 99))
    low, high = _levels(ends, pipeline)
    return float(low), float(high)


def _signature(values: NDArray[Any], pipeline: GreyPipeline) -> list[int]:
    """The shown image in 8 by 8 grey values; empty where it is too small for that."""
    side = _SIGNATURE_SIDE
    if min(values.shape) < side:
        return []
    rows, columns = (length // side * side for length in values.shape)
    levels = _levels(shrunk(values[:rows, :columns], _SIDE), pipeline)
    rows, columns = (length // side * side for length in levels.shape)
    blocks = levels[:rows, :columns].reshape(side, rows // side, side, columns // side)
    return [round(each * _LEVELS) for each in blocks.mean((1, 3)).ravel().tolist()]
