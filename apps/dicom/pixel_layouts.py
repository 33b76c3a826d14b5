"""What a data set says about the shape of its pixels (PS3.3 C.7.6.3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class PixelLayout:
    """What the data set says about its pixels; 0 where it says nothing usable."""

    rows: int = 0
    columns: int = 0
    samples_per_pixel: int = 1
    bits_allocated: int = 0
    number_of_frames: int = 0
    photometric_interpretation: str = ""

    @classmethod
    def of(cls, attributes: Mapping[str, str], pixel_tag: int) -> PixelLayout:
        """From the texts of `PIXEL_KEYWORDS`, for Pixel Data of this tag."""
        get = attributes.get
        return cls(
            rows=_number(get("Rows")),
            columns=_number(get("Columns")),
            samples_per_pixel=_number(get("SamplesPerPixel")) or 1,
            bits_allocated=_FLOAT_BITS.get(pixel_tag) or _number(get("BitsAllocated")),
            number_of_frames=_number(get("NumberOfFrames")),
            photometric_interpretation=get("PhotometricInterpretation", ""),
        )


PIXEL_KEYWORDS: Final = frozenset(
    {"Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames"}
    | {"PhotometricInterpretation"}
)
_FLOAT_BITS: Final = {0x7FE00008: 32, 0x7FE00009: 64}


def _number(text: str | None) -> int:
    """A positive whole number, or 0 where the text is none."""
    return int(text) if text and text.isascii() and text.isdigit() else 0
