"""Graphic annotations of a Presentation State, drawn over the finished picture (PS3.3 C.10.5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont

from apps.rendering.frame_attributes import Item, integer, items, numbers, text
from apps.rendering.presentation import PresentationState

Point = tuple[float, float]
_ANNOTATIONS, _LAYERS = "00700001", "00700060"
_TEXTS, _GRAPHICS = "00700008", "00700009"
_LAYER, _LAYER_ORDER, _LAYER_GREY = "00700002", "00700062", "00700066"
_UNITS, _DATA, _TYPE, _FILLED = "00700005", "00700022", "00700023", "00700024"
_TEXT, _BOX_UNITS, _BOX_FIRST, _BOX_LAST = "00700006", "00700003", "00700010", "00700011"
_ANCHOR, _ANCHOR_UNITS, _ANCHOR_SHOWN = "00700014", "00700004", "00700015"
_WHITE: Final = 255
_PAIR: Final = 2
_CURVE_STEPS: Final = 12
_MOST_OBJECTS: Final = 2_000
_LONGEST_TEXT: Final = 1_024


@dataclass(frozen=True, slots=True)
class Canvas:
    """From positions in the image to positions in the picture.

    `origin` is the top left corner of what is shown, `size` its columns and rows, both in image
    pixels; `width` and `height` are the picture's.
    """

    origin: Point
    size: Point
    rotation: int
    flipped: bool
    width: int
    height: int

    def at(self, x: float, y: float, units: str) -> Point:
        """PIXEL and MATRIX count in pixels of the image, DISPLAY in 0 to 1 of what is shown."""
        if units == "DISPLAY":
            return x * self.width, y * self.height
        u, v = x - self.origin[0], y - self.origin[1]
        w, h = self.size
        for _ in range(self.rotation):
            u, v, w, h = h - v, u, h, w
        if self.flipped:
            u = w - u
        return u * self.width / w, v * self.height / h


@cache
def font(size: int) -> Any:
    """The letters of burned-in text, `size` pixels high."""
    return ImageFont.load_default(size=size)


def draw_annotations(image: Image.Image, state: PresentationState, canvas: Canvas) -> None:
    """Draws what is meant for this frame, layer by layer; what makes no sense is passed over."""
    layers = {
        text(layer, _LAYER): (integer(layer, _LAYER_ORDER) or 0, integer(layer, _LAYER_GREY))
        for layer in items(state.dataset, _LAYERS)
    }
    annotations = sorted(
        state.chosen(_ANNOTATIONS), key=lambda item: layers.get(text(item, _LAYER), (0, None))[0]
    )
    pen = ImageDraw.Draw(image)
    left = _MOST_OBJECTS
    for annotation in annotations:
        grey = layers.get(text(annotation, _LAYER), (0, None))[1]
        shade = _WHITE if grey is None else min(max(grey, 0), 0xFFFF) >> 8
        fill = (shade,) * len(image.getbands())
        for graphic in items(annotation, _GRAPHICS)[:left]:
            _draw_graphic(pen, graphic, canvas, fill)
            left -= 1
        for written in items(annotation, _TEXTS)[:left]:
            _draw_text(pen, written, canvas, fill)
            left -= 1


def _points(flat: Sequence[float], units: str, canvas: Canvas) -> list[Point]:
    return [canvas.at(x, y, units) for x, y in zip(flat[::2], flat[1::2], strict=False)]


def _draw_graphic(
    pen: ImageDraw.ImageDraw, graphic: Item, canvas: Canvas, fill: tuple[int, ...]
) -> None:
    points = _points(numbers(graphic, _DATA), text(graphic, _UNITS), canvas)
    kind = text(graphic, _TYPE)
    filled = text(graphic, _FILLED) == "Y"
    if kind == "POINT":
        for x, y in points[:1]:
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=fill)
    elif kind == "CIRCLE" and len(points) >= _PAIR:
        (x, y), (edge_x, edge_y) = points[:2]
        radius = ((edge_x - x) ** 2 + (edge_y - y) ** 2) ** 0.5
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, outline=fill, fill=fill if filled else None)
    else:
        outline = _OUTLINES.get(kind, list)(points)
        closed = filled and len(outline) > _PAIR
        if closed:
            pen.polygon(outline, fill=fill, outline=fill)
        elif len(outline) >= _PAIR:
            pen.line(outline, fill=fill, width=1)


def _ellipse(points: list[Point]) -> list[Point]:
    """Four points, the ends of major and minor axis, to an outline (PS3.3 C.10.5.2)."""
    if len(points) < 4:  # noqa: PLR2004 ends of two axes
        return []
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points[:4]
    x, y = (ax + bx) / 2, (ay + by) / 2
    major, minor = ((bx - ax) / 2, (by - ay) / 2), ((dx - cx) / 2, (dy - cy) / 2)
    turns = [step * math.tau / 72 for step in range(73)]
    return [
        (
            x + major[0] * math.cos(turn) + minor[0] * math.sin(turn),
            y + major[1] * math.cos(turn) + minor[1] * math.sin(turn),
        )
        for turn in turns
    ]


def _interpolated(points: list[Point]) -> list[Point]:
    """A smooth curve through the points (Catmull-Rom); closed where the ends meet."""
    if len(points) <= _PAIR:
        return points
    closed = points[0] == points[-1]
    before = points[-2] if closed else points[0]
    after = points[1] if closed else points[-1]
    padded = [before, *points, after]
    curve: list[Point] = []
    for one, two, three, four in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(_CURVE_STEPS):
            t = step / _CURVE_STEPS
            x, y = (
                0.5
                * (
                    2 * b
                    + (c - a) * t
                    + (2 * a - 5 * b + 4 * c - d) * t**2
                    + (3 * b - a - 3 * c + d) * t**3
                )
                for a, b, c, d in zip(one, two, three, four, strict=True)
            )
            curve.append((x, y))
    return [*curve, points[-1]]


_OUTLINES: Final = {"ELLIPSE": _ellipse, "INTERPOLATED": _interpolated}


def _draw_text(
    pen: ImageDraw.ImageDraw, written: Item, canvas: Canvas, fill: tuple[int, ...]
) -> None:
    values = written.get(_TEXT, {}).get("Value") or [""]
    words = str(values[0] or "").replace("\r\n", "\n").replace("\r", "\n")[:_LONGEST_TEXT]
    size = max(10, min(canvas.height, canvas.width) // 36)
    anchor = _points(numbers(written, _ANCHOR), text(written, _ANCHOR_UNITS), canvas)[:1]
    corners = [
        point
        for tag in (_BOX_FIRST, _BOX_LAST)
        for point in _points(numbers(written, tag), text(written, _BOX_UNITS), canvas)[:1]
    ]
    if len(corners) == _PAIR:
        place = min(x for x, _ in corners), min(y for _, y in corners)
    elif anchor:
        place = anchor[0][0] + size / 2, anchor[0][1]
    else:
        return
    if anchor and text(written, _ANCHOR_SHOWN) == "Y":
        pen.line([anchor[0], place], fill=fill, width=1)
    pen.multiline_text(place, words, fill=fill, font=font(size))
