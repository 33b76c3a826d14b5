"""Several frames as one GIF or JPEG XL that moves (PS3.18 table 8.7.4-1, multi-frame images)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from PIL import Image

from apps.errors import NotAcceptable
from apps.rendering.frame_attributes import Item, number, numbers
from apps.rendering.moving_jxl import moving_jxl
from apps.rendering.options import GIF, JXL
from apps.rendering.render import RenderedImage

MOST_PIXELS: Final = 150_000_000
"""Pixels of all frames together; what is larger would take a browser down."""

MOST_SAMPLES: Final = 24_000_000
"""Of a JPEG XL, all of whose frames its encoder wants at once."""

_FRAME_TIME, _FRAME_TIME_VECTOR = "00181063", "00181065"
_RATES: Final = ("00082144", "00180040")
_DEFAULT_MILLISECONDS: Final = 100.0
_SHORTEST, _LONGEST = 20, 10_000


def milliseconds_between(dataset: Item) -> int:
    """How long each frame stands, by Frame Time or its vector, or the rate (PS3.3 C.7.6.5).

    GIF counts in hundredths of a second, and browsers do not go below two of them.
    """
    vector = [each for each in numbers(dataset, _FRAME_TIME_VECTOR) if each > 0]
    time = number(dataset, _FRAME_TIME) or (sum(vector) / len(vector) if vector else 0.0)
    rate = next((each for tag in _RATES if (each := number(dataset, tag))), 0.0) or 0.0
    if not time > 0:  # nor is what is no number
        time = 1000.0 / rate if rate > 0 else _DEFAULT_MILLISECONDS
    return _shown_for(time)


def milliseconds_of(dataset: Item, frames: Sequence[int]) -> list[int]:
    """How long each of the frames (from 1) stands: until the next one, where a vector says when.

    The vector's value of a frame is the time since the one before it (PS3.3 C.7.6.5.1.2).
    """
    usual = milliseconds_between(dataset)
    vector = [] if number(dataset, _FRAME_TIME) else numbers(dataset, _FRAME_TIME_VECTOR)
    until_next = [_shown_for(each) if each > 0 else usual for each in vector[1:]]
    return [until_next[n - 1] if n <= len(until_next) else usual for n in frames]


def _shown_for(milliseconds: float) -> int:
    return int(min(max(round(milliseconds, -1), _SHORTEST), _LONGEST))


_TOO_MUCH: Final = "That is too much for an animation; ask for fewer frames or a smaller viewport."


def animated_jxl(
    pictures: Iterable[RenderedImage], count: int, milliseconds: int, quality: int | None
) -> RenderedImage:
    """The pictures, of one size each, in one JPEG XL that repeats. Raises NotAcceptable."""
    stack = None
    lossy = quality is not None
    for place, picture in enumerate(pictures):
        pixels = np.asarray(_opened(picture))
        if stack is None:
            if pixels.size * count > MOST_SAMPLES:
                raise NotAcceptable(_TOO_MUCH)
            stack = np.empty((count, *pixels.shape), dtype=np.uint8)
        stack[place] = pixels
        lossy |= picture.lossy
    assert stack is not None
    body = moving_jxl(stack, quality, milliseconds)
    return RenderedImage(JXL, body, stack.shape[2], stack.shape[1], lossy)


def animated(pictures: Iterable[RenderedImage], milliseconds: list[int]) -> RenderedImage:
    """The pictures, of one size each and so long, in one GIF that repeats; one at a time is held.

    Raises NotAcceptable where they are too many for an animation, or one stands too long.
    """
    frames = iter(pictures)
    first = next(frames)
    if first.width * first.height * len(milliseconds) > MOST_PIXELS:
        raise NotAcceptable(_TOO_MUCH)
    lossy = first.lossy

    def rest() -> Iterator[Image.Image]:
        for picture in frames:
            yield _opened(picture)

    body = io.BytesIO()
    options: dict[str, Any] = {"append_images": rest(), "duration": milliseconds, "loop": 0}
    try:
        _opened(first).save(body, "GIF", save_all=True, **options)
    except OverflowError as failure:
        # Equal pictures become one, and a GIF counts to 65,535 hundredths of a second.
        raise NotAcceptable("A picture stands longer than a GIF can say: take parts.") from failure
    return RenderedImage(GIF, body.getvalue(), first.width, first.height, lossy)


def _opened(picture: RenderedImage) -> Image.Image:
    image = Image.open(io.BytesIO(picture.body))
    image.load()
    return image
