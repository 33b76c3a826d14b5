"""Patient and technique written into the picture when asked for (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from typing import Any, Final

from PIL import Image, ImageDraw

from apps.dicom.json_values import readable_date, readable_name, readable_time, text_of
from apps.rendering.graphics import font

PATIENT, TECHNIQUE = "patient", "technique"
KNOWN: Final = (PATIENT, TECHNIQUE)
_SMALLEST, _LARGEST, _LINES_A_SIDE = 8, 24, 40


def parse_annotation(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`annotation=` as what we can write, in our order, and what we do not know."""
    asked = [each.strip().lower() for each in text.split(",") if each.strip()]
    known = tuple(each for each in KNOWN if each in asked)
    return known, tuple(each for each in asked if each not in KNOWN)


def annotated(
    image: Image.Image, dataset: dict[str, Any], annotation: tuple[str, ...]
) -> Image.Image:
    """The picture with its patient at the top and its technique at the bottom."""
    size = min(max(min(image.size) // _LINES_A_SIDE, _SMALLEST), _LARGEST)
    pen = ImageDraw.Draw(image)
    white: Any = (255,) * len(image.getbands())
    black: Any = (0,) * len(image.getbands())
    style: dict[str, Any] = {
        "fill": white,
        "font": font(size),
        "stroke_width": max(1, size // 8),
        "stroke_fill": black,
    }
    margin = size // 2
    if PATIENT in annotation:
        pen.multiline_text((margin, margin), "\n".join(_patient(dataset)), **style)
    if TECHNIQUE in annotation:
        lines = _technique(dataset)
        place = (margin, image.height - margin)
        pen.multiline_text(place, "\n".join(lines), anchor="ld", **style)
    return image


def _patient(dataset: dict[str, Any]) -> list[str]:
    lines = (
        readable_name(text_of(dataset, "00100010")),
        text_of(dataset, "00100020"),
        " ".join(
            filter(
                None,
                (readable_date(text_of(dataset, "00100030")), text_of(dataset, "00100040")),
            )
        ),
    )
    return [line for line in lines if line]


# TABLE: what is written of the technique, and behind which word.
_TECHNIQUE: Final = (
    ("00180060", "kV"),
    ("00181152", "mAs"),
    ("00180050", "mm"),
    ("00180080", "TR ms"),
    ("00180081", "TE ms"),
)


def _technique(dataset: dict[str, Any]) -> list[str]:
    moment = " ".join(
        filter(
            None,
            (
                readable_date(text_of(dataset, "00080020")),
                readable_time(text_of(dataset, "00080030")),
            ),
        )
    )
    values = [
        f"{text_of(dataset, tag)} {unit}" for tag, unit in _TECHNIQUE if text_of(dataset, tag)
    ]
    lines = (
        " ".join(filter(None, (text_of(dataset, "00080060"), text_of(dataset, "0008103E")))),
        ", ".join(values),
        moment,
    )
    return [line for line in lines if line]
