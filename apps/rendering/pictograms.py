"""Pictograms: what stands in a thumbnail's place for objects that are no images."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from apps.dicom.sop_classes import sop_class
from apps.rendering.encoding import written
from apps.rendering.options import PNG
from apps.rendering.render import RenderedImage

_GROUND, _LINE, _MUTED, _ACCENT = "#0b0d10", "#28313b", "#9aa7b4", "#4da3ff"
_SMALLEST, _LARGEST = 32, 512
_GRID: Final = 96
"""Pictograms are drawn on a grid of 96 x 96 units, whatever their size in pixels."""


class _Canvas:
    """Draws in grid units at four times the size; shrinking then smooths the edges."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._scale = size * 4 / _GRID
        self._image = Image.new("RGB", (size * 4, size * 4), _GROUND)
        self._draw = ImageDraw.Draw(self._image)

    def box(
        self, left: float, top: float, right: float, bottom: float, color: str = _MUTED
    ) -> None:
        """A frame with rounded corners."""
        corners = [value * self._scale for value in (left, top, right, bottom)]
        width = round(2 * self._scale)
        self._draw.rounded_rectangle(corners, 3 * self._scale, outline=color, width=width)

    def path(self, *points: tuple[float, float], color: str = _MUTED) -> None:
        """A line through the points."""
        scaled = [(x * self._scale, y * self._scale) for x, y in points]
        self._draw.line(scaled, fill=color, width=round(2 * self._scale), joint="curve")

    def ring(self, x: float, y: float, radius: float, color: str = _MUTED) -> None:
        """A circle."""
        corners = [v * self._scale for v in (x - radius, y - radius, x + radius, y + radius)]
        self._draw.ellipse(corners, outline=color, width=round(2 * self._scale))

    def word(self, text: str) -> None:
        """The letters below the drawing."""
        font = ImageFont.load_default(size=14 * self._scale)
        place = (_GRID / 2 * self._scale, 84 * self._scale)
        self._draw.text(place, text, fill=_MUTED, font=font, anchor="mm")

    def png(self) -> bytes:
        """The finished picture."""
        body = io.BytesIO()
        small = self._image.resize((self._size, self._size), Image.Resampling.BOX)
        small.save(body, "PNG", optimize=True)
        return body.getvalue()


def _page(canvas: _Canvas) -> None:
    canvas.box(30, 14, 66, 70)


def _report(canvas: _Canvas) -> None:
    _page(canvas)
    for y, right in ((28, 58), (38, 58), (48, 58), (58, 48)):
        canvas.path((38, y), (right, y), color=_ACCENT if y == 28 else _MUTED)  # noqa: PLR2004


def _key_object(canvas: _Canvas) -> None:
    canvas.ring(36, 42, 12, _ACCENT)
    canvas.path((48, 42), (76, 42))
    canvas.path((68, 42), (68, 52))
    canvas.path((76, 42), (76, 52))


def _presentation(canvas: _Canvas) -> None:
    canvas.box(22, 18, 74, 66)
    canvas.ring(48, 42, 13, _ACCENT)
    canvas.path((48, 29), (48, 55), color=_ACCENT)


def _waveform(canvas: _Canvas) -> None:
    canvas.path((14, 60), (82, 60), color=_LINE)
    canvas.path(
        (14, 46), (30, 46), (36, 40), (42, 52), (48, 18), (54, 66), (60, 46), (82, 46),
        color=_ACCENT,
    )  # fmt: skip


def _document(canvas: _Canvas) -> None:
    canvas.path((54, 14), (32, 14), (32, 70), (66, 70), (66, 26), (54, 14), (54, 26), (66, 26))
    canvas.path((40, 42), (58, 42), color=_ACCENT)
    canvas.path((40, 52), (58, 52))


def _radiotherapy(canvas: _Canvas) -> None:
    canvas.ring(48, 42, 24)
    canvas.ring(48, 42, 10, _ACCENT)
    for line in (
        ((48, 10), (48, 26)),
        ((48, 58), (48, 74)),
        ((16, 42), (32, 42)),
        ((64, 42), (80, 42)),
    ):
        canvas.path(*line)


def _segmentation(canvas: _Canvas) -> None:
    canvas.box(22, 16, 74, 68)
    canvas.path((36, 30), (54, 26), (64, 38), (58, 54), (42, 58), (32, 46), (36, 30), color=_ACCENT)


def _registration(canvas: _Canvas) -> None:
    canvas.box(22, 16, 58, 52)
    canvas.box(38, 32, 74, 68, _ACCENT)


def _other(canvas: _Canvas) -> None:
    canvas.box(26, 16, 70, 68)
    canvas.path((36, 42), (60, 42), color=_ACCENT)


def _video(canvas: _Canvas) -> None:
    canvas.box(18, 20, 78, 64)
    canvas.path((42, 32), (42, 52), (58, 42), (42, 32), color=_ACCENT)


_DRAWINGS: Final[dict[str, tuple[str, Callable[[_Canvas], None]]]] = {
    "report": ("SR", _report),
    "key-object": ("KO", _key_object),
    "presentation": ("PR", _presentation),
    "waveform": ("WAVE", _waveform),
    "ecg": ("ECG", _waveform),
    "document": ("DOC", _document),
    "pdf": ("PDF", _document),
    "rt": ("RT", _radiotherapy),
    "dose": ("RT", _radiotherapy),
    "structure-set": ("RT", _radiotherapy),
    "segmentation": ("SEG", _segmentation),
    "surface": ("SEG", _segmentation),
    "registration": ("REG", _registration),
    "video": ("VIDEO", _video),
}


def pictogram_of(sop_class_uid: str, size: int = 192, media_type: str = PNG) -> RenderedImage:
    """The pictogram of a SOP Class; see `pictogram`. Drawn small, it is made into any type."""
    row = sop_class(sop_class_uid)
    kind = row.kind
    if kind == "waveform" and "ECG" in row.keyword:
        kind = "ecg"
    elif row.keyword == "EncapsulatedPDFStorage":
        kind = "pdf"
    drawn = pictogram(kind, size)
    if media_type == PNG:
        return drawn
    image = Image.open(io.BytesIO(drawn.body)).convert("RGB")
    content, lossy = written(image, media_type, None, {})
    return replace(drawn, media_type=media_type, body=content, lossy=lossy)


@cache
def pictogram(kind: str, size: int = 192) -> RenderedImage:
    """A square PNG, 32 to 512 pixels, for a kind of SOP Class or "ecg", "pdf", "video".

    Kinds without a drawing of their own share a plain one.
    """
    size = min(max(size, _SMALLEST), _LARGEST)
    word, drawing = _DRAWINGS.get(kind, ("", _other))
    canvas = _Canvas(size)
    drawing(canvas)
    canvas.word(word)
    return RenderedImage(PNG, canvas.png(), size, size, lossy=False)
