"""Rendered frames for both WADO doors, with a small memory: strips ask for the same ones again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from apps.rendering.animation import (
    animated,
    animated_jxl,
    milliseconds_between,
    milliseconds_of,
)
from apps.rendering.options import JXL, PNG, RenderOptions
from apps.rendering.render import RenderedImage
from apps.rendering.stored import ready_thumbnail, rendered_frame
from apps.retrieve.locations import Location
from apps.retrieve.metadata import dicom_json_of
from apps.retrieve.polarity import display_variant

REMEMBERED_BYTES: Final = 32 << 20
"""Finished pictures that each web process keeps."""

_Key = tuple[str, int, RenderOptions, str]


_AT_ONCE: Final = 64


class Pictures:
    """The pictures used last, bounded by their bytes; shared by the threads of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A lock for a share of the keys: who asks for what is being made waits for it.
        self._making = tuple(threading.Lock() for _ in range(_AT_ONCE))
        self._pictures: OrderedDict[_Key, RenderedImage] = OrderedDict()
        self._bytes = 0

    def get_or_make(self, key: _Key, make: Callable[[], RenderedImage]) -> RenderedImage:
        """The picture, made once however many ask for it at the same time."""
        known = self._get(key)
        if known is not None:
            return known
        with self._making[hash(key) % _AT_ONCE]:
            known = self._get(key)
            if known is None:
                known = make()
                self._put(key, known)
        return known

    def forget(self) -> None:
        """Forgets all of them."""
        with self._lock:
            self._pictures.clear()
            self._bytes = 0

    def _get(self, key: _Key) -> RenderedImage | None:
        with self._lock:
            picture = self._pictures.get(key)
            if picture is not None:
                self._pictures.move_to_end(key)
            return picture

    def _put(self, key: _Key, picture: RenderedImage) -> None:
        with self._lock:
            if key in self._pictures or len(picture.body) > REMEMBERED_BYTES // 8:
                return
            self._pictures[key] = picture
            self._bytes += len(picture.body)
            while self._bytes > REMEMBERED_BYTES:
                _, dropped = self._pictures.popitem(last=False)
                self._bytes -= len(dropped.body)


_pictures = Pictures()


def forget_pictures() -> None:
    """Forgets what this process remembers, in tests."""
    _pictures.forget()


def picture_of(location: Location, number: int, options: RenderOptions) -> RenderedImage:
    """Frame `number` (from 1) of an instance the caller may see, rendered.

    Raises NotFound, InvalidRequest, and UnsupportedPixels where the frame cannot be shown.
    """
    key = (location.digest, number, options, display_variant())
    return _pictures.get_or_make(key, lambda: _made(location, number, options))


def _made(location: Location, number: int, options: RenderOptions) -> RenderedImage:
    ready = ready_thumbnail(location, number, options)
    return ready or rendered_frame(location, number, options)


def animation_of(
    location: Location, numbers: Sequence[int], options: RenderOptions
) -> RenderedImage:
    """The frames as one GIF or JPEG XL that moves. Raises as `picture_of`, and NotAcceptable."""
    still = replace(options, media_type=PNG, quality=None)
    pictures = (picture_of(location, number, still) for number in numbers)
    metadata = dicom_json_of(location.key)
    if options.media_type == JXL:
        between = milliseconds_between(metadata)
        return animated_jxl(pictures, len(numbers), between, options.quality)
    return animated(pictures, milliseconds_of(metadata, numbers))
