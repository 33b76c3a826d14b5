"""PixelDescription: what the Image Pixel Module says about a frame (PS3.3 C.7.6.3)."""

# ruff: noqa: PLR2004 - bits a sample and samples a pixel read best as the numbers they are

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np

from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.errors import UnsupportedPixels

SampleFormat = Literal["integer", "float", "double"]

MAXIMUM_SAMPLES: Final = 200_000_000
"""Rows x Columns x Samples per Pixel of one frame that we are ready to hold in memory."""

_CONTAINERS: Final = {1: 1, 8: 1, 16: 2, 32: 4, 64: 8}
_FLOAT_PIXEL_DATA: Final = "7FE00008"
_DOUBLE_FLOAT_PIXEL_DATA: Final = "7FE00009"
_PIXEL_DATA: Final = "7FE00010"


@dataclass(frozen=True)
class PixelDescription:
    """The Image Pixel Module of one instance, as numbers; every frame of it has this shape.

    `pixel_vr` is the VR of Pixel Data as stored, which matters for 8-bit samples in Big Endian.
    """

    rows: int
    columns: int
    samples_per_pixel: int = 1
    bits_allocated: int = 8
    bits_stored: int = 8
    high_bit: int = 7
    pixel_representation: int = 0
    photometric_interpretation: str = "MONOCHROME2"
    planar_configuration: int = 0
    number_of_frames: int = 1
    transfer_syntax_uid: str = "1.2.840.10008.1.2.1"
    sample_format: SampleFormat = "integer"
    pixel_vr: str = ""

    @classmethod
    def from_json(cls, dicom_json: Mapping[str, Any], transfer_syntax_uid: str) -> PixelDescription:
        """Reads the DICOM JSON Model; raises UnsupportedPixels where it describes no image.

        Attributes that are absent or senseless take the value that the others imply.
        """
        rows = _number(dicom_json, "00280010", 0)
        columns = _number(dicom_json, "00280011", 0)
        if rows < 1 or columns < 1:
            raise UnsupportedPixels("The object has no Rows and Columns: it is not an image.")
        sample_format = _sample_format(dicom_json)
        allocated = {"float": 32, "double": 64}.get(sample_format, 0) or _number(
            dicom_json, "00280100", 8
        )
        stored = _number(dicom_json, "00280101", allocated)
        if not 1 <= stored <= allocated:
            stored = allocated
        high_bit = _number(dicom_json, "00280102", stored - 1)
        if not stored - 1 <= high_bit < allocated:
            high_bit = stored - 1
        samples = _number(dicom_json, "00280002", 1)
        return cls(
            rows=rows,
            columns=columns,
            samples_per_pixel=samples,
            bits_allocated=allocated,
            bits_stored=stored,
            high_bit=high_bit,
            pixel_representation=_number(dicom_json, "00280103", 0),
            photometric_interpretation=_text(dicom_json, "00280004")
            or ("RGB" if samples == 3 else "MONOCHROME2"),
            planar_configuration=_number(dicom_json, "00280006", 0),
            number_of_frames=max(1, _number(dicom_json, "00280008", 1)),
            transfer_syntax_uid=transfer_syntax_uid,
            sample_format=sample_format,
            pixel_vr=str(dicom_json.get(_PIXEL_DATA, {}).get("vr", "")),
        )

    @property
    def signed(self) -> bool:
        """Pixel Representation 1: two's complement."""
        return self.pixel_representation == 1 and self.sample_format == "integer"

    @property
    def big_endian(self) -> bool:
        """Whether native frames have the most significant byte first."""
        return transfer_syntax(self.transfer_syntax_uid).big_endian

    @property
    def subsampled(self) -> bool:
        """Whether a native frame carries half of the chrominance samples (YBR_FULL_422)."""
        return self.samples_per_pixel == 3 and self.photometric_interpretation.endswith("_422")

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The type of stored values in this machine's byte order; one bit becomes one byte."""
        if self.sample_format != "integer":
            return np.dtype("=f4" if self.sample_format == "float" else "=f8")
        size = _CONTAINERS.get(self.bits_allocated)
        if size is None:
            raise UnsupportedPixels(
                f"Bits Allocated is {self.bits_allocated}; 1, 8, 16, 32 and 64 can be decoded."
            )
        return np.dtype(f"={'i' if self.signed else 'u'}{size}")

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns), or (rows, columns, samples) where a pixel has more than one."""
        if self.samples_per_pixel == 1:
            return (self.rows, self.columns)
        return (self.rows, self.columns, self.samples_per_pixel)

    @property
    def samples(self) -> int:
        """Samples in one decoded frame."""
        return self.rows * self.columns * self.samples_per_pixel

    @property
    def native_bits(self) -> int:
        """Bits of one frame when it is not compressed."""
        samples = self.rows * self.columns * 2 if self.subsampled else self.samples
        return samples * self.bits_allocated

    @property
    def native_length(self) -> int:
        """Whole bytes that one uncompressed frame needs when it starts on a byte."""
        return (self.native_bits + 7) // 8

    def checked(self) -> PixelDescription:
        """Itself, or UnsupportedPixels where a frame would not fit into memory or has no shape."""
        if self.rows < 1 or self.columns < 1 or not 1 <= self.samples_per_pixel <= 4:
            raise UnsupportedPixels("Rows, Columns or Samples per Pixel make no image.")
        if self.samples > MAXIMUM_SAMPLES:
            raise UnsupportedPixels(
                f"One frame has {self.samples} samples; at most {MAXIMUM_SAMPLES} are decoded."
            )
        if self.bits_stored > self.bits_allocated:
            raise UnsupportedPixels("Bits Stored is more than Bits Allocated.")
        _ = self.dtype
        return self


def _sample_format(dicom_json: Mapping[str, Any]) -> SampleFormat:
    if _FLOAT_PIXEL_DATA in dicom_json:
        return "float"
    return "double" if _DOUBLE_FLOAT_PIXEL_DATA in dicom_json else "integer"


def _first(dicom_json: Mapping[str, Any], tag: str) -> Any:
    values = dicom_json.get(tag, {}).get("Value") or [None]
    return values[0]


def _number(dicom_json: Mapping[str, Any], tag: str, otherwise: int) -> int:
    value = _first(dicom_json, tag)
    try:
        return otherwise if value is None else int(value)
    except (TypeError, ValueError):
        return otherwise


def _text(dicom_json: Mapping[str, Any], tag: str) -> str:
    value = _first(dicom_json, tag)
    return "" if value is None else str(value).strip().upper()
