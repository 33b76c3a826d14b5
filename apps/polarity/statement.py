"""What an image's attributes say about its polarity, in words (PS3.3 C.7.6.3, C.8.11.3, C.11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.rendering.frame_attributes import Item, number, text

_PHOTOMETRIC: Final = "00280004"
_RELATIONSHIP: Final = "00281040"
_SIGN: Final = "00281041"
_SLOPE: Final = "00281053"
_SHAPE: Final = "20500020"
_SHAPE_OF: Final = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
_LONGEST: Final = 16


@dataclass(frozen=True, slots=True)
class Statement:
    """The attributes that decide, or hint at, which end of the values is air.

    `sign` is Pixel Intensity Relationship Sign: 1 where lower values mean less radiation.
    """

    photometric: str
    shape: str
    slope: float
    relationship: str
    sign: int

    @classmethod
    def of(cls, dataset: Item) -> Statement:
        """Reads a data set in DICOM JSON."""
        return cls(
            text(dataset, _PHOTOMETRIC)[:_LONGEST],
            text(dataset, _SHAPE)[:_LONGEST],
            number(dataset, _SLOPE) or 1.0,
            text(dataset, _RELATIONSHIP)[:_LONGEST],
            int(number(dataset, _SIGN) or 0),
        )

    def __str__(self) -> str:
        """In one line, the same for images of one device that state the same."""
        parts = [self.photometric, self.shape and f"shape {self.shape}"]
        parts.append("negative slope" if self.slope < 0 else "")
        return ", ".join(part for part in parts if part)

    @property
    def claimed_air(self) -> int:
        """The end of the values at which air lies by the sign: -1 low, 1 high, 0 not said."""
        return (self.sign > 0) - (self.sign < 0)

    def words(self, *, white: bool) -> list[str]:
        """Sentences for the evidence; `white` is how the smallest value is shown."""
        shown = "white" if white else "black"
        said = [f"The image states {self}: its smallest value is shown {shown}."]
        due = _SHAPE_OF.get(self.photometric, "")
        if self.shape and due and self.shape != due:
            said.append(
                f"{self.photometric} and Presentation LUT Shape {self.shape} contradict each other."
            )
        if self.slope < 0:
            said.append("Its Rescale Slope is negative: it turns the values round.")
        return said
