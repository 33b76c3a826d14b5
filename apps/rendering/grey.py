"""The grey pipeline: stored values to 8-bit display values (PS3.4 N.2, PS3.3 C.11).

Modality LUT, then VOI LUT, then Presentation LUT Shape, then the polarity of MONOCHROME1. Padding
takes no part and stays black. All of it is worked out once per possible stored value; the pixels
are then only looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.dicom.pixel_description import PixelDescription
from apps.errors import InvalidRequest
from apps.rendering.frame_attributes import (
    FrameAttributes,
    Item,
    integer,
    items,
    number,
    numbers,
    text,
)
from apps.rendering.lookup_tables import LookupTable, read_table
from apps.rendering.options import RenderOptions, VoiFunction, Window

Levels = NDArray[np.float64]
"""Display values of 0 (black) to 1 (white)."""

_PIXEL_VALUE_TRANSFORMATION: Final = "00289145"
_FRAME_VOI_LUT: Final = "00289132"
_MODALITY_LUT_SEQUENCE: Final = "00283000"
_VOI_LUT_SEQUENCE: Final = "00283010"
_RESCALE_INTERCEPT, _RESCALE_SLOPE = "00281052", "00281053"
_WINDOW_CENTER, _WINDOW_WIDTH, _VOI_FUNCTION = "00281050", "00281051", "00281056"
_PADDING_VALUE, _PADDING_RANGE_LIMIT = "00280120", "00280121"
_FLOAT_PADDING, _DOUBLE_PADDING = "00280122", "00280123"
_FLOAT_PADDING_LIMIT, _DOUBLE_PADDING_LIMIT = "00280124", "00280125"
_PRESENTATION_LUT_SEQUENCE, _PRESENTATION_LUT_SHAPE = "20500010", "20500020"
_MOST_TABLE_BITS: Final = 16

VoiAlternative = Window | LookupTable


@dataclass(frozen=True)
class GreyPipeline:
    """Everything one grey frame needs on its way from stored values to the screen.

    `padding` is the closed range of stored values that are not image (PS3.3 C.7.5.1.1.2).
    """

    slope: float = 1.0
    intercept: float = 0.0
    modality_table: LookupTable | None = None
    voi: VoiAlternative | None = None
    presentation_table: LookupTable | None = None
    padding: tuple[float, float] | None = None
    inverted: bool = False

    def modality_values(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Output of the modality LUT (PS3.3 C.11.1): a table, or slope and intercept."""
        if self.modality_table is not None:
            return self.modality_table.apply(stored)
        return stored * self.slope + self.intercept

    def levels(self, stored: NDArray[Any], default: Window) -> Levels:
        """Display levels of stored values, polarity included; `default` serves where no VOI is."""
        values = self.modality_values(stored.astype(np.float64))
        shown = apply_voi(values, self.voi or default)
        if self.presentation_table is not None:
            shown = through_table(shown, self.presentation_table)
        if self.inverted:
            shown = 1.0 - shown
        if self.padding is not None:
            shown[(stored >= self.padding[0]) & (stored <= self.padding[1])] = 0.0
        return shown


def apply_voi(values: NDArray[Any], voi: VoiAlternative) -> Levels:
    """VOI LUT: a table, or a window by its function, to 0 to 1 (PS3.3 C.11.2.1)."""
    if isinstance(voi, LookupTable):
        return voi.apply(values) / ((1 << voi.bits) - 1)
    center, width = voi.center, voi.width
    if voi.function is VoiFunction.SIGMOID:
        exponent = np.clip(-4.0 * (values - center) / width, -700.0, 700.0)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)))
    if voi.function is VoiFunction.LINEAR:
        center, width = center - 0.5, width - 1.0
    if width == 0:
        return np.asarray(values > center, dtype=np.float64)
    return np.clip((values - center) / width + 0.5, 0.0, 1.0)


def through_table(shown: Levels, table: LookupTable) -> Levels:
    """Presentation LUT: the VOI's whole output range is its input (PS3.3 C.11.4)."""
    last = len(table.entries) - 1
    return np.asarray(table.apply(shown * last + table.first) / ((1 << table.bits) - 1))


def grey_pipeline(
    attributes: FrameAttributes, description: PixelDescription, options: RenderOptions
) -> GreyPipeline:
    """Reads the pipeline of one frame; the window of the request comes before the object's own."""
    transformation = attributes.group(_PIXEL_VALUE_TRANSFORMATION)
    tables = items(attributes.dataset, _MODALITY_LUT_SEQUENCE)
    table = None
    if tables:
        table = read_table(attributes, tables[0], signed_input=description.signed)
    slope = number(transformation, _RESCALE_SLOPE)
    voi: VoiAlternative | None = options.window
    if voi is None:
        found = voi_alternatives(attributes, description)
        if found and options.voi_alternative >= len(found):
            raise InvalidRequest(f"The object has {len(found)} windows and VOI LUTs.")
        voi = found[options.voi_alternative] if found else None
    return GreyPipeline(
        slope=1.0 if slope in (None, 0.0) else float(slope or 1.0),
        intercept=number(transformation, _RESCALE_INTERCEPT) or 0.0,
        modality_table=table,
        voi=voi,
        presentation_table=_presentation_table(attributes),
        padding=_padding(attributes.dataset, description),
        inverted=is_inverted(attributes.dataset, description) != options.opposite,
    )


def _presentation_table(attributes: FrameAttributes) -> LookupTable | None:
    for item in items(attributes.dataset, _PRESENTATION_LUT_SEQUENCE)[:1]:
        return read_table(attributes, item, signed_input=False)
    return None


def is_inverted(dataset: Item, description: PixelDescription) -> bool:
    """Whether the smallest value is white: said by MONOCHROME1, or by Presentation LUT Shape.

    Both name one and the same inversion: DX demands INVERSE with MONOCHROME1 (PS3.3 C.8.11.3), so
    two statements do not cancel each other out.
    """
    shape = text(dataset, _PRESENTATION_LUT_SHAPE)
    return description.photometric_interpretation == "MONOCHROME1" or shape == "INVERSE"


def voi_alternatives(
    attributes: FrameAttributes, description: PixelDescription
) -> list[VoiAlternative]:
    """What the object offers (PS3.3 C.11.2): its windows first, then its VOI LUTs."""
    item = attributes.group(_FRAME_VOI_LUT)
    found: list[VoiAlternative] = []
    centers, widths = numbers(item, _WINDOW_CENTER), numbers(item, _WINDOW_WIDTH)
    function = text(item, _VOI_FUNCTION)
    known = function in VoiFunction.__members__
    for center, width in zip(centers, widths, strict=False):
        window = _stored_window(center, width, VoiFunction(function) if known else None)
        found += [window] if window else []
    signed = description.signed or (
        (number(attributes.group(_PIXEL_VALUE_TRANSFORMATION), _RESCALE_INTERCEPT) or 0) < 0
    )
    for lut in items(attributes.dataset, _VOI_LUT_SEQUENCE):
        table = read_table(attributes, lut, signed_input=signed)
        found += [table] if table else []
    return found


def _stored_window(center: float, width: float, function: VoiFunction | None) -> Window | None:
    """A window of the object; one that the standard forbids is passed over or read as exact."""
    if not (np.isfinite(center) and np.isfinite(width)) or width <= 0:
        return None
    chosen = function or VoiFunction.LINEAR
    if chosen is VoiFunction.LINEAR and width < 1:
        chosen = VoiFunction.LINEAR_EXACT
    return Window(center, width, chosen)


def _padding(dataset: Item, description: PixelDescription) -> tuple[float, float] | None:
    if description.sample_format == "integer":
        value = integer(dataset, _PADDING_VALUE)
        if value is None:
            return None
        limit = integer(dataset, _PADDING_RANGE_LIMIT)
        ends = (
            _as_stored(value, description),
            _as_stored(value if limit is None else limit, description),
        )
        return (min(ends), max(ends))
    single = description.sample_format == "float"
    start = number(dataset, _FLOAT_PADDING if single else _DOUBLE_PADDING)
    end = number(dataset, _FLOAT_PADDING_LIMIT if single else _DOUBLE_PADDING_LIMIT)
    if start is None:
        return None
    return (min(start, start if end is None else end), max(start, start if end is None else end))


def _as_stored(value: int, description: PixelDescription) -> int:
    """The value as pixels have it: the VR of padding is often US where the pixels are signed."""
    modulus = 1 << description.bits_allocated
    value %= modulus
    return value - modulus if description.signed and value >= modulus // 2 else value


def render_grey(stored: NDArray[Any], pipeline: GreyPipeline) -> NDArray[np.uint8]:
    """Stored values, shaped (rows, columns), to 8-bit display values."""
    default = Window(0.5, 1.0, VoiFunction.LINEAR_EXACT)
    if pipeline.voi is None:
        default = default_window(stored, pipeline)
    bits = stored.dtype.itemsize * 8
    if stored.dtype.kind == "f" or bits > _MOST_TABLE_BITS:
        return _eight_bit(pipeline.levels(stored, default))
    signed = stored.dtype.kind == "i"
    every = np.arange(1 << bits, dtype=np.uint32).astype(f"u{bits // 8}")
    table = _eight_bit(pipeline.levels(every.view(stored.dtype) if signed else every, default))
    return np.take(table, stored.view(every.dtype) if signed else stored)


def _eight_bit(levels: Levels) -> NDArray[np.uint8]:
    return (np.nan_to_num(levels) * 255.0 + 0.5).astype(np.uint8)


def default_window(stored: NDArray[Any], pipeline: GreyPipeline) -> Window:
    """A window over all values of the frame but padding, for objects that bring none."""
    low, high = _extremes(stored, pipeline.padding)
    ends = pipeline.modality_values(np.array([low, high], dtype=np.float64))
    if pipeline.modality_table is not None:
        ends = np.array([0, (1 << pipeline.modality_table.bits) - 1])
    least, most = float(ends.min()), float(ends.max())
    if most <= least:
        # One value only: black if it is zero or less, else white.
        return Window(0.5 if least <= 0 else least - 0.5, 1.0, VoiFunction.LINEAR_EXACT)
    return Window((least + most) / 2, most - least, VoiFunction.LINEAR_EXACT)


def _extremes(stored: NDArray[Any], padding: tuple[float, float] | None) -> tuple[float, float]:
    if stored.dtype.kind == "f":
        stored = stored[np.isfinite(stored)]
    if padding is not None:
        image = stored[(stored < padding[0]) | (stored > padding[1])]
        stored = image if image.size else stored
    if not stored.size:
        return 0.0, 1.0
    return float(stored.min()), float(stored.max())
