"""RenderOptions: what a client may ask of a rendered image, validated (PS3.18 8.3.5.1, 9.5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Final

from apps.dicom.whole_numbers import read_whole_number
from apps.errors import InvalidRequest, NotAcceptable

PNG, JPEG, GIF = "image/png", "image/jpeg", "image/gif"
JP2, JPH, JXL = "image/jp2", "image/jph", "image/jxl"
MEDIA_TYPES: Final = (JPEG, PNG, GIF, JP2, JPH, JXL)
"""What a single frame can be rendered to, the default first (PS3.18 8.7.4)."""

MOVING: Final = frozenset({GIF, JXL})
"""Of these, those that several frames can be in, one after the other."""

LARGEST_SIDE: Final = 16384
_WINDOW_PARTS: Final = 3
_VIEWPORT_SIZE_PARTS: Final = 2
_VIEWPORT_PARTS: Final = 6
_REGION_PARTS: Final = 4


class VoiFunction(Enum):
    """VOI LUT Function (0028,1056), PS3.3 C.11.2.1.3."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Window:
    """Window Center and Window Width in units of the modality LUT's output."""

    center: float
    width: float
    function: VoiFunction = VoiFunction.LINEAR

    def __post_init__(self) -> None:
        """LINEAR needs a width of at least 1, the others one above 0 (PS3.3 C.11.2.1.2-3)."""
        least_is_allowed = self.function is VoiFunction.LINEAR
        fits = self.width >= 1 if least_is_allowed else self.width > 0
        if not (isfinite(self.center) and isfinite(self.width) and fits):
            raise InvalidRequest(
                "The window's width must be at least 1 (above 0 unless linear), and both numbers.",
                offending=("window",),
            )


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the source image; negative width or height flips it (PS3.18 8.3.5.1.3).

    In pixels, or with `normalised` in 0 to 1 of the image. None means up to the image's end.
    """

    left: float = 0.0
    top: float = 0.0
    width: float | None = None
    height: float | None = None
    normalised: bool = False


@dataclass(frozen=True, slots=True)
class Viewport:
    """The rectangle in pixels that the region is fitted into with its aspect kept.

    0 leaves a side free: the other one decides (rows or columns alone in WADO-URI).
    """

    width: int
    height: int
    region: Region = Region()

    def __post_init__(self) -> None:
        """Sides are 0 to 16384 and at least one is given."""
        sides = (self.width, self.height)
        if any(not 0 <= side <= LARGEST_SIDE for side in sides) or not any(sides):
            raise InvalidRequest(
                f"The viewport's width and height must be 1 to {LARGEST_SIDE}.",
                offending=("viewport",),
            )


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """One rendering request. Everything has the default that PS3.18 gives it.

    `voi_alternative` picks one of the object's own windows and VOI LUTs by its position;
    `overlays` draws the overlay planes (60xx); `quality` is 1 to 100 and counts for JPEG alone.
    `annotation` names what is written into the picture, `icc_profile` what is embedded. `opposite`
    exchanges black and white of a grey image.
    """

    media_type: str = JPEG
    quality: int | None = None
    window: Window | None = None
    viewport: Viewport | None = None
    region: Region | None = None
    voi_alternative: int = 0
    overlays: bool = False
    annotation: tuple[str, ...] = ()
    icc_profile: str = "no"
    opposite: bool = False

    def __post_init__(self) -> None:
        """Raises NotAcceptable for the media type, InvalidRequest for the quality."""
        if self.media_type not in MEDIA_TYPES:
            raise NotAcceptable(f"Frames cannot be rendered to {self.media_type}.")
        if self.quality is not None and not 1 <= self.quality <= 100:  # noqa: PLR2004 per cent
            raise InvalidRequest("The quality must be 1 to 100.", offending=("quality",))


def parse_quality(text: str, parameter: str = "quality") -> int:
    """`quality=`, an integer of 1 to 100 (PS3.18 8.3.5.1.2); else InvalidRequest."""
    quality = read_whole_number(text, most=100)
    if not quality:
        raise InvalidRequest(
            "The quality must be an integer from 1 to 100.", offending=(parameter,)
        )
    return quality


def parse_polarity(text: str) -> bool:
    """`polarity=opposite`, ours: a grey image with black and white exchanged."""
    if text != "opposite":
        raise InvalidRequest("The polarity can only be opposite.", offending=("polarity",))
    return True


def parse_window(text: str, *, for_presentation_state: bool = False) -> Window:
    """`window=center,width,function` (PS3.18 8.3.5.1.4); all three are needed.

    A Presentation State has its own window, so there the parameter is an error.
    """
    if for_presentation_state:
        raise InvalidRequest(
            "A Presentation State cannot be rendered with another window.", offending=("window",)
        )
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != _WINDOW_PARTS:
        raise InvalidRequest("The window needs center, width and function.", offending=("window",))
    names = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
    function = names.get(parts[2].lower())
    if function is None:
        raise InvalidRequest(
            "The window's function must be linear, linear-exact or sigmoid.", offending=("window",)
        )
    return Window(_number(parts[0], "window"), _number(parts[1], "window"), VoiFunction(function))


def parse_viewport(text: str, *, size_only: bool = False) -> Viewport:
    """`viewport=vw,vh[,sx,sy,sw,sh]` (PS3.18 8.3.5.1.3); source values may be elided.

    With `size_only` (thumbnails, Presentation States) only vw and vh are allowed.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (_VIEWPORT_SIZE_PARTS, _VIEWPORT_PARTS):
        raise InvalidRequest(
            "The viewport needs two or six values: vw,vh or vw,vh,sx,sy,sw,sh.",
            offending=("viewport",),
        )
    if size_only and len(parts) != _VIEWPORT_SIZE_PARTS:
        raise InvalidRequest("Here the viewport has only vw and vh.", offending=("viewport",))
    width, height = (_side(part, "viewport") for part in parts[:2])
    source = [_number(part, "viewport") if part else None for part in parts[2:]]
    if not source:
        return Viewport(width, height)
    left, top, source_width, source_height = source
    if 0 in (source_width, source_height) or (left or 0) < 0 or (top or 0) < 0:
        raise InvalidRequest(
            "The viewport's source region must begin inside the image and not be empty.",
            offending=("viewport",),
        )
    return Viewport(width, height, Region(left or 0.0, top or 0.0, source_width, source_height))


def parse_region(text: str) -> Region:
    """`region=xmin,ymin,xmax,ymax`, each 0 to 1 of the image (PS3.18 9.5, WADO-URI)."""
    parts = text.split(",")
    if len(parts) != _REGION_PARTS:
        raise InvalidRequest("The region needs four values.", offending=("region",))
    left, top, right, bottom = (_number(part, "region") for part in parts)
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InvalidRequest(
            "The region's values must rise and lie between 0 and 1.", offending=("region",)
        )
    return Region(left, top, right - left, bottom - top, normalised=True)


def uri_options(parameters: dict[str, str], *, media_type: str = JPEG) -> RenderOptions:
    """WADO-URI's rows, columns, region, windowCenter, windowWidth and imageQuality (PS3.18 9.5)."""
    window = _uri_window(parameters.get("windowCenter"), parameters.get("windowWidth"))
    region = parse_region(parameters["region"]) if "region" in parameters else None
    viewport = None
    if "rows" in parameters or "columns" in parameters:
        rows, columns = (
            _side(parameters[key], key) if key in parameters else 0 for key in ("rows", "columns")
        )
        viewport = Viewport(columns, rows, region or Region())
    quality = None
    if "imageQuality" in parameters:
        quality = parse_quality(parameters["imageQuality"], "imageQuality")
    return RenderOptions(media_type, quality, window, viewport, region)


def _uri_window(center: str | None, width: str | None) -> Window | None:
    """Both or none, under the names they have there."""
    if center is None and width is None:
        return None
    both = ("windowCenter", "windowWidth")
    if center is None or width is None:
        raise InvalidRequest("windowCenter and windowWidth go together.", offending=both)
    values = _number(center, both[0]), _number(width, both[1])
    if values[1] < 1:
        raise InvalidRequest("windowWidth must be at least 1.", offending=both[1:])
    return Window(*values)


def _number(text: str, parameter: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise InvalidRequest(f"The {parameter} must be given in numbers.", offending=(parameter,))
    return number


def _side(text: str, parameter: str) -> int:
    side = read_whole_number(text, most=LARGEST_SIDE)
    if not side:
        raise InvalidRequest(
            f"A length in {parameter} must be an integer from 1 to {LARGEST_SIDE}.",
            offending=(parameter,),
        )
    return side
